/*
 * journey_pattern.h
 *		Stored journey patterns, for SQL functions that take one.
 */
#ifndef PGJ_JOURNEY_PATTERN_H
#define PGJ_JOURNEY_PATTERN_H

#include "pattern/program.h"

/* A pattern with the text it came from. */
typedef struct CompiledPattern
{
	MemoryContext cxt;
	char *text;
	size_t len;
	Pattern *pattern;
	Program *program;
} CompiledPattern;

/*
 * Compile a pattern in a context below parent, unless it is the one of *cached,
 * which is replaced.
 */
extern const CompiledPattern *pattern_compile(CompiledPattern **cached, MemoryContext parent,
											  const char *text, size_t len);
extern const CompiledPattern *pattern_argument(CompiledPattern **cached, MemoryContext parent,
											   Datum d);

#endif /* PGJ_JOURNEY_PATTERN_H */
