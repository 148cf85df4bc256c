/*
 * match_simple.c
 *		Patterns of at most 64 positions without their limits on time, bans,
 *		"within" and values: bit-parallel, one look at a touchpoint's label.
 *
 * Once a position is reached, what follows it by -> stays allowed for ever, and
 * what follows it by => for the next touchpoint. (After R. Baeza-Yates and
 * G. Gonnet, "A new approach to text searching", CACM 35, 1992.) A pattern that
 * has no limits is decided so; of another it tells how far it may get at best.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/match_inside.h"

static bool
link_is_simple(const Program *p, int link)
{
	return link < 0 || (p->links[link].min == 0 && p->links[link].max == PG_INT64_MAX &&
						p->links[link].nbans == 0);
}

void
make_simple(Matcher *m)
{
	const Program *p = m->program;
	Simple *s = &m->simple;

	m->has_simple = p->npositions <= WORD_BITS;
	if (!m->has_simple)
		return;
	s->step_positions = palloc0(p->nsteps * sizeof(uint64));
	s->free_start = true;
	s->exact = p->within == PATTERN_UNBOUNDED && !m->tests_values;
	for (int e = 0; e < p->nedges; e++)
	{
		const ProgramEdge *edge = &p->edges[e];
		uint64 to = UINT64CONST(1) << edge->to;
		bool next = edge->link >= 0 && p->links[edge->link].next;

		s->exact &= link_is_simple(p, edge->link);
		s->free_start &= !edge->from_start;
		if (edge->from >= 0)
			*(next ? &s->adjacent[edge->from] : &s->follow[edge->from]) |= to;
		else if (edge->from_start && (edge->link < 0 || next))
			s->start_first |= to;
		else
			s->start |= to;
	}
	for (int a = 0; a < p->naccepts; a++)
	{
		const ProgramAccept *accept = &p->accepts[a];
		uint64 bit = UINT64CONST(1) << accept->position;

		s->exact &= link_is_simple(p, accept->link);
		if (accept->to_end && (accept->link < 0 || p->links[accept->link].next))
			s->accept_last |= bit;
		else
			s->accept |= bit;
	}
	s->lasting |= s->accept_last;
	for (int q = 0; q < p->npositions; q++)
	{
		s->step_positions[p->positions[q].step] |= UINT64CONST(1) << q;
		if (s->adjacent[q] != 0)
			s->lasting |= UINT64CONST(1) << q;
		if (p->positions[q].ends_item)
		{
			s->ends_item |= UINT64CONST(1) << q;
			if (p->positions[q].item == p->nitems)
				s->ends_last_item |= UINT64CONST(1) << q;
		}
	}
}

bool
run_simple(const Matcher *m, uint64 *result, uint64 enough)
{
	const Simple *s = &m->simple;
	const JourneyView *v = m->v;
	uint64 few[256];
	uint64 *label_positions =
		v->nlabels <= lengthof(few) ? few : palloc(v->nlabels * sizeof(uint64));
	uint64 allowed = s->start;
	uint64 now = s->start_first; /* allowed at this touchpoint only */
	uint64 reached = 0;
	uint64 some = 0; /* positions that some touchpoint is for */
	bool matched = false;

	for (uint32 label = 0; label < v->nlabels; label++)
	{
		uint64 positions = 0;

		for (int w = 0; w < m->step_words; w++)
			for (uint64 bits = m->label_steps[(size_t) label * m->step_words + w]; bits != 0;
				 bits &= bits - 1)
				positions |= s->step_positions[w * WORD_BITS + pg_rightmost_one_pos64(bits)];
		label_positions[label] = positions;
		some |= positions;
	}
	if ((some & (s->start | s->start_first)) == 0)
		some = 0;
	for (uint32 i = 0; i < v->n && (some & (~reached | s->lasting)) != 0; i++)
	{
		uint64 hit = label_positions[journey_label_at(v, i)] & (allowed | now);

		if (unlikely(i % MATCH_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		now = 0;
		/* once more is news only to what must follow at once, or must be last */
		if (likely((hit & (~reached | s->lasting)) == 0))
			continue;
		if ((hit & s->accept) != 0 || (i == v->n - 1 && (hit & s->accept_last) != 0))
			matched = true;
		reached |= hit;
		if ((reached & enough) != 0)
			break;
		for (uint64 bits = hit; bits != 0; bits &= bits - 1)
		{
			int q = pg_rightmost_one_pos64(bits);

			now |= s->adjacent[q];
			allowed |= s->follow[q];
		}
	}
	if (label_positions != few)
		pfree(label_positions);
	*result = reached;
	return matched;
}
