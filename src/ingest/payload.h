/*
 * payload.h
 *		What other systems send, and the rules that say what it means.
 *
 * A format is a list of rules. A rule says where its items are ("each"), which of
 * them it is for ("condition"), what they become, and where each field is found: in
 * the first of some terms that is there. Terms are read once, by format_read; then
 * payload_events takes as many payloads as there are. doc/ingest.md is the manual.
 *
 * This is the algorithm layer: no fmgr, no catalogs. All texts are UTF-8.
 */
#ifndef PGJ_PAYLOAD_H
#define PGJ_PAYLOAD_H

#include "identity/identifier.h"
#include "ingest/json_tree.h"

/* A payload has at most so many bytes. */
#define PAYLOAD_BYTES_MAX (4 * 1024 * 1024)

/* So many bytes may be read and written for one payload, else a small one could make many. */
#define PAYLOAD_WORK_MAX (4 * PAYLOAD_BYTES_MAX)

/* A field other than a label is at most so many bytes long. */
#define PAYLOAD_FIELD_MAX 1024

/* The name of a trait is at most so many bytes long. */
#define TRAIT_NAME_MAX 255

/* "each" and the pointers of terms have at most so many parts. */
#define POINTER_PARTS_MAX JSON_DEPTH_MAX

/* So many pointers of a format are numbered: where each leads is found out once an item. */
#define POINTER_NUMBERS_MAX 127

typedef enum EventField
{
	FIELD_CHANNEL,
	FIELD_ACTION,
	FIELD_VALUE,
	FIELD_CURRENCY,
	FIELD_DIRECTION,
	FIELD_CONVERSATION,
	FIELD_AGENT,
	FIELD_CAMPAIGN,
	FIELD_SOURCE_KEY,
	FIELD_SUBJECT,
	FIELD_URL,
	EVENT_FIELDS,
} EventField;

/*
 * Of JSON pointers: a member or an element; in an array, "?a=b" is the element whose a
 * is the item's b, "?a==text" that whose a is this text; or "*".
 */
typedef struct PointerPart
{
	const char *key; /* as a member */
	int64 index;     /* as an element, -1: it can be none */
	bool any;
	const char *like_key; /* a, NULL: it is no such part */
	const char *item_key; /* b, NULL: it is a text */
	const char *like;     /* the text */
	size_t like_len;
} PointerPart;

typedef struct JsonPointer
{
	const char *text;
	int number; /* of its text among those of the format, from 1; 0: it has none */
	int up;     /* so many levels above the item */
	int nparts;
	PointerPart *parts;
} JsonPointer;

/* A text, or what a pointer in braces leads to. */
typedef struct TestValue
{
	const char *text; /* NULL: it is the pointer */
	size_t len;
	JsonPointer pointer;
} TestValue;

typedef struct Test
{
	JsonPointer pointer;
	bool negated;
	int nvalues; /* 0: is it there? */
	TestValue *values;
} Test;

typedef struct Condition
{
	int ntests;
	Test *tests;
} Condition;

typedef enum TermKind
{
	TERM_TEXT, /* parts one after the other */
	TERM_SUM,  /* of times */
	TERM_NOW,
} TermKind;

typedef struct TermPart
{
	const char *literal; /* NULL: it is the pointer */
	JsonPointer pointer;
	bool minus;
} TermPart;

typedef struct Term
{
	const char *text;
	const char *name; /* namespace, or name of an attribute, trait or consent; NULL: the object's members are those */
	TermKind kind;
	int nparts;
	TermPart *parts;
	bool signs; /* "-" and a pointer in a value, "+" and one in an identifier */
	Condition condition;
} Term;

typedef struct TermList
{
	int nterms;
	Term *terms;
} TermList;

typedef enum RuleMakes
{
	MAKES_TOUCHPOINT,
	MAKES_EVIDENCE,
	MAKES_TRAITS,
	MAKES_NOTHING,
} RuleMakes;

typedef struct Rule
{
	RuleMakes makes;
	const char *reason;
	Condition condition;
	TermList time;
	TermList fields[EVENT_FIELDS];
	TermList identifiers;
	TermList attributes;
	TermList traits;
	TermList consents;
	int neach;
	JsonPointer *each;
} Rule;

/* The rules of the items at one place, in their order. */
typedef struct RulePlace
{
	JsonPointer each;
	int nrules;
	Rule **rules;
} RulePlace;

typedef struct PayloadFormat
{
	int nrules;
	Rule *rules;
	int nplaces;
	RulePlace *places;
} PayloadFormat;

typedef enum EventKind
{
	EVENT_TOUCHPOINT,
	EVENT_EVIDENCE,
	EVENT_TRAITS,
	EVENT_REJECTED,
} EventKind;

/* Texts are terminated; NULL: none. */
typedef struct PayloadEvent
{
	EventKind kind;
	const char *item;   /* pointer of the item in the payload */
	const char *reason; /* why it is rejected */
	int sqlerrcode;
	bool has_time; /* otherwise it is when the payload came in */
	int64 time;    /* as of Touch */
	const char *fields[EVENT_FIELDS];
	int nidentifiers;
	Identifier *identifiers;
	const char *attributes; /* JSON */
	const char *traits;     /* JSON; of a key that stands in it more than once the last counts */
	const char *consents;   /* likewise */
} PayloadEvent;

typedef void (*PayloadEmit)(void *arg, const PayloadEvent *event);

extern const char *const event_field_names[EVENT_FIELDS];

/* What is there to be read and clicked: as long as it comes, and nothing where it is no text. */
static inline bool
event_field_shown(int field)
{
	return field == FIELD_SUBJECT || field == FIELD_URL;
}

/* A field may have so many bytes. */
static inline size_t
event_field_most(int field)
{
	if (event_field_shown(field))
		return PAYLOAD_BYTES_MAX;
	return field == FIELD_CHANNEL || field == FIELD_ACTION ? LABEL_PART_MAX : PAYLOAD_FIELD_MAX;
}

/* format_read.c */
extern bool format_read(TextScan *s, JsonNode *rules, PayloadFormat *format);

/* payload_events.c */
extern void payload_events(const PayloadFormat *format, JsonParser *parser, const char *text,
						   size_t len, PayloadEmit emit, void *arg);

/* event_time.c */
extern bool event_time_read(const char *text, size_t len, int64 *time);
extern bool event_value_check(const char *text);

#endif /* PGJ_PAYLOAD_H */
