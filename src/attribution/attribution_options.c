/*
 * attribution_options.c
 *		What is asked of attribution_agg: options from JSON, and whether it is the same.
 */
#include "postgres.h"

#include "attribution/attribution.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#define OPTIONS_KNOWN                                                                              \
	"before, direct, half_life, models, order, paths, position, reset, since, transform, until"

static void
option_wrong(const char *name, const JsonbValue *v, const char *hint)
{
	char *found;

	if (v->type == jbvBinary)
		found = JsonbToCString(NULL, v->val.binary.data, v->val.binary.len);
	else
	{
		Jsonb *json = JsonbValueToJsonb((JsonbValue *) v);

		found = JsonbToCString(NULL, &json->root, VARSIZE(json));
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("option \"%s\" of attribution_agg is wrong", name),
					errdetail("Found %s.", found), errhint("%s", hint)));
}

static char *
option_text(const char *name, const JsonbValue *v, const char *hint)
{
	if (v->type != jbvString)
		option_wrong(name, v, hint);
	return pnstrdup(v->val.string.val, v->val.string.len);
}

static bool
option_flag(const char *name, const JsonbValue *v)
{
	if (v->type != jbvBool)
		option_wrong(name, v, "Use true or false.");
	return v->val.boolean;
}

static int
option_word(const char *name, const JsonbValue *v, const char *const *words, int n,
			const char *hint)
{
	char *word = option_text(name, v, hint);

	for (int i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	option_wrong(name, v, hint);
	return 0;
}

static int64
option_time(const char *name, const JsonbValue *v, const char *hint)
{
	return DatumGetTimestampTz(
		DirectFunctionCall3(timestamptz_in, CStringGetDatum(option_text(name, v, hint)),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* Elements of an array; an error if it is none. */
static JsonbIterator *
option_list(const char *name, JsonbValue *v, const char *hint)
{
	JsonbIterator *it;
	JsonbValue element;

	if (v->type != jbvBinary || !JsonContainerIsArray(v->val.binary.data) ||
		JsonContainerIsScalar(v->val.binary.data))
		option_wrong(name, v, hint);
	it = JsonbIteratorInit(v->val.binary.data);
	(void) JsonbIteratorNext(&it, &element, true);
	return it;
}

static void
option_position(AttrParams *p, JsonbValue *v)
{
	const char *hint = "Use three weights, of the first touch, of those between and of the last, "
					   "that are not negative and sum to 1, as in [0.4, 0.2, 0.4].";
	JsonbIterator *it = option_list("position", v, hint);
	JsonbValue weight;
	int128 sum = 0;
	int n = 0;

	while (JsonbIteratorNext(&it, &weight, true) == WJB_ELEM)
	{
		Decimal d;

		if (n == lengthof(p->position) || weight.type != jbvNumeric)
			option_wrong("position", v, hint);
		decimal_from_numeric(&d, NumericGetDatum(weight.val.numeric));
		/* what is more than 1 might not fit */
		if (d.mantissa < 0 || d.mantissa > decimal_power[d.scale])
			option_wrong("position", v, hint);
		p->position[n] = d.mantissa * decimal_power[DECIMAL_DIGITS_MAX - d.scale];
		sum += p->position[n++];
	}
	if (n != lengthof(p->position) || sum != ATTR_ONE)
		option_wrong("position", v, hint);
}

static int
text_order(const void *a, const void *b)
{
	return attr_text_cmp(a, b);
}

static void
option_direct(AttrParams *p, JsonbValue *v)
{
	const char *hint = "Use a list of items, as in [\"direct\"].";
	JsonbIterator *it = option_list("direct", v, hint);
	JsonbValue item;
	uint32 n = 0;

	p->direct = palloc(Max(JsonContainerSize(v->val.binary.data), 1) * sizeof(AttrText));
	while (JsonbIteratorNext(&it, &item, true) == WJB_ELEM)
	{
		if (item.type != jbvString)
			option_wrong("direct", v, hint);
		p->direct[n++] = (AttrText) {item.val.string.val, item.val.string.len};
	}
	qsort(p->direct, n, sizeof(AttrText), text_order);
	p->ndirect = 0;
	for (uint32 i = 0; i < n; i++)
		if (p->ndirect == 0 || attr_text_cmp(&p->direct[p->ndirect - 1], &p->direct[i]) != 0)
			p->direct[p->ndirect++] = p->direct[i];
}

static char *
models_hint(void)
{
	StringInfoData hint;

	initStringInfo(&hint);
	for (int i = 0; i < ATTR_MODELS; i++)
		appendStringInfo(&hint, "%s%s",
						 i == 0                ? "Models are "
						 : i < ATTR_MODELS - 1 ? ", "
											   : " and ",
						 attr_models[i]);
	appendStringInfoChar(&hint, '.');
	return hint.data;
}

static void
option_models(AttrParams *p, JsonbValue *v)
{
	char *hint = models_hint();
	JsonbIterator *it = option_list("models", v, hint);
	JsonbValue model;

	p->models = 0;
	while (JsonbIteratorNext(&it, &model, true) == WJB_ELEM)
		p->models |= 1U << option_word("models", &model, attr_models, ATTR_MODELS, hint);
	if (p->models == 0)
		option_wrong("models", v, hint);
}

static void
set_option(AttrParams *p, AttrRange *range, const char *name, JsonbValue *v)
{
	const char *time = "Use a time, as in \"2026-04-01 00:00+00\".";

	if (strcmp(name, "order") == 0)
	{
		const char *hint = "Use 1, 2, 3 or 4.";
		double order;

		if (v->type != jbvNumeric)
			option_wrong(name, v, hint);
		order = DatumGetFloat8(
			DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v->val.numeric)));
		if (order != 1 && order != 2 && order != 3 && order != ATTR_ORDER_MAX)
			option_wrong(name, v, hint);
		p->order = (int) order;
	}
	else if (strcmp(name, "half_life") == 0)
	{
		const char *hint = "Use a positive interval, as in \"7 days\".";
		char *text = option_text(name, v, hint);
		Interval *i = DatumGetIntervalP(DirectFunctionCall3(
			interval_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
		Interval zero = {0};

		if (DatumGetInt32(DirectFunctionCall2(interval_cmp, IntervalPGetDatum(i),
											  IntervalPGetDatum(&zero))) <= 0)
			option_wrong(name, v, hint);
		p->half_life = limit_usecs(i, "half_life");
	}
	else if (strcmp(name, "position") == 0)
		option_position(p, v);
	else if (strcmp(name, "reset") == 0)
		p->reset = option_flag(name, v);
	else if (strcmp(name, "until") == 0)
	{
		p->until = option_time(name, v, time);
		if (TIMESTAMP_IS_NOBEGIN(p->until))
			option_wrong(name, v, time);
	}
	else if (strcmp(name, "since") == 0)
		range->since = option_time(name, v, time);
	else if (strcmp(name, "before") == 0)
		range->before = option_time(name, v, time);
	else if (strcmp(name, "transform") == 0)
		p->transform = option_word(name, v, attr_transforms, ATTR_TRANSFORMS,
								   "Use \"none\", \"exposure\", \"first\", \"unique\" or "
								   "\"frequency\".");
	else if (strcmp(name, "direct") == 0)
		option_direct(p, v);
	else if (strcmp(name, "models") == 0)
		option_models(p, v);
	else if (strcmp(name, "paths") == 0)
		p->paths = option_flag(name, v);
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown option of attribution_agg: \"%s\"", name),
						errhint("Options are %s.", OPTIONS_KNOWN)));
}

void
attr_options(AttrParams *p, AttrRange *range, Datum options)
{
	Jsonb *json = (Jsonb *) DatumGetPointer(options);
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue v;
	char *name = NULL;

	p->order = 1;
	p->half_life = 7 * USECS_PER_DAY;
	p->position[0] = p->position[2] = ATTR_ONE / 10 * 4;
	p->position[1] = ATTR_ONE / 10 * 2;
	p->reset = true;
	p->until = DT_NOEND;
	p->transform = ATTR_NONE;
	p->ndirect = 0;
	p->direct = NULL;
	p->models = ATTR_ALL_MODELS;
	p->paths = false;
	range->since = DT_NOBEGIN;
	range->before = DT_NOEND;
	if (json == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("options of attribution_agg must be a JSON object"),
						errdetail("Found %s.", JsonbToCString(NULL, &json->root, VARSIZE(json))),
						errhint("Options are %s.", OPTIONS_KNOWN)));
	it = JsonbIteratorInit(&json->root);
	(void) JsonbIteratorNext(&it, &v, true);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_END_OBJECT)
	{
		if (token == WJB_KEY)
			name = pnstrdup(v.val.string.val, v.val.string.len);
		else
			set_option(p, range, name, &v);
	}
	if (range->since > range->before)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the range ends before it begins: from %s until %s",
							   pstrdup(timestamptz_to_str(range->since)),
							   pstrdup(timestamptz_to_str(range->before))),
						errhint("Give the earlier time first.")));
}

uint64
attr_lookback(const Interval *lookback)
{
	Interval zero = {0};

	if (DatumGetInt32(DirectFunctionCall2(interval_cmp, IntervalPGetDatum(lookback),
										  IntervalPGetDatum(&zero))) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("lookback must be positive"),
				 errdetail("Found \"%s\".", DatumGetCString(DirectFunctionCall1(
												interval_out, IntervalPGetDatum(lookback)))),
				 errhint("Use an interval such as '30 days'.")));
	return limit_usecs(lookback, "lookback");
}

AttrModel
attr_model_argument(const text *name)
{
	for (int i = 0; i < ATTR_MODELS; i++)
		if (strlen(attr_models[i]) == VARSIZE_ANY_EXHDR(name) &&
			memcmp(attr_models[i], VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0)
			return i;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown model of attribution: \"%s\"", text_to_cstring(name)),
					errhint("%s", models_hint())));
}

static inline bool
same_attr_text(const AttrText *a, const AttrText *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

void
attr_same_params(const AttrParams *a, const AttrParams *b)
{
	const char *what = NULL;
	bool direct = a->ndirect == b->ndirect;

	for (uint32 i = 0; direct && i < a->ndirect; i++)
		direct = same_attr_text(&a->direct[i], &b->direct[i]);
	if (!same_attr_text(&a->conversion, &b->conversion))
		what = "conversion";
	else if (!same_attr_text(&a->touches, &b->touches))
		what = "touches";
	else if (a->lookback != b->lookback)
		what = "lookback";
	else if (a->part != b->part)
		what = "item";
	else if (a->order != b->order)
		what = "order";
	else if (a->half_life != b->half_life)
		what = "half_life";
	else if (memcmp(a->position, b->position, sizeof(a->position)) != 0)
		what = "position";
	else if (a->reset != b->reset)
		what = "reset";
	else if (a->until != b->until)
		what = "until";
	else if (a->transform != b->transform)
		what = "transform";
	else if (!direct)
		what = "direct";
	else if (a->models != b->models)
		what = "models";
	else if (a->paths != b->paths)
		what = "paths";
	if (what)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("attribution_agg needs the same %s for all rows of a group", what),
						errhint("Group by what differs.")));
}
