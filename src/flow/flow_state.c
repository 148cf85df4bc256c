/*
 * flow_state.c
 *		A flow in memory: an expanded object that is counted into, read, and makes a value.
 *
 * It is changed in place, in a context below the aggregate's, as channel_measures is.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/int.h"
#include "compat.h"
#include "flow/flow.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct FlowBytes
{
	const uint8 *p;
	size_t len;
} FlowBytes;

typedef struct FlowBytesEntry
{
	FlowBytes bytes;
	uint32 hash;
	uint32 number;
	char status;
} FlowBytesEntry;

/* Keys are many and short. */
static inline uint32
hash_key(FlowBytes b)
{
	uint64 h = b.len * UINT64CONST(0x9e3779b97f4a7c15);
	const uint8 *p = b.p;
	size_t len = b.len;
	uint64 word;

	for (; len >= 8; len -= 8, p += 8)
	{
		memcpy(&word, p, 8);
		h = (h ^ word) * UINT64CONST(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	word = 0;
	for (; len > 0; len--)
		word = word << 8 | *p++;
	h = (h ^ word) * UINT64CONST(0xff51afd7ed558ccd);
	h ^= h >> 29;
	return (uint32) (h ^ h >> 32);
}

#define SH_PREFIX flow_items
#define SH_ELEMENT_TYPE FlowBytesEntry
#define SH_KEY_TYPE FlowBytes
#define SH_KEY bytes
#define SH_HASH_KEY(tb, key) hash_key(key)
#define SH_EQUAL(tb, a, b) ((a).len == (b).len && memcmp((a).p, (b).p, (a).len) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define SH_PREFIX flow_paths
#define SH_ELEMENT_TYPE FlowBytesEntry
#define SH_KEY_TYPE FlowBytes
#define SH_KEY bytes
#define SH_HASH_KEY(tb, key) hash_key(key)
#define SH_EQUAL(tb, a, b) ((a).len == (b).len && memcmp((a).p, (b).p, (a).len) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct FlowEdgeKey
{
	uint32 step;
	uint32 node;
	uint32 other;
} FlowEdgeKey;

typedef struct FlowEdgeEntry
{
	FlowEdgeKey key;
	uint32 number;
	char status;
} FlowEdgeEntry;

static inline uint32
hash_edge(FlowEdgeKey key)
{
	uint32 h = key.step * 0x9e3779b1 ^ key.node * 0x85ebca77 ^ key.other * 0xc2b2ae3d;

	h ^= h >> 15;
	h *= 0x2c1b3c6d;
	return h ^ h >> 13;
}

#define SH_PREFIX flow_edges
#define SH_ELEMENT_TYPE FlowEdgeEntry
#define SH_KEY_TYPE FlowEdgeKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_edge(key)
#define SH_EQUAL(tb, a, b) ((a).step == (b).step && (a).node == (b).node && (a).other == (b).other)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static Size flat_size(ExpandedObjectHeader *eohptr);
static void flatten_into(ExpandedObjectHeader *eohptr, void *result, Size allocated_size);

static const ExpandedObjectMethods flow_methods = {flat_size, flatten_into};

/* --- the state --- */

/* A flow of these options, canonical, in cxt, which holds all of it. NULL: they are none. */
Flow *
flow_create(const bytea *options, MemoryContext cxt)
{
	static uint64 serial;
	MemoryContext old = MemoryContextSwitchTo(cxt);
	size_t len = VARSIZE_ANY_EXHDR(options);
	Flow *m = palloc0(sizeof(Flow));
	FlowOptions *parsed = flow_options_of_bytes((const uint8 *) VARDATA_ANY(options), len);

	EOH_init_header(&m->hdr, &flow_methods, cxt);
	m->magic = FLOW_MAGIC;
	m->serial = ++serial;
	m->options_bytes = palloc(VARHDRSZ + len);
	SET_VARSIZE(m->options_bytes, VARHDRSZ + len);
	memcpy(VARDATA(m->options_bytes), VARDATA_ANY(options), len);
	m->item_table = flow_items_create(cxt, 8, NULL);
	m->path_table = flow_paths_create(cxt, 8, NULL);
	m->edge_table = flow_edges_create(cxt, 8, NULL);
	MemoryContextSwitchTo(old);
	if (parsed == NULL)
		return NULL;
	m->options = *parsed;
	return m;
}

/* The array, of elements of a size, with room for one more. */
static inline void *
array_room(Flow *m, void *array, size_t size, uint32 n, uint32 *max)
{
	if (likely(n < *max))
		return array;
	if (*max == 0)
	{
		*max = 4;
		return MemoryContextAlloc(m->hdr.eoh_context, *max * size);
	}
	if (*max >= 1U << 31)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("flow is too large"),
						errhint("Use max_steps, or items of which there are fewer.")));
	array = repalloc_huge(array, 2 * (size_t) *max * size);
	*max *= 2;
	return array;
}

static uint8 *
keep_bytes(Flow *m, const void *p, size_t len)
{
	uint8 *copy;

	if (len > m->arena_left || m->arena == NULL)
	{
		size_t more = Max(len, Min(65536, Max(1024, 8 * (size_t) m->npaths)));

		m->arena = MemoryContextAllocHuge(m->hdr.eoh_context, more);
		m->arena_left = more;
	}
	copy = m->arena;
	if (len > 0)
		memcpy(copy, p, len);
	m->arena += len;
	m->arena_left -= len;
	return copy;
}

void
flow_sum(int64 *sum, int64 count)
{
	if (unlikely(pg_add_s64_overflow(*sum, count, sum)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("bigint out of range")));
}

/* The number of an item, new or known. */
uint32
flow_add_item(Flow *m, const char *text, size_t len)
{
	FlowBytes key = {(const uint8 *) text, len};
	FlowBytesEntry *entry = flow_items_lookup(m->item_table, key);
	bool found;

	if (entry)
		return entry->number;
	m->items = array_room(m, m->items, sizeof(FlowText), m->nitems, &m->items_max);
	key.p = keep_bytes(m, text, len);
	m->items[m->nitems] = (FlowText) {(const char *) key.p, len};
	flow_items_insert(m->item_table, key, &found)->number = m->nitems;
	return m->nitems++;
}

int
flow_item_cmp(const Flow *m, uint32 a, uint32 b)
{
	return label_bytes_cmp(m->items[a].text, m->items[a].len, m->items[b].text, m->items[b].len);
}

FlowPath *
flow_add_path(Flow *m, const uint8 *key, uint32 len, bool *found)
{
	FlowBytes bytes = {key, len};
	FlowBytesEntry *entry = flow_paths_insert(m->path_table, bytes, found);

	if (!*found)
	{
		/* sound even if memory runs out here */
		entry->number = m->npaths;
		entry->bytes.p = keep_bytes(m, key, len);
		m->paths = array_room(m, m->paths, sizeof(FlowPath), m->npaths, &m->paths_max);
		memset(&m->paths[m->npaths], 0, sizeof(FlowPath));
		m->paths[m->npaths].key = entry->bytes.p;
		m->paths[m->npaths++].len = len;
	}
	return &m->paths[entry->number];
}

static void
new_edge(Flow *m, uint32 step, uint32 node, uint32 other)
{
	FlowEdge *e;

	m->edges = array_room(m, m->edges, sizeof(FlowEdge), m->nedges, &m->edges_max);
	e = &m->edges[m->nedges];
	memset(e, 0, sizeof(FlowEdge));
	e->step = step;
	e->node = node;
	e->other = other;
	e->least = PG_INT64_MAX;
	m->nedges++;
}

FlowEdge *
flow_add_edge(Flow *m, uint32 step, uint32 node, uint32 other)
{
	bool found;
	FlowEdgeEntry *entry =
		flow_edges_insert(m->edge_table, (FlowEdgeKey) {step, node, other}, &found);

	if (!found)
	{
		entry->number = m->nedges;
		new_edge(m, step, node, other);
	}
	/* a small flow, of which there may be many, has no room for what is only faster */
	if (node < FLOW_NEAR && other < FLOW_NEAR && step <= FLOW_NEAR_STEPS &&
		m->paths_sum >= FLOW_NEAR_PATHS)
	{
		if (m->near[step - 1] == NULL)
			m->near[step - 1] =
				MemoryContextAllocZero(m->hdr.eoh_context, FLOW_NEAR * FLOW_NEAR * sizeof(uint32));
		m->near[step - 1][node * FLOW_NEAR + other] = entry->number + 1;
	}
	return &m->edges[entry->number];
}

/* --- times --- */

/* Put what is pending, and more, among the runs. */
static void
flush_times(Flow *m, FlowTimes *t, const FlowRun *more, uint32 nmore)
{
	const uint16 *pending = t->max == 0 ? NULL : t->values;
	uint32 low = FLOW_BUCKETS;
	uint32 high = 0;
	uint32 n = 0;

	if (t->n == 0 && nmore == 0)
		return;
	if (m->histogram == NULL)
		m->histogram = MemoryContextAllocZero(m->hdr.eoh_context, FLOW_BUCKETS * sizeof(uint64));
	for (uint32 i = 0; i < t->n; i++)
	{
		uint32 bucket = pending ? pending[i] : (uint32) t->one;

		m->histogram[bucket]++;
		low = Min(low, bucket);
		high = Max(high, bucket);
	}
	for (uint32 i = 0; i < t->nruns + nmore; i++)
	{
		const FlowRun *run = i < t->nruns ? &t->runs[i] : &more[i - t->nruns];

		m->histogram[run->time] += run->count;
		low = Min(low, run->time);
		high = Max(high, run->time);
	}
	for (uint32 bucket = low; bucket <= high; bucket++)
		n += m->histogram[bucket] != 0;
	if (n > t->runs_max)
	{
		uint32 max = Min(FLOW_BUCKETS, n + n / 4);

		/* the histogram has them */
		if (t->runs)
			pfree(t->runs);
		t->runs = NULL;
		t->nruns = 0;
		t->runs = MemoryContextAlloc(m->hdr.eoh_context, max * sizeof(FlowRun));
		t->runs_max = max;
	}
	n = 0;
	for (uint32 bucket = low; bucket <= high; bucket++)
		if (m->histogram[bucket] != 0)
		{
			t->runs[n++] = (FlowRun) {bucket, m->histogram[bucket]};
			m->histogram[bucket] = 0;
		}
	t->nruns = n;
	t->n = 0;
}

#define PENDING_MIN 8
#define PENDING_MAX 4096

/* A second one, or one more than there is room for. */
static pg_noinline void
times_room(Flow *m, FlowTimes *t)
{
	size_t size = m->rounded ? sizeof(uint16) : sizeof(int64);

	if (t->max == 0)
	{
		t->values = MemoryContextAlloc(m->hdr.eoh_context, PENDING_MIN * size);
		t->max = PENDING_MIN;
		if (t->n == 1 && m->rounded)
			*(uint16 *) t->values = t->one;
		else if (t->n == 1)
			*(int64 *) t->values = t->one;
		return;
	}
	if (m->rounded && t->max >= PENDING_MAX)
	{
		flush_times(m, t, NULL, 0);
		return;
	}
	t->values = repalloc(t->values, 2 * t->max * size);
	t->max *= 2;
}

/* A time, or a bucket if the flow is rounded. */
static inline void
add_value(Flow *m, FlowTimes *t, int64 value)
{
	if (unlikely(t->n >= t->max))
	{
		if (t->max == 0 && t->n == 0)
		{
			t->one = value;
			t->n = 1;
			return;
		}
		times_room(m, t);
	}
	if (m->rounded)
		((uint16 *) t->values)[t->n++] = (uint16) value;
	else
		((int64 *) t->values)[t->n++] = value;
}

void
flow_add_time(Flow *m, FlowTimes *t, int64 time)
{
	add_value(m, t, m->rounded ? flow_bucket(time) : time);
}

/* Times that are there so often; rounded: what is added are buckets. */
void
flow_add_runs(Flow *m, FlowTimes *t, FlowRun *runs, uint32 n, bool rounded)
{
	for (uint32 i = 0; i < n && m->rounded && !rounded; i++)
		runs[i].time = flow_bucket(runs[i].time);
	if (m->rounded && (n > 1 || runs[0].count > 1))
	{
		flush_times(m, t, runs, n);
		return;
	}
	for (uint32 i = 0; i < n; i++)
		for (int64 k = 0; k < runs[i].count; k++)
			add_value(m, t, runs[i].time);
}

static void
round_times(FlowTimes *t)
{
	const int64 *times = t->values;
	uint16 *buckets = t->values;

	if (t->max == 0)
		t->one = t->n > 0 ? flow_bucket(t->one) : 0;
	else
		for (uint32 i = 0; i < t->n; i++)
			buckets[i] = flow_bucket(times[i]);
}

/* From here on, times are buckets. */
void
flow_round(Flow *m)
{
	/* nothing here can fail before all of them are */
	for (uint32 i = 0; i < m->nedges; i++)
		round_times(&m->edges[i].times);
	for (uint32 i = 0; i < m->npaths; i++)
		round_times(&m->paths[i].durations);
	m->rounded = true;
	for (uint32 i = 0; i < m->nedges + m->npaths; i++)
	{
		FlowTimes *t = i < m->nedges ? &m->edges[i].times : &m->paths[i - m->nedges].durations;

		if (t->max <= PENDING_MAX)
			continue;
		flush_times(m, t, NULL, 0);
		t->values = repalloc(t->values, PENDING_MAX * sizeof(uint16));
		t->max = PENDING_MAX;
	}
}

void
flow_edge_time(Flow *m, FlowEdge *e, int64 time)
{
	e->least = Min(e->least, time);
	e->greatest = Max(e->greatest, time);
	e->sum += time;
	e->sum_high += e->sum < time;
	flow_add_time(m, &e->times, time);
}

#define ST_SORT sort_int64
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* All times, ascending, in the current context. */
FlowRun *
flow_runs(Flow *m, FlowTimes *t, uint32 *n)
{
	const int64 *times = t->max == 0 ? &t->one : t->values;
	FlowRun *runs;

	if (m->rounded)
	{
		flush_times(m, t, NULL, 0);
		*n = t->nruns;
		return t->runs;
	}
	*n = 0;
	if (t->max > 0)
		sort_int64(t->values, t->n);
	runs = palloc_extended(Max(t->n, 1) * sizeof(FlowRun), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < t->n; i++)
		if (*n > 0 && runs[*n - 1].time == times[i])
			runs[*n - 1].count++;
		else
			runs[(*n)++] = (FlowRun) {times[i], 1};
	return runs;
}

/* --- the flat form --- */

typedef struct Writer
{
	uint8 *data;
	size_t len;
	size_t max;
} Writer;

static inline void
write_room(Writer *w, size_t more)
{
	if (likely(w->max - w->len >= more))
		return;
	if (w->len + more > MaxAllocSize)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("flow is too large"),
						errdetail("It would have more than %zu bytes.", (size_t) MaxAllocSize),
						errhint("Use max_steps, or items of which there are fewer.")));
	w->max = Min(MaxAllocSize, 2 * (w->len + more));
	w->data = repalloc(w->data, w->max);
}

static inline void
write_number(Writer *w, uint64 number)
{
	write_room(w, LEB_MAX_BYTES);
	w->len = leb_write(w->data + w->len, number) - w->data;
}

static void
write_bytes(Writer *w, const void *p, size_t len)
{
	write_room(w, len);
	if (len > 0)
		memcpy(w->data + w->len, p, len);
	w->len += len;
}

static void
write_times(Writer *w, Flow *m, FlowTimes *t)
{
	uint32 n;
	FlowRun *runs = flow_runs(m, t, &n);
	int64 before = 0;

	write_number(w, n);
	for (uint32 i = 0; i < n; i++)
	{
		bool several = runs[i].count > 1;

		write_number(w, (uint64) (runs[i].time - before) << 1 | several);
		if (several)
			write_number(w, runs[i].count);
		before = runs[i].time;
	}
	if (runs != t->runs)
		pfree(runs);
}

typedef struct ItemPlace
{
	FlowText text;
	uint32 number;
} ItemPlace;

#define ST_SORT sort_item_places
#define ST_ELEMENT_TYPE ItemPlace
#define ST_COMPARE(a, b)                                                                           \
	label_bytes_cmp((a)->text.text, (a)->text.len, (b)->text.text, (b)->text.len)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct PathPlace
{
	uint64 prefix; /* so many bytes of the key, big-endian */
	const uint8 *key;
	uint32 len;
	uint32 number;
} PathPlace;

static inline int
path_place_cmp(const PathPlace *a, const PathPlace *b)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	return label_bytes_cmp((const char *) a->key, a->len, (const char *) b->key, b->len);
}

#define ST_SORT sort_path_places
#define ST_ELEMENT_TYPE PathPlace
#define ST_COMPARE(a, b) path_place_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct EdgePlace
{
	uint32 step;
	uint32 node;
	uint32 other;
	uint32 number;
} EdgePlace;

static inline int
edge_place_cmp(const EdgePlace *a, const EdgePlace *b)
{
	if (a->step != b->step)
		return a->step < b->step ? -1 : 1;
	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	return a->other < b->other ? -1 : a->other > b->other;
}

#define ST_SORT sort_edge_places
#define ST_ELEMENT_TYPE EdgePlace
#define ST_COMPARE(a, b) edge_place_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

static inline void *
alloc_scratch(size_t n, size_t size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE);
}

static void
write_paths(Writer *w, Flow *m, const uint32 *ranks)
{
	PathPlace *places = alloc_scratch(m->npaths, sizeof(PathPlace));
	const PathPlace *before = NULL;
	size_t bytes = 0;
	uint8 *keys;
	uint8 *p;

	for (uint32 i = 0; i < m->npaths; i++)
		bytes += (size_t) m->paths[i].len * 5;
	p = keys = palloc_extended(bytes + 8, MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < m->npaths; i++)
	{
		const uint8 *from = m->paths[i].key;
		const uint8 *end = from + m->paths[i].len;
		uint8 prefix[8] = {0};

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		places[i].key = p;
		places[i].number = i;
		*p++ = *from++;
		while (from < end)
		{
			uint32 item;

			from = flow_step(from, end, &item);
			p = leb_write(p, ranks[item]);
		}
		places[i].len = p - places[i].key;
		memcpy(prefix, places[i].key, Min(places[i].len, 8));
		places[i].prefix = pg_bswap64(load_little64(prefix));
	}
	sort_path_places(places, m->npaths);
	write_number(w, m->npaths);
	for (uint32 i = 0; i < m->npaths; i++)
	{
		const PathPlace *place = &places[i];
		FlowPath *path = &m->paths[place->number];
		uint32 same = 0;

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		while (before && same < Min(before->len, place->len) &&
			   before->key[same] == place->key[same])
			same++;
		write_number(w, same);
		write_number(w, place->len - same);
		write_bytes(w, place->key + same, place->len - same);
		write_number(w, path->paths);
		write_times(w, m, &path->durations);
		before = place;
	}
	pfree(keys);
	pfree(places);
}

static void
write_edges(Writer *w, Flow *m, const uint32 *ranks)
{
	EdgePlace *places = alloc_scratch(m->nedges, sizeof(EdgePlace));
	uint32 before = 0;

	for (uint32 i = 0; i < m->nedges; i++)
	{
		const FlowEdge *e = &m->edges[i];

		places[i] = (EdgePlace) {
			e->step, ranks[e->node],
			e->other < FLOW_ITEM ? e->other : ranks[e->other - FLOW_ITEM] + FLOW_ITEM, i};
	}
	sort_edge_places(places, m->nedges);
	write_number(w, m->nedges);
	for (uint32 i = 0; i < m->nedges; i++)
	{
		FlowEdge *e = &m->edges[places[i].number];

		CHECK_FOR_INTERRUPTS();
		write_number(w, e->step - before);
		before = e->step;
		write_number(w, places[i].node);
		write_number(w, places[i].other);
		write_number(w, e->paths);
		write_number(w, e->touchpoints - e->paths);
		if (e->other < FLOW_ITEM)
			continue;
		write_times(w, m, &e->times);
		if (m->rounded)
		{
			write_number(w, e->sum);
			write_number(w, e->sum_high);
			write_number(w, e->least);
			write_number(w, e->greatest);
		}
	}
	pfree(places);
}

/* The flat form, which belongs to the state. */
struct varlena *
flow_flat(Flow *m)
{
	MemoryContext old;
	ItemPlace *items;
	uint32 *ranks;
	uint32 nitems = 0;
	Writer w;

	if (m->flat)
		return m->flat;
	/* the server may ask for it where nothing can be freed, as when it sorts */
	old = MemoryContextSwitchTo(m->hdr.eoh_context);
	items = alloc_scratch(m->nitems, sizeof(ItemPlace));
	ranks = alloc_scratch(m->nitems, sizeof(uint32));
	/* only those of paths: each is the node of an edge */
	memset(ranks, 0, m->nitems * sizeof(uint32));
	for (uint32 i = 0; i < m->nedges; i++)
		ranks[m->edges[i].node] = 1;
	for (uint32 i = 0; i < m->nitems; i++)
		if (ranks[i] != 0)
			items[nitems++] = (ItemPlace) {m->items[i], i};
	sort_item_places(items, nitems);
	for (uint32 i = 0; i < nitems; i++)
		ranks[items[i].number] = i;

	w.max = 512;
	w.data = palloc(w.max);
	w.len = VARHDRSZ;
	w.data[w.len++] = FLOW_VERSION;
	w.data[w.len++] = m->rounded;
	write_number(&w, VARSIZE(m->options_bytes) - VARHDRSZ);
	write_bytes(&w, VARDATA(m->options_bytes), VARSIZE(m->options_bytes) - VARHDRSZ);
	write_number(&w, nitems);
	for (uint32 i = 0; i < nitems; i++)
	{
		write_number(&w, items[i].text.len);
		write_bytes(&w, items[i].text.text, items[i].text.len);
	}
	write_paths(&w, m, ranks);
	write_edges(&w, m, ranks);
	SET_VARSIZE(w.data, w.len);
	pfree(ranks);
	pfree(items);
	MemoryContextSwitchTo(old);
	m->flat = (struct varlena *) w.data;
	return m->flat;
}

static Size
flat_size(ExpandedObjectHeader *eohptr)
{
	return VARSIZE(flow_flat((Flow *) eohptr));
}

static void
flatten_into(ExpandedObjectHeader *eohptr, void *result, Size allocated_size)
{
	struct varlena *flat = flow_flat((Flow *) eohptr);

	Assert(allocated_size == VARSIZE(flat));
	memcpy(result, flat, VARSIZE(flat));
}
