/*
 * arrays.h
 *		One-dimensional arrays as arguments and results.
 */
#ifndef PGJ_ARRAYS_H
#define PGJ_ARRAYS_H

/* The elements of an argument that is one-dimensional, however its bounds are. */
extern int array_elements(FunctionCallInfo fcinfo, int argument, Oid *type, Datum **values,
						  bool **nulls);

/* Refuse arrays of different lengths. */
extern void check_parallel(int a, int b);

/* nulls NULL: there are none. */
extern Datum make_array(Datum *values, bool *nulls, int n, Oid type);

#endif /* PGJ_ARRAYS_H */
