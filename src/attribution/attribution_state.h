/*
 * attribution_state.h
 *		The state of attribution_agg: an expanded object that makes a value.
 */
#ifndef PGJ_ATTRIBUTION_STATE_H
#define PGJ_ATTRIBUTION_STATE_H

#include "attribution/attribution.h"
#include "utils/expandeddatum.h"

/* Of so few items a table counts how often one came after another. */
#define ATTR_PAIRS 64
#define ATTR_PAIRS_TO (ATTR_TO_ITEM + ATTR_PAIRS)
#define ATTR_PAIRS_FROM 256 /* from so many paths on */

/* An item, while it is counted. */
typedef struct StateItem
{
	AttrText text;
	bool direct;
	bool used;    /* it is on a path: others are not told */
	uint32 stamp; /* the last path that it was on, and there */
	uint32 count; /* ... how often */
} StateItem;

typedef struct AttrState
{
	ExpandedObjectHeader hdr;
	uint32 magic;
	struct varlena *flat; /* or NULL */
	AttrParams params;
	int nsums;
	AttrTotals totals;
	StateItem *items;
	AttrSum *sums; /* of each item nsums */
	uint32 nitems;
	uint32 items_max;
	uint32 stamp;
	struct attr_names_hash *names;   /* items by text */
	struct attr_keys_hash *counted;  /* items of items that were counted (frequency) */
	struct attr_places_hash *places; /* NULL: not kept; likewise below */
	struct attr_grams_hash *grams;
	int64 *pairs; /* and some grams of order 1, those of small numbers; NULL: none */
	struct attr_keys_hash *paths; /* nodes by parent and item */
	AttrNode *nodes;               /* with the empty path in front */
	uint32 nnodes;
	uint32 nodes_max;

	/* items by their number in the dictionary of a call site, and 1: 0 is not known */
	uint32 *of_site;
	uint32 of_site_max;
	uint64 site;
	uint64 question; /* of a call site, whose parameters are known to be these */

	/* room for the path at hand */
	uint32 *path;     /* items */
	uint32 *distinct; /* items, in the order in which they come first */
	uint32 path_max;
} AttrState;

extern AttrState *attr_state_create(const AttrParams *params, MemoryContext aggregate);

/* A state argument: as it is, if it may be changed. */
extern AttrState *attr_state_argument(Datum d, MemoryContext aggregate);

/* The state will be another one than its flat form tells. */
static inline void
attr_state_change(AttrState *s)
{
	if (s->flat)
	{
		pfree(s->flat);
		s->flat = NULL;
	}
}

extern void attr_state_merge(AttrState *s, const AttrFacts *f);

/* Canonical, whatever was merged; it belongs to the state. */
extern struct varlena *attr_state_flat(AttrState *s);

/* The number of an item, new or known. */
extern uint32 attr_state_item(AttrState *s, const AttrText *text);

/* The one that is an item so many times. */
extern uint32 attr_state_counted(AttrState *s, uint32 item, uint32 count);

extern void attr_state_gram(AttrState *s, uint64 from, uint32 to, int64 times);
extern int64 *attr_state_make_pairs(AttrState *s);

static inline int64 *
attr_state_pairs(AttrState *s)
{
	return s->pairs ? s->pairs : attr_state_make_pairs(s);
}

extern void attr_state_place(AttrState *s, uint32 item, uint32 place, const AttrSum *sum);
extern uint32 attr_state_node(AttrState *s, uint32 parent, uint32 item);

#endif /* PGJ_ATTRIBUTION_STATE_H */
