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
#include "journey/journey_wire.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* Least bytes of a journey in the binary form. */
#define WIRE_JOURNEY_BYTES 12

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
	if (!block_scan(&s, &pile, dict))
		text_ereturn(fcinfo->context, &s, "journey_block");
	PG_RETURN_POINTER(pile_pack(&pile, dict));
}

static char *
block_text(Datum block, const BlockPrint *as)
{
	StringInfoData out;
	BlockArg arg;

	block_arg_open(&arg, block, BLOCK_ALL);
	initStringInfo(&out);
	block_print(&out, &arg.view, as);
	if (!pg_verify_mbstr(GetDatabaseEncoding(), out.data, out.len, true))
		block_corrupt("a label is not text in the database's encoding");
	return out.data;
}

PG_FUNCTION_INFO_V1(journey_block_out);
Datum
journey_block_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(block_text(PG_GETARG_DATUM(0), &block_as_text));
}

static const BlockPrint block_as_json = {touch_print_json, "\"", ": [", "]"};

PG_FUNCTION_INFO_V1(journey_block_to_json);
Datum
journey_block_to_json(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(block_text(PG_GETARG_DATUM(0), &block_as_json)));
}

PG_FUNCTION_INFO_V1(journey_block_to_jsonb);
Datum
journey_block_to_jsonb(PG_FUNCTION_ARGS)
{
	char *json = block_text(PG_GETARG_DATUM(0), &block_as_json);

	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
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
		pile_add_built(&pile, customer, &b);
	}
	wire_receive_end(&r);
	PG_RETURN_POINTER(pile_pack(&pile, r.dict));
}
