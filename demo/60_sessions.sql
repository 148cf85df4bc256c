-- Sessions: journeys cut wherever nothing happened for half an hour.

\echo
\echo '== Sessions ============================================================================'
\echo 'journey_sessions() cuts a journey where neighbours are more than the gap apart. Each'
\echo 'session is a journey again.'
\echo

\set ECHO queries
SELECT count(*) AS sessions, round(avg(journey_length(session)), 1) AS touchpoints,
       human(percentile_cont(0.5) WITHIN GROUP
             (ORDER BY journey_end(session) - journey_start(session))) AS median_time,
       round(100.0 * count(*) FILTER (WHERE journey_value(session) > 0) / count(*), 1) AS "% with purchase"
FROM journeys, journey_sessions(journey, '30 minutes') AS session;
\set ECHO none

\echo
\echo 'The commonest kinds of session of more than one touchpoint:'
\echo

\set ECHO queries
SELECT array_to_string(journey_path(session, 'label', collapse => true), ' → ') AS path,
       count(*) AS sessions
FROM journeys, journey_sessions(journey, '30 minutes') AS session
WHERE journey_length(session) > 1
GROUP BY path
ORDER BY sessions DESC, path
LIMIT 8;
\set ECHO none
