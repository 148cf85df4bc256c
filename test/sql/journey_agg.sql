-- journey_agg in its forms: NULLs, order, plans, windows, merging.
SET timezone = 'UTC';

CREATE TABLE touches (customer int, at timestamptz, channel text, action text, value numeric, id bigint);
INSERT INTO touches VALUES
    (1, '2026-03-02 09:30', 'store', 'purchase', 49.90, 42),
    (1, '2026-03-01 10:00', 'web', 'view', NULL, 1),
    (2, '2026-03-01 10:00', 'app', 'open', NULL, NULL),
    (3, NULL, NULL, NULL, NULL, NULL),
    (3, NULL, NULL, NULL, 5, 5),
    (1, NULL, NULL, NULL, NULL, NULL);

SELECT customer, journey_agg(at, channel, action) FROM touches GROUP BY 1 ORDER BY 1;
SELECT customer, journey_agg(at, channel, action, value) FROM touches GROUP BY 1 ORDER BY 1;
SELECT customer, journey_agg(at, channel, action, value, id) FROM touches GROUP BY 1 ORDER BY 1;
SELECT customer, journey_agg(touchpoint(at, channel, action, value, id)) FROM touches GROUP BY 1 ORDER BY 1;
SELECT journey_agg(j), journey_agg(j) = journey_agg(j ORDER BY j DESC)
FROM (SELECT journey_agg(at, channel, action, value, id) j FROM touches GROUP BY customer) s;
SELECT journey_agg(at, channel, action) FROM touches WHERE false;
SELECT journey_agg(j) FROM (VALUES (NULL::journey)) v(j);
SELECT journey_agg(j) FROM (VALUES (NULL::journey), ('{}')) v(j);

-- a row that has some but not all of time, channel and action is an error
SELECT journey_agg(at, channel, action) FROM (VALUES (NULL::timestamptz, 'web', 'view')) v(at, channel, action);
SELECT journey_agg(at, channel, action) FROM (VALUES ('2026-01-01'::timestamptz, NULL, 'view')) v(at, channel, action);
SELECT journey_agg(at, channel, action) FROM (VALUES ('2026-01-01'::timestamptz, 'web', NULL)) v(at, channel, action);
SELECT journey_agg('infinity', 'web', 'view');
SELECT journey_agg('-infinity', 'web', 'view');
SELECT journey_agg('2026-01-01', 'web', repeat('x', 300));
SELECT journey_agg('2026-01-01', 'web', 'view', 'Infinity');
SELECT journey_agg('2026-01-01', 'web', 'view', 1e20);

-- ordinary SQL around it: FILTER, DISTINCT, ORDER BY, window, grouping sets, rollup
SELECT journey_agg(at, channel, action) FILTER (WHERE channel = 'web') FROM touches;
SELECT journey_agg(DISTINCT touchpoint('2026-01-01', 'web', 'view')) FROM generate_series(1, 3);
SELECT customer, journey_length(journey_agg(at, channel, action) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING))
FROM touches WHERE id IS NOT NULL AND at IS NOT NULL;
SELECT customer, channel, journey_path(journey_agg(at, channel, action)) FROM touches WHERE at IS NOT NULL
GROUP BY GROUPING SETS ((customer), (channel), ()) ORDER BY 1, 2;

-- hashed, sorted, spilled and parallel plans agree
CREATE TABLE many AS
SELECT i AS id, i * 7919::bigint % 997 AS customer,
       '2026-01-01 00:00Z'::timestamptz + make_interval(secs => i * 104729::bigint % 100000) AS at,
       'ch' || i % 12 AS channel, 'ação ' || i % 20 AS action,
       CASE WHEN i % 10 = 0 THEN (i % 1000) / 100.0 END AS value
FROM generate_series(1, 30000) i;
ANALYZE many;
CREATE FUNCTION fingerprint() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT md5(string_agg(customer || ':' || j::text, E'\n' ORDER BY customer))
    FROM (SELECT customer, journey_agg(at, channel, action, value, id) j FROM many GROUP BY customer) s
$$;
SET max_parallel_workers_per_gather = 0;
SET enable_sort = off;
CREATE TEMP TABLE fp AS SELECT 'hashed' AS plan, fingerprint();
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
INSERT INTO fp SELECT 'spilled', fingerprint();
RESET work_mem;
RESET enable_sort;
SET enable_hashagg = off;
INSERT INTO fp SELECT 'sorted', fingerprint();
RESET enable_hashagg;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT customer, journey_agg(at, channel, action, value, id) FROM many GROUP BY customer;
INSERT INTO fp SELECT 'parallel', fingerprint();
SELECT count(*), count(DISTINCT fingerprint) FROM fp;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- more labels than are kept from group to group, in sorted and hashed plans
SET enable_hashagg = off;
SELECT sum(journey_length(j)), sum(cardinality(journey_labels(j))) FROM
    (SELECT journey_agg('2026-01-01 00:00Z'::timestamptz + make_interval(secs => i), 'web', 'page ' || i) j
     FROM generate_series(1, 60000) i GROUP BY i / 20000) s;
RESET enable_hashagg;
SELECT journey_length(j), cardinality(journey_labels(j)), j[70000] FROM
    (SELECT journey_agg('2026-01-01 00:00Z'::timestamptz + make_interval(secs => i), 'web', 'page ' || i) j
     FROM generate_series(1, 70000) i) s;

DROP FUNCTION fingerprint();
DROP TABLE touches, many;

-- arguments go by position; a reference without a value has a name, through a touchpoint
SELECT journey_agg(at, channel, action, id) AS id_as_value,
       journey_agg(touchpoint(at, channel, action, ref => id)) AS by_name,
       journey_agg(at, channel, action, NULL, id) AS by_position
FROM (VALUES ('2026-03-01 10:00Z'::timestamptz, 'web', 'view', 7::bigint)) v(at, channel, action, id);
SELECT journey_agg(occurred_at => at, channel => 'web', action => 'view', ref => 7) FROM (VALUES (now())) v(at);
