/*
 * journey_index.h
 *		What the operator classes and the planner's functions agree on.
 */
#ifndef PGJ_JOURNEY_INDEX_H
#define PGJ_JOURNEY_INDEX_H

#include "datatype/timestamp.h"

/* Strategies, the same in GIN and GiST. */
#define JOURNEY_MATCHES_STRATEGY 1  /* journey ~ journey_pattern */
#define JOURNEY_OVERLAPS_STRATEGY 3 /* journey && tstzrange */
#define JOURNEY_WITHIN_STRATEGY 8   /* journey <@ tstzrange */

/* Distance of near pairs unless the index says otherwise; test/bench/RESULTS.md has the figures. */
#define JOURNEY_HORIZON_DEFAULT USECS_PER_DAY

#endif /* PGJ_JOURNEY_INDEX_H */
