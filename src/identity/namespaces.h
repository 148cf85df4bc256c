/*
 * namespaces.h
 *		Namespaces of identifiers: there are few, and identifiers of one mostly stand
 *		together.
 */
#ifndef PGJ_NAMESPACES_H
#define PGJ_NAMESPACES_H

typedef struct Namespaces
{
	const char **names;
	size_t *lengths;
	int n;
	int last;
} Namespaces;

/* An argument that is an array of their names */
extern void namespaces_argument(FunctionCallInfo fcinfo, int argument, Namespaces *spaces);

/* Which of them an identifier's is; an error if it is none. */
extern int namespace_of(Namespaces *spaces, struct varlena *identifier);

#endif /* PGJ_NAMESPACES_H */
