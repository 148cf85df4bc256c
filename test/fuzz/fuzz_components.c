/*
 * fuzz_components.c
 *		Connected components against a naive evaluator.
 *
 * The input's first byte says how ids are made of bytes and what is done; then
 * come edges, of two bytes each. Added at once, in batches, or in two partitions
 * that are packed and merged, they must give the list that labels give which
 * spread until nothing changes; and so must the same edges between identifiers. Or
 * the rest is a packed partition of either kind, which must be refused or, merged,
 * must be sound. Every input is accepted but refused ones.
 */
#include "postgres.h"

#include "compat.h"
#include "fuzz.h"
#include "identity/identifier_components.h"
#include "touchpoint/frozen_hash.h"

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

/* --- identifiers --- */

/*
 * Identifiers in the order of their numbers, 0 to 255. All whose last digit is f
 * have one hash: their last 8 bytes make up for the others.
 */
static struct varlena *
identifier_of(int number)
{
	static const char digits[] = "0123456789abcdef";
	char bytes[2 + 2 + 12] = {'n', '\0', digits[number / 16], digits[number % 16]};
	size_t len = 4 + number % 13;
	struct varlena *value;

	memset(bytes + 4, 'x', sizeof(bytes) - 4);
	if (number % 16 == 15)
	{
		len = sizeof(bytes);
		do
		{
			uint64 word = 0;
			uint64 h = mix(0, len);

			bytes[4]++;
			memcpy(&word, bytes, 8);
			h = mix(h, word);
			word = (h << 5 | h >> 59) ^ 1;
			memcpy(bytes + 8, &word, 8);
		} while (memchr(bytes + 8, '\0', 8) != NULL);
	}
	value = palloc(VARHDRSZ + len);
	SET_VARSIZE(value, VARHDRSZ + len);
	memcpy(VARDATA(value), bytes, len);
	return value;
}

static int
compare_values(const struct varlena *a, const struct varlena *b)
{
	size_t a_len = VARSIZE(a);
	size_t b_len = VARSIZE(b);
	int cmp = memcmp(VARDATA(a), VARDATA(b), Min(a_len, b_len) - VARHDRSZ);

	return cmp != 0 ? cmp : (a_len > b_len) - (a_len < b_len);
}

/* Each identifier is there once and in order. */
static ComponentNode *
list_identifiers(IdentifierComponents *ic, uint32 **order)
{
	ComponentNode *nodes = palloc(ic->c.n * sizeof(ComponentNode));

	*order = identifier_components_list(ic, nodes);
	for (uint32 i = 0; i < ic->c.n; i++)
	{
		require(nodes[i].component <= nodes[i].node && nodes[i].node < ic->c.n);
		if (i > 0)
			require(compare_values(identifier_components_value(ic, (*order)[i - 1]),
								   identifier_components_value(ic, (*order)[i])) < 0);
	}
	return nodes;
}

static void
check_identifier_list(IdentifierComponents *ic, const ComponentNode *naive, int n)
{
	uint32 *order;
	ComponentNode *nodes = list_identifiers(ic, &order);

	require(ic->c.n == n);
	for (int i = 0; i < n; i++)
	{
		require(compare_values(identifier_components_value(ic, order[nodes[i].node]),
							   identifier_of(naive[i].node)) == 0);
		require(compare_values(identifier_components_value(ic, order[nodes[i].component]),
							   identifier_of(naive[i].component)) == 0);
	}
}

static void
add_identifiers(IdentifierComponents *ic, int from, int to)
{
	identifier_components_init(ic, CurrentMemoryContext);
	for (int i = from; i < to; i++)
	{
		struct varlena *a = identifier_of(edges[i].a);

		identifier_components_add(ic, a, edges[i].a == edges[i].b ? a : identifier_of(edges[i].b));
	}
}

static void
check_identifiers(const ComponentNode *naive, int n)
{
	IdentifierComponents whole;
	IdentifierComponents part;
	size_t size;
	uint8 *packed;

	add_identifiers(&whole, 0, nedges);
	check_identifier_list(&whole, naive, n);
	add_identifiers(&whole, 0, nedges / 2);
	add_identifiers(&part, nedges / 2, nedges);
	size = identifier_components_packed_size(&part);
	packed = palloc(size);
	identifier_components_pack(&part, packed);
	if (part.c.n > 0)
		identifier_components_merge(&whole, exact_copy(packed, size), size);
	check_identifier_list(&whole, naive, n);
}

/* --- packed partitions --- */

static void
merge_packed(void *arg)
{
	struct varlena *packed = arg;
	Components c;

	components_init(&c, CurrentMemoryContext);
	components_merge(&c, (uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ);
	list(&c);
}

static void
merge_packed_identifiers(void *arg)
{
	struct varlena *packed = arg;
	IdentifierComponents ic;
	uint32 *order;

	identifier_components_init(&ic, CurrentMemoryContext);
	identifier_components_merge(&ic, (uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ);
	list_identifiers(&ic, &order);
}

static bool
merge_bytes(const uint8 *data, size_t len, bool identifiers)
{
	struct varlena *packed = palloc(VARHDRSZ + len);
	int error;

	SET_VARSIZE(packed, VARHDRSZ + len);
	memcpy(VARDATA(packed), data, len);
	error = backend_run(identifiers ? merge_packed_identifiers : merge_packed, packed);
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
		return merge_bytes(data + 1, len - 1, data[0] & 64);
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
	if (factor == 1)
		check_identifiers(nodes, n);
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
