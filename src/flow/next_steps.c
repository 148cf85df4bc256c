/*
 * next_steps.c
 *		What came next after the last steps of journeys, for all contexts that are met often enough.
 *
 * A place is a touchpoint of a journey. Its context of k steps are the items of the k touchpoints up
 * to it, as far as no pause between them is longer than the limit; what is before the first of them
 * is a step of its own, the beginning, for who has just begun is not as others are. Its outcome is the item of the next
 * touchpoint, if that comes within the limit, else the end. Places that are younger than the limit
 * are undecided, whether something has followed or not: to count only those that have gone on would
 * make going on likelier than it is. They are in contexts of others all the same.
 *
 * Contexts are found as the suffixes of a text are sorted: all places are grouped by their item, each
 * group by the item before, and so on; a group of too few journeys is left, because what is longer
 * is not more frequent. So memory goes by the number of touchpoints, and nothing is hashed. Places of a
 * journey stay neighbours in each group, so that journeys are counted where the number changes.
 */
#include "postgres.h"

#include "analytics/row_set.h"
#include "attribution/attribution_walk.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define NAME "next_steps"

#define STEPS_MAX 20

/* No item is named that fewer journeys went on to, unless fewer are asked for. */
#define NAMED_AT_LEAST 5

/* What comes next: one of these, or an item plus NEXT_ITEM. */
#define NEXT_UNDECIDED 0
#define NEXT_END 1
#define NEXT_ITEM 2

typedef struct ItemKey
{
	const char *text;
	uint32 len;
} ItemKey;

typedef struct ItemEntry
{
	ItemKey key;
	uint32 number;
	uint32 hash;
	char status;
} ItemEntry;

#define SH_PREFIX next_items
#define SH_ELEMENT_TYPE ItemEntry
#define SH_KEY_TYPE ItemKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key).text, (key).len)
#define SH_EQUAL(tb, a, b) ((a).len == (b).len && memcmp((a).text, (b).text, (a).len) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct StepPlace
{
	uint32 item;
	uint32 next;
	uint32 journey;
	uint16 back; /* steps before it that belong to its context */
	bool converted;
} StepPlace;

/* A group of places that is yet to be told, and divided. */
typedef struct PlaceGroup
{
	uint32 from;
	uint32 n;
	uint32 depth; /* steps of its context */
	bool begun;   /* the first one of them is the beginning */
} PlaceGroup;

/* What is counted of a step that came next. */
typedef struct Outcome
{
	int64 journeys;
	int64 times;
	int64 converted;
	uint32 journey; /* the last one counted, plus 1 */
} Outcome;

typedef struct NextSteps
{
	RowSet rows;
	/* what is asked */
	uint64 within;
	int64 until;
	uint32 steps;
	int64 at_least;
	int64 named_at_least;
	/* of all journeys */
	Walk walk;
	uint32 *of_number; /* item of a number of the walk's dictionary, plus 1 */
	uint32 of_number_max;
	uint64 walk_serial;
	next_items_hash *table;
	ItemKey *items;
	uint32 nitems;
	uint32 items_max;
	StepPlace *places;
	uint32 nplaces;
	uint32 places_max;
	int64 *times; /* of the journey at hand */
	uint32 times_max;
	uint32 *conversions;
	uint32 nconversions;
	uint32 conversions_max;
	/* of what is told */
	uint32 *order; /* places, by group */
	uint32 *moved;
	uint32 *counts; /* by item, and of the beginning: zero in between */
	uint32 *met;    /* items or outcomes, as they are met */
	Outcome *outcomes;
	PlaceGroup *groups;
	uint32 ngroups;
	uint32 groups_max;
	Datum *texts; /* of items, as they are needed */
} NextSteps;

static uint32
item_of_text(NextSteps *s, const char *text, uint32 len)
{
	ItemKey key = {text, len};
	ItemEntry *entry;
	bool found;

	entry = next_items_insert(s->table, key, &found);
	if (!found)
	{
		char *copy = palloc(Max(len, 1));

		memcpy(copy, text, len);
		entry->key.text = copy;
		entry->number = s->nitems;
		if (s->nitems == s->items_max)
		{
			s->items_max = Max(64, 2 * s->items_max);
			s->items = s->items == NULL
						   ? palloc_extended(s->items_max * sizeof(ItemKey), MCXT_ALLOC_HUGE)
						   : repalloc_huge(s->items, s->items_max * sizeof(ItemKey));
		}
		s->items[s->nitems++] = entry->key;
	}
	return entry->number;
}

/* The item of a number of the walk's dictionary. */
static uint32
item_of_number(NextSteps *s, uint32 number)
{
	if (s->walk_serial != s->walk.serial)
	{
		if (s->of_number_max > 0)
			memset(s->of_number, 0, s->of_number_max * sizeof(uint32));
		s->walk_serial = s->walk.serial;
	}
	if (number >= s->of_number_max)
	{
		uint32 max = pg_nextpower2_32(Max(64, number + 1));

		s->of_number = s->of_number_max == 0
						   ? palloc_extended(max * sizeof(uint32), MCXT_ALLOC_HUGE)
						   : repalloc_huge(s->of_number, max * sizeof(uint32));
		memset(s->of_number + s->of_number_max, 0, (max - s->of_number_max) * sizeof(uint32));
		s->of_number_max = max;
	}
	if (s->of_number[number] == 0)
	{
		StringInfoData text;

		initStringInfo(&text);
		label_text_print(&text, &s->walk.dict->labels[number].text, s->walk.part);
		s->of_number[number] = 1 + item_of_text(s, text.data, text.len);
		pfree(text.data);
	}
	return s->of_number[number] - 1;
}

static void
add_conversion(void *arg, Walk *w, const WalkPath *path)
{
	NextSteps *s = arg;

	if (!path->converts)
		return;
	if (s->nconversions == s->conversions_max)
	{
		s->conversions_max = Max(64, 2 * s->conversions_max);
		s->conversions = s->conversions == NULL
							 ? palloc_extended(s->conversions_max * sizeof(uint32), MCXT_ALLOC_HUGE)
							 : repalloc_huge(s->conversions, s->conversions_max * sizeof(uint32));
	}
	s->conversions[s->nconversions++] = path->conversion;
}

static void
read_times(NextSteps *s, const JourneyView *v)
{
	EliasFanoCursor c;

	if (v->n > s->times_max)
	{
		uint32 max = Max(v->n, 256);

		if (s->times)
			pfree(s->times);
		s->times = palloc_extended(max * sizeof(int64), MCXT_ALLOC_HUGE);
		s->times_max = max;
	}
	ef_start(&v->times, &c);
	if (!ef_read_scaled(&v->times, &c, v->times.high + v->times.high_len, v->first, v->unit,
						s->times, v->n))
		journey_corrupt("a time lies behind the last one");
}

static inline bool
is_within(uint64 within, int64 from, int64 to)
{
	return (uint64) to - (uint64) from <= within;
}

/* Is a place old enough? */
static inline bool
is_decided(const NextSteps *s, int64 time)
{
	if (TIMESTAMP_IS_NOEND(s->until))
		return true;
	return time <= s->until && (uint64) s->until - (uint64) time >= s->within;
}

static void
add_journey(NextSteps *s, const JourneyView *v, uint32 journey)
{
	StepPlace *place;
	uint32 conversion = 0;

	if (v->n == 0)
		return;
	if ((uint64) s->nplaces + v->n > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("journeys have too many touchpoints for %s", NAME),
						errdetail("The limit is %d of them.", PG_INT32_MAX)));
	if (s->nplaces + v->n > s->places_max)
	{
		uint64 max = Max(1024, Max((uint64) s->nplaces + v->n, 2 * (uint64) s->places_max));

		s->places = s->places == NULL ? palloc_extended(max * sizeof(StepPlace), MCXT_ALLOC_HUGE)
									  : repalloc_huge(s->places, max * sizeof(StepPlace));
		s->places_max = Min(max, PG_INT32_MAX);
	}
	s->nconversions = 0;
	walk_labels(&s->walk, v);
	walk_journey(&s->walk, v, add_conversion, s);
	read_times(s, v);
	place = s->places + s->nplaces;
	for (uint32 i = 0; i < v->n; i++)
	{
		const int64 *time = s->times + i;
		bool goes_on = i > 0 && is_within(s->within, time[-1], time[0]);

		if (unlikely(i % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		while (conversion < s->nconversions && s->conversions[conversion] <= i)
			conversion++;
		place[i].item = item_of_number(s, s->walk.labels[journey_label_at(v, i)].item);
		place[i].journey = journey;
		place[i].back = goes_on ? Min(place[i - 1].back + 1, STEPS_MAX) : 0;
		place[i].next = is_decided(s, time[0]) ? NEXT_END : NEXT_UNDECIDED;
		place[i].converted = conversion < s->nconversions &&
							 is_within(s->within, time[0], s->times[s->conversions[conversion]]);
		if (goes_on && place[i - 1].next != NEXT_UNDECIDED)
			place[i - 1].next = place[i].item + NEXT_ITEM;
	}
	s->nplaces += v->n;
}

/* --- items in order, so that answers don't depend on that of journeys --- */

static int
item_cmp(uint32 a, uint32 b, const NextSteps *s)
{
	const ItemKey *x = &s->items[a];
	const ItemKey *y = &s->items[b];
	int cmp = memcmp(x->text, y->text, Min(x->len, y->len));

	return cmp != 0 ? cmp : (x->len > y->len) - (x->len < y->len);
}

#define ST_SORT sort_items
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b, s) item_cmp(*(a), *(b), s)
#define ST_COMPARE_ARG_TYPE const NextSteps
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_numbers
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

static void
number_in_order(NextSteps *s)
{
	uint32 *order = palloc_extended(Max(s->nitems, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	uint32 *rank = palloc_extended(Max(s->nitems, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	ItemKey *items = palloc_extended(Max(s->nitems, 1) * sizeof(ItemKey), MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < s->nitems; i++)
		order[i] = i;
	sort_items(order, s->nitems, s);
	for (uint32 i = 0; i < s->nitems; i++)
	{
		rank[order[i]] = i;
		items[i] = s->items[order[i]];
	}
	for (uint32 i = 0; i < s->nplaces; i++)
	{
		StepPlace *p = &s->places[i];

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		p->item = rank[p->item];
		if (p->next >= NEXT_ITEM)
			p->next = rank[p->next - NEXT_ITEM] + NEXT_ITEM;
	}
	pfree(order);
	pfree(rank);
	if (s->items)
		pfree(s->items);
	s->items = items;
}

/* --- groups --- */

static void
push_group(NextSteps *s, PlaceGroup group)
{
	if (s->ngroups == s->groups_max)
	{
		s->groups_max = Max(64, 2 * s->groups_max);
		s->groups = s->groups == NULL
						? palloc_extended(s->groups_max * sizeof(PlaceGroup), MCXT_ALLOC_HUGE)
						: repalloc_huge(s->groups, s->groups_max * sizeof(PlaceGroup));
	}
	s->groups[s->ngroups++] = group;
}

/* The step before a context of so many, at a place: an item, or nitems: the beginning. */
static inline uint32
step_before(const NextSteps *s, uint32 place, uint32 depth)
{
	return s->places[place].back >= depth ? s->places[place - depth].item : s->nitems;
}

/* Divide a group by the step before its context. */
static void
divide(NextSteps *s, const PlaceGroup *g)
{
	uint32 *order = s->order + g->from;
	uint32 nmet = 0;
	uint32 at = 0;

	for (uint32 i = 0; i < g->n; i++)
	{
		uint32 before = step_before(s, order[i], g->depth);

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (s->counts[before]++ == 0)
			s->met[nmet++] = before;
	}
	sort_numbers(s->met, nmet);
	for (uint32 i = 0; i < nmet; i++)
	{
		uint32 n = s->counts[s->met[i]];

		s->counts[s->met[i]] = at;
		at += n;
	}
	for (uint32 i = 0; i < g->n; i++)
		s->moved[s->counts[step_before(s, order[i], g->depth)]++] = order[i];
	memcpy(order, s->moved, g->n * sizeof(uint32));
	/* counts are now where each ends; the last first, so that the first is on top */
	for (uint32 i = nmet; i-- > 0;)
	{
		uint32 from = i == 0 ? 0 : s->counts[s->met[i - 1]];

		/* no more journeys than places */
		if (s->counts[s->met[i]] - from >= s->at_least)
			push_group(s, (PlaceGroup) {g->from + from, s->counts[s->met[i]] - from, g->depth + 1,
										s->met[i] == s->nitems});
	}
	for (uint32 i = 0; i < nmet; i++)
		s->counts[s->met[i]] = 0;
}

static Datum
item_text(NextSteps *s, uint32 item)
{
	if (s->texts[item] == 0)
	{
		MemoryContext old = MemoryContextSwitchTo(s->rows.cxt);

		s->texts[item] =
			PointerGetDatum(cstring_to_text_with_len(s->items[item].text, s->items[item].len));
		MemoryContextSwitchTo(old);
	}
	return s->texts[item];
}

static int
outcome_cmp(uint32 a, uint32 b, const NextSteps *s)
{
	if (s->outcomes[a].times != s->outcomes[b].times)
		return s->outcomes[a].times > s->outcomes[b].times ? -1 : 1;
	return a < b ? -1 : a > b;
}

#define ST_SORT sort_outcomes
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b, s) outcome_cmp(*(a), *(b), s)
#define ST_COMPARE_ARG_TYPE const NextSteps
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

static inline void
count_outcome(Outcome *o, const StepPlace *p)
{
	o->times++;
	o->converted += p->converted;
	if (o->journey != p->journey + 1)
	{
		o->journey = p->journey + 1;
		o->journeys++;
	}
}

static inline bool
is_named(const NextSteps *s, uint32 next)
{
	return next == NEXT_END || s->outcomes[next].journeys >= s->named_at_least;
}

static Datum
numbers(const Datum *values, uint32 n)
{
	return PointerGetDatum(
		construct_array((Datum *) values, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* The row of a group, if it has enough journeys; the next one's in outcomes is NEXT_UNDECIDED. */
static bool
tell_group(NextSteps *s, const PlaceGroup *g, Datum *values)
{
	const uint32 *order = s->order + g->from;
	const StepPlace *last = &s->places[order[0]];
	Datum context[STEPS_MAX];
	bool context_nulls[STEPS_MAX] = {g->begun};
	Datum *columns[4];
	bool *nulls;
	int64 journeys = 0;
	int64 converted = 0;
	int64 run = 0;
	double squares = 0;
	uint32 nmet = 0;
	uint32 n = 0;
	int lbound = 1;
	int dim;

	for (uint32 i = 0; i < g->n; i++)
	{
		const StepPlace *p = &s->places[order[i]];

		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (i == 0 || p->journey != s->places[order[i - 1]].journey)
		{
			squares += (double) run * run;
			run = 0;
			journeys++;
		}
		run++;
		converted += p->converted;
		if (s->outcomes[p->next].times == 0)
			s->met[nmet++] = p->next;
		count_outcome(&s->outcomes[p->next], p);
	}
	squares += (double) run * run;
	if (journeys >= s->at_least)
	{
		Outcome *other = &s->outcomes[NEXT_UNDECIDED];

		/* again, for a journey may have gone on to several of those that are not named */
		for (uint32 i = 0; i < g->n; i++)
			if (!is_named(s, s->places[order[i]].next))
				count_outcome(other, &s->places[order[i]]);
		for (uint32 i = 0; i < nmet; i++)
			if (is_named(s, s->met[i]))
				s->met[n++] = s->met[i];
			else
				memset(&s->outcomes[s->met[i]], 0, sizeof(Outcome));
		nmet = n;
		sort_outcomes(s->met, nmet, s);
		if (other->times > 0)
			s->met[nmet++] = NEXT_UNDECIDED;
		for (uint32 i = g->begun ? 1 : 0; i < g->depth; i++)
			context[i] = item_text(s, last[(int64) i - (g->depth - 1)].item);
		for (int i = 0; i < 4; i++)
			columns[i] = palloc(nmet * sizeof(Datum));
		nulls = palloc(nmet * sizeof(bool));
		for (uint32 i = 0; i < nmet; i++)
		{
			uint32 next = s->met[i];

			nulls[i] = next == NEXT_END;
			columns[0][i] = next == NEXT_END         ? (Datum) 0
							: next == NEXT_UNDECIDED ? CStringGetTextDatum("(other)")
													 : item_text(s, next - NEXT_ITEM);
			columns[1][i] = Int64GetDatum(s->outcomes[next].journeys);
			columns[2][i] = Int64GetDatum(s->outcomes[next].times);
			columns[3][i] = Int64GetDatum(s->outcomes[next].converted);
		}
		dim = g->depth;
		values[0] = PointerGetDatum(construct_md_array(context, context_nulls, 1, &dim, &lbound,
													   TEXTOID, -1, false, TYPALIGN_INT));
		dim = nmet;
		values[1] = Int64GetDatum(journeys);
		values[2] = Int64GetDatum(g->n);
		values[3] = Float8GetDatum((double) g->n * g->n / squares);
		values[4] = Int64GetDatum(converted);
		values[5] = PointerGetDatum(construct_md_array(columns[0], nulls, 1, &dim, &lbound, TEXTOID,
													   -1, false, TYPALIGN_INT));
		values[6] = numbers(columns[1], nmet);
		values[7] = numbers(columns[2], nmet);
		values[8] = numbers(columns[3], nmet);
	}
	for (uint32 i = 0; i < nmet; i++)
		memset(&s->outcomes[s->met[i]], 0, sizeof(Outcome));
	return journeys >= s->at_least;
}

static bool
next_row(void *arg, Datum *values, bool *nulls)
{
	NextSteps *s = arg;

	while (s->ngroups > 0)
	{
		PlaceGroup g = s->groups[--s->ngroups];
		bool told = g.depth == 0;

		if (g.depth > 0)
			told = tell_group(s, &g, values);
		/* what is longer is not more frequent */
		if (told && !g.begun && g.depth < s->steps)
			divide(s, &g);
		if (told && g.depth > 0)
			return true;
	}
	return false;
}

/* All groups are parts of one: of what is decided. */
static void
prepare_groups(NextSteps *s)
{
	uint32 n = 0;

	number_in_order(s);
	s->order = palloc_extended(Max(s->nplaces, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	s->moved = palloc_extended(Max(s->nplaces, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	s->counts =
		palloc_extended((s->nitems + 1) * sizeof(uint32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	s->met = palloc_extended((s->nitems + NEXT_ITEM + 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	s->outcomes = palloc_extended((s->nitems + NEXT_ITEM) * sizeof(Outcome),
								  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	s->texts =
		palloc_extended(Max(s->nitems, 1) * sizeof(Datum), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i < s->nplaces; i++)
	{
		if (i % LABEL_INTERRUPT_EVERY == 0)
			CHECK_FOR_INTERRUPTS();
		if (s->places[i].next != NEXT_UNDECIDED)
			s->order[n++] = i;
	}
	push_group(s, (PlaceGroup) {0, n, 0, false});
}

static void
read_arguments(NextSteps *s, FunctionCallInfo fcinfo)
{
	const Interval *within = PG_GETARG_INTERVAL_P(3);
	int32 steps = PG_GETARG_INT32(5);
	int32 at_least = PG_GETARG_INT32(6);

	walk_init(&s->walk, CurrentMemoryContext, NAME);
	s->walk.part = label_part_argument(PG_GETARG_DATUM(1));
	s->walk.lookback = PG_UINT64_MAX;
	/* what would be on paths matters to nobody */
	walk_patterns(&s->walk, PG_GETARG_DATUM(2), PG_GETARG_DATUM(2));
	s->within = limit_usecs(within, "the limit of time of " NAME);
	s->until = PG_GETARG_TIMESTAMPTZ(4);
	if (steps < 1 || steps > STEPS_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("steps of %s must be from 1 to %d", NAME, STEPS_MAX),
						errdetail("Found %d.", steps)));
	if (at_least < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("at_least of %s must be positive", NAME),
						errdetail("Found %d.", at_least)));
	s->steps = steps;
	s->at_least = at_least;
	s->named_at_least = Min(at_least, NAMED_AT_LEAST);
	s->table = next_items_create(CurrentMemoryContext, 64, NULL);
}

static void
read_journeys(NextSteps *s, ArrayType *journeys)
{
	ArrayIterator iterator = array_create_iterator(journeys, 0, NULL);
	Datum value;
	bool null;

	for (uint32 i = 0; array_iterate(iterator, &value, &null); i++)
	{
		JourneyArg arg;

		if (i % 64 == 0)
			CHECK_FOR_INTERRUPTS();
		if (null)
			continue;
		journey_arg_open(&arg, value);
		add_journey(s, &arg.view, i);
		journey_arg_close(&arg);
	}
	array_free_iterator(iterator);
}

PG_FUNCTION_INFO_V1(next_steps);
Datum
next_steps(PG_FUNCTION_ARGS)
{
	NextSteps *s = row_set(fcinfo, sizeof(NextSteps));

	if (!s->rows.started)
	{
		MemoryContext old = row_set_start(&s->rows);

		PG_TRY();
		{
			memset((char *) s + sizeof(RowSet), 0, sizeof(NextSteps) - sizeof(RowSet));
			read_arguments(s, fcinfo);
			read_journeys(s, PG_GETARG_ARRAYTYPE_P(0));
			prepare_groups(s);
		}
		PG_CATCH();
		{
			s->rows.started = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
		MemoryContextSwitchTo(old);
	}
	return row_set_rows(fcinfo, &s->rows, next_row);
}
