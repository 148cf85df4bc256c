-- One customer's journey, step by step.

\echo
\echo '== One customer ========================================================================'
\echo 'Whose journey took them through complaints on WhatsApp and on the telephone, and to the'
\echo 'store to return what they had bought on the web?'
\echo

\set ECHO queries
SELECT customer_id, name, city, journey_length(journey) AS touchpoints,
       human(journey_end(journey) - journey_start(journey)) AS lasting,
       round(journey_value(journey), 2) AS euros
FROM journeys JOIN customers ON id = customer_id
WHERE journey_labels(journey) @> '{web.purchase, store.return, phone.complaint, whatsapp.complaint}'
ORDER BY touchpoints
LIMIT 5;
\set ECHO none

SELECT customer_id AS customer
FROM journeys
WHERE journey_labels(journey) @> '{web.purchase, store.return, phone.complaint, whatsapp.complaint}'
ORDER BY journey_length(journey)
LIMIT 1 \gset

\echo
\echo 'The first of them, from the first touchpoint to the last, in Lisbon time:'
\echo

\set ECHO queries
SELECT position AS "#", to_char(occurred_at, 'Dy DD Mon  HH24:MI') AS "when",
       channel, action, round(value, 2) AS value, human(since_previous) AS since_previous
FROM journeys, journey_steps(journey)
WHERE customer_id = :customer
ORDER BY position;
\set ECHO none
