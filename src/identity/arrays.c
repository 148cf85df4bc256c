/*
 * arrays.c
 *		One-dimensional arrays as arguments and results.
 */
#include "postgres.h"

#include "compat.h"

#include "catalog/pg_type.h"
#include "identity/arrays.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/varbit.h"

#define ST_SORT sort_named
#define ST_ELEMENT_TYPE Named
#define ST_COMPARE(a, b) compare_bytes((a)->identifier, (b)->identifier)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE
#define ST_DEFINE
#include "lib/sort_template.h"

int
array_elements(FunctionCallInfo fcinfo, int argument, Oid *type, Datum **values, bool **nulls)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(argument);
	int16 len;
	bool byval;
	char align;
	int n;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR), errmsg("array must have one dimension")));
	*type = ARR_ELEMTYPE(array);
	get_typlenbyvalalign(*type, &len, &byval, &align);
	deconstruct_array(array, *type, len, byval, align, values, nulls, &n);
	return n;
}

void
check_parallel(int a, int b)
{
	if (a != b)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR), errmsg("arrays must be of one length"),
				 errdetail("One has %d elements, the other %d.", a, b)));
}

Datum
make_array(Datum *values, bool *nulls, int n, Oid type)
{
	int16 len;
	bool byval;
	char align;
	int bound = 1;

	if (n == 0)
		return PointerGetDatum(construct_empty_array(type));
	get_typlenbyvalalign(type, &len, &byval, &align);
	return PointerGetDatum(
		construct_md_array(values, nulls, 1, &n, &bound, type, len, byval, align));
}

int
plain_array(FunctionCallInfo fcinfo, int argument, Datum **values)
{
	Oid type;
	bool *nulls;
	int n = array_elements(fcinfo, argument, &type, values, &nulls);

	for (int i = 0; i < n; i++)
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("array must not have NULL elements")));
	return n;
}

int
places_argument(FunctionCallInfo fcinfo, Datum **numbers, Datum **places, int n)
{
	int given = plain_array(fcinfo, 0, numbers);

	check_parallel(given, plain_array(fcinfo, 1, places));
	for (int i = 0; i < given; i++)
		if (DatumGetInt32((*numbers)[i]) < 1 || DatumGetInt32((*places)[i]) < 1 ||
			DatumGetInt32((*places)[i]) > n)
			ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
							errmsg("there is no place %d, or no observation %d",
								   DatumGetInt32((*places)[i]), DatumGetInt32((*numbers)[i]))));
	return given;
}

PG_FUNCTION_INFO_V1(journey_array_minus);

/* What is in the first of two ascending arrays of integers and not in the second. */
Datum
journey_array_minus(PG_FUNCTION_ARGS)
{
	Datum *a;
	Datum *b;
	int na = plain_array(fcinfo, 0, &a);
	int nb = plain_array(fcinfo, 1, &b);
	int n = 0;

	for (int i = 0, j = 0; i < na; i++)
	{
		while (j < nb && DatumGetInt32(b[j]) < DatumGetInt32(a[i]))
			j++;
		if (j == nb || DatumGetInt32(b[j]) != DatumGetInt32(a[i]))
			a[n++] = a[i];
	}
	PG_RETURN_DATUM(make_array(a, NULL, n, INT4OID));
}

PG_FUNCTION_INFO_V1(journey_array_renew);

/* Of ascending numbers keep those whose bit is 0, not those that have none, and put in others that are not NULL. */
Datum
journey_array_renew(PG_FUNCTION_ARGS)
{
	Datum *old;
	int nold = plain_array(fcinfo, 0, &old);
	VarBit *bits = PG_GETARG_VARBIT_P(1);
	Oid type;
	Datum *found;
	bool *nulls;
	int nfound = array_elements(fcinfo, 2, &type, &found, &nulls);
	Datum *all = palloc_many((size_t) nold + nfound, sizeof(Datum));
	int n = 0;

	for (int i = 0, j = 0; i < nold || j < nfound;)
	{
		int32 number;

		if (j < nfound && nulls[j])
		{
			j++;
			continue;
		}
		if (i == nold || (j < nfound && DatumGetInt32(found[j]) <= DatumGetInt32(old[i])))
		{
			all[n++] = found[j++];
			continue;
		}
		number = DatumGetInt32(old[i]);
		if (number >= 0 && number < VARBITLEN(bits) &&
			(VARBITS(bits)[number / BITS_PER_BYTE] & (1 << (BITS_PER_BYTE - 1 - number % BITS_PER_BYTE))) == 0)
			all[n++] = old[i];
		i++;
	}
	PG_RETURN_DATUM(make_array(all, NULL, n, INT4OID));
}
