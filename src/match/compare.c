/*
 * compare.c
 *		Records of people compared within groups: SQL faces of record.c.
 *
 * Who compares groups the records as their blocks say, and gives each group a number; a
 * record knows the numbers of all its groups. So a pair is found in the first group that
 * both are in, and in no other one, without a list of pairs that have been seen.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "compat.h"
#include "funcapi.h"
#include "identity/arrays.h"
#include "mb/pg_wchar.h"
#include "match/record.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* Rules of patterns that are of no rule: any two, and all pairs */
#define RULE_RANDOM 0
#define RULE_ALL 1

/* After so many pairs it is told how many there were. */
#define TELL_EVERY INT64CONST(1000000)

/* What a call site keeps. */
typedef struct CompareSite
{
	MemoryContext cxt;
	MemoryContext group_cxt; /* records of one group, and what is read of them */
	MatchWork work;
	Comparison comparison;
	Jsonb *given; /* what comparators were parsed of */
	Nicknames nicknames;
	bytea *nicknames_given;
	int64 pairs; /* compared so far */
} CompareSite;

static CompareSite *
site_init(MemoryContext cxt)
{
	CompareSite *site = MemoryContextAllocZero(cxt, sizeof(CompareSite));

	site->cxt = cxt;
	site->group_cxt = AllocSetContextCreate(cxt, "records", ALLOCSET_DEFAULT_SIZES);
	work_init(&site->work, cxt);
	return site;
}

static CompareSite *
call_site(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = site_init(fcinfo->flinfo->fn_mcxt);
	return fcinfo->flinfo->fn_extra;
}

static void
invalid_comparators(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid comparators"),
					errdetail("They must be an array of arrays, each of a comparator and its "
							  "thresholds, such as [[\"name pt\"], [\"osa\", 1, 2]].")));
}

/* Comparators of a call, parsed when they differ from the last one's. */
static void
take_comparators(CompareSite *site, Jsonb *given)
{
	Comparison *c = &site->comparison;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue value;
	double thresholds[THRESHOLDS_MAX + 1];
	int depth = 0;
	int n = 0;

	if (site->given != NULL && VARSIZE(site->given) == VARSIZE(given) &&
		memcmp(site->given, given, VARSIZE(given)) == 0)
		return;
	if (site->given != NULL)
		pfree(site->given);
	site->given = NULL;
	c->n = 0;
	it = JsonbIteratorInit(&given->root);
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_BEGIN_ARRAY && depth < 2 && !value.val.array.rawScalar)
		{
			if (++depth == 2 && c->n == LEVELS_MAX)
				ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
								errmsg("at most %d comparators can be used", LEVELS_MAX)));
			n = -1;
		}
		else if (token == WJB_END_ARRAY)
		{
			if (depth-- == 2)
			{
				if (n < 0)
					invalid_comparators();
				comparator_thresholds(&c->comparators[c->n], thresholds, n);
				c->tops[c->n] = comparator_top(&c->comparators[c->n]);
				c->n++;
			}
		}
		else if (token == WJB_ELEM && depth == 2 && n < 0 && value.type == jbvString)
		{
			comparator_parse(&c->comparators[c->n], value.val.string.val, value.val.string.len);
			c->comparators[c->n].compose = GetDatabaseEncoding() == PG_UTF8;
			n = 0;
		}
		else if (token == WJB_ELEM && depth == 2 && n >= 0 && value.type == jbvNumeric)
		{
			if (n <= THRESHOLDS_MAX)
				thresholds[n] = DatumGetFloat8(DirectFunctionCall1(
					numeric_float8, NumericGetDatum(value.val.numeric)));
			n = Min(n + 1, THRESHOLDS_MAX + 1);
		}
		else
			invalid_comparators();
	}
	site->given = MemoryContextAlloc(site->cxt, VARSIZE(given));
	memcpy(site->given, given, VARSIZE(given));
}

/* given NULL: there are none */
static void
take_nicknames(CompareSite *site, bytea *given)
{
	bytea *old = site->nicknames_given;

	if (old != NULL && given != NULL && VARSIZE(old) == VARSIZE(given) &&
		memcmp(old, given, VARSIZE(given)) == 0)
		return;
	site->comparison.nicknames = NULL;
	site->nicknames_given = NULL;
	if (old != NULL)
		pfree(old);
	if (given == NULL)
		return;
	site->nicknames_given = MemoryContextAllocHuge(site->cxt, VARSIZE(given));
	memcpy(site->nicknames_given, given, VARSIZE(given));
	nicknames_open(&site->nicknames, VARDATA(site->nicknames_given),
				   VARSIZE(site->nicknames_given) - VARHDRSZ);
	site->comparison.nicknames = &site->nicknames;
}

/* Which arguments are comparators and, behind them, nicknames. */
static void
take_arguments(CompareSite *site, FunctionCallInfo fcinfo, int argument)
{
	int nicknames = argument + 1;

	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("comparators must not be NULL")));
	take_comparators(site, PG_GETARG_JSONB_P(argument));
	take_nicknames(site, PG_ARGISNULL(nicknames) ? NULL : PG_GETARG_BYTEA_P(nicknames));
}

static bool
is_ascii(const char *p, Size len)
{
	uint8 bits = 0;

	for (Size i = 0; i < len; i++)
		bits |= p[i];
	return !IS_HIGHBIT_SET(bits);
}

static bool
is_utf8(const char *p, Size len)
{
	return is_ascii(p, len) || pg_verify_mbstr(PG_UTF8, p, len, true);
}

/* --- packing --- */

/*
 * match_record(record, person, is_new, groups, values, bits, comparators): what
 * match_compare compares. Texts in it are UTF-8 in whatever database.
 */
PG_FUNCTION_INFO_V1(match_record);
Datum
match_record(PG_FUNCTION_ARGS)
{
	CompareSite *site = call_site(fcinfo);
	MatchRecord r = {PG_GETARG_INT64(0), PG_GETARG_INT64(1), PG_GETARG_BOOL(2)};
	Datum *groups;
	Datum *values;
	Datum *bits;
	bool *no_value;
	bool *no_bits;
	Oid type;
	int n;
	Size size;
	bytea *result;

	take_comparators(site, PG_GETARG_JSONB_P(6));
	r.ngroups = plain_array(fcinfo, 3, &groups);
	r.groups = palloc_many(r.ngroups, sizeof(int64));
	for (int i = 0; i < r.ngroups; i++)
	{
		r.groups[i] = DatumGetInt64(groups[i]);
		if (i > 0 && r.groups[i] <= r.groups[i - 1])
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("groups must be in order, each once")));
	}
	n = array_elements(fcinfo, 4, &type, &values, &no_value);
	check_parallel(n, array_elements(fcinfo, 5, &type, &bits, &no_bits));
	check_parallel(n, site->comparison.n);
	for (int i = 0; i < n; i++)
	{
		RecordValue *v = &r.values[i];

		v->rated = !no_bits[i];
		v->bits = v->rated ? DatumGetFloat8(bits[i]) : 0;
		if (!no_value[i])
		{
			text *given = DatumGetTextPP(values[i]);
			Size len = VARSIZE_ANY_EXHDR(given);
			char *p = VARDATA_ANY(given);

			if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII &&
				!is_ascii(p, len))
			{
				p = pg_server_to_any(p, len, PG_UTF8);
				len = strlen(p);
			}
			v->text = (MatchText) {p, len, GetDatabaseEncoding() != PG_SQL_ASCII || is_utf8(p, len)};
		}
	}
	record_know(&site->work, &site->comparison, &r);
	work_end(&site->work);
	size = record_size(&r, n) + VARHDRSZ;
	if (!AllocSizeIsValid(size))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("record is too large")));
	result = palloc(size);
	SET_VARSIZE(result, size);
	record_write(&r, n, VARDATA(result));
	PG_RETURN_BYTEA_P(result);
}

/* Open what may come from elsewhere. */
static void
open_record(CompareSite *site, MatchRecord *r, Datum given)
{
	bytea *packed = DatumGetByteaPP(given);

	record_open(r, &site->comparison, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	for (int i = 0; i < site->comparison.n; i++)
	{
		MatchText *text = &r->values[i].text;

		text->readable = text->p != NULL && is_utf8(text->p, text->len);
		if (text->p != NULL && !text->readable && GetDatabaseEncoding() != PG_SQL_ASCII)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid record of matching"),
					 errdetail("A text in it is not in UTF-8.")));
	}
}

/* --- comparing --- */

static uint64
compare_two(CompareSite *site, MatchRecord *a, MatchRecord *b)
{
	CHECK_FOR_INTERRUPTS();
	if (++site->pairs % TELL_EVERY == 0)
		ereport(NOTICE, (errmsg("%lld pairs of records are compared", (long long) site->pairs)));
	return records_levels(&site->work, &site->comparison, a, b);
}

typedef void (*PairSeen)(CompareSite *site, void *arg, const MatchRecord *a, const MatchRecord *b,
						 int64 group, uint64 levels);

typedef struct Place
{
	int64 group;
	int at;
} Place;

#define ST_SORT sort_places
#define ST_ELEMENT_TYPE Place
#define ST_COMPARE(a, b)                                                                           \
	((a)->group != (b)->group ? ((a)->group < (b)->group ? -1 : 1) : (a)->at - (b)->at)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static void
compare_group(CompareSite *site, const Place *places, int n, Datum *records, PairSeen seen,
			  void *arg)
{
	MemoryContext old = MemoryContextSwitchTo(site->group_cxt);
	MatchRecord *r = palloc_many(n, sizeof(MatchRecord));

	for (int i = 0; i < n; i++)
		open_record(site, &r[i], records[places[i].at]);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS(); /* it may be that none of them are compared */
		for (int k = i + 1; k < n; k++)
		{
			bool turned = r[i].record > r[k].record;
			MatchRecord *a = turned ? &r[k] : &r[i];
			MatchRecord *b = turned ? &r[i] : &r[k];

			if (a->person == b->person || !(a->is_new || b->is_new) ||
				!records_meet_first(a, b, places[0].group))
				continue;
			seen(site, arg, a, b, places[0].group, compare_two(site, a, b));
		}
	}
	work_end(&site->work);
	MemoryContextSwitchTo(old);
	MemoryContextReset(site->group_cxt);
}

/* All pairs within groups; arguments are numbers of groups and, parallel to them, records. */
static void
compare_groups(CompareSite *site, FunctionCallInfo fcinfo, int argument, PairSeen seen, void *arg)
{
	Datum *numbers;
	Datum *records;
	int n = plain_array(fcinfo, argument, &numbers);
	Place *places = palloc_many(n, sizeof(Place));

	check_parallel(n, plain_array(fcinfo, argument + 1, &records));
	for (int i = 0; i < n; i++)
		places[i] = (Place) {DatumGetInt64(numbers[i]), i};
	sort_places(places, n);
	for (int begin = 0, end; begin < n; begin = end)
	{
		for (end = begin + 1; end < n && places[end].group == places[begin].group;)
			end++;
		if (end - begin > 1)
			compare_group(site, places + begin, end - begin, records, seen, arg);
	}
	pfree(places);
	pfree(numbers);
	pfree(records);
}

typedef struct Scored
{
	ReturnSetInfo *result;
	const double *weights;
	double keep_above;
} Scored;

static void
keep_scored(CompareSite *site, void *arg, const MatchRecord *a, const MatchRecord *b, int64 group,
			uint64 levels)
{
	Scored *s = arg;
	double score = records_score(&site->comparison, s->weights, a, b, levels);
	Datum values[6] = {Int64GetDatum(a->record),
					   Int64GetDatum(b->record),
					   Int32GetDatum(RULE_OF_GROUP(group)),
					   Int64GetDatum((int64) levels),
					   Float8GetDatum(score),
					   (Datum) 0};
	bool nulls[6] = {false, false, false, false, false, true};

	if (score >= s->keep_above)
		tuplestore_putvalues(s->result->setResult, s->result->setDesc, values, nulls);
}

/*
 * match_compare(groups, records, comparators, nicknames, weights, keep_above) -> pairs that
 * score keep_above or more; then a row that only has how many were compared.
 */
PG_FUNCTION_INFO_V1(match_compare);
Datum
match_compare(PG_FUNCTION_ARGS)
{
	CompareSite *site = call_site(fcinfo);
	Scored s = {(ReturnSetInfo *) fcinfo->resultinfo};
	int64 before = site->pairs;
	Datum *weights;
	double *plain;
	int n;
	Datum values[6] = {0};
	bool nulls[6] = {true, true, true, true, true, false};

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	for (int i = 0; i < 6; i++)
		if (i != 3 && PG_ARGISNULL(i))
			return (Datum) 0;
	take_arguments(site, fcinfo, 2);
	n = plain_array(fcinfo, 4, &weights);
	if (n != weights_of(&site->comparison))
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("comparators have %d weights", weights_of(&site->comparison)),
						errdetail("Given are %d.", n)));
	plain = palloc_many(n, sizeof(double));
	for (int i = 0; i < n; i++)
		plain[i] = DatumGetFloat8(weights[i]);
	s.weights = plain;
	s.keep_above = PG_GETARG_FLOAT8(5);
	compare_groups(site, fcinfo, 0, keep_scored, &s);
	values[5] = Int64GetDatum(site->pairs - before);
	tuplestore_putvalues(s.result->setResult, s.result->setDesc, values, nulls);
	return (Datum) 0;
}

/* --- patterns --- */

typedef struct PatternKey
{
	uint64 levels;
	int32 rule;
} PatternKey;

typedef struct PatternCount
{
	PatternKey key;
	char status;
	int64 pairs;
} PatternCount;

#define SH_PREFIX patterns
#define SH_ELEMENT_TYPE PatternCount
#define SH_KEY_TYPE PatternKey
#define SH_KEY key
#define SH_HASH_KEY(table, k)                                                                      \
	(murmurhash32((uint32) (k).levels) ^                                                           \
	 murmurhash32((uint32) ((k).levels >> 32) + 0x9e3779b9 * (uint32) (k).rule))
#define SH_EQUAL(table, a, b) ((a).levels == (b).levels && (a).rule == (b).rule)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static void
count_pattern(patterns_hash *counts, int32 rule, uint64 levels)
{
	bool found;
	PatternCount *count = patterns_insert(counts, (PatternKey) {levels, rule}, &found);

	count->pairs = (found ? count->pairs : 0) + 1;
}

/* Of all pairs, and of each rule that finds them: they are in groups of all these. */
static void
count_seen(CompareSite *site, void *counts, const MatchRecord *a, const MatchRecord *b,
		   int64 group, uint64 levels)
{
	int32 last = RULE_OF_GROUP(group);
	uint32 i = 0;
	uint32 j = 0;

	count_pattern(counts, RULE_ALL, levels);
	count_pattern(counts, last, levels);
	while (i < a->ngroups && j < b->ngroups)
	{
		int64 x = a->groups[i];
		int64 y = b->groups[j];

		CHECK_NOW_AND_THEN(i + j);
		if (x == y && RULE_OF_GROUP(x) != last)
			count_pattern(counts, last = RULE_OF_GROUP(x), levels);
		i += x <= y;
		j += y <= x;
	}
}

static void
return_patterns(FunctionCallInfo fcinfo, patterns_hash *counts)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	patterns_iterator it;
	PatternCount *count;

	patterns_start_iterate(counts, &it);
	while ((count = patterns_iterate(counts, &it)) != NULL)
	{
		Datum values[3] = {Int32GetDatum(count->key.rule), Int64GetDatum((int64) count->key.levels),
						   Int64GetDatum(count->pairs)};
		bool nulls[3] = {false, false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	patterns_destroy(counts);
}

/*
 * match_patterns(groups, records, comparators, nicknames) -> rule, levels, and how many of
 * the pairs that match_compare compares have them.
 */
PG_FUNCTION_INFO_V1(match_patterns);
Datum
match_patterns(PG_FUNCTION_ARGS)
{
	CompareSite *site = call_site(fcinfo);
	patterns_hash *counts;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	take_arguments(site, fcinfo, 2);
	counts = patterns_create(CurrentMemoryContext, 1024, NULL);
	compare_groups(site, fcinfo, 0, count_seen, counts);
	return_patterns(fcinfo, counts);
	return (Datum) 0;
}

/*
 * match_patterns_near(places, records, distance, comparators, nicknames) -> the same, with
 * rule 0, of each record with those that come next to it in the order of places, as many as
 * distance; the last ones, as many as that, are only compared with.
 */
PG_FUNCTION_INFO_V1(match_patterns_near);
Datum
match_patterns_near(PG_FUNCTION_ARGS)
{
	CompareSite *site = call_site(fcinfo);
	patterns_hash *counts;
	Datum *numbers;
	Datum *records;
	Place *places;
	MatchRecord *r;
	MemoryContext old;
	int32 distance;
	int n;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return (Datum) 0;
	take_arguments(site, fcinfo, 3);
	distance = PG_GETARG_INT32(2);
	if (distance < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("distance must be positive"),
				 errdetail("It is %d.", distance)));
	n = plain_array(fcinfo, 0, &numbers);
	check_parallel(n, plain_array(fcinfo, 1, &records));
	places = palloc_many(n, sizeof(Place));
	for (int i = 0; i < n; i++)
		places[i] = (Place) {DatumGetInt64(numbers[i]), i};
	sort_places(places, n);
	counts = patterns_create(CurrentMemoryContext, 1024, NULL);
	old = MemoryContextSwitchTo(site->group_cxt);
	r = palloc_many(n, sizeof(MatchRecord));
	for (int i = 0; i < n; i++)
		open_record(site, &r[i], records[places[i].at]);
	for (int i = 0; i < n - distance; i++)
		for (int k = i + 1; k <= i + distance; k++)
			count_pattern(counts, RULE_RANDOM, compare_two(site, &r[i], &r[k]));
	work_end(&site->work);
	MemoryContextSwitchTo(old);
	MemoryContextReset(site->group_cxt);
	return_patterns(fcinfo, counts);
	return (Datum) 0;
}
