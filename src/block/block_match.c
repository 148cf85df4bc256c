/*
 * block_match.c
 *		Patterns over the journeys of a block.
 *
 * The matcher does the matching, as with journeys of their own. Before, the labels of all
 * touchpoints are looked at together (label_scan.c): a journey without a touchpoint that
 * each match needs is passed over. Of the others, the candidates, times and values are opened
 * where labels do not tell all; and only if there is such a journey are they fetched of a
 * block: a pattern that asks for something rare reads but the front of most blocks.
 */
#include "postgres.h"

#include "block/block.h"
#include "block/label_scan.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pattern/journey_pattern.h"
#include "pattern/match_marks.h"
#include "utils/array.h"
#include "utils/memutils.h"

#define JOURNEYS_INTERRUPT_EVERY 0x1000

/* Room for marks: more than this does not wait for the next block. */
#define MARKS_MIN 0x1000
#define MARKS_KEEP 0x400000

/* So many are looked for at a time. */
#define CANDIDATES 64

/* A journey of a block, as in BlockCursor. */
typedef struct Candidate
{
	uint32 i;
	uint32 first;
	uint32 n;
} Candidate;

/* What a call site keeps, and the block at hand. */
typedef struct BlockMatch
{
	MemoryContext cxt;
	CompiledPattern *pattern;
	Matcher *matcher;
	uint8 *marks; /* of each touchpoint of the block */
	size_t marks_max;
	bool read_on;     /* times or values of the last block were read: so may be those of the next one */

	Datum block;
	BlockArg arg;
	BlockPart opened;
	BlockPart needed;    /* if labels do not tell all */
	bool whole;          /* only whole matches count */
	JourneyView journey; /* the candidate at hand; its labels at first */
	MatchMarks wanted;
	bool possible;     /* there may be candidates */
	BlockCursor ahead; /* the search for them */
	int ncandidates;
	int taken;
	Candidate candidates[CANDIDATES];
	int64 alone; /* journeys passed over that have a start and nothing that may follow */
} BlockMatch;

/* Make room for the marks of n touchpoints. */
static void
reserve_marks(BlockMatch *b, size_t n)
{
	n = Max(n + MARKS_PADDING, MARKS_MIN);
	if (n <= b->marks_max && (b->marks_max <= MARKS_KEEP || n >= b->marks_max / 4))
		return;
	if (b->marks_max > 0)
	{
		b->marks_max = 0;
		pfree(b->marks);
	}
	b->marks = MemoryContextAllocHuge(b->cxt, n);
	b->marks_max = n;
}

/* Look at all labels; false if no journey can be a candidate. */
static bool
mark_touchpoints(BlockMatch *b)
{
	const JourneyView *shared = &b->arg.view.shared;
	uint8 *label_marks = palloc_extended(Max(shared->nlabels, 1), MCXT_ALLOC_HUGE);
	uint8 any = 0;
	bool possible;

	matcher_open(b->matcher, shared);
	possible = matcher_label_marks(b->matcher, label_marks);
	if (!b->whole)
	{
		for (uint32 label = 0; label < shared->nlabels; label++)
			any |= label_marks[label];
		possible = (any & b->wanted.start) != 0;
	}
	if (possible)
	{
		reserve_marks(b, b->arg.view.touchpoints);
		label_scan(shared, b->arg.view.touchpoints, label_marks, b->marks);
	}
	pfree(label_marks);
	return possible;
}

/* Turn to the arguments of a call. */
static BlockMatch *
block_match(FunctionCallInfo fcinfo, bool whole)
{
	BlockMatch *b = fcinfo->flinfo->fn_extra;

	if (b == NULL)
	{
		b = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(BlockMatch));
		b->cxt = fcinfo->flinfo->fn_mcxt;
		fcinfo->flinfo->fn_extra = b;
	}
	pattern_argument(&b->pattern, b->cxt, PG_GETARG_DATUM(1));
	b->matcher = pattern_matcher(b->pattern, &b->arg.view.shared);
	b->whole = whole;
	b->alone = 0;
	matcher_marks(b->matcher, &b->wanted);
	b->needed = matcher_reads_values(b->matcher) ? BLOCK_ALL : BLOCK_TIMES;
	b->block = PG_GETARG_DATUM(0);
	b->opened = b->read_on || !VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(b->block)) ? b->needed
																				  : BLOCK_LABELS;
	b->read_on = false;
	block_arg_open(&b->arg, b->block, b->opened);
	b->journey = b->arg.view.shared;
	b->possible = mark_touchpoints(b);
	b->ahead = b->arg.cursor;
	b->ncandidates = b->taken = 0;
	return b;
}

/*
 * Look for candidates among the journeys ahead, by their marks: whether there is a start, whether
 * what every match needs is with it or behind, and whether anything behind may follow it. Of
 * journeys that are short, as most are, without a branch that depends on them.
 */
static void
find_candidates(BlockMatch *b)
{
	BlockCursor *c = &b->ahead;
	const MatchMarks *wanted = &b->wanted;
	uint64 start_marks = wanted->start * MARKS_EACH;
	uint8 required = b->whole ? wanted->required : 0;
	bool single = b->whole ? b->pattern->program->least == 1 : wanted->alone < 0;
	int64 alone = 0;
	int n = 0;

	while (n < CANDIDATES && block_next(c))
	{
		const uint8 *marks = b->marks + c->first;
		bool has_start;
		uint8 all;
		uint8 behind;
		bool goes_on;

		if (likely(c->n <= 8))
		{
			uint64 here = load64(marks, 8, 0) & low_mask(8 * c->n);
			uint64 starts = here & start_marks;
			int at = pg_rightmost_one_pos64(starts | UINT64CONST(1) << 63) & ~7;

			here >>= at;
			has_start = starts != 0;
			behind = marks_fold(here >> 8);
			all = (uint8) here | behind;
		}
		else
		{
			uint32 start = marks_next(marks, 0, c->n, wanted->start);

			has_start = start < c->n;
			behind = has_start ? marks_union(marks + start + 1, c->n - start - 1) : 0;
			all = marks[start] | behind;
		}
		goes_on = single | ((behind & wanted->follow) != 0);
		b->candidates[n] = (Candidate) {c->i, c->first, c->n};
		n += has_start & goes_on & ((all & required) == required);
		alone += has_start & !goes_on;
		if (unlikely(c->i % JOURNEYS_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
	}
	b->ncandidates = n;
	b->taken = 0;
	b->alone += alone;
}

/* The next candidate, of which the matcher knows the labels; false if there is none. */
static bool
next_candidate(BlockMatch *b)
{
	const Candidate *candidate;
	BlockCursor *c = &b->arg.cursor;
	JourneyView *v = &b->journey;

	if (b->taken == b->ncandidates)
	{
		if (b->possible)
			find_candidates(b);
		if (b->taken == b->ncandidates)
		{
			block_arg_close(&b->arg);
			return false;
		}
	}
	candidate = &b->candidates[b->taken++];
	c->i = candidate->i;
	c->first = candidate->first;
	c->n = v->n = candidate->n;
	v->labels = b->arg.view.shared.labels + (size_t) c->first * v->label_width;
	matcher_open_marked(b->matcher, v, b->marks + c->first);
	return true;
}

/* Open the rest of the candidate at hand. */
static inline void
read_on(BlockMatch *b)
{
	b->read_on = true;
	if (unlikely(b->opened < b->needed))
	{
		BlockCursor at = b->arg.cursor;
		uint64 dictionary_id = b->arg.view.shared.dictionary_id;

		block_arg_close(&b->arg);
		block_arg_open(&b->arg, b->block, b->needed);
		b->opened = b->needed;
		b->arg.view.shared.dictionary_id = dictionary_id; /* it is the same one */
		b->arg.cursor.i = at.i;
		b->arg.cursor.first = at.first;
		b->arg.cursor.n = at.n;
	}
	block_journey(&b->arg.cursor, &b->journey);
}

PG_FUNCTION_INFO_V1(journey_block_match);
Datum
journey_block_match(PG_FUNCTION_ARGS)
{
	BlockMatch *b = block_match(fcinfo, true);
	Datum *customers = NULL;
	int n = 0;
	int max = 0;

	while (next_candidate(b))
	{
		bool sure;

		if (!matcher_may_exist(b->matcher, &sure))
			continue;
		if (!sure)
		{
			read_on(b);
			if (!matcher_exists(b->matcher))
				continue;
		}
		reserve(customers, n, max);
		customers[n++] = Int64GetDatum(block_customer(&b->arg.cursor));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(customers, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(journey_block_count);
Datum
journey_block_count(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	BlockMatch *b;

	InitMaterializedSRF(fcinfo, 0);
	b = block_match(fcinfo, true);
	while (next_candidate(b))
	{
		int64 count;
		Datum values[2];
		bool nulls[2] = {false};
		bool sure;

		if (!matcher_may_exist(b->matcher, &sure))
			continue;
		read_on(b);
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
	BlockMatch *b = block_match(fcinfo, false);
	int items = b->pattern->program->nitems;
	int64 *reached = palloc0((items + 1) * sizeof(int64)); /* so many items and no more */
	Datum *counts = palloc(items * sizeof(Datum));
	int64 sum = 0;

	while (next_candidate(b))
	{
		bool sure;
		int item = matcher_may_reach(b->matcher, &sure);

		if (!sure)
		{
			read_on(b);
			item = matcher_progress(b->matcher, NULL, false);
		}
		reached[item]++;
	}
	if (b->wanted.alone > 0)
		reached[b->wanted.alone] += b->alone;
	for (int item = items; item > 0; item--)
	{
		sum += reached[item];
		counts[item - 1] = Int64GetDatum(sum);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(counts, items, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}
