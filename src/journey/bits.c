/*
 * bits.c
 *		Reading many numbers of an Elias-Fano section at once.
 */
#include "postgres.h"

#include "journey/bits.h"

void
ef_read(const EliasFano *ef, EliasFanoCursor *c, uint64 *numbers, uint64 n)
{
	/* in registers, which nothing that is written to can change */
	const uint8 *low = ef->low;
	uint64 low_len = ef->low_len;
	int bits = ef->bits;
	uint64 mask = low_mask(bits);
	uint64 word = c->word;
	uint64 word_start = c->word_start;
	uint64 bit;
	uint64 high;
	uint64 *end = numbers + n;

	if (n == 0)
		return;
	if (c->i + n == ef->n && ef->n > 1)
		*--end = ef->span;
	if (c->i == 0)
		*numbers++ = 0;
	/* numbers between: ones before the word, less numbers before this one */
	bit = (Max(c->i, 1) - 1) * bits;
	high = word_start - (Max(c->i, 1) - 1);
	c->i += n;
	while (numbers < end)
	{
		uint64 number;

		if (unlikely(word == 0))
		{
			word_start += 64;
			high += 64;
			if (unlikely(word_start / 8 >= ef->high_len))
			{
				while (numbers < end)
					*numbers++ = PG_UINT64_MAX;
				break;
			}
			word = load64(ef->high, ef->high_len, word_start / 8);
			continue;
		}
		number = (high + pg_rightmost_one_pos64(word)) << bits;
		if (likely(bits <= 56))
			number |= load64(low, low_len, bit >> 3) >> (bit & 7) & mask;
		else
			number |= array_get(low, low_len, word_start - high, bits);
		*numbers++ = number;
		high--;
		bit += bits;
		word &= word - 1;
	}
	c->word = word;
	c->word_start = word_start;
}
