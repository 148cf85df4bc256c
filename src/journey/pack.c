/*
 * pack.c
 *		Writing the packed journey that format.h describes.
 *
 * Everything is decided first, so that the result is allocated once and in its
 * exact size, and then written stream by stream.
 */
#include "postgres.h"

#include "common/int.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "journey/builder.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* What a packing decides before it writes. */
typedef struct Plan
{
	uint8 flags;
	bool details;
	uint32 nlabels;
	uint8 label_width;
	uint64 dictionary_len;
	int64 unit;
	EliasFano times;
	uint8 scale;
	uint64 values_len;
	uint32 nrefs;
	int64 ref_min;
	uint64 ref_span;
	EliasFano refs;
	int ref_bits;
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

/*
 * Find the journey's labels, number them in order, and measure the dictionary.
 */
static void
plan_labels(JourneyBuilder *b, Plan *plan)
{
	LabelDict *dict = b->dict;
	size_t step = builder_stride(b);
	const char *e = b->elements;
	uint32 channel_before = PG_UINT32_MAX;
	uint32 npairs = 0;
	uint64 len = 0;
	LabelMark *marks = dict->marks;
	uint32 stamp;

	label_dict_new_stamp(dict);
	stamp = dict->stamp;
	plan->nlabels = 0;
	for (uint32 i = 0; i < b->n; i++, e += step)
	{
		uint32 number = ((const NarrowTouch *) e)->label;
		LabelMark *mark = &marks[number];

		if (mark->stamp != stamp)
		{
			mark->stamp = stamp;
			dict->used[plan->nlabels++] = number;
		}
	}
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
			marks[dict->used[code]].code = code;
			plan->details |= dict->labels[dict->used[code]].text.detail_len > 0;
		}
	}
	if (plan->details)
		len += (npairs + 1) / 2;
	plan->dictionary_len = len;
	plan->label_width = plan->nlabels <= 256 ? 1 : plan->nlabels <= 65536 ? 2 : 4;
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

static uint8 *
write_dictionary(uint8 *p, const LabelDict *dict, const Plan *plan)
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
			plan->scale = Max(plan->scale, w->narrow.scale);
		}
		if (w->narrow.has_ref)
		{
			if (plan->nrefs++ == 0)
				plan->ref_min = ref_max = ref_before = w->ref;
			plan->ref_min = Min(plan->ref_min, w->ref);
			ref_max = Max(ref_max, w->ref);
			ascend &= w->ref >= ref_before;
			ref_before = w->ref;
		}
	}

	if (nvalues > 0)
	{
		plan->flags |= JOURNEY_VALUES | (nvalues < b->n ? JOURNEY_VALUE_NULLS : 0);

		/* one scale for all, unless a value would not fit with it */
		for (uint32 i = 0; i < b->n; i++)
		{
			const WideTouch *w = builder_wide_element(b, i);
			int64 scaled;

			if (w->narrow.has_value &&
				pg_mul_s64_overflow(w->mantissa, decimal_power[plan->scale - w->narrow.scale],
									&scaled))
			{
				plan->scale = JOURNEY_SCALE_MIXED;
				plan->values_len = 0;
				break;
			}
			if (w->narrow.has_value)
				plan->values_len += leb_length(zigzag(scaled));
		}
		if (plan->scale == JOURNEY_SCALE_MIXED)
			for (uint32 i = 0; i < b->n; i++)
			{
				const WideTouch *w = builder_wide_element(b, i);

				if (w->narrow.has_value)
					plan->values_len += 1 + leb_length(zigzag(w->mantissa));
			}
	}

	if (plan->nrefs > 0)
	{
		plan->flags |= JOURNEY_REFS | (plan->nrefs < b->n ? JOURNEY_REF_NULLS : 0);
		plan->ref_span = (uint64) ref_max - (uint64) plan->ref_min;
		if (ascend)
		{
			plan->flags |= JOURNEY_REFS_ASCEND;
			ef_layout(&plan->refs, plan->nrefs, plan->ref_span);
		}
		else
		{
			plan->ref_bits = bits_for(plan->ref_span);
			plan->refs.low_len = array_bytes(plan->nrefs, plan->ref_bits);
		}
	}
}

/*
 * Writes an Elias-Fano section, numbers in order. The unary part is collected
 * in a word that is stored when the next one begins.
 */
typedef struct EliasFanoWriter
{
	const EliasFano *ef;
	BitWriter low;
	uint8 *high;
	uint64 word;
	uint64 word_start; /* its place, in bits */
	uint64 i;
} EliasFanoWriter;

static void
ef_writer_start(EliasFanoWriter *w, const EliasFano *ef, uint8 *p)
{
	memset(w, 0, sizeof(*w));
	w->ef = ef;
	w->low.p = p;
	w->high = p + ef->low_len;
}

static inline void
ef_write(EliasFanoWriter *w, uint64 x)
{
	uint64 i = w->i++;
	uint64 bit;

	if (i == 0 || i + 1 >= w->ef->n)
		return;
	bit = (x >> w->ef->bits) + (i - 1);
	if (bit - w->word_start >= 64)
	{
		/* ones follow behind this word, so all of its bytes are the section's */
		store64(w->high + w->word_start / 8, w->word);
		w->word_start = bit & ~UINT64CONST(63);
		w->word = 0;
	}
	w->word |= UINT64CONST(1) << (bit & 63);
	bits_write(&w->low, x, w->ef->bits);
}

static void
ef_finish(EliasFanoWriter *w)
{
	uint8 *p = w->high + w->word_start / 8;

	for (; w->word != 0; w->word >>= 8)
		*p++ = (uint8) w->word;
	bits_finish(&w->low);
}

static void
write_values(JourneyBuilder *b, const Plan *plan, uint8 *bitmap, uint8 *p)
{
	for (uint32 i = 0; i < b->n; i++)
	{
		const WideTouch *w = builder_wide_element(b, i);

		if (!w->narrow.has_value)
			continue;
		if (plan->flags & JOURNEY_VALUE_NULLS)
			bitmap[i >> 3] |= 1 << (i & 7);
		if (plan->scale == JOURNEY_SCALE_MIXED)
		{
			*p++ = w->narrow.scale;
			p = leb_write(p, zigzag(w->mantissa));
		}
		else
			p = leb_write(p, zigzag(w->mantissa * decimal_power[plan->scale - w->narrow.scale]));
	}
}

static void
write_refs(JourneyBuilder *b, const Plan *plan, uint8 *bitmap, uint8 *p)
{
	bool ascend = plan->flags & JOURNEY_REFS_ASCEND;
	EliasFanoWriter ef;
	BitWriter array = {.p = p};

	ef_writer_start(&ef, &plan->refs, p);
	for (uint32 i = 0; i < b->n; i++)
	{
		const WideTouch *w = builder_wide_element(b, i);
		uint64 offset = (uint64) w->ref - (uint64) plan->ref_min;

		if (!w->narrow.has_ref)
			continue;
		if (plan->flags & JOURNEY_REF_NULLS)
			bitmap[i >> 3] |= 1 << (i & 7);
		if (ascend)
			ef_write(&ef, offset);
		else
			bits_write(&array, offset, plan->ref_bits);
	}
	if (ascend)
		ef_finish(&ef);
	else
		bits_finish(&array);
}

static void
write_labels_and_times(JourneyBuilder *b, const Plan *plan, uint8 *labels, uint8 *times)
{
	const LabelMark *marks = b->dict->marks;
	size_t step = builder_stride(b);
	const char *p = b->elements;
	int64 first = ((const NarrowTouch *) p)->time;
	int unit = plan->flags & JOURNEY_UNIT_MASK;
	EliasFanoWriter ef;

	ef_writer_start(&ef, &plan->times, times);
	for (uint32 i = 0; i < b->n; i++, p += step)
	{
		const NarrowTouch *e = (const NarrowTouch *) p;
		uint32 code = marks[e->label].code;

		if (i % BUILDER_INTERRUPT_EVERY == BUILDER_INTERRUPT_EVERY - 1)
			CHECK_FOR_INTERRUPTS();
		*labels++ = (uint8) code;
		if (unlikely(plan->label_width > 1))
		{
			*labels++ = (uint8) (code >> 8);
			if (plan->label_width > 2)
			{
				*labels++ = (uint8) (code >> 16);
				*labels++ = (uint8) (code >> 24);
			}
		}
		ef_write(&ef, time_offset(e->time, first, unit));
	}
	ef_finish(&ef);
}

struct varlena *
builder_pack(JourneyBuilder *b)
{
	Plan plan = {0};
	uint8 header[JOURNEY_HEADER_MAX];
	uint8 *p = header;
	struct varlena *result;
	uint64 size;
	uint64 bitmap = ((uint64) b->n + 7) / 8;

	*p++ = JOURNEY_VERSION;
	*p++ = 0;
	p = leb_write(p, b->n);
	if (b->n > 0)
	{
		int64 first;
		int64 last;
		int unit;

		label_dict_rank(b->dict);
		builder_sort(b);
		CHECK_FOR_INTERRUPTS();
		plan_labels(b, &plan);
		CHECK_FOR_INTERRUPTS();
		unit = find_unit(b);
		plan.flags = unit;
		plan.unit = journey_unit_usecs[unit];
		first = builder_element(b, 0)->time;
		last = builder_element(b, b->n - 1)->time;
		ef_layout(&plan.times, b->n, time_offset(last, first, unit));
		if (b->wide)
			plan_wide(b, &plan);
		CHECK_FOR_INTERRUPTS();

		header[0] |= plan.details ? JOURNEY_DETAILS : 0;
		header[1] = plan.flags;
		p = leb_write(p, zigzag(first / plan.unit));
		p = leb_write(p, plan.times.span);
		p = leb_write(p, plan.nlabels);
		p = leb_write(p, plan.dictionary_len);
		if (plan.flags & JOURNEY_VALUES)
		{
			*p++ = plan.scale;
			p = leb_write(p, plan.values_len);
		}
		if (plan.flags & JOURNEY_REFS)
		{
			if (plan.flags & JOURNEY_REF_NULLS)
				p = leb_write(p, plan.nrefs);
			p = leb_write(p, zigzag(plan.ref_min));
			p = leb_write(p, plan.ref_span);
		}
	}

	size = VARHDRSZ + (p - header) + plan.dictionary_len + (uint64) b->n * plan.label_width +
		   ef_bytes(&plan.times) + plan.values_len + ef_bytes(&plan.refs) +
		   (plan.flags & JOURNEY_VALUE_NULLS ? bitmap : 0) +
		   (plan.flags & JOURNEY_REF_NULLS ? bitmap : 0);
	if (size > MaxAllocSize)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("journey is too large"),
						errdetail("Its %u touchpoints would take " UINT64_FORMAT
								  " bytes, the limit is %zu.",
								  b->n, size, (size_t) MaxAllocSize)));
	result = palloc0(size);
	SET_VARSIZE(result, size);
	memcpy(VARDATA(result), header, p - header);
	if (b->n > 0)
	{
		uint8 *labels;
		uint8 *bits;

		labels = write_dictionary((uint8 *) VARDATA(result) + (p - header), b->dict, &plan);
		p = labels + (size_t) b->n * plan.label_width;
		write_labels_and_times(b, &plan, labels, p);
		p += ef_bytes(&plan.times);
		if (plan.flags & JOURNEY_VALUES)
		{
			bits = p;
			p += plan.flags & JOURNEY_VALUE_NULLS ? bitmap : 0;
			write_values(b, &plan, bits, p);
			p += plan.values_len;
		}
		if (plan.flags & JOURNEY_REFS)
		{
			bits = p;
			p += plan.flags & JOURNEY_REF_NULLS ? bitmap : 0;
			write_refs(b, &plan, bits, p);
		}
	}
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
