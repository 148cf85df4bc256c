/*
 * block_io.c
 *		Text and binary forms of the journey block.
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "journey/journey_text.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(journey_block_in);
Datum
journey_block_in(PG_FUNCTION_ARGS)
{
	BlockPile pile;

	if (strcmp(PG_GETARG_CSTRING(0), "{}") != 0)
		elog(ERROR, "not yet");
	pile_init(&pile, CurrentMemoryContext);
	PG_RETURN_POINTER(pile_pack(&pile, call_label_dict(fcinfo)));
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
