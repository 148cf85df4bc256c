-- Aggregates over the touchpoints of a conversation: any order, parts, workers, equal times, size, what is refused, and states
-- that nobody made. What the figures are is tested in conversations.sql, and against a second implementation.
CREATE SCHEMA conversation_agg;
SET search_path = conversation_agg, public;
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
\pset null null
CREATE FUNCTION refused(query text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    state := 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;

-- Asked 10:00, the bot, asked for a person, handed over 10:03, Marta 10:15, Rui, resolved, asked again, Rui
CREATE TABLE t (n bigint, at timestamptz, channel text, agent text, is_bot boolean, direction text, means text);
INSERT INTO t VALUES
    (1, '2025-01-01 10:00Z', 'chat', NULL, NULL, 'in', NULL), (2, '2025-01-01 10:01Z', 'chat', 'bot', true, 'out', NULL),
    (3, '2025-01-01 10:02Z', 'chat', NULL, NULL, 'in', NULL), (4, '2025-01-01 10:03Z', 'chat', 'bot', true, NULL, 'hands_over'),
    (5, '2025-01-01 10:15Z', 'email', 'marta', false, 'out', NULL), (6, '2025-01-01 10:20Z', 'chat', 'rui', false, 'out', NULL),
    (7, '2025-01-01 10:30Z', 'chat', 'rui', false, NULL, 'resolves'), (8, '2025-01-01 10:30Z', 'chat', 'system', false, NULL, 'status'),
    (9, '2025-01-01 11:00Z', 'phone', NULL, NULL, 'in', NULL), (10, '2025-01-01 11:05Z', 'chat', 'rui', false, 'out', NULL);
\x on
SELECT (f).* FROM (SELECT conversation_agg(at, n, channel, agent, is_bot, direction, means) AS f FROM t) x;
\x off
SELECT r.* FROM (SELECT conversation_replies_agg(at, n, channel, agent, is_bot, direction, means) AS r FROM t) x, unnest(x.r) r;
-- nothing, and nothing but NULL
SELECT conversation_agg(at, n, channel, agent, is_bot, direction, means) IS NULL AS none, conversation_replies_agg(at, n, channel, agent, is_bot, direction, means) AS no_replies FROM t WHERE false;
SELECT conversation_agg(NULL, NULL, NULL, 'a', true, 'in', NULL) IS NULL AS none FROM t;
SELECT (conversation_agg(v.at, v.n, v.channel, v.agent, v.is_bot, v.direction, v.means)).touchpoints FROM (VALUES (1), (2)) o(n) LEFT JOIN (SELECT * FROM t WHERE n = 1) v USING (n);
-- a single one of each kind; an empty name is a name
SELECT d, m, (f).status, (f).handled_by, (f).agents, (f).messages_in AS "in", (f).messages_out AS out, (f).waiting_since IS NOT NULL AS waits, (f).waiting_time AS waited, (f).is_answered AS answered
FROM (SELECT d, m, conversation_agg('2025-01-01Z', 1, '', '', false, d, m) AS f
      FROM unnest('{in,out,NULL}'::text[]) d, unnest('{resolves,reopens,hands_over,status,asks_and_resolves,NULL}'::text[]) m GROUP BY d, m) x ORDER BY d, m;
-- equal times: by number; equal numbers, too: whatever they came in as
SELECT (conversation_agg('2025-01-01Z', n, 'c', NULL, NULL, CASE WHEN n = 1 THEN 'in' ELSE 'out' END, NULL)).is_answered AS first_asked,
       (conversation_agg('2025-01-01Z', -n, 'c', NULL, NULL, CASE WHEN n = 1 THEN 'in' ELSE 'out' END, NULL)).is_answered AS first_told
FROM (VALUES (2), (1)) v(n);
SELECT count(DISTINCT f) FROM (SELECT conversation_agg(at, n, channel, agent, is_bot, direction, means ORDER BY o)::text AS f
FROM (SELECT a, '2025-01-01Z'::timestamptz, 1, c, g, false, d, m, hashint4(a * 1000 + row_number() OVER ()::int)
      FROM generate_series(1, 50) a, unnest('{x,y}'::text[]) c, unnest('{NULL,p,q}'::text[]) g, unnest('{NULL,in,out}'::text[]) d, unnest('{NULL,resolves,asks_and_resolves}'::text[]) m)
     v(a, at, n, channel, agent, is_bot, direction, means, o)
GROUP BY a) x;

-- Any order, in parts, by workers
CREATE TABLE many AS
SELECT k, n, '2025-01-01Z'::timestamptz + (hashint4(n * 7 + k) % 5000) * interval '1 min' AS at, 'c' || n % 3 AS channel, CASE WHEN n % 4 > 0 THEN 'agent' || (hashint4(n) % 30) END AS agent, n % 4 = 1 AS is_bot,
       (ARRAY['in', 'out', 'out', NULL])[1 + abs(hashint4(n + k)) % 4] AS direction, (ARRAY['resolves', 'reopens', 'hands_over', 'status', 'asks_and_resolves'])[1 + abs(hashint4(n * 3 + k)) % 25] AS means
FROM generate_series(1, 200) k, generate_series(1, 60) n;
CREATE TABLE expected AS
SELECT k, conversation_agg(at, n, channel, agent, is_bot, direction, means ORDER BY at, n)::text AS f, conversation_replies_agg(at, n, channel, agent, is_bot, direction, means ORDER BY at, n)::text AS r FROM many GROUP BY k;
SELECT count(*) AS differ FROM expected JOIN (SELECT k, conversation_agg(at, n, channel, agent, is_bot, direction, means ORDER BY hashint8(n))::text AS f,
                                                     conversation_replies_agg(at, n, channel, agent, is_bot, direction, means ORDER BY hashint8(n))::text AS r FROM many GROUP BY k) x USING (k)
WHERE expected.f <> x.f OR expected.r <> x.r;
CREATE AGGREGATE part(timestamptz, bigint, text, text, boolean, text, text) (SFUNC = conversation_agg_transfn, STYPE = bytea);
CREATE AGGREGATE whole(bytea) (SFUNC = conversation_agg_combinefn, STYPE = bytea, FINALFUNC = conversation_agg_finalfn);
CREATE AGGREGATE whole_replies(bytea) (SFUNC = conversation_agg_combinefn, STYPE = bytea, FINALFUNC = conversation_replies_agg_finalfn);
SELECT count(*) AS differ FROM expected JOIN (SELECT k, whole(s ORDER BY p DESC)::text AS f, whole_replies(s)::text AS r
                                              FROM (SELECT k, n % 7 AS p, part(at, n, channel, agent, is_bot, direction, means) AS s FROM many GROUP BY 1, 2 UNION ALL SELECT DISTINCT k, -1, NULL::bytea FROM many) p GROUP BY k) x USING (k)
WHERE expected.f <> x.f OR expected.r <> x.r;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_sort = off;
ALTER TABLE many SET (parallel_workers = 2);
CREATE VIEW by_workers AS SELECT conversation_agg(at, n, channel, agent, is_bot, direction, means) AS f, conversation_replies_agg(at, n, channel, agent, is_bot, direction, means) AS r FROM many WHERE k < 50;
EXPLAIN (COSTS OFF) SELECT (f).touchpoints, r FROM by_workers;
CREATE TEMP TABLE parallel AS SELECT f::text, r::text FROM by_workers;
RESET enable_sort;
SET max_parallel_workers_per_gather = 0;
SELECT p.f = w.f::text AS facts, p.r = w.r::text AS replies FROM parallel p, by_workers w;
-- both in one query, and in windows that go on
SELECT count(*) AS differ
FROM (SELECT k, n, conversation_agg(at, n, channel, agent, is_bot, direction, means) OVER w AS f, conversation_replies_agg(at, n, channel, agent, is_bot, direction, means) OVER w AS r FROM many WHERE k < 5 WINDOW w AS (PARTITION BY k ORDER BY n)) x
     CROSS JOIN LATERAL (SELECT conversation_agg(at, m.n, channel, agent, is_bot, direction, means) AS f, conversation_replies_agg(at, m.n, channel, agent, is_bot, direction, means) AS r FROM many m WHERE m.k = x.k AND m.n <= x.n) y
WHERE x.f::text <> y.f::text OR x.r::text <> y.r::text;

-- A conversation of a million; one with very many names, some of which come again
SELECT (f).touchpoints, (f).messages_in, (f).messages_out, (f).agents, (f).waiting_time, cardinality(r) AS replies
FROM (SELECT conversation_agg('2025-01-01Z'::timestamptz + (i * 7919::bigint % 1000000) * interval '1 s', i, 'chat', CASE WHEN i % 2 = 0 THEN 'marta' END, false, CASE WHEN i % 2 = 0 THEN 'out' ELSE 'in' END, NULL) AS f,
             conversation_replies_agg('2025-01-01Z'::timestamptz + (i * 7919::bigint % 1000000) * interval '1 s', i, 'chat', CASE WHEN i % 2 = 0 THEN 'marta' END, false, CASE WHEN i % 2 = 0 THEN 'out' ELSE 'in' END, NULL) AS r
      FROM generate_series(1, 1000000) i) x;
SELECT max(length(part)) <= 32 * 1024 * 1024 AS small FROM (SELECT part('2025-01-01Z', i, 'chat', 'marta', false, 'out', NULL) FROM generate_series(1, 1000000) i) x;
SELECT max(length(part)) AS small FROM (SELECT k, part(at, n, channel, agent, is_bot, direction, means) FROM many WHERE n <= 6 GROUP BY k) x;
SELECT cardinality((f).agents) AS agents, cardinality((f).channels) AS channels, (f).transfers
FROM (SELECT conversation_agg('2025-01-01Z'::timestamptz + i * interval '1 s', i, 'chat', 'agent' || i / 2 % 5000, false, 'out', NULL) AS f FROM generate_series(0, 19999) i) x;

-- Refused
SELECT v.*, r.* FROM (VALUES ('NULL, 1, ''a'', NULL, NULL, NULL, NULL'), ('now(), NULL, ''a'', NULL, NULL, NULL, NULL'), ('now(), 1, NULL, NULL, NULL, NULL, NULL'),
    ('''infinity'', 1, ''a'', NULL, NULL, NULL, NULL'), ('now(), 1, ''a'', NULL, NULL, ''In'', NULL'), ('now(), 1, ''a'', NULL, NULL, '''', NULL'), ('now(), 1, ''a'', NULL, NULL, NULL, ''closes''')) v(query),
    refused('SELECT conversation_agg(' || query || ')') r;
SELECT r.* FROM refused($$SELECT conversation_agg(at, n, 'a', NULL, NULL, 'in', NULL) FROM (VALUES ('4713-01-01 BC'::timestamptz, 1), ('294276-12-31', 2)) v(at, n)$$) r;
SELECT conversation_agg_transfn(NULL, now(), 1, 'a', NULL, NULL, NULL, NULL);
SELECT conversation_agg_combinefn('\x00', '\x00');
SELECT conversation_agg_finalfn('\x00');
SELECT conversation_replies_agg_finalfn('\x00');

-- States that nobody made, combined or added to: refused, whichever byte is wrong, or at least harmless
CREATE FUNCTION outcome(state bytea, combined boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
    IF combined THEN
        PERFORM whole(s)::text, whole_replies(s)::text FROM (VALUES (state), (state)) v(s);
    ELSE
        EXECUTE format('CREATE AGGREGATE add_to(timestamptz, bigint, text, text, boolean, text, text) (SFUNC = conversation_agg_transfn, STYPE = bytea, FINALFUNC = conversation_agg_finalfn, INITCOND = %L)', state);
        PERFORM add_to(at, n, channel, agent, is_bot, direction, means)::text FROM t;
        DROP AGGREGATE add_to(timestamptz, bigint, text, text, boolean, text, text);
    END IF;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN coalesce(nullif(detail, ''), SQLSTATE || ' ' || SQLERRM);
END $$;
CREATE TABLE state AS SELECT combined, part(at, n, channel, agent, is_bot, direction, means) AS s FROM t, (VALUES (true), (false)) v(combined) WHERE n < 6 GROUP BY combined;
SELECT combined, outcome
FROM state, generate_series(0, length(s) - 1) i, unnest('{0,1,127,128,255}'::int[]) byte, outcome(set_byte(s, i, byte), combined) WHERE get_byte(s, i) <> byte
GROUP BY 1, 2 ORDER BY 1, outcome COLLATE "C";
SELECT outcome, count(*) > 0 AS some FROM state, generate_series(0, length(s) + 1) i, outcome(substr(s || '\x0000', 1, i), combined) WHERE i <> length(s) GROUP BY outcome ORDER BY outcome COLLATE "C";
-- no touchpoint, and names that reach over everything
SELECT outcome(overlay(s PLACING '\x00000000' FROM 5), combined) AS none, outcome(overlay(s PLACING '\xffffffff' FROM 5), combined) AS too_many,
       outcome(overlay(s PLACING '\xffffffff' FROM 9), combined) AS names, outcome(overlay(s PLACING '\xfcffffff' FROM 13), combined) AS long FROM state ORDER BY combined;

SET client_min_messages = error;
DROP SCHEMA conversation_agg CASCADE;
