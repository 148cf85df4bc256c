/*
 * journey_agg.c
 *		The aggregate journey_agg in its forms.
 *
 * A state is a builder (builder.h). Labels are interned for the whole
 * query, because a hash table a group would cost more than all the rest; the
 * labels are forgotten, if they are many, when no group lives any more. We
 * learn that from the aggregate's memory context being reset: after each group
 * when groups come sorted, after each batch when hashing spills. Many labels
 * move below that context, so that hashing counts their memory and spills.
 *
 * With many hashed groups each row belongs to another state, and what a row
 * costs is waiting for memory: for the state, then for the end of its elements.
 * So a row is not added at once. It waits in a small ring while the processor
 * fetches its state, and then the end of its elements, behind the executor's
 * work on the next rows; it is added when its place is needed again. (S. Chen
 * et al., "Improving hash join performance through prefetching", ICDE 2004.)
 * Whoever reads a state flushes the ring first. With grouping sets, whose
 * contexts are reset at different times, no row waits.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Rows that wait; half of them for each of the two fetches. A power of two. */
#define RING_SIZE 16

struct AggSite;
struct AggWatch;

typedef struct JourneyAggState
{
	JourneyBuilder builder; /* first: its dictionary tells it from a PackedState */
	struct AggWatch *watch;
} JourneyAggState;

/*
 * An aggregate's context that holds states; lives in it, and tells when it is
 * reset. States but the first have a context of their own below it, so that
 * the executor's hash entries, which it makes in between, stay close together.
 */
typedef struct AggWatch
{
	MemoryContextCallback callback;
	struct AggSite *site;
	MemoryContext cxt;
	MemoryContext states; /* NULL: there is only one state */
} AggWatch;

/*
 * What one call site of the aggregate keeps. It lives as long as its FmgrInfo,
 * which the executor keeps longer than the aggregate's contexts.
 */
typedef struct AggSite
{
	MemoryContext cxt;
	LabelDict *dict;
	AggWatch *dict_owner; /* whose context the labels are below, or NULL */
	AggWatch **live;      /* one a grouping set */
	int nlive;
	int live_max;
	uint32 next; /* place in the ring of the next row */
	struct
	{
		JourneyAggState *state; /* NULL = free */
		Touch touch;
	} ring[RING_SIZE];
} AggSite;

/*
 * What the deserialisation function returns: a packed journey that waits to be
 * combined.
 */
typedef struct PackedState
{
	LabelDict *no_dict;
	struct varlena *packed;
} PackedState;

/* Add the row that waits at a place of the ring, if there is one. */
static inline void
ring_take(AggSite *site, uint32 place)
{
	JourneyAggState *state = site->ring[place].state;

	if (state == NULL)
		return;
	site->ring[place].state = NULL;
	builder_add(&state->builder, &site->ring[place].touch);
}

static inline void
ring_put(AggSite *site, JourneyAggState *state, const Touch *touch)
{
	uint32 place = site->next;
	JourneyAggState *halfway = site->ring[(place + RING_SIZE / 2) % RING_SIZE].state;

	site->next = (place + 1) % RING_SIZE;
	ring_take(site, place);
	if (halfway != NULL)
		__builtin_prefetch(builder_element(&halfway->builder, halfway->builder.n), 1);
	__builtin_prefetch(state, 1);
	site->ring[place].state = state;
	site->ring[place].touch = *touch;
}

static void
ring_flush(AggSite *site)
{
	for (uint32 place = 0; place < RING_SIZE; place++)
		ring_take(site, place);
}

/*
 * Nothing in this context is a state any more; the states below it are gone
 * already, so they must not be looked at. If rows wait, they are this one's.
 */
static void
context_is_reset(void *arg)
{
	AggWatch *watch = arg;
	AggSite *site = watch->site;

	for (int place = 0; place < RING_SIZE; place++)
		site->ring[place].state = NULL;
	if (site->dict_owner == watch)
	{
		site->dict_owner = NULL;
		site->dict->cxt = NULL; /* gone, too */
	}
	for (int i = 0; i < site->nlive; i++)
		if (site->live[i] == watch)
		{
			site->live[i] = site->live[--site->nlive];
			return;
		}
}

static AggWatch *
watch_context(AggSite *site, MemoryContext cxt)
{
	AggWatch *watch;

	for (int i = 0; i < site->nlive; i++)
		if (site->live[i]->cxt == cxt)
		{
			watch = site->live[i];
			if (watch->states == NULL)
				watch->states = AllocSetContextCreate(cxt, "journey_agg", ALLOCSET_DEFAULT_SIZES);
			if (site->nlive == 1 && !site->dict_owner && label_dict_is_large(site->dict))
			{
				MemoryContextSetParent(site->dict->cxt, cxt);
				site->dict_owner = watch;
			}
			return watch;
		}
	if (site->dict->cxt == NULL)
		label_dict_restart(site->dict, site->cxt);
	else if (site->nlive == 0)
		label_dict_trim(site->dict);
	else if (site->dict_owner)
	{
		/* one of several contexts must not take the labels along */
		MemoryContextSetParent(site->dict->cxt, site->cxt);
		site->dict_owner = NULL;
	}
	ring_flush(site);
	if (site->nlive == site->live_max)
	{
		site->live_max *= 2;
		site->live = repalloc(site->live, site->live_max * sizeof(AggWatch *));
	}
	watch = MemoryContextAllocZero(cxt, sizeof(AggWatch));
	watch->callback.func = context_is_reset;
	watch->callback.arg = watch;
	watch->site = site;
	watch->cxt = cxt;
	MemoryContextRegisterResetCallback(cxt, &watch->callback);
	site->live[site->nlive++] = watch;
	return watch;
}

static inline AggSite *
call_site(FunctionCallInfo fcinfo)
{
	AggSite *site = fcinfo->flinfo->fn_extra;

	if (unlikely(site == NULL))
	{
		MemoryContext cxt = fcinfo->flinfo->fn_mcxt;

		site = MemoryContextAllocZero(cxt, sizeof(AggSite));
		site->cxt = cxt;
		site->dict = label_dict_create(cxt);
		site->live_max = 4;
		site->live = MemoryContextAlloc(cxt, site->live_max * sizeof(AggWatch *));
		fcinfo->flinfo->fn_extra = site;
	}
	return site;
}

/* The state argument, a new one if there is none yet. Does not touch it. */
static inline JourneyAggState *
state_argument(FunctionCallInfo fcinfo, AggSite *site)
{
	AggWatch *watch;
	MemoryContext cxt;
	JourneyAggState *state;

	if (!PG_ARGISNULL(0))
		return (JourneyAggState *) PG_GETARG_POINTER(0);
	watch = watch_context(site, aggregate_context(fcinfo, "journey_agg"));
	cxt = watch->states ? watch->states : watch->cxt;
	state = MemoryContextAlloc(cxt, sizeof(JourneyAggState));
	builder_init(&state->builder, site->dict, cxt);
	state->watch = watch;
	return state;
}

PG_FUNCTION_INFO_V1(journey_agg_transfn);
Datum
journey_agg_transfn(PG_FUNCTION_ARGS)
{
	AggSite *site;
	JourneyAggState *state;
	Touch t;

	if (unlikely(PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3)))
	{
		if (PG_ARGISNULL(1) && PG_ARGISNULL(2) && PG_ARGISNULL(3))
			return unchanged_state(fcinfo);
		time_channel_action_null(PG_ARGISNULL(1), PG_ARGISNULL(2), PG_ARGISNULL(3));
	}
	site = call_site(fcinfo);
	state = state_argument(fcinfo, site);
	touch_fill(&t, site->dict, PG_GETARG_TIMESTAMPTZ(1), short_text_argument(PG_GETARG_DATUM(2)),
			   short_text_argument(PG_GETARG_DATUM(3)),
			   PG_NARGS() > 6 && !PG_ARGISNULL(6) ? short_text_argument(PG_GETARG_DATUM(6)) : NULL);
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
	if (likely(site->nlive == 1))
		ring_put(site, state, &t);
	else
		builder_add(&state->builder, &t);
	PG_RETURN_POINTER(state);
}

static void
add_packed(JourneyAggState *state, Datum packed)
{
	JourneyArg arg;

	journey_arg_open(&arg, packed);
	builder_add_journey(&state->builder, &arg.view, 0, arg.view.n);
	journey_arg_close(&arg);
}

/* The packed journey of a state whose rows have all been added. */
static struct varlena *
pack_state(JourneyAggState *state)
{
	ring_flush(state->watch->site);
	return builder_pack(&state->builder);
}

PG_FUNCTION_INFO_V1(journey_agg_merge_transfn);
Datum
journey_agg_merge_transfn(PG_FUNCTION_ARGS)
{
	JourneyAggState *state;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	state = state_argument(fcinfo, call_site(fcinfo));
	add_packed(state, PG_GETARG_DATUM(1));
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(journey_agg_combinefn);
Datum
journey_agg_combinefn(PG_FUNCTION_ARGS)
{
	JourneyAggState *state;
	PackedState *other;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	state = state_argument(fcinfo, call_site(fcinfo));
	other = (PackedState *) PG_GETARG_POINTER(1);
	if (other->no_dict == NULL)
		add_packed(state, PointerGetDatum(other->packed));
	else
		add_packed(state, PointerGetDatum(pack_state((JourneyAggState *) other)));
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(journey_agg_serialfn);
Datum
journey_agg_serialfn(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo, "journey_agg");
	PG_RETURN_POINTER(pack_state((JourneyAggState *) PG_GETARG_POINTER(0)));
}

PG_FUNCTION_INFO_V1(journey_agg_deserialfn);
Datum
journey_agg_deserialfn(PG_FUNCTION_ARGS)
{
	PackedState *state;

	aggregate_context(fcinfo, "journey_agg");
	state = palloc(sizeof(PackedState));
	state->no_dict = NULL;
	state->packed = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(journey_agg_finalfn);
Datum
journey_agg_finalfn(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo, "journey_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(pack_state((JourneyAggState *) PG_GETARG_POINTER(0)));
}
