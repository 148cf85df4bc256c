/*
 * components.h
 *		Connected components of a graph that comes as edges.
 *
 * Union-find (R. E. Tarjan, J. van Leeuwen, "Worst-case analysis of set union
 * algorithms", JACM 1984): union by size, path halving. Nodes are numbered from
 * 1 as they come, an open-addressing hash table finds the number of an id, and
 * all the rest goes by number. What costs is waiting for memory, so edges are
 * added in batches, whose places in the table are fetched all at once.
 *
 * Memory: 20 to 40 bytes a node, which has a slot of 12 and a parent of 4, for a
 * quarter to five eighths of the slots are free; half as much again while the
 * table grows. After a merge the table has room for both partitions, as if no
 * node were in both. Listing takes 36 bytes a node besides, the list's 16 included.
 *
 * This is the algorithm layer.
 */
#ifndef PGJ_COMPONENTS_H
#define PGJ_COMPONENTS_H

#include "miscadmin.h"

/* A list of 16 bytes a node and an array's header fit in a value. */
#define COMPONENTS_NODES_MAX ((uint32) ((MaxAllocSize - 64) / sizeof(ComponentNode)))

/* As many as the processor can fetch for at a time, and some. */
#define COMPONENTS_BATCH 32

typedef struct ComponentEdge
{
	int64 a;
	int64 b; /* the same: a node, no edge */
} ComponentEdge;

typedef struct ComponentNode
{
	int64 node;
	int64 component; /* the smallest node of its component */
} ComponentNode;

typedef struct ComponentSlot ComponentSlot;

typedef struct Components
{
	MemoryContext cxt;
	ComponentSlot *slots;
	int32 *parents; /* from 1: the parent's number; of a root, minus its component's size */
	uint32 n;
	uint32 room; /* for so many nodes */
	int shift;   /* 64 less the binary logarithm of the number of slots */
} Components;

extern void components_init(Components *c, MemoryContext cxt);

/* Add at most COMPONENTS_BATCH edges. */
extern void components_add(Components *c, const ComponentEdge *edges, int n);

/*
 * For those who keep more about a node than its component: its number, a new one
 * where the node is new; the number of its component's root; and both components
 * made one, whose root is returned. No limit but memory.
 */
extern uint32 components_number(Components *c, int64 id);
extern uint32 components_root(Components *c, uint32 number);
extern uint32 components_join(Components *c, uint32 a, uint32 b);

static inline uint32
components_size(const Components *c, uint32 root)
{
	return -c->parents[root];
}

/*
 * List all nodes, by component, then node; out has room for c->n. If ranks are
 * given, they stand for the nodes, by number: in the order and in the list.
 */
extern void components_list(Components *c, const uint32 *ranks, ComponentNode *out);

/*
 * The partition as bytes, COMPONENTS_PACKED_NODE a node. Merging checks them;
 * nodes that are there more than once are merged like any others.
 */
#define COMPONENTS_PACKED_NODE 12
extern void components_pack(Components *c, uint8 *out);
extern void components_merge(Components *c, const uint8 *packed, size_t size);

/* In a loop whose rounds are short. */
static inline void
check_interrupts_sometimes(uint64 i)
{
	if (unlikely(i % 65536 == 0))
		CHECK_FOR_INTERRUPTS();
}

#endif /* PGJ_COMPONENTS_H */
