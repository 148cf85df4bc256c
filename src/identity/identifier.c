/*
 * identifier.c
 *		SQL face of the type identifier.
 *
 * It is stored as a bytea of the namespace, a zero byte and the value. Neither
 * part holds a zero byte, so the order of the bytes is that of (namespace,
 * value), and the server's own functions for bytea compare and sort it.
 *
 * The binary form: int8 version, 1; int32 length and text of the namespace; the
 * rest is the text of the value, both in the client's encoding.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/identifier.h"
#include "journey/journey.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "touchpoint/frozen_hash.h"
#include "utils/builtins.h"

#define WIRE_VERSION 1

struct varlena *
identifier_pack(const Identifier *id)
{
	size_t size = VARHDRSZ + id->namespace_len + 1 + id->value_len;
	bytea *packed = palloc(size);
	char *p = VARDATA(packed);

	SET_VARSIZE(packed, size);
	memcpy(p, id->namespace, id->namespace_len);
	p[id->namespace_len] = '\0';
	memcpy(p + id->namespace_len + 1, id->value, id->value_len);
	return packed;
}

/* The parts of an argument; they may lie in it. */
Identifier
identifier_unpack(Datum d)
{
	text *packed = short_text_argument(d);
	const char *p = VARDATA_ANY(packed);
	size_t len = VARSIZE_ANY_EXHDR(packed);
	const char *zero = memchr(p, '\0', len);
	Identifier id;

	if (unlikely(zero == NULL))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("identifier is corrupt"),
						errdetail("Nothing ends its namespace.")));
	id.namespace = p;
	id.namespace_len = zero - p;
	id.value = zero + 1;
	id.value_len = len - id.namespace_len - 1;
	return id;
}

PG_FUNCTION_INFO_V1(identifier_in);
Datum
identifier_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	Identifier id;
	TextScan s;

	text_scan_init(&s, text, strlen(text));
	if (!identifier_scan(&s, &id))
		text_ereturn(fcinfo->context, &s, "identifier");
	PG_RETURN_BYTEA_P(identifier_pack(&id));
}

PG_FUNCTION_INFO_V1(identifier_out);
Datum
identifier_out(PG_FUNCTION_ARGS)
{
	Identifier id = identifier_unpack(PG_GETARG_DATUM(0));
	char *text = palloc(id.namespace_len + id.value_len + 2);

	memcpy(text, id.namespace, id.namespace_len);
	text[id.namespace_len] = ':';
	memcpy(text + id.namespace_len + 1, id.value, id.value_len);
	text[id.namespace_len + 1 + id.value_len] = '\0';
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(identifier_recv);
Datum
identifier_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int version = pq_getmsgbyte(buf);
	int32 announced;
	int len;
	Identifier id;
	TextScan s;

	if (version != WIRE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of an identifier"),
				 errdetail("Its version is %d, but only %d is known.", version, WIRE_VERSION)));
	announced = pq_getmsgint(buf, 4);
	if (announced < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid binary representation of an identifier"),
						errdetail("The length of its namespace is %d.", announced)));
	id.namespace = pq_getmsgtext(buf, announced, &len);
	id.namespace_len = len;
	id.value = pq_getmsgtext(buf, buf->len - buf->cursor, &len);
	id.value_len = len;
	text_scan_init(&s, id.value, id.value_len);
	if (!identifier_check(&s, &id, ERRCODE_INVALID_BINARY_REPRESENTATION))
		text_ereturn(NULL, &s, "identifier");
	PG_RETURN_BYTEA_P(identifier_pack(&id));
}

PG_FUNCTION_INFO_V1(identifier_send);
Datum
identifier_send(PG_FUNCTION_ARGS)
{
	Identifier id = identifier_unpack(PG_GETARG_DATUM(0));
	char *converted = pg_server_to_client(id.namespace, id.namespace_len);
	size_t len = converted == id.namespace ? id.namespace_len : strlen(converted);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendint8(&out, WIRE_VERSION);
	pq_sendint32(&out, len);
	pq_sendbytes(&out, converted, len);
	pq_sendtext(&out, id.value, id.value_len);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(identifier_make);
Datum
identifier_make(PG_FUNCTION_ARGS)
{
	text *namespace = PG_GETARG_TEXT_PP(0);
	text *value = PG_GETARG_TEXT_PP(1);
	Identifier id = {VARDATA_ANY(namespace), VARDATA_ANY(value), VARSIZE_ANY_EXHDR(namespace),
					 VARSIZE_ANY_EXHDR(value)};
	TextScan s;

	text_scan_init(&s, id.value, id.value_len);
	if (!identifier_check(&s, &id, ERRCODE_INVALID_PARAMETER_VALUE))
		text_ereturn(NULL, &s, "identifier");
	PG_RETURN_BYTEA_P(identifier_pack(&id));
}

PG_FUNCTION_INFO_V1(identifier_namespace);
Datum
identifier_namespace(PG_FUNCTION_ARGS)
{
	Identifier id = identifier_unpack(PG_GETARG_DATUM(0));

	PG_RETURN_TEXT_P(cstring_to_text_with_len(id.namespace, id.namespace_len));
}

PG_FUNCTION_INFO_V1(identifier_value);
Datum
identifier_value(PG_FUNCTION_ARGS)
{
	Identifier id = identifier_unpack(PG_GETARG_DATUM(0));

	PG_RETURN_TEXT_P(cstring_to_text_with_len(id.value, id.value_len));
}

/*
 * As functions of LANGUAGE internal they would be sought by name among all of the
 * server's, one by one, whenever a plan begins.
 */
#define AS_OF_BYTEA(name, function) \
	PG_FUNCTION_INFO_V1(name); \
	Datum name(PG_FUNCTION_ARGS) \
	{ \
		return function(fcinfo); \
	} \
	extern Datum name(PG_FUNCTION_ARGS)

AS_OF_BYTEA(identifier_lt, bytealt);
AS_OF_BYTEA(identifier_le, byteale);
AS_OF_BYTEA(identifier_eq, byteaeq);
AS_OF_BYTEA(identifier_ne, byteane);
AS_OF_BYTEA(identifier_ge, byteage);
AS_OF_BYTEA(identifier_gt, byteagt);
AS_OF_BYTEA(identifier_cmp, byteacmp);
AS_OF_BYTEA(identifier_sortsupport, bytea_sortsupport);

static uint64
hash(Datum d, uint64 seed)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(d);
	Identifier id = identifier_unpack(PointerGetDatum(packed));
	uint64 h = mix_text(mix_text(seed, id.namespace, id.namespace_len), id.value, id.value_len);

	if (PointerGetDatum(packed) != d)
		pfree(packed);
	return h;
}

PG_FUNCTION_INFO_V1(identifier_hash);
Datum
identifier_hash(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT32((uint32) hash(PG_GETARG_DATUM(0), 0));
}

PG_FUNCTION_INFO_V1(identifier_hash_extended);
Datum
identifier_hash_extended(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT64(hash(PG_GETARG_DATUM(0), PG_GETARG_INT64(1)));
}
