/*
 * label_dict.h
 *		Labels interned for a query: text in, small number out.
 *
 * One dictionary serves a whole query or call site, so that a row costs one
 * hash lookup and a group of an aggregate no hash table of its own. It knows
 * the labels' order too: comparing numbers is comparing ranks.
 *
 * Beside each label (channel, action) it holds (channel, '') and ('', action),
 * which stand for the two parts: the packed format writes a part out once. A
 * label with a detail is found by its pair, (channel, action), and the detail, so
 * that labels without one cost what they would if there were none; beside it
 * stands ('', '', detail).
 */
#ifndef PGJ_LABEL_DICT_H
#define PGJ_LABEL_DICT_H

#include "touchpoint/touch.h"

/*
 * What two labels are compared by. A text of up to 16 bytes is all in its two
 * words (which may overlap); of a longer one these are hashes. With a detail, the
 * first word is the pair's number.
 */
typedef struct LabelKey
{
	uint64 word[4];
	uint32 lengths; /* of channel and action; LABEL_KEY_DETAIL and of the detail */
	bool is_long;   /* one of them does not fit its words */
} LabelKey;

#define LABEL_KEY_DETAIL 0x10000

typedef struct LabelInfo
{
	LabelKey key;
	TouchLabel text;
	uint32 hash;
	uint32 rank;        /* place in the order of labels, if below nranked */
	uint32 pair;        /* number of (channel, action) */
	uint32 channel;     /* number of (channel, '') */
	uint32 action;      /* number of ('', action) */
	uint32 detail;      /* number of ('', '', detail), where there is one */
	uint8 channel_word; /* in the vocabulary, 0 = none */
	uint8 action_word;
	uint8 detail_word;
	uint8 detail_bit; /* in a set of details (format.h), 0 = in none */

	/* of a part: the packing whose dictionary wrote it out last, and where */
	uint32 text_stamp;
	uint32 text_code;
} LabelInfo;

/* The packing that used a label last, and the label's number in that journey. */
typedef struct LabelMark
{
	uint32 stamp;
	uint32 code;
} LabelMark;

/* A label of two words of the vocabulary, and its number. */
typedef struct LabelWords
{
	uint16 words; /* channel << 8 | action, 0 = free */
	uint32 number;
} LabelWords;

#define LABEL_WORDS 256

typedef struct LabelDict
{
	MemoryContext cxt; /* holds all below */
	LabelInfo *labels;
	LabelMark *marks; /* of each label; apart, because every touchpoint needs them */
	uint32 *used;     /* scratch of packing: labels of this journey */
	uint32 *by_rank;  /* ranked labels in their order */
	uint64 *seen;     /* scratch of sorting: a bit a rank, all zero in between */
	uint32 *slots;    /* hash table: number + 1, 0 = free */
	LabelWords *words; /* labels of two words that were asked for last, or NULL */
	uint32 nlabels;
	uint32 labels_max; /* allocated, of labels and used */
	uint32 slot_mask;  /* slots are a power of two, at least 2 * labels_max */
	uint32 nranked;    /* labels below this number have a rank */
	uint32 stamp;      /* of the current packing */
	uint64 text_work;  /* comparisons of text since the last ranking */
} LabelDict;

/* A dictionary with fewer labels is worth keeping when it is not used. */
#define LABEL_DICT_KEEP 16384

/* A dictionary in parent, its labels in a context of their own below. */
extern LabelDict *label_dict_create(MemoryContext parent);

/* Begin anew, without freeing the labels there were. */
extern void label_dict_restart(LabelDict *dict, MemoryContext parent);

static inline bool
label_dict_is_large(const LabelDict *dict)
{
	return dict->nlabels >= LABEL_DICT_KEEP;
}

/*
 * Number of a label, new or known. Valid until the dictionary is trimmed; the
 * text is copied.
 */
extern uint32 label_dict_add(LabelDict *dict, const TouchLabel *label);

/* The same of the label of two words of the vocabulary. */
extern uint32 label_dict_find_words(LabelDict *dict, uint8 channel, uint8 action);

static inline uint32
label_dict_add_words(LabelDict *dict, uint8 channel, uint8 action)
{
	uint16 words = channel << 8 | action;

	if (likely(dict->words))
	{
		const LabelWords *known = &dict->words[(channel * 37 + action) % LABEL_WORDS];

		if (likely(known->words == words))
			return known->number;
	}
	return label_dict_find_words(dict, channel, action);
}

/*
 * Forget all labels, if they are so many that keeping them would cost more
 * than learning them again. Only while no builder uses the dictionary.
 */
extern void label_dict_trim(LabelDict *dict);

/* Begin a packing: afterwards no label is marked as used. */
extern void label_dict_new_stamp(LabelDict *dict);

/* Rank all labels, if comparing their texts has cost as much since the last time. */
extern void label_dict_rank(LabelDict *dict);

/* Put the first n of dict->used, distinct labels, in order. */
extern void label_dict_sort_used(LabelDict *dict, uint32 n);

extern int label_dict_cmp_text(LabelDict *dict, uint32 a, uint32 b);

/* Order of two labels. */
static inline int
label_dict_cmp(LabelDict *dict, uint32 a, uint32 b)
{
	if (a == b)
		return 0;
	if (likely(a < dict->nranked && b < dict->nranked))
		return dict->labels[a].rank < dict->labels[b].rank ? -1 : 1;
	return label_dict_cmp_text(dict, a, b);
}

#endif /* PGJ_LABEL_DICT_H */
