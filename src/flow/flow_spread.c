/*
 * flow_spread.c
 *		Mean and quantiles of the times of several edges of a flow.
 */
#include "postgres.h"

#include "compat.h"
#include "flow/flow_rows.h"
#include "miscadmin.h"

Spread *
spread_create(const Flow *m)
{
	Spread *s = palloc0(sizeof(Spread));

	s->rounded = m->rounded;
	if (s->rounded)
		s->histogram = palloc(FLOW_BUCKETS * sizeof(uint64));
	return s;
}

void
spread_reset(Spread *s)
{
	s->n = s->sum = s->sum_high = 0;
	s->least = PG_INT64_MAX;
	s->greatest = 0;
	s->sorted = false;
	if (s->rounded)
		memset(s->histogram, 0, FLOW_BUCKETS * sizeof(uint64));
}

void
spread_add_times(Spread *s, Flow *m, FlowTimes *t)
{
	if (s->rounded)
	{
		uint32 n;
		FlowRun *runs = flow_runs(m, t, &n);

		for (uint32 i = 0; i < n; i++)
		{
			s->histogram[runs[i].time] += runs[i].count;
			s->n += runs[i].count;
		}
		return;
	}
	if (s->n + t->n > s->max)
	{
		s->max = Max(1024, 2 * (s->n + t->n));
		s->values = s->values ? repalloc_huge(s->values, s->max * sizeof(int64))
							  : palloc_extended(s->max * sizeof(int64), MCXT_ALLOC_HUGE);
	}
	if (t->n > 0)
		memcpy(s->values + s->n, t->max == 0 ? &t->one : t->values, t->n * sizeof(int64));
	s->n += t->n;
}

void
spread_add(Spread *s, Flow *m, FlowEdge *e)
{
	spread_add_times(s, m, &e->times);
	s->least = Min(s->least, e->least);
	s->greatest = Max(s->greatest, e->greatest);
	s->sum += e->sum;
	s->sum_high += e->sum_high + (s->sum < e->sum);
}

#define ST_SORT sort_values
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* The time of this rank, from 0. */
static int64
spread_at(const Spread *s, uint64 rank)
{
	uint64 seen = 0;
	uint32 bucket = 0;

	if (!s->rounded)
		return s->values[rank];
	for (; bucket < FLOW_BUCKETS - 1; bucket++)
	{
		seen += s->histogram[bucket];
		if (seen > rank)
			break;
	}
	return flow_bucket_time(bucket);
}

Datum
spread_quantile(Spread *s, int tenths, bool clamp)
{
	uint64 last = s->n - 1;
	/* last * tenths / 10 without overflow */
	uint64 rank = last / 10 * tenths + last % 10 * tenths / 10;
	int rest = last % 10 * tenths % 10;
	int64 low;
	int64 high;
	uint64 between;
	uint64 part;
	uint64 left;

	if (!s->rounded && !s->sorted)
	{
		sort_values(s->values, s->n);
		s->sorted = true;
	}
	low = spread_at(s, rank);
	high = rest > 0 ? spread_at(s, rank + 1) : low;
	if (clamp)
	{
		low = Min(Max(low, s->least), s->greatest);
		high = Min(Max(high, s->least), s->greatest);
	}
	between = high - low;
	part = between / 10 * rest + between % 10 * rest / 10;
	left = between % 10 * rest % 10;
	/* half a microsecond goes to the even one */
	part += left > 5 || (left == 5 && (low + part) % 2 != 0);
	return usecs_interval(low + part);
}

Datum
spread_mean(const Spread *s)
{
	uint64 high = s->sum_high;
	uint64 low = s->sum;
	uint64 quotient = 0;

	/* high is below n, because each time is below 2^63 */
	high = s->n > 0 ? high % s->n : 0;
	for (int i = 0; i < 64; i++)
	{
		bool carry = high >> 63;

		high = high << 1 | low >> 63;
		low <<= 1;
		quotient <<= 1;
		if (carry || high >= s->n)
		{
			high -= s->n;
			quotient |= 1;
		}
	}
	quotient += high >= s->n - high;
	return usecs_interval(Min(quotient, PG_INT64_MAX));
}
