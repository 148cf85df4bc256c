/*
 * retention.c
 *		SQL face of retention: who met the first condition, and which others.
 *
 * The state is a bytea, so that partial aggregation can be done anywhere; what
 * comes from elsewhere is checked.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "journey/journey.h"
#include "rows/rows.h"
#include "utils/array.h"

typedef struct RetentionState
{
	int32 vl_len_;
	uint32 nconditions;
	uint64 conditions; /* that some row met */
} RetentionState;

static RetentionState *
state_argument(FunctionCallInfo fcinfo, int arg)
{
	RetentionState *state = (RetentionState *) PG_GETARG_BYTEA_P(arg);

	if (VARSIZE(state) != sizeof(RetentionState))
		goto corrupt;
	if (state != (RetentionState *) MAXALIGN(state))
		state = memcpy(palloc(sizeof(RetentionState)), state, sizeof(RetentionState));
	if (state->nconditions <= ROWS_CONDITIONS_MAX &&
		(state->nconditions == ROWS_CONDITIONS_MAX || state->conditions >> state->nconditions == 0))
		return state;

corrupt:
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of retention is corrupt")));
}

static void
same_count(uint32 a, uint32 b)
{
	if (unlikely(a != b))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("retention needs the same number of conditions for all rows of a group"),
				 errdetail("Found %u and %u.", a, b)));
}

static Datum
transition(FunctionCallInfo fcinfo, uint64 conditions, int n)
{
	RetentionState *state;

	aggregate_context(fcinfo, "retention");
	if (PG_ARGISNULL(0))
	{
		/* the executor moves it to the aggregate's context */
		state = palloc0(sizeof(RetentionState));
		SET_VARSIZE(state, sizeof(RetentionState));
		state->nconditions = n;
	}
	else
		state = state_argument(fcinfo, 0);
	same_count(state->nconditions, n);
	state->conditions |= conditions;
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(retention_transfn);
Datum
retention_transfn(PG_FUNCTION_ARGS)
{
	uint64 conditions = 0;

	for (int i = 1; i < PG_NARGS(); i++)
		conditions |= (uint64) (!PG_ARGISNULL(i) && PG_GETARG_BOOL(i)) << (i - 1);
	return transition(fcinfo, conditions, PG_NARGS() - 1);
}

PG_FUNCTION_INFO_V1(retention_any_transfn);
Datum
retention_any_transfn(PG_FUNCTION_ARGS)
{
	RowsSite *site = rows_site(fcinfo, "retention", 1, sizeof(RowsSite));
	uint64 conditions = rows_conditions(fcinfo, site);

	return transition(fcinfo, conditions, site->nconditions);
}

PG_FUNCTION_INFO_V1(retention_array_transfn);
Datum
retention_array_transfn(PG_FUNCTION_ARGS)
{
	RowsSite site = {.aggregate = "retention", .first = 1};
	uint64 conditions = rows_conditions_of_array(fcinfo, &site);

	return transition(fcinfo, conditions, site.nconditions);
}

PG_FUNCTION_INFO_V1(retention_combinefn);
Datum
retention_combinefn(PG_FUNCTION_ARGS)
{
	RetentionState *state;
	const RetentionState *other;

	aggregate_context(fcinfo, "retention");
	state = state_argument(fcinfo, 0);
	other = state_argument(fcinfo, 1);
	same_count(state->nconditions, other->nconditions);
	state->conditions |= other->conditions;
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(retention_finalfn);
Datum
retention_finalfn(PG_FUNCTION_ARGS)
{
	Datum held[ROWS_CONDITIONS_MAX];
	const RetentionState *state;

	aggregate_context(fcinfo, "retention");
	state = state_argument(fcinfo, 0);
	for (uint32 i = 0; i < state->nconditions; i++)
		held[i] = BoolGetDatum((state->conditions & 1) != 0 && (state->conditions >> i & 1) != 0);
	PG_RETURN_ARRAYTYPE_P(
		construct_array(held, state->nconditions, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR));
}
