-- Service targets: who waits, until when what was promised holds, and what did not.
--
-- A clock runs from what it began with until what ended it; the extension's conversation_spans_agg tells of each
-- conversation which there are. Nothing of it is stored, so whatever comes late, merges or is reopened counts at once.

CREATE OR REPLACE FUNCTION @hub@.check_target() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NEW.what NOT IN ('first_response', 'reply', 'handover', 'resolution') THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = format('there are no targets of "%s"', NEW.what),
            HINT = 'Use first_response, reply, handover or resolution.';
    ELSIF NEW.within <= '0' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('nothing is done within %s', NEW.within), HINT = 'Give a time, as 4 hours.';
    ELSIF date_part('month', NEW.within) <> 0 OR date_part('year', NEW.within) <> 0 OR NOT isfinite(NEW.within) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('a target is of no fixed length: %s', NEW.within),
            HINT = 'Give days, which have 24 hours, or less.';
    ELSIF NEW.queue IS NOT NULL AND NOT EXISTS (SELECT FROM queues q WHERE q.queue = NEW.queue) THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = format('queue "%s" does not exist', NEW.queue),
            HINT = format('There are %s. Others are rows of queues.',
                          coalesce((SELECT string_agg(format('"%s"', q.queue), ', ' ORDER BY q.queue COLLATE "C")
                                    FROM queues q), 'none'));
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @hub@.check_target() IS 'trigger: refuse what is no target';
CREATE OR REPLACE TRIGGER check_target BEFORE INSERT OR UPDATE ON @hub@.service_targets FOR EACH ROW
    EXECUTE FUNCTION @hub@.check_target();

-- Functions become part of the query that calls them, so that what isn't asked for costs nothing.

CREATE OR REPLACE FUNCTION @hub@.assignment_at(source text, conversation text, at timestamptz, OUT queue text,
                                               OUT priority integer, OUT agent text, OUT is_open boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT a.queue, a.priority, @hub@.agent_name(a.agent, '', (SELECT @hub@.agent_names())), a.released_at IS NULL
    FROM @hub@.assignments a
    WHERE a.source = assignment_at.source AND a.conversation = assignment_at.conversation
    ORDER BY a.assigned_at > assignment_at.at, CASE WHEN a.assigned_at > assignment_at.at THEN a.assigned_at END,
             CASE WHEN a.assigned_at > assignment_at.at THEN a.assignment_id END, a.assigned_at DESC,
             a.assignment_id DESC
    LIMIT 1;
END;
COMMENT ON FUNCTION @hub@.assignment_at(text, text, timestamptz) IS
    'one row or none: the newest assignment of a conversation at a time, or the first one after it';

CREATE OR REPLACE FUNCTION @hub@.target_of(what text, queue text, priority integer, source text, channel text,
                                           OUT target_within interval, OUT in_business_hours boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT t.within, t.in_business_hours
    FROM @hub@.service_targets t
    WHERE t.what = target_of.what AND (t.queue IS NULL OR t.queue = target_of.queue)
          AND (t.priority IS NULL OR t.priority = target_of.priority)
          AND (t.source IS NULL OR t.source = target_of.source)
          AND (t.channel IS NULL OR t.channel = target_of.channel)
    ORDER BY num_nonnulls(t.queue, t.priority, t.source, t.channel) DESC, t.queue IS NULL, t.priority IS NULL,
             t.source IS NULL
    LIMIT 1;
END;
COMMENT ON FUNCTION @hub@.target_of(text, text, integer, text, text) IS
    'one row or none: the target that counts, see service_targets';

-- What lasts exactly as long as a target is in time, and where doors close just then, what comes before they open, too.
CREATE OR REPLACE FUNCTION @hub@.clock_columns(what text, source text, conversation text, channel text,
                                               began timestamptz, ended timestamptz)
RETURNS TABLE (
    queue text, priority integer, assigned_to text, target_within interval, in_business_hours boolean,
    elapsed interval, elapsed_business interval, holds_until timestamptz, breached boolean
) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT a.queue, a.priority, CASE WHEN a.is_open THEN a.agent END, t.target_within, t.in_business_hours,
           e.elapsed, e.business,
           CASE WHEN t.in_business_hours
                THEN @extschema@.business_time_after(clock_columns.began, t.target_within + interval '1 microsecond',
                                                     h.hours) - interval '1 microsecond'
                ELSE @extschema@.business_time_after(clock_columns.began, t.target_within, '{}') END,
           CASE WHEN t.in_business_hours THEN e.business ELSE e.elapsed END > t.target_within
    FROM (SELECT coalesce(clock_columns.ended, now()) AS at) u
         LEFT JOIN LATERAL @hub@.assignment_at(clock_columns.source, clock_columns.conversation,
                                               coalesce(clock_columns.ended, 'infinity')) a ON true
         LEFT JOIN LATERAL @hub@.target_of(clock_columns.what, a.queue, a.priority, clock_columns.source,
                                           clock_columns.channel) t ON true
         CROSS JOIN LATERAL @hub@.hours_of(clock_columns.source, clock_columns.channel) o
         CROSS JOIN LATERAL (SELECT coalesce((SELECT @hub@.queue_hours()) -> a.queue, o.hours) AS hours OFFSET 0) h
         CROSS JOIN LATERAL (SELECT u.at - clock_columns.began AS elapsed,
                                    @extschema@.business_time(clock_columns.began, u.at, h.hours) AS business
                             OFFSET 0) e;  -- worked out once
END;
COMMENT ON FUNCTION @hub@.clock_columns(text, text, text, text, timestamptz, timestamptz) IS
    'one row: the target of what lasts in a conversation, and whether it holds';

CREATE OR REPLACE FUNCTION @hub@.service_clocks_between(
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    OUT customer_id bigint, OUT source text, OUT conversation text, OUT what text, OUT touchpoint_id bigint,
    OUT channel text, OUT queue text, OUT priority integer, OUT agent text, OUT began_at timestamptz,
    OUT ended_at timestamptz, OUT ended_by text, OUT elapsed interval, OUT elapsed_business interval,
    OUT target_within interval, OUT in_business_hours boolean, OUT holds_until timestamptz, OUT breached boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000000
BEGIN ATOMIC
    SELECT g.customer_id, g.source, g.conversation, s.what, s.ref, s.channel, k.queue, k.priority,
           CASE WHEN s.ended_at IS NOT NULL THEN s.agent
                ELSE coalesce(k.assigned_to, (SELECT l.agent FROM unnest(g.spans) l
                                              WHERE l.what = 'agent' AND l.ended_at IS NULL)) END,
           s.began_at, s.ended_at, s.ended_by, k.elapsed, k.elapsed_business, k.target_within, k.in_business_hours,
           k.holds_until, k.breached
    FROM @hub@.conversation_groups(service_clocks_between.since, service_clocks_between.until) g
         CROSS JOIN LATERAL unnest(g.spans) s
         CROSS JOIN LATERAL @hub@.clock_columns(s.what, g.source, g.conversation, s.channel, s.began_at, s.ended_at) k
    WHERE @hub@.check_period(NULL, service_clocks_between.since, service_clocks_between.until) IS NOT NULL
          AND s.what <> 'agent'
          AND (service_clocks_between.since IS NULL OR s.began_at >= service_clocks_between.since)
          AND (service_clocks_between.until IS NULL OR s.began_at < service_clocks_between.until);
END;
COMMENT ON FUNCTION @hub@.service_clocks_between(timestamptz, timestamptz) IS
    'what targets are for, with the target that counts, if there is one: waits, hand-overs and open conversations that'
    ' began from the one time on and before the other; of all time if both are NULL. What breaches() counts';

CREATE OR REPLACE FUNCTION @hub@.breaches(
    period text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    breakdown text DEFAULT NULL, OUT period_start date, OUT breakdown_value text, OUT what text,
    OUT clocks bigint, OUT held bigint, OUT breached bigint, OUT running bigint, OUT breached_share numeric,
    OUT late_median interval, OUT late_median_seconds double precision, OUT late_p90 interval,
    OUT late_p90_seconds double precision)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    unit text := check_period(period, since, until);
    zone text := (SELECT s.time_zone FROM settings s);
BEGIN
    IF breakdown NOT IN ('channel', 'queue', 'agent', 'priority', 'source') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown breakdown: "%s"', breakdown),
            HINT = 'Use channel, queue, agent, priority or source, or NULL for none.';
    END IF;
    RETURN QUERY
    SELECT nullif(c.start, '-infinity'), c.key[1], c.what, c.clocks, c.clocks - c.breached - c.running, c.breached,
           c.running, round(c.breached::numeric / nullif(c.clocks - c.running, 0), 4),
           make_interval(secs => c.late[1]), round(c.late[1] * 1000) / 1000,
           make_interval(secs => c.late[2]), round(c.late[2] * 1000) / 1000
    FROM (SELECT coalesce(period_start(s.began_at, unit, zone), '-infinity') AS start,
                 ARRAY[CASE breakdown WHEN 'channel' THEN s.channel WHEN 'queue' THEN s.queue WHEN 'agent' THEN s.agent
                                      WHEN 'priority' THEN s.priority::text WHEN 'source' THEN s.source END] AS key,
                 s.what, count(*) AS clocks, count(*) FILTER (WHERE s.breached) AS breached,
                 count(*) FILTER (WHERE s.ended_at IS NULL AND NOT s.breached) AS running,
                 percentile_cont('{0.5,0.9}'::double precision[]) WITHIN GROUP
                     (ORDER BY date_part('epoch', CASE WHEN s.in_business_hours THEN s.elapsed_business
                                                       ELSE s.elapsed END)
                               - date_part('epoch', s.target_within))
                     FILTER (WHERE s.breached) AS late
          FROM service_clocks_between(since, until) s
          WHERE s.target_within IS NOT NULL
          GROUP BY 1, 2, 3) c;
END $$;
COMMENT ON FUNCTION @hub@.breaches(text, timestamptz, timestamptz, text) IS
    'which targets were held, and which not, by what they are of, and day, week, month, quarter, year or all, in the'
    ' time zone of settings; of what began from one time until before another; and by channel, queue, agent, priority '
    'or source. What has not ended and is in time yet is running';

-- An open conversation is counted from the first full hour that is not before it began, or came to a queue or agent, up
-- to the first that is not before it was resolved, or went on. What ended with a resolution before then is left out
-- before it is looked at more closely: that is most of history.
CREATE OR REPLACE FUNCTION @hub@.backlog(
    since timestamptz DEFAULT now() - interval '1 day', until timestamptz DEFAULT now(), breakdown text DEFAULT NULL,
    OUT hour_start timestamptz, OUT breakdown_value text, OUT open_conversations bigint, OUT waiting bigint)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    hours timestamptz[];
BEGIN
    PERFORM check_period(NULL, since, until);
    IF breakdown NOT IN ('channel', 'queue', 'agent', 'source') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown breakdown: "%s"', breakdown),
            HINT = 'Use channel, queue, agent or source, or NULL for none.';
    ELSIF since IS NULL OR until IS NULL OR NOT isfinite(since) OR NOT isfinite(until) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('hours can''t be counted from %s until %s', coalesce(since::text, 'NULL'),
                             coalesce(until::text, 'NULL')),
            HINT = 'Give the first and the last time that are meant.';
    END IF;
    -- clocks are put forward by half an hour, too
    hours := ARRAY(SELECT h.at
                   FROM (SELECT s.time_zone FROM settings s) z
                        CROSS JOIN generate_series(date_trunc('hour', since, z.time_zone), until,
                                                   interval '30 minutes') h(at)
                   WHERE h.at >= since AND h.at < until AND date_trunc('hour', h.at, z.time_zone) = h.at
                   ORDER BY h.at);
    RETURN QUERY
    WITH candidate AS MATERIALIZED (
        SELECT p.customer_id, p.source, p.conversation
        FROM conversation_touchpoints p
        GROUP BY p.customer_id, p.source, p.conversation
        HAVING min(p.occurred_at) < until
               AND (max(p.occurred_at) >= since
                    OR coalesce(max(p.occurred_at) FILTER (WHERE p.means NOT IN ('resolves', 'asks_and_resolves')
                                                                 OR p.means IS NULL)
                                >= max(p.occurred_at) FILTER (WHERE p.means IN ('resolves', 'asks_and_resolves')),
                                bool_and(p.means NOT IN ('resolves', 'asks_and_resolves') IS NOT FALSE)))
    ), clock AS (
        SELECT g.source, g.conversation, g.spans, s.channel, s.what = 'resolution' AS is_open, s.began_at,
               coalesce(s.ended_at, 'infinity') AS ended_at
        FROM (SELECT p.source, p.conversation,
                     conversation_spans_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot, p.direction,
                                            p.means) AS spans
              FROM candidate n
                   JOIN conversation_touchpoints p ON p.customer_id = n.customer_id AND p.source = n.source
                                                      AND p.conversation = n.conversation
              GROUP BY p.customer_id, p.source, p.conversation) g
             CROSS JOIN LATERAL unnest(g.spans) s
        WHERE s.what IN ('resolution', 'first_response', 'reply') AND s.began_at < until
              AND (s.ended_at IS NULL OR s.ended_at > since)
    ), piece AS (
        SELECT ARRAY[CASE breakdown WHEN 'channel' THEN c.channel WHEN 'source' THEN c.source END] AS key, c.is_open,
               c.began_at, c.ended_at
        FROM clock c WHERE breakdown IS NULL OR breakdown IN ('channel', 'source')
        UNION ALL
        SELECT ARRAY[CASE WHEN breakdown = 'queue' THEN a.queue WHEN a.agent IS NOT NULL THEN a.agent
                          ELSE (SELECT l.agent FROM unnest(c.spans) l
                                WHERE l.what = 'agent' AND l.began_at <= b.began_at
                                      AND (l.ended_at IS NULL OR l.ended_at > b.began_at)) END],
               c.is_open, b.began_at, b.ended_at
        FROM clock c
             CROSS JOIN LATERAL (
                 SELECT p.at AS began_at, lead(p.at, 1, c.ended_at) OVER (ORDER BY p.at) AS ended_at
                 FROM (SELECT c.began_at AS at
                       UNION
                       SELECT t.at
                       FROM assignments x CROSS JOIN LATERAL (VALUES (x.assigned_at), (x.released_at)) t(at)
                       WHERE x.source = c.source AND x.conversation = c.conversation
                       UNION
                       SELECT l.began_at FROM unnest(c.spans) l WHERE l.what = 'agent') p
                 WHERE p.at >= c.began_at AND p.at < c.ended_at) b
             LEFT JOIN LATERAL (
                 SELECT x.queue, CASE WHEN x.released_at IS NULL OR x.released_at > b.began_at
                                      THEN agent_name(x.agent, '', (SELECT agent_names())) END AS agent
                 FROM assignments x
                 WHERE x.source = c.source AND x.conversation = c.conversation AND x.assigned_at <= b.began_at
                 ORDER BY x.assigned_at DESC, x.assignment_id DESC LIMIT 1) a ON true
        WHERE breakdown IN ('queue', 'agent')
    ), counted AS (
        SELECT p.key, e.place, coalesce(sum(e.change) FILTER (WHERE p.is_open), 0) AS opened,
               coalesce(sum(e.change) FILTER (WHERE NOT p.is_open), 0) AS asked
        FROM piece p
             CROSS JOIN LATERAL (VALUES
                 (width_bucket(p.began_at - interval '1 microsecond', hours) + 1, 1),
                 (width_bucket(p.ended_at - interval '1 microsecond', hours) + 1, -1)) e(place, change)
        GROUP BY 1, 2
    ), found AS (
        SELECT DISTINCT c.key FROM counted c WHERE c.opened <> 0 OR c.asked <> 0
        UNION
        SELECT '{NULL}'::text[] WHERE breakdown IS NULL
    )
    SELECT hours[n.place], f.key[1], sum(coalesce(c.opened, 0)) OVER w::bigint, sum(coalesce(c.asked, 0)) OVER w::bigint
    FROM found f CROSS JOIN generate_subscripts(hours, 1) n(place)
         LEFT JOIN counted c ON c.key = f.key AND c.place = n.place
    WINDOW w AS (PARTITION BY f.key ORDER BY n.place);
END $$;
COMMENT ON FUNCTION @hub@.backlog(timestamptz, timestamptz, text) IS
    'conversations that were open, and in which a customer waited, at each full hour in the time zone of settings, from'
    ' one time until before another, by default of the last day; and by channel, queue, agent or source, those of that'
    ' hour. A queue or agent that had none in all of it has no rows';

-- By index, whatever the server thinks of notes, which come in thousands and go all at once. OFFSET 0: one by one.
CREATE OR REPLACE FUNCTION @hub@.changed_conversations()
RETURNS TABLE (source text, conversation text, may_wait boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT c.source, c.conversation, bool_or(c.may_wait)
    FROM (SELECT t.source, t.conversation, t.direction = 'in' AS may_wait
          FROM journey_changes n
               CROSS JOIN LATERAL (SELECT p.source, p.conversation, coalesce(p.direction, '') AS direction
                                   FROM touchpoints p
                                   WHERE p.touchpoint_id = touchpoint_ref(n.touchpoint)
                                         AND p.occurred_at = touchpoint_time(n.touchpoint)
                                         AND p.conversation IS NOT NULL
                                   OFFSET 0) t
          WHERE n.touchpoint IS NOT NULL
          UNION ALL
          SELECT t.source, t.conversation, true
          FROM (SELECT DISTINCT n.identity_id FROM journey_changes n WHERE n.touchpoint IS NULL) i
               CROSS JOIN LATERAL (SELECT p.source, p.conversation FROM touchpoints p
                                   WHERE p.identity_id = i.identity_id AND p.conversation IS NOT NULL OFFSET 0) t) c
    GROUP BY c.source, c.conversation;
END $$;
COMMENT ON FUNCTION @hub@.changed_conversations() IS
    'conversations that journey_changes tells of: what has changed since the last refresh(), and whether a customer may'
    ' wait by it who did not before';

-- Of who may be waiting: what was noted, and what has changed since. Where policies hide touchpoints, but neither
-- journeys nor changes, or where nothing is noted yet, all conversations are looked at.
CREATE OR REPLACE FUNCTION @hub@.reads_noted_waits() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN @hub@.reads_stored() AND EXISTS (SELECT FROM @hub@.noted_waits w
                                        WHERE w.source IS NULL AND w.conversation IS NULL);
COMMENT ON FUNCTION @hub@.reads_noted_waits() IS 'whether noted_waits tells you of all that may be waiting';

ALTER TABLE @hub@.noted_waits ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS sees_conversation ON @hub@.noted_waits;
CREATE POLICY sees_conversation ON @hub@.noted_waits
    USING (noted_waits.conversation IS NULL OR NOT (SELECT @hub@.hides_rows($$@hub@.touchpoints$$))
           OR EXISTS (SELECT FROM @hub@.touchpoints t
                      WHERE t.conversation = noted_waits.conversation AND t.source = noted_waits.source));
DROP POLICY IF EXISTS empties ON @hub@.noted_waits;
CREATE POLICY empties ON @hub@.noted_waits FOR DELETE USING (true);

CREATE OR REPLACE FUNCTION @hub@.waiting_groups(since timestamptz)
RETURNS TABLE (
    customer_id bigint, source text, conversation text, facts @extschema@.conversation_facts,
    subject text, spans @extschema@.conversation_span[]
) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT g.customer_id, g.source, g.conversation, g.facts, g.subject, g.spans
    FROM @hub@.conversation_groups(waiting_groups.since, NULL) g
    WHERE NOT (SELECT @hub@.reads_noted_waits()) AND (g.facts).waiting_since IS NOT NULL
    UNION ALL
    SELECT g.customer_id, g.source, g.conversation, g.facts, g.subject, g.spans
    FROM (SELECT p.customer_id, p.source, p.conversation,
                 @extschema@.conversation_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot,
                                              p.direction, p.means) AS facts,
                 (array_agg(p.subject ORDER BY p.occurred_at, p.touchpoint_id)
                  FILTER (WHERE p.subject IS NOT NULL))[1] AS subject,
                 @extschema@.conversation_spans_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot,
                                                    p.direction, p.means) AS spans
          FROM (SELECT u.source, u.conversation, min(u.started_at) AS started_at
                FROM (SELECT w.source, w.conversation, coalesce(w.started_at, '-infinity') AS started_at,
                             true AS may_wait
                      FROM @hub@.noted_waits w
                      WHERE w.conversation IS NOT NULL
                            AND (waiting_groups.since IS NULL OR w.last_at IS NULL
                                 OR w.last_at >= waiting_groups.since)
                      UNION ALL
                      SELECT n.source, n.conversation, '-infinity' AS started_at, n.may_wait
                      FROM @hub@.changed_conversations() n) u
                GROUP BY u.source, u.conversation
                HAVING bool_or(u.may_wait)) n
               JOIN @hub@.conversation_touchpoints p ON p.source = n.source AND p.conversation = n.conversation
                                                        AND p.occurred_at >= n.started_at
          WHERE (SELECT @hub@.reads_noted_waits())
          GROUP BY p.customer_id, p.source, p.conversation) g
    WHERE (g.facts).waiting_since IS NOT NULL
          AND (waiting_groups.since IS NULL OR (g.facts).last_at >= waiting_groups.since);
END;
COMMENT ON FUNCTION @hub@.waiting_groups(timestamptz) IS
    'what is known of conversations in which a customer waits, of those with a touchpoint since then; NULL: of all';

-- What refresh() does in the statement that takes the notes away; what has changed since is in notes.
CREATE OR REPLACE FUNCTION @hub@.settle_waits(anew boolean) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT sees_all_journeys() THEN
        DELETE FROM noted_waits;
    ELSIF anew OR NOT reads_noted_waits() THEN
        DELETE FROM noted_waits;
        -- a snapshot from before may not know what actions mean now
        IF current_setting('transaction_isolation') = 'read committed' THEN
            INSERT INTO noted_waits (source, conversation, started_at, last_at)
            SELECT g.source, g.conversation, min((g.facts).started_at), max((g.facts).last_at)
            FROM conversation_groups(NULL, NULL) g
            WHERE (g.facts).waiting_since IS NOT NULL
            GROUP BY g.source, g.conversation
            UNION ALL
            SELECT NULL, NULL, NULL, NULL;
        END IF;
    ELSE
        WITH found AS (
            SELECT g.source, g.conversation, min(g.started_at) AS started_at, max(g.last_at) AS last_at
            FROM (SELECT p.source, p.conversation, min(p.occurred_at) AS started_at, max(p.occurred_at) AS last_at,
                         (conversation_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot,
                                           p.direction, p.means)).waiting_since
                  FROM noted_waits w JOIN conversation_touchpoints p ON p.source = w.source
                                                                        AND p.conversation = w.conversation
                  WHERE w.started_at IS NULL
                  GROUP BY p.customer_id, p.source, p.conversation) g
            WHERE g.waiting_since IS NOT NULL
            GROUP BY g.source, g.conversation
        ), kept AS (
            UPDATE noted_waits w SET started_at = f.started_at, last_at = f.last_at
            FROM found f WHERE w.source = f.source AND w.conversation = f.conversation
        )
        DELETE FROM noted_waits w
        WHERE w.started_at IS NULL AND w.conversation IS NOT NULL
              AND NOT EXISTS (SELECT FROM found f WHERE f.source = w.source AND f.conversation = w.conversation);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.settle_waits(boolean) IS
    'look at what refresh() has put into noted_waits, and keep what waits; or make it anew';

-- TRUNCATE: whatever this transaction sees of them.
CREATE OR REPLACE FUNCTION @hub@.actions_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    LOCK TABLE refresh_lock IN SHARE ROW EXCLUSIVE MODE;
    TRUNCATE noted_waits;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.actions_changed() IS 'trigger: who waits must be noted anew';
CREATE OR REPLACE TRIGGER actions_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @hub@.actions
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.actions_changed();

CREATE OR REPLACE FUNCTION @hub@.waiting_now(
    since timestamptz DEFAULT NULL,
    OUT customer_id bigint, OUT source text, OUT conversation text, OUT subject text, OUT channel text,
    OUT queue text, OUT priority integer, OUT agent text, OUT handled_by text, OUT handed_over_at timestamptz,
    OUT last_at timestamptz, OUT waiting_since timestamptz, OUT waits interval, OUT business_waits interval,
    OUT waits_seconds numeric, OUT business_waits_seconds numeric, OUT target text, OUT target_within interval,
    OUT in_business_hours boolean, OUT holds_until timestamptz, OUT breached boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT g.customer_id, g.source, g.conversation, g.subject, w.channel, k.queue, k.priority,
           coalesce(k.assigned_to, (SELECT l.agent FROM unnest(g.spans) l
                                    WHERE l.what = 'agent' AND l.ended_at IS NULL)),
           (g.facts).handled_by, (g.facts).handed_over_at, (g.facts).last_at, w.began_at, k.elapsed,
           k.elapsed_business, extract(epoch FROM k.elapsed), extract(epoch FROM k.elapsed_business), t.what,
           t.target_within, t.in_business_hours, t.holds_until, t.breached
    FROM @hub@.waiting_groups(waiting_now.since) g
         CROSS JOIN LATERAL unnest(g.spans) w
         CROSS JOIN LATERAL @hub@.clock_columns(w.what, g.source, g.conversation, w.channel, w.began_at, NULL) k
         LEFT JOIN LATERAL (SELECT r.what, c.target_within, c.in_business_hours, c.holds_until, c.breached
                            FROM unnest(g.spans) r
                                 CROSS JOIN LATERAL @hub@.clock_columns(r.what, g.source, g.conversation, r.channel,
                                                                        r.began_at, NULL) c
                            WHERE r.ended_at IS NULL AND r.what <> 'agent' AND c.target_within IS NOT NULL
                            ORDER BY c.holds_until, r.what = 'resolution', r.what = 'handover' LIMIT 1) t ON true
    WHERE w.what IN ('first_response', 'reply') AND w.ended_at IS NULL;
END;
COMMENT ON FUNCTION @hub@.waiting_now(timestamptz) IS
    'conversations in which the customer waits for an answer: since when, how long, whom for, and of the targets that'
    ' count the one that is broken first, or was; of those with a touchpoint since then, NULL: of all';
