/*
 * sankey.h
 *		Where the nodes and bands of a Sankey diagram stand.
 */
#ifndef PGJ_SANKEY_H
#define PGJ_SANKEY_H

typedef struct SankeyNode
{
	int column;
	bool last; /* stands below those that are not */
	double value;
	/* found */
	double y; /* above the lowest */
	double height;
	int place;      /* in its column */
	double reached; /* mean place of those it is linked with at one side ... */
	double linked;  /* ... and the value of those links */
} SankeyNode;

typedef struct SankeyLink
{
	int from; /* nodes, the second in the column behind the first */
	int to;
	double value;
	/* found */
	double y_from;
	double y_to;
	double width;
} SankeyLink;

/* Nodes stand by column, the greatest of each first; links in any order. Heights are within "height". */
extern void sankey_layout(SankeyNode *nodes, int nnodes, SankeyLink *links, int nlinks,
						  int ncolumns, double height, double least, double gap);

#endif /* PGJ_SANKEY_H */
