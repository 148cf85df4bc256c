/*
 * label_counts.c
 *		The aggregate journey_label_agg: which labels there are, how often and by how many.
 *
 * A journey's or block's labels are numbers: they are counted by number, in one pass over
 * their bytes, and its dictionary is looked up once, for what was counted.
 */
#include "postgres.h"

#include "block/block.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "access/htup_details.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#define LABEL_COUNT_COLUMNS 5

/* What is counted of a label. */
typedef struct LabelCount
{
	int64 touchpoints;
	int64 customers;
} LabelCount;

typedef struct LabelCounts
{
	MemoryContext cxt; /* of the aggregate */
	LabelPart part;    /* what is counted: labels, or one of their parts */
	LabelDict *dict;
	LabelCount *counts; /* by number in the dictionary, of the label or the part */
	uint32 max;
} LabelCounts;

/* What a value has of a label or part of one, by its place among those that it has. */
typedef struct LabelTally
{
	LabelCount count;
	uint64 journey; /* the last one that has it, from 1 */
} LabelTally;

/* The labels of a value, and what is counted of them. */
typedef struct Tally
{
	LabelCounts *state;
	uint32 *numbers; /* of what is counted, by place */
	uint32 *places;  /* of each label; NULL: they are labels */
	LabelTally *of;
} Tally;

static const char *const part_names[] = {[PART_CHANNEL] = "channel",
										 [PART_ACTION] = "action",
										 [PART_DETAIL] = "detail",
										 [PART_LABEL] = "label"};

static LabelCounts *
create_state(MemoryContext cxt, LabelPart part)
{
	LabelCounts *s = MemoryContextAllocZero(cxt, sizeof(LabelCounts));

	s->cxt = cxt;
	s->part = part;
	s->dict = label_dict_create(cxt);
	return s;
}

/* The states of a group must be of one part. */
static void
same_part(const LabelCounts *s, LabelPart part)
{
	if (unlikely(s->part != part))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("journey_label_agg needs the same part for all rows of a group"),
				 errdetail("Found \"%s\" and \"%s\".", part_names[s->part], part_names[part]),
				 errhint("Group by the part.")));
}

/* The state; NULL if this row counts for nothing. */
static LabelCounts *
state_argument(FunctionCallInfo fcinfo)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_label_agg");
	LabelPart part = PART_LABEL;
	LabelCounts *s;

	if (PG_ARGISNULL(1))
		return NULL;
	if (PG_NARGS() > 2)
	{
		if (PG_ARGISNULL(2))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("part of journey_label_agg must not be null")));
		part = label_part_argument(PG_GETARG_DATUM(2));
	}
	if (PG_ARGISNULL(0))
		return create_state(cxt, part);
	s = (LabelCounts *) PG_GETARG_POINTER(0);
	same_part(s, part);
	return s;
}

/* The counts of a label by its number in the dictionary. */
static LabelCount *
count_of(LabelCounts *s, uint32 number)
{
	if (unlikely(number >= s->max))
	{
		size_t max = Max(64, pg_nextpower2_size_t((size_t) number + 1));
		LabelCount *grown = MemoryContextAllocExtended(s->cxt, max * sizeof(LabelCount),
													   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

		if (s->counts)
		{
			memcpy(grown, s->counts, s->max * sizeof(LabelCount));
			pfree(s->counts);
		}
		s->counts = grown;
		s->max = max;
	}
	return &s->counts[number];
}

/* Number of what is counted of a label. */
static uint32
counted_part(LabelDict *dict, uint32 number, LabelPart part)
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

/* Begin with a value whose labels are those of v. */
static void
tally_start(Tally *t, LabelCounts *s, const JourneyView *v)
{
	uint32 n = 0;

	/* a false number of labels must ask for nothing huge */
	dictionary_check_count(v);
	t->state = s;
	t->numbers = journey_intern_labels(v, s->dict);
	t->places = NULL;
	t->of =
		palloc_extended(Max(v->nlabels, 1) * sizeof(LabelTally), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (s->part == PART_LABEL)
		return;
	t->places = palloc_extended(Max(v->nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	label_dict_new_stamp(s->dict);
	for (uint32 label = 0; label < v->nlabels; label++)
	{
		uint32 number = counted_part(s->dict, t->numbers[label], s->part);
		LabelMark *mark = &s->dict->marks[number];

		if (mark->stamp != s->dict->stamp)
		{
			mark->stamp = s->dict->stamp;
			mark->code = n++;
		}
		t->places[label] = mark->code;
		t->numbers[mark->code] = number; /* no label behind this one has been looked at */
	}
}

static void
tally_end(Tally *t, const JourneyView *v)
{
	for (uint32 place = 0; place < v->nlabels; place++)
	{
		LabelCount *count;

		if (t->of[place].count.touchpoints == 0)
			continue;
		count = count_of(t->state, t->numbers[place]);
		count->touchpoints += t->of[place].count.touchpoints;
		count->customers += t->of[place].count.customers;
	}
	pfree(t->numbers);
	pfree(t->of);
	if (t->places)
		pfree(t->places);
}

/* Count the touchpoints [from, to), which are those of a journey. */
static void
tally_journey(const Tally *t, const JourneyView *v, uint32 from, uint32 to, uint64 journey)
{
	for (uint32 i = from; i < to; i++)
	{
		uint32 label = journey_label_at(v, i);
		LabelTally *of = &t->of[t->places ? t->places[label] : label];

		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		of->count.touchpoints++;
		of->count.customers += of->journey != journey;
		of->journey = journey;
	}
}

PG_FUNCTION_INFO_V1(journey_label_agg_transfn);
Datum
journey_label_agg_transfn(PG_FUNCTION_ARGS)
{
	LabelCounts *s = state_argument(fcinfo);
	JourneyArg arg;
	Tally t;

	if (s == NULL)
		return unchanged_state(fcinfo);
	journey_arg_open(&arg, PG_GETARG_DATUM(1));
	tally_start(&t, s, &arg.view);
	tally_journey(&t, &arg.view, 0, arg.view.n, 1);
	tally_end(&t, &arg.view);
	journey_arg_close(&arg);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_label_agg_block_transfn);
Datum
journey_label_agg_block_transfn(PG_FUNCTION_ARGS)
{
	LabelCounts *s = state_argument(fcinfo);
	BlockArg arg;
	const BlockCursor *c = &arg.cursor;
	const JourneyView *shared = &arg.view.shared;
	Tally t;

	if (s == NULL)
		return unchanged_state(fcinfo);
	block_arg_open(&arg, PG_GETARG_DATUM(1), BLOCK_LABELS);
	tally_start(&t, s, shared);
	while (block_next(&arg.cursor))
	{
		if (unlikely(c->i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS(); /* journeys may be empty */
		tally_journey(&t, shared, c->first, c->first + c->n, c->i);
	}
	tally_end(&t, shared);
	block_arg_close(&arg);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_label_agg_combinefn);
Datum
journey_label_agg_combinefn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_label_agg");
	LabelCounts *s;
	const LabelCounts *other;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = (const LabelCounts *) PG_GETARG_POINTER(1);
	s = PG_ARGISNULL(0) ? create_state(cxt, other->part) : (LabelCounts *) PG_GETARG_POINTER(0);
	same_part(s, other->part);
	for (uint32 i = 0; i < Min(other->max, other->dict->nlabels); i++)
	{
		LabelCount *count;

		if (other->counts[i].touchpoints == 0)
			continue;
		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		count = count_of(s, label_dict_add(s->dict, &other->dict->labels[i].text));
		count->touchpoints += other->counts[i].touchpoints;
		count->customers += other->counts[i].customers;
	}
	PG_RETURN_POINTER(s);
}

/* The labels that were counted, in their order, into dict->used; how many. */
static uint32
counted_labels(LabelCounts *s)
{
	LabelDict *dict = s->dict;
	uint32 n = 0;

	for (uint32 i = 0; i < Min(s->max, dict->nlabels); i++)
		if (s->counts[i].touchpoints > 0)
			dict->used[n++] = i;
	label_dict_sort_used(dict, n);
	return n;
}

static void
send_text(StringInfo out, const char *p, size_t len)
{
	pq_sendint8(out, len);
	pq_sendbytes(out, p, len);
}

PG_FUNCTION_INFO_V1(journey_label_agg_serialfn);
Datum
journey_label_agg_serialfn(PG_FUNCTION_ARGS)
{
	LabelCounts *s = (LabelCounts *) PG_GETARG_POINTER(0);
	StringInfoData out;
	uint32 n;

	aggregate_context(fcinfo, "journey_label_agg");
	n = counted_labels(s);
	pq_begintypsend(&out);
	pq_sendint8(&out, s->part);
	pq_sendint32(&out, n);
	for (uint32 i = 0; i < n; i++)
	{
		const TouchLabel *label = &s->dict->labels[s->dict->used[i]].text;
		const LabelCount *count = &s->counts[s->dict->used[i]];

		send_text(&out, label->channel, label->channel_len);
		send_text(&out, label->action, label->action_len);
		send_text(&out, label->detail, label->detail_len);
		pq_sendint64(&out, count->touchpoints);
		pq_sendint64(&out, count->customers);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

static const char *
receive_text(StringInfo in, uint8 *len)
{
	*len = pq_getmsgbyte(in);
	return pq_getmsgbytes(in, *len);
}

PG_FUNCTION_INFO_V1(journey_label_agg_deserialfn);
Datum
journey_label_agg_deserialfn(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData in;
	LabelCounts *s;
	uint32 n;

	aggregate_context(fcinfo, "journey_label_agg");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	/* it lasts until it has been combined: in the aggregate's context all of them would pile up */
	s = create_state(CurrentMemoryContext, pq_getmsgbyte(&in));
	for (n = pq_getmsgint(&in, 4); n > 0; n--)
	{
		TouchLabel label;
		LabelCount *count;

		label.channel = receive_text(&in, &label.channel_len);
		label.action = receive_text(&in, &label.action_len);
		label.detail = receive_text(&in, &label.detail_len);
		count = count_of(s, label_dict_add(s->dict, &label));
		count->touchpoints += pq_getmsgint64(&in);
		count->customers += pq_getmsgint64(&in);
	}
	pq_getmsgend(&in);
	pfree(in.data);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_label_agg_finalfn);
Datum
journey_label_agg_finalfn(PG_FUNCTION_ARGS)
{
	Oid type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	LabelCounts *s;
	TupleDesc desc;
	Datum *rows;
	uint32 n;

	aggregate_context(fcinfo, "journey_label_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	s = (LabelCounts *) PG_GETARG_POINTER(0);
	desc = lookup_rowtype_tupdesc(type, -1);
	if (desc->natts != LABEL_COUNT_COLUMNS)
		elog(ERROR, "type label_count has %d columns", desc->natts);
	n = counted_labels(s);
	rows = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < n; i++)
	{
		const TouchLabel *label = &s->dict->labels[s->dict->used[i]].text;
		const LabelCount *count = &s->counts[s->dict->used[i]];
		Datum values[LABEL_COUNT_COLUMNS];
		bool nulls[LABEL_COUNT_COLUMNS] = {false};

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		nulls[0] = s->part == PART_ACTION || s->part == PART_DETAIL;
		nulls[1] = s->part == PART_CHANNEL || s->part == PART_DETAIL;
		nulls[2] = label->detail_len == 0;
		values[0] = PointerGetDatum(cstring_to_text_with_len(label->channel, label->channel_len));
		values[1] = PointerGetDatum(cstring_to_text_with_len(label->action, label->action_len));
		values[2] = PointerGetDatum(cstring_to_text_with_len(label->detail, label->detail_len));
		values[3] = Int64GetDatum(count->touchpoints);
		values[4] = Int64GetDatum(count->customers);
		rows[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, n, type, -1, false, TYPALIGN_DOUBLE));
}
