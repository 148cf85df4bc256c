/*
 * event_time.c
 *		Times and values as other systems write them.
 *
 * A time is ISO 8601 with a zone, or a number, also as text: seconds since 1970 if it
 * is below 10^11 (in the year 5138), else milliseconds if below 10^14, else microseconds.
 */
#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "ingest/payload.h"

#include <math.h>

#define EPOCH_SHIFT ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static bool
epoch_read(const char *text, int64 *time)
{
	const char *p = text + (*text == '-');
	int64 whole = 0;
	int64 fraction = 0;
	int64 unit;
	int digits = 0;

	/* strtod would take hexadecimal digits */
	if (p[strspn(p, "0123456789.eE+-")] != '\0')
		return false;
	/* 20260301 and 20260301100000 are dates as they are often written, but without a zone */
	if ((strncmp(p, "19", 2) == 0 || strncmp(p, "20", 2) == 0) &&
		strspn(p, "0123456789") == strlen(p) && (strlen(p) == 8 || strlen(p) == 14))
		return false;
	for (; *p >= '0' && *p <= '9' && digits < 17; p++, digits++)
		whole = whole * 10 + (*p - '0');
	unit = whole < INT64CONST(100000000000)      ? 1000000
		   : whole < INT64CONST(100000000000000) ? 1000
												 : 1;
	if (strpbrk(text, "eE") != NULL)
	{
		/* Java writes large numbers so */
		double number = fabs(strtod(text, (char **) &p));

		if (!(number < 1e17))
			return false;
		unit = number < 1e11 ? 1000000 : number < 1e14 ? 1000 : 1;
		whole = (int64) number;
		fraction = (int64) rint((number - whole) * unit);
	}
	else if (*p == '.')
	{
		int64 part = unit;

		for (p++; *p >= '0' && *p <= '9'; p++)
		{
			part /= 10;
			fraction += part * (*p - '0');
		}
	}
	if (*p != '\0')
		return false;
	whole = whole * unit + fraction;
	*time = (*text == '-' ? -whole : whole) - EPOCH_SHIFT;
	return IS_VALID_TIMESTAMP(*time);
}

/* The text is terminated. */
bool
event_time_read(const char *text, size_t len, int64 *time)
{
	char buf[64];
	size_t n = 0;
	const char *p = text + (*text == '-');
	TextScan s;

	if (len >= sizeof(buf))
		return false;
	if (*p >= '0' && *p <= '9' && !(strspn(p, "0123456789") == 4 && p[4] == '-'))
		return epoch_read(text, time);
	/* what is finer than a microsecond is cut off: CloudEvents have nanoseconds */
	for (; *text != '\0'; text++)
	{
		buf[n++] = *text;
		buf[n] = '\0';
		if (n > 7 && (buf[n - 8] == '.' || buf[n - 8] == ',') &&
			strspn(buf + n - 7, "0123456789") == 7)
			buf[--n] = '\0';
	}
	if (n > 4 && (strcmp(buf + n - 4, " UTC") == 0 || strcmp(buf + n - 4, " GMT") == 0))
	{
		strcpy(buf + n - 4, "Z");
		n -= 3;
	}
	text_scan_init(&s, buf, n);
	return isotime_scan(&s, time) && s.p == s.end;
}

/* Is it a decimal number that numeric can hold? */
bool
event_value_check(const char *text)
{
	const char *p = text + (*text == '-' || *text == '+');
	size_t digits = strspn(p, "0123456789");
	long exponent = 0;

	if (digits == 0)
		return false;
	p += digits;
	if (*p == '.')
	{
		size_t fraction = strspn(++p, "0123456789");

		if (fraction == 0)
			return false;
		digits += fraction;
		p += fraction;
	}
	if (*p == 'e' || *p == 'E')
	{
		p++;
		p += *p == '-' || *p == '+';
		if (*p < '0' || *p > '9')
			return false;
		for (; *p >= '0' && *p <= '9'; p++)
			exponent = Min(exponent * 10 + (*p - '0'), JSON_DIGITS_MAX + 1);
	}
	return *p == '\0' && digits + exponent <= JSON_DIGITS_MAX;
}
