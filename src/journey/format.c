/*
 * format.c
 *		Readers of the packed journey; format.h describes it byte by byte.
 */
#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "journey/format.h"
#include "journey/view.h"
#include "miscadmin.h"

const int64 journey_unit_usecs[JOURNEY_UNITS] = {
	1, 1000, USECS_PER_SEC, USECS_PER_MINUTE, USECS_PER_HOUR, USECS_PER_DAY,
};

void
journey_corrupt(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("journey is corrupt"),
					errdetail_internal("In the packed value, %s.", what)));
}

/*
 * Open a journey of total bytes of which the first "have" are at data: all of
 * it, or a slice with the header (JOURNEY_HEADER_MAX bytes suffice). Streams
 * are placed where they would be; only those inside the slice may be read.
 */
void
journey_open_head(JourneyView *v, const uint8 *data, size_t have, uint64 total)
{
	const uint8 *p = data + 2;
	const uint8 *end = data + have;
	uint64 n;
	uint64 first;
	uint64 span;
	uint64 labels;
	uint64 dictionary;
	uint64 values = 0;
	uint64 rest;

	/* field by field: clearing all of it would take longer than the rest */
	v->nlabels = 0;
	v->label_width = 1;
	v->dictionary_len = 0;
	v->dictionary_id = 0;
	view_no_extras(v);
	if (have < 3)
		journey_corrupt("the header is cut off");
	if ((data[0] & ~JOURNEY_DETAILS) != JOURNEY_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("unknown journey format version %d", data[0] & ~JOURNEY_DETAILS),
				 errhint("The value may have been written by a newer version of pg_journey.")));
	v->details = (data[0] & JOURNEY_DETAILS) != 0;
	view_flags(v, data[1]);

	p = header_number(p, end, &n);
	if (n > PG_INT32_MAX)
		journey_corrupt("there are too many touchpoints");
	v->n = n;
	if (n == 0)
	{
		if (v->flags != 0 || v->details || total != p - data)
			journey_corrupt("it is empty and yet holds something");
		v->dictionary = v->labels = p;
		view_no_times(v);
		return;
	}

	p = header_number(p, end, &first);
	p = header_number(p, end, &span);
	p = header_number(p, end, &labels);
	p = header_number(p, end, &dictionary);
	view_period(v, unzigzag(first), span);
	if (labels == 0 || labels > n)
		journey_corrupt("the number of labels is impossible");
	p = view_extras(v, p, end, &values);

	/*
	 * Place the streams. No sum can overflow: n is below 2^31, each number
	 * below is at most a small multiple of it, but for the two lengths, which
	 * are checked first.
	 */
	if (dictionary > total || values > total)
		journey_corrupt("a stream is longer than the value");
	v->nlabels = labels;
	v->label_width = label_width(labels);
	v->dictionary_len = dictionary;
	rest = dictionary + n * v->label_width + ef_bytes(&v->times) + view_extras_bytes(v, values);
	if (rest + (p - data) != total)
		journey_corrupt("its length does not agree with its header");

	v->dictionary = p;
	p += dictionary;
	v->labels = p;
	p += n * v->label_width;
	p = ef_place(&v->times, p);
	view_extras_place(v, p, values);
}

/* Open a whole journey. */
void
journey_open(JourneyView *v, const uint8 *data, size_t len)
{
	journey_open_head(v, data, len, len);
}

/* The labels from the n-th on of a pair with a set of details; the number of the next. */
static uint32
set_labels(const JourneyView *v, TouchLabel *labels, uint32 n, const TouchLabel *pair, uint8 set)
{
	for (int i = 0; i < DETAIL_SET_SIZE; i++)
	{
		if ((set >> i & 1) == 0)
			continue;
		if (n >= v->nlabels)
			journey_corrupt("the dictionary has more labels than counted");
		labels[n] = *pair;
		labels[n].detail = detail_set_texts[i];
		labels[n++].detail_len = strlen(detail_set_texts[i]);
	}
	return n;
}

/* The same where the details are told at p, which moves behind them. */
static const uint8 *
list_labels(const JourneyView *v, TouchLabel *labels, uint32 *n, const TouchLabel *pair,
			const uint8 *p)
{
	const uint8 *end = v->dictionary + v->dictionary_len;
	DictionaryPart part;
	uint32 count;

	p = dictionary_list(p, end, v->nlabels - *n, &count);
	for (; count > 0; count--)
	{
		TouchLabel *label = &labels[*n];

		if (count % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		p = dictionary_part(p, end, *n, false, &part);
		*label = *pair;
		label->detail = part.same ? labels[part.earlier].detail : part.text;
		label->detail_len = part.same   ? labels[part.earlier].detail_len
							: part.word ? strlen(part.text)
										: part.len;
		(*n)++;
	}
	return p;
}

/*
 * The labels, an array of v->nlabels palloc'd in the current context; the text
 * stays in the journey (or in the vocabulary).
 */
TouchLabel *
journey_dictionary(const JourneyView *v)
{
	TouchLabel *labels;
	TouchLabel label = {.detail = ""};
	uint32 *written; /* of each pair: its first label + 1, if its action is written out */
	DictionaryPart part = {0};
	const uint8 *p = v->dictionary;
	const uint8 *end = p + v->dictionary_len;
	uint8 sets = 0;
	uint8 set = detail_set_bit("", 0);
	uint32 n = 0;

	dictionary_check_count(v);
	labels = palloc_extended(Max(v->nlabels, 1) * sizeof(TouchLabel), MCXT_ALLOC_HUGE);
	written = palloc_extended(Max(v->nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 pair = 0; n < v->nlabels; pair++)
	{
		if (pair % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (v->details)
			p = dictionary_set(p, end, pair, &sets, &set);
		p = dictionary_part(p, end, pair, true, &part);
		if (!part.same)
		{
			label.channel = part.text;
			label.channel_len = part.word ? strlen(part.text) : part.len;
		}
		p = dictionary_part(p, end, pair, false, &part);
		written[pair] = part.same || part.word ? 0 : n + 1;
		if (part.same)
		{
			if (written[part.earlier] == 0)
				journey_corrupt("a part of a label refers to no earlier one");
			label.action = labels[written[part.earlier] - 1].action;
			label.action_len = labels[written[part.earlier] - 1].action_len;
		}
		else
		{
			label.action = part.text;
			label.action_len = part.word ? strlen(part.text) : part.len;
		}
		if (!v->details)
			labels[n++] = label;
		else if (set != 0)
			n = set_labels(v, labels, n, &label, set);
		else
			p = list_labels(v, labels, &n, &label, p);
	}
	if (p != end)
		journey_corrupt("the dictionary is longer than its labels");
	pfree(written);
	return labels;
}

static inline bool
bitmap_get(const uint8 *bitmap, uint32 i)
{
	return (bitmap[i >> 3] >> (i & 7)) & 1;
}

/* Number of ones among the first n bits. */
static uint32
bitmap_count(const uint8 *bitmap, uint32 n)
{
	uint32 ones = pg_popcount((const char *) bitmap, n / 8);

	if (n % 8 != 0)
		ones += pg_popcount64(bitmap[n / 8] & low_mask(n % 8));
	return ones;
}

/* Read the value at p of the value stream; the place of the next one. */
const uint8 *
journey_read_value(const JourneyView *v, const uint8 *p, Decimal *d)
{
	uint64 mantissa;

	d->scale = v->scale;
	if (v->scale == JOURNEY_SCALE_MIXED)
	{
		if (p >= v->values_end || *p > DECIMAL_DIGITS_MAX)
			journey_corrupt("a value's scale is impossible");
		d->scale = *p++;
	}
	p = leb_read(p, v->values_end, &mantissa);
	if (p == NULL)
		journey_corrupt("a value is cut off or too long");
	d->mantissa = unzigzag(mantissa);
	decimal_normalise(d);
	if (d->mantissa >= decimal_power[DECIMAL_DIGITS_MAX] ||
		d->mantissa <= -decimal_power[DECIMAL_DIGITS_MAX])
		journey_corrupt("a value has too many digits");
	return p;
}

/*
 * Place a cursor before touchpoint i. O(1) at the front; elsewhere times and
 * references are skipped by counting bits, values one by one.
 */
void
journey_start_at(const JourneyView *v, JourneyCursor *c, uint32 i)
{
	c->view = v;
	c->i = i;
	c->nrefs = i;
	c->value = v->values;
	ef_start(&v->times, &c->time);
	ef_start(&v->refs, &c->ref);
	if (i == 0)
		return;
	ef_seek(&v->times, &c->time, i);
	if (v->flags & JOURNEY_VALUES)
	{
		uint32 nvalues = v->value_bitmap ? bitmap_count(v->value_bitmap, i) : i;
		Decimal skipped;

		while (nvalues-- > 0)
			c->value = journey_read_value(v, c->value, &skipped);
	}
	if (v->ref_bitmap)
	{
		c->nrefs = bitmap_count(v->ref_bitmap, i);
		if (c->nrefs > v->nrefs)
			journey_corrupt("there are more references than counted");
	}
	if (v->flags & JOURNEY_REFS_ASCEND)
		ef_seek(&v->refs, &c->ref, c->nrefs);
}

/* Read the reference of touchpoint i, the next one at the cursor; false if it has none. */
static inline bool
read_ref(JourneyCursor *c, uint32 i, int64 *ref)
{
	const JourneyView *v = c->view;
	uint64 offset;

	if (!(v->flags & JOURNEY_REFS) || (v->ref_bitmap && !bitmap_get(v->ref_bitmap, i)))
		return false;
	if (c->nrefs >= v->nrefs)
		journey_corrupt("there are more references than counted");
	if (v->flags & JOURNEY_REFS_ASCEND)
		offset = ef_next(&v->refs, &c->ref);
	else
		offset = array_get(v->refs.low, v->refs.low_len, c->nrefs, v->ref_bits);
	if (offset > v->ref_span)
		journey_corrupt("a reference is larger than the largest");
	*ref = (int64) ((uint64) v->ref_min + offset);
	c->nrefs++;
	return true;
}

/* Read the next touchpoint; false at the end. */
bool
journey_next(JourneyCursor *c, Touch *t)
{
	const JourneyView *v = c->view;
	uint32 i = c->i;

	if (i >= v->n)
		return false;
	c->i++;
	t->label = journey_label_at(v, i);
	t->time = journey_time_from_offset(v, ef_next(&v->times, &c->time));

	t->has_value =
		(v->flags & JOURNEY_VALUES) && (!v->value_bitmap || bitmap_get(v->value_bitmap, i));
	if (t->has_value)
		c->value = journey_read_value(v, c->value, &t->value);

	t->has_ref = read_ref(c, i, &t->ref);
	return true;
}

/*
 * Of the next touchpoint read only the reference; false if it has none. The cursor is
 * of no use to journey_next then.
 */
bool
journey_next_ref(JourneyCursor *c, int64 *ref)
{
	Assert(c->i < c->view->n);
	return read_ref(c, c->i++, ref);
}

/* Number of touchpoints before a time (after: up to and including it). */
uint32
journey_search_time(const JourneyView *v, int64 time, bool after)
{
	EliasFanoCursor c;

	if (v->n == 0 || time < v->first || (time == v->first && !after))
		return 0;
	if (time > v->last || (time == v->last && after))
		return v->n;
	ef_start(&v->times, &c);
	ef_skip(&v->times, &c, journey_offset_from_time(v, after ? time + 1 : time));
	return c.i;
}
