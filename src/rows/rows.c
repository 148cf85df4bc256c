/*
 * rows.c
 *		States of the aggregates over rows, and their way through parallel plans.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "compat.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "port/pg_bitutils.h"
#include "rows/rows.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define ROWS_FIRST 4
#define ROWS_MOST PG_INT32_MAX
#define ROWS_INTERRUPT_EVERY 0x100000
#define ALLOC_ROUNDED 8192 /* up to here the allocator rounds to a power of two */

/* The order that matcher_open_rows and funnel_level want. */
static inline int
row_cmp(const MatchRow *a, const MatchRow *b)
{
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return (a->conditions > b->conditions) - (a->conditions < b->conditions);
}

#define ST_SORT sort_match_rows
#define ST_ELEMENT_TYPE MatchRow
#define ST_COMPARE(a, b) row_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* ---- arguments ---- */

static void
check_count(const RowsSite *site, int n)
{
	if (n > ROWS_CONDITIONS_MAX)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_ARGUMENTS),
						errmsg("%s cannot take more than %d conditions", site->aggregate,
							   ROWS_CONDITIONS_MAX),
						errdetail("Found %d.", n)));
}

/* Is it an aggregate with this transition function? */
static bool
has_transfn(Oid aggregate, Oid transfn)
{
	HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	bool result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggtransfn == transfn;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * The aggregate that is called; InvalidOid outside of one. Of a window the server does
 * not say which of its functions this is, so it is the first that may be.
 */
static Oid
called_aggregate(FunctionCallInfo fcinfo)
{
	Aggref *aggref = AggGetAggref(fcinfo);
	ListCell *cell;

	if (aggref)
		return aggref->aggfnoid;
	if (fcinfo->context && IsA(fcinfo->context, WindowAggState))
		foreach (cell, ((WindowAggState *) fcinfo->context)->funcs)
		{
			Oid function = lfirst_node(WindowFuncExprState, cell)->wfunc->winfnoid;

			if (has_transfn(function, fcinfo->flinfo->fn_oid))
				return function;
		}
	return InvalidOid;
}

/* An argument's type, which of VARIADIC "any" nothing but the call tells. */
static Oid
argument_type(FunctionCallInfo fcinfo, const RowsSite *site, int arg)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, arg);

	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_DATATYPE),
				 errmsg("could not determine the types of the conditions of %s", site->aggregate)));
	return getBaseType(type);
}

RowsSite *
rows_site_create(FunctionCallInfo fcinfo, const char *aggregate, int first, size_t size)
{
	MemoryContext cxt = fcinfo->flinfo->fn_mcxt;
	RowsSite *site = MemoryContextAllocZero(cxt, size);
	/* NULL if it was dropped while a cursor was open */
	const char *name = get_func_name(called_aggregate(fcinfo));

	site->aggregate = name ? MemoryContextStrdup(cxt, name) : aggregate;
	site->cxt = cxt;
	site->first = first;
	if (first < PG_NARGS())
	{
		Oid type = argument_type(fcinfo, site, first);

		/* of window functions the server does not keep whether they were called VARIADIC */
		site->array = get_fn_expr_variadic(fcinfo->flinfo) ||
					  (PG_NARGS() == first + 1 && type == BOOLARRAYOID);
		if (site->array && type != BOOLARRAYOID)
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("conditions of %s must be an array of type boolean, not %s",
								   site->aggregate, format_type_be(type))));
	}
	if (!site->array)
	{
		site->nconditions = PG_NARGS() - first;
		check_count(site, site->nconditions);
		for (int i = 0; i < site->nconditions; i++)
		{
			Oid type = argument_type(fcinfo, site, first + i);

			if (type == UNKNOWNOID)
				site->untyped |= UINT64CONST(1) << i;
			else if (type != BOOLOID)
				ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
								errmsg("condition %d of %s must be of type boolean, not %s", i + 1,
									   site->aggregate, format_type_be(type))));
		}
	}
	fcinfo->flinfo->fn_extra = site;
	return site;
}

void
rows_check_untyped(FunctionCallInfo fcinfo, const RowsSite *site)
{
	for (uint64 bits = site->untyped; bits != 0; bits &= bits - 1)
	{
		int i = pg_rightmost_one_pos64(bits);

		if (!fcinfo->args[site->first + i].isnull)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("condition %d of %s must be of type boolean", i + 1, site->aggregate),
					 errhint("Cast the literal to boolean.")));
	}
}

uint64
rows_conditions_of_array(FunctionCallInfo fcinfo, RowsSite *site)
{
	ArrayType *array;
	const char *element;
	const bits8 *nulls;
	uint64 conditions = 0;
	int n;
	int present = 0;

	if (fcinfo->args[site->first].isnull)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("array of conditions of %s must not be null", site->aggregate)));
	array = DatumGetArrayTypeP(fcinfo->args[site->first].value);
	n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	check_count(site, n);
	element = ARR_DATA_PTR(array);
	nulls = ARR_NULLBITMAP(array);
	for (int i = 0; i < n; i++)
		if (nulls == NULL || (nulls[i / 8] >> (i % 8) & 1) != 0)
			conditions |= (uint64) (element[present++] != 0) << i;
	site->nconditions = n;
	return conditions;
}

text *
rows_parameter(FunctionCallInfo fcinfo, const RowsSite *site, int arg, const char *what)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s of %s must not be null", what, site->aggregate)));
	return short_text_argument(PG_GETARG_DATUM(arg));
}

int64
rows_time(FunctionCallInfo fcinfo, RowsSite *site, int arg)
{
	if (unlikely(PG_ARGISNULL(arg)))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("time of a row that meets a condition must not be null"),
						errdetail("%s puts rows in the order of their times.", site->aggregate),
						errhint("Make the condition false where there is no time.")));
	return finite_time(PG_GETARG_TIMESTAMPTZ(arg), "row");
}

/* ---- parameters ---- */

static inline uint32
spec_hash(const RowsSpec *spec)
{
	return hash_bytes((const unsigned char *) spec->parameters, spec->len) ^ spec->nconditions;
}

static inline bool
spec_equal(const RowsSpec *a, const RowsSpec *b)
{
	return a->nconditions == b->nconditions && a->len == b->len &&
		   memcmp(a->parameters, b->parameters, a->len) == 0;
}

typedef struct SpecEntry
{
	RowsSpec *spec;
	char status;
} SpecEntry;

#define SH_PREFIX specs
#define SH_ELEMENT_TYPE SpecEntry
#define SH_KEY_TYPE RowsSpec *
#define SH_KEY spec
#define SH_HASH_KEY(table, key) spec_hash(key)
#define SH_EQUAL(table, a, b) spec_equal(a, b)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

bool
rows_specify(RowsSite *site, const void *parameters, uint32 len)
{
	RowsSpec *spec = MemoryContextAllocZero(site->cxt, offsetof(RowsSpec, parameters) + len);
	SpecEntry *entry;
	bool known;

	spec->nconditions = site->nconditions;
	spec->row_size = sizeof(int64) + (site->nconditions + 7) / 8;
	spec->len = len;
	memcpy(spec->parameters, parameters, len);
	if (site->specs == NULL)
		site->specs = specs_create(site->cxt, 4, NULL);
	entry = specs_insert(site->specs, spec, &known);
	if (known)
		pfree(spec);
	site->spec = entry->spec;
	return !known;
}

/* ---- states ---- */

/* The states of a site are gone. */
static void
owner_is_reset(void *arg)
{
	RowsSite *site = arg;

	site->owner = site->states = NULL;
}

/*
 * Where to make a new state. Many states have a context of their own, so that
 * the entries of a hash table, which the aggregate's context holds, stay close
 * together; only one, as where groups come one after the other, is not worth it.
 */
static MemoryContext
state_context(FunctionCallInfo fcinfo, RowsSite *site)
{
	MemoryContext cxt = aggregate_context(fcinfo, site->aggregate);

	if (site->owner == NULL)
	{
		MemoryContextCallback *callback = MemoryContextAlloc(cxt, sizeof(MemoryContextCallback));

		callback->func = owner_is_reset;
		callback->arg = site;
		MemoryContextRegisterResetCallback(cxt, callback);
		site->owner = cxt;
	}
	else if (site->owner == cxt)
	{
		if (site->states == NULL)
			site->states = AllocSetContextCreate(cxt, "rows", ALLOCSET_DEFAULT_SIZES);
		return site->states;
	}
	return cxt;
}

static size_t
state_size(const RowsSpec *spec, size_t max)
{
	return offsetof(RowsState, rows) + max * spec->row_size;
}

/* A state for this many rows, and what fits in besides: the allocator rounds up, too. */
static RowsState *
state_alloc(MemoryContext cxt, RowsState *old, RowsSpec *spec, uint64 max)
{
	size_t size = state_size(spec, max);
	RowsState *state;

	if (size <= ALLOC_ROUNDED)
	{
		size = pg_nextpower2_size_t(size);
		max = (size - offsetof(RowsState, rows)) / spec->row_size;
	}
	state = old ? repalloc_huge(old, size) : MemoryContextAllocHuge(cxt, size);
	state->max = max;
	return state;
}

static RowsState *
state_create(MemoryContext cxt, RowsSpec *spec, uint32 max)
{
	RowsState *state = state_alloc(cxt, NULL, spec, max);

	state->spec = spec;
	state->n = 0;
	state->unsorted = false;
	return state;
}

/* The state with room for so many more rows. */
static inline RowsState *
state_reserve(RowsState *state, uint32 more)
{
	uint64 need = (uint64) state->n + more;

	if (likely(need <= state->max))
		return state;
	if (need > ROWS_MOST)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a group has too many rows that meet a condition"),
						errdetail("There can be at most %d.", ROWS_MOST)));
	return state_alloc(NULL, state, state->spec,
					   Min(Max(need, 2 * (uint64) state->max), ROWS_MOST));
}

static inline MatchRow
get_row(const RowsState *state, uint32 i)
{
	const char *from = &state->rows[(size_t) i * state->spec->row_size];
	MatchRow row = {0};

	memcpy(&row.time, from, sizeof(row.time));
	from += sizeof(row.time);
	if (likely(state->spec->row_size == sizeof(row.time) + 1))
		row.conditions = (uint8) *from;
	else
		for (uint32 k = 0; k < state->spec->row_size - sizeof(row.time); k++)
			row.conditions |= (uint64) (uint8) from[k] << (8 * k);
	return row;
}

static inline void
put_row(RowsState *state, uint32 i, const MatchRow *row)
{
	char *to = &state->rows[(size_t) i * state->spec->row_size];

	memcpy(to, &row->time, sizeof(row->time));
	to += sizeof(row->time);
	if (likely(state->spec->row_size == sizeof(row->time) + 1))
		*to = (char) row->conditions;
	else
		for (uint32 k = 0; k < state->spec->row_size - sizeof(row->time); k++)
			to[k] = (char) (row->conditions >> (8 * k));
}

/* Is row i out of order with the one before? */
static inline bool
out_of_order(const RowsState *state, uint32 i, const MatchRow *row)
{
	MatchRow before;

	if (i == 0)
		return false;
	before = get_row(state, i - 1);
	return row_cmp(&before, row) > 0;
}

void
rows_same_parameters(const RowsSite *site, const RowsSpec *a, const RowsSpec *b)
{
	if (spec_equal(a, b))
		return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s needs the same parameters for all rows of a group", site->aggregate),
					a->nconditions != b->nconditions
						? errdetail("Found %u and %u conditions.", a->nconditions, b->nconditions)
					: site->describe ? errdetail("Found \"%s\" and \"%s\".", site->describe(a),
												 site->describe(b))
									 : 0,
					errhint("Group by them.")));
}

Datum
rows_take(FunctionCallInfo fcinfo, RowsSite *site, int64 time, uint64 conditions)
{
	MatchRow row = {time, conditions};
	RowsState *state;

	if (PG_ARGISNULL(0))
		state = state_create(state_context(fcinfo, site), site->spec, ROWS_FIRST);
	else
	{
		state = (RowsState *) PG_GETARG_POINTER(0);
		if (unlikely(state->spec != site->spec))
			rows_same_parameters(site, state->spec, site->spec);
		state = state_reserve(state, 1);
	}
	if (!state->unsorted)
		state->unsorted = out_of_order(state, state->n, &row);
	put_row(state, state->n++, &row);
	PG_RETURN_POINTER(state);
}

MatchRow *
rows_sorted(const RowsState *state, MatchRow *few)
{
	MatchRow *rows =
		state->n <= ROWS_FEW ? few : palloc_extended(state->n * sizeof(MatchRow), MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < state->n; i++)
	{
		if (unlikely(i % ROWS_INTERRUPT_EVERY == ROWS_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		rows[i] = get_row(state, i);
	}
	if (state->unsorted)
		sort_match_rows(rows, state->n);
	return rows;
}

/* ---- parallel plans ---- */

/* A state on its way: this, parameters, rows; each maxaligned. */
typedef struct RowsMessage
{
	int32 vl_len_;
	uint32 nconditions;
	uint32 len;
	uint32 n;
	uint32 unsorted;
} RowsMessage;

/* What the deserialisation function returns: a message that waits to be combined. */
typedef struct RowsPacked
{
	RowsSpec *no_spec;
	bytea *message;
} RowsPacked;

PG_FUNCTION_INFO_V1(journey_rows_serialfn);
Datum
journey_rows_serialfn(PG_FUNCTION_ARGS)
{
	RowsState *state;
	RowsMessage *message;
	char *to;
	size_t size;

	aggregate_context(fcinfo, "aggregates over rows");
	state = (RowsState *) PG_GETARG_POINTER(0);
	size = MAXALIGN(sizeof(RowsMessage)) + MAXALIGN(state->spec->len) +
		   (size_t) state->n * state->spec->row_size;
	if (size > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a group has too many rows that meet a condition for a parallel plan"),
				 errdetail("It has %u in one worker.", state->n),
				 errhint("Set max_parallel_workers_per_gather to 0.")));
	message = palloc0(size);
	SET_VARSIZE(message, size);
	message->nconditions = state->spec->nconditions;
	message->len = state->spec->len;
	message->n = state->n;
	message->unsorted = state->unsorted;
	to = (char *) message + MAXALIGN(sizeof(RowsMessage));
	memcpy(to, state->spec->parameters, state->spec->len);
	memcpy(to + MAXALIGN(state->spec->len), state->rows, (size_t) state->n * state->spec->row_size);
	PG_RETURN_POINTER(message);
}

PG_FUNCTION_INFO_V1(journey_rows_deserialfn);
Datum
journey_rows_deserialfn(PG_FUNCTION_ARGS)
{
	RowsPacked *packed;

	aggregate_context(fcinfo, "aggregates over rows");
	packed = palloc(sizeof(RowsPacked));
	packed->no_spec = NULL;
	packed->message = PG_GETARG_BYTEA_P(0);
	PG_RETURN_POINTER(packed);
}

static RowsState *
append_rows(RowsState *state, const char *rows, uint32 n, bool unsorted)
{
	uint32 before = state->n;

	state = state_reserve(state, n);
	memcpy(&state->rows[(size_t) before * state->spec->row_size], rows,
		   (size_t) n * state->spec->row_size);
	state->n += n;
	if (n > 0 && !state->unsorted)
	{
		MatchRow first = get_row(state, before);

		state->unsorted = unsorted || out_of_order(state, before, &first);
	}
	return state;
}

PG_FUNCTION_INFO_V1(journey_rows_combinefn);
Datum
journey_rows_combinefn(PG_FUNCTION_ARGS)
{
	RowsSite *site = rows_site(fcinfo, "the aggregate", PG_NARGS(), sizeof(RowsSite));
	const RowsState *other;
	RowsState *state;
	const char *rows;
	uint32 n;
	bool unsorted;

	aggregate_context(fcinfo, "aggregates over rows");
	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = (const RowsState *) PG_GETARG_POINTER(1);
	if (other->spec == NULL)
	{
		const RowsMessage *message = (const RowsMessage *) ((const RowsPacked *) other)->message;
		const char *parameters = (const char *) message + MAXALIGN(sizeof(RowsMessage));

		if (VARSIZE(message) < sizeof(RowsMessage) ||
			VARSIZE(message) !=
				MAXALIGN(sizeof(RowsMessage)) + MAXALIGN((size_t) message->len) +
					(size_t) message->n * (sizeof(int64) + (message->nconditions + 7) / 8))
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("state of an aggregate over rows is corrupt")));
		site->nconditions = message->nconditions;
		if (!rows_specified(site, parameters, message->len))
			rows_specify(site, parameters, message->len);
		rows = parameters + MAXALIGN(message->len);
		n = message->n;
		unsorted = message->unsorted;
	}
	else
	{
		site->nconditions = other->spec->nconditions;
		rows_specify(site, other->spec->parameters, other->spec->len);
		rows = other->rows;
		n = other->n;
		unsorted = other->unsorted;
	}
	if (PG_ARGISNULL(0))
		state = state_create(state_context(fcinfo, site), site->spec, Max(n, ROWS_FIRST));
	else
	{
		state = (RowsState *) PG_GETARG_POINTER(0);
		rows_same_parameters(site, state->spec, site->spec);
	}
	PG_RETURN_POINTER(append_rows(state, rows, n, unsorted));
}
