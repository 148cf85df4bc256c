/*
 * funnel_level.c
 *		The levels of window_funnel.
 *
 * A funnel is a chain of steps within a window, so a match of its first k steps is
 * as good as the time at which it started: of all that end by now, the one that
 * started last leaves most of the window. That is match.c's argument, for a
 * chain, where one number a step is all there is to keep:
 *
 *	start[k] = latest start of a match of steps 0 .. k by now, or none.
 *
 * It never rises from one k to the next, and if there is none for k, there is none
 * behind it. So every row costs at most a look at each condition that it meets.
 *
 * Rows of equal time can be taken in any order, so they are looked at together:
 *
 *	ordinarily, one row may serve for several steps: what counts is which conditions
 *	the time as a whole meets, taken in the order of the steps;
 *
 *	if times must rise (strict_increase), a time adds one step to what was reached
 *	before it: the same conditions, taken backwards;
 *
 *	if a row is for one step only (strict_once), a time may add steps i .. j-1 to what
 *	was reached before it if that many of its rows can be told off to them: a
 *	matching of steps and rows (found by augmenting paths: C. Berge, "Two theorems
 *	in graph theory", 1957). How far j may go never falls as i rises, so one
 *	matching is kept, gaining steps in front and losing them behind. A single row
 *	adds one step, as above. Nothing of this depends on which rows were chosen
 *	earlier, so no sets of rows have to be remembered.
 *
 * strict_order and strict_deduplication are defined by a walk over events, the
 * pairs of time and condition in this order; see walk().
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "rows/funnel_level.h"

#define STEPS_MAX 64
#define NO_START PG_INT64_MIN
#define FUNNEL_INTERRUPT_EVERY 0x10000

typedef struct Funnel
{
	int nsteps;
	int64 window;
	int modes;
	int reached; /* steps: start[] is known of so many */
	int64 start[STEPS_MAX];
} Funnel;

/* The rows of one time. */
typedef struct Instant
{
	int64 time;
	const MatchRow *rows;
	uint32 n;
	uint64 conditions; /* that some row meets */
} Instant;

/* Of a step, the latest start of a match that this time completes; or NO_START. */
static inline int64
start_before(const Funnel *f, int step, int64 time)
{
	if (step == 0)
		return time;
	if (step > f->reached || elapsed(f->start[step - 1], time) > f->window)
		return NO_START;
	return f->start[step - 1];
}

static inline void
reach_step(Funnel *f, int step, int64 start)
{
	f->start[step] = start;
	if (step == f->reached)
		f->reached++;
}

static inline uint64
steps_within(uint64 conditions, int steps)
{
	return steps >= STEPS_MAX ? conditions : conditions & ((UINT64CONST(1) << steps) - 1);
}

/* ---- one row for one step: which steps can the rows of a time serve for? ---- */

typedef struct Matching
{
	int nrows;
	uint64 *rows;   /* conditions */
	int8 *row_step; /* of each row: its step, or -1 */
	int step_row[STEPS_MAX];
} Matching;

/*
 * Rows that suffice: if a step has as many rows as there are steps, one of them is
 * always free, so further ones are of no use to it.
 */
static void
matching_init(Matching *m, const Instant *now, int nsteps)
{
	int count[STEPS_MAX] = {0};
	size_t most = Min((size_t) now->n, (size_t) nsteps * nsteps);

	m->rows = palloc(most * sizeof(uint64));
	m->row_step = palloc(most * sizeof(int8));
	m->nrows = 0;
	for (uint32 i = 0; i < now->n; i++)
	{
		bool useful = false;

		if (i % FUNNEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		for (uint64 bits = now->rows[i].conditions; bits != 0; bits &= bits - 1)
			useful |= count[pg_rightmost_one_pos64(bits)] < nsteps;
		if (!useful)
			continue;
		for (uint64 bits = now->rows[i].conditions; bits != 0; bits &= bits - 1)
			count[pg_rightmost_one_pos64(bits)]++;
		m->row_step[m->nrows] = -1;
		m->rows[m->nrows++] = now->rows[i].conditions;
	}
}

/* Find a row for a step, moving others; steps in "seen" were tried in vain. */
static bool
matching_add(Matching *m, int step, uint64 *seen)
{
	*seen |= UINT64CONST(1) << step;
	for (int pass = 0; pass < 2; pass++)
		for (int r = 0; r < m->nrows; r++)
		{
			int other = m->row_step[r];

			if ((m->rows[r] >> step & 1) == 0)
				continue;
			/* a free row if there is one, else one that can be made free */
			if (pass == 0 ? other >= 0 : (*seen >> other & 1) != 0 || !matching_add(m, other, seen))
				continue;
			m->row_step[r] = step;
			m->step_row[step] = r;
			return true;
		}
	return false;
}

/* Of each step, how far the rows suffice from it on: steps i .. far[i] - 1. */
static void
find_far(const Instant *now, int nsteps, int *far)
{
	Matching m;
	int to = 0;

	matching_init(&m, now, nsteps);
	for (int from = 0; from < nsteps; from++)
	{
		uint64 seen = 0;

		CHECK_FOR_INTERRUPTS();
		to = Max(to, from);
		while (to < nsteps && (now->conditions >> to & 1) != 0 && matching_add(&m, to, &seen))
		{
			to++;
			seen = 0;
		}
		far[from] = to;
		if (to > from)
			m.row_step[m.step_row[from]] = -1;
	}
	pfree(m.rows);
	pfree(m.row_step);
}

/* ---- what a time adds ---- */

static bool
one_condition_each(const Instant *now)
{
	for (uint32 i = 0; i < now->n; i++)
		if ((now->rows[i].conditions & (now->rows[i].conditions - 1)) != 0)
			return false;
	return true;
}

/* Of each step the latest start of a match that this time completes; ascending in itself. */
static void
starts_of_instant(const Funnel *f, const Instant *now, int64 *starts)
{
	int far[STEPS_MAX];
	int from = 0;

	if ((f->modes & FUNNEL_INCREASE) != 0 || now->n == 1)
	{
		for (int step = 0; step < f->nsteps; step++)
			starts[step] =
				(now->conditions >> step & 1) != 0 ? start_before(f, step, now->time) : NO_START;
		return;
	}
	find_far(now, f->nsteps, far);
	/* the fewer steps were reached before, the later the start: the first that gets so far */
	for (int step = 0; step < f->nsteps; step++)
	{
		while (from <= step && far[from] <= step)
			from++;
		starts[step] = from <= step ? start_before(f, from, now->time) : NO_START;
	}
}

/* Without strict_order and strict_deduplication. */
static void
advance(Funnel *f, const Instant *now)
{
	bool one_step = (f->modes & FUNNEL_INCREASE) != 0;

	if ((f->modes & FUNNEL_ONCE) != 0 && !one_step)
	{
		if (now->n == 1)
			one_step = true;
		else if (!one_condition_each(now))
		{
			int64 starts[STEPS_MAX];

			starts_of_instant(f, now, starts);
			for (int step = 0; step < f->nsteps; step++)
				if (starts[step] != NO_START)
					reach_step(f, step,
							   Max(starts[step], step < f->reached ? f->start[step] : NO_START));
			return;
		}
	}
	if (one_step)
	{
		/* backwards, so that a step is reached from what was before */
		uint64 bits = steps_within(now->conditions, f->reached + 1);

		while (bits != 0)
		{
			int step = pg_leftmost_one_pos64(bits);
			int64 start = start_before(f, step, now->time);

			bits &= ~(UINT64CONST(1) << step);
			if (start != NO_START)
				reach_step(f, step, start);
		}
	}
	else
		for (uint64 bits = now->conditions; bits != 0; bits &= bits - 1)
		{
			int step = pg_rightmost_one_pos64(bits);
			int64 start;

			if (step > f->reached)
				break;
			start = start_before(f, step, now->time);
			if (start != NO_START)
				reach_step(f, step, start);
		}
}

/*
 * strict_order and strict_deduplication, as ClickHouse has them: a walk over
 * events, of a time first the rows that meet no condition and then conditions in
 * their order.
 *
 *	strict_order: once a match has begun, it is interrupted by a row that meets no
 *	condition and (unless allow_reentry) by the condition of a step whose step before
 *	has not been reached. There ClickHouse ends; here the next match may begin.
 *
 *	strict_deduplication: a condition, but the first, of a step that has been reached
 *	ends the walk.
 *
 * Returns whether the walk goes on; *best is the level of what was interrupted.
 */
static bool
walk(Funnel *f, const Instant *now, int *best)
{
	bool in_place = (f->modes & (FUNNEL_INCREASE | FUNNEL_ONCE)) == 0;
	int64 starts[STEPS_MAX];

	if (now->rows[0].conditions == 0)
	{
		*best = Max(*best, f->reached);
		f->reached = 0;
	}
	if (!in_place)
		starts_of_instant(f, now, starts);
	for (uint64 bits = now->conditions; bits != 0; bits &= bits - 1)
	{
		int step = pg_rightmost_one_pos64(bits);
		int64 start;
		uint32 times = 1;

		if (step > 0 && (f->modes & FUNNEL_DEDUPLICATION) != 0)
		{
			if (step < f->reached)
				return false;
			times = 0;
			for (uint32 i = 0; i < now->n && times < 2; i++)
				times += now->rows[i].conditions >> step & 1;
		}
		if (step > f->reached)
		{
			if ((f->modes & (FUNNEL_ORDER | FUNNEL_REENTRY)) != FUNNEL_ORDER || f->reached == 0)
				continue;
			*best = Max(*best, f->reached);
			f->reached = 0;
			break;
		}
		start = in_place ? start_before(f, step, now->time) : starts[step];
		if (start != NO_START)
		{
			reach_step(f, step, step < f->reached ? Max(start, f->start[step]) : start);
			if (times > 1)
				return false;
		}
	}
	return true;
}

int
funnel_level(const MatchRow *rows, uint32 n, int nsteps, int64 window, int modes)
{
	bool walks = (modes & (FUNNEL_ORDER | FUNNEL_DEDUPLICATION)) != 0;
	int best = 0;
	Funnel f;

	Assert(nsteps <= STEPS_MAX);
	f.nsteps = nsteps;
	f.window = window;
	f.modes = modes;
	f.reached = 0;
	for (uint32 i = 0; i < n && f.reached < nsteps;)
	{
		Instant now = {rows[i].time, &rows[i], 1, rows[i].conditions};

		for (i++; i < n && rows[i].time == now.time; i++)
		{
			if (unlikely(i % FUNNEL_INTERRUPT_EVERY == 0))
				CHECK_FOR_INTERRUPTS();
			now.conditions |= rows[i].conditions;
			now.n++;
		}
		if (unlikely(i % FUNNEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		if (!walks)
			advance(&f, &now);
		else if (!walk(&f, &now, &best))
			break;
	}
	return Max(best, f.reached);
}
