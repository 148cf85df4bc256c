-- Rules: what they say of an identifier.

CREATE OR REPLACE FUNCTION @hub@.normal_form(identifier @extschema@.identifier, normalizer text, default_country text)
RETURNS @extschema@.identifier
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(@extschema@.normalize_identifier(normal_form.identifier, normal_form.normalizer,
                                                 normal_form.default_country), normal_form.identifier);
COMMENT ON FUNCTION @hub@.normal_form(@extschema@.identifier, text, text)
    IS 'an identifier as its rule normalises it; as it is, if it can''t be read';

CREATE OR REPLACE FUNCTION @hub@.is_blocked(identifier @extschema@.identifier, blocked text[], normalizer text,
                                            default_country text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN @extschema@.normalize_identifier(is_blocked.identifier, is_blocked.normalizer, is_blocked.default_country) IS NULL
       OR @extschema@.identifier_blocked(is_blocked.identifier, is_blocked.blocked, is_blocked.normalizer,
                                         is_blocked.default_country);
COMMENT ON FUNCTION @hub@.is_blocked(@extschema@.identifier, text[], text, text)
    IS 'whether an identifier joins nobody: its value is blocked, or is none by its normaliser';

-- The stored rules, but for those that others are given for; only simulate gives any.
CREATE OR REPLACE FUNCTION @hub@.rules_with(
    given @hub@.identifier_rules[], OUT namespace text, OUT priority integer, OUT max_per_customer integer,
        OUT shared_above integer,
    OUT blocked text[], OUT normalizer text, OUT default_country text, OUT internal boolean)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
    SELECT s.namespace, s.priority, s.max_per_customer, s.shared_above, s.blocked, s.normalizer, s.default_country,
        s.internal
    FROM @hub@.identifier_rules s WHERE rules_with.given IS NULL
    UNION ALL
    SELECT g.namespace, g.priority, g.max_per_customer, g.shared_above, g.blocked, g.normalizer,
        g.default_country, coalesce(g.internal, false)
    FROM unnest(rules_with.given) g WHERE rules_with.given IS NOT NULL
    UNION ALL
    SELECT s.namespace, s.priority, s.max_per_customer, s.shared_above, s.blocked, s.normalizer, s.default_country,
        s.internal
    FROM @hub@.identifier_rules s
    WHERE rules_with.given IS NOT NULL
        AND NOT EXISTS (SELECT FROM unnest(rules_with.given) g WHERE g.namespace = s.namespace);
END;
COMMENT ON FUNCTION @hub@.rules_with(@hub@.identifier_rules[]) IS 'the stored rules, those given in their place';

-- What holds for a namespace: its own rule, and * where that says nothing; but for an internal one, which is weaker
-- than all others, and limited by its own rule only. Becomes part of the query that calls it.
CREATE OR REPLACE FUNCTION @hub@.rule_of(
    namespace text, given @hub@.identifier_rules[], OUT priority integer, OUT max_per_customer integer,
        OUT shared_above integer,
    OUT blocked text[], OUT normalizer text, OUT default_country text, OUT internal boolean)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT CASE WHEN r.internal THEN -2147483648 ELSE coalesce(r.priority, d.priority, 0) END,
           nullif(CASE WHEN r.internal THEN r.max_per_customer
                       ELSE coalesce(r.max_per_customer, d.max_per_customer) END, 0),
           nullif(CASE WHEN r.internal THEN r.shared_above ELSE coalesce(r.shared_above, d.shared_above) END, 0),
           CASE WHEN r.internal THEN '{}' ELSE coalesce(r.blocked, d.blocked, '{}') END,
           CASE WHEN r.internal THEN '' ELSE coalesce(r.normalizer, d.normalizer, '') END,
           nullif(coalesce(r.default_country, d.default_country), ''),
           coalesce(r.internal, false)
    FROM (SELECT rule_of.namespace) n(namespace)
         LEFT JOIN @hub@.rules_with(rule_of.given) r ON r.namespace = n.namespace
         LEFT JOIN @hub@.rules_with(rule_of.given) d ON d.namespace = '*';
END;
COMMENT ON FUNCTION @hub@.rule_of(text, @hub@.identifier_rules[])
    IS 'what the rules say of a namespace; a limit that is NULL is none';

-- Becomes part of the query that calls it.
CREATE OR REPLACE FUNCTION @hub@.is_internal(identifier @extschema@.identifier) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN EXISTS (SELECT FROM @hub@.identifier_rules r
               WHERE r.namespace = @extschema@.identifier_namespace(is_internal.identifier) AND r.internal);
COMMENT ON FUNCTION @hub@.is_internal(@extschema@.identifier)
    IS 'whether an identifier is a reference of an application, which is shown only where it is asked for';

CREATE OR REPLACE VIEW @hub@.ruled_identities WITH (security_invoker = true) AS
SELECT i.identity_id, i.identifier, i.customer_id, i.blocked, i.shared, r.priority, r.max_per_customer, r.shared_above
FROM @hub@.identities i CROSS JOIN LATERAL @hub@.rule_of(@extschema@.identifier_namespace(i.identifier), NULL) r
WHERE i.normal_id = i.identity_id;
COMMENT ON VIEW @hub@.ruled_identities IS 'identities in normal form, with what the rules say of each';
COMMENT ON COLUMN @hub@.ruled_identities.identity_id IS 'number of the identity';
COMMENT ON COLUMN @hub@.ruled_identities.identifier IS 'namespace and value';
COMMENT ON COLUMN @hub@.ruled_identities.customer_id IS 'customer it belongs to';
COMMENT ON COLUMN @hub@.ruled_identities.blocked IS 'joins nobody, because a rule blocks its value';
COMMENT ON COLUMN @hub@.ruled_identities.shared IS 'joins nobody, because it was seen with too many people';
COMMENT ON COLUMN @hub@.ruled_identities.priority IS 'the larger, the more its links count';
COMMENT ON COLUMN @hub@.ruled_identities.max_per_customer
    IS 'so many of its namespace may be of one customer; NULL: any number';
COMMENT ON COLUMN @hub@.ruled_identities.shared_above
    IS 'seen with more than so many people it is shared; NULL: no limit';
