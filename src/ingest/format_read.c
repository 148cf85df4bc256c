/*
 * format_read.c
 *		Reads the rules of a format.
 *
 * They come as JSON, an array of the rows of a hub's table "formats". A term is
 *
 *		[name:] pointer | =text with {pointer} in it | now  [if test [and test ...]]
 *
 * (a pointer without a name in traits or consents is that of an object whose members are those)
 *
 * and a test is
 *
 *		[not] pointer [= value [| value ...]]
 *
 * where a value is text or a {pointer}. A pointer is one of RFC 6901, read from the item,
 * or, after a number, from so many levels above it, as in the draft of relative JSON
 * pointers. What can be read must be able to find something: a slip of the pen that would
 * make a rule that never does is an error.
 */
#include "postgres.h"

#include "compat.h"
#include "ingest/payload.h"
#include "lib/stringinfo.h"

const char *const event_field_names[EVENT_FIELDS] = {
	"channel", "action",   "value",      "currency", "direction", "conversation",
	"agent",   "campaign", "source_key", "subject",  "url"};

/* What a pointer or a term is read for. */
typedef enum Use
{
	USE_EACH,
	USE_TEST,
	USE_TIME,
	USE_IDENTIFIER,
	USE_FIELD,
	USE_ATTRIBUTE,
	USE_TRAIT,
} Use;

/* A piece of a text. */
typedef struct Piece
{
	const char *p;
	const char *end;
} Piece;

static bool
fail(TextScan *s, Piece piece, const char *what)
{
	return text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
						  psprintf("%s: \"%s\"", what, text_excerpt(piece.p, piece.end, 80)), NULL);
}

static char *
piece_text(Piece piece)
{
	return pnstrdup(piece.p, piece.end - piece.p);
}

static const char *
find(Piece piece, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = piece.p; p + len <= piece.end; p++)
		if (memcmp(p, word, len) == 0)
			return p;
	return NULL;
}

static bool
skip(Piece *piece, const char *word)
{
	size_t len = strlen(word);

	if (piece->end - piece->p < len || memcmp(piece->p, word, len) != 0)
		return false;
	piece->p += len;
	return true;
}

/* What stands before the next such word, which is skipped; all the rest if there is none. */
static Piece
next_piece(Piece *rest, const char *word)
{
	const char *at = find(*rest, word);
	Piece piece = {rest->p, at ? at : rest->end};

	rest->p = at ? at + strlen(word) : rest->end;
	return piece;
}

static int
count_pieces(Piece rest, const char *word)
{
	int n = 1;

	while (find(rest, word) != NULL)
	{
		next_piece(&rest, word);
		n++;
	}
	return n;
}

static bool
is_pointer(Piece piece)
{
	return piece.p == piece.end || *piece.p == '/' || (*piece.p >= '0' && *piece.p <= '9');
}

static bool
ends(Piece piece, const char *word)
{
	size_t len = strlen(word);

	return piece.end - piece.p >= len && memcmp(piece.end - len, word, len) == 0;
}

/* "?a=b" or "?a==text", unescaped already; on an object it is a member as any other. */
static bool
read_like(TextScan *s, Piece piece, PointerPart *part)
{
	const char *equals = strchr(part->key, '=');

	part->like_key = pnstrdup(part->key + 1, equals - part->key - 1);
	if (equals[1] == '=')
	{
		part->like = equals + 2;
		part->like_len = strlen(part->like);
	}
	else
		part->item_key = equals + 1;
	if (part->like_key[0] == '\0' || (part->like ? part->like : part->item_key)[0] == '\0')
		return fail(s, piece, "not \"?key=key of the item\" nor \"?key==text\"");
	return true;
}

static bool
read_part(TextScan *s, Piece piece, Use use, PointerPart *part)
{
	char *text = piece_text(piece);
	char *to = text;

	part->any = strcmp(text, "*") == 0;
	if (part->any && use != USE_EACH)
		return fail(s, piece, "\"*\" is for \"each\" only");
	if (use == USE_EACH && !part->any && strchr(text, '*') != NULL)
		return fail(s, piece, "\"*\" must stand alone between slashes");
	for (const char *p = text; *p != '\0'; p++)
	{
		if (*p == '~')
		{
			p++;
			if (*p != '0' && *p != '1')
				return fail(s, piece, "\"~\" must be followed by 0 or 1 in a JSON pointer");
			*to++ = *p == '0' ? '~' : '/';
		}
		else
			*to++ = *p;
	}
	*to = '\0';
	part->key = text;
	part->index = -1;
	if (to > text && (text[0] == ' ' || to[-1] == ' '))
		return fail(s, piece, "a space at the beginning or end of a part of a JSON pointer");
	if (text[0] == '?' && strchr(text, '=') != NULL)
	{
		if (use == USE_EACH)
			return fail(s, piece, "\"?\" is not for \"each\"");
		return read_like(s, piece, part);
	}
	if (ends(piece, " if"))
		return fail(s, piece, "no test after \"if\"");
	if (use == USE_TEST && strpbrk(text, "=<>") != NULL)
		return fail(s, piece, "a test is \"pointer\" or \"pointer = value\", with spaces");
	if (use == USE_TEST && (ends(piece, " and") || ends(piece, " or")))
		return fail(s, piece, "no test after \"and\"");
	if (use == USE_TEST && (ends(piece, " null") || ends(piece, " NULL")))
		return fail(s, piece, "null is not there: \"not pointer\" asks for that");
	if (use == USE_TIME && to > text && (to[-1] == '+' || to[-1] == '-'))
		return fail(s, piece, "\"+\" and \"-\" must stand between spaces");
	if (strspn(text, "0123456789") == to - text && to > text && to - text <= 9 &&
		(text[0] != '0' || to - text == 1))
		part->index = atoi(text);
	return true;
}

/* May what a pointer leads to be an object or array? */
static bool
may_be_whole(Use use)
{
	return use == USE_ATTRIBUTE || use == USE_TRAIT;
}

static bool
read_pointer(TextScan *s, Piece piece, Use use, JsonPointer *pointer)
{
	Piece rest = piece;

	memset(pointer, 0, sizeof(*pointer));
	pointer->text = piece_text(piece);
	if (!is_pointer(piece))
		return fail(s, piece, "not a JSON pointer, which begins with \"/\" or a number");
	for (; rest.p < rest.end && *rest.p >= '0' && *rest.p <= '9'; rest.p++)
		pointer->up = Min(pointer->up * 10 + (*rest.p - '0'), JSON_DEPTH_MAX + 1);
	if (use == USE_EACH && pointer->up > 0)
		return fail(s, piece, "\"each\" begins at the payload");
	if (rest.p == rest.end)
	{
		/* that something is above the item may be asked, and it may be kept as a whole */
		if (use == USE_EACH || may_be_whole(use) || (use == USE_TEST && pointer->up > 0))
			return true;
		return fail(s, piece, "a JSON pointer to an object or array as a whole");
	}
	if (!skip(&rest, "/"))
		return fail(s, piece, "not a JSON pointer");
	pointer->nparts = count_pieces(rest, "/");
	if (pointer->nparts > POINTER_PARTS_MAX)
		return fail(s, piece, psprintf("a JSON pointer of more than %d parts", POINTER_PARTS_MAX));
	pointer->parts = palloc0(pointer->nparts * sizeof(PointerPart));
	for (int i = 0; i < pointer->nparts; i++)
		if (!read_part(s, next_piece(&rest, "/"), use, &pointer->parts[i]))
			return false;
	if (pointer->parts[0].any)
		return fail(s, piece, "a payload is an object; an array is as many payloads");
	for (int i = 1; i < pointer->nparts; i++)
	{
		const PointerPart *part = &pointer->parts[i - 1];

		if (part->key[0] == '?' && part->like_key == NULL)
			return fail(s, piece, "not \"?key=key of the item\" nor \"?key==text\"");
		if (part->like_key != NULL && pointer->parts[i].like_key != NULL)
			return fail(s, piece, "an element that \"?\" finds is an object, not a list");
	}
	if (pointer->parts[pointer->nparts - 1].like_key != NULL && use != USE_TEST &&
		!may_be_whole(use))
		return fail(s, piece, "an element that \"?\" finds is an object as a whole");
	return true;
}

static bool
read_value(TextScan *s, Piece piece, TestValue *value)
{
	size_t len = piece.end - piece.p;

	if (len == 0)
		return fail(s, piece, "a value is empty, which nothing equals: \"not\" asks for that");
	if (len > 1 && *piece.p == '{' && piece.end[-1] == '}')
		return read_pointer(s, (Piece) {piece.p + 1, piece.end - 1}, USE_FIELD, &value->pointer);
	if (*piece.p == ' ' || piece.end[-1] == ' ')
		return fail(s, piece, "a space at the beginning or end of a value");
	if (*piece.p == '|' || piece.end[-1] == '|')
		return fail(s, piece, "\"|\" must stand between values");
	if (len > 1 && (*piece.p == '"' || *piece.p == '\'') && piece.end[-1] == *piece.p)
		return fail(s, piece, "values of tests are written without quotes");
	if (find(piece, " = ") != NULL || find(piece, " AND ") != NULL || find(piece, " OR ") != NULL ||
		find(piece, " or /") != NULL || find(piece, " or not ") != NULL)
		return fail(s, piece, "tests are joined by \" and \" only, values by \" | \"");
	if (ends(piece, " and") || ends(piece, " or"))
		return fail(s, piece, "no test after \"and\"");
	value->text = piece_text(piece);
	value->len = len;
	return true;
}

static bool
read_condition(TextScan *s, Piece rest, Condition *condition)
{
	condition->ntests = count_pieces(rest, " and ");
	condition->tests = palloc0(condition->ntests * sizeof(Test));
	for (int i = 0; i < condition->ntests; i++)
	{
		Test *test = &condition->tests[i];
		Piece piece = next_piece(&rest, " and ");
		Piece values = piece;
		bool compares;

		test->negated = skip(&piece, "not ");
		values.p = piece.p;
		compares = find(values, " = ") != NULL;
		piece = next_piece(&values, " = ");
		if (find(piece, " | ") != NULL)
			return fail(s, piece, "\"|\" stands between values, after \"=\"");
		if (!read_pointer(s, piece, USE_TEST, &test->pointer))
			return false;
		if (!compares)
			continue;
		if (test->pointer.nparts == 0 ||
			test->pointer.parts[test->pointer.nparts - 1].like_key != NULL)
			return fail(s, piece, "an object or array as a whole equals nothing");
		test->nvalues = count_pieces(values, " | ");
		test->values = palloc0(test->nvalues * sizeof(TestValue));
		for (int j = 0; j < test->nvalues; j++)
			if (!read_value(s, next_piece(&values, " | "), &test->values[j]))
				return false;
	}
	return true;
}

/* Text with pointers in braces; two braces are one. */
static bool
read_template(TextScan *s, Piece all, Term *term)
{
	Piece piece = all;
	StringInfoData literal;

	initStringInfo(&literal);
	term->parts = palloc0(((piece.end - piece.p) / 2 * 2 + 3) * sizeof(TermPart));
	while (piece.p < piece.end)
	{
		const char *close;

		if (*piece.p != '{' || (piece.p + 1 < piece.end && piece.p[1] == '{'))
		{
			piece.p += *piece.p == '{';
			appendStringInfoChar(&literal, *piece.p++);
			continue;
		}
		close = memchr(piece.p, '}', piece.end - piece.p);
		if (close == NULL)
			return fail(s, piece, "a brace is not closed");
		if (literal.len > 0)
			term->parts[term->nparts++].literal = pstrdup(literal.data);
		resetStringInfo(&literal);
		if (!read_pointer(s, (Piece) {piece.p + 1, close}, USE_FIELD,
						  &term->parts[term->nparts++].pointer))
			return false;
		piece.p = close + 1;
	}
	if (literal.len > 0)
		term->parts[term->nparts++].literal = literal.data;
	if (term->nparts == 0)
		return fail(s, all, "no text after \"=\"");
	if (ends(all, " if"))
		return fail(s, all, "no test after \"if\"");
	if (term->nparts == 1 && term->parts[0].literal != NULL && (*all.p == ' ' || ends(all, " ")))
		return fail(s, all, "a space at the beginning or end of a text");
	return true;
}

/* One pointer; of times, some with " + " or " - " between them. */
static bool
read_pointers(TextScan *s, Piece all, Use use, Term *term)
{
	Piece piece = all;
	bool time = use == USE_TIME;
	bool minus = false;
	int sum = 0;

	if (!is_pointer(piece))
		return fail(s, piece,
					time
						? "neither a JSON pointer, which begins with \"/\" or a number, nor now"
						: "neither a JSON pointer, which begins with \"/\" or a number, nor a text "
						  "after \"=\"");
	term->parts = palloc0(((piece.end - piece.p) / 3 + 1) * sizeof(TermPart));
	for (;;)
	{
		Piece plus_rest = piece;
		Piece minus_rest = piece;
		Piece plus = next_piece(&plus_rest, time ? " + " : "\1");
		Piece less = next_piece(&minus_rest, time ? " - " : "\1");
		bool plus_next = plus.end <= less.end;
		Piece pointer = plus_next ? plus : less;
		TermPart *part = &term->parts[term->nparts++];

		if (!read_pointer(s, pointer, use, &part->pointer))
			return false;
		part->minus = minus;
		sum += minus ? -1 : 1;
		if (pointer.end == piece.end)
			break;
		minus = !plus_next;
		piece = plus_next ? plus_rest : minus_rest;
	}
	if (sum != 1)
		return fail(s, all, "no time: one must be added once more than taken away");
	return true;
}

/* "/a" and "2/a" are pointers, "2nd:/a" is a name and one. */
static bool
begins_with_pointer(const char *text)
{
	text += strspn(text, "0123456789");
	return *text == '/' || *text == '\0' || *text == ' ';
}

static bool
read_term(TextScan *s, const char *text, Use use, Term *term)
{
	Piece piece = {text, text + strlen(text)};
	Piece body;
	const char *at;

	term->text = text;
	if (use == USE_IDENTIFIER || use == USE_ATTRIBUTE || (use == USE_TRAIT && !begins_with_pointer(text)))
	{
		at = strchr(text, ':');
		if (at == NULL || at == text)
			return fail(s, piece, "a name and a colon must stand before the pointer");
		if (use == USE_TRAIT && at - text > TRAIT_NAME_MAX)
			return fail(s, piece, psprintf("a name longer than %d bytes", TRAIT_NAME_MAX));
		term->name = pnstrdup(text, at - text);
		piece.p = at + 1;
	}
	body = piece;
	at = find(piece, " if ");
	if (at != NULL)
	{
		body.end = at;
		if (!read_condition(s, (Piece) {at + 4, piece.end}, &term->condition))
			return false;
	}
	term->kind = use == USE_TIME ? TERM_SUM : TERM_TEXT;
	if (use == USE_TIME && body.end - body.p == 3 && memcmp(body.p, "now", 3) == 0)
		term->kind = TERM_NOW;
	else if (use != USE_TIME && skip(&body, "="))
		return read_template(s, body, term);
	else
		return read_pointers(s, body, use, term);
	return true;
}

/* A member that is an array of texts, or missing, or null; each of them copied. */
static bool
read_texts(TextScan *s, JsonNode *row, const char *name, int *ntexts, const char ***texts)
{
	JsonNode *array = NULL;

	*ntexts = 0;
	if (!json_member(row, name, &array) || json_kind(array) == JSON_NULL)
		return true;
	if (json_kind(array) != JSON_ARRAY)
		return text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
							  psprintf("Its %s is not an array.", name), NULL);
	*texts = palloc((json_length(array) + 1) * sizeof(char *));
	for (; *ntexts < json_length(array); (*ntexts)++)
	{
		JsonNode *element = NULL;
		const char *text;
		size_t len;

		json_element(array, *ntexts, &element);
		if (json_kind(element) != JSON_STRING || !json_scalar(element, &text, &len))
			return text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
								  psprintf("Its %s holds %s.", name, json_kind_name(element)),
								  NULL);
		(*texts)[*ntexts] = pnstrdup(text, len);
	}
	return true;
}

static bool
read_terms(TextScan *s, JsonNode *row, const char *name, Use use, TermList *list)
{
	const char **texts;

	if (!read_texts(s, row, name, &list->nterms, &texts))
		return false;
	list->terms = palloc0((list->nterms + 1) * sizeof(Term));
	for (int i = 0; i < list->nterms; i++)
		if (!read_term(s, texts[i], use, &list->terms[i]))
		{
			s->detail = psprintf("In %s: %s.", name, s->detail);
			return false;
		}
	return true;
}

/* A member that is a text, NULL where there is none. */
static const char *
row_text(JsonNode *row, const char *name)
{
	JsonNode *node = NULL;
	const char *text;
	size_t len;

	if (!json_member(row, name, &node) || !json_scalar(node, &text, &len))
		return NULL;
	return pnstrdup(text, len);
}

/* --- what could be read, and yet would never find anything --- */

/* Can a pointer lead to something, or to a scalar, from a level on the way to an item? */
static bool
can_lead(const JsonPointer *each, int level, const JsonPointer *pointer, bool scalar)
{
	int done = 0;
	const PointerPart *next;

	/* as far as it goes the item's way it is known what is there */
	while (done < pointer->nparts && level < each->nparts && !each->parts[level].any &&
		   strcmp(pointer->parts[done].key, each->parts[level].key) == 0)
	{
		done++;
		level++;
	}
	if (done == pointer->nparts)
		return !scalar;
	next = &pointer->parts[done];
	/* what has "*" below it is an array; what has a key, an item, and a payload, is an object */
	if (level < each->nparts && each->parts[level].any)
		return next->index >= 0 || next->like_key != NULL;
	return next->like_key == NULL ||
		   (level > 0 && level < each->nparts && each->parts[level].index >= 0);
}

static bool
check_pointer(TextScan *s, const Rule *rule, const JsonPointer *pointer, bool scalar)
{
	const char *end = pointer->text + strlen(pointer->text);
	bool up = false;

	for (int i = 0; i < rule->neach; i++)
	{
		int level = rule->each[i].nparts - pointer->up;

		if (level >= 0 && can_lead(&rule->each[i], level, pointer, scalar))
			return true;
		up |= level >= 0;
	}
	return text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
						  psprintf(up ? "\"%s\" takes an array or object for something else."
									  : "\"%s\" is further up than the payload.",
								   text_excerpt(pointer->text, end, 80)),
						  NULL);
}

static bool
check_condition(TextScan *s, const Rule *rule, const Condition *condition)
{
	for (int i = 0; i < condition->ntests; i++)
	{
		const Test *test = &condition->tests[i];

		if (!check_pointer(s, rule, &test->pointer, test->nvalues > 0))
			return false;
		for (int j = 0; j < test->nvalues; j++)
			if (test->values[j].text == NULL &&
				!check_pointer(s, rule, &test->values[j].pointer, true))
				return false;
	}
	return true;
}

/* most: so many bytes may come of a term */
static bool
check_terms(TextScan *s, const Rule *rule, const TermList *list, const char *name, size_t most)
{
	for (int i = 0; i < list->nterms; i++)
	{
		const Term *term = &list->terms[i];
		size_t len = 0;

		if (!check_condition(s, rule, &term->condition))
			return false;
		for (int j = 0; j < term->nparts; j++)
			if (term->parts[j].literal != NULL)
				len += strlen(term->parts[j].literal);
			else if (!check_pointer(s, rule, &term->parts[j].pointer,
									list != &rule->attributes && list != &rule->traits &&
										list != &rule->consents))
				return false;
		if (len > most)
			return text_fail_with(
				s, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
				psprintf("A text in its %s is longer than %zu bytes.", name, most), NULL);
	}
	return true;
}

/* Texts that stand in the rule itself must be what they are for. */
static bool
check_constants(TextScan *s, const TermList *list, const char *name, bool is_value)
{
	for (int i = 0; i < list->nterms; i++)
	{
		const char *text = list->terms[i].nparts == 1 ? list->terms[i].parts[0].literal : NULL;

		if (text == NULL || (is_value ? event_value_check(text)
									  : strcmp(text, "in") == 0 || strcmp(text, "out") == 0))
			continue;
		return text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
							  psprintf("Its %s is %s: \"%s\".", name,
									   is_value ? "no number" : "neither in nor out",
									   text_excerpt(text, text + strlen(text), 80)),
							  NULL);
	}
	return true;
}

static bool
check_rule(TextScan *s, const Rule *rule)
{
	const struct
	{
		const TermList *list;
		const char *name;
		bool needed;
	} lists[] = {{&rule->identifiers, "identifiers", rule->makes != MAKES_NOTHING},
				 {&rule->time, "occurred_at", rule->makes != MAKES_NOTHING},
				 {&rule->traits, "traits",
				  rule->makes == MAKES_TRAITS && rule->consents.nterms == 0},
				 {&rule->fields[FIELD_CHANNEL], "channel", rule->makes == MAKES_TOUCHPOINT},
				 {&rule->fields[FIELD_ACTION], "action", rule->makes == MAKES_TOUCHPOINT}};

	if (rule->neach == 0)
		return text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
							  "Its each is empty, so that there are no items.", NULL);
	if (!check_condition(s, rule, &rule->condition) ||
		!check_terms(s, rule, &rule->time, "occurred_at", PAYLOAD_FIELD_MAX) ||
		!check_terms(s, rule, &rule->identifiers, "identifiers", IDENTIFIER_VALUE_MAX) ||
		!check_terms(s, rule, &rule->attributes, "attributes", PAYLOAD_FIELD_MAX) ||
		!check_terms(s, rule, &rule->traits, "traits", PAYLOAD_FIELD_MAX) ||
		!check_terms(s, rule, &rule->consents, "consents", PAYLOAD_FIELD_MAX))
		return false;
	for (int i = 0; i < EVENT_FIELDS; i++)
		if (!check_terms(s, rule, &rule->fields[i], event_field_names[i], event_field_most(i)))
			return false;
	if (!check_constants(s, &rule->fields[FIELD_VALUE], "value", true) ||
		!check_constants(s, &rule->fields[FIELD_DIRECTION], "direction", false))
		return false;
	for (size_t i = 0; i < lengthof(lists); i++)
		if (lists[i].needed && lists[i].list->nterms == 0)
			return text_fail_with(
				s, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
				psprintf("It makes %s, which needs %s.",
						 rule->makes == MAKES_EVIDENCE ? "evidence"
						 : rule->makes == MAKES_TRAITS ? "traits"
													   : "touchpoints",
						 lists[i].name),
				NULL);
	return true;
}

static void
find_signs(TermList *list, const char *sign)
{
	for (int i = 0; i < list->nterms; i++)
	{
		Term *term = &list->terms[i];

		term->signs = term->nparts == 2 && term->parts[0].literal != NULL &&
					  strcmp(term->parts[0].literal, sign) == 0;
	}
}

static bool
read_rule(TextScan *s, JsonNode *row, Rule *rule)
{
	const char *makes = row_text(row, "makes");
	const char *condition = row_text(row, "condition");
	const char **each;

	if (makes != NULL && strcmp(makes, "touchpoint") == 0)
		rule->makes = MAKES_TOUCHPOINT;
	else if (makes != NULL && strcmp(makes, "evidence") == 0)
		rule->makes = MAKES_EVIDENCE;
	else if (makes != NULL && strcmp(makes, "traits") == 0)
		rule->makes = MAKES_TRAITS;
	else if (makes != NULL && strcmp(makes, "nothing") == 0)
		rule->makes = MAKES_NOTHING;
	else
		return text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
							  "It makes neither touchpoint nor evidence nor traits nor nothing.", NULL);
	rule->reason = row_text(row, "reason");
	if (condition != NULL &&
		!read_condition(s, (Piece) {condition, condition + strlen(condition)}, &rule->condition))
	{
		s->detail = psprintf("In condition: %s.", s->detail);
		return false;
	}
	if (!read_texts(s, row, "each", &rule->neach, &each))
		return false;
	rule->each = palloc0((rule->neach + 1) * sizeof(JsonPointer));
	for (int i = 0; i < rule->neach; i++)
		if (!read_pointer(s, (Piece) {each[i], each[i] + strlen(each[i])}, USE_EACH,
						  &rule->each[i]))
		{
			s->detail = psprintf("In each: %s.", s->detail);
			return false;
		}
	for (int i = 0; i < EVENT_FIELDS; i++)
		if (!read_terms(s, row, event_field_names[i], USE_FIELD, &rule->fields[i]))
			return false;
	if (!read_terms(s, row, "occurred_at", USE_TIME, &rule->time) ||
		!read_terms(s, row, "identifiers", USE_IDENTIFIER, &rule->identifiers) ||
		!read_terms(s, row, "attributes", USE_ATTRIBUTE, &rule->attributes) ||
		!read_terms(s, row, "traits", USE_TRAIT, &rule->traits) ||
		!read_terms(s, row, "consents", USE_TRAIT, &rule->consents))
		return false;
	find_signs(&rule->fields[FIELD_VALUE], "-");
	find_signs(&rule->identifiers, "+");
	for (int i = 0; i < rule->identifiers.nterms; i++)
	{
		const char *namespace = rule->identifiers.terms[i].name;
		Identifier id = {namespace, "x", strlen(namespace), 1};

		if (!identifier_check(s, &id, ERRCODE_INVALID_PARAMETER_VALUE))
			return false;
	}
	return check_rule(s, rule);
}

/* The rules of each place, the places in the order of their first rules. */
static void
find_places(PayloadFormat *format)
{
	int most = 0;

	for (int i = 0; i < format->nrules; i++)
		most += format->rules[i].neach;
	format->places = palloc0((most + 1) * sizeof(RulePlace));
	for (int i = 0; i < format->nrules; i++)
		for (int j = 0; j < format->rules[i].neach; j++)
		{
			const JsonPointer *each = &format->rules[i].each[j];
			int n = 0;

			while (n < format->nplaces && strcmp(format->places[n].each.text, each->text) != 0)
				n++;
			if (n == format->nplaces)
			{
				format->places[format->nplaces++].each = *each;
				format->places[n].rules = palloc(most * sizeof(Rule *));
			}
			format->places[n].rules[format->places[n].nrules++] = &format->rules[i];
		}
}

/* --- numbers of pointers --- */

typedef struct Numbers
{
	int n;
	const char *texts[POINTER_NUMBERS_MAX];
} Numbers;

/* What "?" finds costs work each time it is looked for, which is counted. */
static void
number_pointer(Numbers *numbers, JsonPointer *pointer)
{
	int i = 0;

	for (int part = 0; part < pointer->nparts; part++)
		if (pointer->parts[part].like_key != NULL)
			return;
	while (i < numbers->n && strcmp(numbers->texts[i], pointer->text) != 0)
		i++;
	if (i == POINTER_NUMBERS_MAX)
		return;
	numbers->texts[i] = pointer->text;
	numbers->n = Max(numbers->n, i + 1);
	pointer->number = i + 1;
}

static void
number_condition(Numbers *numbers, Condition *condition)
{
	for (int i = 0; i < condition->ntests; i++)
	{
		Test *test = &condition->tests[i];

		number_pointer(numbers, &test->pointer);
		for (int j = 0; j < test->nvalues; j++)
			if (test->values[j].text == NULL)
				number_pointer(numbers, &test->values[j].pointer);
	}
}

static void
number_terms(Numbers *numbers, TermList *list)
{
	for (int i = 0; i < list->nterms; i++)
	{
		Term *term = &list->terms[i];

		number_condition(numbers, &term->condition);
		for (int j = 0; j < term->nparts; j++)
			if (term->parts[j].literal == NULL)
				number_pointer(numbers, &term->parts[j].pointer);
	}
}

/* Those of one text, in whatever rule, have one number. */
static void
number_pointers(PayloadFormat *format)
{
	Numbers numbers = {0};

	for (int i = 0; i < format->nrules; i++)
	{
		Rule *rule = &format->rules[i];

		number_condition(&numbers, &rule->condition);
		number_terms(&numbers, &rule->time);
		for (int j = 0; j < EVENT_FIELDS; j++)
			number_terms(&numbers, &rule->fields[j]);
		number_terms(&numbers, &rule->identifiers);
		number_terms(&numbers, &rule->attributes);
		number_terms(&numbers, &rule->traits);
		number_terms(&numbers, &rule->consents);
	}
}

/*
 * The format lives in the current memory context and needs nothing of the rules'
 * tree. On failure the detail says what is wrong; the message is the caller's.
 */
bool
format_read(TextScan *s, JsonNode *rules, PayloadFormat *format)
{
	memset(format, 0, sizeof(*format));
	if (json_kind(rules) != JSON_ARRAY)
		return text_fail_with(s, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
							  psprintf("The rules are %s, not an array.", json_kind_name(rules)),
							  NULL);
	format->rules = palloc0((json_length(rules) + 1) * sizeof(Rule));
	for (; format->nrules < json_length(rules); format->nrules++)
	{
		JsonNode *row = NULL;

		json_element(rules, format->nrules, &row);
		if (!read_rule(s, row, &format->rules[format->nrules]))
		{
			const char *name = row_text(row, "format");
			const char *number = row_text(row, "rule");

			s->message =
				psprintf("invalid rule %s of format %s", number ? number : "?", name ? name : "?");
			return false;
		}
	}
	find_places(format);
	number_pointers(format);
	return true;
}
