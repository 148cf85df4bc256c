-- Measures over all customers; every expected figure is worked out in the
-- comments.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
SELECT journey_create_hub('crm');
-- nothing to divide by
SELECT * FROM crm.channel_mix;
SELECT * FROM crm.channel_transitions;
SELECT * FROM crm.unknown_channels;
\x on
SELECT * FROM crm.omnichannel;
\x off
SELECT * FROM crm.channel_mix_monthly;
SELECT * FROM crm.channel_transitions_monthly;
-- a row for all time, or a range, but none for a period in which nothing happens
SELECT count(*) FROM crm.omnichannel_monthly;
SELECT count(*) FROM crm.omnichannel('day', '2015-01-01Z', '2016-01-01Z');
SELECT period_start, customers, customers IS NOT NULL AS zero FROM crm.omnichannel('all', '2015-01-01Z', '2015-01-01Z');
-- what is wrong is told before there is data, and wherever it comes from
SELECT * FROM crm.channel_mix('fortnight');
SELECT * FROM crm.channel_transitions('Month');
SELECT count(*) FROM crm.omnichannel('');
SELECT * FROM crm.omnichannel(since => '2015-02-01Z', until => '2015-01-01Z');
SELECT channel FROM crm.channel_mix((SELECT 'hour'));
SET plan_cache_mode = force_generic_plan;
PREPARE transitions(text, timestamptz) AS SELECT count(*) FROM crm.channel_transitions($1, $2, '2015-03-01Z');
PREPARE contacts(text) AS SELECT period_start, contacts FROM crm.omnichannel($1);
EXECUTE transitions('decade', NULL);
EXECUTE transitions('day', '2015-04-01Z');
EXECUTE contacts('month ');
EXECUTE transitions(NULL, NULL);
EXECUTE contacts(NULL);
RESET plan_cache_mode;

CREATE FUNCTION did(who text, at timestamptz, channel text, action text, direction text DEFAULT NULL, conversation text DEFAULT NULL,
                    value numeric DEFAULT NULL, currency text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    SELECT crm.record(ARRAY[identifier('id', who)], at, channel, action, value, currency, direction, conversation);
$$;
DO $$ BEGIN
-- Ana: web 1 visit, left for the phone after 10 min. Contacts: 2nd, 5th (2 days 22:40 after the call: repeat), 12th (7 days 10 min after
-- her last message: not). t1 is resolved 2 days 22:20 before she writes again, t2 exactly 7 days: neither at first contact.
PERFORM did('ana', '2015-03-02 10:00Z', 'web', 'view'), did('ana', '2015-03-02 10:10Z', 'web', 'view'),
        did('ana', '2015-03-02 10:20Z', 'phone', 'call', 'in', 't1'), did('ana', '2015-03-02 10:40Z', 'phone', 'resolved', 'out', 't1'),
        did('ana', '2015-03-05 09:00Z', 'whatsapp', 'message', 'in', 't2'), did('ana', '2015-03-05 09:05Z', 'whatsapp', 'message', 'out', 't2'),
        did('ana', '2015-03-05 09:10Z', 'whatsapp', 'resolved', 'out', 't2'), did('ana', '2015-03-12 09:10Z', 'email', 'message', 'in');
-- Bea: one touchpoint, in a channel that channels doesn't have
PERFORM did('bea', '2015-03-02 12:00Z', '店', 'purchase', value => 20, currency => 'EUR');
-- Cid: mail to him, and web 30 min later: one session. Web to store after 10:30 h. Web again a day and a second later: no hand-off.
PERFORM did('cid', '2015-03-02 09:00Z', 'email', 'newsletter', 'out'), did('cid', '2015-03-02 09:30Z', 'web', 'view'),
        did('cid', '2015-03-02 20:00Z', 'store', 'purchase', value => 30, currency => 'EUR'), did('cid', '2015-03-03 20:00:01Z', 'web', 'view');
-- Dan: chat to WhatsApp after a minute, both with people. t3 and, on the 20th, t4 are resolved at first contact. 2 contacts, 18 days apart.
PERFORM did('dan', '2015-03-02 10:00Z', 'chat', 'message', 'in', 't3'), did('dan', '2015-03-02 10:01Z', 'whatsapp', 'message', 'in'),
        did('dan', '2015-03-02 10:02Z', 'chat', 'message', 'out', 't3'), did('dan', '2015-03-02 10:05Z', 'chat', 'resolved', 'out', 't3'),
        did('dan', '2015-03-20 10:00Z', 'chat', 'message', 'in', 't4'), did('dan', '2015-03-20 10:10Z', 'chat', 'message', 'out', 't4'),
        did('dan', '2015-03-20 10:30Z', 'chat', 'resolved', 'out', 't4');
-- Eva: only what came to her: no customer of omnichannel, and nothing to divide by in sms
PERFORM did('eva', '2015-03-02 09:00Z', 'email', 'newsletter', 'out'), did('eva', '2015-03-02 09:00Z', 'sms', 'offer', 'out');
-- Fay: t5 was resolved just now, so whether she comes back is not known yet
PERFORM did('fay', now() - interval '2 hours', 'phone', 'call', 'in', 't5'), did('fay', now() - interval '110 min', 'phone', 'resolved', 'out', 't5');
-- Gus: t6 is reopened 10 min after it was resolved: not at first contact
PERFORM did('gus', '2015-03-02 08:00Z', 'chat', 'message', 'in', 't6'), did('gus', '2015-03-02 08:10Z', 'chat', 'resolved', 'out', 't6'),
        did('gus', '2015-03-02 08:20Z', 'chat', 'reopened', 'out', 't6');
-- Hal: t7 and t8 overlap: after t7 is resolved he writes in t8, so t7 was not resolved at first contact, but t8 was. Chat to mail after 5 min.
-- Messages 5 and 35 min apart, the last not a new one: one contact.
PERFORM did('hal', '2015-03-02 08:00Z', 'chat', 'message', 'in', 't7'), did('hal', '2015-03-02 08:05Z', 'email', 'message', 'in', 't8'),
        did('hal', '2015-03-02 08:30Z', 'chat', 'resolved', 'out', 't7'), did('hal', '2015-03-02 08:40Z', 'email', 'message', 'in', 't8'),
        did('hal', '2015-03-02 09:00Z', 'email', 'resolved', 'out', 't8');
-- Ivo: two channels, 8 days apart; Jo: web to store after 2 h
PERFORM did('ivo', '2015-03-02 10:00Z', 'web', 'view'), did('ivo', '2015-03-10 10:00Z', 'store', 'purchase', value => 5, currency => 'USD');
PERFORM did('jo', '2015-03-02 08:00Z', 'web', 'view'), did('jo', '2015-03-02 10:00Z', 'store', 'view');
-- Kim: t9 goes on on the 4th, which is no contact. It is resolved then, and reopened exactly a day after her last message: a repeat contact.
-- Chat: three sessions, and two visits, since the message of the 5th is just within a day.
PERFORM did('kim', '2015-03-02 09:00Z', 'chat', 'message', 'in', 't9'), did('kim', '2015-03-02 09:10Z', 'chat', 'message', 'out', 't9'),
        did('kim', '2015-03-04 09:00Z', 'chat', 'message', 'in', 't9'), did('kim', '2015-03-04 09:20Z', 'chat', 'resolved', 'out', 't9'),
        did('kim', '2015-03-05 09:00Z', 'chat', 'message', 'in', 't9');
-- Lea: a thread without an end. The message of the 9th, exactly 7 days after, goes on; that of the 17th, 8 days later, is a contact again.
-- A call on the 16th, 6 days 23 h after the 9th: a repeat contact, and so is the 17th, 25 h after the call. No hand-off is that close.
PERFORM did('lea', '2015-03-02 10:00Z', 'whatsapp', 'message', 'in', 'x'), did('lea', '2015-03-09 10:00Z', 'whatsapp', 'message', 'in', 'x'),
        did('lea', '2015-03-16 09:00Z', 'phone', 'call', 'in'), did('lea', '2015-03-17 10:00Z', 'whatsapp', 'message', 'in', 'x');
-- Mel: that something was delivered is nothing she did: no hand-off, no visit, one channel of her own
PERFORM did('mel', '2015-03-02 10:00Z', 'web', 'view'), did('mel', '2015-03-02 10:05Z', 'whatsapp', 'delivered'),
        did('mel', '2015-03-02 10:10Z', 'web', 'view');
END $$;

--           touchpoints               share  customers  in out sessions             visits               left          containment
-- chat      6 Dan 3 Gus 2 Hal 5 Kim   16/48  4          7  9   2 Dan, Gus, Hal, 3   2 Dan, Gus, Hal, 2   Dan, Hal      1 - 2/6
-- email     1 Ana 1 Cid 1 Eva 3 Hal   6/48   4          3  3   4                    Ana, Hal             -             1
-- phone     2 Ana 2 Fay 1 Lea         5/48   3          3  2   3                    3                    -             1
-- sms       1 Eva                     1/48   1          -  1   1                    -                    -             nothing to divide by
-- store     1 Cid 1 Ivo 1 Jo          3/48   3          -  -   3                    3                    -             1
-- web       2 Ana 2 Cid Ivo Jo 2 Mel  8/48   5          -  -   1 + 2 + 1 + 1 + 1    1 + 2 + 1 + 1 + 1    Ana, Cid, Jo  1 - 3/6
-- whatsapp  3 Ana 1 Dan 3 Lea 1 Mel   8/48   4          5  2   1 + 1 + 3 + 1        1 + 1 + 3            -             1
-- 店        1 Bea                     1/48   1          -  -   1                    1                    -             1
SELECT channel, kind, touchpoints AS n, share, customers AS cust, inbound AS "in", outbound AS out, sessions AS sess, visits, visits_left AS left, containment,
       value, currency AS cur, value_by_currency FROM crm.channel_mix ORDER BY channel COLLATE "C";
-- web to store: 10:30 and 2:00 h, median 6:15, two of three hand-offs from web
SELECT * FROM crm.channel_transitions ORDER BY from_channel COLLATE "C", to_channel COLLATE "C";
SELECT * FROM crm.unknown_channels;
-- customers: all but Eva: 12. In several channels: Ana, Cid, Dan, Hal, Ivo, Jo, Lea. With a hand-off: all of these but Ivo and Lea.
-- Between digital and other channels: Ana, Cid, Hal, Jo; not Dan, who stayed with people. Resolved: t1, t2, t3, t4, t6, t7, t8, t9;
-- at first contact t3, t4, t8. Contacts: 3 Ana, 2 Dan, Fay, Gus, Hal, 2 Kim, 3 Lea: 13, of 7 customers; repeats: Ana, Kim, 2 Lea.
\x on
SELECT * FROM crm.omnichannel;
\x off
-- the three ways of counting hand-offs agree
SELECT (SELECT count(*) FROM crm.handoffs) AS handoffs, (SELECT sum(handoffs) FROM crm.channel_transitions) AS transitions,
       (SELECT sum(handoffs) FROM crm.customer_360) AS cards, (SELECT sum(visits_left) FROM crm.channel_mix) AS mix, handoffs AS omnichannel FROM crm.omnichannel;

-- By week, until April, so without Fay. In the week of the 9th there are Lea's message, Ivo's purchase and Ana's mail, in that of the 16th
-- Lea's call and message, and Dan's chat; all else is in that of the 2nd. Touchpoints, sessions, visits and values add up to those above;
-- customers don't: Lea is one of WhatsApp in each week, Dan one of chat in two.
SELECT period_start, channel, touchpoints AS n, share, customers AS cust, inbound AS "in", outbound AS out, sessions AS sess, visits, visits_left AS left, containment,
       value, currency AS cur, value_by_currency
FROM crm.channel_mix('week', until => '2015-04-01Z') ORDER BY period_start, channel COLLATE "C";
-- all hand-offs are in the first week
SELECT * FROM crm.channel_transitions('week', until => '2015-04-01Z') ORDER BY period_start, from_channel COLLATE "C", to_channel COLLATE "C";
-- 11 customers of 12, without Fay. Ivo has two channels, but not in one week; Lea has two in the third. Resolved are t4 in the third, the others in
-- the first, of those t3 and t8 at first contact. Contacts: 2 Ana, Dan, Gus, Hal, 2 Kim, Lea (repeats: Ana, Kim, so 2 of 6 customers); Ana;
-- Dan, 2 Lea (repeats: 2 Lea).
SELECT period_start, customers AS cust, multichannel AS multi, cross_channel AS x, omnichannel AS omni, omnichannel_share AS share, handoffs, resolved, resolved_at_first_contact AS once,
       contacts, repeat_contacts AS repeats, repeat_contact_share AS r_share, repeat_contacts_per_customer AS per_customer
FROM crm.omnichannel('week', until => '2015-04-01Z') ORDER BY period_start;

-- By month; and a range that ends before Ana's call. Of her two views only the second is in it, and goes on with a visit and a session; that
-- the visit of the first was left is known.
SELECT period_start, customers, contacts, resolved FROM crm.omnichannel_monthly WHERE period_start < '2016-01-01';
SELECT sum(touchpoints) AS touchpoints, sum(visits) AS visits FROM crm.channel_mix_monthly WHERE period_start = '2015-03-01';
SELECT period_start, from_channel, to_channel, handoffs, median_time FROM crm.channel_transitions_monthly ORDER BY from_channel COLLATE "C", to_channel COLLATE "C";
SELECT channel, touchpoints, sessions, visits, visits_left FROM crm.channel_mix(NULL, '2015-03-02 10:00Z', '2015-03-02 10:20Z') ORDER BY channel COLLATE "C";
SELECT channel, touchpoints, sessions, visits, visits_left FROM crm.channel_mix('all', '2015-03-02 10:10Z', '2015-03-02 10:20Z') ORDER BY channel COLLATE "C";
-- In Honolulu it was still Sunday, the 1st, at 9:59:59; Jo's store was at midnight
UPDATE crm.settings SET time_zone = 'Pacific/Honolulu';
SELECT period_start, customers, handoffs, contacts, resolved FROM crm.omnichannel('day', until => '2015-03-03 10:00Z') ORDER BY period_start;
SELECT period_start, channel, visits, visits_left FROM crm.channel_mix('week', until => '2015-03-09Z') WHERE period_start < '2015-03-01' ORDER BY channel COLLATE "C";
UPDATE crm.settings SET time_zone = DEFAULT;

-- What is not asked for is not read: contacts, resolutions and values are counted from touchpoints, the rest is not
CREATE FUNCTION reads_touchpoints(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
    read boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        read := read OR line ~ ' on (crm\.)?touchpoints';
    END LOOP;
    RETURN read;
END $$;
SELECT query, reads_touchpoints(query) FROM unnest(ARRAY[
    'SELECT customers, multichannel_share, cross_channel, omnichannel_share, handoffs FROM crm.omnichannel',
    'SELECT period_start, customers, handoffs FROM crm.omnichannel_monthly',
    'SELECT customers FROM crm.omnichannel(''week'', ''2015-01-01Z'', ''2016-01-01Z'') WHERE period_start > ''2015-02-01'' ORDER BY 1',
    'SELECT contacts FROM crm.omnichannel',
    'SELECT resolved FROM crm.omnichannel_monthly',
    'SELECT channel, kind, touchpoints, share, customers, sessions, visits, containment FROM crm.channel_mix',
    'SELECT sum(visits) FROM crm.channel_mix_monthly WHERE channel = ''web''',
    'SELECT channel, value_by_currency FROM crm.channel_mix_monthly',
    'SELECT * FROM crm.channel_transitions_monthly']) query;
SET plan_cache_mode = force_generic_plan;
SELECT reads_touchpoints('EXECUTE transitions(''day'', NULL)'), reads_touchpoints('EXECUTE contacts(''day'')');
RESET plan_cache_mode;
DEALLOCATE ALL;

-- Among customers: everybody is all, nobody is nothing; two halves count what all do
CREATE FUNCTION told(query text, customers bigint[], OUT told jsonb) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT jsonb_agg(q ORDER BY q::text) FROM (%s) q', query) INTO told USING customers;
END $$;
CREATE TABLE part AS
SELECT array_agg(customer_id) AS everybody, array_agg(customer_id) FILTER (WHERE customer_id % 2 = 0) AS even, array_agg(customer_id) FILTER (WHERE customer_id % 2 = 1) AS odd
FROM crm.current_journeys;
SELECT query, told(query, everybody) = told(query, NULL) AS everybody, jsonb_array_length(told(query, '{}')) AS of_nobody
FROM part, unnest(ARRAY['SELECT * FROM crm.channel_mix(''week'', among => $1)', 'SELECT * FROM crm.channel_mix(NULL, ''2015-03-02 10:10Z'', ''2015-03-09Z'', $1)', 'SELECT * FROM crm.channel_transitions(''week'', among => $1)',
    'SELECT * FROM crm.omnichannel(''week'', among => $1)', 'SELECT * FROM crm.omnichannel(among => $1)', 'SELECT * FROM crm.funnel(''web.% -> %.%'', ''week'', among => $1)',
    'SELECT * FROM crm.service_levels(''week'', among => $1)', 'SELECT * FROM crm.service_levels(breakdown => ''channel'', among => $1)']) query;
SELECT customers, handoffs, contacts, resolved FROM crm.omnichannel(among => '{}');
SELECT w.who, (SELECT sum(touchpoints) FROM crm.channel_mix(among => w.customers)) AS touchpoints, (SELECT sum(visits) FROM crm.channel_mix(among => w.customers)) AS visits,
       (SELECT sum(v.value::numeric) FROM crm.channel_mix(among => w.customers), jsonb_each_text(value_by_currency) v) AS value, (SELECT sum(handoffs) FROM crm.channel_transitions(among => w.customers)) AS handoffs,
       o.customers, o.cross_channel, o.contacts, o.repeat_contacts, o.resolved, (SELECT sum(f.customers) FROM crm.funnel('%.% -> %.%', among => w.customers) f) AS reached,
       (SELECT conversations + 1000 * replies FROM crm.service_levels(among => w.customers)) AS served
FROM part CROSS JOIN LATERAL (VALUES ('all', NULL), ('even', even), ('odd', odd)) w(who, customers) CROSS JOIN LATERAL crm.omnichannel(among => w.customers) o;
DROP TABLE part;
DROP FUNCTION told;

-- Once 店 is known as a place, it is listed no more. Bea is Cid, it turns out: 12:00 is between his web at 9:30 and his store at 20:00,
-- so web to store becomes web to 店 (2:30 h) and 店 to store (8 h): one more hand-off, one customer less.
INSERT INTO crm.channels VALUES ('店', '店', 'physical', 'owned', 'assisted');
SELECT * FROM crm.unknown_channels;
SELECT crm.link('id:bea', 'id:cid', '2015-03-03Z', 'test', 'same') > 0 AS linked;
SELECT * FROM crm.channel_transitions WHERE '店' IN (from_channel, to_channel) OR to_channel = 'store' ORDER BY from_channel COLLATE "C", to_channel COLLATE "C";
SELECT customers, multichannel, cross_channel, omnichannel, handoffs FROM crm.omnichannel;
SELECT crm.retract('test', 'same');
SELECT customers, multichannel, cross_channel, omnichannel, handoffs FROM crm.omnichannel;

-- With a hand-off within 5 minutes only, Dan's and Hal's are left. With repeat contacts within 18 days, Dan's is one, Ana's of the 12th too, Lea's of the 17th
-- only goes on: 5;
-- t3 was not resolved at first contact any more (17 days 23:55), and t5's time is not over yet.
UPDATE crm.settings SET handoff_within = '5 minutes', repeat_within = '18 days';
SELECT cross_channel, omnichannel, handoffs, resolved, resolved_at_first_contact, repeat_contacts FROM crm.omnichannel;

SELECT journey_drop_hub('crm', true);
DROP FUNCTION did, reads_touchpoints;
