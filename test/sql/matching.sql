-- Matching in a hub: records, blocks, models, pairs, evidence, review
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT journey_create_hub('crm');
SET search_path = crm, public;

-- in C: values that keep apart, several of a node among them, and links that speak against
SELECT match_choose('{1,2,3}', '{2,3,4}', '{5,4,3}', 3, '{1,3}', '{1,1}', '{10,20}') AS conflict,
       match_choose('{1,2,3}', '{2,3,4}', '{5,4,3}', 3, '{1,3}', '{1,2}', '{10,20}') AS none,
       match_choose('{1,2}', '{2,3}', '{5,4}', 2, '{1,1,3}', '{1,1,1}', '{10,20,10}') AS several,
       match_choose('{1,2,1}', '{2,3,3}', '{5,4,-9}', 2, '{}', '{}', '{}') AS against,
       match_choose('{1,2,1}', '{2,3,3}', '{5,4,-4}', 2, '{}', '{}', '{}') AS even,
       match_choose('{1,1}', '{1,2}', '{5,5}', 0, '{}', '{}', '{}') AS tries_none, match_choose('{}', '{}', '{}', 1, '{1}', '{1}', '{1}') AS nothing;
SELECT match_choose('{1}', '{2,3}', '{5}', 1, '{}', '{}', '{}');
SELECT match_choose('{1}', '{2}', '{5}', 1, '{1}', '{0}', '{1}');
SELECT match_choose('{1}', '{NULL}', '{5}', 1, '{}', '{}', '{}');
-- two comparisons of two levels; in block 2 the first says nothing
SELECT array(SELECT round(x::numeric, 3) FROM unnest(match_fit('{0,0,1,1,2,2}', ARRAY[match_levels(0::int2, 0::int2), match_levels(0::int2, 1::int2), match_levels(1::int2, 1::int2), match_levels(0::int2, 0::int2),
           match_levels(1::int2, 1::int2), match_levels(1::int2, 0::int2)], '{9900,100,90,10,90,10}', '{1}', '{1,1}', 10000)) x) AS fitted;
-- what is known of pairs, -1: of one person, -2: of two, moves what their levels say, both ways; the odds of such pairs, in bits
SELECT known, round((log(f[1] / (1 - f[1])) + log(f[3] / f[7]) + log(f[4] / f[8])) / log(2.0))::int AS bits,
       round((f[2] + f[3])::numeric, 9) = 1 AS whole
FROM (VALUES (NULL::int, 0), (-1, 1), (-1, 10), (-2, 1), (-2, 10)) k(known, pairs),
     LATERAL (SELECT match_fit(ARRAY[0,0,1,1,2,2] || CASE WHEN pairs > 0 THEN ARRAY[known] ELSE '{}' END, ARRAY[match_levels(0::int2, 0::int2), match_levels(0::int2, 1::int2), match_levels(1::int2, 1::int2), match_levels(0::int2, 0::int2),
                                     match_levels(1::int2, 1::int2), match_levels(1::int2, 0::int2)] || CASE WHEN pairs > 0 THEN ARRAY[match_levels(1::int2, 0::int2)] ELSE '{}' END, ARRAY[9900,100,90,10,90,10]::float8[] || CASE WHEN pairs > 0 THEN ARRAY[pairs::float8] ELSE '{}' END, '{1}', '{1,1}', 10000) AS f) m;
-- how often two of one person are taken to disagree counts where records are few; here all do, in the second comparison
SELECT n, round(f[4]::numeric, 1) AS m
FROM (VALUES (100::float8), (1000000)) v(n),
     LATERAL (SELECT match_fit('{0,1,2}', ARRAY[match_levels(0::int2, 0::int2), match_levels(1::int2, 0::int2), match_levels(1::int2, 0::int2)], ARRAY[n * 100, 100, 100], '{0}', '{1,1}',
                               n * n / 2, '{0.05,0.05}') AS f) g;
SELECT match_fit('{0}', '{1}', '{1}', '{}', '{1}', 1, '{1}');
-- however many pairs there are that should not be
SELECT 'NaN' = ANY (match_fit('{0,0,2,2,1,1,-2}', ARRAY[match_levels(0::int2, 0::int2), match_levels(1::int2, 0::int2), match_levels(0::int2, 1::int2), match_levels(1::int2, 1::int2),
           match_levels(0::int2, 1::int2), match_levels(1::int2, 1::int2), match_levels(1::int2, 1::int2)], '{9900,100,10,900,10,900,1e6}', '{2}', '{1,1}', 10000)) AS lost;
SELECT match_fit('{-3}', '{1}', '{1}', '{}', '{1}', 1);
SELECT match_fit('{0}', '{1}', '{1}', '{}', '{15}', 1);
SELECT match_fit('{0}', '{4}', '{1}', '{}', '{1}', 1);
SELECT match_fit('{2}', '{1}', '{1}', '{}', '{1}', 1);
SELECT match_fit('{0}', '{1}', '{-1}', '{}', '{1}', 1);
SELECT match_fit('{0}', '{1}', '{1}', '{}', '{1}', 0);
SELECT match_fit('{}', '{}', '{}', '{}', array_fill(1, ARRAY[17]), 1);

-- records packed, and compared in groups: each pair in its first group, of two people, one new
CREATE FUNCTION public.packed(record bigint, groups bigint[], name text, born text, person bigint DEFAULT NULL, is_new boolean DEFAULT true, bits float8 DEFAULT NULL)
RETURNS bytea LANGUAGE sql RETURN public.match_record(record, coalesce(person, record), is_new, groups, ARRAY[name, born], ARRAY[bits, NULL], '[["name"], ["date", 4, 1]]');
SELECT a, b, rule, array(SELECT match_level_at(levels, n) FROM generate_series(1, 2) n) AS levels, score, compared
FROM match_compare(ARRAY[(7::bigint << 32) + 1, (7::bigint << 32) + 1, (9::bigint << 32) + 5, (9::bigint << 32) + 5, (9::bigint << 32) + 5, (9::bigint << 32) + 5],
                   ARRAY[packed(2, '{30064771073,38654705669}', 'Ana Silva', '1980-01-02', bits => 2), packed(1, '{30064771073,38654705669}', 'SILVA, Ana', '1980-02-01', bits => 0.5),
                         packed(2, '{30064771073,38654705669}', 'Ana Silva', '1980-01-02', bits => 2), packed(1, '{30064771073,38654705669}', 'SILVA, Ana', '1980-02-01', bits => 0.5),
                         packed(3, '{38654705669}', 'Ana Silva', NULL, bits => 1.5), packed(4, '{38654705669}', 'Rui', '', person => 3, is_new => false)],
                   '[["name"], ["date", 4, 1]]', NULL, '{-9,0,1,2,3,4,5,6,0,1,2}', -9);
SELECT match_compare('{1,1}', ARRAY[packed(1, '{1}', 'a', NULL, is_new => false), packed(2, '{1}', 'a', NULL, is_new => false)], '[["name"], ["date", 4, 1]]', NULL, '{0,0,1,2,3,4,5,6,0,1,2}', 0);
SELECT match_compare('{1,1}', ARRAY[packed(1, '{1}', 'a', NULL), packed(2, '{1}', 'b', NULL)], '[["name"], ["date", 4, 1]]', NULL, '{0,0,1}', 0);
SELECT match_compare('{1,1}', ARRAY[packed(1, '{1}', 'a', NULL), packed(2, '{1}', 'b', NULL)], '[["name"]]', NULL, '{0,0,1,2,3,4,5,6}', 0);
SELECT match_compare('{1,1}', ARRAY[packed(1, '{1}', 'a', NULL), '\x00'], '[["name"], ["date", 4, 1]]', NULL, '{0,0,1,2,3,4,5,6,0,1,2}', 0);
SELECT match_compare('{1}', '{}', '[["name"]]', NULL, '{0,0,1,2,3,4,5,6}', 0);
SELECT match_compare(NULL, '{}', '[["name"]]', NULL, '{0}', 0);
SELECT match_record(1, 1, true, '{2,1}', '{}', '{}', '[]');
SELECT match_record(1, 1, true, '{}', '{a}', '{}', '[["name"]]');
SELECT match_record(1, 1, true, '{}', '{}', '{}', c::jsonb) FROM unnest('{"[[]]","[[1]]","[\"name\"]","{}","\"name\"","[[\"soundex\"]]","[[\"osa\", 1, \"x\"]]"}'::text[]) c;
SELECT match_record(1, 1, true, '{}', '{}', '{}', '[[1]]');
SELECT match_record(1, 1, true, '{}', '{}', '{}', '[["soundex"]]');
SELECT match_record(1, 1, true, '{}', '{}', '{}', '[["osa", 0]]');
SELECT match_record(1, 1, true, '{}', '{}', '{}', (SELECT jsonb_agg('["exact"]'::jsonb) FROM generate_series(1, 17)));
SELECT match_record(1, 1, true, '{}', '{}', '{}', (SELECT jsonb_build_array('["jaro_winkler"]'::jsonb || jsonb_agg(0.5 + n / 100.0)) FROM generate_series(1, 14) n));
SELECT rule, levels, pairs
FROM match_patterns(ARRAY[1::bigint << 33, 1::bigint << 33], ARRAY[packed(1, ARRAY[1::bigint << 33], 'Ana', NULL), packed(2, ARRAY[1::bigint << 33], 'Ana', NULL)],
                    '[["name"], ["date", 4, 1]]', NULL) ORDER BY 1;
SELECT p.*
FROM (SELECT array_agg(6 - n) AS places, array_agg(packed(n, '{}', CASE WHEN n < 3 THEN 'Ana' ELSE 'Rui' END, NULL)) AS records FROM generate_series(1, 5) n) r,
     match_patterns_near(r.places, r.records, 2, '[["name"], ["date", 4, 1]]', NULL) p ORDER BY levels;
SELECT * FROM match_patterns_near('{1}', ARRAY[packed(1, '{}', 'Ana', NULL)], 2, '[["name"], ["date", 4, 1]]', NULL);
SELECT * FROM match_patterns_near('{1}', '{NULL}', 2, '[["name"], ["date", 4, 1]]', NULL);
SELECT * FROM match_patterns_near('{}', '{}', 0, '[["name"]]', NULL);
SELECT * FROM match_patterns('{}', '{}', NULL, NULL);
DROP FUNCTION public.packed(bigint, bigint[], text, text, bigint, boolean, float8);
-- keys of blocks
SELECT block, replace(key, chr(31), '|') AS key
FROM match_block_keys('{"name": " Luís d''Ávila  Gonçalves ", "born": "born 12/1980-03-041975", "phone": "+351 912", "email": "ana@x@y", "n": 12.50, "yes": true, "list": [1, 2], "none": null, "blank": " "}',
       '[[1, "name"], [2, "words(name)"], [3, "left(name, 4)", "right(name,3)"], [4, "year(born)"], [5, "digits( phone )"], [6, "local_part(email)"], [7, "phonetic_pt(words(name))", "n"],
         [8, "yes"], [9, "list"], [10, "none"], [11, "blank"], [12, "n", "blank"], [13, "absent"], [14, "left(phonetic_es(name), 2)"], [15, "right(digits(phone), 9)"]]');
SELECT * FROM match_block_keys('[]', '[[1, "name"]]');
SELECT * FROM match_block_keys('{}', '[[1, "left(name)"]]');
SELECT * FROM match_block_keys('{}', '[[1]]');

-- what is refused before anything is there
SELECT train_matches();
SELECT set_match('name', '{name}', 'name pt');
SELECT train_matches();
SELECT find_matches();
SELECT * FROM accept_matches();
SELECT retract_model('none');
SELECT * FROM match_of('{"name": "Ana"}');
SELECT set_match(NULL, '{name}');
SELECT set_match('x', '{}');
SELECT set_match('x', '{x}', 'soundex');
SELECT set_match('x', '{x}', 'jaro_winkler 2');
SELECT set_block('{}');
SELECT set_block('{lower(name)}');
SELECT set_block('{left(name)}');
SELECT set_block(ARRAY['left(name, 0)']);
SELECT set_block(ARRAY['words(left(name, 2))']);
SELECT set_block(ARRAY['left(name,' || chr(8195) || '3)']);  -- no blank
SELECT set_block(ARRAY['left(name, 3'')); DROP TABLE evidence; --)']);
SELECT set_block('{name}', 1);
SELECT set_conflict();
SELECT set_conflict('{NULL}');

-- 240 people with a second record each, and errors in it
CREATE TABLE public.people (id int PRIMARY KEY, person int, name text, born date, phone text, email text, city text);
INSERT INTO public.people
SELECT n, p, CASE WHEN n <= 240 THEN v.given || ' ' || v.family WHEN p % 4 = 0 THEN v.family || ', ' || v.given
                  WHEN p % 4 = 1 THEN left(v.given, 1) || '. ' || v.family WHEN p % 4 = 2 THEN v.given || ' da ' || overlay(v.family PLACING 'x' FROM 3 FOR 1)
                  ELSE v.given || ' ' || v.family END,
       CASE WHEN n > 240 AND p % 5 = 0 THEN NULL ELSE date '1950-01-01' + p * 97 END,
       CASE WHEN n > 240 AND p % 3 = 0 THEN NULL ELSE '+3519' || 10000000 + p * 7919 END,
       CASE WHEN n > 240 AND p % 2 = 0 THEN NULL ELSE lower(v.given) || p || '@example.pt' END, (ARRAY['Porto', 'Lisboa', 'Faro'])[1 + p % 3]
FROM generate_series(1, 480) n, LATERAL (SELECT 1 + (n - 1) % 240 AS p) q,
     LATERAL (SELECT (ARRAY['Ana', 'Rui', 'Marta', 'Diogo', 'Sofia', 'Nuno', 'Helena'])[1 + p % 7] AS given,
                     (ARRAY['Silva', 'Costa', 'Pereira', 'Gomes', 'Teixeira', 'Barbosa', 'Carvalho', 'Moreira', 'Fonseca', 'Antunes', 'Vieira'])[1 + p % 11] AS family) v;
SELECT take_match_records('people', 'id', '{name,born,phone,email,city}', 'person', 'shop');
SELECT identity_id IS NOT NULL AS known, source, source_key, taken_from, fields FROM match_records WHERE source_key IN ('7', '247') ORDER BY source_key;
SELECT take_match_records('people', 'id', '{name,born,phone,email,city}', 'person', 'shop') AS unchanged;
SELECT take_match_records('people', 'number', '{name}');
SELECT take_match_records('people', 'born', '{name}');
SELECT take_match_records('people', 'city', '{name}');
SELECT take_match_records('people', 'id', '{}');

-- blocks, and their keys
SELECT set_block(ARRAY['phonetic_pt(words(name))', 'year(born)']), set_block(ARRAY['right(digits(phone), 7)']), set_block('{local_part(email)}'),
       set_block(ARRAY['left(city, 3)'], 100);
SELECT block, replace(key, chr(31), ' ') AS key FROM match_keys WHERE record_id = (SELECT record_id FROM match_records WHERE source_key = '247') ORDER BY 1, 2;
SELECT * FROM match_large_blocks WHERE block = 4 LIMIT 1;
SELECT drop_block(ARRAY['left(city, 3)']), set_block(ARRAY['left(city, 3)'], 100) > 0, drop_block(ARRAY['left(city,3)']), drop_block(ARRAY['left(city, 3)']), drop_block(ARRAY['left(city, 3)']);
UPDATE match_records SET fields = fields || '{"phone": "912345678"}' WHERE source_key = '247';
SELECT block, key FROM match_keys WHERE record_id = (SELECT record_id FROM match_records WHERE source_key = '247') AND block = 2;
SELECT take_match_records('people', 'id', '{name,born,phone,email,city}', 'person', 'shop') AS again;

-- what to begin with
SELECT field, kind FROM match_fields();
SELECT replace(call, 'SELECT crm.', '') AS call FROM suggest_matching();
-- of fields that can be in no expression no blocks
BEGIN;
UPDATE match_records SET fields = fields || jsonb_build_object('phone (home)', fields -> 'phone', 'a, b', fields -> 'name');
SELECT count(*) FILTER (WHERE call ~ 'set_match') AS compared, count(*) FILTER (WHERE call ~ 'set_block') AS blocks FROM suggest_matching() WHERE call ~ '\(home|a, b';
ROLLBACK;

-- a model
SELECT set_match('born', '{born}', 'date 4 2 1', term_frequency => false), set_match('phone', '{phone}', 'phone PT'), set_match('email', '{email}', 'email'),
       set_match('city', '{city}'), set_match('odd', '{odd}', 'jaro_winkler 0.9, 0.8');
SELECT comparison, columns, comparator, thresholds, top, term_frequency FROM match_comparisons;
SELECT drop_match('odd'), drop_match('odd');
SELECT comparison, level, round(m::numeric, 2) AS m, round(bits) AS bits FROM train_matches();
SELECT round(-log(prior::numeric), 1) AS prior, records, recall, seed, found_at FROM match_models;
SELECT * FROM accept_matches();
SELECT find_matches() > 200 AS compared, find_matches() AS again;
SELECT sum(pairs) = (SELECT count(*) FROM match_pairs) AS whole, min(precision) BETWEEN 0 AND 1 AS share, bool_and(recall BETWEEN 0 AND 1 AND unlinked BETWEEN 0 AND 1) AS shares
FROM match_report;
SELECT match_threshold() > -3 AS threshold;
CREATE FUNCTION public.found(OUT accepted bigint, OUT right_ones bigint, OUT of_all int, OUT wrong_customers bigint) LANGUAGE sql SET search_path = crm, public AS
$$SELECT count(*) FILTER (WHERE p.status = 'accepted'), count(*) FILTER (WHERE p.status = 'accepted' AND x.person = y.person), 240,
         (SELECT count(*) FROM (SELECT FROM people q JOIN identities i ON i.identifier = identifier('person', q.id::text) GROUP BY i.customer_id HAVING count(DISTINCT q.person) > 1) c)
  FROM match_pairs p JOIN match_records a ON a.record_id = p.a JOIN people x ON x.id = a.source_key::int
       JOIN match_records b ON b.record_id = p.b JOIN people y ON y.id = b.source_key::int$$;
SELECT accepted > 200 AS accepted, withdrawn, to_review < 60 AS to_review FROM accept_matches();
SELECT accepted > 200, right_ones > 200, wrong_customers FROM found();
SELECT * FROM accept_matches() a(accepted, withdrawn, to_review) WHERE accepted <> 0 OR withdrawn <> 0;
SELECT * FROM stitch_check();
SELECT DISTINCT source, retracted_at, strength > 0 AS strength FROM evidence;

-- why, from both sides
SELECT step, value_a, value_b, level, sign(bits) AS bits, probability > 0.5 AS likely FROM why_match('person:7', 'person:247');
SELECT round(w.score::numeric, 6) = round(p.score::numeric, 6) AS same
FROM match_pairs p, (SELECT score FROM why_match('person:247', 'person:7') WITH ORDINALITY ORDER BY ordinality DESC LIMIT 1) w
WHERE '{7,247}' = array(SELECT r.source_key::int FROM match_records r WHERE r.record_id IN (p.a, p.b) ORDER BY 1);
SELECT step, from_identifier, to_identifier, source, outcome, strength > 5 AS strong FROM why('person:7', 'person:247');
SELECT array(SELECT e ->> 'step' FROM jsonb_array_elements(y.waterfall) e) = array(SELECT w.step FROM why_match('person:7', 'person:247') w) AS steps,
       round((y.waterfall -> -1 ->> 'score')::numeric, 3) = round(y.strength::numeric, 3) AS sum
FROM why('person:7', 'person:247') y;
SELECT * FROM why_match('person:7', 'person:0');
SELECT identify('{email:x@example.pt}') > 0;
SELECT * FROM why_match('person:7', 'email:x@example.pt');

-- live
SELECT identifier, source, source_key, probability > 0.99 AS sure, customer_id = customer_of('person:7') AS customer
FROM match_of((SELECT fields - 'email' FROM match_records WHERE source_key = '7')) LIMIT 2;
SELECT count(*) FROM match_of('{"name": "Nobody Known"}');
SELECT * FROM match_of('[]');

-- a new record, and one that has changed: the same as all anew
INSERT INTO public.people SELECT 481, 7, name, born, phone, email, city FROM public.people WHERE id = 7;
UPDATE public.people SET name = 'Zacarias Quintela', born = '2001-01-01', phone = NULL, email = NULL WHERE id = 248;
DELETE FROM public.people WHERE id = 249;
SELECT take_match_records('people', 'id', '{name,born,phone,email,city}', 'person', 'shop') AS changed;
SELECT count(*) FROM match_due;
SELECT find_matches() BETWEEN 1 AND 40 AS few;
CREATE TEMP TABLE incremental AS SELECT a, b, score, levels FROM match_pairs;
SELECT find_matches('-infinity') > 200 AS compared;
SELECT count(*) AS differ FROM (SELECT a, b, score, levels FROM match_pairs EXCEPT TABLE incremental UNION ALL (TABLE incremental EXCEPT SELECT a, b, score, levels FROM match_pairs)) d;
SELECT accepted, withdrawn FROM accept_matches((SELECT above FROM match_models));
SELECT customer_of('person:481') = customer_of('person:7') AS joined, customer_of('person:248') = customer_of('person:8') AS still;
SELECT * FROM stitch_check();

-- stewards decide; retracting the model leaves that, and what facts say
SELECT identify('{person:20,card:1}') = customer_of('person:20') AS fact;
SELECT cannot_link_many('{person:7,person:10}', '{person:247,person:250}'), cannot_link_many('{person:7}', '{person:247}') AS again, cannot_link_many('{}', NULL);
SELECT must_link('person:8', 'person:248');
SELECT cannot_link_many('{person:7}', '{}');
SELECT cannot_link_many('{person:7}', '{NULL}');
SELECT a.withdrawn > 0 AS withdrawn FROM accept_matches() a;
SELECT p.status FROM match_pairs p WHERE '{10,250}' = array(SELECT r.source_key::int FROM match_records r WHERE r.record_id IN (p.a, p.b) ORDER BY 1);
SELECT customer_of('person:7') <> customer_of('person:247') AS parted, customer_of('person:8') = customer_of('person:248') AS joined;
SELECT count(*) FROM match_review r WHERE (r.a, r.b) IN (('person:7', 'person:247'), ('person:10', 'person:250'));
SELECT retract_model() > 200 AS taken_back, retract_model() AS again;
SELECT count(*) AS customers_of_many FROM customers WHERE identities > 1;
SELECT count(*) FROM evidence WHERE source = 'match default' AND retracted_at IS NULL;
SELECT * FROM stitch_check();
SELECT accepted > 200 AS again FROM accept_matches();

-- conflicts: never two birth dates, nor two records of a clean source
SELECT set_conflict('{born}'), set_conflict('{born}') AS again, set_conflict(source => 'shop');
SELECT accepted, withdrawn > 200 AS withdrawn FROM accept_matches(0);
SELECT DISTINCT status FROM match_pairs WHERE score > 0 ORDER BY 1;
SELECT why, count(*) > 100 AS waiting FROM match_review GROUP BY 1 ORDER BY 1;
SELECT step, from_identifier, to_identifier, source, outcome, strength > 5 AS strong, jsonb_array_length(waterfall) AS steps FROM why('person:11', 'person:251');
SELECT * FROM stitch_check();
SELECT drop_conflict(source => 'shop'), drop_conflict('{city}');
SELECT accepted > 200 AS accepted FROM accept_matches(0);
-- but for those a steward has joined
SELECT count(*) AS two_dates FROM (SELECT FROM people p JOIN identities i ON i.identifier = identifier('person', p.id::text) GROUP BY i.customer_id HAVING count(DISTINCT p.born) > 1) c;
SELECT drop_conflict('{born}');

-- a model by hand; by another name; and for other comparisons
UPDATE match_weights SET m = 1e-12 WHERE comparison = 'name' AND level >= 2;
SELECT find_matches('-infinity') > 0 AS compared;
SELECT a.withdrawn > 50 AS withdrawn FROM accept_matches(10) a;
SELECT count(*) > 0 AS trained FROM train_matches(seed => 5, model => 'other');
SELECT * FROM accept_matches(model => 'other');
SELECT find_matches(model => 'other') > 200 AS compared;
SELECT a.accepted > 200 AS accepted FROM accept_matches(model => 'other') a;
SELECT model, count(*) > 200 AS pairs FROM match_pairs GROUP BY 1 ORDER BY 1;
SELECT retract_model('other') > 200;
SELECT set_match('city', '{city}', 'trigram 0.5');
SELECT find_matches(model => 'other');
SELECT drop_match('city');
SELECT train_matches(0), train_matches(seed => NULL);
SELECT train_matches(1.5);
SELECT find_matches(keep_above => 'NaN');
SELECT count(*) > 0 AS trained FROM train_matches();
SELECT find_matches() > 0;
SELECT * FROM accept_matches(1, 2);

-- the report as a picture, with the thresholds; before anything was accepted with the one there would be
SELECT a.accepted > 200 AS accepted, customer_of('person:10') <> customer_of('person:250') AS parted_still, customer_of('person:8') = customer_of('person:248') AS joined_still
FROM accept_matches(2.5, -1) a;
SELECT substring(p FROM '<desc>[\d,]+ (pairs. From 2.5 on: )') AS told, p ~ 'accepted from 2.5' AS accepted, p ~ 'review from -1' AS review, p ~ '<title>Ours' AS title FROM match_picture(options => '{"title": "Ours"}') p;
SELECT retract_model() > 200;
SELECT p ~ format('accepted from %s', round(match_threshold()::numeric, 2)) AS would, p ~ 'review from' AS review FROM match_picture() p;
SELECT match_picture('none');
-- what stewards have decided of some pairs teaches of others like them, both ways
CREATE TEMP TABLE alike AS
SELECT p.a, p.b, p.score, row_number() OVER (ORDER BY p.a, p.b) AS n FROM match_pairs p
WHERE p.model = 'default' AND p.levels = (SELECT q.levels FROM match_pairs q WHERE q.model = 'default' AND q.score > 0 GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1);
SELECT cannot_link_many(array_agg(i.identifier ORDER BY l.n), array_agg(j.identifier ORDER BY l.n)) >= 5 AS apart
FROM alike l JOIN match_records x ON x.record_id = l.a JOIN match_records y ON y.record_id = l.b
     JOIN identities i ON i.identity_id = x.identity_id JOIN identities j ON j.identity_id = y.identity_id WHERE l.n <= 8;
SELECT count(*) > 0 AS trained FROM train_matches();
SELECT find_matches() > 0;
SELECT bool_and(p.score < l.score - 1) AS less, count(*) > 0 AS others FROM alike l JOIN match_pairs p ON p.model = 'default' AND p.a = l.a AND p.b = l.b WHERE l.n > 8;

-- traits
SELECT set_traits('card:5', '{"name": "Ana Prata", "city": "Évora", "tags": ["a"], "gone": null}', 'till', '2026-01-01Z'), set_traits('card:5', '{"name": "Ana Prata Luz"}', 'web', '2026-01-02Z');
SELECT take_match_traits();
SELECT source, source_key, fields FROM match_records WHERE taken_from = 'traits' ORDER BY 1;
SELECT take_match_traits('{name}'), take_match_traits('{name}') AS again;
SELECT set_traits('card:5', '{"name": null}', 'till', '2026-01-03Z');
SELECT take_match_traits('{name}'), count(*) FROM match_records WHERE taken_from = 'traits';
-- records follow them from then on: of who says something else, of a row that changes or goes, and of what is forgotten
SELECT set_traits('card:5', '{"name": "Ana Prata", "city": "Faro"}', 'till', '2026-01-04Z') > 0, set_traits('card:6', '{"name": "Rui Prata"}', 'till', '2026-01-04Z') > 0;
SELECT put_traits('rows', '{1,2}', '{card:7,card:8}', '{"{\"name\": \"Eva Luz\"}","{\"name\": \"Ivo Luz\"}"}', NULL);
SELECT source, source_key, fields FROM match_records WHERE taken_from = 'traits' ORDER BY 1, 2;
SELECT put_traits('rows', '{1}', '{card:7}', '{"{\"name\": \"Eva Luz Reis\"}"}', NULL), drop_traits('rows', '{2}');
UPDATE traits SET value = '"Rui"' WHERE trait = 'name' AND source = 'till' AND value = '"Rui Prata"';
SELECT source, source_key, fields FROM match_records WHERE taken_from = 'traits' ORDER BY 1, 2;
SELECT take_match_traits('{name}') AS in_line, take_match_traits('{}') AS none;
SELECT set_traits('card:6', '{"name": "Rui Prata"}', 'till', '2026-01-05Z') > 0, count(*) FROM match_records WHERE taken_from = 'traits';

-- and a table: what is new is matched in its transaction, as if later
SELECT count(*) > 0 AS trained FROM train_matches();
SELECT find_matches() > 0;
SELECT take_match_records('people', 'id', '{name,born,phone,email,city}', 'person', 'shop', keep => true) AS unchanged;
BEGIN;
INSERT INTO public.people SELECT 600 + id, id, name, born, phone, email, city FROM public.people WHERE id IN (11, 12);
UPDATE public.people SET name = 'Nobody Else', phone = NULL, email = NULL WHERE id = 13;
DELETE FROM public.people WHERE id = 14;
SELECT find_matches() BETWEEN 1 AND 60 AS few;
SELECT accepted > 0 FROM accept_matches(5);
SELECT customer_of('person:611') = customer_of('person:11') AS one, (SELECT fields ->> 'name' FROM match_records WHERE source_key = '13') AS changed, count(*) AS gone FROM match_records WHERE source_key = '14';
COMMIT;
SELECT find_matches() AS nothing;
CREATE TEMP TABLE followed AS SELECT a, b, score, levels FROM match_pairs;
SELECT find_matches('-infinity') > 200 AS compared;
SELECT count(*) AS differ FROM (SELECT a, b, score, levels FROM match_pairs EXCEPT TABLE followed UNION ALL (TABLE followed EXCEPT SELECT a, b, score, levels FROM match_pairs)) d;
UPDATE public.people SET id = 613 WHERE id = 611;
SELECT source_key FROM match_records WHERE source_key IN ('611', '613');
ALTER TABLE public.people DROP COLUMN city;
UPDATE public.people SET name = 'Rui Novo' WHERE id = 612;
SELECT fields ? 'city' AS city, fields ->> 'name' AS name FROM match_records WHERE source_key = '612';
DELETE FROM public.people WHERE id > 600;
SELECT take_match_records('people', 'id', '{name,born,phone,email}', 'person', 'shop', keep => false) > 400 AS without_cities;
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'public.people'::regclass;
ALTER TABLE public.people ADD COLUMN city text;
SELECT * FROM stitch_check();
SELECT retract_model() > 0;

-- nicknames
SELECT set_match('name', '{name}', 'name');
INSERT INTO match_nicknames VALUES ('José', 'Zé');
INSERT INTO public.people VALUES (501, 501, 'José Quintanilha', '1999-01-01', NULL, NULL, NULL), (502, 501, 'Zé Quintanilha', '1999-01-01', NULL, NULL, NULL);
SELECT take_match_records('people', 'id', '{name,born,phone,email,city}', 'person', 'shop');
SELECT count(*) > 0 AS trained FROM train_matches();
SELECT find_matches() > 0;
SELECT level FROM why_match('person:501', 'person:502') WHERE step = 'name';

-- what is forgotten has no record
UPDATE settings SET forget_unreferenced = true;
CALL maintain();
SELECT count(*) AS records FROM match_records WHERE source = 'shop';

-- who may
CREATE ROLE matching_reader;
CREATE ROLE matching_steward;
SELECT grant_access('matching_reader', 'reader', true), grant_access('matching_steward', 'steward');
SET ROLE matching_reader;
SELECT find_matches();
SELECT * FROM why_match('person:7', 'person:247');
SELECT count(*) FROM match_records;
SELECT count(*) FROM match_review;
RESET ROLE;
GRANT SELECT ON public.people TO matching_steward;
SET ROLE matching_steward;
SELECT take_match_records('public.people', 'id', '{name,born,phone,email,city}', 'person', 'shop') AS unchanged;
SELECT set_block('{email}') > 0, count(*) > 0 AS trained FROM train_matches(seed => 3);
SELECT find_matches() > 0;
SELECT accepted > 100 AS accepted FROM accept_matches(2);
SELECT count(*) > 0 FROM why_match('person:7', 'person:247');
SELECT count(*) > 0 FROM match_of('{"email": "ana7@example.pt", "name": "Ana Gomes"}', above => -20);
SELECT retract_model() > 100;
RESET ROLE;
SELECT revoke_access('matching_reader'), revoke_access('matching_steward');
REVOKE SELECT ON public.people FROM matching_steward;
DROP ROLE matching_reader, matching_steward;
SELECT * FROM stitch_check();
-- who was erased is not taken in again, and records go with their identity
CREATE TABLE public.clients (id integer PRIMARY KEY, name text);
INSERT INTO public.clients SELECT n, 'Client ' || n FROM generate_series(1, 3) n;
SELECT take_match_records('public.clients', 'id', '{name}');
SELECT erase(customer_of('clients:2'), 'request') -> 'counts' -> 'match_records' AS erased;
SELECT take_match_records('public.clients', 'id', '{name}'), customer_of('clients:2') AS nobody, (SELECT others FROM suppressed_by_day WHERE source = 'clients') AS dropped;
DELETE FROM identities WHERE identifier = 'clients:3';
SELECT source_key FROM match_records WHERE source = 'clients';
DROP TABLE public.clients;
-- nor does what was counted of values name him: of four records two are left
CREATE TABLE public.clients (id integer PRIMARY KEY, city text);
INSERT INTO public.clients SELECT n, 'Vila Rara ' || n / 4 FROM generate_series(4, 11) n;
SELECT take_match_records('public.clients', 'id', '{city}', 'rare', 'rare');
SELECT set_match('rare city', '{city}');
SELECT count(*) > 0 AS trained FROM train_matches(seed => 3);
SELECT identify('{rare:4,rare:5}') > 0 AS one;
SELECT term, records FROM match_terms WHERE term ~ 'rara' AND comparison = 'rare city' ORDER BY 1;
SELECT erase(customer_of('rare:4'), 'request') -> 'counts' -> 'match_records' AS erased;
SELECT term, records FROM match_terms WHERE term ~ 'rara';
DROP TABLE public.clients;
DROP FUNCTION public.found();
DROP TABLE public.people;
SELECT journey_drop_hub('crm', true);
