/*
 * fuzz_ingest.c
 *		JSON, the rules of formats, and what payloads say by them.
 *
 * The input is a payload; or rules, an empty line, and a payload. What is JSON must be
 * the same after it was printed and read again. Every event must keep its limits, and
 * be rejected with a reason or be whole; a payload that is no JSON makes one rejected event.
 * All of it once more with a request for memory failing. Then all memory must have been
 * given back, json-c's too. An input is accepted if it makes an event
 * that is not rejected.
 */
#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "fuzz.h"
#include "ingest/payload.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

const char *const fuzz_tokens[] = {"\n\n",
								   "{\"messages\": [",
								   "\"from\": ",
								   "\"contacts\": [{\"wa\": 1, \"id\": 2}]",
								   "\\u0000",
								   "\\ud83d\\ude00",
								   "\\ud800",
								   "null",
								   "true",
								   "NaN",
								   "'a'",
								   "1e400",
								   "1e16384",
								   "123456789012345678901234567890",
								   "-0",
								   "\"2026-03-01T10:00:00.123456789Z\"",
								   "1772359200123",
								   "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
								   "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
								   "{\"a\":{\"a\":{\"a\":{\"a\":",
								   ",\"a\":1",
								   "\xef\xbb\xbf",
								   "\xed\xa0\x80",
								   "\xc0\x80",
								   "\xf4\x90\x80\x80",
								   " if not /a = b | c and ",
								   "={2/a}{/b}",
								   "/?a=b",
								   "/?a==b",
								   " if /a = {2/b}",
								   "=-{/v}",
								   "\"each\": [",
								   "\"condition\": \"",
								   "/*",
								   "~1~0",
								   " - ",
								   " + ",
								   "now",
								   NULL};

static const char *const usual_rules =
	"[{\"makes\": \"nothing\", \"each\": [\"\"], \"condition\": \"/messages\"},"
	"{\"makes\": \"nothing\", \"each\": [\"\"], \"condition\": \"not /value\"},"
	"{\"makes\": \"nothing\", \"each\": [\"/a/*/b\"], \"condition\": \"/skip\", \"reason\": "
	"\"skipped\"},"
	"{\"makes\": \"evidence\", \"each\": [\"/messages/*\", \"/a/*/b/*\"], \"condition\": \"/type = "
	"system\", "
	"\"identifiers\": [\"phone:=+{/from}\", \"phone:/to\"], \"occurred_at\": [\"/t\", \"now\"]},"
	"{\"makes\": \"touchpoint\", \"each\": [\"\", \"/messages/*\", \"/a/*/b/*\"], "
	"\"identifiers\": [\"phone:=+{/from}\", \"id:2/contacts/?wa=from/id\"], "
	"\"occurred_at\": [\"/r - /s + /o\", \"/t\", \"now\"], \"channel\": [\"/c\", \"=web\"], "
	"\"action\": [\"=b if /type = a | b\", \"/type\", \"=a\"], \"value\": [\"/v\"], "
	"\"direction\": [\"/d\"], "
	"\"source_key\": [\"={2/key}:{/k}\"], \"attributes\": [\"x:/x\", \"x:=y\", \"y:={/y}\", "
	"\"z:\"], \"traits\": [\"t:/x\", \"/tr\", \"0\", \"t:={/y}\"], \"consents\": [\"m/e:/x\", \"/tr\"]},"
	"{\"makes\": \"traits\", \"each\": [\"/a/*\"], \"identifiers\": [\"id:/k\"], "
	"\"occurred_at\": [\"now\"], \"traits\": [\"/t if /x\", \"2/t\"]}]";

/* of the sanitizer's allocator; GCC brings no header for it */
extern size_t __sanitizer_get_current_allocated_bytes(void);

typedef struct Seen
{
	int events;
	int good;
} Seen;

static void
require_utf8(const char *text)
{
	while (*text != '\0')
	{
		int width = pg_utf_mblen((const unsigned char *) text);

		require(strnlen(text, width) == width);
		require(pg_utf8_islegal((const unsigned char *) text, width));
		text += width;
	}
}

static void
check_event(void *arg, const PayloadEvent *event)
{
	Seen *seen = arg;
	JsonFacts facts;
	TextScan s;

	seen->events++;
	require(event->item[0] == '/' || event->item[0] == '\0');
	require_utf8(event->item);
	if (event->kind == EVENT_REJECTED)
	{
		require(event->reason != NULL && event->reason[0] != '\0' && event->sqlerrcode != 0);
		return;
	}
	seen->good++;
	require(event->nidentifiers > 0);
	for (int i = 0; i < event->nidentifiers; i++)
	{
		text_scan_init(&s, "", 0);
		require(identifier_check(&s, &event->identifiers[i], 1));
		require_utf8(pnstrdup(event->identifiers[i].value, event->identifiers[i].value_len));
	}
	require(!event->has_time || IS_VALID_TIMESTAMP(event->time));
	for (int i = 0; i < EVENT_FIELDS; i++)
		if (event->fields[i] != NULL)
		{
			size_t len = strlen(event->fields[i]);

			require(len > 0 && len <= event_field_most(i));
			require_utf8(event->fields[i]);
		}
	if (event->kind == EVENT_TOUCHPOINT)
		require(event->fields[FIELD_CHANNEL] != NULL && event->fields[FIELD_ACTION] != NULL);
	if (event->attributes != NULL)
	{
		text_scan_init(&s, event->attributes, strlen(event->attributes));
		/* what they are made of may be as deep as can be */
		require(json_check(&s, &facts) || s.sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED);
	}
	if (event->traits != NULL)
	{
		text_scan_init(&s, event->traits, strlen(event->traits));
		require(json_check(&s, &facts) || s.sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED);
	}
	if (event->consents != NULL)
	{
		text_scan_init(&s, event->consents, strlen(event->consents));
		require(json_check(&s, &facts) || s.sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED);
	}
	require(event->kind != EVENT_TRAITS || event->traits != NULL || event->consents != NULL);
}

/* JSON is what it was after it was printed and read again. */
static bool
check_json(JsonParser *parser, const char *text, size_t len)
{
	JsonNode *node = NULL;
	JsonNode *again = NULL;
	const char *printed;
	TextScan s;

	text_scan_init(&s, text, len);
	if (!json_parse(parser, &s, &node))
	{
		require(s.message != NULL && s.detail != NULL && s.sqlerrcode != 0);
		require(s.p >= s.start && s.p <= s.end);
		return false;
	}
	printed = json_print(node, &len);
	text_scan_init(&s, exact_copy(printed, len), len);
	require(json_parse(parser, &s, &again));
	require(strcmp(printed, json_print(again, &len)) == 0);
	return true;
}

static void
check_pointer(const Rule *rule, const JsonPointer *pointer)
{
	bool within = false;

	for (int i = 0; i < rule->neach; i++)
		within |= pointer->up <= rule->each[i].nparts;
	require(within);
	for (int i = 0; i < pointer->nparts; i++)
	{
		const PointerPart *part = &pointer->parts[i];

		require(part->key != NULL && !part->any);
		if (part->like_key != NULL)
			require(part->like_key[0] != '\0' && (part->item_key == NULL) != (part->like == NULL) &&
					(part->item_key ? part->item_key[0] != '\0' : part->like_len > 0));
	}
}

static void
check_condition(const Rule *rule, const Condition *condition)
{
	for (int i = 0; i < condition->ntests; i++)
	{
		const Test *test = &condition->tests[i];

		check_pointer(rule, &test->pointer);
		require(test->pointer.nparts > 0 || (test->pointer.up > 0 && test->nvalues == 0));
		for (int j = 0; j < test->nvalues; j++)
			if (test->values[j].text == NULL)
				check_pointer(rule, &test->values[j].pointer);
			else
				require(test->values[j].len > 0);
	}
}

/* What was read can find something. */
static void
check_rule(const Rule *rule)
{
	const TermList *lists[EVENT_FIELDS + 5] = {&rule->time, &rule->identifiers, &rule->attributes,
												&rule->traits, &rule->consents};

	require(rule->neach > 0);
	require(rule->makes == MAKES_NOTHING ||
			(rule->time.nterms > 0 && rule->identifiers.nterms > 0));
	for (int i = 0; i < EVENT_FIELDS; i++)
		lists[i + 5] = &rule->fields[i];
	check_condition(rule, &rule->condition);
	for (size_t i = 0; i < lengthof(lists); i++)
		for (int j = 0; j < lists[i]->nterms; j++)
		{
			const Term *term = &lists[i]->terms[j];

			check_condition(rule, &term->condition);
			require(term->nparts > 0 || term->kind == TERM_NOW);
			for (int k = 0; k < term->nparts; k++)
				if (term->parts[k].literal == NULL)
				{
					check_pointer(rule, &term->parts[k].pointer);
					require(term->parts[k].pointer.nparts > 0 || lists[i] == &rule->attributes ||
							lists[i] == &rule->traits || lists[i] == &rule->consents);
				}
				else
					require(term->parts[k].literal[0] != '\0');
		}
}

typedef struct Task
{
	const char *rules; /* NULL: the usual ones */
	size_t rules_len;
	const char *payload;
	size_t len;
	Seen seen;
	bool is_json;
} Task;

static void
work(void *arg)
{
	Task *task = arg;
	JsonParser *parser = json_parser_create();
	JsonNode *rules = NULL;
	PayloadFormat format;
	MemoryContext cxt;
	TextScan s;

	memset(&task->seen, 0, sizeof(task->seen));
	text_scan_init(&s, task->rules, task->rules_len);
	if (!json_parse(parser, &s, &rules) || !format_read(&s, rules, &format))
	{
		require(s.detail != NULL);
		return;
	}
	for (int i = 0; i < format.nrules; i++)
		check_rule(&format.rules[i]);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "payload", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);
	task->is_json = check_json(parser, task->payload, task->len);
	payload_events(&format, parser, task->payload, task->len, check_event, &task->seen);
	if (!task->is_json)
		require(task->seen.events == 1 && task->seen.good == 0);
	MemoryContextReset(cxt);
}

/* 0, or the error it raised, and nothing is left behind. */
static int
run(Task *task, int fail_at)
{
	size_t before = __sanitizer_get_current_allocated_bytes();
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(outer, "task", ALLOCSET_DEFAULT_SIZES);
	int error;

	MemoryContextSwitchTo(cxt);
	backend_fail_at(fail_at);
	error = backend_run(work, task);
	backend_fail_at(0);
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(cxt);
	require(__sanitizer_get_current_allocated_bytes() == before);
	return error;
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	Task task = {0};
	const uint8 *p = data;
	int steps = len > 0 ? 1 + (data[len - 1] * 7 + len) % 400 : 1;
	int good;
	int error;

	while (p + 1 < data + len && !(p[0] == '\n' && p[1] == '\n'))
		p++;
	if (p + 1 < data + len)
	{
		task.rules = exact_copy(data, p - data);
		task.rules_len = p - data;
		p += 2;
	}
	else
	{
		p = data;
		task.rules = usual_rules;
		task.rules_len = strlen(usual_rules);
	}
	task.len = data + len - p;
	task.payload = exact_copy(p, task.len);
	require(run(&task, 0) == 0);
	good = task.seen.good;
	error = run(&task, steps);
	require(error == 0 || error == ERRCODE_OUT_OF_MEMORY || error == ERRCODE_QUERY_CANCELED);
	if (error == 0)
		require(task.seen.good == good);
	return good > 0;
}
