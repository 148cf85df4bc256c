/*
 * journey_agg.c
 *		The aggregate journey_agg in its forms, and merging two journeys.
 *
 * The state is a builder (builder.h). Labels are interned for the whole
 * query, because a hash table a group would cost more than all the rest; the
 * labels are forgotten, if they are many, when no group lives any more. We
 * learn that from the aggregate's memory context being reset: after each group
 * when groups come sorted, after each batch when hashing spills.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey.h"
#include "utils/timestamp.h"

/* What one call site of the aggregate keeps; lives as long as its FmgrInfo. */
typedef struct AggSite
{
	LabelDict *dict;
	MemoryContext *live; /* contexts that may hold states: one a grouping set */
	int nlive;
	int live_max;
} AggSite;

/* Lives in an aggregate's context and tells when that is reset. */
typedef struct AggWatch
{
	MemoryContextCallback callback;
	AggSite *site;
	MemoryContext cxt;
} AggWatch;

/*
 * What the deserialisation function returns: a packed journey that waits to be
 * combined. Its first field tells it from a builder, which has a dictionary.
 */
typedef struct PackedState
{
	LabelDict *no_dict;
	struct varlena *packed;
} PackedState;

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext cxt;

	if (!AggCheckCallContext(fcinfo, &cxt))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("journey_agg's support functions cannot be called outside of an "
							   "aggregate")));
	return cxt;
}

static void
context_is_reset(void *arg)
{
	AggWatch *watch = arg;
	AggSite *site = watch->site;

	for (int i = 0; i < site->nlive; i++)
		if (site->live[i] == watch->cxt)
		{
			site->live[i] = site->live[--site->nlive];
			return;
		}
}

static void
watch_context(AggSite *site, MemoryContext cxt)
{
	AggWatch *watch;

	for (int i = 0; i < site->nlive; i++)
		if (site->live[i] == cxt)
			return;
	if (site->nlive == 0)
		label_dict_trim(site->dict);
	if (site->nlive == site->live_max)
	{
		site->live_max *= 2;
		site->live = repalloc(site->live, site->live_max * sizeof(MemoryContext));
	}
	watch = MemoryContextAlloc(cxt, sizeof(AggWatch));
	watch->callback.func = context_is_reset;
	watch->callback.arg = watch;
	watch->site = site;
	watch->cxt = cxt;
	MemoryContextRegisterResetCallback(cxt, &watch->callback);
	site->live[site->nlive++] = cxt;
}

/* A new state; the first of its context has the context watched. */
static JourneyBuilder *
new_state(FunctionCallInfo fcinfo, MemoryContext cxt)
{
	AggSite *site = fcinfo->flinfo->fn_extra;

	if (site == NULL)
	{
		MemoryContext site_cxt = fcinfo->flinfo->fn_mcxt;

		site = MemoryContextAllocZero(site_cxt, sizeof(AggSite));
		site->dict = label_dict_create(site_cxt);
		site->live_max = 4;
		site->live = MemoryContextAlloc(site_cxt, site->live_max * sizeof(MemoryContext));
		fcinfo->flinfo->fn_extra = site;
	}
	watch_context(site, cxt);
	return builder_create(site->dict, cxt);
}

/* The state argument, a new one if there is none yet. */
static JourneyBuilder *
state_argument(FunctionCallInfo fcinfo)
{
	MemoryContext cxt = aggregate_context(fcinfo);

	return PG_ARGISNULL(0) ? new_state(fcinfo, cxt) : (JourneyBuilder *) PG_GETARG_POINTER(0);
}

static Datum
unchanged_state(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return PG_GETARG_DATUM(0);
}

PG_FUNCTION_INFO_V1(journey_agg_transfn);
Datum
journey_agg_transfn(PG_FUNCTION_ARGS)
{
	JourneyBuilder *b;
	Touch t;

	if (unlikely(PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3)))
	{
		if (PG_ARGISNULL(1) && PG_ARGISNULL(2) && PG_ARGISNULL(3))
			return unchanged_state(fcinfo);
		time_channel_action_null(PG_ARGISNULL(1), PG_ARGISNULL(2), PG_ARGISNULL(3));
	}
	b = state_argument(fcinfo);
	touch_fill(&t, b->dict, PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_TEXT_PP(2), PG_GETARG_TEXT_PP(3));
	if (PG_NARGS() > 4 && !PG_ARGISNULL(4))
	{
		decimal_from_numeric(&t.value, PG_GETARG_DATUM(4));
		t.has_value = true;
	}
	if (PG_NARGS() > 5 && !PG_ARGISNULL(5))
	{
		t.ref = PG_GETARG_INT64(5);
		t.has_ref = true;
	}
	PG_RETURN_POINTER(builder_add(b, &t));
}

static JourneyBuilder *
add_packed(JourneyBuilder *b, Datum packed)
{
	JourneyArg arg;

	journey_arg_open(&arg, packed);
	b = builder_add_journey(b, &arg.view, 0, arg.view.n);
	journey_arg_close(&arg);
	return b;
}

PG_FUNCTION_INFO_V1(journey_agg_merge_transfn);
Datum
journey_agg_merge_transfn(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	PG_RETURN_POINTER(add_packed(state_argument(fcinfo), PG_GETARG_DATUM(1)));
}

PG_FUNCTION_INFO_V1(journey_agg_combinefn);
Datum
journey_agg_combinefn(PG_FUNCTION_ARGS)
{
	JourneyBuilder *b;
	PackedState *other;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	b = state_argument(fcinfo);
	other = (PackedState *) PG_GETARG_POINTER(1);
	if (other->no_dict == NULL)
		b = add_packed(b, PointerGetDatum(other->packed));
	else
		b = add_packed(b, PointerGetDatum(builder_pack((JourneyBuilder *) other)));
	PG_RETURN_POINTER(b);
}

PG_FUNCTION_INFO_V1(journey_agg_serialfn);
Datum
journey_agg_serialfn(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo);
	PG_RETURN_POINTER(builder_pack((JourneyBuilder *) PG_GETARG_POINTER(0)));
}

PG_FUNCTION_INFO_V1(journey_agg_deserialfn);
Datum
journey_agg_deserialfn(PG_FUNCTION_ARGS)
{
	PackedState *state;

	aggregate_context(fcinfo);
	state = palloc(sizeof(PackedState));
	state->no_dict = NULL;
	state->packed = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(journey_agg_finalfn);
Datum
journey_agg_finalfn(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(builder_pack((JourneyBuilder *) PG_GETARG_POINTER(0)));
}
