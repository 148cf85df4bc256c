/*
 * block_compare.c
 *		Order, equality and hashing of journey blocks.
 *
 * Equal blocks are equal bytes (block.h); their order is that of the bytes, and means nothing
 * else.
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"
#include "touchpoint/frozen_hash.h"

static int
compare(FunctionCallInfo fcinfo)
{
	BlockArg a;
	BlockArg b;
	size_t alen;
	size_t blen;
	int cmp;

	block_arg_open(&a, PG_GETARG_DATUM(0), BLOCK_ALL);
	block_arg_open(&b, PG_GETARG_DATUM(1), BLOCK_ALL);
	alen = VARSIZE_ANY_EXHDR(a.packed);
	blen = VARSIZE_ANY_EXHDR(b.packed);
	cmp = memcmp(VARDATA_ANY(a.packed), VARDATA_ANY(b.packed), Min(alen, blen));
	if (cmp == 0)
		cmp = alen < blen ? -1 : alen > blen;
	block_arg_close(&a);
	block_arg_close(&b);
	return cmp < 0 ? -1 : cmp > 0;
}

PG_FUNCTION_INFO_V1(journey_block_cmp);
Datum
journey_block_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

PG_FUNCTION_INFO_V1(journey_block_lt);
Datum
journey_block_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(journey_block_le);
Datum
journey_block_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(journey_block_eq);
Datum
journey_block_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(journey_block_ne);
Datum
journey_block_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(journey_block_ge);
Datum
journey_block_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(journey_block_gt);
Datum
journey_block_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

static uint64
hash(Datum block, uint64 seed)
{
	BlockArg arg;
	uint64 h;

	block_arg_open(&arg, block, BLOCK_ALL);
	h = mix_text(seed, VARDATA_ANY(arg.packed), VARSIZE_ANY_EXHDR(arg.packed));
	block_arg_close(&arg);
	return h;
}

PG_FUNCTION_INFO_V1(journey_block_hash);
Datum
journey_block_hash(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT32((uint32) hash(PG_GETARG_DATUM(0), 0));
}

PG_FUNCTION_INFO_V1(journey_block_hash_extended);
Datum
journey_block_hash_extended(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT64(hash(PG_GETARG_DATUM(0), PG_GETARG_INT64(1)));
}
