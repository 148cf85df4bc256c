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
RETURN @extschema@.normalize_identifier(is_blocked.identifier, is_blocked.normalizer,
                                        is_blocked.default_country) IS NULL
       OR @extschema@.identifier_blocked(is_blocked.identifier, is_blocked.blocked, is_blocked.normalizer,
                                         is_blocked.default_country);
COMMENT ON FUNCTION @hub@.is_blocked(@extschema@.identifier, text[], text, text)
    IS 'whether an identifier joins nobody: its value is blocked, or is none by its normaliser';

-- What holds for each namespace that has a rule: its own, and * where that says nothing; but for an internal one, which
-- is weaker than all others, and limited by its own rule only; and for *, which stands for the others. Of the stored
-- rules, but for those that others are given for; only simulate gives any.
CREATE OR REPLACE FUNCTION @hub@.resolve_rules(
    given @hub@.identifier_rules[], OUT namespace text, OUT priority integer, OUT max_per_customer integer,
        OUT shared_above integer,
    OUT blocked text[], OUT normalizer text, OUT default_country text, OUT internal boolean)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 20 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    WITH rule AS MATERIALIZED (
        SELECT g.namespace, g.priority, g.max_per_customer, g.shared_above, g.blocked, g.normalizer, g.default_country,
            coalesce(g.internal, false) AS internal
        FROM unnest(given) g
        UNION ALL
        SELECT s.namespace, s.priority, s.max_per_customer, s.shared_above, s.blocked, s.normalizer, s.default_country,
            s.internal
        FROM identifier_rules s WHERE NOT EXISTS (SELECT FROM unnest(given) g WHERE g.namespace = s.namespace)
    )
    SELECT n.namespace, CASE WHEN r.internal THEN -2147483648 ELSE coalesce(r.priority, d.priority, 0) END,
           nullif(CASE WHEN r.internal THEN r.max_per_customer
                       ELSE coalesce(r.max_per_customer, d.max_per_customer) END, 0),
           nullif(CASE WHEN r.internal THEN r.shared_above ELSE coalesce(r.shared_above, d.shared_above) END, 0),
           CASE WHEN r.internal THEN '{}' ELSE coalesce(r.blocked, d.blocked, '{}') END,
           CASE WHEN r.internal THEN '' ELSE coalesce(r.normalizer, d.normalizer, '') END,
           nullif(coalesce(r.default_country, d.default_country), ''),
           coalesce(r.internal, false)
    FROM (SELECT k.namespace FROM rule k UNION SELECT '*') n
         LEFT JOIN rule r ON r.namespace = n.namespace
         LEFT JOIN rule d ON d.namespace = '*';
END $$;
COMMENT ON FUNCTION @hub@.resolve_rules(@hub@.identifier_rules[])
    IS 'what the stored rules say of all namespaces, those given in their place; a limit that is NULL is none';

-- Data restored after the trigger below was made comes when its rows are there: of two, the newer one stays.
CREATE OR REPLACE FUNCTION @hub@.replace_resolved_rule() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM resolved_rules r WHERE r.namespace = NEW.namespace;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @hub@.replace_resolved_rule() IS 'trigger: a resolved rule takes the place of the one before';
CREATE OR REPLACE TRIGGER replace_resolved_rule BEFORE INSERT ON @hub@.resolved_rules
    FOR EACH ROW EXECUTE FUNCTION @hub@.replace_resolved_rule();

CREATE OR REPLACE FUNCTION @hub@.keep_resolved_rules() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    LOCK TABLE resolved_rules IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM resolved_rules r WHERE r.namespace NOT IN (SELECT s.namespace FROM resolve_rules(NULL) s);
    INSERT INTO resolved_rules
        (namespace, priority, max_per_customer, shared_above, blocked, normalizer, default_country, internal)
    SELECT s.namespace, s.priority, s.max_per_customer, s.shared_above, s.blocked, s.normalizer, s.default_country,
        s.internal
    FROM resolve_rules(NULL) s;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.keep_resolved_rules() IS 'trigger: keep resolved_rules what identifier_rules say';
CREATE OR REPLACE TRIGGER keep_resolved_rules AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @hub@.identifier_rules
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.keep_resolved_rules();
UPDATE @hub@.identifier_rules r SET namespace = r.namespace;  -- those that came before the trigger

CREATE OR REPLACE FUNCTION @hub@.rules_in_force(
    given @hub@.identifier_rules[], OUT namespace text, OUT priority integer, OUT max_per_customer integer,
        OUT shared_above integer,
    OUT blocked text[], OUT normalizer text, OUT default_country text, OUT internal boolean)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
    SELECT s.namespace, s.priority, s.max_per_customer, s.shared_above, s.blocked, s.normalizer, s.default_country,
        s.internal
    FROM @hub@.resolved_rules s WHERE rules_in_force.given IS NULL
    UNION ALL
    SELECT g.namespace, g.priority, g.max_per_customer, g.shared_above, g.blocked, g.normalizer, g.default_country,
        g.internal
    FROM @hub@.resolve_rules(rules_in_force.given) g WHERE rules_in_force.given IS NOT NULL;
END;
COMMENT ON FUNCTION @hub@.rules_in_force(@hub@.identifier_rules[]) IS
    'resolved_rules, or what they would be with the rules given';

-- Becomes part of the query that calls it: one look-up by index. Of many identifiers ask for each namespace once, or
-- join rules_in_force.
CREATE OR REPLACE FUNCTION @hub@.rule_of(
    namespace text, OUT priority integer, OUT max_per_customer integer, OUT shared_above integer, OUT blocked text[],
    OUT normalizer text, OUT default_country text, OUT internal boolean)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT r.priority, r.max_per_customer, r.shared_above, r.blocked, r.normalizer, r.default_country, r.internal
    FROM @hub@.resolved_rules r WHERE r.namespace IN (rule_of.namespace, '*') ORDER BY r.namespace DESC LIMIT 1;
END;
COMMENT ON FUNCTION @hub@.rule_of(text)
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
FROM @hub@.identities i CROSS JOIN LATERAL @hub@.rule_of(@extschema@.identifier_namespace(i.identifier)) r
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
