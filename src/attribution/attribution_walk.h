/*
 * attribution_walk.h
 *		The conversions of a journey, and the path to each.
 */
#ifndef PGJ_ATTRIBUTION_WALK_H
#define PGJ_ATTRIBUTION_WALK_H

#include "attribution/attribution.h"
#include "pattern/journey_pattern.h"

/* What a label is. */
#define WALK_CONVERSION 0x01
#define WALK_TOUCH 0x02
#define WALK_CONVERSION_VALUE 0x04 /* a conversion, if its value is */
#define WALK_TOUCH_VALUE 0x08
#define WALK_KNOWN 0x10

typedef struct WalkLabel
{
	uint32 item; /* number in the dictionary of what is an item of it */
	uint8 flags;
} WalkLabel;

/* A conversion, and the path to it: these touches of the walk. */
typedef struct WalkPath
{
	uint32 from;
	uint32 to;
	bool converts; /* else it is a path without a conversion */
	uint32 conversion;
	int64 time; /* of the conversion; only if asked for */
	bool has_value;
	Decimal value;
} WalkPath;

typedef struct Walk
{
	/* what is asked */
	const char *function; /* for errors */
	CompiledPattern *conversion;
	CompiledPattern *touches;
	char *known_patterns[2]; /* texts of these two */
	uint64 lookback;
	int part;
	bool reset;
	bool nulls; /* are paths without a conversion wanted? */
	bool needs_times;
	int64 until;
	AttrRange range;

	/* what is known of labels */
	MemoryContext cxt;
	LabelDict *dict;
	WalkLabel *known; /* by number in the dictionary */
	uint32 known_max;
	uint64 serial; /* changes when the dictionary begins anew */

	/* of the journey or block */
	WalkLabel *labels;
	uint32 *numbers;
	uint32 labels_max;

	/* of the journey */
	const JourneyView *v;
	uint32 *touch; /* touches, by their places in the journey */
	uint32 *item;
	int64 *times; /* of all touchpoints, if has_times */
	uint32 touch_max;
	uint32 times_max;
	bool has_times;
	uint32 value_at; /* touchpoint whose value would be read next */
	const uint8 *value;
	int64 undecided; /* paths left out */
} Walk;

typedef void (*WalkFn)(void *arg, Walk *w, const WalkPath *path);

/* Are its matches single touchpoints, whatever is around them? */
extern bool program_is_one_step(const Program *p);

extern void walk_init(Walk *w, MemoryContext cxt, const char *function);

extern void walk_forget(Walk *w);

/* Patterns given; each must be of one step. */
extern void walk_patterns(Walk *w, Datum conversion, Datum touches);

/* Turn to a dictionary; what its labels may be, in all. */
extern uint8 walk_labels(Walk *w, const JourneyView *v);

/* Tell all paths of a journey with that dictionary, in order. */
extern void walk_journey(Walk *w, const JourneyView *v, WalkFn fn, void *arg);

#endif /* PGJ_ATTRIBUTION_WALK_H */
