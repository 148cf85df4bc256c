/*
 * keys.c
 *		Keys of blocks: which records are compared at all.
 *
 * A block has expressions, each a field, or a function of an expression, such as
 * phonetic_pt(words(name)). Its keys of a record are all choices of a value of each of
 * them, put together; there is none where one has no value.
 */
#include "postgres.h"

#include "compat.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "match/comparators.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* between the values of a key */
#define KEY_BETWEEN '\x1f'
#define STEPS_MAX 16
#define NUMBER_DIGITS 4

typedef enum StepKind
{
	STEP_LEFT,
	STEP_RIGHT,
	STEP_YEAR,
	STEP_DIGITS,
	STEP_LOCAL_PART,
	STEP_PHONETIC_PT,
	STEP_PHONETIC_ES,
	STEP_WORDS
} StepKind;

static const char *const step_names[] = {"left",       "right",       "year",        "digits",
										 "local_part", "phonetic_pt", "phonetic_es", "words"};

typedef struct Step
{
	StepKind kind;
	uint32 number; /* of left and right */
} Step;

typedef struct Expression
{
	int32 block;
	char *field;
	int field_len;
	bool words;
	int nsteps; /* besides words, the outermost first */
	Step steps[STEPS_MAX];
} Expression;

/* A value: letters, folded */
typedef struct KeyValue
{
	uint32 *c;
	uint32 n;
} KeyValue;

typedef struct KeyValues
{
	KeyValue *values;
	int n;
} KeyValues;

typedef struct KeySite
{
	MemoryContext cxt; /* of what is parsed */
	MemoryContext call_cxt;
	MatchWork work;
	Jsonb *given;
	Expression *expressions; /* those of a block together */
	int n;
} KeySite;

/* --- expressions --- */

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
trim_blanks(const char **p, int *len)
{
	while (*len > 0 && is_blank(**p))
	{
		++*p;
		--*len;
	}
	while (*len > 0 && is_blank((*p)[*len - 1]))
		--*len;
}

/* A number behind a comma at the end, and on to what is before it; -1: there is none. */
static int
number_behind(const char *p, int *len)
{
	int end = *len;
	int begin = end;
	int number = 0;

	while (begin > 0 && p[begin - 1] >= '0' && p[begin - 1] <= '9')
		begin--;
	if (begin == end || end - begin > NUMBER_DIGITS)
		return -1;
	for (int i = begin; i < end; i++)
		number = number * 10 + (p[i] - '0');
	while (begin > 0 && is_blank(p[begin - 1]))
		begin--;
	if (begin == 0 || p[begin - 1] != ',')
		return -1;
	*len = begin - 1;
	return number;
}

/* False if it is none. */
static bool
parse_expression(Expression *e, const char *p, int len)
{
	trim_blanks(&p, &len);
	while (len > 0 && p[len - 1] == ')')
	{
		const char *open = memchr(p, '(', len);
		int name_len = open ? open - p : 0;
		int kind = 0;
		int number;

		while (name_len > 0 && is_blank(p[name_len - 1]))
			name_len--;
		while (kind < lengthof(step_names) && (name_len != strlen(step_names[kind]) ||
											   memcmp(p, step_names[kind], name_len) != 0))
			kind++;
		if (kind == lengthof(step_names) || e->words || e->nsteps == STEPS_MAX)
			return false;
		len -= open - p + 2;
		p = open + 1;
		trim_blanks(&p, &len);
		number = number_behind(p, &len);
		trim_blanks(&p, &len);
		if ((kind == STEP_LEFT || kind == STEP_RIGHT) != (number > 0) || number == 0)
			return false;
		if (kind == STEP_WORDS)
			e->words = true;
		else
			e->steps[e->nsteps++] = (Step) {kind, number};
	}
	for (int i = 0; i < len; i++)
		if (strchr("(),", p[i]) != NULL)
			return false;
	e->field = pnstrdup(p, len);
	e->field_len = len;
	return len > 0;
}

static void
invalid_expression(const char *p, int len)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("this is no expression of a block: %.*s", len, p),
			 errhint("It is a field, such as email, or left(field, n), right(field, n), "
					 "year(field), digits(field), local_part(field), phonetic_pt(field), "
					 "phonetic_es(field), words(field), or one in another, such as "
					 "phonetic_pt(words(name)).")));
}

static void
invalid_blocks(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid blocks"),
					errdetail("They must be an array of arrays, each of a number and expressions, "
							  "such as [[1, \"email\"], [2, \"born\", \"left(name, 1)\"]].")));
}

/* Blocks of a call, parsed when they differ from the last one's. */
static void
take_blocks(KeySite *site, Jsonb *given)
{
	MemoryContext old;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue value;
	int depth = 0;
	int in_block = 0;
	int32 block = 0;
	int room = 32;

	if (site->given != NULL && VARSIZE(site->given) == VARSIZE(given) &&
		memcmp(site->given, given, VARSIZE(given)) == 0)
		return;
	site->given = NULL;
	MemoryContextReset(site->cxt);
	old = MemoryContextSwitchTo(site->cxt);
	site->n = 0;
	site->expressions = palloc(room * sizeof(Expression));
	it = JsonbIteratorInit(&given->root);
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_BEGIN_ARRAY && depth < 2 && !value.val.array.rawScalar)
		{
			depth++;
			in_block = 0;
		}
		else if (token == WJB_END_ARRAY)
		{
			if (depth-- == 2 && in_block < 2)
				invalid_blocks();
		}
		else if (token == WJB_ELEM && depth == 2 && in_block == 0 && value.type == jbvNumeric)
		{
			block = DatumGetInt32(
				DirectFunctionCall1(numeric_int4, NumericGetDatum(value.val.numeric)));
			in_block++;
		}
		else if (token == WJB_ELEM && depth == 2 && in_block > 0 && value.type == jbvString)
		{
			Expression *e;

			if (site->n == room)
			{
				room *= 2;
				site->expressions = repalloc_huge(site->expressions, room * sizeof(Expression));
			}
			e = &site->expressions[site->n];
			memset(e, 0, sizeof(Expression));
			e->block = block;
			if (!parse_expression(e, value.val.string.val, value.val.string.len))
				invalid_expression(value.val.string.val, value.val.string.len);
			site->n++;
			in_block++;
		}
		else
			invalid_blocks();
	}
	site->given = palloc(VARSIZE(given));
	memcpy(site->given, given, VARSIZE(given));
	MemoryContextSwitchTo(old);
}

/* --- values --- */

/* What ->> makes of a field; NULL: nothing. */
static char *
field_text(Jsonb *fields, const Expression *e, Size *len)
{
	JsonbValue room;
	JsonbValue *v;
	char *p;

	v = getKeyJsonValueFromContainer(&fields->root, e->field, e->field_len, &room);
	if (v == NULL || v->type == jbvNull)
		return NULL;
	switch (v->type)
	{
		case jbvString:
			*len = v->val.string.len;
			return v->val.string.val;
		case jbvBool:
			p = v->val.boolean ? "true" : "false";
			break;
		case jbvNumeric:
			p = DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric)));
			break;
		default:
			p = JsonbToCString(NULL, v->val.binary.data, v->val.binary.len);
	}
	*len = strlen(p);
	return p;
}

static bool
is_digit(uint32 c)
{
	return c >= '0' && c <= '9';
}

static void
take_step(KeySite *site, KeyValue *v, const Step *step)
{
	uint32 n = 0;
	Size len;
	char *code;

	switch (step->kind)
	{
		case STEP_LEFT:
			v->n = Min(v->n, step->number);
			break;
		case STEP_RIGHT:
			n = Min(v->n, step->number);
			v->c += v->n - n;
			v->n = n;
			break;
		case STEP_YEAR:
			for (uint32 i = 0; i < v->n && n < 4; i++)
			{
				CHECK_NOW_AND_THEN(i);
				n = is_digit(v->c[i]) ? n + 1 : 0;
				if (n == 4)
					v->c += i - 3;
			}
			v->n = n == 4 ? 4 : 0;
			break;
		case STEP_DIGITS:
			for (uint32 i = 0; i < v->n; i++)
			{
				CHECK_NOW_AND_THEN(i);
				if (is_digit(v->c[i]))
					v->c[n++] = v->c[i];
			}
			v->n = n;
			break;
		case STEP_LOCAL_PART:
			while (n < v->n && v->c[n] != '@')
			{
				CHECK_NOW_AND_THEN(n);
				n++;
			}
			v->n = n;
			break;
		case STEP_PHONETIC_PT:
		case STEP_PHONETIC_ES:
			code = work_room(&site->work, 0, (Size) v->n * SOUND_MAX + 1);
			len = sound_of_text(step->kind == STEP_PHONETIC_PT ? SOUND_PORTUGUESE : SOUND_SPANISH,
								v->c, v->n, code);
			v->c = palloc_extended(Max(len, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
			for (v->n = 0; v->n < len; v->n++)
				v->c[v->n] = (uint8) code[v->n];
			break;
		case STEP_WORDS:
			break;
	}
}

static int
compare_values(const void *x, const void *y)
{
	const KeyValue *a = x;
	const KeyValue *b = y;

	for (uint32 i = 0; i < a->n && i < b->n; i++)
		if (a->c[i] != b->c[i])
			return a->c[i] < b->c[i] ? -1 : 1;
	return (a->n > b->n) - (a->n < b->n);
}

/* The different values of an expression that are not empty. */
static KeyValues
find_values(KeySite *site, const Expression *e, Jsonb *fields)
{
	KeyValues found = {NULL, 0};
	Letters *letters = &site->work.a;
	Size len;
	char *text = field_text(fields, e, &len);
	const char *p = text;
	uint32 *c;
	int n = 0;
	int room = 1;

	if (text == NULL)
		return found;
	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII)
	{
		p = pg_server_to_any(text, len, PG_UTF8);
		if (p != text)
			len = strlen(p);
	}
	if (!e->words)
	{
		/* as btrim: plain blanks only */
		while (len > 0 && *p == ' ')
		{
			p++;
			len--;
		}
		while (len > 0 && p[len - 1] == ' ')
			len--;
	}
	letters_read(&site->work, letters, p, len, LETTERS_FOLDED);
	c = palloc_extended(Max(letters->n, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	memcpy(c, letters->c, letters->n * sizeof(uint32));
	len = letters->n;
	found.values = palloc(room * sizeof(KeyValue));
	if (!e->words)
		found.values[n++] = (KeyValue) {c, len};
	for (uint32 i = 0, begin; e->words && i < len; i++)
	{
		for (begin = i; i < len && is_word_letter(c[i]); i++)
			CHECK_NOW_AND_THEN(i);
		CHECK_NOW_AND_THEN(i);
		if (i - begin < 2)
			continue;
		if (n == room)
		{
			room *= 2;
			found.values = repalloc_huge(found.values, room * sizeof(KeyValue));
		}
		found.values[n++] = (KeyValue) {c + begin, i - begin};
	}
	for (int i = 0; i < n; i++)
	{
		for (int k = e->nsteps - 1; k >= 0; k--)
			take_step(site, &found.values[i], &e->steps[k]);
		if (found.values[i].n > 0)
			found.values[found.n++] = found.values[i];
	}
	if (found.n > 1)
	{
		qsort(found.values, found.n, sizeof(KeyValue), compare_values);
		n = 1;
		for (int i = 1; i < found.n; i++)
			if (compare_values(&found.values[n - 1], &found.values[i]) != 0)
				found.values[n++] = found.values[i];
		found.n = n;
	}
	return found;
}

static void
append_value(StringInfo key, const KeyValue *v, bool first)
{
	if (!first)
		appendStringInfoChar(key, KEY_BETWEEN);
	if ((Size) v->n * 4 >= MaxAllocSize / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("key of a block is too long")));
	enlargeStringInfo(key, v->n * 4);
	key->len += letters_write(v->c, v->n, key->data + key->len);
	key->data[key->len] = '\0';
}

/*
 * match_block_keys(fields, blocks) -> block and key, of each block each key once.
 */
PG_FUNCTION_INFO_V1(match_block_keys);
Datum
match_block_keys(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Jsonb *fields = PG_GETARG_JSONB_P(0);
	KeySite *site = fcinfo->flinfo->fn_extra;
	MemoryContext old;

	if (site == NULL)
	{
		MemoryContext cxt = fcinfo->flinfo->fn_mcxt;

		site = MemoryContextAllocZero(cxt, sizeof(KeySite));
		site->cxt = AllocSetContextCreate(cxt, "blocks", ALLOCSET_SMALL_SIZES);
		site->call_cxt = AllocSetContextCreate(cxt, "keys", ALLOCSET_DEFAULT_SIZES);
		work_init(&site->work, cxt);
		fcinfo->flinfo->fn_extra = site;
	}
	take_blocks(site, PG_GETARG_JSONB_P(1));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (!JB_ROOT_IS_OBJECT(fields))
		return (Datum) 0;
	old = MemoryContextSwitchTo(site->call_cxt);
	for (int begin = 0, end; begin < site->n; begin = end)
	{
		KeyValues *values;
		int *at;
		int n;
		int last;
		StringInfoData key;

		for (end = begin; end < site->n &&
						  site->expressions[end].block == site->expressions[begin].block;)
			end++;
		n = end - begin;
		values = palloc(n * sizeof(KeyValues));
		at = palloc0(n * sizeof(int));
		for (last = 0; last < n; last++)
		{
			values[last] = find_values(site, &site->expressions[begin + last], fields);
			if (values[last].n == 0)
				break;
		}
		initStringInfo(&key);
		while (last == n)
		{
			Datum row[2];
			bool nulls[2] = {false, false};

			CHECK_FOR_INTERRUPTS();
			resetStringInfo(&key);
			for (int i = 0; i < n; i++)
				append_value(&key, &values[i].values[at[i]], i == 0);
			row[0] = Int32GetDatum(site->expressions[begin].block);
			row[1] = PointerGetDatum(text_of_utf8(key.data, key.len));
			tuplestore_putvalues(result->setResult, result->setDesc, row, nulls);
			pfree(DatumGetPointer(row[1]));
			/* the next choice */
			for (last = n - 1; last >= 0 && ++at[last] == values[last].n; last--)
				at[last] = 0;
			last = last < 0 ? -1 : n;
		}
	}
	work_end(&site->work);
	MemoryContextSwitchTo(old);
	MemoryContextReset(site->call_cxt);
	return (Datum) 0;
}
