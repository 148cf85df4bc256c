/*
 * hub_owner.c
 *		Running what concerns a hub as the hub's owner.
 *
 * The owner of a hub can have code run by whoever changes something in it:
 * triggers, defaults, functions of indexes and views. Who upgrades or drops the
 * hub, a superuser maybe, must lend it no rights: SET ROLE would not do, since
 * such code could set it back.
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(journey_run_as_owner);
PG_FUNCTION_INFO_V1(journey_run_as_role);

#if PG_VERSION_NUM < 160000
#define may_become(role) is_member_of_role(GetUserId(), role)
#else
#define may_become(role) member_can_set_role(GetUserId(), role)
#endif

static Oid
owner_of(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Run commands as a role that the caller may become, the owner of a schema if it has a name; returns the first column
 * of the first row of the last one as text.
 */
static Datum
run_as(FunctionCallInfo fcinfo, Oid owner, const char *schema)
{
	char	   *command = text_to_cstring(PG_GETARG_TEXT_PP(1));
	MemoryContext caller_context = CurrentMemoryContext;
	Oid			caller;
	int			caller_security;
	int			security;
	int			nest_level;
	char	   *result = NULL;

	GetUserIdAndSecContext(&caller, &caller_security);
	if (!may_become(owner) && schema != NULL)
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_SCHEMA, schema);
	if (!may_become(owner))
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied to set role \"%s\"", GetUserNameFromId(owner, false)));
	security = caller_security;
	if (caller != owner || GetSessionUserId() != owner || GetAuthenticatedUserId() != owner)
		security |= SECURITY_RESTRICTED_OPERATION;
	SetUserIdAndSecContext(owner, security);
	nest_level = NewGUCNestLevel();

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(command, false, 0) < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_tuptable != NULL && SPI_tuptable->numvals > 0)
	{
		result = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		if (result != NULL)
			result = MemoryContextStrdup(caller_context, result);
	}
	SPI_finish();

	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(caller, caller_security);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(result));
}

Datum
journey_run_as_owner(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	return run_as(fcinfo, owner_of(get_namespace_oid(name, false)), name);
}

/* As the owner of a view or of whatever else stands in a hub and is not the hub's */
Datum
journey_run_as_role(PG_FUNCTION_ARGS)
{
	return run_as(fcinfo, PG_GETARG_OID(0), NULL);
}
