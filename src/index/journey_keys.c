/*
 * journey_keys.c
 *		Keys of journeys and of patterns; no fmgr.
 *
 * What a pattern asks of the keys is a monotone Boolean function, and the
 * compiled program is that function already: a match is a path through it from
 * a start to an accept, so there must be a path on which each position's step
 * has its key and each edge its pair. Alternatives, optional items and
 * repetitions need no treatment of their own. (pg_trgm does likewise with
 * regular expressions.) Bans, values, lower limits and ^ $ ask nothing of keys.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "compat.h"
#include "index/journey_keys.h"
#include "miscadmin.h"

#define ST_SORT sort_keys
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define SECOND INT64CONST(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/*
 * Upper ends of the buckets of distance; the last has none. They grow about
 * logarithmically, through the limits that people write, which so are exact.
 */
static const int64 bucket_ends[] = {
	1 * SECOND, 2 * SECOND, 5 * SECOND,  10 * SECOND, 20 * SECOND, 30 * SECOND, 1 * MINUTE,
	2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, 1 * HOUR,    2 * HOUR,
	4 * HOUR,   8 * HOUR,   12 * HOUR,   1 * DAY,     2 * DAY,     3 * DAY,     7 * DAY,
	14 * DAY,   30 * DAY,   60 * DAY,    90 * DAY,    180 * DAY,   365 * DAY};

/* What a key is of; part of the hash. */
typedef enum KeyKind
{
	KEY_LABEL = 1,
	KEY_CHANNEL,
	KEY_ACTION,
	KEY_PAIR,
	KEY_MANY
} KeyKind;

static int
bucket_of(int64 usecs)
{
	int low = 0;
	int high = lengthof(bucket_ends);

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (usecs <= bucket_ends[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* All bits of x in all bits of the result (G. Steele et al., "SplitMix", 2014). */
static inline uint64
mix(uint64 x)
{
	x = (x ^ (x >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline uint64
part_hash(const char *part, size_t len)
{
	return hash_bytes_extended((const unsigned char *) part, len, 0);
}

static inline int64
single_key(KeyKind kind, uint64 channel, uint64 action)
{
	return (int64) mix(mix(channel + kind) + action);
}

static inline int64
pair_key(int64 a, int64 b, int bucket)
{
	return (int64) mix(mix((uint64) a + KEY_PAIR) + mix((uint64) b + bucket));
}

/*
 * Smallest distance of each two labels, by a * nlabels + b: to touchpoints of
 * every label b the last one of each label a that came before and is near. The
 * labels seen are kept in the order of their last touchpoints, so what is near
 * comes first.
 */
static void
nearest(const JourneyView *v, int64 horizon, int64 *distance)
{
	uint32 recent[JOURNEY_KEYS_LABELS_MAX];
	int64 last[JOURNEY_KEYS_LABELS_MAX];
	int nrecent = 0;
	EliasFanoCursor times;

	ef_start(&v->times, &times);
	for (uint32 i = 0; i < v->n; i++)
	{
		uint32 b = journey_label_at(v, i);
		int64 time = journey_time_from_offset(v, ef_next(&v->times, &times));
		int place;

		if (i % 0x10000 == 0)
			CHECK_FOR_INTERRUPTS();
		for (int r = 0; r < nrecent; r++)
		{
			uint32 a = recent[r];
			int64 usecs = time - last[a]; /* finite times: their difference may overflow */
			int64 *least = &distance[a * v->nlabels + b];

			if (usecs < 0 || usecs > horizon)
				break;
			if (usecs < *least)
				*least = usecs;
		}
		for (place = 0; place < nrecent && recent[place] != b; place++)
			;
		if (place == nrecent)
			nrecent++;
		memmove(recent + 1, recent, place * sizeof(recent[0]));
		recent[0] = b;
		last[b] = time;
	}
}

int64 *
journey_keys(const JourneyView *v, int64 horizon, int *n)
{
	uint32 nlabels = v->nlabels;
	bool pairs = horizon > 0 && nlabels <= JOURNEY_KEYS_LABELS_MAX;
	size_t max = 3 * (size_t) nlabels + (pairs ? (size_t) nlabels * nlabels : 1);
	TouchLabel *labels = journey_dictionary(v);
	int64 *keys = palloc_extended(max * sizeof(int64), MCXT_ALLOC_HUGE);
	size_t nkeys = 0;
	size_t unique = 0;

	for (uint32 i = 0; i < nlabels; i++)
	{
		uint64 channel = part_hash(labels[i].channel, labels[i].channel_len);
		uint64 action = part_hash(labels[i].action, labels[i].action_len);

		/* label i has its key at i: pairs are made of them */
		keys[i] = single_key(KEY_LABEL, channel, action);
		keys[nlabels + i] = single_key(KEY_CHANNEL, channel, 0);
		keys[2 * (size_t) nlabels + i] = single_key(KEY_ACTION, 0, action);
	}
	nkeys = 3 * (size_t) nlabels;
	if (pairs)
	{
		int64 distance[JOURNEY_KEYS_LABELS_MAX * JOURNEY_KEYS_LABELS_MAX];

		for (uint32 i = 0; i < nlabels * nlabels; i++)
			distance[i] = PG_INT64_MAX;
		nearest(v, horizon, distance);
		for (uint32 a = 0; a < nlabels; a++)
			for (uint32 b = 0; b < nlabels; b++)
				if (distance[a * nlabels + b] != PG_INT64_MAX)
					keys[nkeys++] =
						pair_key(keys[a], keys[b], bucket_of(distance[a * nlabels + b]));
	}
	else if (horizon > 0)
		keys[nkeys++] = single_key(KEY_MANY, 0, 0);
	pfree(labels);

	sort_keys(keys, nkeys);
	for (size_t i = 0; i < nkeys; i++)
		if (i == 0 || keys[i] != keys[i - 1])
			keys[unique++] = keys[i];
	if (unique > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("journey has too many labels for an index")));
	*n = (int) unique;
	return keys;
}

/* ---- patterns ---- */

static bool
is_exact(const PartTest *test)
{
	return !test->prefix;
}

static int
add_key(PatternKeys *k, int *max, int64 key)
{
	for (int i = 0; i < k->nkeys; i++)
		if (k->keys[i] == key)
			return i;
	if (k->nkeys == *max)
		k->keys = repalloc(k->keys, (*max *= 2) * sizeof(int64));
	k->keys[k->nkeys] = key;
	return k->nkeys++;
}

PatternKeys *
pattern_keys(const Program *p, int64 horizon)
{
	PatternKeys *k = palloc0(sizeof(PatternKeys));
	int max = 16;
	int npair_keys = 0;
	int pair_keys_max = 0;

	k->program = p;
	k->keys = palloc(max * sizeof(int64));
	k->step_key = palloc(p->nsteps * sizeof(int));
	k->edge_pair = palloc(Max(p->nedges, 1) * sizeof(int));
	k->reachable = palloc(p->npositions * sizeof(bool));
	for (int s = 0; s < p->nsteps; s++)
		k->step_key[s] = -1;
	for (int q = 0; q < p->npositions; q++)
	{
		const Step *step = p->steps[p->positions[q].step];
		uint64 channel = part_hash(step->channel.text, step->channel.len);
		uint64 action = part_hash(step->action.text, step->action.len);
		int *key = &k->step_key[p->positions[q].step];

		if (*key >= 0)
			continue;
		if (is_exact(&step->channel) && is_exact(&step->action))
			*key = add_key(k, &max, single_key(KEY_LABEL, channel, action));
		else if (is_exact(&step->channel))
			*key = add_key(k, &max, single_key(KEY_CHANNEL, channel, 0));
		else if (is_exact(&step->action))
			*key = add_key(k, &max, single_key(KEY_ACTION, 0, action));
	}
	k->nsingles = k->nkeys;
	for (int e = 0; e < p->nedges; e++)
	{
		const ProgramEdge *edge = &p->edges[e];
		const Step *a;
		const Step *b;
		int64 most;
		int buckets;

		k->edge_pair[e] = -1;
		if (edge->from < 0 || horizon == 0)
			continue;
		a = p->steps[p->positions[edge->from].step];
		b = p->steps[p->positions[edge->to].step];
		if (!is_exact(&a->channel) || !is_exact(&a->action) || !is_exact(&b->channel) ||
			!is_exact(&b->action))
			continue;
		most = p->links[edge->link].max;
		if (p->within != PATTERN_UNBOUNDED)
			most = Min(most, p->within);
		if (most > horizon || most == PG_INT64_MAX)
			continue;
		buckets = bucket_of(most) + 1;
		if (k->nkeys + buckets > PATTERN_KEYS_MAX)
			continue;
		if (npair_keys + buckets + 2 > pair_keys_max)
		{
			pair_keys_max = 2 * pair_keys_max + buckets + 2;
			k->pair_keys = k->pair_keys ? repalloc(k->pair_keys, pair_keys_max * sizeof(int))
										: palloc(pair_keys_max * sizeof(int));
		}
		k->edge_pair[e] = npair_keys;
		for (int bucket = 0; bucket < buckets; bucket++)
			k->pair_keys[npair_keys++] =
				add_key(k, &max,
						pair_key(k->keys[k->step_key[p->positions[edge->from].step]],
								 k->keys[k->step_key[p->positions[edge->to].step]], bucket));
		k->pair_keys[npair_keys++] = add_key(k, &max, single_key(KEY_MANY, 0, 0));
		k->pair_keys[npair_keys++] = -1;
	}
	return k;
}

bool
pattern_keys_allow(const PatternKeys *k, const char *present, char absent)
{
	const Program *p = k->program;
	bool changed = true;

	memset(k->reachable, 0, p->npositions * sizeof(bool));
	while (changed)
	{
		changed = false;
		for (int e = 0; e < p->nedges; e++)
		{
			const ProgramEdge *edge = &p->edges[e];
			int key = k->step_key[p->positions[edge->to].step];
			int pair = k->edge_pair[e];

			if (k->reachable[edge->to] || (edge->from >= 0 && !k->reachable[edge->from]) ||
				(key >= 0 && present[key] == absent))
				continue;
			if (pair >= 0)
			{
				while (k->pair_keys[pair] >= 0 && present[k->pair_keys[pair]] == absent)
					pair++;
				if (k->pair_keys[pair] < 0)
					continue;
			}
			k->reachable[edge->to] = changed = true;
		}
	}
	for (int a = 0; a < p->naccepts; a++)
		if (k->reachable[p->accepts[a].position])
			return true;
	return false;
}

double
pattern_keys_share(const PatternKeys *k, const double *shares)
{
	const Program *p = k->program;
	double *reached = palloc0(p->npositions * sizeof(double));
	double result = 0;
	bool changed = true;

	while (changed)
	{
		changed = false;
		for (int e = 0; e < p->nedges; e++)
		{
			const ProgramEdge *edge = &p->edges[e];
			int key = k->step_key[p->positions[edge->to].step];
			int pair = k->edge_pair[e];
			double share = edge->from >= 0 ? reached[edge->from] : 1;

			if (key >= 0)
				share = Min(share, fabs(shares[key]));
			if (pair >= 0)
			{
				double known = 0; /* a journey has one of these keys at most */
				double unknown = 0;

				/* the last one is "many": as to pairs, such journeys are taken to be like others */
				for (; k->pair_keys[pair + 1] >= 0; pair++)
				{
					double one = shares[k->pair_keys[pair]];

					known += Max(one, 0);
					unknown = Max(unknown, -one);
				}
				share = Min(share, known + unknown);
			}
			if (share > reached[edge->to])
			{
				reached[edge->to] = share;
				changed = true;
			}
		}
	}
	for (int a = 0; a < p->naccepts; a++)
		result = Max(result, reached[p->accepts[a].position]);
	pfree(reached);
	return result;
}
