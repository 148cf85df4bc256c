/*
 * nicknames.c
 *		Which names are short for which, made for look-ups.
 *
 * Each full name makes a group of itself and of what is short for it; two names meet if
 * they are in one group. So Bob and Rob meet, in that of Robert, but Alexander and
 * Alexandra don't, though Alex is in the groups of both.
 *
 * As the value that journey_aliases makes, it is of this machine and version, and nobody
 * should store it; it is a bytea all the same, so what is read of it is checked. All its
 * numbers have four bytes, at any address.
 *
 *		magic, number of slots (a power of two, larger than that of names), slots
 *		for each name: hash, length, letters, number of groups, groups in order
 *
 * A slot has where its name begins, 0: it is empty.
 */
#include "postgres.h"

#include "compat.h"
#include "match/comparators.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#define NICKNAMES_MAGIC 0x6b63696e
#define HEADER_WORDS 2

static inline uint32
word_at(const char *data, Size at)
{
	uint32 word;

	memcpy(&word, data + at, sizeof(word));
	return word;
}

static inline void
put_word(char *data, Size *at, uint32 word)
{
	memcpy(data + *at, &word, sizeof(word));
	*at += sizeof(word);
}

static uint32
hash_name(const uint32 *name, uint32 len)
{
	uint64 hash = len;

	for (uint32 i = 0; i < len; i++)
	{
		hash = (hash ^ name[i]) * UINT64CONST(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return hash;
}

static void
corrupt(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid nicknames"),
					errdetail("They are not what match_nicknames makes.")));
}

void
nicknames_open(Nicknames *n, const char *data, Size size)
{
	uint32 nslots;

	n->data = data;
	n->size = size;
	if (size < HEADER_WORDS * sizeof(uint32) || word_at(data, 0) != NICKNAMES_MAGIC)
		corrupt();
	nslots = word_at(data, sizeof(uint32));
	if (nslots == 0 || (nslots & (nslots - 1)) != 0 ||
		nslots > (size / sizeof(uint32)) - HEADER_WORDS)
		corrupt();
}

/* The groups of a name, for nicknames_meet; NULL if it has none. */
const char *
nicknames_of(const Nicknames *n, const uint32 *name, uint32 len)
{
	uint32 nslots = word_at(n->data, sizeof(uint32));
	uint32 hash = hash_name(name, len);
	uint32 slot = hash & (nslots - 1);

	for (uint32 i = 0; i < nslots; i++)
	{
		uint32 at = word_at(n->data, (HEADER_WORDS + slot) * sizeof(uint32));
		uint32 groups;

		CHECK_NOW_AND_THEN(i);
		if (at == 0)
			return NULL;
		if (at > n->size || n->size - at < 3 * sizeof(uint32))
			corrupt();
		if (word_at(n->data, at) == hash && word_at(n->data, at + sizeof(uint32)) == len)
		{
			if ((n->size - at) / sizeof(uint32) - 3 < len)
				corrupt();
			groups = at + (2 + len) * sizeof(uint32);
			if (word_at(n->data, groups) > (n->size - groups) / sizeof(uint32) - 1)
				corrupt();
			if (memcmp(n->data + at + 2 * sizeof(uint32), name, len * sizeof(uint32)) == 0)
				return n->data + groups;
		}
		slot = (slot + 1) & (nslots - 1);
	}
	corrupt(); /* one slot at least is empty */
	return NULL;
}

/* Have they a group in common? */
bool
nicknames_meet(const char *a, const char *b)
{
	uint32 in_a = word_at(a, 0);
	uint32 in_b = word_at(b, 0);
	uint32 i = 1;
	uint32 j = 1;

	while (i <= in_a && j <= in_b)
	{
		uint32 x = word_at(a, i * sizeof(uint32));
		uint32 y = word_at(b, j * sizeof(uint32));

		CHECK_NOW_AND_THEN(i + j);
		if (x == y)
			return true;
		i += x < y;
		j += y < x;
	}
	return false;
}

static int
compare_pairs(const void *x, const void *y)
{
	const NicknamePair *a = x;
	const NicknamePair *b = y;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	for (uint32 i = 0; i < a->len; i++)
		if (a->name[i] != b->name[i])
			return a->name[i] < b->name[i] ? -1 : 1;
	return a->group < b->group ? -1 : a->group > b->group;
}

static uint32
slots_for(uint32 n)
{
	return pg_nextpower2_32(n * 2 + 1);
}

/* What nicknames_build needs at most. */
Size
nicknames_size(const NicknamePair *pairs, uint32 n)
{
	Size words = HEADER_WORDS + slots_for(n);

	for (uint32 i = 0; i < n; i++)
		words += 4 + (Size) pairs[i].len;
	return words * sizeof(uint32);
}

/* Sorts the pairs. data is all zero. */
void
nicknames_build(NicknamePair *pairs, uint32 n, char *data, Size size)
{
	uint32 nslots = slots_for(n);
	Size at = 0;

	qsort(pairs, n, sizeof(NicknamePair), compare_pairs);
	put_word(data, &at, NICKNAMES_MAGIC);
	put_word(data, &at, nslots);
	at += nslots * sizeof(uint32);
	for (uint32 i = 0; i < n;)
	{
		const NicknamePair *first = &pairs[i];
		uint32 hash = hash_name(first->name, first->len);
		uint32 slot = hash & (nslots - 1);
		uint32 ngroups = 0;
		Size place;

		CHECK_NOW_AND_THEN(i);
		while (word_at(data, (HEADER_WORDS + slot) * sizeof(uint32)) != 0)
			slot = (slot + 1) & (nslots - 1);
		place = (HEADER_WORDS + slot) * sizeof(uint32);
		put_word(data, &place, at);
		put_word(data, &at, hash);
		put_word(data, &at, first->len);
		for (uint32 k = 0; k < first->len; k++)
			put_word(data, &at, first->name[k]);
		place = at;
		at += sizeof(uint32);
		for (; i < n && pairs[i].len == first->len &&
			   memcmp(pairs[i].name, first->name, first->len * sizeof(uint32)) == 0;
			 i++)
			if (ngroups == 0 || pairs[i].group != pairs[i - 1].group)
			{
				put_word(data, &at, pairs[i].group);
				ngroups++;
			}
		put_word(data, &place, ngroups);
	}
	Assert(at <= size);
}
