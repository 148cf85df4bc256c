-- Upgrades of hubs. What the template made is written down in template_objects. To learn what a new template makes, it
-- is run in place of the old one and all of that taken back; what it makes no longer, or otherwise than CREATE OR
-- REPLACE could, is dropped, with what depends on it; then the migrations run and the template, and what was users' is
-- made again. All of it is one transaction, so that a hub that cannot be upgraded stays what it was.

CREATE FUNCTION journey_statements(script text, OUT tag text, OUT statement text) RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 100;

CREATE FUNCTION journey_version(version text) RETURNS integer[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN string_to_array((regexp_match(version, '^\d+(?:\.\d+)*'))[1], '.')::integer[];

-- The functions, views and triggers of a hub, named as they are seen in it, so that it may be renamed. contract: what
-- must be the same, or go on after it, for CREATE OR REPLACE.
CREATE FUNCTION journey_hub_objects(name text) RETURNS jsonb
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    RETURN journey_run_as_owner(name, format($query$
        SET LOCAL search_path = %1$I, @extschema@, pg_temp;
        SELECT jsonb_agg(to_jsonb(o.*) || jsonb_build_object('delivered', t.object IS NOT NULL))
        FROM (SELECT 'function' AS kind, p.oid AS id,
                     quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')' AS object,
                     concat_ws(' ', p.prokind, p.proretset, p.prorettype::regtype, p.provariadic, p.pronargdefaults,
                               p.proargnames, p.proargmodes,
                               (SELECT array_agg(a.type::regtype ORDER BY a.n)
                                FROM unnest(coalesce(p.proallargtypes, p.proargtypes)) WITH ORDINALITY a(type, n)))
                     AS contract
              FROM pg_proc p WHERE p.pronamespace = %2$s
              UNION ALL
              SELECT 'view', c.oid, quote_ident(c.relname),
                     (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                                                  a.attcollation), ', ' ORDER BY a.attnum)
                      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)
              FROM pg_class c WHERE c.relnamespace = %2$s AND c.relkind = 'v'
              UNION ALL
              SELECT 'trigger', g.oid, quote_ident(g.tgname) || ' on ' || quote_ident(c.relname), ''
              FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
              WHERE c.relnamespace = %2$s AND NOT g.tgisinternal AND g.tgparentid = 0) o
             LEFT JOIN %1$I.template_objects t ON t.kind = o.kind AND t.object = o.object$query$,
        name, (SELECT n.oid FROM pg_namespace n WHERE n.nspname = name)));
END $$;

-- The rows that come with a hub and that users may change, of its tables or of others that are called so with a suffix
CREATE FUNCTION journey_hub_rows(name text, suffix text DEFAULT '') RETURNS jsonb
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    rows jsonb := '[]';
    relation text;
BEGIN
    FOREACH relation IN ARRAY journey_delivered_tables() LOOP
        rows := rows || coalesce(journey_run_as_owner(name, format(
            'SELECT jsonb_agg(jsonb_build_object(''relation'', %1$L, ''key'', jsonb_build_object(%2$s), '
            '''content'', to_jsonb(r.*))) FROM %3$I.%4$I r', relation,
            (SELECT string_agg(format('%1$L, r.%1$I', a.attname), ', ' ORDER BY a.attnum)
             FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
             WHERE i.indisprimary AND i.indrelid = format('%I.%I', name, relation)::regclass),
            name, relation || suffix))::jsonb, '[]');
    END LOOP;
    RETURN rows;
END $$;

CREATE FUNCTION journey_delivered_tables() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{formats,identifier_rules,channels,actions,trait_rules,contact_rules}'::text[];

CREATE FUNCTION journey_record_template(name text, objects jsonb, rows jsonb) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM journey_run_as_owner(name, format($query$
        DELETE FROM %1$I.template_objects;
        INSERT INTO %1$I.template_objects (kind, object, content)
        SELECT o.kind, o.object, NULL FROM jsonb_to_recordset(%2$L) o(kind text, object text)
        UNION ALL
        SELECT 'row', r.relation || ' ' || r.key, r.content
        FROM jsonb_to_recordset(%3$L) r(relation text, key jsonb, content jsonb)$query$, name, objects, rows));
END $$;

-- What versions after one bring to the tables, in order
CREATE FUNCTION journey_run_migrations(name text, after text, upto text) RETURNS void
LANGUAGE plpgsql STRICT
SET search_path = pg_catalog, @extschema@, pg_temp SET client_min_messages = warning
SET standard_conforming_strings = on SET check_function_bodies = off
AS $$
DECLARE
    script text;
BEGIN
    FOR script IN
        SELECT h.script
        FROM journey_hub_scripts(name) h
             CROSS JOIN LATERAL journey_version(substr(h.part, length('migration ') + 1)) v(version)
        WHERE h.kind = 'migration' AND v.version > journey_version(after) AND v.version <= journey_version(upto)
        ORDER BY v.version
    LOOP
        PERFORM journey_run_as_owner(name, script);
    END LOOP;
END $$;

-- Columns of a hub's tables, as pg_depend knows them, with their types
CREATE FUNCTION journey_hub_columns(name text) RETURNS SETOF text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS 600 SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT concat_ws(' ', a.attrelid, a.attnum, a.atttypid, a.atttypmod)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = name AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped;
END $$;

-- What the template makes of a hub, where nothing of the old one is in the way: objects, rows, and the columns that
-- migrations change. All of it is taken back.
CREATE FUNCTION journey_try_template(name text, former_version text, version text) RETURNS jsonb
LANGUAGE plpgsql STRICT
SET search_path = pg_catalog, @extschema@, pg_temp SET client_min_messages = warning
SET standard_conforming_strings = on SET check_function_bodies = off
AS $$
DECLARE
    hub CONSTANT text := quote_ident(name);
    suffix CONSTANT text := ' as delivered';
    columns CONSTANT text[] := array(SELECT c.c FROM journey_hub_columns(name) c(c));
    delivered CONSTANT jsonb := journey_run_as_owner(name, format(
        'SELECT jsonb_agg(DISTINCT split_part(o.object, '' '', 1) || '' '' || c.c) FROM %I.template_objects o '
        'CROSS JOIN LATERAL jsonb_object_keys(o.content) c(c) WHERE o.kind = ''row''', name));
    kept jsonb;
    made jsonb;
    script text;
    relation text;
BEGIN
    -- what is the hub's own goes, and for now whatever depends on it
    PERFORM journey_run_as_owner(name, (
        SELECT format('DROP VIEW IF EXISTS %s CASCADE; DROP ROUTINE IF EXISTS %s CASCADE',
                      string_agg(format('%s.%s', hub, o.object), ', ') FILTER (WHERE o.kind = 'view'),
                      string_agg(o.id::regprocedure::text, ', ') FILTER (WHERE o.kind = 'function'))
        FROM jsonb_to_recordset(journey_hub_objects(name)) o(kind text, object text, id oid, delivered boolean)
        WHERE o.delivered AND o.kind <> 'trigger'));
    PERFORM journey_run_migrations(name, former_version, version);
    kept := journey_hub_objects(name);
    -- CREATE fails where users have made what it makes
    FOR script IN
        SELECT string_agg(CASE WHEN t.tag IN ('CREATE FUNCTION', 'CREATE PROCEDURE', 'CREATE VIEW', 'CREATE TRIGGER')
                               THEN regexp_replace(t.statement, '\mCREATE OR REPLACE\M', 'CREATE') ELSE t.statement END,
                          ';' ORDER BY t.n)
        FROM journey_hub_scripts(name) h
             CROSS JOIN LATERAL journey_statements(h.script) WITH ORDINALITY t(tag, statement, n)
        WHERE h.kind = 'idempotent'
              AND t.tag NOT IN ('COMMENT', 'GRANT', 'REVOKE', 'SELECT', 'INSERT', 'UPDATE', 'DELETE')
        GROUP BY h.part ORDER BY h.part
    LOOP
        PERFORM journey_run_as_owner(name, script);
    END LOOP;
    -- rows are made in copies of their tables, without columns of users, where nobody has changed any
    FOREACH relation IN ARRAY journey_delivered_tables() LOOP
        PERFORM journey_run_as_owner(name, format('CREATE TABLE %1$I.%3$I (LIKE %1$I.%2$I INCLUDING DEFAULTS INCLUDING '
                                                  'INDEXES)', name, relation, relation || suffix));
        PERFORM journey_run_as_owner(name, format('ALTER TABLE %I.%I DROP COLUMN %I', name, relation || suffix,
                                                  a.attname))
        FROM pg_attribute a
        WHERE a.attrelid = format('%I.%I', name, relation)::regclass AND a.attnum > 0 AND NOT a.attisdropped
              AND NOT delivered ? (relation || ' ' || a.attname)
              AND EXISTS (SELECT FROM jsonb_array_elements_text(delivered) d(d) WHERE starts_with(d.d, relation || ' '))
              AND EXISTS (SELECT FROM unnest(columns) c(c)
                          WHERE starts_with(c.c, format('%s %s ', a.attrelid, a.attnum)));
        FOR script IN
            SELECT replace(s.statement, format('%I.%I ', name, relation), format('%I.%I ', name, relation || suffix))
            FROM journey_hub_scripts(name) h
                 CROSS JOIN LATERAL journey_statements(h.script) WITH ORDINALITY t(tag, statement, n)
                 CROSS JOIN LATERAL regexp_replace(t.statement, '^(\s|--[^\n]*\n)+', '') s(statement)
            WHERE h.kind = 'tables' AND t.tag IN ('INSERT', 'UPDATE', 'DELETE')
                  AND split_part(s.statement, format(' %I.%I ', name, relation), 1)
                      IN ('INSERT INTO', 'UPDATE', 'DELETE FROM')
            ORDER BY h.part, t.n
        LOOP
            PERFORM journey_run_as_owner(name, script);
        END LOOP;
    END LOOP;
    made := jsonb_build_object(
        'objects', (SELECT jsonb_agg(to_jsonb(o.*))
                    FROM jsonb_to_recordset(journey_hub_objects(name)) o(kind text, object text, id oid, contract text)
                    WHERE (o.kind, o.id) NOT IN (SELECT k.kind, k.id
                                                 FROM jsonb_to_recordset(kept) k(kind text, id oid))),
        'rows', journey_hub_rows(name, suffix),
        'columns', (SELECT coalesce(jsonb_agg(c.c), '[]')
                    FROM (SELECT b.b FROM unnest(columns) b(b)
                          EXCEPT SELECT a.a FROM journey_hub_columns(name) a(a)) c(c)));
    RAISE EXCEPTION USING ERRCODE = 'PJTRY';
EXCEPTION
    WHEN SQLSTATE 'PJTRY' THEN
        RETURN made;
    WHEN duplicate_table OR duplicate_function OR duplicate_object OR duplicate_column THEN
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = format('hub %s has what version %s brings', name, version),
            DETAIL = SQLERRM, HINT = 'It is your own: rename it, and upgrade the hub then.';
END $$;

-- What of a hub must go before a new template is run, and what depends on that: drop the deepest first. remake is how
-- to make again what is not the hub's, NULL if that must not be tried.
CREATE FUNCTION journey_hub_outdated(
    name text, made jsonb, OUT depth integer, OUT type text, OUT identity text, OUT title text, OUT owner oid,
    OUT delivered boolean, OUT remake text, OUT again text, OUT acl jsonb)
RETURNS SETOF record
LANGUAGE plpgsql STRICT ROWS 10 SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    present CONSTANT jsonb := journey_hub_objects(name);
BEGIN
    RETURN QUERY
    WITH RECURSIVE object AS (
        SELECT CASE o.kind WHEN 'function' THEN 'pg_proc'::regclass WHEN 'view' THEN 'pg_class'::regclass
                           ELSE 'pg_trigger'::regclass END::oid AS class, o.id, o.kind, o.object, o.contract
        FROM jsonb_to_recordset(present) o(kind text, object text, id oid, contract text, delivered boolean)
        WHERE o.delivered
    ), dependency AS (
        SELECT d.refclassid, d.refobjid, d.refobjsubid,
               CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass::oid END AS class,
               coalesce(r.ev_class, d.objid) AS id
        FROM pg_depend d
             LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN'
        WHERE d.deptype IN ('n', 'a', 'i')
    ), outdated(class, id, depth) AS (
        SELECT o.class, o.id, 0
        FROM object o
             LEFT JOIN jsonb_to_recordset(made -> 'objects') n(kind text, object text, contract text)
                       ON n.kind = o.kind AND n.object = o.object
        WHERE n.object IS NULL OR NOT starts_with(n.contract || ', ', o.contract || ', ')
        UNION
        SELECT d.class, d.id, 0
        FROM jsonb_array_elements_text(made -> 'columns') c(c)
             JOIN dependency d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = split_part(c.c, ' ', 1)::oid
                                  AND d.refobjsubid = split_part(c.c, ' ', 2)::integer
        WHERE d.class = 'pg_proc'::regclass OR d.class = 'pg_policy'::regclass
              OR d.class = 'pg_class'::regclass AND (SELECT k.relkind FROM pg_class k WHERE k.oid = d.id) IN ('v', 'm')
        UNION
        SELECT d.class, d.id, o.depth + 1
        FROM outdated o JOIN dependency d ON d.refclassid = o.class AND d.refobjid = o.id
        WHERE (d.class, d.id) <> (o.class, o.id)
    ), deepest AS (
        SELECT o.class, o.id, max(o.depth) AS depth FROM outdated o GROUP BY 1, 2
    )
    SELECT d.depth, i.type, i.identity, pg_describe_object(d.class, d.id, 0),
           coalesce(c.relowner, p.proowner, (SELECT k.relowner FROM pg_class k WHERE k.oid IN (t.tgrelid, y.polrelid))),
           o.id IS NOT NULL,
           CASE WHEN c.relkind = 'v'
                THEN format('CREATE VIEW %s %s AS %s', i.identity,
                            'WITH (' || array_to_string(c.reloptions, ', ') || ')', pg_get_viewdef(c.oid))
                     || coalesce((SELECT string_agg(format('; COMMENT ON COLUMN %s.%I IS %L', i.identity, a.attname,
                                                           col_description(c.oid, a.attnum)), '')
                                  FROM pg_attribute a
                                  WHERE a.attrelid = c.oid AND col_description(c.oid, a.attnum) IS NOT NULL), '')
                WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid)
                WHEN t.oid IS NOT NULL
                THEN pg_get_triggerdef(t.oid)
                     || CASE WHEN t.tgenabled <> 'O'
                             THEN format('; ALTER TABLE %s %s TRIGGER %I', t.tgrelid::regclass,
                                         CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                                                          ELSE 'ENABLE ALWAYS' END, t.tgname) ELSE '' END
                WHEN y.oid IS NOT NULL
                THEN format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', y.polname, y.polrelid::regclass,
                            CASE WHEN y.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                            CASE y.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                          WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                            (SELECT string_agg(CASE r.r WHEN 0 THEN 'PUBLIC' ELSE r.r::regrole::text END, ', ')
                             FROM unnest(y.polroles) r(r)),
                            ' USING (' || pg_get_expr(y.polqual, y.polrelid) || ')',
                            ' WITH CHECK (' || pg_get_expr(y.polwithcheck, y.polrelid) || ')') END
           || coalesce(format('; COMMENT ON %s %s IS %L', i.type, i.identity,
                              CASE d.class WHEN 'pg_class'::regclass THEN obj_description(d.id, 'pg_class')
                                           WHEN 'pg_proc'::regclass THEN obj_description(d.id, 'pg_proc')
                                           WHEN 'pg_trigger'::regclass THEN obj_description(d.id, 'pg_trigger')
                                           ELSE obj_description(d.id, 'pg_policy') END), ''),
           -- what tells whether the template has made it again
           CASE WHEN t.oid IS NOT NULL
                THEN format('SELECT FROM pg_trigger g WHERE g.tgrelid = %s AND g.tgname = %L', t.tgrelid, t.tgname)
                WHEN y.oid IS NOT NULL
                THEN format('SELECT FROM pg_policy g WHERE g.polrelid = %s AND g.polname = %L', y.polrelid, y.polname)
           END,
           jsonb_build_object(
               'name', p.proname,
               'closed', p.proacl IS NOT NULL AND NOT EXISTS (SELECT FROM aclexplode(p.proacl) x WHERE x.grantee = 0),
               'grants', (SELECT jsonb_agg(jsonb_build_object(
                                     'privilege', x.privilege_type, 'column', x.column_name,
                                     'grantee', CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END,
                                     'option', CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))
                          FROM (SELECT e.*, NULL::name AS column_name
                                FROM aclexplode(coalesce(c.relacl, p.proacl)) e
                                UNION ALL
                                SELECT e.*, a.attname FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) e
                                WHERE a.attrelid = c.oid) x
                          WHERE x.grantee <> coalesce(c.relowner, p.proowner)
                                AND NOT (x.grantee = 0 AND p.oid IS NOT NULL)))
    FROM deepest d CROSS JOIN LATERAL pg_identify_object(d.class, d.id, 0) i
         LEFT JOIN object o ON o.class = d.class AND o.id = d.id
         LEFT JOIN pg_class c ON d.class = 'pg_class'::regclass AND c.oid = d.id
         LEFT JOIN pg_proc p ON d.class = 'pg_proc'::regclass AND p.oid = d.id
         LEFT JOIN pg_trigger t ON d.class = 'pg_trigger'::regclass AND t.oid = d.id
         LEFT JOIN pg_policy y ON d.class = 'pg_policy'::regclass AND y.oid = d.id
         LEFT JOIN pg_type e ON d.class = 'pg_type'::regclass AND e.oid = d.id
    WHERE coalesce(NOT t.tgisinternal AND t.tgparentid = 0, true)  -- those go with others
          AND coalesce(c.relnamespace <> 'pg_toast'::regnamespace, true)
          AND coalesce(e.typtype <> 'c' AND e.typcategory <> 'A', true)
    ORDER BY d.depth;
END $$;

-- Rows that came with the hub, and nobody has changed or deleted since, become what they are now.
CREATE FUNCTION journey_renew_rows(name text, rows jsonb) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    former CONSTANT jsonb := journey_run_as_owner(name, format(
        'SELECT coalesce(jsonb_object_agg(o.object, o.content), ''{}'') FROM %I.template_objects o '
        'WHERE o.kind = ''row''', name));
    present CONSTANT jsonb := journey_hub_rows(name);
    r record;
    stitch boolean := false;
BEGIN
    FOR r IN
        SELECT p.relation, p.key, f.content AS former, p.content AS present, n.content AS new,
               array(SELECT quote_ident(c.c) FROM jsonb_object_keys(n.content) c(c)) AS columns
        FROM (SELECT split_part(f.object, ' ', 1) AS relation,
                     substr(f.object, strpos(f.object, ' ') + 1)::jsonb AS key, f.content
              FROM jsonb_each(former) f(object, content)) f
             FULL JOIN jsonb_to_recordset(rows) n(relation text, key jsonb, content jsonb) USING (relation, key)
             LEFT JOIN jsonb_to_recordset(present) q(relation text, key jsonb, content jsonb) USING (relation, key)
             CROSS JOIN LATERAL (SELECT relation, key, q.content) p
        WHERE f.content IS DISTINCT FROM n.content
              AND (q.content IS NULL AND f.content IS NULL
                   OR NOT EXISTS (SELECT FROM jsonb_each(f.content) e(k, v)
                                  WHERE q.content ? e.k AND q.content -> e.k <> e.v)
                      AND q.content IS NOT NULL AND f.content IS NOT NULL)
    LOOP
        stitch := stitch OR r.relation = 'identifier_rules';
        PERFORM journey_run_as_owner(name,
            CASE WHEN r.present IS NULL
                 THEN format('INSERT INTO %1$I.%2$I (%3$s) SELECT %3$s '
                             'FROM jsonb_populate_record(NULL::%1$I.%2$I, %4$L)',
                             name, r.relation, array_to_string(r.columns, ', '), r.new)
                 ELSE CASE WHEN r.new IS NULL THEN format('DELETE FROM %I.%I t', name, r.relation)
                           ELSE format('UPDATE %1$I.%2$I t SET (%3$s) = (SELECT %3$s '
                                       'FROM jsonb_populate_record(NULL::%1$I.%2$I, %4$L))',
                                       name, r.relation, array_to_string(r.columns, ', '), r.new) END
                      || (SELECT ' WHERE ' || string_agg(format('t.%I = %L', k.name, k.value), ' AND ')
                          FROM jsonb_each_text(r.key) k(name, value)) END);
    END LOOP;
    IF stitch THEN
        PERFORM journey_run_as_owner(name, format('SELECT %I.stitch_all()', name));
    END IF;
END $$;

CREATE FUNCTION journey_change_hub(name text, former_version text, version text) RETURNS void
LANGUAGE plpgsql STRICT
SET search_path = pg_catalog, @extschema@, pg_temp SET client_min_messages = warning SET check_function_bodies = on
AS $$
DECLARE
    made CONSTANT jsonb := journey_try_template(name, former_version, version);
    present CONSTANT jsonb := journey_hub_objects(name);
    outdated CONSTANT jsonb := (SELECT coalesce(jsonb_agg(to_jsonb(o.*)), '[]')
                                FROM journey_hub_outdated(name, made) o);
    in_the_way CONSTANT text := (
        SELECT string_agg(o.title, ', ' ORDER BY o.title)
        FROM jsonb_to_recordset(outdated) o(title text, delivered boolean, remake text, owner oid)
        WHERE NOT o.delivered AND (o.remake IS NULL OR NOT pg_has_role(o.owner, 'MEMBER')));
    thing record;
    target text;
    present_again boolean;
BEGIN
    IF in_the_way IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('hub %s cannot be upgraded to version %s: what changes is used by others', name, version),
            DETAIL = format('In the way: %s.', in_the_way),
            HINT = 'Drop them, upgrade the hub, and make them again. Views, functions, triggers and policies of roles '
                   'that you may become are no hindrance.';
    END IF;
    FOR thing IN SELECT d.* FROM jsonb_to_recordset(outdated) d(depth integer, type text, identity text, owner oid)
             ORDER BY d.depth DESC LOOP
        PERFORM journey_run_as_role(thing.owner, format('DROP %s %s', thing.type, thing.identity));
    END LOOP;
    PERFORM journey_run_migrations(name, former_version, version),
            journey_run_hub_template(name, '^(?!9._spread)(?!.*tables$)');

    FOR thing IN SELECT d.* FROM jsonb_to_recordset(outdated)
                 d(depth integer, title text, owner oid, delivered boolean, remake text, again text)
             WHERE NOT d.delivered ORDER BY d.depth LOOP
        present_again := false;
        IF thing.again IS NOT NULL THEN
            EXECUTE format('SELECT EXISTS (%s)', thing.again) INTO present_again;
        END IF;
        CONTINUE WHEN present_again;
        BEGIN
            PERFORM journey_run_as_role(thing.owner, thing.remake);
        EXCEPTION WHEN syntax_error_or_access_rule_violation THEN  -- the class, from undefined columns to rights
            RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
                MESSAGE = format('hub %s cannot be upgraded to version %s: %s would not work any more', name, version,
                                 thing.title),
                DETAIL = SQLERRM, HINT = 'Drop it, upgrade the hub, and make it again.';
        END;
    END LOOP;
    -- A function with other parameters is granted to whom the one of its name was.
    FOR thing IN SELECT d.owner, d.type, d.identity, d.acl ->> 'name' AS function, d.acl -> 'closed' = 'true' AS closed,
                    d.acl -> 'grants' AS grants
             FROM jsonb_to_recordset(outdated) d(type text, identity text, owner oid, acl jsonb)
             WHERE d.type IN ('view', 'function', 'procedure') LOOP
        FOR target IN
            SELECT format('%s %s', CASE WHEN thing.type = 'view' THEN 'TABLE' ELSE 'ROUTINE' END, thing.identity)
            WHERE CASE WHEN thing.type = 'view' THEN to_regclass(thing.identity) IS NOT NULL
                       ELSE to_regprocedure(thing.identity) IS NOT NULL END
            UNION ALL
            SELECT format('ROUTINE %s', p.oid::regprocedure)
            FROM pg_proc p
            WHERE CASE WHEN thing.type <> 'view' THEN to_regprocedure(thing.identity) IS NULL END
                  AND p.proname = thing.function
                  AND p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = journey_change_hub.name)
                  AND p.oid NOT IN (SELECT b.id FROM jsonb_to_recordset(present) b(id oid))
        LOOP
            PERFORM journey_run_as_role(thing.owner, 'REVOKE ALL ON ' || target || ' FROM PUBLIC') WHERE thing.closed;
            PERFORM journey_run_as_role(thing.owner, format('GRANT %s %s ON %s TO %s%s', g.privilege,
                                                        '(' || quote_ident(g."column") || ')', target, g.grantee,
                                                        g.option))
            FROM jsonb_to_recordset(CASE jsonb_typeof(thing.grants) WHEN 'array' THEN thing.grants ELSE '[]' END)
                 g(privilege text, "column" text, grantee text, option text)
            WHERE g."column" IS NULL
                  OR EXISTS (SELECT FROM pg_attribute a
                             WHERE a.attrelid = CASE thing.type WHEN 'view' THEN to_regclass(thing.identity) END
                                   AND a.attname = g."column" AND NOT a.attisdropped);
        END LOOP;
    END LOOP;

    PERFORM journey_renew_rows(name, made -> 'rows');
    PERFORM journey_record_template(name, made -> 'objects', made -> 'rows');
END $$;

-- Of the extension itself. What hubs call can be neither dropped nor changed while they do: an upgrade script renames
-- it by journey_retire, and makes the new one beside it. From then on the old one is an error, or what symbol names in
-- the library. It goes when nothing depends on it any more.
CREATE FUNCTION journey_retire(function regprocedure, symbol text DEFAULT 'journey_retired') RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    EXECUTE (SELECT format('ALTER ROUTINE %s RENAME TO %I', function, left(p.proname, 44) || ' retired ' || p.oid::text)
             FROM pg_proc p WHERE p.oid = function);
    IF (SELECT l.lanname = 'c' FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.oid = function) THEN
        EXECUTE regexp_replace(pg_get_functiondef(function), '\$function\$.*\$function\$', quote_literal(symbol));
    END IF;
END $$;

CREATE FUNCTION journey_drop_retired() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    retired regprocedure;
BEGIN
    LOOP
        retired := (SELECT p.oid
                    FROM pg_depend m JOIN pg_extension e ON e.oid = m.refobjid JOIN pg_proc p ON p.oid = m.objid
                    WHERE m.refclassid = 'pg_extension'::regclass AND m.classid = 'pg_proc'::regclass
                          AND m.deptype = 'e' AND e.extname = 'pg_journey' AND p.proname ~ ' retired \d+$'
                          AND NOT EXISTS (SELECT FROM pg_depend d
                                          WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid)
                    LIMIT 1);
        EXIT WHEN retired IS NULL;
        EXECUTE format('ALTER EXTENSION pg_journey DROP ROUTINE %s', retired);
        EXECUTE format('DROP ROUTINE %s', retired);
    END LOOP;
END $$;

COMMENT ON FUNCTION journey_statements(text) IS 'the statements of a script, each with its command tag';
COMMENT ON FUNCTION journey_version(text) IS 'a version as numbers, which are in order';
COMMENT ON FUNCTION journey_hub_objects(text) IS
    'functions, views and triggers in a hub, and whether they came with it';
COMMENT ON FUNCTION journey_hub_rows(text, text) IS 'rows of the tables of a hub that come with rows';
COMMENT ON FUNCTION journey_delivered_tables() IS 'tables of hubs that come with rows, which users may change';
COMMENT ON FUNCTION journey_record_template(text, jsonb, jsonb) IS 'write down what came with a hub';
COMMENT ON FUNCTION journey_run_migrations(text, text, text) IS
    'change the tables of a hub from what they were in one version to what they are in another';
COMMENT ON FUNCTION journey_hub_columns(text) IS 'columns of the tables of a hub, with their types';
COMMENT ON FUNCTION journey_try_template(text, text, text) IS
    'what the template would make of a hub, which stays as it is';
COMMENT ON FUNCTION journey_hub_outdated(text, jsonb) IS
    'what must go before a hub is upgraded, with all that depends on it, and how to make that again';
COMMENT ON FUNCTION journey_renew_rows(text, jsonb) IS
    'bring rows that came with a hub, and that nobody has changed, to what they are now';
COMMENT ON FUNCTION journey_change_hub(text, text, text) IS 'bring a hub from one version to another';
COMMENT ON FUNCTION journey_retire(regprocedure, text) IS
    'for upgrade scripts: keep a function that hubs may call under another name, as an error or as another symbol';
COMMENT ON FUNCTION journey_drop_retired() IS 'drop what journey_retire kept and nothing calls any more';
