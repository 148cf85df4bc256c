-- Property tests, part 3: every accessor says what plain SQL says of the rows.
-- Reads the schema made by property.sql, of more journeys where PGJ_SLOW is set; every query lists what is wrong.
\set seed 1
\getenv seed PGJ_SEED
SET search_path = property, public;
SET client_min_messages = warning;

-- of a touchpoint
SELECT :seed AS seed, s.* FROM step s, LATERAL (SELECT touchpoint(at, channel, action, value, ref, detail) AS t) t
WHERE (touchpoint_time(t), touchpoint_channel(t), touchpoint_action(t), touchpoint_label(t), touchpoint_value(t),
       touchpoint_ref(t), touchpoint_detail(t), t::text) IS DISTINCT FROM (at, channel, action, label, value, ref, detail, "text")
LIMIT 5;
SELECT :seed AS seed, s.* FROM step s
WHERE (touchpoint(at, channel, action), touchpoint(at, channel, action, value))
      IS DISTINCT FROM (touchpoint(at, channel, action, NULL, NULL), touchpoint(at, channel, action, value, NULL))
LIMIT 5;

-- length, start, end, period, value
SELECT :seed AS seed, g FROM built JOIN expected e USING (g)
WHERE (journey_length(j), journey_start(j), journey_end(j), journey_period(j), journey_value(j))
      IS DISTINCT FROM (e.length, e.start, e."end", tstzrange(e.start, e."end", '[]'), e.value) LIMIT 5;

-- channels, actions, labels, details: distinct and sorted by bytes
SELECT :seed AS seed, g FROM built JOIN (
    SELECT g, array_agg(DISTINCT channel COLLATE "C") AS channels, array_agg(DISTINCT action COLLATE "C") AS actions,
           array_agg(DISTINCT label COLLATE "C") AS labels,
           coalesce(array_agg(DISTINCT detail COLLATE "C") FILTER (WHERE detail IS NOT NULL), '{}') AS details
    FROM step GROUP BY g) e USING (g)
WHERE (journey_channels(j), journey_actions(j), journey_labels(j), journey_details(j))
      IS DISTINCT FROM (channels, actions, labels, details) LIMIT 5;

-- path in all its variants
SELECT :seed AS seed, g FROM built JOIN (
    SELECT g, array_agg(label ORDER BY p) AS l, array_agg(label ORDER BY p) FILTER (WHERE label <> l1) AS lc,
           array_agg(channel ORDER BY p) AS c, array_agg(channel ORDER BY p) FILTER (WHERE channel <> c1) AS cc,
           array_agg(action ORDER BY p) AS a, array_agg(action ORDER BY p) FILTER (WHERE action <> a1) AS ac,
           array_agg(detail ORDER BY p) AS d, array_agg(detail ORDER BY p) FILTER (WHERE detail IS DISTINCT FROM d1) AS dc
    FROM (SELECT g, "position" AS p, label, channel, action, detail, lag(label, 1, 'none') OVER w AS l1,
                 lag(channel, 1, 'none') OVER w AS c1, lag(action, 1, 'none') OVER w AS a1,
                 lag(detail, 1, 'none') OVER w AS d1
          FROM step WINDOW w AS (PARTITION BY g ORDER BY "position")) s
    GROUP BY g) e USING (g)
WHERE (journey_path(j), journey_path(j, 'label'), journey_path(j, 'label', true), journey_path(j, 'channel'),
       journey_path(j, 'channel', collapse => true), journey_path(j, 'action'),
       journey_path(j, part => 'action', collapse => true), journey_path(j, 'detail'), journey_path(j, 'detail', true))
      IS DISTINCT FROM (l, l, lc, c, cc, a, ac, d, dc) LIMIT 5;

-- unnest and steps: each touchpoint in its place
SELECT :seed AS seed, g, o, t, "text" FROM built CROSS JOIN unnest(j) WITH ORDINALITY u(t, o)
FULL JOIN step USING (g) WHERE o = "position" AND t::text IS DISTINCT FROM "text" LIMIT 5;
SELECT :seed AS seed, g FROM built JOIN expected USING (g) WHERE length <> (SELECT count(*) FROM unnest(j)) LIMIT 5;
SELECT :seed AS seed, a.* FROM (
    SELECT g, s."position", occurred_at, channel, action, detail, s.value, ref, since_previous
    FROM built JOIN expected USING (g), LATERAL journey_steps(j) s WHERE fits) a
FULL JOIN (
    SELECT g, "position", at, channel, action, detail, s.value, ref,
           at - lag(at) OVER (PARTITION BY g ORDER BY "position") AS since
    FROM step s JOIN expected USING (g) WHERE fits) b USING (g, "position")
WHERE (occurred_at, a.channel, a.action, a.detail, a.value, a.ref, since_previous)
      IS DISTINCT FROM (at, b.channel, b.action, b.detail, b.value, b.ref, since) LIMIT 5;

-- n-th from both ends, subscripts, and none out of range
SELECT :seed AS seed, g, n FROM built JOIN expected USING (g)
CROSS JOIN LATERAL (SELECT n FROM generate_series(-length - 2, length + 2) n WHERE length < 60 OR n % 7 = 0) n
LEFT JOIN step s USING (g)
WHERE s."position" = CASE WHEN n < 0 THEN length + 1 + n ELSE n END
      AND (journey_nth(j, n)::text IS DISTINCT FROM s."text"
           OR j[n]::text IS DISTINCT FROM CASE WHEN n > 0 THEN s."text" END)
   OR s."position" = 1 AND (n = 0 OR abs(n) > length) AND (journey_nth(j, n) IS NOT NULL OR j[n] IS NOT NULL)
LIMIT 5;

-- ranges of positions, with bounds left out, outside, crossed
CREATE FUNCTION nth_to_nth(g integer, m integer, n integer) RETURNS text LANGUAGE sql
RETURN (SELECT '{' || coalesce(string_agg("text", ', ' ORDER BY "position"), '') || '}' FROM step
        WHERE step.g = nth_to_nth.g AND "position" BETWEEN m AND n);
SELECT :seed AS seed, g, m, n FROM built JOIN expected USING (g)
CROSS JOIN LATERAL (SELECT (rnd(-g, 20 + k, length + 3) - 1)::integer AS m,
                           (rnd(-g, 30 + k, length + 3) - 1)::integer AS n
                    FROM generate_series(1, 4) k) k
WHERE (j[m:n]::text, j[m:]::text, j[:n]::text, j[m:m]::text) IS DISTINCT FROM
      (nth_to_nth(g, m, n), nth_to_nth(g, m, length), nth_to_nth(g, 1, n), nth_to_nth(g, m, m))
LIMIT 5;

-- slices by time, && and <@: bounds on touchpoints and between them, of every kind
CREATE TABLE range AS
SELECT g, tstzrange(least(a, b), greatest(a, b), (ARRAY['[]', '[)', '(]', '()'])[1 + k % 4]) AS r
FROM (SELECT g, k,
             CASE WHEN rnd(-g, 50 + k, 8) > 0 THEN s.at + (rnd(-g, 60 + k, 3) - 1) * interval '1 us' END AS a,
             CASE WHEN rnd(-g, 70 + k, 8) > 0 THEN u.at + (rnd(-g, 80 + k, 3) - 1) * interval '1 us' END AS b
      FROM expected CROSS JOIN generate_series(1, 8) k
      JOIN step s USING (g) JOIN step u USING (g)
      WHERE s."position" = 1 + rnd(-g, 90 + k, length) AND u."position" = 1 + rnd(-g, 100 + k, length)
        AND s.at < '294276-12-31 00:00:00+00' AND u.at < '294276-12-31 00:00:00+00') x
UNION
SELECT g, r
FROM expected, unnest(ARRAY['empty', '(,)', '(-infinity,infinity)', '[infinity,infinity]', '[,-infinity]',
                            '[-infinity,2026-04-01 00:00:00+00]', '(2026-04-01 00:00:00+00,infinity]',
                            '[294276-12-31 23:59:59.999999+00,]', '(,4714-11-24 00:00:00.000001+00 BC)']::tstzrange[]) r
WHERE g % 5 = 0;
SELECT count(*) > 3000 AS enough FROM range;
SELECT :seed AS seed, g, r FROM built JOIN (
    SELECT g, r,
           '{' || coalesce(string_agg("text", ', ' ORDER BY "position") FILTER (WHERE at <@ r), '') || '}' AS slice,
           bool_and(at <@ r) AS within, tstzrange(min(at), max(at), '[]') && r AS hits
    FROM range JOIN step USING (g) GROUP BY g, r) e USING (g)
WHERE (journey_slice(j, r)::text, j <@ r, r @> j, journey_within(j, r), journey_within(r, j),
       j && r, r && j, journey_overlaps(j, r), journey_overlaps(r, j))
      IS DISTINCT FROM (slice, within, within, within, within, hits, hits, hits, hits)
LIMIT 5;
-- what is cut off leaves no trace
SELECT :seed AS seed, g, r FROM built JOIN range USING (g)
WHERE NOT same(journey_slice(j, r), journey_slice(j, r)::text::journey)
   OR journey_labels(journey_slice(j, r)) IS DISTINCT FROM journey_labels(journey_slice(j, r)::text::journey)
   OR journey_channels(journey_slice(j, r)) IS DISTINCT FROM journey_channels(journey_slice(j, r)::text::journey)
LIMIT 5;

-- sessions: a new one where the difference is greater than the gap, in exact numbers
CREATE TABLE gap AS
SELECT gap FROM unnest(ARRAY['0', '1 us', '1 second', '1 hour', '20 days', '100000 days',
                             '100000000 days']::interval[]) gap;
CREATE TABLE session AS
SELECT g, gap, number, '{' || string_agg("text", ', ' ORDER BY "position") || '}' AS session
FROM (SELECT *, sum((since > extract(epoch FROM gap))::integer) OVER (PARTITION BY g, gap ORDER BY "position") AS number
      FROM (SELECT g, "position", "text", coalesce(extract(epoch FROM at) - lag(extract(epoch FROM at))
                       OVER (PARTITION BY g ORDER BY "position"), 0) AS since FROM step) s, gap) s
GROUP BY g, gap, number;
SELECT :seed AS seed, g, gap FROM built CROSS JOIN gap
JOIN (SELECT g, gap, array_agg(session ORDER BY number) AS sessions FROM session GROUP BY g, gap) e USING (g, gap)
WHERE (SELECT array_agg(s::text ORDER BY o) FROM journey_sessions(j, gap) WITH ORDINALITY x(s, o))
      IS DISTINCT FROM sessions
LIMIT 5;

-- JSON
CREATE VIEW object AS
SELECT g, "position", jsonb_strip_nulls(jsonb_build_object('occurred_at', time_text(at AT TIME ZONE 'UTC'),
           'channel', channel, 'action', action, 'detail', detail, 'value', value, 'ref', ref)) AS o
FROM step;
SELECT :seed AS seed, s.g, s."position" FROM step s JOIN object USING (g, "position"),
     LATERAL (SELECT touchpoint(at, channel, action, value, ref, detail) AS t) t
WHERE t::jsonb IS DISTINCT FROM o OR t::json::jsonb IS DISTINCT FROM o LIMIT 5;
SELECT :seed AS seed, g
FROM built JOIN (SELECT g, jsonb_agg(o ORDER BY "position") AS a FROM object GROUP BY g) e USING (g)
WHERE j::jsonb IS DISTINCT FROM a OR j::json::jsonb IS DISTINCT FROM a LIMIT 5;

-- the empty journey
SELECT journey_length(j), journey_start(j), journey_end(j), journey_period(j), journey_channels(j), journey_actions(j),
       journey_details(j), journey_labels(j), journey_value(j), journey_path(j), journey_nth(j, 1), j[1], j[1:2], journey_slice(j, '(,)'),
       j && '(,)' AS overlaps, j <@ '[2026-03-01 00:00:00+00,2026-03-02 00:00:00+00]' AS within,
       j <@ 'empty' AS within_nothing, j::json, j::jsonb, j || j AS twice,
       (SELECT count(*) FROM unnest(j)) AS touchpoints, (SELECT count(*) FROM journey_steps(j)) AS steps,
       (SELECT count(*) FROM journey_sessions(j, '1 hour')) AS sessions
FROM (SELECT '{}'::journey AS j) e \gx
