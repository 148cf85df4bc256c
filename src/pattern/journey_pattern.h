/*
 * journey_pattern.h
 *		Stored journey patterns, for SQL functions that take one.
 */
#ifndef PGJ_JOURNEY_PATTERN_H
#define PGJ_JOURNEY_PATTERN_H

#include "pattern/match.h"

/* A pattern with the text it came from. */
typedef struct CompiledPattern
{
	MemoryContext cxt; /* holds all of it */
	char *text;
	size_t len;
	Pattern *pattern;
	Program *program;
	Matcher *matcher;         /* or NULL */
	struct PatternKeys *keys; /* what an index made of it, or NULL */
} CompiledPattern;

/*
 * Compile a pattern in a context below parent, unless it is the one of *cached,
 * which is replaced.
 */
extern CompiledPattern *pattern_compile(CompiledPattern **cached, MemoryContext parent,
										const char *text, size_t len);
extern CompiledPattern *pattern_argument(CompiledPattern **cached, MemoryContext parent, Datum d);

/* Its matcher, turned to a journey. */
extern Matcher *pattern_matcher(CompiledPattern *c, const JourneyView *v);

/* The same for matcher_next_step: of another pattern, an error that names the function. */
extern Matcher *pattern_step_matcher(CompiledPattern *c, const JourneyView *v,
									 const char *function);

#endif /* PGJ_JOURNEY_PATTERN_H */
