-- Conversions, their paths, and credit: each rule by an example. What 230_attribution_property.pl proves at random is not
-- repeated here.
\pset null '(null)'
SET timezone = 'UTC';

-- Paths
CREATE FUNCTION paths(journey, conversion journey_pattern, touches journey_pattern DEFAULT '%',
                      lookback interval DEFAULT '30 days', reset boolean DEFAULT true, until timestamptz DEFAULT 'infinity')
RETURNS TABLE (conversion text, path text) LANGUAGE sql
AS $$
SELECT touchpoint_channel(c.conversion) || '.' || touchpoint_action(c.conversion), journey_path(c.path, 'label')::text
FROM journey_conversions($1, $2, $3, $4, $5, $6) c
$$;
CREATE TABLE j (id int PRIMARY KEY, journey journey);
INSERT INTO j VALUES
    (1, '{ads.click@2026-03-01T00:00:00Z, email.open@2026-03-08T00:00:00Z, web.purchase=100@2026-03-15T00:00:00Z,
          web.view@2026-03-16T00:00:00Z, web.purchase=-20@2026-03-20T00:00:00Z, app.view@2026-03-21T00:00:00Z}'),
    (2, '{web.purchase=7.5@2026-03-02T00:00:00Z}'),
    (3, '{ads.click@2026-03-03T00:00:00Z, social.view@2026-03-04T00:00:00Z}'),
    (4, '{ads.click@2026-03-05T00:00:00Z, ads.click@2026-03-05T01:00:00Z, web.view@2026-03-05T02:00:00Z,
          app.purchase@2026-03-06T00:00:00Z}'),
    (5, '{}'), (6, NULL);
SELECT id, p.* FROM j, paths(journey, '%.purchase') p ORDER BY id;
-- without reset, what was before another conversion counts again, and that itself
SELECT p.* FROM j, paths(journey, '%.purchase', reset => false) p WHERE id = 1;
-- the lookback is inclusive
SELECT p.* FROM j, paths(journey, '%.purchase', lookback => '7 days') p WHERE id = 1;
SELECT p.* FROM j, paths(journey, '%.purchase', lookback => '6 days 23:59:59.999999') p WHERE id = 1;
-- touches of several kinds; conversions by their value
SELECT p.* FROM j, paths(journey, '%.purchase[value > 0]', '(ads.% | %.view)') p WHERE id = 1;
-- a path without a conversion is decided when its last touch is as old as the lookback
SELECT until, p.* FROM j, (VALUES ('2026-04-03 00:00+00'::timestamptz), ('2026-04-02 23:59:59+00'), ('2026-03-01 00:00+00')) u (until),
       paths(journey, '%.purchase', until => u.until) p WHERE id = 3;
-- at one time it is the journey's order that counts; several conversions at one time
SELECT p.* FROM paths('{a.x@2026-03-01T00:00:00Z#1, web.purchase@2026-03-01T00:00:00Z#2, b.x@2026-03-01T00:00:00Z#3,
                        web.purchase@2026-03-01T00:00:00Z#4, web.purchase@2026-03-01T00:00:00Z#5}', '%.purchase') p;

-- Credit
CREATE TABLE a AS
SELECT attribution_agg(journey, '%.purchase', '%', '30 days', 'channel', '{"direct": ["web"], "paths": true}') AS a FROM j;
SELECT c.model, coalesce(c.item, '(no touch)') AS item, round(c.conversions::numeric, 9) AS conversions, round(c.value, 4) AS value
FROM a, attribution_credit(a) c;
SELECT c.model, c.item, round(c.conversions::numeric, 9) AS conversions, round(c.value, 9) AS value FROM a, attribution_credit(a, 'markov') c WHERE c.conversions > 1;
SELECT m.item, round(m.removal_effect::numeric, 9) AS removal_effect FROM a, attribution_markov(a) m;
SELECT p.item, p.place, round(p.conversions::numeric, 9) AS conversions, round(p.value, 4) AS value FROM a, attribution_places(a) p;
SELECT p.* FROM a, attribution_paths(a) p;
SELECT s.* FROM a, attribution_summary(a) s;
-- self-loops change no effect, nor does a transform that only drops repeats
SELECT bool_and(abs(x.removal_effect - y.removal_effect) < 1e-12)
FROM (SELECT attribution_agg(journey, '%.purchase', '%', '30 days', 'channel', '{"transform": "exposure"}') AS e FROM j) e, a,
     attribution_markov(e.e) x JOIN attribution_markov(a.a) y USING (item);
-- what would be if: as counted without changes, of order 1 whatever the chain's; ads, ads, web convert once, as do ads, email, and web; ads, social
-- and app do not
SELECT w.item, w.visits, w.conversions, round(w.changed_visits::numeric, 9) AS changed_visits, round(w.changed_conversions::numeric, 9) AS changed_conversions
FROM a, (VALUES ('{}'::jsonb), ('{"social": 0, "email": "web"}')) c (changes), flow_what_if(a, changes) w ORDER BY changes::text, w.item;
SELECT count(*) FROM a, flow_what_if(a, '{"ads": 0.5}') x JOIN (SELECT attribution_agg(journey, '%.purchase', '%', '30 days', 'channel', '{"order": 3}') AS a FROM j) b ON true
     JOIN LATERAL flow_what_if(b.a, '{"ads": 0.5}') y ON x IS NOT DISTINCT FROM y;
SELECT * FROM a, flow_what_if(a, '{"fax": 1}');
SELECT flow_what_if(attribution_agg(journey, '%.purchase', '%', '30 days', 'channel', '{"models": ["last"]}'), '{}') FROM j;
-- many who stay where they are
SELECT m.item, round(m.removal_effect::numeric, 12) AS removal_effect
FROM attribution_markov((SELECT attribution_agg(journey, 'c.x', '%', '30 days', 'channel') FROM
         (SELECT journey_agg('2026-03-01Z'::timestamptz + i * interval '1 ms', CASE WHEN i % 20000 = 0 THEN 'c' WHEN i % 20000 > 19990 AND i < 60000 THEN 'b' ELSE 'a' END, 'x')
          FROM generate_series(1, 80000) i) x(journey))) m;
-- a chain without a conversion, one with nothing but conversions, and no journey at all
SELECT m.* FROM attribution_markov((SELECT attribution_agg(journey, 'fax.%', '%', '30 days', 'channel') FROM j)) m;
SELECT c.* FROM attribution_credit((SELECT attribution_agg(journey, 'fax.%', '%', '30 days', 'channel') FROM j), 'markov') c;
-- more states than are factorised: half of the paths convert, half of what follows h is an item again, each as often
SELECT count(*) AS items, max(abs(m.removal_effect - CASE m.item WHEN 'h' THEN 1 ELSE 1 - 4199 / 4200.0 * 0.5 / (1 - 0.5 * 4199 / 4200.0) END)) < 1e-10 AS exact
FROM attribution_markov((SELECT attribution_agg(journey, '%.buy', '%.x', '30 days', 'channel', '{"models": ["markov"]}')
                         FROM (SELECT journey_agg('2026-03-01Z'::timestamptz + n * interval '1 min', CASE n WHEN 1 THEN 'l' || i WHEN 3 THEN 'l' || i % 4200 + 1 ELSE 'h' END,
                                                  CASE WHEN n = 5 THEN 'buy' ELSE 'x' END) AS journey
                               FROM generate_series(1, 4200) i, generate_series(1, 5) n WHERE n < 5 OR i % 2 = 0 GROUP BY i) p)) m;
-- values as large as there can be, and beyond
SELECT n, (attribution_summary((SELECT attribution_agg('{a.x@2026-03-01T00:00:00Z, b.buy=999999999999999999@2026-03-02T00:00:00Z}'::journey, '%.buy', '%', '30 days', 'channel') FROM generate_series(1, n)))).value
FROM unnest('{1,9}'::int[]) n;
SELECT attribution_agg('{a.x@2026-03-01T00:00:00Z, b.buy=-999999999999999999@2026-03-02T00:00:00Z}'::journey, '%.buy', '%', '30 days', 'channel') FROM generate_series(1, 10);
SELECT count(*) FROM attribution_credit((SELECT attribution_agg(journey, '%', 'fax.%', '30 days', 'channel') FROM j)) c WHERE c.item IS NOT NULL;
SELECT attribution_agg(journey, '%', '%', '30 days', 'channel') IS NULL FROM j WHERE false;
SELECT s.* FROM attribution_summary((SELECT attribution_agg(journey, '%', '%', '30 days', 'channel') FROM j WHERE id = 6)) s;
-- items
SELECT item, (SELECT string_agg(coalesce(c.item, '(no touch)'), ', ' ORDER BY c.item)
              FROM attribution_credit((SELECT attribution_agg(journey, '%.purchase', '%', '30 days', i.item) FROM j), 'first') c)
FROM unnest('{channel,label,action,detail}'::text[]) i (item);
-- transforms
SELECT t, p.path FROM unnest('{none,exposure,first,unique,frequency}'::text[]) t,
    attribution_paths((SELECT attribution_agg(x, 'web.purchase', '%', '30 days', 'channel', jsonb_build_object('transform', t, 'paths', true))
                       FROM (VALUES ('{a.x@2026-03-01T01:00:00Z, b.x@2026-03-01T02:00:00Z, b.x@2026-03-01T03:00:00Z, a.x@2026-03-01T04:00:00Z,
                                       web.purchase@2026-03-01T05:00:00Z}'::journey)) v (x))) p;
-- some models only, a range, and a state of days that is added up
SELECT c.model, c.item, round(c.conversions::numeric, 9) AS conversions, c.value
FROM attribution_credit((SELECT attribution_agg(journey, '%.purchase', '%', '30 days', 'channel',
    '{"models": ["linear", "first"], "since": "2026-03-06", "before": "2026-03-20"}') FROM j)) c;
CREATE TABLE daily AS
SELECT d, attribution_agg(journey, '%.purchase', '%', '30 days', 'channel', jsonb_build_object('since', d, 'before', d + 1, 'direct', '["web"]'::jsonb, 'paths', true)) AS a
FROM j, generate_series(0, 31) n, LATERAL (SELECT '2026-03-01'::date + n) s (d) GROUP BY d;
SELECT (SELECT attribution_agg(daily.a) FROM daily) = a.a AS days_make_the_whole FROM a;

-- Values
SELECT a::text FROM (SELECT attribution_agg(journey, '%.purchase', '%', '30 days', 'channel', '{"models": ["first", "markov"]}') FROM j WHERE id = 1) x (a);
SELECT a = a::text::attribution AS text, a = a::text::jsonb::text::attribution AS jsonb, pg_column_size(a) < 2000 AS small FROM a;
SELECT count(DISTINCT x) FROM (SELECT a AS x FROM a UNION ALL SELECT a FROM a) b;
SELECT attribution_agg(a) = (SELECT a FROM a) FROM (SELECT a FROM a UNION ALL SELECT NULL) x;
-- grouped, with a state for each
SELECT id, s.conversions FROM (SELECT id, attribution_agg(journey, '%.purchase', '%', '30 days', 'channel') AS a FROM j GROUP BY id) x,
    attribution_summary(a) s ORDER BY id;
-- blocks, among them an empty one
SELECT attribution_agg(b, '%.purchase', '%', '30 days', 'channel', '{"direct": ["web"], "paths": true}') = (SELECT a FROM a)
FROM (SELECT journey_block_agg(id, journey) FROM j WHERE journey IS NOT NULL UNION ALL VALUES ('{}'::journey_block), (NULL)) v (b);

-- Errors
CREATE FUNCTION refused_by(options jsonb) RETURNS text LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM attribution_agg(journey, '%.purchase', '%', '1 day', 'channel', options) FROM j;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
\set agg 'SELECT attribution_agg(journey, '
:agg 'web.view -> web.purchase', '%', '30 days', 'channel') FROM j;
:agg '^ -> web.purchase', '%', '30 days', 'channel') FROM j;
:agg '%.purchase', 'all(a.b, c.d)', '30 days', 'channel') FROM j;
:agg '%.purchase', '%', '0', 'channel') FROM j;
:agg '%.purchase', '%', '-1 day', 'channel') FROM j;
:agg '%.purchase', '%', NULL, 'channel') FROM j;
:agg '%.purchase', '%', '1 day', 'page') FROM j;
:agg NULL, '%', '1 day', 'channel') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"decay": 1}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '[1]') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"order": 5}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"order": 0}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"order": 1.5}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"half_life": "0 days"}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"half_life": 7}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"position": [0.4, 0.2, 0.3]}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"position": [1.5, -1, 0.5]}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"position": [1]}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"reset": "no"}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"until": 7}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"since": "2026-02-01", "before": "2026-01-01"}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"transform": "last"}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"direct": "web"}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"models": ["u_shape"]}') FROM j;
:agg '%.purchase', '%', '1 day', 'channel', '{"models": []}') FROM j;
SELECT c.* FROM a, attribution_credit(a, 'u_shape') c;
SELECT c.* FROM attribution_credit((SELECT attribution_agg(journey, '%.purchase', '%', '1 day', 'channel', '{"models": ["first"]}') FROM j), 'last') c;
SELECT m.* FROM attribution_markov((SELECT attribution_agg(journey, '%.purchase', '%', '1 day', 'channel', '{"models": ["first"]}') FROM j)) m;
SELECT p.* FROM attribution_paths((SELECT attribution_agg(journey, '%.purchase', '%', '1 day', 'channel') FROM j)) p;
SELECT * FROM journey_conversions('{}', '%.a -> %.b');
SELECT * FROM journey_conversions('{}', '%.a', lookback => '0');
SELECT refused_by('{"order": 9}'), refused_by('{"decay": 1}');
-- all rows of a group ask the same
SELECT attribution_agg(journey, '%.purchase', '%', id * interval '1 day', 'channel') FROM j WHERE id < 3;
SELECT attribution_agg(journey, '%.purchase', '%', '1 day', 'channel', jsonb_build_object('order', id)) FROM j WHERE id < 3;
-- values of other questions do not add up
CREATE FUNCTION differing(options jsonb, conversion text DEFAULT '%.purchase', touches text DEFAULT '%', lookback text DEFAULT '1 day',
                          item text DEFAULT 'channel') RETURNS text LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM attribution_agg(x.a) FROM (
        SELECT attribution_agg(journey, '%.purchase', '%', '1 day', 'channel', '{}') AS a FROM j
        UNION ALL
        SELECT attribution_agg(journey, conversion::journey_pattern, touches::journey_pattern, lookback::interval, item, options) FROM j) x;
    RETURN 'added up';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT differing('{}'), differing('{"since": "2026-03-01"}');
SELECT differing('{}', conversion => '%.view') UNION ALL SELECT differing('{}', touches => 'web.%')
UNION ALL SELECT differing('{}', lookback => '2 days') UNION ALL SELECT differing('{}', item => 'label');
SELECT differing(o) FROM unnest(ARRAY['{"order": 2}', '{"half_life": "1 day"}', '{"position": [0.5, 0, 0.5]}', '{"reset": false}',
    '{"until": "2026-04-01"}', '{"transform": "first"}', '{"direct": ["web"]}', '{"models": ["first"]}', '{"paths": true}']::jsonb[]) o;

-- Text from elsewhere is checked
CREATE FUNCTION refusal(text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
    detail text;
BEGIN
    PERFORM $1::attribution;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || detail;
END $$;
SELECT refusal(a::text) FROM a;
SELECT refusal('{}') UNION ALL SELECT refusal('[]') UNION ALL SELECT refusal('7');
SELECT what, refusal(jsonb_set(a::text::jsonb, path::text[], new::jsonb)::text)
FROM a, (VALUES ('more conversions', '{conversions}', '9'), ('negative', '{conversions}', '-1'), ('a fraction', '{conversions}', '1.5'),
                ('huge', '{conversions}', '1e30'), ('another value', '{value}', '1'), ('no number', '{value}', '"1"'), ('too exact', '{value}', '1e-19'),
                ('an item twice', '{items,1,item}', '"ads"'), ('other credit', '{items,0,first,conversions}', '7'), ('no list', '{items}', '{}'),
                ('negative credit', '{items,0,linear,conversions}', '-1'), ('too many items', '{items}', '[]'),
                ('a false place', '{places,0,place}', '9'), ('no such item', '{places,0,item}', '99'),
                ('a transition more', '{transitions,0,times}', '30'), ('from nowhere', '{transitions,0,from}', '[0]'), ('long', '{transitions,0,from}', '[0, 0]'),
                ('no transition', '{transitions,0,times}', '0'), ('a path more', '{paths,0,conversions}', '5'), ('behind itself', '{paths,0,behind}', '1'),
                ('order', '{parameters,order}', '0'), ('half_life', '{parameters,half_life}', '0'), ('weights', '{parameters,position}', '[1, 1, 1]'),
                ('model', '{parameters,models}', '["u_shape"]'), ('a model twice', '{parameters,models}', '["first", "first"]'),
                ('pattern', '{parameters,conversion}', '"a ->"'), ('steps', '{parameters,touches}', '"a.b -> c.d"'),
                ('another key', '{more}', '1'), ('time', '{parameters,until}', '"soon"')) v (what, path, new);
SELECT key, refusal((a::text::jsonb - key)::text) FROM a, jsonb_object_keys(a::text::jsonb) key ORDER BY key;
DROP FUNCTION paths(journey, journey_pattern, journey_pattern, interval, boolean, timestamptz), refused_by, differing, refusal;
DROP TABLE j, a, daily;
