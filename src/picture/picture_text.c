/*
 * picture_text.c
 *		Text and numbers in pictures: made harmless, measured, and cut to fit.
 *
 * No font is known here, nor which one a viewer has. Text is measured by the widths of DejaVu Sans, which
 * is as wide as a common font gets, so what fits by this measure fits in Arial, Helvetica, Segoe UI
 * and Roboto, too. Widths beyond ASCII are estimated: 0 for marks that stand on another character,
 * one em and more for what is wide, three quarters of one for anything else.
 */
#include "postgres.h"

#include "compat.h"
#include "mb/pg_wchar.h"
#include "picture/picture.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

/* A text is cut behind so many characters, or so many marks on one. */
#define SHOWN_MOST 240
#define MARKS_MOST 8

/* How much wider bold text is */
#define BOLD 1.16

#define REPLACEMENT 0xfffd
#define ELLIPSIS 0x2026
#define ZERO_WIDTH_JOINER 0x200d
#define ISOLATE 0x2068
#define END_ISOLATE 0x2069

/* Advance widths of ASCII from the space on, in hundredths of the font's size */
static const uint8 ascii_widths[95] = {
	32, 40, 46, 84, 64, 95, 78, 27, 39,  39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 34, 34, 84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79,
	60, 79, 69, 63, 61, 73, 68, 99, 69,  61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63,
	63, 28, 28, 58, 28, 97, 63, 61, 63,  63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84};

static pg_wchar
next_char(const unsigned char **p)
{
	pg_wchar c = utf8_to_unicode(*p);

	*p += pg_utf_mblen(*p);
	return c;
}

static void
put_char(StringInfo out, pg_wchar c)
{
	unsigned char bytes[8] = "";

	unicode_to_utf8(c, bytes);
	appendBinaryStringInfo(out, (char *) bytes, pg_utf_mblen(bytes));
}

static bool
extends_the_one_before(pg_wchar c, const unsigned char *at)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2060 && c <= 0x2064) ||
		   (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0x1f3fb && c <= 0x1f3ff) ||
		   (c >= 0xe0000 && c <= 0xe0fff) || c == ISOLATE || c == END_ISOLATE ||
		   (c >= 0x80 && pg_encoding_dsplen(PG_UTF8, (const char *) at) == 0);
}

static bool
is_regional_indicator(pg_wchar c)
{
	return c >= 0x1f1e6 && c <= 0x1f1ff;
}

static int
char_width(pg_wchar c, const unsigned char *at)
{
	if (c >= ' ' && c < 0x7f)
		return ascii_widths[c - ' '];
	if (extends_the_one_before(c, at))
		return 0;
	if (c >= 0x1f000)
		return 130;
	return c == ELLIPSIS || pg_encoding_dsplen(PG_UTF8, (const char *) at) == 2 ? 100 : 75;
}

/*
 * What a character is shown as. XML 1.0 forbids most control characters, in any form; they are shown by the
 * pictures that Unicode has of them. Those that turn or hold the direction of the text around them, and
 * what is no character, are shown as the replacement character.
 */
static pg_wchar
harmless(pg_wchar c)
{
	if (c < 0x20)
		return 0x2400 + c;
	if (c == 0x7f)
		return 0x2421;
	if ((c >= 0x80 && c <= 0x9f) || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
		(c >= 0x2066 && c <= 0x2069) || (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe)
		return REPLACEMENT;
	return c;
}

/* Make of a text of the server what can be shown; if bounded, at most SHOWN_MOST characters of it. */
char *
shown_text(const char *text, size_t len, bool bounded)
{
	StringInfoData out;
	const char *utf8 = text;
	const unsigned char *p;
	const unsigned char *end;
	int chars = 0;
	int marks = 0;
	bool cut = false;

	/* no need to convert what nobody sees */
	if (bounded && len > SHOWN_MOST * MAX_MULTIBYTE_CHAR_LEN * (1 + MARKS_MOST))
	{
		len = pg_mbcliplen(text, len, SHOWN_MOST * MAX_MULTIBYTE_CHAR_LEN * (1 + MARKS_MOST));
		cut = true;
	}
	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII)
	{
		utf8 = pg_server_to_any(text, len, PG_UTF8);
		if (utf8 != text)
			len = strlen(utf8);
	}
	initStringInfo(&out);
	p = (const unsigned char *) utf8;
	end = p + len;
	while (p < end)
	{
		int bytes = pg_utf_mblen(p);
		pg_wchar c = REPLACEMENT;

		/* bytes of SQL_ASCII may be anything */
		if (bytes <= end - p && pg_utf8_islegal(p, bytes))
		{
			c = harmless(utf8_to_unicode(p));
			marks = extends_the_one_before(c, p) ? marks + 1 : 0;
		}
		else
			bytes = 1;
		if (bounded && (marks > MARKS_MOST || chars == SHOWN_MOST))
		{
			cut = true;
			break;
		}
		put_char(&out, c);
		chars++;
		p += bytes;
	}
	if (cut)
		put_char(&out, ELLIPSIS);
	return out.data;
}

char *
shown_datum(Datum d)
{
	text *t = DatumGetTextPP(d);

	return shown_text(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), true);
}

double
shown_width(const char *shown, TextStyle style)
{
	const unsigned char *p = (const unsigned char *) shown;
	int64 hundredths = 0;

	while (*p)
	{
		const unsigned char *at = p;
		pg_wchar c = next_char(&p);

		hundredths += char_width(c, at);
	}
	return hundredths * style.size / 100 * (style.bold ? BOLD : 1);
}

/* As much of it as has room, an ellipsis behind where that is not all; never half of what is seen as one. */
char *
shown_fit(const char *shown, TextStyle style, double room)
{
	const unsigned char *p = (const unsigned char *) shown;
	const unsigned char *whole = p; /* so much is kept */
	double size = style.size / 100 * (style.bold ? BOLD : 1);
	int64 most;
	int64 width = 0;
	pg_wchar before = 0;
	int indicators = 0;
	StringInfoData out;

	room += 0.1; /* what was measured to be so wide must fit */
	most = room / size - char_width(ELLIPSIS, p);
	if (shown_width(shown, style) <= room)
		return pstrdup(shown);
	while (*p)
	{
		const unsigned char *at = p;
		pg_wchar c = next_char(&p);

		if (!extends_the_one_before(c, at) && before != ZERO_WIDTH_JOINER &&
			!(is_regional_indicator(c) && indicators % 2 == 1))
			whole = at;
		width += char_width(c, at);
		if (width > most)
			break;
		indicators = is_regional_indicator(c) ? indicators + 1 : 0;
		before = c;
	}
	while (whole > (const unsigned char *) shown && whole[-1] == ' ')
		whole--;
	initStringInfo(&out);
	if (most < 0)
		return out.data;
	appendBinaryStringInfo(&out, shown, (const char *) whole - shown);
	put_char(&out, ELLIPSIS);
	return out.data;
}

static bool
reads_from_the_right(const char *shown)
{
	const unsigned char *p = (const unsigned char *) shown;

	while (*p)
	{
		pg_wchar c = next_char(&p);

		if ((c >= 0x590 && c <= 0x8ff) || (c >= 0xfb1d && c <= 0xfdff) ||
			(c >= 0xfe70 && c <= 0xfefc) || (c >= 0x10800 && c <= 0x10fff) ||
			(c >= 0x1e800 && c <= 0x1efff))
			return true;
	}
	return false;
}

/* Where a part of it reads from right to left, the rest of a line must not be drawn into it. */
char *
shown_isolated(const char *shown)
{
	StringInfoData out;

	if (!reads_from_the_right(shown))
		return pstrdup(shown);
	initStringInfo(&out);
	put_char(&out, ISOLATE);
	appendStringInfoString(&out, shown);
	put_char(&out, END_ISOLATE);
	return out.data;
}

/* The one place where text gets into a picture, between tags or in an attribute. */
void
picture_put_shown(StringInfo out, const char *shown)
{
	const unsigned char *p = (const unsigned char *) shown;

	while (*p)
	{
		const unsigned char *at = p;
		pg_wchar c = next_char(&p);

		if (c == '&')
			appendStringInfoString(out, "&amp;");
		else if (c == '<')
			appendStringInfoString(out, "&lt;");
		else if (c == '>')
			appendStringInfoString(out, "&gt;");
		else if (c == '"')
			appendStringInfoString(out, "&quot;");
		else if (c == '\'')
			appendStringInfoString(out, "&#39;");
		else if (c < 0x80 || GetDatabaseEncoding() == PG_UTF8)
			appendBinaryStringInfo(out, (const char *) at, p - at);
		else
			appendStringInfo(out, "&#%u;", (unsigned) c);
	}
}

PG_FUNCTION_INFO_V1(svg_escape);
Datum
svg_escape(PG_FUNCTION_ARGS)
{
	text *t = PG_GETARG_TEXT_PP(0);
	StringInfoData out;

	initStringInfo(&out);
	picture_put_shown(&out, shown_text(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), false));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/* --- numbers, as to_char writes them: by lc_numeric --- */

static char *
formatted(PGFunction to_char, Datum number, const char *format)
{
	return shown_datum(DirectFunctionCall2(to_char, number, CStringGetTextDatum(format)));
}

char *
shown_count(int64 n)
{
	return formatted(int8_to_char, Int64GetDatum(n), "FM9G999G999G999G999G999G990");
}

char *
shown_value(double value)
{
	if (fabs(value) >= 1e15)
		return psprintf("%.3g", value);
	if (value == rint(value))
		return shown_count((int64) value);
	return formatted(float8_to_char, Float8GetDatum(value),
					 fabs(value) >= 100   ? "FM999G999G999G999G990D0"
					 : fabs(value) >= 0.1 ? "FM990D09"
										  : "FM990D0999");
}

/* In four characters or so: with a decimal, where it tells more, or without */
char *
shown_compact(double value, bool decimal)
{
	static const char *const units[] = {"", "k", "M", "B", "T"};
	int unit = 0;

	while (fabs(value) >= 999.5 && unit < lengthof(units) - 1)
	{
		value /= 1000;
		unit++;
	}
	if (fabs(value) >= 999.5)
		return psprintf("%.0e", value * 1e12);
	decimal = decimal && value != rint(value) && fabs(value) < 9.95;
	return psprintf("%s%s",
					formatted(float8_to_char, Float8GetDatum(value), decimal ? "FM990D0" : "FM990"),
					units[unit]);
}

/* A share is all or nothing only where it is. */
char *
shown_share(double part, double whole)
{
	double share = whole > 0 ? 100 * part / whole : 0;

	if (share == 0 || share == 100)
		return psprintf("%.0f%%", share);
	if (share < 0.05)
		return psprintf("<%s%%", formatted(float8_to_char, Float8GetDatum(0.1), "FM990D0"));
	if (share > 99.95 && share < 100)
		share = 99.9;
	return psprintf("%s%%", formatted(float8_to_char, Float8GetDatum(share), "FM999G990D0"));
}

char *
shown_duration(double seconds)
{
	static const struct
	{
		double seconds;
		const char *one;
		const char *many;
	} units[] = {{86400, "day", "days"}, {3600, "h", "h"}, {60, "min", "min"}, {1, "s", "s"}};

	for (int i = 0; i < lengthof(units); i++)
	{
		double n = seconds / units[i].seconds;

		if (n < 0.95 && i < lengthof(units) - 1)
			continue;
		if (n >= 9.95 || rint(n * 10) == rint(n) * 10)
			return psprintf("%s %s", shown_count((int64) rint(n)),
							rint(n) == 1 ? units[i].one : units[i].many);
		return psprintf("%s %s", formatted(float8_to_char, Float8GetDatum(n), "FM990D0"),
						units[i].many);
	}
	return NULL; /* not reached */
}
