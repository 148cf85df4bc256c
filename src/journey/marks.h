/*
 * marks.h
 *		Touchpoints with a byte of marks each: what is of interest is found many at a time.
 */
#ifndef PGJ_MARKS_H
#define PGJ_MARKS_H

#include "journey/bits.h"

/* Bytes that may be read behind the last mark. */
#define MARKS_PADDING 8

/* A mark, times this, in the bytes of a word. */
#define MARKS_EACH UINT64CONST(0x0101010101010101)

/* All marks of a word of eight touchpoints. */
static inline uint8
marks_fold(uint64 word)
{
	word |= word >> 32;
	word |= word >> 16;
	return (uint8) (word | word >> 8);
}

/* All marks that n touchpoints have between them. */
static inline uint8
marks_union(const uint8 *marks, uint32 n)
{
	uint64 all = 0;

	for (; n > 8; n -= 8, marks += 8)
		all |= load64(marks, 8, 0);
	all |= load64(marks, 8, 0) & low_mask(8 * n);
	return marks_fold(all);
}

/* The first of n touchpoints, from i on, that has one of some marks; or n. */
static inline uint32
marks_next(const uint8 *marks, uint32 i, uint32 n, uint8 some)
{
	uint64 any = some * MARKS_EACH;

	for (; i < n; i += 8)
	{
		uint64 here = load64(marks + i, 8, 0) & any;

		if (here != 0)
			return Min(n, i + pg_rightmost_one_pos64(here) / 8);
	}
	return n;
}

#endif /* PGJ_MARKS_H */
