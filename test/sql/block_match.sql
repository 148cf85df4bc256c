-- Patterns over blocks answer as over the journeys one by one.
SELECT journey_block_match(b, 'web.view -> web.purchase'), journey_block_reached(b, 'web.view -> web.purchase'), c.*
FROM (SELECT journey_block_agg(customer, journey) AS b
      FROM (VALUES (3, '{web.purchase@2026-01-01T00:00:00Z, web.view@2026-01-02T00:00:00Z}'::journey),
                   (-7, '{web.view@2026-01-01T00:00:00Z, web.purchase@2026-01-02T00:00:00Z, web.view@2026-01-03T00:00:00Z, web.purchase@2026-01-04T00:00:00Z}'),
                   (9000000000, '{web.view@2026-01-01T00:00:00Z, web.purchase@2026-01-05T00:00:00Z}'), (4, '{}'), (5, '{store.visit@2026-01-01T00:00:00Z}'))
           v (customer, journey)) x, journey_block_count(b, 'web.view -> web.purchase') c;

-- Random blocks: short journeys and long, empty ones, values, details, few and many labels, one customer, many
CREATE TABLE blocks (kind text, block journey_block);
CREATE FUNCTION pick(seed bigint, n int) RETURNS int LANGUAGE sql IMMUTABLE
AS $$ SELECT (hashint8extended(seed, 15) & 1048575)::int % n $$;
CREATE FUNCTION make_block(seed bigint, customers int, longest int, channels text[], actions text[], more int, kind text) RETURNS journey_block
LANGUAGE sql IMMUTABLE AS $$
    SELECT journey_block_agg(c * 7 - 50, coalesce(journey, '{}'))
    FROM generate_series(1, customers) c LEFT JOIN LATERAL (
        SELECT journey_agg('2026-01-01Z'::timestamptz + (pick(seed + c * 100000 + i * 5, 3000) || ' minutes')::interval,
                           channels[1 + pick(seed + c * 100000 + i * 5 + 1, cardinality(channels))],
                           actions[1 + pick(seed + c * 100000 + i * 5 + 2, cardinality(actions))]
                           || CASE WHEN more > 0 THEN pick(seed + c * 100000 + i * 5 + 3, more)::text ELSE '' END,
                           CASE WHEN kind ~ 'value' AND i % 3 > 0 THEN pick(seed + c * 100000 + i, 200) END,
                           NULL, CASE WHEN kind ~ 'detail' AND i % 2 = 0 THEN (ARRAY['in', 'out', 'page'])[1 + i % 3] END) AS journey
        FROM generate_series(1, CASE WHEN customers = 1 THEN longest WHEN pick(seed + c, 5) = 0 THEN pick(seed + c + 3, longest + 1) ELSE pick(seed + c + 2, 8) END) i) j ON true
$$;
INSERT INTO blocks
SELECT kind, make_block(seed * 1000003, customers, longest, channels, actions, more, kind)
FROM (VALUES ('plain', 60, 100, '{web,email,store,phone}'::text[], '{view,click,open,purchase,complaint,resolve}'::text[], 0),
             ('value', 40, 40, '{web,email,store}', '{view,click,open,purchase}', 0),
             ('detail', 40, 40, '{web,email}', '{view,click,open,purchase}', 0),
             ('value, detail', 30, 90, '{web,email}', '{view,click,open,purchase}', 0),
             ('many labels', 40, 200, '{web,email,store,phone}', '{view,click,open,purchase,view,click,complaint}', 60),
             ('one customer', 1, 300, '{web,email}', '{view,click,open,purchase}', 0),
             ('others', 30, 20, '{ads}', '{show}', 0)) k (kind, customers, longest, channels, actions, more),
     generate_series(1, 3) seed;
INSERT INTO blocks
SELECT 'few of many', journey_block_agg(c, CASE WHEN c % 17 = 0 THEN '{web.view@2026-01-01T00:00:00Z, web.purchase@2026-01-02T00:00:00Z}'
                                                ELSE '{web.search@2026-01-01T00:00:00Z, web.click@2026-01-03T00:00:00Z}' END::journey)
FROM generate_series(-100, 1500) c;
INSERT INTO blocks SELECT 'empty journeys', journey_block_agg(c, '{}') FROM generate_series(1, 3) c;
INSERT INTO blocks SELECT 'one journey of one label', journey_block_agg(1, j)
FROM (SELECT journey_agg(timestamptz '2026-01-01Z' + i * interval '1 hour', 'web', 'view') AS j FROM generate_series(1, 70) i) j;
INSERT INTO blocks VALUES ('empty', '{}');
SELECT kind, sum(journeys) AS journeys, sum(touchpoints) AS touchpoints, max(longest) AS longest
FROM blocks, LATERAL (SELECT count(*) AS journeys, sum(journey_length(journey)) AS touchpoints, max(journey_length(journey)) AS longest
                      FROM unnest(block)) j
GROUP BY kind ORDER BY kind COLLATE "C";

CREATE TABLE patterns (n serial, pattern journey_pattern);
INSERT INTO patterns (pattern) VALUES
    ('web.view'), ('web.purchase'), ('%'), ('web.%'), ('w%.%'), ('%.purchase'), ('web.view.in'), ('web.%.out'), ('fax.call'),
    ('web.view -> web.purchase'), ('web.view => web.purchase'), ('web.view -> web.view'), ('web.view => web.view'),
    ('web.view -> web.view -> web.view'), ('web.view -[<= 1 hour]-> %.click'), ('web.view -[>= 1 hour]-> %.click'),
    ('web.view -[> 1 hour, <= 1 day]-> %.purchase'), ('email.open -[<= 1 day]-> email.click -[!%.complaint]-> %.purchase'),
    ('phone.open -[<= 2 days, !%.resolve]-> phone.open'), ('web.view -> web.click -> web.open -> web.purchase within 7 hours'),
    ('web.view -> web.click -> web.open -> web.purchase'), ('web.view -> fax.call -> web.purchase'), ('fax.call -> web.view'),
    ('^web.view'), ('^%.view -> %.purchase'), ('^ -[<= 1 hour]-> web.view'), ('web.purchase $'), ('web.view -[<= 2 hours]-> $'),
    ('web.view -[!email.%]-> $'), ('^ -[!web.click]-> web.view -> web.open $'), ('web.view? -> web.purchase'), ('web.view -> web.click? -> web.purchase'),
    ('web.view{2,3} -> web.purchase'), ('web.view{5,}'), ('(web.view | email.open) -> (web.purchase | email.click)'),
    ('(web.view -> web.click | email.open => email.open) -> %.purchase'), ('web.view -> (web.click -> web.open){1,2} -> web.purchase within 1 day'), ('all(web.view, web.click, email.open)'),
    ('^ -[!%.purchase]-> web.view -[!%.purchase]-> $'), ('^ -[!%.purchase, !%.open]-> % -[!%.view]-> %.click'), ('% => web.view -[!%.click]-> email.open => %'),
    ('^ -[!web.%]-> web.view -[!web.%]-> $'),
    ('^ -[!%.click, !%.open]-> % -[!%.click]-> %.view -[!%.click, !web.%]-> $'), ('^ -[!%.click]-> % => %.view => $'),
    ('^ web.view -[!email.%]-> web.open $'), ('^ =[< 0 s]=> web.view'), ('^ =[> 0 s]=> web.view -> web.open'),
    ('^ =[<= 0 s]=> web.view -> web.open'),
    ('^ -[!%.purchase[value > 50]]-> web.view -[!%.purchase[value > 50]]-> $'),
    ('^ -[!%.open]-> web.view -[!%.open for 5 h]-> $'),
    ('^ -[!web.click]-> web.click'), ('^ -[!web.view]-> web.view -[!%.purchase]-> %.purchase'),
    ('^ -[!web.view, !email.%]-> web.view -> email.open'),
    ('^ -[!web.view]-> web.view | ^ -[!web.view, !email.open]-> email.open -> web.click'),
    ('^ -[!web.view, <= 9 h]-> web.view -> web.open'),
    ('^ -[!web.click, !web.open, !web.purchase, !email.view, !email.click, !store.view]-> email.open -[!web.click, !web.open, !web.purchase, !email.view, !email.click, !store.view]-> $'),
    ('web.view -[!%.purchase for 1 h]-> $'), ('(web.view -[<= 5 h]->)+ -> web.purchase'), ('web.view* -> email.%+ => %'), ('web.view -> web.click | email.open'),
    ('web.view | email.click | store.open'), ('web.purchase[value >= 100]'), ('web.view[value > 50] -> %.purchase[value < 150]'), ('%.purchase[value = 7] -> %'),
    ('web.view -[!web.click[value > 100]]-> web.purchase'), ('web.view.in -> web.%.out'), ('%.view.in -[<= 3 hours]-> %.purchase'),
    ('web.view1 -> web.purchase2'), ('web.view% -> email.click% -> %.purchase%'), ('%.view1% -[<= 10 hours, !%.complaint%]-> %.click2%'),
    ('web.view -> web.click -> web.open -> web.purchase -> email.view -> email.click -> email.open -> email.purchase'),
    ('web.view -> web.click -> web.open -> web.purchase -> email.view -> email.click -> email.open -> email.purchase -> store.view -> store.click'),
    ('web.view -> web.click -> web.open -> web.purchase -> email.view -> email.click -> email.purchase -> store.click | email.open -> store.view'),
    ('email.open -> store.click -> store.view -> web.open -> web.click -[!store.open]-> web.purchase -> email.view -> email.click -> web.view -> %.complaint within 2 days');
CREATE VIEW answers AS
SELECT p.n, p.pattern, b.kind, journey_block_match(b.block, p.pattern) AS customers, one.customers AS customers_one,
       many.counts, one.counts AS counts_one, journey_block_reached(b.block, p.pattern) AS reached,
       ARRAY(SELECT (SELECT count(*) FROM unnest(one.reached) r WHERE r >= k) FROM generate_series(1, one.most) k ORDER BY k) AS reached_one
FROM patterns p CROSS JOIN blocks b
     CROSS JOIN LATERAL (SELECT coalesce(array_agg(u.customer ORDER BY u.customer) FILTER (WHERE u.journey ~ p.pattern), '{}') AS customers,
                                string_agg(u.customer || ': ' || journey_match_count(u.journey, p.pattern), ', ' ORDER BY u.customer)
                                FILTER (WHERE journey_match_count(u.journey, p.pattern) > 0) AS counts,
                                array_agg(journey_reached(u.journey, p.pattern)) AS reached,
                                cardinality(journey_block_reached(b.block, p.pattern)) AS most
                         FROM unnest(b.block) u) one
     CROSS JOIN LATERAL (SELECT string_agg(c.customer || ': ' || c.matches, ', ') AS counts FROM journey_block_count(b.block, p.pattern) c) many;
SELECT a.pattern, sum(cardinality(a.customers)) AS customers, array_agg(DISTINCT cardinality(a.reached)) AS items,
       sum((SELECT sum(r) FROM unnest(a.reached) r)) AS reached,
       nullif(string_agg(a.kind, ', ') FILTER (WHERE a.customers <> a.customers_one), '') AS other_customers,
       nullif(string_agg(a.kind, ', ') FILTER (WHERE a.counts IS DISTINCT FROM a.counts_one), '') AS other_counts,
       nullif(string_agg(a.kind, ', ') FILTER (WHERE a.reached <> a.reached_one), '') AS other_reached
FROM answers a GROUP BY a.n, a.pattern ORDER BY a.n;

-- Out of line, where only what is needed is fetched: rare patterns, then common ones, then rare ones again
CREATE TABLE stored (n int, block journey_block);
INSERT INTO stored SELECT row_number() OVER (), make_block(seed, 300, 100, '{web,email,store}', '{view,click,open,purchase}', 0, kind)
FROM generate_series(1, 6) seed, unnest('{plain,value}'::text[]) kind;
INSERT INTO stored SELECT 100 + n, make_block(n, 300, 100, '{ads}', '{show}', 0, 'value') FROM generate_series(1, 3) n;
SELECT bool_and(pg_column_size(block) > 2000) AS out_of_line FROM stored;
SELECT pattern, sum(cardinality(journey_block_match(block, pattern))) AS customers,
       bool_and(journey_block_match(block, pattern) = ARRAY(SELECT customer FROM unnest(block) WHERE journey ~ pattern)) AS equal
FROM unnest(ARRAY['web.view -> %.purchase', 'fax.call', 'web.view[value > 195] => store.open', 'ads.show -[<= 1 min]-> ads.show',
                  'web.view -[<= 1 min]-> web.view']::journey_pattern[]) WITH ORDINALITY p (pattern, nth), (SELECT * FROM stored ORDER BY n) s GROUP BY pattern, nth ORDER BY nth;
-- one call site, patterns in turn
SELECT sum(m) = (SELECT sum(journey_match_count(journey, pattern)) FROM stored, unnest(block),
                        unnest(ARRAY['web.view[value > 100] -> %.purchase', 'web.view', 'ads.show', 'fax.call']::journey_pattern[]) pattern) AS equal, count(*)
FROM stored, unnest(ARRAY['web.view[value > 100] -> %.purchase', 'web.view', 'ads.show', 'fax.call']::journey_pattern[]) pattern,
     journey_block_count(block, pattern) c (customer, m);

-- A whole answer over many blocks
SELECT item, sum(n) FROM blocks, unnest(journey_block_reached(block, 'web.view -> web.click -> web.purchase within 5 hours'))
                                 WITH ORDINALITY r (n, item) GROUP BY item ORDER BY item;
-- in the list of columns too
SELECT journey_block_count(block, 'web.view -> web.purchase') FROM blocks WHERE kind = 'few of many' LIMIT 3;

-- NULL
SELECT journey_block_match(NULL, 'web.view'), journey_block_match(block, NULL), journey_block_reached(NULL, 'web.view'),
       journey_block_reached(block, NULL) FROM blocks WHERE kind = 'empty';
SELECT * FROM journey_block_count(NULL, 'web.view');
SELECT count(*) FROM blocks, journey_block_count(block, NULL);
-- Nothing
SELECT journey_block_match(block, '%'), journey_block_reached(block, 'web.view -> web.click') FROM blocks WHERE kind LIKE 'empty%' ORDER BY kind;

-- A cost by which a table of few rows is worth a worker
SELECT procost, prorows FROM pg_proc WHERE proname LIKE 'journey\_block\_%' AND 'journey_pattern'::regtype = ANY (proargtypes) ORDER BY proname;

DROP VIEW answers;
DROP TABLE blocks, patterns, stored;
DROP FUNCTION make_block;
DROP FUNCTION pick;
