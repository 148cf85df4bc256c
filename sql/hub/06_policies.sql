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
