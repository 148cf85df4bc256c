-- Hubs: schemas of ordinary tables, views and functions, made from the template in
-- sql/hub, which the function journey_hub_template holds (the Makefile adds it).

CREATE FUNCTION journey_is_hub(name text) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = name AND c.relname = 'settings' AND a.attname = 'hub_version');
END $$;

CREATE FUNCTION journey_run_hub_template(name text, skip_tables boolean) RETURNS void
LANGUAGE plpgsql STRICT
SET search_path = pg_catalog, @extschema@, pg_temp SET client_min_messages = warning SET standard_conforming_strings = on
AS $$
DECLARE
    script text;
BEGIN
    IF name ~ '\$\w+\$' THEN  -- it would end what the template quotes so
        RAISE EXCEPTION USING ERRCODE = 'invalid_schema_name', MESSAGE = format('name of a hub must not contain the tag of a dollar-quoted string: %s', name);
    END IF;
    FOR script IN SELECT t.script FROM journey_hub_template() t WHERE NOT (skip_tables AND t.part LIKE '%tables') ORDER BY t.part LOOP
        EXECUTE replace(replace(script, '@version@', (SELECT extversion FROM pg_extension WHERE extname = 'pg_journey')),
                        '@hub@', quote_ident(name));
    END LOOP;
END $$;

CREATE FUNCTION journey_create_hub(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF name IS NULL OR name = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_schema_name', MESSAGE = 'a hub needs a name';
    ELSIF octet_length(name) > 63 THEN
        RAISE EXCEPTION USING ERRCODE = 'name_too_long', MESSAGE = format('name of a hub is too long: %s', name),
            DETAIL = format('It has %s bytes; a schema''s name has 63 at most.', octet_length(name));
    END IF;
    EXECUTE format('CREATE SCHEMA %I', name);
    PERFORM journey_run_hub_template(name, false);
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', name, 'hub of pg_journey');
END $$;

CREATE FUNCTION journey_upgrade_hub(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF journey_is_hub(name) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('there is no hub %s', coalesce(name, 'NULL'));
    END IF;
    PERFORM journey_run_hub_template(name, true);
    EXECUTE format('UPDATE %I.settings SET hub_version = $1', name)
    USING (SELECT extversion FROM pg_extension WHERE extname = 'pg_journey');
END $$;

CREATE FUNCTION journey_drop_hub(name text, force boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    filled boolean;
BEGIN
    IF journey_is_hub(name) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('there is no hub %s', coalesce(name, 'NULL'));
    END IF;
    EXECUTE format('LOCK TABLE %1$I.evidence, %1$I.identities, %1$I.touchpoints, %1$I.rejected, %1$I.sources', name);
    EXECUTE format('SELECT EXISTS (SELECT FROM %1$I.identities UNION ALL SELECT FROM %1$I.touchpoints UNION ALL SELECT FROM %1$I.rejected
                                   UNION ALL SELECT FROM %1$I.sources)', name) INTO filled;
    IF filled AND force IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist', MESSAGE = format('hub %s holds data', name),
            HINT = format('SELECT journey_drop_hub(%L, force => true) drops it all the same.', name);
    END IF;
    EXECUTE format('DROP SCHEMA %I CASCADE', name);
END $$;

COMMENT ON FUNCTION journey_is_hub(text) IS 'whether a schema is a hub';
COMMENT ON FUNCTION journey_run_hub_template(text, boolean) IS 'run the template in a schema, all of it or what makes no tables';
COMMENT ON FUNCTION journey_create_hub(text) IS 'make a schema with the tables, views and functions of a hub';
COMMENT ON FUNCTION journey_upgrade_hub(text) IS 'bring a hub to the installed version of the extension';
COMMENT ON FUNCTION journey_drop_hub(text, boolean) IS 'drop a hub; if it holds data, only with force';
