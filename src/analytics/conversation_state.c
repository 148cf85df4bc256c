/*
 * conversation_state.c
 *		States of conversation_agg and conversation_replies_agg: see conversation_state.h.
 */
#include "postgres.h"

#include "analytics/conversation_state.h"
#include "compat.h"
#include "journey/journey.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Differs from itself on a machine with another byte order, too. */
#define CONVERSATION_VERSION 0x43560001

/* Seven touchpoints and some names; a power of two, as all sizes are. */
#define STATE_MIN 256

/* A name is looked for among so many; where there are more, it may come twice. */
#define NAMES_SEARCHED 64

typedef struct ConversationState
{
	int32 vl_len_;
	uint32 version;
	uint32 n;          /* touchpoints */
	uint32 n_names;    /* ConversationLabel, the last one first, up to the end */
	uint32 names_size; /* bytes of these */
	uint32 unused;
	ConversationTouch touches[FLEXIBLE_ARRAY_MEMBER];
} ConversationState;

typedef struct ConversationLabel
{
	uint32 len;
	char text[FLEXIBLE_ARRAY_MEMBER]; /* padded to a multiple of four */
} ConversationLabel;

StaticAssertDecl(sizeof(ConversationTouch) == 24, "touchpoints of a state are not padded");

#define HEAD_SIZE offsetof(ConversationState, touches)
#define LABEL_SIZE(len) (offsetof(ConversationLabel, text) + TYPEALIGN(sizeof(uint32), len))

static void
state_corrupt(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of a conversation is corrupt"),
					errdetail_internal("%s", what)));
}

static inline ConversationLabel *
first_label(const ConversationState *state)
{
	return (ConversationLabel *) ((char *) state + VARSIZE(state) - state->names_size);
}

static inline ConversationLabel *
next_label(const ConversationLabel *label)
{
	return (ConversationLabel *) ((char *) label + LABEL_SIZE((size_t) label->len));
}

/* A state argument, aligned; all that adding to it relies on is checked. */
static ConversationState *
state_argument(Datum d)
{
	ConversationState *state = (ConversationState *) PG_DETOAST_DATUM(d);
	size_t size = VARSIZE(state);

	if (size < HEAD_SIZE)
		state_corrupt("It is too short.");
	if (state != (ConversationState *) MAXALIGN(state))
		state = memcpy(palloc(size), state, size);
	if (state->version != CONVERSATION_VERSION)
		state_corrupt("Its version is not known.");
	if (size < STATE_MIN || (size & (size - 1)) != 0 || state->names_size > size ||
		state->names_size % sizeof(uint32) != 0 ||
		HEAD_SIZE + (uint64) state->n * sizeof(ConversationTouch) + state->names_size > size)
		state_corrupt("Its size is impossible.");
	return state;
}

/* The same state with room for so many bytes more; a new one if there is none. */
static ConversationState *
make_room(ConversationState *state, size_t more)
{
	size_t used = HEAD_SIZE + (state ? (size_t) state->n * sizeof(ConversationTouch) : 0);
	size_t names_size = state ? state->names_size : 0;
	size_t size = state ? VARSIZE(state) : STATE_MIN;
	ConversationState *grown;

	if (state && used + names_size + more <= size)
		return state;
	while (used + names_size + more > size)
		size *= 2;
	/* a value's size has 30 bits */
	if (size > MaxAllocSize / 2 + 1)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many touchpoints in a conversation"),
						errdetail("A conversation can have up to 512 MB of touchpoints of 24 bytes, "
								  "and names of agents and channels.")));
	/* zeroed, because what is between the two is sent as well */
	grown = MemoryContextAllocZero(CurrentMemoryContext, size);
	if (state)
	{
		memcpy(grown, state, used);
		memcpy((char *) grown + size - names_size, first_label(state), names_size);
	}
	else
		grown->version = CONVERSATION_VERSION;
	SET_VARSIZE(grown, size);
	return grown;
}

/* The number of a name, which is put in if it is new; there must be room for it. */
static uint32
name_number(ConversationState *state, const char *text, uint32 len)
{
	ConversationLabel *label = first_label(state);
	char *end = (char *) state + VARSIZE(state);
	uint32 searched = Min(state->n_names, NAMES_SEARCHED);
	size_t size = LABEL_SIZE((size_t) len);

	for (uint32 i = 0; i < searched; i++)
	{
		size_t left = end - (char *) label;

		if (left < sizeof(ConversationLabel) || left < LABEL_SIZE((size_t) label->len))
			state_corrupt("A name is impossible.");
		if (label->len == len && memcmp(label->text, text, len) == 0)
			return state->n_names - i;
		label = next_label(label);
	}
	state->names_size += size;
	label = first_label(state);
	memset((char *) label + size - sizeof(uint32), 0, sizeof(uint32));
	label->len = len;
	memcpy(label->text, text, len);
	return ++state->n_names;
}

static Direction
direction_argument(FunctionCallInfo fcinfo, int arg)
{
	const text *direction;

	if (PG_ARGISNULL(arg))
		return DIRECTION_NONE;
	direction = short_text_argument(PG_GETARG_DATUM(arg));
	if (VARSIZE_ANY_EXHDR(direction) == 2 && memcmp(VARDATA_ANY(direction), "in", 2) == 0)
		return DIRECTION_IN;
	if (VARSIZE_ANY_EXHDR(direction) == 3 && memcmp(VARDATA_ANY(direction), "out", 3) == 0)
		return DIRECTION_OUT;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown direction: \"%s\"", text_to_cstring(direction)),
					errhint("Use in, out, or NULL for neither.")));
}

static Meaning
meaning_argument(FunctionCallInfo fcinfo, int arg)
{
	static const struct
	{
		const char *text;
		Meaning means;
	} known[] = {{"status", MEANS_STATUS},
				 {"resolves", MEANS_RESOLVES},
				 {"reopens", MEANS_REOPENS},
				 {"hands_over", MEANS_HANDS_OVER},
				 {"asks_and_resolves", MEANS_ASKS_AND_RESOLVES}};
	const text *means;

	if (PG_ARGISNULL(arg))
		return MEANS_NOTHING;
	means = short_text_argument(PG_GETARG_DATUM(arg));
	for (int i = 0; i < lengthof(known); i++)
		if (strlen(known[i].text) == VARSIZE_ANY_EXHDR(means) &&
			memcmp(known[i].text, VARDATA_ANY(means), VARSIZE_ANY_EXHDR(means)) == 0)
			return known[i].means;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown meaning of an action: \"%s\"", text_to_cstring(means)),
			 errhint("Use resolves, reopens, hands_over, status, asks_and_resolves, or NULL.")));
}

/* (state, occurred_at, ref, channel, agent, is_bot, direction, means) */
PG_FUNCTION_INFO_V1(conversation_agg_transfn);
Datum
conversation_agg_transfn(PG_FUNCTION_ARGS)
{
	ConversationTouch touch = {0};
	ConversationState *state = NULL;
	const text *channel;
	const text *agent = NULL;
	size_t more = sizeof(ConversationTouch);

	aggregate_context(fcinfo, "conversation_agg");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
	{
		/* as an outer join gives them */
		if (PG_ARGISNULL(1) && PG_ARGISNULL(2) && PG_ARGISNULL(3))
			return unchanged_state(fcinfo);
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("time, number and channel of a touchpoint must not be NULL"),
						errhint("If all three are NULL, there is no touchpoint.")));
	}
	touch.at = finite_time(PG_GETARG_TIMESTAMPTZ(1), "touchpoint");
	touch.ref = PG_GETARG_INT64(2);
	channel = short_text_argument(PG_GETARG_DATUM(3));
	more += LABEL_SIZE(VARSIZE_ANY_EXHDR(channel));
	if (!PG_ARGISNULL(4))
	{
		agent = short_text_argument(PG_GETARG_DATUM(4));
		more += LABEL_SIZE(VARSIZE_ANY_EXHDR(agent));
	}
	touch.is_bot = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	touch.direction = direction_argument(fcinfo, 6);
	touch.means = meaning_argument(fcinfo, 7);
	if (!PG_ARGISNULL(0))
		state = state_argument(PG_GETARG_DATUM(0));
	state = make_room(state, more);
	touch.channel = name_number(state, VARDATA_ANY(channel), VARSIZE_ANY_EXHDR(channel));
	if (agent)
		touch.agent = name_number(state, VARDATA_ANY(agent), VARSIZE_ANY_EXHDR(agent));
	state->touches[state->n++] = touch;
	PG_RETURN_POINTER(state);
}

/* The names of a state by their numbers, each of them checked. */
static ConversationName *
read_names(const ConversationState *state)
{
	const ConversationLabel *label = first_label(state);
	const char *end = (const char *) state + VARSIZE(state);
	ConversationName *names;

	/* before memory is asked for */
	if (state->n_names > state->names_size / sizeof(ConversationLabel))
		state_corrupt("It has another number of names than it says.");
	names = palloc_extended(((size_t) state->n_names + 1) * sizeof(ConversationName),
							MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 number = state->n_names; number > 0; number--)
	{
		size_t left = end - (const char *) label;

		CHECK_FOR_INTERRUPTS();
		if (left < sizeof(ConversationLabel) || left < LABEL_SIZE((size_t) label->len))
			state_corrupt("A name is impossible.");
		if (!pg_verify_mbstr(GetDatabaseEncoding(), label->text, label->len, true))
			state_corrupt("A name is not in the database's encoding.");
		names[number].text = label->text;
		names[number].len = label->len;
		label = next_label(label);
	}
	if ((const char *) label != end)
		state_corrupt("It has another number of names than it says.");
	return names;
}

static void
check_touch(const ConversationState *state, const ConversationTouch *t)
{
	if (!IS_VALID_TIMESTAMP(t->at) || t->channel == NO_NAME || t->channel > state->n_names ||
		t->agent > state->n_names || t->direction > DIRECTION_OUT ||
		t->means > MEANS_ASKS_AND_RESOLVES)
		state_corrupt("A touchpoint is impossible.");
}

PG_FUNCTION_INFO_V1(conversation_agg_combinefn);
Datum
conversation_agg_combinefn(PG_FUNCTION_ARGS)
{
	ConversationState *state;
	ConversationState *other;
	ConversationName *names;
	uint32 *numbers;

	aggregate_context(fcinfo, "conversation_agg");
	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	other = state_argument(PG_GETARG_DATUM(1));
	names = read_names(other);
	for (uint32 i = 0; i < other->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_touch(other, &other->touches[i]);
	}
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(other);
	state = make_room(state_argument(PG_GETARG_DATUM(0)),
					  (size_t) other->n * sizeof(ConversationTouch) + other->names_size);
	/* in the order they came in there */
	numbers = palloc(((size_t) other->n_names + 1) * sizeof(uint32));
	numbers[NO_NAME] = NO_NAME;
	for (uint32 i = 1; i <= other->n_names; i++)
		numbers[i] = name_number(state, names[i].text, names[i].len);
	for (uint32 i = 0; i < other->n; i++)
	{
		ConversationTouch *t = &state->touches[state->n++];

		CHECK_FOR_INTERRUPTS();
		*t = other->touches[i];
		t->channel = numbers[t->channel];
		t->agent = numbers[t->agent];
	}
	pfree(numbers);
	pfree(names);
	PG_RETURN_POINTER(state);
}

static int
name_cmp(const Conversation *c, uint32 a, uint32 b)
{
	const ConversationName *x = &c->names[a];
	const ConversationName *y = &c->names[b];
	int cmp;

	if (a == b)
		return 0;
	/* one that is named nowhere has no text */
	cmp = Min(x->len, y->len) > 0 ? memcmp(x->text, y->text, Min(x->len, y->len)) : 0;
	return cmp != 0 ? cmp : x->len < y->len ? -1 : x->len > y->len;
}

/* By time and number; if those are the same, by the rest, so that the order they came in is nothing. */
static int
touch_cmp(const ConversationTouch *a, const ConversationTouch *b, const Conversation *c)
{
	int cmp;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	if (a->ref != b->ref)
		return a->ref < b->ref ? -1 : 1;
	if (a->direction != b->direction)
		return a->direction < b->direction ? -1 : 1;
	if (a->means != b->means)
		return a->means < b->means ? -1 : 1;
	if (a->is_bot != b->is_bot)
		return a->is_bot < b->is_bot ? -1 : 1;
	cmp = name_cmp(c, a->channel, b->channel);
	return cmp != 0 ? cmp : name_cmp(c, a->agent, b->agent);
}

#define ST_SORT sort_touches
#define ST_ELEMENT_TYPE ConversationTouch
#define ST_COMPARE(a, b, c) touch_cmp(a, b, c)
#define ST_COMPARE_ARG_TYPE const Conversation
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Read a state, which remains as it is: others may add to it. */
void
conversation_read(Conversation *c, Datum d)
{
	ConversationState *state = state_argument(d);

	if (state->n == 0)
		state_corrupt("It has no touchpoint.");
	c->n = state->n;
	c->n_names = state->n_names;
	c->names = read_names(state);
	c->touches = palloc((size_t) state->n * sizeof(ConversationTouch));
	for (uint32 i = 0; i < state->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_touch(state, &state->touches[i]);
		c->touches[i] = state->touches[i];
	}
	sort_touches(c->touches, c->n, c);
}
