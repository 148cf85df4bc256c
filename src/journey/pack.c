/*
 * pack.c
 *		Writing the packed journey that format.h describes.
 *
 * Everything is decided first, so that the result is allocated once and in its
 * exact size, and then written stream by stream.
 */
#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "journey/builder.h"
#include "journey/view.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* What a packing decides before it writes: a view without streams. */
typedef struct Plan
{
	JourneyView view;
	DictionaryPlan dictionary;
	uint64 values_len;
} Plan;

/* Bytes, but the first, of a part that is no word and stands in the dictionary at "code". */
static uint64
plan_part(LabelDict *dict, uint32 part, size_t text_len, uint32 code)
{
	LabelInfo *info = &dict->labels[part];

	if (info->text_stamp == dict->stamp)
		return leb_length(info->text_code);
	info->text_stamp = dict->stamp;
	info->text_code = code;
	return text_len + (text_len > 126);
}

uint64
dictionary_use_bytes(LabelDict *dict, DictionaryPlan *plan, uint32 number, uint32 most)
{
	const LabelInfo *info = &dict->labels[number];
	uint64 bytes = 2;

	if (dict->marks[number].stamp == dict->stamp)
		return 0;
	dictionary_use(dict, plan, number);
	if (info->channel_word == 0)
		bytes += plan_part(dict, info->channel, info->text.channel_len, 0);
	if (info->action_word == 0)
		bytes += plan_part(dict, info->action, info->text.action_len, most);
	/* a share of the sets, of the length of a list of details, and its own place in that */
	if (plan->details)
		bytes += 3;
	if (info->text.detail_len > 0 && info->detail_word == 0)
		bytes += plan_part(dict, info->detail, info->text.detail_len, most);
	return bytes;
}

/*
 * The set of details of the labels that have the same pair as label "code", which
 * end before *end; 0: they must be told.
 */
static uint8
find_set(const LabelDict *dict, uint32 nlabels, uint32 code, uint32 *end)
{
	uint32 pair = dict->labels[dict->used[code]].pair;
	uint8 set = 0;
	bool told = false;

	for (*end = code; *end < nlabels; ++*end)
	{
		const LabelInfo *info = &dict->labels[dict->used[*end]];

		if (info->pair != pair)
			break;
		told |= info->detail_bit == 0;
		set |= info->detail_bit;
	}
	return told ? 0 : set;
}

/* Bytes of the list of details of these labels. */
static uint64
plan_list(LabelDict *dict, uint32 code, uint32 end)
{
	uint64 len = leb_length(end - code) + (end - code);

	for (; code < end; code++)
	{
		LabelInfo *info = &dict->labels[dict->used[code]];

		if (info->text.detail_len > 0 && info->detail_word == 0)
			len += plan_part(dict, info->detail, info->text.detail_len, code);
	}
	return len;
}

void
dictionary_plan(LabelDict *dict, DictionaryPlan *plan)
{
	uint32 channel_before = PG_UINT32_MAX;
	uint32 npairs = 0;
	uint64 len = 0;

	plan->details = false;
	label_dict_sort_used(dict, plan->nlabels);
	for (uint32 code = 0; code < plan->nlabels; npairs++)
	{
		LabelInfo *info = &dict->labels[dict->used[code]];
		uint32 end = code;

		len += 2;
		if (info->channel_word == 0 && info->channel != channel_before)
			len += info->text.channel_len + (info->text.channel_len > 126);
		if (info->action_word == 0)
			len += plan_part(dict, info->action, info->text.action_len, npairs);
		channel_before = info->channel;
		if (find_set(dict, plan->nlabels, code, &end) == 0)
			len += plan_list(dict, code, end);
		for (; code < end; code++)
		{
			dict->marks[dict->used[code]].code = code;
			plan->details |= dict->labels[dict->used[code]].text.detail_len > 0;
		}
	}
	if (plan->details)
		len += (npairs + 1) / 2;
	plan->len = len;
}

/* Find the journey's labels, number them in order, and measure the dictionary. */
static void
plan_labels(JourneyBuilder *b, DictionaryPlan *plan)
{
	size_t step = builder_stride(b);
	const char *e = b->elements;

	dictionary_start(b->dict, plan);
	for (uint32 i = 0; i < b->n; i++, e += step)
		dictionary_use(b->dict, plan, ((const NarrowTouch *) e)->label);
	dictionary_plan(b->dict, plan);
}

static uint8 *
write_text(uint8 *p, const char *text, size_t len)
{
	if (len <= 126)
		*p++ = 128 + len;
	else
	{
		*p++ = 255;
		*p++ = len - 127;
	}
	memcpy(p, text, len);
	return p + len;
}

/* An action or a detail that stands at "code", as plan_part has found. */
static uint8 *
write_part(uint8 *p, const LabelInfo *part, uint8 word, const char *text, size_t len, uint32 code)
{
	if (word != 0)
		*p++ = word;
	else if (part->text_code != code)
	{
		*p++ = 0;
		p = leb_write(p, part->text_code);
	}
	else
		p = write_text(p, text, len);
	return p;
}

static uint8 *
write_list(uint8 *p, const LabelDict *dict, uint32 code, uint32 end)
{
	p = leb_write(p, end - code);
	for (; code < end; code++)
	{
		const LabelInfo *info = &dict->labels[dict->used[code]];

		if (info->text.detail_len == 0)
			p = write_text(p, "", 0);
		else
			p = write_part(p, &dict->labels[info->detail], info->detail_word, info->text.detail,
						   info->text.detail_len, code);
	}
	return p;
}

uint8 *
dictionary_write(uint8 *p, const LabelDict *dict, const DictionaryPlan *plan)
{
	uint32 channel_before = PG_UINT32_MAX;
	uint8 *sets = NULL;
	uint32 end;

	for (uint32 code = 0, pair = 0; code < plan->nlabels; code = end, pair++)
	{
		const LabelInfo *info = &dict->labels[dict->used[code]];
		uint8 set = find_set(dict, plan->nlabels, code, &end);

		if (plan->details && pair % 2 == 0)
		{
			sets = p++;
			*sets = set;
		}
		else if (plan->details)
			*sets |= set << 4;

		if (info->channel == channel_before)
			*p++ = 0;
		else if (info->channel_word != 0)
			*p++ = info->channel_word;
		else
			p = write_text(p, info->text.channel, info->text.channel_len);
		p = write_part(p, &dict->labels[info->action], info->action_word, info->text.action,
					   info->text.action_len, pair);
		channel_before = info->channel;
		if (set == 0)
			p = write_list(p, dict, code, end);
	}
	return p;
}

/* First touchpoint from i on whose time is no multiple of the unit. */
#define SKIP_MULTIPLES(usecs)                                                                      \
	for (; i < b->n && ((const NarrowTouch *) e)->time % (usecs) == 0; i++, e += step)             \
		;

/*
 * The coarsest unit that divides all times. Each unit divides the next, so a
 * time that a coarser one divides needs no second look; and the divisors are
 * constants, which is several times faster than a variable.
 */
static int
find_unit(JourneyBuilder *b)
{
	size_t step = builder_stride(b);
	const char *e = b->elements;
	uint32 i = 0;

	SKIP_MULTIPLES(USECS_PER_DAY);
	if (i == b->n)
		return 5;
	SKIP_MULTIPLES(USECS_PER_HOUR);
	if (i == b->n)
		return 4;
	SKIP_MULTIPLES(USECS_PER_MINUTE);
	if (i == b->n)
		return 3;
	SKIP_MULTIPLES(USECS_PER_SEC);
	if (i == b->n)
		return 2;
	SKIP_MULTIPLES(INT64CONST(1000));
	return i == b->n ? 1 : 0;
}

static inline uint64
time_offset(int64 time, int64 first, int unit)
{
	uint64 usecs = (uint64) time - (uint64) first;

	switch (unit)
	{
		case 0:
			return usecs;
		case 1:
			return usecs / 1000;
		case 2:
			return usecs / USECS_PER_SEC;
		case 3:
			return usecs / USECS_PER_MINUTE;
		case 4:
			return usecs / USECS_PER_HOUR;
		default:
			return usecs / USECS_PER_DAY;
	}
}

/* Decide on values and references, which only wide elements have. */
static void
plan_wide(JourneyBuilder *b, Plan *plan)
{
	JourneyView *v = &plan->view;
	uint32 nvalues = 0;
	int64 ref_max = 0;
	int64 ref_before = 0;
	bool ascend = true;

	for (uint32 i = 0; i < b->n; i++)
	{
		const WideTouch *w = builder_wide_element(b, i);

		if (w->narrow.has_value)
		{
			nvalues++;
			v->scale = Max(v->scale, w->narrow.scale);
		}
		if (w->narrow.has_ref)
		{
			if (v->nrefs++ == 0)
				v->ref_min = ref_max = ref_before = w->ref;
			v->ref_min = Min(v->ref_min, w->ref);
			ref_max = Max(ref_max, w->ref);
			ascend &= w->ref >= ref_before;
			ref_before = w->ref;
		}
	}

	if (nvalues > 0)
	{
		v->flags |= JOURNEY_VALUES | (nvalues < b->n ? JOURNEY_VALUE_NULLS : 0);

		/* one scale for all, unless a value would not fit with it */
		for (uint32 i = 0; i < b->n; i++)
		{
			const WideTouch *w = builder_wide_element(b, i);
			int64 scaled;

			if (w->narrow.has_value &&
				pg_mul_s64_overflow(w->mantissa, decimal_power[v->scale - w->narrow.scale],
									&scaled))
			{
				v->scale = JOURNEY_SCALE_MIXED;
				plan->values_len = 0;
				break;
			}
			if (w->narrow.has_value)
				plan->values_len += leb_length(zigzag(scaled));
		}
		if (v->scale == JOURNEY_SCALE_MIXED)
			for (uint32 i = 0; i < b->n; i++)
			{
				const WideTouch *w = builder_wide_element(b, i);

				if (w->narrow.has_value)
					plan->values_len += 1 + leb_length(zigzag(w->mantissa));
			}
	}

	if (v->nrefs > 0)
	{
		v->flags |= JOURNEY_REFS | (v->nrefs < b->n ? JOURNEY_REF_NULLS : 0);
		v->ref_span = (uint64) ref_max - (uint64) v->ref_min;
		if (ascend)
		{
			v->flags |= JOURNEY_REFS_ASCEND;
			ef_layout(&v->refs, v->nrefs, v->ref_span);
		}
		else
		{
			v->ref_bits = bits_for(v->ref_span);
			v->refs.low_len = array_bytes(v->nrefs, v->ref_bits);
		}
	}
}

static void
write_values(JourneyBuilder *b, const JourneyView *v, uint8 *bitmap, uint8 *p)
{
	for (uint32 i = 0; i < b->n; i++)
	{
		const WideTouch *w = builder_wide_element(b, i);

		if (!w->narrow.has_value)
			continue;
		if (v->flags & JOURNEY_VALUE_NULLS)
			bitmap[i >> 3] |= 1 << (i & 7);
		if (v->scale == JOURNEY_SCALE_MIXED)
		{
			*p++ = w->narrow.scale;
			p = leb_write(p, zigzag(w->mantissa));
		}
		else
			p = leb_write(p, zigzag(w->mantissa * decimal_power[v->scale - w->narrow.scale]));
	}
}

static void
write_refs(JourneyBuilder *b, const JourneyView *v, uint8 *bitmap, uint8 *p)
{
	bool ascend = v->flags & JOURNEY_REFS_ASCEND;
	EliasFanoWriter ef;
	BitWriter array = {.p = p};

	ef_writer_start(&ef, &v->refs, p);
	for (uint32 i = 0; i < b->n; i++)
	{
		const WideTouch *w = builder_wide_element(b, i);
		uint64 offset = (uint64) w->ref - (uint64) v->ref_min;

		if (!w->narrow.has_ref)
			continue;
		if (v->flags & JOURNEY_REF_NULLS)
			bitmap[i >> 3] |= 1 << (i & 7);
		if (ascend)
			ef_write(&ef, offset);
		else
			bits_write(&array, offset, v->ref_bits);
	}
	if (ascend)
		ef_finish(&ef);
	else
		bits_finish(&array);
}

static void
write_labels_and_times(JourneyBuilder *b, const JourneyView *v, uint8 *labels, uint8 *times)
{
	const LabelMark *marks = b->dict->marks;
	size_t step = builder_stride(b);
	const char *p = b->elements;
	int64 first = ((const NarrowTouch *) p)->time;
	int unit = v->flags & JOURNEY_UNIT_MASK;
	EliasFanoWriter ef;

	ef_writer_start(&ef, &v->times, times);
	for (uint32 i = 0; i < b->n; i++, p += step)
	{
		const NarrowTouch *e = (const NarrowTouch *) p;
		uint32 code = marks[e->label].code;

		if (i % BUILDER_INTERRUPT_EVERY == BUILDER_INTERRUPT_EVERY - 1)
			CHECK_FOR_INTERRUPTS();
		*labels++ = (uint8) code;
		if (unlikely(v->label_width > 1))
		{
			*labels++ = (uint8) (code >> 8);
			if (v->label_width > 2)
			{
				*labels++ = (uint8) (code >> 16);
				*labels++ = (uint8) (code >> 24);
			}
		}
		ef_write(&ef, time_offset(e->time, first, unit));
	}
	ef_finish(&ef);
}

uint8 *
extras_write_head(uint8 *p, const JourneyView *v, uint64 values_len)
{
	if (v->flags & JOURNEY_VALUES)
	{
		*p++ = v->scale;
		p = leb_write(p, values_len);
	}
	if (v->flags & JOURNEY_REFS)
	{
		if (v->flags & JOURNEY_REF_NULLS)
			p = leb_write(p, v->nrefs);
		p = leb_write(p, zigzag(v->ref_min));
		p = leb_write(p, v->ref_span);
	}
	return p;
}

/* The zeroed result with header and dictionary; labels stand at *p. */
static struct varlena *
start_result(const Plan *plan, const LabelDict *dict, uint8 **p)
{
	const JourneyView *v = &plan->view;
	uint8 header[JOURNEY_HEADER_MAX];
	uint8 *h = header;
	struct varlena *result;
	uint64 size;

	*h++ = JOURNEY_VERSION | (plan->dictionary.details ? JOURNEY_DETAILS : 0);
	*h++ = v->flags;
	h = leb_write(h, v->n);
	if (v->n > 0)
	{
		h = leb_write(h, zigzag(v->first / v->unit));
		h = leb_write(h, v->times.span);
		h = leb_write(h, plan->dictionary.nlabels);
		h = leb_write(h, plan->dictionary.len);
		h = extras_write_head(h, v, plan->values_len);
	}
	size = VARHDRSZ + (h - header) + plan->dictionary.len + (uint64) v->n * v->label_width +
		   ef_bytes(&v->times) + plan->values_len + ef_bytes(&v->refs) +
		   (v->flags & JOURNEY_VALUE_NULLS ? view_bitmap_bytes(v) : 0) +
		   (v->flags & JOURNEY_REF_NULLS ? view_bitmap_bytes(v) : 0);
	if (size > MaxAllocSize)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("journey is too large"),
						errdetail("Its %u touchpoints would take " UINT64_FORMAT
								  " bytes, the limit is %zu.",
								  v->n, size, (size_t) MaxAllocSize)));
	result = palloc0(size);
	SET_VARSIZE(result, size);
	memcpy(VARDATA(result), header, h - header);
	*p = dictionary_write((uint8 *) VARDATA(result) + (h - header), dict, &plan->dictionary);
	return result;
}

struct varlena *
builder_pack(JourneyBuilder *b)
{
	Plan plan = {0};
	JourneyView *v = &plan.view;
	struct varlena *result;
	uint8 *labels;
	uint8 *bits;
	uint8 *p;
	int unit;

	v->n = b->n;
	if (b->n == 0)
		return start_result(&plan, b->dict, &p);
	label_dict_rank(b->dict);
	builder_sort(b);
	CHECK_FOR_INTERRUPTS();
	plan_labels(b, &plan.dictionary);
	v->label_width = label_width(plan.dictionary.nlabels);
	CHECK_FOR_INTERRUPTS();
	unit = find_unit(b);
	v->flags = unit;
	v->unit = journey_unit_usecs[unit];
	v->first = builder_element(b, 0)->time;
	ef_layout(&v->times, b->n, time_offset(builder_element(b, b->n - 1)->time, v->first, unit));
	if (b->wide)
		plan_wide(b, &plan);
	CHECK_FOR_INTERRUPTS();

	result = start_result(&plan, b->dict, &labels);
	p = labels + (size_t) b->n * v->label_width;
	write_labels_and_times(b, v, labels, p);
	p += ef_bytes(&v->times);
	if (v->flags & JOURNEY_VALUES)
	{
		bits = p;
		p += v->flags & JOURNEY_VALUE_NULLS ? view_bitmap_bytes(v) : 0;
		write_values(b, v, bits, p);
		p += plan.values_len;
	}
	if (v->flags & JOURNEY_REFS)
	{
		bits = p;
		p += v->flags & JOURNEY_REF_NULLS ? view_bitmap_bytes(v) : 0;
		write_refs(b, v, bits, p);
	}
	return result;
}

void
labels_write(uint8 *p, int width, const JourneyView *v, const uint32 *numbers,
			 const LabelMark *marks)
{
	for (uint32 i = 0; i < v->n; i++)
	{
		uint32 code = marks[numbers[journey_label_at(v, i)]].code;

		if (i % BUILDER_INTERRUPT_EVERY == BUILDER_INTERRUPT_EVERY - 1)
			CHECK_FOR_INTERRUPTS();
		*p++ = (uint8) code;
		if (unlikely(width > 1))
		{
			*p++ = (uint8) (code >> 8);
			if (width > 2)
			{
				*p++ = (uint8) (code >> 16);
				*p++ = (uint8) (code >> 24);
			}
		}
	}
}

struct varlena *
view_pack(const JourneyView *v, LabelDict *dict, const uint32 *numbers)
{
	Plan plan = {.view = *v};
	struct varlena *result;
	uint8 *p;

	plan.values_len = v->values_end - v->values;
	dictionary_start(dict, &plan.dictionary);
	for (uint32 i = 0; i < v->n; i++)
	{
		if (i % BUILDER_INTERRUPT_EVERY == BUILDER_INTERRUPT_EVERY - 1)
			CHECK_FOR_INTERRUPTS();
		dictionary_use(dict, &plan.dictionary, numbers[journey_label_at(v, i)]);
	}
	dictionary_plan(dict, &plan.dictionary);
	plan.view.label_width = label_width(plan.dictionary.nlabels);
	result = start_result(&plan, dict, &p);
	labels_write(p, plan.view.label_width, v, numbers, dict->marks);
	p += (size_t) v->n * plan.view.label_width;
	p = view_copy(p, v->times.low, ef_bytes(&v->times));
	view_copy(p, view_extras_start(v), view_extras_len(v));
	return result;
}

/*
 * Every choice of the format is determined by the touchpoints, so a journey is
 * sound exactly if reading and packing it gives the same bytes.
 */
void
journey_check(const JourneyView *v, const uint8 *data, size_t len)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "journey check", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	JourneyBuilder b;
	struct varlena *again;

	builder_init(&b, label_dict_create(cxt), cxt);
	builder_add_journey(&b, v, 0, v->n);
	again = builder_pack(&b);
	if (VARSIZE(again) - VARHDRSZ != len || memcmp(VARDATA(again), data, len) != 0)
		journey_corrupt("the touchpoints are not packed as they should be");
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}
