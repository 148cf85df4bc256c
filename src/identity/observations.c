/*
 * observations.c
 *		A hub's observations as parallel arrays, and the key of those that come
 *		without one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "compat.h"
#include "funcapi.h"
#include "identity/arrays.h"
#include "identity/components.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

typedef struct varlena *VarlenaPointer;

#define ST_SORT sort_varlenas
#define ST_ELEMENT_TYPE VarlenaPointer
#define ST_COMPARE(a, b) compare_bytes(*(a), *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static void
hash_failed(void)
{
	ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute SHA-256")));
}

/* Of what is seen at a time, each once, in order: a hash in hexadecimal digits. */
static text *
evidence_key(VarlenaPointer *identifiers, int n, TimestampTz time)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint64 number = pg_hton64((uint64) time);
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	char digits[2 * PG_SHA256_DIGEST_LENGTH];

	if (hash == NULL || pg_cryptohash_init(hash) < 0)
		hash_failed();
	sort_varlenas(identifiers, n);
	for (int i = 0; i < n; i++)
	{
		uint32 length = pg_hton32(VARSIZE_ANY_EXHDR(identifiers[i]));

		if (i > 0 && compare_bytes(identifiers[i - 1], identifiers[i]) == 0)
			continue;
		if (pg_cryptohash_update(hash, (uint8 *) &length, sizeof(length)) < 0 ||
			pg_cryptohash_update(hash, (uint8 *) VARDATA_ANY(identifiers[i]),
								 VARSIZE_ANY_EXHDR(identifiers[i])) < 0)
			hash_failed();
	}
	if (pg_cryptohash_update(hash, (uint8 *) &number, sizeof(number)) < 0 ||
		pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		hash_failed();
	pg_cryptohash_free(hash);
	hex_encode((char *) digest, sizeof(digest), digits);
	return cstring_to_text_with_len(digits, sizeof(digits));
}

static VarlenaPointer *
varlenas(Datum *values, bool *nulls, int n, int *count)
{
	VarlenaPointer *result = palloc_extended(Max(n, 1) * sizeof(VarlenaPointer), MCXT_ALLOC_HUGE);

	*count = 0;
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			result[(*count)++] = PG_DETOAST_DATUM_PACKED(values[i]);
	return result;
}

PG_FUNCTION_INFO_V1(identity_evidence_key);
Datum
identity_evidence_key(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0); /* however many dimensions it has */
	Datum *values;
	bool *nulls;
	int n;
	VarlenaPointer *identifiers;

	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT, &values, &nulls, &n);
	identifiers = varlenas(values, nulls, n, &n);
	PG_RETURN_TEXT_P(evidence_key(identifiers, n, PG_GETARG_TIMESTAMPTZ(1)));
}

static void
not_observations(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("observations must be rows of identifiers, a time, source and key")));
}

/* What grows with what is given */
typedef struct Given
{
	Datum *numbers;
	Datum *identifiers;
	int n;
	int room;
} Given;

static void
give(Given *given, int number, Datum identifier)
{
	if (given->n == given->room)
	{
		given->room = given->room == 0 ? 1024 : 2 * given->room;
		given->numbers = given->numbers == NULL
							 ? palloc_extended(given->room * sizeof(Datum), MCXT_ALLOC_HUGE)
							 : repalloc_huge(given->numbers, given->room * sizeof(Datum));
		given->identifiers = given->identifiers == NULL
								 ? palloc_extended(given->room * sizeof(Datum), MCXT_ALLOC_HUGE)
								 : repalloc_huge(given->identifiers, given->room * sizeof(Datum));
	}
	given->numbers[given->n] = Int32GetDatum(number);
	given->identifiers[given->n++] = identifier;
}

/*
 * Observations are rows of identifiers, time, source and key. Parallel arrays: of each
 * identifier the number of its observation; of each observation its time, source and
 * key, which is made if there are several identifiers and none is given.  The number of
 * the first that is no observation; 0: all are.
 */
PG_FUNCTION_INFO_V1(identity_observations);
Datum
identity_observations(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	TupleDesc descriptor;
	TupleDesc row = NULL;
	Oid row_type = InvalidOid;
	int32 row_typmod = -1;
	Datum *rows;
	bool *no_row;
	int n;
	Given given = {0};
	Datum *times;
	Datum *sources;
	Datum *keys;
	bool *no_key;
	int wrong = 0;
	Oid type;
	Datum result[6];
	bool nulls[6] = {false};
	int16 len;
	bool byval;
	char align;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	type = get_element_type(TupleDescAttr(descriptor, 1)->atttypid);
	if (!type_is_rowtype(ARR_ELEMTYPE(array)))
		not_observations();
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &len, &byval, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), len, byval, align, &rows, &no_row, &n);
	times = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	sources = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	keys = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	no_key = palloc_extended(Max(n, 1) * sizeof(bool), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n && wrong == 0; i++)
	{
		HeapTupleHeader header;
		HeapTupleData tuple = {0};
		Datum values[MaxTupleAttributeNumber];
		bool none[MaxTupleAttributeNumber];
		Datum *elements;
		bool *no_element;
		int count;

		check_interrupts_sometimes(i);
		wrong = i + 1;
		if (no_row[i])
			break;
		header = DatumGetHeapTupleHeader(rows[i]);
		if (row == NULL || HeapTupleHeaderGetTypeId(header) != row_type ||
			HeapTupleHeaderGetTypMod(header) != row_typmod)
		{
			if (row)
				ReleaseTupleDesc(row);
			row_type = HeapTupleHeaderGetTypeId(header);
			row_typmod = HeapTupleHeaderGetTypMod(header);
			row = lookup_rowtype_tupdesc(row_type, row_typmod);
			if (row->natts < 4 ||
				TupleDescAttr(row, 0)->atttypid != TupleDescAttr(descriptor, 1)->atttypid ||
				TupleDescAttr(row, 1)->atttypid != TIMESTAMPTZOID ||
				TupleDescAttr(row, 2)->atttypid != TEXTOID ||
				TupleDescAttr(row, 3)->atttypid != TEXTOID)
				ereport(
					ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("observations must be rows of identifiers, a time, source and key")));
		}
		tuple.t_len = HeapTupleHeaderGetDatumLength(header);
		tuple.t_data = header;
		heap_deform_tuple(&tuple, row, values, none);
		if (none[0] || none[1] || TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(values[1])) ||
			(none[2] && !none[3]))
			break;
		deconstruct_array(DatumGetArrayTypeP(values[0]), type, -1, false, TYPALIGN_INT, &elements,
						  &no_element, &count);
		if (count == 0)
			break;
		for (int j = 0; j < count; j++)
		{
			if (no_element[j])
				goto done;
			give(&given, i + 1, elements[j]);
		}
		times[i] = values[1];
		sources[i] = none[2] ? CStringGetTextDatum("sql") : values[2];
		keys[i] = values[3];
		no_key[i] = none[3] && count < 2;
		if (none[3] && count > 1)
		{
			VarlenaPointer *identifiers = varlenas(elements, no_element, count, &count);

			keys[i] =
				PointerGetDatum(evidence_key(identifiers, count, DatumGetTimestampTz(values[1])));
			pfree(identifiers);
		}
		pfree(elements);
		pfree(no_element);
		wrong = 0;
	}
done:
	if (row)
		ReleaseTupleDesc(row);
	if (wrong != 0)
		n = given.n = 0;
	result[0] = make_array(given.numbers, NULL, given.n, INT4OID);
	result[1] = make_array(given.identifiers, NULL, given.n, type);
	result[2] = make_array(times, NULL, n, TIMESTAMPTZOID);
	result[3] = make_array(sources, NULL, n, TEXTOID);
	result[4] = make_array(keys, no_key, n, TEXTOID);
	result[5] = Int32GetDatum(wrong);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), result, nulls)));
}
