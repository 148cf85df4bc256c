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

/* Steps that a link bans, but for those that only some values are of. */
static uint64
link_bans(const Matcher *m, int link)
{
	const ProgramLink *l;
	uint64 bans = 0;

	if (link < 0 || m->program->links[link].next)
		return ~UINT64CONST(0); /* there is nothing between */
	l = &m->program->links[link];
	for (int k = 0; k < l->nbans; k++)
		if (l->bans[k] < WORD_BITS && l->ban_usecs[k] == PATTERN_UNBOUNDED)
			bans |= UINT64CONST(1) << l->bans[k];
	return bans & ~m->value_steps[0];
}

/* Steps that are banned wherever a touchpoint of a match does not stand. */
static uint8
banned_marks(const Matcher *m)
{
	const Program *p = m->program;
	uint64 bans = low_mask(Min(p->nsteps, MATCH_MARKS - 1));

	for (int e = 0; e < p->nedges; e++)
		bans &= p->edges[e].from >= 0 || p->edges[e].from_start ? link_bans(m, p->edges[e].link) : 0;
	for (int a = 0; a < p->naccepts; a++)
		bans &= p->accepts[a].to_end ? link_bans(m, p->accepts[a].link) : 0;
	for (int q = 0; q < p->npositions; q++)
		if (p->positions[q].step < WORD_BITS)
			bans &= ~(UINT64CONST(1) << p->positions[q].step);
	return (uint8) bans;
}

/* Is it a way in for the first touchpoint alone? */
static bool
first_only(const Program *p, const ProgramEdge *edge)
{
	return edge->from_start && (edge->link < 0 || p->links[edge->link].next);
}

/*
 * Does a touchpoint that is for a way in always take it, if none before it is for any: the first
 * one, where the others cannot (first)?
 */
static bool
always_enters(const Program *p, const ProgramEdge *edge, bool first)
{
	const ProgramLink *link = edge->link >= 0 ? &p->links[edge->link] : NULL;

	if (!edge->from_start)
		return true;
	if (first || first_only(p, edge))
		return first && (link == NULL || (link->min <= 0 && link->max >= 0));
	if (link->min > 0 || link->max != PG_INT64_MAX)
		return false;
	for (int k = 0; k < link->nbans; k++)
		if (link->bans[k] != p->positions[edge->to].step)
			return false;
	return true;
}

void
matcher_marks(const Matcher *m, MatchMarks *marks)
{
	const Program *p = m->program;
	bool ends = false;
	bool open = false;

	memset(marks, 0, sizeof(*marks));
	marks->alone = m->tests_values ? -1 : 0;
	marks->first = true;
	for (int e = 0; e < p->nedges; e++)
		if (p->edges[e].from < 0 && !first_only(p, &p->edges[e]))
			marks->first = false;
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
			if (!always_enters(p, edge, marks->first) || (to->ends_item && to->item != 1))
				marks->alone = -1;
		}
	}
	if (ends && marks->alone == 0)
		marks->alone = open ? -1 : 1;
	marks->required = steps_marks(m, m->required);
	marks->banned = banned_marks(m);
	for (int q = 0; q < p->npositions; q++)
		marks->items |= step_mark(p->positions[q].step);
	/* what steps share tells of none of them that it is there */
	if (p->nsteps > MATCH_MARKS)
	{
		if ((marks->start & step_mark(MATCH_MARKS)) != 0 && marks->alone > 0)
			marks->alone = -1;
		marks->required &= ~step_mark(MATCH_MARKS);
	}
}

bool
matcher_label_marks(Matcher *m, MatchMarks *marks, uint8 *label_marks)
{
	const JourneyView *v = m->v;

	match_labels(m);
	for (uint32 label = 0; label < v->nlabels; label++)
	{
		if (unlikely(label % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		label_marks[label] = steps_marks(m, &m->label_steps[(size_t) label * m->step_words]);
		if ((label_marks[label] & marks->items) != 0)
			marks->banned &= ~label_marks[label];
	}
	return labels_suffice(m);
}
