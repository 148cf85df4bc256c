-- The level agent: who works in queues sees their customers, in every view and function, and nobody else's; all others notice nothing.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = error;
SET timezone = 'UTC';
CREATE ROLE regress_team;
CREATE ROLE regress_ana IN ROLE regress_team;
CREATE ROLE regress_bob IN ROLE regress_team;
CREATE ROLE regress_none IN ROLE regress_team;
CREATE ROLE regress_agents_seer;
CREATE ROLE regress_reader;
CREATE ROLE regress_agents_writer;
SELECT journey_create_hub('crm');
UPDATE crm.settings SET future_within = NULL, past_within = NULL;
SELECT count(crm.grant_access(role, level)) FROM (VALUES ('regress_reader', 'reader'), ('regress_agents_writer', 'writer'), ('regress_agents_writer', 'reader')) v(role, level);
INSERT INTO crm.agents (agent, on_duty, capacity, login) VALUES
    ('ana', true, 5, 'regress_ana'), ('ann', true, 1, NULL), ('bob', true, NULL, 'regress_bob'), ('old', false, NULL, 'regress_none'), ('seer', true, NULL, 'regress_agents_seer');
INSERT INTO crm.queues (queue) VALUES ('a'), ('b'), ('c');
INSERT INTO crm.agent_queues (queue, agent) VALUES ('a', 'ana'), ('a', 'ann'), ('b', 'bob'), ('a', 'seer');
-- customers of team a, of team b, of nobody, of both, and one who was released lately, and long ago
SELECT count(crm.record(ARRAY[(w || '_card:1')::identifier, (w || '_mail:1')::identifier], at, channel, 'message', 10, 'EUR', direction => 'in',
                        conversation => 'secret ' || w, source => 'desk', subject => 'secret ' || w, attributes => jsonb_build_object('x', 'secret ' || w)))
FROM unnest('{a,b,nobody,both,lately,once}'::text[]) w, (VALUES ('2026-03-01 10:00Z'::timestamptz, 'chat'), ('2026-03-01 12:00Z', 'email')) v(at, channel);
SELECT count(crm.set_traits((w || '_card:1')::identifier, jsonb_build_object('name', 'secret ' || w, 'language', 'pt'), 'desk')) FROM unnest('{a,b,nobody,both,lately,once}'::text[]) w;
SELECT crm.create_segment('writers', '{"pattern": "%.message"}') IS NOT NULL AS made, crm.create_segment('named', '{"trait": "$.name != null"}') IS NOT NULL AS by_trait;
SELECT crm.refresh();
CREATE FUNCTION who(name text) RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$ BEGIN RETURN crm.customer_of((name || '_card:1')::identifier); END $$;
SELECT count(crm.assign(who(w), q, CASE w WHEN 'a' THEN 'ana' END, 'chat', 'desk', 'secret ' || w))
FROM (VALUES ('a', 'a'), ('b', 'b'), ('both', 'b'), ('lately', 'a'), ('once', 'a')) v(w, q);
SELECT crm.assign(who('both'), 'a', channel => 'phone') IS NOT NULL AS both;
SELECT count(crm.release(assignment_id, 'done')) FROM crm.assignments WHERE conversation IN ('secret lately', 'secret once');
UPDATE crm.assignments SET assigned_at = '2026-01-01Z', released_at = '2026-01-02Z' WHERE conversation = 'secret once';

-- the first agent turns policies on
SELECT count(*) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = 'crm'::regnamespace AND p.polname IN ('agents', 'everyone');
SELECT crm.grant_access('regress_team', 'agent');
SELECT crm.grant_access('regress_agents_seer', 'agent', identifiers => true);
SELECT c.relname, p.polname, p.polpermissive, p.polcmd, array_to_string(p.polroles::regrole[], ', ') AS roles
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE c.relnamespace = 'crm'::regnamespace AND c.relname NOT IN ('traits', 'trait_history', 'journey_blocks') ORDER BY c.relname COLLATE "C", p.polname COLLATE "C";

-- whose customers each of them sees, in whatever has something of customers
CREATE FUNCTION tried(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r text;
    state text;
BEGIN
    BEGIN
        EXECUTE format('SET LOCAL ROLE %I', role);
        EXECUTE format('SELECT string_agg((q.*)::text, E''\n'') FROM (%s) q', query) INTO r;
        RAISE EXCEPTION SQLSTATE 'DONE0';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
        RETURN CASE WHEN state = 'DONE0' THEN coalesce(r, '') ELSE state || ' ' || SQLERRM END;
    END;
END $$;
CREATE FUNCTION names(text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(w, ' ' ORDER BY w) FROM unnest('{a,b,nobody,both,lately,once}'::text[]) w WHERE $1 ~ ('secret ' || w || '\M') OR $1 ~ (w || '_(card|mail)') $$;
CREATE VIEW readable AS
SELECT c.relname AS name, format('SELECT %s FROM crm.%I', string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum), c.relname) AS query,
       bool_or(a.attname IN ('customer_id', 'identity_id')) AS of_customers
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege('regress_team', c.oid, a.attnum, 'SELECT')
WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind IN ('r', 'p', 'v') GROUP BY c.relname;
SELECT count(*) FROM readable WHERE NOT of_customers;
SELECT r.name, names(tried('regress_ana', r.query)) AS ana, names(tried('regress_bob', r.query)) AS bob
FROM readable r WHERE r.of_customers AND names(tried(current_user, r.query)) IS NOT NULL ORDER BY r.name COLLATE "C";
-- and by numbers, where there is no text
SELECT r.name, (SELECT string_agg(DISTINCT w, ' ' ORDER BY w) FROM unnest('{a,b,nobody,both,lately,once}'::text[]) w JOIN crm.identities i ON i.customer_id = who(w)
                JOIN regexp_matches(tried('regress_ana', r.query), '^\((\d+)', 'gn') m(number) ON m.number[1] = i.identity_id::text) AS ana
FROM readable r WHERE r.of_customers AND names(tried(current_user, r.query)) IS NULL ORDER BY r.name COLLATE "C";
SELECT tried('regress_agents_seer', 'SELECT identifiers, profile FROM crm.customer_360 WHERE customer_id = ' || who('a')) AS seer, tried('regress_ana', 'SELECT identifiers, profile FROM crm.customer_360 WHERE customer_id = ' || who('a')) AS ana;
SELECT tried('regress_agents_seer', $$SELECT crm.customer_of('a_card:1') IS NOT NULL, crm.customer_of('b_card:1')$$) AS seer, tried('regress_ana', $$SELECT crm.customer_of('a_card:1')$$) AS ana;
SELECT tried('regress_ana', 'TABLE crm.my_queues') AS ana, tried('regress_none', 'TABLE crm.my_queues') AS none, tried('regress_team', 'TABLE crm.my_queues') AS team;

-- every function: of a customer of the other team's it says what it says of one that there is not
CREATE FUNCTION call_of(function oid, customer bigint, name text) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT %s(%s)', p.oid::regproc,
                  (SELECT string_agg(format('%L::%s', CASE format_type(t, NULL)
                       WHEN 'bigint' THEN customer::text WHEN 'bigint[]' THEN '{' || customer || '}' WHEN 'text' THEN name WHEN 'text[]' THEN '{"' || name || '"}'
                       WHEN 'timestamp with time zone' THEN '2026-06-01Z' WHEN 'boolean' THEN 'false' WHEN 'integer' THEN '1' WHEN 'interval' THEN '1 day' WHEN 'jsonb' THEN '{}'
                       WHEN 'identifier' THEN CASE name WHEN 'chat' THEN 'x:1' ELSE 'b_card:1' END WHEN 'identifier[]' THEN '{x:1}' END, format_type(t, NULL)), ', ' ORDER BY n)
                   FROM unnest(p.proargtypes) WITH ORDINALITY a(t, n)))
    FROM pg_proc p WHERE p.oid = function $$;
CREATE TEMP TABLE called AS
SELECT p.oid, p.proname AS name, p.pronargs AS args, regexp_replace(tried('regress_ana', call_of(p.oid, who('b'), 'chat')), '\m' || who('b') || '\M', 'N', 'g') AS other,
       regexp_replace(tried('regress_ana', call_of(p.oid, 987654321, 'chat')), '\m987654321\M', 'N', 'g') AS nobody
FROM pg_proc p
WHERE p.pronamespace = 'crm'::regnamespace AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype AND p.pronargs > 0
      AND p.proname NOT IN ('block_of', 'release') AND 'bigint'::regtype::oid = ANY (p.proargtypes::oid[]);
SELECT count(*) > 20 AS many FROM called;
SELECT name, args, left(other, 60) AS other, left(nobody, 60) AS nobody FROM called WHERE other <> nobody ORDER BY name COLLATE "C", args;
SELECT name, names(other) AS leaks FROM called WHERE names(other) IS NOT NULL;
SELECT f, names(tried('regress_ana', format('SELECT crm.%I(%s)', f, who('a')))) AS own FROM unnest('{timeline_of,conversations_of}'::text[]) f;
-- nor by those that take no number
SELECT f, names(tried('regress_ana', format('SELECT crm.%I()', f))) AS sees FROM unnest('{timeline_between,conversations_between,contacts_between,waiting_now}'::text[]) f;
-- what the next agent needs: of one's own, without identifiers for who may not see them; of others there is nothing
SELECT names(tried('regress_ana', format('SELECT crm.handover(%s)', who('a')))) AS ana, names(tried('regress_bob', format('SELECT crm.handover(%s)', who('a')))) AS bob,
       tried('regress_ana', format('SELECT crm.handover(%s) IS NULL', who('b'))) AS others, tried('regress_ana', format('SELECT crm.handover(%s) IS NULL', 987654321)) AS nobody,
       tried('regress_ana', format('SELECT crm.handover(%s) ->> ''identifiers'', crm.handover(%1$s) -> ''profile''', who('a'))) AS without, tried('regress_agents_seer', format('SELECT crm.handover(%s) ->> ''identifiers''', who('a'))) AS with;

-- what agents do: within their queues
CREATE VIEW held AS SELECT assignment_id AS id, conversation, channel, queue, agent, priority, outcome FROM crm.assignments WHERE outcome IS DISTINCT FROM 'done' ORDER BY 1;
GRANT SELECT ON held TO regress_team;
SELECT who, what, left(tried(who, query), 140) AS result FROM (VALUES
    ('regress_ana', 'takes one of his queue', format('SELECT crm.assign(%s, %L, %L, %L) > 0', who('both'), 'a', 'ana', 'phone')),
    ('regress_ana', 'passes one on to a colleague', format('SELECT crm.assign(%s, %L, %L, %L, %L, %L) > 0', who('a'), 'a', 'ann', 'chat', 'desk', 'secret a')),
    ('regress_ana', 'puts one back', format('SELECT crm.assign(%s, %L, NULL, %L, %L, %L) > 0', who('a'), 'a', 'chat', 'desk', 'secret a')),
    ('regress_ana', 'to another queue', format('SELECT crm.assign(%s, %L, NULL, %L)', who('a'), 'b', 'phone')),
    ('regress_ana', 'to an agent of another', format('SELECT crm.assign(%s, %L, %L, %L)', who('a'), 'a', 'bob', 'phone')),
    ('regress_ana', 'to an agent without a queue', format('SELECT crm.assign(%s, NULL, %L, %L)', who('a'), 'bob', 'phone')),
    ('regress_ana', 'a customer of others', format('SELECT crm.assign(%s, %L, %L)', who('b'), 'a', 'ana')),
    ('regress_ana', 'what others have of a customer of both', format('SELECT crm.assign(%s, %L, %L, %L, %L, %L)', who('both'), 'a', 'ana', 'chat', 'desk', 'secret both')),
    ('regress_ana', 'the conversation of others, for his own customer', format('SELECT crm.assign(%s, %L, %L, %L, %L, %L)', who('a'), 'a', 'ana', 'chat', 'desk', 'secret nobody')),
    ('regress_ana', 'one that nobody has yet', format('SELECT crm.assign(%s, %L, %L, %L, %L, %L) > 0', who('a'), 'a', 'ana', 'chat', 'desk', 'secret new')),
    ('regress_ana', 'to a queue there is not', format('SELECT crm.assign(%s, %L)', who('a'), 'd')),
    ('regress_ana', 'releases one', $$SELECT crm.release(id, 'served') FROM held WHERE conversation = 'secret a'$$),
    ('regress_ana', 'releases what others have', $$SELECT crm.release(2)$$),
    ('regress_ana', 'looks at one of before again', $$SELECT count(*) FROM (SELECT crm.release(assignment_id) FROM crm.assignments WHERE conversation = 'secret once') s$$),
    ('regress_ana', 'routes', format('SELECT agent, queue FROM crm.route(%s)', who('a'))),
    ('regress_ana', 'routes others', format('SELECT agent, queue FROM crm.route(%s)', who('b')))
    ) v(who, what, query);
-- changes of rows, as they come
CREATE FUNCTION done(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE query;
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE EXCEPTION '% rows', n;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END $$;
SELECT who, query, done(who, query) FROM (VALUES
    ('regress_ana', $$UPDATE crm.agents SET on_duty = false$$),
    ('regress_none', $$UPDATE crm.agents SET on_duty = true$$),
    ('regress_team', $$UPDATE crm.agents SET on_duty = true$$),
    ('regress_ana', $$UPDATE crm.agents SET login = 'regress_bob'$$),
    ('regress_ana', $$SELECT login FROM crm.agents$$),
    ('regress_ana', $$INSERT INTO crm.agent_queues (agent, queue) VALUES ('ana', 'b')$$),
    ('regress_ana', format($$INSERT INTO crm.assignments (identity_id, queue) VALUES (%s, 'a')$$, who('nobody'))),
    ('regress_ana', format($$INSERT INTO crm.assignments (identity_id, queue, conversation, source) VALUES (%s, 'a', 'new', 'desk')$$, who('a'))),
    ('regress_ana', format($$INSERT INTO crm.assignments (identity_id, queue, conversation, source) VALUES (%s, 'a', 'secret nobody', 'desk')$$, who('a'))),
    ('regress_ana', $$UPDATE crm.assignments SET released_at = 'infinity'$$),
    ('regress_ana', $$UPDATE crm.assignments SET queue = 'a'$$),
    ('regress_ana', $$UPDATE crm.assignments SET released_at = NULL, outcome = NULL WHERE released_at IS NOT NULL$$),
    ('regress_ana', $$DELETE FROM crm.assignments$$),
    ('regress_ana', $$SELECT crm.record('{x:1}', now(), 'web', 'view')$$),
    ('regress_ana', $$SELECT crm.set_traits('a_card:1', '{"name": "x"}')$$),
    ('regress_ana', $$SELECT crm.refresh()$$),
    ('regress_ana', $$SELECT crm.grant_access('regress_ana')$$),
    ('regress_ana', $$SELECT count(*) FROM crm.journey_blocks$$),
    ('regress_ana', $$SELECT count(*) FROM crm.channel_mix$$),
    ('regress_ana', $$SELECT count(*) FROM crm.memberships$$)
    ) v(who, query);
-- a function that tells what it is given is given nothing but one's own
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE WARNING 'leaked: %', $1; RETURN true; END $$;
SET client_min_messages = warning;
SET ROLE regress_bob;
SELECT count(*) FROM crm.touchpoints WHERE leak(conversation);
SELECT count(*) FROM crm.assignments WHERE leak(conversation);
SELECT count(*) FROM crm.traits WHERE leak(value::text);
SELECT count(*) FROM crm.my_customers m WHERE leak('customer ' || (m.customer_id IS NULL));
SELECT count(*) FROM crm.my_queues m WHERE leak(m.agent);
RESET ROLE;
SET client_min_messages = error;
DROP FUNCTION leak(text);

-- others notice nothing: no row is hidden, blocks are read, and the index of patterns is used
SELECT role, tried(role, 'SELECT crm.hides_rows(p.polrelid) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = ''crm''::regnamespace AND p.polname = ''everyone'' GROUP BY 1') AS hides,
       tried(role, 'SELECT crm.sees_all_journeys(), crm.reads_stored(), crm.reads_blocks()') AS reads, tried(role, 'SELECT count(*) FROM crm.customers') AS customers
FROM unnest('{regress_reader,regress_agents_writer}'::text[]) role;
CREATE FUNCTION index_of(role text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    FOR line IN EXPLAIN (FORMAT json) SELECT customer_id FROM crm.customer_journeys WHERE journey ~ 'store.buy' LOOP
        RESET ROLE;
        RETURN substring(line FROM 'customer_journeys_journey_idx');
    END LOOP;
END $$;
SET enable_seqscan = off;
SELECT index_of('regress_reader') AS reader, index_of('regress_ana') AS agent;
RESET enable_seqscan;
SET ROLE regress_agents_writer;
SELECT crm.record('{c_card:1}', '2026-03-01Z', 'web', 'view') > 0 AS recorded;
SELECT crm.assign(crm.customer_of('c_card:1'), 'c') > 0 AS writer, (SELECT r.queue FROM crm.route(crm.customer_of('c_card:1')) r) AS routed;
SELECT count(crm.release(a.assignment_id)) FROM crm.assignments a WHERE a.queue = 'c';
RESET ROLE;

-- whoever is one of them is not the other
SELECT query, r.message, r.hint FROM (VALUES
    ($$SELECT crm.grant_access('regress_reader', 'agent')$$), ($$SELECT crm.grant_access('regress_team', 'reader')$$), ($$SELECT crm.grant_access('regress_ana', 'writer')$$),
    ($$SELECT crm.grant_access('regress_ana', 'boss')$$)) v(query), refused(v.query) r;
-- policies of one's own: agents see what both let them see, and what lets all others see all goes
CREATE POLICY no_email ON crm.touchpoints USING (channel <> 'email');
SELECT topic, name, status FROM crm.health WHERE topic = 'policies';
SELECT crm.grant_access('regress_team', 'agent');
SELECT polname FROM pg_policy WHERE polrelid = 'crm.touchpoints'::regclass ORDER BY polname;
SELECT count(*) FROM crm.health WHERE topic = 'policies';
SELECT role, tried(role, 'SELECT string_agg(DISTINCT channel, '' '') FROM crm.touchpoints') AS touchpoints, tried(role, 'SELECT string_agg(DISTINCT channel, '' '') FROM crm.timeline') AS timeline,
       tried(role, 'SELECT string_agg(DISTINCT c, '' '') FROM crm.current_journeys j, unnest(public.journey_channels(j.journey)) c') AS journeys
FROM unnest('{regress_reader,regress_ana}'::text[]) role;
DROP POLICY no_email ON crm.touchpoints;
SELECT tried('regress_reader', 'SELECT count(*) FROM crm.touchpoints') AS without_any;
-- taken away: from one, and from the last
SELECT crm.revoke_access('regress_team');
SELECT tried('regress_ana', 'SELECT count(*) FROM crm.customers') AS ana, tried('regress_agents_seer', 'SELECT count(*) FROM crm.customers') AS seer;
SELECT crm.revoke_access('regress_agents_seer');
SELECT relname FROM pg_class WHERE relnamespace = 'crm'::regnamespace AND relrowsecurity ORDER BY relname COLLATE "C";
SELECT count(*) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = 'crm'::regnamespace AND p.polname IN ('agents', 'everyone', 'own_row');
DROP VIEW held, readable;
DROP OWNED BY regress_team, regress_ana, regress_bob, regress_none, regress_agents_seer, regress_reader, regress_agents_writer;
SELECT journey_drop_hub('crm', true);
DROP ROLE regress_team, regress_ana, regress_bob, regress_none, regress_agents_seer, regress_reader, regress_agents_writer;
DROP TABLE called;
DROP FUNCTION refused, who, tried, names, call_of, done, index_of;
