/*
 * block_candidates.h
 *		The journeys of a block that a pattern may find something in, by their labels.
 *
 * The labels of all touchpoints are looked at together (label_scan.h). A journey without a
 * touchpoint that is needed is passed over. Of the others, the candidates, times and values
 * are opened when they are asked for, because labels do not tell all; and only if there is
 * such a journey are they fetched of a block that is out of line.
 */
#ifndef PGJ_BLOCK_CANDIDATES_H
#define PGJ_BLOCK_CANDIDATES_H

#include "block/block.h"
#include "pattern/journey_pattern.h"
#include "pattern/match_marks.h"

/* So many journeys are looked at together. */
#define CANDIDATES_MAX 64

/* A journey of a block, as in BlockCursor. */
typedef struct BlockCandidate
{
	uint32 i;
	uint32 first;
	uint32 n;
	bool follows;
} BlockCandidate;

/* The mark of labels that a step beside the pattern is for, if that has fewer steps than marks. */
#define MARK_BESIDE (1 << (MATCH_MARKS - 1))

/* To be kept by a call site from block to block; zeroed at first. */
typedef struct BlockCandidates
{
	CompiledPattern *beside; /* set by the caller: a pattern of one step to be marked too, or NULL */

	/* of the block */
	BlockArg arg;        /* its cursor is at the candidate at hand */
	Matcher *matcher;    /* turned to it */
	JourneyView journey; /* the candidate; its labels at first */
	bool follows;        /* something in it may follow a start */
	int64 alone;         /* journeys passed over, so far, ... */
	int alone_item;      /* ... that reach this item; all other ones none */

	/* inside */
	Datum block;
	BlockPart opened;
	BlockPart needed; /* if labels do not tell all */
	bool whole;
	bool single;   /* a start may be all there is: a caller may set it before the first candidate */
	bool possible; /* there may be candidates */
	MatchMarks wanted;
	uint32 ahead;          /* the search for them: the next journey's number, */
	uint32 first;          /* its first touchpoint, */
	EliasFanoCursor start; /* and where the one behind begins */
	int n;
	int taken;
	BlockCandidate candidates[CANDIDATES_MAX];
	MemoryContext cxt; /* holds the marks */
	uint8 *marks;      /* of each touchpoint of the block */
	size_t marks_max;
	bool read_on; /* more than labels was opened of the last block: so it may be of the next */
} BlockCandidates;

/*
 * Turn to a block, and look for journeys that may match (whole) or in which an item may be
 * reached. What is kept from block to block is in cxt, which lasts as long as *b. reads: the
 * part that candidates are opened up to, at least; more where the pattern reads values.
 */
extern void block_candidates_open(BlockCandidates *b, MemoryContext cxt, Datum block,
								  CompiledPattern *pattern, bool whole, BlockPart reads);

/*
 * The next candidate, of which the matcher knows the labels, for matcher_may_exist and
 * matcher_may_reach; false at the end, and the block is closed.
 */
extern bool block_candidates_next(BlockCandidates *b);

/* Open the rest of the candidate, to which the matcher stays turned; once each. */
extern void block_candidates_read_on(BlockCandidates *b);

/* Marks of the candidate's touchpoints. */
static inline const uint8 *
block_candidates_marks(const BlockCandidates *b)
{
	return b->marks + b->arg.cursor.first;
}

/* Turn the matcher to the candidate anew. */
static inline void
block_candidates_again(BlockCandidates *b)
{
	matcher_open_marked(b->matcher, &b->journey, block_candidates_marks(b));
}

#endif /* PGJ_BLOCK_CANDIDATES_H */
