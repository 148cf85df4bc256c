-- Service targets: which counts, until when it holds, who waits, breaches and backlog. test/t/245_targets_property.pl
-- has the rest against a second implementation.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
SELECT journey_create_hub('crm');
-- nothing is there
SELECT * FROM crm.waiting_now();
SELECT * FROM crm.service_clocks_between();
SELECT * FROM crm.breaches('month');
SELECT * FROM crm.backlog('2025-01-06 09:00Z', '2025-01-06 11:00Z');
SELECT count(*) FROM crm.backlog('2025-01-06 09:00Z', '2025-01-06 11:00Z', 'queue');
SELECT count(*) BETWEEN 24 AND 25 AS last_day FROM crm.backlog();

-- what is refused
INSERT INTO crm.service_targets (what, within) VALUES ('answer', '1 hour');
INSERT INTO crm.service_targets (what, within) VALUES ('reply', '0');
INSERT INTO crm.service_targets (what, within) VALUES ('reply', '1 month');
INSERT INTO crm.service_targets (what, within, queue) VALUES ('reply', '1 hour', 'vip');
INSERT INTO crm.service_targets (what, within) VALUES (NULL, '1 hour');
SELECT * FROM crm.breaches('fortnight');
SELECT * FROM crm.breaches('month', '2025-02-01', '2025-01-01');
SELECT * FROM crm.breaches(breakdown => 'team');
SELECT * FROM crm.backlog('2025-01-06', '2025-01-07', 'hours');
SELECT * FROM crm.backlog('2025-01-07', '2025-01-06');
SELECT * FROM crm.backlog('2025-01-07', 'infinity');
SELECT * FROM crm.backlog(NULL, '2025-01-06');
SELECT * FROM crm.service_clocks_between('2025-01-07', '2025-01-06');

-- the time by which so much business time has passed
UPDATE crm.settings SET time_zone = 'Europe/Lisbon';
INSERT INTO crm.business_hours SELECT d, '09:00', '18:00' FROM generate_series(1, 5) d;
INSERT INTO crm.business_exceptions VALUES ('2025-04-18', NULL, NULL), ('2025-04-21', '10:00', '13:00');
SELECT crm.business_time_after('2025-04-17 16:00Z', '2 hours') AS after_easter, crm.business_time_after('2025-04-17 16:00Z', '4 hours') AS later,
       crm.business_time_after('2025-04-22 08:30Z', '-1 hour') AS before, crm.business_time_after('2025-04-19 12:00Z', '0') AS nothing;
-- clocks are put forward in the night to Sunday, 30 March: an hour of work on Monday comes an hour earlier in UTC
SELECT crm.business_time_after('2025-03-28 17:00Z', '2 hours') AS monday, crm.business_time_after('2025-03-29 12:00Z', '1 day', 'default') AS a_day_of_hours;
SELECT crm.business_time_after('infinity', '2 hours') AS never, crm.business_time_after('-infinity', '2 hours') AS ever, crm.business_time_after('2025-03-28 17:00Z', '80000000 days') AS too_late,
       crm.business_time_after('4700-01-01Z BC', '-30000 days') AS too_early;
SELECT crm.business_time_after('2025-03-28 17:00Z', '1 month');
SELECT crm.business_time_after('2025-03-28 17:00Z', '200000000 days');
SELECT crm.business_time_after('2025-03-28 17:00Z', '1 hour', 'none');
SELECT business_time_after('2025-03-28 17:00Z', '2 days', '{}') AS always, business_time_after(NULL, '1 hour', '{}');

-- of those that fit the one with most conditions
INSERT INTO crm.queues (queue) VALUES ('shop'), ('vip');
INSERT INTO crm.service_targets (what, within, queue, priority, source, channel) VALUES
    ('reply', '10 hours', NULL, NULL, NULL, NULL), ('reply', '9 hours', NULL, NULL, NULL, 'chat'), ('reply', '8 hours', NULL, NULL, 'desk', NULL),
    ('reply', '7 hours', NULL, 1, NULL, NULL), ('reply', '6 hours', 'vip', NULL, NULL, NULL), ('reply', '5 hours', NULL, NULL, 'desk', 'chat'),
    ('reply', '4 hours', 'vip', NULL, NULL, 'chat'), ('reply', '3 hours', NULL, 1, 'desk', 'chat');
SELECT v.*, t.target_within
FROM (VALUES (NULL, NULL::integer, 'web', 'email'), (NULL, NULL, 'web', 'chat'), (NULL, NULL, 'desk', 'email'), (NULL, NULL, 'desk', 'chat'), ('shop', 1, 'desk', 'email'),
             ('vip', 1, 'web', 'email'), ('vip', 0, 'desk', 'chat'), ('vip', 1, 'desk', 'chat')) v(queue, priority, source, channel),
     crm.target_of('reply', v.queue, v.priority, v.source, v.channel) t;
SELECT * FROM crm.target_of('resolution', 'vip', 1, 'desk', 'chat');
INSERT INTO crm.service_targets (what, within, queue) VALUES ('reply', '1 hour', 'vip');
TRUNCATE crm.service_targets;

CREATE FUNCTION say(who text, at timestamptz, conversation text, direction text, agent text DEFAULT NULL, action text DEFAULT 'message',
                    channel text DEFAULT 'chat') RETURNS void LANGUAGE sql AS $$
    SELECT crm.record(ARRAY[identifier('id', who)], at, channel, action, direction => direction, conversation => conversation, agent => agent, source => 'desk');
$$;
CREATE FUNCTION send(who text, conversation text, queue text, agent text, at timestamptz, until timestamptz DEFAULT NULL, priority integer DEFAULT 0) RETURNS void LANGUAGE sql AS $$
    INSERT INTO crm.assignments (identity_id, source, conversation, queue, agent, assigned_at, released_at, priority)
    VALUES (crm.identity_of(identifier('id', who)), 'desk', conversation, queue, agent, at, until, priority);
$$;
INSERT INTO crm.agents (agent, name) VALUES ('marta', NULL), ('rui', 'Rui Faria');
INSERT INTO crm.service_targets (what, within, queue) VALUES ('first_response', '30 min', NULL), ('first_response', '10 min', 'vip'), ('reply', '2 hours', NULL), ('resolution', '1 day', NULL);
INSERT INTO crm.service_targets (what, within, in_business_hours) VALUES ('handover', '5 min', false);
DO $$ BEGIN
-- Ana, Monday: Marta answers after 20 min: too late for the queue vip, in which she was when that was; then she goes to the shop. The second
-- question is answered by Rui after 2 h sharp, in time. Resolved; and on Tuesday she is back, and waits.
PERFORM say('ana', '2025-01-06 10:00Z', 'a', 'in'), say('ana', '2025-01-06 10:20Z', 'a', 'out', 'marta'), say('ana', '2025-01-06 11:00Z', 'a', 'in'),
        say('ana', '2025-01-06 13:00Z', 'a', 'out', 'rui'), say('ana', '2025-01-06 13:05Z', 'a', 'out', 'rui', 'resolved'), say('ana', '2025-01-07 10:00Z', 'a', 'in');
PERFORM send('ana', 'a', 'vip', 'marta', '2025-01-06 10:05Z', '2025-01-06 10:30Z', 1), send('ana', 'a', 'shop', 'rui', '2025-01-06 10:40Z');
-- Bea, Friday evening: a bot, which hands over at 20:01; nobody is there until Monday, 9:20. Half an hour of business holds until 9:30.
PERFORM say('bea', '2025-01-10 20:00Z', 'b', 'in'), say('bea', '2025-01-10 20:00:30Z', 'b', 'out', 'bot'), say('bea', '2025-01-10 20:01Z', 'b', 'out', 'bot', 'handover'),
        say('bea', '2025-01-13 09:20Z', 'b', 'out', 'marta');
-- Cid, whose question is resolved after 40 min without a word: that ends the wait, too late
PERFORM say('cid', '2025-01-13 09:00Z', 'c', 'in'), say('cid', '2025-01-13 09:40Z', 'c', NULL, 'marta', 'resolved');
-- Dan calls, and is taken; and asks again, which nobody answers: he waits since then
PERFORM say('dan', '2025-01-14 09:00Z', 'd', 'in'), say('dan', '2025-01-14 09:02Z', 'd', 'in', 'rui', 'message', 'phone'), say('dan', '2025-01-14 09:30Z', 'd', 'in');
END $$;
SELECT conversation, what, queue, priority AS p, agent, began_at, ended_at, ended_by, CASE WHEN ended_at IS NOT NULL THEN elapsed_business END AS business, target_within, holds_until, breached
FROM crm.service_clocks_between() ORDER BY conversation, began_at, what;
SELECT period_start, what, clocks, held, breached, running, breached_share FROM crm.breaches('month') ORDER BY what;
SELECT breakdown_value, what, clocks, held, breached FROM crm.breaches(breakdown => 'queue') ORDER BY 1, 2;
SELECT breakdown_value, what, clocks, held, breached FROM crm.breaches(breakdown => 'agent') ORDER BY 1, 2;
SELECT breakdown_value, what, clocks, held, breached FROM crm.breaches(breakdown => 'priority') ORDER BY 1, 2;
SELECT what, clocks, late_median, late_p90_seconds FROM crm.breaches('day', '2025-01-13', '2025-01-14') ORDER BY what;
-- service_levels by queue: the newest one of the conversation; of a reply the one it was given in
SELECT breakdown_value, conversations, answered, first_response_median, resolved, replies FROM crm.service_levels(breakdown => 'queue') ORDER BY 1;
-- by the hour: Ana is open and waits at 10 and at 12, with Rui from 13 on
SELECT hour_start, open_conversations AS open, waiting FROM crm.backlog('2025-01-06 09:30Z', '2025-01-06 15:00Z');
SELECT hour_start, breakdown_value, open_conversations AS open, waiting FROM crm.backlog('2025-01-06 10:00Z', '2025-01-06 14:00Z', 'queue') ORDER BY 1, 2;
SELECT hour_start, breakdown_value, open_conversations AS open, waiting FROM crm.backlog('2025-01-06 10:00Z', '2025-01-06 14:00Z', 'agent') ORDER BY 1, 2;
-- full hours of where it is half past
UPDATE crm.settings SET time_zone = 'Asia/Kolkata';
SELECT hour_start, open_conversations AS open FROM crm.backlog('2025-01-06 10:00Z', '2025-01-06 12:00Z');
UPDATE crm.settings SET time_zone = 'Europe/Lisbon';

-- who waits, before a refresh and after
CREATE VIEW waiting AS
SELECT conversation, channel, queue, priority AS p, agent, waiting_since, target, target_within, holds_until, breached FROM crm.waiting_now();
SELECT * FROM waiting ORDER BY conversation;
SELECT crm.refresh() > 0 AS refreshed;
SELECT conversation, started_at, last_at FROM crm.noted_waits ORDER BY 1;
SELECT * FROM waiting ORDER BY conversation;
-- late: Dan was answered in time; Bea not before she had asked again, on Sunday
SELECT say('dan', '2025-01-14 11:30Z', 'd', 'out', 'rui'), say('bea', '2025-01-12 12:00Z', 'b', 'in'), say('bea', '2025-01-13 09:50Z', 'b', 'in');
SELECT * FROM waiting ORDER BY conversation;
SELECT conversation, what, agent, began_at, ended_at, holds_until, breached FROM crm.service_clocks_between('2025-01-10', '2025-01-15') WHERE conversation IN ('b', 'd') AND what IN ('reply', 'first_response') ORDER BY 1, 4;
SELECT crm.refresh() > 0 AS refreshed;
SELECT * FROM waiting ORDER BY conversation;
SELECT conversation FROM crm.waiting_now('2025-01-13 09:50Z');
-- an answer is taken back; two customers are one; an agent is named afterwards; a word means something else
DELETE FROM crm.touchpoints WHERE conversation = 'd' AND direction = 'out';
SELECT conversation FROM waiting ORDER BY 1;
SELECT crm.must_link('id:ana', 'id:dan') IS NOT NULL AS linked;
SELECT customer_id, conversation FROM crm.waiting_now() ORDER BY 2;
UPDATE crm.touchpoints SET agent = 'rui' WHERE conversation = 'd' AND direction = 'in';
SELECT conversation FROM waiting ORDER BY 1;
SELECT crm.refresh() > 0 AS refreshed;
SELECT conversation FROM waiting ORDER BY 1;
DELETE FROM crm.actions WHERE action = 'resolved';
SELECT conversation FROM waiting ORDER BY 1;
SELECT count(*) FROM crm.noted_waits;
SELECT crm.refresh() IS NOT NULL AS refreshed;
SELECT conversation FROM waiting ORDER BY 1;
INSERT INTO crm.actions VALUES ('resolved', 'resolves');
-- as long as nothing is noted, all are looked at
SELECT count(*) FROM crm.noted_waits;
SELECT conversation FROM waiting ORDER BY 1;
SELECT crm.refresh(true) IS NOT NULL AS anew;
SELECT conversation, started_at, last_at FROM crm.noted_waits ORDER BY 1;
SELECT conversation FROM waiting ORDER BY 1;

-- what waits now holds until two hours from when it was asked; beside the clock of the wall
UPDATE crm.service_targets SET in_business_hours = false;
SELECT say('eve', now() - interval '1 hour', 'e', 'in'), say('fay', now() - interval '1 day 1 hour', 'f', 'in');
UPDATE crm.service_targets SET within = '2 hours' WHERE what = 'first_response' AND queue IS NULL;
SELECT conversation, target, holds_until - waiting_since AS holds, breached, waits = now() - waiting_since AS waits, waits_seconds = extract(epoch FROM waits) AS seconds
FROM crm.waiting_now('2026-01-01') ORDER BY 1;
SELECT what, clocks, held, breached, running, breached_share FROM crm.breaches(since => '2026-01-01') ORDER BY what;

-- who may what
CREATE ROLE regress_targets_reader;
CREATE ROLE regress_targets_steward;
CREATE ROLE regress_targets_agent;
SELECT crm.grant_access('regress_targets_reader'), crm.grant_access('regress_targets_steward', 'steward');
GRANT SELECT ON waiting TO PUBLIC;
SET ROLE regress_targets_reader;
SELECT count(*), count(queue) FROM crm.waiting_now();
SELECT sum(clocks) FROM crm.breaches('month', breakdown => 'queue');
DELETE FROM crm.service_targets;
RESET ROLE;
SET ROLE regress_targets_steward;
UPDATE crm.service_targets SET within = '3 hours' WHERE what = 'reply';
INSERT INTO crm.actions VALUES ('done', 'resolves');
SELECT crm.refresh() IS NOT NULL AS refreshed;
RESET ROLE;
SELECT count(*) > 0 AS noted FROM crm.noted_waits;
-- an agent sees what waits in his queue
UPDATE crm.agents SET login = 'regress_targets_agent' WHERE agent = 'rui';
INSERT INTO crm.agent_queues (queue, agent) VALUES ('shop', 'rui');
SELECT crm.grant_access('regress_targets_agent', 'agent');
SET ROLE regress_targets_agent;
SELECT conversation, queue, target, holds_until FROM crm.waiting_now();
SELECT count(*) FROM crm.noted_waits WHERE conversation IS NOT NULL;
SELECT DISTINCT conversation FROM crm.service_clocks_between();
RESET ROLE;
SELECT crm.revoke_access(r) FROM unnest('{regress_targets_reader,regress_targets_steward,regress_targets_agent}'::name[]) r;
SELECT journey_drop_hub('crm', true);
DROP VIEW IF EXISTS waiting;
DROP FUNCTION say, send;
DROP ROLE regress_targets_reader, regress_targets_steward, regress_targets_agent;
