-- Functions over journeys: cases by hand, errors, and random journeys around the days on which clocks change, where plain
-- SQL over the rows says the same.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET client_min_messages = warning;
CREATE SCHEMA analytics;
SET search_path = analytics, public;

-- Retention by hand. The first start counts, and returns behind it, even at its own time; bracket 0 is told either way.
CREATE TABLE j (id int, j journey);
INSERT INTO j VALUES
    (1, '{web.view@2026-01-31T10:00:00Z, web.buy=9@2026-01-31T10:00:00Z, app.view@2026-02-01T09:00:00Z, web.buy=5@2026-02-09T09:00:00Z, web.view@2026-03-01T00:00:00Z}'),
    (2, '{web.buy=5@2026-02-09T09:00:00Z}'), (3, '{}'), (4, NULL), (5, '{"Loja São João"."vê"@2026-02-28T23:59:59.999999Z, "Loja São João".é@2026-03-01T00:00:00Z}');
SELECT id, start, back, unit, string_agg(cohort || '+' || bracket, ' ' ORDER BY n) AS answer
FROM j, (VALUES ('%.view', '%.buy'), ('%.view', '%.view'), ('%.buy', '%.view'), ('%.buy', '%[value > 6]'), ('%', '%'), ('%."vê"', '%."é"')) v(start, back),
     unnest('{day,week,month}'::text[]) unit,
     journey_retention(j, start::journey_pattern, back::journey_pattern, unit, 'UTC') WITH ORDINALITY r(cohort, bracket, n)
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, array_position('{day,week,month}', unit);
-- weeks begin on Monday, also before 2000 and before Christ; months are those of the calendar, however long
SELECT t, (SELECT cohort FROM journey_retention(touchpoint(t, 'a', 'a'), '%', '%', 'week', 'UTC')) AS week, date_trunc('week', t) AS plain_week,
       (SELECT cohort FROM journey_retention(touchpoint(t, 'a', 'a'), '%', '%', 'month', 'UTC')) AS month,
       (SELECT cohort FROM journey_retention(touchpoint(greatest(t, '4713-01-01Z BC'), 'a', 'a'), '%', '%', 'quarter', 'UTC')) AS quarter,
       (SELECT cohort FROM journey_retention(touchpoint(greatest(t, '4713-01-01Z BC'), 'a', 'a'), '%', '%', 'year', 'UTC')) AS year,
       (SELECT max(bracket) FROM journey_retention(touchpoint(t, 'a', 'a') || touchpoint('2026-01-01Z', 'a', 'a'), '%', '%', 'day', 'UTC')) AS days
FROM unnest('{2026-01-04Z,2026-01-05Z,1999-12-31Z,1999-12-26Z,1970-01-01Z,0001-01-01Z,0044-03-15Z BC,4714-12-31Z BC}'::timestamptz[]) t;
SELECT cohort, bracket
FROM journey_retention(touchpoint('4714-12-31Z BC', 'a', 'a') || touchpoint('294276-12-31 23:59:59.999999Z', 'a', 'a'), '%', '%', 'month', 'Etc/GMT-14');

-- What a local day is: Berlin's has 23 or 25 hours; Santiago's and Beirut's begin at 01:00 or end with an hour twice; in
-- Apia one was left out; in St. John's clocks went back over midnight for a minute, and what is back on the day before
-- the cohort's counts as the same day.
SELECT zone, t1, t2, (SELECT array_agg(bracket ORDER BY n) FROM journey_retention(touchpoint(t1, 'a', 'a') || touchpoint(t2, 'b', 'b'), 'a.a', '%', 'day', zone) WITH ORDINALITY r(c, bracket, n)) AS days,
       t2 - t1 AS apart
FROM (VALUES
    ('Europe/Berlin', timestamptz '2021-03-27 23:00Z', timestamptz '2021-03-28 21:59Z'), ('Europe/Berlin', '2021-03-27 23:00Z', '2021-03-28 22:00Z'),
    ('Europe/Berlin', '2021-10-30 22:00Z', '2021-10-31 22:59Z'), ('Europe/Berlin', '2021-10-30 22:00Z', '2021-10-31 23:00Z'),
    ('America/Santiago', '2021-04-03 03:00Z', '2021-04-04 03:59Z'), ('America/Santiago', '2021-04-03 03:00Z', '2021-04-04 04:00Z'),
    ('America/Santiago', '2021-09-05 03:59Z', '2021-09-05 04:00Z'), ('America/Santiago', '2021-09-05 04:00Z', '2021-09-06 02:59Z'),
    ('Asia/Beirut', '2021-03-27 21:59Z', '2021-03-27 22:00Z'), ('Asia/Beirut', '2021-03-27 22:00Z', '2021-03-28 20:59Z'),
    ('Asia/Beirut', '2021-10-29 21:00Z', '2021-10-30 21:59Z'), ('Asia/Beirut', '2021-10-29 21:00Z', '2021-10-30 22:00Z'),
    ('Pacific/Apia', '2011-12-30 09:59Z', '2011-12-30 10:00Z'),
    ('America/St_Johns', '2010-11-07 02:29Z', '2010-11-07 02:30Z'), ('America/St_Johns', '2010-11-07 02:30Z', '2010-11-07 02:31Z'), ('America/St_Johns', '2010-11-07 02:30Z', '2010-11-07 03:30Z')
) v(zone, t1, t2);
-- names in any case, and POSIX rules; the far future follows the last rule
SELECT zone, (SELECT cohort FROM journey_retention(touchpoint('2021-06-30 20:15Z', 'a', 'a'), '%', '%', 'day', zone)) AS day,
       (SELECT count(*) FROM generate_series('2999-01-01Z'::timestamptz, '2999-12-31Z', '1 hour') t, journey_retention(touchpoint(t, 'a', 'a'), '%', '%', 'day', zone)
        WHERE cohort <> (t AT TIME ZONE zone)::date) AS wrong
FROM unnest('{europe/BERLIN,UTC,Etc/GMT-14,EST5EDT,<+0330>-3:30,Asia/Kathmandu}'::text[]) zone;

-- Lifecycle by hand. The unit behind an active one is dormant if it begins before "until", which is no touchpoint's limit.
SELECT unit, period, state FROM unnest('{day,week,month}'::text[]) unit, j, journey_lifecycle(j, '%', unit, 'UTC') WITH ORDINALITY r(period, state, n) WHERE id = 1
ORDER BY array_position('{day,week,month}', unit), n;
SELECT id, count(state) FROM j LEFT JOIN journey_lifecycle(j, 'web.view', 'month', 'UTC') ON true GROUP BY id ORDER BY id;
SELECT until, string_agg(period || ' ' || state, ', ' ORDER BY n) AS answer
FROM unnest('{-infinity,4714-11-24Z BC,2026-03-31 21:59:59.999999Z,2026-03-31 22:00Z,2026-03-31 22:00:00.000001Z,294276-12-31 23:59:59.999999Z,infinity}'::timestamptz[]) until,
     journey_lifecycle('{a.a@2026-03-10T10:00:00Z}', '%', 'month', 'Europe/Berlin', until) WITH ORDINALITY r(period, state, n)
GROUP BY until ORDER BY until;

-- Time in a state: until the next touchpoint; a run is one stay; the last touchpoint takes no time.
SELECT by, r.* FROM unnest('{channel,action,label}'::text[]) by, j, journey_time_in(j, by) WITH ORDINALITY r(state, stays, time_spent, n) WHERE id = 1
ORDER BY array_position('{channel,action,label}', by), n;
SELECT id, r.* FROM j, journey_time_in(j) r WHERE id <> 1 ORDER BY 1, 2;
SELECT r.* FROM j, journey_time_in(j, by => 'label') r WHERE id = 5 ORDER BY r.state COLLATE "C";
-- the longest there is: more microseconds than an int64 counts
SELECT * FROM journey_time_in(touchpoint('4714-11-24Z BC', 'a', 'a') || touchpoint('294276-12-31 23:59:59.999999Z', 'b', 'b'));

-- Items: a skipped one has no touchpoint; one of several touchpoints is complete with its last
CREATE TABLE w AS SELECT '{a.a@2026-01-01T00:00:00Z#1, v.v@2026-01-01T00:00:01Z#2, v.v@2026-01-01T00:00:02Z#3, b.b=7@2026-01-01T00:00:09Z#4, a.a@2026-01-01T00:00:10Z#5}'::journey AS w;
SELECT p, string_agg(coalesce(touchpoint_ref(journey_item(w, p::journey_pattern, n))::text, '-'), ' ' ORDER BY n) AS "-5 to 5"
FROM w, unnest(ARRAY['a.a -> v.v{2} -> x.x? -> b.b -> c.c', 'a.a -> v.v -> b.b', 'v.v+ -> b.b', 'z.z -> a.a', 'a.a -> a.a', 'a.a | v.v -> b.b', '^ a.a => v.v $', 'b.b -[!v.v]-> a.a', 'all(b.b, v.v) -> a.a']) p,
     generate_series(-5, 5) n GROUP BY p ORDER BY p COLLATE "C";
SELECT journey_item(w, 'a.a -> b.b[value = 7]', -1), pg_typeof(journey_item(w, '%', 1)), journey_item(w, '%', 2147483647) IS NULL AS above, journey_item(w, '%', -2147483648) IS NULL AS below FROM w;
SELECT id, journey_item(j, '%', 1) FROM j ORDER BY id;

-- Parts: behind each match; the rest last; nothing of nothing
SELECT p, (SELECT string_agg(s::text, ' / ' ORDER BY i) FROM journey_split(w, p::journey_pattern) WITH ORDINALITY x(s, i)) AS parts
FROM w, unnest(ARRAY['v.v', 'a.a', 'a.a -> b.b', 'z.z', '^ a.a', 'a.a $', 'b.b[value > 6]', '%{2}']) p;
SELECT id, journey_split(j, 'web.buy') FROM j ORDER BY id, 2;

-- NULLs: STRICT
SELECT count(*) FROM j, journey_retention(j, NULL, '%', 'day', 'UTC');
SELECT count(*) FROM j, journey_retention(j, '%', '%', 'day', NULL);
SELECT count(*) FROM j, journey_lifecycle(j, '%', 'day', 'UTC', NULL);
SELECT count(*) FROM j, journey_time_in(j, NULL);
SELECT count(journey_item(j, '%', NULL)) FROM j;
SELECT count(*) FROM j, journey_split(j, NULL);

-- Errors
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
\x on
SELECT query, state, left(message, 60) AS message, detail, hint FROM (VALUES
    ('journey_retention(j, ''%'', ''%'', ''days'', ''UTC'')'), ('journey_retention(j, ''%'', ''%'', '''', ''UTC'')'),
    ('journey_lifecycle(j, ''%'', ''Day'', ''UTC'')'),
    ('journey_retention(j, ''%'', ''%'', ''day'', ''Europe/Nowhere'')'), ('journey_retention(j, ''%'', ''%'', ''day'', ''CEST'')'),
    ('journey_retention(j, ''%'', ''%'', ''day'', '''')'), ('journey_lifecycle(j, ''%'', ''day'', repeat(''x'', 100000))'),
    ('journey_retention(j, ''% -> %'', ''%'', ''day'', ''UTC'')'), ('journey_retention(j, ''%'', ''^ a.a'', ''day'', ''UTC'')'),
    ('journey_lifecycle(j, ''a.a | b.b'', ''day'', ''UTC'')'), ('journey_lifecycle(j, ''a.a -[!b.b for 1 day]-> $'', ''day'', ''UTC'')'),
    ('journey_time_in(j, ''Channel'')'),
    ('journey_retention(''{a.a@-4713-11-24T00:00:00Z}'', ''%'', ''%'', ''month'', ''UTC'')'),
    ('journey_lifecycle(''{a.a@-4713-11-24T00:00:00Z}'', ''%'', ''day'', ''America/New_York'')')
) v(query), refused('SELECT x FROM j, ' || query || ' x') r(state, message, detail, hint);
\x off

-- Random journeys, near the changes of clocks, of a few days or of years. In Casey 2010-03-05 02:00 was followed by
-- 2010-03-04 23:00, so that dates fall while times ascend.
CREATE TABLE touch AS
SELECT c, n, date_trunc('minute', b.t + CASE WHEN c % 5 < 2 THEN interval '1 min' * (h[1] % 4000) ELSE interval '1 min' * (h[1] % CASE WHEN c % 5 < 4 THEN 40000 ELSE 2000000 END) END) AS t,
       (ARRAY['web', 'app', 'Loja São João', 'phone'])[1 + h[2] % 4] AS channel, (ARRAY['view', 'buy', 'vê', 'call', 'quit'])[1 + h[3] % 5] AS action, h[3] % 3 AS value
FROM generate_series(1, 250) c, generate_series(1, 1 + c % 17) n,
     LATERAL (SELECT (ARRAY['2021-03-27Z', '2021-10-29Z', '2021-04-02Z', '2021-09-03Z', '2010-11-05Z', '2010-03-03Z', '2011-12-28Z', '2019-12-29Z', '1999-12-29Z']::timestamptz[])[1 + c % 9]) b(t),
     LATERAL (SELECT array_agg(('x' || substr(md5(c || ' ' || n), i * 6 + 1, 6))::bit(24)::int ORDER BY i) FROM generate_series(0, 2) i) x(h);
CREATE TABLE packed AS SELECT c, journey_agg(t, channel, action, value) AS j FROM touch GROUP BY c;
ANALYZE packed;
CREATE TABLE touchpoint AS SELECT c, s.* FROM packed, journey_steps(j) s;
CREATE TABLE zone (zone text);
INSERT INTO zone VALUES ('Europe/Berlin'), ('America/Santiago'), ('Asia/Beirut'), ('Pacific/Apia'), ('Australia/Lord_Howe'), ('America/St_Johns'), ('Antarctica/Casey'), ('UTC'), ('Asia/Kathmandu');
CREATE TABLE unit (unit text, every interval);
INSERT INTO unit VALUES ('day', '1 day'), ('week', '1 week'), ('month', '1 month'), ('quarter', '3 months'), ('year', '1 year');
CREATE FUNCTION units(unit text, a date, b date) RETURNS int LANGUAGE sql IMMUTABLE
RETURN CASE unit WHEN 'day' THEN b - a WHEN 'week' THEN (b - a) / 7
                 ELSE ((extract(year FROM b) - extract(year FROM a)) * 12 + extract(month FROM b) - extract(month FROM a))
                      / CASE unit WHEN 'month' THEN 1 WHEN 'quarter' THEN 3 ELSE 12 END END;

CREATE TABLE ours AS
SELECT c, zone, unit, cohort, bracket FROM packed, zone, unit, journey_retention(j, '%.view', 'web.%[value >= 1]', unit, zone);
CREATE TABLE plain AS
WITH local AS (SELECT *, date_trunc(unit, occurred_at AT TIME ZONE zone)::date AS d FROM touchpoint, zone, unit),
     first AS (SELECT DISTINCT ON (c, zone, unit) c, zone, unit, d AS cohort, "position" AS p FROM local WHERE action = 'view' ORDER BY c, zone, unit, "position")
SELECT c, zone, unit, cohort, 0 AS bracket FROM first
UNION
SELECT c, zone, unit, cohort, greatest(units(unit, cohort, d), 0) FROM first JOIN local USING (c, zone, unit) WHERE channel = 'web' AND value >= 1 AND "position" > p;
SELECT count(*) AS wrong FROM (TABLE ours EXCEPT ALL TABLE plain UNION ALL (TABLE plain EXCEPT ALL TABLE ours)) x;
SELECT count(*) > 5000 AS many, count(DISTINCT (c, cohort)) > count(DISTINCT c) AS zones_differ, max(bracket) > 1000 AS far FROM ours;
-- rows come in order
SELECT count(*) AS wrong
FROM (SELECT n, row_number() OVER (PARTITION BY c, zone ORDER BY bracket) AS plain FROM packed, zone, journey_retention(j, '%', '%', 'day', zone) WITH ORDINALITY r(cohort, bracket, n)) x WHERE n <> plain;

DROP TABLE ours, plain;
CREATE TABLE ours AS
SELECT c, zone, unit, until, period, state
FROM packed, zone, unit, unnest('{2021-04-05 04:00Z,2021-09-05 04:00Z,2012-01-01 10:00Z,infinity}'::timestamptz[]) until, journey_lifecycle(j, '%.%[value < 2]', unit, zone, until);
CREATE TABLE plain AS
WITH active AS (SELECT DISTINCT c, zone, unit, every, date_trunc(unit, occurred_at AT TIME ZONE zone)::date AS d FROM touchpoint, zone, unit WHERE value < 2),
     around AS (SELECT *, lag(d) OVER w AS before, lead(d) OVER w AS after FROM active WINDOW w AS (PARTITION BY c, zone, unit ORDER BY d))
SELECT c, zone, unit, until, d AS period, CASE WHEN before IS NULL THEN 'new' WHEN before + every = d THEN 'returning' ELSE 'resurrecting' END AS state
FROM around, (SELECT DISTINCT until FROM ours) u
UNION ALL
SELECT c, zone, unit, until, (d + every)::date, 'dormant' FROM around, (SELECT DISTINCT until FROM ours) u
WHERE d + every IS DISTINCT FROM after AND (d + every)::timestamp AT TIME ZONE zone < until;
SELECT count(*) AS wrong FROM (TABLE ours EXCEPT ALL TABLE plain UNION ALL (TABLE plain EXCEPT ALL TABLE ours)) x;
SELECT state, count(*) > 2000 AS many FROM ours GROUP BY state ORDER BY state;

DROP TABLE ours, plain;
CREATE TABLE ours AS SELECT c, by, r.* FROM packed, unnest('{channel,action,label}'::text[]) by, journey_time_in(j, by) r;
CREATE TABLE plain AS
WITH s AS (SELECT c, by, "position" AS p, occurred_at AS t, CASE by WHEN 'channel' THEN channel WHEN 'action' THEN action ELSE touchpoint_label(touchpoint(occurred_at, channel, action)) END AS state
           FROM touchpoint, unnest('{channel,action,label}'::text[]) by),
     n AS (SELECT *, lead(t) OVER w - t AS spent, lag(state) OVER w IS DISTINCT FROM state AS begins FROM s WINDOW w AS (PARTITION BY c, by ORDER BY p))
SELECT c, by, state, count(*) FILTER (WHERE begins) AS stays, justify_hours(coalesce(sum(spent), '0')) AS time_spent FROM n GROUP BY 1, 2, 3;
SELECT count(*) AS wrong FROM (SELECT c, by, state, stays, time_spent::text FROM ours EXCEPT ALL SELECT c, by, state, stays, time_spent::text FROM plain) x;
SELECT (SELECT count(*) FROM ours) = (SELECT count(*) FROM plain) AS all_told, (SELECT max(stays) FROM ours) > 5 AS many;
SELECT count(*) AS wrong FROM (SELECT c, by, justify_hours(sum(time_spent)) AS spent FROM ours GROUP BY 1, 2) s JOIN packed USING (c) WHERE spent <> journey_end(j) - journey_start(j);

-- An item's touchpoint is the last one of its kind in the partial match; here, where items have one touchpoint each, the n-th of it
SELECT count(*) FILTER (WHERE item IS DISTINCT FROM plain) AS wrong, count(item) > 2000 AS many
FROM (SELECT journey_item(j, p, n) AS item, journey_nth(journey_progress(j, p), CASE WHEN abs(n) <= journey_reached(j, p) THEN n END) AS plain
      FROM packed, unnest('{%.view -> %.buy -> %.quit,%.view -[<= 2 days]-> web.% => app.%,% -> % -> %[value > 1] within 3 days}'::journey_pattern[]) p, generate_series(-4, 4) n) x;
-- Parts, merged, are the journey; each but the last ends with a match's end, and has no other match
SELECT count(*) FILTER (WHERE whole IS DISTINCT FROM j) AS wrong, count(*) FILTER (WHERE parts NOT IN (matches, matches + 1)) AS wrong_number, max(matches) > 3 AS many
FROM (SELECT c, p, journey_match_count(j, p) AS matches, count(s) AS parts, journey_agg(s) AS whole
      FROM packed, unnest('{%.buy,web.% -> %.view,%.view -[<= 2 days]-> %[value = 0]}'::journey_pattern[]) p, journey_split(j, p) s GROUP BY c, p, j) x JOIN packed USING (c);
SELECT count(*) AS wrong
FROM (SELECT p, s, i, max(i) OVER (PARTITION BY c, p::text) AS last, journey_match_count(s, p) AS n
      FROM packed, unnest('{%.buy,web.% -> %.view,%.view -[<= 2 days]-> %[value = 0]}'::journey_pattern[]) p, journey_split(j, p) WITH ORDINALITY x(s, i)) x
WHERE CASE WHEN i < last THEN n <> 1 OR journey_nth(journey_match(s, p), -1) <> journey_nth(s, -1)
           ELSE n > 1 OR n = 1 AND journey_nth(journey_match(s, p), -1) <> journey_nth(s, -1) END;

-- Sets that nobody reads to the end leave nothing behind; two call sites, patterns and zones that change from row to row
SELECT count(*) FILTER (WHERE r IS DISTINCT FROM first) AS wrong, count(DISTINCT first) > 50 AS many
FROM (SELECT (SELECT r FROM (SELECT journey_lifecycle(j, '%', 'day', 'UTC') LIMIT 1) x(r))::text AS first,
             (SELECT r FROM journey_lifecycle(j, '%', 'day', 'UTC') r ORDER BY period LIMIT 1)::text AS r
      FROM packed) x;
SELECT count(*) FILTER (WHERE r IS DISTINCT FROM first) AS wrong, count(DISTINCT first) > 50 AS many
FROM (SELECT (SELECT r FROM (SELECT journey_time_in(j, 'label') LIMIT 2) x(r) OFFSET 1)::text AS first,
             (SELECT r FROM journey_time_in(j, 'label') r ORDER BY r.state COLLATE "C" OFFSET 1 LIMIT 1)::text AS r
      FROM packed) x;
SELECT count(*) AS wrong
FROM (SELECT c, zone, unit, p, (journey_retention(j, p, p, unit, zone)).* FROM packed, zone, unit, unnest('{%.view,%.buy}'::journey_pattern[]) p WHERE c < 100
      EXCEPT ALL
      SELECT c, zone, unit, p, r.* FROM unnest('{%.view,%.buy}'::journey_pattern[]) p, unit, zone, packed, journey_retention(j, p, p, unit, zone) r WHERE c < 100) x;

-- All journeys at once: the same counts as journey_retention's rows, in order
CREATE VIEW asked AS
SELECT zone, unit, start, back FROM zone, unit, unnest('{%.view,web.%[value >= 1]}'::journey_pattern[]) start, unnest('{%,%.buy}'::journey_pattern[]) back;
CREATE VIEW counted AS
SELECT zone, unit, start, back, array_agg((cohort, bracket, n)::retention_cell ORDER BY cohort, bracket) AS cells
FROM (SELECT zone, unit, start::text, back::text, cohort, bracket, count(*) AS n FROM packed, asked, journey_retention(j, start, back, unit, zone) GROUP BY 1, 2, 3, 4, 5, 6) c
GROUP BY 1, 2, 3, 4;
SELECT count(*) AS groups, count(*) FILTER (WHERE a.cells IS DISTINCT FROM c.cells) AS wrong, max(cardinality(a.cells)) > 500 AS many
FROM (SELECT zone, unit, start::text, back::text, journey_retention_agg(j, start, back, unit, zone) AS cells FROM packed, asked GROUP BY zone, unit, asked.start, asked.back) a
     FULL JOIN counted c USING (zone, unit, start, back);
SELECT id, journey_retention_agg(j, '%.view', '%', 'month', 'UTC') FROM j GROUP BY id ORDER BY id;
SELECT r.*, pg_typeof(customers) FROM (SELECT journey_retention_agg(j, '%', '%.buy', 'month', 'UTC') AS cells FROM j) s, unnest(cells) r;
-- no rows; rows with a NULL count for nothing
SELECT journey_retention_agg(j, '%', '%', 'day', 'UTC') FROM j WHERE false;
SELECT journey_retention_agg(j, NULL, '%', 'day', 'UTC'), journey_retention_agg(j, '%', NULL, 'day', 'UTC'), journey_retention_agg(j, '%', '%', NULL, 'UTC'),
       journey_retention_agg(j, '%', '%', 'day', NULL), journey_retention_agg(NULL, '%', '%', 'day', 'UTC') FROM j;
SELECT journey_retention_agg(j, '%', '%', 'month', CASE WHEN id < 3 THEN 'UTC' END) FROM j;
-- ordinary SQL around it
SELECT journey_retention_agg(j, '%', '%', 'month', 'UTC') FILTER (WHERE id > 1) FROM j;
SELECT id, journey_retention_agg(j, '%', '%', 'month', 'UTC') OVER (ORDER BY id) AS running,
       journey_retention_agg(j, '%', '%', 'month', 'UTC') OVER (ORDER BY id ROWS 1 PRECEDING) AS moving
FROM j ORDER BY id;
-- errors, such as that something differs within a group
SELECT query, state, message, hint FROM (VALUES
    ('CASE WHEN id < 2 THEN ''%'' ELSE ''%.buy'' END::journey_pattern, ''%'', ''day'', ''UTC'''),
    ('''%'', CASE WHEN id < 2 THEN ''%'' ELSE ''%.buy'' END::journey_pattern, ''day'', ''UTC'''),
    ('CASE WHEN id < 2 THEN ''%'' ELSE ''%.buy'' END::journey_pattern, CASE WHEN id > 1 THEN ''%'' ELSE ''%.buy'' END::journey_pattern, ''day'', ''UTC'''),
    ('''%'', ''%'', CASE WHEN id < 2 THEN ''day'' ELSE ''week'' END, ''UTC'''), ('''%'', ''%'', ''day'', CASE WHEN id < 2 THEN ''UTC'' ELSE ''Asia/Tokyo'' END'),
    ('''%'', ''%'', ''hour'', ''UTC'''), ('''%'', ''%'', ''day'', ''CEST'''), ('''% -> %'', ''%'', ''day'', ''UTC'''), ('''%'', ''^ %'', ''day'', ''UTC''')
) v(query), refused('SELECT journey_retention_agg(j, ' || query || ') FROM j WHERE id < 3') r(state, message, detail, hint);
SELECT journey_retention_agg('{a.a@-4713-11-24T00:00:00Z}', '%', '%', 'month', 'UTC');
SELECT journey_retention_agg_transfn(NULL, '{}', '%', '%', 'day', 'UTC');
SELECT journey_retention_agg_combinefn('\x00', '\x00');
SELECT journey_retention_agg_finalfn('\x00');

-- Partial states from elsewhere
CREATE AGGREGATE part(journey, journey_pattern, journey_pattern, text, text) (SFUNC = journey_retention_agg_transfn, STYPE = bytea);
CREATE AGGREGATE whole(bytea) (SFUNC = journey_retention_agg_combinefn, STYPE = bytea, FINALFUNC = journey_retention_agg_finalfn);
SELECT count(*) AS groups, count(*) FILTER (WHERE whole IS DISTINCT FROM cells) AS wrong
FROM (SELECT unit, zone, whole(state)
      FROM (SELECT unit, zone, part(j, '%.view', '%', unit, zone) AS state FROM packed, unit, zone GROUP BY unit, zone, c % 97) s GROUP BY unit, zone) s
JOIN counted USING (unit, zone) WHERE start = '%.view' AND back = '%';
SELECT whole(NULL), whole(part) FROM (SELECT part(j, 'app.view', '%', 'day', 'UTC') FROM j) s;
SELECT whole(part) FROM (SELECT part(j, '%', '%', 'day', 'UTC') FROM j UNION ALL SELECT part(j, '%', '%', 'week', 'UTC') FROM j) s;
SELECT max(length(part)) < 200 AS small FROM (SELECT part(j, '%', '%', 'day', 'UTC') FROM j GROUP BY id) s;
-- and such as nobody made, combined or added to: refused, whichever byte is wrong, or at least harmless
CREATE FUNCTION outcome(state bytea, combined boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
    IF combined THEN
        PERFORM whole(s) FROM (VALUES (state), (state)) v(s);
    ELSE
        EXECUTE format('CREATE AGGREGATE add_to(journey, journey_pattern, journey_pattern, text, text) (
                            SFUNC = journey_retention_agg_transfn, STYPE = bytea, FINALFUNC = journey_retention_agg_finalfn, INITCOND = %L)', state);
        PERFORM add_to(j, '%', '%', 'month', 'UTC') FROM (SELECT j FROM packed LIMIT 20) p;
        DROP AGGREGATE add_to(journey, journey_pattern, journey_pattern, text, text);
    END IF;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN coalesce(nullif(detail, ''), SQLSTATE || ' ' || SQLERRM);
END $$;
CREATE TABLE state AS SELECT combined, part(j, '%', '%', 'month', 'UTC') AS s FROM j, (VALUES (true), (false)) v(combined) WHERE id = 1 GROUP BY combined;
SELECT combined, outcome
FROM state, generate_series(0, length(s) - 1) i, unnest('{0,1,127,128,255}'::int[]) byte, outcome(set_byte(s, i, byte), combined) WHERE get_byte(s, i) <> byte
GROUP BY 1, 2 ORDER BY 1, outcome COLLATE "C";
SELECT outcome, count(*) > 0 AS some FROM state, generate_series(0, length(s) + 1) i, outcome(substr(s || '\x0000', 1, i), combined) WHERE i <> length(s) GROUP BY outcome ORDER BY outcome COLLATE "C";
-- a table without an empty place: a search for one ends; and all cells the same
SELECT combined, outcome(overlay(s PLACING full_table FROM 29), combined), outcome(overlay(s PLACING same_cells FROM 29), combined)
FROM state, LATERAL (SELECT string_agg(int4send(i) || int4send(0) || '\x0100000000000001', '' ORDER BY i),
                            string_agg('\x0000000000000000' || substr(s, 37 + 16 * i, 8), '' ORDER BY i) FROM generate_series(0, 7) i) f(full_table, same_cells) ORDER BY 1;

-- In parallel the same
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE packed SET (parallel_workers = 2);
CREATE VIEW retention AS
SELECT cohort, bracket, count(*) AS n FROM packed, journey_retention(j, '%.view', '%', 'month', 'Europe/Berlin') GROUP BY 1, 2;
EXPLAIN (COSTS OFF) SELECT max(bracket) FROM packed, journey_retention(j, '%.view', '%', 'month', 'Europe/Berlin');
CREATE TABLE parallel AS SELECT * FROM retention;
EXPLAIN (COSTS OFF) SELECT journey_retention_agg(j, '%.view', '%', 'day', 'Europe/Berlin') FROM packed;
CREATE TABLE parallel_cells AS SELECT 'all' AS part, journey_retention_agg(j, '%.view', '%', 'day', 'Europe/Berlin') AS cells FROM packed;
INSERT INTO parallel_cells SELECT (c % 5)::text, journey_retention_agg(j, '%.view', '%', 'day', 'Europe/Berlin') FROM packed GROUP BY 1;
CREATE TABLE parallel_item AS SELECT touchpoint_channel(journey_item(j, '%.view -> %.buy', -1)) AS channel, count(*) AS n FROM packed GROUP BY 1;
SET max_parallel_workers_per_gather = 0;
SELECT count(*) AS same
FROM parallel_cells JOIN (SELECT 'all', journey_retention_agg(j, '%.view', '%', 'day', 'Europe/Berlin') FROM packed
                          UNION ALL SELECT (c % 5)::text, journey_retention_agg(j, '%.view', '%', 'day', 'Europe/Berlin') FROM packed GROUP BY 1) s(part, plain) USING (part)
WHERE cells = plain;
SELECT count(*) AS wrong FROM (TABLE parallel EXCEPT ALL TABLE retention UNION ALL (TABLE retention EXCEPT ALL TABLE parallel)) x;
SELECT count(*) AS wrong
FROM (TABLE parallel_item EXCEPT ALL SELECT touchpoint_channel(journey_item(j, '%.view -> %.buy', -1)), count(*) FROM packed GROUP BY 1) x;

-- Long journeys: a touchpoint each minute for seven months
CREATE TABLE long AS SELECT journey_agg(timestamptz '2020-01-01Z' + i * interval '1 min', CASE WHEN i % 7 = 0 THEN 'a' ELSE 'b' END, 'x') AS j FROM generate_series(0, 299999) i;
SELECT count(*), min(bracket), max(bracket) FROM long, journey_retention(j, 'a.x', 'b.x', 'day', 'Europe/Berlin');
SELECT cardinality(journey_retention_agg(j, 'a.x', 'b.x', 'day', 'Europe/Berlin')) FROM long;
SELECT state, count(*) FROM long, journey_lifecycle(j, '%', 'week', 'America/Santiago') GROUP BY state ORDER BY state;
SELECT state, stays, time_spent FROM long, journey_time_in(j) ORDER BY state;
SELECT count(*), min(journey_length(s)), max(journey_length(s)) FROM long, journey_split(j, 'a.x') s;
SELECT journey_item(j, 'a.x -> a.x -> b.x', -1) FROM long;

SET client_min_messages = error;
DROP SCHEMA analytics CASCADE;
