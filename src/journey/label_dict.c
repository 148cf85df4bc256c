/*
 * label_dict.c
 *		Labels interned for a query: text in, small number out.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "compat.h"
#include "journey/format.h"
#include "journey/label_dict.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define LABEL_DICT_START 32

/*
 * The two words of a text, without a call or a loop for short ones, because
 * this runs for every row of an aggregate. Returns whether the text is long.
 */
static inline bool
text_words(const char *p, size_t len, uint64 *word)
{
	if (likely(len < 8))
	{
		uint32 a = 0;
		uint32 b = 0;

		if (likely(len >= 4))
		{
			memcpy(&a, p, 4);
			memcpy(&b, p + len - 4, 4);
		}
		else if (len > 0)
			a = (uint8) p[0] | (uint8) p[len / 2] << 8 | (uint8) p[len - 1] << 16;
		word[0] = (uint64) b << 32 | a;
		word[1] = 0;
		return false;
	}
	if (likely(len <= 16))
	{
		memcpy(&word[0], p, 8);
		memcpy(&word[1], p + len - 8, 8);
		return false;
	}
	word[0] = hash_bytes_extended((const unsigned char *) p, len, 0);
	word[1] = hash_bytes_extended((const unsigned char *) p, len, 1);
	return true;
}

static inline void
label_key(const TouchLabel *label, LabelKey *key)
{
	bool long_channel = text_words(label->channel, label->channel_len, &key->word[0]);
	bool long_action = text_words(label->action, label->action_len, &key->word[2]);

	key->is_long = long_channel || long_action;
	key->lengths = (uint32) label->channel_len << 8 | label->action_len;
}

static inline void
detail_key(uint32 pair, const TouchLabel *label, LabelKey *key)
{
	key->word[0] = pair;
	key->word[1] = 0;
	key->is_long = text_words(label->detail, label->detail_len, &key->word[2]);
	key->lengths = LABEL_KEY_DETAIL | label->detail_len;
}

/* For memory only: multiply and fold. */
static inline uint32
key_hash(const LabelKey *key)
{
	uint64 h = key->lengths * UINT64CONST(0x9E3779B97F4A7C15);

	h ^= key->word[0] * UINT64CONST(0xC2B2AE3D27D4EB4F);
	h ^= (key->word[1] ^ h >> 32) * UINT64CONST(0x165667B19E3779F9);
	h ^= (key->word[2] ^ h >> 32) * UINT64CONST(0x27D4EB2F165667C5);
	h ^= (key->word[3] ^ h >> 32) * UINT64CONST(0x85EBCA77C2B2AE63);
	return (uint32) (h >> 32 ^ h >> 12);
}

static inline bool
label_equal(const LabelInfo *info, const LabelKey *key, const TouchLabel *label)
{
	uint64 differ = (info->key.word[0] ^ key->word[0]) | (info->key.word[1] ^ key->word[1]) |
					(info->key.word[2] ^ key->word[2]) | (info->key.word[3] ^ key->word[3]) |
					(info->key.lengths ^ key->lengths);

	if (differ != 0)
		return false;
	return likely(!key->is_long) || touch_label_cmp(&info->text, label) == 0;
}

/* Make the arrays in the dictionary's context, which is empty. */
static void
start_empty(LabelDict *dict)
{
	dict->nlabels = dict->nranked = 0;
	dict->text_work = 0;
	dict->stamp = 1;
	dict->labels_max = LABEL_DICT_START;
	dict->slot_mask = 2 * LABEL_DICT_START - 1;
	dict->labels = MemoryContextAlloc(dict->cxt, dict->labels_max * sizeof(LabelInfo));
	dict->marks = MemoryContextAlloc(dict->cxt, dict->labels_max * sizeof(LabelMark));
	dict->used = MemoryContextAlloc(dict->cxt, dict->labels_max * sizeof(uint32));
	dict->by_rank = MemoryContextAlloc(dict->cxt, dict->labels_max * sizeof(uint32));
	dict->seen = MemoryContextAllocZero(dict->cxt, (dict->labels_max + 63) / 64 * sizeof(uint64));
	dict->slots = MemoryContextAllocZero(dict->cxt, (dict->slot_mask + 1) * sizeof(uint32));
}

LabelDict *
label_dict_create(MemoryContext parent)
{
	LabelDict *dict = MemoryContextAllocZero(parent, sizeof(LabelDict));

	label_dict_restart(dict, parent);
	return dict;
}

/* Made aside, so that the dictionary stays sound should memory run out. */
void
label_dict_restart(LabelDict *dict, MemoryContext parent)
{
	LabelDict fresh = {0};

	fresh.cxt = AllocSetContextCreate(parent, "pg_journey labels", ALLOCSET_SMALL_SIZES);
	start_empty(&fresh);
	*dict = fresh;
}

void
label_dict_trim(LabelDict *dict)
{
	MemoryContext old = dict->cxt;

	if (!label_dict_is_large(dict))
		return;
	label_dict_restart(dict, MemoryContextGetParent(old));
	MemoryContextDelete(old);
}

static void
grow(LabelDict *dict)
{
	size_t most = (size_t) dict->labels_max * 2;
	uint64 *seen;
	uint32 *slots;

	if (most > PG_INT32_MAX / 2)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many distinct labels in one query"),
						errdetail("The limit is %d.", PG_INT32_MAX / 2)));
	dict->labels = repalloc_huge(dict->labels, most * sizeof(LabelInfo));
	dict->marks = repalloc_huge(dict->marks, most * sizeof(LabelMark));
	dict->used = repalloc_huge(dict->used, most * sizeof(uint32));
	dict->by_rank = repalloc_huge(dict->by_rank, most * sizeof(uint32));
	/* should memory run out, what is there stays sound */
	seen = MemoryContextAllocExtended(dict->cxt, (most + 63) / 64 * sizeof(uint64),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	slots = MemoryContextAllocExtended(dict->cxt, 2 * most * sizeof(uint32),
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	pfree(dict->seen);
	pfree(dict->slots);
	dict->seen = seen;
	dict->slots = slots;
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
static uint32
enter(LabelDict *dict, const LabelKey *key, uint32 hash)
{
	uint32 number;
	uint32 slot;
	LabelInfo *info;

	if (dict->nlabels == dict->labels_max)
		grow(dict);
	number = dict->nlabels;
	info = &dict->labels[number];
	memset(info, 0, sizeof(LabelInfo));
	dict->marks[number].stamp = 0;
	info->key = *key;
	info->hash = hash;
	for (slot = hash & dict->slot_mask; dict->slots[slot] != 0; slot = (slot + 1) & dict->slot_mask)
		;
	dict->slots[slot] = number + 1;
	dict->nlabels++;
	return number;
}

static pg_noinline uint32
add_new(LabelDict *dict, const TouchLabel *label, const LabelKey *key, uint32 hash)
{
	uint32 number;
	uint32 channel = 0;
	uint32 action = 0;
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
	text = MemoryContextAlloc(dict->cxt, label->channel_len + label->action_len + 1);
	memcpy(text, label->channel, label->channel_len);
	memcpy(text + label->channel_len, label->action, label->action_len);
	number = enter(dict, key, hash);
	info = &dict->labels[number];
	info->text = *label;
	info->text.channel = text;
	info->text.action = text + label->channel_len;
	info->text.detail = text;
	info->text.detail_len = 0;
	info->pair = number;
	info->channel = label->action_len > 0 ? channel : number;
	info->action = label->channel_len > 0 ? action : number;
	info->channel_word = vocabulary_find(label->channel, label->channel_len);
	info->action_word = vocabulary_find(label->action, label->action_len);
	info->detail_bit = detail_set_bit("", 0);
	return number;
}

static pg_noinline uint32
add_new_detail(LabelDict *dict, uint32 pair, const TouchLabel *label, const LabelKey *key,
			   uint32 hash)
{
	bool alone = label->channel_len + label->action_len == 0;
	TouchLabel part = {.channel = "", .action = "", .detail = label->detail};
	uint32 detail = 0;
	uint32 number;
	LabelInfo *info;
	char *text;

	part.detail_len = label->detail_len;
	if (!alone)
		detail = label_dict_add(dict, &part);
	text = MemoryContextAlloc(dict->cxt, label->detail_len);
	memcpy(text, label->detail, label->detail_len);
	number = enter(dict, key, hash);
	info = &dict->labels[number];
	info->text = dict->labels[pair].text;
	info->text.detail = text;
	info->text.detail_len = label->detail_len;
	info->pair = pair;
	info->channel = dict->labels[pair].channel;
	info->action = dict->labels[pair].action;
	info->detail = alone ? number : detail;
	info->channel_word = dict->labels[pair].channel_word;
	info->action_word = dict->labels[pair].action_word;
	info->detail_word = vocabulary_find(text, label->detail_len);
	info->detail_bit = detail_set_bit(text, label->detail_len);
	return number;
}

/* Number of the label that has this key, or where there is none PG_UINT32_MAX. */
static inline uint32
find(const LabelDict *dict, const TouchLabel *label, const LabelKey *key, uint32 hash)
{
	uint32 slot = hash & dict->slot_mask;
	uint32 entry;

	for (; (entry = dict->slots[slot]) != 0; slot = (slot + 1) & dict->slot_mask)
		if (label_equal(&dict->labels[entry - 1], key, label))
			return entry - 1;
	return PG_UINT32_MAX;
}

uint32
label_dict_add(LabelDict *dict, const TouchLabel *label)
{
	TouchLabel pair = *label;
	LabelKey key;
	uint32 hash;
	uint32 number;
	uint32 with_detail;

	pair.detail_len = 0;
	label_key(&pair, &key);
	hash = key_hash(&key);
	number = find(dict, &pair, &key, hash);
	if (unlikely(number == PG_UINT32_MAX))
		number = add_new(dict, &pair, &key, hash);
	if (label->detail_len == 0)
		return number;
	detail_key(number, label, &key);
	hash = key_hash(&key);
	with_detail = find(dict, label, &key, hash);
	if (unlikely(with_detail == PG_UINT32_MAX))
		with_detail = add_new_detail(dict, number, label, &key, hash);
	return with_detail;
}

uint32
label_dict_find_words(LabelDict *dict, uint8 channel, uint8 action)
{
	TouchLabel label = {vocabulary[channel - 1], vocabulary[action - 1], ""};
	LabelWords *known;

	label.channel_len = strlen(label.channel);
	label.action_len = strlen(label.action);
	if (dict->words == NULL)
		dict->words = MemoryContextAllocZero(dict->cxt, LABEL_WORDS * sizeof(LabelWords));
	known = &dict->words[(channel * 37 + action) % LABEL_WORDS];
	known->number = label_dict_add(dict, &label);
	known->words = channel << 8 | action;
	return known->number;
}

void
label_dict_new_stamp(LabelDict *dict)
{
	if (++dict->stamp != 0)
		return;
	for (uint32 i = 0; i < dict->nlabels; i++)
		dict->marks[i].stamp = dict->labels[i].text_stamp = 0;
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
