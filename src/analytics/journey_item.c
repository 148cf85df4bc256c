/*
 * journey_item.c
 *		The touchpoint that completes an item of a pattern.
 */
#include "postgres.h"

#include "compat.h"
#include "journey/journey.h"
#include "pattern/journey_pattern.h"

/* What a call site keeps. */
typedef struct ItemSite
{
	CompiledPattern *compiled;
	LabelDict *dict;
} ItemSite;

PG_FUNCTION_INFO_V1(journey_item);
Datum
journey_item(PG_FUNCTION_ARGS)
{
	ItemSite *site = fcinfo->flinfo->fn_extra;
	int64 item = PG_GETARG_INT32(2);
	CompiledPattern *c;
	JourneyArg arg;
	Match match;
	int reached;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(ItemSite));
		site->dict = label_dict_create(fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = site;
	}
	c = pattern_argument(&site->compiled, fcinfo->flinfo->fn_mcxt, PG_GETARG_DATUM(1));
	journey_arg_open(&arg, PG_GETARG_DATUM(0));
	/* which touchpoints costs more to know than how many items */
	reached = matcher_progress(pattern_matcher(c, &arg.view), NULL, false);
	if (item < 0)
		item += reached + 1;
	if (item >= 1 && item <= reached)
	{
		matcher_progress(pattern_matcher(c, &arg.view), &match, true);
		label_dict_trim(site->dict);
		for (uint32 i = match.n; i-- > 0;)
			if (match.items[i].item == item)
				PG_RETURN_POINTER(journey_cut(site->dict, &arg.view, match.touchpoints[i],
											  match.touchpoints[i] + 1));
	}
	/* not reached, or skipped */
	journey_arg_close(&arg);
	PG_RETURN_NULL();
}
