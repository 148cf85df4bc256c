/*
 * match.c
 *		The matcher: positions reached, windows of predecessors, no backtracking.
 *
 * Let the program have positions p, q, ... and the journey touchpoints 0 .. n-1
 * in their order. Say q is *reached at j* if some match of a part of the pattern
 * that ends in q ends at touchpoint j. What has to be known of such a match is
 * only where it starts, and of several that end alike the one that starts last
 * is best: it is the one to report, and if any of them keeps to "within", it
 * does. So the whole state is best[q][j], the latest start, or nothing.
 *
 * best[q][j] is the maximum of best[p][i] over the edges p -> q and the i that
 * the edge's link allows before j. These i are an interval: at most j - 1, or as
 * early as a lower limit of time says; at least what an upper limit says, and
 * not before the last touchpoint in front of j that the link bans (that one
 * itself may be i: a ban is on what lies strictly between). As j grows both
 * ends of the interval only move forward, so its maximum is that of a sliding
 * window, kept in a queue of falling values (the "monotone deque"; D. Lemire,
 * "Streaming maximum-minimum filter using no more than three comparisons per
 * element", 2006): each reached (p, i) enters and leaves once per link. A link
 * => allows j - 1 alone, the entry made last.
 *
 * Hence the promise: time is O(touchpoints x edges), in practice touchpoints
 * alone, because only touchpoints that some step matches are looked at; memory
 * is O(edges) plus the entries of the windows: for each position and link at most
 * the touchpoints that lie within its limits. No input makes it worse.
 *
 * The first touchpoint at which an accepting position is reached ends the
 * match that ends first; the best start there is the one that starts last. To
 * name the touchpoints between, the segment is run once more with this start
 * only, recording what is reached, and then read backwards: the latest
 * touchpoint at which some position is reached from which an edge leads on.
 * Equal ones are followed together, as a set of positions. Recording takes
 * memory for the touchpoints that lie between and meet a step.
 *
 * Where a match may begin at some touchpoints only, as at those of one month, best[q][j]
 * is the latest of these, and all else remains. Where that is asked of many sets of
 * touchpoints, one run with all of them tells of each how far it may get at most, and, if
 * one start is as good as another, how it gets there (shared_progress).
 *
 * After a match the state is emptied and the search goes on behind it: taking
 * the earliest end each time gives as many matches that do not overlap as
 * there can be.
 *
 * Much of this is seldom needed. Labels are looked at first, in the dictionary:
 * most journeys lack one that every match needs. Then the pattern is run without
 * its limits, sets of positions being bits of a word (match_simple.c): a journey
 * that fails so fails, and without limits that is the answer. And where only the
 * latest touchpoint that reached a position counts, a window is a single entry
 * (match_latest.c).
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/match_inside.h"

static bool starts_alike(const Matcher *m);

/* ---- windows ---- */

static void
queue_push(const Matcher *m, Queue *q, const Reached *entry)
{
	if (q->tail == q->max)
	{
		size_t n = q->tail - q->head;

		if (q->head > 0 && q->head >= q->max / 2)
			memmove(q->entries, q->entries + q->head, n * sizeof(Reached));
		else
		{
			size_t max = Max(8, 2 * q->max);
			Reached *grown = MemoryContextAllocHuge(m->cxt, max * sizeof(Reached));

			if (n > 0)
				memcpy(grown, q->entries + q->head, n * sizeof(Reached));
			if (q->entries)
				pfree(q->entries);
			q->entries = grown;
			q->max = max;
		}
		q->head = 0;
		q->tail = n;
	}
	q->entries[q->tail++] = *entry;
}

static inline bool
queue_empty(const Queue *q)
{
	return q->head == q->tail;
}

/* Take an entry into the interval. */
static void
window_add(Matcher *m, Window *w, const Reached *entry)
{
	Queue *q = &w->best;

	if (!w->expires && !queue_empty(q) && q->entries[q->head].start >= entry->start)
		return; /* it would never be the best one */
	for (; !queue_empty(q) && q->entries[q->tail - 1].start <= entry->start; m->work++)
		q->tail--;
	if (queue_empty(q))
		q->head = q->tail = 0;
	queue_push(m, q, entry);
}

/* Move the interval's ends to what holds before a touchpoint at this time. */
static void
window_move(Matcher *m, Window *w, int64 time)
{
	const ProgramLink *link = w->link;
	Queue *q = &w->waiting;

	for (; !queue_empty(q) && elapsed(q->entries[q->head].time, time) >= link->min; m->work++)
		window_add(m, w, &q->entries[q->head++]);
	if (!w->expires)
		return;
	q = &w->best;
	for (; !queue_empty(q); q->head++, m->work++)
	{
		const Reached *front = &q->entries[q->head];
		bool banned = false;

		for (int i = 0; i < link->nbans; i++)
			banned |= m->last_ban[link->bans[i]] > (int64) front->i;
		if (!banned && elapsed(front->time, time) <= link->max)
			break;
	}
}

static void
window_enter(Matcher *m, Window *w, const Reached *entry)
{
	if (w->link->next)
	{
		w->best.head = w->best.tail = 0;
		queue_push(m, &w->best, entry);
	}
	else
	{
		window_move(m, w, entry->time);
		if (w->link->min > 0)
			queue_push(m, &w->waiting, entry);
		else
			window_add(m, w, entry);
	}
}

/* The best predecessor that the window offers to touchpoint i, or NULL. */
static pg_attribute_always_inline const Reached *
window_best(Matcher *m, Window *w, uint32 i, int64 time)
{
	const Reached *front;

	if (!w->link->next)
		window_move(m, w, time);
	if (queue_empty(&w->best))
		return NULL;
	front = &w->best.entries[w->best.head];
	if (w->link->next)
	{
		int64 usecs = elapsed(front->time, time);

		if (front->i + 1 != i || usecs < w->link->min || usecs > w->link->max)
			return NULL;
	}
	return front;
}

/* ---- one touchpoint ---- */

/* Is it one of those at which a match may begin? i never falls. */
static bool
start_listed(Matcher *m, uint32 i)
{
	while (m->start < m->nstarts && m->starts[m->start] < i)
		m->start++;
	return m->start < m->nstarts && m->starts[m->start] == i;
}

/* May a match begin at this touchpoint, through this edge? */
bool
may_start(Matcher *m, const ProgramEdge *edge, uint32 i, int64 time)
{
	const ProgramLink *link;
	int64 usecs;

	if (unlikely(m->starts != NULL) && !start_listed(m, i))
		return false;
	if (!edge->from_start)
		return true;
	if (edge->link < 0)
		return i == 0;
	link = &m->program->links[edge->link];
	if (link->next && i != 0)
		return false;
	usecs = elapsed(m->v->first, time);
	if (usecs < link->min || usecs > link->max)
		return false;
	for (int k = 0; k < link->nbans; k++)
		if (m->last_ban[link->bans[k]] >= 0)
			return false;
	return true;
}

bool
may_end(Matcher *m, const ProgramAccept *accept, uint32 i, int64 time)
{
	const ProgramLink *link;
	int64 usecs;

	if (!accept->to_end)
		return true;
	if (accept->link < 0)
		return i == m->v->n - 1;
	link = &m->program->links[accept->link];
	if (link->next && i != m->v->n - 1)
		return false;
	usecs = elapsed(time, m->v->last);
	if (usecs < link->min || usecs > link->max)
		return false;
	for (int k = 0; k < link->nbans; k++)
	{
		const Ahead *ahead = look_ahead(m, link->bans[k], i);

		if (ahead->found && (link->ban_usecs[k] == PATTERN_UNBOUNDED ||
							 elapsed(time, ahead->time) <= link->ban_usecs[k]))
			return false;
	}
	return true;
}

/* Find what is reached at an event, into m->hits. */
void
reach(Matcher *m, const Event *event)
{
	const Program *p = m->program;

	CHECK_FOR_INTERRUPTS(); /* of 100,000 edges, one touchpoint takes a millisecond */
	m->nhits = 0;
	for (int w = 0; w < m->step_words; w++)
		for (uint64 bits = event->steps[w]; bits != 0; bits &= bits - 1)
		{
			int step = w * WORD_BITS + pg_rightmost_one_pos64(bits);

			for (int q = m->step_positions[step]; q >= 0; q = m->next_position[q])
			{
				Reached best = {.start = NO_START};

				m->work += m->first_edge[q + 1] - m->first_edge[q];
				for (int e = m->first_edge[q]; e < m->first_edge[q + 1]; e++)
				{
					if (m->edge_window[e] < 0)
					{
						if (may_start(m, &p->edges[e], event->i, event->time))
						{
							best.start = event->i; /* none can start later */
							best.start_time = event->time;
							break;
						}
					}
					else
					{
						const Reached *before =
							window_best(m, &m->windows[m->edge_window[e]], event->i, event->time);

						if (before && (best.start == NO_START || before->start > best.start))
						{
							best.start = before->start;
							best.start_time = before->start_time;
						}
					}
				}
				if (best.start == NO_START || (p->within != PATTERN_UNBOUNDED &&
											   elapsed(best.start_time, event->time) > p->within))
					continue;
				best.i = event->i;
				best.time = event->time;
				m->hits[m->nhits] = best;
				m->hit_positions[m->nhits++] = q;
			}
		}
}

static void
record(Matcher *m, const Event *event)
{
	if (m->nrecords == m->records_max)
	{
		m->records_max = Max(64, 2 * m->records_max);
#define grow(array, each)                                                                          \
	(array) = (array)                                                                              \
				  ? repalloc_huge((array), m->records_max * (each) * sizeof(*(array)))             \
				  : palloc_extended(m->records_max * (each) * sizeof(*(array)), MCXT_ALLOC_HUGE)
		grow(m->records, 1);
		grow(m->record_steps, m->step_words);
		grow(m->record_positions, m->position_words);
		if (m->keep_starts)
			grow(m->record_starts, m->program->npositions);
#undef grow
	}
	m->records[m->nrecords] = (RecordedEvent) {event->i, event->time};
	memcpy(&m->record_steps[m->nrecords * m->step_words], event->steps,
		   m->step_words * sizeof(uint64));
	memset(&m->record_positions[m->nrecords * m->position_words], 0,
		   m->position_words * sizeof(uint64));
	for (int h = 0; h < m->nhits; h++)
		bit_set(&m->record_positions[m->nrecords * m->position_words], m->hit_positions[h]);
	if (m->keep_starts)
	{
		uint32 *starts = &m->record_starts[m->nrecords * m->program->npositions];

		for (int q = 0; q < m->program->npositions; q++)
			starts[q] = NO_START;
		for (int h = 0; h < m->nhits; h++)
			starts[m->hit_positions[h]] = m->hits[h].start;
	}
	m->nrecords++;
}

/* Keep no records, and begin anew: in the current context, which an error may have taken. */
static void
record_nothing(Matcher *m)
{
	m->records = NULL;
	m->record_steps = m->record_positions = NULL;
	m->record_starts = NULL;
	m->nrecords = m->records_max = 0;
}

/* Make what is reached at an event known to those behind. */
void
settle(Matcher *m, const Event *event)
{
	for (int h = 0; h < m->nhits; h++)
		if (m->rows == NULL || row_leads_on(m, m->hit_positions[h], event->i))
			for (int w = m->position_window[m->hit_positions[h]]; w >= 0; w = m->next_window[w])
				window_enter(m, &m->windows[w], &m->hits[h]);
	for (int w = 0; w < m->step_words; w++)
		for (uint64 bits = event->steps[w]; bits != 0; bits &= bits - 1)
			m->last_ban[w * WORD_BITS + pg_rightmost_one_pos64(bits)] = event->i;
	if (m->recording)
		record(m, event);
}

/* Forget all partial matches, but not what lies behind. */
void
forget(Matcher *m)
{
	m->nhits = 0;
	for (int w = 0; w < m->nwindows; w++)
	{
		Window *window = &m->windows[w];

		window->waiting.head = window->waiting.tail = 0;
		window->best.head = window->best.tail = 0;
	}
}

Matcher *
matcher_create(const Program *p)
{
	Matcher *m = palloc0(sizeof(Matcher));

	m->cxt = CurrentMemoryContext;
	m->program = p;
	m->step_words = bit_words(p->nsteps);
	m->position_words = bit_words(p->npositions);
	m->event_steps = palloc0(m->step_words * sizeof(uint64));
	m->ahead_steps = palloc0(m->step_words * sizeof(uint64));
	m->value_steps = palloc0(m->step_words * sizeof(uint64));
	m->step_positions = palloc(p->nsteps * sizeof(int));
	m->next_position = palloc(p->npositions * sizeof(int));
	m->accept = palloc(p->npositions * sizeof(int));
	m->last_ban = palloc(p->nsteps * sizeof(int64));
	m->ahead = palloc(p->nsteps * sizeof(Ahead));
	for (int step = 0; step < p->nsteps; step++)
	{
		m->step_positions[step] = -1;
		if (p->steps && p->steps[step]->nvalues > 0)
		{
			m->tests_values = true;
			bit_set(m->value_steps, step);
		}
	}
	m->first_edge = palloc0((p->npositions + 1) * sizeof(int));
	m->edge_window = palloc(Max(p->nedges, 1) * sizeof(int));
	m->position_window = palloc(p->npositions * sizeof(int));
	m->windows = palloc0(Max(p->nedges, 1) * sizeof(Window));
	m->next_window = palloc(Max(p->nedges, 1) * sizeof(int));
	for (int q = p->npositions; q-- > 0;)
	{
		m->next_position[q] = m->step_positions[p->positions[q].step];
		m->step_positions[p->positions[q].step] = q;
		m->position_window[q] = -1;
		m->accept[q] = -1;
	}
	for (int a = 0; a < p->naccepts; a++)
		m->accept[p->accepts[a].position] = a;
	for (int e = 0; e < p->nedges; e++)
	{
		const ProgramEdge *edge = &p->edges[e];
		int w = -1;

		m->first_edge[edge->to + 1] = e + 1;
		if (edge->from >= 0)
		{
			for (w = m->position_window[edge->from]; w >= 0; w = m->next_window[w])
				if (m->windows[w].link == &p->links[edge->link])
					break;
			if (w < 0)
			{
				const ProgramLink *link = &p->links[edge->link];

				w = m->nwindows++;
				m->windows[w].link = link;
				m->windows[w].expires = link->max != PG_INT64_MAX || link->nbans > 0;
				m->next_window[w] = m->position_window[edge->from];
				m->position_window[edge->from] = w;
			}
		}
		m->edge_window[e] = w;
	}
	for (int q = 0; q < p->npositions; q++)
		m->first_edge[q + 1] = Max(m->first_edge[q + 1], m->first_edge[q]);
	m->hits = palloc(p->npositions * sizeof(Reached));
	m->hit_positions = palloc(p->npositions * sizeof(int));
	if (p->row_conditions)
		prepare_rows(m);
	else
		prepare_labels(m);
	make_simple(m);
	make_latest(m);
	make_chain(m);
	m->starts_alike = starts_alike(m);
	m->first_starts = m->has_simple && m->simple.start == 0;
	return m;
}

/* Queues beyond this do not wait for the next journey. */
#define QUEUE_KEEP 1024

static void
queue_trim(Queue *q)
{
	if (q->max > QUEUE_KEEP)
	{
		pfree(q->entries);
		memset(q, 0, sizeof(*q));
	}
}

void
matcher_open(Matcher *m, const JourneyView *v)
{
	m->v = v;
	m->marks = NULL;
	m->labelled = false;
	m->glance = GLANCE_NONE;
	m->started = false;
	m->path_items = 0;
	m->starts = NULL;
	m->recording = false;
	m->keep_starts = false;
}

/* The same, as far as a glance at the labels tells. */
static inline bool
may_match(Matcher *m)
{
	if (m->v->n < m->program->least)
		return false;
	match_labels(m);
	return m->suffice >= 0 ? m->suffice != 0 : labels_required(m);
}

bool
matcher_possible(Matcher *m)
{
	if (!may_match(m))
		return false;
	if (m->suffice < 0)
		m->suffice = labels_suffice(m);
	return m->suffice != 0;
}

/* What only a search needs. */
void
prepare(Matcher *m)
{
	if (m->started)
		return;
	for (int step = 0; step < m->program->nsteps; step++)
	{
		m->last_ban[step] = -1;
		m->ahead[step].started = false;
	}
	for (int w = 0; w < m->nwindows; w++)
	{
		queue_trim(&m->windows[w].waiting);
		queue_trim(&m->windows[w].best);
	}
	place_start(m, &m->place);
	m->started = true;
}

/*
 * From where the search stands, find the first touchpoint at which one of
 * these positions is reached (and, unless partial, may end); its best start.
 */
static bool
search(Matcher *m, Reached *end)
{
	Event event;

	while (next_event(m, &m->place, m->event_steps, &event))
	{
		bool found = false;

		reach(m, &event);
		for (int h = 0; h < m->nhits; h++)
		{
			int a = m->accept[m->hit_positions[h]];

			if (a >= 0 && (!found || m->hits[h].start > end->start) &&
				may_end(m, &m->program->accepts[a], event.i, event.time))
			{
				*end = m->hits[h];
				found = true;
			}
		}
		settle(m, &event);
		if (found)
			return true;
	}
	return false;
}

/*
 * A position that a touchpoint of the match may stand for, and the lowest one
 * that the next touchpoint may then stand for.
 */
typedef struct Choice
{
	uint32 record;
	uint16 position;
	uint16 next;
} Choice;

/* Of touchpoints from the match's end to its start; positions fall for each. */
typedef struct ChoiceList
{
	Choice *choices;
	size_t n;
	size_t max;
} ChoiceList;

static void
add_choices(ChoiceList *list, int npositions, uint32 record, const bool *positions,
			const uint16 *next)
{
	if (list->max - list->n < npositions)
	{
		list->max = 2 * list->max + npositions;
		list->choices = list->choices
							? repalloc_huge(list->choices, list->max * sizeof(Choice))
							: palloc_extended(list->max * sizeof(Choice), MCXT_ALLOC_HUGE);
	}
	for (int q = npositions; q-- > 0;)
		if (positions[q])
			list->choices[list->n++] = (Choice) {record, q, next[q]};
}

/*
 * One way through the choices: every one leads on to the end, and what is
 * reached at the start is reached by starting there.
 */
static void
choose_items(const Matcher *m, const ChoiceList *list, Match *match)
{
	const Choice *chosen = NULL;
	uint32 n = 0;

	match->items = palloc_extended(match->n * sizeof(MatchItem), MCXT_ALLOC_HUGE);
	for (size_t c = list->n; c-- > 0;)
	{
		const Choice *choice = &list->choices[c];

		if (c % MATCH_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (chosen && (choice->record == chosen->record || choice->position != chosen->next))
			continue;
		match->items[n++] = (MatchItem) {m->program->positions[choice->position].item,
										 m->records[choice->record].time};
		chosen = choice;
	}
	Assert(n == match->n);
}

/* Is it a position with which a match begins, and nothing else? */
static inline bool
begins_only(const Matcher *m, int q)
{
	return m->simple.start >> q & 1;
}

/* Is the position reached at record r by the match from start? */
static inline bool
is_reached(const Matcher *m, size_t r, int q, uint32 start)
{
	uint32 latest;

	if (!bit_get(&m->record_positions[r * m->position_words], q))
		return false;
	if (!m->keep_starts)
		return true; /* only such are on record */
	latest = m->record_starts[r * m->program->npositions + q];
	return begins_only(m, q) ? latest == start : latest >= start;
}

/* The record of a touchpoint, which there is. */
static size_t
record_of(const Matcher *m, uint32 i)
{
	size_t from = 0;
	size_t to = m->nrecords - 1;

	while (from < to)
	{
		size_t middle = from + (to - from) / 2;

		if (m->records[middle].i < i)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* Do all ways into these positions lead from where a match begins? */
static bool
follow_start(const Matcher *m, const bool *current)
{
	const Program *p = m->program;

	for (int e = 0; e < p->nedges; e++)
		if (current[p->edges[e].to] && p->edges[e].from >= 0 && !begins_only(m, p->edges[e].from))
			return false;
	return true;
}

/*
 * The touchpoints of the match from start, a touchpoint, to record r, and if wanted their
 * items: backwards through what is on record as reached. accepting tells the positions
 * it may end in.
 */
static void
walk_back(Matcher *m, size_t r, uint32 start, const bool *accepting, Match *match, bool items)
{
	const Program *p = m->program;
	bool *current = palloc0(p->npositions);
	bool *before = palloc0(p->npositions);
	bool *blocked = palloc(Max(p->nlinks, 1) * sizeof(bool));
	uint16 *next = items ? palloc0(p->npositions * sizeof(uint16)) : NULL;
	ChoiceList choices = {0};
	uint32 *reversed;
	uint32 n = 0;
	uint32 max = 16;

	reversed = palloc(max * sizeof(uint32));
	for (int q = 0; q < p->npositions; q++)
		current[q] = accepting[q] && is_reached(m, r, q, start);
	reversed[n++] = m->records[r].i;
	if (items)
		add_choices(&choices, p->npositions, r, current, next);
	while (m->records[r].i != start)
	{
		size_t here = r;
		bool found = false;

		memset(blocked, 0, p->nlinks * sizeof(bool));
		if (m->keep_starts && follow_start(m, current))
			here = record_of(m, start) + 1; /* nothing between can end its links */
		while (!found)
		{
			int64 usecs;

			if (here-- == 0)
				journey_corrupt("its times do not ascend");
			CHECK_FOR_INTERRUPTS();
			usecs = elapsed(m->records[here].time, m->records[r].time);
			memset(before, 0, p->npositions * sizeof(bool));
			for (int e = 0; e < p->nedges; e++)
			{
				const ProgramEdge *edge = &p->edges[e];
				const ProgramLink *link;

				if (edge->from < 0 || !current[edge->to] || blocked[edge->link] ||
					!is_reached(m, here, edge->from, start))
					continue;
				link = &p->links[edge->link];
				if (usecs < link->min || usecs > link->max ||
					(link->next && m->records[here].i + 1 != m->records[r].i))
					continue;
				if (next && !before[edge->from])
					next[edge->from] = edge->to; /* edges are ordered by it */
				before[edge->from] = found = true;
			}
			for (int l = 0; l < p->nlinks; l++)
				for (int k = 0; k < p->links[l].nbans; k++)
					blocked[l] |=
						bit_get(&m->record_steps[here * m->step_words], p->links[l].bans[k]);
		}
		r = here;
		memcpy(current, before, p->npositions * sizeof(bool));
		if (items)
			add_choices(&choices, p->npositions, r, current, next);
		if (n == max)
		{
			max *= 2;
			reversed = repalloc_huge(reversed, max * sizeof(uint32));
		}
		reversed[n++] = m->records[r].i;
	}
	for (uint32 i = 0; i < n / 2; i++)
	{
		uint32 swap = reversed[i];

		reversed[i] = reversed[n - 1 - i];
		reversed[n - 1 - i] = swap;
	}
	match->n = n;
	match->touchpoints = reversed;
	match->items = NULL;
	if (items)
	{
		choose_items(m, &choices, match);
		pfree(choices.choices);
		pfree(next);
	}
	pfree(current);
	pfree(before);
	pfree(blocked);
}

/*
 * The touchpoints of the match from start to end, both numbers, and if wanted
 * their items; "from" is where the segment began, with the bans of before.
 * accepting tells the positions it may end in.
 */
static void
extract(Matcher *m, const Place *from, const int64 *bans, uint32 start, uint32 end,
		const bool *accepting, Match *match, bool items)
{
	const Program *p = m->program;
	Place place = m->place;
	int64 *bans_now = palloc(p->nsteps * sizeof(int64));
	const uint32 *starts = m->starts;
	uint32 nstarts = m->nstarts;
	Event event;

	/* once more through the segment, with this start only */
	memcpy(bans_now, m->last_ban, p->nsteps * sizeof(int64));
	memcpy(m->last_ban, bans, p->nsteps * sizeof(int64));
	forget(m);
	m->place = *from;
	m->starts = &start;
	m->nstarts = 1;
	m->start = 0;
	record_nothing(m);
	while (next_event(m, &m->place, m->event_steps, &event) && event.i <= end)
	{
		m->recording = event.i >= start;
		reach(m, &event);
		settle(m, &event);
		if (event.i == end)
			break;
	}
	m->recording = false;
	m->starts = starts;
	m->nstarts = nstarts;
	m->place = place;
	memcpy(m->last_ban, bans_now, p->nsteps * sizeof(int64));

	Assert(m->nrecords > 0 && m->records[m->nrecords - 1].i == end);
	walk_back(m, m->nrecords - 1, start, accepting, match, items);
	pfree(bans_now);
	pfree(m->records);
	pfree(m->record_steps);
	pfree(m->record_positions);
}

/* Where a segment begins: for extract() to go back to. */
static void
remember(const Matcher *m, Place *place, int64 **bans)
{
	*place = m->place;
	*bans = palloc(m->program->nsteps * sizeof(int64));
	memcpy(*bans, m->last_ban, m->program->nsteps * sizeof(int64));
}

bool
matcher_next(Matcher *m, Match *match)
{
	const Program *p = m->program;
	Place from;
	int64 *bans;
	bool *accepting;
	bool found;
	Reached end = {0};

	if (match == NULL && m->has_latest)
	{
		if (!may_match(m))
			return false;
		prepare(m);
		return find_latest(m);
	}
	if (!matcher_possible(m))
		return false;
	prepare(m);
	if (match)
		remember(m, &from, &bans);
	forget(m);
	found = search(m, &end);
	if (match == NULL)
		return found;
	if (!found)
	{
		pfree(bans);
		return false;
	}
	accepting = palloc0(p->npositions);
	for (int h = 0; h < m->nhits; h++)
	{
		int a = m->accept[m->hit_positions[h]];

		if (a >= 0 && m->hits[h].start == end.start && may_end(m, &p->accepts[a], end.i, end.time))
			accepting[m->hit_positions[h]] = true;
	}
	extract(m, &from, bans, end.start, end.i, accepting, match, false);
	pfree(accepting);
	pfree(bans);
	return true;
}

/* Does it take so short that limits of time cannot matter? */
static inline bool
is_short(const Matcher *m)
{
	return elapsed(m->v->first, m->v->last) <= m->simple.exact_span;
}

bool
matcher_may_exist(Matcher *m, bool *sure)
{
	if (m->glance != GLANCE_EXIST)
	{
		m->may = may_match(m);
		m->sure = false;
		/* if times have no bearing, the search that knows of bans is not preceded by one that does not */
		if (m->may && m->has_simple && (!m->timeless || m->simple.exact_span == PG_INT64_MAX))
		{
			uint64 reached;

			m->may = run_simple(m, &reached, m->simple.accept);
			m->sure = m->may && m->simple.exact_span == PG_INT64_MAX;
		}
		if (m->may && !m->sure && m->timeless)
		{
			/* what this asks of times, if they are there or not, has no bearing */
			m->started = false;
			prepare(m);
			m->may = m->sure = find_latest(m);
			m->started = false;
		}
		m->glance = GLANCE_EXIST;
	}
	*sure = m->sure;
	return m->may;
}

bool
matcher_exists(Matcher *m)
{
	bool sure;

	if (!matcher_may_exist(m, &sure))
		return false;
	if (sure || (m->has_simple && is_short(m)))
		return true;
	m->started = false; /* from the beginning, whatever was found before */
	return matcher_next(m, NULL);
}

int64
matcher_count(Matcher *m)
{
	int64 count = 0;

	while (matcher_next(m, NULL))
		count++;
	return count;
}

/* The last item that one of these positions completes, or 0. */
static int
last_item(const Program *p, uint64 reached)
{
	int item = 0;

	for (; reached != 0; reached &= reached - 1)
		item = Max(item, p->positions[pg_rightmost_one_pos64(reached)].item);
	return item;
}

/* Is there no partial match that this touchpoint, or one behind it, could carry on? */
static pg_noinline bool
hopeless(Matcher *m, const Event *event)
{
	for (int w = 0; w < m->nwindows; w++)
	{
		Window *window = &m->windows[w];

		if (window_best(m, window, event->i, event->time) || !queue_empty(&window->waiting))
			return false;
	}
	return true;
}

/*
 * From where the search stands: how many items, of which "most" can be reached, the best
 * partial match reaches; and that match.
 */
static int
farthest(Matcher *m, int most, Match *match, bool items)
{
	const Program *p = m->program;
	Event event;
	Reached best = {0};
	int item = 0;
	bool *accepting = NULL;
	Place from;
	int64 *bans = NULL;
	uint32 last = m->starts ? m->starts[m->nstarts - 1] : 0;
	int64 last_time = 0;
	uint32 waited = 0;
	uint32 patience = 1; /* hopeless() is asked half as often each time */

	if (match)
	{
		accepting = palloc0(p->npositions);
		remember(m, &from, &bans);
	}
	forget(m);
	while (item < most && next_event(m, &m->place, m->event_steps, &event))
	{
		int here = item;

		if (unlikely(m->starts != NULL) && event.i >= last)
		{
			if (event.i == last)
				last_time = event.time;
			else if (p->within != PATTERN_UNBOUNDED && elapsed(last_time, event.time) > p->within)
				break;
			else if (++waited == patience)
			{
				if (hopeless(m, &event))
					break;
				patience *= 2;
			}
		}
		reach(m, &event);
		for (int h = 0; h < m->nhits; h++)
		{
			const ProgramPosition *position = &p->positions[m->hit_positions[h]];

			if (position->ends_item)
				here = Max(here, position->item);
		}
		if (here > item && match)
		{
			bool any = false;

			for (int h = 0; h < m->nhits; h++)
			{
				const ProgramPosition *position = &p->positions[m->hit_positions[h]];

				if (position->ends_item && position->item == here &&
					(!any || m->hits[h].start > best.start))
				{
					best = m->hits[h];
					any = true;
				}
			}
			for (int q = 0; q < p->npositions; q++)
				accepting[q] = false;
			for (int h = 0; h < m->nhits; h++)
			{
				int q = m->hit_positions[h];

				accepting[q] = p->positions[q].ends_item && p->positions[q].item == here &&
							   m->hits[h].start == best.start;
			}
		}
		item = here;
		settle(m, &event);
	}
	if (match)
	{
		if (item > (m->starts ? 1 : 0))
			extract(m, &from, bans, best.start, best.i, accepting, match, items);
		pfree(accepting);
		pfree(bans);
	}
	return item;
}

/*
 * Do the labels of the dictionary only serve to begin a match, if anything? A journey of its own
 * has a touchpoint of each, so these positions are reached, and no other.
 */
static inline bool
starts_only(const Matcher *m, uint64 *reached)
{
	const Simple *s = &m->simple;
	uint64 steps = m->have[0] & s->start_steps;
	uint64 starts;
	uint64 lead = 0;

	if (steps == 0 && s->free_start)
		return true;
	if (m->v->dictionary_id != 0 || !s->free_start)
		return false;
	starts = positions_of(m, steps) & s->start;
	for (uint64 bits = starts; bits != 0; bits &= bits - 1)
		lead |= s->lead_steps[pg_rightmost_one_pos64(bits)];
	*reached = starts;
	return (lead & m->have[0]) == 0;
}

int
matcher_may_reach(Matcher *m, bool *sure)
{
	const Simple *s = &m->simple;

	if (m->glance != GLANCE_REACH)
	{
		match_labels(m);
		m->most = m->program->nitems;
		m->sure = false;
		if (m->has_simple)
		{
			uint64 reached = 0;

			if (!starts_only(m, &reached))
				run_simple(m, &reached, s->ends_last_item);
			m->most = last_item(m->program, reached & s->ends_item);
			/* a first item of one touchpoint has no limits to meet */
			m->sure = m->most == 0 || s->exact_span == PG_INT64_MAX ||
					  (m->most == 1 && !m->tests_values && s->free_start &&
					   (reached & s->ends_item & s->start) != 0);
		}
		if (m->timeless && !m->sure && m->most > 0)
		{
			m->started = false;
			prepare(m);
			m->most = farthest_latest(m, m->most);
			m->sure = true;
			m->started = false;
		}
		m->glance = GLANCE_REACH;
	}
	*sure = m->sure;
	return m->most;
}

int
matcher_progress(Matcher *m, Match *match, bool items)
{
	bool sure;
	int most = matcher_may_reach(m, &sure);

	if (match)
		*match = (Match) {0};
	if (most == 0 || (match == NULL && (sure || (m->has_simple && is_short(m)))))
		return most;
	prepare(m);
	if (!(match ? m->has_path : m->has_latest))
		return farthest(m, most, match, items);
	most = m->path_items > 0 ? m->path_items : farthest_latest(m, most);
	if (match && most > 0)
		path_match(m, most, match, items);
	return most;
}

void
matcher_progress_match(Matcher *m, int reached, Match *match)
{
	*match = (Match) {0};
	if (m->path_items != reached)
	{
		m->started = false;
		prepare(m);
		if (!m->has_path)
		{
			farthest(m, reached, match, true);
			return;
		}
		if (farthest_latest(m, reached) != reached)
			return;
	}
	path_match(m, reached, match, true);
}

/* Shared records take no more than this for each position of a touchpoint, so positions are few. */
#define SHARED_POSITIONS_MAX 16

/*
 * Where every match begins with one of some positions that the same may follow, however
 * much later, what is reached from one start is reached from any before it. So of all starts
 * together it need be known only which is the latest, and a single run through the
 * journey, kept on record, tells how far each of them gets.
 */
static bool
starts_alike(const Matcher *m)
{
	const Program *p = m->program;
	const Simple *s = &m->simple;
	bool single = (s->start & (s->start - 1)) == 0;
	uint64 follow;

	if (!m->has_simple || !s->free_start)
		return false;
	if (m->has_chain)
		return true;
	if (p->npositions > SHARED_POSITIONS_MAX || p->within != PATTERN_UNBOUNDED)
		return false;
	follow = s->follow[pg_rightmost_one_pos64(s->start)];
	for (uint64 bits = s->start; bits != 0; bits &= bits - 1)
	{
		int q = pg_rightmost_one_pos64(bits);

		if (p->positions[q].item != 1 || s->adjacent[q] != 0 || s->follow[q] != follow)
			return false;
	}
	for (int e = 0; e < p->nedges; e++)
	{
		const ProgramEdge *edge = &p->edges[e];

		if (edge->from < 0)
			continue;
		if ((s->start >> edge->to & 1) != 0)
			return false;
		if ((s->start >> edge->from & 1) != 0)
		{
			const ProgramLink *link = &p->links[edge->link];

			if ((link->min > 0 && !single) || link->max != PG_INT64_MAX || link->nbans > 0)
				return false;
		}
	}
	return true;
}

/* Note at which record so many items are reached. */
static void
add_stair(Matcher *m, int item, uint32 start, size_t record)
{
	uint32 n = m->nstairs[item];

	if (n > 0 && m->stairs[item][n - 1].start >= start)
		return;
	/* its room is a power of two */
	if (n == 0)
		m->stairs[item] = palloc(sizeof(Stair));
	else if (m->stairs[item][n - 1].record == record)
		n--;
	else if ((n & (n - 1)) == 0)
		m->stairs[item] = repalloc_huge(m->stairs[item], 2 * (size_t) n * sizeof(Stair));
	m->stairs[item][n] = (Stair) {record, start};
	m->nstairs[item] = n + 1;
}

/* matcher_progress_from() where starts are alike: do they reach so many items, at least two? */
static bool
shared_progress(Matcher *m, const uint32 *starts, uint32 n, int item, Match *match)
{
	const Program *p = m->program;
	const Stair *stairs = m->stairs[item];
	uint32 from = 0;
	bool accepting[SHARED_POSITIONS_MAX];

	for (uint32 s = 0; s < n; s++)
	{
		uint32 to = m->nstairs[item];
		uint32 last = n;

		/* the first touchpoint that any of them reaches */
		while (from < to)
		{
			uint32 middle = from + (to - from) / 2;

			if (stairs[middle].start < starts[s])
				from = middle + 1;
			else
				to = middle;
		}
		if (from == m->nstairs[item])
			return false;
		/* and of those that do, the latest */
		while (last - s > 1)
		{
			uint32 middle = s + (last - s) / 2;

			if (starts[middle] <= stairs[from].start)
				s = middle;
			else
				last = middle;
		}
		if (!m->has_chain)
		{
			for (int q = 0; q < p->npositions; q++)
				accepting[q] = p->positions[q].ends_item && p->positions[q].item == item;
			walk_back(m, stairs[from].record, starts[s], accepting, match, true);
			return true;
		}
		if (chain_match_from(m, starts[s], stairs[from].record, item, match))
			return true;
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

uint32
matcher_starts(Matcher *m, MatchStart **starts, int64 *latest)
{
	const Program *p = m->program;
	int most;
	bool sure;
	uint32 n = 0;
	uint32 max = 0;
	Event event;

	*starts = NULL;
	for (int k = 0; k <= p->nitems; k++)
		latest[k] = -1;
	most = m->first_starts ? matcher_progress(m, NULL, false) : matcher_may_reach(m, &sure);
	if (most == 0)
		return 0;
	if (m->first_starts)
	{
		for (int k = 0; k <= most; k++)
			latest[k] = 0;
		*starts = palloc(sizeof(MatchStart));
		**starts = (MatchStart) {.i = 0, .item = 0, .time = m->v->first};
		return 1;
	}
	prepare(m);
	m->keep_starts = m->starts_alike && most > 1;
	if (m->has_chain)
		chain_start(m);
	if (m->keep_starts)
	{
		record_nothing(m);
		m->recording = !m->has_chain;
		m->stairs = palloc((p->nitems + 1) * sizeof(Stair *));
		m->nstairs = palloc0((p->nitems + 1) * sizeof(uint32));
	}
	if (m->first_ban == NULL)
		m->first_ban = MemoryContextAlloc(m->cxt, p->nsteps * sizeof(int64));
	for (int step = 0; step < p->nsteps; step++)
		m->first_ban[step] = PG_INT64_MAX;
	/* windows, as they know of all matches that end alike the one that starts last */
	forget(m);
	while (next_of_all_events(m, &event))
	{
		MatchStart *start = NULL;

		if (m->has_chain)
			chain_reach(m, &event);
		else
			reach(m, &event);
		for (int h = 0; h < m->nhits; h++)
		{
			const ProgramPosition *position = &p->positions[m->hit_positions[h]];

			if (position->ends_item)
				latest[position->item] = Max(latest[position->item], m->hits[h].start);
			if (m->keep_starts && position->ends_item && position->item > 1)
				add_stair(m, position->item, m->hits[h].start,
						  m->has_chain ? m->ends[position->item - 1].link : m->nrecords);
			if (m->hits[h].start != event.i)
				continue;
			if (start == NULL)
			{
				if (n == max)
				{
					max = Max(16, 2 * max);
					*starts = *starts ? repalloc_huge(*starts, max * sizeof(MatchStart))
									  : palloc(max * sizeof(MatchStart));
				}
				start = &(*starts)[n++];
				*start = (MatchStart) {event.i, 0, event.time};
			}
			if (position->ends_item)
				start->item = Max(start->item, position->item);
		}
		if (m->has_chain)
			continue;
		settle(m, &event);
		for (int w = 0; w < m->step_words; w++)
			for (uint64 bits = event.steps[w]; bits != 0; bits &= bits - 1)
			{
				int64 *first = &m->first_ban[w * WORD_BITS + pg_rightmost_one_pos64(bits)];

				*first = Min(*first, event.i);
			}
	}
	for (int k = p->nitems; k-- > 0;)
		latest[k] = Max(latest[k], latest[k + 1]);
	place_start(m, &m->starts_place);
	m->recording = false;
	m->all_starts = *starts;
	m->nall_starts = n;
	return n;
}

int
matcher_progress_from(Matcher *m, const uint32 *starts, uint32 n, int most, Match *match)
{
	int item;

	*match = (Match) {0};
	if (m->first_starts)
	{
		if (most > 1)
			matcher_progress_match(m, most, match);
		return most;
	}
	if (m->has_chain || (m->keep_starts && most > 1))
	{
		while (most > 1 && !shared_progress(m, starts, n, most, match))
			most--;
		return most;
	}
	m->starts = starts;
	m->nstarts = n;
	m->start = 0;
	/* what lies before the first of them tells only whether a ban behind ^ was met */
	for (int step = 0; step < m->program->nsteps; step++)
		m->last_ban[step] = m->first_ban[step] < starts[0] ? m->first_ban[step] : -1;
	place_forward(m, &m->starts_place, starts[0]);
	m->place = m->starts_place;
	item = farthest(m, most, most > 1 ? match : NULL, true);
	m->starts = NULL;
	m->started = false;
	return item;
}

bool
matcher_next_step(Matcher *m, uint32 *i, int64 *time)
{
	Event event;

	if (!matcher_possible(m))
		return false;
	prepare(m);
	if (!next_event(m, &m->place, m->event_steps, &event))
		return false;
	*i = event.i;
	*time = event.time;
	return true;
}

uint32
matcher_end(const Matcher *m)
{
	return m->place.i - 1;
}
