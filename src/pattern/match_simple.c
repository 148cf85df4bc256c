/*
 * match_simple.c
 *		Patterns without limits on time, bans, "within" or values, of at most 64
 *		positions: bit-parallel, one look at a touchpoint's label.
 *
 * Once a position is reached, what follows it by -> stays allowed for ever, and
 * what follows it by => for the next touchpoint. (After R. Baeza-Yates and
 * G. Gonnet, "A new approach to text searching", CACM 35, 1992.)
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

bool
make_simple(const Program *p, Simple *s)
{
	if (p->npositions > WORD_BITS || p->within != PATTERN_UNBOUNDED)
		return false;
	for (int i = 0; i < p->nsteps; i++)
		if (p->steps[i]->nvalues > 0)
			return false;
	memset(s, 0, sizeof(*s));
	for (int e = 0; e < p->nedges; e++)
	{
		const ProgramEdge *edge = &p->edges[e];
		uint64 to = UINT64CONST(1) << edge->to;
		bool next = edge->link >= 0 && p->links[edge->link].next;

		if (!link_is_simple(p, edge->link))
			return false;
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

		if (!link_is_simple(p, accept->link))
			return false;
		if (accept->to_end && (accept->link < 0 || p->links[accept->link].next))
			s->accept_last |= bit;
		else
			s->accept |= bit;
	}
	return true;
}

bool
run_simple(const Matcher *m, const Simple *s, uint64 *reached, uint64 enough)
{
	const Program *p = m->program;
	const JourneyView *v = m->v;
	uint64 *label_positions = palloc0(v->nlabels * sizeof(uint64));
	uint64 allowed = s->start;
	uint64 now = s->start_first; /* allowed at this touchpoint only */
	bool matched = false;

	for (uint32 label = 0; label < v->nlabels; label++)
		for (int q = 0; q < p->npositions; q++)
			if (bit_get(&m->label_steps[(size_t) label * m->step_words], p->positions[q].step))
				label_positions[label] |= UINT64CONST(1) << q;
	*reached = 0;
	for (uint32 i = 0; i < v->n; i++)
	{
		uint64 hit = label_positions[journey_label_at(v, i)] & (allowed | now);

		if (i % MATCH_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		now = 0;
		if (hit == 0)
			continue;
		if ((hit & s->accept) != 0 || (i == v->n - 1 && (hit & s->accept_last) != 0))
			matched = true;
		for (uint64 bits = hit; bits != 0; bits &= bits - 1)
		{
			int q = pg_rightmost_one_pos64(bits);

			now |= s->adjacent[q];
			allowed |= s->follow[q];
		}
		*reached |= hit;
		if ((*reached & enough) != 0)
			break;
	}
	pfree(label_positions);
	return matched;
}
