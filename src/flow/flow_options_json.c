/*
 * flow_options_json.c
 *		Options of flow_agg as SQL gives and shows them: a JSON object.
 */
#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "flow/flow.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

static const char *const part_names[] = {[PART_CHANNEL] = "channel",
										 [PART_ACTION] = "action",
										 [PART_DETAIL] = "detail",
										 [PART_LABEL] = "label"};

static const char *
step_pattern(const char *option, const char *given, size_t len)
{
	const char *canonical;
	TextScan s;

	text_scan_init(&s, given, len);
	canonical = flow_single_step(&s);
	if (canonical)
		return canonical;
	if (s.detail || s.message)
		ereport(ERROR,
				(errcode(s.sqlerrcode), errmsg("option \"%s\" of flow_agg is no pattern", option),
				 s.detail ? errdetail_internal("%s", s.detail) : 0,
				 s.hint ? errhint("%s", s.hint)
						: errhint("Give a pattern of one step, as \"web.view\".")));
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("option \"%s\" of flow_agg must be a pattern of one step", option),
					errdetail("Found \"%.*s\".", (int) len, given),
					errhint("A path begins and ends with one touchpoint; alternatives are"
							" written (a | b).")));
}

static void
option_wrong(const char *option, const char *expected, const JsonbValue *v)
{
	char *found = JsonbToCString(NULL, &JsonbValueToJsonb((JsonbValue *) v)->root, 0);

	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("option \"%s\" of flow_agg must be %s", option, expected),
					errdetail("Found %s.", found)));
}

static void
max_steps_option(FlowOptions *o, const JsonbValue *v)
{
	static const char *const expected = "a whole number from 1 to 1000000";
	Datum number;

	if (v->type != jbvNumeric || numeric_is_nan(v->val.numeric) || numeric_is_inf(v->val.numeric))
		option_wrong("max_steps", expected, v);
	number = NumericGetDatum(v->val.numeric);
	if (!DatumGetBool(DirectFunctionCall2(
			numeric_eq, number, DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0)))) ||
		DatumGetBool(
			DirectFunctionCall2(numeric_lt, number, NumericGetDatum(int64_to_numeric(1)))) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, number,
										 NumericGetDatum(int64_to_numeric(FLOW_MAX_STEPS)))))
		option_wrong("max_steps", expected, v);
	o->max_steps = DatumGetInt32(DirectFunctionCall1(numeric_int4, number));
}

static void
gap_option(FlowOptions *o, const JsonbValue *v)
{
	Interval *gap;
	const Interval zero = {0};

	if (v->type != jbvString)
		option_wrong("gap", "an interval, as \"30 minutes\"", v);
	gap = DatumGetIntervalP(DirectFunctionCall3(
		interval_in, CStringGetDatum(pnstrdup(v->val.string.val, v->val.string.len)),
		ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	if (!DatumGetBool(
			DirectFunctionCall2(interval_gt, IntervalPGetDatum(gap), IntervalPGetDatum(&zero))))
		option_wrong("gap", "positive", v);
	o->gap = Min(limit_usecs(gap, "gap"), PG_INT64_MAX);
}

static void
direction_option(FlowOptions *o, const JsonbValue *v)
{
	if (v->type == jbvString && v->val.string.len == 7 &&
		memcmp(v->val.string.val, "forward", 7) == 0)
		o->backward = false;
	else if (v->type == jbvString && v->val.string.len == 8 &&
			 memcmp(v->val.string.val, "backward", 8) == 0)
		o->backward = true;
	else
		option_wrong("direction", "\"forward\" or \"backward\"", v);
}

static void
set_option(FlowOptions *o, const char *key, size_t len, const JsonbValue *v)
{
	char *name = pnstrdup(key, len);
	bool start = strcmp(name, "start") == 0;

	if (start || strcmp(name, "end") == 0)
	{
		if (v->type == jbvNull)
			return;
		if (v->type != jbvString)
			option_wrong(name, "a pattern of one step, as \"web.view\"", v);
		*(start ? &o->start : &o->end) = step_pattern(name, v->val.string.val, v->val.string.len);
	}
	else if (strcmp(name, "direction") == 0)
	{
		if (v->type != jbvNull)
			direction_option(o, v);
	}
	else if (strcmp(name, "max_steps") == 0)
	{
		if (v->type != jbvNull)
			max_steps_option(o, v);
	}
	else if (strcmp(name, "gap") == 0)
	{
		if (v->type != jbvNull)
			gap_option(o, v);
	}
	else if (strcmp(name, "collapse") == 0)
	{
		if (v->type != jbvBool && v->type != jbvNull)
			option_wrong(name, "true or false", v);
		o->collapse = v->type == jbvBool && v->val.boolean;
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown option of flow_agg: \"%s\"", name),
				 errhint("Options are start, end, direction, max_steps, gap and collapse.")));
}

/* A value of the object that an iterator is in must be no object or array. */
static JsonbIteratorToken
next_scalar(JsonbIterator **it, JsonbValue *v)
{
	return JsonbIteratorNext(it, v, true);
}

/* options may be NULL. */
FlowOptions *
flow_options_parse(LabelPart item, Jsonb *options)
{
	FlowOptions *o = palloc0(sizeof(FlowOptions));
	JsonbIteratorToken token;
	JsonbIterator *it;
	JsonbValue key;
	JsonbValue v;

	o->item = item;
	if (options == NULL)
		return o;
	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options of flow_agg must be a JSON object"),
				 errdetail("Found %s.", JsonbToCString(NULL, &options->root, 0)),
				 errhint("Options are start, end, direction, max_steps, gap and collapse.")));
	it = JsonbIteratorInit(&options->root);
	token = JsonbIteratorNext(&it, &v, true);
	while ((token = JsonbIteratorNext(&it, &key, true)) == WJB_KEY)
	{
		next_scalar(&it, &v);
		set_option(o, key.val.string.val, key.val.string.len, &v);
	}
	Assert(token == WJB_END_OBJECT);
	return o;
}

static void
print_string(StringInfo out, const char *key, const char *value)
{
	appendStringInfo(out, ", \"%s\": ", key);
	escape_json(out, value);
}

/* As JSON, with the item. */
void
flow_options_print(StringInfo out, const FlowOptions *o)
{
	appendStringInfo(out, "{\"item\": \"%s\"", part_names[o->item]);
	if (o->start)
		print_string(out, "start", o->start);
	if (o->end)
		print_string(out, "end", o->end);
	if (o->backward)
		print_string(out, "direction", "backward");
	if (o->max_steps > 0)
		appendStringInfo(out, ", \"max_steps\": %u", o->max_steps);
	if (o->gap > 0)
	{
		appendStringInfo(out, ", \"gap\": \"" UINT64_FORMAT, o->gap / USECS_PER_SEC);
		if (o->gap % USECS_PER_SEC != 0)
			appendStringInfo(out, ".%06d", (int) (o->gap % USECS_PER_SEC));
		appendStringInfoString(out, " s\"");
	}
	if (o->collapse)
		appendStringInfoString(out, ", \"collapse\": true");
	appendStringInfoChar(out, '}');
}

/* Options with their item; NULL if they have none. */
FlowOptions *
flow_options_of_json(const char *p, size_t len)
{
	Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(p, len))));
	FlowOptions *o = palloc0(sizeof(FlowOptions));
	JsonbIterator *it;
	JsonbValue key;
	JsonbValue v;
	bool item = false;

	if (!JB_ROOT_IS_OBJECT(json))
		return NULL;
	it = JsonbIteratorInit(&json->root);
	JsonbIteratorNext(&it, &v, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		next_scalar(&it, &v);
		if (key.val.string.len == 4 && memcmp(key.val.string.val, "item", 4) == 0)
		{
			for (int i = 0; i < lengthof(part_names); i++)
				if (v.type == jbvString && v.val.string.len == strlen(part_names[i]) &&
					memcmp(v.val.string.val, part_names[i], v.val.string.len) == 0)
				{
					o->item = i;
					item = true;
				}
		}
		else
			set_option(o, key.val.string.val, key.val.string.len, &v);
	}
	return item ? o : NULL;
}
