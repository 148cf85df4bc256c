/*
 * blocked.c
 *		Whether an identifier is in a hub's list of blocked values.
 *
 * A list is asked of every identifier that comes in for the first time.  So the last
 * ones that were asked are kept as they are searched: values in order, and regular
 * expressions as one automaton (blocked_scan.h), which refuses nearly all there is.
 *
 * An element is a value, or behind a tilde a regular expression; before either may
 * stand the kind of namespace that it is for, and a colon: phone:~^(\d)\1+$. Both
 * are looked for in several forms of the value, see blocked_forms.c, and a value in
 * the normaliser's form, too; NULL elements match nothing. Nothing depends on the
 * database's locale.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "identity/blocked.h"
#include "identity/blocked_scan.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* as it is, folded, without quotes, without brackets, without what parts digits */
#define FORMS_MAX 5

/* Namespaces have few different lists. */
#define LISTS_KEPT 8

#define RE_FLAGS (REG_ADVANCED | REG_ICASE | REG_NOSUB)

typedef struct Form
{
	const char *text;
	int len;
} Form;

/* A list as it holds for a kind. */
struct BlockedList
{
	MemoryContext cxt;
	ArrayType *array; /* what it was made of */
	IdentifierKind kind;
	IdentifierKind normalizer;
	const PhonePlan *home;
	Form *values; /* in small letters, in order */
	int nvalues;
	text **expressions;
	int nexpressions;
	BlockedScan *scan; /* of all of them; NULL: not made yet */
};

static BlockedList *lists[LISTS_KEPT]; /* the last one asked first */

static int
compare_forms(const Form *a, const Form *b)
{
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->text, b->text, a->len);
}

#define ST_SORT sort_forms
#define ST_ELEMENT_TYPE Form
#define ST_COMPARE(a, b) compare_forms(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static int
add_form(Form *forms, int n, const char *text, int len)
{
	Form form = {text, len};

	for (int i = 0; i < n; i++)
		if (compare_forms(&forms[i], &form) == 0)
			return n;
	forms[n] = form;
	return n + 1;
}

/* Take the kind off an element, if it begins with one. */
static IdentifierKind
element_kind(const char **text, int *len)
{
	const char *colon = memchr(*text, ':', *len);
	IdentifierKind kind = colon ? kind_by_name(*text, colon - *text) : KIND_KEY;

	if (kind != KIND_KEY)
	{
		*len -= colon + 1 - *text;
		*text = colon + 1;
	}
	return kind;
}

/* Is it worth asking the normaliser? Most elements are no address and have no digit. */
static bool
may_be_normal(IdentifierKind normalizer, const char *text, int len)
{
	if (normalizer == KIND_EMAIL)
		return len > 2 && memchr(text + 1, '@', len - 2) != NULL;
	for (int i = 0; normalizer != KIND_KEY && i < len; i++)
		if ((text[i] >= '0' && text[i] <= '9') || IS_HIGHBIT_SET(text[i]))
			return true;
	return false;
}

static void
add_value(BlockedList *list, const char *text, int len)
{
	Form *value = &list->values[list->nvalues++];
	char *small = palloc(Max(len, 1));

	value->text = small;
	value->len = blocked_fold(text, len, GetDatabaseEncoding() == PG_UTF8, small);
}

static BlockedList *
make_list(ArrayType *array, IdentifierKind kind, IdentifierKind normalizer, const PhonePlan *home)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "blocked values", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	BlockedList *list = palloc0(sizeof(BlockedList));
	Datum *elements;
	bool *nulls;
	int n;

	list->cxt = cxt;
	list->kind = kind;
	list->normalizer = normalizer;
	list->home = home;
	list->array = palloc_extended(VARSIZE(array), MCXT_ALLOC_HUGE);
	memcpy(list->array, array, VARSIZE(array));
	deconstruct_array(list->array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	list->values = palloc_extended(Max(n, 1) * 2 * sizeof(Form), MCXT_ALLOC_HUGE);
	list->expressions = palloc_extended(Max(n, 1) * sizeof(text *), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		struct varlena *element;
		IdentifierKind only;
		const char *text;
		int len;

		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			continue;
		element = PG_DETOAST_DATUM_PACKED(elements[i]);
		text = VARDATA_ANY(element);
		len = VARSIZE_ANY_EXHDR(element);
		only = element_kind(&text, &len);
		if (only != KIND_KEY && only != kind)
			continue;
		if (len > 0 && text[0] == '~')
			list->expressions[list->nexpressions++] = cstring_to_text_with_len(text + 1, len - 1);
		else
		{
			char buffer[NORMAL_MAX + 1];
			const char *normal = NULL;

			add_value(list, text, len);
			if (may_be_normal(normalizer, text, len))
				normal = value_normalize(normalizer, home, text, len, buffer);
			if (normal)
				add_value(list, normal, strlen(normal));
		}
	}
	sort_forms(list->values, list->nvalues);
	MemoryContextSwitchTo(old);
	return list;
}

/* It stays as long as no others take its place, which a caller sees to by asking again. */
BlockedList *
blocked_list(ArrayType *array, IdentifierKind kind, IdentifierKind normalizer,
			 const PhonePlan *home)
{
	BlockedList *list = NULL;
	int at;

	for (at = 0; at < LISTS_KEPT && lists[at] != NULL; at++)
		if (lists[at]->kind == kind && lists[at]->normalizer == normalizer &&
			lists[at]->home == home && VARSIZE(lists[at]->array) == VARSIZE(array) &&
			memcmp(lists[at]->array, array, VARSIZE(array)) == 0)
		{
			list = lists[at];
			break;
		}
	if (list == NULL)
	{
		list = make_list(array, kind, normalizer, home);
		MemoryContextSetParent(list->cxt, TopMemoryContext);
		if (at == LISTS_KEPT)
			MemoryContextDelete(lists[--at]->cxt);
	}
	memmove(&lists[1], &lists[0], at * sizeof(BlockedList *));
	lists[0] = list;
	return list;
}

static bool
has_value(const BlockedList *list, const Form *form)
{
	int low = 0;
	int high = list->nvalues;

	while (low < high)
	{
		int middle = (low + high) / 2;
		int cmp = compare_forms(form, &list->values[middle]);

		if (cmp == 0)
			return true;
		if (cmp < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* All must be valid before any is asked. */
static void
make_scan(BlockedList *list)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "blocked expressions", ALLOCSET_SMALL_SIZES);
	BlockedScan *scan = blocked_scan_make(cxt);

	for (int i = 0; i < list->nexpressions; i++)
		blocked_scan_add(scan,
						 RE_compile_and_cache(list->expressions[i], RE_FLAGS, C_COLLATION_OID));
	MemoryContextSetParent(cxt, list->cxt);
	list->scan = scan;
}

static bool
matches(BlockedList *list, const Form *form)
{
	if (list->scan == NULL)
		make_scan(list);
	if (!blocked_scan_may_match(list->scan, form->text, form->len))
		return false;
	for (int i = 0; i < list->nexpressions; i++)
		if (RE_compile_and_execute(list->expressions[i], unconstify(char *, form->text), form->len,
								   RE_FLAGS, C_COLLATION_OID, 0, NULL))
			return true;
	return false;
}

bool
blocked_list_has(BlockedList *list, const Identifier *id)
{
	bool utf8 = GetDatabaseEncoding() == PG_UTF8;
	char *folded = palloc(Max(id->value_len, 1));
	char *compact = NULL;
	Form forms[FORMS_MAX];
	int nforms = add_form(forms, 0, id->value, id->value_len);
	const char *text = folded;
	int len = blocked_fold(id->value, id->value_len, utf8, folded);
	bool found = false;

	nforms = add_form(forms, nforms, text, len);
	len = blocked_unquote(&text, len, utf8);
	nforms = add_form(forms, nforms, text, len);
	len = blocked_unwrap(&text, len, utf8);
	nforms = add_form(forms, nforms, text, len);
	if (list->kind == KIND_PHONE || list->kind == KIND_DOCUMENT)
	{
		compact = palloc(Max(len, 1));
		nforms = add_form(forms, nforms, compact, blocked_compact(text, len, compact));
	}
	for (int i = 0; i < nforms && !found; i++)
		found = has_value(list, &forms[i]);
	for (int i = 0; list->nexpressions > 0 && i < nforms && !found; i++)
		found = matches(list, &forms[i]);
	if (compact)
		pfree(compact);
	pfree(folded);
	return found;
}

PG_FUNCTION_INFO_V1(identifier_blocked);
Datum
identifier_blocked(PG_FUNCTION_ARGS)
{
	IdentifierKind normalizer = KIND_KEY;
	IdentifierKind kind;
	const PhonePlan *home = NULL;
	Identifier id;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	id = identifier_unpack(PG_GETARG_DATUM(0));
	if (!PG_ARGISNULL(2))
		normalizer = normalizer_kind(PG_GETARG_DATUM(2));
	if (normalizer == KIND_PHONE && !PG_ARGISNULL(3))
		home = country_plan(PG_GETARG_DATUM(3));
	kind = normalizer != KIND_KEY ? normalizer
								  : kind_of_namespace(id.namespace, id.namespace_len);
	PG_RETURN_BOOL(
		blocked_list_has(blocked_list(PG_GETARG_ARRAYTYPE_P(1), kind, normalizer, home), &id));
}
