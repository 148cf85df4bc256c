/*
 * json_tree.h
 *		JSON in memory: a strict check of the text, and a tree of json-c's.
 *
 * This is the algorithm layer: no fmgr, no catalogs. json_tree.c alone includes
 * json-c, whose names clash with those of the server's headers.
 */
#ifndef PGJ_JSON_TREE_H
#define PGJ_JSON_TREE_H

#include "touchpoint/touch.h"

/* Objects and arrays may stand so deep in each other. */
#define JSON_DEPTH_MAX 64

/* A number may have so many digits, its exponent written out. */
#define JSON_DIGITS_MAX 16383

/* What a check of a text found. */
typedef struct JsonFacts
{
	uint32 members;  /* of all objects */
	char *rewritten; /* the text to parse instead, NULL: the same */
	size_t rewritten_len;
} JsonFacts;

/* A value; NULL is JSON's null. */
typedef struct json_object JsonNode;

typedef struct JsonParser JsonParser;

/* Where a walk over an object's members is; all zeros at the beginning. */
typedef struct JsonCursor
{
	const void *next;
	bool begun;
} JsonCursor;

typedef enum JsonKind
{
	JSON_NULL,
	JSON_BOOLEAN,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
} JsonKind;

/* json_check.c */
extern bool json_check(TextScan *s, JsonFacts *facts);

/* json_tree.c */
extern JsonParser *json_parser_create(void);
extern bool json_parse(JsonParser *parser, TextScan *s, JsonNode **root);
extern JsonKind json_kind(JsonNode *node);
extern const char *json_kind_name(JsonNode *node);
extern size_t json_length(JsonNode *node);
extern bool json_member(JsonNode *node, const char *key, JsonNode **child);
extern bool json_next_member(JsonNode *node, JsonCursor *cursor, const char **key, JsonNode **child);
extern bool json_element(JsonNode *node, size_t i, JsonNode **child);
extern bool json_scalar(JsonNode *node, const char **text, size_t *len);
extern const char *json_print(JsonNode *node, size_t *len);

#endif /* PGJ_JSON_TREE_H */
