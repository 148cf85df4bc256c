-- Pictures: what is drawn, of what, and what is refused. That no label can do harm is test/t/235_pictures.pl's.
SET timezone = 'Europe/Lisbon';
SET lc_numeric = 'C';

-- how many elements of a kind there are, and the texts
CREATE FUNCTION drawn(svg text, what text) RETURNS bigint LANGUAGE sql
RETURN (SELECT count(*) FROM regexp_matches(svg, '<' || what || '\M', 'g'));
CREATE FUNCTION said(svg text) RETURNS text LANGUAGE sql
RETURN (SELECT string_agg(regexp_replace(m[1], '<[^>]*>', '', 'g'), ' | ') FROM regexp_matches(svg, '<text [^>]*?>(.*?)</text>', 'g') m);

-- funnels: in order of the steps, whatever that of the array; a share of the first, and of the one before
CREATE TABLE funnels AS
SELECT ARRAY[(2, 'web.cart', 400, 0, 0, '12 min', NULL), (1, 'web.view', 1600, 1, 1, NULL, NULL), (4, 'web.purchase', 160, 0, 0, '1 month 2 days', NULL),
             (3, 'phone.call?', 1, 0, 0, '0', '1 h')]::funnel_step[] AS steps;
SELECT said(svg_funnel(steps)) FROM funnels;
SELECT (regexp_match(svg_funnel(steps, '{"title": "Ours", "width": 400}'), '<title>.*?</desc>'))[1] FROM funnels;
SELECT said(svg_funnel(steps, '{"top": 2}')) FROM funnels;
SELECT svg_funnel(steps) = svg_funnel(ARRAY(SELECT s FROM unnest(steps) s ORDER BY s.reached)) AS same_in_any_order FROM funnels;
SELECT said(svg_funnel('{}')), said(svg_funnel(ARRAY[(1, 'a', 0, 1, 1, NULL, NULL)]::funnel_step[]));
SELECT svg_funnel(NULL) IS NULL AS a, svg_funnel('{}', NULL) IS NULL AS b;
SELECT said(svg_funnel(journey_funnel_agg(j, 'web.% -> store.%')))
FROM (VALUES ('{web.view@2026-01-01T10:00:00Z, store.visit@2026-01-02T10:00:00Z}'::journey), ('{web.view@2026-01-01T10:00:00Z}')) v(j);
-- shares next to nothing and next to all are not told to be it
SELECT said(svg_funnel(ARRAY[(1, 'a', 1000000, 1, 1, NULL, NULL), (2, 'b', 999999, 1, 1, NULL, NULL), (3, 'c', 1, 1, 1, NULL, NULL)]::funnel_step[]));

-- heat maps: rows and columns in order of appearance, what is the same added up, NULL empty, below zero another colour
CREATE TABLE cells AS
SELECT ARRAY[('Mon', '9', 5), ('Mon', '10', -20), ('Tue', '9', 7), ('Tue', '10', NULL), ('Mon', '9', 0.5), (NULL, '', 1)]::heatmap_cell[] AS cells;
SELECT said(svg_heatmap(cells)) FROM cells;
SELECT drawn(svg_heatmap(cells), 'g') FROM cells;
SELECT said(svg_heatmap(array_agg(('r' || i, 'c' || i % 3, i)::heatmap_cell ORDER BY i), '{"top": 3}')) FROM generate_series(1, 5) i;
SELECT said(svg_heatmap(array_agg(('r', 'c' || i, 12345678 * i)::heatmap_cell ORDER BY i), '{"width": 500}')) FROM generate_series(1, 5) i;
SELECT said(svg_heatmap('{}')), said(svg_heatmap(ARRAY[('a', 'b', NULL)]::heatmap_cell[]));
SELECT said(svg_heatmap(ARRAY[('a', 'b', 0)]::heatmap_cell[]));
SELECT svg_heatmap(ARRAY[('a', 'b', 1e308), ('a', 'b', 1e308)]::heatmap_cell[]);

-- retention: what is in the future is not shown as nobody, and what is not is
CREATE TABLE cohorts AS
SELECT ARRAY[('2026-03-01', 0, 10), ('2026-01-01', 1, 30), ('2026-01-01', 0, 60), ('2026-02-01', 0, 40), ('2026-02-01', 1, 20)]::retention_cell[] AS cells;
SELECT said(svg_retention(cells)) FROM cohorts;
SELECT said(svg_retention(cells, '{"top": 2}')) FROM cohorts;
SELECT said(svg_retention(cells, '{"unit": "quarter"}')) FROM cohorts;
SELECT svg_retention(cells) = svg_retention(ARRAY(SELECT c FROM unnest(cells) c ORDER BY c.customers)) AS same_in_any_order FROM cohorts;
SELECT d, n, substring(said(svg_retention(ARRAY[(d, 0, 1), (d, 1, 1), ((d + n), 0, 1)]::retention_cell[])) FROM '\w+ after the first') AS unit
FROM (VALUES (date '2024-12-30', 7), ('2025-01-01', 365), ('2026-01-01', 90), ('2026-01-01', 31), ('2026-01-01', 5), ('2026-01-01', 0)) v(d, n);
SELECT said(svg_retention(ARRAY[('2026-01-01', 0, 1), ('2026-01-01', 500, 1)]::retention_cell[], '{"width": 280}'));
SELECT said(svg_retention('{}'));

-- journeys: a lane for each channel, what is close together is one circle
CREATE TABLE lives AS SELECT '{email.open@2026-03-01T10:00:00Z, email.click@2026-03-01T10:01:00Z, web.view@2026-03-01T10:02:00Z,
    web.cart@2026-03-01T10:09:00Z, store.purchase=49.90@2026-03-29T17:45:00Z}'::journey AS journey;
SELECT said(svg_journey(journey)), drawn(svg_journey(journey), 'circle') AS circles FROM lives;
SELECT said(svg_journey(journey, '{"item": "action"}')) FROM lives;
SELECT said(svg_journey(journey, '{"top": 2}')) FROM lives;
SELECT said(svg_journey(journey[1])) FROM lives;
SELECT said(svg_journey('{}'));
SELECT said(svg_journey('{a.b@0044-03-15T12:00:00Z, a.c@2026-01-01T00:00:00Z}'));
SELECT said(svg_journey('{a.b@2026-01-01T00:00:00.000001Z, a.c@2026-01-01T00:00:00.000031Z}'));
SELECT drawn(svg, 'circle') AS circles, length(svg) < 100000 AS small, split_part(said(svg), ' | ', 1)
FROM (SELECT svg_journey(journey_agg('2026-01-01Z'::timestamptz + i * interval '10 min', 'c' || i % 5, 'a' || i % 9)) AS svg FROM generate_series(1, 100000) i) j;

-- flows: the largest of each step, the rest counted; ends below; in any order the same
CREATE TABLE edges AS
SELECT ARRAY[(1, 'web', 'app', 120), (1, 'web', NULL, 300), (1, 'app', 'web', 200), (1, 'email', 'web', 400), (2, 'web', 'store', 250),
             (2, 'app', '(end)', 90), (2, 'web', 'phone', 0), (2, 'web', '(end)', 350), (2, 'app', 'store', 30)]::flow_edge[] AS edges;
SELECT said(svg_flow(edges)) FROM edges;
SELECT drawn(svg_flow(edges), 'rect') AS nodes_and_ground, drawn(svg_flow(edges), 'path') AS bands FROM edges;
SELECT said(svg_flow(edges, '{"top": 2}')) FROM edges;
SELECT said(svg_flow(edges, '{"width": 300}')) FROM edges;
SELECT svg_flow(edges) = svg_flow(ARRAY(SELECT e FROM unnest(edges) e ORDER BY e.journeys, e.source DESC)) AS same_in_any_order FROM edges;
SELECT said(svg_flow('{}'::flow_edge[])), said(svg_flow(ARRAY[(1, 'a', 'b', 0)]::flow_edge[]));
SELECT said(svg_flow(ARRAY[(2147483647, 'a', 'b', 9223372036854775807), (-5, 'a', NULL, 1)]::flow_edge[]));
SELECT said(svg_flow(flow_agg(journey, 'channel'))) FROM lives;
SELECT said(svg_flow(flow_agg(journey, 'channel', '{"collapse": true}'))) FROM lives;
SELECT said(svg_flow(flow_agg(journey, 'action', '{"direction": "backward", "max_steps": 3}'))) FROM lives;
SELECT svg_flow(flow_agg(journey, 'channel')) IS NULL AS null_of_none FROM lives WHERE false;
SELECT said(svg_flow(flow_agg(journey, 'channel'))) FROM (VALUES ('{}'::journey)) v(journey);

-- matches: bars of scores, and what is expected from each on; a threshold beyond all is told, and not drawn
CREATE TABLE scores AS
SELECT ARRAY[(5, 90, 0.99, 0.7, 0.4), (-20, 4000, 0.02, 1, 0), (0, 10, 0.95, 0.85, 0.3), (-3, 20, 0.9, 0.9, 0.25), (5, 10, 0.99, 0.7, 0.4)]::match_score[] AS scores;
SELECT said(svg_matches(scores, 2, -3)), drawn(svg_matches(scores, 2, -3), 'g') AS bars FROM scores;
SELECT (regexp_match(svg_matches(scores, 2, -3, '{"title": "Ours", "width": 400}'), '<title>.*?</desc>'))[1] FROM scores;
SELECT drawn(svg_matches(scores, 50), 'path') - drawn(svg_matches(scores, 5), 'path') AS lines_less, (regexp_match(svg_matches(scores, 50), '<desc>(.*?)</desc>'))[1] FROM scores;
SELECT svg_matches(scores) = svg_matches(ARRAY(SELECT s FROM unnest(scores) s ORDER BY s.pairs)) AS same_in_any_order FROM scores;
SELECT drawn(svg_matches(array_agg((i, i % 7, 1 - i / 4000.0, i / 4000.0, 0)::match_score)), 'g') < 190 AS put_together FROM generate_series(0, 3000) i;
SELECT said(svg_matches('{}')), svg_matches(NULL) IS NULL AS none, svg_matches('{}', options => NULL) IS NULL AS nothing;
SELECT said(svg_matches(ARRAY[(7.5, 0, 1, 1, 1)]::match_score[], 'infinity', '-infinity'));

-- bands leave a node and come to it beside each other, never one upon the other
SELECT count(*) AS bands, count(DISTINCT start) AS starts, count(DISTINCT goal) AS goals
FROM edges, regexp_matches(svg_flow(edges), '<path d="M(\S+ \S+?)C\S+ \S+ \S+ \S+ (\S+ [^V]+)V', 'g') m, LATERAL (SELECT m[1], m[2]) b(start, goal);

-- themes: as the viewer prefers, or one of the two for good
SELECT t, svg LIKE '%prefers-color-scheme:dark%' AS follows, svg LIKE '%class=%' AS classes, svg LIKE '%fill="#ffffff"%' AS white, svg LIKE '%fill="#14171c"%' AS black
FROM unnest('{auto,light,dark}'::text[]) t, edges, LATERAL (SELECT svg_flow(edges, jsonb_build_object('theme', t))) s(svg);

-- text that others make pictures of
SELECT svg_escape(E'<a href="x">''&\x01\t\n\x7f') AS escaped, svg_escape(repeat('long ', 200)) = repeat('long ', 200) AS whole;

-- what is refused
SELECT svg_funnel('{}', '[]');
SELECT svg_funnel('{}', '{"titel": "x"}');
SELECT svg_journey('{}', '{"unit": "day"}');
SELECT svg_funnel('{}', '{"title": 5}');
SELECT svg_funnel('{}', '{"width": 279}');
SELECT svg_funnel('{}', '{"width": 1e300}');
SELECT svg_funnel('{}', '{"width": "wide"}');
SELECT svg_funnel('{}', '{"width": 400.5}');
SELECT svg_funnel('{}', '{"theme": "blue"}');
SELECT svg_funnel('{}', '{"top": 1}');
SELECT svg_retention('{}', '{"unit": "hour"}');
SELECT svg_journey('{}', '{"item": null}');
SELECT svg_funnel(ARRAY[NULL]::funnel_step[]);
SELECT svg_funnel(ARRAY[(1, 'a', NULL, 1, 1, NULL, NULL)]::funnel_step[]);
SELECT svg_funnel(ARRAY[(NULL, 'a', 1, 1, 1, NULL, NULL)]::funnel_step[]);
SELECT svg_funnel(ARRAY[(1, 'a', -1, 1, 1, NULL, NULL)]::funnel_step[]);
SELECT svg_heatmap(ARRAY[('a', 'b', 'NaN')]::heatmap_cell[]);
SELECT svg_matches(ARRAY[('NaN', 1, 1, 1, 1)]::match_score[]);
SELECT svg_matches(ARRAY[(2e6, 1, 1, 1, 1)]::match_score[]);
SELECT svg_matches(ARRAY[(1, -1, 1, 1, 1)]::match_score[]);
SELECT svg_matches(ARRAY[(1, 1, 1, 1.5, 1)]::match_score[]);
SELECT svg_matches(ARRAY[(1, 1, NULL, 1, 1)]::match_score[]);
SELECT svg_matches(ARRAY[(1, 9223372036854775807, 1, 1, 1), (1, 1, 1, 1, 1)]::match_score[]);
SELECT svg_matches(ARRAY[(1, 1, 1, 1, 1)]::match_score[], 'NaN');
SELECT svg_matches(ARRAY[(1, 1, 1, 1, 1)]::match_score[], options => '{"top": 5}');
SELECT svg_retention(ARRAY[('infinity', 0, 1)]::retention_cell[]);
SELECT svg_retention(ARRAY[('2026-01-01', -1, 1)]::retention_cell[]);
SELECT svg_flow(ARRAY[(1, 'a', 'b', 9223372036854775807), (1, 'a', 'c', 1)]::flow_edge[]);
SELECT svg_flow(ARRAY[(NULL, 'a', 'b', 1)]::flow_edge[]);

DROP FUNCTION drawn, said;
DROP TABLE funnels, cells, cohorts, lives, edges, scores;
