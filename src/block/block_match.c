/*
 * block_match.c
 *		Patterns over the journeys of a block: SQL face.
 *
 * The matcher does the matching, as with journeys of their own, of those that are candidates
 * by their labels.
 */
#include "postgres.h"

#include "block/block_candidates.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "utils/array.h"

/* What a call site keeps. */
typedef struct BlockMatch
{
	CompiledPattern *pattern;
	BlockCandidates candidates;
} BlockMatch;

/* The candidates of a call's arguments: for a match, or for an item of it. */
static BlockMatch *
block_match(FunctionCallInfo fcinfo, bool whole)
{
	BlockMatch *b = fcinfo->flinfo->fn_extra;

	if (b == NULL)
		fcinfo->flinfo->fn_extra = b =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(BlockMatch));
	pattern_argument(&b->pattern, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(1));
	block_candidates_open(&b->candidates, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(0), b->pattern,
						  whole, BLOCK_TIMES);
	return b;
}

PG_FUNCTION_INFO_V1(journey_block_match);
Datum
journey_block_match(PG_FUNCTION_ARGS)
{
	BlockCandidates *b = &block_match(fcinfo, true)->candidates;
	Datum *customers = NULL;
	int n = 0;
	int max = 0;

	while (block_candidates_next(b))
	{
		bool sure;

		if (!matcher_may_exist(b->matcher, &sure))
			continue;
		if (!sure)
		{
			block_candidates_read_on(b);
			if (!matcher_exists(b->matcher))
				continue;
		}
		reserve(customers, n, max);
		customers[n++] = Int64GetDatum(block_customer(&b->arg.cursor));
	}
	PG_RETURN_ARRAYTYPE_P(
		construct_array(customers, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(journey_block_count);
Datum
journey_block_count(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	BlockCandidates *b;

	InitMaterializedSRF(fcinfo, 0);
	b = &block_match(fcinfo, true)->candidates;
	while (block_candidates_next(b))
	{
		int64 count;
		Datum values[2];
		bool nulls[2] = {false};
		bool sure;

		if (!matcher_may_exist(b->matcher, &sure))
			continue;
		if (!sure)
			block_candidates_read_on(b);
		count = matcher_count(b->matcher);
		if (count == 0)
			continue;
		values[0] = Int64GetDatum(block_customer(&b->arg.cursor));
		values[1] = Int64GetDatum(count);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(journey_block_reached);
Datum
journey_block_reached(PG_FUNCTION_ARGS)
{
	BlockMatch *match = block_match(fcinfo, false);
	BlockCandidates *b = &match->candidates;
	int items = match->pattern->program->nitems;
	int64 *reached = palloc0((items + 1) * sizeof(int64)); /* so many items and no more */
	Datum *counts = palloc(items * sizeof(Datum));
	int64 sum = 0;

	while (block_candidates_next(b))
	{
		bool sure;
		int item = matcher_may_reach(b->matcher, &sure);

		if (!sure)
		{
			block_candidates_read_on(b);
			item = matcher_progress(b->matcher, NULL, false);
		}
		reached[item]++;
	}
	reached[b->alone_item] += b->alone;
	for (int item = items; item > 0; item--)
	{
		sum += reached[item];
		counts[item - 1] = Int64GetDatum(sum);
	}
	PG_RETURN_ARRAYTYPE_P(
		construct_array(counts, items, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
