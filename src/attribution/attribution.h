/*
 * attribution.h
 *		Credit for conversions: what is asked, the facts that are kept, and their flat form.
 *
 * A path is counted once, when the journey is read. What every model needs of it are sums
 * that do not depend on the order in which paths come, all of them integers: credits in units
 * of 10^-18, which are of a conversion and of a value the smallest that a touchpoint can have;
 * for Markov how often an item, a conversion or the end followed the last items. So the same
 * journeys make the same value however they were split, and all models are read from it.
 *
 * There are three forms: the facts, as arrays in order (AttrFacts); the flat value, which is the
 * facts written one after the other (facts.c), and what the text and the binary form tell
 * (attribution_io.c); and the state of the aggregate (attribution_state.c).
 */
#ifndef PGJ_ATTRIBUTION_H
#define PGJ_ATTRIBUTION_H

#include "journey/journey.h"

#ifndef HAVE_INT128
#error "pg_journey needs a compiler with 128-bit integers"
#endif

#define ATTRIBUTION_VERSION 1

/* Units of a conversion and of a value. */
#define ATTR_ONE INT64CONST(1000000000000000000)
#define ATTR_DIGITS 18
#define ATTR_SUM_MAX ((int128) PG_INT64_MAX * ATTR_ONE)

#define ATTR_ORDER_MAX 4
#define ATTR_ITEMS_MAX 65000 /* an item is 16 bits of a Markov state */
#define ATTR_TEXT_MAX 2000   /* bytes of an item's text: a label with quotes, and a count */

/* In the order in which they are told. The first are sums for each item. */
typedef enum AttrModel
{
	ATTR_FIRST,
	ATTR_LAST,
	ATTR_LAST_NON_DIRECT,
	ATTR_LINEAR,
	ATTR_POSITION,
	ATTR_J_SHAPE,
	ATTR_INVERSE_J,
	ATTR_TIME_DECAY,
	ATTR_PARTICIPATION,
	ATTR_SHAPLEY,
	ATTR_ORDERED_SHAPLEY,
	ATTR_MARKOV
} AttrModel;

#define ATTR_MODELS (ATTR_MARKOV + 1)
#define ATTR_SUMS (ATTR_SHAPLEY + 1)
#define ATTR_ALL_MODELS ((1 << ATTR_MODELS) - 1)

typedef enum AttrTransform
{
	ATTR_NONE,
	ATTR_EXPOSURE,
	ATTR_FIRST_OF_EACH,
	ATTR_UNIQUE,
	ATTR_FREQUENCY
} AttrTransform;

#define ATTR_TRANSFORMS (ATTR_FREQUENCY + 1)

/* A text that is not terminated. */
typedef struct AttrText
{
	const char *text;
	uint32 len;
} AttrText;

/* What is asked. It is part of the value; values of other questions do not add up. */
typedef struct AttrParams
{
	AttrText conversion; /* patterns */
	AttrText touches;
	uint64 lookback; /* usecs */
	int part;        /* LabelPart: what an item is */
	int order;       /* of Markov */
	uint64 half_life;
	int64 position[3]; /* weights of the first touch, those between, the last; in ATTR_ONE */
	bool reset;
	int64 until; /* DT_NOEND: all paths are decided */
	int transform;
	uint32 ndirect;
	AttrText *direct; /* ascending */
	uint32 models;    /* bits: those that are kept */
	bool paths;       /* are paths kept? */
} AttrParams;

typedef struct AttrSum
{
	int128 conversions;
	int128 value;
} AttrSum;

/* Credit of an item that was the place-th one, from 1, of those on a path to be on it. */
typedef struct AttrPlace
{
	uint32 item;
	uint32 place;
	AttrSum sum;
} AttrPlace;

/*
 * How often an item came after others. Up to ATTR_ORDER_MAX items before, 16 bits each, the
 * last one lowest, 1 + its number.
 */
#define ATTR_TO_CONVERSION 0
#define ATTR_TO_NULL 1
#define ATTR_TO_ITEM 2 /* and its number */

typedef struct AttrGram
{
	uint64 from;
	uint32 to;
	int64 times;
} AttrGram;

/* A path: an item more than another, which is in front of it; the first node is the empty one. */
typedef struct AttrNode
{
	uint32 parent;
	uint32 item;
	int64 conversions;
	int64 nulls;
	int128 value;
} AttrNode;

typedef struct AttrTotals
{
	int64 conversions;
	int64 without_touch; /* of these, not on any path */
	int64 without_value;
	int64 negative;  /* values */
	int64 nulls;     /* paths without a conversion; 0 unless they matter */
	int64 undecided; /* that may still convert */
	int128 value;
	int128 value_without_touch;
} AttrTotals;

typedef struct AttrFacts
{
	AttrParams params;
	AttrTotals totals;
	uint32 nitems;
	AttrText *items;
	AttrSum *sums; /* of each item attr_sums(params) */
	uint32 nplaces;
	AttrPlace *places;
	uint32 ngrams;
	AttrGram *grams;
	uint32 nnodes;
	AttrNode *nodes; /* without the empty path, which is number 0 */
} AttrFacts;

extern const char *const attr_models[ATTR_MODELS];
extern const char *const attr_transforms[ATTR_TRANSFORMS];
extern const char *const attr_parts[PART_LABEL + 1];

static inline bool
attr_keeps(const AttrParams *p, AttrModel model)
{
	return (p->models & 1U << model) != 0;
}

/* Are paths without a conversion needed? */
static inline bool
attr_keeps_nulls(const AttrParams *p)
{
	return attr_keeps(p, ATTR_MARKOV) || p->paths;
}

/* How many sums an item has, and which one is a model's. */
static inline int
attr_sums(const AttrParams *p)
{
	return pg_popcount64(p->models & ((1U << ATTR_SUMS) - 1));
}

static inline int
attr_sum_of(const AttrParams *p, AttrModel model)
{
	return pg_popcount64(p->models & ((1U << model) - 1));
}

static inline uint64
attr_gram_mask(int order)
{
	return low_mask(16 * order);
}

/* The items before, and one more. */
static inline uint64
attr_gram_next(uint64 from, uint32 item, int order)
{
	return (from << 16 | (item + 1)) & attr_gram_mask(order);
}

static inline int
attr_text_cmp(const AttrText *a, const AttrText *b)
{
	int cmp = memcmp(a->text, b->text, Min(a->len, b->len));

	return cmp != 0 ? cmp : a->len < b->len ? -1 : a->len > b->len;
}

extern void attr_corrupt(const char *what) __attribute__((noreturn));
extern void attr_out_of_range(void) __attribute__((noreturn));

/* Sums of values may have too many digits. */
static inline void
attr_add(int128 *sum, int128 x)
{
	if (unlikely(__builtin_add_overflow(*sum, x, sum) || *sum > ATTR_SUM_MAX ||
				 *sum < -ATTR_SUM_MAX))
		attr_out_of_range();
}

/* --- facts.c: reading and writing, field by field --- */

typedef struct AttrIO AttrIO;

/*
 * One of the forms, read or written: what is told is the same in all of them, in the same
 * order. Numbers are checked where they are read.
 */
struct AttrIO
{
	bool reading;
	bool sorted; /* what is read is in order */
	void (*number)(AttrIO *io, const char *key, uint64 *x);
	void (*fixed)(AttrIO *io, const char *key, int128 *x); /* in ATTR_ONE */
	void (*usecs)(AttrIO *io, const char *key, uint64 *x);
	void (*time)(AttrIO *io, const char *key, int64 *x);
	void (*text)(AttrIO *io, const char *key, AttrText *x);
	/* one of some words */
	void (*word)(AttrIO *io, const char *key, const char *const *words, int n, int *x);
	void (*flag)(AttrIO *io, const char *key, bool *x);
	/* elements up to the end of it; each must take a byte at least */
	void (*list)(AttrIO *io, const char *key, uint32 *n);
	void (*object)(AttrIO *io, const char *key);
	void (*end)(AttrIO *io);
};

/* All of it, in front of which the version stands. */
extern void attr_io(AttrIO *io, AttrFacts *facts);

/* Raise if the facts contradict each other. */
extern void attr_facts_check(const AttrFacts *facts);

/* Flat. What is read points into the value. */
extern void attr_facts_read(AttrFacts *facts, const uint8 *data, size_t len);
extern struct varlena *attr_facts_write(const AttrFacts *facts);

/* The facts of a value, which is detoasted for it. */
extern void attr_facts_argument(AttrFacts *facts, Datum d);

/* --- attribution_read.c --- */

/* Raise if it was made without the model. */
extern void attr_must_keep(const AttrFacts *f, AttrModel model);

/* --- attribution_options.c --- */

/* What of an option only tells which conversions are counted. */
typedef struct AttrRange
{
	int64 since;  /* DT_NOBEGIN: all */
	int64 before; /* DT_NOEND */
} AttrRange;

/* Options (NULL: none) of the aggregate; all other parameters are set by the caller. */
extern void attr_options(AttrParams *p, AttrRange *range, Datum options);

extern uint64 attr_lookback(const Interval *lookback);

extern void attr_same_params(const AttrParams *a, const AttrParams *b);

extern AttrModel attr_model_argument(const text *name);

#endif /* PGJ_ATTRIBUTION_H */
