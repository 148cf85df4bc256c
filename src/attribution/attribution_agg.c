/*
 * attribution_agg.c
 *		The aggregate attribution_agg: each path is counted for all models at once.
 */
#include "postgres.h"

#include <math.h>

#include "analytics/calendar.h"
#include "attribution/attribution_state.h"
#include "attribution/attribution_walk.h"
#include "block/block.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define NAME "attribution_agg"

/* Arguments of the transition function. */
enum
{
	ARG_STATE,
	ARG_JOURNEY,
	ARG_CONVERSION,
	ARG_TOUCHES,
	ARG_LOOKBACK,
	ARG_ITEM,
	ARG_OPTIONS
};

/* What a call site keeps. */
typedef struct AttrSite
{
	Walk walk;
	uint64 serial; /* unlike any other site's, or this one's before labels began anew */
	uint64 walk_serial;
	uint64 question; /* unlike that of any other parameters */
	bool known;
	Interval lookback; /* as given; likewise below */
	text *item;
	struct varlena *options; /* NULL: none */
	AttrParams params;       /* made of them */
	int64 shapes[3][3];      /* weights of position, j_shape, inverse_j */
	MemoryContext asked;     /* holds these */
	AttrState *state;        /* the one at hand */
} AttrSite;

static void
not_null(FunctionCallInfo fcinfo, int argument, const char *what)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s of %s must not be null", what, NAME)));
}

/* The arguments are others than before. */
static void
new_question(AttrSite *site, const Interval *lookback, text *item, struct varlena *options)
{
	static uint64 questions;
	static const int64 j_shape[3] = {ATTR_ONE / 5, ATTR_ONE / 5, ATTR_ONE / 5 * 3};
	MemoryContext old;
	AttrParams *p = &site->params;
	AttrRange range;

	site->known = false;
	MemoryContextReset(site->asked);
	old = MemoryContextSwitchTo(site->asked);
	memset(p, 0, sizeof(*p));
	p->part = label_part_argument(PointerGetDatum(item));
	p->lookback = attr_lookback(lookback);
	site->lookback = *lookback;
	site->item = cstring_to_text_with_len(VARDATA_ANY(item), VARSIZE_ANY_EXHDR(item));
	site->options = options ? PG_DETOAST_DATUM_COPY(PointerGetDatum(options)) : NULL;
	attr_options(p, &range, PointerGetDatum(site->options));
	MemoryContextSwitchTo(old);
	memcpy(site->shapes[0], p->position, sizeof(p->position));
	for (int i = 0; i < 3; i++)
	{
		site->shapes[1][i] = j_shape[i];
		site->shapes[2][i] = j_shape[2 - i];
	}
	if (site->walk.part != p->part)
		walk_forget(&site->walk);
	site->walk.part = p->part;
	site->walk.lookback = p->lookback;
	site->walk.reset = p->reset;
	site->walk.until = p->until;
	site->walk.range = range;
	site->walk.nulls = attr_keeps_nulls(p);
	site->walk.needs_times = attr_keeps(p, ATTR_TIME_DECAY);
	site->question = ++questions;
	site->known = true;
}

/* This call's, which knows what is asked; cheap if that is the same as before. */
static AttrSite *
call_site(FunctionCallInfo fcinfo)
{
	static uint64 serial;
	AttrSite *site = fcinfo->flinfo->fn_extra;
	MemoryContext cxt = fcinfo->flinfo->fn_mcxt;
	const Interval *lookback;
	text *item;
	struct varlena *options = NULL;

	not_null(fcinfo, ARG_CONVERSION, "conversion");
	not_null(fcinfo, ARG_TOUCHES, "touches");
	not_null(fcinfo, ARG_LOOKBACK, "lookback");
	not_null(fcinfo, ARG_ITEM, "item");
	if (unlikely(site == NULL))
	{
		fcinfo->flinfo->fn_extra = site = MemoryContextAllocZero(cxt, sizeof(AttrSite));
		walk_init(&site->walk, cxt, NAME);
		site->asked = AllocSetContextCreate(cxt, "attribution question", ALLOCSET_SMALL_SIZES);
	}
	lookback = PG_GETARG_INTERVAL_P(ARG_LOOKBACK);
	item = short_text_argument(PG_GETARG_DATUM(ARG_ITEM));
	if (PG_NARGS() > ARG_OPTIONS && !PG_ARGISNULL(ARG_OPTIONS))
		options = short_text_argument(PG_GETARG_DATUM(ARG_OPTIONS));
	if (unlikely(!site->known || memcmp(lookback, &site->lookback, sizeof(Interval)) != 0 ||
				 !same_text(site->item, item) || !same_text(site->options, options)))
		new_question(site, lookback, item, options);
	walk_patterns(&site->walk, PG_GETARG_DATUM(ARG_CONVERSION), PG_GETARG_DATUM(ARG_TOUCHES));
	site->params.conversion = (AttrText) {site->walk.conversion->text, site->walk.conversion->len};
	site->params.touches = (AttrText) {site->walk.touches->text, site->walk.touches->len};
	if (unlikely(site->walk_serial != site->walk.serial))
	{
		site->walk_serial = site->walk.serial;
		site->serial = ++serial;
	}
	return site;
}

/* The state of a transition function, to be changed. */
static AttrState *
state_argument(FunctionCallInfo fcinfo, AttrSite *site, MemoryContext cxt)
{
	AttrState *s;

	if (PG_ARGISNULL(ARG_STATE))
		s = attr_state_create(&site->params, cxt);
	else
	{
		s = attr_state_argument(PG_GETARG_DATUM(ARG_STATE), cxt);
		if (s->site != site->serial || s->question != site->question)
			attr_same_params(&s->params, &site->params);
		attr_state_change(s);
	}
	s->question = site->question;
	site->state = s;
	return s;
}

/* --- a path --- */

/* An item of the call site that the state does not know. */
static pg_noinline uint32
learn_item(AttrSite *site, AttrState *s, uint32 number)
{
	StringInfoData text;
	uint32 item;

	if (s->site != site->serial)
	{
		/* those of another site, or another dictionary */
		if (s->of_site_max > 0)
			memset(s->of_site, 0, s->of_site_max * sizeof(uint32));
		s->site = site->serial;
	}
	if (number >= s->of_site_max)
	{
		uint32 max = Max(number + 1, 2 * s->of_site_max);

		max = Max(max, 64);
		s->of_site = s->of_site_max == 0
						 ? MemoryContextAllocHuge(s->hdr.eoh_context, max * sizeof(uint32))
						 : repalloc_huge(s->of_site, max * sizeof(uint32));
		memset(s->of_site + s->of_site_max, 0, (max - s->of_site_max) * sizeof(uint32));
		s->of_site_max = max;
	}
	if (s->of_site[number] != 0)
		return s->of_site[number] - 1;
	initStringInfo(&text);
	label_text_print(&text, &site->walk.dict->labels[number].text, site->walk.part);
	item = attr_state_item(s, &(AttrText) {text.data, text.len});
	pfree(text.data);
	s->of_site[number] = item + 1;
	return item;
}

static inline uint32
state_item(AttrSite *site, AttrState *s, uint32 number)
{
	uint32 item;

	if (likely(s->site == site->serial && number < s->of_site_max &&
			   (item = s->of_site[number]) != 0))
		return item - 1;
	return learn_item(site, s, number);
}

static inline void
new_stamp(AttrState *s)
{
	if (unlikely(++s->stamp == 0))
	{
		for (uint32 i = 0; i < s->nitems; i++)
			s->items[i].stamp = 0;
		s->stamp = 1;
	}
}

static void
reserve_path(AttrState *s, uint32 n)
{
	uint32 max;

	if (likely(n <= s->path_max))
		return;
	max = Max(n, Max(16, 2 * s->path_max));
	if (s->path_max > 0)
	{
		s->path_max = 0;
		pfree(s->path);
		pfree(s->distinct);
	}
	s->path = MemoryContextAllocHuge(s->hdr.eoh_context, max * sizeof(uint32));
	s->distinct = MemoryContextAllocHuge(s->hdr.eoh_context, max * sizeof(uint32));
	s->path_max = max;
}

/* Those that are on the path; returns how many there are. */
static inline uint32
find_distinct(AttrState *s, uint32 n)
{
	uint32 ndistinct = 0;

	new_stamp(s);
	for (uint32 i = 0; i < n; i++)
	{
		StateItem *item = &s->items[s->path[i]];

		if (item->stamp != s->stamp)
		{
			item->stamp = s->stamp;
			item->count = 0;
			s->distinct[ndistinct++] = s->path[i];
		}
		item->count++;
	}
	return ndistinct;
}

/* Transform the path of n touches w->touch[from...], which is changed too; how many remain. */
static uint32
transform_path(AttrState *s, uint32 *touch, uint32 n)
{
	uint32 kept = 0;

	if (s->params.transform == ATTR_UNIQUE)
	{
		/* from the end */
		uint32 at = n;

		new_stamp(s);
		for (uint32 i = n; i-- > 0;)
		{
			StateItem *item = &s->items[s->path[i]];

			if (item->stamp == s->stamp)
				continue;
			item->stamp = s->stamp;
			s->path[--at] = s->path[i];
			touch[at] = touch[i];
		}
		kept = n - at;
		memmove(s->path, s->path + at, kept * sizeof(uint32));
		memmove(touch, touch + at, kept * sizeof(uint32));
		return kept;
	}
	if (s->params.transform == ATTR_FREQUENCY)
		find_distinct(s, n); /* counts them */
	new_stamp(s);
	for (uint32 i = 0; i < n; i++)
	{
		uint32 number = s->path[i];
		StateItem *item = &s->items[number];

		if (s->params.transform == ATTR_EXPOSURE ? i > 0 && number == s->distinct[0]
												 : item->stamp == s->stamp)
			continue;
		s->distinct[0] = number; /* the one before */
		item->stamp = s->stamp;
		if (s->params.transform == ATTR_FREQUENCY)
			number = attr_state_counted(s, number, item->count);
		s->path[kept] = number;
		touch[kept++] = touch[i];
	}
	return kept;
}

/* A part of a value, in ATTR_ONE, which is what parts are told in. */
static inline int128
value_share(Decimal value, int64 part)
{
	int128 share = (int128) value.mantissa * part;

	return value.scale == 0 ? share : share / decimal_power[value.scale];
}

static inline void
give(AttrState *s, uint32 item, int sum, int128 conversions, int128 value)
{
	AttrSum *to = &s->sums[(size_t) item * s->nsums + sum];

	to->conversions += conversions; /* fewer than 2^63 of them */
	if (value != 0)
		attr_add(&to->value, value);
}

/* By place: the first touch, those between, the last one. */
static void
give_shape(AttrState *s, int sum, const int64 *weights, uint32 n, uint32 ndistinct, Decimal value,
		   int128 whole)
{
	uint32 first = s->path[0];
	uint32 last = s->path[n - 1];
	int64 head = weights[0];
	int64 between = 0;
	int128 head_value;
	int128 between_value = 0;

	if (n == 1)
	{
		give(s, first, sum, ATTR_ONE, whole);
		return;
	}
	if (n == 2)
	{
		int64 both = weights[0] + weights[2];

		head = both == 0 ? ATTR_ONE / 2 : (int64) ((int128) ATTR_ONE * weights[0] / both);
	}
	head_value = value_share(value, head);
	if (n > 2)
	{
		between = weights[1] / (n - 2);
		between_value = value_share(value, weights[1]) / (n - 2);
		for (uint32 i = 0; between != 0 && i < ndistinct; i++)
		{
			uint32 item = s->distinct[i];
			int64 times = (int64) s->items[item].count - (item == first) - (item == last);

			if (times > 0)
				give(s, item, sum, (int128) between * times, between_value * times);
		}
		if (between == 0)
			between_value = 0;
	}
	give(s, first, sum, head, head_value);
	/* what rounding left over, too */
	give(s, last, sum, ATTR_ONE - head - (int128) between * (n - 2),
		 whole - head_value - between_value * (n - 2));
}

static void
give_decay(AttrSite *site, AttrState *s, int sum, const WalkPath *path, const uint32 *touch,
		   uint32 n, int128 whole)
{
	const int64 *times = site->walk.times;
	double half_life = (double) s->params.half_life;
	int64 latest = times[touch[n - 1]];
	double all = 0;
	int64 rest = ATTR_ONE;
	int128 rest_value = whole;

	for (uint32 i = 0; i < n; i++)
		all += exp2(-((double) (uint64) (latest - times[touch[i]])) / half_life);
	for (uint32 i = 0; i + 1 < n; i++)
	{
		double part = exp2(-((double) (uint64) (latest - times[touch[i]])) / half_life) / all;
		int64 share = (int64) (part * (double) ATTR_ONE);
		int128 share_value = whole == 0 ? 0 : value_share(path->value, share);

		if (share == 0)
			continue;
		give(s, s->path[i], sum, share, share_value);
		rest -= share;
		rest_value -= share_value;
	}
	give(s, s->path[n - 1], sum, rest, rest_value);
}

static uint32
last_not_direct(const AttrState *s, uint32 n)
{
	for (uint32 i = n; i-- > 0;)
		if (!s->items[s->path[i]].direct)
			return s->path[i];
	return s->path[n - 1];
}

/* The credit of a conversion, by every model that is a sum. */
static void
give_credit(AttrSite *site, AttrState *s, const WalkPath *path, const uint32 *touch, uint32 n)
{
	const AttrParams *p = &s->params;
	uint32 ndistinct = find_distinct(s, n);
	int128 whole =
		(int128) path->value.mantissa * decimal_power[DECIMAL_DIGITS_MAX - path->value.scale];
	int sum = 0;

	for (uint32 i = 0; i < ndistinct; i++)
		s->items[s->distinct[i]].used = true;
	if (attr_keeps(p, ATTR_FIRST))
		give(s, s->path[0], sum++, ATTR_ONE, whole);
	if (attr_keeps(p, ATTR_LAST))
		give(s, s->path[n - 1], sum++, ATTR_ONE, whole);
	if (attr_keeps(p, ATTR_LAST_NON_DIRECT))
		give(s, last_not_direct(s, n), sum++, ATTR_ONE, whole);
	if (attr_keeps(p, ATTR_LINEAR))
	{
		int64 each = ATTR_ONE / n;
		int128 each_value = whole / n;

		for (uint32 i = 0; i < ndistinct; i++)
		{
			uint32 item = s->distinct[i];
			int64 times = s->items[item].count;

			give(s, item, sum, (int128) each * times, each_value * times);
		}
		/* what rounding left over */
		give(s, s->path[n - 1], sum++, ATTR_ONE - (int128) each * n, whole - each_value * n);
	}
	for (int shape = 0; shape < 3; shape++)
		if (attr_keeps(p, ATTR_POSITION + shape))
			give_shape(s, sum++, site->shapes[shape], n, ndistinct, path->value, whole);
	if (attr_keeps(p, ATTR_TIME_DECAY))
		give_decay(site, s, sum++, path, touch, n, whole);
	if (attr_keeps(p, ATTR_PARTICIPATION))
	{
		for (uint32 i = 0; i < ndistinct; i++)
			give(s, s->distinct[i], sum, ATTR_ONE, whole);
		sum++;
	}
	if (attr_keeps(p, ATTR_SHAPLEY) || attr_keeps(p, ATTR_ORDERED_SHAPLEY))
	{
		int64 each = ATTR_ONE / ndistinct;
		int128 each_value = whole / ndistinct;

		for (uint32 i = 0; i < ndistinct; i++)
		{
			AttrSum share = {each, each_value};

			if (i == ndistinct - 1)
			{
				share.conversions = ATTR_ONE - (int128) each * i;
				share.value = whole - each_value * i;
			}
			if (attr_keeps(p, ATTR_SHAPLEY))
				give(s, s->distinct[i], sum, share.conversions, share.value);
			if (attr_keeps(p, ATTR_ORDERED_SHAPLEY))
				attr_state_place(s, s->distinct[i], i + 1, &share);
		}
	}
}

static void
count_path(void *arg, Walk *w, const WalkPath *path)
{
	AttrSite *site = arg;
	AttrState *s = site->state;
	uint32 n = path->to - path->from;
	uint32 *touch = w->touch + path->from;

	/* without reset, paths may be long and many */
	CHECK_FOR_INTERRUPTS();
	if (path->converts)
	{
		s->totals.conversions++;
		s->totals.without_value += !path->has_value;
		s->totals.negative += path->value.mantissa < 0;
		if (path->value.mantissa != 0)
		{
			int128 whole = (int128) path->value.mantissa *
						   decimal_power[DECIMAL_DIGITS_MAX - path->value.scale];

			attr_add(&s->totals.value, whole);
			if (n == 0)
				attr_add(&s->totals.value_without_touch, whole);
		}
		if (n == 0)
		{
			s->totals.without_touch++;
			return;
		}
	}
	else
		s->totals.nulls++;
	reserve_path(s, n);
	for (uint32 i = 0; i < n; i++)
		s->path[i] = state_item(site, s, w->item[path->from + i]);
	if (s->params.transform != ATTR_NONE)
	{
		/* touches of this path may be on others, too */
		uint32 *changed = palloc_extended(n * sizeof(uint32), MCXT_ALLOC_HUGE);

		memcpy(changed, touch, n * sizeof(uint32));
		touch = changed;
		n = transform_path(s, touch, n);
	}
	if (path->converts)
		give_credit(site, s, path, touch, n);
	else
		for (uint32 i = 0; i < n; i++)
			s->items[s->path[i]].used = true;
	if (s->grams)
	{
		uint32 end = path->converts ? ATTR_TO_CONVERSION : ATTR_TO_NULL;
		int order = s->params.order;
		uint64 from = 0;

		/* groups may be many, and then most are small */
		if (order == 1 && s->nitems < ATTR_PAIRS &&
			s->totals.conversions + s->totals.nulls > ATTR_PAIRS_FROM)
		{
			int64 *pairs = attr_state_pairs(s);
			uint32 before = 0;

			for (uint32 i = 0; i < n; before = s->path[i++] + 1)
				pairs[before * ATTR_PAIRS_TO + ATTR_TO_ITEM + s->path[i]]++;
			pairs[before * ATTR_PAIRS_TO + end]++;
		}
		else
		{
			for (uint32 i = 0; i < n; i++)
			{
				attr_state_gram(s, from, ATTR_TO_ITEM + s->path[i], 1);
				from = attr_gram_next(from, s->path[i], order);
			}
			attr_state_gram(s, from, end, 1);
		}
	}
	if (s->paths)
	{
		uint32 node = 0;

		for (uint32 i = 0; i < n; i++)
			node = attr_state_node(s, node, s->path[i]);
		if (path->converts)
		{
			s->nodes[node].conversions++;
			attr_add(&s->nodes[node].value,
					 (int128) path->value.mantissa *
						 decimal_power[DECIMAL_DIGITS_MAX - path->value.scale]);
		}
		else
			s->nodes[node].nulls++;
	}
	if (s->params.transform != ATTR_NONE)
		pfree(touch);
}

/* --- the aggregate --- */

PG_FUNCTION_INFO_V1(attribution_agg_transfn);
Datum
attribution_agg_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, NAME);
	AttrSite *site = call_site(fcinfo);
	AttrState *s;
	JourneyArg arg;
	uint8 any;

	if (PG_ARGISNULL(ARG_JOURNEY))
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo, site, cxt);
	journey_arg_open(&arg, PG_GETARG_DATUM(ARG_JOURNEY));
	any = walk_labels(&site->walk, &arg.view);
	if (site->walk_serial != site->walk.serial)
		call_site(fcinfo);
	if ((any & (WALK_CONVERSION | WALK_CONVERSION_VALUE)) || site->walk.nulls)
	{
		site->walk.undecided = 0;
		walk_journey(&site->walk, &arg.view, count_path, site);
		s->totals.undecided += site->walk.undecided;
	}
	journey_arg_close(&arg);
	return EOHPGetRWDatum(&s->hdr);
}

PG_FUNCTION_INFO_V1(attribution_agg_block_transfn);
Datum
attribution_agg_block_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, NAME);
	AttrSite *site = call_site(fcinfo);
	AttrState *s;
	BlockArg arg;
	JourneyView v;
	uint8 any;

	if (PG_ARGISNULL(ARG_JOURNEY))
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo, site, cxt);
	block_arg_open(&arg, PG_GETARG_DATUM(ARG_JOURNEY), BLOCK_ALL);
	any = walk_labels(&site->walk, &arg.view.shared);
	if (site->walk_serial != site->walk.serial)
		call_site(fcinfo);
	site->walk.undecided = 0;
	if ((any & (WALK_CONVERSION | WALK_CONVERSION_VALUE)) || site->walk.nulls)
		while (block_next(&arg.cursor))
		{
			CHECK_FOR_INTERRUPTS();
			if (arg.cursor.n == 0)
				continue;
			block_journey(&arg.cursor, &v);
			walk_journey(&site->walk, &v, count_path, site);
		}
	s->totals.undecided += site->walk.undecided;
	block_arg_close(&arg);
	return EOHPGetRWDatum(&s->hdr);
}

PG_FUNCTION_INFO_V1(attribution_agg_combinefn);
Datum
attribution_agg_combinefn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, NAME);
	AttrState *s;
	AttrFacts f;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	attr_facts_argument(&f, PG_GETARG_DATUM(1));
	s = PG_ARGISNULL(0) ? attr_state_create(&f.params, cxt)
						: attr_state_argument(PG_GETARG_DATUM(0), cxt);
	attr_state_merge(s, &f);
	return EOHPGetRWDatum(&s->hdr);
}

PG_FUNCTION_INFO_V1(attribution_agg_finalfn);
Datum
attribution_agg_finalfn(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo, NAME);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	/* which flattens it */
	PG_RETURN_DATUM(PointerGetDatum(PG_DETOAST_DATUM(PG_GETARG_DATUM(0))));
}
