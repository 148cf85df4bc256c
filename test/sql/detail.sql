-- The third part of a label, channel.action.detail: through the types, the format, patterns and indexes.
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;  -- plans are printed
SET jit = off;  -- which enable_seqscan = off would call in

-- ---- text, accessors, JSON: an empty detail is none ----

SELECT t::touchpoint, touchpoint_detail(t::touchpoint), touchpoint_label(t::touchpoint), t::touchpoint::json
FROM (VALUES ('whatsapp.message.in@2026-03-01T10:00:00Z'), ('email.open."spring sale"=2@2026-03-01T10:00:00Z#7'), ('web.view.""@2026-03-01T10:00:00Z'),
             ('web.view."2024"@2026-03-01T10:00:00Z'), ('a."b.c"."d ""e"""@2026-03-01T10:00:00Z'), ('loja.olhar.sofás=1@2026-03-01T10:00:00Z')) v(t);
\set VERBOSITY terse
SELECT 'web.view.@2026-03-01T10:00:00Z'::touchpoint;
SELECT 'web.view.1@2026-03-01T10:00:00Z'::touchpoint;
SELECT 'web.view.a.b@2026-03-01T10:00:00Z'::touchpoint;
SELECT touchpoint('2026-03-01', 'a', 'b', detail => repeat('x', 256));
\set VERBOSITY default
SELECT 'web.view.a.b@2026-03-01T10:00:00Z'::touchpoint;
SELECT touchpoint('2026-03-01', 'a', 'b', 1, 2, 'c'), touchpoint('2026-03-01', 'a', 'b', detail => 'c'), touchpoint('2026-03-01', 'a', 'b', detail => ''),
       length(touchpoint_detail(touchpoint('2026-03-01', 'a', 'b', detail => repeat('x', 255)))) AS longest, touchpoint(NULL, NULL, NULL, detail => 'c') AS nothing;

-- ---- order, equality, hash ----

SELECT string_agg(t::text, E'\n' ORDER BY t)
FROM unnest(ARRAY['a.b.in=1', 'a.b.in', 'a.b=5', 'a.b', 'a.b.out', 'a.b.i', 'a.c', 'a.b."in "', 'a.a.z']) p, LATERAL (SELECT (p || '@2026-03-01T10:00:00Z')::touchpoint AS t) t;
SELECT 'a.b.c@2026-03-01T10:00:00Z'::touchpoint = 'a.b@2026-03-01T10:00:00Z' AS same, 'a.b.""@2026-03-01T10:00:00Z'::touchpoint = 'a.b@2026-03-01T10:00:00Z' AS empty,
       'a.b.c@2026-03-01T10:00:00Z'::touchpoint < 'a.b.c@2026-03-01T10:00:00Z#1' AS ref_first;
-- for ever: with a detail, and as it was before there were any
SELECT j, journey_hash(j), journey_hash_extended(j, 0), journey_hash_extended(j, 1)
FROM unnest('{"{}", "{a.b@2026-03-01T10:00:00Z}", "{a.b.in@2026-03-01T10:00:00Z}", "{a.b.c=1.5@2026-03-01T10:00:00Z#4, a.b@2026-03-01T11:00:00Z}"}'::journey[]) j;

-- ---- the packed format: sets of details, and lists of others ----

CREATE CAST (journey AS bytea) WITHOUT FUNCTION;
SELECT what, encode(j::bytea, 'hex') AS bytes, length(j::bytea) FROM (VALUES
    ('none', '{chat.message@2026-03-01T00:00:00Z, phone.call@2026-03-01T00:00:00Z, web.view@2026-03-01T00:00:00Z}'::journey),
    ('one', '{chat.message.in@2026-03-01T00:00:00Z, phone.call@2026-03-01T00:00:00Z, web.view@2026-03-01T00:00:00Z}'),
    ('sets', '{chat.message@2026-03-01T00:00:00Z, chat.message.bot@2026-03-01T00:00:00Z, chat.message.in@2026-03-01T00:00:00Z, chat.message.out@2026-03-01T00:00:00Z, web.view.out@2026-03-01T00:00:00Z}'),
    ('lists', '{app.view.sofas@2026-03-01T00:00:00Z, app.view.in@2026-03-01T00:00:00Z, app.view@2026-03-01T00:00:00Z, app.view.search@2026-03-01T00:00:00Z, web.view.sofas@2026-03-01T00:00:00Z, web.open.in@2026-03-01T00:00:00Z}')
) v(what, j);
-- a thousand touchpoints of fifty customers: bytes each, and what in and out add to them
SELECT round(avg(length(none)) / 20, 2) AS none, round(avg(length(spoken) - length(none)) / 20, 2) < 0.2 AS little
FROM (SELECT journey_agg(at, channel, 'message')::bytea AS none, journey_agg(at, channel, 'message', NULL, NULL, detail)::bytea AS spoken
      FROM (SELECT i % 50 AS c, '2026-03-01 00:00Z'::timestamptz + i * 977 * interval '1 s' AS at,
                   (ARRAY['web', 'app', 'chat', 'email', 'phone'])[1 + (hashint4(i) & 1023) % 5] AS channel, (ARRAY['in', 'out'])[1 + (hashint4(i + 1) & 1)] AS detail
            FROM generate_series(1, 1000) i) t GROUP BY c) j;
DROP CAST (journey AS bytea);

-- ---- journeys ----

CREATE TABLE j AS SELECT '{whatsapp.message.in@2026-03-01T10:00:00Z, whatsapp.message.bot@2026-03-01T10:00:05Z, web.view.sofas@2026-03-01T10:20:00Z,
    web.view."a lamp"@2026-03-01T10:30:00Z, phone.call.in@2026-03-01T10:50:00Z, phone.call.in@2026-03-01T11:10:00Z, store.purchase=120@2026-03-02T09:00:00Z}'::journey AS j;
SELECT journey_channels(j), journey_actions(j), journey_details(j), journey_labels(j), journey_path(j), journey_path(j, 'detail') AS details,
       journey_path(j, 'detail', true) AS collapsed, journey_details('{}') AS nothing FROM j \gx
SELECT position, channel, action, detail FROM j, journey_steps(j);
SELECT touchpoint_detail(j[2]), j[3:4], journey_slice(j, '[2026-03-01 10:30Z,2026-03-01 11:00Z]'), j || 'a.b.c@2026-03-03T00:00:00Z'::touchpoint FROM j \gx
SELECT state, stays, time_spent FROM j, journey_time_in(j, 'detail');
SELECT state, stays FROM j, journey_time_in(j, 'label');
SELECT journey_agg(at, 'a', 'b', NULL, NULL, d), journey_agg(touchpoint(at, 'a', 'b', detail => d)), journey_agg(at, 'a', 'b')
FROM (VALUES ('2026-03-01'::timestamptz, 'out'), ('2026-03-01', NULL), ('2026-03-01', ''), ('2026-03-01', 'in')) v(at, d);
SELECT journey_path(j, 'kind') FROM j;

-- ---- patterns ----

-- canonical: what matches any detail is not written
SELECT p, p::journey_pattern, p::journey_pattern::text::journey_pattern = p::journey_pattern AS again
FROM unnest(ARRAY['a.b.c', '%.%.out', 'web.view.sof%', 'a.b.%', '%.%.%', 'a.%.%', 'a.b.""', 'a.b."x y"%[value > 1]', 'all(a.b.in, a.b)', 'a.b -[!%.%.out for 1 h]-> $',
                  'a.b.c->d.e.f', 'a.b.c-d -> e.f', 'a.b[value != 1.50]', 'a.b[value<>1, value < 2]']) p;
CREATE FUNCTION refused(input text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM input::journey_pattern;
    message := 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
SELECT input, r.state, r.message, r.detail FROM unnest(ARRAY['a.b.', 'a.b.c.d', 'a.b.1', 'a.b. c', 'a.b.c%d', '%.', 'a.b.' || repeat('x', 256),
    'a.b -[<> 1 s]-> c.d', 'a.b -[!= 1 s]-> c.d', 'a.b[value ! 1]', 'a.b[value <>]']) input, refused(input) r \gx
DROP FUNCTION refused;

SELECT p, j ~ p::journey_pattern AS m, journey_path(journey_match(j, p::journey_pattern)) AS match, journey_match_count(j, p::journey_pattern) AS n,
       journey_reached(j, p::journey_pattern) AS r
FROM j, unnest(ARRAY['web.view', 'web.view.sofas', 'web.view.sof%', 'web.view.%', 'web.view.""', 'store.purchase.""', '%.%.in', '%.%.""', '%.%.out', 'phone.%.in', '%.call.in%',
    'whatsapp.message.in => whatsapp.message.bot -[<= 1 h, !%.%.out]-> phone.%.in', 'whatsapp.message.in -[!%.%.bot]-> phone.call', 'phone.call.in -[!%.%.out for 1 h]-> $',
    'whatsapp.message.in -[!%.%.bot for 1 h]-> $', 'all(web.view.sofas, phone.call, whatsapp.message.bot)', 'all(phone.call.in, phone.call)', 'all(web.view.sofas, web.view.sofas)',
    'web.view.sofas | web.view.beds', '(web.view."a lamp" | web.view.beds) -> phone.call', '%.%.in{3}', '(%.%.in -> %.%.""?)+ -> store.purchase', 'web.view within 10 min',
    '%[value <> 120]', '%[value <> 100]', '%[value != 100, value > 1]', 'web.view[value <> 1]']) p;
SELECT journey_filter(j, '%.%.in'), journey_path(journey_progress(j, 'whatsapp.message.in -> whatsapp.message.out')) AS progress,
       touchpoint_detail(journey_item(j, '%.%.in -> web.view', 2)) AS item, (SELECT array_agg(journey_path(s, 'detail')::text) FROM journey_split(j, '%.view.sofas') s) AS split,
       (SELECT array_agg(journey_path(m, 'detail')::text) FROM journey_match_all(j, '%.%.in') m) AS all FROM j \gx
SELECT step, label, reached FROM (SELECT journey_funnel_agg(j, 'whatsapp.message.in -> %.%.bot -> phone.call.in | web.view.sofas') AS s FROM j) f, unnest(s);
SELECT cohort, bracket FROM j, journey_retention(j, '%.%.bot', 'store.%', 'day', 'UTC');
SELECT period, state FROM j, journey_lifecycle(j, '%.%.in', 'day', 'UTC');

-- equal times without a reference: in the order of channel, action, detail and value, not as they came
SELECT x, x ~ 'web.view -> web.order' AS view_first, x ~ 'web.order -> web.view' AS order_first, x ~ 'web.view -[> 0 s]-> web.order' AS later, x ~ 'web.order =[= 0 s]=> web.view' AS at_once
FROM unnest('{"{web.view@2026-03-01T10:00:00Z, web.order@2026-03-01T10:00:00Z}", "{web.view@2026-03-01T10:00:00Z#1, web.order@2026-03-01T10:00:00Z#2}"}'::journey[]) x;

-- ---- indexes ----

CREATE TABLE visits AS
SELECT c AS customer, journey_agg('2026-01-01 00:00Z'::timestamptz + (h & 1023) * interval '1 hour' + (h >> 10 & 63) * interval '5 s',
        (ARRAY['web', 'app', 'chat', 'phone'])[1 + (h >> 16 & 3)], (ARRAY['view', 'message', 'call'])[1 + (h >> 22 & 63) % 3], NULL, NULL,
        CASE WHEN c % 500 = 7 AND i = 1 THEN 'sofas' ELSE (ARRAY['in', 'out', NULL, 'd' || (h >> 34 & 7)])[1 + (h >> 30 & 3)] END) AS journey
FROM generate_series(1, 5000) c, generate_series(1, 1 + (hashint4extended(c, 1) & 7)::int) i, hashint8extended(c * 1000 + i, 2) h GROUP BY c;
INSERT INTO visits VALUES (0, '{}'), (-1, NULL);
CREATE TABLE pattern (pattern text);
INSERT INTO pattern VALUES ('web.view'), ('web.view.in'), ('web.view.sofas'), ('%.%.sofas'), ('%.view.sofas'), ('web.%.sofas'), ('web.view.sof%'), ('%.%.sof%'), ('web.view.""'), ('%.%.""'),
    ('%.%.in -> %.%.out -> %.%.""'), ('web.view.in -[<= 1 day]-> web.call.out'), ('web.view -[<= 1 day]-> web.call.out'), ('chat.message.in -[<= 1 h, !%.%.out]-> phone.call'),
    ('chat.message.in | %.%.sofas'), ('all(web.view.in, web.view.out, app.call)'), ('%.%.d1 => %.%.d2'), ('^ %.%.in -[!%.%.out]-> $'), ('web.view.in? -> %.%.sofas'), ('no.such.in'), ('web.view.no_such');
CREATE INDEX visits_gin ON visits USING gin (journey);
VACUUM ANALYZE visits;
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey ~ 'web.view.sofas';
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey ~ '%.%.sofas';
-- rows that are read by the index, and what the planner expects of them
CREATE FUNCTION by_index(pattern text, OUT candidates int, OUT matches int, OUT expected int) LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE format('EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) SELECT FROM visits WHERE journey ~ %L', pattern) INTO plan;
    plan := plan->0->'Plan';
    matches := (plan->>'Actual Rows')::numeric;  -- with decimals since 18
    candidates := matches + coalesce((plan->>'Rows Removed by Index Recheck')::int, (plan->>'Rows Removed by Filter')::int, 0);
    expected := plan->'Plan Rows';
END $$;
CREATE TABLE found AS SELECT pattern, count(*) AS n, sum(customer) AS customers FROM pattern, visits WHERE journey ~ pattern::journey_pattern GROUP BY pattern;
SET enable_seqscan = off;
SELECT pattern, candidates, matches, expected BETWEEN matches / 2 - 10 AND matches * 2 + 100 AS foreseen FROM pattern, by_index(pattern) ORDER BY pattern COLLATE "C";
CREATE FUNCTION differing() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    p text;
    differs boolean;
BEGIN
    FOR p IN SELECT pattern FROM pattern LOOP
        EXECUTE format('SELECT (count(*), sum(customer)) IS DISTINCT FROM (SELECT (coalesce(max(n), 0), max(customers)) FROM found WHERE pattern = %L) FROM visits WHERE journey ~ %1$L', p)
        INTO differs;
        IF differs THEN RETURN NEXT p; END IF;
    END LOOP;
END $$;
SELECT differing();
DROP INDEX visits_gin;
CREATE INDEX visits_short ON visits USING gin (journey journey_ops (horizon = '0'));
SELECT differing();
DROP INDEX visits_short;
CREATE INDEX visits_gist ON visits USING gist (journey);
EXPLAIN (COSTS OFF) SELECT customer FROM visits WHERE journey ~ 'web.view.sofas';
SELECT differing();
RESET enable_seqscan;
DROP TABLE j, visits, pattern, found;
DROP FUNCTION by_index, differing;
