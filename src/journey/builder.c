/*
 * builder.c
 *		Collecting touchpoints in any order, and sorting them.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/builder.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define BUILDER_START_LOG 6

void
builder_init(JourneyBuilder *b, LabelDict *dict, MemoryContext cxt)
{
	b->dict = dict;
	b->elements = MemoryContextAlloc(cxt, 1 << BUILDER_START_LOG);
	b->n = 0;
	b->size_log = BUILDER_START_LOG;
	b->wide = false;
	b->sorted = true;
}

void
builder_free(JourneyBuilder *b)
{
	pfree(b->elements);
}

/* Make room for more elements, wide ones if so asked. */
static pg_noinline void
make_room(JourneyBuilder *b, uint64 more, bool wide)
{
	uint64 n = b->n + more;
	uint64 size = n * (wide ? sizeof(WideTouch) : sizeof(NarrowTouch));
	uint8 size_log = b->size_log;

	if (n > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("journey has too many touchpoints"),
						errdetail("The limit is %d.", PG_INT32_MAX)));
	while ((UINT64CONST(1) << size_log) < size)
		size_log++;
	if (size_log > b->size_log)
	{
		b->elements = repalloc_huge(b->elements, (size_t) 1 << size_log);
		b->size_log = size_log;
	}
	if (wide && !b->wide)
	{
		NarrowTouch *narrow = (NarrowTouch *) b->elements;
		WideTouch *w = (WideTouch *) b->elements;

		for (size_t i = b->n; i-- > 0;)
		{
			NarrowTouch t = narrow[i];

			w[i].narrow = t;
			w[i].mantissa = w[i].ref = 0;
		}
		b->wide = true;
	}
}

static inline void
ensure_room(JourneyBuilder *b, uint64 more, bool wide)
{
	wide |= b->wide;
	if (unlikely(wide != b->wide ||
				 (b->n + more) * builder_stride(b) > ((size_t) 1 << b->size_log)))
		make_room(b, more, wide);
}

void
builder_add(JourneyBuilder *b, const Touch *t)
{
	NarrowTouch *e;

	ensure_room(b, 1, t->has_value || t->has_ref);
	e = builder_element(b, b->n);
	/* logs mostly come in order of time: then there is nothing to sort */
	b->sorted &= b->n == 0 || builder_element(b, b->n - 1)->time < t->time;
	e->time = t->time;
	e->label = t->label;
	e->has_value = t->has_value;
	e->has_ref = t->has_ref;
	e->scale = t->has_value ? t->value.scale : 0;
	if (b->wide)
	{
		WideTouch *w = (WideTouch *) e;

		w->mantissa = t->has_value ? t->value.mantissa : 0;
		w->ref = t->has_ref ? t->ref : 0;
	}
	b->n++;
}

/* The same where all parts of all labels are words of the vocabulary; false if they are not. */
static bool
number_words(const JourneyView *v, LabelDict *dict, uint32 *numbers)
{
	const uint8 *p = v->dictionary;
	uint8 channel = 0;

	if (v->details || v->dictionary_len != 2 * (size_t) v->nlabels)
		return false;
	for (uint32 i = 0; i < v->nlabels; i++, p += 2)
	{
		channel = p[0] ? p[0] : channel;
		if (channel == 0 || p[1] == 0 || (p[0] | p[1]) > VOCABULARY_SIZE)
			return false;
		numbers[i] = label_dict_add_words(dict, channel, p[1]);
	}
	return true;
}

void
journey_number_labels(const JourneyView *v, LabelDict *dict, uint32 *numbers)
{
	TouchLabel *labels;

	if (number_words(v, dict, numbers))
		return;
	labels = journey_dictionary(v);
	for (uint32 i = 0; i < v->nlabels; i++)
	{
		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		numbers[i] = label_dict_add(dict, &labels[i]);
	}
	pfree(labels);
}

uint32 *
journey_intern_labels(const JourneyView *v, LabelDict *dict)
{
	uint32 *numbers;

	dictionary_check_count(v);
	numbers = palloc_extended(Max(v->nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	journey_number_labels(v, dict, numbers);
	return numbers;
}

void
builder_add_touches(JourneyBuilder *b, JourneyCursor *c, const uint32 *numbers, uint32 to)
{
	Touch t;

	if (c->i >= to)
		return;
	ensure_room(b, to - c->i, c->view->flags & (JOURNEY_VALUES | JOURNEY_REFS));
	while (c->i < to && journey_next(c, &t))
	{
		if (c->i % BUILDER_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		t.label = numbers[t.label];
		builder_add(b, &t);
	}
}

void
builder_add_journey(JourneyBuilder *b, const JourneyView *v, uint32 from, uint32 to)
{
	JourneyCursor c;
	uint32 *numbers;

	if (from >= to)
		return;
	numbers = journey_intern_labels(v, b->dict);
	journey_start_at(v, &c, from);
	builder_add_touches(b, &c, numbers, to);
	pfree(numbers);
}

/* Order of touchpoints that have the same time. */
static int
compare_ties(const NarrowTouch *a, const NarrowTouch *b, bool wide, LabelDict *dict)
{
	const WideTouch *wa = (const WideTouch *) a;
	const WideTouch *wb = (const WideTouch *) b;
	int cmp;

	if (wide)
	{
		if (a->has_ref != b->has_ref)
			return a->has_ref ? -1 : 1;
		if (wa->ref != wb->ref)
			return wa->ref < wb->ref ? -1 : 1;
	}
	cmp = label_dict_cmp(dict, a->label, b->label);
	if (cmp != 0 || !wide)
		return cmp;
	if (a->has_value != b->has_value)
		return a->has_value ? -1 : 1;
	return decimal_cmp((Decimal) {wa->mantissa, a->scale}, (Decimal) {wb->mantissa, b->scale});
}

static inline int
compare_narrow(const NarrowTouch *a, const NarrowTouch *b, LabelDict *dict)
{
	if (likely(a->time != b->time))
		return a->time < b->time ? -1 : 1;
	return compare_ties(a, b, false, dict);
}

static inline int
compare_wide(const WideTouch *a, const WideTouch *b, LabelDict *dict)
{
	if (likely(a->narrow.time != b->narrow.time))
		return a->narrow.time < b->narrow.time ? -1 : 1;
	return compare_ties(&a->narrow, &b->narrow, true, dict);
}

#define ST_SORT sort_narrow
#define ST_ELEMENT_TYPE NarrowTouch
#define ST_COMPARE(a, b, dict) compare_narrow(a, b, dict)
#define ST_COMPARE_ARG_TYPE LabelDict
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_wide
#define ST_ELEMENT_TYPE WideTouch
#define ST_COMPARE(a, b, dict) compare_wide(a, b, dict)
#define ST_COMPARE_ARG_TYPE LabelDict
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
builder_sort(JourneyBuilder *b)
{
	if (b->sorted)
		return;
	if (b->wide)
		sort_wide((WideTouch *) b->elements, b->n, b->dict);
	else
		sort_narrow((NarrowTouch *) b->elements, b->n, b->dict);
	b->sorted = true;
}
