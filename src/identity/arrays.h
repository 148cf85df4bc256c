/*
 * arrays.h
 *		One-dimensional arrays as arguments and results, and what is read of them.
 */
#ifndef PGJ_ARRAYS_H
#define PGJ_ARRAYS_H

/* The elements of an argument that is one-dimensional, however its bounds are. */
extern int array_elements(FunctionCallInfo fcinfo, int argument, Oid *type, Datum **values,
						  bool **nulls);

/* The same, none of which may be NULL. */
extern int plain_array(FunctionCallInfo fcinfo, int argument, Datum **values);

/*
 * The first two arguments: numbers of observations, and parallel to them places, from 1
 * to n. What is of one number stands together.
 */
extern int places_argument(FunctionCallInfo fcinfo, Datum **numbers, Datum **places, int n);

/* Refuse arrays of different lengths. */
extern void check_parallel(int a, int b);

/* nulls NULL: there are none. */
extern Datum make_array(Datum *values, bool *nulls, int n, Oid type);

/* Where the run of the number at i ends. */
static inline int
run_end(const Datum *numbers, int given, int i)
{
	int32 number = DatumGetInt32(numbers[i]);

	while (i < given && DatumGetInt32(numbers[i]) == number)
		i++;
	return i;
}

/* Zeros, at least one element. */
static inline void *
palloc_many(size_t n, size_t size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* In the order of bytes, which is that of identifiers. */
static inline int
compare_bytes(const struct varlena *a, const struct varlena *b)
{
	size_t a_len = VARSIZE_ANY_EXHDR(a);
	size_t b_len = VARSIZE_ANY_EXHDR(b);
	int cmp = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(a_len, b_len));

	return cmp != 0 ? cmp : (a_len > b_len) - (a_len < b_len);
}

/* An identifier, and which it is */
typedef struct Named
{
	struct varlena *identifier;
	int32 number;
} Named;

extern void sort_named(Named *named, size_t n);

#endif /* PGJ_ARRAYS_H */
