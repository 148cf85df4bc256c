-- Property test: whatever is told in two ways is told alike, over a random hub: by rows and by measures, by period and of all time, of
-- one customer and of all, before and after refresh, and however customers merge and split. PGJ_SEED gives another hub; the
-- output stays the same.
\set seed 1
\getenv seed PGJ_SEED
SET client_min_messages = warning;
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'ISO, MDY';
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SELECT journey_create_hub('Ágora "x"');
SET search_path = 'Ágora "x"', public;
CREATE FUNCTION rnd(i bigint, k integer, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(i * 64 + k, :seed) & 9223372036854775807) % n;

-- 40 customers, the last four without touchpoints, and the first with one; around days that a zone skips, repeats, or begins late
UPDATE settings SET past_within = NULL, future_within = NULL;
INSERT INTO business_calendars VALUES ('night', NULL), ('always', 'Asia/Kolkata');
INSERT INTO business_hours SELECT d, '09:00', '13:00' FROM generate_series(1, 5) d;
INSERT INTO business_hours SELECT d, '12:00', '18:00' FROM generate_series(1, 7) d;
INSERT INTO business_hours SELECT d, '22:00', '24:00', 'night' FROM generate_series(1, 7) d;
INSERT INTO business_hours SELECT d, '00:00', '06:00', 'night' FROM generate_series(1, 7) d;
INSERT INTO business_exceptions VALUES ('2011-12-30', NULL, NULL, 'default'), ('2018-11-04', '00:00', '24:00', 'default'), ('2018-02-18', '00:00', '01:00', 'night'), ('2012-01-01', NULL, NULL, 'always');
INSERT INTO calendar_uses VALUES ('source', 'b', 'night'), ('channel', 'web', 'always');
SELECT count(identify(ARRAY[identifier('id', n::text)], '2000-01-01Z', 'test', n::text)) FROM generate_series(1, 40) n;
CREATE VIEW who AS SELECT identity_id, substr(identifier::text, 4)::bigint AS n FROM identities WHERE identifier::text LIKE 'id:%';
CREATE FUNCTION happen(first bigint, last bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, direction, conversation, agent, source, value, currency, attributes)
    SELECT i, w.identity_id,
           (ARRAY['2011-12-28Z', '2018-02-17Z', '2018-11-03Z', '2024-02-28Z', '0001-01-01Z']::timestamptz[])[1 + CASE WHEN i % 97 = 0 THEN 4 ELSE w.n % 4 END]
               + rnd(i, 1, 5 * 24 * 12) * interval '5 minutes' + rnd(i, 9, 2) * interval '1 us' * rnd(i, 10, 1000000),
           (ARRAY['web', 'email', 'whatsapp', 'phone', 'store', 'Loja "São João"', 'chat'])[1 + rnd(i, 2, 7)],
           (ARRAY['message', 'message', 'message', 'message', 'message', 'view', 'delivered', 'resolved', 'reopened', 'handover', 'call_completed'])[1 + rnd(i, 3, 11)],
           (ARRAY['in', 'in', 'out', 'out', NULL])[1 + rnd(i, 4, 5)], CASE WHEN rnd(i, 5, 4) > 0 AND i % 97 > 0 THEN '“c”' || w.n / 3 END,
           (ARRAY[NULL, 'bot', 'bot:x', 'Bot', 'marta', 'Zé "o" O''Neill'])[1 + rnd(i, 6, 6)], (ARRAY['a', 'b'])[1 + rnd(i, 7, 2)],
           CASE WHEN rnd(i, 8, 4) = 0 THEN rnd(i, 12, 100) END, CASE WHEN rnd(i, 8, 4) = 0 THEN (ARRAY['EUR', 'USD', NULL])[1 + rnd(i, 13, 3)] END,
           CASE WHEN rnd(i, 14, 9) = 0 THEN jsonb_build_object('k', i) END
    FROM generate_series(first, last) i JOIN who w ON w.n = CASE WHEN i = 1 THEN 1 ELSE 2 + rnd(i, 0, 35) END
$$;

-- Pairs of queries that say the same; %1$s is a period, %2$s the bounds, and %3$s a condition on a time
CREATE TABLE pair (n int PRIMARY KEY, kind text, a text, b text);
INSERT INTO pair VALUES
-- by customer, of one or of all
(1, 'all', $$TABLE timeline$$, $$SELECT * FROM timeline_between()$$),
(2, 'all', $$TABLE timeline$$, $$SELECT t.* FROM customers c, timeline_of(c.customer_id) t$$),
(3, 'all', $$TABLE timeline$$, $$SELECT r.* FROM touchpoints t, timeline_row(t.touchpoint_id) r$$),
(4, 'all', $$SELECT touchpoint_id, occurred_at FROM timeline$$, $$SELECT touchpoint_id, occurred_at FROM touchpoints$$),
(5, 'all', $$TABLE visits$$, $$SELECT t.* FROM customers c, visits_of(c.customer_id) t$$),
(6, 'all', $$TABLE sessions$$, $$SELECT t.* FROM customers c, sessions_of(c.customer_id) t$$),
(7, 'all', $$TABLE handoffs$$, $$SELECT t.* FROM customers c, handoffs_of(c.customer_id) t$$),
(8, 'all', $$TABLE conversations$$, $$SELECT * FROM conversations_between()$$),
(9, 'all', $$TABLE conversations$$, $$SELECT t.* FROM customers c, conversations_of(c.customer_id) t$$),
(10, 'all', $$TABLE conversations$$, $$SELECT t.* FROM (SELECT DISTINCT conversation FROM touchpoints) n, conversations_named(n.conversation) t$$),
(11, 'all', $$TABLE replies$$, $$SELECT * FROM replies_between()$$),
(12, 'all', $$TABLE replies$$, $$SELECT t.* FROM customers c, replies_of(c.customer_id) t$$),
(13, 'all', $$TABLE customer_360$$, $$SELECT t.* FROM customers c, customer_360_of(c.customer_id) t$$),
(14, 'all', $$SELECT customer_id, source, conversation, subject, handled_by, handed_over_at, last_at, waiting_since, extract(epoch FROM now() - waiting_since) FROM conversations WHERE waiting_since IS NOT NULL$$, $$SELECT customer_id, source, conversation, subject, handled_by, handed_over_at, last_at, waiting_since, waits_seconds FROM waiting_now()$$),
(15, 'all', $$SELECT customer_id, journey FROM current_journeys$$, $$SELECT customer_id, journey FROM journeys_by_customer WHERE journey <> '{}'$$),
(16, 'all', $$SELECT customer_id, journey FROM own_journeys WHERE journey <> '{}'$$,
    $$SELECT customer_id, journey_agg(occurred_at, channel, action, CASE WHEN coalesce(currency, 'EUR') = 'EUR' THEN value END, touchpoint_id, packed_detail(direction, agent))
      FROM timeline WHERE own GROUP BY 1$$),
-- rows, and counts of them
(20, 'all', $$SELECT customer_id, touchpoints, sessions, visits, handoffs, first_at, last_at, last_own_at, open, channels
              FROM (SELECT customer_id, touchpoints, sessions, visits, handoffs, first_seen AS first_at, last_at, last_own_at, open_conversations AS open, channels FROM customer_360 WHERE touchpoints > 0) c$$,
    $$SELECT customer_id, count(*), max(session), count(*) FILTER (WHERE begins_visit), count(*) FILTER (WHERE is_handoff),
             least(min(occurred_at), '2000-01-01Z'), max(occurred_at), max(occurred_at) FILTER (WHERE own),
             (SELECT count(*) FROM conversations c WHERE c.customer_id = t.customer_id AND status = 'open'), array_agg(DISTINCT channel COLLATE "C" ORDER BY channel COLLATE "C")
      FROM timeline t GROUP BY customer_id$$),
(21, 'all', $$SELECT customer_id, sessions, visits, handoffs FROM customer_360$$,
    $$SELECT customer_id, (SELECT count(*) FROM sessions s WHERE s.customer_id = c.customer_id), (SELECT count(*) FROM visits s WHERE s.customer_id = c.customer_id),
             (SELECT count(*) FROM handoffs s WHERE s.customer_id = c.customer_id) FROM customers c$$),
(22, 'all', $$SELECT customer_id, visit, from_channel, to_channel, occurred_at, after, first_touchpoint_id FROM handoffs JOIN visits v USING (customer_id, visit)$$,
    $$SELECT customer_id, visit, came_from, channel, started_at, came_after, first_touchpoint_id FROM visits WHERE came_from IS NOT NULL$$),
(23, 'all', $$SELECT customer_id, touchpoint_id, previous_channel, channel, since_own, same_conversation FROM timeline WHERE is_handoff$$,
    $$SELECT customer_id, first_touchpoint_id, from_channel, to_channel, after, conversation IS NOT NULL FROM handoffs h JOIN visits v USING (customer_id, visit)$$),
(24, 'all', $$SELECT customer_id, session, touchpoints, started_at, ended_at FROM sessions$$,
    $$SELECT customer_id, session, count(*), min(occurred_at), max(occurred_at) FROM timeline GROUP BY 1, 2$$),
(25, 'all', $$SELECT customer_id, visit, left_to, left_after FROM visits WHERE left_to IS NOT NULL$$, $$SELECT customer_id, visit - 1, to_channel, after FROM handoffs$$),
(26, 'all', $$SELECT customer_id, source, conversation, touchpoints, messages_in FROM conversations$$,
    $$SELECT customer_id, source, conversation, count(*), count(*) FILTER (WHERE turn = 'asks') FROM (SELECT DISTINCT ON (touchpoint_id) * FROM turns ORDER BY touchpoint_id, step) t
      WHERE conversation IS NOT NULL GROUP BY 1, 2, 3$$),
(27, 'all', $$SELECT customer_id, source, conversation, answered_at, answered_by FROM conversations c
              WHERE EXISTS (SELECT FROM replies r WHERE r.customer_id = c.customer_id AND r.source = c.source AND r.conversation = c.conversation AND r.replied_at <= c.answered_at)$$,
    $$SELECT customer_id, source, conversation, replied_at, agent FROM replies WHERE kind = 'first'$$),
(28, 'all', $$SELECT customer_id, source, conversation, first_resolved_at FROM conversations WHERE first_resolved_at IS NOT NULL$$,
    $$SELECT customer_id, source, conversation, resolved_at FROM resolutions$$),
(29, 'all', $$SELECT DISTINCT local_day FROM timeline$$, $$SELECT DISTINCT d.day FROM dim_days d JOIN timeline t ON t.local_day = d.day$$),
(30, 'all', $$SELECT agent, touchpoints FROM dim_agents$$, $$SELECT agent, count(*) FROM timeline WHERE agent IS NOT NULL GROUP BY 1$$),
(31, 'all', $$SELECT channel, touchpoints FROM channel_mix$$, $$SELECT channel, count(*) FROM timeline JOIN dim_channels USING (channel) GROUP BY 1$$),
(32, 'all', $$SELECT value_by_currency FROM customer_360 WHERE value_by_currency <> '{}'$$,
    $$SELECT jsonb_object_agg(c, v) FROM (SELECT customer_id, coalesce(currency, '') c, sum(value) v FROM timeline WHERE value IS NOT NULL GROUP BY 1, 2) s GROUP BY customer_id$$),
-- views are the functions
(40, 'all', $$TABLE channel_mix_monthly$$, $$SELECT * FROM channel_mix('month')$$),
(41, 'all', $$TABLE channel_transitions_monthly$$, $$SELECT * FROM channel_transitions('month')$$),
(42, 'all', $$TABLE omnichannel_monthly$$, $$SELECT * FROM omnichannel('month')$$),
(43, 'all', $$SELECT NULL::date, * FROM omnichannel$$, $$SELECT * FROM omnichannel()$$),
(44, 'all', $$SELECT to_jsonb(s) FROM service_levels_monthly s$$, $$SELECT to_jsonb(s) - 'breakdown_value' FROM service_levels('month') s$$),
-- by period, from one time until another
(50, 'range', $$SELECT period_start, channel, touchpoints, customers, inbound, outbound, sessions, visits, visits_left, coalesce(value_by_currency, '{}') FROM channel_mix(%1$L, %2$s)$$,
    $$SELECT * FROM (SELECT pd(t.occurred_at, %1$L), channel, count(*) n, count(DISTINCT customer_id), count(*) FILTER (WHERE direction = 'in'), count(*) FILTER (WHERE direction = 'out')
                     FROM kept_timeline t WHERE between_(t.occurred_at, %2$s) GROUP BY 1, 2) t(p, channel)
      CROSS JOIN LATERAL (SELECT count(*) FROM (SELECT min(occurred_at) AS at FROM kept_timeline s WHERE s.channel = t.channel GROUP BY customer_id, session) s
                          WHERE between_(s.at, %2$s) AND pd(s.at, %1$L) IS NOT DISTINCT FROM t.p) s
      CROSS JOIN LATERAL (SELECT count(*), count(left_to) FROM kept_visits v WHERE v.channel = t.channel AND between_(started_at, %2$s) AND pd(started_at, %1$L) IS NOT DISTINCT FROM t.p) v
      CROSS JOIN LATERAL (SELECT coalesce(jsonb_object_agg(c, v), '{}') FROM (SELECT coalesce(currency, '') c, sum(value) v FROM kept_timeline l
                          WHERE value IS NOT NULL AND l.channel = t.channel AND between_(occurred_at, %2$s) AND pd(occurred_at, %1$L) IS NOT DISTINCT FROM t.p GROUP BY 1) x) m$$),
(51, 'range', $$SELECT period_start, from_channel, to_channel, handoffs, customers, median_time, median_seconds FROM channel_transitions(%1$L, %2$s)$$,
    $$SELECT pd(occurred_at, %1$L), from_channel, to_channel, count(*), count(DISTINCT customer_id), percentile_cont(0.5) WITHIN GROUP (ORDER BY after), extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY after))
      FROM kept_handoffs WHERE between_(occurred_at, %2$s) GROUP BY 1, 2, 3$$),
(52, 'range', $$SELECT period_start, customers, multichannel FROM omnichannel(%1$L, %2$s) WHERE customers > 0$$,
    $$SELECT p, count(*), count(*) FILTER (WHERE n > 1) FROM (SELECT pd(occurred_at, %1$L) p, customer_id, count(DISTINCT channel) n FROM kept_timeline WHERE own AND between_(occurred_at, %2$s) GROUP BY 1, 2) c GROUP BY 1$$),
(53, 'range', $$SELECT period_start, cross_channel, omnichannel, handoffs FROM omnichannel(%1$L, %2$s) WHERE handoffs > 0$$,
    $$SELECT pd(occurred_at, %1$L), count(DISTINCT customer_id), count(DISTINCT customer_id) FILTER (WHERE is_omnichannel), count(*) FROM kept_handoffs WHERE between_(occurred_at, %2$s) GROUP BY 1$$),
(54, 'range', $$SELECT period_start, contacts, repeat_contacts, repeat_contacts_per_customer FROM omnichannel(%1$L, %2$s) WHERE contacts > 0$$,
    $$SELECT pd(occurred_at, %1$L), count(*), count(*) FILTER (WHERE is_repeat), round(count(*) FILTER (WHERE is_repeat)::numeric / count(DISTINCT customer_id), 4) FROM kept_contacts WHERE between_(occurred_at, %2$s) GROUP BY 1$$),
(55, 'range', $$SELECT period_start, resolved, resolved_at_first_contact FROM omnichannel(%1$L, %2$s) WHERE resolved > 0$$,
    $$SELECT pd(resolved_at, %1$L), count(*), count(*) FILTER (WHERE at_first_contact) FROM kept_resolutions WHERE between_(resolved_at, %2$s) GROUP BY 1$$),
(56, 'range', $$SELECT period_start, contacts, repeat_contacts FROM omnichannel(%1$L, %2$s) WHERE contacts > 0$$, $$SELECT period_start, contacts, repeat_contacts FROM service_levels(%1$L, %2$s) WHERE contacts > 0$$),
(57, 'range', $$SELECT period_start, first_resolutions, resolved_at_first_contact FROM service_levels(%1$L, %2$s) WHERE first_resolutions > 0$$,
    $$SELECT period_start, resolved, resolved_at_first_contact FROM omnichannel(%1$L, %2$s) WHERE resolved > 0$$),
(58, 'range', $$SELECT period_start, conversations, asked, answered, resolved, abandoned, reopenings, transfers, handovers, bot_seconds::numeric, people_seconds::numeric FROM service_levels(%1$L, %2$s) WHERE conversations > 0$$,
    $$SELECT pd(coalesce(asked_at, started_at), %1$L), count(*), count(asked_at), count(answered_at), count(resolved_at), count(*) FILTER (WHERE is_abandoned),
             sum(reopenings), sum(transfers), sum(handovers), coalesce(sum(bot_seconds), 0), coalesce(sum(people_seconds), 0) FROM kept_conversations WHERE between_(coalesce(asked_at, started_at), %2$s) GROUP BY 1$$),
(59, 'range', $$SELECT period_start, replies FROM service_levels(%1$L, %2$s) WHERE replies > 0$$, $$SELECT pd(asked_at, %1$L), count(*) FROM kept_replies WHERE between_(asked_at, %2$s) GROUP BY 1$$),
-- parts, and the whole
(70, 'parts', $$SELECT channel, touchpoints, inbound, outbound, visits, visits_left FROM channel_mix('all', %2$s)$$,
    $$SELECT channel, sum(touchpoints), sum(inbound), sum(outbound), sum(visits), sum(visits_left) FROM channel_mix(%1$L, %2$s) GROUP BY 1$$),
(71, 'parts', $$SELECT from_channel, to_channel, handoffs FROM channel_transitions(NULL, %2$s)$$, $$SELECT from_channel, to_channel, sum(handoffs) FROM channel_transitions(%1$L, %2$s) GROUP BY 1, 2$$),
(72, 'parts', $$SELECT handoffs, contacts, repeat_contacts, resolved FROM omnichannel('all', %2$s)$$,
    $$SELECT coalesce(sum(handoffs), 0), coalesce(sum(contacts), 0), coalesce(sum(repeat_contacts), 0), coalesce(sum(resolved), 0) FROM omnichannel(%1$L, %2$s)$$),
(73, 'range', $$SELECT period_start, handoffs FROM omnichannel(%1$L, %2$s) WHERE handoffs > 0$$, $$SELECT period_start, sum(handoffs) FROM channel_transitions(%1$L, %2$s) GROUP BY 1$$);
INSERT INTO pair
SELECT 80 + n, 'range', $$SELECT period_start, conversations, asked, answered, resolved, abandoned, contacts, replies, transfers, bot_seconds::numeric, first_resolutions FROM service_levels(%1$L, %2$s) WHERE period_start IS NOT NULL OR conversations + contacts + replies + first_resolutions > 0$$,
       format($$SELECT period_start, sum(conversations), sum(asked), sum(answered), sum(resolved), sum(abandoned), sum(contacts), sum(replies), sum(transfers), sum(bot_seconds::numeric), sum(first_resolutions)
                FROM service_levels(%%1$L, %%2$s, %L) GROUP BY 1$$, breakdown)
FROM unnest('{channel,source,hours}'::text[]) WITH ORDINALITY b(breakdown, n);
INSERT INTO pair VALUES
(84, 'range', $$SELECT period_start, answered, resolved, contacts, replies, first_resolutions FROM service_levels(%1$L, %2$s) WHERE answered + resolved + contacts + replies + first_resolutions > 0$$,
    $$SELECT period_start, sum(answered), sum(resolved), sum(contacts), sum(replies), sum(first_resolutions) FROM service_levels(%1$L, %2$s, 'agent') GROUP BY 1
      HAVING sum(answered + resolved + contacts + replies + first_resolutions) > 0$$),
(85, 'range', $$SELECT pd(coalesce(asked_at, started_at), %1$L), agent, count(*), count(asked_at) FROM kept_conversations, unnest(CASE agents WHEN '{}' THEN '{NULL}' ELSE agents END) agent WHERE between_(coalesce(asked_at, started_at), %2$s)
                GROUP BY pd(coalesce(asked_at, started_at), %1$L), agent$$, $$SELECT period_start, breakdown_value, conversations, asked FROM service_levels(%1$L, %2$s, 'agent') WHERE conversations > 0$$),
(86, 'range', $$SELECT period_start, breakdown_value, replies FROM service_levels(%1$L, %2$s, 'agent') WHERE replies > 0$$,
    $$SELECT pd(asked_at, %1$L), agent, count(*) FROM kept_replies WHERE between_(asked_at, %2$s) GROUP BY 1, 2$$),
(87, 'range', $$SELECT period_start, breakdown_value, conversations, contained, bot_conversations FROM service_levels(%1$L, %2$s, 'channel') WHERE conversations > 0$$,
    $$SELECT pd(coalesce(asked_at, started_at), %1$L), channel, count(*), count(*) FILTER (WHERE handled_by = 'bot'), count(*) FILTER (WHERE handled_by IN ('bot', 'both'))
      FROM kept_conversations WHERE between_(coalesce(asked_at, started_at), %2$s) GROUP BY 1, 2$$),
(88, 'all', $$SELECT step, customers FROM funnel('%%.message.in -> %%.%%.out -> %%.resolved')$$,
    $$SELECT step, reached FROM unnest((SELECT journey_funnel_agg(journey, '%%.message.in -> %%.%%.out -> %%.resolved') FROM current_journeys))$$);
INSERT INTO pair
SELECT 90 + 10 * p + b, 'range', format($$SELECT period_start, step, customers FROM funnel(%L, %%1$L, %%2$s)$$, pattern),
       -- a customer may begin in several ways
       format($$SELECT f.period_start, f.step, least(greatest(f.customers, max(b.customers)), sum(b.customers))
                FROM funnel(%L, %%1$L, %%2$s) f JOIN funnel(%L, %%1$L, %%2$s, breakdown => %L) b
                ON b.step = f.step AND b.period_start IS NOT DISTINCT FROM f.period_start GROUP BY 1, 2, f.customers$$, pattern, pattern, breakdown)
FROM (VALUES (1, '%%.message.in -> %%.message.out'), (2, '%%.%% -[<= 1 h, !%%.%%.bot]-> %%.%%.out -> %%.resolved')) f(p, pattern) CROSS JOIN (VALUES (1, 'channel'), (2, 'action'), (3, 'detail'), (4, 'label')) g(b, breakdown);

CREATE FUNCTION pd(at timestamptz, period text) RETURNS date LANGUAGE sql STABLE
RETURN CASE WHEN period <> 'all' THEN date_trunc(period, at AT TIME ZONE (SELECT time_zone FROM settings))::date END;
CREATE FUNCTION between_(at timestamptz, since timestamptz, until timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN (since IS NULL OR at >= since) AND (until IS NULL OR at < until);

-- rows of views, read once
SELECT format('CREATE TABLE kept_%1$s AS TABLE %1$I WITH NO DATA', v) FROM unnest('{timeline,visits,handoffs,contacts,resolutions,conversations,replies}'::text[]) v \gexec
-- Of questions by period one in three, other ones each time, unless PGJ_SLOW is set
\getenv slow PGJ_SLOW
\if :{?slow}
\set every 1
\else
\set every 3
\endif
SELECT set_config('test.every', :'every', false) \g /dev/null
CREATE FUNCTION differences(kinds text[], bounds text[] DEFAULT '{"NULL, NULL"}') RETURNS TABLE (n int, period text, bound text, differ bigint) LANGUAGE plpgsql AS $$
DECLARE
    p record;
    a text;
    b text;
BEGIN
    FOREACH a IN ARRAY '{timeline,visits,handoffs,contacts,resolutions,conversations,replies}'::text[] LOOP
        EXECUTE format('DELETE FROM kept_%1$s; INSERT INTO kept_%1$s TABLE %1$I', a);
    END LOOP;
    FOR p IN SELECT q.n, q.a, q.b, u.period, r.bound
             FROM pair q CROSS JOIN unnest(CASE q.kind WHEN 'all' THEN '{all}' WHEN 'parts' THEN '{day,week,month,quarter,year}' ELSE '{all,day,week,month,quarter,year}' END::text[]) WITH ORDINALITY u(period, i)
                  CROSS JOIN unnest(CASE q.kind WHEN 'all' THEN '{"NULL, NULL"}' ELSE bounds END) WITH ORDINALITY r(bound, i)
             WHERE q.kind = ANY (kinds)
                   AND (q.kind IN ('all', 'wrong') OR (q.n + u.i + r.i + (SELECT length(s.time_zone) FROM settings s)) % current_setting('test.every')::integer = 0) LOOP
        a := format(p.a, p.period, p.bound);
        b := format(p.b, p.period, p.bound);
        EXECUTE format('WITH a AS MATERIALIZED (%s), b AS MATERIALIZED (%s)
                        SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) d', a, b) INTO differ;
        IF differ > 0 THEN
            n := p.n; period := p.period; bound := p.bound;
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;

-- that differences are found; nothing yet
INSERT INTO pair VALUES (0, 'wrong', 'VALUES (1), (1), (2)', 'VALUES (1), (2), (3)');
SELECT * FROM differences('{wrong}');
SELECT * FROM differences('{all,range,parts}');
-- not packed yet
SELECT happen(1, 300) \g /dev/null
SELECT * FROM differences('{all}');
SELECT * FROM differences('{range,parts}');
SELECT (SELECT count(*) FROM kept_timeline) AS touchpoints, least((SELECT count(*) FROM kept_visits), (SELECT count(*) FROM kept_handoffs), (SELECT count(*) FROM kept_contacts),
    (SELECT count(*) FROM kept_resolutions), (SELECT count(*) FROM kept_conversations), (SELECT count(*) FROM kept_replies)) > 5 AS many;
-- packed; a zone without December 30, 2011
UPDATE settings SET time_zone = 'Pacific/Apia', session_gap = '1 day', handoff_within = '2 days', repeat_within = '1 day';
SELECT refresh() \g /dev/null
SELECT * FROM differences('{all}');
SELECT * FROM differences('{range,parts}', ARRAY[$$'2011-12-30 10:00Z', '2018-11-05 12:00Z'$$, $$NULL, '2018-02-18'$$, $$'2018-11-04', 'infinity'$$]);
-- a zone whose clocks change at midnight; customers merge, rows come, change and go
UPDATE settings SET time_zone = 'America/Sao_Paulo', session_gap = '1 us', handoff_within = '3 months', repeat_within = '1 month';
SELECT identify(ARRAY[identifier('id', n::text), identifier('id', (n + 3)::text)], '2005-01-01Z', 'merge', n::text) FROM generate_series(1, 37, 4) n \g /dev/null
SELECT happen(301, 360) \g /dev/null
UPDATE touchpoints SET channel = 'web', direction = 'in', agent = NULL WHERE touchpoint_id % 13 = 0;
DELETE FROM touchpoints WHERE touchpoint_id % 11 = 0;
UPDATE actions SET means = 'asks_and_resolves' WHERE action = 'resolved';
SELECT * FROM differences('{all}');
SELECT * FROM differences('{range,parts}', ARRAY[$$'-infinity', '2018-11-04 03:00Z'$$, $$'2018-11-04', '2018-11-04'$$, $$'2018-02-17 12:00Z', '2018-02-18 12:00Z'$$]);
-- and apart again
SELECT retract('merge', n::text) FROM generate_series(1, 37, 8) n \g /dev/null
SELECT * FROM differences('{all}');
SELECT refresh() \g /dev/null
SELECT * FROM differences('{all}');
SELECT * FROM differences('{range,parts}');
-- nothing left
UPDATE settings SET time_zone = 'Asia/Kolkata';
TRUNCATE touchpoints;
SELECT * FROM differences('{all,range,parts}');
SELECT count(*) FROM timeline;
RESET search_path;
SELECT journey_drop_hub('Ágora "x"', true);
