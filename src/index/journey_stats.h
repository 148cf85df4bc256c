/*
 * journey_stats.h
 *		Statistics of a column of journeys: what ANALYZE keeps and the planner uses.
 *
 * Two slots of pg_statistic besides the ordinary ones:
 *
 *	JOURNEY_STATS_SAMPLE	values: some journeys of the sample, as they are. A
 *							condition is tried on them: that tells how often common
 *							patterns match, whatever they contain. Long ones are too
 *							large to be kept; numbers: the share of journeys that
 *							are not.
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

/*
 * Of each unit of the column's statistics target: rows looked at, and journeys
 * and keys kept. Both are read whenever a query is planned, hence the limits.
 */
#define JOURNEY_STATS_ROWS_EACH 600
#define JOURNEY_STATS_SAMPLE_EACH 20
#define JOURNEY_STATS_SAMPLE_MAX 10000
#define JOURNEY_STATS_KEYS_EACH 50
#define JOURNEY_STATS_KEYS_MAX 50000

/* Bytes of the sample together, and of one journey that may be in it. */
#define JOURNEY_STATS_BYTES_MAX 262144
#define JOURNEY_STATS_BYTES_ONE 8192

#endif /* PGJ_JOURNEY_STATS_H */
