/*
 * fuzz_attribution.c
 *		The stored form of attributions, and the solver of Markov chains.
 *
 * An input that begins with the version is taken for a value: it is refused as corrupt, or it is
 * sound, and then it is written again as the same bytes. Sound ones are accepted. Any other input
 * makes a chain: its first byte says how many states there are, the second how many groups, and the
 * rest how often each goes where; both ways to solve it must find the same effects, and these must be
 * what the chance to convert without a group says.
 */
#include "postgres.h"

#include <math.h>

#include "attribution/attribution.h"
#include "attribution/chain.h"
#include "compat.h"
#include "fuzz.h"

#define STATES_MAX 90

const char *const fuzz_tokens[] = {
	"\x01", "\x00\x01", "\x80\x01", "ads", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", NULL};

typedef struct Value
{
	AttrFacts facts;
	const uint8 *data;
	size_t len;
} Value;

static void
read_value(void *arg)
{
	Value *v = arg;

	attr_facts_read(&v->facts, v->data, v->len);
}

static bool
check_value(const uint8 *data, size_t len)
{
	Value v = {.data = exact_copy(data, len), .len = len};
	struct varlena *again;
	int error = backend_run(read_value, &v);

	/* what is read takes no more than a multiple of the input */
	require(backend_peak() < 0x100000 + 1000 * len);
	if (error != 0)
	{
		require(error == ERRCODE_DATA_CORRUPTED);
		return false;
	}
	again = attr_facts_write(&v.facts);
	require(VARSIZE(again) - VARHDRSZ == len && memcmp(VARDATA(again), data, len) == 0);
	return true;
}

static void
check_chain(const uint8 *data, size_t len)
{
	uint32 n = 2 + data[0] % (STATES_MAX - 1);
	Chain c = {.n = n, .ngroups = 1 + data[1] % n};
	double *direct = palloc(c.ngroups * sizeof(double));
	double *iterated = palloc(c.ngroups * sizeof(double));
	uint32 transitions = 0;
	size_t at = 2;
	double chance;

	c.rows = palloc((n + 1) * sizeof(uint32));
	c.to = palloc(6 * n * sizeof(uint32));
	c.p = palloc(6 * n * sizeof(double));
	c.converts = palloc(n * sizeof(double));
	c.group = palloc0(n * sizeof(uint32));
	for (uint32 i = 0; i < n; i++)
	{
		uint32 first = transitions;
		double all = 1; /* ends */

		c.group[i] = i % c.ngroups;
		c.rows[i] = transitions;
		c.converts[i] = at < len ? data[at++] % 8 : 0;
		all += c.converts[i];
		for (int k = at < len ? data[at++] % 6 : 0; k > 0 && at + 1 < len; k--, at += 2)
		{
			c.to[transitions] = 1 + data[at] % (n - 1);
			if (c.to[transitions] == i)
				continue;
			c.p[transitions] = data[at + 1];
			all += c.p[transitions++];
		}
		c.converts[i] /= all;
		for (uint32 k = first; k < transitions; k++)
			c.p[k] /= all;
	}
	c.rows[n] = transitions;
	chance = chain_solve(&c, CHAIN_DIRECT, direct);
	require(chance >= -1e-12 && chance <= 1 + 1e-12);
	if (chance <= 1e-12)
		return;
	require(fabs(chain_solve(&c, CHAIN_ITERATION, iterated) - chance) <= 1e-10 * chance);
	chain_solve(&c, CHAIN_ANY, iterated);
	for (uint32 g = 0; g < c.ngroups; g++)
		require(fabs(direct[g] - iterated[g]) <= 1e-9);
	chain_solve(&c, CHAIN_ITERATION, iterated);
	for (uint32 g = 0; g < c.ngroups; g++)
		require(fabs(direct[g] - iterated[g]) <= 1e-9 && direct[g] > -1e-9 && direct[g] < 1 + 1e-9);
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	if (len > 0 && data[0] == ATTRIBUTION_VERSION)
		return check_value(data, len);
	if (len >= 2)
		check_chain(data, len);
	return false;
}
