-- Tables without triggers: views whose keys may be NULL, watermarks of all types, rows that come in late; and what the
-- application's writers and owners may do besides, none of which the hub stops, but tells of.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT journey_create_hub('crm');
CREATE VIEW has AS SELECT source, source_key AS key, action FROM crm.touchpoints;
CREATE VIEW state AS SELECT source, state, pending, rejected, last_error FROM crm.source_progress;
CREATE FUNCTION mapping(more jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"occurred_at": "at", "channel": "''web''", "action": "what", "identifiers": {"c": "c"}}'::jsonb || more $$;

-- ---- poll ------------------------------------------------------------------------
CREATE TABLE base (id int, at timestamptz DEFAULT '2026-01-01', c text, what text, n bigint, seen timestamptz, day date, local timestamp, code text, x xid);
CREATE VIEW polled AS SELECT * FROM base;
INSERT INTO base (id, c, what, n) VALUES (1, 'a', 'one', 1), (2, 'b', 'two', 2), (NULL, 'c', 'nobody', 3), (NULL, 'd', 'nobody', 4), (5, 'e', 'five', NULL);
SELECT r.message, r.hint FROM refused($$SELECT crm.attach_source('polled', mapping('{"watermark": "n"}'), feed => 'poll')$$) r;
SELECT r.message, r.hint FROM refused($$SELECT crm.attach_source('polled', mapping('{"key": "id", "watermark": "x"}'), feed => 'poll')$$) r;
INSERT INTO base (id, c, what) VALUES (1, 'a', 'again');
SELECT r.message, r.hint FROM refused($$SELECT crm.attach_source('polled', mapping('{"key": "id", "watermark": "n"}'), feed => 'poll')$$) r;
DELETE FROM base WHERE what = 'again';
-- rows without a key are rejected together, and others are not kept by them
SELECT crm.attach_source('polled', mapping('{"key": "id", "watermark": "n"}'), feed => 'poll');
SELECT key, action FROM has ORDER BY 1;
SELECT source_key, reason, sqlstate FROM crm.source_rejects;
SELECT watermark, next_watermark FROM crm.sources;
-- equal to the watermark, higher, NULL; one that is lower and late is not seen, but found by resync_source
INSERT INTO base (id, c, what, n) VALUES (6, 'f', 'equal', 4), (7, 'g', 'higher', 9), (8, 'h', 'null', NULL), (9, 'i', 'late', 3);
UPDATE base SET what = 'five again' WHERE id = 5;
CALL crm.feed();
SELECT key, action FROM has ORDER BY 1;
SELECT watermark, next_watermark FROM crm.sources;
INSERT INTO base (id, c, what, n) VALUES (10, 'j', 'within poll_overlap', 5);
CALL crm.feed();
SELECT key, action FROM has WHERE key = '10';
UPDATE crm.sources SET poll_overlap = '0';
CALL crm.feed();
CALL crm.feed();
SELECT watermark, next_watermark FROM crm.sources;
INSERT INTO base (id, c, what, n) VALUES (11, 'k', 'after that', 5);
CALL crm.feed();
SELECT key, action FROM has WHERE key = '11';
SELECT source_key, problem FROM crm.check_source('polled');
DELETE FROM base WHERE id = 1 OR id IS NULL;
SELECT crm.resync_source('polled');
SELECT key, action FROM has ORDER BY 1;
SELECT * FROM crm.check_source('polled');
SELECT count(*) FROM crm.source_rejects;
-- one row that can't be read does not hide others
UPDATE base SET n = 20, c = NULL WHERE id = 7;
INSERT INTO base (id, c, what, n) VALUES (12, 'l', repeat('x', 300), 20), (13, 'm', 'fine', 20), (NULL, 'n', 'nobody', 20);
CALL crm.feed();
SELECT source_key, sqlstate FROM crm.source_rejects ORDER BY 1;
SELECT key, action FROM has WHERE key > '12';
SELECT * FROM crm.check_source('polled');
SELECT * FROM state;
SELECT crm.detach_source('polled', false);
SELECT count(*) FROM crm.source_rejects;
-- other types; what is yet to come moves no watermark, and is read again and again
UPDATE base SET seen = now() - interval '1 h', day = current_date - 1, local = now() - interval '1 h', code = '01A';
INSERT INTO base (id, c, what, seen, day, local, code) VALUES (20, 'o', 'future', 'infinity', current_date + 99, '2999-01-01', '01B');
DELETE FROM base WHERE id IS NULL OR id = 12;
SELECT crm.attach_source('polled', mapping(jsonb_build_object('key', 'id', 'watermark', w)), w, feed => 'poll') FROM unnest('{seen,day,local,code}'::text[]) w;
SELECT source, watermark::date < current_date + 1 FROM crm.sources WHERE source <> 'code' ORDER BY 1;
INSERT INTO base (id, c, what, seen, day, local, code) VALUES (21, 'p', 'now', now(), current_date, now(), '01C');
UPDATE base SET what = 'still to come' WHERE id = 20;
CALL crm.feed();
SELECT source, key, action FROM has WHERE key >= '20' ORDER BY 1, 2;
SELECT source, crm.detach_source(source, false) FROM crm.sources ORDER BY 1;
-- a materialized view, by a key of two columns of which one may be NULL
CREATE MATERIALIZED VIEW sums AS SELECT c, at::date AS day, max(at) AS at, 'sum' || count(*) AS what, max(id) AS last FROM base GROUP BY GROUPING SETS ((c, at::date), (c));
SELECT crm.attach_source('sums', mapping('{"key": ["c", "day"], "watermark": "last"}'), feed => 'poll');
INSERT INTO base (id, c, what) VALUES (30, 'p', 'p'), (31, 'q', repeat('x', 300));
REFRESH MATERIALIZED VIEW sums;
CALL crm.feed();
SELECT key, action FROM has WHERE key ~ '[pq]' ORDER BY 1;
SELECT * FROM crm.check_source('sums');
SELECT crm.detach_source('sums', false);
DROP MATERIALIZED VIEW sums;
DROP VIEW polled;
DROP TABLE base;

-- ---- writers and owners -----------------------------------------------------------
CREATE ROLE regress_poll_app NOINHERIT;
CREATE SCHEMA app;
CREATE UNLOGGED TABLE app.t (a int, id int GENERATED ALWAYS AS (a * 2) STORED PRIMARY KEY, at timestamptz DEFAULT '2026-01-01', c text, what text);
ALTER TABLE app.t OWNER TO regress_poll_app;
ALTER TABLE app.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON app.t USING (c <> 'hidden');
GRANT USAGE ON SCHEMA app TO regress_poll_app;
SELECT crm.attach_source('app.t', mapping('{}'));
CREATE FUNCTION app.write(int) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp AS $$ INSERT INTO app.t (a, c, what) VALUES ($1, 'defined', 'd') $$;
ALTER FUNCTION app.write OWNER TO regress_poll_app;
SET ROLE regress_poll_app;
INSERT INTO app.t (a, c, what) VALUES (1, 'x', 'one'), (2, 'y', 'two');
SELECT app.write(3);
UPDATE app.t SET a = 5 WHERE a = 2;
BEGIN TRANSACTION READ ONLY;
SELECT count(*) FROM app.t;
SELECT r.state FROM refused($$UPDATE app.t SET c = 'z'$$) r;
COMMIT;
RESET ROLE;
CALL crm.feed();
SELECT key, action FROM has ORDER BY 1;
-- another schema, name and owner; the new owner is not trusted yet
CREATE SCHEMA other;
ALTER TABLE app.t SET SCHEMA other;
ALTER TABLE other.t RENAME TO moved;
INSERT INTO other.moved (a, c, what) VALUES (7, 'm', 'moved');
CALL crm.feed();
SELECT key FROM has WHERE action = 'moved';
CREATE ROLE regress_poll_other;
ALTER TABLE other.moved OWNER TO regress_poll_other;
INSERT INTO other.moved (a, c, what) VALUES (8, 'n', 'owned');
\set VERBOSITY terse
CALL crm.feed();
\set VERBOSITY default
SELECT source, state, pending FROM state;
UPDATE crm.sources SET trusts = trusts || 'regress_poll_other'::name;
CALL crm.feed();
SELECT source, state, pending FROM state;
-- triggers that were off for a moment, all of them or one, and those that a session lets rest, which nobody can see
BEGIN;
ALTER TABLE other.moved DISABLE TRIGGER ALL;
INSERT INTO other.moved (a, c, what) VALUES (9, 'o', 'silent');
ALTER TABLE other.moved ENABLE TRIGGER ALL;
COMMIT;
SELECT source, state FROM state;
CALL crm.feed();
SELECT source, state FROM state;
SELECT key FROM has WHERE action = 'silent';
SET session_replication_role = replica;
DELETE FROM other.moved WHERE a = 9;
RESET session_replication_role;
CALL crm.feed();
SELECT source_key, problem FROM crm.check_source('t');
SELECT crm.resync_source('t');
-- a temporary table is none
CREATE TEMP TABLE passing (id int PRIMARY KEY, at timestamptz, c text, what text);
SELECT r.message FROM refused($$SELECT crm.attach_source('passing', mapping('{}'))$$) r;

-- A dump that was restored where the table has the same number, but its columns have not, and one has been renamed since
-- they were looked at
ALTER TABLE other.moved RENAME what TO told;
CALL crm.feed();
UPDATE crm.sources s
SET relation_id = '1/2/' || s.relation::oid, key_columns = array(SELECT k + 1 FROM unnest(s.key_columns) k),
    columns = (SELECT jsonb_object_agg(c.key::int + 1, c.value) FROM jsonb_each(s.columns) c),
    columns_seen = (SELECT jsonb_object_agg(c.key::int + 1, c.value) FROM jsonb_each(s.columns_seen) c);
INSERT INTO other.moved (a, c, told) VALUES (10, 'p', 'restored');
CALL crm.feed();
SELECT key_columns, columns, relation_id = crm.id_of_table(relation) AS known FROM crm.sources;
SELECT key FROM has WHERE action = 'restored';
SELECT source, state, last_error FROM state;
SELECT * FROM crm.check_source('t');

-- A key that is taken again: changes of the row before are none of the next one's
CREATE TABLE talk (id int PRIMARY KEY, c text, status int DEFAULT 0, at timestamptz DEFAULT '2026-01-01');
SELECT crm.attach_source('talk', '{"makes": "evidence", "channel": "''desk''", "identifiers": {"c": "c"},
    "on_change": {"column": "status", "at": "at", "actions": {"1": "resolved", "2": "closed"}, "initially": {"0": "opened"}}}');
CREATE VIEW changes AS SELECT regexp_replace(source_key, '/\d+$', CASE WHEN source_key ~ '/0$' THEN '/0' ELSE '/n' END) AS change, action
    FROM crm.touchpoints WHERE source = 'talk' ORDER BY source_key;
INSERT INTO talk VALUES (1, 'a'), (2, 'b');
UPDATE talk SET status = 1;
CALL crm.feed();
SELECT * FROM changes;
DELETE FROM talk WHERE id = 1;
INSERT INTO talk VALUES (1, 'x');
UPDATE talk SET status = 2;
CALL crm.feed();
SELECT * FROM changes;
UPDATE talk SET status = 1 WHERE id = 1;
DELETE FROM talk WHERE id = 1;
INSERT INTO talk VALUES (1, 'y');
CALL crm.feed();
SELECT * FROM changes;
BEGIN;
UPDATE talk SET status = 1;
TRUNCATE talk;
INSERT INTO talk VALUES (1, 'z'), (3, 'c');
UPDATE talk SET status = 2 WHERE id = 3;
COMMIT;
CALL crm.feed();
SELECT * FROM changes;

-- what a row was is not known without triggers; a table with children has none
CREATE TABLE parent (id integer NOT NULL, email text, at timestamptz);
CREATE TABLE heir (more text) INHERITS (parent);
\set SHOW_CONTEXT never
SELECT crm.attach_source('parent', '{"key": "id", "watermark": "at", "makes": "evidence", "channel": "''x''", "identifiers": {"email": "email"},
    "on_change": {"column": "email", "action": "''moved''"}}', feed => 'poll');
SELECT crm.attach_source('parent', '{"key": "id", "occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"email": "email"}}');
\set SHOW_CONTEXT errors
SELECT crm.attach_source('parent', '{"key": "id", "watermark": "at", "occurred_at": "at", "channel": "''x''", "action": "''y''",
    "identifiers": {"email": "email"}}', feed => 'poll');
INSERT INTO heir VALUES (1, 'heir@x', '2026-01-01Z');
CALL crm.feed();
SELECT source_key FROM crm.touchpoints WHERE source = 'parent';

DROP VIEW has, state, changes;
SELECT journey_drop_hub('crm', true);
DROP SCHEMA app, other CASCADE;
DROP ROLE regress_poll_app, regress_poll_other;
DROP TABLE talk, parent, heir;
DROP FUNCTION mapping, refused;
