/*
 * attribution_io.c
 *		Text and binary forms of attribution.
 *
 * The text is JSON, so that what has been a jsonb is read as well: all keys must be there, in any
 * order, and no others. Items, of which the rest speaks by their numbers from 0, are in "items".
 * Credits and values are decimals of 18 digits behind the point at most, durations are seconds. Of
 * "transitions", "to" is 0 for a conversion, 1 for the end of a path without one, 2 and more for
 * item 0 and more. A path is an item behind another path, of which the empty one is number 0.
 *
 * The binary form has the same fields in the order in which the text prints them, behind a byte
 * for the version, big-endian: numbers and durations, int64; decimals, int64 times 2^64 plus an
 * uint64, in units of 10^-18; times, int64, as timestamptz; texts, int32 and as many bytes in the
 * client's encoding; words and flags, a byte; lists, int32, how many elements. Lists need not be in
 * order here, as it may be another one in the client's encoding.
 */
#include "postgres.h"

#include "attribution/attribution_state.h"
#include "attribution/attribution_walk.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define JSON_DEPTH 8

/* --- writing text --- */

typedef struct JsonOut
{
	AttrIO io;
	StringInfoData out;
	char ends[JSON_DEPTH];
	int depth;
} JsonOut;

static void
out_key(JsonOut *json, const char *key)
{
	char last = json->out.len > 0 ? json->out.data[json->out.len - 1] : '[';

	if (last != '[' && last != '{')
		appendStringInfoString(&json->out, ", ");
	if (key)
		appendStringInfo(&json->out, "\"%s\": ", key);
}

static void
out_open(JsonOut *json, const char *key, char begin, char end)
{
	out_key(json, key);
	appendStringInfoChar(&json->out, begin);
	json->ends[json->depth++] = end;
}

static void
out_number(AttrIO *io, const char *key, uint64 *x)
{
	JsonOut *json = (JsonOut *) io;

	out_key(json, key);
	appendStringInfo(&json->out, UINT64_FORMAT, *x);
}

static void
out_fraction(StringInfo out, uint64 fraction, int digits)
{
	if (fraction == 0)
		return;
	for (; fraction % 10 == 0; fraction /= 10)
		digits--;
	appendStringInfo(out, ".%0*llu", digits, (unsigned long long) fraction);
}

static void
out_fixed(AttrIO *io, const char *key, int128 *x)
{
	JsonOut *json = (JsonOut *) io;
	uint128 rest = *x < 0 ? -(uint128) *x : (uint128) *x;

	out_key(json, key);
	if (*x < 0)
		appendStringInfoChar(&json->out, '-');
	appendStringInfo(&json->out, UINT64_FORMAT, (uint64) (rest / ATTR_ONE));
	out_fraction(&json->out, (uint64) (rest % ATTR_ONE), ATTR_DIGITS);
}

static void
out_usecs(AttrIO *io, const char *key, uint64 *x)
{
	JsonOut *json = (JsonOut *) io;

	out_key(json, key);
	appendStringInfo(&json->out, UINT64_FORMAT, *x / USECS_PER_SEC);
	out_fraction(&json->out, *x % USECS_PER_SEC, 6);
}

static void
out_time(AttrIO *io, const char *key, int64 *x)
{
	JsonOut *json = (JsonOut *) io;

	out_key(json, key);
	if (TIMESTAMP_IS_NOEND(*x))
		appendStringInfoString(&json->out, "null");
	else
	{
		appendStringInfoChar(&json->out, '"');
		isotime_print(&json->out, *x);
		appendStringInfoChar(&json->out, '"');
	}
}

static void
out_text(AttrIO *io, const char *key, AttrText *x)
{
	JsonOut *json = (JsonOut *) io;
	char *text = pnstrdup(x->text, x->len);

	out_key(json, key);
	escape_json(&json->out, text);
	pfree(text);
}

static void
out_word(AttrIO *io, const char *key, const char *const *words, int n, int *x)
{
	JsonOut *json = (JsonOut *) io;

	out_key(json, key);
	escape_json(&json->out, words[*x]);
}

static void
out_flag(AttrIO *io, const char *key, bool *x)
{
	JsonOut *json = (JsonOut *) io;

	out_key(json, key);
	appendStringInfoString(&json->out, *x ? "true" : "false");
}

static void
out_list(AttrIO *io, const char *key, uint32 *n)
{
	out_open((JsonOut *) io, key, '[', ']');
}

static void
out_object(AttrIO *io, const char *key)
{
	out_open((JsonOut *) io, key, '{', '}');
}

static void
out_end(AttrIO *io)
{
	JsonOut *json = (JsonOut *) io;

	appendStringInfoChar(&json->out, json->ends[--json->depth]);
}

static const AttrIO attribution_writer = {
	.number = out_number,
	.fixed = out_fixed,
	.usecs = out_usecs,
	.time = out_time,
	.text = out_text,
	.word = out_word,
	.flag = out_flag,
	.list = out_list,
	.object = out_object,
	.end = out_end,
};

PG_FUNCTION_INFO_V1(attribution_out);
Datum
attribution_out(PG_FUNCTION_ARGS)
{
	JsonOut json = {.io = attribution_writer};
	AttrFacts f;

	attr_facts_argument(&f, PG_GETARG_DATUM(0));
	initStringInfo(&json.out);
	attr_io(&json.io, &f);
	PG_RETURN_CSTRING(json.out.data);
}

/* --- reading text --- */

/* A container being read. */
typedef struct JsonLevel
{
	JsonbContainer *container; /* an array or an object */
	uint32 read;               /* elements, or keys */
} JsonLevel;

typedef struct JsonIn
{
	AttrIO io;
	JsonbContainer *root;
	JsonLevel levels[JSON_DEPTH];
	int depth;
} JsonIn;

static void
json_wrong(const char *key, const char *what)
{
	attr_corrupt(key ? psprintf("\"%s\" must be %s.", key, what)
					 : psprintf("An element of a list must be %s.", what));
}

static JsonbValue *
in_value(JsonIn *json, const char *key)
{
	JsonLevel *level = &json->levels[json->depth - 1];
	JsonbValue *v;

	if (key)
	{
		v = getKeyJsonValueFromContainer(level->container, key, strlen(key), NULL);
		if (v == NULL)
			attr_corrupt(psprintf("There is no \"%s\".", key));
	}
	else
	{
		v = getIthJsonbValueFromContainer(level->container, level->read);
		if (v == NULL)
			attr_corrupt("A list is too short.");
	}
	level->read++;
	return v;
}

/* A number that is a multiple of 10^-digits, in that unit. */
static int128
in_decimal(JsonIn *json, const char *key, int digits, int128 most)
{
	JsonbValue *v = in_value(json, key);
	const char *p;
	int128 x = 0;
	int behind = -1; /* digits behind the point */
	bool negative;

	if (v->type != jbvNumeric)
		json_wrong(key, "a number");
	p = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric)));
	negative = *p == '-';
	for (p += negative; *p; p++)
	{
		if (*p == '.')
		{
			behind = 0;
			continue;
		}
		if (*p < '0' || *p > '9')
			json_wrong(key, "finite");
		if (behind == digits)
		{
			if (*p != '0')
				json_wrong(key, psprintf("a number of %d digits behind the point at most", digits));
			continue;
		}
		behind += behind >= 0;
		if (x > most / 10)
			attr_corrupt("A number is too large.");
		x = x * 10 + (*p - '0');
	}
	for (behind = Max(behind, 0); behind < digits; behind++)
	{
		if (x > most / 10)
			attr_corrupt("A number is too large.");
		x *= 10;
	}
	if (x > most)
		attr_corrupt("A number is too large.");
	return negative ? -x : x;
}

static void
in_number(AttrIO *io, const char *key, uint64 *x)
{
	int128 number = in_decimal((JsonIn *) io, key, 0, PG_INT64_MAX);

	if (number < 0)
		attr_corrupt("A number is negative.");
	*x = number;
}

static void
in_fixed(AttrIO *io, const char *key, int128 *x)
{
	*x = in_decimal((JsonIn *) io, key, ATTR_DIGITS, ATTR_SUM_MAX);
}

static void
in_usecs(AttrIO *io, const char *key, uint64 *x)
{
	int128 number = in_decimal((JsonIn *) io, key, 6, PG_UINT64_MAX);

	if (number < 0)
		attr_corrupt("A number is negative.");
	*x = number;
}

static void
in_time(AttrIO *io, const char *key, int64 *x)
{
	JsonbValue *v = in_value((JsonIn *) io, key);
	TextScan s;

	if (v->type == jbvNull)
	{
		*x = DT_NOEND;
		return;
	}
	if (v->type != jbvString)
		json_wrong(key, "a time, or null");
	text_scan_init(&s, v->val.string.val, v->val.string.len);
	if (!isotime_scan(&s, x) || s.p != s.end)
		json_wrong(key, "a time as in \"2026-03-01T10:00:00Z\"");
}

static void
in_text(AttrIO *io, const char *key, AttrText *x)
{
	JsonbValue *v = in_value((JsonIn *) io, key);

	if (v->type != jbvString)
		json_wrong(key, "a string");
	*x = (AttrText) {v->val.string.val, v->val.string.len};
}

static void
in_word(AttrIO *io, const char *key, const char *const *words, int n, int *x)
{
	AttrText text;

	in_text(io, key, &text);
	for (int i = 0; i < n; i++)
		if (strlen(words[i]) == text.len && memcmp(words[i], text.text, text.len) == 0)
		{
			*x = i;
			return;
		}
	attr_corrupt(psprintf("\"%s\" is not known.", pnstrdup(text.text, text.len)));
}

static void
in_flag(AttrIO *io, const char *key, bool *x)
{
	JsonbValue *v = in_value((JsonIn *) io, key);

	if (v->type != jbvBool)
		json_wrong(key, "true or false");
	*x = v->val.boolean;
}

static void
in_open(JsonIn *json, const char *key, bool list)
{
	JsonbContainer *container = json->root;

	if (json->depth > 0)
	{
		JsonbValue *v = in_value(json, key);

		if (v->type != jbvBinary)
			json_wrong(key, list ? "a list" : "an object");
		container = v->val.binary.data;
	}
	if (list ? !JsonContainerIsArray(container) : !JsonContainerIsObject(container))
	{
		if (json->depth == 0)
			attr_corrupt("It must be an object.");
		json_wrong(key, list ? "a list" : "an object");
	}
	json->levels[json->depth++] = (JsonLevel) {container, 0};
}

static void
in_list(AttrIO *io, const char *key, uint32 *n)
{
	JsonIn *json = (JsonIn *) io;

	in_open(json, key, true);
	*n = JsonContainerSize(json->levels[json->depth - 1].container);
}

static void
in_object(AttrIO *io, const char *key)
{
	in_open((JsonIn *) io, key, false);
}

static void
in_end(AttrIO *io)
{
	JsonIn *json = (JsonIn *) io;
	JsonLevel *level = &json->levels[--json->depth];

	if (level->read != JsonContainerSize(level->container))
		attr_corrupt("There is a key that is not known.");
}

static const AttrIO attribution_reader = {
	.reading = true,
	.number = in_number,
	.fixed = in_fixed,
	.usecs = in_usecs,
	.time = in_time,
	.text = in_text,
	.word = in_word,
	.flag = in_flag,
	.list = in_list,
	.object = in_object,
	.end = in_end,
};

/* --- what is read from outside --- */

static int
text_order(const void *a, const void *b)
{
	return attr_text_cmp(a, b);
}

/* A pattern, made canonical. */
static void
check_pattern(AttrText *text)
{
	StringInfoData out;
	Pattern *pattern;
	Program *program;
	TextScan s;

	text_scan_init(&s, text->text, text->len);
	pattern = pattern_parse(&s);
	program = pattern ? program_compile(pattern, &s) : NULL;
	if (program == NULL || !program_is_one_step(program))
		attr_corrupt("A pattern is wrong, or has more than one step.");
	initStringInfo(&out);
	pattern_print(&out, pattern);
	*text = (AttrText) {out.data, out.len};
}

/* The value of facts that were read and may be in any order. */
static struct varlena *
canonical(AttrFacts *f)
{
	AttrState *s;
	AttrFacts again;
	struct varlena *flat;

	check_pattern(&f->params.conversion);
	check_pattern(&f->params.touches);
	qsort(f->params.direct, f->params.ndirect, sizeof(AttrText), text_order);
	for (uint32 i = 1; i < f->params.ndirect; i++)
		if (attr_text_cmp(&f->params.direct[i - 1], &f->params.direct[i]) == 0)
			attr_corrupt("A direct item is there twice.");
	attr_facts_check(f);
	s = attr_state_create(&f->params, CurrentMemoryContext);
	attr_state_merge(s, f);
	flat = attr_state_flat(s);
	attr_facts_read(&again, (const uint8 *) VARDATA(flat), VARSIZE(flat) - VARHDRSZ);
	if (again.nitems != f->nitems || again.nplaces != f->nplaces || again.ngrams != f->ngrams ||
		again.nnodes != f->nnodes)
		attr_corrupt("Something is there twice.");
	return flat;
}

PG_FUNCTION_INFO_V1(attribution_in);
Datum
attribution_in(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = CurrentMemoryContext;
	JsonIn json = {.io = attribution_reader};
	struct varlena *value = NULL;
	ErrorData *error = NULL;
	AttrFacts f = {0};
	Datum jsonb;

#if PG_VERSION_NUM >= 160000
	if (!DirectInputFunctionCallSafe(jsonb_in, PG_GETARG_CSTRING(0), InvalidOid, -1,
									 fcinfo->context, &jsonb))
		PG_RETURN_NULL();
#else
	jsonb = DirectFunctionCall1(jsonb_in, CStringGetDatum(PG_GETARG_CSTRING(0)));
#endif
	json.root = &DatumGetJsonbP(jsonb)->root;
	/* nothing but memory is used in between */
	PG_TRY();
	{
		attr_io(&json.io, &f);
		value = canonical(&f);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_DATA_CORRUPTED)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	if (error)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "attribution"),
				 errdetail_internal("%s", error->detail)));
	PG_RETURN_POINTER(value);
}

/* --- binary --- */

typedef struct Wire
{
	AttrIO io;
	StringInfo buf;
} Wire;

static void
wire_number(AttrIO *io, const char *key, uint64 *x)
{
	StringInfo buf = ((Wire *) io)->buf;

	if (io->reading)
		*x = pq_getmsgint64(buf);
	else
		pq_sendint64(buf, *x);
}

static void
wire_fixed(AttrIO *io, const char *key, int128 *x)
{
	uint64 high = io->reading ? 0 : (uint64) (*x >> 64);
	uint64 low = io->reading ? 0 : (uint64) *x;

	wire_number(io, key, &high);
	wire_number(io, key, &low);
	if (!io->reading)
		return;
	*x = (int128) ((uint128) high << 64 | low);
	if (*x > ATTR_SUM_MAX || *x < -ATTR_SUM_MAX)
		attr_corrupt("A sum is too large.");
}

static void
wire_time(AttrIO *io, const char *key, int64 *x)
{
	uint64 bits = io->reading ? 0 : (uint64) *x;

	wire_number(io, key, &bits);
	*x = (int64) bits;
	if (io->reading && !TIMESTAMP_NOT_FINITE(*x) && !IS_VALID_TIMESTAMP(*x))
		attr_corrupt("A time is out of range.");
}

static void
wire_text(AttrIO *io, const char *key, AttrText *x)
{
	StringInfo buf = ((Wire *) io)->buf;

	if (io->reading)
	{
		int32 len = pq_getmsgint(buf, 4);
		int n;
		char *text;

		if (len < 0)
			attr_corrupt("A text is shorter than nothing.");
		text = pq_getmsgtext(buf, len, &n);
		*x = (AttrText) {text, n};
	}
	else
	{
		char *text = pnstrdup(x->text, x->len);
		char *converted = pg_server_to_client(text, x->len);
		int len = strlen(converted);

		pq_sendint32(buf, len);
		pq_sendbytes(buf, converted, len);
		if (converted != text)
			pfree(converted);
		pfree(text);
	}
}

static void
wire_word(AttrIO *io, const char *key, const char *const *words, int n, int *x)
{
	StringInfo buf = ((Wire *) io)->buf;

	if (io->reading)
	{
		*x = pq_getmsgbyte(buf);
		if (*x >= n)
			attr_corrupt("A word is not known.");
	}
	else
		pq_sendbyte(buf, *x);
}

static const char *const flag_words[] = {"false", "true"};

static void
wire_flag(AttrIO *io, const char *key, bool *x)
{
	int flag = *x;

	wire_word(io, key, flag_words, lengthof(flag_words), &flag);
	*x = flag != 0;
}

static void
wire_list(AttrIO *io, const char *key, uint32 *n)
{
	StringInfo buf = ((Wire *) io)->buf;

	if (io->reading)
	{
		*n = pq_getmsgint(buf, 4);
		if (*n > buf->len - buf->cursor)
			attr_corrupt("A list is cut off.");
	}
	else
		pq_sendint32(buf, *n);
}

static void
wire_object(AttrIO *io, const char *key)
{
}

static void
wire_end(AttrIO *io)
{
}

static const AttrIO wire_io = {
	.number = wire_number,
	.fixed = wire_fixed,
	.usecs = wire_number,
	.time = wire_time,
	.text = wire_text,
	.word = wire_word,
	.flag = wire_flag,
	.list = wire_list,
	.object = wire_object,
	.end = wire_end,
};

PG_FUNCTION_INFO_V1(attribution_send);
Datum
attribution_send(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	Wire wire = {.io = wire_io, .buf = &buf};
	AttrFacts f;

	attr_facts_argument(&f, PG_GETARG_DATUM(0));
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, ATTRIBUTION_VERSION);
	attr_io(&wire.io, &f);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

PG_FUNCTION_INFO_V1(attribution_recv);
Datum
attribution_recv(PG_FUNCTION_ARGS)
{
	Wire wire = {.io = wire_io, .buf = (StringInfo) PG_GETARG_POINTER(0)};
	AttrFacts f = {0};

	wire.io.reading = true;
	if (pq_getmsgbyte(wire.buf) != ATTRIBUTION_VERSION)
		attr_corrupt("Its version is not known.");
	attr_io(&wire.io, &f);
	PG_RETURN_POINTER(canonical(&f));
}
