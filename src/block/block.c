/*
 * block.c
 *		Readers of the journey block; block.h describes it byte by byte.
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "journey/view.h"

void
block_corrupt(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("journey block is corrupt"),
					errdetail_internal("In the packed value, %s.", what)));
}

static const uint8 *
block_number(const uint8 *p, const uint8 *end, uint64 *x)
{
	p = leb_read(p, end, x);
	if (p == NULL)
		block_corrupt("a number of the header is cut off or too long");
	return p;
}

void
block_set_base(BlockView *b, int64 base)
{
	b->base = base;
	for (int i = 0; i < JOURNEY_UNITS; i++)
		b->base_units[i] = base / journey_unit_usecs[i] - (base % journey_unit_usecs[i] < 0);
}

void
block_open_head(BlockView *b, const uint8 *data, size_t have, uint64 total)
{
	static uint64 blocks_opened = 0;
	JourneyView *v = &b->shared;
	const uint8 *p = data + 2;
	const uint8 *end = data + have;
	uint64 n;
	uint64 touchpoints;
	uint64 first;
	uint64 span;
	uint64 labels;
	uint64 dictionary;
	uint64 base;
	uint64 times;
	uint64 extras = 0;
	uint64 rest;

	memset(b, 0, sizeof(*b));
	v->label_width = 1;
	view_no_times(v);
	view_no_extras(v);
	if (have < 3)
		block_corrupt("the header is cut off");
	if ((data[0] & ~BLOCK_DETAILS) != BLOCK_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("unknown journey block format version %d", data[0] & ~BLOCK_DETAILS),
				 errhint("The value may have been written by a newer version of pg_journey.")));
	v->details = (data[0] & BLOCK_DETAILS) != 0;
	b->extras = (data[1] & BLOCK_EXTRAS) != 0;
	if (data[1] & ~BLOCK_EXTRAS)
		block_corrupt("unknown flags are set");
	v->dictionary_id = ++blocks_opened;

	p = block_number(p, end, &n);
	if (n > PG_INT32_MAX)
		block_corrupt("there are too many journeys");
	b->n = n;
	if (n == 0)
	{
		if (data[1] != 0 || v->details || total != p - data)
			block_corrupt("it is empty and yet holds something");
		v->dictionary = v->labels = b->times = b->extra = p;
		return;
	}

	p = block_number(p, end, &touchpoints);
	p = block_number(p, end, &first);
	p = block_number(p, end, &span);
	p = block_number(p, end, &labels);
	p = block_number(p, end, &dictionary);
	p = block_number(p, end, &base);
	p = block_number(p, end, &times);
	if (b->extras)
		p = block_number(p, end, &extras);
	if (touchpoints > PG_INT32_MAX)
		block_corrupt("there are too many touchpoints");
	b->touchpoints = touchpoints;
	b->first_customer = unzigzag(first);
	if (span < n - 1 || span > (uint64) PG_INT64_MAX - (uint64) b->first_customer)
		block_corrupt("the customers are out of range");
	if (labels > touchpoints || (labels == 0 && touchpoints > 0))
		block_corrupt("the number of labels is impossible");
	block_set_base(b, unzigzag(base));
	if (!IS_VALID_TIMESTAMP(b->base))
		block_corrupt("the first time is out of range");
	if (touchpoints == 0 &&
		(dictionary != 0 || b->base != 0 || times != 0 || b->extras || v->details))
		block_corrupt("it has no touchpoints and yet something of them");
	if (b->extras && extras == 0)
		block_corrupt("it has no values and references and yet says so");

	/*
	 * Place the sections. No sum can overflow: n and touchpoints are below 2^31, each number
	 * below is a small multiple of them, but for the lengths, which are checked first.
	 */
	if (dictionary > total || times > total || extras > total)
		block_corrupt("a section is longer than the value");
	v->nlabels = labels;
	v->label_width = label_width(labels);
	v->dictionary_len = dictionary;
	b->times_len = times;
	b->extra_len = extras;
	ef_layout(&b->customers, n, span);
	ef_layout(&b->starts, n + 1, touchpoints);
	ef_layout(&b->time_offsets, n + 1, times);
	rest = ef_bytes(&b->customers) + ef_bytes(&b->starts) + dictionary +
		   touchpoints * v->label_width + ef_bytes(&b->time_offsets) + times;
	if (b->extras)
	{
		ef_layout(&b->extra_offsets, n + 1, extras);
		rest += ef_bytes(&b->extra_offsets) + extras;
	}
	if (rest + (p - data) != total)
		block_corrupt("its length does not agree with its header");

	p = ef_place(&b->customers, p);
	p = ef_place(&b->starts, p);
	v->dictionary = p;
	p += dictionary;
	v->labels = p;
	p += touchpoints * v->label_width;
	p = ef_place(&b->time_offsets, p);
	b->times = p;
	p += times;
	p = ef_place(&b->extra_offsets, p);
	b->extra = p;
}

void
block_open(BlockView *b, const uint8 *data, size_t len)
{
	block_open_head(b, data, len, len);
}

size_t
block_part_bytes(const BlockView *b, BlockPart part, const uint8 *data, size_t total)
{
	if (part == BLOCK_HEAD)
		return Min(total, BLOCK_HEADER_MAX);
	if (part == BLOCK_LENGTHS)
		return b->shared.dictionary - data;
	if (part == BLOCK_LABELS)
		return b->shared.labels + (size_t) b->touchpoints * b->shared.label_width - data;
	if (part == BLOCK_TIMES)
		return b->times + b->times_len - data;
	return total;
}

static void
numbers_start(BlockNumbers *numbers, const EliasFano *ef)
{
	numbers->ef = ef;
	numbers->from = numbers->n = 0;
	ef_start(ef, &numbers->cursor);
}

void
block_numbers_read(BlockNumbers *numbers, uint32 i)
{
	const EliasFano *ef = numbers->ef;

	uint32 ahead = i == numbers->from + numbers->n ? BLOCK_AHEAD : BLOCK_AHEAD / 16;

	Assert(i < ef->n);
	if (numbers->cursor.i != i)
		ef_seek(ef, &numbers->cursor, i);
	numbers->from = i;
	numbers->n = Min(ahead, ef->n - i); /* few where journeys are passed over */
	ef_read(ef, &numbers->cursor, numbers->numbers, numbers->n);
}

void
block_start(const BlockView *b, BlockCursor *c, BlockPart part)
{
	c->block = b;
	c->part = b->extras ? part : Min(part, BLOCK_TIMES);
	c->i = c->first = c->n = 0;
	if (part == BLOCK_HEAD)
		return; /* there may be nothing behind it to start with */
	numbers_start(&c->customers, &b->customers);
	numbers_start(&c->starts, &b->starts);
	if (part >= BLOCK_TIMES)
		numbers_start(&c->time_offsets, &b->time_offsets);
	if (c->part == BLOCK_ALL)
		numbers_start(&c->extra_offsets, &b->extra_offsets);
}

int64
block_customer(BlockCursor *c)
{
	uint64 offset;

	Assert(c->i > 0);
	offset = block_number_at(&c->customers, c->i - 1);
	if (unlikely(offset > c->block->customers.span))
		block_corrupt("a customer lies behind the last one");
	return (int64) ((uint64) c->block->first_customer + offset);
}

/* Where the i-th part of a section begins and ends. */
static pg_attribute_always_inline const uint8 *
section_part(const uint8 *section, size_t len, BlockNumbers *offsets, uint32 i, const uint8 **end)
{
	uint64 from = block_number_at(offsets, i);
	uint64 to = block_number_at(offsets, i + 1);

	if (unlikely(from > to || to > len))
		block_corrupt("an offset is impossible");
	*end = section + to;
	return section + from;
}

/* Values and references of the journey at hand, if it has any; v->flags has its unit only. */
static pg_noinline void
open_extras(BlockCursor *c, JourneyView *v)
{
	const BlockView *b = c->block;
	uint8 unit = v->flags;
	uint64 values = 0;
	const uint8 *end;
	const uint8 *p = section_part(b->extra, b->extra_len, &c->extra_offsets, c->i - 1, &end);

	if (p == end)
		return;
	if ((*p & JOURNEY_UNIT_MASK) != 0 || (*p & (JOURNEY_VALUES | JOURNEY_REFS)) == 0)
		block_corrupt("flags of a journey are impossible");
	view_flags(v, *p | unit);
	p = view_extras(v, p + 1, end, &values);
	if (values > b->extra_len || view_extras_bytes(v, values) != end - p)
		block_corrupt("values and references of a journey have another length");
	view_extras_place(v, p, values);
}

/* Of a journey's times, which may be shorter than what is read at once, a number of the header. */
static inline const uint8 *
times_number(const BlockView *b, const uint8 *p, uint64 *x)
{
	p = leb_read_word(p, b->times + b->times_len, x);
	if (unlikely(p == NULL))
		block_corrupt("a number of a journey's times is cut off or too long");
	return p;
}

/* Unit, period and times of the journey at hand, which has touchpoints; v->flags has the unit. */
static pg_attribute_always_inline void
open_times(BlockCursor *c, JourneyView *v)
{
	const BlockView *b = c->block;
	const uint8 *end;
	const uint8 *p = section_part(b->times, b->times_len, &c->time_offsets, c->i - 1, &end);
	uint64 first;
	uint64 span = 0;

	if (unlikely(p == end || *p >= JOURNEY_UNITS))
		block_corrupt("a journey's unit of time is impossible");
	v->n = c->n;
	v->flags = *p++;
	v->unit = journey_unit_usecs[v->flags];
	p = times_number(b, p, &first);
	if (c->n > 1)
		p = times_number(b, p, &span);
	view_period(v, (int64) ((uint64) b->base_units[v->flags] + first), span);
	if (unlikely(v->first < b->base))
		block_corrupt("a journey begins before the first time of all");
	if (unlikely(p > end || ef_bytes(&v->times) != end - p))
		block_corrupt("times of a journey have another length");
	ef_place(&v->times, p);
}

void
block_times(BlockCursor *c, JourneyView *v)
{
	open_times(c, v);
}

void
block_journey(BlockCursor *c, JourneyView *v)
{
	const JourneyView *shared = &c->block->shared;

	v->n = c->n;
	v->nlabels = shared->nlabels;
	v->flags = 0;
	v->details = shared->details;
	v->label_width = shared->label_width;
	v->dictionary_len = shared->dictionary_len;
	v->dictionary = shared->dictionary;
	v->dictionary_id = shared->dictionary_id;
	v->labels = shared->labels + (size_t) c->first * shared->label_width;
	view_no_extras(v);
	if (c->n == 0 || c->part < BLOCK_TIMES)
	{
		view_no_times(v);
		return;
	}
	open_times(c, v);
	if (c->part == BLOCK_ALL)
		open_extras(c, v);
}
