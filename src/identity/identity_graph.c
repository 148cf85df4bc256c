/*
 * identity_graph.c
 *		SQL face of graph.h.
 *
 * Links and rules come as arrays, one for each column.
 */
#include "postgres.h"

#include "compat.h"
#include "funcapi.h"
#include "identity/graph.h"
#include "utils/array.h"

/* The elements of an argument, which is bigint[] or integer[] */
typedef struct Column
{
	const char *name;
	uint32 n;
	const void *values;
} Column;

static Column
column(FunctionCallInfo fcinfo, int arg, const char *name)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(arg);

	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must have one dimension", name),
						errdetail("It has %d.", ARR_NDIM(array))));
	if (array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("\"%s\" must not contain nulls", name)));
	return (Column) {name, ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)), ARR_DATA_PTR(array)};
}

static void
check_same_length(const Column *a, const Column *b)
{
	if (a->n != b->n)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" and \"%s\" must have the same length", a->name, b->name),
						errdetail("\"%s\" has %u elements, \"%s\" has %u.", a->name, a->n, b->name,
								  b->n)));
}

static Links
links_argument(FunctionCallInfo fcinfo)
{
	Column a = column(fcinfo, 0, "a");
	Column b = column(fcinfo, 1, "b");

	check_same_length(&a, &b);
	return (Links) {a.n, a.values, b.values};
}

static ConflictRules
rules_argument(FunctionCallInfo fcinfo)
{
	Column members = column(fcinfo, 2, "members");
	Column groups = column(fcinfo, 3, "groups");
	Column limits = column(fcinfo, 4, "limits");
	Column apart_a = column(fcinfo, 5, "apart_a");
	Column apart_b = column(fcinfo, 6, "apart_b");
	int32 facts = PG_GETARG_INT32(7);
	Column valued = column(fcinfo, 8, "valued");
	Column attributes = column(fcinfo, 9, "attributes");
	Column values = column(fcinfo, 10, "values");
	ConflictRules rules = {limits.n,  limits.values,  members.n,      members.values,    groups.values,
				   apart_a.n, apart_a.values, apart_b.values, Max(facts, 0),     valued.n,
				   valued.values, attributes.values, values.values};

	check_same_length(&valued, &attributes);
	check_same_length(&valued, &values);
	check_same_length(&members, &groups);
	check_same_length(&apart_a, &apart_b);
	for (uint32 i = 0; i < rules.nmembers; i++)
	{
		check_interrupts_sometimes(i);
		if (rules.groups[i] < 1 || rules.groups[i] > rules.nlimits)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("group %d does not exist", rules.groups[i]),
							errdetail("\"limits\" has %u elements.", rules.nlimits)));
	}
	for (uint32 i = 0; i < rules.nlimits; i++)
	{
		check_interrupts_sometimes(i);
		if (rules.limits[i] < 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("limit of group %u must not be negative", i + 1),
							errdetail("It is %d.", rules.limits[i])));
	}
	for (uint32 i = 0; i < rules.nvalues; i++)
	{
		check_interrupts_sometimes(i);
		if (rules.attributes[i] < 1)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("attribute %d does not exist", rules.attributes[i]),
							errdetail("They are numbered from 1.")));
	}
	return rules;
}

PG_FUNCTION_INFO_V1(identity_conflicts);
Datum
identity_conflicts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Links links = links_argument(fcinfo);
	ConflictRules rules = rules_argument(fcinfo);
	uint32 *attributes;
	uint32 *broken = graph_conflicts(&links, &rules, &attributes);

	InitMaterializedSRF(fcinfo, 0);
	for (uint32 i = 0; i < links.n; i++)
	{
		Datum values[3] = {Int32GetDatum(i + 1), Int32GetDatum(broken[i]),
						   Int32GetDatum(attributes[i])};
		bool nulls[3] = {false, broken[i] == GRAPH_APART, attributes[i] == 0};

		check_interrupts_sometimes(i);
		if (broken[i] != 0)
			tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(identity_path);
Datum
identity_path(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Links links = links_argument(fcinfo);
	Column a = {"a", links.n, links.a};
	Column costs = column(fcinfo, 2, "costs");
	const int32 *cost = costs.values;
	uint32 *path;
	uint32 n;
	bool null = false;

	check_same_length(&a, &costs);
	for (uint32 i = 0; i < costs.n; i++)
	{
		check_interrupts_sometimes(i);
		if (cost[i] < 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("cost of link %u must not be negative", i + 1),
							errdetail("It is %d.", cost[i])));
	}
	n = graph_path(&links, cost, PG_GETARG_INT64(3), PG_GETARG_INT64(4), &path);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	for (uint32 i = 0; i < n; i++)
	{
		Datum position = Int32GetDatum(path[i] + 1);

		check_interrupts_sometimes(i);
		tuplestore_putvalues(set->setResult, set->setDesc, &position, &null);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(identity_bridges);
Datum
identity_bridges(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Links links = links_argument(fcinfo);
	uint32 *sides = graph_bridges(&links);

	InitMaterializedSRF(fcinfo, 0);
	for (uint32 i = 0; i < links.n; i++)
	{
		Datum values[2] = {Int32GetDatum(i + 1), Int64GetDatum(sides[i])};
		bool nulls[2] = {false, false};

		check_interrupts_sometimes(i);
		if (sides[i] != 0)
			tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	return (Datum) 0;
}
