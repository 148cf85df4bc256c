-- Where customers go: the commonest paths.

\echo
\echo '== Paths ==============================================================================='
\echo 'The commonest ways through the channels, from first contact to last, within one quarter:'
\echo

\set ECHO queries
SELECT array_to_string(journey_path(quarter, 'channel', collapse => true), ' → ') AS path,
       count(*) AS customers
FROM journeys, journey_slice(journey, '[2025-04-01, 2025-07-01)') AS quarter
WHERE journey_length(quarter) > 0
GROUP BY path
ORDER BY customers DESC, path
LIMIT 10;
\set ECHO none

\echo
\echo 'Where do customers turn after a complaint, and how soon?'
\echo

\set ECHO queries
SELECT channel || ' → ' || next_channel AS step, count(*) AS times,
       human(percentile_cont(0.5) WITHIN GROUP (ORDER BY wait)) AS median_wait
FROM (SELECT channel, action,
             lead(channel) OVER journey AS next_channel,
             lead(since_previous) OVER journey AS wait
      FROM journeys, journey_steps(journey)
      WINDOW journey AS (PARTITION BY customer_id ORDER BY position)) AS steps
WHERE action = 'complaint' AND next_channel IS NOT NULL
GROUP BY step
ORDER BY times DESC, step
LIMIT 6;
\set ECHO none
