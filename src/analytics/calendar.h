/*
 * calendar.h
 *		Days, weeks and months of a time zone, numbered.
 *
 * The unit of an instant is that of its local date, so a day may have 23 or 25
 * hours. Where a clock is put back over midnight, times ascend but dates do not.
 */
#ifndef PGJ_CALENDAR_H
#define PGJ_CALENDAR_H

#include "pgtime.h"
#include "utils/date.h"

typedef enum CalendarUnit
{
	CALENDAR_DAY,
	CALENDAR_WEEK, /* begins on Monday */
	CALENDAR_MONTH
} CalendarUnit;

/* From one instant up to but not including another, local time is UTC plus this. */
typedef struct ClockSpan
{
	int64 from;
	int64 to;
	int64 offset;
} ClockSpan;

/* An instant finds its span by the 2^40 us (some 13 days) in which it lies. */
#define CLOCK_SPAN_BITS 40
#define CLOCK_SPANS 256

/* Zeroed before first use. */
typedef struct Calendar
{
	CalendarUnit unit;
	pg_tz *zone; /* or NULL */
	char zone_name[TZ_STRLEN_MAX + 1];
	size_t zone_len;
	ClockSpan spans[CLOCK_SPANS]; /* a cache: what is empty contains no instant */
} Calendar;

/* Take a unit and a time zone as SQL gives them; cheap if they are those there were. */
extern void calendar_set(Calendar *c, const text *unit, const text *zone);

/* A time zone by its name; an error if there is none. */
extern pg_tz *calendar_zone(const char *name);

extern int32 calendar_number(Calendar *c, int64 time);

/* The date on which a unit begins. */
extern DateADT calendar_date(CalendarUnit unit, int32 number);

#endif /* PGJ_CALENDAR_H */
