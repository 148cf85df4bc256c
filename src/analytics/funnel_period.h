/*
 * funnel_period.h
 *		The state of journey_funnel_agg by period.
 *
 * It is a bytea, so that it can be aggregated in part anywhere, another server included; hence
 * whatever comes from elsewhere is checked whole. It is flat: a hash table with open addressing of
 * counts, another one of where the breakdown's texts stand, and the texts, of which the pattern's
 * is the first. It is changed in place as long as there is room.
 */
#ifndef PGJ_FUNNEL_PERIOD_H
#define PGJ_FUNNEL_PERIOD_H

#include "analytics/time_sketch.h"
#include "common/hashfn.h"
#include "journey/journey.h"
#include "pattern/journey_pattern.h"

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

extern void funnel_corrupt(const char *what);
extern void funnel_too_many(void) __attribute__((noreturn));

/* The state of a pattern, and of nothing else as yet. */
extern PeriodFunnelState *funnel_state_start(const CompiledPattern *c);

/* A state argument, aligned; all that memory access relies on is checked, but for places of texts. */
extern PeriodFunnelState *funnel_state_argument(Datum d);

/* A state argument with all checked but what only the order of cells tells; and its pattern. */
extern PeriodFunnelState *funnel_whole_argument(Datum d, FunctionCallInfo fcinfo,
												const CompiledPattern **c);

/* The states of a group must have been asked the same. */
extern void funnel_same_asked(const PeriodFunnelState *state, uint64 asked);

/* The state with room for so many more cells, texts, and bytes of texts; if that is another one, in cxt. */
extern PeriodFunnelState *funnel_make_room(PeriodFunnelState *state, MemoryContext cxt,
										   uint64 cells, uint64 values, uint64 bytes);

/* Where a text of the breakdown stands, in a state to which it is added if need be. */
extern uint32 funnel_text_place(PeriodFunnelState **state, MemoryContext cxt, const char *text,
								uint32 len);

static inline uint32 *
funnel_slots(PeriodFunnelState *state)
{
	return (uint32 *) &state->cells[state->room];
}

static inline char *
funnel_texts(PeriodFunnelState *state)
{
	return (char *) (funnel_slots(state) + state->slots);
}

/* The text that stands at a place. */
static inline const char *
funnel_text_at(PeriodFunnelState *state, uint32 at, uint32 *len)
{
	if (at % TEXT_ALIGN != 0 || at > state->texts_len || state->texts_len - at < sizeof(uint32))
		funnel_corrupt("A text is out of place.");
	memcpy(len, funnel_texts(state) + at, sizeof(uint32));
	at += sizeof(uint32);
	if (*len > state->texts_len - at)
		funnel_corrupt("A text is out of place.");
	return funnel_texts(state) + at;
}

/* The cell of this key, or the empty one where it may be put. */
static inline FunnelCell *
funnel_cell(PeriodFunnelState *state, int32 period, uint32 value, uint16 step, uint16 bucket)
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
	funnel_corrupt("It has more cells than it says.");
	return NULL;
}

/* There must be room for a cell more. */
static inline void
funnel_count(PeriodFunnelState *state, int32 period, uint32 value, uint16 step, uint16 bucket, uint64 n)
{
	FunnelCell *cell = funnel_cell(state, period, value, step, bucket);

	if (cell->count == 0)
	{
		*cell = (FunnelCell) {.period = period, .value = value, .step = step, .bucket = bucket};
		state->n++;
	}
	if (n > TIME_SKETCH_COUNT_MAX - cell->count)
		funnel_corrupt("It counts too many journeys.");
	cell->count += n;
}

#endif /* PGJ_FUNNEL_PERIOD_H */
