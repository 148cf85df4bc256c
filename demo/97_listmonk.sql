-- A real application's tables, attached: Listmonk's, which sends the newsletter.

\echo
\echo '== An application that is there already ================================================='
\echo 'The newsletter is sent by Listmonk, an application with a database of its own making. Fifteen'
\echo 'lines attach it; it is not asked, and its rows cost it some microseconds. Rows read, touchpoints made of'
\echo 'them, and rows that could be none:'
\echo

\set QUIET on
\o /dev/null
\ir ../test/recipes/listmonk.sql
\o
SET search_path = shop, public;
SET client_min_messages = warning;
\set ECHO queries
\t on
\ir ../test/recipes/listmonk_attach.sql
\t off
\set ECHO none

\echo
\echo 'Listmonk writes on as if nothing had been: Ana subscribes, confirms, opens and clicks; a status is'
\echo 'overwritten, a campaign renamed, a subscriber deleted. What changed is noted, and fed when it suits:'
\echo

\o /dev/null
\ir ../test/recipes/listmonk_play.sql
\o
SET search_path = shop, public;
\set ECHO queries
SELECT part, pending FROM crm.source_progress WHERE source = 'listmonk' ORDER BY part;
CALL crm.feed();
\set ECHO none

\echo
\echo 'It knew nothing but her address, so what it knows of her is hers:'
\echo

\set ECHO queries
SELECT occurred_at, source, channel, action, campaign, subject
FROM crm.timeline WHERE customer_id = crm.customer_of('email:ana@example.pt') ORDER BY occurred_at;
SELECT traits, provenance -> 'city' AS who_says_the_city FROM crm.customer_profile WHERE customer_id = crm.customer_of('email:ana@example.pt');
\set ECHO none

\echo
\echo 'What the tables say and what the hub says are the same:'
\echo

\set ECHO queries
SELECT count(*) AS differences FROM crm.check_source('listmonk');
\set ECHO none
