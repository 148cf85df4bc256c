/*
 * identifier.h
 *		An identifier in memory, and what its parts may be.
 *
 * This is the algorithm layer: no fmgr, no catalogs. What fails returns false
 * and leaves its reason in the TextScan.
 */
#ifndef PGJ_IDENTIFIER_H
#define PGJ_IDENTIFIER_H

#include "touchpoint/touch.h"

/* Both limits in bytes; the sum fits a key of a btree or GIN index. */
#define IDENTIFIER_NAMESPACE_MAX 63
#define IDENTIFIER_VALUE_MAX 1024

/* The strings are not terminated and belong to whoever filled the struct. */
typedef struct Identifier
{
	const char *namespace;
	const char *value;
	size_t namespace_len;
	size_t value_len;
} Identifier;

extern bool identifier_check(TextScan *s, const Identifier *id, int sqlerrcode);
extern bool identifier_scan(TextScan *s, Identifier *id);

/* identifier.c: as it is stored */
extern struct varlena *identifier_pack(const Identifier *id);
extern Identifier identifier_unpack(Datum d);

#endif /* PGJ_IDENTIFIER_H */
