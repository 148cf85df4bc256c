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
             a.assigned_at DESC, a.assignment_id DESC
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
         CROSS JOIN LATERAL (SELECT coalesce((SELECT @hub@.queue_hours()) -> a.queue, o.hours) AS hours) h
         CROSS JOIN LATERAL (SELECT u.at - clock_columns.began AS elapsed,
                                    @extschema@.business_time(clock_columns.began, u.at, h.hours) AS business) e;
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
    'which targets were held, and which not, by what they are of, and day, week, month, quarter, year or all, in the time'
    ' zone of settings; of what began from one time until before another; and by channel, queue, agent, priority or'
    ' source. What has not ended and is in time yet is running';

-- An open conversation is counted from the first full hour that is not before it began, or came to a queue or agent, up
-- to the first that is not before it was resolved, or went on.
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
    WITH clock AS (
        SELECT g.source, g.conversation, g.spans, s.channel, s.what = 'resolution' AS is_open, s.began_at,
               coalesce(s.ended_at, 'infinity') AS ended_at
        FROM conversation_groups(NULL, until) g CROSS JOIN LATERAL unnest(g.spans) s
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
    FROM @hub@.conversation_groups(waiting_now.since, NULL) g
         CROSS JOIN LATERAL unnest(g.spans) w
         CROSS JOIN LATERAL @hub@.clock_columns(w.what, g.source, g.conversation, w.channel, w.began_at, NULL) k
         LEFT JOIN LATERAL (SELECT r.what, c.target_within, c.in_business_hours, c.holds_until, c.breached
                            FROM unnest(g.spans) r
                                 CROSS JOIN LATERAL @hub@.clock_columns(r.what, g.source, g.conversation, r.channel,
                                                                        r.began_at, NULL) c
                            WHERE r.ended_at IS NULL AND r.what <> 'agent' AND c.target_within IS NOT NULL
                            ORDER BY c.holds_until, r.what = 'resolution', r.what = 'handover' LIMIT 1) t ON true
    WHERE (g.facts).waiting_since IS NOT NULL AND w.what IN ('first_response', 'reply') AND w.ended_at IS NULL;
END;
COMMENT ON FUNCTION @hub@.waiting_now(timestamptz) IS
    'conversations in which the customer waits for an answer: since when, how long, whom for, and of the targets that'
    ' count the one that is broken first, or was; of those with a touchpoint since then, NULL: of all';
