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
BEGIN
    FOREACH o IN ARRAY coalesce(observations, '{}') LOOP
        PERFORM check_observation(o.identifiers, o.observed_at, o.source);
        o.identifiers := normal_identifiers(o.identifiers);
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
