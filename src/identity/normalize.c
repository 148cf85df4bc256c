/*
 * normalize.c
 *		SQL faces of the normalisers.
 *
 * They are immutable in one database: its encoding never changes.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/identifier.h"
#include "identity/normalize.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

/* What an argument calls a normaliser, and a country. */
IdentifierKind
kind_argument(Datum d)
{
	struct varlena *normalizer = PG_DETOAST_DATUM_PACKED(d);

	return kind_by_name(VARDATA_ANY(normalizer), VARSIZE_ANY_EXHDR(normalizer));
}

const PhonePlan *
phone_plan_argument(Datum d)
{
	struct varlena *country = PG_DETOAST_DATUM_PACKED(d);
	const PhonePlan *plan =
		phone_plan_of_country(VARDATA_ANY(country), VARSIZE_ANY_EXHDR(country));

	if (plan == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown country \"%s\"", text_to_cstring(country)),
						errhint("A country is given by its two letters in ISO 3166-1, such as PT.")));
	return plan;
}

/*
 * The normal form of a text by its kind, which is not KIND_KEY, in the database's
 * encoding; NULL if it can't be read, or if a database without an encoding holds none.
 */
char *
normal_text(IdentifierKind kind, const char *text, size_t len, const PhonePlan *home)
{
	char normal[Max(EMAIL_MAX, Max(PHONE_MAX, DOCUMENT_MAX)) + 1];
	int encoding = GetDatabaseEncoding();
	bool read = false;

	if (encoding == PG_SQL_ASCII)
	{
		if (!pg_verify_mbstr(PG_UTF8, text, len, true))
			return NULL;
	}
	else if (encoding != PG_UTF8)
	{
		char *converted = pg_server_to_any(text, len, PG_UTF8);

		if (converted != text)
			len = strlen(converted);
		text = converted;
	}
	switch (kind)
	{
		case KIND_KEY:
			break;
		case KIND_EMAIL:
			/* other encodings might lack a composed letter */
			read = email_normalize(text, len, encoding == PG_UTF8, normal);
			break;
		case KIND_PHONE:
			read = phone_normalize(text, len, home, normal);
			break;
		case KIND_DOCUMENT:
			read = document_normalize(text, len, normal);
			break;
	}
	if (!read)
		return NULL;
	text = pg_any_to_server(normal, strlen(normal), PG_UTF8);
	return text == normal ? pstrdup(normal) : unconstify(char *, text);
}

static Datum
normal_argument(FunctionCallInfo fcinfo, IdentifierKind kind, const PhonePlan *home)
{
	struct varlena *argument = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	char *normal = normal_text(kind, VARDATA_ANY(argument), VARSIZE_ANY_EXHDR(argument), home);

	if (normal == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(normal));
}

PG_FUNCTION_INFO_V1(normalize_email);
Datum
normalize_email(PG_FUNCTION_ARGS)
{
	return normal_argument(fcinfo, KIND_EMAIL, NULL);
}

PG_FUNCTION_INFO_V1(normalize_phone);
Datum
normalize_phone(PG_FUNCTION_ARGS)
{
	const PhonePlan *home = PG_ARGISNULL(1) ? NULL : phone_plan_argument(PG_GETARG_DATUM(1));

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return normal_argument(fcinfo, KIND_PHONE, home);
}

PG_FUNCTION_INFO_V1(normalize_document);
Datum
normalize_document(PG_FUNCTION_ARGS)
{
	return normal_argument(fcinfo, KIND_DOCUMENT, NULL);
}

/* Of no normaliser, or one that there is not, every value is its own normal form. */
PG_FUNCTION_INFO_V1(normalize_identifier);
Datum
normalize_identifier(PG_FUNCTION_ARGS)
{
	const PhonePlan *home = NULL;
	IdentifierKind kind;
	Identifier id;
	char *normal;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	kind = PG_ARGISNULL(1) ? KIND_KEY : kind_argument(PG_GETARG_DATUM(1));
	if (kind == KIND_KEY)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (kind == KIND_PHONE && !PG_ARGISNULL(2))
		home = phone_plan_argument(PG_GETARG_DATUM(2));
	id = identifier_unpack(PG_GETARG_DATUM(0));
	normal = normal_text(kind, id.value, id.value_len, home);
	if (normal == NULL)
		PG_RETURN_NULL();
	id.value = normal;
	id.value_len = strlen(normal);
	PG_RETURN_BYTEA_P(identifier_pack(&id));
}
