/*
 * json_tree.c
 *		Trees of json-c: the only file that includes it.
 *
 * json-c's memory is malloc's. So whatever it allocates is freed by a callback of
 * the memory context in which it was made, on every way out.
 */
#include "postgres.h"

#include <json-c/json_object.h>
#include <json-c/json_object_iterator.h>
#include <json-c/json_tokener.h>

#include "compat.h"
#include "ingest/json_tree.h"
#include "miscadmin.h"

struct JsonParser
{
	MemoryContextCallback callback;
	struct json_tokener *tokener;
};

typedef struct Root
{
	MemoryContextCallback callback;
	struct json_object *object;
} Root;

static void
free_parser(void *arg)
{
	JsonParser *parser = arg;

	if (parser->tokener != NULL)
		json_tokener_free(parser->tokener);
	parser->tokener = NULL;
}

static void
free_root(void *arg)
{
	Root *root = arg;

	json_object_put(root->object);
	root->object = NULL;
}

/* It lives as long as the current memory context. */
JsonParser *
json_parser_create(void)
{
	JsonParser *parser = palloc0(sizeof(JsonParser));

	parser->callback.func = free_parser;
	parser->callback.arg = parser;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &parser->callback);
	/* it counts the value in the innermost array, too */
	parser->tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
	if (parser->tokener == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	/* Not strict: json_check() is stricter, and json-c 0.18 then refuses what is not ASCII */
	return parser;
}

/* How many members objects have, all together. */
static uint32
count_members(JsonNode *node)
{
	uint32 n = 0;

	if (json_object_is_type(node, json_type_object))
	{
		struct json_object_iterator it = json_object_iter_begin(node);
		struct json_object_iterator end = json_object_iter_end(node);

		n = json_object_object_length(node);
		for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
			n += count_members(json_object_iter_peek_value(&it));
	}
	else if (json_object_is_type(node, json_type_array))
		for (size_t i = 0; i < json_object_array_length(node); i++)
			n += count_members(json_object_array_get_idx(node, i));
	return n;
}

/* The tree of a text; it lives as long as the current memory context. */
bool
json_parse(JsonParser *parser, TextScan *s, JsonNode **root)
{
	Root *owner = palloc0(sizeof(Root));
	JsonFacts facts;
	const char *text = s->start;
	size_t len = s->end - s->start;

	if (!json_check(s, &facts))
		return false;
	if (facts.rewritten != NULL)
	{
		text = facts.rewritten;
		len = facts.rewritten_len;
	}
	owner->callback.func = free_root;
	owner->callback.arg = owner;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &owner->callback);
	json_tokener_reset(parser->tokener);
	owner->object = json_tokener_parse_ex(parser->tokener, text, len);
	/* a number or word ends only where the text does */
	if (json_tokener_get_error(parser->tokener) == json_tokener_continue)
		owner->object = json_tokener_parse_ex(parser->tokener, "", 1);
	if (json_tokener_get_error(parser->tokener) != json_tokener_success)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY),
						errmsg("could not parse JSON: %s",
							   json_tokener_error_desc(json_tokener_get_error(parser->tokener)))));
	*root = owner->object;
	/* json-c keeps the last of equal keys */
	if (count_members(*root) != facts.members)
		return text_fail_with(s, ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid JSON",
							  "an object has the same key twice", NULL);
	return true;
}

JsonKind
json_kind(JsonNode *node)
{
	switch (json_object_get_type(node))
	{
		case json_type_null:
			return JSON_NULL;
		case json_type_boolean:
			return JSON_BOOLEAN;
		case json_type_double:
		case json_type_int:
			return JSON_NUMBER;
		case json_type_string:
			return JSON_STRING;
		case json_type_array:
			return JSON_ARRAY;
		case json_type_object:
			break;
	}
	return JSON_OBJECT;
}

const char *
json_kind_name(JsonNode *node)
{
	static const char *const names[] = {"null",     "a boolean", "a number",
										"a string", "an array",  "an object"};

	return names[json_kind(node)];
}

/* Elements of an array, members of an object, 0 of anything else. */
size_t
json_length(JsonNode *node)
{
	if (json_object_is_type(node, json_type_array))
		return json_object_array_length(node);
	return json_object_is_type(node, json_type_object) ? json_object_object_length(node) : 0;
}

bool
json_member(JsonNode *node, const char *key, JsonNode **child)
{
	return json_object_is_type(node, json_type_object) &&
		   json_object_object_get_ex(node, key, child);
}

/* The next member of an object; false: there are no more. */
bool
json_next_member(JsonNode *node, JsonCursor *cursor, const char **key, JsonNode **child)
{
	struct json_object_iterator at;
	struct json_object_iterator end;

	if (!json_object_is_type(node, json_type_object))
		return false;
	at = json_object_iter_begin(node);
	end = json_object_iter_end(node);
	if (cursor->begun)
		at.opaque_ = cursor->next;
	if (json_object_iter_equal(&at, &end))
		return false;
	*key = json_object_iter_peek_name(&at);
	*child = json_object_iter_peek_value(&at);
	json_object_iter_next(&at);
	cursor->next = at.opaque_;
	cursor->begun = true;
	return true;
}

bool
json_element(JsonNode *node, size_t i, JsonNode **child)
{
	if (!json_object_is_type(node, json_type_array) || i >= json_object_array_length(node))
		return false;
	*child = json_object_array_get_idx(node, i);
	return true;
}

/* The text of a string, number or boolean; it lives as long as the tree. */
bool
json_scalar(JsonNode *node, const char **text, size_t *len)
{
	switch (json_kind(node))
	{
		case JSON_STRING:
			*text = json_object_get_string(node);
			*len = json_object_get_string_len(node);
			return true;
		case JSON_NUMBER:
		case JSON_BOOLEAN:
			*text = json_object_get_string(node);
			*len = strlen(*text);
			/* see json_check.c */
			if (*len > 3 && strcmp(*text + *len - 3, "e00") == 0)
				*len -= 3;
			return true;
		default:
			return false;
	}
}

/* A value as JSON, in UTF-8; it lives as long as the tree. */
const char *
json_print(JsonNode *node, size_t *len)
{
	const char *text = json_object_to_json_string_length(
		node, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len);

	if (text == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return text;
}
