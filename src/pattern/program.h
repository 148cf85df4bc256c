/*
 * program.h
 *		A compiled journey pattern.
 *
 * The compiler unrolls repetitions and numbers each occurrence of a step: a
 * position (V. M. Glushkov, "The abstract theory of automata", 1961). A match
 * is a path of positions from a start to an accept along edges, one touchpoint
 * a position. An edge carries a link's limits. Times are whole microseconds, so
 * strict bounds become inclusive ones.
 */
#ifndef PGJ_PROGRAM_H
#define PGJ_PROGRAM_H

#include "pattern/pattern.h"

#define PROGRAM_NO_LINK -1

/* Some row behind must be so far behind: the first by at least min, by at most max. */
typedef struct RowAhead
{
	int64 min;
	int64 max;
} RowAhead;

/* What a link asks of the time between two touchpoints and of those between. */
typedef struct ProgramLink
{
	bool next;
	int64 min;
	int64 max;
	int nbans;
	int *bans;        /* steps */
	int64 *ban_usecs; /* before $ only, or PATTERN_UNBOUNDED */
	int naheads;      /* over rows: what must hold of the rows behind the first one */
	RowAhead *aheads;
} ProgramLink;

typedef struct ProgramPosition
{
	int step;
	int item;       /* top-level item it belongs to, from 1 */
	bool ends_item; /* the item may be complete with it */
} ProgramPosition;

/* A way into a position: from an earlier one, or from the start. */
typedef struct ProgramEdge
{
	int from; /* position, or -1: the match begins here */
	int to;
	int link;        /* PROGRAM_NO_LINK: begins anywhere, or (from_start) at the first touchpoint */
	bool from_start; /* ^ */
} ProgramEdge;

typedef struct ProgramAccept
{
	int position;
	bool to_end; /* $ */
	int link;    /* before $ */
} ProgramAccept;

typedef struct Program
{
	int nsteps;
	const Step **steps;  /* distinct; of positions and of bans; NULL in a program over rows */
	int *row_conditions; /* ... whose steps are these: a condition, from 0, or -1: any row */
	int npositions;
	ProgramPosition *positions;
	int nlinks;
	ProgramLink *links;
	int nedges;
	ProgramEdge *edges; /* ordered by to */
	int naccepts;
	ProgramAccept *accepts;
	int64 within; /* or PATTERN_UNBOUNDED */
	int least;    /* touchpoints of the shortest match */
	int nitems;   /* of the longest sequence */
} Program;

/* Sets of steps and of positions are bits in words. */
#define WORD_BITS 64

static inline bool
bit_get(const uint64 *bits, int i)
{
	return (bits[i / WORD_BITS] >> (i % WORD_BITS)) & 1;
}

static inline void
bit_set(uint64 *bits, int i)
{
	bits[i / WORD_BITS] |= UINT64CONST(1) << (i % WORD_BITS);
}

static inline int
bit_words(int n)
{
	return (n + WORD_BITS - 1) / WORD_BITS;
}

/* What compilers collect: room for an element more in a palloc'd array of n. */
#define reserve(array, n, max)                                                                     \
	do                                                                                             \
	{                                                                                              \
		if ((n) == (max))                                                                          \
		{                                                                                          \
			(max) = (max) == 0 ? 8 : 2 * (max);                                                    \
			(array) = (array) ? repalloc((array), (max) * sizeof(*(array)))                        \
							  : palloc((max) * sizeof(*(array)));                                  \
		}                                                                                          \
	} while (0)

/* Narrow the bounds, in whole microseconds and inclusive, to what a time limit says. */
extern void limit_time(TestOp op, int64 usecs, int64 *min, int64 *max);

/*
 * Do positions of these steps lead from a start to an accept, along these edges
 * (NULL: any)? reached is scratch, of each position.
 */
extern bool program_connected(const Program *p, const uint64 *steps, const bool *edges,
							  bool *reached);

/*
 * Compile in the current context. NULL if the pattern cannot be compiled; the
 * reason, with sqlerrcode, in the scan.
 */
extern Program *program_compile(const Pattern *pattern, TextScan *s);

#endif /* PGJ_PROGRAM_H */
