/*
 * journey_pattern.h
 *		Stored journey patterns, for SQL functions that take one.
 */
#ifndef PGJ_JOURNEY_PATTERN_H
#define PGJ_JOURNEY_PATTERN_H

#include "fmgr.h"
#include "pattern/match.h"

/* A pattern with the text it came from. */
typedef struct CompiledPattern
{
	MemoryContext cxt; /* holds all of it */
	char *text;
	size_t len;
	Datum constant; /* the argument, if it is a constant of the query; or 0 */
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

/* The same of a call's argument, kept in fn_extra; a constant is known at a glance. */
extern CompiledPattern *call_pattern_changed(FunctionCallInfo fcinfo, int argument);

static inline CompiledPattern *
call_pattern(FunctionCallInfo fcinfo, int argument)
{
	CompiledPattern *c = (CompiledPattern *) fcinfo->flinfo->fn_extra;

	if (likely(c && c->constant != 0 && c->constant == PG_GETARG_DATUM(argument)))
		return c;
	return call_pattern_changed(fcinfo, argument);
}

/* Its matcher, turned to a journey. */
extern Matcher *pattern_matcher(CompiledPattern *c, const JourneyView *v);

/* The same for matcher_next_step: of another pattern, an error that names the function. */
extern Matcher *pattern_step_matcher(CompiledPattern *c, const JourneyView *v,
									 const char *function);

#endif /* PGJ_JOURNEY_PATTERN_H */
