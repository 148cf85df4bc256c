-- handover: what the next agent needs, in one value. Its keys are a promise: see doc/handover.md.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SELECT journey_create_hub('crm');
-- what consent says has its own tests
CREATE OR REPLACE FUNCTION crm.may_contact(customer_id bigint, purpose text, channel text, at timestamptz DEFAULT now(), OUT allowed boolean, OUT reasons text[])
LANGUAGE sql STABLE AS $$ SELECT channel <> 'phone', CASE channel WHEN 'phone' THEN ARRAY['consent: denied'] END $$;
UPDATE crm.settings SET time_zone = 'Europe/Lisbon';
INSERT INTO crm.business_hours SELECT d, '09:00', '18:00' FROM generate_series(1, 5) d;
INSERT INTO crm.agents (agent, name) VALUES ('rui', 'Rui Faria');
INSERT INTO crm.queues (queue) VALUES ('shop');
INSERT INTO crm.service_targets (what, within) VALUES ('reply', '2 hours'), ('first_response', '30 min'), ('resolution', '1 day');
INSERT INTO crm.trait_rules (trait, personal) VALUES ('plan', false);
SELECT crm.create_segment('gold', '{"trait": "$.plan == \"gold\""}') IS NOT NULL AS made;
-- Ana browses, and writes; by phone she is another customer, until somebody finds out
SELECT count(crm.record(ARRAY[identifier(space, who)], at, channel, action, direction => direction, conversation => conversation, agent => agent, source => 'desk', subject => subject, value => value, currency => currency,
                        attributes => '{"secret": "ana@x.pt"}'))
FROM (VALUES ('phone', '+351912000001', timestamptz '2025-01-06 09:00Z', 'phone', 'message', 'in', 'p1', NULL, 'Where is it?', NULL, NULL),
             ('phone', '+351912000001', '2025-01-06 09:05Z', 'phone', 'message', 'out', 'p1', 'rui', NULL, NULL, NULL),
             ('email', 'ana@x.pt', '2025-01-06 09:30Z', 'web', 'view', NULL, NULL, NULL, 'Shoes', NULL, NULL),
             ('email', 'ana@x.pt', '2025-01-06 10:00Z', 'web', 'purchase', NULL, NULL, NULL, NULL, 50, 'EUR'),
             ('email', 'ana@x.pt', '2025-01-06 10:30Z', 'chat', 'message', 'in', 'c1', NULL, 'Wrong size', NULL, NULL),
             ('email', 'ana@x.pt', '2025-01-06 10:31Z', 'chat', 'message', 'out', 'c1', 'bot', 'Hello', NULL, NULL),
             ('email', 'ana@x.pt', '2025-01-06 10:40Z', 'chat', 'delivered', NULL, 'c1', NULL, NULL, NULL, NULL),
             ('email', 'ana@x.pt', '2025-01-03 10:30Z', 'email', 'message', 'in', 'e1', NULL, 'An old one', NULL, NULL),
             ('email', 'ana@x.pt', '2025-01-03 11:30Z', 'email', 'resolved', 'out', 'e1', 'rui', NULL, NULL, NULL),
             ('email', 'bob@x.pt', '2025-01-06 11:00Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL)) v(space, who, at, channel, action, direction, conversation, agent, subject, value, currency);
SELECT crm.set_traits('email:ana@x.pt', '{"name": "Ana Maria", "plan": "gold"}', 'crm', '2025-01-01Z') IS NOT NULL AS set;
SELECT crm.must_link('phone:+351912000001', 'email:ana@x.pt') IS NOT NULL AS linked;
SELECT crm.refresh() > 0 AS refreshed;
INSERT INTO crm.assignments (identity_id, source, conversation, channel, queue, agent, assigned_at, priority)
SELECT crm.identity_of('email:ana@x.pt'), 'desk', 'c1', 'chat', 'shop', 'rui', '2025-01-06 10:32Z', 2;
SELECT crm.customer_of('email:ana@x.pt') AS ana, crm.customer_of('email:bob@x.pt') AS bob, crm.identity_of('email:ana@x.pt') AS was \gset
-- what depends on the clock of the wall goes
CREATE FUNCTION steady(told jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT CASE jsonb_typeof(told)
           WHEN 'object' THEN (SELECT coalesce(jsonb_object_agg(e.key, CASE WHEN e.key IN ('at', 'seconds', 'business_seconds') THEN '"..."' ELSE steady(e.value) END), '{}') FROM jsonb_each(told) e)
           WHEN 'array' THEN (SELECT coalesce(jsonb_agg(steady(e.value) ORDER BY e.n), '[]') FROM jsonb_array_elements(told) WITH ORDINALITY e(value, n))
           ELSE told END
$$;
SELECT e.key, jsonb_pretty(e.value) AS value FROM jsonb_each(steady(crm.handover(:ana))) e ORDER BY e.key COLLATE "C";
-- by a former number, and by that of any identity
SELECT crm.handover(:was) = crm.handover(:ana) AS same, crm.handover(:ana) ->> 'customer_id' = :'ana' AS now;
-- who has nothing yet
SELECT steady(crm.handover(:bob)) - '{at,customer_id,may_contact,next_step,last_touchpoints,profile}'::text[] AS bob;
SELECT crm.identify('{id:new}', '2025-01-01Z', 'x', '1') AS new \gset
SELECT steady(crm.handover(:new)) - '{at,customer_id,next_step}'::text[] AS new;
-- keys are the same, whoever it is
SELECT count(DISTINCT k.keys) FROM (SELECT (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(crm.handover(c.customer_id)) k) AS keys FROM crm.customers c) k;
-- so many of each at most
SELECT jsonb_array_length(h -> 'last_touchpoints') AS touchpoints, jsonb_array_length(h -> 'conversations') AS conversations, jsonb_array_length(h #> '{conversations,0,last_messages}') AS messages,
       h ->> 'open_conversations' AS open, h #>> '{conversations,0,conversation}' AS waits
FROM crm.handover(:ana, 1) h;
SELECT jsonb_array_length(h -> 'last_touchpoints') AS touchpoints, jsonb_array_length(h -> 'conversations') AS conversations, h ->> 'open_conversations' AS open, h #>> '{target,what}' AS target FROM crm.handover(:ana, 0) h;
SELECT crm.handover(NULL);
SELECT crm.handover(4711);
SELECT crm.handover(:ana, -1);
SELECT crm.handover(:ana, NULL);

-- who may not see identifiers is told none, nor personal traits; who may not read is refused
CREATE ROLE regress_handover_reader;
CREATE ROLE regress_handover_full;
CREATE ROLE regress_handover_none;
CREATE ROLE regress_handover_agent;
CREATE ROLE regress_handover_tenant;
SELECT crm.grant_access('regress_handover_reader'), crm.grant_access('regress_handover_full', 'reader', identifiers => true);
GRANT USAGE ON SCHEMA crm TO regress_handover_none;
SET ROLE regress_handover_reader;
SELECT h -> 'profile' AS profile, h ? 'identifiers' AS identifiers, h::text ~ 'ana@|Ana Maria|351912' AS leaks, h -> 'segments' AS segments FROM crm.handover(:ana) h;
SET ROLE regress_handover_full;
SELECT h -> 'profile' AS profile, h -> 'identifiers' AS identifiers FROM crm.handover(:ana) h;
SET ROLE regress_handover_none;
SELECT crm.handover(:ana);
RESET ROLE;
-- an agent is told of customers of his queues, and that there is no other; where that is logged, it is
UPDATE crm.agents SET login = 'regress_handover_agent' WHERE agent = 'rui';
SELECT crm.grant_access('regress_handover_agent', 'agent');
UPDATE crm.settings SET access_log = true;
SET ROLE regress_handover_agent;
SELECT h -> 'profile' AS profile, h ? 'identifiers' AS identifiers, h #>> '{conversations,0,conversation}' AS waits, h #>> '{target,holds_until}' AS holds_until FROM crm.handover(:ana) h;
SELECT crm.handover(:bob);
RESET ROLE;
SELECT role, function FROM crm.access_log;
UPDATE crm.settings SET access_log = false;
SELECT crm.revoke_access('regress_handover_agent');
-- nor is a tenant told of another's
SELECT crm.grant_access('regress_handover_tenant', 'reader', identifiers => true);
SELECT format('ALTER TABLE crm.%I ENABLE ROW LEVEL SECURITY', relation), format('CREATE POLICY own ON crm.%I TO regress_handover_tenant USING (%I <> %s)', relation, key, :bob)
FROM (VALUES ('identities', 'identity_id'), ('touchpoints', 'identity_id'), ('journey_changes', 'identity_id'), ('former_memberships', 'identity_id'),
             ('customers', 'customer_id'), ('customer_journeys', 'customer_id')) v(relation, key) \gexec
SET ROLE regress_handover_tenant;
SELECT h -> 'profile' AS profile, h -> 'identifiers' AS identifiers, h #>> '{conversations,0,conversation}' AS waits, jsonb_array_length(h -> 'last_touchpoints') AS touchpoints FROM crm.handover(:ana) h;
SELECT crm.handover(:bob);
RESET ROLE;
SELECT crm.revoke_access(r) FROM unnest('{regress_handover_reader,regress_handover_full,regress_handover_none,regress_handover_tenant}'::name[]) r;
SELECT format('DROP POLICY own ON crm.%I', relation)
FROM unnest('{identities,touchpoints,journey_changes,former_memberships,customers,customer_journeys}'::text[]) relation \gexec
SELECT journey_drop_hub('crm', true);
DROP FUNCTION steady;
DROP ROLE regress_handover_reader, regress_handover_full, regress_handover_none, regress_handover_agent, regress_handover_tenant;
