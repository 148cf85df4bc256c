-- One journey's own touchpoints, sessions, hand-offs and visits: worked examples. property_visits compares with SQL.
SET TimeZone = 'UTC';
CREATE TABLE j (id integer, j journey);
INSERT INTO j VALUES
    -- asks on the web, goes to WhatsApp, where a bot and an agent answer, and buys in the store
    (1, '{web.view@2025-03-28T17:20:00Z#1, web.login@2025-03-28T17:25:00Z#2, whatsapp.message.in@2025-03-28T17:30:00Z#3,
          whatsapp.message.bot@2025-03-28T17:30:02Z#4, whatsapp.message.out@2025-03-31T08:15:00Z#5, whatsapp.message.in@2025-03-31T08:16:00Z#6,
          whatsapp.resolved.out@2025-03-31T08:20:00Z#7, store.purchase=799@2025-04-01T08:00:00Z#8}'),
    -- there and back again: three visits, two hand-offs; then the same channel much later, and another one much later
    (2, '{web.a@2026-01-01T10:00:00Z#1, app.a@2026-01-01T10:05:00Z#2, web.b@2026-01-01T10:06:00Z#3, web.c@2026-01-09T10:00:00Z#4, app.b@2026-02-01T10:00:00Z#5}'),
    (3, '{}'),
    (4, '{web.view@2026-01-01T10:00:00Z}'),
    -- nothing is own
    (5, '{email.newsletter.out@2026-01-01T10:00:00Z#1, chat.greeting.bot@2026-01-03T10:00:00Z}'),
    -- equal times: the order is that of references, then of labels; details that are nobody's speech are own
    (6, '{web.b.sofas@2026-01-01T10:00:00Z#2, web.a.Out@2026-01-01T10:00:00Z#1, app.z.in@2026-01-01T10:00:00Z#3, app.y@2026-01-01T10:00:00Z, web.x@2026-01-01T10:00:00Z}'),
    -- what an agent writes between makes no difference to hand-offs, but to sessions
    (7, '{web.a@2026-01-01T10:00:00Z, phone.call.out@2026-01-01T10:20:00Z, app.a@2026-01-01T10:40:00Z}');

SELECT id, t.* FROM j, journey_timeline(j, '30 minutes', '1 day') t WHERE id = 1;
SELECT id, ref, channel, action, detail, session, own, previous_channel, since_own, previous_ref, is_handoff, begins_visit
FROM j, journey_timeline(j, session_gap => '30 minutes', handoff_within => '1 day', not_own => '{z,newsletter}') t WHERE id > 1 ORDER BY id, occurred_at, ref;
SELECT id, v.* FROM j, journey_visits(j, '1 day') v ORDER BY id, visit;
SELECT id, v.* FROM j, journey_visits(j, '1 day', not_own => '{login,a,purchase}') v ORDER BY id, visit;
\x on
SELECT id, s.* FROM j, journey_summary(j, '30 minutes', '1 day') s ORDER BY id;
\x off
SELECT id, journey_own(j), journey_own(j, '{view,message,a}') AS some FROM j ORDER BY id;
-- all of it is own: the same value
SELECT journey_own(j) = j AND journey_send(journey_own(j)) = journey_send(j) AS same FROM j WHERE id IN (2, 3, 4);

-- an index on own touchpoints answers for them
CREATE INDEX j_own ON j USING gin (journey_own(j, '{login}'));
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM j WHERE journey_own(j, '{login}') ~ 'web.view => whatsapp.message => whatsapp.message => store.%';
SELECT id FROM j WHERE journey_own(j, '{login}') ~ 'web.view => whatsapp.message => whatsapp.message => store.%';
RESET enable_seqscan;
DROP INDEX j_own;

-- Limits include themselves, to the microsecond
SELECT gap, within, session, is_handoff, begins_visit, since_own
FROM (VALUES ('00:29:59.999999'::interval, '00:29:59.999999'::interval), ('30 min', '30 min'), ('00:30:00.000001', '00:30:00.000001')) l(gap, within),
     journey_timeline('{a.a@2026-01-01T00:00:00Z, b.a@2026-01-01T00:30:00Z}', gap, within) WHERE channel = 'b';
SELECT within, channel, begins_visit
FROM unnest('{0,1 us,1 s,00:00:01.000001}'::interval[]) within, journey_timeline('{a.a@2026-01-01T00:00:00Z, a.b@2026-01-01T00:00:01Z, b.b@2026-01-01T00:00:01.000001Z}', '1 h', within) ORDER BY within, occurred_at;
-- of zero: equal times are no time apart
SELECT session, is_handoff FROM journey_timeline('{a.a@2026-01-01T00:00:00Z, b.a@2026-01-01T00:00:00Z}', '0', '0');
-- a day has 24 hours, a month 30 days, as where intervals are compared; whatever is longer than all time is no limit
SELECT limit_, session, is_handoff
FROM unnest('{24:00,1 day,29 days 23:59:59.999999,30 days,1 month,1 mon -1 us,2 days -24:00,1 year,178000000 years}'::interval[]) limit_,
     (VALUES ('2026-01-02T00:00:00Z'), ('2026-01-31T00:00:00Z'), ('2026-12-27T00:00:00Z')) t(t),
     journey_timeline(('{a.a@2026-01-01T00:00:00Z, b.a@' || t || '}')::journey, limit_, limit_) WHERE channel = 'b' ORDER BY limit_, limit_::text COLLATE "C", t;
-- all time there is: more microseconds than an int64 counts
SELECT since_previous, session, is_handoff, since_own FROM journey_timeline(touchpoint('4714-11-24Z BC', 'a', 'a') || touchpoint('294276-12-31 23:59:59.999999Z', 'b', 'b'), '109203528 days 23:59:59.999998', '109203528 days 23:59:59.999999');
SELECT came_after, left_after FROM journey_visits(touchpoint('4714-11-24Z BC', 'a', 'a') || touchpoint('294276-12-31 23:59:59.999999Z', 'b', 'b'), '178000000 years -1 us');

-- Preferred: most visits; of several the one last used
SELECT j, preferred_channel, visits, handoffs FROM (VALUES
    ('{a.x@2026-01-01T00:00:00Z, b.x@2026-01-02T00:00:00Z, a.x@2026-01-03T00:00:00Z, c.x.out@2026-01-04T00:00:00Z}'::journey),
    ('{a.x@2026-01-01T00:00:00Z, b.x@2026-01-02T00:00:00Z}'), ('{b.x@2026-01-01T00:00:00Z, a.x@2026-01-01T00:00:00Z}'),
    ('{a.x@2026-01-01T00:00:00Z, a.x@2026-01-01T00:00:01Z, a.x@2026-01-01T00:00:02Z, b.x@2026-01-02T00:00:00Z, c.x.bot@2026-01-02T00:00:00Z}')) v(j),
    journey_summary(j, '1 h', '1 h');
-- channels are in order of their bytes, whatever the collation
SELECT channels FROM journey_summary('{b.x@2026-01-01T00:00:00Z, a.x@2026-01-01T00:00:00Z, "É".x@2026-01-01T00:00:00Z, B.x.out@2026-01-01T00:00:00Z, "".x@2026-01-01T00:00:00Z, a.y@2026-01-02T00:00:00Z}', '1 h', '1 h');

-- Other lists at the same place of a query, and more labels and channels than a byte counts
SELECT string_agg(channels || '/' || visits, ' ' ORDER BY n) FROM (
    SELECT n, cardinality(channels) AS channels, visits FROM generate_series(1, 8) n,
           LATERAL (SELECT journey_agg('2026-01-01Z'::timestamptz + i * interval '1 s', 'c' || i % (100 * n) , 'a' || i % 7, NULL, i, CASE i % n WHEN 0 THEN 'out' WHEN 1 THEN 'd' || i WHEN 2 THEN 'in' WHEN 3 THEN 'd1' END) AS j
                    FROM generate_series(1, 300 * n) i) x,
           journey_summary(j, '1 h', '1 h', CASE n % 3 WHEN 0 THEN '{}' WHEN 1 THEN '{a1,a2}' ELSE '{a3,"",é,a}' END::text[])) y;
SELECT count(*), count(DISTINCT channel), sum(begins_visit::int), count(detail), min(channel), max(channel)
FROM (SELECT journey_agg('2026-01-01Z'::timestamptz + i * interval '1 s', 'c' || i, 'a' || i % 3, NULL, i, CASE WHEN i % 2 = 0 THEN 'd' || i % 70000 END) AS j FROM generate_series(1, 70000) i) x,
     journey_timeline(j, '1 h', '1 h', '{a1}') t;
-- more channels than a call site remembers, and few again
SELECT n, touchpoints, visits, handoffs, cardinality(channels), channels[1] AS first, preferred_channel, last_channel
FROM unnest('{20000,3,30000,1,2,20000}'::int[]) WITH ORDINALITY m(m, n),
     LATERAL (SELECT journey_agg('2026-01-01Z'::timestamptz + i * interval '1 s', CASE WHEN i % 2 = 0 THEN 'web' ELSE 'c' || n || 'x' || i END, 'a') AS j FROM generate_series(1, m) i) x,
     journey_summary(j, '1 h', '1 h');
-- actions with names of channels and details are still actions
SELECT channel, action, detail FROM journey_timeline('{web.out@2026-01-01T00:00:00Z, out.web@2026-01-01T00:00:01Z, bot.bot.in@2026-01-01T00:00:02Z}', '1 h', '1 h', '{web,in}') WHERE own;

-- NULLs: STRICT
SELECT count(*) FROM j, journey_timeline(j, NULL, '1 h');
SELECT count(*) FROM j, journey_visits(j, '1 h', NULL);
SELECT count(touchpoints) FROM j, journey_summary(j, '1 h', NULL);
SELECT count(journey_own(j, NULL)), count(journey_own(NULL)) FROM j;

-- Errors
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
\x on
SELECT query, state, message, detail, hint FROM (VALUES
    ('journey_timeline(j, ''-1 us'', ''1 h'')'), ('journey_timeline(j, ''1 h'', ''-1 month'')'), ('journey_visits(j, ''1 month -31 days'')'),
    ('journey_summary(j, ''-178000000 years'', ''1 h'')'), ('journey_visits(j, ''1 h'', ''{a,NULL}'')'), ('journey_own(j, ''{NULL}'')'),
    ('journey_own(j, ''{{a,b},{c,NULL}}'')'), ('journey_own(j, ''{{a,b},{c,d}}'')')
) v(query), refused('SELECT x FROM j, ' || query || ' x') r(state, message, detail, hint);
\x off
DROP FUNCTION refused;
DROP TABLE j;
