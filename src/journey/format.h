/*
 * format.h
 *		The packed journey: on-disk format, version 1, and its readers.
 *
 * A journey is one varlena. What follows its length word is, byte by byte:
 *
 *	version		1 byte: bits 0-6 1; bit 7 DETAILS: at least one label has a detail
 *	flags		1 byte:
 *				bits 0-2  unit of time: 0 = 1 us, 1 = 1 ms, 2 = 1 s, 3 = 1 min,
 *						  4 = 1 h, 5 = 1 day; 6 and 7 are not used
 *				bit 3     VALUES: at least one touchpoint has a value
 *				bit 4     VALUE_NULLS: at least one other has none
 *				bit 5     REFS: at least one touchpoint has a reference
 *				bit 6     REF_NULLS: at least one other has none
 *				bit 7     REFS_ASCEND: references never fall from one touchpoint
 *						  to the next
 *	n			LEB128, touchpoints. An empty journey ends here, its flags are 0.
 *	first		LEB128 of zigzag, first time in units since 2000-01-01 00:00 UTC
 *	span		LEB128, last time minus first, in units
 *	labels		LEB128, L, distinct labels
 *	dictionary	LEB128, length of the dictionary in bytes
 *	[VALUES]	scale: 1 byte, 0-18, or 255 where each value has its own;
 *				LEB128, length of the value stream in bytes, without bitmap
 *	[REFS]		[REF_NULLS: LEB128, number of references];
 *				LEB128 of zigzag, smallest reference; LEB128, largest minus smallest
 *
 * and then the streams, without padding:
 *
 *	dictionary	L labels in ascending order of (channel, action, detail), bytewise,
 *				told as pairs of a channel and an action, each of them
 *				0			channel: that of the pair before;
 *							action: LEB128 follows, the number, from 0, of the first
 *							pair of this dictionary with the same action, which must
 *							be written out there
 *				1-127		a word of the vocabulary (vocabulary.c)
 *				128-254		128 + length, and as many bytes
 *				255			length - 127 in one byte, and as many bytes (127-255)
 *				Without DETAILS each pair is a label. With them, one byte stands before
 *				every two pairs (before the last one, if it is alone): bits 0-3 are the
 *				set of the details that labels have with the first pair, bits 4-7 with
 *				the second: 1 = none, 2 = "bot", 4 = "in", 8 = "out". A pair whose labels
 *				have others has the set 0; behind such a pair follows LEB128, their
 *				number, and each detail, of them
 *				0			LEB128 follows, the number, from 0, of the first label of this
 *							dictionary with the same detail written out
 *				1-255		as above; length 0 is none
 *	labels		n numbers of a label, of 1 byte while L <= 256, 2 while L <= 65536,
 *				else 4, little-endian
 *	times		Elias-Fano (bits.h) of n offsets from first, in units
 *	[VALUES]	[VALUE_NULLS: bitmap of n bits, 1 = has one]; for each value
 *				[scale 255: 1 byte, its scale]; LEB128 of zigzag, the value times
 *				10^scale
 *	[REFS]		[REF_NULLS: bitmap of n bits, 1 = has one]; the references minus the
 *				smallest: Elias-Fano if REFS_ASCEND, else a fixed-width array
 *
 * Touchpoints stand in their total order (time, ref, channel, action, value), the
 * unit is the coarsest and the scale the smallest that is exact, every choice is
 * determined by the touchpoints: equal journeys are equal bytes. So a journey is
 * self-contained, labels are read without touching times, times without touching
 * values, and the head of a toasted journey tells its dictionary and its period.
 *
 * Limits: 2^31 - 1 touchpoints and what one varlena holds, 1 GB.
 *
 * Readers trust nothing that they have not checked: opening costs O(1) and proves
 * that every stream lies inside the value; cursors check each number on the way.
 * A corrupt value raises ERRCODE_DATA_CORRUPTED. In assert builds every argument
 * of an SQL function is checked whole.
 */
#ifndef PGJ_FORMAT_H
#define PGJ_FORMAT_H

#include "datatype/timestamp.h"
#include "journey/bits.h"
#include "touchpoint/touch.h"

#define JOURNEY_VERSION 1
#define JOURNEY_DETAILS 0x80 /* beside the version */

#define JOURNEY_UNIT_MASK 0x07
#define JOURNEY_UNITS 6
#define JOURNEY_VALUES 0x08
#define JOURNEY_VALUE_NULLS 0x10
#define JOURNEY_REFS 0x20
#define JOURNEY_REF_NULLS 0x40
#define JOURNEY_REFS_ASCEND 0x80

#define JOURNEY_SCALE_MIXED 255

/* Loops over labels look for interrupts after so many. */
#define LABEL_INTERRUPT_EVERY 0x1000

/* No header is longer than this. */
#define JOURNEY_HEADER_MAX (3 + 9 * LEB_MAX_BYTES)

/* vocabulary.c */
#define VOCABULARY_SIZE 127
extern const char *const vocabulary[VOCABULARY_SIZE];
extern uint8 vocabulary_find(const char *part, size_t len);

/* Details that a set of 4 bits tells, in their order; and the bit of one, 0 = in no set. */
#define DETAIL_SET_SIZE 4
extern const char *const detail_set_texts[DETAIL_SET_SIZE];
extern uint8 detail_set_bit(const char *detail, size_t len);

/* A journey opened for reading; it points into the value, which must stay. */
typedef struct JourneyView
{
	uint32 n;
	uint32 nlabels;
	uint8 flags;
	bool details;      /* DETAILS */
	uint8 label_width; /* bytes: 1, 2 or 4 */
	uint8 scale;       /* of values */
	int ref_bits;      /* of references that do not ascend */
	int64 unit;        /* microseconds */
	int64 first;       /* microseconds since 2000-01-01 UTC */
	int64 last;
	size_t dictionary_len;
	const uint8 *dictionary;
	uint64 dictionary_id; /* of a block, shared by its journeys: unlike any other's; 0: its own */
	const uint8 *labels;
	EliasFano times;
	const uint8 *value_bitmap; /* or NULL */
	const uint8 *values;
	const uint8 *values_end;
	uint32 nrefs;
	int64 ref_min;
	uint64 ref_span;
	const uint8 *ref_bitmap; /* or NULL */
	EliasFano refs;          /* low is the fixed-width array otherwise */
} JourneyView;

/* Reads touchpoints in order; .label is the label's number in the dictionary. */
typedef struct JourneyCursor
{
	const JourneyView *view;
	uint32 i;           /* touchpoint to be read next */
	uint32 nrefs;       /* references read */
	const uint8 *value; /* next value */
	EliasFanoCursor time;
	EliasFanoCursor ref;
} JourneyCursor;

extern const int64 journey_unit_usecs[JOURNEY_UNITS];

extern void journey_corrupt(const char *what) __attribute__((noreturn));

/* format.c */
extern void journey_open_head(JourneyView *v, const uint8 *data, size_t have, uint64 total);
extern void journey_open(JourneyView *v, const uint8 *data, size_t len);
extern TouchLabel *journey_dictionary(const JourneyView *v);
extern void journey_start_at(const JourneyView *v, JourneyCursor *c, uint32 i);
extern bool journey_next(JourneyCursor *c, Touch *t);
extern bool journey_next_ref(JourneyCursor *c, int64 *ref);
extern const uint8 *journey_read_value(const JourneyView *v, const uint8 *p, Decimal *d);
extern uint32 journey_search_time(const JourneyView *v, int64 time, bool after);

/* Number of the i-th touchpoint's label, checked. */
static inline uint32
journey_label_at(const JourneyView *v, uint32 i)
{
	uint32 label;

	if (likely(v->label_width == 1))
		label = v->labels[i];
	else if (v->label_width == 2)
		label = v->labels[2 * (size_t) i] | (uint32) v->labels[2 * (size_t) i + 1] << 8;
	else
	{
		const uint8 *p = v->labels + 4 * (size_t) i;

		label = p[0] | (uint32) p[1] << 8 | (uint32) p[2] << 16 | (uint32) p[3] << 24;
	}
	if (unlikely(label >= v->nlabels))
		journey_corrupt("a touchpoint's label is not in the dictionary");
	return label;
}

/* One part of a label as the dictionary has it. */
typedef struct DictionaryPart
{
	bool same;      /* as in an earlier pair; a detail: in an earlier label */
	uint8 word;     /* of the vocabulary, or 0 */
	uint32 earlier; /* which one */
	size_t len;     /* of a text that is no word */
	const char *text;
} DictionaryPart;

/* A false number of labels must ask for nothing huge. */
static inline void
dictionary_check_count(const JourneyView *v)
{
	/* a pair takes at least two bytes, and with details may be four labels */
	if (unlikely(v->nlabels > v->dictionary_len / 2 * (v->details ? DETAIL_SET_SIZE : 1)))
		journey_corrupt("the dictionary is shorter than its labels");
}

/* Read what stands at p before the i-th pair: the set of its details. */
static inline const uint8 *
dictionary_set(const uint8 *p, const uint8 *end, uint32 i, uint8 *sets, uint8 *set)
{
	if (i % 2 == 0)
	{
		if (unlikely(p >= end))
			journey_corrupt("the dictionary is cut off");
		*sets = *p++;
	}
	*set = i % 2 == 0 ? *sets & 0xf : *sets >> 4;
	return p;
}

/* Read how many details are told behind a pair, of which "most" would be too many. */
static inline const uint8 *
dictionary_list(const uint8 *p, const uint8 *end, uint32 most, uint32 *n)
{
	uint64 count;

	p = leb_read(p, end, &count);
	if (p == NULL || count == 0 || count > most)
		journey_corrupt("the number of a label's details is impossible");
	*n = (uint32) count;
	return p;
}

/* Read a part of pair i (a detail: of label i) at p; where the next one stands. */
static pg_attribute_always_inline const uint8 *
dictionary_part(const uint8 *p, const uint8 *end, uint32 i, bool is_channel, DictionaryPart *part)
{
	uint8 byte;

	if (unlikely(p >= end))
		journey_corrupt("the dictionary is cut off");
	byte = *p++;
	part->same = byte == 0;
	part->word = 0;
	if (byte == 0 && is_channel)
	{
		if (unlikely(i == 0))
			journey_corrupt("the first label has no channel");
		part->earlier = i - 1;
	}
	else if (byte == 0)
	{
		uint64 earlier;

		p = leb_read(p, end, &earlier);
		if (unlikely(p == NULL || earlier >= i))
			journey_corrupt("a part of a label refers to no earlier one");
		part->earlier = earlier;
	}
	else if (byte <= VOCABULARY_SIZE)
	{
		part->word = byte;
		part->text = vocabulary[byte - 1];
	}
	else
	{
		part->len = byte - 128;
		if (byte == 255)
		{
			if (unlikely(p >= end || *p > LABEL_PART_MAX - 127))
				journey_corrupt("a label is too long");
			part->len = *p++ + 127;
		}
		if (unlikely(part->len > end - p))
			journey_corrupt("the dictionary is cut off");
		if (unlikely(memchr(p, '\0', part->len) != NULL))
			journey_corrupt("a label contains a null byte");
		part->text = (const char *) p;
		p += part->len;
	}
	return p;
}

/* Offset in units to time; more than the span is what a corrupt stream yields. */
static inline int64
journey_time_from_offset(const JourneyView *v, uint64 offset)
{
	if (unlikely(offset > v->times.span))
		journey_corrupt("a time lies behind the last one");
	return (int64) ((uint64) v->first + offset * (uint64) v->unit);
}

/* The smallest offset of a touchpoint that is not before a time, which is not before the first one. */
static inline uint64
journey_offset_from_time(const JourneyView *v, int64 time)
{
	uint64 usecs = (uint64) time - (uint64) v->first;

	/* most are; to divide by a constant takes less */
	if (likely(v->unit == USECS_PER_SEC))
		return usecs / USECS_PER_SEC + (usecs % USECS_PER_SEC != 0);
	return usecs / v->unit + (usecs % v->unit != 0);
}

#endif /* PGJ_FORMAT_H */
