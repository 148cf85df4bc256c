/*
 * journey_io.c
 *		Text, binary and JSON forms of journey and touchpoint.
 *
 * The binary form is meant for clients, so it is not the packed one. All
 * integers are big-endian:
 *
 *	int8	version, 1
 *	int32	number of labels; for each: int32 length and text of the channel, of the
 *			action and of the detail (empty: none), in the client's encoding
 *	int32	number of touchpoints; for each:
 *			int32	label, from 0
 *			int64	microseconds since 2000-01-01 00:00 UTC
 *			int8	1 = has a value, 2 = has a reference, 3 = both
 *			[int64	value times 10^scale, int8 scale]
 *			[int64	reference]
 *
 * Labels are distinct and all used; touchpoints may come in any order.
 */
#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "journey/journey.h"
#include "journey/journey_text.h"
#include "journey/journey_wire.h"
#include "utils/fmgrprotos.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(journey_in);
Datum
journey_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	JourneyBuilder b;
	TextScan s;

	builder_init(&b, call_label_dict(fcinfo), CurrentMemoryContext);
	text_scan_init(&s, text, strlen(text));
	if (!journey_scan(&s, &b))
		text_ereturn(fcinfo->context, &s, "journey");
	PG_RETURN_POINTER(builder_pack(&b));
}

PG_FUNCTION_INFO_V1(touchpoint_in);
Datum
touchpoint_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	JourneyBuilder b;
	TextScan s;

	builder_init(&b, call_label_dict(fcinfo), CurrentMemoryContext);
	text_scan_init(&s, text, strlen(text));
	if (!touchpoint_scan(&s, &b))
		text_ereturn(fcinfo->context, &s, "touchpoint");
	PG_RETURN_POINTER(builder_pack(&b));
}

static void
print_json_text(StringInfo out, const char *part, size_t len)
{
	char *terminated = pnstrdup(part, len);

	escape_json(out, terminated);
	pfree(terminated);
}

static void
print_touch_json(StringInfo out, const Touch *t, const TouchLabel *label)
{
	appendStringInfoString(out, "{\"occurred_at\": \"");
	isotime_print(out, t->time);
	appendStringInfoString(out, "\", \"channel\": ");
	print_json_text(out, label->channel, label->channel_len);
	appendStringInfoString(out, ", \"action\": ");
	print_json_text(out, label->action, label->action_len);
	if (label->detail_len > 0)
	{
		appendStringInfoString(out, ", \"detail\": ");
		print_json_text(out, label->detail, label->detail_len);
	}
	if (t->has_value)
	{
		appendStringInfoString(out, ", \"value\": ");
		decimal_print(out, t->value);
	}
	if (t->has_ref)
	{
		appendStringInfoString(out, ", \"ref\": ");
		text_print_int64(out, t->ref);
	}
	appendStringInfoChar(out, '}');
}

/* A journey's text, or, without brackets, a touchpoint's. */
static char *
journey_text(Datum journey, const char *open, PrintTouch print, const char *close)
{
	StringInfoData out;
	JourneyArg arg;

	journey_arg_open(&arg, journey);
	if (open[0] == '\0' && arg.view.n != 1)
		journey_corrupt("a touchpoint does not hold one touchpoint");
	initStringInfo(&out);
	appendStringInfoString(&out, open);
	journey_print(&out, &arg.view, print);
	appendStringInfoString(&out, close);
	if (!pg_verify_mbstr(GetDatabaseEncoding(), out.data, out.len, true))
		journey_corrupt("a label is not text in the database's encoding");
	return out.data;
}

PG_FUNCTION_INFO_V1(journey_out);
Datum
journey_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(journey_text(PG_GETARG_DATUM(0), "{", touch_print, "}"));
}

PG_FUNCTION_INFO_V1(touchpoint_out);
Datum
touchpoint_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(journey_text(PG_GETARG_DATUM(0), "", touch_print, ""));
}

PG_FUNCTION_INFO_V1(journey_to_json);
Datum
journey_to_json(PG_FUNCTION_ARGS)
{
	char *json = journey_text(PG_GETARG_DATUM(0), "[", print_touch_json, "]");

	PG_RETURN_TEXT_P(cstring_to_text(json));
}

PG_FUNCTION_INFO_V1(touchpoint_to_json);
Datum
touchpoint_to_json(PG_FUNCTION_ARGS)
{
	char *json = journey_text(PG_GETARG_DATUM(0), "", print_touch_json, "");

	PG_RETURN_TEXT_P(cstring_to_text(json));
}

PG_FUNCTION_INFO_V1(journey_to_jsonb);
Datum
journey_to_jsonb(PG_FUNCTION_ARGS)
{
	char *json = journey_text(PG_GETARG_DATUM(0), "[", print_touch_json, "]");

	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

PG_FUNCTION_INFO_V1(touchpoint_to_jsonb);
Datum
touchpoint_to_jsonb(PG_FUNCTION_ARGS)
{
	char *json = journey_text(PG_GETARG_DATUM(0), "", print_touch_json, "");

	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

static void
send_part(StringInfo out, const char *part, size_t len)
{
	char *terminated = pnstrdup(part, len);
	char *converted = pg_server_to_client(terminated, len);
	size_t converted_len = converted == terminated ? len : strlen(converted);

	pq_sendint32(out, converted_len);
	pq_sendbytes(out, converted, converted_len);
	if (converted != terminated)
		pfree(converted);
	pfree(terminated);
}

void
wire_send_labels(StringInfo out, const JourneyView *v)
{
	TouchLabel *labels = journey_dictionary(v);

	pq_sendint32(out, v->nlabels);
	for (uint32 i = 0; i < v->nlabels; i++)
	{
		send_part(out, labels[i].channel, labels[i].channel_len);
		send_part(out, labels[i].action, labels[i].action_len);
		send_part(out, labels[i].detail, labels[i].detail_len);
	}
	pfree(labels);
}

void
wire_send_touches(StringInfo out, const JourneyView *v)
{
	JourneyCursor c;
	Touch t;

	pq_sendint32(out, v->n);
	journey_start_at(v, &c, 0);
	while (journey_next(&c, &t))
	{
		CHECK_FOR_INTERRUPTS();
		pq_sendint32(out, t.label);
		pq_sendint64(out, t.time);
		pq_sendint8(out, (t.has_value ? WIRE_VALUE : 0) | (t.has_ref ? WIRE_REF : 0));
		if (t.has_value)
		{
			pq_sendint64(out, t.value.mantissa);
			pq_sendint8(out, t.value.scale);
		}
		if (t.has_ref)
			pq_sendint64(out, t.ref);
	}
}

PG_FUNCTION_INFO_V1(journey_send);
Datum
journey_send(PG_FUNCTION_ARGS)
{
	StringInfoData out;
	JourneyArg arg;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	pq_begintypsend(&out);
	pq_sendint8(&out, WIRE_VERSION);
	wire_send_labels(&out, &arg.view);
	wire_send_touches(&out, &arg.view);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

uint32
wire_receive_count(WireReader *r, const char *what, int least_bytes)
{
	StringInfo buf = r->buf;
	uint32 count = pq_getmsgint(buf, 4);

	if (count > (buf->len - buf->cursor) / least_bytes)
		bad_binary(r, "It announces %u %s, more than its length allows.", count, what);
	return count;
}

static const char *
receive_part(WireReader *r, const char *what, uint8 *len)
{
	int32 announced = pq_getmsgint(r->buf, 4);
	int received;
	char *text;

	if (announced < 0)
		bad_binary(r, "The length of a label's %s is %d.", what, announced);
	text = pq_getmsgtext(r->buf, announced, &received);
	if (memchr(text, '\0', received) != NULL)
		bad_binary(r, "A label's %s contains a null byte.", what);
	label_check_size(what, text, received);
	*len = received;
	return text;
}

void
wire_receive_labels(WireReader *r)
{
	int version = pq_getmsgbyte(r->buf);
	LabelDict *dict = r->dict;

	if (version != WIRE_VERSION)
		bad_binary(r, "Its version is %d, but only %d is known.", version, WIRE_VERSION);
	r->nlabels = wire_receive_count(r, "labels", WIRE_LABEL_BYTES);
	r->numbers = palloc(Max(r->nlabels, 1) * sizeof(uint32));
	r->used = palloc0(Max(r->nlabels, 1));
	label_dict_new_stamp(dict);
	for (uint32 i = 0; i < r->nlabels; i++)
	{
		TouchLabel label;
		LabelMark *mark;

		CHECK_FOR_INTERRUPTS();
		label.channel = receive_part(r, "channel", &label.channel_len);
		label.action = receive_part(r, "action", &label.action_len);
		label.detail = receive_part(r, "detail", &label.detail_len);
		r->numbers[i] = label_dict_add(dict, &label);
		mark = &dict->marks[r->numbers[i]];
		if (mark->stamp == dict->stamp)
			bad_binary(r, "Label %u occurs twice.", i);
		mark->stamp = dict->stamp;
	}
}

void
wire_receive_touches(WireReader *r, JourneyBuilder *b)
{
	StringInfo buf = r->buf;
	uint32 n = wire_receive_count(r, "touchpoints", WIRE_TOUCH_BYTES);

	for (uint32 i = 0; i < n; i++)
	{
		Touch t = {0};
		uint32 label = pq_getmsgint(buf, 4);
		int flags;

		CHECK_FOR_INTERRUPTS();
		if (label >= r->nlabels)
			bad_binary(r, "Touchpoint %u has label %u, but there are %u.", i, label, r->nlabels);
		r->used[label] = true;
		t.label = r->numbers[label];
		t.time = pq_getmsgint64(buf);
		if (!IS_VALID_TIMESTAMP(t.time))
			ereport(ERROR, (errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
							errmsg("time of a touchpoint is out of range"),
							errdetail("Touchpoint %u has " INT64_FORMAT " microseconds since 2000.",
									  i, t.time)));
		flags = pq_getmsgbyte(buf);
		if (flags & ~(WIRE_VALUE | WIRE_REF))
			bad_binary(r, "Touchpoint %u has unknown flags %d.", i, flags);
		t.has_value = flags & WIRE_VALUE;
		t.has_ref = (flags & WIRE_REF) != 0;
		if (t.has_value)
		{
			t.value.mantissa = pq_getmsgint64(buf);
			t.value.scale = pq_getmsgbyte(buf);
			if (t.value.scale > DECIMAL_DIGITS_MAX ||
				t.value.mantissa >= decimal_power[DECIMAL_DIGITS_MAX] ||
				t.value.mantissa <= -decimal_power[DECIMAL_DIGITS_MAX])
				ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
								errmsg("value has too many digits"),
								errdetail("Touchpoint %u has " INT64_FORMAT
										  " with scale %d, the limit is %d digits.",
										  i, t.value.mantissa, t.value.scale, DECIMAL_DIGITS_MAX)));
			decimal_normalise(&t.value);
		}
		if (t.has_ref)
			t.ref = pq_getmsgint64(buf);
		builder_add(b, &t);
	}
}

void
wire_receive_end(WireReader *r)
{
	for (uint32 i = 0; i < r->nlabels; i++)
		if (!r->used[i])
			bad_binary(r, "Label %u is not used.", i);
}

static Datum
receive(FunctionCallInfo fcinfo, bool single)
{
	WireReader r = {(StringInfo) PG_GETARG_POINTER(0), "journey", call_label_dict(fcinfo)};
	JourneyBuilder b;

	wire_receive_labels(&r);
	builder_init(&b, r.dict, CurrentMemoryContext);
	wire_receive_touches(&r, &b);
	if (single && b.n != 1)
		bad_binary(&r, "A touchpoint must hold one touchpoint, not %u.", b.n);
	wire_receive_end(&r);
	return PointerGetDatum(builder_pack(&b));
}

PG_FUNCTION_INFO_V1(journey_recv);
Datum
journey_recv(PG_FUNCTION_ARGS)
{
	return receive(fcinfo, false);
}

PG_FUNCTION_INFO_V1(touchpoint_recv);
Datum
touchpoint_recv(PG_FUNCTION_ARGS)
{
	return receive(fcinfo, true);
}
