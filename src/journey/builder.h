/*
 * builder.h
 *		From touchpoints in any order to a packed journey.
 *
 * A builder's elements are one chunk of memory: 16 bytes a touchpoint, 32 once
 * any of them has a value or a reference, doubled when full. It starts with 64
 * bytes, since an aggregate may have millions of builders. Packing sorts in
 * place; its only memory is the result.
 */
#ifndef PGJ_BUILDER_H
#define PGJ_BUILDER_H

#include "journey/format.h"
#include "journey/label_dict.h"

typedef struct JourneyBuilder
{
	LabelDict *dict;
	char *elements;
	uint32 n;
	uint8 size_log; /* elements have 2^size_log bytes */
	bool wide;      /* elements are WideTouch, not NarrowTouch */
	bool sorted;
} JourneyBuilder;

/* builder.c */

/* Make an empty builder for labels of this dictionary, its elements in cxt. */
extern void builder_init(JourneyBuilder *b, LabelDict *dict, MemoryContext cxt);
extern void builder_free(JourneyBuilder *b);

/* Add a touchpoint; t->label is a number of the dictionary. */
extern void builder_add(JourneyBuilder *b, const Touch *t);

/*
 * Numbers in the dictionary of a journey's labels, into an array of v->nlabels, or
 * one palloc'd in the current context; and the touchpoints at a cursor up to but not including number "to",
 * whose labels have these numbers.
 */
extern void journey_number_labels(const JourneyView *v, LabelDict *dict, uint32 *numbers);
extern uint32 *journey_intern_labels(const JourneyView *v, LabelDict *dict);
extern void builder_add_touches(JourneyBuilder *b, JourneyCursor *c, const uint32 *numbers,
								uint32 to);

/* Add the touchpoints of a journey in [from, to). */
extern void builder_add_journey(JourneyBuilder *b, const JourneyView *v, uint32 from, uint32 to);

extern void builder_sort(JourneyBuilder *b);

/* pack.c */

/*
 * The packed journey, a varlena in the current context. The builder keeps its
 * touchpoints and may be added to again.
 */
extern struct varlena *builder_pack(JourneyBuilder *b);

/*
 * The same of a journey that is open, its labels having these numbers in the dictionary: its
 * times, values and references are copied as they are. For a journey of a block.
 */
extern struct varlena *view_pack(const JourneyView *v, LabelDict *dict, const uint32 *numbers);

/* A dictionary to be written, of the labels in dict->used; marks tell the place of each. */
typedef struct DictionaryPlan
{
	uint32 nlabels;
	bool details; /* at least one of them has one */
	uint64 len;   /* bytes */
} DictionaryPlan;

static inline void
dictionary_start(LabelDict *dict, DictionaryPlan *plan)
{
	label_dict_new_stamp(dict);
	plan->nlabels = 0;
}

static inline void
dictionary_use(LabelDict *dict, DictionaryPlan *plan, uint32 number)
{
	LabelMark *mark = &dict->marks[number];

	if (mark->stamp != dict->stamp)
	{
		mark->stamp = dict->stamp;
		dict->used[plan->nlabels++] = number;
	}
}

/*
 * The same, before a plan is made; and how many bytes more the dictionary takes at most, which
 * has no more than so many labels, with details only if the plan says so already.
 */
extern uint64 dictionary_use_bytes(LabelDict *dict, DictionaryPlan *plan, uint32 number,
								   uint32 most);

/* Put the labels that are used in order, and measure. */
extern void dictionary_plan(LabelDict *dict, DictionaryPlan *plan);
extern uint8 *dictionary_write(uint8 *p, const LabelDict *dict, const DictionaryPlan *plan);

/* Labels of a journey, whose numbers these are, by their places in the dictionary planned. */
extern void labels_write(uint8 *p, int width, const JourneyView *v, const uint32 *numbers,
						 const LabelMark *marks);

/* What a header has of values and references. */
extern uint8 *extras_write_head(uint8 *p, const JourneyView *v, uint64 values_len);

/* Check all of a journey that has been opened; raises if it is corrupt. */
extern void journey_check(const JourneyView *v, const uint8 *data, size_t len);

/* The elements, for builder.c and pack.c. */

typedef struct NarrowTouch
{
	int64 time;
	uint32 label;
	uint8 has_value;
	uint8 has_ref;
	uint8 scale;
} NarrowTouch;

/* Begins like a NarrowTouch, which builder_element relies on. */
typedef struct WideTouch
{
	NarrowTouch narrow;
	int64 mantissa;
	int64 ref;
} WideTouch;

StaticAssertDecl(sizeof(NarrowTouch) == 16, "NarrowTouch has padding");
StaticAssertDecl(sizeof(WideTouch) == 32, "WideTouch has padding");

/* Loops over elements look for interrupts after so many. */
#define BUILDER_INTERRUPT_EVERY 0x10000

static inline size_t
builder_stride(const JourneyBuilder *b)
{
	return b->wide ? sizeof(WideTouch) : sizeof(NarrowTouch);
}

static inline NarrowTouch *
builder_element(const JourneyBuilder *b, size_t i)
{
	return (NarrowTouch *) (b->elements + i * builder_stride(b));
}

static inline WideTouch *
builder_wide_element(const JourneyBuilder *b, size_t i)
{
	Assert(b->wide);
	return (WideTouch *) b->elements + i;
}

#endif /* PGJ_BUILDER_H */
