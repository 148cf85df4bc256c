/*
 * trigram.c
 *		Three letters at a time: how many different ones two texts share, of all they have.
 *
 * As in contrib's pg_trgm: of words, letters and digits, with two blanks before and one
 * behind; so order and number of the words don't count. But a trigram here is its letters,
 * of 21 bits each, in place of a hash of them.
 */
#include "postgres.h"

#include "compat.h"
#include "match/comparators.h"
#include "miscadmin.h"

#define ST_SORT sort_trigrams
#define ST_ELEMENT_TYPE uint64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

#define LETTER_BITS 21

/* Write the different trigrams of a text, sorted; how many. */
static Size
trigrams_of(const uint32 *c, uint32 n, uint64 *trigrams)
{
	const uint64 mask = (UINT64CONST(1) << 3 * LETTER_BITS) - 1;
	uint64 trigram = 0;
	Size found = 0;
	Size different = 0;
	bool in_word = false;

	for (uint32 i = 0; i <= n; i++)
	{
		bool letter = i < n && is_word_letter(c[i]);

		CHECK_NOW_AND_THEN(i);
		if (!letter && !in_word)
			continue;
		if (!in_word)
			trigram = (uint64) ' ' << LETTER_BITS | ' ';
		trigram = (trigram << LETTER_BITS | (letter ? c[i] : ' ')) & mask;
		trigrams[found++] = trigram;
		in_word = letter;
	}
	sort_trigrams(trigrams, found);
	for (Size i = 0; i < found; i++)
	{
		CHECK_NOW_AND_THEN(i);
		if (different == 0 || trigrams[different - 1] != trigrams[i])
			trigrams[different++] = trigrams[i];
	}
	return different;
}

/* 1: the same words, 0: nothing in common. */
double
trigram_letters(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb)
{
	/* a word has one more than letters, and something stands between two of them */
	uint64 *of_a = work_room(w, 0, ((Size) na + 1) * sizeof(uint64));
	uint64 *of_b = work_room(w, 1, ((Size) nb + 1) * sizeof(uint64));
	Size in_a = trigrams_of(a, na, of_a);
	Size in_b = trigrams_of(b, nb, of_b);
	Size i = 0;
	Size j = 0;
	Size shared = 0;

	while (i < in_a && j < in_b)
	{
		uint64 x = of_a[i];
		uint64 y = of_b[j];

		CHECK_NOW_AND_THEN(i + j);
		shared += x == y;
		i += x <= y;
		j += y <= x;
	}
	return shared == 0 ? 0 : (double) shared / (in_a + in_b - shared);
}
