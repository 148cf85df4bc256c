/*
 * fit.c
 *		The model of matching, learnt without labels, and which links to take.
 *
 * I. P. Fellegi, A. B. Sunter, "A theory for record linkage", JASA 1969: of each level of
 * a comparison, how often records of one person have it (m), and those of two (u). By
 * expectation and maximisation over patterns of levels and how many pairs have each, not
 * over pairs. All sums go in the order of the arguments, so that the same arguments give
 * the same bits.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "compat.h"
#include "identity/arrays.h"
#include "identity/graph.h"

#define LEVEL_BITS 4
#define COMPARISONS_MAX (64 / LEVEL_BITS)
#define LEVELS_MAX (1 << LEVEL_BITS)

/* What rows of patterns are; others, from BLOCK_FIRST on, are of a block each. */
#define BLOCK_APART (-2) /* pairs known to be of two persons, */
#define BLOCK_SAME (-1)  /* and of one */
#define BLOCK_RANDOM 0   /* any two */
#define BLOCK_ALL 1      /* all that blocks find */
#define BLOCK_FIRST 2

/*
 * What is known before anything is seen, in pairs: two of one person disagree now and then,
 * two others as a rule; no level is impossible. It weighs where there is little data: few
 * records are often of few families, in which it would be learnt that relatives are one.
 */
#define M_DISAGREE (1 / 17.0) /* if nothing is said of it */
/* All levels together; those that agree each as much as those below. */
#define M_PAIRS 4.25
#define M_PAIRS_OF_FEW 125000.0 /* where it is said besides: this by the number of records */
#define U_DISAGREE 50.0
#define U_AGREE 0.5            /* each */
#define U_OF_BLOCK_HOLD 1000.0 /* how long u of a block is u */
#define ROUNDS_MAX 200
#define CLOSE_ENOUGH 1e-7

/* Decisions move what was learnt without them: as if it were known to half a nat. */
#define DECISIONS_ROUNDS 500
#define DECISIONS_HOLD 4.0
#define M_LEAST 1e-100

typedef struct Pattern
{
	int block;
	double pairs;
	int8 levels[COMPARISONS_MAX]; /* -1: unknown, or left out */
} Pattern;

typedef struct Model
{
	int ncomparisons;
	int tops[COMPARISONS_MAX];
	double m[COMPARISONS_MAX][LEVELS_MAX];
	double u[COMPARISONS_MAX][LEVELS_MAX];
	double weights[COMPARISONS_MAX][LEVELS_MAX];
	double m_known[COMPARISONS_MAX][LEVELS_MAX]; /* before anything is seen */
	double u_known[COMPARISONS_MAX][LEVELS_MAX];
	double prior;     /* that any two are of one person */
	double *of_block; /* that two of a block are */
	/* u of two persons whom a block finds: relatives, if it is about addresses, ... */
	double (*u_of_block)[COMPARISONS_MAX][LEVELS_MAX];
	double (*weights_of_block)[COMPARISONS_MAX][LEVELS_MAX];
} Model;

static double
clamp(double p, double low, double high)
{
	return p < low ? low : p > high ? high : p;
}

/* counts, and weight of what was known before as shares */
static void
to_shares(const double *counts, int top, const double *known, double *shares, double *change)
{
	double sum = 0;

	for (int l = 0; l <= top; l++)
		sum += counts[l] + known[l];
	for (int l = 0; l <= top; l++)
	{
		double share = (counts[l] + known[l]) / sum;

		*change = Max(*change, fabs(share - shares[l]));
		shares[l] = share;
	}
}

static double
probability(const Model *model, const Pattern *p)
{
	double prior = p->block >= BLOCK_FIRST ? model->of_block[p->block] : model->prior;
	double odds = log(prior / (1 - prior));
	const double(*weights)[LEVELS_MAX];

	if (p->block < 0)
		return p->block == BLOCK_SAME;
	weights = p->block >= BLOCK_FIRST ? model->weights_of_block[p->block] : model->weights;
	for (int c = 0; c < model->ncomparisons; c++)
		if (p->levels[c] >= 0)
			odds += weights[c][p->levels[c]];
	return 1 / (1 + exp(-odds));
}

/*
 * What decisions cost, if m is as moved: the logarithms of how likely they were, and how far
 * m is from where it was. Sets model->weights, and the slope of each move.
 */
static double
cost_of(Model *model, const Pattern *patterns, int n, double moved[COMPARISONS_MAX][LEVELS_MAX],
		double m[COMPARISONS_MAX][LEVELS_MAX], double slope[COMPARISONS_MAX][LEVELS_MAX])
{
	double cost = 0;

	for (int c = 0; c < model->ncomparisons; c++)
	{
		double most = moved[c][0];
		double sum = 0;

		/* however far it is moved, no level becomes impossible, nor infinite */
		for (int l = 1; l <= model->tops[c]; l++)
			most = Max(most, moved[c][l]);
		for (int l = 0; l <= model->tops[c]; l++)
			sum += m[c][l] = Max(model->m[c][l] * exp(moved[c][l] - most), M_LEAST);
		for (int l = 0; l <= model->tops[c]; l++)
		{
			m[c][l] /= sum;
			model->weights[c][l] = log(m[c][l] / model->u[c][l]);
			slope[c][l] = DECISIONS_HOLD * moved[c][l];
			cost += DECISIONS_HOLD / 2 * moved[c][l] * moved[c][l];
		}
	}
	for (int i = 0; i < n; i++)
	{
		const Pattern *p = &patterns[i];
		double odds = log(model->prior / (1 - model->prior));
		double wrong;

		check_interrupts_sometimes(i);
		if (p->block >= 0)
			continue;
		for (int c = 0; c < model->ncomparisons; c++)
			if (p->levels[c] >= 0)
				odds += model->weights[c][p->levels[c]];
		if (p->block == BLOCK_SAME)
			odds = -odds;
		/* log(1 + exp(odds)), without an overflow */
		cost += p->pairs * (Max(odds, 0) + log1p(exp(-fabs(odds))));
		wrong = p->pairs / (1 + exp(-odds));
		if (p->block == BLOCK_SAME)
			wrong = -wrong;
		for (int c = 0; c < model->ncomparisons; c++)
			if (p->levels[c] >= 0)
			{
				slope[c][p->levels[c]] += wrong;
				for (int l = 0; l <= model->tops[c]; l++)
					slope[c][l] -= wrong * m[c][l];
			}
	}
	return cost;
}

/*
 * Move m so that it agrees better with what stewards decided, both ways: there are too few
 * decisions to count, and they are about the doubtful pairs.
 */
static void
mind_decisions(Model *model, const Pattern *patterns, int n)
{
	double moved[COMPARISONS_MAX][LEVELS_MAX] = {{0}};
	double m[COMPARISONS_MAX][LEVELS_MAX];
	double slope[COMPARISONS_MAX][LEVELS_MAX];
	double cost = cost_of(model, patterns, n, moved, m, slope);
	double step = 0.1;

	if (cost == 0)
		return; /* there are none */
	for (int round = 0; round < DECISIONS_ROUNDS && step > 1e-12; round++)
	{
		double next_moved[COMPARISONS_MAX][LEVELS_MAX];
		double next_m[COMPARISONS_MAX][LEVELS_MAX];
		double next_slope[COMPARISONS_MAX][LEVELS_MAX];
		double next;

		for (int c = 0; c < model->ncomparisons; c++)
			for (int l = 0; l <= model->tops[c]; l++)
				next_moved[c][l] = moved[c][l] - step * slope[c][l];
		next = cost_of(model, patterns, n, next_moved, next_m, next_slope);
		if (next >= cost)
		{
			step /= 2;
			continue;
		}
		memcpy(moved, next_moved, sizeof(moved));
		memcpy(m, next_m, sizeof(m));
		memcpy(slope, next_slope, sizeof(slope));
		cost = next;
		step *= 1.2;
	}
	memcpy(model->m, m, sizeof(m));
}

/* One round; returns the largest change. */
static double
fit_once(Model *model, const Pattern *patterns, int n, int nblocks, double pairs_in_all)
{
	double m[COMPARISONS_MAX][LEVELS_MAX] = {{0}};
	double u[COMPARISONS_MAX][LEVELS_MAX] = {{0}};
	double *matches = palloc_many(nblocks + 1, sizeof(double));
	double *pairs = palloc_many(nblocks + 1, sizeof(double));
	double(*u_of_block)[COMPARISONS_MAX][LEVELS_MAX] = palloc_many(nblocks, sizeof(*u_of_block));
	double change = 0;
	double prior;

	for (int c = 0; c < model->ncomparisons; c++)
		for (int l = 0; l <= model->tops[c]; l++)
		{
			model->weights[c][l] = log(model->m[c][l] / model->u[c][l]);
			for (int b = BLOCK_FIRST; b < nblocks; b++)
				model->weights_of_block[b][c][l] = log(model->m[c][l] / model->u_of_block[b][c][l]);
		}
	for (int i = 0; i < n; i++)
	{
		const Pattern *p = &patterns[i];
		double of_one = probability(model, p) * p->pairs;

		check_interrupts_sometimes(i);
		for (int c = 0; c < model->ncomparisons; c++)
		{
			if (p->levels[c] < 0)
				continue;
			if (p->block == BLOCK_RANDOM)
				u[c][p->levels[c]] += p->pairs - of_one;
			else if (p->block != BLOCK_ALL && p->block != BLOCK_APART)
				m[c][p->levels[c]] += of_one;
			if (p->block >= BLOCK_FIRST)
				u_of_block[p->block][c][p->levels[c]] += p->pairs - of_one;
		}
		if (p->block >= 0)
		{
			matches[p->block] += of_one;
			pairs[p->block] += p->pairs;
		}
	}
	for (int c = 0; c < model->ncomparisons; c++)
	{
		double seen = 0;

		for (int l = 0; l <= model->tops[c]; l++)
			seen += m[c][l];
		if (seen > 0)
			to_shares(m[c], model->tops[c], model->m_known[c], model->m[c], &change);
		to_shares(u[c], model->tops[c], model->u_known[c], model->u[c], &change);
	}
	for (int b = BLOCK_FIRST; b < nblocks; b++)
		for (int c = 0; c < model->ncomparisons; c++)
		{
			double known[LEVELS_MAX];

			for (int l = 0; l <= model->tops[c]; l++)
				known[l] = U_OF_BLOCK_HOLD * model->u[c][l];
			to_shares(u_of_block[b][c], model->tops[c], known, model->u_of_block[b][c], &change);
		}
	for (int b = BLOCK_FIRST; b < nblocks; b++)
		if (pairs[b] > 0)
			model->of_block[b] = clamp(matches[b] / pairs[b], 1e-9, 1 - 1e-9);
	prior = clamp(matches[BLOCK_ALL] / pairs_in_all, 1e-15, 0.5);
	change = Max(change, fabs(log(prior / model->prior)));
	model->prior = prior;
	pfree(matches);
	pfree(pairs);
	pfree(u_of_block);
	return change;
}

/*
 * match_fit(blocks, levels, pairs, left_out, tops, pairs_in_all, disagreeing) -> the prior,
 * then m of all levels of all comparisons, then u. left_out[i] are the comparisons, as bits,
 * that say nothing in block i + 1, for which they are chosen. disagreeing is how often records
 * of one person are taken to, in each comparison; fewer of them: of others nothing is known.
 */
PG_FUNCTION_INFO_V1(match_fit);
Datum
match_fit(PG_FUNCTION_ARGS)
{
	Datum *blocks;
	Datum *levels;
	Datum *pairs;
	Datum *left_out;
	Datum *tops;
	Datum *result;
	Datum *disagreeing;
	int n = plain_array(fcinfo, 0, &blocks);
	int nblocks = plain_array(fcinfo, 3, &left_out) + BLOCK_FIRST;
	double pairs_in_all = PG_GETARG_FLOAT8(5);
	Pattern *patterns = palloc_many(n, sizeof(Pattern));
	Model *model = palloc0(sizeof(Model));
	int ndisagreeing = plain_array(fcinfo, 6, &disagreeing);
	int nresult = 1;

	check_parallel(n, plain_array(fcinfo, 1, &levels));
	check_parallel(n, plain_array(fcinfo, 2, &pairs));
	model->ncomparisons = plain_array(fcinfo, 4, &tops);
	if (model->ncomparisons > COMPARISONS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("at most %d comparisons make a model", COMPARISONS_MAX)));
	if (!(pairs_in_all > 0) || isinf(pairs_in_all))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the number of pairs must be positive, and finite")));
	for (int c = 0; c < model->ncomparisons; c++)
	{
		double sum = 0;
		double apart = c < ndisagreeing ? DatumGetFloat8(disagreeing[c]) : M_DISAGREE;

		if (!(apart > 0 && apart < 1))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("invalid share of pairs that disagree"),
							errdetail("It is between 0 and 1.")));
		model->tops[c] = DatumGetInt32(tops[c]);
		if (model->tops[c] < 1 || model->tops[c] > LEVELS_MAX - 2)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("invalid highest level %d", model->tops[c]),
							errdetail("It is 1 to %d.", LEVELS_MAX - 2)));
		/* until something is learnt: each level is twice as frequent as the one below */
		for (int l = 0; l <= model->tops[c]; l++)
			sum += model->m[c][l] = ldexp(1, l);
		for (int l = 0; l <= model->tops[c]; l++)
		{
			model->m[c][l] /= sum;
			model->m_known[c][l] = l == 0 ? apart : 0;
			model->u_known[c][l] = l == 0 ? U_DISAGREE : U_AGREE;
		}
		nresult += 2 * (model->tops[c] + 1);
	}
	for (int i = 0; i < n; i++)
	{
		Pattern *p = &patterns[i];
		uint64 packed = DatumGetInt64(levels[i]);
		uint64 without;

		check_interrupts_sometimes(i);
		p->block = DatumGetInt32(blocks[i]);
		p->pairs = DatumGetFloat8(pairs[i]);
		if (p->block < BLOCK_APART || p->block >= nblocks)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("there is no block %d", p->block)));
		if (!(p->pairs >= 0) || isinf(p->pairs))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("numbers of pairs must not be negative, and be finite")));
		without = p->block >= BLOCK_FIRST ? DatumGetInt64(left_out[p->block - BLOCK_FIRST]) : 0;
		for (int c = 0; c < model->ncomparisons; c++)
		{
			int level = (int) (packed >> (c * LEVEL_BITS) & (LEVELS_MAX - 1)) - 1;

			if (level > model->tops[c])
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("invalid level %d of comparison %d", level, c + 1),
								errdetail("Its highest is %d.", model->tops[c])));
			p->levels[c] = (without >> c & 1) != 0 ? -1 : level;
		}
	}

	model->of_block = palloc_many(nblocks, sizeof(double));
	for (int b = 0; b < nblocks; b++)
		model->of_block[b] = 0.2;
	/* as if every other record had a second */
	model->prior = clamp(1 / sqrt(2 * pairs_in_all), 1e-15, 0.5);
	{
		/* u of the first round: of random pairs as they are */
		double u[COMPARISONS_MAX][LEVELS_MAX] = {{0}};
		double change = 0;

		for (int i = 0; i < n; i++)
			for (int c = 0; patterns[i].block == BLOCK_RANDOM && c < model->ncomparisons; c++)
				if (patterns[i].levels[c] >= 0)
					u[c][patterns[i].levels[c]] += patterns[i].pairs;
		for (int c = 0; c < model->ncomparisons; c++)
		{
			double weight =
				M_PAIRS + (c < ndisagreeing ? M_PAIRS_OF_FEW / sqrt(2 * pairs_in_all) : 0);
			double apart;

			to_shares(u[c], model->tops[c], model->u_known[c], model->u[c], &change);
			/* two of one person disagree no more often than any two */
			apart = Min(model->m_known[c][0], model->u[c][0]);
			model->m_known[c][0] = weight * apart;
			for (int l = 1; l <= model->tops[c]; l++)
				model->m_known[c][l] = weight * (1 - apart) * ldexp(1, l - model->tops[c] - 1);
		}
		model->u_of_block = palloc_many(nblocks, sizeof(*model->u_of_block));
		model->weights_of_block = palloc_many(nblocks, sizeof(*model->u_of_block));
		for (int b = 0; b < nblocks; b++)
			memcpy(model->u_of_block[b], model->u, sizeof(model->u));
	}
	for (int round = 0; round < ROUNDS_MAX; round++)
	{
		CHECK_FOR_INTERRUPTS();
		if (fit_once(model, patterns, n, nblocks, pairs_in_all) < CLOSE_ENOUGH)
			break;
	}
	mind_decisions(model, patterns, n);

	result = palloc_many(nresult, sizeof(Datum));
	nresult = 0;
	result[nresult++] = Float8GetDatum(model->prior);
	for (int c = 0; c < model->ncomparisons; c++)
		for (int l = 0; l <= model->tops[c]; l++)
			result[nresult++] = Float8GetDatum(model->m[c][l]);
	for (int c = 0; c < model->ncomparisons; c++)
		for (int l = 0; l <= model->tops[c]; l++)
			result[nresult++] = Float8GetDatum(model->u[c][l]);
	PG_RETURN_DATUM(make_array(result, NULL, nresult, FLOAT8OID));
}

/* --- which links to take --- */

#define ATTRIBUTES_MAX 1000

/* What is known of an attribute of all in a component. */
typedef struct Known
{
	int64 value;
	bool known;
	bool several; /* values, as of a node: what is known elsewhere is another */
} Known;

static bool
parts(const Known *a, const Known *b)
{
	return a->known && b->known && (a->several || b->several || a->value != b->value);
}

static void
learn(Known *a, const Known *b)
{
	if (!b->known)
		return;
	a->several = a->several || b->several || (a->known && a->value != b->value);
	a->value = b->value;
	a->known = true;
}

/* The links of each node, and who else is in its component. */
typedef struct Neighbours
{
	LinkEnds *ends;
	Datum *scores;
	uint32 *first; /* those of node x are at[first[x]] to before at[first[x + 1]] */
	uint32 *at;
	uint32 *next; /* the next one in the component, in a ring */
} Neighbours;

static void
arrange(Neighbours *g, int n, uint32 nnodes)
{
	g->first = palloc_many((size_t) nnodes + 3, sizeof(uint32));
	g->at = palloc_many(2 * (size_t) n, sizeof(uint32));
	g->next = palloc_many((size_t) nnodes + 1, sizeof(uint32));
	for (uint32 x = 1; x <= nnodes; x++)
		g->next[x] = x;
	/* counted two places further: where they end moves to where they begin */
	for (int i = 0; i < n; i++)
	{
		g->first[g->ends[i].a + 2]++;
		g->first[g->ends[i].b + 2]++;
	}
	for (uint32 x = 1; x <= nnodes + 2; x++)
		g->first[x] += g->first[x - 1];
	for (int i = 0; i < n; i++)
	{
		g->at[g->first[g->ends[i].a + 1]++] = i;
		g->at[g->first[g->ends[i].b + 1]++] = i;
	}
}

/* What all links between two components say together. */
static double
score_between(const Neighbours *g, Components *c, uint32 x, uint32 y)
{
	double sum = 0;
	uint32 from = components_size(c, x) <= components_size(c, y) ? x : y;
	uint32 to = from == x ? y : x;
	uint32 node = from;

	do
	{
		for (uint32 k = g->first[node]; k < g->first[node + 1]; k++)
		{
			const LinkEnds *ends = &g->ends[g->at[k]];

			CHECK_FOR_INTERRUPTS();
			if (components_root(c, ends->a == node ? ends->b : ends->a) == to)
				sum += DatumGetFloat8(g->scores[g->at[k]]);
		}
		node = g->next[node];
	} while (node != from);
	return sum;
}

/*
 * match_choose(a, b, scores, taken, nodes, attributes, values) -> of each link 0, or the
 * first attribute of which the two components have different values, or -1 where all links
 * between them together speak against it. The first links, as many as taken, are tried, in
 * their order; the others only speak.
 */
PG_FUNCTION_INFO_V1(match_choose);
Datum
match_choose(PG_FUNCTION_ARGS)
{
	Datum *a;
	Datum *b;
	Datum *nodes;
	Datum *attributes;
	Datum *values;
	int n = plain_array(fcinfo, 0, &a);
	int32 taken = PG_GETARG_INT32(3);
	int nvalues = plain_array(fcinfo, 4, &nodes);
	int nattributes = 0;
	Datum *result = palloc_many(n, sizeof(Datum));
	uint32 *of_value = palloc_many(nvalues, sizeof(uint32));
	Neighbours g = {palloc_many(n, sizeof(LinkEnds))};
	Known *known;
	Components c;

	check_parallel(n, plain_array(fcinfo, 1, &b));
	check_parallel(n, plain_array(fcinfo, 2, &g.scores));
	check_parallel(nvalues, plain_array(fcinfo, 5, &attributes));
	check_parallel(nvalues, plain_array(fcinfo, 6, &values));
	components_init(&c, CurrentMemoryContext);
	for (int i = 0; i < n; i++)
	{
		check_interrupts_sometimes(i);
		g.ends[i].a = components_number(&c, DatumGetInt64(a[i]));
		g.ends[i].b = components_number(&c, DatumGetInt64(b[i]));
	}
	for (int i = 0; i < nvalues; i++)
	{
		int32 attribute = DatumGetInt32(attributes[i]);

		check_interrupts_sometimes(i);
		if (attribute < 1 || attribute > ATTRIBUTES_MAX)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("there is no attribute %d", attribute),
							errdetail("They are numbered from 1 to %d.", ATTRIBUTES_MAX)));
		nattributes = Max(nattributes, attribute);
		of_value[i] = components_number(&c, DatumGetInt64(nodes[i]));
	}
	arrange(&g, n, c.n);
	known = palloc_many(((size_t) c.n + 1) * nattributes, sizeof(Known));
	for (int i = 0; i < nvalues; i++)
	{
		Known value = {DatumGetInt64(values[i]), true, false};

		learn(&known[(size_t) of_value[i] * nattributes + DatumGetInt32(attributes[i]) - 1],
			  &value);
	}
	for (int i = 0; i < n; i++)
	{
		uint32 x = components_root(&c, g.ends[i].a);
		uint32 y = components_root(&c, g.ends[i].b);
		Known *of_x = known + (size_t) x * nattributes;
		Known *of_y = known + (size_t) y * nattributes;
		int32 apart = 0;

		check_interrupts_sometimes(i);
		if (i < taken && x != y)
		{
			for (int k = 0; apart == 0 && k < nattributes; k++)
				if (parts(&of_x[k], &of_y[k]))
					apart = k + 1;
			if (apart == 0 && score_between(&g, &c, x, y) < 0)
				apart = -1;
			if (apart == 0)
			{
				uint32 root = components_join(&c, x, y);
				uint32 next = g.next[x];

				g.next[x] = g.next[y];
				g.next[y] = next;
				for (int k = 0; k < nattributes; k++)
					learn(root == x ? &of_x[k] : &of_y[k], root == x ? &of_y[k] : &of_x[k]);
			}
		}
		result[i] = Int32GetDatum(apart);
	}
	PG_RETURN_DATUM(make_array(result, NULL, n, INT4OID));
}
