/*
 * length_counts.c
 *		The aggregate journey_length_agg: how many journeys have how many touchpoints.
 *
 * Of a block only its column of starts is read.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "block/block_build.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#define LENGTH_COUNT_COLUMNS 2

typedef struct LengthCount
{
	uint32 length;
	char status;
	int64 journeys;
} LengthCount;

#define SH_PREFIX lengths
#define SH_ELEMENT_TYPE LengthCount
#define SH_KEY_TYPE uint32
#define SH_KEY length
#define SH_HASH_KEY(tb, key) murmurhash32(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define ST_SORT sort_lengths
#define ST_ELEMENT_TYPE LengthCount
#define ST_COMPARE(a, b) ((a)->length < (b)->length ? -1 : (a)->length > (b)->length)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Journeys of a block that are shorter are counted without a table. */
#define SHORT_LENGTHS 512

static lengths_hash *
state_argument(FunctionCallInfo fcinfo, MemoryContext cxt)
{
	return PG_ARGISNULL(0) ? lengths_create(cxt, 8, NULL) : (lengths_hash *) PG_GETARG_POINTER(0);
}

static void
add_length(lengths_hash *s, uint32 length, int64 journeys)
{
	bool found;
	LengthCount *count = lengths_insert(s, length, &found);

	if (!found)
		count->journeys = 0;
	count->journeys += journeys;
}

PG_FUNCTION_INFO_V1(journey_length_agg_transfn);
Datum
journey_length_agg_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_length_agg");
	lengths_hash *s;
	JourneyArg arg;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo, cxt);
	journey_arg_open_head(&arg, PG_GETARG_DATUM(1), false);
	add_length(s, arg.view.n, 1);
	journey_arg_close(&arg);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_length_agg_block_transfn);
Datum
journey_length_agg_block_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_length_agg");
	uint32 few[SHORT_LENGTHS] = {0};
	lengths_hash *s;
	BlockArg arg;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	block_arg_open(&arg, PG_GETARG_DATUM(1), BLOCK_LENGTHS);
	if (arg.view.n == 0)
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo, cxt);
	while (block_next(&arg.cursor))
	{
		if (unlikely(arg.cursor.i % 0x10000 == 0))
			CHECK_FOR_INTERRUPTS();
		if (likely(arg.cursor.n < SHORT_LENGTHS))
			few[arg.cursor.n]++;
		else
			add_length(s, arg.cursor.n, 1);
	}
	for (uint32 length = 0; length < SHORT_LENGTHS; length++)
		if (few[length] > 0)
			add_length(s, length, few[length]);
	block_arg_close(&arg);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_length_agg_combinefn);
Datum
journey_length_agg_combinefn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_length_agg");
	lengths_iterator it;
	lengths_hash *other;
	lengths_hash *s;
	LengthCount *count;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = (lengths_hash *) PG_GETARG_POINTER(1);
	s = state_argument(fcinfo, cxt);
	lengths_start_iterate(other, &it);
	while ((count = lengths_iterate(other, &it)) != NULL)
		add_length(s, count->length, count->journeys);
	PG_RETURN_POINTER(s);
}

/* The counts of a state, in the order of lengths. */
static LengthCount *
ordered_lengths(lengths_hash *s)
{
	LengthCount *counts =
		palloc_extended(Max(s->members, 1) * sizeof(LengthCount), MCXT_ALLOC_HUGE);
	lengths_iterator it;
	LengthCount *count;
	uint32 n = 0;

	lengths_start_iterate(s, &it);
	while ((count = lengths_iterate(s, &it)) != NULL)
		counts[n++] = *count;
	sort_lengths(counts, n);
	return counts;
}

PG_FUNCTION_INFO_V1(journey_length_agg_serialfn);
Datum
journey_length_agg_serialfn(PG_FUNCTION_ARGS)
{
	lengths_hash *s = (lengths_hash *) PG_GETARG_POINTER(0);
	StringInfoData out;
	LengthCount *counts;

	aggregate_context(fcinfo, "journey_length_agg");
	counts = ordered_lengths(s);
	pq_begintypsend(&out);
	for (uint32 i = 0; i < s->members; i++)
	{
		pq_sendint32(&out, counts[i].length);
		pq_sendint64(&out, counts[i].journeys);
	}
	pfree(counts);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(journey_length_agg_deserialfn);
Datum
journey_length_agg_deserialfn(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData in;
	lengths_hash *s;

	aggregate_context(fcinfo, "journey_length_agg");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	/* it lasts until it has been combined: in the aggregate's context all of them would pile up */
	s = lengths_create(CurrentMemoryContext, 8, NULL);
	while (in.cursor < in.len)
	{
		uint32 length = pq_getmsgint(&in, 4);

		add_length(s, length, pq_getmsgint64(&in));
	}
	pfree(in.data);
	PG_RETURN_POINTER(s);
}

PG_FUNCTION_INFO_V1(journey_length_agg_finalfn);
Datum
journey_length_agg_finalfn(PG_FUNCTION_ARGS)
{
	Oid type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	lengths_hash *s;
	LengthCount *counts;
	TupleDesc desc;
	Datum *rows;

	aggregate_context(fcinfo, "journey_length_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	s = (lengths_hash *) PG_GETARG_POINTER(0);
	desc = lookup_rowtype_tupdesc(type, -1);
	if (desc->natts != LENGTH_COUNT_COLUMNS)
		elog(ERROR, "type length_count has %d columns", desc->natts);
	counts = ordered_lengths(s);
	rows = palloc_extended(Max(s->members, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < s->members; i++)
	{
		Datum values[LENGTH_COUNT_COLUMNS] = {Int64GetDatum(counts[i].length),
											  Int64GetDatum(counts[i].journeys)};
		bool nulls[LENGTH_COUNT_COLUMNS] = {false};

		CHECK_FOR_INTERRUPTS();
		rows[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, s->members, type, -1, false, TYPALIGN_DOUBLE));
}
