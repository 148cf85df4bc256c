/*
 * noop_agg: the benchmark's floor, an aggregate that does nothing.
 *
 * It has the arguments, state type, state size and parallel support of
 * journey_agg, or of an aggregate over rows (rows.sh), so it gets the same plan,
 * and what a query costs with it is what PostgreSQL spends on scanning, on the
 * arguments, on grouping and calling.  The state is the address of a static byte;
 * nothing is allocated but what serialisation and an array cannot avoid.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(noop_transfn);
PG_FUNCTION_INFO_V1(noop_combinefn);
PG_FUNCTION_INFO_V1(noop_serialfn);
PG_FUNCTION_INFO_V1(noop_deserialfn);
PG_FUNCTION_INFO_V1(noop_finalfn);
PG_FUNCTION_INFO_V1(noop_zero);
PG_FUNCTION_INFO_V1(noop_array);

static char state;

/* (state, arguments ...) -> state */
Datum
noop_transfn(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&state);
}

/* (state, state) -> state */
Datum
noop_combinefn(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&state);
}

/* (state) -> bytea */
Datum
noop_serialfn(PG_FUNCTION_ARGS)
{
	bytea *result = palloc(VARHDRSZ);

	SET_VARSIZE(result, VARHDRSZ);
	PG_RETURN_BYTEA_P(result);
}

/* (bytea, internal) -> state */
Datum
noop_deserialfn(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&state);
}

/* (state) -> bytea, empty */
Datum
noop_finalfn(PG_FUNCTION_ARGS)
{
	static varattrib_4b result;

	SET_VARSIZE(&result, VARHDRSZ);
	PG_RETURN_BYTEA_P((bytea *) &result);
}

/* (state) -> integer, bigint or boolean: 0 */
Datum
noop_zero(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM((Datum) 0);
}

/* (state) -> boolean[], empty */
Datum
noop_array(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(construct_empty_array(BOOLOID));
}
