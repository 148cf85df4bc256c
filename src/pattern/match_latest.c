/*
 * match_latest.c
 *		Patterns of which only the latest touchpoint that reached a position
 *		counts: one entry a position instead of windows.
 *
 * Asked whether there is a match, or how far one gets, and not which, an earlier
 * touchpoint at which a position was reached is of no use beside a later one
 *
 *	- without "within", if no link has a lower limit of time: the later one is
 *	  nearer in time and has fewer touchpoints behind it that could be banned;
 *	- with "within", if no link has limits or is => and every start is free: then
 *	  whatever led to the earlier one may lead to the later one too, so
 *	  that one's start is no earlier.
 *
 * So an entry is where a position was reached last; or, if there is a "within", the
 * time of the latest start that led there. Positions are few enough for a word, and a
 * touchpoint is passed over if its label is for no step that is wanted by now: of
 * positions that some position reached leads to, or banned behind one.
 *
 * Times are decoded only where a limit asks for them. That may be much later, but the
 * stream is read forward: the touchpoint reached last waits, as long as it takes, for
 * somebody to ask or for another one to come.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/match_inside.h"

void
make_latest(Matcher *m)
{
	const Program *p = m->program;
	const Simple *s = &m->simple;
	Latest *l = &m->latest;
	bool within = p->within != PATTERN_UNBOUNDED;

	if (s->step_positions == NULL)
		return;
	for (int e = 0; e < p->nedges; e++)
	{
		const ProgramEdge *edge = &p->edges[e];
		const ProgramLink *link = edge->link >= 0 ? &p->links[edge->link] : NULL;

		if (edge->from >= 0)
		{
			if (link->min > 0 ||
				(within && (link->next || link->max != PG_INT64_MAX || link->nbans > 0)))
				return;
			l->sources[edge->to] |= UINT64CONST(1) << edge->from;
			if (link->max != PG_INT64_MAX)
				l->timed |= UINT64CONST(1) << edge->from;
		}
		else if (!edge->from_start)
			l->free |= UINT64CONST(1) << edge->to;
		else if (within)
			return;
		for (int k = 0; link && k < link->nbans; k++)
			*(edge->from >= 0 ? &l->bans[edge->from] : &l->start_bans) |=
				UINT64CONST(1) << link->bans[k];
	}
	if (within)
		l->timed = l->free;
	m->entries = palloc(p->npositions * sizeof(LatestEntry));
	m->has_latest = true;
}

/* The touchpoint at hand. */
typedef struct Here
{
	uint32 i;
	bool known; /* is the time? */
	int64 time;
} Here;

/* The time of a touchpoint that does not lie before the one of the time before. */
static inline int64
read_time(Matcher *m, uint32 i)
{
	const JourneyView *v = m->v;

	if (m->place.times.i != i)
		ef_seek(&v->times, &m->place.times, i);
	return journey_time_from_offset(v, ef_next(&v->times, &m->place.times));
}

/* Tell those that wait for it the time of the touchpoint that they were reached at. */
static void
tell_pending(Matcher *m)
{
	int64 time = read_time(m, m->pending_i);

	for (uint64 bits = m->pending; bits != 0; bits &= bits - 1)
		m->entries[pg_rightmost_one_pos64(bits)].time = time;
	m->pending = 0;
}

static inline int64
time_here(Matcher *m, Here *here)
{
	if (!here->known)
	{
		if (m->pending != 0)
			tell_pending(m);
		here->time = read_time(m, here->i);
		here->known = true;
	}
	return here->time;
}

static inline int64
time_of_entry(Matcher *m, int position)
{
	if ((m->pending >> position & 1) != 0)
		tell_pending(m);
	return m->entries[position].time;
}

/* Does the edge lead from where its position was reached last to here? */
static inline bool
leads_here(Matcher *m, const ProgramEdge *edge, Here *here)
{
	const ProgramLink *link = &m->program->links[edge->link];
	uint32 from = m->entries[edge->from].i;

	if (link->next && from + 1 != here->i)
		return false;
	for (int k = 0; k < link->nbans; k++)
		if (m->last_ban[link->bans[k]] > (int64) from)
			return false;
	if (link->max == PG_INT64_MAX)
		return true;
	return elapsed(time_of_entry(m, edge->from), time_here(m, here)) <= link->max;
}

/* Is the position, not one to begin with anywhere, reached here by one of its edges? */
static bool
is_reached_here(Matcher *m, int q, uint64 reached, Here *here)
{
	const Program *p = m->program;

	for (int e = m->first_edge[q]; e < m->first_edge[q + 1]; e++)
	{
		const ProgramEdge *edge = &p->edges[e];

		m->work++;
		if (edge->from < 0 ? may_start(m, edge, here->i, time_here(m, here))
						   : (reached >> edge->from & 1) != 0 && leads_here(m, edge, here))
			return true;
	}
	return false;
}

/* With "within": the same, and if so, since when; there is a position reached that leads to it. */
static inline bool
is_within_here(Matcher *m, int q, uint64 reached, Here *here, int64 *since)
{
	*since = PG_INT64_MIN;
	Assert((m->latest.sources[q] & reached) != 0);
	for (uint64 bits = m->latest.sources[q] & reached; bits != 0; bits &= bits - 1)
		*since = Max(*since, time_of_entry(m, pg_rightmost_one_pos64(bits)));
	return elapsed(*since, time_here(m, here)) <= m->program->within;
}

/*
 * The step of all touchpoints with which a match may begin anywhere, if there is but one, it has
 * a mark of its own, and nothing depends on which of them is the next; as a bit, or 0.
 */
static uint64
restart_step(const Matcher *m, uint64 goals)
{
	uint64 step = steps_of(m, m->latest.free);

	if ((step & (step - 1)) != 0 || step >= UINT64CONST(1) << (MATCH_MARKS - 1))
		return 0;
	for (uint64 bits = m->latest.free; bits != 0; bits &= bits - 1)
		if (m->simple.adjacent[pg_rightmost_one_pos64(bits)] != 0)
			return 0;
	return (positions_of(m, step) & goals) == 0 ? step : 0;
}

/*
 * The first touchpoint from i on that may match a wanted step; v->n if there is none. But of those that
 * only match "again" the last one before another kind, and none if no other kind follows.
 */
static inline uint32
next_marked(const Matcher *m, uint32 i, uint64 wanted, uint64 again)
{
	uint32 n = m->v->n;
	uint8 others = marks_of_steps(wanted & ~again);
	uint32 next;

	i = marks_next(m->marks, i, n, others | (uint8) again);
	if (again == 0 || i == n || (m->marks[i] & others) != 0)
		return i;
	next = marks_next(m->marks, i + 1, n, others);
	return next == n ? n : marks_last(m->marks, next, again);
}

/*
 * Go on from where the search stands: to the end of the next match, 1, or there is none, 0.
 * Or (farthest) to where "most" items are reached; how many are.
 */
static pg_attribute_always_inline int
run(Matcher *m, Source source, bool farthest, int most)
{
	const Program *p = m->program;
	const JourneyView *v = m->v;
	const Simple *s = &m->simple;
	const Latest *l = &m->latest;
	const uint64 *label_steps = m->label_steps;
	bool within = p->within != PATTERN_UNBOUNDED;
	uint64 goals = farthest ? s->ends_item : s->accept | s->accept_last;
	uint32 first = m->place.i;
	uint32 i = first;
	uint64 reached = 0;        /* positions that have an entry */
	uint64 allowed = s->start; /* positions that may be reached from now on */
	uint64 now = i == 0 ? s->start_first : 0; /* ... at touchpoint now_i only */
	uint32 now_i = 0;
	uint64 bans = l->start_bans; /* steps that it must be known of from now on where they were */
	uint64 wanted = steps_of(m, allowed | now) | bans | NO_LABEL;
	int item = 0;
	uint64 restart = source == SOURCE_MARKS ? restart_step(m, farthest ? 0 : goals) : 0;
	uint64 again = 0; /* this step, if its touchpoints only put off the start by now */
	int64 since[WORD_BITS]; /* with "within": of positions reached here */

	m->pending = 0;
	while (i < v->n)
	{
		uint32 end = i + Min(v->n - i, MATCH_INTERRUPT_EVERY);

		if (i > first)
			CHECK_FOR_INTERRUPTS();
		for (; i < end; i++)
		{
			Here here = {0};
			Touch touch;
			uint64 steps;
			uint64 fresh; /* positions reached here */
			uint64 own;   /* ... for which the time here is what counts */
			uint64 lead;  /* ... that lead on */
			uint64 timed;
			uint64 next = 0;

			if (source == SOURCE_MARKS)
			{
				i = next_marked(m, i, wanted & ~NO_LABEL, again);
				if (i >= end)
					break;
				steps = label_steps[journey_label_at(v, i)];
			}
			else if (source == SOURCE_BYTES)
			{
				while (i < end && (label_steps[v->labels[i]] & wanted) == 0)
					i++;
				if (i == end)
					break;
				steps = label_steps[v->labels[i]];
			}
			else if (source == SOURCE_LABELS)
				steps = label_steps[journey_label_at(v, i)];
			else if (source == SOURCE_ROWS)
			{
				row_steps(m, &m->rows[i], &steps);
				here.time = m->rows[i].time;
				here.known = true;
			}
			else
			{
				if (!journey_next(&m->place.cursor, &touch))
					journey_corrupt("it has fewer touchpoints than counted");
				steps = label_steps[touch.label];
				here.time = touch.time;
				here.known = true;
			}
			steps &= wanted;
			if (source != SOURCE_BYTES && likely(steps == 0))
				continue;
			if (unlikely((steps & NO_LABEL) != 0))
				journey_corrupt("a touchpoint's label is not in the dictionary");
			if (source == SOURCE_VALUES)
				steps = steps_with_value(m, 0, steps, &touch);
			here.i = i;

			/* what is reached */
			fresh = positions_of(m, steps) & (i == now_i ? allowed | now : allowed);
			own = fresh & l->free;
			for (uint64 bits = fresh & ~own; bits != 0; bits &= bits - 1)
			{
				int q = pg_rightmost_one_pos64(bits);

				if (within ? is_within_here(m, q, reached, &here, &since[q])
						   : is_reached_here(m, q, reached, &here))
					own |= within ? 0 : UINT64CONST(1) << q;
				else
					fresh &= ~(UINT64CONST(1) << q);
			}
			lead = fresh;
			if (source == SOURCE_ROWS)
			{
				for (uint64 bits = fresh; bits != 0; bits &= bits - 1)
					if (!row_leads_on(m, pg_rightmost_one_pos64(bits), i))
						lead &= ~(bits & -bits);
				if (m->row_reached)
					m->row_reached[i] = lead;
			}

			/* what is banned behind it */
			for (uint64 bits = steps & bans; bits != 0; bits &= bits - 1)
				m->last_ban[pg_rightmost_one_pos64(bits)] = i;

			/* what is found */
			for (uint64 bits = fresh & goals; bits != 0; bits &= bits - 1)
			{
				int q = pg_rightmost_one_pos64(bits);

				if (farthest)
				{
					if (p->positions[q].item <= item)
						continue;
					item = p->positions[q].item;
					m->reached_at = i;
					if (item < most)
						continue;
				}
				else
				{
					const ProgramAccept *accept = &p->accepts[m->accept[q]];

					if (accept->to_end && !may_end(m, accept, i, time_here(m, &here)))
						continue;
				}
				m->place.i = i + 1;
				return farthest ? item : 1;
			}

			/* what those behind must know */
			m->pending &= ~lead;
			timed = own & lead & l->timed;
			if (timed != 0 && !here.known)
			{
				if (m->pending != 0)
					tell_pending(m);
				m->pending = timed;
				m->pending_i = i;
			}
			for (uint64 bits = lead; bits != 0; bits &= bits - 1)
			{
				int q = pg_rightmost_one_pos64(bits);

				m->entries[q].i = i;
				m->entries[q].time = (own >> q & 1) != 0 ? here.time : since[q];
				next |= s->adjacent[q];
				allowed |= s->follow[q];
				bans |= l->bans[q];
			}
			if ((lead & ~reached) != 0 || next != now)
			{
				uint64 starts = positions_of(m, restart);

				wanted = steps_of(m, allowed | next) | bans | NO_LABEL;
				again = (restart & bans) == 0 && (starts & (allowed | next) & ~l->free) == 0 &&
								(starts & l->free & ~(reached | lead)) == 0
							? restart
							: 0;
			}
			reached |= lead;
			now = next;
			now_i = i + 1;
		}
	}
	m->place.i = v->n;
	return item;
}

static pg_attribute_always_inline int
run_from(Matcher *m, bool farthest, int most)
{
	if (m->rows)
		return run(m, SOURCE_ROWS, farthest, most);
	if (m->tests_values)
		return run(m, SOURCE_VALUES, farthest, most);
	if (m->marks)
		return run(m, SOURCE_MARKS, farthest, most);
	if (likely(m->v->label_width == 1))
		return run(m, SOURCE_BYTES, farthest, most);
	return run(m, SOURCE_LABELS, farthest, most);
}

bool
find_latest(Matcher *m)
{
	return run_from(m, false, 0) != 0;
}

int
farthest_latest(Matcher *m, int most)
{
	return run_from(m, true, most);
}
