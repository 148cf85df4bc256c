/*
 * flow_rows.c
 *		What a flow tells, as rows: edges, transitions, paths, items, what follows what.
 */
#include "postgres.h"

#include "analytics/row_set.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "compat.h"
#include "flow/flow.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Beside an item plus FLOW_ITEM, FLOW_END and FLOW_MORE: all that are not among the first ones. */
#define OTHER_ITEMS PG_UINT32_MAX

/* --- quantiles of the times of several edges --- */

typedef struct Spread
{
	bool rounded;
	uint64 n;
	int64 least;
	int64 greatest;
	uint64 sum;
	uint64 sum_high;
	int64 *values; /* ascending once it is sorted */
	uint64 max;
	bool sorted;
	uint64 *histogram;
} Spread;

static Spread *
spread_create(const Flow *m)
{
	Spread *s = palloc0(sizeof(Spread));

	s->rounded = m->rounded;
	if (s->rounded)
		s->histogram = palloc(FLOW_BUCKETS * sizeof(uint64));
	return s;
}

static void
spread_reset(Spread *s)
{
	s->n = s->sum = s->sum_high = 0;
	s->least = PG_INT64_MAX;
	s->greatest = 0;
	s->sorted = false;
	if (s->rounded)
		memset(s->histogram, 0, FLOW_BUCKETS * sizeof(uint64));
}

static void
spread_add_times(Spread *s, Flow *m, FlowTimes *t)
{
	if (s->rounded)
	{
		uint32 n;
		FlowRun *runs = flow_runs(m, t, &n);

		for (uint32 i = 0; i < n; i++)
		{
			s->histogram[runs[i].time] += runs[i].count;
			s->n += runs[i].count;
		}
		return;
	}
	if (s->n + t->n > s->max)
	{
		s->max = Max(1024, 2 * (s->n + t->n));
		s->values = s->values ? repalloc_huge(s->values, s->max * sizeof(int64))
							  : palloc_extended(s->max * sizeof(int64), MCXT_ALLOC_HUGE);
	}
	if (t->n > 0)
		memcpy(s->values + s->n, t->max == 0 ? &t->one : t->values, t->n * sizeof(int64));
	s->n += t->n;
}

static void
spread_add(Spread *s, Flow *m, FlowEdge *e)
{
	spread_add_times(s, m, &e->times);
	s->least = Min(s->least, e->least);
	s->greatest = Max(s->greatest, e->greatest);
	s->sum += e->sum;
	s->sum_high += e->sum_high + (s->sum < e->sum);
}

#define ST_SORT sort_values
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* The time of this rank, from 0. */
static int64
spread_at(const Spread *s, uint64 rank)
{
	uint64 seen = 0;
	uint32 bucket = 0;

	if (!s->rounded)
		return s->values[rank];
	for (; bucket < FLOW_BUCKETS - 1; bucket++)
	{
		seen += s->histogram[bucket];
		if (seen > rank)
			break;
	}
	return flow_bucket_time(bucket);
}

/* As percentile_cont has it, of so many tenths; there must be times. */
static Datum
spread_quantile(Spread *s, int tenths, bool clamp)
{
	uint64 last = s->n - 1;
	/* last * tenths / 10 without overflow */
	uint64 rank = last / 10 * tenths + last % 10 * tenths / 10;
	int rest = last % 10 * tenths % 10;
	int64 low;
	int64 high;
	uint64 between;
	uint64 part;
	uint64 left;

	if (!s->rounded && !s->sorted)
	{
		sort_values(s->values, s->n);
		s->sorted = true;
	}
	low = spread_at(s, rank);
	high = rest > 0 ? spread_at(s, rank + 1) : low;
	if (clamp)
	{
		low = Min(Max(low, s->least), s->greatest);
		high = Min(Max(high, s->least), s->greatest);
	}
	between = high - low;
	part = between / 10 * rest + between % 10 * rest / 10;
	left = between % 10 * rest % 10;
	/* half a microsecond goes to the even one */
	part += left > 5 || (left == 5 && (low + part) % 2 != 0);
	return usecs_interval(low + part);
}

/* sum / n, to the nearest microsecond. */
static Datum
spread_mean(const Spread *s)
{
	uint64 high = s->sum_high;
	uint64 low = s->sum;
	uint64 quotient = 0;

	/* high is below n, because each time is below 2^63 */
	high = s->n > 0 ? high % s->n : 0;
	for (int i = 0; i < 64; i++)
	{
		bool carry = high >> 63;

		high = high << 1 | low >> 63;
		low <<= 1;
		quotient <<= 1;
		if (carry || high >= s->n)
		{
			high -= s->n;
			quotient |= 1;
		}
	}
	quotient += high >= s->n - high;
	return usecs_interval(Min(quotient, PG_INT64_MAX));
}

/* --- rows that are made at once --- */

typedef struct Row
{
	int32 step;
	uint32 source;
	uint32 target;
	int64 a;
	int64 b;
	int64 c;
	Interval times[5];
	bool timeless;
	const FlowPath *path;
} Row;

typedef struct FlowRows
{
	RowSet rows;
	Flow *m;
	Row *list;
	uint32 n;
	uint32 max;
	uint32 i;
	int64 seen;
	Datum *texts; /* of items, 0: not made */
} FlowRows;

static Row *
add_row(FlowRows *set)
{
	if (set->n == set->max)
	{
		set->max = Max(64, 2 * set->max);
		set->list = set->list ? repalloc_huge(set->list, set->max * sizeof(Row))
							  : palloc_extended(set->max * sizeof(Row), MCXT_ALLOC_HUGE);
	}
	memset(&set->list[set->n], 0, sizeof(Row));
	return &set->list[set->n++];
}

typedef void (*MakeRows)(FunctionCallInfo fcinfo, FlowRows *set);

static Datum
flow_rows(FunctionCallInfo fcinfo, MakeRows make, RowSetRow next)
{
	FlowRows *set = row_set(fcinfo, sizeof(FlowRows));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);
		Datum flow = PG_GETARG_DATUM(0);

		/* of rows told one by one, the argument may be gone before the last */
		if (!(set->rows.caller->allowedModes & SFRM_Materialize_Preferred))
			flow = PointerGetDatum(PG_DETOAST_DATUM_COPY(flow));
		set->list = NULL;
		set->n = set->max = set->i = 0;
		set->seen = 0;
		PG_TRY();
		{
			set->m = flow_argument(flow);
			set->texts = palloc0(Max(set->m->nitems, 1) * sizeof(Datum));
			make(fcinfo, set);
		}
		PG_CATCH();
		{
			set->rows.started = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, next);
}

static Datum
item_text(FlowRows *set, uint32 item)
{
	const FlowText *text = &set->m->items[item];

	if (set->texts[item] == 0)
	{
		MemoryContext old = MemoryContextSwitchTo(set->rows.cxt);

		set->texts[item] = PointerGetDatum(cstring_to_text_with_len(text->text, text->len));
		MemoryContextSwitchTo(old);
	}
	return set->texts[item];
}

/* Order of ends, items and others. */
static int
other_cmp(const Flow *m, uint32 a, uint32 b)
{
	if (a == b)
		return 0;
	if (a < FLOW_ITEM || b < FLOW_ITEM || a == OTHER_ITEMS || b == OTHER_ITEMS)
		return a < b ? -1 : 1;
	return flow_item_cmp(m, a - FLOW_ITEM, b - FLOW_ITEM);
}

/* Most first; what is as often, by its items. */
static int
row_cmp(const Row *a, const Row *b, const Flow *m)
{
	int cmp;

	if (a->step != b->step)
		return a->step < b->step ? -1 : 1;
	if (a->a != b->a)
		return a->a > b->a ? -1 : 1;
	cmp = other_cmp(m, a->source, b->source);
	return cmp != 0 ? cmp : other_cmp(m, a->target, b->target);
}

#define ST_SORT sort_rows
#define ST_ELEMENT_TYPE Row
#define ST_COMPARE(a, b, m) row_cmp(a, b, m)
#define ST_COMPARE_ARG_TYPE const Flow
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* An edge of what is grouped. */
typedef struct Place
{
	uint32 step;
	uint32 source;
	uint32 target;
	uint32 edge;
} Place;

static inline int
place_cmp(const Place *a, const Place *b)
{
	if (a->step != b->step)
		return a->step < b->step ? -1 : 1;
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	if (a->target != b->target)
		return a->target < b->target ? -1 : 1;
	return a->edge < b->edge ? -1 : a->edge > b->edge;
}

#define ST_SORT sort_places
#define ST_ELEMENT_TYPE Place
#define ST_COMPARE(a, b) place_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

static inline void *
scratch(size_t n, size_t size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
keep_interval(Row *row, int i, Datum interval)
{
	row->times[i] = *DatumGetIntervalP(interval);
	pfree(DatumGetPointer(interval));
}

/* --- flow_edges --- */

typedef struct NodeCount
{
	uint32 step;
	uint32 node;
	int64 paths;
} NodeCount;

static int
node_count_cmp(const NodeCount *a, const NodeCount *b, const Flow *m)
{
	if (a->step != b->step)
		return a->step < b->step ? -1 : 1;
	if (a->paths != b->paths)
		return a->paths > b->paths ? -1 : 1;
	return flow_item_cmp(m, a->node, b->node);
}

#define ST_SORT sort_node_counts
#define ST_ELEMENT_TYPE NodeCount
#define ST_COMPARE(a, b, m) node_count_cmp(a, b, m)
#define ST_COMPARE_ARG_TYPE const Flow
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_nodes
#define ST_ELEMENT_TYPE NodeCount
#define ST_COMPARE(a, b)                                                                           \
	((a)->step != (b)->step ? ((a)->step < (b)->step ? -1 : 1)                                     \
							: ((a)->node < (b)->node ? -1 : (a)->node > (b)->node))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* The nodes that are among the first "top" of their step, by step and node. */
static NodeCount *
top_nodes(Flow *m, int32 top, uint32 *n)
{
	NodeCount *counts = scratch(m->nedges, sizeof(NodeCount));
	uint32 nodes = 0;
	uint32 of_step = 0;
	uint32 nedges = 0;

	for (uint32 i = 0; i < m->nedges; i++)
		if (m->edges[i].step <= flow_told_steps(&m->options))
			counts[nedges++] =
				(NodeCount) {m->edges[i].step, m->edges[i].node, m->edges[i].paths};
	sort_nodes(counts, nedges);
	for (uint32 i = 0; i < nedges; i++)
		if (nodes > 0 && counts[nodes - 1].step == counts[i].step &&
			counts[nodes - 1].node == counts[i].node)
			counts[nodes - 1].paths += counts[i].paths;
		else
			counts[nodes++] = counts[i];
	sort_node_counts(counts, nodes, m);
	*n = 0;
	for (uint32 i = 0; i < nodes; i++)
	{
		of_step = i > 0 && counts[i].step == counts[i - 1].step ? of_step + 1 : 0;
		if (of_step < top)
			counts[(*n)++] = counts[i];
	}
	sort_nodes(counts, *n);
	return counts;
}

static bool
is_top(const NodeCount *tops, uint32 n, uint32 step, uint32 node)
{
	uint32 low = 0;

	while (low < n)
	{
		uint32 middle = low + (n - low) / 2;

		if (tops[middle].step == step && tops[middle].node == node)
			return true;
		if (tops[middle].step < step || (tops[middle].step == step && tops[middle].node < node))
			low = middle + 1;
		else
			n = middle;
	}
	return false;
}

static void
make_edges(FunctionCallInfo fcinfo, FlowRows *set)
{
	Flow *m = set->m;
	Place *places = scratch(m->nedges, sizeof(Place));
	Spread *spread = spread_create(m);
	NodeCount *tops = NULL;
	uint32 ntops = 0;
	uint32 told = flow_told_steps(&m->options);
	uint32 n = 0;

	if (!PG_ARGISNULL(1))
	{
		int32 top = PG_GETARG_INT32(1);

		if (top < 1)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("top of flow_edges must be positive"),
							errdetail("Found %d.", top),
							errhint("Leave it out for all items.")));
		tops = top_nodes(m, top, &ntops);
	}
	for (uint32 i = 0; i < m->nedges; i++)
	{
		const FlowEdge *e = &m->edges[i];
		Place *place = &places[n];

		if (e->step > told)
			continue;
		n++;
		*place = (Place) {e->step, e->node + FLOW_ITEM, e->other, i};
		if (e->step == told && e->other >= FLOW_ITEM)
			place->target = FLOW_MORE;
		else if (tops && e->other >= FLOW_ITEM &&
				 !is_top(tops, ntops, e->step + 1, e->other - FLOW_ITEM))
			place->target = OTHER_ITEMS;
		if (tops && !is_top(tops, ntops, e->step, e->node))
			place->source = OTHER_ITEMS;
	}
	sort_places(places, n);
	for (uint32 i = 0; i < n;)
	{
		const Place *first = &places[i];
		Row *row = add_row(set);

		CHECK_FOR_INTERRUPTS();
		spread_reset(spread);
		for (; i < n && places[i].step == first->step &&
			   places[i].source == first->source && places[i].target == first->target;
			 i++)
		{
			FlowEdge *e = &m->edges[places[i].edge];

			flow_sum(&row->a, e->paths);
			flow_sum(&row->b, e->touchpoints);
			if (first->target >= FLOW_ITEM)
				spread_add(spread, m, e);
		}
		/* read backward, the last step is -1, and an edge begins a step before its node */
		row->step = m->options.backward ? -1 - (int32) first->step : (int32) first->step;
		row->source = m->options.backward ? first->target : first->source;
		row->target = m->options.backward ? first->source : first->target;
		row->timeless = first->target < FLOW_ITEM;
		if (!row->timeless)
		{
			keep_interval(row, 0, spread_quantile(spread, 5, true));
			keep_interval(row, 1, spread_quantile(spread, 9, true));
		}
	}
	sort_rows(set->list, set->n, m);
}

/* A node of a Sankey: its step and its item. */
static Datum
node_text(const FlowRows *set, int32 step, uint32 node)
{
	const Flow *m = set->m;
	StringInfoData out;
	Datum result;

	initStringInfo(&out);
	appendStringInfo(&out, "%d ", step);
	if (node == OTHER_ITEMS)
		appendStringInfoString(&out, "(other)");
	else if (node == FLOW_END)
		appendStringInfoString(&out, m->options.backward ? "(start)" : "(end)");
	else if (node == FLOW_MORE)
		appendStringInfoString(&out, "(more)");
	else
		appendBinaryStringInfo(&out, m->items[node - FLOW_ITEM].text,
							   m->items[node - FLOW_ITEM].len);
	result = PointerGetDatum(cstring_to_text_with_len(out.data, out.len));
	pfree(out.data);
	return result;
}

static bool
edge_row(void *arg, Datum *values, bool *nulls)
{
	FlowRows *set = arg;
	Row *row;

	if (set->i >= set->n)
		return false;
	row = &set->list[set->i++];
	values[0] = Int32GetDatum(row->step);
	values[1] = node_text(set, row->step, row->source);
	values[2] = node_text(set, row->step + 1, row->target);
	values[3] = Int64GetDatum(row->a);
	values[4] = Int64GetDatum(row->b);
	values[5] = IntervalPGetDatum(&row->times[0]);
	values[6] = IntervalPGetDatum(&row->times[1]);
	nulls[5] = nulls[6] = row->timeless;
	return true;
}

PG_FUNCTION_INFO_V1(flow_edges);
Datum
flow_edges(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
	{
		((ReturnSetInfo *) fcinfo->resultinfo)->isDone = ExprEndResult;
		PG_RETURN_NULL();
	}
	return flow_rows(fcinfo, make_edges, edge_row);
}

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
		p->dense = scratch((size_t) nitems * nitems, sizeof(PairEntry));
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
			Row *row = add_row(set);

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
	Place *places = scratch(m->nedges, sizeof(Place));
	Spread *spread = spread_create(m);
	int64 *starts = scratch(m->nitems, sizeof(int64));
	int64 *ends = scratch(m->nitems, sizeof(int64));
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
			places[n++] = (Place) {0, m->options.backward ? e->other : node,
								   m->options.backward ? node : e->other, i};
	}
	sort_places(places, n);
	for (uint32 i = 0; i < n;)
	{
		const Place *first = &places[i];
		Row *row = add_row(set);

		CHECK_FOR_INTERRUPTS();
		spread_reset(spread);
		for (; i < n && places[i].source == first->source && places[i].target == first->target;
			 i++)
		{
			FlowEdge *e = &m->edges[places[i].edge];

			flow_sum(&row->a, e->paths);
			spread_add(spread, m, e);
		}
		row->source = first->source;
		row->target = first->target;
		row->b =
			pair_of(&pairs, first->source - FLOW_ITEM, first->target - FLOW_ITEM)->paths;
		keep_interval(row, 0, spread_mean(spread));
		keep_interval(row, 1, spread_quantile(spread, 5, true));
		keep_interval(row, 2, spread_quantile(spread, 9, true));
		keep_interval(row, 3, usecs_interval(spread->least));
		keep_interval(row, 4, usecs_interval(spread->greatest));
	}
	end_rows(set, starts, true);
	end_rows(set, ends, false);
	sort_rows(set->list, set->n, m);
}

static bool
transition_row(void *arg, Datum *values, bool *nulls)
{
	FlowRows *set = arg;
	Row *row;

	if (set->i >= set->n)
		return false;
	row = &set->list[set->i++];
	nulls[0] = row->source == FLOW_END;
	nulls[1] = row->target == FLOW_END;
	if (!nulls[0])
		values[0] = item_text(set, row->source - FLOW_ITEM);
	if (!nulls[1])
		values[1] = item_text(set, row->target - FLOW_ITEM);
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
make_follows(FunctionCallInfo fcinfo, FlowRows *set)
{
	Flow *m = set->m;
	int64 *before = scratch(m->nitems, sizeof(int64)); /* of the path at hand */
	uint32 *used = scratch(m->nitems, sizeof(uint32));
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
			{
				Row *row = add_row(set);

				row->source = source + FLOW_ITEM;
				row->target = target + FLOW_ITEM;
				row->a = pair->times;
				row->b = pair->paths;
			}
		}
	if (pairs.table)
	{
		pair_table_iterator it;
		PairEntry *pair;

		pair_table_start_iterate(pairs.table, &it);
		while ((pair = pair_table_iterate(pairs.table, &it)) != NULL)
		{
			Row *row = add_row(set);

			row->source = pair->key / m->nitems + FLOW_ITEM;
			row->target = pair->key % m->nitems + FLOW_ITEM;
			row->a = pair->times;
			row->b = pair->paths;
		}
	}
	sort_rows(set->list, set->n, m);
}

static bool
follows_row(void *arg, Datum *values, bool *nulls)
{
	FlowRows *set = arg;
	Row *row;

	if (set->i >= set->n)
		return false;
	row = &set->list[set->i++];
	values[0] = item_text(set, row->source - FLOW_ITEM);
	values[1] = item_text(set, row->target - FLOW_ITEM);
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
	ItemCounts *counts = scratch(m->nitems, sizeof(ItemCounts));
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
			Row *row = add_row(set);

			row->source = i + FLOW_ITEM;
			row->a = counts[i].visits;
			row->b = counts[i].paths;
			row->c = counts[i].rework;
			row->times[0].time = counts[i].starts;
			row->times[1].time = counts[i].ends;
		}
	sort_rows(set->list, set->n, m);
}

static bool
item_row(void *arg, Datum *values, bool *nulls)
{
	FlowRows *set = arg;
	Row *row;

	if (set->i >= set->n)
		return false;
	row = &set->list[set->i++];
	values[0] = item_text(set, row->source - FLOW_ITEM);
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
variant_cmp(const Row *a, const Row *b, const Variants *v)
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
#define ST_ELEMENT_TYPE Row
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
	uint32 *order = scratch(m->nitems, sizeof(uint32));
	Variants v = {m, scratch(m->nitems, sizeof(uint32))};

	for (uint32 i = 0; i < m->nitems; i++)
		order[i] = i;
	sort_numbers(order, m->nitems, m);
	for (uint32 i = 0; i < m->nitems; i++)
		v.ranks[order[i]] = i;
	for (uint32 i = 0; i < m->npaths; i++)
	{
		Row *row = add_row(set);

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
	Unpacked u = {0};
	Datum *texts;
	uint32 n = 0;
	Datum result;

	unpack(&u, path);
	if ((size_t) u.n + 1 > MaxAllocSize / sizeof(Datum))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a path is too long for an array"),
						errdetail("It has %u steps.", u.n), errhint("Use max_steps.")));
	texts = palloc(((size_t) u.n + 1) * sizeof(Datum));
	if (cut && set->m->options.backward)
		texts[n++] = CStringGetTextDatum("(more)");
	for (uint32 i = 0; i < u.n; i++)
		texts[n++] = item_text(set, u.items[i]);
	if (cut && !set->m->options.backward)
		texts[n++] = CStringGetTextDatum("(more)");
	result =
		PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
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

/* --- flow_paths, flow_options --- */

PG_FUNCTION_INFO_V1(flow_paths);
Datum
flow_paths(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(flow_argument(PG_GETARG_DATUM(0))->paths_sum);
}
