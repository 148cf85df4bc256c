/*
 * match_marks.c
 *		What labels alone tell of matches, for who looks at many touchpoints' labels at once.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/match_inside.h"
#include "pattern/match_marks.h"

#define MARKS 8

void
matcher_open_marked(Matcher *m, const JourneyView *v, const uint8 *marks)
{
	matcher_open(m, v);
	m->marks = marks;
}

MatchReads
matcher_reads(const Matcher *m)
{
	if (m->tests_values)
		return MATCH_READS_VALUES;
	return m->has_simple && m->simple.exact ? MATCH_READS_LABELS : MATCH_READS_TIMES;
}

static inline uint8
step_mark(int step)
{
	return 1 << Min(step, MARKS - 1);
}

static uint8
steps_marks(const Matcher *m, const uint64 *steps)
{
	uint64 marks = steps[0] & ((UINT64CONST(1) << MARKS) - 1);
	uint64 others = steps[0] >> MARKS;

	for (int w = 1; w < m->step_words; w++)
		others |= steps[w];
	return marks | (others != 0 ? step_mark(MARKS) : 0);
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
	/* what steps share tells of none of them that it is there */
	marks->required = steps_marks(m, m->required);
	if (p->nsteps > MARKS)
		marks->required &= ~step_mark(MARKS);
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
