/*
 * match_marks.c
 *		What labels tell of matches, for who looks at those of many touchpoints at once.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/match_inside.h"

void
matcher_open_marked(Matcher *m, const JourneyView *v, const uint8 *marks)
{
	matcher_open(m, v);
	m->marks = marks;
}

bool
matcher_reads_values(const Matcher *m)
{
	return m->tests_values;
}

static inline uint8
step_mark(int step)
{
	return 1 << Min(step, MATCH_MARKS - 1);
}

static uint8
steps_marks(const Matcher *m, const uint64 *steps)
{
	uint8 marks = marks_of_steps(steps[0]);

	for (int w = 1; w < m->step_words; w++)
		if (steps[w] != 0)
			marks |= step_mark(MATCH_MARKS);
	return marks;
}

void
matcher_marks(const Matcher *m, MatchMarks *marks)
{
	const Program *p = m->program;
	bool ends = false;
	bool open = false;

	memset(marks, 0, sizeof(*marks));
	marks->alone = m->tests_values ? -1 : 0;
	for (int e = 0; e < p->nedges; e++)
	{
		const ProgramEdge *edge = &p->edges[e];
		const ProgramPosition *to = &p->positions[edge->to];

		if (edge->from >= 0)
			marks->follow |= step_mark(to->step);
		else
		{
			marks->start |= step_mark(to->step);
			if (to->ends_item)
				ends = true;
			else
				open = true;
			if (edge->from_start || (to->ends_item && to->item != 1))
				marks->alone = -1;
		}
	}
	if (ends && marks->alone == 0)
		marks->alone = open ? -1 : 1;
	marks->required = steps_marks(m, m->required);
	/* what steps share tells of none of them that it is there */
	if (p->nsteps > MATCH_MARKS)
	{
		if ((marks->start & step_mark(MATCH_MARKS)) != 0 && marks->alone > 0)
			marks->alone = -1;
		marks->required &= ~step_mark(MATCH_MARKS);
	}
}

bool
matcher_label_marks(Matcher *m, uint8 *label_marks)
{
	const JourneyView *v = m->v;

	match_labels(m);
	for (uint32 label = 0; label < v->nlabels; label++)
	{
		if (unlikely(label % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		label_marks[label] = steps_marks(m, &m->label_steps[(size_t) label * m->step_words]);
	}
	return labels_suffice(m);
}
