/*
 * block_io.c
 *		Text and binary forms of the journey block.
 *
 * In both, customers may come in any order on input, and what one customer has in several
 * places is put together, as in journey_block_agg. The binary form is, integers big-endian:
 *
 *	int8	version, 1
 *	labels	as in the binary form of a journey (journey_io.c)
 *	int32	number of journeys; for each:
 *			int64	customer
 *			touchpoints, as in the binary form of a journey
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "journey/journey.h"
#include "journey/journey_text.h"
#include "journey/journey_wire.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* Least bytes of a journey in the binary form. */
#define WIRE_JOURNEY_BYTES 12

/* Pack the builder's journey onto the pile. */
static void
add_built(BlockPile *pile, int64 customer, JourneyBuilder *b)
{
	struct varlena *packed = builder_pack(b);

	pile_add(pile, customer, (uint8 *) VARDATA(packed), VARSIZE(packed) - VARHDRSZ);
	pfree(packed);
	builder_free(b);
}

/* Read one customer and the journey. */
static bool
scan_journey(TextScan *s, BlockPile *pile, LabelDict *dict)
{
	int64 customer;
	JourneyBuilder b;

	text_skip_space(s);
	if (!text_scan_int64(s, &customer, "customer is out of range"))
		return false;
	if (!text_accept(s, ":"))
		return text_fail(s, "\":\" and a journey");
	builder_init(&b, dict, CurrentMemoryContext);
	if (!touches_scan(s, &b))
		return false;
	add_built(pile, customer, &b);
	return true;
}

static bool
scan_block(TextScan *s, BlockPile *pile, LabelDict *dict)
{
	if (!text_accept(s, "{"))
		return text_fail(s, "\"{\"");
	if (text_accept(s, "}"))
		return text_scan_end(s);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!scan_journey(s, pile, dict))
			return false;
		if (text_accept(s, "}"))
			return text_scan_end(s);
		if (!text_accept(s, ","))
			return text_fail(s, "\",\" or \"}\"");
	}
}

PG_FUNCTION_INFO_V1(journey_block_in);
Datum
journey_block_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	LabelDict *dict = call_label_dict(fcinfo);
	BlockPile pile;
	TextScan s;

	pile_init(&pile, CurrentMemoryContext);
	text_scan_init(&s, text, strlen(text));
	if (!scan_block(&s, &pile, dict))
		text_ereturn(fcinfo->context, &s, "journey_block");
	PG_RETURN_POINTER(pile_pack(&pile, dict));
}

PG_FUNCTION_INFO_V1(journey_block_out);
Datum
journey_block_out(PG_FUNCTION_ARGS)
{
	StringInfoData out;
	BlockArg arg;
	TouchLabel *labels;

	block_arg_open(&arg, PG_GETARG_DATUM(0), BLOCK_ALL);
	labels = journey_dictionary(&arg.view.shared);
	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	while (block_next(&arg.cursor))
	{
		JourneyView v;

		CHECK_FOR_INTERRUPTS();
		if (arg.cursor.i > 1)
			appendStringInfoString(&out, ", ");
		text_print_int64(&out, block_customer(&arg.cursor));
		appendStringInfoString(&out, ": {");
		block_journey(&arg.cursor, &v);
		touches_print(&out, &v, labels, touch_print);
		appendStringInfoChar(&out, '}');
	}
	appendStringInfoChar(&out, '}');
	if (!pg_verify_mbstr(GetDatabaseEncoding(), out.data, out.len, true))
		block_corrupt("a label is not text in the database's encoding");
	PG_RETURN_CSTRING(out.data);
}

PG_FUNCTION_INFO_V1(journey_block_send);
Datum
journey_block_send(PG_FUNCTION_ARGS)
{
	StringInfoData out;
	BlockArg arg;

	block_arg_open(&arg, PG_GETARG_DATUM(0), BLOCK_ALL);
	pq_begintypsend(&out);
	pq_sendint8(&out, WIRE_VERSION);
	wire_send_labels(&out, &arg.view.shared);
	pq_sendint32(&out, arg.view.n);
	while (block_next(&arg.cursor))
	{
		JourneyView v;

		CHECK_FOR_INTERRUPTS();
		block_journey(&arg.cursor, &v);
		pq_sendint64(&out, block_customer(&arg.cursor));
		wire_send_touches(&out, &v);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(journey_block_recv);
Datum
journey_block_recv(PG_FUNCTION_ARGS)
{
	WireReader r = {(StringInfo) PG_GETARG_POINTER(0), "journey block", call_label_dict(fcinfo)};
	BlockPile pile;
	uint32 n;

	wire_receive_labels(&r);
	n = wire_receive_count(&r, "journeys", WIRE_JOURNEY_BYTES);
	pile_init(&pile, CurrentMemoryContext);
	for (uint32 i = 0; i < n; i++)
	{
		int64 customer = pq_getmsgint64(r.buf);
		JourneyBuilder b;

		CHECK_FOR_INTERRUPTS();
		builder_init(&b, r.dict, CurrentMemoryContext);
		wire_receive_touches(&r, &b);
		add_built(&pile, customer, &b);
	}
	wire_receive_end(&r);
	PG_RETURN_POINTER(pile_pack(&pile, r.dict));
}
