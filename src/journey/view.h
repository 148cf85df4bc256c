/*
 * view.h
 *		Opening a JourneyView part by part: what a journey of its own and one in a block share.
 *
 * Inline, because a query opens every journey of a table.
 */
#ifndef PGJ_VIEW_H
#define PGJ_VIEW_H

#include "common/int.h"
#include "datatype/timestamp.h"
#include "journey/format.h"

static inline const uint8 *
header_number(const uint8 *p, const uint8 *end, uint64 *x)
{
	if (likely(p < end && *p < 0x80))
	{
		*x = *p;
		return p + 1;
	}
	p = leb_read_word(p, end, x);
	if (unlikely(p == NULL))
		journey_corrupt("a number of the header is cut off or too long");
	return p;
}

static inline uint8
label_width(uint64 labels)
{
	return labels <= 256 ? 1 : labels <= 65536 ? 2 : 4;
}

static inline void
view_flags(JourneyView *v, uint8 flags)
{
	if ((flags & JOURNEY_UNIT_MASK) >= JOURNEY_UNITS ||
		((flags & JOURNEY_VALUE_NULLS) && !(flags & JOURNEY_VALUES)) ||
		((flags & (JOURNEY_REF_NULLS | JOURNEY_REFS_ASCEND)) && !(flags & JOURNEY_REFS)))
		journey_corrupt("flags are set that exclude each other");
	v->flags = flags;
	v->unit = journey_unit_usecs[flags & JOURNEY_UNIT_MASK];
}

static inline void
view_no_times(JourneyView *v)
{
	v->unit = 1;
	v->first = v->last = 0;
	ef_layout(&v->times, 0, 0);
}

/* Of v->n touchpoints, at least one, in v->unit: their period, and the layout of their times. */
static inline void
view_period(JourneyView *v, int64 first, uint64 span)
{
	uint64 usecs;

	/* the whole range of timestamptz has more microseconds than an int64 */
	if (pg_mul_s64_overflow(first, v->unit, &v->first) || !IS_VALID_TIMESTAMP(v->first) ||
		pg_mul_u64_overflow(span, v->unit, &usecs) ||
		usecs > (uint64) END_TIMESTAMP - 1 - (uint64) v->first)
		journey_corrupt("its period is out of range");
	v->last = (int64) ((uint64) v->first + usecs);
	ef_layout(&v->times, v->n, span);
}

static inline void
view_no_extras(JourneyView *v)
{
	v->scale = 0;
	v->nrefs = 0;
	v->ref_bits = 0;
	v->ref_min = 0;
	v->ref_span = 0;
	v->value_bitmap = v->ref_bitmap = NULL;
	v->values = v->values_end = NULL;
	v->refs.n = v->refs.span = v->refs.low_len = v->refs.high_len = 0;
	v->refs.bits = 0;
	v->refs.low = v->refs.high = NULL;
}

/* Read at p what a header has of values and references, where v->flags say so. */
static inline const uint8 *
view_extras(JourneyView *v, const uint8 *p, const uint8 *end, uint64 *values)
{
	if (v->flags & JOURNEY_VALUES)
	{
		if (p >= end)
			journey_corrupt("the header is cut off");
		v->scale = *p++;
		if (v->scale > DECIMAL_DIGITS_MAX && v->scale != JOURNEY_SCALE_MIXED)
			journey_corrupt("the scale of values is impossible");
		p = header_number(p, end, values);
	}
	if (v->flags & JOURNEY_REFS)
	{
		uint64 nrefs = v->n;
		uint64 ref_min;

		if (v->flags & JOURNEY_REF_NULLS)
			p = header_number(p, end, &nrefs);
		p = header_number(p, end, &ref_min);
		p = header_number(p, end, &v->ref_span);
		if (nrefs == 0 || nrefs > v->n || ((v->flags & JOURNEY_REF_NULLS) && nrefs == v->n))
			journey_corrupt("the number of references is impossible");
		v->nrefs = nrefs;
		v->ref_min = unzigzag(ref_min);
		if (v->ref_span > (uint64) PG_INT64_MAX - (uint64) v->ref_min)
			journey_corrupt("the references are out of range");
	}
	return p;
}

static inline uint64
view_bitmap_bytes(const JourneyView *v)
{
	return ((uint64) v->n + 7) / 8;
}

/* Lay them out; the bytes they take, of which the values have so many. */
static inline uint64
view_extras_bytes(JourneyView *v, uint64 values)
{
	uint64 bytes = 0;

	if (v->flags & JOURNEY_VALUES)
		bytes = values + (v->flags & JOURNEY_VALUE_NULLS ? view_bitmap_bytes(v) : 0);
	if (v->flags & JOURNEY_REFS)
	{
		if (v->flags & JOURNEY_REFS_ASCEND)
			ef_layout(&v->refs, v->nrefs, v->ref_span);
		else
		{
			v->ref_bits = bits_for(v->ref_span);
			v->refs.low_len = array_bytes(v->nrefs, v->ref_bits);
		}
		bytes += ef_bytes(&v->refs) + (v->flags & JOURNEY_REF_NULLS ? view_bitmap_bytes(v) : 0);
	}
	return bytes;
}

/* They stand at p. */
static inline void
view_extras_place(JourneyView *v, const uint8 *p, uint64 values)
{
	if (v->flags & JOURNEY_VALUE_NULLS)
	{
		v->value_bitmap = p;
		p += view_bitmap_bytes(v);
	}
	v->values = p;
	p += values;
	v->values_end = p;
	if (v->flags & JOURNEY_REF_NULLS)
	{
		v->ref_bitmap = p;
		p += view_bitmap_bytes(v);
	}
	ef_place(&v->refs, p);
}

/* All their bytes, which stand together. */
static inline const uint8 *
view_extras_start(const JourneyView *v)
{
	return v->value_bitmap ? v->value_bitmap : v->values;
}

static inline size_t
view_extras_len(const JourneyView *v)
{
	return v->refs.low + ef_bytes(&v->refs) - view_extras_start(v);
}

/* Copy to p, and go on behind it; from may be NULL where there is nothing. */
static inline uint8 *
view_copy(uint8 *p, const uint8 *from, size_t len)
{
	if (len > 0)
		memcpy(p, from, len);
	return p + len;
}

#endif /* PGJ_VIEW_H */
