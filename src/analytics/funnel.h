/*
 * funnel.h
 *		What the two forms of journey_funnel_agg share.
 */
#ifndef PGJ_FUNNEL_H
#define PGJ_FUNNEL_H

#include "pattern/journey_pattern.h"

/* Keep of a match with its items only the touchpoint with which each item is complete. */
extern void funnel_complete_items(Match *match);

/* The distinct texts of the i-th items of a pattern's alternatives. */
extern text *funnel_step_label(const Pattern *pattern, int i);

#endif /* PGJ_FUNNEL_H */
