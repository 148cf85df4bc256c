/*
 * pattern.h
 *		Journey patterns as a tree: what the parser makes and the compiler takes.
 *
 * Everything is palloc'd in the context that is current while parsing and
 * freed with it. Times are in microseconds.
 *
 * A stored pattern is its canonical text: patterns are few and short, parsing
 * one takes about a microsecond, and whoever uses a pattern again and again
 * keeps it compiled. So equality, hash and the binary form are those of
 * the text, and there is no second representation to validate.
 */
#ifndef PGJ_PATTERN_H
#define PGJ_PATTERN_H

#include "touchpoint/touch.h"

/* Positions of a compiled pattern; also what bounds the work of expanding it. */
#define PATTERN_POSITIONS_MAX 1000

/* Steps of one all(...). */
#define PATTERN_ALL_MAX 6

#define PATTERN_UNBOUNDED -1

typedef enum TestOp
{
	TEST_LT,
	TEST_LE,
	TEST_GT,
	TEST_GE,
	TEST_EQ,
	TEST_NE /* of values only */
} TestOp;

/* What a part of a label must be: this text, or begin with it. */
typedef struct PartTest
{
	char *text;
	uint8 len;
	bool prefix; /* with an empty text: anything */
} PartTest;

typedef struct ValueTest
{
	TestOp op;
	Decimal value;
} ValueTest;

/* What a touchpoint must be. */
typedef struct Step
{
	PartTest channel;
	PartTest action;
	PartTest detail; /* empty and no prefix: there must be none */
	int nvalues;
	ValueTest *values; /* all must hold */
} Step;

typedef enum LimitKind
{
	LIMIT_TIME,
	LIMIT_BAN
} LimitKind;

typedef struct LinkLimit
{
	LimitKind kind;
	TestOp op;   /* LIMIT_TIME: time between the two, op, usecs */
	int64 usecs; /* LIMIT_BAN: how long the ban lasts, or PATTERN_UNBOUNDED */
	Step *ban;
} LinkLimit;

typedef struct Link
{
	bool next; /* => rather than -> */
	int nlimits;
	LinkLimit *limits;
} Link;

typedef enum ItemKind
{
	ITEM_STEP,
	ITEM_GROUP,
	ITEM_ALL
} ItemKind;

struct Sequence;

typedef struct PatternItem
{
	ItemKind kind;
	int nsteps; /* 1, or those of all() */
	Step *steps;
	int nalternatives; /* of a group */
	struct Sequence **alternatives;
	Link *again; /* joins repetitions; NULL means -> */
	int min;
	int max; /* PATTERN_UNBOUNDED */
} PatternItem;

typedef struct Sequence
{
	bool from_start;  /* ^ */
	Link *start_link; /* behind ^, or NULL */
	int nitems;
	PatternItem *items;
	Link *links;    /* links[i] stands before items[i], links[0] is not used */
	bool to_end;    /* $ */
	Link *end_link; /* before $, or NULL */
} Sequence;

typedef struct Pattern
{
	int nsequences;
	Sequence **sequences;
	int64 within; /* PATTERN_UNBOUNDED */
} Pattern;

static inline bool
part_is_any(const PartTest *part)
{
	return part->prefix && part->len == 0;
}

/* pattern_parse.c: NULL on failure, with the reason in the scan */
extern Pattern *pattern_parse(TextScan *s);
extern bool duration_scan(TextScan *s, int64 *usecs);
extern bool test_op_scan(TextScan *s, TestOp *op);

/* pattern_print.c */
extern void pattern_print(StringInfo out, const Pattern *pattern);
extern void item_print(StringInfo out, const PatternItem *item);

#endif /* PGJ_PATTERN_H */
