-- Aggregates over plain rows: window_funnel, sequence_match and its kin, retention.
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;

-- c: the numbers of the conditions that a row meets
CREATE FUNCTION pg_temp.at(seconds numeric) RETURNS timestamptz LANGUAGE sql
RETURN timestamptz '2026-03-01 00:00:00Z' + seconds * interval '1 s';
CREATE TEMP TABLE ev (who text, at timestamptz, c integer[]);
INSERT INTO ev
SELECT who, pg_temp.at(split_part(part, ':', 1)::numeric), string_to_array(nullif(split_part(part, ':', 2), ''), ',')::integer[]
FROM (VALUES
    ('abc',           '0:1 5:2 9:3'),
    ('ab',            '0:1 5:2 20:3'),          -- 3 too late for the first 1
    ('restart',       '0:1 5:2 8:1 12:2 17:3'), -- in time for the later 1 only
    ('other order',   '0:3 1:2 2:1'),
    ('tie',           '4:3 4:2 4:1'),
    ('one row, all',  '7:1,2,3'),
    ('two rows, all', '7:1,2,3 7:1,2,3'),
    ('one each',      '7:1,2 7:1 7:3'),
    ('edge',          '0:1 10:2 10.000001:3'),
    ('intruder',      '0:1 1: 2:2 3:3'),
    ('intruded, then not', '0:1 1: 2:2 3:1 4:2 5:3'),
    ('too early',     '0:1 1:3 2:2 3:3'),
    ('twice',         '0:1 1:2 2:2 3:3'),
    ('start twice',   '0:1 1:1 2:2 3:3'),
    ('nothing',       '0: 1:'),
    ('late start',    '0:2 1:3')) v(who, events), string_to_table(events, ' ') part;

SELECT who,
       window_funnel('10 s', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS plain,
       window_funnel('10 s', 'strict_increase', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS increase,
       window_funnel('10 s', 'strict_once', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS once,
       window_funnel('10 s', 'strict_order', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS "order",
       window_funnel('10 s', 'strict_order, allow_reentry', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS reentry,
       window_funnel('10 s', 'strict_deduplication', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS dedup
FROM ev GROUP BY who ORDER BY min(ev.ctid);

-- Modes: none of them, in any order, more than once
SELECT window_funnel('10 s', m, at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)), m
FROM ev, unnest('{"",none,"none, strict_once","strict_once,strict_increase",strict_increase strict_increase,allow_reentry}'::text[]) m
WHERE who = 'two rows, all' GROUP BY m ORDER BY m COLLATE "C";
SELECT window_funnel('10 s', 'strict', at, true) FROM ev;
SELECT window_funnel('10 s', 'strict_once,Strict_Order', at, true) FROM ev;
SELECT window_funnel('10 s', NULL, at, true) FROM ev;

-- Windows: of a fixed length, inclusive, of no length at all
SELECT window_funnel('0', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS tie,
       window_funnel('0', 'strict_increase', at, 1 = ANY (c), 2 = ANY (c)) AS increase FROM ev WHERE who = 'tie';
SELECT window_funnel('10 s', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS ten,
       window_funnel('10.000001 s', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS more FROM ev WHERE who = 'edge';
SELECT window_funnel('1 day', t, n = 1, n = 2) AS day_is_24_hours
FROM (VALUES (timestamptz '2026-03-28 12:00 Europe/Berlin', 1), ('2026-03-29 12:00 Europe/Berlin', 2), ('2026-03-29 13:00 Europe/Berlin', 2)) v(t, n)
GROUP BY n > 2;
SELECT window_funnel('1 month', at, true) FROM ev;
SELECT window_funnel('-1 s', at, true) FROM ev;
SELECT window_funnel(NULL::interval, at, true) FROM ev;
SELECT window_funnel('200000000 years', at, true) FROM ev;
-- the widest there is, and times as far apart as they can be
SELECT window_funnel('106751991 days', t, n = 1, n = 2) FROM (VALUES (timestamptz '4713-01-01 BC', 1), ('294276-12-31', 2)) v(t, n);

-- NULL conditions are false; a NULL time is an error only where it counts
SELECT window_funnel('10 s', at, c = '{1}', c = '{2}') AS funnel, sequence_count('(?1)', at, c = '{1}') AS sequence,
       retention(c = '{1}', c = '{9}') FROM (SELECT * FROM ev UNION ALL SELECT 'abc', NULL, NULL) e WHERE who = 'abc';
SELECT window_funnel('10 s', t, NULL, true) FROM (VALUES (pg_temp.at(1))) v(t);
SELECT window_funnel('10 s', t, c, false) FROM (VALUES (NULL::timestamptz, true)) v(t, c);
SELECT window_funnel('10 s', 'strict_order', t, c) FROM (VALUES (NULL::timestamptz, false)) v(t, c);
SELECT sequence_match('(?1)', t, true) FROM (VALUES (timestamptz 'infinity')) v(t);
SELECT sequence_match('(?1)', t, false) FROM (VALUES (timestamptz '-infinity')) v(t);

-- No rows, none that counts
SELECT window_funnel('1 s', at, true), sequence_match('(?1)', at, true), sequence_count('(?1)', at, true),
       sequence_match_events('(?1)', at, true), retention(true), sequence_next_node('forward', 'head', at, who, true)
FROM ev WHERE false;
SELECT window_funnel('1 s', at, false), sequence_match('(?1)', at, false), sequence_count('(?1)', at, false),
       sequence_match_events('(?1)', at, false), retention(false, true), sequence_next_node('forward', 'head', at, who, false) FROM ev;

-- Conditions: as many as 64, booleans, also an array of them
SELECT window_funnel('1 day', t, VARIADIC ARRAY (SELECT i = n FROM generate_series(1, 64) n)),
       sequence_match_events('(?64)', t, VARIADIC ARRAY (SELECT i = n FROM generate_series(1, 64) n)),
       cardinality(retention(VARIADIC ARRAY (SELECT i = n FROM generate_series(1, 64) n)))
FROM generate_series(1, 64) i, pg_temp.at(i) t;
SELECT window_funnel('1 day', t, VARIADIC array_fill(true, '{65}')) FROM pg_temp.at(1) t;
SELECT format('SELECT window_funnel(''1 day'', now(), %s) AS "64 conditions"', string_agg('true', ', ')) FROM generate_series(1, 64) \gexec
SELECT format('SELECT window_funnel(''1 day'', now(), %s) AS "65 conditions"', string_agg('true', ', ')) FROM generate_series(1, 65) \gexec
SELECT retention(1) FROM ev;
SELECT window_funnel('10 s', at, true, 'true') FROM ev;
SELECT retention(true, 'true');  -- declared, up to eight
-- errors name the aggregate that was called, over windows, too
SELECT sequence_count('(?1)', at, 1) FROM ev;
SELECT sequence_match_events(NULL, at, true) FROM ev;
SELECT sequence_count(NULL, at, true) OVER () FROM ev;
SELECT sequence_match_events('(?1)', at, 1) OVER () FROM ev;
SELECT window_funnel('10 s', NULL::text, at, true) OVER () FROM ev;
-- unknown conditions: all of them, wherever their bytes happen to stand
DO $$
DECLARE
    n integer := 0;
BEGIN
    FOR i IN 1 .. 100 LOOP
        BEGIN
            EXECUTE format('SELECT %s window_funnel(''10 s'', now(), true, ''x'')', repeat('1, ', i));
        EXCEPTION WHEN datatype_mismatch THEN
            n := n + 1;
        END;
    END LOOP;
    RAISE NOTICE '% of 100 refused', n;
END $$;
SELECT retention(true, NULL, false);
-- whatever the number of conditions, and in whatever form they come
SELECT n, every.r = ARRAY(SELECT i % 3 = 1 FROM generate_series(1, n) i) AS array_right, spelt.r = every.r AS same
FROM generate_series(1, 10) n,
     LATERAL (SELECT retention(ARRAY(SELECT i % 3 = 1 FROM generate_series(1, v.k) i)) AS r
              FROM (VALUES (n)) v(k)) every,
     LATERAL (SELECT CASE n WHEN 1 THEN retention(true) WHEN 2 THEN retention(true, false)
                            WHEN 3 THEN retention(true, false, NULL) WHEN 4 THEN retention(true, false, NULL, true)
                            WHEN 5 THEN retention(true, false, false, true, false)
                            WHEN 6 THEN retention(true, false, false, true, false, NULL)
                            WHEN 7 THEN retention(true, false, false, true, false, false, true)
                            WHEN 8 THEN retention(true, false, false, true, false, false, true, false)
                            WHEN 9 THEN retention(true, false, false, true, false, false, true, false, false)
                            ELSE retention(VARIADIC '{t,f,f,t,f,f,t,f,f,t}'::boolean[]) END AS r) spelt;
-- what Citus asks of an aggregate that it pushes down
SELECT pronargs, bool_and(aggtranstype = 'bytea'::regtype AND aggcombinefn <> 0) AS partial, count(*)
FROM pg_aggregate JOIN pg_proc ON oid = aggfnoid WHERE proname = 'retention' AND provariadic = 0
GROUP BY pronargs ORDER BY pronargs;
SELECT retention(VARIADIC '{1,2}'::integer[]) FROM ev;
SELECT retention(VARIADIC NULL::boolean[]);
SELECT retention(VARIADIC '{}'::boolean[]), retention(VARIADIC '{{t,f},{NULL,t}}'::boolean[]);
SELECT retention(VARIADIC c) FROM (VALUES ('{t}'::boolean[]), ('{t,t}')) v(c);
SELECT sequence_match('(?1)', pg_temp.at(1), VARIADIC c) FROM (VALUES ('{t}'::boolean[]), ('{t,t}')) v(c);
CREATE DOMAIN pg_temp.yes AS boolean;
SELECT retention(true::pg_temp.yes);

-- The same for all rows of a group
SELECT window_funnel(w, pg_temp.at(1), true) FROM (VALUES (interval '1 s'), ('2 s')) v(w);
SELECT sequence_match(p, pg_temp.at(1), true) FROM (VALUES ('(?1)'), ('(?1)(?1)')) v(p);
SELECT p, sequence_count(p, at, c && '{1}', c && '{2}') FROM ev, (VALUES ('(?1)'), ('(?2)'), ('(?1)(?2)')) v(p) GROUP BY p ORDER BY p;

-- Sequences: neighbours are those among the rows that count
SELECT p, sequence_match(p, at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS match, sequence_count(p, at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS count,
       array(SELECT extract(epoch FROM t - pg_temp.at(0))::float FROM unnest(sequence_match_events(p, at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c))) t) AS events
FROM ev, (VALUES ('(?1)'), ('(?1)(?2)'), ('(?1)(?3)'), ('(?1).(?1)'), ('(?1)...(?3)'), ('(?1).*(?3)'), ('.*(?1).*(?3).*'), ('.'), ('. .'),
    ('(?1)(?t<=4)(?2)'), ('(?1)(?t<4)(?2)'), ('(?1)(?t>4)(?2)'), ('(?1)(?t>=8)(?2)'), ('(?1)(?t==9)(?3)'), ('(?1)(?t=9)(?3)'), ('(?1)(?t=9.5)(?3)'),
    ('(?1)(?t<=9000 ms)(?3)'), ('(?1) (?t > 8 s 999 ms) (?3)'), ('(?1)(?t<5).*(?3)'), ('(?1)(?t<=5).*(?3)'), ('(?1).*(?t<=9)(?3)'), ('(?1).*(?t<9)(?3)'),
    ('(?1)(?t>=8)(?t<=9)(?3)'), ('(?1)(?t>=6)(?t<=8).*(?3)'), ('(?1)(?t<=5).*(?t>=9)(?3)'), ('(?1)(?t>=0)(?2)(?t<=5)(?3)(?t<1)(?3)')) v(p)
WHERE who = 'restart' GROUP BY p ORDER BY min(v.p COLLATE "C");

-- A pattern that asks for no row is matched at each
SELECT p, sequence_match(p, at, 1 = ANY (c)), sequence_count(p, at, 1 = ANY (c)), sequence_match_events(p, at, 1 = ANY (c))
FROM ev, (VALUES (''), ('.*'), (' .* .*')) v(p) WHERE who = 'restart' GROUP BY p ORDER BY p;

-- Rows of one time: in the order of their conditions
SELECT sequence_match('(?1)(?2)(?3)', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS up,
       sequence_match('(?3)(?2)', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS down,
       sequence_match('(?1)(?t<=0)(?3)', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS at_once,
       sequence_match('(?1)(?t>0)(?3)', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) AS later FROM ev WHERE who = 'tie';

-- What is no pattern
\set VERBOSITY default
SELECT sequence_match('(?0)', at, true) FROM ev;
SELECT sequence_match('(?3)', at, true, true) FROM ev;
SELECT sequence_match('(?99999999999999999999)', at, true, true) FROM ev;
SELECT sequence_match('(?1', at, true) FROM ev;
SELECT sequence_match('(?)', at, true) FROM ev;
SELECT sequence_match('(?1)->(?1)', at, true) FROM ev;
SELECT sequence_match('(?1)(?t5)(?1)', at, true) FROM ev;
SELECT sequence_match('(?1)(?t<>5)(?1)', at, true) FROM ev;
SELECT sequence_match('(?1)(?t<=x)(?1)', at, true) FROM ev;
SELECT sequence_match('(?1)(?t<=-1)(?1)', at, true) FROM ev;
SELECT sequence_match('(?1)(?t<=1 month)(?1)', at, true) FROM ev;
SELECT sequence_match('(?1)(?t<=0.0000001)(?1)', at, true) FROM ev;
SELECT sequence_match('(?1)(?t<=99999999999999)(?1)', at, true) FROM ev;
SELECT sequence_match('(?t<=1)(?1)', at, true) FROM ev;
SELECT sequence_match('(?1)(?t<=1).*', at, true) FROM ev;
SELECT sequence_match(repeat('(?1)', 1001), at, true) FROM ev;
SELECT sequence_match('(?1)é', at, false) FROM ev;
SELECT sequence_match(NULL, at, true) FROM ev;
-- as long as it may be; more distinct steps than a word has bits
SELECT sequence_match(repeat('(?1)', 1000), pg_temp.at(i), true) AS thousand, sequence_count(repeat('(?1)', 1000), pg_temp.at(i), true) FROM generate_series(1, 2500) i;
SELECT sequence_count((SELECT string_agg(format('(?%s)', i), '' ORDER BY i) || '.' FROM generate_series(1, 64) i), pg_temp.at(i),
    VARIADIC ARRAY (SELECT i % 65 = n OR i % 65 = 0 AND n = 1 FROM generate_series(1, 64) n)) AS three FROM generate_series(1, 195) i;

-- What comes next
CREATE TEMP TABLE pages (id integer, at timestamptz, page text);
INSERT INTO pages SELECT id, pg_temp.at(n), page
FROM (VALUES (1, 'home,gift,exit'), (2, 'home,home,gift,basket'), (3, 'gift,home,gift,basket'), (4, 'home'), (5, 'basket,gift,home,gift,basket')) v(id, pages),
     string_to_table(pages, ',') WITH ORDINALITY p(page, n);
SELECT id, sequence_next_node('forward', 'head', at, page, page = 'home', page = 'home', page = 'gift') AS head,
       sequence_next_node('backward', 'tail', at, page, page = 'basket', page = 'basket', page = 'gift') AS tail,
       sequence_next_node('forward', 'first_match', at, page, page = 'gift', page = 'gift') AS first,
       sequence_next_node('forward', 'last_match', at, page, page = 'gift', page = 'gift') AS last,
       sequence_next_node('backward', 'first_match', at, page, page = 'gift', page = 'gift') AS before_first,
       sequence_next_node('backward', 'last_match', at, page, page = 'gift', page = 'gift', page = 'home') AS before_last,
       sequence_next_node('forward', 'head', at, page, page = 'home') AS if_head
FROM pages GROUP BY id ORDER BY id;
-- rows of one time are in the order of their values; a row without a value is none
SELECT sequence_next_node('forward', 'head', pg_temp.at(0), v, v = 'é', v = 'é') FROM (VALUES (NULL), ('é'), ('ö')) x(v);
SELECT sequence_next_node('forward', 'head', pg_temp.at(t), v, true, true) FROM (VALUES (1, 'é'), (2, NULL), (3, 'ö'), (NULL, NULL)) x(t, v);
SELECT sequence_next_node('forward', 'head', NULL, 'x', false, false), sequence_next_node('forward', 'head', at, 'x', NULL, true) FROM pages;
SELECT sequence_next_node('forward', 'head', NULL, 'x', true) FROM pages;
SELECT sequence_next_node('forwards', 'head', at, page, true) FROM pages;
SELECT sequence_next_node('forward', 'first', at, page, true) FROM pages;
SELECT sequence_next_node('backward', 'head', at, page, true) FROM pages;
SELECT sequence_next_node('forward', 'tail', at, page, true) FROM pages;
SELECT sequence_next_node('forward', 'first_match', at, page, true) FROM pages;
SELECT sequence_next_node(NULL, 'head', at, page, true) FROM pages;
SELECT sequence_next_node('forward', b, at, page, true, true) FROM pages, (VALUES ('head'), ('first_match')) v(b);
-- whatever the order of arrival and however many rows there are, of which few are kept
SELECT d, b, array_agg(DISTINCT r) AS next
FROM (VALUES ('forward', 'head'), ('backward', 'tail'), ('forward', 'first_match'), ('forward', 'last_match'),
             ('backward', 'first_match'), ('backward', 'last_match')) v(d, b),
     (VALUES (1), (-1), (7919)) o(o),
     LATERAL (SELECT sequence_next_node(d, b, pg_temp.at(i), i::text, true, b IN ('head', 'tail') OR i IN (1000, 2000, 4000), true, true) AS r
              FROM (SELECT i FROM generate_series(1, 5000) i ORDER BY i * o % 5003) s) t
GROUP BY d, b ORDER BY d, b;

-- Retention
SELECT who, retention(1 = ANY (c), 2 = ANY (c), 3 = ANY (c), 4 = ANY (c)) FROM ev WHERE who IN ('abc', 'late start', 'nothing', 'one row, all') GROUP BY who ORDER BY who;

-- As window functions, in other orders, with DISTINCT and FILTER
SELECT at - pg_temp.at(0) AS at, window_funnel('10 s', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) OVER w, sequence_count('(?1).*(?2)', at, 1 = ANY (c), 2 = ANY (c)) OVER w,
       retention(1 = ANY (c), 3 = ANY (c)) OVER w, sequence_next_node('forward', 'head', at, c::text, true, true) OVER w
FROM ev WHERE who = 'restart' WINDOW w AS (ORDER BY at);
SELECT window_funnel('10 s', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c) ORDER BY at DESC) AS sorted,
       window_funnel('10 s', at, 1 = ANY (c), 2 = ANY (c), 3 = ANY (c)) FILTER (WHERE NOT 3 = ANY (c)) AS filtered FROM ev WHERE who = 'abc';
-- ... the server forgets VARIADIC with OVER, and in views too
CREATE TEMP VIEW variadic_over AS
SELECT DISTINCT window_funnel('10 s', at, VARIADIC ARRAY[1 = ANY (c), 2 = ANY (c)]) OVER (), retention(VARIADIC ARRAY[1 = ANY (c), 4 = ANY (c)]) OVER ()
FROM ev WHERE who = 'restart';
TABLE variadic_over;
DO $$ BEGIN EXECUTE 'CREATE OR REPLACE TEMP VIEW variadic_over AS ' || pg_get_viewdef('variadic_over'); END $$;
TABLE variadic_over;

-- Many parameters in turn, each remembered
SELECT count(*) AS windows, sum(level) AS levels, sum(n) AS rows
FROM (SELECT window_funnel(w * interval '1 s', pg_temp.at(i * w), i = 0, i = 1, i = 3) AS level, count(*) AS n
      FROM generate_series(0, 3) i, generate_series(1, 3000) w GROUP BY w) s;
SELECT count(*) AS patterns, sum(n) AS matches
FROM (SELECT sequence_count(format('(?1)(?t=%s)(?2)', w), pg_temp.at(i * w), i % 2 = 0, i % 2 = 1) AS n
      FROM generate_series(0, 3) i, generate_series(1, 3000) w GROUP BY w) s;

-- An aggregate that is dropped before its cursor reads the first row
CREATE AGGREGATE pg_temp.funnel(interval, timestamptz, VARIADIC "any") (
    SFUNC = window_funnel_transfn, STYPE = internal, FINALFUNC = window_funnel_finalfn);
BEGIN;
DECLARE late CURSOR FOR SELECT pg_temp.funnel('10 s', at, true) FROM ev;
DROP AGGREGATE pg_temp.funnel(interval, timestamptz, VARIADIC "any");
FETCH late;
COMMIT;

-- Parallel plans answer the same
CREATE TABLE many AS SELECT i % 200 AS who, pg_temp.at((i * 7919) % 5000) AS at, (i * 31) % 7 AS n FROM generate_series(1, 20000) i;
CREATE TEMP TABLE serial AS
SELECT who, window_funnel('10 min', at, n = 1, n = 2, n = 3) AS funnel, window_funnel('10 min', 'strict_order', at, n = 1, n = 2, n = 3) AS "order",
       sequence_count('(?1)(?t<=600)(?2).*(?3)', at, n = 1, n = 2, n = 3) AS count, sequence_match_events('(?1).*(?2).*(?3)', at, n = 1, n = 2, n = 3) AS events,
       sequence_next_node('backward', 'last_match', at, n::text, true, n = 3, true) AS next, retention(n = 1, n = 6, n = 9) FROM many GROUP BY who;
ANALYZE many;
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
CREATE TEMP VIEW parallel AS
SELECT who, window_funnel('10 min', at, n = 1, n = 2, n = 3) AS funnel, window_funnel('10 min', 'strict_order', at, n = 1, n = 2, n = 3) AS "order",
       sequence_count('(?1)(?t<=600)(?2).*(?3)', at, n = 1, n = 2, n = 3) AS count, sequence_match_events('(?1).*(?2).*(?3)', at, n = 1, n = 2, n = 3) AS events,
       sequence_next_node('backward', 'last_match', at, n::text, true, n = 3, true) AS next, retention(n = 1, n = 6, n = 9) FROM many GROUP BY who;
EXPLAIN (COSTS OFF) SELECT window_funnel('10 min', at, n = 1, n = 2, n = 3), sequence_match('(?1)', at, n = 1), retention(n = 1) FROM many GROUP BY who;
SELECT count(*), count(DISTINCT (funnel, "order", count, events, next, retention)) > 10 AS varied FROM (TABLE parallel INTERSECT TABLE serial) s;
DROP TABLE many CASCADE;
