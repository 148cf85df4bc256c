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
	MemoryContext row_cxt; /* of one row, where a set's rows are made at once */
} RowSet;

/* The struct of this call site, zeroed at first; the rest of it lasts. */
extern void *row_set(FunctionCallInfo fcinfo, size_t size);

/* To be called when the set is not started; switches to its memory and gives the former. */
extern MemoryContext row_set_start(RowSet *set);

/* Return a row (nulls may be NULL: none is); return that there are no more. */
extern Datum row_set_next(RowSet *set, Datum *values, const bool *nulls);
extern Datum row_set_end(FunctionCallInfo fcinfo, RowSet *set);

/*
 * The same for a function that has many rows to tell: the next row of a started set, which
 * begins with its RowSet, no column null at first; false if there is none. In FROM, where the
 * server keeps all rows, they are made in one call; elsewhere one by one, because nobody may
 * want the rest.
 */
typedef bool (*RowSetRow)(void *set, Datum *values, bool *nulls);
extern Datum row_set_rows(FunctionCallInfo fcinfo, RowSet *set, RowSetRow next_row);

#endif /* PGJ_ROW_SET_H */
