/*
 * calendar.c
 *		Days, weeks and months of a time zone.
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

static inline int64
floor_div(int64 a, int64 b)
{
	return a / b - (a % b < 0);
}

static CalendarUnit
unit_from_text(const text *unit)
{
	const char *name = VARDATA_ANY(unit);
	size_t len = VARSIZE_ANY_EXHDR(unit);

	if (len == 3 && memcmp(name, "day", len) == 0)
		return CALENDAR_DAY;
	if (len == 4 && memcmp(name, "week", len) == 0)
		return CALENDAR_WEEK;
	if (len == 5 && memcmp(name, "month", len) == 0)
		return CALENDAR_MONTH;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown unit of time: \"%s\"", text_to_cstring(unit)),
					errhint("Use \"day\", \"week\" or \"month\".")));
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

	c->unit = unit_from_text(unit);
	if (c->zone && c->zone_len == len && memcmp(c->zone_name, name, len) == 0)
		return;
	c->zone = calendar_zone(text_to_cstring(zone));
	/* a name that was recognized is not longer */
	memcpy(c->zone_name, name, len);
	c->zone_len = len;
	memset(c->spans, 0, sizeof(c->spans));
}

/* The span that contains an instant: go from the beginning of its 13 days from change to change. */
static void
find_span(const Calendar *c, int64 time, ClockSpan *span)
{
	int64 mask = (INT64CONST(1) << CLOCK_SPAN_BITS) - 1;

	span->to = time & ~mask;
	do
	{
		pg_time_t secs = floor_div(span->to, USECS_PER_SEC) + UNIX_EPOCH_SECS;
		pg_time_t change;
		long offset;
		long later_offset;
		int dst;
		int later_dst;
		int found =
			pg_next_dst_boundary(&secs, &offset, &dst, &change, &later_offset, &later_dst, c->zone);

		if (found < 0)
			elog(ERROR, "cannot tell the offset of time zone \"%s\"", c->zone_name);
		span->from = span->to;
		span->offset = offset * USECS_PER_SEC;
		change -= UNIX_EPOCH_SECS;
		span->to = found == 0 || change > PG_INT64_MAX / USECS_PER_SEC ? PG_INT64_MAX
																	   : change * USECS_PER_SEC;
	} while (span->to <= time);
}

int32
calendar_number(Calendar *c, int64 time)
{
	ClockSpan *span = &c->spans[((uint64) time >> CLOCK_SPAN_BITS) % CLOCK_SPANS];
	int64 day;
	int year;
	int month;
	int mday;

	if (unlikely(time < span->from || time >= span->to))
		find_span(c, time, span);
	day = floor_div(time + span->offset, USECS_PER_DAY);
	if (c->unit == CALENDAR_DAY)
		return day;
	if (c->unit == CALENDAR_WEEK)
		return floor_div(day - FIRST_MONDAY, 7);
	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return year * MONTHS_PER_YEAR + month - 1 - MONTHS_OF_2000;
}

DateADT
calendar_date(CalendarUnit unit, int32 number)
{
	int64 day = number;

	if (unit == CALENDAR_WEEK)
		day = number * INT64CONST(7) + FIRST_MONDAY;
	else if (unit == CALENDAR_MONTH)
	{
		int32 months = number + MONTHS_OF_2000;
		int32 year = floor_div(months, MONTHS_PER_YEAR);

		day = date2j(year, months - year * MONTHS_PER_YEAR + 1, 1) - POSTGRES_EPOCH_JDATE;
	}
	if (!IS_VALID_DATE(day))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("date out of range")));
	return day;
}
