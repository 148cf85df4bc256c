/*
 * funnel_period_rows.c
 *		What journey_funnel_agg by period tells: its final function.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "analytics/calendar.h"
#include "analytics/funnel.h"
#include "analytics/funnel_period.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#define FUNNEL_PERIOD_STEP_COLUMNS 9

static int
value_cmp(PeriodFunnelState *state, uint32 a, uint32 b)
{
	const char *text;
	const char *other;
	uint32 len;
	uint32 other_len;

	if (a == b)
		return 0;
	if (a == 0 || b == 0)
		return a == 0 ? -1 : 1;
	text = funnel_text_at(state, a, &len);
	other = funnel_text_at(state, b, &other_len);
	return label_bytes_cmp(text, len, other, other_len);
}

static int
cell_cmp(const FunnelCell *a, const FunnelCell *b, PeriodFunnelState *state)
{
	int cmp;

	if (a->period != b->period)
		return a->period < b->period ? -1 : 1;
	cmp = value_cmp(state, a->value, b->value);
	if (cmp != 0)
		return cmp;
	if (a->step != b->step)
		return a->step < b->step ? -1 : 1;
	return a->bucket < b->bucket ? -1 : a->bucket > b->bucket;
}

#define ST_SORT sort_cells
#define ST_ELEMENT_TYPE FunnelCell
#define ST_COMPARE_ARG_TYPE PeriodFunnelState
#define ST_COMPARE(a, b, state) cell_cmp(a, b, state)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* What is told of all groups alike. */
typedef struct Telling
{
	PeriodFunnelState *state;
	TupleDesc desc;
	text **labels; /* of each step */
	uint64 *times; /* scratch: a time sketch */
} Telling;

/*
 * A row for each step of the group whose cells, in their order, begin here and end
 * before "end" at the latest; where they end.
 */
static const FunnelCell *
tell_group(const Telling *telling, const FunnelCell *cell, const FunnelCell *end, Datum *rows)
{
	PeriodFunnelState *state = telling->state;
	const FunnelCell *group = cell;
	uint64 first = 0;
	uint64 before = 0;

	for (int step = 1; step <= state->nsteps; step++)
	{
		Datum values[FUNNEL_PERIOD_STEP_COLUMNS] = {0};
		bool nulls[FUNNEL_PERIOD_STEP_COLUMNS] = {false};
		uint64 reached = 0;
		uint64 timed = 0;
		uint32 n = 0;

		for (; cell < end && cell->period == group->period && cell->step == step &&
			   value_cmp(state, cell->value, group->value) == 0;
			 cell++)
		{
			if (cell > group && cell_cmp(cell - 1, cell, state) == 0)
				funnel_corrupt("It has a cell twice.");
			if (cell->bucket == 0)
				reached = cell->count;
			else
			{
				telling->times[n++] = time_sketch_entry_of(cell->bucket - 1, cell->count);
				timed += cell->count;
			}
		}
		if (step == 1)
			first = before = reached;
		if (first == 0 || reached > before)
			funnel_corrupt("More journeys reach a step than the one before.");
		if (timed > reached || (step == 1 && timed > 0))
			funnel_corrupt("A step's times are impossible.");
		nulls[0] = state->unit == UNIT_ALL;
		if (!nulls[0])
			values[0] = DateADTGetDatum(calendar_date(state->unit - 1, group->period));
		nulls[1] = group->value == 0;
		if (!nulls[1])
		{
			uint32 len;
			const char *text = funnel_text_at(state, group->value, &len);

			values[1] = PointerGetDatum(cstring_to_text_with_len(text, len));
		}
		values[2] = Int32GetDatum(step);
		values[3] = PointerGetDatum(telling->labels[step - 1]);
		values[4] = Int64GetDatum(reached);
		values[5] = Float8GetDatum((double) reached / first);
		nulls[6] = before == 0;
		if (!nulls[6])
			values[6] = Float8GetDatum((double) reached / before);
		nulls[7] = nulls[8] = n == 0;
		if (n > 0)
		{
			values[7] = usecs_interval(time_sketch_quantile(telling->times, n, 0.5));
			values[8] = usecs_interval(time_sketch_quantile(telling->times, n, 0.9));
		}
		rows[step - 1] = HeapTupleGetDatum(heap_form_tuple(telling->desc, values, nulls));
		before = reached;
	}
	return cell;
}

PG_FUNCTION_INFO_V1(journey_funnel_period_agg_finalfn);
Datum
journey_funnel_period_agg_finalfn(PG_FUNCTION_ARGS)
{
	Oid type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	const CompiledPattern *c;
	Telling telling;
	PeriodFunnelState *state;
	FunnelCell *cells;
	const FunnelCell *end;
	Datum *rows;
	uint64 ngroups = 0;
	uint32 n = 0;

	aggregate_context(fcinfo, "journey_funnel_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = funnel_whole_argument(PG_GETARG_DATUM(0), fcinfo, &c);
	cells = palloc_extended(Max(state->n, 1) * sizeof(FunnelCell), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < state->room; i++)
		if (state->cells[i].count > 0)
			cells[n++] = state->cells[i];
	sort_cells(cells, n, state);
	for (uint32 i = 0; i < n; i++)
		ngroups += cells[i].step == 1 && cells[i].bucket == 0;
	if (ngroups > MaxAllocSize / sizeof(Datum) / state->nsteps)
		funnel_too_many();
	telling.state = state;
	telling.desc = lookup_rowtype_tupdesc(type, -1);
	if (telling.desc->natts != FUNNEL_PERIOD_STEP_COLUMNS)
		elog(ERROR, "type funnel_period_step has %d columns", telling.desc->natts);
	telling.labels = palloc(state->nsteps * sizeof(text *));
	for (int step = 0; step < state->nsteps; step++)
		telling.labels[step] = funnel_step_label(c->pattern, step);
	telling.times = palloc(TIME_SKETCH_BUCKETS * sizeof(uint64));
	rows = palloc(Max(ngroups, 1) * state->nsteps * sizeof(Datum));
	end = cells + n;
	ngroups = 0;
	for (const FunnelCell *cell = cells; cell < end; ngroups++)
	{
		CHECK_FOR_INTERRUPTS();
		if (cell->step != 1 || cell->bucket != 0)
			funnel_corrupt("More journeys reach a step than the one before.");
		cell = tell_group(&telling, cell, end, &rows[ngroups * state->nsteps]);
	}
	ReleaseTupleDesc(telling.desc);
	PG_RETURN_ARRAYTYPE_P(
		construct_array(rows, ngroups * state->nsteps, type, -1, false, TYPALIGN_DOUBLE));
}
