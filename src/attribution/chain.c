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
 * with those of the last items, iteration is quicker, and says how far it is off.
 *
 * For h these are sweeps of Gauss and Seidel: they begin with 0 and rise; beside them w, the chance
 * not to have ended yet, begins with 1 and falls in the same sweeps, so the error never is more than
 * w. Without a group, BiCGSTAB (H. A. van der Vorst, 1992) begins with h, which mostly is near. With
 * r what is left of the equation, the error is N r, which is at most the largest of r times the
 * longest expected path, N 1; that is at most 2 t, if (I - Q) t is 1/2 everywhere or more, so a rough t
 * will do. Should it not come so far, sweeps do.
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
#define STEPS_USUAL 60

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

/* Twice an upper bound of the steps that a path has left, from wherever it is; 0: not found. */
static double
longest_path(const Chain *c, double *t)
{
	memset(t, 0, c->n * sizeof(double));
	for (uint32 done = 0; done < SWEEPS_MAX; done++)
	{
		double longest = 0;
		bool enough = true;

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = c->n; i-- > 0;)
		{
			double sum = 1;
			double self = 0;

			for (uint32 k = c->rows[i]; k < c->rows[i + 1]; k++)
			{
				if (c->to[k] == i)
					self += c->p[k];
				else
					sum += c->p[k] * t[c->to[k]];
			}
			t[i] = sum / (1 - self);
			longest = Max(longest, t[i]);
		}
		/* t rises, so what a state was made of has become more since: look at all again */
		for (uint32 i = 0; enough && i < c->n; i++)
		{
			double left = t[i];

			for (uint32 k = c->rows[i]; k < c->rows[i + 1]; k++)
				left -= c->p[k] * t[c->to[k]];
			enough = left >= 0.5;
		}
		if (enough)
			return 2 * longest;
	}
	return 0;
}

/* The matrix without a group, each row divided by its diagonal. */
typedef struct Without
{
	const Chain *c;
	double *diagonal; /* 0: the state is cut off */
} Without;

static void
multiply(const Without *m, const double *x, double *y)
{
	const Chain *c = m->c;

	for (uint32 i = 0; i < c->n; i++)
	{
		double sum = 0;

		y[i] = 0;
		if (m->diagonal[i] == 0)
			continue;
		for (uint32 k = c->rows[i]; k < c->rows[i + 1]; k++)
			if (c->to[k] != i)
				sum += c->p[k] * x[c->to[k]];
		y[i] = x[i] - sum / m->diagonal[i];
	}
}

static double
product(const double *x, const double *y, uint32 n)
{
	double sum = 0;

	for (uint32 i = 0; i < n; i++)
		sum += x[i] * y[i];
	return sum;
}

/* What is left of the equation for x, and the largest of it. */
static double
residual(const Without *m, const double *x, double *r)
{
	double most = 0;

	multiply(m, x, r);
	for (uint32 i = 0; i < m->c->n; i++)
	{
		r[i] = m->diagonal[i] == 0 ? 0 : m->c->converts[i] / m->diagonal[i] - r[i];
		most = Max(most, fabs(r[i]));
	}
	return most;
}

#define VECTORS 6
#define STEPS_MAX 1000

/* The chance to convert without a group, from that with all; false if it is not found. */
static bool
bicgstab(const Without *m, double *x, double *const v[VECTORS], double least)
{
	uint32 n = m->c->n;
	double *r = v[0];
	double *shadow = v[1];
	double *p = v[2];
	double *ap = v[3];
	double *s = v[4];
	double *as = v[5];
	double before = 1;
	double alpha = 1;
	double omega = 1;

	if (residual(m, x, r) <= least)
		return true;
	memcpy(shadow, r, n * sizeof(double));
	memset(p, 0, n * sizeof(double));
	memset(ap, 0, n * sizeof(double));
	for (int step = 0; step < STEPS_MAX; step++)
	{
		double rho = product(shadow, r, n);
		double beta = rho / before * (alpha / omega);
		double denominator;
		double most = 0;

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; i < n; i++)
			p[i] = r[i] + beta * (p[i] - omega * ap[i]);
		multiply(m, p, ap);
		denominator = product(shadow, ap, n);
		if (rho == 0 || denominator == 0)
			return false;
		alpha = rho / denominator;
		for (uint32 i = 0; i < n; i++)
			s[i] = r[i] - alpha * ap[i];
		multiply(m, s, as);
		denominator = product(as, as, n);
		omega = denominator == 0 ? 0 : product(as, s, n) / denominator;
		for (uint32 i = 0; i < n; i++)
		{
			x[i] += alpha * p[i] + omega * s[i];
			r[i] = s[i] - omega * as[i];
			most = Max(most, fabs(r[i]));
		}
		before = rho;
		/* what has been added up is off by then, so it is worked out again */
		if (most <= least / 2)
			return residual(m, x, r) <= least;
		if (omega == 0 || !(most < 1e6))
			return false;
	}
	return false;
}

static bool
solve_by_iteration(const Chain *c, const double *h, double *w, double chance, double *effects)
{
	double *x = zeros(c->n);
	double *vectors[VECTORS];
	Without m = {.c = c, .diagonal = zeros(c->n)};
	double longest;

	for (int i = 0; i < VECTORS; i++)
		vectors[i] = zeros(c->n);
	longest = longest_path(c, w);
	for (uint32 g = 0; g < c->ngroups; g++)
	{
		uint32 sweeps = 0;

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; i < c->n; i++)
		{
			m.diagonal[i] = 1;
			for (uint32 k = c->rows[i]; k < c->rows[i + 1]; k++)
				if (c->to[k] == i)
					m.diagonal[i] -= c->p[k];
			x[i] = h[i];
			if (i > 0 && c->group[i] == g)
				m.diagonal[i] = x[i] = 0;
		}
		if (longest > 0 && bicgstab(&m, x, vectors, CHAIN_EFFECT_ERROR * chance / longest))
			effects[g] = (chance - x[0]) / chance;
		else
		{
			effects[g] = (chance - sweep(c, g, chance, x, w, &sweeps)) / chance;
			if (sweeps == 0)
				return false;
		}
	}
	for (int i = 0; i < VECTORS; i++)
		pfree(vectors[i]);
	pfree(m.diagonal);
	pfree(x);
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
		(sweeps == 0 || (double) c->ngroups * (c->rows[c->n] + 8.0 * c->n) * STEPS_USUAL >
							2.7 * c->n * c->n * (double) c->n))
		return solve_direct(c, effects);
	if (sweeps > 0 && chance == 0)
	{
		memset(effects, 0, c->ngroups * sizeof(double));
		return 0;
	}
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
