-- Asking who is who.

CREATE OR REPLACE VIEW @hub@.memberships WITH (security_invoker = true) AS
SELECT m.identity_id, m.customer_id, m.member_from, m.member_until FROM @hub@.former_memberships m
UNION ALL
SELECT i.identity_id, i.customer_id, i.member_since, NULL FROM @hub@.identities i;
COMMENT ON VIEW @hub@.memberships IS 'which customer each identity belongs and belonged to';
COMMENT ON COLUMN @hub@.memberships.identity_id IS 'the identity';
COMMENT ON COLUMN @hub@.memberships.customer_id IS 'the customer it belongs or belonged to';
COMMENT ON COLUMN @hub@.memberships.member_from IS 'from when on';
COMMENT ON COLUMN @hub@.memberships.member_until IS 'until before when; NULL: it still does';

CREATE OR REPLACE FUNCTION @hub@.identity_of(identifier @extschema@.identifier) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    id bigint;
BEGIN
    IF NOT has_column_privilege('identities', 'identifier', 'SELECT') THEN
        PERFORM check_may('identifiers');
    END IF;
    id := (SELECT i.identity_id FROM identities i WHERE i.identifier = identity_of.identifier);
    IF id IS NULL AND identifier IS NOT NULL THEN
        id := (SELECT i.identity_id FROM identities i
               WHERE i.identifier = (normal_identifiers(ARRAY[identity_of.identifier]))[1]);
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION @hub@.identity_of(@extschema@.identifier)
    IS 'the identity of an identifier, as it is or as the rules normalise it; NULL: not known';

CREATE OR REPLACE FUNCTION @hub@.customer_of(identifier @extschema@.identifier) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_column_privilege('identities', 'identifier', 'SELECT') THEN
        PERFORM check_may('identifiers');
    END IF;
    RETURN (SELECT i.customer_id FROM identities i WHERE i.identity_id = identity_of(customer_of.identifier));
END $$;
COMMENT ON FUNCTION @hub@.customer_of(@extschema@.identifier) IS 'the customer of an identifier; NULL: not known';

CREATE OR REPLACE FUNCTION @hub@.customer_at(identifier @extschema@.identifier, at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('reader');
    -- in this form it may have come in later than in others; the normal form may be there only since its rule is
    RETURN (SELECT m.customer_id
            FROM identities i
                 CROSS JOIN LATERAL spellings(ARRAY[i.normal_id], NULL) s
                 CROSS JOIN LATERAL (SELECT k.customer_id FROM memberships k
                                     WHERE k.identity_id = s.identity_id AND k.member_from <= at
                                           AND (at < k.member_until OR k.member_until IS NULL) OFFSET 0) m
            WHERE i.identity_id = identity_of(customer_at.identifier)
            ORDER BY s.identity_id = i.identity_id DESC, s.identity_id = i.normal_id DESC, s.identity_id LIMIT 1);
END $$;
COMMENT ON FUNCTION @hub@.customer_at(@extschema@.identifier, timestamptz)
    IS 'the customer an identifier was thought to belong to at a time; NULL: it was not known';

CREATE OR REPLACE FUNCTION @hub@.current_customer(customer_id bigint) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_column_privilege('identities', 'customer_id', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    -- the identity that gave it its number may have been a normal form of rules that have changed since
    RETURN coalesce((SELECT i.customer_id FROM identities i WHERE i.identity_id = current_customer.customer_id),
                    (SELECT i.customer_id
                     FROM former_memberships m JOIN identities i ON i.identity_id = m.identity_id
                     WHERE m.customer_id = current_customer.customer_id ORDER BY m.identity_id LIMIT 1));
END $$;
COMMENT ON FUNCTION @hub@.current_customer(bigint)
    IS 'the customer that a former customer_id is part of now; a current one is itself; NULL: there was none';

-- In PL/pgSQL because pg_upgrade makes functions before operator classes, without which SQL could not be parsed that
-- sorts identifiers.
CREATE OR REPLACE FUNCTION @hub@.identifiers_of(customer_id bigint, internal boolean DEFAULT false)
RETURNS SETOF @extschema@.identifier
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_column_privilege('identities', 'identifier', 'SELECT') THEN
        PERFORM check_may('identifiers');
    END IF;
    RETURN QUERY
    SELECT i.identifier
    FROM identities i
    WHERE i.customer_id = (SELECT current_customer(identifiers_of.customer_id)) AND i.normal_id = i.identity_id
          AND (internal OR NOT is_internal(i.identifier))
    ORDER BY i.identifier;
END $$;
COMMENT ON FUNCTION @hub@.identifiers_of(bigint, boolean)
    IS 'the identifiers of a customer, in normal form, internal ones only if they are asked for; a former customer_id '
       'stands for the customer it is part of now';
