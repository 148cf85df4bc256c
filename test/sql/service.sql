-- service_levels: a worked example, all of whose figures are computed in the comments, and random touchpoints against
-- a plain count.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
SELECT journey_create_hub('crm');
-- nothing is there: one row of all time, none of periods and groups
\x on
SELECT * FROM crm.service_levels();
\x off
SELECT count(*) FROM crm.service_levels('month');
SELECT count(*) FROM crm.service_levels(NULL, breakdown => 'agent');
SELECT count(*) FROM crm.service_levels_monthly;
-- what is refused, in an empty hub too
SELECT * FROM crm.service_levels('fortnight');
SELECT * FROM crm.service_levels('month', '2025-02-01', '2025-01-01');
SELECT * FROM crm.service_levels('month', breakdown => 'team');

-- Monday to Friday, 9 to 18; in winter Lisbon's time is UTC
UPDATE crm.settings SET time_zone = 'Europe/Lisbon';
INSERT INTO crm.business_hours SELECT d, '09:00', '18:00' FROM generate_series(1, 5) d;
CREATE FUNCTION say(who text, at timestamptz, conversation text, direction text, agent text DEFAULT NULL, action text DEFAULT 'message',
                    channel text DEFAULT 'chat', source text DEFAULT 'desk') RETURNS void LANGUAGE sql AS $$
    SELECT crm.record(ARRAY[identifier('id', who)], at, channel, action, direction => direction, conversation => conversation, agent => agent, source => source);
$$;
DO $$ BEGIN
-- Ana, c1, Monday 6 January: a contact. First response 11 min, of Marta; second reply 5 min, of Rui, to whom it was transferred. The bot hands
-- over at 10:01, when she writes again: 1 min with it, and 10 min until Marta answers. With people 10 + 9 + 5 + 5 = 29 min. Resolved by Rui after
-- 30 min, at first contact.
PERFORM say('ana', '2025-01-06 10:00Z', 'c1', 'in'), say('ana', '2025-01-06 10:00:10Z', 'c1', 'out', 'bot:hello'), say('ana', '2025-01-06 10:01Z', 'c1', 'in'),
        say('ana', '2025-01-06 10:11Z', 'c1', 'out', 'marta'), say('ana', '2025-01-06 10:20Z', 'c1', 'in'), say('ana', '2025-01-06 10:25Z', 'c1', 'out', 'rui'),
        say('ana', '2025-01-06 10:30Z', 'c1', 'out', 'rui', 'resolved');
-- Bea, c2, Monday at 20:00, out of hours: a contact. Contained by the bot, which resolves it after 5 min, none of business, at first contact.
PERFORM say('bea', '2025-01-06 20:00Z', 'c2', 'in'), say('bea', '2025-01-06 20:00:05Z', 'c2', 'out', 'bot:hello'), say('bea', '2025-01-06 20:05Z', 'c2', 'out', 'bot:hello', 'resolved');
-- Cid, c3: a call that Marta took: a contact, resolved at once, at first contact. No wait, so no response.
PERFORM say('cid', '2025-01-07 11:00Z', 'c3', 'in', 'marta', 'call_completed', 'phone', 'calls');
-- Dan, d1: a contact on Friday at 17:00; first response on Monday at 10:00, of Marta, after 65 h, two of business; a question at 12:00, and Rui's reply
-- after 30 min: transferred; resolved by Rui at 13:00, not at first contact. On Wednesday, 15 January, he reopens it: a repeat contact; Rui replies
-- after 20 min. With people 65:00 + 2:00 + 0:30 + 0:30 + 0:20 = 68:20.
PERFORM say('dan', '2025-01-10 17:00Z', 'd1', 'in', channel => 'email'), say('dan', '2025-01-13 10:00Z', 'd1', 'out', 'marta', channel => 'email'),
        say('dan', '2025-01-13 12:00Z', 'd1', 'in', channel => 'email'), say('dan', '2025-01-13 12:30Z', 'd1', 'out', 'rui', channel => 'email'),
        say('dan', '2025-01-13 13:00Z', 'd1', 'out', 'rui', 'resolved', 'email'), say('dan', '2025-01-15 09:00Z', 'd1', 'in', channel => 'email'),
        say('dan', '2025-01-15 09:20Z', 'd1', 'out', 'rui', channel => 'email');
-- Eve, e1: a contact on Saturday, 1 February, which nobody answers: abandoned. A mail 10 min later is none. On Monday e2, a call that Rui takes: a repeat
-- contact, resolved at once, at first contact.
PERFORM say('eve', '2025-02-01 12:00Z', 'e1', 'in'), say('eve', '2025-02-01 12:10Z', NULL, 'in', channel => 'email'),
        say('eve', '2025-02-03 09:00Z', 'e2', 'in', 'rui', 'call_completed', 'phone', 'calls');
-- Cid again, c4: a contact, no repeat, after five weeks. Marta answers after 4 min; the bot's last word, after 30 s, hands over to her, 3:30 before that.
-- With people 3:30 + 6:00. Resolved by her after 10 min, at first contact.
PERFORM say('cid', '2025-02-10 10:00Z', 'c4', 'in'), say('cid', '2025-02-10 10:00:30Z', 'c4', 'out', 'bot:hello'), say('cid', '2025-02-10 10:04Z', 'c4', 'out', 'marta'),
        say('cid', '2025-02-10 10:10Z', 'c4', 'out', 'marta', 'resolved');
-- Fay, f1: Marta writes to her, and she never does: a conversation, and no contact
PERFORM say('fay', '2025-02-11 09:00Z', 'f1', 'out', 'marta', channel => 'email');
END $$;
SELECT crm.refresh() IS NOT NULL AS refreshed;

-- January: c1, c2, c3, d1. Contacts 4, and Dan's fifth, a repeat. First responses 660 and 234,000 s: median 117,330, 90th percentile
-- 660 + 0.9 * 233,340 = 210,666; of business 660 and 7,200: 3,930 and 6,546. Resolved c1, c2, c3, after 1,800, 300 and 0 s: 300, and 300 + 0.8 * 1,500
-- = 1,500; of business 1,800, 0, 0: 0 and 1,440. Replies 300, 660, 1,200, 1,800, 234,000: 1,200, and 1,800 + 0.6 * 232,200 = 141,120; of
-- business the last is 7,200: 1,200, and 5,040. Bot 1 + 5 min, people 29 min + 0 + 68:20. Resolved for the first time: all 4, of which 3 at first contact.
-- February: e1, e2, c4, f1. Contacts 3, a repeat. Asked in 3, answered c4 after 240 s; e1 abandoned. Resolved e2 and c4 after 0 and 600 s: 300 and 540.
\x on
SELECT * FROM crm.service_levels('month') ORDER BY period_start;
-- All time: first responses 240, 660, 234,000: 660, and 660 + 0.8 * 233,340 = 187,332; resolutions 0, 0, 300, 600, 1,800: 300, 600 + 0.6 * 1,200 = 1,320;
-- replies 240, 300, 660, 1,200, 1,800, 234,000: 930, and 1,800 + 0.5 * 232,200 = 117,900
SELECT contacts, repeat_contacts, repeat_contact_share, conversations, asked, answered, first_response_median_seconds, first_response_p90_seconds, abandoned, abandonment,
       resolved, resolution_median_seconds, resolution_p90_seconds, replies, reply_median_seconds, reply_p90_seconds, reopenings, transfers, handovers, bot_conversations, contained,
       bot_containment, bot_seconds, people_seconds, first_resolutions, resolved_at_first_contact, first_contact_resolution
FROM crm.service_levels();
\x off
-- the view is the months
SELECT count(*) FROM (SELECT period_start, contacts, first_response_median, people_seconds, first_contact_resolution FROM crm.service_levels_monthly
                      EXCEPT SELECT period_start, contacts, first_response_median, people_seconds, first_contact_resolution FROM crm.service_levels('month')) d;

CREATE FUNCTION levels(period text, breakdown text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS TABLE (start date, value text, contacts bigint, repeats bigint, convs bigint, asked bigint, answered bigint, first float, abandoned bigint, resolved bigint, resolution float,
               replies bigint, reply float, transfers bigint, handovers bigint, handover float, bots bigint, contained bigint, bot float, people float, resolutions bigint, fcr numeric) LANGUAGE sql AS $$
    SELECT period_start, breakdown_value, contacts, repeat_contacts, conversations, asked, answered, first_response_median_seconds, abandoned, resolved, resolution_median_seconds,
           s.replies, reply_median_seconds, s.transfers, s.handovers, handover_response_median_seconds, bot_conversations, s.contained, bot_seconds, people_seconds, first_resolutions, first_contact_resolution
    FROM crm.service_levels(period, since, until, breakdown) s ORDER BY 1, 2;
$$;
-- Chat: Ana, Bea, Eve, Cid; c1, c2, e1, c4. E-mail: Dan twice; d1 and f1. Phone: the two calls. Replies 240, 300, 660 in chat; 1,200, 1,800, 234,000 by mail.
SELECT * FROM levels(NULL, 'channel');
SELECT * FROM levels(NULL, 'source');
-- In hours all but Bea, and Eve's first
SELECT * FROM levels(NULL, 'hours');
-- By agent. The bot took part in c1, c2 and c4, and resolved c2. Marta took c3's contact, took part in c1, c3, d1, c4, f1, answered c1, d1, c4 first: median 660 s;
-- resolved c3 and c4, after 0 and 600 s. Rui took e2's, took part in c1, d1, e2, resolved c1 and e2, after 1,800 and 0 s; his replies took 300, 1,200, 1,800 s; of the conversations
-- that he resolved first, c1, d1, e2, two were resolved at first contact. Nobody took the contacts of Ana, Bea, Dan (2), Eve and Cid, nor part in e1.
SELECT * FROM levels(NULL, 'agent');
SELECT start, value, contacts, convs, answered, first, resolved, replies, reply FROM levels('month', 'agent');
-- Days: a conversation counts where it begins, a contact and a reply where they are asked, a first resolution where it is made
SELECT start, contacts, convs, replies, reply, resolutions, fcr FROM levels('day', NULL);
-- From and until are half-open; what began before is still known
SELECT start, contacts, repeats, convs, replies, resolutions, fcr FROM levels('month', NULL, '2025-01-13 12:00Z', '2025-02-03 09:00Z');
SELECT * FROM levels('quarter', NULL);
-- a holiday on Monday, 13 January: d1's first response has an hour of business
INSERT INTO crm.business_exceptions VALUES ('2025-01-13', NULL, NULL);
SELECT first_response_business_p90_seconds = 660 + 0.9 * (3600 - 660) AS holiday FROM crm.service_levels('month') WHERE period_start = '2025-01-01';

-- Random touchpoints, with two calendars, against a count of views row by row
SELECT journey_create_hub('rnd');
UPDATE rnd.settings SET time_zone = 'America/New_York', session_gap = '10 min', repeat_within = '1 day';
INSERT INTO rnd.business_hours SELECT d, '08:00', '20:00' FROM generate_series(1, 6) d;
INSERT INTO rnd.business_calendars VALUES ('night', 'Asia/Kathmandu');
INSERT INTO rnd.business_hours SELECT d, '00:00', '11:15', 'night' FROM generate_series(1, 7) d;
INSERT INTO rnd.calendar_uses VALUES ('source', 'y', 'night'), ('channel', 'phone', 'night');
SELECT setseed(0.5);
SELECT count(rnd.record(ARRAY[identifier('id', (random() * 12)::integer::text)], timestamptz '2025-02-20 00:00Z' + (random() * 28800)::integer * interval '1 min',
                        (ARRAY['chat', 'email', 'phone'])[1 + floor(random() * 3)], (ARRAY['message', 'message', 'message', 'resolved', 'reopened', 'read', 'call_completed'])[1 + floor(random() * 7)],
                        direction => (ARRAY['in', 'in', 'out', 'out', NULL])[1 + floor(random() * 5)], conversation => (ARRAY[NULL, 'a', 'b', 'c', 'd'])[1 + floor(random() * 5)],
                        agent => (ARRAY[NULL, NULL, 'bot', 'bot:x', 'marta', 'rui'])[1 + floor(random() * 6)], source => (ARRAY['x', 'x', 'y'])[1 + floor(random() * 3)]))
FROM generate_series(1, 1500);
CREATE FUNCTION open_at(at timestamptz, source text, channel text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN rnd.business_time(at, at + interval '1 microsecond', coalesce((SELECT u.calendar FROM rnd.calendar_uses u WHERE u.used_by = 'source' AND u.name = open_at.source),
                                                                                    (SELECT u.calendar FROM rnd.calendar_uses u WHERE u.used_by = 'channel' AND u.name = open_at.channel))) > '0' THEN 'in hours' ELSE 'out of hours' END;
$$;
CREATE FUNCTION start_of(at timestamptz, period text) RETURNS date LANGUAGE sql AS $$
    SELECT CASE WHEN period <> 'all' THEN date_trunc(period, at AT TIME ZONE 'America/New_York')::date END;
$$;
-- what counts, a row each: who did it, and how long it took
CREATE TEMP TABLE facts AS
SELECT 'contact' AS what, occurred_at AS at, channel, source, agent, open_at(occurred_at, source, channel) AS hours, NULL::interval AS took, NULL::interval AS business, is_repeat AS yes FROM rnd.contacts
UNION ALL SELECT 'reply', asked_at, channel, source, agent, open_at(asked_at, source, channel), reply_time, reply_business_time, NULL FROM rnd.replies
UNION ALL SELECT 'first', resolved_at, channel, source, agent, open_at(resolved_at, source, channel), NULL, NULL, at_first_contact FROM rnd.resolutions
UNION ALL SELECT 'answer', asked_at, channel, source, answered_by, open_at(asked_at, source, channel), first_response_time, first_response_business_time, NULL FROM rnd.conversations WHERE answered_at IS NOT NULL
UNION ALL SELECT 'conversation', coalesce(asked_at, started_at), channel, source, NULL, open_at(coalesce(asked_at, started_at), source, channel), resolution_time, resolution_business_time, is_abandoned FROM rnd.conversations;
CREATE FUNCTION expected(period text, breakdown text, since timestamptz, until timestamptz)
RETURNS TABLE (start date, value text, contacts bigint, repeats bigint, convs bigint, abandoned bigint, answered bigint, first interval, first_p90 interval, first_business interval, resolved bigint, resolution interval,
               replies bigint, reply interval, reply_business interval, resolutions bigint, at_first_contact bigint) LANGUAGE sql AS $$
    SELECT start_of(at, period), v, count(*) FILTER (WHERE what = 'contact'), count(*) FILTER (WHERE what = 'contact' AND yes), count(*) FILTER (WHERE what = 'conversation'),
           count(*) FILTER (WHERE what = 'conversation' AND yes), count(*) FILTER (WHERE what = 'answer'),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE what = 'answer'), percentile_cont(0.9) WITHIN GROUP (ORDER BY took) FILTER (WHERE what = 'answer'),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY business) FILTER (WHERE what = 'answer'),
           count(took) FILTER (WHERE what = 'conversation'), percentile_cont(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE what = 'conversation'),
           count(*) FILTER (WHERE what = 'reply'), percentile_cont(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE what = 'reply'), percentile_cont(0.5) WITHIN GROUP (ORDER BY business) FILTER (WHERE what = 'reply'),
           count(*) FILTER (WHERE what = 'first'), count(*) FILTER (WHERE what = 'first' AND yes)
    FROM facts, LATERAL (SELECT CASE breakdown WHEN 'channel' THEN channel WHEN 'source' THEN source WHEN 'hours' THEN hours WHEN 'agent' THEN agent END) b(v)
    WHERE (since IS NULL OR at >= since) AND (until IS NULL OR at < until) AND NOT (breakdown IS NOT DISTINCT FROM 'agent' AND what = 'conversation')
    GROUP BY 1, 2;
$$;
CREATE FUNCTION counted(period text, breakdown text, since timestamptz, until timestamptz)
RETURNS TABLE (start date, value text, contacts bigint, repeats bigint, convs bigint, abandoned bigint, answered bigint, first interval, first_p90 interval, first_business interval, resolved bigint, resolution interval,
               replies bigint, reply interval, reply_business interval, resolutions bigint, at_first_contact bigint) LANGUAGE sql AS $$
    SELECT period_start, breakdown_value, s.contacts, repeat_contacts, CASE WHEN breakdown = 'agent' THEN 0 ELSE conversations END, CASE WHEN breakdown = 'agent' THEN 0 ELSE s.abandoned END, s.answered,
           first_response_median, first_response_p90, first_response_business_median, CASE WHEN breakdown = 'agent' THEN 0 ELSE s.resolved END, CASE WHEN breakdown = 'agent' THEN NULL ELSE resolution_median END,
           s.replies, reply_median, reply_business_median, first_resolutions, resolved_at_first_contact
    FROM rnd.service_levels(period, since, until, breakdown) s
    WHERE breakdown IS DISTINCT FROM 'agent' OR s.contacts + s.answered + s.replies + first_resolutions > 0;
$$;
SELECT count(*) AS cases, count(*) FILTER (WHERE e.rows IS DISTINCT FROM c.rows OR e.rows IS NULL) AS wrong
FROM unnest('{day,month}'::text[]) period, unnest('{channel,source,hours,agent,NULL}'::text[]) breakdown,
     (VALUES (NULL::timestamptz, NULL::timestamptz), ('2025-02-27 13:00Z', '2025-03-08 01:00Z')) r(since, until),
     LATERAL (SELECT array_agg(x ORDER BY x.start, x.value) FROM expected(period, breakdown, since, until) x) e(rows),
     LATERAL (SELECT array_agg(x ORDER BY x.start, x.value) FROM counted(period, breakdown, since, until) x) c(rows);
-- By agent, a conversation has a row for each who took part; who resolved it is the agent of its last resolution
SELECT count(*) AS wrong FROM rnd.service_levels(breakdown => 'agent') s
WHERE (conversations, abandoned, s.transfers, s.handovers, bot_conversations, s.contained)
      IS DISTINCT FROM (SELECT (count(*), count(*) FILTER (WHERE is_abandoned), coalesce(sum(c.transfers), 0)::bigint, coalesce(sum(c.handovers), 0)::bigint, count(*) FILTER (WHERE handled_by <> 'human'),
                                count(*) FILTER (WHERE handled_by = 'bot' AND (status = 'resolved' OR now() - last_at > '1 day')))
                        FROM rnd.conversations c WHERE breakdown_value = ANY (c.agents) OR breakdown_value IS NULL AND c.agents = '{}')
   OR s.resolved <> (SELECT count(*) FROM rnd.conversations c
                     WHERE c.resolved_at IS NOT NULL
                           AND breakdown_value IS NOT DISTINCT FROM (SELECT t.agent FROM rnd.turns t
                                                                     WHERE t.customer_id = c.customer_id AND t.source = c.source AND t.conversation = c.conversation AND t.turn = 'resolves' AND t.occurred_at = c.resolved_at
                                                                     ORDER BY t.touchpoint_id LIMIT 1));

DROP TABLE facts;
DROP FUNCTION say, levels, open_at, start_of, expected, counted;
SELECT journey_drop_hub('crm', true), journey_drop_hub('rnd', true);
