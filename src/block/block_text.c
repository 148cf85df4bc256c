/*
 * block_text.c
 *		The text form of a journey block: {customer: {touchpoint, ...}, ...}
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "journey/journey_text.h"
#include "miscadmin.h"

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
	pile_add_built(pile, customer, &b);
	return true;
}

bool
block_scan(TextScan *s, BlockPile *pile, LabelDict *dict)
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

const BlockPrint block_as_text = {touch_print, "", ": {", "}"};

void
block_print(StringInfo out, const BlockView *b, const BlockPrint *as)
{
	TouchLabel *labels = journey_dictionary(&b->shared);
	BlockCursor c;

	block_start(b, &c, BLOCK_ALL);
	appendStringInfoChar(out, '{');
	while (block_next(&c))
	{
		JourneyView v;

		CHECK_FOR_INTERRUPTS();
		if (c.i > 1)
			appendStringInfoString(out, ", ");
		appendStringInfoString(out, as->quote);
		text_print_int64(out, block_customer(&c));
		appendStringInfoString(out, as->quote);
		appendStringInfoString(out, as->open);
		block_journey(&c, &v);
		touches_print(out, &v, labels, as->touch);
		appendStringInfoString(out, as->close);
	}
	appendStringInfoChar(out, '}');
	pfree(labels);
}
