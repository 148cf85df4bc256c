/*
 * block_build.h
 *		Writing journey blocks.
 */
#ifndef PGJ_BLOCK_BUILD_H
#define PGJ_BLOCK_BUILD_H

#include "block/block.h"
#include "journey/builder.h"

/* No header is longer than this. */
#define BLOCK_HEADER_MAX (2 + 9 * LEB_MAX_BYTES)

/* A journey on its way into a block. */
typedef struct BlockRow
{
	int64 customer;
	JourneyView view;
	const uint32 *numbers; /* of its labels in the dictionary of the packing */
} BlockRow;

/*
 * Journeys for a block in order of customers. They are gone through twice, each time after
 * begin(): each a journey and its numbers, which need last until the next one only.
 */
typedef struct BlockSource
{
	int64 base; /* first time of all; PG_INT64_MAX where no journey has a touchpoint */
	void (*begin)(struct BlockSource *source);
	bool (*next)(struct BlockSource *source, BlockRow *row);
} BlockSource;

/* block.c */
extern void block_set_base(BlockView *b, int64 base);

/* block_build.c */

/* What a packing decides before it writes. */
typedef struct BlockPlan
{
	BlockView block; /* without sections */
	DictionaryPlan dictionary;
	uint64 n;
	uint64 touchpoints;
	int64 last_customer;
	size_t header_len;
} BlockPlan;

/* Add a journey, but for its labels; the size of the block so far. The base must be set. */
extern void block_plan_add(BlockPlan *plan, int64 customer, const JourneyView *v);
extern uint64 block_plan_size(BlockPlan *plan);

/* The block of them, a varlena in the current context. */
extern struct varlena *block_pack(BlockSource *source, LabelDict *dict);

/* Check all of a block that has been opened; raises if it is corrupt. */
extern void block_check(const BlockView *b, const uint8 *data, size_t len);

/* Find and set the base of a source. */
extern void block_find_base(BlockSource *source);

/* Journeys of one block, all or some neighbours, as a source. */
typedef struct BlockWalk
{
	BlockSource source;
	BlockCursor from; /* before the first one */
	BlockCursor cursor;
	uint32 to; /* number of the one behind the last */
	const uint32 *numbers;
} BlockWalk;

extern void block_walk_init(BlockWalk *w, const BlockView *b, LabelDict *dict);

/* Open a block of which only the header will be read, and the customers if so asked. */
extern void block_arg_open_head(BlockArg *arg, Datum d, bool customers);

/* block_agg.c: journeys collected in any order. */

typedef struct BlockPile
{
	MemoryContext cxt;
	struct PileChunk *first; /* in order of arrival */
	struct PileChunk *last;
	uint64 n;
	size_t size; /* of all chunks */
	int64 base;  /* first time of all, or PG_INT64_MAX */
	int64 last_customer;
	bool ascends; /* so far each customer is larger than the one before */
} BlockPile;

extern void pile_init(BlockPile *pile, MemoryContext cxt);

/* Add a customer's journey, of which these are the bytes. */
extern void pile_add(BlockPile *pile, int64 customer, const uint8 *data, size_t len);

/* The block of them; journeys of one customer are put together. The pile stays as it is. */
extern struct varlena *pile_pack(BlockPile *pile, LabelDict *dict);

#endif /* PGJ_BLOCK_BUILD_H */
