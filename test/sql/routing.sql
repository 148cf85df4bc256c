-- Routing: rules, duty, languages, skills, capacity, hours, consent; assignments; and what agents see.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT journey_create_hub('crm');
SET search_path = crm, public;
UPDATE settings SET future_within = NULL, past_within = NULL;
-- whoever may be written to, and why not: the rules of consent are not what is tested here
CREATE OR REPLACE FUNCTION may_contact(customer_id bigint, purpose text, channel text, at timestamptz DEFAULT now(), OUT allowed boolean, OUT reasons text[])
LANGUAGE plpgsql STABLE AS $$
BEGIN
    allowed := channel <> 'whatsapp' AND purpose <> 'none';
    reasons := CASE WHEN allowed THEN '{}' ELSE ARRAY['consent: none to ' || purpose || ' by ' || channel] END;
END $$;
INSERT INTO agents (agent, name, on_duty, languages, skills, capacity) VALUES
    ('ana', 'Ana', true, '{pt}', '{billing}', 2), ('rui', 'Rui', true, '{pt,en}', NULL, 1), ('eva', 'Eva', true, '{en-GB}', NULL, NULL),
    ('zoe', 'Zoe', false, NULL, '{billing,fraud}', NULL), ('ada', 'Ada', true, NULL, NULL, NULL);
UPDATE agents SET is_bot = true WHERE agent = 'ada';
INSERT INTO agent_aliases (source, alias, agent) VALUES ('desk', 'ana@example.pt', 'ana');
INSERT INTO business_calendars (calendar) VALUES ('days'), ('nights');
INSERT INTO business_hours (weekday, opens, closes, calendar) SELECT d, '09:00', '18:00', 'days' FROM generate_series(1, 5) d;
INSERT INTO business_hours (weekday, opens, closes, calendar) SELECT d, '18:00', '24:00', 'nights' FROM generate_series(1, 7) d;
INSERT INTO business_exceptions (day, calendar) VALUES ('2026-03-12', 'days');
INSERT INTO queues (queue, calendar, skills, next_queue) VALUES ('support', 'days', NULL, NULL), ('billing', 'days', '{billing}', 'support');
INSERT INTO queues (queue, calendar) VALUES ('night', 'nights'), ('empty', NULL);
UPDATE queues SET next_queue = 'night' WHERE queue = 'support';
INSERT INTO agent_queues (queue, agent) VALUES ('support', 'ana'), ('support', 'rui'), ('support', 'eva'), ('billing', 'ana'), ('billing', 'zoe'), ('billing', 'rui'), ('night', 'eva');
CREATE FUNCTION told(who text, action text, at timestamptz, channel text, direction text DEFAULT 'in', conversation text DEFAULT NULL, agent text DEFAULT NULL) RETURNS bigint
LANGUAGE sql AS $$ SELECT crm.record(ARRAY[('card:' || told.who)::identifier], told.at, told.channel, told.action, direction => told.direction,
                                     conversation => told.conversation, agent => told.agent, source => 'desk') $$;
CREATE FUNCTION who(card text) RETURNS bigint LANGUAGE sql AS $$ SELECT crm.customer_of(('card:' || who.card)::identifier) $$;
CREATE FUNCTION routed(card text, channel text DEFAULT NULL, at timestamptz DEFAULT '2026-03-11 10:00Z') RETURNS TABLE (goes_to text, reason text) LANGUAGE sql AS $$
    SELECT concat_ws(' · ', coalesce(r.queue, '-'), coalesce(r.agent, '-'), coalesce(r.channel, '-')), u.reason
    FROM crm.route(crm.who(routed.card), routed.channel, routed.at) r CROSS JOIN LATERAL unnest(r.reasons) u(reason) $$;

-- nobody is known, and nothing is said: then that is what it says
SELECT told('new', 'view', '2026-03-10Z', 'web', NULL) > 0 AS recorded;
SELECT * FROM routed('new');
SELECT * FROM routed('new', 'chat');
SELECT * FROM refused('SELECT crm.route(NULL)'), refused('SELECT crm.route(-1)') AS other(state, message, detail, hint);

-- who has served him last, by whatever name, goes before nobody; a bot has not; nor who left, or served him long ago
SELECT told('old', 'message', '2026-03-01 10:00Z', 'chat', 'in', 'c1') > 0, told('old', 'message', '2026-03-01 10:05Z', 'chat', 'out', 'c1', 'ana@example.pt') > 0,
       told('old', 'message', '2026-03-01 10:06Z', 'chat', 'out', 'c1', 'ada') > 0, told('old', 'resolved', '2026-03-01 10:10Z', 'chat', 'out', 'c1') > 0;
SELECT * FROM routed('old');
UPDATE agents SET on_duty = false WHERE agent = 'ana';
SELECT * FROM routed('old');
UPDATE agents SET on_duty = true WHERE agent = 'ana';
SELECT * FROM routed('old', at => '2026-09-01 10:00Z');

-- what is open goes before all else: its agent, whatever the channel now
SELECT told('old', 'message', '2026-03-11 09:00Z', 'email', 'in', 'c2') > 0, told('old', 'message', '2026-03-11 09:30Z', 'email', 'out', 'c2', 'Somebody') > 0;
SELECT * FROM routed('old');
SELECT told('old', 'message', '2026-03-11 09:40Z', 'email', 'out', 'c2', 'eva') > 0;
SELECT * FROM routed('old');
SELECT * FROM routed('old', 'phone');
UPDATE agents SET capacity = 0 WHERE agent = 'eva';
SELECT * FROM routed('old', 'phone');
UPDATE agents SET capacity = NULL WHERE agent = 'eva';
SELECT told('old', 'resolved', '2026-03-11 09:50Z', 'email', 'out', 'c2', 'eva') > 0;
SELECT * FROM routed('old', 'phone');

-- rules, by position; each that is tried says why not
SELECT create_segment('gold', '{"measure": "value", "min": 1000}') IS NOT NULL AS made;
INSERT INTO routing_rules (position, segment, channel, kind, language, waiting_longer, queue, agent, to_channel, skills, priority, purpose, note) VALUES
    (10, 'gold', NULL, NULL, NULL, NULL, 'billing', NULL, NULL, NULL, 9, 'service', 'good customers'),
    (15, 'silver', NULL, NULL, NULL, NULL, 'billing', NULL, NULL, NULL, 0, 'service', NULL),
    (20, NULL, 'phone', NULL, NULL, NULL, 'billing', NULL, NULL, NULL, 5, 'service', NULL),
    (30, NULL, NULL, 'physical', NULL, NULL, 'support', NULL, NULL, NULL, 0, 'service', NULL),
    (40, NULL, NULL, NULL, 'fr', NULL, 'support', NULL, NULL, NULL, 0, 'service', NULL),
    (50, NULL, NULL, NULL, NULL, '20 min', 'empty', NULL, NULL, NULL, 7, 'service', 'waits too long'),
    (60, NULL, 'app', NULL, NULL, NULL, NULL, NULL, 'whatsapp', NULL, 0, 'service', NULL),
    (65, NULL, 'app', NULL, NULL, NULL, 'support', NULL, 'whatsapp', NULL, 0, 'marketing', NULL),
    (70, NULL, 'kiosk', NULL, NULL, NULL, NULL, 'zoe', NULL, NULL, 0, 'service', NULL),
    (75, NULL, 'kiosk', NULL, NULL, NULL, NULL, 'eva', NULL, NULL, 0, 'service', NULL),
    (80, NULL, NULL, 'human', NULL, NULL, 'support', NULL, NULL, '{fraud}', 0, 'service', 'fraud'),
    (90, NULL, NULL, NULL, NULL, NULL, 'support', NULL, NULL, NULL, 1, 'service', 'all others');
SELECT set_traits('card:new', '{"language": "en"}', 'crm');
SELECT * FROM routed('new');
SELECT * FROM routed('new', 'store');
SELECT * FROM routed('new', 'drone');
SELECT * FROM routed('new', 'app');
SELECT * FROM routed('new', 'kiosk');
SELECT * FROM routed('new', 'chat');
-- the queue, then the next one; who knows him first, then who has fewest; language and skills
SELECT * FROM routed('old', 'phone');
SELECT set_traits('card:old', '{"locale": "pt_BR"}', 'crm'), set_traits('card:new', '{"language": "fr-CA"}', 'crm');
SELECT * FROM routed('old', 'phone');
SELECT * FROM routed('new');
-- closed: at night, on a holiday, on Sunday
SELECT at, r.* FROM unnest('{2026-03-11 17:59:59Z,2026-03-11 18:00Z,2026-03-12 10:00Z,2026-03-15 03:00Z}'::timestamptz[]) at, routed('old', 'web', at) r
WHERE r.reason !~ 'rule';
-- spent enough, and then asked and was not answered
SELECT record('{card:gold}', '2026-03-01Z', 'store', 'purchase', 2000, 'EUR') > 0, told('gold', 'message', '2026-03-11 09:30Z', 'chat', 'in', 'g1') > 0;
SELECT * FROM routed('gold', 'chat');
SELECT told('slow', 'message', '2026-03-11 09:30Z', 'web', 'in', 's1') > 0, told('fast', 'message', '2026-03-11 09:55Z', 'web', 'in', 'f1') > 0;
SELECT * FROM routed('slow');
SELECT * FROM routed('fast');

-- more than the last fifty touchpoints, where these don't tell
SELECT told('long', 'message', '2026-03-01Z', 'chat', 'in', 'l1') > 0, told('long', 'message', '2026-03-01 01:00Z', 'chat', 'out', 'l1', 'rui') > 0,
       count(told('long', 'view', '2026-03-02Z'::timestamptz + n * interval '1 min', 'web', NULL)) FROM generate_series(1, 120) n;
SELECT * FROM routed('long');
SELECT count(told('long', 'message', '2026-03-03Z'::timestamptz + n * interval '1 min', 'email', 'out', 'news ' || n, 'bot:news')) FROM generate_series(1, 60) n;
SELECT * FROM routed('long');
SELECT count(told('long', 'message', '2026-03-04Z'::timestamptz + n * interval '1 min', 'chat', 'out', 'l1', 'eva')) FROM generate_series(1, 60) n;
SELECT * FROM routed('long');

-- now, whenever that is, all queues are open, and what was said is too long ago
UPDATE queues SET calendar = NULL;
UPDATE settings SET last_agent_within = '0';
-- assigned: queue, agent, priority, reasons of the rule; once more it is the same
CREATE VIEW open AS SELECT a.assignment_id AS id, i.customer_id, a.source, a.conversation, a.channel, a.queue, a.agent, a.priority, a.reasons[cardinality(a.reasons)] AS reason
FROM assignments a JOIN identities i ON i.identity_id = a.identity_id WHERE a.released_at IS NULL;

SELECT assign(who('new'), channel => 'chat') AS id;
SELECT assign(who('new'), channel => 'chat') AS id, assign(who('new')) AS again;
SELECT assign(who('new'), channel => 'chat', source => 'desk', conversation => 'n1') AS conversation;
TABLE open;
-- what is told is done, if there is room: in place of what was open
SELECT assign(who('new'), 'support', 'rui', 'chat', 'desk', 'n1', 3) AS passed_on;
SELECT assign(who('new'), 'support', 'rui', 'chat', 'desk', 'n1', 4) AS again;
SELECT assign(who('new'), agent => 'ana', channel => 'web') AS without_a_queue, assign(who('new'), 'night', channel => 'app') AS waits;
SELECT * FROM refused($$SELECT crm.assign(crm.who('old'), 'support', 'rui')$$);
SELECT * FROM refused($$INSERT INTO crm.assignments (identity_id, channel, agent) SELECT crm.who('old'), 'x' || n, 'rui' FROM generate_series(1, 2) n$$);
SELECT * FROM refused($$INSERT INTO crm.assignments (identity_id, agent) SELECT i.identity_id, 'ana' FROM crm.identities i LIMIT 2$$);
TABLE open ORDER BY id;
-- rui has no room any more, but keeps whom he has
SELECT * FROM routed('new', 'chat', now());
-- released once
SELECT release(id, 'solved') AS released, release(id) AS again FROM open WHERE agent = 'rui';
SELECT * FROM refused('SELECT crm.release(-1)');
SELECT assignment_id, queue, agent, outcome, released_at >= assigned_at AS ended FROM assignments WHERE released_at IS NOT NULL ORDER BY assignment_id;
-- waits where nobody is free; is given an agent when there is one
UPDATE agents SET on_duty = false;
SELECT assign(who('fast'), channel => 'web') AS id;
SELECT queue, agent, reason FROM open WHERE customer_id = who('fast');
SELECT assign(who('fast'), channel => 'web') AS same;
UPDATE agents SET on_duty = true WHERE agent = 'rui';
SELECT * FROM routed('fast', 'web', now());
SELECT assign(who('fast'), channel => 'web') AS id;
SELECT queue, agent, reason FROM open WHERE customer_id = who('fast');
UPDATE agents SET on_duty = true;
-- nobody at all
DELETE FROM routing_rules;
SELECT * FROM refused($$SELECT crm.assign(crm.who('gold'), channel => 'store')$$);
-- numbers of before, and of identities, stand for the customer
SELECT record('{card:gold,card:fast}', '2026-03-11 10:00Z', 'store', 'visit') > 0 AS merged;
SELECT customer_id = who('gold') AS moved, queue, agent FROM open WHERE conversation IS NULL AND channel = 'web' AND agent = 'rui';
SELECT r.agent, r.reasons FROM unnest(ARRAY(SELECT identity_id FROM identities WHERE customer_id = who('gold'))) i, route(i, 'web') r;
SELECT count(DISTINCT assign(i, channel => 'web')) FROM unnest(ARRAY(SELECT identity_id FROM identities WHERE customer_id = who('gold'))) i;
-- forgotten are they only when they are released
UPDATE settings SET forget_unreferenced = true;
SELECT unrecord('desk', 'x'), record('{card:brief}', '2026-03-11Z', 'web', 'view', source => 'desk', source_key => 'b') > 0 AS recorded;
SELECT assign(who('brief'), 'empty') AS id \gset
SELECT unrecord('desk', 'b'), who('brief') IS NOT NULL AS still_there;
SELECT release(:id), forget_some(ARRAY[who('brief')]);
SELECT who('brief'), count(*) FROM assignments WHERE assignment_id = :id;
-- what is of a conversation is its owner's when the customer is parted
SELECT record('{card:left}', '2026-03-11Z', 'chat', 'message', source => 'desk', conversation => 'left') > 0 AND record('{card:right}', '2026-03-11Z', 'chat', 'message', source => 'desk', conversation => 'right') > 0 AS recorded;
SELECT identify('{card:left,card:right}', '2026-03-11Z', 'desk', 'one') IS NOT NULL AS one;
SELECT count(assign(who('left'), 'empty', source => 'desk', conversation => c)) FROM unnest('{left,right}'::text[]) c;
SELECT retract('desk', 'one');
SELECT a.conversation, i.identifier FROM assignments a JOIN identities i ON i.customer_id = current_customer(a.identity_id) WHERE a.conversation IN ('left', 'right') ORDER BY 1;
-- what refers to nothing
SELECT message, hint FROM (VALUES
    ($$INSERT INTO crm.assignments (identity_id, queue) VALUES (-1, 'empty')$$), ($$INSERT INTO crm.assignments (identity_id) VALUES (1)$$),
    ($$SELECT crm.assign(1, 'nowhere')$$), ($$SELECT crm.assign(1, agent => 'nobody')$$), ($$SELECT crm.assign(-1, 'empty')$$),
    ($$INSERT INTO crm.routing_rules (position, segment) VALUES (1, 'x')$$), ($$UPDATE crm.queues SET next_queue = queue$$),
    ($$DELETE FROM crm.queues WHERE queue = 'support'$$)) v(query), refused(v.query);
-- a circle of queues ends
UPDATE queues SET next_queue = 'billing' WHERE queue = 'night';
INSERT INTO routing_rules (position, queue) VALUES (1, 'billing');
UPDATE agents SET on_duty = false;
SELECT * FROM routed('slow', 'chat', now());
UPDATE agents SET on_duty = true;
-- duty is no other name: what is packed is not packed anew
SELECT bots_version FROM settings;
-- how long somebody is known does not hang on the clocks of who asks
SELECT record('{card:dst}', '2026-03-28 12:30Z', 'chat', 'message', direction => 'in', conversation => 'dst', source => 'desk') > 0 AS asked,
       record('{card:dst}', '2026-03-28 12:30Z', 'chat', 'resolved', direction => 'out', conversation => 'dst', source => 'desk', agent => 'ana') > 0 AS answered;
UPDATE settings SET last_agent_within = '1 day';
DELETE FROM routing_rules;
SELECT * FROM routed('dst', 'chat', '2026-03-29 12:00Z');
SET timezone = 'Europe/Lisbon';
SELECT * FROM routed('dst', 'chat', '2026-03-29 12:00Z');
SET timezone = 'UTC';
RESET search_path;
SELECT journey_drop_hub('crm', true);
DROP FUNCTION refused;
