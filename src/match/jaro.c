/*
 * jaro.c
 *		The string comparator of Jaro, with Winkler's weight of the beginning.
 *
 * M. A. Jaro, "Advances in Record-Linkage Methodology as Applied to Matching the 1985
 * Census of Tampa, Florida", Journal of the American Statistical Association 84 (1989).
 * W. E. Winkler, "String Comparator Metrics and Enhanced Decision Rules in the
 * Fellegi-Sunter Model of Record Linkage", Proceedings of the Section on Survey Research
 * Methods, ASA (1990), without its later adjustments for similar characters and for long
 * strings, as nearly all who use the name.
 *
 * A letter of one matches the first of the same letters of the other, not yet matched,
 * that is not farther off than half the longer length less one; half of the matched that
 * are not in the same order, rounded down, are transpositions. Up to four letters at the
 * beginning that agree take what is above 0.7 a tenth each nearer to 1.
 *
 * Up to 64 letters: the places of each letter are bits of a word, and the first that
 * matches is found at once. Beyond: for each letter a chain of its places. Windows only
 * move forwards, so what is left behind is never wanted again, and all takes linear time.
 */
#include "postgres.h"

#include "compat.h"
#include "match/comparators.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#define PREFIX_MAX 4
#define PREFIX_WEIGHT 0.1
#define PREFIX_ABOVE 0.7

/* in a chain: a place that is matched */
#define MATCHED PG_UINT32_MAX

static double
jaro_of(uint32 na, uint32 nb, uint32 matches, uint32 out_of_order)
{
	double m = matches;

	return matches == 0 ? 0 : (m / na + m / nb + (m - out_of_order / 2) / m) / 3;
}

static inline uint32
window_of(uint32 na, uint32 nb)
{
	uint32 half = Max(na, nb) / 2;

	return half > 0 ? half - 1 : 0;
}

/* Neither has more than 64 letters. */
double
jaro_short(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb)
{
	uint32 window = window_of(na, nb);
	uint64 in_a = 0;
	uint64 in_b = 0;
	uint32 matches = 0;
	uint32 out_of_order = 0;

	map_begin(&w->map);
	for (uint32 j = 0; j < nb; j++)
		*map_place(w, b[j]) |= UINT64CONST(1) << j;
	for (uint32 i = 0; i < na; i++)
	{
		uint64 places = map_get(&w->map, a[i]) & ~in_b;

		if (i > window)
			places &= PG_UINT64_MAX << (i - window);
		if (i + window < 63)
			places &= (UINT64CONST(2) << (i + window)) - 1;
		in_b |= places & -places;
		in_a |= (uint64) (places != 0) << i;
	}
	map_end(&w->map, b, nb);
	for (; in_a != 0; in_a &= in_a - 1, in_b &= in_b - 1, matches++)
		out_of_order += a[pg_rightmost_one_pos64(in_a)] != b[pg_rightmost_one_pos64(in_b)];
	return jaro_of(na, nb, matches, out_of_order);
}

/* Of any length. */
double
jaro_long(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb)
{
	uint32 window = window_of(na, nb);
	uint32 *next = work_room(w, 0, (Size) nb * sizeof(uint32));
	uint32 *in_a = work_room(w, 1, (Size) na * sizeof(uint32));
	uint32 matches = 0;
	uint32 out_of_order = 0;
	uint32 k = 0;

	/* places count from 1 */
	map_begin(&w->map);
	for (uint32 j = nb; j > 0; j--)
	{
		uint64 *first = map_place(w, b[j - 1]);

		CHECK_NOW_AND_THEN(j);
		next[j - 1] = *first;
		*first = j;
	}
	for (uint32 i = 0; i < na; i++)
	{
		uint32 j = map_get(&w->map, a[i]);

		CHECK_NOW_AND_THEN(i);
		if (j == 0)
			continue;
		while (j != 0 && (uint64) j + window < (uint64) i + 1)
			j = next[j - 1];
		if (j != 0 && j <= (uint64) i + 1 + window)
		{
			uint32 behind = next[j - 1];

			next[j - 1] = MATCHED;
			in_a[matches++] = a[i];
			j = behind;
		}
		*map_place(w, a[i]) = j;
	}
	map_end(&w->map, b, nb);
	for (uint32 j = 0; j < nb; j++)
	{
		CHECK_NOW_AND_THEN(j);
		if (next[j] == MATCHED)
			out_of_order += b[j] != in_a[k++];
	}
	return jaro_of(na, nb, matches, out_of_order);
}

/* 1: the same, 0: nothing in common. */
double
jaro_winkler_letters(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb)
{
	uint32 prefix = 0;
	double jaro;

	if (na == 0 || nb == 0)
		return na == nb ? 1 : 0;
	jaro = na <= 64 && nb <= 64 ? jaro_short(w, a, na, b, nb) : jaro_long(w, a, na, b, nb);
	if (jaro <= PREFIX_ABOVE)
		return jaro;
	while (prefix < PREFIX_MAX && prefix < na && prefix < nb && a[prefix] == b[prefix])
		prefix++;
	return jaro + PREFIX_WEIGHT * prefix * (1 - jaro);
}
