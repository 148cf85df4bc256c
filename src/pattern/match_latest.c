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

/* Does the link lead from where a position was reached last to touchpoint i? */
static bool
leads_on(const Matcher *m, const ProgramLink *link, const Latest *from, uint32 i, int64 time)
{
	if (from->i < 0 || (link->next && from->i + 1 != i) ||
		(link->max != PG_INT64_MAX && elapsed(from->time, time) > link->max))
		return false;
	for (int k = 0; k < link->nbans; k++)
		if (m->last_ban[link->bans[k]] > from->i)
			return false;
	return true;
}

void
reach_by_latest(Matcher *m, const Event *event)
{
	const Program *p = m->program;

	m->nhits = 0;
	for (int w = 0; w < m->step_words; w++)
		for (uint64 bits = event->steps[w]; bits != 0; bits &= bits - 1)
		{
			int step = w * WORD_BITS + pg_rightmost_one_pos64(bits);

			for (int q = m->step_positions[step]; q >= 0; q = m->next_position[q])
			{
				bool reached = false;
				int64 start_time = PG_INT64_MIN;

				for (int e = m->first_edge[q]; e < m->first_edge[q + 1]; e++)
				{
					const ProgramEdge *edge = &p->edges[e];

					if (edge->from < 0)
					{
						if (edge->from_start && !may_start(m, edge, event->i, event->time))
							continue;
						reached = true;
						start_time = event->time; /* none can start later */
						break;
					}
					if (leads_on(m, &p->links[edge->link], &m->latest[edge->from], event->i,
								 event->time))
					{
						reached = true;
						start_time = Max(start_time, m->latest[edge->from].start_time);
					}
				}
				if (!reached || (p->within != PATTERN_UNBOUNDED &&
								 elapsed(start_time, event->time) > p->within))
					continue;
				m->hits[m->nhits] =
					(Reached) {.i = event->i, .time = event->time, .start_time = start_time};
				m->hit_positions[m->nhits++] = q;
			}
		}
}

void
settle_latest(Matcher *m)
{
	for (int h = 0; h < m->nhits; h++)
		m->latest[m->hit_positions[h]] =
			(Latest) {m->hits[h].i, m->hits[h].time, m->hits[h].start_time};
}
