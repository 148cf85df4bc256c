/*
 * journey_compare.c
 *		Order, equality and hashing of journeys, and of touchpoints with them.
 *
 * Equal journeys are equal bytes (format.h). The hash is of the touchpoints,
 * not of the bytes: it must stay the same for ever, across format versions and
 * byte orders, because hash-partitioned tables depend on it.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "touchpoint/frozen_hash.h"

static int
compare_touches(const Touch *a, const Touch *b, const TouchLabel *alabels,
				const TouchLabel *blabels)
{
	int cmp;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	if (a->has_ref != b->has_ref)
		return a->has_ref ? -1 : 1;
	if (a->has_ref && a->ref != b->ref)
		return a->ref < b->ref ? -1 : 1;
	cmp = touch_label_cmp(&alabels[a->label], &blabels[b->label]);
	if (cmp != 0)
		return cmp;
	if (a->has_value != b->has_value)
		return a->has_value ? -1 : 1;
	return a->has_value ? decimal_cmp(a->value, b->value) : 0;
}

static bool
same_bytes(const JourneyArg *a, const JourneyArg *b)
{
	size_t len = VARSIZE_ANY_EXHDR(a->packed);

	return VARSIZE_ANY_EXHDR(b->packed) == len &&
		   memcmp(VARDATA_ANY(a->packed), VARDATA_ANY(b->packed), len) == 0;
}

/* Touchpoint by touchpoint, then the shorter first. */
static int
compare(FunctionCallInfo fcinfo)
{
	JourneyArg a;
	JourneyArg b;
	int cmp = 0;

	journey_arg_open(&a, PG_GETARG_DATUM(0));
	journey_arg_open(&b, PG_GETARG_DATUM(1));
	if (a.view.n > 0 && b.view.n > 0 && a.view.first != b.view.first)
		cmp = a.view.first < b.view.first ? -1 : 1;
	else if (!same_bytes(&a, &b))
	{
		TouchLabel *alabels = journey_dictionary(&a.view);
		TouchLabel *blabels = journey_dictionary(&b.view);
		JourneyCursor ac;
		JourneyCursor bc;
		Touch at;
		Touch bt;

		journey_start_at(&a.view, &ac, 0);
		journey_start_at(&b.view, &bc, 0);
		while (cmp == 0 && journey_next(&ac, &at) && journey_next(&bc, &bt))
		{
			if (ac.i % 0x10000 == 0)
				CHECK_FOR_INTERRUPTS();
			cmp = compare_touches(&at, &bt, alabels, blabels);
		}
		if (cmp == 0 && a.view.n != b.view.n)
			cmp = a.view.n < b.view.n ? -1 : 1;
		pfree(alabels);
		pfree(blabels);
	}
	journey_arg_close(&a);
	journey_arg_close(&b);
	return cmp;
}

static bool
is_equal(FunctionCallInfo fcinfo)
{
	JourneyArg a;
	JourneyArg b;
	bool result;

	journey_arg_open(&a, PG_GETARG_DATUM(0));
	journey_arg_open(&b, PG_GETARG_DATUM(1));
	result = same_bytes(&a, &b);
	journey_arg_close(&a);
	journey_arg_close(&b);
	return result;
}

PG_FUNCTION_INFO_V1(journey_cmp);
Datum
journey_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

PG_FUNCTION_INFO_V1(journey_lt);
Datum
journey_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(journey_le);
Datum
journey_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(journey_eq);
Datum
journey_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_equal(fcinfo));
}

PG_FUNCTION_INFO_V1(journey_ne);
Datum
journey_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!is_equal(fcinfo));
}

PG_FUNCTION_INFO_V1(journey_ge);
Datum
journey_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(journey_gt);
Datum
journey_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

static uint64
hash(Datum journey, uint64 seed)
{
	JourneyArg arg;
	TouchLabel *labels;
	uint64 *label_hash;
	JourneyCursor c;
	Touch t;
	uint64 h;

	journey_arg_open(&arg, journey);
	labels = journey_dictionary(&arg.view);
	label_hash = palloc_extended(Max(arg.view.nlabels, 1) * sizeof(uint64), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < arg.view.nlabels; i++)
	{
		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		h = mix_text(0, labels[i].channel, labels[i].channel_len);
		h = mix_text(h, labels[i].action, labels[i].action_len);
		/* nothing of a detail that is not there */
		label_hash[i] =
			labels[i].detail_len == 0 ? h : mix_text(h, labels[i].detail, labels[i].detail_len);
	}

	h = mix(seed, arg.view.n);
	journey_start_at(&arg.view, &c, 0);
	while (journey_next(&c, &t))
	{
		if (c.i % 0x10000 == 0)
			CHECK_FOR_INTERRUPTS();
		h = mix(h, (uint64) t.time);
		h = mix(h, label_hash[t.label]);
		if (t.has_value)
			h = mix(mix(h, t.value.scale + 1), (uint64) t.value.mantissa);
		if (t.has_ref)
			h = mix(mix(h, 0x80), (uint64) t.ref);
	}
	pfree(labels);
	pfree(label_hash);
	journey_arg_close(&arg);
	return h;
}

PG_FUNCTION_INFO_V1(journey_hash);
Datum
journey_hash(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT32((uint32) hash(PG_GETARG_DATUM(0), 0));
}

PG_FUNCTION_INFO_V1(journey_hash_extended);
Datum
journey_hash_extended(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT64(hash(PG_GETARG_DATUM(0), PG_GETARG_INT64(1)));
}
