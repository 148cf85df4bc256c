-- journey_label_agg: which labels there are, how often, and of how many customers
SET timezone = 'UTC';
SELECT * FROM unnest((
    SELECT journey_label_agg(j::journey)
    FROM (VALUES ('{web.view@2025-01-01T00:00:00Z, web.view@2025-01-02T00:00:00Z, chat.message.in@2025-01-03T00:00:00Z}'), ('{web.view@2025-01-01T00:00:00Z}'), ('{}'),
                 (NULL), ('{água."não é"@2025-01-01T00:00:00Z, chat.message.out@2025-01-02T00:00:00Z}')) v(j)));
-- nothing to count
SELECT journey_label_agg(NULL::journey), journey_label_agg('{}'::journey), journey_label_agg(NULL::journey_block);
SELECT journey_label_agg(j) FROM (SELECT NULL::journey WHERE false) j(j);

-- of a part of labels; detail NULL: those without one
SELECT part, l.* FROM unnest('{channel,action,detail,label}'::text[]) part, LATERAL unnest((
    SELECT journey_label_agg(j::journey, part)
    FROM (VALUES ('{web.view@2025-01-01T00:00:00Z, web.view.in@2025-01-02T00:00:00Z, chat.message.in@2025-01-03T00:00:00Z}'),
                 ('{web.view@2025-01-01T00:00:00Z, chat.view.out@2025-01-01T00:00:00Z}')) v(j))) l;
SELECT journey_label_agg('{}'::journey, 'brand');
SELECT journey_label_agg('{}'::journey, NULL);
SELECT journey_label_agg(NULL::journey, 'channel'), journey_label_agg('{}'::journey, 'detail');
SELECT journey_label_agg('{}'::journey, part) FROM unnest('{channel,action}'::text[]) part;

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
SELECT mask, channel, action, detail, count(*) AS touchpoints, count(DISTINCT customer_id) AS customers
FROM label_rows GROUP BY 1, 2, 3, 4
UNION ALL SELECT mask, channel, NULL, NULL, count(*), count(DISTINCT customer_id) FROM label_rows GROUP BY 1, 2
UNION ALL SELECT mask, NULL, action, NULL, count(*), count(DISTINCT customer_id) FROM label_rows GROUP BY 1, 3
UNION ALL SELECT mask, NULL, NULL, detail, count(*), count(DISTINCT customer_id) FROM label_rows GROUP BY 1, 4;
CREATE VIEW of_journeys AS
SELECT mask, l.* FROM (SELECT mask, journey_label_agg(journey) AS a FROM label_journeys GROUP BY mask
                       UNION ALL SELECT mask, journey_label_agg(journey, part)
                                 FROM label_journeys, unnest('{channel,action,detail}'::text[]) part GROUP BY mask, part) s,
     unnest(a) l;
CREATE VIEW of_blocks AS
SELECT mask, l.* FROM (SELECT mask, journey_label_agg(block, 'label') AS a FROM label_blocks GROUP BY mask
                       UNION ALL SELECT mask, journey_label_agg(block, part)
                                 FROM label_blocks, unnest('{channel,action,detail}'::text[]) part GROUP BY mask, part) s,
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
         unnest(a) WITH ORDINALITY l(channel, action, detail, touchpoints, customers, n),
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
DROP VIEW of_blocks, of_journeys, label_truth;
DROP FUNCTION label_differences;
DROP TABLE label_rows, label_journeys, label_blocks;
