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
	bytea *state = PG_GETARG_BYTEA_P(arg);
	uint32 n;

	if (VARSIZE(state) != sizeof(RetentionState) ||
		(n = ((RetentionState *) state)->nconditions) > ROWS_CONDITIONS_MAX ||
		(n < ROWS_CONDITIONS_MAX && ((RetentionState *) state)->conditions >> n != 0))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of retention is corrupt")));
	return (RetentionState *) state;
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

PG_FUNCTION_INFO_V1(retention_transfn);
Datum
retention_transfn(PG_FUNCTION_ARGS)
{
	RowsSite *site = rows_site(fcinfo, "retention", 1, sizeof(RowsSite));
	uint64 conditions = rows_conditions(fcinfo, site);
	RetentionState *state;

	aggregate_context(fcinfo, "retention");
	if (PG_ARGISNULL(0))
	{
		/* the executor moves it to the aggregate's context */
		state = palloc0(sizeof(RetentionState));
		SET_VARSIZE(state, sizeof(RetentionState));
		state->nconditions = site->nconditions;
	}
	else
		state = state_argument(fcinfo, 0);
	same_count(state->nconditions, site->nconditions);
	state->conditions |= conditions;
	PG_RETURN_POINTER(state);
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
