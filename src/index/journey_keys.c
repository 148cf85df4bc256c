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

#include "compat.h"
#include "datatype/timestamp.h"
#include "index/journey_keys.h"
#include "index/key_table.h"
#include "miscadmin.h"
#include "touchpoint/frozen_hash.h"

#define ST_SORT sort_keys
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Upper ends of the buckets of distance; the last has none. They grow about
 * logarithmically, through the limits that people write, which so are exact.
 */
static const int64 bucket_ends[] = {
	1 * USECS_PER_SEC,    2 * USECS_PER_SEC,     5 * USECS_PER_SEC,     10 * USECS_PER_SEC,
	20 * USECS_PER_SEC,   30 * USECS_PER_SEC,    1 * USECS_PER_MINUTE,  2 * USECS_PER_MINUTE,
	5 * USECS_PER_MINUTE, 10 * USECS_PER_MINUTE, 15 * USECS_PER_MINUTE, 30 * USECS_PER_MINUTE,
	1 * USECS_PER_HOUR,   2 * USECS_PER_HOUR,    4 * USECS_PER_HOUR,    8 * USECS_PER_HOUR,
	12 * USECS_PER_HOUR,  1 * USECS_PER_DAY,     2 * USECS_PER_DAY,     3 * USECS_PER_DAY,
	7 * USECS_PER_DAY,    14 * USECS_PER_DAY,    30 * USECS_PER_DAY,    60 * USECS_PER_DAY,
	90 * USECS_PER_DAY,   180 * USECS_PER_DAY,   365 * USECS_PER_DAY};

/* What a key is of; part of the hash. */
typedef enum KeyKind
{
	KEY_LABEL = 1,
	KEY_CHANNEL,
	KEY_ACTION,
	KEY_PAIR,
	KEY_MANY,
	KEY_DETAIL,
	KEY_LABEL_DETAIL
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

static inline int64
single_key(KeyKind kind, uint64 channel, uint64 action)
{
	return (int64) mix(mix(kind, channel), action);
}

/* A detail, or a label with one: "label" is then the key without. */
static inline int64
detail_key(KeyKind kind, int64 label, const char *detail, size_t len)
{
	return (int64) mix(mix(kind, (uint64) label), mix_text(0, detail, len));
}

static inline int64
pair_key(int64 a, int64 b, int bucket)
{
	return (int64) mix(mix(mix(KEY_PAIR, (uint64) a), (uint64) b), bucket);
}

/*
 * Smallest distance of each two of n labels, whose numbers without details are given,
 * by a * n + b: to touchpoints of every label b the last one of each label a that came
 * before and is near. The labels seen are kept in the order of their last touchpoints,
 * so what is near comes first.
 */
static void
nearest(const JourneyView *v, const uint32 *number, uint32 n, int64 horizon, int64 *distance)
{
	uint32 recent[JOURNEY_KEYS_LABELS_MAX];
	int64 last[JOURNEY_KEYS_LABELS_MAX];
	int nrecent = 0;
	EliasFanoCursor times;

	ef_start(&v->times, &times);
	for (uint32 i = 0; i < v->n; i++)
	{
		uint32 b = number[journey_label_at(v, i)];
		int64 time = journey_time_from_offset(v, ef_next(&v->times, &times));
		uint32 carry = b;

		if (i % 0x10000 == 0)
			CHECK_FOR_INTERRUPTS();
		for (int r = 0; r < nrecent; r++)
		{
			uint32 a = recent[r];
			int64 usecs = time - last[a]; /* finite times: their difference may overflow */
			int64 *least = &distance[a * n + b];

			if (usecs < 0 || usecs > horizon)
				break;
			if (usecs < *least)
				*least = usecs;
		}
		/* b to the front, those before it one place on */
		for (int r = 0; carry != b || r == 0; r++)
		{
			uint32 here = r < nrecent ? recent[r] : b;

			recent[r] = carry;
			carry = here;
			if (r == nrecent)
				nrecent++;
		}
		last[b] = time;
	}
}

int64 *
journey_keys(const JourneyView *v, int64 horizon, int *n)
{
	uint32 nlabels = v->nlabels;
	TouchLabel *labels = journey_dictionary(v);
	uint32 *number = palloc_extended(Max(nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	uint32 nbare = 0; /* labels without their details */
	bool pairs;
	int64 *keys;
	size_t nkeys = 0;
	size_t unique = 0;

	for (uint32 i = 0; i < nlabels; i++)
	{
		if (i == 0 || !touch_label_same_pair(&labels[i - 1], &labels[i]))
			nbare++;
		number[i] = nbare - 1;
	}
	pairs = horizon > 0 && nbare <= JOURNEY_KEYS_LABELS_MAX;
	keys = palloc_extended((3 * (size_t) nbare + (v->details ? 2 * (size_t) nlabels : 0) +
							(pairs ? (size_t) nbare * nbare : 1)) *
							   sizeof(int64),
						   MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < nlabels; i++)
	{
		uint64 channel;
		uint64 action;

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (i > 0 && number[i] == number[i - 1])
			continue;
		channel = mix_text(0, labels[i].channel, labels[i].channel_len);
		action = mix_text(0, labels[i].action, labels[i].action_len);
		/* first those of the labels, by number: pairs are made of them */
		keys[number[i]] = single_key(KEY_LABEL, channel, action);
		keys[nbare + number[i]] = single_key(KEY_CHANNEL, channel, 0);
		keys[2 * (size_t) nbare + number[i]] = single_key(KEY_ACTION, 0, action);
	}
	nkeys = 3 * (size_t) nbare;
	for (uint32 i = 0; i < nlabels && v->details; i++)
	{
		const TouchLabel *label = &labels[i];

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (label->detail_len == 0)
			continue;
		keys[nkeys++] = detail_key(KEY_DETAIL, 0, label->detail, label->detail_len);
		keys[nkeys++] =
			detail_key(KEY_LABEL_DETAIL, keys[number[i]], label->detail, label->detail_len);
	}
	if (pairs)
	{
		int64 distance[JOURNEY_KEYS_LABELS_MAX * JOURNEY_KEYS_LABELS_MAX];

		for (uint32 i = 0; i < nbare * nbare; i++)
			distance[i] = PG_INT64_MAX;
		nearest(v, number, nbare, horizon, distance);
		for (uint32 a = 0; a < nbare; a++)
			for (uint32 b = 0; b < nbare; b++)
				if (distance[a * nbare + b] != PG_INT64_MAX)
					keys[nkeys++] = pair_key(keys[a], keys[b], bucket_of(distance[a * nbare + b]));
	}
	else if (horizon > 0)
		keys[nkeys++] = single_key(KEY_MANY, 0, 0);
	pfree(labels);
	pfree(number);

	sort_keys(keys, nkeys);
	for (size_t i = 0; i < nkeys; i++)
		if (i == 0 || keys[i] != keys[i - 1])
			keys[unique++] = keys[i];
	if (unique > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("journey has too many labels for an index"),
						errdetail("It has %u labels, which make %zu keys.", nlabels, unique)));
	*n = (int) unique;
	return keys;
}

/* ---- patterns ---- */

static int
add_key(PatternKeys *k, keytable_hash *numbers, int64 key)
{
	bool found;
	KeyEntry *entry = keytable_insert(numbers, key, &found);

	if (!found)
	{
		entry->number = k->nkeys;
		k->keys[k->nkeys++] = key;
	}
	return entry->number;
}

static bool
is_label(const Step *step)
{
	return !step->channel.prefix && !step->action.prefix;
}

static int64
label_key(const Step *step)
{
	return single_key(KEY_LABEL, mix_text(0, step->channel.text, step->channel.len),
					  mix_text(0, step->action.text, step->action.len));
}

/* The keys that all touchpoints of a step have, and that tell most. */
static void
add_step_keys(PatternKeys *k, keytable_hash *numbers, int number)
{
	const Step *step = k->program->steps[number];
	const PartTest *detail = &step->detail;
	bool has_detail = !detail->prefix && detail->len > 0;
	int *key = &k->step_key[number];

	if (is_label(step) && has_detail)
		*key = add_key(k, numbers,
					   detail_key(KEY_LABEL_DETAIL, label_key(step), detail->text, detail->len));
	else if (is_label(step))
		*key = add_key(k, numbers, label_key(step));
	else if (!step->channel.prefix)
		*key =
			add_key(k, numbers,
					single_key(KEY_CHANNEL, mix_text(0, step->channel.text, step->channel.len), 0));
	else if (!step->action.prefix)
		*key = add_key(k, numbers,
					   single_key(KEY_ACTION, 0, mix_text(0, step->action.text, step->action.len)));
	if (has_detail && !is_label(step))
		k->step_detail_key[number] =
			add_key(k, numbers, detail_key(KEY_DETAIL, 0, detail->text, detail->len));
}

/* The pair of an edge, or -1 if it asks for none. */
static int
find_pair(PatternKeys *k, keytable_hash *numbers, keytable_hash *pairs, const ProgramEdge *edge,
		  int64 horizon)
{
	const Program *p = k->program;
	int a;
	int b;
	int64 akey;
	int64 bkey;
	int64 most;
	int64 last;
	bool found;
	KeyEntry *entry;
	KeyPair *pair;

	if (edge->from < 0 || horizon == 0)
		return -1;
	a = p->positions[edge->from].step;
	b = p->positions[edge->to].step;
	if (!is_label(p->steps[a]) || !is_label(p->steps[b]))
		return -1;
	most = p->links[edge->link].max;
	if (p->within != PATTERN_UNBOUNDED)
		most = Min(most, p->within);
	if (most > horizon || most == PG_INT64_MAX)
		return -1;
	akey = label_key(p->steps[a]);
	bkey = label_key(p->steps[b]);
	last = pair_key(akey, bkey, bucket_of(most));
	entry = keytable_insert(pairs, last, &found);
	if (found)
		return entry->number;
	entry->number = -1;
	if (k->nkeys + bucket_of(most) + 2 > k->nsingles + PATTERN_KEYS_MAX)
		return -1;
	if (k->many < 0)
		k->many = add_key(k, numbers, single_key(KEY_MANY, 0, 0));
	entry->number = k->npairs;
	pair = &k->pairs[k->npairs++];
	pair->n = bucket_of(most) + 1;
	pair->keys = palloc(pair->n * sizeof(int));
	for (int bucket = 0; bucket < pair->n; bucket++)
		pair->keys[bucket] = add_key(k, numbers, pair_key(akey, bkey, bucket));
	return entry->number;
}

PatternKeys *
pattern_keys(const Program *p, int64 horizon)
{
	PatternKeys *k = palloc0(sizeof(PatternKeys));
	/* numbers of keys, and of pairs by the key of their last bucket */
	keytable_hash *numbers = keytable_create(CurrentMemoryContext, 64, NULL);
	keytable_hash *pairs = keytable_create(CurrentMemoryContext, 64, NULL);

	k->program = p;
	k->keys = palloc((2 * p->nsteps + PATTERN_KEYS_MAX) * sizeof(int64));
	k->pairs = palloc(PATTERN_KEYS_MAX * sizeof(KeyPair));
	k->many = -1;
	k->step_key = palloc(p->nsteps * sizeof(int));
	k->step_detail_key = palloc(p->nsteps * sizeof(int));
	k->edge_pair = palloc(Max(p->nedges, 1) * sizeof(int));
	k->steps_met = palloc(bit_words(p->nsteps) * sizeof(uint64));
	k->edge_met = palloc(Max(p->nedges, 1) * sizeof(bool));
	k->reached = palloc(p->npositions * sizeof(bool));
	for (int s = 0; s < p->nsteps; s++)
		k->step_key[s] = k->step_detail_key[s] = -1;
	for (int q = 0; q < p->npositions; q++) /* not the steps of bans */
	{
		add_step_keys(k, numbers, p->positions[q].step);
	}
	k->nsingles = k->nkeys;
	for (int e = 0; e < p->nedges; e++)
	{
		CHECK_FOR_INTERRUPTS();
		k->edge_pair[e] = find_pair(k, numbers, pairs, &p->edges[e], horizon);
	}
	k->pair_met = palloc(Max(k->npairs, 1) * sizeof(bool));
	keytable_destroy(numbers);
	keytable_destroy(pairs);
	return k;
}

static inline bool
is_present(const char *present, int key)
{
	return key < 0 || present[key] != 0;
}

bool
pattern_keys_allow(const PatternKeys *k, const char *present)
{
	const Program *p = k->program;

	memset(k->steps_met, 0, bit_words(p->nsteps) * sizeof(uint64));
	for (int s = 0; s < p->nsteps; s++)
		if (is_present(present, k->step_key[s]) && is_present(present, k->step_detail_key[s]))
			bit_set(k->steps_met, s);
	if (k->npairs == 0)
		return program_connected(p, k->steps_met, NULL, k->reached);
	for (int i = 0; i < k->npairs; i++)
	{
		const KeyPair *pair = &k->pairs[i];

		k->pair_met[i] = present[k->many] != 0;
		for (int bucket = 0; bucket < pair->n && !k->pair_met[i]; bucket++)
			k->pair_met[i] = present[pair->keys[bucket]] != 0;
	}
	for (int e = 0; e < p->nedges; e++)
		k->edge_met[e] = k->edge_pair[e] < 0 || k->pair_met[k->edge_pair[e]];
	return program_connected(p, k->steps_met, k->edge_met, k->reached);
}

/* The share of journeys that have a pair; as to pairs, those of "many" are taken to be like others. */
static double
pair_share(const KeyPair *pair, const double *shares)
{
	double known = 0; /* a journey has one of these keys at most */
	double unknown = 0;

	for (int bucket = 0; bucket < pair->n; bucket++)
	{
		known += Max(shares[pair->keys[bucket]], 0);
		unknown = Max(unknown, -shares[pair->keys[bucket]]);
	}
	return known + unknown;
}

double
pattern_keys_share(const PatternKeys *k, const double *shares)
{
	const Program *p = k->program;
	double *reached = palloc0(p->npositions * sizeof(double));
	double *pairs = palloc(Max(k->npairs, 1) * sizeof(double));
	double result = 0;
	bool changed = true;

	for (int i = 0; i < k->npairs; i++)
		pairs[i] = pair_share(&k->pairs[i], shares);
	while (changed)
	{
		CHECK_FOR_INTERRUPTS();
		changed = false;
		for (int e = 0; e < p->nedges; e++)
		{
			const ProgramEdge *edge = &p->edges[e];
			int step = p->positions[edge->to].step;
			double share = edge->from >= 0 ? reached[edge->from] : 1;

			if (k->step_key[step] >= 0)
				share = Min(share, fabs(shares[k->step_key[step]]));
			if (k->step_detail_key[step] >= 0)
				share = Min(share, fabs(shares[k->step_detail_key[step]]));
			if (k->edge_pair[e] >= 0)
				share = Min(share, pairs[k->edge_pair[e]]);
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
	pfree(pairs);
	return result;
}
