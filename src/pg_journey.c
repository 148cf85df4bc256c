/*
 * pg_journey.c
 *		The module's magic block.
 */
#include "postgres.h"

#include "compat.h"

PG_MODULE_MAGIC;
