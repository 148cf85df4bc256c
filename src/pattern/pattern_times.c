/*
 * pattern_times.c
 *		What of a journey matters to a pattern, and when: without making journeys of it.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey.h"
#include "journey/journey_range.h"
#include "miscadmin.h"
#include "pattern/journey_pattern.h"
#include "utils/timestamp.h"

/* How many touchpoints lie in a range. */
PG_FUNCTION_INFO_V1(journey_length_during);
Datum
journey_length_during(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	TimeRange range;
	uint32 from = 0;
	uint32 to = 0;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	time_range_open(&range, PG_GETARG_RANGE_P(1));
	if (!range.empty)
	{
		from = journey_search_time(&arg.view, range.lower, !range.lower_inclusive);
		to = journey_search_time(&arg.view, range.upper, range.upper_inclusive);
	}
	journey_arg_close(&arg);
	PG_RETURN_INT32(to > from ? to - from : 0);
}

/* The time of the first touchpoint from a time on. */
PG_FUNCTION_INFO_V1(journey_next_time);
Datum
journey_next_time(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	TimestampTz since = PG_GETARG_TIMESTAMPTZ(1);
	JourneyCursor cursor;
	Touch touch;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	if (arg.view.n == 0 || since > arg.view.last)
	{
		journey_arg_close(&arg);
		PG_RETURN_NULL();
	}
	touch.time = arg.view.first;
	if (since > touch.time)
	{
		journey_start_at(&arg.view, &cursor, journey_search_time(&arg.view, since, false));
		journey_next(&cursor, &touch);
	}
	journey_arg_close(&arg);
	PG_RETURN_TIMESTAMPTZ(touch.time);
}

/* The time of the last touchpoint that matches a pattern of one step. */
PG_FUNCTION_INFO_V1(journey_last_time);
Datum
journey_last_time(PG_FUNCTION_ARGS)
{
	CompiledPattern *c = call_pattern(fcinfo, 1);
	JourneyArg arg;
	Matcher *m;
	uint32 i;
	int64 time;
	bool found = false;
	int64 last = 0;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	m = pattern_step_matcher(c, &arg.view, "journey_last_time");
	while (matcher_next_step(m, &i, &time))
	{
		found = true;
		last = time;
	}
	journey_arg_close(&arg);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(last);
}

/*
 * May these touchpoints, among others of a journey, change how it matches? Those that are
 * neither a step of the pattern nor banned by it can't, unless it says what is the next
 * touchpoint, or the first or last.
 */
PG_FUNCTION_INFO_V1(journey_pattern_concerns);
Datum
journey_pattern_concerns(PG_FUNCTION_ARGS)
{
	const Program *p = call_pattern(fcinfo, 0)->program;
	JourneyArg arg;
	TouchLabel *labels;
	bool concerns = false;

	journey_arg_open(&arg, PG_GETARG_DATUM(1));
	for (int i = 0; i < p->nlinks; i++)
		concerns |= p->links[i].next;
	for (int i = 0; i < p->nedges; i++)
		concerns |= p->edges[i].from_start;
	for (int i = 0; i < p->naccepts; i++)
		concerns |= p->accepts[i].to_end;
	concerns &= arg.view.n > 0;
	labels = journey_dictionary(&arg.view);
	for (uint32 i = 0; i < arg.view.nlabels && !concerns; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int step = 0; step < p->nsteps && !concerns; step++)
			concerns = step_matches_label(p->steps[step], &labels[i]);
	}
	journey_arg_close(&arg);
	PG_RETURN_BOOL(concerns);
}
