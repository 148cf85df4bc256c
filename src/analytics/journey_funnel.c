/*
 * journey_funnel.c
 *		The aggregate journey_funnel_agg: how far journeys get in a pattern.
 *
 * A state is a bytea, so that it can be aggregated in part anywhere, another
 * server included; hence whatever comes from elsewhere is checked whole. It is
 * flat: a FunnelState, the entries of the steps' sketches of the time from the
 * step before (time_sketch.h), and the pattern's text. It is changed in place
 * as long as a step has room for another entry. One that has grown is made in
 * the current context; the executor moves it to the aggregate's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "analytics/funnel.h"
#include "analytics/time_sketch.h"
#include "block/block_candidates.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#define FUNNEL_STEP_COLUMNS 7

typedef struct FunnelStep
{
	uint64 reached;
	uint32 first; /* its entries begin here */
	uint32 n;     /* and are so many; the room ends where the next step's begins */
} FunnelStep;

typedef struct FunnelState
{
	int32 vl_len_;
	uint32 version;
	uint32 nsteps;
	uint32 text_len;
	uint64 journeys;
	FunnelStep steps[FLEXIBLE_ARRAY_MEMBER]; /* and one more, where the room ends */
} FunnelState;

static inline uint64
state_size(uint64 nsteps, uint64 entries, uint64 text_len)
{
	return offsetof(FunnelState, steps) + (nsteps + 1) * sizeof(FunnelStep) +
		   entries * sizeof(uint64) + text_len;
}

static inline uint64 *
step_entries(FunnelState *state, uint32 step)
{
	return (uint64 *) &state->steps[state->nsteps + 1] + state->steps[step].first;
}

static inline char *
state_text(FunnelState *state)
{
	return (char *) step_entries(state, state->nsteps);
}

static void
state_corrupt(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of journey_funnel_agg is corrupt"),
			 errdetail_internal("%s", what)));
}

/* A state argument, aligned; all that memory access relies on is checked. */
static FunnelState *
state_argument(Datum d)
{
	FunnelState *state = (FunnelState *) PG_DETOAST_DATUM(d);
	uint64 size = VARSIZE(state);
	FunnelStep *end;

	if (size < state_size(0, 0, 0))
		state_corrupt("It is too short.");
	if (state != (FunnelState *) MAXALIGN(state))
		state = memcpy(palloc(size), state, size);
	if (state->version == FUNNEL_PERIOD_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("journey_funnel_merge can't merge partial results by period"),
						errhint("Use journey_funnel_period_merge.")));
	if (state->version != FUNNEL_VERSION)
		state_corrupt("Its version is not known.");
	if (state->nsteps < 1 || state->nsteps > PATTERN_POSITIONS_MAX ||
		size < state_size(state->nsteps, 0, 0))
		state_corrupt("Its number of steps is impossible.");
	end = &state->steps[state->nsteps];
	if (size != state_size(state->nsteps, end->first, state->text_len))
		state_corrupt("Its length is not the sum of its parts.");
	for (FunnelStep *step = state->steps; step < end; step++)
		if (step[1].first < step->first || step[1].first - step->first > TIME_SKETCH_BUCKETS ||
			step->n > step[1].first - step->first)
			state_corrupt("A step has more entries than room.");
	if (state->steps[0].first != 0)
		state_corrupt("A step's entries are out of place.");
	return state;
}

static void
check_text(FunnelState *state)
{
	if (!pg_verifymbstr(state_text(state), state->text_len, true))
		state_corrupt("Its pattern's text is not valid in the server's encoding.");
}

/* Check all the rest of a state, and compile its pattern. */
static const CompiledPattern *
check_state(FunctionCallInfo fcinfo, FunnelState *state)
{
	const CompiledPattern *c;
	uint64 most = state->journeys;
	uint64 count;

	if (most > TIME_SKETCH_COUNT_MAX)
		state_corrupt("It has too many journeys.");
	for (uint32 i = 0; i < state->nsteps; i++)
	{
		if (state->steps[i].reached > most)
			state_corrupt("More journeys reach a step than the one before.");
		most = state->steps[i].reached;
		if (!time_sketch_valid(step_entries(state, i), state->steps[i].n, &count) || count > most ||
			(i == 0 && count > 0))
			state_corrupt("A step's times are impossible.");
	}
	check_text(state);
	c = pattern_compile((CompiledPattern **) &fcinfo->flinfo->fn_extra, fcinfo->flinfo->fn_mcxt,
						state_text(state), state->text_len);
	if (c->program->nitems != state->nsteps)
		state_corrupt("Its pattern has another number of steps.");
	return c;
}

static FunnelState *
state_create(const CompiledPattern *c)
{
	size_t size = state_size(c->program->nitems, 0, c->len);
	FunnelState *state = palloc0(size);

	SET_VARSIZE(state, size);
	state->version = FUNNEL_VERSION;
	state->nsteps = c->program->nitems;
	state->text_len = c->len;
	memcpy(state_text(state), c->text, c->len);
	return state;
}

/* The states of a group must be of one pattern. */
static void
same_pattern(FunnelState *state, const char *text, size_t len)
{
	if (likely(state->text_len == len && memcmp(state_text(state), text, len) == 0))
		return;
	check_text(state);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("journey_funnel_agg needs the same pattern for all rows of a group"),
					errdetail("Found \"%s\" and \"%s\".",
							  pnstrdup(state_text(state), state->text_len), pnstrdup(text, len)),
					errhint("Group by the pattern.")));
}

/* The state with more times added to a step's. */
static FunnelState *
add_times(FunnelState *state, uint32 i, const uint64 *more, uint32 nmore)
{
	FunnelStep *step = &state->steps[i];
	uint32 missing = time_sketch_missing(step_entries(state, i), step->n, more, nmore);
	uint32 room = step[1].first - step->first;

	if (room - step->n < missing)
	{
		/* twice as much, but no more than may be needed */
		uint32 added = Max(missing, Min(Max(room, 4), TIME_SKETCH_BUCKETS - room));
		size_t size = VARSIZE(state) + added * sizeof(uint64);
		size_t split = (char *) step_entries(state, i + 1) - (char *) state;
		FunnelState *grown = palloc0(size);

		memcpy(grown, state, split);
		memcpy((char *) grown + split + added * sizeof(uint64), (char *) state + split,
			   VARSIZE(state) - split);
		SET_VARSIZE(grown, size);
		for (uint32 k = i + 1; k <= grown->nsteps; k++)
			grown->steps[k].first += added;
		state = grown;
		step = &state->steps[i];
	}
	step->n = time_sketch_merge(step_entries(state, i), step->n, missing, more, nmore);
	return state;
}

void
funnel_complete_items(Match *match)
{
	uint32 n = 0;

	for (uint32 i = 0; i < match->n; i++)
	{
		/* an item is complete with its last touchpoint */
		if (i + 1 < match->n && match->items[i + 1].item == match->items[i].item)
			continue;
		match->touchpoints[n] = match->touchpoints[i];
		match->items[n++] = match->items[i];
	}
	match->n = n;
}

/* The state of a transition function, to be changed. */
static FunnelState *
transition_state(FunctionCallInfo fcinfo, const CompiledPattern *c)
{
	FunnelState *state = PG_ARGISNULL(0) ? state_create(c) : state_argument(PG_GETARG_DATUM(0));

	same_pattern(state, c->text, c->len);
	if (state->nsteps != c->program->nitems)
		state_corrupt("Its pattern has another number of steps.");
	return state;
}

/*
 * The state with a journey more, of which the matcher just told how far it gets; the match goes
 * to scratch.
 */
static FunnelState *
add_journey(FunnelState *state, Matcher *m, int reached, MemoryContext scratch)
{
	MemoryContext old;
	Match match;

	state->journeys++;
	for (int i = 0; i < reached; i++)
		state->steps[i].reached++;
	/* which touchpoints matters only where there is a time between two */
	if (reached < 2)
		return state;
	old = MemoryContextSwitchTo(scratch);
	matcher_progress_match(m, reached, &match);
	funnel_complete_items(&match);
	MemoryContextSwitchTo(old);
	for (uint32 i = 1; i < match.n; i++)
	{
		const MatchItem *here = &match.items[i];
		uint64 entry = time_sketch_entry(elapsed(here[-1].time, here->time));

		state = add_times(state, here->item - 1, &entry, 1);
	}
	return state;
}

PG_FUNCTION_INFO_V1(journey_funnel_agg_transfn);
Datum
journey_funnel_agg_transfn(PG_FUNCTION_ARGS)
{
	CompiledPattern *c;
	FunnelState *state;
	JourneyArg arg;
	Matcher *m;

	aggregate_context(fcinfo, "journey_funnel_agg");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return unchanged_state(fcinfo);
	c = pattern_argument((CompiledPattern **) &fcinfo->flinfo->fn_extra, fcinfo->flinfo->fn_mcxt,
						 PG_GETARG_DATUM(2));
	state = transition_state(fcinfo, c);
	journey_arg_open(&arg, PG_GETARG_DATUM(1));
	m = pattern_matcher(c, &arg.view);
	PG_RETURN_POINTER(
		add_journey(state, m, matcher_progress(m, NULL, false), CurrentMemoryContext));
}

/* What a call site keeps. */
typedef struct FunnelBlockSite
{
	CompiledPattern *pattern;
	BlockCandidates candidates;
} FunnelBlockSite;

PG_FUNCTION_INFO_V1(journey_funnel_agg_block_transfn);
Datum
journey_funnel_agg_block_transfn(PG_FUNCTION_ARGS)
{
	FunnelBlockSite *site = fcinfo->flinfo->fn_extra;
	BlockCandidates *b;
	FunnelState *state;
	MemoryContext scratch;
	uint64 journeys;

	aggregate_context(fcinfo, "journey_funnel_agg");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return unchanged_state(fcinfo);
	if (site == NULL)
		fcinfo->flinfo->fn_extra = site =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(FunnelBlockSite));
	pattern_argument(&site->pattern, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(2));
	b = &site->candidates;
	block_candidates_open(b, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(1), site->pattern, false,
						  BLOCK_TIMES);
	if (b->arg.view.n == 0)
		return unchanged_state(fcinfo);
	state = transition_state(fcinfo, site->pattern);
	journeys = state->journeys + b->arg.view.n;
	scratch = AllocSetContextCreate(CurrentMemoryContext, "match in a block", ALLOCSET_SMALL_SIZES);
	while (block_candidates_next(b))
	{
		bool sure;
		int reached = matcher_may_reach(b->matcher, &sure);

		if (!sure || reached > 1)
			block_candidates_read_on(b);
		if (!sure)
			reached = matcher_progress(b->matcher, NULL, false);
		state = add_journey(state, b->matcher, reached, scratch);
		if (reached > 1)
			MemoryContextReset(scratch);
	}
	for (int i = 0; i < b->alone_item; i++)
		state->steps[i].reached += b->alone;
	state->journeys = journeys;
	MemoryContextDelete(scratch);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(journey_funnel_agg_combinefn);
Datum
journey_funnel_agg_combinefn(PG_FUNCTION_ARGS)
{
	FunnelState *state;
	FunnelState *other;

	aggregate_context(fcinfo, "journey_funnel_agg");
	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = state_argument(PG_GETARG_DATUM(1));
	check_state(fcinfo, other);
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(other);
	state = state_argument(PG_GETARG_DATUM(0));
	same_pattern(state, state_text(other), other->text_len);
	check_state(fcinfo, state);
	state->journeys += other->journeys;
	for (uint32 i = 0; i < other->nsteps; i++)
	{
		CHECK_FOR_INTERRUPTS();
		state->steps[i].reached += other->steps[i].reached;
		state = add_times(state, i, step_entries(other, i), other->steps[i].n);
	}
	PG_RETURN_POINTER(state);
}

text *
funnel_step_label(const Pattern *pattern, int i)
{
	StringInfoData label;
	List *seen = NIL;
	ListCell *cell;

	initStringInfo(&label);
	for (int k = 0; k < pattern->nsequences; k++)
	{
		StringInfoData item;
		bool found = false;

		if (i >= pattern->sequences[k]->nitems)
			continue;
		initStringInfo(&item);
		item_print(&item, &pattern->sequences[k]->items[i]);
		foreach (cell, seen)
			found |= strcmp(lfirst(cell), item.data) == 0;
		if (found)
			continue;
		appendStringInfo(&label, "%s%s", seen == NIL ? "" : " | ", item.data);
		seen = lappend(seen, item.data);
	}
	return cstring_to_text_with_len(label.data, label.len);
}

PG_FUNCTION_INFO_V1(journey_funnel_agg_finalfn);
Datum
journey_funnel_agg_finalfn(PG_FUNCTION_ARGS)
{
	Oid type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	const CompiledPattern *c;
	FunnelState *state;
	TupleDesc desc;
	Datum *rows;

	aggregate_context(fcinfo, "journey_funnel_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = state_argument(PG_GETARG_DATUM(0));
	c = check_state(fcinfo, state);
	desc = lookup_rowtype_tupdesc(type, -1);
	if (desc->natts != FUNNEL_STEP_COLUMNS)
		elog(ERROR, "type funnel_step has %d columns", desc->natts);
	rows = palloc(state->nsteps * sizeof(Datum));
	for (uint32 i = 0; i < state->nsteps; i++)
	{
		const FunnelStep *step = &state->steps[i];
		uint64 before = step[i > 0 ? -1 : 0].reached;
		Datum values[FUNNEL_STEP_COLUMNS] = {0};
		bool nulls[FUNNEL_STEP_COLUMNS] = {false};

		values[0] = Int32GetDatum(i + 1);
		values[1] = PointerGetDatum(funnel_step_label(c->pattern, i));
		values[2] = Int64GetDatum(step->reached);
		nulls[3] = state->steps[0].reached == 0;
		if (!nulls[3])
			values[3] = Float8GetDatum((double) step->reached / state->steps[0].reached);
		nulls[4] = before == 0;
		if (!nulls[4])
			values[4] = Float8GetDatum((double) step->reached / before);
		nulls[5] = nulls[6] = step->n == 0;
		if (step->n > 0)
		{
			const uint64 *entries = step_entries(state, i);

			values[5] = usecs_interval(time_sketch_quantile(entries, step->n, 0.5));
			values[6] = usecs_interval(time_sketch_quantile(entries, step->n, 0.9));
		}
		rows[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, state->nsteps, type, -1, false, TYPALIGN_DOUBLE));
}
