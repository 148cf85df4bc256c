-- identity_conflicts, identity_path, identity_bridges: by hand, against evaluators
-- in PL/pgSQL that try everything, large ones, and what they must refuse.

-- one crm id a customer: the tablet 3 has seen two, and the second stays out
SELECT * FROM identity_conflicts('{1,3,3,2}', '{3,4,2,5}', '{1,2}', '{1,1}', '{1}', '{}', '{}');
-- in the other order it is the first that stays out
SELECT * FROM identity_conflicts('{2,3,3,1}', '{5,2,4,3}', '{1,2}', '{1,1}', '{1}', '{}', '{}');
-- kept apart, directly and by others; within a component nothing is tested
SELECT * FROM identity_conflicts('{1,2,3,1,1,3}', '{2,1,4,3,4,3}', '{}', '{}', '{}', '{2}', '{4}');
-- the smallest group that is broken; a limit before a pair
SELECT * FROM identity_conflicts('{1,1,1}', '{2,3,4}', '{1,2,1,2,3,4}', '{3,3,2,2,3,2}', '{9,1,1}', '{1,1}', '{4,2}');
-- two may be in; said twice, a node counts once
SELECT * FROM identity_conflicts('{1,2,3}', '{2,3,4}', '{1,1,2,4,1}', '{1,1,1,1,1}', '{2}', '{}', '{}');
-- a node is never too many alone: limit 0, or a pair of one node
SELECT * FROM identity_conflicts('{1,1,3,1}', '{1,2,4,4}', '{1}', '{1}', '{0}', '{3}', '{3}');
SELECT * FROM identity_conflicts('{1,2,2,2}', '{2,3,1,4}', '{2,3,4,2}', '{2,1,3,3}', '{0,0,1}', '{}', '{}');
-- members that no link names, no links, NULL
SELECT * FROM identity_conflicts('{-1}', '{9223372036854775807}', '{5,-1}', '{1,1}', '{1}', '{7}', '{8}');
SELECT * FROM identity_conflicts('{}', '{}', '{}', '{}', '{}', '{}', '{}');
SELECT * FROM identity_conflicts('{1}', '{2}', '{}', '{}', '{}', NULL, '{}');
-- values that differ, through others; of a node that has several; not of facts
SELECT * FROM identity_conflicts('{1,2,3,3}', '{2,3,4,1}', '{}', '{}', '{}', '{}', '{}', 0, '{1,3,4}', '{1,1,1}', '{10,20,20}');
SELECT * FROM identity_conflicts('{1,2,3}', '{2,3,4}', '{}', '{}', '{}', '{}', '{}', 2, '{1,3,4}', '{1,1,1}', '{10,20,20}');
SELECT * FROM identity_conflicts('{1,1,1}', '{2,3,4}', '{}', '{}', '{}', '{}', '{}', valued => '{1,1,2,3,4,4}', attributes => '{2,2,2,3,2,2}', "values" => '{10,20,20,1,10,20}');
-- the smallest attribute; a limit and a pair before it
SELECT * FROM identity_conflicts('{1,1,1}', '{2,3,4}', '{1,3}', '{1,1}', '{1}', '{1}', '{4}', 0, '{1,2,1,2,3,4}', '{2,2,1,1,1,1}', '{1,2,1,2,2,2}');
SELECT * FROM identity_conflicts('{1}', '{2}', '{}', '{}', '{}', '{}', '{}', 0, '{1}', '{0}', '{10}');
SELECT * FROM identity_conflicts('{1}', '{2}', '{}', '{}', '{}', '{}', '{}', 0, '{1}', '{1}', '{}');
SELECT identity_conflicts('[5:6]={1,1}', '[0:1]={2,3}', '{2,3}', '{1,1}', '{1}', '{}', '{}');

-- the path that costs least; then the one of fewest links; then the links that come first
SELECT identity_path('{1,2,1}', '{2,3,3}', '{1,1,3}', 1, 3);
SELECT identity_path('{1,2,1}', '{2,3,3}', '{1,1,2}', 1, 3);
SELECT identity_path('{2,1,4,4,1,2}', '{4,2,3,1,3,1}', '{1,1,1,3,1,1}', 1, 4);
SELECT identity_path('{2,1,4,4,1,2}', '{4,2,3,1,3,1}', '{1,1,1,3,1,1}', 4, 1);
SELECT identity_path('{1,1,2,2}', '{2,2,3,3}', '{5,4,0,0}', 3, 1);
-- links of no cost, of one node, of the highest cost
SELECT identity_path('{1,1,2,3,3}', '{1,2,3,3,4}', '{0,0,0,0,0}', 1, 4);
SELECT identity_path(array_agg(i), array_agg(i + 1), array_agg(2147483647), 5, 1) FROM generate_series(1, 4) i;
-- none
SELECT identity_path('{1,3}', '{2,4}', '{1,1}', 1, 4);
SELECT identity_path('{1,3}', '{2,4}', '{1,1}', 1, 1);
SELECT identity_path('{1,3}', '{2,4}', '{1,1}', 1, 7);
SELECT identity_path('{1,3}', '{2,4}', '{1,1}', 7, 7);
SELECT identity_path('{}', '{}', '{}', 1, 2);
SELECT identity_path('{1}', '{2}', '{1}', 1, NULL);
SELECT * FROM identity_path('{1,2}', '{2,3}', '{1,1}', 3, 1) WITH ORDINALITY;

-- two triangles and a tail, joined by one link; a parallel link and a self link are no bridge
SELECT * FROM identity_bridges('{1,2,3,3,4,5,6,6}', '{2,3,1,4,5,6,4,7}');
SELECT * FROM identity_bridges('{1,2,2,3,3}', '{2,1,3,3,4}');
SELECT * FROM identity_bridges('{1,5}', '{2,6}');
SELECT * FROM identity_bridges('{1}', '{1}');
SELECT * FROM identity_bridges('{}', '{}');
SELECT * FROM identity_bridges(NULL, '{}');

SET jit = off;
-- random graphs, thin to thick, of the nodes 1 to 8
CREATE TABLE graph AS
SELECT id, array_agg(1 + (h & 7)) AS a, array_agg(1 + (h >> 3 & 7)) AS b,
       array_agg((h >> 6 & 3)::int) AS costs,
       array_agg(1 + (h >> 8 & 7)) FILTER (WHERE i % 2 = 0) AS members,
       array_agg(1 + (h >> 11 & 3)::int) FILTER (WHERE i % 2 = 0) AS groups,
       ARRAY[id % 3, 1, 1 + id % 2, 2] AS limits,
       coalesce(array_agg(1 + (h >> 14 & 7)) FILTER (WHERE i % 4 = 1 AND id % 5 > 0), '{}') AS apart_a,
       coalesce(array_agg(1 + (h >> 17 & 7)) FILTER (WHERE i % 4 = 1 AND id % 5 > 0), '{}') AS apart_b,
       id % 4 AS facts, array_agg(1 + (h >> 20 & 7)) AS valued, array_agg(1 + (h >> 23 & 1)::int) AS attributes, array_agg(h >> 24 & 3) AS vals
FROM generate_series(1, 300) id, generate_series(1, 2 + id % 12) i, hashint8extended(id, i) h GROUP BY id;

CREATE FUNCTION naive_conflicts(g graph) RETURNS TABLE ("position" int, limit_group int, attribute int) LANGUAGE plpgsql AS $$
DECLARE
    component bigint[] := ARRAY(SELECT generate_series(1, 8));
    merged bigint[];
    apart boolean;
BEGIN
    FOR i IN 1 .. cardinality(g.a) LOOP
        CONTINUE WHEN component[g.a[i]] = component[g.b[i]];
        merged := array_replace(component, component[g.a[i]], component[g.b[i]]);
        SELECT min(m.grp) INTO limit_group
        FROM (SELECT u.grp FROM unnest(g.members, g.groups) u(member, grp)
              WHERE merged[u.member] = component[g.b[i]]
              GROUP BY 1 HAVING count(DISTINCT u.member) > g.limits[u.grp]) m;
        SELECT bool_or(merged[u.x] = component[g.b[i]] AND merged[u.y] = component[g.b[i]] AND u.x <> u.y) INTO apart
        FROM unnest(g.apart_a, g.apart_b) u(x, y);
        attribute := NULL;
        IF limit_group IS NULL AND apart IS NOT TRUE AND i > g.facts THEN
            SELECT min(m.attribute) INTO attribute
            FROM (SELECT u.attribute FROM unnest(g.valued, g.attributes, g.vals) u(node, attribute, value)
                  WHERE component[u.node] IN (component[g.a[i]], component[g.b[i]])
                  GROUP BY 1 HAVING count(DISTINCT u.value) > 1 AND count(DISTINCT component[u.node]) > 1) m;
        END IF;
        IF limit_group IS NOT NULL OR apart OR attribute IS NOT NULL THEN
            position := i;
            RETURN NEXT;
        ELSE
            component := merged;
        END IF;
    END LOOP;
END $$;
SELECT count(*) > 500 AS many, count(limit_group) BETWEEN 200 AND count(*) - 100 AS both, count(attribute) > 100 AS parted
FROM graph g, naive_conflicts(g);
SELECT id FROM graph g
WHERE ARRAY(SELECT c FROM identity_conflicts(a, b, members, groups, limits, apart_a, apart_b, facts, valued, attributes, vals) c)::text
      <> ARRAY(SELECT c FROM naive_conflicts(g) c)::text;

-- all paths that meet no node twice
CREATE FUNCTION naive_path(g graph, from_node bigint, to_node bigint) RETURNS int[] LANGUAGE sql AS $$
    WITH RECURSIVE way AS (
        SELECT from_node AS node, ARRAY[from_node] AS met, '{}'::int[] AS links, 0 AS cost
        UNION ALL
        SELECT t.node, w.met || t.node, w.links || t.i, w.cost + t.cost
        FROM way w, (SELECT i::int, x AS other, y AS node, cost FROM unnest(g.a, g.b, g.costs) WITH ORDINALITY u(x, y, cost, i)
                     UNION ALL SELECT i::int, y, x, cost FROM unnest(g.a, g.b, g.costs) WITH ORDINALITY u(x, y, cost, i)) t
        WHERE t.other = w.node AND t.node <> ALL (w.met) AND w.node <> to_node)
    SELECT coalesce((SELECT links FROM way WHERE node = to_node ORDER BY cost, cardinality(links), links LIMIT 1), '{}')
$$;
SELECT count(*) > 400 AS many, max(cardinality(path)) AS longest
FROM graph g, generate_series(2, 8) node, naive_path(g, 1, node) path WHERE cardinality(a) < 12 AND path <> '{}';
SELECT id, node FROM graph g, generate_series(2, 8) node
WHERE cardinality(a) < 12 AND ARRAY(SELECT identity_path(a, b, costs, 1, node)) <> naive_path(g, 1, node);

-- without a bridge there is one component more
CREATE FUNCTION naive_bridges(g graph) RETURNS TABLE ("position" int, smaller bigint) LANGUAGE sql AS $$
    SELECT i, (SELECT min(n) FROM (SELECT count(*) AS n FROM identity_members(cut)
                                   WHERE component IN (SELECT m.component FROM identity_members(cut) m WHERE m.node IN (g.a[i], g.b[i]))
                                   GROUP BY component) s)
    FROM (SELECT i, identity_components(v.a, v.b) AS cut, identity_components(u.a, u.b) AS whole
          FROM generate_series(1, cardinality(g.a)) i, unnest(g.a, g.b) WITH ORDINALITY u(a, b, n),
               LATERAL (VALUES (u.a, CASE WHEN n <> i THEN u.b END), (u.b, NULL)) v(a, b)
          GROUP BY i) s
    WHERE (SELECT count(DISTINCT component) FROM identity_members(cut))
          > (SELECT count(DISTINCT component) FROM identity_members(whole))
    ORDER BY 1
$$;
SELECT count(*) > 500 AS many, max(smaller) FROM graph g, naive_bridges(g);
SELECT id FROM graph g
WHERE ARRAY(SELECT c FROM identity_bridges(a, b) c)::text <> ARRAY(SELECT c FROM naive_bridges(g) c)::text;

-- large ones: a chain of tallies in either direction, a star, a path, many links that are skipped
CREATE FUNCTION outline(links bigint[], others bigint[], members bigint[], groups int[], limits int[],
                        apart_a bigint[] DEFAULT '{}', apart_b bigint[] DEFAULT '{}')
RETURNS TABLE (skipped bigint, first int, last int, groups bigint) LANGUAGE sql AS $$
    SELECT count(*), min(c.position), max(c.position), count(DISTINCT c.limit_group)
    FROM identity_conflicts(links, others, members, groups, limits, apart_a, apart_b) c
$$;
SELECT o.* FROM (SELECT array_agg(i::bigint) AS a, array_agg(i + 1::bigint) AS b, array_agg(i / 3) AS groups
                 FROM generate_series(3, 300000) i) s, outline(a, b, a, groups, array_fill(2, '{100000}')) o;
SELECT o.* FROM (SELECT array_agg(i::bigint) AS a, array_agg(0::bigint) AS b, array_agg(1 + i % 50000) AS groups
                 FROM generate_series(1, 200000) i) s, outline(a, b, a, groups, array_fill(3, '{50000}')) o;
SELECT o.* FROM (SELECT array_agg(i::bigint ORDER BY i DESC) AS a, array_agg(i + 1::bigint ORDER BY i DESC) AS b
                 FROM generate_series(1, 200000) i) s, outline(a, b, '{}', '{}', '{}', a[1:1000], array_fill(200001::bigint, '{1000}')) o;
-- two halves of 10,000 pairs apart, and as many links between them
SELECT o.* FROM (SELECT array_agg(i % 20000 + 1::bigint ORDER BY i) AS a, array_agg((i + CASE WHEN i < 40000 THEN 2 ELSE 1 END) % 20000 + 1::bigint ORDER BY i) AS b
                 FROM generate_series(0, 59999) i) s,
                (SELECT array_agg(i::bigint) AS x, array_agg(i + 1::bigint) AS y FROM generate_series(1, 19999, 2) i) t,
                outline(a, b, '{}', '{}', '{}', x, y) o;
SELECT count(*), min(p), max(p)
FROM (SELECT array_agg(i::bigint) AS a, array_agg(i + 1::bigint) AS b, array_agg(i % 3) AS costs FROM generate_series(1, 300000) i) s,
     identity_path(a, b, costs, 299999, 7) p;
SELECT count(*), max(smaller), sum(smaller)
FROM (SELECT array_agg(i::bigint ORDER BY hashint8(i)) AS a, array_agg(i + 1::bigint ORDER BY hashint8(i)) AS b FROM generate_series(1, 300000) i) s,
     identity_bridges(a, b);
SELECT count(*), max(smaller)
FROM (SELECT array_agg(i::bigint) AS a, array_agg(i % 300000 + 1::bigint) AS b FROM generate_series(1, 300000) i) s,
     identity_bridges(a, b);
-- a grid of 300 by 300: some path of fewest links
SELECT count(*) FROM (SELECT array_agg(i::bigint) AS a, array_agg(i::bigint + d) AS b, array_agg(1) AS costs
                      FROM generate_series(0, 89999) i, (VALUES (1), (300)) v(d) WHERE d = 300 OR i % 300 < 299) s,
                     identity_path(a, b, costs, 0, 89999);

-- refused
CREATE FUNCTION refusal(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE state text; message text; detail text;
BEGIN
    EXECUTE 'SELECT ' || call;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', state, message, nullif(detail, ''));
END $$;
SELECT refusal(call) FROM (VALUES
    ($$identity_conflicts('{1}', '{2,3}', '{}', '{}', '{}', '{}', '{}')$$),
    ($$identity_conflicts('{1}', '{2}', '{1,2}', '{}', '{}', '{}', '{}')$$),
    ($$identity_conflicts('{1}', '{2}', '{}', '{}', '{}', '{1}', '{}')$$),
    ($$identity_conflicts('{1}', '{2}', '{1}', '{1}', '{}', '{}', '{}')$$),
    ($$identity_conflicts('{1}', '{2}', '{1}', '{0}', '{1}', '{}', '{}')$$),
    ($$identity_conflicts('{1}', '{2}', '{1}', '{1}', '{1,-1}', '{}', '{}')$$),
    ($$identity_conflicts('{{1}}', '{2}', '{}', '{}', '{}', '{}', '{}')$$),
    ($$identity_conflicts('{1}', '{2}', '{}', '{}', '{}', '{1}', '{NULL}')$$),
    ($$identity_path('{1}', '{2}', '{}', 1, 2)$$),
    ($$identity_path('{1}', '{2}', '{-1}', 1, 2)$$),
    ($$identity_path('{1}', '{2,3}', '{1}', 1, 2)$$),
    ($$identity_path('{1}', '{2}', '{NULL}', 1, 2)$$),
    ($$identity_bridges('{1}', '{}')$$),
    ($$identity_bridges('{{1,2}}', '{{1,2}}')$$),
    ($$identity_bridges('{1,NULL}', '{1,1}')$$)) v(call);

RESET jit;
DROP FUNCTION refusal(text), naive_conflicts(graph), naive_path(graph, bigint, bigint), naive_bridges(graph),
    outline(bigint[], bigint[], bigint[], int[], int[], bigint[], bigint[]);
DROP TABLE graph;
