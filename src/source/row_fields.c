/*
 * row_fields.c
 *		A field of many rows, as an array.
 *
 * What is done with many rows at once is asked of a few of their fields, several
 * times.  To unnest the rows for each question would copy all of their fields; here
 * the one is read where it stands.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "compat.h"
#include "identity/components.h"
#include "utils/array.h"
#include "utils/arrayaccess.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

typedef struct ElementType
{
	Oid id;
	int16 len;
	bool byval;
	char align;
} ElementType;

static ElementType
element_type(Oid id)
{
	ElementType type = {id};

	get_typlenbyvalalign(id, &type.len, &type.byval, &type.align);
	return type;
}

/* The field of that name, which must have the type. */
static int
find_field(TupleDesc descriptor, const char *name, Oid type)
{
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute field = TupleDescAttr(descriptor, i);

		if (field->attisdropped || strcmp(NameStr(field->attname), name) != 0)
			continue;
		if (field->atttypid != type)
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("field %s is of type %s, not %s", name,
								   format_type_be(field->atttypid), format_type_be(type))));
		return i + 1;
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("rows have no field %s", name)));
}

/* The element of an array that has one; as its bounds are does not matter. */
static bool
only_element(Datum value, const ElementType *type, Datum *element)
{
	AnyArrayType *array = DatumGetAnyArrayP(value);
	array_iter iterator;
	bool null;

	if (ArrayGetNItems(AARR_NDIM(array), AARR_DIMS(array)) != 1)
		return false;
	array_iter_setup(&iterator, array);
	*element = array_iter_next(&iterator, &null, 0, type->len, type->byval, type->align);
	return !null;
}

static Datum
row_field(FunctionCallInfo fcinfo, bool only)
{
	AnyArrayType *rows = PG_GETARG_ANY_ARRAY_P(0);
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ElementType result = element_type(get_element_type(get_fn_expr_rettype(fcinfo->flinfo)));
	ElementType row = element_type(AARR_ELEMTYPE(rows));
	TupleDesc descriptor = lookup_rowtype_tupdesc(row.id, -1);
	int place = find_field(descriptor, name, only ? get_array_type(result.id) : result.id);
	int n = ArrayGetNItems(AARR_NDIM(rows), AARR_DIMS(rows));
	Datum *values = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	bool *nulls = palloc_extended(Max(n, 1) * sizeof(bool), MCXT_ALLOC_HUGE);
	int bound = 1;
	array_iter iterator;
	ArrayType *array;

	array_iter_setup(&iterator, rows);
	for (int i = 0; i < n; i++)
	{
		Datum element = array_iter_next(&iterator, &nulls[i], i, row.len, row.byval, row.align);
		HeapTupleHeader header;
		HeapTupleData tuple;

		check_interrupts_sometimes(i);
		if (nulls[i])
			continue;
		header = DatumGetHeapTupleHeader(element);
		tuple.t_len = HeapTupleHeaderGetDatumLength(header);
		ItemPointerSetInvalid(&tuple.t_self);
		tuple.t_tableOid = InvalidOid;
		tuple.t_data = header;
		values[i] = heap_getattr(&tuple, place, descriptor, &nulls[i]);
		if (only && !nulls[i])
			nulls[i] = !only_element(values[i], &result, &values[i]);
	}
	ReleaseTupleDesc(descriptor);
	if (n == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(result.id));
	array = construct_md_array(values, nulls, 1, &n, &bound, result.id, result.len, result.byval,
							   result.align);
	pfree(values);
	pfree(nulls);
	PG_RETURN_ARRAYTYPE_P(array);
}

/* The values of a field, in the order of the rows. */
PG_FUNCTION_INFO_V1(journey_field);
Datum
journey_field(PG_FUNCTION_ARGS)
{
	return row_field(fcinfo, false);
}

/* Of a field that is an array its element, where it has one alone; NULL elsewhere. */
PG_FUNCTION_INFO_V1(journey_only_element);
Datum
journey_only_element(PG_FUNCTION_ARGS)
{
	return row_field(fcinfo, true);
}
