-- Property tests, part 2: however its touchpoints reach it, a journey is the same value.
-- Reads the schema made by property.sql, of more journeys where PGJ_SLOW is set; every query lists what is wrong.
\set seed 1
\getenv seed PGJ_SEED
SET search_path = property, public;
SET client_min_messages = warning;
-- the small groups, for what costs a merge a touchpoint
CREATE VIEW small AS SELECT g FROM expected WHERE length <= 60;

-- in any order of input: rising, falling, shuffled twice
SELECT :seed AS seed, g FROM built JOIN (
    SELECT g, journey_agg(at, channel, action, value, ref, detail ORDER BY at, ref) AS a,
           journey_agg(at, channel, action, value, ref, detail ORDER BY at DESC, ref DESC) AS b,
           journey_agg(at, channel, action, value, ref, detail ORDER BY hashint4("position")) AS c,
           journey_agg(at, channel, action, value, ref, detail ORDER BY hashint8extended("position", g)) AS d
    FROM step GROUP BY g) o USING (g)
WHERE NOT (same(j, a) AND same(j, b) AND same(j, c) AND same(j, d)) LIMIT 5;

-- every form of the aggregate
SELECT :seed AS seed, g FROM built JOIN (
    SELECT g, journey_agg(touchpoint(at, channel, action, value, ref, detail)) AS a,
           journey_agg(touchpoint(at, channel, action, value, ref, detail)::journey) AS b,
           journey_agg("text"::touchpoint) AS c,
           journey_agg(DISTINCT touchpoint(at, channel, action, value, ref, detail)) AS d
    FROM step GROUP BY g) o USING (g)
WHERE NOT (same(j, a) AND same(j, b) AND same(j, c)
           AND same(d, (SELECT journey_agg(t) FROM (SELECT DISTINCT t FROM unnest(j) t) u))) LIMIT 5;
SELECT :seed AS seed, g FROM (
    SELECT g, journey_agg(at, channel, action) AS a, journey_agg(at, channel, action, value) AS b,
           journey_agg(at, channel, action, NULL::numeric, NULL::bigint) AS c,
           journey_agg(at, channel, action, value, NULL::bigint) AS d,
           journey_agg(touchpoint(at, channel, action)) AS e,
           journey_agg(touchpoint(at, channel, action, value)) AS f,
           journey_agg(at, channel, action, NULL, NULL, detail) AS h,
           journey_agg(at, channel, action, NULL, NULL, coalesce(detail, '')) AS i,
           journey_agg(touchpoint(at, channel, action, detail => detail)) AS k,
           journey_agg(at, channel, action, NULL, NULL, '') AS l
    FROM step GROUP BY g) o
WHERE NOT (same(a, c) AND same(a, e) AND same(b, d) AND same(b, f) AND same(h, i) AND same(h, k) AND same(a, l)) LIMIT 5;

-- rows of NULL are skipped, FILTER takes rows away, no row is NULL
SELECT :seed AS seed, g FROM built JOIN (
    SELECT g, journey_agg(at, channel, action, value, ref, detail) AS a,
           journey_agg(touchpoint(at, channel, action, value, ref, detail)) AS b,
           journey_agg(at, channel, action, value, ref, detail) FILTER (WHERE "position" % 3 = 0) AS c,
           journey_agg(touchpoint(at, channel, action, value, ref, detail)) FILTER (WHERE "position" % 3 = 0) AS d,
           journey_agg(at, channel, action, value, ref, detail) FILTER (WHERE at IS NULL) AS e
    FROM (SELECT * FROM step UNION ALL
          SELECT g, length, NULL, NULL, NULL, 1, 1, 'in', NULL, NULL, NULL FROM expected) s
    GROUP BY g) o USING (g)
WHERE NOT (same(j, a) AND same(j, b) AND (same(c, d) OR c IS NULL AND d IS NULL)
           AND (c IS NULL OR journey_length(c) = journey_length(j) / 3) AND e IS NULL) LIMIT 5;

-- split into parts and merged: by the aggregate, by ||, either way round, with the empty journey
CREATE VIEW parts AS
SELECT g, part, journey_agg(at, channel, action, value, ref, detail) AS j
FROM (SELECT *, rnd("position", g, 1 + g % 7) AS part FROM step) s GROUP BY g, part;
SELECT :seed AS seed, g FROM built JOIN (
    SELECT g, journey_agg(j) AS a, journey_agg(j ORDER BY part DESC) AS b FROM parts GROUP BY g) o USING (g)
WHERE NOT (same(j, a) AND same(j, b)) LIMIT 5;
CREATE FUNCTION part(p journey[], n integer) RETURNS journey LANGUAGE sql IMMUTABLE RETURN coalesce(p[n], '{}');
SELECT :seed AS seed, g FROM built JOIN small USING (g) JOIN (
    SELECT g, array_agg(j ORDER BY part) AS p FROM parts GROUP BY g) o USING (g)
WHERE NOT (same(j, part(p, 1) || part(p, 2) || part(p, 3) || part(p, 4) || part(p, 5) || part(p, 6) || part(p, 7))
           AND same(j, part(p, 7) || (part(p, 6) || (part(p, 5) || part(p, 4)) || part(p, 3)) || (part(p, 2) || part(p, 1))))
LIMIT 5;
SELECT :seed AS seed, g FROM built
WHERE NOT (same(j || '{}', j) AND same('{}' || j, j) AND same(j || j, journey_merge(j, j))
           AND journey_length(j || j) = 2 * journey_length(j)) LIMIT 5;
SELECT :seed AS seed, a.g, b.g FROM built a JOIN built b ON b.g = a.g + 1
WHERE NOT same(a.j || b.j, b.j || a.j) LIMIT 5;
-- one touchpoint after the other
CREATE FUNCTION append_each(g integer) RETURNS journey LANGUAGE plpgsql AS $$
DECLARE
    j journey := '{}';
    t touchpoint;
BEGIN
    FOR t IN SELECT touchpoint(at, channel, action, value, ref, detail) FROM step s
             WHERE s.g = append_each.g ORDER BY hashint4("position") LOOP
        j := j || t;
    END LOOP;
    RETURN j;
END $$;
SELECT :seed AS seed, g FROM built JOIN small USING (g) WHERE NOT same(j, append_each(g)) LIMIT 5;

-- taken apart and put together again
SELECT :seed AS seed, g FROM built WHERE NOT (
    same(j, (SELECT journey_agg(t) FROM unnest(j) t))
    AND same(j, (SELECT journey_agg(s) FROM journey_sessions(j, '1 hour') s))
    AND same(j, journey_slice(j, '(,)')) AND same(j, journey_slice(j, journey_period(j)))
    AND same(j, j[1:journey_length(j)]) AND same(j, j[:])
    AND same(j, j[:journey_length(j) / 3] || j[journey_length(j) / 3 + 1:])) LIMIT 5;
SELECT :seed AS seed, g FROM built JOIN expected USING (g) WHERE fits AND NOT same(j, (
    SELECT journey_agg(occurred_at, channel, action, s.value, ref, detail) FROM journey_steps(j) s)) LIMIT 5;

-- as a window aggregate: the state goes on after each result
SELECT :seed AS seed, g, "position" FROM built JOIN (
    SELECT g, "position", journey_agg(at, channel, action, value, ref, detail)
                              OVER (PARTITION BY g ORDER BY "position") AS a,
           journey_agg(touchpoint(at, channel, action, value, ref, detail))
                              OVER (PARTITION BY g ORDER BY "position" DESC) AS b
    FROM step JOIN small USING (g)) o USING (g)
WHERE NOT (same(a, j[:"position"]) AND same(b, j["position":])) LIMIT 5;

-- the same over a moving frame, where the state begins anew
SELECT :seed AS seed, g, "position" FROM built JOIN (
    SELECT g, "position", journey_agg(at, channel, action, value, ref, detail)
                              OVER (PARTITION BY g ORDER BY "position" ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS a
    FROM step JOIN small USING (g)) o USING (g)
WHERE NOT same(a, j["position" - 2:"position" + 1]) LIMIT 5;

-- several groupings at once, hashed and sorted, with different states in one pass
SELECT :seed AS seed, g FROM built FULL JOIN (
    SELECT g, g % 7 AS rest, journey_agg(at, channel, action, value, ref, detail) AS a, journey_agg(at, channel, action) AS b
    FROM step GROUP BY GROUPING SETS ((g), (g % 7), ())) o USING (g)
WHERE g IS NOT NULL AND NOT same(j, a)
   OR g IS NULL AND NOT same(a, (SELECT journey_agg(j) FROM built x WHERE rest IS NULL OR x.g % 7 = rest))
   OR journey_length(a) <> journey_length(b) LIMIT 5;
SET enable_hashagg = off;
SELECT :seed AS seed, g FROM built FULL JOIN (
    SELECT g, g % 7 AS rest, journey_agg(at, channel, action, value, ref, detail) AS a, journey_agg(at, channel, action) AS b
    FROM step GROUP BY ROLLUP (g % 7, g)) o USING (g)
WHERE g IS NOT NULL AND NOT same(j, a)
   OR g IS NULL AND NOT same(a, (SELECT journey_agg(j) FROM built x WHERE rest IS NULL OR x.g % 7 = rest))
   OR journey_length(a) <> journey_length(b) LIMIT 5;
RESET enable_hashagg;

-- text and binary forms bring it back; so does any order within the braces
SELECT :seed AS seed, g FROM built JOIN expected USING (g) JOIN (
    SELECT g, string_agg("text", ',' ORDER BY hashint4("position")) AS shuffled FROM step GROUP BY g) o USING (g)
WHERE NOT (same(j, j::text::journey) AND same(j, "text"::journey) AND same(j, ('{' || shuffled || '}')::journey))
LIMIT 5;

-- grouped by sorting, by hashing in little memory, and by parallel workers
CREATE FUNCTION plan_has(query text, node text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan::text LIKE '%' || node || '%';
END $$;
SET enable_hashagg = off;
SELECT plan_has('SELECT journey_agg(at, channel, action) FROM event GROUP BY g', '"Sorted"');
CREATE TABLE again AS SELECT g, journey_agg(at, channel, action, value, ref, detail) AS j FROM event GROUP BY g;
SELECT :seed AS seed, g FROM built b FULL JOIN again a USING (g) WHERE same(a.j, b.j) IS NOT TRUE LIMIT 5;
RESET enable_hashagg;
DROP TABLE again;
SET enable_sort = off;
SET work_mem = '64kB';
SELECT plan_has('SELECT journey_agg(at, channel, action) FROM event GROUP BY g', '"Hashed"');
CREATE TABLE again AS SELECT g, journey_agg(at, channel, action, value, ref, detail) AS j FROM event GROUP BY g;
SELECT :seed AS seed, g FROM built b FULL JOIN again a USING (g) WHERE same(a.j, b.j) IS NOT TRUE LIMIT 5;
RESET enable_sort;
RESET work_mem;
DROP TABLE again;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT plan_has('SELECT journey_agg(at, channel, action, value, ref, detail) FROM event', '"Partial"');
CREATE TABLE again AS
SELECT g, journey_agg(at, channel, action, value, ref, detail) AS j, journey_agg(at, channel, action, value) AS v,
       journey_agg(at, channel, action) AS l, journey_agg(touchpoint(at, channel, action, value, ref, detail)) AS t
FROM event GROUP BY g;
SELECT :seed AS seed, g FROM built b FULL JOIN again a USING (g)
WHERE same(a.j, b.j) IS NOT TRUE OR same(a.t, b.j) IS NOT TRUE
      OR NOT same(v, (SELECT journey_agg(s.occurred_at, s.channel, s.action, s.value)
                      FROM unnest(b.j) u, journey_steps(u) s))
      OR NOT same(l, (SELECT journey_agg(s.occurred_at, s.channel, s.action) FROM unnest(b.j) u, journey_steps(u) s))
LIMIT 5;
DROP TABLE again;
-- everything in one journey, by workers and without
CREATE TABLE again AS
SELECT journey_agg(at, channel, action, value, ref, detail) AS j, journey_agg(touchpoint(at, channel, action, value, ref, detail)) AS t
FROM event;
INSERT INTO again SELECT journey_agg(j), NULL FROM built;
SET max_parallel_workers_per_gather = 0;
INSERT INTO again SELECT journey_agg(at, channel, action, value, ref, detail), NULL FROM event;
SELECT count(*) AS journeys, count(DISTINCT j) AS different, count(DISTINCT journey_send(j)) AS images,
       bool_and(journey_length(j) = (SELECT count(*) FROM event)) AS complete,
       bool_and(same(j, t)) FILTER (WHERE t IS NOT NULL) AS same
FROM again;
DROP TABLE again;
