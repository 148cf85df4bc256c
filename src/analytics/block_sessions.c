/*
 * block_sessions.c
 *		Sessions of the journeys of a block, in all or customer by customer.
 */
#include "postgres.h"

#include "analytics/row_set.h"
#include "block/block.h"
#include "compat.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

/* A session ends where the next touchpoint is further away than so many units. */
static uint64
count_sessions(const BlockView *b, const JourneyView *v, uint64 gap)
{
	uint64 gaps;

	/* as of many short ones */
	if (v->times.span <= gap)
		return 1;
	if (!ef_count_gaps(&v->times, b->times + b->times_len, gap, &gaps))
		journey_corrupt("its times do not ascend up to the last one");
	return gaps + 1;
}

/* Units of time that are no gap as yet, by unit. */
static void
gap_units(const Interval *gap, uint64 *gaps)
{
	uint64 usecs = fixed_usecs(gap, "gap between sessions");

	for (int unit = 0; unit < JOURNEY_UNITS; unit++)
		gaps[unit] = usecs / journey_unit_usecs[unit];
}

/* Sessions of the next journey; false at the end. */
static pg_attribute_always_inline bool
next_sessions(BlockCursor *c, const uint64 *gaps, uint64 *sessions)
{
	JourneyView v;

	CHECK_FOR_INTERRUPTS();
	if (!block_next(c))
		return false;
	*sessions = c->n;
	if (c->n > 1)
	{
		block_times(c, &v);
		*sessions = count_sessions(c->block, &v, gaps[v.flags]);
	}
	return true;
}

PG_FUNCTION_INFO_V1(journey_block_sessions);
Datum
journey_block_sessions(PG_FUNCTION_ARGS)
{
	uint64 gaps[JOURNEY_UNITS];
	uint64 sum = 0;
	uint64 sessions;
	BlockArg arg;

	gap_units(PG_GETARG_INTERVAL_P(1), gaps);
	block_arg_open(&arg, PG_GETARG_DATUM(0), BLOCK_TIMES);
	while (next_sessions(&arg.cursor, gaps, &sessions))
		sum += sessions;
	block_arg_close(&arg);
	PG_RETURN_INT64(sum);
}

PG_FUNCTION_INFO_V1(journey_block_sessions_each);
Datum
journey_block_sessions_each(PG_FUNCTION_ARGS)
{
	uint64 gaps[JOURNEY_UNITS];
	uint64 sessions;
	BlockArg arg;
	ArrayType *result;
	int64 *numbers;

	gap_units(PG_GETARG_INTERVAL_P(1), gaps);
	block_arg_open(&arg, PG_GETARG_DATUM(0), BLOCK_TIMES);
	result = block_array(&arg.view, &numbers);
	while (next_sessions(&arg.cursor, gaps, &sessions))
		*numbers++ = sessions;
	block_arg_close(&arg);
	PG_RETURN_ARRAYTYPE_P(result);
}

/* The journeys of a block one by one. */
typedef struct SummarySet
{
	RowSet rows;
	BlockArg arg;
	uint64 gaps[JOURNEY_UNITS];
} SummarySet;

static bool
next_summary(void *arg, Datum *values, bool *nulls)
{
	SummarySet *set = arg;
	BlockCursor *c = &set->arg.cursor;
	JourneyView v;

	CHECK_FOR_INTERRUPTS();
	if (!block_next(c))
		return false;
	values[0] = Int64GetDatum(block_customer(c));
	values[1] = Int64GetDatum(c->n);
	if (c->n == 0)
	{
		values[2] = Int64GetDatum(0);
		nulls[3] = nulls[4] = true;
		return true;
	}
	block_times(c, &v);
	values[2] = Int64GetDatum(count_sessions(c->block, &v, set->gaps[v.flags]));
	values[3] = TimestampTzGetDatum(v.first);
	values[4] = TimestampTzGetDatum(v.last);
	return true;
}

PG_FUNCTION_INFO_V1(journey_block_summary);
Datum
journey_block_summary(PG_FUNCTION_ARGS)
{
	SummarySet *set = row_set(fcinfo, sizeof(SummarySet));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);
		Datum block = PG_GETARG_DATUM(0);

		gap_units(PG_GETARG_INTERVAL_P(1), set->gaps);
		/* it must last as long as the set does, which what is fetched here will */
		if (!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(block)))
			block = PointerGetDatum(PG_DETOAST_DATUM_COPY(block));
		block_arg_open(&set->arg, block, BLOCK_TIMES);
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, next_summary);
}
