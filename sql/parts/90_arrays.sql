-- Arrays of our types are members, too, so that postgres_fdw ships them: up to 16 the server does not see to that.
DO $$
DECLARE
    t regtype;
BEGIN
    FOR t IN
        SELECT e.typarray FROM pg_catalog.pg_type e
             JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = e.oid
                  AND d.deptype = 'e'
             JOIN pg_catalog.pg_extension x ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = x.oid
        WHERE x.extname = 'pg_journey' AND e.typarray <> 0
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend a
                              WHERE a.classid = 'pg_catalog.pg_type'::regclass AND a.objid = e.typarray
                                    AND a.deptype = 'e')
        ORDER BY e.oid
    LOOP
        EXECUTE pg_catalog.format('ALTER EXTENSION pg_journey ADD TYPE %s', t);
    END LOOP;
END $$;
