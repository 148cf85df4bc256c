/*
 * block_build.h
 *		Writing journey blocks.
 */
#ifndef PGJ_BLOCK_BUILD_H
#define PGJ_BLOCK_BUILD_H

#include "block/block.h"
#include "journey/builder.h"

/* A journey on its way into a block. */
typedef struct BlockRow
{
	int64 customer;
	JourneyView view;
	const uint32 *numbers; /* of its labels in the dictionary of the packing */
} BlockRow;

/*
 * Journeys for a block in order of customers. They are gone through several times, the first
 * time after begin(): each a journey and its numbers, which need last until the next one only.
 */
typedef struct BlockSource
{
	void (*begin)(struct BlockSource *source);
	bool (*next)(struct BlockSource *source, BlockRow *row);
} BlockSource;

/* block.c */
extern void block_set_base(BlockView *b, int64 base);

/* block_build.c */

/* The block of them, a varlena in the current context. */
extern struct varlena *block_pack(BlockSource *source, LabelDict *dict);

/* Check all of a block that has been opened; raises if it is corrupt. */
extern void block_check(const BlockView *b, const uint8 *data, size_t len);

/* Journeys of one block, as a source. */
typedef struct BlockWalk
{
	BlockSource source;
	const BlockView *block;
	BlockCursor cursor;
	const uint32 *numbers;
} BlockWalk;

extern void block_walk_init(BlockWalk *w, const BlockView *b, LabelDict *dict);

/* block_agg.c: journeys collected in any order. */

typedef struct BlockPile
{
	MemoryContext cxt;
	struct PileChunk *first; /* in order of arrival */
	struct PileChunk *last;
	uint64 n;
	int64 last_customer;
	bool ascends; /* so far each customer is larger than the one before */
} BlockPile;

extern void pile_init(BlockPile *pile, MemoryContext cxt);

/* Add a customer's journey, of which these are the bytes. */
extern void pile_add(BlockPile *pile, int64 customer, const uint8 *data, size_t len);

/* The block of them; journeys of one customer are put together. The pile stays as it is. */
extern struct varlena *pile_pack(BlockPile *pile, LabelDict *dict);

#endif /* PGJ_BLOCK_BUILD_H */
