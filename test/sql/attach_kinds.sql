-- Attached tables where they meet the world: the order of rows of one time, names of all kinds, clocks in a mapping, errors
-- that look like ours, whom reading trusts, what a mapping says before it is used.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET timezone = 'UTC';
SELECT journey_create_hub('crm');
CREATE VIEW path AS
SELECT t.source, string_agg(t.action, ' ' ORDER BY t.occurred_at, t.touchpoint_id) AS path FROM crm.touchpoints t GROUP BY t.source;

-- Rows of one time come in the order of their key, if that is of numbers or times; else in the order they are written in
CREATE TABLE ev (id bigint PRIMARY KEY, at timestamptz, cookie text, page text);
SELECT * FROM crm.attach_source('ev', '{"occurred_at":"at","channel":"''web''","action":"page","identifiers":{"cookie":"cookie"}}');
INSERT INTO ev VALUES (8, '2026-01-01Z', 'k', 'view'), (9, '2026-01-01Z', 'k', 'cart'), (10, '2026-01-01Z', 'k', 'buy');
CALL crm.feed();
SELECT journey_path(journey) FROM crm.current_journeys;
INSERT INTO ev VALUES (102, '2026-01-01Z', 'k', 'thanks'), (99, '2026-01-01Z', 'k', 'pay'), (100, '2026-01-01Z', 'k', 'paid');
CALL crm.feed();
UPDATE ev SET cookie = NULL WHERE id > 8;
CALL crm.feed();
UPDATE ev SET cookie = 'k';
CALL crm.feed();
SELECT * FROM path;
SELECT crm.detach_source('ev', keep => false);
TRUNCATE ev;
INSERT INTO ev SELECT n, '2026-01-01Z', 'k', 'p' || n FROM generate_series(12, 8, -1) n;
SELECT crm.attach_source('ev', '{"occurred_at":"at","channel":"''web''","action":"page","identifiers":{"cookie":"cookie"}}');
SELECT crm.attach_source('ev', '{"occurred_at":"at","channel":"''web''","action":"page","identifiers":{"cookie":"cookie"}}', 'later', backfill => false);
CALL crm.backfill_source('later');
SELECT * FROM path ORDER BY 1;
SELECT crm.detach_source('ev', keep => false), crm.detach_source('later', keep => false);
CREATE TABLE by_line (order_id smallint, line numeric, at timestamptz, c text, page text, PRIMARY KEY (order_id, line));
CREATE TABLE by_code (code text COLLATE "C" PRIMARY KEY, at timestamptz, c text, page text);
CREATE TABLE by_time (at timestamptz NOT NULL, n int NOT NULL, c text, page text, UNIQUE (at, n));
CREATE TABLE by_uuid (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), at timestamptz, c text, page text);
CREATE TABLE by_point (id xid NOT NULL, at timestamptz, c text, page text);  -- has no order
CREATE FUNCTION attach_all() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT t || ' ' || crm.attach_source(t::regclass, ('{"occurred_at": "at", "channel": "''web''", "action": "page", "identifiers": {"c": "c"}'
                                                       || CASE t WHEN 'by_time' THEN ', "key": "ROW(at, n)"' WHEN 'by_point' THEN ', "key": "id"' ELSE '' END || '}')::jsonb)
    FROM unnest('{by_line,by_code,by_time,by_uuid,by_point}'::text[]) t $$;
SELECT attach_all();
INSERT INTO by_line SELECT n / 10, n % 10, '2026-01-01', 'line', 'p' || n FROM generate_series(112, 97, -1) n;
INSERT INTO by_code SELECT 'k' || n, '2026-01-01', 'code', 'p' || n FROM generate_series(8, 12) n;
INSERT INTO by_time SELECT '2026-01-01', n, 'time', 'p' || n FROM generate_series(12, 8, -1) n;
INSERT INTO by_uuid (at, c, page) SELECT '2026-01-01', 'uuid', 'p' || n FROM generate_series(1, 1200) n;
INSERT INTO by_point SELECT n::text::xid, '2026-01-01', 'point', 'p' || n FROM generate_series(8, 12) n;
CALL crm.feed();
SELECT source, CASE source WHEN 'by_uuid' THEN (path = (SELECT string_agg('p' || n, ' ' ORDER BY n) FROM generate_series(1, 1200) n))::text ELSE path END
FROM path ORDER BY 1;
SELECT source, crm.detach_source(source, keep => false) FROM crm.sources ORDER BY 1;
INSERT INTO by_code SELECT c, '2026-01-01', 'code', c FROM unnest('{b,B,a,ä,z}'::text[]) c;
DELETE FROM by_uuid;
SELECT attach_all();
SELECT * FROM path ORDER BY 1;
SELECT source, crm.detach_source(source, keep => false) FROM crm.sources ORDER BY 1;
DROP TABLE by_line, by_code, by_time, by_uuid, by_point;
-- A backfill of several batches, of rows that lie the other way round, with a key of two columns, while keys and the key change
CREATE TABLE many (id integer, no smallint, at timestamptz, c text, PRIMARY KEY (id, no));
INSERT INTO many SELECT i / 3, i % 3, '2026-01-01', 'c' || i % 7 FROM generate_series(12000, 1, -1) i;
SELECT crm.attach_source('many', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"c": "c"}}', backfill => false);
CALL crm.backfill_source('many');
CREATE VIEW numbered AS
SELECT source, count(*), count(*) FILTER (WHERE touchpoint_id < before) AS out_of_order
FROM (SELECT t.source, t.touchpoint_id, lag(t.touchpoint_id) OVER (PARTITION BY t.source ORDER BY t.source_key::point <-> '(-1000000,0)', t.source_key) AS before FROM crm.touchpoints t) t
GROUP BY source;
SELECT * FROM numbered;
SELECT source, rows_done, next_key, next_block, read_by, pending FROM crm.sources;
SELECT crm.detach_source('many', keep => false);
SELECT crm.attach_source('many', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"c": "c"}}', backfill => false);
SELECT crm.backfill_batch(source_id) FROM crm.sources;
SELECT next_key, next_block, read_by::regclass FROM crm.sources;
UPDATE many SET id = 50000 WHERE id = 0;
UPDATE many SET id = -1 WHERE id = 3999;
ALTER TABLE many DROP CONSTRAINT many_pkey, ADD PRIMARY KEY (no, id);
SELECT crm.backfill_batch(source_id) FROM crm.sources;
SELECT next_key, next_block, read_by::regclass FROM crm.sources;
ALTER TABLE many DROP CONSTRAINT many_pkey;
SELECT crm.backfill_batch(source_id) > 1000 AS by_blocks FROM crm.sources;
VACUUM FULL many;
CALL crm.backfill_source('many');
SELECT count(*), count(DISTINCT source_key) FROM crm.touchpoints;
SELECT crm.detach_source('many', keep => false);
DROP VIEW numbered;
DROP TABLE many;

-- A column for every word in the templates, of a type that fits nothing, and of one that fits all; a table of such a name; and
-- expressions that use such columns
CREATE FUNCTION worded(name text, kind text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    words text[] := array(SELECT DISTINCT w.m[1] FROM journey_hub_template() t, regexp_matches(regexp_replace(t.script, '--[^\n]*', '', 'g'), '\m[a-z_][a-z_0-9]*\M', 'g') w(m)
                          WHERE t.part ~ '(source_tables|mapping|feed|attach|feeding)$' AND length(w.m[1]) < 64
                                AND w.m[1] <> ALL ('{gone,n,r,m,o,event,was,now,key,source,reason,state,place,tid,ctid,tableoid,xmin,xmax,cmin,cmax}'));
BEGIN
    EXECUTE format('CREATE TABLE %I (gone text, n bigint, r timestamptz, m text, o text, event text, was numeric, now boolean, key smallint, source text,
                                     reason text, state text, place text, tid text, %s, PRIMARY KEY (n, key)) PARTITION BY LIST (key)',
                   name, (SELECT string_agg(format('%I %s', u.word, kind), ', ') FROM unnest(words) u(word)));
    EXECUTE format('ALTER TABLE %I DROP COLUMN gone', name);
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', name || '_part', name);
    EXECUTE format('CREATE FUNCTION %I() RETURNS SETOF integer LANGUAGE sql BEGIN ATOMIC
                        INSERT INTO %1$I (n, r, m, o, event, was, now, key, source, reason, state, place, tid)
                        SELECT coalesce((SELECT max(x.n) FROM %1$I x), 0) + i, ''2026-01-01Z'', ''m'' || i, ''act'', ''ev'', CASE i WHEN 3 THEN ''NaN'' ELSE i::numeric END,
                               i <> 4, 1, ''s'', ''re'', ''st'', ''in'', ''EUR'' FROM generate_series(1, 5) i RETURNING 1; END', name);
    RETURN cardinality(words) > 800;
END $$;
CREATE FUNCTION mapping_of(name text) RETURNS text LANGUAGE sql AS $$
    SELECT format('{"occurred_at": "r", "channel": "event", "action": "o", "value": "was", "where": "now", "agent": "source", "campaign": "reason",
                    "identifiers": {"m": "m", "e": "%1$s.event || n"}, "conversation": "state || key", "direction": "place", "currency": "tid",
                    "attributes": "jsonb_build_object(''n'', %1$s.n, ''m'', m)"}', name) $$;
SELECT worded('event', 'point'), worded('columns_of_the_row', 'text');
SELECT count(*) FROM event(), columns_of_the_row();
SELECT source_key, wanted, reason, channel, value, attributes FROM crm.preview_source('event', mapping_of('event'), 4);
SELECT crm.attach_source('event', mapping_of('event')), crm.attach_source('columns_of_the_row', mapping_of('columns_of_the_row'), backfill => false);
CALL crm.backfill_source('columns_of_the_row');
SELECT count(*) FROM event(), columns_of_the_row();
UPDATE event SET m = m || 'm', was = 7 WHERE n > 1;
UPDATE columns_of_the_row SET m = m || 'm', was = 7 WHERE n > 1;
DELETE FROM event WHERE n = 2;
DELETE FROM columns_of_the_row WHERE n = 2;
MERGE INTO event e USING (VALUES (5), (6)) v(n) ON v.n = e.n WHEN MATCHED AND v.n = 5 THEN DELETE WHEN MATCHED THEN UPDATE SET now = false;
CALL crm.feed();
SELECT source, source_key, channel, action, value, currency, direction, agent, campaign, conversation, attributes FROM crm.touchpoints ORDER BY 1, 2;
SELECT source, source_key, reason FROM crm.source_rejects ORDER BY 1, 2;
SELECT * FROM crm.stitch_check();
TRUNCATE event_part;
CALL crm.feed();
SELECT source, count(*) FROM crm.touchpoints GROUP BY 1;
SELECT crm.detach_source('event', false), crm.detach_source('columns_of_the_row', false);
DROP FUNCTION event(), columns_of_the_row();
DROP TABLE event, columns_of_the_row;

-- Names that are cut, in bytes; that look like those that are; and that make one of two names
CREATE TABLE named (id integer PRIMARY KEY, at timestamptz DEFAULT '2026-01-01', who text);
SELECT journey_create_hub('crm_insert');
CREATE TEMP TABLE name AS
SELECT * FROM unnest(ARRAY[repeat('😀', 14) || '1', repeat('😀', 14) || '2', repeat('😀', 15), repeat('😀', 16), repeat('é', 40) || '1', repeat('é', 40) || '2',
    'x' || repeat('é', 40), md5('x'), md5('rows_' || repeat('a', 60)), repeat('a', 58), repeat('a', 59), repeat('a', 60), repeat('a', 61), 'Ä "b" ''c'' %s $$ \', 'update_x']) source;
SELECT count(*) FROM name, crm.attach_source('named', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"who": "who"}}', source);
SELECT crm_insert.attach_source('named', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"who": "who"}}', 'x');
SELECT count(DISTINCT octet_length(crm.source_object(prefix, source)) <= 63) AS fit, count(DISTINCT crm.source_object(prefix, source)) = count(*) AS differ
FROM name, unnest(ARRAY['rows', 'map', 'key', 'place', 'crm_insert', repeat('😀', 15) || '_delete', repeat('😀', 15) || '_update']) prefix;
INSERT INTO named VALUES (1, DEFAULT, 'w');
CALL crm.feed();
CALL crm_insert.feed();
SELECT (SELECT count(*) FROM crm.touchpoints) = (SELECT count(*) FROM name) AS all_of_them, (SELECT count(*) FROM crm_insert.touchpoints);
-- what is renamed is found: the hub, the table, a trigger
ALTER TABLE named RENAME TO "renamed %";
ALTER TRIGGER crm_delete_update_x ON "renamed %" RENAME TO deleting;
SELECT state, count(*) FROM crm.source_progress GROUP BY 1;
CALL crm.backfill_source('update_x');
SELECT count(*) FROM crm.sources s, crm.source_triggers(s.source_id) WHERE s.source = 'update_x';
SELECT count(*) FROM name, crm.detach_source(source, keep => false);
SELECT count(*) FROM pg_trigger WHERE tgrelid = '"renamed %"'::regclass;
SELECT count(*) FROM pg_proc WHERE prosrc LIKE '%-- notes of source %for hub crm%' AND prorettype = 'trigger'::regtype;
SELECT journey_drop_hub('crm_insert', true);
DROP TABLE "renamed %", name;

-- A clock in `where`: what is deleted goes whatever it says now; keys have none
CREATE TABLE visit (id integer PRIMARY KEY, at timestamptz, c text, note text);
SET test.now = '2026-01-01';
SELECT crm.attach_source('visit', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"c": "c"},
    "where": "at > current_setting(''test.now'')::timestamptz - interval ''1 day''"}');
INSERT INTO visit SELECT i, '2026-01-01', 'c' || i FROM generate_series(1, 7) i;
CALL crm.feed();
SET test.now = '2026-02-01';
DELETE FROM visit WHERE id = 1;
UPDATE visit SET c = 'other' WHERE id = 2;
UPDATE visit SET id = 33 WHERE id = 3;
UPDATE visit SET at = '2026-02-01' WHERE id = 4;
UPDATE visit SET note = 'n' WHERE id = 5;
INSERT INTO visit VALUES (8, '2026-01-01', 'c8');
CALL crm.feed();
SELECT source_key, occurred_at FROM crm.touchpoints ORDER BY 1;
SELECT count(*) FROM crm.source_rejects;
DELETE FROM visit;
CALL crm.feed();
SELECT count(*) FROM crm.touchpoints;
SELECT crm.detach_source('visit', false);
CREATE FUNCTION stable_key(integer) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
\x on
SELECT key, r.* FROM unnest(ARRAY['id || current_date::text', 'stable_key(id)', 'id::text || random()', 'now()::text || id', 'to_char(now(), $a$YYYY$a$) || id',
                                 $a$'v-' || id$a$, 'md5(id::text)']) key,
    refused(format($$SELECT crm.attach_source('visit', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"c": "c"}, "key": %s}', source => %L)$$, replace(to_json(key)::text, $a$'$a$, $a$''$a$), key)) r;
\x off
SELECT source, crm.detach_source(source, false) FROM crm.sources ORDER BY 1;

-- Evidence of a row whose touchpoint went before it, as with its month by retention_rules
CREATE TABLE old (id integer PRIMARY KEY, at timestamptz, a text, b text);
SELECT crm.attach_source('old', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"a": "a", "b": "b"}}');
INSERT INTO old SELECT i, '2026-01-01', 'a' || i, 'b' || i FROM generate_series(1, 4) i;
CALL crm.feed();
DELETE FROM crm.touchpoints WHERE source_key < '4';
SELECT count(*) FROM crm.touchpoint_keys;
DELETE FROM old WHERE id = 1;
UPDATE old SET b = 'new' WHERE id = 2;
CALL crm.feed();
SELECT crm.customer_of('a:a1') = crm.customer_of('b:b1') AS "1", crm.customer_of('a:a2') = crm.customer_of('b:b2') AS "2", crm.customer_of('a:a2') = crm.customer_of('b:new') AS "2 new";
TRUNCATE old;
CALL crm.feed();
SELECT crm.customer_of('a:a3') = crm.customer_of('b:b3') AS "3", crm.customer_of('a:a4') = crm.customer_of('b:b4') AS "4";
-- what was retracted does not come back with another time
INSERT INTO old VALUES (6, '2026-01-01', 'a6', 'b6');
CALL crm.feed();
SELECT crm.retract('old', '6');
UPDATE old SET at = '2026-01-02' WHERE id = 6;
CALL crm.feed();
SELECT crm.customer_of('a:a6') = crm.customer_of('b:b6') AS "6";
UPDATE old SET b = 'b6 new' WHERE id = 6;
CALL crm.feed();
SELECT crm.customer_of('a:a6') = crm.customer_of('b:b6 new') AS "6 new";
DELETE FROM old;
CALL crm.feed();
SELECT crm.customer_of('a:a6') = crm.customer_of('b:b6 new') AS "6 new";
-- what a detached source left behind is of the rows that come again
INSERT INTO old VALUES (5, '2026-01-01', 'a5', 'b5');
CALL crm.feed();
DELETE FROM crm.touchpoints WHERE source = 'old';
SELECT crm.detach_source('old');
UPDATE old SET b = 'newer';
SELECT crm.attach_source('old', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"a": "a", "b": "b"}}');
SELECT crm.customer_of('a:a5') = crm.customer_of('b:b5') AS "5", crm.customer_of('a:a5') = crm.customer_of('b:newer') AS "5 newer";
SELECT * FROM crm.stitch_check();
SELECT crm.detach_source('old', false);

-- What a mapping raises is the row's fault, whatever it looks like
CREATE FUNCTION raises(state text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF state <> '' THEN
        RAISE EXCEPTION '2020-01-01' USING ERRCODE = state;
    END IF;
    RETURN 'x';
END $$;
CREATE TABLE raising (id integer PRIMARY KEY, state text NOT NULL, at timestamptz DEFAULT '2026-01-01');
INSERT INTO raising SELECT n, state FROM unnest('{"",PJ001,PJ002,P0001,MY001,ABC12,20000,2F005,21000,22023}'::text[]) WITH ORDINALITY u(state, n);
SELECT * FROM crm.attach_source('raising', '{"occurred_at": "at", "channel": "raises(state)", "action": "''y''", "identifiers": {"id": "id"}}');
SELECT crm.attach_source('raising', '{"occurred_at": "at", "channel": "raises(state)", "action": "''y''", "identifiers": {"id": "id"}}', 'later', backfill => false);
SET client_min_messages = notice;
CALL crm.backfill_source('later');
SET client_min_messages = warning;
SELECT source_key, string_agg(source, ' ' ORDER BY source) AS sources, sqlstate FROM crm.source_rejects GROUP BY 1, 3 ORDER BY source_key::integer;
UPDATE raising SET state = CASE WHEN id < 3 THEN 'PJ002' ELSE '' END;
INSERT INTO raising VALUES (11, 'PJ001'), (12, '');
CALL crm.feed();
SELECT source_key, string_agg(source, ' ' ORDER BY source) AS sources, sqlstate FROM crm.source_rejects GROUP BY 1, 3 ORDER BY source_key::integer;
SELECT source, count(*) FROM crm.touchpoints GROUP BY 1 ORDER BY 1;
-- but these are not: they are kept, and tried again
INSERT INTO raising VALUES (20, '42501');
SET client_min_messages = error;
CALL crm.feed();
SET client_min_messages = warning;
SELECT source, state, pending, last_error FROM crm.source_progress ORDER BY 1;
DELETE FROM raising WHERE id = 20;
CALL crm.feed();
SELECT source, state, pending, last_error FROM crm.source_progress ORDER BY 1;
SELECT crm.detach_source('raising', false), crm.detach_source('later', false);

-- Whom reading trusts
CREATE ROLE regress_attach_shop;
CREATE ROLE regress_attach_other;
CREATE ROLE regress_attach_hub;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_attach_shop, regress_attach_hub', current_database()); END $$;
SET ROLE regress_attach_hub;
SELECT journey_create_hub('their');
SET ROLE regress_attach_shop;
CREATE SCHEMA shop;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
CREATE FUNCTION shop.mail(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
CREATE FUNCTION shop.leak() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'run as %', current_user; RETURN true; END $$;
CREATE TABLE shop.orders (id integer PRIMARY KEY, at timestamptz DEFAULT '2026-01-01', mail text);
INSERT INTO shop.orders SELECT i, '2026-01-01', 'M' || i FROM generate_series(1, 3) i;
GRANT SELECT, UPDATE, TRIGGER ON shop.orders TO regress_attach_hub;
SET ROLE regress_attach_hub;
SELECT their.grant_access('regress_attach_shop', 'writer');
SELECT their.attach_source('shop.orders', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"mail": "shop.mail(mail)"}}', backfill => false);
SELECT source, trusts FROM their.sources;
SET ROLE regress_attach_shop;
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY leak ON shop.orders USING (shop.leak());
SET ROLE regress_attach_hub;
\x on
SELECT query, r.* FROM unnest(ARRAY[
    $$SELECT their.backfill_batch(source_id) FROM their.sources$$, $$SELECT their.resync_source('orders')$$, $$SELECT their.check_source('orders')$$,
    $$SELECT their.preview_source('shop.orders', '{"occurred_at": "at", "channel": "mail", "action": "mail", "identifiers": {"mail": "mail"}}')$$,
    $$SELECT their.attach_source('shop.orders', '{"occurred_at": "at", "channel": "mail", "action": "mail", "identifiers": {"mail": "mail"}}', 'again')$$]) query,
    refused(query) r;
RESET ROLE;
ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY;
ALTER TABLE shop.orders OWNER TO regress_attach_other;
GRANT SELECT, UPDATE, TRIGGER ON shop.orders TO regress_attach_hub;
SET ROLE regress_attach_hub;
SELECT r.* FROM refused($$SELECT their.backfill_batch(source_id) FROM their.sources$$) r;
UPDATE their.sources SET trusts = trusts || 'regress_attach_other'::name WHERE source = 'orders';
RESET ROLE;
REASSIGN OWNED BY regress_attach_shop TO regress_attach_hub;
ALTER FUNCTION shop.mail OWNER TO regress_attach_other;
UPDATE their.sources SET trusts = '{}';
SET ROLE regress_attach_hub;
SELECT r.state, r.message FROM refused($$SELECT their.backfill_batch(source_id) FROM their.sources$$) r;
\x off
UPDATE their.sources SET trusts = '{regress_attach_other}';
CALL their.backfill_source('orders');
SELECT count(*) FROM their.touchpoints;
SELECT journey_drop_hub('their', true);
RESET ROLE;
DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_attach_shop, regress_attach_hub, regress_attach_other;
DROP ROLE regress_attach_shop, regress_attach_hub, regress_attach_other;

-- At any isolation level rows may go and change
CREATE TABLE sharing (id integer PRIMARY KEY, at timestamptz DEFAULT '2026-01-01', a text, b text);
SELECT crm.attach_source('sharing', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"a": "a", "b": "b"}}');
INSERT INTO sharing (id, a, b) VALUES (1, 'x', 'y'), (2, 'x', 'z'), (3, 'w', 'v');
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE sharing SET b = 'yy' WHERE id = 1;
UPDATE sharing SET a = 'q' WHERE id = 2;
DELETE FROM sharing WHERE id = 3;
COMMIT;
CALL crm.feed();
SELECT * FROM crm.stitch_check();
SELECT crm.detach_source('sharing', false);

-- What a mapping is told: constants, words, in json, jsonb and text
\x on
SELECT given, r.* FROM unnest('{web,\"web\",kiosk-1,page view,order.made,shop.visit,web(1),user,current_date,''web,cookies,?}'::text[]) given,
    refused(format('SELECT crm.preview_source(''ev'', %L)', json_build_object('occurred_at', 'at', 'channel', given, 'action', 'page', 'identifiers', '{"c": "cookie"}'::json))) r;
SELECT kind, r.* FROM unnest('{json,jsonb,text,varchar,unknown}'::text[]) kind,
    refused(format('SELECT crm.attach_source(''ev'', ''{"occurred_at": "at", "channel": "page", "action": "page", "identifiers": {"c": "cookie"}}'' %s, source => %2$L), crm.detach_source(%2$L, false)',
                   '::' || nullif(kind, 'unknown'), kind)) r;
SELECT r.* FROM refused($$SELECT crm.attach_source('ev', '{"occurred_at": at}')$$) r;
\x off
INSERT INTO ev VALUES (20, '2026-01-02', '', 'home'), (21, 'infinity', 'k', 'home'), (22, '2026-01-02', 'k', repeat('x', 3000)), (23, '2026-01-02', 'k', 'home');
SELECT source_key, wanted, left(reason, 50) AS reason, identifiers, occurred_at, channel, left(action, 5) AS action, value
FROM crm.preview_source('ev', '{"occurred_at": "at", "channel": "''web''", "action": "page", "value": "1 / (id - 10)", "where": "id > 9 AND 1 / (id - 11) < 5",
    "identifiers": {"c": "cookie"}}', 20);
SELECT count(*) FROM crm.preview_source('ev', '{"occurred_at": "at", "channel": "page", "action": "page", "identifiers": {"c": "cookie"}}'::jsonb, 2);
SELECT count(*) FROM crm.preview_source('ev', '{"occurred_at": "at", "channel": "page", "action": "page", "identifiers": {"c": "cookie"}}'::json);
-- in whatever search_path, which functions of the mapping see
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.ev (id bigint PRIMARY KEY, at timestamptz, cookie text, page text);
CREATE FUNCTION elsewhere.where_am_i() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_schema() $$;
SET search_path = elsewhere;
SELECT count(*), min(channel) FROM crm.preview_source('public.ev', '{"occurred_at": "at", "channel": "where_am_i()", "action": "page", "identifiers": {"c": "cookie"}}', 4);
RESET search_path;
DROP SCHEMA elsewhere CASCADE;
SELECT (SELECT count(*) FROM crm.sources) AS sources, (SELECT count(*) FROM crm.touchpoints) AS touchpoints, (SELECT count(*) FROM crm.source_rejects) AS rejects;
-- and what attaching tells
SET client_min_messages = notice;
SELECT * FROM crm.attach_source('ev', '{"occurred_at": "at", "channel": "''web''", "action": "page", "where": "id > 9", "identifiers": {"c": "cookie"}}');
SET client_min_messages = warning;
SELECT crm.detach_source('ev', false);

SELECT journey_drop_hub('crm', true);
DROP VIEW IF EXISTS path;
DROP TABLE ev, visit, old, raising, sharing;
DROP FUNCTION refused, attach_all, worded, mapping_of, stable_key, raises;
