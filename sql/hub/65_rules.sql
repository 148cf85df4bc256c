-- Changing rules. What a change touches is stitched anew, in the same transaction.

-- Write down who is blocked and shared; returns the nodes of which that has changed.
CREATE OR REPLACE FUNCTION @hub@.set_flags() RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    changed bigint[];
BEGIN
    WITH flag AS MATERIALIZED (
        SELECT f.identity_id, f.blocked, f.shared FROM stitch_flags() f
    ), updated AS (
        UPDATE identities i SET blocked = coalesce(f.blocked, false), shared = coalesce(f.shared, false)
        FROM identities s LEFT JOIN flag f ON f.identity_id = s.normal_id
        WHERE i.identity_id = s.identity_id
              AND (i.blocked, i.shared) IS DISTINCT FROM (coalesce(f.blocked, false), coalesce(f.shared, false))
        RETURNING i.normal_id
    )
    SELECT coalesce(array_agg(DISTINCT u.normal_id), '{}') INTO changed FROM updated u;
    RETURN changed;
END $$;
COMMENT ON FUNCTION @hub@.set_flags() IS 'mark the identities that are blocked or shared';

-- namespace NULL: everything is touched.
CREATE OR REPLACE FUNCTION @hub@.stitch_namespace(namespace text) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    touched bigint[] := array(SELECT i.identity_id FROM identities i
                              WHERE @extschema@.identifier_namespace(i.identifier) = stitch_namespace.namespace);
    components bigint[] := components_of('{}', touched);  -- before numbers go
    fresh bigint[] := set_normal_forms();
    changed bigint[] := set_flags();
BEGIN
    IF namespace IS NULL THEN
        RETURN restitch(NULL, fresh);
    END IF;
    touched := array(SELECT unnest(changed) UNION SELECT w.node FROM seen_with(changed) w
                     UNION SELECT i.identity_id FROM identities i
                         WHERE @extschema@.identifier_namespace(i.identifier) = stitch_namespace.namespace);
    RETURN restitch(members_of(components || components_of('{}', touched)), fresh);
END $$;
COMMENT ON FUNCTION @hub@.stitch_namespace(text) IS 'stitch anew what the rules of a namespace touch';

-- What the normal form of each identity is by the rules; NULL: it has the right one.
CREATE OR REPLACE FUNCTION @hub@.wrong_forms(OUT identity_id bigint, OUT normal @extschema@.identifier)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT f.id, f.normal
    FROM (SELECT i.identity_id AS id, i.normal_id, normal_form(i.identifier, r.normalizer, r.default_country) AS normal
          FROM identities i
               JOIN resolved_rules r
                    ON r.namespace = CASE WHEN @extschema@.identifier_namespace(i.identifier)
                                               IN (SELECT w.namespace FROM resolved_rules w)
                                          THEN @extschema@.identifier_namespace(i.identifier) ELSE '*' END
          WHERE i.last_seen IS NOT NULL AND (r.normalizer <> '' OR i.normal_id <> i.identity_id)) f
         LEFT JOIN identities n ON n.identity_id = f.normal_id
    WHERE n.identifier IS DISTINCT FROM f.normal;
END $$;
COMMENT ON FUNCTION @hub@.wrong_forms() IS 'identities that have not the normal form that the rules give them';

-- Normal forms that nothing came in as become identities, and go when nothing has them for a normal form any more. One
-- that a touchpoint names has come in.
CREATE OR REPLACE FUNCTION @hub@.set_normal_forms() RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];
    normals @extschema@.identifier[];
    gone bigint[];
    fresh bigint[];
BEGIN
    SELECT array_agg(w.identity_id), array_agg(w.normal) INTO ids, normals FROM wrong_forms() w;
    fresh := '{}';
    IF ids IS NULL AND NOT EXISTS (SELECT FROM identities i WHERE i.last_seen IS NULL) THEN
        RETURN fresh;
    END IF;
    WITH added AS (
        INSERT INTO identities (identity_id, identifier, normal_id, customer_id, member_since)
        SELECT n.id, n.normal, n.id, n.id, clock_timestamp()
        FROM (SELECT nextval('identities_identity_id_seq') AS id, u.normal
              FROM (SELECT DISTINCT u.normal FROM unnest(normals) u(normal) ORDER BY u.normal) u
              WHERE NOT EXISTS (SELECT FROM identities i WHERE i.identifier = u.normal)) n
        RETURNING identities.identity_id
    )
    SELECT coalesce(array_agg(a.identity_id), '{}') INTO fresh FROM added a;
    INSERT INTO customers (customer_id, identities) SELECT unnest(fresh), 1;
    UPDATE identities i SET normal_id = n.identity_id
    FROM unnest(ids, normals) u(id, normal) JOIN identities n ON n.identifier = u.normal
    WHERE i.identity_id = u.id;
    gone := array(SELECT i.identity_id FROM identities i
                  WHERE i.last_seen IS NULL
                        AND NOT EXISTS (SELECT FROM identities s
                                        WHERE s.normal_id = i.identity_id AND s.normal_id <> s.identity_id));
    UPDATE identities i SET first_seen = t.first_seen, last_seen = t.last_seen
    FROM (SELECT t.identity_id, min(t.occurred_at) AS first_seen, max(t.occurred_at) AS last_seen
          FROM touchpoints t WHERE t.identity_id = ANY (gone) GROUP BY t.identity_id) t
    WHERE i.identity_id = t.identity_id;
    IF FOUND THEN
        fresh := fresh || set_normal_forms();
    END IF;
    DELETE FROM identities i WHERE i.identity_id = ANY (gone) AND i.last_seen IS NULL;
    DELETE FROM former_memberships m
    WHERE m.identity_id = ANY (gone) AND NOT EXISTS (SELECT FROM identities i WHERE i.identity_id = m.identity_id);
    DELETE FROM customers c
    WHERE c.customer_id = ANY (gone) AND NOT EXISTS (SELECT FROM identities i WHERE i.customer_id = c.customer_id);
    RETURN fresh;
END $$;
COMMENT ON FUNCTION @hub@.set_normal_forms()
    IS 'give identities the normal forms that the rules have for them; returns identities that are new';

CREATE OR REPLACE FUNCTION @hub@.set_rule(
    namespace text, priority integer DEFAULT NULL, max_per_customer integer DEFAULT NULL,
        shared_above integer DEFAULT NULL,
    blocked text[] DEFAULT NULL, normalizer text DEFAULT NULL, default_country text DEFAULT NULL,
        internal boolean DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    internal_before boolean;
    internal_now boolean;
    bad text;
    entry text;
    known @extschema@.identifier;
BEGIN
    PERFORM begin_changing_rules('set_rule');
    internal_before := coalesce((SELECT r.internal FROM identifier_rules r WHERE r.namespace = set_rule.namespace),
                                false);
    internal_now := coalesce(set_rule.internal, internal_before);
    IF namespace IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'namespace must not be NULL';
    ELSIF set_rule.namespace <> '*' THEN
        PERFORM @extschema@.identifier(set_rule.namespace, 'x');  -- is it one?
    END IF;
    bad := CASE WHEN set_rule.max_per_customer < 0
        THEN format('max_per_customer must not be negative: %s', set_rule.max_per_customer)
                WHEN set_rule.shared_above < 0
                    THEN format('shared_above must not be negative: %s', set_rule.shared_above)
                WHEN array_position(set_rule.blocked, NULL) IS NOT NULL THEN 'blocked values must not be NULL'
                WHEN set_rule.normalizer NOT IN ('email', 'phone', 'document', '')
                    THEN format('unknown normalizer: %s', set_rule.normalizer)
           END;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = bad,
            HINT = CASE WHEN bad LIKE 'unknown%' THEN 'There are email, phone and document; the empty string is none.'
                        WHEN bad LIKE '%negative%' THEN '0 is for no limit.'
                        ELSE 'What is NULL blocks nothing: leave it out.' END;
    END IF;
    FOREACH entry IN ARRAY coalesce(set_rule.blocked, '{}') LOOP
        IF entry ~ '^((email|phone|document):)?~' THEN
            PERFORM '' ~* substr(entry, strpos(entry, '~') + 1);  -- is it a regular expression?
        END IF;
    END LOOP;
    IF set_rule.default_country IS NOT NULL AND set_rule.default_country <> '' THEN
        PERFORM @extschema@.normalize_phone('0', set_rule.default_country);
    END IF;
    IF internal_now THEN
        IF set_rule.namespace = '*' THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = 'the rule of all other namespaces can''t be internal',
                HINT = 'Name the namespace of the references, such as shop.order.';
        ELSIF num_nonnulls(set_rule.priority, set_rule.blocked, set_rule.normalizer, set_rule.default_country) > 0 THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('identifiers of namespace %s are internal, and taken as they are', set_rule.namespace),
                DETAIL = 'They have no priority, blocked values or normalizer.',
                HINT = 'Limits may be set: max_per_customer and shared_above.';
        ELSIF NOT internal_before THEN
            known := (SELECT i.identifier FROM identities i
                      WHERE @extschema@.identifier_namespace(i.identifier) = set_rule.namespace
                      ORDER BY i.identifier LIMIT 1);
            IF known IS NOT NULL THEN
                RAISE EXCEPTION USING ERRCODE = 'object_in_use',
                    MESSAGE = format('namespace %s can''t become internal: it has identifiers', set_rule.namespace),
                    DETAIL = format('%s is one of them, and would be hidden.', known),
                    HINT = 'Give references a namespace of their own, such as shop.order.';
            END IF;
            UPDATE identifier_rules r
            SET priority = NULL, blocked = NULL, normalizer = NULL, default_country = NULL
            WHERE r.namespace = set_rule.namespace;
        END IF;
    END IF;
    INSERT INTO identifier_rules
        AS r (namespace, priority, max_per_customer, shared_above, blocked, normalizer, default_country, internal)
    VALUES (set_rule.namespace, set_rule.priority, set_rule.max_per_customer, set_rule.shared_above,
            set_rule.blocked, set_rule.normalizer, set_rule.default_country, internal_now)
    ON CONFLICT ON CONSTRAINT identifier_rules_pkey DO UPDATE
    SET internal = excluded.internal, priority = coalesce(excluded.priority, r.priority),
        max_per_customer = coalesce(excluded.max_per_customer, r.max_per_customer),
        shared_above = coalesce(excluded.shared_above, r.shared_above), blocked = coalesce(excluded.blocked, r.blocked),
        normalizer = coalesce(excluded.normalizer, r.normalizer),
        default_country = coalesce(excluded.default_country, r.default_country);
    RETURN stitch_namespace(nullif(set_rule.namespace, '*'));
END $$;
COMMENT ON FUNCTION @hub@.set_rule(text, integer, integer, integer, text[], text, text, boolean)
    IS 'set rules of a namespace, or * for those that have none of their own; NULL keeps what there is. Returns how '
       'many identities have another customer now';

CREATE OR REPLACE FUNCTION @hub@.use_recommended_rules(
    default_country text DEFAULT NULL,
    OUT namespace text, OUT priority integer, OUT max_per_customer integer, OUT normalizer text, OUT country text)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 4 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    given CONSTANT text := default_country;
BEGIN
    PERFORM begin_changing_rules('use_recommended_rules');
    IF given <> '' THEN
        PERFORM @extschema@.normalize_phone('0', given);  -- is it a country?
    END IF;
    FOR namespace, priority, max_per_customer, normalizer, country IN
        INSERT INTO identifier_rules AS r (namespace, priority, max_per_customer, normalizer, default_country)
        VALUES ('account', 30, 1, NULL, NULL),
               ('document', 25, NULL, 'document', NULL),
               ('email', 20, NULL, 'email', NULL),
               ('phone', 10, NULL, 'phone', given)
        -- a country may come later
        ON CONFLICT ON CONSTRAINT identifier_rules_pkey DO UPDATE SET default_country = excluded.default_country
        WHERE r.default_country IS NULL AND r.normalizer = 'phone' AND excluded.default_country IS NOT NULL
        RETURNING r.namespace, r.priority, r.max_per_customer, r.normalizer, r.default_country
    LOOP
        RETURN NEXT;
    END LOOP;
    PERFORM stitch_namespace(NULL);
END $$;
COMMENT ON FUNCTION @hub@.use_recommended_rules(text)
    IS 'set rules of account, document, email and phone, where there are none yet; returns those it has set. '
       'default_country is that of phone numbers without one, and may be given later';

CREATE OR REPLACE FUNCTION @hub@.drop_rule(namespace text) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM begin_changing_rules('drop_rule');
    DELETE FROM identifier_rules r WHERE r.namespace = drop_rule.namespace;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no rule for namespace %s', coalesce(drop_rule.namespace, 'NULL'));
    END IF;
    RETURN stitch_namespace(nullif(drop_rule.namespace, '*'));
END $$;
COMMENT ON FUNCTION @hub@.drop_rule(text)
    IS 'remove the rules of a namespace; returns how many identities have another customer now';

CREATE OR REPLACE FUNCTION @hub@.set_quarantine_above(identities integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM begin_changing_rules('set_quarantine_above');
    IF set_quarantine_above.identities < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a component has at least one identity, so none can be quarantined above %s',
                             set_quarantine_above.identities),
            HINT = 'NULL quarantines none.';
    END IF;
    UPDATE settings s SET quarantine_above = set_quarantine_above.identities WHERE s.one_row;
    RETURN restitch(NULL);
END $$;
COMMENT ON FUNCTION @hub@.set_quarantine_above(integer)
    IS 'quarantine components of more identities; NULL: none. Returns how many identities have another customer now';

-- What was changed by hand: evidence names no identity that is not there. What is left of it holds if it is two or
-- more.
CREATE OR REPLACE FUNCTION @hub@.stitch_all() RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM begin_changing_rules('stitch_all');
    WITH broken AS (
        SELECT e.source, e.source_key, e.identities,
            array_agg(u.id ORDER BY u.id) FILTER (WHERE i.identity_id IS NOT NULL) AS left_ids
        FROM evidence e CROSS JOIN LATERAL unnest(e.identities) u(id) LEFT JOIN identities i ON i.identity_id = u.id
        WHERE e.retracted_at IS NULL
        GROUP BY e.source, e.source_key
        HAVING count(*) > count(i.identity_id)
    )
    UPDATE evidence e
    SET identities = CASE WHEN cardinality(b.left_ids) > 1 THEN b.left_ids ELSE e.identities END,
        retracted_at = CASE WHEN cardinality(b.left_ids) > 1 THEN NULL ELSE clock_timestamp() END
    FROM broken b WHERE e.source = b.source AND e.source_key = b.source_key;
    DELETE FROM identity_pairs p
    WHERE NOT EXISTS (SELECT FROM identities i WHERE i.identity_id = p.a)
        OR NOT EXISTS (SELECT FROM identities i WHERE i.identity_id = p.b);
    RETURN stitch_namespace(NULL);
END $$;
COMMENT ON FUNCTION @hub@.stitch_all()
    IS 'stitch everything anew from evidence and rules; returns how many identities have another customer now: none, '
       'unless tables were changed by hand';
