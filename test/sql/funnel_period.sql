-- journey_funnel_agg by period, and funnel() of a hub: each attempt is counted in the period in which it begins, and
-- followed to its end. test/t/082_funnel_property.pl proves it for random patterns; here are cases by hand.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';

-- "period [breakdown]: reached, reached, ..." of each period
CREATE FUNCTION brief(steps funnel_period_step[]) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(x, '; ' ORDER BY period_start, breakdown COLLATE "C" NULLS FIRST)
    FROM (SELECT period_start, breakdown, concat_ws(' ', period_start, breakdown) || ': ' || string_agg(reached::text, ',' ORDER BY step) AS x
          FROM unnest(steps) GROUP BY 1, 2) s
$$;
CREATE FUNCTION ask(j journey, p text, period text, zone text DEFAULT 'UTC', since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
                    breakdown text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$SELECT brief(journey_funnel_agg(j, p::journey_pattern, period, zone, since, until, breakdown))$$;

CREATE TABLE j (id int PRIMARY KEY, j journey);
INSERT INTO j VALUES
    (1, '{web.view@2026-01-31T10:00:00Z, web.cart@2026-02-02T10:00:00Z, web.buy=10@2026-03-01T10:00:00Z}'),
    (2, '{web.view@2026-01-05T10:00:00Z, web.cart@2026-01-06T10:00:00Z, app.view.in@2026-02-05T10:00:00Z, web.view@2026-02-06T10:00:00Z}'),
    (3, '{app.view.in@2026-02-01T10:00:00Z, web.view.out@2026-02-01T11:00:00Z, web.cart@2026-02-03T10:00:00Z, web.buy=5@2026-02-04T10:00:00Z}'),
    (4, '{web.cart@2026-01-01T10:00:00Z}'), (5, '{}'), (6, NULL);

-- all columns
SELECT f.* FROM unnest((SELECT journey_funnel_agg(j, '%.view -> %.cart -> %.buy', 'month', 'UTC', NULL, NULL, NULL) FROM j)) f;
SELECT f.* FROM unnest((SELECT journey_funnel_agg(j, '%.view -> %.cart -> %.buy', 'year', 'UTC', NULL, NULL, 'label') FROM j)) f;

-- periods; since and until ask when an attempt begins
SELECT period, brief(journey_funnel_agg(j, '%.view -> %.cart -> %.buy', period, 'UTC', NULL, NULL, NULL)) AS funnel,
       brief(journey_funnel_agg(j, '%.view -> %.cart -> %.buy', period, 'UTC', '2026-01-31 10:00Z', '2026-02-05 10:00Z', NULL)) AS range
FROM j, unnest('{day,week,month,quarter,year,all,NULL}'::text[]) WITH ORDINALITY u(period, n) GROUP BY period ORDER BY min(n);
SELECT ask(j, '%.view -> %.cart', 'all', since => '-infinity', until => 'infinity') FROM j WHERE id = 1;
SELECT ask(j, '%.view -> %.cart', 'all', since => 'infinity') FROM j WHERE id = 1;
SELECT ask(j, '%.view -> %.cart', 'all', since => '2026-01-31 10:00Z', until => '2026-01-31 10:00Z') FROM j WHERE id = 1;
-- of all it needs no zone
SELECT ask(j, '%.view -> %.cart', NULL, NULL), ask(j, '%.view -> %.cart', 'all', NULL) FROM j WHERE id = 1;

-- breakdown: by what the attempt begins with
SELECT part, brief(journey_funnel_agg(j, '%.view -> %.cart -> %.buy', 'month', 'UTC', NULL, NULL, part)) AS funnel
FROM j, unnest('{channel,action,detail,label,NULL}'::text[]) WITH ORDINALITY u(part, n) GROUP BY part ORDER BY min(n);
-- one whose values are many
SELECT count(*), count(DISTINCT f.breakdown), sum(f.reached), max(f.breakdown)
FROM unnest((SELECT journey_funnel_agg(touchpoint('2026-01-01Z', 'c' || i % 700, 'a', NULL, NULL, 'd' || i)::journey, 'c%.a', 'day', 'UTC', NULL, NULL, 'label')
             FROM generate_series(1, 5000) i)) f;

-- zones: days of 23 and 25 hours, and a clock that was put back over midnight, so that dates fall
SELECT ask('{a.a@2026-03-28T22:30:00Z, a.a@2026-03-28T23:30:00Z, a.a@2026-03-29T21:30:00Z, a.a@2026-03-29T22:30:00Z}', 'a.a', 'day', 'Europe/Berlin') AS spring,
       ask('{a.a@2026-10-24T22:00:00Z, a.a@2026-10-25T22:59:59Z, a.a@2026-10-25T23:00:00Z}', 'a.a', 'day', 'Europe/Berlin') AS autumn;
SELECT ask('{a.a@2006-10-29T02:29:00Z, b.b@2006-10-29T02:29:01Z, a.a@2006-10-29T02:30:30Z, a.a@2006-10-29T02:40:00Z, b.b@2006-10-29T03:00:00Z, a.a@2006-10-29T03:31:00Z}',
           'a.a -> b.b -[<= 1 min]-> b.b | a.a -> b.b', 'day', 'America/St_Johns') AS falls;

-- a first item of several touchpoints: the attempt begins with its first, and who doesn't complete it is not in
SELECT ask('{a.a@2026-01-31T23:00:00Z, a.a@2026-02-01T01:00:00Z, b.b@2026-02-02T01:00:00Z}', 'a.a{2} -> b.b', 'month') AS two,
       ask('{a.a@2026-01-31T23:00:00Z, b.b@2026-02-02T01:00:00Z, a.a@2026-02-03T01:00:00Z}', 'a.a+ -> b.b', 'month') AS plus,
       ask('{a.a@2026-01-31T23:00:00Z, b.b@2026-02-02T01:00:00Z}', 'a.a? -> b.b', 'month') AS optional,
       ask('{b.b@2026-01-31T23:00:00Z, a.a@2026-02-02T01:00:00Z, c.c@2026-02-03T01:00:00Z}', 'all(a.a, b.b) -> c.c', 'month') AS in_any_order;
-- of two touchpoints that may be followed by c the later one has the earlier start, for it is too late to begin with
SELECT ask('{b.b@2026-01-31T22:00:00Z, a.a@2026-01-31T23:00:00Z, a.a@2026-02-01T00:30:00Z, c.c@2026-02-01T01:30:00Z}',
           '(b.b? -> a.a -> c.c) within 3 hours', 'month', until => '2026-02-01Z') AS later_but_too_long;
-- anchors, bans, adjacency, values, horizons
SELECT ask('{a.a@2026-01-01T01:00:00Z, a.a@2026-02-01T01:00:00Z, b.b@2026-02-02T01:00:00Z}', '^ a.a -> b.b', 'month') AS first_only,
       ask('{c.c@2026-01-01T01:00:00Z, a.a@2026-02-01T01:00:00Z, x.x@2026-02-01T02:00:00Z, a.a@2026-03-02T01:00:00Z}', '^ -[!x.x]-> a.a', 'month') AS unless_banned,
       ask('{a.a@2026-01-01T01:00:00Z, x.x@2026-01-15T01:00:00Z, a.a@2026-02-01T01:00:00Z, b.b@2026-02-02T01:00:00Z}', 'a.a -[!x.x]-> b.b', 'month') AS banned,
       ask('{a.a@2026-01-01T01:00:00Z, b.b@2026-02-02T01:00:00Z, b.b@2026-02-03T01:00:00Z}', 'a.a => b.b => b.b', 'month') AS next,
       ask('{a.a=1@2026-01-01T01:00:00Z, a.a=9@2026-02-01T01:00:00Z, b.b=2@2026-02-02T01:00:00Z}', 'a.a[value > 5] -> b.b[value < 3]', 'month') AS values,
       ask('{a.a@2026-01-01T01:00:00Z, a.a@2026-02-01T01:00:00Z, b.b@2026-02-02T01:00:00Z}', 'a.a -> b.b within 7 days', 'month') AS within,
       ask('{a.a@2026-01-01T01:00:00Z, b.b@2026-02-02T01:00:00Z}', 'a.a -[> 40 days]-> b.b', 'month') AS too_early;
-- of two starts in a period the one that gets farthest, be it the earlier one; its start is the latest that does
SELECT ask('{a.a@2026-01-01T01:00:00Z, b.b@2026-01-01T02:00:00Z, c.c@2026-01-01T03:00:00Z, a.a@2026-01-05T01:00:00Z}', 'a.a -> b.b -> c.c', 'month') AS earlier,
       (SELECT array_agg(f.median_time) FROM unnest((SELECT journey_funnel_agg(x, 'a.a -> b.b', 'month', 'UTC', NULL, NULL, NULL)
        FROM (VALUES ('{a.a@2026-01-01T00:00:00Z, a.a@2026-01-01T00:00:00.000030Z, b.b@2026-01-01T00:00:00.000040Z}'::journey)) v(x))) f) AS times;

-- NULLs, no rows, no entries
SELECT journey_funnel_agg(j, 'a.a', 'month', 'UTC', NULL, NULL, NULL) FROM j WHERE false;
SELECT journey_funnel_agg(j, 'a.a', 'month', 'UTC', NULL, NULL, NULL) FROM j WHERE id = 6;
SELECT journey_funnel_agg(j, NULL, 'month', 'UTC', NULL, NULL, NULL) FROM j;
SELECT journey_funnel_agg(j, 'a.a', 'month', 'UTC', NULL, NULL, NULL) FROM j;

-- ordinary SQL around it
SELECT id, brief(journey_funnel_agg(j, '%.view -> %.cart', 'month', 'UTC', NULL, NULL, NULL) OVER (ORDER BY id)) AS running FROM j ORDER BY id;
SELECT p, brief(journey_funnel_agg(j, p, 'month', zone, NULL, NULL, NULL)) AS funnel
FROM j, (VALUES ('%.view'::journey_pattern, 'UTC'), ('%.view', 'Pacific/Auckland'), ('%.buy', 'UTC')) v(p, zone) GROUP BY p, zone ORDER BY p::text COLLATE "C", zone;

-- errors
\set VERBOSITY terse
CREATE FUNCTION refused(call text, OUT state text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT journey_funnel_agg(j, ' || call || ') FROM j';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END $$;
SELECT c, r.* FROM unnest(ARRAY[
    $$'%', 'fortnight', 'UTC', NULL, NULL, NULL$$, $$'%', 'Month', 'UTC', NULL, NULL, NULL$$, $$'%', '', 'UTC', NULL, NULL, NULL$$,
    $$'%', 'month', 'Europe/Nowhere', NULL, NULL, NULL$$, $$'%', 'month', 'CEST', NULL, NULL, NULL$$, $$'%', 'month', NULL, NULL, NULL, NULL$$,
    $$'%', 'month', 'UTC', '2026-02-01Z', '2026-01-01Z', NULL$$, $$'%', 'month', 'UTC', NULL, NULL, 'agent'$$, $$'%', 'month', 'UTC', NULL, NULL, ''$$,
    $$CASE WHEN id > 1 THEN '%.view' ELSE '%' END::journey_pattern, 'month', 'UTC', NULL, NULL, NULL$$,
    $$'%', CASE WHEN id > 1 THEN 'month' ELSE 'day' END, 'UTC', NULL, NULL, NULL$$, $$'%', 'day', CASE WHEN id > 1 THEN 'UTC' ELSE 'Europe/Paris' END, NULL, NULL, NULL$$,
    $$'%', 'day', 'UTC', CASE WHEN id > 1 THEN '2026-01-01Z'::timestamptz END, NULL, NULL$$,
    $$'%', 'day', 'UTC', NULL, CASE WHEN id > 1 THEN '2026-01-01Z'::timestamptz END, NULL$$,
    $$'%', 'day', 'UTC', NULL, NULL, CASE WHEN id > 1 THEN 'channel' END$$]) c, refused(c) r;
SELECT journey_funnel_agg(touchpoint('4714-11-24 00:00Z BC', 'a', 'a')::journey, 'a.a', 'month', 'UTC', NULL, NULL, NULL);
SELECT journey_funnel_period_agg_transfn(NULL, '{}', 'a.a', 'month', 'UTC', NULL, NULL, NULL);
SELECT journey_funnel_period_agg_combinefn(NULL, '\x00');
SELECT journey_funnel_period_agg_finalfn(NULL);

-- Some thousand journeys: neither order nor plan nor the parts it was made of change the result.
CREATE TABLE many AS
SELECT c AS id, journey_agg('2026-01-01Z'::timestamptz + make_interval(secs => h[1] % 90 * 86400 + h[3] % 86400), substr('abcd', 1 + h[4] % 4, 1),
                            substr('abcd', 1 + h[4] % 4, 1), h[5] % 10) AS j
FROM generate_series(1, 3000) c, generate_series(1, 1 + c % 9) t,
     LATERAL (SELECT array_agg(('x' || substr(md5(c || ' ' || t), i * 6 + 1, 6))::bit(24)::int ORDER BY i) FROM generate_series(0, 4) i) x(h)
GROUP BY c;
ANALYZE many;
CREATE TABLE patterns (p journey_pattern);
INSERT INTO patterns VALUES ('a.a -> b.b'), ('a.a -> b.b -> c.c -> d.d'), ('a.a -[<= 3 days]-> b.b -[!d.d]-> c.c'), ('%.d => %.d -> a.a'),
    ('^ a.a -> b.b -> c.c within 20 days'), ('a.a[value < 5] -> %[value > 7] -> %'), ('(a.a | b.b){2} -> c.c -> d.d'), ('a.a -> q.q');
CREATE TABLE result AS
SELECT p, part, journey_funnel_agg(j, p, 'week', 'Europe/Berlin', NULL, NULL, part) AS steps FROM patterns, many, unnest('{channel,NULL}'::text[]) part GROUP BY p, part;
SELECT p, part, cardinality(steps), (SELECT sum(f.reached) FROM unnest(steps) f) AS reached FROM result ORDER BY p::text COLLATE "C", part;
-- a second way, where each item is one touchpoint: of each start by itself, the journey cut before it and the pattern held there by ^
SELECT p, count(*) AS rows, count(*) FILTER (WHERE t.reached IS DISTINCT FROM g.reached) AS different
FROM (SELECT p::text, date_trunc('week', touchpoint_time(s) AT TIME ZONE 'Europe/Berlin')::date AS period_start, step,
             count(DISTINCT id) FILTER (WHERE journey_reached(journey_slice(j, tstzrange(touchpoint_time(s), NULL)), ('^ ' || p)::journey_pattern) >= step) AS reached
      FROM patterns, many, unnest(j) s, generate_series(1, 4) step
      WHERE p::text IN ('a.a -> b.b', 'a.a -> b.b -> c.c -> d.d', 'a.a -[<= 3 days]-> b.b -[!d.d]-> c.c', 'a.a[value < 5] -> %[value > 7] -> %')
            AND s::journey ~ (substring(p::text FROM '^\S+ ?\S* ?\d?\]|^\S+'))::journey_pattern
      GROUP BY 1, 2, 3) t
     JOIN (SELECT p::text, f.* FROM result, unnest(steps) f WHERE part IS NULL) g USING (p, period_start, step)
GROUP BY p ORDER BY p COLLATE "C";
SELECT count(*) AS same
FROM (SELECT p::text, part, journey_funnel_agg(j, p, 'week', 'Europe/Berlin', NULL, NULL, part ORDER BY md5(id::text)) AS steps
      FROM patterns, many, unnest('{channel,NULL}'::text[]) part GROUP BY p::text, part) s
     JOIN result r ON s.p = r.p::text AND s.part IS NOT DISTINCT FROM r.part
WHERE s.steps = r.steps;
CREATE AGGREGATE part(journey, journey_pattern, text, text, timestamptz, timestamptz, text) (SFUNC = journey_funnel_period_agg_transfn, STYPE = bytea);
CREATE AGGREGATE whole(bytea) (SFUNC = journey_funnel_period_agg_combinefn, STYPE = bytea, FINALFUNC = journey_funnel_period_agg_finalfn);
SELECT count(*) AS same
FROM (SELECT p, part, whole(state) AS steps
      FROM (SELECT p, part, part(j, p, 'week', 'Europe/Berlin', NULL, NULL, part) AS state FROM patterns, many, unnest('{channel,NULL}'::text[]) part
            GROUP BY p, part, id % 97) s
      GROUP BY p, part) s
     JOIN result r ON s.p = r.p AND s.part IS NOT DISTINCT FROM r.part
WHERE s.steps = r.steps;
SELECT whole(NULL), brief(whole(state)) FROM (SELECT part(j, '%.view', 'month', 'UTC', NULL, NULL, NULL) FROM j) s(state);
SELECT whole(state) FROM (SELECT part(j, '%.view', period, 'UTC', NULL, NULL, NULL) FROM j, unnest('{day,month}'::text[]) period GROUP BY period) s(state);
-- long journeys: a horizon that nothing reaches changes nothing but the way the answer is found
CREATE TABLE long AS
SELECT c AS id, journey_agg('2020-01-01Z'::timestamptz + make_interval(secs => t * 7000 + h[1] % 20000), substr('ab', 1 + h[2] % 2, 1),
                            CASE WHEN h[3] % 400 = 0 THEN 'rare' WHEN h[4] % 20 = 0 THEN 'some' ELSE substr('xyz', 1 + h[4] % 3, 1) END, h[2] % 10) AS j
FROM generate_series(1, 5) c, generate_series(1, 2000) t,
     LATERAL (SELECT array_agg(('x' || substr(md5(c || ' ' || t), i * 6 + 1, 6))::bit(24)::int ORDER BY i) FROM generate_series(0, 3) i) x(h)
GROUP BY c;
SELECT p, (SELECT count(*) FROM unnest(plain) f) AS steps, (SELECT sum(f.reached) FROM unnest(plain) f) AS reached, plain = horizon AS same
FROM (SELECT p, journey_funnel_agg(j, p::journey_pattern, 'day', 'Europe/Berlin', NULL, NULL, part) AS plain,
             journey_funnel_agg(j, (p || ' within 99999 days')::journey_pattern, 'day', 'Europe/Berlin', NULL, NULL, part) AS horizon
      FROM long, unnest(ARRAY['%.x -> %.y', '%.x -> %.some -> %.rare', '%.x -[> 1 day]-> %.some -[<= 1 h]-> %.rare', '%.x -> %.some? -> %.y => %.rare',
                              '(%.x | %.y) -> %.rare -> %.some', '%.x{2} -> %.rare', '%.some+ -> %.rare -> %.some', 'a.x[value > 4] -> all(%.rare, b.some) -> %.z',
                              '%.x -> %.some -[!%.z]-> %.rare', '%.x -> b.rare -> a.rare -> %.y | %.x -> a.some']) p,
           unnest('{channel,NULL}'::text[]) part
      GROUP BY p, part) s
ORDER BY p COLLATE "C", 3;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE many SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT journey_funnel_agg(j, 'a.a -> b.b -> c.c -> d.d', 'week', 'Europe/Berlin', NULL, NULL, 'channel') FROM many;
SELECT steps = (SELECT journey_funnel_agg(j, 'a.a -> b.b -> c.c -> d.d', 'week', 'Europe/Berlin', NULL, NULL, 'channel') FROM many) AS same
FROM result WHERE p = 'a.a -> b.b -> c.c -> d.d' AND part = 'channel';
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SET max_parallel_workers_per_gather = 0;

-- States that nobody made: refused, whichever byte is wrong, or at least harmless.
CREATE AGGREGATE add_to(journey, journey_pattern, text, text, timestamptz, timestamptz, text) (
    SFUNC = journey_funnel_period_agg_transfn, STYPE = bytea, FINALFUNC = journey_funnel_period_agg_finalfn, INITCOND = '\x00'
);
SELECT add_to(j, '%.view', 'month', 'UTC', NULL, NULL, NULL) FROM j;
SELECT whole('\x');
SELECT whole(state || '\x00') FROM (SELECT part(j, '%.view', 'month', 'UTC', NULL, NULL, NULL) FROM j) s(state);
CREATE FUNCTION outcome(state bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM whole(s) FROM (VALUES (state), (state)) v(s);
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN SQLSTATE IN ('XX001', '22023', '22008') THEN SQLERRM ELSE SQLSTATE || ' ' || SQLERRM END;
END $$;
SELECT DISTINCT outcome(changed) COLLATE "C" AS outcome
FROM (SELECT part(j, '%.view -> %.cart -> %.buy', 'month', 'UTC', NULL, NULL, 'label') FROM j) s(state), generate_series(0, length(state) - 1) i,
     LATERAL (SELECT set_byte(state, i, b) FROM unnest('{0, 1, 127, 255}'::int[]) b UNION ALL SELECT substr(state, 1, i)) c(changed)
WHERE changed <> state ORDER BY 1;
DROP AGGREGATE part(journey, journey_pattern, text, text, timestamptz, timestamptz, text), whole(bytea),
    add_to(journey, journey_pattern, text, text, timestamptz, timestamptz, text);

-- The hub: fresh, in its zone, also where nothing is packed yet.
SELECT journey_create_hub('crm');
SELECT * FROM crm.funnel('%.view -> %.cart');
SELECT count(crm.record(ARRAY[identifier('id', id::text)], s.occurred_at, s.channel, s.action, s.value, direction => s.detail))
FROM j, journey_steps(j) s;
SELECT * FROM crm.funnel('%.view -> %.cart -> %.buy', 'month');
SELECT crm.refresh();
SELECT crm.record('{id:4}', '2026-02-28 23:30Z', 'app', 'view', direction => 'in'), crm.record('{id:4}', '2026-03-08 23:30Z', 'app', 'cart', direction => 'in');
SELECT period_start, breakdown_value, step, customers, share, median_time FROM crm.funnel('%.view -> %.cart', 'month', '2026-02-01', '2026-03-01', 'detail');
UPDATE crm.settings SET time_zone = 'Europe/Helsinki';
SELECT period_start, step, customers, share, share_of_previous FROM crm.funnel('%.view -> %.cart', 'month', since => '2026-02-01');
SELECT period_start, step, customers FROM crm.funnel('%.view -> %.cart');
-- identities that become one customer have one attempt a period
SELECT crm.identify('{id:1,id:2}');
SELECT period_start, step, customers FROM crm.funnel('%.view -> %.cart -> %.buy', 'quarter');
\set VERBOSITY default
SELECT * FROM crm.funnel('%', 'fortnight');
SELECT * FROM crm.funnel('%', 'day', '2026-02-01', '2026-01-01');
SELECT * FROM crm.funnel('%', breakdown => 'agent');
SELECT * FROM crm.funnel('%.view ->');
SELECT journey_drop_hub('crm', force => true);

DROP TABLE j, many, patterns, result, long;
DROP FUNCTION brief, ask, refused, outcome;
