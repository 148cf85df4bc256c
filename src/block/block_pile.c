/*
 * block_pile.c
 *		Journeys collected in any order, to become a block.
 *
 * A pile keeps the bytes of the journeys as they come, in chunks that grow: a group of one
 * journey takes little, and one of a million is never copied to a larger place. All else is
 * done when the block is written.
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

/* A chunk's least and largest size, unless one journey needs more. */
#define CHUNK_MIN 256
#define CHUNK_MAX (1024 * 1024)

typedef struct PileChunk
{
	struct PileChunk *next;
	uint64 used; /* 64 bits, so that what follows is aligned anywhere */
	uint64 size;
	char data[FLEXIBLE_ARRAY_MEMBER];
} PileChunk;

/* A journey in a chunk, padded to MAXALIGN. */
typedef struct PileItem
{
	int64 customer;
	uint32 len;
	uint8 data[FLEXIBLE_ARRAY_MEMBER];
} PileItem;

typedef const PileItem *PileItemRef;

#define ITEM_SIZE(len) MAXALIGN(offsetof(PileItem, data) + (size_t) (len))

void
pile_init(BlockPile *pile, MemoryContext cxt)
{
	pile->cxt = cxt;
	pile->first = pile->last = NULL;
	pile->n = 0;
	pile->size = 0;
	pile->base = PG_INT64_MAX;
	pile->last_customer = PG_INT64_MIN;
	pile->ascends = true;
}

/* The size of the next chunk: doubling at first, as the allocator does, then a quarter more. */
static size_t
next_size(const BlockPile *pile)
{
	if (pile->size == 0)
		return CHUNK_MIN;
	if (pile->size < 8192)
		return pg_prevpower2_size_t(pile->size);
	return Min(pile->size / 4, CHUNK_MAX);
}

/* A chunk with room for so many bytes at least. */
static pg_noinline PileChunk *
add_chunk(BlockPile *pile, size_t bytes)
{
	size_t size = Max(next_size(pile), bytes + offsetof(PileChunk, data));
	PileChunk *chunk = MemoryContextAllocHuge(pile->cxt, size);

	chunk->next = NULL;
	chunk->used = 0;
	chunk->size = size;
	if (pile->last)
		pile->last->next = chunk;
	else
		pile->first = chunk;
	pile->last = chunk;
	pile->size += size;
	return chunk;
}

static PileItem *
make_item(char *p, int64 customer, const uint8 *data, size_t len)
{
	PileItem *item = (PileItem *) p;

	item->customer = customer;
	item->len = len;
	memcpy(item->data, data, len);
	return item;
}

void
pile_add_opened(BlockPile *pile, int64 customer, const JourneyView *v, const uint8 *data,
				size_t len)
{
	PileChunk *chunk = pile->last;
	size_t bytes = ITEM_SIZE(len);

	if (v->n > 0)
		pile->base = Min(pile->base, v->first);
	if (chunk == NULL || bytes > chunk->size - offsetof(PileChunk, data) - chunk->used)
		chunk = add_chunk(pile, bytes);
	memset(chunk->data + chunk->used + bytes - MAXIMUM_ALIGNOF, 0, MAXIMUM_ALIGNOF);
	make_item(chunk->data + chunk->used, customer, data, len);
	chunk->used += bytes;
	pile->ascends &= pile->n == 0 || customer > pile->last_customer;
	pile->last_customer = customer;
	pile->n++;
}

void
pile_add(BlockPile *pile, int64 customer, const uint8 *data, size_t len)
{
	JourneyView v;

	journey_open(&v, data, len);
	pile_add_opened(pile, customer, &v, data, len);
}

/* The bytes of a pile's items, chunk behind chunk, after a length word. */
struct varlena *
pile_serialize(const BlockPile *pile)
{
	uint64 size = VARHDRSZ;
	struct varlena *result;
	char *p;

	for (PileChunk *chunk = pile->first; chunk; chunk = chunk->next)
		size += chunk->used;
	if (size > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("journey block is too large"),
				 errdetail("Its " UINT64_FORMAT " journeys take " UINT64_FORMAT
						   " bytes, the limit is %zu.",
						   pile->n, size, (size_t) MaxAllocSize),
				 errhint("Put fewer journeys into a block.")));
	result = palloc(size);
	SET_VARSIZE(result, size);
	p = VARDATA(result);
	for (PileChunk *chunk = pile->first; chunk; chunk = chunk->next)
	{
		memcpy(p, chunk->data, chunk->used);
		p += chunk->used;
	}
	return result;
}

void
pile_add_serialized(BlockPile *pile, const char *p, const char *end)
{
	while (p < end)
	{
		PileItem item;

		CHECK_FOR_INTERRUPTS();
		if (end - p >= offsetof(PileItem, data))
			memcpy(&item, p, offsetof(PileItem, data));
		if (end - p < offsetof(PileItem, data) || ITEM_SIZE(item.len) > end - p)
			block_corrupt("a state of the aggregate is cut off");
		pile_add(pile, item.customer, (const uint8 *) p + offsetof(PileItem, data), item.len);
		p += ITEM_SIZE(item.len);
	}
}

void
pile_add_pile(BlockPile *pile, const BlockPile *other)
{
	for (PileChunk *chunk = other->first; chunk; chunk = chunk->next)
		pile_add_serialized(pile, chunk->data, chunk->data + chunk->used);
}

/* A pile's journeys as a source. */
typedef struct PileSource
{
	BlockSource source;
	PileItemRef *items; /* by customer */
	uint64 n;
	uint64 i;
	LabelDict *dict;
	uint32 *numbers; /* of each one's labels, one journey behind the other */
	uint64 numbers_n;
	uint64 numbers_max;
	bool numbered; /* all of them */
} PileSource;

static void
pile_begin(BlockSource *source)
{
	PileSource *s = (PileSource *) source;

	s->numbered = s->i > 0;
	s->i = s->numbers_n = 0;
}

static pg_noinline void
more_numbers(PileSource *s, uint64 more)
{
	while (s->numbers_max < s->numbers_n + more)
		s->numbers_max *= 2;
	s->numbers = repalloc_huge(s->numbers, s->numbers_max * sizeof(uint32));
}

static bool
pile_next(BlockSource *source, BlockRow *row)
{
	PileSource *s = (PileSource *) source;
	const PileItem *item;

	if (s->i == s->n)
		return false;
	item = s->items[s->i++];
	row->customer = item->customer;
	journey_open(&row->view, item->data, item->len);
	if (!s->numbered)
	{
		dictionary_check_count(&row->view);
		if (s->numbers_n + row->view.nlabels > s->numbers_max)
			more_numbers(s, row->view.nlabels);
		journey_number_labels(&row->view, s->dict, s->numbers + s->numbers_n);
	}
	row->numbers = s->numbers + s->numbers_n;
	s->numbers_n += row->view.nlabels;
	return true;
}

#define ST_SORT sort_items
#define ST_ELEMENT_TYPE PileItemRef
#define ST_COMPARE(a, b)                                                                           \
	((*(a))->customer < (*(b))->customer ? -1 : (*(a))->customer > (*(b))->customer)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* One journey of all that a customer has in items [from, to). */
static const PileItem *
put_together(PileItemRef *items, uint64 from, uint64 to, LabelDict *dict)
{
	JourneyBuilder b;
	struct varlena *packed;
	PileItem *item;
	size_t len;

	builder_init(&b, dict, CurrentMemoryContext);
	for (uint64 i = from; i < to; i++)
	{
		JourneyView v;

		CHECK_FOR_INTERRUPTS();
		journey_open(&v, items[i]->data, items[i]->len);
		builder_add_journey(&b, &v, 0, v.n);
	}
	packed = builder_pack(&b);
	builder_free(&b);
	len = VARSIZE(packed) - VARHDRSZ;
	item = make_item(palloc_extended(ITEM_SIZE(len), MCXT_ALLOC_HUGE), items[from]->customer,
					 (uint8 *) VARDATA(packed), len);
	pfree(packed);
	return item;
}

struct varlena *
pile_pack(BlockPile *pile, LabelDict *dict)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "journey block pile", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	PileSource s = {{pile->base, pile_begin, pile_next}};
	struct varlena *result;

	s.dict = dict;
	s.items = palloc_extended(Max(pile->n, 1) * sizeof(PileItem *), MCXT_ALLOC_HUGE);
	for (PileChunk *chunk = pile->first; chunk; chunk = chunk->next)
		for (size_t at = 0; at < chunk->used;)
		{
			PileItem *item = (PileItem *) (chunk->data + at);

			s.items[s.n++] = item;
			at += ITEM_SIZE(item->len);
		}
	if (!pile->ascends)
	{
		uint64 n = 0;
		uint64 to;

		sort_items(s.items, s.n);
		for (uint64 i = 0; i < s.n; i = to)
		{
			for (to = i + 1; to < s.n && s.items[to]->customer == s.items[i]->customer; to++)
				;
			s.items[n++] = to - i == 1 ? s.items[i] : put_together(s.items, i, to, dict);
		}
		s.n = n;
	}
	s.numbers_max = 64;
	s.numbers = palloc(s.numbers_max * sizeof(uint32));
	MemoryContextSwitchTo(old);
	result = block_pack(&s.source, dict);
	MemoryContextDelete(cxt);
	return result;
}

void
pile_add_built(BlockPile *pile, int64 customer, JourneyBuilder *b)
{
	struct varlena *packed = builder_pack(b);

	pile_add(pile, customer, (uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ);
	pfree(packed);
	builder_free(b);
}
