/*
 * block_arg.c
 *		Arguments of SQL functions that are blocks.
 */
#include "postgres.h"

#include "block/block_build.h"
#include "compat.h"

void
block_arg_open(BlockArg *arg, Datum d, BlockPart part)
{
	arg->packed = PG_DETOAST_DATUM_PACKED(d);
	arg->copied = (Pointer) arg->packed != DatumGetPointer(d);
	block_open(&arg->view, (const uint8 *) VARDATA_ANY(arg->packed),
			   VARSIZE_ANY_EXHDR(arg->packed));
#ifdef USE_ASSERT_CHECKING
	block_check(&arg->view, (const uint8 *) VARDATA_ANY(arg->packed),
				VARSIZE_ANY_EXHDR(arg->packed));
#endif
	block_start(&arg->view, &arg->cursor, part);
}

void
block_arg_close(BlockArg *arg)
{
	if (arg->copied)
		pfree(arg->packed);
}
