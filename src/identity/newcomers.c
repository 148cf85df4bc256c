/*
 * newcomers.c
 *		What a hub makes of identifiers that it does not know, many at once.
 *
 * identifier_forms tells what they are by their rules.  identity_newcomers numbers
 * them, puts together those that observations connect, and finds which of these
 * groups are customers as they are: those of which nobody was known, and no rule
 * minds.  The others are left to the law.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "compat.h"
#include "funcapi.h"
#include "identity/arrays.h"
#include "identity/blocked.h"
#include "identity/components.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* What an identity is, as look_up of a hub tells */
#define FLAG_BLOCKED 1
#define FLAG_SHARED 2

static int
compare_bytes(const struct varlena *a, const struct varlena *b)
{
	size_t a_len = VARSIZE_ANY_EXHDR(a);
	size_t b_len = VARSIZE_ANY_EXHDR(b);
	int cmp = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(a_len, b_len));

	return cmp != 0 ? cmp : (a_len > b_len) - (a_len < b_len);
}

typedef struct Named
{
	struct varlena *identifier;
	int32 number;
} Named;

#define ST_SORT sort_named
#define ST_ELEMENT_TYPE Named
#define ST_COMPARE(a, b) compare_bytes((a)->identifier, (b)->identifier)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* --- a table of identifiers, which numbers them from 0 in the order they come --- */

typedef struct Table
{
	struct varlena **identifiers;
	int n;
	uint32 mask;
	int32 *slots; /* number + 1; 0: free */
} Table;

static void *
palloc_many(size_t n, size_t size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
table_init(Table *table, size_t room)
{
	table->identifiers = palloc_many(room, sizeof(struct varlena *));
	table->n = 0;
	table->mask = pg_nextpower2_32(Max(room, 1)) * 2 - 1;
	table->slots = palloc_many((size_t) table->mask + 1, sizeof(int32));
}

static int
table_number(Table *table, struct varlena *identifier)
{
	uint32 slot =
		hash_bytes((unsigned char *) VARDATA_ANY(identifier), VARSIZE_ANY_EXHDR(identifier)) &
		table->mask;

	for (; table->slots[slot] != 0; slot = (slot + 1) & table->mask)
		if (compare_bytes(table->identifiers[table->slots[slot] - 1], identifier) == 0)
			return table->slots[slot] - 1;
	table->identifiers[table->n] = identifier;
	table->slots[slot] = ++table->n;
	return table->n - 1;
}

/* --- namespaces: there are few, and identifiers of one mostly stand together --- */

typedef struct Namespaces
{
	const char **names;
	size_t *lengths;
	int n;
	int last;
} Namespaces;

static int
find_namespace(Namespaces *spaces, const Identifier *id)
{
	for (int i = 0; i < spaces->n; i++)
	{
		int k = (spaces->last + i) % spaces->n;

		if (spaces->lengths[k] == id->namespace_len &&
			memcmp(spaces->names[k], id->namespace, id->namespace_len) == 0)
			return spaces->last = k;
	}
	return -1;
}

static void
namespaces_argument(FunctionCallInfo fcinfo, int argument, Namespaces *spaces)
{
	Oid type;
	Datum *values;
	bool *nulls;
	int n = array_elements(fcinfo, argument, &type, &values, &nulls);

	spaces->names = palloc_many(n, sizeof(char *));
	spaces->lengths = palloc_many(n, sizeof(size_t));
	spaces->n = n;
	spaces->last = 0;
	for (int i = 0; i < n; i++)
		if (!nulls[i])
		{
			struct varlena *name = PG_DETOAST_DATUM_PACKED(values[i]);

			spaces->names[i] = VARDATA_ANY(name);
			spaces->lengths[i] = VARSIZE_ANY_EXHDR(name);
		}
		else
			spaces->names[i] = ""; /* no namespace is empty */
}

static int
namespace_of(Namespaces *spaces, struct varlena *identifier)
{
	Identifier id = identifier_unpack(PointerGetDatum(identifier));
	int k = find_namespace(spaces, &id);

	if (k < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("namespace \"%s\" is not among those given",
							   pnstrdup(id.namespace, id.namespace_len))));
	return k;
}

/* The namespaces of identifiers, each once. */
PG_FUNCTION_INFO_V1(identifier_namespaces);
Datum
identifier_namespaces(PG_FUNCTION_ARGS)
{
	Datum *values;
	bool *nulls;
	Oid type;
	int n = array_elements(fcinfo, 0, &type, &values, &nulls);
	Namespaces spaces = {palloc_many(16, sizeof(char *)), palloc_many(16, sizeof(size_t))};
	int room = 16;
	Datum *found;

	for (int i = 0; i < n; i++)
	{
		Identifier id;

		check_interrupts_sometimes(i);
		if (nulls[i])
			continue;
		id = identifier_unpack(values[i]);
		if (find_namespace(&spaces, &id) >= 0)
			continue;
		if (spaces.n == room)
		{
			room *= 2;
			spaces.names = repalloc_huge(spaces.names, room * sizeof(char *));
			spaces.lengths = repalloc_huge(spaces.lengths, room * sizeof(size_t));
		}
		spaces.names[spaces.n] = id.namespace;
		spaces.lengths[spaces.n] = id.namespace_len;
		spaces.last = spaces.n++;
	}
	found = palloc_many(spaces.n, sizeof(Datum));
	for (int i = 0; i < spaces.n; i++)
		found[i] = PointerGetDatum(cstring_to_text_with_len(spaces.names[i], spaces.lengths[i]));
	PG_RETURN_DATUM(make_array(found, NULL, spaces.n, TEXTOID));
}

/* --- identifier_forms --- */

/* What a rule says of identifiers' values. */
typedef struct FormRule
{
	IdentifierKind normalizer;
	IdentifierKind kind;
	const PhonePlan *home;
	ArrayType *blocked;
} FormRule;

static FormRule *
form_rules(FunctionCallInfo fcinfo, const Namespaces *spaces)
{
	FormRule *rules = palloc_many(spaces->n, sizeof(FormRule));
	Datum *normalizers;
	Datum *countries;
	Datum *lists;
	bool *no_normalizer;
	bool *no_country;
	bool *no_list;
	Oid type;
	Oid input;
	Oid parameter;
	FmgrInfo read;

	check_parallel(spaces->n, array_elements(fcinfo, 3, &type, &normalizers, &no_normalizer));
	check_parallel(spaces->n, array_elements(fcinfo, 4, &type, &countries, &no_country));
	check_parallel(spaces->n, array_elements(fcinfo, 5, &type, &lists, &no_list));
	getTypeInputInfo(TEXTARRAYOID, &input, &parameter);
	fmgr_info(input, &read);
	for (int i = 0; i < spaces->n; i++)
	{
		FormRule *rule = &rules[i];

		if (!no_normalizer[i])
		{
			struct varlena *name = PG_DETOAST_DATUM_PACKED(normalizers[i]);

			rule->normalizer = kind_by_name(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
		}
		rule->kind = rule->normalizer != KIND_KEY
						 ? rule->normalizer
						 : kind_of_namespace(spaces->names[i], spaces->lengths[i]);
		if (rule->normalizer == KIND_PHONE && !no_country[i])
			rule->home = country_plan(countries[i]);
		if (!no_list[i])
			rule->blocked = DatumGetArrayTypeP(
				InputFunctionCall(&read, TextDatumGetCString(lists[i]), parameter, -1));
	}
	return rules;
}

/*
 * Of identifiers that are not known their normal forms, and whether they are blocked;
 * the normal forms that are not among all identifiers, each once; and the place of each
 * normal form among all identifiers and these.
 */
PG_FUNCTION_INFO_V1(identifier_forms);
Datum
identifier_forms(PG_FUNCTION_ARGS)
{
	Datum *values;
	Datum *ids;
	bool *nulls;
	bool *unknown;
	Oid type;
	Oid id_type;
	int n = array_elements(fcinfo, 0, &type, &values, &nulls);
	Namespaces spaces;
	FormRule *rules;
	Table table;
	Datum *places;
	Datum *blocked;
	bool *none;
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "forms of identifiers", ALLOCSET_DEFAULT_SIZES);
	TupleDesc descriptor;
	FormRule *asked = NULL;
	BlockedList *list = NULL;
	Named *others;
	int32 *ranks;
	Datum result[3];
	bool result_nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_parallel(n, array_elements(fcinfo, 1, &id_type, &ids, &unknown));
	namespaces_argument(fcinfo, 2, &spaces);
	rules = form_rules(fcinfo, &spaces);
	places = palloc_many(n, sizeof(Datum));
	blocked = palloc_many(n, sizeof(Datum));
	none = palloc_many(n, sizeof(bool));
	table_init(&table, 2 * (size_t) n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("identifiers must not be NULL")));
		if (table_number(&table, PG_DETOAST_DATUM_PACKED(values[i])) != i)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("identifiers must differ")));
	}
	for (int i = 0; i < n; i++)
	{
		MemoryContext old;
		FormRule *rule;
		struct varlena *form = table.identifiers[i];
		Identifier id;
		bool refused = false;

		check_interrupts_sometimes(i);
		none[i] = !unknown[i];
		if (none[i])
			continue;
		rule = &rules[namespace_of(&spaces, form)];
		id = identifier_unpack(PointerGetDatum(form));
		old = MemoryContextSwitchTo(cxt);
		if (rule->normalizer != KIND_KEY)
		{
			char buffer[NORMAL_MAX + 1];
			const char *normal =
				value_normalize(rule->normalizer, rule->home, id.value, id.value_len, buffer);

			refused = normal == NULL;
			if (normal != NULL &&
				(strlen(normal) != id.value_len || memcmp(normal, id.value, id.value_len) != 0))
			{
				id.value = normal;
				id.value_len = strlen(normal);
				MemoryContextSwitchTo(old);
				form = identifier_pack(&id);
				MemoryContextSwitchTo(cxt);
				id = identifier_unpack(PointerGetDatum(form));
			}
		}
		if (!refused && rule->blocked != NULL)
		{
			if (rule != asked)
				list = blocked_list(rule->blocked, rule->kind);
			asked = rule;
			refused = blocked_list_has(list, &id);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
		blocked[i] = BoolGetDatum(refused);
		places[i] = form == table.identifiers[i] ? i : table_number(&table, form);
	}

	others = palloc_many(table.n - n, sizeof(Named));
	ranks = palloc_many(table.n - n, sizeof(int32));
	for (int i = 0; i < table.n - n; i++)
		others[i] = (Named) {table.identifiers[n + i], i};
	sort_named(others, table.n - n);
	for (int i = 0; i < table.n - n; i++)
	{
		values[i] = PointerGetDatum(others[i].identifier);
		ranks[others[i].number] = i;
	}
	for (int i = 0; i < n; i++)
		if (!none[i])
			places[i] = Int32GetDatum(1 + (places[i] < n ? places[i] : n + ranks[places[i] - n]));
	result[0] = make_array(values, NULL, table.n - n, type);
	result[1] = make_array(places, none, n, INT4OID);
	result[2] = make_array(blocked, none, n, BOOLOID);
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), result, result_nulls)));
}

/* --- the first of each observation --- */

/* What counts when the strongest is sought. */
typedef struct Rank
{
	int64 class; /* the smaller, the stronger */
	struct varlena *node;
	int64 customer;
	int64 id;
} Rank;

/* Observations, by their numbers from 1, and what is found of each */
typedef struct Firsts
{
	Datum *customers;
	Datum *identities;
	bool *none;
	int n;
} Firsts;

static void
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

/*
 * Of one that is given by [from, until): the customer of the strongest, of several that
 * of the smallest node; and the identity that is given first among the strongest.
 * Returns whether the customer depends on the order of nodes.
 */
static bool
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

/* Where the run of the number at i ends. */
static inline int
run_end(const Datum *numbers, int given, int i)
{
	int32 number = DatumGetInt32(numbers[i]);

	while (i < given && DatumGetInt32(numbers[i]) == number)
		i++;
	return i;
}

static int
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

static inline int64
class_of(bool usable, int32 priority)
{
	return ((int64) !usable << 33) - priority;
}

static int
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

/* --- sets of numbers, and what goes with them --- */

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

/* --- identity_newcomers --- */

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
	type = get_element_type(get_fn_expr_argtype(fcinfo->flinfo, 2));
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
