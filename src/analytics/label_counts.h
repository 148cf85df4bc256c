/*
 * label_counts.h
 *		The state of journey_label_agg: touchpoints and customers by period and label.
 */
#ifndef PGJ_LABEL_COUNTS_H
#define PGJ_LABEL_COUNTS_H

#include "analytics/calendar.h"
#include "journey/journey.h"
#include "lib/stringinfo.h"

/* What is counted: labels, or one of their parts (LabelPart), or whatever has one. */
#define PART_ALL (PART_LABEL + 1)
#define COUNTED_PARTS (PART_ALL + 1)

typedef struct LabelQuestion
{
	int part;
	bool by_period; /* else over all time */
	CalendarUnit unit;
	pg_tz *zone;
	int64 since; /* DT_NOBEGIN: unbounded */
	int64 until; /* DT_NOEND: unbounded */
} LabelQuestion;

/* What is counted of a label, or of a part of one, in a period. */
typedef struct LabelCell
{
	int32 period;  /* in the calendar; 0 over all time */
	uint32 number; /* in the dictionary, of the label or the part */
	int64 touchpoints;
	int64 customers;
	uint64 journey; /* the last one that was counted */
} LabelCell;

typedef struct LabelCounts
{
	MemoryContext cxt; /* of the aggregate */
	uint64 serial;     /* no other state in this process has it */
	LabelQuestion question;
	LabelDict *dict;
	LabelCell *cells;
	uint32 ncells;
	uint32 cells_max;
	struct cells_hash *table; /* of cells by period and number */
	uint64 journey;           /* number of the one at hand, from 1 */
} LabelCounts;

extern const char *const counted_parts[COUNTED_PARTS];

extern LabelCounts *label_counts_create(MemoryContext cxt, const LabelQuestion *q);

/* The states of a group must answer the same question. */
extern void label_counts_check(const LabelQuestion *a, const LabelQuestion *b);

/* Where the cell of a period and a number stands, new or known. */
extern uint32 label_counts_cell(LabelCounts *s, int32 period, uint32 number);

/*
 * In label_counts_agg.c: of each label of v the number in the dictionary of what is counted, of the
 * label or a part of it; of all one, at 0.
 */
extern uint32 *counted_numbers(LabelDict *dict, const JourneyView *v, int part);

/* Labels of a state, for another process; these: by their numbers, NULL: the first ones. */
extern void send_labels(StringInfo out, const LabelDict *dict, const uint32 *these, uint32 n);

/* Their numbers in dict; how many there are in *n. */
extern uint32 *receive_labels(StringInfo in, LabelDict *dict, uint32 *n);

#endif /* PGJ_LABEL_COUNTS_H */
