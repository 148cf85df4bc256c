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
#include "journey/marks.h"

/* So many labels with marks are searched for; more are looked up. */
#define LABEL_SCAN_FEW 16

/*
 * Of n touchpoints with these label numbers, as wide as the view says, the marks: of a label
 * those at label_marks. There is room for n + MARKS_PADDING. A label that is not in the
 * dictionary raises ERRCODE_DATA_CORRUPTED.
 */
extern void label_scan(const JourneyView *v, uint32 n, const uint8 *label_marks, uint8 *marks);

#endif /* PGJ_LABEL_SCAN_H */
