-- All journeys at once: journey_agg packs each customer's rows into one value.

\echo
\echo '== Journeys ============================================================================'
\echo 'journey_agg() packs all that happened to a customer into one value, in order of time. The'
\echo 'value (euros) and a reference to the row it came from are optional.'
\echo

\set ECHO queries
CREATE TABLE journeys AS
SELECT customer_id, journey_agg(occurred_at, channel, action, value, id) AS journey
FROM events
GROUP BY customer_id;
\set ECHO none

ALTER TABLE journeys ADD PRIMARY KEY (customer_id);
VACUUM ANALYZE journeys;

\echo
\set ECHO queries
SELECT count(*) AS journeys, sum(journey_length(journey)) AS touchpoints,
       max(journey_length(journey)) AS longest, sum(journey_value(journey)) AS euros
FROM journeys;
\set ECHO none

\echo
\echo 'As text, a touchpoint reads channel.action=value@time#reference. Part of a journey:'
\echo

\set ECHO queries
SELECT journey[5:6]
FROM journeys
WHERE customer_id = 4;
\set ECHO none
