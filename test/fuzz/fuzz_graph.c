/*
 * fuzz_graph.c
 *		Conflicts, cheapest paths and bridges against naive evaluators.
 *
 * The input's first byte says how ids are made of nodes, the second how many nodes
 * there are, the third to fifth are limits, and how many links are facts; then come
 * links, members of groups, pairs kept apart and values of attributes, of three bytes
 * each. All are fitted to what is allowed, so every input is accepted.
 */
#include "postgres.h"

#include "compat.h"
#include "fuzz.h"
#include "identity/graph.h"

#define NODES_MAX 16
#define RECORDS_MAX 150
#define LIMITS 3
#define ATTRIBUTES 2
#define VALUES 3
#define INPUT_HEAD 5

const char *const fuzz_tokens[] = {"\x01\x01\x02", "\x05\x02\x03", "\x02\x01\x01",
								   "\x02\x03\x01", "\x03\x01\x03",
								   "\x07\x01\x02", "\x07\x03\x04", NULL};

/* One record of each kind more than there can be, so that all are valid addresses */
typedef struct Pairs
{
	int n;
	uint8 node[RECORDS_MAX + 1][2];
	int64 a[RECORDS_MAX + 1];
	int64 b[RECORDS_MAX + 1];
	int32 number[RECORDS_MAX + 1];
} Pairs;

static int nnodes;
static int64 factor;
static int32 limits[LIMITS];
static Pairs links;   /* number: cost */
static Pairs members; /* number: group */
static Pairs apart;
static Pairs valued;  /* number: attribute; value[]: which */
static int64 value[RECORDS_MAX + 1];
static int nfacts;

static int64
id_of(int node)
{
	return (int64) ((uint64) factor * node);
}

static void
add_pair(Pairs *p, uint8 a, uint8 b, int32 number)
{
	p->node[p->n][0] = a % nnodes;
	p->node[p->n][1] = b % nnodes;
	p->a[p->n] = id_of(a % nnodes);
	p->b[p->n] = id_of(b % nnodes);
	p->number[p->n++] = number;
}

static void
read_input(const uint8 *data, size_t len)
{
	static const int64 factors[] = {1, -1, INT64CONST(1) << 58, INT64CONST(0x61C8864680B583EB)};

	factor = factors[data[0] % lengthof(factors)];
	nnodes = 1 + data[1] % NODES_MAX;
	links.n = members.n = apart.n = valued.n = 0;
	nfacts = data[2] / 4 % 8;
	for (int i = 0; i < LIMITS; i++)
		limits[i] = data[2 + i] % 4;
	for (size_t i = INPUT_HEAD; i + 3 <= len && i < 3 * RECORDS_MAX; i += 3)
	{
		switch (data[i] % 4)
		{
			case 0:
			case 1:
				add_pair(&links, data[i + 1], data[i + 2], data[i] / 4 % 4);
				break;
			case 2:
				add_pair(&members, data[i + 1], 0, 1 + data[i + 2] % LIMITS);
				break;
			default:
				if (data[i] / 4 % 2 == 0)
					add_pair(&apart, data[i + 1], data[i + 2], 0);
				else
				{
					value[valued.n] = data[i + 2] / ATTRIBUTES % VALUES;
					add_pair(&valued, data[i + 1], 0, 1 + data[i + 2] % ATTRIBUTES);
				}
		}
	}
}

static Links
exact_links(void)
{
	return (Links) {links.n, exact_copy(links.a, links.n * sizeof(int64)),
					exact_copy(links.b, links.n * sizeof(int64))};
}

/* All nodes of one label get the other. */
static void
relabel(int *label, int from, int to)
{
	for (int i = 0; i < nnodes; i++)
		if (label[i] == from)
			label[i] = to;
}

/* --- conflicts --- */

static uint32
naive_broken(const int *label, int component)
{
	for (int group = 1; group <= LIMITS; group++)
	{
		bool is_member[NODES_MAX] = {false};
		int n = 0;

		for (int i = 0; i < members.n; i++)
			if (members.number[i] == group && label[members.node[i][0]] == component)
				is_member[members.node[i][0]] = true;
		for (int i = 0; i < nnodes; i++)
			n += is_member[i];
		if (n > limits[group - 1])
			return group;
	}
	for (int i = 0; i < apart.n; i++)
		if (apart.node[i][0] != apart.node[i][1] && label[apart.node[i][0]] == component &&
			label[apart.node[i][1]] == component)
			return GRAPH_APART;
	return 0;
}

/* The first attribute that both have, and not all the same of */
static uint32
naive_parting(const int *label, int a, int b)
{
	for (int attribute = 1; attribute <= ATTRIBUTES; attribute++)
	{
		int of_a = 0;
		int of_b = 0;

		for (int i = 0; i < valued.n; i++)
		{
			if (valued.number[i] != attribute)
				continue;
			if (label[valued.node[i][0]] == a)
				of_a |= 1 << value[i];
			if (label[valued.node[i][0]] == b)
				of_b |= 1 << value[i];
		}
		if (of_a != 0 && of_b != 0 && ((of_a | of_b) & ((of_a | of_b) - 1)) != 0)
			return attribute;
	}
	return 0;
}

static void
check_conflicts(void)
{
	Links exact = exact_links();
	ConflictRules rules = {LIMITS,
				   limits,
				   members.n,
				   exact_copy(members.a, members.n * sizeof(int64)),
				   exact_copy(members.number, members.n * sizeof(int32)),
				   apart.n,
				   exact_copy(apart.a, apart.n * sizeof(int64)),
				   exact_copy(apart.b, apart.n * sizeof(int64)),
				   nfacts,
				   valued.n,
				   exact_copy(valued.a, valued.n * sizeof(int64)),
				   exact_copy(valued.number, valued.n * sizeof(int32)),
				   exact_copy(value, valued.n * sizeof(int64))};
	uint32 *attributes;
	uint32 *broken = graph_conflicts(&exact, &rules, &attributes);
	int label[NODES_MAX];
	int joined[NODES_MAX];

	for (int i = 0; i < nnodes; i++)
		label[i] = i;
	for (int i = 0; i < links.n; i++)
	{
		int a = label[links.node[i][0]];
		int b = label[links.node[i][1]];
		uint32 naive;
		uint32 attribute = 0;

		memcpy(joined, label, sizeof(label));
		relabel(joined, a, b);
		naive = a == b ? 0 : naive_broken(joined, b);
		if (a != b && naive == 0 && i >= nfacts && (attribute = naive_parting(label, a, b)) != 0)
			naive = GRAPH_APART;
		require(broken[i] == naive && attributes[i] == attribute);
		if (naive == 0)
			memcpy(label, joined, sizeof(label));
	}
}

/* --- paths: the best to every node, extended until nothing gets better --- */

typedef struct Path
{
	bool known;
	int cost;
	int n;
	uint32 links[NODES_MAX];
} Path;

static bool
is_better(const Path *a, const Path *b)
{
	if (!b->known)
		return true;
	if (a->cost != b->cost)
		return a->cost < b->cost;
	if (a->n != b->n)
		return a->n < b->n;
	for (int i = 0; i < a->n; i++)
		if (a->links[i] != b->links[i])
			return a->links[i] < b->links[i];
	return false;
}

static void
check_paths(int from)
{
	Links exact = exact_links();
	const int32 *costs = exact_copy(links.number, links.n * sizeof(int32));
	Path paths[NODES_MAX] = {0};
	bool changed = true;

	paths[from].known = true;
	while (changed)
	{
		changed = false;
		for (int i = 0; i < 2 * links.n; i++)
		{
			const Path *here = &paths[links.node[i / 2][i % 2]];
			Path *there = &paths[links.node[i / 2][1 - i % 2]];
			Path longer = *here;

			if (!here->known || here->n == NODES_MAX)
				continue;
			longer.cost += links.number[i / 2];
			longer.links[longer.n++] = i / 2;
			if (is_better(&longer, there))
			{
				*there = longer;
				changed = true;
			}
		}
	}
	for (int to = 0; to < nnodes; to++)
	{
		uint32 *path;
		uint32 n = graph_path(&exact, costs, id_of(from), id_of(to), &path);

		require(n == paths[to].n);
		for (uint32 i = 0; i < n; i++)
			require(path[i] == paths[to].links[i]);
	}
}

/* --- bridges: without one its ends are in two components --- */

static void
check_bridges(void)
{
	Links exact = exact_links();
	uint32 *sides = graph_bridges(&exact);

	for (int i = 0; i < links.n; i++)
	{
		int label[NODES_MAX];
		int sizes[NODES_MAX] = {0};
		int a;
		int b;

		for (int j = 0; j < nnodes; j++)
			label[j] = j;
		for (int j = 0; j < links.n; j++)
			if (j != i)
				relabel(label, label[links.node[j][0]], label[links.node[j][1]]);
		for (int j = 0; j < nnodes; j++)
			sizes[label[j]]++;
		a = label[links.node[i][0]];
		b = label[links.node[i][1]];
		require(sides[i] == (a == b ? 0 : Min(sizes[a], sizes[b])));
	}
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	if (len < INPUT_HEAD)
		return true;
	read_input(data, len);
	check_conflicts();
	check_paths(data[0] / 4 % nnodes);
	check_bridges();
	return true;
}
