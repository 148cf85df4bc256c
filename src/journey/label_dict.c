/*
 * label_dict.c
 *		Labels interned for a query: text in, small number out.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/format.h"
#include "journey/label_dict.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* A dictionary with fewer labels is worth keeping. */
#define LABEL_DICT_KEEP 16384
#define LABEL_DICT_START 32

/* All bytes of a text shorter than 8, in one word. */
static inline uint64
short_text(const char *p, size_t len)
{
	uint32 a;
	uint32 b;

	if (len >= 4)
	{
		memcpy(&a, p, 4);
		memcpy(&b, p + len - 4, 4);
		return (uint64) b << 32 | a;
	}
	if (len == 0)
		return 0;
	return (uint64) (uint8) p[0] | (uint64) (uint8) p[len / 2] << 8 |
		   (uint64) (uint8) p[len - 1] << 16;
}

/* Hash of a text, for memory only: multiply and fold, eight bytes at a time. */
static inline uint64
hash_text(uint64 h, const char *p, size_t len)
{
	uint64 x;

	h ^= len;
	for (; len >= 8; p += 8, len -= 8)
	{
		memcpy(&x, p, 8);
		h = (h ^ x) * UINT64CONST(0x9E3779B97F4A7C15);
		h ^= h >> 32;
	}
	h = (h ^ short_text(p, len)) * UINT64CONST(0x9E3779B97F4A7C15);
	return h ^ h >> 29;
}

/* memcmp() == 0 without the call, which for such short texts costs the most. */
static inline bool
text_equal(const char *a, const char *b, size_t len)
{
	uint64 x;
	uint64 y;

	for (; len >= 8; a += 8, b += 8, len -= 8)
	{
		memcpy(&x, a, 8);
		memcpy(&y, b, 8);
		if (x != y)
			return false;
	}
	return short_text(a, len) == short_text(b, len);
}

static inline uint32
hash_label(const TouchLabel *label)
{
	uint64 h = hash_text(0, label->channel, label->channel_len);

	h = hash_text(h, label->action, label->action_len);
	return (uint32) (h ^ h >> 32);
}

static inline bool
label_equal(const TouchLabel *a, const TouchLabel *b)
{
	return a->channel_len == b->channel_len && a->action_len == b->action_len &&
		   text_equal(a->channel, b->channel, a->channel_len) &&
		   text_equal(a->action, b->action, a->action_len);
}

/* (Re)make the arrays in the dictionary's context, which is empty. */
static void
start_empty(LabelDict *dict)
{
	dict->nlabels = dict->nranked = 0;
	dict->text_work = 0;
	dict->stamp = 1;
	dict->labels_max = LABEL_DICT_START;
	dict->slot_mask = 2 * LABEL_DICT_START - 1;
	dict->labels = MemoryContextAlloc(dict->cxt, dict->labels_max * sizeof(LabelInfo));
	dict->used = MemoryContextAlloc(dict->cxt, dict->labels_max * sizeof(uint32));
	dict->by_rank = MemoryContextAlloc(dict->cxt, dict->labels_max * sizeof(uint32));
	dict->seen = MemoryContextAllocZero(dict->cxt, (dict->labels_max + 63) / 64 * sizeof(uint64));
	dict->slots = MemoryContextAllocZero(dict->cxt, (dict->slot_mask + 1) * sizeof(uint32));
}

LabelDict *
label_dict_create(MemoryContext parent)
{
	LabelDict *dict = MemoryContextAllocZero(parent, sizeof(LabelDict));

	dict->cxt = AllocSetContextCreate(parent, "pg_journey labels", ALLOCSET_SMALL_SIZES);
	start_empty(dict);
	return dict;
}

void
label_dict_trim(LabelDict *dict)
{
	if (dict->nlabels < LABEL_DICT_KEEP)
		return;
	MemoryContextReset(dict->cxt);
	start_empty(dict);
}

static void
grow(LabelDict *dict)
{
	size_t most = (size_t) dict->labels_max * 2;

	if (most > PG_INT32_MAX / 2)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many distinct labels in one query"),
						errdetail("The limit is %d.", PG_INT32_MAX / 2)));
	dict->labels = repalloc_huge(dict->labels, most * sizeof(LabelInfo));
	dict->used = repalloc_huge(dict->used, most * sizeof(uint32));
	dict->by_rank = repalloc_huge(dict->by_rank, most * sizeof(uint32));
	pfree(dict->seen);
	dict->seen = MemoryContextAllocExtended(dict->cxt, (most + 63) / 64 * sizeof(uint64),
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	pfree(dict->slots);
	dict->slots = MemoryContextAllocExtended(dict->cxt, 2 * most * sizeof(uint32),
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	dict->slot_mask = 2 * most - 1;
	dict->labels_max = most;
	for (uint32 number = 0; number < dict->nlabels; number++)
	{
		uint32 slot = dict->labels[number].hash & dict->slot_mask;

		while (dict->slots[slot] != 0)
			slot = (slot + 1) & dict->slot_mask;
		dict->slots[slot] = number + 1;
	}
}

/* Enter a label that is not there; its number. */
static pg_noinline uint32
add_new(LabelDict *dict, const TouchLabel *label, uint32 hash)
{
	uint32 number;
	uint32 channel = 0;
	uint32 action = 0;
	uint32 slot;
	LabelInfo *info;
	char *text;

	if (label->channel_len > 0 && label->action_len > 0)
	{
		TouchLabel part = *label;

		part.channel_len = 0;
		action = label_dict_add(dict, &part);
		part.channel_len = label->channel_len;
		part.action_len = 0;
		channel = label_dict_add(dict, &part);
	}
	else if (label->channel_len + label->action_len > 0)
	{
		TouchLabel part = *label;

		part.channel_len = part.action_len = 0;
		channel = action = label_dict_add(dict, &part);
	}
	if (dict->nlabels == dict->labels_max)
		grow(dict);
	number = dict->nlabels;
	info = &dict->labels[number];
	memset(info, 0, sizeof(LabelInfo));
	text = MemoryContextAlloc(dict->cxt, label->channel_len + label->action_len + 1);
	memcpy(text, label->channel, label->channel_len);
	memcpy(text + label->channel_len, label->action, label->action_len);
	info->text = *label;
	info->text.channel = text;
	info->text.action = text + label->channel_len;
	info->hash = hash;
	info->channel = label->action_len > 0 ? channel : number;
	info->action = label->channel_len > 0 ? action : number;
	info->channel_word = vocabulary_find(label->channel, label->channel_len);
	info->action_word = vocabulary_find(label->action, label->action_len);

	for (slot = hash & dict->slot_mask; dict->slots[slot] != 0; slot = (slot + 1) & dict->slot_mask)
		;
	dict->slots[slot] = number + 1;
	dict->nlabels++;
	return number;
}

uint32
label_dict_add(LabelDict *dict, const TouchLabel *label)
{
	uint32 hash = hash_label(label);
	uint32 slot = hash & dict->slot_mask;
	uint32 entry;

	for (; (entry = dict->slots[slot]) != 0; slot = (slot + 1) & dict->slot_mask)
	{
		const LabelInfo *info = &dict->labels[entry - 1];

		if (info->hash == hash && label_equal(&info->text, label))
			return entry - 1;
	}
	return add_new(dict, label, hash);
}

void
label_dict_new_stamp(LabelDict *dict)
{
	if (++dict->stamp != 0)
		return;
	for (uint32 i = 0; i < dict->nlabels; i++)
		dict->labels[i].stamp = dict->labels[i].action_stamp = 0;
	dict->stamp = 1;
}

int
label_dict_cmp_text(LabelDict *dict, uint32 a, uint32 b)
{
	dict->text_work++;
	return touch_label_cmp(&dict->labels[a].text, &dict->labels[b].text);
}

#define ST_SORT sort_by_text
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b, dict) label_dict_cmp_text(dict, *(a), *(b))
#define ST_COMPARE_ARG_TYPE LabelDict
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
label_dict_rank(LabelDict *dict)
{
	if (dict->nranked == dict->nlabels || dict->text_work < dict->nlabels)
		return;
	dict->nranked = 0; /* should the sort be cancelled */
	for (uint32 i = 0; i < dict->nlabels; i++)
		dict->by_rank[i] = i;
	sort_by_text(dict->by_rank, dict->nlabels, dict);
	for (uint32 i = 0; i < dict->nlabels; i++)
		dict->labels[dict->by_rank[i]].rank = i;
	dict->nranked = dict->nlabels;
	dict->text_work = 0;
}

#define ST_SORT sort_labels
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b, dict) label_dict_cmp(dict, *(a), *(b))
#define ST_COMPARE_ARG_TYPE LabelDict
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
label_dict_sort_used(LabelDict *dict, uint32 n)
{
	uint32 words = (dict->nranked + 63) / 64;
	uint32 sorted = 0;

	for (uint32 i = 0; i < n; i++)
		if (dict->used[i] >= dict->nranked)
			words = PG_UINT32_MAX;
	if (words > n + 16)
	{
		sort_labels(dict->used, n, dict);
		return;
	}
	/* few labels in all: mark the ranks and collect them in order */
	for (uint32 i = 0; i < n; i++)
	{
		uint32 rank = dict->labels[dict->used[i]].rank;

		dict->seen[rank / 64] |= UINT64CONST(1) << rank % 64;
	}
	for (uint32 word = 0; word < words; word++)
	{
		for (uint64 bits = dict->seen[word]; bits != 0; bits &= bits - 1)
			dict->used[sorted++] = dict->by_rank[64 * word + pg_rightmost_one_pos64(bits)];
		dict->seen[word] = 0;
	}
}
