-- journey_label_agg: which labels there are, how often, and of how many customers
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SELECT * FROM unnest((
    SELECT journey_label_agg(j::journey)
    FROM (VALUES ('{web.view@2025-01-01T00:00:00Z, web.view@2025-01-02T00:00:00Z, chat.message.in@2025-01-03T00:00:00Z}'), ('{web.view@2025-01-01T00:00:00Z}'), ('{}'),
                 (NULL), ('{água."não é"@2025-01-01T00:00:00Z, chat.message.out@2025-01-02T00:00:00Z}')) v(j)));
-- nothing to count
SELECT journey_label_agg(NULL::journey), journey_label_agg('{}'::journey), journey_label_agg(NULL::journey_block);
SELECT journey_label_agg(j) FROM (SELECT NULL::journey WHERE false) j(j);

-- of a part of labels; detail NULL: those without one
SELECT part, l.* FROM unnest('{channel,action,detail,label,all}'::text[]) part, LATERAL unnest((
    SELECT journey_label_agg(j::journey, part)
    FROM (VALUES ('{web.view@2025-01-01T00:00:00Z, web.view.in@2025-01-02T00:00:00Z, chat.message.in@2025-01-03T00:00:00Z}'),
                 ('{web.view@2025-01-01T00:00:00Z, chat.view.out@2025-01-01T00:00:00Z}')) v(j))) l;
SELECT journey_label_agg('{}'::journey, 'brand');
SELECT journey_label_agg('{}'::journey, NULL);
SELECT journey_label_agg(NULL::journey, 'channel'), journey_label_agg('{}'::journey, 'detail');
SELECT journey_label_agg('{}'::journey, part) FROM unnest('{channel,action}'::text[]) part;

-- by period, in a range
CREATE FUNCTION by_period(part text, period text, time_zone text DEFAULT 'Europe/Lisbon', since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS SETOF label_count LANGUAGE sql
RETURN unnest((SELECT journey_label_agg(j::journey, part, period, time_zone, since, until)
               FROM (VALUES ('{web.view@2025-03-28T17:20Z, web.login@2025-03-29T23:59:59.999999Z, whatsapp.message.in@2025-03-30T22:59Z, whatsapp.message.out@2025-03-30T23:00Z, store.purchase@2025-04-01T08:00Z}'),
                            ('{web.view@2025-03-29T09:00Z, web.view@2025-03-29T11:00Z}'), ('{}'), (NULL)) v(j)));
SELECT * FROM by_period('all', 'day');
SELECT * FROM by_period('channel', 'month');
SELECT * FROM by_period('detail', 'all', NULL, '2025-03-29 11:00Z', '2025-04-01 08:00Z');
SELECT * FROM by_period('label', NULL, NULL, '2025-03-30 23:00Z');
SELECT * FROM by_period('all', 'year', 'Pacific/Auckland', NULL, '2025-03-28 17:20Z');
SELECT * FROM by_period('all', 'week', 'UTC', 'infinity', 'infinity');
SELECT by_period('all', 'days');
SELECT by_period('all', 'day', NULL);
SELECT by_period('all', 'day', 'Europe/Nowhere');
SELECT by_period('all', 'all', NULL, '2025-02-01Z', '2025-01-01Z');
SELECT by_period(NULL, 'day');
SELECT by_period('everything', 'day');
-- dates that do not exist are an error only where something happened on them
SELECT l.* FROM unnest((SELECT journey_label_agg('{a.a@-4713-11-24T00:00Z}'::journey, 'all', 'day', 'America/New_York', NULL, NULL))) l;
SELECT l.* FROM unnest((SELECT journey_label_agg('{a.a@-4713-11-24T05:00Z, a.a@294276-12-31T23:59:59.999999Z}'::journey, 'all', 'day', 'America/New_York', NULL, NULL))) l;
-- ... in the range
SELECT l.* FROM unnest((SELECT journey_label_agg('{a.a@-4713-11-24T00:00Z, a.a@-4712-01-01T00:00Z}'::journey, 'all', 'year', 'UTC', '-infinity', NULL))) l;
SELECT l.* FROM unnest((SELECT journey_label_agg('{a.a@-4713-11-24T00:00Z, a.a@-4712-01-01T00:00Z}'::journey, 'all', 'year', 'UTC', '4713-01-01Z BC', NULL))) l;
-- all rows of a group ask the same
SELECT journey_label_agg('{}'::journey, part) FROM unnest('{all,channel}'::text[]) part;
SELECT journey_label_agg('{}'::journey, 'all', period, 'UTC', NULL, NULL) FROM unnest('{all,day}'::text[]) period;
SELECT journey_label_agg('{}'::journey, 'all', 'day', zone, NULL, NULL) FROM unnest('{UTC,utc,Asia/Tokyo}'::text[]) zone;
SELECT journey_label_agg('{}'::journey, 'all', 'all', NULL, since, NULL) FROM unnest('{-infinity,2025-01-01Z}'::timestamptz[]) since;
SELECT journey_label_agg('{}'::journey, 'all', 'all', NULL, NULL, until) FROM unnest('{2025-01-02Z,2025-01-01Z}'::timestamptz[]) until;
DROP FUNCTION by_period;

-- as over rows; blocks as journeys; few labels and many; in parallel plans
CREATE TABLE label_rows AS
SELECT hashint8(n) & 511 AS customer_id, timestamptz '2025-01-01' + n * interval '1 hour' AS occurred_at,
       'c' || (hashint8(n + 1) & 7) AS channel, 'a' || (hashint8(n + 2) & k.mask) AS action,
       CASE hashint8(n + 3) & 3 WHEN 0 THEN 'in' WHEN 1 THEN 'long ' || (hashint8(n + 4) & 7) END AS detail, k.mask
FROM generate_series(1, 6000) n CROSS JOIN (VALUES (3), (255)) k(mask);
CREATE TABLE label_journeys AS
SELECT mask, customer_id, journey_agg(occurred_at, channel, action, NULL, NULL, detail) AS journey
FROM label_rows GROUP BY 1, 2;
CREATE TABLE label_blocks AS
SELECT mask, journey_block_agg(customer_id, journey) AS block FROM label_journeys GROUP BY mask, customer_id / 50;
CREATE VIEW label_truth AS
SELECT mask, NULL::date AS period_start, channel, action, detail, count(*) AS touchpoints, count(DISTINCT customer_id) AS customers
FROM label_rows GROUP BY mask, channel, action, detail
UNION ALL SELECT mask, NULL, channel, NULL, NULL, count(*), count(DISTINCT customer_id) FROM label_rows GROUP BY mask, channel
UNION ALL SELECT mask, NULL, NULL, action, NULL, count(*), count(DISTINCT customer_id) FROM label_rows GROUP BY mask, action
UNION ALL SELECT mask, NULL, NULL, NULL, detail, count(*), count(DISTINCT customer_id) FROM label_rows GROUP BY mask, detail
UNION ALL SELECT mask, NULL, NULL, NULL, NULL, count(*), count(DISTINCT customer_id) FROM label_rows GROUP BY mask;
CREATE VIEW of_journeys AS
SELECT mask, l.* FROM (SELECT mask, journey_label_agg(journey) AS a FROM label_journeys GROUP BY mask
                       UNION ALL SELECT mask, journey_label_agg(journey, part)
                                 FROM label_journeys, unnest('{channel,action,detail,all}'::text[]) part GROUP BY mask, part) s,
     unnest(a) l;
CREATE VIEW of_blocks AS
SELECT mask, l.* FROM (SELECT mask, journey_label_agg(block, 'label') AS a FROM label_blocks GROUP BY mask
                       UNION ALL SELECT mask, journey_label_agg(block, part)
                                 FROM label_blocks, unnest('{channel,action,detail,all}'::text[]) part GROUP BY mask, part) s,
     unnest(a) l;
CREATE FUNCTION label_differences(relation regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((TABLE label_truth EXCEPT TABLE %1$s) UNION ALL (TABLE %1$s EXCEPT TABLE label_truth)) d',
                   relation) INTO n;
    RETURN n;
END $$;
SELECT count(*) > 2000 AS many FROM label_truth;
SELECT label_differences('of_journeys'), label_differences('of_blocks');
-- ordered as labels are
SELECT bool_and(ordered) FROM (
    SELECT (row > lag(row) OVER (PARTITION BY mask ORDER BY n)) IS NOT FALSE AS ordered
    FROM (SELECT mask, journey_label_agg(block) AS a FROM label_blocks GROUP BY mask) s,
         unnest(a) WITH ORDINALITY l(period_start, channel, action, detail, touchpoints, customers, n),
         LATERAL (SELECT ROW(channel COLLATE "C", action COLLATE "C", coalesce(detail, '') COLLATE "C") AS row) r) o;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE label_journeys SET (parallel_workers = 2);
ALTER TABLE label_blocks SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT journey_label_agg(block) FROM label_blocks;
SELECT label_differences('of_journeys'), label_differences('of_blocks');
SELECT (SELECT journey_label_agg(block) FROM label_blocks) = (SELECT journey_label_agg(journey) FROM label_journeys) AS equal;
-- By period and range as over rows. In Casey 2010-03-05 02:00 was followed by 2010-03-04 23:00, so that dates fall while times
-- ascend; in St. John's clocks went back over midnight; Apia left a day out.
CREATE TABLE clock_rows AS
SELECT n, customer_id, channel, action, detail,
       CASE WHEN customer_id % 9 = 0 THEN date_trunc('day', at) WHEN customer_id % 3 > 0 THEN date_trunc('minute', at) ELSE at END AS at
FROM (SELECT n, hashint8(n) & 255 AS customer_id,
             (ARRAY['2010-03-03Z', '2010-11-05Z', '2011-12-29Z', '2021-03-26Z']::timestamptz[])[1 + (hashint8(n + 1) & 3)]
             + (hashint8(n + 2) & 65535) * (hashint8(n + 3) & 127) / 16 * interval '1.000001 s' AS at,
             'c' || (hashint8(n + 4) & 3) AS channel, 'a' || (hashint8(n + 5) & 3) AS action,
             CASE hashint8(n + 6) & 3 WHEN 0 THEN 'in' WHEN 1 THEN 'long' END AS detail
      FROM generate_series(1, 5000) n) r;
INSERT INTO clock_rows SELECT -n, 1000, 'c1', 'a' || n % 3, NULL, '2010-03-01Z'::timestamptz + n * interval '17 min' FROM generate_series(1, 5000) n;
CREATE TABLE clock_journeys AS SELECT customer_id, journey_agg(at, channel, action, NULL, NULL, detail) AS journey FROM clock_rows GROUP BY 1;
CREATE TABLE clock_blocks AS SELECT journey_block_agg(customer_id, journey) AS block FROM clock_journeys GROUP BY customer_id / 50;
CREATE TABLE clock_questions AS
SELECT part, period, zone, since::timestamptz, until::timestamptz
FROM unnest('{all,channel,action,detail,label}'::text[]) part, unnest('{all,day,week,month,year}'::text[]) period,
     unnest('{UTC,Antarctica/Casey,America/St_Johns,Pacific/Apia}'::text[]) zone,
     (VALUES ('-infinity', 'infinity'), ('2010-03-04 18:30Z', '2021-03-28 01:00Z'), ('2011-12-30 10:00Z', '2011-12-30 10:00Z'), ('2010-03-04', '2010-03-06')) r(since, until);
CREATE FUNCTION clock_differences(part text, period text, zone text, since timestamptz, until timestamptz, OUT journeys bigint, OUT blocks bigint) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE truth AS
    SELECT s.start AS period_start, p.channel, p.action, p.detail, count(*) AS touchpoints, count(DISTINCT customer_id) AS customers
    FROM clock_rows r, LATERAL (SELECT CASE WHEN period <> 'all' THEN date_trunc(period, at AT TIME ZONE zone)::date END AS start) s,
         LATERAL (SELECT CASE WHEN part IN ('label', 'channel') THEN r.channel END, CASE WHEN part IN ('label', 'action') THEN r.action END,
                         CASE WHEN part IN ('label', 'detail') THEN r.detail END) p(channel, action, detail)
    WHERE at >= since AND at < until GROUP BY 1, 2, 3, 4;
    CREATE TEMP TABLE told AS
    SELECT of, l.*
    FROM (SELECT 'j' AS of, journey_label_agg(journey, part, period, zone, since, until) AS a FROM clock_journeys
          UNION ALL SELECT 'b', journey_label_agg(block, part, period, zone, since, until) FROM clock_blocks) s, unnest(a) l;
    SELECT count(*) FILTER (WHERE of = 'j'), count(*) FILTER (WHERE of = 'b') INTO journeys, blocks
    FROM (SELECT of, d.* FROM unnest('{j,b}'::text[]) of,
                 LATERAL ((TABLE truth EXCEPT ALL SELECT period_start, channel, action, detail, touchpoints, customers FROM told WHERE told.of = of.of)
                          UNION ALL
                          (SELECT period_start, channel, action, detail, touchpoints, customers FROM told WHERE told.of = of.of EXCEPT ALL TABLE truth)) d) x;
    DROP TABLE truth, told;
END $$;
SELECT count(*) AS questions, sum(journeys) AS journeys, sum(blocks) AS blocks
FROM (SELECT *, row_number() OVER (ORDER BY part, period, zone, since, until) AS n FROM clock_questions) q, clock_differences(part, period, zone, since, until)
WHERE n % 3 = 0;
-- one group after the other
SELECT count(*) AS wrong FROM (SELECT customer_id, journey_label_agg(journey, 'label', 'day', 'Antarctica/Casey', NULL, NULL) AS a FROM clock_journeys GROUP BY 1) g
WHERE a <> (SELECT journey_label_agg(journey, 'label', 'day', 'Antarctica/Casey', NULL, NULL) FROM clock_journeys j WHERE j.customer_id = g.customer_id);
ALTER TABLE clock_blocks SET (parallel_workers = 2);
SELECT (SELECT journey_label_agg(block, 'label', 'day', 'Pacific/Apia', '2010-03-04', NULL) FROM clock_blocks)
       = (SELECT journey_label_agg(block, 'label', 'day', 'Pacific/Apia', '2010-03-04', NULL) FROM (SELECT block FROM clock_blocks LIMIT ALL OFFSET 0) b) AS in_parallel_too;
-- so many cells that they are not mapped, so many periods that slots are shared
SELECT count(*) AS cells, sum(touchpoints) AS touchpoints, sum(customers) AS customers
FROM unnest((SELECT journey_label_agg(block, 'label', 'day', 'UTC', NULL, NULL)
             FROM (SELECT journey_block_agg(n % 5, journey_agg) AS block
                   FROM (SELECT n % 5 AS n, journey_agg('2001-01-01Z'::timestamptz + n * 7 * interval '17:03:01.5', 'c', 'label ' || n % 1000) FROM generate_series(1, 9000) n GROUP BY 1) j) b)) l;
DROP FUNCTION clock_differences;
DROP TABLE clock_rows, clock_journeys, clock_blocks, clock_questions;
-- of many groups, parts of workers that were put together are not kept
CREATE FUNCTION label_memory(workers integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
    EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON)
             SELECT g, journey_label_agg(journey) FROM label_groups GROUP BY g' INTO plan;
    RETURN plan #>> '{0,Plan,Peak Memory Usage}';
END $$;
CREATE TABLE label_groups WITH (parallel_workers = 2) AS
SELECT n % 1000 AS g, '{web.view@2025-01-01T00:00:00Z, app.buy@2025-01-02T00:00:00Z}'::journey AS journey FROM generate_series(1, 10000) n;
ANALYZE label_groups;
SET enable_sort = off;
SET work_mem = '1GB';
EXPLAIN (COSTS OFF) SELECT g, journey_label_agg(journey) FROM label_groups GROUP BY g;
SELECT label_memory(2) < 1.5 * label_memory(0) AS no_more_than_the_groups;
RESET enable_sort;
RESET work_mem;
DROP FUNCTION label_memory;
DROP TABLE label_groups;
-- one customer after the other
SELECT count(*) AS differences FROM (
    (SELECT customer, touchpoints, sessions, first_at, last_at FROM label_blocks, journey_block_summary(block, '2 hours')
     EXCEPT ALL
     SELECT customer_id, journey_length(journey), (SELECT count(*) FROM journey_sessions(journey, '2 hours')),
            journey_start(journey), journey_end(journey) FROM label_journeys)
    UNION ALL
    (SELECT customer_id, journey_length(journey), (SELECT count(*) FROM journey_sessions(journey, '2 hours')),
            journey_start(journey), journey_end(journey) FROM label_journeys
     EXCEPT ALL
     SELECT customer, touchpoints, sessions, first_at, last_at FROM label_blocks, journey_block_summary(block, '2 hours'))) d;
SELECT sum(sessions) = (SELECT sum(journey_block_sessions(block, '2 hours')) FROM label_blocks) AS as_in_all
FROM label_blocks, journey_block_summary(block, '2 hours');
SELECT s.* FROM (SELECT journey_block_agg(c, j::journey) AS block
                 FROM (VALUES (7, '{}'), (-3, '{web.view@2025-01-01T00:00:00Z, web.view@2025-01-02T00:00:00Z}')) v(c, j)) b,
     journey_block_summary(block, '24 hours') s;
SELECT (journey_block_summary(block, '0')).customer
FROM (SELECT journey_block_agg(c, '{}') AS block FROM generate_series(1, 5) c) b LIMIT 2;
SELECT journey_block_summary(journey_block_agg(1, '{}'), '-1 hour');
SELECT journey_block_summary(journey_block_agg(1, '{}'), '1 month');
SELECT * FROM journey_block_summary(NULL, '1 hour');
-- how long they are
SELECT a = b AS same, a = (SELECT array_agg((l, n)::length_count ORDER BY l) FROM (SELECT journey_length(journey) AS l, count(*) AS n FROM label_journeys GROUP BY 1) t) AS as_counted,
       cardinality(a) > 10 AS many
FROM (SELECT journey_length_agg(journey) AS a FROM label_journeys) j, (SELECT journey_length_agg(block) AS b FROM label_blocks) k;
EXPLAIN (COSTS OFF) SELECT journey_length_agg(block) FROM label_blocks;
CREATE TABLE lengths AS
SELECT g, journey_agg('2025-01-01Z'::timestamptz + n * interval '1 min', 'a', 'b') AS j FROM unnest('{1,511,512,513,70000}'::int[]) g, generate_series(1, g) n GROUP BY g
UNION ALL VALUES (0, '{}'::journey), (-1, NULL);
SELECT journey_length_agg(j), (SELECT journey_length_agg(b) FROM (SELECT journey_block_agg(g, j) AS b FROM lengths GROUP BY g % 2) b) FROM lengths;
DROP TABLE lengths;
SELECT journey_length_agg(NULL::journey) AS journey, journey_length_agg(NULL::journey_block) AS block, journey_length_agg('{}'::journey_block) AS empty;
-- how they begin: as over the paths one by one
CREATE FUNCTION path_differences(part text, length integer, OUT journeys bigint, OUT blocks bigint, OUT in_order boolean) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE truth AS
    SELECT (journey_path(journey, part))[1:coalesce(length, 100000)] AS path, count(*) AS customers FROM label_journeys GROUP BY 1;
    CREATE TEMP TABLE told AS
    SELECT 'j' AS of, p.* FROM unnest((SELECT journey_path_agg(journey, part, length) FROM label_journeys)) WITH ORDINALITY p(path, customers, n)
    UNION ALL SELECT 'b', p.* FROM unnest((SELECT journey_path_agg(block, part, length) FROM label_blocks)) WITH ORDINALITY p(path, customers, n);
    SELECT count(*) FILTER (WHERE of = 'j'), count(*) FILTER (WHERE of = 'b') INTO journeys, blocks
    FROM (SELECT of, d.* FROM unnest('{j,b}'::text[]) of,
                 LATERAL ((TABLE truth EXCEPT ALL SELECT path, customers FROM told WHERE told.of = of.of)
                          UNION ALL (SELECT path, customers FROM told WHERE told.of = of.of EXCEPT ALL TABLE truth)) d) x;
    SELECT bool_and(cardinality(path) > cardinality(before) OR cardinality(path) = cardinality(before)
                    AND (part IN ('label', 'detail') OR path > before COLLATE "C")) IS NOT FALSE INTO in_order
    FROM (SELECT path, lag(path) OVER (PARTITION BY of ORDER BY n) AS before FROM told) x;
    DROP TABLE truth, told;
END $$;
SELECT p, l, d.* FROM unnest('{label,channel,action,detail}'::text[]) p, unnest('{0,1,2,3,7,NULL}'::integer[]) l, path_differences(p, l) d
WHERE d IS DISTINCT FROM (0::bigint, 0::bigint, true);
EXPLAIN (COSTS OFF) SELECT journey_path_agg(block, 'label', 3) FROM label_blocks;
SELECT (SELECT journey_path_agg(block, 'label', 3) FROM label_blocks)
       = (SELECT journey_path_agg(block, 'label', 3) FROM (SELECT block FROM label_blocks LIMIT ALL OFFSET 0) b) AS in_parallel_too;
DROP FUNCTION path_differences;
CREATE FUNCTION paths(part text, length integer) RETURNS SETOF path_count LANGUAGE sql
RETURN unnest((SELECT journey_path_agg(j::journey, part, length)
               FROM (VALUES ('{web.view@2025-01-01T00:00Z, web.view@2025-01-02T00:00Z, "Loja São João".buy.in@2025-01-03T00:00Z}'), ('{web.view@2025-01-01T00:00Z, web.view@2025-01-02T00:00Z}'),
                            ('{chat.view.out@2025-01-01T00:00Z}'), ('{}'), (NULL)) v(j)));
SELECT * FROM paths('label', 2);
SELECT * FROM paths('channel', NULL);
SELECT * FROM paths('detail', NULL);
SELECT * FROM paths('action', 0);
SELECT paths('brand', 1);
SELECT paths(NULL, 1);
SELECT paths('label', -1);
SELECT journey_path_agg('{}'::journey, part, 1) FROM unnest('{label,channel}'::text[]) part;
SELECT journey_path_agg('{}'::journey, 'label', length) FROM unnest('{1,NULL}'::integer[]) length;
SELECT journey_path_agg(NULL::journey, 'label', 1) AS journey, journey_path_agg(NULL::journey_block, 'label', 1) AS block,
       journey_path_agg('{}'::journey_block, 'label', 1) AS empty, journey_path_agg('{}'::journey, 'label', 1) AS path;
-- one journey of very many
SELECT cardinality(path) AS length, customers
FROM unnest((SELECT journey_path_agg(j, 'action', NULL)
             FROM (SELECT journey_agg('2025-01-01Z'::timestamptz + n * interval '1 s', 'c', 'a' || n % 3) AS j FROM generate_series(1, 200000) n) j));
DROP FUNCTION paths;
DROP VIEW of_blocks, of_journeys, label_truth;
DROP FUNCTION label_differences;
DROP TABLE label_rows, label_journeys, label_blocks;
