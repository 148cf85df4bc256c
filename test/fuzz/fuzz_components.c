/*
 * fuzz_components.c
 *		Connected components against a naive evaluator.
 *
 * The input's first byte says how ids are made of bytes and what is done; then
 * come edges, of two bytes each. Added at once, in batches, or in two partitions
 * that are packed and merged, they must give the list that labels give which
 * spread until nothing changes. Or the rest is a packed partition, which must be
 * refused or, merged, must be sound. Every input is accepted but refused ones.
 */
#include "postgres.h"

#include "compat.h"
#include "fuzz.h"
#include "identity/components.h"

#define EDGES_MAX 400

const char *const fuzz_tokens[] = {"\x01\x02\x02\x03", "\x05\x05", NULL};

static ComponentEdge edges[EDGES_MAX];
static int nedges;

static void
add_edges(Components *c, int from, int to, int batch)
{
	for (int n; from < to; from += n)
	{
		n = Min(batch, to - from);
		components_add(c, exact_copy(&edges[from], n * sizeof(ComponentEdge)), n);
	}
}

static ComponentNode *
list(Components *c)
{
	ComponentNode *nodes = palloc(c->n * sizeof(ComponentNode));

	components_list(c, NULL, nodes);
	for (uint32 i = 0; i < c->n; i++)
	{
		require(nodes[i].component <= nodes[i].node);
		if (i > 0 && nodes[i].component == nodes[i - 1].component)
			require(nodes[i].node > nodes[i - 1].node);
		else
			require(nodes[i].component == nodes[i].node &&
					(i == 0 || nodes[i].component > nodes[i - 1].component));
	}
	return nodes;
}

static int64
naive_label(const ComponentNode *nodes, int n, int64 node)
{
	for (int i = 0; i < n; i++)
		if (nodes[i].node == node)
			return nodes[i].component;
	require(false);
	return 0;
}

/* Labels spread along the edges. */
static int
naive_components(ComponentNode *nodes)
{
	int n = 0;
	bool changed = true;

	for (int i = 0; i < 2 * nedges; i++)
	{
		int64 id = i % 2 ? edges[i / 2].b : edges[i / 2].a;
		int j = 0;

		while (j < n && nodes[j].node != id)
			j++;
		if (j == n)
			nodes[n++] = (ComponentNode) {id, id};
	}
	while (changed)
	{
		changed = false;
		for (int i = 0; i < nedges; i++)
		{
			int64 a = naive_label(nodes, n, edges[i].a);
			int64 b = naive_label(nodes, n, edges[i].b);

			for (int j = 0; a != b && j < n; j++)
				if (nodes[j].component == Max(a, b))
				{
					nodes[j].component = Min(a, b);
					changed = true;
				}
		}
	}
	return n;
}

static void
merge_packed(void *arg)
{
	struct varlena *packed = arg;
	Components c;

	components_init(&c, CurrentMemoryContext);
	components_merge(&c, (uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ);
	list(&c);
}

static bool
merge_bytes(const uint8 *data, size_t len)
{
	struct varlena *packed = palloc(VARHDRSZ + len);
	int error;

	SET_VARSIZE(packed, VARHDRSZ + len);
	memcpy(VARDATA(packed), data, len);
	error = backend_run(merge_packed, packed);
	require(error == 0 || error == ERRCODE_DATA_CORRUPTED);
	return error == 0;
}

static void
merge(Components *to, Components *from)
{
	size_t size = (size_t) from->n * COMPONENTS_PACKED_NODE;
	uint8 *packed = palloc(size);

	components_pack(from, packed);
	components_merge(to, exact_copy(packed, size), size);
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	static const int64 factors[] = {1, -1, INT64CONST(1) << 56, INT64CONST(0x61C8864680B583EB)};
	static ComponentNode naive[2 * EDGES_MAX];
	Components whole;
	Components parts[2];
	ComponentNode *nodes;
	int64 factor;
	int n;

	if (len == 0)
		return true;
	if (data[0] & 128)
		return merge_bytes(data + 1, len - 1);
	factor = factors[data[0] % lengthof(factors)];
	nedges = Min((len - 1) / 2, EDGES_MAX);
	for (int i = 0; i < nedges; i++)
	{
		edges[i].a = (int64) ((uint64) factor * data[1 + 2 * i]);
		edges[i].b = (int64) ((uint64) factor * data[2 + 2 * i]);
	}
	n = naive_components(naive);
	components_init(&whole, CurrentMemoryContext);
	add_edges(&whole, 0, nedges, 1 + (data[0] >> 2) % COMPONENTS_BATCH);
	require(whole.n == n);
	nodes = list(&whole);
	for (int i = 0; i < n; i++)
		require(naive_label(naive, n, nodes[i].node) == nodes[i].component);
	if (nedges < 2)
		return true;
	for (int i = 0; i < 2; i++)
	{
		components_init(&parts[i], CurrentMemoryContext);
		add_edges(&parts[i], i * nedges / 2, (i + 1) * nedges / 2, 1);
	}
	merge(&parts[0], &parts[1]);
	require(parts[0].n == n);
	require(memcmp(list(&parts[0]), nodes, n * sizeof(ComponentNode)) == 0);
	components_init(&parts[1], CurrentMemoryContext);
	merge(&parts[1], &parts[0]);
	require(memcmp(list(&parts[1]), nodes, n * sizeof(ComponentNode)) == 0);
	return true;
}
