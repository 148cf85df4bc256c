-- The hub's life: create, upgrade, drop; names, owners, search paths; comments;
-- what is refused, and how.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
CREATE FUNCTION groups(hub text, OUT members text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT string_agg(identifier::text, '' '' ORDER BY identifier) FROM %I.identities
                                 GROUP BY customer_id ORDER BY 1', hub);
END $$;

SET client_min_messages = warning;

-- names
SELECT journey_create_hub('crm');
SELECT journey_create_hub('My "Hub"');
SELECT journey_create_hub('größe');
SELECT journey_create_hub('it''s $$ %I \ hub');
SELECT journey_create_hub('select');
SELECT journey_create_hub(repeat('n', 63));
SELECT journey_create_hub('a@version@b @hub@ @extschema@');
CREATE SCHEMA taken;
\x on
SELECT query, r.* FROM (VALUES
    ($$SELECT journey_create_hub('crm')$$),
    ($$SELECT journey_create_hub('taken')$$),
    ($$SELECT journey_create_hub('public')$$),
    ($$SELECT journey_create_hub('pg_hub')$$),
    ($$SELECT journey_create_hub('')$$),
    ($$SELECT journey_create_hub(repeat('n', 64))$$),
    ($$SELECT journey_create_hub(NULL)$$),
    ($$SELECT journey_upgrade_hub('no hub')$$),
    ($$SELECT journey_upgrade_hub('taken')$$),
    ($$SELECT journey_upgrade_hub(NULL)$$),
    ($$SELECT journey_drop_hub('no hub')$$),
    ($$SELECT journey_drop_hub('taken')$$),
    ($$SELECT journey_drop_hub('taken', true)$$),
    ($$SELECT journey_drop_hub('pg_catalog', true)$$),
    ($$SELECT journey_drop_hub(NULL, true)$$)
) v(query), refused(query) r;
\x off

-- every hub is the same, and none knows another
CREATE TEMP VIEW hub AS
SELECT oid AS id, nspname AS hub FROM pg_namespace
WHERE nspname IN ('crm', 'My "Hub"', 'größe', 'it''s $$ %I \ hub', 'select', repeat('n', 63), 'a@version@b @hub@ @extschema@');
CREATE TEMP VIEW part AS
SELECT hub, 'relation ' || relkind::text AS kind, relname::text AS name,
       concat_ws(' ', pg_get_userbyid(relowner) = current_user, relpersistence, reloptions) AS more, c.oid AS id, 'pg_class' AS catalog
FROM pg_class c JOIN hub ON relnamespace = hub.id
UNION ALL
SELECT hub, 'function', proname::text, replace(concat_ws(' ', pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), provolatile,
                                                         proparallel, proisstrict, prosecdef, p.proconfig), quote_ident(hub), 'hub'), p.oid, 'pg_proc'
FROM pg_proc p JOIN hub ON pronamespace = hub.id
UNION ALL
SELECT hub, 'type', typname::text, typtype::text, t.oid, 'pg_type'
FROM pg_type t JOIN hub ON typnamespace = hub.id WHERE typelem = 0 AND (typtype <> 'c' OR (SELECT relkind FROM pg_class WHERE oid = typrelid) = 'c');
SELECT count(*) AS hubs, count(*) FILTER (WHERE parts > 20) AS filled FROM (SELECT hub, count(*) AS parts FROM part GROUP BY hub) s;
SELECT kind, name FROM part GROUP BY kind, name HAVING count(*) % 7 <> 0;  -- overloaded functions have a multiple
-- all bodies compile, which making a hub doesn't ask
SET search_path = crm, public;
SELECT count(journey_plpgsql_validator(p.oid)) > 400 AS all_compile
FROM pg_proc p WHERE p.pronamespace = 'crm'::regnamespace AND p.prolang = (SELECT l.oid FROM pg_language l WHERE l.lanname = 'journey_plpgsql');
RESET search_path;
SELECT "My ""Hub""".identify('{a:1,a:2}'), "My ""Hub""".identify('{a:3,a:2}', source => 'sql', source_key => 'k');
SELECT größe.identify('{a:1,b:2}'), größe.identify('{a:3}'), crm.identify('{a:2,a:3}');
SELECT hub, members FROM hub, groups(hub) ORDER BY hub COLLATE "C", members COLLATE "C";
SELECT "it's $$ %I \ hub".link('a:1', 'a:2'), "it's $$ %I \ hub".cannot_link('a:1', 'a:2');
SELECT "it's $$ %I \ hub".customer_of('a:1'), "it's $$ %I \ hub".customer_of('a:2');
SELECT sum(n) FROM (
    SELECT count(*) AS n FROM crm.stitch_check() UNION ALL SELECT count(*) FROM "My ""Hub""".stitch_check()
    UNION ALL SELECT count(*) FROM größe.stitch_check() UNION ALL SELECT count(*) FROM "it's $$ %I \ hub".stitch_check()
    UNION ALL SELECT count(*) FROM "select".stitch_check()) s;

-- whatever the search_path, the role's settings, and whatever hides behind names
SET search_path = pg_catalog;
SELECT public.journey_create_hub('elsewhere');
SELECT elsewhere.identify(ARRAY['a:1', 'a:2']::public.identifier[]);
SELECT elsewhere.retract('sql', source_key) FROM elsewhere.evidence;
SELECT elsewhere.customer_of(public.identifier('a', '2')), count(*) FROM elsewhere.stitch_check();
SELECT public.journey_drop_hub('elsewhere', true);
SET search_path = crm, public;
SELECT identify(ARRAY['a:4', 'a:3']::identifier[]) = customer_of('a:2') AS joined;
CREATE TEMP TABLE identities (identity_id text, identifier text);
CREATE TEMP TABLE evidence (identities text);
SET search_path = pg_temp, crm, public;
SELECT crm.identify('{a:5,a:4}') > 0 AS known, crm.retract('sql', 'nothing'), crm.stitch_all();
SELECT crm.customer_of('a:5') = crm.customer_of('a:2') AS joined;
DROP TABLE pg_temp.identities, pg_temp.evidence;
RESET search_path;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT journey_create_hub('quoted');
SELECT quoted.identify('{a:1,a:2}');
SELECT quoted.customer_of('a:2');
RESET standard_conforming_strings;
RESET escape_string_warning;

-- upgrading what is up to date changes nothing
SELECT hub_version = extversion AS current, quarantine_above FROM crm.settings, pg_extension WHERE extname = 'pg_journey';
CREATE TEMP TABLE before AS SELECT * FROM part WHERE hub = 'crm';
SELECT count(*) FROM (SELECT crm.set_rule('crm', priority => 7, blocked => '{x}')) s;
SELECT journey_upgrade_hub('crm');
SELECT journey_upgrade_hub('My "Hub"');
SELECT kind, name, more FROM part WHERE hub = 'crm' EXCEPT SELECT kind, name, more FROM before;
SELECT kind, name, more FROM before EXCEPT SELECT kind, name, more FROM part WHERE hub = 'crm';
SELECT namespace, priority, blocked FROM crm.identifier_rules WHERE namespace = 'crm';
SELECT members FROM groups('crm');

-- a user's own objects in a hub stay, and stand in the way of no upgrade
CREATE INDEX own_index ON crm.identities (last_seen);
CREATE VIEW crm.own_view AS SELECT count(*) FROM crm.customers;
SELECT journey_upgrade_hub('crm');
SELECT * FROM crm.own_view;
SELECT to_regclass('crm.own_index') IS NOT NULL AS kept;

-- owners who are no superusers
CREATE ROLE regress_hub_maker;
CREATE ROLE regress_hub_other;
\x on
SET ROLE regress_hub_maker;
SELECT r.* FROM refused($$SELECT journey_create_hub('owned')$$) r;
RESET ROLE;
\x off
SELECT format('GRANT CREATE ON DATABASE %I TO regress_hub_maker', current_database()) \gexec
SET ROLE regress_hub_maker;
SELECT journey_create_hub('owned');
SELECT owned.identify('{a:1,a:2}', source => 'sql', source_key => 'k');
SELECT owned.customer_of('a:2');
SELECT cardinality(owned.identify_many(ARRAY[('{a:3,a:4}', now(), 's', '1'), ('{a:4,a:1}', now(), 's', '2')]::owned.observation[]));
SELECT owned.retract('sql', 'k'), owned.must_link('a:1', 'a:5'), owned.cannot_link('a:5', 'a:3'), owned.clear_pair('a:5', 'a:3');
SELECT owned.set_rule('a', max_per_customer => 2) >= 0, owned.set_quarantine_above(100), owned.drop_rule('a') >= 0, owned.stitch_all();
SELECT count(*) FROM owned.why('a:1', 'a:2');
SELECT count(*) FROM owned.simulate();
SELECT count(*) FROM owned.stitch_report;
SELECT members FROM groups('owned');
SELECT count(*) FROM owned.stitch_check();
SELECT journey_upgrade_hub('owned');
RESET ROLE;
SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'owned'::regnamespace;
\x on
SET ROLE regress_hub_other;
SELECT query, r.state, r.message FROM (VALUES
    ($$SELECT owned.customer_of('a:1')$$),
    ($$SELECT journey_upgrade_hub('owned')$$),
    ($$SELECT journey_drop_hub('owned', true)$$)
) v(query), refused(query) r;
RESET ROLE;
\x off
SET ROLE regress_hub_maker;
SELECT journey_drop_hub('owned', true);
RESET ROLE;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_hub_maker', current_database()) \gexec
DROP ROLE regress_hub_maker, regress_hub_other;

-- calls that are refused
SELECT crm.identify('{e:1,e:2}', '2026-01-01', 'test', 'key');
\x on
SELECT query, r.* FROM (VALUES
    ($$SELECT crm.identify('{}')$$),
    ($$SELECT crm.identify('{}', now(), 's', '1')$$),
    ($$SELECT crm.identify(NULL)$$),
    ($$SELECT crm.identify('{a:1,NULL}')$$),
    ($$SELECT crm.identify('{{a:1,a:2},{a:3,a:4}}')$$),
    ($$SELECT crm.identify('{e:1,e:2}', '2026-01-01', 'test', 'key')$$),
    ($$SELECT crm.identify('{e:2,e:1,e:2}', '2026-02-02', 'test', 'key')$$),
    ($$SELECT crm.identify('{e:1,e:3}', '2026-01-01', 'test', 'key')$$),
    ($$SELECT crm.identify('{e:1,e:2,e:3}', '2026-01-01', 'test', 'key')$$),
    ($$SELECT crm.identify('{e:1}', '2026-01-01', 'test', 'key')$$),
    ($$SELECT crm.identify('{a:1,a:2}', NULL)$$),
    ($$SELECT crm.identify('{a:1,a:2}', 'infinity')$$),
    ($$SELECT crm.identify('{a:1,a:2}', '-infinity')$$),
    ($$SELECT crm.identify('{a:1,a:2}', now(), NULL, 'k')$$),
    ($$SELECT crm.link('a:1', NULL)$$),
    ($$SELECT crm.link(NULL, 'a:1')$$),
    ($$SELECT crm.link('a:1', 'a:1')$$),
    ($$SELECT crm.identify_many(NULL)$$),
    ($$SELECT crm.identify_many('{}')$$),
    ($$SELECT crm.identify_many(ARRAY[NULL]::crm.observation[])$$),
    ($$SELECT crm.identify_many(ARRAY[('{a:1}', now(), 's', '1'), ('{}', now(), 's', '2')]::crm.observation[])$$),
    ($$SELECT crm.identify_many(ARRAY[(NULL, now(), 's', '1')]::crm.observation[])$$),
    ($$SELECT crm.identify_many(ARRAY[('{e:1,e:4}', now(), 'test', '1'), ('{e:1,e:5}', now(), 'test', 'key')]::crm.observation[])$$),
    ($$SELECT crm.identify_many(ARRAY[('{e:1,e:4}', now(), 'test', '1'), ('{e:1,e:5}', now(), 'test', '1')]::crm.observation[])$$),
    ($$SELECT crm.must_link('a:1', 'a:1')$$),
    ($$SELECT crm.must_link('a:1', NULL)$$),
    ($$SELECT crm.cannot_link('a:1', 'a:1')$$),
    ($$SELECT crm.cannot_link(NULL, NULL)$$),
    ($$SELECT crm.clear_pair('a:1', 'a:1')$$),
    ($$SELECT crm.clear_pair('new:1', 'new:2')$$),
    ($$SELECT crm.retract(NULL, 'k')$$),
    ($$SELECT crm.retract('test', NULL)$$),
    ($$SELECT crm.set_rule(NULL)$$),
    ($$SELECT crm.set_rule('')$$),
    ($$SELECT crm.set_rule('not a namespace')$$),
    ($$SELECT crm.set_rule('a', max_per_customer => -1)$$),
    ($$SELECT crm.set_rule('a', shared_above => -1)$$),
    ($$SELECT crm.set_rule('a', blocked => '{~^(}')$$),
    ($$SELECT crm.set_rule('a', blocked => '{x,NULL}')$$),
    ($$SELECT crm.set_rule('a', normalizer => 'rot13')$$),
    ($$SELECT crm.set_rule('a', normalizer => 'phone', default_country => 'ZZ')$$),
    ($$SELECT crm.drop_rule('no rule')$$),
    ($$SELECT crm.drop_rule('*')$$),
    ($$SELECT crm.set_quarantine_above(0)$$),
    ($$SELECT crm.set_quarantine_above(-1)$$),
    ($$SELECT crm.simulate(NULL)$$),
    ($$SELECT crm.simulate(ARRAY[('{}', now(), 's', '1')]::crm.observation[])$$),
    ($$SELECT crm.why(NULL, 'a:1')$$),
    ($$SELECT crm.why('a:1', 'never:seen')$$),
    ($$INSERT INTO crm.settings SELECT * FROM crm.settings$$)
) v(query), refused(query) r;
\x off
SELECT crm.customer_of(NULL) IS NULL AS nobody, crm.customer_of('never:seen') IS NULL AS unknown, crm.customer_at(NULL, now()) IS NULL AS at,
       crm.customer_at('e:1', NULL) IS NULL AS never, crm.customer_at('e:1', '-infinity') IS NULL AS before,
       crm.current_customer(-1) IS NULL AS no_customer, crm.current_customer(NULL) IS NULL AS none;
SELECT count(*) FROM crm.identifiers_of(-1);
SELECT count(*) FROM crm.identifiers_of(NULL);
SELECT count(*) FROM crm.stitch_check();
-- what blocks all writers takes no old snapshot
BEGIN ISOLATION LEVEL REPEATABLE READ;
\x on
SELECT query, r.* FROM (VALUES
    ($$SELECT crm.set_rule('a', priority => 1)$$),
    ($$SELECT crm.drop_rule('a')$$),
    ($$SELECT crm.set_quarantine_above(5)$$),
    ($$SELECT crm.stitch_all()$$)
) v(query), refused(query) r;
\x off
COMMIT;
BEGIN READ ONLY;
SELECT crm.customer_of('e:1') = crm.customer_of('e:2') AS joined, (SELECT count(*) FROM crm.stitch_check()),
       (SELECT count(*) FROM crm.why('e:1', 'e:2')), (SELECT count(*) FROM crm.simulate('{}') WHERE customer_id <> simulated_customer_id);
SELECT state, message FROM refused($$SELECT crm.identify('{e:1,e:9}')$$);
COMMIT;

-- what a hub stands on stays as long as it stands
\x on
SELECT query, r.state, r.message, r.detail LIKE '%crm.%' AS names_it, r.hint FROM (VALUES
    ('DROP EXTENSION pg_journey'),
    ('DROP FUNCTION journey_create_hub(text)'),
    ($$SELECT journey_drop_hub('crm')$$),
    ($$SELECT journey_drop_hub('crm', false)$$),
    -- and can't be spread without Citus, whose tests are in test/citus
    ($$SELECT journey_distribute_hub('crm')$$),
    ($$SELECT journey_distribute_hub('crm', layout => 'touchpoints')$$),
    ($$SELECT journey_distribute_hub('crm', layout => 'rows')$$),
    ($$SELECT journey_distribute_hub(NULL)$$),
    ($$SELECT journey_undistribute_hub('crm')$$)
) v(query), refused(query) r;
\x off
BEGIN;
CREATE SCHEMA installed;
SET client_min_messages = warning;
DROP EXTENSION pg_journey CASCADE;
CREATE EXTENSION pg_journey SCHEMA installed;
RESET client_min_messages;
SELECT installed.journey_create_hub('apart');
SELECT apart.identify(ARRAY['a:1', 'a:2']::installed.identifier[]);
SELECT apart.customer_of('a:2'::installed.identifier);
SELECT apart.set_rule('mail', normalizer => 'email');
SELECT apart.identify(ARRAY[installed.identifier('mail', 'Ana@EXAMPLE.com'), 'a:1']);
SELECT identifier, customer_id FROM apart.identities ORDER BY identifier;
SELECT count(*) FROM apart.stitch_check();
ROLLBACK;

-- drop
SELECT journey_drop_hub('select');
SELECT journey_drop_hub('My "Hub"', true);
SELECT journey_drop_hub('größe', force => true);
SELECT journey_drop_hub('it''s $$ %I \ hub', true);
SELECT journey_drop_hub(repeat('n', 63));
SELECT journey_drop_hub('a@version@b @hub@ @extschema@');
SELECT journey_drop_hub('quoted', true);
SELECT count(*) FROM hub;
SELECT journey_drop_hub('crm', true);
-- and a hub of that name again, in the same session
SELECT journey_create_hub('crm');
SELECT crm.identify('{a:1,a:2}');
SELECT crm.customer_of('a:2');
SELECT count(*) FROM crm.stitch_check();
SELECT journey_drop_hub('crm', true);
DROP SCHEMA taken;
DROP VIEW part, hub;
DROP FUNCTION refused, groups;
