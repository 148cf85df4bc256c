/*
 * profile_rules.h
 *		Rules of traits: which of what sources say of a trait counts.
 */
#ifndef PGJ_PROFILE_RULES_H
#define PGJ_PROFILE_RULES_H

#include "fmgr.h"
#include "utils/jsonb.h"

typedef enum Choice
{
	CHOICE_INHERITED,
	CHOICE_MOST_RECENT,
	CHOICE_SOURCE_ORDER,
	CHOICE_MOST_FREQUENT,
	CHOICE_LONGEST,
	CHOICE_MIN,
	CHOICE_MAX,
} Choice;

/* A text without a terminator. */
typedef struct Text
{
	const char *p;
	uint32 len;
} Text;

typedef struct Rule
{
	Choice choice;
	int norder;
	Text *order; /* sources, the best first */
	int group;	 /* its number, 0: it is of one trait */
} Rule;

/* What a rule is for. */
typedef struct Ruled
{
	Text trait;
	int member; /* place in the group */
	Rule *rule;
} Ruled;

typedef struct RuleSet
{
	int nruled;
	Ruled *ruled; /* by trait */
	Rule any;	  /* of all others */
} RuleSet;

static inline int
text_compare(Text a, Text b)
{
	int cmp = memcmp(a.p, b.p, Min(a.len, b.len));

	return cmp != 0 ? cmp : (a.len > b.len) - (a.len < b.len);
}

/* The rule of a trait; NULL: that of all others. */
extern const Ruled *find_ruled(const RuleSet *set, Text trait);

extern Jsonb *copy_rules(Jsonb *given, MemoryContext cxt);

/* The argument of a transition function, which lives as long as a group needs it; NULL: none. */
extern Jsonb *rules_argument(FunctionCallInfo fcinfo, int argument, MemoryContext group_cxt);

/* Rules as a final function needs them. */
extern const RuleSet *rules_of(FunctionCallInfo fcinfo, Jsonb *given);

#endif /* PGJ_PROFILE_RULES_H */
