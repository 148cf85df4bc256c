/*
 * key_table.h
 *		Hash table from a key, which is a hash already, to a number.
 */
#ifndef PGJ_KEY_TABLE_H
#define PGJ_KEY_TABLE_H

typedef struct KeyEntry
{
	int64 key;
	int number;
	char status;
} KeyEntry;

#define SH_PREFIX keytable
#define SH_ELEMENT_TYPE KeyEntry
#define SH_KEY_TYPE int64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) (key))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

#endif /* PGJ_KEY_TABLE_H */
