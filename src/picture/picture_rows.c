/*
 * picture_rows.c
 *		What pictures are made of: arrays of rows, and the labels in them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "picture/picture.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

void
rows_open(Rows *r, Datum array, const char *what)
{
	ArrayType *a = DatumGetArrayTypeP(array);
	bool *nulls;

	deconstruct_array(a, ARR_ELEMTYPE(a), -1, false, TYPALIGN_DOUBLE, &r->rows, &nulls, &r->n);
	r->what = what;
	for (int i = 0; i < r->n; i++)
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be NULL", what),
					 errdetail("Element %d of the array is.", i + 1)));
}

Datum
rows_column(const Rows *r, int i, int column, bool *isnull)
{
	if (i % 0x1000 == 0)
		CHECK_FOR_INTERRUPTS();
	return GetAttributeByNum(DatumGetHeapTupleHeader(r->rows[i]), column, isnull);
}

Datum
rows_known(const Rows *r, int i, int column, const char *name)
{
	bool isnull;
	Datum d = rows_column(r, i, column, &isnull);

	if (isnull)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s of %s must not be NULL", name, r->what),
						errdetail("In element %d of the array it is.", i + 1)));
	return d;
}

int64
rows_count(const Rows *r, int i, int column, const char *name)
{
	int64 n = DatumGetInt64(rows_known(r, i, column, name));

	if (n < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s of %s must not be negative", name, r->what),
						errdetail("In element %d of the array it is %lld.", i + 1, (long long) n)));
	return n;
}

ItemName
name_of(Datum d, bool isnull)
{
	text *t;

	if (isnull)
		return (ItemName) {NULL, 0};
	t = DatumGetTextPP(d);
	return (ItemName) {VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)};
}

/* Order of their bytes */
int
name_cmp(ItemName a, ItemName b)
{
	int cmp = memcmp(a.text, b.text, Min(a.len, b.len));

	return cmp != 0 ? cmp : a.len < b.len ? -1 : a.len > b.len;
}

char *
shown_name(ItemName name)
{
	if (name.text == NULL)
		return pstrdup("(none)");
	for (uint32 i = 0; i < name.len; i++)
		if (name.text[i] != ' ')
			return shown_text(name.text, name.len, true);
	return pstrdup("(empty)");
}

typedef struct NameEntry
{
	ItemName name;
	uint32 number;
	uint32 hash;
	char status;
} NameEntry;

static uint32
name_hash(ItemName name)
{
	return name.text ? hash_bytes((const unsigned char *) name.text, name.len) : 1;
}

static bool
name_equal(ItemName a, ItemName b)
{
	return (a.text == NULL) == (b.text == NULL) && a.len == b.len &&
		   (a.len == 0 || memcmp(a.text, b.text, a.len) == 0);
}

#define SH_PREFIX nametable
#define SH_ELEMENT_TYPE NameEntry
#define SH_KEY_TYPE ItemName
#define SH_KEY name
#define SH_HASH_KEY(tb, key) name_hash(key)
#define SH_EQUAL(tb, a, b) name_equal(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

uint32
names_number(const ItemName *names, uint32 n, uint32 *numbers, ItemName *distinct)
{
	nametable_hash *table = nametable_create(CurrentMemoryContext, 64, NULL);
	uint32 found = 0;

	for (uint32 i = 0; i < n; i++)
	{
		bool old;
		NameEntry *entry;

		if (i % 0x1000 == 0)
			CHECK_FOR_INTERRUPTS();
		entry = nametable_insert(table, names[i], &old);
		if (!old)
		{
			distinct[found] = names[i];
			entry->number = found++;
		}
		numbers[i] = entry->number;
	}
	nametable_destroy(table);
	return found;
}
