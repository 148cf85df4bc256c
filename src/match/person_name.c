/*
 * person_name.c
 *		Names of persons: any order, initials, suffixes, nicknames, slips and sounds.
 *
 * A text becomes names: words in small letters without accents, less titles before them,
 * what only joins them (de, da, van), and suffixes (Jr., Filho, III), which are compared
 * apart. Names of one person are then paired with those of the other, as many as can be:
 * first those that are the same, then nicknames, then initials, then what differs by a
 * slip or sounds alike. The level is that of the last kind that was needed to pair all
 * names of whoever has fewer. It is a maximum matching, found by growing paths, so it does
 * not depend on the order of names, nor on which text comes first.
 *
 * (H. W. Kuhn, "The Hungarian Method for the Assignment Problem", Naval Research Logistics
 * Quarterly 2 (1955); for graphs without weights.)
 */
#include "postgres.h"

#include "compat.h"
#include "match/comparators.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

/* Nobody has more: sets of names are bits of a word. */
#define NAMES_MAX 64

/* Lengths from which on one edit is a slip, and from which on two are */
#define SLIP_FROM 4
#define TWO_SLIPS_FROM 8

typedef enum Suffix
{
	SUFFIX_NONE,
	SUFFIX_YOUNGER,
	SUFFIX_ELDER,
	SUFFIX_GRANDSON,
	SUFFIX_NEPHEW,
	SUFFIX_SECOND,
	SUFFIX_THIRD,
	SUFFIX_FOURTH
} Suffix;

typedef struct NamePart
{
	uint32 begin; /* in the letters */
	uint32 n;
	bool dotted;        /* a dot stands behind it */
	const char *groups; /* of nicknames; NULL: none */
	const char *sound;  /* NULL: not asked for */
	uint32 sound_len;
} NamePart;

typedef struct Person
{
	const char *text;
	Size len;
	const uint32 *c;
	uint32 letters;
	NamePart *names;
	int n; /* 0: there is no name in it, or more than anybody has */
	Suffix suffix;
	bool kept;    /* what is found out later is, too */
	bool grouped; /* groups are found, */
	bool sounded; /* and sounds */
} Person;

typedef enum Kind
{
	KIND_SAME,
	KIND_NICKNAME,
	KIND_INITIAL,
	KIND_ALIKE,
	KINDS
} Kind;

/* Names paired: bit j of alike[i] if a's i-th may go with b's j-th. */
typedef struct Pairing
{
	uint64 alike[NAMES_MAX];
	int8 of_a[NAMES_MAX]; /* -1: none */
	int8 of_b[NAMES_MAX];
	int n;
} Pairing;

static inline bool
is_apostrophe(uint32 c)
{
	return c == '\'' || c == '`';
}

/*
 * Cut letters into names, which are words less their apostrophes, moved to the front of
 * the letters; how many, NAMES_MAX + 1 if there are more than that.
 */
static int
cut_names(Letters *letters, NamePart *names)
{
	uint32 *c = letters->c;
	uint32 to = 0;
	int n = 0;

	for (uint32 i = 0; i < letters->n;)
	{
		uint32 begin = to;

		CHECK_NOW_AND_THEN(i);
		for (; i < letters->n && (is_word_letter(c[i]) || (to > begin && is_apostrophe(c[i]))); i++)
		{
			CHECK_NOW_AND_THEN(i);
			if (!is_apostrophe(c[i]))
				c[to++] = c[i];
		}
		if (to > begin)
		{
			if (n == NAMES_MAX)
				return NAMES_MAX + 1;
			names[n++] = (NamePart) {
				.begin = begin, .n = to - begin, .dotted = i < letters->n && c[i] == '.'};
		}
		i++;
	}
	letters->n = to;
	return n;
}

/* Is there one name, and nothing else? It is the first *n letters then. */
bool
name_is_one(Letters *letters, uint32 *n)
{
	NamePart names[NAMES_MAX];
	bool one = cut_names(letters, names) == 1;

	*n = letters->n;
	return one;
}

static bool
is_text(const uint32 *c, uint32 n, const char *text)
{
	uint32 i = 0;

	while (i < n && text[i] != '\0' && c[i] == (uint8) text[i])
		i++;
	return i == n && text[i] == '\0';
}

/* first: the letters that they begin with */
static bool
is_one_of(const uint32 *c, uint32 n, const char *first, const char *const *texts, int ntexts)
{
	if (*c >= 0x80 || strchr(first, *c) == NULL)
		return false;
	for (int i = 0; i < ntexts; i++)
		if (is_text(c, n, texts[i]))
			return true;
	return false;
}

static bool
is_title(const Person *p, const NamePart *name)
{
	static const char *const titles[] = {
		"dr",        "dra",  "doutor", "doutora", "doctor", "doctora",   "sr",         "sra",
		"srta",      "sta",  "senhor", "senhora", "senor",  "senora",    "mr",         "mrs",
		"ms",        "miss", "mister", "prof",    "profa",  "professor", "professora", "profesor",
		"profesora", "eng",  "ing",    "arq",     "lic",    "dom",       "don",        "dona",
		"sir",       "lord", "lady",   "rev"};

	return name->n <= 10 &&
		   is_one_of(p->c + name->begin, name->n, "adeilmprs", titles, lengthof(titles));
}

/* A letter that nothing stands before, or a dot behind, is an initial. */
static bool
is_particle(const Person *p, const NamePart *name, bool first)
{
	static const char *const particles[] = {"de",   "da",  "do",  "das", "dos", "del", "della",
											"dela", "di",  "du",  "des", "la",  "las", "los",
											"van",  "von", "der", "den", "ter", "e",   "y"};

	return name->n <= 5 && !name->dotted && (name->n > 1 || !first) &&
		   is_one_of(p->c + name->begin, name->n, "delvty", particles, lengthof(particles));
}

/* Some are family names as well, where no other is before them. */
static Suffix
suffix_of(const Person *p, const NamePart *name, int before)
{
	static const struct
	{
		const char *text;
		Suffix suffix;
		bool name;
	} suffixes[] = {{"jr", SUFFIX_YOUNGER, false},     {"jnr", SUFFIX_YOUNGER, false},
					{"junior", SUFFIX_YOUNGER, false}, {"filho", SUFFIX_YOUNGER, true},
					{"hijo", SUFFIX_YOUNGER, true},    {"sr", SUFFIX_ELDER, false},
					{"snr", SUFFIX_ELDER, false},      {"senior", SUFFIX_ELDER, false},
					{"neto", SUFFIX_GRANDSON, true},   {"nieto", SUFFIX_GRANDSON, true},
					{"sobrinho", SUFFIX_NEPHEW, true}, {"ii", SUFFIX_SECOND, false},
					{"iii", SUFFIX_THIRD, false},      {"iv", SUFFIX_FOURTH, false}};

	if (name->n >= 2 && name->n <= 8 && p->c[name->begin] < 0x80 &&
		strchr("fhijns", p->c[name->begin]) != NULL)
		for (int i = 0; i < lengthof(suffixes); i++)
			if (before > suffixes[i].name && is_text(p->c + name->begin, name->n, suffixes[i].text))
				return suffixes[i].suffix;
	return SUFFIX_NONE;
}

static void
drop_name(Person *p, int i)
{
	memmove(&p->names[i], &p->names[i + 1], (p->n - i - 1) * sizeof(NamePart));
	p->n--;
}

static void
leave_names(Person *p)
{
	while (p->n > 1 && is_title(p, &p->names[0]))
		drop_name(p, 0);
	for (int i = p->n - 1; i > 0 && p->suffix == SUFFIX_NONE; i--)
	{
		p->suffix = suffix_of(p, &p->names[i], i);
		if (p->suffix != SUFFIX_NONE)
			drop_name(p, i);
	}
	for (int i = 0; i < p->n - 1;)
		if (is_particle(p, &p->names[i], i == 0))
			drop_name(p, i);
		else
			i++;
}

static void
read_person(MatchWork *w, Letters *letters, NamePart *names, const char *text, Size len, Person *p)
{
	letters_read(w, letters, text, len, LETTERS_FOLDED);
	memset(p, 0, sizeof(Person));
	p->text = text;
	p->len = len;
	p->names = names;
	p->n = cut_names(letters, names);
	p->c = letters->c;
	p->letters = letters->n;
	if (p->n > NAMES_MAX)
		p->n = 0;
	leave_names(p);
}

static inline bool
same_letters(const uint32 *a, uint32 na, const uint32 *b, uint32 nb)
{
	if (na != nb)
		return false;
	for (uint32 i = 0; i < na; i++)
	{
		CHECK_NOW_AND_THEN(i);
		if (a[i] != b[i])
			return false;
	}
	return true;
}

/* --- pairs --- */

static void
find_groups(Person *p, const Nicknames *nicknames)
{
	if (p->grouped)
		return;
	for (int i = 0; i < p->n; i++)
		p->names[i].groups = nicknames_of(nicknames, p->c + p->names[i].begin, p->names[i].n);
	p->grouped = true;
}

/* Write the codes of a person's names, one behind the other. */
static void
find_sounds(MatchWork *w, Letters *letters, SoundLanguage language, Person *p, char *codes)
{
	NamePart names[NAMES_MAX];

	if (p->sounded)
		return;
	if (p->kept)
		codes = palloc((Size) p->letters * SOUND_MAX);
	/* cut as the folded ones are, so that names are in the same places */
	letters_read(w, letters, p->text, p->len, LETTERS_SOUNDS);
	cut_names(letters, names);
	for (int i = 0; i < p->n; i++)
	{
		NamePart *name = &p->names[i];

		name->sound = codes;
		name->sound_len = sound_of_word(language, letters->c + name->begin, name->n, codes);
		codes += name->sound_len;
	}
	p->sounded = true;
}

static bool
is_alike(MatchWork *w, Kind kind, const Person *a, const NamePart *x, const Person *b,
		 const NamePart *y)
{
	const uint32 *c = a->c + x->begin;
	const uint32 *d = b->c + y->begin;
	uint32 shorter = Min(x->n, y->n);
	uint32 slips = shorter >= TWO_SLIPS_FROM ? 2 : 1;

	switch (kind)
	{
		case KIND_SAME:
			return same_letters(c, x->n, d, y->n);
		case KIND_NICKNAME:
			return x->groups != NULL && y->groups != NULL && nicknames_meet(x->groups, y->groups);
		case KIND_INITIAL:
			return (x->n == 1) != (y->n == 1) && *c == *d;
		case KIND_ALIKE:
			/* a sound alone is that of too many */
			return (x->sound != NULL && x->sound_len > 1 && x->sound_len == y->sound_len &&
					memcmp(x->sound, y->sound, x->sound_len) == 0) ||
				   (shorter >= SLIP_FROM && osa_letters(w, c, x->n, d, y->n, slips) <= slips);
		case KINDS:
			break;
	}
	return false;
}

/* Let a's i-th have one of b's, if need be by giving others another one. */
static bool
pair_name(Pairing *p, int i, uint64 *tried)
{
	uint64 left;

	while ((left = p->alike[i] & ~*tried) != 0)
	{
		int j = pg_rightmost_one_pos64(left);

		*tried |= UINT64CONST(1) << j;
		if (p->of_b[j] < 0 || pair_name(p, p->of_b[j], tried))
		{
			p->of_a[i] = j;
			p->of_b[j] = i;
			return true;
		}
	}
	return false;
}

/* Pair what can be paired if names of this kind may be, too; whether there are any. */
static bool
pair_kind(MatchWork *w, Pairing *p, Kind kind, const Person *a, const Person *b)
{
	bool any = false;

	for (int i = 0; i < a->n; i++)
		for (int j = 0; j < b->n; j++)
			if ((p->alike[i] >> j & 1) == 0 && is_alike(w, kind, a, &a->names[i], b, &b->names[j]))
			{
				p->alike[i] |= UINT64CONST(1) << j;
				any = true;
			}
	for (int i = 0; i < a->n; i++)
	{
		uint64 tried = 0;

		if (p->of_a[i] < 0)
			p->n += pair_name(p, i, &tried);
	}
	return any;
}

static bool
same_order(const Person *a, const Person *b)
{
	if (a->n != b->n)
		return false;
	for (int i = 0; i < a->n; i++)
		if (!same_letters(a->c + a->names[i].begin, a->names[i].n, b->c + b->names[i].begin,
						  b->names[i].n))
			return false;
	return true;
}

/*
 * 6: the same names; 5: in another order; 4: nicknames, or names left out; 3: initials; 2:
 * slips and sounds; 1: one name alike; 0: none. Different suffixes leave 1 at most, one
 * alone leaves 4.
 */
int
name_compare(MatchWork *w, Person *x, Person *y, SoundLanguage language,
			 const Nicknames *nicknames)
{
	Pairing p;
	bool same;
	bool whole;
	int fewer;
	int not_initials = 0;
	int level = 0;
	int most = NAME_LEVELS;

	if (x->n == 0 || y->n == 0)
		return LEVEL_UNKNOWN;
	/* cut otherwise: Anamaria */
	same = same_letters(x->c, x->letters, y->c, y->letters);
	if (x->suffix != y->suffix)
		most = x->suffix != SUFFIX_NONE && y->suffix != SUFFIX_NONE ? 1 : 4;
	if (same_order(x, y))
		return most;

	fewer = Min(x->n, y->n);
	whole = fewer > 1 || x->n == y->n; /* one name among several says little */
	p.n = 0;
	memset(p.alike, 0, x->n * sizeof(p.alike[0]));
	memset(p.of_a, -1, x->n * sizeof(p.of_a[0]));
	memset(p.of_b, -1, y->n * sizeof(p.of_b[0]));
	for (Kind kind = KIND_SAME; kind < KINDS; kind++)
	{
		if (kind == KIND_NICKNAME)
		{
			if (nicknames == NULL)
				continue;
			find_groups(x, nicknames);
			find_groups(y, nicknames);
		}
		else if (kind == KIND_ALIKE && language != SOUND_NONE)
		{
			char *codes = work_room(w, 1, ((Size) x->letters + y->letters) * SOUND_MAX);

			find_sounds(w, &w->a_sounds, language, x, codes);
			find_sounds(w, &w->b_sounds, language, y, codes + (Size) x->letters * SOUND_MAX);
		}
		if (pair_kind(w, &p, kind, x, y) && kind != KIND_INITIAL)
			level = 1;
		if (kind < KIND_INITIAL)
			not_initials = p.n;
		if (whole && p.n == fewer)
		{
			switch (kind)
			{
				case KIND_SAME:
					level = x->n == y->n ? 5 : 4;
					break;
				case KIND_NICKNAME:
					level = 4;
					break;
				case KIND_INITIAL: /* nothing but initials says little, too */
					level = not_initials > 0 || fewer == 1 ? 3 : 1;
					break;
				default:
					level = 2;
			}
			break;
		}
		if (!whole && level > 0)
			break;
	}
	if (same)
		level = Max(level, 5);
	return Min(level, most);
}

int
name_level(MatchWork *w, const char *a, Size na, const char *b, Size nb, SoundLanguage language,
		   const Nicknames *nicknames)
{
	NamePart of_a[NAMES_MAX];
	NamePart of_b[NAMES_MAX];
	Person x;
	Person y;

	read_person(w, &w->a, of_a, a, na, &x);
	read_person(w, &w->b, of_b, b, nb, &y);
	return name_compare(w, &x, &y, language, nicknames);
}

/* A name that is compared with many: all of it is kept in the current memory context, but the text. */
Person *
name_read(MatchWork *w, const char *text, Size len)
{
	NamePart names[NAMES_MAX];
	Person p;
	Person *kept;
	uint32 *c;

	read_person(w, &w->a, names, text, len, &p);
	if (p.n == 0)
		p.letters = 0; /* nothing is asked of them */
	kept = palloc(sizeof(Person) + p.n * sizeof(NamePart) + p.letters * sizeof(uint32));
	*kept = p;
	kept->kept = true;
	if (p.n == 0)
		return kept;
	kept->names = (NamePart *) (kept + 1);
	memcpy(kept->names, names, p.n * sizeof(NamePart));
	kept->c = c = (uint32 *) (kept->names + p.n);
	memcpy(c, p.c, p.letters * sizeof(uint32));
	return kept;
}
