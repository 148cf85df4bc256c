/*
 * alias.c
 *		Names that systems give to the same.
 *
 * They come as one value, which a query works out once and a call looks into, so
 * that what is not named there costs next to nothing.
 */
#include "postgres.h"

#include "compat.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

/* The value of a key, if it is one of this kind. */
static bool
find_value(JsonbContainer *object, const char *key, int len, enum jbvType kind, JsonbValue *value)
{
	return JsonContainerIsObject(object) &&
		   getKeyJsonValueFromContainer(object, key, len, value) != NULL && value->type == kind;
}

static bool
find_text(JsonbContainer *aliases, const char *source, int source_len, text *name, JsonbValue *value)
{
	return find_value(aliases, source, source_len, jbvBinary, value) &&
		   find_value(value->val.binary.data, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), jbvString,
					  value);
}

PG_FUNCTION_INFO_V1(journey_alias);
Datum
journey_alias(PG_FUNCTION_ARGS)
{
	Jsonb *aliases = PG_GETARG_JSONB_P(0);
	text *source = PG_GETARG_TEXT_PP(1);
	text *name = PG_GETARG_TEXT_PP(2);
	JsonbValue value;

	if (!find_text(&aliases->root, VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source), name, &value) &&
		!find_text(&aliases->root, "", 0, name, &value))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(value.val.string.val, value.val.string.len));
}
