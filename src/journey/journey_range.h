/*
 * journey_range.h
 *		tstzrange seen as two instants.
 */
#ifndef PGJ_JOURNEY_RANGE_H
#define PGJ_JOURNEY_RANGE_H

#include "utils/rangetypes.h"

/*
 * Unbounded sides are -infinity and infinity, inclusive: every touchpoint's
 * time is finite.
 */
typedef struct TimeRange
{
	int64 lower;
	int64 upper;
	bool lower_inclusive;
	bool upper_inclusive;
	bool empty;
} TimeRange;

/* Does the range meet, contain, the time from first to last (inclusive)? */
extern bool time_range_meets(const TimeRange *range, int64 first, int64 last);
extern bool time_range_contains(const TimeRange *range, int64 first, int64 last);

extern void time_range_open(TimeRange *range, const RangeType *value);

#endif /* PGJ_JOURNEY_RANGE_H */
