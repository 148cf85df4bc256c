-- Blocks that a hub keeps: rows of journey_blocks as journeys come, change and go; who may read them; how they are read.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET jit = off;
SELECT journey_create_hub('crm');
SET search_path = crm, public;
UPDATE settings SET future_within = NULL;

-- customers first to last; times that take room, so that there are several rows
CREATE FUNCTION people(first bigint, last bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO identities (identity_id, identifier, normal_id, customer_id, member_since)
    SELECT n, identifier('c', n::text), n, n, '2026-01-01Z' FROM generate_series(first, last) n;
    INSERT INTO customers (customer_id, identities) SELECT n, 1 FROM generate_series(first, last) n;
$$;
CREATE FUNCTION touch(first bigint, last bigint, times integer) RETURNS bigint LANGUAGE sql AS $$
    WITH touched AS (
        INSERT INTO touchpoints (identity_id, occurred_at, channel, action)
        SELECT n, '2026-01-01Z'::timestamptz
                   + (hashint8extended(n * 100000 + g, 7) & 4398046511103) * interval '1 microsecond',
               (ARRAY['web', 'store', 'phone'])[1 + g % 3], 'view'
        FROM generate_series(first, last) n, generate_series(1, times) g
        RETURNING identity_id)
    SELECT count(DISTINCT identity_id) FROM touched
$$;
CREATE VIEW stored AS
SELECT u.customer AS customer_id, u.journey
FROM (SELECT b.first_customer, b.block, b.newer, b.gone, lead(b.first_customer) OVER (ORDER BY b.first_customer) AS next FROM journey_blocks b) b,
     unnest(journey_block_without(coalesce(journey_block_merge(b.block, b.newer), b.block), coalesce(b.gone, '{}'))) u
WHERE u.customer >= b.first_customer AND (b.next IS NULL OR u.customer < b.next);
CREATE VIEW current AS
SELECT u.customer AS customer_id, u.journey FROM current_blocks b, unnest(b.block) u;
CREATE VIEW truth AS
SELECT i.customer_id, journey_agg(t.occurred_at, t.channel, t.action, NULL, t.touchpoint_id) AS journey
FROM touchpoints t JOIN identities i USING (identity_id) GROUP BY i.customer_id;
CREATE VIEW state AS
SELECT (SELECT count(*) FROM ((TABLE truth EXCEPT ALL TABLE current) UNION ALL (TABLE current EXCEPT ALL TABLE truth)) d) AS flaws,
       (SELECT count(*) FROM ((SELECT customer_id, journey FROM customer_journeys EXCEPT ALL TABLE stored)
                              UNION ALL (TABLE stored EXCEPT ALL SELECT customer_id, journey FROM customer_journeys)) d) AS stored_flaws,
       count(newer) AS newer, count(gone) AS gone, min(first_customer) = -9223372036854775808 AS from_the_smallest,
       count(*) FILTER (WHERE pg_column_size(block) > 1048576) AS too_large
FROM journey_blocks;

SELECT people(1, 2400);
SELECT * FROM state;
SELECT touch(1, 2400, 40);
SELECT * FROM state;
SELECT refresh();
SELECT * FROM state;
SELECT count(*) > 2 AS several, max(pg_column_size(block)) BETWEEN 100000 AND 270000 AS of_size FROM journey_blocks;
CREATE TABLE before AS SELECT b.first_customer, md5(b.block::text) AS block FROM journey_blocks b;
CREATE VIEW rewritten AS
SELECT count(*) FILTER (WHERE md5(n.block::text) IS DISTINCT FROM b.block) AS rewritten
FROM journey_blocks n FULL JOIN before b USING (first_customer);

-- a few have changed: they stand beside their block, which is not even written again
SELECT touch(101, 110, 1);
SELECT * FROM state;
SELECT reltoastrelid AS toast FROM pg_class WHERE oid = 'journey_blocks'::regclass \gset
BEGIN;
SELECT pg_stat_get_xact_tuples_inserted(:toast) AS before \gset
SELECT refresh();
SELECT pg_stat_get_xact_tuples_inserted(:toast) - :before BETWEEN 0 AND 3 AS block_stays;
COMMIT;
SELECT * FROM state;
SELECT * FROM rewritten;
-- more, and more of them: their block is written, no other
SELECT touch(105, 115, 1);
SELECT refresh();
SELECT * FROM state;
SELECT touch(1, 300, 1);
SELECT refresh();
SELECT * FROM state;
SELECT * FROM rewritten;
TRUNCATE before;
INSERT INTO before SELECT b.first_customer, md5(b.block::text) FROM journey_blocks b;

-- some go; some of them come back
DELETE FROM touchpoints WHERE identity_id BETWEEN 201 AND 220;
SELECT refresh();
SELECT * FROM state;
SELECT gone[1] AS first, cardinality(gone) FROM journey_blocks WHERE gone IS NOT NULL;
SELECT touch(201, 215, 2);
SELECT refresh();
SELECT * FROM state;
SELECT gone FROM journey_blocks WHERE gone IS NOT NULL;
-- who has changed since, and goes
SELECT touch(1, 1, 1), touch(900, 900, 1);
SELECT refresh();
DELETE FROM touchpoints WHERE identity_id IN (1, 900);
SELECT refresh();
SELECT * FROM state;
SELECT * FROM rewritten;
-- all of a row go, and then all of the first row
SELECT min(first_customer) AS second, (array_agg(first_customer ORDER BY first_customer))[2] AS third
FROM journey_blocks WHERE first_customer > 0 \gset
SELECT count(*) AS rows FROM journey_blocks \gset
DELETE FROM touchpoints WHERE identity_id >= :second AND identity_id < :third;
SELECT refresh() > 100 AS refreshed;
SELECT * FROM state;
SELECT :rows - count(*) AS fewer FROM journey_blocks;
DELETE FROM touchpoints WHERE identity_id < :second;
SELECT refresh() > 100 AS refreshed;
SELECT * FROM state;
SELECT :rows - count(*) AS fewer, min(block::text) FILTER (WHERE first_customer < 0) AS first FROM journey_blocks;
-- they come again
SELECT touch(1, :third - 1, 40) > 100 AS touched;
SELECT refresh() > 100 AS refreshed;
SELECT * FROM state;
SELECT :rows - count(*) <= 1 AS as_many FROM journey_blocks;

-- customers join and part
SELECT must_link('c:7', 'c:2300'), must_link('c:2301', 'c:2302');
SELECT refresh();
SELECT * FROM state;
SELECT clear_pair('c:7', 'c:2300');
SELECT refresh();
SELECT * FROM state;

-- a load of new ones: the last row is made anew, in as many as it takes; whether in one scan is a matter of sizes
SELECT count(*) AS rows FROM journey_blocks \gset
SELECT people(2401, 11400), touch(2401, 11400, 4);
SELECT refresh();
SELECT flaws, stored_flaws, newer <= 1 AS hardly_newer, gone, from_the_smallest, too_large FROM state;
SELECT count(*) > :rows AS more_rows FROM journey_blocks;
-- one journey that is larger than a piece
SELECT touch(1000, 1000, 45000);
SELECT count(*), max(journey_block_length(block)) FROM current_blocks WHERE journey_block_length(block) = 1;
SELECT refresh();
SELECT flaws, stored_flaws, newer <= 1 AS hardly_newer, gone, from_the_smallest, too_large FROM state;
SELECT touch(1000, 1000, 45100);
SELECT refresh();
SELECT flaws, stored_flaws, newer <= 1 AS hardly_newer, gone, from_the_smallest, too_large FROM state;
-- everything has changed
UPDATE touchpoints SET action = 'see' WHERE channel = 'web' AND identity_id % 2 = 0;
SELECT refresh() > 1000 AS refreshed;
SELECT * FROM state;

-- a journey is read by index, also where a partition was last counted when nothing in it could be seen
SELECT pg_stat_force_next_flush();  -- what was counted before is counted no more
BEGIN;
UPDATE pg_class SET reltuples = 0 WHERE oid = 'touchpoints_default'::regclass;
SELECT count(visible_journey(n)) FROM generate_series(1, 10) n;
SELECT sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) BETWEEN 100 AND 10000 AS by_index
FROM pg_index i WHERE i.indrelid = 'touchpoints_default'::regclass;
ROLLBACK;

-- workers share the rows of journey_blocks, few as they are, whoever reads them
CREATE ROLE regress_blocks_reader;
SELECT grant_access('regress_blocks_reader');
VACUUM ANALYZE journey_blocks;
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END $$;
CREATE VIEW plans AS
SELECT q AS query, count(*) FILTER (WHERE line ~ 'Partial Aggregate') AS in_workers,
       count(*) FILTER (WHERE line ~ 'Parallel Seq Scan on journey_blocks') AS shared,
       count(*) FILTER (WHERE line ~ 'Gather') AS gathered
FROM unnest(ARRAY['SELECT journey_funnel_agg(b.block, ''web.view -> %.see'') FROM current_blocks b',
                  'SELECT measures FROM channel_measures() AS m(measures)']) q, plan(q) line
GROUP BY 1 ORDER BY 1;
GRANT SELECT ON plans TO regress_blocks_reader;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT * FROM plans;
SET ROLE regress_blocks_reader;
SELECT * FROM plans;
RESET ROLE;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
DROP OWNED BY regress_blocks_reader;
DROP ROLE regress_blocks_reader;
DROP VIEW plans;

-- a hub that has none yet, or none any more
SELECT count(*) AS rows FROM journey_blocks \gset
TRUNCATE journey_blocks;
SELECT touch(1, 10, 1);
SELECT (SELECT flaws FROM state), count(*) > 10 AS in_several FROM current_blocks;
SELECT refresh();
SELECT * FROM state;
SET client_min_messages = error;
DROP VIEW stored, current CASCADE;
DROP TABLE journey_blocks CASCADE;
SELECT journey_upgrade_hub('crm');
SELECT count(*) AS rows, (SELECT count(*) FROM ((SELECT u.customer, u.journey FROM current_blocks b, unnest(b.block) u EXCEPT ALL TABLE truth)
                                                UNION ALL (TABLE truth EXCEPT ALL
                                                           SELECT u.customer, u.journey FROM current_blocks b, unnest(b.block) u)) d) AS flaws
FROM journey_blocks;
SELECT refresh();
SELECT count(*) > 2 AS rows, sum(journey_block_length(b.block)) = (SELECT count(*) FROM customer_journeys) AS all_there FROM journey_blocks b;

-- nothing is left
TRUNCATE touchpoints;
SELECT count(*) AS journeys FROM current_blocks b, unnest(b.block);
SELECT refresh() > 10000 AS refreshed;
SELECT first_customer, block, newer, gone FROM journey_blocks;
SELECT block FROM current_blocks;

SET search_path = public;
SELECT journey_drop_hub('crm', true);
