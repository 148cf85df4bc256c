/*
 * flow_arg.c
 *		Flows as arguments and as states of aggregates.
 */
#include "postgres.h"

#include "compat.h"
#include "flow/flow.h"
#include "utils/memutils.h"

/* The context of all states in an aggregate's: one for each would cost a hash aggregate. */
MemoryContext
flow_context(MemoryContext aggregate)
{
	static const char *const name = "flow";

	for (MemoryContext child = aggregate->firstchild; child; child = child->nextchild)
		if (child->name == name)
			return child;
	return AllocSetContextCreateInternal(aggregate, name, ALLOCSET_START_SMALL_SIZES);
}

static Flow *
expanded_flow(Datum d)
{
	Flow *m = (Flow *) DatumGetEOHP(d);

	if (m->magic != FLOW_MAGIC)
		elog(ERROR, "flow is something else");
	return m;
}

/* A state argument: as it is, if it may be changed. */
Flow *
flow_state_argument(Datum d, MemoryContext aggregate)
{
	Flow *m;

	if (!VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(d)))
		return flow_of_flat(PG_DETOAST_DATUM_PACKED(d), FLOW_STORED, flow_context(aggregate));
	m = expanded_flow(d);
	if (m->flat)
	{
		pfree(m->flat);
		m->flat = NULL;
	}
	return m;
}

/* A flow to be read. */
Flow *
flow_argument(Datum d)
{
	if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(d)))
		return expanded_flow(d);
	return flow_of_flat(PG_DETOAST_DATUM_PACKED(d), FLOW_STORED, CurrentMemoryContext);
}

void
flows_differ(const FlowOptions *a, const FlowOptions *b)
{
	StringInfoData ours;
	StringInfoData theirs;

	initStringInfo(&ours);
	initStringInfo(&theirs);
	flow_options_print(&ours, a);
	flow_options_print(&theirs, b);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("flows of different options cannot be added up"),
					errdetail("They differ in %s: %s, and %s.", flow_options_differ(a, b),
							  ours.data, theirs.data),
					errhint("Group by what differs.")));
}
