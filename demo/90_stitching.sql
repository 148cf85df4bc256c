-- Stitching: who is who, told by what was seen together.

\echo
\echo '== Who is who =========================================================================='
\echo 'A web visitor is a cookie, a log-in an e-mail address, the till knows a card. A hub is told'
\echo 'what was seen together, and knows who is one customer. Each of these rows knows its own half:'
\echo

\set ECHO queries
CREATE TABLE visits (at timestamptz, channel text, action text, who identifier);
INSERT INTO visits VALUES
    ('2026-03-01 10:00Z', 'web', 'view',     'cookie:8f3a'),
    ('2026-03-01 18:30Z', 'app', 'view',     'tablet:t1'),
    ('2026-03-02 09:30Z', 'web', 'purchase', 'email:ana@example.pt'),
    ('2026-03-03 17:00Z', 'store', 'return', 'loyalty:0042');

SELECT journey_create_hub('crm');
SELECT crm.set_rule('email', priority => 20, normalizer => 'email') AS moved;
SELECT crm.identify(ARRAY[who], at, 'visits') AS customer, who FROM visits;
\set ECHO none

\echo
\echo 'Four customers, as far as anybody knows. Then the visitor logs in, and an old form, entered'
\echo 'late, has her e-mail address and her card. No row is rewritten, and the whole journey is hers:'
\echo

\set ECHO queries
SELECT crm.link('cookie:8f3a', 'email:Ana@Example.PT', '2026-03-02 09:25Z', 'web', 'log-in 31') AS customer;
SELECT crm.link('loyalty:0042', 'email:ana@example.pt', '2025-11-03 12:00Z', 'paper', 'form 5') AS customer;

SELECT customer_id, array_agg(DISTINCT who) AS known_as, journey_path(journey_agg(at, channel, action)) AS journey
FROM visits JOIN crm.identities ON identifier = who
GROUP BY customer_id ORDER BY customer_id;
\set ECHO none

\echo
\echo 'Why are the cookie and the card one customer? Link by link:'
\echo

\set ECHO queries
SELECT step, from_identifier, to_identifier, source, source_key, outcome FROM crm.why('cookie:8f3a', 'loyalty:0042');
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
