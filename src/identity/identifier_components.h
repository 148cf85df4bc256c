/*
 * identifier_components.h
 *		Connected components whose nodes are identifiers.
 *
 * The union-find is that of components.h, to which an identifier is its hash, or
 * the next number if another one has that already. The identifiers themselves are
 * kept one after another as they will stand in the result, which has at most the
 * size of a value: so they have, too.
 *
 * Memory: that of components.h, 4 bytes for the place and 4 to 7 besides the
 * identifier's own; half of that is free after it has grown. Listing takes 44
 * bytes an identifier.
 *
 * This is the algorithm layer.
 */
#ifndef PGJ_IDENTIFIER_COMPONENTS_H
#define PGJ_IDENTIFIER_COMPONENTS_H

#include "identity/components.h"

typedef struct IdentifierComponents
{
	Components c;
	char *bytes; /* values of the type identifier, aligned */
	uint32 used;
	uint32 size;
	uint32 *places; /* by number, in bytes */
	uint32 room;    /* of places */
} IdentifierComponents;

extern void identifier_components_init(IdentifierComponents *ic, MemoryContext cxt);

/* Add an edge between two identifiers, or, between one and itself, a node. */
extern void identifier_components_add(IdentifierComponents *ic, const struct varlena *a,
									  const struct varlena *b);

/*
 * List all identifiers, by component, then identifier; out has room for ic->c.n.
 * Nodes and components are places in the order of all identifiers, from 0: the
 * result tells their numbers.
 */
extern uint32 *identifier_components_list(IdentifierComponents *ic, ComponentNode *out);

static inline struct varlena *
identifier_components_value(const IdentifierComponents *ic, uint32 number)
{
	return (struct varlena *) (ic->bytes + ic->places[number]);
}

/* As an array's element; the result of copying is where the next one goes. */
static inline size_t
identifier_components_size(const IdentifierComponents *ic, uint32 number)
{
	return INTALIGN(VARSIZE(identifier_components_value(ic, number)));
}

static inline char *
identifier_components_copy(const IdentifierComponents *ic, uint32 number, char *to)
{
	size_t size = identifier_components_size(ic, number);

	memcpy(to, identifier_components_value(ic, number), size);
	return to + size;
}

extern void identifier_components_too_large(void) __attribute__((noreturn));

/* The partition as bytes. Merging checks them. */
extern size_t identifier_components_packed_size(const IdentifierComponents *ic);
extern void identifier_components_pack(IdentifierComponents *ic, uint8 *out);
extern void identifier_components_merge(IdentifierComponents *ic, const uint8 *packed, size_t size);

#endif /* PGJ_IDENTIFIER_COMPONENTS_H */
