-- Row-level security: whether it hides anything.

-- The policy everyone is true, and where no other takes anything away it hides nothing: where agents see their own
-- customers only, all others have that one, and are to notice nothing.
CREATE OR REPLACE FUNCTION @hub@.hides_rows(relation regclass, besides name DEFAULT '') RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN row_security_active(hides_rows.relation)
       AND (SELECT NOT coalesce(bool_or(p.polname = 'everyone' AND pg_get_expr(p.polqual, p.polrelid) = 'true'),
                                false)
                   OR coalesce(bool_or(NOT p.polpermissive AND p.polname <> hides_rows.besides), false)
            FROM pg_policy p
            WHERE p.polrelid = hides_rows.relation AND p.polcmd IN ('r', '*')
                  AND EXISTS (SELECT FROM unnest(p.polroles) r(role)
                              WHERE r.role = 0 OR pg_has_role(r.role, 'USAGE')));
COMMENT ON FUNCTION @hub@.hides_rows(regclass, name) IS
    'whether row-level security may hide rows of a table from you, by other policies than those of one name';

-- Who may read of whom: of customers whose identities are visible, so that a policy of a tenant's on identities is
-- enough. others: what whoever has the right may do, whoever it is about; NULL: nothing but of those whom he sees.
CREATE OR REPLACE FUNCTION @hub@.show_with_identities(relation name, column_name name DEFAULT 'identity_id',
                                                      others text[] DEFAULT '{INSERT,UPDATE,DELETE}')
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    EXECUTE format('CREATE POLICY of_visible_identities ON %1$I.%2$I FOR %4$s '
                   'USING (NOT (SELECT row_security_active(%6$L::regclass) AND %1$I.hides_rows(%6$L)) '
                   'OR %5$s EXISTS (SELECT FROM %1$I.identities i WHERE i.identity_id = %2$I.%3$I))',
                   current_schema(), relation, column_name,
                   CASE WHEN others IS NULL THEN 'ALL' ELSE 'SELECT' END,
                   (SELECT CASE WHEN a.attnotnull THEN '' ELSE format('%I.%I IS NULL OR', relation, column_name) END
                    FROM pg_attribute a
                    WHERE a.attrelid = format('%I.%I', current_schema(), relation)::regclass
                          AND a.attname = column_name), format('%I.identities', current_schema()));
    EXECUTE coalesce((SELECT string_agg(format('CREATE POLICY %I ON %I.%I FOR %s', p.name, current_schema(), relation,
                                               p.clauses), '; ')
                      FROM (VALUES ('INSERT', 'added', 'INSERT WITH CHECK (true)'),
                                   ('UPDATE', 'changed', 'UPDATE USING (true)'),
                                   ('DELETE', 'removed', 'DELETE USING (true)')) p(command, name, clauses)
                      WHERE p.command = ANY (others)), 'SELECT');
    EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', current_schema(), relation);
END $$;
COMMENT ON FUNCTION @hub@.show_with_identities(name, name, text[]) IS
    'make policies by which rows of a table can be read where identities they are of can';
REVOKE EXECUTE ON FUNCTION @hub@.show_with_identities(name, name, text[]) FROM PUBLIC;
