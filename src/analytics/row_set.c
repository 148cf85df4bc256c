/*
 * row_set.c
 *		Sets of rows from a function whose call site remembers more than one set.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "analytics/row_set.h"
#include "compat.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define ROW_SET_COLUMNS_MAX 16

void *
row_set(FunctionCallInfo fcinfo, size_t size)
{
	ReturnSetInfo *caller = (ReturnSetInfo *) fcinfo->resultinfo;
	RowSet *set = fcinfo->flinfo->fn_extra;

	if (caller == NULL || !IsA(caller, ReturnSetInfo))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("set-valued function called in context that cannot accept a set")));
	if (set == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		TupleDesc desc;

		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		set = palloc0(size);
		set->desc = BlessTupleDesc(desc);
		Assert(set->desc->natts <= ROW_SET_COLUMNS_MAX);
		set->cxt = AllocSetContextCreate(CurrentMemoryContext, "row set", ALLOCSET_SMALL_SIZES);
		fcinfo->flinfo->fn_extra = set;
		MemoryContextSwitchTo(old);
	}
	set->caller = caller;
	return set;
}

/* Nobody wants the rest of a set. */
static void
abandon(Datum set)
{
	RowSet *s = (RowSet *) DatumGetPointer(set);

	s->started = false;
	MemoryContextReset(s->cxt);
}

MemoryContext
row_set_start(RowSet *set)
{
	RegisterExprContextCallback(set->caller->econtext, abandon, PointerGetDatum(set));
	set->started = true;
	return MemoryContextSwitchTo(set->cxt);
}

Datum
row_set_next(RowSet *set, Datum *values, const bool *nulls)
{
	bool columns[ROW_SET_COLUMNS_MAX] = {false};

	if (nulls)
		memcpy(columns, nulls, set->desc->natts * sizeof(bool));
	set->caller->isDone = ExprMultipleResult;
	return HeapTupleGetDatum(heap_form_tuple(set->desc, values, columns));
}

Datum
row_set_end(FunctionCallInfo fcinfo, RowSet *set)
{
	UnregisterExprContextCallback(set->caller->econtext, abandon, PointerGetDatum(set));
	abandon(PointerGetDatum(set));
	set->caller->isDone = ExprEndResult;
	PG_RETURN_NULL();
}

static inline bool
make_row(RowSet *set, RowSetRow next_row, Datum *values, bool *nulls)
{
	memset(nulls, 0, set->desc->natts * sizeof(bool));
	return next_row(set, values, nulls);
}

/* All rows, for a caller that keeps them. */
static Datum
store_rows(FunctionCallInfo fcinfo, RowSet *set, RowSetRow next_row)
{
	ReturnSetInfo *caller = set->caller;
	Datum values[ROW_SET_COLUMNS_MAX];
	bool nulls[ROW_SET_COLUMNS_MAX];
	Tuplestorestate *store;
	MemoryContext old;

	if (set->row_cxt == NULL)
		set->row_cxt = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "row", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(caller->econtext->ecxt_per_query_memory);
	store = tuplestore_begin_heap((caller->allowedModes & SFRM_Materialize_Random) != 0, false,
								  work_mem);
	MemoryContextSwitchTo(set->row_cxt);
	while (make_row(set, next_row, values, nulls))
	{
		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(store, set->desc, values, nulls);
		MemoryContextReset(set->row_cxt);
	}
	MemoryContextSwitchTo(old);
	row_set_end(fcinfo, set);
	caller->isDone = ExprSingleResult;
	caller->returnMode = SFRM_Materialize;
	caller->setResult = store;
	return (Datum) 0;
}

Datum
row_set_rows(FunctionCallInfo fcinfo, RowSet *set, RowSetRow next_row)
{
	Datum values[ROW_SET_COLUMNS_MAX];
	bool nulls[ROW_SET_COLUMNS_MAX];

	if (set->caller->allowedModes & SFRM_Materialize_Preferred)
		return store_rows(fcinfo, set, next_row);
	if (make_row(set, next_row, values, nulls))
		return row_set_next(set, values, nulls);
	return row_set_end(fcinfo, set);
}
