/*
 * match_marks.h
 *		What labels alone tell of matches, for who looks at many touchpoints' labels at once.
 *
 * Steps are bits of a byte, the marks of a label the steps that it matches: the first steps
 * have a bit each, those from the eighth on share the last one. What a program asks of
 * the marks of a journey is necessary for a match, not sufficient; the matcher decides.
 */
#ifndef PGJ_MATCH_MARKS_H
#define PGJ_MATCH_MARKS_H

#include "pattern/match.h"

typedef struct MatchMarks
{
	uint8 start;    /* some touchpoint has one of these, or not even a part matches */
	uint8 follow;   /* so does another behind it where more than one touchpoint is reached */
	uint8 required; /* a match has touchpoints with each of these */
	int alone;      /* items reached where there is a start and nothing may follow; -1: it depends */
} MatchMarks;

/* How much of a journey matcher_exists and matcher_progress without a match to tell read. */
typedef enum MatchReads
{
	MATCH_READS_LABELS,
	MATCH_READS_TIMES,
	MATCH_READS_VALUES
} MatchReads;

/* As matcher_open, of a journey of whose touchpoints the marks are known, with MARKS_PADDING behind. */
extern void matcher_open_marked(Matcher *m, const JourneyView *v, const uint8 *marks);

/* The marks of steps: those of touchpoints that may match one of them. */
#define MATCH_MARKS 8

static inline uint8
marks_of_steps(uint64 steps)
{
	return (uint8) (steps | (steps >> (MATCH_MARKS - 1) != 0) << (MATCH_MARKS - 1));
}

extern MatchReads matcher_reads(const Matcher *m);
extern void matcher_marks(const Matcher *m, MatchMarks *marks);

/* Of each label of the dictionary of a journey just opened, the marks; false: none can match. */
extern bool matcher_label_marks(Matcher *m, uint8 *label_marks);

#endif /* PGJ_MATCH_MARKS_H */
