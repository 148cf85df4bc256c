-- Touchpoints in, where it meets the world: order, keys and replays, corrections, times, currencies, JSON, drivers, rights.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SELECT journey_create_hub('crm');
SET search_path = crm, public;

-- the fields of an event: those of a touchpoint, of record(), of a format and of what payloads make of it
CREATE VIEW fields AS
SELECT a.attnum AS n, a.attname::text AS field, a.atttypid::regtype AS type FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid
WHERE t.oid = 'event'::regtype AND NOT a.attisdropped;
SELECT count(*) AS fields FROM fields;
SELECT f.field, t.attname AS touchpoint FROM (SELECT * FROM fields WHERE field <> 'identifiers') f
FULL JOIN (SELECT * FROM pg_attribute WHERE attrelid = 'touchpoints'::regclass AND col_description(attrelid, attnum) <> '' AND attname NOT IN ('touchpoint_id', 'identity_id', 'recorded_at')) t
    ON t.attname = f.field AND t.atttypid = f.type WHERE f.n IS NULL OR t.attname IS NULL;
SELECT f.*, p.name FROM fields f FULL JOIN (
    SELECT u.n, u.name, u.type::regtype FROM pg_proc, unnest(proargnames, proargtypes::oid[]) WITH ORDINALITY u(name, type, n)
    WHERE oid = 'record(identifier[], timestamptz, text, text, numeric, text, text, text, text, text, text, text, jsonb, text, text)'::regprocedure) p
    ON p.n = f.n AND p.name = f.field AND p.type = f.type WHERE f.n IS NULL OR p.n IS NULL;
SELECT f.field, p.attname AS of_format FROM (SELECT * FROM fields WHERE field <> 'source') f
FULL JOIN (SELECT * FROM pg_attribute WHERE attrelid = 'formats'::regclass AND col_description(attrelid, attnum) <> ''
                AND attname NOT IN ('format', 'rule', 'makes', 'each', 'condition', 'reason', 'traits', 'consents')) p
    ON p.attname = f.field WHERE f.n IS NULL OR p.attname IS NULL;
-- and each goes to its column, by every way
CREATE VIEW stored AS
SELECT i.identifier, t.occurred_at AS at, t.channel, t.action, t.value, t.currency, t.direction AS dir, t.conversation AS conv, t.agent, t.campaign, t.source, t.source_key AS key,
       t.attributes, t.subject, t.url
FROM touchpoints t JOIN identities i USING (identity_id) ORDER BY t.touchpoint_id;
INSERT INTO formats (format, rule, identifiers, occurred_at, channel, action, value, currency, direction, conversation, agent, campaign, source_key, attributes, subject, url)
VALUES ('shop', 1, '{a:/a}', '{/t,now}', '{=ch}', '{/action,=ac}', '{/v}', '{/c}', '{=out}', '{=co}', '{=ag}', '{=ca}', '{/k}', '{x:/x}', '{=su}', '{/u}');
SELECT record('{a:1}', '2026-01-01Z', 'ch', 'ac', 1, 'CUR', 'out', 'co', 'ag', 'ca', 'so', 'k1', '{"x": 1}', 'su', 'u:1') = 1 AS one,
       record_many(ARRAY[('{a:1}', '2026-01-02Z', 'ch', 'ac', 2, 'CUR', 'out', 'co', 'ag', 'ca', 'so', 'k2', '{"x": 2}', 'su', 'u:2')::event]) AS many,
       record_many('[{"identifiers": ["a:1"], "occurred_at": "2026-01-03Z", "channel": "ch", "action": "ac", "value": 3, "currency": "CUR", "direction": "out",
                      "conversation": "co", "agent": "ag", "campaign": "ca", "source": "so", "source_key": "k3", "attributes": {"x": 3}, "subject": "su", "url": "u:3"}]') AS json,
       ingest('{"a": 1, "t": "2026-01-04T00:00:00Z", "v": 4, "c": "CUR", "k": "k4", "x": 4, "u": "u:4"}'::text, 'shop') AS payload;
SELECT * FROM stored;
TRUNCATE touchpoints;

-- touchpoints of one time keep the order they came in, whatever their keys are: one by one, in one call, and in both
CREATE FUNCTION steps(source text) RETURNS TABLE (path text) LANGUAGE sql AS $$
    SELECT string_agg(action, ' ' ORDER BY occurred_at, touchpoint_id) FROM touchpoints WHERE touchpoints.source = steps.source
    UNION ALL
    SELECT array_to_string(journey_path(journey_agg(occurred_at, 'x', action, NULL, touchpoint_id), 'action'), ' ')
    FROM touchpoints WHERE touchpoints.source = steps.source $$;
CREATE TABLE given (n integer, key text, action text);
INSERT INTO given VALUES (1, '8', 'view'), (2, '9', 'cart'), (3, '10', 'buy'), (4, NULL, 'bye'), (5, '07', 'again'), (6, '9', 'cart'), (7, 'A', 'end');
SELECT count(record(ARRAY['k:1'], '2026-01-01Z', 'web', action, source => 'single', source_key => key)) FROM (SELECT * FROM given ORDER BY n) g;
SELECT cardinality(record_many(array_agg((ARRAY['k:1'], '2026-01-01Z', 'web', action, NULL, NULL, NULL, NULL, NULL, NULL, 'many', key, NULL, NULL, NULL)::event ORDER BY n))) FROM given;
SELECT cardinality(record_many(array_agg((ARRAY['k:1', 'j:' || n], '2026-01-01Z', 'web', action, NULL, NULL, NULL, NULL, NULL, NULL, 'links', key, NULL, NULL, NULL)::event ORDER BY n)))
FROM given WHERE n <> 6;
SELECT cardinality(record_many(jsonb_agg(jsonb_build_object('identifiers', '["k:1"]'::jsonb, 'occurred_at', '2026-01-01Z', 'channel', 'web', 'action', action, 'source', 'json', 'source_key', key) ORDER BY n)))
FROM given;
INSERT INTO formats (format, rule, each, identifiers, occurred_at, channel, action, source_key) VALUES
    ('lines', 1, '{"",/all/*}', '{k:=1}', '{/t}', '{=web}', '{/do}', '{/key}'),
    ('batch', 1, '{"",/all/*}', '{k:=1}', '{/t}', '{=web}', '{/do}', '{/key}'),
    ('halves', 1, '{"",/all/*}', '{k:=1}', '{/t}', '{=web}', '{/do}', '{/key}'),
    ('ones', 1, '{"",/all/*}', '{k:=1}', '{/t}', '{=web}', '{/do}', '{/key}');
CREATE VIEW payloads AS SELECT n, json_build_object('t', '2026-01-01T00:00:00Z', 'do', action, 'key', key)::text AS payload FROM given;
SELECT * FROM ingest_ndjson((SELECT string_agg(payload, E'\n' ORDER BY n) FROM payloads), 'lines');
SELECT * FROM ingest((SELECT format('{"all": [%s]}', string_agg(payload, ', ' ORDER BY n)) FROM payloads), 'batch');
SELECT sum((i).touchpoints) AS touchpoints, sum((i).duplicates) AS duplicates FROM (SELECT ingest(payload, 'ones') AS i FROM payloads ORDER BY n) s;
SELECT * FROM ingest_many((SELECT array_agg(payload ORDER BY n) || format('{"t": "2026-01-01T00:00:00Z", "do": "%s", "key": "0"}', repeat('x', 300)) || '{"t": "2026-01-01T00:00:00Z", "do": "last", "key": "00"}'::text FROM payloads), 'halves');
UPDATE formats SET action = '{=mended if /key = 0,/do}' WHERE format = 'halves';
SELECT * FROM retry_rejected('halves');
SELECT source, path FROM unnest('{single,many,links,json,lines,batch,ones,halves}'::text[]) source, steps(source);
SELECT (ingest_many(array(SELECT format('{"t": "2026-01-01T00:00:00Z", "do": "a%s", "key": "%s"}', n, 5000 - n) FROM generate_series(1, 2500) n), 'lines')).touchpoints;
SELECT count(*) AS out_of_order FROM (SELECT substr(action, 2)::integer - lag(substr(action, 2)::integer) OVER (ORDER BY touchpoint_id) AS step
                                      FROM touchpoints WHERE source = 'lines' AND action ~ '^a\d') s WHERE step <> 1;
TRUNCATE touchpoints;

-- a key wants a source; without one a touchpoint is of source sql
\x on
SELECT r.* FROM (VALUES
    ($$SELECT record('{email:a@x.pt}', '2026-01-01Z', 'store', 'purchase', 20, source_key => '17')$$),
    ($$SELECT record('{email:a@x.pt}', '2026-01-01Z', 'store', 'purchase', 20, source => NULL, source_key => '17')$$),
    ($$SELECT record_many(ARRAY[('{a:1}', '2026-01-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '17', NULL, NULL, NULL)]::event[])$$),
    ($$SELECT record_many('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web", "action": "view"},
                            {"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web", "action": "view", "source_key": 17}]')$$)
) v(query), refused(query) r;
\x off
SELECT record('{email:a@x.pt}', '2026-01-01Z', 'store', 'purchase') IS NOT NULL AS recorded;
SELECT source, source_key FROM touchpoints;
SELECT count(*) FROM touchpoint_keys;

-- what was recorded is recorded once
SELECT record('{email:ana@x.pt,card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}') AS first \gset
SELECT count(*) AS touchpoints, (SELECT count(*) FROM identities) AS identities, (SELECT count(*) FROM evidence) AS evidence FROM touchpoints \gset before_
SELECT record('{email:ana@x.pt,card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}') = :first AS same,
       record('{card:1,email:ana@x.pt}', '2026-01-01 01:00+01', 'store', 'purchase', 5.00, ' eur', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1.0]}') = :first AS same,
       record('{card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}') = :first AS same,
       record_many(ARRAY(SELECT ('{email:ana@x.pt,card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL)::event
                         FROM generate_series(1, 2))) = ARRAY[:first, :first]::bigint[] AS same,
       record_many('[{"identifiers": ["card:1"], "occurred_at": "2026-01-01Z", "channel": "store", "action": "purchase", "value": "5.0", "currency": "EUR", "direction": "in",
                      "conversation": "c", "agent": "Rita", "campaign": "spring", "source": "till", "source_key": 1, "attributes": {"sku": [1]}}]') = ARRAY[:first]::bigint[] AS same;
-- and of a customer who is another's by now, or whose identifier is written otherwise
SELECT link('card:1', 'phone:+351912345678', '2026-01-02Z') IS NOT NULL AS linked, set_rule('email', normalizer => 'email') IS NOT NULL AS ruled;
SELECT record('{phone:+351912345678}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}') = :first AS same,
       record('{email: ANA@x.PT,card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}') = :first AS same;
-- what differs is told, one by one, and with others in one call; nothing of it is stored
CREATE TABLE differing (field text, given text);
INSERT INTO differing VALUES
    ('customer', $$'{email:b@x.pt}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('customer', $$'{card:2}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('link', $$'{card:1,card:2}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('link', $$'{card:1,cookie:new}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('time', $$'{card:1}', '2026-01-01 00:00:01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('channel', $$'{card:1}', '2026-01-01Z', 'web', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('action', $$'{card:1}', '2026-01-01Z', 'store', 'return', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('value', $$'{card:1}', '2026-01-01Z', 'store', 'purchase', 500, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('value', $$'{card:1}', '2026-01-01Z', 'store', 'purchase', NULL, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('currency', $$'{card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'JPY', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('direction', $$'{card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'out', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('conversation', $$'{card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'd', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('agent', $$'{card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', NULL, 'spring', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('campaign', $$'{card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', '', 'till', '1', '{"sku": [1]}', NULL, NULL$$),
    ('attributes', $$'{card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [2]}', NULL, NULL$$),
    ('subject', $$'{card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', 'a coat', NULL$$),
    ('url', $$'{card:1}', '2026-01-01Z', 'store', 'purchase', 5, 'EUR', 'in', 'c', 'Rita', 'spring', 'till', '1', '{"sku": [1]}', NULL, 'https://x.pt/1'$$);
SELECT d.field, r.state, r.message, r.detail FROM differing d, refused('SELECT record(' || given || ')') r;
SELECT d.field, r.state, r.message FROM differing d,
    refused(format($$SELECT record_many(ARRAY[('{card:9}', '2026-01-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'till', '2', NULL, NULL, NULL), (%s)]::event[])$$, given)) r;
SELECT hint FROM refused('SELECT record(' || (SELECT given FROM differing WHERE field = 'time') || ')');
SELECT state, message, detail FROM refused($$SELECT record_many(ARRAY[('{card:9}', '2026-01-01Z', 'web', 'view', 1, NULL, NULL, NULL, NULL, NULL, 'till', '2', NULL, NULL, NULL),
                                                              ('{card:9}', '2026-01-01Z', 'web', 'view', 2, NULL, NULL, NULL, NULL, NULL, 'till', '2', NULL, NULL, NULL)]::event[])$$);
SELECT count(*) = :before_touchpoints AS touchpoints, (SELECT count(*) FROM identities) = :before_identities + 1 AS identities FROM touchpoints;
-- a payload that differs is rejected, and the rest is taken in; sent again it has another time to the minute, and other attributes
SELECT * FROM ingest_many(ARRAY['{"a": 5, "t": "2026-01-04T00:00:00Z", "v": 4, "c": "EUR", "k": "k5", "x": 1}',
                          '{"a": 5, "t": "2026-01-04T00:00:30Z", "v": 4.0, "c": "eur", "k": "k5", "x": 2}',
                          '{"a": 5, "t": "2026-01-04T00:02:00Z", "v": 4, "c": "EUR", "k": "k5"}', '{"a": 6, "t": "2026-01-04T00:00:00Z", "v": 4, "c": "EUR", "k": "k5"}',
                          '{"a": 6, "t": "2026-01-04T00:00:00Z", "v": 1, "c": "EUR", "k": "k6"}',
                          '{"a": 5, "t": "2026-01-04T00:00:00Z", "v": 500, "c": "EUR", "k": "k5"}']::text[], 'shop');
SELECT payload, reason, sqlstate FROM rejected WHERE format = 'shop' ORDER BY rejected_id;
SELECT * FROM ingest('{"a": 5, "v": 4, "c": "EUR", "k": "k5"}'::text, 'shop');
SELECT * FROM ingest('{"a": 5, "t": "2026-01-04T00:00:00Z", "v": 4, "c": "EUR", "k": "k5", "action": "other"}'::text, 'shop');
DELETE FROM rejected;

-- corrections: taken back, a touchpoint can be recorded anew, and what it told counts anew
SELECT unrecord('till', '1') AS done, unrecord('till', '1') AS again, unrecord('till', 'never'), unrecord(NULL, '1'), unrecord('till', NULL);
SELECT count(*) AS touchpoints, (SELECT count(*) FROM touchpoint_keys WHERE source = 'till') AS keys, customer_of('email:ana@x.pt') = customer_of('card:1') AS joined
FROM touchpoints WHERE source = 'till';
SELECT record('{email:ana@x.pt,card:1}', '2026-01-01Z', 'store', 'purchase', 500, source => 'till', source_key => '1') > :first AS recorded;
SELECT customer_of('email:ana@x.pt') = customer_of('card:1') AS joined;
SELECT unrecord('till', '1'), record_many(ARRAY[('{email:ana@x.pt,card:2}', '2026-01-01Z', 'store', 'purchase', 50, NULL, NULL, NULL, NULL, NULL, 'till', '1', NULL, NULL, NULL)]::event[]) IS NOT NULL AS recorded;
SELECT customer_of('email:ana@x.pt') = customer_of('card:1') AS joined, customer_of('email:ana@x.pt') = customer_of('card:2') AS joined_now;
SELECT unrecord('till', '1');
SELECT customer_of('email:ana@x.pt') = customer_of('card:2') AS joined;
SELECT split_part(source_key, '#', 1) AS key, source_key ~ '^1#[0-9]+$' AS set_aside, retracted_at IS NOT NULL AS retracted FROM evidence WHERE source = 'till';
SELECT count(*) AS differences FROM stitch_check();
-- what was retracted alone stays so when the same comes again, and what differs is told
SELECT record('{u:1,v:1}', '2026-01-01Z', 'web', 'login', source => 'web', source_key => 'r') IS NOT NULL AS recorded, retract('web', 'r');
SELECT record('{u:1,v:1}', '2026-01-01Z', 'web', 'login', source => 'web', source_key => 'r') IS NOT NULL AS again, customer_of('u:1') = customer_of('v:1') AS joined;
SELECT * FROM refused($$SELECT record('{u:1,v:2}', '2026-01-01Z', 'web', 'login', source => 'web', source_key => 'r')$$);
SELECT unrecord('web', 'r'), record('{u:1,v:2}', '2026-01-01Z', 'web', 'login', source => 'web', source_key => 'r') IS NOT NULL AS recorded;
SELECT customer_of('u:1') = customer_of('v:2') AS joined, customer_of('u:1') = customer_of('v:1') AS joined_before;
-- evidence that somebody gave and took back under that key before
SELECT identify('{w:1,w:2}', '2026-01-01Z', 'web', 's') IS NOT NULL AS identified, retract('web', 's'),
       record('{w:1,w:2}', '2026-01-01Z', 'web', 'login', source => 'web', source_key => 's') IS NOT NULL AS recorded;
SELECT customer_of('w:1') = customer_of('w:2') AS joined;
-- journeys follow
SELECT refresh() > 0 AS refreshed, unrecord('web', 's');
SELECT count(*) FROM current_journeys WHERE customer_id IN (customer_of('w:1'), customer_of('w:2'));
-- a row of an attached table is taken back there
CREATE TABLE public.orders (id integer PRIMARY KEY, at timestamptz, card text);
INSERT INTO orders VALUES (1, '2026-01-01Z', '7');
SELECT attach_source('orders', '{"occurred_at": "at", "channel": "''store''", "action": "''order''", "identifiers": {"card": "card"}}') IS NOT NULL AS attached;
SELECT * FROM refused($$SELECT unrecord('orders', '1')$$);
SELECT detach_source('orders', keep => true), unrecord('orders', '1');
DROP TABLE public.orders;

-- times: not too far in the future, nor in the past
CREATE TABLE times (at timestamptz);
INSERT INTO times VALUES (now() + interval '20 days'), (now() - interval '49 years'), (now() + interval '2 months'), (now() - interval '51 years'),
    ('0001-01-01Z'), ('2525-01-01Z'), ('9999-12-31Z');
SELECT n, r.state, left(r.message, 45) AS message, r.detail FROM (SELECT row_number() OVER () AS n, at FROM times) t,
    refused(format($$SELECT record('{t:1}', %L, 'web', 'view')$$, at)) r;
SELECT n, r.state FROM (SELECT row_number() OVER () AS n, at FROM times) t,
    refused(format($$SELECT record_many(ARRAY[('{t:1}', now(), 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
                                              ('{t:1}', %L, 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)]::event[])$$, at)) r;
SELECT time_is_plausible(at) FROM times;
SELECT * FROM ingest_many((SELECT array_agg(format('{"a": "t%s", "t": "%s", "k": "t%s"}', extract(year FROM at), to_char(at, 'YYYY-MM-DD"T"HH24:MI:SSZ'), at)) FROM times), 'shop');
SELECT DISTINCT regexp_replace(reason, ': .*', '') AS reason, sqlstate FROM rejected ORDER BY 1;
UPDATE settings SET future_within = NULL, past_within = '3000 years';
SELECT * FROM retry_rejected('shop');
SELECT record('{t:1}', '9999-12-31Z', 'web', 'view', source => 'x', source_key => 'end') IS NOT NULL AS recorded;
UPDATE settings SET future_within = '1 day', past_within = '0';
-- what is there already is there
SELECT record('{t:1}', '9999-12-31Z', 'web', 'view', source => 'x', source_key => 'end') IS NOT NULL AS again;
SELECT state, message FROM refused('UPDATE settings SET future_within = ''-1 day''');
SELECT state, message FROM refused('UPDATE settings SET past_within = ''1000000 years''');
UPDATE settings SET future_within = DEFAULT, past_within = DEFAULT;
TRUNCATE touchpoints, rejected;

-- currencies: one spelling each, and no sum of several
SELECT record('{m:1}', '2026-01-01Z', 'web', 'buy', 1, 'EUR') IS NOT NULL AS one, record('{m:1}', '2026-01-02Z', 'web', 'buy', 2, 'eur') IS NOT NULL AS two,
       record_many(ARRAY[('{m:1}', '2026-01-03Z', 'web', 'buy', 4, E' EUR\t', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
                         ('{m:1}', '2026-01-04Z', 'web', 'buy', 8, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)]::event[]) IS NOT NULL AS many,
       record_many('[{"identifiers": {"m": 1}, "occurred_at": "2026-01-05Z", "channel": "web", "action": "buy", "value": 16, "currency": "Eur"}]') IS NOT NULL AS json,
       (ingest('{"a": 1, "t": "2026-01-06T00:00:00Z", "v": 32, "c": " eUR", "k": "c1"}'::text, 'shop')).touchpoints;
INSERT INTO touchpoints (identity_id, occurred_at, channel, action, value, currency) SELECT identity_id, '2026-01-07Z', 'web', 'buy', 64, 'inr' FROM identities WHERE identifier = 'm:1';
UPDATE touchpoints SET currency = ' eur ' WHERE currency = 'INR';
CREATE TABLE public.sales (id integer PRIMARY KEY, at timestamptz, member text, price numeric, currency text);
SELECT attach_source('sales', '{"occurred_at": "at", "channel": "''store''", "action": "''buy''", "identifiers": {"m": "member"}, "value": "price", "currency": "currency"}') IS NOT NULL AS attached;
INSERT INTO sales VALUES (1, '2026-01-08Z', '1', 128, 'usd');
UPDATE sales SET currency = 'eur ';
CALL feed();

SELECT currency, count(*), sum(value) FROM touchpoints GROUP BY 1 ORDER BY 1;
SELECT journey_value(journey) FROM current_journeys WHERE customer_id = customer_of('m:1');
SELECT record('{m:1}', '2026-01-09Z', 'web', 'buy', 100000, 'JPY') IS NOT NULL AS recorded, refresh() > 0 AS refreshed;
SELECT journey_value(journey), journey_length(journey) FROM current_journeys WHERE customer_id = customer_of('m:1');
SELECT * FROM unpacked_values;
UPDATE settings SET currency = 'jpy';
SELECT (SELECT currency FROM settings), (SELECT journey_value(journey) FROM customer_journeys WHERE customer_id = customer_of('m:1')) AS packed,
       (SELECT journey_value(journey) FROM current_journeys WHERE customer_id = customer_of('m:1')) AS now;
SELECT * FROM unpacked_values;
UPDATE settings SET currency = NULL;
SELECT journey_value(journey) FROM current_journeys WHERE customer_id = customer_of('m:1');
SELECT * FROM unpacked_values ORDER BY 1;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT state, message FROM refused('UPDATE settings SET currency = ''EUR''');
ROLLBACK;
UPDATE settings SET currency = 'EUR';
-- what can't be packed is refused in any currency
SELECT state, message FROM refused($$SELECT record('{m:1}', '2026-01-09Z', 'web', 'buy', 'NaN', 'JPY')$$);

-- JSON: identifiers as a list, or by namespace; unknown fields and wrong types are told
SELECT record_many('[]'::json) AS json, record_many('[]'::jsonb) AS jsonb, record_many('[]') AS text, record_many('{}') AS events, record_many(NULL) AS none;
SELECT cardinality(record_many('[{"identifiers": {"j": "1", "k": ["2", 3]}, "occurred_at": "2026-01-01T10:00:00+01:00", "channel": "web", "action": "view", "value": null, "attributes": null},
                                 {"action": "view", "channel": "web", "identifiers": ["k:3"], "occurred_at": "2026-01-01 10:00Z", "attributes": [1, {"a": "b"}]}]'));
SELECT occurred_at, attributes FROM touchpoints WHERE identity_id IN (SELECT identity_id FROM identities WHERE identifier IN ('j:1', 'k:3')) ORDER BY touchpoint_id;
SELECT array_agg(identifier ORDER BY identifier) FROM identities WHERE customer_id = customer_of('j:1');
\x on
SELECT v.json, r.* FROM (VALUES
    ('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy", "amount": 5}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy", "source": "s", "sourceKey": 5}]'),
    ('[{"identifiers": ["a:1"], "occured_at": "2026-01-01Z", "channel": "web", "action": "buy"}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy"}, {"Identifiers": []}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy", "value": 1, "value": 2}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": "soon", "channel": "web", "action": "buy"}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": 1772360100, "channel": "web", "action": "buy"}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy", "value": "1,50"}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy", "value": 1e40}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": {"name": "web"}, "action": "buy"}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web", "action": true}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web"}]'),
    ('[{"identifiers": "a:1", "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy"}]'),
    ('[{"identifiers": [17], "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy"}]'),
    ('[{"identifiers": ["a"], "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy"}]'),
    ('[{"identifiers": {"a": {"b": 1}}, "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy"}]'),
    ('[{"identifiers": {}, "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy"}]'),
    ('[{"identifiers": [null], "occurred_at": "2026-01-01Z", "channel": "web", "action": "buy"}]'),
    ('[{"occurred_at": "2026-01-01Z", "channel": "web", "action": "buy"}]'),
    ('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web\u0000", "action": "buy"}]'),
    ('[17]'), ('[null]'), ('{"identifiers": ["a:1"]}'), ('17'), ('[{]')
) v(json), refused(format('SELECT record_many(%L::text)', v.json)) r;
\x off
SELECT state, message FROM refused($$SELECT record_many('[{"identifiers": ["a:1"], "n": 1}]'::jsonb)$$) UNION ALL
SELECT state, message FROM refused($$SELECT record_many('[{"identifiers": ["a:1"], "n": 1}]'::json)$$);

-- an array may begin anywhere, and have dimensions: its events are compared with what is there all the same
SELECT record('{b:1}', '2026-01-01Z', 'web', 'view', source => 'bounds', source_key => '1') > 0 AS recorded;
CREATE VIEW bounded AS
SELECT b.bounds, format($$SELECT record_many('%s={"(\"{b:1}\",2026-01-01Z,web,view,,,,,,,bounds,1,,,)","(\"{b:1}\",2026-01-01Z,web,%s,,,,,,,bounds,1,,,)"}'::event[])$$, b.bounds, b.action) AS query
FROM (VALUES ('[0:1]', 'buy'), ('[7:8]', 'buy'), ('[7:8]', 'view')) b(bounds, action);
SELECT b.bounds, r.state, r.message FROM bounded b, refused(b.query) r;
SELECT state, message FROM refused($$SELECT record_many(ARRAY[[('{b:1}', '2026-01-01Z', 'web', 'view', 1, NULL, NULL, NULL, NULL, NULL, 'bounds', '1', NULL, NULL, NULL)::event]])$$);
DROP VIEW bounded;

-- what drivers send: text and arrays of text, with and without a type
PREPARE untyped AS SELECT record($1, $2, $3, $4) > 0 AS recorded;
EXECUTE untyped('{d:1,d:2}', '2026-01-01Z', 'web', 'view');
PREPARE texts(text[], timestamptz, text, text) AS SELECT record($1, $2, $3, $4) > 0 AS recorded;
EXECUTE texts('{d:1,"d:with, comma"}', '2026-01-01Z', 'web', 'view');
PREPARE varchars(varchar[], timestamptz, varchar, varchar) AS SELECT record(channel => $3, action => $4, identifiers => $1, occurred_at => $2) > 0 AS recorded;
EXECUTE varchars('{d:1}', '2026-01-01Z', 'web', 'view');
SELECT record(ARRAY['d:1'], '2026-01-01Z', 'web', 'view') > 0 AS literal, record(ARRAY['d:1']::identifier[], '2026-01-01Z', 'web', 'view') > 0 AS typed,
       record('{d:1}'::identifier[], now(), 'web', 'view', 1, 'EUR', NULL, NULL, NULL, NULL, 'drivers', '1') > 0 AS whole;
SELECT identify(ARRAY['d:1', 'd:3']) = identify('{d:1}') AS same, identify(ARRAY['d:1', 'd:3']::text[]) = identify('{d:1}'::varchar[]) AS same;
PREPARE linked(text, varchar) AS SELECT link($1, $2) = customer_of($1) AS linked;
EXECUTE linked('d:1', 'd:4');
PREPARE mixed(text) AS SELECT link(i.identifier, $1) = i.customer_id AS linked FROM identities i WHERE i.identifier = $1;
EXECUTE mixed('d:4');
PREPARE payloads AS SELECT n.* FROM ingest_many($1, $2) n;
EXECUTE payloads('{}', 'segment');
SELECT customer_of('d:1'::text) = customer_of('d:1'::varchar(10)) AS same, must_link('d:1'::text, 'd:5'::text), cannot_link('d:1', 'd:6'::varchar), clear_pair('d:1'::text, 'd:6');
SELECT count(*) FROM identities WHERE identifier = ANY ('{d:1,d:2}'::text[]) OR identifier IN ('d:3'::varchar, 'd:4'::text);
SELECT state, message FROM refused($$SELECT record(ARRAY['without']::text[], now(), 'web', 'view')$$);

-- who lacks the rights is told by whom they are had
CREATE ROLE regress_app;
GRANT USAGE ON SCHEMA crm TO regress_app;
GRANT EXECUTE ON FUNCTION refused TO regress_app;
SET ROLE regress_app;
\x on
SELECT r.* FROM refused($$SELECT record('{a:1}', now(), 'web', 'view')$$) r;
\x off
SELECT state, message FROM (VALUES ($$SELECT record_many('{}'::event[])$$), ($$SELECT record_many('[]')$$), ($$SELECT ingest('{}'::text, 'segment')$$),
    ($$SELECT ingest_many('{}'::text[], 'segment')$$), ($$SELECT ingest_ndjson('', 'segment')$$), ($$SELECT retry_rejected('segment')$$), ($$SELECT unrecord('a', 'b')$$)) v(query), refused(query);
SELECT query, substring(hint FROM 'SELECT (.*);') AS hint
FROM unnest(ARRAY['identify(''{a:1,b:1}'')', 'identify_many(''{}'')', 'link(''a:1'', ''b:1'')', 'retract(''a'', ''b'')', 'customer_of(''a:1'')',
    'customer_at(''a:1'', now())', 'current_customer(1)', 'identifiers_of(1)', 'why(''a:1'', ''b:1'')', 'simulate()', 'stitch_check()', 'must_link(''a:1'', ''b:1'')',
    'set_rule(''a'')', 'drop_rule(''a'')', 'use_recommended_rules(''PT'')', 'stitch_all()', 'refresh()']) query, refused('SELECT ' || query);
SELECT query, message FROM unnest(ARRAY['attach_source(''pg_class'', ''{}'', ''s'')', 'detach_source(''s'')', 'grant_access(''regress_app'')', 'maintenance(NULL)', 'begin_backfill(1)']) query, refused('SELECT ' || query);
RESET ROLE;
SELECT grant_access('regress_app', 'reader');
SET ROLE regress_app;
SELECT state, message, hint FROM refused($$SELECT record('{a:1}', now(), 'web', 'view')$$);
RESET ROLE;
SELECT grant_access('regress_app', 'writer');
SET ROLE regress_app;
SELECT record('{a:1}', '2026-01-01Z', 'web', 'view', source => 'app', source_key => '1') > 0 AS recorded, record('{a:1}', '2026-01-01Z', 'web', 'view', source => 'app', source_key => '1') > 0 AS again;
SELECT state, message FROM refused($$SELECT record('{a:1}', '2026-01-01Z', 'web', 'other', source => 'app', source_key => '1')$$);
SELECT unrecord('app', '1'), (record_many('[{"identifiers": ["a:1"], "occurred_at": "2026-01-01Z", "channel": "web", "action": "view"}]'))[1] > 0 AS recorded;
SELECT state, hint FROM refused($$SELECT retry_rejected('segment')$$);
RESET ROLE;
SELECT revoke_access('regress_app');
DROP OWNED BY regress_app;
DROP ROLE regress_app;
SELECT journey_drop_hub('crm', true);
DROP TABLE public.sales;
DROP FUNCTION refused;
