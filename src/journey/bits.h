/*
 * bits.h
 *		Integers in bytes and bits: LEB128, fixed-width arrays, Elias-Fano.
 *
 * Everything is little-endian and unaligned. Readers take the section's length
 * and never read outside it, whatever it holds; writers want zeroed memory.
 *
 * Elias-Fano keeps n ascending numbers of 0..span in about 2 + log2(span / n)
 * bits each and still reads the i-th without the others: the low bits of each
 * number stand in a fixed-width array; the high parts in unary, number i as a
 * one at bit (high part + i). (P. Elias, "Efficient storage and retrieval by
 * content and address of static files", JACM 21, 1974; S. Vigna, "Quasi-succinct
 * indices", WSDM 2013.) We know the first number (0) and the last (span)
 * beforehand, so only the ones between are stored.
 */
#ifndef PGJ_BITS_H
#define PGJ_BITS_H

#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"

#define LEB_MAX_BYTES 10

static inline uint64
zigzag(int64 x)
{
	return ((uint64) x << 1) ^ (uint64) (x >> 63);
}

static inline int64
unzigzag(uint64 x)
{
	return (int64) (x >> 1) ^ -(int64) (x & 1);
}

static inline int
leb_length(uint64 x)
{
	return x == 0 ? 1 : pg_leftmost_one_pos64(x) / 7 + 1;
}

static inline uint8 *
leb_write(uint8 *p, uint64 x)
{
	for (; x >= 0x80; x >>= 7)
		*p++ = (uint8) x | 0x80;
	*p++ = (uint8) x;
	return p;
}

/*
 * Read one number in front of end. NULL if it is cut off, does not fit 64
 * bits, or has more bytes than it needs.
 */
static inline const uint8 *
leb_read(const uint8 *p, const uint8 *end, uint64 *x)
{
	uint64 result = 0;

	for (int shift = 0; p < end && shift < 70; shift += 7)
	{
		uint8 byte = *p++;

		if (shift == 63 && byte > 1)
			return NULL;
		result |= (uint64) (byte & 0x7f) << shift;
		if (byte < 0x80)
		{
			if (byte == 0 && shift > 0)
				return NULL;
			*x = result;
			return p;
		}
	}
	return NULL;
}

static inline uint64
load_little64(const uint8 *p)
{
	uint64 x;

	memcpy(&x, p, 8);
#ifdef WORDS_BIGENDIAN
	x = pg_bswap64(x);
#endif
	return x;
}

/* Up to 8 bytes at offset, missing ones read as zero. */
static inline uint64
load64(const uint8 *section, uint64 len, uint64 offset)
{
	uint64 x = 0;

	if (likely(offset + 8 <= len))
		return load_little64(section + offset);
	if (offset >= len)
		return 0;
	/* a copy of so many bytes would be a call */
	if (len >= 8)
		return load_little64(section + len - 8) >> 8 * (offset + 8 - len);
	for (uint64 i = len; i > offset; i--)
		x = x << 8 | section[i - 1];
	return x;
}

/*
 * The same, without a loop or a branch a byte, for numbers of up to eight bytes with as many
 * bytes behind p.
 */
static inline const uint8 *
leb_read_word(const uint8 *p, const uint8 *end, uint64 *x)
{
	const uint64 more = UINT64CONST(0x8080808080808080);
	uint64 word;
	uint64 last;
	int bytes;

	if (unlikely(end - p < 8))
		return leb_read(p, end, x);
	word = load64(p, 8, 0);
	if (unlikely((word & more) == more))
		return leb_read(p, end, x);
	last = ~word & more & -(~word & more); /* top bit of the last byte */
	bytes = pg_rightmost_one_pos64(last) / 8 + 1;
	if (unlikely(p[bytes - 1] == 0 && bytes > 1))
		return NULL;
	word &= ~more & (last | (last - 1));
	word = (word & UINT64CONST(0x007f007f007f007f)) | (word & UINT64CONST(0x7f007f007f007f00)) >> 1;
	word = (word & UINT64CONST(0x00003fff00003fff)) | (word & UINT64CONST(0x3fff00003fff0000)) >> 2;
	*x = (word & UINT64CONST(0x0fffffff)) | (word & UINT64CONST(0x0fffffff00000000)) >> 4;
	return p + bytes;
}

/* Number of bits that hold every number up to most. */
static inline int
bits_for(uint64 most)
{
	return most == 0 ? 0 : pg_leftmost_one_pos64(most) + 1;
}

static inline uint64
low_mask(int bits)
{
	return bits >= 64 ? ~UINT64CONST(0) : (UINT64CONST(1) << bits) - 1;
}

/* Bytes of a fixed-width array; the product must not overflow. */
static inline uint64
array_bytes(uint64 n, int bits)
{
	return (n * bits + 7) / 8;
}

static inline uint64
array_get(const uint8 *section, uint64 len, uint64 i, int bits)
{
	uint64 bit = i * bits;
	int shift = bit & 7;
	uint64 x;

	if (bits == 0)
		return 0;
	x = load64(section, len, bit >> 3) >> shift;
	if (shift + bits > 64 && (bit >> 3) + 8 < len)
		x |= (uint64) section[(bit >> 3) + 8] << (64 - shift);
	return x & low_mask(bits);
}

static inline void
store64(uint8 *p, uint64 x)
{
#ifdef WORDS_BIGENDIAN
	x = pg_bswap64(x);
#endif
	memcpy(p, &x, 8);
}

/* A writer of fixed-width numbers one after the other. */
typedef struct BitWriter
{
	uint8 *p;
	uint64 pending;
	int used; /* bits in pending, below 64 between calls */
} BitWriter;

static inline void
bits_write(BitWriter *w, uint64 x, int bits)
{
	x &= low_mask(bits);
	w->pending |= x << w->used;
	w->used += bits;
	if (w->used >= 64)
	{
		store64(w->p, w->pending);
		w->p += 8;
		w->used -= 64;
		w->pending = w->used > 0 ? x >> (bits - w->used) : 0;
	}
}

static inline void
bits_finish(BitWriter *w)
{
	for (; w->used > 0; w->used -= 8, w->pending >>= 8)
		*w->p++ = (uint8) w->pending;
}

/* An Elias-Fano section. */
typedef struct EliasFano
{
	uint64 n; /* numbers, with first and last */
	uint64 span;
	int bits;       /* low bits of each number */
	uint64 low_len; /* 64 bits everywhere: lengths are checked after they are added up */
	uint64 high_len;
	const uint8 *low;
	const uint8 *high;
} EliasFano;

/* Of span / n, which is at least 1: the logarithm, rounded down, without a division. */
static inline int
log2_quotient(uint64 span, uint64 n)
{
	int bits = pg_leftmost_one_pos64(span) - pg_leftmost_one_pos64(n);

	return bits - (n << bits > span);
}

/* Lay out n < 2^32 numbers of 0..span; low and high are left to be set. */
static inline void
ef_layout(EliasFano *ef, uint64 n, uint64 span)
{
	uint64 between = n > 2 ? n - 2 : 0;

	ef->n = n;
	ef->span = span;
	ef->bits = between > 0 && span >= n ? log2_quotient(span, n) : 0;
	ef->low_len = array_bytes(between, ef->bits);
	ef->high_len = between > 0 ? (between + (span >> ef->bits) + 7) / 8 : 0;
	ef->low = ef->high = NULL;
}

static inline uint64
ef_bytes(const EliasFano *ef)
{
	return ef->low_len + ef->high_len;
}

static inline const uint8 *
ef_place(EliasFano *ef, const uint8 *p)
{
	ef->low = p;
	ef->high = p + ef->low_len;
	return ef->high + ef->high_len;
}

/* Reads the numbers in order. */
typedef struct EliasFanoCursor
{
	uint64 i;          /* number to be read next */
	uint64 word;       /* ones of the current word not yet read */
	uint64 word_start; /* its place, in bits */
} EliasFanoCursor;

static inline void
ef_start(const EliasFano *ef, EliasFanoCursor *c)
{
	c->i = 0;
	c->word_start = 0;
	c->word = ef->high_len > 0 ? load64(ef->high, ef->high_len, 0) : 0;
}

/* Next number; more than span if the section is corrupt. */
static pg_attribute_always_inline uint64
ef_next(const EliasFano *ef, EliasFanoCursor *c)
{
	uint64 i = c->i++;
	uint64 high;

	if (i == 0)
		return 0;
	if (i + 1 >= ef->n)
		return ef->span;
	while (c->word == 0)
	{
		c->word_start += 64;
		if (c->word_start / 8 >= ef->high_len)
			return PG_UINT64_MAX;
		c->word = load64(ef->high, ef->high_len, c->word_start / 8);
	}
	high = c->word_start + pg_rightmost_one_pos64(c->word) - (i - 1);
	c->word &= c->word - 1;
	return high << ef->bits | array_get(ef->low, ef->low_len, i - 1, ef->bits);
}

/*
 * bits.c: the next n numbers at once, of which there must be so many; those that are missing
 * in a corrupt section are more than span.
 */
extern void ef_read(const EliasFano *ef, EliasFanoCursor *c, uint64 *numbers, uint64 n);

/*
 * How many of all numbers are more than a gap above the one before; false if what was read for that
 * shows that the section is corrupt. Memory up to "readable" may be read.
 */
extern bool ef_count_gaps(const EliasFano *ef, const uint8 *readable, uint64 gap, uint64 *gaps);

/* A word without its n lowest ones, of which it has more. */
static inline uint64
without_ones(uint64 word, int n)
{
	const uint64 bytes = UINT64CONST(0x0101010101010101);
	const uint64 tops = UINT64CONST(0x8080808080808080);

	if (n >= 4)
	{
		uint64 ones = word - (word >> 1 & UINT64CONST(0x5555555555555555));
		int bit;

		ones = (ones & UINT64CONST(0x3333333333333333)) +
			   (ones >> 2 & UINT64CONST(0x3333333333333333));
		/* of each byte, ones up to its end; and the first byte with more than n */
		ones = ((ones + (ones >> 4)) & UINT64CONST(0x0f0f0f0f0f0f0f0f)) * bytes;
		bit = pg_rightmost_one_pos64(~((n * bytes | tops) - ones) & tops) & ~7;
		n -= ones << 8 >> bit & 0xff;
		word = word >> bit << bit;
	}
	for (; n > 0; n--)
		word &= word - 1;
	return word;
}

/* Place the cursor so that ef_next reads number i: skips words by popcount. */
static inline void
ef_seek(const EliasFano *ef, EliasFanoCursor *c, uint64 i)
{
	uint64 ones;

	if (i < c->i)
		ef_start(ef, c);
	if (i <= 1 || i + 1 >= ef->n)
	{
		c->i = i; /* the section is not needed for either end */
		return;
	}
	ones = i - Max(c->i, 1); /* ones to be passed over */
	for (;;)
	{
		uint64 here = pg_popcount64(c->word);

		if (ones < here)
			break;
		ones -= here;
		c->word_start += 64;
		if (c->word_start / 8 >= ef->high_len)
		{
			c->word = 0; /* corrupt: ef_next will say so */
			break;
		}
		c->word = load64(ef->high, ef->high_len, c->word_start / 8);
	}
	if (c->word != 0)
		c->word = without_ones(c->word, ones);
	c->i = i;
}

/*
 * Place the cursor at the first number from it on that is not below one; of what is surely below
 * it by its high part, the low part is not read.
 */
extern void ef_skip(const EliasFano *ef, EliasFanoCursor *c, uint64 number);

/*
 * The next n numbers, as ef_read, each times a unit and added to the first; false if one is
 * missing or more than span.
 * Bytes up to "readable" may be read, which is at the section's end or behind it.
 */
extern bool ef_read_scaled(const EliasFano *ef, EliasFanoCursor *c, const uint8 *readable,
						   int64 first, int64 unit, int64 *numbers, uint64 n);

/*
 * Writes an Elias-Fano section, numbers in order. The unary part is collected
 * in a word that is stored when the next one begins.
 */
typedef struct EliasFanoWriter
{
	const EliasFano *ef;
	BitWriter low;
	uint8 *high;
	uint64 word;
	uint64 word_start; /* its place, in bits */
	uint64 i;
} EliasFanoWriter;

static inline void
ef_writer_start(EliasFanoWriter *w, const EliasFano *ef, uint8 *p)
{
	memset(w, 0, sizeof(*w));
	w->ef = ef;
	w->low.p = p;
	w->high = p + ef->low_len;
}

static inline void
ef_write(EliasFanoWriter *w, uint64 x)
{
	uint64 i = w->i++;
	uint64 bit;

	if (i == 0 || i + 1 >= w->ef->n)
		return;
	bit = (x >> w->ef->bits) + (i - 1);
	if (bit - w->word_start >= 64)
	{
		/* ones follow behind this word, so all of its bytes are the section's */
		store64(w->high + w->word_start / 8, w->word);
		w->word_start = bit & ~UINT64CONST(63);
		w->word = 0;
	}
	w->word |= UINT64CONST(1) << (bit & 63);
	bits_write(&w->low, x, w->ef->bits);
}

static inline void
ef_finish(EliasFanoWriter *w)
{
	uint8 *p = w->high + w->word_start / 8;

	for (; w->word != 0; w->word >>= 8)
		*p++ = (uint8) w->word;
	bits_finish(&w->low);
}

#endif /* PGJ_BITS_H */
