/*
 * blocked_scan.h
 *		Whether any of some regular expressions may match a text: a quick no.
 *
 * The server's matcher makes the states of its automaton anew for each text, which
 * costs some microseconds an expression.  Here all expressions are one automaton,
 * whose states are made as texts need them, and are kept.  It takes constraints, such
 * as a look ahead, for met and characters beyond ASCII for any; so what it refuses
 * none of the expressions matches, and of what it lets pass the server must be asked.
 *
 * This is the algorithm layer.
 */
#ifndef PGJ_BLOCKED_SCAN_H
#define PGJ_BLOCKED_SCAN_H

#include "regex/regex.h"

typedef struct BlockedScan BlockedScan;

/* All it needs is in a context, and goes with it. */
extern BlockedScan *blocked_scan_make(MemoryContext cxt);

/* Before the first text */
extern void blocked_scan_add(BlockedScan *scan, const regex_t *re);

extern bool blocked_scan_may_match(BlockedScan *scan, const char *text, int len);

#endif /* PGJ_BLOCKED_SCAN_H */
