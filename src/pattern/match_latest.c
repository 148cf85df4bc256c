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

/* Where the edge's position was reached last, if its link leads on from there; or NULL. */
const Reached *
latest_before(const Matcher *m, const ProgramEdge *edge, uint32 i, int64 time)
{
	const ProgramLink *link = &m->program->links[edge->link];
	const Reached *from = &m->latest[edge->from];

	if (from->start == NO_START || (link->next && from->i + 1 != i) ||
		(link->max != PG_INT64_MAX && elapsed(from->time, time) > link->max))
		return NULL;
	for (int k = 0; k < link->nbans; k++)
		if (m->last_ban[link->bans[k]] > (int64) from->i)
			return NULL;
	return from;
}
