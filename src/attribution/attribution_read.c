/*
 * attribution_read.c
 *		What an attribution tells: credit by model, removal effects, paths, totals.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "analytics/row_set.h"
#include "attribution/attribution.h"
#include "attribution/chain.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

void
attr_facts_argument(AttrFacts *facts, Datum d)
{
	struct varlena *value = PG_DETOAST_DATUM_PACKED(d);

	attr_facts_read(facts, (const uint8 *) VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

static Datum
text_datum(const AttrText *text)
{
	return PointerGetDatum(cstring_to_text_with_len(text->text, text->len));
}

/* As a number with as many digits as it needs. */
static Datum
fixed_numeric(int128 x)
{
	uint128 rest = x < 0 ? -(uint128) x : (uint128) x;
	Datum high = NumericGetDatum(int64_to_numeric((int64) (rest / ATTR_ONE)));
	Datum low = NumericGetDatum(int64_div_fast_to_numeric((int64) (rest % ATTR_ONE), ATTR_DIGITS));
	Datum sum;

	if (x < 0)
	{
		high = DirectFunctionCall1(numeric_uminus, high);
		low = DirectFunctionCall1(numeric_uminus, low);
	}
	sum = DirectFunctionCall2(numeric_add, high, low);
	return DirectFunctionCall1(numeric_trim_scale, sum);
}

static inline double
fixed_double(int128 x)
{
	return (double) x / (double) ATTR_ONE;
}

/* --- Markov --- */

static uint32
find_state(const uint64 *states, uint32 n, uint64 state)
{
	uint32 low = 0;
	uint32 high = n;

	while (low < high)
	{
		uint32 middle = low + (high - low) / 2;

		if (states[middle] < state)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == n || states[low] != state)
		attr_corrupt("A state is never left.");
	return low;
}

static inline bool
stays(const AttrFacts *f, const AttrGram *gram)
{
	return gram->to >= ATTR_TO_ITEM &&
		   attr_gram_next(gram->from, gram->to - ATTR_TO_ITEM, f->params.order) == gram->from;
}

/* The effect of removing each item. */
static double *
removal_effects(const AttrFacts *f)
{
	double *effects = palloc0(Max(f->nitems, 1) * sizeof(double));
	uint64 *states = palloc_extended(((size_t) f->ngrams + 1) * sizeof(uint64), MCXT_ALLOC_HUGE);
	Chain c = {.ngroups = f->nitems};
	uint32 k = 0;

	if (f->totals.conversions == f->totals.without_touch)
		return effects; /* nothing is lost */
	for (uint32 i = 0; i < f->ngrams; i++)
		if (i == 0 || f->grams[i].from != f->grams[i - 1].from)
			states[c.n++] = f->grams[i].from;
	c.rows = palloc_extended(((size_t) c.n + 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	c.to = palloc_extended(f->ngrams * sizeof(uint32), MCXT_ALLOC_HUGE);
	c.p = palloc_extended(f->ngrams * sizeof(double), MCXT_ALLOC_HUGE);
	c.converts = palloc_extended(c.n * sizeof(double), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	c.group = palloc_extended(c.n * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 i = 0, at = 0; at < c.n; at++)
	{
		uint32 first = i;
		int128 all = 0;

		CHECK_FOR_INTERRUPTS();
		/* who stays where he is changes nothing, and would cost digits where many do */
		for (; i < f->ngrams && f->grams[i].from == states[at]; i++)
			if (!stays(f, &f->grams[i]))
				all += f->grams[i].times;
		if (all == 0)
			attr_corrupt("A state is never left.");
		c.rows[at] = k;
		c.group[at] = (states[at] & 0xffff) - 1;
		for (uint32 g = first; g < i; g++)
		{
			const AttrGram *gram = &f->grams[g];
			double p = (double) gram->times / (double) all;

			if (gram->to == ATTR_TO_CONVERSION)
				c.converts[at] = p;
			else if (gram->to >= ATTR_TO_ITEM && !stays(f, gram))
			{
				c.to[k] = find_state(
					states, c.n,
					attr_gram_next(gram->from, gram->to - ATTR_TO_ITEM, f->params.order));
				c.p[k++] = p;
			}
		}
	}
	c.rows[c.n] = k;
	c.group[0] = 0;
	chain_solve(&c, CHAIN_ANY, effects);
	/* what rounding makes of 0 and 1 */
	for (uint32 i = 0; i < f->nitems; i++)
		effects[i] = Min(Max(effects[i], 0), 1);
	return effects;
}

/* Effects as shares of the conversions and of the value. */
static void
markov_credit(const AttrFacts *f, AttrSum *credit, double *conversions)
{
	double *effects = removal_effects(f);
	int128 value = f->totals.value - f->totals.value_without_touch;
	int64 touched = f->totals.conversions - f->totals.without_touch;
	int128 rest = value;
	double all = 0;
	uint32 most = 0;

	for (uint32 i = 0; i < f->nitems; i++)
	{
		all += effects[i];
		if (effects[i] > effects[most])
			most = i;
	}
	for (uint32 i = 0; i < f->nitems; i++)
	{
		double part = all > 0 ? effects[i] / all : 0;
		int64 share = (int64) (part * (double) ATTR_ONE);

		conversions[i] = touched * part;
		/* in two steps, as the product would not fit */
		credit[i].value = value / ATTR_ONE * share + value % ATTR_ONE * share / ATTR_ONE;
		rest -= credit[i].value;
	}
	if (f->nitems > 0 && all > 0)
		credit[most].value += rest;
	pfree(effects);
}

/* --- rows --- */

typedef struct Credit
{
	RowSet rows;
	AttrFacts f;
	uint32 models; /* to be told */
	int model;     /* the one being told */
	uint32 item;
	AttrSum *credit; /* of each item */
	double *conversions;
} Credit;

static void
turn_to_model(Credit *set)
{
	const AttrFacts *f = &set->f;
	int nsums = attr_sums(&f->params);

	memset(set->credit, 0, f->nitems * sizeof(AttrSum));
	if (set->model == ATTR_MARKOV)
	{
		markov_credit(f, set->credit, set->conversions);
		return;
	}
	for (uint32 i = 0; i < f->nplaces && set->model == ATTR_ORDERED_SHAPLEY; i++)
	{
		AttrSum *credit = &set->credit[f->places[i].item];

		credit->conversions += f->places[i].sum.conversions;
		credit->value += f->places[i].sum.value;
	}
	for (uint32 i = 0; i < f->nitems; i++)
	{
		if (set->model < ATTR_SUMS)
			set->credit[i] = f->sums[(size_t) i * nsums + attr_sum_of(&f->params, set->model)];
		set->conversions[i] = fixed_double(set->credit[i].conversions);
	}
}

static bool
credit_row(void *arg, Datum *values, bool *nulls)
{
	Credit *set = arg;
	const AttrFacts *f = &set->f;

	for (; set->model < ATTR_MODELS; set->model++, set->item = 0)
	{
		if ((set->models & 1U << set->model) == 0)
			continue;
		if (set->item == 0)
			turn_to_model(set);
		values[0] = CStringGetTextDatum(attr_models[set->model]);
		if (set->item < f->nitems)
		{
			uint32 i = set->item++;

			values[1] = text_datum(&f->items[i]);
			values[2] = Float8GetDatum(set->conversions[i]);
			values[3] = fixed_numeric(set->credit[i].value);
			return true;
		}
		if (set->item++ == f->nitems && f->totals.without_touch > 0)
		{
			nulls[1] = true;
			values[1] = 0;
			values[2] = Float8GetDatum((double) f->totals.without_touch);
			values[3] = fixed_numeric(f->totals.value_without_touch);
			return true;
		}
	}
	return false;
}

static void
not_kept(const char *what, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("this attribution was made without %s", what), errhint("%s", hint)));
}

void
attr_must_keep(const AttrFacts *f, AttrModel model)
{
	if (!attr_keeps(&f->params, model))
		not_kept(
			psprintf("the model \"%s\"", attr_models[model]),
			psprintf("Have it in the option \"models\" of attribution_agg, or leave that out."));
}

PG_FUNCTION_INFO_V1(attribution_credit);
Datum
attribution_credit(PG_FUNCTION_ARGS)
{
	Credit *set = row_set(fcinfo, sizeof(Credit));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);

		attr_facts_argument(&set->f, PG_GETARG_DATUM(0));
		set->models = set->f.params.models;
		if (PG_NARGS() > 1)
		{
			AttrModel model = attr_model_argument(PG_GETARG_TEXT_PP(1));

			attr_must_keep(&set->f, model);
			set->models = 1U << model;
		}
		set->model = 0;
		set->item = 0;
		set->credit = palloc(Max(set->f.nitems, 1) * sizeof(AttrSum));
		set->conversions = palloc(Max(set->f.nitems, 1) * sizeof(double));
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, credit_row);
}

typedef struct Effects
{
	RowSet rows;
	AttrFacts f;
	double *effects;
	uint32 item;
} Effects;

static bool
effect_row(void *arg, Datum *values, bool *nulls)
{
	Effects *set = arg;

	if (set->item == set->f.nitems)
		return false;
	values[0] = text_datum(&set->f.items[set->item]);
	values[1] = Float8GetDatum(set->effects[set->item++]);
	return true;
}

PG_FUNCTION_INFO_V1(attribution_markov);
Datum
attribution_markov(PG_FUNCTION_ARGS)
{
	Effects *set = row_set(fcinfo, sizeof(Effects));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);

		attr_facts_argument(&set->f, PG_GETARG_DATUM(0));
		attr_must_keep(&set->f, ATTR_MARKOV);
		set->effects = removal_effects(&set->f);
		set->item = 0;
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, effect_row);
}

typedef struct Places
{
	RowSet rows;
	AttrFacts f;
	uint32 i;
} Places;

static bool
place_row(void *arg, Datum *values, bool *nulls)
{
	Places *set = arg;
	const AttrPlace *place;

	if (set->i == set->f.nplaces)
		return false;
	place = &set->f.places[set->i++];
	values[0] = text_datum(&set->f.items[place->item]);
	values[1] = Int32GetDatum(place->place);
	values[2] = Float8GetDatum(fixed_double(place->sum.conversions));
	values[3] = fixed_numeric(place->sum.value);
	return true;
}

PG_FUNCTION_INFO_V1(attribution_places);
Datum
attribution_places(PG_FUNCTION_ARGS)
{
	Places *set = row_set(fcinfo, sizeof(Places));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);

		attr_facts_argument(&set->f, PG_GETARG_DATUM(0));
		attr_must_keep(&set->f, ATTR_ORDERED_SHAPLEY);
		set->i = 0;
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, place_row);
}

static bool
path_row(void *arg, Datum *values, bool *nulls)
{
	Places *set = arg;
	const AttrNode *node;
	uint32 n = 0;
	Datum *texts;

	while (set->i < set->f.nnodes && set->f.nodes[set->i].conversions == 0 &&
		   set->f.nodes[set->i].nulls == 0)
		set->i++;
	if (set->i == set->f.nnodes)
		return false;
	node = &set->f.nodes[set->i++];
	for (uint32 at = set->i; at != 0; at = set->f.nodes[at - 1].parent)
		n++;
	texts = palloc_extended(n * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (uint32 at = set->i; at != 0; at = set->f.nodes[at - 1].parent)
		texts[--n] = text_datum(&set->f.items[set->f.nodes[at - 1].item]);
	for (uint32 at = set->i; at != 0; at = set->f.nodes[at - 1].parent)
		n++;
	values[0] = PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[1] = Int64GetDatum(node->conversions);
	values[2] = fixed_numeric(node->value);
	values[3] = Int64GetDatum(node->nulls);
	return true;
}

PG_FUNCTION_INFO_V1(attribution_paths);
Datum
attribution_paths(PG_FUNCTION_ARGS)
{
	Places *set = row_set(fcinfo, sizeof(Places));

	if (!set->rows.started)
	{
		MemoryContext old = row_set_start(&set->rows);

		attr_facts_argument(&set->f, PG_GETARG_DATUM(0));
		if (!set->f.params.paths)
			not_kept("paths", "Use the option \"paths\" of attribution_agg: {\"paths\": true}.");
		set->i = 0;
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &set->rows, path_row);
}

#define SUMMARY_COLUMNS 8

PG_FUNCTION_INFO_V1(attribution_summary);
Datum
attribution_summary(PG_FUNCTION_ARGS)
{
	Datum values[SUMMARY_COLUMNS];
	bool nulls[SUMMARY_COLUMNS] = {false};
	TupleDesc desc;
	AttrFacts f;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	attr_facts_argument(&f, PG_GETARG_DATUM(0));
	values[0] = Int64GetDatum(f.totals.conversions);
	values[1] = fixed_numeric(f.totals.value);
	values[2] = Int64GetDatum(f.totals.without_touch);
	values[3] = fixed_numeric(f.totals.value_without_touch);
	values[4] = Int64GetDatum(f.totals.without_value);
	values[5] = Int64GetDatum(f.totals.negative);
	values[6] = Int64GetDatum(f.totals.nulls);
	values[7] = Int64GetDatum(f.totals.undecided);
	nulls[6] = nulls[7] = !attr_keeps_nulls(&f.params);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
