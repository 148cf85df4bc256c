/*
 * contact.c
 *		The window functions contact_kind and resolved_at_first_contact: what the
 *		touchpoints of a customer, in order, are for the service.
 *
 * A touchpoint asks if it is a message of the customer, and then may resolve,
 * too; what else is given is passed over. Either function keeps what it knows
 * of each conversation of the customer until the next customer.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "compat.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "nodes/nodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "windowapi.h"

/* Arguments, the same of both; contact_kind has session_gap besides. */
enum
{
	ARG_OCCURRED_AT,
	ARG_SOURCE,
	ARG_CONVERSATION,
	ARG_DIRECTION,
	ARG_MEANS,
	ARG_REPEAT_WITHIN,
	ARG_SESSION_GAP
};

typedef enum Speaker
{
	NOBODY,
	CUSTOMER,
	COMPANY
} Speaker;

typedef struct Turns
{
	bool asks;
	bool reopens;
	bool resolves; /* behind what it asks */
} Turns;

/* Source and conversation, each behind its length. */
typedef struct ConversationName
{
	const char *bytes;
	uint32 len;
} ConversationName;

typedef struct KnownConversation
{
	ConversationName name;
	uint32 hash;
	char status;
	bool resolved;    /* contact_kind: by its last turn; resolved_at_first_contact: ever */
	bool any;         /* whether it had a turn */
	TimestampTz last; /* its time */
} KnownConversation;

#define SH_PREFIX known
#define SH_ELEMENT_TYPE KnownConversation
#define SH_KEY_TYPE ConversationName
#define SH_KEY name
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key).bytes, (key).len)
#define SH_EQUAL(tb, a, b) ((a).len == (b).len && memcmp((a).bytes, (b).bytes, (a).len) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Of a customer, zeroed where one begins. */
typedef struct CustomerState
{
	known_hash *conversations;
	bool asked;           /* whether the customer has */
	TimestampTz asked_at; /* when last */
	bool looked_ahead;
	int64 next_turn; /* row of the next turn that asks or reopens, as far as looked ahead; -1: none */
	TimestampTz next_at;
} CustomerState;

static inline bool
text_is(Datum d, const char *word)
{
	size_t len = strlen(word);
	const struct varlena *t = PG_DETOAST_DATUM_PACKED(d);

	return VARSIZE_ANY_EXHDR(t) == len && memcmp(VARDATA_ANY(t), word, len) == 0;
}

static inline Speaker
speaker_of(Datum direction, bool isnull)
{
	if (isnull)
		return NOBODY;
	return text_is(direction, "in") ? CUSTOMER : text_is(direction, "out") ? COMPANY : NOBODY;
}

/* What the hub's view turns tells, but for answers. */
static Turns
turns_of(Speaker speaker, Datum means, bool no_means)
{
	Turns t = {0};

	if (no_means)
		t.asks = speaker == CUSTOMER;
	else if (text_is(means, "asks_and_resolves"))
	{
		t.asks = speaker != COMPANY;
		t.resolves = true;
	}
	else if (text_is(means, "resolves"))
		t.resolves = true;
	else if (text_is(means, "reopens"))
		t.reopens = true;
	return t;
}

static Turns
current_turns(WindowObject window)
{
	bool isnull;
	Datum d = WinGetFuncArgCurrent(window, ARG_DIRECTION, &isnull);
	Speaker speaker = speaker_of(d, isnull);

	d = WinGetFuncArgCurrent(window, ARG_MEANS, &isnull);
	return turns_of(speaker, d, isnull);
}

static CustomerState *
customer_state(WindowObject window, const char *function)
{
	/* an operator may have been made of it */
	if (unlikely(!WindowObjectIsValid(window)))
		ereport(ERROR, (errcode(ERRCODE_WINDOWING_ERROR),
						errmsg("%s can only be called as a window function", function)));
	return WinGetPartitionLocalMemory(window, sizeof(CustomerState));
}

static TimestampTz
touch_time(Datum d, bool isnull)
{
	if (unlikely(isnull))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("time of a touchpoint must not be null")));
	return finite_time(DatumGetTimestampTz(d), "touchpoint");
}

static TimestampTz
current_time(WindowObject window)
{
	bool isnull;
	Datum d = WinGetFuncArgCurrent(window, ARG_OCCURRED_AT, &isnull);

	return touch_time(d, isnull);
}

static uint64
limit_argument(WindowObject window, int arg, const char *what)
{
	bool isnull;
	Datum d = WinGetFuncArgCurrent(window, arg, &isnull);

	if (unlikely(isnull))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", what)));
	return limit_usecs(DatumGetIntervalP(d), what);
}

/* Is it longer than this from one time to one that is not before it? */
static inline bool
longer(TimestampTz from, TimestampTz to, uint64 limit)
{
	return to > from && (uint64) to - (uint64) from > limit;
}

/* NULL: the row is part of none. */
static KnownConversation *
current_conversation(WindowObject window, CustomerState *state)
{
	MemoryContext context = GetMemoryChunkContext(state);
	bool no_source;
	bool no_conversation;
	bool found;
	Datum source = WinGetFuncArgCurrent(window, ARG_SOURCE, &no_source);
	Datum conversation = WinGetFuncArgCurrent(window, ARG_CONVERSATION, &no_conversation);
	struct varlena *s = no_source ? NULL : PG_DETOAST_DATUM_PACKED(source);
	struct varlena *c;
	int32 source_len = s ? (int32) VARSIZE_ANY_EXHDR(s) : -1;
	ConversationName name;
	KnownConversation *known;
	char space[256];
	char *bytes = space;

	if (no_conversation)
		return NULL;
	c = PG_DETOAST_DATUM_PACKED(conversation);
	name.len = sizeof(source_len) + Max(source_len, 0) + VARSIZE_ANY_EXHDR(c);
	if (name.len > sizeof(space))
		bytes = palloc(name.len);
	memcpy(bytes, &source_len, sizeof(source_len));
	if (s)
		memcpy(bytes + sizeof(source_len), VARDATA_ANY(s), source_len);
	memcpy(bytes + sizeof(source_len) + Max(source_len, 0), VARDATA_ANY(c), VARSIZE_ANY_EXHDR(c));
	name.bytes = bytes;
	if (state->conversations == NULL)
		state->conversations = known_create(context, 4, NULL);
	known = known_insert(state->conversations, name, &found);
	if (!found)
	{
		known->name.bytes = memcpy(MemoryContextAlloc(context, name.len), bytes, name.len);
		known->resolved = known->any = false;
	}
	if (bytes != space)
		pfree(bytes);
	return known;
}

/* Texts that are returned again and again. */
static Datum
kind_text(FmgrInfo *site, bool repeat)
{
	Datum *kinds = site->fn_extra;

	if (kinds == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(site->fn_mcxt);

		kinds = palloc(2 * sizeof(Datum));
		kinds[0] = CStringGetTextDatum("first");
		kinds[1] = CStringGetTextDatum("repeat");
		site->fn_extra = kinds;
		MemoryContextSwitchTo(old);
	}
	return kinds[repeat];
}

PG_FUNCTION_INFO_V1(contact_kind);
Datum
contact_kind(PG_FUNCTION_ARGS)
{
	WindowObject window = PG_WINDOW_OBJECT();
	CustomerState *state = customer_state(window, "contact_kind");
	uint64 repeat_within = limit_argument(window, ARG_REPEAT_WITHIN, "repeat_within");
	uint64 session_gap = limit_argument(window, ARG_SESSION_GAP, "session_gap");
	Turns turns = current_turns(window);
	TimestampTz at;
	KnownConversation *known;
	bool is_contact = false;
	bool is_repeat = false;

	/* no row before this one is looked at again, so that they need not be kept */
	WinSetMarkPosition(window, WinGetCurrentPosition(window));
	if (!turns.asks && !turns.reopens && !turns.resolves)
		PG_RETURN_NULL();
	at = current_time(window);
	known = current_conversation(window, state);
	if (turns.asks)
	{
		is_contact = known == NULL || !known->any || known->resolved ||
					 longer(known->last, at, repeat_within);
		if (state->asked)
		{
			is_contact &= longer(state->asked_at, at, session_gap);
			is_repeat = !longer(state->asked_at, at, repeat_within);
		}
		state->asked = true;
		state->asked_at = at;
	}
	if (known)
	{
		known->any = true;
		known->resolved = turns.resolves;
		known->last = at;
	}
	if (!is_contact)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(kind_text(fcinfo->flinfo, is_repeat));
}

/* The next row that asks or reopens; rows are looked at once, however many are resolved before it. */
static void
look_ahead(WindowObject window, CustomerState *state)
{
	int64 row = WinGetCurrentPosition(window) + 1;

	if (state->looked_ahead && (state->next_turn < 0 || state->next_turn >= row))
		return;
	state->looked_ahead = true;
	for (;; row++)
	{
		bool isnull;
		bool over;
		Datum d;
		Speaker speaker;
		Turns turns;

		CHECK_FOR_INTERRUPTS();
		d = WinGetFuncArgInPartition(window, ARG_DIRECTION, row, WINDOW_SEEK_HEAD, false, &isnull,
									 &over);
		if (over)
		{
			state->next_turn = -1;
			return;
		}
		/* what is got next takes its place */
		speaker = speaker_of(d, isnull);
		d = WinGetFuncArgInPartition(window, ARG_MEANS, row, WINDOW_SEEK_HEAD, false, &isnull,
									 &over);
		turns = turns_of(speaker, d, isnull);
		if (turns.asks || turns.reopens)
		{
			state->next_turn = row;
			d = WinGetFuncArgInPartition(window, ARG_OCCURRED_AT, row, WINDOW_SEEK_HEAD, false,
										 &isnull, &over);
			state->next_at = touch_time(d, isnull);
			return;
		}
	}
}

PG_FUNCTION_INFO_V1(resolved_at_first_contact);
Datum
resolved_at_first_contact(PG_FUNCTION_ARGS)
{
	WindowObject window = PG_WINDOW_OBJECT();
	CustomerState *state = customer_state(window, "resolved_at_first_contact");
	uint64 repeat_within = limit_argument(window, ARG_REPEAT_WITHIN, "repeat_within");
	TimestampTz at;
	KnownConversation *known;

	WinSetMarkPosition(window, WinGetCurrentPosition(window));
	if (!current_turns(window).resolves)
		PG_RETURN_NULL();
	known = current_conversation(window, state);
	if (known == NULL || known->resolved)
		PG_RETURN_NULL();
	known->resolved = true;
	at = current_time(window);
	look_ahead(window, state);
	PG_RETURN_BOOL(state->next_turn < 0 || longer(at, state->next_at, repeat_within));
}
