-- Attaching tables, another mapping for one, and looking whether the hub has what a table has.

-- Whose code runs with the rights of whoever reads the rows of a source: owners of the table and of those it looks
-- things up in, of their columns' types, whose casts are called, and of what the mapping calls. Superusers and the
-- hub's owner need no trust. Names in the mapping are looked up now, as they will be when rows are read.
CREATE OR REPLACE FUNCTION @hub@.trusted_roles(mapping jsonb, search_path text) RETURNS name[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    own_path CONSTANT text := current_setting('search_path');
    hub_owner CONSTANT oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = 'sources'::regclass);
    tables CONSTANT oid[] := array(SELECT (mapping ->> 'oid')::oid
                                   UNION SELECT (l.value ->> 'oid')::oid
                                   FROM jsonb_array_elements(mapping -> 'lookups') l(value));
    query text;
    functions oid[] := '{}';
    domains oid[] := '{}';
    calls record;
BEGIN
    FOREACH query IN ARRAY array_remove(ARRAY[mapping_query(mapping, mapping ->> 'table'), changes_query(mapping)], NULL) LOOP
        PERFORM set_config('search_path', search_path, true);
        SELECT c.functions, c.domains INTO calls FROM @extschema@.journey_query_calls(query) c;
        PERFORM pg_catalog.set_config('search_path', own_path, true);
        functions := functions || calls.functions;
        domains := domains || calls.domains;
    END LOOP;
    RETURN array(
        SELECT DISTINCT o.rolname
        FROM (SELECT c.relowner FROM unnest(tables) r(id) CROSS JOIN LATERAL source_tables(r.id) t
                     JOIN pg_class c ON c.oid = t.member
              UNION ALL
              SELECT y.typowner FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
              WHERE a.attrelid = ANY (tables) AND a.attnum > 0
              UNION ALL
              SELECT f.proowner FROM pg_proc f WHERE f.oid = ANY (functions)
              UNION ALL
              SELECT y.typowner FROM pg_type y WHERE y.oid = ANY (domains)) u(owner)
             JOIN pg_roles o ON o.oid = u.owner
        WHERE NOT o.rolsuper AND o.oid <> hub_owner
        ORDER BY o.rolname);
END $$;
COMMENT ON FUNCTION @hub@.trusted_roles(jsonb, text) IS 'roles whose code runs when rows of an attached table are read';

CREATE OR REPLACE FUNCTION @hub@.check_trusted(mapping jsonb, search_path text, source text, part text, trusts name[])
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    hiding CONSTANT regclass := (SELECT min(t.member::oid)
                                 FROM (SELECT (mapping ->> 'oid')::oid UNION SELECT (l.value ->> 'oid')::oid
                                       FROM jsonb_array_elements(mapping -> 'lookups') l(value)) r(id)
                                      CROSS JOIN LATERAL source_tables(r.id) t
                                 WHERE row_security_active(t.member));
    stranger name;
BEGIN
    IF hiding IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('row-level security of %s may hide rows', hiding),
            HINT = 'Read it as its owner, or as a role that bypasses row-level security.';
    END IF;
    stranger := (SELECT min(t.role) FROM unnest(trusted_roles(mapping, search_path)) t(role) WHERE t.role <> ALL (trusts));
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('reading rows of %s could run code of role %s, '
                             'who had nothing to do with it when it was attached', (mapping ->> 'oid')::oid::regclass, stranger),
            DETAIL = 'It owns the table, a partition of it, a table of a lookup, the type of a column, or a function of the '
                     'mapping.',
            HINT = format('If you trust that role: UPDATE %I.sources SET trusts = trusts || %L::name '
                          'WHERE (source, part) = (%L, %L).',
                          current_schema(), stranger, source, part);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_trusted(jsonb, text, text, text, name[]) IS
    'refuse to read a table whose rows are hidden, or where code of others would run';

-- Before rows are read with the hub owner's rights
CREATE OR REPLACE FUNCTION @hub@.check_trust(source_id integer) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_trusted(mapping_of(source_id), s.search_path, s.source, s.part, s.trusts)
    FROM sources s WHERE s.source_id = check_trust.source_id;
END $$;
COMMENT ON FUNCTION @hub@.check_trust(integer) IS
    'refuse to read an attached table whose rows are hidden, or whose owner has changed';

CREATE OR REPLACE FUNCTION @hub@.check_attachable(relation regclass, feed text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    c record;
    kind text;
BEGIN
    IF feed IS NULL OR feed NOT IN ('queued', 'row', 'immediate', 'poll') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a table can''t be fed in the way %s', coalesce(feed, 'NULL')),
            HINT = 'There are queued, immediate, row (on a logical subscriber), and poll (without triggers).';
    END IF;
    SELECT t.relnamespace, t.relpersistence, t.relkind, t.relispartition INTO c FROM pg_class t WHERE t.oid = relation;
    kind := CASE WHEN c.relnamespace = quote_ident(current_schema())::regnamespace THEN 'a table of the hub'
                 WHEN c.relnamespace = 'pg_catalog'::regnamespace THEN 'a system catalog'
                 WHEN c.relpersistence = 't' THEN 'a temporary table'
                 WHEN feed = 'poll' AND c.relkind IN ('r', 'p', 'v', 'm', 'f') THEN NULL
                 WHEN c.relkind = 'v' THEN 'a view' WHEN c.relkind = 'm' THEN 'a materialized view' WHEN c.relkind = 'f'
                     THEN 'a foreign table'
                 WHEN c.relkind NOT IN ('r', 'p') THEN 'no table'
                 WHEN c.relispartition THEN 'a partition'
                 WHEN EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = relation OR h.inhparent = relation
                              AND c.relkind = 'r') THEN 'part of an inheritance tree' END;
    IF kind IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('%s can''t be attached: it is %s', relation, kind),
            HINT = CASE WHEN c.relispartition THEN 'Attach the partitioned table.'
                        WHEN kind LIKE '% of the hub' THEN 'Attach a table of your own.'
                        WHEN c.relkind IN ('v', 'm', 'f') THEN 'It has no triggers: attach it with feed => ''poll'', '
                             'and a column in watermark that tells when a row was written.'
                        ELSE 'Pass its rows to record_many.' END;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_attachable(regclass, text) IS 'refuse what is no table whose rows can be touchpoints';

-- How a source is called
CREATE OR REPLACE FUNCTION @hub@.source_title(source text, part text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN source_title.source || CASE WHEN source_title.part = '' THEN '' ELSE ', part ' || source_title.part END;
COMMENT ON FUNCTION @hub@.source_title(text, text) IS 'a source, and part of it, in messages';

-- Sources by name, or one part of one
CREATE OR REPLACE FUNCTION @hub@.sources_named(source text, part text) RETURNS SETOF integer
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY SELECT s.source_id FROM sources s
                 WHERE s.source = sources_named.source AND s.part = coalesce(sources_named.part, s.part)
                       AND s.detached_at IS NULL
                 ORDER BY s.part;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('no table is attached as source %s', coalesce(source_title(source, coalesce(part, '')), 'NULL')),
            HINT = coalesce((SELECT 'There are ' || string_agg(DISTINCT source_title(s.source, s.part), '; ') || '.'
                             FROM sources s WHERE s.detached_at IS NULL), 'Nothing is attached.');
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.sources_named(text, text) IS 'numbers of attached tables by their names';

CREATE OR REPLACE FUNCTION @hub@.count_of_source(source text, part text, OUT touchpoints bigint, OUT rejected bigint,
                                                 OUT hint text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    prefix CONSTANT text := CASE part WHEN '' THEN '' ELSE part || ':' END;
BEGIN
    touchpoints := (SELECT count(*) FROM touchpoint_keys k
                    WHERE k.source = count_of_source.source AND starts_with(k.source_key, prefix));
    rejected := (SELECT count(*) FROM source_rejects r
                 WHERE r.source = count_of_source.source AND starts_with(r.source_key, prefix));
    hint := CASE WHEN rejected > 0 THEN format('Why: SELECT * FROM %I.source_rejects WHERE source = %L.',
                                               current_schema(), source) END;
END $$;
COMMENT ON FUNCTION @hub@.count_of_source(text, text) IS
    'how many rows of a source are touchpoints, how many can be none, and where to look';

-- Immediate triggers run with the rights of who writes.
CREATE OR REPLACE FUNCTION @hub@.warn_of_writers(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    writers text;
BEGIN
    SELECT string_agg(DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ', ')
    INTO writers
    FROM pg_class c CROSS JOIN LATERAL (SELECT x.grantee, x.privilege_type
                                        FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
                                        UNION ALL
                                        SELECT x.grantee, x.privilege_type
                                        FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) x
                                        WHERE t.attrelid = c.oid) a
    WHERE c.oid = warn_of_writers.relation AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
          AND CASE WHEN a.grantee = 0
                   THEN NOT EXISTS (SELECT FROM pg_class t CROSS JOIN LATERAL aclexplode(t.relacl) x
                                    WHERE t.oid = 'touchpoints'::regclass AND x.grantee = 0
                                           AND x.privilege_type = 'INSERT')
                   ELSE NOT (has_schema_privilege(a.grantee, current_schema(), 'USAGE')
                             AND has_table_privilege(a.grantee, 'touchpoints', 'INSERT')
                             AND has_table_privilege(a.grantee, 'touchpoints', 'UPDATE')
                                 AND has_table_privilege(a.grantee, 'touchpoints', 'DELETE'))
                   END;
    IF writers IS NOT NULL THEN
        RAISE WARNING USING MESSAGE = format('roles that may write to %s can''t any more, '
                                               'for they may not write to the hub: %s', relation, writers),
            HINT = format('Let them, by %I.grant_access(role, ''writer'').', current_schema());
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.warn_of_writers(regclass) IS 'warn of roles that may write to a table but not to the hub';

-- Rows that use a row that was looked up are sought by the columns they look it up by
CREATE OR REPLACE FUNCTION @hub@.hint_of_indexes(source_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    mapping CONSTANT jsonb := mapping_of(source_id);
    lacking record;
BEGIN
    FOR lacking IN
        SELECT l.value ->> 'lookup' AS lookup, u.source_table, u.id, array_agg(u.name ORDER BY u.name) AS columns
        FROM jsonb_array_elements(mapping -> 'lookups') l(value)
             CROSS JOIN LATERAL jsonb_array_elements_text(l.value -> 'conditions') c(condition)
             CROSS JOIN LATERAL (
                 SELECT t.value ->> 'table' AS source_table, (t.value ->> 'oid')::oid AS id, n.value AS name
                 FROM jsonb_array_elements(mapping -> 'lookups'
                                           || (mapping || jsonb_build_object('lookup', mapping -> 'alias'))) t(value)
                      CROSS JOIN LATERAL jsonb_each_text(t.value -> 'names') n(key, value)
                 WHERE t.value ->> 'lookup' <> l.value ->> 'lookup'
                       AND regexp_replace(c.condition, '^.*? = \(', '')
                           ~ ('(^|[^[:alnum:]_$"])' || regexp_replace(format('%I.%I', t.value ->> 'lookup', n.key),
                                                                     '([][.*+?^${}()|\\])', '\\\1', 'g')
                              || '($|[^[:alnum:]_$"])')) u
        WHERE NOT (l.value ->> 'fixed')::boolean
        GROUP BY 1, 2, 3, l.value
    LOOP
        IF NOT has_index(lacking.id, lacking.columns) THEN
            RAISE NOTICE USING
                MESSAGE = format('a change of what is looked up as %s reads all of %s', lacking.lookup, lacking.source_table),
                DETAIL = format('No index finds its rows by %s.', array_to_string(lacking.columns, ', ')),
                HINT = format('CREATE INDEX CONCURRENTLY ON %s (%s), or say that the lookup is fixed.', lacking.source_table,
                              (SELECT string_agg(quote_ident(c.name), ', ') FROM unnest(lacking.columns) c(name)));
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.hint_of_indexes(integer) IS 'tell which index would help changes of what a mapping looks up';

-- Query for the key values of rows, as text, in the order the rows come in: columns key_values, and key_count, of some thousand rows
-- each.
CREATE OR REPLACE FUNCTION @hub@.keys_in_order(mapping jsonb, some integer) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    columns text[] := array(SELECT format('%I.%I::pg_catalog.text', mapping ->> 'alias', k.name)
                            FROM jsonb_array_elements_text(mapping -> 'key_columns') WITH ORDINALITY k(name, n)
                            ORDER BY k.n);
BEGIN
    RETURN format('SELECT pg_catalog.array_agg(v.value ORDER BY k.n, v.n) AS key_values, pg_catalog.count(*) / %s AS key_count '
                  'FROM (SELECT pg_catalog.row_number() OVER (%s) AS n, ARRAY[%s] AS key FROM %s) k '
                  'CROSS JOIN LATERAL pg_catalog.unnest(k.key) WITH ORDINALITY v(value, n) '
                  'GROUP BY (k.n - 1) / %s ORDER BY (k.n - 1) / %5$s',
                  cardinality(columns), 'ORDER BY ' || (mapping ->> 'place'), array_to_string(columns, ', '),
                  mapping_from(mapping || '{"lookups": []}', mapping ->> 'table'), some);
END $$;
COMMENT ON FUNCTION @hub@.keys_in_order(jsonb, integer) IS 'query for the keys of rows of an attached table';

-- Bring the hub in line with all rows of a source, and remove what has no row; returns how many rows told something else than the hub
-- had. Rows are read by their keys, so that one that can't be read stands alone.
CREATE OR REPLACE FUNCTION @hub@.align_source(source_id integer, history boolean, OUT rows_read bigint, OUT mended bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off SET synchronize_seqscans = off
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    mapping CONSTANT jsonb := mapping_of(source_id);
    own_path CONSTANT text := current_setting('search_path');
    s record;
    chunk record;
    lost text[];
BEGIN
    SELECT t.source, t.part, t.search_path INTO s FROM sources t WHERE t.source_id = align_source.source_id;
    rows_read := 0;
    mended := 0;
    FOR chunk IN EXECUTE keys_in_order(mapping, 5000) LOOP
        mended := mended + apply_noted(source_id, chunk.key_values, array_fill(0::bigint, ARRAY[chunk.key_count::integer]),
                                       NULL, history);
        rows_read := rows_read + chunk.key_count;
        IF history AND rows_read / 100000 > (rows_read - chunk.key_count) / 100000 THEN
            RAISE NOTICE USING MESSAGE = format('backfill of %s: %s rows', source_title(s.source, s.part), rows_read);
        END IF;
    END LOOP;
    lost := lost_keys(source_id);
    IF lost <> '{}' THEN
        PERFORM forget_rows(s.source, lost), drop_traits(s.source, lost);
        mended := mended + cardinality(lost);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.align_source(integer, boolean) IS 'bring the hub in line with all rows of an attached table';

-- Keys of which the hub has something, though there is no row. Where rows that are deleted keep what they made there are none.
CREATE OR REPLACE FUNCTION @hub@.lost_keys(source_id integer) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    mapping CONSTANT jsonb := mapping_of(source_id);
    own_path CONSTANT text := current_setting('search_path');
    hub CONSTANT name := current_schema();
    s record;
    lost text[];
BEGIN
    IF (mapping ->> 'keep')::boolean THEN
        RETURN '{}';
    END IF;
    SELECT t.source, CASE t.part WHEN '' THEN '' ELSE t.part || ':' END AS prefix, t.search_path INTO s
    FROM sources t WHERE t.source_id = lost_keys.source_id;
    PERFORM set_config('search_path', s.search_path, true);
    EXECUTE pg_catalog.format('SELECT ARRAY(SELECT k.key FROM (SELECT * FROM %I.stored_keys($1) UNION SELECT t.source_key FROM %1$I.traits t '
                              'WHERE t.source = $1 AND t.source_key <> '''') k(key) WHERE pg_catalog.starts_with(k.key, $2) '
                              'EXCEPT SELECT %2$s FROM %3$s)', hub, mapping ->> 'key',
                              mapping_from) INTO lost USING s.source, s.prefix
    FROM @hub@.mapping_from(mapping || '{"lookups": []}', mapping ->> 'table') mapping_from;
    PERFORM pg_catalog.set_config('search_path', own_path, true);
    RETURN lost;
END $$;
