/*
 * match_inside.h
 *		Inside of the matcher, for match*.c; match.c tells how it works.
 */
#ifndef PGJ_MATCH_INSIDE_H
#define PGJ_MATCH_INSIDE_H

#include "common/int.h"
#include "pattern/match.h"

#define WORD_BITS 64
#define NO_START PG_UINT32_MAX
#define MATCH_INTERRUPT_EVERY 0x10000

/* A position reached: where, and the latest start of a match to there. */
typedef struct Reached
{
	uint32 i;
	uint32 start;
	int64 time;
	int64 start_time;
} Reached;

/* A queue in an array; what has left in front is reclaimed when it grows. */
typedef struct Queue
{
	Reached *entries;
	size_t head;
	size_t tail;
	size_t max;
} Queue;

/* Predecessors that a link offers: one window for each (position, link). */
typedef struct Window
{
	const ProgramLink *link;
	Queue waiting; /* too close as yet: link has a lower limit */
	Queue best;    /* in the interval, starts falling */
	bool expires;  /* the interval's lower end moves */
} Window;

/* Where a run through the journey stands; plain, so a copy can go back to it. */
typedef struct Place
{
	JourneyCursor cursor;  /* with values */
	EliasFanoCursor times; /* without */
	uint32 i;
} Place;

/* A touchpoint that some step matches. */
typedef struct Event
{
	uint32 i;
	int64 time;
	const uint64 *steps; /* bits; valid until the next event is read */
} Event;

/* An event on record, with the positions reached at it. */
typedef struct Record
{
	uint32 i;
	int64 time;
} Record;

typedef struct Ahead
{
	Place place;
	bool started;
	bool found;
	uint32 i;
	int64 time;
} Ahead;

struct Matcher
{
	const Program *program;
	const JourneyView *v;
	int step_words;
	int position_words;
	uint64 *label_steps; /* of each label: steps it matches, but for values */
	bool *label_used;    /* has it any? */
	uint64 *value_steps; /* steps that test the value */
	bool tests_values;
	uint64 *event_steps; /* scratch of events */
	uint64 *ahead_steps;
	bool possible;       /* the labels allow a match at all */
	int *step_positions; /* positions by step: lists */
	int *next_position;
	int *accept;     /* of each position, in program->accepts; or -1 */
	int *first_edge; /* of each position, in program->edges; one more at the end */
	int nwindows;
	Window *windows;
	int *edge_window;     /* of each edge, or -1 */
	int *position_window; /* windows by position: lists */
	int *next_window;
	int64 *last_ban; /* of each step: touchpoint that matched it last, or -1 */
	Reached *hits;   /* scratch: what is reached at this touchpoint */
	int *hit_positions;
	int nhits;
	Ahead *ahead; /* of each step: its next touchpoint, for bans before $ */

	/* the search */
	Place place;
	uint32 only_start; /* NO_START: any */

	/* recording */
	bool recording;
	Record *records;
	uint64 *record_steps;
	uint64 *record_positions;
	size_t nrecords;
	size_t records_max;
};

static inline bool
bit_get(const uint64 *bits, int i)
{
	return (bits[i / WORD_BITS] >> (i % WORD_BITS)) & 1;
}

static inline void
bit_set(uint64 *bits, int i)
{
	bits[i / WORD_BITS] |= UINT64CONST(1) << (i % WORD_BITS);
}

/* later - earlier, at most PG_INT64_MAX. */
static inline int64
elapsed(int64 earlier, int64 later)
{
	int64 usecs;

	return pg_sub_s64_overflow(later, earlier, &usecs) ? PG_INT64_MAX : usecs;
}

/* match_events.c */

/* Find which steps each label of the journey matches, and whether that may suffice. */
extern void match_labels(Matcher *m);
extern bool labels_suffice(const Matcher *m);

extern void place_start(const Matcher *m, Place *place);

/*
 * The next touchpoint that some step matches. Its steps may be put in scratch,
 * so what reads ahead must not share it with what reads behind.
 */
extern bool next_event(const Matcher *m, Place *place, uint64 *scratch, Event *event);

/* The first touchpoint behind i that a step matches; i never falls. */
extern const Ahead *look_ahead(Matcher *m, int step, uint32 i);

/* match_simple.c */

/* A pattern without limits, as sets of positions in a word. */
typedef struct Simple
{
	uint64 start;       /* positions a match may begin with, anywhere */
	uint64 start_first; /* ... at the first touchpoint only */
	uint64 accept;      /* ends anywhere */
	uint64 accept_last; /* ... at the last touchpoint only */
	uint64 follow[WORD_BITS];
	uint64 adjacent[WORD_BITS];
} Simple;

/* Fill it in; false if the program needs more. */
extern bool make_simple(const Program *p, Simple *s);

/*
 * Run a simple pattern: does it match? *reached collects the positions reached;
 * the run ends once one of "enough" is.
 */
extern bool run_simple(const Matcher *m, const Simple *s, uint64 *reached, uint64 enough);

#endif /* PGJ_MATCH_INSIDE_H */
