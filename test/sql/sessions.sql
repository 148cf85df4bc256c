-- session_number: sessions of rows are those that lag() and sum() find, and those of journey_sessions.
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE SCHEMA sessions;
SET search_path = sessions, public;

-- A gap of exactly the limit still belongs; rows of the same time do; NULL times are passed over, wherever they stand.
CREATE TABLE hand (id int, c text, t timestamptz);
INSERT INTO hand VALUES
    (1, 'a', '2026-01-01 10:00Z'), (2, 'a', '2026-01-01 10:00Z'), (3, 'a', '2026-01-01 10:30Z'), (4, 'a', '2026-01-01 11:00:00.000001Z'),
    (5, 'a', NULL), (6, 'b', NULL), (7, 'b', '2026-01-01 11:10Z'), (8, 'c', NULL), (9, 'd', '4714-11-24Z BC'), (10, 'd', '294276-12-31 23:59:59.999999Z');
SELECT c, t, session_number(t, '30 min') OVER (PARTITION BY c ORDER BY t, id) FROM hand ORDER BY id;
SELECT c, t, session_number(t, gap => '30 min') OVER (PARTITION BY c ORDER BY t NULLS FIRST, id) FROM hand WHERE c < 'd' ORDER BY c, t NULLS FIRST, id;
SELECT id, session_number(t, '0') OVER w AS gap_0, session_number(t, '1 us') OVER w AS gap_1,
       session_number(t, '100000 days') OVER w AS long, session_number(t, '106751991 days') OVER w AS longest
FROM hand WHERE c IN ('a', 'd') WINDOW w AS (ORDER BY t, id) ORDER BY id;
SELECT pg_typeof(session_number(now(), '1 h') OVER ());
SELECT session_number(t, '1 h') OVER (ORDER BY t) FROM hand WHERE false;
-- a day of the gap has 24 hours, whatever the clocks do; the frame makes no difference; nor does the order among the same times
SET timezone = 'Europe/Berlin';
SELECT t, session_number(t, '1 day') OVER (ORDER BY t ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING)
FROM unnest('{2021-03-27 12:00,2021-03-28 12:00,2021-03-29 12:00,2021-10-30 12:00,2021-10-31 12:00}'::timestamptz[]) t;
SET timezone = 'UTC';
-- a gap of each row's own: it is that of the later row which counts
SELECT t, session_number(t, g) OVER (ORDER BY t)
FROM (VALUES (timestamptz '2026-01-01 10:00Z', interval '1 min'), ('2026-01-01 10:10Z', '10 min'), ('2026-01-01 10:20Z', '9 min'), ('2026-01-01 10:25Z', '1 h')) v(t, g);

-- errors
SELECT session_number(t, NULL) OVER (ORDER BY t) FROM hand;
\echo :LAST_ERROR_SQLSTATE
SELECT session_number(t, '-1 s') OVER (ORDER BY t) FROM hand;
\echo :LAST_ERROR_SQLSTATE
SELECT session_number(t, '1 month') OVER (ORDER BY t) FROM hand;
\echo :LAST_ERROR_SQLSTATE
SELECT session_number(t, '2147483647 days') OVER (ORDER BY t) FROM hand;
\echo :LAST_ERROR_SQLSTATE
SELECT session_number(t, '30 min') OVER (ORDER BY t DESC NULLS LAST) FROM hand WHERE c = 'a';
\echo :LAST_ERROR_SQLSTATE
SELECT session_number(t, '30 min') OVER (ORDER BY t) FROM (VALUES (timestamptz 'infinity')) v(t);
\echo :LAST_ERROR_SQLSTATE
SELECT session_number(t, '30 min') OVER (ORDER BY t) FROM (VALUES (timestamptz '-infinity')) v(t);
\echo :LAST_ERROR_SQLSTATE
SELECT session_number(t, '30 min') FROM hand;
\echo :LAST_ERROR_SQLSTATE
CREATE OPERATOR ### (LEFTARG = timestamptz, RIGHTARG = interval, FUNCTION = session_number);
SELECT t ### '30 min' FROM hand;
\echo :LAST_ERROR_SQLSTATE

-- Random rows: as plain SQL says, and as journey_sessions cuts. Odd customers' times are whole 5 minutes, so that ties and
-- gaps of exactly the limit come up.
CREATE TABLE visit AS
SELECT c, n, timestamptz '2021-10-30Z' + CASE WHEN c % 2 = 1 THEN interval '5 min' * (h % 400) ELSE interval '1 us' * (h::bigint * 997 % 100000000000) END AS t
FROM generate_series(1, 300) c, generate_series(1, 1 + c % 40) n, LATERAL (SELECT ('x' || left(md5(c || ' ' || n), 6))::bit(24)::int) x(h);
CREATE VIEW told AS
SELECT gap, c, n, t, session_number(t, gap) OVER (PARTITION BY gap, c ORDER BY t) AS session
FROM visit, unnest('{0,5 min,30 min,3:07:11,1 day}'::interval[]) gap;
SELECT count(*) FILTER (WHERE session <> plain) AS wrong, max(session) > 20 AS many, bool_or(tie) AS ties
FROM (SELECT *, 1 + sum((t - before > gap)::int) OVER (PARTITION BY gap, c ORDER BY t) AS plain, t = before AS tie
      FROM (SELECT *, lag(t, 1, t) OVER (PARTITION BY gap, c ORDER BY t) AS before FROM told) x) x;
SELECT count(*) FILTER (WHERE rows IS DISTINCT FROM journeys) AS wrong
FROM (SELECT gap, c, array_agg(n ORDER BY session) AS rows FROM (SELECT gap, c, session, count(*) AS n FROM told GROUP BY 1, 2, 3) x GROUP BY 1, 2) r
     FULL JOIN (SELECT gap, c, array_agg(journey_length(s)::bigint ORDER BY i) AS journeys
                FROM (SELECT c, journey_agg(t, 'a', 'a') AS j FROM visit GROUP BY c) v, unnest('{0,5 min,30 min,3:07:11,1 day}'::interval[]) gap,
                     journey_sessions(j, gap) WITH ORDINALITY x(s, i) GROUP BY 1, 2) j USING (gap, c);

-- A long partition is not kept
CREATE FUNCTION temp_blocks(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) ' || query INTO plan;
    RETURN plan->0->'Plan'->>'Temp Written Blocks';
END $$;
SET work_mem = '64kB';
SELECT temp_blocks('SELECT session_number(timestamptz ''2021-10-30Z'' + i * interval ''1 min'', ''30 min'') OVER ()
                    FROM (SELECT generate_series(1, 50000) AS i) s');
RESET work_mem;

SET client_min_messages = error;
DROP SCHEMA sessions CASCADE;
