-- Pictures and a report: what can be sent to somebody who doesn't write SQL.

\echo
\echo '== Pictures and a report ==============================================================='
\echo 'The shop''s own table of events is attached, too: a third of its customers, so that the demo is'
\echo 'quick. A journey, a funnel, a Sankey, a heat map or cohorts are SVG, made by a function:'
\echo

SET client_min_messages = warning;
\set ECHO queries
SELECT crm.attach_source('events', $$ {
    "occurred_at": "occurred_at", "channel": "channel", "action": "action", "value": "value", "currency": "'EUR'",
    "identifiers": {"shop": "customer_id"}, "where": "customer_id % 3 = 0",
    "direction": "CASE WHEN action IN ('answer', 'resolve', 'confirmation', 'reminder', 'survey', 'delivery', 'notification') THEN 'out' ELSE 'in' END",
    "agent": "CASE WHEN action = 'answer' THEN (ARRAY['Rita', 'Nuno', 'Marta'])[1 + customer_id % 3] END",
    "conversation": "CASE WHEN channel IN ('chat', 'whatsapp', 'phone') THEN format('%s %s %s', customer_id, channel, to_char(occurred_at, 'YYYY-Q')) END"} $$);
SELECT crm.refresh();
SELECT left(svg_funnel(journey_funnel_agg(journey, '%.search -> %.view -> %.add_to_cart -> %.purchase within 14 days')), 100) AS picture
FROM crm.current_journeys;
\set ECHO none

\echo
\echo 'And a page of HTML has them all. Nothing in it runs, and nothing is fetched: it can be mailed.'
\echo

\pset tuples_only on
\pset format unaligned
\o :report
SELECT crm.report('month', '2025-01-01', '2026-01-01', '%.search -> %.view -> %.add_to_cart -> %.purchase within 14 days', 'A year of the shop');
\o
\pset format aligned
\pset tuples_only off
