-- What mappings may say: references, lookups, enumerations, parts, evidence and traits without touchpoints, changes of a
-- column, arrays, keys; and what they are told where they are wrong.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET timezone = 'UTC';
-- ---- where a lookup's conditions end -----------------------------------------
SELECT columns, expressions FROM (VALUES ('t(a = x, (b = y))'), ('t(((a = x)))'), ('t((a = x) AND ((b = f(y, 2) )) , (((c)) = CASE WHEN z = '')'' THEN 1 END AND d = 4 )) -- (x)'),
    ('t(a = x /* , ( */ , -- and (
     (b = y BETWEEN 1 AND 2) AND c = (1,2))')) v(lookup), journey_lookup(v.lookup);

SELECT journey_create_hub('crm');
CREATE SCHEMA desk;
CREATE TABLE desk.inboxes (id integer PRIMARY KEY, kind text, note text);
CREATE TABLE desk.contacts (id integer PRIMARY KEY, name text, email text, phones text[], city varchar, updated_at timestamp);
CREATE TABLE desk.talks (id integer PRIMARY KEY, contact_id integer, inbox_id integer, status integer DEFAULT 0, "no" integer UNIQUE, updated_at timestamp);
CREATE INDEX ON desk.talks (contact_id);
CREATE INDEX ON desk.talks (inbox_id);
CREATE TABLE desk.people (kind text, id integer, name text, PRIMARY KEY (kind, id));
CREATE TABLE desk.messages (id integer PRIMARY KEY, talk_id integer, type integer, sender_type text, sender_id integer, "end" timestamptz, channel text, body text);
CREATE INDEX ON desk.messages (talk_id);
CREATE INDEX ON desk.messages (sender_id);
INSERT INTO desk.inboxes VALUES (1, 'Web'), (2, 'Mail');
INSERT INTO desk.contacts VALUES (1, 'Ana', 'ana@example.com', '{+351911111111,+351922222222,NULL,""}', '', '2026-01-01'), (2, ' ', NULL, NULL, 'Porto', '2026-01-01');
INSERT INTO desk.talks VALUES (10, 1, 1, 1, 100, '2026-01-02'), (11, 2, 2, 0, 101, '2026-01-02');
INSERT INTO desk.people VALUES ('User', 7, 'Rita'), ('Bot', 7, 'Sofia');
INSERT INTO desk.messages VALUES (1, 10, 0, 'Contact', 1, '2026-01-01', 'c', 'hello'), (2, 10, 1, 'User', 7, '2026-01-01 01:00', 'c', 'yes?'),
    (3, 10, 2, NULL, NULL, '2026-01-01 02:00', 'c', 'internal'), (4, 11, 0, 'Contact', 2, '2026-01-01 03:00', 'c', 'hi'), (5, NULL, 9, NULL, NULL, '2026-01-01 04:00', 'c', 'strange');
CREATE VIEW told AS
SELECT t.source_key, t.channel, t.action, t.direction, t.conversation, t.agent, t.subject, t.url, t.value,
       (SELECT string_agg(j.identifier::text, ' ' ORDER BY j.identifier) FROM crm.identities i JOIN crm.identities j USING (customer_id)
        WHERE i.identity_id = t.identity_id) AS customer
FROM crm.touchpoints t;
-- Contacts are evidence, and have traits; talks are evidence, and touchpoints where their status changes; messages are touchpoints
SELECT * FROM crm.attach_source('desk.contacts', '{"makes": ["evidence", "traits"], "identifiers": {"email": "email", "phone": "phones"},
    "references": {"desk.contact": "id"}, "traits": {"name": "name", "city": "city", "phones": "cardinality(phones)"}, "traits_at": "updated_at AT TIME ZONE ''UTC''",
    "evidence_where": "id < 100"}', source => 'desk', part => 'contacts');
SELECT * FROM crm.attach_source('desk.talks', '{"makes": "evidence", "references": {"desk.talk": "id", "desk.contact": "contact_id"}, "conversation": "id",
    "lookups": {"inbox": "inboxes(id = inbox_id)"}, "channel": {"case": "inbox.kind", "Web": "chat", "else": "email"}, "value": "5",
    "on_change": {"column": "status", "at": "updated_at AT TIME ZONE ''UTC''", "actions": {"0": "reopened", "1": "resolved", "2": null}, "initially": {"1": "resolved"}}}', source => 'desk', part => 'talks');
SELECT * FROM crm.attach_source('desk.messages', '{"occurred_at": "end", "conversation": "talk_id", "references": {"desk.talk": "talk_id"},
    "lookups": {"talk": "talks(id = talk_id)", "inbox": "inboxes(id = talk.inbox_id)",
                "sender": {"table": "people(kind = CASE WHEN sender_type <> ''Contact'' THEN sender_type END, id = sender_id)", "fixed": true}},
    "channel": {"case": "inbox.kind", "Web": "chat", "Mail": "email"}, "action": {"case": "type", "0": "message", "1": "answer", "2": null},
    "direction": {"case": "type", "0": "in", "1": "out"}, "agent": "sender.name", "subject": "upper(body)", "url": "''https://desk.example/'' || talk.no"}', source => 'desk', part => 'messages');
SELECT * FROM told ORDER BY source_key COLLATE "C";
SELECT source_key, reason FROM crm.source_rejects;
SELECT i.namespace, i.internal FROM crm.identifier_rules i WHERE i.internal ORDER BY 1;
SELECT customer_id, traits FROM crm.customer_profile ORDER BY 1;
SELECT * FROM crm.check_source('desk');
-- what is looked up changes, two joins away too; what is fixed is not watched
UPDATE desk.inboxes SET kind = 'Mail', note = 'n' WHERE id = 1;
UPDATE desk.people SET name = 'Rita A.' WHERE kind = 'User';
UPDATE desk.talks SET no = 200 WHERE id = 10;
CALL crm.feed();
SELECT source_key, channel, agent, url FROM told ORDER BY source_key COLLATE "C";
UPDATE desk.inboxes SET note = 'other' WHERE id = 2;
SELECT pending FROM crm.source_progress WHERE pending > 0;
-- statuses, in turn, though they are fed at once; where nothing is meant there is nothing; they stay when the row goes on
UPDATE desk.talks SET status = 0, updated_at = '2026-01-03' WHERE id = 10;
UPDATE desk.talks SET status = 2, updated_at = '2026-01-04' WHERE id = 10;
UPDATE desk.talks SET status = 1, updated_at = '2026-01-05' WHERE id = 10;
UPDATE desk.talks SET updated_at = '2026-01-06' WHERE id = 10;
INSERT INTO desk.talks VALUES (12, 2, 1, 1, 102, '2026-01-07'), (13, 2, 1, 0, 103, '2026-01-07');
UPDATE desk.talks SET status = 1, updated_at = '2026-01-08' WHERE id = 13;
CALL crm.feed();
SELECT regexp_replace(source_key, '[1-9]\d*$', 'n') AS source_key, action, occurred_at, value FROM crm.touchpoints WHERE source_key LIKE 'talks:%' ORDER BY occurred_at;
SELECT * FROM crm.check_source('desk', 'talks');
SELECT crm.resync_source('desk');
-- the reference is what follows merges: contact 2 turns out to be Ana
UPDATE desk.talks SET contact_id = 1 WHERE contact_id = 2;
DELETE FROM desk.contacts WHERE id = 2;
DELETE FROM desk.talks WHERE id = 13;
CALL crm.feed();
SELECT DISTINCT customer FROM told ORDER BY 1;
SELECT customer_id, traits FROM crm.customer_profile ORDER BY 1;
SELECT * FROM crm.check_source('desk');
SELECT * FROM crm.stitch_check();
-- parts are of one source, and go one by one
\x on
SELECT query, r.* FROM (VALUES
    ($$SELECT crm.attach_source('desk.people', '{"makes": "evidence", "identifiers": {"n": "name"}}', source => 'desk')$$),
    ($$SELECT crm.attach_source('desk.people', '{"makes": "evidence", "identifiers": {"n": "name"}}', source => 'desk', part => 'talks')$$),
    ($$SELECT crm.attach_source('desk.people', '{"makes": "evidence", "identifiers": {"n": "name"}}', source => 'desk', part => 'a:b')$$),
    ($$SELECT crm.attach_source('desk.people', '{"makes": "evidence", "references": {"email": "name"}}', source => 'people')$$),
    ($$SELECT crm.alter_source('desk', '{}')$$),
    ($$SELECT crm.alter_source('desk', '{}', 'x')$$),
    ($$SELECT crm.check_source('nothing')$$),
    ($$SELECT crm.unrecord('desk', 'messages:1')$$)
) v(query), refused(query) r;
\x off
SELECT crm.alter_source('desk', '{"makes": "evidence", "identifiers": {"email": "email"}, "references": {"desk.contact": "id"}}', part => 'contacts');
SELECT * FROM crm.check_source('desk');
SELECT count(*) FROM crm.traits;
SELECT crm.detach_source('desk', keep => false, part => 'talks');
SELECT part, state FROM crm.source_progress ORDER BY 1;
SELECT count(*) FROM crm.touchpoints WHERE source_key LIKE 'talks:%';
SELECT crm.detach_source('desk', keep => false);
SELECT (SELECT count(*) FROM crm.touchpoints) AS touchpoints, (SELECT count(*) FROM crm.evidence WHERE retracted_at IS NULL) AS evidence;

-- A log without a key: rows that are alike are one; a unique key of several columns; one with slashes; rows that stay when they are deleted
CREATE TABLE desk.log (at timestamptz, who text, what text, doc json);
SELECT crm.attach_source('desk.log', '{"key": "*", "occurred_at": "at", "channel": "''web''", "action": "what", "identifiers": {"who": "who"}}', 'log');
INSERT INTO desk.log VALUES ('2026-01-01', 'a', 'x', '{"b": 1}'), ('2026-01-01', 'a', 'x', '{"b": 1}'), ('2026-01-01', 'a', 'y', NULL);
CALL crm.feed();
SELECT action, count(*) FROM crm.touchpoints GROUP BY 1 ORDER BY 1;
DELETE FROM desk.log WHERE ctid = (SELECT min(ctid) FROM desk.log);
CALL crm.feed();
SELECT action, count(*) FROM crm.touchpoints GROUP BY 1 ORDER BY 1;
ALTER TABLE desk.log ADD COLUMN extra text;
ALTER TABLE desk.log RENAME COLUMN what TO did;
UPDATE desk.log SET did = 'z' WHERE did = 'y';
DELETE FROM desk.log WHERE did = 'x';
CALL crm.feed();
SELECT action, count(*) FROM crm.touchpoints GROUP BY 1 ORDER BY 1;
SELECT * FROM crm.check_source('log');
CREATE TABLE desk.path (dir text NOT NULL, file text NOT NULL, state text, at timestamptz DEFAULT '2026-01-01', UNIQUE (dir, file));
SELECT crm.attach_source('desk.path', '{"key": ["dir", "file"], "occurred_at": "at", "channel": "''web''", "action": "''file''", "identifiers": {"f": "file"}, "on_delete": "keep",
    "on_change": [{"column": "state", "action": "''is '' || state", "where": "state <> ''no''"}, {"column": "at", "action": "''moved''", "channel": "''other''"}]}', 'path');
INSERT INTO desk.path VALUES ('a/b', 'c', 'new'), ('a/b', 'd', 'new');
UPDATE desk.path SET state = 'no' WHERE file = 'c';
UPDATE desk.path SET state = 'yes', at = '2026-02-01' WHERE file = 'c';
CALL crm.feed();
SELECT regexp_replace(source_key, '\d*$', '') AS source_key, channel, action FROM crm.touchpoints WHERE source = 'path' ORDER BY 1, touchpoint_id;
DELETE FROM desk.path WHERE file = 'c';
CALL crm.feed();
TRUNCATE desk.path;
CALL crm.feed();
SELECT count(*) FROM crm.touchpoints WHERE source = 'path';
SELECT * FROM crm.check_source('path');
SELECT crm.resync_source('path');
SELECT crm.detach_source('log', false), crm.detach_source('path', false);

-- What is polled: a view
CREATE VIEW desk.mails AS SELECT m.id, m."end" AS at, t.contact_id, m.body FROM desk.messages m JOIN desk.talks t ON t.id = m.talk_id;
SELECT crm.attach_source('desk.mails', '{"key": "id", "watermark": "at", "occurred_at": "at", "channel": "''email''", "action": "''mail''", "identifiers": {"c": "contact_id"}}', 'mails', feed => 'poll');
INSERT INTO desk.messages VALUES (6, 11, 0, 'Contact', 1, '2026-02-01', 'c', 'late');
CALL crm.feed();
SELECT source_key FROM crm.touchpoints ORDER BY 1;
SELECT crm.detach_source('mails', false);

-- preview tells what comes of it all
SELECT source_key, wanted, evidence, identifiers, traits FROM crm.preview_source('desk.contacts', '{"makes": "evidence", "identifiers": {"email": "email", "phone": ["phones", "''+351'' || id"]}, "references": {"desk.contact": "id"}, "traits": "to_jsonb(contacts) - ''phones''"}');
SELECT source_key, wanted, reason, channel, action, subject, url FROM crm.preview_source('desk.messages', '{"occurred_at": "end", "identifiers": {"t": "talk_id"}, "lookups": {"talk": "talks(id = talk_id)"},
    "channel": "channel", "action": {"case": "type", "0": "message", "else": null}, "subject": "talk.no / (id - 4)", "url": "talk.no"}');

-- What is wrong with a mapping
CREATE FUNCTION mapping(more text DEFAULT '', less text DEFAULT '') RETURNS json LANGUAGE sql AS $$
    SELECT (jsonb_build_object('occurred_at', '"end"', 'channel', '''x''', 'action', '''x''', 'identifiers', '{"who": "sender_id"}'::jsonb) - less
            || ('{' || more || '}')::jsonb)::json $$;
\x on
SELECT more, r.message, r.detail, r.hint FROM unnest(ARRAY[
    '"occured_at": "end"', '"makes": "money"', '"makes": []', '"makes": ["traits"]', '"makes": "evidence", "where": "true"', '"evidence_where": "true"', '"traits_at": "end"', '"on_delete": "cascade"',
    '"references": "talk_id"', '"references": {}', '"references": {"a b:c": "talk_id"}', '"identifiers": {"who": {"a": "b"}}', '"identifiers": {"who": "sendr_id"}',
    '"action": {"case": "typ", "0": "x"}', '"action": {"0": "x"}', '"action": {"case": "type"}', '"action": {"case": "type", "0": {}}', '"value": {"case": "type", "0": "a lot"}', '"traits": {}', '"traits": "body"',
    '"lookups": {"talk": "talks"}', '"lookups": {"talk": "talks(id)"}', '"lookups": {"talk": "talks(id > talk_id)"}', '"lookups": {"talk": "talk(id = talk_id)"}', '"lookups": {"talk": "talks(idd = talk_id)"}',
    '"lookups": {"talk": "talks(contact_id = talk_id)"}', '"lookups": {"talk": "talks(id = body)"}', '"lookups": {"talk": "talks(id = later.id)", "later": "talks(id = talk_id)"}', '"lookups": {"messages": "talks(id = talk_id)"}',
    '"lookups": {"a b": "talks(id = talk_id)"}', '"lookups": {"talk": {"table": "talks(id = talk_id)", "fix": true}}', '"lookups": {"talk": 1}', '"lookups": {"p": "people(id = sender_id)"}', '"lookups": {"m": "mails(id = id)"}',
    '"lookups": {"talk": "talks(id = talk_id)"}, "value": "talk.noo"', '"value": "desk.messages.id"', '"on_change": 1', '"on_change": {"column": "statuss", "actions": {"1": "x"}}', '"on_change": {"column": "type"}',
    '"on_change": {"column": "type", "actions": {"1": 2}}', '"on_change": {"column": "type", "actions": {}}', '"on_change": {"column": "type", "action": "body", "ad": "x"}', '"on_change": {"column": "type", "action": "body", "at": "body"}',
    '"key": "sender_id"', '"key": "talk_id + 1"', '"watermark": "now()"', '"direction": "''inbound''"', '"direction": {"case": "type", "0": "inbound"}',
    '"occurred_at": "\"end\" AT TIME ZONE ''UTC''"', '"on_change": {"actions": {"1": "x"}}', '"action": "count(*)"']) more,
    refused(format('SELECT crm.attach_source(''desk.messages'', mapping(%L))', more)) r;
SELECT r.message, r.hint FROM refused($$SELECT crm.attach_source('desk.path', mapping('"occurred_at": "at", "identifiers": {"f": "file"}'))$$) r;
SELECT r.message, r.hint FROM refused($$SELECT crm.attach_source('desk.mails', '{"occurred_at": "at", "channel": "body", "action": "body", "identifiers": {"c": "contact_id"}}')$$) r;
SELECT r.message, r.hint FROM refused($$SELECT crm.attach_source('desk.mails', '{"key": "id", "occurred_at": "at", "channel": "body", "action": "body", "identifiers": {"c": "contact_id"}}', feed => 'poll')$$) r;
SELECT r.message, r.hint FROM refused($$SELECT crm.attach_source('desk.path', mapping(), feed => 'now')$$) r;
\x off
SELECT count(*) FROM crm.sources;

-- Rights that are missing
CREATE ROLE regress_mapping_dba;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_mapping_dba', current_database()) \gexec
GRANT USAGE ON SCHEMA desk TO regress_mapping_dba;
SET ROLE regress_mapping_dba;
SELECT journey_create_hub('their');
\x on
SELECT r.* FROM refused($$SELECT their.attach_source('desk.messages', mapping())$$) r;
RESET ROLE;
GRANT SELECT ON desk.messages TO regress_mapping_dba;
SET ROLE regress_mapping_dba;
SELECT r.* FROM refused($$SELECT their.attach_source('desk.messages', mapping())$$) r;
SELECT r.* FROM refused($$SELECT their.attach_source('desk.messages', mapping('"lookups": {"talk": "talks(id = talk_id)"}'))$$) r;
RESET ROLE;
GRANT TRIGGER ON desk.messages TO regress_mapping_dba;
GRANT SELECT ON desk.talks TO regress_mapping_dba;
SET ROLE regress_mapping_dba;
SELECT r.* FROM refused($$SELECT their.attach_source('desk.messages', mapping('"lookups": {"talk": "talks(id = talk_id)"}'))$$) r;
SELECT r.state, r.message, r.detail FROM refused($$SELECT their.attach_source('desk.messages', mapping(), feed => 'row')$$) r;
SELECT their.attach_source('desk.messages', mapping('"lookups": {"talk": {"table": "talks(id = talk_id)", "fixed": true}}'));
\x off
SELECT journey_drop_hub('their', true);
RESET ROLE;
DROP OWNED BY regress_mapping_dba;
DROP ROLE regress_mapping_dba;

-- JSON: strings without their quotes, each of an array
CREATE TABLE lead (id integer PRIMARY KEY, fields jsonb, raw json, ms bigint);
INSERT INTO lead VALUES (1, '{"email": "ana@x", "mails": ["b@x", null, "", {"a": 1}, 7], "st": "won", "tags": ["x"]}', '"Hello"', 1767225600000),
    (2, '{"email": null, "mails": "c@x", "st": null}', NULL, 1767225600000);
\set SHOW_CONTEXT never
SELECT crm.attach_source('lead', '{"occurred_at": "ms", "channel": "''crm''", "action": "''lead''", "identifiers": {"mail": "id"}}');
\set SHOW_CONTEXT errors
SELECT crm.attach_source('lead', '{"occurred_at": "to_timestamp(ms / 1000.0)", "channel": "''crm''", "subject": "raw",
    "action": {"case": "fields -> ''st''", "won": "won", "else": "other"}, "identifiers": {"mail": ["fields -> ''email''", "fields -> ''mails''"]},
    "traits": {"tags": "fields -> ''tags''"}}');
SELECT t.source_key, t.action, t.subject, crm.identifiers_of(i.customer_id), p.traits
FROM crm.touchpoints t JOIN crm.identities i USING (identity_id) JOIN crm.customer_profile p USING (customer_id)
WHERE t.source = 'lead' ORDER BY 1;
SELECT crm.detach_source('lead', keep => false);
DROP TABLE lead;

-- What is looked up is trusted too
CREATE ROLE regress_mapping_other;
ALTER TABLE desk.talks OWNER TO regress_mapping_other;
SELECT crm.attach_source('desk.messages', mapping('"lookups": {"talk": "talks(id = talk_id)"}, "subject": "talk.no"'));
SELECT trusts FROM crm.sources;
UPDATE crm.sources SET trusts = '{}';
UPDATE desk.messages SET body = 'b' || body, sender_id = 8 WHERE id = 1;
SET client_min_messages = error;
CALL crm.feed();
SELECT state, pending, last_error FROM crm.source_progress;
SELECT message FROM refused($$SELECT crm.resync_source('messages')$$);
-- tables that are looked up in may go and come again
ALTER TABLE desk.talks OWNER TO CURRENT_USER;
CREATE TABLE desk.kept AS SELECT * FROM desk.talks;
DROP TABLE desk.talks CASCADE;
CALL crm.feed();
SELECT state, pending, last_error FROM crm.source_progress;
CREATE TABLE desk.talks (no integer, id bigint PRIMARY KEY);
INSERT INTO desk.talks SELECT no * 2, id FROM desk.kept;
CALL crm.feed();
SELECT state, pending, last_error FROM crm.source_progress;
SELECT source_key, subject FROM crm.touchpoints ORDER BY 1;
SELECT * FROM crm.check_source('messages');
SELECT journey_drop_hub('crm', true);
DROP SCHEMA desk CASCADE;
DROP ROLE regress_mapping_other;
DROP FUNCTION refused, mapping;
