/*
 * match_events.c
 *		Reading a journey for the matcher: which touchpoints which steps match.
 *
 * Labels are tested once, in the dictionary; touchpoints whose label no step
 * matches are passed over without decoding their times.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/match_inside.h"

static bool
part_matches(const PartTest *test, const char *text, size_t len)
{
	return (test->prefix ? len >= test->len : len == test->len) &&
		   memcmp(test->text, text, test->len) == 0;
}

static bool
step_matches_value(const Step *step, const Touch *t)
{
	for (int i = 0; i < step->nvalues; i++)
	{
		int cmp;

		if (!t->has_value)
			return false;
		cmp = decimal_cmp(t->value, step->values[i].value);
		switch (step->values[i].op)
		{
			case TEST_LT:
				if (cmp >= 0)
					return false;
				break;
			case TEST_LE:
				if (cmp > 0)
					return false;
				break;
			case TEST_GT:
				if (cmp <= 0)
					return false;
				break;
			case TEST_GE:
				if (cmp < 0)
					return false;
				break;
			case TEST_EQ:
				if (cmp != 0)
					return false;
				break;
		}
	}
	return true;
}

void
match_labels(Matcher *m)
{
	const Program *p = m->program;
	TouchLabel *labels = journey_dictionary(m->v);

	m->label_steps =
		palloc_extended(Max(m->v->nlabels, 1) * (size_t) m->step_words * sizeof(uint64),
						MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	m->label_used = palloc0(Max(m->v->nlabels, 1));
	for (uint32 i = 0; i < m->v->nlabels; i++)
	{
		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		for (int step = 0; step < p->nsteps; step++)
			if (part_matches(&p->steps[step]->channel, labels[i].channel, labels[i].channel_len) &&
				part_matches(&p->steps[step]->action, labels[i].action, labels[i].action_len))
			{
				bit_set(&m->label_steps[(size_t) i * m->step_words], step);
				m->label_used[i] = true;
			}
	}
	pfree(labels);
}

/*
 * Could the labels, in whatever order, lead from a start to an accept? Mostly
 * they cannot, and nothing else is read then.
 */
bool
labels_suffice(const Matcher *m)
{
	const Program *p = m->program;
	uint64 *have = palloc0(m->step_words * sizeof(uint64));
	bool *live = palloc0(p->npositions);
	bool changed = true;
	bool result = false;

	for (uint32 i = 0; i < m->v->nlabels; i++)
		for (int w = 0; w < m->step_words; w++)
			have[w] |= m->label_steps[(size_t) i * m->step_words + w];
	while (changed)
	{
		changed = false;
		for (int e = 0; e < p->nedges; e++)
		{
			const ProgramEdge *edge = &p->edges[e];

			if (!live[edge->to] && (edge->from < 0 || live[edge->from]) &&
				bit_get(have, p->positions[edge->to].step))
				live[edge->to] = changed = true;
		}
	}
	for (int i = 0; i < p->naccepts; i++)
		result |= live[p->accepts[i].position];
	pfree(have);
	pfree(live);
	return result;
}

void
place_start(const Matcher *m, Place *place)
{
	memset(place, 0, sizeof(*place));
	if (m->tests_values)
		journey_start_at(m->v, &place->cursor, 0);
	else
		ef_start(&m->v->times, &place->times);
}

bool
next_event(const Matcher *m, Place *place, uint64 *scratch, Event *event)
{
	const JourneyView *v = m->v;

	if (m->tests_values)
	{
		Touch t;

		while (journey_next(&place->cursor, &t))
		{
			const uint64 *label = &m->label_steps[(size_t) t.label * m->step_words];
			uint64 any = 0;

			place->i = place->cursor.i;
			if (place->i % MATCH_INTERRUPT_EVERY == 0)
				CHECK_FOR_INTERRUPTS();
			if (!m->label_used[t.label])
				continue;
			for (int w = 0; w < m->step_words; w++)
			{
				uint64 test = label[w] & m->value_steps[w];

				scratch[w] = label[w];
				for (; test != 0; test &= test - 1)
				{
					int step = w * WORD_BITS + pg_rightmost_one_pos64(test);

					if (!step_matches_value(m->program->steps[step], &t))
						scratch[w] &= ~(UINT64CONST(1) << (step % WORD_BITS));
				}
				any |= scratch[w];
			}
			if (any == 0)
				continue;
			event->i = place->i - 1;
			event->time = t.time;
			event->steps = scratch;
			return true;
		}
		return false;
	}

	while (place->i < v->n)
	{
		uint32 i = place->i++;
		uint32 label = journey_label_at(v, i);

		if (i % MATCH_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (!m->label_used[label])
			continue;
		ef_seek(&v->times, &place->times, i);
		event->i = i;
		event->time = journey_time_from_offset(v, ef_next(&v->times, &place->times));
		event->steps = &m->label_steps[(size_t) label * m->step_words];
		return true;
	}
	return false;
}

const Ahead *
look_ahead(Matcher *m, int step, uint32 i)
{
	Ahead *ahead = &m->ahead[step];

	if (!ahead->started)
	{
		place_start(m, &ahead->place);
		ahead->started = true;
		ahead->found = true;
		ahead->i = 0;
	}
	else if (!ahead->found || ahead->i > i)
		return ahead;
	for (;;)
	{
		Event event;

		if (!next_event(m, &ahead->place, m->ahead_steps, &event))
		{
			ahead->found = false;
			return ahead;
		}
		if (event.i > i && bit_get(event.steps, step))
		{
			ahead->i = event.i;
			ahead->time = event.time;
			return ahead;
		}
	}
}
