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
#include "utils/fmgrprotos.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#define WIRE_VERSION 1
#define WIRE_VALUE 1
#define WIRE_REF 2

/* Least bytes of a label and of a touchpoint in the binary form. */
#define WIRE_LABEL_BYTES 12
#define WIRE_TOUCH_BYTES 13

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
}

PG_FUNCTION_INFO_V1(journey_send);
Datum
journey_send(PG_FUNCTION_ARGS)
{
	StringInfoData out;
	JourneyArg arg;
	const JourneyView *v = &arg.view;
	TouchLabel *labels;
	JourneyCursor c;
	Touch t;

	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	labels = journey_dictionary(v);
	pq_begintypsend(&out);
	pq_sendint8(&out, WIRE_VERSION);
	pq_sendint32(&out, v->nlabels);
	for (uint32 i = 0; i < v->nlabels; i++)
	{
		send_part(&out, labels[i].channel, labels[i].channel_len);
		send_part(&out, labels[i].action, labels[i].action_len);
		send_part(&out, labels[i].detail, labels[i].detail_len);
	}
	pq_sendint32(&out, v->n);
	journey_start_at(v, &c, 0);
	while (journey_next(&c, &t))
	{
		CHECK_FOR_INTERRUPTS();
		pq_sendint32(&out, t.label);
		pq_sendint64(&out, t.time);
		pq_sendint8(&out, (t.has_value ? WIRE_VALUE : 0) | (t.has_ref ? WIRE_REF : 0));
		if (t.has_value)
		{
			pq_sendint64(&out, t.value.mantissa);
			pq_sendint8(&out, t.value.scale);
		}
		if (t.has_ref)
			pq_sendint64(&out, t.ref);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

#define bad_binary(...)                                                                            \
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),                                \
					errmsg("invalid binary representation of a journey"), errdetail(__VA_ARGS__)))

/* A count of things that take at least so many bytes each. */
static uint32
receive_count(StringInfo buf, const char *what, int least_bytes)
{
	uint32 count = pq_getmsgint(buf, 4);

	if (count > (buf->len - buf->cursor) / least_bytes)
		bad_binary("It announces %u %s, more than its length allows.", count, what);
	return count;
}

static const char *
receive_part(StringInfo buf, const char *what, uint8 *len)
{
	int32 announced = pq_getmsgint(buf, 4);
	int received;
	char *text;

	if (announced < 0)
		bad_binary("The length of a label's %s is %d.", what, announced);
	text = pq_getmsgtext(buf, announced, &received);
	if (memchr(text, '\0', received) != NULL)
		bad_binary("A label's %s contains a null byte.", what);
	label_check_size(what, text, received);
	*len = received;
	return text;
}

static Datum
receive(FunctionCallInfo fcinfo, bool single)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	LabelDict *dict = call_label_dict(fcinfo);
	JourneyBuilder b;
	int version = pq_getmsgbyte(buf);
	uint32 nlabels;
	uint32 n;
	uint32 *numbers;
	bool *used;

	if (version != WIRE_VERSION)
		bad_binary("Its version is %d, but only %d is known.", version, WIRE_VERSION);
	nlabels = receive_count(buf, "labels", WIRE_LABEL_BYTES);
	numbers = palloc(Max(nlabels, 1) * sizeof(uint32));
	used = palloc0(Max(nlabels, 1));
	builder_init(&b, dict, CurrentMemoryContext);
	label_dict_new_stamp(dict);
	for (uint32 i = 0; i < nlabels; i++)
	{
		TouchLabel label;
		LabelMark *mark;

		CHECK_FOR_INTERRUPTS();
		label.channel = receive_part(buf, "channel", &label.channel_len);
		label.action = receive_part(buf, "action", &label.action_len);
		label.detail = receive_part(buf, "detail", &label.detail_len);
		numbers[i] = label_dict_add(dict, &label);
		mark = &dict->marks[numbers[i]];
		if (mark->stamp == dict->stamp)
			bad_binary("Label %u occurs twice.", i);
		mark->stamp = dict->stamp;
	}
	n = receive_count(buf, "touchpoints", WIRE_TOUCH_BYTES);
	if (single && n != 1)
		bad_binary("A touchpoint must hold one touchpoint, not %u.", n);
	for (uint32 i = 0; i < n; i++)
	{
		Touch t = {0};
		uint32 label = pq_getmsgint(buf, 4);
		int flags;

		CHECK_FOR_INTERRUPTS();
		if (label >= nlabels)
			bad_binary("Touchpoint %u has label %u, but there are %u.", i, label, nlabels);
		used[label] = true;
		t.label = numbers[label];
		t.time = pq_getmsgint64(buf);
		if (!IS_VALID_TIMESTAMP(t.time))
			ereport(ERROR, (errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
							errmsg("time of a touchpoint is out of range"),
							errdetail("Touchpoint %u has " INT64_FORMAT " microseconds since 2000.",
									  i, t.time)));
		flags = pq_getmsgbyte(buf);
		if (flags & ~(WIRE_VALUE | WIRE_REF))
			bad_binary("Touchpoint %u has unknown flags %d.", i, flags);
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
		builder_add(&b, &t);
	}
	for (uint32 i = 0; i < nlabels; i++)
		if (!used[i])
			bad_binary("Label %u is not used.", i);
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
