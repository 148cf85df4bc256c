/*
 * identity_components.c
 *		The aggregates identity_components, over numbers and over identifiers, and
 *		their results as rows.
 *
 * Unlike a journey_funnel_agg's, a state is internal: it is as large as the
 * result, so there is nothing to gain from keeping or sending partial ones.
 *
 * A small state over numbers adds its edges at once. A large one, which the processor's
 * caches don't hold, lets them wait until they are a batch (components.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "identity/identifier_components.h"
#include "journey/journey.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
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
 * What the deserialisation function of both returns: a partition that waits to
 * be combined.
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

/* An array of n pairs; the caller fills it. */
static ArrayType *
make_pairs(uint32 n, Oid elemtype, size_t size)
{
	ArrayType *pairs;

	size += ARR_OVERHEAD_NONULLS(2);
	pairs = palloc(size);
	SET_VARSIZE(pairs, size);
	pairs->ndim = 2;
	pairs->dataoffset = 0;
	pairs->elemtype = elemtype;
	ARR_DIMS(pairs)[0] = n;
	ARR_DIMS(pairs)[1] = 2;
	ARR_LBOUND(pairs)[0] = ARR_LBOUND(pairs)[1] = 1;
	return pairs;
}

PG_FUNCTION_INFO_V1(identity_components_finalfn);
Datum
identity_components_finalfn(PG_FUNCTION_ARGS)
{
	ComponentsState *state;
	ArrayType *result;

	aggregate_context(fcinfo, "identity_components");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (ComponentsState *) PG_GETARG_POINTER(0);
	add_waiting(state);
	result = make_pairs(state->components.n, INT8OID,
						(size_t) state->components.n * sizeof(ComponentNode));
	components_list(&state->components, NULL, (ComponentNode *) ARR_DATA_PTR(result));
	PG_RETURN_ARRAYTYPE_P(result);
}

/* --- over identifiers --- */

static IdentifierComponents *
identifiers_argument(FunctionCallInfo fcinfo)
{
	MemoryContext cxt;
	IdentifierComponents *state;

	if (likely(!PG_ARGISNULL(0)))
		return (IdentifierComponents *) PG_GETARG_POINTER(0);
	cxt = aggregate_context(fcinfo, "identity_components");
	state = MemoryContextAlloc(cxt, sizeof(IdentifierComponents));
	identifier_components_init(state, cxt);
	return state;
}

PG_FUNCTION_INFO_V1(identifier_components_transfn);
Datum
identifier_components_transfn(PG_FUNCTION_ARGS)
{
	IdentifierComponents *state;
	struct varlena *a;
	struct varlena *b;

	if (unlikely(PG_ARGISNULL(1) && PG_ARGISNULL(2)))
		return unchanged_state(fcinfo);
	state = identifiers_argument(fcinfo);
	a = PG_ARGISNULL(1) ? NULL : short_text_argument(PG_GETARG_DATUM(1));
	b = PG_ARGISNULL(2) ? a : short_text_argument(PG_GETARG_DATUM(2));
	identifier_components_add(state, a ? a : b, b);
	PG_RETURN_POINTER(state);
}

static bytea *
pack_identifiers(IdentifierComponents *state)
{
	size_t size = VARHDRSZ + identifier_components_packed_size(state);
	bytea *packed = palloc(size);

	SET_VARSIZE(packed, size);
	identifier_components_pack(state, (uint8 *) VARDATA(packed));
	return packed;
}

PG_FUNCTION_INFO_V1(identifier_components_combinefn);
Datum
identifier_components_combinefn(PG_FUNCTION_ARGS)
{
	IdentifierComponents *state;
	PackedState *other;
	bytea *packed;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	state = identifiers_argument(fcinfo);
	other = (PackedState *) PG_GETARG_POINTER(1);
	packed =
		other->no_cxt == NULL ? other->packed : pack_identifiers((IdentifierComponents *) other);
	identifier_components_merge(state, (uint8 *) VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	if (other->no_cxt != NULL)
		pfree(packed);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(identifier_components_serialfn);
Datum
identifier_components_serialfn(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo, "identity_components");
	PG_RETURN_BYTEA_P(pack_identifiers((IdentifierComponents *) PG_GETARG_POINTER(0)));
}

PG_FUNCTION_INFO_V1(identifier_components_finalfn);
Datum
identifier_components_finalfn(PG_FUNCTION_ARGS)
{
	IdentifierComponents *state;
	ComponentNode *nodes;
	uint32 *order;
	size_t size = 0;
	ArrayType *result;
	char *p;

	aggregate_context(fcinfo, "identity_components");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (IdentifierComponents *) PG_GETARG_POINTER(0);
	nodes = palloc_extended(state->c.n * sizeof(ComponentNode), MCXT_ALLOC_HUGE);
	order = identifier_components_list(state, nodes);
	for (uint32 i = 0; i < state->c.n; i++)
		size += identifier_components_size(state, order[nodes[i].node]) +
				identifier_components_size(state, order[nodes[i].component]);
	if (!AllocSizeIsValid(ARR_OVERHEAD_NONULLS(2) + size))
		identifier_components_too_large();
	result =
		make_pairs(state->c.n, get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid)), size);
	p = ARR_DATA_PTR(result);
	for (uint32 i = 0; i < state->c.n; i++)
	{
		check_interrupts_sometimes(i);
		p = identifier_components_copy(state, order[nodes[i].node], p);
		p = identifier_components_copy(state, order[nodes[i].component], p);
	}
	pfree(order);
	pfree(nodes);
	PG_RETURN_ARRAYTYPE_P(result);
}

/* --- rows --- */

/* Any array of pairs will do, of either type. */
PG_FUNCTION_INFO_V1(identity_members);
Datum
identity_members(PG_FUNCTION_ARGS)
{
	ArrayType *pairs = PG_GETARG_ARRAYTYPE_P(0);
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	const char *p = ARR_DATA_PTR(pairs);
	int16 len;
	bool byval;
	char align;
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
	get_typlenbyvalalign(ARR_ELEMTYPE(pairs), &len, &byval, &align);
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < 2; j++)
		{
			values[j] = fetch_att(p, byval, len);
			p = att_addlength_pointer(p, len, p);
			p = (char *) att_align_nominal(p, align);
		}
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	return (Datum) 0;
}
