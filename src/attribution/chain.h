/*
 * chain.h
 *		Absorbing Markov chains: the chance to convert, and what it is without some states.
 *
 * This is the algorithm layer: no fmgr, no catalogs.
 */
#ifndef PGJ_CHAIN_H
#define PGJ_CHAIN_H

/*
 * States from 0, where every path begins and none returns to. What their rows lack to 1 ends
 * without a conversion. None goes to itself at once, and from every one an end can be reached.
 */
typedef struct Chain
{
	uint32 n;
	uint32 *rows; /* n + 1: where the transitions of each state begin */
	uint32 *to;
	double *p;
	double *converts; /* of each state, at once */
	uint32 *group;    /* of each state but the first */
	uint32 ngroups;
} Chain;

/* What iteration leaves: the error of the chance to convert, as a part of it, and of an effect. */
#define CHAIN_ERROR 1e-12
#define CHAIN_EFFECT_ERROR 1e-10

typedef enum ChainMethod
{
	CHAIN_ANY, /* the quicker one */
	CHAIN_DIRECT,
	CHAIN_ITERATION
} ChainMethod;

/*
 * The chance to convert; and of each group of states what part of it is lost if whoever enters one
 * of them never converts.
 */
extern double chain_solve(const Chain *c, ChainMethod method, double *effects);

#endif /* PGJ_CHAIN_H */
