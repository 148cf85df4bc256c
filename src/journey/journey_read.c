/*
 * journey_read.c
 *		Functions that read a journey.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "utils/fmgrprotos.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(journey_length);
Datum
journey_length(PG_FUNCTION_ARGS)
{
	JourneyArg arg;

	journey_arg_open_head(&arg, PG_GETARG_DATUM(0), false);
	PG_RETURN_INT32(arg.view.n);
}

PG_FUNCTION_INFO_V1(journey_start);
Datum
journey_start(PG_FUNCTION_ARGS)
{
	JourneyArg arg;

	journey_arg_open_head(&arg, PG_GETARG_DATUM(0), false);
	if (arg.view.n == 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(arg.view.first);
}

PG_FUNCTION_INFO_V1(journey_end);
Datum
journey_end(PG_FUNCTION_ARGS)
{
	JourneyArg arg;

	journey_arg_open_head(&arg, PG_GETARG_DATUM(0), false);
	if (arg.view.n == 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(arg.view.last);
}

LabelPart
label_part_argument(Datum d)
{
	char *name = TextDatumGetCString(d);

	if (strcmp(name, "label") == 0)
		return PART_LABEL;
	if (strcmp(name, "channel") == 0)
		return PART_CHANNEL;
	if (strcmp(name, "action") == 0)
		return PART_ACTION;
	if (strcmp(name, "detail") == 0)
		return PART_DETAIL;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown part of a label: \"%s\"", name),
					errhint("Use \"label\", \"channel\", \"action\" or \"detail\".")));
}

void
label_text_print(StringInfo out, const TouchLabel *label, LabelPart part)
{
	switch (part)
	{
		case PART_CHANNEL:
			appendBinaryStringInfo(out, label->channel, label->channel_len);
			break;
		case PART_ACTION:
			appendBinaryStringInfo(out, label->action, label->action_len);
			break;
		case PART_DETAIL:
			appendBinaryStringInfo(out, label->detail, label->detail_len);
			break;
		default:
			touch_label_print(out, label);
	}
}

uint32
label_part_number(LabelDict *dict, uint32 number, LabelPart part)
{
	const LabelInfo *info = &dict->labels[number];
	TouchLabel none = {.channel = "", .action = "", .detail = ""};

	switch (part)
	{
		case PART_CHANNEL:
			return info->channel;
		case PART_ACTION:
			return info->action;
		case PART_DETAIL:
			return info->text.detail_len > 0 ? info->detail : label_dict_add(dict, &none);
		default:
			return number;
	}
}

Datum *
label_texts(const JourneyView *v, LabelPart part)
{
	TouchLabel *labels = journey_dictionary(v);
	Datum *texts = palloc_extended(Max(v->nlabels, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	StringInfoData out;

	initStringInfo(&out);
	for (uint32 i = 0; i < v->nlabels; i++)
	{
		const TouchLabel *label = &labels[i];

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		resetStringInfo(&out);
		label_text_print(&out, label, part);
		texts[i] = part == PART_DETAIL && out.len == 0
					   ? 0
					   : PointerGetDatum(cstring_to_text_with_len(out.data, out.len));
	}
	pfree(labels);
	return texts;
}

int
label_text_cmp(Datum a, Datum b)
{
	if (a == 0 || b == 0)
		return (a != 0) - (b != 0);
	return label_bytes_cmp(VARDATA(DatumGetPointer(a)), VARSIZE(DatumGetPointer(a)) - VARHDRSZ,
						   VARDATA(DatumGetPointer(b)), VARSIZE(DatumGetPointer(b)) - VARHDRSZ);
}

#define ST_SORT sort_texts
#define ST_ELEMENT_TYPE Datum
#define ST_COMPARE(a, b) label_text_cmp(*(a), *(b))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Texts as an array; 0 is NULL. */
static Datum
text_array(Datum *texts, uint64 n)
{
	bool *nulls = palloc_extended(Max(n, 1) * sizeof(bool), MCXT_ALLOC_HUGE);
	int dims = (int) n;
	int lower = 1;

	if (n > MaxAllocSize / sizeof(Datum))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("journey is too long for an array"),
						errdetail("It has " UINT64_FORMAT " elements.", n)));
	for (uint64 i = 0; i < n; i++)
		nulls[i] = texts[i] == 0;
	return PointerGetDatum(construct_md_array(texts, nulls, n > 0 ? 1 : 0, &dims, &lower, TEXTOID,
											  -1, false, TYPALIGN_INT));
}

/* The distinct texts of a journey's labels, sorted. */
static Datum
distinct_texts(FunctionCallInfo fcinfo, LabelPart part)
{
	JourneyArg arg;
	Datum *texts;
	uint32 n = 0;

	journey_arg_open_head(&arg, PG_GETARG_DATUM(0), true);
	texts = label_texts(&arg.view, part);
	/* labels stand in order of their parts, not of their printed text */
	if (part != PART_CHANNEL)
		sort_texts(texts, arg.view.nlabels);
	for (uint32 i = 0; i < arg.view.nlabels; i++)
		if (texts[i] != 0 && (n == 0 || label_text_cmp(texts[n - 1], texts[i]) != 0))
			texts[n++] = texts[i];
	return text_array(texts, n);
}

PG_FUNCTION_INFO_V1(journey_channels);
Datum
journey_channels(PG_FUNCTION_ARGS)
{
	return distinct_texts(fcinfo, PART_CHANNEL);
}

PG_FUNCTION_INFO_V1(journey_actions);
Datum
journey_actions(PG_FUNCTION_ARGS)
{
	return distinct_texts(fcinfo, PART_ACTION);
}

PG_FUNCTION_INFO_V1(journey_details);
Datum
journey_details(PG_FUNCTION_ARGS)
{
	return distinct_texts(fcinfo, PART_DETAIL);
}

PG_FUNCTION_INFO_V1(journey_labels);
Datum
journey_labels(PG_FUNCTION_ARGS)
{
	return distinct_texts(fcinfo, PART_LABEL);
}

PG_FUNCTION_INFO_V1(journey_path);
Datum
journey_path(PG_FUNCTION_ARGS)
{
	LabelPart part = label_part_argument(PG_GETARG_DATUM(1));
	bool collapse = PG_GETARG_BOOL(2);
	JourneyArg arg;
	Datum *texts;
	Datum *path;
	uint32 n = 0;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	texts = label_texts(&arg.view, part);
	path = palloc_extended(Max(arg.view.n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < arg.view.n; i++)
	{
		Datum t;

		if (i % BUILDER_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		t = texts[journey_label_at(&arg.view, i)];

		if (collapse && n > 0 && (path[n - 1] == t || label_text_cmp(path[n - 1], t) == 0))
			continue;
		path[n++] = t;
	}
	CHECK_FOR_INTERRUPTS();
	return text_array(path, n);
}

/*
 * Sum of the values. Whole parts and fractions are added apart, so both stay
 * exact in an int64; whole parts move to a numeric before they overflow.
 */
PG_FUNCTION_INFO_V1(journey_value);
Datum
journey_value(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	const JourneyView *v = &arg.view;
	Datum total = Int64GetDatum(0);
	bool moved = false;
	int64 whole = 0;
	int64 fraction = 0; /* in units of 10^-18 */
	const int64 one = decimal_power[DECIMAL_DIGITS_MAX];
	uint32 count = 0;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	if (!(v->flags & JOURNEY_VALUES))
		PG_RETURN_NULL();
	for (const uint8 *p = v->values; p < v->values_end; count++)
	{
		Decimal d;
		int64 add;
		int64 sum;

		if (count % BUILDER_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		p = journey_read_value(v, p, &d);
		fraction +=
			d.mantissa % decimal_power[d.scale] * decimal_power[DECIMAL_DIGITS_MAX - d.scale];
		add = d.mantissa / decimal_power[d.scale] + fraction / one;
		fraction %= one;
		if (pg_add_s64_overflow(whole, add, &sum))
		{
			Datum part = NumericGetDatum(int64_to_numeric(whole));

			total = moved ? DirectFunctionCall2(numeric_add, total, part) : part;
			moved = true;
			sum = add;
		}
		whole = sum;
	}

	if (moved)
		total = DirectFunctionCall2(numeric_add, total, NumericGetDatum(int64_to_numeric(whole)));
	else
		total = NumericGetDatum(int64_to_numeric(whole));
	if (fraction != 0)
	{
		Decimal d = {fraction, DECIMAL_DIGITS_MAX};

		decimal_normalise(&d);
		total = DirectFunctionCall2(numeric_add, total, decimal_to_numeric(d));
	}
	PG_RETURN_DATUM(DirectFunctionCall1(numeric_trim_scale, total));
}

PG_FUNCTION_INFO_V1(journey_nth);
Datum
journey_nth(PG_FUNCTION_ARGS)
{
	int64 n = PG_GETARG_INT32(1);
	JourneyArg arg;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	if (n < 0)
		n += (int64) arg.view.n + 1;
	if (n < 1 || n > arg.view.n)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(journey_cut(call_label_dict(fcinfo), &arg.view, n - 1, n));
}

/* What the set-returning functions keep from call to call. */
typedef struct Walk
{
	JourneyArg arg;
	JourneyCursor cursor;
	LabelDict *dict; /* of unnest */
	uint32 *numbers;
	TouchLabel *labels; /* of journey_steps */
	int64 before;
} Walk;

/* First call: open the argument in the memory of all calls. */
static Walk *
walk_start(FunctionCallInfo fcinfo, FuncCallContext *srf)
{
	Walk *w = palloc0(sizeof(Walk));

	journey_arg_open(&w->arg, PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0))));
	journey_start_at(&w->arg.view, &w->cursor, 0);
	srf->user_fctx = w;
	return w;
}

PG_FUNCTION_INFO_V1(journey_unnest);
Datum
journey_unnest(PG_FUNCTION_ARGS)
{
	FuncCallContext *srf;
	Walk *w;
	Touch t;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		srf = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(srf->multi_call_memory_ctx);
		w = walk_start(fcinfo, srf);
		w->dict = label_dict_create(srf->multi_call_memory_ctx);
		w->numbers = journey_intern_labels(&w->arg.view, w->dict);
		MemoryContextSwitchTo(old);
	}
	srf = SRF_PERCALL_SETUP();
	w = srf->user_fctx;
	if (!journey_next(&w->cursor, &t))
		SRF_RETURN_DONE(srf);
	t.label = w->numbers[t.label];
	SRF_RETURN_NEXT(srf, touch_pack(w->dict, &t));
}

PG_FUNCTION_INFO_V1(journey_steps);
Datum
journey_steps(PG_FUNCTION_ARGS)
{
	FuncCallContext *srf;
	Walk *w;
	Touch t;
	const TouchLabel *label;
	Datum values[8];
	bool nulls[8] = {0};

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		TupleDesc desc;

		srf = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(srf->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		srf->tuple_desc = BlessTupleDesc(desc);
		w = walk_start(fcinfo, srf);
		w->labels = journey_dictionary(&w->arg.view);
		MemoryContextSwitchTo(old);
	}
	srf = SRF_PERCALL_SETUP();
	w = srf->user_fctx;
	if (!journey_next(&w->cursor, &t))
		SRF_RETURN_DONE(srf);

	values[0] = Int32GetDatum(w->cursor.i);
	values[1] = TimestampTzGetDatum(t.time);
	label = &w->labels[t.label];
	values[2] = PointerGetDatum(cstring_to_text_with_len(label->channel, label->channel_len));
	values[3] = PointerGetDatum(cstring_to_text_with_len(label->action, label->action_len));
	if (label->detail_len > 0)
		values[4] = PointerGetDatum(cstring_to_text_with_len(label->detail, label->detail_len));
	else
		nulls[4] = true;
	if (t.has_value)
		values[5] = decimal_to_numeric(t.value);
	else
		nulls[5] = true;
	if (t.has_ref)
		values[6] = Int64GetDatum(t.ref);
	else
		nulls[6] = true;
	if (w->cursor.i > 1)
		values[7] = DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(t.time),
										TimestampTzGetDatum(w->before));
	else
		nulls[7] = true;
	w->before = t.time;
	SRF_RETURN_NEXT(srf, HeapTupleGetDatum(heap_form_tuple(srf->tuple_desc, values, nulls)));
}
