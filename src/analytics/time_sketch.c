/*
 * time_sketch.c
 *		Quantiles of times within 1 %, in little memory.
 */
#include "postgres.h"

#include <math.h>

#include "analytics/time_sketch.h"

#define ERROR_MAX 0.01
#define LOG_GAMMA 0.020000666706669524 /* log(1.01 / 0.99) */
#define bucket_of time_sketch_bucket

static inline uint64
count_of(uint64 entry)
{
	return entry & TIME_SKETCH_COUNT_MAX;
}

uint64
time_sketch_entry(int64 usecs)
{
	uint64 bucket = usecs <= 0 ? 0 : 1 + (uint64) ceil(log((double) usecs) / LOG_GAMMA);

	return time_sketch_entry_of(bucket, 1);
}

/* The middle of a bucket, in the sense of relative error. */
static int64
bucket_usecs(uint32 bucket)
{
	double usecs;

	if (bucket == 0)
		return 0;
	usecs = rint((1 - ERROR_MAX) * exp((bucket - 1) * LOG_GAMMA));
	return usecs < (double) PG_INT64_MAX ? (int64) usecs : PG_INT64_MAX;
}

bool
time_sketch_valid(const uint64 *entries, uint32 n, uint64 *count)
{
	*count = 0;
	for (uint32 i = 0; i < n; i++)
	{
		if (bucket_of(entries[i]) >= TIME_SKETCH_BUCKETS || count_of(entries[i]) == 0 ||
			(i > 0 && bucket_of(entries[i]) <= bucket_of(entries[i - 1])))
			return false;
		*count += count_of(entries[i]);
		if (*count > TIME_SKETCH_COUNT_MAX)
			return false;
	}
	return true;
}

/* The first entry of at least this bucket, or n. */
static uint32
search(const uint64 *entries, uint32 n, uint32 bucket)
{
	uint32 from = 0;

	while (from < n)
	{
		uint32 middle = from + (n - from) / 2;

		if (bucket_of(entries[middle]) < bucket)
			from = middle + 1;
		else
			n = middle;
	}
	return from;
}

static inline bool
is_at(const uint64 *entries, uint32 n, uint32 i, uint32 bucket)
{
	return i < n && bucket_of(entries[i]) == bucket;
}

uint32
time_sketch_missing(const uint64 *entries, uint32 n, const uint64 *more, uint32 nmore)
{
	uint32 missing = 0;

	for (uint32 i = 0; i < nmore; i++)
	{
		uint32 bucket = bucket_of(more[i]);

		missing += !is_at(entries, n, search(entries, n, bucket), bucket);
	}
	return missing;
}

uint32
time_sketch_merge(uint64 *entries, uint32 n, uint32 missing, const uint64 *more, uint32 nmore)
{
	uint32 merged = n + missing;

	/* from the end: each entry moves by the number of new ones before it */
	for (uint32 i = nmore; i-- > 0;)
	{
		uint32 bucket = bucket_of(more[i]);
		uint32 at = search(entries, n, bucket);
		bool found = is_at(entries, n, at, bucket);

		if (missing > 0)
			memmove(entries + at + missing, entries + at, (n - at) * sizeof(uint64));
		if (found)
			entries[at + missing] += count_of(more[i]);
		else
			entries[at + --missing] = more[i];
		n = at;
	}
	return merged;
}

int64
time_sketch_quantile(const uint64 *entries, uint32 n, double q)
{
	uint64 count = 0;
	uint64 rank;
	uint64 seen = count_of(entries[0]);
	uint32 at = 0;

	for (uint32 i = 0; i < n; i++)
		count += count_of(entries[i]);
	rank = Max((uint64) ceil(q * count), 1);
	while (seen < rank && at + 1 < n)
		seen += count_of(entries[++at]);
	return bucket_usecs(bucket_of(entries[at]));
}
