/*
 * flow_next.c
 *		What comes next: the items behind the longest stretch of a journey's end that was seen
 *		often enough.
 *
 * At each place of a path we ask how many steps before it are those at the journey's end. What
 * is found for so many steps counts for fewer, too.
 */
#include "postgres.h"

#include "analytics/row_set.h"
#include "compat.h"
#include "flow/flow.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* Steps of a journey's end that are looked at. */
#define CONTEXT_MAX 100

typedef struct NextRow
{
	uint32 item; /* as of an edge */
	int64 paths;
	int64 reached;
} NextRow;

typedef struct NextSet
{
	RowSet rows;
	Flow *m;
	NextRow *list;
	uint32 n;
	uint32 i;
	int64 all;
} NextSet;

static int
next_cmp(const NextRow *a, const NextRow *b, const Flow *m)
{
	if (a->paths != b->paths)
		return a->paths > b->paths ? -1 : 1;
	if (a->item < FLOW_ITEM || b->item < FLOW_ITEM)
		return a->item < b->item ? -1 : a->item > b->item;
	return flow_item_cmp(m, a->item - FLOW_ITEM, b->item - FLOW_ITEM);
}

#define ST_SORT sort_next
#define ST_ELEMENT_TYPE NextRow
#define ST_COMPARE(a, b, m) next_cmp(a, b, m)
#define ST_COMPARE_ARG_TYPE const Flow
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* How many steps before place i of a path are the last of the context. */
static inline uint32
common_steps(const uint32 *items, uint32 i, const uint32 *context, uint32 n)
{
	uint32 same = 0;

	while (same < Min(i, n) && items[i - 1 - same] == context[n - 1 - same])
		same++;
	return same;
}

/*
 * How often the last steps of the context, that many of them and no more, are in front of a place
 * of a path. With counts: what stands there, if at least so many are.
 */
static void
count_places(const Flow *m, const uint32 *context, uint32 n, uint32 least, int64 *seen,
			 NextRow *counts)
{
	uint32 *items = NULL;
	uint32 max = 0;

	for (uint32 i = 0; i < m->npaths; i++)
	{
		const FlowPath *path = &m->paths[i];
		const uint8 *p = path->key + 1;
		const uint8 *end = path->key + path->len;
		uint32 len = 0;

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (path->len > max)
		{
			max = Max(256, 2 * path->len);
			items = items ? repalloc_huge(items, max * sizeof(uint32))
						  : palloc_extended(max * sizeof(uint32), MCXT_ALLOC_HUGE);
		}
		while (p < end)
			p = flow_step(p, end, &items[len++]);
		/* a path not yet begun begins; where one was cut, it neither begins nor ends */
		for (uint32 k = n > 0 ? 1 : 0; k <= (n > 0 ? len : 0); k++)
		{
			uint32 same = common_steps(items, k, context, n);

			if ((path->key[0] & FLOW_CUT) && k == (m->options.backward ? 0 : len))
				continue;
			if (counts == NULL)
				flow_sum(&seen[same], path->paths);
			else if (same >= least)
			{
				NextRow *count = &counts[k < len ? items[k] + FLOW_ITEM : FLOW_END];

				flow_sum(&count->paths, path->paths);
				if (path->key[0] & FLOW_REACHED)
					flow_sum(&count->reached, path->paths);
			}
		}
	}
	if (items)
		pfree(items);
}

/* What follows what is, from the steps on that are known; those of a path not yet begun begin it. */
static void
count_next(NextSet *set, const uint32 *context, uint32 n, int64 at_least)
{
	Flow *m = set->m;
	uint32 width = m->nitems + FLOW_ITEM;
	int64 *seen = palloc0((n + 1) * sizeof(int64));
	uint32 chosen = 0;

	count_places(m, context, n, 0, seen, NULL);
	/* what goes on longer alike does so for fewer steps, too */
	for (uint32 k = n; k-- > 0;)
		flow_sum(&seen[k], seen[k + 1]);
	for (uint32 k = n; k > 0 && chosen == 0; k--)
		if (seen[k] >= at_least)
			chosen = k;
	/* rather too little is known than nothing */
	if (chosen == 0 && n > 0 && seen[1] > 0)
		chosen = 1;
	set->list = palloc_extended(width * sizeof(NextRow), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	set->n = 0;
	set->all = seen[chosen];
	count_places(m, context, n, chosen, seen, set->list);
	for (uint32 item = 0; item < width; item++)
		if (set->list[item].paths > 0)
		{
			set->list[set->n] = set->list[item];
			set->list[set->n++].item = item;
		}
	sort_next(set->list, set->n, m);
}

static bool
next_row(void *arg, Datum *values, bool *nulls)
{
	NextSet *set = arg;
	const NextRow *row;

	if (set->i >= set->n)
		return false;
	row = &set->list[set->i++];
	nulls[0] = row->item < FLOW_ITEM;
	if (!nulls[0])
	{
		const FlowText *text = &set->m->items[row->item - FLOW_ITEM];

		values[0] = PointerGetDatum(cstring_to_text_with_len(text->text, text->len));
	}
	values[1] = Float8GetDatum((double) row->paths / set->all);
	values[2] = Int64GetDatum(row->paths);
	nulls[3] = set->m->options.end == NULL;
	values[3] = Float8GetDatum((double) row->reached / row->paths);
	return true;
}

PG_FUNCTION_INFO_V1(flow_next);
Datum
flow_next(PG_FUNCTION_ARGS)
{
	NextSet *set = row_set(fcinfo, sizeof(NextSet));
	int32 at_least = PG_GETARG_INT32(2);

	if (at_least < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("at_least of flow_next must be positive"),
						errdetail("Found %d.", at_least)));
	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);

		PG_TRY();
		{
			const FlowSteps *steps;
			JourneyArg arg;
			FlowOptions options;
			FlowSite *site;
			uint32 n;
			bool open;

			/* made anew: looking for items adds them */
			set->m = flow_of_flat(PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0)), FLOW_STORED,
								  CurrentMemoryContext);
			set->i = 0;
			/* a journey goes on at its end, whichever way its flow is read */
			options = set->m->options;
			options.backward = false;
			site = flow_site_create(CurrentMemoryContext, &options);
			journey_arg_open(&arg, PG_GETARG_DATUM(1));
			steps = flow_last_path(site, set->m, &arg.view, &open);
			n = Min(steps->n, CONTEXT_MAX);
			count_next(set, n > 0 ? steps->items + steps->n - n : NULL, n, at_least);
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
	return row_set_rows(fcinfo, &set->rows, next_row);
}
