/*
 * fuzz_comparators.c
 *		Comparators of people.
 *
 * The input is two texts, apart by its first line feed. Distances are compared with plain
 * evaluators, fast ways with general ones, each comparator with itself the other way round;
 * all of it again after memory or a cancel has failed it somewhere; and the input is looked
 * into as if it were nicknames. An input is accepted if the two have a name in common.
 */
#include "postgres.h"

#include "compat.h"
#include "fuzz.h"
#include "mb/pg_wchar.h"
#include "match/comparators.h"

/* the evaluator's table */
#define TABLE_MAX 256

const char *const fuzz_tokens[] = {"\n",
								   "Jr.",
								   "filho",
								   "de",
								   "Dr. ",
								   "'",
								   "O\xe2\x80\x99",
								   "\xc3\xa7",
								   "c\xcc\xa7",
								   "n\xcc\x83",
								   "\xc3\x9f",
								   "\xef\xac\x83",
								   "\xf0\x9f\x98\x80",
								   "lh",
								   "sch",
								   "rr",
								   "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl",
								   "1980-03-04",
								   "04/03/1980",
								   "+351",
								   "@x.pt",
								   "501964843",
								   "J. ",
								   "\xe2\x82",
								   NULL};

typedef struct Texts
{
	const char *a;
	const char *b;
	Size na;
	Size nb;
	MatchWork *work;
	int levels[8];
} Texts;

static uint32
plain_osa(const uint32 *a, uint32 na, const uint32 *b, uint32 nb)
{
	static uint32 d[TABLE_MAX + 1][TABLE_MAX + 1];

	for (uint32 i = 0; i <= na; i++)
		for (uint32 j = 0; j <= nb; j++)
		{
			if (i == 0 || j == 0)
			{
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = Min(d[i - 1][j], d[i][j - 1]) + 1;
			d[i][j] = Min(d[i][j], d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = Min(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[na][nb];
}

static void
check_letters(MatchWork *w, const char *text, Size len)
{
	for (LetterForm form = LETTERS_AS_THEY_ARE; form <= LETTERS_SOUNDS; form++)
	{
		Letters once = {0};
		Letters twice = {0};
		char *written;
		Size n;

		letters_read(w, &once, text, len, form);
		require(once.n <= len);
		written = palloc(once.n * 4);
		n = letters_write(once.c, once.n, written);
		letters_read(w, &twice, exact_copy(written, n), n, form);
		require(form == LETTERS_AS_THEY_ARE ? n == len && memcmp(written, text, len) == 0
											: n <= len + len / 2);
		/* bytes that were apart may make a letter when what stood between is dropped */
		for (uint32 i = 0; i < once.n; i++)
			if (once.c[i] >= 0x110000)
				return;
		require(twice.n == once.n);
		require(once.n == 0 || memcmp(twice.c, once.c, once.n * sizeof(uint32)) == 0);
		for (SoundLanguage l = SOUND_PORTUGUESE; l <= SOUND_SPANISH; l++)
			require(sound_of_text(l, once.c, once.n, palloc(once.n * SOUND_MAX)) <=
					once.n * SOUND_MAX);
	}
}

static void
check_distances(MatchWork *w, const Texts *t)
{
	uint32 *a;
	uint32 *b;
	uint32 na;
	uint32 nb;
	uint32 distance;
	double similarity;

	letters_read(w, &w->a, t->a, t->na, LETTERS_AS_THEY_ARE);
	letters_read(w, &w->b, t->b, t->nb, LETTERS_AS_THEY_ARE);
	na = w->a.n;
	nb = w->b.n;
	a = exact_copy(w->a.c, na * sizeof(uint32));
	b = exact_copy(w->b.c, nb * sizeof(uint32));

	similarity = jaro_winkler_letters(w, a, na, b, nb);
	require(similarity >= 0 && similarity <= 1);
	require(similarity == jaro_winkler_letters(w, b, nb, a, na));
	if (na > 0 && nb > 0 && na <= 64 && nb <= 64)
		require(jaro_short(w, a, na, b, nb) == jaro_long(w, a, na, b, nb));
	similarity = trigram_letters(w, a, na, b, nb);
	require(similarity >= 0 && similarity <= 1);
	require(similarity == trigram_letters(w, b, nb, a, na));

	distance = osa_letters(w, a, na, b, nb, OSA_NO_LIMIT);
	require(distance == osa_letters(w, b, nb, a, na, OSA_NO_LIMIT));
	if (na <= TABLE_MAX && nb <= TABLE_MAX)
		require(distance == plain_osa(a, na, b, nb));
	for (uint32 limit = 0; limit <= 9; limit += limit + 1)
		require(osa_letters(w, a, na, b, nb, limit) == Min(distance, limit + 1));
	if (distance > 0)
		require(osa_letters(w, a, na, b, nb, distance - 1) == distance);
	require(osa_letters(w, a, na, b, nb, distance) == distance);
	if (na == t->na && nb == t->nb)
		require(within_one_edit(t->a, t->na, t->b, t->nb) == (distance <= 1));
}

static bool
is_ascii(const char *text, Size len)
{
	for (Size i = 0; i < len; i++)
		if (IS_HIGHBIT_SET(text[i]))
			return false;
	return true;
}

/* All levels, both ways round; those of values, which take only valid UTF-8, of ASCII. */
static void
find_levels(void *arg)
{
	Texts *t = arg;
	MatchWork *w = t->work;
	const PhonePlan *home = phone_plan_of_country("PT", 2);

	for (SoundLanguage l = SOUND_NONE; l <= SOUND_SPANISH; l++)
	{
		t->levels[l] = name_level(w, t->a, t->na, t->b, t->nb, l, NULL);
		require(t->levels[l] == name_level(w, t->b, t->nb, t->a, t->na, l, NULL));
		require(t->levels[l] >= LEVEL_UNKNOWN && t->levels[l] <= NAME_LEVELS);
	}
	if (!is_ascii(t->a, t->na) || !is_ascii(t->b, t->nb))
		goto letters;
	t->levels[3] = date_level(t->a, t->na, t->b, t->nb, false);
	require(t->levels[3] == date_level(t->b, t->nb, t->a, t->na, false));
	t->levels[4] = phone_level(t->a, t->na, t->b, t->nb, home);
	require(t->levels[4] == phone_level(t->b, t->nb, t->a, t->na, home));
	t->levels[5] = email_level(w, t->a, t->na, t->b, t->nb, true);
	require(t->levels[5] == email_level(w, t->b, t->nb, t->a, t->na, true));
	t->levels[6] = document_level(t->a, t->na, t->b, t->nb);
	require(t->levels[6] == document_level(t->b, t->nb, t->a, t->na));
	require(t->levels[3] <= DATE_LEVELS && t->levels[4] <= PHONE_LEVELS &&
			t->levels[5] <= EMAIL_LEVELS && t->levels[6] <= DOCUMENT_LEVELS);
letters:
	letters_read(w, &w->a, t->a, t->na, LETTERS_FOLDED);
	letters_read(w, &w->b, t->b, t->nb, LETTERS_FOLDED);
	t->levels[7] = osa_letters(w, w->a.c, w->a.n, w->b.c, w->b.n, 5) * 1000000 +
				   jaro_winkler_letters(w, w->a.c, w->a.n, w->b.c, w->b.n) * 1000;
}

/* Nicknames as found in the input, in whatever order of bytes. */
static void
look_up(void *arg)
{
	const Texts *t = arg;
	Nicknames n;
	uint32 name[2] = {'a', 'b'};

	nicknames_open(&n, t->a, t->na);
	for (uint32 len = 0; len <= 2; len++)
	{
		const char *groups = nicknames_of(&n, name, len);

		if (groups != NULL)
			nicknames_meet(groups, groups);
	}
}

static void
check_nicknames(const Texts *t)
{
	NicknamePair pairs[32];
	Nicknames n;
	uint32 *letters = palloc(t->na * sizeof(uint32) + sizeof(uint32));
	uint32 npairs = 0;
	Size size;
	char *data;

	for (Size i = 0; i < t->na; i++)
		letters[i] = (uint8) t->a[i];
	for (Size i = 0; i + 3 <= t->na && npairs < lengthof(pairs); i += 3)
		pairs[npairs++] = (NicknamePair) {letters + i, 1 + letters[i + 1] % 2, letters[i + 2] % 4};
	size = nicknames_size(pairs, npairs);
	data = palloc0(size);
	nicknames_build(pairs, npairs, data, size);
	nicknames_open(&n, data, size);
	for (uint32 i = 0; i < npairs; i++)
	{
		const char *of_i = nicknames_of(&n, pairs[i].name, pairs[i].len);

		require(of_i != NULL);
		for (uint32 k = 0; k < npairs; k++)
		{
			const char *of_k = nicknames_of(&n, pairs[k].name, pairs[k].len);

			if (pairs[i].group == pairs[k].group)
				require(nicknames_meet(of_i, of_k) && nicknames_meet(of_k, of_i));
			else
				require(nicknames_meet(of_i, of_k) == nicknames_meet(of_k, of_i));
		}
	}
	require(nicknames_of(&n, letters, 0) == NULL);
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	const uint8 *line = memchr(data, '\n', len);
	MatchWork work;
	Texts t;
	int levels[lengthof(t.levels)];
	int state;

	t.na = line ? line - data : len;
	t.nb = line ? len - t.na - 1 : 0;
	t.a = exact_copy(data, t.na);
	t.b = exact_copy(data + len - t.nb, t.nb);
	t.work = &work;
	work_init(&work, CurrentMemoryContext);
	check_letters(&work, t.a, t.na);
	check_distances(&work, &t);
	check_nicknames(&t);

	state = backend_run(look_up, &t);
	require(state == 0 || state == ERRCODE_DATA_CORRUPTED);

	memset(t.levels, 0, sizeof(t.levels));
	find_levels(&t);
	memcpy(levels, t.levels, sizeof(levels));
	work_end(&work);
	work_free(&work);
	for (int step = 1; step < 40; step++)
	{
		backend_fail_at(step);
		state = backend_run(find_levels, &t);
		backend_fail_at(0);
		require(state == 0 || state == ERRCODE_OUT_OF_MEMORY || state == ERRCODE_QUERY_CANCELED);
		memset(t.levels, 0, sizeof(t.levels));
		find_levels(&t);
		require(memcmp(levels, t.levels, sizeof(levels)) == 0);
		work_free(&work);
	}
	return levels[0] > 0;
}
