-- identity_components: by hand, against label propagation in SQL, in any order,
-- in parallel, in many groups; and what it must refuse.
SELECT identity_components(a, b) FROM (VALUES (1, 2), (5, 4), (2, 3), (3, 1), (7, 8), (8, 5)) v(a, b);
SELECT * FROM identity_members((SELECT identity_components(a, b) FROM (VALUES (10, 20), (20, 30), (40, 5)) v(a, b)));

-- an end that is NULL, or the other one: a node of its own
SELECT identity_components(a, b)
FROM (VALUES (1, NULL), (NULL, 2), (3, 3), (NULL, NULL), (4, 3), (4, 4), (3, NULL)) v(a, b);
SELECT identity_components(7, NULL);
SELECT identity_components(7, 7);
SELECT identity_components(NULL::bigint, NULL) FROM generate_series(1, 3);
SELECT identity_components(1, 2) WHERE false;
SELECT identity_components(i, i + 1) FILTER (WHERE i % 3 > 0) FROM generate_series(1, 6) i;
SELECT identity_components(DISTINCT i % 2, 5) FROM generate_series(1, 6) i;
SELECT i, identity_components(i, i + i % 2) OVER (ORDER BY i) FROM generate_series(1, 5) i;

-- the ends of bigint, and numbers that differ in their high bits only
SELECT identity_components(a, b)
FROM (VALUES (9223372036854775807, -9223372036854775808), (0, -1), (1, 9223372036854775807), (-2, 0)) v(a, b);
SELECT count(*), count(DISTINCT component), min(node), max(node)
FROM (SELECT identity_components(i << shift, i + 1000 << shift) AS c
      FROM generate_series(1::bigint, 3000) i, (VALUES (0), (30), (50)) v(shift)) s, identity_members(c);

-- the members of anything but pairs
SELECT * FROM identity_members(NULL::bigint[]);
SELECT * FROM identity_members('{}'::bigint[]);
SELECT * FROM identity_members('[5:6][0:1]={{2,1},{1,1}}'::bigint[]);
SELECT * FROM identity_members('{1,2}'::bigint[]);
SELECT * FROM identity_members('{{1,2,3}}'::bigint[]);
SELECT * FROM identity_members('{{{1,2}}}'::bigint[]);
SELECT * FROM identity_members('{{1,NULL}}'::bigint[]);
SELECT identity_members(identity_components(1, 2));

-- shapes: a path, in order and in none, a star, two of 100,000 joined by one edge
CREATE FUNCTION outline(bigint[]) RETURNS TABLE (nodes bigint, components bigint, largest bigint) LANGUAGE sql AS $$
    SELECT sum(n)::bigint, count(*), max(n) FROM (SELECT count(*) AS n FROM identity_members($1) GROUP BY component) s
$$;
SELECT * FROM outline((SELECT identity_components(i, i + 1) FROM (SELECT generate_series(1, 999999) i) s));
SELECT * FROM outline((SELECT identity_components(i, i + 1 ORDER BY hashint8(i)) FROM generate_series(1, 99999) i));
SELECT * FROM outline((SELECT identity_components(i, i - 1) FROM generate_series(100000, 2, -1) i));
SELECT * FROM outline((SELECT identity_components(i, 0) FROM generate_series(1, 100000) i));
SELECT * FROM outline((SELECT identity_components(i, i + 1) FROM generate_series(1, 199999) i WHERE i <> 100000));
SELECT * FROM outline((SELECT identity_components(i, i + 1 ORDER BY i = 100000) FROM generate_series(1, 199999) i));

-- graphs, thin to thick, against labels that spread along edges until nothing changes
CREATE TABLE edge AS
SELECT g AS graph, CASE WHEN h >> 50 & 31 > 0 THEN (h & 65535) % nodes * factor END AS a,
       CASE WHEN h >> 55 & 31 > 0 THEN (h >> 16 & 65535) % nodes * factor END AS b
FROM generate_series(1, 40) g, LATERAL (SELECT 1 + g * g AS nodes, (ARRAY[1, -1, 1099511627776, 1000000000000003])[1 + g % 4] AS factor) n,
     generate_series(1, (nodes * (0.2 + g % 7 * 0.2))::int) i, hashint8extended(i, g) h;
CREATE FUNCTION by_labels() RETURNS TABLE (graph int, node bigint, component bigint) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE way AS
    SELECT e.graph, a, b FROM edge e WHERE a IS NOT NULL AND b IS NOT NULL
    UNION SELECT e.graph, b, a FROM edge e WHERE a IS NOT NULL AND b IS NOT NULL;
    CREATE TEMP TABLE label AS
    SELECT e.graph, a AS node, a AS label FROM edge e WHERE a IS NOT NULL
    UNION SELECT e.graph, b, b FROM edge e WHERE b IS NOT NULL;
    ANALYZE way;
    ANALYZE label;
    LOOP
        UPDATE label l SET label = m.label
        FROM (SELECT w.graph, w.a, min(n.label) AS label
              FROM way w JOIN label n ON n.graph = w.graph AND n.node = w.b GROUP BY 1, 2) m
        WHERE l.graph = m.graph AND l.node = m.a AND m.label < l.label;
        EXIT WHEN NOT FOUND;
    END LOOP;
    RETURN QUERY SELECT l.graph, l.node, l.label FROM label l;
END $$;
CREATE TABLE expected AS SELECT * FROM by_labels();
CREATE TABLE got AS
SELECT graph, m.* FROM (SELECT graph, identity_components(a, b) AS c FROM edge GROUP BY graph) s, identity_members(c) m;
SELECT count(DISTINCT graph) AS graphs, count(*), count(DISTINCT (graph, component)) AS components
FROM expected;
(TABLE expected EXCEPT ALL TABLE got) UNION ALL (TABLE got EXCEPT ALL TABLE expected);

-- any order, direction and number of edges gives the same value
SELECT graph, count(DISTINCT c) FROM (
    SELECT graph, identity_components(a, b ORDER BY a, b) FROM edge GROUP BY graph
    UNION ALL SELECT graph, identity_components(b, a ORDER BY b DESC, a) FROM edge GROUP BY graph
    UNION ALL SELECT graph, identity_components(a, b ORDER BY hashint8extended(a, 1), b) FROM edge GROUP BY graph
    UNION ALL SELECT graph, identity_components(a, b) FROM edge, generate_series(1, 3) GROUP BY graph) s(graph, c)
GROUP BY graph HAVING count(DISTINCT c) > 1;
-- by component, then node
SELECT count(*) FROM (SELECT node, component, lag(node) OVER w AS before, lag(component) OVER w AS component_before
                      FROM identity_members((SELECT identity_components(a, b) FROM edge)) WITH ORDINALITY m(node, component, n)
                      WINDOW w AS (ORDER BY n)) s
WHERE (component, node) <= (component_before, before) OR component > node;

-- in parallel the same; also where a process has no edge, or none has
SET max_parallel_workers_per_gather = 0;
CREATE TEMP TABLE serial AS SELECT identity_components(hashint8extended(a, graph), hashint8extended(b, graph)) AS c FROM edge;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT identity_components(hashint8extended(a, graph), hashint8extended(b, graph)) FROM edge;
SELECT c = (SELECT identity_components(hashint8extended(a, graph), hashint8extended(b, graph)) FROM edge) AS same FROM serial;
SELECT identity_components(a, b) FILTER (WHERE graph = 2), identity_components(a, b) FILTER (WHERE graph = 0) FROM edge;
SELECT count(*), sum(cardinality(c)) = (SELECT 2 * count(*) FROM expected) AS same
FROM (SELECT identity_components(a, b) AS c FROM edge GROUP BY graph) s;

-- bytes that are no state, from another process
CREATE AGGREGATE from_bytes(bytea, bytea) (
    SFUNC = bytea_string_agg_transfn, STYPE = internal, SERIALFUNC = bytea_string_agg_finalfn,
    DESERIALFUNC = identity_components_deserialfn, COMBINEFUNC = identity_components_combinefn,
    FINALFUNC = identity_components_finalfn, PARALLEL = SAFE);
CREATE TABLE bytes (name text, packed bytea);
SET parallel_leader_participation = off;
CREATE FUNCTION try(hex text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE packed text;
BEGIN
    DELETE FROM bytes;
    INSERT INTO bytes VALUES ('', decode(replace(hex, ' ', ''), 'hex'));
    SELECT from_bytes(b.packed, '') INTO packed FROM bytes b;
    RETURN packed;
EXCEPTION WHEN data_corrupted THEN
    RETURN SQLERRM;
END $$;
SELECT name, try(hex) FROM (VALUES
    ('one node', '0700000000000000 01000000'),
    ('two', '0700000000000000 02000000 0500000000000000 02000000'),
    ('twice the same', '0700000000000000 02000000 0700000000000000 01000000'),
    ('empty', ''),
    ('cut off', '0700000000000000 010000'),
    ('too long', '0700000000000000 01000000 00'),
    ('no root', '0700000000000000 00000000'),
    ('a root too large', '0700000000000000 02000000'),
    ('a root far too large', '0700000000000000 ffffffff')) v(name, hex);
RESET parallel_leader_participation;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- partial states of one process, which are not packed
CREATE TABLE part (a bigint, b bigint) PARTITION BY HASH (a);
CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part SELECT i % 100, i / 20 FROM generate_series(1, 20000) i;
ANALYZE part;
SET max_parallel_workers_per_gather = 0;
SET enable_partitionwise_aggregate = on;
EXPLAIN (COSTS OFF) SELECT b, identity_components(a, b) FROM part GROUP BY b;
SELECT count(*), md5(string_agg(c::text, ',' ORDER BY c)) FROM (SELECT identity_components(a, b) c FROM part GROUP BY b) s;
SET enable_partitionwise_aggregate = off;
SELECT count(*), md5(string_agg(c::text, ',' ORDER BY c)) FROM (SELECT identity_components(a, b) c FROM part GROUP BY b) s;
RESET enable_partitionwise_aggregate;

-- a small group takes bytes, not kilobytes
SET enable_sort = off;
CREATE FUNCTION group_bytes(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
    RETURN (plan->0->'Plan'->>'Peak Memory Usage')::numeric * 1024 / (plan->0->'Plan'->>'Actual Rows')::numeric;
END $$;
SELECT group_bytes('SELECT identity_components(i, i / 2) FROM generate_series(1, 30000) i GROUP BY i % 10000') BETWEEN 100 AND 700 AS small;
RESET enable_sort;
RESET max_parallel_workers_per_gather;

SET statement_timeout = '200ms';
SELECT identity_components(i, i + 1) FROM (SELECT generate_series(1, 1000000000) i) s;
RESET statement_timeout;

DROP FUNCTION outline(bigint[]), by_labels(), try(text), group_bytes(text);
DROP AGGREGATE from_bytes(bytea, bytea);
DROP TABLE edge, expected, got, bytes, part;
