/*
 * conversation_agg.c
 *		The aggregates conversation_agg, conversation_replies_agg and
 *		conversation_spans_agg: who waited for whom.
 *
 * The touchpoints of a conversation are gone through once, in order. What each
 * of them is there, its turns, is what the hub's view turns says. A wait goes
 * from the first question after an answer, or a resolution, to the next;
 * messages of bots end none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "analytics/conversation_state.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "compat.h"
#include "funcapi.h"
#include "journey/journey.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

typedef enum Turn
{
	NO_TURN,
	TURN_ASKS,
	TURN_ANSWERS,
	TURN_BOT_ANSWERS,
	TURN_RESOLVES,
	TURN_REOPENS,
	TURN_HANDS_OVER
} Turn;

typedef enum Speaker
{
	NOBODY,
	BOT,
	PERSON
} Speaker;

/* A time that may be unknown. */
typedef struct MaybeTime
{
	bool known;
	TimestampTz at;
} MaybeTime;

/* A sum of stretches of time, if there were any. */
typedef struct TimeSpent
{
	bool known;
	int64 days; /* each stretch's, as timestamptz - timestamptz gives them */
	int64 usecs;
} TimeSpent;

typedef enum ReplyKind
{
	REPLY_FIRST,
	REPLY_REOPENED,
	REPLY_HANDED_OVER,
	REPLY_NEXT
} ReplyKind;

static const char *const reply_kinds[] = {"first", "reopened", "handed over", "next"};

/* What lasts in a conversation. */
typedef enum SpanKind
{
	SPAN_FIRST_RESPONSE,
	SPAN_REPLY,
	SPAN_HANDOVER,
	SPAN_RESOLUTION,
	SPAN_AGENT
} SpanKind;

static const char *const span_kinds[] = {"first_response", "reply", "handover", "resolution", "agent"};

typedef enum SpanEnd
{
	STILL_LASTS,
	BY_ANSWER,
	BY_BEING_TAKEN,
	BY_RESOLUTION,
	BY_ANOTHER
} SpanEnd;

static const char *const span_ends[] = {NULL, "answer", "taken", "resolution", "another"};

typedef struct Span
{
	SpanKind kind;
	SpanEnd end;
	const ConversationTouch *from;
	const ConversationTouch *to; /* unless it still lasts */
} Span;

#define NO_SPAN SIZE_MAX

typedef struct Reply
{
	ReplyKind kind;
	const ConversationTouch *touch;
	TimestampTz asked_at;
	MaybeTime reopened_at;
	MaybeTime handed_over_at;
} Reply;

/* What is known of a conversation up to a touchpoint. */
typedef struct Walk
{
	const Conversation *c;

	/* facts */
	int64 messages_in;
	int64 messages_out;
	int64 reopenings;
	int64 transfers;
	int64 handovers;
	bool own; /* the customer did something, or it was reopened */
	bool by_person;
	bool by_bot;
	bool is_answered;
	MaybeTime asked_at;
	MaybeTime answered_at;
	uint32 answered_by;
	MaybeTime first_resolved_at;
	MaybeTime resolved_at;
	MaybeTime reopened_at;
	MaybeTime reopening_asked_at;
	MaybeTime reopening_answered_at;
	MaybeTime handed_over_at;
	MaybeTime handover_answered_at;
	TimeSpent waited;
	TimeSpent bot_time;
	TimeSpent people_time;

	/* where it stands */
	bool resolved;        /* by the last of questions, resolutions, reopenings */
	MaybeTime reopening;  /* the last one, while it has no reply */
	MaybeTime waiting;    /* the first question that nobody has answered, or taken */
	uint32 person;        /* who of the people with names spoke last */
	bool people_had_it;   /* a person has spoken since it began, or was resolved */
	MaybeTime wait;       /* the wait's first question, while the customer waits */
	TimestampTz question; /* its last */
	MaybeTime bot_at;     /* last word of a bot in the wait */
	MaybeTime after_bot;  /* first question after it */
	const ConversationTouch *bots; /* the touchpoint of the one that is known, of after_bot if both are */
	MaybeTime handover;   /* one that was told, while no person has answered */
	bool with_people;     /* since mark: the last word is a person's, or was taken by one */
	TimestampTz mark;     /* up to where time belongs to somebody, or nobody */

	/* replies, if asked for */
	Reply *replies;
	size_t n_replies;
	size_t max_replies;

	/* spans, if asked for; by number those that last */
	Span *spans;
	size_t n_spans;
	size_t max_spans;
	size_t wait_span;
	size_t handover_span;
	size_t resolution_span;
	size_t agent_span;
} Walk;

static inline void
know(MaybeTime *time, TimestampTz at)
{
	time->known = true;
	time->at = at;
}

static inline void
know_first(MaybeTime *time, TimestampTz at)
{
	if (!time->known)
		know(time, at);
}

static void
spend(TimeSpent *sum, TimestampTz from, TimestampTz to)
{
	int64 usecs;

	if (pg_sub_s64_overflow(to, from, &usecs))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("interval out of range")));
	sum->known = true;
	sum->days += usecs / USECS_PER_DAY;
	sum->usecs += usecs % USECS_PER_DAY;
}

static inline Speaker
agent_of(const ConversationTouch *t)
{
	return t->agent == NO_NAME ? NOBODY : t->is_bot ? BOT : PERSON;
}

/* The turns of a touchpoint: the first one, and what comes behind it. */
static Turn
first_turn(const ConversationTouch *t)
{
	switch ((Meaning) t->means)
	{
		case MEANS_STATUS:
			return NO_TURN;
		case MEANS_RESOLVES:
			return TURN_RESOLVES;
		case MEANS_REOPENS:
			return TURN_REOPENS;
		case MEANS_HANDS_OVER:
			return TURN_HANDS_OVER;
		case MEANS_NOTHING:
		case MEANS_ASKS_AND_RESOLVES:
			break;
	}
	if (t->direction == DIRECTION_OUT)
		return t->is_bot ? TURN_BOT_ANSWERS : TURN_ANSWERS;
	return t->direction == DIRECTION_IN || t->means == MEANS_ASKS_AND_RESOLVES ? TURN_ASKS : NO_TURN;
}

static void
add_span(Walk *w, size_t *number, SpanKind kind, const ConversationTouch *from)
{
	if (w->max_spans == 0)
		return;
	if (w->n_spans == w->max_spans)
		w->spans = repalloc_huge(w->spans, (w->max_spans *= 2) * sizeof(Span));
	*number = w->n_spans++;
	w->spans[*number] = (Span) {.kind = kind, .from = from};
}

static void
end_span(Walk *w, size_t *number, SpanEnd end, const ConversationTouch *to)
{
	if (*number == NO_SPAN)
		return;
	w->spans[*number].end = end;
	w->spans[*number].to = to;
	*number = NO_SPAN;
}

static void
person_speaks(Walk *w, const ConversationTouch *t)
{
	bool another = w->person == NO_NAME || !same_name(w->c, w->person, t->agent);

	w->people_had_it = true;
	if (t->agent == NO_NAME)
		return;
	if (another)
	{
		if (w->person != NO_NAME)
			w->transfers++;
		end_span(w, &w->agent_span, BY_ANOTHER, t);
		add_span(w, &w->agent_span, SPAN_AGENT, t);
	}
	w->person = t->agent;
}

static inline void
reset_wait(Walk *w)
{
	w->wait.known = w->bot_at.known = w->after_bot.known = false;
}

/* Where what a bot has answered becomes the people's, if nobody told: see doc/timeline.md. */
static inline TimestampTz
untold_handover(const Walk *w)
{
	return w->after_bot.known ? w->after_bot.at : w->bot_at.at;
}

/* A person has answered the questions of the wait, or taken them. */
static void
time_of_wait(Walk *w, TimestampTz at)
{
	if (!w->handover.known && w->bot_at.known)
	{
		spend(&w->bot_time, w->mark, untold_handover(w));
		w->mark = untold_handover(w);
	}
	spend(&w->people_time, w->mark, at);
}

static void
is_handed_over(Walk *w, const ConversationTouch *t)
{
	TimestampTz at = t->at;

	/* people have it already, unless a bot has answered since */
	if (w->handover.known || (w->people_had_it && !w->bot_at.known))
		return;
	w->handovers++;
	know_first(&w->handed_over_at, at);
	know(&w->handover, at);
	add_span(w, &w->handover_span, SPAN_HANDOVER, t);
	if (w->wait.known)
	{
		spend(&w->bot_time, w->mark, at);
		w->mark = at;
	}
}

static void
is_reopened(Walk *w, const ConversationTouch *t)
{
	w->reopenings++;
	w->resolved = false;
	know_first(&w->reopened_at, t->at);
	know(&w->reopening, t->at);
	add_span(w, &w->resolution_span, SPAN_RESOLUTION, t);
}

/* It is open: since its first question or, as long as there is none, since it began. */
static void
is_open(Walk *w, const ConversationTouch *t)
{
	if (w->resolution_span == NO_SPAN)
		add_span(w, &w->resolution_span, SPAN_RESOLUTION, t);
	else if (w->messages_in == 1 && w->reopenings == 0)
		w->spans[w->resolution_span].from = t;
}

/* Somebody waits from here on, unless he does already. */
static void
begins_to_wait(Walk *w, const ConversationTouch *t)
{
	if (w->waiting.known)
		return;
	know(&w->waiting, t->at);
	if (t->means != MEANS_ASKS_AND_RESOLVES)
		add_span(w, &w->wait_span, w->messages_in == 1 ? SPAN_FIRST_RESPONSE : SPAN_REPLY, t);
}

static void
waits_no_more(Walk *w, SpanEnd end, const ConversationTouch *t)
{
	w->waiting.known = false;
	end_span(w, &w->wait_span, end, t);
}

static void
asks(Walk *w, const ConversationTouch *t)
{
	w->messages_in++;
	know_first(&w->asked_at, t->at);
	if (w->resolved)
		is_reopened(w, t);
	else
		is_open(w, t);
	if (w->wait.known)
		spend(&w->waited, w->question, t->at);
	if (w->with_people)
	{
		spend(&w->people_time, w->mark, t->at);
		w->with_people = false;
		w->mark = t->at;
	}
	else if (!w->wait.known)
		w->mark = t->at;
	know_first(&w->wait, t->at);
	w->question = t->at;
	if (w->bot_at.known && !w->after_bot.known)
	{
		know(&w->after_bot, t->at);
		w->bots = t;
	}
	if (agent_of(t) == NOBODY)
		begins_to_wait(w, t);
	else
		waits_no_more(w, BY_BEING_TAKEN, t);
	switch (agent_of(t))
	{
		case NOBODY:
			return;
		case BOT:
			know(&w->bot_at, t->at);
			w->after_bot.known = false;
			w->bots = t;
			break;
		case PERSON:
			person_speaks(w, t);
			end_span(w, &w->handover_span, BY_BEING_TAKEN, t);
			time_of_wait(w, t->at);
			w->bot_at.known = w->after_bot.known = false;
			w->with_people = true;
			w->mark = t->at;
			break;
	}
	w->is_answered = true;
}

static void
bot_answers(Walk *w, const ConversationTouch *t)
{
	w->messages_out++;
	w->is_answered |= w->asked_at.known;
	/* unasked it has nothing to hand over */
	if (w->wait.known && !w->with_people)
	{
		know(&w->bot_at, t->at);
		w->after_bot.known = false;
		w->bots = t;
	}
}

static void
add_reply(Walk *w, ReplyKind kind, const ConversationTouch *t)
{
	Reply *reply;

	if (w->max_replies == 0)
		return;
	if (w->n_replies == w->max_replies)
		w->replies = repalloc_huge(w->replies, (w->max_replies *= 2) * sizeof(Reply));
	reply = &w->replies[w->n_replies++];
	reply->kind = kind;
	reply->touch = t;
	reply->asked_at = w->wait.at;
	reply->reopened_at = w->reopening;
	reply->handed_over_at = w->handover;
}

static void
answers(Walk *w, const ConversationTouch *t)
{
	bool first = w->asked_at.known && !w->answered_at.known;

	w->messages_out++;
	w->is_answered |= w->asked_at.known;
	w->by_person = true;
	if (first)
	{
		know(&w->answered_at, t->at);
		w->answered_by = t->agent;
	}
	if (w->with_people)
		spend(&w->people_time, w->mark, t->at);
	else if (w->wait.known)
	{
		time_of_wait(w, t->at);
		if (!w->handover.known && w->bot_at.known)
		{
			w->handovers++;
			know(&w->handover, untold_handover(w));
			know_first(&w->handed_over_at, w->handover.at);
			add_span(w, &w->handover_span, SPAN_HANDOVER, w->bots);
		}
	}
	if (w->handover.known && w->handovers == 1)
		know_first(&w->handover_answered_at, t->at);
	if (w->wait.known)
	{
		spend(&w->waited, w->question, t->at);
		if (w->reopening.known && w->reopenings == 1)
		{
			know(&w->reopening_asked_at, w->wait.at);
			know(&w->reopening_answered_at, t->at);
		}
		add_reply(w,
				  first                ? REPLY_FIRST
				  : w->reopening.known ? REPLY_REOPENED
				  : w->handover.known  ? REPLY_HANDED_OVER
									   : REPLY_NEXT,
				  t);
		w->reopening.known = false;
		w->with_people = true;
	}
	w->mark = t->at;
	w->handover.known = false;
	reset_wait(w);
	waits_no_more(w, BY_ANSWER, t);
	end_span(w, &w->handover_span, BY_ANSWER, t);
	person_speaks(w, t);
}

static void
resolves(Walk *w, const ConversationTouch *t)
{
	TimestampTz at = t->at;

	if (w->wait.known)
		spend(&w->waited, w->question, at);
	if (w->with_people)
		spend(&w->people_time, w->mark, at);
	else if (w->wait.known && !w->handover.known)
	{
		if (w->bot_at.known)
			spend(&w->bot_time, w->mark, at);
		else if (w->people_had_it)
			spend(&w->people_time, w->mark, at);
	}
	w->with_people = false;
	w->handover.known = false;
	w->people_had_it = false;
	reset_wait(w);
	waits_no_more(w, BY_RESOLUTION, t);
	end_span(w, &w->handover_span, BY_RESOLUTION, t);
	end_span(w, &w->resolution_span, BY_RESOLUTION, t);
	if (!w->resolved)
		know(&w->resolved_at, at);
	know_first(&w->first_resolved_at, at);
	w->resolved = true;
}

static void
reopens(Walk *w, const ConversationTouch *t)
{
	w->own = true;
	if (w->resolved)
		is_reopened(w, t);
	else if (w->bot_at.known)
		is_handed_over(w, t); /* it was the bot's, and is open to people now */
}

static void
walk_touch(Walk *w, const ConversationTouch *t)
{
	if (t->direction != DIRECTION_OUT &&
		(t->means == MEANS_NOTHING || t->means == MEANS_ASKS_AND_RESOLVES))
		w->own = true;
	w->by_bot |= t->is_bot;
	w->by_person |= agent_of(t) == PERSON;
	if (!w->resolved && (w->own || t->means == MEANS_REOPENS) && w->resolution_span == NO_SPAN)
		is_open(w, &w->c->touches[0]);
	switch (first_turn(t))
	{
		case NO_TURN:
			break;
		case TURN_ASKS:
			asks(w, t);
			break;
		case TURN_ANSWERS:
			answers(w, t);
			break;
		case TURN_BOT_ANSWERS:
			bot_answers(w, t);
			break;
		case TURN_RESOLVES:
			resolves(w, t);
			break;
		case TURN_REOPENS:
			reopens(w, t);
			break;
		case TURN_HANDS_OVER:
			is_handed_over(w, t);
			break;
	}
	if (t->means == MEANS_ASKS_AND_RESOLVES)
		resolves(w, t);
}

static void
walk(Walk *w, const Conversation *c)
{
	w->c = c;
	w->wait_span = w->handover_span = w->resolution_span = w->agent_span = NO_SPAN;
	for (uint32 i = 0; i < c->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		walk_touch(w, &c->touches[i]);
	}
	/* up to the last word, if a bot has it, or a question to one that nobody else has answered */
	if (w->wait.known && !w->with_people && w->bot_at.known && !w->handover.known)
		spend(&w->bot_time, w->mark, Max(w->bot_at.at, w->question));
}

static Datum
name_datum(const Conversation *c, uint32 number)
{
	return PointerGetDatum(cstring_to_text_with_len(c->names[number].text, c->names[number].len));
}

/* As SQL orders texts. */
static int
name_order(const ConversationName *a, const ConversationName *b, Oid collation)
{
	return varstr_cmp(a->text, a->len, b->text, b->len, collation);
}

#define ST_SORT sort_names
#define ST_ELEMENT_TYPE ConversationName
#define ST_COMPARE(a, b, collation) name_order(a, b, *(collation))
#define ST_COMPARE_ARG_TYPE const Oid
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* The names that are channels, or agents, each once, in order. */
static Datum
names_datum(const Conversation *c, bool agents, Oid collation)
{
	bool *used = palloc0((size_t) c->n_names + 1);
	ConversationName *names;
	Datum *texts;
	uint32 n = 0;
	uint32 distinct = 0;

	names = palloc_extended(((size_t) c->n_names + 1) * sizeof(ConversationName), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < c->n; i++)
	{
		uint32 number = agents ? c->touches[i].agent : c->touches[i].channel;

		if (number != NO_NAME && !used[number])
		{
			used[number] = true;
			names[n++] = c->names[number];
		}
	}
	if (n > 1)
		sort_names(names, n, &collation);
	texts = palloc_extended(((size_t) n + 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i == 0 || name_order(&names[i - 1], &names[i], collation) != 0)
			texts[distinct++] =
				PointerGetDatum(cstring_to_text_with_len(names[i].text, names[i].len));
	}
	return PointerGetDatum(construct_array(texts, distinct, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
text_datum(const char *text)
{
	return PointerGetDatum(cstring_to_text(text));
}

static Datum
interval_datum(int64 days, int64 usecs)
{
	Interval *i = palloc0(sizeof(Interval));

	if (days > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("interval out of range")));
	i->day = days;
	i->time = usecs;
	return IntervalPGetDatum(i);
}

/* A row that is filled column by column. */
typedef struct Row
{
	TupleDesc desc;
	int n;
	Datum *values;
	bool *nulls;
} Row;

static void
row_start(Row *row, Oid type, int columns)
{
	row->desc = lookup_rowtype_tupdesc(type, -1);
	if (row->desc->natts != columns)
		elog(ERROR, "type %s has %d columns", format_type_be(type), row->desc->natts);
	row->n = 0;
	row->values = palloc(columns * sizeof(Datum));
	row->nulls = palloc(columns * sizeof(bool));
}

static inline void
put(Row *row, Datum value)
{
	row->nulls[row->n] = false;
	row->values[row->n++] = value;
}

static inline void
put_null(Row *row)
{
	row->nulls[row->n] = true;
	row->values[row->n++] = (Datum) 0;
}

static inline void
put_time(Row *row, MaybeTime time)
{
	if (time.known)
		put(row, TimestampTzGetDatum(time.at));
	else
		put_null(row);
}

static inline void
put_spent(Row *row, const TimeSpent *spent)
{
	if (spent->known)
		put(row, interval_datum(spent->days + spent->usecs / USECS_PER_DAY,
								spent->usecs % USECS_PER_DAY));
	else
		put_null(row);
}

static inline void
put_name(Row *row, const Conversation *c, uint32 number)
{
	if (number != NO_NAME)
		put(row, name_datum(c, number));
	else
		put_null(row);
}

static inline void
put_text(Row *row, const char *text)
{
	if (text)
		put(row, text_datum(text));
	else
		put_null(row);
}

#define FACTS_COLUMNS 29
#define REPLY_COLUMNS 8
#define SPAN_COLUMNS 8

PG_FUNCTION_INFO_V1(conversation_agg_finalfn);
Datum
conversation_agg_finalfn(PG_FUNCTION_ARGS)
{
	/* who calls it without an expression gives none */
	Oid collation = OidIsValid(PG_GET_COLLATION()) ? PG_GET_COLLATION() : DEFAULT_COLLATION_OID;
	Conversation c;
	Walk w = {0};
	Row row;
	HeapTuple tuple;

	aggregate_context(fcinfo, "conversation_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	conversation_read(&c, PG_GETARG_DATUM(0));
	walk(&w, &c);

	row_start(&row, get_func_rettype(fcinfo->flinfo->fn_oid), FACTS_COLUMNS);
	put(&row, TimestampTzGetDatum(c.touches[0].at));
	put(&row, TimestampTzGetDatum(c.touches[c.n - 1].at));
	put(&row, Int64GetDatum(c.touches[0].ref));
	put(&row, Int64GetDatum(c.n));
	put(&row, Int64GetDatum(w.messages_in));
	put(&row, Int64GetDatum(w.messages_out));
	put(&row, Int64GetDatum(w.reopenings));
	put(&row, Int64GetDatum(w.transfers));
	put(&row, Int64GetDatum(w.handovers));
	put(&row, BoolGetDatum(w.is_answered));
	put_text(&row, w.resolved ? "resolved" : w.own ? "open" : NULL);
	put(&row, name_datum(&c, c.touches[0].channel));
	put(&row, names_datum(&c, false, collation));
	put(&row, names_datum(&c, true, collation));
	put_text(&row, w.by_person ? (w.by_bot ? "both" : "human") : w.by_bot ? "bot" : NULL);
	put_time(&row, w.asked_at);
	put_time(&row, w.answered_at);
	put_name(&row, &c, w.answered_by);
	put_time(&row, w.waiting);
	put_time(&row, w.first_resolved_at);
	w.resolved_at.known &= w.resolved;
	put_time(&row, w.resolved_at);
	put_time(&row, w.reopened_at);
	put_time(&row, w.reopening_asked_at);
	put_time(&row, w.reopening_answered_at);
	put_time(&row, w.handed_over_at);
	put_time(&row, w.handover_answered_at);
	/* the sum of stretches as SQL has it, which makes no days of their hours */
	if (w.asked_at.known)
		put(&row, interval_datum(w.waited.days, w.waited.usecs));
	else
		put_null(&row);
	put_spent(&row, &w.bot_time);
	put_spent(&row, &w.people_time);
	Assert(row.n == FACTS_COLUMNS);
	tuple = heap_form_tuple(row.desc, row.values, row.nulls);
	ReleaseTupleDesc(row.desc);
	PG_RETURN_DATUM(HeapTupleGetDatum(tuple));
}

PG_FUNCTION_INFO_V1(conversation_replies_agg_finalfn);
Datum
conversation_replies_agg_finalfn(PG_FUNCTION_ARGS)
{
	Oid type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	Conversation c;
	Walk w = {0};
	Row row;
	Datum *rows;

	aggregate_context(fcinfo, "conversation_replies_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	conversation_read(&c, PG_GETARG_DATUM(0));
	w.max_replies = 8;
	w.replies = palloc(w.max_replies * sizeof(Reply));
	walk(&w, &c);
	row_start(&row, type, REPLY_COLUMNS);
	rows = palloc_extended((w.n_replies + 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < w.n_replies; i++)
	{
		const Reply *reply = &w.replies[i];

		CHECK_FOR_INTERRUPTS();
		row.n = 0;
		put_text(&row, reply_kinds[reply->kind]);
		put(&row, Int64GetDatum(reply->touch->ref));
		put_name(&row, &c, reply->touch->channel);
		put_name(&row, &c, reply->touch->agent);
		put(&row, TimestampTzGetDatum(reply->asked_at));
		put(&row, TimestampTzGetDatum(reply->touch->at));
		put_time(&row, reply->reopened_at);
		put_time(&row, reply->handed_over_at);
		rows[i] = HeapTupleGetDatum(heap_form_tuple(row.desc, row.values, row.nulls));
	}
	ReleaseTupleDesc(row.desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, w.n_replies, type, -1, false, TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(conversation_spans_agg_finalfn);
Datum
conversation_spans_agg_finalfn(PG_FUNCTION_ARGS)
{
	Oid type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	Conversation c;
	Walk w = {0};
	Row row;
	Datum *rows;

	aggregate_context(fcinfo, "conversation_spans_agg");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	conversation_read(&c, PG_GETARG_DATUM(0));
	w.max_spans = 8;
	w.spans = palloc(w.max_spans * sizeof(Span));
	walk(&w, &c);
	row_start(&row, type, SPAN_COLUMNS);
	rows = palloc_extended((w.n_spans + 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < w.n_spans; i++)
	{
		const Span *span = &w.spans[i];
		bool has_ended = span->end != STILL_LASTS;

		CHECK_FOR_INTERRUPTS();
		row.n = 0;
		put_text(&row, span_kinds[span->kind]);
		put(&row, Int64GetDatum(span->from->ref));
		put_name(&row, &c, span->from->channel);
		put_name(&row, &c,
				 span->kind == SPAN_AGENT ? span->from->agent : has_ended ? span->to->agent : NO_NAME);
		put(&row, TimestampTzGetDatum(span->from->at));
		put_time(&row, (MaybeTime) {has_ended, has_ended ? span->to->at : 0});
		put_text(&row, span_ends[span->end]);
		if (has_ended)
			put(&row, Int64GetDatum(span->to->ref));
		else
			put_null(&row);
		rows[i] = HeapTupleGetDatum(heap_form_tuple(row.desc, row.values, row.nulls));
	}
	ReleaseTupleDesc(row.desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, w.n_spans, type, -1, false, TYPALIGN_DOUBLE));
}
