/*
 * newcomers.c
 *		What a hub makes of identifiers that it does not know, many at once.
 *
 * They are numbered, those that observations connect are put together, and found is
 * which of these groups are customers as they are: those of which nobody was known, and
 * no rule minds.  The others are left to the law.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "funcapi.h"
#include "identity/arrays.h"
#include "identity/components.h"
#include "identity/firsts.h"
#include "identity/namespaces.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

/* What an identity is, as look_up of a hub tells */
#define FLAG_BLOCKED 1
#define FLAG_SHARED 2

/* An identifier: one that came in, or the normal form of such a one. */
typedef struct Person
{
	struct varlena *identifier;
	int64 id;
	int64 node;
	int64 customer; /* that it has; 0: it is to get one */
	int32 form;     /* which of them is its normal form */
	int32 space;
	int32 flags;
	bool known;
	uint32 vertex; /* of what is connected: its customer or, if that is new, itself; 0: none */
	int32 company; /* union-find of all that are named together */
	int32 named;   /* of a node: how many observations name it, or more */
} Person;

/* What is connected, by the number of its root. */
typedef struct Joined
{
	int64 first; /* the smallest number */
	int32 nodes;
	bool told;
} Joined;

typedef struct Newcomers
{
	Datum *numbers;
	Datum *places;
	int given;
	Person *persons;
	int n;     /* of those that came in; places are theirs */
	int total; /* and other normal forms */
	Components components;
	Joined *groups;
	bool *minded; /* companies that are for the law, by their root */
} Newcomers;

static int
company_of(Person *persons, int i)
{
	while (persons[i].company != i)
		i = persons[i].company = persons[persons[i].company].company;
	return i;
}

static void
accompany(Person *persons, int a, int b)
{
	a = company_of(persons, a);
	b = company_of(persons, b);
	persons[Max(a, b)].company = Min(a, b);
}

static inline bool
is_usable(const Person *p)
{
	return !(p->flags & (FLAG_BLOCKED | FLAG_SHARED));
}

static inline bool
is_new_node(const Person *p, int i)
{
	return !p->known && p->form == i;
}

static inline bool
is_minded(const Newcomers *all, int i)
{
	return all->minded[company_of(all->persons, i)];
}

static void
read_persons(FunctionCallInfo fcinfo, Newcomers *all)
{
	Datum *identifiers;
	Datum *ids;
	Datum *nodes;
	Datum *customers;
	Datum *flags;
	Datum *forms;
	Datum *blocked;
	Datum *new_ids;
	bool *unknown;
	bool *nulls;
	bool *no_form;
	Oid type;
	Namespaces spaces;
	int fresh = 0;
	int nnew;

	all->total = plain_array(fcinfo, 2, &identifiers);
	check_parallel(all->total, array_elements(fcinfo, 3, &type, &ids, &unknown));
	check_parallel(all->total, array_elements(fcinfo, 4, &type, &nodes, &nulls));
	check_parallel(all->total, array_elements(fcinfo, 5, &type, &customers, &nulls));
	check_parallel(all->total, array_elements(fcinfo, 6, &type, &flags, &nulls));
	all->n = array_elements(fcinfo, 7, &type, &forms, &no_form);
	check_parallel(all->n, array_elements(fcinfo, 8, &type, &blocked, &nulls));
	nnew = plain_array(fcinfo, 9, &new_ids);
	namespaces_argument(fcinfo, 10, &spaces);
	if (all->n > all->total)
		check_parallel(all->n, all->total);
	all->persons = palloc_many(all->total, sizeof(Person));
	for (int i = 0; i < all->total; i++)
	{
		Person *p = &all->persons[i];

		p->identifier = PG_DETOAST_DATUM_PACKED(identifiers[i]);
		p->company = p->form = i;
		p->known = !unknown[i];
		if (p->known)
		{
			p->id = DatumGetInt64(ids[i]);
			p->node = DatumGetInt64(nodes[i]);
			p->customer = DatumGetInt64(customers[i]);
			p->flags = DatumGetInt32(flags[i]);
		}
		else if (fresh < nnew)
		{
			p->id = p->node = DatumGetInt64(new_ids[fresh]);
			p->space = namespace_of(&spaces, p->identifier);
			fresh++;
		}
		else
			check_parallel(fresh + 1, nnew);
	}
	for (int i = 0; i < all->n; i++)
	{
		Person *p = &all->persons[i];
		Person *form;

		if (p->known)
			continue;
		p->form = no_form[i] ? -1 : DatumGetInt32(forms[i]) - 1;
		if (p->form < 0 || p->form >= all->total)
			ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
							errmsg("there is no place %d", p->form + 1)));
		form = &all->persons[p->form];
		if (!form->known && DatumGetBool(blocked[i]))
			form->flags = FLAG_BLOCKED;
		p->flags = form->flags;
		p->node = form->node;
		p->customer = form->customer;
	}
}

/* Connect what is new, and note all that is named together. */
static void
connect(Newcomers *all, const bool *apart)
{
	Person *persons = all->persons;
	Components *c = &all->components;

	for (int i = 0; i < all->total; i++)
	{
		Person *p = &persons[i];

		check_interrupts_sometimes(i);
		if (p->customer == 0)
			p->vertex = components_number(c, p->id);
		else if (is_usable(p))
			p->vertex = components_number(c, p->customer);
		accompany(persons, i, p->form);
	}
	for (int i = 0; i < all->total; i++)
		if (persons[i].customer == 0 && persons[i].form != i)
			components_join(c, persons[i].vertex, persons[persons[i].form].vertex);
	for (int i = 0, next; i < all->given; i = next)
	{
		int first = DatumGetInt32(all->places[i]) - 1;
		bool is_new = false; /* otherwise it may be a replay */
		uint32 vertex = 0;

		check_interrupts_sometimes(i);
		next = run_end(all->numbers, all->given, i);
		for (int j = i; j < next; j++)
		{
			int place = DatumGetInt32(all->places[j]) - 1;
			Person *p = &persons[place];

			accompany(persons, first, place);
			persons[p->form].named++;
			is_new |= p->customer == 0 && is_usable(p);
		}
		if (!is_new || apart[DatumGetInt32(all->numbers[i]) - 1])
			continue;
		for (int j = i; j < next; j++)
		{
			Person *p = &persons[DatumGetInt32(all->places[j]) - 1];

			if (p->vertex != 0 && is_usable(p))
				vertex = vertex == 0 ? p->vertex : components_join(c, vertex, p->vertex);
		}
	}
}

/* Find the groups, and which companies are for the law. */
static void
judge(FunctionCallInfo fcinfo, Newcomers *all, const bool *apart)
{
	Person *persons = all->persons;
	Components counted; /* of groups the nodes that a limit counts, by group and namespace */
	int32 *counts = palloc_many(all->total + 1, sizeof(int32));
	Datum *limits;
	Datum *shared_above;
	bool *no_limit;
	bool *never_shared;
	Oid type;
	int nspaces = array_elements(fcinfo, 12, &type, &limits, &no_limit);
	int32 above = PG_GETARG_INT32(14);

	check_parallel(nspaces, array_elements(fcinfo, 13, &type, &shared_above, &never_shared));
	all->groups = palloc_many(all->components.n + 1, sizeof(Joined));
	all->minded = palloc_many(all->total, sizeof(bool));
	components_init(&counted, CurrentMemoryContext);
	for (int i = 0; i < all->total; i++)
	{
		Person *p = &persons[i];
		int64 number = p->customer == 0 ? p->id : p->customer;
		uint32 root;
		Joined *group;

		if (p->known)
			all->minded[company_of(persons, i)] = true;
		if (p->vertex == 0)
			continue;
		root = p->vertex = components_root(&all->components, p->vertex);
		group = &all->groups[root];
		if (group->first == 0 || number < group->first)
			group->first = number;
		if (!is_new_node(p, i) || p->space >= nspaces)
			continue;
		group->nodes++;
		if (!no_limit[p->space] &&
			++counts[components_number(&counted, (int64) root * nspaces + p->space)] >
				DatumGetInt32(limits[p->space]))
			all->minded[company_of(persons, i)] = true;
		if (!never_shared[p->space] && p->named > DatumGetInt32(shared_above[p->space]))
			all->minded[company_of(persons, i)] = true;
	}
	for (int i = 0; i < all->total; i++)
		if (persons[i].vertex != 0 && all->groups[persons[i].vertex].nodes > above)
			all->minded[company_of(persons, i)] = true;
	for (int i = 0; i < all->given; i++)
		if (apart[DatumGetInt32(all->numbers[i]) - 1])
			all->minded[company_of(persons, DatumGetInt32(all->places[i]) - 1)] = true;
}

static inline int64
customer_of(const Newcomers *all, const Person *p)
{
	return p->customer == 0 ? all->groups[p->vertex].first : p->customer;
}

/* By place: identity, node, the customer of new ones, and whether it is usable. */
static void
tell_places(const Newcomers *all, Datum *result)
{
	Datum *columns[4];
	bool *none = palloc_many(all->n, sizeof(bool));

	for (int k = 0; k < 4; k++)
		columns[k] = palloc_many(all->n, sizeof(Datum));
	for (int i = 0; i < all->n; i++)
	{
		const Person *p = &all->persons[i];

		columns[0][i] = Int64GetDatum(p->id);
		columns[1][i] = Int64GetDatum(p->node);
		none[i] = p->known;
		columns[2][i] = p->known ? 0 : Int64GetDatum(customer_of(all, p));
		columns[3][i] = BoolGetDatum(is_usable(p));
	}
	result[0] = make_array(columns[0], NULL, all->n, INT8OID);
	result[1] = make_array(columns[1], NULL, all->n, INT8OID);
	result[2] = make_array(columns[2], none, all->n, INT8OID);
	result[3] = make_array(columns[3], NULL, all->n, BOOLOID);
}

/* What is new, in order: itself, its number, node, customer, place and flags; those that are for the law. */
static void
tell_new(const Newcomers *all, Oid type, Datum *result)
{
	Named *order = palloc_many(all->total, sizeof(Named));
	Datum *columns[6];
	bool *none = palloc_many(all->total, sizeof(bool));
	Datum *lawful = palloc_many(all->total, sizeof(Datum));
	int nlawful = 0;
	int n = 0;

	for (int i = 0; i < all->total; i++)
		if (!all->persons[i].known)
			order[n++] = (Named) {all->persons[i].identifier, i};
	sort_named(order, n);
	for (int k = 0; k < 6; k++)
		columns[k] = palloc_many(n, sizeof(Datum));
	for (int i = 0; i < n; i++)
	{
		int place = order[i].number;
		const Person *p = &all->persons[place];

		columns[0][i] = PointerGetDatum(p->identifier);
		columns[1][i] = Int64GetDatum(p->id);
		columns[2][i] = Int64GetDatum(p->node);
		columns[3][i] = Int64GetDatum(customer_of(all, p));
		columns[4][i] = Int32GetDatum(place + 1);
		none[i] = place >= all->n;
		columns[5][i] = Int32GetDatum(p->flags);
		if (is_minded(all, place))
			lawful[nlawful++] = Int64GetDatum(p->id);
	}
	result[0] = make_array(columns[0], NULL, n, type);
	for (int k = 1; k < 4; k++)
		result[k] = make_array(columns[k], NULL, n, INT8OID);
	result[4] = make_array(columns[4], none, n, INT4OID);
	result[5] = make_array(columns[5], NULL, n, INT4OID);
	result[6] = make_array(lawful, NULL, nlawful, INT8OID);
}

static int
compare_groups(const Joined *a, const Joined *b)
{
	return (a->first > b->first) - (a->first < b->first);
}

#define ST_SORT sort_groups
#define ST_ELEMENT_TYPE Joined
#define ST_COMPARE(a, b) compare_groups(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Groups that are customers as they are, and how many nodes each has. */
static void
tell_customers(Newcomers *all, Datum *result)
{
	Joined *done = palloc_many(all->total, sizeof(Joined));
	Datum *columns[2];
	int n = 0;

	for (int i = 0; i < all->total; i++)
	{
		Person *p = &all->persons[i];

		if (p->known || is_minded(all, i) || all->groups[p->vertex].told)
			continue;
		all->groups[p->vertex].told = true;
		done[n++] = all->groups[p->vertex];
	}
	sort_groups(done, n);
	columns[0] = palloc_many(n, sizeof(Datum));
	columns[1] = palloc_many(n, sizeof(Datum));
	for (int i = 0; i < n; i++)
	{
		columns[0][i] = Int64GetDatum(done[i].first);
		columns[1][i] = Int32GetDatum(done[i].nodes);
	}
	result[0] = make_array(columns[0], NULL, n, INT8OID);
	result[1] = make_array(columns[1], NULL, n, INT4OID);
}

/*
 * The first of observations that are done; of the others numbers and places, the latter
 * among those of the rest; and whether each observation names somebody new.
 */
static void
tell_observations(FunctionCallInfo fcinfo, const Newcomers *all, Datum *result)
{
	Rank *ranks = palloc_many(all->n, sizeof(Rank));
	Datum *priorities;
	Datum *rest_numbers = palloc_many(all->given, sizeof(Datum));
	Datum *rest_places = palloc_many(all->given, sizeof(Datum));
	Datum *rest = palloc_many(all->n, sizeof(Datum));
	int32 *new_places = palloc_many(all->n, sizeof(int32));
	int nspaces = plain_array(fcinfo, 11, &priorities);
	int nrest = 0;
	int n = 0;
	bool all_new = true;
	Firsts firsts;

	for (int i = 0; i < all->n; i++)
	{
		const Person *p = &all->persons[i];

		if (is_minded(all, i))
		{
			rest[nrest++] = Int32GetDatum(i + 1);
			new_places[i] = nrest;
		}
		else if (p->space < nspaces)
			ranks[i] = (Rank) {class_of(is_usable(p), DatumGetInt32(priorities[p->space])),
							   all->persons[p->form].identifier, customer_of(all, p), p->id};
	}
	firsts_init(&firsts, all->numbers, all->given);
	for (int i = 0, next; i < all->given; i = next)
	{
		check_interrupts_sometimes(i);
		next = run_end(all->numbers, all->given, i);
		for (int j = i;; j++)
			if (j == next)
			{
				all_new = false;
				break;
			}
			else if (!all->persons[DatumGetInt32(all->places[j]) - 1].known)
				break;
		if (is_minded(all, DatumGetInt32(all->places[i]) - 1))
			for (int j = i; j < next; j++, n++)
			{
				rest_numbers[n] = all->numbers[j];
				rest_places[n] = Int32GetDatum(new_places[DatumGetInt32(all->places[j]) - 1]);
			}
		else
			find_first(&firsts, DatumGetInt32(all->numbers[i]), all->places, i, next, ranks);
	}
	result[0] = make_array(firsts.customers, firsts.none, firsts.n, INT8OID);
	result[1] = make_array(firsts.identities, firsts.none, firsts.n, INT8OID);
	result[2] = make_array(rest_numbers, NULL, n, INT4OID);
	result[3] = make_array(rest_places, NULL, n, INT4OID);
	result[4] = make_array(rest, NULL, nrest, INT4OID);
	result[5] = BoolGetDatum(all_new);
}

/*
 * Arguments: numbers and places, parallel: whose observation each that is given is of,
 * and which of the identifiers.  Identifiers: those that came in, and then normal forms
 * that did not.  Parallel to them: the identity, NULL: not known; its node, customer and
 * flags.  Parallel to those that came in, of unknown ones: the place of the normal form,
 * and whether it is blocked.  Numbers for all that are unknown, in this order.  What the
 * rules say of namespaces: priority, limits; and how large a customer may be.
 * Observations that are replays of what was forgotten, and connect nothing.
 */
PG_FUNCTION_INFO_V1(identity_newcomers);
Datum
identity_newcomers(PG_FUNCTION_ARGS)
{
	Newcomers all = {0};
	Datum *replays;
	bool *apart;
	int last = 0;
	int n;
	Oid type;
	TupleDesc descriptor;
	Datum result[19];
	bool nulls[19] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	type = get_element_type(TupleDescAttr(descriptor, 4)->atttypid);
	read_persons(fcinfo, &all);
	all.given = places_argument(fcinfo, &all.numbers, &all.places, all.n);
	for (int i = 0; i < all.given; i++)
		last = Max(last, DatumGetInt32(all.numbers[i]));
	apart = palloc_many(last, sizeof(bool));
	n = plain_array(fcinfo, 15, &replays);
	for (int i = 0; i < n; i++)
		if (DatumGetInt32(replays[i]) >= 1 && DatumGetInt32(replays[i]) <= last)
			apart[DatumGetInt32(replays[i]) - 1] = true;

	components_init(&all.components, CurrentMemoryContext);
	connect(&all, apart);
	judge(fcinfo, &all, apart);
	tell_places(&all, &result[0]);
	tell_new(&all, type, &result[4]);
	tell_customers(&all, &result[11]);
	tell_observations(fcinfo, &all, &result[13]);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), result, nulls)));
}
