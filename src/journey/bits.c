/*
 * bits.c
 *		Reading many numbers of an Elias-Fano section at once.
 */
#include "postgres.h"

#include "journey/bits.h"
#include "miscadmin.h"

#define INTERRUPT_EVERY 0x100000

/*
 * Of so many numbers between the ends, how many are read by a load alone. That may go on into
 * the unary part, which stands behind the low bits.
 */
static inline uint64
plain_numbers(const EliasFano *ef, uint64 n)
{
	uint64 len = ef_bytes(ef);
	uint64 bits = ef->bits;

	if (bits > 56 || len < 8)
		return 0;
	if (likely((n - 1) * bits < (len - 7) * 8))
		return n;
	return ((len - 7) * 8 - 1) / bits + 1;
}

/*
 * Read the numbers between the ends from the i-th up to "end"; up to which one they were there.
 *
 * The word is what each step waits for: it must stay in a register, so "plain" has a loop of
 * its own.
 */
static pg_attribute_always_inline uint64
read_between(const EliasFano *ef, EliasFanoCursor *c, uint64 i, uint64 end, bool plain,
			 uint64 *numbers)
{
	const uint8 *low = ef->low;
	int bits = ef->bits;
	uint64 mask = low_mask(bits);
	uint64 bit = i * bits;
	uint64 word = c->word;
	uint64 word_start = c->word_start;

	while (i < end)
	{
		if (unlikely(word == 0))
		{
			word_start += 64;
			if (unlikely(word_start / 8 >= ef->high_len))
				break;
			word = load64(ef->high, ef->high_len, word_start / 8);
			continue;
		}
		do
		{
			uint64 number = (word_start + pg_rightmost_one_pos64(word) - i) * (mask + 1);

			if (plain)
				number += load_little64(low + (bit >> 3)) >> (bit & 7) & mask;
			else
				number += array_get(low, ef->low_len, i, bits);
			*numbers++ = number;
			word &= word - 1;
			bit += bits;
			i++;
		} while (word != 0 && i < end);
	}
	c->word = word;
	c->word_start = word_start;
	return i;
}

void
ef_read(const EliasFano *ef, EliasFanoCursor *c, uint64 *numbers, uint64 n)
{
	uint64 *to = numbers + n;
	uint64 i = Max(c->i, 1) - 1; /* of those between the ends */
	uint64 plain;
	uint64 end;

	if (n == 0)
		return;
	if (c->i == 0)
		*numbers++ = 0;
	c->i += n;
	if (c->i == ef->n && ef->n > 1)
		*--to = ef->span;
	end = i + (to - numbers);
	plain = read_between(ef, c, i, Min(end, plain_numbers(ef, end)), true, numbers);
	numbers += plain - i;
	i = read_between(ef, c, plain, end, false, numbers);
	numbers += i - plain;
	while (numbers < to)
		*numbers++ = PG_UINT64_MAX;
}

void
ef_skip(const EliasFano *ef, EliasFanoCursor *c, uint64 number)
{
	uint64 high = number >> ef->bits;
	uint64 low = number & low_mask(ef->bits);
	uint64 word = c->word;
	uint64 word_start = c->word_start;
	uint64 i;

	if (number == 0 || c->i >= ef->n)
		return;
	if (number > ef->span || ef->n == 1)
	{
		c->i = ef->n;
		return;
	}
	i = Max(c->i, 1) - 1; /* of those between the ends */
	while (i + 2 < ef->n)
	{
		uint64 here;

		if (word == 0 || word_start + 63 - i < high)
		{
			i += pg_popcount64(word);
			word_start += 64;
			word = 0;
			if (unlikely(word_start / 8 >= ef->high_len))
				break;
			word = load64(ef->high, ef->high_len, word_start / 8);
			if (unlikely(word_start % INTERRUPT_EVERY == 0))
				CHECK_FOR_INTERRUPTS();
			continue;
		}
		here = word_start + pg_rightmost_one_pos64(word) - i;
		if (here > high || (here == high && array_get(ef->low, ef->low_len, i, ef->bits) >= low))
			break;
		word &= word - 1;
		i++;
	}
	c->word = word;
	c->word_start = word_start;
	c->i = Min(i + 1, ef->n - 1);
}

/*
 * Numbers of one high part stand as ones without a zero between. Where the first and the last of
 * them are no more than a gap apart, none between them is read.
 */
static pg_attribute_always_inline bool
count_gaps(const EliasFano *ef, uint64 gap, bool plain, uint64 *gaps)
{
	const uint8 *low = ef->low;
	int bits = ef->bits;
	uint64 mask = low_mask(bits);
	uint64 between = ef->n > 2 ? ef->n - 2 : 0;
	uint64 found = 0;
	uint64 last = 0;
	uint64 i = 0;

#define number_at(base, i)                                                                         \
	((base) + (plain ? load_little64(low + ((i) *bits >> 3)) >> ((i) *bits & 7) & mask             \
					 : array_get(low, ef->low_len, (i), bits)))

	for (uint64 word_start = 0; i < between; word_start += 64)
	{
		uint64 at_byte = word_start / 8;
		uint64 word;

		if (unlikely(at_byte >= ef->high_len))
			return false;
		if (plain)
		{
			word = load_little64(ef->high + at_byte);
			if (ef->high_len - at_byte < 8)
				word &= low_mask(8 * (ef->high_len - at_byte));
		}
		else
			word = load64(ef->high, ef->high_len, at_byte);
		if (unlikely(word_start % INTERRUPT_EVERY == INTERRUPT_EVERY - 64))
			CHECK_FOR_INTERRUPTS();
		while (word != 0 && i < between)
		{
			int at = pg_rightmost_one_pos64(word);
			uint64 rest = word & (word + (word & -word)); /* without the lowest ones */
			uint64 run = word ^ rest;
			int n = pg_leftmost_one_pos64(run) + 1 - at;
			uint64 base = (word_start + at - i) * (mask + 1);
			uint64 first = number_at(base, i);
			uint64 behind = Min(i + n, between);
			uint64 end = number_at(base, behind - 1);

			if (unlikely(first < last || end < first))
				return false;
			found += first - last > gap;
			if (end - first > gap)
			{
				last = first;
				for (i++; i < behind; i++)
				{
					uint64 here = number_at(base, i);

					if (unlikely(here < last))
						return false;
					found += here - last > gap;
					last = here;
				}
			}
			last = end;
			i = behind;
			word = rest;
		}
	}
#undef number_at
	if (unlikely(last > ef->span))
		return false;
	*gaps = found + (ef->n > 1 && ef->span - last > gap);
	return true;
}

bool
ef_count_gaps(const EliasFano *ef, const uint8 *readable, uint64 gap, uint64 *gaps)
{
	if (ef->bits <= 56 && readable - ef->high >= (ptrdiff_t) ef->high_len + 7)
		return count_gaps(ef, gap, true, gaps);
	return count_gaps(ef, gap, false, gaps);
}

bool
ef_read_scaled(const EliasFano *ef, EliasFanoCursor *c, const uint8 *readable, int64 first,
			   int64 unit, int64 *numbers, uint64 n)
{
	const uint8 *low = ef->low;
	int bits = ef->bits;
	uint64 mask = low_mask(bits);
	uint64 span = ef->span;
	uint64 i = Max(c->i, 1) - 1; /* of those between the ends */
	int64 *to = numbers + n;
	bool wrong = false;
	uint64 bit = i * bits;
	uint64 word = c->word;
	uint64 word_start = c->word_start;

	if (unlikely(n == 0))
		return true;
	if (unlikely(bits > 56 || readable - low < (ptrdiff_t) ((i + n) * bits / 8 + 8)))
	{
		ef_read(ef, c, (uint64 *) numbers, n);
		for (uint64 k = 0; k < n; k++)
		{
			wrong |= (uint64) numbers[k] > span;
			numbers[k] = (int64) ((uint64) first + (uint64) numbers[k] * (uint64) unit);
		}
		return !wrong;
	}
	if (c->i == 0)
		*numbers++ = first;
	c->i += n;
	if (c->i == ef->n && ef->n > 1)
		*--to = (int64) ((uint64) first + span * (uint64) unit);
	while (numbers < to)
	{
		if (unlikely(word == 0))
		{
			word_start += 64;
			if (unlikely(word_start / 8 >= ef->high_len))
				return false;
			word = load64(ef->high, ef->high_len, word_start / 8);
			continue;
		}
		do
		{
			uint64 number = (word_start + pg_rightmost_one_pos64(word) - i) * (mask + 1) +
							(load_little64(low + (bit >> 3)) >> (bit & 7) & mask);

			wrong |= number > span;
			*numbers++ = (int64) ((uint64) first + number * (uint64) unit);
			word &= word - 1;
			bit += bits;
			i++;
		} while (word != 0 && numbers < to);
	}
	c->word = word;
	c->word_start = word_start;
	return !wrong;
}
