-- Agents: one whom several systems call otherwise is one person, an AI assistant is a bot by its row.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT journey_create_hub('crm');
SET search_path = crm, public;

-- Rita answers in the help desk by her address and on the telephone by her line, after the assistant
SELECT count(record('{email:ana@example.pt}', '2026-03-02 10:00Z'::timestamptz + n * interval '1 min', v.channel, v.action, direction => v.direction, conversation => v.conversation, source => v.source,
                    agent => v.agent, subject => v.subject))
FROM (VALUES
    (0, 'chat', 'message', 'in', 'c1', 'desk', NULL, NULL), (1, 'chat', 'message', 'out', 'c1', 'desk', 'Captain', 'Where is my order?'),
    (2, 'chat', 'message', 'in', 'c1', 'desk', NULL, 'Re: Where is my order?'), (3, 'chat', 'message', 'out', 'c1', 'desk', 'rita@example.pt', NULL),
    (4, 'chat', 'message', 'in', 'c1', 'desk', NULL, NULL), (5, 'chat', 'message', 'out', 'c1', 'desk', 'Rita S.', NULL),
    (6, 'chat', 'message', 'in', 'c1', 'desk', NULL, NULL), (7, 'chat', 'message', 'out', 'c1', 'desk', 'rui', NULL),
    (8, 'chat', 'resolved', 'out', 'c1', 'desk', 'rui', NULL),
    (60, 'phone', 'call_completed', 'in', 'k1', 'pbx', 'SIP/12', NULL), (70, 'email', 'message', 'out', NULL, 'shop', 'bot:news', NULL),
    (80, 'email', 'message', 'out', NULL, 'shop', 'Captain', NULL)
) v(n, channel, action, direction, conversation, source, agent, subject);
SELECT refresh();
-- until anybody says so, Rita is three, and the assistant a person
CREATE VIEW shown AS
SELECT c.source, c.conversation, c.subject, c.agents, c.handled_by, c.answered_by, c.transfers, c.handovers FROM conversations c ORDER BY c.started_at;
TABLE shown;
SELECT agent, is_bot, touchpoints FROM dim_agents ORDER BY agent COLLATE "C";
-- journeys as they are read are always those that would be packed anew
CREATE VIEW stale AS
SELECT 'journeys' AS what, count(*) FROM current_journeys j WHERE j.journey IS DISTINCT FROM visible_journey(j.customer_id)
UNION ALL
SELECT 'by customer', count(*) FROM journeys_by_customer j WHERE j.journey IS DISTINCT FROM visible_journey(j.customer_id)
UNION ALL
SELECT 'blocks', count(*) FROM (SELECT u.customer AS customer_id, u.journey FROM current_blocks b, unnest(b.block) u) j WHERE j.journey IS DISTINCT FROM visible_journey(j.customer_id);
INSERT INTO agents VALUES ('rita', 'Rita Santos', NULL), ('ada', 'Ada', true);
INSERT INTO agent_aliases (source, alias, agent) VALUES ('desk', 'rita@example.pt', 'rita'), ('desk', 'Rita S.', 'rita'), ('pbx', 'SIP/12', 'rita'), ('desk', 'Captain', 'ada');
TABLE known_agents ORDER BY source, alias COLLATE "C";
TABLE shown;
SELECT agent, is_bot, touchpoints FROM dim_agents ORDER BY agent COLLATE "C";
SELECT occurred_at, direction, agent FROM timeline ORDER BY occurred_at;
SELECT occurred_at, direction, agent FROM timeline_between() ORDER BY occurred_at;
SELECT turn, agent, is_bot FROM turns ORDER BY occurred_at, step;
SELECT agent, kind FROM replies ORDER BY replied_at;
SELECT 'contact' AS what, agent FROM contacts UNION ALL SELECT 'resolution', agent FROM resolutions ORDER BY 1, 2;
SELECT h.to_channel, h.agent FROM handoffs h ORDER BY h.occurred_at;
SELECT breakdown_value AS agent, contacts, conversations, answered, resolved, replies, bot_conversations FROM service_levels('year', breakdown => 'agent') ORDER BY breakdown_value COLLATE "C";
-- the assistant's name in the help desk is nobody's in the shop; what was packed is packed anew
SELECT journey FROM current_journeys;
TABLE stale;
SELECT refresh();
TABLE stale;
SELECT touchpoint_id, agent FROM touchpoints WHERE agent LIKE 'Rita%' OR agent = 'SIP/12' ORDER BY touchpoint_id;

-- a row says more than spelling, either way; without a word of it spelling counts; the alias of a source before that of all
INSERT INTO agents VALUES ('news', 'Newsletter', false), ('bot:old', 'Old assistant', NULL), ('captain', NULL, false);
INSERT INTO agent_aliases VALUES ('', 'bot:news', 'news'), ('', 'Captain', 'captain');
SELECT count(record('{email:ana@example.pt}', '2026-03-03 10:00Z', 'chat', 'message', direction => 'out', source => s, agent => a)) FROM unnest('{desk,shop}'::text[]) s, unnest('{bot:old,bot,ada,captain}'::text[]) a;
SELECT t.source, t.agent AS told, agent_name(t.agent, t.source, (SELECT agent_names())) AS agent, is_bot(t.agent, t.source, (SELECT agent_bots())) AS is_bot, count(*)
FROM touchpoints t WHERE t.agent IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY t.source, t.agent COLLATE "C";
TABLE stale;
-- everything that can become of a row: what is stale is told, and who has nothing to do with it is left alone
SELECT refresh();
SELECT record('{card:1}', '2026-03-04 10:00Z', 'chat', 'message', direction => 'out', agent => 'rui', source => 'desk') IS NOT NULL AS recorded, refresh();
CREATE FUNCTION after(statement text, OUT noted bigint, OUT flaws bigint, OUT refreshed bigint, OUT then_flaws bigint, OUT bots jsonb) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    noted := (SELECT count(*) FROM journey_changes);
    flaws := (SELECT sum(s.count) FROM stale s);
    refreshed := refresh();
    then_flaws := (SELECT sum(s.count) FROM stale s);
    bots := (SELECT m.bots FROM agent_maps m);
END $$;
SELECT s.n, a.* FROM (VALUES
    (1, $$UPDATE agents SET name = 'Rita' WHERE agent = 'rita'$$),
    (2, $$UPDATE agents SET is_bot = NULL WHERE agent = 'ada'$$),
    (3, $$UPDATE agents SET is_bot = true WHERE agent IN ('ada', 'captain')$$),
    (4, $$DELETE FROM agent_aliases WHERE source = 'desk' AND alias = 'Captain'$$),
    (5, $$UPDATE agents SET agent = 'rui' WHERE agent = 'captain'$$),
    (6, $$UPDATE agent_aliases SET source = 'shop' WHERE alias = 'Captain'$$),
    (7, $$UPDATE touchpoints SET agent = 'Captain' WHERE agent = 'rui' AND action = 'message'$$),
    (8, $$UPDATE touchpoints SET agent = 'Captain', source = source WHERE source = 'shop' AND agent = 'bot:news'$$),
    (9, $$DELETE FROM agents WHERE agent = 'rui'$$),
    (10, $$TRUNCATE agents, agent_aliases, agent_queues, routing_rules, assignments$$),
    (11, $$UPDATE agents SET is_bot = true$$)
) s(n, statement), after(s.statement) a ORDER BY s.n;
SELECT m.names, m.bots, s.bots_version FROM agent_maps m, settings s;

-- who is a bot by one name is one by all
INSERT INTO agents VALUES ('bot:cap', 'Cap', NULL), ('sol', 'Sol', NULL), ('lua', 'Lua', NULL);
INSERT INTO agent_aliases VALUES ('desk', 'cap', 'bot:cap'), ('pbx', 'bot:sol', 'sol'), ('desk', 's', 'sol'), ('desk', 'l', 'lua');
SELECT source, alias, agent, is_bot FROM known_agents ORDER BY agent COLLATE "C", source, alias COLLATE "C";
SELECT bots FROM agent_maps;
UPDATE agents SET is_bot = false;
SELECT bots FROM agent_maps;
DELETE FROM agents;

-- two of one name stay two; a name is not empty; an alias is somebody's
INSERT INTO agents VALUES ('m1', 'Maria', false), ('m2', 'Maria', false), ('Maria', NULL, NULL);
SELECT alias, name FROM known_agents ORDER BY alias COLLATE "C";
SELECT state, message FROM refused($$INSERT INTO agents VALUES ('m3', '')$$);
SELECT state, message FROM refused($$INSERT INTO agent_aliases VALUES ('desk', 'm', 'm3')$$);
-- names may be anything
INSERT INTO agents VALUES ('', 'Nobody', true), ('"\u00e9', E'B\u00e9b\u00e9 "x"\\', true), (repeat('x', 3000), repeat('y', 3000), true);
SELECT count(record('{card:2}', '2026-03-05 10:00Z', 'chat', 'message', direction => 'out', agent => a, source => s))
FROM unnest(ARRAY['', '"\u00e9', repeat('x', 3000), repeat('x', 2999)]) a, unnest(ARRAY['desk', '']) s;
SELECT DISTINCT left(agent, 10) AS agent, length(agent), is_bot FROM turns WHERE customer_id = customer_of('card:2') ORDER BY 1, 2;
TABLE stale;

-- many at once, some of whom are bots
INSERT INTO agents SELECT 'a' || n, 'Agent ' || n, n % 100 = 0 FROM generate_series(1, 3000) n;
INSERT INTO agent_aliases SELECT 'desk', 'x' || n, 'a' || n FROM generate_series(1, 3000) n;
SELECT count(*), count(DISTINCT name), count(*) FILTER (WHERE is_bot) FROM known_agents WHERE agent ~ '^a\d';
SELECT count(*) FROM agent_maps m, jsonb_each(m.bots -> '') WHERE key ~ '^a\d';

-- what can't be seen can't be packed anew
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO agents VALUES ('carla', 'Carla', false);
SELECT state, message, detail FROM refused($$UPDATE agents SET is_bot = true WHERE agent = 'carla'$$);
COMMIT;
SELECT name, is_bot FROM known_agents WHERE agent = 'carla';
-- the functions on which names stand
SELECT journey_alias(journey_aliases(a::jsonb), s, n) FROM (VALUES (1, '{"desk": {"r": "Rita"}, "": {"r": "Rui", "d": "Dora"}}', 'desk', 'r'), (2, '{"desk": {"r": "Rita"}, "": {"r": "Rui"}}', 'pbx', 'r'),
    (3, '{"desk": {"r": "Rita"}, "": {"d": "Dora"}}', 'desk', 'd'), (4, '{"desk": {"r": 1}, "": {"r": "Rui"}}', 'desk', 'r'), (5, '{"desk": "r"}', 'desk', 'r'),
    (6, '[]', 'desk', 'r'), (7, '"desk"', 'desk', 'desk'), (8, '{}', '', ''), (9, '{"": {"": "x"}}', '', ''), (10, NULL, 'desk', 'r'), (11, '{"desk": {"r": ""}}', 'desk', 'r'),
    (12, '{"desk": {"a": {"r": "no"}, "b": ["r", "no"], "r": "Rita"}, "a": ["r", "no"]}', 'desk', 'r'), (13, '{"des": {"kr": "x"}, "deskr": {"": "y"}}', 'desk', 'r')) v(o, a, s, n) ORDER BY o;
SELECT setseed(0.16);
WITH made AS MATERIALIZED (SELECT t, jsonb_object_agg(s, names) AS aliases FROM (
        SELECT t, (floor(random() * 4))::text AS s, jsonb_object_agg(repeat('n', floor(random() * 3)::int) || floor(random() * 300), repeat('é', floor(random() * 9)::int)) AS names
        FROM generate_series(1, 40) t, generate_series(1, 500) n WHERE n <= t * 12 GROUP BY 1, 2) x GROUP BY 1),
fast AS MATERIALIZED (SELECT m.aliases, journey_aliases(jsonb_strip_nulls(jsonb_build_object('', m.aliases -> '0') || (m.aliases - '0'))) AS fast FROM made m),
looked AS (SELECT f.aliases, f.fast, s::text, repeat('n', p) || n AS n FROM fast f, generate_series(1, 3) s, generate_series(0, 2) p, generate_series(0, 299) n)
SELECT count(*) FILTER (WHERE journey_alias(fast, s, n) IS DISTINCT FROM coalesce(aliases -> s ->> n, aliases -> '0' ->> n)) AS wrong, count(*) > 100000 AS many, count(journey_alias(fast, s, n)) > 10000 AS found FROM looked;
-- what is no such value is refused, whatever it is
SELECT DISTINCT r.state, r.message FROM refused($$SELECT journey_alias('', 'a', 'b')$$) r UNION SELECT r.state, r.message FROM refused($$SELECT journey_alias('\x616c6a6100000000', 'a', 'b')$$) r
UNION SELECT r.state, r.message FROM (SELECT journey_aliases('{"a": {"b": "c", "d": "e"}, "": {"f": "g"}}') AS whole) w, generate_series(0, length(w.whole) - 1) n, refused(format('SELECT journey_alias(%L, ''a'', ''b'')', substr(w.whole, 1, n))) r;
SELECT count(*) FILTER (WHERE r.state <> 'XX001') AS otherwise FROM (SELECT journey_aliases('{"a": {"b": "c", "d": "e"}, "": {"f": "g"}}') AS whole) w, generate_series(0, length(w.whole) - 1) n, unnest('{0,1,127,128,255}'::integer[]) b,
    refused(format('SELECT journey_alias(%L, ''a'', ''b''), journey_alias(%1$L, ''x'', ''f'')', set_byte(w.whole, n, b))) r;
DROP FUNCTION refused;
SET search_path = public;
SELECT journey_drop_hub('crm', true);
