-- Conversations and business hours; every expected figure is worked out in the
-- comments.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
SELECT journey_create_hub('crm');
UPDATE crm.settings SET time_zone = 'Europe/Lisbon';
SELECT * FROM crm.conversations;
SELECT * FROM crm.replies;

-- business time. Without hours it is the time itself.
SELECT crm.business_time('2015-03-27 17:30Z', '2015-03-30 08:15Z') AS wall, crm.business_time('2015-03-30 08:15Z', '2015-03-27 17:30Z') AS backwards,
       crm.business_time(NULL, now()) IS NULL AND crm.business_time(now(), NULL) IS NULL AS unknown;
-- Monday to Friday, 9 to 13 and 14 to 18. Lisbon is at UTC until 2015-03-29 01:00Z, then an hour ahead of it.
INSERT INTO crm.business_hours SELECT d, t, t + interval '4 hours' FROM generate_series(1, 5) d, unnest('{09:00,14:00}'::time[]) t;
SELECT n, crm.business_time(since, upto), expected FROM (VALUES
    (1, timestamptz '2015-03-27 17:30Z', timestamptz '2015-03-30 08:15Z', interval '45 min'),  -- Friday to 18:00, Monday 9:00 to 9:15
    (2, '2015-03-27 09:00Z', '2015-03-30 17:00Z', '16:00'),  -- two days of 8 hours, Saturday and the short Sunday between
    (3, '2015-03-30 08:00Z', '2015-03-30 17:00Z', '8:00'),   -- one day, with its break
    (4, '2015-03-30 11:30Z', '2015-03-30 13:30Z', '1:00'),   -- 12:30 to 14:30: half an hour before the break, and after
    (5, '2015-03-30 12:10Z', '2015-03-30 12:50Z', '0'),      -- all in the break
    (6, '2015-03-28 00:00Z', '2015-03-29 22:00Z', '0'),      -- a weekend
    (7, '2015-03-30 08:15Z', '2015-03-27 17:30Z', '-45 min'),
    (8, '2015-03-30 09:00Z', '2015-03-30 09:00Z', '0'),
    (9, '2015-01-01 00:00Z', '2016-01-01 00:00Z', '2088:00') -- 2015 has 261 days from Monday to Friday
) v(n, since, upto, expected) ORDER BY n;
-- spans of centuries: weeks are counted, not days; 40 years are the same as their halves
SELECT crm.business_time('0001-01-01Z', '9999-12-31Z') > '1000000 hours' AS long,
       crm.business_time('1980-01-07 08:00Z', '2020-01-06 08:00Z') = crm.business_time('1980-01-07 08:00Z', '1999-06-01 21:15Z') + crm.business_time('1999-06-01 21:15Z', '2010-01-01Z')
       + crm.business_time('2010-01-01Z', '2020-01-06 08:00Z') AS same;
-- round the clock on Sundays: 23 hours when summer time begins, 25 when it ends
TRUNCATE crm.business_hours;
INSERT INTO crm.business_hours VALUES (7, '00:00', '24:00');
SELECT crm.business_time('2015-03-28Z', '2015-03-31Z') AS short, crm.business_time('2015-10-24Z', '2015-10-27Z') AS long,
       crm.business_time('2015-03-21Z', '2015-03-24Z') AS plain;
-- 00:30 to 03:00 has an hour and a half, then three and a half.
-- 01:30 to 03:00: there is no 01:30 in March, and it is read as 02:30; in October the second one is meant
UPDATE crm.business_hours SET opens = '00:30', closes = '03:00';
SELECT crm.business_time('2015-03-28Z', '2015-03-31Z') AS short, crm.business_time('2015-10-24Z', '2015-10-27Z') AS long;
UPDATE crm.business_hours SET opens = '01:30', closes = '03:00';
SELECT crm.business_time('2015-03-28Z', '2015-03-31Z') AS short, crm.business_time('2015-10-24Z', '2015-10-27Z') AS long;
-- hours that overlap count once: Monday 9 to 18, given as 9-13, 10-11, 12-18
TRUNCATE crm.business_hours;
INSERT INTO crm.business_hours VALUES (1, '09:00', '13:00'), (1, '10:00', '11:00'), (1, '12:00', '18:00');
SELECT crm.business_time('2015-03-02Z', '2015-03-03Z');
-- the day is that of the zone: Monday 9:00 to 18:00 in Auckland begins on Sunday, 20:00Z
UPDATE crm.settings SET time_zone = 'Pacific/Auckland';
SELECT crm.business_time('2015-03-01 19:00Z', '2015-03-01 21:00Z') AS first_hour, crm.business_time('2015-03-01 00:00Z', '2015-03-03 00:00Z') AS all;
UPDATE crm.settings SET time_zone = 'Europe/Lisbon';
\set VERBOSITY terse
SELECT crm.business_time('-infinity', '2015-01-01Z');
SELECT crm.business_time('2015-01-01Z', 'infinity');
\set VERBOSITY default
TRUNCATE crm.business_hours;
INSERT INTO crm.business_hours SELECT d, '09:00', '18:00' FROM generate_series(1, 5) d;

CREATE FUNCTION refused(query text, OUT state text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    state := 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END $$;
CREATE FUNCTION said(who text, conversation text, at timestamptz, direction text, agent text DEFAULT NULL, action text DEFAULT 'message',
                     channel text DEFAULT 'whatsapp', source text DEFAULT 'desk') RETURNS void LANGUAGE sql AS $$
    SELECT crm.record(ARRAY[identifier('id', who)], at, channel, action, direction => direction, conversation => conversation, agent => agent, source => source);
$$;
CREATE VIEW short AS
SELECT conversation AS c, status, messages_in AS "in", messages_out AS out, agents, handled_by AS by, first_response_time AS response,
       first_response_business_time AS in_hours, waiting_time AS waited, waiting_since AS waits_since, resolved_at, resolution_time AS resolution,
       resolution_business_time AS in_hours_, reopenings AS re, is_abandoned AS ab
FROM crm.conversations ORDER BY customer_id, conversation, source;

DO $$ BEGIN
-- a: asks 9:00, the bot at once, Marta 9:10, asks 9:20, Marta 9:50, resolved 10:00, by her.
--    response 10 min, not the bot's 5 s; waited 10 + 30 min; resolution 1 h. in 2, out 3.
PERFORM said('ana', 'a', '2015-03-02 09:00Z', 'in'), said('ana', 'a', '2015-03-02 09:00:05Z', 'out', 'bot:faq'),
        said('ana', 'a', '2015-03-02 09:10Z', 'out', 'marta'), said('ana', 'a', '2015-03-02 09:20Z', 'in'),
        said('ana', 'a', '2015-03-02 09:50Z', 'out', 'marta'), said('ana', 'a', '2015-03-02 10:00Z', 'out', 'marta', 'resolved');
-- b: over the weekend in which summer time begins. Asks Friday 17:30, Marta Monday 9:15 (8:15Z): 2 days 14:45 later,
--    45 min of them business. Resolved 8:30Z; the customer writes 8:40Z: reopened; answer 8:45Z; resolved 8:50Z; reopened by an
--    action 9:00Z; resolved 9:10Z, closed 9:20Z, which adds nothing. Waited 2 days 14:45 + 5 min. Reopened twice.
--    Resolution 2 days 15:40, of them half an hour on Friday, 9:00 to 10:10 on Monday: 1:40.
PERFORM said('bo', 'b', '2015-03-27 17:30Z', 'in'), said('bo', 'b', '2015-03-30 08:15Z', 'out', 'marta'), said('bo', 'b', '2015-03-30 08:30Z', NULL, NULL, 'resolved'),
        said('bo', 'b', '2015-03-30 08:40Z', 'in'), said('bo', 'b', '2015-03-30 08:45Z', 'out', 'rui'), said('bo', 'b', '2015-03-30 08:50Z', NULL, NULL, 'resolved'),
        said('bo', 'b', '2015-03-30 09:00Z', NULL, 'marta', 'reopened'), said('bo', 'b', '2015-03-30 09:10Z', NULL, 'marta', 'resolved'),
        said('bo', 'b', '2015-03-30 09:20Z', NULL, NULL, 'closed');
-- c: Marta writes first, unasked, 8:00; asks 12:00, and again 12:30; nobody answers: waited 30 min up to there, waits since 12:00; abandoned.
PERFORM said('cid', 'c', '2015-03-02 08:00Z', 'out', 'marta'), said('cid', 'c', '2015-03-02 12:00Z', 'in'), said('cid', 'c', '2015-03-02 12:30Z', 'in');
-- d: inbound only, closed unanswered: abandoned; waited, and was resolved, in an hour
PERFORM said('dan', 'd', '2015-03-02 10:00Z', 'in'), said('dan', 'd', '2015-03-02 10:05Z', 'in'), said('dan', 'd', '2015-03-02 11:00Z', 'out', 'marta', 'closed');
-- e: a call, one touchpoint with who took it: the customer doesn't wait, and it is not abandoned; what it took can't be known
PERFORM said('eva', 'e', '2015-03-02 10:00Z', 'in', 'marta', 'call', 'phone');
-- f: all at one time: in the order they came, answer and resolution took no time
PERFORM said('fil', 'f', '2015-03-02 10:00Z', 'in'), said('fil', 'f', '2015-03-02 10:00Z', 'out', 'marta'), said('fil', 'f', '2015-03-02 10:00Z', NULL, NULL, 'resolved');
-- g: the same, but the company's message came in first: that was no answer
PERFORM said('gil', 'g', '2015-03-02 10:00Z', 'out', 'marta'), said('gil', 'g', '2015-03-02 10:00Z', 'in');
-- h: the bot alone, 1 s later, resolved 10:10: no human response, not abandoned; waited 10 min
PERFORM said('hal', 'h', '2015-03-02 10:00Z', 'in'), said('hal', 'h', '2015-03-02 10:00:01Z', 'out', 'bot'), said('hal', 'h', '2015-03-02 10:10Z', 'out', 'bot', 'resolved');
-- i: outbound only: no status, nothing asked; j: only touchpoints of neither direction: open, nothing asked
PERFORM said('ivo', 'i', '2015-03-02 10:00Z', 'out', NULL), said('jan', 'j', '2015-03-02 10:00Z', NULL, NULL, 'form');
-- k and l overlap: each has its own figures. k asks 10:00, 10:10 answered; l asks 10:05, 10:35 answered
PERFORM said('kai', 'k', '2015-03-02 10:00Z', 'in'), said('kai', 'l', '2015-03-02 10:05Z', 'in'), said('kai', 'k', '2015-03-02 10:10Z', 'out', 'rui'),
        said('kai', 'l', '2015-03-02 10:35Z', 'out', 'rui', 'message', 'phone');
-- m in two systems is two conversations; receipts in them are no messages
PERFORM said('mia', 'm', '2015-03-02 10:00Z', 'in', source => 'chat'), said('mia', 'm', '2015-03-02 10:01Z', 'out', 'bot:x', 'delivered', source => 'chat'),
        said('mia', 'm', '2015-03-02 10:02Z', 'in', NULL, 'read', source => 'desk'), said('mia', 'm', '2015-03-02 10:03Z', 'out', 'robot', source => 'desk');
-- n: a single message, of an hour ago: open and waiting, but not abandoned yet
PERFORM said('nia', 'n', now() - interval '1 hour', 'in');
END $$;
SELECT * FROM short WHERE c IN ('a', 'b');
SELECT * FROM short WHERE c IN ('c', 'd', 'e', 'f', 'g', 'h', 'i', 'j');
SELECT * FROM short WHERE c IN ('k', 'l', 'm');
SELECT c, status, waited, waits_since IS NOT NULL AS waits, ab FROM short WHERE c = 'n';
SELECT conversation AS c, source, channel, channels, started_at, last_at, touchpoints, asked_at, answered_at FROM crm.conversations WHERE conversation IN ('a', 'c', 'm')
ORDER BY conversation, source;
-- n is abandoned once nothing has happened for repeat_within
UPDATE crm.settings SET repeat_within = '59 minutes';
SELECT c, ab FROM short WHERE c = 'n';
UPDATE crm.settings SET repeat_within = DEFAULT;

-- Open are c, e, g, j, k, l, m of the chat, and n. Reading is nothing that opens: m of the desk has no status. Each customer's:
SELECT customer_id, open_conversations FROM crm.customer_360 WHERE open_conversations > 0 ORDER BY customer_id;

-- What an action means is a row: a call is over when it is known how it ends
SELECT said('eva', 'e', '2015-03-02 10:07Z', NULL, 'marta', 'hung_up', 'phone');
SELECT c, status, resolution, re FROM short WHERE c = 'e';
INSERT INTO crm.actions VALUES ('hung_up', 'resolves');
SELECT c, status, resolution, re FROM short WHERE c = 'e';

-- p: Pia asks 10:00 as one, 10:20 as another identifier; the answer at 10:30 goes to the other. Apart, these are two conversations,
-- and the first of them was never answered; as one customer, it is one with a response time of 30 min; and apart again when undone.
SELECT said('pia', 'p', '2015-03-02 10:00Z', 'in'), said('pia2', 'p', '2015-03-02 10:20Z', 'in'), said('pia2', 'p', '2015-03-02 10:30Z', 'out', 'rui');
SELECT c, "in", out, response, waited, ab FROM short WHERE c = 'p';
SELECT crm.link('id:pia', 'id:pia2', '2015-03-03Z', 'test', 'p') = crm.customer_of('id:pia') AS joined;
SELECT c, "in", out, response, waited, ab FROM short WHERE c = 'p';
SELECT crm.retract('test', 'p');
SELECT c, "in", out, response, waited, ab FROM short WHERE c = 'p';

-- What asks and resolves at once: a call in one touchpoint, with its end.
DO $$ BEGIN
INSERT INTO crm.actions VALUES ('call_ended', 'asks_and_resolves');
-- q: taken by Marta: asked and resolved at 10:00; nobody waits, it took no time, it is answered
PERFORM said('quim', 'q', '2015-03-02 10:00Z', 'in', 'marta', 'call_ended', 'phone');
-- r: nobody took it: abandoned
PERFORM said('rita', 'r', '2015-03-02 10:00Z', 'in', NULL, 'call_ended', 'phone');
-- s: asks 9:00, calls 10:00: waited an hour up to the call; resolved; calls again 11:00: reopened, and resolved again, 2 hours after the first question
PERFORM said('sara', 's', '2015-03-02 09:00Z', 'in'), said('sara', 's', '2015-03-02 10:00Z', 'in', 'marta', 'call_ended', 'phone'),
        said('sara', 's', '2015-03-02 11:00Z', 'in', 'rui', 'call_ended', 'phone');
-- t: asks 9:00; Rui calls back 9:30, and that was that: answered, and resolved, in half an hour; he calls once more 9:40, unasked
PERFORM said('tito', 't', '2015-03-02 09:00Z', 'in'), said('tito', 't', '2015-03-02 09:30Z', 'out', 'rui', 'call_ended', 'phone'), said('tito', 't', '2015-03-02 09:40Z', 'out', 'rui', 'call_ended', 'phone');
-- u: the bot calls back: it answers for nobody human, but it resolves; v: a call of neither direction is the customer's own
PERFORM said('ugo', 'u', '2015-03-02 09:00Z', 'in'), said('ugo', 'u', '2015-03-02 09:30Z', 'out', 'bot:ivr', 'call_ended', 'phone');
PERFORM said('vera', 'v', '2015-03-02 09:00Z', NULL, 'marta', 'call_ended', 'phone');
-- w: at one time, in the order they came: the call, then a message, which reopens
PERFORM said('wim', 'w', '2015-03-02 09:00Z', 'in', 'marta', 'call_ended', 'phone'), said('wim', 'w', '2015-03-02 09:00Z', 'in');
END $$;
SELECT * FROM short WHERE c BETWEEN 'q' AND 'w' AND c NOT LIKE 'n%';
SELECT t.conversation AS c, t.touchpoint_id - min(t.touchpoint_id) OVER (PARTITION BY t.conversation) AS t, t.step, t.turn, t.own, l.own AS timeline_own
FROM crm.turns t JOIN crm.timeline l USING (touchpoint_id) WHERE t.conversation IN ('s', 't', 'u', 'v') ORDER BY c, t, step;
SELECT touchpoints, messages_in, messages_out FROM crm.conversations WHERE conversation = 's';
-- such a call is a contact, and resolved at first contact if the customer doesn't come back
SELECT journey_create_hub('calls');
INSERT INTO calls.actions VALUES ('call_ended', 'asks_and_resolves');
SELECT calls.record(ARRAY[identifier('id', who)], at, 'phone', 'call_ended', direction => 'in', conversation => c, agent => 'marta', source => 'desk')
FROM (VALUES ('a', '2015-03-02 10:00Z'::timestamptz, '1'), ('b', '2015-03-02 10:00Z', '2'), ('b', '2015-03-04 10:00Z', '3'), ('c', '2015-03-02 10:00Z', '4'), ('c', '2015-03-02 11:00Z', '4')) v(who, at, c);
SELECT customers, resolved, resolved_at_first_contact, contacts, repeat_contacts FROM calls.omnichannel;
SELECT journey_drop_hub('calls', true);

-- Replies: each is of who gave it. Business hours are 9 to 18, in Lisbon.
-- x: asks 9:00, the bot at once, Marta 9:10, more of her 9:12 ends no wait; asks 9:20, 9:25, transferred to Rui 9:50, who answers 10:00 (40 min, not Marta's);
--    resolved 10:05; asks 10:10, resolved again 10:20 unanswered; Rui writes 10:30, unasked.
SELECT said('xana', 'x', '2015-03-02 09:00Z', 'in'), said('xana', 'x', '2015-03-02 09:00:02Z', 'out', 'bot:faq'), said('xana', 'x', '2015-03-02 09:10Z', 'out', 'marta'), said('xana', 'x', '2015-03-02 09:12Z', 'out', 'marta'),
       said('xana', 'x', '2015-03-02 09:20Z', 'in'), said('xana', 'x', '2015-03-02 09:25Z', 'in'), said('xana', 'x', '2015-03-02 09:50Z', NULL, 'rui', 'assigned'), said('xana', 'x', '2015-03-02 10:00Z', 'out', 'rui'),
       said('xana', 'x', '2015-03-02 10:05Z', 'out', 'rui', 'resolved'), said('xana', 'x', '2015-03-02 10:10Z', 'in'), said('xana', 'x', '2015-03-02 10:20Z', 'out', 'rui', 'resolved'), said('xana', 'x', '2015-03-02 10:30Z', 'out', 'rui') \g /dev/null
SELECT agent, asked_at, replied_at, reply_time, reply_business_time FROM crm.replies WHERE conversation = 'x' ORDER BY replied_at;
SELECT conversation AS c, source, channel, agent, asked_at, replied_at, reply_time, reply_business_time FROM crm.replies WHERE conversation <> 'x' ORDER BY 1, 2, replied_at;
-- what was waited is what replies took, and what was resolved unanswered
SELECT conversation AS c, waiting_time, (SELECT sum(reply_time) FROM crm.replies r WHERE r.conversation = c.conversation) AS replied FROM crm.conversations c WHERE conversation IN ('a', 'b', 'x') ORDER BY c;
SELECT agent, count(*) AS replies, avg(reply_time) AS response FROM crm.replies WHERE conversation = 'x' GROUP BY agent ORDER BY agent;


-- Who answered first, who took over, and time with the bot apart from time with people; hours are those of Lisbon, in winter UTC.
CREATE VIEW served AS
SELECT conversation AS c, answered_by AS by, transfers AS tr, handovers AS ho, to_char(handed_over_at, 'HH24:MI:SS') AS handed_over, handover_response_time AS response,
       bot_time AS bot, people_time AS people, to_char(reopened_at, 'HH24:MI') AS reopened, reopening_response_time AS response_, to_char(first_resolved_at, 'HH24:MI') AS resolved
FROM crm.conversations ORDER BY customer_id, conversation, source;
-- a: the bot's word 9:00:05 is its last before Marta answers 9:10, so it handed over then, 5 s with it; with people from there on to the resolution
-- b: Marta, then Rui: one transfer; first reopened 8:40Z, by the customer, answered in 5 min. Marta is named in what reopens, which is no taking over.
-- h: the bot alone: with it from 10:00 to the resolution. u: likewise.
-- s: two calls taken, by two agents. The second one is a reopening, to which nobody has replied. Time to the call: the people's.
-- x: the reopening by the question of 10:10 was resolved unanswered; Rui took over
SELECT * FROM served WHERE c IN ('a', 'b', 'h', 'm', 's', 't', 'u', 'x') ORDER BY c;
DO $$ BEGIN
-- ba: asks 9:00, bot, asks 9:02, bot 9:02:10, asks 9:04 for a person, and 9:05 again; Marta 9:14: handed over 9:04, 10 min ago. Bot 4 min, people 10;
--     Marta again 9:20, up to which it is people's; the customer 9:30, up to that, too; the bot 9:31 and Rui 9:40: handed over again at 9:31, 9 min. Bot 4 + 1, people 10 + 6 + 10 + 9.
PERFORM said('bea', 'ba', '2015-03-02 09:00Z', 'in'), said('bea', 'ba', '2015-03-02 09:00:10Z', 'out', 'bot'), said('bea', 'ba', '2015-03-02 09:02Z', 'in'),
        said('bea', 'ba', '2015-03-02 09:02:10Z', 'out', 'bot'), said('bea', 'ba', '2015-03-02 09:04Z', 'in'), said('bea', 'ba', '2015-03-02 09:05Z', 'in'),
        said('bea', 'ba', '2015-03-02 09:14Z', 'out', 'marta'), said('bea', 'ba', '2015-03-02 09:20Z', 'out', 'marta'), said('bea', 'ba', '2015-03-02 09:30Z', 'in'),
        said('bea', 'ba', '2015-03-02 09:31Z', 'out', 'bot'), said('bea', 'ba', '2015-03-02 09:40Z', 'out', 'rui');
-- bb: told: the bot hands over 9:03, says 9:04 that it takes a while, hands over again, which is nothing; Marta 9:13: 10 min. Bot 3 min, people 10.
PERFORM said('bia', 'bb', '2015-03-02 09:00Z', 'in'), said('bia', 'bb', '2015-03-02 09:01Z', 'out', 'bot'), said('bia', 'bb', '2015-03-02 09:03Z', NULL, 'bot', 'handover'),
        said('bia', 'bb', '2015-03-02 09:04Z', 'out', 'bot'), said('bia', 'bb', '2015-03-02 09:05Z', NULL, 'bot', 'handover'), said('bia', 'bb', '2015-03-02 09:13Z', 'out', 'marta');
-- bc: handed over, and nobody came: no response; who waits shows since when. Bot 3 min, people none.
PERFORM said('bob', 'bc', '2015-03-02 09:00Z', 'in'), said('bob', 'bc', '2015-03-02 09:01Z', 'out', 'bot'), said('bob', 'bc', '2015-03-02 09:03Z', NULL, 'bot', 'handover'), said('bob', 'bc', '2015-03-02 09:30Z', 'in');
-- bd: the bot greets unasked, the customer asks 9:10, Marta answers 9:15, the bot asks for a rating 9:20, "5" 9:21, Marta thanks 9:22: never was it the bot's. People 5 + 6 + 1.
PERFORM said('bo2', 'bd', '2015-03-02 09:00Z', 'out', 'bot'), said('bo2', 'bd', '2015-03-02 09:10Z', 'in'), said('bo2', 'bd', '2015-03-02 09:15Z', 'out', 'marta'),
        said('bo2', 'bd', '2015-03-02 09:20Z', 'out', 'bot'), said('bo2', 'bd', '2015-03-02 09:21Z', 'in'), said('bo2', 'bd', '2015-03-02 09:22Z', 'out', 'marta');
-- be: a person hands over to another department: that is not from a bot, and no transfer until Rui speaks. Unnamed ones are nobody else.
PERFORM said('bel', 'be', '2015-03-02 09:00Z', 'in'), said('bel', 'be', '2015-03-02 09:05Z', 'out', 'marta'), said('bel', 'be', '2015-03-02 09:06Z', NULL, 'marta', 'handover'),
        said('bel', 'be', '2015-03-02 09:07Z', 'out'), said('bel', 'be', '2015-03-02 09:08Z', 'out', 'rui'), said('bel', 'be', '2015-03-02 09:09Z', 'out', 'rui'), said('bel', 'be', '2015-03-02 09:10Z', 'out', 'marta');
-- bf: Chatwoot opens what the bot had, 9:02: handed over, answered 9:12; resolved 9:20, opened 9:30: reopened, the question 9:40, Rui 9:44: 4 min
PERFORM said('bru', 'bf', '2015-03-02 09:00Z', 'in'), said('bru', 'bf', '2015-03-02 09:01Z', 'out', 'bot:x'), said('bru', 'bf', '2015-03-02 09:02Z', NULL, NULL, 'conversation_opened'),
        said('bru', 'bf', '2015-03-02 09:12Z', 'out', 'marta'), said('bru', 'bf', '2015-03-02 09:20Z', NULL, 'marta', 'resolved'), said('bru', 'bf', '2015-03-02 09:30Z', NULL, NULL, 'conversation_opened'),
        said('bru', 'bf', '2015-03-02 09:40Z', 'in'), said('bru', 'bf', '2015-03-02 09:44Z', 'out', 'rui');
-- bg: the bot's menu takes a call 9:00, Marta the same 9:03; she writes 9:10: 3 min with the bot, 7 with her; first response 10 min, as calls answer nothing
PERFORM said('bia2', 'bg', '2015-03-02 09:00Z', 'in', 'bot:ivr', 'call'), said('bia2', 'bg', '2015-03-02 09:03Z', 'in', 'marta', 'call'), said('bia2', 'bg', '2015-03-02 09:10Z', 'out', 'marta');
-- bh: two days, 23 hours each: hours of stretches make days here, though not in waiting_time
PERFORM said('bia3', 'bh', '2015-03-02 00:00Z', 'in'), said('bia3', 'bh', '2015-03-02 23:00Z', 'out', 'marta'), said('bia3', 'bh', '2015-03-03 00:00Z', 'in'), said('bia3', 'bh', '2015-03-03 23:00Z', 'out', 'marta');
END $$;
SELECT * FROM served WHERE c LIKE 'b_';
SELECT c, status, waits_since IS NOT NULL AS waits, waited FROM short WHERE c IN ('bc', 'bh') ORDER BY c;
SELECT conversation AS c, kind, agent, asked_at::time AS asked, replied_at::time AS replied, reply_time AS took, reopened_at::time AS reopened, handed_over_at::time AS handed, handover_reply_time AS after, local_hour AS h
FROM crm.replies WHERE conversation LIKE 'b_' OR conversation IN ('a', 'b', 'x') ORDER BY c, replied_at;

-- Seconds are the same in numbers, day and hour those of the hub's time zone
SELECT count(*) > 30 AS some, count(*) FILTER (WHERE (first_response_seconds, first_response_business_seconds, waiting_seconds, resolution_seconds, resolution_business_seconds, bot_seconds, people_seconds,
               reopening_response_seconds, reopening_response_business_seconds, handover_response_seconds, handover_response_business_seconds)
           IS DISTINCT FROM (extract(epoch FROM first_response_time), extract(epoch FROM first_response_business_time), extract(epoch FROM waiting_time), extract(epoch FROM resolution_time),
               extract(epoch FROM resolution_business_time), extract(epoch FROM bot_time), extract(epoch FROM people_time), extract(epoch FROM reopening_response_time),
               extract(epoch FROM reopening_response_business_time), extract(epoch FROM handover_response_time), extract(epoch FROM handover_response_business_time))
           OR (local_day, local_hour) IS DISTINCT FROM ((started_at AT TIME ZONE 'Europe/Lisbon')::date, extract(hour FROM started_at AT TIME ZONE 'Europe/Lisbon')::int)) AS wrong,
       max(first_response_seconds) AS longest
FROM crm.conversations;
SELECT said('tz', 'tz', '2015-06-30 23:30Z', 'in') \g /dev/null
SELECT local_day, local_hour FROM crm.conversations WHERE conversation = 'tz';

-- The same rows whichever way: all at once, customer by customer, from to, by name
CREATE VIEW differs AS
SELECT (SELECT count(*) FROM (TABLE crm.conversations EXCEPT ALL SELECT * FROM crm.conversations_between()) d) AS more,
       (SELECT count(*) FROM (SELECT * FROM crm.conversations_between() EXCEPT ALL TABLE crm.conversations) d) AS less,
       (SELECT count(*) FROM (TABLE crm.replies EXCEPT ALL SELECT * FROM crm.replies_between()) d) AS more_replies,
       (SELECT count(*) FROM (SELECT * FROM crm.replies_between() EXCEPT ALL TABLE crm.replies) d) AS less_replies,
       (SELECT count(*) FROM (TABLE crm.conversations EXCEPT ALL SELECT o.* FROM crm.customers c, crm.conversations_of(c.customer_id) o) d) AS of,
       (SELECT count(*) FROM (TABLE crm.replies EXCEPT ALL SELECT o.* FROM crm.customers c, crm.replies_of(c.customer_id) o) d) AS replies_of,
       (SELECT count(*) FROM (TABLE crm.conversations EXCEPT ALL SELECT n.* FROM (SELECT DISTINCT conversation FROM crm.touchpoints) t, crm.conversations_named(t.conversation) n) d) AS named;
SELECT * FROM differs;
-- from and to are of the start (c begins 8:00, before), and of the reply; what came later belongs to them
SELECT conversation, last_at FROM crm.conversations_between('2015-03-27Z', '2015-03-28Z');
SELECT string_agg(conversation, ' ' ORDER BY conversation) AS began FROM crm.conversations_between(until => '2015-03-02 09:00Z');
SELECT count(*) FROM crm.conversations_between('2015-03-27 17:30Z', '2015-03-27 17:30Z');
SELECT string_agg(conversation, ' ' ORDER BY conversation) AS began FROM crm.conversations_between('2015-03-27 17:30:00.000001Z') WHERE conversation <> 'n';
SELECT conversation, kind, replied_at FROM crm.replies_between('2015-03-30 08:15Z', '2015-03-30 08:45Z');
PREPARE began(timestamptz, timestamptz) AS SELECT string_agg(conversation, ' ' ORDER BY conversation) FROM crm.conversations_between($1, $2);
SET plan_cache_mode = force_generic_plan;
EXECUTE began('2015-03-27Z', '2015-03-28Z');
EXECUTE began(NULL, '2015-03-02 09:00Z');
SELECT refused.* FROM refused($$EXECUTE began('2015-03-28Z', '2015-03-27Z')$$);
EXECUTE began(NULL, NULL);
RESET plan_cache_mode;
DEALLOCATE began;
SELECT r.* FROM (VALUES ('conversations'), ('replies')) v(what), refused(format($$SELECT * FROM crm.%s_between('2015-03-28Z', '2015-03-27Z')$$, v.what)) r;

-- Who was left without an answer; who talked with somebody, or whose conversation was closed, does not wait
SELECT conversation, to_char(waiting_since, 'YYYY-MM-DD HH24:MI') AS since, handed_over_at IS NOT NULL AS handed_over FROM crm.waiting_now() WHERE conversation <> 'n' ORDER BY waiting_since, conversation;
SELECT conversation FROM crm.waiting_now(now() - interval '1 day');
SELECT string_agg(conversation, ' ' ORDER BY conversation) AS since_june FROM crm.waiting_now('2015-06-01Z') WHERE conversation <> 'n';
SELECT (SELECT count(*) FROM crm.waiting_now()) - (SELECT count(*) FROM crm.conversations WHERE waiting_since IS NOT NULL) AS difference;

-- Read by index, whatever asks: a hub of two months and 8,000 customers
SELECT journey_create_hub('big');
CREATE TABLE big.touchpoints_2025_01 PARTITION OF big.touchpoints FOR VALUES FROM ('2025-01-01Z') TO ('2025-02-01Z');
CREATE TABLE big.touchpoints_2025_02 PARTITION OF big.touchpoints FOR VALUES FROM ('2025-02-01Z') TO ('2025-03-01Z');
INSERT INTO big.identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
SELECT n, identifier('n', n::text), n, n, '2025-01-01Z', '2025-01-01Z', '2025-01-01Z' FROM generate_series(1, 8000) n;
INSERT INTO big.customers (customer_id, identities) SELECT n, 1 FROM generate_series(1, 8000) n;
ALTER TABLE big.touchpoints DISABLE TRIGGER USER;
INSERT INTO big.touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, direction, conversation)
SELECT n, 1 + n % 8000, '2025-01-01Z'::timestamptz + n * interval '70 seconds', 'chat', 'message', CASE n / 8000 % 2 WHEN 0 THEN 'in' ELSE 'out' END, 'c' || n % 8000 FROM generate_series(0, 63999) n;
ALTER TABLE big.touchpoints ENABLE TRIGGER USER;
VACUUM ANALYZE big.touchpoints, big.identities, big.customers;
CREATE TABLE members AS SELECT n * 800 AS customer_id, 'gold' AS segment FROM generate_series(1, 10) n;
VACUUM ANALYZE members;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
-- rows of the hub's large tables that a query reads, by scan; those of partitions that it doesn't look at are none
CREATE FUNCTION reads(query text) RETURNS TABLE (relation text, rows numeric) LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
    RETURN QUERY
    SELECT CASE WHEN n ->> 'Relation Name' LIKE 'touchpoints%' THEN 'touchpoints' ELSE n ->> 'Relation Name' END,
           round(sum(((n -> 'Actual Rows')::numeric + coalesce((n -> 'Rows Removed by Filter')::numeric, 0)) * (n -> 'Actual Loops')::numeric))
    FROM jsonb_path_query(plan, 'strict $.** ? (exists (@."Relation Name"))') n
    WHERE n ->> 'Relation Name' ~ '^(touchpoints|identities|customers)' GROUP BY 1 ORDER BY 1;
END $$;
CREATE TABLE shapes (n int, shape text, query text);
INSERT INTO shapes VALUES
    (1, 'one customer', $$SELECT * FROM big.%1$s WHERE customer_id = 77$$),
    (2, 'one of them', $$SELECT * FROM big.%1$s WHERE customer_id = big.customer_of('n:77')$$),
    (3, 'a list', $$SELECT * FROM big.%1$s WHERE customer_id IN (77, 78)$$),
    (4, 'a star', $$SELECT m.segment, count(*), avg(v.%3$s) FROM big.%1$s v JOIN members m ON m.customer_id = v.customer_id WHERE m.segment = 'gold' GROUP BY m.segment$$),
    (5, 'a star, outer', $$SELECT m.segment, v.conversation FROM members m LEFT JOIN big.%1$s v USING (customer_id)$$),
    (6, 'IN', $$SELECT * FROM big.%1$s WHERE customer_id IN (SELECT m.customer_id FROM members m)$$),
    (7, 'EXISTS, nested', $$SELECT "_"."customer_id" FROM (SELECT * FROM (SELECT * FROM "big"."%1$s") "r" WHERE "r"."%2$s" > '2020-01-01') "_" WHERE EXISTS (SELECT FROM members m WHERE m.customer_id = "_"."customer_id")$$),
    (8, 'LATERAL', $$SELECT v.* FROM members m, LATERAL big.%1$s_of(m.customer_id) v$$),
    (9, 'LIMIT', $$SELECT * FROM big.%1$s LIMIT 100$$);
SELECT s.n, s.shape, v.what, string_agg(r.relation || ' ' || r.rows, ', ' ORDER BY r.relation) AS reads
FROM shapes s, (VALUES ('conversations', 'started_at', 'first_response_seconds'), ('replies', 'replied_at', 'reply_seconds')) v(what, at, seconds), reads(format(s.query, v.what, v.at, v.seconds)) r
GROUP BY s.n, s.shape, v.what ORDER BY s.n, v.what;
PREPARE one(bigint) AS SELECT * FROM big.conversations WHERE customer_id = $1;
PREPARE many(text) AS SELECT v.* FROM members m JOIN big.conversations v USING (customer_id) WHERE m.segment = $1;
SET plan_cache_mode = force_generic_plan;
SELECT * FROM reads('EXECUTE one(77)');
SELECT * FROM reads($$EXECUTE many('gold')$$);
RESET plan_cache_mode;
DEALLOCATE ALL;
SELECT * FROM reads($$SELECT * FROM big.conversations_named('c77')$$) WHERE relation = 'touchpoints';
SELECT * FROM reads($$SELECT * FROM big.conversations_between() WHERE conversation = 'c77' AND source = 'sql'$$)
WHERE relation = 'touchpoints';
-- all at once: each touchpoint once
SELECT * FROM reads($$SELECT count(first_response_time) FROM big.conversations_between()$$);
SELECT count(*), sum(messages_in), count(first_response_time) FROM big.conversations_between();
RESET jit;
RESET max_parallel_workers_per_gather;
SELECT journey_drop_hub('big', true);
DROP FUNCTION reads;
DROP TABLE members, shapes;

SELECT journey_drop_hub('crm', true);
DROP FUNCTION said, refused;
