/*
 * pg_journey.c
 *		The module's magic block, and what is done where it is preloaded.
 */
#include "postgres.h"

#include "compat.h"

#include "hub/worker.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	journey_register_workers();
}
