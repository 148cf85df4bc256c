-- The queue of attached tables: what triggers note, and that nothing of the hub's can stop who writes; what feed()
-- makes of it, and what becomes of it when the application changes.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;
SET timezone = 'UTC';

-- ---- journey_changed_rows ----------------------------------------------------
CREATE TABLE seen (n serial, op text, key text[], gone boolean, before text[], after text[]);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen (op, key, gone, before, after)
    SELECT TG_OP, c.key, c.gone, c.before, c.after
    FROM journey_changed_rows(TG_ARGV[0]::oid, TG_ARGV[1]::smallint[], TG_ARGV[2]::smallint[], TG_ARGV[3]::smallint[]) c;
    RETURN NULL;
END $$;
CREATE FUNCTION watch(target regclass, root regclass, key text, used text, kept text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    args text := format('%s, %L%s', root::oid, key, CASE WHEN used IS NOT NULL THEN format(', %L, %L', used, kept) ELSE '' END);
BEGIN
    EXECUTE format('CREATE TRIGGER look_i AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION look(%s)', target, args);
    EXECUTE format('CREATE TRIGGER look_u AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION look(%s)', target, args);
    EXECUTE format('CREATE TRIGGER look_d AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION look(%s)', target, args);
END $$;
CREATE FUNCTION seen() RETURNS SETOF text LANGUAGE sql AS $$
    WITH s AS (DELETE FROM seen RETURNING *)
    SELECT concat_ws(' ', lower(op), CASE WHEN gone THEN 'gone' END, key::text, before::text || '->' || after::text) FROM s ORDER BY n $$;

-- key 2, used 3 and 5 and 6, kept 5; 1 was dropped; 9 there is not
CREATE TABLE t (gone int, id int PRIMARY KEY, a text, unused text, status int, big text);
ALTER TABLE t ALTER big SET STORAGE EXTERNAL, DROP COLUMN gone;
SELECT watch('t', 't', '{2}', '{1,3,5,6,9}', '{5,1,9}');
INSERT INTO t (id, a, status) SELECT i, 'a' || i, 0 FROM generate_series(1, 3) i;
SELECT seen();
INSERT INTO t (id) SELECT 1 WHERE false;
UPDATE t SET unused = 'x', a = a, status = status WHERE id < 3;
UPDATE t SET a = 'b' WHERE false;
DELETE FROM t WHERE false;
SELECT seen();
UPDATE t SET a = 'b' || id WHERE id < 3;
UPDATE t SET a = NULL WHERE id = 3;
UPDATE t SET status = status + 1, a = 'c' WHERE id < 3;
SELECT seen();
-- keys that change and swap places
ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id) DEFERRABLE;
UPDATE t SET id = CASE id WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE 30 END, status = CASE id WHEN 1 THEN 9 ELSE status END;
SELECT seen();
ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id);
-- what stands out of line is not fetched while it stands there, and compared if not
UPDATE t SET big = repeat('x', 10000) WHERE id = 1;
SELECT seen();
UPDATE t SET unused = 'y' WHERE id = 1;
UPDATE t SET big = repeat('x', 10000) WHERE id = 1;
SELECT seen();
UPDATE t SET big = repeat('x', 9999) || 'y' WHERE id = 1;
SELECT seen();
-- ON CONFLICT, MERGE, COPY
INSERT INTO t (id, a) VALUES (1, 'd'), (4, 'e') ON CONFLICT (id) DO UPDATE SET a = excluded.a;
SELECT seen();
INSERT INTO t (id, a) VALUES (4, 'e') ON CONFLICT (id) DO NOTHING;
MERGE INTO t USING (VALUES (1), (4), (5)) v(id) ON t.id = v.id WHEN MATCHED AND t.id = 1 THEN DELETE
WHEN MATCHED THEN UPDATE SET a = 'f' WHEN NOT MATCHED THEN INSERT (id, a) VALUES (v.id, 'g');
SELECT seen() ORDER BY 1;
COPY t (id, a) FROM stdin;
6	h
7	\N
\.
SELECT seen();
-- writable CTEs are statements of their own
WITH d AS (DELETE FROM t WHERE id = 6 RETURNING a) INSERT INTO t (id, a) SELECT 8, a FROM d;
SELECT seen() ORDER BY 1;
-- referential actions
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON UPDATE CASCADE ON DELETE SET NULL, q int REFERENCES parent ON DELETE CASCADE);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1, 1, NULL), (2, 1, 2), (3, 2, NULL);
SELECT watch('child', 'child', '{1}', '{2}', '{}');
UPDATE parent SET id = 10 WHERE id = 1;
SELECT seen();
DELETE FROM parent WHERE id = 10;
SELECT seen();
DELETE FROM parent WHERE id = 2;
SELECT seen() ORDER BY 1;
DROP TABLE child, parent;
-- all columns, and none
CREATE TABLE whole (a int, b text);
SELECT watch('whole', 'whole', '{1,2}', NULL, NULL);
INSERT INTO whole VALUES (1, 'x'), (1, 'x'), (NULL, NULL);
UPDATE whole SET b = 'y' WHERE a = 1;
UPDATE whole SET b = b;
SELECT seen();
DROP TABLE whole;
-- partitions have their columns in another order; rows move between them, or are kept from moving
CREATE TABLE part (id int, at date, a text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE part_2 (a text, at date NOT NULL, x int, id int NOT NULL);
ALTER TABLE part_2 DROP COLUMN x;
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
SELECT watch(p, 'part', '{1,2}', '{3}', '{3}') FROM unnest('{part,part_1,part_2}'::regclass[]) p;
INSERT INTO part VALUES (1, '2026-01-05', 'x'), (2, '2026-02-05', 'y');
INSERT INTO part_2 (id, at, a) VALUES (3, '2026-02-06', 'z');
UPDATE part_2 SET a = 'w' WHERE id = 3;
UPDATE part_2 SET a = a;
DELETE FROM part_2 WHERE id = 3;
SELECT seen();
UPDATE part SET at = at + 31 WHERE id = 1;
SELECT seen();
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER stay BEFORE INSERT ON part_1 FOR EACH ROW EXECUTE FUNCTION stay();
UPDATE part SET at = at - 31 * (id % 2), a = 'v';
SELECT seen() ORDER BY 1;
-- what was a partition once is not the table any more
ALTER TABLE part DETACH PARTITION part_2;
INSERT INTO part_2 (id, at, a) VALUES (9, '2026-02-06', 'z');
SELECT seen();
DROP TABLE part, part_2;
-- the same text in whatever session
CREATE TABLE texts (at timestamptz, f float8, i interval, b bytea, d date, PRIMARY KEY (at, f, i, b, d));
SELECT watch('texts', 'texts', '{1,2,3,4,5}', '{}', '{}');
SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'; SET extra_float_digits = -5; SET bytea_output = 'escape';
INSERT INTO texts VALUES ('2026-03-01 12:00Z', 1.0 / 3, '1 day 2 hours', '\x00ff', '2026-12-31');
SELECT current_setting('datestyle'), current_setting('timezone');
SET timezone = 'UTC'; RESET datestyle; RESET intervalstyle; RESET extra_float_digits; RESET bytea_output;
SELECT seen();
DROP TABLE texts;
\x on
SELECT r.* FROM refused('SELECT * FROM journey_changed_rows(1, ''{1}'')') r;
SELECT r.state, r.message FROM refused('SELECT * FROM journey_changed_rows(NULL, ''{1}'')') r;
\x off
SELECT r.* FROM refused('SELECT journey_note_rows(''crm'', 1, NULL, 1, ''{1}'')') r;
SELECT journey_note_rows('there is no such hub', 1, NULL, 1, NULL);
-- nor rows of two types, whoever has a table of notes of his own
CREATE SCHEMA own_notes
    CREATE TABLE feed_notes (note_id bigint GENERATED ALWAYS AS IDENTITY, source_id int, lookup text, key text[], gone boolean, before text[], after text[], noted_at timestamptz, place bigint)
    CREATE TABLE numbers (x bigint, y bigint) CREATE TABLE texts (x text, y text);
SELECT journey_note_row('own_notes', 1, NULL, 'own_notes.texts'::regclass, '{1,2}', '{1,2}', '{1,2}', ROW(72340172838076673, 5)::own_notes.numbers, ROW('x', 'y')::own_notes.texts);
SELECT journey_note_row('own_notes', 1, NULL, 0, '{1,2}', '{1,2}', '{1,2}', ROW(72340172838076673, 5::bigint), ROW('x'::text, 'y'::text));
SELECT source_id, key, gone FROM own_notes.feed_notes;
DROP SCHEMA own_notes CASCADE;
DROP TABLE t;

-- ---- feed() --------------------------------------------------------------------
SELECT journey_create_hub('crm');
CREATE SCHEMA app;
CREATE TABLE app.orders (
    gone int, id int PRIMARY KEY, customer text, email text, total numeric, status text DEFAULT 'open',
    at timestamptz NOT NULL DEFAULT '2026-01-01', note text);
ALTER TABLE app.orders DROP COLUMN gone;
INSERT INTO app.orders (id, customer, email, total) VALUES (1, 'c1', 'e1', 1), (2, 'c2', NULL, 2), (3, NULL, NULL, 3);
CREATE FUNCTION mapping() RETURNS json LANGUAGE sql AS $$ SELECT '{"occurred_at": "at", "channel": "''store''", "action": "status",
    "value": "total", "identifiers": {"crm": "customer", "email": "email"}, "where": "status <> ''draft''"}'::json $$;
SELECT crm.attach_source('app.orders', mapping(), 'shop');
CREATE VIEW has AS SELECT t.source_key AS key, t.action, t.value, string_agg(j.identifier::text, ' ' ORDER BY j.identifier) AS customer
    FROM crm.touchpoints t JOIN crm.identities i USING (identity_id) JOIN crm.identities j USING (customer_id) GROUP BY 1, 2, 3;
CREATE VIEW state AS SELECT source, part, feed, state, pending, oldest IS NOT NULL AS late, rejected, last_error FROM crm.source_progress;
CREATE FUNCTION flaws() RETURNS TABLE (flaw text, n bigint) LANGUAGE sql STABLE AS $$
    SELECT * FROM (VALUES
        ('keys', (SELECT count(*) FROM crm.touchpoint_keys k FULL JOIN (SELECT * FROM crm.touchpoints WHERE source_key IS NOT NULL) t
                  ON (t.touchpoint_id, t.occurred_at, t.source, t.source_key) = (k.touchpoint_id, k.occurred_at, k.source, k.source_key)
                  WHERE k.source IS NULL OR t.source IS NULL)),
        ('customers', (SELECT count(*) FROM crm.stitch_check())),
        ('resync', (SELECT sum(crm.resync(s.source_id)) FROM crm.sources s WHERE s.detached_at IS NULL AND s.last_error IS NULL))) v(flaw, n)
    WHERE n > 0 $$;
SELECT * FROM state;
-- the function is where the table is, and belongs to the hub's owner
SELECT p.oid::regprocedure, p.prosecdef, p.proowner = n.nspowner AS hubs, p.proconfig, proacl IS NOT NULL AS private
FROM pg_proc p, pg_namespace n WHERE proname LIKE '%\_note\_%' AND prorettype = 'trigger'::regtype AND n.nspname = 'crm';
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'app.orders'::regclass ORDER BY 1;

-- by anybody, at any isolation level
CREATE ROLE regress_feed_app;
GRANT USAGE ON SCHEMA app TO regress_feed_app;
GRANT INSERT, UPDATE (total, customer), DELETE, SELECT (id) ON app.orders TO regress_feed_app;
SET ROLE regress_feed_app;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO app.orders (id, customer) VALUES (4, 'c4');
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE app.orders SET customer = 'c33' WHERE id = 3;
DELETE FROM app.orders WHERE id = 2;
COMMIT;
BEGIN;
INSERT INTO app.orders (id, customer) VALUES (5, 'c5');
ROLLBACK;
RESET ROLE;
SELECT count(*) FROM pg_locks WHERE relation::regclass::text LIKE 'crm.%' AND pid = pg_backend_pid();
SELECT source, pending, late FROM state;
SELECT key, gone FROM crm.feed_notes ORDER BY note_id;
SELECT key FROM has ORDER BY 1;
CALL crm.feed();
SELECT * FROM has ORDER BY 1;
SELECT * FROM state;
SELECT * FROM flaws();
-- updates coalesce; what is no touchpoint any more goes, and comes back; rows of which nothing can be made
UPDATE app.orders SET total = total + 1;
UPDATE app.orders SET total = total + 1;
UPDATE app.orders SET status = 'draft' WHERE id = 1;
INSERT INTO app.orders (id, customer, total) VALUES (6, NULL, 6), (7, 'c7', 'NaN'), (8, 'c8', 8);
CALL crm.feed();
SELECT * FROM has ORDER BY 1;
SELECT source_key, reason, sqlstate FROM crm.source_rejects ORDER BY 1;
UPDATE app.orders SET status = 'open' WHERE id = 1;
UPDATE app.orders SET customer = 'c6', total = 7 WHERE id IN (6, 7);
DELETE FROM app.orders WHERE id = 8;
CALL crm.feed();
SELECT * FROM has ORDER BY 1;
SELECT count(*) FROM crm.source_rejects;
SELECT * FROM flaws();
-- refresh and maintain feed first
INSERT INTO app.orders (id, customer) VALUES (9, 'c9');
SELECT crm.refresh() > 0;
SELECT key FROM has WHERE key = '9';
INSERT INTO app.orders (id, customer) VALUES (10, 'c10');
CALL crm.maintain(made => 0, dropped => 0, postponed => 0);
SELECT key FROM has WHERE key = '10';
-- keys change
UPDATE app.orders SET id = 11 WHERE id = 10;
ALTER TABLE app.orders DROP CONSTRAINT orders_pkey, ADD PRIMARY KEY (id) DEFERRABLE;
UPDATE app.orders SET id = CASE id WHEN 3 THEN 4 ELSE 3 END WHERE id IN (3, 4);
CALL crm.feed();
SELECT * FROM has ORDER BY 1;
SELECT * FROM flaws();

-- the application changes
ALTER TABLE app.orders RENAME TO sales;
ALTER TABLE app.sales RENAME total TO amount;
ALTER TABLE app.sales ALTER amount TYPE integer USING amount::integer;
ALTER TABLE app.sales DROP COLUMN note, ADD COLUMN extra int DEFAULT 1;
ALTER TABLE app.sales ALTER customer TYPE varchar(20);
UPDATE app.sales SET amount = 100 WHERE id = 1;
CALL crm.feed();
SELECT * FROM has WHERE key = '1';
SELECT * FROM state;
SELECT relation_name, columns_seen FROM crm.sources;
-- a column that is gone: nothing is lost, others go on
CREATE TABLE app.other (id int PRIMARY KEY, c text, at timestamptz DEFAULT '2026-01-01');
SELECT crm.attach_source('app.other', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"crm": "c"}}');
ALTER TABLE app.sales DROP COLUMN amount;
UPDATE app.sales SET email = 'late' WHERE id = 9;
INSERT INTO app.other VALUES (1, 'o1');
CALL crm.feed();
SELECT * FROM state ORDER BY 1;
SELECT key FROM has WHERE customer = 'crm:o1';
SELECT retry_at > last_error_at FROM crm.sources WHERE source = 'shop';
SELECT crm.refresh() > 0;
ALTER TABLE app.sales ADD COLUMN amount numeric DEFAULT 5;
CALL crm.feed();
SELECT * FROM state ORDER BY 1;
SELECT * FROM has WHERE key IN ('1', '9');
SELECT * FROM flaws();
-- TRUNCATE
INSERT INTO app.other VALUES (2, 'o2');
BEGIN;
TRUNCATE app.other;
INSERT INTO app.other VALUES (3, 'o3');
COMMIT;
CALL crm.feed();
SELECT source_key FROM crm.touchpoints WHERE source = 'other';
-- DISABLE TRIGGER: told while it is so, and mended when it ends
ALTER TABLE app.other DISABLE TRIGGER USER;
INSERT INTO app.other VALUES (4, 'o4');
DELETE FROM app.other WHERE id = 3;
SELECT state FROM state WHERE source = 'other';
CALL crm.feed();
ALTER TABLE app.other ENABLE TRIGGER USER;
SELECT state FROM state WHERE source = 'other';
CALL crm.feed();
SELECT state FROM state WHERE source = 'other';
SELECT source_key FROM crm.touchpoints WHERE source = 'other';
-- triggers that were dropped, a table that is another one
DROP TRIGGER crm_insert_other ON app.other;
DROP TRIGGER crm_update_other ON app.other;
DROP TRIGGER crm_delete_other ON app.other;
DROP TRIGGER crm_truncate_other ON app.other;
INSERT INTO app.other VALUES (5, 'o5');
SELECT state FROM state WHERE source = 'other';
CALL crm.feed();
SELECT source_key FROM crm.touchpoints WHERE source = 'other' ORDER BY 1;
DROP TABLE app.other;
SELECT state FROM state WHERE source = 'other';
CALL crm.feed();
CREATE TABLE app.other (x int, at timestamptz DEFAULT '2026-01-01', c text, id int PRIMARY KEY);
INSERT INTO app.other (id, c) VALUES (5, 'o5'), (6, 'o6');
CALL crm.feed();
INSERT INTO app.other (id, c) VALUES (7, 'o7');
CALL crm.feed();
SELECT state, last_error FROM state WHERE source = 'other';
SELECT source_key FROM crm.touchpoints WHERE source = 'other' ORDER BY 1;
SELECT * FROM flaws();
-- the hub is renamed, and the source detached: with what was noted
INSERT INTO app.other (id, c) VALUES (8, 'o8');
SELECT journey_rename_hub('crm', 'cdp');
INSERT INTO app.other (id, c) VALUES (9, 'o9');
SELECT cdp.detach_source('other');
SELECT source_key FROM cdp.touchpoints WHERE source = 'other' ORDER BY 1;
SELECT cdp.detach_source('other', keep => false);
SELECT count(*) FROM cdp.touchpoints WHERE source = 'other';
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.other'::regclass;
SELECT journey_rename_hub('cdp', 'crm');
-- only the hub's owner feeds, outside a transaction
\x on
SET ROLE regress_feed_app;
SELECT r.state FROM refused('CALL crm.feed()') r;
RESET ROLE;
BEGIN;
SELECT r.state, r.message FROM refused('CALL crm.feed()') r;
COMMIT;
\x off
\set VERBOSITY terse
CALL crm.feed(source => 'nobody');
\set VERBOSITY default
-- the hub goes without a word, then the function remains and does nothing
DROP VIEW has, state;
DROP SCHEMA crm CASCADE;
INSERT INTO app.sales (id, customer) VALUES (100, 'x');
UPDATE app.sales SET customer = 'y';
DELETE FROM app.sales WHERE id = 100;
TRUNCATE app.sales;
DROP SCHEMA app CASCADE;

-- ---- other feeds ----------------------------------------------------------------
SELECT journey_create_hub('crm');
CREATE VIEW has AS SELECT source, source_key AS key, occurred_at, action, value FROM crm.touchpoints;
CREATE VIEW state AS SELECT source, part, feed, state, pending, rejected, last_error FROM crm.source_progress;
CREATE TABLE ev (id int PRIMARY KEY, at timestamptz DEFAULT '2026-01-01', c text, what text, seen_at timestamptz DEFAULT now());
INSERT INTO ev VALUES (1, '2026-01-01', 'a', 'x');
CREATE FUNCTION event_mapping() RETURNS json LANGUAGE sql AS $$ SELECT '{"occurred_at": "at", "channel": "''web''", "action": "what", "identifiers": {"c": "c"}}'::json $$;
-- row: triggers that always fire
SELECT crm.attach_source('ev', event_mapping(), feed => 'row');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'ev'::regclass ORDER BY 1;
SET session_replication_role = replica;
INSERT INTO ev VALUES (2, '2026-01-01', 'a', 'y'), (3, '2026-01-01', 'b', 'z');
UPDATE ev SET id = 4 WHERE id = 3;
UPDATE ev SET seen_at = now();
DELETE FROM ev WHERE id = 1;
RESET session_replication_role;
SELECT key, gone FROM crm.feed_notes ORDER BY note_id, gone DESC;
CALL crm.feed();
SELECT key, action FROM has ORDER BY 1;
SELECT crm.detach_source('ev', false);
-- immediate: in the same transaction, but not while the backfill is not done
SELECT crm.attach_source('ev', event_mapping(), backfill => false, feed => 'immediate');
INSERT INTO ev VALUES (5, '2026-01-01', 'c', 'w');
SELECT state, pending FROM state;
CALL crm.backfill_source('ev');
SELECT key, action FROM has ORDER BY 1;
INSERT INTO ev VALUES (6, '2026-01-01', 'c', 'v'), (7, '2026-01-01', NULL, 'u');
UPDATE ev SET what = 'changed' WHERE id = 5;
UPDATE ev SET id = 8 WHERE id = 2;
DELETE FROM ev WHERE id = 4;
SELECT key, action FROM has ORDER BY 1;
SELECT * FROM state;
SELECT crm.detach_source('ev', false);
-- poll: by the time of rows, without triggers
ALTER TABLE ev RENAME TO polled;
DELETE FROM polled WHERE id = 7;
SELECT crm.attach_source('polled', (event_mapping()::jsonb || '{"key": "id", "watermark": "seen_at"}')::json, feed => 'poll');
SELECT key, action FROM has ORDER BY 1;
INSERT INTO polled VALUES (20, '2026-01-01', 'c', 'polled');
CALL crm.feed();
SELECT key, action FROM has WHERE key = '20';
UPDATE polled SET what = 'again', seen_at = now() + interval '1 h' WHERE id = 20;
CALL crm.feed();
UPDATE polled SET what = 'too old', seen_at = '2020-01-01' WHERE id = 6;
DELETE FROM polled WHERE id = 5;
CALL crm.feed();
SELECT key, action FROM has ORDER BY 1;
SELECT crm.resync(max(source_id)) FROM crm.sources;
SELECT key, action FROM has ORDER BY 1;
SELECT * FROM state;
SELECT crm.detach_source('polled', false);
-- a log without a key
CREATE TABLE log (at timestamptz, who text, what text);
INSERT INTO log VALUES ('2026-01-01', 'a', 'x'), ('2026-01-01', 'a', 'x'), ('2026-01-01', 'b', 'y');
SELECT crm.attach_source('log', '{"occurred_at": "at", "channel": "''web''", "action": "what", "key": "*", "identifiers": {"c": "who"}}');
INSERT INTO log VALUES ('2026-01-01', 'c', 'z');
DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log);
UPDATE log SET what = 'w' WHERE who = 'b';
CALL crm.feed();
SELECT action FROM has ORDER BY 1;
DELETE FROM log WHERE who = 'a';
CALL crm.feed();
SELECT action FROM has ORDER BY 1;
SELECT * FROM state;
SELECT crm.resync(max(source_id)) FROM crm.sources;
SELECT crm.detach_source('log', false);
-- parts of a source
CREATE TABLE a (id int PRIMARY KEY, at timestamptz DEFAULT '2026-01-01', c text);
CREATE TABLE b (id int PRIMARY KEY, at timestamptz DEFAULT '2026-01-01', c text);
INSERT INTO a VALUES (1, '2026-01-01', 'a1');
INSERT INTO b VALUES (1, '2026-01-01', 'b1');
SELECT crm.attach_source(t, '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"c": "c"}}', 'both', part => t::text)
FROM unnest('{a,b}'::regclass[]) t;
INSERT INTO a VALUES (2, '2026-01-01', 'a2');
INSERT INTO b VALUES (2, '2026-01-01', 'b2');
CALL crm.feed(source => 'both');
SELECT key FROM has ORDER BY 1;
TRUNCATE b;
CALL crm.feed();
SELECT key FROM has ORDER BY 1;
SELECT * FROM state ORDER BY 2;
SELECT crm.detach_source('both', false, 'a');
SELECT key FROM has ORDER BY 1;
SELECT crm.detach_source('both', false);
-- what is looked up, and changes that are touchpoints of their own
CREATE TABLE inbox (id int PRIMARY KEY, kind text, unused text);
CREATE TABLE conv (id int PRIMARY KEY, inbox_id int, email text, status int DEFAULT 0, updated timestamptz DEFAULT '2026-01-02');
INSERT INTO inbox VALUES (1, 'chat', ''), (2, 'mail', '');
INSERT INTO conv VALUES (1, 1, 'a@x'), (2, 2, 'b@x'), (3, NULL, 'c@x');
SELECT crm.attach_source('conv', '{"occurred_at": "''2026-01-01Z''::timestamptz", "channel": "coalesce(inbox.kind, ''none'')", "action": "''opened''",
    "identifiers": {"email": "email"}, "lookups": {"inbox": "inbox(id = inbox_id)"},
    "on_change": {"column": "status", "at": "updated", "actions": {"0": "reopened", "1": "resolved"}}}');
UPDATE inbox SET unused = 'x';
SELECT count(*) FROM crm.feed_notes;
UPDATE inbox SET kind = 'sms' WHERE id = 1;
UPDATE conv SET status = 1, updated = '2026-01-03' WHERE id < 3;
UPDATE conv SET status = 0, updated = '2026-01-04' WHERE id = 1;
UPDATE conv SET status = 7, updated = '2026-01-05' WHERE id = 2;
CALL crm.feed();
SELECT split_part(key, '/', 1) AS conv, action, occurred_at FROM has ORDER BY 1, 3, 2;
SELECT crm.resync(max(source_id)) FROM crm.sources;
DELETE FROM conv WHERE id = 1;
DELETE FROM inbox WHERE id = 2;
CALL crm.feed();
SELECT split_part(key, '/', 1) AS conv, action, occurred_at FROM has ORDER BY 1, 3, 2;
SELECT count(*) FROM crm.source_changes;
SELECT source_key, channel FROM crm.touchpoints WHERE source_key !~ '/' ORDER BY 1;
SELECT * FROM crm.stitch_check();
SELECT * FROM state;

-- ---- one trigger of several -------------------------------------------------
SELECT tgname, (SELECT count(*) FROM crm.source_triggers(source_id)) FROM pg_trigger, crm.sources WHERE tgrelid = 'conv'::regclass AND tgname LIKE 'crm_delete%' AND source = 'conv';
DROP TRIGGER crm_delete_conv ON conv;
SELECT state FROM state WHERE source = 'conv';
DELETE FROM conv WHERE id = 2;
CALL crm.feed();
SELECT state FROM state WHERE source = 'conv';
SELECT count(*) FROM crm.source_triggers((SELECT source_id FROM crm.sources WHERE source = 'conv')) WHERE lookup IS NULL;
SELECT source_key FROM crm.touchpoints WHERE source = 'conv' ORDER BY 1;
DROP TRIGGER "crm_update_conv inbox" ON inbox;
SELECT state FROM state WHERE source = 'conv';
UPDATE inbox SET kind = 'fax';
CALL crm.feed();
SELECT state FROM state WHERE source = 'conv';
SELECT * FROM crm.check_source('conv');

-- ---- changes go with what their rows tell -----------------------------------
CREATE TABLE talk (id int NOT NULL, day date, status int, gone boolean DEFAULT false, at text DEFAULT '2026-02-01Z', PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE talk_1 PARTITION OF talk FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE talk_2 PARTITION OF talk FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
SELECT crm.attach_source('talk', '{"makes": "evidence", "channel": "''chat''", "key": "id", "identifiers": {"talk": "id"}, "evidence_where": "NOT gone",
    "on_change": {"column": "status", "at": "at::timestamptz", "actions": {"1": "one", "2": "two"}, "initially": {"0": "zero"}}}');
CREATE FUNCTION told() RETURNS TABLE (key text, action text) LANGUAGE sql AS
    $$SELECT source_key, action FROM crm.touchpoints WHERE source = 'talk' ORDER BY split_part(source_key, '/', 1), touchpoint_id$$;
INSERT INTO talk SELECT i, CASE WHEN i < 4 THEN '2026-01-05'::date ELSE '2026-02-05' END, 0 FROM generate_series(1, 5) i;
UPDATE talk SET status = 1;
CALL crm.feed(source => 'talk');
SELECT split_part(key, '/', 1) AS key, action FROM told();
-- a row that is no evidence any more
UPDATE talk SET gone = true WHERE id = 1;
CALL crm.feed(source => 'talk');
-- a partition is truncated, and has the same keys again
TRUNCATE talk_1;
INSERT INTO talk VALUES (2, '2026-01-05', 0), (3, '2026-01-05', 0);
SELECT gone, key, before, after FROM crm.feed_notes ORDER BY note_id, key;
CALL crm.feed(source => 'talk');
SELECT split_part(key, '/', 1) AS key, action FROM told();
-- a value of which no time can be made stops no other
UPDATE talk SET status = 2, at = CASE WHEN id = 2 THEN 'soon' ELSE at END;
INSERT INTO talk VALUES (9, '2026-01-05', 0, false, 'never');
CALL crm.feed(source => 'talk');
SELECT split_part(key, '/', 1) AS key, action FROM told();
SELECT regexp_replace(source_key, '/[1-9].*', '/n') AS key, reason FROM crm.source_rejects WHERE source = 'talk' ORDER BY 1;
SELECT state, pending, rejected, last_error FROM state WHERE source = 'talk';
UPDATE talk SET at = '2026-02-02Z' WHERE id = 9;
DELETE FROM talk WHERE id = 2;
CALL crm.feed(source => 'talk');
SELECT split_part(key, '/', 1) AS key, action FROM told();
SELECT count(*) FROM crm.source_rejects WHERE source = 'talk';
SELECT * FROM crm.check_source('talk');
SELECT crm.detach_source('talk', keep => false);
SELECT count(*) FROM crm.source_changes WHERE source = 'talk';

DROP TABLE talk;
-- the same at once
CREATE TABLE talk (id int, line int, status int, gone boolean DEFAULT false, at text DEFAULT '2026-02-01Z', PRIMARY KEY (id, line));
SELECT crm.attach_source('talk', '{"makes": "evidence", "channel": "''chat''", "identifiers": {"talk": "id"}, "evidence_where": "NOT gone",
    "on_change": {"column": "status", "at": "at::timestamptz", "actions": {"1": "one", "2": "two"}, "initially": {"0": "zero"}}}', feed => 'immediate');
INSERT INTO talk (id, line, status, at) VALUES (1, 1, 0, '2026-02-01Z'), (1, 2, 0, 'never'), (1, 3, 0, '2026-02-01Z'), (1, 4, 1, '2026-02-01Z');
UPDATE talk SET status = 1 WHERE line <> 2;
SELECT split_part(key, '/', 1) AS key, action FROM told();
SELECT source_key, reason FROM crm.source_rejects WHERE source = 'talk';
UPDATE talk SET gone = true WHERE line = 3;
SELECT split_part(key, '/', 1) AS key, action FROM told();
SELECT * FROM crm.check_source('talk');
SELECT crm.detach_source('talk', keep => false);

-- ---- nobody's code runs in the trigger ---------------------------------------
CREATE ROLE regress_feed_evil;
CREATE SCHEMA evil AUTHORIZATION regress_feed_evil;
SELECT last_value + 1 AS next_id FROM crm.sources_source_id_seq \gset
SET ROLE regress_feed_evil;
CREATE TABLE evil.ran (who text);
SELECT format($$CREATE FUNCTION evil.crm_note_bait() RETURNS trigger LANGUAGE plpgsql AS
    E'\n-- notes of source %s for hub crm\nBEGIN INSERT INTO evil.ran VALUES (current_user); RETURN NULL; END'$$, :next_id) \gexec
CREATE FUNCTION evil.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO evil.ran VALUES (current_user); RETURN texteq($1, $2); END$$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq);
GRANT USAGE ON SCHEMA evil TO PUBLIC;
GRANT ALL ON evil.ran TO PUBLIC;
RESET ROLE;
CREATE TABLE bait (id int PRIMARY KEY, at timestamptz DEFAULT '2026-01-01', c text);
SELECT crm.attach_source('bait', '{"occurred_at": "at", "channel": "''web''", "action": "''x''", "identifiers": {"c": "c"}, "traits": {"c": "c"}}');
SELECT DISTINCT tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'bait'::regclass;
SET search_path = evil, pg_catalog, public;
INSERT INTO bait VALUES (1, DEFAULT, 'a');
UPDATE bait SET c = 'b';
TRUNCATE bait;
SELECT who FROM evil.ran;
RESET search_path;
SELECT count(*) FROM crm.feed_notes;
INSERT INTO bait VALUES (2, 'infinity', 'c');
CALL crm.feed(source => 'bait');
SELECT source_key, reason FROM crm.source_rejects WHERE source = 'bait';
SELECT crm.detach_source('bait', keep => false);
DROP TABLE bait;
DROP OWNED BY regress_feed_evil;
DROP ROLE regress_feed_evil;

DROP FUNCTION told;
DROP TABLE talk;
DROP VIEW has, state;
SELECT journey_drop_hub('crm', true);
DROP OWNED BY regress_feed_app;
DROP ROLE regress_feed_app;
DROP TABLE seen, polled, log, a, b, inbox, conv;
DROP FUNCTION look, watch, seen, stay, mapping, event_mapping, flaws, refused;
