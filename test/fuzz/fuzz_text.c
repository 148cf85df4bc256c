/*
 * fuzz_text.c
 *		The text form of journeys and touchpoints.
 *
 * The input is a text up to its first NUL, valid or not. What is read from it
 * must survive packing, printing and reading again, in any order; values and
 * times, in the text and made of its bytes, must be what libc's strtold and
 * timegm take them for. An input is accepted if it is a journey or a touchpoint.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>
#include <time.h>

#include "compat.h"
#include "datatype/timestamp.h"
#include "fuzz.h"

const char *const fuzz_tokens[] = {"{",
								   "}",
								   ",",
								   "web.view",
								   "@2026-03-01T10:00:00Z",
								   "@1999-12-31 23:59:60.000001+15:59:59",
								   "\"",
								   "\"\".\"\"",
								   ".in",
								   ".\"\"",
								   ".\"a kind\"",
								   "=",
								   "-0.5",
								   "1e",
								   "999999999999999999",
								   "E-18",
								   "#",
								   "-9223372036854775808",
								   "@-4713-11-24T00:00:00Z",
								   "@294276-12-31T23:59:59.999999Z",
								   "infinity",
								   "\xc3\xa9",
								   "--",
								   ".",
								   "+01",
								   ":30",
								   "=49.90",
								   "#42",
								   ", ",
								   "\xff",
								   "00000000",
								   NULL};

/* The number of seconds in hh, hh:mm or hh:mm:ss, with or without colons. */
static int64
naive_clock(const char *p)
{
	int64 seconds = 0;
	int parts = 0;

	for (; *p != '\0'; p += 2, parts++)
	{
		p += *p == ':';
		seconds = seconds * 60 + (p[0] - '0') * 10 + (p[1] - '0');
	}
	for (; parts < 3; parts++)
		seconds *= 60;
	return seconds;
}

/* Microseconds since 2000 of a text that is known to be a time. */
static int64
naive_time(char *text)
{
	struct tm tm = {0};
	int64 micros = 0;
	int64 offset = 0;
	char *fraction;
	char *zone;
	bool negative = *text == '-';

	text += *text == '-' || *text == '+';
	tm.tm_year = strtol(text, &text, 10);
	tm.tm_mon = strtol(text + 1, &text, 10) - 1;
	tm.tm_mday = strtol(text + 1, &text, 10);
	if (negative)
		tm.tm_year = -tm.tm_year;
	tm.tm_year -= 1900;
	text++;

	zone = strpbrk(text, "Zz+-");
	if (*zone == '+' || *zone == '-')
		offset = naive_clock(zone + 1) * (*zone == '-' ? -1 : 1);
	*zone = '\0';
	fraction = strpbrk(text, ".,");
	if (fraction)
	{
		for (int i = 1, digits = 0; digits < 6; digits++)
			micros = micros * 10 + (fraction[i] != '\0' ? fraction[i++] - '0' : 0);
		*fraction = '\0';
	}
	return (timegm(&tm) + naive_clock(text) - offset - INT64CONST(946684800)) * 1000000 + micros;
}

static void
check_time(int64 time)
{
	TextScan s;
	StringInfoData printed;
	int64 again;

	initStringInfo(&printed);
	isotime_print(&printed, time);
	require(time == naive_time(pnstrdup(printed.data, printed.len)));
	text_scan_init(&s, printed.data, printed.len);
	require(isotime_scan(&s, &again) && s.p == s.end && again == time);
}

static void
scan_time(const char *text, size_t len)
{
	TextScan s;
	int64 time;

	text_scan_init(&s, text, len);
	if (!isotime_scan(&s, &time))
		return;
	require(IS_VALID_TIMESTAMP(time));
	require(time == naive_time(pnstrdup(text, s.p - text)));
	check_time(time);
}

/* Do they differ by no more than rounding? */
static bool
close_to(long double a, long double b)
{
	return fabsl(a - b) <= fabsl(a) * 2 * LDBL_EPSILON;
}

static void
check_value(Decimal d)
{
	TextScan s;
	StringInfoData printed;
	Decimal again;

	require(d.scale <= DECIMAL_DIGITS_MAX && (d.scale == 0 || d.mantissa % 10 != 0));
	require(d.mantissa < decimal_power[DECIMAL_DIGITS_MAX] &&
			d.mantissa > -decimal_power[DECIMAL_DIGITS_MAX]);
	initStringInfo(&printed);
	decimal_print(&printed, d);
	require(
		close_to(strtold(printed.data, NULL), (long double) d.mantissa / decimal_power[d.scale]));
	text_scan_init(&s, printed.data, printed.len);
	require(decimal_scan(&s, &again) && s.p == s.end);
	require(again.mantissa == d.mantissa && again.scale == d.scale);
}

static void
scan_value(const char *text, size_t len)
{
	TextScan s;
	Decimal d;

	text_scan_init(&s, text, len);
	if (!decimal_scan(&s, &d))
		return;
	require(close_to(strtold(pnstrdup(text, s.p - text), NULL),
					 (long double) d.mantissa / decimal_power[d.scale]));
	check_value(d);
}

/* Any bytes make a time and a value. */
static void
check_bytes(const uint8 *data, size_t len)
{
	uint64 x = 0;
	Decimal d;

	for (size_t i = 0; i < len && i < 9; i++)
		x = x << 7 ^ data[i];
	check_time(MIN_TIMESTAMP + x % ((uint64) END_TIMESTAMP - (uint64) MIN_TIMESTAMP));
	d.scale = x % (DECIMAL_DIGITS_MAX + 1);
	d.mantissa = (int64) x % decimal_power[DECIMAL_DIGITS_MAX];
	decimal_normalise(&d);
	check_value(d);
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	const char *text;
	struct varlena *packed;
	struct varlena *again;
	JourneyView v;
	TouchLabel *labels;
	JourneyCursor c;
	Touch t;
	StringInfoData reversed;

	len = strnlen((const char *) data, len);
	text = exact_copy(data, len); /* without a terminator: scanners know the end */
	check_bytes(data, len);
	scan_time(text, len);
	scan_value(text, len);
	packed = scan_text(text, len);
	if (packed == NULL)
		return false;
	check_sound(packed);

	/* the same touchpoints, last first */
	open_packed(&v, packed);
	labels = journey_dictionary(&v);
	initStringInfo(&reversed);
	appendStringInfoChar(&reversed, '{');
	for (uint32 i = v.n; i-- > 0;)
	{
		journey_start_at(&v, &c, i);
		require(journey_next(&c, &t));
		touch_print(&reversed, &t, &labels[t.label]);
		if (i > 0)
			appendStringInfoChar(&reversed, ',');
	}
	appendStringInfoChar(&reversed, '}');
	again = scan_text(exact_copy(reversed.data, reversed.len), reversed.len);
	require(again != NULL && same_packed(packed, again));
	return true;
}
