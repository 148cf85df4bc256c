-- The law: which identities are one customer, as a function of evidence and rules.
-- Nothing here writes. Everything that stitches, checks, simulates or explains asks
-- these functions.

-- A node is what is one identifier by its normal form: an identity that is its own normal form stands for all its
-- spellings. Rules, links and limits know nodes only.
-- Throughout,
--   scope         nodes of whole components; NULL: all there are
--   unusable      nodes that join nobody; NULL: those marked as blocked or shared
--   given_rules   rules in place of stored ones; NULL: none
--   above         settings.quarantine_above, or another
--   extra         observations as if they had been recorded, in normal form; NULL: none. Identifiers that are not known
--                 get numbers from 4611686018427387905 on.

-- Nodes with what the rules say of each. A limit that is NULL is none.
CREATE OR REPLACE FUNCTION @hub@.ruled(
    scope bigint[], given_rules @hub@.identifier_rules[], extra @hub@.observation[],
    OUT identity_id bigint, OUT identifier @extschema@.identifier, OUT namespace text, OUT priority integer,
    OUT max_per_customer integer, OUT shared_above integer, OUT marked boolean,
    OUT blocked text[], OUT normalizer text, OUT default_country text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1000
BEGIN ATOMIC
    SELECT i.identity_id, i.identifier, @extschema@.identifier_namespace(i.identifier), r.priority, r.max_per_customer,
        r.shared_above,
           i.marked, r.blocked, r.normalizer, r.default_country
    FROM (SELECT n.identity_id, n.identifier, n.blocked OR n.shared AS marked FROM @hub@.identities n
          WHERE ruled.scope IS NULL AND n.normal_id = n.identity_id
          UNION ALL
          SELECT n.identity_id, n.identifier, n.blocked OR n.shared
          FROM unnest(ruled.scope) s(id) JOIN @hub@.identities n ON n.identity_id = s.id WHERE ruled.scope IS NOT NULL
          UNION ALL
          SELECT u.identity_id, u.identifier, false FROM @hub@.unknown_identifiers(ruled.extra) u
          WHERE ruled.extra IS NOT NULL AND (ruled.scope IS NULL OR u.identity_id IN (SELECT unnest(ruled.scope)))) i
         JOIN @hub@.rules_in_force(ruled.given_rules) r
              ON r.namespace = CASE WHEN @extschema@.identifier_namespace(i.identifier)
                                         IN (SELECT w.namespace FROM @hub@.rules_in_force(ruled.given_rules) w)
                                    THEN @extschema@.identifier_namespace(i.identifier) ELSE '*' END;
END;
COMMENT ON FUNCTION @hub@.ruled(bigint[], @hub@.identifier_rules[], @hub@.observation[])
    IS 'nodes with what the rules say of each';

-- Links that evidence and must-links make. Several of a pair are one; its newest observation is the evidence's. One
-- that nothing but guesses make has the strength of the strongest; of others, guesses tell nothing.
CREATE OR REPLACE FUNCTION @hub@.evidence_links(
    scope bigint[], unusable bigint[], given_rules @hub@.identifier_rules[], extra @hub@.observation[],
    OUT a bigint, OUT b bigint, OUT must boolean, OUT newest timestamptz, OUT strength real)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    WITH node AS MATERIALIZED (
        -- place: the first of an evidence is the centre of its star
        SELECT n.identity_id AS id, row_number() OVER (ORDER BY n.priority DESC, n.identifier) AS place
        FROM ruled(scope, given_rules, extra) n
             LEFT JOIN (SELECT DISTINCT u.id FROM unnest(unusable) u(id)) x ON x.id = n.identity_id
        WHERE CASE WHEN unusable IS NULL THEN NOT n.marked ELSE x.id IS NULL END
    ), spelled AS MATERIALIZED (
        SELECT s.identity_id, n.id, n.place FROM spellings(scope, extra) s JOIN node n ON n.id = s.normal_id
    ), star AS (
        SELECT array_agg(s.id ORDER BY s.place) AS ids, e.observed_at, e.strength
        FROM (SELECT row_number() OVER () AS row, v.identities, v.observed_at, v.strength
              FROM live_evidence(scope, extra) v) e
             CROSS JOIN LATERAL unnest(e.identities) u(id)
             JOIN spelled s ON s.identity_id = u.id
        GROUP BY e.row, e.observed_at, e.strength
        HAVING count(*) > 1
    )
    SELECT l.a, l.b, bool_or(l.must),
           CASE WHEN bool_and(l.strength IS NOT NULL) THEN max(l.observed_at)
                ELSE max(l.observed_at) FILTER (WHERE l.strength IS NULL) END,
           CASE WHEN bool_and(l.strength IS NOT NULL) THEN max(l.strength) END
    FROM (SELECT least(s.ids[1], o.id) AS a, greatest(s.ids[1], o.id) AS b, false AS must, s.observed_at, s.strength
          FROM star s, unnest(s.ids[2:]) o(id) WHERE o.id <> s.ids[1]
          UNION ALL
          SELECT p.a, p.b, true, NULL, NULL FROM node_pairs('must') p
          WHERE scope IS NULL OR p.a IN (SELECT unnest(scope))) l
    GROUP BY 1, 2;
END $$;
COMMENT ON FUNCTION @hub@.evidence_links(bigint[], bigint[], @hub@.identifier_rules[], @hub@.observation[])
    IS 'links that evidence and must-links make';

-- Pairs that became one node can be neither joined nor parted
CREATE OR REPLACE FUNCTION @hub@.node_pairs(kind text, OUT a bigint, OUT b bigint) RETURNS SETOF record
LANGUAGE sql STABLE ROWS 100
BEGIN ATOMIC
    SELECT DISTINCT least(x.normal_id, y.normal_id), greatest(x.normal_id, y.normal_id)
    FROM @hub@.identity_pairs p JOIN @hub@.identities x ON x.identity_id = p.a
        JOIN @hub@.identities y ON y.identity_id = p.b
    WHERE p.kind = node_pairs.kind AND x.normal_id <> y.normal_id;
END;
COMMENT ON FUNCTION @hub@.node_pairs(text) IS 'nodes that a steward joined or keeps apart';

-- Components that can't be one customer: too large, more of a namespace than may be, a pair to be kept apart; or that
-- can't if guesses hold them together: records say different things.
CREATE OR REPLACE FUNCTION @hub@.broken_components(
    nodes bigint[], components bigint[], given_rules @hub@.identifier_rules[], above integer, extra @hub@.observation[])
RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    broken bigint[] := '{}';
BEGIN
    IF cardinality(components) > above THEN
        broken := too_large(components, above);
    END IF;
    IF EXISTS (SELECT FROM rules_in_force(given_rules) r WHERE r.max_per_customer > 0) THEN
        broken := broken || array(
            SELECT c.component
            FROM unnest(nodes, components) c(id, component)
                JOIN ruled(nodes, given_rules, extra) n ON n.identity_id = c.id
            WHERE n.max_per_customer IS NOT NULL
            GROUP BY c.component, n.namespace, n.max_per_customer
            HAVING count(*) > n.max_per_customer);
    END IF;
    IF EXISTS (SELECT FROM identity_pairs p WHERE p.kind = 'cannot') THEN
        broken := broken || array(
            SELECT x.component
            FROM node_pairs('cannot') p JOIN unnest(nodes, components) x(id, component) ON x.id = p.a
                 JOIN unnest(nodes, components) y(id, component) ON y.id = p.b AND y.component = x.component);
    END IF;
    IF do_conflicts_matter() THEN
        broken := broken || array(
            SELECT c.component
            FROM unnest(nodes, components) c(id, component)
                JOIN conflict_values(CASE WHEN cardinality(nodes) < 100000 THEN nodes END) v
                ON v.node = c.id
            GROUP BY c.component, v.conflict, v.field
            HAVING min(v.value) < max(v.value));
    END IF;
    RETURN array(SELECT DISTINCT unnest(broken));
END $$;
COMMENT ON FUNCTION @hub@.broken_components(bigint[], bigint[], @hub@.identifier_rules[], integer, @hub@.observation[])
    IS 'components that can''t be one customer';

CREATE OR REPLACE FUNCTION @hub@.too_large(components bigint[], above integer) RETURNS bigint[]
LANGUAGE sql STABLE
RETURN array(SELECT c.component FROM unnest(too_large.components) c(component)
             GROUP BY c.component HAVING count(*) > too_large.above);
COMMENT ON FUNCTION @hub@.too_large(bigint[], integer) IS 'components that occur more often than that';

-- Those links, the component each is in, by its smallest node, and what becomes of it: outcome NULL: it joins. Guesses
-- make no component too large, but are left out where they would, or where one end is in quarantine.
CREATE OR REPLACE FUNCTION @hub@.stitch_links(
    scope bigint[], unusable bigint[] DEFAULT NULL, given_rules @hub@.identifier_rules[] DEFAULT NULL,
    above integer DEFAULT NULL, extra @hub@.observation[] DEFAULT NULL,
    OUT a bigint, OUT b bigint, OUT must boolean, OUT newest timestamptz, OUT strength real, OUT component_id bigint,
    OUT outcome text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    ends_a bigint[];
    ends_b bigint[];
    musts boolean[];
    times timestamptz[];
    strengths real[];
    guesses boolean;       -- there are some
    nodes bigint[];
    components bigint[];
    large bigint[];        -- components that are too large
    broken bigint[];       -- those, and those in which the rules part what is connected
    quarantined bigint[];  -- nodes that are in one that is too large by facts
BEGIN
    SELECT array_agg(l.a), array_agg(l.b), array_agg(l.must), array_agg(l.newest), array_agg(l.strength),
           bool_or(l.strength IS NOT NULL)
    INTO ends_a, ends_b, musts, times, strengths, guesses
    FROM evidence_links(scope, unusable, given_rules, extra) l;
    SELECT array_agg(m.node), array_agg(m.component) INTO nodes, components
    FROM @extschema@.identity_members((SELECT @extschema@.identity_components(u.a, u.b)
                                       FROM unnest(ends_a, ends_b) u(a, b))) m;

    large := too_large(components, above);
    broken := broken_components(nodes, components, given_rules, above, extra);
    IF broken = '{}' THEN
        RETURN QUERY
        SELECT l.a, l.b, l.must, l.newest, l.strength, c.component, NULL::text
        FROM unnest(ends_a, ends_b, musts, times, strengths) l(a, b, must, newest, strength)
            JOIN unnest(nodes, components) c(id, component) ON c.id = l.a;
        RETURN;
    END IF;
    IF NOT guesses OR large = '{}' THEN
        quarantined := array(SELECT c.id FROM unnest(nodes, components) c(id, component)
                             WHERE c.component IN (SELECT unnest(large)));
    ELSE
        WITH fact AS MATERIALIZED (
            SELECT m.node, m.component
            FROM @extschema@.identity_members((
                     SELECT @extschema@.identity_components(u.a, u.b)
                     FROM unnest(ends_a, ends_b, strengths) u(a, b, strength) WHERE u.strength IS NULL)) m
        )
        SELECT array(SELECT f.node FROM fact f
                     WHERE f.component IN (SELECT unnest(too_large(array(SELECT c.component FROM fact c), above))))
        INTO quarantined;
    END IF;

    RETURN QUERY
    WITH quarantine AS MATERIALIZED (
        SELECT q.id FROM unnest(quarantined) q(id)
    ), link AS MATERIALIZED (
        SELECT l.a, l.b, l.must, l.newest, l.strength, c.component, k.component IS NOT NULL AS is_broken,
               l.a IN (SELECT q.id FROM quarantine q) OR l.b IN (SELECT q.id FROM quarantine q) AS is_quarantined
        FROM unnest(ends_a, ends_b, musts, times, strengths) l(a, b, must, newest, strength)
            JOIN unnest(nodes, components) c(id, component) ON c.id = l.a
             LEFT JOIN unnest(broken) k(component) ON k.component = c.component
    ), node AS MATERIALIZED (
        SELECT n.identity_id, n.identifier, n.namespace, n.priority, n.max_per_customer,
               dense_rank() OVER (ORDER BY n.namespace)::integer AS number
        FROM ruled(array(SELECT c.id FROM unnest(nodes, components) c(id, component)
                         WHERE c.component IN (SELECT unnest(broken))), given_rules, extra) n
    ), tried AS MATERIALIZED (
        -- the links of such components in the order in which they are tried
        SELECT l.a, l.b, l.strength IS NULL AS is_fact, row_number() OVER (
                   ORDER BY l.must DESC, l.strength IS NULL DESC, least(x.priority, y.priority) DESC,
                            greatest(x.priority, y.priority) DESC, l.strength DESC, l.newest DESC NULLS LAST,
                            least(x.identifier, y.identifier), greatest(x.identifier, y.identifier)) AS position
        FROM link l JOIN node x ON x.identity_id = l.a JOIN node y ON y.identity_id = l.b
        WHERE l.is_broken AND (l.must OR NOT l.is_quarantined)
    ), limited AS MATERIALIZED (
        -- namespaces that have no limit have as many as there are
        SELECT n.number, n.namespace, max(coalesce(n.max_per_customer, 2147483647)) AS max_per_customer
        FROM node n GROUP BY n.number, n.namespace
        UNION ALL
        SELECT (SELECT max(n.number) FROM node n) + 1, NULL, above WHERE guesses AND large <> '{}'
    ), counted AS MATERIALIZED (
        SELECT n.identity_id, n.number FROM node n WHERE n.max_per_customer IS NOT NULL
        UNION ALL
        SELECT c.id, (SELECT max(n.number) FROM limited n)
        FROM unnest(nodes, components) c(id, component)
        WHERE guesses AND c.component IN (SELECT unnest(large)) AND c.id NOT IN (SELECT q.id FROM quarantine q)
    ), apart AS (
        SELECT p.a, p.b FROM node_pairs('cannot') p WHERE p.a IN (SELECT n.identity_id FROM node n)
    ), told AS MATERIALIZED (
        -- what keeps apart whom guesses would join
        SELECT v.node, v.value, v.conflict, v.field, dense_rank() OVER (ORDER BY v.conflict, v.field)::integer AS number
        FROM conflict_values(array(SELECT n.identity_id FROM node n WHERE do_conflicts_matter())) v
    ), skipped AS MATERIALIZED (
        SELECT t.a, t.b, CASE WHEN m.number IS NOT NULL
                              THEN coalesce('max_per_customer: ' || m.namespace, 'too large')
                              WHEN x.attribute IS NULL THEN 'cannot_link'
                              ELSE (SELECT 'conflict: ' || coalesce(c.columns[w.field], 'records of ' || c.source)
                                    FROM told w JOIN match_conflicts c ON c.conflict = w.conflict
                                    WHERE w.number = x.attribute LIMIT 1) END AS reason
        FROM @extschema@.identity_conflicts(
                 coalesce((SELECT array_agg(o.a ORDER BY o.position) FROM tried o), '{}'),
                 coalesce((SELECT array_agg(o.b ORDER BY o.position) FROM tried o), '{}'),
                 coalesce((SELECT array_agg(n.identity_id ORDER BY n.identity_id, n.number) FROM counted n), '{}'),
                 coalesce((SELECT array_agg(n.number ORDER BY n.identity_id, n.number) FROM counted n), '{}'),
                 coalesce((SELECT array_agg(n.max_per_customer ORDER BY n.number) FROM limited n), '{}'),
                 coalesce((SELECT array_agg(p.a ORDER BY p.a, p.b) FROM apart p), '{}'),
                 coalesce((SELECT array_agg(p.b ORDER BY p.a, p.b) FROM apart p), '{}'),
                 (SELECT count(*)::integer FROM tried o WHERE o.is_fact),
                 coalesce((SELECT array_agg(w.node ORDER BY w.node, w.number, w.value) FROM told w), '{}'),
                 coalesce((SELECT array_agg(w.number ORDER BY w.node, w.number, w.value) FROM told w), '{}'),
                 coalesce((SELECT array_agg(w.value ORDER BY w.node, w.number, w.value) FROM told w), '{}')) x
             JOIN tried t ON t.position = x.position LEFT JOIN limited m ON m.number = x.limit_group
    )
    SELECT l.a, l.b, l.must, l.newest, l.strength, l.component,
           CASE WHEN NOT l.must AND l.is_quarantined THEN 'quarantined' ELSE s.reason END
    FROM link l LEFT JOIN skipped s ON s.a = l.a AND s.b = l.b;
END $$;
COMMENT ON FUNCTION @hub@.stitch_links(bigint[], bigint[], @hub@.identifier_rules[], integer, @hub@.observation[])
    IS 'links that the evidence makes, the component each is in, and why it does not join; NULL: it does';

-- The partition: of every identity, in normal form or not, the customer_id, as in the table identities, and the
-- component_id, as in customers. Most components are one customer, for which who was seen with whom is enough; the
-- links are judged of the others only.
CREATE OR REPLACE FUNCTION @hub@.partition_of(
    scope bigint[], unusable bigint[] DEFAULT NULL, given_rules @hub@.identifier_rules[] DEFAULT NULL,
    above integer DEFAULT NULL, extra @hub@.observation[] DEFAULT NULL,
    OUT identity_id bigint, OUT normal_id bigint, OUT customer_id bigint, OUT component_id bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];         -- identities, and of each
    normals bigint[];
    components bigint[];
    nodes bigint[];       -- those that are nodes, and the component of each
    of_nodes bigint[];
    broken bigint[];
BEGIN
    -- A graph of identities. An evidence is a star whose centre is the first of what it names, or the last, if that is
    -- usable: to find the first usable one would be to sort all evidence. Where neither is, the evidence is a node
    -- itself; its number is larger than an identity's, so that the smallest of a component is an identity
    WITH node AS MATERIALIZED (
        SELECT i.id, CASE WHEN unusable IS NULL THEN NOT i.marked ELSE x.id IS NULL END AS usable
        FROM (SELECT n.identity_id AS id, n.blocked OR n.shared AS marked FROM identities n
              WHERE scope IS NULL AND n.normal_id = n.identity_id
              UNION ALL
              SELECT n.identity_id, n.blocked OR n.shared FROM unnest(scope) s(id)
                  JOIN identities n ON n.identity_id = s.id
              WHERE scope IS NOT NULL
              UNION ALL
              SELECT u.identity_id, false FROM unknown_identifiers(extra) u WHERE extra IS NOT NULL) i
             LEFT JOIN (SELECT DISTINCT u.id FROM unnest(unusable) u(id)) x ON x.id = i.id
    ), spelled AS MATERIALIZED (
        SELECT s.identity_id, s.normal_id, n.usable FROM spellings(scope, extra) s JOIN node n ON n.id = s.normal_id
    ), edge AS (
        SELECT coalesce(f.identity_id, l.identity_id, 9223372036854775807 - e.row) AS a, s.identity_id AS b
        FROM (SELECT row_number() OVER () AS row, v.identities FROM live_evidence(scope, extra) v) e
             LEFT JOIN spelled f ON f.identity_id = e.identities[1] AND f.usable
             LEFT JOIN spelled l ON l.identity_id = e.identities[cardinality(e.identities)] AND l.usable
             CROSS JOIN LATERAL unnest(e.identities) u(id) JOIN spelled s ON s.identity_id = u.id
        WHERE s.usable
        UNION ALL
        SELECT p.a, p.b FROM node_pairs('must') p WHERE scope IS NULL OR p.a IN (SELECT unnest(scope))
        UNION ALL
        SELECT s.identity_id, s.normal_id FROM spelled s
    )
    SELECT array_agg(m.node), array_agg(s.normal_id), array_agg(m.component),
           array_agg(m.node) FILTER (WHERE s.normal_id = m.node),
               array_agg(m.component) FILTER (WHERE s.normal_id = m.node)
    INTO ids, normals, components, nodes, of_nodes
    FROM @extschema@.identity_members((SELECT @extschema@.identity_components(e.a, e.b) FROM edge e)) m
        JOIN spelled s ON s.identity_id = m.node;

    broken := broken_components(nodes, of_nodes, given_rules, above, extra);
    IF broken = '{}' THEN
        RETURN QUERY SELECT u.id, u.normal, u.component, NULL::bigint
            FROM unnest(ids, normals, components) u(id, normal, component);
        RETURN;
    END IF;
    RETURN QUERY
    WITH member AS MATERIALIZED (
        SELECT u.id, u.normal, u.component, k.component IS NOT NULL AS is_broken
        FROM unnest(ids, normals, components) u(id, normal, component)
            LEFT JOIN unnest(broken) k(component) ON k.component = u.component
    ), edge AS (
        SELECT l.a, l.b
        FROM stitch_links(array(SELECT m.id FROM member m WHERE m.is_broken AND m.id = m.normal), unusable,
                          given_rules, above, extra) l
        WHERE l.outcome IS NULL
        UNION ALL
        SELECT m.id, m.normal FROM member m WHERE m.is_broken AND m.id <> m.normal
    ), parted AS MATERIALIZED (
        SELECT m.id, m.normal, m.component, CASE WHEN m.is_broken THEN coalesce(c.component, m.id)
            ELSE m.component END AS customer
        FROM member m LEFT JOIN @extschema@.identity_members((SELECT @extschema@.identity_components(e.a, e.b)
                                                              FROM edge e)) c ON c.node = m.id
    )
    SELECT p.id, p.normal, p.customer, k.component
    FROM parted p
         LEFT JOIN (SELECT DISTINCT q.component FROM parted q WHERE q.customer <> q.component) k
             ON k.component = p.component;
END $$;
COMMENT ON FUNCTION @hub@.partition_of(bigint[], bigint[], @hub@.identifier_rules[], integer, @hub@.observation[])
    IS 'the customer and the component of each identity, as evidence and rules have it';

-- Nodes that join nobody, reckoned from the rules and all evidence but guesses. Those of namespaces that have no
-- shared_above are anchors: they tell people apart. Anchors that evidence or must-links connect are one person. An
-- evidence without anchors has its strongest other node for a person. scope: only of these nodes; of those that are
-- marked as shared nothing can be told by that, since people they were seen with may be in other components.
CREATE OR REPLACE FUNCTION @hub@.stitch_flags(
    given_rules @hub@.identifier_rules[] DEFAULT NULL, extra @hub@.observation[] DEFAULT NULL,
    scope bigint[] DEFAULT NULL,
    OUT identity_id bigint, OUT blocked boolean, OUT shared boolean)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    named CONSTANT bigint[] :=  -- and what they were seen with
        CASE WHEN scope IS NOT NULL
             THEN nodes_of(scope || array(SELECT unnest(v.identities) FROM live_evidence(scope, extra) v)) END;
BEGIN
    RETURN QUERY
    WITH node AS MATERIALIZED (
        SELECT n.identity_id AS id, n.shared_above, n.shared_above IS NULL AS anchor,
               row_number() OVER (ORDER BY n.shared_above IS NULL DESC, n.priority DESC, n.identifier) AS place,
               CASE WHEN scope IS NULL THEN is_blocked(n.identifier, n.blocked, n.normalizer, n.default_country)
                    ELSE (SELECT i.blocked FROM identities i WHERE i.identity_id = n.identity_id) END AS blocked
        FROM ruled(named, given_rules, extra) n
    ), seen AS MATERIALIZED (
        SELECT e.row, n.id, n.anchor, n.place, n.shared_above
        FROM (SELECT row_number() OVER () AS row, v.identities FROM live_evidence(scope, extra) v
              WHERE v.strength IS NULL
                    AND EXISTS (SELECT FROM rules_in_force(given_rules) r WHERE r.shared_above > 0)) e
             CROSS JOIN LATERAL unnest(e.identities) u(id)
             JOIN spellings(named, extra) s ON s.identity_id = u.id JOIN node n ON n.id = s.normal_id
        WHERE NOT n.blocked
    ), star AS MATERIALIZED (
        -- anchors come first
        SELECT array_agg(s.id ORDER BY s.place) AS ids, count(*) FILTER (WHERE s.anchor) AS anchors
        FROM seen s GROUP BY s.row
    ), person AS MATERIALIZED (
        SELECT m.node, m.component
        FROM @extschema@.identity_members((
                 SELECT @extschema@.identity_components(e.a, e.b)
                 FROM (SELECT s.ids[1] AS a, u.id AS b FROM star s CROSS JOIN LATERAL unnest(s.ids[:s.anchors]) u(id)
                       UNION ALL
                       SELECT p.a, p.b
                       FROM node_pairs('must') p JOIN node x ON x.id = p.a JOIN node y ON y.id = p.b
                       WHERE x.anchor AND y.anchor AND NOT x.blocked AND NOT y.blocked) e)) m
    ), partner AS (
        SELECT DISTINCT l.id, coalesce(p.component, CASE WHEN l.id = s.ids[1] THEN o.id ELSE s.ids[1] END) AS person
        FROM star s
             CROSS JOIN LATERAL (SELECT (array_agg(x.id ORDER BY x.n))[1] AS id
                                 FROM unnest(s.ids) WITH ORDINALITY x(id, n)
                                 WHERE x.id <> s.ids[1]) o
             CROSS JOIN LATERAL unnest(s.ids) l(id)
             LEFT JOIN person p ON p.node = s.ids[1] AND l.id <> s.ids[1]
        WHERE s.anchors < cardinality(s.ids)
    ), crowd AS (
        SELECT n.id
        FROM partner p JOIN node n ON n.id = p.id
        WHERE n.shared_above IS NOT NULL AND p.person IS NOT NULL
        GROUP BY n.id, n.shared_above
        HAVING count(*) > n.shared_above
    )
    SELECT n.id, n.blocked, c.id IS NOT NULL
    FROM node n LEFT JOIN crowd c ON c.id = n.id
    WHERE (n.blocked OR c.id IS NOT NULL) AND (scope IS NULL OR n.id IN (SELECT unnest(scope)));
END $$;
COMMENT ON FUNCTION @hub@.stitch_flags(@hub@.identifier_rules[], @hub@.observation[], bigint[])
    IS 'nodes that are blocked or shared, as rules and evidence have it';

-- Nodes that live evidence of some nodes names, these too: each evidence is read once, however many of them it names.
-- LATERAL and OFFSET 0 keep look-ups what they are: while tables are empty, or have been analysed so, all joins cost
-- the same, and a plan that reads whole tables may be kept for a session.
CREATE OR REPLACE FUNCTION @hub@.seen_with(
    nodes bigint[], OUT node bigint, OUT blocked boolean, OUT shared boolean, OUT shared_above integer)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT w.node, i.blocked, i.shared, r.shared_above
    FROM (SELECT DISTINCT i.normal_id AS node
          FROM evidence_of(array(SELECT s.identity_id FROM spellings(nodes, NULL) s)) e
               CROSS JOIN LATERAL unnest(e.identities) x(id)
               CROSS JOIN LATERAL (SELECT n.normal_id FROM identities n WHERE n.identity_id = x.id OFFSET 0) i
          WHERE e.retracted_at IS NULL) w
         CROSS JOIN LATERAL (SELECT n.identifier, n.blocked, n.shared FROM identities n
                             WHERE n.identity_id = w.node OFFSET 0) i
         CROSS JOIN LATERAL rule_of(@extschema@.identifier_namespace(i.identifier)) r;
END $$;
COMMENT ON FUNCTION @hub@.seen_with(bigint[]) IS 'nodes that were seen together with some';

-- How evidence of some anchors, and stewards, connect anchors.
CREATE OR REPLACE FUNCTION @hub@.anchors_with(anchors bigint[], OUT a bigint, OUT b bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT min(i.normal_id) OVER (PARTITION BY e.source, e.source_key), i.normal_id
    FROM evidence_of(array(SELECT s.identity_id FROM spellings(anchors, NULL) s)) e
         CROSS JOIN LATERAL unnest(e.identities) x(id)
         CROSS JOIN LATERAL (SELECT n.normal_id, n.identifier, n.blocked FROM identities n
                             WHERE n.identity_id = x.id OFFSET 0) i
         CROSS JOIN LATERAL rule_of(@extschema@.identifier_namespace(i.identifier)) r
    WHERE e.retracted_at IS NULL AND e.strength IS NULL AND NOT i.blocked AND r.shared_above IS NULL;
    IF EXISTS (SELECT FROM identity_pairs p WHERE p.kind = 'must') THEN
        RETURN QUERY
        SELECT w.a, w.b
        FROM must_links_of(anchors) w JOIN ruled_identities r ON r.identity_id = w.b
        WHERE NOT r.blocked AND r.shared_above IS NULL;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.anchors_with(bigint[]) IS 'links between some anchors and others';

CREATE OR REPLACE FUNCTION @hub@.must_links_of(nodes bigint[], OUT a bigint, OUT b bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT s.normal_id, i.normal_id
    FROM spellings(nodes, NULL) s
         CROSS JOIN LATERAL (SELECT p.b AS id FROM identity_pairs p WHERE p.a = s.identity_id AND p.kind = 'must'
                             UNION ALL
                             SELECT p.a FROM identity_pairs p WHERE p.b = s.identity_id AND p.kind = 'must'
                             OFFSET 0) o
         CROSS JOIN LATERAL (SELECT n.normal_id FROM identities n WHERE n.identity_id = o.id OFFSET 0) i
    WHERE i.normal_id <> s.normal_id;
END $$;
COMMENT ON FUNCTION @hub@.must_links_of(bigint[]) IS 'nodes that a steward joined with some';

-- How many people some anchors are, and all anchors of all of those but one. It looks around those of which is known
-- least so far, one at first and twice as many each time, so that many take few rounds; and ends when all are told
-- apart or, if enough is given, when it is clear whether they are more than that.
CREATE OR REPLACE FUNCTION @hub@.tell_apart(anchors bigint[], enough integer DEFAULT NULL, OUT people bigint,
                                            OUT others bigint[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    ends_a bigint[] := anchors;
    ends_b bigint[] := anchors;
    known bigint[] := '{}';    -- around which was looked
    next bigint[];
    unfinished bigint;
    portion bigint := 1;
BEGIN
    LOOP
        WITH member AS MATERIALIZED (
            SELECT m.node, m.component, k.id IS NULL AS open
            FROM @extschema@.identity_members((SELECT @extschema@.identity_components(u.a, u.b)
                                               FROM unnest(ends_a, ends_b) u(a, b))) m
                 LEFT JOIN unnest(known) k(id) ON k.id = m.node
        ), side AS MATERIALIZED (
            SELECT m.component, count(*) AS size, bool_or(m.open) AS open, max(m.node) AS newest FROM member m
                GROUP BY m.component
        )
        SELECT (SELECT count(*) FROM side s), (SELECT count(*) FROM side s WHERE s.open),
               (SELECT array_agg(m.node) FROM member m
                WHERE m.open AND m.component IN (SELECT s.component FROM side s WHERE s.open
                                                 ORDER BY s.size, s.newest DESC
                                                 LIMIT least(portion, (SELECT count(*) - 1 FROM side s WHERE s.open)))),
               (SELECT array_agg(m.node) FROM member m
                WHERE m.component <> (SELECT s.component FROM side s
                                      ORDER BY s.open DESC, s.size DESC, s.component LIMIT 1))
        INTO people, unfinished, next, others;
        EXIT WHEN unfinished <= 1 OR people <= 1 OR people <= enough OR people - unfinished + 1 > enough;
        known := known || next;
        portion := least(2 * portion, 1000000);  -- of a long chain are more rounds than a number has bits
        SELECT ends_a || array_agg(w.a), ends_b || array_agg(w.b) INTO ends_a, ends_b FROM anchors_with(next) w;
    END LOOP;
    others := coalesce(others, '{}');
END $$;
COMMENT ON FUNCTION @hub@.tell_apart(bigint[], integer)
    IS 'how many people some anchors are, and the anchors of all but one';

-- Whether a node was seen with more people than that, by the evidence that is stored. Where that is clear from few
-- evidence it reads no more: partners of different components are different people, unless these are being put together
-- at the moment, and fewer partners are not more people.
CREATE OR REPLACE FUNCTION @hub@.seen_with_more(id bigint, than integer, moving bigint[] DEFAULT '{}') RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET gin_fuzzy_search_limit = 0 SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    partner record;
    partners bigint[] := '{}';    -- of each evidence one
    anchors bigint[] := '{}';     -- those of them that are anchors,
    components bigint[] := '{}';  -- and their components
BEGIN
    FOR partner IN
        SELECT p.id, p.anchor, coalesce(c.component_id, p.customer_id) AS component
        FROM spellings(ARRAY[seen_with_more.id], NULL) s
             CROSS JOIN LATERAL (SELECT v.identities FROM evidence v
                                 WHERE v.identities @> ARRAY[s.identity_id] AND v.retracted_at IS NULL
                                       AND v.strength IS NULL OFFSET 0) e
             CROSS JOIN LATERAL (SELECT n.identity_id AS id, r.shared_above IS NULL AS anchor, n.customer_id
                                 FROM unnest(e.identities) x(id)
                                      CROSS JOIN LATERAL (SELECT o.normal_id FROM identities o
                                                          WHERE o.identity_id = x.id OFFSET 0) i
                                      CROSS JOIN LATERAL (SELECT o.identity_id, o.identifier, o.customer_id, o.blocked
                                                          FROM identities o
                                                          WHERE o.identity_id = i.normal_id OFFSET 0) n
                                      CROSS JOIN LATERAL rule_of(@extschema@.identifier_namespace(n.identifier)) r
                                 WHERE n.identity_id <> seen_with_more.id AND NOT n.blocked
                                 ORDER BY r.shared_above IS NULL DESC, r.priority DESC, n.identifier LIMIT 1) p
             LEFT JOIN LATERAL (SELECT o.component_id FROM customers o WHERE o.customer_id = p.customer_id OFFSET 0) c
                 ON true
    LOOP
        CONTINUE WHEN partner.id = ANY (partners);
        partners := partners || partner.id;
        IF partner.anchor THEN
            anchors := anchors || partner.id;
            IF partner.component = ANY (moving) THEN
                partner.component := 0;
            END IF;
            IF partner.component = ANY (components) IS NOT TRUE THEN
                components := components || partner.component;
            END IF;
        END IF;
        IF cardinality(partners) - cardinality(anchors) + cardinality(components) > than THEN
            RETURN true;
        END IF;
    END LOOP;
    IF cardinality(partners) <= than THEN
        RETURN false;
    END IF;
    than := than - (cardinality(partners) - cardinality(anchors));
    RETURN (SELECT t.people FROM tell_apart(anchors, than) t) > than;
END $$;
COMMENT ON FUNCTION @hub@.seen_with_more(bigint, integer, bigint[])
    IS 'whether evidence shows a node with more people than that';
