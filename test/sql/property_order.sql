-- Property tests, part 5: touchpoints and journeys sort, compare, hash, group and
-- join as the rows they are made of do.
-- Reads the schema made by property.sql, of more journeys where PGJ_SLOW is set; every query lists what is wrong.
\set seed 1
\getenv seed PGJ_SEED
SET search_path = property, public;
SET client_min_messages = warning;
CREATE TABLE point AS
SELECT row_number() OVER (ORDER BY "rank") AS n, g, "position", "rank", touchpoint(at, channel, action, value, ref, detail) AS t
FROM step;
CREATE TABLE line AS SELECT g, length < 4 AS short, ranks, j FROM built JOIN expected USING (g);
INSERT INTO line VALUES (0, true, '{}', '{}');
ALTER TABLE point ADD PRIMARY KEY (n);
CREATE INDEX ON point ("rank");
ANALYZE point;
ANALYZE line;

-- sorting, by comparison and through an index, up and down
CREATE VIEW misplaced AS
SELECT 'touchpoints' AS what FROM (SELECT "rank", lag("rank") OVER (ORDER BY t) AS before FROM point) s
WHERE before > "rank"
UNION ALL
SELECT 'touchpoints, descending' FROM (SELECT "rank", lag("rank") OVER (ORDER BY t DESC) AS before FROM point) s
WHERE before < "rank"
UNION ALL
SELECT 'journeys' FROM (SELECT ranks, lag(ranks) OVER (ORDER BY j) AS before FROM line) s
WHERE before > ranks
UNION ALL
SELECT 'short journeys' FROM (SELECT ranks, lag(ranks) OVER (ORDER BY j) AS before FROM line WHERE short) s
WHERE before > ranks;
SELECT :seed AS seed, what, count(*) FROM misplaced GROUP BY what;
CREATE INDEX point_order ON point (t);
CREATE INDEX line_order ON line (j) WHERE short;
SET enable_sort = off;
SELECT :seed AS seed, what, count(*) FROM misplaced GROUP BY what;
RESET enable_sort;

-- every operator and the comparison function: neighbours, random pairs, itself
CREATE TABLE pair AS
SELECT n AS a, n + k AS b FROM point, generate_series(0, 2) k
UNION ALL SELECT n, 1 + rnd(n, 1, (SELECT count(*) FROM point)) FROM point;
ANALYZE pair;
SELECT :seed AS seed, a.t, b.t FROM pair JOIN point a ON a.n = pair.a JOIN point b ON b.n = pair.b
WHERE (a.t < b.t, a.t <= b.t, a.t = b.t, a.t <> b.t, a.t >= b.t, a.t > b.t, sign(touchpoint_cmp(a.t, b.t)))
      IS DISTINCT FROM (a."rank" < b."rank", a."rank" <= b."rank", a."rank" = b."rank", a."rank" <> b."rank",
                        a."rank" >= b."rank", a."rank" > b."rank", sign(a."rank" - b."rank"))
LIMIT 5;
SELECT :seed AS seed, a.g, b.g FROM line a JOIN line b ON (a.g * 31 + b.g) % 40 = 0
WHERE (a.j < b.j, a.j <= b.j, a.j = b.j, a.j <> b.j, a.j >= b.j, a.j > b.j, sign(journey_cmp(a.j, b.j)))
      IS DISTINCT FROM (a.ranks < b.ranks, a.ranks <= b.ranks, a.ranks = b.ranks, a.ranks <> b.ranks,
                        a.ranks >= b.ranks, a.ranks > b.ranks, sign(btarraycmp(a.ranks, b.ranks)))
LIMIT 5;
-- what a journey begins with comes before it
SELECT :seed AS seed, g FROM line
WHERE g > 0 AND NOT (j[:cardinality(ranks) - 1] < j AND j > '{}' AND j < j || j[cardinality(ranks)]) LIMIT 5;

-- hashes: equal for equals, seldom for others; with seed 0 the long one ends in the short one
CREATE VIEW hashes AS
SELECT 'touchpoint' AS what, ARRAY["rank"] AS ranks, touchpoint_hash(t) AS short,
       touchpoint_hash_extended(t, 5) AS long, touchpoint_hash_extended(t, 0) AS long0 FROM point
UNION ALL
SELECT 'journey', ranks, journey_hash(j), journey_hash_extended(j, 5), journey_hash_extended(j, 0) FROM line;
SELECT :seed AS seed, what, ranks FROM hashes GROUP BY what, ranks
HAVING count(DISTINCT short) > 1 OR count(DISTINCT long) > 1 LIMIT 5;
SELECT :seed AS seed, what, ranks FROM hashes WHERE long0 & 4294967295 <> short::bigint & 4294967295 LIMIT 5;
SELECT what, count(DISTINCT ranks) - count(DISTINCT short) < 10 AS short,
       count(DISTINCT ranks) = count(DISTINCT long) AS long, bool_and(long <> long0) AS seed_matters
FROM hashes GROUP BY what ORDER BY what;

-- DISTINCT and GROUP BY, by hashing and by sorting
CREATE VIEW counts AS
SELECT (SELECT count(*) FROM (SELECT DISTINCT t FROM point) d) AS points,
       (SELECT count(DISTINCT "rank") FROM point) AS points_expected,
       (SELECT count(*) FROM (SELECT j FROM line GROUP BY j) d) AS lines,
       (SELECT count(DISTINCT ranks) FROM line) AS lines_expected;
SET enable_sort = off;
SELECT :seed AS seed, * FROM counts WHERE points <> points_expected OR lines <> lines_expected;
RESET enable_sort;
SET enable_hashagg = off;
SELECT :seed AS seed, * FROM counts WHERE points <> points_expected OR lines <> lines_expected;
RESET enable_hashagg;

-- joins of each kind find the pairs that the ranks have; a touchpoint equals the journey of it alone
CREATE TABLE pairs AS
SELECT (SELECT count(*) FROM point a JOIN point b USING ("rank") WHERE a.g % 3 = 0 AND b.g % 5 = 0) AS points,
       (SELECT count(*) FROM line a JOIN line b USING (ranks) WHERE a.g <> b.g) AS lines,
       (SELECT count(*) FROM point a JOIN line b ON ARRAY[a."rank"] = b.ranks) AS mixed;
SELECT points > 200 AND lines > 80 AND mixed > 20 AS enough FROM pairs;
CREATE VIEW found AS
SELECT (SELECT count(*) FROM point a JOIN point b USING (t) WHERE a.g % 3 = 0 AND b.g % 5 = 0) AS points,
       (SELECT count(*) FROM line a JOIN line b USING (j) WHERE a.g <> b.g) AS lines,
       (SELECT count(*) FROM point a JOIN line b ON a.t = b.j) AS mixed;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT :seed AS seed, 'hash' AS method, * FROM found EXCEPT SELECT :seed, 'hash', * FROM pairs;
SET enable_mergejoin = on;
SET enable_hashjoin = off;
SELECT :seed AS seed, 'merge' AS method, * FROM found EXCEPT SELECT :seed, 'merge', * FROM pairs;
RESET enable_hashjoin;
RESET enable_nestloop;

-- btree and hash indexes find what the ranks say
CREATE INDEX line_hash ON line USING hash (j);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT :seed AS seed, p.n FROM point p
WHERE (SELECT count(*) FROM point q WHERE q.t = p.t) <> (SELECT count(*) FROM point q WHERE q."rank" = p."rank")
LIMIT 5;
SELECT :seed AS seed, p.g FROM line p
WHERE (SELECT count(*) FROM line q WHERE q.j = p.j) <> (SELECT count(*) FROM line q WHERE q.ranks = p.ranks) LIMIT 5;
DROP INDEX point_order;
CREATE INDEX point_hash ON point USING hash (t);
SELECT :seed AS seed, p.n FROM point p
WHERE (SELECT count(*) FROM point q WHERE q.t = p.t) <> (SELECT count(*) FROM point q WHERE q."rank" = p."rank")
LIMIT 5;
