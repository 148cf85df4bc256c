/*
 * program.c
 *		The compiler of journey patterns.
 *
 * A sequence is walked from left to right with a frontier: the places that the
 * next item may follow, each with the link that leads on from it. An item that
 * may be skipped leaves the frontier before it in place, and with it the link
 * before it: that is how the links around a skipped item fold into the one
 * before.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "pattern/program.h"

/* Edges are at most so many; a pattern beyond that is refused. */
#define PROGRAM_EDGES_MAX 100000

typedef struct Entry
{
	int from; /* position, or -1 */
	int link;
	bool from_start;
} Entry;

typedef struct EntryList
{
	int n;
	int max;
	Entry *entries;
} EntryList;

typedef struct Compiler
{
	Program *program;
	TextScan *scan;
	int positions_max;
	int edges_max;
	int steps_max;
	int links_max;
	int accepts_max;
	int item; /* top-level item being compiled, from 1 */
	bool failed;
} Compiler;

/* A set of positions. */
typedef struct PositionList
{
	int n;
	int max;
	int *positions;
} PositionList;

void
limit_time(TestOp op, int64 usecs, int64 *min, int64 *max)
{
	switch (op)
	{
		case TEST_LT:
			*max = Min(*max, usecs - 1);
			break;
		case TEST_LE:
			*max = Min(*max, usecs);
			break;
		case TEST_GT:
			*min = Max(*min, usecs == PG_INT64_MAX ? PG_INT64_MAX : usecs + 1);
			break;
		case TEST_GE:
			*min = Max(*min, usecs);
			break;
		case TEST_EQ:
			*min = Max(*min, usecs);
			*max = Min(*max, usecs);
			break;
		case TEST_NE:
			Assert(false);
			break;
	}
}

static void compile_sequence(Compiler *c, const Sequence *sequence, bool top, const EntryList *in,
							 PositionList *firsts, PositionList *lasts, bool *empty);

static void
add_to(PositionList *list, int position)
{
	for (int i = 0; i < list->n; i++)
		if (list->positions[i] == position)
			return;
	reserve(list->positions, list->n, list->max);
	list->positions[list->n++] = position;
}

static void
add_all(PositionList *list, const PositionList *more)
{
	bool empty = list->n == 0; /* what is added to nothing needs no search, or nesting takes long */

	for (int i = 0; i < more->n; i++)
		if (empty)
		{
			reserve(list->positions, list->n, list->max);
			list->positions[list->n++] = more->positions[i];
		}
		else
			add_to(list, more->positions[i]);
}

static void
add_entry(EntryList *list, Entry entry)
{
	for (int i = 0; i < list->n; i++)
		if (list->entries[i].from == entry.from && list->entries[i].link == entry.link &&
			list->entries[i].from_start == entry.from_start)
			return;
	reserve(list->entries, list->n, list->max);
	list->entries[list->n++] = entry;
}

static void
add_entries(EntryList *list, const EntryList *more)
{
	for (int i = 0; i < more->n; i++)
		add_entry(list, more->entries[i]);
}

static void
too_complex(Compiler *c, const char *what, int limit)
{
	if (!c->failed)
		text_fail_with(c->scan, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "journey pattern is too complex",
					   psprintf("Unrolled, it has more than %d %s.", limit, what),
					   "Use fewer or smaller repetitions.");
	c->failed = true;
}

static bool
part_equal(const PartTest *a, const PartTest *b)
{
	return a->prefix == b->prefix && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static bool
step_equal(const Step *a, const Step *b)
{
	if (!part_equal(&a->channel, &b->channel) || !part_equal(&a->action, &b->action) ||
		!part_equal(&a->detail, &b->detail) || a->nvalues != b->nvalues)
		return false;
	for (int i = 0; i < a->nvalues; i++)
		if (a->values[i].op != b->values[i].op ||
			decimal_cmp(a->values[i].value, b->values[i].value) != 0)
			return false;
	return true;
}

static int
intern_step(Compiler *c, const Step *step)
{
	Program *p = c->program;

	for (int i = 0; i < p->nsteps; i++)
		if (step_equal(p->steps[i], step))
			return i;
	reserve(p->steps, p->nsteps, c->steps_max);
	p->steps[p->nsteps] = step;
	return p->nsteps++;
}

static int
add_link(Compiler *c, const Link *link)
{
	Program *p = c->program;
	ProgramLink *l;

	reserve(p->links, p->nlinks, c->links_max);
	l = &p->links[p->nlinks];
	memset(l, 0, sizeof(*l));
	l->next = link && link->next;
	l->min = 0;
	l->max = PG_INT64_MAX;
	for (int i = 0; link && i < link->nlimits; i++)
	{
		const LinkLimit *limit = &link->limits[i];

		if (limit->kind == LIMIT_BAN)
		{
			if (l->nbans == 0)
			{
				l->bans = palloc(link->nlimits * sizeof(int));
				l->ban_usecs = palloc(link->nlimits * sizeof(int64));
			}
			l->ban_usecs[l->nbans] = limit->usecs;
			l->bans[l->nbans++] = intern_step(c, limit->ban);
			continue;
		}
		limit_time(limit->op, limit->usecs, &l->min, &l->max);
	}
	return p->nlinks++;
}

static void
add_edge(Compiler *c, const Entry *entry, int to)
{
	Program *p = c->program;

	if (p->nedges >= PROGRAM_EDGES_MAX)
	{
		too_complex(c, "connections", PROGRAM_EDGES_MAX);
		return;
	}
	reserve(p->edges, p->nedges, c->edges_max);
	p->edges[p->nedges++] = (ProgramEdge) {entry->from, to, entry->link, entry->from_start};
}

/* A new position for a step, entered from all of in. */
static int
add_position(Compiler *c, int step, const EntryList *in)
{
	Program *p = c->program;

	CHECK_FOR_INTERRUPTS();
	if (p->npositions >= PATTERN_POSITIONS_MAX)
	{
		too_complex(c, "steps", PATTERN_POSITIONS_MAX);
		return -1;
	}
	reserve(p->positions, p->npositions, c->positions_max);
	p->positions[p->npositions] = (ProgramPosition) {step, c->item, false};
	for (int i = 0; i < in->n && !c->failed; i++)
		add_edge(c, &in->entries[i], p->npositions);
	return p->npositions++;
}

/* The frontier behind these positions, none of which it holds with this link. */
static void
enter_from(EntryList *frontier, const PositionList *lasts, int link)
{
	for (int i = 0; i < lasts->n; i++)
	{
		reserve(frontier->entries, frontier->n, frontier->max);
		frontier->entries[frontier->n++] = (Entry) {lasts->positions[i], link, false};
	}
}

/*
 * all(a, b, ...): a position for each set of steps seen and the one seen last.
 */
static void
compile_all(Compiler *c, const PatternItem *item, const EntryList *in, PositionList *firsts,
			PositionList *lasts)
{
	int n = item->nsteps;
	int position[1 << PATTERN_ALL_MAX][PATTERN_ALL_MAX];
	int link = add_link(c, NULL);

	for (int set = 1; set < 1 << n; set++)
		for (int last = 0; last < n; last++)
		{
			EntryList before = {0};
			int rest = set & ~(1 << last);

			if (rest == set)
				continue;
			if (rest == 0)
				add_entries(&before, in);
			for (int i = 0; i < n; i++)
				if (rest & 1 << i)
					add_entry(&before, (Entry) {position[rest][i], link, false});
			position[set][last] = add_position(c, intern_step(c, &item->steps[last]), &before);
			if (c->failed)
				return;
			if (rest == 0)
				add_to(firsts, position[set][last]);
			if (set == (1 << n) - 1)
				add_to(lasts, position[set][last]);
		}
}

/* The item once; *empty tells whether it may match no touchpoint. */
static void
compile_once(Compiler *c, const PatternItem *item, const EntryList *in, PositionList *firsts,
			 PositionList *lasts, bool *empty)
{
	*empty = false;
	if (item->kind == ITEM_STEP)
	{
		int position = add_position(c, intern_step(c, &item->steps[0]), in);

		if (c->failed)
			return;
		add_to(firsts, position);
		add_to(lasts, position);
	}
	else if (item->kind == ITEM_ALL)
		compile_all(c, item, in, firsts, lasts);
	else
		for (int i = 0; i < item->nalternatives && !c->failed; i++)
		{
			bool this_empty;

			compile_sequence(c, item->alternatives[i], false, in, firsts, lasts, &this_empty);
			*empty |= this_empty;
		}
}

/* The item with its repetitions, unrolled; the last one may lead to itself. */
static void
compile_item(Compiler *c, const PatternItem *item, const EntryList *in, PositionList *firsts,
			 PositionList *lasts, bool *empty)
{
	int copies = item->max == PATTERN_UNBOUNDED ? Max(item->min, 1) : item->max;
	int again = copies > 1 || item->max == PATTERN_UNBOUNDED ? add_link(c, item->again) : -1;
	EntryList frontier = {0};
	bool all_empty = true; /* every copy so far may match nothing */

	*empty = item->min == 0;
	add_entries(&frontier, in);
	for (int copy = 1; copy <= copies && !c->failed; copy++)
	{
		PositionList f = {0};
		PositionList l = {0};
		EntryList next = {0};
		bool this_empty;

		compile_once(c, item, &frontier, &f, &l, &this_empty);
		if (all_empty)
			add_all(firsts, &f);
		all_empty &= this_empty;
		if (copy <= item->min && !this_empty)
			lasts->n = 0; /* this copy must match, so nothing ends before it */
		add_all(lasts, &l);
		if (copy == item->min && all_empty)
			*empty = true;

		enter_from(&next, &l, again);
		if (this_empty)
			add_entries(&next, &frontier);
		frontier = next;
		if (copy == copies && item->max == PATTERN_UNBOUNDED)
			for (int i = 0; i < l.n; i++)
				for (int k = 0; k < f.n && !c->failed; k++)
					add_edge(c, &(Entry) {l.positions[i], again, false}, f.positions[k]);
	}
}

static void
compile_sequence(Compiler *c, const Sequence *sequence, bool top, const EntryList *in,
				 PositionList *firsts, PositionList *lasts, bool *empty)
{
	EntryList frontier = {0};
	PositionList here = {0};

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	*empty = true;
	add_entries(&frontier, in);
	for (int i = 0; i < sequence->nitems && !c->failed; i++)
	{
		PositionList f = {0};
		PositionList l = {0};
		EntryList next = {0};
		bool this_empty;

		if (top)
			c->item = i + 1;
		compile_item(c, &sequence->items[i], &frontier, &f, &l, &this_empty);
		if (c->failed)
			return;
		if (*empty)
			add_all(firsts, &f);
		*empty &= this_empty;
		if (!this_empty)
			here.n = 0;
		add_all(&here, &l);
		for (int k = 0; top && k < l.n; k++)
			c->program->positions[l.positions[k]].ends_item = true;

		if (this_empty)
			add_entries(&next, &frontier);
		if (i + 1 < sequence->nitems)
			enter_from(&next, &l, add_link(c, &sequence->links[i + 1]));
		frontier = next;
	}
	add_all(lasts, &here);
}

static int
edge_cmp(const void *a, const void *b)
{
	const ProgramEdge *x = a;
	const ProgramEdge *y = b;

	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->link < y->link ? -1 : x->link > y->link;
}

bool
program_connected(const Program *p, const uint64 *steps, const bool *edges, bool *reached)
{
	bool changed = true;

	memset(reached, 0, p->npositions * sizeof(bool));
	while (changed)
	{
		CHECK_FOR_INTERRUPTS();
		changed = false;
		for (int e = 0; e < p->nedges; e++)
		{
			const ProgramEdge *edge = &p->edges[e];

			if (!reached[edge->to] && (edge->from < 0 || reached[edge->from]) &&
				bit_get(steps, p->positions[edge->to].step) && (edges == NULL || edges[e]))
				reached[edge->to] = changed = true;
		}
	}
	for (int a = 0; a < p->naccepts; a++)
		if (reached[p->accepts[a].position])
			return true;
	return false;
}

/* Touchpoints that the shortest match has. */
static int
shortest(const Program *p)
{
	int *to = palloc(p->npositions * sizeof(int));
	int result = PG_INT32_MAX;
	bool changed = true;

	for (int q = 0; q < p->npositions; q++)
		to[q] = PG_INT32_MAX;
	while (changed)
	{
		CHECK_FOR_INTERRUPTS();
		changed = false;
		for (int e = 0; e < p->nedges; e++)
		{
			const ProgramEdge *edge = &p->edges[e];
			int here = edge->from < 0                   ? 1
					   : to[edge->from] == PG_INT32_MAX ? PG_INT32_MAX
														: to[edge->from] + 1;

			if (here < to[edge->to])
			{
				to[edge->to] = here;
				changed = true;
			}
		}
	}
	for (int a = 0; a < p->naccepts; a++)
		result = Min(result, to[p->accepts[a].position]);
	pfree(to);
	return result;
}

Program *
program_compile(const Pattern *pattern, TextScan *s)
{
	Compiler c = {.program = palloc0(sizeof(Program)), .scan = s};
	Program *p = c.program;

	p->within = pattern->within;
	for (int i = 0; i < pattern->nsequences && !c.failed; i++)
	{
		const Sequence *sequence = pattern->sequences[i];
		EntryList start = {0};
		PositionList firsts = {0};
		PositionList lasts = {0};
		int end_link;
		bool empty;

		add_entry(&start, (Entry) {-1,
								   sequence->start_link ? add_link(&c, sequence->start_link)
														: PROGRAM_NO_LINK,
								   sequence->from_start});
		compile_sequence(&c, sequence, true, &start, &firsts, &lasts, &empty);
		if (c.failed)
			break;
		if (empty)
		{
			text_fail_with(s, ERRCODE_INVALID_TEXT_REPRESENTATION,
						   "journey pattern must not match without a touchpoint",
						   "Every item of one of its alternatives may be skipped.",
						   "Make at least one item mandatory.");
			return NULL;
		}
		end_link = sequence->end_link ? add_link(&c, sequence->end_link) : PROGRAM_NO_LINK;
		for (int k = 0; k < lasts.n; k++)
		{
			reserve(p->accepts, p->naccepts, c.accepts_max);
			p->accepts[p->naccepts++] =
				(ProgramAccept) {lasts.positions[k], sequence->to_end, end_link};
		}
		p->nitems = Max(p->nitems, sequence->nitems);
	}
	if (c.failed)
		return NULL;
	qsort(p->edges, p->nedges, sizeof(ProgramEdge), edge_cmp);
	p->least = shortest(p);
	return p;
}
