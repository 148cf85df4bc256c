/*
 * blocked.h
 *		Lists of blocked values, as they are asked of many identifiers.
 */
#ifndef PGJ_BLOCKED_H
#define PGJ_BLOCKED_H

#include "identity/identifier.h"
#include "identity/normalize.h"
#include "utils/array.h"

typedef struct BlockedList BlockedList;

/*
 * A list of text, as it holds for a kind and with a normaliser, or KIND_KEY; the caller
 * has it until it asks for another.
 */
extern BlockedList *blocked_list(ArrayType *array, IdentifierKind kind, IdentifierKind normalizer,
								 const PhonePlan *home);

extern bool blocked_list_has(BlockedList *list, const Identifier *id);

#endif /* PGJ_BLOCKED_H */
