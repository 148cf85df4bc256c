/*
 * text_scan.c
 *		Reading a text from left to right, with errors that say where.
 */
#include "postgres.h"

#include "common/int.h"
#include "compat.h"
#include "mb/pg_wchar.h"
#include "touchpoint/touch.h"

void
text_scan_init(TextScan *s, const char *text, size_t len)
{
	memset(s, 0, sizeof(*s));
	s->start = s->p = text;
	s->end = text + len;
}

void
text_skip_space(TextScan *s)
{
	while (s->p < s->end && (*s->p == ' ' || (*s->p >= '\t' && *s->p <= '\r')))
		s->p++;
}

/* Pass over a token, and white space before it, if it stands here. */
bool
text_accept(TextScan *s, const char *token)
{
	size_t len = strlen(token);

	text_skip_space(s);
	if (s->end - s->p < len || memcmp(s->p, token, len) != 0)
		return false;
	s->p += len;
	return true;
}

/* At most "most" bytes from p, cut between characters, marked when cut. */
char *
text_excerpt(const char *p, const char *end, size_t most)
{
	if ((size_t) (end - p) <= most)
		return pnstrdup(p, end - p);
	return psprintf("%.*s...", pg_mbcliplen(p, Min(end - p, PG_INT32_MAX), most), p);
}

/*
 * Note a syntax error at the current place. Always returns false.
 */
bool
text_fail(TextScan *s, const char *expected)
{
	const char *detail;

	if (s->p >= s->end)
		detail = psprintf("Expected %s, but the text ends.", expected);
	else
		detail = psprintf("Expected %s at byte %zu, but found \"%s\".", expected,
						  (size_t) (s->p - s->start) + 1, text_excerpt(s->p, s->end, 40));
	return text_fail_with(s, ERRCODE_INVALID_TEXT_REPRESENTATION, NULL, detail, NULL);
}

/*
 * Note any other error; without a message it is "invalid input syntax", which
 * the caller completes with the type. Always returns false.
 */
bool
text_fail_with(TextScan *s, int sqlerrcode, const char *message, const char *detail,
			   const char *hint)
{
	s->sqlerrcode = sqlerrcode;
	s->message = message;
	s->detail = detail;
	s->hint = hint;
	return false;
}

/* Read a bigint; the message is for one that does not fit. */
bool
text_scan_int64(TextScan *s, int64 *result, const char *out_of_range)
{
	const char *begin = s->p;
	bool negative = false;
	int64 n = 0;

	if (s->p < s->end && (*s->p == '-' || *s->p == '+'))
		negative = *s->p++ == '-';
	if (s->p >= s->end || *s->p < '0' || *s->p > '9')
		return text_fail(s, "an integer");
	/* collected below zero, where there is room for the smallest bigint */
	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
	{
		if (pg_mul_s64_overflow(n, 10, &n) || pg_sub_s64_overflow(n, *s->p - '0', &n))
			goto out_of_range;
	}
	if (!negative && n == PG_INT64_MIN)
		goto out_of_range;
	*result = negative ? n : -n;
	return true;

out_of_range:
	return text_fail_with(
		s, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, out_of_range,
		psprintf("\"%s\" does not fit the type bigint.", text_excerpt(begin, s->end, 40)), NULL);
}

/* Like appendStringInfo(out, INT64_FORMAT, n), several times faster. */
void
text_print_int64(StringInfo out, int64 n)
{
	char buf[20];
	char *p = buf + sizeof(buf);
	uint64 rest = n < 0 ? -(uint64) n : (uint64) n;

	do
		*--p = '0' + rest % 10;
	while ((rest /= 10) > 0);
	if (n < 0)
		*--p = '-';
	appendBinaryStringInfo(out, p, buf + sizeof(buf) - p);
}
