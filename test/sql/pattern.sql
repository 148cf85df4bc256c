-- The type journey_pattern and matching: language, errors, rules of meaning.
SET timezone = 'UTC';

-- canonical text; what is printed parses to an equal pattern
SELECT p::journey_pattern, p::journey_pattern::text::journey_pattern = p::journey_pattern AS again
FROM unnest(ARRAY[
    'web.view->store.purchase', 'email.open=>web.view', 'email.open -[ <=7days ]-> store.purchase',
    'chat.request -[> 5 min]-> chat.answer', 'web.add_to_cart -[!%.purchase]-> email.open',
    'web.add_to_cart -[!%.purchase for 1 day]-> $', 'phone.call -[<= 2 days, !%.resolve]-> phone.call',
    '(email.open | sms.click) -> web.% -> %.purchase[value >= 100]', 'web.view{3,} -> web.purchase',
    '(web.view -[<= 30 min]->)+ -> web.purchase', '(web.view =>){2,} => web.purchase', '^ ads.click -> %.purchase',
    '^ -[!email.%]-> %.purchase', '%.complaint $', 'all(web.view, store.visit, phone.call) -> %.purchase',
    'web.view -> web.add_to_cart -> web.purchase within 7 days', 'a.b? -> c.d* -> e.f', '%.%', 'x.y{,3} -> "q r"."s""t"%',
    'a.b -[>= 1.5h30min, < 2 w]-> c.d', 'a.b{1,1} -> c.d{0,1} -> e.f{0,} -> g.h{2}', '(a.b ->)+ -> all.b',
    'a.b =[<= 0.5 ms]=> c.d', 'a.b[value > 1.50, value <= 1e2] | c.d $ | ^ e.f', 'loja.reclamação -> "é".x%']) p;

-- errors
CREATE FUNCTION refused(input text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM input::journey_pattern;
    message := 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
\x on
SELECT input, r.* FROM unnest(ARRAY[
    '', 'web', 'web.', 'web.view store.visit', '(web.view', 'web.view)', 'web.view ->', '-> web.view', 'web.view -[]-> a.b',
    'web.view -[<= 7]-> a.b', 'web.view -[<= 1 month]-> a.b', 'web.view -[7 days]-> a.b', 'web.view -[<= 7 days]=> a.b',
    'web.view -[!a.b for 1 h]-> c.d', 'web.view -[<= 0.1 us]-> a.b', 'web.view -[<= 99999999999 days]-> a.b',
    'web.view[price > 1]', 'web.view[value ~ 1]', 'web.view{3,2}', 'web.view{0}', 'web.view{1001}', 'web.view?',
    'web.view? | store.visit', '(web.view | ^ store.visit)', '(web.view $)', 'all(web.view)', 'all(a.a, a.b, a.c, a.d, a.e, a.f, a.g)',
    '((a.b{10}){10}){11}', '(a.b?){500}', 'web.view within', 'web.view within 7 days x', '"web.view', 'web.' || repeat('x', 256)
]) input, refused(input) r;
\x off
DROP FUNCTION refused;
SELECT repeat('(', 100000)::journey_pattern;

-- meaning
CREATE TABLE j (id int, j journey);
INSERT INTO j VALUES
    (1, '{web.view@2026-03-01T10:00:00Z, email.open@2026-03-01T10:10:00Z, web.view@2026-03-01T10:20:00Z, web.add_to_cart@2026-03-01T10:21:00Z, store.purchase=120@2026-03-03T10:00:00Z, phone.call@2026-03-04T10:00:00Z, phone.call@2026-03-05T10:00:00Z}'),
    (2, '{}'), (3, NULL);
SELECT p, j ~ p::journey_pattern AS m, journey_path(journey_match(j, p::journey_pattern)) AS match,
       journey_match_count(j, p::journey_pattern) AS n, journey_reached(j, p::journey_pattern) AS r,
       journey_path(journey_progress(j, p::journey_pattern)) AS progress
FROM j, unnest(ARRAY[
    'web.view -> store.purchase', 'email.open => web.view', 'web.view => web.view', 'email.open -[<= 1 day]-> store.purchase',
    'email.open -[<= 3 days]-> store.purchase', 'email.open -[<= 10 min]-> web.view', 'email.open -[< 10 min]-> web.view',
    'web.add_to_cart -[!%.purchase for 1 day]-> $', 'web.add_to_cart -[!%.purchase for 3 days]-> $',
    'phone.call -[<= 2 days, !%.resolve]-> phone.call', 'web.view -[!email.%]-> web.add_to_cart',
    '(email.open | sms.click) -> web.% -> %.purchase[value >= 100]', '%.purchase[value > 120]',
    'web.view{2,} -> store.purchase', '(web.view -[<= 10 min]->){2} -> store.purchase', '^ -[!email.%]-> %.purchase',
    '^ web.view', '^ email.open', 'phone.call $', 'store.purchase $', 'all(web.view, store.purchase, email.open) -> phone.call',
    'web.view -> store.purchase within 2 days', 'web.view -> store.purchase within 1 day', '%',
    'web.view -> sms.click? -> store.purchase', 'web.view -> sms.click -> store.purchase', 'sms.click? -> email.open']) p
WHERE id = 1;
SELECT id, j ~ '%', '%'::journey_pattern ~ j, journey_match(j, '%'), journey_match_count(j, '%'), journey_reached(j, '%'), journey_progress(j, '%')
FROM j WHERE id > 1 ORDER BY id;
SELECT journey_match_all(j, 'web.view') FROM j;
SELECT journey_filter(j, 'web.%'), journey_filter(j, '%[value > 100]') FROM j WHERE id = 1;
SELECT journey_filter(j, 'web.view -> web.view') FROM j;
SELECT journey_matches(j, 'web.view'), journey_matches('web.view', j) FROM j WHERE id = 1;

-- a ban before $ looks ahead without disturbing what lies behind
SELECT journey_path(journey_match(j, 'w.b => e.c -[!w.b]-> %[value < 1] -[!w.b]-> $'), 'label')
FROM (SELECT '{w.b@2026-03-05T00:00:00Z, e.c@2026-03-05T00:00:01Z, e.c=0@2026-03-05T00:00:02Z, w.b=0@2026-03-05T00:00:03Z}'::journey j) s;

-- order, equality and hash are of the canonical text
SELECT 'a.b->c.d'::journey_pattern = 'a.b  ->  c.d', 'a.b'::journey_pattern <> 'a.c';
SELECT count(*) FROM (SELECT DISTINCT p::journey_pattern FROM unnest(ARRAY['a.b->c.d', 'a.b -> c.d', 'a.b{1}->c.d', 'a.c']) p) s;
SELECT p FROM unnest('{b.a,"a.b -> c.d",NULL,a.b,"a.é",a.z,"a.b{2}",%}'::journey_pattern[]) p ORDER BY p;
CREATE TABLE pat AS
SELECT n, p, dense_rank() OVER (ORDER BY p::text COLLATE "C") AS "rank"
FROM (SELECT n, format('a%s.b -[<= %s days]-> %s', n % 7, n % 5 + 1,
                       repeat('c.d -> ', n % 3 * 400 / 2) || 'é.z')::journey_pattern AS p
      FROM generate_series(1, 500) n) s;
INSERT INTO pat VALUES (501, NULL, 1000);
-- a total order: that of the ranks, whatever the operator, and so transitive
SELECT count(*), count(DISTINCT p) = max(a."rank") FILTER (WHERE n < 501) AS all_ranks FROM pat a;
SELECT a.n, b.n FROM pat a, pat b
WHERE a.n < 501 AND b.n < 501 AND (a.n * 7 + b.n) % 3 = 0
      AND (a.p < b.p, a.p <= b.p, a.p = b.p, a.p <> b.p, a.p >= b.p, a.p > b.p, sign(journey_pattern_cmp(a.p, b.p)))
          IS DISTINCT FROM (a."rank" < b."rank", a."rank" <= b."rank", a."rank" = b."rank", a."rank" <> b."rank",
                            a."rank" >= b."rank", a."rank" > b."rank", sign(a."rank" - b."rank"))
LIMIT 5;
SELECT n FROM (SELECT n, "rank", lag("rank") OVER (ORDER BY p) AS before FROM pat) s WHERE before > "rank";
-- hashes: equal for equals, else seldom; with seed 0 the long one ends in the short one; these must never change
SELECT "rank" FROM pat GROUP BY "rank"
HAVING count(DISTINCT journey_pattern_hash(p)) > 1 OR count(DISTINCT journey_pattern_hash_extended(p, 5)) > 1;
SELECT count(DISTINCT p) = count(DISTINCT journey_pattern_hash_extended(p, 5)) AS long,
       bool_and(journey_pattern_hash(p) = journey_pattern_hash_extended(p, 0)::bit(32)::int) AS low_bits,
       bool_or(journey_pattern_hash_extended(p, 0) = journey_pattern_hash_extended(p, 1)) AS unseeded FROM pat;
SELECT journey_pattern_hash('a.b -> c.d'), journey_pattern_hash_extended('loja.reclamação', 42);
-- sorted and hashed, joined and indexed, of values that are compressed, too
SET enable_hashagg = off;
SELECT count(*) FROM (SELECT DISTINCT p FROM pat) s;
RESET enable_hashagg;
SET enable_sort = off;
SELECT count(*) FROM (SELECT p FROM pat GROUP BY p) s;
RESET enable_sort;
SET enable_nestloop = off;
SET enable_hashjoin = off;
SET max_parallel_workers_per_gather = 0;
EXPLAIN (COSTS OFF) SELECT count(*) FROM pat a JOIN pat b USING (p);
RESET max_parallel_workers_per_gather;
SELECT count(*) = (SELECT count(*) FROM pat a JOIN pat b USING ("rank") WHERE a.n < 501) AS merged
FROM pat a JOIN pat b USING (p);
RESET enable_hashjoin;
SET enable_mergejoin = off;
SELECT count(*) = (SELECT count(*) FROM pat a JOIN pat b USING ("rank") WHERE a.n < 501) AS hashed
FROM pat a JOIN pat b USING (p);
RESET enable_mergejoin;
RESET enable_nestloop;
CREATE INDEX pat_p ON pat (p);
SET enable_seqscan = off;
SELECT count(*) FROM pat WHERE p = 'a3.b -[<= 4 days]-> é.z';
SELECT count(*) FROM pat WHERE p >= 'a3.b -[<= 4 days]-> é.z' AND p < 'a3.b -[<= 5 days]-> é.z' AND n % 3 = 0;
RESET enable_seqscan;
CREATE TABLE pat_part (p journey_pattern) PARTITION BY HASH (p);
CREATE TABLE pat_part_0 PARTITION OF pat_part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE pat_part_1 PARTITION OF pat_part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO pat_part SELECT p FROM pat;
SELECT count(*) FILTER (WHERE tableoid = 'pat_part_0'::regclass) BETWEEN 100 AND 400 AS spread, count(*) FROM pat_part;
DROP TABLE pat, pat_part;
-- every type of ours has an order, a hash and an equality, and no class is broken
SELECT t.typname, array_agg(a.amname ORDER BY amname) AS classes, bool_and(amvalidate(c.oid)) AS valid
FROM pg_type t JOIN pg_opclass c ON c.opcintype = t.oid AND c.opcdefault
     JOIN pg_am a ON a.oid = c.opcmethod AND a.amname IN ('btree', 'hash')
WHERE t.typname IN ('touchpoint', 'journey', 'journey_pattern', 'identifier') GROUP BY t.typname ORDER BY t.typname;

-- linear where others give up: no match in a long journey of near misses
SELECT j ~ '(a.a -[<= 10 s]->)+ -> b.b', j ~ 'a.a -> a.a -> a.a -> a.a -> b.b', journey_match_count(j, 'a.a -[<= 10 s]-> a.a')
FROM (SELECT journey_agg('2026-01-01 00:00Z'::timestamptz + make_interval(secs => i), CASE WHEN i = 0 THEN 'b' ELSE 'a' END, CASE WHEN i = 0 THEN 'b' ELSE 'a' END) j
      FROM generate_series(0, 100000) i) s;
DROP TABLE j;
