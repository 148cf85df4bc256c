/*
 * rows.h
 *		What the aggregates over rows share: arguments, states, parallel plans.
 *
 * A state keeps the rows of a group that meet a condition in whatever order they
 * come, and they are put in order when the result is asked for. So the aggregates
 * need no ORDER BY, and partial states can be put together in any way. A row takes
 * 8 bytes and one for each 8 conditions: there may be millions of groups, and less
 * memory is fewer cache misses.
 */
#ifndef PGJ_ROWS_H
#define PGJ_ROWS_H

#include "pattern/match.h"

/* Conditions of one call: bits of a row. */
#define ROWS_CONDITIONS_MAX 64

/*
 * What an aggregate is called with beside rows: parameters, which must be the same
 * for all rows of a group. It belongs to a call site and outlives the states.
 */
typedef struct RowsSpec
{
	uint32 nconditions;
	uint32 row_size; /* in a state */
	uint32 len;
	char parameters[FLEXIBLE_ARRAY_MEMBER];
} RowsSpec;

/* What one call site keeps, in fn_extra. The aggregate is for errors. */
typedef struct RowsSite
{
	const char *aggregate;
	MemoryContext cxt;
	MemoryContext owner;      /* aggregate's context that has a state of this site, or NULL */
	MemoryContext states;     /* below it, for further ones */
	struct specs_hash *specs; /* all there were */
	RowsSpec *spec;           /* of the last row */
	int first;                /* argument that is a condition */
	bool array;               /* the conditions come as an array */
	int nconditions;
	uint64 untyped;                          /* conditions that are a bare NULL */
	char *(*describe)(const RowsSpec *spec); /* its parameters, for an error; or NULL */
} RowsSite;

/* A group's rows; in the aggregate's context. */
typedef struct RowsState
{
	RowsSpec *spec; /* NULL: it is a RowsPacked */
	uint32 n;
	uint32 max : 31;
	uint32 unsorted : 1;
	char rows[FLEXIBLE_ARRAY_MEMBER]; /* of each time and conditions, of row_size */
} RowsState;

/*
 * The site of this call; its conditions are the arguments from this one on. It is
 * the beginning of a struct of this size, the rest of which is zero at first.
 */
extern RowsSite *rows_site_create(FunctionCallInfo fcinfo, const char *aggregate, int first,
								  size_t size);

static inline RowsSite *
rows_site(FunctionCallInfo fcinfo, const char *aggregate, int first, size_t size)
{
	RowsSite *site = fcinfo->flinfo->fn_extra;

	return likely(site != NULL) ? site : rows_site_create(fcinfo, aggregate, first, size);
}

/* Which conditions this row meets, and (site->nconditions) of how many. */
extern uint64 rows_conditions_of_array(FunctionCallInfo fcinfo, RowsSite *site);
extern void rows_check_untyped(FunctionCallInfo fcinfo, const RowsSite *site);

static inline uint64
rows_conditions(FunctionCallInfo fcinfo, RowsSite *site)
{
	uint64 conditions = 0;

	if (unlikely(site->array))
		return rows_conditions_of_array(fcinfo, site);
	if (unlikely(site->untyped != 0))
		rows_check_untyped(fcinfo, site);
	for (int i = 0; i < site->nconditions; i++)
	{
		const NullableDatum *arg = &fcinfo->args[site->first + i];

		conditions |= (uint64) (!arg->isnull && (arg->value & 0xff) != 0) << i;
	}
	return conditions;
}

/* The spec of these parameters; site->spec is it from now on. Was it unknown? */
extern bool rows_specify(RowsSite *site, const void *parameters, uint32 len);

static inline bool
rows_specified(const RowsSite *site, const void *parameters, uint32 len)
{
	return site->spec && site->spec->nconditions == site->nconditions && site->spec->len == len &&
		   memcmp(site->spec->parameters, parameters, len) == 0;
}

/* Raise an error unless both are the same but for the call site. */
extern void rows_same_parameters(const RowsSite *site, const RowsSpec *a, const RowsSpec *b);

/* The time argument of a row that counts. */
extern int64 rows_time(FunctionCallInfo fcinfo, RowsSite *site, int arg);

/* Take a row into the state argument, which may be NULL still; returns the state. */
extern Datum rows_take(FunctionCallInfo fcinfo, RowsSite *site, int64 time, uint64 conditions);

/* Room for the rows of an ordinary group. */
#define ROWS_FEW 64

/* A state's rows in the order of time and then of conditions: in few, or palloc'd. */
extern MatchRow *rows_sorted(const RowsState *state, MatchRow *few);

/* Be done with them: there may be many, and more aggregates of the same group to come. */
static inline void
rows_free(MatchRow *rows, MatchRow *few)
{
	if (rows != few)
		pfree(rows);
}

/* An argument that says how to aggregate must not be NULL. */
extern text *rows_parameter(FunctionCallInfo fcinfo, const RowsSite *site, int arg,
							const char *what);

#endif /* PGJ_ROWS_H */
