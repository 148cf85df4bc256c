/*
 * ingest.c
 *		SQL face: payloads of other systems to rows.
 *
 * The rules are read once a call, or not at all if they are those of the call before,
 * as they are where payloads come one by one. Whatever a payload needs, json-c's memory too, lives
 * in a memory context that is reset after it.
 */
#include "postgres.h"

#include "compat.h"
#include "catalog/namespace.h"
#include "funcapi.h"
#include "ingest/payload.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* Columns of the result; from channel on, they are in the order of EventField. */
enum
{
	COLUMN_PAYLOAD,
	COLUMN_ITEM,
	COLUMN_KIND,
	COLUMN_REASON,
	COLUMN_SQLSTATE,
	COLUMN_IDENTIFIERS,
	COLUMN_TIME,
	COLUMN_FIELDS,
	COLUMN_ATTRIBUTES = COLUMN_FIELDS + EVENT_FIELDS,
	COLUMN_TRAITS,
	COLUMN_CONSENTS,
	COLUMNS,
};

typedef struct Output
{
	ReturnSetInfo *rsinfo;
	Oid identifier_type;
	int payload; /* number of the payload, from 1 */
} Output;

/* A text in another encoding, NULL if that has not all its characters. It may be the text itself. */
static const char *
convert(const char *text, size_t *len, int from, int to)
{
	Size size = *len * MAX_CONVERSION_GROWTH + 1;
	char *result;

	/* without an encoding, texts are what they are; one that is too long is refused as it is */
	if (from == to || from == PG_SQL_ASCII || to == PG_SQL_ASCII || *len > PAYLOAD_WORK_MAX)
		return text;
	result = palloc(size);
	if (pg_do_encoding_conversion_buf(FindDefaultConversionProc(from, to), from, to,
									  (unsigned char *) unconstify(char *, text), *len,
									  (unsigned char *) result, size, true) != *len)
		return NULL;
	*len = strlen(result);
	return result;
}

static const char *
to_server(const char *text)
{
	size_t len = strlen(text);

	return convert(text, &len, PG_UTF8, GetDatabaseEncoding());
}

/* Puts a text into a row; false if the encoding can't hold it. */
static bool
put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	if (text == NULL)
		return true;
	text = to_server(text);
	if (text == NULL)
		return false;
	values[column] = CStringGetTextDatum(text);
	return true;
}

static bool
put_json(Datum *values, bool *nulls, int column, const char *json)
{
	nulls[column] = json == NULL;
	if (json == NULL)
		return true;
	json = to_server(json);
	if (json == NULL)
		return false;
	values[column] = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
	return true;
}

static bool
put_identifiers(Datum *values, bool *nulls, const PayloadEvent *event, Oid type)
{
	Datum *elements = palloc(event->nidentifiers * sizeof(Datum));

	for (int i = 0; i < event->nidentifiers; i++)
	{
		Identifier id = event->identifiers[i];

		id.namespace = to_server(id.namespace);
		id.value = to_server(id.value);
		if (id.namespace == NULL || id.value == NULL)
			return false;
		id.namespace_len = strlen(id.namespace);
		id.value_len = strlen(id.value);
		elements[i] = PointerGetDatum(identifier_pack(&id));
	}
	nulls[COLUMN_IDENTIFIERS] = false;
	values[COLUMN_IDENTIFIERS] =
		PointerGetDatum(construct_array(elements, event->nidentifiers, type, -1, false, 'i'));
	return true;
}

static bool
put_event(Datum *values, bool *nulls, const PayloadEvent *event, Oid identifier_type)
{
	for (int i = 0; i < EVENT_FIELDS; i++)
	{
		if (i == FIELD_VALUE && event->fields[i] != NULL)
		{
			nulls[COLUMN_FIELDS + i] = false;
			values[COLUMN_FIELDS + i] =
				DirectFunctionCall3(numeric_in, CStringGetDatum(event->fields[i]),
									ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		}
		else if (!put_text(values, nulls, COLUMN_FIELDS + i, event->fields[i]))
			return false;
	}
	nulls[COLUMN_TIME] = !event->has_time;
	values[COLUMN_TIME] = TimestampTzGetDatum(event->time);
	if (!put_json(values, nulls, COLUMN_ATTRIBUTES, event->attributes) ||
		!put_json(values, nulls, COLUMN_TRAITS, event->traits) ||
		!put_json(values, nulls, COLUMN_CONSENTS, event->consents))
		return false;
	return put_identifiers(values, nulls, event, identifier_type);
}

static void
put_row(void *arg, const PayloadEvent *event)
{
	static const char *const kinds[] = {"touchpoint", "evidence", "traits", "rejected"};
	Output *out = arg;
	Datum values[COLUMNS];
	bool nulls[COLUMNS];
	EventKind kind = event->kind;
	const char *reason = event->reason;
	int sqlerrcode = event->sqlerrcode;

	memset(nulls, true, sizeof(nulls));
	if (kind != EVENT_REJECTED && !put_event(values, nulls, event, out->identifier_type))
	{
		memset(nulls, true, sizeof(nulls));
		kind = EVENT_REJECTED;
		reason = "a character that the database's encoding does not have";
		sqlerrcode = ERRCODE_UNTRANSLATABLE_CHARACTER;
	}
	nulls[COLUMN_PAYLOAD] = nulls[COLUMN_KIND] = false;
	values[COLUMN_PAYLOAD] = Int32GetDatum(out->payload);
	values[COLUMN_KIND] = CStringGetTextDatum(kinds[kind]);
	if (!put_text(values, nulls, COLUMN_ITEM, event->item) ||
		!put_text(values, nulls, COLUMN_REASON, reason))
		put_text(values, nulls, COLUMN_REASON,
				 "characters that the database's encoding does not have");
	nulls[COLUMN_ITEM] = false;
	if (kind == EVENT_REJECTED)
		put_text(values, nulls, COLUMN_SQLSTATE, unpack_sql_state(sqlerrcode));
	tuplestore_putvalues(out->rsinfo->setResult, out->rsinfo->setDesc, values, nulls);
}

static bool
to_utf8(text *t, const char **p, size_t *len)
{
	*len = VARSIZE_ANY_EXHDR(t);
	*p = convert(VARDATA_ANY(t), len, GetDatabaseEncoding(), PG_UTF8);
	return *p != NULL;
}

static void
put_rejected(Output *out, const char *reason, int sqlerrcode)
{
	PayloadEvent event = {EVENT_REJECTED, .item = "", .reason = reason, .sqlerrcode = sqlerrcode};

	put_row(out, &event);
}

/* The format that was read last, in a memory context of its own, and its rules. */
static MemoryContext last_cxt = NULL;
static text *last_rules;
static PayloadFormat last_format;

static const PayloadFormat *
read_format(text *rules, JsonParser *parser)
{
	Size size = VARSIZE_ANY(rules);
	MemoryContext cxt;
	MemoryContext old;
	PayloadFormat format;
	JsonNode *tree = NULL;
	TextScan s;
	const char *utf8;
	size_t len;
	text *copy;

	if (last_cxt != NULL && VARSIZE_ANY(last_rules) == size && memcmp(last_rules, rules, size) == 0)
		return &last_format;
	/* until it is whole it goes with the call */
	cxt = AllocSetContextCreate(CurrentMemoryContext, "format of payloads", ALLOCSET_SMALL_SIZES);
	memset(&s, 0, sizeof(s));
	if (to_utf8(rules, &utf8, &len))
		text_scan_init(&s, utf8, len);
	if (utf8 == NULL || !json_parse(parser, &s, &tree))
		s.message = "rules of a format are not JSON";
	else
	{
		old = MemoryContextSwitchTo(cxt);
		if (format_read(&s, tree, &format))
			s.detail = NULL;
		MemoryContextSwitchTo(old);
	}
	if (utf8 == NULL || s.detail != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s", s.message ? s.message : "invalid rules of a format"),
				 s.detail ? errdetail("%s", s.detail) : 0, s.hint ? errhint("%s", s.hint) : 0));
	copy = MemoryContextAlloc(cxt, size);
	memcpy(copy, rules, size);
	if (last_cxt != NULL)
		MemoryContextDelete(last_cxt);
	MemoryContextSetParent(cxt, CacheMemoryContext);
	last_cxt = cxt;
	last_rules = copy;
	last_format = format;
	return &last_format;
}

PG_FUNCTION_INFO_V1(journey_payload_events);
Datum
journey_payload_events(PG_FUNCTION_ARGS)
{
	ArrayType *payloads = PG_GETARG_ARRAYTYPE_P(0);
	Output out = {(ReturnSetInfo *) fcinfo->resultinfo};
	MemoryContext cxt;
	MemoryContext old;
	const PayloadFormat *format;
	JsonParser *parser;
	const char *utf8;
	size_t len;
	ArrayIterator iterator;
	Datum element;
	bool null;

	InitMaterializedSRF(fcinfo, 0);
	out.identifier_type =
		get_element_type(TupleDescAttr(out.rsinfo->setDesc, COLUMN_IDENTIFIERS)->atttypid);
	if (out.rsinfo->setDesc->natts != COLUMNS || !OidIsValid(out.identifier_type))
		elog(ERROR, "result of journey_payload_events has other columns than expected");

	parser = json_parser_create();
	format = read_format(PG_GETARG_TEXT_PP(1), parser);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "payload", ALLOCSET_DEFAULT_SIZES);
	iterator = array_create_iterator(payloads, 0, NULL);
	old = CurrentMemoryContext;
	while (array_iterate(iterator, &element, &null))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(cxt);
		out.payload++;
		if (null)
			put_rejected(&out, "NULL", ERRCODE_NULL_VALUE_NOT_ALLOWED);
		else if (!to_utf8(DatumGetTextPP(element), &utf8, &len))
			put_rejected(&out, "a character that Unicode does not have",
						 ERRCODE_UNTRANSLATABLE_CHARACTER);
		else
			payload_events(format, parser, utf8, len, put_row, &out);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
	}
	MemoryContextDelete(cxt);
	return (Datum) 0;
}
