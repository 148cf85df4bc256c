/*
 * label_counts_agg.c
 *		Journeys and blocks counted by label and period.
 *
 * Labels are numbers: they are counted by number, in passes over their bytes, and a
 * dictionary is looked up once a value. Times are read only where the question has a period
 * or a range; of those not, where a journey lies in one period, or in the range, as a whole.
 * The period of a time is found by its higher bits.
 */
#include "postgres.h"

#include "analytics/label_counts.h"
#include "block/block.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "index/key_table.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Arguments of journey_label_agg_transfn. */
enum
{
	ARG_STATE,
	ARG_JOURNEY,
	ARG_PART,
	ARG_PERIOD,
	ARG_TIME_ZONE,
	ARG_SINCE,
	ARG_UNTIL
};

#define TEXT_ARGS (ARG_TIME_ZONE - ARG_PART + 1)

/* A row of a table of counts: a period of the calendar, numbered by this call site. */
#define ROW_UNKNOWN PG_UINT32_MAX

/* A time finds its slot by its higher bits: 19 hours, which mostly hold one change at most. */
#define SLOT_BITS 36
#define SLOTS 4096

/* Times with the same higher bits: those up to a change, and others up to an end, maybe behind. */
typedef struct Slot
{
	int64 bits; /* PG_INT64_MAX: none as yet */
	int64 ends[2];
	uint32 rows[2]; /* ROW_UNKNOWN: to be asked for each time */
} Slot;

/*
 * Cells of the state at hand by row and by the number of what is counted: 1 + the cell, or 0.
 * What is not known, or would take too much room, is looked up.
 */
typedef struct CellMap
{
	uint32 *cells;
	uint64 serial; /* of the state */
	uint32 rows;
	uint32 stride;
} CellMap;

#define MAP_MOST 0x40000

/* What a call site keeps. */
typedef struct LabelSite
{
	MemoryContext cxt; /* holds it */
	bool known;
	text *texts[TEXT_ARGS]; /* as given; NULL: null, or not there */
	LabelQuestion question;
	Calendar calendar;
	Slot *slots;
	keytable_hash *row_table; /* of rows by period */
	int32 *periods;           /* by row */
	uint32 nrows;
	uint32 rows_max;
	CellMap map;
	uint64 journey; /* number of the one at hand, from 1 */
} LabelSite;

/* What a value has of a label or part of one, by its place among those that it has. */
typedef struct LabelTally
{
	int64 touchpoints;
	int64 customers;
	uint64 journey; /* the last one that has it, from 1 */
} LabelTally;

/* The labels of a value, and what is counted of them. */
typedef struct Tally
{
	LabelCounts *state;
	uint32 nplaces;
	uint32 *numbers; /* of what is counted, by place */
	uint32 *places;  /* of each label; NULL: they are labels */
	LabelTally *of;
} Tally;

/* Times of a journey, and labels from its first touchpoint's on: in a block they are others' too. */
typedef struct LabelledTimes
{
	JourneyView times;
	const uint8 *readable; /* memory up to here may be read */
	const JourneyView *labels;
	uint32 first;
} LabelledTimes;

/* --- what is asked --- */

static int
part_argument(const text *value)
{
	for (int part = 0; part < COUNTED_PARTS; part++)
		if (text_is(value, counted_parts[part]))
			return part;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown part of a label: \"%s\"", text_to_cstring(value)),
					errhint("Use \"label\", \"channel\", \"action\", \"detail\" or \"all\".")));
}

static void
argument_null(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("%s of journey_label_agg must not be null", what)));
}

/* The arguments are others than before: keep them, and what is made of them. */
static void
new_question(LabelSite *site, MemoryContext cxt, int nargs, text *const *texts, int64 since,
			 int64 until)
{
	LabelQuestion q = {.part = PART_LABEL, .since = since, .until = until};
	const text *period = texts[ARG_PERIOD - ARG_PART];
	const text *zone = texts[ARG_TIME_ZONE - ARG_PART];

	site->known = false;
	if (nargs > ARG_PART)
	{
		if (texts[0] == NULL)
			argument_null("part");
		q.part = part_argument(texts[0]);
	}
	if (since > until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the range ends before it begins: from %s until %s",
						pstrdup(timestamptz_to_str(since)), pstrdup(timestamptz_to_str(until))),
				 errhint("Give the earlier time first.")));
	if (period && !text_is(period, "all"))
	{
		if (!calendar_unit_find(VARDATA_ANY(period), VARSIZE_ANY_EXHDR(period), &q.unit))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("unknown period: \"%s\"", text_to_cstring(period)),
							errhint("Use day, week, month, quarter, year or all.")));
		if (zone == NULL)
			argument_null("time_zone");
		q.by_period = true;
		calendar_set(&site->calendar, period, zone);
		q.zone = site->calendar.zone;
	}
	for (int i = 0; i < TEXT_ARGS; i++)
	{
		if (site->texts[i])
			pfree(site->texts[i]);
		site->texts[i] = NULL;
		if (texts[i])
		{
			site->texts[i] = MemoryContextAlloc(cxt, VARSIZE_ANY(texts[i]));
			memcpy(site->texts[i], texts[i], VARSIZE_ANY(texts[i]));
		}
	}
	if (site->periods == NULL)
	{
		site->rows_max = 64;
		site->periods = MemoryContextAlloc(cxt, site->rows_max * sizeof(int32));
	}
	if (q.by_period && site->slots == NULL)
	{
		site->slots = MemoryContextAlloc(cxt, SLOTS * sizeof(Slot));
		site->row_table = keytable_create(cxt, 64, NULL);
	}
	if (q.by_period)
	{
		keytable_reset(site->row_table);
		for (int i = 0; i < SLOTS; i++)
			site->slots[i].bits = PG_INT64_MAX;
	}
	site->periods[0] = 0;
	site->nrows = q.by_period ? 0 : 1;
	site->question = q;
	site->known = true;
}

/* This call's, which knows what is asked; cheap if that is the same as before. */
static LabelSite *
call_site(FunctionCallInfo fcinfo)
{
	LabelSite *site = fcinfo->flinfo->fn_extra;
	MemoryContext cxt = fcinfo->flinfo->fn_mcxt;
	int nargs = PG_NARGS();
	text *texts[TEXT_ARGS] = {NULL};
	int64 since = DT_NOBEGIN;
	int64 until = DT_NOEND;
	bool same;

	if (unlikely(site == NULL))
	{
		site = MemoryContextAllocZero(cxt, sizeof(LabelSite));
		site->cxt = cxt;
		fcinfo->flinfo->fn_extra = site;
	}
	if (nargs > ARG_UNTIL)
	{
		since = PG_ARGISNULL(ARG_SINCE) ? since : PG_GETARG_TIMESTAMPTZ(ARG_SINCE);
		until = PG_ARGISNULL(ARG_UNTIL) ? until : PG_GETARG_TIMESTAMPTZ(ARG_UNTIL);
	}
	same = site->known && since == site->question.since && until == site->question.until;
	for (int i = 0; i < TEXT_ARGS && ARG_PART + i < nargs; i++)
	{
		if (!PG_ARGISNULL(ARG_PART + i))
			texts[i] = short_text_argument(PG_GETARG_DATUM(ARG_PART + i));
		same = same && same_text(site->texts[i], texts[i]);
	}
	if (unlikely(!same))
		new_question(site, cxt, nargs, texts, since, until);
	return site;
}

/* Is there something that only times tell? */
static inline bool
asks_times(const LabelQuestion *q)
{
	return q->by_period || !TIMESTAMP_IS_NOBEGIN(q->since) || !TIMESTAMP_IS_NOEND(q->until);
}

/* --- the calendar, by rows --- */

static uint32
row_of_period(LabelSite *site, int32 number)
{
	bool found;
	KeyEntry *entry;

	/* an error, if it begins before there are dates */
	calendar_date(site->calendar.unit, number);
	if (site->nrows == site->rows_max)
	{
		site->periods = repalloc_huge(site->periods, 2 * (size_t) site->rows_max * sizeof(int32));
		site->rows_max *= 2;
	}
	entry = keytable_insert(site->row_table, number, &found);
	if (found)
		return entry->number;
	entry->number = site->nrows;
	site->periods[site->nrows] = number;
	return site->nrows++;
}

/* Fill a slot with the times that begin with these bits. */
static pg_noinline void
fill_slot(LabelSite *site, Slot *slot, int64 bits)
{
	int64 first = (int64) ((uint64) bits << SLOT_BITS);
	int64 last = first + ((INT64CONST(1) << SLOT_BITS) - 1);
	int64 from;
	int64 to;
	int32 numbers[2];
	int changes = 0;

	slot->bits = PG_INT64_MAX;
	/* there may be none before and behind */
	first = Max(first, MIN_TIMESTAMP);
	last = Min(last, END_TIMESTAMP - 1);
	numbers[0] = numbers[1] = calendar_stretch(&site->calendar, first, &from, &to);
	slot->ends[0] = PG_INT64_MIN;
	while (to <= last)
	{
		int64 change = to;
		int32 number = calendar_stretch(&site->calendar, change, &from, &to);

		if (number == numbers[1])
			continue;
		changes++;
		slot->ends[0] = change;
		numbers[1] = number;
	}
	slot->ends[1] = to;
	/* those that begin before there are dates are an error only if there is such a time */
	for (int i = 0; i < 2; i++)
		slot->rows[i] = changes > 1 || !calendar_has_date(site->calendar.unit, numbers[i])
							? ROW_UNKNOWN
							: row_of_period(site, numbers[i]);
	slot->bits = bits;
}

/* The slot of a time, filled. */
static inline const Slot *
slot_of(LabelSite *site, int64 time)
{
	int64 bits = time >> SLOT_BITS;
	Slot *slot = &site->slots[(uint64) bits % SLOTS];

	if (unlikely(slot->bits != bits))
		fill_slot(site, slot, bits);
	return slot;
}

/* The row of a time and of those up to an end, behind it. */
static inline uint32
row_of(LabelSite *site, int64 time, int64 *end)
{
	const Slot *slot;
	uint32 row;
	int64 from;

	if (!site->question.by_period)
	{
		*end = PG_INT64_MAX;
		return 0;
	}
	slot = slot_of(site, time);
	row = slot->rows[time >= slot->ends[0]];
	*end = slot->ends[time >= slot->ends[0]];
	if (unlikely(row == ROW_UNKNOWN))
		row = row_of_period(site, calendar_stretch(&site->calendar, time, &from, end));
	return row;
}

/* --- the labels of a value --- */

/* Begin with a value whose labels are those of v. */
static void
tally_start(Tally *t, LabelCounts *s, const JourneyView *v)
{
	int part = s->question.part;
	TouchLabel none = {.channel = "", .action = "", .detail = ""};

	t->state = s;
	t->places = NULL;
	if (part == PART_ALL)
	{
		t->nplaces = 1;
		t->numbers = palloc(sizeof(uint32));
		t->numbers[0] = label_dict_add(s->dict, &none);
		t->of = palloc0(sizeof(LabelTally));
		return;
	}
	/* a false number of labels must ask for nothing huge */
	dictionary_check_count(v);
	t->numbers = journey_intern_labels(v, s->dict);
	t->nplaces = v->nlabels;
	if (part != PART_LABEL)
	{
		t->nplaces = 0;
		t->places = palloc_extended(Max(v->nlabels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
		label_dict_new_stamp(s->dict);
		for (uint32 label = 0; label < v->nlabels; label++)
		{
			uint32 number = label_part_number(s->dict, t->numbers[label], part);
			LabelMark *mark = &s->dict->marks[number];

			if (mark->stamp != s->dict->stamp)
			{
				mark->stamp = s->dict->stamp;
				mark->code = t->nplaces++;
			}
			t->places[label] = mark->code;
			t->numbers[mark->code] = number; /* no label behind this one has been looked at */
		}
	}
	t->of =
		palloc_extended(Max(t->nplaces, 1) * sizeof(LabelTally), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static inline uint32
place_of(const Tally *t, uint32 label)
{
	return t->places ? t->places[label] : label;
}

static void
tally_end(Tally *t)
{
	for (uint32 place = 0; place < t->nplaces; place++)
	{
		LabelCounts *s = t->state;
		LabelCell *cell;
		uint32 i;

		if (t->of[place].touchpoints == 0)
			continue;
		i = label_counts_cell(s, 0, t->numbers[place]);
		cell = &s->cells[i];
		cell->touchpoints += t->of[place].touchpoints;
		cell->customers += t->of[place].customers;
	}
	pfree(t->numbers);
	pfree(t->of);
	if (t->places)
		pfree(t->places);
}

/* --- without times --- */

/* Count the touchpoints [from, to), which are those of a journey. */
static void
tally_journey(const Tally *t, const JourneyView *v, uint32 from, uint32 to, uint64 journey)
{
	if (t->state->question.part == PART_ALL)
	{
		t->of[0].touchpoints += to - from;
		t->of[0].customers += to > from;
		return;
	}
	for (uint32 i = from; i < to; i++)
	{
		LabelTally *of = &t->of[place_of(t, journey_label_at(v, i))];

		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		of->touchpoints++;
		of->customers += of->journey != journey;
		of->journey = journey;
	}
}

#define BYTES 256

/* How often each byte is there; in four counts, for one waits for the one before of the same. */
static void
count_bytes(const uint8 *bytes, uint32 n, uint64 *counts)
{
	uint32 of[4][BYTES] = {{0}};
	uint32 i = 0;

	for (; i + 8 <= n; i += 8)
	{
		uint64 word = load_little64(bytes + i);

		of[0][word & 0xff]++;
		of[1][word >> 8 & 0xff]++;
		of[2][word >> 16 & 0xff]++;
		of[3][word >> 24 & 0xff]++;
		of[0][word >> 32 & 0xff]++;
		of[1][word >> 40 & 0xff]++;
		of[2][word >> 48 & 0xff]++;
		of[3][word >> 56]++;
		if (unlikely(i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
	}
	for (; i < n; i++)
		of[0][bytes[i]]++;
	for (int k = 0; k < BYTES; k++)
		counts[k] = (uint64) of[0][k] + of[1][k] + of[2][k] + of[3][k];
}

/* In a journey of more touchpoints it pays to look at all places afterwards. */
#define MARK_MIN 32

/* In how many journeys of a block, whose labels are bytes, each place is. */
static void
count_customers(const Tally *t, BlockCursor *c, uint32 *customers)
{
	const uint8 *labels = c->block->shared.labels;
	uint8 places[BYTES] = {0};
	uint32 journeys[BYTES] = {0}; /* the last one that has it */
	uint8 has[BYTES] = {0};

	for (uint32 label = 0; label < c->block->shared.nlabels; label++)
		places[label] = place_of(t, label);
	while (block_next(c))
	{
		const uint8 *label = labels + c->first;
		const uint8 *end = label + c->n;

		if (unlikely(c->i % LABEL_INTERRUPT_EVERY == 0))
			CHECK_FOR_INTERRUPTS();
		if (c->n < MARK_MIN)
		{
			for (; label < end; label++)
			{
				uint8 place = places[*label];

				customers[place] += journeys[place] != c->i;
				journeys[place] = c->i;
			}
			continue;
		}
		CHECK_FOR_INTERRUPTS();
		/* none waits for the one before */
		while (label < end)
			has[places[*label++]] = 1;
		for (int place = 0; place < BYTES; place++)
			customers[place] += has[place];
		memset(has, 0, sizeof(has));
	}
}

/* The same as tally_journey of all journeys of a block whose labels are bytes. */
static void
tally_bytes(const Tally *t, BlockCursor *c)
{
	const JourneyView *v = &c->block->shared;
	uint32 customers[BYTES] = {0};
	uint64 counts[BYTES];

	count_bytes(v->labels, c->block->touchpoints, counts);
	for (uint32 label = 0; label < BYTES; label++)
	{
		if (counts[label] == 0)
			continue;
		if (label >= v->nlabels)
			journey_corrupt("a touchpoint's label is not in the dictionary");
		t->of[place_of(t, label)].touchpoints += counts[label];
	}
	count_customers(t, c, customers);
	for (uint32 place = 0; place < t->nplaces; place++)
		t->of[place].customers += customers[place];
}

/* --- with times --- */

uint32 *
counted_numbers(LabelDict *dict, const JourneyView *v, int part)
{
	TouchLabel none = {.channel = "", .action = "", .detail = ""};
	uint32 *numbers;

	if (part == PART_ALL)
	{
		numbers = palloc(sizeof(uint32));
		numbers[0] = label_dict_add(dict, &none);
		return numbers;
	}
	dictionary_check_count(v);
	numbers = journey_intern_labels(v, dict);
	if (part != PART_LABEL)
		for (uint32 label = 0; label < v->nlabels; label++)
			numbers[label] = label_part_number(dict, numbers[label], part);
	return numbers;
}

/* Turn the map to a state, of which so many touchpoints will be counted. */
static void
map_turn(LabelSite *site, const LabelCounts *s, uint32 touchpoints)
{
	CellMap *map = &site->map;
	uint32 numbers = s->dict->nlabels;
	bool known = map->serial == s->serial;

	if (known && numbers <= map->stride)
		return;
	map->serial = 0;
	if (numbers > map->stride)
	{
		if (numbers > MAP_MOST)
			return;
		if (map->cells)
			pfree(map->cells);
		map->cells = NULL;
		map->stride = pg_nextpower2_32(Max(numbers, 8));
		map->rows = Min(Max(pg_nextpower2_32(Max(site->nrows, 1)), 8), MAP_MOST / map->stride);
		map->cells =
			MemoryContextAllocZero(site->cxt, (size_t) map->rows * map->stride * sizeof(uint32));
	}
	/* for a few, looking them up takes less */
	else if ((uint64) map->rows * map->stride <= 4 * (uint64) touchpoints)
		memset(map->cells, 0, (size_t) map->rows * map->stride * sizeof(uint32));
	else
		return;
	map->serial = s->serial;
}

/* A cell that the map does not know. */
static pg_noinline uint32
find_cell(LabelSite *site, LabelCounts *s, uint32 row, uint32 number)
{
	CellMap *map = &site->map;
	uint32 cell = label_counts_cell(s, site->periods[row], number);

	if (map->serial != s->serial || number >= map->stride)
		return cell;
	if (row >= map->rows && row < MAP_MOST / map->stride)
	{
		size_t old = (size_t) map->rows * map->stride;
		uint32 rows = Min(pg_nextpower2_32(row + 1), MAP_MOST / map->stride);
		size_t new = (size_t) rows * map->stride;

		map->cells = repalloc(map->cells, new * sizeof(uint32));
		memset(map->cells + old, 0, (new - old) * sizeof(uint32));
		map->rows = rows;
	}
	if (row < map->rows)
		map->cells[(size_t) row * map->stride + number] = cell + 1;
	return cell;
}

static pg_attribute_always_inline void
count_in_cell(LabelSite *site, LabelCounts *s, uint32 row, uint32 number, uint32 n)
{
	const CellMap *map = &site->map;
	uint32 i = 0;
	LabelCell *cell;

	if (likely(row < map->rows && map->serial == s->serial && number < map->stride))
		i = map->cells[(size_t) row * map->stride + number];
	if (unlikely(i == 0))
		i = find_cell(site, s, row, number) + 1;
	cell = &s->cells[i - 1];
	cell->touchpoints += n;
	cell->customers += cell->journey != s->journey;
	cell->journey = s->journey;
}

/* Count touchpoints [from, to), which all lie in a row. */
static pg_attribute_always_inline void
count_row(LabelSite *site, LabelCounts *s, const uint32 *numbers, const JourneyView *v, uint32 row,
		  uint32 from, uint32 to)
{
	if (s->question.part == PART_ALL)
	{
		count_in_cell(site, s, row, numbers[0], to - from);
		return;
	}
	for (uint32 i = from; i < to; i++)
	{
		if (unlikely(i % LABEL_INTERRUPT_EVERY == LABEL_INTERRUPT_EVERY - 1))
			CHECK_FOR_INTERRUPTS();
		count_in_cell(site, s, row, numbers[journey_label_at(v, i)], 1);
	}
}

/* So many times are read at once. */
#define TIMES_AHEAD 128

/*
 * Count the touchpoints from c's up to "to" by their periods. Every time is read: where a period has
 * few, that takes less than to find its end, for no branch depends on them.
 */
static void
count_each(LabelSite *site, LabelCounts *s, const uint32 *numbers, const LabelledTimes *t,
		   EliasFanoCursor *c, uint32 to)
{
	const JourneyView *v = &t->times;

	while (c->i < to)
	{
		uint32 from = c->i;
		uint32 n = Min(TIMES_AHEAD, to - from);
		int64 times[TIMES_AHEAD];
		uint32 rows[TIMES_AHEAD]; /* of neighbours in one row */
		uint32 ends[TIMES_AHEAD];
		uint32 row = ROW_UNKNOWN - 1; /* none */
		uint32 k = PG_UINT32_MAX;
		uint32 done = 0;

		CHECK_FOR_INTERRUPTS();
		if (unlikely(!ef_read_scaled(&v->times, c, t->readable, v->first, v->unit, times, n)))
			journey_corrupt("a time is impossible");
		for (uint32 i = 0; i < n; i++)
		{
			const Slot *slot = slot_of(site, times[i]);
			uint32 here = slot->rows[times[i] >= slot->ends[0]];

			k += here != row;
			row = here;
			rows[k] = row;
			ends[k] = i + 1;
		}
		for (uint32 run = 0; run <= k; run++)
		{
			row = rows[run];
			while (done < ends[run])
			{
				uint32 end = ends[run];
				int64 unused;

				if (unlikely(rows[run] == ROW_UNKNOWN))
				{
					row = row_of(site, times[done], &unused);
					end = done + 1;
				}
				count_row(site, s, numbers, t->labels, row, t->first + from + done,
						  t->first + from + end);
				done = end;
			}
		}
	}
}

/* With more touchpoints a period, its end is searched for. */
#define SKIP_MIN 16

/* About how long periods are. */
static const int64 unit_usecs[CALENDAR_UNITS] = {[CALENDAR_DAY] = USECS_PER_DAY,
												 [CALENDAR_WEEK] = 7 * USECS_PER_DAY,
												 [CALENDAR_MONTH] = 30 * USECS_PER_DAY,
												 [CALENDAR_QUARTER] = 91 * USECS_PER_DAY,
												 [CALENDAR_YEAR] = 365 * USECS_PER_DAY};

/* Count a journey that has touchpoints: those in the range, as many at once as are in one period. */
static void
count_journey(LabelSite *site, LabelCounts *s, const uint32 *numbers, const LabelledTimes *t)
{
	const LabelQuestion *q = &site->question;
	const JourneyView *v = &t->times;
	uint32 to = v->n;
	EliasFanoCursor c;

	s->journey = ++site->journey;
	if (v->last < q->since || v->first >= q->until)
		return;
	ef_start(&v->times, &c);
	if (v->first < q->since)
		ef_skip(&v->times, &c, journey_offset_from_time(v, q->since));
	if (v->last >= q->until)
	{
		EliasFanoCursor end = c;

		ef_skip(&v->times, &end, journey_offset_from_time(v, q->until));
		to = end.i;
	}
	while (c.i < to)
	{
		uint32 from = c.i;
		uint32 row = 0;
		int64 end = PG_INT64_MAX;

		if (q->by_period)
		{
			EliasFanoCursor here = c;
			int64 time = journey_time_from_offset(v, ef_next(&v->times, &here));

			row = row_of(site, time, &end);
			if (v->last >= end &&
				(to - from < SKIP_MIN ||
				 (to - from) / SKIP_MIN <= (uint64) (v->last - time) / unit_usecs[q->unit]))
			{
				count_each(site, s, numbers, t, &c, to);
				return;
			}
		}
		if (v->last < end)
			c.i = to;
		else
		{
			ef_skip(&v->times, &c, journey_offset_from_time(v, end));
			c.i = Min(c.i, to);
		}
		if (unlikely(c.i == from))
			journey_corrupt("a time is impossible");
		count_row(site, s, numbers, t->labels, row, t->first + from, t->first + c.i);
		CHECK_FOR_INTERRUPTS();
	}
}

/* --- the transition functions --- */

static LabelCounts *
state_argument(FunctionCallInfo fcinfo, const LabelSite *site, MemoryContext cxt)
{
	LabelCounts *s;

	if (PG_ARGISNULL(ARG_STATE))
		return label_counts_create(cxt, &site->question);
	s = (LabelCounts *) PG_GETARG_POINTER(ARG_STATE);
	label_counts_check(&s->question, &site->question);
	return s;
}

PG_FUNCTION_INFO_V1(journey_label_agg_transfn);
Datum
journey_label_agg_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_label_agg");
	LabelSite *site = call_site(fcinfo);
	LabelCounts *s;
	JourneyArg arg;
	Tally t;

	if (PG_ARGISNULL(ARG_JOURNEY))
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo, site, cxt);
	journey_arg_open(&arg, PG_GETARG_DATUM(ARG_JOURNEY));
	if (!asks_times(&site->question))
	{
		tally_start(&t, s, &arg.view);
		tally_journey(&t, &arg.view, 0, arg.view.n, 1);
		tally_end(&t);
	}
	else if (arg.view.n > 0)
	{
		uint32 *numbers = counted_numbers(s->dict, &arg.view, s->question.part);

		LabelledTimes t = {arg.view, arg.view.times.high + arg.view.times.high_len, &arg.view, 0};

		map_turn(site, s, arg.view.n);
		count_journey(site, s, numbers, &t);
		pfree(numbers);
	}
	journey_arg_close(&arg);
	PG_RETURN_POINTER(s);
}

/* The journeys of a block with their times. */
static void
count_block(LabelSite *site, LabelCounts *s, BlockCursor *c)
{
	const BlockView *b = c->block;
	uint32 *numbers = counted_numbers(s->dict, &b->shared, s->question.part);
	LabelledTimes t = {.readable = b->times + b->times_len, .labels = &b->shared};

	map_turn(site, s, b->touchpoints);
	while (block_next(c))
	{
		CHECK_FOR_INTERRUPTS();
		if (c->n == 0)
			continue;
		block_times(c, &t.times);
		t.first = c->first;
		count_journey(site, s, numbers, &t);
	}
	pfree(numbers);
}

PG_FUNCTION_INFO_V1(journey_label_agg_block_transfn);
Datum
journey_label_agg_block_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_label_agg");
	LabelSite *site = call_site(fcinfo);
	LabelCounts *s;
	bool times = asks_times(&site->question);
	BlockArg arg;
	BlockCursor *c = &arg.cursor;
	const JourneyView *shared = &arg.view.shared;
	Tally t;

	if (PG_ARGISNULL(ARG_JOURNEY))
		return unchanged_state(fcinfo);
	block_arg_open(&arg, PG_GETARG_DATUM(ARG_JOURNEY), times ? BLOCK_TIMES : BLOCK_LABELS);
	if (arg.view.n == 0)
		return unchanged_state(fcinfo);
	s = state_argument(fcinfo, site, cxt);
	if (times)
		count_block(site, s, c);
	else
	{
		tally_start(&t, s, shared);
		if (site->question.part != PART_ALL && shared->label_width == 1)
			tally_bytes(&t, c);
		else
			while (block_next(c))
			{
				if (unlikely(c->i % LABEL_INTERRUPT_EVERY == 0))
					CHECK_FOR_INTERRUPTS(); /* journeys may be empty */
				tally_journey(&t, shared, c->first, c->first + c->n, c->i);
			}
		tally_end(&t);
	}
	block_arg_close(&arg);
	PG_RETURN_POINTER(s);
}
