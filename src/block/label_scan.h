/*
 * label_scan.h
 *		A block's label numbers, looked at many at a time: to each touchpoint a byte of marks.
 *
 * Labels have marks, up to 8 bits that the caller gives a meaning, most labels none. What
 * asks for few labels passes over the others eight at a time, and a journey without a mark
 * that it needs is told by looking at its marks alone.
 */
#ifndef PGJ_LABEL_SCAN_H
#define PGJ_LABEL_SCAN_H

#include "journey/format.h"

/* So many labels with marks are searched for; more are looked up. */
#define LABEL_SCAN_FEW 16

/* Bytes to be read behind the last mark. */
#define MARKS_PADDING 8

/*
 * Of n touchpoints with these label numbers, as wide as the view says, the marks: of a label
 * those at label_marks. There is room for n + MARKS_PADDING. A label that is not in the
 * dictionary raises ERRCODE_DATA_CORRUPTED.
 */
extern void label_scan(const JourneyView *v, uint32 n, const uint8 *label_marks, uint8 *marks);

/* All marks that n touchpoints have between them. */
static inline uint8
marks_union(const uint8 *marks, uint32 n)
{
	uint64 all = 0;

	for (; n > 8; n -= 8, marks += 8)
		all |= load64(marks, 8, 0);
	all |= load64(marks, 8, 0) & low_mask(8 * n);
	all |= all >> 32;
	all |= all >> 16;
	return (uint8) (all | all >> 8);
}

/* The first of n touchpoints, from i on, that has one of some marks; or n. */
static inline uint32
marks_next(const uint8 *marks, uint32 i, uint32 n, uint8 some)
{
	uint64 any = some * UINT64CONST(0x0101010101010101);

	for (; i < n; i += 8)
	{
		uint64 here = load64(marks + i, 8, 0) & any;

		if (here != 0)
			return Min(n, i + pg_rightmost_one_pos64(here) / 8);
	}
	return n;
}

#endif /* PGJ_LABEL_SCAN_H */
