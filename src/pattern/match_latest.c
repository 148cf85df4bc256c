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
 *
 * A position to begin with may have many touchpoints, of which few count: the last one
 * before each that leads on from it. So once it was reached it is no longer looked for, but
 * looked back for when asked (it is called idle), never twice at the same touchpoints.
 *
 * If each position is led to by the one before alone, where that one was reached last is also
 * what the match goes through that starts last: a later touchpoint at which a position is
 * reached has a start that is no earlier. So each position keeps the touchpoints by which it
 * was reached last, its path.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/match_inside.h"

static bool
is_ban(const Program *p, int step)
{
	for (int l = 0; l < p->nlinks; l++)
		for (int k = 0; k < p->links[l].nbans; k++)
			if (p->links[l].bans[k] == step)
				return true;
	return false;
}

/* Does nothing but the order of touchpoints and their labels count? */
static bool
is_timeless(const Matcher *m)
{
	const Program *p = m->program;

	if (m->tests_values || p->row_conditions || p->within != PATTERN_UNBOUNDED)
		return false;
	for (int l = 0; l < p->nlinks; l++)
	{
		const ProgramLink *link = &p->links[l];

		if (link->min > 0 || link->max != PG_INT64_MAX)
			return false;
		for (int k = 0; k < link->nbans; k++)
			if (link->ban_usecs[k] != PATTERN_UNBOUNDED)
				return false;
	}
	return true;
}

/* Is each position an item, and led to by the one before alone? */
static bool
is_path(const Program *p)
{
	if (p->nedges != p->npositions || p->row_conditions)
		return false;
	for (int q = 0; q < p->npositions; q++)
		if (p->positions[q].item != q + 1 || !p->positions[q].ends_item || p->edges[q].to != q ||
			p->edges[q].from != q - 1)
			return false;
	return true;
}

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
		{
			uint64 *bans = edge->from >= 0 ? &l->bans[edge->from] : &l->start_bans;

			*bans |= UINT64CONST(1) << link->bans[k];
		}
	}
	if (within)
		l->timed = l->free;
	l->idle = -1;
	if (!m->tests_values && p->row_conditions == NULL)
		for (int q = p->npositions; q-- > 0;)
		{
			uint64 bit = UINT64CONST(1) << q;

			/* its touchpoints are of no other use */
			if ((l->free & bit) != 0 && s->adjacent[q] == 0 &&
				s->step_positions[p->positions[q].step] == bit &&
				((s->accept | s->accept_last) & bit) == 0 && !is_ban(p, p->positions[q].step))
				l->idle = q;
		}
	m->entries = palloc(p->npositions * sizeof(LatestEntry));
	m->has_latest = true;
	m->has_path = is_path(p);
	if (m->has_path)
	{
		m->paths = palloc(p->npositions * p->npositions * sizeof(uint32));
		m->path = palloc(p->npositions * sizeof(uint32));
	}
	m->timeless = is_timeless(m);
}

/* The touchpoint at hand. */
typedef struct Here
{
	uint32 i;
	bool known; /* is the time? */
	int64 time;
} Here;

/* The time of a touchpoint that does not lie before the one that the cursor gave last. */
static inline int64
read_time(const JourneyView *v, EliasFanoCursor *cursor, uint32 i)
{
	if (cursor->i != i)
		ef_seek(&v->times, cursor, i);
	return journey_time_from_offset(v, ef_next(&v->times, cursor));
}

/* Tell those that wait for it the time of the touchpoint that they were reached at. */
static void
tell_pending(Matcher *m)
{
	int64 time = read_time(m->v, &m->place.times, m->pending_i);

	for (uint64 bits = m->pending; bits != 0; bits &= bits - 1)
		m->entries[pg_rightmost_one_pos64(bits)].time = time;
	m->pending = 0;
}

/* Look for the idle position's last touchpoint before i. */
static void
look_back(Matcher *m, uint32 i)
{
	const JourneyView *v = m->v;
	uint64 step = UINT64CONST(1) << m->program->positions[m->latest.idle].step;

	for (uint32 k = i; k > m->idle_looked; k--)
	{
		if (unlikely(k % MATCH_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		if ((m->label_steps[v->label_width == 1 ? v->labels[k - 1] : journey_label_at(v, k - 1)] &
			 step) != 0)
		{
			m->entries[m->latest.idle].i = k - 1;
			m->idle_known = false;
			break;
		}
	}
	m->idle_looked = i;
}

static inline int64
time_here(Matcher *m, Here *here)
{
	if (!here->known)
	{
		if (m->pending != 0)
			tell_pending(m);
		here->time = read_time(m->v, &m->place.times, here->i);
		here->known = true;
	}
	return here->time;
}

/* Of a position that was reached before: at which touchpoint last. */
static inline uint32
place_of_entry(Matcher *m, int position, uint32 before)
{
	if (position == m->latest.idle && m->idle_looked < before)
		look_back(m, before);
	return m->entries[position].i;
}

/* And its time. */
static inline int64
time_of_entry(Matcher *m, int position, uint32 before)
{
	if (position == m->latest.idle)
	{
		uint32 i = place_of_entry(m, position, before);

		if (!m->idle_known)
		{
			m->entries[position].time = read_time(m->v, &m->idle_times, i);
			m->idle_known = true;
		}
	}
	else if ((m->pending >> position & 1) != 0)
		tell_pending(m);
	return m->entries[position].time;
}

/* Does the edge lead from where its position was reached last to here? */
static inline bool
leads_here(Matcher *m, const ProgramEdge *edge, Here *here)
{
	const ProgramLink *link = &m->program->links[edge->link];
	uint32 from = place_of_entry(m, edge->from, here->i);

	if (link->next && from + 1 != here->i)
		return false;
	for (int k = 0; k < link->nbans; k++)
		if (m->last_ban[link->bans[k]] > (int64) from)
			return false;
	if (link->max == PG_INT64_MAX)
		return true;
	return elapsed(time_of_entry(m, edge->from, here->i), time_here(m, here)) <= link->max;
}

/* What the path to a position through here has before. */
static inline void
copy_path(Matcher *m, int q, uint32 *path, uint32 here)
{
	const uint32 *before = &m->paths[(q - 1) * m->program->npositions];

	if (q == 0)
		return;
	for (int k = 0; k < q - 1; k++)
		path[k] = before[k];
	path[q - 1] = place_of_entry(m, q - 1, here);
}

void
path_match(Matcher *m, int reached, Match *match, bool items)
{
	const JourneyView *v = m->v;
	EliasFanoCursor times;

	Assert(m->path_items == reached);
	match->n = reached;
	match->touchpoints = palloc(reached * sizeof(uint32));
	memcpy(match->touchpoints, m->path, reached * sizeof(uint32));
	if (!items)
		return;
	match->items = palloc(reached * sizeof(MatchItem));
	ef_start(&v->times, &times);
	for (int q = 0; q < reached; q++)
		match->items[q] = (MatchItem) {q + 1, read_time(v, &times, m->path[q])};
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
		if (edge->from < 0
				? may_start(m, edge, here->i, edge_is_timed(m, edge) ? time_here(m, here) : m->v->first)
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
		*since = Max(*since, time_of_entry(m, pg_rightmost_one_pos64(bits), here->i));
	return elapsed(*since, time_here(m, here)) <= m->program->within;
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
	uint64 reached = 0;                       /* positions that have an entry */
	uint64 allowed = s->start;                /* positions that may be reached from now on */
	uint64 now = i == 0 ? s->start_first : 0; /* ... at touchpoint now_i only */
	uint32 now_i = 0;
	uint64 bans = l->start_bans; /* steps that it must be known of from now on where they were */
	uint64 wanted = steps_of(m, allowed | now) | bans | NO_LABEL;
	uint64 idle = 0; /* the idle position, if there is one */
	int item = 0;
	int64 since[WORD_BITS]; /* with "within": of positions reached here */

	m->pending = 0;
	m->path_items = 0;
	if (source == SOURCE_MARKS || source == SOURCE_BYTES || source == SOURCE_LABELS)
	{
		m->idle_times = m->place.times;
		idle = l->idle >= 0 ? UINT64CONST(1) << l->idle : 0;
	}
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
				i = marks_next(m->marks, i, end, marks_of_steps(wanted & ~NO_LABEL));
				if (i == end)
					break;
				steps = label_steps[journey_label_at(v, i)];
			}
			else if (source == SOURCE_BYTES)
			{
				i = skip_labels(v->labels, i, end, label_steps, wanted);
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
					if (m->has_path)
					{
						copy_path(m, q, m->path, i);
						m->path[q] = i;
						m->path_items = item;
					}
					if (item < most)
						continue;
				}
				else
				{
					const ProgramAccept *accept = &p->accepts[m->accept[q]];

					if (accept->to_end &&
						!may_end(m, accept, i,
								 accept_is_timed(m, accept) ? time_here(m, &here) : m->v->last))
						continue;
				}
				m->place.i = i + 1;
				return farthest ? item : 1;
			}

			/* what those behind must know */
			if (farthest && m->has_path)
				for (uint64 bits = lead; bits != 0;)
				{
					int q = pg_leftmost_one_pos64(bits); /* by what was reached before this touchpoint */

					copy_path(m, q, &m->paths[q * p->npositions], i);
					bits ^= UINT64CONST(1) << q;
				}
			m->pending &= ~lead;
			if (idle != 0 && (lead & idle) != 0)
			{
				m->idle_looked = i + 1;
				m->idle_known = false;
			}
			timed = own & lead & l->timed & ~idle;
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
				wanted =
					steps_of(m, (allowed | next) & ~(idle & (reached | lead))) | bans | NO_LABEL;
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
