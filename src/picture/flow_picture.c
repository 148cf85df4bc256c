/*
 * flow_picture.c
 *		svg_flow: where journeys go, step by step, as a Sankey diagram.
 */
#include "postgres.h"

#include "common/int.h"
#include "compat.h"
#include "miscadmin.h"
#include "picture/picture.h"
#include "picture/sankey.h"

#define NODES_DEFAULT 10 /* of a column */
#define NODE_WIDTH 12
#define NODE_LEAST 15 /* height that its text takes */
#define NODE_GAP 5
#define COLUMN_LEAST 96 /* from one to the next */

/* Columns of flow_edge */
enum
{
	EDGE_STEP = 1,
	EDGE_SOURCE,
	EDGE_TARGET,
	EDGE_JOURNEYS
};

typedef struct Edge
{
	int64 step;
	uint32 ends[2]; /* names */
	int64 journeys;
} Edge;

/* A name in a column */
typedef struct FlowNode
{
	int column;
	uint32 name;
	ItemName label;
	int64 journeys[2]; /* that come, that go on */
	int class;
	int node; /* of the picture */
} FlowNode;

typedef struct Flow
{
	Edge *edges;
	uint32 nedges;
	ItemName *names;
	uint32 nnames;
	int64 *steps; /* of the columns */
	int ncolumns;
	FlowNode *found; /* by column and name */
	uint32 nfound;
} Flow;

static bool
name_is(ItemName name, const char *text)
{
	return name.text && name.len == strlen(text) && memcmp(name.text, text, name.len) == 0;
}

/* 0: a label; 1: the rest of many; 2: where journeys end */
static int
class_of(ItemName name)
{
	if (name_is(name, "(other)"))
		return 1;
	return name_is(name, "(end)") || name_is(name, "(start)") || name_is(name, "(more)") ? 2 : 0;
}

static int64
added(int64 a, int64 b)
{
	int64 sum;

	if (pg_add_s64_overflow(a, b, &sum))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("journeys of a flow are out of range")));
	return sum;
}

static int64
journeys_of(const FlowNode *node)
{
	return Max(node->journeys[0], node->journeys[1]);
}

/* --- what there is --- */

static void
read_edges(Flow *flow, const Rows *rows)
{
	ItemName *names = palloc_extended(2 * (size_t) rows->n * sizeof(ItemName), MCXT_ALLOC_HUGE);
	uint32 *numbers = palloc_extended(2 * (size_t) rows->n * sizeof(uint32), MCXT_ALLOC_HUGE);

	flow->edges = palloc_extended(rows->n * sizeof(Edge), MCXT_ALLOC_HUGE);
	flow->names = palloc_extended(2 * (size_t) rows->n * sizeof(ItemName), MCXT_ALLOC_HUGE);
	for (int i = 0; i < rows->n; i++)
	{
		Edge *edge = &flow->edges[flow->nedges];

		edge->step = DatumGetInt32(rows_known(rows, i, EDGE_STEP, "the step"));
		edge->journeys = rows_count(rows, i, EDGE_JOURNEYS, "the count");
		for (int end = 0; end < 2; end++)
		{
			bool isnull;
			Datum d = rows_column(rows, i, EDGE_SOURCE + end, &isnull);

			names[2 * (size_t) flow->nedges + end] =
				isnull ? (end == 0 ? (ItemName) {"(start)", 7} : (ItemName) {"(end)", 5})
					   : name_of(d, isnull);
		}
		flow->nedges += edge->journeys > 0;
	}
	if (flow->nedges > 0)
		flow->nnames = names_number(names, 2 * flow->nedges, numbers, flow->names);
	for (uint32 i = 0; i < flow->nedges; i++)
		for (int end = 0; end < 2; end++)
			flow->edges[i].ends[end] = numbers[2 * (size_t) i + end];
}

static int
int64_cmp(const void *a, const void *b)
{
	int64 x = *(const int64 *) a;
	int64 y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

static int
column_of(const Flow *flow, int64 step)
{
	const int64 *found = bsearch(&step, flow->steps, flow->ncolumns, sizeof(int64), int64_cmp);

	return found - flow->steps;
}

/* Steps, and those behind them, are columns. */
static void
make_columns(Flow *flow)
{
	flow->steps = palloc_extended(2 * (size_t) flow->nedges * sizeof(int64), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < flow->nedges; i++)
	{
		flow->steps[2 * (size_t) i] = flow->edges[i].step;
		flow->steps[2 * (size_t) i + 1] = flow->edges[i].step + 1;
	}
	qsort(flow->steps, 2 * (size_t) flow->nedges, sizeof(int64), int64_cmp);
	for (size_t i = 0; i < 2 * (size_t) flow->nedges; i++)
		if (i == 0 || flow->steps[i] != flow->steps[flow->ncolumns - 1])
			flow->steps[flow->ncolumns++] = flow->steps[i];
}

static int
found_cmp(const void *a, const void *b)
{
	const FlowNode *x = a;
	const FlowNode *y = b;

	if (x->column != y->column)
		return x->column - y->column;
	return x->name < y->name ? -1 : x->name > y->name;
}

static FlowNode *
node_of(const Flow *flow, const Edge *edge, int end)
{
	FlowNode key = {column_of(flow, edge->step + end), edge->ends[end]};

	return bsearch(&key, flow->found, flow->nfound, sizeof(FlowNode), found_cmp);
}

static void
make_nodes(Flow *flow)
{
	FlowNode *found =
		palloc_extended(2 * (size_t) flow->nedges * sizeof(FlowNode), MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < flow->nedges; i++)
		for (int end = 0; end < 2; end++)
			found[2 * (size_t) i + end] =
				(FlowNode) {column_of(flow, flow->edges[i].step + end), flow->edges[i].ends[end]};
	qsort(found, 2 * (size_t) flow->nedges, sizeof(FlowNode), found_cmp);
	for (size_t i = 0; i < 2 * (size_t) flow->nedges; i++)
		if (i == 0 || found_cmp(&found[i], &found[flow->nfound - 1]) != 0)
		{
			const ItemName *name = &flow->names[found[i].name];

			found[flow->nfound] = found[i];
			found[flow->nfound].label = *name;
			found[flow->nfound++].class = class_of(*name);
		}
	flow->found = found;
	for (uint32 i = 0; i < flow->nedges; i++)
	{
		FlowNode *from = node_of(flow, &flow->edges[i], 0);
		FlowNode *to = node_of(flow, &flow->edges[i], 1);

		from->journeys[1] = added(from->journeys[1], flow->edges[i].journeys);
		to->journeys[0] = added(to->journeys[0], flow->edges[i].journeys);
	}
}

/* --- what is drawn of it --- */

typedef struct Drawing
{
	SankeyNode *nodes;
	char **names; /* shown */
	char **counts;
	Ink *inks;
	int nnodes;
	SankeyLink *links;
	int nlinks;
	const int64 *steps; /* of the columns */
	int ncolumns;
} Drawing;

/* By column; of each, labels before (other) before ends, the greatest first */
static int
drawn_cmp(const void *a, const void *b)
{
	const FlowNode *x = *(FlowNode *const *) a;
	const FlowNode *y = *(FlowNode *const *) b;

	if (x->column != y->column)
		return x->column - y->column;
	if (x->class != y->class)
		return x->class - y->class;
	if (journeys_of(x) != journeys_of(y))
		return journeys_of(x) > journeys_of(y) ? -1 : 1;
	return name_cmp(x->label, y->label);
}

static void
add_node(Drawing *d, const FlowNode *node, char *name, int64 journeys, Ink ink)
{
	d->nodes[d->nnodes] = (SankeyNode) {node->column, node->class > 0, journeys};
	d->names[d->nnodes] = name;
	d->counts[d->nnodes] = shown_count(journeys);
	d->inks[d->nnodes++] = ink;
}

/* The nodes of each column that are the greatest; the rest are one, named (other). */
static void
choose_nodes(Drawing *d, Flow *flow, int top)
{
	FlowNode **by_size = palloc_extended(flow->nfound * sizeof(FlowNode *), MCXT_ALLOC_HUGE);
	Ink *inks = palloc_extended(flow->nnames * sizeof(Ink), MCXT_ALLOC_HUGE); /* of names */
	int coloured = 0;
	size_t most = (size_t) (top + 2) * d->ncolumns;
	uint32 i = 0;

	for (uint32 name = 0; name < flow->nnames; name++)
		inks[name] = INK_NONE;
	for (uint32 node = 0; node < flow->nfound; node++)
		by_size[node] = &flow->found[node];
	qsort(by_size, flow->nfound, sizeof(FlowNode *), drawn_cmp);
	most = Min(most, flow->nfound);
	d->nodes = palloc0(most * sizeof(SankeyNode));
	d->names = palloc0(most * sizeof(char *));
	d->counts = palloc0(most * sizeof(char *));
	d->inks = palloc0(most * sizeof(Ink));
	while (i < flow->nfound && by_size[i]->column < d->ncolumns)
	{
		int column = by_size[i]->column;
		uint32 labels = 0; /* of the column: those with a class 0 */
		uint32 kept;
		uint32 n = 0;

		while (i + n < flow->nfound && by_size[i + n]->column == column)
			labels += by_size[i + n++]->class == 0;
		kept = labels > (uint32) top ||
					   (labels == (uint32) top && n > labels && by_size[i + labels]->class == 1)
				   ? top - 1
				   : labels;
		for (uint32 k = 0; k < kept; k++)
		{
			FlowNode *node = by_size[i + k];

			if (inks[node->name] == INK_NONE)
				inks[node->name] = INK_SERIES + coloured++ % SERIES_COLOURS;
			node->node = d->nnodes;
			add_node(d, node, shown_name(flow->names[node->name]), journeys_of(node),
					 inks[node->name]);
		}
		if (kept < n && by_size[i + kept]->class < 2)
		{
			FlowNode whole = *by_size[i + kept];
			bool named = false; /* the rest of the rest, counted by who made the flow */

			whole.class = 1;
			whole.journeys[0] = whole.journeys[1] = 0;
			for (uint32 k = kept; k < n && by_size[i + k]->class < 2; k++)
			{
				named |= by_size[i + k]->class == 1;
				by_size[i + k]->node = d->nnodes;
				for (int end = 0; end < 2; end++)
					whole.journeys[end] = added(whole.journeys[end], by_size[i + k]->journeys[end]);
			}
			add_node(d, &whole,
					 named ? pstrdup("(other)")
						   : psprintf("(other: %s)", shown_count(labels - kept)),
					 journeys_of(&whole), INK_OTHER);
		}
		for (uint32 k = 0; k < n; k++)
			if (by_size[i + k]->class == 2)
			{
				by_size[i + k]->node = d->nnodes;
				add_node(d, by_size[i + k], shown_name(flow->names[by_size[i + k]->name]),
						 journeys_of(by_size[i + k]), INK_OTHER);
			}
		i += n;
	}
}

static int
link_cmp(const void *a, const void *b)
{
	const SankeyLink *x = a;
	const SankeyLink *y = b;

	return x->from != y->from ? x->from - y->from : x->to - y->to;
}

static void
choose_links(Drawing *d, const Flow *flow)
{
	SankeyLink *links =
		palloc_extended(flow->nedges * sizeof(SankeyLink), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int n = 0;

	for (uint32 i = 0; i < flow->nedges; i++)
	{
		const Edge *edge = &flow->edges[i];

		if (column_of(flow, edge->step + 1) < d->ncolumns)
			links[n++] = (SankeyLink) {node_of(flow, edge, 0)->node, node_of(flow, edge, 1)->node,
									   edge->journeys};
	}
	qsort(links, n, sizeof(SankeyLink), link_cmp);
	d->links = links;
	for (int i = 0; i < n; i++)
		if (d->nlinks > 0 && link_cmp(&links[i], &links[d->nlinks - 1]) == 0)
			links[d->nlinks - 1].value += links[i].value;
		else
			links[d->nlinks++] = links[i];
}

/* Texts of the first and the last column stand outside, as far as that takes no more than this part of the width. */
static double
outside(const Drawing *d, int column, TextStyle style, double most)
{
	double width = 0;

	for (int i = 0; i < d->nnodes; i++)
		if (d->nodes[i].column == column)
			width = Max(width, shown_width(d->names[i], style) + style.size / 2 +
								   shown_width(d->counts[i], style));
	return Min(width + 8, most);
}

static void
draw(Picture *p, Drawing *d)
{
	const TextStyle style = {12, INK_TEXT, 's'};
	int *in_column = palloc0(d->ncolumns * sizeof(int));
	double left = PICTURE_MARGIN + outside(d, 0, style, p->width * 0.27);
	double right = p->width - PICTURE_MARGIN - outside(d, d->ncolumns - 1, style, p->width * 0.27) -
				   NODE_WIDTH;
	double apart = (right - left) / (d->ncolumns - 1);
	double height = 300;
	double top = p->y;

	for (int i = 0; i < d->nnodes; i++)
		height = Max(height, (++in_column[d->nodes[i].column] + 1) * (NODE_LEAST + NODE_GAP + 8));
	if (d->ncolumns > 2)
	{
		for (int c = 0; c < d->ncolumns; c++)
			picture_text(p, left + apart * c + NODE_WIDTH / 2, p->y + 11,
						 (TextStyle) {11, INK_MUTED, 'm'},
						 psprintf("Step %lld", (long long) d->steps[c]));
		picture_put(p, "\n");
		p->y += 20;
		top = p->y;
	}
	sankey_layout(d->nodes, d->nnodes, d->links, d->nlinks, d->ncolumns, height, NODE_LEAST,
				  NODE_GAP);
	for (int i = 0; i < d->nlinks; i++)
	{
		const SankeyLink *link = &d->links[i];
		double x1 = left + apart * d->nodes[link->from].column + NODE_WIDTH;
		double x2 = x1 + apart - NODE_WIDTH;
		const char *half = px((x1 + x2) / 2);
		double width = Max(link->width, 0.5);

		picture_open(p, psprintf("%s \342\206\222 %s: %s", shown_isolated(d->names[link->from]),
								 shown_isolated(d->names[link->to]),
								 shown_count((int64) link->value)));
		picture_put(p, "<path d=\"M%s %sC%s %s %s %s %s %sV%sC%s %s %s %s %s %sZ\" opacity=\"0.4\"",
					px(x1), px(top + link->y_from), half, px(top + link->y_from), half,
					px(top + link->y_to), px(x2), px(top + link->y_to),
					px(top + link->y_to + width), half, px(top + link->y_to + width), half,
					px(top + link->y_from + width), px(x1), px(top + link->y_from + width));
		picture_ink(p, d->inks[link->from], INK_NONE);
		picture_put(p, "/>");
		picture_close(p);
	}
	for (int i = 0; i < d->nnodes; i++)
	{
		const SankeyNode *node = &d->nodes[i];
		double x = left + apart * node->column;
		double middle = top + node->y + node->height / 2 + 4;
		TextStyle named = style;

		picture_open(p, psprintf("%s: %s", shown_isolated(d->names[i]), d->counts[i]));
		picture_rect(p, x, top + node->y, NODE_WIDTH, Max(node->height, 1), 0, d->inks[i]);
		named.anchor = node->column == 0 ? 'e' : 's';
		named.halo = node->column > 0 && node->column < d->ncolumns - 1;
		picture_named_number(p, node->column == 0 ? x - 6 : x + NODE_WIDTH + 6, middle, named,
							 node->column == 0 ? left - 6 - PICTURE_MARGIN
							 : node->column == d->ncolumns - 1
								 ? p->width - PICTURE_MARGIN - x - NODE_WIDTH - 6
								 : apart - NODE_WIDTH - 12,
							 d->names[i], d->counts[i]);
		picture_close(p);
	}
	p->y += height;
}

static void
describe(Picture *p, const Drawing *d)
{
	int told = 0;

	for (int i = 0; i < d->nnodes && told < 40; i++, told++)
		appendStringInfo(&p->desc, "%s%s: %s. ",
						 i == 0 || d->nodes[i].column != d->nodes[i - 1].column
							 ? psprintf("Step %lld: ", (long long) d->steps[d->nodes[i].column])
							 : "",
						 shown_isolated(d->names[i]), d->counts[i]);
}

PG_FUNCTION_INFO_V1(svg_flow);
Datum
svg_flow(PG_FUNCTION_ARGS)
{
	Picture p;
	Rows rows;
	Flow flow = {0};
	Drawing d = {0};
	int64 all = 0;
	int further;

	picture_start(&p, PG_GETARG_DATUM(1), OPTION_TOP);
	rows_open(&rows, PG_GETARG_DATUM(0), "an edge of a flow");
	read_edges(&flow, &rows);
	if (flow.nedges == 0)
		PG_RETURN_TEXT_P(picture_empty(&p, "Flow", "Nothing to show: the flow has no journeys."));
	make_columns(&flow);
	make_nodes(&flow);
	d.steps = flow.steps;
	d.ncolumns = Min(flow.ncolumns, Max(2, (int) ((p.width * 0.5) / COLUMN_LEAST) + 1));
	choose_nodes(&d, &flow, p.top ? p.top : NODES_DEFAULT);
	choose_links(&d, &flow);
	for (uint32 i = 0; i < flow.nedges; i++)
		if (flow.edges[i].step == flow.steps[0])
			all = added(all, flow.edges[i].journeys);
	picture_header(&p, psprintf(flow.ncolumns == 2 ? "%s in all." : "%s begin.", shown_count(all)));
	describe(&p, &d);
	draw(&p, &d);
	further = flow.ncolumns - d.ncolumns;
	if (further > 0)
	{
		p.y += 8;
		picture_paragraph(&p, (TextStyle) {11, INK_MUTED, 's'},
						  psprintf(further == 1
									   ? "(other): %d further step, for which there is no room"
									   : "(other): %d further steps, for which there is no room",
								   further));
	}
	PG_RETURN_TEXT_P(picture_finish(&p, "Flow"));
}
