/*
 * match_latest.c
 *		Patterns of which only the latest touchpoint that reached a position
 *		counts: one entry a position instead of a window.
 *
 * Asked whether there is a match, or how far one gets, and not which, an earlier
 * touchpoint at which a position was reached is of no use beside a later one
 *
 *	- without "within", if no link has a lower limit of time: the later one is
 *	  nearer in time and has fewer touchpoints behind it that could be banned;
 *	- with "within", if no link has limits or is => and every start is free: then
 *	  whatever led to the earlier one may lead to the later one too, so
 *	  that one's start is no earlier.
 */
#include "postgres.h"

#include "compat.h"
#include "pattern/match_inside.h"

bool
latest_suffices(const Program *p)
{
	for (int e = 0; e < p->nedges; e++)
	{
		const ProgramEdge *edge = &p->edges[e];
		const ProgramLink *link = edge->link >= 0 ? &p->links[edge->link] : NULL;

		if (edge->from >= 0 && link->min > 0)
			return false;
		if (p->within != PATTERN_UNBOUNDED &&
			(edge->from < 0 ? edge->from_start
							: link->next || link->max != PG_INT64_MAX || link->nbans > 0))
			return false;
	}
	return true;
}

/*
 * Times are read when a limit asks for them: of most touchpoints only the last
 * one before another step counts, and its time is not known until then. The
 * touchpoints asked for hardly ever go backwards.
 */
static int64
latest_time(Matcher *m, Latest *latest)
{
	if (!latest->timed)
	{
		latest->time = time_at(m->v, &m->back, latest->i);
		latest->timed = true;
	}
	return latest->time;
}

static int64
latest_start_time(Matcher *m, Latest *latest)
{
	if (!latest->start_timed)
	{
		latest->start_time = time_at(m->v, &m->back, latest->start);
		latest->start_timed = true;
	}
	return latest->start_time;
}

/* Does the link lead from where a position was reached last to this touchpoint? */
static bool
leads_on(Matcher *m, const ProgramLink *link, Latest *from, Event *event)
{
	if (from->i < 0 || (link->next && from->i + 1 != event->i) ||
		(link->max != PG_INT64_MAX &&
		 elapsed(latest_time(m, from), event_time(m, event)) > link->max))
		return false;
	for (int k = 0; k < link->nbans; k++)
		if (m->last_ban[link->bans[k]] > from->i)
			return false;
	return true;
}

void
reach_by_latest(Matcher *m, Event *event)
{
	const Program *p = m->program;

	m->nhits = 0;
	for (int w = 0; w < m->step_words; w++)
		for (uint64 bits = event->steps[w]; bits != 0; bits &= bits - 1)
		{
			int step = w * WORD_BITS + pg_rightmost_one_pos64(bits);

			for (int q = m->step_positions[step]; q >= 0; q = m->next_position[q])
			{
				Latest *reached = &m->hit_latest[m->nhits];

				*reached = (Latest) {.i = event->i, .start = -1};
				for (int e = m->first_edge[q]; e < m->first_edge[q + 1]; e++)
				{
					const ProgramEdge *edge = &p->edges[e];
					Latest *from;

					if (edge->from < 0)
					{
						if (edge->from_start && !may_start(m, edge, event))
							continue;
						reached->start = event->i; /* none can start later */
						reached->start_timed = false;
						break;
					}
					from = &m->latest[edge->from];
					if (!leads_on(m, &p->links[edge->link], from, event) ||
						from->start <= reached->start)
						continue;
					if (p->within != PATTERN_UNBOUNDED &&
						elapsed(latest_start_time(m, from), event_time(m, event)) > p->within)
						continue;
					reached->start = from->start;
					reached->start_time = from->start_time;
					reached->start_timed = from->start_timed;
				}
				if (reached->start < 0)
					continue;
				m->hits[m->nhits] = (Reached) {.i = event->i};
				m->hit_positions[m->nhits++] = q;
			}
		}
	/* what was asked for need not be read again */
	for (int h = 0; h < m->nhits && event->timed; h++)
	{
		m->hit_latest[h].time = event->time;
		m->hit_latest[h].timed = true;
	}
}

void
settle_latest(Matcher *m)
{
	for (int h = 0; h < m->nhits; h++)
		m->latest[m->hit_positions[h]] = m->hit_latest[h];
}
