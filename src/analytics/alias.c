/*
 * alias.c
 *		Names that systems give to the same.
 *
 * A query reads them once, into a value that is made for look-ups, and then looks up
 * the name of each row at the cost of hashing it. The value lives as long as the query:
 * it is of this machine and version, and nobody should store it. It is a bytea all the
 * same, so what is read of it is checked.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#define ALIASES_MAGIC 0x616a6c61

/* Slots follow, and then entries; a slot has where its entry begins, 0: it is empty. */
typedef struct Aliases
{
	uint32 magic;
	uint32 nslots; /* a power of two, larger than the number of entries */
	uint32 slots[FLEXIBLE_ARRAY_MEMBER];
} Aliases;

/* Source, name and text follow. */
typedef struct AliasEntry
{
	uint32 hash;
	uint32 source_len;
	uint32 name_len;
	uint32 text_len;
} AliasEntry;

typedef struct Piece
{
	const char *p;
	uint32 len;
} Piece;

static inline uint32
hash_piece(Piece piece)
{
	return hash_bytes((const unsigned char *) piece.p, piece.len);
}

static void
append_entry(StringInfo entries, Piece source, Piece name, Piece text)
{
	AliasEntry entry = {hash_piece(name), source.len, name.len, text.len};

	appendBinaryStringInfo(entries, (const char *) &entry, sizeof(entry));
	appendBinaryStringInfo(entries, source.p, source.len);
	appendBinaryStringInfo(entries, name.p, name.len);
	appendBinaryStringInfo(entries, text.p, text.len);
	while (entries->len % sizeof(uint32) != 0)
		appendStringInfoChar(entries, '\0');
}

static inline uint32
entry_size(const AliasEntry *entry)
{
	return TYPEALIGN(sizeof(uint32),
					 sizeof(AliasEntry) + entry->source_len + entry->name_len + entry->text_len);
}

static inline Piece
value_piece(const JsonbValue *value)
{
	return (Piece) {value->val.string.val, value->val.string.len};
}

PG_FUNCTION_INFO_V1(journey_aliases);
Datum
journey_aliases(PG_FUNCTION_ARGS)
{
	Jsonb *given = PG_GETARG_JSONB_P(0);
	JsonbIterator *it = JsonbIteratorInit(&given->root);
	JsonbIteratorToken token;
	JsonbValue value;
	Piece source = {0};
	Piece name = {0};
	int depth = 0;
	uint32 n = 0;
	uint32 begin;
	StringInfoData entries;
	Aliases *aliases;
	bytea *result;
	Size size;

	initStringInfo(&entries);
	if (!JB_ROOT_IS_OBJECT(given))
		PG_RETURN_NULL();
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_BEGIN_OBJECT || token == WJB_BEGIN_ARRAY)
			depth++;
		else if (token == WJB_END_OBJECT || token == WJB_END_ARRAY)
			depth--;
		else if (token == WJB_KEY && depth == 1)
			source = value_piece(&value);
		else if (token == WJB_KEY && depth == 2)
			name = value_piece(&value);
		else if (token == WJB_VALUE && depth == 2 && value.type == jbvString)
		{
			append_entry(&entries, source, name, value_piece(&value));
			n++;
		}
	}

	begin = offsetof(Aliases, slots) + pg_nextpower2_32(n * 2 + 1) * sizeof(uint32);
	size = VARHDRSZ + begin + entries.len;
	result = palloc0(size);
	SET_VARSIZE(result, size);
	aliases = (Aliases *) VARDATA(result);
	aliases->magic = ALIASES_MAGIC;
	aliases->nslots = pg_nextpower2_32(n * 2 + 1);
	memcpy((char *) aliases + begin, entries.data, entries.len);
	for (uint32 at = 0; at < (uint32) entries.len;)
	{
		const AliasEntry *entry = (const AliasEntry *) (entries.data + at);
		uint32 slot = entry->hash & (aliases->nslots - 1);

		while (aliases->slots[slot] != 0)
			slot = (slot + 1) & (aliases->nslots - 1);
		aliases->slots[slot] = begin + at;
		at += entry_size(entry);
	}
	PG_RETURN_BYTEA_P(result);
}

static void
corrupt(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid aliases"),
					errdetail("They are not what journey_aliases makes.")));
}

/* That of the source, or of the source "": all of a name are found one after the other. */
static const AliasEntry *
find_alias(const Aliases *aliases, uint32 size, Piece source, Piece name)
{
	uint32 hash = hash_piece(name);
	uint32 slot = hash & (aliases->nslots - 1);
	const AliasEntry *of_any = NULL;

	for (uint32 i = 0; i < aliases->nslots; i++)
	{
		uint32 at = aliases->slots[slot];
		const AliasEntry *entry = (const AliasEntry *) ((const char *) aliases + at);
		const char *p = (const char *) (entry + 1);

		if (at == 0)
			return of_any;
		if (at % sizeof(uint32) != 0 || at > size || size - at < sizeof(AliasEntry) ||
			(uint64) entry->source_len + entry->name_len + entry->text_len >
				size - at - sizeof(AliasEntry))
			corrupt();
		if (entry->hash == hash && entry->name_len == name.len &&
			memcmp(p + entry->source_len, name.p, name.len) == 0)
		{
			if (entry->source_len == source.len && memcmp(p, source.p, source.len) == 0)
				return entry;
			if (entry->source_len == 0)
				of_any = entry;
		}
		slot = (slot + 1) & (aliases->nslots - 1);
	}
	corrupt(); /* one slot at least is empty */
	return NULL;
}

PG_FUNCTION_INFO_V1(journey_alias);
Datum
journey_alias(PG_FUNCTION_ARGS)
{
	bytea *given = PG_GETARG_BYTEA_P(0);
	text *source_text = PG_GETARG_TEXT_PP(1);
	text *name_text = PG_GETARG_TEXT_PP(2);
	Piece source = {VARDATA_ANY(source_text), VARSIZE_ANY_EXHDR(source_text)};
	Piece name = {VARDATA_ANY(name_text), VARSIZE_ANY_EXHDR(name_text)};
	const Aliases *aliases = (const Aliases *) VARDATA(given);
	uint32 size = VARSIZE(given) - VARHDRSZ;
	const AliasEntry *entry;

	if (size < offsetof(Aliases, slots) || aliases->magic != ALIASES_MAGIC ||
		aliases->nslots == 0 || (aliases->nslots & (aliases->nslots - 1)) != 0 ||
		aliases->nslots > (size - offsetof(Aliases, slots)) / sizeof(uint32))
		corrupt();
	entry = find_alias(aliases, size, source, name);
	if (entry == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(
		(const char *) (entry + 1) + entry->source_len + entry->name_len, entry->text_len));
}
