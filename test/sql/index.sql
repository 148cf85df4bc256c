-- Indexes on journeys: what they find, what the planner does with them.

SET max_parallel_workers_per_gather = 0;  -- plans are printed

-- 20,000 customers, the same on every machine: hashes, no random()
CREATE TABLE visits AS
SELECT customer, journey_agg(at, channel, action, value) AS journey
FROM (SELECT c AS customer,
             '2026-01-01 00:00:00+00'::timestamptz + (h & 1023) * interval '1 hour' + (h >> 10 & 63) * interval '5 s' AS at,
             (ARRAY['web', 'app', 'store', 'phone', 'loja'])[1 + (h >> 16 & 63)::int % 5] AS channel,
             (ARRAY['view', 'click', 'purchase', 'call', 'devolver'])[1 + (h >> 22 & 63)::int % 5] AS action,
             CASE WHEN h >> 28 & 3 = 0 THEN (h >> 30 & 255)::numeric END AS value
      FROM generate_series(1, 20000) c,
           generate_series(1, (hashint4extended(c, 1) & 15)::int * (CASE WHEN c % 97 = 0 THEN 20 ELSE 1 END)) i,
           hashint8extended(c * 1000 + i, 2) h) t
GROUP BY customer;
-- one in 2,000 has a rare label; half have alpha, half beta, one in 2,000 both close together
UPDATE visits SET journey = journey || '{rare.label@2026-01-20T00:00:00Z}' WHERE customer % 2000 = 7;
UPDATE visits SET journey = journey || '{alpha.a@2026-03-01T00:00:00Z}' WHERE hashint4(customer) & 1 = 0;
UPDATE visits SET journey = journey || '{beta.b@2026-03-02T06:00:00Z}' WHERE hashint4(customer) & 2 = 0;
UPDATE visits SET journey = journey || '{alpha.a@2026-03-05T00:00:00Z, beta.b@2026-03-05T00:00:20Z}' WHERE customer % 2000 = 13;
INSERT INTO visits VALUES (20001, '{}'), (20002, NULL), (20003, '{web.view@2026-01-01T00:00:00Z}');
VACUUM FULL visits;  -- an index made among updated rows is not used while any older transaction runs, in whatever database
CREATE INDEX visits_gin ON visits USING gin (journey);
VACUUM ANALYZE visits;

-- ---- plans: the operator both ways and the function use the index ----

EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey ~ 'rare.label';
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey_pattern 'rare.label' ~ journey;
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey_matches(journey, 'rare.label');
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey_matches('rare.label', journey);
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey ~ 'alpha.a -[<= 1 min]-> beta.b';
-- a pattern that needs no particular touchpoint reads everything
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey ~ '% -[<= 1 s]-> %';

SELECT count(*), sum(customer) FROM visits WHERE journey ~ 'rare.label';
SELECT count(*), sum(customer) FROM visits WHERE journey_matches(journey, 'rare.label');
SELECT count(*), sum(customer) FROM visits WHERE journey ~ 'alpha.a -[<= 1 min]-> beta.b';

-- prepared: with the value, and without
PREPARE who(journey_pattern) AS SELECT count(*) FROM visits WHERE journey ~ $1;
PREPARE who_by_function(journey_pattern) AS SELECT count(*) FROM visits WHERE journey_matches(journey, $1);
EXECUTE who('rare.label');
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE who('rare.label');
EXPLAIN (COSTS OFF) EXECUTE who_by_function('rare.label');
EXECUTE who('rare.label');
EXECUTE who('alpha.a -[<= 1 min]-> beta.b');
EXECUTE who_by_function('rare.label');
EXECUTE who(NULL);
RESET plan_cache_mode;

-- a join with a table of patterns
CREATE TABLE segment (name text, pattern journey_pattern);
INSERT INTO segment VALUES ('rare', 'rare.label'), ('tight', 'alpha.a -[<= 1 min]-> beta.b'), ('none', 'no.such'), ('unknown', NULL);
SET enable_seqscan = off;
SELECT name, count(customer) FROM segment LEFT JOIN visits ON journey ~ pattern GROUP BY name ORDER BY name;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT name, customer FROM segment JOIN visits ON journey_matches(journey, pattern);

-- ---- what is found is what is there ----

-- which of these patterns give another answer by index than by reading everything?
CREATE FUNCTION differing(tab regclass, patterns text[]) RETURNS TABLE (pattern text, by_index bigint[], by_scan bigint[])
LANGUAGE plpgsql AS $$
BEGIN
    FOREACH pattern IN ARRAY patterns LOOP
        PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'on', true), set_config('enable_indexscan', 'on', true);
        EXECUTE format('SELECT array_agg(customer ORDER BY customer) FROM %s WHERE journey ~ %L', tab, pattern) INTO by_index;
        PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_indexscan', 'off', true);
        EXECUTE format('SELECT array_agg(customer ORDER BY customer) FROM %s WHERE journey ~ %L', tab, pattern) INTO by_scan;
        IF by_index IS DISTINCT FROM by_scan THEN RETURN NEXT; END IF;
    END LOOP;
END $$;

-- patterns of every kind, drawn by hash
CREATE TABLE pattern (n int, pattern text);
INSERT INTO pattern
SELECT n, CASE h % 12
    WHEN 0 THEN a || ' -> ' || b
    WHEN 1 THEN format('%s -[<= %s]-> %s', a, d, b)
    WHEN 2 THEN format('%s -[<= %s, !%s]-> %s', a, d, c, b)
    WHEN 3 THEN format('%s => %s', a, b)
    WHEN 4 THEN format('(%s | %s) -[< %s]-> %s', a, c, d, b)
    WHEN 5 THEN format('%s -> %s? -[<= %s]-> %s', a, b, d, c)
    WHEN 6 THEN format('(%s -[<= %s]->){2,} -> %s', a, d, b)
    WHEN 7 THEN format('^ -[!%s]-> %s', a, b)
    WHEN 8 THEN format('all(%s, %s, %s) within %s', a, b, c, d)
    WHEN 9 THEN format('%s -[> 1 s, <= %s]-> %s -> %s | %s', a, d, b, c, a)
    WHEN 10 THEN format('%s[value >= 100] -[= %s]-> %s', a, d, b)
    ELSE format('%s{,2} -> %s -[!%s for %s]-> $', a, b, c, d) END
FROM (SELECT n, hashint4extended(n, 3) >> 8 & 65535 AS h,
             l[1 + (hashint4extended(n, 4) & 1023) % 12] AS a, l[1 + (hashint4extended(n, 5) & 1023) % 12] AS b,
             l[1 + (hashint4extended(n, 6) & 1023) % 12] AS c,
             (ARRAY['5 s', '20 s', '1 min', '55 min', '1 h', '1 day', '30 h', '7 days', '100 days'])[1 + (hashint4extended(n, 7) & 1023) % 9] AS d
      FROM generate_series(1, 120) n,
           (SELECT ARRAY['web.view', 'web.%', 'alpha.a', 'beta.b', 'rare.label', '%.call', 'store.purchase', 'loja.devolver', 'app.cl%', 'phone.call', '%', 'no.such']) labels(l)) p;
SELECT DISTINCT ON (substr(pattern, 1, 3)) pattern FROM pattern ORDER BY substr(pattern, 1, 3), n LIMIT 8;

-- most of them find some customers, and none of them all
SELECT count(*) FILTER (WHERE found > 0) AS finding, count(*) FILTER (WHERE found = 20003) AS finding_all
FROM (SELECT (SELECT count(*) FROM visits WHERE journey ~ p.pattern::journey_pattern) AS found FROM pattern p WHERE n % 4 = 0) f;
SELECT * FROM differing('visits', (SELECT array_agg(pattern ORDER BY n) FROM pattern));

-- an index built empty, with another horizon, that lives through changes
CREATE TABLE changing (customer int, journey journey);
CREATE INDEX ON changing USING gin (journey journey_ops (horizon = '30 min'));
INSERT INTO changing SELECT customer, journey FROM visits WHERE customer % 10 = 0;
SELECT * FROM differing('changing', (SELECT array_agg(pattern ORDER BY n) FROM pattern WHERE n <= 60));
UPDATE changing SET journey = journey || '{rare.label@2026-02-01T00:00:00Z, web.view@2026-02-01T00:00:10Z}' WHERE customer % 30 = 0;
DELETE FROM changing WHERE customer % 70 = 0;
SELECT * FROM differing('changing', (SELECT array_agg(pattern ORDER BY n) FROM pattern WHERE n > 60));
VACUUM changing;
INSERT INTO changing SELECT customer, journey FROM visits WHERE customer % 10 = 1;
SELECT * FROM differing('changing', (SELECT array_agg(pattern ORDER BY n) FROM pattern WHERE n % 2 = 0));
SELECT count(*) > 0 AS found FROM changing WHERE journey ~ 'rare.label -[<= 10 s]-> web.view';
-- without pairs, with all of them, and with more labels than pairs are kept for
CREATE INDEX none ON changing USING gin (journey journey_ops (horizon = '0'));
DROP INDEX changing_journey_idx;
SELECT * FROM differing('changing', (SELECT array_agg(pattern ORDER BY n) FROM pattern WHERE n % 3 = 0));
DROP INDEX none;
CREATE INDEX "every pair" ON changing USING gin (journey journey_ops (horizon = '106751991 days'));
INSERT INTO changing
SELECT 30000 + k, journey_agg('2026-01-01 00:00:00+00'::timestamptz + i * interval '1 min', 'c' || i % k, 'a')
FROM unnest(ARRAY[63, 64, 65, 300]) k, generate_series(0, 999) i GROUP BY k;
SELECT * FROM differing('changing', (SELECT array_agg(pattern ORDER BY n) FROM pattern WHERE n % 3 = 1));
SELECT * FROM differing('changing', ARRAY['c1.a -[<= 1 min]-> c2.a', 'c2.a -[<= 61 min]-> c1.a', 'c2.a -[< 61 min]-> c1.a',
                                          'c1.a -[<= 63 min]-> c1.a', 'c299.a', 'c62.a -[= 1 min]-> c0.a', 'c0.a => c64.a']);
SELECT customer FROM changing WHERE journey ~ 'c62.a -[<= 1 min]-> c0.a';
SELECT indexdef FROM pg_indexes WHERE tablename = 'changing';
-- an empty table, and times at both ends of the calendar
CREATE TABLE bare (customer int, journey journey);
CREATE INDEX ON bare USING gin (journey);
CREATE INDEX ON bare USING gist (journey);
SELECT * FROM differing('bare', ARRAY['a.b', '%']);
INSERT INTO bare VALUES (1, '{}'), (2, NULL);
INSERT INTO bare
SELECT 3, journey_agg(at, 'a', action)
FROM (VALUES ('4713-01-01 00:00:00+00 BC'::timestamptz, 'b'), ('294276-12-31 00:00:00+00', 'c')) v (at, action);
CREATE INDEX ON bare USING gin (journey journey_ops (horizon = '106751991 days'));
SELECT * FROM differing('bare', ARRAY['a.b', '%', 'a.b -> a.c', 'a.b -[<= 7 days]-> a.c', 'a.b -[<= 106751991 days]-> a.c',
                                      'a.b -[> 106751991 days]-> a.c']);

-- the option
CREATE INDEX ON bare USING gin (journey journey_ops (horizon = 'soon'));
CREATE INDEX ON bare USING gin (journey journey_ops (horizon = '1 month'));
CREATE INDEX ON bare USING gin (journey journey_ops (horizon = ''));
CREATE INDEX ON bare USING gin (journey journey_ops (range = '1 h'));

-- ---- GiST: periods, and patterns by signature ----

CREATE INDEX visits_gist ON visits USING gist (journey);
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey && '[2026-01-03 00:00+00,2026-01-03 01:00+00)'::tstzrange AND journey <@ '[2026-01-01 00:00+00,2026-01-04 00:00+00)'::tstzrange;
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey <@ '[2026-01-01 00:00+00,2026-01-02 00:00+00)'::tstzrange;
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE '[2026-01-01 00:00+00,2026-01-02 00:00+00)'::tstzrange @> journey;
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey_within(journey, '[2026-01-01 00:00+00,2026-01-02 00:00+00)');
-- GIN goes before GiST for patterns
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey ~ 'rare.label';
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey_matches('rare.label', journey);
DROP INDEX visits_gin;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey ~ 'rare.label';
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey_pattern 'rare.label' ~ journey;
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey_matches(journey, 'rare.label');
RESET enable_seqscan;
SELECT * FROM differing('visits', (SELECT array_agg(pattern ORDER BY n) FROM pattern WHERE n % 4 = 0));

CREATE FUNCTION differing_periods(tab regclass) RETURNS TABLE (condition text, by_index bigint[], by_scan bigint[])
LANGUAGE plpgsql AS $$
DECLARE
    op text;
    period text;
BEGIN
    FOREACH op IN ARRAY ARRAY['&&', '<@'] LOOP
        FOR period IN SELECT unnest(ARRAY['empty', '(,)', '[2026-01-01 00:00:00+00,2026-01-01 00:00:00+00]', '[2026-01-01 00:00:00+00,2026-01-01 00:00:01+00)',
                                          '(2026-01-01 00:00:00+00,)', '(,2026-01-01 00:00:00+00)', '[2026-02-12 00:00:00+00,)'])
                      UNION ALL
                      SELECT tstzrange(t, t + (interval '1 hour') * (h >> 20 & 2047), (ARRAY['[)', '[]', '(]', '()'])[1 + (h & 3)::int])::text
                      FROM (SELECT h, '2026-01-01 00:00:00+00'::timestamptz + (h >> 8 & 1023) * interval '1 hour' AS t
                            FROM generate_series(1, 40) n, hashint4extended(n, 8) h) r LOOP
            condition := format('journey %s %L::tstzrange', op, period);
            PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'on', true), set_config('enable_indexscan', 'on', true);
            EXECUTE format('SELECT array_agg(customer ORDER BY customer) FROM %s WHERE %s', tab, condition) INTO by_index;
            PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_indexscan', 'off', true);
            EXECUTE format('SELECT array_agg(customer ORDER BY customer) FROM %s WHERE %s', tab, condition) INTO by_scan;
            IF by_index IS DISTINCT FROM by_scan THEN RETURN NEXT; END IF;
        END LOOP;
    END LOOP;
END $$;
SELECT * FROM differing_periods('visits');
SELECT * FROM differing_periods('bare');
-- filled a row at a time, and changed
CREATE TABLE slow (customer int, journey journey);
CREATE INDEX ON slow USING gist (journey);
INSERT INTO slow SELECT customer, journey FROM visits WHERE customer % 4 = 0;
INSERT INTO slow VALUES (0, '{}'), (-1, NULL);
SELECT * FROM differing_periods('slow');
UPDATE slow SET journey = journey || '{web.view@2026-04-01T00:00:00Z}' WHERE customer % 3 = 0;
DELETE FROM slow WHERE customer % 5 = 0;
VACUUM slow;
SELECT * FROM differing_periods('slow');
SELECT * FROM differing('slow', (SELECT array_agg(pattern ORDER BY n) FROM pattern WHERE n % 4 = 1));

-- ---- estimates: within a factor of three ----

CREATE FUNCTION estimate(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN (plan->0->'Plan'->>'Plan Rows')::float8;
END $$;
CREATE FUNCTION misjudged(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
    expected float8 := estimate('SELECT customer FROM visits WHERE ' || condition);
BEGIN
    EXECUTE 'SELECT count(*) FROM visits WHERE ' || condition INTO found;
    RETURN CASE WHEN expected BETWEEN found / 3.0 AND greatest(found, 1) * 3.0 THEN NULL
                ELSE format('%s: expected %s, found %s', condition, expected, found) END;
END $$;
SELECT misjudged(c) FROM unnest(ARRAY[
    $$journey ~ 'rare.label'$$, $$journey_matches(journey, 'rare.label')$$, $$journey ~ 'alpha.a -[<= 1 min]-> beta.b'$$,
    $$journey ~ 'alpha.a'$$, $$journey ~ 'alpha.a -> beta.b'$$, $$journey ~ 'web.view'$$, $$journey ~ 'web.%'$$, $$journey ~ '%'$$,
    $$journey ~ 'web.view => web.view'$$, $$journey ~ 'web.view{8,}'$$, $$journey ~ '%.purchase[value >= 200]'$$,
    $$journey ~ '^ store.call'$$, $$journey ~ 'loja.devolver $'$$, $$journey ~ 'web.view -[!app.view]-> store.purchase within 10 days'$$,
    $$journey ~ 'no.such'$$, $$journey ~ 'web.view -> no.such'$$,
    $$journey && '[2026-01-01 00:00+00,2026-01-02 00:00+00)'::tstzrange$$, $$journey <@ '[2026-01-01 00:00+00,2026-01-25 00:00+00)'::tstzrange$$,
    $$journey_overlaps('[2026-03-04 00:00+00,)', journey)$$]) c
WHERE misjudged(c) IS NOT NULL;
-- without statistics, without a value, without a pattern
SELECT estimate($$SELECT * FROM bare WHERE journey ~ 'a.b'$$) > 0 AS some;
SELECT estimate($$SELECT * FROM visits WHERE journey ~ NULL$$) AS none;
-- of journeys that are all alike, or all missing
CREATE TABLE alike AS SELECT '{a.b@2026-01-01T00:00:00Z}'::journey AS journey FROM generate_series(1, 100);
CREATE TABLE missing AS SELECT NULL::journey AS journey FROM generate_series(1, 100);
ANALYZE alike, missing, changing, bare;
SELECT estimate($$SELECT * FROM alike WHERE journey ~ 'a.b'$$), estimate($$SELECT * FROM alike WHERE journey ~ 'a.c'$$),
       estimate($$SELECT * FROM missing WHERE journey ~ 'a.b'$$);
-- of empty journeys alone, in one partition or all; and of long ones, which are not kept as a sample
CREATE TABLE parts (customer int, journey journey) PARTITION BY LIST (customer);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
INSERT INTO parts SELECT 1, '{}' FROM generate_series(1, 10);
INSERT INTO parts SELECT 2, '{web.view@2026-01-01T00:00:00Z}' FROM generate_series(1, 10);
ANALYZE parts;
SELECT customer, count(*) FROM parts WHERE journey ~ 'web.view' GROUP BY customer;
SELECT estimate($$SELECT * FROM parts_1 WHERE journey ~ 'web.view'$$), estimate($$SELECT * FROM parts_1 WHERE journey ~ 'web.%'$$);
CREATE TABLE long AS
SELECT g AS customer, journey_agg('2026-01-01 00:00:00+00'::timestamptz + hashint4(g * i) % 1000000 * interval '1 s', 'web', 'a' || i % 20) AS journey
FROM generate_series(1, 40) g, generate_series(1, 10000) i GROUP BY g;
ANALYZE long;
SELECT estimate($$SELECT * FROM long WHERE journey ~ 'web.a1'$$), estimate($$SELECT * FROM long WHERE journey ~ 'web.b'$$);
INSERT INTO long SELECT 100 + g, '{tiny.one@2026-01-01T00:00:00Z}' FROM generate_series(1, 10) g;
ANALYZE long;
SELECT estimate($$SELECT * FROM long WHERE journey ~ 'web.a1'$$) BETWEEN 14 AND 100 AS long,
       estimate($$SELECT * FROM long WHERE journey ~ 'tiny.one'$$) BETWEEN 3 AND 30 AS tiny;
-- the estimator, attached to other types, must not take them for its own
CREATE FUNCTION same(bytea, bytea) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 = $2; END';
CREATE OPERATOR ~~~~ (LEFTARG = bytea, RIGHTARG = bytea, PROCEDURE = same, RESTRICT = journey_sel);
CREATE TABLE raw AS SELECT '\x00'::bytea AS b FROM generate_series(1, 1000);
ANALYZE raw;
SELECT estimate($$SELECT * FROM raw WHERE b ~~~~ '\xff'$$) AS estimate;
CREATE FUNCTION same(journey, bytea) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE OPERATOR ~~~~ (LEFTARG = journey, RIGHTARG = bytea, PROCEDURE = same, RESTRICT = journey_sel);
SELECT estimate($$SELECT * FROM visits WHERE journey ~~~~ '\xff'::bytea$$) AS estimate;

-- a column of a domain, an expression, a partial index
CREATE DOMAIN shop_journey AS journey CHECK (journey_length(VALUE) < 100000);
CREATE TABLE domains AS SELECT customer, journey::shop_journey AS journey FROM visits;
CREATE INDEX ON domains USING gin (journey) WHERE customer > 100;
CREATE INDEX ON domains USING gin (journey_filter(journey, 'web.%'));
ANALYZE domains;
EXPLAIN (COSTS OFF) SELECT customer FROM domains WHERE customer > 100 AND journey ~ 'rare.label';
EXPLAIN (COSTS OFF) SELECT customer FROM domains WHERE journey_filter(journey, 'web.%') ~ 'web.view => web.view -[<= 1 s]-> web.view';
SELECT count(*) FROM domains WHERE customer > 100 AND journey ~ 'rare.label';
CREATE INDEX domains_gist ON domains USING gist (journey_filter(journey, 'web.%'));
ANALYZE domains;
EXPLAIN (COSTS OFF) SELECT customer FROM domains WHERE journey_filter(journey, 'web.%') ~ 'web.view => web.view -[<= 1 s]-> web.view';

DROP TABLE visits, segment, pattern, changing, bare, slow, alike, missing, raw, domains, parts, long;
DROP DOMAIN shop_journey;
DROP OPERATOR ~~~~ (bytea, bytea);
DROP OPERATOR ~~~~ (journey, bytea);
DROP FUNCTION differing, differing_periods, estimate, misjudged, same(bytea, bytea), same(journey, bytea);
