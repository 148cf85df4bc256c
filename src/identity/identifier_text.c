/*
 * identifier_text.c
 *		The text form of an identifier: namespace:value
 *
 * Nothing is quoted or trimmed: the namespace cannot hold a colon, so all that
 * stands behind the first one is the value. Every byte outside ASCII counts as
 * part of a letter, as in labels: what is allowed must not depend on a locale.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/identifier.h"

static inline bool
is_namespace_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
		   c == '-' || c == '.' || IS_HIGHBIT_SET(c);
}

/*
 * May these be the parts of an identifier? sqlerrcode is for what is wrong
 * other than a length, and depends on where the parts come from.
 */
bool
identifier_check(TextScan *s, const Identifier *id, int sqlerrcode)
{
	const char *end = id->namespace + id->namespace_len;

	if (id->namespace_len == 0)
		return text_fail_with(
			s, sqlerrcode, "namespace of an identifier must not be empty", NULL,
			"An identifier is a namespace and a value, such as email:ana@example.pt.");
	for (const char *p = id->namespace; p < end; p++)
		if (!is_namespace_byte(*p))
			return text_fail_with(
				s, sqlerrcode, "invalid character in the namespace of an identifier",
				psprintf(
					"Byte %zu of \"%s\" is neither a letter nor a digit, \"_\", \"-\" or \".\".",
					(size_t) (p - id->namespace) + 1, text_excerpt(id->namespace, end, 40)),
				NULL);
	if (id->namespace_len > IDENTIFIER_NAMESPACE_MAX)
		return text_fail_with(s, ERRCODE_NAME_TOO_LONG, "namespace of an identifier is too long",
							  psprintf("\"%s\" has %zu bytes, the limit is %d.",
									   text_excerpt(id->namespace, end, 40), id->namespace_len,
									   IDENTIFIER_NAMESPACE_MAX),
							  NULL);
	end = id->value + id->value_len;
	if (id->value_len == 0)
		return text_fail_with(
			s, sqlerrcode, "value of an identifier must not be empty",
			psprintf("The namespace is \"%.*s\".", (int) id->namespace_len, id->namespace),
			"What is not known has no identifier: use NULL.");
	if (id->value_len > IDENTIFIER_VALUE_MAX)
		return text_fail_with(
			s, ERRCODE_STRING_DATA_RIGHT_TRUNCATION, "value of an identifier is too long",
			psprintf("\"%s\" has %zu bytes, the limit is %d.", text_excerpt(id->value, end, 40),
					 id->value_len, IDENTIFIER_VALUE_MAX),
			"Use a digest of it, such as its sha256.");
	/* only a message or another type's bytes can hold one */
	if (memchr(id->value, '\0', id->value_len) != NULL)
		return text_fail_with(s, sqlerrcode, "value of an identifier must not contain a null byte",
							  NULL, NULL);
	return true;
}

bool
identifier_scan(TextScan *s, Identifier *id)
{
	const char *colon = memchr(s->start, ':', s->end - s->start);

	if (colon == NULL)
		return text_fail_with(
			s, ERRCODE_INVALID_TEXT_REPRESENTATION, NULL,
			psprintf("\"%s\" has no \":\" between namespace and value.",
					 text_excerpt(s->start, s->end, 40)),
			"An identifier is a namespace and a value, such as email:ana@example.pt.");
	id->namespace = s->start;
	id->namespace_len = colon - s->start;
	id->value = colon + 1;
	id->value_len = s->end - id->value;
	return identifier_check(s, id, ERRCODE_INVALID_TEXT_REPRESENTATION);
}
