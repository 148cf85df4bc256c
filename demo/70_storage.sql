-- What it takes: packed journeys against the plain table, per touchpoint.

\echo
\echo '== Storage ============================================================================='
\echo 'The same touchpoints, with time, channel, action, value and row id, as rows and as journeys:'
\echo

\set ECHO queries
SELECT what, pg_size_pretty(bytes) AS size, round(bytes / touchpoints, 1) AS "bytes a touchpoint",
       bar(bytes, max(bytes) OVER ()) AS " "
FROM (SELECT count(*)::numeric AS touchpoints FROM events) AS t,
     (VALUES (1, 'events: table and indexes', pg_total_relation_size('events')::numeric),
             (2, 'events: table',             pg_table_size('events')),
             (3, 'events: rows alone',        (SELECT sum(pg_column_size(e)) FROM events e)),
             (4, 'journeys: table and index', pg_total_relation_size('journeys')),
             (5, 'journeys: table',           pg_table_size('journeys')),
             (6, 'journeys: values alone',    (SELECT sum(pg_column_size(journey)) FROM journeys))
     ) AS s (n, what, bytes)
ORDER BY n;
\set ECHO none
\echo
