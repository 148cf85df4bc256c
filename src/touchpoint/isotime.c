/*
 * isotime.c
 *		Times as ISO 8601 text, in UTC, to the microsecond.
 *
 * Written in one form only, independent of DateStyle and TimeZone, so that
 * the types' output is immutable. Reading asks for a zone for the same reason:
 * without one the answer would depend on a setting.
 *
 * Days and civil dates are converted by counting 400-year eras from
 * 1 March of year 0, as in Howard Hinnant's "chrono-Compatible Low-Level Date
 * Algorithms". Years are astronomical: 0000 is 1 BC.
 */
#include "postgres.h"

#include "compat.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "touchpoint/touch.h"

#define DAYS_TO_2000 INT64CONST(730425) /* 0000-03-01 to 2000-01-01 */
#define DAYS_PER_ERA INT64CONST(146097)

static int64
days_from_civil(int64 year, int month, int day)
{
	int64 era;
	int64 year_of_era;
	int64 day_of_year;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	year_of_era = year - era * 400;
	day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
		   day_of_year - DAYS_TO_2000;
}

static void
civil_from_days(int64 days, int64 *year, int *month, int *day)
{
	int64 era;
	int64 day_of_era;
	int64 year_of_era;
	int64 day_of_year;
	int shifted_month;

	days += DAYS_TO_2000;
	era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
	day_of_era = days - era * DAYS_PER_ERA;
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	shifted_month = (5 * day_of_year + 2) / 153;
	*day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
	*month = shifted_month + (shifted_month < 10 ? 3 : -9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

static int
days_in_month(int64 year, int month)
{
	static const uint8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* Read between least and most digits, all there are. */
static bool
scan_digits(TextScan *s, int least, int most, const char *what, int64 *number)
{
	const char *p = s->p;
	int64 n = 0;

	while (p < s->end && *p >= '0' && *p <= '9' && p - s->p < most)
		n = n * 10 + (*p++ - '0');
	if (p - s->p < least)
		return text_fail(s, what);
	s->p = p;
	*number = n;
	return true;
}

static bool
scan_char(TextScan *s, char c, const char *what)
{
	if (s->p >= s->end || *s->p != c)
		return text_fail(s, what);
	s->p++;
	return true;
}

static bool
out_of_range(TextScan *s, const char *begin, const char *detail)
{
	return text_fail_with(
		s, ERRCODE_DATETIME_FIELD_OVERFLOW,
		psprintf("time of a touchpoint is out of range: \"%s\"", text_excerpt(begin, s->p, 60)),
		detail, NULL);
}

/* Z, or an offset from UTC in seconds: +HH, +HH:MM, +HHMM, +HH:MM:SS. */
static bool
scan_zone(TextScan *s, const char *begin, int64 *offset)
{
	int64 hours = 0;
	int64 minutes = 0;
	int64 seconds = 0;
	char sign;

	*offset = 0;
	if (s->p < s->end && (*s->p == 'Z' || *s->p == 'z'))
	{
		s->p++;
		return true;
	}
	if (s->p >= s->end || (*s->p != '+' && *s->p != '-'))
	{
		text_fail(s, "a time zone");
		s->hint = "Write Z for UTC, or an offset such as +01:00.";
		return false;
	}
	sign = *s->p++;
	if (!scan_digits(s, 2, 2, "two digits of an hour", &hours))
		return false;
	if (s->p < s->end && (*s->p == ':' || (*s->p >= '0' && *s->p <= '9')))
	{
		bool colon = *s->p == ':';

		s->p += colon;
		if (!scan_digits(s, 2, 2, "two digits of a minute", &minutes))
			return false;
		if (colon && s->p < s->end && *s->p == ':')
		{
			s->p++;
			if (!scan_digits(s, 2, 2, "two digits of a second", &seconds))
				return false;
		}
	}
	if (hours > 15 || minutes > 59 || seconds > 59)
		return out_of_range(s, begin, "A zone's offset is less than 16 hours.");
	*offset = hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE + seconds;
	if (sign == '-')
		*offset = -*offset;
	return true;
}

bool
isotime_scan(TextScan *s, int64 *time)
{
	const char *begin = s->p;
	int64 year = 0;
	int64 month = 0;
	int64 day = 0;
	int64 hour = 0;
	int64 minute = 0;
	int64 second = 0;
	int64 micros = 0;
	int64 offset;
	int64 result;
	char sign = 0;

	if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
		sign = *s->p++;
	if (s->end - s->p >= 8 && pg_strncasecmp(s->p, "infinity", 8) == 0)
		return text_fail_with(s, ERRCODE_DATETIME_FIELD_OVERFLOW,
							  "time of a touchpoint must be finite",
							  psprintf("Found \"%s\".", text_excerpt(begin, s->end, 40)), NULL);
	if (!scan_digits(s, 4, 7, "a time such as 2026-03-01T10:00:00Z", &year) ||
		!scan_char(s, '-', "\"-\" after the year") ||
		!scan_digits(s, 2, 2, "two digits of a month", &month) ||
		!scan_char(s, '-', "\"-\" after the month") ||
		!scan_digits(s, 2, 2, "two digits of a day", &day))
		return false;
	if (s->p >= s->end || (*s->p != 'T' && *s->p != 't' && *s->p != ' '))
		return text_fail(s, "\"T\" and the time of day");
	s->p++;
	if (!scan_digits(s, 2, 2, "two digits of an hour", &hour) ||
		!scan_char(s, ':', "\":\" after the hour") ||
		!scan_digits(s, 2, 2, "two digits of a minute", &minute))
		return false;
	if (s->p < s->end && *s->p == ':')
	{
		s->p++;
		if (!scan_digits(s, 2, 2, "two digits of a second", &second))
			return false;
		if (s->p < s->end && (*s->p == '.' || *s->p == ','))
		{
			int n = 0;

			s->p++;
			for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++, n++)
			{
				if (n < 6)
					micros = micros * 10 + (*s->p - '0');
				else if (*s->p != '0')
					return text_fail_with(
						s, ERRCODE_DATETIME_FIELD_OVERFLOW,
						"time of a touchpoint is finer than a microsecond",
						psprintf("Found \"%s\".", text_excerpt(begin, s->end, 60)),
						"Round it to six digits.");
			}
			if (n == 0)
				return text_fail(s, "a fraction of a second");
			for (; n < 6; n++)
				micros *= 10;
		}
	}
	if (!scan_zone(s, begin, &offset))
		return false;

	if (sign == '-')
		year = -year;
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return out_of_range(s, begin, "There is no such day.");
	if (minute > 59 || second > 60 || hour > 24 ||
		(hour == 24 && (minute > 0 || second > 0 || micros > 0)))
		return out_of_range(s, begin, "There is no such time of day.");

	if (pg_mul_s64_overflow(days_from_civil(year, month, day), USECS_PER_DAY, &result) ||
		pg_add_s64_overflow(result,
							((hour * MINS_PER_HOUR + minute) * SECS_PER_MINUTE + second - offset) *
									USECS_PER_SEC +
								micros,
							&result) ||
		!IS_VALID_TIMESTAMP(result))
		return out_of_range(s, begin, "It lies outside the range of timestamptz.");
	*time = result;
	return true;
}

/* Two digits, zero-padded. */
static inline char *
put_two(char *p, int n)
{
	*p++ = '0' + n / 10;
	*p++ = '0' + n % 10;
	return p;
}

/* Without printf, which would take most of the time of printing a journey. */
void
isotime_print(StringInfo out, int64 time)
{
	int64 days = time / USECS_PER_DAY;
	int64 rest = time % USECS_PER_DAY;
	int64 year = 0;
	int month;
	int day;
	int micros;
	int seconds;
	char *p;

	if (rest < 0)
	{
		rest += USECS_PER_DAY;
		days--;
	}
	civil_from_days(days, &year, &month, &day);
	seconds = rest / USECS_PER_SEC;
	micros = rest % USECS_PER_SEC;

	enlargeStringInfo(out, 48);
	p = out->data + out->len;
	if (year > 9999)
		*p++ = '+';
	else if (year < 0)
	{
		*p++ = '-';
		year = -year;
	}
	if (year > 9999)
		p += sprintf(p, "%d", (int) (year / 10000));
	p = put_two(p, year / 100 % 100);
	p = put_two(p, year % 100);
	*p++ = '-';
	p = put_two(p, month);
	*p++ = '-';
	p = put_two(p, day);
	*p++ = 'T';
	p = put_two(p, seconds / 3600);
	*p++ = ':';
	p = put_two(p, seconds / 60 % 60);
	*p++ = ':';
	p = put_two(p, seconds % 60);
	if (micros != 0)
	{
		*p++ = '.';
		p = put_two(p, micros / 10000);
		p = put_two(p, micros / 100 % 100);
		p = put_two(p, micros % 100);
		while (p[-1] == '0')
			p--;
	}
	*p++ = 'Z';
	*p = '\0';
	out->len = p - out->data;
}
