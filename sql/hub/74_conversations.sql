-- Conversations: who waited how long for whom.

-- What asks and resolves at once has two rows, the question first; it is joined with actions for that, which costs
-- the others nothing.
CREATE OR REPLACE VIEW @hub@.turns WITH (security_invoker = true) AS
SELECT i.customer_id, t.touchpoint_id, t.occurred_at, t.channel, t.source, t.conversation, t.agent,
       coalesce(t.agent = 'bot' OR t.agent LIKE 'bot:%', false) AS is_bot,
       t.direction IS DISTINCT FROM 'out' AND coalesce(a.means, 'asks_and_resolves') = 'asks_and_resolves' AS own,
       CASE WHEN a.step = 2 THEN 'resolves'
            WHEN a.means IN ('resolves', 'reopens') THEN a.means
            WHEN a.means = 'status' THEN NULL
            WHEN t.direction = 'out' AND (t.agent = 'bot' OR t.agent LIKE 'bot:%') THEN 'bot answers'
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
COMMENT ON COLUMN @hub@.turns.agent IS 'who of the company took part';
COMMENT ON COLUMN @hub@.turns.is_bot IS 'whether that was a bot';
COMMENT ON COLUMN @hub@.turns.own
    IS 'whether it is the customer''s own: not outbound, and of no action that actions has, but one that asks and'
       ' resolves';
COMMENT ON COLUMN @hub@.turns.turn IS 'resolves, reopens: see actions; asks: a message of the customer; answers, bot answers: one to the customer; NULL: neither';
COMMENT ON COLUMN @hub@.turns.step
    IS '1; 2: what resolves in a touchpoint that also asks, or answers, and has two rows';

CREATE OR REPLACE VIEW @hub@.conversations WITH (security_invoker = true) AS
SELECT c.customer_id, c.source, c.conversation,
       CASE WHEN c.is_resolved THEN 'resolved' WHEN c.own OR c.opened THEN 'open' END AS status,
       c.channel, c.channels, c.started_at, c.last_at, c.touchpoints, c.messages_in, c.messages_out, c.agents,
       CASE WHEN c.by_human AND c.by_bot THEN 'both' WHEN c.by_human THEN 'human' WHEN c.by_bot THEN 'bot' END
           AS handled_by,
       c.asked_at, c.answered_at, c.answered_at - c.asked_at AS first_response_time,
       @extschema@.business_time(c.asked_at, c.answered_at, h.hours) AS first_response_business_time,
       CASE WHEN c.asked_at IS NOT NULL THEN coalesce(c.waited, '0') END AS waiting_time,
       CASE WHEN c.is_waiting THEN c.waiting_since END AS waiting_since,
       CASE WHEN c.is_resolved THEN c.resolved_at END AS resolved_at,
       CASE WHEN c.is_resolved THEN c.resolved_at - coalesce(c.asked_at, c.started_at) END AS resolution_time,
       CASE WHEN c.is_resolved THEN @extschema@.business_time(coalesce(c.asked_at, c.started_at), c.resolved_at,
                                                            h.hours) END
           AS resolution_business_time,
       c.reopenings,
       c.asked_at IS NOT NULL AND NOT c.was_answered
           AND (c.is_resolved OR now() - c.last_at > (SELECT s.repeat_within FROM @hub@.settings s)) AS is_abandoned
FROM (SELECT t.customer_id, t.source, t.conversation,
             min(t.channel) FILTER (WHERE t.position = 1) AS channel, array_agg(DISTINCT t.channel) AS channels,
             min(t.occurred_at) AS started_at, max(t.occurred_at) AS last_at,
             count(*) FILTER (WHERE t.step = 1) AS touchpoints,
             count(*) FILTER (WHERE t.turn = 'asks') AS messages_in,
             count(*) FILTER (WHERE t.turn IN ('answers', 'bot answers')) AS messages_out,
             coalesce(array_agg(DISTINCT t.agent) FILTER (WHERE t.agent IS NOT NULL), '{}') AS agents,
             bool_or(t.own) AS own, coalesce(bool_or(t.turn = 'reopens'), false) AS opened,
             bool_or(coalesce(t.turn = 'answers', false) OR t.agent IS NOT NULL AND NOT t.is_bot) AS by_human,
             bool_or(t.is_bot) AS by_bot,
             min(t.occurred_at) FILTER (WHERE t.turn = 'asks') AS asked_at,
             min(t.occurred_at) FILTER (WHERE t.turn = 'answers' AND t.asked > 0) AS answered_at,
             coalesce(bool_or(t.turn IN ('answers', 'bot answers') AND t.asked > 0
                              OR t.turn = 'asks' AND t.agent IS NOT NULL), false) AS was_answered,
             sum(t.occurred_at - t.before_at)
                 FILTER (WHERE t.before = 'asks' AND t.turn IN ('asks', 'answers', 'resolves')) AS waited,
             coalesce(bool_or(t.turn = 'asks' AND t.agent IS NULL AND t.after IS NULL), false) AS is_waiting,
             max(t.occurred_at) FILTER (WHERE t.turn = 'asks' AND t.before IS DISTINCT FROM 'asks') AS waiting_since,
             coalesce(bool_or(t.turn = 'resolves' AND t.state_after IS NULL), false) AS is_resolved,
             max(t.occurred_at) FILTER (WHERE t.turn = 'resolves' AND t.state_before IS DISTINCT FROM 'resolves')
                 AS resolved_at,
             count(*) FILTER (WHERE t.turn IN ('asks', 'reopens') AND t.state_before = 'resolves') AS reopenings
      FROM (SELECT u.customer_id, u.occurred_at, u.channel, u.source, u.conversation, u.agent, u.is_bot, u.own,
                   u.turn, u.step,
                   row_number() OVER w AS position, count(*) FILTER (WHERE u.turn = 'asks') OVER w AS asked,
                   lag(u.turn) OVER waits AS before, lag(u.occurred_at) OVER waits AS before_at,
                   lead(u.turn) OVER waits AS after,
                   lag(u.turn) OVER states AS state_before, lead(u.turn) OVER states AS state_after
            FROM @hub@.turns u
            WHERE u.conversation IS NOT NULL
            WINDOW w AS (PARTITION BY u.customer_id, u.source, u.conversation
                         ORDER BY u.occurred_at, u.touchpoint_id, u.step ROWS UNBOUNDED PRECEDING),
                   waits AS (PARTITION BY u.customer_id, u.source, u.conversation,
                                          u.turn IN ('asks', 'answers', 'resolves')
                             ORDER BY u.occurred_at, u.touchpoint_id, u.step),
                   states AS (PARTITION BY u.customer_id, u.source, u.conversation,
                                           u.turn IN ('asks', 'resolves', 'reopens')
                              ORDER BY u.occurred_at, u.touchpoint_id, u.step)) t
      GROUP BY t.customer_id, t.source, t.conversation) c
     CROSS JOIN LATERAL @hub@.hours_of(c.source, c.channel) h;
COMMENT ON VIEW @hub@.conversations IS 'conversations, told apart by source; one whose touchpoints belong to several customers has a row for each';
COMMENT ON COLUMN @hub@.conversations.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.conversations.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.conversations.conversation IS 'its name there';
COMMENT ON COLUMN @hub@.conversations.status IS 'open, resolved; NULL: the customer has done nothing yet, only the company has';
COMMENT ON COLUMN @hub@.conversations.channel IS 'channel of its first touchpoint';
COMMENT ON COLUMN @hub@.conversations.channels IS 'all its channels, by name';
COMMENT ON COLUMN @hub@.conversations.started_at IS 'time of its first touchpoint';
COMMENT ON COLUMN @hub@.conversations.last_at IS 'time of its last touchpoint';
COMMENT ON COLUMN @hub@.conversations.touchpoints IS 'how many touchpoints it has';
COMMENT ON COLUMN @hub@.conversations.messages_in IS 'messages of the customer: turns that ask';
COMMENT ON COLUMN @hub@.conversations.messages_out IS 'messages to the customer, those of bots too';
COMMENT ON COLUMN @hub@.conversations.agents IS 'who of the company took part, by name';
COMMENT ON COLUMN @hub@.conversations.handled_by IS 'human, bot or both; NULL: nobody took part';
COMMENT ON COLUMN @hub@.conversations.asked_at IS 'time of the first message of the customer';
COMMENT ON COLUMN @hub@.conversations.answered_at IS 'time of the first message to the customer after that, but for those of bots';
COMMENT ON COLUMN @hub@.conversations.first_response_time IS 'from asked_at to answered_at';
COMMENT ON COLUMN @hub@.conversations.first_response_business_time IS 'how much of it is within business_hours';
COMMENT ON COLUMN @hub@.conversations.waiting_time IS 'how long the customer had the last word, bots aside, while it was not resolved; up to the last such event';
COMMENT ON COLUMN @hub@.conversations.waiting_since IS 'since when the customer waits for an answer; NULL: doesn''t, or talked with somebody last: an agent is named in the message';
COMMENT ON COLUMN @hub@.conversations.resolved_at IS 'when it was resolved for the last time; NULL: it is not, or not any more';
COMMENT ON COLUMN @hub@.conversations.resolution_time IS 'from asked_at, or started_at if the customer never wrote, to resolved_at';
COMMENT ON COLUMN @hub@.conversations.resolution_business_time IS 'how much of it is within business_hours';
COMMENT ON COLUMN @hub@.conversations.reopenings IS 'how many times it was resolved and then reopened, by an action that reopens or a message of the customer';
COMMENT ON COLUMN @hub@.conversations.is_abandoned IS 'whether the customer wrote, nobody answered, no bot either, and it is resolved or nothing has happened for longer than repeat_within of settings';

-- A wait begins with the first question after an answer or a resolution, and who answers next has ended it.
CREATE OR REPLACE VIEW @hub@.replies WITH (security_invoker = true) AS
SELECT r.customer_id, r.touchpoint_id, r.source, r.conversation, r.channel, r.agent, r.asked_at,
       r.occurred_at AS replied_at, r.occurred_at - r.asked_at AS reply_time,
       @extschema@.business_time(r.asked_at, r.occurred_at, h.hours) AS reply_business_time
FROM (SELECT t.customer_id, t.touchpoint_id, t.source, t.conversation, t.channel, t.agent, t.turn, t.occurred_at,
             min(t.occurred_at) FILTER (WHERE t.turn = 'asks')
                 OVER (PARTITION BY t.customer_id, t.source, t.conversation, t.ended) AS asked_at
      FROM (SELECT u.customer_id, u.touchpoint_id, u.source, u.conversation, u.channel, u.agent, u.turn, u.occurred_at,
                   count(*) FILTER (WHERE u.turn IN ('answers', 'resolves'))
                       OVER (PARTITION BY u.customer_id, u.source, u.conversation
                             ORDER BY u.occurred_at, u.touchpoint_id, u.step
                             ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS ended
            FROM @hub@.turns u
            WHERE u.conversation IS NOT NULL AND u.turn IN ('asks', 'answers', 'resolves')) t) r
     CROSS JOIN LATERAL @hub@.hours_of(r.source, r.channel) h
WHERE r.turn = 'answers' AND r.asked_at IS NOT NULL;
COMMENT ON VIEW @hub@.replies IS 'answers that ended a wait of the customer, a row each; those of bots end none';
COMMENT ON COLUMN @hub@.replies.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.replies.touchpoint_id IS 'the answer';
COMMENT ON COLUMN @hub@.replies.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.replies.conversation IS 'conversation it is part of';
COMMENT ON COLUMN @hub@.replies.channel IS 'where';
COMMENT ON COLUMN @hub@.replies.agent IS 'who gave it; NULL: who is not named';
COMMENT ON COLUMN @hub@.replies.asked_at
    IS 'since when the customer waited: first message after the answer or resolution before';
COMMENT ON COLUMN @hub@.replies.replied_at IS 'when it was given';
COMMENT ON COLUMN @hub@.replies.reply_time IS 'from asked_at to replied_at';
COMMENT ON COLUMN @hub@.replies.reply_business_time IS 'how much of it is within business_hours';
