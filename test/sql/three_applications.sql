-- One customer in three applications: what an agent, an analyst and a backend developer see of her.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SELECT journey_create_hub('crm');
SET search_path = crm, public;

-- The shop: pages by cookie, the order by her address. The help desk: a chat, with an assistant and Rita. The
-- telephone: calls, each with its end, by Rita's line.
CREATE FUNCTION shop(at timestamptz, ids identifier[], action text, key text, subject text, url text, value numeric DEFAULT NULL) RETURNS bigint LANGUAGE sql
RETURN crm.record(ids, at, 'web', action, value, 'EUR', source => 'shop', source_key => key, subject => subject, url => url);
CREATE FUNCTION desk(at timestamptz, action text, direction text, key text, agent text DEFAULT NULL, subject text DEFAULT NULL) RETURNS bigint LANGUAGE sql
RETURN crm.record('{email:ana@example.pt}', at, 'chat', action, direction => direction, conversation => 'ticket 7', agent => agent, source => 'desk', source_key => key, subject => subject,
                  url => 'https://desk.example.pt/tickets/7');
SELECT shop('2026-03-02 09:00Z', '{cookie:8f3a}', 'page', 'v1', 'Raincoats', 'https://shop.example.pt/raincoats'),
       shop('2026-03-02 09:05Z', '{email:ana@example.pt,cookie:8f3a}', 'purchase', 'o1', 'Order 1007: yellow raincoat', 'https://shop.example.pt/admin/orders/1007', 79.90);
SELECT desk('2026-03-04 10:00Z', 'message', 'in', '1', NULL, 'The coat is green'), desk('2026-03-04 10:00:05Z', 'message', 'out', '2', 'Captain'),
       desk('2026-03-04 10:01Z', 'message', 'in', '3'), desk('2026-03-04 10:11Z', 'message', 'out', '4', 'rita@example.pt');
SELECT record('{email:ana@example.pt,phone:+351912345678}', '2026-03-04 11:00Z', 'phone', 'call_completed', direction => 'in', conversation => 'call 77', agent => 'SIP/12',
              source => 'pbx', source_key => '77', subject => 'Call of 4 min', url => 'https://pbx.example.pt/recordings/77') IS NOT NULL AS called,
       desk('2026-03-04 11:06Z', 'resolved', 'out', '5', 'rita@example.pt') IS NOT NULL AS resolved;
INSERT INTO agents (agent, name, is_bot) VALUES ('rita', 'Rita Santos', false), ('captain', 'Captain', true);
INSERT INTO agent_aliases (source, alias, agent) VALUES ('desk', 'rita@example.pt', 'rita'), ('pbx', 'SIP/12', 'rita'), ('desk', 'Captain', 'captain');

-- the agent, who has her on the telephone
SELECT occurred_at, channel, action, direction, agent, subject, url, is_handoff FROM timeline_of(customer_of('phone:+351912345678')) ORDER BY occurred_at;
\x on
SELECT identifiers, channels, value, last_channel, last_action, last_subject, last_url, open_conversations FROM customer_360_of(customer_of('phone:+351912345678'));
\x off
SELECT source, conversation, subject, status, agents, handled_by, answered_by, transfers FROM conversations_of(customer_of('phone:+351912345678')) ORDER BY started_at;
-- the analyst: one Rita, in the help desk and on the telephone
SELECT breakdown_value AS agent, contacts, conversations, answered, resolved, replies, transfers, bot_conversations, first_contact_resolution
FROM service_levels('month', '2026-03-01', '2026-04-01', 'agent') ORDER BY breakdown_value COLLATE "C";
SELECT agent, is_bot, touchpoints FROM dim_agents ORDER BY agent COLLATE "C";
SELECT customer_id FROM current_journeys WHERE journey_matches(journey, 'chat.message.bot -[<= 1 h]-> phone.call_completed.in');
-- the backend developer: what he records again is the same, what he records otherwise he is told
SELECT shop('2026-03-02 09:00Z', '{cookie:8f3a}', 'page', 'v1', 'Raincoats', 'https://shop.example.pt/raincoats') = 1 AS same;
SELECT shop('2026-03-02 09:00Z', '{cookie:8f3a}', 'page', 'v1', 'Coats', 'https://shop.example.pt/raincoats');
SELECT to_jsonb(t) - '{touchpoint_id,recorded_at,identity_id,customer_id}'::text[] AS row FROM touchpoints d, timeline_row(d.touchpoint_id) t
WHERE (d.source, d.source_key) = ('desk', '5');

-- A call with its end asks and resolves at once, however it comes in.
INSERT INTO formats (format, rule, identifiers, occurred_at, channel, action, direction, conversation, agent, source_key)
VALUES ('calls', 1, '{phone:/from}', '{/at}', '{=phone}', '{/what}', '{=in}', '{/id}', '{/by}', '{/id}');
SELECT record('{phone:1}', '2026-03-05 10:00Z', 'phone', 'call_completed', direction => 'in', conversation => 'r', source => 'told', source_key => 'r', agent => 'SIP/12') IS NOT NULL AS recorded,
       record_many('[{"identifiers": ["phone:2"], "occurred_at": "2026-03-05 10:00Z", "channel": "phone", "action": "call_completed", "direction": "in", "conversation": "j", "source": "json",
                      "source_key": "j", "agent": "SIP/12"}]') IS NOT NULL AS many,
       (ingest('{"from": "3", "at": "2026-03-05T10:00:00Z", "what": "call_completed", "id": "i", "by": "SIP/12"}'::text, 'calls')).touchpoints;
CREATE TABLE public.cdr (uniqueid text PRIMARY KEY, calldate timestamptz, src text, dstchannel text, disposition text);
INSERT INTO public.cdr VALUES ('a', '2026-03-05 10:00Z', '4', 'SIP/12', 'ANSWERED'), ('b', '2026-03-05 10:00Z', '5', NULL, 'NO ANSWER');
INSERT INTO actions VALUES ('talked', 'asks_and_resolves');
SELECT record('{phone:6}', '2026-03-05 10:00Z', 'phone', 'talked', direction => d, conversation => 't ' || coalesce(d, 'none'), source => 'told', agent => 'SIP/12') IS NOT NULL AS recorded
FROM unnest('{in,out,NULL}'::text[]) d;
SELECT attach_source('public.cdr', '{"occurred_at": "calldate", "channel": "''phone''", "identifiers": {"phone": "src"}, "direction": "''in''", "conversation": "uniqueid", "agent": "dstchannel",
    "action": "CASE disposition WHEN ''ANSWERED'' THEN ''call_completed'' ELSE ''call'' END"}', 'cdr');
SELECT source, conversation, status, asked_at = resolved_at AS at_once, resolution_time, agents, answered_by, waiting_since IS NOT NULL AS waits, is_abandoned
FROM conversations_between('2026-03-05', '2026-03-06') ORDER BY conversation COLLATE "C";
SELECT source, conversation, turn, step, own, agent FROM turns WHERE occurred_at = '2026-03-05 10:00Z' ORDER BY conversation COLLATE "C", step;
SELECT r.conversation, r.agent, r.at_first_contact FROM resolutions r WHERE r.resolved_at = '2026-03-05 10:00Z' ORDER BY r.conversation COLLATE "C";
SELECT contacts, answered, resolved, abandoned, first_resolutions, resolved_at_first_contact FROM service_levels('day', '2026-03-05', '2026-03-06');
SELECT detach_source('cdr') IS NOT NULL AS detached;
DROP TABLE public.cdr;
SET search_path = public;
SELECT journey_drop_hub('crm', true);
