/*
 * email.c
 *		E-mail addresses: local part as RFC 5321 and 6531, domain as IDNA 2008.
 *
 * The local part is lower-cased, though RFC 5321 lets a host tell case apart,
 * because no provider of note does and people write it either way. Dots and
 * +tags are kept: what they mean is known only to the provider, and differs.
 *
 * Domains go through libidn2, non-transitional (as browsers do). Its tables grow
 * with Unicode, but what a later one reads, an earlier one refused; so answers
 * don't change, though refusals may.
 */
#include "postgres.h"

#include <idn2.h>

#include "common/unicode_norm.h"
#include "compat.h"
#include "identity/normalize.h"
#include "mb/pg_wchar.h"

#define DOMAIN_MAX 253
#define LABEL_MAX 63

/* No address in fewer than EMAIL_MAX bytes comes from more of them than this. */
#define INPUT_MAX 2048

static void
lower(char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = pg_ascii_tolower((unsigned char) p[i]);
}

static bool
is_ascii(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (IS_HIGHBIT_SET(p[i]))
			return false;
	return true;
}

/* --- the local part --- */

/* Replace *len bytes of UTF-8 at p by their form NFC; false if it takes more than size. */
static bool
compose(char *p, size_t *len, size_t size)
{
	pg_wchar *wide = palloc((*len + 1) * sizeof(pg_wchar));
	pg_wchar *composed;
	size_t n = 0;
	size_t bytes = 0;

	for (size_t i = 0; i < *len; i += pg_utf_mblen((unsigned char *) p + i))
		wide[n++] = utf8_to_unicode((unsigned char *) p + i);
	wide[n] = 0;
	composed = unicode_normalize(UNICODE_NFC, wide);
	for (pg_wchar *c = composed; *c != 0; c++)
	{
		unsigned char utf8[4];
		int width;

		unicode_to_utf8(*c, utf8);
		width = pg_utf_mblen(utf8);
		if (bytes + width > size)
			return false;
		memcpy(p + bytes, utf8, width);
		bytes += width;
	}
	pfree(wide);
	pfree(composed);
	*len = bytes;
	return true;
}

/* Is this a dot-atom, which needs no quotes? */
static bool
is_dot_atom(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		char c = p[i];

		if (c == '.')
		{
			if (i == 0 || i + 1 == len || p[i - 1] == '.')
				return false;
		}
		else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || IS_HIGHBIT_SET(c) ||
				   strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL))
			return false;
	}
	return len > 0;
}

/* Characters that no mailbox has in its name, quoted or not */
static bool
has_control(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i += pg_utf_mblen((const unsigned char *) p + i))
	{
		pg_wchar c = utf8_to_unicode((const unsigned char *) p + i);

		if (c < ' ' || (c >= 0x7f && c <= 0x9f) || (c > 0x7f && is_plain_blank(c)))
			return true;
	}
	return false;
}

/*
 * Read the local part at *p and the @ behind it, write it to out, and return
 * its length, 0 if there is none.
 */
static size_t
local_part(const char **p, const char *end, bool composes, char *out)
{
	char local[EMAIL_LOCAL_MAX * 4];
	size_t len = 0;
	size_t n = 0;
	bool quoted = *p < end && **p == '"';

	for (*p += quoted; *p < end && **p != (quoted ? '"' : '@'); (*p)++)
	{
		if (quoted && **p == '\\' && ++*p >= end)
			return 0;
		if (len >= sizeof(local))
			return 0;
		local[len++] = **p;
	}
	*p += quoted;
	if (*p >= end || **p != '@')
		return 0;
	++*p;

	/*
	 * Lower-cased first, because some small letters compose where capitals
	 * don't, and again, because the Kelvin sign composes to a K.
	 */
	lower(local, len);
	if (composes && !is_ascii(local, len) && !compose(local, &len, sizeof(local)))
		return 0;
	lower(local, len);
	if (len == 0 || has_control(local, len))
		return 0;
	if (is_dot_atom(local, len))
	{
		if (len > EMAIL_LOCAL_MAX)
			return 0;
		memcpy(out, local, len);
		return len;
	}
	if (!quoted)
		return 0;
	out[n++] = '"';
	for (size_t i = 0; i < len; i++)
	{
		bool escape = local[i] == '"' || local[i] == '\\';

		if (n + escape + 2 > EMAIL_LOCAL_MAX) /* with the closing quote */
			return 0;
		if (escape)
			out[n++] = '\\';
		out[n++] = local[i];
	}
	out[n++] = '"';
	return n;
}

/* --- the domain --- */

/* Two or more labels of letters, digits and inner hyphens; the last is no number. */
static bool
is_host(const char *p, size_t len)
{
	size_t label = 0; /* where it begins */
	int dots = 0;
	bool number = true;

	if (len > DOMAIN_MAX)
		return false;
	for (size_t i = 0; i <= len; i++)
	{
		if (i == len || p[i] == '.')
		{
			if (i == label || i - label > LABEL_MAX || p[label] == '-' || p[i - 1] == '-')
				return false;
			if (i == len)
				break;
			label = i + 1;
			dots++;
			number = true;
			continue;
		}
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') || p[i] == '-'))
			return false;
		number &= p[i] >= '0' && p[i] <= '9';
	}
	return dots > 0 && !number;
}

static bool
has_alabel(const char *p, size_t len)
{
	for (size_t i = 0; i + 4 <= len; i++)
		if (memcmp(p + i, "xn--", 4) == 0)
			return true;
	return false;
}

/* Write a domain's ASCII form to out, which has room for DOMAIN_MAX bytes; its length or 0. */
static size_t
domain_part(const char *p, size_t len, char *out)
{
	char domain[INPUT_MAX + 1];
	char *ascii;
	size_t n;

	memcpy(domain, p, len);
	domain[len] = '\0';
	lower(domain, len);
	if (is_ascii(domain, len) && !has_alabel(domain, len))
	{
		if (!is_host(domain, len))
			return 0;
		memcpy(out, domain, len);
		return len;
	}
	/* between the call and the free nothing may raise: the result is malloc'ed */
	if (idn2_to_ascii_8z(domain, &ascii,
						 IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT | IDN2_USE_STD3_ASCII_RULES) !=
		IDN2_OK)
		return 0;
	n = strlen(ascii);
	lower(ascii, n);
	if (is_host(ascii, n))
		memcpy(out, ascii, n);
	else
		n = 0;
	idn2_free(ascii);
	return n;
}

/* composes: is the local part to be brought into the form NFC? */
bool
email_normalize(const char *text, size_t len, bool composes, char *email)
{
	char domain[DOMAIN_MAX];
	const char *end;
	size_t local_len;
	size_t domain_len;

	plain_trim(&text, &len);
	if (len > INPUT_MAX)
		return false;
	end = text + len;
	if (len > 7 && pg_strncasecmp(text, "mailto:", 7) == 0)
	{
		text += 7;
		/* escapes and header fields of RFC 6068: more than an address */
		if (memchr(text, '%', end - text) != NULL || memchr(text, '?', end - text) != NULL)
			return false;
	}
	local_len = local_part(&text, end, composes, email);
	if (local_len == 0)
		return false;
	domain_len = domain_part(text, end - text, domain);
	if (domain_len == 0 || local_len + 1 + domain_len > EMAIL_MAX)
		return false;
	email[local_len] = '@';
	memcpy(email + local_len + 1, domain, domain_len);
	email[local_len + 1 + domain_len] = '\0';
	return true;
}
