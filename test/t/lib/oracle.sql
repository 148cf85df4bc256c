-- The measures of a hub crm as plain SQL over its rows, without packed journeys: the definitions of doc/timeline.md, to the letter. The views
-- of the hub must tell the same. They sort all touchpoints, so that they are slow, and easily read.
CREATE SCHEMA oracle;

CREATE VIEW oracle.timeline AS
SELECT r.customer_id, r.touchpoint_id, r.occurred_at, r.channel, r.action, r.value, r.currency, r.direction,
       r.conversation, r.agent, r.campaign,
       r.since_previous,
       1 + count(*) FILTER (WHERE r.since_previous > (SELECT s.session_gap FROM crm.settings s))
               OVER (PARTITION BY r.customer_id ORDER BY r.occurred_at, r.touchpoint_id ROWS UNBOUNDED PRECEDING)
                   AS session,
       CASE WHEN r.own THEN r.previous_channel END AS previous_channel,
       CASE WHEN r.own THEN r.since_own END AS since_own,
       r.own AND coalesce(r.previous_channel <> r.channel
                          AND r.since_own <= (SELECT s.handoff_within FROM crm.settings s), false) AS is_handoff,
       r.own AND coalesce(r.previous_channel <> r.channel
                          OR r.since_own > (SELECT s.handoff_within FROM crm.settings s), true) AS begins_visit,
       r.own AND coalesce(r.previous_source = r.source AND r.previous_conversation = r.conversation, false)
           AS same_conversation,
       r.own, r.source, r.source_key, r.attributes, r.recorded_at, r.identity_id
FROM (SELECT i.customer_id, t.touchpoint_id, t.identity_id, t.occurred_at, t.recorded_at, t.channel, t.action,
             t.value, t.currency, t.direction,
             t.conversation, t.agent, t.campaign, t.source, t.source_key, t.attributes,
             t.direction IS DISTINCT FROM 'out' AND coalesce(a.means, 'asks_and_resolves') = 'asks_and_resolves' AS own,
             t.occurred_at - lag(t.occurred_at) OVER everything AS since_previous,
             t.occurred_at - lag(t.occurred_at) OVER alike AS since_own,
             lag(t.channel) OVER alike AS previous_channel,
             lag(t.source) OVER alike AS previous_source,
             lag(t.conversation) OVER alike AS previous_conversation
      FROM crm.identities i JOIN crm.touchpoints t ON t.identity_id = i.identity_id LEFT JOIN crm.actions a ON a.action = t.action
      WINDOW everything AS (PARTITION BY i.customer_id ORDER BY t.occurred_at, t.touchpoint_id),
             alike AS (PARTITION BY i.customer_id, t.direction IS DISTINCT FROM 'out' AND coalesce(a.means, 'asks_and_resolves') = 'asks_and_resolves'
                       ORDER BY t.occurred_at, t.touchpoint_id)) r;

CREATE VIEW oracle.handoffs AS
SELECT t.customer_id, t.touchpoint_id, t.occurred_at, t.previous_channel AS from_channel, t.channel AS to_channel,
       t.since_own AS after,
       CASE WHEN t.same_conversation THEN t.conversation END AS conversation, t.action, t.agent
FROM oracle.timeline t WHERE t.is_handoff;

-- What asks and resolves at once has two rows, the question first; it is joined with actions for that, which costs
-- the others nothing.
CREATE VIEW oracle.turns AS
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
FROM crm.identities i
     JOIN crm.touchpoints t ON t.identity_id = i.identity_id
     LEFT JOIN (SELECT a.action, a.means, 1 AS step FROM crm.actions a
                UNION ALL
                SELECT a.action, a.means, 2 FROM crm.actions a WHERE a.means = 'asks_and_resolves') a
          ON a.action = t.action;

CREATE VIEW oracle.conversations AS
SELECT c.customer_id, c.source, c.conversation,
       CASE WHEN c.is_resolved THEN 'resolved' WHEN c.own OR c.opened THEN 'open' END AS status,
       c.channel, c.channels, c.started_at, c.last_at, c.touchpoints, c.messages_in, c.messages_out, c.agents,
       CASE WHEN c.by_human AND c.by_bot THEN 'both' WHEN c.by_human THEN 'human' WHEN c.by_bot THEN 'bot' END
           AS handled_by,
       c.asked_at, c.answered_at, c.answered_at - c.asked_at AS first_response_time,
       CASE WHEN c.asked_at IS NOT NULL THEN coalesce(c.waited, '0') END AS waiting_time,
       CASE WHEN c.is_waiting THEN c.waiting_since END AS waiting_since,
       CASE WHEN c.is_resolved THEN c.resolved_at END AS resolved_at,
       CASE WHEN c.is_resolved THEN c.resolved_at - coalesce(c.asked_at, c.started_at) END AS resolution_time,
       c.reopenings,
       c.asked_at IS NOT NULL AND NOT c.was_answered
           AND (c.is_resolved OR now() - c.last_at > (SELECT s.repeat_within FROM crm.settings s)) AS is_abandoned
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
            FROM oracle.turns u
            WHERE u.conversation IS NOT NULL
            WINDOW w AS (PARTITION BY u.customer_id, u.source, u.conversation
                         ORDER BY u.occurred_at, u.touchpoint_id, u.step ROWS UNBOUNDED PRECEDING),
                   waits AS (PARTITION BY u.customer_id, u.source, u.conversation,
                                          u.turn IN ('asks', 'answers', 'resolves')
                             ORDER BY u.occurred_at, u.touchpoint_id, u.step),
                   states AS (PARTITION BY u.customer_id, u.source, u.conversation,
                                           u.turn IN ('asks', 'resolves', 'reopens')
                              ORDER BY u.occurred_at, u.touchpoint_id, u.step)) t
      GROUP BY t.customer_id, t.source, t.conversation) c;

CREATE FUNCTION oracle.identifier_values(customer_id bigint) RETURNS identifier[] LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_column_privilege('crm.identities'::regclass, 'identifier', 'SELECT') THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT array_agg(i.identifier ORDER BY i.identifier) FROM crm.identities i
            WHERE i.customer_id = identifier_values.customer_id AND i.normal_id = i.identity_id);
END $$;

CREATE VIEW oracle.customer_360 AS
SELECT c.customer_id, oracle.identifier_values(c.customer_id) AS identifiers,
       least(i.first_seen, t.first_at) AS first_seen, greatest(i.last_seen, t.last_at) AS last_seen,
       coalesce(t.touchpoints, 0) AS touchpoints, coalesce(t.sessions, 0) AS sessions, coalesce(t.channels, '{}') AS channels, t.preferred_channel,
       coalesce(t.handoffs, 0) AS handoffs, v.value, v.currency, coalesce(v.value_by_currency, '{}') AS value_by_currency,
       t.last_channel, t.last_action, t.last_at, coalesce(o.open_conversations, 0) AS open_conversations
FROM crm.customers c
     LEFT JOIN (SELECT n.customer_id, min(n.first_seen) AS first_seen, max(n.last_seen) AS last_seen
                FROM crm.identities n GROUP BY n.customer_id) i ON i.customer_id = c.customer_id
     LEFT JOIN (SELECT b.customer_id, sum(b.touchpoints)::bigint AS touchpoints, max(b.sessions) AS sessions,
                       array_agg(b.channel ORDER BY b.channel) AS channels,
                       (array_agg(b.channel ORDER BY b.visits DESC, b.own_position DESC)
                           FILTER (WHERE b.visits > 0))[1] AS preferred_channel,
                       sum(b.handoffs)::bigint AS handoffs, min(b.first_at) AS first_at,
                       min(b.channel) FILTER (WHERE b.last_action IS NOT NULL) AS last_channel,
                       min(b.last_action) AS last_action,
                       max(b.last_at) AS last_at
                FROM (SELECT r.customer_id, r.channel, count(*) AS touchpoints, max(r.session) AS sessions,
                             count(*) FILTER (WHERE r.is_handoff) AS handoffs,
                             count(*) FILTER (WHERE r.begins_visit) AS visits,
                             max(r.position) FILTER (WHERE r.own) AS own_position,
                             min(r.occurred_at) AS first_at, max(r.occurred_at) AS last_at,
                             min(r.action) FILTER (WHERE r.is_last) AS last_action
                      FROM (SELECT l.customer_id, l.channel, l.session, l.is_handoff, l.begins_visit, l.own,
                                   l.occurred_at, l.action,
                                   row_number() OVER w AS position, lead(l.touchpoint_id) OVER w IS NULL AS is_last
                            FROM oracle.timeline l
                            WINDOW w AS (PARTITION BY l.customer_id ORDER BY l.occurred_at, l.touchpoint_id
                                ROWS UNBOUNDED PRECEDING)) r
                      GROUP BY r.customer_id, r.channel) b
                GROUP BY b.customer_id) t ON t.customer_id = c.customer_id
     LEFT JOIN (SELECT s.customer_id, CASE WHEN count(*) = 1 THEN min(s.value) END AS value,
                       CASE WHEN count(*) = 1 THEN nullif(min(s.currency), '') END AS currency,
                       jsonb_object_agg(s.currency, s.value) AS value_by_currency
                FROM (SELECT n.customer_id, coalesce(p.currency, '') AS currency, sum(p.value) AS value
                      FROM crm.identities n JOIN crm.touchpoints p ON p.identity_id = n.identity_id
                      WHERE p.value IS NOT NULL
                      GROUP BY n.customer_id, coalesce(p.currency, '')) s
                GROUP BY s.customer_id) v ON v.customer_id = c.customer_id
     LEFT JOIN (SELECT d.customer_id, count(*) AS open_conversations
                FROM oracle.conversations d WHERE d.status = 'open' GROUP BY d.customer_id) o
               ON o.customer_id = c.customer_id;

CREATE VIEW oracle.channel_transitions AS
SELECT h.from_channel, h.to_channel, count(*) AS handoffs, count(DISTINCT h.customer_id) AS customers,
       round(count(*) / sum(count(*)) OVER (PARTITION BY h.from_channel), 4) AS share,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY h.after) AS median_time
FROM oracle.handoffs h
GROUP BY h.from_channel, h.to_channel;

CREATE VIEW oracle.channel_mix AS
SELECT m.channel, c.label, c.kind, m.touchpoints, round(m.touchpoints / sum(m.touchpoints) OVER (), 4) AS share, m.customers,
       m.inbound, m.outbound, m.sessions, m.visits, coalesce(l.left_by, 0) AS visits_left, round(1 - coalesce(l.left_by, 0)::numeric / nullif(m.visits, 0), 4) AS containment,
       v.value, v.currency, coalesce(v.value_by_currency, '{}') AS value_by_currency
FROM (SELECT b.channel, sum(b.touchpoints)::bigint AS touchpoints, count(DISTINCT b.customer_id) AS customers,
             sum(b.inbound)::bigint AS inbound,
             sum(b.outbound)::bigint AS outbound, count(*) AS sessions, sum(b.visits)::bigint AS visits
      FROM (SELECT t.customer_id, t.channel, t.session, count(*) AS touchpoints,
                   count(*) FILTER (WHERE t.direction = 'in') AS inbound,
                   count(*) FILTER (WHERE t.direction = 'out') AS outbound,
                   count(*) FILTER (WHERE t.begins_visit) AS visits
            FROM oracle.timeline t GROUP BY t.customer_id, t.channel, t.session) b
      GROUP BY b.channel) m
     LEFT JOIN crm.channels c ON c.channel = m.channel
     LEFT JOIN (SELECT h.from_channel, count(*) AS left_by FROM oracle.handoffs h GROUP BY h.from_channel) l
         ON l.from_channel = m.channel
     LEFT JOIN (SELECT s.channel, CASE WHEN count(*) = 1 THEN min(s.value) END AS value,
                       CASE WHEN count(*) = 1 THEN nullif(min(s.currency), '') END AS currency,
                       jsonb_object_agg(s.currency, s.value) AS value_by_currency
                FROM (SELECT t.channel, coalesce(t.currency, '') AS currency, sum(t.value) AS value
                      FROM crm.identities i JOIN crm.touchpoints t ON t.identity_id = i.identity_id
                      WHERE t.value IS NOT NULL
                      GROUP BY t.channel, coalesce(t.currency, '')) s
                GROUP BY s.channel) v ON v.channel = m.channel;

CREATE VIEW oracle.omnichannel AS
SELECT c.customers, c.multichannel, round(c.multichannel::numeric / nullif(c.customers, 0), 4) AS multichannel_share,
       c.cross_channel, round(c.cross_channel::numeric / nullif(c.customers, 0), 4) AS cross_channel_share,
       c.omnichannel, round(c.omnichannel::numeric / nullif(c.customers, 0), 4) AS omnichannel_share, c.handoffs,
       r.resolved, r.resolved_at_first_contact,
       round(r.resolved_at_first_contact::numeric / nullif(r.resolved, 0), 4) AS first_contact_resolution,
       s.contacts, s.repeat_contacts, round(s.repeat_contacts::numeric / nullif(s.contacts, 0), 4) AS repeat_contact_share,
       round(s.repeat_contacts::numeric / nullif(s.customers, 0), 4) AS repeat_contacts_per_customer
FROM (SELECT count(*) AS customers, count(*) FILTER (WHERE b.several) AS multichannel,
             count(*) FILTER (WHERE b.handoffs > 0) AS cross_channel,
             count(*) FILTER (WHERE b.crosses) AS omnichannel, coalesce(sum(b.handoffs), 0)::bigint AS handoffs
      FROM (SELECT t.customer_id, min(t.channel) <> max(t.channel) AS several, count(*) FILTER (WHERE t.is_handoff) AS handoffs,
                   bool_or(t.is_handoff AND (n.kind = 'digital') <> (p.kind = 'digital')) AS crosses
            FROM oracle.timeline t LEFT JOIN crm.channels n ON n.channel = t.channel
                 LEFT JOIN crm.channels p ON p.channel = t.previous_channel
            WHERE t.own
            GROUP BY t.customer_id) b) c
     CROSS JOIN
     (SELECT count(*) AS resolved,
             count(*) FILTER (WHERE (b.asked_again_at - b.resolved_at <= (SELECT s.repeat_within FROM crm.settings s))
                                    IS NOT TRUE) AS resolved_at_first_contact
      FROM (SELECT min(o.occurred_at) AS resolved_at, min(o.asked_again_at) AS asked_again_at
            FROM (SELECT t.customer_id, t.source, t.conversation, t.turn, t.occurred_at,
                         min(t.occurred_at) FILTER (WHERE t.turn IN ('asks', 'reopens'))
                             OVER (PARTITION BY t.customer_id ORDER BY t.occurred_at DESC, t.touchpoint_id DESC, t.step DESC
                                   ROWS UNBOUNDED PRECEDING) AS asked_again_at
                  FROM oracle.turns t WHERE t.turn IN ('asks', 'reopens', 'resolves')) o
            WHERE o.turn = 'resolves' AND o.conversation IS NOT NULL
            GROUP BY o.customer_id, o.source, o.conversation) b
      WHERE now() - b.resolved_at > (SELECT s.repeat_within FROM crm.settings s)) r
     CROSS JOIN
     (SELECT count(*) AS contacts, count(DISTINCT b.customer_id) AS customers,
             count(*) FILTER (WHERE b.since_message <= (SELECT g.repeat_within FROM crm.settings g))
                 AS repeat_contacts
      FROM (SELECT a.customer_id, a.conversation, a.before, a.since_before,
                   a.occurred_at - lag(a.occurred_at) OVER (PARTITION BY a.customer_id
                                                            ORDER BY a.occurred_at, a.touchpoint_id) AS since_message
            FROM (SELECT t.customer_id, t.touchpoint_id, t.conversation, t.turn, t.occurred_at,
                         lag(t.turn) OVER w AS before, t.occurred_at - lag(t.occurred_at) OVER w AS since_before
                  FROM oracle.turns t WHERE t.turn IN ('asks', 'reopens', 'resolves')
                  WINDOW w AS (PARTITION BY t.customer_id, t.source, t.conversation ORDER BY t.occurred_at, t.touchpoint_id, t.step)) a
            WHERE a.turn = 'asks') b
      WHERE (b.conversation IS NULL OR b.before IS NULL OR b.before = 'resolves'
             OR b.since_before > (SELECT g.repeat_within FROM crm.settings g))
            AND (b.since_message > (SELECT g.session_gap FROM crm.settings g)) IS NOT FALSE) s;

-- What the hub has views of since: own touchpoints by visit, all touchpoints by session
CREATE VIEW oracle.visits AS
SELECT v.customer_id, v.visit, v.channel, v.started_at, v.ended_at, v.touchpoints, v.came_from, v.came_after,
       CASE WHEN lead(v.came_from) OVER w IS NOT NULL THEN lead(v.channel) OVER w END AS left_to, lead(v.came_after) OVER w AS left_after,
       v.first_touchpoint_id
FROM (SELECT n.customer_id, n.visit, min(n.channel) AS channel, min(n.occurred_at) AS started_at, max(n.occurred_at) AS ended_at,
             count(*) AS touchpoints, min(n.previous_channel) FILTER (WHERE n.is_handoff) AS came_from,
             min(n.since_own) FILTER (WHERE n.is_handoff) AS came_after, min(n.touchpoint_id) FILTER (WHERE n.begins_visit) AS first_touchpoint_id
      FROM (SELECT t.*, count(*) FILTER (WHERE t.begins_visit)
                            OVER (PARTITION BY t.customer_id ORDER BY t.occurred_at, t.touchpoint_id) AS visit
            FROM oracle.timeline t WHERE t.own) n
      GROUP BY n.customer_id, n.visit) v
WINDOW w AS (PARTITION BY v.customer_id ORDER BY v.visit);

-- (values as journeys have them)
CREATE VIEW oracle.sessions AS
SELECT t.customer_id, t.session, min(t.occurred_at) AS started_at, max(t.occurred_at) AS ended_at, count(*) AS touchpoints,
       (array_agg(t.channel ORDER BY t.occurred_at, t.touchpoint_id))[1] AS first_channel,
       (array_agg(t.channel ORDER BY t.occurred_at DESC, t.touchpoint_id DESC))[1] AS last_channel,
       trim_scale(sum(t.value) FILTER (WHERE t.currency IS NULL OR t.currency = (SELECT s.currency FROM crm.settings s))) AS value,
       (array_agg(t.touchpoint_id ORDER BY t.occurred_at, t.touchpoint_id))[1] AS first_touchpoint_id
FROM oracle.timeline t
GROUP BY t.customer_id, t.session;

CREATE VIEW oracle.journeys AS
SELECT i.customer_id, journey_agg(t.occurred_at, t.channel, t.action,
                                  CASE WHEN t.currency IS NULL OR t.currency = (SELECT s.currency FROM crm.settings s) THEN t.value END, t.touchpoint_id,
                                  CASE WHEN t.direction = 'out' AND (t.agent = 'bot' OR t.agent LIKE 'bot:%') THEN 'bot' ELSE t.direction END) AS journey
FROM crm.identities i JOIN crm.touchpoints t ON t.identity_id = i.identity_id
GROUP BY i.customer_id;

-- By period: the first day of the one in which a time lies, in the hub's time zone, and whether the time is within a range
CREATE FUNCTION oracle.first_day(at timestamptz, period text) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT (date_trunc(nullif(period, 'all'), at, s.time_zone) AT TIME ZONE s.time_zone)::date FROM crm.settings s
$$;
CREATE FUNCTION oracle.counts(at timestamptz, since timestamptz, until timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (since IS NULL OR since <= at) AND (until IS NULL OR at < until)
$$;

-- A touchpoint, a hand-off, a visit, a contact counts where it happens or begins, a session for a channel where it first has a touchpoint
-- there, a conversation where it was first resolved. Whether a visit was left is seen by the visit after it.
CREATE FUNCTION oracle.channel_mix(period text, since timestamptz, until timestamptz)
RETURNS TABLE (period_start date, channel text, label text, kind text, touchpoints bigint, share numeric, customers bigint, inbound bigint, outbound bigint,
               sessions bigint, visits bigint, visits_left bigint, containment numeric, value numeric, currency text, value_by_currency jsonb)
LANGUAGE sql STABLE AS $$
    WITH r AS (
        SELECT t.*, oracle.first_day(t.occurred_at, $1) AS day,
               row_number() OVER (PARTITION BY t.customer_id, t.session, t.channel ORDER BY t.occurred_at, t.touchpoint_id) = 1 AS begins_session,
               t.begins_visit AND lead(t.is_handoff) OVER (PARTITION BY t.customer_id, t.begins_visit ORDER BY t.occurred_at, t.touchpoint_id) AS is_left
        FROM oracle.timeline t
    ), c AS (
        SELECT * FROM r WHERE oracle.counts(r.occurred_at, $2, $3)
    ), m AS (
        SELECT c.day, c.channel, count(*) AS touchpoints, count(DISTINCT c.customer_id) AS customers,
               count(*) FILTER (WHERE c.direction = 'in') AS inbound, count(*) FILTER (WHERE c.direction = 'out') AS outbound,
               count(*) FILTER (WHERE c.begins_session) AS sessions, count(*) FILTER (WHERE c.begins_visit) AS visits,
               count(*) FILTER (WHERE c.is_left) AS visits_left
        FROM c GROUP BY c.day, c.channel
    ), v AS (
        SELECT c.day, c.channel, coalesce(c.currency, '') AS currency, sum(c.value) AS value FROM c WHERE c.value IS NOT NULL GROUP BY 1, 2, 3
    )
    SELECT m.day, m.channel, h.label, h.kind, m.touchpoints,
           round(m.touchpoints / (SELECT sum(o.touchpoints) FROM m o WHERE o.day IS NOT DISTINCT FROM m.day), 4),
           m.customers, m.inbound, m.outbound, m.sessions, m.visits, m.visits_left, round(1 - m.visits_left / nullif(m.visits, 0)::numeric, 4),
           CASE WHEN s.n = 1 THEN s.value END, CASE WHEN s.n = 1 THEN nullif(s.currency, '') END, coalesce(s.by_currency, '{}')
    FROM m LEFT JOIN crm.channels h ON h.channel = m.channel
         LEFT JOIN LATERAL (SELECT count(*) AS n, min(v.value) AS value, min(v.currency) AS currency, jsonb_object_agg(v.currency, v.value) AS by_currency
                            FROM v WHERE v.channel = m.channel AND v.day IS NOT DISTINCT FROM m.day) s ON true
$$;

CREATE FUNCTION oracle.channel_transitions(period text, since timestamptz, until timestamptz)
RETURNS TABLE (period_start date, from_channel text, to_channel text, handoffs bigint, customers bigint, share numeric, median_time interval)
LANGUAGE sql STABLE AS $$
    SELECT oracle.first_day(h.occurred_at, $1), h.from_channel, h.to_channel, count(*), count(DISTINCT h.customer_id),
           round(count(*) / sum(count(*)) OVER (PARTITION BY oracle.first_day(h.occurred_at, $1), h.from_channel), 4),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY h.after)
    FROM oracle.handoffs h WHERE oracle.counts(h.occurred_at, $2, $3)
    GROUP BY 1, 2, 3
$$;

CREATE FUNCTION oracle.omnichannel(period text, since timestamptz, until timestamptz)
RETURNS TABLE (period_start date, customers bigint, multichannel bigint, multichannel_share numeric, cross_channel bigint, cross_channel_share numeric,
               omnichannel bigint, omnichannel_share numeric, handoffs bigint, resolved bigint, resolved_at_first_contact bigint,
               first_contact_resolution numeric, contacts bigint, repeat_contacts bigint, repeat_contact_share numeric,
               repeat_contacts_per_customer numeric)
LANGUAGE sql STABLE AS $$
    WITH days AS (  -- in which anything happened
        SELECT oracle.first_day(t.occurred_at, $1) AS day FROM oracle.timeline t WHERE oracle.counts(t.occurred_at, $2, $3)
        UNION SELECT NULL WHERE coalesce($1, 'all') = 'all'
    ), used AS (
        SELECT oracle.first_day(t.occurred_at, $1) AS day, t.customer_id, count(DISTINCT t.channel) AS channels, count(*) FILTER (WHERE t.is_handoff) AS handoffs,
               count(*) FILTER (WHERE t.is_handoff AND (n.kind = 'digital') <> (p.kind = 'digital')) AS crosses
        FROM oracle.timeline t LEFT JOIN crm.channels n ON n.channel = t.channel LEFT JOIN crm.channels p ON p.channel = t.previous_channel
        WHERE t.own AND oracle.counts(t.occurred_at, $2, $3)
        GROUP BY 1, 2
    ), turns AS (
        SELECT t.*, row_number() OVER (ORDER BY t.occurred_at, t.touchpoint_id, t.step) AS position
        FROM oracle.turns t WHERE t.turn IN ('asks', 'reopens', 'resolves')
    ), resolutions AS (
        SELECT oracle.first_day(f.occurred_at, $1) AS day,
               EXISTS (SELECT FROM turns a, crm.settings s
                       WHERE a.customer_id = f.customer_id AND a.position > f.position AND a.turn <> 'resolves'
                             AND a.occurred_at - f.occurred_at <= s.repeat_within) AS again
        FROM (SELECT DISTINCT ON (t.customer_id, t.source, t.conversation) t.customer_id, t.occurred_at, t.position
              FROM turns t WHERE t.turn = 'resolves' AND t.conversation IS NOT NULL
              ORDER BY t.customer_id, t.source, t.conversation, t.position) f, crm.settings s
        WHERE now() - f.occurred_at > s.repeat_within AND oracle.counts(f.occurred_at, $2, $3)
    ), messages AS (
        SELECT t.customer_id, t.occurred_at, t.conversation, b.turn AS before, t.occurred_at - b.occurred_at AS since_before,
               t.occurred_at - (SELECT max(m.occurred_at) FROM turns m WHERE m.customer_id = t.customer_id AND m.turn = 'asks' AND m.position < t.position)
                   AS since_message
        FROM turns t LEFT JOIN LATERAL (SELECT o.turn, o.occurred_at FROM turns o
                                        WHERE o.customer_id = t.customer_id AND o.source = t.source AND o.conversation = t.conversation
                                              AND o.position < t.position ORDER BY o.position DESC LIMIT 1) b ON true
        WHERE t.turn = 'asks'
    ), contacts AS (
        SELECT oracle.first_day(m.occurred_at, $1) AS day, m.customer_id, coalesce(m.since_message <= s.repeat_within, false) AS is_repeat
        FROM messages m, crm.settings s
        WHERE oracle.counts(m.occurred_at, $2, $3) AND (m.conversation IS NULL OR m.before IS NULL OR m.before = 'resolves' OR m.since_before > s.repeat_within)
              AND (m.since_message IS NULL OR m.since_message > s.session_gap)
    )
    SELECT d.day, u.n, u.multi, round(u.multi / nullif(u.n, 0)::numeric, 4), u.x, round(u.x / nullif(u.n, 0)::numeric, 4),
           u.omni, round(u.omni / nullif(u.n, 0)::numeric, 4), u.handoffs, r.n, r.once, round(r.once / nullif(r.n, 0)::numeric, 4),
           c.n, c.repeats, round(c.repeats / nullif(c.n, 0)::numeric, 4), round(c.repeats / nullif(c.customers, 0)::numeric, 4)
    FROM days d
         CROSS JOIN LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE b.channels > 1) AS multi, count(*) FILTER (WHERE b.handoffs > 0) AS x,
                                    count(*) FILTER (WHERE b.crosses > 0) AS omni, coalesce(sum(b.handoffs), 0)::bigint AS handoffs
                             FROM used b WHERE b.day IS NOT DISTINCT FROM d.day) u
         CROSS JOIN LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE NOT b.again) AS once
                             FROM resolutions b WHERE b.day IS NOT DISTINCT FROM d.day) r
         CROSS JOIN LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE b.is_repeat) AS repeats, count(DISTINCT b.customer_id) AS customers
                             FROM contacts b WHERE b.day IS NOT DISTINCT FROM d.day) c
$$;
