-- Who may do what: each relation and each function of a hub, as a stranger, readers, a writer, a steward.
-- Whoever adds a relation or a function finds it here, and has to say who may use it.
SET max_parallel_workers_per_gather = 0;  -- thousands of queries too small for workers
SET client_min_messages = error;
CREATE ROLE regress_hub_owner;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_hub_owner', current_database()); END $$;
CREATE ROLE "regress Stranger's";
CREATE ROLE "regress ""Reader""";
CREATE ROLE regress_seer;
CREATE ROLE regress_writer;
CREATE ROLE regress_steward;
CREATE ROLE regress_access_agent;
SET ROLE regress_hub_owner;
SELECT journey_create_hub('It''s "%I"');
SET search_path = "It's ""%I""", public;
SELECT grant_access('regress "Reader"');
SELECT grant_access('regress_seer', 'reader', identifiers => true);
SELECT grant_access('regress_writer', 'writer');
SELECT grant_access('regress_steward', 'steward');
SELECT grant_access('regress_access_agent', 'agent');
INSERT INTO agents (agent, name, login) VALUES ('ann', 'Ann', 'regress_access_agent');

-- who may not use the extension is told of
BEGIN;
RESET ROLE;
SET LOCAL client_min_messages = warning;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
SELECT "It's ""%I""".grant_access('regress Stranger''s');
SELECT "It's ""%I""".grant_access('regress Stranger''s', 'portal');
ROLLBACK;

-- what is refused
CREATE FUNCTION pg_temp.refused(query text, OUT state text, OUT message text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    message := 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END $$;
\x on
SELECT query, r.* FROM (VALUES
    ($$SELECT grant_access('nobody')$$),
    ($$SELECT grant_access(NULL)$$),
    ($$SELECT grant_access('public')$$),
    ($$SELECT grant_access('regress_seer', 'owner')$$),
    ($$SELECT grant_access('regress_seer', NULL)$$),
    ($$SELECT revoke_access('public')$$),
    ($$SELECT revoke_access('regress_writer; --')$$)
) v(query), pg_temp.refused(query) r;
SET ROLE regress_steward;
SELECT query, r.* FROM (VALUES
    ($$SELECT grant_access('regress_steward', 'steward')$$),
    ($$SELECT grant_access('regress Stranger''s')$$),
    ($$SELECT revoke_access('regress_seer')$$)
) v(query), pg_temp.refused(query) r;
-- who lacks a right is told which level has it
\x off
SET ROLE "regress ""Reader""";
SELECT query, r.* FROM (VALUES
    ($$SELECT customer_of('a:1')$$), ($$SELECT identifiers_of(1)$$), ($$SELECT customer_at('a:1', now())$$), ($$SELECT why('a:1', 'b:1')$$),
    ($$SELECT simulate()$$), ($$SELECT stitch_check()$$), ($$SELECT identify('{a:1}')$$), ($$SELECT link('a:1', 'b:1')$$),
    ($$SELECT record('{a:1}', now(), 'web', 'view')$$), ($$SELECT retract('s', '1')$$), ($$SELECT unrecord('s', '1')$$),
    ($$SELECT ingest('{}', 'segment')$$), ($$SELECT must_link('a:1', 'b:1')$$), ($$SELECT set_rule('a', priority => 1)$$),
    ($$SELECT use_recommended_rules()$$), ($$SELECT stitch_all()$$), ($$SELECT refresh()$$), ($$SELECT retry_rejected('segment')$$),
    ($$SELECT attach_source('pg_class', '{}')$$), ($$SELECT detach_source('s')$$), ($$SELECT maintenance(now())$$)
) v(query), pg_temp.refused(query) r;
\x on
\x off
SET ROLE regress_hub_owner;

-- what there is to see and to do
SELECT identify('{email:ana@example.com,cookie:1}', '2026-03-01Z', 'web', 'k1') AS customer;
SELECT record('{cookie:1}', '2026-03-01 10:00Z', 'web', 'view', source => 'web', source_key => 't1') AS touchpoint;
SELECT record('{"phone:+351 1"}', '2026-03-02 10:00Z', 'phone', 'call', 5, 'EUR', 'in', 'c1', source => 'phone', source_key => 't2') AS touchpoint;
SELECT * FROM ingest('{"type": "track", "event": "x", "userId": "u", "messageId": "m1", "timestamp": "2026-03-03T10:00:00Z"}', 'segment');
SELECT * FROM ingest('nonsense', 'segment');
RESET ROLE;
CREATE TABLE public.sales (sale_id bigint PRIMARY KEY, sold_at timestamptz, card text, phone text);
INSERT INTO public.sales VALUES (1, '2026-03-04Z', 'c1', 'p1'), (2, '2026-03-05Z', 'c2', NULL), (3, '-infinity', 'c3', NULL);
ALTER TABLE public.sales OWNER TO regress_hub_owner;
CREATE TABLE public.shops (shop_id integer PRIMARY KEY, label text);
CREATE TABLE public.orders (order_id integer PRIMARY KEY, at timestamptz, card text, status text, shop_id integer);
INSERT INTO public.shops VALUES (1, 'North');
INSERT INTO public.orders VALUES (1, '2026-03-06Z', 'c1', 'new', 1), (2, '2026-03-06Z', 'c2', 'new', 1);
ALTER TABLE public.shops OWNER TO regress_hub_owner;
ALTER TABLE public.orders OWNER TO regress_hub_owner;
SET ROLE regress_hub_owner;
SELECT attach_source('sales', '{"occurred_at": "sold_at", "channel": "''store''", "action": "''buy''", "identifiers": {"card": "card", "phone": "phone"}}');
-- a table whose triggers do all with the rights of whoever writes it
SELECT attach_source('public.orders', $${"occurred_at": "at", "channel": "'store'", "action": "'order'", "identifiers": {"card": "card"},
                                         "subject": "shop.label", "lookups": {"shop": "shops(shop_id = orders.shop_id)"},
                                         "traits": {"shop": "shop.label"},
                                         "on_change": {"column": "status", "at": "at", "actions": {"paid": "pay"}}}$$, feed => 'immediate');
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON public.sales, public.orders, public.shops TO "regress Stranger's", "regress ""Reader""", regress_seer, regress_writer, regress_steward, regress_access_agent;
RESET ROLE;
RESET search_path;
SELECT oid AS hub FROM pg_namespace WHERE nspname = 'It''s "%I"' \gset
CREATE TEMP TABLE member (who text, role text);
INSERT INTO member VALUES ('stranger', 'regress Stranger''s'), ('reader', 'regress "Reader"'), ('seer', 'regress_seer'), ('writer', 'regress_writer'),
                          ('steward', 'regress_steward'), ('agent', 'regress_access_agent'), ('owner', 'regress_hub_owner');
GRANT SELECT ON member TO PUBLIC;

-- (unaligned, so that a longer name changes no other line)
\a
-- the grants: r(ead), a(dd), w(rite), d(elete), U(se); ~: of some columns only
CREATE TEMP VIEW relation AS
SELECT c.oid AS id, c.relacl, CASE WHEN c.relispartition THEN 'partitions' ELSE c.relname END AS relation
FROM pg_class c WHERE c.relnamespace = :hub AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f');
CREATE TEMP VIEW granted AS
SELECT DISTINCT r.relation, m.who, coalesce(v.letter, l.privilege) AS letter, l.columns
FROM relation r CROSS JOIN member m
     CROSS JOIN LATERAL (SELECT x.grantee, x.privilege_type, NULL::text FROM aclexplode(r.relacl) x
                         UNION ALL
                         SELECT x.grantee, x.privilege_type, string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a, aclexplode(a.attacl) x
                         WHERE a.attrelid = r.id GROUP BY x.grantee, x.privilege_type) l(grantee, privilege, columns)
     LEFT JOIN (VALUES ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd'), ('TRUNCATE', 'D'), ('USAGE', 'U')) v(privilege, letter) ON v.privilege = l.privilege
WHERE l.grantee IN (0, (SELECT oid FROM pg_roles WHERE rolname = m.role)) AND m.who <> 'owner';
CREATE FUNCTION letters(relation text, who text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(l, '' ORDER BY l)
    FROM (SELECT g.letter || CASE WHEN bool_and(g.columns IS NOT NULL) THEN '~' ELSE '' END AS l
          FROM granted g WHERE g.relation = letters.relation AND g.who = letters.who GROUP BY g.letter) s
$$;
SELECT relation, letters(relation, 'stranger') AS stranger, letters(relation, 'reader') AS reader, letters(relation, 'seer') AS seer,
       letters(relation, 'writer') AS writer, letters(relation, 'steward') AS steward, letters(relation, 'agent') AS agent
FROM (SELECT DISTINCT relation FROM relation) r ORDER BY relation COLLATE "C";
SELECT relation, letter, string_agg(who, ', ' ORDER BY who) AS who, columns
FROM granted WHERE columns IS NOT NULL GROUP BY relation, letter, columns ORDER BY relation COLLATE "C", letter, who;
\a
-- once more, and after an upgrade, they are the same
CREATE TEMP TABLE before AS TABLE granted;
SET ROLE regress_hub_owner;
SELECT count("It's ""%I""".grant_access(role, 'reader', who = 'seer')) FROM pg_temp.member WHERE who IN ('reader', 'seer');
SELECT count("It's ""%I""".grant_access(role, who)) FROM pg_temp.member WHERE who IN ('writer', 'steward', 'agent');
SELECT journey_upgrade_hub('It''s "%I"');
RESET ROLE;
SELECT count(*) FROM (TABLE before EXCEPT TABLE granted) s;
SELECT count(*) FROM (TABLE granted EXCEPT TABLE before) s;

\a
-- what comes of it: each view read, each function called, by everybody; - is 42501
CREATE FUNCTION outcome(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
BEGIN
    BEGIN
        EXECUTE format('SET LOCAL ROLE %I', role);
        EXECUTE query;
        RAISE EXCEPTION SQLSTATE 'DONE0';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
    END;
    RETURN CASE state WHEN 'DONE0' THEN 'yes' WHEN '42501' THEN '-' ELSE state END;
END $$;
-- a function with arguments that mean something to it, or else of a kind that fits
CREATE TEMP TABLE meant (name text, given text, kind text);  -- kind: of that only; NULL: of text of some kind
INSERT INTO meant VALUES
    ('source_id', '1', 'integer'), ('key_values', '{1}', 'text[]'), ('mapping', "It's ""%I""".mapping_of(1)::text, 'jsonb'),
    ('notes', '{1}', 'bigint[]'), ('most', '1', 'integer');
INSERT INTO meant VALUES
    ('feed', 'queued'), ('rows_from', 'public.sales'), ('wanted', 'text'), ('lookup', 'shop'), ('query', $$SELECT 'x'$$),
    ('mapping', '{"occurred_at": "sold_at", "channel": "card", "action": "card", "identifiers": {"card": "card"}}'),
    ('source', 'web'), ('source_key', 'k2'), ('role', 'regress_seer'), ('level', 'writer'), ('namespace', '*'), ('kind', 'must'), ('direction', 'in'),
    ('normalizer', 'email'), ('default_country', 'PT'), ('b', 'email:ana@example.com'), ('expression', 'kiosk'), ('format', 'segment');
CREATE TEMP TABLE fits (kind text, given text);
INSERT INTO fits VALUES
    ('identifier', 'cookie:1'), ('identifier[]', '{cookie:1,phone:2}'), ('bigint', '1'), ('integer', '7'), ('text', 'x'), ('name', 'x'), ('regclass', 'public.sales'), ('sales', '(4,2026-03-01,c,p)'), ('boolean', 'true'),
    ('timestamp with time zone', '2026-03-01Z'), ('numeric', '1'), ('jsonb', '{}'), ('json', '{}'), ('interval', '1 day'),
    ('observation', '("{cookie:1,phone:2}",2026-03-01Z,web,k2)'), ('consent', '(cookie:1,m,e,granted,consent,sql,,2026-03-01Z,)'), ('identifier_rules', '(*,5,0,0,{},"",""' || repeat(',', (SELECT count(*) - 7 FROM pg_attribute
        WHERE attrelid = '"It''s ""%I""".identifier_rules'::regclass AND attnum > 0)::int) || ')'),
    ('event', '("{cookie:1,phone:2}",2026-03-01Z,web,view,1,EUR,in,c,a,d,web,t3,{},,)');
CREATE TEMP TABLE special (function text, arguments text);
INSERT INTO special VALUES
    ('retract', $$'web', 'k1'$$), ('detach_source', $$'sales', false$$), ('check_source', $$'sales'$$), ('resync_source', $$'sales'$$),
    ('source_ids', $$'sales'$$), ('sources_to_feed', $$'sales', true, true$$), ('note_work', $$'refresh', NULL$$),
    ('alter_source', $$'sales', '{"occurred_at": "sold_at", "channel": "card", "action": "card", "identifiers": {"card": "card"}}'$$),
    ('alter_table', $$'sales', '{"occurred_at": "sold_at", "channel": "card", "action": "card", "identifiers": {"card": "card"}}', '', 'public'$$),
    ('apply_changes', $$2, '{1}', '{new}', '{paid}', '{5}', '{2026-03-07Z}'$$), ('apply_keys', $$1, 'sales', 1, '{1}', '{1}', NULL, false, false$$),
    ('apply_noted', $$1, '{1}', '{1}', NULL, false$$), ('check_rows', $$1, 'sales', 1, '{1}'$$), ('looked_up_rows', $$2, 'shop'$$),
    ('hint_of_indexes', $$'public.sales', '[]'$$), ('key_values', $$'["a"]', '{"a": "text"}', '$1', 'i.n', '%s', ', '$$),
    ('make_note_function', $$1, 'public.sales', NULL, '{1}', '{1}', '{}'$$),
    ('make_triggers', $$1, 'public.sales', NULL, 'suppress_redundant_updates_trigger()', 'queued', 'x'$$),
    ('next_rows', $$'public.sales', NULL, 10, NULL, 0, 10$$), ('read_rows', $$1, 'public.sales', NULL, NULL, NULL$$),
    ('attach_table', $$'public.sales', '{"occurred_at": "sold_at", "channel": "card", "action": "card", "identifiers": {"card": "card"}}', 'again',
                       '', 'queued', true, 'public'$$),
    ('read_mapping', $$'public.sales', '{"occurred_at": "sold_at", "channel": "card", "action": "card", "identifiers": {"card": "card"}}', 'again',
                       '', 'public'$$),
    ('source_expression', $$'{public.sales}', '{sales}', 'channel', 'card', 'text', 'public'$$),
    ('source_field', $$'{public.sales}', '{sales}', 'channel', '"card"', 'text', 'public'$$),
    ('source_lookup', $$'{public.orders}', '{orders}', 'shop', '"shops(shop_id = orders.shop_id)"', 'public'$$),
    ('agent_name', $$'ann', 'web', NULL$$), ('is_bot', $$'ann'$$),
    ('set_consent', $$'cookie:1', 'm', 'e', 'granted'$$), ('set_retention', $$'touchpoints', '1 year'$$), ('local_time_at', $$'2026-03-01Z', 'UTC', 'UTC'$$),
    ('put_traits', $$'crm', '{1,2}', '{cookie:1,phone:2}', '{"{}",NULL}', '{2026-03-01Z,NULL}'$$),
    ('identities_for', $$'{cookie:1}', '{2026-03-01Z}'$$),
    ('attach_source', $$'sales', '{"occurred_at": "sold_at", "channel": "card", "action": "card", "identifiers": {"card": "card"}}', 'again'$$),
    ('remove_rows', $$'sales', '{1,2}'$$),
    ('preview_source', $$'sales', '{"occurred_at": "sold_at", "channel": "card", "action": "card", "identifiers": {"card": "card"}}'$$);
CREATE FUNCTION call_of(function oid) RETURNS text LANGUAGE sql AS $$
    SELECT format(CASE p.prokind WHEN 'p' THEN 'CALL %s(%s)' ELSE 'SELECT count(*) FROM %s(%s)' END, function::regproc,
                  coalesce((SELECT s.arguments FROM special s WHERE s.function = p.proname),
                           (SELECT string_agg(format('%L::%s', coalesce(m.given, f.given, ARRAY[e.given]::text), a.kind), ', ' ORDER BY a.n)
                            FROM (SELECT format_type(t, NULL) AS kind, regexp_replace(format_type(t, NULL), '.*\.', '') AS bare, p.proargnames[n] AS name, n
                                  FROM unnest(p.proargtypes) WITH ORDINALITY a(t, n)) a
                                 LEFT JOIN meant m ON m.name = a.name AND CASE WHEN m.kind IS NULL THEN a.bare IN ('text', 'name', 'identifier', 'json')
                                                                          ELSE a.bare = m.kind END
                                 LEFT JOIN fits f ON f.kind = a.bare
                                 LEFT JOIN fits e ON e.kind || '[]' = a.bare)))
    FROM pg_proc p WHERE p.oid = function
$$;
CREATE FUNCTION outcomes(query text, OUT stranger text, OUT reader text, OUT seer text, OUT writer text, OUT steward text, OUT agent text, OUT owner text) LANGUAGE sql AS $$
    SELECT min(o) FILTER (WHERE who = 'stranger'), min(o) FILTER (WHERE who = 'reader'), min(o) FILTER (WHERE who = 'seer'),
           min(o) FILTER (WHERE who = 'writer'), min(o) FILTER (WHERE who = 'steward'), min(o) FILTER (WHERE who = 'agent'), min(o) FILTER (WHERE who = 'owner')
    FROM (SELECT who, outcome(role, query) AS o FROM member) m
$$;
SELECT c.relname AS view, o.* FROM pg_class c, outcomes(format('SELECT * FROM %s', c.oid::regclass)) o
WHERE c.relnamespace = :hub AND c.relkind = 'v' ORDER BY c.relname;
SELECT p.proname AS function, p.pronargs AS args, o.* FROM pg_proc p, outcomes(call_of(p.oid)) o
WHERE p.pronamespace = :hub AND p.prorettype <> 'trigger'::regtype ORDER BY p.proname, p.pronargs, p.oid;

-- what grants on tables come to, where the functions above don't tell
SELECT query, o.* FROM (VALUES
    ($$SELECT count(*) FROM touchpoints$$),
    ($$SELECT identity_id, customer_id FROM identities$$),
    ($$SELECT identifier FROM identities$$),
    ($$SELECT i FROM identities i$$),
    ($$SELECT FROM identities WHERE identifier = 'cookie:1'$$),
    ($$SELECT FROM identities ORDER BY identifier$$),
    ($$UPDATE identities SET identifier = 'x:1'$$),
    ($$UPDATE evidence SET identities = '{1,2}'$$),
    ($$DELETE FROM evidence$$),
    ($$DELETE FROM identities$$),
    ($$INSERT INTO retention_rules (what, keep) VALUES ('touchpoints', '1 day')$$),
    ($$UPDATE settings SET months_ahead = 1200$$),
    ($$UPDATE settings SET notify = false$$),
    ($$UPDATE channels SET label = 'Shop' WHERE channel = 'store'$$),
    ($$INSERT INTO business_hours VALUES (1, '9:00', '17:00')$$),
    ($$UPDATE touchpoints SET value = 1 WHERE touchpoint_id = 1 AND occurred_at = '2026-03-01 10:00Z'$$),
    ($$DELETE FROM touchpoints WHERE touchpoint_id = 1 AND occurred_at = '2026-03-01 10:00Z'$$),
    ($$DELETE FROM touchpoints_default$$),
    ($$TRUNCATE touchpoints$$),
    ($$INSERT INTO sales VALUES (4, '2026-03-05Z', 'c4', 'p1')$$),
    ($$UPDATE sales SET phone = 'p2' WHERE sale_id = 1$$),
    ($$UPDATE sales SET sold_at = 'infinity' WHERE sale_id = 1$$),
    ($$DELETE FROM sales$$),
    ($$TRUNCATE sales$$),
    ($$INSERT INTO orders VALUES (3, '2026-03-07Z', 'c3', 'new', 1)$$),
    ($$INSERT INTO orders VALUES (3, 'infinity', 'c3', 'new', 1)$$),
    ($$UPDATE orders SET status = 'paid', card = 'c4' WHERE order_id = 1$$),
    ($$UPDATE orders SET order_id = 9 WHERE order_id = 1$$),
    ($$DELETE FROM orders$$),
    ($$TRUNCATE orders$$),
    ($$UPDATE shops SET label = 'South'$$),
    ($$SELECT count(compiled) FROM sources$$),
    ($$SELECT count(last_error) FROM sources$$),
    ($$SELECT count(*) FROM touchpoints_default$$),
    ($$SELECT count(value) FROM touchpoints_default$$),
    ($$INSERT INTO feed_notes (source_id) VALUES (1)$$),
    ($$UPDATE sources SET mapping = '{}'$$),
    ($$SELECT payload FROM rejected$$),
    ($$DELETE FROM rejected$$),
    ($$UPDATE formats SET reason = reason$$),
    ($$INSERT INTO actions VALUES ('done', 'resolves')$$),
    ($$SELECT nextval('identities_identity_id_seq')$$),
    ($$SELECT setval('identities_identity_id_seq', 1)$$),
    ($$CREATE TABLE own_table ()$$),
    ($$CREATE INDEX ON touchpoints (agent)$$),
    ($$CREATE TRIGGER own_trigger BEFORE INSERT ON touchpoints EXECUTE FUNCTION note_added()$$),
    ($$ALTER TABLE touchpoints DISABLE TRIGGER ALL$$),
    ($$CREATE POLICY all_of_it ON touchpoints$$),
    ($$CREATE OR REPLACE VIEW memberships AS SELECT 1$$),
    ($$SELECT journey_upgrade_hub('It''s "%I"')$$),
    ($$SELECT journey_drop_hub('It''s "%I"', true)$$)
) v(query), outcomes('SET LOCAL search_path = "It''s ""%I""", public; ' || query) o;

\a
-- a partition made later is the parent's, for everybody
SELECT date_trunc('month', now()) - interval '5 months' + interval '9 days' AS earlier \gset
SET ROLE regress_hub_owner;
CALL "It's ""%I""".maintain(:'earlier') \gset
SELECT :made > 0 AS made;
SET ROLE regress_writer;
SELECT "It's ""%I""".record('{cookie:1}', :'earlier', 'store', 'visit') AS touchpoint;
SET ROLE "regress ""Reader""";
SELECT channel, tableoid::regclass <> '"It''s ""%I""".touchpoints_default'::regclass AS own_partition
FROM "It's ""%I""".touchpoints WHERE occurred_at = :'earlier';
RESET ROLE;

-- Nothing is used that hides behind names in a schema before the others, or among temporary objects: the rights lent would
-- be the caller's, who may be the owner.
CREATE SCHEMA trap;
GRANT USAGE ON SCHEMA trap TO PUBLIC;
CREATE FUNCTION trap.spring() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION SQLSTATE 'TRAP0'; END $$;
DO $do$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT format('CREATE FUNCTION trap.%I(%s) RETURNS %s LANGUAGE sql AS $f$SELECT trap.spring()::text::%3$s$f$', p.proname,
                      array_to_string(p.proargtypes::regtype[], ', '), format_type(p.prorettype, NULL))
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE (n.nspname IN ('public', 'It''s "%I"') OR n.nspname = 'pg_catalog' AND p.proname IN ('nextval', 'now', 'format', 'lower', 'isfinite', 'pg_notify'))
              AND p.prokind = 'f' AND NOT p.proretset AND p.prorettype NOT IN ('void'::regtype, 'trigger'::regtype, 'internal'::regtype, 'cstring'::regtype, 'language_handler'::regtype)
              AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) a(t)
                              WHERE t IN ('record'::regtype, 'internal'::regtype, 'cstring'::regtype, '"any"'::regtype, 'anyelement'::regtype, 'anyarray'::regtype))
        UNION ALL
        SELECT format('CREATE OPERATOR trap.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = trap.%I)', o.oprname, o.oprleft::regtype, o.oprright::regtype, p.proname)
        FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
        WHERE o.oprnamespace = 'public'::regnamespace AND o.oprleft <> 0
        UNION ALL
        SELECT format('CREATE VIEW %s.%I AS SELECT trap.spring() AS one_row', s.name, c.relname)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN (VALUES ('trap'), ('pg_temp')) s(name)
        WHERE n.nspname = 'It''s "%I"' AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
    LOOP
        EXECUTE command;
    END LOOP;
END $do$;
GRANT SELECT ON ALL TABLES IN SCHEMA trap, pg_temp TO PUBLIC;
SELECT (SELECT count(*) > 100 FROM pg_proc WHERE pronamespace = 'trap'::regnamespace) AS functions,
       (SELECT count(*) > 20 FROM pg_operator WHERE oprnamespace = 'trap'::regnamespace) AS operators;
-- the trap works ...
SELECT outcome('regress_hub_owner', 'SET LOCAL search_path = trap, pg_catalog, public; SELECT now() = now()');
SELECT outcome('regress_hub_owner', 'SET LOCAL search_path = trap, public; TABLE identities');
-- ... and nobody goes there
CREATE FUNCTION trapped(query text) RETURNS text LANGUAGE sql AS $$
    SELECT nullif(outcome('regress_hub_owner', 'SET LOCAL search_path = trap, pg_temp, pg_catalog, public; ' || query), outcome('regress_hub_owner', query))
$$;
SELECT c.relname, trapped(format('SELECT count(*) FROM (SELECT * FROM %I.%I) s', 'It''s "%I"', c.relname)) FROM pg_class c
WHERE c.relnamespace = :hub AND c.relkind = 'v' AND trapped(format('SELECT * FROM %I.%I', 'It''s "%I"', c.relname)) IS NOT NULL;
SELECT call, trapped(call) FROM (SELECT call_of(oid) AS call FROM pg_proc WHERE pronamespace = :hub AND prorettype <> 'trigger'::regtype) p
WHERE trapped(call) IS NOT NULL;
SELECT trapped('DELETE FROM "It''s ""%I""".touchpoints'), trapped('TRUNCATE "It''s ""%I""".touchpoints'),
       trapped('UPDATE "It''s ""%I""".touchpoints SET value = 9, occurred_at = occurred_at + interval ''1 h''');

-- all taken away
SET ROLE regress_hub_owner;
CREATE VIEW "It's ""%I""".own_view AS SELECT 1 AS one;
GRANT SELECT ON "It's ""%I""".own_view TO regress_seer;
GRANT UPDATE (value) ON "It's ""%I""".touchpoints_default TO regress_seer;
SELECT count("It's ""%I""".revoke_access(role)) FROM pg_temp.member WHERE who <> 'owner';
RESET ROLE;
DROP SCHEMA trap CASCADE;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_hub_owner', current_database()); END $$;
SELECT journey_drop_hub('It''s "%I"', true);
DROP TABLE public.sales, public.orders, public.shops;
DROP ROLE "regress Stranger's", "regress ""Reader""", regress_seer, regress_writer, regress_steward, regress_access_agent;
DROP VIEW granted, relation;
DROP TABLE member;
DROP FUNCTION pg_temp.refused;
DROP FUNCTION letters, outcome, outcomes, call_of, trapped;
DROP ROLE regress_hub_owner;
