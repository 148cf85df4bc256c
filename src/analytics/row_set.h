/*
 * row_set.h
 *		Sets of rows from a function whose call site remembers more than one set.
 *
 * What SRF_FIRSTCALL_INIT makes, and the row type it needs, are gone with each
 * set; here a compiled pattern and a time zone are meant to last for a query.
 */
#ifndef PGJ_ROW_SET_H
#define PGJ_ROW_SET_H

#include "executor/executor.h"
#include "fmgr.h"

/* Begins the struct that a call site keeps. */
typedef struct RowSet
{
	bool started;
	TupleDesc desc;
	MemoryContext cxt; /* of one set */
	ReturnSetInfo *caller;
} RowSet;

/* The struct of this call site, zeroed at first; the rest of it lasts. */
extern void *row_set(FunctionCallInfo fcinfo, size_t size);

/* To be called when the set is not started; switches to its memory and gives the former. */
extern MemoryContext row_set_start(RowSet *set);

/* Return a row (nulls may be NULL: none is); return that there are no more. */
extern Datum row_set_next(RowSet *set, Datum *values, const bool *nulls);
extern Datum row_set_end(FunctionCallInfo fcinfo, RowSet *set);

#endif /* PGJ_ROW_SET_H */
