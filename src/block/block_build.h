/*
 * block_build.h
 *		Writing journey blocks.
 */
#ifndef PGJ_BLOCK_BUILD_H
#define PGJ_BLOCK_BUILD_H

#include "block/block.h"
#include "journey/builder.h"
#include "journey/journey_text.h"

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
 * Journeys for a block in order of customers. They are gone through several times, each after
 * begin(): each a journey and its numbers, which need last until the next one only.
 */
typedef struct BlockSource
{
	int64 base; /* first time of all, if known: else a guess, which costs one time more */
	void (*begin)(struct BlockSource *source);
	bool (*next)(struct BlockSource *source, BlockRow *row);
} BlockSource;

/* block.c */
extern void block_set_base(BlockView *b, int64 base);

/* Of a block of total bytes at data: how many of the first ones a part needs. */
extern size_t block_part_bytes(const BlockView *b, BlockPart part, const uint8 *data, size_t total);

/* block_build.c */

/* What a packing decides before it writes. */
typedef struct BlockPlan
{
	BlockView block; /* without sections */
	DictionaryPlan dictionary;
	uint64 n;
	uint64 touchpoints;
	int64 first; /* time of all */
	int64 last_customer;
	size_t header_len;
} BlockPlan;

/* Add a journey, but for its labels; the size of the block so far. The base must be set. */
extern void block_plan_add(BlockPlan *plan, int64 customer, const JourneyView *v);
extern uint64 block_plan_size(BlockPlan *plan);
extern uint8 *block_write_header(uint8 *p, const BlockPlan *plan);

/* The block of them, a varlena in the current context. */
extern struct varlena *block_pack(BlockSource *source, LabelDict *dict);

/* Check all of a block that has been opened; raises if it is corrupt. */
extern void block_check(const BlockView *b, const uint8 *data, size_t len);

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

/*
 * block_cut.c: a block without these customers, who ascend; NULL if it has none of them. False if
 * it must be packed.
 */
extern bool block_cut(const BlockView *b, const int64 *gone, int ngone, struct varlena **result);

/* block_pile.c: journeys collected in any order. */

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
extern void pile_add_opened(BlockPile *pile, int64 customer, const JourneyView *v,
							const uint8 *data, size_t len);

/* The same of each journey of another pile, or of one that pile_serialize has written. */
extern void pile_add_pile(BlockPile *pile, const BlockPile *other);
extern void pile_add_serialized(BlockPile *pile, const char *p, const char *end);
extern struct varlena *pile_serialize(const BlockPile *pile);

/* The block of them; journeys of one customer are put together. The pile stays as it is. */
extern struct varlena *pile_pack(BlockPile *pile, LabelDict *dict);

/* Pack the builder's journey onto the pile, and free the builder. */
extern void pile_add_built(BlockPile *pile, int64 customer, JourneyBuilder *b);

/* block_text.c */

/* Read a whole text onto the pile; false on failure, with the reason in the scan. */
extern bool block_scan(TextScan *s, BlockPile *pile, LabelDict *dict);

/* How to print: a touchpoint, and what stands around a customer and a journey. */
typedef struct BlockPrint
{
	PrintTouch touch;
	const char *quote;
	const char *open;
	const char *close;
} BlockPrint;

extern const BlockPrint block_as_text;
extern void block_print(StringInfo out, const BlockView *b, const BlockPrint *as);

#endif /* PGJ_BLOCK_BUILD_H */
