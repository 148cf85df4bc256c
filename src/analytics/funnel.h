/*
 * funnel.h
 *		What the two forms of journey_funnel_agg share.
 */
#ifndef PGJ_FUNNEL_H
#define PGJ_FUNNEL_H

#include "pattern/journey_pattern.h"

/* What states begin with. Each differs from itself on a machine with another byte order, too. */
#define FUNNEL_VERSION 0x464e0001
#define FUNNEL_PERIOD_VERSION 0x46500001

/* Keep of a match with its items only the touchpoint with which each item is complete. */
extern void funnel_complete_items(Match *match);

/* The distinct texts of the i-th items of a pattern's alternatives. */
extern text *funnel_step_label(const Pattern *pattern, int i);

#endif /* PGJ_FUNNEL_H */
