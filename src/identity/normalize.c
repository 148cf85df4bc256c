/*
 * normalize.c
 *		SQL faces of the normalisers.
 *
 * They are immutable in one database: its encoding never changes.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/normalize.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

/* An argument in UTF-8; NULL if a database without an encoding holds none. */
static const char *
utf8_argument(Datum d, size_t *len)
{
	struct varlena *argument = PG_DETOAST_DATUM_PACKED(d);
	char *text = VARDATA_ANY(argument);
	char *converted;

	*len = VARSIZE_ANY_EXHDR(argument);
	if (GetDatabaseEncoding() == PG_UTF8)
		return text;
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return pg_verify_mbstr(PG_UTF8, text, *len, true) ? text : NULL;
	converted = pg_server_to_any(text, *len, PG_UTF8);
	if (converted != text)
		*len = strlen(converted);
	return converted;
}

PG_FUNCTION_INFO_V1(normalize_email);
Datum
normalize_email(PG_FUNCTION_ARGS)
{
	size_t len;
	const char *text = utf8_argument(PG_GETARG_DATUM(0), &len);
	char email[EMAIL_MAX + 1];

	/* other encodings might lack a composed letter */
	if (text == NULL || !email_normalize(text, len, GetDatabaseEncoding() == PG_UTF8, email))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(pg_any_to_server(email, strlen(email), PG_UTF8)));
}

PG_FUNCTION_INFO_V1(normalize_phone);
Datum
normalize_phone(PG_FUNCTION_ARGS)
{
	const PhonePlan *home = NULL;
	const char *text;
	size_t len;
	char phone[PHONE_MAX + 1];

	if (!PG_ARGISNULL(1))
	{
		struct varlena *country = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1));

		home = phone_plan_of_country(VARDATA_ANY(country), VARSIZE_ANY_EXHDR(country));
		if (home == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown country \"%s\"", text_to_cstring(country)),
					 errhint("A country is given by its two letters in ISO 3166-1, such as PT.")));
	}
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	text = utf8_argument(PG_GETARG_DATUM(0), &len);
	if (text == NULL || !phone_normalize(text, len, home, phone))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(phone));
}

PG_FUNCTION_INFO_V1(normalize_document);
Datum
normalize_document(PG_FUNCTION_ARGS)
{
	size_t len;
	const char *text = utf8_argument(PG_GETARG_DATUM(0), &len);
	char document[DOCUMENT_MAX + 1];

	if (text == NULL || !document_normalize(text, len, document))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(document));
}
