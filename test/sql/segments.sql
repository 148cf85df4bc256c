-- Segments: definitions and what is wrong with them, who is in them, live and kept, the log, the queue, and who may what.
\set VERBOSITY default
\set SHOW_CONTEXT never
-- what segments ask of journeys, without making others of them
SELECT journey_length(j, '[2026-01-02Z,2026-01-04Z)') AS two, journey_length(j, 'empty') AS none, journey_length('{}', '(,)') AS zero,
       journey_next_time(j, '2026-01-02 12:00Z') = '2026-01-03Z' AS next, journey_next_time(j, '-infinity') = '2026-01-01Z' AS first,
       journey_next_time(j, '2026-01-04Z') = '2026-01-04Z' AS last, journey_next_time(j, '2026-01-04 00:00:01Z') AS after, journey_next_time('{}', 'now') AS empty,
       journey_last_time(j, 'web.%') = '2026-01-03Z' AS web, journey_last_time(j, '%[value >= 5]') = '2026-01-02Z' AS worth, journey_last_time(j, 'sms.%') AS sms
FROM (SELECT '{web.view@2026-01-01T00:00:00Z, store.purchase=5@2026-01-02T00:00:00Z, web.view@2026-01-03T00:00:00Z, app.view@2026-01-04T00:00:00Z}'::journey) v(j);
SELECT journey_last_time('{}', 'web.view -> app.view');
SELECT p, journey_pattern_concerns(p::journey_pattern, '{app.view@2026-01-01T00:00:00Z}') AS app, journey_pattern_concerns(p::journey_pattern, '{}') AS nothing
FROM unnest('{web.view,app.view,app.%,web.view -> store.purchase,web.view -[!app.view]-> store.purchase,web.view => store.purchase,^ web.view,web.view $,'
            'web.view -[!store.purchase for 1 day]-> $,app.view.sofas,web.view | app.view[value > 3]}'::text[]) p;
SET timezone = 'America/Sao_Paulo';
SET client_min_messages = warning;
SELECT journey_create_hub('seg "1"');
SET search_path = public;
UPDATE "seg ""1""".settings SET notify = false;
CREATE SCHEMA help;
-- shorter to read
CREATE FUNCTION help.make(name text, definition jsonb) RETURNS text LANGUAGE sql
AS 'SELECT "seg ""1""".create_segment(name, definition, replace => true)';
CREATE FUNCTION help.log(since bigint) RETURNS TABLE (segment text, customer bigint, entered boolean, why text[]) LANGUAGE sql
AS 'SELECT l.segment, l.customer_id, l.entered, l.why FROM "seg ""1""".segment_log l WHERE l.log_id > since ORDER BY l.log_id';
SELECT "seg ""1""".record(ARRAY[who]::identifier[], at::timestamptz, channel, action, value, 'EUR', direction, conversation => talk)
FROM (VALUES ('email:ana@example.pt', '2026-01-05Z', 'web', 'view', NULL::numeric, 'in', NULL),
             ('email:ana@example.pt', '2026-01-06Z', 'web', 'purchase', 40, 'in', NULL),
             ('email:ana@example.pt', '2026-02-20Z', 'store', 'purchase', 60, 'in', NULL),
             ('email:rui@example.pt', '2026-01-10Z', 'web', 'view', NULL, 'in', NULL),
             ('email:rui@example.pt', '2026-01-11Z', 'web', 'add_to_cart', NULL, 'in', NULL),
             ('email:rui@example.pt', '2026-02-26Z', 'chat', 'message', NULL, 'in', 'k1'),
             ('email:eva@example.pt', '2025-11-01Z', 'store', 'purchase', 500, 'in', NULL)) v(who, at, channel, action, value, direction, talk);
SELECT "seg ""1""".identify(ARRAY['email:new@example.pt']::identifier[], '2026-01-01Z');
SELECT "seg ""1""".set_traits('email:ana@example.pt', '{"tier": "gold", "born": "1990-05-01"}'),
       "seg ""1""".set_traits('email:eva@example.pt', '{"tier": "silver"}');

\a\t
-- each kind of condition, in words
SELECT help.make('buyers', '{"pattern": "%.purchase"}');
SELECT help.make('loyal', '{"pattern": "%.purchase", "times": {"min": 2}, "within": "60 days"}');
SELECT help.make('lapsed', '{"and": [{"segment": "buyers"}, {"not": {"pattern": "%.purchase", "within": "30 days"}}]}');
SELECT help.make('left the cart', '{"pattern": "web.add_to_cart -[!%.purchase]-> $", "since": "2026-01-01", "until": "2026-02-01T12:00:00+01"}');
SELECT help.make('gold', '{"trait": "$.tier == \"gold\""}');
SELECT help.make('young', '{"trait": "$.born.datetime() > \"1980-01-01T00:00:00+00:00\".datetime()"}');
SELECT help.make('worth much', '{"measure": "value", "min": 100}');
SELECT help.make('waits', '{"or": [{"measure": "open_conversations", "min": 1}, {"measure": "handoffs", "min": 3}]}');
SELECT help.make('long gone', '{"measure": "last_seen", "older_than": "90 days"}');
SELECT help.make('never', '{"not": {"or": [{"measure": "touchpoints", "min": 1}, {"segment": "gold"}]}}');
SELECT help.make('of old', '{"measure": "touchpoints", "max": 0, "within": "100 days", "older_than": "50 days"}');
\a\t

-- what is wrong
SELECT help.make('x', v::jsonb) FROM (VALUES ('[]')) d(v);
SELECT help.make('x', NULL);
SELECT help.make('', '{"pattern": "web.view"}');
SELECT help.make('x', '{}');
SELECT help.make('x', '{"patern": "web.view"}');
SELECT help.make('x', '{"pattern": "web.view", "trait": "$.a == 1"}');
SELECT help.make('x', '{"pattern": "web.view", "min": 1}');
SELECT help.make('x', '{"pattern": "web.view ->"}');
SELECT help.make('x', '{"pattern": 1}');
SELECT help.make('x', '{"pattern": "web.view", "times": 2}');
SELECT help.make('x', '{"pattern": "web.view", "times": {"minimum": 2}}');
SELECT help.make('x', '{"pattern": "web.view", "times": {"min": 1.5}}');
SELECT help.make('x', '{"pattern": "web.view", "times": {"min": 3, "max": 2}}');
SELECT help.make('x', '{"pattern": "web.view", "within": "a while"}');
SELECT help.make('x', '{"pattern": "web.view", "within": "1 month"}');
SELECT help.make('x', '{"pattern": "web.view", "within": "-1 day"}');
SELECT help.make('x', '{"pattern": "web.view", "within": 30}');
SELECT help.make('x', '{"pattern": "web.view", "since": "yesterday"}');
SELECT help.make('x', '{"pattern": "web.view", "since": "2026-02-30"}');
SELECT help.make('x', '{"pattern": "web.view", "since": "2026-02-01", "until": "2026-01-01"}');
SELECT help.make('x', '{"pattern": "web.view", "within": "1 day", "since": "2026-01-01"}');
SELECT help.make('x', '{"pattern": "web.view", "within": "1 day", "older_than": "2 days"}');
SELECT help.make('x', '{"and": []}');
SELECT help.make('x', '{"not": [{"pattern": "web.view"}]}');
SELECT help.make('x', '{"trait": "$.tier"}');
SELECT help.make('x', '{"trait": "$.tier = 1"}');
SELECT help.make('x', '{"trait": "$.tier == $tier"}');
SELECT help.make('x', '{"measure": "worth", "min": 1}');
SELECT help.make('x', '{"measure": "value"}');
SELECT help.make('x', '{"measure": "value", "min": "1"}');
SELECT help.make('x', '{"measure": "last_seen", "min": 1}');
SELECT help.make('x', '{"measure": "open_conversations", "min": 1, "within": "1 day"}');
SELECT help.make('x', '{"segment": "none"}');
SELECT help.make('buyers', '{"not": {"segment": "lapsed"}}');
SELECT "seg ""1""".create_segment('buyers', '{"pattern": "web.view"}');
SELECT "seg ""1""".drop_segment('buyers');
SELECT "seg ""1""".drop_segment('x');
SELECT "seg ""1""".in_segment('x', 1);
UPDATE "seg ""1""".segments SET segment = 'y' WHERE segment = 'gold';
-- nobody's SQL but the hub's
UPDATE "seg ""1""".segments SET condition = 'pg_sleep(1000) IS NULL', turns = '{x}' WHERE segment = 'gold';
SELECT condition, turns FROM "seg ""1""".segments WHERE segment = 'gold';

-- who is in them on the first of March: live, then kept
SELECT s.segment, array_agg(m.m ORDER BY m.m) AS members
FROM "seg ""1""".segments s LEFT JOIN "seg ""1""".segment_members(s.segment, '2026-03-01Z') m(m) ON true GROUP BY 1 ORDER BY 1;
SELECT "seg ""1""".refresh() IS NOT NULL AS refreshed, "seg ""1""".refresh_segments('2026-03-01Z') IS NOT NULL AS again;
SELECT segment, array_agg(customer_id ORDER BY customer_id) AS members FROM "seg ""1""".customer_segments GROUP BY 1 ORDER BY 1;
SELECT c.customer_id, ARRAY(SELECT "seg ""1""".segments_of(c.customer_id, '2026-03-01Z')) AS segments,
       "seg ""1""".in_segment('lapsed', c.customer_id, '2026-03-01Z') AS lapsed
FROM "seg ""1""".customers c ORDER BY 1;
SELECT "seg ""1""".in_segment('lapsed', 99) AS nobody;

-- time alone, traits, a merge, a split, a late touchpoint, one that goes, a definition, an action, a setting
SELECT coalesce(max(log_id), 0) AS last FROM "seg ""1""".segment_log \gset
SELECT "seg ""1""".refresh_segments('2026-03-23Z') AS moved;
SELECT * FROM help.log(:last);
-- to the tick: what was 30 days ago is within 30 days
SELECT at, "seg ""1""".in_segment('lapsed', 1, at::timestamptz) FROM (VALUES ('2026-03-22Z'), ('2026-03-22 00:00:00.000001Z')) v(at);
SELECT coalesce(max(log_id), 0) AS last FROM "seg ""1""".segment_log \gset
SELECT "seg ""1""".set_traits('email:rui@example.pt', '{"tier": "gold"}'), "seg ""1""".refresh_segments('2026-03-23Z') AS moved;
SELECT * FROM help.log(:last);
SELECT coalesce(max(log_id), 0) AS last FROM "seg ""1""".segment_log \gset
INSERT INTO "seg ""1""".trait_rules (trait, personal) VALUES ('tier', false);
UPDATE "seg ""1""".trait_rules SET rule = 'min' WHERE trait = '*';
SELECT "seg ""1""".refresh() AS journeys;
SELECT coalesce(max(log_id), 0) AS last FROM "seg ""1""".segment_log \gset
SELECT "seg ""1""".link('email:ana@example.pt', 'email:eva@example.pt', '2026-01-01Z', 'crm', '1') AS merged;
SELECT "seg ""1""".refresh() AS journeys;
SELECT * FROM help.log(:last);
SELECT * FROM "seg ""1""".customer_segments WHERE customer_id IN (1, 3) ORDER BY 1, 2;
SELECT "seg ""1""".in_segment('worth much', 3) AS former_number;
SELECT "seg ""1""".retract('crm', '1'), "seg ""1""".refresh() AS journeys;
SELECT * FROM "seg ""1""".customer_segments WHERE customer_id IN (1, 3) AND segment IN ('gold', 'worth much') ORDER BY 1, 2;
SELECT coalesce(max(log_id), 0) AS last FROM "seg ""1""".segment_log \gset
INSERT INTO "seg ""1""".actions (action, means) VALUES ('message', 'resolves');
SELECT "seg ""1""".refresh() AS journeys;
SELECT * FROM help.log(:last);
SELECT coalesce(max(log_id), 0) AS last FROM "seg ""1""".segment_log \gset
DELETE FROM "seg ""1""".touchpoints WHERE action = 'add_to_cart';
UPDATE "seg ""1""".settings SET time_zone = 'Asia/Tokyo';
SELECT help.make('gold', '{"trait": "$.tier == \"silver\""}') IS NOT NULL AS made, "seg ""1""".refresh() AS journeys;
SELECT * FROM help.log(:last);
-- part of another and the other change together
SELECT help.make('buyers', '{"pattern": "web.purchase"}') IS NOT NULL AS made;
SELECT "seg ""1""".in_segment('lapsed', 3) AS eva, "seg ""1""".refresh() AS journeys;
SELECT customer_id FROM "seg ""1""".customer_segments WHERE segment = 'lapsed' ORDER BY 1;
-- touchpoints of whoever is in nothing yet
SELECT coalesce(max(log_id), 0) AS last FROM "seg ""1""".segment_log \gset
SELECT "seg ""1""".record(ARRAY['email:new@example.pt']::identifier[], now(), 'web', 'purchase', 1000, 'EUR'), "seg ""1""".refresh() AS journeys;
SELECT * FROM help.log(:last);

-- the queue: each row to one who takes it
SELECT count(*) AS rows FROM "seg ""1""".segment_log WHERE taken_at IS NULL \gset
SELECT count(*) FROM "seg ""1""".take_segment_events(3);
SELECT count(*) = :rows - 3 AS the_others FROM "seg ""1""".take_segment_events(1000000);
SELECT count(*) FROM "seg ""1""".take_segment_events();
SELECT "seg ""1""".take_segment_events(-1);

-- all leave what is dropped, and a name may be used again
SELECT coalesce(max(log_id), 0) AS last FROM "seg ""1""".segment_log \gset
SELECT "seg ""1""".drop_segment('worth much');
SELECT * FROM help.log(:last);
SELECT help.make('worth much', '{"measure": "value", "min": 900}') IS NOT NULL AS made, "seg ""1""".refresh() AS journeys;
SELECT * FROM help.log(:last) WHERE entered;

-- who may what
CREATE ROLE segment_reader;
CREATE ROLE segment_steward;
SELECT "seg ""1""".grant_access('segment_reader'), "seg ""1""".grant_access('segment_steward', 'steward');
GRANT USAGE ON SCHEMA help TO segment_reader, segment_steward;
SET ROLE segment_reader;
-- traits that are personal are not seen: what refresh() found is told
SELECT "seg ""1""".in_segment('gold', 3) AS silver, "seg ""1""".in_segment('worth much', 4) AS new;
SELECT array_agg(m) FROM "seg ""1""".segment_members('gold') m;
SELECT ARRAY(SELECT "seg ""1""".segments_of(3)) AS segments;
SELECT help.make('x', '{"pattern": "web.view"}');
SELECT "seg ""1""".drop_segment('gold');
SELECT "seg ""1""".take_segment_events();
RESET ROLE;
SET ROLE segment_steward;
SELECT help.make('x', '{"pattern": "web.view"}') IS NOT NULL AS made, "seg ""1""".refresh() AS journeys;
SELECT customer_id FROM "seg ""1""".customer_segments WHERE segment = 'x' ORDER BY 1;
SELECT "seg ""1""".drop_segment('x');
RESET ROLE;
-- under another name
SELECT journey_rename_hub('seg "1"', 'seg2');
SELECT "seg2".in_segment('gold', 3) AS silver, seg2.refresh() AS journeys, ARRAY(SELECT seg2.segments_of(3)) AS segments;
SELECT journey_upgrade_hub('seg2');
SELECT ARRAY(SELECT seg2.segments_of(3)) AS segments, seg2.segment_text('gold');
SELECT seg2.revoke_access('segment_reader'), seg2.revoke_access('segment_steward');
REVOKE ALL ON SCHEMA help FROM segment_reader, segment_steward;
DROP ROLE segment_reader;
DROP ROLE segment_steward;
SELECT journey_drop_hub('seg2', force => true);
DROP SCHEMA help CASCADE;

-- what refresh() compares and keeps by
SELECT journey_array_minus('{1,3,5}', '{3,4}'), journey_array_minus('{}', '{1}'), journey_array_minus('{1}', '{}'),
       journey_array_renew('{1,3,5,9}', B'010001', '{2,NULL,4}'), journey_array_renew('{}', B'', '{}');
