/*
 * plain_text.c
 *		What keyboards and address books put for an ASCII character.
 *
 * A number copied from a phone comes within marks of its direction, one from a
 * web page with no-break spaces and typographic hyphens, one from a Japanese
 * form in full width, one from an Egyptian form in Arabic digits. All of these
 * mean one ASCII character each, so reading them guesses nothing.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/normalize.h"
#include "mb/pg_wchar.h"

/* White space, and what is not seen: marks of direction, joiners, the soft hyphen. */
bool
is_plain_blank(uint32 c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xa0 || c == 0xad ||
		   c == 0x061c || c == 0x1680 || c == 0x180e || (c >= 0x2000 && c <= 0x200f) ||
		   (c >= 0x2028 && c <= 0x202f) || (c >= 0x205f && c <= 0x206f) || c == 0x3000 ||
		   c == 0xfeff;
}

/* The ASCII character c stands for, 0 if there is none. */
static char
plain_character(uint32 c)
{
	/* the zeros of full width, Arabic, Persian and Urdu */
	static const uint32 zeros[] = {0xff10, 0x0660, 0x06f0};

	if (is_plain_blank(c))
		return ' ';
	if (c < 0x80)
		return c;
	for (int i = 0; i < lengthof(zeros); i++)
		if (c >= zeros[i] && c <= zeros[i] + 9)
			return '0' + (c - zeros[i]);
	if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0x30fc)
		return '-';
	if (c >= 0xff01 && c <= 0xff5e) /* the other ones of full width */
		return c - 0xff01 + '!';
	return 0;
}

/* Cut blanks off both ends. */
void
plain_trim(const char **text, size_t *len)
{
	const char *p = *text;
	const char *end = p + *len;

	while (p < end && is_plain_blank(utf8_to_unicode((const unsigned char *) p)))
		p += pg_utf_mblen((const unsigned char *) p);
	while (end > p)
	{
		const char *last = end - 1;

		while (last > p && (*last & 0xc0) == 0x80)
			last--;
		if (!is_plain_blank(utf8_to_unicode((const unsigned char *) last)))
			break;
		end = last;
	}
	*text = p;
	*len = end - p;
}

/*
 * Read a text, trimmed, as ASCII into buf; its length, or -1 if it needs more
 * than size bytes or has a character that stands for none.
 */
int
plain_read(const char *text, size_t len, char *buf, int size)
{
	const char *end;
	int n = 0;

	plain_trim(&text, &len);
	for (end = text + len; text < end; text += pg_utf_mblen((const unsigned char *) text))
	{
		char c = plain_character(utf8_to_unicode((const unsigned char *) text));

		if (c == 0 || n >= size)
			return -1;
		buf[n++] = c;
	}
	return n;
}
