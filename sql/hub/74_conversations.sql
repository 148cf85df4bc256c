-- Conversations: who waited how long for whom.

-- What asks and resolves at once has two rows, the question first; it is joined with actions for that, which costs
-- the others nothing.
CREATE OR REPLACE VIEW @hub@.turns WITH (security_invoker = true) AS
SELECT i.customer_id, t.touchpoint_id, t.occurred_at, t.channel, t.source, t.conversation,
       @hub@.agent_name(t.agent, t.source, (SELECT @hub@.agent_names())) AS agent,
       coalesce(@hub@.is_bot(t.agent, t.source, (SELECT @hub@.agent_bots())), false) AS is_bot,
       t.direction IS DISTINCT FROM 'out' AND coalesce(a.means, 'asks_and_resolves') = 'asks_and_resolves' AS own,
       CASE WHEN a.step = 2 THEN 'resolves'
            WHEN a.means IN ('resolves', 'reopens', 'hands_over') THEN a.means
            WHEN a.means = 'status' THEN NULL
            WHEN t.direction = 'out' AND @hub@.is_bot(t.agent, t.source, (SELECT @hub@.agent_bots()))
            THEN 'bot answers'
            WHEN t.direction = 'out' THEN 'answers'
            WHEN t.direction = 'in' OR a.means = 'asks_and_resolves' THEN 'asks' END AS turn,
       coalesce(a.step, 1) AS step
FROM @hub@.identities i
     JOIN @hub@.touchpoints t ON t.identity_id = i.identity_id
     LEFT JOIN (SELECT a.action, a.means, 1 AS step FROM @hub@.actions a
                UNION ALL
                SELECT a.action, a.means, 2 FROM @hub@.actions a WHERE a.means = 'asks_and_resolves') a
          ON a.action = t.action;
COMMENT ON VIEW @hub@.turns
    IS 'touchpoints and what they mean for a conversation, in the order of occurred_at, touchpoint_id and step';
COMMENT ON COLUMN @hub@.turns.customer_id IS 'customer it belongs to now';
COMMENT ON COLUMN @hub@.turns.touchpoint_id IS 'the touchpoint';
COMMENT ON COLUMN @hub@.turns.occurred_at IS 'when it happened';
COMMENT ON COLUMN @hub@.turns.channel IS 'where';
COMMENT ON COLUMN @hub@.turns.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.turns.conversation IS 'conversation it is part of; NULL: none';
COMMENT ON COLUMN @hub@.turns.agent IS 'who of the company took part, by the name in agents';
COMMENT ON COLUMN @hub@.turns.is_bot IS 'whether that was a bot';
COMMENT ON COLUMN @hub@.turns.own
    IS 'whether it is the customer''s own: not outbound, and its action is not in actions, or asks and resolves'
       ' there';
COMMENT ON COLUMN @hub@.turns.turn
    IS 'resolves, reopens, hands_over: see actions; asks: a message of the customer; answers, bot answers: one to the'
       ' customer; NULL: neither';
COMMENT ON COLUMN @hub@.turns.step
    IS '1; 2: what resolves in a touchpoint that also asks, or answers, and has two rows';

-- What conversation_agg takes, of conversations alone.
CREATE OR REPLACE VIEW @hub@.conversation_touchpoints WITH (security_invoker = true) AS
SELECT i.customer_id, t.source, t.conversation, t.occurred_at, t.touchpoint_id, t.channel,
       @hub@.agent_name(t.agent, t.source, (SELECT @hub@.agent_names())) AS agent,
       @hub@.is_bot(t.agent, t.source, (SELECT @hub@.agent_bots())) AS is_bot, t.direction, a.means,
       t.subject
FROM @hub@.identities i
     JOIN @hub@.touchpoints t ON t.identity_id = i.identity_id
     LEFT JOIN @hub@.actions a ON a.action = t.action
WHERE t.conversation IS NOT NULL;
COMMENT ON VIEW @hub@.conversation_touchpoints
    IS 'touchpoints that are part of conversations, as conversation_agg takes them';
COMMENT ON COLUMN @hub@.conversation_touchpoints.customer_id IS 'customer it belongs to now';
COMMENT ON COLUMN @hub@.conversation_touchpoints.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.conversation_touchpoints.conversation IS 'conversation it is part of';
COMMENT ON COLUMN @hub@.conversation_touchpoints.occurred_at IS 'when it happened';
COMMENT ON COLUMN @hub@.conversation_touchpoints.touchpoint_id IS 'number of the touchpoint';
COMMENT ON COLUMN @hub@.conversation_touchpoints.channel IS 'where';
COMMENT ON COLUMN @hub@.conversation_touchpoints.agent IS 'who of the company took part';
COMMENT ON COLUMN @hub@.conversation_touchpoints.is_bot IS 'whether that was a bot; NULL: nobody is named';
COMMENT ON COLUMN @hub@.conversation_touchpoints.direction
    IS 'in: from the customer; out: to the customer; NULL: neither';
COMMENT ON COLUMN @hub@.conversation_touchpoints.means IS 'what its action means: see actions; NULL: nothing';
COMMENT ON COLUMN @hub@.conversation_touchpoints.subject IS 'what it is about, in words to read';

-- Columns of conversations, the same however they are found. Becomes part of the query that calls it, so that what
-- isn't asked for costs nothing.
CREATE OR REPLACE FUNCTION @hub@.conversation_columns(facts @extschema@.conversation_facts, source text)
RETURNS TABLE (
    status text, channel text, channels text[], last_at timestamptz, local_day date, local_hour integer,
    touchpoints bigint, messages_in bigint, messages_out bigint, agents text[], handled_by text,
    asked_at timestamptz, answered_at timestamptz, answered_by text, first_response_time interval,
    first_response_business_time interval, waiting_time interval, waiting_since timestamptz,
    first_resolved_at timestamptz, resolved_at timestamptz, resolution_time interval,
    resolution_business_time interval, reopenings bigint, reopened_at timestamptz, reopening_response_time interval,
    reopening_response_business_time interval, handovers bigint, handed_over_at timestamptz,
    handover_response_time interval, handover_response_business_time interval, transfers bigint, bot_time interval,
    people_time interval, is_abandoned boolean, first_response_seconds numeric,
    first_response_business_seconds numeric, waiting_seconds numeric, resolution_seconds numeric,
    resolution_business_seconds numeric, reopening_response_seconds numeric,
    reopening_response_business_seconds numeric, handover_response_seconds numeric,
    handover_response_business_seconds numeric, bot_seconds numeric, people_seconds numeric
) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT f.status, f.channel, f.channels, f.last_at, f.local_at::date, extract(hour FROM f.local_at)::integer,
           f.touchpoints, f.messages_in, f.messages_out, f.agents, f.handled_by,
           f.asked_at, f.answered_at, f.answered_by, f.response, f.response_hours, f.waiting_time, f.waiting_since,
           f.first_resolved_at, f.resolved_at, f.resolution, f.resolution_hours, f.reopenings, f.reopened_at,
           f.reopening, f.reopening_hours, f.handovers, f.handed_over_at, f.handover, f.handover_hours, f.transfers,
           f.bot_time, f.people_time,
           f.asked_at IS NOT NULL AND NOT f.is_answered
               AND (f.status = 'resolved' OR now() - f.last_at > (SELECT s.repeat_within FROM @hub@.settings s)),
           extract(epoch FROM f.response), extract(epoch FROM f.response_hours), extract(epoch FROM f.waiting_time),
           extract(epoch FROM f.resolution), extract(epoch FROM f.resolution_hours), extract(epoch FROM f.reopening),
           extract(epoch FROM f.reopening_hours), extract(epoch FROM f.handover), extract(epoch FROM f.handover_hours),
           extract(epoch FROM f.bot_time), extract(epoch FROM f.people_time)
    FROM (SELECT x.*,
                 x.started_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s) AS local_at,
                 x.answered_at - x.asked_at AS response,
                 @extschema@.business_time(x.asked_at, x.answered_at, h.hours) AS response_hours,
                 x.resolved_at - coalesce(x.asked_at, x.started_at) AS resolution,
                 @extschema@.business_time(coalesce(x.asked_at, x.started_at), x.resolved_at, h.hours)
                     AS resolution_hours,
                 x.reopening_answered_at - x.reopening_asked_at AS reopening,
                 @extschema@.business_time(x.reopening_asked_at, x.reopening_answered_at, h.hours) AS reopening_hours,
                 x.handover_answered_at - x.handed_over_at AS handover,
                 @extschema@.business_time(x.handed_over_at, x.handover_answered_at, h.hours) AS handover_hours
          FROM (SELECT (conversation_columns.facts).*) x
               CROSS JOIN LATERAL @hub@.hours_of(conversation_columns.source, x.channel) h) f;
END;
COMMENT ON FUNCTION @hub@.conversation_columns(@extschema@.conversation_facts, text)
    IS 'the columns of conversations, of what is known of one';

CREATE OR REPLACE FUNCTION @hub@.reply_columns(reply_kind text, asked timestamptz, replied timestamptz,
                                               reopened timestamptz, handed_over timestamptz, source text,
                                               channel text)
RETURNS TABLE (
    kind text, asked_at timestamptz, local_day date, local_hour integer, reply_time interval,
    reply_business_time interval, reopened_at timestamptz, handed_over_at timestamptz, handover_reply_time interval,
    handover_reply_business_time interval, reply_seconds numeric, reply_business_seconds numeric,
    handover_reply_seconds numeric, handover_reply_business_seconds numeric
) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT reply_columns.reply_kind, reply_columns.asked, f.local_at::date, extract(hour FROM f.local_at)::integer,
           f.reply, f.reply_hours, reply_columns.reopened, reply_columns.handed_over, f.handover, f.handover_hours,
           extract(epoch FROM f.reply), extract(epoch FROM f.reply_hours), extract(epoch FROM f.handover),
           extract(epoch FROM f.handover_hours)
    FROM (SELECT reply_columns.replied AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s) AS local_at,
                 reply_columns.replied - reply_columns.asked AS reply,
                 @extschema@.business_time(reply_columns.asked, reply_columns.replied, h.hours) AS reply_hours,
                 reply_columns.replied - reply_columns.handed_over AS handover,
                 @extschema@.business_time(reply_columns.handed_over, reply_columns.replied, h.hours) AS handover_hours
          FROM @hub@.hours_of(reply_columns.source, reply_columns.channel) h) f;
END;
COMMENT ON FUNCTION @hub@.reply_columns(text, timestamptz, timestamptz, timestamptz, timestamptz, text, text)
    IS 'columns of replies, of what is known of one';

-- All conversations, or those with a touchpoint from since on and before until, with all their touchpoints. Each is
-- read once: of a range what shares a conversation with it, by index or by hash, as the planner finds better.
CREATE OR REPLACE FUNCTION @hub@.conversation_groups(since timestamptz, until timestamptz)
RETURNS TABLE (
    customer_id bigint, source text, conversation text, facts @extschema@.conversation_facts,
    replies @extschema@.conversation_reply[], subject text, spans @extschema@.conversation_span[]
) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000000
BEGIN ATOMIC
    SELECT p.customer_id, p.source, p.conversation,
           @extschema@.conversation_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot, p.direction,
                                        p.means),
           @extschema@.conversation_replies_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot,
                                                p.direction, p.means),
           (array_agg(p.subject ORDER BY p.occurred_at, p.touchpoint_id) FILTER (WHERE p.subject IS NOT NULL))[1],
           @extschema@.conversation_spans_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot,
                                              p.direction, p.means)
    FROM @hub@.conversation_touchpoints p
    WHERE conversation_groups.since IS NULL AND conversation_groups.until IS NULL
    GROUP BY p.customer_id, p.source, p.conversation
    UNION ALL
    SELECT p.customer_id, p.source, p.conversation,
           @extschema@.conversation_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot, p.direction,
                                        p.means),
           @extschema@.conversation_replies_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot,
                                                p.direction, p.means),
           (array_agg(p.subject ORDER BY p.occurred_at, p.touchpoint_id) FILTER (WHERE p.subject IS NOT NULL))[1],
           @extschema@.conversation_spans_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot,
                                              p.direction, p.means)
    FROM (SELECT DISTINCT t.source, t.conversation
          FROM @hub@.touchpoints t
          WHERE t.conversation IS NOT NULL AND t.occurred_at >= coalesce(conversation_groups.since, '-infinity')
                AND t.occurred_at < coalesce(conversation_groups.until, 'infinity')) n
         JOIN @hub@.conversation_touchpoints p ON p.source = n.source AND p.conversation = n.conversation
    WHERE conversation_groups.since IS NOT NULL OR conversation_groups.until IS NOT NULL
    GROUP BY p.customer_id, p.source, p.conversation;
END;
COMMENT ON FUNCTION @hub@.conversation_groups(timestamptz, timestamptz) IS
    'what is known of all conversations, or of those with a touchpoint from the one time on and before the other';

-- Customer by customer, each by index, so that joins, lists and limits reach only what they ask for. By anything but
-- the customer, conversations_between finds them.
CREATE OR REPLACE VIEW @hub@.conversations WITH (security_invoker = true) AS
SELECT c.customer_id, g.source, g.conversation, (g.facts).started_at, g.subject, k.*
FROM @hub@.customers c
     CROSS JOIN LATERAL (SELECT p.source, p.conversation,
                                @extschema@.conversation_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent,
                                                             p.is_bot, p.direction, p.means) AS facts,
                                (array_agg(p.subject ORDER BY p.occurred_at, p.touchpoint_id)
                                 FILTER (WHERE p.subject IS NOT NULL))[1] AS subject
                         FROM @hub@.conversation_touchpoints p
                         WHERE p.customer_id = c.customer_id
                         GROUP BY p.source, p.conversation) g
     CROSS JOIN LATERAL @hub@.conversation_columns(g.facts, g.source) k;
COMMENT ON VIEW @hub@.conversations
    IS 'conversations, told apart by source; one whose touchpoints belong to several customers has a row for each. By'
       ' customer_id they are found by index; by name conversations_named finds them, by time conversations_between';
COMMENT ON COLUMN @hub@.conversations.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.conversations.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.conversations.conversation IS 'its name there';
COMMENT ON COLUMN @hub@.conversations.subject IS 'first subject of its touchpoints';
COMMENT ON COLUMN @hub@.conversations.status IS
    'open, resolved; NULL: the customer has done nothing yet, only the company has';
COMMENT ON COLUMN @hub@.conversations.channel IS 'channel of its first touchpoint';
COMMENT ON COLUMN @hub@.conversations.channels IS 'all its channels, by name';
COMMENT ON COLUMN @hub@.conversations.started_at IS 'time of its first touchpoint';
COMMENT ON COLUMN @hub@.conversations.last_at IS 'time of its last touchpoint';
COMMENT ON COLUMN @hub@.conversations.local_day IS 'day of started_at in the time zone of settings';
COMMENT ON COLUMN @hub@.conversations.local_hour IS 'hour of started_at in the time zone of settings, 0 to 23';
COMMENT ON COLUMN @hub@.conversations.touchpoints IS 'how many touchpoints it has';
COMMENT ON COLUMN @hub@.conversations.messages_in IS 'messages of the customer: turns that ask';
COMMENT ON COLUMN @hub@.conversations.messages_out IS 'messages to the customer, those of bots too';
COMMENT ON COLUMN @hub@.conversations.agents IS 'who of the company took part, by name';
COMMENT ON COLUMN @hub@.conversations.handled_by IS 'human, bot or both; NULL: nobody took part';
COMMENT ON COLUMN @hub@.conversations.asked_at IS 'time of the first message of the customer';
COMMENT ON COLUMN @hub@.conversations.answered_at IS
    'time of the first message to the customer after that, but for those of bots';
COMMENT ON COLUMN @hub@.conversations.answered_by IS
    'agent of that message; NULL: there is none, or who wrote it is not named';
COMMENT ON COLUMN @hub@.conversations.first_response_time IS 'from asked_at to answered_at';
COMMENT ON COLUMN @hub@.conversations.first_response_business_time IS 'how much of it is within business hours';
COMMENT ON COLUMN @hub@.conversations.waiting_time IS
    'how long the customer had the last word, bots aside, while it was not resolved; up to the last message or'
    ' resolution';
COMMENT ON COLUMN @hub@.conversations.waiting_since IS
    'since when the customer waits for an answer of a person; NULL: doesn''t, or the last message names an agent, as'
    ' a call does that was taken';
COMMENT ON COLUMN @hub@.conversations.first_resolved_at IS 'when it was resolved for the first time';
COMMENT ON COLUMN @hub@.conversations.resolved_at IS
    'since when it is resolved: resolved again without being reopened, the first time counts; NULL: it is not, or'
    ' not any more';
COMMENT ON COLUMN @hub@.conversations.resolution_time IS
    'from asked_at, or started_at if the customer never wrote, to resolved_at';
COMMENT ON COLUMN @hub@.conversations.resolution_business_time IS 'how much of it is within business hours';
COMMENT ON COLUMN @hub@.conversations.reopenings IS
    'how many times it was resolved and then reopened, by an action that reopens or a message of the customer';
COMMENT ON COLUMN @hub@.conversations.reopened_at IS 'when it was reopened for the first time';
COMMENT ON COLUMN @hub@.conversations.reopening_response_time IS
    'from the customer''s first message after that, or by which it was reopened, to the reply: see replies';
COMMENT ON COLUMN @hub@.conversations.reopening_response_business_time IS 'how much of it is within business hours';
COMMENT ON COLUMN @hub@.conversations.handovers IS 'how many times a bot handed it over to people';
COMMENT ON COLUMN @hub@.conversations.handed_over_at IS
    'when it did so for the first time: by an action that hands over; else the customer''s first message '
    'after the bot''s last word before a person answers, or that word';
COMMENT ON COLUMN @hub@.conversations.handover_response_time IS
    'from handed_over_at to the first message of a person after it';
COMMENT ON COLUMN @hub@.conversations.handover_response_business_time IS 'how much of it is within business hours';
COMMENT ON COLUMN @hub@.conversations.transfers IS
    'how many times another person took over: answered, or is named in a message of the customer';
COMMENT ON COLUMN @hub@.conversations.bot_time IS
    'time with a bot: from a question that it is the next to answer to the hand-over, else to the resolution, '
    'else to the last message; NULL: no bot has answered any';
COMMENT ON COLUMN @hub@.conversations.people_time IS
    'time with people: from the hand-over, or a question that they are the next to answer, up to the next '
    'question, or the resolution; NULL: no person has answered any';
COMMENT ON COLUMN @hub@.conversations.first_response_seconds IS 'first_response_time in seconds';
COMMENT ON COLUMN @hub@.conversations.first_response_business_seconds IS 'first_response_business_time in seconds';
COMMENT ON COLUMN @hub@.conversations.waiting_seconds IS 'waiting_time in seconds';
COMMENT ON COLUMN @hub@.conversations.resolution_seconds IS 'resolution_time in seconds';
COMMENT ON COLUMN @hub@.conversations.resolution_business_seconds IS 'resolution_business_time in seconds';
COMMENT ON COLUMN @hub@.conversations.reopening_response_seconds IS 'reopening_response_time in seconds';
COMMENT ON COLUMN @hub@.conversations.reopening_response_business_seconds IS
    'reopening_response_business_time in seconds';
COMMENT ON COLUMN @hub@.conversations.handover_response_seconds IS 'handover_response_time in seconds';
COMMENT ON COLUMN @hub@.conversations.handover_response_business_seconds IS
    'handover_response_business_time in seconds';
COMMENT ON COLUMN @hub@.conversations.bot_seconds IS 'bot_time in seconds';
COMMENT ON COLUMN @hub@.conversations.people_seconds IS 'people_time in seconds';
COMMENT ON COLUMN @hub@.conversations.is_abandoned IS
    'whether the customer wrote, nobody answered, no bot either, and it is resolved or nothing has happened '
    'for longer than repeat_within of settings';

-- A wait begins with the first question after an answer or a resolution, and who answers next has ended it.
CREATE OR REPLACE VIEW @hub@.replies WITH (security_invoker = true) AS
SELECT c.customer_id, g.source, g.conversation, r.ref AS touchpoint_id, r.replied_at, r.channel, r.agent, k.*
FROM @hub@.customers c
     CROSS JOIN LATERAL (SELECT p.source, p.conversation,
                                @extschema@.conversation_replies_agg(p.occurred_at, p.touchpoint_id, p.channel,
                                                                     p.agent, p.is_bot, p.direction, p.means)
                                    AS replies
                         FROM @hub@.conversation_touchpoints p
                         WHERE p.customer_id = c.customer_id
                         GROUP BY p.source, p.conversation) g
     CROSS JOIN LATERAL pg_catalog.unnest(g.replies) r
     CROSS JOIN LATERAL @hub@.reply_columns(r.kind, r.asked_at, r.replied_at, r.reopened_at, r.handed_over_at,
                                              g.source, r.channel) k;
COMMENT ON VIEW @hub@.replies IS 'answers that ended a wait of the customer, a row each; those of bots end none';
COMMENT ON COLUMN @hub@.replies.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.replies.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.replies.conversation IS 'conversation it is part of';
COMMENT ON COLUMN @hub@.replies.touchpoint_id IS 'the answer';
COMMENT ON COLUMN @hub@.replies.kind IS
    'first: the one at answered_at of conversations; else reopened: the first since it was reopened; else handed over: '
    'the first since a bot handed over; else next';
COMMENT ON COLUMN @hub@.replies.channel IS 'where';
COMMENT ON COLUMN @hub@.replies.agent IS 'who gave it; NULL: who is not named';
COMMENT ON COLUMN @hub@.replies.asked_at
    IS 'since when the customer waited: first message after the answer or resolution before';
COMMENT ON COLUMN @hub@.replies.replied_at IS 'when it was given';
COMMENT ON COLUMN @hub@.replies.local_day IS 'day of replied_at in the time zone of settings';
COMMENT ON COLUMN @hub@.replies.local_hour IS 'hour of replied_at in the time zone of settings, 0 to 23';
COMMENT ON COLUMN @hub@.replies.reply_time IS 'from asked_at to replied_at';
COMMENT ON COLUMN @hub@.replies.reply_business_time IS 'how much of it is within business hours';
COMMENT ON COLUMN @hub@.replies.reopened_at IS 'when the conversation was reopened, if it is the first reply since';
COMMENT ON COLUMN @hub@.replies.handed_over_at
    IS 'when a bot handed the conversation over, if it is the first reply since: see conversations';
COMMENT ON COLUMN @hub@.replies.handover_reply_time IS 'from handed_over_at to replied_at';
COMMENT ON COLUMN @hub@.replies.handover_reply_business_time IS 'how much of it is within business hours';
COMMENT ON COLUMN @hub@.replies.reply_seconds IS 'reply_time in seconds';
COMMENT ON COLUMN @hub@.replies.reply_business_seconds IS 'reply_business_time in seconds';
COMMENT ON COLUMN @hub@.replies.handover_reply_seconds IS 'handover_reply_time in seconds';
COMMENT ON COLUMN @hub@.replies.handover_reply_business_seconds IS 'handover_reply_business_time in seconds';

-- The same rows by other ways. All become part of the query that calls them.

CREATE OR REPLACE FUNCTION @hub@.conversations_of(customer_id bigint) RETURNS SETOF @hub@.conversations
LANGUAGE sql STABLE PARALLEL SAFE ROWS 3
BEGIN ATOMIC
    SELECT v.* FROM @hub@.conversations v WHERE v.customer_id = conversations_of.customer_id;
END;
COMMENT ON FUNCTION @hub@.conversations_of(bigint) IS 'conversations of a customer';

CREATE OR REPLACE FUNCTION @hub@.replies_of(customer_id bigint) RETURNS SETOF @hub@.replies
LANGUAGE sql STABLE PARALLEL SAFE ROWS 5
BEGIN ATOMIC
    SELECT v.* FROM @hub@.replies v WHERE v.customer_id = replies_of.customer_id;
END;
COMMENT ON FUNCTION @hub@.replies_of(bigint) IS 'replies to a customer';

CREATE OR REPLACE FUNCTION @hub@.conversations_between(since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS SETOF @hub@.conversations
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000000
BEGIN ATOMIC
    SELECT g.customer_id, g.source, g.conversation, (g.facts).started_at, g.subject, k.*
    FROM @hub@.conversation_groups(conversations_between.since, conversations_between.until) g
         CROSS JOIN LATERAL @hub@.conversation_columns(g.facts, g.source) k
    WHERE @hub@.check_period(NULL, conversations_between.since, conversations_between.until) IS NOT NULL
          AND (conversations_between.since IS NULL OR (g.facts).started_at >= conversations_between.since)
          AND (conversations_between.until IS NULL OR (g.facts).started_at < conversations_between.until);
END;
COMMENT ON FUNCTION @hub@.conversations_between(timestamptz, timestamptz) IS
    'conversations that began from the one time on and before the other, whatever came later in them; all of them if '
    'both are NULL. Faster for many than the view';

CREATE OR REPLACE FUNCTION @hub@.conversations_named(conversation text) RETURNS SETOF @hub@.conversations
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT v.* FROM @hub@.conversations_between() v WHERE v.conversation = conversations_named.conversation;
END;
COMMENT ON FUNCTION @hub@.conversations_named(text) IS
    'conversations by their name: one for each source and customer that have it';

CREATE OR REPLACE FUNCTION @hub@.replies_between(since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS SETOF @hub@.replies
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000000
BEGIN ATOMIC
    SELECT g.customer_id, g.source, g.conversation, r.ref, r.replied_at, r.channel, r.agent, k.*
    FROM @hub@.conversation_groups(replies_between.since, replies_between.until) g
         CROSS JOIN LATERAL pg_catalog.unnest(g.replies) r
         CROSS JOIN LATERAL @hub@.reply_columns(r.kind, r.asked_at, r.replied_at, r.reopened_at, r.handed_over_at,
                                                  g.source, r.channel) k
    WHERE @hub@.check_period(NULL, replies_between.since, replies_between.until) IS NOT NULL
          AND (replies_between.since IS NULL OR r.replied_at >= replies_between.since)
          AND (replies_between.until IS NULL OR r.replied_at < replies_between.until);
END;
COMMENT ON FUNCTION @hub@.replies_between(timestamptz, timestamptz) IS
    'replies given from the one time on and before the other; all of them if both are NULL. Faster for many than the '
    'view';
