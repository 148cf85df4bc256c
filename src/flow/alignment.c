/*
 * alignment.c
 *		The cheapest way to turn a journey into a match of a pattern.
 *
 * What a way is made of:
 *	match	a touchpoint is matched by a step;
 *	missing	a step that the match needs has no touchpoint;
 *	extra	a touchpoint stands where the pattern allows none: between two steps that are linked
 *			by =>, before ^, behind $, or where it is banned.
 * A touchpoint that the pattern passes over, as between two steps that are linked by ->, is no
 * move and costs nothing. So a journey that matches costs nothing, and only that does.
 *
 * A dynamic program over the positions of the compiled pattern, a column for each number of
 * touchpoints that are behind us: done[q], the cost of having come to position q with the last
 * of them; on[e], that of having left for the edge e, on which touchpoints are passed over. An
 * accept is an edge that leads nowhere. (After S. B. Needleman and C. D. Wunsch, JMB 48, 1970;
 * E. W. Myers and W. Miller, "Approximate matching of regular expressions", Bull. Math. Biol. 51,
 * 1989.)
 *
 * Going back needs all columns. We keep one of each so many, a square root of all, and make those
 * behind it again when we come there.
 */
#include "postgres.h"

#include <math.h>

#include "analytics/row_set.h"
#include "compat.h"
#include "flow/flow.h"
#include "miscadmin.h"
#include "pattern/journey_pattern.h"
#include "utils/builtins.h"

#define COST_MAX 1000000
#define NEVER (PG_INT64_MAX / 4)

/* Memory for columns, in bytes. */
#define COLUMNS_MAX (256 * 1024 * 1024)

typedef enum MoveKind
{
	MOVE_MATCH,
	MOVE_MISSING,
	MOVE_EXTRA
} MoveKind;

static const char *const move_names[] = {
	[MOVE_MATCH] = "match", [MOVE_MISSING] = "missing", [MOVE_EXTRA] = "extra"};

typedef struct Move
{
	MoveKind kind;
	int step;          /* or -1 */
	uint32 touchpoint; /* from 1; 0: none */
} Move;

/* Where touchpoints are passed over: before a position, or (to < 0) behind the last one. */
typedef struct Way
{
	int from; /* position, or -1 */
	int to;
	const ProgramLink *link; /* or NULL */
	bool free;               /* without a link: any touchpoint may be passed over */
} Way;

typedef struct Aligner
{
	const Program *program;
	int nways;
	Way *ways; /* edges, and then accepts */
	int nedges;
	int width;    /* of a column: ways, and positions */
	bool matches; /* else nothing is, to know the worst */
	int64 missing;
	int64 extra;
	JourneyView *v;
	bool values;       /* some step tests them */
	bool *label_steps; /* of each label, each step */
	bool *steps;       /* of the touchpoint at hand */
	JourneyCursor cursor;
	uint32 at; /* the touchpoint that steps tell of, from 1 */
} Aligner;

static void
not_aligned(const CompiledPattern *c, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("a pattern with %s cannot be aligned", what),
					errdetail("Found \"%s\".", c->text),
					errhint("A step that is missing has no time. Leave the limit out, and ask"
							" for the times of what matches.")));
}

static void
check_link(const CompiledPattern *c, const ProgramLink *link)
{
	if (link->min > 0 || link->max < PG_INT64_MAX)
		not_aligned(c, "limits on time");
	for (int i = 0; link->ban_usecs && i < link->nbans; i++)
		if (link->ban_usecs[i] != PATTERN_UNBOUNDED)
			not_aligned(c, "a ban for some time");
}

static void
aligner_init(Aligner *a, const CompiledPattern *c, JourneyView *v, int32 missing, int32 extra)
{
	const Program *p = c->program;
	TouchLabel *labels = journey_dictionary(v);

	if (missing < 1 || missing > COST_MAX || extra < 1 || extra > COST_MAX)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s must be from 1 to %d",
					missing < 1 || missing > COST_MAX ? "missing_cost" : "extra_cost", COST_MAX),
			 errdetail("Found %d.", missing < 1 || missing > COST_MAX ? missing : extra)));
	memset(a, 0, sizeof(*a));
	a->program = p;
	a->v = v;
	a->missing = missing;
	a->extra = extra;
	if (p->within != PATTERN_UNBOUNDED)
		not_aligned(c, "limits on time");
	a->nedges = p->nedges;
	a->nways = p->nedges + p->naccepts;
	a->width = a->nways + p->npositions;
	a->ways = palloc_extended(a->nways * sizeof(Way), MCXT_ALLOC_HUGE);
	for (int i = 0; i < p->nedges; i++)
	{
		const ProgramEdge *e = &p->edges[i];

		a->ways[i] = (Way) {e->from, e->to, e->link >= 0 ? &p->links[e->link] : NULL,
							e->from < 0 && !e->from_start};
	}
	for (int i = 0; i < p->naccepts; i++)
	{
		const ProgramAccept *accept = &p->accepts[i];

		a->ways[p->nedges + i] =
			(Way) {accept->position, -1, accept->link >= 0 ? &p->links[accept->link] : NULL,
				   !accept->to_end};
	}
	for (int i = 0; i < a->nways; i++)
		if (a->ways[i].link)
			check_link(c, a->ways[i].link);
	a->label_steps = palloc_extended(Max((size_t) v->nlabels * p->nsteps, 1), MCXT_ALLOC_HUGE);
	for (uint32 label = 0; label < v->nlabels; label++)
		for (int step = 0; step < p->nsteps; step++)
			a->label_steps[(size_t) label * p->nsteps + step] =
				step_matches_label(p->steps[step], &labels[label]);
	for (int step = 0; step < p->nsteps; step++)
		a->values |= p->steps[step]->nvalues > 0;
	a->steps = palloc(Max(p->nsteps, 1));
	pfree(labels);
}

/* Which steps match touchpoint i, from 1. */
static void
look_at(Aligner *a, uint32 i)
{
	const Program *p = a->program;
	Touch t;

	if (a->at == i)
		return;
	memcpy(a->steps, a->label_steps + (size_t) journey_label_at(a->v, i - 1) * p->nsteps,
		   p->nsteps);
	if (a->values)
	{
		if (a->at + 1 != i || i == 1)
			journey_start_at(a->v, &a->cursor, i - 1);
		if (!journey_next(&a->cursor, &t))
			journey_corrupt("a touchpoint is missing");
		for (int step = 0; step < p->nsteps; step++)
			if (a->steps[step])
				a->steps[step] = step_matches_value(p->steps[step], &t);
	}
	a->at = i;
}

/* Is the touchpoint that was looked at extra if it is passed over here? */
static inline bool
is_extra(const Aligner *a, const Way *way)
{
	if (way->link == NULL)
		return !way->free;
	if (way->link->next)
		return true;
	for (int i = 0; i < way->link->nbans; i++)
		if (a->steps[way->link->bans[i]])
			return true;
	return false;
}

/* Steps that are missing, until nothing gets cheaper. */
static void
relax(const Aligner *a, int64 *on, int64 *done)
{
	bool changed;

	do
	{
		changed = false;
		for (int i = 0; i < a->nways; i++)
		{
			const Way *way = &a->ways[i];

			if (way->from >= 0 && done[way->from] < on[i])
			{
				on[i] = done[way->from];
				changed = true;
			}
			if (way->to >= 0 && on[i] + a->missing < done[way->to])
			{
				done[way->to] = on[i] + a->missing;
				changed = true;
			}
		}
	} while (changed);
}

static void
first_column(const Aligner *a, int64 *column)
{
	for (int i = 0; i < a->width; i++)
		column[i] = i < a->nways && a->ways[i].from < 0 ? 0 : NEVER;
	relax(a, column, column + a->nways);
}

/* The column behind touchpoint i, from 1. */
static void
next_column(Aligner *a, uint32 i, const int64 *before, int64 *column)
{
	int64 *done = column + a->nways;

	if (unlikely(i % 64 == 0))
		CHECK_FOR_INTERRUPTS();
	look_at(a, i);
	for (int q = 0; q < a->program->npositions; q++)
		done[q] = NEVER;
	for (int k = 0; k < a->nways; k++)
	{
		const Way *way = &a->ways[k];

		column[k] = Min(NEVER, before[k] + (is_extra(a, way) ? a->extra : 0));
		if (way->to >= 0 && a->matches && a->steps[a->program->positions[way->to].step])
			done[way->to] = Min(done[way->to], before[k]);
	}
	relax(a, column, done);
}

static int
best_accept(const Aligner *a, const int64 *column)
{
	int best = a->nedges;

	for (int k = a->nedges + 1; k < a->nways; k++)
		if (column[k] < column[best])
			best = k;
	return best;
}

/* What it costs, with a column or two. */
static int64
align_cost(Aligner *a, bool matches)
{
	int64 *column = palloc_extended(a->width * sizeof(int64), MCXT_ALLOC_HUGE);
	int64 *before = palloc_extended(a->width * sizeof(int64), MCXT_ALLOC_HUGE);
	int64 cost;

	a->matches = matches;
	a->at = 0;
	first_column(a, column);
	for (uint32 i = 1; i <= a->v->n; i++)
	{
		int64 *swap = before;

		before = column;
		column = swap;
		next_column(a, i, before, column);
	}
	cost = column[best_accept(a, column)];
	pfree(column);
	pfree(before);
	return cost;
}

typedef struct AlignmentSet
{
	RowSet rows;
	CompiledPattern *pattern;
	Move *moves; /* from the last one */
	uint32 n;
	uint32 max;
} AlignmentSet;

static void
add_move(AlignmentSet *set, MoveKind kind, int step, uint32 touchpoint)
{
	if (set->n == set->max)
	{
		set->max = Max(64, 2 * set->max);
		set->moves = set->moves ? repalloc_huge(set->moves, set->max * sizeof(Move))
								: palloc_extended(set->max * sizeof(Move), MCXT_ALLOC_HUGE);
	}
	set->moves[set->n++] = (Move) {kind, step, touchpoint};
}

static void
align(AlignmentSet *set, Aligner *a)
{
	uint32 n = a->v->n;
	uint32 stride = Max(1, (uint32) ceil(sqrt((double) n)));
	uint32 nkept = n / stride + 1;
	size_t size = a->width * sizeof(int64);
	int64 *kept;
	int64 *block;      /* columns from "from" on */
	bool *block_steps; /* ... and what touchpoints in front of them match */
	int nsteps = a->program->nsteps;
	uint32 from;
	uint32 i = n;
	int way;
	int position = -1; /* where we are: there, or on the way */

	if (((double) nkept + stride + 1) * size > COLUMNS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("journey and pattern are too large to be aligned"),
						errdetail("There are %u touchpoints, and the pattern has %d positions.", n,
								  a->program->npositions),
						errhint("Take a shorter stretch of the journey, or a simpler pattern.")));
	kept = palloc_extended(nkept * size, MCXT_ALLOC_HUGE);
	block = palloc_extended((stride + 1) * size, MCXT_ALLOC_HUGE);
	block_steps = palloc_extended((size_t) (stride + 1) * nsteps, MCXT_ALLOC_HUGE);
	a->matches = true;
	first_column(a, kept);
	memcpy(block, kept, size);
	for (uint32 k = 1; k <= n; k++)
	{
		next_column(a, k, block + (k - 1) % 2 * a->width, block + k % 2 * a->width);
		if (k % stride == 0)
			memcpy(kept + k / stride * (size_t) a->width, block + k % 2 * a->width, size);
	}
	/* the last column is at the start of its block, or we make it again */
	from = n + 1;
#define COLUMN(k) (block + ((k) -from) * (size_t) a->width)
	way = -1;
	for (;;)
	{
		const int64 *column;
		const int64 *before;

		/* columns i and i - 1 must be at hand */
		if (from > n || (i > 0 && i - 1 < from))
		{
			uint32 start = (i > 0 ? i - 1 : 0) / stride;

			from = start * stride;
			memcpy(block, kept + start * (size_t) a->width, size);
			a->at = 0;
			for (uint32 k = from + 1; k <= Min(n, from + stride); k++)
			{
				next_column(a, k, COLUMN(k - 1), COLUMN(k));
				memcpy(block_steps + (k - from) * nsteps, a->steps, nsteps);
			}
		}
		column = COLUMN(i);
		before = i > 0 ? COLUMN(i - 1) : NULL;
		if (i > 0)
			memcpy(a->steps, block_steps + (i - from) * nsteps, nsteps);
		if (way < 0 && position < 0)
			way = best_accept(a, column);
		if (way >= 0)
		{
			const Way *w = &a->ways[way];
			bool extra = i > 0 && is_extra(a, w);
			bool pass = i > 0 && column[way] == before[way] + (extra ? a->extra : 0);
			bool leave = w->from >= 0 && column[way] == column[a->nways + w->from];

			/* it ends as early as it can, and each step is as late as it can be */
			if (w->from < 0 && i == 0)
				break;
			if (pass && (w->to < 0 || !leave))
			{
				if (extra)
					add_move(set, MOVE_EXTRA, -1, i);
				i--;
				continue;
			}
			Assert(leave);
			position = w->from;
			way = -1;
			continue;
		}
		/* how we came to the position */
		for (int k = 0; k < a->nedges && way < 0 && i > 0; k++)
			if (a->ways[k].to == position && a->steps[a->program->positions[position].step] &&
				column[a->nways + position] == before[k])
				way = k;
		if (way >= 0)
		{
			add_move(set, MOVE_MATCH, a->program->positions[position].step, i);
			i--;
		}
		else
		{
			for (int k = 0; k < a->nedges && way < 0; k++)
				if (a->ways[k].to == position &&
					column[a->nways + position] == column[k] + a->missing)
					way = k;
			Assert(way >= 0);
			add_move(set, MOVE_MISSING, a->program->positions[position].step, 0);
		}
		position = -1;
	}
#undef COLUMN
	pfree(kept);
	pfree(block);
	pfree(block_steps);
}

static bool
move_row(void *arg, Datum *values, bool *nulls)
{
	AlignmentSet *set = arg;
	const Move *move;

	if (set->n == 0)
		return false;
	move = &set->moves[--set->n];
	values[0] = CStringGetTextDatum(move_names[move->kind]);
	nulls[1] = move->step < 0;
	if (!nulls[1])
	{
		const Step *step = set->pattern->program->steps[move->step];
		PatternItem item = {
			.kind = ITEM_STEP, .nsteps = 1, .steps = (Step *) step, .min = 1, .max = 1};
		StringInfoData out;

		initStringInfo(&out);
		item_print(&out, &item);
		values[1] = PointerGetDatum(cstring_to_text_with_len(out.data, out.len));
		pfree(out.data);
	}
	nulls[2] = move->touchpoint == 0;
	values[2] = Int32GetDatum(move->touchpoint);
	return true;
}

PG_FUNCTION_INFO_V1(journey_alignment);
Datum
journey_alignment(PG_FUNCTION_ARGS)
{
	AlignmentSet *set = row_set(fcinfo, sizeof(AlignmentSet));

	if (!set->rows.started)
	{
		CompiledPattern *c =
			pattern_argument(&set->pattern, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(1));
		MemoryContext old = row_set_start(&set->rows);

		PG_TRY();
		{
			JourneyArg arg;
			Aligner a;

			set->moves = NULL;
			set->n = set->max = 0;
			journey_arg_open(&arg, PG_GETARG_DATUM(0));
			aligner_init(&a, c, &arg.view, PG_GETARG_INT32(2), PG_GETARG_INT32(3));
			align(set, &a);
			journey_arg_close(&arg);
		}
		PG_CATCH();
		{
			set->rows.started = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, move_row);
}

PG_FUNCTION_INFO_V1(journey_fitness);
Datum
journey_fitness(PG_FUNCTION_ARGS)
{
	CompiledPattern *c = call_pattern(fcinfo, 1);
	JourneyArg arg;
	Aligner a;
	int64 cost;
	int64 worst;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	aligner_init(&a, c, &arg.view, PG_GETARG_INT32(2), PG_GETARG_INT32(3));
	cost = align_cost(&a, true);
	worst = align_cost(&a, false);
	journey_arg_close(&arg);
	PG_RETURN_FLOAT8(1 - (double) cost / worst);
}
