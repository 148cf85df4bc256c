/*
 * journey_periods.c
 *		Customers by unit of a calendar: journey_retention, journey_lifecycle.
 */
#include "postgres.h"

#include "analytics/retention.h"
#include "analytics/row_set.h"
#include "compat.h"
#include "journey/journey.h"
#include "journey/marks.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

typedef struct PeriodSet
{
	RowSet rows;
	RetentionQuery query; /* of journey_lifecycle: "back" is the step */
	Units units;          /* ascending; the first touchpoint's is the first */
	size_t next;          /* of them to be told */
	DateADT cohort;

	/* of journey_lifecycle */
	bool gap_next;       /* rather than units[next], the unit that lies behind the one before */
	int64 last_to_begin; /* no gap after this unit is told */
} PeriodSet;

static inline void
units_add(Units *u, int32 number)
{
	if (u->n > 0 && u->numbers[u->n - 1] == number)
		return;
	if (u->n > 0 && u->numbers[u->n - 1] > number)
		u->falls = true;
	if (u->n == u->max)
	{
		u->max = Max(16, 2 * u->max);
		u->numbers = u->numbers ? repalloc_huge(u->numbers, u->max * sizeof(int32))
								: palloc_extended(u->max * sizeof(int32), MCXT_ALLOC_HUGE);
	}
	u->numbers[u->n++] = number;
}

#define ST_SORT sort_units
#define ST_ELEMENT_TYPE int32
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Dates fall where a clock is put back over midnight. */
static void
units_order(Units *u)
{
	size_t n = 0;

	if (!u->falls)
		return;
	sort_units(u->numbers, u->n);
	for (size_t i = 0; i < u->n; i++)
		if (n == 0 || u->numbers[n - 1] != u->numbers[i])
			u->numbers[n++] = u->numbers[i];
	u->n = n;
}

static void
start_set(PeriodSet *set)
{
	set->units = (Units) {0};
	set->next = 0;
	set->gap_next = false;
}

void
retention_units(RetentionQuery *query, Units *units, const JourneyView *v, Matcher *starts)
{
	Matcher *returns = starts;
	uint32 start;
	uint32 i;
	int32 cohort;
	int64 time;

	if (!matcher_next_step(starts, &start, &time))
		return;
	cohort = calendar_number(&query->calendar, time);
	units_add(units, cohort);
	if (!query->same)
		returns = pattern_matcher(query->back, v);
	while (matcher_next_step(returns, &i, &time))
		if (i > start)
		{
			int32 number = calendar_number(&query->calendar, time);

			units_add(units, Max(number, cohort));
		}
	units_order(units);
}

/* The time of a touchpoint that does not lie before the one read last. */
static inline int64
read_time(const JourneyView *v, EliasFanoCursor *times, uint32 i)
{
	if (times->i != i)
		ef_seek(&v->times, times, i);
	return journey_time_from_offset(v, ef_next(&v->times, times));
}

void
retention_units_marked(RetentionQuery *query, Units *units, const JourneyView *v,
					   const uint8 *marks, uint8 start, uint8 back)
{
	EliasFanoCursor times;
	uint32 i = marks_next(marks, 0, v->n, start);
	int32 cohort;
	int64 from;
	int64 to;

	if (i == v->n)
		return;
	ef_start(&v->times, &times);
	cohort = calendar_stretch(&query->calendar, read_time(v, &times, i), &from, &to);
	units_add(units, cohort);
	/* nothing new comes before the stretch of the one read last has ended */
	while (v->last >= to && (i = marks_next(marks, i + 1, v->n, back)) < v->n)
	{
		int64 time = read_time(v, &times, i);
		int32 number;

		CHECK_FOR_INTERRUPTS();
		if (time >= from && time < to)
			continue;
		number = calendar_stretch(&query->calendar, time, &from, &to);
		units_add(units, Max(number, cohort));
	}
	units_order(units);
}

static bool
retention_row(void *arg, Datum *values, bool *nulls)
{
	PeriodSet *set = arg;
	const Units *u = &set->units;

	if (set->next == u->n)
		return false;
	values[0] = DateADTGetDatum(set->cohort);
	values[1] = Int32GetDatum(u->numbers[set->next++] - u->numbers[0]);
	return true;
}

PG_FUNCTION_INFO_V1(journey_retention);
Datum
journey_retention(PG_FUNCTION_ARGS)
{
	PeriodSet *set = row_set(fcinfo, sizeof(PeriodSet));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);
		JourneyArg arg;

		start_set(set);
		retention_query_set(&set->query, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(1),
							PG_GETARG_DATUM(2), PG_GETARG_TEXT_PP(3), PG_GETARG_TEXT_PP(4));
		journey_arg_open(&arg, PG_GETARG_DATUM(0));
		retention_units(&set->query, &set->units, &arg.view,
						retention_check(&set->query, &arg.view, "journey_retention"));
		journey_arg_close(&arg);
		if (set->units.n > 0)
			set->cohort = calendar_date(set->query.calendar.unit, set->units.numbers[0]);
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, retention_row);
}

static void
collect_lifecycle(PeriodSet *set, Datum journey)
{
	JourneyArg arg;
	Matcher *steps;
	uint32 i;
	int64 time;

	journey_arg_open(&arg, journey);
	steps = pattern_step_matcher(set->query.back, &arg.view, "journey_lifecycle");
	while (matcher_next_step(steps, &i, &time))
		units_add(&set->units, calendar_number(&set->query.calendar, time));
	units_order(&set->units);
	journey_arg_close(&arg);
}

/* A unit begins before an instant if the last moment before that is not in an earlier one. */
static int64
last_unit_before(Calendar *c, TimestampTz until)
{
	if (TIMESTAMP_IS_NOBEGIN(until))
		return PG_INT64_MIN;
	if (TIMESTAMP_IS_NOEND(until))
		return PG_INT64_MAX;
	return calendar_number(c, until - 1);
}

static bool
lifecycle_row(void *arg, Datum *values, bool *nulls)
{
	PeriodSet *set = arg;
	const Units *u = &set->units;
	const char *state;
	int32 number;

	if (set->gap_next)
	{
		number = u->numbers[set->next - 1] + 1;
		state = "dormant";
		set->gap_next = false;
	}
	else if (set->next == u->n)
		return false;
	else
	{
		number = u->numbers[set->next];
		if (set->next == 0)
			state = "new";
		else
			state = u->numbers[set->next - 1] == number - 1 ? "returning" : "resurrecting";
		set->next++;
		set->gap_next = (set->next == u->n || u->numbers[set->next] != number + 1) &&
						number < set->last_to_begin;
	}
	values[0] = DateADTGetDatum(calendar_date(set->query.calendar.unit, number));
	values[1] = CStringGetTextDatum(state);
	return true;
}

PG_FUNCTION_INFO_V1(journey_lifecycle);
Datum
journey_lifecycle(PG_FUNCTION_ARGS)
{
	PeriodSet *set = row_set(fcinfo, sizeof(PeriodSet));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);

		start_set(set);
		pattern_argument(&set->query.back, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(1));
		calendar_set(&set->query.calendar, PG_GETARG_TEXT_PP(2), PG_GETARG_TEXT_PP(3));
		set->last_to_begin = last_unit_before(&set->query.calendar, PG_GETARG_TIMESTAMPTZ(4));
		collect_lifecycle(set, PG_GETARG_DATUM(0));
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, lifecycle_row);
}
