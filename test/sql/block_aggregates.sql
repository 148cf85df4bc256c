-- Aggregates over blocks say what they say of the journeys one by one, whatever blocks hold: details, values, references,
-- few labels and many, times of every unit, empty journeys, nothing at all. PGJ_SEED gives other journeys; the output stays
-- the same.
\set seed 1
\getenv seed PGJ_SEED
SET client_min_messages = warning;
CREATE SCHEMA block_aggregates;
SET search_path = block_aggregates, public;
SET TimeZone = 'UTC';
SET intervalstyle = 'postgres';

CREATE FUNCTION rnd(i bigint, k integer, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(i * 64 + k, :seed) & 9223372036854775807) % n;

-- Journeys of 0 to some 80 touchpoints, one of thousands; g % 8 is of what kind
CREATE TABLE event AS
SELECT g, '2025-03-29T00:00Z'::timestamptz + sum(step) OVER (PARTITION BY g ORDER BY n) AS at,
       CASE WHEN g % 8 = 7 THEN 'c' || rnd(i, 2, 40)
            ELSE (ARRAY['web', 'app', 'Loja São João', 'phone', ''])[1 + rnd(i, 2, 1 + g % 5)] END AS channel,
       CASE WHEN g % 8 = 7 THEN 'a' || rnd(i, 3, 40)
            ELSE (ARRAY['view', 'buy', 'delivered', 'vê', '', 'view'])[1 + rnd(i, 3, 6)] END AS action,
       CASE WHEN g % 3 > 0 THEN (ARRAY[NULL, NULL, 'in', 'out', 'bot', 'sofas', 'Out', ' in'])
                                [1 + rnd(i, 4, CASE g % 3 WHEN 1 THEN 5 ELSE 8 END)] END AS detail,
       CASE WHEN g % 4 > 1 AND (g % 4 = 2 OR rnd(i, 5, 2) = 0) THEN rnd(i, 6, 1000) / 100.0 END AS value,
       CASE WHEN g % 7 > 3 THEN rnd(i, 8, 50) - 10 END AS ref
FROM (SELECT g, n, g * 100000 + n AS i
      FROM generate_series(0::bigint, 799) g, generate_series(1, CASE WHEN g = 100 THEN 3000 ELSE rnd(g, 0, 1 + g % 80) END) n) r,
     LATERAL (SELECT (ARRAY['0', '0', '1 s', '1 min', '10 min', '00:30:00', '31 min', '1 h', '1 day', '5 days', '2 days 00:00:01',
                            '1 us', '00:29:59.999999', '00:30:00.000001', '24:00:00.000001', '400 days']::interval[])
                     [1 + rnd(i, 1, CASE g % 4 WHEN 0 THEN 9 WHEN 1 THEN 11 WHEN 2 THEN 15 ELSE 16 END)] AS step) s;
CREATE TABLE built AS
SELECT g, coalesce(j, '{}') AS j
FROM generate_series(0::bigint, 799) g
     LEFT JOIN (SELECT g, journey_agg(at, channel, action, value, ref, detail) AS j FROM event GROUP BY g) e USING (g);

-- Blocks of one journey up to hundreds, of one kind and of all; customers far apart, negative ones too. s: sets of blocks
CREATE TABLE block AS
SELECT s, n, journey_block_agg((g - 400) * 1000003 % 5000011, j) AS b
FROM built, LATERAL (VALUES (1, 0::bigint), (2, g % 8), (3, rnd(g, 20, 30)), (4, CASE WHEN g < 100 THEN g END), (5, CASE WHEN g % 8 = 7 THEN 0 END)) v(s, n)
WHERE n IS NOT NULL GROUP BY s, n;
INSERT INTO block SELECT 6, 0, journey_block_agg(g, '{}') FROM built;
INSERT INTO block SELECT s, n, journey_block_without(b, journey_block_customers(b)) FROM block WHERE s = 3 AND n < 2;
INSERT INTO block SELECT s, -1, NULL FROM generate_series(1, 6) s;
INSERT INTO block SELECT 7, n, journey_block_without(b, journey_block_customers(b)) FROM block WHERE s = 3 AND n < 2;
CREATE TABLE journeys AS SELECT s, n, customer, journey FROM block, unnest(b);
ANALYZE;
SELECT s, sum(journey_block_length(b)) AS journeys, sum(journey_block_touchpoints(b)) > 0 AS touchpoints FROM block GROUP BY s ORDER BY s;

-- An aggregate of @, which are journeys, or blocks: where the answers differ
CREATE FUNCTION differ(aggregate text) RETURNS TABLE (s integer, over_journeys text, over_blocks text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'WITH j AS MATERIALIZED (SELECT s, ' || replace(aggregate, '@', 'journey') || '::text AS a FROM journeys GROUP BY s),
                               b AS MATERIALIZED (SELECT s, ' || replace(aggregate, '@', 'b') || '::text AS a FROM block GROUP BY s)
                          SELECT s, left(j.a, 1000), left(b.a, 1000) FROM j FULL JOIN b USING (s)
                          WHERE j.a IS DISTINCT FROM b.a ORDER BY s';
END $$;

CREATE TABLE pattern (i integer GENERATED ALWAYS AS IDENTITY, p journey_pattern);
INSERT INTO pattern (p) VALUES ('web.view'), ('web.view -> app.buy -> %'), ('web.view -> %.buy -> %.delivered within 1 day'), ('%.% -[<= 1 hour]-> web.% -[>= 1 s]-> %.view'),
    ('%.%.in -> %.%.out -> %.%.in'), ('web.view -[!%.buy]-> %.delivered -> phone.%'), ('%[value >= 5] -> %[value < 5]'), ('c1.% -> c2.%{2} -> c3.%'),
    ('^web.% => app.% => %'), ('% -> web.buy$'), ('("Loja São João".vê -> web.%) | (app.% -> app.% -> web.%)'), ('fax.%'), ('%{3} -> %'), ('%[value >= 5]'), ('c1.%'), ('%.%.in'), ('%'), ('%.buy'),
    ('^% -> %.buy'), ('^ -[<= 1 day]-> %.view -> %'), ('^(web.% => %) -> %.buy'), ('^% -> % within 1 day'), ('% -> %.view -> % -> %.buy within 2 days'),
    ('%.view -> %.view -> %.view'), ('^ -[!%.view]-> %.view -[!%.buy]-> %.buy'),
    ('%.view -[!%.buy]-> app.% -[!web.view]-> %.view -[!%.%.in]-> %'),
    ('% -[!%.buy, <= 1 day]-> web.% => % -[!%.view]-> %'),
    ('^ -[!%.view, !%.buy]-> % -[!%.buy]-> %[value >= 5] -> %'), ('web.% -[!%.buy]-> %.view => %.view within 2 days'),
    ('^ -[!web.view]-> web.view | ^ -[!%.buy]-> %.buy -> %'), ('^ =[< 0 s]=> %'), ('^ =[<= 0 s]=> % -> %.buy');
CREATE TABLE setting AS
SELECT k, (ARRAY['0', '1 us', '10 min', '00:29:59.999999', '30 min', '1 h', '1 day', '30 days', '1 month', '178000000 years']::interval[])[1 + rnd(-k, 1, 10)] AS gap,
       (ARRAY['0', '1 us', '10 min', '30 min', '1 h', '1 day', '24:00', '30 days', '1 year', '178000000 years']::interval[])[1 + rnd(-k, 2, 10)] AS within,
       (ARRAY['{}', '{delivered}', '{view,"",a1,a2,a3}', NULL])[1 + rnd(-k, 3, 4)]::text[] AS not_own,
       (ARRAY['all', 'day', 'week', 'month', 'quarter', 'year', NULL])[1 + rnd(-k, 4, 7)] AS period,
       (ARRAY['UTC', 'Europe/Lisbon', 'Pacific/Apia'])[1 + rnd(-k, 5, 3)] AS zone,
       CASE WHEN rnd(-k, 6, 2) = 0 THEN '2025-03-29Z'::timestamptz + rnd(-k, 7, 60) * interval '11 hours' END AS since,
       CASE WHEN rnd(-k, 8, 2) = 0 THEN '2025-05-01Z'::timestamptz + rnd(-k, 9, 60) * interval '17 days' END AS until,
       (ARRAY['channel', 'action', 'detail', 'label', NULL])[1 + rnd(-k, 10, 5)] AS breakdown
FROM generate_series(1, 24) k;

-- no row below is a difference. Of some questions one in five is asked, unless PGJ_SLOW is set
\getenv slow PGJ_SLOW
\if :{?slow}
\set every 1
\else
\set every 5
\endif
SELECT k, d.* FROM setting, differ(format('channel_measures_agg(@, %L, %L, %L, ''{web,app}'', ''{phone,"Loja São João"}'', %L, %L, %L, %L)',
                                          gap, within, not_own, period, zone, since, until)) d;
SELECT k, m, d.* FROM setting, unnest('{"{channels}","{transitions}","{median_time}","{customers}"}'::text[]) m,
              differ(format('channel_measures_agg(@, %L, %L, %L, ''{web,app}'', ''{phone,"Loja São João"}'', %L, %L, %L, %L, %L)',
                            gap, within, not_own, period, zone, since, until, m)) d WHERE k % 2 = 0;
SELECT k, p, d.* FROM setting, unnest('{all,channel,action,detail,label}'::text[]) p,
              differ(format('journey_label_agg(@, %L, %L, %L, %L, %L)', p, period, zone, since, until)) d WHERE k % 3 = 0;
SELECT p, d.* FROM pattern, differ(format('journey_funnel_agg(@, %L)', p)) d;
SELECT k, p, d.* FROM setting, pattern,
              differ(format('journey_funnel_agg(@, %L, %L, %L, %L, %L, %L)', p, period, zone, since, until, breakdown)) d
WHERE (k + i) % (4 * :every) = 0;
-- without the times between the steps: else the same, over journeys and over blocks; of all time labels alone may tell
SELECT k, p, d.* FROM setting, pattern,
              differ(format('journey_funnel_agg(@, %L, %L, %L, %L, %L, %L, false)', p, period, zone, since, until, breakdown)) d
WHERE (k + i) % (4 * :every) = 1;
CREATE FUNCTION untimed_differ(p journey_pattern, period text, zone text, since timestamptz, until timestamptz, breakdown text) RETURNS bigint
LANGUAGE sql RETURN (
    SELECT count(*)
    FROM (SELECT journey_funnel_agg(journey, p, period, zone, since, until, breakdown) AS timed,
                 journey_funnel_agg(journey, p, period, zone, since, until, breakdown, false) AS untimed,
                 journey_funnel_agg(journey, p, period, zone, since, until, breakdown, NULL) AS by_default FROM journeys) j,
         (SELECT journey_funnel_agg(b, p, period, zone, since, until, breakdown, false) AS untimed,
                 journey_funnel_agg(b, p, period, zone, since, until, breakdown, true) AS timed FROM block) b
    WHERE j.untimed <> b.untimed OR j.timed <> b.timed OR j.timed <> j.by_default
          OR j.untimed <> ARRAY(SELECT ROW(period_start, t.breakdown, step, label, reached, conversion_first, conversion_previous,
                                           NULL, NULL)::funnel_period_step FROM unnest(j.timed) WITH ORDINALITY
                                t(period_start, breakdown, step, label, reached, conversion_first, conversion_previous, m, q, n) ORDER BY n));
SELECT count(*) > 30 AS asked, sum(untimed_differ(p::journey_pattern, 'all', NULL, NULL, NULL, breakdown)) AS differ
FROM pattern, unnest('{channel,action,detail,label,NULL}'::text[]) WITH ORDINALITY b(breakdown, n) WHERE (i + n) % :every = 0;
SELECT count(*) > 15 AS asked, sum(untimed_differ(p::journey_pattern, period, zone, since, until, breakdown)) AS differ
FROM setting, pattern WHERE (k + i) % (8 * :every) = 2;
DROP FUNCTION untimed_differ;
SELECT a.p, r.p, d.* FROM pattern a, pattern r, unnest('{day,week,month,year}'::text[]) unit,
              differ(format('journey_retention_agg(@, %L, %L, %L, %L)', a.p, r.p, unit, 'Europe/Lisbon')) d
WHERE a.i IN (1, 14, 15, 16, 17) AND r.i IN (1, 16, 17, 18);
-- values that only one of the two steps asks for
SELECT v.*, d.* FROM (VALUES ('web.%', '%.%[value >= 5]'), ('%.%[value >= 5]', 'web.%')) v(start, back),
              differ(format('journey_retention_agg(@, %L, %L, %L, %L)', start, back, 'day', 'UTC')) d;

-- sessions
SELECT g.gap, s, b.sessions, j.sessions
FROM unnest('{0,1 us,1 s,10 min,00:29:59.999999,30 min,30 min 0.000001 s,1 day,400 days,100000000 days}'::interval[]) g(gap),
     LATERAL (SELECT s, sum(journey_block_sessions(b, g.gap)) AS sessions FROM block GROUP BY s) b
     FULL JOIN LATERAL (SELECT s, sum((SELECT count(*) FROM journey_sessions(journey, g.gap))) AS sessions FROM journeys GROUP BY s) j USING (s)
WHERE coalesce(b.sessions, 0) <> coalesce(j.sessions, 0);
SELECT g.gap, s, n
FROM unnest('{0,10 min,30 min,1 day,100000000 days}'::interval[]) g(gap), block
WHERE journey_block_sessions_each(b, g.gap)
      <> ARRAY(SELECT sessions FROM journey_block_summary(b, g.gap) ORDER BY customer)
   OR journey_block_sessions_each(b, g.gap)
      <> ARRAY(SELECT (SELECT count(*) FROM journey_sessions(journey, g.gap)) FROM unnest(b) ORDER BY customer)
   OR cardinality(journey_block_sessions_each(b, g.gap)) <> cardinality(journey_block_customers(b));
SELECT DISTINCT journey_block_sessions(b, '30 min'), journey_block_sessions_each(b, '30 min')
FROM block WHERE s = 7 ORDER BY 1;
SELECT journey_block_sessions(b, '-1 s') FROM block WHERE s = 1 AND n = 0;
SELECT journey_block_sessions(b, '1 month') FROM block WHERE s = 1 AND n = 0;
-- over as much time as an interval can be long, and gaps as between neighbours; more touchpoints than are counted at once
CREATE TABLE far AS
SELECT k, at, at - lag(at) OVER (PARTITION BY k ORDER BY at) AS gap
FROM generate_series(2::bigint, 12) k, generate_series(1, k) i,
     LATERAL (SELECT CASE i WHEN 1 THEN '4713-11-24 BC'::timestamptz WHEN 2 THEN '287000-12-31T23:59:59.999999Z'
                     ELSE '2000-01-01'::timestamptz + rnd(k * 100 + i, 11, 1000000000000) * CASE k % 3 WHEN 0 THEN '1 us' WHEN 1 THEN '1 ms' ELSE '1 s' END::interval END AS at) a;
SELECT b.k, g.gap, b.sessions, f.sessions
FROM (SELECT gap FROM far WHERE gap IS NOT NULL UNION SELECT gap - '1 us'::interval FROM far WHERE gap > '0') g,
     LATERAL (SELECT k, journey_block_sessions(journey_block_agg(k, j), g.gap) AS sessions
              FROM (SELECT k, journey_agg(at, 'a', 'b') AS j FROM far GROUP BY k) j GROUP BY k) b
     JOIN LATERAL (SELECT k, 1 + count(*) FILTER (WHERE far.gap > g.gap) AS sessions FROM far GROUP BY k) f USING (k)
WHERE b.sessions <> f.sessions;
SELECT journey_block_sessions(journey_block_agg(1, j), '1 min') = 1 + 1100000 / 3 AS minute,
       journey_block_sessions(journey_block_agg(1, j), '61 s') AS more
FROM (SELECT journey_agg('2026-01-01'::timestamptz + (g + g / 3 * 60) * interval '1 s', 'a', 'b') AS j FROM generate_series(1, 1100000) g) j;

-- measures of blocks and of journeys add up
SELECT channel_measures_agg(m) = (SELECT channel_measures_agg(journey, '30 min', '1 day', '{}', '{}', '{}', 'month', 'UTC', NULL, NULL) FROM journeys WHERE s IN (2, 3)) AS same
FROM (SELECT channel_measures_agg(b, '30 min', '1 day', '{}', '{}', '{}', 'month', 'UTC', NULL, NULL) FROM block WHERE s = 2
      UNION ALL SELECT channel_measures_agg(journey, '30 min', '1 day', '{}', '{}', '{}', 'month', 'UTC', NULL, NULL) FROM journeys WHERE s = 3) v(m);

-- what rows of a group must have in common
SELECT journey_funnel_agg(b, CASE n WHEN 0 THEN 'a.b' ELSE 'c.d' END::journey_pattern ORDER BY n) FROM block WHERE s = 2;
SELECT journey_retention_agg(b, 'a.b', CASE n WHEN 0 THEN 'a.b' ELSE 'c.d' END::journey_pattern, 'day', 'UTC') FROM block WHERE s = 2;
SELECT channel_measures_agg(b, n * interval '1 day', '1 day', '{}', '{}', '{}', 'all', NULL, NULL, NULL) FROM block WHERE s = 2 AND n >= 0;
SELECT journey_funnel_agg(b, 'a.b', 'century', 'UTC', NULL, NULL, NULL) FROM block WHERE s = 2;
-- a block without journeys counts as no row
SELECT journey_funnel_agg(b, 'a.b') IS NULL AS funnel, journey_funnel_agg(b, 'a.b', 'day', 'UTC', NULL, NULL, NULL) IS NULL AS by_period,
       journey_retention_agg(b, 'a.b', 'a.b', 'day', 'UTC') IS NULL AS retention,
       channel_measures_agg(b, '1 h', '1 h', '{}', '{}', '{}', 'all', NULL, NULL, NULL) IS NULL AS measures FROM block WHERE s = 7;

-- In parallel: the plan is, and its answer the same
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE block SET (parallel_workers = 2);
ALTER TABLE journeys SET (parallel_workers = 2);
CREATE FUNCTION plan_is_parallel(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
    found boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        found := found OR line LIKE '%Partial%Aggregate%';
    END LOOP;
    RETURN found;
END $$;
SELECT a, plan_is_parallel('SELECT ' || replace(a, '@', 'b') || ' FROM block') AS parallel, d.*
FROM (VALUES ('journey_funnel_agg(@, ''web.view -> %.buy -> %'')'), ('journey_funnel_agg(@, ''web.view -> %.buy -> %'', ''month'', ''UTC'', NULL, NULL, ''label'')'),
             ('journey_retention_agg(@, ''web.view'', ''%.buy'', ''week'', ''UTC'')'),
             ('channel_measures_agg(@, ''30 min'', ''1 day'', ''{}'', ''{web}'', ''{phone}'', ''month'', ''UTC'', NULL, NULL)')) v(a)
     LEFT JOIN LATERAL differ(a) d ON true;
SELECT plan_is_parallel('SELECT sum(journey_block_sessions(b, ''30 min'')) FROM block') AS parallel,
       sum(journey_block_sessions(b, '30 min')) = (SELECT sum((SELECT count(*) FROM journey_sessions(journey, '30 min'))) FROM journeys) AS same FROM block;

DROP SCHEMA block_aggregates CASCADE;
