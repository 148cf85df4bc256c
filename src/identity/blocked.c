/*
 * blocked.c
 *		Whether a value is in a hub's list of blocked ones.
 *
 * A list is read for every identifier that comes in for the first time, so it
 * is read as it is: no query, and regular expressions compiled once (the server
 * keeps the last 32).
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "regex/regex.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

/*
 * Elements are values in lower case, or regular expressions behind a tilde; NULL
 * ones match nothing.
 */
PG_FUNCTION_INFO_V1(identifier_blocked);
Datum
identifier_blocked(PG_FUNCTION_ARGS)
{
	text *value = PG_GETARG_TEXT_PP(0);
	ArrayType *blocked = PG_GETARG_ARRAYTYPE_P(1);
	char *lower = str_tolower(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), DEFAULT_COLLATION_OID);
	size_t lower_len = strlen(lower);
	Datum *elements;
	bool *nulls;
	int n;

	deconstruct_array(blocked, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		text *element;
		char *s;
		size_t len;

		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			continue;
		element = DatumGetTextPP(elements[i]);
		s = VARDATA_ANY(element);
		len = VARSIZE_ANY_EXHDR(element);
		if (len > 0 && s[0] == '~')
		{
			text *re = cstring_to_text_with_len(s + 1, len - 1);

			if (RE_compile_and_execute(re, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
									   REG_ADVANCED | REG_ICASE | REG_NOSUB, DEFAULT_COLLATION_OID,
									   0, NULL))
				PG_RETURN_BOOL(true);
			pfree(re);
		}
		else if (len == lower_len && memcmp(s, lower, len) == 0)
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}
