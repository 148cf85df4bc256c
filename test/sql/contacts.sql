-- Contacts and first resolutions: what the window functions tell, against the definition in SQL.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';

-- Without a hub. c1 begins with a contact; what follows within the session is none; resolved; reopened two hours later: a repeat contact, so it was not
-- resolved at first contact. Resolved again: not for the first time. The message of the 20th is part of no conversation: first again. A call is asked and resolved at once.
WITH t(at, source, conversation, direction, means) AS (VALUES
    (timestamptz '2025-01-06 10:00Z', 'desk', 'c1', 'in', NULL), ('2025-01-06 10:05Z', 'desk', 'c1', 'in', NULL), ('2025-01-06 10:06Z', 'desk', 'c1', 'out', NULL),
    ('2025-01-06 10:07Z', 'desk', 'c1', 'in', 'status'), ('2025-01-06 10:10Z', 'desk', 'c1', 'out', 'resolves'), ('2025-01-06 12:10Z', 'desk', 'c1', 'in', NULL),
    ('2025-01-06 12:20Z', 'desk', 'c1', 'out', 'resolves'), ('2025-01-20 09:00Z', 'mail', NULL, 'in', NULL), ('2025-01-20 09:00Z', 'mail', NULL, NULL, NULL),
    ('2025-01-29 09:00Z', 'calls', 'p1', NULL, 'asks_and_resolves'), ('2025-01-29 09:30Z', 'calls', 'p2', 'out', 'asks_and_resolves'))
SELECT at, conversation, direction, means, contact_kind(at, source, conversation, direction, means, '7 days', '30 min') OVER w, resolved_at_first_contact(at, source, conversation, direction, means, '7 days') OVER w
FROM t WINDOW w AS (ORDER BY at);
SELECT contact_kind(now(), 'a', 'b', 'in', NULL, NULL, '1 h') OVER ();
SELECT contact_kind(now(), 'a', 'b', 'in', NULL, '1 h', '-1 h') OVER ();
SELECT contact_kind(NULL, 'a', 'b', 'in', NULL, '1 h', '1 h') OVER ();
SELECT resolved_at_first_contact('infinity', 'a', 'b', NULL, 'resolves', '1 month') OVER ();
SELECT contact_kind(now(), 'a', 'b', 'in', NULL, '1 h', '1 h');

-- Random touchpoints, minutes apart, many at the same time
SELECT journey_create_hub('crm');
UPDATE crm.settings SET session_gap = '3 min', repeat_within = '12 min';
SELECT setseed(0.2);
SELECT count(crm.record(ARRAY[identifier('id', (random() * 20)::integer::text)], timestamptz '2025-03-01 00:00Z' + (random() * 1500)::integer * interval '1 min', 'web',
                        (ARRAY['message', 'message', 'message', 'resolved', 'reopened', 'read', 'call_completed'])[1 + floor(random() * 7)],
                        direction => (ARRAY['in', 'in', 'out', 'out', NULL])[1 + floor(random() * 5)], conversation => (ARRAY[NULL, 'a', 'a', 'b', 'c'])[1 + floor(random() * 5)],
                        agent => (ARRAY[NULL, 'bot', 'marta'])[1 + floor(random() * 3)], source => (ARRAY['x', 'x', 'y'])[1 + floor(random() * 3)]))
FROM generate_series(1, 3000);
CREATE TEMP VIEW contact AS
SELECT b.customer_id, b.touchpoint_id, b.occurred_at, b.channel, b.source, b.conversation, b.agent, coalesce(b.since_message <= (SELECT s.repeat_within FROM crm.settings s), false) AS is_repeat
FROM (SELECT a.*, a.occurred_at - lag(a.occurred_at) OVER (PARTITION BY a.customer_id ORDER BY a.occurred_at, a.touchpoint_id) AS since_message
      FROM (SELECT t.*, lag(t.turn) OVER w AS before, t.occurred_at - lag(t.occurred_at) OVER w AS since_before
            FROM crm.turns t WHERE t.turn IN ('asks', 'reopens', 'resolves')
            WINDOW w AS (PARTITION BY t.customer_id, t.source, t.conversation ORDER BY t.occurred_at, t.touchpoint_id, t.step)) a
      WHERE a.turn = 'asks') b
WHERE (b.conversation IS NULL OR b.before IS NULL OR b.before = 'resolves' OR b.since_before > (SELECT s.repeat_within FROM crm.settings s))
      AND (b.since_message > (SELECT s.session_gap FROM crm.settings s)) IS NOT FALSE;
CREATE TEMP VIEW resolution AS
SELECT o.customer_id, o.source, o.conversation, o.occurred_at AS resolved_at, o.channel, o.agent,
       (o.asked_again_at - o.occurred_at <= (SELECT s.repeat_within FROM crm.settings s)) IS NOT TRUE AS at_first_contact, now() - o.occurred_at > (SELECT s.repeat_within FROM crm.settings s) AS decided
FROM (SELECT t.*, row_number() OVER (PARTITION BY t.customer_id, t.source, t.conversation, t.turn = 'resolves' ORDER BY t.occurred_at, t.touchpoint_id, t.step) AS nth,
             min(t.occurred_at) FILTER (WHERE t.turn <> 'resolves')
                 OVER (PARTITION BY t.customer_id ORDER BY t.occurred_at DESC, t.touchpoint_id DESC, t.step DESC ROWS UNBOUNDED PRECEDING) AS asked_again_at
      FROM crm.turns t WHERE t.turn IN ('asks', 'reopens', 'resolves')) o
WHERE o.turn = 'resolves' AND o.nth = 1 AND o.conversation IS NOT NULL;
CREATE FUNCTION different(OUT contacts bigint, OUT wrong_contacts bigint, OUT resolutions bigint, OUT wrong_resolutions bigint) LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM contact), (SELECT count(*) FROM ((TABLE contact EXCEPT ALL TABLE crm.contacts) UNION ALL (TABLE crm.contacts EXCEPT ALL TABLE contact)) d),
           (SELECT count(*) FROM resolution), (SELECT count(*) FROM ((TABLE resolution EXCEPT ALL TABLE crm.resolutions) UNION ALL (TABLE crm.resolutions EXCEPT ALL TABLE resolution)) d);
$$;
SELECT * FROM different();
UPDATE crm.settings SET session_gap = '0.5 s', repeat_within = '1 min';
SELECT * FROM different();
UPDATE crm.settings SET session_gap = '30 min', repeat_within = '1 month 1 h';
SELECT * FROM different();
-- parts of the time, which read less, add up to all of it
UPDATE crm.settings SET session_gap = '3 min', repeat_within = '12 min';
WITH r AS (SELECT timestamptz '2025-02-28 23:00Z' + n * interval '97 min' AS since, timestamptz '2025-02-28 23:00Z' + (n + 1) * interval '97 min' AS until FROM generate_series(0, 18) n),
     c AS MATERIALIZED (SELECT c.* FROM r, crm.contacts_between(since, until) c),
     s AS MATERIALIZED (SELECT s.* FROM r, crm.resolutions_between(since, until) s)
SELECT (SELECT count(*) FROM ((TABLE c EXCEPT ALL TABLE contact) UNION ALL (TABLE contact EXCEPT ALL TABLE c)) d) AS wrong_contacts,
       (SELECT count(*) FROM ((TABLE s EXCEPT ALL TABLE resolution) UNION ALL (TABLE resolution EXCEPT ALL TABLE s)) d) AS wrong_resolutions;
-- all, and a range that is none
SELECT (SELECT count(*) FROM crm.contacts_between()) - (SELECT count(*) FROM contact) AS contacts, (SELECT count(*) FROM crm.resolutions_between()) - (SELECT count(*) FROM resolution) AS resolutions;
SELECT * FROM crm.contacts_between('2025-03-02Z', '2025-03-01Z');
SELECT * FROM crm.resolutions_between('2025-03-02Z', '2025-03-01Z');

DROP FUNCTION different;
DROP VIEW contact, resolution;
SELECT journey_drop_hub('crm', true);
