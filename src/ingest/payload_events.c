/*
 * payload_events.c
 *		What a payload says, by the rules of its format.
 *
 * For each place of the format, in turn, all items there are found; the first rule of
 * that place whose condition holds says what an item becomes. Nothing gets lost: an
 * item without a rule is rejected, what stands in the way of items is rejected, and so
 * is a payload in which there is no item at all.
 */
#include "postgres.h"

#include "compat.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "ingest/payload.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"

/* the payload, what stands between it and the item, and an array around the payload */
#define LEVELS_MAX (JSON_DEPTH_MAX + 2)

/* To look at an element is as much work as to copy so many bytes. */
#define LOOK_WORK 8

/* Where a numbered pointer leads from an item. */
typedef struct Found
{
	uint64 item;
	bool there;
	JsonNode *node;
} Found;

typedef struct Walk
{
	const PayloadFormat *format;
	const RulePlace *place;
	JsonNode *nodes[LEVELS_MAX]; /* from the payload down to the item */
	int level;                   /* of the item */
	StringInfoData item;         /* its pointer */
	StringInfoData text;         /* of the term being read */
	size_t work;
	uint64 items; /* so many so far, with this one */
	Found founds[POINTER_NUMBERS_MAX + 1];
	bool found;
	PayloadEvent event;
	PayloadEmit emit;
	void *arg;
} Walk;

static void
reject(Walk *w, int sqlerrcode, const char *reason)
{
	PayloadEvent event = {EVENT_REJECTED, .item = w->item.data, .reason = reason,
						  .sqlerrcode = sqlerrcode};

	w->found = true;
	w->emit(w->arg, &event);
}

static inline void
add_work(Walk *w, size_t work)
{
	w->work += work;
}

/* --- reading --- */

static bool
same_scalar(JsonNode *a, JsonNode *b)
{
	const char *x;
	const char *y;
	size_t xlen;
	size_t ylen;

	return json_scalar(a, &x, &xlen) && json_scalar(b, &y, &ylen) && xlen == ylen &&
		   memcmp(x, y, xlen) == 0;
}

static bool
is_text(JsonNode *node, const char *text, size_t len)
{
	const char *x;
	size_t xlen;

	return json_scalar(node, &x, &xlen) && xlen == len && memcmp(x, text, len) == 0;
}

/* The element of an array whose key equals the item's other key, or a text. */
static bool
find_element(Walk *w, JsonNode *array, const PointerPart *part, JsonNode **found)
{
	JsonNode *wanted = NULL;
	JsonNode *value = NULL;

	if (part->item_key != NULL && !json_member(w->nodes[w->level], part->item_key, &wanted))
		return false;
	for (size_t i = 0; json_element(array, i, found); i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_work(w, LOOK_WORK);
		if (json_member(*found, part->like_key, &value) &&
			(part->item_key != NULL ? same_scalar(value, wanted)
									: is_text(value, part->like, part->like_len)))
			return true;
	}
	return false;
}

/* Null and the empty string count as nothing there. */
static bool
find_node(Walk *w, const JsonPointer *pointer, JsonNode **node)
{
	if (pointer->up > w->level)
		return false;
	*node = w->nodes[w->level - pointer->up];
	for (int i = 0; i < pointer->nparts; i++)
	{
		const PointerPart *part = &pointer->parts[i];
		JsonNode *parent = *node;

		if (json_kind(parent) == JSON_ARRAY)
		{
			if (part->like_key != NULL
					? !find_element(w, parent, part, node)
					: part->index < 0 || !json_element(parent, part->index, node))
				return false;
		}
		else if (!json_member(parent, part->key, node))
			return false;
	}
	if (json_kind(*node) == JSON_STRING)
	{
		const char *text;
		size_t len;

		json_scalar(*node, &text, &len);
		return len > 0;
	}
	return json_kind(*node) != JSON_NULL;
}

/* Rules ask for the same again and again. */
static bool
resolve(Walk *w, const JsonPointer *pointer, JsonNode **node)
{
	Found *found = &w->founds[pointer->number];

	if (pointer->number == 0)
		return find_node(w, pointer, node);
	if (found->item != w->items)
	{
		found->item = w->items;
		found->there = find_node(w, pointer, &found->node);
	}
	*node = found->node;
	return found->there;
}

static bool
equals(Walk *w, JsonNode *node, const TestValue *value)
{
	JsonNode *other = NULL;

	if (value->text != NULL)
		return is_text(node, value->text, value->len);
	return resolve(w, &value->pointer, &other) && same_scalar(node, other);
}

static bool
holds(Walk *w, const Condition *condition)
{
	for (int i = 0; i < condition->ntests; i++)
	{
		const Test *test = &condition->tests[i];
		JsonNode *node = NULL;
		bool result = resolve(w, &test->pointer, &node);

		if (result && test->nvalues > 0)
		{
			result = false;
			for (int j = 0; j < test->nvalues && !result; j++)
				result = equals(w, node, &test->values[j]);
		}
		if (result == test->negated)
			return false;
	}
	return true;
}

/* What became of a term, or of a list of them. */
typedef enum Outcome
{
	ABSENT,
	THERE,
	WRONG, /* and the item has been rejected */
} Outcome;

static Outcome
wrong(Walk *w, int sqlerrcode, const char *name, const char *what, const char *text, size_t len)
{
	if (text != NULL)
		what = psprintf("%s %s: \"%s\"", name, what, text_excerpt(text, text + len, 40));
	else
		what = psprintf("%s %s", name, what);
	reject(w, sqlerrcode, what);
	return WRONG;
}

/* The text of a term, left in w->text; what is no text is wrong, or, if lenient, not there. */
static Outcome
read_text(Walk *w, const Term *term, const char *name, size_t most, bool lenient)
{
	resetStringInfo(&w->text);
	for (int i = 0; i < term->nparts; i++)
	{
		const TermPart *part = &term->parts[i];
		JsonNode *node = NULL;
		const char *text = part->literal;
		size_t len = text ? strlen(text) : 0;

		if (text == NULL)
		{
			if (!resolve(w, &part->pointer, &node))
				return ABSENT;
			if (!json_scalar(node, &text, &len))
				return lenient ? ABSENT
							   : wrong(w, ERRCODE_INVALID_TEXT_REPRESENTATION, name,
									   psprintf("is %s", json_kind_name(node)), NULL, 0);
		}
		/* what is taken away, or a telephone number, may have its sign already */
		if (term->signs && i == 1 && len > 0 && (*text == '-' || *text == '+'))
		{
			text++;
			len--;
		}
		if (w->text.len + len > most)
			return wrong(w, ERRCODE_STRING_DATA_RIGHT_TRUNCATION, name,
						 psprintf("is longer than %zu bytes", most), text, len);
		appendBinaryStringInfo(&w->text, text, len);
	}
	add_work(w, w->text.len);
	return w->text.len > 0 ? THERE : ABSENT;
}

/* The first that is there. */
static Outcome
read_texts(Walk *w, const TermList *list, EventField field, const char **result)
{
	for (int i = 0; i < list->nterms; i++)
	{
		Outcome outcome = ABSENT;

		if (holds(w, &list->terms[i].condition))
			outcome = read_text(w, &list->terms[i], event_field_names[field],
								event_field_most(field), event_field_shown(field));
		if (outcome == THERE)
			*result = pnstrdup(w->text.data, w->text.len);
		if (outcome != ABSENT)
			return outcome;
	}
	return ABSENT;
}

/* receivedAt - sentAt + originalTimestamp, and the like: one time is added once more than taken away. */
static Outcome
read_sum(Walk *w, const Term *term, int64 *result)
{
	int64 sum = 0;

	for (int i = 0; i < term->nparts; i++)
	{
		const TermPart *part = &term->parts[i];
		JsonNode *node = NULL;
		const char *text;
		size_t len;
		int64 time;

		if (!resolve(w, &part->pointer, &node))
			return ABSENT;
		if (!json_scalar(node, &text, &len))
			return wrong(w, ERRCODE_INVALID_DATETIME_FORMAT, "occurred_at",
						 psprintf("is %s", json_kind_name(node)), NULL, 0);
		if (!event_time_read(text, len, &time))
			return wrong(w, ERRCODE_INVALID_DATETIME_FORMAT, "occurred_at",
						 "is no time with a zone", text, len);
		if (part->minus ? pg_sub_s64_overflow(sum, time, &sum)
						: pg_add_s64_overflow(sum, time, &sum))
			return wrong(w, ERRCODE_DATETIME_FIELD_OVERFLOW, "occurred_at", "is out of range", text,
						 len);
	}
	if (!IS_VALID_TIMESTAMP(sum))
		return wrong(w, ERRCODE_DATETIME_FIELD_OVERFLOW, "occurred_at", "is out of range", NULL, 0);
	*result = sum;
	return THERE;
}

static Outcome
read_time(Walk *w, const Rule *rule)
{
	for (int i = 0; i < rule->time.nterms; i++)
	{
		const Term *term = &rule->time.terms[i];
		Outcome outcome;

		if (!holds(w, &term->condition))
			continue;
		if (term->kind == TERM_NOW)
			return THERE;
		outcome = read_sum(w, term, &w->event.time);
		w->event.has_time = outcome == THERE;
		if (outcome != ABSENT)
			return outcome;
	}
	return wrong(w, ERRCODE_NULL_VALUE_NOT_ALLOWED, "occurred_at", "is not there", NULL, 0);
}

/* All that are there, once each. */
static Outcome
read_identifiers(Walk *w, const Rule *rule)
{
	const TermList *list = &rule->identifiers;

	w->event.identifiers = palloc0((list->nterms + 1) * sizeof(Identifier));
	for (int i = 0; i < list->nterms; i++)
	{
		const Term *term = &list->terms[i];
		Identifier *id = &w->event.identifiers[w->event.nidentifiers];
		bool again = false;
		Outcome outcome = ABSENT;

		if (holds(w, &term->condition))
			outcome = read_text(w, term, term->name, IDENTIFIER_VALUE_MAX, false);
		if (outcome == WRONG)
			return WRONG;
		if (outcome == ABSENT)
			continue;
		id->namespace = term->name;
		id->namespace_len = strlen(term->name);
		id->value = pnstrdup(w->text.data, w->text.len);
		id->value_len = w->text.len;
		for (Identifier *other = w->event.identifiers; other < id && !again; other++)
			again = other->value_len == id->value_len &&
					memcmp(other->value, id->value, id->value_len) == 0 &&
					strcmp(other->namespace, id->namespace) == 0;
		if (!again)
			w->event.nidentifiers++;
	}
	if (w->event.nidentifiers > 0)
		return THERE;
	reject(w, ERRCODE_NULL_VALUE_NOT_ALLOWED, "no identifier of a customer");
	return WRONG;
}

static void
append_json_string(StringInfo out, const char *text)
{
	appendStringInfoChar(out, '"');
	for (; *text != '\0'; text++)
	{
		if (*text == '"' || *text == '\\')
			appendStringInfoChar(out, '\\');
		if ((unsigned char) *text < ' ')
			appendStringInfo(out, "\\u%04x", *text);
		else
			appendStringInfoChar(out, *text);
	}
	appendStringInfoChar(out, '"');
}

static void
append_member(StringInfo json, const char *name, const char *text, size_t len)
{
	if (json->data == NULL)
		initStringInfo(json);
	appendStringInfoChar(json, json->len == 0 ? '{' : ',');
	append_json_string(json, name);
	appendStringInfoChar(json, ':');
	appendBinaryStringInfo(json, text, len);
}

/* Of several terms of one name the first that is there. */
static Outcome
read_attributes(Walk *w, const Rule *rule)
{
	const TermList *list = &rule->attributes;
	StringInfoData json = {0};
	bool *taken = palloc0((list->nterms + 1) * sizeof(bool));

	for (int i = 0; i < list->nterms; i++)
	{
		const Term *term = &list->terms[i];
		JsonNode *node = NULL;
		const char *text;
		size_t len;
		bool done = false;

		for (int j = 0; j < i && !done; j++)
			done = taken[j] && strcmp(list->terms[j].name, term->name) == 0;
		if (done || !holds(w, &term->condition))
			continue;
		if (term->nparts == 1 && term->parts[0].literal == NULL)
		{
			if (!resolve(w, &term->parts[0].pointer, &node))
				continue;
			text = json_print(node, &len);
			add_work(w, len);
		}
		else
		{
			StringInfoData string;
			Outcome outcome = read_text(w, term, term->name, PAYLOAD_FIELD_MAX, false);

			if (outcome == WRONG)
				return WRONG;
			if (outcome == ABSENT)
				continue;
			initStringInfo(&string);
			append_json_string(&string, w->text.data);
			text = string.data;
			len = string.len;
		}
		append_member(&json, term->name, text, len);
		taken[i] = true;
	}
	if (json.data != NULL)
		appendStringInfoChar(&json, '}');
	w->event.attributes = json.data;
	return THERE;
}

/* An object whose members are traits, or consents; null takes a trait back. */
static Outcome
read_members(Walk *w, const Term *term, const char *what, StringInfo json)
{
	JsonCursor cursor = {0};
	JsonNode *object = NULL;
	JsonNode *child = NULL;
	const char *key;
	const char *text;
	size_t len;

	if (!resolve(w, &term->parts[0].pointer, &object))
		return ABSENT;
	/* so some write an object without members */
	if (json_kind(object) == JSON_ARRAY && json_length(object) == 0)
		return ABSENT;
	if (json_kind(object) != JSON_OBJECT)
		return wrong(w, ERRCODE_INVALID_TEXT_REPRESENTATION, what,
					 psprintf("are %s, not an object", json_kind_name(object)), NULL, 0);
	while (json_next_member(object, &cursor, &key, &child))
	{
		CHECK_FOR_INTERRUPTS();
		len = strlen(key);
		if (len == 0 || len > TRAIT_NAME_MAX)
			return wrong(w, ERRCODE_STRING_DATA_RIGHT_TRUNCATION, what,
						 len == 0 ? "have one without a name"
								  : psprintf("have a name longer than %d bytes", TRAIT_NAME_MAX),
						 len == 0 ? NULL : key, len);
		text = json_print(child, &len);
		add_work(w, LOOK_WORK + len);
		append_member(json, key, text, len);
	}
	return THERE;
}

/* The first terms last, for of several of one name the last counts. */
static Outcome
read_traits(Walk *w, const TermList *list, const char *what, const char **result)
{
	StringInfoData json = {0};

	for (int i = list->nterms - 1; i >= 0; i--)
	{
		const Term *term = &list->terms[i];
		JsonNode *node = NULL;
		const char *text;
		size_t len;
		Outcome outcome;

		if (!holds(w, &term->condition))
			continue;
		if (term->name == NULL)
		{
			if (read_members(w, term, what, &json) == WRONG)
				return WRONG;
		}
		else if (term->nparts == 1 && term->parts[0].literal == NULL)
		{
			if (!resolve(w, &term->parts[0].pointer, &node))
				continue;
			text = json_print(node, &len);
			add_work(w, len);
			append_member(&json, term->name, text, len);
		}
		else
		{
			StringInfoData string;

			outcome = read_text(w, term, term->name, PAYLOAD_FIELD_MAX, false);
			if (outcome == WRONG)
				return WRONG;
			if (outcome == ABSENT)
				continue;
			initStringInfo(&string);
			append_json_string(&string, w->text.data);
			append_member(&json, term->name, string.data, string.len);
		}
	}
	if (json.data != NULL)
		appendStringInfoChar(&json, '}');
	*result = json.data;
	return THERE;
}

static Outcome
read_told(Walk *w, const Rule *rule)
{
	if (read_traits(w, &rule->traits, "traits", &w->event.traits) == WRONG ||
		read_traits(w, &rule->consents, "consents", &w->event.consents) == WRONG)
		return WRONG;
	if (rule->makes == MAKES_TRAITS && w->event.traits == NULL && w->event.consents == NULL)
		return wrong(w, ERRCODE_NULL_VALUE_NOT_ALLOWED,
					 rule->traits.nterms > 0 ? "traits" : "consents", "are not there", NULL, 0);
	return THERE;
}

static Outcome
read_fields(Walk *w, const Rule *rule)
{
	const char **fields = w->event.fields;

	for (int i = 0; i < EVENT_FIELDS; i++)
		if (read_texts(w, &rule->fields[i], i, &fields[i]) == WRONG)
			return WRONG;
	if (fields[FIELD_VALUE] != NULL && !event_value_check(fields[FIELD_VALUE]))
		return wrong(w, ERRCODE_INVALID_TEXT_REPRESENTATION, "value", "is no number",
					 fields[FIELD_VALUE], strlen(fields[FIELD_VALUE]));
	if (fields[FIELD_DIRECTION] != NULL && strcmp(fields[FIELD_DIRECTION], "in") != 0 &&
		strcmp(fields[FIELD_DIRECTION], "out") != 0)
		return wrong(w, ERRCODE_INVALID_PARAMETER_VALUE, "direction", "is neither in nor out",
					 fields[FIELD_DIRECTION], strlen(fields[FIELD_DIRECTION]));
	for (int i = FIELD_CHANNEL; i <= FIELD_ACTION; i++)
		if (rule->makes == MAKES_TOUCHPOINT && fields[i] == NULL)
			return wrong(w, ERRCODE_NULL_VALUE_NOT_ALLOWED, event_field_names[i], "is not there",
						 NULL, 0);
	return THERE;
}

/* --- finding --- */

/* Why the current node can't be what this place has after so many parts, NULL: it can. */
static const char *
obstacle(const RulePlace *place, int done, JsonNode *node)
{
	JsonKind kind = json_kind(node);

	if (done < place->each.nparts && place->each.parts[done].any)
		return kind == JSON_ARRAY ? NULL : "an array";
	if (kind == JSON_OBJECT || (kind == JSON_ARRAY && done < place->each.nparts))
		return NULL;
	return "an object";
}

/* Reject what stands in the way, unless a place before has told so. */
static bool
is_in_the_way(Walk *w, int done)
{
	JsonNode *node = w->nodes[w->level];
	const char *expected = obstacle(w->place, done, node);

	if (expected == NULL)
		return false;
	for (const RulePlace *other = w->format->places; other < w->place; other++)
	{
		int same = 0;

		while (same < done && same < other->each.nparts &&
			   strcmp(other->each.parts[same].key, w->place->each.parts[same].key) == 0)
			same++;
		if (same == done && obstacle(other, done, node) != NULL)
			return true;
	}
	reject(w, ERRCODE_INVALID_JSON_TEXT, psprintf("%s, not %s", json_kind_name(node), expected));
	return true;
}

static void
put_item(Walk *w)
{
	const Rule *rule = NULL;

	w->items++;
	add_work(w, 1);
	if (w->work > PAYLOAD_WORK_MAX)
	{
		reject(w, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "the payload makes too much");
		return;
	}
	for (int i = 0; i < w->place->nrules && rule == NULL; i++)
		if (holds(w, &w->place->rules[i]->condition))
			rule = w->place->rules[i];
	if (rule == NULL)
		reject(w, ERRCODE_NO_DATA_FOUND, "no rule of the format fits");
	else if (rule->makes != MAKES_NOTHING)
	{
		w->found = true;
		memset(&w->event, 0, sizeof(w->event));
		w->event.kind = rule->makes == MAKES_TOUCHPOINT ? EVENT_TOUCHPOINT
						: rule->makes == MAKES_EVIDENCE ? EVENT_EVIDENCE
														: EVENT_TRAITS;
		w->event.item = w->item.data;
		if (read_identifiers(w, rule) == THERE && read_time(w, rule) == THERE &&
			read_fields(w, rule) == THERE && read_attributes(w, rule) == THERE &&
			read_told(w, rule) == THERE)
			w->emit(w->arg, &w->event);
	}
	else if (rule->reason != NULL)
		reject(w, ERRCODE_FEATURE_NOT_SUPPORTED, rule->reason);
	else
		w->found = true;
}

/* All items below the current node that the other parts lead to. */
static void
find_items(Walk *w, int done, bool is_element)
{
	const PointerPart *part;
	JsonNode *node = w->nodes[w->level];
	JsonNode *child = NULL;
	int len = w->item.len;

	if (json_kind(node) == JSON_NULL && !is_element)
		return;
	if (is_in_the_way(w, done))
		return;
	if (done == w->place->each.nparts)
	{
		put_item(w);
		return;
	}
	if (w->level + 1 == LEVELS_MAX)
		return; /* the text has not so many */
	part = &w->place->each.parts[done];
	if (!part->any)
	{
		if (!json_member(node, part->key, &child) &&
			(part->index < 0 || !json_element(node, part->index, &child)))
			return;
		appendStringInfoChar(&w->item, '/');
		for (const char *p = part->key; *p != '\0'; p++)
			if (*p == '~' || *p == '/')
				appendStringInfoString(&w->item, *p == '~' ? "~0" : "~1");
			else
				appendStringInfoChar(&w->item, *p);
		w->nodes[++w->level] = child;
		find_items(w, done + 1, false);
		w->level--;
	}
	else
		for (size_t i = 0; json_element(node, i, &child); i++)
		{
			CHECK_FOR_INTERRUPTS();
			w->item.len = len;
			appendStringInfo(&w->item, "/%zu", i);
			w->nodes[++w->level] = child;
			find_items(w, done + 1, true);
			w->level--;
		}
	w->item.len = len;
	w->item.data[len] = '\0';
}

static void
walk_payload(Walk *w, JsonNode *payload)
{
	w->nodes[0] = payload;
	w->level = 0;
	w->found = false;
	if (json_kind(payload) != JSON_OBJECT)
		reject(w, ERRCODE_INVALID_JSON_TEXT,
			   psprintf("%s, not an object", json_kind_name(payload)));
	else
		for (int i = 0; i < w->format->nplaces; i++)
		{
			w->place = &w->format->places[i];
			find_items(w, 0, false);
		}
	if (!w->found)
		reject(w, ERRCODE_NO_DATA_FOUND, "nothing that the format knows is in it");
}

/*
 * Emit what a text says. What it makes lives in the current memory context, which
 * the caller resets; an array is as many payloads.
 */
void
payload_events(const PayloadFormat *format, JsonParser *parser, const char *text, size_t len,
			   PayloadEmit emit, void *arg)
{
	Walk w = {format, .emit = emit, .arg = arg};
	JsonNode *root = NULL;
	TextScan s;

	initStringInfo(&w.item);
	initStringInfo(&w.text);
	text_scan_init(&s, text, len);
	if (len > PAYLOAD_BYTES_MAX)
		reject(&w, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
			   psprintf("longer than %d bytes", PAYLOAD_BYTES_MAX));
	else if (!json_parse(parser, &s, &root))
		reject(&w, s.sqlerrcode, psprintf("%s: %s", s.message, s.detail));
	else if (json_kind(root) != JSON_ARRAY)
		walk_payload(&w, root);
	else
	{
		JsonNode *payload = NULL;

		for (size_t i = 0; json_element(root, i, &payload); i++)
		{
			resetStringInfo(&w.item);
			appendStringInfo(&w.item, "/%zu", i);
			walk_payload(&w, payload);
		}
		if (json_length(root) == 0)
			reject(&w, ERRCODE_NO_DATA_FOUND, "nothing that the format knows is in it");
	}
}
