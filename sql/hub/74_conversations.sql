-- Conversations: who waited how long for whom.

-- A function of its own, and not SQL, so that queries run it once, and are planned for the few rows there are.
CREATE OR REPLACE FUNCTION @hub@.weekly_hours(OUT weekday integer, OUT opens time, OUT closes time) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 7 SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT h.weekday, greatest(h.opens, max(h.closes) OVER (PARTITION BY h.weekday ORDER BY h.opens ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
           h.closes
    FROM business_hours h;
END $$;
COMMENT ON FUNCTION @hub@.weekly_hours() IS 'business_hours, each without what one that opens earlier covers; opens after it closes if nothing is left';

-- Beyond twenty years weeks are counted as they stand in business_hours, without the clocks' changes. Becomes part of the query that calls it in FROM: a call for each conversation would cost ten times as much.
CREATE OR REPLACE FUNCTION @hub@.business_times("from" timestamptz, "to" timestamptz) RETURNS SETOF interval
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT CASE WHEN "from" IS NULL OR "to" IS NULL THEN NULL
                WHEN EXISTS (SELECT FROM @hub@.business_hours) THEN
                    (SELECT s.whole_weeks + coalesce(sum(least((d.day + h.closes) AT TIME ZONE s.zone, "to") - greatest((d.day + h.opens) AT TIME ZONE s.zone, s.since))
                                                     FILTER (WHERE h.weekday IS NOT NULL), '0')
                     FROM (SELECT z.time_zone AS zone, w.weeks * (SELECT sum(h.closes - h.opens) FROM @hub@.weekly_hours() h WHERE h.closes > h.opens) AS whole_weeks,
                                  -- an hour that the clocks repeat has two instants: there and back is not the same
                                  CASE WHEN w.weeks = 0 THEN "from"
                                       ELSE (("from" AT TIME ZONE z.time_zone) + w.weeks * interval '7 days') AT TIME ZONE z.time_zone END AS since
                           FROM (SELECT time_zone FROM @hub@.settings LIMIT 1) z
                                CROSS JOIN (SELECT greatest(0, floor(extract(epoch FROM "to" - "from") / 604800) - 1043) AS weeks) w) s
                          CROSS JOIN LATERAL generate_series(0, ("to" AT TIME ZONE s.zone)::date - (s.since AT TIME ZONE s.zone)::date) n
                          CROSS JOIN LATERAL (SELECT (s.since AT TIME ZONE s.zone)::date + n AS day) d
                          LEFT JOIN @hub@.weekly_hours() h ON h.weekday = extract(isodow FROM d.day)::integer
                                    AND least((d.day + h.closes) AT TIME ZONE s.zone, "to") > greatest((d.day + h.opens) AT TIME ZONE s.zone, s.since)
                     GROUP BY s.whole_weeks)
                ELSE "to" - "from" END;
END;
COMMENT ON FUNCTION @hub@.business_times(timestamptz, timestamptz) IS 'one row: what business_time returns, if from is not after to';

CREATE OR REPLACE FUNCTION @hub@.business_time("from" timestamptz, "to" timestamptz) RETURNS interval
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    IF NOT isfinite("from") OR NOT isfinite("to") THEN
        RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow', MESSAGE = format('there is no business time between %s and %s', "from", "to");
    ELSIF "from" > "to" THEN
        RETURN (SELECT -b FROM business_times("to", "from") b);
    END IF;
    RETURN (SELECT b FROM business_times("from", "to") b);
END $$;
COMMENT ON FUNCTION @hub@.business_time(timestamptz, timestamptz) IS 'how much of the time between is within business_hours, in the time zone of settings; all of it if there are no business_hours';

CREATE OR REPLACE VIEW @hub@.turns WITH (security_invoker = true) AS
SELECT i.customer_id, t.touchpoint_id, t.occurred_at, t.channel, t.source, t.conversation, t.agent,
       coalesce(t.agent = 'bot' OR t.agent LIKE 'bot:%', false) AS is_bot,
       t.direction IS DISTINCT FROM 'out' AND a.action IS NULL AS own,
       CASE WHEN a.means <> 'status' THEN a.means
            WHEN a.means = 'status' OR t.direction IS NULL THEN NULL
            WHEN t.direction = 'in' THEN 'asks'
            WHEN t.agent = 'bot' OR t.agent LIKE 'bot:%' THEN 'bot answers'
            ELSE 'answers' END AS turn
FROM @hub@.identities i JOIN @hub@.touchpoints t ON t.identity_id = i.identity_id LEFT JOIN @hub@.actions a ON a.action = t.action;
COMMENT ON VIEW @hub@.turns IS 'touchpoints and what they mean for a conversation';
COMMENT ON COLUMN @hub@.turns.customer_id IS 'customer it belongs to now';
COMMENT ON COLUMN @hub@.turns.touchpoint_id IS 'the touchpoint';
COMMENT ON COLUMN @hub@.turns.occurred_at IS 'when it happened';
COMMENT ON COLUMN @hub@.turns.channel IS 'where';
COMMENT ON COLUMN @hub@.turns.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.turns.conversation IS 'conversation it is part of; NULL: none';
COMMENT ON COLUMN @hub@.turns.agent IS 'who of the company took part';
COMMENT ON COLUMN @hub@.turns.is_bot IS 'whether that was a bot';
COMMENT ON COLUMN @hub@.turns.own IS 'whether it is the customer''s own: not outbound, and of no action that actions has';
COMMENT ON COLUMN @hub@.turns.turn IS 'resolves, reopens: see actions; asks: a message of the customer; answers, bot answers: one to the customer; NULL: neither';

CREATE OR REPLACE VIEW @hub@.conversations WITH (security_invoker = true) AS
SELECT customer_id, source, conversation, CASE WHEN is_resolved THEN 'resolved' WHEN own OR opened THEN 'open' END AS status,
       channel, channels, started_at, last_at, touchpoints, messages_in, messages_out, agents,
       CASE WHEN by_human AND by_bot THEN 'both' WHEN by_human THEN 'human' WHEN by_bot THEN 'bot' END AS handled_by,
       asked_at, answered_at, answered_at - asked_at AS first_response_time,
       (SELECT b FROM @hub@.business_times(asked_at, answered_at) b) AS first_response_business_time,
       CASE WHEN asked_at IS NOT NULL THEN coalesce(waited, '0') END AS waiting_time,
       CASE WHEN is_waiting THEN waiting_since END AS waiting_since,
       CASE WHEN is_resolved THEN resolved_at END AS resolved_at,
       CASE WHEN is_resolved THEN resolved_at - coalesce(asked_at, started_at) END AS resolution_time,
       CASE WHEN is_resolved THEN (SELECT b FROM @hub@.business_times(coalesce(asked_at, started_at), resolved_at) b) END AS resolution_business_time,
       reopenings,
       asked_at IS NOT NULL AND NOT was_answered
           AND (is_resolved OR now() - last_at > (SELECT repeat_within FROM @hub@.settings)) AS is_abandoned
FROM (SELECT customer_id, source, conversation,
             min(channel) FILTER (WHERE position = 1) AS channel, array_agg(DISTINCT channel) AS channels,
             min(occurred_at) AS started_at, max(occurred_at) AS last_at, count(*) AS touchpoints,
             count(*) FILTER (WHERE turn = 'asks') AS messages_in,
             count(*) FILTER (WHERE turn IN ('answers', 'bot answers')) AS messages_out,
             coalesce(array_agg(DISTINCT agent) FILTER (WHERE agent IS NOT NULL), '{}') AS agents,
             bool_or(own) AS own, coalesce(bool_or(turn = 'reopens'), false) AS opened,
             bool_or(coalesce(turn = 'answers', false) OR agent IS NOT NULL AND NOT is_bot) AS by_human, bool_or(is_bot) AS by_bot,
             min(occurred_at) FILTER (WHERE turn = 'asks') AS asked_at,
             min(occurred_at) FILTER (WHERE turn = 'answers' AND asked > 0) AS answered_at,
             coalesce(bool_or(turn IN ('answers', 'bot answers') AND asked > 0 OR turn = 'asks' AND agent IS NOT NULL), false) AS was_answered,
             sum(occurred_at - before_at) FILTER (WHERE before = 'asks' AND turn IN ('asks', 'answers', 'resolves')) AS waited,
             coalesce(bool_or(turn = 'asks' AND agent IS NULL AND after IS NULL), false) AS is_waiting,
             max(occurred_at) FILTER (WHERE turn = 'asks' AND before IS DISTINCT FROM 'asks') AS waiting_since,
             coalesce(bool_or(turn = 'resolves' AND state_after IS NULL), false) AS is_resolved,
             max(occurred_at) FILTER (WHERE turn = 'resolves' AND state_before IS DISTINCT FROM 'resolves') AS resolved_at,
             count(*) FILTER (WHERE turn IN ('asks', 'reopens') AND state_before = 'resolves') AS reopenings
      FROM (SELECT *, row_number() OVER w AS position, count(*) FILTER (WHERE turn = 'asks') OVER w AS asked,
                   lag(turn) OVER waits AS before, lag(occurred_at) OVER waits AS before_at, lead(turn) OVER waits AS after,
                   lag(turn) OVER states AS state_before, lead(turn) OVER states AS state_after
            FROM @hub@.turns
            WHERE conversation IS NOT NULL
            WINDOW w AS (PARTITION BY customer_id, source, conversation ORDER BY occurred_at, touchpoint_id ROWS UNBOUNDED PRECEDING),
                   waits AS (PARTITION BY customer_id, source, conversation, turn IN ('asks', 'answers', 'resolves')
                             ORDER BY occurred_at, touchpoint_id),
                   states AS (PARTITION BY customer_id, source, conversation, turn IN ('asks', 'resolves', 'reopens')
                              ORDER BY occurred_at, touchpoint_id)) t
      GROUP BY customer_id, source, conversation) c;
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
COMMENT ON COLUMN @hub@.conversations.messages_in IS 'messages of the customer: inbound, and of an action that actions doesn''t have';
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
