/*
 * path_counts.h
 *		Paths of journeys, counted as a tree: what begins alike is there once.
 */
#ifndef PGJ_PATH_COUNTS_H
#define PGJ_PATH_COUNTS_H

#include "journey/label_dict.h"

/* A path: its last label, or part of one, behind the path before. */
typedef struct PathNode
{
	uint32 parent; /* its place, which is in front of this one's */
	uint32 number; /* in the dictionary */
	uint32 length;
	int64 journeys; /* that end here */
} PathNode;

typedef struct PathTree
{
	MemoryContext cxt;
	LabelDict *dict;
	PathNode *nodes; /* the first one is the empty path */
	uint32 n;
	uint32 max;
	struct paths_hash *table; /* of nodes by parent and number */
} PathTree;

extern void path_tree_create(PathTree *tree, MemoryContext cxt);

/* The node of a path with a label more. */
extern uint32 path_tree_child(PathTree *tree, uint32 node, uint32 number);

/* All nodes in order: of length, then of labels. */
extern uint32 *path_tree_order(PathTree *tree);

#endif /* PGJ_PATH_COUNTS_H */
