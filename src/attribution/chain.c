/*
 * chain.c
 *		Absorbing Markov chains: the chance to convert, and what it is without some states.
 *
 * With Q the chances to go from state to state and r those to convert at once, N = (I - Q)^-1 is
 * the fundamental matrix: N[i][j] tells how often j is visited from i. The chance to convert from
 * each state is h = N r, visits from the start are u, the first row of N. Whoever visits a state
 * of the set S first enters it at some s; with f[s] the chance of that, u[S] = f N[S][S], and what
 * is lost when S is cut off is f h[S] = u[S] N[S][S]^-1 h[S]. This is what the formula of Sherman,
 * Morrison and Woodbury says of the change of as many columns: so one factorisation serves all
 * groups, and of a group of one state a division does.
 *
 * I - Q is factorised by LU with partial pivoting. Where states are many and transitions few, as
 * with those of the last items, sweeps of Gauss and Seidel are quicker: they begin with 0 and
 * rise; beside them w, the chance not to have ended yet, begins with 1 and falls in the same
 * sweeps, so the error never is more than w, and they end when that is CHAIN_ERROR of the result.
 */
#include "postgres.h"

#include <math.h>

#include "attribution/chain.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define DIRECT_ALWAYS 64
#define DIRECT_MAX 4096
#define SWEEPS_MAX 200000

static double *
zeros(size_t n)
{
	return palloc_extended(Max(n, 1) * sizeof(double), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* --- LU --- */

typedef struct Factors
{
	uint32 n;
	double *a;   /* row by row: L below the diagonal, which is 1, and U */
	uint32 *row; /* which row of the matrix stands in the i-th place */
} Factors;

static void
chain_singular(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a Markov chain never ends")));
}

static void
factorise(Factors *f)
{
	uint32 n = f->n;
	double *a = f->a;

	for (uint32 i = 0; i < n; i++)
		f->row[i] = i;
	for (uint32 k = 0; k < n; k++)
	{
		uint32 best = k;
		const double *pivot;

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = k + 1; i < n; i++)
			if (fabs(a[(size_t) i * n + k]) > fabs(a[(size_t) best * n + k]))
				best = i;
		if (a[(size_t) best * n + k] == 0)
			chain_singular();
		if (best != k)
		{
			uint32 row = f->row[k];

			f->row[k] = f->row[best];
			f->row[best] = row;
			for (uint32 j = 0; j < n; j++)
			{
				double x = a[(size_t) k * n + j];

				a[(size_t) k * n + j] = a[(size_t) best * n + j];
				a[(size_t) best * n + j] = x;
			}
		}
		pivot = &a[(size_t) k * n];
		for (uint32 i = k + 1; i < n; i++)
		{
			double *line = &a[(size_t) i * n];
			double factor;

			if (line[k] == 0)
				continue;
			factor = line[k] /= pivot[k];
			for (uint32 j = k + 1; j < n; j++)
				line[j] -= factor * pivot[j];
		}
	}
}

/* x = A^-1 b */
static void
solve(const Factors *f, const double *b, double *x)
{
	uint32 n = f->n;

	for (uint32 i = 0; i < n; i++)
	{
		const double *line = &f->a[(size_t) i * n];
		double sum = b[f->row[i]];

		for (uint32 j = 0; j < i; j++)
			sum -= line[j] * x[j];
		x[i] = sum;
	}
	for (uint32 i = n; i-- > 0;)
	{
		const double *line = &f->a[(size_t) i * n];
		double sum = x[i];

		for (uint32 j = i + 1; j < n; j++)
			sum -= line[j] * x[j];
		x[i] = sum / line[i];
	}
}

/* The first row of A^-1. */
static void
solve_first_row(const Factors *f, double *x)
{
	uint32 n = f->n;
	double *y = zeros(n);

	/* U' y = e0, then L' z = y, and x = z in the order of the matrix's rows */
	y[0] = 1;
	for (uint32 i = 0; i < n; i++)
	{
		const double *line = &f->a[(size_t) i * n];

		y[i] /= line[i];
		for (uint32 j = i + 1; j < n; j++)
			y[j] -= line[j] * y[i];
	}
	for (uint32 i = n; i-- > 0;)
	{
		const double *line = &f->a[(size_t) i * n];

		for (uint32 j = 0; j < i; j++)
			y[j] -= line[j] * y[i];
	}
	for (uint32 i = 0; i < n; i++)
		x[f->row[i]] = y[i];
	pfree(y);
}

static double
solve_direct(const Chain *c, double *effects)
{
	uint32 n = c->n;
	Factors f = {.n = n};
	double *h = zeros(n);
	double *u = zeros(n);
	double *b = zeros(n);
	double *x = zeros(n);
	uint32 *states = palloc(n * sizeof(uint32)); /* by group */
	uint32 *starts = palloc0(((size_t) c->ngroups + 2) * sizeof(uint32));

	f.a = zeros((size_t) n * n);
	f.row = palloc(n * sizeof(uint32));
	for (uint32 i = 0; i < n; i++)
	{
		f.a[(size_t) i * n + i] = 1;
		for (uint32 k = c->rows[i]; k < c->rows[i + 1]; k++)
			f.a[(size_t) i * n + c->to[k]] -= c->p[k];
	}
	factorise(&f);
	solve(&f, c->converts, h);
	solve_first_row(&f, u);
	for (uint32 i = 1; i < n; i++)
		starts[c->group[i] + 2]++;
	for (uint32 g = 2; g <= c->ngroups + 1; g++)
		starts[g] += starts[g - 1];
	for (uint32 i = 1; i < n; i++)
		states[starts[c->group[i] + 1]++] = i;
	for (uint32 g = 0; g < c->ngroups; g++)
	{
		const uint32 *in = &states[starts[g]];
		uint32 size = starts[g + 1] - starts[g];
		Factors part = {.n = size};
		double *hs = zeros(size);
		double *xs = zeros(size);
		double lost = 0;

		effects[g] = 0;
		if (size > 0)
		{
			part.a = zeros((size_t) size * size);
			part.row = palloc(size * sizeof(uint32));
			for (uint32 j = 0; j < size; j++)
			{
				CHECK_FOR_INTERRUPTS();
				b[in[j]] = 1;
				solve(&f, b, x);
				b[in[j]] = 0;
				for (uint32 i = 0; i < size; i++)
					part.a[(size_t) i * size + j] = x[in[i]];
				hs[j] = h[in[j]];
			}
			factorise(&part);
			solve(&part, hs, xs);
			for (uint32 i = 0; i < size; i++)
				lost += u[in[i]] * xs[i];
			pfree(part.a);
			pfree(part.row);
		}
		if (h[0] > 0)
			effects[g] = lost / h[0];
		pfree(hs);
		pfree(xs);
	}
	pfree(f.a);
	return h[0];
}

/* --- iteration --- */

/*
 * The chance to convert without a group (ngroups: with all), to CHAIN_ERROR of itself or of
 * another one; how many sweeps, 0: too many.
 */
static double
sweep(const Chain *c, uint32 without, double other, double *h, double *w, uint32 *sweeps)
{
	double chance = 0;

	for (uint32 i = 0; i < c->n; i++)
	{
		h[i] = 0;
		w[i] = i > 0 && c->group[i] == without ? 0 : 1;
	}
	for (uint32 done = 1; done <= SWEEPS_MAX; done++)
	{
		CHECK_FOR_INTERRUPTS();
		for (uint32 i = c->n; i-- > 0;)
		{
			double sum = 0;
			double left = 0;
			double self = 0;

			if (i > 0 && c->group[i] == without)
				continue;
			for (uint32 k = c->rows[i]; k < c->rows[i + 1]; k++)
			{
				uint32 to = c->to[k];

				if (to == i)
					self += c->p[k];
				else
				{
					sum += c->p[k] * h[to];
					left += c->p[k] * w[to];
				}
			}
			h[i] = (sum + c->converts[i]) / (1 - self);
			w[i] = left / (1 - self);
		}
		chance = h[0];
		if (w[0] <= CHAIN_ERROR * Max(chance, other))
		{
			*sweeps = done;
			return chance;
		}
	}
	*sweeps = 0;
	return chance;
}

static bool
solve_by_iteration(const Chain *c, double *h, double *w, double chance, double *effects)
{
	for (uint32 g = 0; g < c->ngroups; g++)
	{
		uint32 sweeps;
		double without = sweep(c, g, chance, h, w, &sweeps);

		if (sweeps == 0)
			return false;
		effects[g] = chance > 0 ? (chance - without) / chance : 0;
	}
	return true;
}

double
chain_solve(const Chain *c, ChainMethod method, double *effects)
{
	double *h;
	double *w;
	double chance;
	uint32 sweeps;
	bool solved;

	if (method == CHAIN_DIRECT || (method == CHAIN_ANY && c->n <= DIRECT_ALWAYS))
		return solve_direct(c, effects);
	h = zeros(c->n);
	w = zeros(c->n);
	chance = sweep(c, c->ngroups, 0, h, w, &sweeps);
	if (method == CHAIN_ANY && c->n <= DIRECT_MAX &&
		(sweeps == 0 ||
		 (double) c->ngroups * c->rows[c->n] * sweeps * 4 > 2.7 * c->n * c->n * (double) c->n))
		return solve_direct(c, effects);
	solved = sweeps > 0 && solve_by_iteration(c, h, w, chance, effects);
	if (!solved && method == CHAIN_ANY && c->n <= DIRECT_MAX)
		return solve_direct(c, effects);
	if (!solved)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a Markov chain of %u states is too slow to end", c->n),
				 errdetail("Its error is more than %g after %d sweeps.", CHAIN_ERROR, SWEEPS_MAX),
				 errhint("Use a lower order, a coarser item or the transform \"exposure\".")));
	pfree(h);
	pfree(w);
	return chance;
}
