/*
 * block_cut.c
 *		A block without some of its journeys, copied in runs.
 *
 * A block that is kept is read without those customers who have changed since, so this is what
 * keeps questions over all journeys exact, and must cost little more than a copy. Journeys that
 * stay are written as they were, so long as they leave the dictionary and the first time of all
 * as they are; mostly they do, and if not, the block is packed journey by journey.
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "journey/view.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* All numbers of a section; NULL if they don't ascend within its span. */
static uint64 *
read_all(const EliasFano *ef)
{
	uint64 *numbers = palloc_extended(ef->n * sizeof(uint64), MCXT_ALLOC_HUGE);
	EliasFanoCursor c;

	ef_start(ef, &c);
	ef_read(ef, &c, numbers, ef->n);
	for (uint64 i = 1; i < ef->n; i++)
		if (unlikely(numbers[i] < numbers[i - 1]))
			return NULL;
	return numbers[ef->n - 1] <= ef->span ? numbers : NULL;
}

/* The first of the numbers from i on that is not below this one. */
static uint64
skip_below(const uint64 *numbers, uint64 i, uint64 n, uint64 number)
{
	while (i < n)
	{
		uint64 middle = i + (n - i) / 2;

		if (numbers[middle] < number)
			i = middle + 1;
		else
			n = middle;
	}
	return i;
}

/* Whether it may be this journey that the first time of all is of. */
static bool
may_be_first(const uint8 *p, const uint8 *end)
{
	return end - p < 2 || p[1] == 0;
}

/* Runs of journeys that stay: from one number to before another. */
typedef struct Run
{
	uint32 from;
	uint32 to;
} Run;

/* Whether the labels of these runs are all there are. */
static bool
all_labels(const BlockView *b, const uint64 *starts, const Run *runs, int nruns)
{
	const JourneyView *v = &b->shared;
	uint8 *seen = palloc0(v->nlabels);
	uint32 left = v->nlabels;
	JourneyView all = *v;

	all.n = b->touchpoints;
	for (int r = 0; r < nruns && left > 0; r++)
	{
		CHECK_FOR_INTERRUPTS();
		for (uint64 i = starts[runs[r].from]; i < starts[runs[r].to] && left > 0; i++)
		{
			uint32 label = journey_label_at(&all, i);

			left -= !seen[label];
			seen[label] = 1;
		}
	}
	pfree(seen);
	return left == 0;
}

/* Copy what the runs have of a section, by the offsets of its parts. */
static uint8 *
copy_runs(uint8 *to, const uint8 *section, const uint64 *offsets, int width, const Run *runs,
		  int nruns)
{
	for (int r = 0; r < nruns; r++)
	{
		uint64 from = offsets[runs[r].from] * width;
		uint64 len = offsets[runs[r].to] * width - from;

		if (len > 0)
			memcpy(to, section + from, len);
		to += len;
	}
	return to;
}

/* Write where each journey of the runs begins in a section. */
static uint8 *
write_offsets(uint8 *p, const EliasFano *ef, const uint64 *offsets, const Run *runs, int nruns)
{
	EliasFanoWriter w;
	uint64 at = 0;

	ef_writer_start(&w, ef, p);
	for (int r = 0; r < nruns; r++)
	{
		uint64 before = offsets[runs[r].from] - at;

		for (uint32 i = runs[r].from; i < runs[r].to; i++)
			ef_write(&w, offsets[i] - before);
		at = offsets[runs[r].to] - before;
	}
	ef_finish(&w);
	return p + ef_bytes(ef);
}

/* The runs of journeys that stay if these customers, which ascend, go. */
static Run *
runs_without(const BlockView *b, const uint64 *customers, const int64 *gone, int ngone, int *nruns)
{
	Run *runs = palloc_extended(((size_t) Min(ngone, b->n) + 1) * sizeof(Run), MCXT_ALLOC_HUGE);
	uint64 from = 0;
	uint64 i = 0;

	*nruns = 0;
	for (int g = 0; g < ngone && i < b->n; g++)
	{
		uint64 offset = (uint64) gone[g] - (uint64) b->first_customer;

		if (gone[g] < b->first_customer)
			continue;
		i = skip_below(customers, i, b->n, offset);
		if (i == b->n || customers[i] != offset)
			continue;
		if (i > from)
			runs[(*nruns)++] = (Run) {from, i};
		from = ++i;
	}
	if (from < b->n)
		runs[(*nruns)++] = (Run) {from, b->n};
	return runs;
}

/*
 * The block without these customers, which ascend: *result, or NULL if it has none of them. False
 * if it must be packed journey by journey, or is corrupt, which shows then.
 */
bool
block_cut(const BlockView *b, const int64 *gone, int ngone, struct varlena **result)
{
	uint64 *customers;
	uint64 *starts;
	uint64 *times;
	uint64 *extras = NULL;
	BlockPlan plan = {0};
	BlockView *cut = &plan.block;
	EliasFanoWriter w;
	Run *runs;
	int nruns;
	uint64 size;
	uint64 first;
	uint8 *p;

	*result = NULL;
	if (b->n == 0)
		return true;
	customers = read_all(&b->customers);
	if (customers == NULL)
		return false;
	runs = runs_without(b, customers, gone, ngone, &nruns);
	if (nruns == 1 && runs[0].from == 0 && runs[0].to == b->n)
		return true;
	starts = read_all(&b->starts);
	times = read_all(&b->time_offsets);
	if (b->extras)
		extras = read_all(&b->extra_offsets);
	if (nruns == 0 || starts == NULL || times == NULL || (b->extras && extras == NULL) ||
		!all_labels(b, starts, runs, nruns))
		return false;
	for (int r = 0; r <= nruns; r++)
	{
		uint32 end = r < nruns ? runs[r].from : b->n;

		for (uint32 i = r > 0 ? runs[r - 1].to : 0; i < end; i++)
			if (starts[i] < starts[i + 1] && may_be_first(b->times + times[i], b->times + times[i + 1]))
				return false;
	}

	first = customers[runs[0].from];
	cut->first_customer = (int64) ((uint64) b->first_customer + first);
	plan.last_customer =
		(int64) ((uint64) b->first_customer + customers[runs[nruns - 1].to - 1]);
	for (int r = 0; r < nruns; r++)
	{
		uint32 from = runs[r].from;
		uint32 to = runs[r].to;

		plan.n += to - from;
		plan.touchpoints += starts[to] - starts[from];
		cut->times_len += times[to] - times[from];
		cut->extra_len += b->extras ? extras[to] - extras[from] : 0;
	}
	if (plan.touchpoints == 0 || (b->extras && cut->extra_len == 0))
		return false;
	block_set_base(cut, b->base);
	plan.dictionary.nlabels = b->shared.nlabels;
	plan.dictionary.len = b->shared.dictionary_len;
	plan.dictionary.details = b->shared.details;
	size = block_plan_size(&plan);
	if (size > MaxAllocSize)
		return false;
	*result = palloc0(size);
	SET_VARSIZE(*result, size);

	p = block_write_header((uint8 *) VARDATA(*result), &plan);
	ef_writer_start(&w, &cut->customers, p);
	for (int r = 0; r < nruns; r++)
		for (uint32 i = runs[r].from; i < runs[r].to; i++)
			ef_write(&w, customers[i] - first);
	ef_finish(&w);
	p += ef_bytes(&cut->customers);
	p = write_offsets(p, &cut->starts, starts, runs, nruns);
	p = view_copy(p, b->shared.dictionary, b->shared.dictionary_len);
	p = copy_runs(p, b->shared.labels, starts, b->shared.label_width, runs, nruns);
	p = write_offsets(p, &cut->time_offsets, times, runs, nruns);
	p = copy_runs(p, b->times, times, 1, runs, nruns);
	if (b->extras)
	{
		p = write_offsets(p, &cut->extra_offsets, extras, runs, nruns);
		p = copy_runs(p, b->extra, extras, 1, runs, nruns);
	}
	Assert(p == (uint8 *) *result + size);
	return true;
}
