-- journey_block: forms, limits and errors, and random blocks against what plain SQL does over their rows.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
SET client_min_messages = warning;
SET TimeZone = 'UTC';
\i :refused

-- text: customers in any order, those that come twice put together
SELECT '{}'::journey_block, ' { } '::journey_block, '{7:{}}'::journey_block, '{+7 : { } , -7:{}}'::journey_block;
SELECT '{9: {}, 7: {web.view@2026-03-01T10:00:00Z, store.purchase=49.90@2026-03-02T09:30:00Z#42}}'::journey_block;
SELECT '{7: {web.view@2026-03-02T10:00:00Z}, 3: {}, 7: {web.view@2026-03-01T10:00:00Z}, 7: {}}'::journey_block;
SELECT '{9223372036854775807: {}, -9223372036854775808: {c.a@1970-01-01T00:00:00Z}, 0: {"é x".ü@0001-01-01T00:00:00.000001Z}}'::journey_block;
SELECT input, r.* FROM (VALUES (''), ('{'), ('7: {}'), ('{7}'), ('{7:}'), ('{7: {}'), ('{7: {},}'), ('{7: {} 8: {}}'), ('{: {}}'),
    ('{7: {}} x'), ('{x: {}}'), ('{7.5: {}}'), ('{7: {web.view}}'), ('{7: {web.view@2026-02-30T10:00:00Z}}'),
    ('{7: {web.view@infinity}}'), ('{9223372036854775808: {}}'), ('{-9223372036854775809: {}}'),
    ('{99999999999999999999999999: {}}')) v(input), refused(format('SELECT %L::journey_block', input)) r;

-- the whole range of times, and of customers; units of time that differ
SELECT b::text::journey_block = b AS text, (b || '{}') = b AND ('{}' || b) = b AS merged, b FROM (
    SELECT journey_block_agg(c, touchpoint(at, 'web', 'view')) FROM (VALUES
        (1, timestamptz '4714-11-24 00:00:00+00 BC'), (2, '294276-12-31 23:59:59.999999+00'),
        (3, '1999-12-31 23:59:59.999999+00'), (4, '1999-12-31 00:00:00+00'), (5, '2000-01-01 00:00:00+00'),
        (6, '2026-03-01 10:17:00+00'), (7, '2026-03-01 10:00:00+00'), (8, '2026-03-01 10:00:00.5+00'),
        (-9223372036854775808, '2026-03-01 10:00:01+00'), (9223372036854775807, '2026-03-01 10:00:00.000001+00')) v(c, at)) x(b);
SELECT state, message FROM refused($$SELECT journey_block_agg(1, touchpoint('infinity', 'web', 'view'))$$);

-- the aggregate: NULL, empty journeys, one customer in several rows
SELECT journey_block_agg(c, j) IS NULL AS no_rows FROM (VALUES (1::bigint, NULL::journey)) v(c, j) WHERE false;
SELECT journey_block_agg(c, j) IS NULL AS no_journeys FROM (VALUES (1::bigint, NULL::journey), (NULL, NULL)) v(c, j);
SELECT journey_block_agg(c, j::journey) FROM (VALUES (3, '{}'), (2, NULL), (NULL, NULL), (1, '{a.b@2026-03-01T10:00:00Z}'),
    (1, '{a.b@2026-03-01T10:00:00Z, a.a=1@2026-03-01T10:00:00Z}'), (1, '{}')) v(c, j);
SELECT r.* FROM refused($$SELECT journey_block_agg(NULL, '{}'::journey)$$) r;
SELECT c, journey_block_agg(c, '{}') OVER (ORDER BY c) FROM generate_series(1, 3) c;
SELECT journey_block_agg(1, '{}') FILTER (WHERE false) IS NULL AS filtered;

-- reading
CREATE TEMP TABLE one (b journey_block);
INSERT INTO one VALUES ('{}'), ('{7: {}}'), ('{7: {web.view@2026-03-01T10:00:00Z}, -9223372036854775808: {}, 9: {web.view=1@2026-03-01T10:00:00Z, web.view@2026-03-01T10:00:00Z#1}}');
SELECT journey_block_length(b), journey_block_touchpoints(b), journey_block_customers(b), (SELECT array_agg(u) FROM unnest(b) u) FROM one;
SELECT u.customer, u.journey FROM one, unnest(b) u ORDER BY 1, 2;
SELECT journey_block_length(NULL), journey_block_touchpoints(NULL), journey_block_customers(NULL), (SELECT count(*) FROM unnest(NULL::journey_block));

SELECT b::json, b::jsonb -> '9' -> 0 ->> 'occurred_at' AS at FROM one;
SELECT count(*), bool_and(value = (SELECT j::jsonb FROM unnest(b) u(c, j) WHERE c = key::bigint)) FROM one, jsonb_each(b::jsonb);

-- change
SELECT a || b AS merged FROM (VALUES ('{1: {a.b@2026-03-01T10:00:00Z}, 2: {}}'::journey_block, '{2: {c.d@2026-03-01T10:00:00Z}, 1: {}}'::journey_block)) v(a, b);
SELECT journey_block_merge('{1: {}}', '{0: {}, 2: {}}'), '{1: {}}'::journey_block || NULL IS NULL AS null;
SELECT journey_block_without('{1: {a.b@2026-03-01T10:00:00Z}, 2: {}, 3: {}}', gone) FROM (VALUES
    ('{}'::bigint[]), ('{2}'), ('{{3,1},{NULL,2}}'), ('{3,-9223372036854775808,3,9223372036854775807}'), ('{NULL}'), (NULL)) v(gone);
SELECT s FROM journey_block_split('{1: {a.b@2026-03-01T10:00:00Z}, 2: {}, 3: {}}', 1) s;
SELECT s FROM journey_block_split('{1: {a.b@2026-03-01T10:00:00Z}, 2: {}, 3: {}}', 2147483647) s;
SELECT count(*) FROM journey_block_split('{}', 100);
SELECT r.* FROM (VALUES (0), (-5)) v(bytes), refused(format('SELECT journey_block_split(%L, %s)', '{}', bytes)) r;
-- a dictionary that is larger than a piece is parted, too: pieces are not much smaller than they may be
SELECT d, max(pg_column_size(s)) <= 20000 AS small, count(*) <= 1.3 * sum(pg_column_size(s)) / 20000 + 1 AS few,
       sum(journey_block_length(s)) AS journeys
FROM (SELECT d, journey_block_agg(c, j)
      FROM (SELECT d, c, journey_agg(timestamptz '2026-03-01 10:00:00Z' + n * interval '1 s', 'c' || c, 'a' || c || 'x' || n, NULL, NULL,
                                     CASE WHEN d THEN 'd' || c || 'x' || n END) AS j
            FROM unnest('{f,t}'::boolean[]) d, generate_series(1, 2000) c, generate_series(1, 5) n GROUP BY d, c) x
      GROUP BY d) b(d, b), journey_block_split(b, 20000) s GROUP BY d;

-- order and hash
CREATE INDEX ON one (b);
SELECT count(*), count(DISTINCT b), min(b::text) FROM (SELECT b FROM one UNION ALL SELECT b::text::journey_block FROM one) x;
SELECT a.b = b.b AS eq, a.b <> b.b AS ne, a.b < b.b OR b.b < a.b AS lt_gt, a.b <= b.b OR b.b <= a.b AS le_ge, a.b > b.b OR b.b > a.b AS gt_lt,
       a.b >= b.b OR b.b >= a.b AS ge_le, journey_block_cmp(a.b, b.b) = -journey_block_cmp(b.b, a.b) AS cmp, count(*)
FROM one a, one b GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1;
SELECT bool_and(journey_block_hash(b) = journey_block_hash(b::text::journey_block)
                AND journey_block_hash_extended(b, 0)::bit(32) = journey_block_hash(b)::bit(32)
                AND journey_block_hash_extended(b, 1) <> journey_block_hash_extended(b, 2)) FROM one;
SELECT journey_block_hash('{7: {web.view@2026-03-01T10:00:00Z}}');
SET enable_hashjoin = off;
SELECT count(*) FROM one a JOIN one b USING (b);
RESET enable_hashjoin;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT count(*) FROM one a JOIN one b USING (b);
RESET enable_mergejoin;
RESET enable_nestloop;

-- random journeys: some without touchpoints, with values, references and details, many labels; customers near each other and far apart
CREATE TEMP TABLE source AS
SELECT s.customer, s.piece, j.journey
FROM (SELECT g AS n, g % 7 AS piece,
             CASE g % 3 WHEN 0 THEN g WHEN 1 THEN -g * 1000 ELSE (g - 450) * 20000000000000000 END AS customer,
             (1 + abs(hashint8(g)::bigint) % 40) * (abs(hashint8(g + 1)::bigint) % 5) / 2 AS length FROM generate_series(1::bigint, 900) g) s,
     LATERAL (SELECT coalesce(journey_agg('2026-01-01 00:00:00+00'::timestamptz + h % 10000000 * u.unit,
                          'c' || h % 5, 'a' || h % (CASE WHEN s.n % 50 = 0 THEN 700 ELSE 9 END),
                          CASE WHEN s.n % 4 = 0 AND h % 3 = 0 THEN (h % 1000)::numeric / (CASE WHEN s.n % 8 = 0 THEN 100 ELSE 1 END) END,
                          CASE WHEN s.n % 5 = 0 AND h % 2 = 0 THEN h END,
                          CASE WHEN s.n % 6 = 0 THEN (ARRAY['in', 'out', 'bot', '', 'd' || h % 4])[1 + h % 5] END), '{}') AS journey
              FROM (SELECT CASE s.n % 5 WHEN 0 THEN interval '1 second' WHEN 1 THEN '1 minute' WHEN 2 THEN '1 millisecond'
                                        WHEN 3 THEN '7 microseconds' ELSE '1 hour' END AS unit) u,
                   LATERAL (SELECT abs(hashint8extended(i, s.n) / 1000) AS h FROM generate_series(1, s.length) i) x) j;
CREATE TEMP TABLE block AS
SELECT piece, journey_block_agg(customer, journey ORDER BY hashint8(customer)) AS b FROM source GROUP BY piece;
ALTER TABLE block ADD PRIMARY KEY (piece);
SELECT count(*) AS blocks, sum(journey_block_length(b)) AS journeys, sum(journey_block_touchpoints(b)) = sum(t) AS touchpoints
FROM block JOIN (SELECT piece, sum(journey_length(journey)) AS t FROM source GROUP BY 1) s USING (piece);

-- byte by byte what went in, in order of customers
SELECT count(*) FROM source s FULL JOIN (SELECT piece, u.* FROM block, unnest(b) WITH ORDINALITY u) u USING (piece, customer)
WHERE s.journey IS DISTINCT FROM u.journey OR journey_send(s.journey) <> journey_send(u.journey)
      OR s.journey::text <> u.journey::text
      OR journey_hash(s.journey) <> journey_hash(u.journey) OR journey_labels(s.journey) <> journey_labels(u.journey);
SELECT count(*) FROM (SELECT customer, lag(customer) OVER (PARTITION BY piece ORDER BY ordinality) AS before
                      FROM block, unnest(b) WITH ORDINALITY u) x WHERE before >= customer;
SELECT count(*) FROM block WHERE journey_block_customers(b) IS DISTINCT FROM (SELECT array_agg(customer ORDER BY customer) FROM source s WHERE s.piece = block.piece);

-- one value however it was made: of ordered rows, of pieces, of text, put together by customers
SELECT count(*) FROM block JOIN (SELECT piece, journey_block_agg(customer, journey ORDER BY customer) AS a,
                                        journey_block_agg(customer, journey ORDER BY customer DESC) AS c FROM source GROUP BY 1) x USING (piece)
WHERE a <> b OR c <> b OR b::text::journey_block <> b OR b::text <> a::text;
SELECT count(*) FROM block WHERE b <> (SELECT journey_block_agg(u.customer, t::journey ORDER BY hashint4(u.n)) FROM (
    SELECT customer, t, row_number() OVER ()::integer AS n FROM unnest(b) LEFT JOIN LATERAL unnest(journey) t ON true) u WHERE t IS NOT NULL)
    || coalesce((SELECT journey_block_agg(u.customer, u.journey) FROM unnest(b) u WHERE journey_length(u.journey) = 0), '{}');

-- merge, without and split are what they are of rows
SELECT count(*) AS pairs, count(*) FILTER (WHERE merged IS DISTINCT FROM (
    SELECT journey_block_agg(customer, coalesce(n.journey, o.journey)) FROM unnest(x.a) o FULL JOIN unnest(x.c) n USING (customer))) AS wrong
FROM (SELECT p.b AS a, q.c, p.b || q.c AS merged
      FROM block p, (SELECT journey_block_agg(customer, CASE WHEN customer % 4 = 0 THEN '{}' ELSE journey[2:] || 'new.label@2026-05-05T00:00:00Z'::touchpoint END) AS c
                     FROM source WHERE customer % 5 < 2 GROUP BY piece) q) x;
SELECT count(*) FROM block p, block q WHERE p.b || q.b <> (SELECT journey_block_agg(customer, journey) FROM source WHERE piece IN (p.piece, q.piece));
SELECT count(*) FROM block p, (VALUES (2), (3), (11), (1000)) v(m), LATERAL (
    SELECT array_agg(customer) || ARRAY[NULL, 5] AS gone FROM source WHERE customer % m = 0) g
WHERE journey_block_without(b, gone) <> coalesce((SELECT journey_block_agg(u.customer, u.journey) FROM unnest(b) u WHERE u.customer <> ALL (array_remove(gone, NULL))), '{}');
SELECT journey_block_without(b, journey_block_customers(b)) AS nothing_left FROM block GROUP BY 1;
CREATE TEMP TABLE pieces AS
SELECT piece, bytes, o, s, journey_block_customers(s) AS customers
FROM block, (VALUES (1), (200), (1000), (3000), (20000), (10000000)) v(bytes), journey_block_split(b, bytes) WITH ORDINALITY x(s, o);
SELECT count(*) AS pieces, bool_and(pg_column_size(s || '{}') <= bytes OR cardinality(customers) = 1) AS small, bool_and(cardinality(customers) > 0) AS not_empty FROM pieces;
SELECT count(*) FROM (SELECT piece, bytes, journey_block_agg(customer, journey) AS b FROM pieces, unnest(s) GROUP BY 1, 2) x JOIN block USING (piece) WHERE x.b <> block.b;
SELECT count(*) FROM (SELECT customers[1] AS first, lag(customers[cardinality(customers)]) OVER (PARTITION BY piece, bytes ORDER BY o) AS before FROM pieces) x WHERE before >= first;
SELECT count(*) FROM block WHERE (SELECT count(*) FROM journey_block_split(b, pg_column_size(b || '{}'))) <> 1;

-- out of line, in slices, compressed, in a short varlena
CREATE TEMP TABLE stored (how text, b journey_block);
ALTER TABLE stored ALTER b SET STORAGE external;
INSERT INTO stored SELECT 'external', b FROM block;
ALTER TABLE stored ALTER b SET STORAGE extended;
INSERT INTO stored SELECT 'extended', b FROM block;
ALTER TABLE stored ALTER b SET STORAGE plain;
INSERT INTO stored SELECT 'plain', s FROM block, journey_block_split(b, 1500) s;
INSERT INTO stored SELECT 'short', s FROM block, journey_block_split(b, 80) s;
SELECT how, count(*) > 0 AS there, sum(journey_block_length(b)) AS journeys, sum(journey_block_touchpoints(b)) AS touchpoints, sum(cardinality(journey_block_customers(b))) AS customers,
       sum((SELECT count(*) FROM unnest(b) u JOIN source s USING (customer, journey))) AS same
FROM stored GROUP BY how ORDER BY how;

-- labels around the widths of their numbers
SELECT n, journey_block_touchpoints(b) AS touchpoints, b::text::journey_block = b AS text,
       (SELECT bool_and(journey = j) FROM unnest(b) JOIN unnest(cs, js) s(c, j) ON c = customer) AS same,
       journey_block_without(b, '{1}') = (SELECT journey_block_agg(v.customer, v.journey) FROM unnest(b) v WHERE v.customer <> 1) AS without
FROM (VALUES (1), (2), (255), (256), (257), (65536), (65537)) v(n),
     LATERAL (SELECT journey_block_agg(c, j) AS b, array_agg(c) AS cs, array_agg(j) AS js FROM (
        SELECT i % 3 AS c, journey_agg('2026-01-01 00:00:00+00'::timestamptz + i * interval '1 s', 'c', 'a' || i) AS j FROM generate_series(1, n) i GROUP BY 1) y) x
ORDER BY n;

-- plans: sorted, hashed, spilling and by workers
CREATE TABLE block_test AS SELECT mod(customer, 11) AS g, customer, journey FROM source, generate_series(1, 3);
ALTER TABLE block_test SET (parallel_workers = 2);
ANALYZE block_test;
CREATE TABLE block_expected AS SELECT g, journey_block_agg(customer, journey) AS b FROM block_test GROUP BY 1;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE FUNCTION pg_temp.plan_has(query text, node text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF strpos(line, node) > 0 THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;
PREPARE wrong AS
SELECT count(*) FROM block_expected e FULL JOIN (SELECT g, journey_block_agg(customer, journey) AS b FROM block_test GROUP BY 1) a USING (g)
WHERE a.b IS DISTINCT FROM e.b;
SELECT pg_temp.plan_has('SELECT g, journey_block_agg(customer, journey) FROM block_test GROUP BY 1', 'Partial') AS partial;
SELECT pg_temp.plan_has('SELECT journey_block_agg(customer, journey) FROM block_test', 'Partial') AS partial;
EXECUTE wrong;
SELECT journey_block_agg(customer, journey) = (SELECT journey_block_agg(u.customer, u.journey) FROM block_expected, unnest(b) u) AS same FROM block_test;
SET enable_hashagg = off;
EXECUTE wrong;
SET max_parallel_workers_per_gather = 0;
EXECUTE wrong;
RESET enable_hashagg;
SET enable_sort = off;
SET work_mem = '64kB';
EXECUTE wrong;
SELECT count(*) FROM (SELECT customer, journey_block_agg(customer, journey) AS b FROM block_test GROUP BY 1) x
WHERE b <> (SELECT journey_block_agg(s.customer, s.journey || s.journey || s.journey) FROM source s WHERE s.customer = x.customer);
RESET enable_sort;
RESET work_mem;
SELECT count(*) FROM (SELECT g, customer % 2 AS h, journey_block_agg(customer, journey) AS b FROM block_test GROUP BY GROUPING SETS (1, 2, ())) x
WHERE b <> (SELECT journey_block_agg(t.customer, t.journey) FROM block_test t WHERE (x.g IS NULL OR t.g = x.g) AND (h IS NULL OR t.customer % 2 = h));

DROP TABLE block_test, block_expected;
DROP FUNCTION refused(text);
