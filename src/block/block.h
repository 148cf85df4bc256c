/*
 * block.h
 *		The journey block: many customers' journeys in one value, by column.
 *
 * What is done for each journey otherwise, opening it, reading its dictionary, asking a
 * pattern about its labels, is done once a block. In it a journey is a JourneyView of
 * pointers, so every algorithm over journeys works on blocks as it stands.
 *
 * A block is one varlena. What follows its length word is, byte by byte:
 *
 *	version		1 byte: bits 0-6 1; bit 7 DETAILS: at least one label has a detail
 *	flags		1 byte: bit 0 EXTRAS: at least one touchpoint has a value or a reference;
 *				others are not used
 *	n			LEB128, journeys. An empty block ends here, with no bit set.
 *	touchpoints	LEB128, of all of them
 *	first		LEB128 of zigzag, the smallest customer
 *	span		LEB128, the largest customer minus the smallest
 *	labels		LEB128, L, distinct labels
 *	dictionary	LEB128, length of the dictionary in bytes
 *	base		LEB128 of zigzag, the first time of all, in microseconds since 2000; 0
 *				without touchpoints
 *	times		LEB128, length of the times in bytes
 *	[EXTRAS]	LEB128, length of the extras in bytes
 *
 * and then, without padding (Elias-Fano: bits.h; offsets begin with 0 and end with the length
 * of what they are offsets in, so there is one more than journeys):
 *
 *	customers	Elias-Fano of n customers, minus the smallest; they ascend, each once
 *	starts		Elias-Fano of n + 1 numbers of touchpoints: where a journey's begin
 *	dictionary	as in a journey (format.h), the labels of all of them
 *	labels		a number for each touchpoint, journey by journey: 1 byte while L <= 256, 2 while
 *				L <= 65536, else 4, little-endian
 *	offsets		Elias-Fano of n + 1 offsets in the times
 *	times		of each journey that has touchpoints
 *				1 byte, unit of time as in a journey's flags;
 *				LEB128, its first time minus base, both divided by the unit, base rounded down;
 *				[more than one: LEB128, last time minus first, in units];
 *				Elias-Fano of the offsets from first, as in a journey
 *	[EXTRAS]	offsets: Elias-Fano of n + 1 offsets in the extras
 *				extras, of each journey that has a value or a reference
 *				1 byte, flags of a journey without the unit;
 *				what its header has of values and references;
 *				bitmaps, values and references, as in a journey
 *
 * So what a question needs stands in front: labels can be fetched without times, times without
 * values and references. Equal sets of customers with equal journeys are equal bytes.
 *
 * Limits: 2^31 - 1 journeys, as many touchpoints, and what one varlena holds, 1 GB.
 *
 * Readers trust nothing that they have not checked: opening costs O(1) and proves that every
 * section lies inside the value; what a journey's part says is checked as it is opened. A
 * corrupt value raises ERRCODE_DATA_CORRUPTED. In assert builds every argument of an SQL
 * function is checked whole.
 */
#ifndef PGJ_BLOCK_H
#define PGJ_BLOCK_H

#include "journey/format.h"
#include "utils/array.h"

#define BLOCK_VERSION 1
#define BLOCK_DETAILS JOURNEY_DETAILS /* beside the version */
#define BLOCK_EXTRAS 0x01

/* A block opened for reading; it points into the value, which must stay. */
typedef struct BlockView
{
	uint32 n;           /* journeys */
	uint32 touchpoints; /* of all of them */
	bool extras;
	int64 first_customer;
	int64 base;
	int64 base_units[JOURNEY_UNITS]; /* base in each unit, rounded down */
	EliasFano customers;
	EliasFano starts;
	EliasFano time_offsets;
	const uint8 *times;
	size_t times_len;
	EliasFano extra_offsets;
	const uint8 *extra;
	size_t extra_len;
	JourneyView shared; /* what all its journeys have: dictionary, labels, dictionary_id */
} BlockView;

/* How much of a block is wanted: so much is fetched of one that is out of line. */
typedef enum BlockPart
{
	BLOCK_HEAD,    /* how many journeys and touchpoints */
	BLOCK_LENGTHS, /* ... customers and lengths */
	BLOCK_LABELS,  /* ... and labels */
	BLOCK_TIMES,   /* ... and times: journeys open without values and references */
	BLOCK_ALL
} BlockPart;

/* Numbers of one of its Elias-Fano sections, which are read so many at a time. */
#define BLOCK_AHEAD 64

typedef struct BlockNumbers
{
	const EliasFano *ef;
	EliasFanoCursor cursor;
	uint32 from; /* the first one at hand */
	uint32 n;
	uint64 numbers[BLOCK_AHEAD];
} BlockNumbers;

/* Goes through journeys in the order of customers; before the first one at first. */
typedef struct BlockCursor
{
	const BlockView *block;
	BlockPart part;
	uint32 i;     /* journeys taken: the one at hand is number i - 1 */
	uint32 first; /* of the journey at hand: its first touchpoint's number in the block */
	uint32 n;     /* and how many it has */
	BlockNumbers customers;
	BlockNumbers starts;
	BlockNumbers time_offsets;
	BlockNumbers extra_offsets;
} BlockCursor;

/* A detoasted argument, opened; free it with block_arg_close where memory lasts. */
typedef struct BlockArg
{
	BlockView view;
	BlockCursor cursor; /* before the first journey */
	struct varlena *packed;
	bool copied;
} BlockArg;

extern void block_corrupt(const char *what) __attribute__((noreturn));

/* block.c */

/* Open a block of total bytes of which "have" are at data: all, or as much as a part needs. */
extern void block_open_head(BlockView *b, const uint8 *data, size_t have, uint64 total);
extern void block_open(BlockView *b, const uint8 *data, size_t len);
extern void block_start(const BlockView *b, BlockCursor *c, BlockPart part);
extern void block_numbers_read(BlockNumbers *numbers, uint32 i);

/* The i-th one, which there is; more than its span if the section is corrupt. */
static inline uint64
block_number_at(BlockNumbers *numbers, uint32 i)
{
	if (unlikely(i - numbers->from >= numbers->n))
		block_numbers_read(numbers, i);
	return numbers->numbers[i - numbers->from];
}

/* The next journey; false at the end. Only its length is read: journeys are passed over fast. */
static inline bool
block_next(BlockCursor *c)
{
	const BlockView *b = c->block;
	uint64 end;

	if (c->i >= b->n)
		return false;
	c->i++;
	c->first += c->n;
	end = block_number_at(&c->starts, c->i);
	if (unlikely(end < c->first || end > b->touchpoints))
		block_corrupt("a journey's length is impossible");
	c->n = end - c->first;
	return true;
}

/* Of the journey at hand: whose it is. */
extern int64 block_customer(BlockCursor *c);

/* The journey at hand, opened: as far as the cursor's part goes. Lasts as long as the block does. */
extern void block_journey(BlockCursor *c, JourneyView *v);

/* Likewise, if it has touchpoints, but only n, flags, unit, first, last and times are set. */
extern void block_times(BlockCursor *c, JourneyView *v);

/* block_change.c: an array of a number for each journey, bigint; they are to be filled in. */
extern ArrayType *block_array(const BlockView *b, int64 **numbers);

/* block_arg.c */
extern void block_arg_open(BlockArg *arg, Datum d, BlockPart part);
extern void block_arg_close(BlockArg *arg);

#endif /* PGJ_BLOCK_H */
