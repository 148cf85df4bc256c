-- Who customers are: what is said of them, and what of it counts.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET client_min_messages = error;
SELECT journey_create_hub('crm');
RESET client_min_messages;
SELECT crm.set_rule('tab', shared_above => 1), crm.use_recommended_rules('PT');
CREATE VIEW profile AS
SELECT min(i.identifier::text) AS who, p.traits, p.provenance
FROM crm.customer_profile p JOIN crm.identities i USING (customer_id) WHERE p.traits <> '{}' GROUP BY p.customer_id, p.traits, p.provenance;
CREATE FUNCTION refused(query text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    message := 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;

-- What a source says last counts, whichever comes first; what it says of one trait leaves the others
SELECT crm.set_traits('email:ana@example.pt', '{"name": "Ana", "city": "Porto"}', 'crm', '2026-01-02Z') AS ana \gset
SELECT crm.set_traits('email:ana@example.pt', '{"name": "Anna", "age": 30}', 'crm', '2026-01-01Z') = :ana AS same;
SELECT * FROM profile;
SELECT provenance FROM crm.customer_profile_of(:ana);
-- again is nothing new
CREATE TEMP TABLE before AS SELECT xmin::text AS x, * FROM crm.traits;
SELECT crm.set_traits('email:ana@example.pt', '{"name": "Anna", "age": 30}', 'crm', '2026-01-01Z') = :ana AS same;
SELECT count(*) AS changed FROM (SELECT xmin::text, identity_id, trait FROM crm.traits EXCEPT SELECT x, identity_id, trait FROM before) s;
-- of one time, null counts, else the text that sorts last
SELECT crm.set_traits('email:ana@example.pt', v::jsonb, 'crm', '2026-01-03Z') = :ana AS same FROM unnest(ARRAY['{"x": "b", "y": 1, "z": null}', '{"x": "a", "y": null, "z": 2}', '{"x": "ab"}']) v;
SELECT traits - 'name' - 'city' - 'age' AS of_one_time FROM crm.customer_profile_of(:ana);
-- null, and a text of space: the source says there is none, of whichever identifier of the customer; others still say so
SELECT crm.set_traits('phone:+351912345678', '{"name": "Ana S.", "city": "Lisboa"}', 'shop', '2025-01-01Z') > 0 AS another;
SELECT crm.identify('{email:ana@example.pt,phone:+351912345678}', '2026-01-04Z', 'crm', 'login 1') = :ana AS merged;
SELECT traits, provenance #>> '{name,source}' AS name_by FROM crm.customer_profile_of(:ana);
SELECT crm.set_traits('phone:912345678', '{"name": null, "city": " "}', 'crm', '2026-01-05Z') = :ana AS same;
SELECT traits, provenance #>> '{name,source}' AS name_by FROM crm.customer_profile_of(:ana);
-- a split gives each what its identities said
SELECT crm.retract('crm', 'login 1');
SELECT who, traits FROM profile ORDER BY who;
SELECT crm.identify('{email:ana@example.pt,phone:+351912345678}', '2026-01-04Z', 'crm', 'login 2') = :ana AS merged;

-- Blocked and shared ones give nobody a name: not even who they are themselves. When they are not any more, they do.
SELECT crm.set_traits('email:test@example.com', '{"name": "Test"}') > 0, crm.set_traits('tab:1', '{"name": "Tablet"}') > 0 AS said;
SELECT count(crm.identify(ARRAY['tab:1', 'card:' || n]::identifier[], '2026-01-01Z', 'store', n::text)) FROM generate_series(1, 2) n;
SELECT who, traits FROM profile WHERE who ~ 'tab|test|card' ORDER BY who;
SELECT crm.set_rule('email', blocked => '{}'), crm.set_rule('tab', shared_above => 5) > 0 AS joined;
SELECT who, traits FROM profile WHERE who ~ 'tab|test|card' ORDER BY who;
SELECT crm.set_rule('tab', shared_above => 1) > 0 AS parted;
SELECT who, traits FROM profile WHERE who ~ 'tab|card' ORDER BY who;

-- Rules
SELECT crm.set_traits('card:7', v.said::jsonb, v.source, v.at) IS NULL AS said
FROM (VALUES ('crm', '2026-01-01Z'::timestamptz, '{"street": "Rua A 1", "city": "Porto", "zip": "4000", "name": "A. Dias", "visits": 9, "tier": "gold"}'),
             ('shop', '2026-01-03Z', '{"street": "Rua B 22", "city": "Lisboa", "name": "Ana Dias Ferreira", "visits": 10, "tier": "silver"}'),
             ('web', '2026-01-02Z', '{"zip": "1000", "name": "Ana", "visits": "many", "tier": "gold"}')) v(source, at, said);
CREATE VIEW ruled AS SELECT traits FROM crm.customer_profile_of(crm.customer_of('card:7'));
TABLE ruled;
INSERT INTO crm.trait_rules (trait, members, rule, source_order) VALUES
    ('address', '{street,city,zip}', NULL, NULL), ('name', NULL, 'longest', NULL), ('visits', NULL, 'max', NULL), ('tier', NULL, 'most_frequent', NULL);
TABLE ruled;
UPDATE crm.trait_rules SET rule = 'source_order', source_order = '{till,web,crm}' WHERE trait IN ('address', 'name');
UPDATE crm.trait_rules SET rule = 'min' WHERE trait IN ('visits', 'tier');
TABLE ruled;
UPDATE crm.trait_rules SET rule = 'max', source_order = NULL WHERE trait = 'name';
UPDATE crm.trait_rules SET rule = 'longest', source_order = NULL WHERE trait = 'address';
TABLE ruled;
-- an address is never mixed from two: what is said later of a part is another address
SELECT crm.set_traits('card:7', '{"city": "Faro"}', 'crm', '2026-01-04Z') IS NULL AS said;
UPDATE crm.trait_rules SET rule = 'source_order', source_order = '{crm}' WHERE trait = 'address';
SELECT traits - 'name' - 'visits' - 'tier' AS address FROM ruled;
UPDATE crm.trait_rules SET rule = NULL, source_order = NULL WHERE trait <> '*';
UPDATE crm.trait_rules SET rule = 'min' WHERE trait = '*';
TABLE ruled;
DELETE FROM crm.trait_rules WHERE trait <> 'address';
TABLE ruled;
\x on
SELECT query, r.* FROM (VALUES
    ($$INSERT INTO crm.trait_rules (trait, rule) VALUES ('a', 'newest')$$),
    ($$INSERT INTO crm.trait_rules (trait, rule) VALUES ('a', 'source_order')$$),
    ($$INSERT INTO crm.trait_rules (trait, source_order) VALUES ('a', '{crm}')$$),
    ($$INSERT INTO crm.trait_rules (trait, rule, source_order) VALUES ('a', 'source_order', '{crm,crm}')$$),
    ($$INSERT INTO crm.trait_rules (trait, members) VALUES ('a', '{}')$$),
    ($$INSERT INTO crm.trait_rules (trait, members) VALUES ('a', '{b,NULL}')$$),
    ($$INSERT INTO crm.trait_rules (trait, members) VALUES ('*', '{b}')$$),
    ($$INSERT INTO crm.trait_rules (trait) VALUES ('city')$$),
    ($$INSERT INTO crm.trait_rules (trait, members) VALUES ('place', '{country,city}')$$),
    ($$SELECT crm.set_traits('a:1', NULL)$$), ($$SELECT crm.set_traits('a:1', '["name"]')$$), ($$SELECT crm.set_traits('a:1', '"name"')$$),
    ($$SELECT crm.set_traits('a:1', 'null')$$), ($$SELECT crm.set_traits('a:1', '{"": 1}')$$),
    ($$SELECT crm.set_traits('a:1', jsonb_build_object(repeat('x', 256), 1))$$),
    ($$SELECT crm.set_traits(NULL, '{}')$$), ($$SELECT crm.set_traits('a:1', '{"a": 1}', 'crm', NULL)$$),
    ($$SELECT crm.set_traits('a:1', '{"a": 1}', 'crm', 'infinity')$$), ($$SELECT crm.set_traits('a:1', '{"a": 1}', 'crm', '9999-01-01')$$),
    ($$SELECT crm.put_traits(NULL, '{1}', '{a:1}', '{"{}"}', NULL)$$), ($$SELECT crm.put_traits('s', '{NULL}', '{a:1}', '{"{}"}', NULL)$$),
    ($$SELECT crm.put_traits('s', '{1}', NULL, ARRAY['{"a": 1}']::jsonb[], NULL)$$), ($$SELECT crm.put_traits('s', '{1}', '{a:1}', '{1}', NULL)$$),
    ($$SELECT crm.put_traits('s', '{1}', '{a:1}', ARRAY['{"": 1}']::jsonb[], NULL)$$),
    ($$SELECT crm.customer_profile_at(1, now())$$),
    ($$SELECT profile_traits(1, 'a', '1', 's', '', now(), '{}')$$), ($$SELECT profile_traits(1, 'a', '1', 's', '', now(), '[1]')$$),
    ($$SELECT profile_traits(1, 'a', '1', 's', '', now(), '[{"rule": "min"}]')$$),
    ($$SELECT profile_traits(1, 'a', '1', 's', '', now(), '[{"trait": "a", "members": "a"}]')$$),
    ($$SELECT profile_traits(1, 'a', '1', 's', '', now(), '[{"trait": "*"}, {"trait": "*"}]')$$)) v(query), refused(query) r;
\x off
SELECT count(*) AS nobody FROM crm.identities WHERE identifier = 'a:1';
-- the aggregate alone: rules may be none, or of each group
SELECT profile_traits(1, t, v, s, '', now(), NULL), profile_provenance(1, t, v, s, '', '2026-01-01Z', NULL)
FROM (VALUES ('a', '1'::jsonb, 's'), ('b', '[1, {"c": null}]', 's'), (NULL, '1', 's'), ('c', NULL, 's')) x(t, v, s);
SELECT g, profile_traits(1, 'a', v, s, '', '2026-01-01Z', jsonb_build_array(jsonb_build_object('trait', 'a', 'rule', g)))
FROM unnest('{min,max,most_frequent}'::text[]) g, (VALUES ('1'::jsonb, 'x'), ('1.0', 'z'), ('0', 'a'), ('"t"', 'b')) x(v, s) GROUP BY g ORDER BY g;
SELECT profile_traits(1, 'a', '1', 's', '', now(), NULL) IS NULL AS none WHERE false;
-- of a group what is missing comes last, with max as with min
SELECT g, profile_traits(1, t, v, s, '', '2026-01-01Z', jsonb_build_array(jsonb_build_object('trait', 'g', 'members', '{a,b}'::text[], 'rule', g)))
FROM unnest('{min,max}'::text[]) g, (VALUES ('a', '5'::jsonb, 's1'), ('b', '"x"', 's2'), ('a', '5', 's3'), ('b', '1', 's3')) v(t, v, s) GROUP BY g ORDER BY g DESC;

-- Rows of a table: what a key says now is all it says, of whomever
SELECT crm.put_traits('orders', '{1,2,3}', '{mail:bo@x,mail:cy@x,mail:di@x}',
    ARRAY['{"name": "Bo", "city": "Faro", "fax": null}', '{"name": "Cy"}', NULL]::jsonb[], '{2026-02-01Z,NULL,2026-02-01Z}');
SELECT i.identifier, t.trait, t.value, t.source_key, t.observed_at > '2026-02-01Z' AS now FROM crm.traits t JOIN crm.identities i USING (identity_id) WHERE source = 'orders' ORDER BY 1, 2;
CREATE TEMP TABLE kept AS SELECT ctid AS place, * FROM crm.traits WHERE source = 'orders';
-- what has no time is as of when it began; what is the same is left alone; an earlier time is what it says now
SELECT crm.put_traits('orders', '{1,2}', '{mail:bo@x,mail:cy@x}', ARRAY['{"name": "Bo", "city": "Olhao"}', '{"name": "Cy"}']::jsonb[], '{2026-01-01Z,NULL}');
SELECT t.trait, t.value, t.source_key, t.observed_at, k.place IS NOT NULL AS kept
FROM crm.traits t LEFT JOIN kept k ON k.place = t.ctid WHERE t.source = 'orders' AND t.source_key = '1' ORDER BY 1;
SELECT k.place = t.ctid AS kept FROM crm.traits t JOIN kept k USING (identity_id, trait, source, source_key) WHERE t.source_key = '2';
SELECT crm.put_traits('orders', '{1,1}', '{mail:bo@x,mail:cy@x}', ARRAY['{"name": "never"}', '{"nick": "C"}']::jsonb[], '{2026-01-01Z,2026-01-02Z}');
SELECT who, traits FROM profile WHERE who LIKE 'mail:%' ORDER BY who;
SELECT crm.drop_traits('orders', '{1,2,9}');
SELECT who, traits FROM profile WHERE who LIKE 'mail:%';

-- of several identifiers of a row the usable one has its traits, whatever else it makes
CREATE TABLE leads (id int PRIMARY KEY, email text, tel text, name text);
INSERT INTO leads VALUES (1, 'blocked@x.pt', '912000001', 'Ida'), (2, 'leo@x.pt', '912000002', 'Leo'), (3, NULL, '912000003', 'Ugo'), (4, NULL, NULL, NULL);
SELECT crm.set_rule('email', normalizer => 'email', priority => 20, blocked => '{blocked@x.pt}') IS NOT NULL AS blocked;
SET client_min_messages = error;
SELECT crm.attach_source('leads', ('{"makes": ' || m || ', "traits_at": "timestamptz ''2026-01-01Z''", "identifiers": {"email": "email", "phone": "''+351'' || tel"}, "traits": {"name": "name"}}')::json, s)
FROM (VALUES ('"evidence"', 'leads'), ('"traits"', 'leads again')) v(m, s);
CALL crm.feed();
RESET client_min_messages;
SELECT t.source, t.source_key, i.identifier, t.value FROM crm.traits t JOIN crm.identities i USING (identity_id) WHERE t.source LIKE 'leads%' ORDER BY 1, 2;
UPDATE leads SET name = upper(name);
CALL crm.feed();
SELECT t.source, t.source_key, i.identifier, t.value FROM crm.traits t JOIN crm.identities i USING (identity_id) WHERE t.source LIKE 'leads%' ORDER BY 1, 2;
SELECT * FROM crm.check_source('leads') UNION ALL SELECT * FROM crm.check_source('leads again');
DELETE FROM leads;
CALL crm.feed();
SELECT count(*) AS left FROM crm.traits WHERE source LIKE 'leads%';
SET client_min_messages = error;
SELECT crm.detach_source('leads'), crm.detach_source('leads again');
RESET client_min_messages;
DROP TABLE leads;
SELECT crm.set_rule('email', normalizer => 'email', priority => 20) IS NOT NULL AS reset;

-- Plans were made when there were few: what is replaced is found by index even so
BEGIN;
SELECT crm.put_traits('orders', array_agg(n::text), array_agg(('mail:' || n || '@y')::identifier), array_agg(jsonb_build_object('name', n)), NULL),
       count(crm.set_traits(('mail:' || n || '@y')::identifier, '{"name": "x"}', 'crm', '2026-01-01Z')) FROM generate_series(1, 300) n;
CREATE TEMP TABLE fetched AS SELECT idx_tup_fetch AS rows FROM pg_stat_xact_user_tables WHERE relid = 'crm.traits'::regclass;
SELECT crm.set_traits('mail:1@y', '{"name": "y"}', 'crm', '2026-01-02Z') > 0 AS said, crm.put_traits('orders', '{2}', '{mail:2@y}', '{"{\"name\": 0}"}', NULL), crm.drop_traits('orders', '{3}');
SELECT idx_tup_fetch - rows < 30 AS few FROM pg_stat_xact_user_tables, fetched WHERE relid = 'crm.traits'::regclass;
ROLLBACK;

-- As of a time, where the history is kept: with the identities and rules of today
UPDATE crm.settings SET trait_history = true;
SELECT crm.set_traits('card:9', '{"name": "Eva"}', 'crm', '2026-01-01Z') AS eva \gset
SELECT crm.set_traits('card:9', v::jsonb, 'crm', at) = :eva AS said
FROM (VALUES ('2026-03-01Z'::timestamptz, '{"name": "Eva Lima", "city": "Braga"}'), ('2026-02-01Z', '{"name": "Eva L."}'), ('2026-04-01Z', '{"city": null}')) v(at, v);
SELECT crm.put_traits('orders', '{7}', '{card:9}', ARRAY['{"zip": "4700"}']::jsonb[], '{2026-01-15Z}'),
       crm.put_traits('orders', '{7}', '{card:9}', ARRAY['{"phone": "1"}']::jsonb[], '{2026-03-15Z}'), crm.drop_traits('orders', '{7}');
SELECT crm.set_traits('card:10', '{"nick": "Evita"}', 'web', '2026-02-15Z') > 0, crm.identify('{card:9,card:10}', '2026-05-01Z', 'crm', 'e 1') = :eva AS merged;
SELECT at::date, p.traits FROM unnest('{2025-12-31Z,2026-01-01Z,2026-01-20Z,2026-02-10Z,2026-03-10Z,2026-03-20Z,2026-04-02Z}'::timestamptz[]) at
CROSS JOIN LATERAL crm.customer_profile_at(:eva, at) p ORDER BY 1;
SELECT p = q AS now_as_now FROM crm.customer_profile_at(:eva, now()) p, crm.customer_profile_of(:eva) q;
SELECT count(*) FROM crm.customer_profile_at(-1, now());

-- Payloads
SELECT touchpoints, evidence, rejected FROM crm.ingest_many(ARRAY[
    '{"type": "identify", "userId": "u1", "anonymousId": "a1", "messageId": "1", "timestamp": "2026-01-01T10:00:00Z", "traits": {"name": "Eve", "plan": "pro", "address": {"city": "Évora"}}}',
    '{"type": "group", "userId": "u1", "groupId": "g", "messageId": "2", "timestamp": "2026-01-02T10:00:00Z", "traits": {"name": "ACME", "employees": 3}}',
    '{"type": "page", "anonymousId": "a1", "name": "Home", "messageId": "3", "timestamp": "2026-01-03T10:00:00Z", "context": {"traits": {"plan": null, "lang": "pt"}}}',
    '{"type": "track", "event": "x", "userId": "u1", "messageId": "4", "timestamp": "2026-01-03T10:00:00Z", "context": {"traits": []}}',
    '{"type": "track", "event": "x", "userId": "u1", "messageId": "5", "timestamp": "2026-01-03T10:00:00Z", "context": {"traits": "Eve"}}'], 'segment');
SELECT who, traits FROM profile WHERE who ~ 'a1|u1';
SELECT profile, last_action FROM crm.customer_360_of(crm.customer_of('user_id:u1'));
SELECT touchpoints FROM crm.ingest('{"entry": [{"changes": [{"field": "messages", "value": {"metadata": {"phone_number_id": "9"},
    "contacts": [{"wa_id": "351911", "profile": {"name": "Rui"}}, {"wa_id": "351922", "profile": {"name": "Zé"}}],
    "messages": [{"from": "351922", "id": "w1", "timestamp": "1767600000", "type": "text", "text": {"body": "olá"}}]}}]}]}', 'whatsapp');
SELECT evidence FROM crm.ingest('{"event": "contact_created", "id": 5, "name": "Gil", "email": "gil@x.pt", "phone_number": null,
    "additional_attributes": {"city": "Faro", "company_name": "ACME"}, "custom_attributes": {"tier": "gold"}}', 'chatwoot');
SELECT touchpoints FROM crm.ingest('{"event": "message_created", "id": 1, "message_type": "incoming", "created_at": 1767700000, "content": "oi", "sender": {"id": 6, "name": "Hugo"},
    "conversation": {"id": 3, "inbox_id": 1, "channel": "Channel::Api", "meta": {"sender": {"id": 6, "name": "Hugo"}}}, "inbox": {"id": 1, "name": "site"}}', 'chatwoot');
SELECT evidence FROM crm.ingest('{"itemType": "profile", "itemId": "p1", "properties": {"firstName": "Ivo", "email": "ivo@x.pt"}}', 'unomi');
UPDATE crm.formats SET traits = '{segment:/data/segment,/data/customer}' WHERE format = 'cloudevents';
SELECT touchpoints FROM crm.ingest('{"specversion": "1.0", "id": "1", "source": "/s", "type": "sale", "time": "2026-01-01T00:00:00Z",
    "data": {"user_id": "u9", "segment": "b2b", "customer": {"name": "Jo", "segment": "never"}}}', 'cloudevents');
SELECT who, traits FROM profile WHERE who ~ 'phone:\+351922|chatwoot|unomi|u9' OR who ~ 'gil|ivo' ORDER BY who;
-- traits alone; what is wrong with them is rejected, and taken in later with the time it came
INSERT INTO crm.formats (format, rule, makes, identifiers, occurred_at, traits) VALUES
    ('dir', 1, 'traits', '{email:/mail,account:/id}', '{/at,now}', ARRAY['name:/cn', 'name:=nobody if /role', '/more', '2nd:/two']);
SELECT evidence, rejected FROM crm.ingest_many(ARRAY['{"mail": "kai@x.pt", "id": "1", "cn": "Kai", "at": "2026-01-01T00:00:00Z", "more": {"name": "never", "tags": ["a"]}, "two": 2}',
    '{"mail": "none@", "id": "2", "role": 1}', '{"mail": "lia@x.pt"}', '{"mail": "lia@x.pt", "more": 1}', '{"id": "3", "more": {"": 1}}',
    '{"id": "3", "cn": "x", "at": "9999-01-01T00:00:00Z"}'], 'dir');
SELECT reason FROM crm.rejected WHERE format = 'dir' ORDER BY rejected_id;
SELECT i.identifier, t.trait, t.value FROM crm.traits t JOIN crm.identities i USING (identity_id) WHERE source = 'dir' ORDER BY 1, 2;
UPDATE crm.formats SET traits = '{name:/cn,more:/more,mail:/mail}' WHERE format = 'dir';
SELECT evidence, rejected FROM crm.retry_rejected('dir');
SELECT i.identifier, t.trait, t.value FROM crm.traits t JOIN crm.identities i USING (identity_id) WHERE source = 'dir' AND i.identifier::text ~ 'lia|:3' ORDER BY 1, 2;
SELECT u.traits, r.message, r.detail FROM (VALUES ('{/a/?b=c}'), ('{"2/x if"}'), ('{=x}'), ('{a}'), (NULL), ('{a:/x/}')) u(traits),
LATERAL refused(format('INSERT INTO crm.formats (format, rule, makes, identifiers, occurred_at, traits) VALUES (''f'', 1, ''traits'', ''{a:/a}'', ''{now}'', %L)', u.traits)) r;

-- In parallel it is the same, with and without rules
CREATE VIEW together AS
SELECT profile_traits(identity_id, trait, value, source, source_key, observed_at, NULL) AS traits,
       profile_provenance(identity_id, trait, value, source, source_key, observed_at, NULL) AS provenance,
       profile_traits(identity_id, trait, value, source, source_key, observed_at,
                      '[{"trait": "*", "rule": "longest"}, {"trait": "g", "members": ["name", "city"]}]') AS ruled
FROM crm.traits;
CREATE TEMP TABLE alone AS TABLE together;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
CREATE FUNCTION is_partial(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan text;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan ~ '"Partial"';
END $$;
SELECT is_partial('TABLE together'), a = t AS same, a.traits <> a.ruled AS ruled FROM alone a, together t;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
DROP VIEW together;
DROP FUNCTION is_partial(text);

-- Who may not read identifiers reads what is not personal: nothing, unless it is said so
CREATE ROLE regress_profile_reader;
SELECT crm.grant_access('regress_profile_reader');
INSERT INTO crm.trait_rules (trait, personal) VALUES ('tags', false), ('segment', false);
SET ROLE regress_profile_reader;
SELECT traits, provenance FROM crm.customer_profile WHERE traits <> '{}' ORDER BY traits;
SELECT DISTINCT trait FROM crm.traits ORDER BY 1;
SELECT profile FROM crm.customer_360 WHERE profile <> '{}' ORDER BY 1;
SELECT p.traits FROM crm.customer_profile_at(:eva, now()) p;
RESET ROLE;
-- a group is hidden or shown as a whole; the other way round
UPDATE crm.trait_rules SET personal = true WHERE trait = 'address';
INSERT INTO crm.trait_rules (trait, personal) VALUES ('*', false), ('name', true);
DELETE FROM crm.trait_rules WHERE trait IN ('tags', 'segment');
SET ROLE regress_profile_reader;
SELECT DISTINCT trait FROM crm.traits WHERE trait IN ('name', 'city', 'zip', 'street', 'tags', 'tier', 'visits') ORDER BY 1;
SELECT count(*) FILTER (WHERE trait = 'nick') AS nicks, count(*) FILTER (WHERE trait = 'name') AS names FROM crm.trait_history;
RESET ROLE;
SELECT crm.grant_access('regress_profile_reader', 'reader', identifiers => true);
SET ROLE regress_profile_reader;
SELECT count(*) > 5 AS names FROM crm.traits WHERE trait = 'name';
RESET ROLE;
DROP OWNED BY regress_profile_reader;
DROP ROLE regress_profile_reader;
DROP VIEW profile, ruled;
DROP FUNCTION refused(text);
SET client_min_messages = error;
SELECT journey_drop_hub('crm', true);
