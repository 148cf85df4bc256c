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
	LabelDict *dict;
	LabelCount *counts; /* by number in the dictionary */
	uint32 max;
} LabelCounts;

/* What a value has of a label, by its number there. */
typedef struct LabelTally
{
	LabelCount count;
	uint64 journey; /* the last one that has it, from 1 */
} LabelTally;

static LabelCounts *
state_argument(FunctionCallInfo fcinfo)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_label_agg");
	LabelCounts *s;

	if (!PG_ARGISNULL(0))
		return (LabelCounts *) PG_GETARG_POINTER(0);
	s = MemoryContextAllocZero(cxt, sizeof(LabelCounts));
	s->cxt = cxt;
	s->dict = label_dict_create(cxt);
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

/* Count the touchpoints [from, to), which are those of a journey. */
static void
tally_journey(const JourneyView *v, uint32 from, uint32 to, uint64 journey, LabelTally *tally)
{
	for (uint32 i = from; i < to; i++)
	{
		LabelTally *t = &tally[journey_label_at(v, i)];

		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		t->count.touchpoints++;
		t->count.customers += t->journey != journey;
		t->journey = journey;
	}
}

/* Add what was counted by the numbers of a dictionary, which is that of v. */
static void
add_tally(LabelCounts *s, const JourneyView *v, const LabelTally *tally)
{
	uint32 *numbers = journey_intern_labels(v, s->dict);

	for (uint32 label = 0; label < v->nlabels; label++)
	{
		LabelCount *count = count_of(s, numbers[label]);

		count->touchpoints += tally[label].count.touchpoints;
		count->customers += tally[label].count.customers;
	}
	pfree(numbers);
}

static LabelTally *
make_tally(const JourneyView *v)
{
	/* a false number of labels must ask for nothing huge */
	dictionary_check_count(v);
	return palloc_extended(Max(v->nlabels, 1) * sizeof(LabelTally),
						   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

PG_FUNCTION_INFO_V1(journey_label_agg_transfn);
Datum
journey_label_agg_transfn(PG_FUNCTION_ARGS)
{
	LabelCounts *s;
	LabelTally *tally;
	JourneyArg arg;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo);
	journey_arg_open(&arg, PG_GETARG_DATUM(1));
	tally = make_tally(&arg.view);
	tally_journey(&arg.view, 0, arg.view.n, 1, tally);
	add_tally(s, &arg.view, tally);
	pfree(tally);
	journey_arg_close(&arg);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_label_agg_block_transfn);
Datum
journey_label_agg_block_transfn(PG_FUNCTION_ARGS)
{
	LabelCounts *s;
	LabelTally *tally;
	BlockArg arg;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo);
	block_arg_open(&arg, PG_GETARG_DATUM(1), BLOCK_LABELS);
	tally = make_tally(&arg.view.shared);
	while (block_next(&arg.cursor))
		tally_journey(&arg.view.shared, arg.cursor.first, arg.cursor.first + arg.cursor.n,
					  arg.cursor.i, tally);
	add_tally(s, &arg.view.shared, tally);
	pfree(tally);
	block_arg_close(&arg);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_label_agg_combinefn);
Datum
journey_label_agg_combinefn(PG_FUNCTION_ARGS)
{
	LabelCounts *s;
	const LabelCounts *other;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo);
	other = (const LabelCounts *) PG_GETARG_POINTER(1);
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
	MemoryContext cxt = aggregate_context(fcinfo, "journey_label_agg");
	LabelCounts *s = MemoryContextAllocZero(cxt, sizeof(LabelCounts));
	StringInfoData in;
	uint32 n;

	s->cxt = cxt;
	s->dict = label_dict_create(cxt);
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
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
		values[0] = PointerGetDatum(cstring_to_text_with_len(label->channel, label->channel_len));
		values[1] = PointerGetDatum(cstring_to_text_with_len(label->action, label->action_len));
		nulls[2] = label->detail_len == 0;
		values[2] = nulls[2] ? (Datum) 0
							 : PointerGetDatum(
								   cstring_to_text_with_len(label->detail, label->detail_len));
		values[3] = Int64GetDatum(count->touchpoints);
		values[4] = Int64GetDatum(count->customers);
		rows[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, n, type, -1, false, TYPALIGN_DOUBLE));
}
