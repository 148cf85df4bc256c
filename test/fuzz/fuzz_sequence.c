/*
 * fuzz_sequence.c
 *		Aggregates over rows: patterns of sequence_match, and levels of funnels.
 *
 * The input is a pattern over four conditions up to its first newline or NUL,
 * valid or not, and then rows, a byte each: four bits of conditions, and how much
 * time has passed. What the matcher finds must be what the program says when it is
 * followed naively; and the level of a funnel over the same rows what a search
 * through all ways to choose them finds. An input is accepted if it holds a pattern.
 */
#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "fuzz.h"
#include "rows/funnel_level.h"
#include "rows/sequence_pattern.h"

#define ROWS_MAX 40
#define FUNNEL_ROWS_MAX 9
#define CONDITIONS 4

const char *const fuzz_tokens[] = {
	"(?1)",   "(?2)",    "(?3)",    "(?4)",       "(?5)",     ".",        ".*",        "(?t<=5)",
	"(?t>5)", "(?t==0)", "(?t=60)", "(?t<1 min)", "(?t>=",    "0.5",      "106751991", " days",
	")",      " ",       "\n",      "\x11",       "\x12\x34", "\x0f\x0f", NULL};

static MatchRow rows[ROWS_MAX];
static uint32 nrows;

static void
make_rows(const uint8 *data, size_t len)
{
	static const int64 gaps[] = {0,
								 0,
								 1,
								 USECS_PER_SEC,
								 5 * USECS_PER_SEC,
								 USECS_PER_MINUTE,
								 USECS_PER_DAY,
								 200000 * 365 * USECS_PER_DAY};
	int64 time = MIN_TIMESTAMP;

	nrows = 0;
	for (size_t i = 0; i < len && nrows < ROWS_MAX; i++)
	{
		MatchRow row;

		time = Min(time, END_TIMESTAMP - 1 - gaps[data[i] >> 5]) + gaps[data[i] >> 5];
		row.time = time;
		row.conditions = data[i] & 15;
		if (row.conditions == 0)
			continue;
		/* rows of one time are in the order of their conditions */
		if (nrows > 0 && rows[nrows - 1].time == time &&
			rows[nrows - 1].conditions > row.conditions)
			row.conditions = rows[nrows - 1].conditions;
		rows[nrows++] = row;
	}
}

/* --- sequences --- */

static bool
leads(const ProgramLink *link, uint32 i, uint32 j)
{
	int64 usecs = elapsed(rows[i].time, rows[j].time);

	if (usecs < link->min || usecs > link->max || (link->next && j != i + 1))
		return false;
	for (int k = 0; k < link->naheads; k++)
	{
		bool found = false;

		for (uint32 x = i + 1; x <= j; x++)
		{
			usecs = elapsed(rows[i].time, rows[x].time);
			found |= usecs >= link->aheads[k].min && usecs <= link->aheads[k].max;
		}
		if (!found)
			return false;
	}
	return true;
}

static bool
meets(const Program *p, int q, uint32 i)
{
	int condition = p->row_conditions[p->positions[q].step];

	return condition < 0 || (rows[i].conditions >> condition & 1) != 0;
}

/* Of each position and row. */
static bool reached[PATTERN_POSITIONS_MAX][ROWS_MAX];

/* The first match behind "from": its end, or nrows. *most positions are reached, first at *at. */
static uint32
naive_end(const Program *p, uint32 from, int *most, uint32 *at)
{
	*most = 0;
	for (uint32 j = from; j < nrows; j++)
		for (int q = 0; q < p->npositions; q++)
		{
			reached[q][j] = meets(p, q, j) && q == 0;
			for (uint32 i = from; i < j && q > 0 && meets(p, q, j); i++)
				reached[q][j] |= reached[q - 1][i] && leads(&p->links[q - 1], i, j);
			if (reached[q][j] && q >= *most)
			{
				*most = q + 1;
				*at = j;
			}
			if (reached[q][j] && q == p->npositions - 1)
				return j;
		}
	return nrows;
}

static void
check_sequence(Program *p)
{
	Matcher *m;
	uint32 *found = palloc(p->npositions * sizeof(uint32));
	uint32 from = 0;
	uint32 end;
	uint32 at = 0;
	int most;
	int n;

	if (nrows == 0 || p->npositions == 0)
		return;
	m = matcher_create(p);
	matcher_open_rows(m, rows, nrows);
	for (;;)
	{
		end = naive_end(p, from, &most, &at);
		require(matcher_next(m, NULL) == (end < nrows));
		if (end == nrows)
			break;
		from = end + 1;
	}
	matcher_open_rows(m, rows, nrows);
	end = naive_end(p, 0, &most, &at);
	require(matcher_exists(m) == (end < nrows));

	/* rows of the first match: each the earliest that leads on to the next and is reached */
	matcher_open_rows(m, rows, nrows);
	n = matcher_first_rows(m, found);
	require(n == most);
	if (n > 0)
		require(found[n - 1] == at);
	for (int q = n - 1; q >= 0; q--)
	{
		require(reached[q][found[q]]);
		if (q > 0)
		{
			require(found[q - 1] < found[q] && leads(&p->links[q - 1], found[q - 1], found[q]));
			for (uint32 i = 0; i < found[q - 1]; i++)
				require(!reached[q - 1][i] || !leads(&p->links[q - 1], i, found[q]));
		}
	}
}

/* --- funnels --- */

/* Choose a row for a step, all ways; the most steps that can be had. */
static int
naive_level(uint32 n, int64 window, int modes, int step, int64 start, int64 before, uint32 used)
{
	int best = step;

	for (uint32 i = 0; i < n && step < CONDITIONS && best < CONDITIONS; i++)
	{
		if ((rows[i].conditions >> step & 1) == 0 ||
			(step > 0 && (elapsed(start, rows[i].time) > window || rows[i].time < before)) ||
			(step > 0 && (modes & FUNNEL_INCREASE) != 0 && rows[i].time == before) ||
			((modes & FUNNEL_ONCE) != 0 && (used >> i & 1) != 0))
			continue;
		best = Max(best, naive_level(n, window, modes, step + 1, step == 0 ? rows[i].time : start,
									 rows[i].time, used | 1U << i));
	}
	return best;
}

static void
check_funnels(void)
{
	static const int64 windows[] = {
		0, 1, USECS_PER_SEC, 5 * USECS_PER_SEC, 3 * USECS_PER_MINUTE, PG_INT64_MAX};
	static const int modes[] = {0, FUNNEL_INCREASE, FUNNEL_ONCE, FUNNEL_INCREASE | FUNNEL_ONCE};
	uint32 n = Min(nrows, FUNNEL_ROWS_MAX);

	for (int w = 0; w < lengthof(windows); w++)
	{
		for (int k = 0; k < lengthof(modes); k++)
			require(funnel_level(rows, n, CONDITIONS, windows[w], modes[k]) ==
					naive_level(n, windows[w], modes[k], 0, 0, 0, 0));
		/* more is asked, less is reached */
		for (int mode = 0; mode < 32; mode++)
		{
			int level = funnel_level(rows, nrows, CONDITIONS, windows[w], mode);

			require(level >= 0);
			require(level <= funnel_level(rows, nrows, CONDITIONS, windows[w],
										  mode & (FUNNEL_INCREASE | FUNNEL_ONCE)));
		}
	}
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	size_t text_len = 0;
	Program *p;
	TextScan s;
	char *text;

	while (text_len < len && data[text_len] != '\n' && data[text_len] != 0)
		text_len++;
	text = exact_copy(data, text_len);
	if (text_len < len)
		make_rows(data + text_len + 1, len - text_len - 1);
	else
		make_rows(data, len);
	check_funnels();
	text_scan_init(&s, text, text_len);
	p = sequence_compile(&s, CONDITIONS);
	if (p == NULL)
	{
		require(s.sqlerrcode != 0);
		return false;
	}
	check_sequence(p);
	return true;
}
