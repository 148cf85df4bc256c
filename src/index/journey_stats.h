/*
 * journey_stats.h
 *		Statistics of a column of journeys: what ANALYZE keeps and the planner uses.
 *
 * Two slots of pg_statistic besides the ordinary ones:
 *
 *	JOURNEY_STATS_SAMPLE	values: journeys of the sample, every so many-th, as
 *							they are. A condition is tried on them: that tells how
 *							often common patterns match, whatever they contain.
 *	JOURNEY_STATS_KEYS		values: the commonest keys (journey_keys.h, default
 *							horizon) of the whole sample, ascending; numbers: the
 *							share of journeys that have each, and last the shares to
 *							assume for any other single and any other pair. They
 *							tell of rare patterns. Singles are far fewer and limit
 *							what pairs there can be, so half the room is theirs.
 *
 * The numbers of the kinds are of the range PostgreSQL leaves to private use.
 */
#ifndef PGJ_JOURNEY_STATS_H
#define PGJ_JOURNEY_STATS_H

#define JOURNEY_STATS_SAMPLE 19801
#define JOURNEY_STATS_KEYS 19802

/* Of each unit of the column's statistics target: */
#define JOURNEY_STATS_ROWS_EACH 600   /* rows looked at */
#define JOURNEY_STATS_SAMPLE_EACH 20  /* journeys kept, */
#define JOURNEY_STATS_BYTES_EACH 2560 /* of so many bytes together at most */
#define JOURNEY_STATS_KEYS_EACH 50    /* keys kept */

#endif /* PGJ_JOURNEY_STATS_H */
