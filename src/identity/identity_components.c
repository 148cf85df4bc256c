/*
 * identity_components.c
 *		The aggregate identity_components, and its result as rows.
 *
 * Unlike a journey_funnel_agg's, a state is internal: it is as large as the
 * result, so there is nothing to gain from keeping or sending partial ones.
 *
 * A small state adds its edges at once. A large one, which the processor's
 * caches don't hold, lets them wait until they are a batch (components.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "identity/components.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"

/* Where batches begin to pay, and their room counts for little. */
#define SMALL_NODES 4096

typedef struct ComponentsState
{
	Components components; /* first: its context tells it from a PackedState */
	int nwaiting;
	ComponentEdge *waiting; /* NULL: the state is small */
} ComponentsState;

/*
 * What the deserialisation function returns: a partition that waits to be
 * combined.
 */
typedef struct PackedState
{
	MemoryContext no_cxt;
	bytea *packed;
} PackedState;

/* The state argument, a new one if there is none yet. */
static inline ComponentsState *
state_argument(FunctionCallInfo fcinfo)
{
	MemoryContext cxt;
	ComponentsState *state;

	if (likely(!PG_ARGISNULL(0)))
		return (ComponentsState *) PG_GETARG_POINTER(0);
	cxt = aggregate_context(fcinfo, "identity_components");
	state = MemoryContextAlloc(cxt, sizeof(ComponentsState));
	components_init(&state->components, cxt);
	state->nwaiting = 0;
	state->waiting = NULL;
	return state;
}

static void
add_waiting(ComponentsState *state)
{
	if (state->nwaiting > 0)
		components_add(&state->components, state->waiting, state->nwaiting);
	state->nwaiting = 0;
}

PG_FUNCTION_INFO_V1(identity_components_transfn);
Datum
identity_components_transfn(PG_FUNCTION_ARGS)
{
	ComponentsState *state;
	ComponentEdge edge;

	if (unlikely(PG_ARGISNULL(1) && PG_ARGISNULL(2)))
		return unchanged_state(fcinfo);
	state = state_argument(fcinfo);
	edge.a = PG_GETARG_INT64(PG_ARGISNULL(1) ? 2 : 1);
	edge.b = PG_GETARG_INT64(PG_ARGISNULL(2) ? 1 : 2);
	if (state->waiting != NULL)
	{
		state->waiting[state->nwaiting++] = edge;
		if (state->nwaiting == COMPONENTS_BATCH)
			add_waiting(state);
	}
	else
	{
		components_add(&state->components, &edge, 1);
		if (state->components.n > SMALL_NODES)
			state->waiting =
				MemoryContextAlloc(state->components.cxt, COMPONENTS_BATCH * sizeof(ComponentEdge));
	}
	PG_RETURN_POINTER(state);
}

static bytea *
pack_state(ComponentsState *state)
{
	Components *c = &state->components;
	size_t size;
	bytea *packed;

	add_waiting(state);
	size = VARHDRSZ + (size_t) c->n * COMPONENTS_PACKED_NODE;
	packed = palloc(size);
	SET_VARSIZE(packed, size);
	components_pack(c, (uint8 *) VARDATA(packed));
	return packed;
}

PG_FUNCTION_INFO_V1(identity_components_combinefn);
Datum
identity_components_combinefn(PG_FUNCTION_ARGS)
{
	ComponentsState *state;
	PackedState *other;
	bytea *packed;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	state = state_argument(fcinfo);
	other = (PackedState *) PG_GETARG_POINTER(1);
	packed = other->no_cxt == NULL ? other->packed : pack_state((ComponentsState *) other);
	components_merge(&state->components, (uint8 *) VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	if (other->no_cxt != NULL)
		pfree(packed);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(identity_components_serialfn);
Datum
identity_components_serialfn(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo, "identity_components");
	PG_RETURN_BYTEA_P(pack_state((ComponentsState *) PG_GETARG_POINTER(0)));
}

PG_FUNCTION_INFO_V1(identity_components_deserialfn);
Datum
identity_components_deserialfn(PG_FUNCTION_ARGS)
{
	PackedState *state;

	aggregate_context(fcinfo, "identity_components");
	state = palloc(sizeof(PackedState));
	state->no_cxt = NULL;
	state->packed = PG_GETARG_BYTEA_PP(0);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(identity_components_finalfn);
Datum
identity_components_finalfn(PG_FUNCTION_ARGS)
{
	ComponentsState *state;
	ArrayType *result;
	size_t size;

	aggregate_context(fcinfo, "identity_components");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (ComponentsState *) PG_GETARG_POINTER(0);
	add_waiting(state);
	size = ARR_OVERHEAD_NONULLS(2) + (size_t) state->components.n * sizeof(ComponentNode);
	result = palloc(size);
	SET_VARSIZE(result, size);
	result->ndim = 2;
	result->dataoffset = 0;
	result->elemtype = INT8OID;
	ARR_DIMS(result)[0] = state->components.n;
	ARR_DIMS(result)[1] = 2;
	ARR_LBOUND(result)[0] = ARR_LBOUND(result)[1] = 1;
	components_list(&state->components, (ComponentNode *) ARR_DATA_PTR(result));
	PG_RETURN_ARRAYTYPE_P(result);
}

/* Any array of pairs will do. */
PG_FUNCTION_INFO_V1(identity_members);
Datum
identity_members(PG_FUNCTION_ARGS)
{
	ArrayType *pairs = PG_GETARG_ARRAYTYPE_P(0);
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	const ComponentNode *nodes = (const ComponentNode *) ARR_DATA_PTR(pairs);
	Datum values[2];
	bool nulls[2] = {false, false};
	int n = 0;

	if (ARR_NDIM(pairs) != 0)
	{
		if (ARR_NDIM(pairs) != 2 || ARR_DIMS(pairs)[1] != 2 || array_contains_nulls(pairs))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("identity_members needs pairs of a node and its component"),
							errhint("Give it the result of identity_components.")));
		n = ARR_DIMS(pairs)[0];
	}
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		values[0] = Int64GetDatum(nodes[i].node);
		values[1] = Int64GetDatum(nodes[i].component);
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	return (Datum) 0;
}
