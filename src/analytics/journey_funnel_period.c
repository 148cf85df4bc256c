/*
 * journey_funnel_period.c
 *		The aggregate journey_funnel_agg by period: how far attempts get in a pattern,
 *		counted in the period in which they begin.
 *
 * An attempt is a partial match, wherever it ends. Those of a journey that begin
 * in one period, with one text of the breakdown, make a group; the one of them that
 * gets farthest counts. The matcher is told at which touchpoints a match may begin,
 * a group at a time, and stops where no attempt of the group can get any farther.
 *
 * What a state is, funnel_period.h says. One that has grown is made in the current context; the
 * executor moves it to the aggregate's.
 */
#include "postgres.h"

#include "analytics/calendar.h"
#include "analytics/funnel.h"
#include "analytics/funnel_period.h"
#include "block/block_candidates.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Pattern, period, time zone and breakdown are the arguments with these numbers. */
static const int text_arguments[] = {2, 3, 4, 7};
#define PATTERN_TEXT 0
#define PERIOD_TEXT 1
#define ZONE_TEXT 2
#define BREAKDOWN_TEXT 3

/* Whether times are wanted, if there is such an argument: else they are. */
#define TIMES_ARGUMENT 8

/* What a call site keeps. */
typedef struct FunnelSite
{
	CompiledPattern *compiled;
	Calendar calendar;

	/* the arguments that the rest was made of */
	bool set;
	text *texts[lengthof(text_arguments)];
	TimestampTz range[2];
	bool times; /* between steps are wanted, too */

	uint32 unit;
	bool breaks_down;
	LabelPart part; /* if it does */
	uint64 asked;

	BlockCandidates candidates; /* journeys of a block in which an attempt may begin */
} FunnelSite;

/* A touchpoint at which an attempt begins. */
typedef struct Entry
{
	int32 period;
	uint32 value;
	uint32 i;
	int item;
} Entry;

/* Those of one period and text. */
typedef struct EntryGroup
{
	uint32 from; /* in the entries */
	uint32 n;
	uint32 first; /* touchpoint */
} EntryGroup;

/* ---- arguments ---- */

/* Take a call site's arguments, which are others than before. */
static void
site_set(FunctionCallInfo fcinfo, FunnelSite *site, text **texts, const TimestampTz *range,
		 bool times)
{
	MemoryContext old;

	site->set = false;
	pattern_argument(&site->compiled, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(2));
	if (range[0] > range[1])
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the range ends before it begins: from %s until %s",
							   pstrdup(timestamptz_to_str(range[0])),
							   pstrdup(timestamptz_to_str(range[1]))),
						errhint("Give the earlier time first.")));
	site->unit = UNIT_ALL;
	if (texts[PERIOD_TEXT] && !text_is(texts[PERIOD_TEXT], "all"))
	{
		CalendarUnit unit;

		if (!calendar_unit_find(VARDATA_ANY(texts[PERIOD_TEXT]),
								VARSIZE_ANY_EXHDR(texts[PERIOD_TEXT]), &unit))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("unknown period: \"%s\"", text_to_cstring(texts[PERIOD_TEXT])),
							errhint("Use day, week, month, quarter, year or all.")));
		if (texts[ZONE_TEXT] == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("time zone must not be null"),
					 errhint("Only the period \"all\" needs none.")));
		calendar_set(&site->calendar, texts[PERIOD_TEXT], texts[ZONE_TEXT]);
		site->unit = 1 + site->calendar.unit;
	}
	site->breaks_down = texts[BREAKDOWN_TEXT] != NULL;
	if (site->breaks_down)
		site->part = label_part_argument(PointerGetDatum(texts[BREAKDOWN_TEXT]));

	site->asked = hash_bytes_extended((const unsigned char *) range, sizeof(site->range), 0);
	memcpy(site->range, range, sizeof(site->range));
	site->times = times;
	if (!times)
		site->asked = hash_combine64(site->asked, 1);
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	for (int i = 0; i < lengthof(text_arguments); i++)
	{
		const text *t = texts[i];
		uint64 hash = 0;

		if (site->texts[i])
			pfree(site->texts[i]);
		site->texts[i] = t ? cstring_to_text_with_len(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)) : NULL;
		/* how a single period is called and in what zone it lies makes no difference */
		if (t && (site->unit != UNIT_ALL || (i != PERIOD_TEXT && i != ZONE_TEXT)))
			hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t),
									   1);
		site->asked = hash_combine64(site->asked, hash);
	}
	MemoryContextSwitchTo(old);
	site->set = true;
}

/* This call's, which knows what is asked for; cheap if that is the same as before. */
static FunnelSite *
call_site(FunctionCallInfo fcinfo)
{
	FunnelSite *site = fcinfo->flinfo->fn_extra;
	text *texts[lengthof(text_arguments)];
	TimestampTz range[2];
	bool times = PG_NARGS() <= TIMES_ARGUMENT || PG_ARGISNULL(TIMES_ARGUMENT) ||
				 PG_GETARG_BOOL(TIMES_ARGUMENT);
	bool same;

	if (unlikely(site == NULL))
		fcinfo->flinfo->fn_extra = site =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(FunnelSite));
	range[0] = PG_ARGISNULL(5) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(5);
	range[1] = PG_ARGISNULL(6) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(6);
	same = site->set && site->range[0] == range[0] && site->range[1] == range[1] &&
		   site->times == times;
	for (int i = 0; i < lengthof(text_arguments); i++)
	{
		int argument = text_arguments[i];

		texts[i] = PG_ARGISNULL(argument) ? NULL : short_text_argument(PG_GETARG_DATUM(argument));
		same = same && same_text(site->texts[i], texts[i]);
	}
	if (unlikely(!same))
		site_set(fcinfo, site, texts, range, times);
	return site;
}

static PeriodFunnelState *
state_start(const FunnelSite *site)
{
	PeriodFunnelState *state = funnel_state_start(site->compiled);

	state->asked = site->asked;
	state->unit = site->unit;
	return state;
}

/* ---- one journey ---- */

static inline int
group_cmp(const Entry *a, const Entry *b)
{
	if (a->period != b->period)
		return a->period < b->period ? -1 : 1;
	return a->value < b->value ? -1 : a->value > b->value;
}

static inline int
entry_cmp(const Entry *a, const Entry *b)
{
	int cmp = group_cmp(a, b);

	return cmp != 0 ? cmp : a->i < b->i ? -1 : a->i > b->i;
}

#define ST_SORT sort_entries
#define ST_ELEMENT_TYPE Entry
#define ST_COMPARE(a, b) entry_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_groups
#define ST_ELEMENT_TYPE EntryGroup
#define ST_COMPARE(a, b) ((a)->first < (b)->first ? -1 : (a)->first > (b)->first)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* A call of a transition function. */
typedef struct FunnelCall
{
	FunnelSite *site;
	MemoryContext cxt; /* for what outlasts the journey at hand: a state, and what follows */
	int64 *latest;     /* scratch, for each step and before the first */

	/* of each label of the dictionary, once a touchpoint is counted for its text */
	Datum *texts;
	uint32 *places; /* in the state; TEXT_ALIGN - 1: not known yet */
} FunnelCall;

/* The place in the state of the breakdown's text of a label. */
static uint32
label_place(FunnelCall *call, PeriodFunnelState **state, const JourneyView *v, uint32 label)
{
	const text *t;

	if (call->texts == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(call->cxt);

		call->places = palloc_extended(v->nlabels * sizeof(uint32), MCXT_ALLOC_HUGE);
		call->texts = label_texts(v, call->site->part);
		for (uint32 i = 0; i < v->nlabels; i++)
			call->places[i] = call->texts[i] == 0 ? 0 : TEXT_ALIGN - 1;
		MemoryContextSwitchTo(old);
	}
	t = (const text *) DatumGetPointer(call->texts[label]);
	if (call->places[label] == TEXT_ALIGN - 1)
		call->places[label] = funnel_text_place(state, call->cxt, VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
	return call->places[label];
}

/* Of the touchpoints at which an attempt begins, those in the range; by group, and in their order. */
static uint32
find_entries(FunnelCall *call, PeriodFunnelState **state, const JourneyView *v,
			 const MatchStart *starts, uint32 n, Entry *entries)
{
	FunnelSite *site = call->site;
	bool sorted = true;
	uint32 nentries = 0;
	int32 period = 0; /* of times from one up to another */
	int64 from = 0;
	int64 to = 0;

	for (uint32 s = 0; s < n; s++)
	{
		Entry *entry = &entries[nentries];

		if (s % BUILDER_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (starts[s].time < site->range[0] || starts[s].time >= site->range[1])
			continue;
		*entry = (Entry) {.i = starts[s].i, .item = starts[s].item};
		if (site->unit != UNIT_ALL && (starts[s].time < from || starts[s].time >= to))
			period = calendar_stretch(&site->calendar, starts[s].time, &from, &to);
		entry->period = period;
		if (site->breaks_down)
			entry->value = label_place(call, state, v, journey_label_at(v, starts[s].i));
		if (nentries > 0 && group_cmp(&entry[-1], entry) > 0)
			sorted = false;
		nentries++;
	}
	if (!sorted)
		sort_entries(entries, nentries);
	return nentries;
}

static PeriodFunnelState *
add_group(const FunnelCall *call, PeriodFunnelState *state, Matcher *m, const Entry *entries,
		  uint32 n, const int64 *latest, uint32 *numbers)
{
	int32 period = entries->period;
	uint32 value = entries->value;
	int reached = state->nsteps;
	bool at_once = false;
	Match match = {0};

	while (reached > 0 && latest[reached] < entries->i)
		reached--;
	if (reached == 0)
		return state;
	for (uint32 e = 0; e < n; e++)
	{
		numbers[e] = entries[e].i;
		at_once |= entries[e].item > 0;
	}
	if (reached > 1 || !at_once)
		reached = matcher_progress_from(m, numbers, n, reached, &match);
	if (!call->site->times)
		match.n = 0;
	if (match.n > 0)
		funnel_complete_items(&match);
	state = funnel_make_room(state, call->cxt, (uint64) reached + match.n, 0, 0);
	for (int step = 1; step <= reached; step++)
		funnel_count(state, period, value, step, 0, 1);
	for (uint32 i = 1; i < match.n; i++)
	{
		const MatchItem *here = &match.items[i];

		funnel_count(state, period, value, here->item,
			  1 + time_sketch_bucket(time_sketch_entry(elapsed(here[-1].time, here->time))), 1);
	}
	return state;
}

/*
 * The state with a journey more, to which the matcher is turned; what does not outlast it is
 * allocated in the current context.
 */
static PeriodFunnelState *
add_journey(FunnelCall *call, PeriodFunnelState *state, const JourneyView *v, Matcher *m)
{
	const TimestampTz *range = call->site->range;
	int64 *latest = call->latest;
	MatchStart *starts;
	Entry *entries;
	EntryGroup *groups;
	uint32 *numbers;
	uint32 n;
	uint32 ngroups = 0;
	bool sorted = true;

	/* a journey outside the range begins nothing in it */
	if (v->n == 0 || v->last < range[0] || v->first >= range[1])
		return state;
	n = matcher_starts(m, &starts, latest);
	if (n == 0)
		return state;
	if (n == 1)
	{
		Entry entry;
		uint32 number;

		if (find_entries(call, &state, v, starts, 1, &entry) == 1)
			state = add_group(call, state, m, &entry, 1, latest, &number);
		return state;
	}
	entries = palloc_extended(n * sizeof(Entry), MCXT_ALLOC_HUGE);
	n = find_entries(call, &state, v, starts, n, entries);
	groups = palloc_extended(Max(n, 1) * sizeof(EntryGroup), MCXT_ALLOC_HUGE);
	numbers = palloc_extended(Max(n, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 e = 0; e < n; e++)
	{
		if (e == 0 || group_cmp(&entries[e - 1], &entries[e]) != 0)
		{
			groups[ngroups] = (EntryGroup) {.from = e, .first = entries[e].i};
			sorted &= ngroups == 0 || groups[ngroups - 1].first < entries[e].i;
			ngroups++;
		}
		groups[ngroups - 1].n++;
	}
	if (!sorted)
		sort_groups(groups, ngroups);
	for (uint32 g = 0; g < ngroups; g++)
		state = add_group(call, state, m, &entries[groups[g].from], groups[g].n, latest, numbers);
	return state;
}

/* The state of a transition function, to be changed; what the call needs for it. */
static PeriodFunnelState *
transition_state(FunctionCallInfo fcinfo, FunnelCall *call)
{
	const FunnelSite *site = call->site;
	PeriodFunnelState *state =
		PG_ARGISNULL(0) ? state_start(site) : funnel_state_argument(PG_GETARG_DATUM(0));

	funnel_same_asked(state, site->asked);
	if (state->nsteps != site->compiled->program->nitems)
		funnel_corrupt("Its pattern has another number of steps.");
	call->latest = palloc((state->nsteps + 1) * sizeof(int64));
	return state;
}

/* Do all attempts count together, whenever they begin, but for what they begin with? */
static bool
is_timeless(const FunnelSite *site)
{
	return site->unit == UNIT_ALL && TIMESTAMP_IS_NOBEGIN(site->range[0]) &&
		   TIMESTAMP_IS_NOEND(site->range[1]);
}

PG_FUNCTION_INFO_V1(journey_funnel_period_agg_transfn);
Datum
journey_funnel_period_agg_transfn(PG_FUNCTION_ARGS)
{
	PeriodFunnelState *state;
	FunnelCall call;
	JourneyArg arg;

	aggregate_context(fcinfo, "journey_funnel_agg");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return unchanged_state(fcinfo);
	call = (FunnelCall) {.site = call_site(fcinfo), .cxt = CurrentMemoryContext};
	state = transition_state(fcinfo, &call);
	journey_arg_open(&arg, PG_GETARG_DATUM(1));
	PG_RETURN_POINTER(
		add_journey(&call, state, &arg.view, pattern_matcher(call.site->compiled, &arg.view)));
}

/* Journeys that are counted by their label and what they reach, together, have so many counts at most. */
#define TALLIES_MAX 0x10000

/* Of a block: journeys whose times make no difference, by the breakdown's label and the last step reached. */
typedef struct BlockTally
{
	bool alone;  /* of those in which nothing may follow a start */
	bool others; /* and of all others, for no times are wanted */
	bool breaks_down;
	uint32 nlabels;
	uint32 nsteps;
	uint32 *journeys; /* NULL: none are */
} BlockTally;

/* Of several starts that count together one is as good as another. */
static void
tally_start(BlockTally *t, const FunnelSite *site, const BlockCandidates *b)
{
	*t = (BlockTally) {.breaks_down = site->breaks_down};
	if (!is_timeless(site) || (t->breaks_down && !b->wanted.first))
		return;
	t->nlabels = t->breaks_down ? b->arg.view.shared.nlabels : 1;
	t->nsteps = site->times ? 1 : site->compiled->program->nitems;
	if (t->nlabels > TALLIES_MAX / t->nsteps)
		return;
	t->alone = b->wanted.alone == 1;
	t->others = !site->times;
	t->journeys = palloc0(Max(t->nlabels, 1) * t->nsteps * sizeof(uint32));
}

/* Count the candidate, if it can be counted here. */
static bool
tally_candidate(BlockTally *t, FunnelCall *call, PeriodFunnelState **state, BlockCandidates *b)
{
	uint32 label = t->breaks_down ? journey_label_at(&b->journey, 0) : 0;
	int reached = 1;

	if (!t->others && (!t->alone || b->follows))
		return false;
	if (!t->alone || b->follows)
	{
		bool sure;

		reached = matcher_may_reach(b->matcher, &sure);
		if (!sure)
		{
			block_candidates_read_on(b);
			reached = matcher_progress(b->matcher, NULL, false);
		}
		if (reached == 0)
			return true;
	}
	if (t->breaks_down)
		label_place(call, state, &b->journey, label);
	t->journeys[label * t->nsteps + reached - 1]++;
	return true;
}

static PeriodFunnelState *
tally_end(const BlockTally *t, const FunnelCall *call, PeriodFunnelState *state)
{
	for (uint32 label = 0; label < t->nlabels; label++)
	{
		uint64 journeys = 0;

		CHECK_FOR_INTERRUPTS();
		for (uint32 step = t->nsteps; step > 0; step--)
		{
			journeys += t->journeys[label * t->nsteps + step - 1];
			if (journeys == 0)
				continue;
			state = funnel_make_room(state, call->cxt, 1, 0, 0);
			funnel_count(state, 0, t->breaks_down ? call->places[label] : 0, step, 0, journeys);
		}
	}
	return state;
}

PG_FUNCTION_INFO_V1(journey_funnel_period_agg_block_transfn);
Datum
journey_funnel_period_agg_block_transfn(PG_FUNCTION_ARGS)
{
	PeriodFunnelState *state;
	FunnelCall call;
	MemoryContext scratch;
	BlockCandidates *b;
	BlockTally tally;

	aggregate_context(fcinfo, "journey_funnel_agg");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return unchanged_state(fcinfo);
	call = (FunnelCall) {.site = call_site(fcinfo), .cxt = CurrentMemoryContext};
	b = &call.site->candidates;
	block_candidates_open(b, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(1), call.site->compiled,
						  false, BLOCK_TIMES);
	if (b->arg.view.n == 0)
		return unchanged_state(fcinfo);
	/* where an attempt begins counts, whether it gets any farther or not */
	if (b->wanted.alone > 0)
		b->single = true;
	state = transition_state(fcinfo, &call);
	tally_start(&tally, call.site, b);
	scratch = AllocSetContextCreate(call.cxt, "journey of a block", ALLOCSET_DEFAULT_SIZES);
	while (block_candidates_next(b))
	{
		if (tally.journeys && tally_candidate(&tally, &call, &state, b))
			continue;
		block_candidates_read_on(b);
		MemoryContextSwitchTo(scratch);
		state = add_journey(&call, state, &b->journey, b->matcher);
		MemoryContextSwitchTo(call.cxt);
		MemoryContextReset(scratch);
	}
	MemoryContextDelete(scratch);
	if (tally.journeys)
		state = tally_end(&tally, &call, state);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(journey_funnel_period_agg_combinefn);
Datum
journey_funnel_period_agg_combinefn(PG_FUNCTION_ARGS)
{
	PeriodFunnelState *state;
	PeriodFunnelState *other;
	const CompiledPattern *c;

	aggregate_context(fcinfo, "journey_funnel_agg");
	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = funnel_whole_argument(PG_GETARG_DATUM(1), fcinfo, &c);
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(other);
	state = funnel_state_argument(PG_GETARG_DATUM(0));
	funnel_same_asked(state, other->asked);
	if (state->nsteps != other->nsteps || state->unit != other->unit)
		funnel_corrupt("Its pattern has another number of steps.");
	/* for all at once, as in the order of their hash they would crowd a small table's beginning */
	state = funnel_make_room(state, CurrentMemoryContext, other->n, other->nvalues, other->texts_len);
	for (uint32 i = 0; i < other->room; i++)
	{
		const FunnelCell *cell = &other->cells[i];
		uint32 value = 0;

		CHECK_FOR_INTERRUPTS();
		if (cell->count == 0)
			continue;
		if (cell->value != 0)
		{
			uint32 len;
			const char *text = funnel_text_at(other, cell->value, &len);

			value = funnel_text_place(&state, CurrentMemoryContext, text, len);
		}
		funnel_count(state, cell->period, value, cell->step, cell->bucket, cell->count);
	}
	PG_RETURN_POINTER(state);
}
