/*
 * blocked.c
 *		Whether an identifier is in a hub's list of blocked values.
 *
 * A list is read for every identifier that comes in for the first time, so it
 * is read as it is: no query, and regular expressions compiled once (the server
 * keeps the last 32).
 *
 * An element is a value, or behind a tilde a regular expression; before either may
 * stand the kind of namespace that it is for, and a colon: phone:~^(\d)\1+$. Both
 * are looked for in several forms of the value, see blocked_forms.c, and a value in
 * the normaliser's form, too; NULL elements match nothing. Nothing depends on the
 * database's locale.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "identity/identifier.h"
#include "identity/normalize.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "regex/regex.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* as it is, folded, without quotes, without brackets, without what parts digits */
#define FORMS_MAX 5

typedef struct Form
{
	const char *text;
	int len;
} Form;

static bool
same_text(const Form *a, const char *text, int len)
{
	return a->len == len && memcmp(a->text, text, len) == 0;
}

static int
add_form(Form *forms, int n, const char *text, int len)
{
	for (int i = 0; i < n; i++)
		if (same_text(&forms[i], text, len))
			return n;
	forms[n].text = text;
	forms[n].len = len;
	return n + 1;
}

/* Take the kind off an element, if it begins with one. */
static IdentifierKind
element_kind(const char **text, int *len)
{
	const char *colon = memchr(*text, ':', *len);
	IdentifierKind kind = colon ? kind_by_name(*text, colon - *text) : KIND_KEY;

	if (kind != KIND_KEY)
	{
		*len -= colon + 1 - *text;
		*text = colon + 1;
	}
	return kind;
}

/* Is it worth asking the normaliser? Most elements are no address and have no digit. */
static bool
may_be_normal(IdentifierKind normalizer, const char *text, int len)
{
	if (normalizer == KIND_EMAIL)
		return len > 2 && memchr(text + 1, '@', len - 2) != NULL;
	for (int i = 0; normalizer != KIND_KEY && i < len; i++)
		if ((text[i] >= '0' && text[i] <= '9') || IS_HIGHBIT_SET(text[i]))
			return true;
	return false;
}

/* Is an element, in small letters, a form of the value? */
static bool
has_form(const Form *forms, int n, const char *text, int len, bool utf8)
{
	char *small = NULL;
	int small_len = 0;
	bool found = false;

	for (int k = 0; k < n && !found; k++)
	{
		const Form *form = &forms[k];

		/* folding adds nothing, and leaves a letter of ASCII one; so most need not be folded */
		if (form->len > len || (form->len > 0 && !IS_HIGHBIT_SET(text[0]) &&
								pg_ascii_tolower((unsigned char) text[0]) != form->text[0]))
			continue;
		if (small == NULL)
		{
			small = palloc(len);
			small_len = blocked_fold(text, len, utf8, small);
		}
		found = same_text(form, small, small_len);
	}
	if (small)
		pfree(small);
	return found;
}

PG_FUNCTION_INFO_V1(identifier_blocked);
Datum
identifier_blocked(PG_FUNCTION_ARGS)
{
	bool utf8 = GetDatabaseEncoding() == PG_UTF8;
	IdentifierKind normalizer = KIND_KEY;
	IdentifierKind kind;
	const PhonePlan *home = NULL;
	Identifier id;
	Form forms[FORMS_MAX];
	int nforms;
	const char *text;
	char *folded;
	int len;
	Datum *elements;
	bool *nulls;
	int n;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	id = identifier_unpack(PG_GETARG_DATUM(0));
	if (!PG_ARGISNULL(2))
		normalizer = kind_argument(PG_GETARG_DATUM(2));
	if (normalizer == KIND_PHONE && !PG_ARGISNULL(3))
		home = phone_plan_argument(PG_GETARG_DATUM(3));
	kind = normalizer != KIND_KEY ? normalizer
								  : kind_of_namespace(id.namespace, id.namespace_len);

	nforms = add_form(forms, 0, id.value, id.value_len);
	text = folded = palloc(id.value_len);
	len = blocked_fold(id.value, id.value_len, utf8, folded);
	nforms = add_form(forms, nforms, text, len);
	len = blocked_unquote(&text, len, utf8);
	nforms = add_form(forms, nforms, text, len);
	len = blocked_unwrap(&text, len, utf8);
	nforms = add_form(forms, nforms, text, len);
	if (kind == KIND_PHONE || kind == KIND_DOCUMENT)
	{
		char *compact = palloc(len);

		nforms = add_form(forms, nforms, compact, blocked_compact(text, len, compact));
	}

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls,
					  &n);
	for (int i = 0; i < n; i++)
	{
		struct varlena *element;
		IdentifierKind only;
		bool found = false;

		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			continue;
		element = PG_DETOAST_DATUM_PACKED(elements[i]);
		text = VARDATA_ANY(element);
		len = VARSIZE_ANY_EXHDR(element);
		only = element_kind(&text, &len);
		if (only != KIND_KEY && only != kind)
			continue;
		if (len > 0 && text[0] == '~')
		{
			struct varlena *re = cstring_to_text_with_len(text + 1, len - 1);

			for (int k = 0; k < nforms && !found; k++)
				found = RE_compile_and_execute(re, unconstify(char *, forms[k].text), forms[k].len,
											   REG_ADVANCED | REG_ICASE | REG_NOSUB,
											   C_COLLATION_OID, 0, NULL);
			pfree(re);
		}
		else
		{
			found = has_form(forms, nforms, text, len, utf8);
			if (!found && may_be_normal(normalizer, text, len))
			{
				char *normal = normal_text(normalizer, text, len, home);

				found = normal && has_form(forms, nforms, normal, strlen(normal), utf8);
			}
		}
		if (found)
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}
