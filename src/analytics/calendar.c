/*
 * calendar.c
 *		Days, weeks, months, quarters and years of a time zone.
 */
#include "postgres.h"

#include "compat.h"
#include "analytics/calendar.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#define UNIX_EPOCH_SECS ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

/* 2000-01-03 was a Monday. */
#define FIRST_MONDAY 2

#define MONTHS_OF_2000 (2000 * MONTHS_PER_YEAR)

static const char *const unit_names[] = {
	[CALENDAR_DAY] = "day",         [CALENDAR_WEEK] = "week", [CALENDAR_MONTH] = "month",
	[CALENDAR_QUARTER] = "quarter", [CALENDAR_YEAR] = "year",
};

/* Of units that are months. */
static const int months_of[] = {
	[CALENDAR_MONTH] = 1,
	[CALENDAR_QUARTER] = 3,
	[CALENDAR_YEAR] = MONTHS_PER_YEAR,
};

static inline int64
floor_div(int64 a, int64 b)
{
	return a / b - (a % b < 0);
}

bool
calendar_unit_find(const char *name, size_t len, CalendarUnit *unit)
{
	for (CalendarUnit u = 0; u < CALENDAR_UNITS; u++)
		if (strlen(unit_names[u]) == len && memcmp(unit_names[u], name, len) == 0)
		{
			*unit = u;
			return true;
		}
	return false;
}

const char *
calendar_unit_name(CalendarUnit unit)
{
	return unit_names[unit];
}

static CalendarUnit
unit_from_text(const text *name)
{
	CalendarUnit unit;

	if (!calendar_unit_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &unit))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown unit of time: \"%s\"", text_to_cstring(name)),
						errhint("Use \"day\", \"week\", \"month\", \"quarter\" or \"year\".")));
	return unit;
}

/* Abbreviations are not looked at, because what they mean depends on settings. */
pg_tz *
calendar_zone(const char *name)
{
	pg_tz *zone = pg_tzset(name);

	if (zone == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("time zone \"%s\" not recognized", name),
						errhint("Use a name of the view pg_timezone_names, not an abbreviation.")));
	if (!pg_tz_acceptable(zone))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("time zone \"%s\" appears to use leap seconds", name),
						errdetail("PostgreSQL does not support leap seconds.")));
	return zone;
}

void
calendar_set(Calendar *c, const text *unit, const text *zone)
{
	const char *name = VARDATA_ANY(zone);
	size_t len = VARSIZE_ANY_EXHDR(zone);

	CalendarUnit asked = unit_from_text(unit);

	if (c->unit != asked)
		memset(c->stretches, 0, sizeof(c->stretches));
	c->unit = asked;
	if (c->zone && c->zone_len == len && memcmp(c->zone_name, name, len) == 0)
		return;
	c->zone = calendar_zone(text_to_cstring(zone));
	/* a name that was recognized is not longer */
	memcpy(c->zone_name, name, len);
	c->zone_len = len;
	memset(c->spans, 0, sizeof(c->spans));
	memset(c->stretches, 0, sizeof(c->stretches));
}

void
clock_span_find(ClockSpan *span, pg_tz *zone, int64 since, int64 time)
{
	span->to = since;
	do
	{
		pg_time_t secs = floor_div(span->to, USECS_PER_SEC) + UNIX_EPOCH_SECS;
		pg_time_t change;
		long offset;
		long later_offset;
		int dst;
		int later_dst;
		int found =
			pg_next_dst_boundary(&secs, &offset, &dst, &change, &later_offset, &later_dst, zone);

		if (found < 0)
			elog(ERROR, "cannot tell the offset of time zone \"%s\"", pg_get_timezone_name(zone));
		span->from = span->to;
		span->offset = offset * USECS_PER_SEC;
		change -= UNIX_EPOCH_SECS;
		span->to = found == 0 || change > PG_INT64_MAX / USECS_PER_SEC ? PG_INT64_MAX
																	   : change * USECS_PER_SEC;
	} while (span->to <= time);
}

/* The span that contains an instant. */
static inline const ClockSpan *
span_of(Calendar *c, int64 time)
{
	ClockSpan *span = &c->spans[((uint64) time >> CLOCK_SPAN_BITS) % CLOCK_SPANS];

	if (unlikely(time < span->from || time >= span->to))
		clock_span_find(span, c->zone, time & ~((INT64CONST(1) << CLOCK_SPAN_BITS) - 1), time);
	return span;
}

/* The number of the unit of a day since 2000-01-01. */
static int32
number_of_day(CalendarUnit unit, int64 day)
{
	int year;
	int month;
	int mday;

	if (unit == CALENDAR_DAY)
		return day;
	if (unit == CALENDAR_WEEK)
		return floor_div(day - FIRST_MONDAY, 7);
	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return floor_div(year * MONTHS_PER_YEAR + month - 1 - MONTHS_OF_2000, months_of[unit]);
}

/* The first day of a unit. */
static int64
first_day(CalendarUnit unit, int32 number)
{
	int32 months;
	int32 year;

	if (unit == CALENDAR_DAY)
		return number;
	if (unit == CALENDAR_WEEK)
		return number * INT64CONST(7) + FIRST_MONDAY;
	months = number * months_of[unit] + MONTHS_OF_2000;
	year = floor_div(months, MONTHS_PER_YEAR);
	return (int64) date2j(year, months - year * MONTHS_PER_YEAR + 1, 1) - POSTGRES_EPOCH_JDATE;
}

static pg_noinline void
find_stretch(Calendar *c, CalendarStretch *stretch, int64 time)
{
	const ClockSpan *span = span_of(c, time);
	int32 number = number_of_day(c->unit, floor_div(time + span->offset, USECS_PER_DAY));
	int64 next = first_day(c->unit, number + 1);

	stretch->number = number;
	stretch->from = Max(span->from, first_day(c->unit, number) * USECS_PER_DAY - span->offset);
	stretch->to = span->to;
	/* else it begins when timestamps have ended */
	if (likely(next < PG_INT64_MAX / USECS_PER_DAY - 1))
		stretch->to = Min(stretch->to, next * USECS_PER_DAY - span->offset);
}

static inline const CalendarStretch *
stretch_of(Calendar *c, int64 time)
{
	CalendarStretch *stretch = &c->stretches[((uint64) time >> CLOCK_SPAN_BITS) % CLOCK_SPANS];

	if (unlikely(time < stretch->from || time >= stretch->to))
		find_stretch(c, stretch, time);
	return stretch;
}

int32
calendar_number(Calendar *c, int64 time)
{
	return stretch_of(c, time)->number;
}

int32
calendar_stretch(Calendar *c, int64 time, int64 *from, int64 *to)
{
	const CalendarStretch *stretch = stretch_of(c, time);

	*from = stretch->from;
	*to = stretch->to;
	return stretch->number;
}

bool
calendar_has_number(CalendarUnit unit, int32 number)
{
	/* a month has 28 days at least, a quarter 90 */
	static const int32 limits[] = {
		[CALENDAR_DAY] = TIMESTAMP_END_JULIAN,
		[CALENDAR_WEEK] = TIMESTAMP_END_JULIAN / 7,
		[CALENDAR_MONTH] = TIMESTAMP_END_JULIAN / 28,
		[CALENDAR_QUARTER] = TIMESTAMP_END_JULIAN / 90,
		[CALENDAR_YEAR] = TIMESTAMP_END_JULIAN / 365,
	};

	return number >= -limits[unit] && number <= limits[unit];
}

bool
calendar_has_date(CalendarUnit unit, int32 number)
{
	int64 day;

	if (!calendar_has_number(unit, number))
		return false;
	day = first_day(unit, number);
	/* in zones before UTC the last hours of timestamps are those of the day behind */
	return IS_VALID_DATE(day) && day <= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE;
}

DateADT
calendar_date(CalendarUnit unit, int32 number)
{
	int64 day = first_day(unit, number);

	if (!IS_VALID_DATE(day))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("date out of range")));
	return day;
}

bool
calendar_number_of_date(CalendarUnit unit, DateADT date, int32 *number)
{
	*number = number_of_day(unit, date);
	return first_day(unit, *number) == date;
}
