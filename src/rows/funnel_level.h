/*
 * funnel_level.h
 *		How far a group's rows get in a funnel.
 */
#ifndef PGJ_FUNNEL_LEVEL_H
#define PGJ_FUNNEL_LEVEL_H

#include "pattern/match.h"

/* How strict a funnel is; bits. */
#define FUNNEL_ORDER 1         /* other events interrupt */
#define FUNNEL_REENTRY 2       /* ... but those of later steps do not */
#define FUNNEL_DEDUPLICATION 4 /* a step met again ends the search */
#define FUNNEL_INCREASE 8      /* times rise from step to step */
#define FUNNEL_ONCE 16         /* a row is for one step only */

/*
 * The largest number k such that rows meet conditions 1 to k one after the other,
 * the last at most "window" microseconds after the first. Rows are in order of
 * time and then of conditions, of which there are nsteps, at most 64.
 */
extern int funnel_level(const MatchRow *rows, uint32 n, int nsteps, int64 window, int modes);

#endif /* PGJ_FUNNEL_LEVEL_H */
