/*
 * journey_change.c
 *		Functions that make journeys from journeys.
 */
#include "postgres.h"

#include "common/int.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "utils/fmgrprotos.h"
#include "journey/journey_range.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Touchpoints [from, to) of a journey, as a journey. */
struct varlena *
journey_cut(LabelDict *dict, const JourneyView *v, uint32 from, uint32 to)
{
	JourneyBuilder b;
	struct varlena *packed;

	builder_init(&b, dict, CurrentMemoryContext);
	builder_add_journey(&b, v, from, to);
	packed = builder_pack(&b);
	builder_free(&b);
	return packed;
}

PG_FUNCTION_INFO_V1(journey_merge);
Datum
journey_merge(PG_FUNCTION_ARGS)
{
	JourneyBuilder b;
	struct varlena *packed;

	builder_init(&b, call_label_dict(fcinfo), CurrentMemoryContext);
	for (int i = 0; i < 2; i++)
	{
		JourneyArg arg;

		journey_arg_open(&arg, PG_GETARG_DATUM(i));
		builder_add_journey(&b, &arg.view, 0, arg.view.n);
		journey_arg_close(&arg);
	}
	packed = builder_pack(&b);
	builder_free(&b);
	PG_RETURN_POINTER(packed);
}

PG_FUNCTION_INFO_V1(journey_slice);
Datum
journey_slice(PG_FUNCTION_ARGS)
{
	JourneyArg arg;
	TimeRange range;
	uint32 from;
	uint32 to;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	time_range_open(&range, PG_GETARG_RANGE_P(1));
	if (range.empty)
		from = to = 0;
	else
	{
		from = journey_search_time(&arg.view, range.lower, !range.lower_inclusive);
		to = journey_search_time(&arg.view, range.upper, range.upper_inclusive);
	}
	PG_RETURN_POINTER(journey_cut(call_label_dict(fcinfo), &arg.view, from, to));
}

int64
fixed_usecs(const Interval *i, const char *what)
{
	const char *wrong = NULL;
	int64 usecs = 0;

	if (i->month != 0)
		wrong = "must be of a fixed length";
	else if (pg_mul_s64_overflow(i->day, USECS_PER_DAY, &usecs) ||
			 pg_add_s64_overflow(usecs, i->time, &usecs))
		wrong = "is out of range";
	else if (usecs < 0)
		wrong = "must not be negative";
	if (wrong)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg_internal("%s %s", what, wrong),
			 errdetail("Found \"%s\".",
					   DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(i)))),
			 i->month != 0 ? errhint("Use days or shorter units, not months, years or infinity.")
						   : 0));
	return usecs;
}

uint64
limit_usecs(const Interval *i, const char *what)
{
	int64 days = (int64) i->month * DAYS_PER_MONTH + i->day + i->time / USECS_PER_DAY;
	int64 rest = i->time % USECS_PER_DAY;

	if (rest < 0)
	{
		days--;
		rest += USECS_PER_DAY;
	}
	if (days < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg_internal("%s must not be negative", what),
						errdetail("Found \"%s\".", DatumGetCString(DirectFunctionCall1(
													   interval_out, IntervalPGetDatum(i))))));
	if (days >= PG_UINT64_MAX / USECS_PER_DAY)
		return PG_UINT64_MAX;
	return (uint64) days * USECS_PER_DAY + rest;
}

Datum
usecs_interval(uint64 usecs)
{
	Interval *interval = palloc0(sizeof(Interval));

	interval->day = usecs / USECS_PER_DAY;
	interval->time = usecs % USECS_PER_DAY;
	return IntervalPGetDatum(interval);
}

typedef struct SessionWalk
{
	JourneyArg arg;
	int64 gap;
	LabelDict *dict;
	uint32 *numbers;
	JourneyCursor touches; /* before the session to be returned next */
	EliasFanoCursor times; /* one touchpoint ahead of its last known one */
	int64 start;           /* its first time */
} SessionWalk;

PG_FUNCTION_INFO_V1(journey_sessions);
Datum
journey_sessions(PG_FUNCTION_ARGS)
{
	FuncCallContext *srf;
	SessionWalk *w;
	const JourneyView *v;
	JourneyBuilder b;
	int64 time;
	uint32 to;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		srf = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(srf->multi_call_memory_ctx);
		w = palloc0(sizeof(SessionWalk));
		w->gap = fixed_usecs(PG_GETARG_INTERVAL_P(1), "gap between sessions");
		journey_arg_open(&w->arg, PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0))));
		v = &w->arg.view;
		w->dict = label_dict_create(srf->multi_call_memory_ctx);
		w->numbers = journey_intern_labels(v, w->dict);
		journey_start_at(v, &w->touches, 0);
		ef_start(&v->times, &w->times);
		if (v->n > 0)
			w->start = journey_time_from_offset(v, ef_next(&v->times, &w->times));
		srf->user_fctx = w;
		MemoryContextSwitchTo(old);
	}
	srf = SRF_PERCALL_SETUP();
	w = srf->user_fctx;
	v = &w->arg.view;
	if (w->touches.i >= v->n)
		SRF_RETURN_DONE(srf);

	time = w->start;
	for (to = w->touches.i + 1; to < v->n; to++)
	{
		int64 next = journey_time_from_offset(v, ef_next(&v->times, &w->times));

		if ((uint64) next - (uint64) time > (uint64) w->gap)
		{
			w->start = next;
			break;
		}
		time = next;
	}
	builder_init(&b, w->dict, CurrentMemoryContext);
	builder_add_touches(&b, &w->touches, w->numbers, to);
	SRF_RETURN_NEXT(srf, PointerGetDatum(builder_pack(&b)));
}
