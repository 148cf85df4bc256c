/*
 * match_inside.h
 *		Inside of the matcher, for match*.c; match.c tells how it works.
 */
#ifndef PGJ_MATCH_INSIDE_H
#define PGJ_MATCH_INSIDE_H

#include "journey/marks.h"
#include "pattern/match.h"
#include "pattern/match_marks.h"

#define NO_START PG_UINT32_MAX

/* As many labels can one byte tell. */
#define BYTE_LABELS 256

/* In place of the steps of a label: there is none of this number. So steps are fewer than bits. */
#define NO_LABEL (UINT64CONST(1) << 63)
#define SIMPLE_STEPS_MAX 63

#define MATCH_INTERRUPT_EVERY 0x10000

/* So many times are read at once, where most are wanted. */
#define TIMES_AHEAD 16

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
typedef struct RecordedEvent
{
	uint32 i;
	int64 time;
} RecordedEvent;

/* A record, of a chain a link, at which so many items are reached from a later start than before. */
typedef struct Stair
{
	size_t record;
	uint32 start;
} Stair;

/* A touchpoint at which an item of a chain is reached. */
typedef struct ChainLink
{
	uint32 i;
	int64 time;
	size_t before; /* the latest one of the item before, by its number */
} ChainLink;

/* Where an item of a chain was reached last. */
typedef struct ChainEnd
{
	size_t link;
	uint32 start; /* the latest that leads there */
	int64 start_time;
} ChainEnd;

typedef struct Ahead
{
	Place place;
	bool started;
	bool found;
	uint32 i;
	int64 time;
} Ahead;

/*
 * A pattern of at most 64 positions and SIMPLE_STEPS_MAX steps without its limits: sets of
 * positions, or of steps, in a word.
 */
typedef struct Simple
{
	uint64 start;       /* positions a match may begin with, anywhere */
	uint64 start_first; /* ... at the first touchpoint only */
	uint64 accept;      /* ends anywhere */
	uint64 accept_last; /* ... at the last touchpoint only */
	uint64 follow[WORD_BITS];
	uint64 adjacent[WORD_BITS];
	uint64 start_steps;           /* steps that start is for */
	uint64 lead_steps[WORD_BITS]; /* ... that positions which follow are for, however */
	uint64 ends_item;             /* an item may be complete with these */
	uint64 ends_last_item;
	bool free_start;        /* no start is bound to the first touchpoint */
	uint64 lasting;         /* positions that must be looked at each time they are hit */
	uint64 *step_positions; /* of each step */
	int64 exact_span; /* of a journey that takes no longer, what it says is so; else it may be */
} Simple;

/* What match_latest.c needs beside: how positions are reached. */
typedef struct Latest
{
	uint64 free;               /* a match may begin with these wherever they are */
	uint64 timed;              /* of these the time counts later on */
	uint64 start_bans;         /* steps that links behind ^ ban */
	uint64 bans[WORD_BITS];    /* ... that links from this position ban */
	uint64 sources[WORD_BITS]; /* positions from which links lead to this one */
	int idle;                  /* one of the free ones that is only looked for when asked, or -1 */
} Latest;

/* A position reached: where last; or, if the pattern has a "within", since when at best. */
typedef struct LatestEntry
{
	int64 time;
	uint32 i;
} LatestEntry;

typedef enum Glance
{
	GLANCE_NONE,
	GLANCE_EXIST,
	GLANCE_REACH
} Glance;

struct Matcher
{
	MemoryContext cxt; /* holds all below */

	/* of the program */
	const Program *program;
	int step_words;
	int position_words;
	/* of each word of the vocabulary, steps whose channel (action) it may be; word 0 is scratch */
	uint64 *channel_steps;
	uint64 *action_steps;
	uint64 *detail_steps; /* of each detail that a set tells */
	bool tests_details;
	uint64 *required;    /* steps that no match can do without */
	bool *live;          /* scratch, of each position */
	uint64 *value_steps; /* steps that test the value */
	bool tests_values;
	bool has_simple;
	Simple simple;
	bool has_latest; /* see match_latest.c */
	Latest latest;
	bool has_path;       /* ... and how a position was reached is kept */
	bool timeless;       /* ... and nothing is asked of times and values */
	bool has_chain;      /* see match_chain.c */
	bool starts_alike;   /* see shared_progress() in match.c */
	bool first_starts;   /* a match begins with the first touchpoint, or not at all */
	int *step_positions; /* positions by step: lists */
	int *next_position;
	int *accept;     /* of each position, in program->accepts; or -1 */
	int *first_edge; /* of each position, in program->edges; one more at the end */
	int nwindows;
	Window *windows;
	int *edge_window;     /* of each edge, or -1 */
	int *position_window; /* windows by position: lists */
	int *next_window;

	/* of the journey */
	const JourneyView *v;
	const uint8 *marks; /* of its touchpoints (match_marks.h); or NULL */
	bool labelled;      /* what follows is of its dictionary */
	Glance glance;      /* what its labels alone were asked */
	bool may;           /* ... answer to GLANCE_EXIST */
	int most;           /* ... to GLANCE_REACH */
	bool sure;

	/* of its dictionary */
	uint64 dictionary_id;  /* which, if others may have it too; or 0 */
	int8 suffice;          /* its labels allow a match at all: 0 or 1, -1: not known yet */
	uint32 labels_max;     /* allocated; at least BYTE_LABELS */
	uint32 labels_known;   /* of the first BYTE_LABELS: those behind are NO_LABEL, in one word */
	uint64 *label_steps;   /* of each label: steps it matches, but for values */
	uint64 *label_actions; /* scratch: of each pair, steps its action matches */
	uint64 *label_details; /* scratch: of each label, steps its detail matches, if that is tested */
	uint64 *have;          /* steps that some label matches */
	struct KnownText *known_texts; /* see match_events.c; or NULL */
	uint64 *known_steps;

	/* of the search */
	uint64 *event_steps; /* scratch of events */
	uint64 *ahead_steps;
	bool started;     /* the state below is of this journey */
	int64 *last_ban;  /* of each step: touchpoint that matched it last, or -1 */
	int64 *first_ban; /* ... first, or PG_INT64_MAX; by matcher_starts */
	Reached *hits;    /* scratch: what is reached at this touchpoint */
	int *hit_positions;
	int nhits;
	Ahead *ahead; /* of each step: its next touchpoint, for bans before $ */

	/* of rows instead, see match_rows.c */
	const MatchRow *rows;    /* or NULL */
	JourneyView rows_view;   /* length and times alone */
	uint64 *condition_steps; /* of each condition: steps that want it */
	uint64 *any_steps;       /* steps that want none */
	uint32 **ahead_row;      /* of each link, of each of its aheads: the row it looked at last */

	/* the search */
	uint64 work;
	Place place;
	uint64 times[TIMES_AHEAD]; /* of next_of_all_events(), up to where place has read them */
	uint32 times_from;
	Place starts_place;   /* before the first of the starts of last time */
	const uint32 *starts; /* touchpoints at which a match may begin, ascending; NULL: any */
	uint32 nstarts;
	uint32 start; /* of them, the first that does not lie behind */

	/* a search of match_latest.c's kind */
	LatestEntry *entries; /* of each position */
	uint64 pending;       /* positions whose entry's time nobody has asked for yet */
	uint32 pending_i;     /* ... all of this touchpoint */
	uint32 idle_looked;   /* the idle position's last touchpoint before this one is known */
	bool idle_known;      /* ... and its time */
	EliasFanoCursor idle_times;
	uint32 reached_at;   /* where so many items were reached first */
	uint32 *paths;       /* of each position, touchpoints by which it was reached last, but that one */
	uint32 *path;        /* by which so many items were reached first */
	int path_items;      /* ... so many, or 0: not looked for in this journey */
	uint64 *row_reached; /* of each row, positions that are reached at it; or NULL */

	/* recording */
	bool recording;
	RecordedEvent *records;
	uint64 *record_steps;
	uint64 *record_positions;
	uint32 *record_starts; /* of each position, NO_START: not reached; or NULL: not kept */
	bool keep_starts;
	Stair **stairs; /* of each number of items, if starts are kept */
	uint32 *nstairs;
	const MatchStart *all_starts; /* ... which they are */
	uint32 nall_starts;
	ChainLink *links; /* ... of a chain */
	size_t nlinks;
	size_t links_max;
	ChainEnd *ends; /* of each item */
	int nends;      /* so many have one */
	size_t nrecords;
	size_t records_max;
};

/* The marks of steps of the first word. */
static inline uint8
marks_of_steps(uint64 steps)
{
	return (uint8) (steps | (uint64) (steps >> (MATCH_MARKS - 1) != 0) << (MATCH_MARKS - 1));
}

/* What touchpoints are read from. */
typedef enum Source
{
	SOURCE_MARKS,  /* labels, where a mark says that they may be of interest */
	SOURCE_BYTES,  /* labels of one byte */
	SOURCE_LABELS, /* labels */
	SOURCE_VALUES, /* whole touchpoints */
	SOURCE_ROWS
} Source;

/* Steps that positions are for, of a simple program. */
static inline uint64
steps_of(const Matcher *m, uint64 positions)
{
	uint64 steps = 0;

	for (; positions != 0; positions &= positions - 1)
		steps |= UINT64CONST(1) << m->program->positions[pg_rightmost_one_pos64(positions)].step;
	return steps;
}

/* Positions that are for steps, of a simple program. */
static inline uint64
positions_of(const Matcher *m, uint64 steps)
{
	uint64 positions = 0;

	for (; steps != 0; steps &= steps - 1)
		positions |= m->simple.step_positions[pg_rightmost_one_pos64(steps)];
	return positions;
}

/* Does it take the time of a touchpoint to tell whether a match may begin with it? */
static inline bool
edge_is_timed(const Matcher *m, const ProgramEdge *edge)
{
	const ProgramLink *link = edge->link >= 0 ? &m->program->links[edge->link] : NULL;

	return edge->from_start && link && (link->min > 0 || link->max != PG_INT64_MAX);
}

/* ... or end? */
static inline bool
accept_is_timed(const Matcher *m, const ProgramAccept *accept)
{
	const ProgramLink *link = accept->link >= 0 ? &m->program->links[accept->link] : NULL;

	if (link == NULL)
		return false;
	for (int k = 0; k < link->nbans; k++)
		if (link->ban_usecs[k] != PATTERN_UNBOUNDED)
			return true;
	return link->min > 0 || link->max != PG_INT64_MAX;
}

/* match_events.c */

/* What of a program serves to match labels. */
extern void prepare_labels(Matcher *m);

/* Find which steps each label of the journey matches, and whether that may suffice. */
extern void match_labels(Matcher *m);
extern bool labels_required(const Matcher *m);
extern bool labels_suffice(const Matcher *m);

extern void place_start(const Matcher *m, Place *place);
extern void place_forward(const Matcher *m, Place *place, uint32 i);

/* The first touchpoint from i on, before end, of which the label is for one of these steps; or end. */
extern uint32 skip_labels(const uint8 *labels, uint32 i, uint32 end, const uint64 *label_steps,
						  uint64 steps);

/* Of the steps of a word that match a touchpoint's label, those that match its value. */
extern uint64 steps_with_value(const Matcher *m, int word, uint64 steps, const Touch *t);

/*
 * The next touchpoint that some step matches. Its steps may be put in scratch,
 * so what reads ahead must not share it with what reads behind.
 */
extern bool next_event(Matcher *m, Place *place, uint64 *scratch, Event *event);

/* The same of m->place, for who goes through all of them: times are read some at a time. */
extern bool next_of_all_events(Matcher *m, Event *event);

/* The first touchpoint behind i that a step matches; i never falls. */
extern const Ahead *look_ahead(Matcher *m, int step, uint32 i);

/* match_rows.c */
extern void prepare_rows(Matcher *m);
extern void row_steps(const Matcher *m, const MatchRow *row, uint64 *steps);
extern bool next_row(Matcher *m, Place *place, uint64 *scratch, Event *event);
extern bool row_leads_on(Matcher *m, int position, uint32 i);

/* match.c: one touchpoint, and what a search needs before */
extern void prepare(Matcher *m);
extern void forget(Matcher *m);
extern bool may_start(Matcher *m, const ProgramEdge *edge, uint32 i, int64 time);
extern bool may_end(Matcher *m, const ProgramAccept *accept, uint32 i, int64 time);
extern void reach(Matcher *m, const Event *event);
extern void settle(Matcher *m, const Event *event);

/* match_simple.c */

/* Fill in m->simple, if the program is of such a size. */
extern void make_simple(Matcher *m);

/*
 * Run the pattern without its limits: does it match? *reached collects the
 * positions reached; the run ends once one of "enough" is.
 */
extern bool run_simple(const Matcher *m, uint64 *reached, uint64 enough);

/* match_latest.c */

/* Fill in m->latest, if the program is such a one. */
extern void make_latest(Matcher *m);

/* From where the search stands, go behind the end of the next match; false if there is none. */
extern bool find_latest(Matcher *m);

/* ... how many items, of which "most" can be reached, the best partial match reaches; m->reached_at. */
extern int farthest_latest(Matcher *m, int most);

/* If has_path, afterwards: that partial match, of so many items. */
extern void path_match(Matcher *m, int reached, Match *match, bool items);

/* match_chain.c */
extern void make_chain(Matcher *m);

/* Begin to keep where items are reached from which starts; what is reached, as reach() tells it. */
extern void chain_start(Matcher *m);
extern void chain_reach(Matcher *m, const Event *event);

/* The match from this start to that link, of so many items; false if it is not within the pattern's time. */
extern bool chain_match_from(const Matcher *m, uint32 start, size_t link, int reached,
							 Match *match);

#endif /* PGJ_MATCH_INSIDE_H */
