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

-- equality and hash are of the canonical text
SELECT 'a.b->c.d'::journey_pattern = 'a.b  ->  c.d', 'a.b'::journey_pattern <> 'a.c';
SELECT count(*) FROM (SELECT DISTINCT p::journey_pattern FROM unnest(ARRAY['a.b->c.d', 'a.b -> c.d', 'a.b{1}->c.d', 'a.c']) p) s;

-- linear where others give up: no match in a long journey of near misses
SELECT j ~ '(a.a -[<= 10 s]->)+ -> b.b', j ~ 'a.a -> a.a -> a.a -> a.a -> b.b', journey_match_count(j, 'a.a -[<= 10 s]-> a.a')
FROM (SELECT journey_agg('2026-01-01 00:00Z'::timestamptz + make_interval(secs => i), CASE WHEN i = 0 THEN 'b' ELSE 'a' END, CASE WHEN i = 0 THEN 'b' ELSE 'a' END) j
      FROM generate_series(0, 100000) i) s;
DROP TABLE j;
