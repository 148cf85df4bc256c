-- Touchpoints in: record, record_many, keys, partitions.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;  -- thousands of queries too small for workers
SELECT journey_create_hub('crm');
SET search_path = crm, public;
SELECT make_partitions(since => '2026-11-01Z') >= 0 AS maintained;
SET timezone = 'UTC';
SET datestyle = 'ISO';
UPDATE settings SET past_within = NULL, future_within = NULL;
CREATE VIEW stored AS
SELECT t.touchpoint_id AS id, i.identifier, t.occurred_at, t.channel, t.action, t.value, t.source, t.source_key
FROM touchpoints t JOIN identities i USING (identity_id) ORDER BY 1;

-- The fields of an event stand in many places by position: each list of them has all, in the order of the type.
WITH field AS MATERIALIZED (
    SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type, row_number() OVER (ORDER BY a.attnum) AS n
    FROM pg_attribute a WHERE a.attrelid = 'event'::regclass AND a.attnum > 0 AND NOT a.attisdropped
), told AS MATERIALIZED (
    -- those that every list has; who, when and the key some know otherwise
    SELECT array_agg(f.name ORDER BY f.n) AS names FROM field f WHERE f.name NOT IN ('identifiers', 'occurred_at', 'source', 'source_key')
), mention AS (
    SELECT p.oid, p.proname, m.match[1] AS alias, m.match[2] AS name, row_number() OVER (PARTITION BY p.oid, m.match[1] ORDER BY m.n) AS n
    FROM told, pg_proc p,
         regexp_matches(pg_get_functiondef(p.oid), format('(\m\w+\.|["''])?\m(%s)\M', array_to_string(told.names, '|')), 'g') WITH ORDINALITY m(match, n)
    WHERE p.pronamespace = 'crm'::regnamespace AND p.prokind = 'f' AND p.proname !~ '^(timeline_|access_rights)'
), list AS MATERIALIZED (
    SELECT m.proname, m.alias, array_agg(m.name) OVER w AS names
    FROM mention m WINDOW w AS (PARTITION BY m.oid, m.alias ORDER BY m.n ROWS BETWEEN CURRENT ROW AND (SELECT cardinality(t.names) - 1 FROM told t) FOLLOWING)
), wrong AS (
    SELECT l.proname, l.alias, l.names::text FROM list l, told
    WHERE l.names[1:4] = '{channel,action,value,currency}' AND 'conversation' = ANY (l.names) AND l.names <> told.names
    UNION ALL
    SELECT 'record()', f.name, p.name FROM field f FULL JOIN (
        SELECT u.name, format_type(p.proargtypes[u.n - 1], NULL) AS type, u.n FROM pg_proc p, unnest(p.proargnames) WITH ORDINALITY u(name, n)
        WHERE p.proname = 'record' AND p.pronamespace = 'crm'::regnamespace) p ON (p.name, p.type, p.n) = (f.name, f.type, f.n)
    WHERE p.name IS NULL OR f.name IS NULL
    UNION ALL
    SELECT 'touchpoints', f.name, NULL FROM field f WHERE f.name <> 'identifiers' AND NOT EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = 'touchpoints'::regclass AND (a.attname, format_type(a.atttypid, NULL)) = (f.name, f.type))
    UNION ALL
    SELECT 'journey_payload_events()', f.name, NULL FROM field f
    WHERE f.name <> 'source' AND f.name <> ALL ((SELECT p.proargnames FROM pg_proc p WHERE p.proname = 'journey_payload_events')::text[])
    UNION ALL
    SELECT 'formats', f.name, NULL FROM field f
    WHERE f.name <> 'source' AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = 'formats'::regclass AND a.attname = f.name)
)
SELECT w.* FROM wrong w UNION ALL SELECT 'too few lists', count(*)::text, NULL FROM list l, told WHERE l.names = told.names HAVING count(*) < 15;

-- one at a time; the first identifier given stands for all, unless a rule says otherwise
SELECT record('{cookie:1}', '2026-11-01 10:00Z', 'web', 'view');
SELECT record('{user:7,cookie:1}', '2026-11-01 10:05Z', 'web', 'login', source => 'web', source_key => 'k1');
SELECT record('{cookie:1,user:7}', '2026-11-01 10:06Z', 'web', 'purchase', 49.90, 'EUR', 'in', 'thread 9', 'bot:Ana', 'spring', NULL, NULL, '{"a": [1]}');
SELECT record('{cookie:2}', '0001-01-01 00:00Z', 'Loja física', 'visita');
SELECT record('{user:8,user:8}', '2026-11-01 10:07Z', 'web', 'view');
SELECT * FROM stored;
SELECT currency, direction, conversation, agent, campaign, attributes, recorded_at = now() AS now FROM touchpoints WHERE touchpoint_id = 3;
SELECT source, source_key, array(SELECT i.identifier FROM identities i WHERE i.identity_id = ANY (e.identities) ORDER BY 1) FROM evidence e WHERE source_key = 'k1';
SELECT identifier, customer_of(identifier) FROM identities ORDER BY 1;

-- the same source and key is the same touchpoint
SELECT record('{user:7,cookie:1}', '2026-11-01 10:05Z', 'web', 'login', source => 'web', source_key => 'k1');
\set SHOW_CONTEXT never
SELECT record('{user:99}', '2026-11-01 10:05Z', 'web', 'login', source => 'web', source_key => 'k1');
\set SHOW_CONTEXT errors
SELECT record('{user:7}', '2026-11-01 10:05Z', 'web', 'login', source => 'other', source_key => 'k1');
SELECT count(*), customer_of('user:99') FROM touchpoints;

-- priority before order; blocked and shared identifiers stand for others only if there is nothing else
SELECT set_rule('user', priority => 5);
SELECT record('{cookie:1,user:7}', '2026-11-02 10:00Z', 'web', 'view', source => 'sql', source_key => 'prio');
SELECT record('{cookie:null,user:10}', '2026-11-02 10:00Z', 'web', 'view', source => 'sql', source_key => 'blocked');
SELECT record('{cookie:null}', '2026-11-02 10:00Z', 'web', 'view', source => 'sql', source_key => 'nobody');
SELECT record('{email:  ANA@Example.PT ,cookie:5}', '2026-11-02 10:00Z', 'web', 'view', source => 'sql', source_key => 'raw');
SELECT set_rule('email', normalizer => 'email', priority => 9);
SELECT record('{cookie:5,email:RUI@Example.PT}', '2026-11-02 10:00Z', 'web', 'view', source => 'sql', source_key => 'normal');
SELECT record('{email:Rui@example.pt}', '2026-11-02 10:00Z', 'web', 'view', source => 'sql', source_key => 'normal too');
SELECT identifier, source_key FROM stored WHERE source_key ~ 'prio|blocked|nobody|raw|normal';

-- what is refused leaves nothing behind
SELECT count(*) AS touchpoints, (SELECT count(*) FROM identities) AS identities, (SELECT count(*) FROM evidence) AS evidence,
       (SELECT count(*) FROM touchpoint_keys) AS keys FROM touchpoints \gset before_
\x on
SELECT query, r.* FROM (VALUES
    ($$SELECT record(NULL, now(), 'web', 'view')$$),
    ($$SELECT record('{}', now(), 'web', 'view')$$),
    ($$SELECT record('{a:1,NULL}', '2026-11-01Z', 'web', 'view', source => 'sql', source_key => 'x')$$),
    ($$SELECT record('{a:1}', NULL, 'web', 'view')$$),
    ($$SELECT record('{a:1}', '2026-11-01Z', NULL, 'view', source => 'sql', source_key => 'x')$$),
    ($$SELECT record('{a:1}', '2026-11-01Z', 'web', NULL)$$),
    ($$SELECT record('{a:1}', 'infinity', 'web', 'view')$$),
    ($$SELECT record('{a:1}', '0001-12-31 23:59Z BC', 'web', 'view', source => 'sql', source_key => 'x')$$),
    ($$SELECT record('{a:1}', '10000-01-01Z', 'web', 'view')$$),
    ($$SELECT record('{a:1}', '2026-11-01Z', 'web', 'view', direction => 'up')$$),
    ($$SELECT record('{a:1,b:1}', '2026-11-01Z', repeat('w', 300), 'view', source => 'sql', source_key => 'x')$$),
    ($$SELECT record('{a:1,b:1}', '2026-11-01Z', 'web', 'view', 1e30, source => 'sql', source_key => 'x')$$),
    ($$SELECT record('{a:1,b:1}', '2026-11-01Z', 'web', 'view', 'NaN', source => 'sql', source_key => 'x')$$),
    ($$SELECT record_many(ARRAY[('{a:1}', '2026-11-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 's', '1', NULL, NULL, NULL),
                                ('{}', '2026-11-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 's', '2', NULL, NULL, NULL)]::event[])$$),
    ($$SELECT record_many(ARRAY[('{a:1}', '2026-11-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 's', '1', NULL, NULL, NULL),
                                ('{b:1}', '2026-11-01Z', 'web', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 's', '2', NULL, NULL, NULL)]::event[])$$),
    ($$SELECT record_many(ARRAY[('{a:1}', '2026-11-01Z', 'web', 'view', NULL, NULL, 'sideways', NULL, NULL, NULL, 's', '1', NULL, NULL, NULL)]::event[])$$),
    ($$SELECT record_many(ARRAY[NULL]::event[])$$)
) v(query), refused(query) r;
\x off
SELECT count(*) = :before_touchpoints AS touchpoints, (SELECT count(*) FROM identities) = :before_identities AS identities,
       (SELECT count(*) FROM evidence) = :before_evidence AS evidence, (SELECT count(*) FROM touchpoint_keys) = :before_keys AS keys FROM touchpoints;

-- many at once: keys that are there, keys given twice, no keys, known and new identifiers
SELECT record_many('{}'), record_many(NULL);
CREATE TEMP TABLE given (n bigint GENERATED ALWAYS AS IDENTITY, e event);
INSERT INTO given (e) VALUES
    (ROW('{user:20}', '2026-11-03 10:00Z', 'app', 'open', NULL, NULL, NULL, NULL, NULL, NULL, 'app', '1', NULL, NULL, NULL)::event),
    (ROW('{user:20,cookie:1}', '2026-11-03 10:01Z', 'app', 'login', NULL, NULL, NULL, NULL, NULL, NULL, 'app', '2', '{}', NULL, NULL)::event),
    (ROW('{user:20}', '2026-11-03 10:00Z', 'app', 'open', NULL, NULL, NULL, NULL, NULL, NULL, 'app', '1', NULL, NULL, NULL)::event),
    (ROW('{cookie:1}', '2026-11-01 10:05Z', 'web', 'login', NULL, NULL, NULL, NULL, NULL, NULL, 'web', 'k1', NULL, NULL, NULL)::event),
    (ROW('{user:7}', '2026-11-03 10:04Z', 'app', 'open', 1, 'EUR', 'in', 'c', 'a', 'm', NULL, NULL, '[1]', NULL, NULL)::event),
    (ROW('{cookie:9,user:22}', '2026-11-03 10:05Z', 'app', 'open', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event),
    (ROW('{cookie:1}', '2026-11-03 10:06Z', 'app', 'open', NULL, NULL, NULL, NULL, NULL, NULL, 'sql', 'k1', NULL, NULL, NULL)::event);
SELECT max(touchpoint_id) AS last FROM touchpoints \gset
CREATE TEMP TABLE made AS SELECT record_many(array_agg(e ORDER BY n)) AS ids FROM given;
SELECT n, id > :last AS fresh, s.identifier, s.occurred_at, s.source, s.source_key
FROM made, unnest(ids) WITH ORDINALITY u(id, n) JOIN stored s USING (id) ORDER BY n;
SELECT count(*) AS again FROM (SELECT record_many(array_agg(e ORDER BY n)) AS ids FROM given WHERE n <= 4) r, unnest(ids) id WHERE id IN (SELECT id FROM stored);
SELECT source_key, observed_at FROM evidence WHERE source = 'app';
SELECT customer_of('user:20') = customer_of('user:7') AS joined;
SELECT count(*) AS differences FROM stitch_check();

-- record is record_many of one
CREATE TEMP TABLE twin AS SELECT n, ARRAY[('u:' || n % 40)::identifier, ('c:' || n % 57)::identifier] AS ids, n % 3 AS m FROM generate_series(1, 200) n;
SELECT journey_create_hub('other');
SELECT count(record(ids[1:1 + (n % 4 > 0)::int], '2026-01-01Z'::timestamptz + n * interval '1 h', 'web', 'a' || m, n, source => 't', source_key => n::text)) FROM twin;
SELECT count(*) FROM (SELECT unnest(other.record_many(array_agg((ids[1:1 + (n % 4 > 0)::int], '2026-01-01Z'::timestamptz + n * interval '1 h', 'web', 'a' || m, n, NULL, NULL, NULL, NULL, NULL,
       't', n::text, NULL, NULL, NULL)::other.event))) FROM twin GROUP BY n / 30) s;
SELECT count(*) FROM (
    SELECT i.identifier, t.occurred_at, t.channel, t.action, t.value, t.source, t.source_key FROM touchpoints t JOIN identities i USING (identity_id) WHERE t.source = 't'
    EXCEPT
    SELECT i.identifier, t.occurred_at, t.channel, t.action, t.value, t.source, t.source_key FROM other.touchpoints t JOIN other.identities i USING (identity_id)) d;
SELECT journey_drop_hub('other', true);

-- late binding: merges and splits rewrite no touchpoint
CREATE TEMP TABLE before AS SELECT tableoid AS part, ctid AS place, xmin::text AS written, touchpoint_id, identity_id FROM touchpoints;
SELECT link('cookie:2', 'user:7', source => 'sql', source_key => 'merge') = customer_of('user:7') AS merged;
SELECT count(*) FROM touchpoints t JOIN identities i USING (identity_id) WHERE i.customer_id = customer_of('cookie:2') AND i.identifier = 'cookie:2';
SELECT retract('sql', 'merge');
SELECT customer_of('cookie:2') = customer_of('user:7') AS merged;
SELECT stitch_all();
SELECT count(*) AS rewritten, (SELECT count(*) > 200 FROM before) AS many FROM before b FULL JOIN (SELECT tableoid AS part, ctid AS place, xmin::text AS written, touchpoint_id, identity_id FROM touchpoints) t USING (part, place, written, touchpoint_id, identity_id)
WHERE b.touchpoint_id IS NULL OR t.touchpoint_id IS NULL;

-- listeners are told of the customer
SELECT news(7, 8);
UPDATE settings SET notify = false;
LISTEN crm;
SELECT record('{user:7}', '2026-11-05Z', 'web', 'view') > 0 AS quiet;
UPDATE settings SET notify = true;
\o /dev/null
SELECT record('{user:7}', '2026-11-05Z', 'web', 'view');
\o
UNLISTEN *;

-- partitions: by month of UTC; what has none goes to the default one until maintain()
SET timezone = 'Pacific/Auckland';
SELECT record('{user:7}', t, 'web', 'view', source => 'sql', source_key => t::text) > 0 AS recorded FROM unnest('{2019-12-31 23:59:59.999999Z,2020-01-01 00:00Z,2020-02-29 12:00Z,0044-03-15 12:00Z}'::timestamptz[]) t;
SELECT sum(cardinality(record_many(e.events))) AS cardinality  -- a load of a thousand would make the partition itself
FROM (SELECT array_agg((ARRAY['user:7'], '2020-03-01Z'::timestamptz + n * interval '44 min', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event) AS events
      FROM generate_series(0, 999) n GROUP BY n / 500) e;
SELECT count(*) AS strays FROM touchpoints_default;
CALL maintain();  -- those of a month of which there are few stay
SELECT count(*) AS strays FROM touchpoints_default;
CALL maintain(since => '2019-12-15') \gset
SELECT :made > 20 AS made, :dropped AS dropped, :postponed AS postponed;
SELECT count(*) AS strays FROM touchpoints_default;
CALL maintain(since => '2019-12-15');
SELECT tableoid::regclass::text, occurred_at AT TIME ZONE 'UTC' AS utc FROM touchpoints WHERE occurred_at < '2021-01-01' AND source_key IS NOT NULL ORDER BY 2;
SELECT count(*) AS misplaced FROM touchpoints t WHERE tableoid::regclass::text ~ '\d$' AND tableoid::regclass::text <> 'touchpoints_' || to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY_MM');
SELECT to_regclass('touchpoints_2019_12') IS NOT NULL AS since, to_regclass('touchpoints_2019_11') IS NOT NULL AS before_it,
       to_regclass('touchpoints_' || to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYY_MM')) IS NOT NULL AS ahead;
SELECT obj_description('touchpoints_2025_10'::regclass), col_description('touchpoints_2025_10'::regclass, 3);
EXPLAIN (COSTS OFF) SELECT * FROM touchpoints WHERE identity_id = 1 AND occurred_at >= '2025-11-01Z' AND occurred_at < '2025-11-30Z';
\set VERBOSITY terse
-- what users add stays: columns, also generated ones, partitions of their own, other tables of that name; what is referenced is not moved
ALTER TABLE touchpoints ADD COLUMN label text GENERATED ALWAYS AS (channel || '.' || action) STORED;
CREATE TEMP TABLE touchpoints_2018_01 (a int);
CREATE TABLE archive PARTITION OF touchpoints FOR VALUES FROM ('2018-02-10Z') TO ('2018-04-20Z');
SELECT record('{user:7}', '2018-01-05Z', 'web', 'view', source => 'sql', source_key => '2018') > 0 AS recorded;
CALL maintain(since => '2018-01-01Z');  -- all of 2018 and 2019 but for three months of its own and the one that is there
SELECT tableoid::regclass::text, label FROM touchpoints WHERE source_key = '2018';
CREATE TABLE note (touchpoint_id bigint, occurred_at timestamptz, FOREIGN KEY (touchpoint_id, occurred_at) REFERENCES touchpoints ON DELETE CASCADE);
SELECT record('{user:7}', '2017-12-05Z', 'web', 'view', source => 'sql', source_key => '2017') > 0 AS recorded;
INSERT INTO note SELECT touchpoint_id, occurred_at FROM touchpoints WHERE source_key = '2017';
CALL maintain(since => '2017-11-01Z');
SELECT count(*) FROM note;
DROP TABLE note;
CALL maintain(since => '2017-11-01Z');
CREATE TABLE crm.touchpoints_2017_10 (a int);
CALL maintain(since => '2017-10-01Z');
DROP TABLE crm.touchpoints_2017_10;
SET default_transaction_isolation = 'repeatable read';
CALL maintain(since => '2017-10-01Z');
RESET default_transaction_isolation;
CALL maintain(since => '-infinity');
BEGIN;
CALL maintain();
ROLLBACK;
ALTER TABLE touchpoints DROP COLUMN label;
-- keys stay with their touchpoints
UPDATE touchpoints SET source_key = 'other' WHERE source_key = '2017';
INSERT INTO touchpoints (identity_id, occurred_at, channel, action, source_key) VALUES (1, '2017-12-06Z', 'a', 'b', '2017');
DELETE FROM touchpoints WHERE source_key = '2017' AND action = 'b';
SELECT count(*) FROM touchpoint_keys WHERE source_key = '2017';
-- touchpoints that are too old go, with their keys, and journeys follow
SELECT refresh() > 0 AS refreshed;
SELECT count(*) AS touchpoints, count(source_key) AS keyed FROM touchpoints WHERE occurred_at < '2021-01-01' ;
SELECT set_retention('touchpoints', now() - '2021-03-05');
CALL maintain();
SELECT count(*) FROM touchpoints WHERE occurred_at < '2021-01-01';
SELECT count(*) FROM touchpoint_keys k LEFT JOIN touchpoints t USING (touchpoint_id) WHERE t.touchpoint_id IS NULL;
SELECT record('{user:7}', '2020-01-01Z', 'web', 'view', source => 'sql', source_key => 'late') > 0 AS late;
CALL maintain();
SELECT count(*) FROM touchpoints WHERE occurred_at < '2021-01-01';
SELECT refresh() > 0 AS refreshed;
SELECT count(*) AS stale FROM ((TABLE current_journeys EXCEPT SELECT customer_id, journey FROM customer_journeys)
                               UNION ALL (SELECT customer_id, journey FROM customer_journeys EXCEPT TABLE current_journeys)) s;
SELECT refresh(rebuild => true) AS rebuilt;
-- keys go when their touchpoints came in long ago, whenever these were, but for those of tables that are or were attached
SELECT set_retention('touchpoints', '300000 years'), set_retention('keys', '300000 years');
CREATE TABLE public.tickets (id int PRIMARY KEY, who text);
INSERT INTO public.tickets VALUES (1, '7'), (2, '7'), (3, '7');
SELECT attach_source('public.tickets', '{"occurred_at": "''2026-01-01Z''::timestamptz", "channel": "''desk''", "action": "''ticket''", "identifiers": {"user": "who"}}');
SELECT count(record('{user:7}', '2026-01-01Z', 'web', 'view', source => 'keys', source_key => k)) FROM unnest('{a,b}'::text[]) k;
SELECT count(unnest) FROM (SELECT unnest(record_many(array_agg(('{user:7}', '2021-03-01Z', 'web', 'old', NULL, NULL, NULL, NULL, NULL, NULL, 'many', n::text, NULL, NULL, NULL)::event)))
                           FROM generate_series(1, 5200) n) m;
SELECT count(record('{user:7}', '2026-01-01Z', 'web', 'view', source => 'keys', source_key => 'c'));
CREATE VIEW keys_of AS SELECT source, count(*), min(source_key) AS least FROM touchpoint_keys WHERE source IN ('keys', 'many', 'tickets') GROUP BY 1 ORDER BY 1;
CALL maintain();
TABLE keys_of;
SELECT set_retention('touchpoints', NULL), set_retention('keys', '1 year');
UPDATE touchpoints SET recorded_at = now() - interval '2 years' WHERE (source, source_key) <> ('keys', 'c');
CALL maintain();
TABLE keys_of;
SELECT count(DISTINCT id) AS another, min(id) > max(t.touchpoint_id) AS newer
FROM (SELECT record('{user:7}', '2026-01-01Z', 'web', 'view', source => 'keys', source_key => 'a') AS id FROM generate_series(1, 2)) r, touchpoints t WHERE t.source = 'keys' AND t.source_key = 'c';
SELECT count(*), unrecord('keys', 'a') AS taken, unrecord('keys', 'b') AS gone FROM touchpoints WHERE source = 'keys';
DELETE FROM public.tickets WHERE id = 1;
CALL feed();
SELECT detach_source('tickets', keep => true), count(*) FROM touchpoints WHERE source = 'tickets';
CALL maintain();
TABLE keys_of;
SELECT upto = (SELECT max(touchpoint_id) FROM touchpoints WHERE source_key = '5200') AS once FROM work_done WHERE task = 'keys';
DROP TABLE public.tickets;
-- months on end are moved that have a thousand together, which leaves no room there; a wrong clock stays
BEGIN;
SELECT record('{user:7}', '0044-03-15 12:00Z', 'web', 'view') > 0 AS wrong_clock;
SELECT count(m) FROM (SELECT unnest(record_many(array_agg(('{user:7}', '2001-03-01Z'::timestamptz + n % 5 * interval '31 d', 'web', 'older', NULL, NULL, NULL, NULL, NULL, NULL, 'mv', n::text, NULL, NULL, NULL)::event))) m
                      FROM generate_series(1, 4000) n) m;
COMMIT;
SELECT pg_relation_size('touchpoints_default') > 200000 AS large;
CALL maintain();
SELECT pg_relation_size('touchpoints_default') < 65536 AS small, (SELECT count(*) FROM touchpoints_default) > 0 AS kept;

-- who is known together already, by evidence that is there: nothing is written or locked but the touchpoint, its key and its note
SELECT identify('{seen:1,seen:2}', '2026-11-01 10:04Z', 'web', 'seen') > 0 AS keyed, record('{seen:1,seen:2}', '2026-11-01 10:06Z', 'web', 'again') > 0 AS unkeyed;
CREATE VIEW rows_there AS
SELECT 'customer' AS what, c.customer_id::text AS which, concat_ws(' ', c.ctid, c.xmin, c.xmax) AS version FROM customers c
UNION ALL SELECT 'identity', i.identifier::text, concat_ws(' ', i.ctid, i.xmin, i.xmax) FROM identities i
UNION ALL SELECT 'evidence', e.source_key, concat_ws(' ', e.ctid, e.xmin, e.xmax) FROM evidence e;
CREATE TABLE rows_before AS TABLE rows_there;
SELECT record('{seen:2,seen:1}', '2026-11-01 10:04Z', 'web', 'seen', source => 'web', source_key => 'seen') > 0 AS keyed,
       record('{seen:1,seen:2}', '2026-11-01 10:06Z', 'web', 'again') > 0 AS unkeyed, record('{seen:1}', '2026-11-01 10:09Z', 'web', 'alone') > 0 AS alone;
SELECT what, which FROM ((TABLE rows_before EXCEPT TABLE rows_there) UNION ALL (TABLE rows_there EXCEPT TABLE rows_before)) s;
-- new evidence is a row, and its time, and the customer is locked
SELECT record('{seen:1,seen:2}', '2026-11-01 10:08Z', 'web', 'again', source => 'web', source_key => 'new') > 0 AS new;
SELECT what, which FROM (TABLE rows_there EXCEPT TABLE rows_before) s WHERE what <> 'customer' ORDER BY 1, 2;
DROP VIEW rows_there;
SELECT journey_drop_hub('crm', true);
DROP FUNCTION refused;
