/*
 * visit_walk.h
 *		One pass over a journey: sessions, own touchpoints, hand-offs, visits.
 *
 * The words are those of the hub's timeline. A touchpoint is *own*, the customer's,
 * unless its detail is "out" or "bot" or its action one of those that are nobody's
 * own. A *session* ends where nothing happens for longer than session_gap. A
 * *hand-off* is an own touchpoint whose own one before was in another channel, at
 * most handoff_within before. A *visit* is a run of own touchpoints in one channel,
 * each at most handoff_within after the own one before: every hand-off begins one.
 *
 * A walk belongs to a call site and is turned from journey to journey:
 *
 *		w = visit_walk_create(cxt);				once
 *		visit_walk_not_own(w, datum);			cheap if it is what it was
 *		w->session_gap = limit_usecs(...);		likewise handoff_within
 *		visit_walk_open(w, &arg.view);
 *		while (visit_walk_next(w))
 *			... w->time, w->own, w->is_handoff ...
 *
 * Who only counts skips those that follow and are like the one at hand, by
 * visit_walk_stay.
 *
 * Opening looks at each label once: is it own, who speaks, which channel; of a block,
 * at the first of its journeys. Then a touchpoint costs a look at its label's byte and
 * the next time, whatever its texts are; values and references are not read. Nothing is
 * allocated but what a journey with more labels, or a channel never seen, needs.
 *
 * Algorithm layer, but for visit_arg.c.
 */
#ifndef PGJ_VISIT_WALK_H
#define PGJ_VISIT_WALK_H

#include "journey/format.h"
#include "miscadmin.h"

/* Who speaks, by the detail. */
typedef enum VisitSpeaker
{
	SPEAKER_NONE,
	SPEAKER_CUSTOMER, /* "in" */
	SPEAKER_COMPANY   /* "out", "bot" */
} VisitSpeaker;

/* What is known of a label of the journey at hand. */
typedef struct VisitLabel
{
	uint32 channel; /* its number at this call site, from 0: see visit_walk_channel */
	uint32 place;   /* of its channel among those of the dictionary, from 0, ascending by name */
	uint32 kind;    /* the same for labels of one channel that are own alike */
	bool own;
	uint8 speaker; /* VisitSpeaker */
} VisitLabel;

#define VISIT_AHEAD 64

typedef struct VisitWalk
{
	/* Limits in microseconds, to be set before visit_walk_open. */
	uint64 session_gap;
	uint64 handoff_within;

	/*
	 * Of the journey at hand, by the number of a label; and channels by their place. In a
	 * block they are those of all its journeys.
	 */
	const JourneyView *view;
	uint64 dictionary_id; /* whose they are; 0: of that journey alone, or not known yet */
	VisitLabel *labels;
	uint32 *channels;
	uint32 nchannels;
	bool all_own; /* every label is */
	bool nobody_speaks;

	/* Of the touchpoint at hand. Numbers of touchpoints are from 0, others from 1. */
	uint32 n; /* touchpoints taken: this one is number n - 1 */
	uint32 label;
	uint32 channel; /* number at this call site */
	int64 time;
	uint64 since_previous; /* since the touchpoint before; 0 for the first */
	uint32 session;
	uint32 visit;        /* of own touchpoints: the visit that it is part of */
	bool begins_session; /* the first touchpoint does */
	bool own;
	bool begins_visit;
	bool is_handoff;

	/* Of the own touchpoint before, which an own one at hand was compared with. */
	bool has_before;
	uint32 before_channel;
	int64 before_time;

	/*
	 * Numbers of channels hold from journey to journey until this changes, which it
	 * does in visit_walk_open where there were more than VISIT_CHANNELS_KEEP.
	 */
	uint32 generation;
	uint32 channels_known; /* so many numbers there are */

	MemoryContext cxt;
	struct VisitTables *tables; /* of the call site */
	struct varlena *not_own;    /* what visit_arg.c was given last, or NULL */

	/*
	 * Touchpoints are read ahead, VISIT_AHEAD at once. Of those their times; which of them,
	 * in bits, differ from the one before in their kind, or lie so far behind it that a
	 * session or a visit may begin; and how many of those in front of each were said by whom.
	 */
	uint32 read; /* so many were */
	uint32 read_kind;
	int64 read_time;
	EliasFanoCursor times;
	uint64 turns;
	int64 ahead[VISIT_AHEAD];
	uint8 inbound[VISIT_AHEAD + 1];
	uint8 outbound[VISIT_AHEAD + 1];
} VisitWalk;

#define VISIT_CHANNELS_KEEP 16384

/* A walk in cxt, which holds all of it; no action is nobody's own as yet. */
extern VisitWalk *visit_walk_create(MemoryContext cxt);

/* These actions are nobody's own: their texts, which are copied. */
extern void visit_walk_set_not_own(VisitWalk *w, const char *const *actions, const size_t *lens,
								   size_t n);

/* Turn to a journey, which must last as long as it is walked. */
extern void visit_walk_open(VisitWalk *w, const JourneyView *v);

/* Read ahead. */
extern void visit_walk_read_ahead(VisitWalk *w);

/* Name of a channel by its number, as a text datum that lasts until the generation changes. */
extern Datum visit_walk_channel(const VisitWalk *w, uint32 channel);

/* visit_arg.c: the same as SQL gives it, text[]. Cheap if it is what it was. */
extern void visit_walk_not_own(VisitWalk *w, Datum not_own);

/* Take the touchpoint that follows; for callers that read it themselves. */
static pg_attribute_always_inline void
visit_walk_take(VisitWalk *w, uint32 label, int64 time)
{
	const VisitLabel *l = &w->labels[label];

	if (w->own)
	{
		w->has_before = true;
		w->before_channel = w->channel;
		w->before_time = w->time;
	}
	w->since_previous = w->n > 0 ? (uint64) time - (uint64) w->time : 0;
	w->begins_session = w->n == 0 || w->since_previous > w->session_gap;
	w->session += w->begins_session;
	w->n++;
	w->label = label;
	w->channel = l->channel;
	w->time = time;
	w->own = l->own;
	w->begins_visit = w->is_handoff = false;
	if (w->own)
	{
		bool near = w->has_before && (uint64) time - (uint64) w->before_time <= w->handoff_within;
		bool same = w->has_before && w->channel == w->before_channel;

		w->is_handoff = near && !same;
		w->begins_visit = !near || !same;
		w->visit += w->begins_visit;
	}
}

/* The next touchpoint; false at the end. */
static pg_attribute_always_inline bool
visit_walk_next(VisitWalk *w)
{
	const JourneyView *v = w->view;

	if (w->n >= v->n)
		return false;
	if (unlikely(w->n == w->read))
		visit_walk_read_ahead(w);
	visit_walk_take(w, journey_label_at(v, w->n), w->ahead[w->n % VISIT_AHEAD]);
	return true;
}

/* How many touchpoints were passed over, and of them said by whom. */
typedef struct VisitStay
{
	uint32 n;
	uint32 inbound;
	uint32 outbound;
} VisitStay;

/*
 * Pass over the touchpoints behind the one at hand that lie before a time, in its channel,
 * are own or not as it is, and are so near that neither a session nor a visit begins. Then
 * it is the last of them that is at hand.
 */
static pg_attribute_always_inline VisitStay
visit_walk_stay(VisitWalk *w, int64 until)
{
	const JourneyView *v = w->view;
	uint32 from = w->n;
	VisitStay stay = {0};

	while (w->n < v->n)
	{
		uint32 k = w->n % VISIT_AHEAD;
		uint32 to;

		if (unlikely(w->n == w->read))
			visit_walk_read_ahead(w);
		to = k + w->read - w->n;
		if (w->turns >> k != 0)
			to = k + pg_rightmost_one_pos64(w->turns >> k);
		while (unlikely(to > k && w->ahead[to - 1] >= until))
			to--;
		if (to == k)
			break;
		if (!w->nobody_speaks)
		{
			stay.inbound += w->inbound[to] - w->inbound[k];
			stay.outbound += w->outbound[to] - w->outbound[k];
		}
		w->n += to - k;
		w->time = w->ahead[to - 1];
		if (w->n < w->read)
			break;
	}
	stay.n = w->n - from;
	if (stay.n > 0)
	{
		w->label = journey_label_at(v, w->n - 1);
		w->begins_session = w->begins_visit = w->is_handoff = false;
	}
	return stay;
}

/* Of an own touchpoint with one before: the time since. */
static inline uint64
visit_walk_since_own(const VisitWalk *w)
{
	return (uint64) w->time - (uint64) w->before_time;
}

#endif /* PGJ_VISIT_WALK_H */
