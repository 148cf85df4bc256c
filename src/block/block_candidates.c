/*
 * block_candidates.c
 *		The journeys of a block that a pattern may find something in, by their labels.
 */
#include "postgres.h"

#include "block/block_candidates.h"
#include "block/label_scan.h"
#include "compat.h"
#include "miscadmin.h"

#define JOURNEYS_INTERRUPT_EVERY 0x1000

/* Room for marks: more than this does not wait for the next block. */
#define MARKS_MIN 0x1000
#define MARKS_KEEP 0x400000

/* Make room for the marks of n touchpoints. */
static void
reserve_marks(BlockCandidates *b, size_t n)
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
mark_touchpoints(BlockCandidates *b)
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

void
block_candidates_open(BlockCandidates *b, MemoryContext cxt, Datum block, CompiledPattern *pattern,
					  bool whole)
{
	const MatchMarks *wanted = &b->wanted;

	b->cxt = cxt;
	b->block = block;
	b->whole = whole;
	b->matcher = pattern_matcher(pattern, &b->arg.view.shared);
	b->needed = matcher_reads_values(b->matcher) ? BLOCK_ALL : BLOCK_TIMES;
	b->opened =
		b->read_on || !VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(block)) ? b->needed : BLOCK_LABELS;
	b->read_on = false;
	block_arg_open(&b->arg, block, b->opened);
	matcher_marks(b->matcher, &b->wanted);
	b->single = whole ? pattern->program->least == 1 : wanted->alone < 0;
	b->alone = 0;
	b->alone_item = Max(wanted->alone, 0);
	b->possible = mark_touchpoints(b);
	b->journey = b->arg.view.shared;
	b->ahead = b->arg.cursor;
	b->n = b->taken = 0;
}

/*
 * Look for candidates among the journeys ahead, by their marks: whether there is a start, whether
 * what every match needs is with it or behind, and whether anything behind may follow it. Of
 * journeys that are short, as most are, without a branch that depends on them.
 */
static void
find_candidates(BlockCandidates *b)
{
	/* in registers: nothing that is written here could change them */
	BlockCursor c = b->ahead;
	const MatchMarks wanted = b->wanted;
	uint64 start_marks = wanted.start * MARKS_EACH;
	uint8 required = b->whole ? wanted.required : 0;
	bool single = b->single;
	const uint8 *all_marks = b->marks;
	BlockCandidate *candidate = b->candidates;
	int64 alone = 0;

	while (candidate < b->candidates + CANDIDATES_MAX && block_next(&c))
	{
		const uint8 *marks = all_marks + c.first;
		bool has_start;
		uint8 all;
		uint8 behind;
		bool goes_on;

		if (likely(c.n <= 8))
		{
			uint64 here = load64(marks, 8, 0) & low_mask(8 * c.n);
			uint64 starts = here & start_marks;
			int at = pg_rightmost_one_pos64(starts | UINT64CONST(1) << 63) & ~7;

			here >>= at;
			has_start = starts != 0;
			behind = marks_fold(here >> 8);
			all = (uint8) here | behind;
		}
		else
		{
			uint32 start = marks_next(marks, 0, c.n, wanted.start);

			has_start = start < c.n;
			behind = has_start ? marks_union(marks + start + 1, c.n - start - 1) : 0;
			all = marks[start] | behind;
		}
		goes_on = single | ((behind & wanted.follow) != 0);
		*candidate = (BlockCandidate) {c.i, c.first, c.n};
		candidate += has_start & goes_on & ((all & required) == required);
		alone += has_start & !goes_on;
		if (unlikely(c.i % JOURNEYS_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
	}
	b->ahead = c;
	b->n = candidate - b->candidates;
	b->taken = 0;
	b->alone += alone;
}

bool
block_candidates_next(BlockCandidates *b)
{
	const BlockCandidate *candidate;
	BlockCursor *c = &b->arg.cursor;
	JourneyView *v = &b->journey;

	if (b->taken == b->n)
	{
		if (b->possible)
			find_candidates(b);
		if (b->taken == b->n)
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
	block_candidates_again(b);
	return true;
}

void
block_candidates_read_on(BlockCandidates *b)
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
