/*
 * sequence.c
 *		SQL face of sequence_match, sequence_count and sequence_match_events, which
 *		share one state: asked for together, they read the rows once.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "rows/rows.h"
#include "rows/sequence_pattern.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Compile the pattern of a spec, so that it is an error even if no row meets a condition. */
static void
compile(RowsSpec *spec)
{
	MemoryContext old = MemoryContextSwitchTo(spec->cxt);
	Program *program;
	TextScan s;

	text_scan_init(&s, spec->parameters, spec->len);
	program = sequence_compile(&s, spec->nconditions);
	if (program == NULL)
		ereport(ERROR, (errcode(s.sqlerrcode),
						s.message ? errmsg_internal("%s", s.message)
								  : errmsg("invalid sequence pattern: \"%s\"",
										   text_excerpt(s.start, s.end, 100)),
						s.detail ? errdetail_internal("%s", s.detail) : 0,
						s.hint ? errhint("%s", s.hint) : 0));
	spec->matcher = matcher_create(program);
	spec->program = program;
	MemoryContextSwitchTo(old);
}

PG_FUNCTION_INFO_V1(sequence_transfn);
Datum
sequence_transfn(PG_FUNCTION_ARGS)
{
	RowsSite *site = rows_site(fcinfo, "sequence_match", 3, sizeof(RowsSite));
	text *pattern = rows_parameter(fcinfo, site, 1, "pattern");
	uint64 conditions = rows_conditions(fcinfo, site);

	if (unlikely(!rows_specified(site, VARDATA_ANY(pattern), VARSIZE_ANY_EXHDR(pattern))))
	{
		rows_specify(site, VARDATA_ANY(pattern), VARSIZE_ANY_EXHDR(pattern));
		if (site->spec->matcher == NULL)
			compile(site->spec);
	}
	if (conditions == 0)
		return unchanged_state(fcinfo);
	return rows_take(fcinfo, site, rows_time(fcinfo, site, 2), conditions);
}

/* The matcher of a state, turned to its rows; NULL if there are none. */
static Matcher *
open_state(FunctionCallInfo fcinfo, RowsState **state, MatchRow **rows, uint64 *work)
{
	RowsSpec *spec;

	aggregate_context(fcinfo, "sequence_match");
	if (PG_ARGISNULL(0))
		return NULL;
	*state = (RowsState *) PG_GETARG_POINTER(0);
	spec = (*state)->spec;
	if (spec->matcher == NULL)
		compile(spec);
	*rows = rows_sorted(*state);
	matcher_open_rows(spec->matcher, *rows, (*state)->n);
	*work = matcher_work(spec->matcher);
	return spec->matcher;
}

/*
 * Be done with a state's rows, of which there may be many and more aggregates to come.
 * Tests of the promise look at what is told: no pattern takes more than rows times links.
 */
static void
close_state(const char *aggregate, const RowsState *state, MatchRow *rows, uint64 work)
{
	if (message_level_is_interesting(DEBUG2))
		ereport(DEBUG2,
				(errmsg_internal("%s looked at " UINT64_FORMAT " ways between %u rows", aggregate,
								 matcher_work(state->spec->matcher) - work, state->n)));
	matcher_trim(state->spec->matcher);
	pfree(rows);
}

PG_FUNCTION_INFO_V1(sequence_match_finalfn);
Datum
sequence_match_finalfn(PG_FUNCTION_ARGS)
{
	RowsState *state;
	MatchRow *rows;
	uint64 work;
	Matcher *m = open_state(fcinfo, &state, &rows, &work);
	bool found;

	if (m == NULL)
		PG_RETURN_BOOL(false);
	found = matcher_exists(m);
	close_state("sequence_match", state, rows, work);
	PG_RETURN_BOOL(found);
}

PG_FUNCTION_INFO_V1(sequence_count_finalfn);
Datum
sequence_count_finalfn(PG_FUNCTION_ARGS)
{
	RowsState *state;
	MatchRow *rows;
	uint64 work;
	Matcher *m = open_state(fcinfo, &state, &rows, &work);
	int64 n = 0;

	if (m == NULL)
		PG_RETURN_INT64(0);
	while (matcher_next(m, NULL))
		n++;
	close_state("sequence_count", state, rows, work);
	PG_RETURN_INT64(n);
}

PG_FUNCTION_INFO_V1(sequence_match_events_finalfn);
Datum
sequence_match_events_finalfn(PG_FUNCTION_ARGS)
{
	RowsState *state;
	MatchRow *rows;
	uint64 work;
	Matcher *m = open_state(fcinfo, &state, &rows, &work);
	const Program *p;
	uint32 *found;
	Datum *times;
	int reached;
	int n = 0;

	if (m == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(TIMESTAMPTZOID));
	p = state->spec->program;
	found = palloc(p->npositions * sizeof(uint32));
	times = palloc(p->npositions * sizeof(Datum));
	reached = matcher_first_rows(m, found);
	for (int q = 0; q < reached; q++)
		if (p->row_conditions[p->positions[q].step] >= 0)
			times[n++] = TimestampTzGetDatum(rows[found[q]].time);
	close_state("sequence_match_events", state, rows, work);
	PG_RETURN_ARRAYTYPE_P(construct_array(times, n, TIMESTAMPTZOID, sizeof(TimestampTz),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
