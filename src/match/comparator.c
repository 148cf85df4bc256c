/*
 * comparator.c
 *		Comparators by name, with their options and thresholds, and the level they say.
 *
 * The algorithm layer, as letters.h. A text that is compared with many others is read once:
 * what its comparator reads of it stays with it.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "lib/stringinfo.h"
#include "match/comparators.h"
#include "miscadmin.h"

/* What is read of longer texts does not stay. */
#define KEPT_MAX 4096

static const ComparatorName comparator_names[] = {
	{"exact", COMPARE_EXACT, SOUND_NONE, THRESHOLD_NONE, 1},
	{"jaro_winkler", COMPARE_JARO_WINKLER, SOUND_NONE, THRESHOLD_SIMILARITY, 0},
	{"osa", COMPARE_OSA, SOUND_NONE, THRESHOLD_DISTANCE, 0},
	{"trigram", COMPARE_TRIGRAM, SOUND_NONE, THRESHOLD_SIMILARITY, 0},
	{"date", COMPARE_DATE, SOUND_NONE, THRESHOLD_LEVEL, DATE_LEVELS},
	{"phone", COMPARE_PHONE, SOUND_NONE, THRESHOLD_LEVEL, PHONE_LEVELS},
	{"email", COMPARE_EMAIL, SOUND_NONE, THRESHOLD_LEVEL, EMAIL_LEVELS},
	{"document", COMPARE_DOCUMENT, SOUND_NONE, THRESHOLD_LEVEL, DOCUMENT_LEVELS},
	{"name", COMPARE_NAME, SOUND_NONE, THRESHOLD_LEVEL, NAME_LEVELS},
	{"metaphone_pt", COMPARE_SOUND, SOUND_PORTUGUESE, THRESHOLD_LEVEL, SOUND_LEVELS},
	{"metaphone_es", COMPARE_SOUND, SOUND_SPANISH, THRESHOLD_LEVEL, SOUND_LEVELS},
};

/* --- by name --- */

/* The word at *p, and on to what is behind it and the blanks. */
static Size
next_word(const char **p, const char *end)
{
	const char *begin = *p;
	Size len;

	while (*p < end && **p != ' ')
		++*p;
	len = *p - begin;
	while (*p < end && **p == ' ')
		++*p;
	return len;
}

static bool
is_word(const char *word, Size len, const char *name)
{
	return len == strlen(name) && pg_strncasecmp(word, name, len) == 0;
}

/* Parse what is a text such as "phone PT". */
void
comparator_parse(Comparator *c, const char *given, Size given_len)
{
	const char *p = given;
	const char *end = p + given_len;
	const char *word = p;
	Size len = next_word(&p, end);
	const char *option = p;
	Size option_len = end - p;
	const char *hint = NULL;

	while (option_len > 0 && option[option_len - 1] == ' ')
		option_len--;
	memset(c, 0, sizeof(Comparator));
	for (int i = 0; i < lengthof(comparator_names); i++)
		if (is_word(word, len, comparator_names[i].name))
			c->name = &comparator_names[i];
	if (c->name == NULL)
	{
		StringInfoData names;

		initStringInfo(&names);
		for (int i = 0; i < lengthof(comparator_names); i++)
			appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", comparator_names[i].name);
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown comparator \"%.*s\"", (int) given_len, given),
						errhint("There are %s.", names.data)));
	}
	c->language = c->name->language;
	if (option_len == 0)
		return;
	switch (c->name->kind)
	{
		case COMPARE_DATE:
			c->month_first = is_word(option, option_len, "mdy");
			if (!c->month_first && !is_word(option, option_len, "dmy"))
				hint = "date takes dmy or mdy: how to read 04/03/1980.";
			break;
		case COMPARE_PHONE:
			c->home = phone_plan_of_country(option, option_len);
			if (c->home == NULL)
				hint = "phone takes a country by its two letters in ISO 3166-1, such as PT.";
			break;
		case COMPARE_NAME:
			if (is_word(option, option_len, "pt"))
				c->language = SOUND_PORTUGUESE;
			else if (is_word(option, option_len, "es"))
				c->language = SOUND_SPANISH;
			else
				hint = "name takes pt or es: the language whose sounds count.";
			break;
		default:
			hint = "Only date, phone and name take one.";
	}
	if (hint != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid option of comparator \"%.*s\"", (int) given_len, given),
				 errhint("%s", hint)));
}

static void
invalid_threshold(const Comparator *c, double threshold, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid threshold %g of comparator %s", threshold, c->name->name),
					errdetail("%s", detail)));
}

void
comparator_thresholds(Comparator *c, const double *thresholds, int n)
{
	if (n > THRESHOLDS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many thresholds"),
						errdetail("There are %d; the limit is %d.", n, THRESHOLDS_MAX)));
	if (n > 0 && c->name->thresholds == THRESHOLD_NONE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("comparator %s takes no thresholds", c->name->name)));
	c->n = n;
	for (int i = 0; i < n; i++)
	{
		double t = thresholds[i];

		switch (c->name->thresholds)
		{
			case THRESHOLD_SIMILARITY:
				if (!(t > 0 && t <= 1))
					invalid_threshold(c, t, "It must be a similarity, above 0 and at most 1.");
				break;
			case THRESHOLD_DISTANCE:
				if (!(t >= 1 && t <= PG_INT32_MAX && t == floor(t)))
					invalid_threshold(c, t, "It must be a number of edits, 1 or more.");
				break;
			case THRESHOLD_LEVEL:
				if (!(t >= 1 && t <= c->name->levels && t == floor(t)))
					invalid_threshold(
						c, t, psprintf("It must be one of its levels, 1 to %d.", c->name->levels));
				break;
			case THRESHOLD_NONE:
				break;
		}
		for (int k = 0; k < i; k++)
			if (c->thresholds[k] == t)
				invalid_threshold(c, t, "It is there twice.");
		c->thresholds[i] = t;
		c->least = i == 0 ? t : Min(c->least, t);
		c->most = i == 0 ? t : Max(c->most, t);
	}
}

/* Its highest level: that of the same */
int
comparator_top(const Comparator *c)
{
	if (c->name->levels == 0)
		return c->n + 1;
	return c->n > 0 ? c->n : c->name->levels;
}

/* --- levels --- */

/* Cut blanks off both ends. */
static void
trim(const uint32 **c, uint32 *n)
{
	while (*n > 0 && is_plain_blank((*c)[*n - 1]))
	{
		CHECK_NOW_AND_THEN(*n);
		--*n;
	}
	while (*n > 0 && is_plain_blank(**c))
	{
		CHECK_NOW_AND_THEN(*n);
		++*c;
		--*n;
	}
}

static int
count_reached(const Comparator *c, double score)
{
	int level = 0;

	for (int i = 0; i < c->n; i++)
		level += score >= c->thresholds[i];
	return level;
}

/* The most that the comparator can say of texts of such lengths. */
static double
jaro_winkler_most(uint32 na, uint32 nb)
{
	double jaro = (2 + (double) Min(na, nb) / Max(na, nb)) / 3;

	return jaro + 0.4 * (1 - jaro);
}

static int
sound_level(MatchWork *w, const MatchText *a, const MatchText *b, SoundLanguage language)
{
	char *code_a;
	char *code_b;
	Size in_a;
	Size in_b;

	letters_read(w, &w->a_sounds, a->p, a->len, LETTERS_SOUNDS);
	letters_read(w, &w->b_sounds, b->p, b->len, LETTERS_SOUNDS);
	code_a = work_room(w, 0, (Size) w->a_sounds.n * SOUND_MAX + 1);
	code_b = work_room(w, 1, (Size) w->b_sounds.n * SOUND_MAX + 1);
	in_a = sound_of_text(language, w->a_sounds.c, w->a_sounds.n, code_a);
	in_b = sound_of_text(language, w->b_sounds.c, w->b_sounds.n, code_b);
	return in_a > 0 && in_a == in_b && memcmp(code_a, code_b, in_a) == 0;
}

/* Folded letters, without blanks around them. */
typedef struct Folded
{
	const uint32 *c;
	uint32 n;
} Folded;

static Folded
read_folded(MatchWork *w, Letters *room, MatchText *t, bool keep)
{
	Folded *kept = t->read;
	Folded f;

	if (kept != NULL)
		return *kept;
	letters_read(w, room, t->p, t->len, LETTERS_FOLDED);
	f.c = room->c;
	f.n = room->n;
	trim(&f.c, &f.n);
	if (keep && f.n > 0 && t->len <= KEPT_MAX)
	{
		kept = palloc(sizeof(Folded) + f.n * sizeof(uint32));
		memcpy(kept + 1, f.c, f.n * sizeof(uint32));
		f.c = (const uint32 *) (kept + 1);
		*kept = f;
		t->read = kept;
	}
	return f;
}

/* Of texts by their letters; blank ones say nothing. */
static int
letters_level(MatchWork *w, const Comparator *c, MatchText *a, MatchText *b, bool keep)
{
	Folded x = read_folded(w, &w->a, a, keep);
	Folded y = read_folded(w, &w->b, b, keep);
	uint32 distance;
	int level = 0;

	if (x.n == 0 || y.n == 0)
		return LEVEL_UNKNOWN;
	if (x.n == y.n && memcmp(x.c, y.c, x.n * sizeof(uint32)) == 0)
		return c->name->levels > 0 ? c->name->levels : c->n + 1;
	switch (c->name->kind)
	{
		case COMPARE_JARO_WINKLER:
			if (c->n == 0 || jaro_winkler_most(x.n, y.n) < c->least)
				return 0;
			return count_reached(c, jaro_winkler_letters(w, x.c, x.n, y.c, y.n));
		case COMPARE_TRIGRAM:
			return c->n == 0 ? 0 : count_reached(c, trigram_letters(w, x.c, x.n, y.c, y.n));
		case COMPARE_OSA:
			if (c->n == 0)
				return 0;
			distance = osa_letters(w, x.c, x.n, y.c, y.n, c->most);
			for (int i = 0; i < c->n; i++)
				level += distance <= c->thresholds[i];
			return level;
		default:
			return sound_level(w, a, b, c->language);
	}
}

static bool
is_blank_text(const MatchText *t)
{
	const char *p = t->p;
	Size len = t->len;

	/* what is no UTF-8 has bytes that are no blanks */
	if (t->readable)
		plain_trim(&p, &len);
	return len == 0;
}

static int
exact_level(const MatchText *a, const MatchText *b)
{
	if (is_blank_text(a) || is_blank_text(b))
		return LEVEL_UNKNOWN;
	return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

/* What readers of values take, each kind of text its own. */
typedef struct ReadValue
{
	bool valid;
	union
	{
		MatchDate date;
		MatchPhone phone;
		MatchEmail email;
		MatchDocument document;
	} of;
} ReadValue;

static ReadValue *
read_value(const Comparator *c, MatchText *t, ReadValue *room, bool keep)
{
	ReadValue *v = t->read;

	if (v != NULL)
		return v;
	v = keep ? palloc(sizeof(ReadValue)) : room;
	switch (c->name->kind)
	{
		case COMPARE_DATE:
			v->valid = date_read(t->p, t->len, c->month_first, &v->of.date);
			break;
		case COMPARE_PHONE:
			v->valid = phone_read(t->p, t->len, &v->of.phone);
			break;
		case COMPARE_EMAIL:
			v->valid = email_read(t->p, t->len, c->compose, &v->of.email);
			break;
		default:
			v->valid = document_read(t->p, t->len, &v->of.document);
	}
	if (keep)
		t->read = v;
	return v;
}

static int
value_level(MatchWork *w, const Comparator *c, MatchText *a, MatchText *b, bool keep)
{
	ReadValue of_a;
	ReadValue of_b;
	ReadValue *x = read_value(c, a, &of_a, keep);
	ReadValue *y = x->valid ? read_value(c, b, &of_b, keep) : NULL;

	if (!x->valid || !y->valid)
		return LEVEL_UNKNOWN;
	switch (c->name->kind)
	{
		case COMPARE_DATE:
			return date_compare(&x->of.date, &y->of.date);
		case COMPARE_PHONE:
			return phone_compare(&x->of.phone, a->p, a->len, &y->of.phone, b->p, b->len, c->home);
		case COMPARE_EMAIL:
			return email_compare(w, &x->of.email, &y->of.email);
		default:
			return document_compare(&x->of.document, &y->of.document);
	}
}

static int
names_level(MatchWork *w, const Comparator *c, MatchText *a, MatchText *b,
			const Nicknames *nicknames, bool keep)
{
	if (!keep || a->len > KEPT_MAX || b->len > KEPT_MAX)
		return name_level(w, a->p, a->len, b->p, b->len, c->language, nicknames);
	if (a->read == NULL)
		a->read = name_read(w, a->p, a->len);
	if (b->read == NULL)
		b->read = name_read(w, b->p, b->len);
	return name_compare(w, a->read, b->read, c->language, nicknames);
}

/* keep: what is read stays with the texts, in the current memory context. */
int
comparator_level(MatchWork *w, const Comparator *c, MatchText *a, MatchText *b,
				 const Nicknames *nicknames, bool keep)
{
	int level;

	switch (c->name->kind)
	{
		case COMPARE_EXACT:
			level = exact_level(a, b);
			break;
		case COMPARE_JARO_WINKLER:
		case COMPARE_OSA:
		case COMPARE_TRIGRAM:
		case COMPARE_SOUND:
			level = letters_level(w, c, a, b, keep);
			break;
		case COMPARE_NAME:
			level = names_level(w, c, a, b, nicknames, keep);
			break;
		default:
			level = a->readable && b->readable ? value_level(w, c, a, b, keep) : LEVEL_UNKNOWN;
	}
	if (level != LEVEL_UNKNOWN && c->n > 0 && c->name->thresholds == THRESHOLD_LEVEL)
		level = count_reached(c, level);
	return level;
}
