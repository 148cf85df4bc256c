-- Acting on it: a segment fills by itself, a chat comes to the agent who knows the customer, and what comes next.

\echo
\echo '== Acting on it ========================================================================'
\echo 'Who put something in a cart and did not buy it? A segment says so, and keeps itself:'
\echo

SET client_min_messages = warning;
\set ECHO queries
SELECT crm.create_segment('left a cart', $$ {"and": [{"pattern": "%.add_to_cart", "within": "7 days"},
                                                     {"not": {"pattern": "%.purchase", "within": "7 days"}}]} $$);
SELECT crm.refresh();
\set ECHO none

\echo
\echo 'Three agents are on duty, two of them speak Portuguese. Who left a cart and opens the chat is for the'
\echo 'queue "carts":'
\echo

\set ECHO queries
INSERT INTO crm.agents (agent, on_duty, languages, capacity)
VALUES ('Rita', true, '{pt}', 3), ('Marta', true, '{pt,en}', 9), ('Nuno', true, '{en}', 9);
INSERT INTO crm.queues (queue) VALUES ('carts'), ('shop');
INSERT INTO crm.agent_queues (queue, agent)
VALUES ('carts', 'Rita'), ('carts', 'Marta'), ('carts', 'Nuno'), ('shop', 'Nuno');
INSERT INTO crm.routing_rules (position, segment, channel, queue, note)
VALUES (1, 'left a cart', 'chat', 'carts', 'help them to buy'), (2, NULL, NULL, 'shop', 'all others');
\set ECHO none

\echo
\echo 'Dora wrote to Rita last week. Today she fills a cart, and opens the chat. refresh() finds out who has entered'
\echo 'the segment, and a backend takes what is new:'
\echo

\set ECHO queries
SELECT crm.set_traits('shop:dora', '{"language": "pt-PT", "name": "Dora"}', 'shop') IS NOT NULL AS known;
SELECT count(crm.record('{shop:dora}', now() - ago, channel, action, direction => direction, agent => agent,
                        conversation => thread, source => 'shop'))
FROM (VALUES (interval '6 days', 'chat', 'request', 'in', NULL, 'd1'),
             ('6 days' - interval '3 min', 'chat', 'answer', 'out', 'Rita', 'd1'),
             ('20 min', 'web', 'view', NULL, NULL, NULL), ('5 min', 'web', 'add_to_cart', NULL, NULL, NULL),
             ('1 min', 'chat', 'request', 'in', NULL, 'd2')) v(ago, channel, action, direction, agent, thread);
SELECT crm.refresh();
SELECT segment, entered, why, customer_id = crm.customer_of('shop:dora') AS dora FROM crm.take_segment_events();
\set ECHO none

\echo
\echo 'Whom to send her to, and why? To Rita, who knows her; and if Rita were at lunch, to whoever speaks her language:'
\echo

\set ECHO queries
SELECT queue, agent, channel, array_to_string(reasons, E'\n') AS reasons
FROM crm.route(crm.customer_of('shop:dora'), 'chat');
BEGIN;
UPDATE crm.agents SET on_duty = false WHERE agent = 'Rita';
SELECT queue, agent, channel, array_to_string(reasons, E'\n') AS reasons
FROM crm.route(crm.customer_of('shop:dora'), 'chat');
ROLLBACK;
SELECT crm.assign(crm.customer_of('shop:dora'), channel => 'chat', source => 'shop',
                  conversation => 'd2') AS assignment;
\set ECHO none

\echo
\echo 'What Rita gets on her screen, in one call; here a little of it:'
\echo

\set ECHO queries
SELECT h -> 'profile' AS profile, h -> 'segments' AS segments, h -> 'conversations' -> 0 ->> 'conversation' AS waits_in
FROM crm.handover(crm.customer_of('shop:dora')) h;
\set ECHO none

\echo
\echo 'Rita answers. What do customers do who were where Dora is now, in the year of the shop? With what chance, within'
\echo 'what error, and how many of a hundred buy within a month if they take that step, and if they don''t?'
\echo '(Blank: too few to tell.)'
\echo

\set ECHO queries
SELECT crm.record('{shop:dora}', now(), 'chat', 'answer', direction => 'out', agent => 'Rita',
                  conversation => 'd2', source => 'shop') IS NOT NULL AS answered;
SELECT item, round(100 * probability) AS percent,
       format('%s to %s', round(100 * low), round(100 * high)) AS "95 % sure", customers,
       round(100 * converts) AS buy, round(100 * converts_otherwise) AS otherwise, context
FROM crm.next_step(crm.customer_of('shop:dora')) LIMIT 6;
\set ECHO none
