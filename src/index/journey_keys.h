/*
 * journey_keys.h
 *		Keys by which an index finds journeys, and what a pattern asks of them.
 *
 * A journey has as keys
 *
 *	singles		each of its labels without detail (channel, action), each of its
 *				channels, actions and details, and each label with its detail;
 *	near pairs	of two of its labels without detail, "b some time after a", where the
 *				smallest distance in time is within the horizon: the pair with the
 *				bucket of that distance;
 *	"many"		one key that says there are no pairs, for a journey with more than
 *				JOURNEY_KEYS_LABELS_MAX labels: the pairs grow with their square.
 *
 * Keys are hashes of 64 bits (frozen_hash.h); two that collide cost a recheck, no
 * answer. They are stored in indexes: whoever changes them must add an operator
 * class.
 */
#ifndef PGJ_JOURNEY_KEYS_H
#define PGJ_JOURNEY_KEYS_H

#include "journey/format.h"
#include "pattern/program.h"

/* A journey of more labels has no pairs. */
#define JOURNEY_KEYS_LABELS_MAX 64

/* Pairs of a pattern are left out if there would be more keys: they are a help, no need. */
#define PATTERN_KEYS_MAX 2000

/* Keys of a journey: sorted as int64, each once. palloc'd. Without pairs if horizon is 0. */
extern int64 *journey_keys(const JourneyView *v, int64 horizon, int *n);

/* Two labels, one near after the other: one of these keys, or "many". */
typedef struct KeyPair
{
	int n; /* buckets, from the nearest on */
	int *keys;
} KeyPair;

/*
 * What a pattern asks: for each step a key, or two, which some touchpoint must have
 * each; for each edge that links two labels within the horizon a pair.
 */
typedef struct PatternKeys
{
	const Program *program;
	int nkeys;
	int nsingles; /* the first of the keys; the others are of pairs, or "many" */
	int64 *keys;
	int many;             /* the key, or -1 */
	int *step_key;        /* of each step, or -1: any touchpoint may do */
	int *step_detail_key; /* another one, of the detail alone, or -1 */
	int npairs;
	KeyPair *pairs; /* distinct */
	int *edge_pair; /* of each edge, or -1 */
	/* scratch: which steps (bits), pairs and edges the keys allow, and positions */
	uint64 *steps_met;
	bool *pair_met;
	bool *edge_met;
	bool *reached;
} PatternKeys;

/* In the current context; the program must outlive it. */
extern PatternKeys *pattern_keys(const Program *program, int64 horizon);

/* May a journey match that has no key but where present[] is not 0? */
extern bool pattern_keys_allow(const PatternKeys *k, const char *present);

/*
 * The share of journeys that may match, given the share that has each key, or
 * minus the one to assume if it is not known: if rarer keys occur only along with
 * commoner ones, the most it can be, but that of alternatives the commonest counts.
 */
extern double pattern_keys_share(const PatternKeys *k, const double *shares);

#endif /* PGJ_JOURNEY_KEYS_H */
