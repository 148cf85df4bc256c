-- ingest and its kin, of a hub that is not in public and not a superuser's.
SET client_min_messages = warning;
SET TimeZone = 'UTC';
\set VERBOSITY terse
CREATE ROLE regress_ingester;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_ingester', current_database()); END $$;
SET ROLE regress_ingester;
SELECT journey_create_hub('Ana''s "hub"');
SET search_path = "Ana's ""hub""", public;

CREATE VIEW came AS
SELECT i.identifier AS who, to_char(t.occurred_at, 'YYYY-MM-DD HH24:MI:SS.MS') AS at, t.channel, t.action, t.value, t.currency, t.direction AS dir,
       t.conversation, t.agent, t.campaign, t.source, t.source_key, t.attributes
FROM touchpoints t JOIN identities i USING (identity_id);
CREATE FUNCTION who() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT string_agg(identifier::text, ' ' ORDER BY identifier::text COLLATE "C") FROM identities GROUP BY customer_id ORDER BY min(identifier::text COLLATE "C") $$;
CREATE FUNCTION clear() RETURNS void LANGUAGE sql AS $$
    TRUNCATE touchpoints, touchpoint_keys, rejected, evidence, identities, customers, former_memberships, customer_journeys, journey_changes RESTART IDENTITY $$;

-- all built-in rules can be read, and bad ones can't be written
UPDATE formats SET rule = rule;
SELECT format, count(*) FROM formats GROUP BY format ORDER BY format COLLATE "C";
\set VERBOSITY default
INSERT INTO formats (format, rule, action) VALUES ('shop', 1, '{event}');
\set VERBOSITY terse
INSERT INTO formats (format, rule, makes, identifiers, occurred_at, reason) VALUES ('shop', 1, 'evidence', '{u:/u}', '{now}', 'why not');

-- Segment: the clock of the device is wrong by an hour; a batch; a replay
SELECT * FROM ingest('{"type": "track", "event": "Order Completed", "userId": "u1", "anonymousId": "a1", "messageId": "m1", "originalTimestamp": "2026-03-01T11:00:00Z",
    "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z", "properties": {"revenue": "25.50", "currency": "EUR"}}', 'segment');
SELECT * FROM ingest('{"batch": [{"type": "page", "anonymousId": "a1", "timestamp": "2026-03-01T09:00:00Z", "messageId": "m0", "context": {"campaign": {"name": "spring"}}},
    {"type": "identify", "userId": "u1", "traits": {"email": "ana@example.pt"}, "timestamp": "2026-03-01T09:30:00Z", "messageId": "m2"},
    {"type": "screen", "name": "Home", "userId": "u1", "timestamp": "2026-03-01T12:00:00Z", "messageId": "m3"},
    {"type": "track", "event": "Order Refunded", "userId": "u1", "timestamp": "2026-03-02T12:00:00Z", "messageId": "m4", "properties": {"revenue": 3}},
    {"type": "dance", "userId": "u1"}, {"type": "track", "event": "Lost"}, null,
    {"type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1", "timestamp": "2026-03-01T10:00:00Z", "properties": {"revenue": 25.5, "currency": "eur"}}]}'::json, 'segment');
SELECT * FROM came ORDER BY at;
SELECT who();
SELECT items, reason, sqlstate FROM rejected;

-- what record_many refuses is rejected, and the rest is taken in
SELECT clear();
SELECT * FROM ingest_many(array(SELECT format('{"type": "track", "event": "e", "userId": "u%s", "messageId": "m%s", "timestamp": "2026-03-01T10:00:00Z", "properties": {"revenue": %s}}',
    i % 10, i, CASE WHEN i IN (13, 40) THEN '1e30' ELSE i::text END) FROM generate_series(1, 50) i), 'segment');
SELECT count(*), sum(value) FROM touchpoints;
SELECT items, reason, sqlstate, payload::json ->> 'messageId' AS key FROM rejected ORDER BY rejected_id;
-- evidence of a key that has other evidence
SELECT * FROM ingest_many(ARRAY['{"type": "identify", "userId": "u1", "traits": {"email": "a@x.pt"}, "messageId": "i1", "timestamp": "2026-03-01T10:00:00Z"}',
    '{"type": "identify", "userId": "u1", "traits": {"email": "a@x.pt"}, "messageId": "i1", "timestamp": "2026-03-01T10:00:00Z"}',
    '{"type": "identify", "userId": "u1", "traits": {"email": "b@x.pt"}, "messageId": "i1", "timestamp": "2026-03-01T10:00:00Z"}'], 'segment');
SELECT reason, sqlstate FROM rejected ORDER BY rejected_id DESC LIMIT 1;
-- a trigger of the user's may refuse, too
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.action = 'secret' THEN RAISE 'not this one'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON touchpoints FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT * FROM ingest_many(ARRAY['{"type": "track", "event": "secret", "userId": "u1"}', '{"type": "track", "event": "public", "userId": "u1"}'], 'segment');
SELECT reason, sqlstate FROM rejected ORDER BY rejected_id DESC LIMIT 1;
DROP FUNCTION refuse CASCADE;
-- but what is not of the data is an error
SET statement_timeout = '1ms';
SELECT sum(rejected) FROM generate_series(1, 1000), ingest_many(array(SELECT '{"type": "track", "event": "e", "userId": "u1"}' FROM generate_series(1, 1000)), 'segment');
RESET statement_timeout;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE USING ERRCODE = NEW.action, MESSAGE = 'not now'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON touchpoints FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT * FROM ingest('{"type": "track", "event": "40001", "userId": "u1"}', 'segment');
SELECT * FROM ingest('{"type": "track", "event": "40P01", "userId": "u1"}', 'segment');
SELECT * FROM ingest('{"type": "track", "event": "42501", "userId": "u1"}', 'segment');
SELECT * FROM ingest('{"type": "track", "event": "53200", "userId": "u1"}', 'segment');
SELECT * FROM ingest('{"type": "track", "event": "22012", "userId": "u1"}', 'segment');
DROP FUNCTION refuse CASCADE;
\set VERBOSITY default
SELECT * FROM ingest('{}', 'nonsense');
\set VERBOSITY terse
-- as json and jsonb
SELECT n.* FROM ingest('{"type": "page", "userId": "j", "messageId": "j1"}'::jsonb, 'segment') n;
SELECT n.* FROM ingest_many(ARRAY['{"type": "page", "userId": "j", "messageId": "j1"}']::jsonb[], 'segment') n;
SELECT * FROM ingest('{}', NULL);

-- all kinds of arguments; lines
SELECT clear();
SELECT * FROM ingest(NULL::text, 'segment');
SELECT * FROM ingest_many(NULL::text[], 'segment');
SELECT * FROM ingest_many('{}'::json[], 'segment');
SELECT * FROM ingest_many(ARRAY['{"type": "track", "event": "e", "userId": "u1"}', NULL, '[]']::json[], 'segment');
SELECT * FROM ingest('{"type": "track", ', 'segment');
SELECT * FROM ingest('{"type": "track", '::json, 'segment');
SELECT * FROM ingest_ndjson(E'{"type": "track", "event": "e", "userId": "u1"}\r\n\n \t\n{"type": "track", "event": "e", "userId": "u2"}\n{"type": "tr\n{"type": "page", "userId": "u3"}', 'segment');
SELECT * FROM ingest_ndjson('', 'segment');
SELECT payload, items, reason FROM rejected ORDER BY rejected_id;

-- arrays of any shape, and large ones
SELECT * FROM ingest_many(ARRAY[['{"type": "page", "userId": "u1"}', '{"type": "page", "userId": "u2"}'], ['{"type": "page", "userId": "u3"}', '[]']], 'segment');
SELECT * FROM ingest_many('[5000:5001]={"{\"type\": \"page\", \"userId\": \"u1\"}", "[]"}'::text[], 'segment');
SELECT * FROM ingest_many(array(SELECT format('{"type": "page", "userId": "u%s"}', i % 1000) FROM generate_series(1, 3001) i), 'segment');

-- a format of one's own, mended
SELECT clear();
INSERT INTO formats (format, rule, each, identifiers, occurred_at, channel, action, value, source_key) VALUES
    ('till', 1, '{/receipts/*}', '{loyalty:/card}', '{/at}', '{=store}', '{=purchase}', '{/total}', ARRAY['={2/till} {/number}']);
SELECT * FROM ingest('{"till": 7, "receipts": [{"number": 1, "card": "0042", "at": 1772359200, "total": 10}, {"number": 2, "card": "0043", "when": 1772359201, "total": 20},
    {"number": 3, "card": "0044", "when": 1772359202, "total": "thirty"}, {"number": 4, "card": "0044", "at": 1772359202, "total": 40}]}', 'till');
SELECT items, reason, sqlstate FROM rejected;
SELECT * FROM retry_rejected('till');
UPDATE formats SET occurred_at = '{/at,/when}' WHERE format = 'till';
CREATE TABLE before AS SELECT rejected_id, received_at FROM rejected;
SELECT * FROM retry_rejected('till');
SELECT items, reason, sqlstate, received_at = (SELECT received_at FROM before) AS same_time, rejected_id > (SELECT rejected_id FROM before) AS new_row FROM rejected;
SELECT who, at, value, source_key FROM came ORDER BY at, value;
-- without keys, too, nothing comes twice; and what the format now finds inside of what was rejected is new
INSERT INTO formats (format, rule, each, identifiers, occurred_at, channel, action) VALUES ('beacon', 1, '{/hits/*}', '{cookie:/c}', '{now}', '{=web}', '{/a}');
SELECT * FROM ingest('{"hits": [{"c": "x", "a": "view"}, {"c": "x"}, {"c": "y", "a": "view"}], "more": [{"c": "z", "a": "click"}]}', 'beacon');
INSERT INTO formats (format, rule, condition, makes) VALUES ('beacon', 0, '/more', 'nothing');
SELECT * FROM ingest('[{"more": [{"c": "z", "a": "click"}]}, {"more": 1}, {"less": 1}]', 'beacon');
UPDATE formats SET action = '{/a,=hit}', each = '{/hits/*,/more/*}' WHERE format = 'beacon' AND rule = 1;
SELECT items, reason FROM rejected WHERE format = 'beacon';
SELECT * FROM retry_rejected('beacon');
SELECT items, reason FROM rejected WHERE format = 'beacon';
SELECT who, action FROM came WHERE source = 'beacon' ORDER BY who::text, action;

RESET search_path;
RESET ROLE;
SELECT journey_drop_hub('Ana''s "hub"', force => true);
DROP OWNED BY regress_ingester;
DROP ROLE regress_ingester;
