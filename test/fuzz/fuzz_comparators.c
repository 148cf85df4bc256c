/*
 * fuzz_comparators.c
 *		Comparators of people.
 *
 * The input is two texts, apart by its first line feed. Distances are compared with plain
 * evaluators, fast ways with general ones, each comparator with itself the other way round;
 * all of it again after memory or a cancel has failed it somewhere; and the input is looked
 * into as if it were nicknames, and a packed record. Records with the two in them, packed, opened and compared, say the
 * same as the comparators. An input is accepted if the two have a name in common.
 */
#include "postgres.h"

#include "compat.h"
#include "fuzz.h"
#include "mb/pg_wchar.h"
#include "match/record.h"

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
	int levels[16];
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

static const struct
{
	const char *name;
	int n;
	double thresholds[2];
} comparators[] = {{"exact", 0},
				   {"jaro_winkler", 2, {0.92, 0.8}},
				   {"osa", 2, {1, 2}},
				   {"trigram", 1, {0.5}},
				   {"date mdy", 0},
				   {"phone PT", 0},
				   {"email", 0},
				   {"document", 0},
				   {"name es", 2, {5, 2}},
				   {"metaphone_pt", 0}};

static void
make_comparator(Comparator *c, int i)
{
	comparator_parse(c, comparators[i].name, strlen(comparators[i].name));
	comparator_thresholds(c, comparators[i].thresholds, comparators[i].n);
	c->compose = true;
}

/* Values, which take only valid UTF-8, are read of ASCII. */
static int
level_of(MatchWork *w, const Comparator *c, const char *a, Size na, const char *b, Size nb,
		 bool readable)
{
	MatchText x = {a, na, readable};
	MatchText y = {b, nb, readable};
	MatchText x_kept = x;
	MatchText y_kept = y;
	int level = comparator_level(w, c, &x, &y, NULL, false);

	require(x.read == NULL && y.read == NULL);
	for (int i = 0; i < 2; i++)
		require(comparator_level(w, c, &x_kept, &y_kept, NULL, true) == level);
	return level;
}

/* Records of both texts, of the first twice, and of none. */
static void
check_records(const Texts *t)
{
	Comparison c = {lengthof(comparators)};
	int64 groups[3][2] = {{1, 7}, {3, 7}, {1, 3}};
	double weights[100];
	MatchRecord made[3];
	MatchRecord opened[3];
	bool readable = is_ascii(t->a, t->na) && is_ascii(t->b, t->nb);
	uint64 levels;

	for (int i = 0; i < c.n; i++)
	{
		make_comparator(&c.comparators[i], i);
		c.tops[i] = comparator_top(&c.comparators[i]);
	}
	for (int k = 0; k < 3; k++)
	{
		Size size;
		char *data;

		made[k] = (MatchRecord) {k, k, true, 2, groups[k]};
		for (int i = 0; i < c.n; i++)
		{
			made[k].values[i].rated = i % 2 == 0;
			made[k].values[i].bits = made[k].values[i].rated ? k : 0;
			if (k < 2)
				made[k].values[i].text = k == 0 ? (MatchText) {t->a, t->na, readable}
												: (MatchText) {t->b, t->nb, readable};
		}
		record_know(t->work, &c, &made[k]);
		size = record_size(&made[k], c.n);
		data = palloc(size);
		record_write(&made[k], c.n, data);
		data = exact_copy(data, size);
		record_open(&opened[k], &c, data, size);
		require(opened[k].record == k && opened[k].person == k && opened[k].is_new);
		for (int i = 0; i < c.n; i++)
		{
			require(opened[k].values[i].self == made[k].values[i].self);
			opened[k].values[i].text.readable = readable;
		}
	}
	require(records_meet_first(&opened[0], &opened[1], 7));
	require(!records_meet_first(&opened[0], &opened[2], 7) &&
			records_meet_first(&opened[0], &opened[2], 1));
	levels = records_levels(t->work, &c, &opened[0], &opened[1]);
	for (int i = 0; i < c.n; i++)
		require((int) (levels >> (i * LEVEL_BITS) & 15) - 1 == t->levels[3 + i]);
	require(levels == records_levels(t->work, &c, &opened[1], &opened[0]));
	require(records_levels(t->work, &c, &opened[0], &opened[2]) == 0);
	require(weights_of(&c) < lengthof(weights));
	for (int i = 0; i < weights_of(&c); i++)
		weights[i] = i;
	require(records_score(&c, weights, &opened[0], &opened[1], levels) ==
			records_score(&c, weights, &opened[1], &opened[0], levels));
	require(records_score(&c, weights, &opened[0], &opened[2], 0) == 0);
}

/* The input as a packed record, and one that is so but for some bytes. */
static void
open_record(void *arg)
{
	const Texts *t = arg;
	Comparison c = {2};
	MatchRecord r = {.ngroups = 1, .groups = (int64[]) {5}};
	MatchRecord opened;
	Size size;
	char *data;

	for (int i = 0; i < c.n; i++)
	{
		make_comparator(&c.comparators[i], i);
		c.tops[i] = comparator_top(&c.comparators[i]);
		r.values[i].text = (MatchText) {t->a, Min(t->na, 3)};
	}
	record_know(t->work, &c, &r);
	size = record_size(&r, c.n);
	data = palloc(size);
	record_write(&r, c.n, data);
	for (Size i = 0; i + 1 < t->nb; i += 2)
		data[(uint8) t->b[i] % size] ^= t->b[i + 1];
	data = exact_copy(data, size);
	record_open(&opened, &c, data, size);
	for (int i = 0; i < c.n; i++)
		require(opened.values[i].self <= c.tops[i]);
	records_levels(t->work, &c, &opened, &opened);
}

static void
open_input(void *arg)
{
	const Texts *t = arg;
	Comparison c = {0};
	MatchRecord opened;

	record_open(&opened, &c, t->a, t->na);
}

/* All levels, both ways round; those of values, which take only valid UTF-8, of ASCII. */
static void
find_levels(void *arg)
{
	Texts *t = arg;
	MatchWork *w = t->work;

	for (SoundLanguage l = SOUND_NONE; l <= SOUND_SPANISH; l++)
	{
		t->levels[l] = name_level(w, t->a, t->na, t->b, t->nb, l, NULL);
		require(t->levels[l] == name_level(w, t->b, t->nb, t->a, t->na, l, NULL));
		require(t->levels[l] >= LEVEL_UNKNOWN && t->levels[l] <= NAME_LEVELS);
	}
	for (int i = 0; i < lengthof(comparators); i++)
	{
		Comparator c;
		bool ascii = is_ascii(t->a, t->na) && is_ascii(t->b, t->nb);
		int top;
		int level;

		make_comparator(&c, i);
		top = comparator_top(&c);
		level = level_of(w, &c, t->a, t->na, t->b, t->nb, ascii);
		require(level >= LEVEL_UNKNOWN && level <= top);
		require(level == level_of(w, &c, t->b, t->nb, t->a, t->na, ascii));
		t->levels[3 + i] = level;
	}
	letters_read(w, &w->a, t->a, t->na, LETTERS_FOLDED);
	letters_read(w, &w->b, t->b, t->nb, LETTERS_FOLDED);
	t->levels[lengthof(t->levels) - 1] = osa_letters(w, w->a.c, w->a.n, w->b.c, w->b.n, 5) * 1000000 +
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

	state = backend_run(open_input, &t);
	require(state == 0 || state == ERRCODE_DATA_CORRUPTED);
	state = backend_run(open_record, &t);
	require(state == 0 || state == ERRCODE_DATA_CORRUPTED);

	memset(t.levels, 0, sizeof(t.levels));
	find_levels(&t);
	check_records(&t);
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
