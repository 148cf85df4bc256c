-- journey_funnel_agg: what counts for a step, time from step to step, states from anywhere.
SET timezone = 'UTC';

-- Cases by hand. Times are in microseconds, because up to 49 of them the result is exact.
CREATE FUNCTION short(journey text) RETURNS journey LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(journey_agg('2026-01-01Z'::timestamptz + make_interval(secs => m[3]::int / 1e6), m[1], m[1], m[4]::numeric), '{}')
    FROM regexp_matches(journey, '((\w))@(\d+)(?:=(\d+))?', 'g') m
$$;
CREATE FUNCTION usecs(i interval) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$SELECT (extract(epoch FROM i) * 1000000)::bigint$$;
-- "label: reached in median/p90"
CREATE FUNCTION brief(steps funnel_step[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(format('%s: %s', label, reached) || coalesce(' in ' || usecs(median_time) || '/' || usecs(p90_time), ''), ', ' ORDER BY step)
    FROM unnest(steps)
$$;
CREATE TABLE hand (id serial, pattern text, journeys text[], expected text);
INSERT INTO hand (pattern, journeys, expected) VALUES
-- of two samples the first is the median, the second is p90; the ways to get nowhere
('a.a -> b.b', '{a@0 b@5, a@0 b@9, a@0, "", b@3, b@3 a@7}', 'a.a: 4, b.b: 2 in 5/9'),
('a.a', '{a@4, b@4}', 'a.a: 1'),
('%', '{a@4, b@4}', '%: 2'),
('z.z -> a.a', '{a@0}', 'z.z: 0, a.a: 0'),
-- ranks as percentile_disc has them: of ten the fifth and the ninth
('a.a -> b.b', '{a@0 b@10, a@0 b@9, a@0 b@8, a@0 b@7, a@0 b@6, a@0 b@5, a@0 b@4, a@0 b@3, a@0 b@2, a@0 b@1}', 'a.a: 10, b.b: 10 in 5/9'),
('a.a -> b.b', '{a@0 b@3, a@0 b@2, a@0 b@1}', 'a.a: 3, b.b: 3 in 2/3'),
-- a journey's start is the latest one, so the first a does not count
('a.a -> b.b', '{a@0 a@15 b@20}', 'a.a: 1, b.b: 1 in 5/5'),
-- at the same time, in the order of labels
('a.a -> b.b', '{a@5 b@5, a@5 b@8}', 'a.a: 2, b.b: 2 in 0/3'),
('b.b -> a.a', '{a@5 b@5}', 'b.b: 1, a.a: 0'),
-- a skipped item is reached once a later one is, without a time; the next one's counts from the one before it
('a.a -> x.x? -> b.b', '{a@0 b@7, a@0 x@3 b@7, a@0, a@0 x@4}', 'a.a: 4, x.x?: 3 in 3/4, b.b: 2 in 4/7'),
('a.a -> x.x* -> y.y? -> b.b', '{a@0 b@7}', 'a.a: 1, x.x*: 1, y.y?: 1, b.b: 1 in 7/7'),
('^ a.a -> x.x? -> b.b', '{a@0 x@3 x@4 b@7}', 'a.a: 1, x.x?: 1 in 4/4, b.b: 1 in 3/3'),
-- a match starts as late as it can, so an optional first item is passed over, unless ^ holds it
('x.x? -> a.a -> b.b', '{a@3 b@5, x@1 a@3 b@7}', 'x.x?: 2, a.a: 2, b.b: 2 in 2/4'),
('^ x.x? -> a.a -> b.b', '{a@3 b@5, x@1 a@3 b@7}', 'x.x?: 2, a.a: 2 in 2/2, b.b: 2 in 2/4'),
-- an item is complete with its last touchpoint; one that is the last one reached, as soon as it can be
('a.a -> v.v{2,} -> b.b', '{a@0 v@1 v@2 v@4 b@9}', 'a.a: 1, v.v{2,}: 1 in 4/4, b.b: 1 in 5/5'),
('a.a -> v.v{2,} -> b.b', '{a@0 v@1 v@2 v@4, a@0 v@3}', 'a.a: 2, v.v{2,}: 1 in 2/2, b.b: 0'),
('v.v+ -> b.b', '{v@1 v@2 v@4 b@9}', 'v.v+: 1, b.b: 1 in 5/5'),
('(v.v -[<= 2 us]->)+ -> b.b', '{v@1 v@4 v@5 b@9}', '(v.v -[<= 2 us]->)+: 1, b.b: 1 in 4/4'),
('(a.a | b.b -> c.c) -> d.d', '{b@0 c@4 d@6, a@0 d@1, b@0}', '(a.a | b.b -> c.c): 2, d.d: 2 in 1/2'),
('(a.a | b.b){2} -> c.c', '{b@0 a@4 c@6, b@0 c@1}', '(a.a | b.b){2}: 1, c.c: 1 in 2/2'),
('all(a.a, b.b) -> c.c', '{b@0 a@3 c@8, a@0 b@3 c@6, b@0}', 'all(a.a, b.b): 2, c.c: 2 in 3/5'),
('c.c -> all(a.a, b.b)', '{c@0 b@2 a@3, c@0 b@1}', 'c.c: 2, all(a.a, b.b): 1 in 3/3'),
-- the same step again, and touchpoints that may stand for either item
('a.a -> a.a -> a.a', '{a@0 a@2 a@5, a@0 a@1}', 'a.a: 2, a.a: 2 in 1/2, a.a: 1 in 3/3'),
('^ a.a+ -> a.a? -> b.b', '{a@0 a@2 b@7}', 'a.a+: 1, a.a?: 1, b.b: 1 in 5/5'),
('^ a.a -> a.a -> a.a{,2} -> b.b', '{a@0 a@1 a@3 a@6 b@10}', 'a.a: 1, a.a: 1 in 1/1, a.a{,2}: 1 in 5/5, b.b: 1 in 4/4'),
('^ a.a? -> a.a{1,2} -> b.b', '{a@0 a@2 a@3 b@7}', 'a.a?: 1, a.a{1,2}: 1 in 3/3, b.b: 1 in 4/4'),
-- alternatives at the top: distinct labels; the longer one has a step of its own
('a.a -> b.b | c.c -> b.b -> e.e', '{a@0 b@2, c@0 b@3 e@7}', 'a.a | c.c: 2, b.b: 2 in 2/3, e.e: 1 in 4/4'),
-- values, bans, limits, "within", anchors
('a.a -> b.b[value >= 10]', '{a@0 b@1=5 b@4=10, a@0 b@1}', 'a.a: 2, b.b[value >= 10]: 1 in 4/4'),
('a.a -[!x.x]-> b.b', '{a@0 x@1 b@2, a@0 x@1 a@2 b@6}', 'a.a: 2, b.b: 1 in 4/4'),
('a.a -[<= 10 us]-> b.b -[> 2 us]-> c.c', '{a@0 b@10 c@12 c@13, a@0 b@11}', 'a.a: 2, b.b: 1 in 10/10, c.c: 1 in 3/3'),
('a.a => b.b', '{a@0 x@1 b@2, a@0 b@2}', 'a.a: 2, b.b: 1 in 2/2'),
('a.a -> b.b within 10 us', '{a@0 a@15 b@20, a@0 b@11}', 'a.a: 2, b.b: 1 in 5/5'),
('^ a.a => b.b $', '{a@0 b@1 c@2, c@0 a@1 b@2}', 'a.a: 1, b.b: 1 in 1/1'),
('^ -[!x.x]-> a.a -> b.b', '{c@0 a@1 b@4, x@0 a@1 b@2}', 'a.a: 1, b.b: 1 in 3/3');

SELECT brief(journey_funnel_agg(short(j), pattern::journey_pattern)) AS funnel,
       brief(journey_funnel_agg(short(j), pattern::journey_pattern)) = expected AS expected
FROM hand, unnest(journeys) j GROUP BY id, expected ORDER BY id;

-- all columns; what has no denominator or no sample is NULL
CREATE TABLE j (id int, j journey);
INSERT INTO j VALUES
    (1, '{web.view@2026-03-01T10:00:00Z, web.add_to_cart@2026-03-01T10:20:00Z, web.purchase=120@2026-03-03T11:00:00Z}'),
    (2, '{web.view@2026-03-01T10:00:00Z, web.view@2026-03-01T11:00:00Z, web.add_to_cart@2026-03-02T12:00:00Z}'),
    (3, '{web.view@2026-03-01T10:00:00Z}'), (4, '{}'), (5, NULL);
CREATE VIEW funnel AS SELECT journey_funnel_agg(j, 'web.view -> web.add_to_cart -> web.purchase') AS steps FROM j;
SELECT f.* FROM funnel, unnest(steps) f;
SELECT f.* FROM (SELECT journey_funnel_agg(j, 'a.b -> web.view') AS steps FROM j) s, unnest(steps) f;
SELECT pg_typeof(steps), cardinality(steps) FROM funnel;

-- times: whole days as timestamptz - timestamptz has them
SELECT median_time, exact
FROM (SELECT upper(d) - lower(d) AS exact, journey_funnel_agg(touchpoint(lower(d), 'a', 'a') || touchpoint(upper(d), 'b', 'b'), 'a.a -> b.b') AS steps
      FROM (VALUES (tstzrange('2026-01-01Z', '2026-01-01Z', '[]')), ('[2026-01-01Z,2026-01-01 23:50Z)'), ('[2026-01-01Z,2026-03-05 06:00Z)'),
                   ('[0001-01-01Z,9999-12-31Z)')) v(d)
      GROUP BY d) s, unnest(steps[2:2]) f
ORDER BY exact;
-- the longest there is: more microseconds than an int64 counts
SELECT brief(journey_funnel_agg(j, 'a.a -> b.b'))
FROM (SELECT touchpoint('4714-11-24 00:00Z BC', 'a', 'a') || touchpoint('294276-12-31Z', 'b', 'b')) s(j);

-- NULLs and no rows
SELECT journey_funnel_agg(j, 'web.view') FROM j WHERE false;
SELECT journey_funnel_agg(j, 'web.view') FROM j WHERE id = 5;
SELECT journey_funnel_agg(j, NULL) FROM j;
SELECT brief(journey_funnel_agg(j, 'web.view')) FROM j WHERE id >= 4;
SELECT brief(journey_funnel_agg(j, CASE WHEN id < 3 THEN 'web.view'::journey_pattern END)) FROM j;

-- ordinary SQL around it
SELECT id % 2 AS odd, brief(journey_funnel_agg(j, 'web.view -> web.add_to_cart')) FROM j GROUP BY 1 ORDER BY 1;
SELECT brief(journey_funnel_agg(j, 'web.view -> web.add_to_cart') FILTER (WHERE id > 1)) FROM j;
SELECT p, brief(journey_funnel_agg(j, p)) FROM j, (VALUES ('web.view'::journey_pattern), ('web.purchase')) v(p) GROUP BY p ORDER BY p::text;
SELECT id, brief(journey_funnel_agg(j, 'web.view -> web.add_to_cart') OVER (ORDER BY id)) AS running,
       brief(journey_funnel_agg(j, 'web.view -> web.add_to_cart') OVER (ORDER BY id ROWS 1 PRECEDING)) AS moving,
       brief(journey_funnel_agg(j, 'web.view -> web.add_to_cart') OVER ()) AS whole
FROM j ORDER BY id;

-- errors
SELECT journey_funnel_agg(j, CASE WHEN id < 2 THEN 'web.view' ELSE 'web.view -> web.purchase' END::journey_pattern ORDER BY id) FROM j;
\echo :LAST_ERROR_SQLSTATE
SELECT journey_funnel_agg_transfn(NULL, '{}', 'a.a');
\echo :LAST_ERROR_SQLSTATE
SELECT journey_funnel_agg_combinefn(NULL, '\x00');
SELECT journey_funnel_agg_finalfn(NULL);

-- Some thousand journeys, the same everywhere.
CREATE TABLE many AS
SELECT c AS id, c % 5 AS five, journey_agg('2026-01-01Z'::timestamptz + make_interval(secs => h[1] % 90 * 86400 + CASE WHEN h[2] % 3 > 0 THEN h[3] % 86400 ELSE 0 END),
                            substr('abcd', 1 + h[4] % 4, 1), substr('abcd', 1 + h[4] % 4, 1), h[5] % 10) AS j
FROM generate_series(1, 4000) c, generate_series(1, 1 + c % 9) t,
     LATERAL (SELECT array_agg(('x' || substr(md5(c || ' ' || t), i * 6 + 1, 6))::bit(24)::int ORDER BY i) FROM generate_series(0, 4) i) x(h)
GROUP BY c;
ANALYZE many;
CREATE TABLE patterns (p journey_pattern);
INSERT INTO patterns VALUES ('a.a -> b.b'), ('a.a -> b.b -> c.c -> d.d'), ('a.a -[<= 3 days]-> b.b -[!d.d]-> c.c'), ('%.d => %.d -> a.a'),
    ('^ a.a -> b.b -> c.c within 20 days'), ('a.a[value < 5] -> %[value > 7] -> %'), ('b.b -> b.b -> b.b -> b.b -> b.b'), ('a.a -> q.q');

-- for single steps, plain SQL over journey_reached and journey_progress says the same: times within 1 %
WITH truth AS (
    SELECT p::text, step, count(*) FILTER (WHERE reached >= step) AS reached,
           usecs(percentile_disc(0.5) WITHIN GROUP (ORDER BY progress[step] - progress[step - 1])) AS median,
           usecs(percentile_disc(0.9) WITHIN GROUP (ORDER BY progress[step] - progress[step - 1])) AS p90
    FROM patterns, many, journey_reached(j, p) AS reached,
         LATERAL (SELECT array_agg(touchpoint_time(t) ORDER BY n) FROM unnest(journey_progress(j, p)) WITH ORDINALITY u(t, n)) x(progress),
         generate_series(1, 5) step
    GROUP BY p::text, step
), got AS (
    SELECT p::text, f.* FROM (SELECT p, journey_funnel_agg(j, p) AS steps FROM patterns, many GROUP BY p) s, unnest(steps) f
)
SELECT p, step, label, g.reached, g.reached = t.reached AS same,
       (g.median_time IS NULL AND t.median IS NULL OR abs(usecs(g.median_time) - t.median) <= 0.01 * t.median) AS median,
       (g.p90_time IS NULL AND t.p90 IS NULL OR abs(usecs(g.p90_time) - t.p90) <= 0.01 * t.p90) AS p90,
       g.median_time IS NOT NULL AS samples
FROM got g LEFT JOIN truth t USING (p, step) ORDER BY p COLLATE "C", step;

-- neither order nor plan changes the result
CREATE TABLE result AS SELECT p, journey_funnel_agg(j, p) AS steps FROM patterns, many GROUP BY p;
SELECT count(*) AS same
FROM (SELECT p::text, journey_funnel_agg(j, p ORDER BY md5(id::text)) AS steps FROM patterns, many GROUP BY p::text) s JOIN result r ON s.p = r.p::text
WHERE s.steps = r.steps;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE many SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT journey_funnel_agg(j, 'a.a -> b.b -> c.c -> d.d') FROM many;
SELECT steps = (SELECT journey_funnel_agg(j, 'a.a -> b.b -> c.c -> d.d') FROM many) AS same FROM result WHERE p = 'a.a -> b.b -> c.c -> d.d';
SET parallel_tuple_cost = 1;
CREATE TABLE grouped AS SELECT five, journey_funnel_agg(j, 'a.a -> b.b -> c.c') AS steps FROM many GROUP BY five;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SET max_parallel_workers_per_gather = 0;
SELECT count(*) AS same
FROM grouped g JOIN (SELECT five, journey_funnel_agg(j, 'a.a -> b.b -> c.c') AS steps FROM many GROUP BY five) s USING (five)
WHERE g.steps = s.steps;

-- partial states from elsewhere
CREATE AGGREGATE part(journey, journey_pattern) (SFUNC = journey_funnel_agg_transfn, STYPE = bytea);
CREATE AGGREGATE whole(bytea) (SFUNC = journey_funnel_agg_combinefn, STYPE = bytea, FINALFUNC = journey_funnel_agg_finalfn);
SELECT count(*) AS same
FROM (SELECT p, whole(state) AS steps FROM (SELECT p, part(j, p) AS state FROM patterns, many GROUP BY p, id % 97) s GROUP BY p) s JOIN result USING (p)
WHERE s.steps = result.steps;
SELECT whole(NULL), brief(whole(part)) FROM (SELECT part(j, 'web.view') FROM j) s;
SELECT brief(whole(state)) FROM (SELECT part(short(x), 'a.a -> b.b') FROM unnest('{a@0 b@5, a@0 b@9, NULL}'::text[]) x GROUP BY x) s(state);
SELECT whole(state) FROM (SELECT part(j, p) FROM j, (VALUES ('web.view'::journey_pattern), ('web.%')) v(p) GROUP BY p ORDER BY p::text DESC) s(state);
-- a large state is small
SELECT length(part(j, 'a.a -> b.b -> c.c')) < 20000 AS small FROM many;

-- and such as nobody made: refused, whichever byte is wrong, or at least harmless
CREATE AGGREGATE add_to(journey, journey_pattern) (
    SFUNC = journey_funnel_agg_transfn, STYPE = bytea, FINALFUNC = journey_funnel_agg_finalfn, INITCOND = '\x00'
);
SELECT add_to(j, 'web.view') FROM j;
SELECT whole('\x');
SELECT whole(part) FROM (SELECT substr(part(j, 'web.view -> web.purchase'), 1, 60) AS part FROM j) s;
SELECT whole(part || '\x00') FROM (SELECT part(j, 'web.view') FROM j) s;
SELECT whole(part) FROM (SELECT overlay(part(j, 'web.view') PLACING '\xffffffff' FROM 1) AS part FROM j) s;
SELECT whole(part) FROM (SELECT overlay(part(j, 'web.view') PLACING '\xffffffff' FROM 5) AS part FROM j) s;
SELECT whole(part) FROM (SELECT overlay(part(j, 'web.view') PLACING '\xffffffffffffffff' FROM 13) AS part FROM j) s;
SELECT whole(part) FROM (SELECT overlay(part(j, 'web.view') PLACING '\xffffffffffffffff' FROM 21) AS part FROM j) s;
SELECT whole(part) FROM (SELECT overlay(part PLACING '\xff' FROM length(part)) AS part FROM (SELECT part(j, 'web.view') FROM j) s) s;
SELECT whole(part) FROM (SELECT overlay(part PLACING '(' FROM length(part)) AS part FROM (SELECT part(j, 'web.view') FROM j) s) s;
SELECT whole(part) FROM (SELECT overlay(part PLACING 'x.y=>z.zzzzz' FROM length(part) - 11) AS part FROM (SELECT part(j, 'web.purchase') FROM j) s) s;
CREATE FUNCTION outcome(state bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM whole(s) FROM (VALUES (state), (state)) v(s);
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END $$;
SELECT DISTINCT outcome(changed) COLLATE "C" AS outcome
FROM (SELECT part(short(x), 'a.a -> b.b -> c.c+') FROM unnest('{a@0 b@5 c@7, a@0 b@9, a@0 b@2 c@40}'::text[]) x) s(state), generate_series(0, length(state) - 1) i,
     LATERAL (SELECT set_byte(state, i, b) FROM unnest('{0, 1, 127, 255}'::int[]) b UNION ALL SELECT substr(state, 1, i)) c(changed)
WHERE changed <> state ORDER BY 1;

DROP AGGREGATE part(journey, journey_pattern), whole(bytea), add_to(journey, journey_pattern);
DROP VIEW funnel;
DROP TABLE hand, j, many, patterns, result, grouped;
DROP FUNCTION short, usecs, brief, outcome;
