/*
 * fuzz_identity.c
 *		Identifiers, e-mail addresses, phone and tax numbers.
 *
 * The input is a text up to its first NUL; for the normalisers, whose texts are
 * valid UTF-8, a byte that breaks it becomes a question mark. What a normaliser
 * returns must be within its limit and normalise to itself, and a phone number
 * must be the same with the eyes of every country. An input is accepted if it
 * is an identifier or any normaliser takes it.
 */
#include "postgres.h"

#include "compat.h"
#include "fuzz.h"
#include "identity/identifier.h"
#include "identity/normalize.h"
#include "mb/pg_wchar.h"

const char *const fuzz_tokens[] = {"email:",
								   "ana@example.pt",
								   "mailto:",
								   "\"a b\"@",
								   "xn--",
								   "xn--caf-dma.fr",
								   ".\xd1\x80\xd1\x84",
								   "\xe3\x80\x82",
								   "e\xcc\x81",
								   "\xe2\x84\xaa",
								   "\xc3\x9f",
								   "\xe2\x80\x8d",
								   "\\\"",
								   "+351 912345678",
								   "0055 11 8765-4321",
								   "+54 9 11 15",
								   "(0)",
								   "tel:",
								   "00",
								   "\xef\xbc\x8b",
								   "\xd9\xa0",
								   "529.982.247-25",
								   "12.ABC.345/01DE-35",
								   "PT501964843",
								   "\"null\"",
								   "&quot;",
								   "\xe2\x80\x9c",
								   "\xc4\xb0",
								   "[{<(",
								   "homePhone_2:",
								   NULL};

static const char *const homes[] = {NULL, "PT", "US", "BR", "AR", "DE",
									"IT", "RU", "KR", "CV", "MX", "AU"};

static void
check_identifier(const char *text, size_t len, bool *accepted)
{
	Identifier id;
	TextScan s;

	text_scan_init(&s, text, len);
	if (!identifier_scan(&s, &id))
	{
		require(s.sqlerrcode != 0);
		return;
	}
	*accepted = true;
	require(id.namespace == text && id.value + id.value_len == text + len);
	require(id.namespace_len + 1 + id.value_len == len && text[id.namespace_len] == ':');
	require(memchr(id.namespace, ':', id.namespace_len) == NULL);
}

static void
check_phone(const char *text, size_t len, bool *accepted)
{
	for (int i = 0; i < lengthof(homes); i++)
	{
		const PhonePlan *home = homes[i] ? phone_plan_of_country(homes[i], 2) : NULL;
		char phone[PHONE_MAX + 1];
		char again[PHONE_MAX + 1];

		if (!phone_normalize(text, len, home, phone))
			continue;
		*accepted = true;
		require(phone[0] == '+' && strspn(phone + 1, "0123456789") == strlen(phone) - 1);
		for (int j = 0; j < lengthof(homes); j++)
			require(phone_normalize(exact_copy(phone, strlen(phone)), strlen(phone),
									homes[j] ? phone_plan_of_country(homes[j], 2) : NULL, again) &&
					strcmp(phone, again) == 0);
	}
}

static void
check_forms(const char *text, size_t len, bool utf8)
{
	char *folded = exact_copy(text, len);
	char *again;
	char *compact;
	const char *form;
	int n = blocked_fold(text, len, utf8, folded);
	int m;

	require(n >= 0 && n <= len);
	form = folded = exact_copy(folded, n);
	again = exact_copy(folded, n);
	require(blocked_fold(folded, n, utf8, again) == n && memcmp(again, folded, n) == 0);
	m = blocked_unquote(&form, n, utf8);
	require(m >= 0 && form >= folded && form + m <= folded + n);
	require(blocked_unquote(&form, m, utf8) == m);
	m = blocked_unwrap(&form, m, utf8);
	require(m >= 0 && form >= folded && form + m <= folded + n);
	require(blocked_unwrap(&form, m, utf8) == m);
	compact = exact_copy(form, m);
	require(blocked_compact(form, m, compact) <= m);
	kind_of_namespace(text, Min(len, IDENTIFIER_NAMESPACE_MAX));
	kind_by_name(text, len);
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	char *text;
	char email[EMAIL_MAX + 1];
	char email_again[EMAIL_MAX + 1];
	char document[DOCUMENT_MAX + 1];
	char document_again[DOCUMENT_MAX + 1];
	bool accepted = false;

	len = strnlen((const char *) data, len);
	text = exact_copy(data, len);
	check_identifier(text, len, &accepted);
	check_forms(text, len, false);
	for (size_t i = 0; i < len;)
	{
		int width = pg_utf_mblen((unsigned char *) text + i);

		if (width > len - i || !pg_utf8_islegal((unsigned char *) text + i, width))
		{
			text[i] = '?';
			width = 1;
		}
		i += width;
	}
	check_forms(text, len, true);
	check_phone(text, len, &accepted);
	if (email_normalize(text, len, true, email))
	{
		accepted = true;
		require(strlen(email) <= EMAIL_MAX);
		require(
			email_normalize(exact_copy(email, strlen(email)), strlen(email), true, email_again));
		require(strcmp(email, email_again) == 0);
	}
	if (document_normalize(text, len, document))
	{
		accepted = true;
		require(document_normalize(exact_copy(document, strlen(document)), strlen(document),
								   document_again));
		require(strcmp(document, document_again) == 0);
	}
	return accepted;
}
