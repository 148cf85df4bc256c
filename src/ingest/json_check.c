/*
 * json_check.c
 *		Is a text JSON, to the letter?
 *
 * json-c takes more than RFC 8259 does, even when strict: single quotes, NaN,
 * null bytes, half surrogate pairs. And it rounds: an integer beyond 64 bits becomes
 * the largest there is. So nothing gets to it that has not passed here, and long
 * integers are given the exponent e00, for it keeps the text of numbers that have
 * one. What jsonb does not hold, the escape \u0000 and numbers without end, does not
 * pass either.
 */
#include "postgres.h"

#include "compat.h"
#include "ingest/json_tree.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

/* json-c computes with integers of up to so many digits. */
#define EXACT_DIGITS 18

static bool
fail(TextScan *s, const char *what)
{
	return text_fail_with(s, ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid JSON",
						  s->p < s->end ? psprintf("%s at byte %zu, near \"%s\"", what,
												   (size_t) (s->p - s->start) + 1,
												   text_excerpt(s->p, s->end, 20))
										: psprintf("%s, but the text ends", what),
						  NULL);
}

static void
skip_space(TextScan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

/* The four digits after \u, -1: they are none. */
static int
scan_hex(TextScan *s)
{
	int code = 0;

	if (s->end - s->p < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char c = s->p[i];

		code <<= 4;
		if (c >= '0' && c <= '9')
			code += c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			code += (c | 0x20) - 'a' + 10;
		else
			return -1;
	}
	s->p += 4;
	return code;
}

static bool
scan_escape(TextScan *s)
{
	const char *begin = s->p++;
	int code;
	bool whole;

	if (s->p < s->end && *s->p != '\0' && strchr("\"\\/bfnrt", *s->p) != NULL)
	{
		s->p++;
		return true;
	}
	if (s->p >= s->end || *s->p++ != 'u' || (code = scan_hex(s)) < 0)
	{
		s->p = begin;
		return fail(s, "invalid escape");
	}
	if (code == 0)
	{
		s->p = begin;
		return fail(s, "a null character, which no text can hold,");
	}
	if (code < 0xD800 || code > 0xDFFF)
		return true;
	whole = code <= 0xDBFF && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u';
	if (whole)
	{
		s->p += 2;
		code = scan_hex(s);
		whole = code >= 0xDC00 && code <= 0xDFFF;
	}
	if (whole)
		return true;
	s->p = begin;
	return fail(s, "half of a surrogate pair");
}

static bool
scan_string(TextScan *s)
{
	if (s->p >= s->end || *s->p != '"')
		return fail(s, "expected a string in double quotes");
	s->p++;
	while (s->p < s->end)
	{
		unsigned char c = *s->p;

		if (c == '"')
		{
			s->p++;
			return true;
		}
		else if (c == '\\')
		{
			if (!scan_escape(s))
				return false;
		}
		else if (c < ' ')
			return fail(s, "a control character in a string");
		else if (IS_HIGHBIT_SET(c))
		{
			int width = pg_utf_mblen((const unsigned char *) s->p);

			if (width > s->end - s->p || !pg_utf8_islegal((const unsigned char *) s->p, width))
				return text_fail_with(s, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "invalid JSON",
									  psprintf("invalid UTF-8 at byte %zu: 0x%02x",
											   (size_t) (s->p - s->start) + 1, c),
									  NULL);
			s->p += width;
		}
		else
			s->p++;
	}
	return fail(s, "expected a closing quote");
}

static int
scan_digits(TextScan *s)
{
	const char *begin = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return Min(s->p - begin, PG_INT32_MAX / 4);
}

static bool
scan_number(TextScan *s, bool *long_integer)
{
	const char *begin = s->p;
	int digits;
	int64 exponent = 0;
	bool integer = true;

	if (*s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0')
	{
		s->p++;
		digits = 1;
	}
	else if ((digits = scan_digits(s)) == 0)
		return fail(s, "expected a digit");
	if (s->p < s->end && *s->p == '.')
	{
		int fraction;

		s->p++;
		if ((fraction = scan_digits(s)) == 0)
			return fail(s, "expected a digit");
		digits += fraction;
		integer = false;
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E'))
	{
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (s->p >= s->end || *s->p < '0' || *s->p > '9')
			return fail(s, "expected a digit");
		for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
			exponent = Min(exponent * 10 + (*s->p - '0'), JSON_DIGITS_MAX + 1);
		integer = false;
	}
	if (digits + exponent > JSON_DIGITS_MAX)
	{
		s->p = begin;
		return text_fail_with(s, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range",
							  psprintf("more than %d digits at byte %zu", JSON_DIGITS_MAX,
									   (size_t) (s->p - s->start) + 1),
							  NULL);
	}
	*long_integer = integer && digits > EXACT_DIGITS;
	return true;
}

static bool
scan_word(TextScan *s)
{
	static const char *const words[] = {"true", "false", "null"};

	for (int i = 0; i < lengthof(words); i++)
	{
		size_t len = strlen(words[i]);

		if (s->end - s->p >= len && memcmp(s->p, words[i], len) == 0)
		{
			s->p += len;
			return true;
		}
	}
	return fail(s, "expected a value");
}

static bool
scan_key(TextScan *s, JsonFacts *facts)
{
	skip_space(s);
	if (!scan_string(s))
		return false;
	skip_space(s);
	if (s->p >= s->end || *s->p != ':')
		return fail(s, "expected \":\" after a key");
	s->p++;
	facts->members++;
	return true;
}

/* The whole text must be one value. */
bool
json_check(TextScan *s, JsonFacts *facts)
{
	char open[JSON_DEPTH_MAX];
	int depth = 0;
	StringInfoData copy = {0};
	const char *copied = s->start;

	memset(facts, 0, sizeof(*facts));
	for (;;)
	{
		bool empty = false;
		char c;

		skip_space(s);
		c = s->p < s->end ? *s->p : '\0';
		if (c == '{' || c == '[')
		{
			CHECK_FOR_INTERRUPTS();
			if (depth == JSON_DEPTH_MAX)
				return text_fail_with(s, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "JSON is too deep",
									  psprintf("more than %d levels at byte %zu", JSON_DEPTH_MAX,
											   (size_t) (s->p - s->start) + 1),
									  NULL);
			open[depth++] = c == '{' ? '}' : ']';
			s->p++;
			skip_space(s);
			empty = s->p < s->end && *s->p == open[depth - 1];
			if (!empty)
			{
				if (c == '{' && !scan_key(s, facts))
					return false;
				continue;
			}
		}
		else if (c == '"')
		{
			if (!scan_string(s))
				return false;
		}
		else if (c == '-' || (c >= '0' && c <= '9'))
		{
			bool long_integer = false;

			if (!scan_number(s, &long_integer))
				return false;
			if (long_integer)
			{
				if (copy.data == NULL)
					initStringInfo(&copy);
				appendBinaryStringInfo(&copy, copied, s->p - copied);
				appendStringInfoString(&copy, "e00");
				copied = s->p;
			}
		}
		else if (!scan_word(s))
			return false;

		/* behind a value: what it stands in ends, or goes on */
		for (;;)
		{
			skip_space(s);
			if (depth == 0)
			{
				if (s->p < s->end)
					return fail(s, "expected the end");
				if (copy.data != NULL)
				{
					appendBinaryStringInfo(&copy, copied, s->end - copied);
					facts->rewritten = copy.data;
					facts->rewritten_len = copy.len;
				}
				return true;
			}
			if (s->p < s->end && *s->p == open[depth - 1])
			{
				s->p++;
				depth--;
				continue;
			}
			if (s->p >= s->end || *s->p != ',')
				return fail(s, open[depth - 1] == '}' ? "expected \",\" or \"}\""
													  : "expected \",\" or \"]\"");
			s->p++;
			if (open[depth - 1] == '}' && !scan_key(s, facts))
				return false;
			break;
		}
	}
}
