/*
 * flow_agg.c
 *		The aggregate flow_agg: journeys cut into paths, and these counted.
 */
#include "postgres.h"

#include "analytics/label_counts.h"
#include "block/block.h"
#include "common/hashfn.h"
#include "compat.h"
#include "flow/flow.h"
#include "miscadmin.h"
#include "pattern/journey_pattern.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

enum
{
	ARG_STATE,
	ARG_JOURNEY,
	ARG_ITEM,
	ARG_OPTIONS
};

/* What was made of a dictionary. */
typedef struct KnownDictionary
{
	uint64 hash;
	uint64 serial; /* of the flow whose items these are */
	uint32 len;
	uint32 nlabels;
	uint32 *items; /* of each label; and behind them the dictionary */
	uint8 *bytes;
	size_t room;
} KnownDictionary;

#define DICTIONARIES 8192
#define DICTIONARY_MAX 512 /* bytes, and labels, of one that is kept */

struct FlowSite
{
	MemoryContext cxt;
	uint64 serial; /* no other call site has it; another one when its dictionary begins anew */
	text *item;    /* as given; NULL: not as yet */
	Jsonb *given;  /* likewise; NULL: none */
	FlowOptions *options;
	bytea *options_bytes;
	uint64 flow; /* whose options are known to be these */
	CompiledPattern *start;
	CompiledPattern *end;
	LabelDict *dict;
	KnownDictionary *known;
	FlowSteps steps;
	int64 *times; /* of the journey at hand */
	uint8 *marks; /* of its touchpoints */
	uint32 times_max;
	uint8 *key;
	size_t key_max;
};

#define MARK_START 1
#define MARK_END 2

static uint64 serial;

FlowSite *
flow_site_create(MemoryContext cxt, const FlowOptions *o)
{
	FlowSite *site = MemoryContextAllocZero(cxt, sizeof(FlowSite));

	site->cxt = cxt;
	site->serial = ++serial;
	site->dict = label_dict_create(cxt);
	site->options = (FlowOptions *) o;
	if (o && o->start)
		pattern_compile(&site->start, cxt, o->start, strlen(o->start));
	if (o && o->end)
		pattern_compile(&site->end, cxt, o->end, strlen(o->end));
	return site;
}

static void
item_null(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("item of flow_agg must not be null"),
			 errhint("Use \"channel\", \"label\", \"action\" or \"detail\".")));
}

/* Those of one call with different items and options, of which there may be a few. */
#define SITES 16

typedef struct FlowSites
{
	FlowSite *sites[SITES];
	int last;
	int next; /* to be made anew */
} FlowSites;

static inline bool
asks_for(const FlowSite *site, const text *item, const Jsonb *given)
{
	return site && VARSIZE_ANY_EXHDR(site->item) == VARSIZE_ANY_EXHDR(item) &&
		   memcmp(VARDATA_ANY(site->item), VARDATA_ANY(item), VARSIZE_ANY_EXHDR(item)) == 0 &&
		   (given ? site->given && VARSIZE(given) == VARSIZE(site->given) &&
						memcmp(given, site->given, VARSIZE(given)) == 0
				  : site->given == NULL);
}

static FlowSite *
new_site(MemoryContext parent, text *item, Jsonb *given)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "flow site", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	FlowSite *site = flow_site_create(
		cxt, flow_options_parse(label_part_argument(PointerGetDatum(item)), given));

	site->options_bytes = flow_options_bytes(site->options);
	site->item = palloc(VARSIZE_ANY(item));
	memcpy(site->item, item, VARSIZE_ANY(item));
	if (given)
	{
		site->given = palloc(VARSIZE(given));
		memcpy(site->given, given, VARSIZE(given));
	}
	MemoryContextSwitchTo(old);
	return site;
}

/* This call's; cheap if it asks for the same as the one before. */
static FlowSite *
call_site(FunctionCallInfo fcinfo)
{
	FlowSites *all = fcinfo->flinfo->fn_extra;
	Jsonb *given = NULL;
	text *item;

	if (PG_ARGISNULL(ARG_ITEM))
		item_null();
	item = short_text_argument(PG_GETARG_DATUM(ARG_ITEM));
	if (PG_NARGS() > ARG_OPTIONS && !PG_ARGISNULL(ARG_OPTIONS))
		given = PG_GETARG_JSONB_P(ARG_OPTIONS);
	if (unlikely(all == NULL))
		fcinfo->flinfo->fn_extra = all =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(FlowSites));
	if (likely(asks_for(all->sites[all->last], item, given)))
		return all->sites[all->last];
	for (int i = 0; i < SITES; i++)
		if (asks_for(all->sites[i], item, given))
			return all->sites[all->last = i];
	if (all->sites[all->next])
	{
		MemoryContext cxt = all->sites[all->next]->cxt;

		all->sites[all->next] = NULL;
		MemoryContextDelete(cxt);
	}
	all->sites[all->next] = new_site(fcinfo->flinfo->fn_mcxt, item, given);
	all->last = all->next;
	all->next = (all->next + 1) % SITES;
	return all->sites[all->last];
}

static Flow *
state_argument(FunctionCallInfo fcinfo, FlowSite *site)
{
	MemoryContext cxt = aggregate_context(fcinfo, "flow_agg");
	Flow *m;

	if (PG_ARGISNULL(ARG_STATE))
		m = flow_create(site->options_bytes, flow_context(cxt));
	else
		m = flow_state_argument(PG_GETARG_DATUM(ARG_STATE), cxt);
	if (unlikely(m->serial != site->flow))
	{
		if (VARSIZE(m->options_bytes) != VARSIZE(site->options_bytes) ||
			memcmp(m->options_bytes, site->options_bytes, VARSIZE(m->options_bytes)) != 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("flow_agg needs the same item and options for all rows of a group"),
				 errdetail("They differ in %s.", flow_options_differ(&m->options, site->options)),
				 errhint("Group by what differs.")));
		site->flow = m->serial;
	}
	return m;
}

/* --- items of labels --- */

/* The flow's item of a number of the site's dictionary. */
static uint32
item_of_number(FlowSite *site, Flow *m, uint32 number)
{
	StringInfoData text;
	uint32 item;

	if (number >= m->numbers_max)
	{
		uint32 max = pg_nextpower2_32(Max(64, number + 1));
		uint32 *numbers = MemoryContextAllocExtended(m->hdr.eoh_context, max * sizeof(uint32),
													 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

		if (m->numbers)
		{
			memcpy(numbers, m->numbers, m->numbers_max * sizeof(uint32));
			pfree(m->numbers);
		}
		m->numbers = numbers;
		m->numbers_max = max;
	}
	if (m->numbers[number] > 0)
		return m->numbers[number] - 1;
	initStringInfo(&text);
	label_text_print(&text, &site->dict->labels[number].text, site->options->item);
	item = flow_add_item(m, text.data, text.len);
	pfree(text.data);
	m->numbers[number] = item + 1;
	return item;
}

static void
items_of_labels(FlowSite *site, Flow *m, const JourneyView *v, uint32 *items)
{
	uint32 *numbers;

	/* details may be without end, where channels are few */
	if (unlikely(label_dict_is_large(site->dict)))
	{
		label_dict_trim(site->dict);
		site->serial = ++serial;
	}
	if (m->site != site->serial)
	{
		if (m->numbers)
			memset(m->numbers, 0, m->numbers_max * sizeof(uint32));
		m->site = site->serial;
	}
	numbers = counted_numbers(site->dict, v, site->options->item);
	for (uint32 label = 0; label < v->nlabels; label++)
		items[label] = item_of_number(site, m, numbers[label]);
	pfree(numbers);
}

/* The flow's items of a journey's labels. They last until the next call. */
static const uint32 *
journey_items(FlowSite *site, Flow *m, const JourneyView *v, uint32 **to_free)
{
	KnownDictionary *known;
	uint64 hash;

	*to_free = NULL;
	if (v->dictionary_len > DICTIONARY_MAX || v->nlabels > DICTIONARY_MAX)
	{
		dictionary_check_count(v);
		*to_free = palloc_extended(Max(v->nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
		items_of_labels(site, m, v, *to_free);
		return *to_free;
	}
	hash = hash_bytes_extended(v->dictionary, v->dictionary_len, v->nlabels * 2 + v->details);
	if (unlikely(site->known == NULL))
		site->known = MemoryContextAllocZero(site->cxt, DICTIONARIES * sizeof(KnownDictionary));
	known = &site->known[hash % DICTIONARIES];
	if (likely(known->hash == hash && known->serial == m->serial &&
			   known->len == v->dictionary_len && known->nlabels == v->nlabels * 2 + v->details &&
			   memcmp(known->bytes, v->dictionary, known->len) == 0))
		return known->items;
	known->serial = 0;
	dictionary_check_count(v);
	if (known->room < v->nlabels * sizeof(uint32) + v->dictionary_len)
	{
		size_t room = v->nlabels * sizeof(uint32) + v->dictionary_len;

		if (known->items)
			pfree(known->items);
		known->items = NULL;
		known->room = 0;
		known->items = MemoryContextAlloc(site->cxt, room);
		known->room = room;
	}
	items_of_labels(site, m, v, known->items);
	known->bytes = (uint8 *) (known->items + v->nlabels);
	if (v->dictionary_len > 0)
		memcpy(known->bytes, v->dictionary, v->dictionary_len);
	known->hash = hash;
	known->len = v->dictionary_len;
	known->nlabels = v->nlabels * 2 + v->details;
	known->serial = m->serial;
	return known->items;
}

/* --- paths --- */

/* Room for a journey of n touchpoints. */
static void
site_room(FlowSite *site, uint32 n)
{
	FlowSteps *s = &site->steps;
	uint32 max;

	if (likely(n <= site->times_max))
		return;
	max = Max(256, Min((uint64) n + n / 2, PG_INT32_MAX));
	site->times_max = s->max = 0;
	for (int i = 0; i < 6; i++)
	{
		void **array = i == 0   ? (void **) &site->times
					   : i == 1 ? (void **) &site->marks
					   : i == 2 ? (void **) &s->items
					   : i == 3 ? (void **) &s->first
					   : i == 4 ? (void **) &s->last
								: (void **) &s->touchpoints;
		size_t size = i == 1 ? 1 : i == 2 || i == 5 ? sizeof(uint32) : sizeof(int64);

		if (*array)
			pfree(*array);
		*array = NULL;
		*array = MemoryContextAllocHuge(site->cxt, max * size);
	}
	site->times_max = s->max = max;
}

/* Read the times of a journey. */
static void
read_times(FlowSite *site, const JourneyView *v, const uint8 *readable)
{
	EliasFanoCursor c;

	ef_start(&v->times, &c);
	if (!ef_read_scaled(&v->times, &c, readable, v->first, v->unit, site->times, v->n))
		journey_corrupt("a time lies behind the last one");
}

/* flow_add_edge, of an edge that is mostly known. */
static inline FlowEdge *
find_edge(Flow *m, uint32 step, uint32 node, uint32 other)
{
	if (likely(node < FLOW_NEAR && other < FLOW_NEAR && step <= FLOW_NEAR_STEPS &&
			   m->near[step - 1]))
	{
		uint32 number = m->near[step - 1][node * FLOW_NEAR + other];

		if (likely(number != 0))
			return &m->edges[number - 1];
	}
	return flow_add_edge(m, step, node, other);
}

/* flow_edge_time, where there is mostly room. */
static inline void
add_time(Flow *m, FlowEdge *e, int64 time)
{
	if (unlikely(!m->rounded || e->times.n >= e->times.max))
	{
		flow_edge_time(m, e, time);
		return;
	}
	e->least = Min(e->least, time);
	e->greatest = Max(e->greatest, time);
	e->sum += time;
	e->sum_high += e->sum < time;
	((uint16 *) e->times.values)[e->times.n++] = flow_bucket(time);
}

/* Count a path of n steps, at least one, of which each is one touchpoint if touchpoints is NULL. */
static pg_attribute_always_inline void
count_path(FlowSite *site, Flow *m, const uint32 *items, const int64 *first, const int64 *last,
		   const uint32 *touchpoints, uint32 n, bool reached)
{
	const FlowOptions *o = &m->options;
	uint32 used = o->max_steps > 0 ? Min(n, o->max_steps) : n;
	uint32 from = o->backward ? n - used : 0;
	uint32 told = flow_told_steps(o);
	FlowPath *path;
	uint8 *p;
	bool found;

	flow_count_steps(m, used);
	if (unlikely((size_t) used * 5 + 1 > site->key_max))
	{
		size_t max = (size_t) used * 10 + 256;

		if (site->key)
			pfree(site->key);
		site->key = NULL;
		site->key_max = 0;
		site->key = MemoryContextAllocHuge(site->cxt, max);
		site->key_max = max;
	}
	p = site->key;
	*p++ = (reached ? FLOW_REACHED : 0) | (used < n ? FLOW_CUT : 0);
	if (likely(m->nitems <= 128))
		for (uint32 i = 0; i < used; i++)
			*p++ = items[from + i];
	else
		for (uint32 i = 0; i < used; i++)
			p = leb_write(p, items[from + i]);
	path = flow_add_path(m, site->key, p - site->key, &found);
	flow_sum(&path->paths, 1);
	flow_sum(&m->paths_sum, 1);
	flow_add_time(m, &path->durations, elapsed(first[from], last[from + used - 1]));
	for (uint32 k = 0; k < used; k++)
	{
		uint32 at = o->backward ? n - 1 - k : k;
		uint32 step = Min(k, told) + 1;
		FlowEdge *e;

		if (unlikely(k % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		if (likely(k + 1 < used))
		{
			uint32 next = o->backward ? at - 1 : at + 1;
			uint32 before = Min(at, next);

			e = find_edge(m, step, items[at], items[next] + FLOW_ITEM);
			add_time(m, e, elapsed(last[before], first[before + 1]));
		}
		else
			e = find_edge(m, step, items[at], used < n ? FLOW_MORE : FLOW_END);
		e->paths++;
		e->touchpoints += touchpoints ? touchpoints[at] : 1;
	}
}

/* Touchpoints that the options' patterns match. */
static void
mark(CompiledPattern *c, const JourneyView *v, uint8 *marks, uint8 bit)
{
	Matcher *matcher = pattern_matcher(c, v);

	while (matcher_next(matcher, NULL))
		marks[matcher_end(matcher)] |= bit;
}

/*
 * The path that goes on from touchpoint *at, read in the options' direction: its touchpoints are
 * [*from, *to), and *at is where to go on. False if there is none. *open: it has not ended, but
 * the journey has.
 */
static bool
next_path(const FlowSite *site, const JourneyView *v, uint32 *at, uint32 *from, uint32 *to,
		  bool *open)
{
	const FlowOptions *o = site->options;
	uint8 begins = o->backward ? (o->end ? MARK_END : 0) : (o->start ? MARK_START : 0);
	uint8 ends = o->backward ? (o->start ? MARK_START : 0) : (o->end ? MARK_END : 0);
	uint32 n = v->n;
	uint32 i = *at;

	/* i and k count from where reading begins */
#define POSITION(i) (o->backward ? n - 1 - (i) : (i))
	while (begins != 0 && i < n && !(site->marks[POSITION(i)] & begins))
		i++;
	if (i >= n)
		return false;
	*open = true;
	for (uint32 k = i;; k++)
	{
		bool last = k + 1 == n;

		if (ends != 0 && (site->marks[POSITION(k)] & ends))
			last = true, *open = false;
		else if (!last && o->gap > 0)
		{
			uint32 x = POSITION(k);
			uint32 y = POSITION(k + 1);

			if ((uint64) elapsed(site->times[Min(x, y)], site->times[Max(x, y)]) > o->gap)
				last = true, *open = false;
		}
		if (last)
		{
			*at = k + 1;
			*from = o->backward ? POSITION(k) : i;
			*to = o->backward ? POSITION(i) + 1 : k + 1;
			return true;
		}
	}
#undef POSITION
}

/* Its steps. */
static void
make_steps(FlowSite *site, const JourneyView *v, const uint32 *items, uint32 from, uint32 to)
{
	FlowSteps *s = &site->steps;
	bool collapse = site->options->collapse;

	s->n = 0;
	for (uint32 i = from; i < to; i++)
	{
		uint32 item = items[journey_label_at(v, i)];

		if (unlikely(i % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		if (collapse && s->n > 0 && s->items[s->n - 1] == item)
		{
			s->touchpoints[s->n - 1]++;
			s->last[s->n - 1] = site->times[i];
			continue;
		}
		s->items[s->n] = item;
		s->first[s->n] = s->last[s->n] = site->times[i];
		s->touchpoints[s->n++] = 1;
	}
}

static void
prepare(FlowSite *site, const JourneyView *v, const uint8 *readable)
{
	site_room(site, v->n);
	read_times(site, v, readable);
	if (site->start == NULL && site->end == NULL)
		return;
	memset(site->marks, 0, v->n);
	if (site->start)
		mark(site->start, v, site->marks, MARK_START);
	if (site->end)
		mark(site->end, v, site->marks, MARK_END);
}

static void
count_journey(FlowSite *site, Flow *m, const JourneyView *v, const uint8 *readable,
			  const uint32 *items)
{
	const FlowOptions *o = site->options;
	uint32 at = 0;
	uint32 from;
	uint32 to;
	bool open;

	prepare(site, v, readable);
	if (!o->start && !o->end && o->gap == 0 && !o->collapse)
	{
		uint32 *steps = site->steps.items;

		for (uint32 i = 0; i < v->n; i++)
			steps[i] = items[journey_label_at(v, i)];
		count_path(site, m, steps, site->times, site->times, NULL, v->n, false);
		return;
	}
	while (next_path(site, v, &at, &from, &to, &open))
	{
		const FlowSteps *s = &site->steps;

		make_steps(site, v, items, from, to);
		count_path(site, m, s->items, s->first, s->last, s->touchpoints, s->n,
				   o->end && (site->marks[to - 1] & MARK_END) != 0);
	}
}

const FlowSteps *
flow_last_path(FlowSite *site, Flow *m, const JourneyView *v, bool *open)
{
	uint32 *to_free;
	const uint32 *items = journey_items(site, m, v, &to_free);
	uint32 at = 0;
	uint32 from = 0;
	uint32 to = 0;

	*open = false;
	site->steps.n = 0;
	if (v->n == 0)
		return &site->steps;
	prepare(site, v, v->times.high + v->times.high_len);
	while (next_path(site, v, &at, &from, &to, open))
		;
	if (*open)
		make_steps(site, v, items, from, to);
	return &site->steps;
}

PG_FUNCTION_INFO_V1(flow_agg_transfn);
Datum
flow_agg_transfn(PG_FUNCTION_ARGS)
{
	FlowSite *site;
	Flow *m;
	JourneyArg arg;
	uint32 *to_free;
	const uint32 *items;

	aggregate_context(fcinfo, "flow_agg");
	if (PG_ARGISNULL(ARG_JOURNEY))
		return unchanged_state(fcinfo);
	site = call_site(fcinfo);
	m = state_argument(fcinfo, site);
	journey_arg_open(&arg, PG_GETARG_DATUM(ARG_JOURNEY));
	if (arg.view.n > 0)
	{
		items = journey_items(site, m, &arg.view, &to_free);
		count_journey(site, m, &arg.view, arg.view.times.high + arg.view.times.high_len, items);
		if (to_free)
			pfree(to_free);
	}
	journey_arg_close(&arg);
	return EOHPGetRWDatum(&m->hdr);
}

PG_FUNCTION_INFO_V1(flow_agg_block_transfn);
Datum
flow_agg_block_transfn(PG_FUNCTION_ARGS)
{
	FlowSite *site;
	Flow *m;
	BlockArg arg;
	BlockCursor *c = &arg.cursor;
	const uint32 *items;
	uint32 *to_free;
	bool values;

	aggregate_context(fcinfo, "flow_agg");
	if (PG_ARGISNULL(ARG_JOURNEY))
		return unchanged_state(fcinfo);
	site = call_site(fcinfo);
	m = state_argument(fcinfo, site);
	values = site->start || site->end;
	block_arg_open(&arg, PG_GETARG_DATUM(ARG_JOURNEY), values ? BLOCK_ALL : BLOCK_TIMES);
	if (arg.view.touchpoints > 0)
	{
		items = journey_items(site, m, &arg.view.shared, &to_free);
		while (block_next(c))
		{
			JourneyView v;

			if (c->i % LABEL_INTERRUPT_EVERY == 0)
				CHECK_FOR_INTERRUPTS();
			if (c->n == 0)
				continue;
			block_journey(c, &v);
			count_journey(site, m, &v, arg.view.times + arg.view.times_len, items);
		}
		if (to_free)
			pfree(to_free);
	}
	block_arg_close(&arg);
	return EOHPGetRWDatum(&m->hdr);
}

PG_FUNCTION_INFO_V1(flow_agg_combinefn);
Datum
flow_agg_combinefn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "flow_agg");
	Flow *m;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	if (PG_ARGISNULL(0))
		m = flow_of_flat(PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1)), FLOW_STORED,
						 flow_context(cxt));
	else
	{
		m = flow_state_argument(PG_GETARG_DATUM(0), cxt);
		flow_merge(m, PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1)), FLOW_STORED);
	}
	return EOHPGetRWDatum(&m->hdr);
}

/*
 * What is read at once is read from the state, which lasts as long as the group. The pointer is
 * a copy in the current context: of one elsewhere, the server would make a flat value.
 */
PG_FUNCTION_INFO_V1(flow_agg_finalfn);
Datum
flow_agg_finalfn(PG_FUNCTION_ARGS)
{
	Datum state;
	void *pointer;

	aggregate_context(fcinfo, "flow_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = PG_GETARG_DATUM(0);
	if (!VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(state)))
		PG_RETURN_DATUM(PointerGetDatum(PG_DETOAST_DATUM(state)));
	pointer = palloc(EXPANDED_POINTER_SIZE);
	memcpy(pointer, DatumGetPointer(EOHPGetRODatum(DatumGetEOHP(state))), EXPANDED_POINTER_SIZE);
	PG_RETURN_POINTER(pointer);
}
