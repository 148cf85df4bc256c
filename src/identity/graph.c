/*
 * graph.c
 *		Cheapest paths and bridges.
 *
 * The path by E. W. Dijkstra's method (1959) with a binary heap, the bridges by
 * R. E. Tarjan's (1974), with a stack of its own instead of recursion, for a
 * component can be a path of millions.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/graph.h"

#define NO_LINK PG_UINT32_MAX

/* The links of each node, in their order. */
typedef struct Graph
{
	Components c;
	LinkEnds *ends;
	uint32 *first; /* those of node x are at[first[x]] to before at[first[x + 1]] */
	uint32 *at;
} Graph;

void *
graph_array(size_t n, size_t size)
{
	return palloc_extended((n + 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

LinkEnds *
graph_number_links(Components *c, const Links *links)
{
	LinkEnds *ends = graph_array(links->n, sizeof(LinkEnds));

	for (uint32 i = 0; i < links->n; i++)
	{
		check_interrupts_sometimes(i);
		ends[i].a = components_number(c, links->a[i]);
		ends[i].b = components_number(c, links->b[i]);
	}
	return ends;
}

static inline uint32
other_end(const Graph *g, uint32 link, uint32 x)
{
	return g->ends[link].a == x ? g->ends[link].b : g->ends[link].a;
}

/* All nodes have their numbers. */
static void
arrange_links(Graph *g, const Links *links)
{
	uint32 *first = graph_array((size_t) g->c.n + 2, sizeof(uint32));

	/* counted two places further: where they end moves to where they begin */
	for (uint32 i = 0; i < links->n; i++)
	{
		check_interrupts_sometimes(i);
		first[g->ends[i].a + 2]++;
		first[g->ends[i].b + 2]++;
	}
	for (uint32 x = 1; x <= g->c.n + 2; x++)
		first[x] += first[x - 1];
	g->at = graph_array(2 * (size_t) links->n, sizeof(uint32));
	for (uint32 i = 0; i < links->n; i++)
	{
		check_interrupts_sometimes(i);
		g->at[first[g->ends[i].a + 1]++] = i;
		g->at[first[g->ends[i].b + 1]++] = i;
	}
	g->first = first;
}

/* --- the cheapest path --- */

typedef struct Reach
{
	int64 cost;
	uint32 nlinks;
	uint32 place; /* in the heap, from 1; it is kept when the node leaves it. 0: not reached */
} Reach;

typedef struct Heap
{
	Reach *reach;
	uint32 *nodes;
	uint32 n;
} Heap;

static inline bool
is_nearer(const Reach *a, const Reach *b)
{
	return a->cost != b->cost ? a->cost < b->cost : a->nlinks < b->nlinks;
}

static inline void
heap_put(Heap *h, uint32 place, uint32 node)
{
	h->nodes[place] = node;
	h->reach[node].place = place;
}

/* A node that has come nearer, or is new and stands last. */
static void
heap_up(Heap *h, uint32 node)
{
	uint32 place = h->reach[node].place;

	for (; place > 1 && is_nearer(&h->reach[node], &h->reach[h->nodes[place / 2]]); place /= 2)
		heap_put(h, place, h->nodes[place / 2]);
	heap_put(h, place, node);
}

static uint32
heap_take(Heap *h)
{
	uint32 nearest = h->nodes[1];
	uint32 node = h->nodes[h->n--];
	uint32 place = 1;

	for (uint32 child = 2; child <= h->n; child = 2 * place)
	{
		if (child < h->n && is_nearer(&h->reach[h->nodes[child + 1]], &h->reach[h->nodes[child]]))
			child++;
		if (!is_nearer(&h->reach[h->nodes[child]], &h->reach[node]))
			break;
		heap_put(h, place, h->nodes[child]);
		place = child;
	}
	if (h->n > 0)
		heap_put(h, place, node);
	return nearest;
}

/*
 * Reaches from the end, until the start is reached: then each node knows how far
 * it still is, and the first link that leads as near as that is the one to take.
 */
uint32
graph_path(const Links *links, const int32 *costs, int64 from, int64 to, uint32 **path)
{
	Graph g;
	Heap h;
	uint32 start;
	uint32 end;
	uint32 x;

	*path = NULL;
	components_init(&g.c, CurrentMemoryContext);
	g.ends = graph_number_links(&g.c, links);
	start = components_number(&g.c, from);
	end = components_number(&g.c, to);
	arrange_links(&g, links);
	h.reach = graph_array(g.c.n, sizeof(Reach));
	h.nodes = graph_array(g.c.n, sizeof(uint32));
	h.n = 1;
	heap_put(&h, 1, end);
	while ((x = heap_take(&h)) != start)
	{
		for (uint32 i = g.first[x]; i < g.first[x + 1]; i++)
		{
			uint32 y = other_end(&g, g.at[i], x);
			Reach *there = &h.reach[y];
			Reach reach = {h.reach[x].cost + costs[g.at[i]], h.reach[x].nlinks + 1, there->place};

			check_interrupts_sometimes(i);
			if (reach.place == 0)
				reach.place = ++h.n;
			else if (!is_nearer(&reach, there))
				continue;
			*there = reach;
			heap_up(&h, y);
		}
		CHECK_FOR_INTERRUPTS();
		if (h.n == 0)
			return 0;
	}
	*path = graph_array(h.reach[start].nlinks, sizeof(uint32));
	for (uint32 n = 0; x != end; n++)
	{
		uint32 i = g.first[x];
		const Reach *here = &h.reach[x];

		for (;; i++)
		{
			const Reach *there = &h.reach[other_end(&g, g.at[i], x)];

			check_interrupts_sometimes(i);
			Assert(i < g.first[x + 1]);
			if (there->place != 0 && there->nlinks + 1 == here->nlinks &&
				there->cost + costs[g.at[i]] == here->cost)
				break;
		}
		(*path)[n] = g.at[i];
		x = other_end(&g, g.at[i], x);
	}
	return h.reach[start].nlinks;
}

/* --- bridges --- */

typedef struct Visit
{
	uint32 order; /* in which nodes are visited, from 1 */
	uint32 low;   /* the earliest that is reached from below otherwise than back through via */
	uint32 below; /* nodes visited from here, itself included */
	uint32 next;  /* of its links */
	uint32 via;   /* the link it was reached by */
} Visit;

/* Visit all that start reaches. */
static uint32
visit_from(const Graph *g, Visit *visits, uint32 *stack, uint32 start, uint32 order, uint32 *sides)
{
	uint32 depth = 0;
	uint32 x = start;
	uint32 via = NO_LINK;

	for (;;)
	{
		Visit *v = &visits[x];

		check_interrupts_sometimes(v->next);
		if (v->order == 0)
		{
			order++;
			*v = (Visit) {order, order, 1, g->first[x], via};
			stack[++depth] = x;
		}
		else if (v->next < g->first[x + 1])
		{
			uint32 link = g->at[v->next++];
			uint32 y = other_end(g, link, x);

			if (link == v->via)
				continue;
			if (visits[y].order == 0)
			{
				x = y;
				via = link;
			}
			else
				v->low = Min(v->low, visits[y].order);
		}
		else if (--depth > 0)
		{
			Visit *up = &visits[x = stack[depth]];

			up->low = Min(up->low, v->low);
			up->below += v->below;
			if (v->low > up->order)
				sides[v->via] = v->below;
		}
		else
			return order;
	}
}

uint32 *
graph_bridges(const Links *links)
{
	uint32 *sides = graph_array(links->n, sizeof(uint32));
	Graph g;
	Visit *visits;
	uint32 *stack;
	uint32 order = 0;

	components_init(&g.c, CurrentMemoryContext);
	g.ends = graph_number_links(&g.c, links);
	arrange_links(&g, links);
	visits = graph_array(g.c.n, sizeof(Visit));
	stack = graph_array(g.c.n, sizeof(uint32));
	for (uint32 x = 1; x <= g.c.n; x++)
	{
		check_interrupts_sometimes(x);
		if (visits[x].order == 0)
			order = visit_from(&g, visits, stack, x, order, sides);
	}
	for (uint32 i = 0; i < links->n; i++)
	{
		check_interrupts_sometimes(i);
		components_join(&g.c, g.ends[i].a, g.ends[i].b);
	}
	for (uint32 i = 0; i < links->n; i++)
		if (sides[i] > 0)
			sides[i] =
				Min(sides[i], components_size(&g.c, components_root(&g.c, g.ends[i].a)) - sides[i]);
	return sides;
}
