-- Flows: what is read of them, options, errors; alignments. That they count right is test/t/232_flow_property.pl's
SET timezone = 'UTC';
CREATE TABLE shop (id bigint, journey journey);
INSERT INTO shop VALUES
    (1, '{web.view@2026-03-01T10:00:00Z, web.view@2026-03-01T10:01:00Z, email.open@2026-03-01T10:05:00Z, shop.buy=20@2026-03-02T10:00:00Z}'),
    (2, '{web.view@2026-03-01T10:00:00Z, shop.buy=5@2026-03-01T10:01:00Z}'),
    (3, '{web.view@2026-03-01T10:00:00Z, shop.buy=5@2026-03-01T10:03:00Z, web.view@2026-03-20T10:00:00Z}'),
    (4, '{phone.call.in@2026-03-01T10:00:00Z}'),
    (5, '{}'),
    (6, NULL);
SELECT flow_agg(journey, 'channel') FROM shop;
CREATE VIEW shop_flow AS SELECT flow_agg(journey, 'channel') AS flow FROM shop;

-- readings
SELECT e.* FROM shop_flow, flow_edges(flow) e;
SELECT e.* FROM shop_flow, flow_edges(flow, 1) e;
SELECT t.* FROM shop_flow, flow_transitions(flow) t;
SELECT v.path, v.journeys, round(v.share::numeric, 3), round(v.cumulated_share::numeric, 3), v.median_duration FROM shop_flow, flow_variants(flow) v;
SELECT i.* FROM shop_flow, flow_items(flow) i;
SELECT f.* FROM shop_flow, flow_follows(flow) f;
SELECT flow_paths(flow) FROM shop_flow;

-- each option; a path that max_steps cut doesn't end, and a path ends with the first match of "end"
SELECT v.path, v.journeys FROM flow_variants((SELECT flow_agg(journey, 'channel', '{"collapse": true}') FROM shop)) v;
SELECT e.source, e.target, e.touchpoints FROM flow_edges((SELECT flow_agg(journey, 'channel', '{"collapse": true}') FROM shop)) e WHERE step = 1;
SELECT v.path, v.journeys FROM flow_variants((SELECT flow_agg(journey, 'channel', '{"gap": "1 day"}') FROM shop)) v;
SELECT v.path, v.journeys FROM flow_variants((SELECT flow_agg(journey, 'channel', '{"start": "email.open"}') FROM shop)) v;
SELECT v.path, v.journeys FROM flow_variants((SELECT flow_agg(journey, 'channel', '{"end": "%.buy[value > 10]"}') FROM shop)) v;
SELECT v.path, v.journeys FROM flow_variants((SELECT flow_agg(journey, 'channel', '{"end": "(shop.buy | phone.%.%)"}') FROM shop)) v;
SELECT e.source, e.target, e.journeys FROM flow_edges((SELECT flow_agg(journey, 'channel', '{"max_steps": 2}') FROM shop)) e;
SELECT t.source, t.target, t.times FROM flow_transitions((SELECT flow_agg(journey, 'channel', '{"max_steps": 2}') FROM shop)) t;
SELECT v.path, v.journeys FROM flow_variants((SELECT flow_agg(journey, 'channel', '{"max_steps": 2}') FROM shop)) v;
SELECT e.source, e.target, e.journeys FROM flow_edges((SELECT flow_agg(journey, 'channel', '{"max_steps": 2, "direction": "backward", "end": "shop.buy"}') FROM shop)) e;
SELECT id, item, v.path FROM shop CROSS JOIN (VALUES ('label'), ('action'), ('detail')) i(item) CROSS JOIN LATERAL flow_variants((SELECT flow_agg(s.journey, item) FROM shop s WHERE s.id = shop.id)) v WHERE id IN (1, 4) ORDER BY id, item;
SELECT flow_agg(journey, 'channel', NULL) = flow_agg(journey, 'channel', '{}') AND flow_agg(journey, 'channel') = flow_agg(journey, 'channel', '{"direction": "forward", "collapse": false, "start": null}') FROM shop;
-- items that are called like nodes which are no items
CREATE TABLE named (journey journey);
INSERT INTO named SELECT journey_agg('2026-03-01Z'::timestamptz + n * interval '1 min', channel, 'x')
FROM (VALUES (1, 1, '(end)'), (1, 2, '(more)'), (1, 3, '"(other)"'), (1, 4, 'a'), (2, 1, '(end)'), (3, 1, 'a'), (3, 2, '(other)'), (3, 3, '""(start)""'), (4, 1, '"(end)'), (4, 2, '(End)'))
     v(id, n, channel) GROUP BY id;
SELECT e.step, e.source, e.target, e.journeys FROM flow_edges((SELECT flow_agg(journey, 'channel') FROM named)) e;
SELECT e.step, e.source, e.target, e.journeys FROM flow_edges((SELECT flow_agg(journey, 'channel', '{"max_steps": 2}') FROM named), 1) e;
SELECT v.path, v.journeys FROM flow_variants((SELECT flow_agg(journey, 'channel', '{"max_steps": 1}') FROM named)) v;
SELECT string_agg(t.text[1], ', ' ORDER BY t.text[1] COLLATE "C") FROM regexp_matches(svg_flow((SELECT flow_agg(journey, 'channel') FROM named), '{"width": 2000}'), '<g><title>([^<→]*)</title>', 'g') t(text);
-- groups of different options side by side
SELECT count(*), sum(flow_paths(flow)), sum(edges) FROM (SELECT f AS flow, (SELECT count(*) FROM flow_edges(f)) AS edges
    FROM (SELECT flow_agg(journey, 'channel', jsonb_build_object('max_steps', n)) AS f FROM shop, generate_series(1, 40) n GROUP BY n) g) e;
-- told row by row
SELECT source, target, times FROM (SELECT (flow_transitions(flow_agg(journey, 'channel'))).* FROM shop) t WHERE times > 1;
-- edges tell 30 steps apart, transitions all
CREATE TABLE long (journey journey);
INSERT INTO long SELECT journey_agg('2026-03-01Z'::timestamptz + i * interval '1 min', (ARRAY['a', 'b', 'c'])[1 + i % 3], 'x') FROM generate_series(1, 100) i;
SELECT count(*), max(step), max(target) FILTER (WHERE step = 30) FROM flow_edges((SELECT flow_agg(journey, 'channel') FROM long));
SELECT count(*), max(step), sum(journeys) FROM flow_edges((SELECT flow_agg(journey, 'channel', '{"max_steps": 90}') FROM long));
SELECT source, target, times FROM flow_transitions((SELECT flow_agg(journey, 'channel') FROM long));

-- beyond a million steps times are rounded, by less than half a percent
CREATE TABLE many AS
SELECT i AS id, journey_agg('2026-03-01Z'::timestamptz + (k * 1009 + i % 977 * k) * interval '1 s', (ARRAY['a', 'b'])[1 + k % 2], 'x') AS journey
FROM generate_series(1, 5001) i, generate_series(1, 200) k GROUP BY i;
CREATE TABLE many_flow AS SELECT flow_agg(journey, 'channel') AS flow FROM many;
SELECT flow::text LIKE '%"rounded": true%' AS rounded, flow::text::flow = flow AS again,
       flow = (SELECT flow_agg(part) FROM (SELECT flow_agg(journey, 'channel') AS part FROM many GROUP BY id % 3) p) AS in_parts FROM many_flow;
SELECT t.source, t.target, t.times, abs(extract(epoch FROM t.mean_time) - m.mean) < 0.000001 AS mean, abs(extract(epoch FROM t.median_time) - m.median) < 0.004 * m.median AS median,
       extract(epoch FROM t.min_time) = m.min AND extract(epoch FROM t.max_time) = m.max AS ends
FROM many_flow, flow_transitions(flow) t,
     (SELECT avg(1009 + i % 977) AS mean, percentile_cont(0.5) WITHIN GROUP (ORDER BY 1009 + i % 977) AS median, min(1009 + i % 977), max(1009 + i % 977) FROM generate_series(1, 5001) i) m
WHERE t.source IS NOT NULL AND t.target IS NOT NULL;

-- what comes next
CREATE VIEW sold AS SELECT flow_agg(journey, 'channel', '{"end": "shop.buy"}') AS flow FROM shop, generate_series(1, 5);
SELECT n.* FROM sold, flow_next(flow, '{web.view@2026-03-01T10:00:00Z}') n;
SELECT n.* FROM sold, flow_next(flow, '{web.view@2026-03-01T10:00:00Z, web.view@2026-03-01T10:00:00Z}', 1) n;
SELECT n.* FROM sold, flow_next(flow, '{web.view@2026-03-01T10:00:00Z, web.view@2026-03-01T10:00:00Z}', 6) n;
SELECT n.* FROM sold, flow_next(flow, '{nowhere.seen@2026-03-01T10:00:00Z}') n;
SELECT n.* FROM sold, flow_next(flow, '{}') n;
SELECT n.* FROM sold, flow_next(flow, '{web.view@2026-03-01T10:00:00Z, shop.buy@2026-03-01T11:00:00Z}') n;

-- what would be if
SELECT item, visits, conversions, round(changed_visits::numeric, 9), round(changed_conversions::numeric, 9) FROM flow_what_if((SELECT flow FROM sold), '{}');
SELECT item, visits, conversions, round(changed_visits::numeric, 9), round(changed_conversions::numeric, 9) FROM flow_what_if((SELECT flow FROM sold), '{"email": 2}');
SELECT item, round(changed_visits::numeric, 9), round(changed_conversions::numeric, 9) FROM flow_what_if((SELECT flow FROM sold), '{"phone": "web", "email": 0}');

-- alignments
SELECT id, a.*, round(journey_fitness(journey, '^ web.view => email.open => shop.buy $')::numeric, 4) AS fitness
FROM shop, journey_alignment(journey, '^ web.view => email.open => shop.buy $') a;
-- what lies between is allowed by ->
SELECT id, a.*, journey_fitness(journey, 'web.view -> shop.buy') AS fitness, journey ~ 'web.view -> shop.buy' AS matches FROM shop, journey_alignment(journey, 'web.view -> shop.buy') a;
-- alternatives, repeats, any order, bans, values, costs
SELECT a.* FROM shop, journey_alignment(journey, '(phone.call | web.view){2} -> all(shop.buy, email.open)') a WHERE id = 3;
SELECT a.* FROM shop, journey_alignment(journey, 'web.view -[!email.%]-> shop.buy[value > 30]') a WHERE id = 1;
SELECT a.* FROM shop, journey_alignment(journey, '^ web.view -[!email.%]-> shop.buy', extra_cost => 5) a WHERE id = 1;
SELECT a.* FROM shop, journey_alignment(journey, '^ web.view => shop.buy', missing_cost => 5) a WHERE id = 1;
SELECT a.* FROM journey_alignment('{}', 'a.b => c.d') a;
-- a long journey, in little memory
SELECT move, count(*), min(position), max(position) FROM journey_alignment((SELECT journey_agg('2026-03-01Z'::timestamptz + i * interval '1 s', (ARRAY['a', 'b', 'b'])[1 + i % 3], 'x') FROM generate_series(1, 30000) i), '^ (a.x => b.x =>)+ => b.x $') GROUP BY 1 ORDER BY 1;

-- a corrupt state, or an impossible text
SELECT '{"options": {"item": "channel"}, "rounded": false, "items": ["a"], "paths": [[0, [0], 1, [0,1]]], "edges": [[1, 0, 0, 1, 1]]}'::flow;
SELECT '{"options": {"item": "channel"}, "rounded": false, "items": ["a"], "paths": [[0, [0], 1, [0,1]]], "edges": [[1, 0, 0, 2, 2]]}'::flow;
SELECT '{"options": {"item": "channel"}, "rounded": false, "items": ["a"], "paths": [[0, [0], 1, [0,1]]], "edges": []}'::flow;
SELECT '{"options": {"item": "channel"}, "rounded": false, "items": ["a"], "paths": [[1, [0], 1, [0,1]]], "edges": [[1, 0, 0, 1, 1]]}'::flow;
SELECT '{"options": {"item": "channel"}, "rounded": true, "items": ["a"], "paths": [[0, [0], 1, [0,1]]], "edges": [[1, 0, 0, 1, 1]]}'::flow;
SELECT '{"options": {}, "rounded": false, "items": ["a"], "paths": [], "edges": []}'::flow;
SELECT '{"options": {"item": "channel"}, "rounded": false, "items": ["a"], "paths": [[0, [1], 1, [0,1]]], "edges": [[1, 0, 0, 1, 1]]}'::flow;
SELECT '{"options": {"item": "channel"}, "rounded": false, "items": ["a"], "paths": [[0, [0], 2, [0,1]]], "edges": [[1, 0, 0, 2, 2]]}'::flow;
SELECT '{"options": {"item": "channel"}, "rounded": false, "items": ["a"], "paths": [[0, [0], -1, [0,1]]], "edges": []}'::flow;
SELECT '{}'::flow;
SELECT '[1'::flow;

-- errors
SELECT flow_agg(journey, 'page') FROM shop;
SELECT flow_agg(journey, NULL) FROM shop;
SELECT flow_agg(journey, 'channel', '[]') FROM shop;
SELECT flow_agg(journey, 'channel', '{"steps": 5}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"start": "a.b -> c.d"}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"end": "^ a.b"}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"start": "a.b ->"}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"start": 1}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"direction": "sideways"}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"max_steps": 0}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"max_steps": 2.5}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"gap": "-1 day"}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"gap": "soon"}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"gap": 30}') FROM shop;
SELECT flow_agg(journey, 'channel', '{"collapse": 1}') FROM shop;
SELECT flow_agg(journey, CASE WHEN id = 1 THEN 'channel' ELSE 'action' END) FROM shop WHERE id < 3;
SELECT flow_agg(f) FROM (SELECT flow_agg(journey, 'channel') FROM shop UNION ALL SELECT flow_agg(journey, 'channel', '{"max_steps": 3}') FROM shop) x(f);
SELECT * FROM flow_edges((SELECT flow FROM shop_flow), 0);
SELECT * FROM flow_next((SELECT flow FROM shop_flow), '{}', 0);
SELECT * FROM flow_what_if((SELECT flow FROM shop_flow), '[]');
SELECT * FROM flow_what_if((SELECT flow FROM shop_flow), '{"fax": 2}');
SELECT * FROM flow_what_if((SELECT flow FROM shop_flow), '{"web": -2}');
SELECT * FROM flow_what_if((SELECT flow FROM shop_flow), '{"web": true}');
SELECT * FROM flow_what_if((SELECT flow FROM shop_flow), '{"web": "fax"}');
SELECT journey_fitness(journey, 'a.b -[<= 1 day]-> c.d') FROM shop;
SELECT journey_fitness(journey, 'a.b -> c.d within 1 day') FROM shop;
SELECT journey_fitness(journey, 'a.b -[!c.d for 1 day]-> $') FROM shop;
SELECT journey_fitness(journey, 'a.b', 0) FROM shop;
SELECT flow_agg_finalfn(NULL);
DROP VIEW sold, shop_flow;
DROP TABLE shop, long, many, many_flow;
