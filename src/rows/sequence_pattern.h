/*
 * sequence_pattern.h
 *		Patterns of sequence_match and its kin, in ClickHouse's syntax.
 */
#ifndef PGJ_SEQUENCE_PATTERN_H
#define PGJ_SEQUENCE_PATTERN_H

#include "pattern/program.h"

/*
 * Compile a pattern over so many conditions into a program over rows that is a
 * chain of positions, in the current context; it has none, and is not for a matcher,
 * if the pattern asks for no row. NULL on failure, with the reason in the scan. The
 * syntax:
 *
 *	pattern := ( event | '.' | '.*' | time )*
 *	event   := '(?' number ')'
 *	time    := '(?t' ( '<' | '<=' | '>' | '>=' | '==' | '=' ) ( seconds | duration ) ')'
 */
extern Program *sequence_compile(TextScan *s, int nconditions);

#endif /* PGJ_SEQUENCE_PATTERN_H */
