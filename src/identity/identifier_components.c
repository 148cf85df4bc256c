/*
 * identifier_components.c
 *		Connected components of identifiers: their numbers, their order.
 */
#include "postgres.h"

#include "compat.h"
#include "identity/identifier.h"
#include "identity/identifier_components.h"
#include "touchpoint/frozen_hash.h"
#include "utils/memutils.h"

/* Of a new state: most components are of a few nodes */
#define START_ROOM 7
#define START_SIZE 64

/* The least a pair takes besides its first identifier, and what an array of pairs begins with */
#define OTHER_SIZE INTALIGN(VARHDRSZ + 3)
#define ARRAY_SIZE 64

static int
compare_bytes(const struct varlena *a, const struct varlena *b)
{
	size_t a_len = VARSIZE_ANY_EXHDR(a);
	size_t b_len = VARSIZE_ANY_EXHDR(b);
	int cmp = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(a_len, b_len));

	return cmp != 0 ? cmp : (a_len > b_len) - (a_len < b_len);
}

static inline int
compare_numbers(const IdentifierComponents *ic, uint32 a, uint32 b)
{
	return compare_bytes(identifier_components_value(ic, a), identifier_components_value(ic, b));
}

#define ST_SORT sort_numbers
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE_ARG_TYPE const IdentifierComponents
#define ST_COMPARE(a, b, ic) compare_numbers(ic, *(a), *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
identifier_components_init(IdentifierComponents *ic, MemoryContext cxt)
{
	components_init(&ic->c, cxt);
	ic->bytes = MemoryContextAlloc(cxt, START_SIZE);
	ic->used = 0;
	ic->size = START_SIZE;
	ic->places = MemoryContextAlloc(cxt, START_ROOM * sizeof(uint32));
	ic->room = START_ROOM;
}

void
identifier_components_too_large(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("too many identifiers for identity_components"),
			 errdetail("The result would have more than %zu bytes.", (size_t) MaxAllocSize)));
	pg_unreachable();
}

/* The last number's, which is new. */
static void
keep(IdentifierComponents *ic, const char *bytes, size_t len)
{
	size_t size = INTALIGN(VARHDRSZ + len);
	struct varlena *value;

	if (ARRAY_SIZE + ic->used + size + (size_t) ic->c.n * OTHER_SIZE > MaxAllocSize)
		identifier_components_too_large();
	if (ic->used + size > ic->size)
	{
		while (ic->used + size > ic->size)
			ic->size *= 2; /* 2^30 at most: more has been refused */
		ic->bytes = repalloc_huge(ic->bytes, ic->size);
	}
	if (ic->c.n >= ic->room)
	{
		ic->room *= 2;
		ic->places = repalloc_huge(ic->places, ic->room * sizeof(uint32));
	}
	ic->places[ic->c.n] = ic->used;
	value = identifier_components_value(ic, ic->c.n);
	memset((char *) value + size - sizeof(uint32), 0, sizeof(uint32));
	SET_VARSIZE(value, VARHDRSZ + len);
	memcpy(VARDATA(value), bytes, len);
	ic->used += size;
}

static uint32
number_of(IdentifierComponents *ic, const char *bytes, size_t len)
{
	for (uint64 id = mix_text(0, bytes, len);; id++)
	{
		uint32 before = ic->c.n;
		uint32 number = components_number(&ic->c, id);
		struct varlena *value;

		if (ic->c.n != before)
		{
			keep(ic, bytes, len);
			return number;
		}
		value = identifier_components_value(ic, number);
		if (VARSIZE(value) == VARHDRSZ + len && memcmp(VARDATA(value), bytes, len) == 0)
			return number;
	}
}

void
identifier_components_add(IdentifierComponents *ic, const struct varlena *a,
						  const struct varlena *b)
{
	uint32 number = number_of(ic, VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a));

	if (a != b)
		components_join(&ic->c, number, number_of(ic, VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b)));
}

uint32 *
identifier_components_list(IdentifierComponents *ic, ComponentNode *out)
{
	uint32 *order = palloc_extended((ic->c.n + 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	uint32 *ranks = palloc_extended((ic->c.n + 1) * sizeof(uint32), MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < ic->c.n; i++)
		order[i] = i + 1;
	sort_numbers(order, ic->c.n, ic);
	for (uint32 i = 0; i < ic->c.n; i++)
		ranks[order[i]] = i;
	components_list(&ic->c, ranks, out);
	pfree(ranks);
	return order;
}

/* The number of identifiers, the root of each, then all the identifiers. */
size_t
identifier_components_packed_size(const IdentifierComponents *ic)
{
	return (1 + (size_t) ic->c.n) * sizeof(uint32) + ic->used;
}

void
identifier_components_pack(IdentifierComponents *ic, uint8 *out)
{
	memcpy(out, &ic->c.n, sizeof(uint32));
	for (uint32 i = 1; i <= ic->c.n; i++)
	{
		uint32 root = components_root(&ic->c, i);

		check_interrupts_sometimes(i);
		memcpy(out += sizeof(uint32), &root, sizeof(uint32));
	}
	memcpy(out + sizeof(uint32), ic->bytes, ic->used);
}

static void
corrupt(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("state of identity_components over identifiers is corrupt")));
}

/* An identifier's bytes without the header, and where the next one begins. */
static const char *
read_identifier(const uint8 **p, const uint8 *end, size_t *len)
{
	varattrib_4b header;
	const char *bytes = (const char *) *p + VARHDRSZ;
	const char *zero;
	Identifier id;
	TextScan s;

	if (end - *p < VARHDRSZ)
		corrupt();
	memcpy(&header, *p, VARHDRSZ);
	if (!VARATT_IS_4B_U(&header) || VARSIZE(&header) < VARHDRSZ ||
		INTALIGN(VARSIZE(&header)) > end - *p)
		corrupt();
	*len = VARSIZE(&header) - VARHDRSZ;
	*p += INTALIGN(VARSIZE(&header));
	zero = memchr(bytes, '\0', *len);
	if (zero == NULL)
		corrupt();
	id = (Identifier) {bytes, zero + 1, zero - bytes, *len - (zero + 1 - bytes)};
	text_scan_init(&s, id.value, id.value_len);
	if (!identifier_check(&s, &id, ERRCODE_DATA_CORRUPTED))
		corrupt();
	return bytes;
}

void
identifier_components_merge(IdentifierComponents *ic, const uint8 *packed, size_t size)
{
	const uint8 *end = packed + size;
	const uint8 *p;
	uint32 n;
	uint32 *numbers; /* here, by number there */

	if (size < sizeof(uint32))
		corrupt();
	memcpy(&n, packed, sizeof(uint32));
	if (n == 0 || n > (size - sizeof(uint32)) / sizeof(uint32))
		corrupt();
	numbers = palloc_extended((n + 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	p = packed + (1 + (size_t) n) * sizeof(uint32);
	for (uint32 i = 1; i <= n; i++)
	{
		size_t len;
		const char *bytes = read_identifier(&p, end, &len);

		check_interrupts_sometimes(i);
		numbers[i] = number_of(ic, bytes, len);
	}
	if (p != end)
		corrupt();
	for (uint32 i = 1; i <= n; i++)
	{
		uint32 root;

		check_interrupts_sometimes(i);
		memcpy(&root, packed + i * sizeof(uint32), sizeof(uint32));
		if (root == 0 || root > n)
			corrupt();
		components_join(&ic->c, numbers[i], numbers[root]);
	}
	pfree(numbers);
}
