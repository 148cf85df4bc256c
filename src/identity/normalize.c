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

/* A text in UTF-8; NULL if a database without an encoding holds none. */
static const char *
to_utf8(const char *text, size_t *len)
{
	char *converted;

	if (GetDatabaseEncoding() == PG_UTF8)
		return text;
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return pg_verify_mbstr(PG_UTF8, text, *len, true) ? text : NULL;
	converted = pg_server_to_any(text, *len, PG_UTF8);
	if (converted != text)
		*len = strlen(converted);
	return converted;
}

/*
 * A value's normal form, in the server's encoding and in a buffer or palloc'd; NULL if it
 * has none.
 */
const char *
value_normalize(IdentifierKind kind, const PhonePlan *home, const char *text, size_t len,
				char buffer[NORMAL_MAX + 1])
{
	text = to_utf8(text, &len);
	if (text == NULL)
		return NULL;
	switch (kind)
	{
		case KIND_EMAIL:
			/* other encodings might lack a composed letter */
			if (!email_normalize(text, len, GetDatabaseEncoding() == PG_UTF8, buffer))
				return NULL;
			return pg_any_to_server(buffer, strlen(buffer), PG_UTF8);
		case KIND_PHONE:
			return phone_normalize(text, len, home, buffer) ? buffer : NULL;
		case KIND_DOCUMENT:
			return document_normalize(text, len, buffer) ? buffer : NULL;
		case KIND_KEY:
			break;
	}
	pg_unreachable();
}

/* The plan of a country's numbers; an error if there is none. */
const PhonePlan *
country_plan(Datum country)
{
	struct varlena *name = PG_DETOAST_DATUM_PACKED(country);
	const PhonePlan *plan = phone_plan_of_country(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));

	if (plan == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown country \"%s\"", text_to_cstring(name)),
				 errhint("A country is given by its two letters in ISO 3166-1, such as PT.")));
	return plan;
}

/* KIND_KEY: there is none of that name. */
IdentifierKind
normalizer_kind(Datum normalizer)
{
	struct varlena *name = PG_DETOAST_DATUM_PACKED(normalizer);

	return kind_by_name(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
}

static Datum
normalized(FunctionCallInfo fcinfo, IdentifierKind kind, const PhonePlan *home)
{
	struct varlena *argument = PG_GETARG_VARLENA_PP(0);
	char buffer[NORMAL_MAX + 1];
	const char *normal =
		value_normalize(kind, home, VARDATA_ANY(argument), VARSIZE_ANY_EXHDR(argument), buffer);

	if (normal == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(normal));
}

PG_FUNCTION_INFO_V1(normalize_email);
Datum
normalize_email(PG_FUNCTION_ARGS)
{
	return normalized(fcinfo, KIND_EMAIL, NULL);
}

PG_FUNCTION_INFO_V1(normalize_phone);
Datum
normalize_phone(PG_FUNCTION_ARGS)
{
	const PhonePlan *home = PG_ARGISNULL(1) ? NULL : country_plan(PG_GETARG_DATUM(1));

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return normalized(fcinfo, KIND_PHONE, home);
}

PG_FUNCTION_INFO_V1(normalize_document);
Datum
normalize_document(PG_FUNCTION_ARGS)
{
	return normalized(fcinfo, KIND_DOCUMENT, NULL);
}

/* Of no normaliser, or one that there is not, every value is its own normal form. */
PG_FUNCTION_INFO_V1(normalize_identifier);
Datum
normalize_identifier(PG_FUNCTION_ARGS)
{
	const PhonePlan *home = NULL;
	IdentifierKind kind;
	Identifier id;
	char buffer[NORMAL_MAX + 1];

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	kind = PG_ARGISNULL(1) ? KIND_KEY : normalizer_kind(PG_GETARG_DATUM(1));
	if (kind == KIND_KEY)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (kind == KIND_PHONE && !PG_ARGISNULL(2))
		home = country_plan(PG_GETARG_DATUM(2));
	id = identifier_unpack(PG_GETARG_DATUM(0));
	id.value = value_normalize(kind, home, id.value, id.value_len, buffer);
	if (id.value == NULL)
		PG_RETURN_NULL();
	id.value_len = strlen(id.value);
	PG_RETURN_BYTEA_P(identifier_pack(&id));
}
