/*
 * retention.h
 *		When one journey begins and returns: for journey_retention and its aggregate.
 */
#ifndef PGJ_RETENTION_H
#define PGJ_RETENTION_H

#include "analytics/calendar.h"
#include "pattern/journey_pattern.h"

/* Distinct units of a calendar. */
typedef struct Units
{
	int32 *numbers;
	size_t n;
	size_t max;
	bool falls;
} Units;

/* What is asked for; zeroed before first use. */
typedef struct RetentionQuery
{
	CompiledPattern *start;
	CompiledPattern *back;
	Calendar calendar;
} RetentionQuery;

/* Take patterns, unit and time zone as SQL gives them; cheap if they are those there were. */
static inline void
retention_query_set(RetentionQuery *query, MemoryContext cxt, Datum start, Datum back,
					const text *unit, const text *zone)
{
	pattern_argument(&query->start, cxt, start);
	pattern_argument(&query->back, cxt, back);
	calendar_set(&query->calendar, unit, zone);
}

/*
 * In journey_periods.c: to no units, add the one of a journey's first start, if it has one, and those
 * of its returns, ascending. The function's name is for errors.
 */
extern void retention_units(RetentionQuery *query, Units *units, const JourneyView *v,
							const char *function);

#endif /* PGJ_RETENTION_H */
