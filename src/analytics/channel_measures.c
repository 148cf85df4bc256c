/*
 * channel_measures.c
 *		The state of channel_measures_agg: an expanded object that makes a value.
 *
 * It is changed in place, in a context below the aggregate's, so that the executor
 * neither copies it nor loses count of its memory; whoever stores it or sends it
 * elsewhere gets the flat form. An aggregate's states share that context, which goes
 * with the aggregate's: none is ever deleted alone.
 */
#include "postgres.h"

#include "analytics/channel_measures.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "compat.h"
#include "journey/bits.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MEASURES_MAGIC 0x4d454153

typedef struct NameEntry
{
	NameText name;
	uint32 hash;
	uint32 number;
	char status;
} NameEntry;

#define SH_PREFIX names
#define SH_ELEMENT_TYPE NameEntry
#define SH_KEY_TYPE NameText
#define SH_KEY name
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key).text, (key).len)
#define SH_EQUAL(tb, a, b) ((a).len == (b).len && memcmp((a).text, (b).text, (a).len) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A period by its number; a cell by period and channel; a transition by both channels, too. */
typedef struct Key
{
	uint32 a;
	uint32 b;
	uint32 c;
} Key;

/* All three are small and dense; one of random 64 bits would take longer. */
static inline uint32
hash_key(Key key)
{
	uint32 h = key.a * 0x9e3779b1 ^ key.b * 0x85ebca77 ^ key.c * 0xc2b2ae3d;

	h ^= h >> 15;
	h *= 0x2c1b3c6d;
	return h ^ h >> 13;
}

typedef struct KeyEntry
{
	Key key;
	uint32 number;
	char status;
} KeyEntry;

#define SH_PREFIX keys
#define SH_ELEMENT_TYPE KeyEntry
#define SH_KEY_TYPE Key
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_key(key)
#define SH_EQUAL(tb, x, y) ((x).a == (y).a && (x).b == (y).b && (x).c == (y).c)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

const char *const measures_list_names[MEASURES_LISTS] = {
	[LIST_NOT_OWN] = "not_own",
	[LIST_DIGITAL] = "digital",
	[LIST_PERSONAL] = "personal",
};

const char *const measures_kinds[MEASURES_KINDS] = {"channels", "transitions", "median_time",
													"customers"};

/* The bits of what is called so, with what goes with it. */
bool
measures_kind_find(const char *name, size_t len, uint8 *kind)
{
	for (int i = 0; i < MEASURES_KINDS; i++)
		if (strlen(measures_kinds[i]) == len && memcmp(measures_kinds[i], name, len) == 0)
		{
			*kind = 1 << i;
			if (*kind & (MEASURES_TIMES | MEASURES_CUSTOMERS))
				*kind |= MEASURES_TRANSITIONS;
			return true;
		}
	return false;
}

static Size flat_size(ExpandedObjectHeader *eohptr);
static void flatten_into(ExpandedObjectHeader *eohptr, void *result, Size allocated_size);

static const ExpandedObjectMethods measures_methods = {flat_size, flatten_into};

/* --- lists of names --- */

static inline int
name_cmp(const NameText *a, const NameText *b)
{
	return label_bytes_cmp(a->text, a->len, b->text, b->len);
}

#define ST_SORT sort_names
#define ST_ELEMENT_TYPE NameText
#define ST_COMPARE(a, b) name_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* The list of these names, which are put in order there. */
void
name_list_set(NameList *list, NameText *names, uint32 n)
{
	list->names = names;
	list->n = 0;
	sort_names(names, n);
	for (uint32 i = 0; i < n; i++)
		if (list->n == 0 || name_cmp(&names[list->n - 1], &names[i]) != 0)
			names[list->n++] = names[i];
}

bool
name_list_has(const NameList *list, const char *name, size_t len)
{
	uint32 low = 0;
	uint32 high = list->n;

	while (low < high)
	{
		uint32 mid = low + (high - low) / 2;
		int cmp = label_bytes_cmp(name, len, list->names[mid].text, list->names[mid].len);

		if (cmp == 0)
			return true;
		if (cmp < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

/* --- writing --- */

/* Bytes that grow; where a value begins, room for its length word is left. */
typedef struct Writer
{
	uint8 *data;
	size_t len;
	size_t max;
} Writer;

static void
writer_init(Writer *w, MemoryContext cxt)
{
	w->max = 512;
	w->data = MemoryContextAlloc(cxt, w->max);
	w->len = VARHDRSZ;
}

static inline void
write_room(Writer *w, size_t more)
{
	if (likely(w->max - w->len >= more))
		return;
	if (w->len + more > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("channel_measures is too large"),
				 errdetail("It would have more than %zu bytes.", (size_t) MaxAllocSize),
				 errhint("Ask for a shorter range, or for longer periods.")));
	w->max = Min(MaxAllocSize, 2 * (w->len + more));
	w->data = repalloc(w->data, w->max);
}

static inline void
write_number(Writer *w, uint64 number)
{
	write_room(w, LEB_MAX_BYTES);
	w->len = leb_write(w->data + w->len, number) - w->data;
}

static void
write_name(Writer *w, const NameText *name)
{
	write_number(w, name->len);
	write_room(w, name->len);
	if (name->len > 0) /* without one, there is no text either */
		memcpy(w->data + w->len, name->text, name->len);
	w->len += name->len;
}

/* The question as a flat form begins with it. */
struct varlena *
measures_asked(const MeasuresQuestion *q)
{
	Writer w;

	writer_init(&w, CurrentMemoryContext);
	w.data[w.len++] = MEASURES_VERSION;
	w.data[w.len++] = q->by_period ? 1 + q->unit : 0;
	w.data[w.len++] = q->measures;
	write_number(&w, q->session_gap);
	write_number(&w, q->handoff_within);
	write_number(&w, zigzag(q->since));
	write_number(&w, zigzag(q->until));
	write_name(&w, &q->time_zone);
	for (int i = 0; i < MEASURES_LISTS; i++)
	{
		write_number(&w, q->lists[i].n);
		for (uint32 k = 0; k < q->lists[i].n; k++)
			write_name(&w, &q->lists[i].names[k]);
	}
	SET_VARSIZE(w.data, w.len);
	return (struct varlena *) w.data;
}

/* --- the state --- */

/*
 * The context of all states in an aggregate's context. One for each state would be
 * looked at whenever a hash aggregate with many groups asks for its memory.
 */
MemoryContext
measures_context(MemoryContext aggregate)
{
	static const char *const name = "channel_measures";

	for (MemoryContext child = aggregate->firstchild; child; child = child->nextchild)
		if (child->name == name)
			return child;
	return AllocSetContextCreateInternal(aggregate, name, ALLOCSET_START_SMALL_SIZES);
}

/* A state in cxt, which holds all of it. */
Measures *
measures_create(const struct varlena *asked, MemoryContext cxt)
{
	static uint64 serial;
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Measures *m = palloc0(sizeof(Measures));
	MeasuresReader r = {0};

	EOH_init_header(&m->hdr, &measures_methods, cxt);
	m->magic = MEASURES_MAGIC;
	m->serial = ++serial;
	m->asked = palloc(VARSIZE_ANY_EXHDR(asked) + VARHDRSZ);
	SET_VARSIZE(m->asked, VARSIZE_ANY_EXHDR(asked) + VARHDRSZ);
	memcpy(VARDATA(m->asked), VARDATA_ANY(asked), VARSIZE_ANY_EXHDR(asked));
	r.p = (const uint8 *) VARDATA(m->asked);
	r.end = r.p + VARSIZE(m->asked) - VARHDRSZ;
	measures_read_question(&r);
	m->question = r.question;
	m->channel_table = names_create(cxt, 8, NULL);
	m->period_table = keys_create(cxt, 2, NULL);
	m->cell_table = keys_create(cxt, 8, NULL);
	m->transition_table = keys_create(cxt, 8, NULL);
	MemoryContextSwitchTo(old);
	return m;
}

/* A state of which this is the flat form. */
Measures *
measures_of_flat(const struct varlena *flat, bool received, MemoryContext cxt)
{
	MeasuresReader r = {.received = received};
	struct varlena *asked;
	Measures *m;

	measures_read(&r, flat);
	asked = measures_asked(&r.question);
	m = measures_create(asked, cxt);
	measures_merge(m, flat, received);
	pfree(asked);
	return m;
}

/* A state argument: as it is, if it may be changed. */
Measures *
measures_state_argument(Datum d, MemoryContext aggregate)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(d);

	if (VARATT_IS_EXTERNAL_EXPANDED_RW(value))
	{
		Measures *m = (Measures *) DatumGetEOHP(d);

		if (m->magic != MEASURES_MAGIC)
			elog(ERROR, "state of channel_measures_agg is something else");
		return m;
	}
	return measures_of_flat(PG_DETOAST_DATUM_PACKED(d), false, measures_context(aggregate));
}

/* The state will be another one than its flat form tells. */
void
measures_change(Measures *m)
{
	if (m->flat)
	{
		pfree(m->flat);
		m->flat = NULL;
	}
}

/* The array at "where", of elements of a size, with room for one more. */
static inline void *
array_room(Measures *m, void *array, size_t size, uint32 n, uint32 *max)
{
	if (likely(n < *max))
		return array;
	if (*max == 0)
	{
		*max = 4;
		return MemoryContextAlloc(m->hdr.eoh_context, *max * size);
	}
	if (*max >= 1U << 31)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("channel_measures is too large"),
				 errhint("Ask for a shorter range, or for longer periods.")));
	array = repalloc_huge(array, 2 * (size_t) *max * size);
	*max *= 2;
	return array;
}

/* The number of a channel, new or known. */
uint32
measures_add_channel(Measures *m, const char *name, size_t len)
{
	NameText key = {name, len};
	NameEntry *entry = names_lookup(m->channel_table, key);
	MeasuresChannel *channel;
	char *copy;
	bool found;

	if (entry)
		return entry->number;
	m->channels =
		array_room(m, m->channels, sizeof(MeasuresChannel), m->nchannels, &m->channels_max);
	copy = MemoryContextAlloc(m->hdr.eoh_context, Max(len, 1));
	memcpy(copy, name, len);
	key.text = copy;
	channel = &m->channels[m->nchannels];
	channel->name = key;
	channel->digital = name_list_has(&m->question.lists[LIST_DIGITAL], name, len);
	channel->personal = name_list_has(&m->question.lists[LIST_PERSONAL], name, len);
	names_insert(m->channel_table, key, &found)->number = m->nchannels;
	return m->nchannels++;
}

uint32
measures_add_period(Measures *m, int32 number)
{
	Key key = {(uint32) number, 0, 0};
	bool found;
	KeyEntry *entry = keys_insert(m->period_table, key, &found);

	if (found)
		return entry->number;
	entry->number = m->nperiods;
	m->periods = array_room(m, m->periods, sizeof(MeasuresPeriod), m->nperiods, &m->periods_max);
	memset(&m->periods[m->nperiods], 0, sizeof(MeasuresPeriod));
	m->periods[m->nperiods].number = number;
	memset(m->periods[m->nperiods].cells, 0xff, sizeof(m->periods->cells));
	return m->nperiods++;
}

static uint32
new_cell(Measures *m, uint32 period, uint32 channel)
{
	m->cells = array_room(m, m->cells, sizeof(MeasuresCell), m->ncells, &m->cells_max);
	memset(&m->cells[m->ncells], 0, sizeof(MeasuresCell));
	m->cells[m->ncells].period = period;
	m->cells[m->ncells].channel = channel;
	return m->ncells++;
}

uint32
measures_add_far_cell(Measures *m, uint32 period, uint32 channel)
{
	Key key = {period, channel, 0};
	KeyEntry *entry;
	bool found;

	if (channel < MEASURES_NEAR)
		return m->periods[period].cells[channel] = new_cell(m, period, channel);
	entry = keys_insert(m->cell_table, key, &found);
	if (!found)
		entry->number = new_cell(m, period, channel);
	return entry->number;
}

MeasuresTransition *
measures_add_transition(Measures *m, uint32 period, uint32 from, uint32 to)
{
	Key key = {period, from, to};
	bool found;
	KeyEntry *entry = keys_insert(m->transition_table, key, &found);
	MeasuresTransition *t;

	if (likely(found))
		return &m->transitions[entry->number];
	entry->number = m->ntransitions++;
	m->transitions = array_room(m, m->transitions, sizeof(MeasuresTransition), entry->number,
								&m->transitions_max);
	t = &m->transitions[entry->number];
	memset(t, 0, sizeof(MeasuresTransition));
	t->period = period;
	t->from = from;
	t->to = to;
	return t;
}

/* --- times of a transition --- */

#define ST_SORT sort_runs
#define ST_ELEMENT_TYPE TimeRun
#define ST_COMPARE(a, b) ((a)->time < (b)->time ? -1 : (a)->time > (b)->time)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Sorting by radix, and from how many on it pays. */
#define RADIX_BITS 11
#define RADIX_SIZE (1 << RADIX_BITS)
#define RADIX_MIN 256

/* Times mostly are multiples of a second or a millisecond: 2^shift * odd. */
static const struct
{
	int shift;
	uint64 odd;
	uint64 inverse; /* of odd, modulo 2^64 */
} time_units[] = {
	{6, 15625, UINT64CONST(0x790fb65668c26139)},
	{3, 125, UINT64CONST(0x1cac083126e978d5)},
	{0, 1, 1},
};

/* Times as multiples of the largest of these units that all are; and the unit. */
static int64
times_in_units(const TimeRun *runs, uint32 n, uint64 *times)
{
	int u = 0;

	for (;; u++)
	{
		uint64 most = PG_UINT64_MAX / time_units[u].odd;
		uint64 rest = 0;

		for (uint32 i = 0; i < n; i++)
		{
			/* the quotient, if there is no remainder; else more than any quotient */
			times[i] = ((uint64) runs[i].time >> time_units[u].shift) * time_units[u].inverse;
			rest |= (runs[i].time & low_mask(time_units[u].shift)) | (times[i] > most);
		}
		if (rest == 0)
			return (int64) time_units[u].odd << time_units[u].shift;
	}
}

/*
 * Sort numbers by their bits from "from" up to "to"; scratch has the same room. Where they
 * are afterwards: there, or in scratch.
 */
static uint64 *
radix_sort(uint64 *numbers, uint64 *scratch, uint32 n, int from, int to)
{
	for (; from < to; from += RADIX_BITS)
	{
		uint32 starts[RADIX_SIZE] = {0};
		uint32 sum = 0;
		uint64 *swap;

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; i < n; i++)
			starts[numbers[i] >> from & (RADIX_SIZE - 1)]++;
		for (int i = 0; i < RADIX_SIZE; i++)
		{
			uint32 count = starts[i];

			starts[i] = sum;
			sum += count;
		}
		for (uint32 i = 0; i < n; i++)
			scratch[starts[numbers[i] >> from & (RADIX_SIZE - 1)]++] = numbers[i];
		swap = numbers;
		numbers = scratch;
		scratch = swap;
	}
	return numbers;
}

/* Sort runs by time; scratch has the same room. */
static void
radix_sort_runs(TimeRun *runs, TimeRun *scratch, uint32 n)
{
	uint64 *numbers = (uint64 *) scratch;
	uint64 all_times = 0;
	uint64 all_counts = 0;
	int count_bits;
	int time_bits;
	int64 unit;

	if (n < RADIX_MIN)
	{
		sort_runs(runs, n);
		return;
	}
	unit = times_in_units(runs, n, numbers);
	for (uint32 i = 0; i < n; i++)
	{
		all_times |= numbers[i];
		all_counts |= runs[i].count - 1;
	}
	count_bits = bits_for(all_counts);
	time_bits = bits_for(all_times);
	if (count_bits + time_bits > 64)
	{
		sort_runs(runs, n);
		return;
	}
	/* a number of both, the count being 1 mostly takes no bits */
	for (uint32 i = 0; count_bits > 0 && i < n; i++)
		numbers[i] = numbers[i] << count_bits | (runs[i].count - 1);
	numbers = radix_sort(numbers, numbers + n, n, count_bits, count_bits + time_bits);
	for (uint32 i = 0; i < n; i++)
		runs[i] = (TimeRun) {(int64) (numbers[i] >> count_bits) * unit,
							 1 + (int64) (numbers[i] & low_mask(count_bits))};
}

void
measures_sum(int64 *sum, int64 count)
{
	if (unlikely(pg_add_s64_overflow(*sum, count, sum)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("bigint out of range")));
}

/* Put runs in order, equal times in one. */
static void
order_runs(Measures *m, MeasuresTransition *t)
{
	uint32 ntail = t->nruns - t->nsorted;
	TimeRun *tail = t->runs + t->nsorted;
	TimeRun *merged;
	uint32 i = 0;
	uint32 k = 0;
	uint32 n = 0;

	if (ntail == 0)
		return;
	merged = MemoryContextAllocHuge(m->hdr.eoh_context, (size_t) t->nruns * sizeof(TimeRun));
	radix_sort_runs(tail, merged, ntail);
	while (i < t->nsorted || k < ntail)
	{
		const TimeRun *next;

		if (k == ntail || (i < t->nsorted && t->runs[i].time <= tail[k].time))
			next = &t->runs[i++];
		else
			next = &tail[k++];
		if (n > 0 && merged[n - 1].time == next->time)
			measures_sum(&merged[n - 1].count, next->count);
		else
			merged[n++] = *next;
	}
	memcpy(t->runs, merged, n * sizeof(TimeRun));
	t->nruns = t->nsorted = n;
	pfree(merged);
}

/* So many times of a transition are not worth putting in order before the last one came. */
#define ORDER_MIN 4096

/* Room for one more, in an array of which half is free afterwards. */
void
measures_runs_room(Measures *m, MeasuresTransition *t)
{
	if (t->runs_max >= ORDER_MIN)
		order_runs(m, t);
	if (t->nruns > t->runs_max / 2 || t->runs_max == 0)
		t->runs = array_room(m, t->runs, sizeof(TimeRun), t->runs_max, &t->runs_max);
}

/* --- adding up --- */

/* What differs between two questions. */
void
measures_different(const struct varlena *a, const struct varlena *b)
{
	MeasuresReader x = {0};
	MeasuresReader y = {0};
	const MeasuresQuestion *p = &x.question;
	const MeasuresQuestion *q = &y.question;
	const char *what = NULL;

	x.p = (const uint8 *) VARDATA_ANY(a);
	x.end = x.p + VARSIZE_ANY_EXHDR(a);
	measures_read_question(&x);
	y.p = (const uint8 *) VARDATA_ANY(b);
	y.end = y.p + VARSIZE_ANY_EXHDR(b);
	measures_read_question(&y);
	if (p->measures != q->measures)
		what = "measures";
	else if (p->session_gap != q->session_gap)
		what = "session_gap";
	else if (p->handoff_within != q->handoff_within)
		what = "handoff_within";
	else if (p->by_period != q->by_period || p->unit != q->unit)
		what = "period";
	else if (name_cmp(&p->time_zone, &q->time_zone) != 0)
		what = "time_zone";
	else if (p->since != q->since)
		what = "since";
	else if (p->until != q->until)
		what = "until";
	for (int i = 0; what == NULL && i < MEASURES_LISTS; i++)
	{
		bool same = p->lists[i].n == q->lists[i].n;

		for (uint32 k = 0; same && k < p->lists[i].n; k++)
			same = name_cmp(&p->lists[i].names[k], &q->lists[i].names[k]) == 0;
		if (!same)
			what = measures_list_names[i];
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("channel_measures_agg needs the same question for all rows of a group"),
					errdetail("They differ in %s.", what ? what : "what they ask"),
					errhint("Group by what differs.")));
}

/* The state's number of a channel that is read, kept in numbers. */
static inline uint32
channel_number(Measures *m, const MeasuresReader *r, uint32 *numbers, uint32 i)
{
	if (numbers[i] == MEASURES_NONE)
	{
		uint32 before = m->nchannels;

		numbers[i] = measures_add_channel(m, r->channels[i].text, r->channels[i].len);
		if (r->received && numbers[i] < before)
			measures_corrupt(r, "A channel is there twice.");
	}
	return numbers[i];
}

/* Add a value of the same question; one that was received to an empty state. */
void
measures_merge(Measures *m, const struct varlena *flat, bool received)
{
	MeasuresReader r = {.received = received};
	uint32 *numbers;

	measures_read(&r, flat);
	if (r.asked_len != VARSIZE(m->asked) - VARHDRSZ ||
		memcmp(VARDATA_ANY(flat), VARDATA(m->asked), r.asked_len) != 0)
		measures_different(m->asked, flat);
	measures_change(m);
	numbers = palloc_extended(Max(r.nchannels, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	memset(numbers, 0xff, r.nchannels * sizeof(uint32));
	while (measures_next_period(&r))
	{
		uint32 p = measures_add_period(m, r.number);

		for (int i = 0; i < CUSTOMER_COUNTS; i++)
			measures_sum(&m->periods[p].counts[i], r.customers[i]);
		while (measures_next_cell(&r))
		{
			uint32 channel = channel_number(m, &r, numbers, r.cell);
			uint32 cell = measures_add_cell(m, p, channel);

			for (int i = 0; i < MIX_COUNTS; i++)
				measures_sum(&m->cells[cell].counts[i], r.mix[i]);
		}
		while (measures_next_transition(&r))
		{
			uint32 from = channel_number(m, &r, numbers, r.from);
			uint32 to = channel_number(m, &r, numbers, r.to);
			MeasuresTransition *t = measures_add_transition(m, p, from, to);

			measures_sum(&t->customers, r.transition_customers);
			if (!(m->question.measures & MEASURES_TIMES))
				measures_sum(&t->handoffs, r.transition_handoffs);
			while (measures_next_time(&r))
				measures_add_time(m, t, r.run.time, r.run.count);
		}
	}
	pfree(numbers);
	pfree(r.channels);
}

/* --- the flat form --- */

/* Where something stands in the order of periods and names. */
typedef struct SortedPlace
{
	uint64 pair; /* of channels, or the channel */
	uint32 period;
	uint32 number;
} SortedPlace;

static inline int
place_cmp(const SortedPlace *a, const SortedPlace *b)
{
	if (a->period != b->period)
		return a->period < b->period ? -1 : 1;
	return a->pair < b->pair ? -1 : a->pair > b->pair;
}

#define ST_SORT sort_places
#define ST_ELEMENT_TYPE SortedPlace
#define ST_COMPARE(a, b) place_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct NamePlace
{
	NameText name;
	uint32 number;
} NamePlace;

#define ST_SORT sort_name_places
#define ST_ELEMENT_TYPE NamePlace
#define ST_COMPARE(a, b) name_cmp(&(a)->name, &(b)->name)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct PeriodPlace
{
	int32 calendar;
	uint32 number;
} PeriodPlace;

#define ST_SORT sort_period_places
#define ST_ELEMENT_TYPE PeriodPlace
#define ST_COMPARE(a, b) ((a)->calendar < (b)->calendar ? -1 : (a)->calendar > (b)->calendar)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

static inline void *
alloc_scratch(size_t n, size_t size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE);
}

static void
write_transition(Writer *w, Measures *m, MeasuresTransition *t)
{
	int64 before = 0;

	write_number(w, t->customers);
	if (!(m->question.measures & MEASURES_TIMES))
	{
		write_number(w, t->handoffs);
		return;
	}
	order_runs(m, t);
	write_number(w, t->nruns);
	for (uint32 i = 0; i < t->nruns; i++)
	{
		bool several = t->runs[i].count > 1;

		if (unlikely(i % 0x1000 == 0))
			CHECK_FOR_INTERRUPTS();
		write_number(w, (uint64) (t->runs[i].time - before) << 1 | several);
		if (several)
			write_number(w, t->runs[i].count);
		before = t->runs[i].time;
	}
}

/* The flat form, which belongs to the state. */
struct varlena *
measures_flat(Measures *m)
{
	NamePlace *names;
	PeriodPlace *periods;
	SortedPlace *cells;
	SortedPlace *transitions;
	uint32 *channel_ranks;
	uint32 *period_ranks;
	uint32 nnames = 0;
	uint32 next_cell = 0;
	uint32 next_transition = 0;
	uint8 measures = m->question.measures;
	MemoryContext old;
	Writer w;

	if (m->flat)
		return m->flat;
	/* the server may ask for it where nothing can be freed, as when it sorts */
	old = MemoryContextSwitchTo(m->hdr.eoh_context);
	names = alloc_scratch(m->nchannels, sizeof(NamePlace));
	channel_ranks = alloc_scratch(m->nchannels, sizeof(uint32));
	/* only those that something is told of */
	memset(channel_ranks, 0, m->nchannels * sizeof(uint32));
	for (uint32 i = 0; i < m->ncells; i++)
		channel_ranks[m->cells[i].channel] = 1;
	for (uint32 i = 0; i < m->ntransitions; i++)
		channel_ranks[m->transitions[i].from] = channel_ranks[m->transitions[i].to] = 1;
	for (uint32 i = 0; i < m->nchannels; i++)
		if (channel_ranks[i] != 0)
			names[nnames++] = (NamePlace) {m->channels[i].name, i};
	sort_name_places(names, nnames);
	for (uint32 i = 0; i < nnames; i++)
		channel_ranks[names[i].number] = i;
	periods = alloc_scratch(m->nperiods, sizeof(PeriodPlace));
	period_ranks = alloc_scratch(m->nperiods, sizeof(uint32));
	for (uint32 i = 0; i < m->nperiods; i++)
		periods[i] = (PeriodPlace) {m->periods[i].number, i};
	sort_period_places(periods, m->nperiods);
	for (uint32 i = 0; i < m->nperiods; i++)
		period_ranks[periods[i].number] = i;
	cells = alloc_scratch(m->ncells, sizeof(SortedPlace));
	for (uint32 i = 0; i < m->ncells; i++)
		cells[i] =
			(SortedPlace) {channel_ranks[m->cells[i].channel], period_ranks[m->cells[i].period], i};
	sort_places(cells, m->ncells);
	transitions = alloc_scratch(m->ntransitions, sizeof(SortedPlace));
	for (uint32 i = 0; i < m->ntransitions; i++)
	{
		const MeasuresTransition *t = &m->transitions[i];

		transitions[i] = (SortedPlace) {(uint64) channel_ranks[t->from] * nnames +
											channel_ranks[t->to],
										period_ranks[t->period], i};
	}
	sort_places(transitions, m->ntransitions);

	writer_init(&w, m->hdr.eoh_context);
	write_room(&w, VARSIZE(m->asked) - VARHDRSZ);
	memcpy(w.data + w.len, VARDATA(m->asked), VARSIZE(m->asked) - VARHDRSZ);
	w.len += VARSIZE(m->asked) - VARHDRSZ;
	write_number(&w, nnames);
	for (uint32 i = 0; i < nnames; i++)
		write_name(&w, &names[i].name);
	write_number(&w, m->nperiods);
	for (uint32 i = 0; i < m->nperiods; i++)
	{
		const MeasuresPeriod *p = &m->periods[periods[i].number];
		uint32 end;
		uint64 before;

		CHECK_FOR_INTERRUPTS();
		if (i == 0)
			write_number(&w, zigzag(p->number));
		else
			write_number(&w, (int64) p->number - periods[i - 1].calendar);
		for (int k = 0; k < CUSTOMER_COUNTS && (measures & MEASURES_CUSTOMERS); k++)
			write_number(&w, p->counts[k]);
		for (end = next_cell; end < m->ncells && cells[end].period == i;)
			end++;
		if (measures & MEASURES_CHANNELS)
			write_number(&w, end - next_cell);
		for (before = 0; next_cell < end; next_cell++)
		{
			const MeasuresCell *cell = &m->cells[cells[next_cell].number];

			write_number(&w, cells[next_cell].pair - before);
			before = cells[next_cell].pair;
			for (int k = 0; k < MIX_COUNTS; k++)
				write_number(&w, cell->counts[k]);
		}
		for (end = next_transition; end < m->ntransitions && transitions[end].period == i;)
			end++;
		if (measures & MEASURES_TRANSITIONS)
			write_number(&w, end - next_transition);
		for (before = 0; next_transition < end; next_transition++)
		{
			write_number(&w, transitions[next_transition].pair - before);
			before = transitions[next_transition].pair;
			write_transition(&w, m, &m->transitions[transitions[next_transition].number]);
		}
	}
	SET_VARSIZE(w.data, w.len);
	pfree(transitions);
	pfree(cells);
	pfree(period_ranks);
	pfree(periods);
	pfree(channel_ranks);
	pfree(names);
	MemoryContextSwitchTo(old);
	m->flat = (struct varlena *) w.data;
	return m->flat;
}

static Size
flat_size(ExpandedObjectHeader *eohptr)
{
	return VARSIZE(measures_flat((Measures *) eohptr));
}

static void
flatten_into(ExpandedObjectHeader *eohptr, void *result, Size allocated_size)
{
	struct varlena *flat = measures_flat((Measures *) eohptr);

	Assert(allocated_size == VARSIZE(flat));
	memcpy(result, flat, VARSIZE(flat));
}
