/*
 * match_rows.c
 *		Rows as touchpoints: a row is known by its time and the conditions it meets.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/match_inside.h"

/* What of a program over rows serves to tell the steps of a row. */
void
prepare_rows(Matcher *m)
{
	const Program *p = m->program;

	m->condition_steps = palloc0(WORD_BITS * m->step_words * sizeof(uint64));
	m->any_steps = palloc0(m->step_words * sizeof(uint64));
	for (int step = 0; step < p->nsteps; step++)
		if (p->row_conditions[step] < 0)
			bit_set(m->any_steps, step);
		else
			bit_set(&m->condition_steps[p->row_conditions[step] * m->step_words], step);
	m->ahead_row = palloc0(Max(p->nlinks, 1) * sizeof(uint32 *));
	for (int link = 0; link < p->nlinks; link++)
		if (p->links[link].naheads > 0)
			m->ahead_row[link] = palloc(p->links[link].naheads * sizeof(uint32));
}

void
matcher_open_rows(Matcher *m, const MatchRow *rows, uint32 n)
{
	const Program *p = m->program;

	Assert(p->row_conditions != NULL && rows != NULL);
	matcher_open(m, &m->rows_view);
	m->rows = rows;
	m->work = 0;
	m->rows_view.n = n;
	m->rows_view.first = n > 0 ? rows[0].time : 0;
	m->rows_view.last = n > 0 ? rows[n - 1].time : 0;
	m->labelled = true;
	m->suffice = 1;
	for (int link = 0; link < p->nlinks; link++)
		for (int k = 0; k < p->links[link].naheads; k++)
			m->ahead_row[link][k] = 0;
}

/*
 * Does what the link from this position says of the rows behind row i hold? i
 * never falls, so the row that decides only moves forward.
 */
bool
row_leads_on(Matcher *m, int position, uint32 i)
{
	const ProgramLink *link = &m->program->links[position];
	uint32 n = m->rows_view.n;

	if (position == m->program->nlinks)
		return true;
	for (int k = 0; k < link->naheads; k++)
	{
		uint32 *row = &m->ahead_row[position][k];

		for (*row = Max(*row, i + 1);
			 *row < n && elapsed(m->rows[i].time, m->rows[*row].time) < link->aheads[k].min;
			 (*row)++)
			if (m->work++ % MATCH_INTERRUPT_EVERY == 0)
				CHECK_FOR_INTERRUPTS();
		if (*row >= n || elapsed(m->rows[i].time, m->rows[*row].time) > link->aheads[k].max)
			return false;
	}
	return true;
}

/* Which steps a row is for. */
void
row_steps(const Matcher *m, const MatchRow *row, uint64 *steps)
{
	int words = m->step_words;

	for (int w = 0; w < words; w++)
		steps[w] = m->any_steps[w];
	for (uint64 bits = row->conditions; bits != 0; bits &= bits - 1)
	{
		const uint64 *condition = &m->condition_steps[pg_rightmost_one_pos64(bits) * words];

		for (int w = 0; w < words; w++)
			steps[w] |= condition[w];
	}
}

bool
next_row(Matcher *m, Place *place, uint64 *scratch, Event *event)
{
	while (place->i < m->rows_view.n)
	{
		uint32 i = place->i++;
		const MatchRow *row = &m->rows[i];
		uint64 any = 0;

		if (i % MATCH_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		row_steps(m, row, scratch);
		for (int w = 0; w < m->step_words; w++)
			any |= scratch[w];
		if (any == 0)
			continue;
		event->i = i;
		event->time = row->time;
		event->steps = scratch;
		return true;
	}
	return false;
}

/* The earliest row from which, at the position, a link leads to row i. */
static uint32
earliest_before(const Matcher *m, const ProgramLink *link, const uint64 *reached, int position,
				uint32 i)
{
	uint32 from = 0;
	uint32 to = i;

	if (link->next)
		return i - 1;
	while (from < to)
	{
		uint32 middle = from + (to - from) / 2;

		if (elapsed(m->rows[middle].time, m->rows[i].time) > link->max)
			from = middle + 1;
		else
			to = middle;
	}
	while (!bit_get(&reached[(size_t) from * m->position_words], position))
	{
		if (from % MATCH_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		from++;
		Assert(from < i);
	}
	return from;
}

/*
 * How many positions of the chain are reached, and which row first reaches so many; and
 * of each row, positions that are reached at it and lead on.
 */
static int
farthest_rows(Matcher *m, uint64 *reached, uint32 *end)
{
	int best = 0;
	Event event;

	forget(m);
	while (best < m->program->npositions && next_row(m, &m->place, m->event_steps, &event))
	{
		reach(m, &event);
		for (int h = 0; h < m->nhits; h++)
		{
			int q = m->hit_positions[h];

			if (row_leads_on(m, q, event.i))
				bit_set(&reached[(size_t) event.i * m->position_words], q);
			if (q >= best)
			{
				best = q + 1;
				*end = event.i;
			}
		}
		settle(m, &event);
	}
	return best;
}

/*
 * Where one link leads from i to j and another of its kind from a later row to an
 * earlier one, both also lead from i to the earlier one, as the intervals of
 * predecessors only move forward (match.c). So of two matches the earlier row
 * at each position makes a match again, and one match is the earliest at all
 * positions at once: it ends first, and going backwards it is found by taking the
 * earliest row at which the position before was reached.
 */
int
matcher_first_rows(Matcher *m, uint32 *rows)
{
	const Program *p = m->program;
	uint64 *reached =
		palloc_extended(Max((size_t) m->rows_view.n, 1) * m->position_words * sizeof(uint64),
						MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	uint32 end = 0;
	int best;

	prepare(m);
	if (m->has_latest)
	{
		m->row_reached = reached;
		best = farthest_latest(m, p->nitems); /* each position is an item */
		m->row_reached = NULL;
		end = m->reached_at;
	}
	else
		best = farthest_rows(m, reached, &end);
	for (int q = best; q-- > 0;)
	{
		rows[q] = end;
		if (q > 0)
			end =
				earliest_before(m, &p->links[p->edges[m->first_edge[q]].link], reached, q - 1, end);
	}
	pfree(reached);
	return best;
}

uint64
matcher_work(const Matcher *m)
{
	return m->work;
}
