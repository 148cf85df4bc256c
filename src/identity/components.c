/*
 * components.c
 *		Connected components: ids to numbers, union-find, the list in order.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/components.h"
#include "utils/memutils.h"

/* log2 of the slots of a new table: most components are of a few nodes */
#define START_BITS 3

#define SORT_BY_INSERTION_MAX 32

/* a power of two */
#define MERGE_BATCH 32

/* Without padding, for a third of the memory. */
struct pg_attribute_packed() ComponentSlot
{
	int64 id;
	uint32 number; /* 0: free */
};

/* In memory only: a slot is chosen by the highest bits. */
static inline uint64
scatter_id(int64 id)
{
	uint64 h = (uint64) id * UINT64CONST(0x9E3779B97F4A7C15);

	h ^= h >> 32;
	return h * UINT64CONST(0xC2B2AE3D27D4EB4F);
}

/* At most three quarters of the slots are taken. */
static inline uint64
room_of(int shift)
{
	return (UINT64CONST(1) << (64 - shift)) / 4 * 3;
}

static inline uint64
nslots(const Components *c)
{
	return UINT64CONST(1) << (64 - c->shift);
}

/* The slot of an id, or the free one that it would be in. */
static inline ComponentSlot *
slot_of(ComponentSlot *slots, uint64 mask, uint64 place, int64 id)
{
	while (slots[place].number != 0 && slots[place].id != id)
		place = (place + 1) & mask;
	return &slots[place];
}

static void
make_arrays(Components *c, int shift)
{
	uint64 size = UINT64CONST(1) << (64 - shift);
	ComponentSlot *slots = MemoryContextAllocExtended(c->cxt, size * sizeof(ComponentSlot),
													  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	size_t parents = (room_of(shift) + 1) * sizeof(int32);

	if (c->slots == NULL)
		c->parents = MemoryContextAllocHuge(c->cxt, parents);
	else
	{
		/* In the order of hashes, which is the new table's order, too */
		for (uint64 i = 0; i < nslots(c); i++)
		{
			ComponentSlot *slot = &c->slots[i];

			check_interrupts_sometimes(i);
			if (slot->number != 0)
				*slot_of(slots, size - 1, scatter_id(slot->id) >> shift, slot->id) = *slot;
		}
		pfree(c->slots);
		c->parents = repalloc_huge(c->parents, parents);
	}
	c->slots = slots;
	c->shift = shift;
	c->room = room_of(shift);
}

void
components_init(Components *c, MemoryContext cxt)
{
	c->cxt = cxt;
	c->slots = NULL;
	c->n = 0;
	make_arrays(c, 64 - START_BITS);
}

/* Make room for so many nodes more. */
static inline void
reserve(Components *c, uint32 more)
{
	int shift = c->shift;

	if (likely(c->n + (uint64) more <= c->room))
		return;
	while (room_of(shift) < c->n + (uint64) more)
		shift--;
	make_arrays(c, shift);
}

/* The number of an id whose place has been found; there is room for another. */
static inline uint32
intern(Components *c, uint64 place, int64 id)
{
	ComponentSlot *slot = slot_of(c->slots, nslots(c) - 1, place, id);

	if (slot->number == 0)
	{
		slot->id = id;
		slot->number = ++c->n;
		c->parents[slot->number] = -1;
	}
	return slot->number;
}

static inline uint32
root_of(int32 *parents, uint32 x)
{
	while (parents[x] > 0)
	{
		int32 parent = parents[x];

		if (parents[parent] < 0)
			return parent;
		x = parents[x] = parents[parent];
	}
	return x;
}

/* The root of both, which is one of their roots. */
static inline uint32
join(int32 *parents, uint32 a, uint32 b)
{
	a = root_of(parents, a);
	b = root_of(parents, b);
	if (a == b)
		return a;
	if (parents[a] > parents[b]) /* a is the smaller */
	{
		uint32 swap = a;

		a = b;
		b = swap;
	}
	parents[a] += parents[b];
	parents[b] = a;
	return a;
}

uint32
components_number(Components *c, int64 id)
{
	reserve(c, 1);
	return intern(c, scatter_id(id) >> c->shift, id);
}

uint32
components_root(Components *c, uint32 number)
{
	return root_of(c->parents, number);
}

uint32
components_join(Components *c, uint32 a, uint32 b)
{
	return join(c->parents, a, b);
}

static void
check_limit(Components *c)
{
	if (unlikely(c->n > COMPONENTS_NODES_MAX))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many nodes for identity_components"),
						errdetail("The limit is %u.", COMPONENTS_NODES_MAX)));
}

/* In three rounds, each of which fetches what the next one needs. */
void
components_add(Components *c, const ComponentEdge *edges, int n)
{
	const int64 *ids = &edges->a;
	uint64 place[2 * COMPONENTS_BATCH];
	uint32 number[2 * COMPONENTS_BATCH];

	Assert(n <= COMPONENTS_BATCH);
	reserve(c, 2 * n);
	for (int i = 0; i < 2 * n; i++)
	{
		place[i] = scatter_id(ids[i]) >> c->shift;
		__builtin_prefetch(&c->slots[place[i]], 1);
	}
	for (int i = 0; i < 2 * n; i++)
	{
		number[i] = intern(c, place[i], ids[i]);
		__builtin_prefetch(&c->parents[number[i]], 1);
	}
	for (int i = 0; i < 2 * n; i += 2)
		join(c->parents, number[i], number[i + 1]);
	check_limit(c);
}

/* In the order of slots, so that merging finds its own ones one after another. */
void
components_pack(Components *c, uint8 *out)
{
	for (uint64 i = 0; i < nslots(c); i++)
	{
		ComponentSlot slot = c->slots[i];

		check_interrupts_sometimes(i);
		if (slot.number == 0)
			continue;
		slot.number = root_of(c->parents, slot.number);
		memcpy(out, &slot, COMPONENTS_PACKED_NODE);
		out += COMPONENTS_PACKED_NODE;
	}
	StaticAssertStmt(sizeof(ComponentSlot) == COMPONENTS_PACKED_NODE, "slots have no padding");
}

static void
corrupt(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of identity_components is corrupt")));
}

/*
 * Room is made for all at once: in a table that grows when it is full, nodes in
 * the order of hashes would crowd its beginning.
 */
void
components_merge(Components *c, const uint8 *packed, size_t size)
{
	const ComponentSlot *nodes = (const ComponentSlot *) packed;
	size_t n = size / COMPONENTS_PACKED_NODE;
	uint32 *first; /* the number here of a component's first node there */

	if (size % COMPONENTS_PACKED_NODE != 0 || n == 0 || n > COMPONENTS_NODES_MAX)
		corrupt();
	reserve(c, n);
	first = palloc_extended((n + 1) * sizeof(uint32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (size_t from = 0; from < n; from += MERGE_BATCH)
	{
		uint32 number[MERGE_BATCH];
		size_t batch = Min(n - from, MERGE_BATCH);
		const ComponentSlot *node = &nodes[from];

		check_interrupts_sometimes(from);
		for (size_t i = 0; i < batch; i++)
		{
			if (node[i].number == 0 || node[i].number > n)
				corrupt();
			number[i] = intern(c, scatter_id(node[i].id) >> c->shift, node[i].id);
			__builtin_prefetch(&c->parents[number[i]], 1);
			__builtin_prefetch(&first[node[i].number], 1);
		}
		for (size_t i = 0; i < batch; i++)
		{
			uint32 *known = &first[node[i].number];

			if (*known == 0)
				*known = number[i];
			else
				join(c->parents, *known, number[i]);
		}
	}
	pfree(first);
	check_limit(c);
}

static void
insertion_sort(ComponentNode *nodes, uint32 n)
{
	for (uint32 i = 1; i < n; i++)
	{
		ComponentNode node = nodes[i];
		uint32 j = i;

		for (; j > 0 && nodes[j - 1].node > node.node; j--)
			nodes[j] = nodes[j - 1];
		nodes[j] = node;
	}
}

/* All nodes, or their ranks, and as component the number of the root. */
static void
collect(Components *c, const uint32 *ranks, ComponentNode *out)
{
	for (uint64 i = 0; i < nslots(c); i++)
	{
		check_interrupts_sometimes(i);
		if (c->slots[i].number == 0)
			continue;
		out->node = ranks ? ranks[c->slots[i].number] : c->slots[i].id;
		out->component = root_of(c->parents, c->slots[i].number);
		out++;
	}
}

/* Of an order as unsigned numbers */
static inline uint8
sort_byte(const ComponentNode *node, int byte)
{
	return ((uint64) node->node ^ UINT64CONST(1) << 63) >> (8 * byte);
}

/*
 * All nodes in order, in one of two buffers, which is returned. Radix sort by
 * the bytes in which they differ at all, which are few where ids are a sequence's.
 */
static ComponentNode *
collect_sorted(Components *c, const uint32 *ranks, ComponentNode *from, ComponentNode *to)
{
	uint64 differ = 0;

	collect(c, ranks, from);
	if (c->n <= SORT_BY_INSERTION_MAX)
	{
		insertion_sort(from, c->n);
		return from;
	}
	for (uint32 i = 0; i < c->n; i++)
		differ |= from[i].node ^ from[0].node;
	for (int byte = 0; byte < 8; byte++)
	{
		uint32 place[256] = {0};
		uint32 sum = 0;
		ComponentNode *swap = from;

		if ((uint8) (differ >> (8 * byte)) == 0)
			continue;
		for (uint32 i = 0; i < c->n; i++)
			place[sort_byte(&from[i], byte)]++;
		for (int i = 0; i < 256; i++)
		{
			uint32 count = place[i];

			place[i] = sum;
			sum += count;
		}
		for (uint32 i = 0; i < c->n; i++)
		{
			check_interrupts_sometimes(i);
			to[place[sort_byte(&from[i], byte)]++] = from[i];
		}
		from = to;
		to = swap;
	}
	return from;
}

/*
 * In order of nodes, a component is met first at its smallest. Nodes go where
 * their component's then begin, which are as many as the root tells.
 */
void
components_list(Components *c, const uint32 *ranks, ComponentNode *out)
{
	size_t size = c->n * sizeof(ComponentNode);
	ComponentNode *other = palloc_extended(size, MCXT_ALLOC_HUGE);
	ComponentNode *sorted = collect_sorted(c, ranks, other, out);
	uint32 *place = palloc_extended((c->n + 1) * sizeof(uint32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	uint32 next = 1; /* 0: not met yet */

	if (sorted == out)
		sorted = memcpy(other, out, size);
	for (uint32 i = 0; i < c->n; i++)
	{
		uint32 root = sorted[i].component;

		check_interrupts_sometimes(i);
		if (place[root] == 0)
		{
			place[root] = next;
			next -= c->parents[root];
		}
		out[place[root]++ - 1] = sorted[i];
	}
	for (uint32 i = 0; i < c->n;)
	{
		uint32 end = i - c->parents[out[i].component];
		int64 component = out[i].node;

		for (; i < end; i++)
			out[i].component = component;
	}
	pfree(place);
	pfree(other);
}
