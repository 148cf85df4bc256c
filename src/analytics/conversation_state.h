/*
 * conversation_state.h
 *		The touchpoints of a conversation, gathered in any order.
 *
 * A state is a bytea, so that it can be aggregated in part anywhere, another
 * server included; hence whatever comes from elsewhere is checked whole. It is
 * flat: touchpoints grow from its beginning, names of channels and agents from
 * its end, each of them once (but where there are very many). It is changed in
 * place as long as there is room between the two.
 */
#ifndef PGJ_CONVERSATION_STATE_H
#define PGJ_CONVERSATION_STATE_H

#include "datatype/timestamp.h"

typedef enum Direction
{
	DIRECTION_NONE,
	DIRECTION_IN,
	DIRECTION_OUT
} Direction;

/* What an action means for a conversation. */
typedef enum Meaning
{
	MEANS_NOTHING,
	MEANS_STATUS,
	MEANS_RESOLVES,
	MEANS_REOPENS,
	MEANS_HANDS_OVER,
	MEANS_ASKS_AND_RESOLVES
} Meaning;

#define NO_NAME 0

typedef struct ConversationTouch
{
	TimestampTz at;
	int64 ref;
	uint32 channel;    /* number of the name, from 1 in the order they came in */
	uint32 agent : 26; /* likewise, enough for all that fit; NO_NAME: none */
	uint32 direction : 2;
	uint32 means : 3;
	uint32 is_bot : 1;
} ConversationTouch;

typedef struct ConversationName
{
	const char *text;
	uint32 len;
} ConversationName;

/* A conversation that can be read: its touchpoints in order. */
typedef struct Conversation
{
	ConversationTouch *touches;
	uint32 n;
	ConversationName *names; /* by number */
	uint32 n_names;
} Conversation;

extern void conversation_read(Conversation *c, Datum state);

static inline bool
same_name(const Conversation *c, uint32 a, uint32 b)
{
	return a == b || (c->names[a].len == c->names[b].len &&
					  memcmp(c->names[a].text, c->names[b].text, c->names[a].len) == 0);
}

#endif /* PGJ_CONVERSATION_STATE_H */
