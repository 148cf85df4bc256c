-- Row-level security: whether it hides anything.

-- A policy that is true, and of which no other takes anything away, hides nothing: where agents see their own customers
-- only, all others have such a one, and are to notice nothing.
CREATE OR REPLACE FUNCTION @hub@.hides_rows(relation regclass, besides name DEFAULT '') RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN row_security_active(hides_rows.relation)
       AND (SELECT NOT coalesce(bool_or(p.polpermissive AND pg_get_expr(p.polqual, p.polrelid) = 'true'), false)
                   OR coalesce(bool_or(NOT p.polpermissive AND p.polname <> hides_rows.besides), false)
            FROM pg_policy p
            WHERE p.polrelid = hides_rows.relation AND p.polcmd IN ('r', '*')
                  AND EXISTS (SELECT FROM unnest(p.polroles) r(role)
                              WHERE r.role = 0 OR pg_has_role(r.role, 'USAGE')));
COMMENT ON FUNCTION @hub@.hides_rows(regclass, name) IS
    'whether row-level security may hide rows of a table from you, by other policies than those of one name';
