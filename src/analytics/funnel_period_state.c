/*
 * funnel_period_state.c
 *		The state of journey_funnel_agg by period.
 */
#include "postgres.h"

#include "analytics/calendar.h"
#include "analytics/funnel.h"
#include "analytics/funnel_period.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define ROOM_MIN 8
#define ROOM_MAX (1 << 25) /* what fits in a value */
#define SLOTS_MIN 8
#define SLOTS_MAX (1 << 24)

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

void
funnel_corrupt(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of journey_funnel_agg is corrupt"),
			 errdetail_internal("%s", what)));
}

PeriodFunnelState *
funnel_state_argument(Datum d)
{
	PeriodFunnelState *state = (PeriodFunnelState *) PG_DETOAST_DATUM(d);
	uint64 size = VARSIZE(state);

	if (size < state_size(0, 0, 0))
		funnel_corrupt("It is too short.");
	if (state != (PeriodFunnelState *) MAXALIGN(state))
		state = memcpy(palloc(size), state, size);
	if (state->version == FUNNEL_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("journey_funnel_period_merge can't merge partial results that have no periods"),
						errhint("Use journey_funnel_merge.")));
	if (state->version != FUNNEL_PERIOD_VERSION)
		funnel_corrupt("Its version is not known.");
	if (state->room < ROOM_MIN || state->room > ROOM_MAX ||
		(state->room & (state->room - 1)) != 0 || state->n > most_of(state->room) ||
		state->slots < SLOTS_MIN || state->slots > SLOTS_MAX ||
		(state->slots & (state->slots - 1)) != 0 || state->nvalues > most_of(state->slots) ||
		size != state_size(state->room, state->slots, state->texts_room) ||
		state->texts_len > state->texts_room || state->texts_len % TEXT_ALIGN != 0)
		funnel_corrupt("Its size is impossible.");
	if (state->nsteps < 1 || state->nsteps > PATTERN_POSITIONS_MAX)
		funnel_corrupt("Its number of steps is impossible.");
	return state;
}

PeriodFunnelState *
funnel_whole_argument(Datum d, FunctionCallInfo fcinfo, const CompiledPattern **c)
{
	PeriodFunnelState *state = funnel_state_argument(d);
	uint32 n = 0;
	uint32 len;
	const char *text = funnel_text_at(state, 0, &len);

	if (state->unit > CALENDAR_UNITS)
		funnel_corrupt("Its unit of time is not known.");
	if (!pg_verifymbstr(text, len, true))
		funnel_corrupt("Its pattern's text is not valid in the server's encoding.");
	*c = pattern_compile((CompiledPattern **) &fcinfo->flinfo->fn_extra, fcinfo->flinfo->fn_mcxt,
						 text, len);
	if ((*c)->program->nitems != state->nsteps)
		funnel_corrupt("Its pattern has another number of steps.");
	for (uint32 i = 0; i < state->slots; i++)
	{
		uint32 at = funnel_slots(state)[i];

		CHECK_FOR_INTERRUPTS();
		if (at == 0)
			continue;
		n++;
		text = funnel_text_at(state, at, &len);
		if (!pg_verifymbstr(text, len, true))
			funnel_corrupt("A text is not valid in the server's encoding.");
	}
	if (n != state->nvalues)
		funnel_corrupt("It has another number of texts than it says.");
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
			funnel_corrupt("A cell is impossible.");
		text = funnel_text_at(state, cell->value, &len);
		if (cell->value != 0 && !pg_verifymbstr(text, len, true))
			funnel_corrupt("A text is not valid in the server's encoding.");
	}
	if (n != state->n)
		funnel_corrupt("It has another number of cells than it says.");
	return state;
}

void
funnel_too_many(void)
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
		funnel_too_many();
	state = MemoryContextAllocZero(cxt, size);
	SET_VARSIZE(state, size);
	state->version = FUNNEL_PERIOD_VERSION;
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

	memcpy(funnel_texts(state) + at, &len, sizeof(uint32));
	memcpy(funnel_texts(state) + at + sizeof(uint32), text, len);
	state->texts_len += sizeof(uint32) + TYPEALIGN(TEXT_ALIGN, len);
	return at;
}

PeriodFunnelState *
funnel_state_start(const CompiledPattern *c)
{
	PeriodFunnelState *state =
		state_create(CurrentMemoryContext, ROOM_MIN, SLOTS_MIN, MAXALIGN(sizeof(uint32) + c->len));

	state->nsteps = c->program->nitems;
	add_text(state, c->text, c->len);
	return state;
}

void
funnel_same_asked(const PeriodFunnelState *state, uint64 asked)
{
	if (unlikely(state->asked != asked))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("journey_funnel_agg needs the same pattern, period, time zone, range "
						"and breakdown for all rows of a group"),
				 errhint("Group by those that differ.")));
}

/* Where a text's place stands, or may be put. */
static uint32 *
find_slot(PeriodFunnelState *state, const char *text, uint32 len)
{
	uint32 hash = hash_bytes((const unsigned char *) text, len);

	for (uint32 i = 0; i < state->slots; i++)
	{
		uint32 *slot = &funnel_slots(state)[(hash + i) & (state->slots - 1)];
		const char *other;
		uint32 other_len;

		if (*slot == 0)
			return slot;
		other = funnel_text_at(state, *slot, &other_len);
		if (other_len == len && memcmp(other, text, len) == 0)
			return slot;
	}
	funnel_corrupt("It has more texts than it says.");
	return NULL;
}

PeriodFunnelState *
funnel_make_room(PeriodFunnelState *state, MemoryContext cxt, uint64 cells, uint64 values, uint64 bytes)
{
	uint32 room = state->room;
	uint32 slots = state->slots;
	uint64 texts_room = state->texts_room;
	PeriodFunnelState *grown;

	for (; state->n + cells > most_of(room); room *= 2)
		if (room == ROOM_MAX)
			funnel_too_many();
	for (; state->nvalues + values > most_of(slots); slots *= 2)
		if (slots == SLOTS_MAX)
			funnel_too_many();
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
	memcpy(funnel_texts(grown), funnel_texts(state), state->texts_len);
	for (uint32 i = 0; i < state->slots; i++)
	{
		uint32 at = funnel_slots(state)[i];
		const char *text;
		uint32 len;

		if (at == 0)
			continue;
		text = funnel_text_at(grown, at, &len);
		*find_slot(grown, text, len) = at;
	}
	for (uint32 i = 0; i < state->room; i++)
	{
		const FunnelCell *cell = &state->cells[i];

		CHECK_FOR_INTERRUPTS();
		if (cell->count > 0)
			*funnel_cell(grown, cell->period, cell->value, cell->step, cell->bucket) = *cell;
	}
	return grown;
}

uint32
funnel_text_place(PeriodFunnelState **state, MemoryContext cxt, const char *text, uint32 len)
{
	uint32 *slot = find_slot(*state, text, len);

	if (*slot != 0)
		return *slot;
	*state = funnel_make_room(*state, cxt, 0, 1, sizeof(uint32) + TYPEALIGN(TEXT_ALIGN, len));
	slot = find_slot(*state, text, len);
	(*state)->nvalues++;
	return *slot = add_text(*state, text, len);
}
