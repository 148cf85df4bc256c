/*
 * places.c
 *		What a hub asks of many identifiers at once, in arrays.
 *
 * A large call names most identifiers more than once.  So it works with those that
 * differ, in the order of their index, and with the place that each has among them:
 * what was found out about one is looked up in an array, not in a table or a join.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "compat.h"
#include "funcapi.h"
#include "identity/arrays.h"
#include "identity/components.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

typedef struct Entry
{
	struct varlena *identifier;
	TimestampTz first;
	TimestampTz last;
	int32 place;
	bool timed;
} Entry;

typedef Entry *EntryPointer;

static int
compare_entries(const Entry *a, const Entry *b)
{
	return compare_bytes(a->identifier, b->identifier);
}

#define ST_SORT sort_entries
#define ST_ELEMENT_TYPE EntryPointer
#define ST_COMPARE(a, b) compare_entries(*(a), *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Those of some identifiers that differ, in their order; the place each has among
 * them; and the least and the greatest time of each.
 */
PG_FUNCTION_INFO_V1(identifier_places);
Datum
identifier_places(PG_FUNCTION_ARGS)
{
	Datum *values;
	Datum *times;
	bool *nulls;
	bool *no_times;
	Oid type;
	Oid time_type;
	int n = array_elements(fcinfo, 0, &type, &values, &nulls);
	int ntimes = array_elements(fcinfo, 1, &time_type, &times, &no_times);
	uint32 mask = pg_nextpower2_32(Max(n, 1)) * 2 - 1;
	int32 *slots =
		palloc_extended(((size_t) mask + 1) * sizeof(int32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	Entry *entries = palloc_extended(Max(n, 1) * sizeof(Entry), MCXT_ALLOC_HUGE);
	Entry **order = palloc_extended(Max(n, 1) * sizeof(Entry *), MCXT_ALLOC_HUGE);
	int32 *found = palloc_extended(Max(n, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	int count = 0;
	TupleDesc descriptor;
	Datum result[4];
	bool result_nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_parallel(n, ntimes);
	for (int i = 0; i < n; i++)
	{
		Entry new = {.timed = !no_times[i]};
		uint32 slot;
		Entry *entry;

		check_interrupts_sometimes(i);
		if (nulls[i])
			continue;
		new.identifier = PG_DETOAST_DATUM_PACKED(values[i]);
		slot = hash_bytes((unsigned char *) VARDATA_ANY(new.identifier),
						  VARSIZE_ANY_EXHDR(new.identifier)) &
			   mask;
		while (slots[slot] != 0 && compare_entries(&entries[slots[slot] - 1], &new) != 0)
			slot = (slot + 1) & mask;
		if (slots[slot] == 0)
		{
			new.first = new.last = new.timed ? DatumGetTimestampTz(times[i]) : 0;
			order[count] = &entries[count];
			entries[count] = new;
			slots[slot] = ++count;
		}
		found[i] = slots[slot] - 1;
		entry = &entries[found[i]];
		if (new.timed)
		{
			TimestampTz time = DatumGetTimestampTz(times[i]);

			entry->first = entry->timed ? Min(entry->first, time) : time;
			entry->last = entry->timed ? Max(entry->last, time) : time;
			entry->timed = true;
		}
	}
	sort_entries(order, count);
	for (int i = 0; i < count; i++)
		order[i]->place = i + 1;

	for (int i = 0; i < n; i++)
		values[i] = nulls[i] ? 0 : Int32GetDatum(entries[found[i]].place);
	result[1] = make_array(values, nulls, n, INT4OID);
	for (int i = 0; i < count; i++)
	{
		values[i] = PointerGetDatum(order[i]->identifier);
		nulls[i] = false;
	}
	result[0] = make_array(values, nulls, count, type);
	for (int i = 0; i < count; i++)
	{
		values[i] = TimestampTzGetDatum(order[i]->first);
		times[i] = TimestampTzGetDatum(order[i]->last);
		no_times[i] = !order[i]->timed;
	}
	result[2] = make_array(values, no_times, count, TIMESTAMPTZOID);
	result[3] = make_array(times, no_times, count, TIMESTAMPTZOID);
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), result, result_nulls)));
}

/* Elements by their places, from 1; none where there is no such place. */
PG_FUNCTION_INFO_V1(journey_elements_at);
Datum
journey_elements_at(PG_FUNCTION_ARGS)
{
	Datum *values;
	Datum *places;
	bool *nulls;
	bool *no_places;
	Oid type;
	Oid place_type;
	int n = array_elements(fcinfo, 0, &type, &values, &nulls);
	int count = array_elements(fcinfo, 1, &place_type, &places, &no_places);
	Datum *picked = palloc_extended(Max(count, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);

	for (int i = 0; i < count; i++)
	{
		int32 place = no_places[i] ? 0 : DatumGetInt32(places[i]);

		check_interrupts_sometimes(i);
		no_places[i] = place < 1 || place > n || nulls[place - 1];
		picked[i] = no_places[i] ? 0 : values[place - 1];
	}
	PG_RETURN_DATUM(make_array(picked, no_places, count, type));
}

static int
compare_int64(const int64 *a, const int64 *b)
{
	return (*a > *b) - (*a < *b);
}

#define ST_SORT sort_int64
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) compare_int64(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* One of the sets that belong to numbers, and what its evidence is called. */
typedef struct NumberSet
{
	int32 number;
	int32 size;
	int64 *ids; /* in order */
	struct varlena *source;
	struct varlena *key;
} NumberSet;

static int
compare_keys(const NumberSet *a, const NumberSet *b)
{
	int cmp = a->source == b->source ? 0 : compare_bytes(a->source, b->source);

	return cmp != 0 ? cmp : compare_bytes(a->key, b->key);
}

static int
compare_sets(const NumberSet *a, const NumberSet *b)
{
	int cmp = compare_keys(a, b);

	return cmp != 0 ? cmp : (a->number > b->number) - (a->number < b->number);
}

#define ST_SORT sort_sets
#define ST_ELEMENT_TYPE NumberSet
#define ST_COMPARE(a, b) compare_sets(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Of each run of one number the values that go with it, each once, in order; of
 * those there are two or more of.
 */
static NumberSet *
number_sets(FunctionCallInfo fcinfo, int *count)
{
	Datum *numbers;
	Datum *ids;
	bool *no_numbers;
	bool *no_ids;
	Oid type;
	int n = array_elements(fcinfo, 0, &type, &numbers, &no_numbers);
	int64 *found = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	NumberSet *sets = palloc_extended((n / 2 + 1) * sizeof(NumberSet), MCXT_ALLOC_HUGE);

	check_parallel(n, array_elements(fcinfo, 1, &type, &ids, &no_ids));
	*count = 0;
	for (int i = 0, next; i < n; i = next)
	{
		int size = 0;
		int distinct = 0;

		CHECK_FOR_INTERRUPTS();
		for (next = i; next < n && no_numbers[next] == no_numbers[i] &&
					   (no_numbers[i] || DatumGetInt32(numbers[next]) == DatumGetInt32(numbers[i]));
			 next++)
			if (!no_ids[next])
				found[size++] = DatumGetInt64(ids[next]);
		if (no_numbers[i] || size < 2)
			continue;
		sort_int64(found, size);
		for (int j = 0; j < size; j++)
			if (j == 0 || found[j] != found[distinct - 1])
				found[distinct++] = found[j];
		if (distinct < 2)
			continue;
		sets[(*count)++] = (NumberSet) {DatumGetInt32(numbers[i]), distinct, found};
		found += distinct;
	}
	return sets;
}

static ArrayType *
ids_array(const NumberSet *set)
{
	Size size = ARR_OVERHEAD_NONULLS(1) + set->size * sizeof(int64);
	ArrayType *array = palloc(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = INT8OID;
	ARR_DIMS(array)[0] = set->size;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), set->ids, set->size * sizeof(int64));
	return array;
}

PG_FUNCTION_INFO_V1(identity_sets);
Datum
identity_sets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int n;
	NumberSet *sets = number_sets(fcinfo, &n);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		ArrayType *array = ids_array(&sets[i]);
		Datum values[2] = {Int32GetDatum(sets[i].number), PointerGetDatum(array)};
		bool nulls[2] = {false, false};

		check_interrupts_sometimes(i);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		pfree(array);
	}
	return (Datum) 0;
}

/*
 * The same, with source, key and time of each number, in the order of sources and keys;
 * and whether it is not the first of its key.
 */
PG_FUNCTION_INFO_V1(identity_evidence);
Datum
identity_evidence(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int n;
	NumberSet *sets = number_sets(fcinfo, &n);
	Datum *columns[3]; /* sources, keys, times */
	bool *nulls[3];
	int count = 0;

	for (int k = 0; k < 3; k++)
	{
		Oid type;
		int length = array_elements(fcinfo, 2 + k, &type, &columns[k], &nulls[k]);

		if (k > 0)
			check_parallel(count, length);
		count = length;
	}
	for (int i = 0; i < n; i++)
	{
		int at = sets[i].number - 1;

		if (at < 0 || at >= count || nulls[0][at] || nulls[1][at] || nulls[2][at])
			ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
							errmsg("number %d has no source, key or time", at + 1)));
		sets[i].source = PG_DETOAST_DATUM_PACKED(columns[0][at]);
		sets[i].key = PG_DETOAST_DATUM_PACKED(columns[1][at]);
	}
	sort_sets(sets, n);
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		ArrayType *array = ids_array(&sets[i]);
		Datum values[6] = {Int32GetDatum(sets[i].number),
						   PointerGetDatum(array),
						   PointerGetDatum(sets[i].source),
						   PointerGetDatum(sets[i].key),
						   columns[2][sets[i].number - 1],
						   BoolGetDatum(i > 0 && compare_keys(&sets[i - 1], &sets[i]) == 0)};
		bool none[6] = {false};

		check_interrupts_sometimes(i);
		tuplestore_putvalues(result->setResult, result->setDesc, values, none);
		pfree(array);
	}
	return (Datum) 0;
}
