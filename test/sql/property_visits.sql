-- Property test: the functions over one journey say what window functions say of its rows. What the hub's views timeline,
-- handoffs and customer_360 were, over rows, is the oracle. PGJ_SEED gives other journeys; the output stays the same.
\set seed 1
\getenv seed PGJ_SEED
SET client_min_messages = warning;
CREATE SCHEMA property_visits;
SET search_path = property_visits, public;
SET TimeZone = 'UTC';

CREATE FUNCTION rnd(i bigint, k integer, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(i * 64 + k, :seed) & 9223372036854775807) % n;

-- Journeys of 0 to some 60 touchpoints, which lie apart what limits often are, or a microsecond less or more
CREATE TABLE event AS
SELECT g, n, '2025-03-29T00:00Z'::timestamptz + sum(step) OVER (PARTITION BY g ORDER BY n) AS at,
       CASE WHEN g % 40 = 7 THEN 'c' || rnd(i, 2, 400)
            ELSE (ARRAY['web', 'app', 'Loja São João', 'phone', ''])[1 + rnd(i, 2, 1 + g % 5)] END AS channel,
       CASE WHEN g % 40 = 7 THEN 'a' || rnd(i, 3, 40)
            ELSE (ARRAY['view', 'message', 'delivered', 'vê', '', 'call_completed'])[1 + rnd(i, 3, 6)] END AS action,
       CASE WHEN g % 3 > 0 THEN (ARRAY[NULL, NULL, 'in', 'out', 'bot', 'sofas', 'Out', ' in'])
                                [1 + rnd(i, 4, CASE g % 3 WHEN 1 THEN 5 ELSE 8 END)] END AS detail,
       CASE WHEN g % 4 > 1 AND (g % 4 = 2 OR rnd(i, 5, 2) = 0) THEN rnd(i, 6, 1000) / 100.0 END AS value,
       CASE WHEN g % 7 > 1 AND (g % 7 > 3 OR rnd(i, 7, 2) = 0)
            THEN CASE WHEN g % 2 = 0 THEN 10 * n ELSE rnd(i, 8, 50) - 10 END END AS ref
FROM (SELECT g, n, g * 100000 + n AS i
      FROM generate_series(0::bigint, 599) g, generate_series(1, rnd(g, 0, CASE WHEN g % 40 = 7 THEN 900 ELSE 1 + g % 60 END)) n) r,
     LATERAL (SELECT (ARRAY['0', '0', '1 s', '1 us', '10 min', '00:29:59.999999', '30 min', '00:30:00.000001', '1 h',
                            '23:59:59.999999', '1 day', '24:00:00.000001', '30 days', '31 days', '400 days']::interval[])
                     [1 + rnd(i, 1, CASE WHEN g % 2 = 0 THEN 15 ELSE 9 END)] AS step) s;
CREATE TABLE built AS
SELECT g, coalesce(j, '{}') AS j
FROM generate_series(0::bigint, 599) g
     LEFT JOIN (SELECT g, journey_agg(at, channel, action, value, ref, detail) AS j FROM event GROUP BY g) e USING (g);
CREATE TABLE step AS SELECT g, s.* FROM built, journey_steps(j) s;

-- Three settings for each
CREATE TABLE setting AS
SELECT g, k, (ARRAY['0', '1 us', '10 min', '00:29:59.999999', '30 min', '1 h', '1 day', '24:00', '30 days', '1 month',
                    '1 month -29 days', '178000000 years', '2 days -24:00']::interval[])[1 + rnd(-g, k, 13)] AS gap,
       (ARRAY['0', '1 us', '10 min', '00:29:59.999999', '30 min', '1 h', '1 day', '24:00', '30 days', '1 month',
              '-1 month 31 days', '178000000 years', '1 year']::interval[])[1 + rnd(-g, 10 + k, 13)] AS within,
       CASE rnd(-g, 20 + k, 5) WHEN 0 THEN '{}' WHEN 1 THEN '{delivered}' WHEN 2 THEN '{message,delivered,"",call_completed,nobody}'
                               WHEN 3 THEN '{vê,VIEW}' ELSE '{a1,a2,a3,delivered,in,web}' END::text[] AS not_own
FROM built, generate_series(1, 3) k;
ANALYZE;

CREATE TABLE told AS
SELECT r.g, r.k, r."position", r.ref, r.occurred_at, r.channel, r.action, r.detail, r.value, r.since_before AS since_previous,
       1 + count(*) FILTER (WHERE r.since_before > r.gap)
               OVER (PARTITION BY r.g, r.k ORDER BY r."position" ROWS UNBOUNDED PRECEDING) AS session,
       r.own,
       CASE WHEN r.own THEN r.previous_channel END AS previous_channel,
       CASE WHEN r.own THEN r.since_own END AS since_own,
       CASE WHEN r.own THEN r.previous_ref END AS previous_ref,
       r.own AND coalesce(r.previous_channel <> r.channel AND r.since_own <= r.within, false) AS is_handoff,
       r.own AND coalesce(r.previous_channel <> r.channel OR r.since_own > r.within, true) AS begins_visit
FROM (SELECT t.*,
             t.occurred_at - lag(t.occurred_at) OVER everything AS since_before,
             t.occurred_at - lag(t.occurred_at) OVER alike AS since_own,
             lag(t.channel) OVER alike AS previous_channel,
             lag(t.ref) OVER alike AS previous_ref
      FROM (SELECT s.*, k, gap, within,
                   s.detail IS DISTINCT FROM 'out' AND s.detail IS DISTINCT FROM 'bot' AND s.action <> ALL (not_own) AS own
            FROM step s JOIN setting USING (g)) t
      WINDOW everything AS (PARTITION BY t.g, t.k ORDER BY t."position"),
             alike AS (PARTITION BY t.g, t.k, t.own ORDER BY t."position")) r;
CREATE TABLE ours AS
SELECT g, k, t.n AS "position", t.ref, t.occurred_at, t.channel, t.action, t.detail, t.value, t.since_previous, t.session, t.own,
       t.previous_channel, t.since_own, t.previous_ref, t.is_handoff, t.begins_visit
FROM setting JOIN built USING (g), ROWS FROM (journey_timeline(j, gap, within, not_own)) WITH ORDINALITY
     t(ref, occurred_at, channel, action, detail, value, since_previous, session, own, previous_channel, since_own,
       previous_ref, is_handoff, begins_visit, n);
SELECT :seed AS seed, * FROM (TABLE ours EXCEPT ALL TABLE told) x LIMIT 5;
SELECT :seed AS seed, * FROM (TABLE told EXCEPT ALL TABLE ours) x LIMIT 5;
SELECT count(*) > 30000 AS many, count(DISTINCT session) > 20 AS sessions, count(*) FILTER (WHERE is_handoff) > 2000 AS handoffs,
       count(*) FILTER (WHERE begins_visit AND NOT is_handoff) > 2000 AS other_visits, count(*) FILTER (WHERE NOT own) > 8000 AS others
FROM ours;
-- in a list of columns, where rows come one by one, and nobody may want the rest
ALTER TABLE ours DROP COLUMN "position";
SELECT :seed AS seed, * FROM (
    SELECT g, k, (t).* FROM (SELECT g, k, journey_timeline(j, gap, within, not_own) AS t FROM setting JOIN built USING (g)) x
    EXCEPT ALL TABLE ours) y LIMIT 5;
SELECT count(*) = 600 AS first_rows FROM built CROSS JOIN LATERAL (SELECT 1 FROM (SELECT journey_timeline(j || 'a.a@2020-01-01T00:00:00Z', '1 h', '1 h') OFFSET 0) t LIMIT 1) x;

-- visits
CREATE TABLE told_visits AS
SELECT g, k, visit, channel, started_at, ended_at, touchpoints, first_ref, came_from, came_after, came_ref,
       CASE WHEN lead(came_from IS NOT NULL) OVER w THEN lead(channel) OVER w END AS left_to,
       CASE WHEN lead(came_from IS NOT NULL) OVER w THEN lead(came_after) OVER w END AS left_after
FROM (SELECT g, k, visit, min(channel) AS channel, min(occurred_at) AS started_at, max(occurred_at) AS ended_at,
             count(*) AS touchpoints, min(ref) FILTER (WHERE begins_visit) AS first_ref,
             min(previous_channel) FILTER (WHERE is_handoff) AS came_from,
             min(since_own) FILTER (WHERE is_handoff) AS came_after,
             min(previous_ref) FILTER (WHERE is_handoff) AS came_ref
      FROM (SELECT told.*, count(*) FILTER (WHERE begins_visit) OVER (PARTITION BY g, k ORDER BY "position" ROWS UNBOUNDED PRECEDING) AS visit
            FROM told WHERE own) t
      GROUP BY g, k, visit) v
WINDOW w AS (PARTITION BY g, k ORDER BY visit);
CREATE TABLE our_visits AS SELECT g, k, v.* FROM setting JOIN built USING (g), journey_visits(j, within, not_own) v;
SELECT :seed AS seed, * FROM (TABLE our_visits EXCEPT ALL TABLE told_visits) x LIMIT 5;
SELECT :seed AS seed, * FROM (TABLE told_visits EXCEPT ALL TABLE our_visits) x LIMIT 5;
SELECT count(*) > 8000 AS many, count(came_from) > 2000 AS came, count(left_to) > 2000 AS left, count(came_ref) > 800 AS refs, max(touchpoints) > 8 AS long
FROM our_visits;

-- summary: as customer_360 was
CREATE TABLE told_summary AS
SELECT g, k, coalesce(touchpoints, 0) AS touchpoints, coalesce(sessions, 0) AS sessions, coalesce(visits, 0) AS visits,
       coalesce(handoffs, 0) AS handoffs, coalesce(channels, '{}') AS channels, preferred_channel, first_at, last_at,
       last_channel, last_action, last_own_at
FROM setting LEFT JOIN (
    SELECT g, k, sum(touchpoints)::bigint AS touchpoints, max(sessions) AS sessions, sum(visits)::bigint AS visits,
           sum(handoffs)::bigint AS handoffs, array_agg(channel ORDER BY channel COLLATE "C") AS channels,
           (array_agg(channel ORDER BY visits DESC, own_position DESC) FILTER (WHERE visits > 0))[1] AS preferred_channel,
           min(first_at) AS first_at, max(last_at) AS last_at,
           min(channel) FILTER (WHERE last_action IS NOT NULL) AS last_channel, min(last_action) AS last_action,
           max(last_own_at) AS last_own_at
    FROM (SELECT g, k, channel, count(*) AS touchpoints, max(session) AS sessions, count(*) FILTER (WHERE is_handoff) AS handoffs,
                 count(*) FILTER (WHERE begins_visit) AS visits, max("position") FILTER (WHERE own) AS own_position,
                 min(occurred_at) AS first_at, max(occurred_at) AS last_at, min(action) FILTER (WHERE is_last) AS last_action,
                 max(occurred_at) FILTER (WHERE own) AS last_own_at
          FROM (SELECT told.*, lead("position") OVER (PARTITION BY g, k ORDER BY "position") IS NULL AS is_last FROM told) t
          GROUP BY g, k, channel) b
    GROUP BY g, k) s USING (g, k);
CREATE TABLE our_summary AS SELECT g, k, s.* FROM setting JOIN built USING (g), journey_summary(j, gap, within, not_own) s;
SELECT :seed AS seed, * FROM (TABLE our_summary EXCEPT ALL TABLE told_summary) x LIMIT 5;
SELECT :seed AS seed, * FROM (TABLE told_summary EXCEPT ALL TABLE our_summary) x LIMIT 5;
SELECT count(*) AS all, count(*) FILTER (WHERE touchpoints = 0) > 20 AS empty, count(*) FILTER (WHERE cardinality(channels) > 100) > 20 AS wide,
       count(*) FILTER (WHERE touchpoints > 0 AND visits = 0) > 10 AS nothing_own
FROM our_summary;

-- own touchpoints alone: the journey of those rows, byte by byte; and sessions as journey_sessions has them
SELECT :seed AS seed, g, k FROM setting JOIN built USING (g) LEFT JOIN (
    SELECT g, k, journey_agg(occurred_at, channel, action, value, ref, detail) AS own FROM told WHERE own GROUP BY g, k) o USING (g, k)
WHERE journey_send(journey_own(j, not_own)) <> journey_send(coalesce(own, '{}')) LIMIT 5;
SELECT :seed AS seed, g, k FROM setting JOIN built USING (g), journey_summary(j, gap, within) s
WHERE extract(month FROM gap) = 0 AND extract(year FROM gap) = 0 AND s.sessions <> (SELECT count(*) FROM journey_sessions(j, gap)) LIMIT 5;
DROP SCHEMA property_visits CASCADE;
