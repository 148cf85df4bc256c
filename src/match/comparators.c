/*
 * comparators.c
 *		SQL faces of the comparators.
 *
 * What a call needs beside its arguments, parsed comparators among it, stays at the call
 * site (fn_extra), so that nothing is allocated in the steady state; but in databases of
 * other encodings than UTF-8, texts outside ASCII are converted for the call.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "compat.h"
#include "mb/pg_wchar.h"
#include "match/comparators.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

/* With the levels below and above them they make 15: four bits with the unknown. */
#define THRESHOLDS_MAX 13
#define LEVEL_MAX (THRESHOLDS_MAX + 1)
#define LEVEL_BITS 4
#define LEVELS_MAX (64 / LEVEL_BITS)

typedef enum ComparatorKind
{
	COMPARE_EXACT,
	COMPARE_JARO_WINKLER,
	COMPARE_OSA,
	COMPARE_TRIGRAM,
	COMPARE_DATE,
	COMPARE_PHONE,
	COMPARE_EMAIL,
	COMPARE_DOCUMENT,
	COMPARE_NAME,
	COMPARE_SOUND
} ComparatorKind;

/* What thresholds are. */
typedef enum ThresholdKind
{
	THRESHOLD_NONE,
	THRESHOLD_SIMILARITY,
	THRESHOLD_DISTANCE,
	THRESHOLD_LEVEL
} ThresholdKind;

typedef struct ComparatorName
{
	const char *name;
	ComparatorKind kind;
	SoundLanguage language;
	ThresholdKind thresholds;
	int levels; /* the highest of its own */
} ComparatorName;

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

typedef struct Comparator
{
	const ComparatorName *name;
	SoundLanguage language;
	const PhonePlan *home;
	bool month_first;
	int n;
	double thresholds[THRESHOLDS_MAX];
	double least; /* of the thresholds */
	double most;
} Comparator;

typedef struct MatchSite
{
	MatchWork work;
	Comparator comparator;
	bool parsed;
	bool fixed;  /* comparator and thresholds are the same in all calls */
	char *given; /* else: what was parsed, as it was given */
	Size given_len;
	Size given_room;
	Size name_len;
} MatchSite;

static MatchSite *
match_site(FunctionCallInfo fcinfo)
{
	MatchSite *site = fcinfo->flinfo->fn_extra;

	if (unlikely(site == NULL))
	{
		MemoryContext cxt = fcinfo->flinfo->fn_mcxt;

		site = MemoryContextAllocZero(cxt, sizeof(MatchSite));
		work_init(&site->work, cxt);
		fcinfo->flinfo->fn_extra = site;
	}
	return site;
}

/* --- texts --- */

/* A text in UTF-8; in a database without an encoding whatever it is. */
typedef struct Utf8
{
	const char *p;
	Size len;
	char *made;
} Utf8;

static bool
is_ascii(const char *p, Size len)
{
	for (Size i = 0; i < len; i++)
	{
		CHECK_NOW_AND_THEN(i);
		if (IS_HIGHBIT_SET(p[i]))
			return false;
	}
	return true;
}

static inline bool
needs_conversion(void)
{
	return GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII;
}

static void
utf8_of(Utf8 *utf8, const char *p, Size len)
{
	utf8->p = p;
	utf8->len = len;
	utf8->made = NULL;
	if (needs_conversion() && !is_ascii(p, len))
	{
		char *made = pg_server_to_any(p, len, PG_UTF8);

		if (made != p)
		{
			utf8->p = utf8->made = made;
			utf8->len = strlen(made);
		}
	}
}

static inline void
utf8_free(Utf8 *utf8)
{
	if (unlikely(utf8->made != NULL))
		pfree(utf8->made);
}

/* The readers of values take nothing but UTF-8. */
static bool
is_utf8(const Utf8 *utf8)
{
	return GetDatabaseEncoding() != PG_SQL_ASCII || is_ascii(utf8->p, utf8->len) ||
		   pg_verify_mbstr(PG_UTF8, utf8->p, utf8->len, true);
}

static void
read_letters(MatchWork *w, Letters *letters, text *t, LetterForm form)
{
	Utf8 utf8;

	utf8_of(&utf8, VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
	letters_read(w, letters, utf8.p, utf8.len, form);
	utf8_free(&utf8);
}

static text *
text_of_utf8(const char *utf8, Size len)
{
	char *server;
	text *result;

	if (!needs_conversion() || is_ascii(utf8, len))
		return cstring_to_text_with_len(utf8, len);
	server = pg_any_to_server(utf8, len, PG_UTF8);
	result = cstring_to_text(server);
	if (server != utf8)
		pfree(server);
	return result;
}

/* --- distances --- */

PG_FUNCTION_INFO_V1(jaro_winkler);
Datum
jaro_winkler(PG_FUNCTION_ARGS)
{
	MatchWork *w = &match_site(fcinfo)->work;
	text *a = PG_GETARG_TEXT_PP(0);
	text *b = PG_GETARG_TEXT_PP(1);
	double result;

	read_letters(w, &w->a, a, LETTERS_AS_THEY_ARE);
	read_letters(w, &w->b, b, LETTERS_AS_THEY_ARE);
	result = jaro_winkler_letters(w, w->a.c, w->a.n, w->b.c, w->b.n);
	work_end(w);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(osa_distance);
Datum
osa_distance(PG_FUNCTION_ARGS)
{
	MatchWork *w;
	text *a;
	text *b;
	uint32 limit = OSA_NO_LIMIT;
	uint32 result;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(2))
	{
		int32 max = PG_GETARG_INT32(2);

		if (max < 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("max must not be negative"), errdetail("It is %d.", max)));
		limit = max;
	}
	w = &match_site(fcinfo)->work;
	a = PG_GETARG_TEXT_PP(0);
	b = PG_GETARG_TEXT_PP(1);
	read_letters(w, &w->a, a, LETTERS_AS_THEY_ARE);
	read_letters(w, &w->b, b, LETTERS_AS_THEY_ARE);
	result = osa_letters(w, w->a.c, w->a.n, w->b.c, w->b.n, limit);
	work_end(w);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_INT32(result);
}

/* --- forms --- */

static Datum
in_form(FunctionCallInfo fcinfo, LetterForm form)
{
	MatchWork *w = &match_site(fcinfo)->work;
	text *given = PG_GETARG_TEXT_PP(0);
	char *utf8;
	text *result;

	read_letters(w, &w->a, given, form);
	utf8 = work_room(w, 0, (Size) w->a.n * 4 + 1);
	result = text_of_utf8(utf8, letters_write(w->a.c, w->a.n, utf8));
	work_end(w);
	PG_FREE_IF_COPY(given, 0);
	PG_RETURN_TEXT_P(result);
}

PG_FUNCTION_INFO_V1(unaccented);
Datum
unaccented(PG_FUNCTION_ARGS)
{
	return in_form(fcinfo, LETTERS_UNACCENTED);
}

PG_FUNCTION_INFO_V1(folded);
Datum
folded(PG_FUNCTION_ARGS)
{
	return in_form(fcinfo, LETTERS_FOLDED);
}

static Datum
sound(FunctionCallInfo fcinfo, SoundLanguage language)
{
	MatchWork *w = &match_site(fcinfo)->work;
	text *given = PG_GETARG_TEXT_PP(0);
	char *code;
	text *result;

	read_letters(w, &w->a, given, LETTERS_SOUNDS);
	code = work_room(w, 0, (Size) w->a.n * SOUND_MAX + 1);
	result = cstring_to_text_with_len(code, sound_of_text(language, w->a.c, w->a.n, code));
	work_end(w);
	PG_FREE_IF_COPY(given, 0);
	PG_RETURN_TEXT_P(result);
}

PG_FUNCTION_INFO_V1(phonetic_pt);
Datum
phonetic_pt(PG_FUNCTION_ARGS)
{
	return sound(fcinfo, SOUND_PORTUGUESE);
}

PG_FUNCTION_INFO_V1(phonetic_es);
Datum
phonetic_es(PG_FUNCTION_ARGS)
{
	return sound(fcinfo, SOUND_SPANISH);
}

/* --- comparators --- */

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
static void
parse_comparator(Comparator *c, text *given)
{
	const char *p = VARDATA_ANY(given);
	const char *end = p + VARSIZE_ANY_EXHDR(given);
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
						errmsg("unknown comparator \"%s\"", text_to_cstring(given)),
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
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid option of comparator \"%s\"", text_to_cstring(given)),
						errhint("%s", hint)));
}

static void
invalid_threshold(const Comparator *c, double threshold, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid threshold %g of comparator %s", threshold, c->name->name),
					errdetail("%s", detail)));
}

static void
parse_thresholds(Comparator *c, ArrayType *given)
{
	int n = ArrayGetNItems(ARR_NDIM(given), ARR_DIMS(given));
	const float8 *thresholds = (const float8 *) ARR_DATA_PTR(given);

	if (ARR_NDIM(given) > 1 || array_contains_nulls(given))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("thresholds must be an array of one dimension without NULLs")));
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

/* Comparator and thresholds of this call, parsed when they differ from the last one's. */
static const Comparator *
site_comparator(FunctionCallInfo fcinfo, MatchSite *site)
{
	text *name;
	ArrayType *thresholds;
	Size name_len;
	Size len;

	if (site->parsed && site->fixed)
		return &site->comparator;
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("comparator must not be NULL")));
	name = PG_GETARG_TEXT_PP(2);
	name_len = VARSIZE_ANY_EXHDR(name);
	thresholds = PG_ARGISNULL(3) ? NULL : PG_GETARG_ARRAYTYPE_P(3);
	len = name_len + (thresholds ? VARSIZE(thresholds) : 0);
	if (!site->parsed || site->given_len != len || site->name_len != name_len ||
		memcmp(site->given, VARDATA_ANY(name), name_len) != 0 ||
		(thresholds && memcmp(site->given + name_len, thresholds, VARSIZE(thresholds)) != 0))
	{
		site->parsed = false;
		parse_comparator(&site->comparator, name);
		if (thresholds != NULL)
			parse_thresholds(&site->comparator, thresholds);
		if (site->given == NULL || site->given_room < len)
		{
			if (site->given != NULL)
				pfree(site->given);
			site->given = NULL;
			site->given = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, len + 1);
			site->given_room = len + 1;
		}
		memcpy(site->given, VARDATA_ANY(name), name_len);
		if (thresholds != NULL)
			memcpy(site->given + name_len, thresholds, VARSIZE(thresholds));
		site->given_len = len;
		site->name_len = name_len;
		site->fixed =
			get_fn_expr_arg_stable(fcinfo->flinfo, 2) && get_fn_expr_arg_stable(fcinfo->flinfo, 3);
		site->parsed = true;
	}
	PG_FREE_IF_COPY(name, 2);
	if (thresholds != NULL)
		PG_FREE_IF_COPY(thresholds, 3);
	return &site->comparator;
}

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
sound_level(MatchWork *w, const Utf8 *a, const Utf8 *b, SoundLanguage language)
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

/* Of texts by their letters; blank ones say nothing. */
static int
letters_level(MatchWork *w, const Comparator *c, const Utf8 *a, const Utf8 *b)
{
	const uint32 *x;
	const uint32 *y;
	uint32 nx;
	uint32 ny;
	uint32 distance;
	int level = 0;

	letters_read(w, &w->a, a->p, a->len, LETTERS_FOLDED);
	letters_read(w, &w->b, b->p, b->len, LETTERS_FOLDED);
	x = w->a.c;
	nx = w->a.n;
	y = w->b.c;
	ny = w->b.n;
	trim(&x, &nx);
	trim(&y, &ny);
	if (nx == 0 || ny == 0)
		return LEVEL_UNKNOWN;
	if (nx == ny && memcmp(x, y, nx * sizeof(uint32)) == 0)
		return c->name->levels > 0 ? c->name->levels : c->n + 1;
	switch (c->name->kind)
	{
		case COMPARE_JARO_WINKLER:
			if (c->n == 0 || jaro_winkler_most(nx, ny) < c->least)
				return 0;
			return count_reached(c, jaro_winkler_letters(w, x, nx, y, ny));
		case COMPARE_TRIGRAM:
			return c->n == 0 ? 0 : count_reached(c, trigram_letters(w, x, nx, y, ny));
		case COMPARE_OSA:
			if (c->n == 0)
				return 0;
			distance = osa_letters(w, x, nx, y, ny, c->most);
			for (int i = 0; i < c->n; i++)
				level += distance <= c->thresholds[i];
			return level;
		default:
			return sound_level(w, a, b, c->language);
	}
}

static int
exact_level(const Utf8 *a, const Utf8 *b)
{
	const char *p = a->p;
	const char *q = b->p;
	Size np = a->len;
	Size nq = b->len;

	plain_trim(&p, &np);
	plain_trim(&q, &nq);
	if (np == 0 || nq == 0)
		return LEVEL_UNKNOWN;
	return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

PG_FUNCTION_INFO_V1(match_level);
Datum
match_level(PG_FUNCTION_ARGS)
{
	MatchSite *site = match_site(fcinfo);
	MatchWork *w = &site->work;
	const Comparator *c = site_comparator(fcinfo, site);
	text *a;
	text *b;
	bytea *given = NULL;
	Nicknames nicknames;
	Utf8 x;
	Utf8 y;
	int level;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	a = PG_GETARG_TEXT_PP(0);
	b = PG_GETARG_TEXT_PP(1);
	utf8_of(&x, VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a));
	utf8_of(&y, VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b));
	switch (c->name->kind)
	{
		case COMPARE_EXACT:
			level = exact_level(&x, &y);
			break;
		case COMPARE_JARO_WINKLER:
		case COMPARE_OSA:
		case COMPARE_TRIGRAM:
		case COMPARE_SOUND:
			level = letters_level(w, c, &x, &y);
			break;
		case COMPARE_NAME:
			if (!PG_ARGISNULL(4))
			{
				given = PG_GETARG_BYTEA_PP(4);
				nicknames_open(&nicknames, VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given));
			}
			level = name_level(w, x.p, x.len, y.p, y.len, c->language, given ? &nicknames : NULL);
			if (given != NULL)
				PG_FREE_IF_COPY(given, 4);
			break;
		default:
			if (!is_utf8(&x) || !is_utf8(&y))
				level = LEVEL_UNKNOWN;
			else if (c->name->kind == COMPARE_DATE)
				level = date_level(x.p, x.len, y.p, y.len, c->month_first);
			else if (c->name->kind == COMPARE_PHONE)
				level = phone_level(x.p, x.len, y.p, y.len, c->home);
			else if (c->name->kind == COMPARE_EMAIL)
				level = email_level(w, x.p, x.len, y.p, y.len, GetDatabaseEncoding() == PG_UTF8);
			else
				level = document_level(x.p, x.len, y.p, y.len);
	}
	utf8_free(&x);
	utf8_free(&y);
	work_end(w);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	if (level == LEVEL_UNKNOWN)
		PG_RETURN_NULL();
	if (c->n > 0 && c->name->thresholds == THRESHOLD_LEVEL)
		level = count_reached(c, level);
	PG_RETURN_INT16(level);
}

/* --- nicknames --- */

/* The names of an object being read. */
typedef struct NamePile
{
	NicknamePair *pairs;
	uint32 n;
	uint32 room;
	MatchWork work;
} NamePile;

static void
pile_name(NamePile *pile, const JsonbValue *value, uint32 group)
{
	Letters *letters = &pile->work.a;
	Utf8 utf8;
	uint32 *name;
	uint32 n;

	CHECK_FOR_INTERRUPTS();
	utf8_of(&utf8, value->val.string.val, value->val.string.len);
	letters_read(&pile->work, letters, utf8.p, utf8.len, LETTERS_FOLDED);
	utf8_free(&utf8);
	if (!name_is_one(letters, &n))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid nickname \"%.*s\"", value->val.string.len, value->val.string.val),
				 errdetail("A name must be one word.")));
	if (pile->n == pile->room)
	{
		pile->room *= 2;
		pile->pairs = repalloc_huge(pile->pairs, pile->room * sizeof(NicknamePair));
	}
	name = palloc(n * sizeof(uint32));
	memcpy(name, letters->c, n * sizeof(uint32));
	pile->pairs[pile->n++] = (NicknamePair) {name, n, group};
}

PG_FUNCTION_INFO_V1(match_nicknames);
Datum
match_nicknames(PG_FUNCTION_ARGS)
{
	Jsonb *given = PG_GETARG_JSONB_P(0);
	JsonbIterator *it = JsonbIteratorInit(&given->root);
	JsonbIteratorToken token;
	JsonbValue value;
	NamePile pile = {.room = 64};
	uint32 group = 0;
	int depth = 0;
	Size size;
	bytea *result;

	work_init(&pile.work, CurrentMemoryContext);
	pile.pairs = palloc(pile.room * sizeof(NicknamePair));
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		bool good = true;

		if (token == WJB_BEGIN_OBJECT)
			good = ++depth == 1;
		else if (token == WJB_BEGIN_ARRAY)
			good = ++depth == 2 && !value.val.array.rawScalar;
		else if (token == WJB_END_OBJECT || token == WJB_END_ARRAY)
			depth--;
		else if (token == WJB_KEY)
			pile_name(&pile, &value, ++group);
		else if (value.type == jbvString)
			pile_name(&pile, &value, group);
		else
			good = false;
		if (!good)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid nicknames"),
							errdetail("They must be an object of names, with an array of nicknames "
									  "for each, such as {\"Robert\": [\"Bob\", \"Rob\"]}.")));
	}
	size = nicknames_size(pile.pairs, pile.n);
	if (!AllocSizeIsValid(size + VARHDRSZ))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many nicknames")));
	result = palloc0(size + VARHDRSZ);
	SET_VARSIZE(result, size + VARHDRSZ);
	nicknames_build(pile.pairs, pile.n, VARDATA(result), size);
	PG_RETURN_BYTEA_P(result);
}

/* --- several levels in one number --- */

PG_FUNCTION_INFO_V1(match_levels);
Datum
match_levels(PG_FUNCTION_ARGS)
{
	ArrayType *given = PG_GETARG_ARRAYTYPE_P(0);
	int n = ArrayGetNItems(ARR_NDIM(given), ARR_DIMS(given));
	const int16 *levels = (const int16 *) ARR_DATA_PTR(given);
	const uint8 *nulls = (const uint8 *) ARR_NULLBITMAP(given);
	uint64 packed = 0;

	if (ARR_NDIM(given) > 1 || n > LEVELS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("levels must be an array of one dimension with %d at most", LEVELS_MAX)));
	for (int i = 0; i < n; i++)
	{
		int16 level;

		if (nulls != NULL && (nulls[i / 8] >> i % 8 & 1) == 0)
			continue;
		level = *levels++;
		if (level < 0 || level > LEVEL_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid level %d", level),
					 errdetail("Levels are 0 to %d, or NULL.", LEVEL_MAX)));
		packed |= (uint64) (level + 1) << (i * LEVEL_BITS);
	}
	PG_FREE_IF_COPY(given, 0);
	PG_RETURN_INT64((int64) packed);
}

PG_FUNCTION_INFO_V1(match_level_at);
Datum
match_level_at(PG_FUNCTION_ARGS)
{
	uint64 packed = PG_GETARG_INT64(0);
	int32 n = PG_GETARG_INT32(1);
	int level;

	if (n < 1 || n > LEVELS_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there is no level %d", n),
						errdetail("They are numbered from 1 to %d.", LEVELS_MAX)));
	level = packed >> ((n - 1) * LEVEL_BITS) & ((1 << LEVEL_BITS) - 1);
	if (level == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT16(level - 1);
}
