-- The formats a hub brings with it: payloads as the systems' documentation describes them, and the traps in them.
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SELECT journey_create_hub('crm');

-- What a payload becomes: in a hub that is empty before, and again after.
CREATE FUNCTION becomes(payload text, format text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    counts record;
    found text[];
BEGIN
    SELECT * INTO counts FROM crm.ingest(payload, format);
    found := array(SELECT concat_ws(' ', CASE WHEN occurred_at = now() THEN 'now' ELSE to_char(occurred_at, 'YYYY-MM-DD HH24:MI:SS.MS') END,
                channel || '.' || action || coalesce('=' || value || ' ' || currency, '=' || value, ''), direction, 'in ' || conversation,
                'agent ' || agent, 'campaign ' || campaign, 'key ' || source_key, attributes)
        FROM crm.touchpoints ORDER BY touchpoint_id)
        || array(SELECT 'customer ' || string_agg(identifier::text, ' ' ORDER BY identifier) FROM crm.identities GROUP BY customer_id ORDER BY min(identifier::text COLLATE "C"))
        || array(SELECT 'rejected ' || concat_ws(' ', items, reason) FROM crm.rejected) || counts::text;
    RAISE 'taken back' USING ERRCODE = 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
    RETURN QUERY SELECT * FROM unnest(found);
END $$;
-- a webhook of WhatsApp around what matters
CREATE FUNCTION webhook(value text, field text DEFAULT 'messages') RETURNS text LANGUAGE sql RETURN
    format('{"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "%s", "value": %s}]}]}', field, value);

-- WhatsApp: messages of two people in one webhook, each with its own contact
SELECT becomes(webhook('{"metadata": {"phone_number_id": "99"}, "contacts": [{"wa_id": "351911", "user_id": "PT.1"}, {"wa_id": "351922", "user_id": "PT.2"}],
    "messages": [{"from": "351922", "id": "w2", "timestamp": "1772359202", "type": "text", "text": {"body": "olá"}},
                 {"from": "351911", "id": "w1", "timestamp": "1772359201", "type": "button", "button": {"text": "Sim", "payload": "yes"}}]}'), 'whatsapp');
-- who hides the number has a user id only
SELECT becomes(webhook('{"metadata": {"phone_number_id": "99"}, "contacts": [{"user_id": "PT.1"}],
    "messages": [{"from_user_id": "PT.1", "id": "w1", "timestamp": "1772359201", "type": "text", "text": {"body": "olá"}}]}'), 'whatsapp');
-- a message that was sent, delivered, read; another that failed
SELECT becomes(webhook('{"metadata": {"phone_number_id": "99"}, "statuses": [
    {"id": "w1", "status": "sent", "timestamp": "1772359201", "recipient_id": "351911", "pricing": {"category": "utility"}},
    {"id": "w1", "status": "delivered", "timestamp": "1772359202", "recipient_id": "351911"},
    {"id": "w1", "status": "read", "timestamp": "1772359203", "recipient_id": "351911"}, {"id": "w1", "status": "read", "timestamp": "1772359203", "recipient_id": "351911"},
    {"id": "w2", "status": "failed", "timestamp": "1772359204", "recipient_id": "351911", "errors": [{"code": 131026}]}]}'), 'whatsapp');
-- a number changed: old and new are one customer
SELECT becomes(webhook('{"metadata": {"phone_number_id": "99"}, "messages": [{"from": "351911", "id": "w3", "timestamp": "1772359205", "type": "system",
    "system": {"body": "User A changed from 351911 to 351933", "wa_id": "351933", "type": "user_changed_number"}}]}'), 'whatsapp');
SELECT becomes(webhook('{"metadata": {"phone_number_id": "99"}, "calls": [{"id": "c1", "from": "351911", "to": "99", "event": "connect", "direction": "USER_INITIATED", "timestamp": "1772359206"},
    {"id": "c2", "from": "99", "to": "351922", "event": "connect", "direction": "BUSINESS_INITIATED", "timestamp": "1772359207"}]}', 'calls'), 'whatsapp');
-- hostile: nothing where something should be
SELECT becomes(webhook('{"messages": [null, {}, {"from": "351911"}, {"from": "351911", "timestamp": "soon", "id": "w1"}, {"from": ["351911"], "timestamp": "1772359201", "id": "w1"}, 7]}'), 'whatsapp');
SELECT becomes(webhook('null'), 'whatsapp');
SELECT becomes(webhook('{"new": "kind"}', 'new_kind'), 'whatsapp');
SELECT becomes('{"entry": [null, {"changes": null}, {"changes": [null]}, {"changes": {}}]}', 'whatsapp');
SELECT becomes('{"object": "page"}', 'whatsapp');

-- Chatwoot: a visitor asks, a bot and then an agent answer, it is resolved and opened again
SELECT becomes('{"event": "contact_created", "id": 7, "name": "Ana", "email": "ana@example.pt", "phone_number": "+351912345678", "identifier": "crm-1", "account": {"id": 1}}', 'chatwoot');
SELECT becomes('{"event": "conversation_created", "id": 31, "inbox_id": 4, "channel": "Channel::WebWidget", "status": "open", "created_at": 1772359200, "timestamp": 1772359200,
    "meta": {"sender": {"id": 7, "email": "ana@example.pt", "type": "contact"}}, "contact_inbox": {"contact_id": 7}, "labels": ["vip"], "messages": []}', 'chatwoot');
SELECT becomes('{"event": "message_created", "id": 501, "content": "Onde está?", "created_at": "2026-03-01T10:00:01.250Z", "message_type": "incoming", "content_type": "text", "private": false,
    "sender": {"id": 7, "email": "ana@example.pt", "type": "contact"}, "inbox": {"id": 4, "name": "Site"}, "account": {"id": 1},
    "conversation": {"id": 31, "inbox_id": 4, "channel": "Channel::WebWidget", "meta": {"sender": {"id": 7, "email": "ana@example.pt", "identifier": null}}}}', 'chatwoot');
SELECT becomes('{"event": "message_created", "id": 502, "content": "Um momento", "created_at": 1772359202, "message_type": "outgoing", "sender": {"id": 2, "name": "Robô", "type": "agent_bot"},
    "conversation": {"id": 31, "inbox_id": 4, "channel": "Channel::WebWidget", "meta": {"sender": {"id": 7}}}}', 'chatwoot');
SELECT becomes('{"event": "message_created", "id": 503, "content": "Chega amanhã", "created_at": "2026-03-01 10:05:00 UTC", "message_type": "outgoing",
    "sender": {"id": 3, "name": "Rui", "email": "rui@shop.pt", "type": "user"}, "conversation": {"id": 31, "inbox_id": 4, "channel": "Channel::Whatsapp", "meta": {"sender": {"id": 7}}}}', 'chatwoot');
SELECT becomes('{"event": "message_created", "id": 504, "created_at": 1772359203, "message_type": "template", "conversation": {"id": 31, "inbox_id": 4, "channel": "Channel::Telegram", "meta": {"sender": {"id": 7}}}}', 'chatwoot');
SELECT becomes('{"event": "conversation_status_changed", "id": 31, "inbox_id": 4, "channel": "Channel::Email", "status": "resolved", "timestamp": 1772359300, "updated_at": 1772359301.5,
    "meta": {"sender": {"id": 7}, "assignee": {"id": 3, "name": "Rui"}}}', 'chatwoot');
SELECT becomes('{"event": "conversation_status_changed", "id": 31, "inbox_id": 4, "channel": "Channel::Sms", "status": "open", "timestamp": 1772359400, "meta": {"sender": {"id": 7}}}', 'chatwoot');
SELECT becomes('{"event": "webwidget_triggered", "contact": {"id": 7}, "event_info": {"referer": "https://shop.pt/cart"}}', 'chatwoot');
SELECT becomes(format('{"event": "%s", "private": %s, "message_type": "%s"}', e, p, m), 'chatwoot') FROM (VALUES ('message_created', 'true', 'outgoing'), ('message_created', 'false', 'activity'),
    ('message_updated', 'false', 'incoming'), ('conversation_updated', 'false', ''), ('inbox_created', 'false', ''), ('conversation_typing_on', 'false', ''), ('something_else', 'false', '')) v(e, p, m);

-- Snowplow: a transaction, on a phone
SELECT becomes('{"app_id": "shop", "platform": "mob", "event": "transaction", "event_name": "transaction", "event_id": "e1", "user_id": "u1", "domain_userid": "d1", "network_userid": "n1",
    "collector_tstamp": "2026-03-01T10:00:00.5Z", "dvce_created_tstamp": "2026-03-01T09:59:59Z", "tr_total": 49.90, "tr_currency": "EUR", "mkt_campaign": "spring", "page_url": null}', 'snowplow');
SELECT becomes('{"platform": "tv", "event": "page_ping", "collector_tstamp": "2026-03-01T10:00:00Z", "domain_userid": "d1"}', 'snowplow');

-- CloudEvents: the customer is in the data; a batch
SELECT becomes('[{"specversion": "1.0", "id": "1", "source": "/orders", "type": "pt.shop.order.paid", "time": "2026-03-01T10:00:00.123456789Z", "subject": "order-17",
    "data": {"customerId": 42, "email": "ana@example.pt", "amount": 49.9, "currency": "EUR", "channel": "store"}},
    {"specversion": "1.0", "id": "1", "source": "/visits", "type": "pt.shop.visit", "data": {"anonymous_id": "a1"}}, {"specversion": "1.0", "id": "2", "source": "/orders", "type": "x", "data": "text"}]', 'cloudevents');
SELECT becomes('{"specversion": "1.0", "type": "x", "source": "/orders", "data": {"email": "ana@example.pt"}}', 'cloudevents');

-- Unomi: the profile and session are around the events
SELECT becomes('{"sessionId": "s1", "profileId": "p1", "events": [{"eventType": "view", "scope": "shop", "itemId": "i1", "timeStamp": "2026-03-01T10:00:00Z"}, {"eventType": "identify", "target": {"itemId": "u1"}}, {"scope": "shop"}]}', 'unomi');
SELECT becomes('{"sessionId": "s1", "events": []}', 'unomi');

-- a number changed, in the words of older interfaces; a code that changed says nothing of numbers
SELECT becomes(webhook(format('{"metadata": {"phone_number_id": "99"}, "messages": [{"from": "351911", "id": "w3", "timestamp": "1772359205", "type": "system", "system": {"type": %s}}]}', t)), 'whatsapp')
FROM unnest(ARRAY['"customer_changed_number", "customer": "351911", "wa_id": "351933", "identity": "x"', '"customer_changed_number", "customer": "351911", "new_wa_id": "351933"', '"customer_changed_number", "body": "x"',
                  '"customer_identity_changed", "customer": "351911", "identity": "x"']) t;
SELECT becomes('{"contacts": [{"profile": {"name": "Ana"}, "wa_id": "351911"}], "messages": [{"from": "351911", "id": "o1", "timestamp": "1518694235", "type": "text", "text": {"body": "olá"}},
    {"from": "351911", "id": "o2", "timestamp": "1518694236", "type": "system", "system": {"body": "x", "type": "user_changed_number", "new_wa_id": "351933"}}]}', 'whatsapp');
SELECT becomes('{"statuses": [{"id": "o3", "recipient_id": "351911", "status": "read", "timestamp": "1518694238"}, {"id": "o3", "recipient_id": "351911", "status": "sent", "timestamp": "1518694237", "type": "message"}]}', 'whatsapp');
-- a group is no customer: who wrote is, and to whom it was delivered
SELECT becomes(webhook('{"metadata": {"phone_number_id": "99"}, "contacts": [{"wa_id": "351911"}, {"wa_id": "351922"}],
    "messages": [{"from": "351911", "group_id": "Y2Fw", "id": "g1", "timestamp": "1772359201", "type": "text", "text": {"body": "olá"}}, {"from": "351922", "group_id": "Y2Fw", "id": "g2", "timestamp": "1772359202", "type": "text", "text": {"body": "olá"}}],
    "statuses": [{"id": "g3", "recipient_id": "Y2Fw", "recipient_type": "group", "status": "sent", "timestamp": "1772359203"},
                 {"id": "g3", "recipient_id": "Y2Fw", "recipient_type": "group", "recipient_participant_id": "351911", "status": "delivered", "timestamp": "1772359204"},
                 {"id": "g3", "recipient_id": "Y2Fw", "recipient_type": "group", "recipient_participant_id": "351922", "status": "delivered", "timestamp": "1772359204"},
                 {"id": "g3", "recipient_id": "Y2Fw", "recipient_type": "group", "recipient_participant_id": "351922", "status": "read", "timestamp": "1772359205"}]}'), 'whatsapp');
-- calls: one that was taken is answered when it began; one that was missed is not; without direction, the company's number tells
SELECT webhook('{"metadata": {"phone_number_id": "1", "display_phone_number": "99"}, "calls": [
    {"id": "c1", "from": "351911", "to": "99", "event": "connect", "direction": "USER_INITIATED", "timestamp": "1772359200"},
    {"id": "c1", "from": "351911", "to": "99", "event": "terminate", "direction": "USER_INITIATED", "timestamp": "1772359330", "status": "COMPLETED", "start_time": "1772359210", "end_time": "1772359330", "duration": 120},
    {"id": "c2", "from": "351922", "to": "99", "event": "connect", "direction": "USER_INITIATED", "timestamp": "1772359200"},
    {"id": "c2", "from": "351922", "to": "99", "event": "terminate", "direction": "USER_INITIATED", "timestamp": "1772359230", "status": "FAILED"},
    {"id": "c3", "from": "99", "to": "351933", "event": "connect", "direction": "BUSINESS_INITIATED", "timestamp": "1772359200"},
    {"id": "c3", "from": "99", "to": "351933", "event": "terminate", "direction": "BUSINESS_INITIATED", "timestamp": "1772359230", "status": "COMPLETED", "start_time": "1772359210"},
    {"id": "c4", "from": "351944", "to": "99", "event": "connect", "timestamp": "1772359200"}, {"id": "c5", "from": "99", "to": "351955", "event": "connect", "timestamp": "1772359200"}]}', 'calls') AS calls \gset
SELECT becomes(:'calls', 'whatsapp');
BEGIN;
SELECT * FROM crm.ingest(:'calls', 'whatsapp');
SELECT conversation AS c, status, messages_in AS "in", messages_out AS out, handled_by, first_response_time, resolution_time, CASE WHEN status = 'resolved' THEN is_abandoned END AS is_abandoned, waiting_since FROM crm.conversations ORDER BY c;
ROLLBACK;
-- history: by thread
SELECT becomes(webhook('{"metadata": {"phone_number_id": "1", "display_phone_number": "99"}, "history": [{"metadata": {"phase": 0}, "threads": [
    {"id": "351911", "messages": [{"from": "99", "id": "h1", "timestamp": "1772359201", "type": "text", "text": {"body": "olá"}, "history_context": {"status": "READ"}},
                                  {"from": "351911", "id": "h2", "timestamp": "1772359202", "type": "text", "history_context": {"status": "READ"}}]},
    {"id": "351922", "messages": [{"from": "351911", "id": "h3", "timestamp": "1772359203", "type": "reaction", "history_context": {"from_me": true}}]}]}]}', 'history'), 'whatsapp');
SELECT becomes(webhook('{"state_sync": [{"type": "contact", "contact": {"full_name": "Ana", "phone_number": "351911", "user_id": "PT.1"}, "action": "add", "metadata": {"timestamp": "1772359203"}}]}', 'smb_app_state_sync'), 'whatsapp');

-- Chatwoot: in a group, and where somebody else writes in a conversation, each is themselves
SELECT becomes(format('{"event": "message_created", "id": 501, "created_at": 1772359202, "message_type": "%s", "sender": {"id": %s, "name": "Rui", "email": "%s@x.pt", "type": "%s"},
    "conversation": {"id": 31, "inbox_id": 4, "channel": "Channel::Whatsapp"%s, "meta": {"sender": {"id": 9, "phone_number": "+351999"}}, "contact_inbox": {"contact_id": 9}}}', m, i, i, t, g), 'chatwoot')
FROM (VALUES ('incoming', 7, 'contact', ', "group": true'), ('outgoing', 3, 'user', ', "group": true'), ('incoming', 7, 'contact', ', "group": false'), ('incoming', 9, 'contact', ''), ('outgoing', 9, 'user', '')) v(m, i, t, g);
SELECT becomes('{"event": "conversation_status_changed", "id": 31, "inbox_id": 4, "group": true, "status": "resolved", "updated_at": 1772359202, "meta": {"sender": {"id": 9}}}', 'chatwoot');

-- Segment: the clock of a batch is at its root; what an item says itself comes first. 3 s after it happened the batch was sent, at 11:00:03 by the device, 10:00:03.5 by the receiver
CREATE FUNCTION batch(root text, item text) RETURNS text LANGUAGE sql RETURN format('{"batch": [{"type": "page", "userId": "u1", "messageId": "m1" %s}] %s}', item, root);
SELECT root, item, (SELECT string_agg(b, ' ') FROM becomes(batch(root, item), 'segment') b WHERE b LIKE '%web.page%' OR b LIKE 'rejected%') FROM (VALUES
    (', "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z"', ', "timestamp": "2026-03-01T11:00:00Z"'),
    (', "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z"', ', "originalTimestamp": "2026-03-01T11:00:00Z"'),
    (', "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z"', ', "originalTimestamp": "2026-03-01T11:00:00Z", "timestamp": "2026-03-01T10:00:00.5Z"'),
    (', "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z"', ''),
    (', "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z"', ', "sentAt": "2026-03-01T11:00:01Z", "timestamp": "2026-03-01T11:00:00Z"'),
    (', "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z"', ', "receivedAt": "2026-03-01T10:00:09.5Z", "originalTimestamp": "2026-03-01T11:00:00Z"'),
    (', "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z"', ', "receivedAt": "2026-03-01T10:00:09.5Z", "sentAt": "2026-03-01T11:00:03Z", "originalTimestamp": "2026-03-01T11:00:00Z"'),
    (', "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z"', ', "receivedAt": "2026-03-01T10:00:09.5Z", "sentAt": "2026-03-01T11:00:03Z", "timestamp": "2026-03-01T10:00:00.5Z"'),
    (', "sentAt": "2026-03-01T11:00:03Z"', ', "timestamp": "2026-03-01T11:00:00Z"'), (', "receivedAt": "2026-03-01T10:00:03.5Z"', ', "timestamp": "2026-03-01T11:00:00Z"'), (', "sentAt": "2026-03-01T11:00:03Z"', ''),
    (', "sentAt": "yesterday", "receivedAt": "2026-03-01T10:00:03.5Z"', ', "timestamp": "2026-03-01T11:00:00Z"'), ('', ', "timestamp": "2026-03-01T11:00:00Z"'), ('', '')) v(root, item);
-- one by itself is corrected already, unless it says what it was before; an array of batches
SELECT becomes('[{"type": "page", "userId": "u1", "timestamp": "2026-03-01T10:00:00.5Z", "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z"},
    {"batch": [{"type": "page", "userId": "u1", "timestamp": "2026-03-01T11:00:00Z"}], "sentAt": "2026-03-01T11:00:03Z", "receivedAt": "2026-03-01T10:00:03.5Z"}]', 'segment');
-- what was taken back lessens the value, by what it says
SELECT e, p, (SELECT CASE WHEN b LIKE 'rejected%' THEN b ELSE substring(b FROM '=(.*?) key') END FROM becomes(format('{"type": "track", "event": "%s", "userId": "u1", "messageId": "m1", "properties": {%s}}', e, p), 'segment') b WHERE b ILIKE '%order%' OR b LIKE '%checkout%' OR b LIKE 'rejected%')
FROM (VALUES ('Order Completed', '"revenue": 25, "total": 27.5, "value": 30, "currency": "USD"'), ('Order Refunded', '"total": 30, "currency": "USD"'), ('Order Refunded', '"revenue": 25, "total": 27.5'), ('Order Refunded', '"revenue": "25.50"'),
    ('Order Refunded', '"revenue": -25'), ('Order Refunded', '"order_id": "1"'), ('Order Partially Refunded', '"refund_amount": 5, "total": 27.5'), ('Order Cancelled', '"total": 30, "revenue": 25'), ('Order Updated', '"revenue": 25'), ('Order Refunded', '"total": "all"'),
    ('order_refunded', '"revenue": 25'), ('refunded order', '"total": 27.5'), ('order_partially_refunded', '"refund_amount": 5, "revenue": 25'), ('checkout_started', '"revenue": 25'), ('order_completed', '"total": 27.5')) v(e, p);
BEGIN;
SELECT * FROM crm.ingest_many(ARRAY(SELECT format('{"type": "track", "event": "Order %s", "userId": "u2", "messageId": "%s", "properties": {"revenue": %s}}', e, e, r) FROM (VALUES ('Completed', 30), ('Refunded', 10)) v(e, r)), 'segment');
SELECT value FROM crm.customer_360 WHERE customer_id = crm.customer_of('user_id:u2');
ROLLBACK;
-- a group is no customer; calls that say action; the former ids of an alias
SELECT becomes(p, 'segment') FROM unnest(ARRAY['[{"type": "group", "userId": "u1", "groupId": "g1", "traits": {"email": "all@shop.pt"}}, {"type": "group", "userId": "u2", "groupId": "g1"}, {"type": "track", "event": "Signed In", "userId": "u3", "context": {"groupId": "g1"}}]',
    '[{"action": "identify", "userId": "u1", "traits": {"email": "ana@x.pt"}}, {"action": "page", "userId": "u1", "timestamp": "2026-03-01T10:00:00Z"}, {"action": "track", "event": "alias", "userId": "u1", "timestamp": "2026-03-01T10:00:00Z"}]',
    '{"type": "alias", "previousId": "a", "userId": "b"}', '{"action": "alias", "from": "a", "to": "b"}', '{"type": "alias", "previous_id": "a", "user_id": "b"}']) p;

-- Snowplow: robots are no customers, if an enrichment says so; refunds
SELECT becomes(format('{"event_name": "page_view", "event_id": "e1", "user_id": "u1", "network_userid": "00000000-0000-0000-0000-000000000000", "collector_tstamp": "2026-03-01T10:00:00Z" %s}', x), 'snowplow')
FROM unnest(ARRAY['', ', "contexts_com_iab_snowplow_spiders_and_robots_1": [{"spiderOrRobot": true, "category": "SPIDER_OR_ROBOT"}]', ', "contexts_com_iab_snowplow_spiders_and_robots_1": [{"spiderOrRobot": false, "category": "BROWSER"}]',
    ', "contexts_nl_basjes_yauaa_context_1": [{"agentClass": "Robot"}]', ', "useragent": "Googlebot"',
    ', "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1": {"type": "refund"}, "contexts_com_snowplowanalytics_snowplow_ecommerce_refund_1": [{"transaction_id": "1", "currency": "EUR", "refund_amount": 20}]',
    ', "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1": {"type": "transaction"}, "contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1": [{"transaction_id": "1", "currency": "EUR", "revenue": 50}]']) x;
-- CloudEvents of all versions
SELECT becomes(p, 'cloudevents') FROM unnest(ARRAY['{"cloudEventsVersion": "0.1", "eventType": "order.paid", "eventID": "1", "eventTime": "2026-03-01T10:00:00Z", "source": "/orders", "contentType": "application/json", "data": {"userId": 7}}',
    '{"specversion": "0.2", "type": "order.paid", "id": "1", "time": "2026-03-01T10:00:00Z", "source": "/orders", "contenttype": "application/json", "schemaurl": "http://x", "data": {"userId": 7}}',
    '{"specversion": "0.3", "type": "order.paid", "id": "1", "time": "2026-03-01T10:00:00Z", "source": "/orders", "datacontenttype": "application/json", "datacontentencoding": "base64", "data": "eyJ1c2VySWQiOiA3fQ=="}',
    '{"specversion": "1.0", "type": "order.paid", "id": "1", "time": "2026-03-01T10:00:00Z", "source": "/orders", "dataschema": "http://x", "data_base64": "eyJ1c2VySWQiOiA3fQ=="}']) p;
-- Unomi: an alias of a profile, a session, a persona
SELECT becomes(p, 'unomi') FROM unnest(ARRAY['{"itemId": "old", "itemType": "profileAlias", "profileID": "p1", "clientID": "web", "creationTime": "2026-03-01T10:00:00Z", "modifiedTime": "2026-03-01T10:00:00Z"}',
    '{"itemId": "s1", "itemType": "session", "profileId": "p1", "timeStamp": "2026-03-01T10:00:00Z", "lastEventDate": "2026-03-01T10:05:00Z"}', '{"itemId": "p2", "itemType": "persona", "properties": {"email": "x@x.pt"}}']) p;

-- What each means for a conversation. One was asked, answered and resolved; then a payload comes, of the same conversation or of none.
CREATE TABLE payloads (n integer GENERATED ALWAYS AS IDENTITY, format text, what text, payload text);
CREATE FUNCTION after_resolved(format text, payload text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    counts record;
    result text;
    who identifier := CASE format WHEN 'whatsapp' THEN 'phone:+351911' WHEN 'chatwoot' THEN 'chatwoot_contact:7' ELSE 'user_id:u1' END;
    thread text := CASE format WHEN 'whatsapp' THEN 'whatsapp:99' WHEN 'chatwoot' THEN 'chatwoot:4:31' ELSE 'c1' END;
BEGIN
    PERFORM crm.record(ARRAY[who], '2026-03-01 09:00Z', 'chat', 'message', direction => 'in', conversation => thread, source => format),
            crm.record(ARRAY[who], '2026-03-01 09:10Z', 'chat', 'message', direction => 'out', agent => 'marta', conversation => thread, source => format),
            crm.record(ARRAY[who], '2026-03-01 09:20Z', 'chat', 'resolved', direction => 'out', agent => 'marta', conversation => thread, source => format);
    SELECT * INTO counts FROM crm.ingest(payload, format);
    SELECT string_agg(concat_ws(' ', t.action, coalesce(u.turn, CASE WHEN u.own THEN 'own' ELSE 'status' END), 'by ' || t.agent), ', ' ORDER BY t.touchpoint_id, u.step)
    INTO result
    FROM crm.turns u JOIN crm.timeline t USING (touchpoint_id) WHERE t.occurred_at > '2026-03-01 09:20Z';
    result := concat_ws('; ', coalesce(result, counts::text), (SELECT c.status || CASE WHEN c.reopenings > 0 THEN ', reopened' ELSE '' END
                     || CASE WHEN c.waiting_since IS NOT NULL THEN ', waits' ELSE '' END || CASE WHEN c.messages_in > 1 THEN ', asked anew' ELSE '' END
                     || CASE WHEN c.messages_out > 1 THEN ', answered anew' ELSE '' END || ', ' || c.handled_by
                     FROM crm.conversations c WHERE c.conversation = thread), (SELECT string_agg(r.reason, ', ') FROM crm.rejected r));
    RAISE 'taken back' USING ERRCODE = 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
    RETURN result;
END $$;
-- WhatsApp: messages, of both APIs
INSERT INTO payloads (format, what, payload)
SELECT 'whatsapp', v.what || a.api, format(a.around, format('"messages": [{"from": "351911", "id": "w7", "timestamp": "1772359205", %s}]', v.body))
FROM (VALUES ('', '{"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {"metadata": {"phone_number_id": "99"}, %s}}]}]}'),
             (', on premises', '{"contacts": [{"profile": {"name": "Ana"}, "wa_id": "351911"}], "metadata": {"phone_number_id": "99"}, %s}')) a(api, around),
     (VALUES ('text', '"type": "text", "text": {"body": "olá"}'), ('image', '"type": "image", "image": {"id": "9"}'), ('unsupported', '"type": "unsupported", "errors": [{"code": 131051}]'),
             ('unknown', '"type": "unknown", "errors": [{"code": 501}]'), ('button', '"type": "button", "button": {"text": "Sim"}'), ('order', '"type": "order", "order": {"catalog_id": "1"}'),
             ('list reply', '"type": "interactive", "interactive": {"type": "list_reply"}'), ('flow reply', '"type": "interactive", "interactive": {"type": "nfm_reply"}'),
             ('reaction', '"type": "reaction", "reaction": {"message_id": "w1", "emoji": "👍"}'), ('reaction taken back', '"type": "reaction", "reaction": {"message_id": "w1"}'),
             ('edit', '"type": "edit", "edit": {"original_message_id": "w1"}'), ('revoke', '"type": "revoke", "revoke": {"original_message_id": "w1"}'),
             ('call permission', '"type": "interactive", "interactive": {"type": "call_permission_reply"}'), ('request_welcome', '"type": "request_welcome"'),
             ('identity changed', '"type": "system", "system": {"type": "customer_identity_changed", "identity": "x", "customer": "351911"}'),
             ('new kind of system', '"type": "system", "system": {"type": "something_new", "body": "x"}'),
             ('user joined', '"type": "system", "group_id": "351-1", "system": {"type": "group_user_joined"}'),
             ('user_changed_number', '"type": "system", "system": {"type": "user_changed_number", "wa_id": "351933"}'),
             ('customer_changed_number', '"type": "system", "system": {"type": "customer_changed_number", "customer": "351911", "new_wa_id": "351933"}'),
             ('customer_changed_number, wa_id', '"type": "system", "system": {"type": "customer_changed_number", "customer": "351911", "wa_id": "351933", "identity": "x"}')) v(what, body);
-- statuses of messages and calls, echoes, calls, preferences, history, the address book
INSERT INTO payloads (format, what, payload)
SELECT 'whatsapp', v.what, webhook('{"metadata": {"phone_number_id": "99", "display_phone_number": "99"}, ' || v.body || '}', v.field)
FROM (SELECT 'status ' || s AS what, 'messages' AS field, format('"statuses": [{"id": "w8", "recipient_id": "351911", "timestamp": "1772359206", "status": "%s"}]', s) AS body
      FROM unnest('{sent,delivered,read,played,failed,deleted,warning,invented}'::text[]) s
      UNION ALL SELECT 'call status ' || s, 'calls', format('"statuses": [{"id": "wacid.1", "recipient_id": "351911", "type": "call", "timestamp": "1772359206", "status": "%s"}]', s) FROM unnest('{RINGING,ACCEPTED,REJECTED}'::text[]) s
      UNION ALL SELECT 'payment', 'messages', '"statuses": [{"id": "p1", "recipient_id": "351911", "type": "payment", "timestamp": "1772359206", "status": "captured"}]'
      UNION ALL SELECT 'to a group: ' || s, 'messages', format('"statuses": [{"id": "w9", "recipient_id": "Y2Fw", "recipient_type": "group", %s "timestamp": "1772359206", "status": "%s"}]',
                                                                CASE WHEN s <> 'sent' THEN '"recipient_participant_id": "351911",' END, s) FROM unnest('{sent,delivered,read}'::text[]) s
      UNION ALL SELECT 'echo ' || t, f, format('"message_echoes": [{"from": "99", "to": "351911", "id": "w10", "timestamp": "1772359206", "type": "%s"}]', t)
      FROM unnest('{text,reaction,edit,revoke}'::text[], '{smb_message_echoes,message_echoes,smb_message_echoes,smb_message_echoes}'::text[]) u(t, f)
      UNION ALL SELECT 'in a group', 'messages', '"messages": [{"from": "351911", "group_id": "Y2Fw", "id": "w11", "timestamp": "1772359206", "type": "text", "text": {"body": "olá"}}]'
      UNION ALL SELECT 'preference ' || p, 'user_preferences', format('"user_preferences": [{"wa_id": "351911", "category": "marketing_messages", "value": "%s", "timestamp": 1772359206}]', p) FROM unnest('{stop,resume}'::text[]) p
      UNION ALL SELECT 'history', 'history', '"history": [{"metadata": {"phase": 0, "chunk_order": 1, "progress": 55}, "threads": [{"id": "351911", "messages": [
                    {"from": "99", "id": "h1", "timestamp": "1772359201", "type": "text", "history_context": {"status": "READ"}},
                    {"from": "351911", "id": "h2", "timestamp": "1772359202", "type": "text", "history_context": {"status": "READ"}},
                    {"from": "99", "id": "h3", "timestamp": "1772359203", "type": "media_placeholder", "history_context": {"from_me": true, "status": "read"}}]}]}]'
      UNION ALL SELECT 'history not shared', 'history', '"history": [{"errors": [{"code": 2593109}]}]'
      UNION ALL SELECT 'media of the history', 'history', '"messages": [{"from": "351911", "id": "h3", "timestamp": "1772359203", "type": "image", "image": {"id": "9"}}]'
      UNION ALL SELECT 'address book', 'smb_app_state_sync', '"state_sync": [{"type": "contact", "contact": {"full_name": "Ana", "phone_number": "351911"}, "action": "add", "metadata": {"timestamp": "1772359203"}}]'
      UNION ALL SELECT 'error', 'messages', '"errors": [{"code": 131000}]'
      UNION ALL SELECT 'group created', 'group_lifecycle_update', '"groups": [{"timestamp": "1772359203", "group_id": "Y2Fw", "type": "group_create"}]') v;
INSERT INTO payloads (format, what, payload) VALUES ('whatsapp', 'error, on premises', '{"errors": [{"code": 470, "title": "expired"}]}');
-- Chatwoot: who wrote, in the words and numbers of its versions
INSERT INTO payloads (format, what, payload)
SELECT 'chatwoot', concat_ws(' ', m.type, s.who), format('{"event": "message_created", "id": 501, "created_at": %s, "message_type": %s, "private": false, %s,
    "conversation": {"id": 31, "inbox_id": 4, "channel": "Channel::Api", "meta": {"sender": {"id": 7}}}}', s.at, m.type, s.sender)
FROM (VALUES ('"incoming"'), ('0'), ('"outgoing"'), ('1'), ('"template"'), ('3'), ('"activity"'), ('2')) m(type),
     (VALUES ('contact', '"2026-03-01T10:00:05Z"', '"sender": {"id": 7, "type": "contact"}', '{incoming,0}'), ('contact without type', '1772359205', '"sender": {"id": 7}', '{incoming,0}'), ('nobody', '1772359205', '"sender": null', '{incoming,0,outgoing,1,template,3,activity,2}'),
             ('user', '"2026-03-01 10:00:05 UTC"', '"sender": {"id": 3, "name": "Rui", "email": "rui@shop.pt", "type": "user"}', '{outgoing,1,template,3}'),
             ('user without type', '1772359205', '"sender": {"id": 3, "name": "Rui"}', '{outgoing}'), ('agent_bot', '1772359205', '"sender": {"id": 3, "name": "Robô", "type": "agent_bot"}', '{outgoing,1,template}'),
             ('AgentBot', '1772359205', '"sender": {"id": 3, "name": "Robô", "type": "AgentBot"}', '{outgoing}'), ('sender_type AgentBot', '1772359205', '"sender_type": "AgentBot", "sender": {"id": 3, "name": "Robô"}', '{outgoing}'),
             ('captain_assistant', '1772359205', '"sender": {"id": 3, "name": "Capitã", "type": "captain_assistant"}', '{outgoing,1}'), ('Captain::Assistant', '1772359205', '"sender": {"id": 3, "type": "Captain::Assistant"}', '{outgoing}'),
             ('sender_type Captain::Assistant', '1772359205', '"sender_type": "Captain::Assistant", "sender": {"id": 3, "name": "Capitã"}', '{1}'),
             ('echo', '1772359205', '"content_attributes": {"external_echo": true}, "sender": null', '{outgoing}'), ('reaction', '1772359205', '"content_attributes": {"is_reaction": true}, "sender": {"id": 7, "type": "contact"}', '{incoming}'),
             ('survey', '1772359205', '"content_type": "input_csat"', '{template}')) s(who, at, sender, types)
WHERE btrim(m.type, '"') = ANY (s.types::text[]);
INSERT INTO payloads (format, what, payload)
SELECT 'chatwoot', concat_ws(' ', s.event, s.status, s.more), format('{"event": "%s", "id": 31, "inbox_id": 4, "channel": "Channel::Api", %s "updated_at": 1772359301.5, "created_at": 1772359205,
    "meta": {"sender": {"id": 7}%s}}', s.event, '"status": ' || s.status || ',', s.more)
FROM (VALUES ('conversation_created', '"open"', NULL), ('conversation_status_changed', '"open"', NULL), ('conversation_status_changed', '0', NULL), ('conversation_status_changed', '"resolved"', ', "assignee": {"name": "Rui", "type": "user"}'),
             ('conversation_status_changed', '"resolved"', ', "assignee": {"name": "Robô", "type": "agent_bot"}'), ('conversation_status_changed', '"resolved"', ', "assignee": {"name": "Capitã"}, "assignee_type": "Captain::Assistant"'),
             ('conversation_status_changed', '1', NULL), ('conversation_status_changed', '"pending"', NULL), ('conversation_status_changed', '"snoozed"', NULL), ('conversation_status_changed', '"invented"', NULL), ('conversation_opened', NULL, NULL),
             ('conversation_resolved', NULL, NULL), ('conversation_resolved', '"resolved"', NULL), ('conversation_updated', '"open"', NULL), ('message_updated', NULL, NULL)) s(event, status, more);
INSERT INTO payloads (format, what, payload) VALUES ('chatwoot', 'widget', '{"event": "webwidget_triggered", "contact": {"id": 7}}');
-- Segment: what its specifications name
INSERT INTO payloads (format, what, payload)
SELECT 'segment', concat_ws(' ', e, p), format('{"type": "track", "event": "%s", "userId": "u1", "timestamp": "2026-03-01T10:00:05Z", "properties": {%s}}', e, p)
FROM (VALUES ('Live Chat Conversation Started', '"conversation_id": "c1", "agent_username": "rui"'), ('Live Chat Message Sent', '"conversation_id": "c1", "agent_username": "rui"'),
             ('Live Chat Message Received', '"conversation_id": "c1", "agent_username": "rui"'), ('Live Chat Conversation Ended', '"conversation_id": "c1", "agent_username": "rui"'),
             ('Conversation Started', '"conversationId": "c1"'), ('Message Sent', '"conversationId": "c1"'), ('Message Sent', '"conversationId": "c1", "role": "customer"'), ('Message Sent', '"conversationId": "c1", "role": "agent"'),
             ('Message Sent', '"conversationId": "c1", "role": "agent", "agent_id": "rui"'), ('Message Sent', ''), ('Message Received', '"conversationId": "c1"'), ('Message Received', ''), ('Message Sent', '"conversation_id": "c1"'), ('Message Received', '"conversation_id": "c1"'), ('Tool Invoked', '"conversationId": "c1"'),
             ('Media Generated', '"conversationId": "c1"'), ('Component Loaded', '"conversationId": "c1"'), ('Feedback Submitted', '"conversationId": "c1", "rating": 5'), ('Conversation Ended', '"conversationId": "c1"'),
             ('Email Delivered', ''), ('Email Opened', ''), ('Email Bounced', ''), ('Unsubscribed', ''), ('Push Notification Received', ''), ('Push Notification Tapped', ''), ('Push Notification Bounced', ''), ('Install Attributed', ''),
             ('Application Opened', ''), ('Trial Ended', ''), ('Order Completed', '"revenue": 3')) v(e, p);
INSERT INTO payloads (format, what, payload)
SELECT f, a, format(CASE f WHEN 'unomi' THEN '{"eventType": "%s", "target": {"itemId": "u1"}, "profileId": "p1", "itemId": "i1", "timeStamp": "2026-03-01T10:00:05Z"}'
                           WHEN 'snowplow' THEN '{"event_name": "%s", "user_id": "u1", "collector_tstamp": "2026-03-01T10:00:05Z", "event_id": "e1"}'
                           ELSE '{"specversion": "1.0", "id": "1", "source": "/x", "type": "%s", "time": "2026-03-01T10:00:05Z", "data": {"user_id": "u1", "conversation_id": "c1"}}' END, a)
FROM (VALUES ('unomi', '{login,view,form,goal,modifyConsent,sessionCreated,sessionReassigned,profileUpdated,updateProperties,ruleFired}'::text[]), ('snowplow', '{page_view,page_ping,link_click,transaction}'),
             ('cloudevents', '{message}')) v(f, actions), unnest(v.actions) a;
SELECT format, what, after_resolved(format, payload) FROM payloads ORDER BY n;
-- what is sent by the API is a bot's, if one says so; statuses are of nobody all the same
BEGIN;
UPDATE crm.formats SET agent = '{=bot if /status = sent}' WHERE format = 'whatsapp' AND rule = 50;
SELECT what, after_resolved(format, payload) FROM payloads WHERE what IN ('status sent', 'status read', 'echo text') ORDER BY n;
ROLLBACK;
-- all actions that formats give by name, and what they mean
SELECT DISTINCT f.format, m.part[1] AS action, coalesce(a.means, CASE WHEN f.direction IS NULL THEN 'own' ELSE 'by its direction' END) AS means
FROM crm.formats f CROSS JOIN unnest(f.action) u(term) CROSS JOIN regexp_match(u.term, '^=([^{]*?)( if .*)?$') m(part) LEFT JOIN crm.actions a ON a.action = m.part[1]
ORDER BY 1, 2;

DROP TABLE payloads;
-- what is read and clicked: of any length, and nothing where it is no text
CREATE TABLE shown AS
SELECT * FROM (VALUES
    (1, 'segment', '{"type": "page", "userId": "u", "messageId": "1", "timestamp": "2026-03-01T10:00:00Z", "name": "Home", "properties": {"title": "Home - Shop", "url": "https://shop.example/"}}'),
    (2, 'segment', '{"type": "screen", "userId": "u", "messageId": "2", "timestamp": "2026-03-01T10:00:00Z", "name": "Cart", "context": {"page": {"url": "https://shop.example/cart"}}}'),
    (3, 'segment', '{"type": "track", "event": "Email Link Clicked", "userId": "u", "messageId": "3", "timestamp": "2026-03-01T10:00:00Z", "properties": {"email_subject": "Spring sale", "link_url": "https://shop.example/sale"}}'),
    (4, 'segment', '{"type": "track", "event": "Product Viewed", "userId": "u", "messageId": "4", "timestamp": "2026-03-01T10:00:00Z", "properties": {"name": "Raincoat", "url": {"path": "/"}}, "context": {"page": {"url": ["x"], "title": null}}}'),
    (5, 'segment', format('{"type": "page", "userId": "u", "messageId": "5", "timestamp": "2026-03-01T10:00:00Z", "properties": {"title": 7, "url": "https://shop.example/?%s"}}', repeat('q', 3000))),
    (6, 'cloudevents', '{"specversion": "1.0", "id": "6", "source": "/web", "type": "page.viewed", "time": "2026-03-01T10:00:00Z", "data": {"user_id": "u", "page": {"title": "Home", "url": "https://shop.example/"}}}'),
    (7, 'cloudevents', '{"specversion": "1.0", "id": "7", "source": "/shop", "type": "order.paid", "time": "2026-03-01T10:00:00Z", "subject": "orders/7", "data": {"user_id": "u", "page": "home"}}'),
    (8, 'snowplow', '{"collector_tstamp": "2026-03-01T10:00:00Z", "event_id": "8", "event_name": "page_view", "user_id": "u", "page_title": "Home", "page_url": "https://shop.example/"}'),
    (9, 'whatsapp', '{"entry": [{"changes": [{"value": {"messages": [{"from": "351911", "id": "w9", "timestamp": "1772359201", "type": "text", "text": {"body": "Olá"}, "referral": {"headline": "Raincoats", "source_url": "https://fb.example/ad"}}]}}]}]}'),
    (10, 'chatwoot', '{"event": "message_created", "id": 10, "message_type": "incoming", "created_at": 1772359202, "sender": {"id": 7, "type": "contact"}, "content_attributes": {"email": {"subject": "The coat is green"}}, "conversation": {"id": 31, "inbox_id": 4, "channel": "Channel::Email", "meta": {"sender": {"id": 7}}}}'),
    (11, 'chatwoot', '{"event": "conversation_created", "id": 11, "inbox_id": 4, "channel": "Channel::WebWidget", "created_at": 1772359200, "meta": {"sender": {"id": 7}}, "additional_attributes": {"mail_subject": "Coat", "referer": "https://shop.example/coats"}}'),
    (12, 'unomi', '{"itemId": "12", "eventType": "view", "profileId": "p", "timeStamp": "2026-03-01T10:00:00Z", "target": {"itemId": "x", "properties": {"pageInfo": {"pageName": "Home", "destinationURL": "https://shop.example/"}}}}')
) f(n, format, payload);
SELECT sum(i.touchpoints) AS touchpoints, sum(i.rejected) AS rejected FROM (SELECT * FROM shown ORDER BY n) f CROSS JOIN LATERAL crm.ingest(f.payload, f.format) i;
SELECT t.source, t.action, t.subject, left(t.url, 60) AS url, length(t.url) AS length
FROM (SELECT * FROM crm.touchpoints ORDER BY touchpoint_id DESC LIMIT (SELECT count(*) FROM shown)) t ORDER BY t.source, t.touchpoint_id;
DROP TABLE shown;
DROP FUNCTION becomes, webhook, batch, after_resolved;
SELECT journey_drop_hub('crm', force => true);
