-- The law: which identities are one customer, as a function of evidence and rules.
-- Nothing here writes. Everything that stitches, checks, simulates or explains asks
-- these functions.

-- Throughout,
--   scope         identities of whole components; NULL: all there are
--   unusable      identities that join nobody; NULL: those marked as blocked or shared
--   given_rules   rules in place of stored ones; NULL: none
--   above         settings.quarantine_above, or another
--   extra         observations as if they had been recorded; NULL: none. Identifiers that are not known get
--                 numbers from 4611686018427387905 on.

-- Identities with what the rules say of each. A limit that is NULL is none.
CREATE OR REPLACE FUNCTION @hub@.ruled(
    scope bigint[], given_rules @hub@.identifier_rules[], extra @hub@.observation[],
    OUT identity_id bigint, OUT identifier @extschema@.identifier, OUT namespace text, OUT priority integer,
    OUT max_per_customer integer, OUT shared_above integer, OUT marked boolean,
    OUT blocked text[], OUT normalizer text, OUT default_country text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1000
BEGIN ATOMIC
    SELECT i.identity_id, i.identifier, @extschema@.identifier_namespace(i.identifier), coalesce(r.priority, d.priority, 0),
           nullif(coalesce(r.max_per_customer, d.max_per_customer), 0), nullif(coalesce(r.shared_above, d.shared_above), 0),
           i.marked, coalesce(r.blocked, d.blocked, '{}'), coalesce(r.normalizer, d.normalizer), coalesce(r.default_country, d.default_country)
    FROM (SELECT n.identity_id, n.identifier, n.blocked OR n.shared AS marked FROM @hub@.identities n WHERE scope IS NULL
          UNION ALL
          SELECT n.identity_id, n.identifier, n.blocked OR n.shared
          FROM unnest(scope) s(id) JOIN @hub@.identities n ON n.identity_id = s.id WHERE scope IS NOT NULL
          UNION ALL
          SELECT u.identity_id, u.identifier, false FROM @hub@.unknown_identifiers(extra) u
          WHERE extra IS NOT NULL AND (scope IS NULL OR u.identity_id = ANY (scope))) i
         LEFT JOIN @hub@.rules_with(given_rules) r ON r.namespace = @extschema@.identifier_namespace(i.identifier)
         LEFT JOIN @hub@.rules_with(given_rules) d ON d.namespace = '*';
END;
COMMENT ON FUNCTION @hub@.ruled(bigint[], @hub@.identifier_rules[], @hub@.observation[]) IS 'identities with what the rules say of each';

-- Links that evidence and must-links make. Several of a pair are one; its newest observation is the evidence's.
CREATE OR REPLACE FUNCTION @hub@.evidence_links(
    scope bigint[], unusable bigint[], given_rules @hub@.identifier_rules[], extra @hub@.observation[],
    OUT a bigint, OUT b bigint, OUT must boolean, OUT newest timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH node AS MATERIALIZED (
        -- place: the first of an evidence is the centre of its star
        SELECT n.identity_id, row_number() OVER (ORDER BY n.priority DESC, n.identifier) AS place
        FROM ruled(scope, given_rules, extra) n
             LEFT JOIN (SELECT DISTINCT u.id FROM unnest(unusable) u(id)) x ON x.id = n.identity_id
        WHERE CASE WHEN unusable IS NULL THEN NOT n.marked ELSE x.id IS NULL END
    ), star AS (
        SELECT (array_agg(n.identity_id ORDER BY n.place)) AS ids, e.observed_at
        FROM (SELECT row_number() OVER () AS row, e.identities, e.observed_at FROM live_evidence(scope, extra) e) e
             CROSS JOIN LATERAL unnest(e.identities) u(id)
             JOIN node n ON n.identity_id = u.id
        GROUP BY e.row, e.observed_at
        HAVING count(*) > 1
    )
    SELECT l.a, l.b, bool_or(l.must), max(l.observed_at)
    FROM (SELECT least(s.ids[1], o.id) AS a, greatest(s.ids[1], o.id) AS b, false AS must, s.observed_at
          FROM star s, unnest(s.ids[2:]) o(id)
          UNION ALL
          SELECT p.a, p.b, true, NULL FROM identity_pairs p WHERE p.kind = 'must' AND (scope IS NULL OR p.a IN (SELECT unnest(scope)))) l
    GROUP BY l.a, l.b;
END $$;
COMMENT ON FUNCTION @hub@.evidence_links(bigint[], bigint[], @hub@.identifier_rules[], @hub@.observation[]) IS 'links that evidence and must-links make';

-- Components that can't be one customer: too large, more of a namespace than may be, or a pair to be kept apart.
CREATE OR REPLACE FUNCTION @hub@.broken_components(
    ids bigint[], components bigint[], given_rules @hub@.identifier_rules[], above integer, extra @hub@.observation[])
RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    broken bigint[] := '{}';
BEGIN
    IF cardinality(components) > above THEN
        broken := too_large(components, above);
    END IF;
    IF EXISTS (SELECT FROM rules_with(given_rules) WHERE max_per_customer > 0) THEN
        broken := broken || array(
            SELECT c.component
            FROM unnest(ids, components) c(id, component) JOIN ruled(ids, given_rules, extra) n ON n.identity_id = c.id
            WHERE n.max_per_customer IS NOT NULL
            GROUP BY c.component, n.namespace, n.max_per_customer
            HAVING count(*) > n.max_per_customer);
    END IF;
    IF EXISTS (SELECT FROM identity_pairs WHERE kind = 'cannot') THEN
        broken := broken || array(
            SELECT x.component
            FROM identity_pairs p JOIN unnest(ids, components) x(id, component) ON x.id = p.a
                 JOIN unnest(ids, components) y(id, component) ON y.id = p.b AND y.component = x.component
            WHERE p.kind = 'cannot');
    END IF;
    RETURN array(SELECT DISTINCT unnest(broken));
END $$;
COMMENT ON FUNCTION @hub@.broken_components(bigint[], bigint[], @hub@.identifier_rules[], integer, @hub@.observation[]) IS 'components that can''t be one customer';

CREATE OR REPLACE FUNCTION @hub@.too_large(components bigint[], above integer) RETURNS bigint[]
LANGUAGE sql STABLE
RETURN array(SELECT c.component FROM unnest(components) c(component) GROUP BY c.component HAVING count(*) > above);
COMMENT ON FUNCTION @hub@.too_large(bigint[], integer) IS 'components that occur more often than that';

-- Those links, the component each is in, and what becomes of it: outcome NULL: it joins.
CREATE OR REPLACE FUNCTION @hub@.stitch_links(
    scope bigint[], unusable bigint[] DEFAULT NULL, given_rules @hub@.identifier_rules[] DEFAULT NULL,
    above integer DEFAULT NULL, extra @hub@.observation[] DEFAULT NULL,
    OUT a bigint, OUT b bigint, OUT must boolean, OUT newest timestamptz, OUT component_id bigint, OUT outcome text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    ends_a bigint[];
    ends_b bigint[];
    musts boolean[];
    times timestamptz[];
    nodes bigint[];
    components bigint[];
    quarantined bigint[];  -- components that are too large
    broken bigint[];       -- those, and those in which the rules part what is connected
BEGIN
    SELECT array_agg(l.a), array_agg(l.b), array_agg(l.must), array_agg(l.newest) INTO ends_a, ends_b, musts, times
    FROM evidence_links(scope, unusable, given_rules, extra) l;
    SELECT array_agg(m.node), array_agg(m.component) INTO nodes, components
    FROM identity_members((SELECT identity_components(u.a, u.b) FROM unnest(ends_a, ends_b) u(a, b))) m;

    quarantined := too_large(components, above);
    broken := broken_components(nodes, components, given_rules, above, extra);
    IF broken = '{}' THEN
        RETURN QUERY
        SELECT l.a, l.b, l.must, l.newest, c.component, NULL::text
        FROM unnest(ends_a, ends_b, musts, times) l(a, b, must, newest) JOIN unnest(nodes, components) c(id, component) ON c.id = l.a;
        RETURN;
    END IF;

    RETURN QUERY
    WITH link AS MATERIALIZED (
        SELECT l.*, c.component, k.component IS NOT NULL AS is_broken, q.component IS NOT NULL AS is_quarantined
        FROM unnest(ends_a, ends_b, musts, times) l(a, b, must, newest) JOIN unnest(nodes, components) c(id, component) ON c.id = l.a
             LEFT JOIN unnest(broken) k(component) ON k.component = c.component
             LEFT JOIN unnest(quarantined) q(component) ON q.component = c.component
    ), node AS MATERIALIZED (
        SELECT n.*, dense_rank() OVER (ORDER BY n.namespace)::integer AS number
        FROM ruled(array(SELECT c.id FROM unnest(nodes, components) c(id, component)
                         WHERE c.component IN (SELECT unnest(broken))), given_rules, extra) n
    ), tried AS MATERIALIZED (
        -- the links of such components in the order in which they are tried
        SELECT l.a, l.b, row_number() OVER (
                   ORDER BY l.must DESC, least(x.priority, y.priority) DESC, greatest(x.priority, y.priority) DESC,
                            l.newest DESC NULLS LAST, least(x.identifier, y.identifier), greatest(x.identifier, y.identifier)) AS position
        FROM link l JOIN node x ON x.identity_id = l.a JOIN node y ON y.identity_id = l.b
        WHERE l.is_broken AND (l.must OR NOT l.is_quarantined)
    ), limited AS MATERIALIZED (
        -- namespaces that have no limit have as many as there are
        SELECT number, namespace, max(coalesce(max_per_customer, 2147483647)) AS max_per_customer FROM node GROUP BY number, namespace
    ), apart AS (
        SELECT p.a, p.b FROM identity_pairs p WHERE p.kind = 'cannot' AND p.a IN (SELECT identity_id FROM node)
    ), skipped AS MATERIALIZED (
        SELECT t.a, t.b, coalesce('max_per_customer: ' || m.namespace, 'cannot_link') AS reason
        FROM identity_conflicts(
                 coalesce((SELECT array_agg(t.a ORDER BY t.position) FROM tried t), '{}'),
                 coalesce((SELECT array_agg(t.b ORDER BY t.position) FROM tried t), '{}'),
                 coalesce((SELECT array_agg(n.identity_id ORDER BY n.identity_id) FROM node n WHERE n.max_per_customer IS NOT NULL), '{}'),
                 coalesce((SELECT array_agg(n.number ORDER BY n.identity_id) FROM node n WHERE n.max_per_customer IS NOT NULL), '{}'),
                 coalesce((SELECT array_agg(m.max_per_customer ORDER BY m.number) FROM limited m), '{}'),
                 coalesce((SELECT array_agg(p.a ORDER BY p.a, p.b) FROM apart p), '{}'),
                 coalesce((SELECT array_agg(p.b ORDER BY p.a, p.b) FROM apart p), '{}')) x
             JOIN tried t ON t.position = x.position LEFT JOIN limited m ON m.number = x.limit_group
    )
    SELECT l.a, l.b, l.must, l.newest, l.component,
           CASE WHEN NOT l.must AND l.is_quarantined THEN 'quarantined' ELSE s.reason END
    FROM link l LEFT JOIN skipped s ON s.a = l.a AND s.b = l.b;
END $$;
COMMENT ON FUNCTION @hub@.stitch_links(bigint[], bigint[], @hub@.identifier_rules[], integer, @hub@.observation[]) IS 'links that the evidence makes, the component each is in, and why it does not join; NULL: it does';

-- The partition: customer_id as in the table identities, component_id as in customers. Most components are one
-- customer, for which who was seen with whom is enough; the links are judged of the others only.
CREATE OR REPLACE FUNCTION @hub@.partition_of(
    scope bigint[], unusable bigint[] DEFAULT NULL, given_rules @hub@.identifier_rules[] DEFAULT NULL,
    above integer DEFAULT NULL, extra @hub@.observation[] DEFAULT NULL,
    OUT identity_id bigint, OUT customer_id bigint, OUT component_id bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    ids bigint[];
    components bigint[];
    broken bigint[];
BEGIN
    -- A graph of identities and of evidence, whose numbers are larger than an identity's, so that the smallest of a
    -- component is an identity
    WITH node AS MATERIALIZED (
        SELECT i.id, CASE WHEN unusable IS NULL THEN NOT i.marked ELSE x.id IS NULL END AS usable
        FROM (SELECT n.identity_id AS id, n.blocked OR n.shared AS marked FROM identities n WHERE scope IS NULL
              UNION ALL
              SELECT n.identity_id, n.blocked OR n.shared FROM unnest(scope) s(id) JOIN identities n ON n.identity_id = s.id WHERE scope IS NOT NULL
              UNION ALL
              SELECT u.identity_id, false FROM unknown_identifiers(extra) u WHERE extra IS NOT NULL) i
             LEFT JOIN (SELECT DISTINCT u.id FROM unnest(unusable) u(id)) x ON x.id = i.id
    ), edge AS (
        SELECT 9223372036854775807 - e.row AS a, n.id AS b
        FROM (SELECT row_number() OVER () AS row, e.identities FROM live_evidence(scope, extra) e) e
             CROSS JOIN LATERAL unnest(e.identities) u(id) JOIN node n ON n.id = u.id
        WHERE n.usable
        UNION ALL
        SELECT p.a, p.b FROM identity_pairs p WHERE p.kind = 'must' AND (scope IS NULL OR p.a IN (SELECT unnest(scope)))
        UNION ALL
        SELECT n.id, NULL FROM node n
    )
    SELECT array_agg(m.node), array_agg(m.component) INTO ids, components
    FROM identity_members((SELECT identity_components(a, b) FROM edge)) m
    WHERE m.node < 6917529027641081856;

    broken := broken_components(ids, components, given_rules, above, extra);
    IF broken = '{}' THEN
        RETURN QUERY SELECT u.*, NULL::bigint FROM unnest(ids, components) u;
        RETURN;
    END IF;
    RETURN QUERY
    WITH member AS MATERIALIZED (
        SELECT u.id, u.component, k.component IS NOT NULL AS is_broken
        FROM unnest(ids, components) u(id, component) LEFT JOIN unnest(broken) k(component) ON k.component = u.component
    ), parted AS MATERIALIZED (
        SELECT m.id, m.component, CASE WHEN m.is_broken THEN coalesce(c.component, m.id) ELSE m.component END AS customer
        FROM member m
             LEFT JOIN identity_members((SELECT identity_components(l.a, l.b)
                                         FROM stitch_links(array(SELECT id FROM member WHERE is_broken), unusable, given_rules, above, extra) l
                                         WHERE l.outcome IS NULL)) c ON c.node = m.id
    )
    SELECT p.id, p.customer, k.component
    FROM parted p
         LEFT JOIN (SELECT DISTINCT q.component FROM parted q WHERE q.customer <> q.component) k ON k.component = p.component;
END $$;
COMMENT ON FUNCTION @hub@.partition_of(bigint[], bigint[], @hub@.identifier_rules[], integer, @hub@.observation[]) IS 'the customer and the component of each identity, as evidence and rules have it';

-- Identities that join nobody, reckoned from the rules and all evidence.
CREATE OR REPLACE FUNCTION @hub@.stitch_flags(
    given_rules @hub@.identifier_rules[] DEFAULT NULL, extra @hub@.observation[] DEFAULT NULL,
    OUT identity_id bigint, OUT blocked boolean, OUT shared boolean)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH node AS MATERIALIZED (
        SELECT n.identity_id, n.shared_above, row_number() OVER (ORDER BY n.priority DESC, n.identifier) AS place,
               is_blocked(n.identifier, n.blocked, n.normalizer, n.default_country) AS blocked
        FROM ruled(NULL, given_rules, extra) n
    ), star AS (
        SELECT (array_agg(n.identity_id ORDER BY n.place)) AS ids
        FROM (SELECT row_number() OVER () AS row, e.identities FROM live_evidence(NULL, extra) e
              WHERE EXISTS (SELECT FROM rules_with(given_rules) WHERE shared_above > 0)) e
             CROSS JOIN LATERAL unnest(e.identities) u(id)
             JOIN node n ON n.identity_id = u.id
        WHERE NOT n.blocked
        GROUP BY e.row
        HAVING bool_or(n.shared_above IS NOT NULL) AND count(*) > 1
    ), pair AS (
        SELECT DISTINCT s.ids[1] AS a, o.id AS b FROM star s, unnest(s.ids[2:]) o(id)
    ), shared AS (
        SELECT n.identity_id
        FROM (SELECT a AS id FROM pair UNION ALL SELECT b FROM pair) e JOIN node n ON n.identity_id = e.id
        WHERE n.shared_above IS NOT NULL
        GROUP BY n.identity_id, n.shared_above
        HAVING count(*) > n.shared_above
    )
    SELECT n.identity_id, n.blocked, s.identity_id IS NOT NULL
    FROM node n LEFT JOIN shared s USING (identity_id)
    WHERE n.blocked OR s.identity_id IS NOT NULL;
END $$;
COMMENT ON FUNCTION @hub@.stitch_flags(@hub@.identifier_rules[], @hub@.observation[]) IS 'identities that are blocked or shared, as rules and evidence have it';

-- Whether an identity is linked to more than a number of others, by the evidence that is stored, but for one if that
-- is named. It stops counting there.
CREATE OR REPLACE FUNCTION @hub@.linked_to_more(id bigint, than integer, but_source text DEFAULT NULL, but_source_key text DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
DECLARE
    partners bigint[] := '{}';
    partner bigint;
BEGIN
    FOR partner IN
        SELECT p.id
        FROM evidence e
             CROSS JOIN LATERAL (SELECT array_agg(i.identity_id ORDER BY i.priority DESC, i.identifier) AS ids
                                 FROM unnest(e.identities) u(id) JOIN ruled_identities i ON i.identity_id = u.id
                                 WHERE NOT i.blocked) s
             CROSS JOIN LATERAL unnest(CASE WHEN s.ids[1] = linked_to_more.id THEN s.ids[2:] ELSE s.ids[1:1] END) p(id)
        WHERE e.identities @> ARRAY[linked_to_more.id] AND e.retracted_at IS NULL
              AND (e.source, e.source_key) IS DISTINCT FROM (but_source, but_source_key)
    LOOP
        CONTINUE WHEN partner = ANY (partners);
        partners := partners || partner;
        EXIT WHEN cardinality(partners) > than;
    END LOOP;
    RETURN cardinality(partners) > than;
END $$;
COMMENT ON FUNCTION @hub@.linked_to_more(bigint, integer, text, text) IS 'whether evidence links an identity to more others than that';
