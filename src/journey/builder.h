/*
 * builder.h
 *		From touchpoints in any order to a packed journey.
 *
 * A builder is one chunk of memory: 16 bytes a touchpoint, 32 once any of them
 * has a value or a reference, doubled when full. It starts at 64 bytes, since
 * an aggregate may have millions of them. Packing sorts in place; its only
 * memory is the result.
 */
#ifndef PGJ_BUILDER_H
#define PGJ_BUILDER_H

#include "journey/format.h"
#include "journey/label_dict.h"

typedef struct JourneyBuilder
{
	LabelDict *dict;
	uint32 n;
	uint8 size_log; /* the chunk has 2^size_log bytes */
	bool wide;      /* elements are WideTouch, not NarrowTouch */
	bool sorted;
} JourneyBuilder;

/* An empty builder in cxt, for labels of this dictionary. */
extern JourneyBuilder *builder_create(LabelDict *dict, MemoryContext cxt);

/* Add a touchpoint; t->label is a number of the dictionary. May move the builder. */
extern JourneyBuilder *builder_add(JourneyBuilder *b, const Touch *t);

/*
 * Numbers in the dictionary of a journey's labels, palloc'd in the current
 * context; and the touchpoints at a cursor up to but not including number "to",
 * whose labels have these numbers. May move the builder.
 */
extern uint32 *journey_intern_labels(const JourneyView *v, LabelDict *dict);
extern JourneyBuilder *builder_add_touches(JourneyBuilder *b, JourneyCursor *c,
										   const uint32 *numbers, uint32 to);

/* Add the touchpoints of a journey in [from, to). May move the builder. */
extern JourneyBuilder *builder_add_journey(JourneyBuilder *b, const JourneyView *v, uint32 from,
										   uint32 to);

/*
 * The packed journey, a varlena in the current context. The builder keeps its
 * touchpoints and may be added to again.
 */
extern struct varlena *builder_pack(JourneyBuilder *b);

/* Check all of a journey that has been opened; raises if it is corrupt. */
extern void journey_check(const JourneyView *v, const uint8 *data, size_t len);

#endif /* PGJ_BUILDER_H */
