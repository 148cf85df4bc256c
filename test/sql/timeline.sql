-- The timeline, hand-offs and the 360 card; every expected figure is worked out
-- in the comments.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
SELECT journey_create_hub('crm');

-- nothing in, nothing out
SELECT * FROM crm.timeline;
SELECT * FROM crm.handoffs;
SELECT * FROM crm.customer_360;
SELECT count(*) FROM crm.visits;
SELECT count(*) FROM crm.sessions;
SELECT count(*) FROM crm.dim_days;

-- Ana, all of it of March 2026. A session ends after more than 30 minutes, a hand-off is within a day.
--    time           channel      since      session  own one before    hand-off
--  1 1st 10:00      web          -          1        -                 -
--  2 1st 10:30      web          00:30:00   1        web 30 min        same channel
--  3 1st 11:00:01   email  (out) 00:30:01   2        outbound          outbound
--  4 1st 11:05      web          00:04:59   2        web 35 min        same channel, over the outbound one
--  5 2nd 11:05      balcão       1 day      3        web 1 day         yes, just within a day
--  6 3rd 11:05:01   web          1 day 1 s  4        balcão 1 day 1 s  no, later than that
--  7 3rd 12:00      phone        00:54:59   5        web 54:59         yes
--  8 3rd 12:00      whatsapp     0          5        phone 0           yes: ties go by touchpoint_id
--  9 3rd 12:00      whatsapp out 0          5        outbound          outbound
-- 10 4th 09:00      whatsapp     21:00      6        whatsapp 21:00    same channel
-- 11 4th 09:00:30   phone        30 s       6        whatsapp 30 s     yes, in the same conversation
SELECT crm.record('{cookie:1}', '2026-03-01 10:00Z', 'web', 'view', attributes => '{"lang": "en", "size": null, "plan": "free"}');
SELECT crm.record('{cookie:1}', '2026-03-01 10:30Z', 'web', 'view', attributes => '{"lang": "pt"}');
SELECT crm.record('{email:ana}', '2026-03-01 11:00:01Z', 'email', 'newsletter', direction => 'out', campaign => 'spring');
SELECT crm.record('{email:ana,cookie:1}', '2026-03-01 11:05Z', 'web', 'login', direction => 'in', attributes => '{"lang": null, "address": {"city": "Porto"}}');
SELECT crm.record('{email:ana}', '2026-03-02 11:05Z', 'balcão', 'purchase', 49.90, 'EUR', attributes => '{"plan": "gold", "address": {"zip": "4000"}}');
SELECT crm.record('{cookie:1}', '2026-03-03 11:05:01Z', 'web', 'view', 10, attributes => '[1]');
SELECT crm.record('{email:ana}', '2026-03-03 12:00Z', 'phone', 'call', direction => 'in', conversation => 'c1', attributes => '{"mood": "calm"}');
SELECT crm.record('{email:ana}', '2026-03-03 12:00Z', 'whatsapp', 'message', direction => 'in', conversation => 'c1', attributes => '{"mood": "glad"}');
SELECT crm.record('{email:ana}', '2026-03-03 12:00Z', 'whatsapp', 'reply', direction => 'out', conversation => 'c1', agent => 'marta');
SELECT crm.record('{email:ana}', '2026-03-04 09:00Z', 'whatsapp', 'message', direction => 'in', conversation => 'c1');
SELECT crm.record('{email:ana}', '2026-03-04 09:00:30Z', 'phone', 'call', direction => 'in', conversation => 'c1', agent => 'marta');
SELECT touchpoint_id AS id, occurred_at, channel, direction AS dir, since_previous, session, own, previous_channel, since_own, is_handoff AS h, begins_visit AS v,
       same_conversation AS same
FROM crm.timeline WHERE customer_id = crm.customer_of('email:ana') ORDER BY occurred_at, touchpoint_id;
SELECT touchpoint_id AS id, from_channel, to_channel, occurred_at, after, conversation, action, agent FROM crm.handoffs ORDER BY occurred_at, touchpoint_id;
-- Her visits: 1, 2 and 4 in web, left within a day; 5; 6, after more than a day; 7; 8 and 10; 11. Kinds: web is digital, phone
-- and whatsapp are human, balcão is not known. Her sessions are as above.
SELECT visit, channel, started_at, ended_at, duration, touchpoints AS n, came_from, came_after, left_to, left_after, first_touchpoint_id AS id
FROM crm.visits WHERE customer_id = crm.customer_of('email:ana') ORDER BY visit;
SELECT visit, duration_seconds, came_after_seconds, left_after_seconds, local_day, local_hour
FROM crm.visits_of(crm.customer_of('email:ana')) ORDER BY visit;
SELECT session, started_at, ended_at, duration, touchpoints AS n, channels, actions, first_channel, last_channel, value, first_touchpoint_id AS id,
       duration_seconds, local_day, local_hour
FROM crm.sessions WHERE customer_id = crm.customer_of('email:ana') ORDER BY session;
SELECT touchpoint_id AS id, visit, is_omnichannel, after_seconds, local_day, local_hour FROM crm.handoffs_of(crm.customer_of('email:ana')) ORDER BY visit;
SELECT count(*) AS sessions, bool_and(n.touchpoints = s.touchpoints AND n.started_at = s.started_at AND n.channels = s.channels) AS agree
FROM (SELECT customer_id, session, count(*) AS touchpoints, min(occurred_at) AS started_at, array_agg(DISTINCT channel) AS channels
      FROM crm.timeline GROUP BY customer_id, session) n JOIN crm.sessions s USING (customer_id, session);
-- a touchpoint by its number: as in timeline
SELECT r.touchpoint_id AS id, r.session, r.previous_channel, r.is_handoff, r.since_own_seconds, r = t AS agree
FROM crm.timeline_row(11) r JOIN crm.timeline t USING (touchpoint_id);
SELECT count(*) FROM crm.timeline_row(999);
SELECT count(*) FROM crm.timeline_of(NULL);

-- Rui has two touchpoints, which came to him, with a NULL direction the second; Eva only an identifier; cookie 2 one of its own.
SELECT crm.record('{email:rui}', '2026-03-01 11:00:01Z', 'email', 'newsletter', direction => 'out');
SELECT crm.record('{email:rui}', '2026-03-01 11:00:03Z', 'email', 'delivered');
SELECT crm.identify('{email:eva}', '2026-02-01 08:00Z');
SELECT crm.record('{cookie:2}', '2026-03-04 09:10Z', 'app', 'view', 5, 'USD', attributes => '{"lang": "fr"}');
SELECT crm.set_traits('cookie:1', '{"lang": "pt", "mood": null}', 'web', '2026-03-01 10:30Z'),
       crm.set_traits('email:ana', '{"lang": "de", "name": "Ana"}', 'crm', '2026-02-01Z'),
       crm.set_traits('cookie:2', '{"lang": "fr"}', 'web', '2026-03-04Z');
SELECT customer_id, channel, since_previous, session, previous_channel, is_handoff, begins_visit FROM crm.timeline
WHERE customer_id <> crm.customer_of('email:ana') ORDER BY customer_id;
-- Ana's visits: 1 web, 5 balcão, 6 web, 7 phone, 8 whatsapp, 11 phone. Web and phone have two each; phone was used last.
-- Her values are 49.90 EUR and 10 of no currency: two sums. Her profile is made of traits; what attributes of
-- touchpoints say is not who she is.
\x on
SELECT * FROM crm.customer_360 ORDER BY customer_id;
\x off
-- one row of it by key, and by an identifier
SELECT customer_id, handoffs, value_by_currency FROM crm.customer_360 WHERE customer_id = crm.customer_of('cookie:1');

-- Cookie 2 turns out to be Ana's: its touchpoint comes 9:30 after her last, in session 6, and is a hand-off from phone. The reverse undoes it.
SELECT crm.link('cookie:2', 'email:ana', '2026-03-05Z', 'web', 'login 7') = crm.customer_of('cookie:1') AS joined;
SELECT touchpoint_id AS id, channel, since_previous, session, previous_channel, is_handoff FROM crm.timeline
WHERE customer_id = crm.customer_of('cookie:2') ORDER BY occurred_at DESC, touchpoint_id DESC LIMIT 2;
SELECT customer_id, touchpoints, sessions, handoffs, preferred_channel, value_by_currency, last_channel, profile ->> 'lang' AS lang
FROM crm.customer_360 WHERE customer_id = crm.customer_of('cookie:2');
SELECT crm.retract('web', 'login 7');
SELECT customer_id, touchpoints, sessions, handoffs, preferred_channel, value_by_currency, last_channel, profile ->> 'lang' AS lang
FROM crm.customer_360 WHERE touchpoints > 0 ORDER BY customer_id;

-- A late touchpoint, between 2 and 4: 3 is in its session now, and so is 4. Of web, so that nothing else changes.
SELECT crm.record('{cookie:1}', '2026-03-01 10:45Z', 'web', 'view');
SELECT touchpoint_id AS id, session, since_own FROM crm.timeline
WHERE customer_id = crm.customer_of('cookie:1') AND occurred_at < '2026-03-03Z' ORDER BY occurred_at;
-- Other limits: with a gap of a day and a hand-off within 30 seconds, 1 to 5 are session 1, and 8 and 11 alone are hand-offs.
UPDATE crm.settings SET session_gap = '24 hours', handoff_within = '30 seconds';
SELECT session, count(*), array_agg(touchpoint_id ORDER BY touchpoint_id) FILTER (WHERE is_handoff) AS handoffs
FROM crm.timeline WHERE customer_id = crm.customer_of('cookie:1') GROUP BY session ORDER BY session;
UPDATE crm.settings SET session_gap = DEFAULT, handoff_within = DEFAULT;

-- who may not read identifiers reads the card without them
CREATE ROLE regress_timeline_reader;
GRANT USAGE ON SCHEMA crm TO regress_timeline_reader;
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'crm'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname <> 'identities' LOOP
        EXECUTE format('GRANT SELECT ON crm.%I TO regress_timeline_reader', name);
    END LOOP;
END $$;
GRANT SELECT (identity_id, customer_id, first_seen, last_seen, blocked, shared) ON crm.identities TO regress_timeline_reader;
SET ROLE regress_timeline_reader;
SELECT customer_id, identifiers, identifier_texts, touchpoints, last_channel, profile FROM crm.customer_360 ORDER BY customer_id;
SELECT count(*) FROM crm.timeline;
SELECT count(*) FROM crm.handoffs;
SELECT count(*) FROM crm.conversations;
SELECT count(*) FROM crm.channel_mix;
SELECT count(*) FROM crm.channel_transitions;
SELECT count(*) FROM crm.unknown_channels;
SELECT customers FROM crm.omnichannel;
RESET ROLE;
GRANT SELECT (identifier, normal_id) ON crm.identities TO regress_timeline_reader;
SET ROLE regress_timeline_reader;
SELECT customer_id, identifiers, profile FROM crm.customer_360 ORDER BY customer_id;
RESET ROLE;
REVOKE SELECT (identifier) ON crm.identities FROM regress_timeline_reader;
-- row-level security hides touchpoints and identities here too
ALTER TABLE crm.touchpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON crm.touchpoints FOR SELECT USING (channel <> 'phone');
SET ROLE regress_timeline_reader;
SELECT touchpoint_id AS id, previous_channel, is_handoff FROM crm.timeline WHERE occurred_at > '2026-03-03Z' ORDER BY occurred_at, touchpoint_id;
RESET ROLE;
DROP OWNED BY regress_timeline_reader;
DROP ROLE regress_timeline_reader;

ALTER TABLE crm.touchpoints DISABLE ROW LEVEL SECURITY;

-- Local days are those of the hub, whatever the session's zone; its day of 23 hours is none
-- of the hub's business: since_own is 24 hours, after which the conversation is still the same.
UPDATE crm.settings SET time_zone = 'Asia/Kolkata';
SET timezone = 'Europe/Lisbon';
SELECT crm.record('{n:1}', '2026-03-28 20:00Z', 'web', 'view', direction => 'in', conversation => 'dst') > 0 AS recorded;
SELECT crm.record('{n:1}', '2026-03-29 20:00Z', 'app', 'view', direction => 'in', conversation => 'dst') > 0 AS recorded;
SELECT occurred_at, local_day, local_hour, since_own, since_own_seconds, same_conversation FROM crm.timeline_of(crm.customer_of('n:1')) ORDER BY occurred_at;
SELECT conversation, local_day, local_hour, after, after_seconds FROM crm.handoffs_of(crm.customer_of('n:1'));
SELECT started_at, local_day, local_hour FROM crm.visits_of(crm.customer_of('n:1')) ORDER BY visit;
SELECT started_at, local_day, local_hour FROM crm.sessions_of(crm.customer_of('n:1')) ORDER BY session;
SET timezone = 'UTC';
UPDATE crm.settings SET time_zone = DEFAULT;
SELECT count(*) FROM crm.timeline_of(crm.customer_of('n:1'));
DELETE FROM crm.touchpoints WHERE conversation = 'dst';
SELECT count(*) FROM crm.timeline_of(crm.customer_of('n:1'));

-- what a star schema wants: channels, those that are not known too; agents; days of whole years, of which some are open
INSERT INTO crm.business_hours (weekday, opens, closes) VALUES (1, '09:00', '12:00'), (1, '13:00', '18:00'), (6, '10:00', '10:30');
SELECT channel, label, kind, is_known FROM crm.dim_channels WHERE channel IN ('web', 'balcão') ORDER BY channel COLLATE "C";
SELECT count(*) - count(DISTINCT channel) AS twice, count(*) FILTER (WHERE NOT is_known) AS unknown FROM crm.dim_channels;
SELECT agent, is_bot, touchpoints, first_at, last_at FROM crm.dim_agents;
SELECT min(day), max(day), count(*), count(*) FILTER (WHERE is_open) AS open FROM crm.dim_days;
\x on
SELECT * FROM crm.dim_days WHERE day IN ('2026-01-01', '2026-03-02', '2026-12-31') ORDER BY day;
\x off
DELETE FROM crm.business_hours;

-- Open conversations are those that conversations calls open, whatever happens in them, and however many at a time.
INSERT INTO crm.identities (identity_id, identifier, normal_id, customer_id, member_since)
SELECT n, identifier('n', n::text), n, n, '2025-01-01Z' FROM generate_series(101, 150) n;
INSERT INTO crm.customers (customer_id, identities) SELECT n, 1 FROM generate_series(101, 150) n;
INSERT INTO crm.touchpoints (identity_id, occurred_at, channel, action, direction, conversation, source)
SELECT 101 + n % 50, '2025-01-01Z'::timestamptz + (hashint4(n) & 15) * interval '1 minute', 'phone',
       (ARRAY['message', 'resolved', 'reopen', 'call_completed', 'delivered'])[1 + (hashint4(n + 1000) & 1023) % 5],
       (ARRAY['in', 'out', NULL])[1 + (hashint4(n + 7000) & 1023) % 3], 'c' || (hashint4(n + 9000) & 3), 's' || n % 2
FROM generate_series(1, 900) n;
SELECT count(*) FILTER (WHERE c.n > 0) > 30 AS many, bool_and(o.open_conversations = coalesce(c.n, 0)) AS agree
FROM crm.customer_360 o
     LEFT JOIN (SELECT customer_id, count(*) AS n FROM crm.conversations WHERE status = 'open' GROUP BY 1) c USING (customer_id);
SELECT journey_drop_hub('crm', true);
