/*
 * identifier_forms.c
 *		What identifiers are by the rules of their namespaces, many at once.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "compat.h"
#include "funcapi.h"
#include "identity/arrays.h"
#include "identity/blocked.h"
#include "identity/components.h"
#include "identity/namespaces.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* --- namespaces --- */

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

void
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

int
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

/* --- a table of identifiers, which numbers them from 0 in the order they come --- */

typedef struct Table
{
	struct varlena **identifiers;
	int n;
	uint32 mask;
	int32 *slots; /* number + 1; 0: free */
} Table;

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
				list = blocked_list(rule->blocked, rule->kind, rule->normalizer, rule->home);
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
