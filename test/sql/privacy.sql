-- Consent, the portal and retention, and who was erased.
SET timezone = 'UTC';
SET client_min_messages = error;
SELECT journey_create_hub('crm');
SET search_path = crm, public;
-- nothing of the hub is left out of the register
SELECT * FROM unlisted_columns();
SELECT set_consent('email:ana@x.pt', 'marketing', 'email', 'granted', text_version => 'v1', given_at => '2026-01-01Z') AS ana \gset
SELECT set_consent('email:rui@x.pt', 'marketing', 'email', 'granted', given_at => '2026-01-01Z') AS rui \gset
SELECT record('{email:ana@x.pt}', '2026-01-02Z', 'web', 'view') > 0 AS seen;
UPDATE settings SET access_log = true;
SET pg_journey_session.purpose = 'ticket 1';
SELECT count(*) FROM timeline_of(:ana);
SELECT portal_token(:ana) AS token \gset
SET pg_journey_session.token = :'token';
SELECT ask_for_erasure('Enough') IS NOT NULL AS asked;
SELECT create_segment('viewers', '{"pattern": "web.view"}') IS NOT NULL AS made, refresh() AS refreshed;
-- what is exported
SELECT jsonb_path_query_array(e, '$.consents[*].text_version') AS consents, e -> 'erasure_requests' -> 0 ->> 'reason' AS asked, jsonb_path_query_array(e, '$.access_log[*].function') AS seen_by, e -> 'segments' AS segments FROM export_customer(:ana) e;
SELECT my_export() -> 'identifiers' AS identifiers;
-- and erased
SELECT e - 'erased_at' - 'receipt' IS NOT NULL AS receipt FROM erase(:ana, 'request 1') e;
SELECT (SELECT count(*) FROM consents WHERE identity_id = :ana) AS consents, (SELECT count(*) FROM access_log WHERE identity_id = :ana) AS access_log, (SELECT count(*) FROM erasure_requests) AS requests;
SELECT count(*) FROM consents;
\set VERBOSITY terse
SELECT * FROM my_profile;
SELECT may_contact(:ana, 'marketing', 'email');
-- what comes again is dropped: calls, many at once, payloads
SELECT set_consent('email:ana@x.pt', 'marketing', 'email', 'granted') AS nobody;
SELECT set_consents(array_agg(ROW(identifier('email', u || '@x.pt'), 'news', NULL, 'granted', NULL, 'many', NULL, '2026-02-01Z', NULL)::consent)) AS one FROM unnest('{ana,rui,ana}'::text[]) u;
UPDATE formats SET consents = '{news:/context/news}' WHERE format = 'segment' AND rule = 20;
SELECT count(*) FROM ingest_many(ARRAY(SELECT format('{"type": "identify", "userId": "%s", "traits": {"email": "%s@x.pt"}, "timestamp": "2026-03-01T10:00:00Z", "context": {"news": "no"}}', u, u) FROM unnest('{ana,rui}'::text[]) u), 'segment');
SELECT i.identifier, c.purpose, c.state, c.source FROM consents c JOIN identities i USING (identity_id) ORDER BY c.given_at, c.source;
SELECT customer_of('email:ana@x.pt') AS nobody;
-- a steward erases, and takes away nothing of those who are there
CREATE ROLE regress_privacy_steward;
SELECT grant_access('regress_privacy_steward', 'steward');
SET ROLE regress_privacy_steward;
SELECT count(*) > 0 AS seen FROM timeline_of(:rui);
DELETE FROM consents;
DELETE FROM access_log;
SELECT jsonb_array_length(export_customer(:rui) -> 'consents') AS consents, erase(:rui, 'request 2') IS NOT NULL AS erased;
SELECT (SELECT count(*) FROM consents WHERE identity_id = :rui) AS consents, (SELECT count(*) FROM access_log WHERE identity_id = :rui) AS access_log;
RESET ROLE;
-- Customers who were not heard of
UPDATE settings SET access_log = false;
SELECT identify('{email:old@x.pt,card:1}', '2015-01-01Z', 'x', '1') > 0 AS old, record('{email:older@x.pt}', '2014-01-01Z', 'web', 'view') > 0 AS older;
SELECT set_retention('customers', '5 years');
SELECT what, rows, done FROM apply_retention();
SELECT what, rows, done FROM apply_retention(false);
SELECT what, rows, done FROM apply_retention();
SELECT customer_of('email:old@x.pt') AS old, customer_of('email:older@x.pt') AS older, customer_of('user_id:rui') IS NOT NULL AS other, (SELECT count(*) FROM stitch_check()) AS flaws;
-- whoever is called so
SELECT record('{anonymous_id:retention}', '2014-01-01Z', 'web', 'view') > 0 AS called;
SELECT what, rows, done FROM apply_retention(false);
SELECT customer_of('anonymous_id:retention') AS nobody;
SELECT set_retention('customers', '5 years', "then" => 'anonymise'), record('{email:other@x.pt}', '2014-01-01Z', 'web', 'view') > 0 AS other;
SELECT what, rows, done FROM apply_retention(false);
SELECT what, rows, done FROM apply_retention();
SELECT identifier_namespace(identifier), t.action FROM touchpoints t JOIN identities i USING (identity_id) WHERE t.occurred_at < '2015-01-01';
RESET search_path;
SELECT journey_drop_hub('crm', true);
DROP ROLE regress_privacy_steward;
