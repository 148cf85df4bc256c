/*
 * journey_text.c
 *		The text form of a journey: {touchpoint, ...}
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey_text.h"
#include "miscadmin.h"

/* Read one touchpoint into the builder. */
static bool
scan_into(TextScan *s, JourneyBuilder *b)
{
	LabelText text;
	TouchLabel label;
	Touch t;

	if (!touch_scan(s, &t, &text, &label))
		return false;
	t.label = label_dict_add(b->dict, &label);
	builder_add(b, &t);
	return true;
}

bool
text_scan_end(TextScan *s)
{
	text_skip_space(s);
	return s->p == s->end || text_fail(s, "the end of the text");
}

bool
touchpoint_scan(TextScan *s, JourneyBuilder *b)
{
	return scan_into(s, b) && text_scan_end(s);
}

bool
touches_scan(TextScan *s, JourneyBuilder *b)
{
	text_skip_space(s);
	if (s->p >= s->end || *s->p != '{')
		return text_fail(s, "\"{\"");
	s->p++;
	if (text_accept(s, "}"))
		return true;
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!scan_into(s, b))
			return false;
		text_skip_space(s);
		if (s->p >= s->end || (*s->p != ',' && *s->p != '}'))
			return text_fail(s, "\",\" or \"}\"");
		if (*s->p++ == '}')
			return true;
	}
}

bool
journey_scan(TextScan *s, JourneyBuilder *b)
{
	return touches_scan(s, b) && text_scan_end(s);
}

void
touches_print(StringInfo out, const JourneyView *v, const TouchLabel *labels, PrintTouch print)
{
	JourneyCursor c;
	Touch t;

	journey_start_at(v, &c, 0);
	while (journey_next(&c, &t))
	{
		CHECK_FOR_INTERRUPTS();
		if (c.i > 1)
			appendStringInfoString(out, ", ");
		print(out, &t, &labels[t.label]);
	}
}

void
journey_print(StringInfo out, const JourneyView *v, PrintTouch print)
{
	TouchLabel *labels = journey_dictionary(v);

	touches_print(out, v, labels, print);
	pfree(labels);
}
