/*
 * match_chain.c
 *		Matches of a chain from given starts: a touchpoint for each item, each somewhere behind
 *		the one before.
 *
 * The latest touchpoint that each item but the first may be, backwards, is of the match that
 * starts last: nothing is gained by an earlier one. The start is the latest of those given before
 * the second one. So one run links each touchpoint at which an
 * item is reached to the latest one of the item before, and serves any set of starts. What is
 * not within the pattern's time from the latest start is not so from any.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/match_inside.h"

void
make_chain(Matcher *m)
{
	const Program *p = m->program;

	if (!m->has_latest || m->tests_values || p->row_conditions || p->nedges != p->npositions)
		return;
	for (int q = 0; q < p->npositions; q++)
	{
		const ProgramEdge *edge = &p->edges[q];
		const ProgramLink *link = edge->link >= 0 ? &p->links[edge->link] : NULL;

		if (p->positions[q].item != q + 1 || !p->positions[q].ends_item || edge->to != q ||
			edge->from != q - 1 || (edge->from_start && edge->link >= 0))
			return;
		if (q > 0 && (link->next || link->min > 0 || link->max != PG_INT64_MAX || link->nbans > 0))
			return;
	}
	m->has_chain = true;
}

void
chain_start(Matcher *m)
{
	m->links = NULL;
	m->nlinks = m->links_max = 0;
	m->ends = palloc(m->most * sizeof(ChainEnd));
	m->nends = 0;
}

void
chain_reach(Matcher *m, const Event *event)
{
	const Program *p = m->program;

	CHECK_FOR_INTERRUPTS();
	m->nhits = 0;
	/* later items first: what comes before must lie before this touchpoint */
	for (int q = Min(m->nends, m->most - 1); q >= 0; q--)
	{
		ChainEnd end = {.link = m->nlinks, .start = event->i, .start_time = event->time};

		if ((event->steps[0] >> p->positions[q].step & 1) == 0)
			continue;
		if (q > 0)
		{
			end.start = m->ends[q - 1].start;
			end.start_time = m->ends[q - 1].start_time;
			if (p->within != PATTERN_UNBOUNDED && elapsed(end.start_time, event->time) > p->within)
				continue;
		}
		if (m->nlinks == m->links_max)
		{
			m->links_max = Max(64, 2 * m->links_max);
			m->links = m->links
						   ? repalloc_huge(m->links, m->links_max * sizeof(ChainLink))
						   : palloc_extended(m->links_max * sizeof(ChainLink), MCXT_ALLOC_HUGE);
		}
		m->links[m->nlinks++] =
			(ChainLink) {event->i, event->time, q > 0 ? m->ends[q - 1].link : 0};
		m->ends[q] = end;
		m->nends = Max(m->nends, q + 1);
		m->hits[m->nhits] = (Reached) {event->i, end.start, event->time, end.start_time};
		m->hit_positions[m->nhits++] = q;
	}
}

/* The time of a start. */
static int64
start_time(const Matcher *m, uint32 i)
{
	uint32 from = 0;
	uint32 to = m->nall_starts;

	while (to - from > 1)
	{
		uint32 middle = from + (to - from) / 2;

		if (m->all_starts[middle].i <= i)
			from = middle;
		else
			to = middle;
	}
	return m->all_starts[from].time;
}

bool
chain_match_from(const Matcher *m, uint32 start, size_t link, int reached, Match *match)
{
	int64 time = start_time(m, start);

	if (m->program->within != PATTERN_UNBOUNDED &&
		elapsed(time, m->links[link].time) > m->program->within)
		return false;
	match->n = reached;
	match->touchpoints = palloc(reached * sizeof(uint32));
	match->items = palloc(reached * sizeof(MatchItem));
	for (int q = reached; q-- > 1; link = m->links[link].before)
	{
		match->touchpoints[q] = m->links[link].i;
		match->items[q] = (MatchItem) {q + 1, m->links[link].time};
	}
	match->touchpoints[0] = start;
	match->items[0] = (MatchItem) {1, time};
	return true;
}
