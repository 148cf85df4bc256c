/*
 * match.h
 *		Matching compiled patterns against journeys, or rows, in linear time.
 */
#ifndef PGJ_MATCH_H
#define PGJ_MATCH_H

#include "common/int.h"
#include "journey/format.h"
#include "pattern/program.h"

/* What a touchpoint of a match stands for. */
typedef struct MatchItem
{
	int item; /* of the pattern, top level, from 1 */
	int64 time;
} MatchItem;

/* A match: touchpoints by number, ascending; palloc'd in the current context. */
typedef struct Match
{
	uint32 n;
	uint32 *touchpoints;
	MatchItem *items; /* of each touchpoint; NULL unless asked for */
} Match;

/* A row of some table: when, and which of up to 64 conditions it meets, in bits. */
typedef struct MatchRow
{
	int64 time;
	uint64 conditions;
} MatchRow;

typedef struct Matcher Matcher;

/*
 * A matcher of one program, in the current context, where it also keeps what
 * grows; the program must outlive it.
 */
extern Matcher *matcher_create(const Program *program);

/*
 * Turn to a journey, which must last as long as it is matched. The matcher then
 * looks for matches one after the other that do not overlap. What it learns of the
 * dictionary it keeps for the next journey, if that is of the same block.
 */
extern void matcher_open(Matcher *m, const JourneyView *v);

/* As matcher_open, for a program over rows: turn to these, in rising time. */
extern void matcher_open_rows(Matcher *m, const MatchRow *rows, uint32 n);

/*
 * Might there be a match, by the length and the dictionary? Nothing else is read. In a
 * block a journey need not use all labels of the dictionary, so most likely.
 */
extern bool matcher_possible(Matcher *m);

/* Is there a match? Afterwards the journey has to be opened anew. */
extern bool matcher_exists(Matcher *m);

/*
 * The same by the labels alone, of a journey just opened of which nothing else need be
 * there as yet, but its length and dictionary. If so, *sure tells whether it is for sure;
 * otherwise complete the view and call matcher_exists, which goes on from what is known.
 * Where it is for sure, matcher_count needs no more either.
 */
extern bool matcher_may_exist(Matcher *m, bool *sure);

/* The next match; false if there is none. match may be NULL if only asked whether. */
extern bool matcher_next(Matcher *m, Match *match);

/* How many matches there are that do not overlap, of a journey just opened. */
extern int64 matcher_count(Matcher *m);

/*
 * How many items the best partial match reaches, of a journey just opened; and
 * its touchpoints, unless match is NULL, with their items if asked for. Where a
 * touchpoint may stand for several positions, it is for the lowest.
 */
extern int matcher_progress(Matcher *m, Match *match, bool items);

/* After it told, without a match, that so many items are reached, two or more: the match, with items. */
extern void matcher_progress_match(Matcher *m, int reached, Match *match);

/* As matcher_may_exist: items that can be reached at most; matcher_progress goes on from it. */
extern int matcher_may_reach(Matcher *m, bool *sure);

/* A touchpoint at which a partial match may begin. */
typedef struct MatchStart
{
	uint32 i;
	int item; /* the last item known to be complete with this touchpoint alone, or 0 */
	int64 time;
} MatchStart;

/*
 * All of them that reach an item, and maybe others, of a journey just opened; how many. They
 * are palloc'd in the current context, as is all that matcher_progress_from goes by.
 * latest[k], for k up to the program's nitems: of all partial matches that reach k
 * items, the latest start, or -1; so those that start behind it reach less.
 */
extern uint32 matcher_starts(Matcher *m, MatchStart **starts, int64 *latest);

/*
 * After matcher_starts, any number of times: as matcher_progress, of partial matches
 * that begin at one of these touchpoints, ascending, of which none reaches more than
 * "most" items. The first of them must not lie before the one of the time before. A
 * match of fewer than two items is not told.
 */
extern int matcher_progress_from(Matcher *m, const uint32 *starts, uint32 n, int most,
								 Match *match);

/* For a pattern of one step: the next touchpoint that matches it; false if there is none. */
extern bool matcher_next_step(Matcher *m, uint32 *i, int64 *time);

/* After a match: the number of the touchpoint that ends it. */
extern uint32 matcher_end(const Matcher *m);

/*
 * For a program over rows that is a chain of positions, of rows just opened: how
 * many positions the longest partial match from the chain's beginning takes, and
 * its rows, by number: of those that end first, the earliest throughout. "rows"
 * has room for all positions.
 */
extern int matcher_first_rows(Matcher *m, uint32 *rows);

/*
 * What the work since matcher_open_rows was, rows aside: ways into a position that
 * were tried, entries that left a queue, rows that were looked ahead at.
 */
extern uint64 matcher_work(const Matcher *m);

/* Does a step match a touchpoint: its label, and its value? */
extern bool step_matches_label(const Step *step, const TouchLabel *label);
extern bool step_matches_value(const Step *step, const Touch *t);

/* later - earlier, at most PG_INT64_MAX. */
static inline int64
elapsed(int64 earlier, int64 later)
{
	int64 usecs;

	return pg_sub_s64_overflow(later, earlier, &usecs) ? PG_INT64_MAX : usecs;
}

#endif /* PGJ_MATCH_H */
