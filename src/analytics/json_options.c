/*
 * json_options.c
 *		Transition functions whose texts and other options come in one JSON object.
 *
 * postgres_fdw sends no aggregate of whose arguments nothing but a constant has a collation, as a
 * text has one. jsonb has none: so what is to be sent can take what it is asked in an object. Each
 * function here calls another with the arguments that the object holds.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "journey/journey.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define OPTIONS_MAX 6
#define ARGUMENTS_MAX 9

typedef struct Option
{
	const char *name;
	Oid type; /* of the argument: text, boolean or timestamptz */
	bool required;
} Option;

typedef struct Question
{
	const char *aggregate;
	PGFunction transfn; /* whose arguments from there on are the options, in this order */
	int at;             /* where the object is */
	int n;
	Option options[OPTIONS_MAX];
	bool rest; /* and last an object with all others, which the function looks at */
	const char *hint;
} Question;

/* What a call site keeps. */
typedef struct OptionSite
{
	FmgrInfo inner; /* has the call site of the other function */
	MemoryContext cxt;
	bool known;
	struct varlena *given; /* NULL: none */
	NullableDatum values[OPTIONS_MAX + 1];
} OptionSite;

static Datum
option_value(const Question *q, const Option *o, JsonbValue *v)
{
	const char *expected = o->type == BOOLOID ? "true or false"
						   : o->type == TEXTOID ? "a text"
												: "a time, as \"2026-04-01 00:00+00\"";

	if (v->type == jbvBool && o->type == BOOLOID)
		return BoolGetDatum(v->val.boolean);
	if (v->type == jbvString && o->type == TEXTOID)
		return PointerGetDatum(cstring_to_text_with_len(v->val.string.val, v->val.string.len));
	if (v->type == jbvString && o->type == TIMESTAMPTZOID)
		return DirectFunctionCall3(timestamptz_in,
								   CStringGetDatum(pnstrdup(v->val.string.val, v->val.string.len)),
								   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" of %s must be %s", o->name, q->aggregate, expected),
			 errdetail("Found %s.", JsonbToCString(NULL, &JsonbValueToJsonb(v)->root, 0))));
}

static const Option *
find_option(const Question *q, const JsonbValue *key)
{
	for (int i = 0; i < q->n; i++)
		if (strlen(q->options[i].name) == key->val.string.len &&
			memcmp(q->options[i].name, key->val.string.val, key->val.string.len) == 0)
			return &q->options[i];
	return NULL;
}

/* The values of options; in the current context. */
static void
read_options(const Question *q, OptionSite *site)
{
	Jsonb *json = (Jsonb *) site->given;
	Datum rest = PointerGetDatum(json);
	JsonbIterator *it;
	JsonbValue key;
	JsonbValue v;

	for (int i = 0; i <= OPTIONS_MAX; i++)
		site->values[i] = (NullableDatum) {.isnull = true};
	if (json != NULL)
	{
		if (!JB_ROOT_IS_OBJECT(json))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("options of %s must be a JSON object", q->aggregate),
							errdetail("Found %s.", JsonbToCString(NULL, &json->root, 0)),
							errhint("%s", q->hint)));
		it = JsonbIteratorInit(&json->root);
		(void) JsonbIteratorNext(&it, &v, true);
		while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
		{
			const Option *o = find_option(q, &key);

			(void) JsonbIteratorNext(&it, &v, true);
			if (o == NULL && !q->rest)
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("unknown option of %s: \"%.*s\"", q->aggregate,
									   key.val.string.len, key.val.string.val),
								errhint("%s", q->hint)));
			if (o == NULL)
				continue;
			if (v.type != jbvNull)
				site->values[o - q->options] = (NullableDatum) {.value = option_value(q, o, &v)};
			rest = DirectFunctionCall2(jsonb_delete, rest,
									   PointerGetDatum(cstring_to_text(o->name)));
		}
		if (q->rest)
			site->values[q->n] = (NullableDatum) {.value = rest};
	}
	for (int i = 0; i < q->n; i++)
		if (q->options[i].required && site->values[i].isnull)
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("option \"%s\" of %s is missing", q->options[i].name,
								   q->aggregate),
							errhint("%s", q->hint)));
}

/* This call's, which knows the options; cheap if they are those of the call before. */
static OptionSite *
option_site(FunctionCallInfo fcinfo, const Question *q)
{
	OptionSite *site = fcinfo->flinfo->fn_extra;
	struct varlena *given =
		PG_ARGISNULL(q->at) ? NULL : short_text_argument(PG_GETARG_DATUM(q->at));
	MemoryContext old;

	if (unlikely(site == NULL))
	{
		fcinfo->flinfo->fn_extra = site =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(OptionSite));
		site->cxt = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "options", ALLOCSET_SMALL_SIZES);
		site->inner = *fcinfo->flinfo;
		site->inner.fn_addr = q->transfn;
		site->inner.fn_extra = NULL;
	}
	if (likely(site->known && (given == NULL) == (site->given == NULL) &&
			   (given == NULL ||
				(VARSIZE_ANY_EXHDR(given) == VARSIZE_ANY_EXHDR(site->given) &&
				 memcmp(VARDATA_ANY(given), VARDATA_ANY(site->given), VARSIZE_ANY_EXHDR(given)) == 0))))
		return site;
	site->known = false;
	MemoryContextReset(site->cxt);
	old = MemoryContextSwitchTo(site->cxt);
	site->given = given ? PG_DETOAST_DATUM_COPY(PointerGetDatum(given)) : NULL;
	read_options(q, site);
	MemoryContextSwitchTo(old);
	site->known = true;
	return site;
}

static Datum
ask(FunctionCallInfo fcinfo, const Question *q)
{
	OptionSite *site = option_site(fcinfo, q);
	LOCAL_FCINFO(inner, ARGUMENTS_MAX);
	Datum result;

	InitFunctionCallInfoData(*inner, &site->inner, q->at + q->n + q->rest, fcinfo->fncollation,
							 fcinfo->context, fcinfo->resultinfo);
	Assert(inner->nargs <= ARGUMENTS_MAX);
	memcpy(inner->args, fcinfo->args, q->at * sizeof(NullableDatum));
	memcpy(&inner->args[q->at], site->values, (q->n + q->rest) * sizeof(NullableDatum));
	result = FunctionCallInvoke(inner);
	fcinfo->isnull = inner->isnull;
	return result;
}

/* A function that asks another one, each of journeys and of blocks */
#define ASKS(function, other, ...)                                                                 \
	extern PGDLLEXPORT Datum other(PG_FUNCTION_ARGS);                                              \
	PG_FUNCTION_INFO_V1(function);                                                                 \
	Datum function(PG_FUNCTION_ARGS)                                                               \
	{                                                                                              \
		static const Question question = {.transfn = other, __VA_ARGS__};                          \
                                                                                                   \
		return ask(fcinfo, &question);                                                             \
	}                                                                                              \
	extern int no_semicolon

#define FUNNEL                                                                                     \
	.aggregate = "journey_funnel_partial", .at = 3, .n = 6,                                        \
	.options = {{"period", TEXTOID},         {"time_zone", TEXTOID}, {"since", TIMESTAMPTZOID},    \
				{"until", TIMESTAMPTZOID}, {"breakdown", TEXTOID}, {"times", BOOLOID}},            \
	.hint = "Options are period, time_zone, since, until, breakdown and times."
ASKS(journey_funnel_partial_transfn, journey_funnel_period_agg_transfn, FUNNEL);
ASKS(journey_funnel_partial_block_transfn, journey_funnel_period_agg_block_transfn, FUNNEL);

#define RETENTION                                                                                  \
	.aggregate = "journey_retention_partial", .at = 4, .n = 2,                                     \
	.options = {{"unit", TEXTOID, true}, {"time_zone", TEXTOID, true}},                            \
	.hint = "Options are unit and time_zone."
ASKS(journey_retention_partial_transfn, journey_retention_agg_transfn, RETENTION);
ASKS(journey_retention_partial_block_transfn, journey_retention_agg_block_transfn, RETENTION);

#define ITEM_HINT "Options are item, which is channel, action, detail or label, and those of the form with an item."
#define ITEM(of, argument)                                                                         \
	.aggregate = of, .at = argument, .n = 1, .options = {{"item", TEXTOID, true}}, .rest = true,   \
	.hint = ITEM_HINT
ASKS(flow_agg_options_transfn, flow_agg_transfn, ITEM("flow_agg", 2));
ASKS(flow_agg_options_block_transfn, flow_agg_block_transfn, ITEM("flow_agg", 2));
ASKS(attribution_agg_options_transfn, attribution_agg_transfn, ITEM("attribution_agg", 5));
ASKS(attribution_agg_options_block_transfn, attribution_agg_block_transfn,
	 ITEM("attribution_agg", 5));
