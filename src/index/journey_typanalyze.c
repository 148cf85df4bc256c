/*
 * journey_typanalyze.c
 *		ANALYZE of a column of journeys.
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "common/hashfn.h"
#include "compat.h"
#include "index/journey_index.h"
#include "index/journey_keys.h"
#include "index/journey_stats.h"
#include "index/key_table.h"
#include "journey/journey.h"
#include "utils/memutils.h"

/* Keys counted at a time; the rarest make room. */
#define KEYS_COUNTED_MAX 1000000

/* Rows that the ordinary statistics ask for, of each unit of the target. */
#define ROWS_EACH_ORDINARILY 300

/* What the ordinary statistics want, kept while ours stand in. */
typedef struct Ordinary
{
	AnalyzeAttrComputeStatsFunc compute;
	void *extra;
} Ordinary;

static int
by_key(const void *a, const void *b)
{
	const KeyEntry *x = a;
	const KeyEntry *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* Commonest first, and ties by key, so that they do not depend on chance. */
static int
by_count(const void *a, const void *b)
{
	const KeyEntry *x = a;
	const KeyEntry *y = b;

	return x->number != y->number ? (x->number > y->number ? -1 : 1) : by_key(a, b);
}

/* Drop the keys counted once, twice, ... until there is room (G. Manku, R. Motwani, VLDB 2002). */
static keytable_hash *
make_room(keytable_hash *counts)
{
	keytable_hash *kept = counts;

	for (int least = 2; kept->members > KEYS_COUNTED_MAX / 2; least++)
	{
		keytable_iterator i;
		KeyEntry *old;

		kept = keytable_create(counts->ctx, KEYS_COUNTED_MAX / 2, NULL);
		keytable_start_iterate(counts, &i);
		while ((old = keytable_iterate(counts, &i)) != NULL)
			if (old->number >= least)
			{
				bool found;

				keytable_insert(kept, old->key, &found)->number = old->number;
			}
		keytable_destroy(counts);
		counts = kept;
	}
	return kept;
}

static int
free_slot(const VacAttrStats *stats)
{
	for (int i = 0; i < STATISTIC_NUM_SLOTS; i++)
		if (stats->stakind[i] == 0)
			return i;
	return -1;
}

static void
keep_sample(VacAttrStats *stats, Datum *journeys, int n, float4 share)
{
	int slot = free_slot(stats);

	if (slot < 0 || n == 0)
		return;
	stats->stakind[slot] = JOURNEY_STATS_SAMPLE;
	stats->staop[slot] = InvalidOid;
	stats->stavalues[slot] = journeys;
	stats->numvalues[slot] = n; /* of the column's own type, as is assumed */
	stats->stanumbers[slot] = MemoryContextAlloc(stats->anl_context, sizeof(float4));
	stats->stanumbers[slot][0] = share;
	stats->numnumbers[slot] = 1;
}

/*
 * Append the commonest keys, at most so many, to *list. The share to assume for
 * any other: the mean of what is left, or half that of one seen once.
 */
static float4
commonest(keytable_hash *counts, int most, int rows, KeyEntry *list, int *n)
{
	int all = counts->members;
	int kept = Min(most, all);
	KeyEntry *sorted = palloc(Max(all, 1) * sizeof(KeyEntry));
	keytable_iterator i;
	KeyEntry *count;
	double left = 0;
	int k = 0;

	keytable_start_iterate(counts, &i);
	while ((count = keytable_iterate(counts, &i)) != NULL)
		sorted[k++] = *count;
	qsort(sorted, all, sizeof(KeyEntry), by_count);
	memcpy(list + *n, sorted, kept * sizeof(KeyEntry));
	*n += kept;
	for (k = kept; k < all; k++)
		left += sorted[k].number;
	return (kept < all ? left / (all - kept) : 0.5) / rows;
}

static void
keep_keys(VacAttrStats *stats, keytable_hash *singles, keytable_hash *pairs, int rows, int most)
{
	KeyEntry *list = palloc(most * sizeof(KeyEntry));
	int n = 0;
	int slot = free_slot(stats);
	float4 rest[2];

	rest[0] = commonest(singles, most / 2, rows, list, &n);
	rest[1] = commonest(pairs, most - n, rows, list, &n);
	if (slot < 0 || n == 0)
		return;
	qsort(list, n, sizeof(KeyEntry), by_key);

	stats->stakind[slot] = JOURNEY_STATS_KEYS;
	stats->staop[slot] = InvalidOid;
	stats->stavalues[slot] = MemoryContextAlloc(stats->anl_context, n * sizeof(Datum));
	stats->stanumbers[slot] = MemoryContextAlloc(stats->anl_context, (n + 2) * sizeof(float4));
	for (int k = 0; k < n; k++)
	{
		stats->stavalues[slot][k] = Int64GetDatum(list[k].key);
		stats->stanumbers[slot][k] = (double) list[k].number / rows;
	}
	memcpy(&stats->stanumbers[slot][n], rest, sizeof(rest));
	stats->numvalues[slot] = n;
	stats->numnumbers[slot] = n + 2;
	stats->statypid[slot] = INT8OID;
	stats->statyplen[slot] = sizeof(int64);
	stats->statypbyval[slot] = FLOAT8PASSBYVAL;
	stats->statypalign[slot] = TYPALIGN_DOUBLE;
}

/* Count the keys that are not among others, which may be NULL. */
static void
count_keys(keytable_hash **counts, const JourneyView *v, int64 horizon, keytable_hash *others)
{
	int n;
	int64 *keys = journey_keys(v, horizon, &n);

	for (int k = 0; k < n; k++)
	{
		bool found;
		KeyEntry *count;

		if (others && keytable_lookup(others, keys[k]))
			continue;
		count = keytable_insert(*counts, keys[k], &found);
		count->number = found ? count->number + 1 : 1;
	}
	if ((*counts)->members > KEYS_COUNTED_MAX)
		*counts = make_room(*counts);
}

/* Is it small enough for the sample? */
static bool
may_be_kept(Datum journey)
{
	return toast_raw_datum_size(journey) <= JOURNEY_STATS_BYTES_ONE;
}

static void
compute_journey_stats(VacAttrStats *stats, AnalyzeAttrFetchFunc fetch, int samplerows,
					  double totalrows)
{
	Ordinary *ordinary = stats->extra_data;
	int target = stats->minrows / JOURNEY_STATS_ROWS_EACH;
	int sample_max = Min(target * JOURNEY_STATS_SAMPLE_EACH, JOURNEY_STATS_SAMPLE_MAX);
	Datum *sample;
	int nsample = 0;
	size_t bytes = 0;
	int rows = 0;
	int small = 0;
	double small_bytes = 0;
	double every;
	keytable_hash *singles;
	keytable_hash *pairs;
	MemoryContext row_cxt;
	MemoryContext old = CurrentMemoryContext;

	stats->extra_data = ordinary->extra;
	ordinary->compute(stats, fetch, samplerows, totalrows);
	stats->extra_data = ordinary;
	if (!stats->stats_valid || stats->stanullfrac >= 1)
		return;

	singles = keytable_create(CurrentMemoryContext, 1024, NULL);
	pairs = keytable_create(CurrentMemoryContext, 65536, NULL);
	row_cxt =
		AllocSetContextCreate(CurrentMemoryContext, "journey statistics", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < samplerows; i++)
	{
		bool isnull;
		Datum value = fetch(stats, i, &isnull);
		JourneyArg arg;

		analyze_delay_point();
		if (isnull)
			continue;
		rows++;
		if (may_be_kept(value))
		{
			small++;
			small_bytes += toast_raw_datum_size(value);
		}
		MemoryContextSwitchTo(row_cxt);
		journey_arg_open(&arg, value);
		count_keys(&singles, &arg.view, 0, NULL);
		count_keys(&pairs, &arg.view, JOURNEY_HORIZON_DEFAULT, singles);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_cxt);
	}
	keep_keys(stats, singles, pairs, rows,
			  Min(target * JOURNEY_STATS_KEYS_EACH, JOURNEY_STATS_KEYS_MAX));

	/*
	 * As many journeys as there is room for: one of every so many, by a hash
	 * which, lest a pattern in the table's order show.
	 */
	every = Max(1, Max((double) small / sample_max, small_bytes / (0.9 * JOURNEY_STATS_BYTES_MAX)));
	sample = MemoryContextAlloc(stats->anl_context, sample_max * sizeof(Datum));
	for (int i = 0, seen = 0; i < samplerows && nsample < sample_max; i++)
	{
		bool isnull;
		Datum value = fetch(stats, i, &isnull);
		double dice = murmurhash32(nsample) / (PG_UINT32_MAX + 1.0);

		analyze_delay_point();
		if (isnull || !may_be_kept(value) || seen++ < floor((nsample + dice) * every))
			continue;
		bytes += toast_raw_datum_size(value);
		if (bytes > JOURNEY_STATS_BYTES_MAX)
			break;
		MemoryContextSwitchTo(stats->anl_context);
		sample[nsample++] = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		MemoryContextSwitchTo(old);
	}
	keep_sample(stats, sample, nsample, (double) small / rows);
	MemoryContextDelete(row_cxt);
}

PG_FUNCTION_INFO_V1(journey_typanalyze);
Datum
journey_typanalyze(PG_FUNCTION_ARGS)
{
	VacAttrStats *stats = (VacAttrStats *) PG_GETARG_POINTER(0);
	Ordinary *ordinary;
	int target;

	if (!std_typanalyze(stats))
		PG_RETURN_BOOL(false);
	ordinary = palloc(sizeof(Ordinary));
	ordinary->compute = stats->compute_stats;
	ordinary->extra = stats->extra_data;
	stats->compute_stats = compute_journey_stats;
	stats->extra_data = ordinary;
	target = stats->minrows / ROWS_EACH_ORDINARILY;
	stats->minrows = target * JOURNEY_STATS_ROWS_EACH;
	PG_RETURN_BOOL(true);
}
