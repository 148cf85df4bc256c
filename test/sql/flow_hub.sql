-- Flows of a hub: periods, ranges, customers, views; blocks and journeys tell the same
SET timezone = 'UTC';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT journey_create_hub('flow_hub');
UPDATE flow_hub.settings SET time_zone = 'Europe/Berlin';
SELECT count(flow_hub.record(i, t, c, a)) FROM (VALUES
    ('ann', '2026-01-31T22:30:00Z'::timestamptz, 'web', 'view'), ('ann', '2026-01-31T23:30:00Z', 'web', 'buy'), ('ann', '2026-02-02T10:00:00Z', 'phone', 'call'),
    ('bob', '2026-02-01T10:00:00Z', 'web', 'view'), ('bob', '2026-02-01T11:00:00Z', 'phone', 'call'), ('bob', '2026-04-01T11:00:00Z', 'phone', 'call')) v(n, t, c, a),
    LATERAL (SELECT ARRAY[identifier('crm', n)]) x(i);
SELECT e.* FROM flow_hub.flows() f, flow_edges(f.flow) e;
-- the months of Berlin; a journey is cut at their borders
SELECT f.period_start, v.path, v.journeys FROM flow_hub.flows('month') f, flow_variants(f.flow) v ORDER BY 1, 2;
SELECT f.period_start, v.path, v.journeys FROM flow_hub.flows('month', '2026-02-01T10:30:00Z', '2026-04-01') f, flow_variants(f.flow) v ORDER BY 1, 2;
SELECT f.period_start, flow_paths(f.flow) FROM flow_hub.flows('quarter', by => 'action') f ORDER BY 1;
-- some customers
SELECT v.path, v.journeys FROM flow_hub.flows(customers => ARRAY(SELECT min(customer_id) FROM flow_hub.current_journeys), by => 'label') f, flow_variants(f.flow) v;
SELECT v.path, v.journeys FROM flow_hub.flows(options => '{"start": "phone.%", "max_steps": 1}') f, flow_variants(f.flow) v;
-- days add up to the range, for they are cut alike
SELECT flow_paths(flow_agg(f.flow)) FROM flow_hub.flows('day') f;
SELECT count(flow_hub.refresh()) FROM generate_series(1, 1);
SELECT (SELECT flow FROM flow_hub.flows()) = (SELECT flow FROM flow_hub.flows(since => '-infinity')) AS same_of_blocks;
TABLE flow_hub.flow_edges;
SELECT source, target, times, median_seconds FROM flow_hub.flow_transitions;
SELECT path, journeys, median_seconds FROM flow_hub.flow_variants;
-- errors, before there is data
DELETE FROM flow_hub.touchpoints;
SELECT * FROM flow_hub.flows('moon');
SELECT * FROM flow_hub.flows('day', '2026-02-01', '2026-01-01');
SELECT * FROM flow_hub.flows(by => 'page');
SELECT * FROM flow_hub.flows(by => NULL);
SELECT * FROM flow_hub.flows(options => '{"steps": 1}');
SELECT journey_drop_hub('flow_hub', true);
