/*
 * groups.c
 *		Where nodes are, and what new evidence connects: sets of numbers, and what goes
 *		with them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "identity/arrays.h"
#include "identity/components.h"

typedef struct Pair
{
	int64 key;
	int64 value;
} Pair;

static int
compare_pairs(const Pair *a, const Pair *b)
{
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

#define ST_SORT sort_pairs
#define ST_ELEMENT_TYPE Pair
#define ST_COMPARE(a, b) compare_pairs(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct Set
{
	Pair *pairs;
	int n;
} Set;

/* Of an argument, with other values of one as long; NULL elements are left out. */
static Set
set_argument(FunctionCallInfo fcinfo, int argument, bool wide, const Datum *values)
{
	Datum *keys;
	bool *nulls;
	Oid type;
	int n = array_elements(fcinfo, argument, &type, &keys, &nulls);
	Set set = {palloc_many(n, sizeof(Pair)), 0};

	for (int i = 0; i < n; i++)
		if (!nulls[i])
			set.pairs[set.n++] = (Pair) {wide ? DatumGetInt64(keys[i]) : DatumGetInt32(keys[i]),
										 values ? DatumGetInt64(values[i]) : 0};
	sort_pairs(set.pairs, set.n);
	return set;
}

/* The first of a key, or NULL. */
static const Pair *
set_find(const Set *set, int64 key)
{
	int low = 0;
	int high = set->n;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (set->pairs[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->n && set->pairs[low].key == key ? &set->pairs[low] : NULL;
}

/* The places of those of some numbers that are not among others. */
PG_FUNCTION_INFO_V1(identity_places_without);
Datum
identity_places_without(PG_FUNCTION_ARGS)
{
	Datum *nodes;
	int n = plain_array(fcinfo, 0, &nodes);
	Set fresh = set_argument(fcinfo, 1, true, NULL);
	Datum *places = palloc_many(n, sizeof(Datum));
	int count = 0;

	for (int i = 0; i < n; i++)
		if (set_find(&fresh, DatumGetInt64(nodes[i])) == NULL)
			places[count++] = Int32GetDatum(i + 1);
	PG_RETURN_DATUM(make_array(places, NULL, count, INT4OID));
}

/*
 * Where nodes are: those that are new where they were put, whose component is that of
 * their customer if that was there; the others where they were found.
 */
PG_FUNCTION_INFO_V1(identity_whereabouts);
Datum
identity_whereabouts(PG_FUNCTION_ARGS)
{
	Datum *nodes;
	Datum *given_to;
	Datum *usable;
	Datum *found_customers;
	Datum *found_components;
	Datum *found_usable;
	bool *nulls;
	bool *no_component;
	bool *none;
	Oid type;
	int n = plain_array(fcinfo, 0, &nodes);
	Set fresh = set_argument(fcinfo, 1, true, NULL);
	Set customers;
	Datum *components = palloc_many(n, sizeof(Datum));
	int nfound;
	int k = 0;
	TupleDesc descriptor;
	Datum result[3];
	bool result_nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_parallel(n, array_elements(fcinfo, 2, &type, &given_to, &nulls));
	check_parallel(n, plain_array(fcinfo, 3, &usable));
	nfound = plain_array(fcinfo, 4, &found_customers);
	check_parallel(nfound, array_elements(fcinfo, 5, &type, &found_components, &no_component));
	check_parallel(nfound, plain_array(fcinfo, 6, &found_usable));
	none = palloc_many(n, sizeof(bool));
	customers.pairs = palloc_many(nfound, sizeof(Pair));
	customers.n = 0;
	for (int i = 0; i < nfound; i++)
		if (!no_component[i])
			customers.pairs[customers.n++] =
				(Pair) {DatumGetInt64(found_customers[i]), DatumGetInt64(found_components[i])};
	sort_pairs(customers.pairs, customers.n);
	for (int i = 0; i < n; i++)
	{
		check_interrupts_sometimes(i);
		if (set_find(&fresh, DatumGetInt64(nodes[i])) != NULL)
		{
			const Pair *pair = set_find(&customers, DatumGetInt64(given_to[i]));

			none[i] = pair == NULL;
			components[i] = pair ? Int64GetDatum(pair->value) : 0;
		}
		else
		{
			if (k == nfound)
				check_parallel(nfound, k + 1);
			given_to[i] = found_customers[k];
			usable[i] = found_usable[k];
			none[i] = no_component[k];
			components[i] = found_components[k];
			k++;
		}
	}
	check_parallel(nfound, k);
	result[0] = make_array(given_to, NULL, n, INT8OID);
	result[1] = make_array(components, none, n, INT8OID);
	result[2] = make_array(usable, NULL, n, BOOLOID);
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), result, result_nulls)));
}

/*
 * What new evidence connects: components, the first one of what each becomes part of,
 * and how many new nodes each has.
 */
PG_FUNCTION_INFO_V1(identity_groups);
Datum
identity_groups(PG_FUNCTION_ARGS)
{
	Datum *numbers;
	Datum *places;
	Datum *nodes;
	Datum *customers;
	Datum *components;
	Datum *usable;
	Datum *together;
	bool *is_new; /* the component is its customer */
	Oid type;
	int n = plain_array(fcinfo, 2, &nodes);
	int given = places_argument(fcinfo, &numbers, &places, n);
	Set added = set_argument(fcinfo, 6, false, NULL);
	Set fresh = set_argument(fcinfo, 7, true, NULL);
	Set others = set_argument(fcinfo, 8, true, NULL);
	Set shared_now = set_argument(fcinfo, 9, true, NULL);
	int ntogether = plain_array(fcinfo, 10, &together);
	Pair *grown = palloc_many(n, sizeof(Pair));
	int ngrown = 0;
	Components all;
	ComponentNode *list;
	Datum *columns[3];
	TupleDesc descriptor;
	Datum result[3];
	bool nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_parallel(n, plain_array(fcinfo, 3, &customers));
	check_parallel(n, array_elements(fcinfo, 4, &type, &components, &is_new));
	check_parallel(n, plain_array(fcinfo, 5, &usable));
	components_init(&all, CurrentMemoryContext);
	for (int i = 0; i < n; i++)
	{
		int64 node = DatumGetInt64(nodes[i]);

		check_interrupts_sometimes(i);
		if (is_new[i])
			components[i] = customers[i];
		if (is_new[i] || set_find(&others, node) != NULL)
			components_number(&all, DatumGetInt64(components[i]));
		if (set_find(&fresh, node) != NULL)
			grown[ngrown++] = (Pair) {DatumGetInt64(components[i]), node};
	}
	for (int i = 0, next; i < given; i = next)
	{
		uint32 vertex = 0;

		check_interrupts_sometimes(i);
		next = run_end(numbers, given, i);
		if (set_find(&added, DatumGetInt32(numbers[i])) == NULL)
			continue;
		for (int j = i; j < next; j++)
		{
			int place = DatumGetInt32(places[j]) - 1;
			uint32 number;

			if (!DatumGetBool(usable[place]))
				continue;
			number = components_number(&all, DatumGetInt64(components[place]));
			if (set_find(&shared_now, DatumGetInt64(nodes[place])) == NULL)
				vertex = vertex == 0 ? number : components_join(&all, vertex, number);
		}
	}
	for (int i = 1; i < ntogether; i++)
		components_join(&all, components_number(&all, DatumGetInt64(together[0])),
						components_number(&all, DatumGetInt64(together[i])));
	if (ntogether == 1)
		components_number(&all, DatumGetInt64(together[0]));

	sort_pairs(grown, ngrown);
	list = palloc_many(all.n, sizeof(ComponentNode));
	components_list(&all, NULL, list);
	for (int k = 0; k < 3; k++)
		columns[k] = palloc_many(all.n, sizeof(Datum));
	for (int i = 0; i < all.n; i++)
	{
		Set set = {grown, ngrown};
		const Pair *pair = set_find(&set, list[i].node);
		int64 count = 0;

		for (; pair != NULL && pair < grown + ngrown && pair->key == list[i].node; pair++)
			count += pair == grown || compare_pairs(pair - 1, pair) != 0;
		columns[0][i] = Int64GetDatum(list[i].node);
		columns[1][i] = Int64GetDatum(list[i].component);
		columns[2][i] = Int64GetDatum(count);
	}
	for (int k = 0; k < 3; k++)
		result[k] = make_array(columns[k], NULL, all.n, INT8OID);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), result, nulls)));
}
