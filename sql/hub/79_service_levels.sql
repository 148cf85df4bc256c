-- The service by period: who waited how long, and for whom.

-- Becomes part of the query that calls it.
CREATE OR REPLACE FUNCTION @hub@.in_hours(at timestamptz, hours jsonb) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN @extschema@.business_time(in_hours.at, in_hours.at + interval '1 microsecond', in_hours.hours) > '0'
            THEN 'in hours' ELSE 'out of hours' END;
COMMENT ON FUNCTION @hub@.in_hours(timestamptz, jsonb) IS
    'in hours, or out of hours: whether a time is within hours, which hours_of and calendar_hours give';

-- Each measure is worked out for itself, by the beginning of the period, which is -infinity for all time, because it is
-- joined by, and by what it is broken down by, which may be NULL in an array. By agent, a conversation has a row for
-- each who took part, one for who answered first, and one for who resolved it. Without JIT, which would take seconds to
-- compile all this.
CREATE OR REPLACE FUNCTION @hub@.service_levels(
    period text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    breakdown text DEFAULT NULL, among bigint[] DEFAULT NULL, OUT period_start date, OUT breakdown_value text,
    OUT contacts bigint, OUT repeat_contacts bigint, OUT repeat_contact_share numeric, OUT conversations bigint,
    OUT asked bigint, OUT answered bigint, OUT first_response_median interval,
    OUT first_response_median_seconds double precision, OUT first_response_p90 interval,
    OUT first_response_p90_seconds double precision, OUT first_response_business_median interval,
    OUT first_response_business_median_seconds double precision, OUT first_response_business_p90 interval,
    OUT first_response_business_p90_seconds double precision, OUT abandoned bigint, OUT abandonment numeric,
    OUT resolved bigint, OUT resolution_median interval, OUT resolution_median_seconds double precision,
    OUT resolution_p90 interval, OUT resolution_p90_seconds double precision,
    OUT resolution_business_median interval, OUT resolution_business_median_seconds double precision,
    OUT resolution_business_p90 interval, OUT resolution_business_p90_seconds double precision, OUT replies bigint,
    OUT reply_median interval, OUT reply_median_seconds double precision, OUT reply_p90 interval,
    OUT reply_p90_seconds double precision, OUT reply_business_median interval,
    OUT reply_business_median_seconds double precision, OUT reply_business_p90 interval,
    OUT reply_business_p90_seconds double precision, OUT reopenings bigint, OUT reopening_response_median interval,
    OUT reopening_response_median_seconds double precision, OUT transfers bigint, OUT handovers bigint,
    OUT handover_response_median interval, OUT handover_response_median_seconds double precision,
    OUT bot_conversations bigint, OUT contained bigint, OUT bot_containment numeric, OUT bot_time interval,
    OUT bot_seconds double precision, OUT people_time interval, OUT people_seconds double precision,
    OUT first_resolutions bigint, OUT resolved_at_first_contact bigint, OUT first_contact_resolution numeric)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    unit text := check_period(period, since, until);
    zone text := (SELECT s.time_zone FROM settings s);
    repeats_within interval := (SELECT s.repeat_within FROM settings s);
BEGIN
    IF breakdown NOT IN ('channel', 'queue', 'agent', 'source', 'hours') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown breakdown: "%s"', breakdown),
            HINT = 'Use channel, queue, agent, source or hours, or NULL for none.';
    END IF;
    RETURN QUERY
    WITH whole AS (
        SELECT date '-infinity' AS start, '{NULL}'::text[] AS key WHERE unit = 'all' AND breakdown IS NULL
    ), contact AS (
        SELECT coalesce(period_start(a.occurred_at, unit, zone), '-infinity') AS start,
               ARRAY[CASE breakdown WHEN 'channel' THEN a.channel WHEN 'agent' THEN a.agent WHEN 'source' THEN a.source
                                    WHEN 'queue'
                                    THEN (SELECT q.queue FROM assignment_at(a.source, a.conversation, 'infinity') q)
                                    WHEN 'hours' THEN in_hours(a.occurred_at, h.hours) END] AS key,
               count(a.contact_kind) AS contacts, count(*) FILTER (WHERE a.contact_kind = 'repeat') AS repeats,
               count(a.at_first_contact) FILTER (WHERE now() - a.occurred_at > repeats_within) AS resolutions,
               count(*) FILTER (WHERE a.at_first_contact AND now() - a.occurred_at > repeats_within) AS at_first_contact
        FROM contact_turns(since, until, true, true) a CROSS JOIN LATERAL hours_of(a.source, a.channel) h
        WHERE (a.contact_kind IS NOT NULL OR now() - a.occurred_at > repeats_within)
              AND (among IS NULL OR a.customer_id = ANY (among))
        GROUP BY 1, 2
    ), grouped AS (
        -- with a touchpoint in the range, be it but the one by which they, or a wait in them, began
        SELECT g.customer_id, g.source, g.conversation, g.facts, g.replies FROM conversation_groups(since, until) g
        WHERE among IS NULL OR g.customer_id = ANY (among)
    ), conversation AS (
        SELECT coalesce(period_start(coalesce(a.asked_at, (g.facts).started_at), unit, zone), '-infinity') AS start,
               ARRAY[w.name] AS key,
               count(*) FILTER (WHERE w.took_part) AS conversations,
               count(a.asked_at) FILTER (WHERE w.took_part) AS asked,
               count(a.answered_at) FILTER (WHERE w.answered) AS answered,
               count(a.resolved_at) FILTER (WHERE w.resolved) AS resolved,
               count(*) FILTER (WHERE w.took_part AND a.is_abandoned) AS abandoned,
               sum(a.reopenings) FILTER (WHERE w.took_part)::bigint AS reopenings,
               sum(a.transfers) FILTER (WHERE w.took_part)::bigint AS transfers,
               sum(a.handovers) FILTER (WHERE w.took_part)::bigint AS handovers,
               count(*) FILTER (WHERE w.took_part AND a.handled_by IN ('bot', 'both')) AS bot_conversations,
               count(*) FILTER (WHERE w.took_part AND a.handled_by = 'bot'
                                      AND (a.status = 'resolved' OR now() - a.last_at > repeats_within)) AS contained,
               sum(a.bot_time) FILTER (WHERE w.took_part) AS bot_time,
               sum(a.people_time) FILTER (WHERE w.took_part) AS people_time,
               percentile_cont('{0.5,0.9}'::double precision[])
                   WITHIN GROUP (ORDER BY date_part('epoch', a.first_response_time))
                   FILTER (WHERE w.answered) AS first_response,
               percentile_cont('{0.5,0.9}'::double precision[])
                   WITHIN GROUP (ORDER BY date_part('epoch', a.first_response_business_time))
                   FILTER (WHERE w.answered) AS first_response_business,
               percentile_cont('{0.5,0.9}'::double precision[])
                   WITHIN GROUP (ORDER BY date_part('epoch', a.resolution_time))
                   FILTER (WHERE w.resolved) AS resolution,
               percentile_cont('{0.5,0.9}'::double precision[])
                   WITHIN GROUP (ORDER BY date_part('epoch', a.resolution_business_time))
                   FILTER (WHERE w.resolved) AS resolution_business,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY date_part('epoch', a.reopening_response_time))
                   FILTER (WHERE w.took_part) AS reopening_response,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY date_part('epoch', a.handover_response_time))
                   FILTER (WHERE w.took_part) AS handover_response
        FROM grouped g CROSS JOIN LATERAL conversation_columns(g.facts, g.source) a
             CROSS JOIN LATERAL hours_of(g.source, a.channel) h
             LEFT JOIN (SELECT DISTINCT ON (t.customer_id, t.source, t.conversation, t.occurred_at)
                               t.customer_id, t.source, t.conversation, t.occurred_at, t.agent
                        FROM turns t
                        WHERE breakdown = 'agent' AND t.turn = 'resolves' AND t.conversation IS NOT NULL
                        ORDER BY t.customer_id, t.source, t.conversation, t.occurred_at, t.touchpoint_id) l
                 ON l.customer_id = g.customer_id AND l.source = g.source AND l.conversation = g.conversation
                    AND l.occurred_at = a.resolved_at
             CROSS JOIN LATERAL (
                 SELECT CASE breakdown WHEN 'channel' THEN a.channel WHEN 'source' THEN g.source
                                       WHEN 'queue'
                                       THEN (SELECT q.queue FROM assignment_at(g.source, g.conversation, 'infinity') q)
                                       WHEN 'hours'
                                       THEN in_hours(coalesce(a.asked_at, (g.facts).started_at), h.hours) END,
                        true, true, true
                 WHERE breakdown IS DISTINCT FROM 'agent'
                 UNION ALL
                 SELECT p.agent, true, false, false
                 FROM unnest(CASE a.agents WHEN '{}' THEN '{NULL}' ELSE a.agents END) p(agent) WHERE breakdown = 'agent'
                 UNION ALL
                 SELECT a.answered_by, false, true, false WHERE breakdown = 'agent' AND a.answered_at IS NOT NULL
                 UNION ALL
                 SELECT l.agent, false, false, true WHERE breakdown = 'agent' AND a.resolved_at IS NOT NULL
             ) w(name, took_part, answered, resolved)
        WHERE (since IS NULL OR coalesce(a.asked_at, (g.facts).started_at) >= since)
              AND (until IS NULL OR coalesce(a.asked_at, (g.facts).started_at) < until)
        GROUP BY 1, 2
    ), reply AS (
        SELECT coalesce(period_start(a.asked_at, unit, zone), '-infinity') AS start,
               ARRAY[CASE breakdown WHEN 'channel' THEN a.channel WHEN 'agent' THEN a.agent WHEN 'source' THEN g.source
                                    WHEN 'queue'
                                    THEN (SELECT q.queue FROM assignment_at(g.source, g.conversation, a.replied_at) q)
                                    WHEN 'hours' THEN in_hours(a.asked_at, h.hours) END] AS key,
               count(*) AS replies,
               percentile_cont('{0.5,0.9}'::double precision[])
                   WITHIN GROUP (ORDER BY date_part('epoch', a.replied_at - a.asked_at)) AS reply,
               percentile_cont('{0.5,0.9}'::double precision[])
                   WITHIN GROUP (ORDER BY date_part('epoch', business_time(a.asked_at, a.replied_at, h.hours)))
                   AS reply_business
        FROM grouped g CROSS JOIN LATERAL unnest(g.replies) a
             CROSS JOIN LATERAL hours_of(g.source, a.channel) h
        WHERE (since IS NULL OR a.asked_at >= since) AND (until IS NULL OR a.asked_at < until)
        GROUP BY 1, 2
    )
    SELECT nullif(k.start, '-infinity'), k.key[1],
           coalesce(c.contacts, 0), coalesce(c.repeats, 0), round(c.repeats::numeric / nullif(c.contacts, 0), 4),
           coalesce(v.conversations, 0), coalesce(v.asked, 0), coalesce(v.answered, 0),
           justify_hours(make_interval(secs => v.first_response[1])), round(v.first_response[1] * 1000) / 1000,
           justify_hours(make_interval(secs => v.first_response[2])), round(v.first_response[2] * 1000) / 1000,
           make_interval(secs => v.first_response_business[1]), round(v.first_response_business[1] * 1000) / 1000,
           make_interval(secs => v.first_response_business[2]), round(v.first_response_business[2] * 1000) / 1000,
           coalesce(v.abandoned, 0), round(v.abandoned::numeric / nullif(v.asked, 0), 4), coalesce(v.resolved, 0),
           justify_hours(make_interval(secs => v.resolution[1])), round(v.resolution[1] * 1000) / 1000,
           justify_hours(make_interval(secs => v.resolution[2])), round(v.resolution[2] * 1000) / 1000,
           make_interval(secs => v.resolution_business[1]), round(v.resolution_business[1] * 1000) / 1000,
           make_interval(secs => v.resolution_business[2]), round(v.resolution_business[2] * 1000) / 1000,
           coalesce(r.replies, 0), justify_hours(make_interval(secs => r.reply[1])),
           round(r.reply[1] * 1000) / 1000, justify_hours(make_interval(secs => r.reply[2])),
           round(r.reply[2] * 1000) / 1000, make_interval(secs => r.reply_business[1]),
           round(r.reply_business[1] * 1000) / 1000, make_interval(secs => r.reply_business[2]),
           round(r.reply_business[2] * 1000) / 1000, coalesce(v.reopenings, 0),
           justify_hours(make_interval(secs => v.reopening_response)), round(v.reopening_response * 1000) / 1000,
           coalesce(v.transfers, 0), coalesce(v.handovers, 0),
           justify_hours(make_interval(secs => v.handover_response)), round(v.handover_response * 1000) / 1000,
           coalesce(v.bot_conversations, 0), coalesce(v.contained, 0),
           round(v.contained::numeric / nullif(v.bot_conversations, 0), 4),
           coalesce(justify_hours(v.bot_time), interval '0'),
           coalesce(date_part('epoch', v.bot_time), 0), coalesce(justify_hours(v.people_time), interval '0'),
           coalesce(date_part('epoch', v.people_time), 0), coalesce(c.resolutions, 0),
           coalesce(c.at_first_contact, 0), round(c.at_first_contact::numeric / nullif(c.resolutions, 0), 4)
    FROM whole t FULL JOIN contact c USING (start, key) FULL JOIN conversation v USING (start, key)
         FULL JOIN reply r USING (start, key) AS k;
END $$;
COMMENT ON FUNCTION @hub@.service_levels(text, timestamptz, timestamptz, text, bigint[]) IS
    'the service by day, week, month, quarter, year or all, in the time zone of settings; from one time until before'
    ' another; and by channel, queue, agent, source or hours, which is whether it was asked in business hours. By'
    ' agent, who took part counts, answered first, resolved or replied, so that conversations must not be added. Among'
    ' these customers, NULL: all';

CREATE OR REPLACE VIEW @hub@.service_levels_monthly WITH (security_invoker = true) AS
SELECT s.period_start, s.contacts, s.repeat_contacts, s.repeat_contact_share, s.conversations, s.asked, s.answered,
       s.first_response_median, s.first_response_median_seconds, s.first_response_p90,
       s.first_response_p90_seconds, s.first_response_business_median, s.first_response_business_median_seconds,
       s.first_response_business_p90, s.first_response_business_p90_seconds, s.abandoned, s.abandonment,
       s.resolved, s.resolution_median, s.resolution_median_seconds, s.resolution_p90, s.resolution_p90_seconds,
       s.resolution_business_median, s.resolution_business_median_seconds, s.resolution_business_p90,
       s.resolution_business_p90_seconds, s.replies, s.reply_median, s.reply_median_seconds, s.reply_p90,
       s.reply_p90_seconds, s.reply_business_median, s.reply_business_median_seconds, s.reply_business_p90,
       s.reply_business_p90_seconds, s.reopenings, s.reopening_response_median,
       s.reopening_response_median_seconds, s.transfers, s.handovers, s.handover_response_median,
       s.handover_response_median_seconds, s.bot_conversations, s.contained, s.bot_containment, s.bot_time,
       s.bot_seconds, s.people_time, s.people_seconds, s.first_resolutions, s.resolved_at_first_contact,
       s.first_contact_resolution
FROM @hub@.service_levels('month') s;
COMMENT ON VIEW @hub@.service_levels_monthly IS
    'service_levels by month in the time zone of settings: what began, was asked or resolved in it';
COMMENT ON COLUMN @hub@.service_levels_monthly.period_start IS
    'first day of the month in the time zone of settings';
COMMENT ON COLUMN @hub@.service_levels_monthly.contacts IS 'contacts made: see the view contacts';
COMMENT ON COLUMN @hub@.service_levels_monthly.repeat_contacts IS
    'those of them at most repeat_within of settings after the customer''s message before';
COMMENT ON COLUMN @hub@.service_levels_monthly.repeat_contact_share IS 'their share';
COMMENT ON COLUMN @hub@.service_levels_monthly.conversations IS
    'conversations that began in the month: at asked_at, or at started_at if the customer never wrote';
COMMENT ON COLUMN @hub@.service_levels_monthly.asked IS 'those of them in which the customer wrote';
COMMENT ON COLUMN @hub@.service_levels_monthly.answered IS 'those of them that a person answered';
COMMENT ON COLUMN @hub@.service_levels_monthly.first_response_median IS
    'median of first response: from asked_at to answered_at';
COMMENT ON COLUMN @hub@.service_levels_monthly.first_response_median_seconds IS 'first_response_median in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.first_response_p90 IS
    '90th percentile of first response: from asked_at to answered_at';
COMMENT ON COLUMN @hub@.service_levels_monthly.first_response_p90_seconds IS 'first_response_p90 in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.first_response_business_median IS
    'median of the business time of first response: from asked_at to answered_at';
COMMENT ON COLUMN @hub@.service_levels_monthly.first_response_business_median_seconds IS
    'first_response_business_median in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.first_response_business_p90 IS
    '90th percentile of the business time of first response: from asked_at to answered_at';
COMMENT ON COLUMN @hub@.service_levels_monthly.first_response_business_p90_seconds IS
    'first_response_business_p90 in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.abandoned IS
    'conversations that are abandoned: see is_abandoned of conversations';
COMMENT ON COLUMN @hub@.service_levels_monthly.abandonment IS 'their share of those in which the customer wrote';
COMMENT ON COLUMN @hub@.service_levels_monthly.resolved IS
    'conversations that began in the month, and are resolved now: see resolved_at of conversations';
COMMENT ON COLUMN @hub@.service_levels_monthly.resolution_median IS
    'median of resolution: from asked_at, or started_at if the customer never wrote, to resolved_at';
COMMENT ON COLUMN @hub@.service_levels_monthly.resolution_median_seconds IS 'resolution_median in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.resolution_p90 IS
    '90th percentile of resolution: from asked_at, or started_at if the customer never wrote, to resolved_at';
COMMENT ON COLUMN @hub@.service_levels_monthly.resolution_p90_seconds IS 'resolution_p90 in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.resolution_business_median IS
    'median of the business time of resolution: from asked_at, or started_at if the customer never wrote, to'
    ' resolved_at';
COMMENT ON COLUMN @hub@.service_levels_monthly.resolution_business_median_seconds IS
    'resolution_business_median in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.resolution_business_p90 IS
    '90th percentile of the business time of resolution: from asked_at, or started_at if the customer never wrote,'
    ' to resolved_at';
COMMENT ON COLUMN @hub@.service_levels_monthly.resolution_business_p90_seconds IS
    'resolution_business_p90 in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.replies IS
    'answers of people that ended a wait which began in the month: see the view replies';
COMMENT ON COLUMN @hub@.service_levels_monthly.reply_median IS
    'median of replies: from the first message that nobody has answered';
COMMENT ON COLUMN @hub@.service_levels_monthly.reply_median_seconds IS 'reply_median in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.reply_p90 IS
    '90th percentile of replies: from the first message that nobody has answered';
COMMENT ON COLUMN @hub@.service_levels_monthly.reply_p90_seconds IS 'reply_p90 in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.reply_business_median IS
    'median of the business time of replies: from the first message that nobody has answered';
COMMENT ON COLUMN @hub@.service_levels_monthly.reply_business_median_seconds IS 'reply_business_median in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.reply_business_p90 IS
    '90th percentile of the business time of replies: from the first message that nobody has answered';
COMMENT ON COLUMN @hub@.service_levels_monthly.reply_business_p90_seconds IS 'reply_business_p90 in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.reopenings IS
    'how many times conversations that began in the month were reopened';
COMMENT ON COLUMN @hub@.service_levels_monthly.reopening_response_median IS
    'median of the first response after they were reopened';
COMMENT ON COLUMN @hub@.service_levels_monthly.reopening_response_median_seconds IS
    'reopening_response_median in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.transfers IS 'how many times they went from one person to another';
COMMENT ON COLUMN @hub@.service_levels_monthly.handovers IS 'how many times they went from a bot to people';
COMMENT ON COLUMN @hub@.service_levels_monthly.handover_response_median IS
    'median of the first response after that';
COMMENT ON COLUMN @hub@.service_levels_monthly.handover_response_median_seconds IS
    'handover_response_median in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.bot_conversations IS
    'conversations that began in the month in which a bot took part';
COMMENT ON COLUMN @hub@.service_levels_monthly.contained IS
    'those of them in which no person did, and which are resolved, or in which nothing has happened for'
    ' longer than repeat_within';
COMMENT ON COLUMN @hub@.service_levels_monthly.bot_containment IS 'their share';
COMMENT ON COLUMN @hub@.service_levels_monthly.bot_time IS
    'time that conversations that began in the month took with a bot: see bot_time of conversations';
COMMENT ON COLUMN @hub@.service_levels_monthly.bot_seconds IS 'bot_time in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.people_time IS 'time that they took with people';
COMMENT ON COLUMN @hub@.service_levels_monthly.people_seconds IS 'people_time in seconds';
COMMENT ON COLUMN @hub@.service_levels_monthly.first_resolutions IS
    'conversations that were resolved for the first time, longer than repeat_within ago';
COMMENT ON COLUMN @hub@.service_levels_monthly.resolved_at_first_contact IS
    'those of them after which the customer neither wrote, in any channel, nor had a conversation reopened,'
    ' within repeat_within';
COMMENT ON COLUMN @hub@.service_levels_monthly.first_contact_resolution IS 'their share';
