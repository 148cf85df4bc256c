/*
 * block_candidates.c
 *		The journeys of a block that a pattern may find something in, by their labels.
 */
#include "postgres.h"

#include "block/block_candidates.h"
#include "block/label_scan.h"
#include "compat.h"
#include "miscadmin.h"

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

/* Add the mark of labels that the step beside is for. */
static void
mark_beside(BlockCandidates *b, uint8 *label_marks)
{
	const JourneyView *shared = &b->arg.view.shared;
	Matcher *m = pattern_matcher(b->beside, shared);
	uint8 *marks = palloc_extended(Max(shared->nlabels, 1), MCXT_ALLOC_HUGE);
	MatchMarks unused = {0};

	matcher_label_marks(m, &unused, marks);
	for (uint32 label = 0; label < shared->nlabels; label++)
		if (marks[label] != 0)
			label_marks[label] |= MARK_BESIDE;
	pfree(marks);
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
	possible = matcher_label_marks(b->matcher, &b->wanted, label_marks);
	if (!b->whole)
	{
		for (uint32 label = 0; label < shared->nlabels; label++)
			any |= label_marks[label];
		possible = (any & b->wanted.start) != 0;
	}
	if (possible && b->beside)
		mark_beside(b, label_marks);
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
					  bool whole, BlockPart reads)
{
	const MatchMarks *wanted = &b->wanted;

	b->cxt = cxt;
	b->block = block;
	b->whole = whole;
	b->matcher = pattern_matcher(pattern, &b->arg.view.shared);
	b->needed = matcher_reads_values(b->matcher) ? BLOCK_ALL : Max(reads, BLOCK_TIMES);
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
	b->ahead = b->first = 0;
	ef_start(&b->arg.view.starts, &b->start);
	b->start.i = 1; /* where the first one begins is known */
	b->n = b->taken = 0;
}

/*
 * Look for candidates among the journeys ahead, by their marks: whether there is a start, whether
 * what every match needs is with it or behind, and whether anything behind may follow it; where
 * something is banned throughout, whether it is there. Of journeys that are short, as most are,
 * without a branch that depends on them.
 */
static void
find_candidates(BlockCandidates *b)
{
	/* in registers: nothing that is written here could change them */
	const MatchMarks wanted = b->wanted;
	uint64 start_marks = wanted.start * MARKS_EACH;
	uint8 required = b->whole ? wanted.required : 0;
	uint8 banned = b->whole ? wanted.banned : 0;
	uint64 first_start = wanted.first ? 0xff : ~UINT64CONST(0);
	bool single = b->single;
	const uint8 *all_marks = b->marks;
	uint64 touchpoints = b->arg.view.touchpoints;
	BlockCandidate *candidate = b->candidates;
	uint64 ends[CANDIDATES_MAX];
	uint32 n = Min(CANDIDATES_MAX, b->arg.view.n - b->ahead);
	uint32 i = b->ahead;
	uint32 first = b->first;
	int64 alone = 0;

	ef_read(&b->arg.view.starts, &b->start, ends, n);
	for (uint32 k = 0; k < n; k++)
	{
		const uint8 *marks = all_marks + first;
		uint32 length = ends[k] - first;
		bool has_start;
		uint8 all;
		uint8 behind;
		bool follows;
		bool goes_on;

		if (unlikely(ends[k] < first || ends[k] > touchpoints))
			block_corrupt("a journey's length is impossible");
		if (likely(length <= 8))
		{
			uint64 here = load64(marks, 8, 0) & low_mask(8 * length);
			uint64 starts = here & start_marks & first_start;
			int at = pg_rightmost_one_pos64(starts | UINT64CONST(1) << 63) & ~7;

			here >>= at;
			has_start = starts != 0;
			behind = marks_fold(here >> 8);
			all = (uint8) here | behind;
		}
		else
		{
			uint32 start = marks_next(marks, 0, wanted.first ? 1 : length, wanted.start);

			has_start = start < (wanted.first ? 1 : length);
			behind = has_start ? marks_union(marks + start + 1, length - start - 1) : 0;
			all = marks[start] | behind;
		}
		follows = (behind & wanted.follow) != 0;
		goes_on = single | follows;
		*candidate = (BlockCandidate) {++i, first, length, follows};
		if (banned != 0)
			has_start &= (marks_union(marks, length) & banned) == 0;
		candidate += has_start & goes_on & ((all & required) == required);
		alone += has_start & !goes_on;
		first = ends[k];
	}
	b->ahead = i;
	b->first = first;
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

	while (b->taken == b->n)
	{
		if (!b->possible || b->ahead == b->arg.view.n)
		{
			block_arg_close(&b->arg);
			return false;
		}
		CHECK_FOR_INTERRUPTS();
		find_candidates(b);
	}
	candidate = &b->candidates[b->taken++];
	c->i = candidate->i;
	c->first = candidate->first;
	c->n = v->n = candidate->n;
	b->follows = candidate->follows;
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
