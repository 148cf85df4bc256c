-- What hubs may be called, renaming them, and whose code runs when somebody else looks after one.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;

-- control characters are refused, and nothing of such a name is run
CREATE ROLE regress_names_stranger;
\x on
SELECT state, message FROM (VALUES
    (E'shop\n;ALTER ROLE regress_names_stranger SUPERUSER;--'), (E'shop\r--'), (E'a\tb'), (E'\x01'), (E'a\x1f'), (E'a\x7f'),
    (E'a\u0085b'), (E'a\u009f'), (E'a\u2028b'), (E'a\u2029'),
    ('$user')
) v(name), refused(format('SELECT journey_create_hub(%L)', name));
\x off
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_names_stranger';

-- whatever else the server allows is a name like any other: made, written to, fed by a table, upgraded, renamed, dropped
CREATE FUNCTION life(name text, new_name text, OUT customers bigint, OUT touchpoints bigint, OUT labels text, OUT objects bigint)
LANGUAGE plpgsql AS $life$
BEGIN
    PERFORM journey_create_hub(name);
    CREATE TABLE "names $$ sale" (id int PRIMARY KEY, at timestamptz, who text);
    EXECUTE format('SELECT count(*) FROM %1$I.record(''{a:1,b:1}'', ''2026-01-01Z'', ''web'', ''view''), %1$I.link(''b:1'', ''c:1'')', name);
    EXECUTE format('SELECT %I.attach_source(''"names $$ sale"'', %L, ''s'')', name,
                   '{"occurred_at": "at", "channel": "''store''", "action": "''buy''", "identifiers": {"c": "who"}}');
    INSERT INTO "names $$ sale" VALUES (1, '2026-01-02Z', '1');
    PERFORM journey_upgrade_hub(name);
    INSERT INTO "names $$ sale" VALUES (2, '2026-01-03Z', '1');
    PERFORM journey_rename_hub(name, new_name);
    INSERT INTO "names $$ sale" VALUES (3, '2026-01-04Z', '1');
    DELETE FROM "names $$ sale" WHERE id = 2;
    EXECUTE format('SELECT count(*) FROM %1$I.set_rule(''a'', priority => 3), %1$I.make_partitions(), %1$I.refresh()', new_name);
    EXECUTE format('SELECT count(*), sum(touchpoints), string_agg(journey_path(journey)::text, '' '') FROM %1$I.customer_360 JOIN %1$I.current_journeys USING (customer_id)',
                   new_name) INTO customers, touchpoints, labels;
    SELECT count(*) INTO objects FROM (SELECT FROM pg_proc WHERE prosrc LIKE '%' || quote_ident(name) || '.%' OR proconfig::text LIKE '%' || quote_ident(name) || ',%'
                                       UNION ALL SELECT FROM pg_trigger WHERE starts_with(tgname, name)) o;
    EXECUTE format('SELECT %I.detach_source(''s'')', new_name);
    DROP TABLE "names $$ sale";
    PERFORM journey_drop_hub(new_name, true);
END $life$;
\getenv slow PGJ_SLOW
\if :{?slow}
\set every 1
\else
\set every 2
\endif
SELECT DISTINCT l.* FROM (VALUES
    (0, 'it''s "%I" \ $$ ""', '''; SELECT 1; --'), (1, '$feed_source$ q$q$', 'CASE  "x"'), (2, '-- @hub@ @extschema@ @version@ @tag@ /*', repeat('日', 21)),
    (3, repeat('ß', 31), '*/ $part$'), (4, '$1 %s :x', 'select'), (5, 'pg', 'plain, too')
) v(n, name, new_name), life(name, new_name) l WHERE n % :every = 0;

-- anew now and then: who has planned much, makes and drops hubs slowly
\c -
SET client_min_messages = warning;
-- renaming
SELECT journey_create_hub('crm');
CREATE TABLE names_sale (id int PRIMARY KEY, at timestamptz, who text);
CREATE TABLE names_visit (id int, at timestamptz, who text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE names_visit_1 PARTITION OF names_visit FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z');
CREATE TABLE names_visit_2 PARTITION OF names_visit DEFAULT;
SET search_path = crm, public;  -- mappings are compiled where the hub is in it
CREATE FUNCTION crm.names_who(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
SELECT touchpoints FROM attach_source('names_sale', '{"occurred_at": "at", "channel": "''store''", "action": "''buy''", "identifiers": {"card": "names_who(who)"}}');
RESET search_path;
SELECT crm.attach_source('names_visit', '{"occurred_at": "at", "channel": "''web''", "action": "''view''", "identifiers": {"card": "who"}}',
                         'a source of a very long name, ' || repeat('ß', 40));
ALTER TABLE crm.customers ADD COLUMN note text;
CREATE VIEW crm.own_view AS SELECT count(*) FROM crm.touchpoints;
INSERT INTO names_sale VALUES (1, '2026-01-01Z', 'x');
INSERT INTO names_visit VALUES (1, '2026-01-02Z', 'x'), (2, '2026-03-02Z', 'y');
\x on
SELECT query, r.state, r.message FROM (VALUES
    ($$SELECT journey_rename_hub('crm', 'crm')$$),
    ($$SELECT journey_rename_hub('crm', 'public')$$),
    ($$SELECT journey_rename_hub('crm', 'pg_crm')$$),
    ($$SELECT journey_rename_hub('crm', E'a\nb')$$),
    ($$SELECT journey_rename_hub('crm', repeat('x', 64))$$),
    ($$SELECT journey_rename_hub('crm', '')$$),
    ($$SELECT journey_rename_hub('crm', NULL)$$),
    ($$SELECT journey_rename_hub('no hub', 'x')$$),
    ($$SELECT journey_rename_hub('public', 'x')$$),
    ($$SELECT journey_rename_hub(NULL, 'x')$$)
) v(query), refused(query) r;
\x off
SELECT journey_rename_hub('crm', 'sales');
INSERT INTO names_sale VALUES (2, '2026-01-03Z', 'y');
UPDATE names_visit SET at = at + interval '1 day' WHERE id = 1;
CALL sales.feed();
SELECT sales.record('{card:x}', '2026-01-05Z', 'phone', 'call', source => 'pbx', source_key => '1');
SELECT customer_id, identifiers, touchpoints, channels FROM sales.customer_360 ORDER BY 1;
SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'names_sale'::regclass ORDER BY tgname COLLATE "C";
SELECT source, state, rows_done FROM sales.source_progress ORDER BY 1;
SELECT sales.note, v.count FROM sales.customers sales, sales.own_view v LIMIT 1;

-- another hub takes the name, and the same tables
SELECT journey_create_hub('crm');
SELECT touchpoints FROM crm.attach_source('names_sale', '{"occurred_at": "at", "channel": "''store''", "action": "''buy''", "identifiers": {"card": "who"}}');
INSERT INTO names_sale VALUES (3, '2026-01-06Z', 'z');
CALL crm.feed();
CALL sales.feed();
SELECT (SELECT count(*) FROM crm.touchpoints) AS crm, (SELECT count(*) FROM sales.touchpoints) AS sales;
SELECT crm.detach_source('names_sale'), crm.detach_source('names_sale', keep => false);

-- a hub whose schema was renamed, but not by us, refuses all it would otherwise do elsewhere; who writes attached tables
-- is not kept from it
ALTER SCHEMA sales RENAME TO shop;
ALTER SCHEMA crm RENAME TO sales;
CREATE TEMP VIEW written AS
SELECT format('%s %s %s %s %s', (SELECT count(*) FROM sales.identities), (SELECT count(*) FROM sales.evidence), (SELECT count(*) FROM sales.touchpoints),
              (SELECT count(*) FROM sales.touchpoint_keys), (SELECT count(*) FROM sales.journey_changes)) AS counts;
SELECT counts AS before FROM written \gset
SELECT count(*) > 70 AS many, count(*) FILTER (WHERE r.state = '55000') = count(*) AS all_refuse
FROM (SELECT format('SELECT FROM shop.%I(%s)', p.proname,
                    (SELECT string_agg(format('NULL::%s', CASE t WHEN 'anyelement'::regtype THEN 'text' ELSE format_type(t, NULL) END), ', ' ORDER BY n)
                     FROM unnest(p.proargtypes) WITH ORDINALITY a(t, n))) AS query
      FROM pg_proc p WHERE p.pronamespace = 'shop'::regnamespace AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
           AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'journey_plpgsql')) f, refused(f.query) r;
\x on
SELECT query, r.* FROM (VALUES
    ($$SELECT shop.record('{card:x}', '2026-01-07Z', 'web', 'view')$$),
    ($$SELECT shop.record_many(ARRAY[ROW('{card:x}', '2026-01-07Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::shop.event])$$),
    ($$SELECT shop.must_link('a:1', 'a:2')$$),
    ($$INSERT INTO shop.touchpoints (identity_id, occurred_at, channel, action) VALUES (1, '2026-01-07Z', 'web', 'view')$$),
    ($$DELETE FROM shop.touchpoints$$),
    ($$TRUNCATE shop.touchpoints$$),
    ($$INSERT INTO names_sale VALUES (4, '2026-01-07Z', 'x')$$),
    ($$UPDATE names_visit SET who = 'z'$$),
    ($$DELETE FROM names_sale$$),
    ($$CALL shop.backfill_source('names_sale')$$),
    ($$SELECT sales.customer_of('card:x')$$)
) v(query), refused(query) r;
\x off
SET search_path = shop, public;
CALL backfill_source('names_sale');
RESET search_path;
SELECT counts = :'before' AS nothing_written_elsewhere FROM written;
\set VERBOSITY terse
SELECT count(*) FROM shop.timeline;
\set VERBOSITY default
-- and upgrading mends it wholly: what nobody could note is read, too
SELECT journey_upgrade_hub('shop');
SELECT journey_upgrade_hub('sales');
INSERT INTO names_sale VALUES (4, '2026-01-07Z', 'x');
DELETE FROM names_sale WHERE id = 2;
CALL shop.feed();
SELECT source, state, pending, last_error FROM shop.source_progress ORDER BY 1;
SELECT customer_id, identifiers, touchpoints, channels FROM shop.customer_360 ORDER BY 1;
SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'names_sale'::regclass ORDER BY tgname COLLATE "C";
-- a mapping looks for names where it did when it was attached
SELECT s.search_path FROM shop.sources s ORDER BY s.source;
SELECT sales.record('{card:x}', '2026-01-05Z', 'phone', 'call'), shop.detach_source('names_sale'),
       shop.detach_source('a source of a very long name, ' || repeat('ß', 40), keep => false);
SELECT count(*) FROM pg_trigger WHERE tgrelid::regclass::text LIKE 'names\_%';
-- the name it had once again
SELECT journey_rename_hub('shop', 'crm');
SELECT count(*) FROM crm.stitch_check();
\c -
SELECT journey_drop_hub('sales', true), journey_drop_hub('crm', true);
DROP TABLE names_sale, names_visit;

\c -
SET client_min_messages = warning;
-- columns that are filled by the server are when touchpoints move to a new partition, too
SET plpgsql.extra_errors = 'all';  -- is for code of one's own
SELECT journey_create_hub('own');
RESET plpgsql.extra_errors;
ALTER TABLE own.touchpoints ADD COLUMN day date NOT NULL GENERATED ALWAYS AS ((occurred_at AT TIME ZONE 'UTC')::date) STORED;
SELECT own.record('{a:1}', '2025-11-05Z', 'web', 'view'), own.make_partitions('2025-11-01Z') > 10 AS made;
SELECT tableoid::regclass, day FROM own.touchpoints;
SELECT journey_drop_hub('own', true);

\c -
SET client_min_messages = warning;
-- The hub's owner lends his code to whoever upgrades, renames or drops the hub: it runs as the owner all the same.
CREATE ROLE regress_names_owner;
CREATE ROLE regress_names_member IN ROLE regress_names_owner;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_names_owner', current_database()) \gexec
SET ROLE regress_names_owner;
SELECT journey_create_hub('trap');
CREATE SCHEMA names_trap;
GRANT USAGE ON SCHEMA names_trap TO PUBLIC;
-- a search_path that is SQL if it is taken for some
CREATE FUNCTION trap.path() RETURNS int LANGUAGE sql AS 'SELECT 1';
SET search_path = 'trap', 'x;ALTER/**/ROLE/**/regress_names_stranger/**/SUPERUSER;--', 'a" b';
ALTER FUNCTION trap.path SET search_path FROM CURRENT;
SELECT set_config('search_path', 'trap,x;ALTER/**/ROLE/**/regress_names_stranger/**/SUPERUSER;--', false);
CREATE FUNCTION trap.path2() RETURNS int LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT 1';
RESET search_path;
CREATE TABLE names_trap.log (n int GENERATED ALWAYS AS IDENTITY, who name DEFAULT current_user, what text);
GRANT INSERT, SELECT ON names_trap.log TO PUBLIC;
CREATE FUNCTION names_trap.spring(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO names_trap.log (what) VALUES (spring.what);
    BEGIN
        RESET ROLE;
        ALTER ROLE regress_names_stranger SUPERUSER;
    EXCEPTION WHEN insufficient_privilege THEN
        INSERT INTO names_trap.log (what) VALUES (SQLERRM);
    END;
    RETURN what;
END $$;
CREATE FUNCTION names_trap.sprung() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM names_trap.spring(TG_NAME);
    PERFORM set_config('search_path', 'trap', false);
    RETURN NULL;
END $$;
CREATE TRIGGER settings_trap AFTER UPDATE ON trap.settings FOR EACH STATEMENT EXECUTE FUNCTION names_trap.sprung();
SELECT journey_upgrade_hub('trap');
RESET ROLE;
SELECT who, what FROM names_trap.log ORDER BY n;
TRUNCATE names_trap.log;
SHOW search_path;
SELECT journey_upgrade_hub('trap');
SHOW search_path;
SELECT journey_rename_hub('trap', 'trap2');
SELECT who, what FROM names_trap.log ORDER BY n;
SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'trap2'::regnamespace AND proname IN ('path', 'path2') ORDER BY 1;
SET ROLE regress_names_member;
SELECT journey_upgrade_hub('trap2');
RESET ROLE;
SELECT trap2.record('{a:1}', '2026-01-01Z', 'web', 'view');
SELECT DISTINCT who FROM names_trap.log;
TRUNCATE names_trap.log;
\x on
-- data that a policy hides from the owner is data
ALTER TABLE trap2.identities ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE trap2.touchpoints ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT r.* FROM refused($$SELECT journey_drop_hub('trap2')$$) r;
ALTER TABLE trap2.identities DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE trap2.touchpoints DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
-- what is put off until the end would run as whoever ends the transaction
SET ROLE regress_names_owner;
CREATE CONSTRAINT TRIGGER settings_deferred AFTER UPDATE ON trap2.settings DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION names_trap.sprung();
RESET ROLE;
SELECT query, r.* FROM (VALUES
    ($$SELECT journey_upgrade_hub('trap2')$$),
    ($$SELECT journey_drop_hub('trap2')$$)
) v(query), refused(query) r;
SET ROLE regress_names_stranger;
SELECT query, r.state, r.message FROM (VALUES
    ($$SELECT journey_upgrade_hub('trap2')$$),
    ($$SELECT journey_rename_hub('trap2', 'x')$$),
    ($$SELECT journey_drop_hub('trap2', true)$$),
    ($$SELECT journey_run_hub_template('trap2', '')$$),
    ($$SELECT journey_run_as_owner('trap2', 'SELECT 1')$$),
    ($$SELECT journey_run_as_owner('pg_catalog', 'SELECT 1')$$),
    ($$SELECT journey_run_as_owner('no schema', 'SELECT 1')$$)
) v(query), refused(query) r;
RESET ROLE;
-- whom PL/pgSQL was taken from has none by another name
BEGIN;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
SET LOCAL ROLE regress_names_stranger;
SELECT r.state, r.message
FROM refused($$CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE journey_plpgsql AS 'BEGIN RETURN 1; END'$$) r;
ROLLBACK;
\x off
SELECT rolname, rolsuper FROM pg_roles WHERE rolname LIKE 'regress_names_%' ORDER BY 1;
-- whose tables turn out to be views (looked at before anything is locked, and again after)
TRUNCATE trap2.touchpoints;
ALTER TABLE trap2.identities RENAME TO identities_moved;
SET ROLE regress_names_owner;
CREATE VIEW trap2.identities AS SELECT 1 AS one WHERE names_trap.spring('view') IS NULL;
RESET ROLE;
SELECT journey_drop_hub('trap2');
SELECT who, what FROM names_trap.log ORDER BY n;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_names_owner', current_database()) \gexec
DROP SCHEMA names_trap CASCADE;
DROP ROLE regress_names_member, regress_names_owner, regress_names_stranger;
DROP FUNCTION life, refused;
