/*
 * channel_measures.h
 *		Measures of channels by period: the type channel_measures.
 *
 * A value knows what was asked for and, for each period, customers, cells (one a
 * channel) and transitions (one a pair of channels), these with all times between,
 * for the exact median. Values of the same question can be added up.
 *
 * There are two forms. The flat one is stored, byte by byte behind the length word
 * (LEB128 and zigzag as in journey/bits.h; a text is its length and as many bytes, a
 * list of texts its length and as many, ascending bytewise):
 *
 *	version		1 byte: 1
 *	period		1 byte: 0 = all, 1 = day, 2 = week, 3 = month, 4 = quarter, 5 = year
 *	measures	1 byte, what was counted: bits as MEASURES_CHANNELS and others below
 *	limits		LEB128, session_gap and handoff_within, in microseconds
 *	range		zigzag, since and until, in microseconds since 2000-01-01 UTC, or the
 *				least and the greatest 64-bit integer
 *	time zone	text, empty if the period is all
 *	lists		of texts: not_own, digital, personal
 *	channels	list of texts: those that are named below by their numbers, from 0
 *	periods		LEB128, how many; ascending, of each
 *		number		zigzag of the first (calendar.h); of others LEB128, less the one before
 *		[CUSTOMERS]	LEB128: customers with an own touchpoint; of those with such in two
 *					channels or more, with a hand-off, and with one between a digital and a personal channel
 *		[CHANNELS]	LEB128, how many cells; ascending, of each
 *			channel		LEB128, its number; less the one before, but for the first
 *			counts		LEB128 each, as MixCount
 *		[TRANSITIONS] LEB128, how many transitions; ascending, of each
 *			channels	LEB128, from * number of channels + to; less the one before, but for
 *						the first
 *			customers	LEB128
 *			[no TIMES]	LEB128, hand-offs
 *			[TIMES]		LEB128, how many distinct ones; ascending, of each LEB128, the
 *						microseconds, less those before, times 2, and 1 more if it is there
 *						more than once; then LEB128, how often
 *
 * Equal measures are equal bytes, whatever they were counted from. An aggregate's
 * state is the other form, an expanded object: hash tables that grow in place.
 * Readers trust nothing: a corrupt value raises ERRCODE_DATA_CORRUPTED.
 */
#ifndef PGJ_CHANNEL_MEASURES_H
#define PGJ_CHANNEL_MEASURES_H

#include "analytics/calendar.h"
#include "touchpoint/touch.h"
#include "utils/expandeddatum.h"

#define MEASURES_VERSION 1

typedef struct NameText
{
	const char *text;
	size_t len;
} NameText;

/* Ascending bytewise, distinct. */
typedef struct NameList
{
	NameText *names;
	uint32 n;
} NameList;

typedef enum MeasuresList
{
	LIST_NOT_OWN,
	LIST_DIGITAL,
	LIST_PERSONAL
} MeasuresList;

#define MEASURES_LISTS (LIST_PERSONAL + 1)
extern const char *const measures_list_names[MEASURES_LISTS];

/* What is counted. Times and customers go with transitions. */
#define MEASURES_CHANNELS 1
#define MEASURES_TRANSITIONS 2
#define MEASURES_TIMES 4
#define MEASURES_CUSTOMERS 8
#define MEASURES_ALL 15
#define MEASURES_KINDS 4
extern const char *const measures_kinds[MEASURES_KINDS]; /* names, by bit */

/* What is asked for. */
typedef struct MeasuresQuestion
{
	uint8 measures;
	bool by_period; /* else over all time */
	CalendarUnit unit;
	int64 session_gap;
	int64 handoff_within;
	int64 since; /* PG_INT64_MIN: unbounded */
	int64 until; /* PG_INT64_MAX: unbounded */
	NameText time_zone;
	NameList lists[MEASURES_LISTS];
} MeasuresQuestion;

typedef enum MixCount
{
	MIX_TOUCHPOINTS,
	MIX_CUSTOMERS,
	MIX_INBOUND,
	MIX_OUTBOUND,
	MIX_SESSIONS,
	MIX_VISITS,
	MIX_VISITS_LEFT
} MixCount;

#define MIX_COUNTS (MIX_VISITS_LEFT + 1)

typedef enum CustomerCount
{
	CUSTOMERS_ALL,
	CUSTOMERS_MULTICHANNEL,
	CUSTOMERS_CROSS_CHANNEL,
	CUSTOMERS_OMNICHANNEL
} CustomerCount;

#define CUSTOMER_COUNTS (CUSTOMERS_OMNICHANNEL + 1)

/* So many hand-offs took this time. */
typedef struct TimeRun
{
	int64 time;
	int64 count;
} TimeRun;

/* --- the state --- */

#define MEASURES_NONE PG_UINT32_MAX

/* So many channels, which few have more of, are found without a hash table. */
#define MEASURES_NEAR 32

typedef struct MeasuresChannel
{
	NameText name;
	bool digital;
	bool personal;
} MeasuresChannel;

/* Of the journey at hand, a period knows whether it was counted: its number, from 1. */
typedef struct MeasuresPeriod
{
	int32 number;
	uint32 own_channel; /* first one */
	int64 counts[CUSTOMER_COUNTS];
	uint64 counted[CUSTOMER_COUNTS];
	uint32 cells[MEASURES_NEAR]; /* of the first channels; others are in a table */
} MeasuresPeriod;

typedef struct MeasuresCell
{
	uint32 period;
	uint32 channel;
	int64 counts[MIX_COUNTS];
	uint64 counted; /* likewise */
} MeasuresCell;

typedef struct MeasuresTransition
{
	uint32 period;
	uint32 from;
	uint32 to;
	uint32 runs_max;
	uint32 nruns;
	uint32 nsorted; /* of them are ascending and distinct */
	TimeRun *runs;
	int64 handoffs; /* without times */
	int64 customers;
	uint64 counted; /* likewise */
} MeasuresTransition;

typedef struct Measures
{
	ExpandedObjectHeader hdr;
	uint32 magic;
	uint32 nchannels;
	uint32 nperiods;
	uint32 ncells;
	uint32 ntransitions;
	uint32 channels_max;
	uint32 periods_max;
	uint32 cells_max;
	uint32 transitions_max;
	uint64 serial;  /* no other state in this process has it */
	uint64 journey; /* number of the one at hand */
	MeasuresQuestion question;
	struct varlena *asked; /* as its flat form begins */
	MeasuresChannel *channels;
	MeasuresPeriod *periods;
	MeasuresCell *cells;
	MeasuresTransition *transitions;
	struct names_hash *channel_table;
	struct keys_hash *period_table;
	struct keys_hash *cell_table;
	struct keys_hash *transition_table;
	struct varlena *flat; /* or NULL */
} Measures;

/* channel_measures.c */
extern struct varlena *measures_asked(const MeasuresQuestion *q);
extern MemoryContext measures_context(MemoryContext aggregate);
extern Measures *measures_create(const struct varlena *asked, MemoryContext cxt);
extern Measures *measures_state_argument(Datum d, MemoryContext aggregate);
extern struct varlena *measures_flat(Measures *m);
extern Measures *measures_of_flat(const struct varlena *flat, bool received, MemoryContext cxt);
extern void measures_change(Measures *m);
extern void measures_merge(Measures *m, const struct varlena *flat, bool received);
extern void measures_different(const struct varlena *a, const struct varlena *b)
	__attribute__((noreturn));
extern uint32 measures_add_channel(Measures *m, const char *name, size_t len);
extern uint32 measures_add_period(Measures *m, int32 number);
extern uint32 measures_add_far_cell(Measures *m, uint32 period, uint32 channel);
extern MeasuresTransition *measures_add_transition(Measures *m, uint32 period, uint32 from,
												   uint32 to);
extern void measures_runs_room(Measures *m, MeasuresTransition *t);
extern void measures_sum(int64 *sum, int64 count);
extern bool measures_kind_find(const char *name, size_t len, uint8 *kind);
extern void name_list_set(NameList *list, NameText *names, uint32 n);
extern bool name_list_has(const NameList *list, const char *name, size_t len);

/* The cell of a period and channel, new or known. */
static inline uint32
measures_add_cell(Measures *m, uint32 period, uint32 channel)
{
	if (likely(channel < MEASURES_NEAR && m->periods[period].cells[channel] != MEASURES_NONE))
		return m->periods[period].cells[channel];
	return measures_add_far_cell(m, period, channel);
}

/* Add a time between two touchpoints. */
static inline void
measures_add_time(Measures *m, MeasuresTransition *t, int64 time, int64 count)
{
	if (unlikely(t->nruns == t->runs_max))
		measures_runs_room(m, t);
	t->runs[t->nruns].time = time;
	t->runs[t->nruns++].count = count;
}

/* --- reading the flat form --- */

/*
 * Periods are read one after the other, of each all cells, and then all transitions,
 * of each all times.
 */
typedef struct MeasuresReader
{
	const struct varlena *value;
	const uint8 *p;
	const uint8 *end;
	bool received; /* from a client: names need not ascend, and errors are its fault */
	MeasuresQuestion question;
	size_t asked_len;
	NameText *channels;
	uint32 nchannels;
	const uint8 *body; /* what stands behind channels */

	uint64 periods_left;
	uint64 cells_left;
	uint64 transitions_left;
	uint64 times_left;

	/* of the one read last */
	bool has_period;
	int64 number;
	int64 customers[CUSTOMER_COUNTS];
	int64 handoffs; /* of the period, as far as they were read */

	bool has_cell;
	uint64 cell; /* channel */
	int64 mix[MIX_COUNTS];

	bool has_transition;
	uint64 pair;
	uint32 from;
	uint32 to;
	int64 transition_customers;
	int64 transition_handoffs; /* as far as its times were read */

	bool has_time;
	TimeRun run;
} MeasuresReader;

/* channel_measures_read.c */
extern void measures_read(MeasuresReader *r, const struct varlena *value);
extern bool measures_next_period(MeasuresReader *r);
extern bool measures_next_cell(MeasuresReader *r);
extern bool measures_next_transition(MeasuresReader *r);
extern bool measures_next_time(MeasuresReader *r);
extern void measures_read_question(MeasuresReader *r);
extern void measures_corrupt(const MeasuresReader *r, const char *what) __attribute__((noreturn));

/* What is wrong with the counts, or NULL. */
extern const char *measures_mix_wrong(const int64 *mix);
extern const char *measures_transition_wrong(int64 customers, int64 handoffs);
extern const char *measures_period_wrong(const int64 *customers, int64 handoffs);
extern const char *measures_question_wrong(const MeasuresQuestion *q);

#endif /* PGJ_CHANNEL_MEASURES_H */
