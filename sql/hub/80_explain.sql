-- Checking, explaining, trying out.

CREATE OR REPLACE FUNCTION @hub@.stitch_check(
    OUT identity_id bigint, OUT identifier @extschema@.identifier, OUT what text, OUT stored text, OUT rebuilt text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH flag AS MATERIALIZED (
        SELECT * FROM stitch_flags()
    ), part AS MATERIALIZED (
        SELECT * FROM partition_of(NULL, (SELECT coalesce(array_agg(f.identity_id), '{}') FROM flag f), above => (SELECT quarantine_above FROM settings))
    ), customer AS (
        SELECT customer_id, min(component_id) AS component_id, count(*) AS identities FROM part GROUP BY customer_id
    )
    SELECT i.identity_id, i.identifier, d.what, d.stored, d.rebuilt
    FROM identities i LEFT JOIN part p ON p.identity_id = i.identity_id
         LEFT JOIN flag f ON f.identity_id = i.identity_id
         LEFT JOIN customers c ON c.customer_id = i.identity_id
         LEFT JOIN customer n ON n.customer_id = i.identity_id
         CROSS JOIN LATERAL (VALUES ('customer', i.customer_id::text, p.customer_id::text),
                                    ('blocked', i.blocked::text, coalesce(f.blocked, false)::text),
                                    ('shared', i.shared::text, coalesce(f.shared, false)::text),
                                    ('component', c.component_id::text, n.component_id::text),
                                    ('identities of the customer', c.identities::text, n.identities::text)) d(what, stored, rebuilt)
    WHERE d.stored IS DISTINCT FROM d.rebuilt
    UNION ALL
    SELECT c.customer_id, NULL, 'customer without an identity', c.customer_id::text, NULL
    FROM customers c WHERE NOT EXISTS (SELECT FROM identities i WHERE i.identity_id = c.customer_id);
END $$;
COMMENT ON FUNCTION @hub@.stitch_check() IS 'what is stored otherwise than evidence and rules have it: nothing, unless tables were changed by hand';

CREATE OR REPLACE FUNCTION @hub@.simulate(
    observations @hub@.observation[] DEFAULT '{}', rules @hub@.identifier_rules[] DEFAULT '{}',
    OUT identifier @extschema@.identifier, OUT customer_id bigint, OUT simulated_customer_id bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    o observation;
    extra observation[];
    rule identifier_rules;
BEGIN
    FOREACH rule IN ARRAY coalesce(rules, '{}') LOOP
        IF rule.namespace IS NULL OR rule.max_per_customer < 0 OR rule.shared_above < 0 THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('this is no rule: %s', rule::text),
                HINT = 'A rule has a namespace, or *, and no negative limits.';
        ELSIF (coalesce(rule.normalizer, ''), coalesce(rule.default_country, '')) NOT IN (
                  SELECT coalesce(r.normalizer, ''), coalesce(r.default_country, '') FROM identifier_rules r WHERE r.namespace = rule.namespace
                  UNION ALL SELECT '', '' WHERE NOT EXISTS (SELECT FROM identifier_rules r WHERE r.namespace = rule.namespace)) THEN
            RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('another normalizer of namespace %s can''t be simulated', rule.namespace),
                DETAIL = 'It would make other identifiers of those that are stored.';
        END IF;
    END LOOP;
    FOREACH o IN ARRAY coalesce(observations, '{}') LOOP
        PERFORM check_observation(o.identifiers, o.observed_at, o.source);
        o.identifiers := normal_identifiers(o.identifiers);
        -- a replay must be one, as when it is recorded
        IF EXISTS (SELECT FROM evidence e
                   WHERE (e.source, e.source_key) = (o.source, o.source_key) AND cardinality(array(SELECT DISTINCT unnest(o.identifiers))) > 1
                         AND e.identities <> array(SELECT i.identity_id FROM identities i WHERE i.identifier = ANY (o.identifiers) ORDER BY i.identity_id)) THEN
            PERFORM evidence_differs(o.source, o.source_key, o.identifiers);
        END IF;
        extra := extra || o;
    END LOOP;
    RETURN QUERY
    SELECT i.identifier, i.customer_id, CASE WHEN p.customer_id <= 4611686018427387904 THEN p.customer_id END
    FROM partition_of(NULL, (SELECT coalesce(array_agg(f.identity_id), '{}') FROM stitch_flags(rules, extra) f),
                      rules, (SELECT quarantine_above FROM settings), extra) p
         JOIN (SELECT identity_id, identifier, customer_id FROM identities
               UNION ALL
               SELECT identity_id, identifier, NULL FROM unknown_identifiers(extra) WHERE extra IS NOT NULL) i ON i.identity_id = p.identity_id;
END $$;
COMMENT ON FUNCTION @hub@.simulate(@hub@.observation[], @hub@.identifier_rules[]) IS 'the customers there would be with some more observations and other rules; nothing is written';

-- The way from one identifier to another by evidence, retracted or not: the shortest of those on which the fewest links do not
-- join, among all that is named together with their components; if there is none, with the components of that, and so on.
CREATE OR REPLACE FUNCTION @hub@.why(a @extschema@.identifier, b @extschema@.identifier)
RETURNS TABLE (step integer, from_identifier @extschema@.identifier, to_identifier @extschema@.identifier, source text, source_key text, observed_at timestamptz, outcome text)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    given identifier[] := normal_identifiers(ARRAY[why.a, why.b]);
    ids bigint[];
    seen bigint[];
    scope bigint[];
BEGIN
    FOR n IN 1 .. 2 LOOP
        ids[n] := (SELECT i.identity_id FROM identities i WHERE i.identifier = given[n]);
        IF ids[n] IS NULL AND given[n] IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('identifier %s is not known', given[n]);
        END IF;
    END LOOP;
    seen := ids;
    LOOP
        scope := members_of(components_of(seen, seen));
        RETURN QUERY
        WITH rule AS MATERIALIZED (
            SELECT * FROM stitch_links(scope, above => (SELECT quarantine_above FROM settings))
        ), named AS MATERIALIZED (
            SELECT DISTINCT e.* FROM evidence_of(scope) e
        ), star AS (
            -- the centre of the usable ones; of others, where there are none
            SELECT e.source, e.source_key, e.observed_at, e.retracted_at,
                   (array_agg(i.identity_id ORDER BY i.blocked OR i.shared, i.priority DESC, i.identifier)) AS ids
            FROM named e CROSS JOIN LATERAL unnest(e.identities) u(id) JOIN ruled_identities i ON i.identity_id = u.id
            GROUP BY e.source, e.source_key, e.observed_at, e.retracted_at
        ), link AS (
            SELECT least(s.ids[1], o.id) AS x, greatest(s.ids[1], o.id) AS y, s.source, s.source_key, s.observed_at,
                   CASE WHEN s.retracted_at IS NOT NULL THEN 'retracted'
                        WHEN c.blocked OR i.blocked THEN 'blocked'
                        WHEN c.shared OR i.shared THEN 'shared' END AS outcome
            FROM star s CROSS JOIN LATERAL unnest(s.ids[2:]) o(id)
                 JOIN identities c ON c.identity_id = s.ids[1] JOIN identities i ON i.identity_id = o.id
            UNION ALL
            SELECT r.a, r.b, NULL, NULL, NULL, coalesce(r.outcome, 'must_link') FROM rule r WHERE r.must
        ), judged AS (
            SELECT l.x, l.y, l.source, l.source_key, l.observed_at, coalesce(l.outcome, r.outcome, 'joined') AS outcome
            FROM link l LEFT JOIN rule r ON r.a = l.x AND r.b = l.y
            WHERE l.outcome IS NOT NULL OR r.a IS NOT NULL  -- the law has not been asked about others
        ), best AS MATERIALIZED (
            SELECT j.*, row_number() OVER (ORDER BY j.x, j.y)::integer AS position
            FROM (SELECT DISTINCT ON (x, y) x, y, source, source_key, observed_at, outcome,
                         CASE WHEN outcome IN ('joined', 'must_link') THEN 1 ELSE 1000000 END AS cost
                  FROM judged ORDER BY x, y, cost, observed_at DESC NULLS FIRST, source, source_key) j
        ), path AS (
            SELECT p.position, p.step::integer, b.x, b.y, b.source, b.source_key, b.observed_at, b.outcome
            FROM identity_path(coalesce((SELECT array_agg(x ORDER BY position) FROM best), '{}'),
                               coalesce((SELECT array_agg(y ORDER BY position) FROM best), '{}'),
                               coalesce((SELECT array_agg(cost ORDER BY position) FROM best), '{}'), ids[1], ids[2])
                     WITH ORDINALITY p(position, step)
                 JOIN best b USING (position)
        ), walked AS (
            -- a link begins where the one before it ends
            SELECT p.*, CASE WHEN p.step = 1 THEN ids[1] WHEN p.x IN (q.x, q.y) THEN p.x ELSE p.y END AS start
            FROM path p LEFT JOIN path q ON q.step = p.step - 1
        )
        SELECT w.step, i.identifier, j.identifier, w.source, w.source_key, w.observed_at, w.outcome
        FROM walked w JOIN identities i ON i.identity_id = w.start
             JOIN identities j ON j.identity_id = CASE WHEN w.start = w.x THEN w.y ELSE w.x END
        ORDER BY w.step;
        EXIT WHEN FOUND OR ids[1] = ids[2];
        seen := array(SELECT unnest(scope) UNION SELECT unnest(e.identities) FROM evidence_of(scope) e);
        EXIT WHEN cardinality(seen) = cardinality(scope);
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.why(@extschema@.identifier, @extschema@.identifier) IS 'the evidence that leads from one identifier to another, and what keeps them apart if they are not one customer';

CREATE OR REPLACE FUNCTION @hub@.stitch_findings(
    OUT finding text, OUT component_id bigint, OUT identifier @extschema@.identifier, OUT other @extschema@.identifier,
    OUT identities bigint, OUT reason text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    above integer := (SELECT quarantine_above FROM settings);
BEGIN
    RETURN QUERY
    WITH link AS MATERIALIZED (
        SELECT * FROM stitch_links(members_of((SELECT coalesce(array_agg(DISTINCT component_id), '{}') FROM customers WHERE component_id IS NOT NULL)),
                                   above => above)
    ), quarantined AS MATERIALIZED (
        SELECT component_id, array_agg(a ORDER BY a, b) AS a, array_agg(b ORDER BY a, b) AS b
        FROM link WHERE component_id IN (SELECT component_id FROM link WHERE outcome = 'quarantined') GROUP BY component_id
    ), found AS (
        SELECT 1 AS place, 'largest component' AS finding, l.component AS component_id, l.component AS a, NULL::bigint AS b, l.identities, NULL AS reason
        FROM (SELECT coalesce(component_id, customer_id) AS component, sum(identities) AS identities
              FROM customers GROUP BY 1 HAVING sum(identities) > 1 ORDER BY 2 DESC, 1 LIMIT 10) l
        UNION ALL
        SELECT 2, 'quarantined', q.component_id, q.component_id, NULL, n.identities, format('more than %s identities', above)
        FROM quarantined q CROSS JOIN LATERAL (SELECT count(*) AS identities FROM (SELECT unnest(q.a) UNION SELECT unnest(q.b)) u) n
        UNION ALL
        SELECT 3, 'bridge', q.component_id, q.a[x.position], q.b[x.position], x.smaller, 'without this link so many identities would fall off'
        FROM quarantined q CROSS JOIN LATERAL identity_bridges(q.a, q.b) x WHERE x.smaller > 1
        UNION ALL
        SELECT 4, 'skipped link', l.component_id, l.a, l.b, NULL, l.outcome FROM link l WHERE l.outcome <> 'quarantined'
        UNION ALL
        SELECT 5, 'shared', i.customer_id, i.identity_id, NULL, NULL, format('linked to more than %s others', i.shared_above)
        FROM ruled_identities i WHERE i.shared
    )
    SELECT f.finding, f.component_id, i.identifier, j.identifier, f.identities, f.reason
    FROM found f JOIN identities i ON i.identity_id = f.a LEFT JOIN identities j ON j.identity_id = f.b
    ORDER BY f.place, f.identities DESC NULLS LAST, i.identifier, j.identifier;
END $$;
COMMENT ON FUNCTION @hub@.stitch_findings() IS 'the rows of stitch_report';

CREATE OR REPLACE VIEW @hub@.stitch_report WITH (security_invoker = true) AS
SELECT finding, component_id, identifier, other, identities, reason FROM @hub@.stitch_findings();
COMMENT ON VIEW @hub@.stitch_report IS 'what a steward should look at';
COMMENT ON COLUMN @hub@.stitch_report.finding IS 'largest component (ten of them), quarantined, bridge (of a quarantined one), skipped link, shared';
COMMENT ON COLUMN @hub@.stitch_report.component_id IS 'the smallest identity_id of all that the evidence connects';
COMMENT ON COLUMN @hub@.stitch_report.identifier IS 'identifier it is about; of a component, that of the smallest identity_id';
COMMENT ON COLUMN @hub@.stitch_report.other IS 'of a link, the other end';
COMMENT ON COLUMN @hub@.stitch_report.identities IS 'of a component, its identities; of a bridge, those of the smaller side';
COMMENT ON COLUMN @hub@.stitch_report.reason IS 'why';
