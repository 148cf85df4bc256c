/*
 * bits.c
 *		Reading many numbers of an Elias-Fano section at once.
 */
#include "postgres.h"

#include "journey/bits.h"

/*
 * The next n numbers, to where "numbers" points; or, if that is NULL, how many of them are
 * more than "gap" above the one before, of which *before is the last one read. Missing ones are
 * more than span; so is then *before.
 */
static pg_attribute_always_inline uint64
read_numbers(const EliasFano *ef, EliasFanoCursor *c, uint64 n, uint64 *numbers, uint64 gap,
			 uint64 *before)
{
	/* in registers, which nothing that is written to can change */
	const uint8 *low = ef->low;
	uint64 low_len = ef->low_len;
	int bits = ef->bits;
	uint64 mask = low_mask(bits);
	uint64 word = c->word;
	uint64 word_start = c->word_start;
	uint64 left = n; /* of those between the ends */
	uint64 last = numbers ? 0 : *before;
	uint64 most = last;
	uint64 gaps = 0;
	uint64 bit;
	uint64 plain; /* bits in front of this are read by a load alone */
	uint64 high;
	bool has_span = n > 0 && c->i + n == ef->n && ef->n > 1;

#define TAKE(number)                                                                               \
	do                                                                                             \
	{                                                                                              \
		if (numbers)                                                                               \
			*numbers++ = (number);                                                                 \
		else                                                                                       \
		{                                                                                          \
			uint64 taken = (number);                                                               \
                                                                                                   \
			gaps += taken - last > gap;                                                            \
			most = Max(most, taken);                                                               \
			last = taken;                                                                          \
		}                                                                                          \
	} while (0)

	left -= has_span;
	if (c->i == 0 && n > 0)
	{
		TAKE(0);
		left--;
	}
	/* ones in front of the word, less those numbers that are in front of this one */
	high = word_start - (Max(c->i, 1) - 1);
	bit = (Max(c->i, 1) - 1) * bits;
	plain = bits <= 56 && low_len >= 8 ? (low_len - 7) * 8 : 0;
	c->i += n;
	while (left > 0)
	{
		uint64 number;

		if (unlikely(word == 0))
		{
			word_start += 64;
			high += 64;
			if (unlikely(word_start / 8 >= ef->high_len))
			{
				for (; left > 0; left--)
					TAKE(PG_UINT64_MAX);
				break;
			}
			word = load64(ef->high, ef->high_len, word_start / 8);
			continue;
		}
		number = (high + pg_rightmost_one_pos64(word)) << bits;
		if (likely(bit < plain))
			number |= load_little64(low + (bit >> 3)) >> (bit & 7) & mask;
		else
			number |= array_get(low, low_len, word_start - high, bits);
		TAKE(number);
		left--;
		high--;
		bit += bits;
		word &= word - 1;
	}
	if (has_span)
		TAKE(ef->span);
#undef TAKE
	c->word = word;
	c->word_start = word_start;
	if (numbers == NULL)
		*before = most > ef->span ? PG_UINT64_MAX : last;
	return gaps;
}

void
ef_read(const EliasFano *ef, EliasFanoCursor *c, uint64 *numbers, uint64 n)
{
	if (n > 0)
		read_numbers(ef, c, n, numbers, 0, NULL);
}

uint64
ef_count_gaps(const EliasFano *ef, EliasFanoCursor *c, uint64 n, uint64 gap, uint64 *before)
{
	return read_numbers(ef, c, n, NULL, gap, before);
}
