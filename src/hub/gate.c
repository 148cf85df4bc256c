/*
 * gate.c
 *		A gate that writers pass, and that somebody may close.
 *
 * Who passes holds a weak lock of the gate, which is a table, until his
 * transaction ends; who closes it waits for all who are in, and keeps others
 * out. What the table says is therefore the same for all that a writer does.
 * Mostly it is empty, and then nothing need be read. A LOCK and a query would
 * tell the same, at the price of two statements for each call.
 */
#include "postgres.h"

#include "compat.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(journey_pass);

/* Whether the table may have rows, or the snapshot be older than the lock, so that it must be asked */
Datum
journey_pass(PG_FUNCTION_ARGS)
{
	Oid			id = PG_GETARG_OID(0);
	Relation	gate;
	bool		ask;

	if (pg_class_aclcheck(id, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(id, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(id));
	gate = try_relation_open(id, RowShareLock);
	if (gate == NULL || gate->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("a gate must be a table"));
	ask = IsolationUsesXactSnapshot() || RelationGetNumberOfBlocks(gate) > 0;
	relation_close(gate, NoLock);
	PG_RETURN_BOOL(ask);
}
