/*
 * compat.h
 *		What differs between the supported PostgreSQL majors, 15 to 18.
 *
 * Include it directly after postgres.h.
 */
#ifndef PGJ_COMPAT_H
#define PGJ_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "pg_journey needs PostgreSQL 15 or later"
#endif

#include "fmgr.h"

#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
#else
/* Soft errors came with 16; before, every input error is an ordinary one. */
#define ereturn(context, dummy_value, ...)                                                         \
	do                                                                                             \
	{                                                                                              \
		(void) (context);                                                                          \
		ereport(ERROR, __VA_ARGS__);                                                               \
		return dummy_value;                                                                        \
	} while (0)
#endif

/* vacuum_delay_point() asks since 18 for whom. */
#if PG_VERSION_NUM >= 180000
#define analyze_delay_point() vacuum_delay_point(true)
#else
#define analyze_delay_point() vacuum_delay_point()
#endif

#endif /* PGJ_COMPAT_H */
