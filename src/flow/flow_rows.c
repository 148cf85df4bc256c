/*
 * flow_rows.c
 *		Edges of a flow, and what all readings of one share.
 */
#include "postgres.h"

#include "compat.h"
#include "flow/flow_rows.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

FlowRow *
flow_add_row(FlowRows *set)
{
	if (set->n == set->max)
	{
		set->max = Max(64, 2 * set->max);
		set->list = set->list ? repalloc_huge(set->list, set->max * sizeof(FlowRow))
							  : palloc_extended(set->max * sizeof(FlowRow), MCXT_ALLOC_HUGE);
	}
	memset(&set->list[set->n], 0, sizeof(FlowRow));
	return &set->list[set->n++];
}

Datum
flow_rows(FunctionCallInfo fcinfo, MakeRows make, RowSetRow next)
{
	FlowRows *set = row_set(fcinfo, sizeof(FlowRows));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);
		Datum flow = PG_GETARG_DATUM(0);

		/* an aggregate's state lasts as long as its group; any other argument may be gone before the last row */
		if (!(set->rows.caller->allowedModes & SFRM_Materialize_Preferred) &&
			!VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(flow)))
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

Datum
flow_item_text(FlowRows *set, uint32 item)
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
	if (a < FLOW_ITEM || b < FLOW_ITEM || a == FLOW_OTHERS || b == FLOW_OTHERS)
		return a < b ? -1 : 1;
	return flow_item_cmp(m, a - FLOW_ITEM, b - FLOW_ITEM);
}

/* Most first; what is as often, by its items. */
static int
row_cmp(const FlowRow *a, const FlowRow *b, const Flow *m)
{
	int cmp;

	if (a->step != b->step)
		return a->step < b->step ? -1 : 1;
	if (a->a != b->a)
		return a->a > b->a ? -1 : 1;
	cmp = other_cmp(m, a->source, b->source);
	return cmp != 0 ? cmp : other_cmp(m, a->target, b->target);
}

#define ST_SORT sort_all_rows
#define ST_ELEMENT_TYPE FlowRow
#define ST_COMPARE(a, b, m) row_cmp(a, b, m)
#define ST_COMPARE_ARG_TYPE const Flow
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

static inline int
place_cmp(const FlowPlace *a, const FlowPlace *b)
{
	if (a->step != b->step)
		return a->step < b->step ? -1 : 1;
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	if (a->target != b->target)
		return a->target < b->target ? -1 : 1;
	return a->edge < b->edge ? -1 : a->edge > b->edge;
}

#define ST_SORT sort_all_places
#define ST_ELEMENT_TYPE FlowPlace
#define ST_COMPARE(a, b) place_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

void
flow_keep_interval(FlowRow *row, int i, Datum interval)
{
	row->times[i] = *DatumGetIntervalP(interval);
	pfree(DatumGetPointer(interval));
}

void
flow_sort_rows(FlowRows *set)
{
	sort_all_rows(set->list, set->n, set->m);
}

void
flow_sort_places(FlowPlace *places, uint32 n)
{
	sort_all_places(places, n);
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
	NodeCount *counts = flow_scratch(m->nedges, sizeof(NodeCount));
	uint32 nodes = 0;
	uint32 of_step = 0;
	uint32 nedges = 0;

	for (uint32 i = 0; i < m->nedges; i++)
		if (m->edges[i].step <= flow_told_steps(&m->options))
			counts[nedges++] = (NodeCount) {m->edges[i].step, m->edges[i].node, m->edges[i].paths};
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
	FlowPlace *places = flow_scratch(m->nedges, sizeof(FlowPlace));
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
							errdetail("Found %d.", top), errhint("Leave it out for all items.")));
		tops = top_nodes(m, top, &ntops);
	}
	for (uint32 i = 0; i < m->nedges; i++)
	{
		const FlowEdge *e = &m->edges[i];
		FlowPlace *place = &places[n];

		if (e->step > told)
			continue;
		n++;
		*place = (FlowPlace) {e->step, e->node + FLOW_ITEM, e->other, i};
		if (e->step == told && e->other >= FLOW_ITEM)
			place->target = FLOW_MORE;
		else if (tops && e->other >= FLOW_ITEM &&
				 !is_top(tops, ntops, e->step + 1, e->other - FLOW_ITEM))
			place->target = FLOW_OTHERS;
		if (tops && !is_top(tops, ntops, e->step, e->node))
			place->source = FLOW_OTHERS;
	}
	flow_sort_places(places, n);
	for (uint32 i = 0; i < n;)
	{
		const FlowPlace *first = &places[i];
		FlowRow *row = flow_add_row(set);

		CHECK_FOR_INTERRUPTS();
		spread_reset(spread);
		for (; i < n && places[i].step == first->step && places[i].source == first->source &&
			   places[i].target == first->target;
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
			flow_keep_interval(row, 0, spread_quantile(spread, 5, true));
			flow_keep_interval(row, 1, spread_quantile(spread, 9, true));
		}
	}
	flow_sort_rows(set);
}

/*
 * An item beside nodes that are none of the data: one that is called like such a node, be it within
 * quotes, is told in quotes more, so that no two are told alike.
 */
void
flow_append_item(StringInfo out, const FlowText *item)
{
	static const char *const nodes[] = {"(start)", "(end)", "(other)", "(more)"};
	uint32 quotes = 0;
	bool quoted = false;

	while (item->len > 2 * quotes + 2 && item->text[quotes] == '"' &&
		   item->text[item->len - 1 - quotes] == '"')
		quotes++;
	for (int i = 0; i < lengthof(nodes); i++)
		quoted |= item->len - 2 * quotes == strlen(nodes[i]) &&
				  memcmp(item->text + quotes, nodes[i], strlen(nodes[i])) == 0;
	if (quoted)
		appendStringInfoChar(out, '"');
	appendBinaryStringInfo(out, item->text, item->len);
	if (quoted)
		appendStringInfoChar(out, '"');
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
	if (node == FLOW_OTHERS)
		appendStringInfoString(&out, "(other)");
	else if (node == FLOW_END)
		appendStringInfoString(&out, m->options.backward ? "(start)" : "(end)");
	else if (node == FLOW_MORE)
		appendStringInfoString(&out, "(more)");
	else
		flow_append_item(&out, &m->items[node - FLOW_ITEM]);
	result = PointerGetDatum(cstring_to_text_with_len(out.data, out.len));
	pfree(out.data);
	return result;
}

static bool
edge_row(void *arg, Datum *values, bool *nulls)
{
	FlowRows *set = arg;
	FlowRow *row;

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
