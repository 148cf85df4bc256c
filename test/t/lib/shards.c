/*
 * shards.c
 *		An aggregate computed as a distributed server does it (Citus, in its
 *		aggregate_utils.c): support functions are looked up anew for every row and called
 *		without an expression, and partial states travel as text.
 *
 * shards(aggregate, arguments ...) takes its rows in turn into two states, sends the
 * second one, combines them, and returns the result as text.
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "access/htup_details.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_MODULE_MAGIC;

#define SHARDS 2

typedef struct Shards
{
	MemoryContext cxt;
	FormData_pg_aggregate agg;
	int16 len;
	bool byval;
	uint64 rows;
	NullableDatum states[SHARDS];
} Shards;

/* Call one of the aggregate's functions for a state, which is its first argument. */
static void
advance(Shards *shards, FunctionCallInfo outer, Oid function, NullableDatum *state, int nargs,
		const NullableDatum *args)
{
	LOCAL_FCINFO(inner, FUNC_MAX_ARGS);
	FmgrInfo info;
	Datum result;

	fmgr_info(function, &info);
	if (info.fn_strict && state->isnull)
	{
		if (!args[0].isnull)
			*state = args[0];
		return;
	}
	InitFunctionCallInfoData(*inner, &info, nargs + 1, outer->fncollation, outer->context,
							 outer->resultinfo);
	inner->args[0] = *state;
	for (int i = 0; i < nargs; i++)
	{
		if (info.fn_strict && args[i].isnull)
			return;
		inner->args[i + 1] = args[i];
	}
	result = FunctionCallInvoke(inner);
	if (!shards->byval && !inner->isnull &&
		(state->isnull || DatumGetPointer(result) != DatumGetPointer(state->value)))
	{
		MemoryContext old = MemoryContextSwitchTo(shards->cxt);

		result = datumCopy(result, shards->byval, shards->len);
		MemoryContextSwitchTo(old);
		if (!state->isnull)
			pfree(DatumGetPointer(state->value));
	}
	state->value = result;
	state->isnull = inner->isnull;
}

PG_FUNCTION_INFO_V1(shards_transfn);
Datum
shards_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt;
	Shards *shards;

	if (!AggCheckCallContext(fcinfo, &cxt))
		elog(ERROR, "not in an aggregate");
	if (PG_ARGISNULL(0))
	{
		HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(PG_GETARG_OID(1)));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "no such aggregate");
		shards = MemoryContextAllocZero(cxt, sizeof(Shards));
		shards->cxt = cxt;
		shards->agg = *(Form_pg_aggregate) GETSTRUCT(tuple);
		ReleaseSysCache(tuple);
		get_typlenbyval(shards->agg.aggtranstype, &shards->len, &shards->byval);
		for (int i = 0; i < SHARDS; i++)
			shards->states[i].isnull = true;
	}
	else
		shards = (Shards *) PG_GETARG_POINTER(0);
	advance(shards, fcinfo, shards->agg.aggtransfn, &shards->states[shards->rows++ % SHARDS],
			PG_NARGS() - 2, &fcinfo->args[2]);
	PG_RETURN_POINTER(shards);
}

PG_FUNCTION_INFO_V1(shards_finalfn);
Datum
shards_finalfn(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(inner, 1);
	Shards *shards;
	FmgrInfo info;
	Oid output;
	Oid input;
	Oid param;
	bool varlena;
	Datum result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	shards = (Shards *) PG_GETARG_POINTER(0);
	for (int i = 1; i < SHARDS; i++)
	{
		NullableDatum sent = shards->states[i];

		if (!sent.isnull)
		{
			getTypeOutputInfo(shards->agg.aggtranstype, &output, &varlena);
			getTypeInputInfo(shards->agg.aggtranstype, &input, &param);
			sent.value =
				OidInputFunctionCall(input, OidOutputFunctionCall(output, sent.value), param, -1);
		}
		advance(shards, fcinfo, shards->agg.aggcombinefn, &shards->states[0], 1, &sent);
	}
	fmgr_info(shards->agg.aggfinalfn, &info);
	if (info.fn_strict && shards->states[0].isnull)
		PG_RETURN_NULL();
	InitFunctionCallInfoData(*inner, &info, 1, PG_GET_COLLATION(), fcinfo->context,
							 fcinfo->resultinfo);
	inner->args[0] = shards->states[0];
	result = FunctionCallInvoke(inner);
	if (inner->isnull)
		PG_RETURN_NULL();
	getTypeOutputInfo(get_func_rettype(shards->agg.aggfinalfn), &output, &varlena);
	PG_RETURN_TEXT_P(cstring_to_text(OidOutputFunctionCall(output, result)));
}
