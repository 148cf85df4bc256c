/*
 * profile.c
 *		The aggregates profile_traits and profile_provenance: what sources say of the
 *		identities of a customer, and which of it counts.
 *
 * Rows are statements. A unit is a trait, or the members of a group. What a source, or a
 * row of it, says of a unit is what it said last: the values of one identity as of one
 * time, or nothing where these are null. Of those candidates the unit's rule takes one.
 * Both are functions of the rows alone, not of their order.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "identity/profile_rules.h"
#include "journey/journey.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* A statement: the value follows, then trait, source and key. */
typedef struct Told
{
	Size size;
	int64 identity;
	TimestampTz time;
	uint32 trait_len;
	uint32 source_len;
	uint32 key_len;
	uint32 value_size;
} Told;

#define TOLD_HEADER MAXALIGN(sizeof(Told))

typedef struct Entry Entry;

typedef struct ProfileState
{
	MemoryContext cxt;
	Jsonb *given; /* rules, NULL: none */
	int ntold;
	char *data;
	Size used;
	Size size;
	int chosen_of; /* of so many statements the following are those that count */
	int nchosen;
	Entry *chosen;
} ProfileState;

/* A statement with what there is to know of it. */
struct Entry
{
	const Told *told;
	const Rule *rule;
	int member;
	Text trait;
	Text source;
	Text key;
	Jsonb *value;
};

/* Some entries of one unit, source, key, time and identity: what the source says. */
typedef struct Candidate
{
	const Entry *entries;
	int nentries;
	int64 measure; /* the larger, the better by the unit's rule */
} Candidate;

/* --- values --- */

/* The scalar that a value is; false: it is an object or array. */
static inline bool
scalar(Jsonb *value, JsonbValue *result)
{
	return JB_ROOT_IS_SCALAR(value) && JsonbExtractScalar(&value->root, result);
}

/* A scalar stands as the only element of an array. */

static inline bool
is_null(Jsonb *value)
{
	return JB_ROOT_IS_SCALAR(value) && JBE_ISNULL(value->root.children[0]);
}

static Text
printed(Jsonb *value)
{
	const char *text = JsonbToCString(NULL, &value->root, VARSIZE(value));

	return (Text) {text, strlen(text)};
}

static int
type_rank(bool is_scalar, const JsonbValue *v)
{
	if (!is_scalar)
		return 2;
	return v->type == jbvNumeric ? 0 : v->type == jbvString ? 1 : 2;
}

/* Numbers come before texts, texts before all others, which are compared as text; 1 and 1.0 are equal. */
static int
value_compare(Jsonb *a, Jsonb *b)
{
	JsonbValue x;
	JsonbValue y;
	bool x_scalar = scalar(a, &x);
	bool y_scalar = scalar(b, &y);
	int x_rank = type_rank(x_scalar, &x);
	int y_rank = type_rank(y_scalar, &y);

	if (x_rank != y_rank)
		return x_rank - y_rank;
	if (x_rank == 0)
		return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(x.val.numeric),
												 NumericGetDatum(y.val.numeric)));
	if (x_rank == 1)
		return text_compare((Text) {x.val.string.val, x.val.string.len},
							(Text) {y.val.string.val, y.val.string.len});
	return text_compare(printed(a), printed(b));
}

static int64
value_length(Jsonb *value)
{
	JsonbValue v;
	Text text;

	if (scalar(value, &v) && v.type == jbvString)
		text = (Text) {v.val.string.val, v.val.string.len};
	else
		text = printed(value);
	return pg_mbstrlen_with_len(text.p, text.len);
}

/* --- statements --- */

static ProfileState *
create_state(MemoryContext cxt, Jsonb *given)
{
	ProfileState *state = MemoryContextAllocZero(cxt, sizeof(ProfileState));

	state->cxt = cxt;
	state->given = given;
	state->size = 1024;
	state->data = MemoryContextAlloc(cxt, state->size);
	return state;
}

static void
make_room(ProfileState *state, int ntold, Size size)
{
	if (state->ntold > PG_INT32_MAX - ntold)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many statements of traits in a group")));
	if (state->used + size <= state->size)
		return;
	while (state->used + size > state->size)
		state->size *= 2;
	state->data = repalloc_huge(state->data, state->size);
}

PG_FUNCTION_INFO_V1(profile_transfn);
Datum
profile_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "profile_traits");
	ProfileState *state = PG_ARGISNULL(0) ? NULL : (ProfileState *) PG_GETARG_POINTER(0);
	text *trait;
	text *source;
	text *key;
	Jsonb *value;
	Told *told;
	Size size;
	char *p;

	for (int i = 1; i <= 6; i++)
		if (PG_ARGISNULL(i))
			return unchanged_state(fcinfo);
	if (state == NULL)
		state = create_state(cxt, rules_argument(fcinfo, 7, cxt));
	trait = PG_GETARG_TEXT_PP(2);
	value = PG_GETARG_JSONB_P(3);
	source = PG_GETARG_TEXT_PP(4);
	key = PG_GETARG_TEXT_PP(5);
	size = MAXALIGN(TOLD_HEADER + INTALIGN(VARSIZE(value)) + VARSIZE_ANY_EXHDR(trait) +
					VARSIZE_ANY_EXHDR(source) + VARSIZE_ANY_EXHDR(key));
	make_room(state, 1, size);
	told = (Told *) (state->data + state->used);
	told->size = size;
	told->identity = PG_GETARG_INT64(1);
	told->time = PG_GETARG_TIMESTAMPTZ(6);
	told->trait_len = VARSIZE_ANY_EXHDR(trait);
	told->source_len = VARSIZE_ANY_EXHDR(source);
	told->key_len = VARSIZE_ANY_EXHDR(key);
	told->value_size = INTALIGN(VARSIZE(value));
	p = (char *) told + TOLD_HEADER;
	memcpy(p, value, VARSIZE(value));
	p += told->value_size;
	memcpy(p, VARDATA_ANY(trait), told->trait_len);
	p += told->trait_len;
	memcpy(p, VARDATA_ANY(source), told->source_len);
	p += told->source_len;
	memcpy(p, VARDATA_ANY(key), told->key_len);
	state->used += size;
	state->ntold++;
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(profile_combinefn);
Datum
profile_combinefn(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo, "profile_traits");
	ProfileState *state;
	const ProfileState *other;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = (const ProfileState *) PG_GETARG_POINTER(1);
	state = PG_ARGISNULL(0) ? create_state(cxt, copy_rules(other->given, cxt))
							: (ProfileState *) PG_GETARG_POINTER(0);
	make_room(state, other->ntold, other->used);
	memcpy(state->data + state->used, other->data, other->used);
	state->used += other->used;
	state->ntold += other->ntold;
	PG_RETURN_POINTER(state);
}

/* The rules, if there are any, then the statements; each aligned as they are in memory. */
typedef struct PackedState
{
	int32 vl_len_;
	int32 ntold;
	uint64 given_size;
} PackedState;

PG_FUNCTION_INFO_V1(profile_serialfn);
Datum
profile_serialfn(PG_FUNCTION_ARGS)
{
	const ProfileState *state = (const ProfileState *) PG_GETARG_POINTER(0);
	Size given_size = state->given ? VARSIZE(state->given) : 0;
	PackedState *packed;

	aggregate_context(fcinfo, "profile_traits");
	packed = palloc0(sizeof(PackedState) + MAXALIGN(given_size) + state->used);
	SET_VARSIZE(packed, sizeof(PackedState) + MAXALIGN(given_size) + state->used);
	packed->ntold = state->ntold;
	packed->given_size = given_size;
	if (given_size > 0)
		memcpy(packed + 1, state->given, given_size);
	memcpy((char *) (packed + 1) + MAXALIGN(given_size), state->data, state->used);
	PG_RETURN_BYTEA_P(packed);
}

PG_FUNCTION_INFO_V1(profile_deserialfn);
Datum
profile_deserialfn(PG_FUNCTION_ARGS)
{
	PackedState *packed = (PackedState *) PG_GETARG_BYTEA_P(0);
	ProfileState *state = palloc0(sizeof(ProfileState));
	char *rest = (char *) (packed + 1);

	aggregate_context(fcinfo, "profile_traits");
	if (packed->given_size > 0)
		state->given = (Jsonb *) rest;
	state->data = rest + MAXALIGN(packed->given_size);
	state->ntold = packed->ntold;
	state->used = (char *) packed + VARSIZE(packed) - state->data;
	PG_RETURN_POINTER(state);
}

/* By unit, source and key; then the newest first, and by identity and trait. */
static int
entry_compare(const void *a, const void *b)
{
	const Entry *x = a;
	const Entry *y = b;
	int cmp = (x->rule->group > y->rule->group) - (x->rule->group < y->rule->group);

	if (cmp == 0 && x->rule->group == 0)
		cmp = text_compare(x->trait, y->trait);
	if (cmp == 0)
		cmp = text_compare(x->source, y->source);
	if (cmp == 0)
		cmp = text_compare(x->key, y->key);
	if (cmp == 0)
		cmp = (x->told->time < y->told->time) - (x->told->time > y->told->time);
	if (cmp == 0)
		cmp = (x->told->identity > y->told->identity) - (x->told->identity < y->told->identity);
	return cmp != 0 ? cmp : x->member - y->member;
}

static inline bool
same_unit(const Entry *x, const Entry *y)
{
	return x->rule->group == y->rule->group &&
		   (x->rule->group != 0 || text_compare(x->trait, y->trait) == 0);
}

static inline bool
same_source(const Entry *x, const Entry *y)
{
	return text_compare(x->source, y->source) == 0 && text_compare(x->key, y->key) == 0;
}

static Entry *
sorted_entries(const ProfileState *state, const RuleSet *rules)
{
	Entry *entries = MemoryContextAllocHuge(CurrentMemoryContext, state->ntold * sizeof(Entry));
	const char *p = state->data;

	for (int i = 0; i < state->ntold; i++)
	{
		Entry *e = &entries[i];
		const Told *told = (const Told *) p;
		const char *text = p + TOLD_HEADER + told->value_size;
		const Ruled *ruled;

		e->told = told;
		e->value = (Jsonb *) unconstify(char *, p + TOLD_HEADER);
		e->trait = (Text) {text, told->trait_len};
		e->source = (Text) {e->trait.p + told->trait_len, told->source_len};
		e->key = (Text) {e->source.p + told->source_len, told->key_len};
		ruled = find_ruled(rules, e->trait);
		e->rule = ruled ? ruled->rule : &rules->any;
		e->member = ruled ? ruled->member : 0;
		p += told->size;
	}
	qsort(entries, state->ntold, sizeof(Entry), entry_compare);
	return entries;
}

/* Of two that a source says as of one time null is the newer, else the text that sorts last. */
static bool
is_newer(const Entry *x, const Entry *y)
{
	bool x_null = is_null(x->value);
	bool y_null = is_null(y->value);

	if (x_null || y_null)
		return x_null && !y_null;
	return text_compare(printed(x->value), printed(y->value)) > 0;
}

/* The same for all that is said of two identities, in the order of the members. */
static bool
says_newer(const Candidate *x, const Candidate *y)
{
	for (int i = 0, j = 0; i < x->nentries || j < y->nentries; i++, j++)
	{
		if (j == y->nentries)
			return true;
		if (i == x->nentries)
			return false;
		if (x->entries[i].member != y->entries[j].member)
			return x->entries[i].member < y->entries[j].member;
		if (is_newer(&x->entries[i], &y->entries[j]))
			return true;
		if (is_newer(&y->entries[j], &x->entries[i]))
			return false;
	}
	return false;
}

/* In the order of the members, by value or the other way round; what has none comes last. */
static int
candidate_compare(const Candidate *x, const Candidate *y, bool descending)
{
	int i = 0;
	int j = 0;

	for (;; i++, j++)
	{
		int cmp;

		while (i < x->nentries && is_null(x->entries[i].value))
			i++;
		while (j < y->nentries && is_null(y->entries[j].value))
			j++;
		if (i == x->nentries || j == y->nentries)
			return (i == x->nentries) - (j == y->nentries);
		if (x->entries[i].member != y->entries[j].member)
			return x->entries[i].member - y->entries[j].member;
		cmp = value_compare(x->entries[i].value, y->entries[j].value);
		if (cmp != 0)
			return descending ? -cmp : cmp;
	}
}

static int
candidate_sort(const void *a, const void *b)
{
	return candidate_compare(a, b, false);
}

/* How many candidates say the same as each. */
static void
count_equals(Candidate *candidates, int n)
{
	qsort(candidates, n, sizeof(Candidate), candidate_sort);
	for (int i = 0, j; i < n; i = j)
	{
		for (j = i + 1; j < n && candidate_compare(&candidates[i], &candidates[j], false) == 0; j++)
			;
		for (int k = i; k < j; k++)
			candidates[k].measure = j - i;
	}
}

static void
measure(const Rule *rule, Candidate *c)
{
	const Entry *e = c->entries;

	c->measure = 0;
	if (rule->choice == CHOICE_SOURCE_ORDER)
	{
		c->measure = -rule->norder;
		for (int i = 0; i < rule->norder; i++)
			if (text_compare(rule->order[i], e->source) == 0)
				c->measure = -i;
	}
	else if (rule->choice == CHOICE_LONGEST)
		for (int i = 0; i < c->nentries; i++)
			if (!is_null(e[i].value))
				c->measure += value_length(e[i].value);
}

/* Of equals the most recent, and of these the one whose source and key sort first. */
static bool
is_better(const Rule *rule, const Candidate *x, const Candidate *y)
{
	int cmp = 0;

	if (rule->choice == CHOICE_MIN || rule->choice == CHOICE_MAX)
		cmp = candidate_compare(x, y, rule->choice == CHOICE_MAX);
	else
		cmp = (x->measure < y->measure) - (x->measure > y->measure);
	if (cmp == 0)
		cmp = (x->entries->told->time < y->entries->told->time) -
			  (x->entries->told->time > y->entries->told->time);
	if (cmp == 0)
		cmp = text_compare(x->entries->source, y->entries->source);
	if (cmp == 0)
		cmp = text_compare(x->entries->key, y->entries->key);
	return cmp < 0;
}

/*
 * What each source, or row of one, says of a unit, from some entries on; returns where
 * the next unit begins. Entries may be moved within what one said of an identity.
 */
static int
find_candidates(Entry *entries, int from, int nentries, Candidate *candidates, int *ncandidates)
{
	int i = from;

	*ncandidates = 0;
	while (i < nentries && same_unit(&entries[from], &entries[i]))
	{
		Candidate best = {0};
		TimestampTz time = entries[i].told->time;
		int first = i;
		bool any = false;

		CHECK_FOR_INTERRUPTS();
		while (i < nentries && same_unit(&entries[first], &entries[i]) &&
			   same_source(&entries[first], &entries[i]))
		{
			Entry *said = &entries[i];
			Candidate c = {said};
			int64 identity = entries[i].told->identity;

			if (entries[i].told->time < time)
			{
				i++;
				continue;
			}
			/* what is kept of what replaced it may be there twice */
			for (; i < nentries && entries[i].told->identity == identity &&
				   entries[i].told->time == time && same_unit(&entries[first], &entries[i]) &&
				   same_source(&entries[first], &entries[i]);
				 i++)
			{
				if (c.nentries == 0 || said[c.nentries - 1].member != entries[i].member)
					said[c.nentries++] = entries[i];
				else if (is_newer(&entries[i], &said[c.nentries - 1]))
					said[c.nentries - 1] = entries[i];
			}
			if (best.nentries == 0 || says_newer(&c, &best))
				best = c;
		}
		for (int j = 0; j < best.nentries && !any; j++)
			any = !is_null(best.entries[j].value);
		if (any)
			candidates[(*ncandidates)++] = best;
	}
	return i;
}

/* The candidate that counts; NULL: there is none. */
static const Candidate *
choose(const Rule *rule, Candidate *candidates, int n)
{
	const Candidate *best = NULL;

	if (rule->choice == CHOICE_MOST_FREQUENT)
		count_equals(candidates, n);
	else
		for (int i = 0; i < n; i++)
			measure(rule, &candidates[i]);
	for (int i = 0; i < n; i++)
		if (best == NULL || is_better(rule, &candidates[i], best))
			best = &candidates[i];
	return best;
}

static void
push_string(JsonbParseState **parse, JsonbIteratorToken token, Text text)
{
	JsonbValue v;

	v.type = jbvString;
	v.val.string.val = unconstify(char *, text.p);
	v.val.string.len = text.len;
	pushJsonbValue(parse, token, &v);
}

static void
push_value(JsonbParseState **parse, const Entry *e)
{
	JsonbValue v;

	if (!scalar(e->value, &v))
	{
		v.type = jbvBinary;
		v.val.binary.data = &e->value->root;
		v.val.binary.len = VARSIZE(e->value) - VARHDRSZ;
	}
	pushJsonbValue(parse, WJB_VALUE, &v);
}

static void
push_provenance(JsonbParseState **parse, const Entry *e)
{
	char *time = palloc(MAXDATELEN + 1);
	int utc = 0;

	JsonEncodeDateTime(time, TimestampTzGetDatum(e->told->time), TIMESTAMPTZOID, &utc);
	pushJsonbValue(parse, WJB_BEGIN_OBJECT, NULL);
	push_string(parse, WJB_KEY, (Text) {"source", 6});
	push_string(parse, WJB_VALUE, e->source);
	if (e->key.len > 0)
	{
		push_string(parse, WJB_KEY, (Text) {"source_key", 10});
		push_string(parse, WJB_VALUE, e->key);
	}
	push_string(parse, WJB_KEY, (Text) {"observed_at", 11});
	push_string(parse, WJB_VALUE, (Text) {time, strlen(time)});
	pushJsonbValue(parse, WJB_END_OBJECT, NULL);
}

/* The statements that count. Both aggregates ask for them, so they are kept. */
static void
choose_all(ProfileState *state, const RuleSet *rules)
{
	Entry *entries = sorted_entries(state, rules);
	Candidate *candidates =
		MemoryContextAllocHuge(CurrentMemoryContext, state->ntold * sizeof(Candidate));
	int ncandidates;

	if (state->chosen != NULL)
		pfree(state->chosen);
	state->chosen = MemoryContextAllocHuge(state->cxt, state->ntold * sizeof(Entry));
	state->chosen_of = state->ntold;
	state->nchosen = 0;
	for (int i = 0; i < state->ntold;)
	{
		const Rule *rule = entries[i].rule;
		const Candidate *best;

		i = find_candidates(entries, i, state->ntold, candidates, &ncandidates);
		best = choose(rule, candidates, ncandidates);
		for (int j = 0; best != NULL && j < best->nentries; j++)
			if (!is_null(best->entries[j].value))
				state->chosen[state->nchosen++] = best->entries[j];
	}
}

static Datum
profile(FunctionCallInfo fcinfo, void (*push)(JsonbParseState **, const Entry *))
{
	ProfileState *state;
	JsonbParseState *parse = NULL;

	aggregate_context(fcinfo, "profile_traits");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (ProfileState *) PG_GETARG_POINTER(0);
	if (state->chosen_of != state->ntold)
		choose_all(state, rules_of(fcinfo, state->given));
	pushJsonbValue(&parse, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < state->nchosen; i++)
	{
		push_string(&parse, WJB_KEY, state->chosen[i].trait);
		push(&parse, &state->chosen[i]);
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&parse, WJB_END_OBJECT, NULL)));
}

PG_FUNCTION_INFO_V1(profile_traits_finalfn);
Datum
profile_traits_finalfn(PG_FUNCTION_ARGS)
{
	return profile(fcinfo, push_value);
}

PG_FUNCTION_INFO_V1(profile_provenance_finalfn);
Datum
profile_provenance_finalfn(PG_FUNCTION_ARGS)
{
	return profile(fcinfo, push_provenance);
}
