-- Journeys under row-level security: who may not see something finds no trace of it in them.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE ROLE regress_policy_reader;
CREATE ROLE regress_policy_seer BYPASSRLS;
SELECT journey_create_hub('crm');
SELECT count(crm.grant_access(role)) FROM unnest('{regress_policy_reader,regress_policy_seer}'::text[]) role;
UPDATE crm.settings SET future_within = NULL, past_within = NULL;
SELECT crm.record('{a:1}', '2026-01-01Z', 'web', 'view') AS id,
       crm.record('{b:1,a:1}', '2026-01-02Z', 'phone', 'call', 10, 'EUR', 'in') AS other;
SELECT crm.record('{a:2}', '2026-01-01Z', 'phone', 'call', direction => 'in');
SELECT crm.record('{a:3}', '2026-01-01Z', 'web', 'view');
SELECT crm.refresh();
-- what is stored tells itself from what is packed when it is asked for
UPDATE crm.customer_journeys SET journey = journey || '{was.stored@2025-01-01T00:00:00Z}';
TRUNCATE crm.journey_blocks;
SELECT crm.refresh();  -- blocks say what is stored
-- something is added to the first customer, another one is new, and one has changed
SELECT crm.record('{a:1}', '2026-01-03Z', 'phone', 'call', direction => 'out', agent => 'bot') AS added,
       crm.record('{a:4}', '2026-01-03Z', 'phone', 'call') AS new;
UPDATE crm.touchpoints t SET action = 'look' FROM crm.identities i
WHERE i.identity_id = t.identity_id AND i.identifier = 'a:3';

CREATE FUNCTION seen(role text, view text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    RETURN QUERY EXECUTE format(
        $q$SELECT customer_id || ': ' || array_to_string(journey_path(journey), ' ') FROM %s ORDER BY customer_id$q$, view);
    RESET ROLE;
END $$;
CREATE VIEW all_views AS
SELECT role, array_agg(a ORDER BY a) AS sees,
       array_agg(a ORDER BY a) = array(SELECT seen(role, 'crm.journeys_by_customer')) AS by_customer,
       array_agg(a ORDER BY a)
           = array(SELECT seen(role, '(SELECT u.customer AS customer_id, u.journey FROM crm.current_blocks b, unnest(b.block) u) u'))
           AS in_blocks
FROM unnest('{regress_policy_reader,regress_policy_seer}'::text[]) role, seen(role, 'crm.current_journeys') a
GROUP BY role;
-- which branches are run
CREATE FUNCTION branches(view text) RETURNS TABLE (stored boolean, packed boolean) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    filters integer := 0;
BEGIN
    stored := false;
    packed := false;
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT customer_id, journey FROM ' || view LOOP
        stored := stored OR line ~ 'on customer_journeys' AND line !~ 'never executed';
        packed := packed OR line ~ 'on customers' AND line !~ 'never executed';
        filters := filters + (line ~ 'One-Time Filter')::integer;
    END LOOP;
    ASSERT filters > 0;
    RETURN NEXT;
END $$;
\x on
\t on
\a
-- nobody has a policy
SELECT * FROM all_views;
SET ROLE regress_policy_reader;
SELECT * FROM branches('crm.current_journeys');
RESET ROLE;

-- touchpoints have one: the phone is not for this reader
ALTER TABLE crm.touchpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY no_phone ON crm.touchpoints USING (channel <> 'phone');
SELECT * FROM all_views;
SET ROLE regress_policy_reader;
SELECT * FROM branches('crm.current_journeys');
SELECT count(*) FROM crm.current_journeys WHERE journey ~ 'phone.%' OR journey ~ 'was.%';
SELECT customer_id FROM crm.current_journeys WHERE journey ~ 'web.view';
SELECT customer_id, journey FROM crm.current_journeys WHERE customer_id = 2;
SELECT customer_id, journey FROM crm.journeys_by_customer WHERE customer_id = 1;
SELECT count(*) FROM crm.journeys_by_customer j JOIN crm.customers c USING (customer_id);
BEGIN;
SET LOCAL row_security = off;
SELECT count(*) FROM crm.current_journeys;
ROLLBACK;
RESET ROLE;
-- to their owner policies don't apply
SELECT array(SELECT seen(current_user, 'crm.current_journeys')) AS owner;

-- customer_journeys have one, too, but what they lack has not
ALTER TABLE crm.customer_journeys ENABLE ROW LEVEL SECURITY;
CREATE POLICY those ON crm.customer_journeys USING (customer_id <> 3);
SELECT * FROM all_views;
-- now it has
ALTER TABLE crm.journey_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY those ON crm.journey_changes
    USING (EXISTS (SELECT FROM crm.identities i
                   WHERE i.identity_id = journey_changes.identity_id AND i.customer_id <> 3));
SELECT * FROM all_views;
SET ROLE regress_policy_reader;
SELECT * FROM branches('crm.current_journeys');
RESET ROLE;
DROP POLICY no_phone ON crm.touchpoints;
DROP POLICY those ON crm.customer_journeys;
DROP POLICY those ON crm.journey_changes;
ALTER TABLE crm.touchpoints DISABLE ROW LEVEL SECURITY;
ALTER TABLE crm.customer_journeys DISABLE ROW LEVEL SECURITY;
ALTER TABLE crm.journey_changes DISABLE ROW LEVEL SECURITY;

-- some identities, or customers, are hidden
ALTER TABLE crm.identities ENABLE ROW LEVEL SECURITY;
CREATE POLICY those ON crm.identities USING (identity_id NOT IN (1, 4));
SELECT * FROM all_views;
ALTER TABLE crm.identities DISABLE ROW LEVEL SECURITY;
ALTER TABLE crm.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY those ON crm.customers USING (customer_id <> 1);
SELECT * FROM all_views;

-- policies, and a hub of another name
SELECT journey_rename_hub('crm', 'it''s "ours" \ $$');
CREATE OR REPLACE VIEW all_views AS
SELECT role, array_agg(a ORDER BY a) AS sees,
       array_agg(a ORDER BY a) = array(SELECT seen(role, '"it''s ""ours"" \ $$".journeys_by_customer')) AS by_customer,
       array_agg(a ORDER BY a)
           = array(SELECT seen(role, '(SELECT u.customer AS customer_id, u.journey
                                       FROM "it''s ""ours"" \ $$".current_blocks b, unnest(b.block) u) u')) AS in_blocks
FROM unnest('{regress_policy_reader,regress_policy_seer}'::text[]) role,
     seen(role, '"it''s ""ours"" \ $$".current_journeys') a
GROUP BY role;
SELECT * FROM all_views;
\a
\t off
\x off
DROP OWNED BY regress_policy_reader, regress_policy_seer;
DROP VIEW all_views;
DROP FUNCTION seen;
SELECT journey_drop_hub('it''s "ours" \ $$', true);
DROP ROLE regress_policy_reader, regress_policy_seer;
