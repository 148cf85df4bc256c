/*
 * firsts.h
 *		The first identity of each observation, and its customer.
 */
#ifndef PGJ_FIRSTS_H
#define PGJ_FIRSTS_H

/* What counts when the strongest is sought. */
typedef struct Rank
{
	int64 class; /* the smaller, the stronger */
	struct varlena *node;
	int64 customer;
	int64 id;
} Rank;

/* Observations, by their numbers from 1, and what is found of each */
typedef struct Firsts
{
	Datum *customers;
	Datum *identities;
	bool *none;
	int n;
} Firsts;

extern void firsts_init(Firsts *firsts, const Datum *numbers, int given);

/*
 * Of one that is given by [from, until): the customer of the strongest, of several that
 * of the smallest node; and the identity that is given first among the strongest.
 * Returns whether the customer depends on the order of nodes.
 */
extern bool find_first(Firsts *firsts, int number, const Datum *places, int from, int until,
					   const Rank *ranks);

static inline int64
class_of(bool usable, int32 priority)
{
	return ((int64) !usable << 33) - priority;
}

#endif /* PGJ_FIRSTS_H */
