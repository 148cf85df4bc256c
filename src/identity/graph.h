/*
 * graph.h
 *		What links between nodes would break, connect, or hold together.
 *
 * Links are undirected. They are known by their place, from 0; a result has one
 * number for each. Everything is allocated where the caller is, in chunks that may
 * be huge: as the links come in arrays, there are fewer than 2^27. It is some 150
 * bytes at most for each link, member and pair.
 *
 * This is the algorithm layer.
 */
#ifndef PGJ_GRAPH_H
#define PGJ_GRAPH_H

#include "identity/components.h"

typedef struct Links
{
	uint32 n;
	const int64 *a;
	const int64 *b;
} Links;

/* The numbers (components.h) of a link's ends */
typedef struct LinkEnds
{
	uint32 a;
	uint32 b;
} LinkEnds;

/*
 * What a component may hold: at most limits[g - 1] nodes of group g, groups[i]
 * being one of members[i]'s; and not both apart_a[i] and apart_b[i]. Links but for
 * the first nfacts join no components of which both have a value of an attribute,
 * and not all the same; values[i] is one of valued[i]'s, of attributes[i].
 */
typedef struct ConflictRules
{
	uint32 nlimits;
	const int32 *limits;
	uint32 nmembers;
	const int64 *members;
	const int32 *groups;
	uint32 napart;
	const int64 *apart_a;
	const int64 *apart_b;
	uint32 nfacts;
	uint32 nvalues;
	const int64 *valued;
	const int32 *attributes;
	const int64 *values;
} ConflictRules;

/* graph.c */
extern void *graph_array(size_t n, size_t size);
extern LinkEnds *graph_number_links(Components *c, const Links *links);

/*
 * The cheapest path: how many links it has, and which. Of equally cheap ones
 * that of the fewest links; of those the one whose first link comes first, then
 * its second, and so on. Costs are not negative.
 */
extern uint32 graph_path(const Links *links, const int32 *costs, int64 from, int64 to,
						 uint32 **path);

/*
 * Of each link the number of nodes on its smaller side if it alone holds the two
 * sides together, else 0.
 */
extern uint32 *graph_bridges(const Links *links);

/*
 * conflicts.c
 *
 * Add the links one after another, but for those that would make a component break
 * a rule: for these the smallest group that has too many nodes, or GRAPH_APART
 * where none has and a pair would no longer be apart, or values differ: then the
 * smallest such attribute stands in attributes, which has 0 for all others. 0: added.
 */
#define GRAPH_APART PG_UINT32_MAX
extern uint32 *graph_conflicts(const Links *links, const ConflictRules *rules, uint32 **attributes);

#endif /* PGJ_GRAPH_H */
