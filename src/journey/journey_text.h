/*
 * journey_text.h
 *		The text forms of journey and touchpoint; algorithm layer, as touch.h.
 */
#ifndef PGJ_JOURNEY_TEXT_H
#define PGJ_JOURNEY_TEXT_H

#include "journey/builder.h"

/* Read a whole text into the builder; false on failure, with the reason in the scan. */
extern bool touchpoint_scan(TextScan *s, JourneyBuilder *b);
extern bool journey_scan(TextScan *s, JourneyBuilder *b);

/* The same of a part of a text, a journey in braces; and nothing but white space may be left. */
extern bool touches_scan(TextScan *s, JourneyBuilder *b);
extern bool text_scan_end(TextScan *s);

/* Print all touchpoints through a function of this shape, with ", " between. */
typedef void (*PrintTouch)(StringInfo out, const Touch *t, const TouchLabel *label);
extern void touches_print(StringInfo out, const JourneyView *v, const TouchLabel *labels,
						  PrintTouch print);
extern void journey_print(StringInfo out, const JourneyView *v, PrintTouch print);

#endif /* PGJ_JOURNEY_TEXT_H */
