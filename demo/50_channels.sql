-- How many channels a customer uses, and what that is worth.

\echo
\echo '== Channels ============================================================================'
\echo 'How many channels do customers use, and do those who use more of them buy more?'
\echo

\set ECHO queries
SELECT cardinality(journey_channels(journey)) AS channels, count(*) AS customers,
       round(avg(journey_length(journey)), 1) AS touchpoints,
       round(avg(journey_value(journey)), 2) AS euros,
       bar(count(*), max(count(*)) OVER ()) AS " "
FROM journeys
GROUP BY channels
ORDER BY channels;
\set ECHO none
