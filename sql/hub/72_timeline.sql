-- The timeline of customers, their visits, sessions and hand-offs: packed journeys, walked.
--
-- A walk gives a customer's rows in one pass, in order, and knows nothing of other customers: joins by customer_id go
-- by index, LIMIT stops early, and a filter by time leaves out rows before they are looked up in touchpoints. That
-- look-up is by primary key, and an aggregate, which has one row: so the planner leaves it out of queries that ask for
-- nothing of it, as counts by channel or day; and it does not join, for which it would count a probe of every partition
-- for each row, though all but one are pruned, and would rather read all touchpoints for the sake of some hundred
-- customers. Rows of touchpoints that a policy hides are left out where policies apply (EXISTS, OFFSET 0 keeps it so).
-- What is never NULL OR what is volatile, which is never called, keeps Memoize away: the planner takes all journeys for
-- one and the same, and would keep the rows of each for the next.
-- OFFSET 0 where a time is computed: with row-level security no index takes it but as it is. Settings are read by
-- subqueries that know nothing of the row.

-- What lies between two times is told in days of 24 hours; where clocks change, a day of the session's zone is another.
CREATE OR REPLACE FUNCTION @hub@.time_before(at timestamptz, since interval) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (time_before.at AT TIME ZONE 'UTC' - time_before.since) AT TIME ZONE 'UTC';
COMMENT ON FUNCTION @hub@.time_before(timestamptz, interval) IS
    'the time at - since, where since is a difference of two times, in whatever time zone';

CREATE OR REPLACE VIEW @hub@.timeline WITH (security_invoker = true) AS
SELECT j.customer_id, w.ref AS touchpoint_id, w.occurred_at, w.channel, w.action, t.value, t.currency,
       CASE w.detail WHEN 'bot' THEN 'out' ELSE w.detail END AS direction, t.conversation,
       @hub@.agent_name(t.agent, t.source, (SELECT @hub@.agent_names())) AS agent, t.campaign,
       t.subject, t.url, w.since_previous, w.session, w.previous_channel, w.since_own, w.is_handoff, w.begins_visit,
       CASE WHEN w.previous_ref IS NULL OR t.conversation IS NULL THEN false
            ELSE coalesce((SELECT l.same
                           FROM (SELECT @hub@.time_before(w.occurred_at, w.since_own) AS occurred_at OFFSET 0) b
                                CROSS JOIN LATERAL
                                (SELECT p.source = t.source AND p.conversation = t.conversation AS same
                                 FROM @hub@.touchpoints p
                                 WHERE p.touchpoint_id = w.previous_ref AND p.occurred_at = b.occurred_at
                                 LIMIT 1) l), false) END AS same_conversation,
       w.own, t.source, t.source_key, t.attributes, t.recorded_at, t.identity_id,
       extract(epoch FROM w.since_previous) AS since_previous_seconds,
       extract(epoch FROM w.since_own) AS since_own_seconds,
       (w.occurred_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::date AS local_day,
       extract(hour FROM w.occurred_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::integer
           AS local_hour
FROM @hub@.journeys_by_customer j
     CROSS JOIN LATERAL @extschema@.journey_timeline(j.journey, (SELECT s.session_gap FROM @hub@.settings s),
                                                     (SELECT s.handoff_within FROM @hub@.settings s),
                                                     (SELECT @hub@.not_own_actions())) w
     LEFT JOIN LATERAL (SELECT min(p.value) AS value, min(p.currency) AS currency,
                               min(p.conversation) AS conversation, min(p.agent) AS agent,
                               min(p.campaign) AS campaign, min(p.source) AS source, min(p.source_key) AS source_key,
                               min(p.subject) AS subject, min(p.url) AS url,
                               (array_agg(p.attributes))[1] AS attributes, min(p.recorded_at) AS recorded_at,
                               min(p.identity_id) AS identity_id
                        FROM @hub@.touchpoints p
                        WHERE p.touchpoint_id = w.ref AND p.occurred_at = w.occurred_at) t ON true
WHERE (w.ref IS NOT NULL OR clock_timestamp() IS NULL)
      AND (NOT (SELECT row_security_active($$@hub@.touchpoints$$::regclass)
                       AND @hub@.hides_rows($$@hub@.touchpoints$$, 'agents'))
           OR EXISTS (SELECT FROM @hub@.touchpoints p
                      WHERE p.touchpoint_id = w.ref AND p.occurred_at = w.occurred_at OFFSET 0));
COMMENT ON VIEW @hub@.timeline IS
    'what happened to customers over all channels, a row a touchpoint, in the order of occurred_at and touchpoint_id';
COMMENT ON COLUMN @hub@.timeline.customer_id IS 'customer it belongs to now';
COMMENT ON COLUMN @hub@.timeline.touchpoint_id IS 'number of the touchpoint';
COMMENT ON COLUMN @hub@.timeline.occurred_at IS 'when it happened';
COMMENT ON COLUMN @hub@.timeline.channel IS 'where';
COMMENT ON COLUMN @hub@.timeline.action IS 'what';
COMMENT ON COLUMN @hub@.timeline.value IS 'what it was worth, in its currency';
COMMENT ON COLUMN @hub@.timeline.currency IS 'currency of the value';
COMMENT ON COLUMN @hub@.timeline.direction IS 'in: from the customer; out: to the customer; NULL: neither';
COMMENT ON COLUMN @hub@.timeline.conversation IS 'thread, ticket or call it is part of';
COMMENT ON COLUMN @hub@.timeline.agent IS 'who of the company took part, by the name in agents';
COMMENT ON COLUMN @hub@.timeline.campaign IS 'campaign it comes from';
COMMENT ON COLUMN @hub@.timeline.subject IS 'what it is about, in words to read';
COMMENT ON COLUMN @hub@.timeline.url IS 'where it can be looked at';
COMMENT ON COLUMN @hub@.timeline.since_previous IS
    'time since the customer''s touchpoint before; NULL: it is the first';
COMMENT ON COLUMN @hub@.timeline.session IS
    'number of the customer''s session, over all channels: one ends where nothing happens for longer than '
    'session_gap of settings';
COMMENT ON COLUMN @hub@.timeline.previous_channel IS
    'channel of the customer''s own touchpoint before: see own; NULL: there is none, or this one is not own';
COMMENT ON COLUMN @hub@.timeline.since_own IS
    'time since the customer''s own touchpoint before; NULL as previous_channel is';
COMMENT ON COLUMN @hub@.timeline.is_handoff IS
    'whether it is the customer''s own, and the own one before was in another channel, at most handoff_within of '
    'settings before';
COMMENT ON COLUMN @hub@.timeline.begins_visit IS
    'whether it begins a visit: own touchpoints in one channel, each at most handoff_within after the own one before';
COMMENT ON COLUMN @hub@.timeline.same_conversation IS
    'whether it is the customer''s own, and the own one before was of the same conversation';
COMMENT ON COLUMN @hub@.timeline.own
    IS 'whether it is the customer''s own: not outbound, and its action is not in actions, or asks and resolves'
       ' there';
COMMENT ON COLUMN @hub@.timeline.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.timeline.source_key IS 'its key there';
COMMENT ON COLUMN @hub@.timeline.attributes IS 'whatever else is known';
COMMENT ON COLUMN @hub@.timeline.recorded_at IS 'when it came in';
COMMENT ON COLUMN @hub@.timeline.identity_id IS 'identity it belongs to';
COMMENT ON COLUMN @hub@.timeline.since_previous_seconds IS 'since_previous in seconds';
COMMENT ON COLUMN @hub@.timeline.since_own_seconds IS 'since_own in seconds';
COMMENT ON COLUMN @hub@.timeline.local_day IS 'day on which it happened, in the time zone of settings';
COMMENT ON COLUMN @hub@.timeline.local_hour IS 'hour of that day, 0 to 23';

CREATE OR REPLACE VIEW @hub@.visits WITH (security_invoker = true) AS
SELECT j.customer_id, v.visit, v.channel, v.started_at, v.ended_at, v.ended_at - v.started_at AS duration,
       v.touchpoints, v.came_from, v.came_after, v.left_to, v.left_after, v.first_ref AS first_touchpoint_id,
       extract(epoch FROM v.ended_at - v.started_at) AS duration_seconds,
       extract(epoch FROM v.came_after) AS came_after_seconds,
       extract(epoch FROM v.left_after) AS left_after_seconds,
       (v.started_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::date AS local_day,
       extract(hour FROM v.started_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::integer
           AS local_hour
FROM @hub@.journeys_by_customer j
     CROSS JOIN LATERAL @extschema@.journey_visits(j.journey, (SELECT s.handoff_within FROM @hub@.settings s),
                                                   (SELECT @hub@.not_own_actions())) v
WHERE v.visit IS NOT NULL OR clock_timestamp() IS NULL;
COMMENT ON VIEW @hub@.visits IS
    'visits, a row each: own touchpoints of a customer in one channel, each at most handoff_within of settings after'
    ' the own one before';
COMMENT ON COLUMN @hub@.visits.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.visits.visit IS 'number of the customer''s visit, from 1';
COMMENT ON COLUMN @hub@.visits.channel IS 'channel that was visited';
COMMENT ON COLUMN @hub@.visits.started_at IS 'time of its first touchpoint';
COMMENT ON COLUMN @hub@.visits.ended_at IS 'time of its last own touchpoint';
COMMENT ON COLUMN @hub@.visits.duration IS 'from started_at to ended_at';
COMMENT ON COLUMN @hub@.visits.touchpoints IS 'how many own touchpoints it has';
COMMENT ON COLUMN @hub@.visits.came_from IS
    'channel of the visit before, if this one begins with a hand-off from there; else NULL';
COMMENT ON COLUMN @hub@.visits.came_after IS 'time since the own touchpoint before, if it begins with a hand-off';
COMMENT ON COLUMN @hub@.visits.left_to IS
    'channel of the visit after, if this one ended with a hand-off to there; else NULL';
COMMENT ON COLUMN @hub@.visits.left_after IS 'time from ended_at to the next visit, if this one ended with a hand-off';
COMMENT ON COLUMN @hub@.visits.first_touchpoint_id IS 'touchpoint with which it begins';
COMMENT ON COLUMN @hub@.visits.duration_seconds IS 'duration in seconds';
COMMENT ON COLUMN @hub@.visits.came_after_seconds IS 'came_after in seconds';
COMMENT ON COLUMN @hub@.visits.left_after_seconds IS 'left_after in seconds';
COMMENT ON COLUMN @hub@.visits.local_day IS 'day on which it began, in the time zone of settings';
COMMENT ON COLUMN @hub@.visits.local_hour IS 'hour of that day, 0 to 23';

CREATE OR REPLACE VIEW @hub@.sessions WITH (security_invoker = true) AS
SELECT j.customer_id, n.session, @extschema@.journey_start(n.journey) AS started_at,
       @extschema@.journey_end(n.journey) AS ended_at,
       @extschema@.journey_end(n.journey) - @extschema@.journey_start(n.journey) AS duration,
       @extschema@.journey_length(n.journey)::bigint AS touchpoints,
       @extschema@.journey_channels(n.journey) AS channels, @extschema@.journey_actions(n.journey) AS actions,
       @extschema@.touchpoint_channel(@extschema@.journey_nth(n.journey, 1)) AS first_channel,
       @extschema@.touchpoint_channel(@extschema@.journey_nth(n.journey, -1)) AS last_channel,
       @extschema@.journey_value(n.journey) AS value,
       @extschema@.touchpoint_ref(@extschema@.journey_nth(n.journey, 1)) AS first_touchpoint_id,
       extract(epoch FROM @extschema@.journey_end(n.journey) - @extschema@.journey_start(n.journey))
           AS duration_seconds,
       (@extschema@.journey_start(n.journey) AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::date
           AS local_day,
       extract(hour FROM @extschema@.journey_start(n.journey)
                         AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::integer
           AS local_hour
FROM @hub@.journeys_by_customer j
     CROSS JOIN LATERAL @extschema@.journey_sessions(j.journey, (SELECT s.session_gap FROM @hub@.settings s))
         WITH ORDINALITY AS n(journey, session)
WHERE n.session IS NOT NULL OR clock_timestamp() IS NULL;
COMMENT ON VIEW @hub@.sessions IS
    'sessions, a row each: touchpoints of a customer in any channels, none more than session_gap of settings after the'
    ' one before';
COMMENT ON COLUMN @hub@.sessions.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.sessions.session IS 'number of the customer''s session, from 1, as in timeline';
COMMENT ON COLUMN @hub@.sessions.started_at IS 'time of its first touchpoint';
COMMENT ON COLUMN @hub@.sessions.ended_at IS 'time of its last touchpoint';
COMMENT ON COLUMN @hub@.sessions.duration IS 'from started_at to ended_at';
COMMENT ON COLUMN @hub@.sessions.touchpoints IS 'how many touchpoints it has, in and out';
COMMENT ON COLUMN @hub@.sessions.channels IS 'channels of its touchpoints';
COMMENT ON COLUMN @hub@.sessions.actions IS 'actions of its touchpoints';
COMMENT ON COLUMN @hub@.sessions.first_channel IS 'channel of its first touchpoint';
COMMENT ON COLUMN @hub@.sessions.last_channel IS 'channel of its last touchpoint';
COMMENT ON COLUMN @hub@.sessions.value IS
    'sum of values in the currency of settings, or in none; NULL: there are none';
COMMENT ON COLUMN @hub@.sessions.first_touchpoint_id IS 'its first touchpoint';
COMMENT ON COLUMN @hub@.sessions.duration_seconds IS 'duration in seconds';
COMMENT ON COLUMN @hub@.sessions.local_day IS 'day on which it began, in the time zone of settings';
COMMENT ON COLUMN @hub@.sessions.local_hour IS 'hour of that day, 0 to 23';

-- A hand-off begins a visit. Channels that are not in channels are of no kind.
CREATE OR REPLACE VIEW @hub@.handoffs WITH (security_invoker = true) AS
SELECT j.customer_id, v.first_ref AS touchpoint_id, v.started_at AS occurred_at, v.came_from AS from_channel,
       v.channel AS to_channel, v.came_after AS after,
       CASE WHEN t.conversation IS NOT NULL
                 AND (SELECT l.same
                      FROM (SELECT @hub@.time_before(v.started_at, v.came_after) AS occurred_at OFFSET 0) b
                           CROSS JOIN LATERAL
                           (SELECT p.source = t.source AND p.conversation = t.conversation AS same
                            FROM @hub@.touchpoints p
                            WHERE p.touchpoint_id = v.came_ref AND p.occurred_at = b.occurred_at
                            LIMIT 1) l) THEN t.conversation END AS conversation,
       t.action, @hub@.agent_name(t.agent, t.source, (SELECT @hub@.agent_names())) AS agent,
       v.visit,
       coalesce((SELECT c.kind = 'digital' FROM @hub@.channels c WHERE c.channel = v.came_from)
                <> (SELECT c.kind = 'digital' FROM @hub@.channels c WHERE c.channel = v.channel), false)
           AS is_omnichannel,
       extract(epoch FROM v.came_after) AS after_seconds,
       (v.started_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::date AS local_day,
       extract(hour FROM v.started_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::integer
           AS local_hour
FROM @hub@.journeys_by_customer j
     CROSS JOIN LATERAL @extschema@.journey_visits(j.journey, (SELECT s.handoff_within FROM @hub@.settings s),
                                                   (SELECT @hub@.not_own_actions())) v
     LEFT JOIN LATERAL (SELECT min(p.action) AS action, min(p.agent) AS agent, min(p.source) AS source,
                               min(p.conversation) AS conversation
                        FROM @hub@.touchpoints p
                        WHERE p.touchpoint_id = v.first_ref AND p.occurred_at = v.started_at) t ON true
WHERE v.came_from IS NOT NULL AND (v.visit IS NOT NULL OR clock_timestamp() IS NULL)
      AND (NOT (SELECT row_security_active($$@hub@.touchpoints$$::regclass)
                       AND @hub@.hides_rows($$@hub@.touchpoints$$, 'agents'))
           OR EXISTS (SELECT FROM @hub@.touchpoints p
                      WHERE p.touchpoint_id = v.first_ref AND p.occurred_at = v.started_at OFFSET 0));
COMMENT ON VIEW @hub@.handoffs IS 'where customers went from one channel to another within handoff_within of settings';
COMMENT ON COLUMN @hub@.handoffs.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.handoffs.touchpoint_id IS 'the touchpoint in the new channel';
COMMENT ON COLUMN @hub@.handoffs.occurred_at IS 'when it happened';
COMMENT ON COLUMN @hub@.handoffs.from_channel IS 'channel the customer came from';
COMMENT ON COLUMN @hub@.handoffs.to_channel IS 'channel the customer went to';
COMMENT ON COLUMN @hub@.handoffs.after IS 'time since the customer''s own touchpoint before';
COMMENT ON COLUMN @hub@.handoffs.conversation IS 'conversation, if it is the same as before';
COMMENT ON COLUMN @hub@.handoffs.action IS 'what happened in the new channel';
COMMENT ON COLUMN @hub@.handoffs.agent IS 'who of the company took part there';
COMMENT ON COLUMN @hub@.handoffs.visit IS 'number of the visit that begins with it: see visits';
COMMENT ON COLUMN @hub@.handoffs.is_omnichannel IS
    'whether one of the two channels is digital and the other human or physical, by kind of channels';
COMMENT ON COLUMN @hub@.handoffs.after_seconds IS 'after in seconds';
COMMENT ON COLUMN @hub@.handoffs.local_day IS 'day on which it happened, in the time zone of settings';
COMMENT ON COLUMN @hub@.handoffs.local_hour IS 'hour of that day, 0 to 23';

-- Of one customer, for LATERAL: they become part of the query that calls them.
CREATE OR REPLACE FUNCTION @hub@.timeline_of(customer_id bigint) RETURNS SETOF @hub@.timeline
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT v.* FROM @hub@.timeline v WHERE v.customer_id = timeline_of.customer_id;
END;
COMMENT ON FUNCTION @hub@.timeline_of(bigint) IS 'timeline of a customer, by index: for LATERAL';
CREATE OR REPLACE FUNCTION @hub@.visits_of(customer_id bigint) RETURNS SETOF @hub@.visits
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT v.* FROM @hub@.visits v WHERE v.customer_id = visits_of.customer_id;
END;
COMMENT ON FUNCTION @hub@.visits_of(bigint) IS 'visits of a customer, by index: for LATERAL';
CREATE OR REPLACE FUNCTION @hub@.sessions_of(customer_id bigint) RETURNS SETOF @hub@.sessions
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT v.* FROM @hub@.sessions v WHERE v.customer_id = sessions_of.customer_id;
END;
COMMENT ON FUNCTION @hub@.sessions_of(bigint) IS 'sessions of a customer, by index: for LATERAL';
CREATE OR REPLACE FUNCTION @hub@.handoffs_of(customer_id bigint) RETURNS SETOF @hub@.handoffs
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT v.* FROM @hub@.handoffs v WHERE v.customer_id = handoffs_of.customer_id;
END;
COMMENT ON FUNCTION @hub@.handoffs_of(bigint) IS 'hand-offs of a customer, by index: for LATERAL';

-- All at once: for many rows a join that hashes costs a tenth of a look-up for each.
CREATE OR REPLACE FUNCTION @hub@.timeline_between(since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS SETOF @hub@.timeline
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000000
BEGIN ATOMIC
    SELECT j.customer_id, t.touchpoint_id, t.occurred_at, w.channel, w.action, t.value, t.currency, t.direction,
           t.conversation, @hub@.agent_name(t.agent, t.source, (SELECT @hub@.agent_names())),
           t.campaign,
           t.subject, t.url, w.since_previous, w.session, w.previous_channel, w.since_own, w.is_handoff,
           w.begins_visit,
           CASE WHEN w.previous_ref IS NULL OR t.conversation IS NULL THEN false
                ELSE coalesce((SELECT l.same
                               FROM (SELECT @hub@.time_before(w.occurred_at, w.since_own) AS occurred_at OFFSET 0) b
                                    CROSS JOIN LATERAL
                                    (SELECT p.source = t.source AND p.conversation = t.conversation AS same
                                     FROM @hub@.touchpoints p
                                     WHERE p.touchpoint_id = w.previous_ref AND p.occurred_at = b.occurred_at
                                     LIMIT 1) l), false) END AS same_conversation,
           w.own, t.source, t.source_key, t.attributes, t.recorded_at, t.identity_id,
           extract(epoch FROM w.since_previous), extract(epoch FROM w.since_own),
           (w.occurred_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::date,
           extract(hour FROM w.occurred_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::integer
    FROM @hub@.home_journeys j
         CROSS JOIN LATERAL @extschema@.journey_timeline(j.journey, (SELECT s.session_gap FROM @hub@.settings s),
                                                         (SELECT s.handoff_within FROM @hub@.settings s),
                                                         (SELECT @hub@.not_own_actions())) w
         -- two equations would be taken for independent, so that one row is expected, and what is joined is looped over
         JOIN @hub@.touchpoints t ON t.touchpoint_id = w.ref AND t.occurred_at BETWEEN w.occurred_at AND w.occurred_at
    WHERE @hub@.check_period(NULL, timeline_between.since, timeline_between.until) IS NOT NULL
          AND (w.ref IS NOT NULL OR clock_timestamp() IS NULL)
          AND (timeline_between.since IS NULL
               OR t.occurred_at >= timeline_between.since
               AND @extschema@.journey_end(j.journey) >= timeline_between.since)
          AND (timeline_between.until IS NULL
               OR t.occurred_at < timeline_between.until
               AND @extschema@.journey_start(j.journey) < timeline_between.until);
END;
COMMENT ON FUNCTION @hub@.timeline_between(timestamptz, timestamptz) IS
    'the timeline from the one time on and before the other; all of it if both are NULL. Faster for many rows than the'
    ' view';

-- Whose it is tells the index of touchpoints; the rest is a walk over that customer's journey.
CREATE OR REPLACE FUNCTION @hub@.timeline_row(touchpoint_id bigint) RETURNS SETOF @hub@.timeline
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT v.*
    FROM @hub@.touchpoints t JOIN @hub@.identities i ON i.identity_id = t.identity_id
         CROSS JOIN LATERAL (SELECT l.* FROM @hub@.timeline l
                             WHERE l.customer_id = i.customer_id AND l.touchpoint_id = t.touchpoint_id
                                   AND l.occurred_at = t.occurred_at
                             OFFSET 0) v
    WHERE t.touchpoint_id = timeline_row.touchpoint_id;
END;
COMMENT ON FUNCTION @hub@.timeline_row(bigint) IS 'the row of a touchpoint in timeline, by index';

-- Views name no identifier, so that they can be read without the right to see identifiers. Most customers have few, and
-- a sort costs more than it takes to find them.
CREATE OR REPLACE FUNCTION @hub@.identifier_values(customer_id bigint) RETURNS @extschema@.identifier[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found @extschema@.identifier[] := ARRAY(SELECT i.identifier FROM identities i
                                            WHERE i.customer_id = identifier_values.customer_id
                                                  AND i.normal_id = i.identity_id
                                                  AND NOT is_internal(i.identifier));
BEGIN
    IF cardinality(found) > 2 OR found[1] > found[2] THEN
        RETURN ARRAY(SELECT u.identifier FROM unnest(found) u(identifier) ORDER BY u.identifier);
    END IF;
    RETURN nullif(found, '{}');
END $$;
COMMENT ON FUNCTION @hub@.identifier_values(bigint) IS
    'the identifiers of a customer that are not internal; NULL: there are none';
