/*
 * match_marks.h
 *		What labels tell of matches, for who looks at those of many touchpoints at once.
 *
 * Steps are bits of a byte, the marks of a label the steps that it matches: the first steps
 * have a bit each, those from the eighth on share the last one. What a program asks of
 * the marks of a journey is necessary, not sufficient; the matcher decides.
 */
#ifndef PGJ_MATCH_MARKS_H
#define PGJ_MATCH_MARKS_H

#include "pattern/match.h"

#define MATCH_MARKS 8

/* Marks of the touchpoints of a journey of which something is found. */
typedef struct MatchMarks
{
	uint8 start;    /* some touchpoint, or the first one, has one of these */
	bool first;     /* ... the first one */
	uint8 follow;   /* and one behind it one of these, if more than one touchpoint is reached */
	uint8 required; /* for a match: there are all of these */
	uint8 banned;   /* ... and none of these, anywhere */
	uint8 items;    /* of steps of items */
	int alone;      /* items reached where nothing may follow a start; -1: it depends */
} MatchMarks;

extern void matcher_marks(const Matcher *m, MatchMarks *marks);

/*
 * Of each label of the journey just opened, the marks; false: there can be no match. Of what is
 * banned only that remains which no label has beside an item's mark: an item may have a label
 * that is banned before and behind it.
 */
extern bool matcher_label_marks(Matcher *m, MatchMarks *marks, uint8 *label_marks);

/*
 * As matcher_open, where the marks of the touchpoints are known; they last as long as the
 * journey, and MARKS_PADDING bytes can be read behind them.
 */
extern void matcher_open_marked(Matcher *m, const JourneyView *v, const uint8 *marks);

/* Are values read, not just times, where labels do not tell all? */
extern bool matcher_reads_values(const Matcher *m);

#endif /* PGJ_MATCH_MARKS_H */
