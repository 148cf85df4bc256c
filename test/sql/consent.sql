-- Consent: what was said, what holds, who may be contacted.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET client_min_messages = error;
SELECT journey_create_hub('crm');
SET search_path = crm, public;
CREATE FUNCTION refused(query text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    message := 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;

-- What is said holds from when it was said, until something else is
SELECT set_consent('email:ana@x.pt', 'marketing', 'email', 'granted', text_version => 'v1', given_at => '2026-01-01Z') AS ana \gset
SELECT set_consent('email:ana@x.pt', 'marketing', 'email', 'withdrawn', given_at => '2026-03-01Z') = :ana AS same;
SELECT set_consent('email:ana@x.pt', 'marketing', 'email', 'granted', 'consent', 'shop', 'v2', '2026-02-01Z', '2026-02-10Z') = :ana AS same;
-- the same once more is nothing new
SELECT set_consent('email:ana@x.pt', 'marketing', 'email', 'withdrawn', given_at => '2026-03-01Z') = :ana AS same;
SELECT count(*) FROM consents;
SELECT at, consent_of(:ana, 'marketing', 'email', at) FROM unnest('{2025-12-31Z,2026-01-01Z,2026-02-05Z,2026-02-10Z,2026-02-28Z,2026-03-01Z,2030-01-01Z}'::timestamptz[]) at;
SELECT consent_of(:ana, 'marketing', 'sms') AS never, consent_of(-1, 'marketing', 'email') AS nobody, consent_of(NULL, 'marketing', 'email') AS unknown;

-- Of several that fit: a refusal until as much, or less, is granted later
SELECT set_consents(array_agg(ROW(identifier('n', n::text), purpose, channel, state, NULL, NULL, NULL, at, NULL)::consent)) AS new
FROM (VALUES
    (1, 'm', 'e', 'granted', '2026-01-01Z'::timestamptz), (1, '*', '*', 'withdrawn', '2026-02-01Z'),              -- all at an end
    (2, 'm', 'e', 'denied', '2026-01-01Z'), (2, 'm', NULL, 'granted', '2026-02-01Z'),                             -- one no, then a yes to all channels
    (3, '*', 'e', 'denied', '2026-01-01Z'), (3, 'm', '*', 'granted', '2026-02-01Z'),                              -- never by e-mail
    (4, '*', '*', 'denied', '2026-01-01Z'), (4, 'm', 'e', 'granted', '2026-02-01Z'),                              -- nothing, but this
    (5, 'm', 'e', 'expired', '2026-01-01Z'), (5, NULL, NULL, 'granted', '2026-02-01Z'),
    (6, 'm', 'e', 'granted', '2026-01-01Z'), (6, 'm', '*', 'denied', '2026-01-01Z'),                              -- at once
    (7, 'm', 'e', 'granted', '2026-01-01Z'), (7, 'm', 'e', 'expired', '2026-01-01Z'),
    (8, 'm', 'e', 'denied', '2026-01-01Z'), (8, '*', '*', 'withdrawn', '2026-02-01Z'), (8, 'm', '*', 'granted', '2026-03-01Z')
) v(n, purpose, channel, state, at);
SELECT n, c.id, consent_of(c.id, 'm', 'e') AS m_by_e, consent_of(c.id, 'm', 'sms') AS m_by_sms, consent_of(c.id, 'x', 'e') AS x_by_e, consent_of(c.id, '*', '*') AS everything
FROM generate_series(1, 8) n, LATERAL (SELECT customer_of(identifier('n', n::text)) AS id) c ORDER BY n;
SELECT purpose, channel, state, given_at FROM consents_of(customer_of('n:8'));
SELECT count(*) AS then FROM consents_of(customer_of('n:8'), '2026-01-15Z');

-- After a merge the newest of all counts, of one time the strictest; after a split each has its own
SELECT set_consent('phone:+351912345678', 'marketing', 'email', 'granted', given_at => '2026-03-01Z') AS phone \gset
SELECT consent_of(:ana, 'marketing', 'email'), consent_of(:phone, 'marketing', 'email');
SELECT identify('{email:ana@x.pt,phone:+351912345678}', '2026-03-02Z', 'crm', 'login') = :ana AS merged;
SELECT consent_of(:ana, 'marketing', 'email'), consent_of(:phone, 'marketing', 'email') AS by_any_number;
SELECT set_consent('phone:+351912345678', 'marketing', 'email', 'granted', given_at => '2026-03-03Z') = :ana AS newer;
SELECT consent_of(:ana, 'marketing', 'email');
SELECT retract('crm', 'login');
SELECT consent_of(:ana, 'marketing', 'email'), consent_of(:phone, 'marketing', 'email');

-- Nothing is changed later, and nobody is forgotten of whom something was said
SELECT r.* FROM refused($$UPDATE consents SET state = 'granted'$$) r;
UPDATE settings SET forget_unreferenced = true;
SELECT forget_after(0) > 0 AS looked, customer_of('n:1') IS NOT NULL AS there;
UPDATE settings SET forget_unreferenced = false;
\x on
SELECT query, r.* FROM (VALUES
    ($$SELECT set_consent(NULL, 'm', 'e', 'granted')$$),
    ($$SELECT set_consent('a:1', 'm', 'e', NULL)$$),
    ($$SELECT set_consent('a:1', 'm', 'e', 'yes')$$),
    ($$SELECT set_consent('a:1', '', 'e', 'granted')$$),
    ($$SELECT set_consent('a:1', 'm', 'e', 'granted', text_version => repeat('x', 256))$$),
    ($$SELECT set_consent('a:1', 'm', 'e', 'granted', given_at => 'infinity')$$),
    ($$SELECT set_consent('a:1', 'm', 'e', 'granted', given_at => '2126-01-01Z')$$),
    ($$SELECT set_consent('a:1', 'm', 'e', 'granted', given_at => '2026-01-01Z', valid_until => '2026-01-01Z')$$)) v(query), refused(query) r;
\x off
SELECT set_consents(NULL) AS none, set_consents('{}') AS empty, customer_of('a:1') AS nobody;

-- Who may be contacted: without a word nobody, unless a rule says so
SELECT * FROM may_contact(:ana, 'marketing', 'email');
SELECT * FROM may_contact(:phone, 'marketing', 'email');
SELECT * FROM may_contact(:ana, 'orders', 'email');
SELECT * FROM may_contact(-5, 'orders', 'email');
SELECT * FROM may_contact(NULL, NULL, NULL);
INSERT INTO contact_rules (purpose, channel, basis, allowed) VALUES ('orders', '*', 'contract', 'unless_refused'), ('recall', '*', 'legal obligation', 'always'), ('orders', 'post', 'contract', 'if_granted');
SELECT p, c, m.* FROM unnest('{orders,recall}'::text[]) p, unnest('{email,post}'::text[]) c, may_contact(:ana, p, c) m;
SELECT set_consent('email:ana@x.pt', '*', '*', 'denied', source => 'desk', given_at => '2026-04-01Z') = :ana AS do_not_contact;
SELECT p, m.* FROM unnest('{orders,recall}'::text[]) p, may_contact(:ana, p, 'email') m;
SELECT p, m.* FROM unnest('{orders,recall}'::text[]) p, may_contact(:ana, p, 'email', '2026-03-30Z') m;

-- Quiet hours are the customer's, whose clock changes: in Lisbon on 29 March 2026 at 01:00 UTC
UPDATE settings SET time_zone = 'Europe/Lisbon';
INSERT INTO quiet_hours (channel, quiet_from, quiet_until) VALUES ('sms', '22:00', '08:00');
INSERT INTO quiet_hours (purpose, channel, weekday, quiet_from, quiet_until) VALUES ('orders', 'sms', 6, '20:00', '10:00');
INSERT INTO quiet_hours (purpose, channel) VALUES ('recall', 'sms');
SELECT set_consent('n:9', 'marketing', '*', 'granted', given_at => '2026-01-01Z') AS nine \gset
SELECT at, m.* FROM unnest('{2026-03-28 07:59Z,2026-03-28 08:00Z,2026-03-28 21:59Z,2026-03-28 22:00Z,2026-03-29 06:59Z,2026-03-29 07:00Z,2026-03-29 20:59Z,2026-03-29 21:00Z}'::timestamptz[]) at, may_contact(:nine, 'marketing', 'sms', at) m;
-- from Saturday to Sunday only
SELECT at, m.* FROM unnest('{2026-03-28 09:30Z,2026-03-28 20:30Z,2026-03-29 08:30Z,2026-03-29 09:30Z,2026-03-29 20:30Z}'::timestamptz[]) at, may_contact(:nine, 'orders', 'sms', at) m;
SELECT * FROM may_contact(:nine, 'recall', 'sms', '2026-03-28 23:00Z');
SELECT set_traits('n:9', '{"time_zone": "America/Sao_Paulo"}') = :nine AS moved;
SELECT at, m.* FROM unnest('{2026-03-28 00:59Z,2026-03-28 01:00Z,2026-03-28 10:59Z,2026-03-28 11:00Z}'::timestamptz[]) at, may_contact(:nine, 'marketing', 'sms', at) m;
SELECT set_traits('n:9', '{"time_zone": "Mars/Olympus"}', observed_at => now() + '1 s') = :nine AS moved;
SELECT * FROM may_contact(:nine, 'marketing', 'sms', '2026-03-28 22:00Z');
-- nor is an offset one: the server would read it as POSIX does, the other way round
SELECT set_traits('n:9', '{"time_zone": "+08:00"}', observed_at => now() + '2 s') = :nine AS moved;
SELECT * FROM may_contact(:nine, 'marketing', 'sms', '2026-03-28 22:00Z');
SELECT set_traits('n:9', '{"time_zone": 8}', observed_at => now() + '3 s') = :nine AS moved;
SELECT * FROM may_contact(:nine, 'marketing', 'sms', '2026-03-28 22:00Z');
SELECT set_traits('n:9', '{"time_zone": "Etc/GMT-8"}', observed_at => now() + '4 s') = :nine AS moved;
SELECT * FROM may_contact(:nine, 'marketing', 'sms', '2026-03-28 22:00Z');
SELECT set_traits('n:9', '{"time_zone": ""}', observed_at => now() + '5 s') = :nine AS moved;
-- all of a day
INSERT INTO quiet_hours (purpose, channel, weekday, quiet_from, quiet_until) VALUES ('news', 'sms', 7, '00:00', '00:00'), ('offers', 'sms', 7, '00:00', '24:00');
SELECT p, at, reasons FROM unnest('{news,offers}'::text[]) p, unnest('{2026-03-28 23:59Z,2026-03-29 00:00Z,2026-03-29 22:59Z,2026-03-29 23:00Z}'::timestamptz[]) at, may_contact(:nine, p, 'sms', at);

-- Caps: outgoing messages are counted, of the purpose, or of none that is said
INSERT INTO contact_caps (purpose, channel, most, within) VALUES ('marketing', 'email', 2, '7 days'), ('*', '*', 4, '1 day');
SELECT count(record(ARRAY['n:9'::identifier], at, channel, action, direction => direction, attributes => attributes)) FROM (VALUES
    ('2026-05-01Z'::timestamptz, 'email', 'sent', 'out', '{"purpose": "marketing"}'::jsonb), ('2026-05-02Z', 'email', 'sent', 'out', '{"purpose": "orders"}'),
    ('2026-05-03Z', 'email', 'delivered', 'out', '{"purpose": "marketing"}'), ('2026-05-03Z', 'email', 'message', 'in', NULL), ('2026-05-03Z', 'sms', 'sent', 'out', NULL)) v(at, channel, action, direction, attributes);
SELECT * FROM may_contact(:nine, 'marketing', 'email', '2026-05-04Z');
SELECT record('{n:9}', '2026-05-04Z', 'email', 'sent', direction => 'out') > 0 AS sent;
SELECT at, m.* FROM unnest('{2026-05-03 23:59Z,2026-05-04Z,2026-05-07 23:59Z,2026-05-08Z}'::timestamptz[]) at, may_contact(:nine, 'marketing', 'email', at) m;
SELECT count(record('{n:9}', '2026-05-20Z', 'phone', 'call', direction => 'out', attributes => '{"purpose": "care"}')) FROM generate_series(1, 4);
SELECT at, m.* FROM unnest('{2026-05-20 12:00Z,2026-05-21Z}'::timestamptz[]) at, may_contact(:nine, 'marketing', 'email', at) m;
INSERT INTO contact_caps (channel, most, within) VALUES ('post', 0, '1 year');
SELECT * FROM may_contact(:nine, 'marketing', 'post', '2026-06-01Z');

-- Payloads tell of it. What a system says again, as with each event what its banner was told, is nothing new
CREATE FUNCTION told(payload text, format text, OUT purpose text, OUT channel text, OUT state text, OUT given_at timestamptz, OUT valid_until timestamptz) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ingest(payload, format);
    RETURN QUERY SELECT c.purpose, c.channel, c.state, CASE WHEN c.given_at <> now() THEN c.given_at END, c.valid_until FROM consents c WHERE c.source = format ORDER BY c.given_at, c.purpose COLLATE "C", c.state;
END $$;
SELECT * FROM told('{"type": "identify", "userId": "u1", "timestamp": "2026-03-01T10:00:00Z", "context": {"consent": {"categoryPreferences": {"Advertising": true, "Analytics": false, "Functional": null}}}}', 'segment');
SELECT count(*) FROM told(format('[%s]', (SELECT string_agg(format('{"type": "track", "event": "e", "userId": "u1", "messageId": "%s", "timestamp": "2026-03-01T11:00:%s0Z", "context": {"consent": {"categoryPreferences": {"Advertising": %s}}}}', n, n, advertising), ',')
    FROM unnest('{true,true,false,false,true}'::text[]) WITH ORDINALITY a(advertising, n))), 'segment');
SELECT state, given_at FROM told('{"type": "track", "event": "Unsubscribed", "userId": "u1", "timestamp": "2026-03-02T10:00:00Z"}', 'segment') WHERE purpose IN ('Advertising', 'marketing');
SELECT consent_of(customer_of('user_id:u1'), 'Advertising', 'web') AS advertising, consent_of(customer_of('user_id:u1'), 'marketing', 'email') AS marketing;
-- what can't be understood is rejected, with all of its item
SELECT i.*, (SELECT reason FROM rejected ORDER BY rejected_id DESC LIMIT 1) FROM ingest('{"type": "track", "event": "e", "userId": "u2", "timestamp": "2026-03-02T10:00:00Z", "context": {"consent": {"categoryPreferences": {"Advertising": "maybe"}}}}', 'segment') i;
SELECT customer_of('user_id:u2');
UPDATE formats SET consents = '{marketing/email:/context/consent/categoryPreferences/Advertising if not /context/consent/categoryPreferences/Advertising = maybe}' WHERE format = 'segment' AND rule = 50;
SELECT * FROM retry_rejected('segment');
-- WhatsApp: a word, a button, the customer's settings; but a sentence is none
SELECT * FROM told(format('{"entry": [{"changes": [{"field": "messages", "value": {"metadata": {"phone_number_id": "9"}, "messages": [%s]}}]}]}', (SELECT string_agg(format('{"from": "351911", "id": "w%s", "timestamp": "%s", %s}', n, 1772359200 + n, what), ',')
    FROM unnest(ARRAY['"type": "text", "text": {"body": "Please stop"}', '"type": "text", "text": {"body": "STOP"}', '"type": "text", "text": {"body": "start"}', '"type": "button", "button": {"text": "Stop promotions"}',
                      '"type": "text", "text": {"body": "Parar"}']) WITH ORDINALITY u(what, n))), 'whatsapp');
SELECT state FROM told('{"entry": [{"changes": [{"field": "user_preferences", "value": {"contacts": [], "user_preferences": [{"wa_id": "351911", "category": "marketing_messages", "value": "resume", "timestamp": 1772360000}]}}]}]}', 'whatsapp') ORDER BY given_at DESC LIMIT 1;
-- Chatwoot: of what the customer writes by SMS
SELECT purpose, channel, state FROM told('{"event": "message_created", "id": 1, "content": "STOP", "created_at": "2026-03-01T10:00:00Z", "message_type": "incoming", "sender": {"id": 7, "type": "contact"}, "conversation": {"id": 3, "channel": "Channel::TwilioSms", "meta": {"sender": {"id": 7}}}}', 'chatwoot');
SELECT count(*) FROM told('{"event": "message_created", "id": 2, "content": "STOP", "created_at": "2026-03-01T10:00:01Z", "message_type": "outgoing", "sender": {"id": 2, "type": "user"}, "conversation": {"id": 3, "channel": "Channel::TwilioSms", "meta": {"sender": {"id": 7}}}}', 'chatwoot');
-- Unomi: as objects
SELECT * FROM told('{"itemType": "profile", "itemId": "p1", "properties": {}, "consents": {"site/newsletter": {"scope": "site", "typeIdentifier": "newsletter", "status": "GRANTED", "statusDate": "2026-01-01T00:00:00Z", "revokeDate": "2028-01-01T00:00:00Z"}}}', 'unomi');
SELECT purpose, state, given_at FROM told('{"events": [{"itemType": "event", "eventType": "modifyConsent", "itemId": "e1", "profileId": "p1", "timeStamp": "2026-02-01T00:00:00Z", "properties": {"consent": {"typeIdentifier": "newsletter", "status": "REVOKED", "statusDate": "2026-02-01T00:00:00Z"}}}]}', 'unomi');
SELECT rejected, (SELECT reason FROM rejected ORDER BY rejected_id DESC LIMIT 1) FROM ingest('{"itemType": "profile", "itemId": "p2", "consents": {"a": {"typeIdentifier": "a", "status": "GRANTED", "statusDate": "soon"}}}', 'unomi');
-- rules of one's own: consent alone
INSERT INTO formats (format, rule, makes, identifiers, occurred_at, consents) VALUES ('center', 1, 'traits', '{email:/who}', '{/at}', '{*/phone:=denied if /calls = no,/choices,"x:={/x}{/y}"}');
SELECT * FROM told('{"who": "c@x.pt", "at": "2026-01-01T00:00:00Z", "calls": "no", "choices": {"news/email": "opt_in", "news": "no"}, "x": "deni", "y": "ed"}', 'center');
SELECT rejected, (SELECT reason FROM rejected ORDER BY rejected_id DESC LIMIT 1) FROM ingest('{"who": "d@x.pt", "at": "2026-01-01T00:00:00Z"}', 'center');
SELECT rejected, (SELECT reason FROM rejected ORDER BY rejected_id DESC LIMIT 1) FROM ingest('{"who": "d@x.pt", "at": "2026-01-01T00:00:00Z", "choices": ["news"]}', 'center');
SELECT r.state, r.message, r.detail FROM refused($$UPDATE formats SET consents = '{news}' WHERE format = 'center'$$) r;

-- Attached tables: what a row says now holds since when it says so; what it said before stays, for it was said
CREATE TABLE public.clients (id integer PRIMARY KEY, email text, newsletter boolean, sms text, said_at timestamptz, active boolean DEFAULT true);
INSERT INTO public.clients VALUES (1, 'eva@x.pt', true, 'Y', '2026-01-01Z'), (2, 'gil@x.pt', false, NULL, '2026-01-02Z'), (3, 'hal@x.pt', NULL, 'N', '2026-01-03Z');
CREATE FUNCTION of_clients(part text) RETURNS json LANGUAGE sql AS $$
    SELECT (jsonb_build_object('makes', 'consents', 'identifiers', '{"email": "email"}'::jsonb, 'consents_at', 'said_at', 'evidence_where', 'active',
        'consents', '{"news/email": "newsletter", "news/sms": {"case": "sms", "Y": "granted", "N": "withdrawn"}}'::jsonb) || part::jsonb)::json $$;
SELECT source_key, wanted, reason, identifiers, consents FROM preview_source('public.clients', of_clients('{}')) ORDER BY 1;
SELECT attach_source('public.clients', of_clients('{}'), feed => 'immediate') \gset
CALL backfill_source('clients');
CREATE VIEW public.of_rows AS
SELECT i.identifier, c.purpose, c.channel, c.state, c.source, c.source_key, c.given_at, c.valid_until IS NOT NULL AS ended
FROM crm.consents c JOIN crm.identities i USING (identity_id) WHERE c.source_key <> '' ORDER BY c.source, c.source_key, c.channel, c.given_at;
TABLE public.of_rows;
UPDATE public.clients SET newsletter = false, said_at = '2026-02-01Z' WHERE id = 1;  -- of the other one it says the same
UPDATE public.clients SET newsletter = NULL WHERE id = 2;
UPDATE public.clients SET email = 'hal@new.pt' WHERE id = 3;
TABLE public.of_rows;
SELECT at, consent_of(customer_of('email:eva@x.pt'), 'news', 'email', at) FROM unnest('{2026-01-15Z,2026-02-15Z}'::timestamptz[]) at;
SELECT consent_of(customer_of('email:gil@x.pt'), 'news', 'email') AS nothing_any_more, consent_of(customer_of('email:hal@x.pt'), 'news', 'sms') AS not_his;
SELECT source, relation, source_key FROM attached_rows(customer_of('email:hal@new.pt'));
-- an earlier time puts right what was said; of what can't be read, nothing is taken back
UPDATE public.clients SET newsletter = true, said_at = '2025-12-01Z' WHERE id = 1;
UPDATE public.clients SET sms = 'Y', said_at = '2999-01-01Z' WHERE id = 3;
TABLE public.of_rows;
SELECT source_key, reason FROM source_rejects WHERE source = 'clients';
SELECT * FROM check_source('clients');
UPDATE public.clients SET said_at = '2026-02-03Z' WHERE id = 3;
UPDATE public.clients SET active = false WHERE id = 2;
SELECT source_key, state FROM public.of_rows WHERE source_key <> '1';
DELETE FROM public.clients WHERE id = 3;
SELECT source_key, channel, state FROM public.of_rows;
SELECT * FROM check_source('clients');
DELETE FROM consents WHERE source_key = '1' AND channel = 'sms';
SELECT * FROM check_source('clients');
SELECT resync_source('clients') IS NOT NULL AS mended;
SELECT * FROM check_source('clients');
-- by another mapping; by none
SELECT alter_source('clients', of_clients('{"consents": {"news": "newsletter"}}'));
SELECT purpose, channel, state, ended FROM public.of_rows;
SELECT detach_source('clients', keep => false);
SELECT count(*) AS left_over FROM public.of_rows;
-- a journal, of any purpose; a list of those who want nothing
CREATE TABLE public.journal (id integer PRIMARY KEY, email text, purpose text, state text, version text, at timestamptz, until timestamptz);
CREATE TABLE public.opted_out (email text PRIMARY KEY, at timestamptz);
INSERT INTO public.journal VALUES (1, 'eva@x.pt', 'news/email', 'opt_in', 'v1', '2026-01-01Z', NULL), (2, 'eva@x.pt', 'news/email', 'stop', NULL, '2026-02-01Z', NULL),
    (3, 'eva@x.pt', 'ads', 'GRANTED', 'v2', '2026-02-01Z', '2026-03-01Z'), (4, 'eva@x.pt', 'ads', 'maybe', NULL, '2026-04-01Z', NULL), (5, NULL, 'ads', 'stop', NULL, '2026-04-01Z', NULL), (6, 'eva@x.pt', '', 'stop', NULL, '2026-04-01Z', NULL);
SELECT attach_source('public.journal', '{"makes": "consents", "identifiers": {"email": "email"}, "consents_at": "at",
    "consents": "jsonb_build_object(purpose, jsonb_build_object(''state'', state, ''text_version'', version, ''valid_until'', until))"}'::json) \gset
SELECT attach_source('public.opted_out', '{"makes": ["consents", "evidence"], "identifiers": {"email": "email"}, "consents_at": "at", "consents": {"*": "''withdrawn''"}}'::json) \gset
CALL backfill_source('journal');
CALL backfill_source('opted_out');
INSERT INTO public.opted_out VALUES ('eva@x.pt', '2026-02-15Z');
CALL feed();
SELECT c.purpose, c.channel, c.state, c.text_version, c.source, c.source_key, c.given_at, c.valid_until FROM consents c WHERE c.source_key <> '' ORDER BY c.source, c.source_key;
SELECT source_key, reason FROM source_rejects ORDER BY 1;
SELECT at, consent_of(customer_of('email:eva@x.pt'), 'ads', 'email', at) FROM unnest('{2026-02-10Z,2026-02-20Z}'::timestamptz[]) at;
DELETE FROM public.opted_out;
DELETE FROM public.journal WHERE id = 2;
CALL feed();
SELECT purpose, state FROM consents_of(customer_of('email:eva@x.pt'), '2026-02-20Z');
SELECT * FROM check_source('journal');
-- whoever is erased is not told of again
UPDATE settings SET erase_attached = 'detach';
SELECT erase(customer_of('email:eva@x.pt'), 'ticket 1') #> '{delete_there,0,keys}' AS delete_there;
UPDATE public.journal SET version = 'v9';
INSERT INTO public.opted_out VALUES ('eva@x.pt', '2026-02-15Z'), ('ivo@x.pt', '2026-02-15Z');
CALL feed();
TABLE public.of_rows;
-- by hand, with keys
SELECT put_consents('list', '{1,2}', '{email:jo@x.pt,email:ka@x.pt}', ARRAY['{"news": "yes"}', '{"news/sms": {"state": "denied", "given_at": "2026-01-01T00:00:00Z"}}']::jsonb[]);
SELECT put_consents('list', '{1}', '{email:jo@x.pt}', '{"{}"}'), drop_consents('list', '{2}');
-- what was over when it was said, does not last for ever
SELECT purpose, state, given_at, valid_until FROM read_consents('{"a": {"state": "granted", "given_at": "2026-01-01T00:00Z", "valid_until": "2025-01-01T00:00Z"}, "b": {"state": "granted", "given_at": "-infinity", "valid_until": "2025-01-01T00:00Z"},
    "c": {"state": "denied", "given_at": "2026-01-01T00:00Z", "valid_until": "2025-01-01T00:00Z"}, "d": {"state": "granted", "given_at": "2026-01-01T00:00Z", "valid_until": "2027-01-01T00:00Z"}}');
SELECT identifier, purpose, channel, state FROM public.of_rows WHERE source = 'list';
\x on
SELECT query, r.state, r.message, r.detail, r.hint FROM (VALUES
    ($$SELECT put_consents('list', '{""}', '{n:1}', '{"{}"}')$$), ($$SELECT put_consents('list', '{1}', '{n:1}', '{"1"}')$$),
    ($$SELECT put_consents('list', '{1}', NULL, '{"{\"a\": \"yes\"}"}')$$), ($$SELECT put_consents('list', '{1}', '{n:1}', '{"{\"a\": \"perhaps\"}"}')$$),
    ($$SELECT attach_source('public.clients', of_clients('{"consents_at": null}'))$$), ($$SELECT attach_source('public.clients', of_clients('{"consents": {}}'))$$),
    ($$SELECT attach_source('public.clients', (of_clients('{}')::jsonb - 'consents_at')::json)$$), ($$SELECT attach_source('public.clients', (of_clients('{}')::jsonb - 'consents')::json)$$),
    ($$SELECT attach_source('public.clients', of_clients('{"consents": {"news": "''perhaps''"}}'))$$), ($$SELECT attach_source('public.clients', of_clients('{"consents": {"news": {"case": "sms", "Y": "si"}}}'))$$),
    ($$SELECT attach_source('public.clients', of_clients('{"consents": {"/email": "newsletter"}}'))$$), ($$SELECT attach_source('public.clients', of_clients('{"consents": "email"}'))$$)
) v(query) CROSS JOIN LATERAL refused(query) r;
\x off
SELECT detach_source('journal', keep => true), detach_source('opted_out', keep => false);
DROP VIEW public.of_rows;
DROP TABLE public.clients, public.journal, public.opted_out;

-- Each tenant sees what was said of its own
CREATE ROLE regress_consent_tenant;
CREATE ROLE regress_consent_writer;
SELECT grant_access('regress_consent_tenant', 'reader'), grant_access('regress_consent_writer', 'writer');
ALTER TABLE identities ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON identities FOR SELECT TO regress_consent_tenant USING (identifier_namespace(identifier) = 'n');
CREATE POLICY writer ON identities TO regress_consent_writer USING (true);
SET ROLE regress_consent_tenant;
SELECT count(*), count(*) FILTER (WHERE identity_id IN (:ana, :phone)) AS others FROM consents;
SELECT consent_of(:ana, 'marketing', 'email'), consent_of(:nine, 'marketing', 'email'), (may_contact(:ana, 'recall', 'post')).*;
SELECT * FROM may_contact(:nine, 'marketing', 'email', '2026-05-20 12:00Z');
SELECT r.state, r.message FROM refused($$SELECT set_consent('n:9', 'm', 'e', 'granted')$$) r;
SET ROLE regress_consent_writer;
SELECT set_consent('n:9', 'calls', 'phone', 'granted', given_at => '2026-01-01Z') = :nine AS said;
SELECT * FROM may_contact(:nine, 'calls', 'phone', '2026-05-21 12:00Z');
SELECT r.state FROM refused($$DELETE FROM consents$$) r;
SELECT r.state FROM refused($$UPDATE consents SET state = 'granted'$$) r;
RESET ROLE;

RESET search_path;
SELECT journey_drop_hub('crm', true);

DROP ROLE regress_consent_tenant, regress_consent_writer;
