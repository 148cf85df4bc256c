/*
 * journey_split.c
 *		A journey cut behind each match of a pattern.
 */
#include "postgres.h"

#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "pattern/journey_pattern.h"

typedef struct SplitWalk
{
	JourneyArg arg;
	CompiledPattern *compiled;
	Matcher *matcher;
	LabelDict *dict;
	uint32 *numbers;
	JourneyCursor touches; /* before the part to be returned next */
} SplitWalk;

PG_FUNCTION_INFO_V1(journey_split);
Datum
journey_split(PG_FUNCTION_ARGS)
{
	FuncCallContext *srf;
	MemoryContext old;
	SplitWalk *w;
	JourneyBuilder b;
	uint32 to;

	if (SRF_IS_FIRSTCALL())
	{
		srf = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(srf->multi_call_memory_ctx);
		w = palloc0(sizeof(SplitWalk));
		pattern_argument(&w->compiled, srf->multi_call_memory_ctx, PG_GETARG_DATUM(1));
		journey_arg_open(&w->arg, PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0))));
		w->matcher = pattern_matcher(w->compiled, &w->arg.view);
		w->dict = label_dict_create(srf->multi_call_memory_ctx);
		w->numbers = journey_intern_labels(&w->arg.view, w->dict);
		journey_start_at(&w->arg.view, &w->touches, 0);
		srf->user_fctx = w;
		MemoryContextSwitchTo(old);
	}
	srf = SRF_PERCALL_SETUP();
	w = srf->user_fctx;
	if (w->touches.i >= w->arg.view.n)
		SRF_RETURN_DONE(srf);
	to = matcher_next(w->matcher, NULL) ? matcher_end(w->matcher) + 1 : w->arg.view.n;
	builder_init(&b, w->dict, CurrentMemoryContext);
	builder_add_touches(&b, &w->touches, w->numbers, to);
	SRF_RETURN_NEXT(srf, PointerGetDatum(builder_pack(&b)));
}
