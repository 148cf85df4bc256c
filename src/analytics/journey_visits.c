/*
 * journey_visits.c
 *		One journey's own touchpoints, sessions, hand-offs and visits.
 */
#include "postgres.h"

#include "analytics/row_set.h"
#include "analytics/visit_walk.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define SESSION_GAP "session_gap"
#define HANDOFF_WITHIN "handoff_within"

/* Columns of the three functions, in their order. */
enum
{
	TIMELINE_REF,
	TIMELINE_OCCURRED_AT,
	TIMELINE_CHANNEL,
	TIMELINE_ACTION,
	TIMELINE_DETAIL,
	TIMELINE_VALUE,
	TIMELINE_SINCE_PREVIOUS,
	TIMELINE_SESSION,
	TIMELINE_OWN,
	TIMELINE_PREVIOUS_CHANNEL,
	TIMELINE_SINCE_OWN,
	TIMELINE_PREVIOUS_REF,
	TIMELINE_IS_HANDOFF,
	TIMELINE_BEGINS_VISIT,
	TIMELINE_COLUMNS
};

enum
{
	VISIT_VISIT,
	VISIT_CHANNEL,
	VISIT_STARTED_AT,
	VISIT_ENDED_AT,
	VISIT_TOUCHPOINTS,
	VISIT_FIRST_REF,
	VISIT_CAME_FROM,
	VISIT_CAME_AFTER,
	VISIT_CAME_REF,
	VISIT_LEFT_TO,
	VISIT_LEFT_AFTER,
	VISIT_COLUMNS
};

enum
{
	SUMMARY_TOUCHPOINTS,
	SUMMARY_SESSIONS,
	SUMMARY_VISITS,
	SUMMARY_HANDOFFS,
	SUMMARY_CHANNELS,
	SUMMARY_PREFERRED_CHANNEL,
	SUMMARY_FIRST_AT,
	SUMMARY_LAST_AT,
	SUMMARY_LAST_CHANNEL,
	SUMMARY_LAST_ACTION,
	SUMMARY_LAST_OWN_AT,
	SUMMARY_COLUMNS
};

typedef struct Ref
{
	int64 number;
	bool known;
} Ref;

/* A row being filled in. */
typedef struct Row
{
	Datum *values;
	bool *nulls;
} Row;

static inline void
put(Row *row, int column, Datum value, bool known)
{
	row->values[column] = value;
	row->nulls[column] = !known;
}

static inline void
put_ref(Row *row, int column, Ref ref, bool known)
{
	put(row, column, Int64GetDatum(ref.number), known && ref.known);
}

/* As timestamptz - timestamptz gives it; the struct must last until the row is made. */
static inline void
put_usecs(Row *row, int column, uint64 usecs, Interval *room, bool known)
{
	room->month = 0;
	room->day = usecs / USECS_PER_DAY;
	room->time = usecs % USECS_PER_DAY;
	put(row, column, IntervalPGetDatum(room), known);
}

static inline void
put_channel(Row *row, int column, const VisitWalk *w, uint32 channel, bool known)
{
	put(row, column, known ? visit_walk_channel(w, channel) : 0, known);
}

/* The walk of a call site, limits and actions as these arguments say; -1: there is none. */
static VisitWalk *
walk_argument(FunctionCallInfo fcinfo, VisitWalk **walk, int gap, int within, int not_own)
{
	if (*walk == NULL)
		*walk = visit_walk_create(fcinfo->flinfo->fn_mcxt);
	if (gap >= 0)
		(*walk)->session_gap = limit_usecs(PG_GETARG_INTERVAL_P(gap), SESSION_GAP);
	if (within >= 0)
		(*walk)->handoff_within = limit_usecs(PG_GETARG_INTERVAL_P(within), HANDOFF_WITHIN);
	visit_walk_not_own(*walk, PG_GETARG_DATUM(not_own));
	return *walk;
}

typedef struct Timeline
{
	RowSet rows;
	VisitWalk *walk;
	JourneyArg arg;
	JourneyCursor touches;
	Datum *actions; /* texts, by label */
	Datum *details; /* 0 where there is none */
	Ref own_ref;    /* of the last own touchpoint taken */

	/* of the row being told */
	Interval since_previous;
	Interval since_own;
} Timeline;

static bool
timeline_row(void *arg, Datum *values, bool *nulls)
{
	Timeline *set = arg;
	VisitWalk *w = set->walk;
	Row row = {values, nulls};
	Touch t;
	Ref ref;
	bool compared;

	if (!journey_next(&set->touches, &t))
		return false;
	visit_walk_take(w, t.label, t.time);
	ref.known = t.has_ref;
	ref.number = t.has_ref ? t.ref : 0;
	compared = w->own && w->has_before;

	put_ref(&row, TIMELINE_REF, ref, true);
	put(&row, TIMELINE_OCCURRED_AT, TimestampTzGetDatum(t.time), true);
	put_channel(&row, TIMELINE_CHANNEL, w, w->channel, true);
	put(&row, TIMELINE_ACTION, set->actions[t.label], true);
	put(&row, TIMELINE_DETAIL, set->details[t.label], set->details[t.label] != 0);
	put(&row, TIMELINE_VALUE, t.has_value ? decimal_to_numeric(t.value) : 0, t.has_value);
	put_usecs(&row, TIMELINE_SINCE_PREVIOUS, w->since_previous, &set->since_previous, w->n > 1);
	put(&row, TIMELINE_SESSION, Int64GetDatum(w->session), true);
	put(&row, TIMELINE_OWN, BoolGetDatum(w->own), true);
	put_channel(&row, TIMELINE_PREVIOUS_CHANNEL, w, w->before_channel, compared);
	put_usecs(&row, TIMELINE_SINCE_OWN, visit_walk_since_own(w), &set->since_own, compared);
	put_ref(&row, TIMELINE_PREVIOUS_REF, set->own_ref, compared);
	put(&row, TIMELINE_IS_HANDOFF, BoolGetDatum(w->is_handoff), true);
	put(&row, TIMELINE_BEGINS_VISIT, BoolGetDatum(w->begins_visit), true);
	if (w->own)
		set->own_ref = ref;
	return true;
}

PG_FUNCTION_INFO_V1(journey_timeline);
Datum
journey_timeline(PG_FUNCTION_ARGS)
{
	Timeline *set = row_set(fcinfo, sizeof(Timeline));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);
		VisitWalk *w = walk_argument(fcinfo, &set->walk, 1, 2, 3);

		journey_arg_open(&set->arg, PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0))));
		visit_walk_open(w, &set->arg.view);
		journey_start_at(&set->arg.view, &set->touches, 0);
		set->actions = label_texts(&set->arg.view, PART_ACTION);
		set->details = label_texts(&set->arg.view, PART_DETAIL);
		set->own_ref.known = false;
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, timeline_row);
}

typedef struct Visit
{
	uint32 channel;
	uint32 touchpoints; /* 0: there is none */
	int64 started;
	int64 ended;
	Ref first;
	bool came; /* by a hand-off */
	uint32 came_from;
	uint64 came_after;
	Ref came_ref;
} Visit;

typedef struct Visits
{
	RowSet rows;
	VisitWalk *walk;
	JourneyArg arg;
	JourneyCursor refs;
	Visit open;  /* the one that is not told yet */
	int64 told;  /* before */
	Ref own_ref; /* of the last own touchpoint taken */

	/* of the row being told */
	Interval came_after;
	Interval left_after;
} Visits;

/* The visit that the touchpoint at hand begins. */
static void
begin_visit(Visits *set, Ref ref)
{
	const VisitWalk *w = set->walk;

	set->open = (Visit) {
		.channel = w->channel,
		.started = w->time,
		.first = ref,
		.came = w->is_handoff,
		.came_from = w->before_channel,
		.came_after = visit_walk_since_own(w),
		.came_ref = set->own_ref,
	};
}

/* Tell the open visit, which the hand-off at hand ended or not. */
static void
tell_visit(Visits *set, bool left, Row *row)
{
	const VisitWalk *w = set->walk;
	const Visit *visit = &set->open;

	put(row, VISIT_VISIT, Int64GetDatum(++set->told), true);
	put_channel(row, VISIT_CHANNEL, w, visit->channel, true);
	put(row, VISIT_STARTED_AT, TimestampTzGetDatum(visit->started), true);
	put(row, VISIT_ENDED_AT, TimestampTzGetDatum(visit->ended), true);
	put(row, VISIT_TOUCHPOINTS, Int64GetDatum(visit->touchpoints), true);
	put_ref(row, VISIT_FIRST_REF, visit->first, true);
	put_channel(row, VISIT_CAME_FROM, w, visit->came_from, visit->came);
	put_usecs(row, VISIT_CAME_AFTER, visit->came_after, &set->came_after, visit->came);
	put_ref(row, VISIT_CAME_REF, visit->came_ref, visit->came);
	put_channel(row, VISIT_LEFT_TO, w, w->channel, left);
	put_usecs(row, VISIT_LEFT_AFTER, visit_walk_since_own(w), &set->left_after, left);
}

static bool
visit_row(void *arg, Datum *values, bool *nulls)
{
	Visits *set = arg;
	VisitWalk *w = set->walk;
	Row row = {values, nulls};
	bool found = false;

	while (!found && visit_walk_next(w))
	{
		Ref ref = {0};

		ref.known = journey_next_ref(&set->refs, &ref.number);
		if (!w->own)
			continue;
		if (w->begins_visit)
		{
			found = set->open.touchpoints > 0;
			if (found)
				tell_visit(set, w->is_handoff, &row);
			begin_visit(set, ref);
		}
		set->open.touchpoints++;
		set->open.ended = w->time;
		set->own_ref = ref;
	}
	if (!found && set->open.touchpoints > 0)
	{
		found = true;
		tell_visit(set, false, &row);
		set->open.touchpoints = 0;
	}
	return found;
}

PG_FUNCTION_INFO_V1(journey_visits);
Datum
journey_visits(PG_FUNCTION_ARGS)
{
	Visits *set = row_set(fcinfo, sizeof(Visits));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);
		VisitWalk *w = walk_argument(fcinfo, &set->walk, -1, 1, 2);

		journey_arg_open(&set->arg, PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0))));
		visit_walk_open(w, &set->arg.view);
		journey_start_at(&set->arg.view, &set->refs, 0);
		set->open.touchpoints = 0;
		set->told = 0;
		set->own_ref.known = false;
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, visit_row);
}

/* Of a channel of the journey at hand, by its place. */
typedef struct ChannelCount
{
	uint32 visits;
	uint32 last; /* own touchpoint in it, counted from 1 */
} ChannelCount;

typedef struct SummarySite
{
	VisitWalk *walk;
	TupleDesc desc;
} SummarySite;

/* The channel with most visits, of several the one last used; its place, or -1 without visits. */
static int64
preferred_place(const ChannelCount *counts, uint32 n)
{
	int64 best = -1;

	for (uint32 i = 0; i < n; i++)
		if (counts[i].visits > 0 &&
			(best < 0 || counts[i].visits > counts[best].visits ||
			 (counts[i].visits == counts[best].visits && counts[i].last > counts[best].last)))
			best = i;
	return best;
}

PG_FUNCTION_INFO_V1(journey_summary);
Datum
journey_summary(PG_FUNCTION_ARGS)
{
	SummarySite *site = fcinfo->flinfo->fn_extra;
	Datum values[SUMMARY_COLUMNS];
	bool nulls[SUMMARY_COLUMNS];
	Row row = {values, nulls};
	JourneyArg arg;
	const JourneyView *v = &arg.view;
	ChannelCount few[64];
	ChannelCount *counts = few;
	Datum few_channels[64];
	Datum *channels = few_channels;
	TouchLabel *labels;
	TouchLabel last = {0};
	int64 preferred;
	int64 handoffs = 0;
	bool some;
	VisitWalk *w;

	if (site == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		TupleDesc desc;

		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		site = palloc0(sizeof(SummarySite));
		site->desc = BlessTupleDesc(desc);
		fcinfo->flinfo->fn_extra = site;
		MemoryContextSwitchTo(old);
	}
	w = walk_argument(fcinfo, &site->walk, 1, 2, 3);
	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	visit_walk_open(w, v);
	if (w->nchannels > lengthof(few))
	{
		counts = palloc_extended(w->nchannels * sizeof(ChannelCount), MCXT_ALLOC_HUGE);
		channels = palloc_extended(w->nchannels * sizeof(Datum), MCXT_ALLOC_HUGE);
	}
	memset(counts, 0, w->nchannels * sizeof(ChannelCount));
	while (visit_walk_next(w))
	{
		ChannelCount *count = &counts[w->labels[w->label].place];

		count->visits += w->begins_visit;
		handoffs += w->is_handoff;
		visit_walk_stay(w, PG_INT64_MAX);
		if (w->own)
			count->last = w->n;
	}
	for (uint32 i = 0; i < w->nchannels; i++)
		channels[i] = visit_walk_channel(w, w->channels[i]);
	labels = journey_dictionary(v);
	some = v->n > 0;
	if (some)
		last = labels[w->label];
	preferred = preferred_place(counts, w->nchannels);

	put(&row, SUMMARY_TOUCHPOINTS, Int64GetDatum(v->n), true);
	put(&row, SUMMARY_SESSIONS, Int64GetDatum(w->session), true);
	put(&row, SUMMARY_VISITS, Int64GetDatum(w->visit), true);
	put(&row, SUMMARY_HANDOFFS, Int64GetDatum(handoffs), true);
	put(&row, SUMMARY_CHANNELS,
		PointerGetDatum(construct_array(channels, w->nchannels, TEXTOID, -1, false, TYPALIGN_INT)),
		true);
	put(&row, SUMMARY_PREFERRED_CHANNEL, preferred >= 0 ? channels[preferred] : 0, preferred >= 0);
	put(&row, SUMMARY_FIRST_AT, TimestampTzGetDatum(v->first), some);
	put(&row, SUMMARY_LAST_AT, TimestampTzGetDatum(v->last), some);
	put_channel(&row, SUMMARY_LAST_CHANNEL, w, w->channel, some);
	put(&row, SUMMARY_LAST_ACTION,
		some ? PointerGetDatum(cstring_to_text_with_len(last.action, last.action_len)) : 0, some);
	put(&row, SUMMARY_LAST_OWN_AT, TimestampTzGetDatum(w->own ? w->time : w->before_time),
		w->own || w->has_before);
	journey_arg_close(&arg);
	return HeapTupleGetDatum(heap_form_tuple(site->desc, values, nulls));
}

typedef struct OwnSite
{
	VisitWalk *walk;
	LabelDict *dict;
} OwnSite;

PG_FUNCTION_INFO_V1(journey_own);
Datum
journey_own(PG_FUNCTION_ARGS)
{
	OwnSite *site = fcinfo->flinfo->fn_extra;
	JourneyArg arg;
	JourneyCursor touches;
	JourneyBuilder b;
	struct varlena *packed;
	uint32 *numbers;
	VisitWalk *w;
	Touch t;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(OwnSite));
		site->dict = label_dict_create(fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = site;
	}
	w = walk_argument(fcinfo, &site->walk, -1, -1, 1);
	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	visit_walk_open(w, &arg.view);
	if (w->all_own)
	{
		journey_arg_close(&arg);
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	label_dict_trim(site->dict);
	numbers = journey_intern_labels(&arg.view, site->dict);
	builder_init(&b, site->dict, CurrentMemoryContext);
	journey_start_at(&arg.view, &touches, 0);
	while (journey_next(&touches, &t))
	{
		if (touches.i % BUILDER_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (!w->labels[t.label].own)
			continue;
		t.label = numbers[t.label];
		builder_add(&b, &t);
	}
	packed = builder_pack(&b);
	builder_free(&b);
	pfree(numbers);
	journey_arg_close(&arg);
	PG_RETURN_POINTER(packed);
}
