/*
 * hub_language.c
 *		The language of a hub's functions: PL/pgSQL that does not run where
 *		the function's names mean another schema.
 *
 * A function of a hub finds its tables by its search_path, which is text: it
 * stays what it is when somebody renames the schema, and leads nowhere then, or
 * into another hub that has the name now, be it new or the restored dump of the
 * first. Whatever such a function could read tells it about the other hub, so
 * only what calls it, and knows its OID, can tell which schema it is in itself.
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/proclang.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(journey_plpgsql_call);
PG_FUNCTION_INFO_V1(journey_plpgsql_validator);

static PGFunction plpgsql_call = NULL;
static PGFunction plpgsql_validator = NULL;

#if PG_VERSION_NUM < 160000
#define may_use_schema(schema) (pg_namespace_aclcheck(schema, GetUserId(), ACL_USAGE) == ACLCHECK_OK)
#define may_use_language(language) (pg_language_aclcheck(language, GetUserId(), ACL_USAGE) == ACLCHECK_OK)
#else
#define may_use_schema(schema)                                                                     \
	(object_aclcheck(NamespaceRelationId, schema, GetUserId(), ACL_USAGE) == ACLCHECK_OK)
#define may_use_language(language)                                                                 \
	(object_aclcheck(LanguageRelationId, language, GetUserId(), ACL_USAGE) == ACLCHECK_OK)
#endif

/* The first schema of the search_path that is there and may be used, but for pg_catalog before all */
static Oid
first_in_path(void)
{
	Oid			path[2];
	int			count = fetch_search_path_array(path, 2);

	if (count > 0 && path[0] != PG_CATALOG_NAMESPACE)
		return path[0];
	return count > 1 ? path[1] : InvalidOid;
}

/* The search_path that a function is called with, or NULL */
static char *
search_path_of(HeapTuple function, int cache)
{
	bool		isnull;
	Datum		config = SysCacheGetAttr(cache, function, Anum_pg_proc_proconfig, &isnull);
	Datum	   *settings;
	int			count;

	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false, TYPALIGN_INT, &settings, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *setting = TextDatumGetCString(settings[i]);

		if (strncmp(setting, "search_path=", 12) == 0)
			return setting + 12;
	}
	return NULL;
}

/* Whether made_for() of a schema has a search_path that begins with it, as all that was made with it has */
static bool
made_for(Oid schema)
{
	HeapTuple	tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum("made_for"),
										PointerGetDatum(buildoidvector(NULL, 0)), ObjectIdGetDatum(schema));
	char	   *path;
	List	   *names;

	if (!HeapTupleIsValid(tuple))
		return false;
	path = search_path_of(tuple, PROCNAMEARGSNSP);
	ReleaseSysCache(tuple);
	return path != NULL && SplitIdentifierString(path, ',', &names) && names != NIL &&
		get_namespace_oid(linitial(names), true) == schema;
}

static void
check_schema(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			schema;
	bool		qualifies;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	schema = ((Form_pg_proc) GETSTRUCT(tuple))->pronamespace;
	qualifies = search_path_of(tuple, PROCOID) == NULL;
	ReleaseSysCache(tuple);
	if (qualifies ? made_for(schema) : first_in_path() == schema)
		return;

	name = get_namespace_name(schema);
	if (name == NULL)
		elog(ERROR, "cache lookup failed for schema %u", schema);
	if (!may_use_schema(schema))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, name);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("hub %s was renamed, but not by journey_rename_hub", name),
			 errdetail("Function %s would use what is in a schema of the former name.",
					   get_func_name(function)),
			 errhint("SELECT journey_upgrade_hub(%s) makes it use this one.",
					 quote_literal_cstr(name))));
}

/* All procedures of a hub commit as they go: better said before than by the first COMMIT */
static void
check_may_commit(FunctionCallInfo fcinfo)
{
	if (fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		((CallContext *) fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("procedure %s commits as it goes, so it can't be part of a transaction",
						get_func_name(fcinfo->flinfo->fn_oid)),
				 errhint("CALL it by itself: not between BEGIN and COMMIT, not in a function, and with "
						 "autocommit where a driver begins transactions.")));
}

Datum
journey_plpgsql_call(PG_FUNCTION_ARGS)
{
	check_schema(fcinfo->flinfo->fn_oid);
	check_may_commit(fcinfo);
	if (plpgsql_call == NULL)
		plpgsql_call = load_external_function("$libdir/plpgsql", "plpgsql_call_handler", true, NULL);
	return plpgsql_call(fcinfo);
}

/* Whom PL/pgSQL was taken from must not have it by another name */
Datum
journey_plpgsql_validator(PG_FUNCTION_ARGS)
{
	if (!may_use_language(get_language_oid("plpgsql", false)))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_LANGUAGE, "plpgsql");
	if (plpgsql_validator == NULL)
		plpgsql_validator = load_external_function("$libdir/plpgsql", "plpgsql_validator", true, NULL);
	return plpgsql_validator(fcinfo);
}
