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
 * w. Without a group, BiCGSTAB (H. A. van der Vorst, 1992) begins with h, which mostly is near, for
 * some groups at once. With r what is left of the equation for x, the chance is x[0] + v r, where v
 * are the visits of whoever has not been in the group. These are u but for the visits after that,
 * so x[0] + u r is off by the chance to come there, which u tells, times the largest of r times the
 * longest expected path, N 1, at most; and that is at most 2 t, if (I - Q) t is 1/2 everywhere or more, so
 * a rough t will do. u is counted step by step. Should it not come so far, sweeps do.
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
#define ITERATION_COST 14 /* of a group, to that of a factorisation, by measuring */
#define STEPS_MAX 1000
#define VISITS_ERROR 1e-9

/* So many equations at once, each in a lane of its own: what is in memory is read once for all. */
#define LANES 8

typedef double Pair __attribute__((vector_size(2 * sizeof(double)), aligned(sizeof(double))));
typedef int64 PairBits __attribute__((vector_size(2 * sizeof(double)), aligned(sizeof(double))));

/* Not one vector, which a compiler would keep in memory where registers are shorter. */
typedef struct Lanes
{
	Pair a;
	Pair b;
	Pair c;
	Pair d;
} Lanes;

static inline Lanes
lanes_all(double x)
{
	Pair p = {x, x};

	return (Lanes) {p, p, p, p};
}

static inline Lanes
lanes_load(const double *x)
{
	Lanes lanes;

	memcpy(&lanes, x, sizeof(lanes));
	return lanes;
}

/* x + k y */
static inline Lanes
lanes_add(Lanes x, Lanes k, Lanes y)
{
	return (Lanes) {x.a + k.a * y.a, x.b + k.b * y.b, x.c + k.c * y.c, x.d + k.d * y.d};
}

/* x - k y */
static inline Lanes
lanes_subtract(Lanes x, Lanes k, Lanes y)
{
	return (Lanes) {x.a - k.a * y.a, x.b - k.b * y.b, x.c - k.c * y.c, x.d - k.d * y.d};
}

static inline Pair
pair_abs(Pair x)
{
	return (Pair) ((PairBits) x & PG_INT64_MAX);
}

static inline Pair
pair_max(Pair x, Pair y)
{
	PairBits more = (PairBits) (x > y);

	return (Pair) (((PairBits) x & more) | ((PairBits) y & ~more));
}

/* The larger of each and what the other one is without its sign. */
static inline Lanes
lanes_most(Lanes x, Lanes y)
{
	return (Lanes) {pair_max(x.a, pair_abs(y.a)), pair_max(x.b, pair_abs(y.b)),
					pair_max(x.c, pair_abs(y.c)), pair_max(x.d, pair_abs(y.d))};
}

static double *
zeros(size_t n)
{
	return palloc_extended(Max(n, 1) * sizeof(double), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static Lanes *
lanes_of(uint32 n)
{
	return palloc_extended(n * sizeof(Lanes), MCXT_ALLOC_HUGE);
}

static inline double *
lane_of(Lanes *x, uint32 lane)
{
	return (double *) x + lane;
}

/* All states but the first by their group, and where each group of them begins. */
static void
group_states(const Chain *c, uint32 **states, uint32 **starts)
{
	uint32 *s = palloc_extended(Max(c->n, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	uint32 *at = palloc0(((size_t) c->ngroups + 2) * sizeof(uint32));

	for (uint32 i = 1; i < c->n; i++)
		at[c->group[i] + 2]++;
	for (uint32 g = 2; g <= c->ngroups + 1; g++)
		at[g] += at[g - 1];
	for (uint32 i = 1; i < c->n; i++)
		s[at[c->group[i] + 1]++] = i;
	*states = s;
	*starts = at;
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

/* The columns of A^-1 for these states. */
static void
solve_columns(const Factors *f, const uint32 *states, uint32 lanes, Lanes *x)
{
	uint32 n = f->n;

	for (uint32 i = 0; i < n; i++)
	{
		const double *line = &f->a[(size_t) i * n];
		Lanes sum = lanes_all(0);

		for (uint32 lane = 0; lane < lanes; lane++)
			if (f->row[i] == states[lane])
				*lane_of(&sum, lane) = 1;
		for (uint32 j = 0; j < i; j++)
			sum = lanes_subtract(sum, lanes_all(line[j]), x[j]);
		x[i] = sum;
	}
	for (uint32 i = n; i-- > 0;)
	{
		const double *line = &f->a[(size_t) i * n];
		Lanes sum = x[i];

		for (uint32 j = i + 1; j < n; j++)
			sum = lanes_subtract(sum, lanes_all(line[j]), x[j]);
		x[i] = lanes_add(lanes_all(0), lanes_all(1 / line[i]), sum);
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
	Lanes *x = lanes_of(n);
	uint32 *states;
	uint32 *starts;

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
	group_states(c, &states, &starts);
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
				uint32 column = starts[g] + j;

				CHECK_FOR_INTERRUPTS();
				if (column % LANES == 0)
					solve_columns(&f, &states[column], Min(LANES, n - 1 - column), x);
				for (uint32 i = 0; i < size; i++)
					part.a[(size_t) i * size + j] = *lane_of(&x[in[i]], column % LANES);
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
			double sum = c->converts[i];
			double left = 0;

			if (i > 0 && c->group[i] == without)
				continue;
			for (uint32 k = c->rows[i]; k < c->rows[i + 1]; k++)
			{
				sum += c->p[k] * h[c->to[k]];
				left += c->p[k] * w[c->to[k]];
			}
			h[i] = sum;
			w[i] = left;
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
longest_path(const Chain *c)
{
	double *t = zeros(c->n);

	for (uint32 done = 0; done < SWEEPS_MAX; done++)
	{
		double longest = 0;
		bool enough = true;

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = c->n; i-- > 0;)
		{
			double sum = 1;

			for (uint32 k = c->rows[i]; k < c->rows[i + 1]; k++)
				sum += c->p[k] * t[c->to[k]];
			t[i] = sum;
			longest = Max(longest, sum);
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
		{
			pfree(t);
			return 2 * longest;
		}
	}
	pfree(t);
	return 0;
}

/* How often each state is visited; visits that it lacks are so many in all, at most. */
static double *
visits(const Chain *c, double longest, double *lacking)
{
	double *u = zeros(c->n);
	double *here = zeros(c->n);
	double all = 1;

	here[0] = 1;
	for (uint32 done = 0; done < SWEEPS_MAX && all * longest > VISITS_ERROR; done++)
	{
		CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; i < c->n; i++)
		{
			double x = here[i];

			here[i] = 0;
			u[i] += x;
			for (uint32 k = c->rows[i]; k < c->rows[i + 1]; k++)
				here[c->to[k]] += c->p[k] * x;
		}
		all = 0;
		for (uint32 i = 0; i < c->n; i++)
			all += here[i];
	}
	*lacking = all * longest;
	pfree(here);
	return u;
}

/* The chain without groups. */
typedef struct Without
{
	const Chain *c;
	const double *u;      /* visits */
	double lacking;       /* ... */
	double longest;       /* longest_path */
	uint32 *states; /* of groups, one after the other */
	uint32 *starts; /* ... where they begin */
	uint32 first;         /* group of the first lane */
	uint32 lanes;         /* those that have one */
	Lanes *x;             /* the chance to convert from each state */
	Lanes *r;             /* what is left of its equation */
	Lanes *shadow;
	Lanes *p;
	Lanes *ap;
	Lanes *ar;
} Without;

/* Nothing is at the states that are cut off. */
static void
cut(const Without *m, Lanes *x)
{
	for (uint32 lane = 0; lane < m->lanes; lane++)
		for (uint32 i = m->starts[m->first + lane]; i < m->starts[m->first + lane + 1]; i++)
			*lane_of(&x[m->states[i]], lane) = 0;
}

/* y = (I - Q) x */
static void
multiply(const Without *m, const Lanes *x, Lanes *y)
{
	const Chain *c = m->c;

	for (uint32 i = 0; i < c->n; i++)
	{
		Lanes sum = x[i];

		for (uint32 k = c->rows[i]; k < c->rows[i + 1]; k++)
			sum = lanes_subtract(sum, lanes_all(c->p[k]), x[c->to[k]]);
		y[i] = sum;
	}
	cut(m, y);
}

static void
product(const Lanes *x, const Lanes *y, uint32 n, double *products)
{
	Lanes sum = lanes_all(0);

	for (uint32 i = 0; i < n; i++)
		sum = lanes_add(sum, x[i], y[i]);
	memcpy(products, &sum, sizeof(sum));
}

/* What is left of the equation; the largest of it; what it would do at the first state, by u. */
static void
residual(const Without *m, double *most, double *lost)
{
	Lanes all = lanes_all(0);
	Lanes sum = lanes_all(0);

	multiply(m, m->x, m->r);
	for (uint32 i = 0; i < m->c->n; i++)
		m->r[i] = lanes_subtract(lanes_all(m->c->converts[i]), lanes_all(1), m->r[i]);
	cut(m, m->r);
	for (uint32 i = 0; i < m->c->n; i++)
	{
		all = lanes_most(all, m->r[i]);
		sum = lanes_add(sum, lanes_all(m->u[i]), m->r[i]);
	}
	memcpy(most, &all, sizeof(all));
	memcpy(lost, &sum, sizeof(sum));
}

/*
 * The chance to convert without each of the groups, from that with all of them; if it is not found
 * to be so near, -1.
 */
static void
bicgstab(const Without *m, double error, double *chances)
{
	uint32 n = m->c->n;
	Lanes *x = m->x;
	Lanes *r = m->r;
	Lanes *p = m->p;
	Lanes *ap = m->ap;
	Lanes *ar = m->ar;
	double least[LANES]; /* what may be left of the equation */
	double most[LANES];
	double rho[LANES];
	double beta[LANES];
	double alpha[LANES];
	double omega[LANES];
	double below[LANES];
	bool active[LANES];
	bool any = false;

	for (int l = 0; l < LANES; l++)
	{
		double hit = 0;

		if (l < m->lanes)
			for (uint32 i = m->starts[m->first + l]; i < m->starts[m->first + l + 1]; i++)
				hit += m->u[m->states[i]];
		hit = Min(hit + m->lacking, 1);
		least[l] = error / (hit * m->longest + m->lacking);
	}
	residual(m, most, chances);
	memcpy(m->shadow, r, n * sizeof(Lanes));
	memset(p, 0, n * sizeof(Lanes));
	memset(ap, 0, n * sizeof(Lanes));
	product(r, r, n, rho);
	for (int l = 0; l < LANES; l++)
	{
		beta[l] = omega[l] = 0;
		active[l] = most[l] > least[l];
		any |= active[l];
	}
	for (int step = 0; any && step < STEPS_MAX; step++)
	{
		Lanes a;
		Lanes b = lanes_load(beta);
		Lanes o = lanes_load(omega);
		Lanes left = lanes_all(0);
		Lanes next = lanes_all(0);
		Lanes squares = lanes_all(0);
		Lanes along = lanes_all(0);

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; i < n; i++)
			p[i] = lanes_add(r[i], b, lanes_subtract(p[i], o, ap[i]));
		multiply(m, p, ap);
		product(m->shadow, ap, n, below);
		for (int l = 0; l < LANES; l++)
		{
			active[l] = active[l] && rho[l] != 0 && below[l] != 0;
			alpha[l] = active[l] ? rho[l] / below[l] : 0;
		}
		a = lanes_load(alpha);
		for (uint32 i = 0; i < n; i++)
			r[i] = lanes_subtract(r[i], a, ap[i]);
		multiply(m, r, ar);
		for (uint32 i = 0; i < n; i++)
		{
			squares = lanes_add(squares, ar[i], ar[i]);
			along = lanes_add(along, ar[i], r[i]);
		}
		memcpy(below, &squares, sizeof(below));
		memcpy(omega, &along, sizeof(omega));
		for (int l = 0; l < LANES; l++)
			omega[l] = active[l] && below[l] != 0 ? omega[l] / below[l] : 0;
		o = lanes_load(omega);
		for (uint32 i = 0; i < n; i++)
		{
			x[i] = lanes_add(lanes_add(x[i], a, p[i]), o, r[i]);
			r[i] = lanes_subtract(r[i], o, ar[i]);
			left = lanes_most(left, r[i]);
			next = lanes_add(next, m->shadow[i], r[i]);
		}
		memcpy(most, &left, sizeof(most));
		memcpy(below, &next, sizeof(below));
		any = false;
		for (int l = 0; l < LANES; l++)
		{
			active[l] = active[l] && omega[l] != 0 && most[l] > least[l] / 2 && most[l] < 1e30;
			beta[l] = active[l] ? below[l] / rho[l] * (alpha[l] / omega[l]) : 0;
			rho[l] = below[l];
			any |= active[l];
		}
	}
	/* what has been added up is off by then, so it is worked out again */
	residual(m, most, chances);
	for (int l = 0; l < m->lanes; l++)
		chances[l] = most[l] <= least[l] ? chances[l] + *lane_of(x, l) : -1;
}

static bool
solve_by_iteration(const Chain *c, double *h, double *w, double chance, double *effects)
{
	uint32 n = c->n;
	double longest = longest_path(c);
	Without m = {.c = c};
	bool solved = true;

	if (longest > 0)
	{
		m.longest = longest;
		m.u = visits(c, longest, &m.lacking);
		group_states(c, &m.states, &m.starts);
		m.x = lanes_of(n);
		m.r = lanes_of(n);
		m.shadow = lanes_of(n);
		m.p = lanes_of(n);
		m.ap = lanes_of(n);
		m.ar = lanes_of(n);
	}
	for (uint32 g = 0; solved && g < c->ngroups; g += LANES)
	{
		double chances[LANES];

		m.first = g;
		m.lanes = Min(LANES, c->ngroups - g);
		for (int l = 0; l < LANES; l++)
			chances[l] = -1;
		if (longest > 0)
		{
			for (uint32 i = 0; i < n; i++)
				m.x[i] = lanes_all(h[i]);
			cut(&m, m.x);
			bicgstab(&m, CHAIN_EFFECT_ERROR * chance, chances);
		}
		for (uint32 l = 0; solved && l < m.lanes; l++)
		{
			if (chances[l] < -CHAIN_EFFECT_ERROR)
			{
				uint32 sweeps;
				double *x = zeros(n);

				chances[l] = sweep(c, g + l, chance, x, w, &sweeps);
				solved = sweeps > 0;
				pfree(x);
			}
			effects[g + l] = (chance - chances[l]) / chance;
		}
	}
	if (longest > 0)
	{
		pfree(m.x);
		pfree(m.r);
		pfree(m.shadow);
		pfree(m.p);
		pfree(m.ap);
		pfree(m.ar);
	}
	return solved;
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
		(sweeps == 0 || (double) c->ngroups * (c->rows[c->n] + 3.0 * c->n) * ITERATION_COST >
							(double) c->n * c->n * c->n))
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
