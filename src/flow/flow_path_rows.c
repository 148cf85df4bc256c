/*
 * flow_path_rows.c
 *		What paths of a flow tell: transitions, items, what follows what, variants.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "compat.h"
#include "flow/flow_rows.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* --- pairs of items, counted --- */

typedef struct PairEntry
{
	uint64 key;
	int64 times;
	int64 paths;
	uint64 path; /* the one that was counted last, from 1 */
	char status;
} PairEntry;

#define SH_PREFIX pair_table
#define SH_ELEMENT_TYPE PairEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) (UINT64CONST(0x9e3779b97f4a7c15) * (key) >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Pairs of few items have a table of their own. */
#define DENSE_ITEMS 512

typedef struct Pairs
{
	uint32 nitems;
	PairEntry *dense;
	pair_table_hash *table;
} Pairs;

static void
pairs_create(Pairs *p, uint32 nitems)
{
	p->nitems = nitems;
	p->dense = NULL;
	p->table = NULL;
	if (nitems <= DENSE_ITEMS)
		p->dense = flow_scratch((size_t) nitems * nitems, sizeof(PairEntry));
	else
		p->table = pair_table_create(CurrentMemoryContext, 1024, NULL);
}

static inline PairEntry *
pair_of(Pairs *p, uint32 source, uint32 target)
{
	uint64 key = (uint64) source * p->nitems + target;
	PairEntry *entry;
	bool found;

	if (likely(p->dense))
		return &p->dense[key];
	entry = pair_table_insert(p->table, key, &found);
	if (!found)
		entry->times = entry->paths = entry->path = 0;
	return entry;
}

/* As many of them as there are paths, each pair at most once a path. */
static inline void
count_pair(PairEntry *pair, uint64 path, int64 paths)
{
	if (pair->path == path)
		return;
	pair->path = path;
	flow_sum(&pair->paths, paths);
}

/* Items of a path, in scratch that grows. */
typedef struct Unpacked
{
	uint32 *items;
	uint32 n;
	uint32 max;
} Unpacked;

static void
unpack(Unpacked *u, const FlowPath *path)
{
	const uint8 *p = path->key + 1;
	const uint8 *end = path->key + path->len;

	if (path->len > u->max)
	{
		u->max = Max(256, 2 * path->len);
		u->items = u->items ? repalloc_huge(u->items, u->max * sizeof(uint32))
							: palloc_extended(u->max * sizeof(uint32), MCXT_ALLOC_HUGE);
	}
	for (u->n = 0; p < end; u->n++)
		p = flow_step(p, end, &u->items[u->n]);
}

/* --- flow_transitions --- */

static void
end_rows(FlowRows *set, const int64 *counts, bool starts)
{
	for (uint32 i = 0; i < set->m->nitems; i++)
		if (counts[i] > 0)
		{
			FlowRow *row = flow_add_row(set);

			row->source = starts ? FLOW_END : i + FLOW_ITEM;
			row->target = starts ? i + FLOW_ITEM : FLOW_END;
			row->a = row->b = counts[i];
			row->timeless = true;
		}
}

static void
make_transitions(FunctionCallInfo fcinfo, FlowRows *set)
{
	Flow *m = set->m;
	FlowPlace *places = flow_scratch(m->nedges, sizeof(FlowPlace));
	Spread *spread = spread_create(m);
	int64 *starts = flow_scratch(m->nitems, sizeof(int64));
	int64 *ends = flow_scratch(m->nitems, sizeof(int64));
	Unpacked path = {0};
	uint32 n = 0;
	Pairs pairs;

	pairs_create(&pairs, m->nitems);
	for (uint32 i = 0; i < m->npaths; i++)
	{
		bool cut = (m->paths[i].key[0] & FLOW_CUT) != 0;

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		unpack(&path, &m->paths[i]);
		for (uint32 k = 0; k + 1 < path.n; k++)
			count_pair(pair_of(&pairs, path.items[k], path.items[k + 1]), i + 1, m->paths[i].paths);
		if (!cut || !m->options.backward)
			flow_sum(&starts[path.items[0]], m->paths[i].paths);
		if (!cut || m->options.backward)
			flow_sum(&ends[path.items[path.n - 1]], m->paths[i].paths);
	}
	for (uint32 i = 0; i < m->nedges; i++)
	{
		const FlowEdge *e = &m->edges[i];
		uint32 node = e->node + FLOW_ITEM;

		if (e->other >= FLOW_ITEM)
			places[n++] = (FlowPlace) {0, m->options.backward ? e->other : node,
									   m->options.backward ? node : e->other, i};
	}
	flow_sort_places(places, n);
	for (uint32 i = 0; i < n;)
	{
		const FlowPlace *first = &places[i];
		FlowRow *row = flow_add_row(set);

		CHECK_FOR_INTERRUPTS();
		spread_reset(spread);
		for (; i < n && places[i].source == first->source && places[i].target == first->target; i++)
		{
			FlowEdge *e = &m->edges[places[i].edge];

			flow_sum(&row->a, e->paths);
			spread_add(spread, m, e);
		}
		row->source = first->source;
		row->target = first->target;
		row->b = pair_of(&pairs, first->source - FLOW_ITEM, first->target - FLOW_ITEM)->paths;
		flow_keep_interval(row, 0, spread_mean(spread));
		flow_keep_interval(row, 1, spread_quantile(spread, 5, true));
		flow_keep_interval(row, 2, spread_quantile(spread, 9, true));
		flow_keep_interval(row, 3, usecs_interval(spread->least));
		flow_keep_interval(row, 4, usecs_interval(spread->greatest));
	}
	end_rows(set, starts, true);
	end_rows(set, ends, false);
	flow_sort_rows(set);
}

static bool
transition_row(void *arg, Datum *values, bool *nulls)
{
	FlowRows *set = arg;
	FlowRow *row;

	if (set->i >= set->n)
		return false;
	row = &set->list[set->i++];
	nulls[0] = row->source == FLOW_END;
	nulls[1] = row->target == FLOW_END;
	if (!nulls[0])
		values[0] = flow_item_text(set, row->source - FLOW_ITEM);
	if (!nulls[1])
		values[1] = flow_item_text(set, row->target - FLOW_ITEM);
	values[2] = Int64GetDatum(row->a);
	values[3] = Int64GetDatum(row->b);
	for (int i = 0; i < 5; i++)
	{
		values[4 + i] = IntervalPGetDatum(&row->times[i]);
		nulls[4 + i] = row->timeless;
	}
	return true;
}

PG_FUNCTION_INFO_V1(flow_transitions);
Datum
flow_transitions(PG_FUNCTION_ARGS)
{
	return flow_rows(fcinfo, make_transitions, transition_row);
}

/* --- flow_follows --- */

static void
add_pair(FlowRows *set, uint32 source, uint32 target, const PairEntry *pair)
{
	FlowRow *row = flow_add_row(set);

	row->source = source + FLOW_ITEM;
	row->target = target + FLOW_ITEM;
	row->a = pair->times;
	row->b = pair->paths;
}

static void
make_follows(FunctionCallInfo fcinfo, FlowRows *set)
{
	Flow *m = set->m;
	int64 *before = flow_scratch(m->nitems, sizeof(int64)); /* of the path at hand */
	uint32 *used = flow_scratch(m->nitems, sizeof(uint32));
	Unpacked path = {0};
	Pairs pairs;

	pairs_create(&pairs, m->nitems);
	for (uint32 i = 0; i < m->npaths; i++)
	{
		uint32 nused = 0;

		unpack(&path, &m->paths[i]);
		for (uint32 k = 0; k < path.n; k++)
		{
			uint32 item = path.items[k];

			if ((k + i) % LABEL_INTERRUPT_EVERY == 0)
				CHECK_FOR_INTERRUPTS();
			for (uint32 u = 0; u < nused; u++)
			{
				PairEntry *pair = pair_of(&pairs, used[u], item);
				int64 times;

				if (pg_mul_s64_overflow(before[used[u]], m->paths[i].paths, &times))
					times = PG_INT64_MAX;
				flow_sum(&pair->times, times);
				count_pair(pair, i + 1, m->paths[i].paths);
			}
			if (before[item]++ == 0)
				used[nused++] = item;
		}
		while (nused > 0)
			before[used[--nused]] = 0;
	}
	for (uint32 source = 0; pairs.dense && source < m->nitems; source++)
		for (uint32 target = 0; target < m->nitems; target++)
		{
			const PairEntry *pair = pair_of(&pairs, source, target);

			if (pair->times > 0)
				add_pair(set, source, target, pair);
		}
	if (pairs.table)
	{
		pair_table_iterator it;
		PairEntry *pair;

		pair_table_start_iterate(pairs.table, &it);
		while ((pair = pair_table_iterate(pairs.table, &it)) != NULL)
			add_pair(set, pair->key / m->nitems, pair->key % m->nitems, pair);
	}
	flow_sort_rows(set);
}

static bool
follows_row(void *arg, Datum *values, bool *nulls)
{
	FlowRows *set = arg;
	FlowRow *row;

	if (set->i >= set->n)
		return false;
	row = &set->list[set->i++];
	values[0] = flow_item_text(set, row->source - FLOW_ITEM);
	values[1] = flow_item_text(set, row->target - FLOW_ITEM);
	values[2] = Int64GetDatum(row->a);
	values[3] = Int64GetDatum(row->b);
	return true;
}

PG_FUNCTION_INFO_V1(flow_follows);
Datum
flow_follows(PG_FUNCTION_ARGS)
{
	return flow_rows(fcinfo, make_follows, follows_row);
}

/* --- flow_items --- */

typedef struct ItemCounts
{
	int64 visits;
	int64 paths;
	int64 rework;
	int64 starts;
	int64 ends;
	uint64 path; /* the one at hand, from 1 */
	uint64 again;
} ItemCounts;

static void
make_items(FunctionCallInfo fcinfo, FlowRows *set)
{
	Flow *m = set->m;
	ItemCounts *counts = flow_scratch(m->nitems, sizeof(ItemCounts));
	Unpacked path = {0};

	for (uint32 i = 0; i < m->npaths; i++)
	{
		int64 paths = m->paths[i].paths;
		bool cut = (m->paths[i].key[0] & FLOW_CUT) != 0;

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		unpack(&path, &m->paths[i]);
		for (uint32 k = 0; k < path.n; k++)
		{
			ItemCounts *c = &counts[path.items[k]];

			flow_sum(&c->visits, paths);
			if (c->path != i + 1)
				flow_sum(&c->paths, paths);
			else if (c->again != i + 1)
			{
				flow_sum(&c->rework, paths);
				c->again = i + 1;
			}
			c->path = i + 1;
		}
		if (!cut || !m->options.backward)
			flow_sum(&counts[path.items[0]].starts, paths);
		if (!cut || m->options.backward)
			flow_sum(&counts[path.items[path.n - 1]].ends, paths);
	}
	for (uint32 i = 0; i < m->nitems; i++)
		if (counts[i].visits > 0)
		{
			FlowRow *row = flow_add_row(set);

			row->source = i + FLOW_ITEM;
			row->a = counts[i].visits;
			row->b = counts[i].paths;
			row->c = counts[i].rework;
			row->times[0].time = counts[i].starts;
			row->times[1].time = counts[i].ends;
		}
	flow_sort_rows(set);
}

static bool
item_row(void *arg, Datum *values, bool *nulls)
{
	FlowRows *set = arg;
	FlowRow *row;

	if (set->i >= set->n)
		return false;
	row = &set->list[set->i++];
	values[0] = flow_item_text(set, row->source - FLOW_ITEM);
	values[1] = Int64GetDatum(row->a);
	values[2] = Int64GetDatum(row->b);
	values[3] = Int64GetDatum(row->c);
	values[4] = Int64GetDatum(row->times[0].time);
	values[5] = Int64GetDatum(row->times[1].time);
	return true;
}

PG_FUNCTION_INFO_V1(flow_items);
Datum
flow_items(PG_FUNCTION_ARGS)
{
	return flow_rows(fcinfo, make_items, item_row);
}

/* --- flow_variants --- */

/* The order of items, so that paths can be compared by numbers. */
typedef struct Variants
{
	const Flow *m;
	uint32 *ranks;
} Variants;

static int
variant_cmp(const FlowRow *a, const FlowRow *b, const Variants *v)
{
	const uint8 *p = a->path->key + 1;
	const uint8 *q = b->path->key + 1;
	const uint8 *p_end = a->path->key + a->path->len;
	const uint8 *q_end = b->path->key + b->path->len;

	if (a->a != b->a)
		return a->a > b->a ? -1 : 1;
	while (p < p_end && q < q_end)
	{
		uint32 x;
		uint32 y;

		p = flow_step(p, p_end, &x);
		q = flow_step(q, q_end, &y);
		if (x != y)
			return v->ranks[x] < v->ranks[y] ? -1 : 1;
	}
	if (p < p_end || q < q_end)
		return q < q_end ? -1 : 1;
	return a->path->key[0] < b->path->key[0] ? -1 : a->path->key[0] > b->path->key[0];
}

#define ST_SORT sort_variants
#define ST_ELEMENT_TYPE FlowRow
#define ST_COMPARE(a, b, v) variant_cmp(a, b, v)
#define ST_COMPARE_ARG_TYPE const Variants
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_numbers
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b, m) flow_item_cmp(m, *(a), *(b))
#define ST_COMPARE_ARG_TYPE const Flow
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

static void
make_variants(FunctionCallInfo fcinfo, FlowRows *set)
{
	Flow *m = set->m;
	uint32 *order = flow_scratch(m->nitems, sizeof(uint32));
	Variants v = {m, flow_scratch(m->nitems, sizeof(uint32))};

	for (uint32 i = 0; i < m->nitems; i++)
		order[i] = i;
	sort_numbers(order, m->nitems, m);
	for (uint32 i = 0; i < m->nitems; i++)
		v.ranks[order[i]] = i;
	for (uint32 i = 0; i < m->npaths; i++)
	{
		FlowRow *row = flow_add_row(set);

		row->path = &m->paths[i];
		row->a = m->paths[i].paths;
	}
	sort_variants(set->list, set->n, &v);
}

/* The path as an array; where max_steps cut it, "(more)" stands for the rest. */
static Datum
variant_array(FlowRows *set, const FlowPath *path)
{
	bool cut = (path->key[0] & FLOW_CUT) != 0;
	StringInfoData text;
	Unpacked u = {0};
	Datum *texts;
	uint32 n = 0;
	Datum result;

	unpack(&u, path);
	if ((size_t) u.n + 1 > MaxAllocSize / sizeof(Datum))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("a path is too long for an array"),
				 errdetail("It has %u steps.", u.n), errhint("Use max_steps.")));
	texts = palloc(((size_t) u.n + 1) * sizeof(Datum));
	initStringInfo(&text);
	if (cut && set->m->options.backward)
		texts[n++] = CStringGetTextDatum("(more)");
	for (uint32 i = 0; i < u.n; i++)
	{
		resetStringInfo(&text);
		flow_append_item(&text, &set->m->items[u.items[i]]);
		texts[n++] = PointerGetDatum(cstring_to_text_with_len(text.data, text.len));
	}
	if (cut && !set->m->options.backward)
		texts[n++] = CStringGetTextDatum("(more)");
	result = PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
	pfree(texts);
	pfree(u.items);
	return result;
}

static bool
variant_row(void *arg, Datum *values, bool *nulls)
{
	FlowRows *set = arg;
	Flow *m = set->m;
	FlowPath *path;
	Spread *spread;

	if (set->i >= set->n)
		return false;
	path = (FlowPath *) set->list[set->i++].path;
	set->seen += path->paths;
	spread = spread_create(m);
	spread_reset(spread);
	spread_add_times(spread, m, &path->durations);
	values[0] = variant_array(set, path);
	values[1] = Int64GetDatum(path->paths);
	values[2] = Float8GetDatum((double) path->paths / m->paths_sum);
	values[3] = Float8GetDatum((double) set->seen / m->paths_sum);
	values[4] = spread_quantile(spread, 5, false);
	return true;
}

PG_FUNCTION_INFO_V1(flow_variants);
Datum
flow_variants(PG_FUNCTION_ARGS)
{
	return flow_rows(fcinfo, make_variants, variant_row);
}

/* --- flow_paths --- */

PG_FUNCTION_INFO_V1(flow_paths);
Datum
flow_paths(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(flow_argument(PG_GETARG_DATUM(0))->paths_sum);
}
