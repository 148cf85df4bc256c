/*
 * record.h
 *		Records of people as they are compared: what each comparison compares, and which
 *		groups of records they are in.
 *
 * The algorithm layer, as letters.h. A packed record lives as long as its query: it is of
 * this machine and version. It is a bytea all the same, so all of it is checked.
 *
 *		header, groups in order, for each comparison a value, then the texts
 *
 * Nothing is aligned.
 */
#ifndef PGJ_MATCH_RECORD_H
#define PGJ_MATCH_RECORD_H

#include "match/comparators.h"

/* Numbers of groups have the rule that makes them in their higher half. */
#define RULE_OF_GROUP(group) ((int32) ((group) >> 32))

typedef struct RecordValue
{
	MatchText text;
	int self;    /* the level of it with itself; LEVEL_UNKNOWN: it says nothing */
	bool rated;  /* how frequent it is says something: */
	double bits; /* what that adds where two have the highest level */
} RecordValue;

typedef struct MatchRecord
{
	int64 record;
	int64 person; /* two of one person are not compared */
	bool is_new;  /* and two of which none is new are neither */
	uint32 ngroups;
	int64 *groups;
	RecordValue values[LEVELS_MAX];
} MatchRecord;

typedef struct Comparison
{
	int n;
	Comparator comparators[LEVELS_MAX];
	int tops[LEVELS_MAX]; /* the highest level of each */
	const Nicknames *nicknames;
} Comparison;

extern Size record_size(const MatchRecord *r, int nvalues);
extern void record_write(const MatchRecord *r, int nvalues, char *data);
extern void record_open(MatchRecord *r, const Comparison *c, const char *data, Size size);
extern void record_know(MatchWork *w, const Comparison *c, MatchRecord *r);
extern bool records_meet_first(const MatchRecord *a, const MatchRecord *b, int64 group);
extern uint64 records_levels(MatchWork *w, const Comparison *c, MatchRecord *a, MatchRecord *b);
extern int weights_of(const Comparison *c);
extern double records_score(const Comparison *c, const double *weights, const MatchRecord *a,
							const MatchRecord *b, uint64 levels);

#endif /* PGJ_MATCH_RECORD_H */
