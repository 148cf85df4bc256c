/*
 * block_arg.c
 *		Arguments of SQL functions that are blocks.
 *
 * Of a block that is out of line only what is wanted is fetched, from its beginning. How much
 * that is only its header tells, and each fetch costs a search in the toast table's index: so
 * we fetch at once the share that the block before needed, and a little more. Blocks of one
 * table are alike; where it does not suffice, we fetch again.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "block/block_build.h"
#include "compat.h"

/* Fetch the first bytes, at least so many, and open them. */
static void
fetch(BlockArg *arg, Datum d, size_t bytes, size_t total)
{
	arg->packed = PG_DETOAST_DATUM_SLICE(d, 0, Min(bytes, total));
	if (VARSIZE_ANY_EXHDR(arg->packed) < Min(bytes, total))
		block_corrupt("it is cut off");
	block_open_head(&arg->view, (const uint8 *) VARDATA_ANY(arg->packed),
					VARSIZE_ANY_EXHDR(arg->packed), total);
}

static void
open_part(BlockArg *arg, Datum d, BlockPart part)
{
	static double shares[BLOCK_ALL] = {0, 0, 1.0 / 4, 1};
	size_t total = toast_raw_datum_size(d) - VARHDRSZ;
	/* lengths take as much as there are customers, whatever these have */
	size_t of = part == BLOCK_LENGTHS ? 1 : total;
	size_t bytes = Max(of * shares[part] * 1.05, BLOCK_HEADER_MAX);
	size_t need;

	fetch(arg, d, bytes, total);
	need = block_part_bytes(&arg->view, part, (const uint8 *) VARDATA_ANY(arg->packed), total);
	if (need > bytes)
	{
		pfree(arg->packed);
		fetch(arg, d, need, total);
	}
	shares[part] = (double) need / of;
}

void
block_arg_open(BlockArg *arg, Datum d, BlockPart part)
{
#ifdef USE_ASSERT_CHECKING
	arg->packed = PG_DETOAST_DATUM_PACKED(d);
	block_open(&arg->view, (const uint8 *) VARDATA_ANY(arg->packed),
			   VARSIZE_ANY_EXHDR(arg->packed));
	block_check(&arg->view, (const uint8 *) VARDATA_ANY(arg->packed),
				VARSIZE_ANY_EXHDR(arg->packed));
	if ((Pointer) arg->packed != DatumGetPointer(d))
		pfree(arg->packed);
#endif
	if (part < BLOCK_ALL && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(d)))
	{
		arg->copied = true;
		open_part(arg, d, part);
	}
	else
	{
		arg->packed = PG_DETOAST_DATUM_PACKED(d);
		arg->copied = (Pointer) arg->packed != DatumGetPointer(d);
		block_open(&arg->view, (const uint8 *) VARDATA_ANY(arg->packed),
				   VARSIZE_ANY_EXHDR(arg->packed));
	}
	block_start(&arg->view, &arg->cursor, part);
}

void
block_arg_close(BlockArg *arg)
{
	if (arg->copied)
		pfree(arg->packed);
}
