-- Changing rules. What a change touches is stitched anew, in the same transaction.

-- Write down who is blocked and shared; returns the identities of which that has changed.
CREATE OR REPLACE FUNCTION @hub@.set_flags() RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
DECLARE
    changed bigint[];
BEGIN
    WITH flag AS MATERIALIZED (
        SELECT * FROM stitch_flags()
    ), updated AS (
        UPDATE identities i SET blocked = coalesce(f.blocked, false), shared = coalesce(f.shared, false)
        FROM identities s LEFT JOIN flag f ON f.identity_id = s.identity_id
        WHERE i.identity_id = s.identity_id
              AND (i.blocked, i.shared) IS DISTINCT FROM (coalesce(f.blocked, false), coalesce(f.shared, false))
        RETURNING i.identity_id
    )
    SELECT coalesce(array_agg(identity_id), '{}') INTO changed FROM updated;
    RETURN changed;
END $$;
COMMENT ON FUNCTION @hub@.set_flags() IS 'mark the identities that are blocked or shared';

-- namespace NULL: everything is touched.
CREATE OR REPLACE FUNCTION @hub@.stitch_namespace(namespace text) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
DECLARE
    changed bigint[] := set_flags();
    touched bigint[];
BEGIN
    IF namespace IS NULL THEN
        RETURN restitch(NULL);
    END IF;
    SELECT coalesce(array_agg(DISTINCT u.id), '{}') INTO touched
    FROM (SELECT i.identity_id AS id FROM identities i WHERE identifier_namespace(i.identifier) = stitch_namespace.namespace
          UNION ALL
          SELECT unnest(c.id || e.identities) FROM unnest(changed) c(id) LEFT JOIN evidence e ON e.identities @> ARRAY[c.id]) u;
    RETURN restitch(members_of(components_of('{}', touched)));
END $$;
COMMENT ON FUNCTION @hub@.stitch_namespace(text) IS 'stitch anew what the rules of a namespace touch';

-- Identifiers that are stored in another form than the rules would give them: evidence that the two forms are one;
-- what former rules gave is retracted.
CREATE OR REPLACE FUNCTION @hub@.normalize_stored() RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    stored identifier[];
    normal identifier[];
    times timestamptz[];
    forms text[];
BEGIN
    IF NOT EXISTS (SELECT FROM identifier_rules WHERE normalizer <> '') AND NOT EXISTS (SELECT FROM evidence WHERE source = 'normalizer') THEN
        RETURN;
    END IF;
    SELECT array_agg(u.identifier), array_agg(u.normal), array_agg(u.last_seen) INTO stored, normal, times
    FROM (SELECT i.identifier, i.last_seen, identifier(i.namespace, normal_value(identifier_value(i.identifier), i.normalizer, i.default_country)) AS normal
          FROM (SELECT r.*, n.last_seen FROM ruled(NULL, NULL, NULL) r JOIN identities n USING (identity_id)) i) u
    WHERE u.identifier <> u.normal;
    stored := coalesce(stored, '{}');
    normal := coalesce(normal, '{}');
    forms := array(SELECT u.s || ' ' || u.n FROM unnest(stored, normal) u(s, n));
    UPDATE evidence SET retracted_at = clock_timestamp()
    WHERE source = 'normalizer' AND retracted_at IS NULL AND source_key NOT IN (SELECT unnest(forms));
    IF stored = '{}' THEN
        RETURN;
    END IF;
    INSERT INTO customers (customer_id, identities)
    SELECT unnest(add_identities(array(SELECT generate_series(1, cardinality(normal))), normal, times, (look_up(normal)).ids,
                                 array_fill(NULL::bigint, ARRAY[cardinality(normal)]))), 1;
    INSERT INTO evidence (source, source_key, identities, observed_at)
    SELECT 'normalizer', u.form, ARRAY[least(x.identity_id, y.identity_id), greatest(x.identity_id, y.identity_id)], u.at
    FROM unnest(stored, normal, times, forms) u(identifier, normal, at, form)
         JOIN identities x ON x.identifier = u.identifier JOIN identities y ON y.identifier = u.normal
    ON CONFLICT (source, source_key) DO UPDATE SET retracted_at = NULL;
END $$;
COMMENT ON FUNCTION @hub@.normalize_stored() IS 'evidence that stored identifiers are the same as their normal forms';

CREATE OR REPLACE FUNCTION @hub@.set_rule(
    namespace text, priority integer DEFAULT NULL, max_per_customer integer DEFAULT NULL, shared_above integer DEFAULT NULL,
    blocked text[] DEFAULT NULL, normalizer text DEFAULT NULL, default_country text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    bad text;
    b text;
BEGIN
    PERFORM begin_changing_rules('set_rule');
    IF namespace IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'namespace must not be NULL';
    ELSIF set_rule.namespace <> '*' THEN
        PERFORM identifier(set_rule.namespace, 'x');  -- is it one?
    END IF;
    bad := CASE WHEN set_rule.max_per_customer < 0 THEN format('max_per_customer must not be negative: %s', set_rule.max_per_customer)
                WHEN set_rule.shared_above < 0 THEN format('shared_above must not be negative: %s', set_rule.shared_above)
                WHEN array_position(set_rule.blocked, NULL) IS NOT NULL THEN 'blocked values must not be NULL'
                WHEN set_rule.normalizer NOT IN ('email', 'phone', 'document', '') THEN format('unknown normalizer: %s', set_rule.normalizer)
           END;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = bad,
            HINT = CASE WHEN bad LIKE 'unknown%' THEN 'There are email, phone and document; the empty string is none.'
                        WHEN bad LIKE '%negative%' THEN '0 is for no limit.' ELSE '' END;
    END IF;
    FOREACH b IN ARRAY coalesce(set_rule.blocked, '{}') LOOP
        IF b LIKE '~%' THEN
            PERFORM '' ~* substr(b, 2);  -- is it a regular expression?
        END IF;
    END LOOP;
    IF set_rule.default_country IS NOT NULL AND set_rule.default_country <> '' THEN
        PERFORM normalize_phone('0', set_rule.default_country);
    END IF;
    INSERT INTO identifier_rules AS r (namespace, priority, max_per_customer, shared_above, blocked, normalizer, default_country)
    VALUES (set_rule.namespace, set_rule.priority, set_rule.max_per_customer, set_rule.shared_above,
            stored_blocked(set_rule.blocked), set_rule.normalizer, set_rule.default_country)
    ON CONFLICT (namespace) DO UPDATE
    SET priority = coalesce(excluded.priority, r.priority), max_per_customer = coalesce(excluded.max_per_customer, r.max_per_customer),
        shared_above = coalesce(excluded.shared_above, r.shared_above), blocked = coalesce(excluded.blocked, r.blocked),
        normalizer = coalesce(excluded.normalizer, r.normalizer),
        default_country = coalesce(excluded.default_country, r.default_country);
    IF set_rule.normalizer IS NOT NULL OR set_rule.default_country IS NOT NULL THEN
        PERFORM normalize_stored();
    END IF;
    RETURN stitch_namespace(nullif(set_rule.namespace, '*'));
END $$;
COMMENT ON FUNCTION @hub@.set_rule(text, integer, integer, integer, text[], text, text) IS 'set rules of a namespace, or * for those that have none of their own; NULL keeps what there is. Returns how many identities have another customer now';

CREATE OR REPLACE FUNCTION @hub@.drop_rule(namespace text) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM begin_changing_rules('drop_rule');
    DELETE FROM identifier_rules r WHERE r.namespace = drop_rule.namespace;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('there is no rule for namespace %s', coalesce(drop_rule.namespace, 'NULL'));
    END IF;
    PERFORM normalize_stored();
    RETURN stitch_namespace(nullif(drop_rule.namespace, '*'));
END $$;
COMMENT ON FUNCTION @hub@.drop_rule(text) IS 'remove the rules of a namespace; returns how many identities have another customer now';

CREATE OR REPLACE FUNCTION @hub@.set_quarantine_above(identities integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM begin_changing_rules('set_quarantine_above');
    IF set_quarantine_above.identities < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a component has at least one identity, so none can be quarantined above %s', set_quarantine_above.identities),
            HINT = 'NULL quarantines none.';
    END IF;
    UPDATE settings SET quarantine_above = set_quarantine_above.identities;
    RETURN restitch(NULL);
END $$;
COMMENT ON FUNCTION @hub@.set_quarantine_above(integer) IS 'quarantine components of more identities; NULL: none. Returns how many identities have another customer now';

CREATE OR REPLACE FUNCTION @hub@.stitch_all() RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM begin_changing_rules('stitch_all');
    RETURN stitch_namespace(NULL);
END $$;
COMMENT ON FUNCTION @hub@.stitch_all() IS 'stitch everything anew from evidence and rules; returns how many identities have another customer now: none, unless tables were changed by hand';
