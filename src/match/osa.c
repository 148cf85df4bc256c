/*
 * osa.c
 *		Optimal string alignment: the fewest insertions, deletions, substitutions and
 *		swaps of two neighbours, no letter edited twice.
 *
 * H. Hyyrö, "A Bit-Vector Algorithm for Computing Levenshtein and Damerau Edit Distances",
 * Nordic Journal of Computing 10 (2003), after G. Myers, "A Fast Bit-Vector Algorithm for
 * Approximate String Matching Based on Dynamic Programming", Journal of the ACM 46 (1999):
 * the columns of the matrix of distances are told by what they rise or fall from row to
 * row, 64 rows in two words, and the next column is made of the last by a dozen
 * operations.
 *
 * Longer texts are cut into stripes of 64 rows, one after the other over all columns; of
 * the stripe above, three bits of each column are kept: so memory is linear. With a limit
 * only columns as near the diagonal as the limit are looked at (E. Ukkonen, "Algorithms
 * for Approximate String Matching", Information and Control 64 (1985)), and it ends as
 * soon as no way leads below it.
 */
#include "postgres.h"

#include "compat.h"
#include "match/comparators.h"
#include "miscadmin.h"

#define STRIPE 64

/* What a column of a stripe tells the stripe below, of its last row */
#define RISES 1
#define FALLS 2
#define MAY_SWAP 4

/* Not more than 64 letters in a, and none of the two is empty. */
static uint32
osa_one_stripe(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb, uint32 limit)
{
	uint64 last = UINT64CONST(1) << (na - 1);
	uint64 vp = PG_UINT64_MAX;
	uint64 vn = 0;
	uint64 d0 = 0;
	uint64 match_before = 0;
	uint64 distance = na;

	map_begin(&w->map);
	for (uint32 i = 0; i < na; i++)
		*map_place(w, a[i]) |= UINT64CONST(1) << i;
	for (uint32 j = 0; j < nb; j++)
	{
		uint64 match = map_get(&w->map, b[j]);
		uint64 swap = ((~d0 & match) << 1) & match_before;
		uint64 hp;
		uint64 hn;

		CHECK_NOW_AND_THEN(j);
		d0 = (((match & vp) + vp) ^ vp) | match | vn | swap;
		hp = vn | ~(d0 | vp);
		hn = d0 & vp;
		distance += (hp & last) != 0;
		distance -= (hn & last) != 0;
		/* what is left of b can lower it by one a letter at most */
		if (distance > (uint64) limit + (nb - 1 - j))
		{
			distance = (uint64) limit + 1;
			break;
		}
		hp = hp << 1 | 1;
		hn <<= 1;
		vp = hn | ~(d0 | hp);
		vn = hp & d0;
		match_before = match;
	}
	map_end(&w->map, a, na);
	return distance;
}

/*
 * Columns count the letters of b before them. Those from first to end are looked at, in
 * the stripe of the n rows behind the row above; *distance is that of the row above in
 * column first, and becomes that of the last row in column next. The least that any way
 * through the last row can come to.
 */
static uint64
osa_stripe(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb, uint32 above,
		   uint32 n, uint32 first, uint32 end, uint32 next, uint8 *columns, uint64 *distance)
{
	uint64 last = UINT64CONST(1) << (n - 1);
	uint64 vp = PG_UINT64_MAX;
	uint64 vn = 0;
	uint64 d0 = 0;
	uint64 match_before = 0;
	uint64 here = *distance + n;
	int64 off = (int64) na - (above + n) - ((int64) nb - first); /* from the end's diagonal */
	uint64 least = here + (off < 0 ? -off : off);

	map_begin(&w->map);
	for (uint32 i = 0; i < n; i++)
		*map_place(w, a[above + i]) |= UINT64CONST(1) << i;
	if (next == first)
		*distance = here;
	for (uint32 j = first; j < end; j++)
	{
		uint8 told = columns[j];
		uint64 match = map_get(&w->map, b[j]);
		uint64 may_swap = ~d0 & match;
		uint64 swap = (may_swap << 1 | ((told & MAY_SWAP) != 0)) & match_before;
		uint64 falls = (told & FALLS) != 0;
		uint64 diagonal = match | falls;
		uint64 hp;
		uint64 hn;

		CHECK_NOW_AND_THEN(j);
		d0 = (((diagonal & vp) + vp) ^ vp) | diagonal | vn | swap;
		hp = vn | ~(d0 | vp);
		hn = d0 & vp;
		here += (hp & last) != 0;
		here -= (hn & last) != 0;
		columns[j] = ((hp & last) != 0 ? RISES : 0) | ((hn & last) != 0 ? FALLS : 0) |
					 ((may_swap & last) != 0 ? MAY_SWAP : 0);
		off++;
		least = Min(least, here + (off < 0 ? -off : off));
		if (j + 1 == next)
			*distance = here;
		hp = hp << 1 | ((told & RISES) != 0);
		hn = hn << 1 | falls;
		vp = hn | ~(d0 | hp);
		vn = hp & d0;
		match_before = match;
	}
	map_end(&w->map, a + above, n);
	return least;
}

/* a is not longer than b. */
static uint32
osa_stripes(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb, uint32 limit)
{
	uint8 *columns = work_room(w, 0, nb);
	uint64 band = (uint64) limit + 2;
	uint64 distance = 0;

	/* in the row above all, each column is one farther; so it is where no stripe has been */
	memset(columns, RISES, nb);
	for (uint32 above = 0; above < na; above += STRIPE)
	{
		uint32 n = Min(STRIPE, na - above);
		uint32 first = above > band ? above - band : 0;
		uint32 end = Min((uint64) nb, above + n + band);
		uint32 next = nb;

		if (above + n < na)
			next = above + n > band ? above + n - band : 0;
		if (osa_stripe(w, a, na, b, nb, above, n, first, end, next, columns, &distance) > limit)
			return limit + 1;
	}
	return Min(distance, (uint64) limit + 1);
}

/* The distance, or limit + 1 if it is more than the limit. */
uint32
osa_letters(MatchWork *w, const uint32 *a, uint32 na, const uint32 *b, uint32 nb, uint32 limit)
{
	/* what is the same at either end takes no edit */
	while (na > 0 && nb > 0 && a[na - 1] == b[nb - 1])
	{
		CHECK_NOW_AND_THEN(na);
		na--;
		nb--;
	}
	while (na > 0 && nb > 0 && *a == *b)
	{
		CHECK_NOW_AND_THEN(na);
		a++;
		b++;
		na--;
		nb--;
	}
	if (na > nb)
	{
		const uint32 *c = a;
		uint32 n = na;

		a = b;
		na = nb;
		b = c;
		nb = n;
	}
	if (nb - na > limit)
		return limit + 1;
	if (na == 0)
		return nb;
	if (limit == 0)
		return 1;
	/* more than the longer there never is */
	limit = Min(limit, nb);
	return na <= STRIPE ? osa_one_stripe(w, a, na, b, nb, limit)
						: osa_stripes(w, a, na, b, nb, limit);
}

/* Is it one at most? Of short texts in ASCII, without a map. */
bool
within_one_edit(const char *a, int na, const char *b, int nb)
{
	while (na > 0 && nb > 0 && *a == *b)
	{
		a++;
		b++;
		na--;
		nb--;
	}
	if (na == nb)
		return na <= 1 || memcmp(a + 1, b + 1, na - 1) == 0 ||
			   (a[0] == b[1] && a[1] == b[0] && memcmp(a + 2, b + 2, na - 2) == 0);
	if (na == nb + 1)
		return memcmp(a + 1, b, nb) == 0;
	return nb == na + 1 && memcmp(a, b + 1, na) == 0;
}
