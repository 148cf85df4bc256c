/*
 * journey_gist.c
 *		GiST operator class journey_gist_ops: && and <@ with a range of time, and
 *		~ with a pattern.
 *
 * A key is what some journeys cover: the time from the first touchpoint to the
 * last, and a signature that has a bit for each single key of journey_keys.h. It
 * is stored as a bytea.
 */
#include "postgres.h"

#include "access/gist.h"
#include "access/stratnum.h"
#include "compat.h"
#include "index/journey_index.h"
#include "index/journey_keys.h"
#include "journey/journey.h"
#include "journey/journey_range.h"
#include "pattern/journey_pattern.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"

#define SIGNATURE_WORDS 4
#define SIGNATURE_BITS (64 * SIGNATURE_WORDS)

/* Without padding, since it is stored and compared as it is. */
typedef struct Cover
{
	int64 first;
	int64 last;
	uint64 signature[SIGNATURE_WORDS];
	uint32 some_empty; /* an empty journey is among them */
	uint32 all_empty;  /* and no other: first and last mean nothing */
} Cover;

static Cover
cover_read(Datum d)
{
	bytea *stored = DatumGetByteaPP(d);
	Cover cover;

	if (VARSIZE_ANY_EXHDR(stored) != sizeof(Cover))
		ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
						errmsg("key of a GiST index of journeys is corrupt")));
	memcpy(&cover, VARDATA_ANY(stored), sizeof(Cover));
	return cover;
}

static bytea *
cover_store(const Cover *cover)
{
	bytea *stored = palloc0(VARHDRSZ + sizeof(Cover));

	SET_VARSIZE(stored, VARHDRSZ + sizeof(Cover));
	memcpy(VARDATA(stored), cover, sizeof(Cover));
	return stored;
}

static inline int
signature_bit(int64 key)
{
	return (uint64) key % SIGNATURE_BITS;
}

static void
cover_add(Cover *cover, const Cover *more)
{
	if (!more->all_empty)
	{
		cover->first = cover->all_empty ? more->first : Min(cover->first, more->first);
		cover->last = cover->all_empty ? more->last : Max(cover->last, more->last);
	}
	cover->some_empty |= more->some_empty;
	cover->all_empty &= more->all_empty;
	for (int i = 0; i < SIGNATURE_WORDS; i++)
		cover->signature[i] |= more->signature[i];
}

PG_FUNCTION_INFO_V1(journey_gist_compress);
Datum
journey_gist_compress(PG_FUNCTION_ARGS)
{
	GISTENTRY *entry = (GISTENTRY *) PG_GETARG_POINTER(0);
	GISTENTRY *compressed;
	JourneyArg arg;
	Cover cover;
	int64 *keys;
	int n;

	if (!entry->leafkey)
		PG_RETURN_POINTER(entry);
	memset(&cover, 0, sizeof(cover));
	journey_arg_open_head(&arg, entry->key, true);
	cover.some_empty = cover.all_empty = arg.view.n == 0;
	if (arg.view.n > 0)
	{
		cover.first = arg.view.first;
		cover.last = arg.view.last;
		keys = journey_keys(&arg.view, 0, &n);
		for (int i = 0; i < n; i++)
			cover.signature[signature_bit(keys[i]) / 64] |= UINT64CONST(1)
															<< signature_bit(keys[i]) % 64;
		pfree(keys);
	}
	journey_arg_close(&arg);
	compressed = palloc(sizeof(GISTENTRY));
	gistentryinit(*compressed, PointerGetDatum(cover_store(&cover)), entry->rel, entry->page,
				  entry->offset, false);
	PG_RETURN_POINTER(compressed);
}

/* The pattern of this scan, compiled, with its keys. */
static const PatternKeys *
scan_keys(FunctionCallInfo fcinfo, Datum pattern)
{
	CompiledPattern *c = pattern_argument((CompiledPattern **) &fcinfo->flinfo->fn_extra,
										  fcinfo->flinfo->fn_mcxt, pattern);

	if (c->keys == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(c->cxt);

		c->keys = pattern_keys(c->program, 0);
		MemoryContextSwitchTo(old);
	}
	return c->keys;
}

PG_FUNCTION_INFO_V1(journey_gist_consistent);
Datum
journey_gist_consistent(PG_FUNCTION_ARGS)
{
	GISTENTRY *entry = (GISTENTRY *) PG_GETARG_POINTER(0);
	StrategyNumber strategy = (StrategyNumber) PG_GETARG_UINT16(2);
	bool *recheck = (bool *) PG_GETARG_POINTER(4);
	Cover cover = cover_read(entry->key);
	TimeRange range;

	*recheck = strategy == JOURNEY_MATCHES_STRATEGY;
	if (strategy == JOURNEY_MATCHES_STRATEGY)
	{
		const PatternKeys *k = scan_keys(fcinfo, PG_GETARG_DATUM(1));
		char *present = palloc(Max(k->nkeys, 1));
		bool result;

		for (int i = 0; i < k->nkeys; i++)
		{
			int bit = signature_bit(k->keys[i]);

			present[i] = (cover.signature[bit / 64] >> bit % 64) & 1;
		}
		result = !cover.all_empty && pattern_keys_allow(k, present);
		pfree(present);
		PG_RETURN_BOOL(result);
	}
	time_range_open(&range, PG_GETARG_RANGE_P(1));
	if (strategy == JOURNEY_OVERLAPS_STRATEGY)
		PG_RETURN_BOOL(!cover.all_empty && time_range_meets(&range, cover.first, cover.last));
	if (strategy != JOURNEY_WITHIN_STRATEGY)
		elog(ERROR, "unknown strategy number %d of a GiST index of journeys", strategy);
	/* an empty journey lies within every range */
	if (cover.some_empty)
		PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(GIST_LEAF(entry) ? time_range_contains(&range, cover.first, cover.last)
									: time_range_meets(&range, cover.first, cover.last));
}

PG_FUNCTION_INFO_V1(journey_gist_union);
Datum
journey_gist_union(PG_FUNCTION_ARGS)
{
	GistEntryVector *entries = (GistEntryVector *) PG_GETARG_POINTER(0);
	int *size = (int *) PG_GETARG_POINTER(1);
	Cover cover = cover_read(entries->vector[0].key);
	bytea *stored;

	for (int i = 1; i < entries->n; i++)
	{
		Cover more = cover_read(entries->vector[i].key);

		cover_add(&cover, &more);
	}
	stored = cover_store(&cover);
	*size = VARSIZE(stored);
	PG_RETURN_POINTER(stored);
}

PG_FUNCTION_INFO_V1(journey_gist_same);
Datum
journey_gist_same(PG_FUNCTION_ARGS)
{
	Cover a = cover_read(PG_GETARG_DATUM(0));
	Cover b = cover_read(PG_GETARG_DATUM(1));
	bool *result = (bool *) PG_GETARG_POINTER(2);

	*result = memcmp(&a, &b, sizeof(Cover)) == 0;
	PG_RETURN_POINTER(result);
}

/* What covers more: days of time first, bits of the signature to decide between equals. */
PG_FUNCTION_INFO_V1(journey_gist_penalty);
Datum
journey_gist_penalty(PG_FUNCTION_ARGS)
{
	GISTENTRY *into = (GISTENTRY *) PG_GETARG_POINTER(0);
	GISTENTRY *entry = (GISTENTRY *) PG_GETARG_POINTER(1);
	float *penalty = (float *) PG_GETARG_POINTER(2);
	Cover cover = cover_read(into->key);
	Cover more = cover_read(entry->key);
	Cover both = cover;
	int bits = 0;

	cover_add(&both, &more);
	for (int i = 0; i < SIGNATURE_WORDS; i++)
		bits += pg_popcount64(both.signature[i] & ~cover.signature[i]);
	*penalty =
		(((double) both.last - both.first) - ((double) cover.last - cover.first)) / USECS_PER_DAY +
		(double) bits / SIGNATURE_BITS;
	PG_RETURN_POINTER(penalty);
}

typedef struct Placed
{
	int64 place;
	OffsetNumber number;
} Placed;

static int
placed_cmp(const void *a, const void *b)
{
	const Placed *x = a;
	const Placed *y = b;

	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* Halves: by first touchpoints or by last ones, whichever are spread wider. */
PG_FUNCTION_INFO_V1(journey_gist_picksplit);
Datum
journey_gist_picksplit(PG_FUNCTION_ARGS)
{
	GistEntryVector *entries = (GistEntryVector *) PG_GETARG_POINTER(0);
	GIST_SPLITVEC *split = (GIST_SPLITVEC *) PG_GETARG_POINTER(1);
	int n = entries->n - 1; /* numbers begin with 1 */
	Cover *covers = palloc(n * sizeof(Cover));
	Placed *placed = palloc(n * sizeof(Placed));
	int64 low[2] = {PG_INT64_MAX, PG_INT64_MAX};
	int64 high[2] = {PG_INT64_MIN, PG_INT64_MIN};
	bool by_last;
	Cover left;
	Cover right;

	for (int i = 0; i < n; i++)
	{
		covers[i] = cover_read(entries->vector[i + 1].key);
		if (covers[i].all_empty)
			continue;
		low[0] = Min(low[0], covers[i].first);
		high[0] = Max(high[0], covers[i].first);
		low[1] = Min(low[1], covers[i].last);
		high[1] = Max(high[1], covers[i].last);
	}
	by_last = (double) high[1] - low[1] > (double) high[0] - low[0];
	for (int i = 0; i < n; i++)
	{
		placed[i].place = covers[i].all_empty ? PG_INT64_MIN
						  : by_last           ? covers[i].last
											  : covers[i].first;
		placed[i].number = i + 1;
	}
	qsort(placed, n, sizeof(Placed), placed_cmp);

	split->spl_left = palloc(n * sizeof(OffsetNumber));
	split->spl_right = palloc(n * sizeof(OffsetNumber));
	split->spl_nleft = split->spl_nright = 0;
	for (int i = 0; i < n; i++)
	{
		Cover *cover = &covers[placed[i].number - 1];

		if (i < n / 2)
		{
			if (i == 0)
				left = *cover;
			cover_add(&left, cover);
			split->spl_left[split->spl_nleft++] = placed[i].number;
		}
		else
		{
			if (i == n / 2)
				right = *cover;
			cover_add(&right, cover);
			split->spl_right[split->spl_nright++] = placed[i].number;
		}
	}
	split->spl_ldatum = PointerGetDatum(cover_store(&left));
	split->spl_rdatum = PointerGetDatum(cover_store(&right));
	PG_RETURN_POINTER(split);
}

/*
 * Order in which a new index is filled: along a Z-order curve through (first,
 * last), found by the coordinate in which the highest bit differs.
 */
static int
cover_cmp(Datum a, Datum b, SortSupport ssup)
{
	Cover x = cover_read(a);
	Cover y = cover_read(b);
	uint64 first = (uint64) x.first ^ (uint64) y.first;
	uint64 last = (uint64) x.last ^ (uint64) y.last;
	bool by_last = first < last && first < (first ^ last);
	int64 p = by_last ? x.last : x.first;
	int64 q = by_last ? y.last : y.first;

	return p < q ? -1 : p > q;
}

PG_FUNCTION_INFO_V1(journey_gist_sortsupport);
Datum
journey_gist_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport ssup = (SortSupport) PG_GETARG_POINTER(0);

	ssup->comparator = cover_cmp;
	ssup->ssup_extra = NULL;
	PG_RETURN_VOID();
}
