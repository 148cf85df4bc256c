-- Patterns: what to look for in a journey, said in one line.

\echo
\echo '== Patterns ============================================================================'
\echo 'A pattern says which touchpoints, in which order, how far apart, and what must not happen'
\echo 'between. Looked up on the web, bought in the store within three days:'
\echo

\set ECHO queries
SELECT name, journey_match(journey, 'web.view -[<= 3 days]-> store.purchase') AS match
FROM journeys JOIN customers ON id = customer_id
WHERE journey ~ 'web.view -[<= 3 days]-> store.purchase'
ORDER BY customer_id
LIMIT 3;
\set ECHO none

\echo
\echo 'Repeat contact: the customer had to come back within a week, nothing resolved in between.'
\echo

\set ECHO queries
SELECT count(*) AS customers, sum(times) AS times
FROM journeys,
     journey_match_count(journey, '%.complaint -[<= 7 days, !%.resolve]-> (phone.call | whatsapp.complaint)') AS times
WHERE times > 0;
\set ECHO none

\echo
\echo 'Baskets left behind: in the cart, and no purchase on any channel within the day.'
\echo

\set ECHO queries
SELECT count(*) AS customers,
       count(*) FILTER (WHERE journey ~ 'web.add_to_cart -[!%.purchase]-> email.reminder -[<= 3 days]-> %.purchase')
         AS "won back by the reminder"
FROM journeys
WHERE journey ~ 'web.add_to_cart -[!%.purchase for 1 day]-> $';
\set ECHO none

\echo
\echo '== A funnel ============================================================================'
\echo 'journey_funnel_agg() counts how far customers get, and how long each step takes them.'
\echo

\set ECHO queries
SELECT step, label, reached, bar(reached, max(reached) OVER ()) AS " ",
       round(100 * conversion_previous) AS "% of previous", human(median_time) AS median_time
FROM (SELECT journey_funnel_agg(journey, 'web.view -> web.add_to_cart -> web.purchase -> sms.delivery within 7 days') AS steps
      FROM journeys) AS f, unnest(steps);
\set ECHO none

\echo
\echo '== An index on journeys ================================================================'
\echo 'A GIN index finds the journeys that match a pattern, instead of reading them all.'
\echo

\set ECHO queries
CREATE INDEX ON journeys USING gin (journey);
ANALYZE journeys;

EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
SELECT customer_id
FROM journeys
WHERE journey ~ 'chat.request -[<= 1 h]-> chat.resolve -[<= 1 h]-> web.add_to_cart';
\set ECHO none
