/*
 * business_time.c
 *		How much of the time between two instants is within hours of opening, and
 *		the instant after so much of it.
 *
 * Hours are written in local time. Where no clock changes nearby, a day's hours
 * are added as they stand, and whole weeks at once; the days around a change
 * are turned into instants one by one, of which none counts twice.
 */
#include "postgres.h"

#include "analytics/calendar.h"
#include "common/int.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Around noon in UTC lies every instant of a day by any clock, with a day to spare. */
#define DAY_MARGIN (3 * USECS_PER_DAY)

/* Hours that a call site has read and keeps. */
#define KEPT_HOURS 8

/* On a day of the week, from 0 for Monday, or on a date. */
typedef struct Opening
{
	int32 day;
	int64 opens;
	int64 closes; /* not after it opens: it doesn't */
} Opening;

typedef struct Hours
{
	MemoryContext context;
	Jsonb *source; /* what they were read from */
	pg_tz *zone;
	const char *zone_name;
	Opening *week;
	int week_starts[8]; /* which are Monday's, Tuesday's ... */
	int64 week_sum;
	bool always; /* no hours, no exceptions */
	Opening *dates;
	int ndates;
	ClockSpan spans[CLOCK_SPANS]; /* a cache: what is empty contains no instant */
} Hours;

typedef struct HoursCache
{
	Hours *kept[KEPT_HOURS];
	int next; /* to be replaced */
} HoursCache;

static inline int64
floor_div(int64 a, int64 b)
{
	return a / b - (a % b < 0);
}

#define ST_SORT sort_openings
#define ST_ELEMENT_TYPE Opening
#define ST_COMPARE(a, b)                                                                           \
	((a)->day != (b)->day ? ((a)->day < (b)->day ? -1 : 1)                                         \
						  : (a)->opens < (b)->opens ? -1 : (a)->opens > (b)->opens)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

static void
refuse(const char *detail, const char *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid business hours"),
			 value ? errdetail("%s: %s.", detail, value) : errdetail("%s.", detail),
			 errhint("Write them like {\"time_zone\": \"Europe/Lisbon\", \"hours\": [[1, \"09:00\", "
					 "\"18:00\"]], \"exceptions\": [[\"2025-12-25\"], [\"2025-12-24\", \"09:00\", "
					 "\"13:00\"]]}: 1 is Monday, and a date alone is closed.")));
}

static const char *
value_text(JsonbValue *v)
{
	Jsonb *json = JsonbValueToJsonb(v);

	return JsonbToCString(NULL, &json->root, VARSIZE(json));
}

/* Digits, not less nor more than so many; -1 if there are less. */
static int
read_number(const char **at, const char *end, int least, int most)
{
	int value = 0;
	int n;

	for (n = 0; *at < end && **at >= '0' && **at <= '9' && n < most; n++)
		value = value * 10 + *(*at)++ - '0';
	return n < least ? -1 : value;
}

static bool
read_sign(const char **at, const char *end, char sign)
{
	if (*at >= end || **at != sign)
		return false;
	(*at)++;
	return true;
}

/* As the type time is written: 9:00, 09:00:00, 24:00. */
static int64
read_time(JsonbValue *v)
{
	if (v && v->type == jbvString)
	{
		const char *at = v->val.string.val;
		const char *end = at + v->val.string.len;
		int hour = read_number(&at, end, 1, 2);
		int minute = read_sign(&at, end, ':') ? read_number(&at, end, 2, 2) : -1;
		int second = 0;
		int64 usecs = 0;
		int64 time;

		if (read_sign(&at, end, ':'))
			second = read_number(&at, end, 2, 2);
		if (read_sign(&at, end, '.'))
			for (int unit = USECS_PER_SEC / 10; unit > 0 && at < end && *at >= '0' && *at <= '9'; unit /= 10)
				usecs += (*at++ - '0') * unit;
		time = ((hour * MINS_PER_HOUR + minute) * INT64CONST(60) + second) * USECS_PER_SEC + usecs;
		if (at == end && hour >= 0 && minute >= 0 && minute < 60 && second >= 0 && second < 60 &&
			time <= USECS_PER_DAY)
			return time;
	}
	refuse("Not a time of day", v ? value_text(v) : "none");
	return 0;
}

static int32
read_date(JsonbValue *v)
{
	if (v && v->type == jbvString)
	{
		const char *at = v->val.string.val;
		const char *end = at + v->val.string.len;
		int year = read_number(&at, end, 4, 6);
		int month = read_sign(&at, end, '-') ? read_number(&at, end, 2, 2) : -1;
		int day = read_sign(&at, end, '-') ? read_number(&at, end, 2, 2) : -1;

		if (at == end && year > 0 && month >= 1 && month <= 12 && day >= 1 &&
			day <= day_tab[isleap(year)][month - 1] && IS_VALID_JULIAN(year, month, day))
			return date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
	}
	refuse("Not a date", v ? value_text(v) : "none");
	return 0;
}

static int32
read_weekday(JsonbValue *v)
{
	if (v && v->type == jbvNumeric)
	{
		char *number =
			DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric)));

		if (number[0] >= '1' && number[0] <= '7' && number[1] == '\0')
			return number[0] - '1';
	}
	refuse("Not a day of the week, 1 for Monday to 7 for Sunday", v ? value_text(v) : "none");
	return 0;
}

/* In order, and each without what those before it cover. */
static Opening *
read_openings(JsonbContainer *object, const char *key, bool dates, int *n, int *keys)
{
	JsonbValue *list = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);
	JsonbContainer *rows;
	Opening *openings;

	*n = 0;
	if (list == NULL)
		return NULL;
	(*keys)++;
	if (list->type != jbvBinary || !JsonContainerIsArray(list->val.binary.data) ||
		JsonContainerIsScalar(list->val.binary.data))
		refuse("Not a list", key);
	rows = list->val.binary.data;
	openings = palloc_extended(Max(JsonContainerSize(rows), 1) * sizeof(Opening), MCXT_ALLOC_HUGE);
	for (*n = 0; *n < JsonContainerSize(rows); (*n)++)
	{
		JsonbValue *row = getIthJsonbValueFromContainer(rows, *n);
		Opening *o = &openings[*n];
		JsonbContainer *fields;
		int nfields;

		CHECK_FOR_INTERRUPTS();
		if (row->type != jbvBinary || !JsonContainerIsArray(row->val.binary.data))
			refuse("Not a day with its hours", value_text(row));
		fields = row->val.binary.data;
		nfields = JsonContainerSize(fields);
		if (nfields != 3 && !(dates && nfields == 1))
			refuse("Not a day with its hours", value_text(row));
		if (dates)
			o->day = read_date(getIthJsonbValueFromContainer(fields, 0));
		else
			o->day = read_weekday(getIthJsonbValueFromContainer(fields, 0));
		if (nfields == 1)
		{
			o->opens = o->closes = 0;
			continue;
		}
		o->opens = read_time(getIthJsonbValueFromContainer(fields, 1));
		o->closes = read_time(getIthJsonbValueFromContainer(fields, 2));
		if (o->opens >= o->closes)
			refuse("It closes before it opens", value_text(row));
	}
	sort_openings(openings, *n);
	for (int i = 1; i < *n; i++)
		if (openings[i].day == openings[i - 1].day)
		{
			openings[i].opens = Max(openings[i].opens, openings[i - 1].closes);
			openings[i].closes = Max(openings[i].opens, openings[i].closes);
		}
	return openings;
}

static Hours *
read_hours(Jsonb *source)
{
	Hours *h = palloc0(sizeof(Hours));
	JsonbValue *zone;
	int keys = 0;
	int nweek;

	h->context = CurrentMemoryContext;
	h->source = palloc_extended(VARSIZE(source), MCXT_ALLOC_HUGE);
	memcpy(h->source, source, VARSIZE(source));
	if (!JB_ROOT_IS_OBJECT(source))
		refuse("Not an object", JsonbToCString(NULL, &source->root, VARSIZE(source)));
	zone = getKeyJsonValueFromContainer(&source->root, "time_zone", strlen("time_zone"), NULL);
	h->zone_name = "UTC";
	if (zone)
	{
		keys++;
		if (zone->type != jbvString)
			refuse("Not the name of a time zone", value_text(zone));
		h->zone_name = pnstrdup(zone->val.string.val, zone->val.string.len);
	}
	h->zone = calendar_zone(h->zone_name);
	h->week = read_openings(&source->root, "hours", false, &nweek, &keys);
	h->dates = read_openings(&source->root, "exceptions", true, &h->ndates, &keys);
	if (keys != JB_ROOT_COUNT(source))
		refuse("There are other keys than time_zone, hours and exceptions",
			   JsonbToCString(NULL, &source->root, VARSIZE(source)));
	h->always = nweek == 0 && h->ndates == 0;
	if (nweek == 0)
	{
		h->week = palloc(7 * sizeof(Opening));
		for (nweek = 0; nweek < 7; nweek++)
			h->week[nweek] = (Opening) {.day = nweek, .opens = 0, .closes = USECS_PER_DAY};
	}
	for (int i = 0; i < nweek; i++)
	{
		h->week_starts[h->week[i].day + 1] = i + 1;
		h->week_sum += h->week[i].closes - h->week[i].opens;
	}
	for (int day = 1; day <= 7; day++)
		h->week_starts[day] = Max(h->week_starts[day], h->week_starts[day - 1]);
	return h;
}

/* Those that the call site has, or what they are now, read anew. */
static Hours *
hours_of_call(FmgrInfo *site, Jsonb *source)
{
	HoursCache *cache = site->fn_extra;
	MemoryContext context;
	MemoryContext old;
	Hours *h;

	if (cache == NULL)
		site->fn_extra = cache = MemoryContextAllocZero(site->fn_mcxt, sizeof(HoursCache));
	for (int i = 0; i < KEPT_HOURS && cache->kept[i]; i++)
		if (VARSIZE(cache->kept[i]->source) == VARSIZE(source) &&
			memcmp(cache->kept[i]->source, source, VARSIZE(source)) == 0)
			return cache->kept[i];
	context = AllocSetContextCreate(CurrentMemoryContext, "business hours", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	h = read_hours(source);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, site->fn_mcxt);
	if (cache->kept[cache->next])
		MemoryContextDelete(cache->kept[cache->next]->context);
	cache->kept[cache->next] = h;
	cache->next = (cache->next + 1) % KEPT_HOURS;
	return h;
}

/* How far local time is from UTC at an instant, and how long before and after. */
static const ClockSpan *
clock_span(Hours *h, int64 time)
{
	ClockSpan *span = &h->spans[((uint64) time >> CLOCK_SPAN_BITS) % CLOCK_SPANS];

	if (likely(time >= span->from && time < span->to))
		return span;
	/* from well before the instants that have this place, so that no more than changes are bounds */
	clock_span_find(span, h->zone,
					(time & ~((INT64CONST(1) << CLOCK_SPAN_BITS) - 1)) - 2 * DAY_MARGIN, time);
	return span;
}

/* What AT TIME ZONE makes of a local time. */
static int64
instant_of(const Hours *h, int64 local)
{
	int64 day = floor_div(local, USECS_PER_DAY);
	int64 seconds = (local - day * USECS_PER_DAY) / USECS_PER_SEC;
	struct pg_tm tm = {0};

	j2date(day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	tm.tm_hour = seconds / SECS_PER_HOUR;
	tm.tm_min = seconds / SECS_PER_MINUTE % MINS_PER_HOUR;
	tm.tm_sec = seconds % SECS_PER_MINUTE;
	return local + DetermineTimeZoneOffset(&tm, h->zone) * USECS_PER_SEC;
}

/* The first exception that is not before a day. */
static int
exception_from(const Hours *h, int64 day)
{
	int low = 0;
	int high = h->ndates;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (h->dates[middle].day < day)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What a day is open, exceptions considered. */
static const Opening *
openings_of(const Hours *h, int64 day, int *n)
{
	int weekday = (day - 2) - floor_div(day - 2, 7) * 7; /* 2000-01-03 was a Monday */
	int first = exception_from(h, day);

	if (first < h->ndates && h->dates[first].day == day)
	{
		int end = first + 1;

		while (end < h->ndates && h->dates[end].day == day)
			end++;
		*n = end - first;
		return h->dates + first;
	}
	*n = h->week_starts[weekday + 1] - h->week_starts[weekday];
	return h->week + h->week_starts[weekday];
}

/* Of days that a clock's change is near, from one up to and including another. */
static int64
sum_of_instants(const Hours *h, int64 day, int64 last, int64 from, int64 to)
{
	Opening *instants;
	int64 total = 0;
	int64 counted = from;
	int size = 64;
	int n = 0;

	instants = palloc(size * sizeof(Opening));
	for (; day <= last; day++)
	{
		int nopenings;
		const Opening *openings = openings_of(h, day, &nopenings);

		for (int i = 0; i < nopenings; i++)
		{
			if (openings[i].opens >= openings[i].closes)
				continue;
			if (n == size)
				instants = repalloc_huge(instants, (Size) (size *= 2) * sizeof(Opening));
			instants[n].day = 0;
			instants[n].opens = instant_of(h, day * USECS_PER_DAY + openings[i].opens);
			instants[n++].closes = instant_of(h, day * USECS_PER_DAY + openings[i].closes);
		}
	}
	sort_openings(instants, n);
	for (int i = 0; i < n; i++)
	{
		int64 until = Min(instants[i].closes, to);

		counted = Max(counted, instants[i].opens);
		if (until > counted)
		{
			total += until - counted;
			counted = until;
		}
	}
	pfree(instants);
	return total;
}

/* Of days on which local time is UTC plus this. */
static int64
sum_of_days(const Hours *h, int64 day, int64 last, int64 offset, int64 from, int64 to)
{
	int64 total = 0;

	/* by the local clock, so that days need no other */
	from += offset;
	to += offset;
	for (; day <= last; day++)
	{
		int n;
		const Opening *openings;

		if (last - day >= 7 && from <= day * USECS_PER_DAY)
		{
			int next = exception_from(h, day);
			int64 until = Min(last, floor_div(to, USECS_PER_DAY) - 1);
			int64 weeks;

			if (next < h->ndates)
				until = Min(until, (int64) h->dates[next].day - 1);
			weeks = (until - day + 1) / 7;
			if (weeks > 0)
			{
				total += weeks * h->week_sum;
				day += weeks * 7 - 1;
				continue;
			}
		}
		openings = openings_of(h, day, &n);
		for (int i = 0; i < n; i++)
		{
			int64 since = Max(from, day * USECS_PER_DAY + openings[i].opens);
			int64 until = Min(to, day * USECS_PER_DAY + openings[i].closes);

			if (until > since)
				total += until - since;
		}
	}
	return total;
}

/* The day before and the day after are looked at, too: at a change of date, clocks may be put back. */
static int64
business_between(Hours *h, int64 from, int64 to)
{
	int64 day = floor_div(from + clock_span(h, from)->offset, USECS_PER_DAY) - 1;
	int64 last = floor_div(to + clock_span(h, to)->offset, USECS_PER_DAY) + 1;
	int64 total = 0;

	while (day <= last)
	{
		int64 noon = day * USECS_PER_DAY + USECS_PER_DAY / 2;
		const ClockSpan *span = clock_span(h, noon);
		int64 until = day;

		CHECK_FOR_INTERRUPTS();
		if (span->from <= noon - DAY_MARGIN && span->to - DAY_MARGIN >= noon)
		{
			until = Min(last, floor_div(span->to - DAY_MARGIN - USECS_PER_DAY / 2, USECS_PER_DAY));
			total += sum_of_days(h, day, until, span->offset, from, to);
		}
		else
		{
			while (until < last)
			{
				noon += USECS_PER_DAY;
				span = clock_span(h, noon);
				if (span->from <= noon - DAY_MARGIN && span->to - DAY_MARGIN >= noon)
					break;
				until++;
			}
			total += sum_of_instants(h, day, until, from, to);
		}
		day = until + 1;
	}
	return total;
}

PG_FUNCTION_INFO_V1(business_time);
Datum
business_time(PG_FUNCTION_ARGS)
{
	TimestampTz from = PG_GETARG_TIMESTAMPTZ(0);
	TimestampTz to = PG_GETARG_TIMESTAMPTZ(1);
	Jsonb *source = PG_GETARG_JSONB_P(2);
	Hours *h = hours_of_call(fcinfo->flinfo, source);
	Interval *result;
	int64 all;

	if (TIMESTAMP_NOT_FINITE(from) || TIMESTAMP_NOT_FINITE(to))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
				 errmsg("there is no business time between %s and %s",
						DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(from))),
						DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(to)))),
				 errhint("Give the first and the last time that are meant.")));
	if (pg_sub_s64_overflow(to, from, &all))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("interval out of range")));
	if (h->always)
		return DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(to), TimestampTzGetDatum(from));
	result = palloc0(sizeof(Interval));
	result->time = from <= to ? business_between(h, from, to) : -business_between(h, to, from);
	PG_FREE_IF_COPY(source, 2);
	PG_RETURN_INTERVAL_P(result);
}

/*
 * The first instant by which so much has passed since another or, if "sign" is
 * negative, the last since which it has, up to it. As time within hours never
 * passes faster than the clock, "left" beyond "at" is the next to look at;
 * where that falls short, doors were closed, and ever longer looks, then halves
 * of one, tell how long.
 */
static int64
business_after(Hours *h, int64 at, int64 left, int sign)
{
	int64 never = sign > 0 ? DT_NOEND : DT_NOBEGIN;
	int64 end = sign > 0 ? END_TIMESTAMP - 1 : MIN_TIMESTAMP;
	int64 step = left;
	bool bounded = false; /* it is not beyond "bound" */
	int64 bound = end;

	for (;;)
	{
		uint64 room = sign > 0 ? (uint64) end - (uint64) at : (uint64) at - (uint64) end;
		int64 next = at + sign * left;
		int64 passed;

		CHECK_FOR_INTERRUPTS();
		if (room < left)
			return never;
		passed = h->always ? left : business_between(h, Min(at, next), Max(at, next));
		if (passed == left)
			return next;
		left -= passed;
		room -= (uint64) sign * ((uint64) next - (uint64) at);
		at = next;
		if (bounded)
			next = at + (bound - at) / 2;
		else
		{
			step = Min(step, PG_INT64_MAX / 4) * 2;
			next = room <= step ? end : at + sign * step;
		}
		passed = business_between(h, Min(at, next), Max(at, next));
		if (passed >= left)
		{
			bounded = true;
			bound = next;
		}
		else if (next == end)
			return never;
		else
		{
			left -= passed;
			at = next;
		}
	}
}

PG_FUNCTION_INFO_V1(business_time_after);
Datum
business_time_after(PG_FUNCTION_ARGS)
{
	TimestampTz from = PG_GETARG_TIMESTAMPTZ(0);
	Interval *amount = PG_GETARG_INTERVAL_P(1);
	Jsonb *source = PG_GETARG_JSONB_P(2);
	Hours *h = hours_of_call(fcinfo->flinfo, source);
	int64 usecs;

	PG_FREE_IF_COPY(source, 2);
	if (TIMESTAMP_NOT_FINITE(from))
		PG_RETURN_TIMESTAMPTZ(from);
#ifdef INTERVAL_NOT_FINITE
	if (INTERVAL_IS_NOEND(amount))
		PG_RETURN_TIMESTAMPTZ(DT_NOEND);
	if (INTERVAL_IS_NOBEGIN(amount))
		PG_RETURN_TIMESTAMPTZ(DT_NOBEGIN);
#endif
	if (amount->month != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("business time is not counted in months: %s",
							   DatumGetCString(DirectFunctionCall1(
								   interval_out, IntervalPGetDatum(amount)))),
						errhint("Give days, which have 24 hours, or less.")));
	if (pg_mul_s64_overflow(amount->day, USECS_PER_DAY, &usecs) ||
		pg_add_s64_overflow(usecs, amount->time, &usecs) || usecs == PG_INT64_MIN)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("interval out of range")));
	if (usecs == 0)
		PG_RETURN_TIMESTAMPTZ(from);
	PG_RETURN_TIMESTAMPTZ(business_after(h, from, usecs > 0 ? usecs : -usecs, usecs > 0 ? 1 : -1));
}
