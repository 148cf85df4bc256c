-- Rules: what they say of an identifier.

CREATE OR REPLACE FUNCTION @hub@.normal_value(value text, normalizer text, default_country text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE normalizer
           WHEN 'email' THEN @extschema@.normalize_email(value)
           WHEN 'phone' THEN @extschema@.normalize_phone(value, default_country)
           WHEN 'document' THEN @extschema@.normalize_document(value)
           ELSE value
       END;
COMMENT ON FUNCTION @hub@.normal_value(text, text, text) IS 'a value as its rule normalises it, or NULL if it can''t be read';

CREATE OR REPLACE FUNCTION @hub@.is_blocked(identifier @extschema@.identifier, blocked text[], normalizer text, default_country text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN @extschema@.identifier_blocked(identifier, blocked, normalizer)
       OR @hub@.normal_value(@extschema@.identifier_value(identifier), normalizer, default_country) IS NULL;
COMMENT ON FUNCTION @hub@.is_blocked(@extschema@.identifier, text[], text, text) IS 'whether an identifier joins nobody: its value is blocked, or is none by its normaliser';

CREATE OR REPLACE FUNCTION @hub@.stored_blocked(blocked text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT coalesce(array_agg(CASE WHEN v LIKE '~%' THEN v ELSE lower(v) END ORDER BY n), '{}')
        FROM unnest(blocked) WITH ORDINALITY u(v, n));
COMMENT ON FUNCTION @hub@.stored_blocked(text[]) IS 'a list of blocked values as it is stored: values in lower case, patterns as they are';

-- The stored rules, but for those that others are given for; only simulate gives any.
CREATE OR REPLACE FUNCTION @hub@.rules_with(given @hub@.identifier_rules[]) RETURNS SETOF @hub@.identifier_rules
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
    SELECT g.namespace, g.priority, g.max_per_customer, g.shared_above, @hub@.stored_blocked(g.blocked), g.normalizer, g.default_country
    FROM unnest(given) g
    UNION ALL
    SELECT s.* FROM @hub@.identifier_rules s
    WHERE given IS NULL OR NOT EXISTS (SELECT FROM unnest(given) g WHERE g.namespace = s.namespace);
END;
COMMENT ON FUNCTION @hub@.rules_with(@hub@.identifier_rules[]) IS 'the stored rules, those given in their place';

CREATE OR REPLACE VIEW @hub@.ruled_identities WITH (security_invoker = true) AS
SELECT i.identity_id, i.identifier, i.customer_id, i.blocked, i.shared,
       coalesce(r.priority, d.priority, 0) AS priority,
       nullif(coalesce(r.max_per_customer, d.max_per_customer), 0) AS max_per_customer,
       nullif(coalesce(r.shared_above, d.shared_above), 0) AS shared_above
FROM @hub@.identities i
     LEFT JOIN @hub@.identifier_rules r ON r.namespace = @extschema@.identifier_namespace(i.identifier)
     LEFT JOIN @hub@.identifier_rules d ON d.namespace = '*';
COMMENT ON VIEW @hub@.ruled_identities IS 'identities with what the rules say of each';
COMMENT ON COLUMN @hub@.ruled_identities.identity_id IS 'number of the identity';
COMMENT ON COLUMN @hub@.ruled_identities.identifier IS 'namespace and value';
COMMENT ON COLUMN @hub@.ruled_identities.customer_id IS 'customer it belongs to';
COMMENT ON COLUMN @hub@.ruled_identities.blocked IS 'joins nobody, because a rule blocks its value';
COMMENT ON COLUMN @hub@.ruled_identities.shared IS 'joins nobody, because it is linked to too many others';
COMMENT ON COLUMN @hub@.ruled_identities.priority IS 'the larger, the more its links count';
COMMENT ON COLUMN @hub@.ruled_identities.max_per_customer IS 'so many of its namespace may be of one customer; NULL: any number';
COMMENT ON COLUMN @hub@.ruled_identities.shared_above IS 'linked to more than so many others it is shared; NULL: no limit';
