/*
 * flow_what_if.c
 *		What would be if fewer, or others, came to an item.
 *
 * A flow, or an attribution, as a Markov chain: from each item one goes on to another, ends, or
 * converts, as often as was counted; an absorbing chain, whose expected visits v = s (I - P)^-1
 * (s: where paths begin) are, unchanged, just those that were counted. They are solved for by
 * elimination with partial pivoting.
 */
#include "postgres.h"

#include <math.h>

#include "analytics/row_set.h"
#include "attribution/attribution.h"
#include "compat.h"
#include "flow/flow.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#define ITEMS_MAX 2000

typedef struct WhatIfSet
{
	RowSet rows;
	const FlowText *items; /* ascending */
	uint32 n;
	uint32 i;
	bool converts; /* is anything a conversion? */
	double *visits;
	double *conversions;
	double *changed_visits;
	double *changed_conversions;
} WhatIfSet;

/* Weights of a chain: of each item, and of where paths begin (row n), to each item, end, conversion. */
typedef struct Chain
{
	const char *what; /* it is of, for errors; and what shows its items */
	const char *shows;
	const FlowText *items;
	uint32 n;
	double *weights; /* n + 1 rows of n + 2 */
} Chain;

static inline double *
chain_row(const Chain *c, uint32 from)
{
	return c->weights + (size_t) from * (c->n + 2);
}

static void
chain_create(Chain *c, const char *what, const char *shows, const FlowText *items, uint32 n)
{
	if (n > ITEMS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the %s has too many items for flow_what_if", what),
						errdetail("It has %u, the limit is %d.", n, ITEMS_MAX),
						errhint("Take channels or actions as items.")));
	*c = (Chain) {what, shows, items, n};
	c->weights = palloc_extended((size_t) (n + 1) * (n + 2) * sizeof(double),
								 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
chain_of_flow(Chain *c, const Flow *m)
{
	chain_create(c, "flow", "flow_items", m->items, m->nitems);
	for (uint32 i = 0; i < m->npaths; i++)
	{
		const FlowPath *path = &m->paths[i];
		const uint8 *p = path->key + 1;
		const uint8 *end = path->key + path->len;
		uint32 before = c->n;

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		while (p < end)
		{
			uint32 item;

			p = flow_step(p, end, &item);
			chain_row(c, before)[item] += path->paths;
			before = item;
		}
		chain_row(c, before)[c->n + ((path->key[0] & FLOW_REACHED) != 0)] += path->paths;
	}
}

/* Of the last item alone, whatever the order: where one is moved to, nobody may have come so. */
static void
chain_of_attribution(Chain *c, const AttrFacts *f)
{
	FlowText *items = palloc(Max(f->nitems, 1) * sizeof(FlowText));

	for (uint32 i = 0; i < f->nitems; i++)
		items[i] = (FlowText) {f->items[i].text, f->items[i].len};
	chain_create(c, "attribution", "attribution_credit", items, f->nitems);
	for (uint32 i = 0; i < f->ngrams; i++)
	{
		const AttrGram *gram = &f->grams[i];
		uint32 before = gram->from == 0 ? c->n : (uint32) (gram->from & 0xffff) - 1;
		uint32 to = gram->to >= ATTR_TO_ITEM         ? gram->to - ATTR_TO_ITEM
					: gram->to == ATTR_TO_CONVERSION ? c->n + 1
													 : c->n;

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		chain_row(c, before)[to] += gram->times;
	}
}

/* Rows become probabilities; from where nothing is left to go to, paths end. */
static void
normalise(Chain *c)
{
	for (uint32 from = 0; from <= c->n; from++)
	{
		double *row = chain_row(c, from);
		double sum = 0;

		for (uint32 to = 0; to < c->n + 2; to++)
			sum += row[to];
		for (uint32 to = 0; to < c->n + 2; to++)
			row[to] = sum > 0 ? row[to] / sum : to == c->n;
	}
}

static void
never_ends(void)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("with these changes some paths would never end"),
					errdetail("Between some items one would go on for ever."),
					errhint("Scale items by more than 0, or move them elsewhere.")));
}

/* Expected visits of each item, and conversions right after it, of so many paths. */
static void
solve(const Chain *c, double paths, double *visits, double *conversions)
{
	uint32 n = c->n;
	double *a = palloc_extended(((size_t) n * n + 1) * sizeof(double), MCXT_ALLOC_HUGE);

	/* (I - P)^T v = s */
	for (uint32 i = 0; i < n; i++)
	{
		for (uint32 k = 0; k < n; k++)
			a[(size_t) i * n + k] = (i == k) - chain_row(c, k)[i];
		visits[i] = chain_row(c, n)[i] * paths;
	}
	for (uint32 k = 0; k < n; k++)
	{
		uint32 pivot = k;

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = k + 1; i < n; i++)
			if (fabs(a[(size_t) i * n + k]) > fabs(a[(size_t) pivot * n + k]))
				pivot = i;
		if (fabs(a[(size_t) pivot * n + k]) < 1e-13)
			never_ends();
		if (pivot != k)
		{
			double swap = visits[k];

			visits[k] = visits[pivot];
			visits[pivot] = swap;
			for (uint32 j = k; j < n; j++)
			{
				swap = a[(size_t) k * n + j];
				a[(size_t) k * n + j] = a[(size_t) pivot * n + j];
				a[(size_t) pivot * n + j] = swap;
			}
		}
		for (uint32 i = k + 1; i < n; i++)
		{
			double factor = a[(size_t) i * n + k] / a[(size_t) k * n + k];

			if (factor == 0)
				continue;
			for (uint32 j = k + 1; j < n; j++)
				a[(size_t) i * n + j] -= factor * a[(size_t) k * n + j];
			visits[i] -= factor * visits[k];
		}
	}
	for (uint32 k = n; k-- > 0;)
	{
		for (uint32 j = k + 1; j < n; j++)
			visits[k] -= a[(size_t) k * n + j] * visits[j];
		visits[k] /= a[(size_t) k * n + k];
	}
	for (uint32 i = 0; i < n; i++)
		conversions[i] = visits[i] * chain_row(c, i)[n + 1];
	pfree(a);
}

static uint32
item_of_text(const Chain *c, const char *text, size_t len)
{
	for (uint32 i = 0; i < c->n; i++)
		if (c->items[i].len == len && memcmp(c->items[i].text, text, len) == 0)
			return i;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("the %s has no item \"%s\"", c->what, pnstrdup(text, len)),
					errhint("%s shows those it has.", c->shows)));
}

static void
change(Chain *c, Jsonb *changes)
{
	Chain old = *c;
	JsonbIterator *it;
	JsonbValue key;
	JsonbValue v;
	size_t size = (size_t) (c->n + 1) * (c->n + 2) * sizeof(double);

	if (!JB_ROOT_IS_OBJECT(changes))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("changes of flow_what_if must be a JSON object"),
						errdetail("Found %s.", JsonbToCString(NULL, &changes->root, 0)),
						errhint("Give a factor, or another item, for each item:"
								" {\"phone\": 0.5, \"shop\": \"web\"}.")));
	old.weights = palloc_extended(size, MCXT_ALLOC_HUGE);
	memcpy(old.weights, c->weights, size);
	it = JsonbIteratorInit(&changes->root);
	JsonbIteratorNext(&it, &v, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		uint32 item = item_of_text(c, key.val.string.val, key.val.string.len);
		double factor = 0;
		uint32 to = item;

		JsonbIteratorNext(&it, &v, true);
		if (v.type == jbvString)
			to = item_of_text(c, v.val.string.val, v.val.string.len);
		else if (v.type == jbvNumeric)
			factor =
				DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(v.val.numeric)));
		if ((v.type != jbvString && v.type != jbvNumeric) || !(factor >= 0 && factor <= 1e100))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a change must be a factor that is not negative, or another item"),
					 errdetail("Found %s for \"%s\".",
							   JsonbToCString(NULL, &JsonbValueToJsonb(&v)->root, 0),
							   pnstrdup(key.val.string.val, key.val.string.len))));
		if (v.type == jbvString && to == item)
			continue;
		for (uint32 from = 0; from <= c->n; from++)
		{
			/* all changes are of what there was: what is moved is neither scaled nor moved on */
			chain_row(c, from)[item] -=
				(v.type == jbvString ? 1 : 1 - factor) * chain_row(&old, from)[item];
			if (v.type == jbvString)
				chain_row(c, from)[to] += chain_row(&old, from)[item];
		}
	}
	pfree(old.weights);
}

static void
make_what_if(WhatIfSet *set, Chain *c, Jsonb *changes)
{
	double paths = 0;

	set->items = c->items;
	set->n = c->n;
	set->i = 0;
	set->visits = palloc((set->n + 1) * sizeof(double));
	set->conversions = palloc((set->n + 1) * sizeof(double));
	set->changed_visits = palloc((set->n + 1) * sizeof(double));
	set->changed_conversions = palloc((set->n + 1) * sizeof(double));
	/* as they were counted */
	for (uint32 i = 0; i < set->n; i++)
	{
		const double *row = chain_row(c, i);

		set->visits[i] = 0;
		for (uint32 to = 0; to < c->n + 2; to++)
			set->visits[i] += row[to];
		set->conversions[i] = row[c->n + 1];
		paths += chain_row(c, c->n)[i];
	}
	change(c, changes);
	normalise(c);
	solve(c, paths, set->changed_visits, set->changed_conversions);
}

static bool
what_if_row(void *arg, Datum *values, bool *nulls)
{
	WhatIfSet *set = arg;
	uint32 i;

	if (set->i >= set->n)
		return false;
	i = set->i++;
	values[0] = PointerGetDatum(cstring_to_text_with_len(set->items[i].text, set->items[i].len));
	values[1] = Float8GetDatum(set->visits[i]);
	values[2] = Float8GetDatum(set->conversions[i]);
	values[3] = Float8GetDatum(set->changed_visits[i]);
	values[4] = Float8GetDatum(set->changed_conversions[i]);
	nulls[2] = nulls[4] = !set->converts;
	return true;
}

static Datum
what_if(FunctionCallInfo fcinfo, bool of_flow)
{
	WhatIfSet *set = row_set(fcinfo, sizeof(WhatIfSet));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);

		PG_TRY();
		{
			/* it must last as long as the rows */
			struct varlena *value = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
			Chain c;

			if (of_flow)
			{
				/* its items are those of its paths, in order: so are sums */
				const Flow *m = flow_of_flat(value, FLOW_STORED, CurrentMemoryContext);

				chain_of_flow(&c, m);
				/* without an option "end" nothing is a conversion */
				set->converts = m->options.end != NULL;
			}
			else
			{
				AttrFacts f;

				attr_facts_argument(&f, PointerGetDatum(value));
				attr_must_keep(&f, ATTR_MARKOV);
				chain_of_attribution(&c, &f);
				set->converts = true;
			}
			make_what_if(set, &c, PG_GETARG_JSONB_P(1));
		}
		PG_CATCH();
		{
			set->rows.started = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, what_if_row);
}

PG_FUNCTION_INFO_V1(flow_what_if);
Datum
flow_what_if(PG_FUNCTION_ARGS)
{
	return what_if(fcinfo, true);
}

PG_FUNCTION_INFO_V1(attribution_what_if);
Datum
attribution_what_if(PG_FUNCTION_ARGS)
{
	return what_if(fcinfo, false);
}
