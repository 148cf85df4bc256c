/*
 * frozen_hash.h
 *		The hash of every type, the same on every machine and for ever, because
 *		hash-partitioned tables depend on it. Never to be changed.
 */
#ifndef PGJ_FROZEN_HASH_H
#define PGJ_FROZEN_HASH_H

/*
 * The finaliser of MurmurHash3 (A. Appleby, public domain), by which each
 * 64-bit word is mixed into the hash.
 */
static inline uint64
mix(uint64 h, uint64 word)
{
	h = (h << 5 | h >> 59) ^ word;
	h ^= h >> 33;
	h *= UINT64CONST(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64CONST(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

static inline uint64
mix_text(uint64 h, const char *p, size_t len)
{
	h = mix(h, len);
	while (len > 0)
	{
		uint64 word = 0;

		for (int i = 0; i < 8 && len > 0; i++, len--)
			word |= (uint64) (uint8) *p++ << (8 * i);
		h = mix(h, word);
	}
	return h;
}

#endif /* PGJ_FROZEN_HASH_H */
