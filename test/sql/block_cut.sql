-- A block without some customers is copied in runs where that gives the same bytes as packing it.
SET timezone = 'UTC';
SELECT setseed(0.3);
-- blocks of which most labels and the first time are of many customers, of few, and of one
CREATE TEMP TABLE made AS
SELECT kind, customer, journey_agg('2026-01-01Z'::timestamptz + CASE WHEN kind = 'first' THEN customer * interval '1 day'
                                                                    ELSE floor(random() * 1000000) * step END,
                                   'c' || floor(random() ^ 2 * labels), 'a', CASE WHEN random() < given THEN n END,
                                   CASE WHEN random() < given THEN n END,
                                   CASE WHEN random() < given THEN 'd' END) AS journey
FROM (VALUES ('plain', 5, interval '1 s', 0.0), ('rich', 5, '1 microsecond', 0.5), ('some', 3, '1 ms', 0.01), ('labels', 300, '1 s', 0.1),
             ('one label', 1, '1 min', 0), ('first', 2, '1 s', 0)) k(kind, labels, step, given),
     generate_series(-20, 400) customer, generate_series(1, 1 + abs(customer % 7)) n
GROUP BY kind, customer;
INSERT INTO made SELECT 'plain', n, '{}' FROM generate_series(1000000000000, 1000000000020) n;
CREATE TEMP TABLE block AS SELECT kind, journey_block_agg(customer, journey) AS b FROM made GROUP BY kind;
CREATE TEMP TABLE gone AS
SELECT n, share, ARRAY(SELECT g FROM generate_series(-25, 410) g WHERE random() < share UNION ALL SELECT 1000000000007 WHERE n % 2 = 0) AS gone
FROM generate_series(1, 8) n, unnest('{0, 0.003, 0.1, 0.5, 0.97, 1}'::float8[]) share;
SELECT kind, count(*), count(*) FILTER (WHERE journey_block_length(w) < journey_block_length(b)) > 20 AS cut,
       count(*) FILTER (WHERE w IS DISTINCT FROM coalesce(o, '{}')) AS flaws
FROM block, gone, LATERAL (SELECT journey_block_without(b, gone) AS w) w,
     LATERAL (SELECT journey_block_agg(m.customer, m.journey) AS o FROM made m WHERE m.kind = block.kind AND m.customer <> ALL (gone)) o
GROUP BY kind ORDER BY kind;
-- the first, the last, runs of one, neighbours
SELECT gone, journey_block_without(journey_block_agg(n, '{a.b@2026-03-01T10:00:00Z}'), gone) AS left
FROM generate_series(1, 4) n, (VALUES ('{1}'::bigint[]), ('{4}'), ('{2,3}'), ('{2}'), ('{1,4}'), ('{1,2,3}'), ('{1,2,3,4}'), ('{0,5}'), ('{}')) g(gone)
GROUP BY gone ORDER BY gone;
-- at the ends of what numbers there are
SELECT journey_block_without('{-9223372036854775808: {a.b@2026-03-01T10:00:00Z}, 0: {a.b@2026-03-01T10:00:00Z}, 9223372036854775807: {a.b@2026-03-01T10:00:00Z}}', g) AS left
FROM (VALUES ('{-9223372036854775808}'::bigint[]), ('{0}'), ('{9223372036854775807}'), ('{-9223372036854775808, 9223372036854775807}'), ('{-1, 1}')) g(g);
-- it is the block itself, out of line, if none of them is in it
CREATE TEMP TABLE stored AS SELECT kind, b FROM block WHERE kind = 'rich';
SELECT pg_column_size(journey_block_without(b, '{100000}')) = pg_column_size(b), journey_block_without(b, '{100000}') = b FROM stored;
