-- Hubs: schemas of ordinary tables, views and functions, made from the template in
-- sql/hub, which the function journey_hub_template holds (the Makefile adds it).

CREATE FUNCTION journey_plpgsql_call() RETURNS language_handler AS 'MODULE_PATHNAME' LANGUAGE C;
CREATE FUNCTION journey_plpgsql_validator(function oid) RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C STRICT;
CREATE TRUSTED LANGUAGE journey_plpgsql HANDLER journey_plpgsql_call VALIDATOR journey_plpgsql_validator;

CREATE FUNCTION journey_run_as_owner(schema text, command text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STRICT;
CREATE FUNCTION journey_run_as_role(role oid, command text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STRICT;
CREATE FUNCTION journey_pass(gate regclass) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL RESTRICTED;
CREATE FUNCTION journey_array_minus(integer[], integer[]) RETURNS integer[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_array_renew(integer[], varbit, integer[]) RETURNS integer[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_make_months(schema text, since timestamptz, until timestamptz) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C STRICT;

CREATE FUNCTION journey_is_hub(name text) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                        JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = name AND c.relname = 'settings' AND a.attname = 'hub_version');
END $$;

CREATE FUNCTION journey_check_hub(name text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF journey_is_hub(name) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no hub %s', coalesce(name, 'NULL'));
    END IF;
END $$;

-- What stands in a name is quoted wherever it goes; but a control character is a slip, or worse, and would
-- hide in messages.
CREATE FUNCTION journey_check_hub_name(name text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF name IS NULL OR name = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_schema_name', MESSAGE = 'a hub needs a name';
    ELSIF octet_length(name) > 63 THEN
        RAISE EXCEPTION USING ERRCODE = 'name_too_long', MESSAGE = format('name of a hub is too long: %s', name),
            DETAIL = format('It has %s bytes; a schema''s name has 63 at most.', octet_length(name));
    ELSIF name = '$user' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_schema_name', MESSAGE = 'a hub must not be called $user',
            DETAIL = 'In a search_path that is the schema which is called like the role.';
    ELSIF name ~ (CASE WHEN getdatabaseencoding() = 'UTF8' THEN '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'
                       ELSE '[\u0001-\u001f\u007f]' END) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_schema_name',
            MESSAGE = format('name of a hub must not contain control characters: %s', to_json(name));
    END IF;
END $$;

-- Workers have its journeys: see journey_distribute_hub
CREATE FUNCTION journey_hub_is_spread(name text) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN to_regclass(format('%I.spread_journeys', name)) IS NOT NULL;
END $$;

-- No quoting may hang on the name: it could contain the tag of a dollar-quoted string.
CREATE FUNCTION journey_hub_scripts(name text, OUT part text, OUT kind text, OUT script text) RETURNS SETOF record
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    tag text := 'q';
BEGIN
    WHILE position(tag IN name) > 0 LOOP
        tag := tag || 'q';
    END LOOP;
    RETURN QUERY
    SELECT t.part, CASE WHEN t.part LIKE 'migration %' THEN 'migration'
                        WHEN t.part ~ '^9._spread' THEN 'spread'
                        WHEN t.part LIKE '%tables' THEN 'tables' ELSE 'idempotent' END,
           replace(replace(t.script, '@tag@', tag), '@hub@', quote_ident(name))
    FROM journey_hub_template() t ORDER BY t.part;
END $$;

-- The bodies of functions are as good as in the hub before, and are not compiled.
CREATE FUNCTION journey_run_hub_template(name text, parts text) RETURNS void
LANGUAGE plpgsql STRICT
SET search_path = pg_catalog, @extschema@, pg_temp SET client_min_messages = warning
SET standard_conforming_strings = on SET check_function_bodies = off
AS $$
DECLARE
    script text;
    propagates constant boolean := current_setting('citus.enable_ddl_propagation', true) = 'on';
BEGIN
    IF propagates THEN  -- a hub is where it is made, and nowhere else
        PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
    END IF;
    EXECUTE 'DISCARD PLANS';  -- each of thousands of changes would be looked for in each plan of the session
    FOR script IN SELECT h.script FROM journey_hub_scripts(name) h
                  WHERE h.kind <> 'migration' AND h.part ~ parts LOOP
        PERFORM journey_run_as_owner(name, script);
    END LOOP;
    IF propagates THEN
        PERFORM set_config('citus.enable_ddl_propagation', 'on', true);
    END IF;
END $$;

CREATE FUNCTION journey_create_hub(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM journey_check_hub_name(name);
    EXECUTE format('CREATE SCHEMA %I', name);
    PERFORM journey_run_hub_template(name, '^(?!9._spread)');
    PERFORM journey_record_template(name, journey_hub_objects(name), journey_hub_rows(name));
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', name, 'hub of pg_journey');
END $$;

-- The name that a hub's functions have in their search_path: that of the schema when they were made
CREATE FUNCTION journey_hub_name_in_functions(name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT (parse_ident(regexp_replace(s.setting, '^search_path=((?:[^",]|"(?:[^"]|"")*")*).*$', '\1')))[1]
            FROM pg_proc p CROSS JOIN LATERAL unnest(p.proconfig) s(setting)
            WHERE p.proname = 'made_for' AND p.pronargs = 0 AND s.setting LIKE 'search_path=%'
                  AND p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = name));
END $$;

-- The server's own error says neither whose lock it is, nor that there is a limit.
CREATE FUNCTION journey_hub_is_in_use(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'lock_not_available', MESSAGE = format('hub %s is in use', name),
        DETAIL = coalesce('In the way: ' || (
            SELECT string_agg(DISTINCT concat_ws(', ', coalesce('process ' || l.pid, 'a prepared transaction')
                                                       || coalesce(' of ' || quote_ident(a.usename), ''), a.state),
                              '; ') || '.'
            FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
                 LEFT JOIN pg_stat_activity a ON a.pid = l.pid
            WHERE n.nspname = name AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
                  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())), ''),
        HINT = 'Try again later. lock_timeout says how long to go on trying.';
END $$;

CREATE FUNCTION journey_upgrade_hub(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    former text;
    changed record;
    version CONSTANT text := (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'pg_journey');
    former_version text;
BEGIN
    PERFORM journey_check_hub(name), journey_check_hub_name(name);
    former_version := journey_run_as_owner(name, format('SELECT s.hub_version FROM %I.settings s', name));
    IF former_version <> version AND journey_hub_is_spread(name) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('hub %s cannot be upgraded while it is distributed', name),
            HINT = format('SELECT journey_undistribute_hub(%L); then upgrade and distribute it.', name);
    END IF;
    IF journey_version(former_version) > journey_version(version) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('hub %s is newer than the extension', name),
            DETAIL = format('The hub is of version %s, the extension of %s.', former_version, version),
            HINT = format('ALTER EXTENSION pg_journey UPDATE TO %L', former_version);
    END IF;
    IF current_setting('lock_timeout') = '0' THEN
        PERFORM set_config('lock_timeout', '10s', true);  -- who waits for an idle reader keeps all others waiting
    END IF;
    former := journey_hub_name_in_functions(name);
    BEGIN
        IF former_version = version THEN
            PERFORM journey_run_hub_template(name, '^(?!9._spread)(?!.*tables$)');
            IF journey_hub_is_spread(name) THEN
                PERFORM journey_run_hub_template(name, '^91_spread');
            END IF;
        ELSE
            PERFORM journey_change_hub(name, former_version, version);
        END IF;
        PERFORM journey_run_as_owner(name, format('UPDATE %I.settings SET hub_version = %L', name, version));
    EXCEPTION WHEN lock_not_available THEN
        PERFORM journey_hub_is_in_use(name);
    END;
    -- The functions that note changes of attached tables are where these are, and know the hub by its name.
    PERFORM journey_run_as_owner(name, format('SELECT %I.renew_functions(%L)', name, former));
    IF (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        PERFORM journey_drop_retired();
    END IF;
    IF former IS NULL OR former = name THEN
        RETURN;
    END IF;

    -- Functions of somebody's own look for names where they were made to.
    FOR changed IN
        SELECT p.oid::regprocedure AS function, bool_or(e.name = former) AS names_it,
               string_agg(quote_literal(CASE WHEN e.name = former THEN journey_upgrade_hub.name ELSE e.name END),
                          ', ' ORDER BY e.n) AS path
        FROM pg_proc p CROSS JOIN LATERAL unnest(p.proconfig) s(setting)
             CROSS JOIN LATERAL regexp_matches(substr(s.setting, length('search_path=') + 1),
                 '"(?:[^"]|"")*"|[^",\s]+', 'g') WITH ORDINALITY m(part, n)
             CROSS JOIN LATERAL (SELECT m.n, CASE WHEN m.part[1] LIKE '"%'
                                                  THEN replace(substr(m.part[1], 2, length(m.part[1]) - 2), '""', '"')
                                                  ELSE m.part[1] END AS name) e
        WHERE p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = journey_upgrade_hub.name)
            AND s.setting LIKE 'search_path=%'
        GROUP BY p.oid
    LOOP
        IF changed.names_it THEN
            EXECUTE format('ALTER ROUTINE %s SET search_path = %s', changed.function, changed.path);
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION journey_rename_hub(name text, new_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM journey_check_hub(name), journey_check_hub_name(new_name), journey_lock_hub(name);
    EXECUTE format('ALTER SCHEMA %I RENAME TO %I', name, new_name);
    PERFORM journey_upgrade_hub(new_name);
END $$;

-- Waits for whoever is at work in it
CREATE FUNCTION journey_lock_hub(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF current_setting('lock_timeout') = '0' THEN
        PERFORM set_config('lock_timeout', '10s', true);  -- who waits for an idle reader keeps all others waiting
    END IF;
    PERFORM journey_run_as_owner(name,
        format('LOCK TABLE %1$I.evidence, %1$I.identities, %1$I.touchpoints, %1$I.rejected, %1$I.sources', name));
EXCEPTION WHEN lock_not_available THEN
    PERFORM journey_hub_is_in_use(name);
END $$;

-- What a policy hides from the owner is data, too.
CREATE FUNCTION journey_hub_holds_data(name text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp SET row_security = off
AS $$
BEGIN
    RETURN journey_run_as_owner(name,
        format('SELECT EXISTS (SELECT FROM %1$I.identities UNION ALL SELECT FROM %1$I.touchpoints
                               UNION ALL SELECT FROM %1$I.rejected UNION ALL SELECT FROM %1$I.sources)', name));
END $$;

-- Attached tables are let go first: who writes them has locked them before anything of the hub.
CREATE FUNCTION journey_drop_hub(name text, force boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET client_min_messages = warning
AS $$
BEGIN
    PERFORM journey_check_hub(name);
    IF force OR NOT journey_hub_holds_data(name) THEN
        PERFORM journey_run_as_owner(name, format('SELECT count(%1$I.unwatch_source(s.source_id)) FROM %1$I.sources s',
                                                  name)),
                journey_lock_hub(name);
    END IF;
    IF force IS NOT TRUE AND journey_hub_holds_data(name) THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist', MESSAGE = format('hub %s holds data', name),
            HINT = format('SELECT journey_drop_hub(%L, force => true) drops it all the same.', name);
    END IF;
    EXECUTE 'DISCARD PLANS';  -- as for journey_run_hub_template
    PERFORM journey_run_as_owner(name, format('DROP SCHEMA %I CASCADE', name));
END $$;

COMMENT ON LANGUAGE journey_plpgsql
    IS 'PL/pgSQL, for functions of hubs: they run only if their own schema is the first in the search_path';
COMMENT ON FUNCTION journey_plpgsql_call() IS 'handler of the language journey_plpgsql';
COMMENT ON FUNCTION journey_plpgsql_validator(oid) IS 'validator of the language journey_plpgsql';
COMMENT ON FUNCTION journey_run_as_owner(text, text)
    IS 'run SQL as the owner of a schema, without lending its code any rights; returns the first value';
COMMENT ON FUNCTION journey_run_as_role(oid, text) IS 'run SQL as a role, likewise';
COMMENT ON FUNCTION journey_array_renew(integer[], varbit, integer[]) IS
    'of ascending numbers those whose bit is 0, and with them others, ascending too, but NULLs';
COMMENT ON FUNCTION journey_array_minus(integer[], integer[]) IS
    'what is in the first of two ascending arrays, and not in the second';
COMMENT ON FUNCTION journey_pass(regclass) IS
    'hold a weak lock of a table until the transaction ends; returns whether it must be asked: it may have rows';
COMMENT ON FUNCTION journey_make_months(text, timestamptz, timestamptz) IS
    'have the partitions of months of a hub made by a process of its owner, and wait for it, or from -infinity to '
    'infinity those that the default partition has many touchpoints of, and do not wait; false: there can be none';
COMMENT ON FUNCTION journey_is_hub(text) IS 'whether a schema is a hub';
COMMENT ON FUNCTION journey_hub_is_spread(text) IS 'whether workers have journeys of a hub';
COMMENT ON FUNCTION journey_check_hub(text) IS 'refuse what is no hub';
COMMENT ON FUNCTION journey_check_hub_name(text) IS 'refuse what can''t be the name of a hub';
COMMENT ON FUNCTION journey_hub_name_in_functions(text) IS 'the name a hub had when its functions were made';
COMMENT ON FUNCTION journey_hub_is_in_use(text) IS 'say who holds locks in a hub that can''t be had';
COMMENT ON FUNCTION journey_lock_hub(text) IS 'wait for whoever writes in a hub, and keep all others out of it';
COMMENT ON FUNCTION journey_hub_scripts(text) IS
    'the scripts of the template for a hub, by kind: tables are made once, migrations change them, those of spread are '
    'for hubs on Citus, the others can be run again and again';
COMMENT ON FUNCTION journey_run_hub_template(text, text)
    IS 'run the parts of the template whose names match in a schema';
COMMENT ON FUNCTION journey_create_hub(text) IS 'make a schema with the tables, views and functions of a hub';
COMMENT ON FUNCTION journey_upgrade_hub(text)
    IS 'bring a hub to the installed version of the extension, and to the name its schema has';
COMMENT ON FUNCTION journey_rename_hub(text, text)
    IS 'rename a hub, and bring it to the installed version of the extension';
COMMENT ON FUNCTION journey_hub_holds_data(text) IS 'whether anything would be lost with a hub';
COMMENT ON FUNCTION journey_drop_hub(text, boolean) IS 'drop a hub; if it holds data, only with force';
