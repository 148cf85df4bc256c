-- Checking, explaining, trying out.

CREATE OR REPLACE FUNCTION @hub@.stitch_check(
    OUT identity_id bigint, OUT identifier @extschema@.identifier, OUT what text, OUT stored text, OUT rebuilt text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp SET gin_fuzzy_search_limit = 0
    SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('identifiers');
    RETURN QUERY
    WITH flag AS MATERIALIZED (
        SELECT f.identity_id, f.blocked, f.shared FROM stitch_flags() f
    ), part AS MATERIALIZED (
        SELECT p.identity_id, p.normal_id, p.customer_id, p.component_id
        FROM partition_of(NULL, (SELECT coalesce(array_agg(f.identity_id), '{}') FROM flag f),
                          above => (SELECT s.quarantine_above FROM settings s)) p
    ), customer AS (
        SELECT p.customer_id, min(p.component_id) AS component_id,
            count(*) FILTER (WHERE p.identity_id = p.normal_id) AS identities
        FROM part p GROUP BY p.customer_id
    ), component AS (
        SELECT n.component_id, sum(n.identities) AS identities FROM customer n GROUP BY n.component_id
    )
    SELECT i.identity_id, i.identifier, d.what, d.stored, d.rebuilt
    FROM identities i LEFT JOIN part p ON p.identity_id = i.identity_id
         LEFT JOIN flag f ON f.identity_id = i.normal_id
         LEFT JOIN customers c ON c.customer_id = i.identity_id
         LEFT JOIN customer n ON n.customer_id = i.identity_id
         LEFT JOIN component o ON o.component_id = n.customer_id
         CROSS JOIN LATERAL (VALUES ('customer', i.customer_id::text, p.customer_id::text),
                                    ('blocked', i.blocked::text, coalesce(f.blocked, false)::text),
                                    ('shared', i.shared::text, coalesce(f.shared, false)::text),
                                    ('component', c.component_id::text, n.component_id::text),
                                    ('identities of the customer', c.identities::text, n.identities::text),
                                    ('identities of the component', c.component_identities::text,
                                     o.identities::text)) d(what, stored, rebuilt)
    WHERE d.stored IS DISTINCT FROM d.rebuilt
    UNION ALL
    SELECT i.identity_id, i.identifier, 'normal form', n.identifier::text, w.normal::text
    FROM wrong_forms() w JOIN identities i ON i.identity_id = w.identity_id
        LEFT JOIN identities n ON n.identity_id = i.normal_id
    UNION ALL
    SELECT i.identity_id, i.identifier, 'normal form of nothing', i.identifier::text, NULL
    FROM identities i
    WHERE i.last_seen IS NULL
        AND NOT EXISTS (SELECT FROM identities s WHERE s.normal_id = i.identity_id AND s.normal_id <> s.identity_id)
    UNION ALL
    SELECT c.customer_id, NULL, 'customer without an identity', c.customer_id::text, NULL
    FROM customers c WHERE NOT EXISTS (SELECT FROM identities i WHERE i.identity_id = c.customer_id)
    UNION ALL
    SELECT u.id, NULL, 'evidence of no identity', e.source || ' ' || e.source_key, NULL
    FROM evidence e CROSS JOIN LATERAL unnest(e.identities) u(id)
    WHERE e.retracted_at IS NULL AND NOT EXISTS (SELECT FROM identities i WHERE i.identity_id = u.id)
    UNION ALL
    SELECT u.id, NULL, 'pair of no identity', p.a || ' ' || p.b, NULL
    FROM identity_pairs p CROSS JOIN LATERAL (VALUES (p.a), (p.b)) u(id)
    WHERE NOT EXISTS (SELECT FROM identities i WHERE i.identity_id = u.id);
END $$;
COMMENT ON FUNCTION @hub@.stitch_check()
    IS 'what is stored otherwise than evidence and rules have it: nothing, unless tables were changed by hand';

CREATE OR REPLACE FUNCTION @hub@.simulate(
    observations @hub@.observation[] DEFAULT '{}', rules @hub@.identifier_rules[] DEFAULT '{}',
    OUT identifier @extschema@.identifier, OUT customer_id bigint, OUT simulated_customer_id bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp SET gin_fuzzy_search_limit = 0
    SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    given observation;
    extra observation[];
    rule identifier_rules;
    single boolean;
BEGIN
    PERFORM check_may('identifiers');
    FOREACH rule IN ARRAY coalesce(rules, '{}') LOOP
        IF rule.namespace IS NULL OR rule.max_per_customer < 0 OR rule.shared_above < 0 THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('this is no rule: %s', rule::text),
                HINT = 'A rule has a namespace, or *, and no negative limits.';
        ELSIF (coalesce(rule.normalizer, ''), coalesce(rule.default_country, '')) NOT IN (
                  SELECT coalesce(r.normalizer, ''), coalesce(r.default_country, '') FROM identifier_rules r
                      WHERE r.namespace = rule.namespace
                  UNION ALL SELECT '', ''
                      WHERE NOT EXISTS (SELECT FROM identifier_rules r WHERE r.namespace = rule.namespace)) THEN
            RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
                MESSAGE = format('another normalizer of namespace %s can''t be simulated', rule.namespace),
                DETAIL = 'It would make other identifiers of those that are stored.';
        ELSIF coalesce(rule.internal, false) <> EXISTS (SELECT FROM identifier_rules r
                                                        WHERE r.namespace = rule.namespace AND r.internal)
              AND EXISTS (SELECT FROM identities i
                          WHERE @extschema@.identifier_namespace(i.identifier) = rule.namespace) THEN
            RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
                MESSAGE = format('whether namespace %s is internal can''t be simulated otherwise', rule.namespace),
                DETAIL = 'Internal identifiers have no normal form but themselves.';
        END IF;
    END LOOP;
    FOREACH given IN ARRAY coalesce(observations, '{}') LOOP
        PERFORM check_observation(given.identifiers, given.observed_at, given.source, given.source_key);
        given.source := coalesce(given.source, 'sql');
        given.source_key := coalesce(given.source_key, evidence_key(given.identifiers, given.observed_at));
        single := cardinality(array(SELECT DISTINCT unnest(given.identifiers))) < 2;
        given.identifiers := normal_identifiers(given.identifiers);
        -- a replay must be one, as when it is recorded
        IF NOT single
           AND EXISTS (SELECT FROM evidence e
                       WHERE e.source = given.source AND e.source_key = given.source_key
                             AND nodes_of(e.identities) <> array(SELECT i.identity_id FROM identities i
                                                                 WHERE i.identifier = ANY (given.identifiers)
                                                                     ORDER BY i.identity_id)) THEN
            PERFORM evidence_differs(given.source, given.source_key, given.identifiers);
        END IF;
        extra := extra || given;
    END LOOP;
    RETURN QUERY
    SELECT i.identifier, i.customer_id, CASE WHEN p.customer_id <= 4611686018427387904 THEN p.customer_id END
    FROM partition_of(NULL, (SELECT coalesce(array_agg(f.identity_id), '{}') FROM stitch_flags(rules, extra) f),
                      rules, (SELECT s.quarantine_above FROM settings s), extra) p
         JOIN (SELECT n.identity_id, n.identifier, n.customer_id FROM identities n WHERE n.normal_id = n.identity_id
               UNION ALL
               SELECT u.identity_id, u.identifier, NULL FROM unknown_identifiers(extra) u
                   WHERE extra IS NOT NULL) i ON i.identity_id = p.identity_id;
END $$;
COMMENT ON FUNCTION @hub@.simulate(@hub@.observation[], @hub@.identifier_rules[])
    IS 'the customers there would be with some more observations and other rules; nothing is written';

-- Pairs of records that accept_matches did not accept, of some nodes; for who may see them.
CREATE OR REPLACE FUNCTION @hub@.matches_not_taken(
    nodes bigint[], OUT x bigint, OUT y bigint, OUT source text, OUT score real, OUT outcome text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('match_pairs', 'SELECT') OR NOT has_table_privilege('match_models', 'SELECT') THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT DISTINCT ON (1, 2) least(i.normal_id, j.normal_id), greatest(i.normal_id, j.normal_id), 'match ' || p.model,
           p.score::real, 'not accepted: ' || p.status || coalesce(', ' || (
               SELECT coalesce(c.columns[v.field], 'records of ' || c.source)
               FROM match_values v
                    JOIN match_values w ON w.conflict = v.conflict AND w.field = v.field AND w.value <> v.value
                    JOIN match_conflicts c ON c.conflict = v.conflict
               WHERE p.status = 'conflict' AND v.record_id = p.a AND w.record_id = p.b
               ORDER BY v.conflict, v.field LIMIT 1), '')
    FROM match_models m JOIN match_pairs p ON p.model = m.model AND p.status NOT IN ('found', 'accepted')
         JOIN match_records s ON s.record_id = p.a JOIN match_records t ON t.record_id = p.b
         JOIN identities i ON i.identity_id = s.identity_id JOIN identities j ON j.identity_id = t.identity_id
    WHERE m.accepted_at IS NOT NULL
          AND p.a IN (SELECT r.record_id FROM match_records r
                      WHERE r.identity_id IN (SELECT f.identity_id FROM spellings(nodes, NULL) f))
          AND j.normal_id IN (SELECT unnest(nodes))
    ORDER BY 1, 2, p.score DESC, p.model;
END $$;
COMMENT ON FUNCTION @hub@.matches_not_taken(bigint[]) IS
    'pairs of records of some identities that accept_matches did not accept, and why';

-- What why_match tells of a guess of a model; NULL where it can't, or to who may not ask it.
CREATE OR REPLACE FUNCTION @hub@.match_waterfall(
    a @extschema@.identifier, b @extschema@.identifier, source text)
RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF source NOT LIKE 'match %' OR NOT has_table_privilege('match_pairs', 'INSERT') THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                       'step', w.step, 'value_a', w.value_a, 'value_b', w.value_b, 'level', w.level, 'bits', w.bits,
                       'score', w.score)) ORDER BY w.n)
            FROM why_match(a, b, substr(source, 7)) WITH ORDINALITY
                 w(step, value_a, value_b, level, bits, score, probability, n));
EXCEPTION WHEN undefined_object OR object_not_in_prerequisite_state THEN
    RETURN NULL;  -- the model, or the records, are gone or others
END $$;
COMMENT ON FUNCTION @hub@.match_waterfall(@extschema@.identifier, @extschema@.identifier, text) IS
    'what makes a model guess that two identifiers are one customer: the rows of why_match';

-- The way from one identifier to another by evidence, retracted or not: the shortest of those on which the fewest links
-- do not join, among all that is named together with their components; if there is none, with the components of that,
-- and so on.
CREATE OR REPLACE FUNCTION @hub@.why(a @extschema@.identifier, b @extschema@.identifier)
RETURNS TABLE (step integer, from_identifier @extschema@.identifier, to_identifier @extschema@.identifier, source text,
               source_key text, observed_at timestamptz, outcome text, strength real, waterfall jsonb)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp SET gin_fuzzy_search_limit = 0
    SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    given @extschema@.identifier[];
    ids bigint[];
    seen bigint[];
    scope bigint[];
BEGIN
    PERFORM check_may('identifiers');
    given := normal_identifiers(ARRAY[a, b]);
    FOR n IN 1 .. 2 LOOP
        ids[n] := (SELECT i.normal_id FROM identities i WHERE i.identifier = given[n]);
        IF ids[n] IS NULL AND given[n] IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_object',
                MESSAGE = format('identifier %s is not known', given[n]);
        END IF;
    END LOOP;
    seen := ids;
    LOOP
        scope := members_of(components_of(seen, seen));
        RETURN QUERY
        WITH rule AS MATERIALIZED (
            SELECT l.a, l.b, l.must, l.outcome
                FROM stitch_links(scope, above => (SELECT s.quarantine_above FROM settings s)) l
        ), named AS MATERIALIZED (
            SELECT DISTINCT e.source, e.source_key, e.observed_at, e.retracted_at, e.identities, e.strength
            FROM evidence_of(array(SELECT s.identity_id FROM spellings(scope, NULL) s)) e
        ), star AS (
            -- the centre of the usable ones; of others, where there are none
            SELECT e.source, e.source_key, e.observed_at, e.retracted_at, e.strength,
                   array_agg(r.identity_id ORDER BY r.blocked OR r.shared, r.priority DESC, r.identifier) AS ids
            FROM named e CROSS JOIN LATERAL unnest(e.identities) u(id) JOIN identities i ON i.identity_id = u.id
                 JOIN ruled_identities r ON r.identity_id = i.normal_id
            GROUP BY e.source, e.source_key, e.observed_at, e.retracted_at, e.strength
        ), link AS (
            SELECT least(s.ids[1], o.id) AS x, greatest(s.ids[1], o.id) AS y, s.source, s.source_key, s.observed_at,
                   s.strength, CASE WHEN s.retracted_at IS NOT NULL THEN 'retracted'
                        WHEN c.blocked OR i.blocked THEN 'blocked'
                        WHEN c.shared OR i.shared THEN 'shared' END AS outcome
            FROM star s CROSS JOIN LATERAL unnest(s.ids[2:]) o(id)
                 JOIN identities c ON c.identity_id = s.ids[1] JOIN identities i ON i.identity_id = o.id
            WHERE o.id <> s.ids[1]
            UNION ALL
            SELECT r.a, r.b, NULL, NULL, NULL, NULL, coalesce(r.outcome, 'must_link') FROM rule r WHERE r.must
            UNION ALL
            SELECT t.x, t.y, t.source, NULL, NULL, t.score, t.outcome FROM matches_not_taken(scope) t
        ), judged AS (
            SELECT l.x, l.y, l.source, l.source_key, l.observed_at, l.strength,
                   coalesce(l.outcome, r.outcome, 'joined') AS outcome
            FROM link l LEFT JOIN rule r ON r.a = l.x AND r.b = l.y
            WHERE l.outcome IS NOT NULL OR r.a IS NOT NULL  -- the law has not been asked about others
        ), best AS MATERIALIZED (
            SELECT j.x, j.y, j.source, j.source_key, j.observed_at, j.strength, j.outcome, j.cost,
                   row_number() OVER (ORDER BY j.x, j.y)::integer AS position
            FROM (SELECT DISTINCT ON (k.x, k.y) k.x, k.y, k.source, k.source_key, k.observed_at, k.strength, k.outcome,
                         CASE WHEN k.outcome IN ('joined', 'must_link') THEN 1
                              WHEN k.outcome LIKE 'not accepted: %' THEN 2000000
                              -- what a model took back, it may have a reason for
                              WHEN k.outcome = 'retracted' AND k.strength IS NOT NULL THEN 3000000
                              ELSE 1000000 END AS cost
                  FROM judged k ORDER BY k.x, k.y, cost, k.observed_at DESC NULLS FIRST, k.source, k.source_key) j
        ), path AS (
            SELECT p.position, p.step::integer AS step, g.x, g.y, g.source, g.source_key, g.observed_at, g.outcome,
                   g.strength
            FROM @extschema@.identity_path(coalesce((SELECT array_agg(g.x ORDER BY g.position) FROM best g), '{}'),
                               coalesce((SELECT array_agg(g.y ORDER BY g.position) FROM best g), '{}'),
                               coalesce((SELECT array_agg(g.cost ORDER BY g.position) FROM best g), '{}'), ids[1],
                                   ids[2])
                     WITH ORDINALITY p(position, step)
                 JOIN best g ON g.position = p.position
        ), walked AS (
            -- a link begins where the one before it ends
            SELECT p.step, p.x, p.y, p.source, p.source_key, p.observed_at, p.outcome, p.strength,
                   CASE WHEN p.step = 1 THEN ids[1] WHEN p.x IN (q.x, q.y) THEN p.x ELSE p.y END AS start
            FROM path p LEFT JOIN path q ON q.step = p.step - 1
        )
        SELECT w.step, i.identifier, j.identifier, w.source, w.source_key, w.observed_at, w.outcome, w.strength,
               CASE WHEN w.strength IS NOT NULL THEN match_waterfall(i.identifier, j.identifier, w.source) END
        FROM walked w JOIN identities i ON i.identity_id = w.start
             JOIN identities j ON j.identity_id = CASE WHEN w.start = w.x THEN w.y ELSE w.x END
        ORDER BY w.step;
        EXIT WHEN FOUND OR ids[1] = ids[2];
        seen := nodes_of(array(SELECT unnest(scope) UNION
                               SELECT unnest(e.identities)
                                   FROM evidence_of(array(SELECT s.identity_id FROM spellings(scope, NULL) s)) e));
        EXIT WHEN cardinality(seen) = cardinality(scope);
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.why(@extschema@.identifier, @extschema@.identifier)
    IS 'the evidence that leads from one identifier to another, and what keeps them apart if they are not one '
       'customer; of guesses the strength and, of those of a model, what makes it';

CREATE OR REPLACE FUNCTION @hub@.stitch_findings(
    OUT finding text, OUT component_id bigint, OUT identifier @extschema@.identifier, OUT other @extschema@.identifier,
    OUT identities bigint, OUT reason text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp SET gin_fuzzy_search_limit = 0
    SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    above integer := (SELECT s.quarantine_above FROM settings s);
BEGIN
    RETURN QUERY
    WITH link AS MATERIALIZED (
        SELECT l.a, l.b, l.outcome, c.component_id
        FROM stitch_links(members_of((SELECT coalesce(array_agg(DISTINCT c.component_id), '{}') FROM customers c
                                      WHERE c.component_id IS NOT NULL)), above => above) l
             JOIN identities i ON i.identity_id = l.a JOIN customers c ON c.customer_id = i.customer_id
    ), quarantined AS MATERIALIZED (
        SELECT l.component_id, array_agg(l.a ORDER BY l.a, l.b) AS a, array_agg(l.b ORDER BY l.a, l.b) AS b
        FROM link l WHERE l.component_id IN (SELECT k.component_id FROM link k WHERE k.outcome = 'quarantined')
            GROUP BY l.component_id
    ), found AS (
        SELECT 1 AS place, 'largest component' AS finding, l.component AS component_id, l.component AS a,
            NULL::bigint AS b, l.size, NULL AS reason
        FROM (SELECT coalesce(c.component_id, c.customer_id) AS component, sum(c.identities) AS size
              FROM customers c GROUP BY 1 HAVING sum(c.identities) > 1 ORDER BY 2 DESC, 1 LIMIT 10) l
        UNION ALL
        SELECT 2, 'quarantined', q.component_id, q.component_id, NULL, n.size, format('more than %s identities', above)
        FROM quarantined q CROSS JOIN LATERAL (SELECT count(*) AS size
                                               FROM (SELECT unnest(q.a) UNION SELECT unnest(q.b)) u) n
        UNION ALL
        SELECT 3, 'bridge', q.component_id, q.a[x.position], q.b[x.position], x.smaller,
            'without this link so many identities would fall off'
        FROM quarantined q CROSS JOIN LATERAL @extschema@.identity_bridges(q.a, q.b) x WHERE x.smaller > 1
        UNION ALL
        SELECT 4, 'skipped link', l.component_id, l.a, l.b, NULL, l.outcome FROM link l WHERE l.outcome <> 'quarantined'
        UNION ALL
        SELECT 5, 'cannot_link of one identifier', x.customer_id, p.a, p.b, NULL,
            format('both are %s by their normal form', n.identifier)
        FROM identity_pairs p JOIN identities x ON x.identity_id = p.a JOIN identities y ON y.identity_id = p.b
             JOIN identities n ON n.identity_id = x.normal_id
        WHERE p.kind = 'cannot' AND x.normal_id = y.normal_id
        UNION ALL
        SELECT 6, 'shared', i.customer_id, i.identity_id, NULL, NULL,
            format('seen with more than %s people', i.shared_above)
        FROM ruled_identities i WHERE i.shared
        UNION ALL
        SELECT 7, 'blocked', b.customer_id, b.identity_id, NULL, b.seen,
               CASE WHEN @extschema@.identifier_blocked(b.identifier, b.blocked, b.normalizer, b.default_country)
                    THEN 'the rules block its value'
                    ELSE format('the normalizer %s can''t read its value', b.normalizer) END
        FROM (SELECT i.identity_id, i.identifier, i.customer_id, r.blocked, r.normalizer, r.default_country,
                     count(e.identities) AS seen
              FROM identities i CROSS JOIN LATERAL rule_of(@extschema@.identifier_namespace(i.identifier)) r
                   JOIN identities s ON s.normal_id = i.identity_id
                   LEFT JOIN LATERAL (SELECT v.identities FROM evidence v
                                      WHERE v.identities @> ARRAY[s.identity_id]
                                          AND v.retracted_at IS NULL OFFSET 0) e ON true
              WHERE i.blocked AND i.normal_id = i.identity_id
              GROUP BY i.identity_id, i.identifier, i.customer_id, r.blocked, r.normalizer, r.default_country) b
    )
    SELECT f.finding, f.component_id,
           -- of a component a reference of an application only where it has nothing else
           coalesce(CASE WHEN f.place <= 2 AND is_internal(i.identifier)
                         THEN (SELECT k.identifier FROM identities k
                               WHERE k.identity_id = ANY (members_of(ARRAY[f.component_id]))
                                     AND NOT is_internal(k.identifier)
                               ORDER BY k.identity_id LIMIT 1) END,
                    i.identifier), j.identifier, f.size, f.reason
    FROM found f JOIN identities i ON i.identity_id = f.a LEFT JOIN identities j ON j.identity_id = f.b
    ORDER BY f.place, f.size DESC NULLS LAST, i.identifier, j.identifier;
END $$;
COMMENT ON FUNCTION @hub@.stitch_findings() IS 'the rows of stitch_report';

CREATE OR REPLACE VIEW @hub@.stitch_report WITH (security_invoker = true) AS
SELECT f.finding, f.component_id, f.identifier, f.other, f.identities, f.reason FROM @hub@.stitch_findings() f;
COMMENT ON VIEW @hub@.stitch_report IS 'what a steward should look at';
COMMENT ON COLUMN @hub@.stitch_report.finding
    IS 'largest component (ten of them), quarantined, bridge (of a quarantined one), skipped link, cannot_link of one '
       'identifier, shared, blocked';
COMMENT ON COLUMN @hub@.stitch_report.component_id IS 'the smallest identity_id of all that the evidence connects';
COMMENT ON COLUMN @hub@.stitch_report.identifier
    IS 'identifier it is about; of a component, that of the smallest identity_id, but for internal ones';
COMMENT ON COLUMN @hub@.stitch_report.other IS 'of a link, the other end';
COMMENT ON COLUMN @hub@.stitch_report.identities
    IS 'of a component, its identities; of a bridge, those of the smaller side; of what is blocked, how often it was '
       'seen with others';
COMMENT ON COLUMN @hub@.stitch_report.reason IS 'why';
