-- Touchpoints of one time stay in the order in which they came, whichever way: one by one, in one call, in payloads, as
-- rows of a table that are read at once, in parts, or as they are written. Keys of rows are in their own order, not in
-- that of their text.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;
SELECT journey_create_hub('crm');
CREATE SCHEMA app;
SET search_path = app, crm, public;
-- three times; the number of an event is what its action says
CREATE TABLE given AS
SELECT n, timestamptz '2026-01-01Z' + n % 3 * interval '1 hour' AS at, ('who:' || n % 2)::identifier AS who FROM generate_series(1, 1300) n;
-- of each source, whether all customers have them as they were given
CREATE FUNCTION lines(OUT source text, OUT customers bigint, OUT touchpoints numeric, OUT as_given boolean) RETURNS SETOF record
LANGUAGE sql SET search_path = app, crm, public BEGIN ATOMIC
    SELECT l.source, count(*), sum(l.n), bool_and(l.came = l.given)
    FROM (SELECT t.source, count(*) AS n, array_agg(t.action::int ORDER BY t.occurred_at, t.touchpoint_id) AS came,
                 array_agg(t.action::int ORDER BY t.occurred_at, t.action::int) AS given
          FROM timeline t GROUP BY t.source, t.customer_id) l
    GROUP BY l.source ORDER BY l.source;
END;
CREATE FUNCTION event_of(n int, at timestamptz, who identifier, source text) RETURNS event LANGUAGE sql
RETURN ROW(ARRAY[who], at, 'web', n::text, NULL, NULL, NULL, NULL, NULL, NULL, source, 'k' || n, NULL, NULL, NULL)::event;
CREATE FUNCTION payload_of(n int, at timestamptz, who identifier) RETURNS text LANGUAGE sql
RETURN json_build_object('type', 'track', 'event', n::text, 'messageId', 'm' || n, 'userId', who, 'timestamp', at)::text;
-- calls on both sides of where plans change, and of where keys are put in otherwise
SELECT count(record(ARRAY[g.who], g.at, 'web', g.n::text, source => 'record', source_key => 'k' || g.n)) FROM given g WHERE g.n <= 300;
SELECT sum(cardinality(m.ids)) FROM (SELECT record_many(array_agg(event_of(g.n, g.at, g.who, 'many ' || s.size) ORDER BY g.n)) AS ids
    FROM given g, unnest('{7,400,600,1300}'::int[]) s(size) GROUP BY s.size, (g.n - 1) / s.size ORDER BY s.size, (g.n - 1) / s.size) m;
-- and of which some are there already, which the keys that are looked at don't show
SELECT cardinality(record_many(array_agg(event_of(g.n, g.at, g.who, 'again') ORDER BY g.n))) FROM given g WHERE g.n IN (2, 3);
SELECT cardinality(record_many(array_agg(event_of(g.n, g.at, g.who, 'again') ORDER BY g.n))) FROM given g;
SELECT cardinality(record_many(array_agg(event_of(g.n, g.at, 'fresh:' || g.n % 2, 'fresh') ORDER BY g.n))) FROM given g;
SELECT * FROM ingest_many((SELECT array_agg(payload_of(g.n, g.at, g.who) ORDER BY g.n) FROM given g), 'segment');
-- A large call is as strict as a small one: it names what is wrong, and stores nothing; of a key given twice the first
-- counts, if they are the same; bounds of the array, and what has no key, don't matter.
CREATE FUNCTION some_events(other text) RETURNS event[] LANGUAGE sql SET search_path = app, crm, public BEGIN ATOMIC
    SELECT array_agg(CASE WHEN g.n = 700 AND other IS NOT NULL THEN other::event ELSE event_of(g.n, g.at, g.who, 'large') END ORDER BY g.n) FROM given g;
END;
SELECT w.what, r.state, r.message
FROM (VALUES ('null', '({who:1},,web,1,,,,,,,large,k700,,,)'), ('infinity', '({who:1},infinity,web,1,,,,,,,large,k700,,,)'),
             ('future', '({who:1},9000-01-01Z,web,1,,,,,,,large,k700,,,)'), ('nobody', '({},2026-01-01Z,web,1,,,,,,,large,k700,,,)'),
             ('too long', format('({who:1},2026-01-01Z,%s,1,,,,,,,large,k700,,,)', repeat('x', 300))),
             ('other', '({who:1},2026-01-01Z,web,1,,,,,,,large,k699,,,)'), ('nothing', '(,,,,,,,,,,,,,,)')) w(what, event),
     refused(format('SELECT record_many(some_events(%L))', w.event)) r;
SELECT count(*) FROM touchpoints WHERE source = 'large';
SELECT count(*), count(DISTINCT n.id), array_position(array_agg(n.id ORDER BY n.n), (array_agg(n.id ORDER BY n.n))[700]) AS first_of_twice
FROM unnest(record_many(some_events(event_of(699, timestamptz '2026-01-01Z', 'who:1', 'large')::text))) WITH ORDINALITY n(id, n);
SELECT cardinality(record_many(format('[-5:1294]=%s', some_events('({who:1},2026-01-01Z,web,700,,,,,,,,,,,)'))::event[])), count(*) FROM touchpoints WHERE source = 'large';
SELECT source, count(*) FROM touchpoints WHERE source IN ('large', 'sql') GROUP BY 1 ORDER BY 1;
SELECT unrecord('large', 'k1'), cardinality(record_many(some_events(NULL)));

-- rows: of numbers, also negative ones, of several, and of what is no number, which is in the order of writing
CREATE TABLE numbers (id int PRIMARY KEY, n int, at timestamptz, who text);
CREATE TABLE lines_of_orders (line int, "order" numeric, n int, at timestamptz, who text, PRIMARY KEY ("order", line));
CREATE TABLE uuids (id uuid PRIMARY KEY, n int, at timestamptz, who text);
CREATE TABLE words (id text PRIMARY KEY, n int, at timestamptz, who text);
CREATE FUNCTION fill(first int, last int, OUT done boolean) LANGUAGE plpgsql SET search_path = app, crm, public AS $$
BEGIN
    -- by key, or, where that is no number, as they are written
    INSERT INTO numbers SELECT g.n - 700, g.n, g.at, g.who FROM given g WHERE g.n BETWEEN first AND last ORDER BY md5(g.n::text);
    INSERT INTO lines_of_orders SELECT g.n % 11, g.n / 11 - 50, g.n, g.at, g.who FROM given g WHERE g.n BETWEEN first AND last ORDER BY md5(g.n::text);
    INSERT INTO uuids SELECT md5(g.n::text)::uuid, g.n, g.at, g.who FROM given g WHERE g.n BETWEEN first AND last ORDER BY g.n;
    INSERT INTO words SELECT g.n, g.n, g.at, g.who FROM given g WHERE g.n BETWEEN first AND last ORDER BY g.n;
    done := true;
END $$;
CREATE FUNCTION attach(backfill boolean, feed text, name text) RETURNS bigint LANGUAGE sql SET search_path = app, crm, public
BEGIN ATOMIC
    SELECT count(attach_source(t.t, '{"occurred_at": "at", "channel": "''web''", "action": "n::text", "identifiers": {"who": "split_part(who, '':'', 2)"}}'::json,
                               name || ' ' || t.t, backfill => backfill, feed => feed))
    FROM unnest('{numbers,lines_of_orders,uuids,words}'::regclass[]) t(t);
END;
SELECT fill(1, 1300), attach(true, 'queued', 'attached');
SELECT attach(false, 'queued', 'backfilled');
CALL backfill_source('backfilled numbers');
CALL backfill_source('backfilled lines_of_orders');
CALL backfill_source('backfilled uuids');
CALL backfill_source('backfilled words');
-- one row can't be stored, so they are read by their keys
UPDATE numbers SET at = 'infinity' WHERE id = 0;
UPDATE lines_of_orders SET at = 'infinity' WHERE n = 700;
SELECT attach(true, 'queued', 'one bad');
SELECT source, source_key FROM source_rejects ORDER BY source COLLATE "C";
SELECT count(detach_source(source, keep => true)) FROM sources;
TRUNCATE numbers, lines_of_orders, uuids, words;
SELECT attach(true, 'queued', 'fed'), attach(true, 'immediate', 'immediate');
SELECT fill(1, 450), fill(451, 1000);
CALL feed();
SELECT fill(1001, 1300);
CALL feed();
SELECT * FROM lines() ORDER BY source COLLATE "C";
SET client_min_messages = warning;
SELECT journey_drop_hub('crm', true);
DROP SCHEMA app CASCADE;
DROP FUNCTION refused(text);
