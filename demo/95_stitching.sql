-- Stitching: who is who, told by what was seen together.

\echo
\echo '== Who is who =========================================================================='
\echo 'Why are the cookie and the card one customer? Link by link:'
\echo

\set ECHO queries
SELECT step, from_identifier, to_identifier, source, source_key, outcome FROM crm.why('anonymous_id:8f3a', 'loyalty:0042');
\set ECHO none

\echo
\echo '== A shared tablet ====================================================================='
\echo 'Ana, Rui and Eva log in on one tablet, and look like one customer. A rule says that a tablet'
\echo 'with more than one user is nobody''s own. It works backwards, as if it had always been there:'
\echo

\set ECHO queries
SELECT crm.link('tablet:t1', e, at, 'app', 'log-in ' || n) AS customer, e AS who
FROM (VALUES (40, 'email:ana@example.pt'::identifier, timestamptz '2026-03-04 20:00Z'),
             (41, 'email:rui@example.pt', '2026-03-05 20:00Z'),
             (42, 'email:eva@example.pt', '2026-03-06 20:00Z')) v(n, e, at);

SELECT crm.set_rule('tablet', shared_above => 1) AS moved;

SELECT c AS customer_id, array(SELECT crm.identifiers_of(c)) AS known_as
FROM (SELECT DISTINCT customer_id FROM crm.identities) i(c) ORDER BY c;
SELECT step, from_identifier, to_identifier, source_key, outcome FROM crm.why('email:rui@example.pt', 'email:eva@example.pt');
\set ECHO none

\echo
\echo '== Undo ================================================================================'
\echo 'An import claims that Rui has Ana''s card. It is wrong, and is taken back:'
\echo

\set ECHO queries
SELECT crm.link('email:rui@example.pt', 'loyalty:0042', '2026-03-07 12:00Z', 'import', 'row 17') AS customer;
SELECT array(SELECT crm.identifiers_of(crm.customer_of('email:rui@example.pt'))) AS rui;

SELECT crm.retract('import', 'row 17') AS undone;
SELECT array(SELECT crm.identifiers_of(crm.customer_of('email:rui@example.pt'))) AS rui,
       array(SELECT crm.identifiers_of(crm.customer_of('email:ana@example.pt'))) AS ana;
SELECT step, from_identifier, to_identifier, source_key, outcome FROM crm.why('email:rui@example.pt', 'email:ana@example.pt');
\set ECHO none

\echo
\echo 'What is stored is what all evidence and rules say, in whatever order they came:'
\echo

\set ECHO queries
SELECT count(*) AS differences FROM crm.stitch_check();
\set ECHO none
