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
 * A state is a bytea, so that it can be aggregated in part anywhere, another
 * server included; hence whatever comes from elsewhere is checked whole. It is
 * flat: a hash table with open addressing of counts, another one of where the
 * breakdown's texts stand, and the texts, of which the pattern's is the first. It
 * is changed in place as long as there is room. One that has grown is made in the
 * current context; the executor moves it to the aggregate's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "analytics/calendar.h"
#include "analytics/funnel.h"
#include "analytics/time_sketch.h"
#include "block/block_candidates.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
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

/* Differs from itself on a machine with another byte order, too. */
#define FUNNEL_VERSION 0x46500001

#define FUNNEL_PERIOD_STEP_COLUMNS 9

#define ROOM_MIN 8
#define ROOM_MAX (1 << 25) /* what fits in a value */
#define SLOTS_MIN 8
#define SLOTS_MAX (1 << 24)

/* Texts begin at such places. */
#define TEXT_ALIGN 4

/* A state's unit where there is one period alone; else it is 1 + the calendar's. */
#define UNIT_ALL 0

/* How many journeys of a group reach a step, or did so in a time of this bucket. */
typedef struct FunnelCell
{
	int32 period;
	uint32 value;  /* where the breakdown's text stands; 0: there is none */
	uint16 step;   /* from 1 */
	uint16 bucket; /* 0: any time; else 1 + the bucket in a time sketch */
	uint32 unused;
	uint64 count; /* 0 where there is no cell */
} FunnelCell;

typedef struct PeriodFunnelState
{
	int32 vl_len_;
	uint32 version;
	uint64 asked; /* hash of all arguments but the journey */
	uint32 unit;
	uint32 nsteps;
	uint32 n;          /* cells */
	uint32 room;       /* for them, a power of two; a quarter of it remains empty */
	uint32 nvalues;    /* texts of the breakdown */
	uint32 slots;      /* for where they stand, a power of two; a quarter of it remains empty */
	uint32 texts_len;  /* bytes of all texts, each with its length before it */
	uint32 texts_room; /* for them */
	FunnelCell cells[FLEXIBLE_ARRAY_MEMBER]; /* and then slots, and then texts */
} PeriodFunnelState;

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

static void
state_corrupt(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of journey_funnel_agg is corrupt"),
			 errdetail_internal("%s", what)));
}

static inline uint64
state_size(uint64 room, uint64 slots, uint64 texts_room)
{
	return offsetof(PeriodFunnelState, cells) + room * sizeof(FunnelCell) + slots * sizeof(uint32) +
		   texts_room;
}

static inline uint64
most_of(uint32 room)
{
	return room - room / 4;
}

static inline uint32 *
state_slots(PeriodFunnelState *state)
{
	return (uint32 *) &state->cells[state->room];
}

static inline char *
state_texts(PeriodFunnelState *state)
{
	return (char *) (state_slots(state) + state->slots);
}

/* The text that stands at a place. */
static inline const char *
text_at(PeriodFunnelState *state, uint32 at, uint32 *len)
{
	if (at % TEXT_ALIGN != 0 || at > state->texts_len || state->texts_len - at < sizeof(uint32))
		state_corrupt("A text is out of place.");
	memcpy(len, state_texts(state) + at, sizeof(uint32));
	at += sizeof(uint32);
	if (*len > state->texts_len - at)
		state_corrupt("A text is out of place.");
	return state_texts(state) + at;
}

/* A state argument, aligned; all that memory access relies on is checked, but for places of texts. */
static PeriodFunnelState *
state_argument(Datum d)
{
	PeriodFunnelState *state = (PeriodFunnelState *) PG_DETOAST_DATUM(d);
	uint64 size = VARSIZE(state);

	if (size < state_size(0, 0, 0))
		state_corrupt("It is too short.");
	if (state != (PeriodFunnelState *) MAXALIGN(state))
		state = memcpy(palloc(size), state, size);
	if (state->version != FUNNEL_VERSION)
		state_corrupt("Its version is not known.");
	if (state->room < ROOM_MIN || state->room > ROOM_MAX ||
		(state->room & (state->room - 1)) != 0 || state->n > most_of(state->room) ||
		state->slots < SLOTS_MIN || state->slots > SLOTS_MAX ||
		(state->slots & (state->slots - 1)) != 0 || state->nvalues > most_of(state->slots) ||
		size != state_size(state->room, state->slots, state->texts_room) ||
		state->texts_len > state->texts_room || state->texts_len % TEXT_ALIGN != 0)
		state_corrupt("Its size is impossible.");
	if (state->nsteps < 1 || state->nsteps > PATTERN_POSITIONS_MAX)
		state_corrupt("Its number of steps is impossible.");
	return state;
}

/* A state argument with all checked but what only the order of cells tells; and its pattern. */
static PeriodFunnelState *
whole_state_argument(Datum d, FunctionCallInfo fcinfo, const CompiledPattern **c)
{
	PeriodFunnelState *state = state_argument(d);
	uint32 n = 0;
	uint32 len;
	const char *text = text_at(state, 0, &len);

	if (state->unit > CALENDAR_UNITS)
		state_corrupt("Its unit of time is not known.");
	if (!pg_verifymbstr(text, len, true))
		state_corrupt("Its pattern's text is not valid in the server's encoding.");
	*c = pattern_compile((CompiledPattern **) &fcinfo->flinfo->fn_extra, fcinfo->flinfo->fn_mcxt,
						 text, len);
	if ((*c)->program->nitems != state->nsteps)
		state_corrupt("Its pattern has another number of steps.");
	for (uint32 i = 0; i < state->slots; i++)
	{
		uint32 at = state_slots(state)[i];

		CHECK_FOR_INTERRUPTS();
		if (at == 0)
			continue;
		n++;
		text = text_at(state, at, &len);
		if (!pg_verifymbstr(text, len, true))
			state_corrupt("A text is not valid in the server's encoding.");
	}
	if (n != state->nvalues)
		state_corrupt("It has another number of texts than it says.");
	n = 0;
	for (uint32 i = 0; i < state->room; i++)
	{
		const FunnelCell *cell = &state->cells[i];

		CHECK_FOR_INTERRUPTS();
		if (cell->count == 0)
			continue;
		n++;
		if ((state->unit == UNIT_ALL ? cell->period != 0
									 : !calendar_has_number(state->unit - 1, cell->period)) ||
			cell->step < 1 || cell->step > state->nsteps || cell->bucket > TIME_SKETCH_BUCKETS ||
			cell->count > TIME_SKETCH_COUNT_MAX)
			state_corrupt("A cell is impossible.");
		text = text_at(state, cell->value, &len);
		if (cell->value != 0 && !pg_verifymbstr(text, len, true))
			state_corrupt("A text is not valid in the server's encoding.");
	}
	if (n != state->n)
		state_corrupt("It has another number of cells than it says.");
	return state;
}

static void
too_many(void)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("too many periods and groups for journey_funnel_agg"),
					errhint("Use a longer period, or no breakdown.")));
}

static PeriodFunnelState *
state_create(MemoryContext cxt, uint32 room, uint32 slots, uint64 texts_room)
{
	uint64 size = state_size(room, slots, texts_room);
	PeriodFunnelState *state;

	if (size > MaxAllocSize)
		too_many();
	state = MemoryContextAllocZero(cxt, size);
	SET_VARSIZE(state, size);
	state->version = FUNNEL_VERSION;
	state->room = room;
	state->slots = slots;
	state->texts_room = texts_room;
	return state;
}

/* Put a text behind the others; there must be room. */
static uint32
add_text(PeriodFunnelState *state, const char *text, uint32 len)
{
	uint32 at = state->texts_len;

	memcpy(state_texts(state) + at, &len, sizeof(uint32));
	memcpy(state_texts(state) + at + sizeof(uint32), text, len);
	state->texts_len += sizeof(uint32) + TYPEALIGN(TEXT_ALIGN, len);
	return at;
}

static PeriodFunnelState *
state_start(const FunnelSite *site)
{
	const CompiledPattern *c = site->compiled;
	PeriodFunnelState *state =
		state_create(CurrentMemoryContext, ROOM_MIN, SLOTS_MIN, MAXALIGN(sizeof(uint32) + c->len));

	state->asked = site->asked;
	state->unit = site->unit;
	state->nsteps = c->program->nitems;
	add_text(state, c->text, c->len);
	return state;
}

/* The states of a group must have been asked the same. */
static void
same_asked(const PeriodFunnelState *state, uint64 asked)
{
	if (unlikely(state->asked != asked))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("journey_funnel_agg needs the same pattern, period, time zone, range "
						"and breakdown for all rows of a group"),
				 errhint("Group by those that differ.")));
}

/* The cell of this key, or the empty one where it may be put. */
static inline FunnelCell *
find_cell(PeriodFunnelState *state, int32 period, uint32 value, uint16 step, uint16 bucket)
{
	uint32 at =
		murmurhash32(murmurhash32(murmurhash32(period) + value) + ((uint32) step << 16 | bucket));

	for (uint32 i = 0; i < state->room; i++)
	{
		FunnelCell *cell = &state->cells[(at + i) & (state->room - 1)];

		if (cell->count == 0 || (cell->period == period && cell->value == value &&
								 cell->step == step && cell->bucket == bucket))
			return cell;
	}
	state_corrupt("It has more cells than it says.");
	return NULL;
}

/* Where a text's place stands, or may be put. */
static uint32 *
find_slot(PeriodFunnelState *state, const char *text, uint32 len)
{
	uint32 hash = hash_bytes((const unsigned char *) text, len);

	for (uint32 i = 0; i < state->slots; i++)
	{
		uint32 *slot = &state_slots(state)[(hash + i) & (state->slots - 1)];
		const char *other;
		uint32 other_len;

		if (*slot == 0)
			return slot;
		other = text_at(state, *slot, &other_len);
		if (other_len == len && memcmp(other, text, len) == 0)
			return slot;
	}
	state_corrupt("It has more texts than it says.");
	return NULL;
}

/* The state with room for so many more cells, texts, and bytes of texts; if that is another one, in cxt. */
static PeriodFunnelState *
make_room(PeriodFunnelState *state, MemoryContext cxt, uint64 cells, uint64 values, uint64 bytes)
{
	uint32 room = state->room;
	uint32 slots = state->slots;
	uint64 texts_room = state->texts_room;
	PeriodFunnelState *grown;

	for (; state->n + cells > most_of(room); room *= 2)
		if (room == ROOM_MAX)
			too_many();
	for (; state->nvalues + values > most_of(slots); slots *= 2)
		if (slots == SLOTS_MAX)
			too_many();
	if (state->texts_len + bytes > texts_room)
		texts_room = MAXALIGN(Max(2 * texts_room, state->texts_len + bytes));
	if (likely(room == state->room && slots == state->slots && texts_room == state->texts_room))
		return state;
	grown = state_create(cxt, room, slots, texts_room);
	grown->asked = state->asked;
	grown->unit = state->unit;
	grown->nsteps = state->nsteps;
	grown->n = state->n;
	grown->nvalues = state->nvalues;
	grown->texts_len = state->texts_len;
	memcpy(state_texts(grown), state_texts(state), state->texts_len);
	for (uint32 i = 0; i < state->slots; i++)
	{
		uint32 at = state_slots(state)[i];
		const char *text;
		uint32 len;

		if (at == 0)
			continue;
		text = text_at(grown, at, &len);
		*find_slot(grown, text, len) = at;
	}
	for (uint32 i = 0; i < state->room; i++)
	{
		const FunnelCell *cell = &state->cells[i];

		CHECK_FOR_INTERRUPTS();
		if (cell->count > 0)
			*find_cell(grown, cell->period, cell->value, cell->step, cell->bucket) = *cell;
	}
	return grown;
}

/* There must be room for a cell more. */
static inline void
count(PeriodFunnelState *state, int32 period, uint32 value, uint16 step, uint16 bucket, uint64 n)
{
	FunnelCell *cell = find_cell(state, period, value, step, bucket);

	if (cell->count == 0)
	{
		*cell = (FunnelCell) {.period = period, .value = value, .step = step, .bucket = bucket};
		state->n++;
	}
	if (n > TIME_SKETCH_COUNT_MAX - cell->count)
		state_corrupt("It counts too many journeys.");
	cell->count += n;
}

/* Where a text of the breakdown stands, in a state to which it is added if need be. */
static uint32
place_of(PeriodFunnelState **state, MemoryContext cxt, const char *text, uint32 len)
{
	uint32 *slot = find_slot(*state, text, len);

	if (*slot != 0)
		return *slot;
	*state = make_room(*state, cxt, 0, 1, sizeof(uint32) + TYPEALIGN(TEXT_ALIGN, len));
	slot = find_slot(*state, text, len);
	(*state)->nvalues++;
	return *slot = add_text(*state, text, len);
}

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
		call->places[label] = place_of(state, call->cxt, VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
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
	state = make_room(state, call->cxt, (uint64) reached + match.n, 0, 0);
	for (int step = 1; step <= reached; step++)
		count(state, period, value, step, 0, 1);
	for (uint32 i = 1; i < match.n; i++)
	{
		const MatchItem *here = &match.items[i];

		count(state, period, value, here->item,
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
		PG_ARGISNULL(0) ? state_start(site) : state_argument(PG_GETARG_DATUM(0));

	same_asked(state, site->asked);
	if (state->nsteps != site->compiled->program->nitems)
		state_corrupt("Its pattern has another number of steps.");
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
			state = make_room(state, call->cxt, 1, 0, 0);
			count(state, 0, t->breaks_down ? call->places[label] : 0, step, 0, journeys);
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
	other = whole_state_argument(PG_GETARG_DATUM(1), fcinfo, &c);
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(other);
	state = state_argument(PG_GETARG_DATUM(0));
	same_asked(state, other->asked);
	if (state->nsteps != other->nsteps || state->unit != other->unit)
		state_corrupt("Its pattern has another number of steps.");
	/* for all at once, as in the order of their hash they would crowd a small table's beginning */
	state = make_room(state, CurrentMemoryContext, other->n, other->nvalues, other->texts_len);
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
			const char *text = text_at(other, cell->value, &len);

			value = place_of(&state, CurrentMemoryContext, text, len);
		}
		count(state, cell->period, value, cell->step, cell->bucket, cell->count);
	}
	PG_RETURN_POINTER(state);
}

/* ---- the result ---- */

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
	text = text_at(state, a, &len);
	other = text_at(state, b, &other_len);
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
				state_corrupt("It has a cell twice.");
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
			state_corrupt("More journeys reach a step than the one before.");
		if (timed > reached || (step == 1 && timed > 0))
			state_corrupt("A step's times are impossible.");
		nulls[0] = state->unit == UNIT_ALL;
		if (!nulls[0])
			values[0] = DateADTGetDatum(calendar_date(state->unit - 1, group->period));
		nulls[1] = group->value == 0;
		if (!nulls[1])
		{
			uint32 len;
			const char *text = text_at(state, group->value, &len);

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
	state = whole_state_argument(PG_GETARG_DATUM(0), fcinfo, &c);
	cells = palloc_extended(Max(state->n, 1) * sizeof(FunnelCell), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < state->room; i++)
		if (state->cells[i].count > 0)
			cells[n++] = state->cells[i];
	sort_cells(cells, n, state);
	for (uint32 i = 0; i < n; i++)
		ngroups += cells[i].step == 1 && cells[i].bucket == 0;
	if (ngroups > MaxAllocSize / sizeof(Datum) / state->nsteps)
		too_many();
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
			state_corrupt("More journeys reach a step than the one before.");
		cell = tell_group(&telling, cell, end, &rows[ngroups * state->nsteps]);
	}
	ReleaseTupleDesc(telling.desc);
	PG_RETURN_ARRAYTYPE_P(
		construct_array(rows, ngroups * state->nsteps, type, -1, false, TYPALIGN_DOUBLE));
}
