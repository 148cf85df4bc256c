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

/* What a call site of a final function keeps. */
typedef struct SequenceSite
{
	MemoryContext cxt; /* holds what follows */
	const RowsSpec *spec;
	Program *program;
	Matcher *matcher;
} SequenceSite;

/* The program of a spec's pattern, in the current context. */
static Program *
compile(const RowsSpec *spec)
{
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
	return program;
}

static char *
describe(const RowsSpec *spec)
{
	return pnstrdup(spec->parameters, spec->len);
}

PG_FUNCTION_INFO_V1(sequence_transfn);
Datum
sequence_transfn(PG_FUNCTION_ARGS)
{
	RowsSite *site = rows_site(fcinfo, "sequence_match", 3, sizeof(RowsSite));
	text *pattern = rows_parameter(fcinfo, site, 1, "pattern");
	uint64 conditions = rows_conditions(fcinfo, site);

	site->describe = describe;
	/* a pattern that is none is an error even if no row meets a condition */
	if (unlikely(!rows_specified(site, VARDATA_ANY(pattern), VARSIZE_ANY_EXHDR(pattern))) &&
		rows_specify(site, VARDATA_ANY(pattern), VARSIZE_ANY_EXHDR(pattern)))
		compile(site->spec);
	if (conditions == 0)
		return unchanged_state(fcinfo);
	return rows_take(fcinfo, site, rows_time(fcinfo, site, 2), conditions);
}

/* The matcher of a state, turned to its rows; NULL if there are none. */
static SequenceSite *
open_state(FunctionCallInfo fcinfo, const char *aggregate, const RowsState **state, MatchRow *few,
		   MatchRow **rows)
{
	SequenceSite *site = fcinfo->flinfo->fn_extra;

	aggregate_context(fcinfo, aggregate);
	if (PG_ARGISNULL(0))
		return NULL;
	*state = (const RowsState *) PG_GETARG_POINTER(0);
	if (site == NULL)
	{
		site = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(SequenceSite));
		site->cxt = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "sequence pattern",
										  ALLOCSET_SMALL_SIZES);
		fcinfo->flinfo->fn_extra = site;
	}
	if (site->spec != (*state)->spec)
	{
		MemoryContext old = MemoryContextSwitchTo(site->cxt);

		site->spec = NULL;
		MemoryContextReset(site->cxt);
		site->program = compile((*state)->spec);
		site->matcher = site->program->npositions > 0 ? matcher_create(site->program) : NULL;
		site->spec = (*state)->spec;
		MemoryContextSwitchTo(old);
	}
	*rows = rows_sorted(*state, few);
	if (site->matcher)
		matcher_open_rows(site->matcher, *rows, (*state)->n);
	return site;
}

/* What tests of the promise look at: no pattern takes more than rows times links. */
static void
tell_work(const char *aggregate, const SequenceSite *site, uint32 n)
{
	if (message_level_is_interesting(DEBUG2))
		ereport(DEBUG2, (errmsg_internal("%s looked at " UINT64_FORMAT " ways between %u rows",
										 aggregate, matcher_work(site->matcher), n)));
}

PG_FUNCTION_INFO_V1(sequence_match_finalfn);
Datum
sequence_match_finalfn(PG_FUNCTION_ARGS)
{
	const RowsState *state;
	MatchRow few[ROWS_FEW];
	MatchRow *rows = few;
	SequenceSite *site = open_state(fcinfo, "sequence_match", &state, few, &rows);
	bool found;

	if (site == NULL)
		PG_RETURN_BOOL(false);
	if (site->matcher == NULL)
		PG_RETURN_BOOL(true);
	found = matcher_exists(site->matcher);
	tell_work("sequence_match", site, state->n);
	rows_free(rows, few);
	PG_RETURN_BOOL(found);
}

PG_FUNCTION_INFO_V1(sequence_count_finalfn);
Datum
sequence_count_finalfn(PG_FUNCTION_ARGS)
{
	const RowsState *state;
	MatchRow few[ROWS_FEW];
	MatchRow *rows = few;
	SequenceSite *site = open_state(fcinfo, "sequence_count", &state, few, &rows);
	int64 n = 0;

	if (site == NULL)
		PG_RETURN_INT64(0);
	if (site->matcher == NULL)
		PG_RETURN_INT64(state->n);
	while (matcher_next(site->matcher, NULL))
		n++;
	tell_work("sequence_count", site, state->n);
	rows_free(rows, few);
	PG_RETURN_INT64(n);
}

PG_FUNCTION_INFO_V1(sequence_match_events_finalfn);
Datum
sequence_match_events_finalfn(PG_FUNCTION_ARGS)
{
	const RowsState *state;
	MatchRow few[ROWS_FEW];
	MatchRow *rows = few;
	SequenceSite *site = open_state(fcinfo, "sequence_match_events", &state, few, &rows);
	const Program *p;
	uint32 *found;
	Datum *times;
	int reached;
	int n = 0;

	if (site == NULL || site->matcher == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(TIMESTAMPTZOID));
	p = site->program;
	found = palloc(p->npositions * sizeof(uint32));
	times = palloc(p->npositions * sizeof(Datum));
	reached = matcher_first_rows(site->matcher, found);
	tell_work("sequence_match_events", site, state->n);
	for (int q = 0; q < reached; q++)
		if (p->row_conditions[p->positions[q].step] >= 0)
			times[n++] = TimestampTzGetDatum(rows[found[q]].time);
	rows_free(rows, few);
	PG_RETURN_ARRAYTYPE_P(construct_array(times, n, TIMESTAMPTZOID, sizeof(TimestampTz),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
