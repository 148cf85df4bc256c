-- What comes next: the function over journeys, and next_step of a hub.
SET timezone = 'UTC';
SET intervalstyle = postgres;
SET datestyle = 'ISO';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset null -
-- Ten journeys: a, then b, and six of these buy; the pause of one is too long
CREATE TABLE j AS
SELECT n, ('{a.do@2015-01-01T00:00:00Z, b.do@2015-01-01T01:00:00Z' || CASE WHEN n <= 6 THEN ', c.buy@2015-01-02T00:00:00Z' WHEN n = 7 THEN ', c.buy@2015-02-02T00:00:00Z' ELSE '' END || '}')::journey AS journey
FROM generate_series(1, 10) n;
SELECT * FROM next_steps(ARRAY(SELECT journey FROM j), 'label', 'c.buy', '2 days', at_least => 5);
SELECT * FROM next_steps(ARRAY(SELECT journey FROM j), 'channel', 'c.buy', '2 days', at_least => 1, steps => 1);
-- what is too young is not decided: only the first of each is old enough
SELECT context, times, converted, items, item_times FROM next_steps(ARRAY(SELECT journey FROM j), 'action', '%.buy', '1 day', '2015-01-02T00:30:00Z', at_least => 1);
SELECT context, times FROM next_steps(ARRAY(SELECT journey FROM j), 'action', '%.buy', '1 day', '-infinity', at_least => 1);
-- the limit is inclusive; equal times are in the journey's order
SELECT context, items, item_times, item_converted
FROM next_steps(ARRAY['{a.x@2015-01-01T00:00:00Z#1, b.x@2015-01-01T00:00:00Z#2, c.x@2015-01-02T00:00:00Z}', NULL, '{}']::journey[], 'channel', 'c.%', '1 day', at_least => 1);
-- who did it often counts for less: 21 customers as 13.9
SELECT context, journeys_met, times, effective, items, item_journeys, item_times
FROM next_steps(ARRAY['{x.y@2015-01-01T00:00:00Z#1, x.y@2015-01-01T00:00:00Z#2, x.y@2015-01-01T00:00:00Z#3, x.y@2015-01-01T00:00:00Z#4, x.y@2015-01-01T00:00:00Z#5}'::journey]
                || array_fill('{x.y@2015-01-01T00:00:00Z}'::journey, ARRAY[20]), 'label', 'x.y', '1 day', steps => 1, at_least => 10);
-- steps that few went on to have no name, and who went on to several of them is one
SELECT context, items, item_journeys, item_times
FROM next_steps(array_fill('{a.x@2015-01-01T00:00:00Z, b.x@2015-01-01T01:00:00Z}'::journey, ARRAY[20])
                || ARRAY['{a.x@2015-01-01T00:00:00Z, c.x@2015-01-01T01:00:00Z, a.x@2015-01-01T02:00:00Z, d.x@2015-01-01T03:00:00Z}',
                         '{a.x@2015-01-01T00:00:00Z, c.x@2015-01-01T01:00:00Z}']::journey[], 'channel', '%.buy', '1 day', steps => 1, at_least => 20);
SELECT count(*) FROM next_steps('{}', 'label', '%.buy', '1 day');
SELECT count(*) FROM next_steps(NULL, 'label', '%.buy', '1 day');
-- whatever the order of journeys
SELECT count(*) > 0 AND bool_and(a = b) AS same FROM (
    SELECT a, b FROM (SELECT row_number() OVER (), n.* FROM next_steps(ARRAY(SELECT journey FROM j), 'label', 'c.buy', '2 days', at_least => 2) n) a
    FULL JOIN (SELECT row_number() OVER (), n.* FROM next_steps(ARRAY(SELECT journey FROM j ORDER BY n DESC), 'label', 'c.buy', '2 days', at_least => 2) n) b USING (row_number)) x;
SELECT * FROM next_steps('{}', 'page', '%.buy', '1 day');
SELECT * FROM next_steps('{}', 'label', 'a.b -> c.d', '1 day');
SELECT * FROM next_steps('{}', 'label', '%.buy', '-1 day');
SELECT * FROM next_steps('{}', 'label', '%.buy', '1 day', steps => 0);
SELECT * FROM next_steps('{}', 'label', '%.buy', '1 day', steps => 21);
SELECT * FROM next_steps('{}', 'label', '%.buy', '1 day', at_least => 0);
DROP TABLE j;

-- a hub: 40 customers, a year ago; half of those who call buy, a tenth of the others do
CREATE ROLE regress_next_reader;
CREATE ROLE regress_next_agent;
SELECT journey_create_hub('next_hub');
SELECT next_hub.grant_access('regress_next_reader');
SELECT count(next_hub.record(i, now() - interval '300 days' + t, c, a)) FROM generate_series(1, 40) n,
    LATERAL (VALUES ('0 h'::interval, 'web', 'view', true), ('1 h', 'phone', 'call', n <= 20), ('2 h', 'web', 'purchase', n <= 10 OR n IN (21, 22))) v(t, c, a, happens),
    LATERAL (SELECT ARRAY[identifier('id', n::text)]) x(i) WHERE happens;
SELECT next_hub.record('{id:new}', now() - interval '1 hour', 'web', 'view') IS NOT NULL AS new;
CREATE FUNCTION next_of(who text, segment text DEFAULT NULL) RETURNS TABLE (item text, probability numeric, customers bigint, converts numeric, otherwise numeric, low numeric, high numeric, context text[], support bigint, fresh boolean, reason text)
LANGUAGE sql AS $$
    SELECT item, round(probability::numeric, 4), customers, round(converts::numeric, 4), round(converts_otherwise::numeric, 4), round(low::numeric, 4), round(high::numeric, 4), context, support, as_of = now(),
           regexp_replace(reason, '\d{4}-\S+ \S+', 'TIME')
    FROM next_hub.next_step(next_hub.customer_of(identifier('id', who)), segment);
$$;
SELECT * FROM next_of('new');
BEGIN;
SELECT next_hub.refresh();
SELECT * FROM next_of('new');
-- where fewer went a way, their conversion is not told; where too few were, nothing is
UPDATE next_hub.next_step_models SET at_least = 15;
SELECT * FROM next_of('new');
SELECT next_hub.refresh();
SELECT * FROM next_of('new');
SELECT * FROM next_of('1');
SELECT * FROM next_of('nobody');
SELECT reason FROM next_hub.next_step(NULL);
COMMIT;
SELECT next_hub.record('{id:new}', now() - interval '30 min', 'phone', 'call') IS NOT NULL AS called;
SELECT item, probability, context, support FROM next_of('new');
SELECT next_hub.record('{id:new}', now() - interval '20 min', 'fax', 'send') IS NOT NULL AS sent;
SELECT item, probability, context, reason FROM next_of('new');
-- by other parts
UPDATE next_hub.next_step_models SET item = 'channel', steps = 1, conversion = 'web.purchase[value > 0]';
SELECT next_hub.make_next_steps('');
SELECT context, customers, times, items, item_customers, item_converted FROM next_hub.next_step_contexts ORDER BY context;
-- what has not changed much is not counted anew
UPDATE next_hub.next_step_models SET made_at = '2020-01-01';
SELECT next_hub.record('{id:1}', now() - interval '1 h', 'web', 'view') IS NOT NULL AS one;
SELECT next_hub.refresh();
SELECT made_at, changed FROM next_hub.next_step_models;
UPDATE next_hub.next_step_models SET stale_after = 0;
SELECT count(next_hub.record(ARRAY[identifier('id', n::text)], now() - interval '1 h', 'web', 'view')) FROM generate_series(1, 3) n;
SELECT next_hub.refresh();
SELECT made_at > '2020-01-01' AS made, changed, customers FROM next_hub.next_step_models;
-- a sample is a function of the numbers
UPDATE next_hub.next_step_models SET sample = 10, at_least = 1;
SELECT next_hub.make_next_steps() > 0 AS some;
SELECT max(customers) BETWEEN 1 AND 25 AS sampled, count(*) = (SELECT count(*) FROM next_hub.count_next_steps('')) AS same FROM next_hub.next_step_contexts;
UPDATE next_hub.next_step_models SET sample = 100000, at_least = 15;
SELECT next_hub.make_next_steps() > 0 AS "all";

-- those of a segment, counted at the call, or kept
UPDATE next_hub.next_step_models SET item = 'label', steps = 3, conversion = '%.purchase', at_least = 10;
SELECT next_hub.create_segment('callers', '{"pattern": "phone.call"}') IS NOT NULL AS made;
SELECT next_hub.create_segment('buyers', '{"pattern": "%.purchase"}') IS NOT NULL AS made;
SELECT next_hub.refresh();
SELECT next_hub.record('{id:newer}', now() - interval '1 hour', 'web', 'view') IS NOT NULL AS new;
SELECT item, probability, customers, context, support, fresh FROM next_of('newer');
SELECT item, probability, customers, context, support, fresh FROM next_of('newer', 'callers');
INSERT INTO next_hub.next_step_models (segment, at_least) VALUES ('callers', 10);
INSERT INTO next_hub.next_step_models (segment) VALUES ('nobody');
SELECT reason FROM next_of('newer', 'callers');
SELECT next_hub.refresh();
SELECT item, probability, customers, context, support FROM next_of('newer', 'callers');
SELECT item, probability, reason FROM next_of('newer', 'buyers');
SELECT * FROM next_of('newer', 'nobody');
SELECT segment, count(*) AS contexts FROM next_hub.next_step_contexts GROUP BY 1 ORDER BY 1;
SELECT next_hub.drop_segment('callers');
SELECT segment, count(*) AS contexts FROM next_hub.next_step_contexts GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM next_hub.next_step_models;

-- who reads all reads what is stored; whom a policy parts counts what he sees
SET ROLE regress_next_reader;
SELECT item, support, as_of = now() AS live FROM next_hub.next_step(1);
SELECT count(*) > 0 AS contexts FROM next_hub.next_step_contexts;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END $$;
-- by index, in spite of the policy
SELECT p FROM pg_temp.plan($$SELECT customers FROM next_hub.next_step_contexts WHERE segment = '' AND context_key = next_hub.context_key('{web}')$$) p WHERE p !~ 'Filter';
SELECT next_hub.make_next_steps();
RESET ROLE;
ALTER TABLE next_hub.identities ENABLE ROW LEVEL SECURITY;
CREATE POLICY half ON next_hub.identities USING (identity_id <= 20 OR identity_id = 41);
SET ROLE regress_next_reader;
SELECT count(*) AS contexts FROM next_hub.next_step_contexts;
SELECT item, customers, support, as_of = now() AS live FROM next_hub.next_step(1);
SELECT item, reason FROM next_hub.next_step(30);
RESET ROLE;
ALTER TABLE next_hub.identities DISABLE ROW LEVEL SECURITY;

-- an agent sees his customers: counts of all are for him only if that is set
INSERT INTO next_hub.queues (queue) VALUES ('q');
INSERT INTO next_hub.agents (agent, login) VALUES ('Rita', 'regress_next_agent');
INSERT INTO next_hub.agent_queues (agent, queue) VALUES ('Rita', 'q');
SELECT next_hub.grant_access('regress_next_agent', 'agent');
SELECT next_hub.make_next_steps() > 0 AS made, next_hub.assign(next_hub.customer_of('id:newer'), 'q') > 0 AS assigned;
SELECT next_hub.customer_of('id:newer') AS newer \gset
SET ROLE regress_next_agent;
SELECT item, support, reason FROM next_hub.next_step(:newer);
SELECT reason FROM next_hub.next_step(1);
SELECT count(*) FROM next_hub.next_step_contexts;
RESET ROLE;
UPDATE next_hub.next_step_models SET for_agents = true;
SET ROLE regress_next_agent;
SELECT item, support, reason FROM next_hub.next_step(:newer);
SELECT reason FROM next_hub.next_step(1);
RESET ROLE;

-- mistakes
UPDATE next_hub.next_step_models SET conversion = 'a.b -> c.d';
UPDATE next_hub.next_step_models SET within = '-1 day';
UPDATE next_hub.next_step_models SET steps = 0;
UPDATE next_hub.next_step_models SET item = 'page';
SELECT next_hub.make_next_steps('nobody');
DELETE FROM next_hub.next_step_models;
SELECT reason FROM next_hub.next_step(1);
SELECT next_hub.make_next_steps();
SELECT next_hub.refresh();
DROP FUNCTION next_of;
SELECT journey_drop_hub('next_hub', true);
DROP OWNED BY regress_next_reader, regress_next_agent;
DROP ROLE regress_next_reader, regress_next_agent;
