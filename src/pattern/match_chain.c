/*
 * match_chain.c
 *		The match of a chain: a touchpoint for each item, each somewhere behind the one before.
 *
 * Where it ends is known from match_latest.c. From there the latest touchpoint that each
 * item may be, backwards, is the match that starts last: nothing is gained by an earlier one.
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
			edge->from != q - 1 || edge->from_start)
			return;
		if (q > 0 && (link->next || link->min > 0 || link->max != PG_INT64_MAX || link->nbans > 0))
			return;
	}
	m->has_chain = true;
}

void
chain_match(Matcher *m, int reached, Match *match, bool items)
{
	const Program *p = m->program;
	const JourneyView *v = m->v;
	uint32 i = m->reached_at;
	EliasFanoCursor times;

	match->n = reached;
	match->touchpoints = palloc(reached * sizeof(uint32));
	match->touchpoints[reached - 1] = i;
	for (int q = reached - 1; q-- > 0;)
	{
		uint64 step = UINT64CONST(1) << p->positions[q].step;

		do
		{
			if (i == 0)
				journey_corrupt("its labels have changed");
			if (unlikely(i % MATCH_INTERRUPT_EVERY == 0))
				CHECK_FOR_INTERRUPTS();
			i--;
		} while ((m->label_steps[journey_label_at(v, i)] & step) == 0);
		match->touchpoints[q] = i;
	}
	if (!items)
		return;
	match->items = palloc(reached * sizeof(MatchItem));
	ef_start(&v->times, &times);
	for (int q = 0; q < reached; q++)
	{
		ef_seek(&v->times, &times, match->touchpoints[q]);
		match->items[q].item = q + 1;
		match->items[q].time = journey_time_from_offset(v, ef_next(&v->times, &times));
	}
}
