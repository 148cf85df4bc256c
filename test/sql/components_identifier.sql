-- identity_components over identifiers: by hand, against the numbers of the
-- identifiers, in any order, in parallel, in many groups; and what it must refuse.
SELECT identity_components(a, b)
FROM (VALUES ('email:ana@example.pt'::identifier, 'cookie:8f3'::identifier), ('card:42', 'cookie:8f3'), ('cookie:0', 'card:7'),
             ('card:42', 'email:ana@example.pt')) v(a, b);
SELECT * FROM identity_members((SELECT identity_components(a, b)
                                FROM (VALUES ('b:2'::identifier, 'b:1'::identifier), ('c:1', 'b:2'), ('d:1', 'a:9')) v(a, b)));

-- an end that is NULL, or the other one: a node of its own
SELECT identity_components(a, b)
FROM (VALUES ('n:1'::identifier, NULL::identifier), (NULL, 'n:2'), ('n:3', 'n:3'), (NULL, NULL), ('n:4', 'n:3'), ('n:4', 'n:4'), ('n:3', NULL)) v(a, b);
SELECT identity_components(NULL::identifier, NULL) FROM generate_series(1, 3);
SELECT identity_components('n:1', NULL::identifier);
SELECT identity_components('n:1', 'n:2'::identifier) WHERE false;
SELECT i, identity_components(identifier('n', i::text), identifier('n', (i + i % 2)::text)) OVER (ORDER BY i) FROM generate_series(1, 5) i;

-- by the namespace, then the value, bytewise; the longest, and what is a part of another
SELECT node, component, length(node::text)
FROM identity_members((SELECT identity_components(a, 'b:x'::identifier)
                       FROM unnest('{a-b:1,a:2,A:3,b:xx,ab:1,"b:a b",b:é,b:~}'::identifier[]) a));
SELECT left(node::text, 10), left(component::text, 10), length(node::text)
FROM identity_members((SELECT identity_components(('n:' || repeat('v', i))::identifier, ('n:' || repeat('v', i + 1))::identifier)
                       FROM generate_series(1020, 1023) i));

-- the members of anything but pairs
SELECT * FROM identity_members(NULL::identifier[]);
SELECT * FROM identity_members('{}'::identifier[]);
SELECT * FROM identity_members('{{a:1,a:1},{b:1,a:1}}'::identifier[]);
SELECT * FROM identity_members('{a:1,a:2}'::identifier[]);
SELECT * FROM identity_members('{{a:1,NULL}}'::identifier[]);

-- random graphs over numbers, and over identifiers that have the same order
CREATE TABLE edge AS
SELECT g AS graph, CASE WHEN h >> 50 & 31 > 0 THEN (h & 65535) % nodes END AS a, CASE WHEN h >> 55 & 31 > 0 THEN (h >> 16 & 65535) % nodes END AS b
FROM generate_series(1, 40) g, LATERAL (SELECT 1 + g * g AS nodes) n,
     generate_series(1, (nodes * (0.2 + g % 7 * 0.2))::int) i, hashint8extended(i, g) h;
CREATE FUNCTION named(bigint) RETURNS identifier LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    identifier(CASE WHEN $1 < 100 THEN 'card' WHEN $1 < 300 THEN 'e-mail' ELSE 'phone' END, to_char($1, 'FM0000') || repeat('x', $1::int % 9));
ALTER TABLE edge ADD x identifier, ADD y identifier;
UPDATE edge SET x = named(a), y = named(b);
CREATE TABLE got AS
SELECT graph, identity_components(a, b) AS numbers, identity_components(x, y) AS identifiers FROM edge GROUP BY graph;
SELECT count(*), sum(cardinality(numbers)) AS ends FROM got;
SELECT graph FROM got
WHERE ARRAY(SELECT (named(node), named(component))::text FROM identity_members(numbers))
      <> ARRAY(SELECT m::text FROM identity_members(identifiers) m);

-- any order, direction and number of edges gives the same value
SELECT graph, count(DISTINCT c) FROM (
    SELECT graph, identifiers FROM got
    UNION ALL SELECT graph, identity_components(y, x ORDER BY y DESC, x) FROM edge GROUP BY graph
    UNION ALL SELECT graph, identity_components(x, y ORDER BY identifier_hash(x), y) FROM edge GROUP BY graph
    UNION ALL SELECT graph, identity_components(x, y) FROM edge, generate_series(1, 3) GROUP BY graph) s(graph, c)
GROUP BY graph HAVING count(DISTINCT c) > 1;

-- stored compressed or out of line
CREATE TABLE long AS
SELECT x, x AS y, x AS z FROM generate_series(1, 9) i, LATERAL (SELECT identifier('n', repeat(chr(97 + i), 1000)) AS x) s;
SELECT identity_components(x, y) = (SELECT identity_components(identifier('n', repeat(chr(97 + i), 1000)), NULL) FROM generate_series(1, 9) i) AS same,
       min(pg_column_size(x)) < 100 AS compressed FROM long;

-- in parallel the same; also where a process has no edge
SET max_parallel_workers_per_gather = 0;
CREATE TABLE serial AS SELECT identity_components(x, y) AS c FROM edge;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT identity_components(x, y) FROM edge;
SELECT c = (SELECT identity_components(x, y) FROM edge) AS same FROM serial;
SELECT identity_components(x, y) FILTER (WHERE graph = 2), identity_components(x, y) FILTER (WHERE graph = 0) FROM edge;

-- bytes that are no state, from another process
CREATE AGGREGATE from_bytes(bytea, bytea) (
    SFUNC = bytea_string_agg_transfn, STYPE = internal, SERIALFUNC = bytea_string_agg_finalfn,
    DESERIALFUNC = identity_components_deserialfn, COMBINEFUNC = identifier_components_combinefn,
    FINALFUNC = identifier_components_finalfn, PARALLEL = SAFE);
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
    ('one', '01000000 01000000 1c000000 61003100'),
    ('two', '02000000 02000000 02000000 1c000000 62003100 20000000 61003132'),
    ('twice the same', '02000000 02000000 01000000 1c000000 61003100 1c000000 61003100'),
    ('empty', ''),
    ('no count', '010000'),
    ('a count of none', '00000000'),
    ('a count too small', '01000000 01000000 1c000000 61003100 1c000000 61003200'),
    ('a count too large', '03000000 01000000 01000000 1c000000 61003100 1c000000 61003200'),
    ('a count far too large', 'ffffffff 01000000 1c000000 61003100'),
    ('no root', '01000000 00000000 1c000000 61003100'),
    ('a root too large', '01000000 02000000 1c000000 61003100'),
    ('cut off', '01000000 01000000 1c000000 610031'),
    ('cut off in a length', '01000000 01000000 1c0000'),
    ('too long', '01000000 01000000 1c000000 61003100 00000000'),
    ('a length too small', '01000000 01000000 0c000000 61003100'),
    ('a length too large', '01000000 01000000 28000000 61003100'),
    ('a short header', '01000000 01000000 09610031'),
    ('a compressed one', '01000000 01000000 1e000000 61003100'),
    ('nothing ends the namespace', '01000000 01000000 1c000000 61313100'),
    ('no namespace', '01000000 01000000 1c000000 00313100'),
    ('no value', '01000000 01000000 1c000000 61610000'),
    ('a null byte in the value', '01000000 01000000 20000000 61003100'),
    ('a bad namespace', '01000000 01000000 1c000000 3a003100')) v(name, hex);
RESET parallel_leader_participation;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- partial states of one process, which are not packed
CREATE TABLE part (a identifier, b identifier) PARTITION BY HASH (a);
CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part SELECT named(i % 100), named(i / 20) FROM generate_series(1, 20000) i;
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
CREATE TABLE small AS SELECT i % 10000 AS g, identifier('n', i::text) AS a, identifier('n', (i / 2)::text) AS b FROM generate_series(1, 30000) i;
SELECT group_bytes('SELECT identity_components(a, b) FROM small GROUP BY g') BETWEEN 100 AND 1100 AS small;
RESET enable_sort;
RESET max_parallel_workers_per_gather;

SET statement_timeout = '200ms';
SELECT identity_components(identifier('n', i::text), identifier('n', (i + 1)::text)) FROM (SELECT generate_series(1, 100000000) i) s;
RESET statement_timeout;

DROP FUNCTION named(bigint), try(text), group_bytes(text);
DROP AGGREGATE from_bytes(bytea, bytea);
DROP TABLE edge, got, long, serial, bytes, part, small;
-- what a hub asks of many at once: those that differ, in order, their places and times; elements by place; sets by number
SELECT * FROM identifier_places('{b:1,NULL,a:2,b:1,c:0}', '{2026-01-02Z,NULL,2026-01-01Z,2026-01-01Z,NULL}');
SELECT * FROM identifier_places('{}', '{}');
SELECT journey_elements_at('{a,b,NULL}'::text[], '{2,1,3,0,-1,9,NULL,2}'), journey_elements_at('[5:6]={x,y}'::text[], '{1}'), journey_elements_at('{}'::int[], '{1}');
SELECT * FROM identity_sets('{1,1,2,3,3,3,NULL,NULL,4,4,4}', '{5,4,1,3,NULL,3,1,2,9,8,9}');
SELECT count(*), bool_and(identifier = forms[place]) FROM (SELECT array_agg(('x:' || i * 7919 % 1000)::identifier) AS given, array_agg(now()) AS times FROM generate_series(1, 3000) i) g
     CROSS JOIN LATERAL identifier_places(g.given, g.times) p CROSS JOIN LATERAL unnest(g.given, p.places) u(identifier, place);
SELECT identifier_places('{a:1,b:1}', '{2026-01-01Z}');
-- a field of many rows, whatever the bounds, and whatever fields there were once
CREATE TYPE some_row AS (a int, gone text, b text, c identifier[]);
CREATE TABLE some_rows AS SELECT ARRAY[ROW(1, 'x', 'one', '{k:1}'), NULL, ROW(NULL, 'y', NULL, '{k:1,k:2}'), ROW(4, 'z', 'four', '[7:7]={k:4}'), ROW(5, '', '', '{NULL}'), ROW(6, '', '', '{}'), ROW(7, '', '', NULL)]::some_row[] AS r;
ALTER TYPE some_row DROP ATTRIBUTE gone;
SELECT journey_field(r, 'a', '{}'::int[]), journey_field(r, 'b', '{}'::text[]), journey_only_element(r, 'c', '{}'::identifier[]) FROM some_rows;
SELECT journey_field(('[5:6]=' || (r[3:4])::text)::some_row[], 'a', '{}'::int[]), journey_field(ARRAY[r, r], 'a', '{}'::int[]), journey_field('{}'::some_row[], 'a', '{}'::int[]), journey_field(NULL::some_row[], 'a', '{}'::int[])
FROM some_rows;
SELECT journey_field(r, 'a', '{}'::bigint[]) FROM some_rows;
SELECT journey_field(r, 'gone', '{}'::text[]) FROM some_rows;
SELECT journey_only_element(r, 'b', '{}'::text[]) FROM some_rows;
SELECT journey_field('{1}'::int[], 'a', '{}'::int[]);
DROP TABLE some_rows;
DROP TYPE some_row;
SELECT identity_sets('{1}', '{1,2}');
SELECT journey_elements_at('{1}'::int[], '{{1}}');
-- evidence: sources, keys and times of sets, in the order of keys; the key of what comes without one
SELECT * FROM identity_evidence('{1,1,2,3,3,4,4,5,5}', '{5,4,1,3,7,2,2,9,8}', '{s,s,s,r,s}', '{k,a,k,z,a}', '{2026-01-01Z,2026-01-02Z,2026-01-03Z,2026-01-04Z,2026-01-05Z}');
SELECT identity_evidence('{3,3}', '{1,2}', '{s,s}', '{k,k}', '{2026-01-01Z,2026-01-02Z}');
SELECT identity_evidence_key('{a:1,b:2}', '2026-01-01Z') = identity_evidence_key('{{b:2,a:1},{b:2,b:2}}', '2026-01-01 01:00+01') AS same,
       count(DISTINCT identity_evidence_key(i::identifier[], t)) AS different
FROM (VALUES ('{a:1,b:2}', timestamptz '2026-01-01Z'), ('{a:1,b:2}', '2026-01-01 00:00:00.000001Z'), ('{a:1,b:2,c:3}', '2026-01-01Z'), ('{a:1}', '2026-01-01Z'),
             ('{a:1,b:2,b:2}', '2026-01-01Z')) v(i, t);
CREATE TYPE seen AS (identifiers identifier[], at timestamptz, source text, source_key text);
SELECT numbers, identifiers, times, sources, length(keys[2]) AS made, keys[1], keys[3], wrong
FROM identity_observations(ARRAY[('{b:1,a:2}', '2026-01-01Z', 's', 'k'), ('{b:1,a:3}', '2026-01-02Z', 's', NULL), ('{c:1}', '2026-01-03Z', NULL, NULL)]::seen[]);
SELECT n, (identity_observations(ARRAY[('{a:1}', '2026-01-01Z', 's', 'k'), o]::seen[])).wrong
FROM unnest(ARRAY[('{}', '2026-01-01Z', 's', 'k'), ('{a:1,NULL}', '2026-01-01Z', 's', 'k'), (NULL, '2026-01-01Z', 's', 'k'), ('{a:1}', NULL, 's', 'k'),
                  ('{a:1}', 'infinity', 's', 'k'), ('{a:1}', '2026-01-01Z', NULL, 'k'), NULL]::seen[]) WITH ORDINALITY u(i, a, s, k, n), LATERAL (SELECT (i, a, s, k)::seen AS o) x;
SELECT identity_observations(ARRAY[1, 2]);
SELECT identity_observations(ARRAY[ROW(1, 2)]);
-- those that are not known: their forms
SELECT identifier_namespaces('{b:1,a:2,b:3,NULL,a:1}'), identifier_namespaces('{}');
SELECT * FROM identifier_forms('{c:1,c:null,mail:A@x.pt,mail:a@x.pt,mail:B@x.pt,mail:NULL,mail:nobody,p:912345678}', '{NULL,NULL,NULL,NULL,NULL,7,NULL,NULL}', '{c,mail,p}',
                               '{"",email,phone}', '{NULL,NULL,PT}', '{"{null,~^x}",NULL,"{351912345678}"}');
SELECT identifier_forms('{c:1}', '{NULL}', '{d}', '{""}', '{NULL}', '{NULL}');
SELECT identifier_forms('{c:1,c:1}', '{NULL,NULL}', '{c}', '{""}', '{NULL}', '{NULL}');
-- and what observations make of them: 1 names new ones only, 2 what is new beside a known one, 3 breaks a limit, 4 is blocked, 5 is large, 6 connects nothing
CREATE FUNCTION newcomers(above int, apart int[] DEFAULT '{}') RETURNS TABLE (part text, value text) LANGUAGE sql BEGIN ATOMIC
    SELECT j.key, j.value FROM identity_newcomers('{1,1,2,2,3,3,4,5,5,5,6,6}', '{1,2,3,4,5,6,7,8,9,10,11,12}',
        ('{c:1,e:A,c:2,e:k,crm:1,crm:2,c:null,c:3,c:4,c:5,c:6,c:7}'::identifier[] || '{e:a}'::identifier[]), ('{NULL,NULL,NULL,5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL}'),
        '{NULL,NULL,NULL,5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL}', '{NULL,NULL,NULL,2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL}',
        '{NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL}', '{1,13,3,NULL,5,6,7,8,9,10,11,12}', '{f,f,f,NULL,f,f,t,f,f,f,f,f}',
        '{101,102,103,105,106,107,108,109,110,111,112,113}', '{c,e,crm}', '{0,5,9}', '{NULL,NULL,1}', '{NULL,NULL,NULL}', newcomers.above, newcomers.apart) w,
        json_each_text(row_to_json(w)) j;
END;
SELECT * FROM newcomers(100);
SELECT * FROM newcomers(2, '{6}') WHERE part IN ('done', 'done_sizes', 'rest_numbers', 'rest_places', 'rest', 'lawful', 'given_to');
SELECT * FROM identity_firsts('{1,1,3,3}', '{1,2,3,2}', '{b:1,a:2,c:3}', '{1,1,0}', '{10,20,30}', '{1,2,3}');
SELECT * FROM identity_likely_firsts('{1,1,3,3}', '{1,2,3,2}', '{b:1,a:2,c:3}', '{a,b,c}', '{1,2,3}', '{t,t,f}', '{10,20,30}', '{1,2,3}');
SELECT * FROM identity_likely_firsts('{1,1}', '{1,2}', '{b:1,a:2}', '{a,b}', '{1,1}', '{t,t}', '{10,20}', '{1,2}');
SELECT identity_firsts('{1}', '{2}', '{b:1}', '{1}', '{10}', '{1}');
SELECT identity_places_without('{5,6,7,5}', '{6,9}'), identity_places_without('{}', '{1}');
SELECT * FROM identity_whereabouts('{5,6,7,8}', '{6,8}', '{NULL,30,NULL,60}', '{t,t,t,f}', '{30,40}', '{20,40}', '{t,f}');
SELECT identity_whereabouts('{5,6}', '{6}', '{NULL,30}', '{t,t}', '{30,40}', '{20,40}', '{t,f}');
-- evidence 1 and 3 count; 8 is new in 30's component, and a component of its own stays
SELECT * FROM identity_groups('{1,1,2,2,3,3}', '{1,2,2,3,4,5}', '{5,6,7,8,9}', '{10,20,30,30,40}', '{10,20,30,30,NULL}', '{t,t,t,t,f}', '{1,3}', '{8,9}', '{}', '{}', '{10,50}');
SELECT * FROM identity_groups('{1,1}', '{1,2}', '{5,6}', '{10,20}', '{10,20}', '{t,t}', '{1}', '{}', '{6}', '{5}', '{}');
DROP FUNCTION newcomers(int, int[]);
DROP TYPE seen;
