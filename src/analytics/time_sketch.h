/*
 * time_sketch.h
 *		Quantiles of times within 1 %, in little memory.
 *
 * A DDSketch (C. Masson, J. E. Rim, H. K. Lee, "DDSketch: a fast and
 * fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019):
 * times, in microseconds and not negative, are counted in buckets whose bounds
 * grow by gamma = (1 + a) / (1 - a), with a = 0.01; a bucket of its own counts
 * zeros. What stands for a bucket differs from any time in it by at most a of
 * that time, but for rounding to whole microseconds. Merging adds counts, so
 * the result depends on neither order nor grouping.
 *
 * A sketch is an array of entries, bucket << 48 | count, with buckets rising
 * and counts positive. Its holder keeps the array. This is the algorithm layer.
 */
#ifndef PGJ_TIME_SKETCH_H
#define PGJ_TIME_SKETCH_H

/* 0, and up to the one of PG_INT64_MAX. */
#define TIME_SKETCH_BUCKETS 2186

#define TIME_SKETCH_COUNT_BITS 48
#define TIME_SKETCH_COUNT_MAX ((UINT64CONST(1) << TIME_SKETCH_COUNT_BITS) - 1)

/* The entry for one time. */
extern uint64 time_sketch_entry(int64 usecs);

/* An entry's bucket, and the entry that counts so many of one. */
static inline uint32
time_sketch_bucket(uint64 entry)
{
	return entry >> TIME_SKETCH_COUNT_BITS;
}

static inline uint64
time_sketch_entry_of(uint64 bucket, uint64 count)
{
	return bucket << TIME_SKETCH_COUNT_BITS | count;
}

/* Is it one? Then its count, at most TIME_SKETCH_COUNT_MAX. */
extern bool time_sketch_valid(const uint64 *entries, uint32 n, uint64 *count);

/* How many buckets of more are not in entries. */
extern uint32 time_sketch_missing(const uint64 *entries, uint32 n, const uint64 *more,
								  uint32 nmore);

/* Add more to entries, which have room for what is missing. The new n. */
extern uint32 time_sketch_merge(uint64 *entries, uint32 n, uint32 missing, const uint64 *more,
								uint32 nmore);

/* The time of rank ceil(q * count), at least 1, of a sketch that is not empty. */
extern int64 time_sketch_quantile(const uint64 *entries, uint32 n, double q);

#endif /* PGJ_TIME_SKETCH_H */
