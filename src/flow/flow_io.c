/*
 * flow_io.c
 *		Text and binary forms of flow.
 *
 * The text is JSON: options as they were given; items; paths, each as its kind, its items by
 * number, how many there were, and durations; edges, each as step, node, other, paths,
 * touchpoints, times, and, if times are rounded, their sum, least and greatest. Times are
 * microseconds, or numbers of buckets, each followed by how often it is there.
 *
 * The binary form is int8 version, int8 rounded, int32 length of the options and these, int32
 * number of items, and of each int32 length and text, in the client's encoding, and then
 * paths and edges as in flow.h, but that they need not ascend.
 */
#include "postgres.h"

#include "compat.h"
#include "flow/flow.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* --- writing --- */

static void
print_times(StringInfo out, Flow *m, FlowTimes *t)
{
	uint32 n;
	FlowRun *runs = flow_runs(m, t, &n);

	appendStringInfoChar(out, '[');
	for (uint32 i = 0; i < n; i++)
	{
		appendStringInfoString(out, i > 0 ? "," : "");
		text_print_int64(out, runs[i].time);
		appendStringInfoChar(out, ',');
		text_print_int64(out, runs[i].count);
	}
	appendStringInfoChar(out, ']');
}

static void
print_uint64(StringInfo out, uint64 x)
{
	appendStringInfo(out, UINT64_FORMAT, x);
}

PG_FUNCTION_INFO_V1(flow_out);
Datum
flow_out(PG_FUNCTION_ARGS)
{
	/* the flat form has all in order */
	Flow *m = flow_of_flat(PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0)), FLOW_STORED,
						   CurrentMemoryContext);
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, "{\"options\": ");
	flow_options_print(&out, &m->options);
	appendStringInfo(&out, ", \"rounded\": %s, \"items\": [", m->rounded ? "true" : "false");
	for (uint32 i = 0; i < m->nitems; i++)
	{
		char *text = pnstrdup(m->items[i].text, m->items[i].len);

		appendStringInfoString(&out, i > 0 ? ", " : "");
		escape_json(&out, text);
		pfree(text);
	}
	appendStringInfoString(&out, "], \"paths\": [");
	for (uint32 i = 0; i < m->npaths; i++)
	{
		FlowPath *path = &m->paths[i];
		const uint8 *p = path->key + 1;
		const uint8 *end = path->key + path->len;

		CHECK_FOR_INTERRUPTS();
		appendStringInfo(&out, "%s[%d, [", i > 0 ? ", " : "", path->key[0]);
		while (p < end)
		{
			uint32 item;

			p = flow_step(p, end, &item);
			appendStringInfo(&out, "%u%s", item, p < end ? "," : "");
		}
		appendStringInfoString(&out, "], ");
		text_print_int64(&out, path->paths);
		appendStringInfoString(&out, ", ");
		print_times(&out, m, &path->durations);
		appendStringInfoChar(&out, ']');
	}
	appendStringInfoString(&out, "], \"edges\": [");
	for (uint32 i = 0; i < m->nedges; i++)
	{
		FlowEdge *e = &m->edges[i];

		CHECK_FOR_INTERRUPTS();
		appendStringInfo(&out, "%s[%u, %u, %u, ", i > 0 ? ", " : "", e->step, e->node, e->other);
		text_print_int64(&out, e->paths);
		appendStringInfoString(&out, ", ");
		text_print_int64(&out, e->touchpoints);
		if (e->other >= FLOW_ITEM)
		{
			appendStringInfoString(&out, ", ");
			print_times(&out, m, &e->times);
		}
		if (e->other >= FLOW_ITEM && m->rounded)
		{
			appendStringInfoString(&out, ", ");
			print_uint64(&out, e->sum);
			appendStringInfoString(&out, ", ");
			print_uint64(&out, e->sum_high);
			appendStringInfoString(&out, ", ");
			text_print_int64(&out, e->least);
			appendStringInfoString(&out, ", ");
			text_print_int64(&out, e->greatest);
		}
		appendStringInfoChar(&out, ']');
	}
	appendStringInfoString(&out, "]}");
	PG_RETURN_CSTRING(out.data);
}

/* --- reading the text: it is put together as the binary form is --- */

typedef struct TextReader
{
	JsonbIterator *it;
	JsonbValue v;
	const char *wrong; /* what, or NULL */
	StringInfoData body;
} TextReader;

static JsonbIteratorToken
next(TextReader *r)
{
	return JsonbIteratorNext(&r->it, &r->v, false);
}

static bool
fail(TextReader *r, const char *what)
{
	if (r->wrong == NULL)
		r->wrong = what;
	return false;
}

static bool
begin_array(TextReader *r)
{
	return next(r) == WJB_BEGIN_ARRAY || fail(r, "An array is missing.");
}

/* The number that was read is a whole one that is not negative. */
static bool
take_number(TextReader *r, uint64 *number)
{
	char *digits;
	char *end;

	if (r->v.type != jbvNumeric)
		return fail(r, "A number is missing.");
	digits = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(r->v.val.numeric)));
	errno = 0;
	*number = strtoull(digits, &end, 10);
	if (errno != 0 || *end != '\0' || digits[0] < '0' || digits[0] > '9')
		return fail(r, "A number is not whole, negative or too large.");
	pfree(digits);
	return true;
}

static bool
read_number(TextReader *r, uint64 *number)
{
	return (next(r) == WJB_ELEM || fail(r, "A number is missing.")) && take_number(r, number);
}

static void
put_number(StringInfo out, uint64 number)
{
	uint8 bytes[LEB_MAX_BYTES];

	appendBinaryStringInfo(out, (char *) bytes, leb_write(bytes, number) - bytes);
}

/* Times as the flat form has them. */
static bool
read_times(TextReader *r)
{
	StringInfoData times;
	JsonbIteratorToken token;
	uint64 before = 0;
	uint64 n = 0;

	if (!begin_array(r))
		return false;
	initStringInfo(&times);
	while ((token = next(r)) == WJB_ELEM)
	{
		uint64 time;
		uint64 count;

		CHECK_FOR_INTERRUPTS();
		if (!take_number(r, &time) || !read_number(r, &count))
			return false;
		if (time > PG_INT64_MAX || time < before || count == 0)
			return fail(r, "Times do not ascend, or are out of range.");
		put_number(&times, (time - before) << 1 | (count > 1));
		if (count > 1)
			put_number(&times, count);
		before = time;
		n++;
	}
	if (token != WJB_END_ARRAY)
		return fail(r, "Times are numbers.");
	put_number(&r->body, n);
	appendBinaryStringInfo(&r->body, times.data, times.len);
	pfree(times.data);
	return true;
}

static bool
end_array(TextReader *r)
{
	return next(r) == WJB_END_ARRAY || fail(r, "An array is too long.");
}

static bool
read_path(TextReader *r)
{
	StringInfoData key;
	JsonbIteratorToken token;
	uint64 number;

	if (!read_number(r, &number))
		return false;
	if (number > (FLOW_REACHED | FLOW_CUT))
		return fail(r, "A path is of no kind.");
	initStringInfo(&key);
	appendStringInfoChar(&key, (char) number);
	if (!begin_array(r))
		return false;
	while ((token = next(r)) == WJB_ELEM)
	{
		if (!take_number(r, &number))
			return false;
		put_number(&key, number);
	}
	if (token != WJB_END_ARRAY)
		return fail(r, "Items of a path are numbers.");
	put_number(&r->body, 0);
	put_number(&r->body, key.len);
	appendBinaryStringInfo(&r->body, key.data, key.len);
	pfree(key.data);
	if (!read_number(r, &number))
		return false;
	put_number(&r->body, number);
	return read_times(r) && end_array(r);
}

static bool
read_edge(TextReader *r, bool rounded, uint64 *step)
{
	uint64 numbers[5];

	for (int i = 0; i < 5; i++)
		if (!read_number(r, &numbers[i]))
			return false;
	if (numbers[0] < *step || numbers[4] < numbers[3])
		return fail(r, "Steps do not ascend, or an edge has fewer touchpoints than paths.");
	put_number(&r->body, numbers[0] - *step);
	*step = numbers[0];
	put_number(&r->body, numbers[1]);
	put_number(&r->body, numbers[2]);
	put_number(&r->body, numbers[3]);
	put_number(&r->body, numbers[4] - numbers[3]);
	if (numbers[2] < FLOW_ITEM)
		return end_array(r);
	if (!read_times(r))
		return false;
	for (int i = 0; rounded && i < 4; i++)
	{
		if (!read_number(r, &numbers[0]))
			return false;
		put_number(&r->body, numbers[0]);
	}
	return end_array(r);
}

/* An array of arrays, as the number of them and these. */
static bool
read_list(TextReader *r, Jsonb *json, const char *key, bool edges, bool rounded)
{
	JsonbValue *found = getKeyJsonValueFromContainer(&json->root, key, strlen(key), NULL);
	JsonbIteratorToken token;
	uint64 step = 0;

	if (found == NULL || found->type != jbvBinary)
		return fail(r, edges ? "\"edges\" must be an array." : "\"paths\" must be an array.");
	r->it = JsonbIteratorInit(found->val.binary.data);
	if (!begin_array(r))
		return false;
	put_number(&r->body, r->v.val.array.nElems);
	while ((token = next(r)) == WJB_BEGIN_ARRAY)
	{
		CHECK_FOR_INTERRUPTS();
		if (!(edges ? read_edge(r, rounded, &step) : read_path(r)))
			return false;
	}
	return token == WJB_END_ARRAY || fail(r, "Paths and edges are arrays.");
}

/* What follows a version and whether times are rounded, in the form that flow_of_flat takes. */
static struct varlena *
flat_of_json(TextReader *r, Jsonb *json)
{
	JsonbValue *options;
	JsonbValue *rounded;
	JsonbValue *items;
	JsonbIteratorToken token;
	FlowOptions *parsed;
	bytea *canonical;
	char *printed;

	if (!JB_ROOT_IS_OBJECT(json) || JB_ROOT_COUNT(json) != 5)
		return fail(r, "It is no object of options, rounded, items, paths and edges."), NULL;
	options = getKeyJsonValueFromContainer(&json->root, "options", 7, NULL);
	rounded = getKeyJsonValueFromContainer(&json->root, "rounded", 7, NULL);
	items = getKeyJsonValueFromContainer(&json->root, "items", 5, NULL);
	if (options == NULL || options->type != jbvBinary || rounded == NULL ||
		rounded->type != jbvBool || items == NULL || items->type != jbvBinary ||
		!JsonContainerIsObject(options->val.binary.data))
		return fail(r, "It is no object of options, rounded, items, paths and edges."), NULL;
	printed = JsonbToCString(NULL, options->val.binary.data, 0);
	parsed = flow_options_of_json(printed, strlen(printed));
	if (parsed == NULL)
		return fail(r, "Its options are none."), NULL;
	canonical = flow_options_bytes(parsed);
	initStringInfo(&r->body);
	appendStringInfoSpaces(&r->body, VARHDRSZ);
	appendStringInfoChar(&r->body, FLOW_VERSION);
	appendStringInfoChar(&r->body, rounded->val.boolean);
	put_number(&r->body, VARSIZE_ANY_EXHDR(canonical));
	appendBinaryStringInfo(&r->body, VARDATA_ANY(canonical), VARSIZE_ANY_EXHDR(canonical));
	r->it = JsonbIteratorInit(items->val.binary.data);
	if (!begin_array(r))
		return NULL;
	put_number(&r->body, r->v.val.array.nElems);
	while ((token = next(r)) == WJB_ELEM)
	{
		if (r->v.type != jbvString)
			return fail(r, "Items are texts."), NULL;
		put_number(&r->body, r->v.val.string.len);
		appendBinaryStringInfo(&r->body, r->v.val.string.val, r->v.val.string.len);
	}
	if (token != WJB_END_ARRAY)
		return fail(r, "Items are texts."), NULL;
	if (!read_list(r, json, "paths", false, rounded->val.boolean) ||
		!read_list(r, json, "edges", true, rounded->val.boolean))
		return NULL;
	SET_VARSIZE(r->body.data, r->body.len);
	return (struct varlena *) r->body.data;
}

/* In order, and true to itself. */
static struct varlena *
canonical_flat(struct varlena *flat, FlowSource source)
{
	Flow *m = flow_of_flat(flat, source, CurrentMemoryContext);
	const char *wrong = flow_wrong(m);

	if (wrong)
		flow_corrupt(source, wrong);
	return flow_flat(m);
}

PG_FUNCTION_INFO_V1(flow_in);
Datum
flow_in(PG_FUNCTION_ARGS)
{
	char *given = PG_GETARG_CSTRING(0);
	TextReader r = {0};
	struct varlena *flat;
	Datum json;

#if PG_VERSION_NUM >= 160000
	if (!DirectInputFunctionCallSafe(jsonb_in, given, InvalidOid, -1, fcinfo->context, &json))
		PG_RETURN_NULL();
#else
	json = DirectFunctionCall1(jsonb_in, CStringGetDatum(given));
#endif
	flat = flat_of_json(&r, DatumGetJsonbP(json));
	if (flat == NULL)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type flow"), errdetail_internal("%s", r.wrong)));
	PG_RETURN_POINTER(canonical_flat(flat, FLOW_TYPED));
}

/* --- the binary form --- */

static uint64
take_leb(const uint8 **p, const uint8 *end)
{
	uint64 number;

	*p = leb_read(*p, end, &number);
	if (*p == NULL)
		flow_corrupt(FLOW_STORED, "A number is cut off or too long.");
	return number;
}

static void
send_text(StringInfo out, const char *text, size_t len)
{
	char *converted = pg_server_to_client(text, len);

	pq_sendint32(out, converted == text ? len : strlen(converted));
	pq_sendbytes(out, converted, converted == text ? len : strlen(converted));
	if (converted != text)
		pfree(converted);
}

PG_FUNCTION_INFO_V1(flow_send);
Datum
flow_send(PG_FUNCTION_ARGS)
{
	struct varlena *flat = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	const uint8 *p = (const uint8 *) VARDATA_ANY(flat);
	const uint8 *end = p + VARSIZE_ANY_EXHDR(flat);
	StringInfoData options;
	StringInfoData out;
	uint64 n;
	/* it is checked whole */
	Flow *m = flow_of_flat(flat, FLOW_STORED, CurrentMemoryContext);

	initStringInfo(&options);
	flow_options_print(&options, &m->options);
	pq_begintypsend(&out);
	pq_sendint8(&out, *p++);
	pq_sendint8(&out, *p++);
	send_text(&out, options.data, options.len);
	n = take_leb(&p, end);
	p += n;
	n = take_leb(&p, end);
	pq_sendint32(&out, n);
	for (; n > 0; n--)
	{
		uint64 len = take_leb(&p, end);

		send_text(&out, (const char *) p, len);
		p += len;
	}
	pq_sendbytes(&out, (const char *) p, end - p);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

static char *
receive_text(StringInfo in, int *len)
{
	*len = pq_getmsgint(in, 4);
	if (*len < 0)
		flow_corrupt(FLOW_RECEIVED, "A text is cut off.");
	return pq_getmsgtext(in, *len, len);
}

PG_FUNCTION_INFO_V1(flow_recv);
Datum
flow_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	int version = pq_getmsgbyte(in);
	int rounded = pq_getmsgbyte(in);
	uint32 items;
	StringInfoData out;
	FlowOptions *options;
	bytea *bytes;
	char *received;
	int len;
	int rest;

	if (version != FLOW_VERSION)
		flow_corrupt(FLOW_RECEIVED, "Its version is not known.");
	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	appendStringInfoChar(&out, version);
	appendStringInfoChar(&out, rounded);
	received = receive_text(in, &len);
	options = flow_options_of_json(received, len);
	if (options == NULL)
		flow_corrupt(FLOW_RECEIVED, "Its options are none.");
	bytes = flow_options_bytes(options);
	put_number(&out, VARSIZE(bytes) - VARHDRSZ);
	appendBinaryStringInfo(&out, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
	items = pq_getmsgint(in, 4);
	put_number(&out, items);
	for (uint32 i = 0; i < items; i++)
	{
		CHECK_FOR_INTERRUPTS();
		received = receive_text(in, &len);
		put_number(&out, len);
		appendBinaryStringInfo(&out, received, len);
		pfree(received);
	}
	rest = in->len - in->cursor;
	appendBinaryStringInfo(&out, pq_getmsgbytes(in, rest), rest);
	SET_VARSIZE(out.data, out.len);
	PG_RETURN_POINTER(canonical_flat((struct varlena *) out.data, FLOW_RECEIVED));
}
