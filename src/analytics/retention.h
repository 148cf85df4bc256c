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
	bool same; /* as start */
	Calendar calendar;
} RetentionQuery;

/* Take patterns, unit and time zone as SQL gives them; cheap if they are those there were. */
static inline void
retention_query_set(RetentionQuery *query, MemoryContext cxt, Datum start, Datum back,
					const text *unit, const text *zone)
{
	pattern_argument(&query->start, cxt, start);
	pattern_argument(&query->back, cxt, back);
	query->same = query->start->len == query->back->len &&
				  memcmp(query->start->text, query->back->text, query->back->len) == 0;
	calendar_set(&query->calendar, unit, zone);
}

/* An error, if a pattern has more than one step, for which the name is; the matcher of starts. */
static inline Matcher *
retention_check(RetentionQuery *query, const JourneyView *v, const char *function)
{
	Matcher *starts = pattern_step_matcher(query->start, v, function);

	pattern_step_matcher(query->back, v, function);
	return starts;
}

/*
 * In journey_periods.c: to no units, add the one of a journey's first start, if it has one, and those
 * of its returns, ascending. The matcher of starts is turned to the journey; patterns are checked.
 */
extern void retention_units(RetentionQuery *query, Units *units, const JourneyView *v,
							Matcher *starts);

/* The same, if a mark of a touchpoint tells whether it is for the start, and one for the return. */
extern void retention_units_marked(RetentionQuery *query, Units *units, const JourneyView *v,
								   const uint8 *marks, uint8 start, uint8 back);

#endif /* PGJ_RETENTION_H */
