/*
 * calendar.h
 *		Days, weeks, months, quarters and years of a time zone, numbered.
 *
 * The unit of an instant is that of its local date, so a day may have 23 or 25
 * hours. Where a clock is put back over midnight, times ascend but dates do not.
 */
#ifndef PGJ_CALENDAR_H
#define PGJ_CALENDAR_H

#include "compat.h"
#include "pgtime.h"
#include "utils/date.h"

typedef enum CalendarUnit
{
	CALENDAR_DAY,
	CALENDAR_WEEK, /* begins on Monday */
	CALENDAR_MONTH,
	CALENDAR_QUARTER,
	CALENDAR_YEAR
} CalendarUnit;

#define CALENDAR_UNITS (CALENDAR_YEAR + 1)

/* From one instant up to but not including another, local time is UTC plus this. */
typedef struct ClockSpan
{
	int64 from;
	int64 to;
	int64 offset;
} ClockSpan;

/* Instants from one up to but not including another, with the same number. */
typedef struct CalendarStretch
{
	int64 from;
	int64 to;
	int32 number;
} CalendarStretch;

/* An instant finds its span, and its stretch, by the 2^40 us (some 13 days) in which it lies. */
#define CLOCK_SPAN_BITS 40
#define CLOCK_SPANS 256

/* Zeroed before first use. */
typedef struct Calendar
{
	CalendarUnit unit;
	pg_tz *zone; /* or NULL */
	char zone_name[TZ_STRLEN_MAX + 1];
	size_t zone_len;
	/* caches: what is empty contains no instant */
	ClockSpan spans[CLOCK_SPANS];
	CalendarStretch stretches[CLOCK_SPANS];
} Calendar;

/* Take a unit and a time zone as SQL gives them; cheap if they are those there were. */
extern void calendar_set(Calendar *c, const text *unit, const text *zone);

/* As SQL names them. */
extern bool calendar_unit_find(const char *name, size_t len, CalendarUnit *unit);
extern const char *calendar_unit_name(CalendarUnit unit);

/* The span that contains an instant not before "since": goes there from change to change. */
extern void clock_span_find(ClockSpan *span, pg_tz *zone, int64 since, int64 time);

/* A time zone by its name; an error if there is none. */
extern pg_tz *calendar_zone(const char *name);

extern int32 calendar_number(Calendar *c, int64 time);

/* Likewise, and instants around it with the same number, up to but not including the last. */
extern int32 calendar_stretch(Calendar *c, int64 time, int64 *from, int64 *to);

/* Whether it may be a unit's number. All of timestamptz have such numbers. */
extern bool calendar_has_number(CalendarUnit unit, int32 number);

/* Whether that unit begins on a date, at the latest the one behind all timestamps. */
extern bool calendar_has_date(CalendarUnit unit, int32 number);

/* The date on which a unit begins. */
extern DateADT calendar_date(CalendarUnit unit, int32 number);

/* The number of a date's unit; whether the unit begins on it. */
extern bool calendar_number_of_date(CalendarUnit unit, DateADT date, int32 *number);

/* Units, zones and other words come as texts: whether one is a word, or was given before (NULL: null). */
static inline bool
text_is(const text *t, const char *word)
{
	return VARSIZE_ANY_EXHDR(t) == strlen(word) && memcmp(VARDATA_ANY(t), word, strlen(word)) == 0;
}

static inline bool
same_text(const text *a, const text *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b)) == 0;
}

#endif /* PGJ_CALENDAR_H */
