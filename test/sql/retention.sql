-- Retention: how long what is kept, and what becomes of it then; and who has looked at whom.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET client_min_messages = error;
SELECT journey_create_hub('crm');
CREATE SCHEMA helper;
SET search_path = crm, public;
CREATE FUNCTION helper.refused(query text, OUT state text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    message := 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END $$;
CREATE VIEW helper.flaws AS
SELECT (SELECT count(*) FROM ((TABLE current_journeys EXCEPT SELECT c.customer_id, visible_journey(c.customer_id) FROM customers c)
                              UNION ALL (SELECT c.customer_id, visible_journey(c.customer_id) FROM customers c WHERE visible_journey(c.customer_id) IS NOT NULL EXCEPT TABLE current_journeys)) s) AS journeys,
       (SELECT count(*) FROM touchpoint_keys k LEFT JOIN touchpoints t ON t.touchpoint_id = k.touchpoint_id AND t.source_key = k.source_key WHERE t.touchpoint_id IS NULL) AS keys,
       (SELECT count(*) FROM stitch_check()) AS stitching;

-- What can't be kept is refused
SELECT query, r.* FROM (VALUES
    ($$INSERT INTO retention_rules (what, keep) VALUES ('shoes', '1 year')$$),
    ($$INSERT INTO retention_rules (what, keep) VALUES ('touchpoints', '0')$$),
    ($$INSERT INTO retention_rules (what, keep, "then") VALUES ('touchpoints', '1 year', 'forget')$$),
    ($$INSERT INTO retention_rules (what, keep, "then") VALUES ('traits', '1 year', 'anonymise')$$),
    ($$INSERT INTO retention_rules (what, channel, keep) VALUES ('customers', 'web', '1 year')$$),
    ($$INSERT INTO retention_rules (what, keep) VALUES (NULL, '1 year')$$)) v(query), helper.refused(query) r;
SELECT count(*) AS rules, (SELECT count(*) FROM apply_retention()) AS said FROM retention_rules;

-- A dry run, which is what nothing is said of, only tells
SELECT count(record(ARRAY[identifier('u', u::text)], now() - age, channel, action, 1, 'EUR', 'in', 'c1', 'ann', NULL, source, u || age::text || channel, '{"x": 1}', 'Subject', 'https://x.pt'))
FROM generate_series(1, 3) u, (VALUES ('10 years'::interval, 'web', 'view', 'shop'), ('3 years', 'web', 'view', 'shop'), ('3 years', 'phone', 'call', 'pbx'), ('3 years', 'store', 'buy', 'shop'), ('1 day', 'web', 'view', 'shop')) v(age, channel, action, source);
SELECT refresh() > 0 AS refreshed;
INSERT INTO retention_rules (what, channel, action, source, keep, "then") VALUES
    ('touchpoints', 'web', NULL, NULL, '2 years', 'delete'), ('touchpoints', '*', 'call', 'pbx', '1 year', 'anonymise'), ('touchpoints', 'store', '*', 'nowhere', '1 day', 'delete');
SELECT what, channel, action, source, keep, "then", before = now() - keep AS before, rows, done FROM apply_retention();
SELECT count(*) FROM touchpoints;
-- so many in a call, and the rest in others; what was anonymised once is done
SELECT channel, "then", rows, done FROM apply_retention(false, 4);
SELECT channel, "then", rows, done FROM apply_retention(dry_run => true);
SELECT channel, "then", rows, done FROM apply_retention(dry_run => false);
SELECT channel, "then", rows, done FROM apply_retention(dry_run => false);
SELECT channel, count(*), count(source_key) AS keys, count(subject) AS subjects, count(url) AS urls, count(attributes) AS attributes, count(agent) AS agents,
       count(conversation) AS conversations, count(DISTINCT identity_id) AS people, bool_or(identity_id IN (SELECT i.identity_id FROM identities i WHERE identifier_namespace(i.identifier) = 'anonymous')) AS nobodys, sum(value) AS value
FROM touchpoints GROUP BY channel ORDER BY channel;
TABLE helper.flaws;
SELECT refresh() > 0 AS refreshed;
TABLE helper.flaws;
-- they count, and lead to nobody
SELECT count(*), count(DISTINCT customer_id) AS people, min(identifier_namespace(identifier)) AS namespace FROM timeline JOIN identities USING (customer_id) WHERE channel = 'phone';
-- a key may go, and change in no other way
SELECT r.state FROM helper.refused($$UPDATE touchpoints SET source_key = 'other' WHERE source_key IS NOT NULL$$) r;
SELECT r.state FROM helper.refused($$UPDATE touchpoints SET source_key = 'new' WHERE channel = 'phone'$$) r;

-- All touchpoints: what is too old goes, and maintain() drops the partitions of what it was
TRUNCATE retention_rules;
CALL maintain(since => now() - interval '15 months') \gset
SELECT count(record(ARRAY[identifier('u', u::text)], now() - interval '14 months', 'web', 'view')) FROM generate_series(1, 3) u;
SELECT set_retention('touchpoints', '1 year'), set_retention('touchpoints', '1 month', channel => 'web', action => 'view', "then" => 'anonymise'), set_retention('touchpoints', NULL, channel => 'web', action => 'view');
SELECT what, channel, action, source, keep, "then" FROM retention_rules;
SELECT rows, done FROM apply_retention();
CALL maintain() \gset
SELECT :dropped > 0 AS dropped, :made AS made, min(occurred_at) >= now() - interval '1 year' AS kept FROM touchpoints;
SELECT what, rows, done FROM apply_retention();
TABLE helper.flaws;

-- All else
TRUNCATE retention_rules;
SELECT set_traits('u:1', '{"a": 1}', 'shop') > 0, set_traits('u:1', '{"a": 2}', 'crm') > 0;
UPDATE traits SET recorded_at = '2020-01-01Z';
SELECT rejected FROM ingest_many('{nonsense,"{}"}', 'segment');
UPDATE rejected SET received_at = '2020-01-01Z' WHERE payload = '{}';
INSERT INTO former_memberships VALUES (1, 2, '2019-01-01Z', '2020-01-01Z');
INSERT INTO queues (queue) VALUES ('desk');
INSERT INTO assignments (identity_id, queue, channel, assigned_at, released_at)
SELECT identity_of('u:1'), 'desk', v.channel, v.at, v.until FROM (VALUES ('a', '2020-01-01Z'::timestamptz, '2020-01-02Z'::timestamptz), ('b', '2020-01-01Z', NULL), ('c', now(), now())) v(channel, at, until);
INSERT INTO segment_log (segment, customer_id, entered, at, why) VALUES ('x', 1, true, '2020-01-01Z', '{touchpoints}'), ('x', 1, false, now(), '{time}');
SELECT count(set_retention(what, '1 year')) FROM unnest('{rejected,trait_history,former_memberships,access_log,keys,assignments,segment_log}'::text[]) what;
SELECT set_retention('traits', '1 year', source => 'shop');
SELECT what, source, rows FROM apply_retention();
SELECT what, source, rows, done FROM apply_retention(false);
SELECT source FROM traits;
SELECT (SELECT count(*) FROM rejected) AS rejected, (SELECT count(*) FROM former_memberships) AS former, (SELECT string_agg(channel, ' ' ORDER BY channel) FROM assignments) AS assignments,
       (SELECT count(*) FROM segment_log) AS log;

-- Customers who were not heard of: those erase() takes, in the names of which it is called here
TRUNCATE retention_rules;
SELECT identify('{old:1,old:2}', '2015-01-01Z', 'x', '1') > 0 AS old;
SELECT set_retention('customers', '5 years');
SELECT what, rows, done FROM apply_retention();
DO $$
BEGIN
    IF to_regprocedure('crm.erase(bigint,text)') IS NULL THEN
        CREATE FUNCTION crm.erase(customer_id bigint, reason text) RETURNS jsonb LANGUAGE plpgsql AS $erase$
        BEGIN
            DELETE FROM crm.evidence e USING crm.identities i WHERE i.customer_id = erase.customer_id AND i.identity_id = ANY (e.identities);
            DELETE FROM crm.identities i WHERE i.customer_id = erase.customer_id;
            DELETE FROM crm.customers c WHERE c.customer_id = erase.customer_id;
            RETURN '{}';
        END $erase$;
    END IF;
END $$;
SELECT what, rows, done FROM apply_retention(false);
SELECT customer_of('old:1') AS nobody, (SELECT count(*) > 0 FROM customers) AS others;

-- Who has looked at whom: through functions, while it is on
CREATE ROLE regress_looker;
SELECT grant_access('regress_looker', 'reader', identifiers => true);
SELECT customer_of('u:1') AS u1 \gset
SELECT count(*) > 0 AS seen FROM timeline_of(:u1);
SELECT count(*) FROM access_log;
CREATE TABLE helper.before AS SELECT proname, pg_get_functiondef(oid) AS definition, provolatile, proparallel, prorows FROM pg_proc WHERE pronamespace = 'crm'::regnamespace AND proname = ANY (logged_functions());
UPDATE settings SET access_log = true, trait_history = true;
SELECT count(*) AS logged FROM pg_proc WHERE pronamespace = 'crm'::regnamespace AND proname = ANY (logged_functions()) AND provolatile = 'v' AND proparallel = 'u' AND position('note_access' IN pg_get_functiondef(oid)) > 0;
GRANT USAGE ON SCHEMA helper TO regress_looker;
SET ROLE regress_looker;
SET pg_journey_session.purpose = 'ticket 7';
SELECT count(*) > 0 AS timeline FROM timeline_of(:u1);
SELECT count(*) > 0 AS customer_360 FROM customer_360_of(:u1);
SET pg_journey_session.purpose = '';
SELECT count(*) FROM customers c, customer_profile_of(c.customer_id) WHERE c.customer_id <= :u1;
SELECT count(*) FROM visits_of(:u1);
SELECT count(*) FROM sessions_of(:u1);
SELECT count(*) FROM handoffs_of(:u1);
SELECT count(*) FROM conversations_of(:u1);
SELECT count(*) FROM replies_of(:u1);
SELECT count(*) FROM customer_profile_at(:u1, now());
SELECT identifiers_of(:u1);
-- nobody is looked at by that
SELECT count(*) FROM timeline_of(NULL);
BEGIN READ ONLY;
SELECT count(*) > 0 AS read_only FROM timeline_of(:u1);
COMMIT;
SELECT r.state, query FROM unnest(ARRAY['TABLE access_log', 'DELETE FROM access_log', 'UPDATE access_log SET purpose = NULL', $$INSERT INTO access_log (role, login, function, identity_id) VALUES ('a', 'b', 'c', 1)$$]) query, helper.refused(query) r;
RESET ROLE;
SELECT role, login = session_user AS login, purpose, function, count(*) FROM access_log WHERE identity_id = :u1 GROUP BY 1, 2, 3, 4 ORDER BY function, purpose;
-- handover looks at somebody; refresh, routing and rules of contact do not, nor who asks for a segment
SELECT count(*) AS noted FROM access_log \gset
SELECT create_segment('told', '{"trait": "$.a != null"}') IS NOT NULL AS made;
INSERT INTO quiet_hours (quiet_from, quiet_until) VALUES ('00:00', '00:01');
SELECT refresh() >= 0 AS refreshed, in_segment('told', :u1), (SELECT count(*) FROM segment_members('told')) AS members, (SELECT count(*) FROM route(:u1)) AS routed, (SELECT count(*) FROM may_contact(:u1, 'm', 'email')) AS asked;
SELECT count(*) - :noted AS noted FROM access_log;
SELECT handover(:u1) IS NOT NULL AS handed_over;
SELECT function, identity_id = :u1 AS u1 FROM access_log ORDER BY seen_at DESC LIMIT 1;
-- an upgrade keeps it so, and off is as it was
SELECT journey_upgrade_hub('crm');
SELECT count(*) AS logged FROM pg_proc WHERE pronamespace = 'crm'::regnamespace AND proname = ANY (logged_functions()) AND provolatile = 'v';
UPDATE settings SET access_log = false;
SELECT count(*) AS changed FROM (SELECT proname, pg_get_functiondef(oid), provolatile, proparallel, prorows FROM pg_proc WHERE pronamespace = 'crm'::regnamespace AND proname = ANY (logged_functions()) EXCEPT TABLE helper.before) s;

RESET search_path;
DROP SCHEMA helper CASCADE;
SELECT journey_drop_hub('crm', true);
DROP ROLE regress_looker;
