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

	if (p->npositions > WORD_BITS || p->nsteps > SIMPLE_STEPS_MAX)
		return;
	m->has_simple = p->row_conditions == NULL;
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
	s->start_steps = steps_of(m, s->start);
	for (int q = 0; q < p->npositions; q++)
		s->lead_steps[q] = steps_of(m, s->follow[q] | s->adjacent[q]);
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

/* run_simple(), of a journey that is read so. */
static pg_attribute_always_inline bool
run_labels(const Matcher *m, Source source, uint64 *result, uint64 enough)
{
	const Simple *s = &m->simple;
	const JourneyView *v = m->v;
	const uint64 *label_steps = m->label_steps;
	uint64 allowed = s->start;
	uint64 now = s->start_first; /* allowed at touchpoint now_i only */
	uint32 now_i = 0;
	uint64 reached = 0;
	bool matched = false;
	uint64 wanted = steps_of(m, allowed | now) & m->have[0]; /* steps that may bring news */
	uint32 i = 0;

	while (i < v->n && wanted != 0)
	{
		uint32 end = Min(v->n, i + MATCH_INTERRUPT_EVERY);

		if (unlikely(i > 0))
			CHECK_FOR_INTERRUPTS();
		for (; i < end; i++)
		{
			uint64 hit;

			if (source == SOURCE_BYTES)
			{
				i = skip_labels(v->labels, i, end, label_steps, wanted | NO_LABEL);
				if (i == end)
					break;
				hit = label_steps[v->labels[i]] & (wanted | NO_LABEL);
			}
			else
			{
				if (source == SOURCE_MARKS)
				{
					i = marks_next(m->marks, i, end, marks_of_steps(wanted));
					if (i == end)
						break;
				}
				hit = label_steps[journey_label_at(v, i)] & wanted;
			}
			if (hit == 0)
				continue;
			if (unlikely((hit & NO_LABEL) != 0))
				journey_corrupt("a touchpoint's label is not in the dictionary");
			if (now_i != i)
				now = 0;
			/* once more is news only to what must follow at once, or must be last */
			hit = positions_of(m, hit) & (allowed | now) & (~reached | s->lasting);
			if ((hit & s->accept) != 0 || (i == v->n - 1 && (hit & s->accept_last) != 0))
				matched = true;
			reached |= hit;
			if ((reached & enough) != 0)
			{
				*result = reached;
				return matched;
			}
			now = 0;
			for (; hit != 0; hit &= hit - 1)
			{
				int q = pg_rightmost_one_pos64(hit);

				now |= s->adjacent[q];
				allowed |= s->follow[q];
			}
			now_i = i + 1;
			wanted = steps_of(m, (allowed | now) & (~reached | s->lasting)) & m->have[0];
			if (wanted == 0)
				break;
		}
	}
	*result = reached;
	return matched;
}

bool
run_simple(const Matcher *m, uint64 *reached, uint64 enough)
{
	if (m->marks)
		return run_labels(m, SOURCE_MARKS, reached, enough);
	if (likely(m->v->label_width == 1))
		return run_labels(m, SOURCE_BYTES, reached, enough);
	return run_labels(m, SOURCE_LABELS, reached, enough);
}
