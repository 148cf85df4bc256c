/*
 * journey_pattern.h
 *		The stored pattern, for other SQL faces.
 */
#ifndef PGJ_JOURNEY_PATTERN_H
#define PGJ_JOURNEY_PATTERN_H

#include "pattern/program.h"

/* A pattern as last compiled at some call site, with the text it came from. */
typedef struct CompiledPattern
{
	MemoryContext cxt; /* holds all of it */
	char *text;
	size_t len;
	Program *program;
	struct Matcher *matcher;  /* or NULL */
	struct PatternKeys *keys; /* what an index made of it, or NULL */
} CompiledPattern;

/*
 * Compile a pattern in a context below parent, unless it is the one of *cached,
 * which is freed then.
 */
extern const Program *pattern_compile(CompiledPattern **cached, MemoryContext parent, Datum d);

#endif /* PGJ_JOURNEY_PATTERN_H */
