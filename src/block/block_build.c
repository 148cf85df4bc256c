/*
 * block_build.c
 *		Writing the journey block that block.h describes.
 *
 * The journeys are gone through twice: to measure, and to write. What a journey has of times,
 * values and references is copied as it is.
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "journey/view.h"
#include "miscadmin.h"
#include "utils/memutils.h"

static bool
has_extras(const JourneyView *v)
{
	return (v->flags & (JOURNEY_VALUES | JOURNEY_REFS)) != 0;
}

/* First time of a journey as its part tells it. */
static uint64
first_offset(const BlockView *b, const JourneyView *v)
{
	return (uint64) (v->first / v->unit) - (uint64) b->base_units[v->flags & JOURNEY_UNIT_MASK];
}

/* Flags and header of values and references. */
static uint8 *
write_extras_head(uint8 *p, const JourneyView *v)
{
	*p++ = v->flags & ~JOURNEY_UNIT_MASK;
	return extras_write_head(p, v, v->values_end - v->values);
}

static void
use_labels(LabelDict *dict, DictionaryPlan *plan, const BlockRow *row)
{
	const JourneyView *v = &row->view;

	/* a journey of its own has no label that it does not use */
	if (v->dictionary_id == 0)
		for (uint32 i = 0; i < v->nlabels; i++)
			dictionary_use(dict, plan, row->numbers[i]);
	else
		for (uint32 i = 0; i < v->n; i++)
		{
			if (i % BUILDER_INTERRUPT_EVERY == BUILDER_INTERRUPT_EVERY - 1)
				CHECK_FOR_INTERRUPTS();
			dictionary_use(dict, plan, row->numbers[journey_label_at(v, i)]);
		}
}

void
block_plan_add(BlockPlan *plan, int64 customer, const JourneyView *v)
{
	BlockView *b = &plan->block;
	uint8 head[JOURNEY_HEADER_MAX];

	if (plan->n++ == 0)
		b->first_customer = customer;
	else if (customer <= plan->last_customer)
		block_corrupt("customers do not ascend");
	plan->last_customer = customer;
	if (v->n == 0)
		return;
	plan->touchpoints += v->n;
	plan->first = Min(plan->first, v->first);
	b->times_len += 1 + leb_length(first_offset(b, v)) +
					(v->n > 1 ? leb_length(v->times.span) : 0) + ef_bytes(&v->times);
	if (has_extras(v))
		b->extra_len += write_extras_head(head, v) - head + view_extras_len(v);
}

uint8 *
block_write_header(uint8 *p, const BlockPlan *plan)
{
	const BlockView *b = &plan->block;

	*p++ = BLOCK_VERSION | (plan->dictionary.details ? BLOCK_DETAILS : 0);
	*p++ = b->extras ? BLOCK_EXTRAS : 0;
	p = leb_write(p, plan->n);
	if (plan->n == 0)
		return p;
	p = leb_write(p, plan->touchpoints);
	p = leb_write(p, zigzag(b->first_customer));
	p = leb_write(p, b->customers.span);
	p = leb_write(p, plan->dictionary.nlabels);
	p = leb_write(p, plan->dictionary.len);
	p = leb_write(p, zigzag(b->base));
	p = leb_write(p, b->times_len);
	return b->extras ? leb_write(p, b->extra_len) : p;
}

uint64
block_plan_size(BlockPlan *plan)
{
	BlockView *b = &plan->block;
	uint8 header[BLOCK_HEADER_MAX];

	b->extras = b->extra_len > 0;
	b->shared.label_width = label_width(plan->dictionary.nlabels);
	ef_layout(&b->customers, plan->n, (uint64) plan->last_customer - (uint64) b->first_customer);
	ef_layout(&b->starts, plan->n + 1, plan->touchpoints);
	ef_layout(&b->time_offsets, plan->n + 1, b->times_len);
	ef_layout(&b->extra_offsets, b->extras ? plan->n + 1 : 0, b->extra_len);
	plan->header_len = block_write_header(header, plan) - header;
	return VARHDRSZ + plan->header_len + ef_bytes(&b->customers) + ef_bytes(&b->starts) +
		   plan->dictionary.len + plan->touchpoints * b->shared.label_width +
		   ef_bytes(&b->time_offsets) + b->times_len + ef_bytes(&b->extra_offsets) + b->extra_len;
}

/* First pass; the size. */
static uint64
make_plan(BlockPlan *plan, BlockSource *source, LabelDict *dict)
{
	BlockRow row;

	plan->first = source->base;
	do
	{
		/* again where the base was too early: what times take depends on it */
		*plan = (BlockPlan) {.block.base = plan->first, .first = PG_INT64_MAX};
		block_set_base(&plan->block, plan->block.base);
		dictionary_start(dict, &plan->dictionary);
		source->begin(source);
		while (source->next(source, &row))
		{
			CHECK_FOR_INTERRUPTS();
			block_plan_add(plan, row.customer, &row.view);
			use_labels(dict, &plan->dictionary, &row);
		}
	} while (plan->touchpoints > 0 && plan->first != plan->block.base);
	if (plan->touchpoints == 0)
		block_set_base(&plan->block, 0);
	if (plan->n > PG_INT32_MAX || plan->touchpoints > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("journey block is too large"),
				 errdetail("It would have " UINT64_FORMAT " journeys with " UINT64_FORMAT
						   " touchpoints, the limit of each is %d.",
						   plan->n, plan->touchpoints, PG_INT32_MAX),
				 errhint("Put fewer journeys into a block.")));
	label_dict_rank(dict);
	dictionary_plan(dict, &plan->dictionary);
	return block_plan_size(plan);
}

/* Second pass: everything behind the dictionary, and customers and starts before it. */
static void
write_sections(const BlockPlan *plan, BlockSource *source, LabelDict *dict, uint8 *front,
			   uint8 *labels)
{
	const BlockView *b = &plan->block;
	int width = b->shared.label_width;
	uint8 *time_offsets = labels + plan->touchpoints * width;
	uint8 *times = time_offsets + ef_bytes(&b->time_offsets);
	uint8 *extra_offsets = times + b->times_len;
	uint8 *extras = extra_offsets + ef_bytes(&b->extra_offsets);
	uint8 *first_times = times;
	uint8 *first_extras = extras;
	uint64 start = 0;
	EliasFanoWriter customer_writer;
	EliasFanoWriter start_writer;
	EliasFanoWriter time_writer;
	EliasFanoWriter extra_writer;
	BlockRow row;
	const JourneyView *v = &row.view;

	ef_writer_start(&customer_writer, &b->customers, front);
	ef_writer_start(&start_writer, &b->starts, front + ef_bytes(&b->customers));
	ef_writer_start(&time_writer, &b->time_offsets, time_offsets);
	ef_writer_start(&extra_writer, &b->extra_offsets, extra_offsets);
	source->begin(source);
	while (source->next(source, &row))
	{
		CHECK_FOR_INTERRUPTS();
		ef_write(&customer_writer, (uint64) row.customer - (uint64) b->first_customer);
		ef_write(&start_writer, start);
		ef_write(&time_writer, times - first_times);
		if (b->extras)
			ef_write(&extra_writer, extras - first_extras);
		if (v->n == 0)
			continue;
		start += v->n;
		labels_write(labels, width, v, row.numbers, dict->marks);
		labels += (size_t) v->n * width;
		*times++ = v->flags & JOURNEY_UNIT_MASK;
		times = leb_write(times, first_offset(b, v));
		if (v->n > 1)
			times = leb_write(times, v->times.span);
		times = view_copy(times, v->times.low, ef_bytes(&v->times));
		if (has_extras(v))
		{
			extras = write_extras_head(extras, v);
			extras = view_copy(extras, view_extras_start(v), view_extras_len(v));
		}
	}
	ef_finish(&customer_writer);
	ef_finish(&start_writer);
	ef_finish(&time_writer);
	ef_finish(&extra_writer);
	Assert(times == first_times + b->times_len && extras == first_extras + b->extra_len);
}

struct varlena *
block_pack(BlockSource *source, LabelDict *dict)
{
	BlockPlan plan;
	uint64 size = make_plan(&plan, source, dict);
	struct varlena *result;
	uint8 *front;
	uint8 *dictionary;

	if (size > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("journey block is too large"),
				 errdetail("Its " UINT64_FORMAT " journeys with " UINT64_FORMAT
						   " touchpoints would take " UINT64_FORMAT " bytes, the limit is %zu.",
						   plan.n, plan.touchpoints, size, (size_t) MaxAllocSize),
				 errhint("Put fewer journeys into a block.")));
	result = palloc0(size);
	SET_VARSIZE(result, size);
	front = (uint8 *) VARDATA(result) + plan.header_len;
	block_write_header((uint8 *) VARDATA(result), &plan);
	if (plan.n == 0)
		return result;
	dictionary = front + ef_bytes(&plan.block.customers) + ef_bytes(&plan.block.starts);
	write_sections(&plan, source, dict, front,
				   dictionary_write(dictionary, dict, &plan.dictionary));
	return result;
}

static void
walk_begin(BlockSource *source)
{
	BlockWalk *w = (BlockWalk *) source;

	w->cursor = w->from;
}

static bool
walk_next(BlockSource *source, BlockRow *row)
{
	BlockWalk *w = (BlockWalk *) source;

	if (w->cursor.i >= w->to || !block_next(&w->cursor))
		return false;
	row->customer = block_customer(&w->cursor);
	block_journey(&w->cursor, &row->view);
	row->numbers = w->numbers;
	return true;
}

void
block_walk_init(BlockWalk *w, const BlockView *b, LabelDict *dict)
{
	w->source.base = b->base;
	w->source.begin = walk_begin;
	w->source.next = walk_next;
	block_start(b, &w->from, BLOCK_ALL);
	w->cursor = w->from;
	w->to = b->n;
	w->numbers = journey_intern_labels(&b->shared, dict);
}

/*
 * A block is sound exactly if each of its journeys is, and packing them gives the same bytes.
 */
void
block_check(const BlockView *b, const uint8 *data, size_t len)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "journey block check", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	LabelDict *dict = label_dict_create(cxt);
	BlockWalk walk;
	BlockRow row;
	struct varlena *again;

	block_walk_init(&walk, b, dict);
	walk_begin(&walk.source);
	while (walk_next(&walk.source, &row))
	{
		struct varlena *packed = view_pack(&row.view, dict, row.numbers);
		JourneyView v;

		journey_open(&v, (uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ);
		journey_check(&v, (uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ);
		pfree(packed);
	}
	again = block_pack(&walk.source, dict);
	if (VARSIZE(again) - VARHDRSZ != len || memcmp(VARDATA(again), data, len) != 0)
		block_corrupt("the journeys are not packed as they should be");
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}
