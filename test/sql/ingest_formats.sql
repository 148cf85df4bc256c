-- The formats a hub brings with it: payloads as the systems' documentation describes them, and the traps in them.
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SELECT journey_create_hub('crm');

-- What a payload becomes: in a hub that is empty before and after.
CREATE FUNCTION becomes(payload text, format text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    counts record;
BEGIN
    TRUNCATE crm.touchpoints, crm.touchpoint_keys, crm.rejected, crm.evidence, crm.identities, crm.customers, crm.former_memberships, crm.customer_journeys, crm.journey_changes;
    SELECT * INTO counts FROM crm.ingest(payload, format);
    RETURN QUERY SELECT concat_ws(' ', CASE WHEN occurred_at = now() THEN 'now' ELSE to_char(occurred_at, 'YYYY-MM-DD HH24:MI:SS.MS') END,
                channel || '.' || action || coalesce('=' || value || ' ' || currency, '=' || value, ''), direction, 'in ' || conversation,
                'agent ' || agent, 'campaign ' || campaign, 'key ' || source_key, attributes)
        FROM crm.touchpoints ORDER BY touchpoint_id;
    RETURN QUERY SELECT 'customer ' || string_agg(identifier::text, ' ' ORDER BY identifier) FROM crm.identities GROUP BY customer_id ORDER BY min(identifier::text COLLATE "C");
    RETURN QUERY SELECT 'rejected ' || concat_ws(' ', items, reason) FROM crm.rejected;
    RETURN QUERY SELECT counts::text;
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

DROP FUNCTION becomes, webhook;
SELECT journey_drop_hub('crm', force => true);
