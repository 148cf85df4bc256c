/*
 * block_sessions.c
 *		How many sessions the journeys of a block have.
 */
#include "postgres.h"

#include "block/block.h"
#include "compat.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#define OFFSETS 128

/* A session ends where the next touchpoint is further away than so many units. */
static uint64
count_sessions(const JourneyView *v, uint64 gap)
{
	uint64 offsets[OFFSETS];
	uint64 before = 0;
	uint64 sessions = 1;
	bool wrong = false;
	EliasFanoCursor c;

	if (v->times.span <= gap)
		return 1;
	ef_start(&v->times, &c);
	for (uint32 i = 0; i < v->n; i += OFFSETS)
	{
		uint32 n = Min(OFFSETS, v->n - i);

		CHECK_FOR_INTERRUPTS();
		ef_read(&v->times, &c, offsets, n);
		for (uint32 k = 0; k < n; k++)
		{
			sessions += offsets[k] - before > gap;
			wrong |= offsets[k] > v->times.span;
			before = offsets[k];
		}
	}
	if (unlikely(wrong))
		journey_corrupt("a time lies behind the last one");
	return sessions;
}

PG_FUNCTION_INFO_V1(journey_block_sessions);
Datum
journey_block_sessions(PG_FUNCTION_ARGS)
{
	uint64 gap = fixed_usecs(PG_GETARG_INTERVAL_P(1), "gap between sessions");
	uint64 gaps[JOURNEY_UNITS];
	uint64 sessions = 0;
	BlockArg arg;
	JourneyView v;

	for (int unit = 0; unit < JOURNEY_UNITS; unit++)
		gaps[unit] = gap / journey_unit_usecs[unit];
	block_arg_open(&arg, PG_GETARG_DATUM(0), BLOCK_TIMES);
	while (block_next(&arg.cursor))
	{
		CHECK_FOR_INTERRUPTS();
		if (arg.cursor.n == 0)
			continue;
		block_journey(&arg.cursor, &v);
		sessions += count_sessions(&v, gaps[v.flags & JOURNEY_UNIT_MASK]);
	}
	block_arg_close(&arg);
	PG_RETURN_INT64(sessions);
}
