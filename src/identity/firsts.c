/*
 * firsts.c
 *		The first identity of each observation, and its customer.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "identity/arrays.h"
#include "identity/components.h"
#include "identity/firsts.h"
#include "identity/namespaces.h"

void
firsts_init(Firsts *firsts, const Datum *numbers, int given)
{
	firsts->n = 0;
	for (int i = 0; i < given; i++)
		firsts->n = Max(firsts->n, DatumGetInt32(numbers[i]));
	firsts->customers = palloc_many(firsts->n, sizeof(Datum));
	firsts->identities = palloc_many(firsts->n, sizeof(Datum));
	firsts->none = palloc_many(firsts->n, sizeof(bool));
	memset(firsts->none, true, firsts->n);
}

bool
find_first(Firsts *firsts, int number, const Datum *places, int from, int until, const Rank *ranks)
{
	const Rank *best = NULL;
	const Rank *first = NULL;
	bool depends = false;

	for (int i = from; i < until; i++)
	{
		const Rank *rank = &ranks[DatumGetInt32(places[i]) - 1];

		if (best == NULL || rank->class < best->class)
		{
			best = first = rank;
			depends = false;
		}
		else if (rank->class == best->class && rank->node != best->node)
		{
			depends |= rank->customer != best->customer;
			if (compare_bytes(rank->node, best->node) < 0)
				best = rank;
		}
	}
	firsts->customers[number - 1] = Int64GetDatum(best->customer);
	firsts->identities[number - 1] = Int64GetDatum(first->id);
	firsts->none[number - 1] = false;
	return depends;
}

PG_FUNCTION_INFO_V1(identity_firsts);
Datum
identity_firsts(PG_FUNCTION_ARGS)
{
	Datum *numbers;
	Datum *places;
	Datum *nodes;
	Datum *classes;
	Datum *customers;
	Datum *ids;
	int n = plain_array(fcinfo, 2, &nodes);
	int given = places_argument(fcinfo, &numbers, &places, n);
	Rank *ranks = palloc_many(n, sizeof(Rank));
	Firsts firsts;
	TupleDesc descriptor;
	Datum result[2];
	bool nulls[2] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_parallel(n, plain_array(fcinfo, 3, &classes));
	check_parallel(n, plain_array(fcinfo, 4, &customers));
	check_parallel(n, plain_array(fcinfo, 5, &ids));
	for (int i = 0; i < n; i++)
		ranks[i] = (Rank) {DatumGetInt64(classes[i]), PG_DETOAST_DATUM_PACKED(nodes[i]),
						   DatumGetInt64(customers[i]), DatumGetInt64(ids[i])};
	firsts_init(&firsts, numbers, given);
	for (int i = 0, next; i < given; i = next)
	{
		check_interrupts_sometimes(i);
		next = run_end(numbers, given, i);
		find_first(&firsts, DatumGetInt32(numbers[i]), places, i, next, ranks);
	}
	result[0] = make_array(firsts.customers, firsts.none, firsts.n, INT8OID);
	result[1] = make_array(firsts.identities, firsts.none, firsts.n, INT8OID);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), result, nulls)));
}

/*
 * The same, where nodes are not at hand but in the same namespaces: classes are by these
 * and by who is usable. NULL if a customer depends on the order of nodes.
 */
PG_FUNCTION_INFO_V1(identity_likely_firsts);
Datum
identity_likely_firsts(PG_FUNCTION_ARGS)
{
	Datum *numbers;
	Datum *places;
	Datum *identifiers;
	Datum *priorities;
	Datum *usable;
	Datum *customers;
	Datum *ids;
	int n = plain_array(fcinfo, 2, &identifiers);
	int given = places_argument(fcinfo, &numbers, &places, n);
	Rank *ranks = palloc_many(n, sizeof(Rank));
	Namespaces spaces;
	Firsts firsts;
	TupleDesc descriptor;
	Datum result[2] = {0};
	bool nulls[2] = {false};
	bool depends = false;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	namespaces_argument(fcinfo, 3, &spaces);
	check_parallel(spaces.n, plain_array(fcinfo, 4, &priorities));
	check_parallel(n, plain_array(fcinfo, 5, &usable));
	check_parallel(n, plain_array(fcinfo, 6, &customers));
	check_parallel(n, plain_array(fcinfo, 7, &ids));
	for (int i = 0; i < n; i++)
	{
		struct varlena *identifier = PG_DETOAST_DATUM_PACKED(identifiers[i]);
		int32 priority = DatumGetInt32(priorities[namespace_of(&spaces, identifier)]);

		ranks[i] = (Rank) {class_of(DatumGetBool(usable[i]), priority), identifier,
						   DatumGetInt64(customers[i]), DatumGetInt64(ids[i])};
	}
	firsts_init(&firsts, numbers, given);
	for (int i = 0, next; i < given && !depends; i = next)
	{
		check_interrupts_sometimes(i);
		next = run_end(numbers, given, i);
		depends = find_first(&firsts, DatumGetInt32(numbers[i]), places, i, next, ranks);
	}
	nulls[0] = nulls[1] = depends;
	if (!depends)
	{
		result[0] = make_array(firsts.customers, firsts.none, firsts.n, INT8OID);
		result[1] = make_array(firsts.identities, firsts.none, firsts.n, INT8OID);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), result, nulls)));
}
