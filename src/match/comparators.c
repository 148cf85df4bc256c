/*
 * comparators.c
 *		SQL faces of the comparators.
 *
 * What a call needs beside its arguments, parsed comparators among it, stays at the call
 * site (fn_extra), so that nothing is allocated in the steady state; but in databases of
 * other encodings than UTF-8, texts outside ASCII are converted for the call.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "mb/pg_wchar.h"
#include "match/comparators.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

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

/* What the database's encoding lacks, as most do the letter that a micro sign becomes, is a ? there. */
text *
text_of_utf8(const char *utf8, Size len)
{
	int encoding = GetDatabaseEncoding();
	Size room = len * MAX_CONVERSION_GROWTH + 1;
	Size done = 0;
	Oid proc;
	char *server;
	text *result;

	if (!needs_conversion() || is_ascii(utf8, len))
		return cstring_to_text_with_len(utf8, len);
	proc = FindDefaultConversionProc(PG_UTF8, encoding);
	server = palloc_extended(room, MCXT_ALLOC_HUGE);
	for (;;)
	{
		int taken;

		CHECK_FOR_INTERRUPTS();
		taken = pg_do_encoding_conversion_buf(proc, PG_UTF8, encoding,
											  (unsigned char *) unconstify(char *, utf8), len,
											  (unsigned char *) server + done, room - done, true);
		done += strlen(server + done);
		utf8 += taken;
		len -= taken;
		if (len == 0)
			break;
		server[done++] = '?';
		taken = Min(len, pg_utf_mblen((const unsigned char *) utf8));
		utf8 += taken;
		len -= taken;
	}
	result = cstring_to_text_with_len(server, done);
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

static void
parse_thresholds(Comparator *c, ArrayType *given)
{
	if (ARR_NDIM(given) > 1 || array_contains_nulls(given))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("thresholds must be an array of one dimension without NULLs")));
	comparator_thresholds(c, (const float8 *) ARR_DATA_PTR(given),
						  ArrayGetNItems(ARR_NDIM(given), ARR_DIMS(given)));
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
		comparator_parse(&site->comparator, VARDATA_ANY(name), name_len);
		site->comparator.compose = GetDatabaseEncoding() == PG_UTF8;
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
	MatchText of_a;
	MatchText of_b;
	int level;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	a = PG_GETARG_TEXT_PP(0);
	b = PG_GETARG_TEXT_PP(1);
	utf8_of(&x, VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a));
	utf8_of(&y, VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b));
	if (!PG_ARGISNULL(4) && c->name->kind == COMPARE_NAME)
	{
		given = PG_GETARG_BYTEA_PP(4);
		nicknames_open(&nicknames, VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given));
	}
	of_a = (MatchText) {x.p, x.len, is_utf8(&x)};
	of_b = (MatchText) {y.p, y.len, is_utf8(&y)};
	level = comparator_level(w, c, &of_a, &of_b, given ? &nicknames : NULL, false);
	if (given != NULL)
		PG_FREE_IF_COPY(given, 4);
	utf8_free(&x);
	utf8_free(&y);
	work_end(w);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	if (level == LEVEL_UNKNOWN)
		PG_RETURN_NULL();
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
