/*
 * blocked_forms.c
 *		A value in the forms in which it is looked for among blocked ones.
 *
 * null, "NULL", \"null\", 'Null ' and (null) are all nobody. So a value is also
 * looked for in small letters, without what quotes and pads it, and without
 * brackets around it. Small letters are ASCII's, and those of the Latin, Greek and
 * Cyrillic scripts, by the table below: a database's locale would make of ID
 * whatever its language does.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/normalize.h"
#include "mb/pg_wchar.h"

/* What is put around a value, besides white space and what is not seen. */
static bool
is_quote(uint32 c)
{
	return c == '\'' || c == '"' || c == '`' || c == '\\' || c == 0xab || c == 0xb4 || c == 0xbb ||
		   (c >= 0x2018 && c <= 0x201f) || c == 0x2032 || c == 0x2033 || c == 0x2039 ||
		   c == 0x203a || (c >= 0x300c && c <= 0x300f) || (c >= 0x301d && c <= 0x301f);
}

/* The same as a page or an address has it. */
static const char *const quote_escapes[] = {"&quot;", "&apos;", "&#34;", "&#39;", "&nbsp;",
											"&lt;",   "&gt;",   "%22",   "%27",   "%20"};

static uint32
small_letter(uint32 c)
{
	if (c >= 0xff01 && c <= 0xff5e) /* full width */
		c -= 0xff01 - '!';
	if ((c >= 0x660 && c <= 0x669) || (c >= 0x6f0 && c <= 0x6f9)) /* digits of Arabic and Persian */
		return '0' + (c & 0xf);
	if (c < 0x80)
		return pg_ascii_tolower(c);
	if (c == 0x130 || c == 0x131) /* Turkish has i with a dot and without */
		return 'i';
	if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9 && c != 0x3a2) ||
		(c >= 0x410 && c <= 0x42f))
		return c + 32;
	if (c >= 0x400 && c <= 0x40f)
		return c + 80;
	/* capitals of even numbers before their small letters */
	if ((c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177) || (c >= 0x460 && c <= 0x481) ||
		(c >= 0x48a && c <= 0x4bf) || (c >= 0x4d0 && c <= 0x52f) || (c >= 0x1e00 && c <= 0x1e95) ||
		(c >= 0x1ea0 && c <= 0x1eff))
		return c | 1;
	/* of odd ones */
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
		return c + (c & 1);
	switch (c)
	{
		case 0x178:
			return 0xff;
		case 0x386:
			return 0x3ac;
		case 0x388:
		case 0x389:
		case 0x38a:
			return c + 37;
		case 0x38c:
			return 0x3cc;
		case 0x38e:
		case 0x38f:
			return c + 63;
		case 0x3c2: /* at the end of a word */
			return 0x3c3;
	}
	return c;
}

/* In small letters, and what is not seen left out; never longer than it was. Returns its length. */
int
blocked_fold(const char *text, size_t len, bool utf8, char *to)
{
	const char *end = text + len;
	char *p = to;

	while (text < end)
	{
		int n = utf8 ? pg_utf_mblen((const unsigned char *) text) : 1;
		uint32 c;

		if (n == 1 || text + n > end)
		{
			*p++ = pg_ascii_tolower((unsigned char) *text++);
			continue;
		}
		c = small_letter(utf8_to_unicode((const unsigned char *) text));
		text += n;
		if (is_plain_blank(c))
		{
			/* blanks of some width, and then what has none */
			if (c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f ||
				c == 0x205f || c == 0x3000)
				*p++ = ' ';
			continue;
		}
		unicode_to_utf8(c, (unsigned char *) p);
		p += pg_utf_mblen((const unsigned char *) p);
	}
	return p - to;
}

/* The length of the first (or last) character or escape if it quotes or pads, or 0. */
static int
quote_at(const char *text, int len, bool utf8, bool last)
{
	const char *p = text;
	int n;

	if (len == 0)
		return 0;
	for (int i = 0; i < lengthof(quote_escapes); i++)
	{
		n = strlen(quote_escapes[i]);
		if (n <= len && memcmp(last ? text + len - n : text, quote_escapes[i], n) == 0)
			return n;
	}
	if (last)
		for (p = text + len - 1; utf8 && p > text && (*p & 0xc0) == 0x80;)
			p--;
	if (!IS_HIGHBIT_SET(*p))
		return *p < ' ' || *p == 0x7f || *p == ' ' || is_quote(*p);
	n = utf8 ? pg_utf_mblen((const unsigned char *) p) : 0;
	if (n == 0 || n > text + len - p)
		return 0;
	return is_quote(utf8_to_unicode((const unsigned char *) p)) ? n : 0;
}

/* Cut quotes and padding off both ends of a folded text; returns its length. */
int
blocked_unquote(const char **text, int len, bool utf8)
{
	int n;

	while ((n = quote_at(*text, len, utf8, false)) > 0)
	{
		*text += n;
		len -= n;
	}
	while ((n = quote_at(*text, len, utf8, true)) > 0)
		len -= n;
	return len;
}

/* Cut pairs of brackets off, with quotes and padding within them. */
int
blocked_unwrap(const char **text, int len, bool utf8)
{
	static const char *const pairs[] = {"()", "[]", "{}", "<>"};

	for (int i = 0; i < lengthof(pairs);)
	{
		if (len < 2 || (*text)[0] != pairs[i][0] || (*text)[len - 1] != pairs[i][1])
		{
			i++;
			continue;
		}
		++*text;
		len = blocked_unquote(text, len - 2, utf8);
		i = 0;
	}
	return len;
}

/* Leave out what stands between the digits of a number; returns its length. */
int
blocked_compact(const char *text, int len, char *to)
{
	int n = 0;

	for (int i = 0; i < len; i++)
		if (strchr(" -./()", text[i]) == NULL)
			to[n++] = text[i];
	return n;
}
