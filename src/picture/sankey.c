/*
 * sankey.c
 *		Layout of a Sankey diagram whose nodes stand in columns.
 *
 * Within a column nodes are sorted by the mean place of what they are linked with in the column before, then in
 * the one behind, to and fro (Sugiyama's barycentres); of the orders seen the one with the least
 * crossing is kept, two links counting the product of their values. Nodes are as high as their
 * values, by one scale for all columns: the largest with which each column has room, also for the
 * text that stands beside a node however small.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "picture/sankey.h"

#define SWEEPS 16
#define COUNTED_MOST 600 /* links between which crossings are counted */

static int
node_cmp(const void *a, const void *b, void *nodes)
{
	const SankeyNode *x = (const SankeyNode *) nodes + *(const int *) a;
	const SankeyNode *y = (const SankeyNode *) nodes + *(const int *) b;

	if (x->last != y->last)
		return x->last ? 1 : -1;
	if (x->reached != y->reached)
		return x->reached < y->reached ? -1 : 1;
	return x < y ? -1 : x > y;
}

static double
crossing(const SankeyNode *nodes, const SankeyLink *links, int nlinks)
{
	double sum = 0;

	for (int i = 0; i < nlinks; i++)
		for (int j = 0; j < i; j++)
		{
			const SankeyLink *a = &links[i];
			const SankeyLink *b = &links[j];

			if (nodes[a->from].column == nodes[b->from].column &&
				(nodes[a->from].place - nodes[b->from].place) *
						(nodes[a->to].place - nodes[b->to].place) <
					0)
				sum += a->value * b->value;
		}
	return sum;
}

/* Sort the column by what its nodes are linked with at one side. */
static void
sort_column(SankeyNode *nodes, int *order, int n, const SankeyLink *links, int nlinks, int column,
			bool backwards)
{
	for (int i = 0; i < n; i++)
		nodes[order[i]].reached = nodes[order[i]].linked = 0;
	for (int i = 0; i < nlinks; i++)
	{
		SankeyNode *node = &nodes[backwards ? links[i].from : links[i].to];
		int end = backwards ? links[i].to : links[i].from;

		if (node->column == column)
		{
			node->reached += links[i].value * nodes[end].place;
			node->linked += links[i].value;
		}
	}
	for (int i = 0; i < n; i++)
	{
		SankeyNode *node = &nodes[order[i]];

		node->reached = node->linked > 0 ? node->reached / node->linked : node->place;
	}
	qsort_arg(order, n, sizeof(int), node_cmp, nodes);
	for (int i = 0; i < n; i++)
		nodes[order[i]].place = i;
}

/* What links are sorted by at one of their ends */
typedef struct LinkOrder
{
	const SankeyNode *nodes;
	const SankeyLink *links;
	bool at_end;
} LinkOrder;

static int
link_cmp(const void *a, const void *b, void *arg)
{
	const LinkOrder *by = arg;
	const SankeyLink *x = &by->links[*(const int *) a];
	const SankeyLink *y = &by->links[*(const int *) b];
	int x_here = by->at_end ? x->to : x->from;
	int y_here = by->at_end ? y->to : y->from;

	if (x_here != y_here)
		return x_here < y_here ? -1 : 1;
	return by->nodes[by->at_end ? x->from : x->to].place -
		   by->nodes[by->at_end ? y->from : y->to].place;
}

static double
column_height(const SankeyNode *nodes, int n, double scale, double least, double gap)
{
	double height = gap * (n - 1);

	for (int i = 0; i < n; i++)
		height += Max(nodes[i].value * scale, least);
	return height;
}

void
sankey_layout(SankeyNode *nodes, int nnodes, SankeyLink *links, int nlinks, int ncolumns,
			  double height, double least, double gap)
{
	int *starts = palloc0((ncolumns + 1) * sizeof(int));
	int *order = palloc(nnodes * sizeof(int)); /* by column and place */
	int *best = palloc(nnodes * sizeof(int));
	int *by_end = palloc(Max(nlinks, 1) * sizeof(int));
	double least_crossing = -1;
	double low = 0;
	double high = 0;

	for (int i = 0; i < nnodes; i++)
		starts[nodes[i].column + 1]++;
	for (int c = 0; c < ncolumns; c++)
		starts[c + 1] += starts[c];
	for (int i = 0; i < nnodes; i++)
	{
		order[i] = i;
		nodes[i].place = i - starts[nodes[i].column];
	}
	for (int sweep = 0; sweep <= SWEEPS; sweep++)
	{
		double now = nlinks <= COUNTED_MOST ? crossing(nodes, links, nlinks) : SWEEPS - sweep;

		CHECK_FOR_INTERRUPTS();
		if (sweep == 0 || now < least_crossing)
		{
			least_crossing = now;
			memcpy(best, order, nnodes * sizeof(int));
		}
		for (int i = 1; i < ncolumns; i++)
		{
			int c = sweep % 2 == 0 ? i : ncolumns - 1 - i;

			sort_column(nodes, order + starts[c], starts[c + 1] - starts[c], links, nlinks, c,
						sweep % 2 == 1);
		}
	}
	for (int c = 0; c < ncolumns; c++)
		for (int i = starts[c]; i < starts[c + 1]; i++)
			nodes[best[i]].place = i - starts[c];

	/* the largest scale by which every column has room: halving finds it */
	for (int c = 0; c < ncolumns; c++)
	{
		double sum = 0;

		for (int i = starts[c]; i < starts[c + 1]; i++)
			sum += nodes[i].value;
		if (sum > 0 && (high == 0 || height / sum < high))
			high = height / sum;
	}
	for (int i = 0; i < 60; i++)
	{
		double scale = (low + high) / 2;
		bool fits = true;

		for (int c = 0; c < ncolumns; c++)
			fits &= column_height(nodes + starts[c], starts[c + 1] - starts[c], scale, least,
								  gap) <= height;
		if (fits)
			low = scale;
		else
			high = scale;
	}
	for (int c = 0; c < ncolumns; c++)
	{
		double y = 0;

		for (int i = starts[c]; i < starts[c + 1]; i++)
		{
			SankeyNode *node = &nodes[best[i]];
			double room = Max(node->value * low, least);

			node->height = node->value * low;
			node->y = y + (room - node->height) / 2;
			y += room + gap;
		}
	}

	/* links leave a node, and come to it, in the order of their other ends */
	for (int at_end = 0; at_end < 2; at_end++)
	{
		LinkOrder by = {nodes, links, at_end};
		int before = -1;
		double y = 0;

		for (int i = 0; i < nlinks; i++)
			by_end[i] = i;
		qsort_arg(by_end, nlinks, sizeof(int), link_cmp, &by);
		for (int i = 0; i < nlinks; i++)
		{
			SankeyLink *link = &links[by_end[i]];
			int node = at_end ? link->to : link->from;

			if (node != before)
				y = nodes[node].y;
			before = node;
			*(at_end ? &link->y_to : &link->y_from) = y;
			link->width = link->value * low;
			y += link->width;
		}
	}
}
