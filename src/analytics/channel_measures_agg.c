/*
 * channel_measures_agg.c
 *		Journeys counted by channel and period, in one pass over each.
 *
 * Of a journey, only touchpoints of the range count, but what came before it is
 * known, and the end of a visit that began in it, whenever. A channel's cell of the
 * period at hand is found without looking it up again while the period lasts.
 *
 * Where nothing but transitions is asked of a block, and all touchpoints are own, the bytes of
 * its labels tell where a channel follows another: only journeys in which one does are opened.
 */
#include "postgres.h"

#include "analytics/channel_measures.h"
#include "analytics/visit_walk.h"
#include "block/block.h"
#include "block/label_scan.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Arguments of channel_measures_agg_transfn. */
enum
{
	ARG_STATE,
	ARG_JOURNEY,
	ARG_SESSION_GAP,
	ARG_HANDOFF_WITHIN,
	ARG_NOT_OWN,
	ARG_DIGITAL,
	ARG_PERSONAL,
	ARG_PERIOD,
	ARG_TIME_ZONE,
	ARG_SINCE,
	ARG_UNTIL,
	ARG_MEASURES
};

/* Those that are kept as they were given. */
static const int value_args[] = {ARG_NOT_OWN, ARG_DIGITAL,   ARG_PERSONAL,
								 ARG_PERIOD,  ARG_TIME_ZONE, ARG_MEASURES};

#define VALUE_ARGS lengthof(value_args)
#define VALUE_MEASURES (VALUE_ARGS - 1)

/* Times around one in the same period of the calendar, up to "to". */
typedef struct Stretch
{
	int64 from;
	int64 to;
	int32 number;  /* in the calendar */
	uint32 period; /* in the state of the stamp */
	uint64 stamp;
} Stretch;

/* A time finds its stretch by its higher bits: some 19 hours for days, 13 days for others. */
#define STRETCH_DAY_BITS 36
#define STRETCH_BITS 40
#define STRETCHES 256

/* A channel of the call site. */
typedef struct SiteChannel
{
	uint64 stamp;   /* the state of this stamp knows it by these: */
	uint32 number;  /* ... its number */
	uint32 cell;    /* ... its cell of some period, or MEASURES_NONE */
	uint64 session; /* the last one with a touchpoint in it; the call site's have numbers from 1 */
} SiteChannel;

/* A transition of a period and two channels of the call site, in the state of the stamp. */
typedef struct SiteTransition
{
	uint64 stamp;
	uint32 period;
	uint32 from;
	uint32 to;
	uint32 number;
	bool omnichannel; /* from a digital channel to a personal one, or the reverse */
} SiteTransition;

/*
 * Of one period, those of the first channels each have a place of their own; of several, 16
 * channels have, as far as there is room.
 */
#define NEAR_CHANNELS 32
#define TRANSITIONS_MIN (NEAR_CHANNELS * NEAR_CHANNELS)
#define TRANSITIONS_MAX (16 * TRANSITIONS_MIN)
#define PERIOD_TRANSITIONS 256

/* What a call site keeps. */
typedef struct MeasuresSite
{
	/* as given */
	bool known;
	int64 session_gap;
	int64 handoff_within;
	int64 since;
	int64 until;
	struct varlena *values[VALUE_ARGS]; /* NULL: null */

	struct varlena *asked; /* that */
	uint8 measures;
	bool by_period;
	Calendar calendar;
	VisitWalk *walk;

	uint64 serial; /* of the state at hand; 0: its question was not compared yet */
	uint64 stamp;  /* of it, and of the walk's numbers of channels */
	uint32 generation;
	uint64 sessions; /* numbers that were given away */
	SiteChannel *channels;
	uint32 channels_max;
	Stretch stretches[STRETCHES];
	SiteTransition *transitions;
	uint32 transitions_max; /* a power of 2 */
} MeasuresSite;

static void
argument_null(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("%s of channel_measures_agg must not be null", what)));
}

/* An array as a list of names; the texts remain in it. */
static void
list_argument(NameList *list, const char *name, struct varlena *value)
{
	Datum *elements;
	NameText *names;
	bool *nulls;
	int n;

	list->n = 0;
	if (value == NULL)
		return;
	deconstruct_array(DatumGetArrayTypeP(PointerGetDatum(value)), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &n);
	names = palloc_extended(Max(n, 1) * sizeof(NameText), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("an element of %s must not be null", name),
							errdetail("Element %d is.", i + 1),
							errhint("Remove it: array_remove(%s, NULL).", name)));
		names[i].text = VARDATA_ANY(DatumGetPointer(elements[i]));
		names[i].len = VARSIZE_ANY_EXHDR(DatumGetPointer(elements[i]));
	}
	name_list_set(list, names, n);
}

static void
period_argument(MeasuresQuestion *q, const text *period)
{
	const char *name = VARDATA_ANY(period);
	size_t len = VARSIZE_ANY_EXHDR(period);

	if (len == 3 && memcmp(name, "all", len) == 0)
		return;
	q->by_period = true;
	if (!calendar_unit_find(name, len, &q->unit))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown period: \"%s\"", text_to_cstring(period)),
						errhint("Use day, week, month, quarter, year or all.")));
}

static uint8
measures_argument(struct varlena *value)
{
	NameList list;
	uint8 measures = 0;

	if (value == NULL)
		return MEASURES_ALL;
	list_argument(&list, "measures", value);
	for (uint32 i = 0; i < list.n; i++)
	{
		uint8 kind;

		if (!measures_kind_find(list.names[i].text, list.names[i].len, &kind))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("unknown measure: \"%s\"",
								   pnstrdup(list.names[i].text, list.names[i].len)),
							errhint("Use channels, transitions, median_time or customers.")));
		measures |= kind;
	}
	if (measures == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("measures are empty"),
				 errhint("Use channels, transitions, median_time or customers; NULL: all.")));
	return measures;
}

/* The arguments are others than before: keep them, and what is made of them. */
static void
new_question(MeasuresSite *site, MemoryContext cxt, struct varlena *const *values)
{
	MeasuresQuestion q = {0};
	struct varlena *asked;

	site->known = false;
	q.measures = site->measures = measures_argument(values[VALUE_MEASURES]);
	q.session_gap = site->session_gap;
	q.handoff_within = site->handoff_within;
	q.since = site->since;
	q.until = site->until;
	if (q.since > q.until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the range ends before it begins: from %s until %s",
						pstrdup(timestamptz_to_str(q.since)), pstrdup(timestamptz_to_str(q.until))),
				 errhint("Give the earlier time first.")));
	if (values[ARG_PERIOD - ARG_NOT_OWN])
		period_argument(&q, values[ARG_PERIOD - ARG_NOT_OWN]);
	if (q.by_period)
	{
		const text *zone = values[ARG_TIME_ZONE - ARG_NOT_OWN];
		const char *name;

		if (zone == NULL)
			argument_null("time_zone");
		calendar_set(&site->calendar, values[ARG_PERIOD - ARG_NOT_OWN], zone);
		/* as it is called, whatever way it was written */
		name = pg_get_timezone_name(site->calendar.zone);
		q.time_zone = (NameText) {name, strlen(name)};
	}
	for (int i = 0; i < MEASURES_LISTS; i++)
		list_argument(&q.lists[i], measures_list_names[i], values[i]);
	asked = measures_asked(&q);

	visit_walk_not_own(site->walk, values[0] ? PointerGetDatum(values[0])
											 : PointerGetDatum(construct_empty_array(TEXTOID)));
	site->walk->session_gap = q.session_gap;
	site->walk->handoff_within = q.handoff_within;
	site->by_period = q.by_period;
	memset(site->stretches, 0, sizeof(site->stretches));
	for (int i = 0; i < VALUE_ARGS; i++)
	{
		if (site->values[i])
			pfree(site->values[i]);
		site->values[i] = NULL;
		if (values[i])
		{
			site->values[i] = MemoryContextAlloc(cxt, VARSIZE_ANY(values[i]));
			memcpy(site->values[i], values[i], VARSIZE_ANY(values[i]));
		}
	}
	if (site->asked)
		pfree(site->asked);
	site->asked = MemoryContextAlloc(cxt, VARSIZE(asked));
	memcpy(site->asked, asked, VARSIZE(asked));
	site->serial = 0;
	site->known = true;
}

static inline bool
same_value(const struct varlena *a, const struct varlena *b)
{
	size_t len;

	if (a == NULL || b == NULL)
		return a == b;
	len = VARSIZE_ANY_EXHDR(b);
	return VARSIZE_ANY_EXHDR(a) == len && memcmp(VARDATA_ANY(a), VARDATA_ANY(b), len) == 0;
}

static inline int64
limit_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (unlikely(PG_ARGISNULL(arg)))
		argument_null(name);
	/* no two times are further apart that a state can hold */
	return Min(limit_usecs(PG_GETARG_INTERVAL_P(arg), name), PG_INT64_MAX);
}

/* This call's, which knows what is asked for; cheap if that is the same as before. */
static MeasuresSite *
call_site(FunctionCallInfo fcinfo)
{
	MeasuresSite *site = fcinfo->flinfo->fn_extra;
	struct varlena *values[VALUE_ARGS];
	int64 gap;
	int64 within;
	int64 since = PG_ARGISNULL(ARG_SINCE) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(ARG_SINCE);
	int64 until = PG_ARGISNULL(ARG_UNTIL) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(ARG_UNTIL);
	bool same;

	if (unlikely(site == NULL))
	{
		site = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(MeasuresSite));
		site->walk = visit_walk_create(fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = site;
	}
	gap = limit_argument(fcinfo, ARG_SESSION_GAP, "session_gap");
	within = limit_argument(fcinfo, ARG_HANDOFF_WITHIN, "handoff_within");
	same = site->known && gap == site->session_gap && within == site->handoff_within &&
		   since == site->since && until == site->until;
	for (int i = 0; i < VALUE_ARGS; i++)
	{
		values[i] = value_args[i] >= PG_NARGS() || PG_ARGISNULL(value_args[i])
						? NULL
						: short_text_argument(PG_GETARG_DATUM(value_args[i]));
		same = same && same_value(site->values[i], values[i]);
	}
	if (unlikely(!same))
	{
		site->session_gap = gap;
		site->handoff_within = within;
		site->since = since;
		site->until = until;
		new_question(site, fcinfo->flinfo->fn_mcxt, values);
	}
	return site;
}

/* Numbers of channels and periods are those of this state. */
static void
turn_to_state(MeasuresSite *site, const Measures *m)
{
	if (VARSIZE(m->asked) != VARSIZE(site->asked) ||
		memcmp(m->asked, site->asked, VARSIZE(m->asked)) != 0)
		measures_different(m->asked, site->asked);
	site->serial = m->serial;
	site->stamp++;
}

/* Room for all channels of the walk. */
static void
channels_room(MeasuresSite *site)
{
	uint32 known = site->walk->channels_known;
	uint32 max = Max(64, pg_nextpower2_32(known));
	SiteChannel *grown = MemoryContextAllocExtended(site->walk->cxt, max * sizeof(SiteChannel),
													MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	if (site->channels)
	{
		memcpy(grown, site->channels, site->channels_max * sizeof(SiteChannel));
		pfree(site->channels);
	}
	site->channels = grown;
	site->channels_max = max;
}

/* A channel of the call site, as the state knows it. */
static inline SiteChannel *
state_channel(MeasuresSite *site, Measures *m, uint32 channel)
{
	SiteChannel *known = &site->channels[channel];

	if (unlikely(known->stamp != site->stamp))
	{
		const text *name = (const text *) DatumGetPointer(visit_walk_channel(site->walk, channel));

		known->number = measures_add_channel(m, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
		known->cell = MEASURES_NONE;
		known->stamp = site->stamp;
	}
	return known;
}

/* Room for the transitions of so many periods; those that were known are looked up again. */
static void
transitions_room(MeasuresSite *site, uint32 periods)
{
	uint64 wanted = (uint64) periods * PERIOD_TRANSITIONS;
	uint32 max = Max(site->transitions_max, TRANSITIONS_MIN);
	SiteTransition *grown;

	while (max < wanted && max < TRANSITIONS_MAX)
		max *= 2;
	if (max == site->transitions_max)
		return;
	grown = MemoryContextAllocZero(site->walk->cxt, max * sizeof(SiteTransition));
	if (site->transitions)
		pfree(site->transitions);
	site->transitions = grown;
	site->transitions_max = max;
}

/* The stretch of a time, whose period the state knows. */
static inline const Stretch *
state_stretch(MeasuresSite *site, Measures *m, int64 time)
{
	int bits = site->calendar.unit == CALENDAR_DAY ? STRETCH_DAY_BITS : STRETCH_BITS;
	Stretch *s = &site->stretches[site->by_period ? ((uint64) time >> bits) % STRETCHES : 0];

	if (unlikely(time < s->from || time >= s->to))
	{
		if (site->by_period)
		{
			s->number = calendar_stretch(&site->calendar, time, &s->from, &s->to);
			/* an error, if it begins before there are dates */
			calendar_date(site->calendar.unit, s->number);
		}
		else
		{
			s->from = PG_INT64_MIN;
			s->to = PG_INT64_MAX;
			s->number = 0;
		}
		s->stamp = 0;
	}
	if (unlikely(s->stamp != site->stamp))
	{
		s->period = measures_add_period(m, s->number);
		transitions_room(site, m->nperiods);
		s->stamp = site->stamp;
	}
	return s;
}

/*
 * The customer is counted for the period, once a journey, if so. No processor foresees what
 * journeys hold: this and what is like it is counted without branches.
 */
static inline bool
count_customer(Measures *m, MeasuresPeriod *period, CustomerCount which, bool so)
{
	bool first = so & (period->counted[which] != m->journey);

	period->counted[which] = so ? m->journey : period->counted[which];
	period->counts[which] += first;
	return first;
}

/* The transition of a period from one channel of the call site to another. */
static inline const SiteTransition *
state_transition(MeasuresSite *site, Measures *m, uint32 p, uint32 from, uint32 to)
{
	uint32 place = p * 149 + from * NEAR_CHANNELS + to;
	SiteTransition *known = &site->transitions[place & (site->transitions_max - 1)];

	if (unlikely(known->stamp != site->stamp || known->period != p || known->from != from ||
				 known->to != to))
	{
		uint32 a = state_channel(site, m, from)->number;
		uint32 b = state_channel(site, m, to)->number;
		const MeasuresChannel *x = &m->channels[a];
		const MeasuresChannel *y = &m->channels[b];

		*known = (SiteTransition) {
			.stamp = site->stamp,
			.period = p,
			.from = from,
			.to = to,
			.number = measures_add_transition(m, p, a, b) - m->transitions,
			.omnichannel = (x->digital && y->personal) || (x->personal && y->digital),
		};
	}
	return known;
}

/* A hand-off in the journey at hand; it took so long. */
static pg_attribute_always_inline const SiteTransition *
count_transition(MeasuresSite *site, Measures *m, uint32 p, uint32 from, uint32 to, int64 time)
{
	const SiteTransition *known = state_transition(site, m, p, from, to);
	MeasuresTransition *t = &m->transitions[known->number];

	if (site->measures & MEASURES_TIMES)
		measures_add_time(m, t, time, 1);
	else
		t->handoffs++;
	t->customers += t->counted != m->journey;
	t->counted = m->journey;
	return known;
}

static inline void
count_handoff(MeasuresSite *site, Measures *m, uint32 p)
{
	VisitWalk *w = site->walk;
	const SiteTransition *known =
		count_transition(site, m, p, w->before_channel, w->channel, visit_walk_since_own(w));

	if ((site->measures & MEASURES_CUSTOMERS) == 0)
		return;
	count_customer(m, &m->periods[p], CUSTOMERS_CROSS_CHANNEL, true);
	count_customer(m, &m->periods[p], CUSTOMERS_OMNICHANNEL, known->omnichannel);
}

/* Begin with the journeys of a value, whose labels are those of v. */
static void
open_walk(MeasuresSite *site, const JourneyView *v)
{
	visit_walk_open(site->walk, v);
	if (unlikely(site->walk->generation != site->generation))
	{
		site->generation = site->walk->generation;
		site->stamp++;
	}
	if (unlikely(site->walk->channels_known > site->channels_max))
		channels_room(site);
}

static void
count_journey(MeasuresSite *site, Measures *m, const JourneyView *v)
{
	VisitWalk *w = site->walk;
	bool channels = (site->measures & MEASURES_CHANNELS) != 0;
	bool customers = (site->measures & MEASURES_CUSTOMERS) != 0;
	bool each = channels || customers; /* touchpoints without a hand-off count, too */
	int64 since = site->since;
	int64 until = site->until;
	uint32 visit = MEASURES_NONE; /* cell of the visit at hand, if it began in the range */
	int64 end = PG_INT64_MIN;     /* of the period at hand, or of the range */
	uint32 p = 0;
	uint64 sessions;

	if (v->n == 0 || v->last < since || v->first >= until)
		return;
	open_walk(site, v);
	/* there are no more of them than touchpoints */
	sessions = site->sessions;
	site->sessions += v->n;
	m->journey++;
	while (visit_walk_next(w))
	{
		uint8 speaker = w->labels[w->label].speaker;
		SiteChannel *channel = NULL;
		MeasuresCell *cell = NULL;
		bool begins_session = false;
		VisitStay stay;

		if (each)
		{
			channel = state_channel(site, m, w->channel);
			begins_session = channel->session != sessions + w->session;
			channel->session = sessions + w->session;
		}
		if (unlikely(w->time < since))
		{
			visit_walk_stay(w, since);
			continue;
		}
		if (unlikely(w->time >= until))
		{
			if (w->begins_visit && w->is_handoff && visit != MEASURES_NONE)
				m->cells[visit].counts[MIX_VISITS_LEFT]++;
			if (w->begins_visit || visit == MEASURES_NONE)
				break;
			visit_walk_stay(w, PG_INT64_MAX);
			continue;
		}
		if (w->time >= end && (each || w->is_handoff))
		{
			const Stretch *stretch = state_stretch(site, m, w->time);

			p = stretch->period;
			end = Min(stretch->to, until);
		}
		if (channels)
		{
			if (unlikely(channel->cell == MEASURES_NONE || m->cells[channel->cell].period != p))
				channel->cell = measures_add_cell(m, p, channel->number);
			cell = &m->cells[channel->cell];
			cell->counts[MIX_CUSTOMERS] += cell->counted != m->journey;
			cell->counted = m->journey;
		}
		if (w->own)
		{
			if (customers)
			{
				MeasuresPeriod *period = &m->periods[p];

				period->own_channel = count_customer(m, period, CUSTOMERS_ALL, true)
										  ? channel->number
										  : period->own_channel;
				count_customer(m, period, CUSTOMERS_MULTICHANNEL,
							   period->own_channel != channel->number);
			}
			if (w->is_handoff)
			{
				if (visit != MEASURES_NONE)
					m->cells[visit].counts[MIX_VISITS_LEFT]++;
				if (site->measures & MEASURES_TRANSITIONS)
					count_handoff(site, m, p);
			}
			if (channels)
			{
				cell->counts[MIX_VISITS] += w->begins_visit;
				visit = w->begins_visit ? channel->cell : visit;
			}
		}
		stay = visit_walk_stay(w, each ? end : until);
		if (!channels)
			continue;
		cell->counts[MIX_TOUCHPOINTS] += 1 + stay.n;
		cell->counts[MIX_INBOUND] += (speaker == SPEAKER_CUSTOMER) + stay.inbound;
		cell->counts[MIX_OUTBOUND] += (speaker == SPEAKER_COMPANY) + stay.outbound;
		cell->counts[MIX_SESSIONS] += begins_session;
	}
}

/* --- transitions alone --- */

/* So many times are read at once. */
#define TIMES_AT_ONCE 256

/* Of so few channels, and over all time, hand-offs of a block are counted by pair. */
#define PAIR_CHANNELS 32

typedef struct PairCount
{
	uint32 handoffs;
	uint32 customers;
	uint32 journey; /* the last one that was counted */
} PairCount;

/* A block whose hand-offs are told by its labels' bytes. */
typedef struct Turns
{
	uint8 *channels;  /* of each touchpoint, by place; behind one that is none */
	uint64 *words;    /* in bits, which ones are in another channel than the one before */
	PairCount *pairs; /* or NULL */
} Turns;

/* A byte of eight touchpoints: bits where bytes differ. */
static inline uint64
differing_bytes(uint64 a, uint64 b)
{
	const uint64 low = UINT64CONST(0x7f7f7f7f7f7f7f7f);
	uint64 differ = a ^ b;

	differ = (((differ & low) + low) | differ) & ~low;
	/* gathers the top bits: each lands where no other does */
	return (differ >> 7) * UINT64CONST(0x0102040810204080) >> 56;
}

/* Journeys don't matter here: so these are loops without a branch. */
static void
find_turns(Turns *t, const MeasuresSite *site, const BlockView *b)
{
	const VisitWalk *w = site->walk;
	uint32 n = b->touchpoints;
	uint8 places[256] = {0};
	uint8 *channels;

	t->channels = palloc_extended((size_t) n + 1 + 64, MCXT_ALLOC_HUGE);
	t->words = palloc_extended(((size_t) n / 64 + 1) * sizeof(uint64), MCXT_ALLOC_HUGE);
	t->pairs = NULL;
	if (!(site->measures & MEASURES_TIMES) && !site->by_period && w->nchannels <= PAIR_CHANNELS)
		t->pairs = palloc0(PAIR_CHANNELS * PAIR_CHANNELS * sizeof(PairCount));
	for (uint32 label = 0; label < b->shared.nlabels; label++)
		places[label] = w->labels[label].place;
	channels = t->channels;
	*channels++ = 0;
	label_scan(&b->shared, n, places, channels);
	memset(channels + n, 0, 64);
	for (uint32 word = 0; word <= n / 64; word++)
	{
		const uint8 *at = channels + (size_t) word * 64;

		t->words[word] = 0;
		for (int k = 0; k < 8; k++)
			t->words[word] |=
				differing_bytes(load_little64(at + 8 * k), load_little64(at + 8 * k - 1)) << 8 * k;
	}
}

/* Bits [from, from + n), of which there are at most 64, as the lowest ones. */
static inline uint64
turns_at(const Turns *t, uint32 from, uint32 n)
{
	uint64 word = t->words[from / 64] >> from % 64;

	if (from % 64 + n > 64)
		word |= t->words[from / 64 + 1] << 1 << (63 - from % 64);
	return word & low_mask(n);
}

static inline void
count_pair(const Turns *t, uint32 to, uint32 journey, bool so)
{
	PairCount *pair = &t->pairs[t->channels[to] * PAIR_CHANNELS + t->channels[to + 1]];

	pair->handoffs += so;
	pair->customers += so & (pair->journey != journey);
	pair->journey = so ? journey : pair->journey;
}

/* Count the hand-offs of the journey at hand, of at least two touchpoints. */
static void
count_turns(MeasuresSite *site, Measures *m, BlockCursor *c, const Turns *t)
{
	const uint32 *channels = site->walk->channels;
	const BlockView *b = c->block;
	const uint8 *readable = b->times + b->times_len;
	uint64 within = site->handoff_within;
	int64 times[1 + TIMES_AT_ONCE];
	int64 end = PG_INT64_MIN;
	bool in_range;
	uint32 p = 0;
	uint32 from = 1; /* the first one has none before */
	uint32 to;
	EliasFanoCursor cursor;
	JourneyView v;
	uint32 n;

	while (from < c->n && turns_at(t, c->first + from, Min(c->n - from, 64)) == 0)
		from += Min(c->n - from, 64);
	if (from >= c->n)
		return;
	block_times(c, &v);
	if (v.last < site->since || v.first >= site->until)
		return;
	m->journey++;
	in_range = v.first >= site->since && v.last < site->until;
	if (t->pairs && in_range && (uint64) v.last - (uint64) v.first <= within)
	{
		/* then all of them are hand-offs, whenever they are */
		for (; from < c->n; from += n)
		{
			n = Min(c->n - from, 64);
			for (uint64 here = turns_at(t, c->first + from, n); here != 0; here &= here - 1)
				count_pair(t, c->first + from + pg_rightmost_one_pos64(here), c->i, true);
		}
		return;
	}
	/* what is behind the last one need not be read */
	for (to = c->n; to > from;)
	{
		uint64 here;

		n = Min(to - from, 64);
		here = turns_at(t, c->first + to - n, n);
		if (here != 0)
		{
			to -= n - 1 - pg_leftmost_one_pos64(here);
			break;
		}
		to -= n;
	}
	ef_start(&v.times, &cursor);
	for (uint32 read = 0; read < to; read += n)
	{
		n = Min(to - read, TIMES_AT_ONCE);
		CHECK_FOR_INTERRUPTS();
		if (!ef_read_scaled(&v.times, &cursor, readable, v.first, v.unit, times + 1, n))
			journey_corrupt("a time lies behind the last one");
		for (uint32 k = 0; k < n; k += 64)
		{
			uint32 first = c->first + read + k;
			uint64 here = turns_at(t, first, Min(n - k, 64));

			if (read + k == 0)
				here &= ~UINT64CONST(1);
			for (; here != 0; here &= here - 1)
			{
				int bit = pg_rightmost_one_pos64(here);
				int64 time = times[1 + k + bit];
				uint64 gap = (uint64) time - (uint64) times[k + bit];
				bool so = (gap <= within) & (time >= site->since) & (time < site->until);

				if (t->pairs)
				{
					count_pair(t, first + bit, c->i, so);
					continue;
				}
				/* what has none is no transition, and no period */
				if (!so)
					continue;
				if (unlikely(time >= end))
				{
					const Stretch *stretch = state_stretch(site, m, time);

					p = stretch->period;
					end = stretch->to;
				}
				count_transition(site, m, p, channels[t->channels[first + bit]],
								 channels[t->channels[first + bit + 1]], gap);
			}
		}
		times[0] = times[n];
	}
}

/* Add what was counted by pair. */
static void
end_turns(MeasuresSite *site, Measures *m, Turns *t)
{
	const VisitWalk *w = site->walk;

	for (uint32 from = 0; t->pairs && from < w->nchannels; from++)
		for (uint32 to = 0; to < w->nchannels; to++)
		{
			const PairCount *pair = &t->pairs[from * PAIR_CHANNELS + to];
			const SiteTransition *known;
			MeasuresTransition *transition;
			uint32 p;

			if (pair->handoffs == 0)
				continue;
			p = state_stretch(site, m, 0)->period;
			known = state_transition(site, m, p, w->channels[from], w->channels[to]);
			transition = &m->transitions[known->number];
			transition->handoffs += pair->handoffs;
			transition->customers += pair->customers;
		}
	if (t->pairs)
		pfree(t->pairs);
	pfree(t->words);
	pfree(t->channels);
}

/* Can hand-offs of a block's journeys be told by its labels' bytes? */
static inline bool
tells_turns(const MeasuresSite *site, const JourneyView *shared)
{
	return (site->measures & (MEASURES_CHANNELS | MEASURES_CUSTOMERS)) == 0 &&
		   shared->label_width == 1 && site->walk->all_own;
}

/* The state of a transition function, to be changed. */
static Measures *
state_argument(FunctionCallInfo fcinfo, MeasuresSite *site, MemoryContext cxt)
{
	Measures *m = PG_ARGISNULL(ARG_STATE)
					  ? measures_create(site->asked, measures_context(cxt))
					  : measures_state_argument(PG_GETARG_DATUM(ARG_STATE), cxt);

	if (unlikely(m->serial != site->serial))
		turn_to_state(site, m);
	measures_change(m);
	return m;
}

PG_FUNCTION_INFO_V1(channel_measures_agg_transfn);
Datum
channel_measures_agg_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "channel_measures_agg");
	MeasuresSite *site = call_site(fcinfo);
	Measures *m;
	JourneyArg arg;

	if (PG_ARGISNULL(ARG_JOURNEY))
		return unchanged_state(fcinfo);
	m = state_argument(fcinfo, site, cxt);
	journey_arg_open(&arg, PG_GETARG_DATUM(ARG_JOURNEY));
	count_journey(site, m, &arg.view);
	journey_arg_close(&arg);
	return EOHPGetRWDatum(&m->hdr);
}

PG_FUNCTION_INFO_V1(channel_measures_agg_block_transfn);
Datum
channel_measures_agg_block_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "channel_measures_agg");
	MeasuresSite *site = call_site(fcinfo);
	Measures *m;
	BlockArg arg;
	JourneyView v;

	if (PG_ARGISNULL(ARG_JOURNEY))
		return unchanged_state(fcinfo);
	block_arg_open(&arg, PG_GETARG_DATUM(ARG_JOURNEY), BLOCK_TIMES);
	if (arg.view.n == 0)
		return unchanged_state(fcinfo);
	m = state_argument(fcinfo, site, cxt);
	open_walk(site, &arg.view.shared);
	if (tells_turns(site, &arg.view.shared))
	{
		Turns turns;

		find_turns(&turns, site, &arg.view);
		while (block_next(&arg.cursor))
		{
			CHECK_FOR_INTERRUPTS();
			if (arg.cursor.n > 1)
				count_turns(site, m, &arg.cursor, &turns);
		}
		end_turns(site, m, &turns);
	}
	while (block_next(&arg.cursor))
	{
		CHECK_FOR_INTERRUPTS();
		if (arg.cursor.n == 0)
			continue;
		block_journey(&arg.cursor, &v);
		count_journey(site, m, &v);
	}
	block_arg_close(&arg);
	return EOHPGetRWDatum(&m->hdr);
}

PG_FUNCTION_INFO_V1(channel_measures_agg_combinefn);
Datum
channel_measures_agg_combinefn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "channel_measures_agg");
	Measures *m;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	if (PG_ARGISNULL(0))
		m = measures_of_flat(PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1)), false,
							 measures_context(cxt));
	else
	{
		m = measures_state_argument(PG_GETARG_DATUM(0), cxt);
		measures_merge(m, PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1)), false);
	}
	return EOHPGetRWDatum(&m->hdr);
}

PG_FUNCTION_INFO_V1(channel_measures_agg_finalfn);
Datum
channel_measures_agg_finalfn(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo, "channel_measures_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	/* which flattens it */
	PG_RETURN_DATUM(PointerGetDatum(PG_DETOAST_DATUM(PG_GETARG_DATUM(0))));
}
