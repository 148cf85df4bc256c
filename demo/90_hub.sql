-- The hub: what each channel's system knows arrives, and is one customer's timeline.

\echo
\echo '== The hub ============================================================================='
\echo 'Now the whole of it. The web site''s tracker, WhatsApp, the phone desk and the till each know'
\echo 'a customer by a name of their own. A hub takes what they send as they send it:'
\echo

\set ECHO queries
SELECT journey_create_hub('crm');
SELECT crm.set_rule('email', priority => 20, normalizer => 'email') AS moved;
SELECT crm.set_rule('phone', priority => 10, normalizer => 'phone', default_country => 'PT') AS moved;
\set ECHO none

\echo
\echo 'The web site''s tracker posts events. The visitor is a cookie, nobody knows who it is:'
\echo

\set ECHO queries
SELECT * FROM crm.ingest($$ {"type": "page", "name": "Home", "anonymousId": "8f3a", "messageId": "m-1", "timestamp": "2026-03-01T10:00:00Z"} $$::json, 'segment');
SELECT * FROM crm.ingest($$ {"type": "track", "event": "Product Viewed", "anonymousId": "8f3a", "messageId": "m-2", "timestamp": "2026-03-01T10:02:30Z",
                             "properties": {"sku": "lamp", "price": 49.90}} $$::json, 'segment');
\set ECHO none

\echo
\echo 'A webhook of WhatsApp: somebody asks for the lamp.'
\echo

\set ECHO queries
SELECT * FROM crm.ingest($$ {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
    "messaging_product": "whatsapp", "metadata": {"display_phone_number": "351210000000", "phone_number_id": "99"},
    "contacts": [{"profile": {"name": "Ana"}, "wa_id": "351912345678"}],
    "messages": [{"from": "351912345678", "id": "wamid.1", "timestamp": "1772370000", "type": "text", "text": {"body": "Is the lamp in stock?"}}]}}]}]} $$::json, 'whatsapp');
\set ECHO none

\echo
\echo 'The phone desk''s program calls a function, for each call it takes:'
\echo

\set ECHO queries
SELECT crm.record('{phone:912 345 678}', '2026-03-01 16:40Z', 'phone', 'call', direction => 'in', conversation => 'call 77',
                  agent => 'Rita', source => 'desk', source_key => '77') AS touchpoint;
\set ECHO none

\echo
\echo 'The till has a table of orders. It is attached: what is in it comes at once; whatever is written'
\echo 'to it from now on is noted, and comes with the next feed(), which a scheduler or a worker calls.'
\echo

\set ECHO queries
CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL, card text, total numeric(10, 2));
INSERT INTO orders VALUES (500, '2026-03-02 17:20Z', '0042', 49.90);
SELECT crm.attach_source('orders', '{"occurred_at": "ordered_at", "channel": "''store''", "action": "''purchase''", "value": "total",
                                     "currency": "''EUR''", "identifiers": {"loyalty": "card"}}');
INSERT INTO orders VALUES (501, '2026-03-06 11:00Z', '0042', 12.00), (502, '2026-03-06 11:30Z', '0077', 8.50);
CALL crm.feed();
\set ECHO none

\echo
\echo 'Seven touchpoints of four strangers. Each with the customer it belongs to now:'
\echo

\set ECHO queries
SELECT customer_id, crm.identifier_values(customer_id) AS known_as, occurred_at, channel, action, value FROM crm.timeline ORDER BY occurred_at;
\set ECHO none

\echo
\echo '== A visitor becomes a customer ========================================================'
\echo 'She logs in, so her cookie and her e-mail address are one; the profile she saves has her'
\echo 'phone number; the newsletter''s old form, entered late, has her card. No touchpoint is'
\echo 'rewritten, and all of it is hers:'
\echo

\set ECHO queries
SELECT * FROM crm.ingest($$ {"type": "identify", "anonymousId": "8f3a", "messageId": "m-3", "timestamp": "2026-03-07T09:00:00Z",
                             "traits": {"email": "Ana@Example.PT"}} $$::json, 'segment');
SELECT crm.link('email:ana@example.pt', 'phone:+351 912 345 678', '2026-03-07 09:05Z', 'web', 'profile 31') AS customer;
SELECT crm.link('loyalty:0042', 'email:ana@example.pt', '2025-11-03 12:00Z', 'paper', 'form 5') AS customer;

SELECT occurred_at, channel, action, value, direction AS dir, agent, since_previous, session, is_handoff AS handoff
FROM crm.timeline WHERE customer_id = crm.customer_of('loyalty:0042') ORDER BY occurred_at;
\set ECHO none

\echo
\echo 'Her card, as the agent who takes the next call sees it:'
\echo

\x on
\set ECHO queries
SELECT * FROM crm.customer_360 WHERE customer_id = crm.customer_of('phone:912345678');
\set ECHO none
\x off

\echo
\echo 'Where she went from channel to channel:'
\echo

\set ECHO queries
SELECT from_channel, to_channel, occurred_at, after, agent FROM crm.handoffs WHERE customer_id = crm.customer_of('phone:912345678') ORDER BY occurred_at;
\set ECHO none

\echo
\echo 'Who looked on the web, asked, and bought in the store within two days? Journeys are packed by'
\echo 'refresh(), which a scheduler calls; current_journeys adds what has changed since then.'
\echo

\set ECHO queries
SELECT crm.refresh();
SELECT customer_id, journey_match(journey, 'web.% -> phone.call -[<= 2 days]-> store.purchase') AS match
FROM crm.current_journeys WHERE journey ~ 'web.% -> phone.call -[<= 2 days]-> store.purchase';

SELECT step, label, reached, conversion_previous AS conversion
FROM (SELECT journey_funnel_agg(journey, 'web.% -> (phone.call | whatsapp.%)? -> store.purchase within 7 days') AS steps FROM crm.current_journeys) f, unnest(steps);
\set ECHO none

\echo
\echo 'What the tracker sent broken is not lost, nor does it stop the others:'
\echo

\set ECHO queries
SELECT * FROM crm.ingest($$ {"type": "track", "event": "Lost", "messageId": "m-4", "timestamp": "2026-03-07T09:10:00Z"} $$::json, 'segment');
SELECT reason FROM crm.rejected;
\set ECHO none
