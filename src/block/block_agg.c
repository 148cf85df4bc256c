/*
 * block_agg.c
 *		The aggregate journey_block_agg. Its state is a pile (block_pile.c).
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "journey/journey.h"

/* The state argument, a new one if there is none yet. */
static BlockPile *
state_argument(FunctionCallInfo fcinfo)
{
	MemoryContext cxt = aggregate_context(fcinfo, "journey_block_agg");
	BlockPile *pile;

	if (!PG_ARGISNULL(0))
		return (BlockPile *) PG_GETARG_POINTER(0);
	pile = MemoryContextAlloc(cxt, sizeof(BlockPile));
	pile_init(pile, cxt);
	return pile;
}

PG_FUNCTION_INFO_V1(journey_block_agg_transfn);
Datum
journey_block_agg_transfn(PG_FUNCTION_ARGS)
{
	BlockPile *pile;
	JourneyArg arg;

	if (PG_ARGISNULL(2))
		return unchanged_state(fcinfo);
	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("customer of a journey must not be null"),
						errdetail("Rows are ignored only where the journey is null.")));
	pile = state_argument(fcinfo);
	journey_arg_open(&arg, PG_GETARG_DATUM(2));
	pile_add_opened(pile, PG_GETARG_INT64(1), &arg.view, (uint8 *) VARDATA_ANY(arg.packed),
					VARSIZE_ANY_EXHDR(arg.packed));
	journey_arg_close(&arg);
	PG_RETURN_POINTER(pile);
}

PG_FUNCTION_INFO_V1(journey_block_agg_combinefn);
Datum
journey_block_agg_combinefn(PG_FUNCTION_ARGS)
{
	BlockPile *pile;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	pile = state_argument(fcinfo);
	pile_add_pile(pile, (BlockPile *) PG_GETARG_POINTER(1));
	PG_RETURN_POINTER(pile);
}

PG_FUNCTION_INFO_V1(journey_block_agg_serialfn);
Datum
journey_block_agg_serialfn(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo, "journey_block_agg");
	PG_RETURN_POINTER(pile_serialize((BlockPile *) PG_GETARG_POINTER(0)));
}

PG_FUNCTION_INFO_V1(journey_block_agg_deserialfn);
Datum
journey_block_agg_deserialfn(PG_FUNCTION_ARGS)
{
	struct varlena *packed = PG_GETARG_VARLENA_PP(0);
	BlockPile *pile = palloc(sizeof(BlockPile));

	aggregate_context(fcinfo, "journey_block_agg");
	pile_init(pile, CurrentMemoryContext);
	pile_add_serialized(pile, VARDATA_ANY(packed), VARDATA_ANY(packed) + VARSIZE_ANY_EXHDR(packed));
	PG_RETURN_POINTER(pile);
}

PG_FUNCTION_INFO_V1(journey_block_agg_finalfn);
Datum
journey_block_agg_finalfn(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo, "journey_block_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(pile_pack((BlockPile *) PG_GETARG_POINTER(0), call_label_dict(fcinfo)));
}
