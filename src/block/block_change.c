/*
 * block_change.c
 *		Journeys from blocks, and blocks from blocks.
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"

/* What unnest keeps from call to call. */
typedef struct Unnest
{
	BlockArg arg;
	BlockWalk walk;
	LabelDict *dict;
} Unnest;

PG_FUNCTION_INFO_V1(journey_block_unnest);
Datum
journey_block_unnest(PG_FUNCTION_ARGS)
{
	FuncCallContext *srf;
	Unnest *u;
	BlockRow row;
	Datum values[2];
	bool nulls[2] = {0};

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		TupleDesc desc;

		srf = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(srf->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		srf->tuple_desc = BlessTupleDesc(desc);
		srf->user_fctx = u = palloc0(sizeof(Unnest));
		block_arg_open(&u->arg, PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0))),
					   BLOCK_ALL);
		u->dict = label_dict_create(srf->multi_call_memory_ctx);
		block_walk_init(&u->walk, &u->arg.view, u->dict);
		label_dict_rank(u->dict);
		u->walk.source.begin(&u->walk.source);
		MemoryContextSwitchTo(old);
	}
	srf = SRF_PERCALL_SETUP();
	u = srf->user_fctx;
	if (!u->walk.source.next(&u->walk.source, &row))
		SRF_RETURN_DONE(srf);
	values[0] = Int64GetDatum(row.customer);
	values[1] = PointerGetDatum(view_pack(&row.view, u->dict, row.numbers));
	SRF_RETURN_NEXT(srf, HeapTupleGetDatum(heap_form_tuple(srf->tuple_desc, values, nulls)));
}
