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
    FOREACH query IN ARRAY array_remove(ARRAY[mapping_query(mapping, mapping ->> 'table'),
                                              changes_query(mapping)], NULL)
    LOOP
        PERFORM set_config('search_path', search_path, true);
        SELECT c.functions, c.domains INTO calls FROM @extschema@.journey_query_calls(query) c;
        PERFORM pg_catalog.set_config('search_path', own_path, true);
        functions := functions || calls.functions;
        domains := domains || calls.domains;
    END LOOP;
    RETURN array(
        SELECT DISTINCT o.rolname
        FROM (SELECT c.relowner
              FROM unnest(tables) r(id) CROSS JOIN LATERAL source_tables(r.id) t JOIN pg_class c ON c.oid = t.member
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
                                 FROM (SELECT (mapping ->> 'oid')::oid
                                       UNION SELECT (l.value ->> 'oid')::oid
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
    stranger := (SELECT min(t.role) FROM unnest(trusted_roles(mapping, search_path)) t(role)
                 WHERE t.role <> ALL (trusts));
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('reading rows of %s could run code of role %s, '
                             'who had nothing to do with it when it was attached', (mapping ->> 'oid')::oid::regclass,
                             stranger),
            DETAIL = 'It owns the table, a partition of it, a table of a lookup, the type of a column, or a function '
                     'of the mapping.',
            HINT = format('If you trust that role: UPDATE %I.sources SET trusts = trusts || %L::name '
                          'WHERE source = %L%s.',
                          current_schema(), stranger, source, ' AND part = ' || nullif(quote_literal(part), ''''''));
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
            MESSAGE = format('unknown way to feed: %s', coalesce(feed, 'NULL')),
            HINT = 'There are queued, immediate, row (on a logical subscriber), and poll (without triggers).';
    END IF;
    SELECT t.relnamespace, t.relpersistence, t.relkind, t.relispartition INTO c FROM pg_class t WHERE t.oid = relation;
    kind := CASE WHEN c.relnamespace = quote_ident(current_schema())::regnamespace THEN 'a table of the hub'
                 WHEN c.relnamespace = 'pg_catalog'::regnamespace THEN 'a system catalog'
                 WHEN c.relpersistence = 't' THEN 'a temporary table'
                 WHEN feed = 'poll' AND c.relkind IN ('r', 'p', 'v', 'm', 'f') THEN NULL
                 WHEN c.relkind = 'v' THEN 'a view'
                 WHEN c.relkind = 'm' THEN 'a materialized view'
                 WHEN c.relkind = 'f' THEN 'a foreign table'
                 WHEN c.relkind NOT IN ('r', 'p') THEN 'no table'
                 WHEN c.relispartition THEN 'a partition'
                 WHEN EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = relation OR h.inhparent = relation
                              AND c.relkind = 'r') THEN 'part of an inheritance tree' END;
    IF kind IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('%s can''t be attached: it is %s', relation, kind),
            HINT = CASE WHEN c.relispartition THEN 'Attach the partitioned table.'
                        WHEN kind LIKE '% of the hub' THEN 'Attach a table of your own.'
                        WHEN c.relkind IN ('v', 'm', 'f')
                        THEN 'It has no triggers. Attach it with feed => ''poll'', a key, and a '
                             'watermark: a column that '
                             'tells when a row was written.'
                        WHEN kind LIKE '% inheritance tree'
                        THEN 'Attach it with feed => ''poll'', a key, and a watermark: so rows of its '
                             'children are read too.'
                        ELSE 'Pass its rows to record_many.' END;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_attachable(regclass, text) IS 'refuse what is no table whose rows can be touchpoints';

-- Triggers are made on a table, its partitions, and what is looked up; triggers that fire always, by owners only.
CREATE OR REPLACE FUNCTION @hub@.check_trigger_rights(relation regclass, feed text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    missing regclass;
BEGIN
    SELECT c.oid INTO missing
    FROM (SELECT p.relid FROM pg_partition_tree(relation) p UNION SELECT relation) m(id) JOIN pg_class c ON c.oid = m.id
    WHERE NOT CASE feed WHEN 'row' THEN pg_has_role(c.relowner, 'USAGE') ELSE has_table_privilege(c.oid, 'TRIGGER') END
    LIMIT 1;
    IF missing IS NOT NULL AND feed = 'row' THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('must be owner of table %s', missing),
            DETAIL = 'Triggers of feed => ''row'' fire for what a subscription writes, too: only owners may make such.',
            HINT = format('Attach it as a role that is a member of %s.',
                          (SELECT c.relowner::regrole FROM pg_class c WHERE c.oid = missing));
    ELSIF missing IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied for table %s', missing),
            DETAIL = 'A trigger is to be made there, for which the right TRIGGER is needed.',
            HINT = format('GRANT SELECT, TRIGGER ON %s TO %I.', missing, current_user);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_trigger_rights(regclass, text) IS 'refuse what the caller may make no triggers on';

-- How a source, and part of it, are told to a function
CREATE OR REPLACE FUNCTION @hub@.source_arguments(source text, part text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN quote_literal(source_arguments.source)
       || CASE WHEN source_arguments.part = '' THEN '' ELSE ', part => ' || quote_literal(source_arguments.part) END;
COMMENT ON FUNCTION @hub@.source_arguments(text, text) IS 'a source, and part of it, as arguments of a function';

-- Triggers run with the rights of who writes the table.
CREATE OR REPLACE FUNCTION @hub@.warn_of_writers(source text, relation regclass) RETURNS void
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
COMMENT ON FUNCTION @hub@.warn_of_writers(text, regclass) IS
    'warn of roles that may write to a table but not to the hub';

-- Rows that use a row that was looked up are sought by the columns they look it up by. lookups are as read_mapping has
-- them.
CREATE OR REPLACE FUNCTION @hub@.hint_of_indexes(relation regclass, lookups jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    sought record;
BEGIN
    FOR sought IN
        SELECT l.value ->> 'lookup' AS lookup, t.id::regclass AS id,
               array_agg(DISTINCT a.attname::text ORDER BY a.attname::text) AS columns
        FROM jsonb_array_elements(lookups) l(value)
             CROSS JOIN LATERAL jsonb_array_elements_text(l.value -> 'uses') u(use)
             CROSS JOIN LATERAL (SELECT CASE split_part(u.use, ':', 1)::integer
                                            WHEN 1 THEN relation::oid
                                            ELSE (lookups -> split_part(u.use, ':', 1)::integer - 2 ->> 'relation')::oid
                                            END AS id) t
             JOIN pg_attribute a ON a.attrelid = t.id AND a.attnum = split_part(u.use, ':', 2)::integer
        WHERE NOT (l.value ->> 'fixed')::boolean
        GROUP BY 1, 2
        ORDER BY 1, 2
    LOOP
        IF NOT has_index(sought.id, sought.columns) THEN
            RAISE NOTICE USING
                MESSAGE = format('when a row of lookup %s changes, all rows of %s are read', sought.lookup, sought.id),
                DETAIL = format('No index finds them by %s.', array_to_string(sought.columns, ', ')),
                HINT = format('CREATE INDEX ON %s (%s), or say in the mapping that the lookup is fixed.', sought.id,
                              (SELECT string_agg(quote_ident(c.name), ', ') FROM unnest(sought.columns) c(name)));
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.hint_of_indexes(regclass, jsonb) IS
    'tell which index would help changes of what a mapping looks up';

-- Namespaces of references are internal from now on
CREATE OR REPLACE FUNCTION @hub@.make_internal(namespaces text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    namespace text;
BEGIN
    FOREACH namespace IN ARRAY namespaces LOOP
        IF NOT EXISTS (SELECT FROM identifier_rules r WHERE r.namespace = namespace AND r.internal) THEN
            PERFORM set_rule(namespace, internal => true);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.make_internal(text[]) IS 'hide the identifiers of namespaces: they are references';

-- What a mapping says is written down; is it sound? Whoever's code it runs is trusted.
CREATE OR REPLACE FUNCTION @hub@.take_mapping(source_id integer, mapping json, search_path text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    read record;
    located jsonb;
    twice text[];
BEGIN
    SELECT m.unique_key, m.internal_namespaces, m.lookups INTO read
    FROM store_mapping(source_id, mapping, search_path) m;
    PERFORM make_internal(read.internal_namespaces);
    SELECT t.relation, t.feed INTO s FROM sources t WHERE t.source_id = take_mapping.source_id;
    located := mapping_of(source_id);
    IF s.feed = 'poll' AND NOT located ? 'watermark' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'mapping field watermark is missing',
            HINT = 'Of a table that is polled it names a column that tells when a row was written last.';
    ELSIF s.feed = 'poll' AND mapping -> 'on_change' IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'mapping field on_change needs triggers, which tell what a row was before',
            HINT = 'Attach the table that has the column, without feed => ''poll'', as another part of the source.';
    END IF;
    UPDATE sources t SET trusts = trusted_roles(located, search_path) WHERE t.source_id = take_mapping.source_id;
    PERFORM check_trust(source_id);
    IF s.feed <> 'poll' THEN
        PERFORM check_trigger_rights(s.relation, s.feed);
        PERFORM check_trigger_rights((l.value ->> 'relation')::oid::regclass, s.feed)
        FROM jsonb_array_elements(read.lookups) l(value) WHERE NOT (l.value ->> 'fixed')::boolean;
    END IF;
    IF s.feed = 'poll' THEN
        PERFORM look_at_watermark(source_id, NULL);
    END IF;
    IF NOT read.unique_key THEN
        twice := read_list(source_id, format('SELECT k.key FROM (SELECT %s AS key FROM %s) k WHERE k.key IS NOT '
                                             'NULL GROUP BY k.key '
                                             'HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1 LIMIT 1',
                                             located ->> 'key',
                                             mapping_from(located || '{"lookups": []}', located ->> 'table')), NULL);
        IF twice <> '{}' THEN
            RAISE EXCEPTION USING ERRCODE = 'unique_violation',
                MESSAGE = format('rows of %s have the same key: %s', s.relation, twice[1]),
                HINT = 'Give the mapping a key that is unique.';
        END IF;
    END IF;
    PERFORM hint_of_indexes(s.relation, read.lookups);
END $$;
COMMENT ON FUNCTION @hub@.take_mapping(integer, json, text) IS 'give a source its mapping';

-- Whether a source, or part of it, can be attached under that name
CREATE OR REPLACE FUNCTION @hub@.check_source_name(source text, part text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    title CONSTANT text := source || CASE part WHEN '' THEN '' ELSE ', part ' || part END;
    prefix CONSTANT text := CASE part WHEN '' THEN '' ELSE part || ':' END;
BEGIN
    IF source IS NULL OR source = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'attach_source needs a table, and a source has a name';
    ELSIF part LIKE '%:%' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a part of a source can''t be called %s', part),
            DETAIL = 'Up to the first colon keys of touchpoints tell the part.';
    ELSIF EXISTS (SELECT FROM sources s WHERE (s.source, s.part) = (check_source_name.source, check_source_name.part)
                  AND s.detached_at IS NULL) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('source %s is attached already', title),
            HINT = format('Another touchpoint of the same rows needs another name. Another mapping is given by '
                          '%I.alter_source.', current_schema());
    ELSIF EXISTS (SELECT FROM sources s WHERE s.source = check_source_name.source
                  AND (s.part = '') <> (check_source_name.part = '')) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format(CASE part WHEN '' THEN 'source %s has parts'
                             ELSE 'source %s has no parts, but is one table' END,
                             source),
            HINT = CASE part WHEN '' THEN 'Name the part, by part => ''name'', or choose another name for the source.'
                        ELSE 'Choose another name for the source.' END;
    ELSIF EXISTS (SELECT FROM touchpoint_keys k
                  WHERE k.source = check_source_name.source AND starts_with(k.source_key, prefix)) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('there are touchpoints of source %s already', title),
            HINT = 'Choose another name' || CASE WHEN EXISTS (SELECT FROM sources s
                                                              WHERE s.source = check_source_name.source
                                                                    AND s.part = check_source_name.part)
                                                 THEN format(', or remove them by %I.detach_source(%s, keep => false).',
                                                             current_schema(), source_arguments(source, part))
                                                 ELSE '.' END;
    END IF;
    DELETE FROM source_rejects r WHERE r.source = check_source_name.source AND starts_with(r.source_key, prefix);
    DELETE FROM sources s WHERE (s.source, s.part) = (check_source_name.source, check_source_name.part);
END $$;
COMMENT ON FUNCTION @hub@.check_source_name(text, text) IS
    'refuse a name for a source that is used; what was left of a source that was detached goes';

-- Nobody else can write the table until this commits, so its rows are read at once, and numbered in one order.
CREATE OR REPLACE FUNCTION @hub@.attach_table(
    relation regclass, mapping json, source text, part text, feed text, backfill boolean, search_path text,
    OUT rows_read bigint, OUT touchpoints bigint, OUT rejected bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    hub CONSTANT name := current_schema();
    id integer;
    leaves regclass[];
    estimated bigint;
    hint text;
BEGIN
    IF relation IS NULL OR backfill IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'attach_source needs a table, and a source has a name';
    END IF;
    PERFORM check_may('owner');
    PERFORM check_attachable(relation, feed);
    PERFORM check_source_name(source, part);
    IF backfill AND current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
            MESSAGE = 'a table must be backfilled at READ COMMITTED',
            DETAIL = format('This transaction is at %s, where what others have changed since it began can''t be seen.',
                            upper(current_setting('transaction_isolation')));
    END IF;
    INSERT INTO sources (source, part, relation, mapping, feed)
    VALUES (source, part, relation, coalesce(mapping, 'null'), feed)
    RETURNING sources.source_id INTO id;
    PERFORM take_mapping(id, mapping, search_path);
    PERFORM watch_source(id);
    leaves := array(SELECT t.member FROM source_tables(relation) t WHERE t.leaf ORDER BY t.member);
    estimated := (SELECT sum(nullif(t.reltuples, -1)) FROM pg_class t WHERE t.oid = ANY (leaves));
    UPDATE sources s
    SET rows_estimated = estimated, pending = leaves,
        tables = array(SELECT t.member FROM source_tables(relation) t WHERE feed <> 'poll' ORDER BY t.member)
    WHERE s.source_id = id;
    IF feed = 'immediate' THEN
        PERFORM warn_of_writers(source, relation);
    END IF;
    rows_read := 0;
    IF backfill THEN
        IF estimated > 100000 THEN
            RAISE NOTICE USING MESSAGE = format('some %s rows of %s are read in one transaction', estimated, relation),
                HINT = format('With backfill => false nobody waits for that: CALL '
                              '%I.backfill_source(%L) reads them then.',
                              hub, source);
        END IF;
        FOR attempt IN 1 .. 10 LOOP
            BEGIN
                rows_read := (fill_source(id)).row_count;
                EXIT;
            EXCEPTION WHEN deadlock_detected THEN
                IF attempt = 10 THEN
                    RAISE;
                END IF;
            END;
        END LOOP;
    END IF;
    RAISE NOTICE USING
        MESSAGE = format(CASE feed WHEN 'immediate' THEN 'rows of %s go to the hub as they are written'
                             WHEN 'poll' THEN 'rows of %s are looked for when the hub is fed'
                             ELSE 'rows of %s that are written are noted, and go to the hub when it '
                                  'is fed' END, relation),
        HINT = CASE WHEN feed = 'immediate' THEN 'Whoever writes them must be a writer of the hub.'
                    ELSE format('Feed it by CALL %I.feed(), every minute, say, or once and for ever by '
                                'CALL %1$I.feed(forever => true).', hub) END;
    IF EXISTS (SELECT FROM note_functions(id) f JOIN pg_proc p ON p.oid = f
               WHERE p.pronamespace = quote_ident(hub)::regnamespace) THEN
        RAISE NOTICE USING
            MESSAGE = format('a dump of schema %I alone can be restored but for its triggers where there is no hub %s',
                             (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                              WHERE c.oid = relation), hub),
            DETAIL = 'The function they call is in the hub, for it may not be made where the table is.',
            HINT = format('GRANT CREATE ON SCHEMA %s TO %I, and attach it again.',
                          (SELECT c.relnamespace::regnamespace FROM pg_class c WHERE c.oid = relation), current_user);
    END IF;
    SELECT c.touchpoints, c.rejected, c.hint INTO touchpoints, rejected, hint FROM count_of_source(source, part) c;
    IF rejected > 0 THEN
        RAISE NOTICE USING MESSAGE = format('rows of %s of which no touchpoint can be made: %s', source, rejected),
            HINT = hint;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.attach_table(regclass, json, text, text, text, boolean, text) IS
    'attach_source, told the search_path of its caller';

-- A name has another collation than text, which all functions called would inherit, and no index on text would fit.
CREATE OR REPLACE FUNCTION @hub@.attach_source(
    source_table regclass, mapping json, source text DEFAULT NULL, backfill boolean DEFAULT true,
    part text DEFAULT NULL, feed text DEFAULT 'queued', OUT rows_read bigint, OUT touchpoints bigint,
    OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT t.rows_read, t.touchpoints, t.rejected
    FROM @hub@.attach_table(attach_source.source_table, attach_source.mapping,
                            coalesce(attach_source.source,
                                     (SELECT c.relname FROM pg_class c
                                      WHERE c.oid = attach_source.source_table)) COLLATE "default",
                            coalesce(attach_source.part, ''), attach_source.feed, attach_source.backfill,
                            concat_ws(', ', nullif(current_setting('search_path'), ''), '@extschema@')) t;
END;
-- What is text takes literals, which fit none of json and jsonb better
CREATE OR REPLACE FUNCTION @hub@.attach_source(
    source_table regclass, mapping jsonb, source text DEFAULT NULL, backfill boolean DEFAULT true,
    part text DEFAULT NULL, feed text DEFAULT 'queued', OUT rows_read bigint, OUT touchpoints bigint,
    OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT t.rows_read, t.touchpoints, t.rejected
    FROM @hub@.attach_source(attach_source.source_table, attach_source.mapping::json, attach_source.source,
                             attach_source.backfill, attach_source.part, attach_source.feed) t;
END;
CREATE OR REPLACE FUNCTION @hub@.attach_source(
    source_table regclass, mapping text, source text DEFAULT NULL, backfill boolean DEFAULT true,
    part text DEFAULT NULL, feed text DEFAULT 'queued', OUT rows_read bigint, OUT touchpoints bigint,
    OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT t.rows_read, t.touchpoints, t.rejected
    FROM @hub@.attach_source(attach_source.source_table, attach_source.mapping::json, attach_source.source,
                             attach_source.backfill, attach_source.part, attach_source.feed) t;
END;
COMMENT ON FUNCTION @hub@.attach_source(regclass, json, text, boolean, text, text) IS
    'make touchpoints, evidence, traits and consents of the rows of a table, and of those that come, when the '
    'hub is fed; returns '
    'how many rows there were that have been read now, the touchpoints made of them, and how many can be none: see '
    'source_rejects. Without backfill rows there were are left to backfill_source';
COMMENT ON FUNCTION @hub@.attach_source(regclass, jsonb, text, boolean, text, text) IS
    'the same with a mapping in jsonb';
COMMENT ON FUNCTION @hub@.attach_source(regclass, text, text, boolean, text, text) IS 'the same with a mapping in text';

CREATE OR REPLACE FUNCTION @hub@.resync_source(source text, part text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('owner');
    IF source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'source must not be NULL';
    END IF;
    RETURN (SELECT sum(resync(i.id)) FROM unnest(source_ids(source, part)) i(id));
END $$;
COMMENT ON FUNCTION @hub@.resync_source(text, text) IS
    'read all rows of an attached table, or of all parts of a source, and bring the hub in line with them; returns how '
    'many told something else than the hub had';

CREATE OR REPLACE FUNCTION @hub@.alter_table(source text, mapping json, part text, search_path text) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ids integer[];
    id integer;
BEGIN
    PERFORM check_may('owner');
    IF source IS NULL OR mapping IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'alter_source needs a source and a mapping';
    END IF;
    ids := source_ids(source, part);
    IF cardinality(ids) > 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('source %s has several parts', source),
            HINT = 'Say which, by part: there are ' || (SELECT string_agg(s.part, ', ' ORDER BY s.part) FROM sources s
                                                        WHERE s.source_id = ANY (ids)) || '.';
    END IF;
    id := ids[1];
    PERFORM hold_source(id, true);
    UPDATE sources s SET relation = find_table(s.relation, s.relation_name)
    WHERE s.source_id = id AND find_table(s.relation, s.relation_name) <> s.relation;
    PERFORM unwatch_source(id);
    PERFORM take_mapping(id, mapping, search_path);
    RETURN resync(id);
END $$;
COMMENT ON FUNCTION @hub@.alter_table(text, json, text, text) IS 'alter_source, told the search_path of its caller';

CREATE OR REPLACE FUNCTION @hub@.alter_source(source text, mapping json, part text DEFAULT NULL) RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
    SELECT @hub@.alter_table(alter_source.source, alter_source.mapping, alter_source.part,
                             concat_ws(', ', nullif(current_setting('search_path'), ''), '@extschema@'));
END;
CREATE OR REPLACE FUNCTION @hub@.alter_source(source text, mapping jsonb, part text DEFAULT NULL) RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
    SELECT @hub@.alter_source(alter_source.source, alter_source.mapping::json, alter_source.part);
END;
CREATE OR REPLACE FUNCTION @hub@.alter_source(source text, mapping text, part text DEFAULT NULL) RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
    SELECT @hub@.alter_source(alter_source.source, alter_source.mapping::json, alter_source.part);
END;
COMMENT ON FUNCTION @hub@.alter_source(text, json, text) IS
    'give an attached table another mapping, and mend what its rows have told by the old one; returns how many told '
    'something else';
COMMENT ON FUNCTION @hub@.alter_source(text, jsonb, text) IS 'the same with a mapping in jsonb';
COMMENT ON FUNCTION @hub@.alter_source(text, text, text) IS 'the same with a mapping in text';

-- Query for the key values of rows, as text: columns key_values, and key_count, of some thousand rows each
CREATE OR REPLACE FUNCTION @hub@.key_values_query(mapping jsonb, most integer) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    columns CONSTANT text[] := array(SELECT format('%I.%I::pg_catalog.text', mapping ->> 'alias', k.name)
                                     FROM jsonb_array_elements_text(mapping -> 'key_columns') WITH ORDINALITY k(name, n)
                                     ORDER BY k.n);
BEGIN
    RETURN format('SELECT pg_catalog.array_agg(v.value ORDER BY k.n, v.n) AS key_values '
                  'FROM (SELECT pg_catalog.row_number() OVER () AS n, ARRAY[%s] AS key FROM %s) k '
                  'CROSS JOIN LATERAL pg_catalog.unnest(k.key) WITH ORDINALITY v(value, n) '
                  'GROUP BY (k.n - 1) / %3$s ORDER BY (k.n - 1) / %3$s', array_to_string(columns, ', '),
                  mapping_from(mapping || '{"lookups": []}', mapping ->> 'table'), most);
END $$;
COMMENT ON FUNCTION @hub@.key_values_query(jsonb, integer) IS 'query for the keys of rows of an attached table';

-- Of rows by their key values, what is not as it should be. One that can't be read is compared alone.
CREATE OR REPLACE FUNCTION @hub@.check_rows(source_id integer, source text, width integer, key_values text[],
                                            OUT source_key text, OUT problem text, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    r record;
    suppressed record;
    reason text;
    state text;
    forgetful CONSTANT boolean := (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row);
BEGIN
    BEGIN
        SELECT x.keys, x.events, x.observations, x.traits, x.consents INTO r
        FROM read_rows(source_id, noted_rows(source_id), key_values, NULL, NULL) x;
    EXCEPTION WHEN OTHERS THEN
        IF NOT is_row_error(SQLSTATE) THEN
            RAISE;
        ELSIF cardinality(key_values) > width THEN
            RETURN QUERY SELECT c.source_key, c.problem, c.detail
                         FROM generate_series(0, cardinality(key_values) / width - 1) n,
                              check_rows(source_id, source, width, key_values[n * width + 1:(n + 1) * width]) c;
            RETURN;
        END IF;
        reason := SQLERRM;
        state := SQLSTATE;
        SELECT read_list(source_id, noted_keys(source_id), key_values) AS keys, ARRAY[NULL::event] AS events,
               ARRAY[NULL::observation] AS observations, ARRAY[NULL::jsonb] AS traits, ARRAY[NULL::jsonb] AS consents
        INTO r;
    END;
    IF journey_pass('suppressions') THEN
        SELECT n.of_events, n.of_observations, n.any_is INTO suppressed
        FROM names_suppressed(r.events, r.observations, NULL) n;
        IF suppressed.any_is THEN
            -- such rows tell nothing
            SELECT array_agg(u.key ORDER BY u.n) AS keys,
                   array_agg(CASE WHEN NOT suppressed.of_events[u.n] THEN u.event END ORDER BY u.n) AS events,
                   array_agg(CASE WHEN NOT suppressed.of_observations[u.n]
                             THEN u.observation END ORDER BY u.n) AS observations,
                   array_agg(CASE WHEN NOT (suppressed.of_events[u.n] OR suppressed.of_observations[u.n])
                             THEN u.traits END
                             ORDER BY u.n) AS traits,
                   array_agg(CASE WHEN NOT (suppressed.of_events[u.n] OR suppressed.of_observations[u.n])
                             THEN u.consents END
                             ORDER BY u.n) AS consents
            INTO r
            FROM (SELECT generate_subscripts(r.keys, 1) AS n, unnest(r.keys) AS key, unnest(r.events) AS event,
                         unnest(r.observations) AS observation, unnest(r.traits) AS traits,
                         unnest(r.consents) AS consents) u;
        END IF;
    END IF;

    RETURN QUERY
    WITH flaws AS MATERIALIZED (
        SELECT f.reasons
        FROM flaws_of_rows(r.events, r.observations, array_fill(reason, ARRAY[cardinality(r.keys)]),
                           array_fill(state, ARRAY[cardinality(r.keys)])) f
    ), given AS MATERIALIZED (
        SELECT u.n, u.key, u.reason, e.event, o.observation, u.traits, u.consents,
               array(SELECT DISTINCT i.identifier
                     FROM unnest(coalesce((e.event).identifiers, (o.observation).identifiers)) i(identifier)
                     ORDER BY 1) AS people
        FROM flaws f
             CROSS JOIN LATERAL ROWS FROM (unnest(r.keys), unnest(f.reasons), unnest(r.traits), unnest(r.consents))
                                WITH ORDINALITY u(key, reason, traits, consents, n)
             CROSS JOIN LATERAL (SELECT r.events[u.n] AS event) e
             CROSS JOIN LATERAL (SELECT r.observations[u.n] AS observation) o
    ), compared AS MATERIALIZED (
        SELECT g.n, g.key, g.reason, g.people, s.identifiers, s.rejected, s.holds, s.told,
               (g.event).source IS NOT NULL AS is_event, (g.observation).source IS NOT NULL AS observed,
               (s.event).source IS NOT NULL AS known,
               to_jsonb(s.event) - 'identifiers' AS was,
               to_jsonb(g.event) - 'identifiers'
               || CASE WHEN (g.event).currency IS NOT NULL
                       THEN jsonb_build_object('currency', currency_code((g.event).currency))
                           ELSE '{}' END AS should_be,
               coalesce(g.people = s.identifiers, false) AS same_people,
               coalesce(s.observed_at = coalesce((g.event).occurred_at, (g.observation).observed_at), true)
               OR NOT s.holds AS same_time,
               coalesce(g.traits, '{}') AS traits,
               coalesce((SELECT jsonb_object_agg(t.trait, t.value) FROM traits t
                         WHERE t.source = check_rows.source AND t.source_key = g.key AND t.source_key <> ''),
                               '{}') AS traits_were,
               coalesce((SELECT jsonb_object_agg(coalesce(c.purpose, '') || '/' || c.channel, c.state)
                         FROM read_consents(g.consents) c), '{}') AS consents,
               coalesce((SELECT jsonb_object_agg(k.purpose || '/' || k.channel, k.state)
                         FROM (SELECT DISTINCT ON (c.purpose, c.channel) c.purpose, c.channel, c.state, c.valid_until
                               FROM consents c
                               WHERE c.source = check_rows.source AND c.source_key = g.key AND c.source_key <> ''
                               ORDER BY c.purpose, c.channel, c.given_at DESC, c.recorded_at DESC) k
                         WHERE k.valid_until > now() OR k.valid_until IS NULL
                               OR g.consents ? (k.purpose || '/' || k.channel) OR g.consents ? k.purpose),
                        '{}') AS consents_were
        FROM given g JOIN stored_events(source, r.keys) s ON s.n = g.n
    ), told AS (
        SELECT c.n, c.key, 'missing' AS problem,
               CASE WHEN c.reason IS NOT NULL THEN 'It should be in source_rejects: ' || c.reason || '.'
                    WHEN c.is_event THEN 'It should be a touchpoint.'
                    ELSE format('It should tell that these are one: %s.', c.people::text) END AS detail
        FROM compared c
        WHERE CASE WHEN c.reason IS NOT NULL THEN NOT c.rejected
                   WHEN c.rejected THEN false
                   WHEN c.is_event THEN NOT c.known
                   WHEN c.observed AND cardinality(c.people) = 1
                   THEN NOT forgetful AND NOT EXISTS (SELECT FROM identities i WHERE i.identifier = c.people[1])
                   ELSE c.observed AND NOT c.told END
        UNION ALL
        SELECT c.n, c.key, 'differs',
               concat_ws(', ',
                         (SELECT string_agg(format('%s is %s, should be %s', w.key, c.was -> w.key, w.value), ', '
                                            ORDER BY w.key)
                          FROM jsonb_each(c.should_be) w WHERE c.was -> w.key IS DISTINCT FROM w.value),
                         CASE WHEN NOT c.same_people THEN format('identifiers are %s, should be %s',
                                                                 c.identifiers::text,
                                                                 c.people::text)
                              WHEN NOT c.same_time THEN 'its evidence is of another time' END)
        FROM compared c
        WHERE c.reason IS NULL AND NOT c.rejected
              AND CASE WHEN c.is_event THEN c.known AND (c.was <> c.should_be OR NOT c.same_people OR NOT c.same_time)
                       WHEN c.observed THEN c.told AND (NOT c.same_people OR NOT c.same_time) END
        UNION ALL
        SELECT c.n, c.key, 'differs', format('traits are %s, should be %s', c.traits_were, c.traits)
        FROM compared c WHERE c.reason IS NULL AND NOT c.rejected AND c.traits_were <> c.traits
        UNION ALL
        SELECT c.n, c.key, 'differs', format('consents are %s, should be %s', c.consents_were, c.consents)
        FROM compared c WHERE c.reason IS NULL AND NOT c.rejected AND c.consents_were <> c.consents
        UNION ALL
        SELECT c.n, c.key, 'too many',
               CASE WHEN c.reason IS NOT NULL THEN 'Nothing can be made of it: ' || c.reason || '.'
                    WHEN c.known THEN 'It is no touchpoint.'
                    WHEN c.rejected THEN 'It is in source_rejects, but tells nothing.' ELSE 'It is no evidence.' END
        FROM compared c
        WHERE CASE WHEN c.reason IS NOT NULL THEN c.known OR c.holds
                   WHEN c.is_event THEN false
                   WHEN c.observed THEN c.known
                   ELSE c.known OR c.holds OR c.rejected AND c.consents = '{}' END  -- which may be what it is for
    )
    SELECT t.key, t.problem, t.detail FROM told t ORDER BY t.n;
END $$;
COMMENT ON FUNCTION @hub@.check_rows(integer, text, integer, text[]) IS
    'what the hub has else than rows of an attached table';

CREATE OR REPLACE FUNCTION @hub@.check_source(source text, INOUT part text DEFAULT NULL, OUT source_key text,
                                              OUT problem text, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    id integer;
    s record;
    mapping jsonb;
    key_values text[];
BEGIN
    PERFORM check_may('owner');
    IF source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'source must not be NULL';
    END IF;
    FOREACH id IN ARRAY source_ids(source, part) LOOP
        PERFORM lock_partitioned(id), check_trust(id);
        mapping := mapping_of(id);
        SELECT t.part, cardinality(t.key_columns) AS width INTO s FROM sources t WHERE t.source_id = id;
        part := s.part;
        FOR key_values IN EXECUTE key_values_query(mapping, 5000) LOOP
            FOR source_key, problem, detail IN
                SELECT c.source_key, c.problem, c.detail FROM check_rows(id, source, s.width, key_values) c
            LOOP
                RETURN NEXT;
            END LOOP;
        END LOOP;
        CONTINUE WHEN (mapping ->> 'keep')::boolean;
        problem := 'too many';
        detail := 'There is no such row.';
        FOREACH source_key IN ARRAY read_list(id, format(
            'SELECT k.key FROM %1$I.stored_keys(%2$L) k(key) WHERE pg_catalog.starts_with(k.key, %3$L) EXCEPT '
            'SELECT %4$s FROM %5$s '
            'ORDER BY 1', current_schema(), source, CASE part WHEN '' THEN '' ELSE part || ':' END,
            mapping ->> 'key', mapping_from(mapping || '{"lookups": []}', mapping ->> 'table')), NULL) LOOP
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.check_source(text, text) IS
    'what the hub has else than an attached table, or all parts of a source: rows it lacks (missing), has otherwise '
    '(differs), or has though there are none, or they tell nothing (too many). Of what waits to be fed too';

-- Rows are read one by one, for one that fails must not hide the others.
CREATE OR REPLACE FUNCTION @hub@.preview_table(relation regclass, mapping json, max_rows integer, search_path text)
RETURNS TABLE (source_key text, wanted boolean, reason text, identifiers @extschema@.identifier[],
               occurred_at timestamptz, channel text, action text, value numeric, currency text, direction text,
               conversation text, agent text, campaign text, attributes jsonb, subject text, url text,
               evidence boolean, traits jsonb, consents jsonb)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET synchronize_seqscans = off SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
    SET extra_float_digits = 1 SET bytea_output = 'hex'
AS $preview_table$
#variable_conflict use_variable
DECLARE
    own_path CONSTANT text := current_setting('search_path');
    read record;
    located jsonb;
    of_row text;
    queries text[];
    events @hub@.event[];  -- qualified, since they are filled under the search_path of the caller
    observations @hub@.observation[];
    event @hub@.event;
BEGIN
    IF relation IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'preview_source needs a table';
    ELSIF NOT has_table_privilege('settings', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    PERFORM check_attachable(relation, CASE WHEN mapping -> 'watermark' IS NULL THEN 'queued' ELSE 'poll' END);
    SELECT r.compiled, r.columns, r.lookups INTO read FROM read_mapping(relation, mapping, '', '', search_path) r;
    located := locate_mapping(read.compiled, relation, id_of_table(relation), NULL, read.columns, '{}', read.lookups);
    PERFORM check_trusted(located, search_path, '', '', trusted_roles(located, search_path));
    FOR n IN 0 .. coalesce(max_rows, 10) - 1 LOOP
        of_row := format('(SELECT * FROM %s OFFSET %s LIMIT 1)', located ->> 'table', n);
        queries := ARRAY[format('SELECT %s FROM %s', located ->> 'key',
                                mapping_from(located || '{"lookups": []}', of_row)),
                         format('SELECT %s FROM %s', located ->> 'wanted', mapping_from(located, of_row)),
                         format('SELECT ARRAY[m.event], ARRAY[m.observation], m.identifiers, m.traits, m.consents '
                                'FROM (%s) m',
                                mapping_query(located, of_row))];
        source_key := NULL;
        wanted := NULL;
        reason := NULL;
        events := NULL;
        observations := NULL;
        identifiers := NULL;
        traits := NULL;
        consents := NULL;
        BEGIN
            PERFORM set_config('search_path', search_path, true);
            EXECUTE queries[1] INTO source_key;
            EXECUTE queries[2] INTO wanted;
            EXECUTE queries[3] INTO events, observations, identifiers, traits, consents;
            PERFORM pg_catalog.set_config('search_path', own_path, true);
        EXCEPTION WHEN OTHERS THEN
            IF NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;
            reason := SQLERRM;
        END;
        EXIT WHEN source_key IS NULL AND reason IS NULL;
        IF reason IS NULL THEN
            reason := coalesce((SELECT f.reasons[1] FROM flaws_of_rows(events, observations, NULL, NULL) f),
                               (SELECT min(c.flaw) FROM read_consents(consents) c));
        END IF;
        wanted := coalesce(wanted, CASE WHEN reason IS NULL THEN false END);
        event := events[1];
        evidence := observations[1].source IS NOT NULL;
        occurred_at := coalesce(event.occurred_at, observations[1].observed_at);
        channel := event.channel;
        action := event.action;
        value := event.value;
        currency := event.currency;
        direction := event.direction;
        conversation := event.conversation;
        agent := event.agent;
        campaign := event.campaign;
        attributes := event.attributes;
        subject := event.subject;
        url := event.url;
        RETURN NEXT;
    END LOOP;
END $preview_table$;
COMMENT ON FUNCTION @hub@.preview_table(regclass, json, integer, text) IS
    'preview_source, told the search_path of its caller';

CREATE OR REPLACE FUNCTION @hub@.preview_source(source_table regclass, mapping json, max_rows integer DEFAULT 10)
RETURNS TABLE (source_key text, wanted boolean, reason text, identifiers @extschema@.identifier[],
               occurred_at timestamptz, channel text, action text, value numeric, currency text, direction text,
               conversation text, agent text, campaign text, attributes jsonb, subject text, url text,
               evidence boolean, traits jsonb, consents jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.source_key, p.wanted, p.reason, p.identifiers, p.occurred_at, p.channel, p.action, p.value, p.currency,
           p.direction, p.conversation, p.agent, p.campaign, p.attributes, p.subject, p.url, p.evidence, p.traits,
           p.consents
    FROM @hub@.preview_table(preview_source.source_table, preview_source.mapping, preview_source.max_rows,
                             concat_ws(', ', nullif(current_setting('search_path'), ''), '@extschema@')) p;
END;
CREATE OR REPLACE FUNCTION @hub@.preview_source(source_table regclass, mapping jsonb, max_rows integer DEFAULT 10)
RETURNS TABLE (source_key text, wanted boolean, reason text, identifiers @extschema@.identifier[],
               occurred_at timestamptz, channel text, action text, value numeric, currency text, direction text,
               conversation text, agent text, campaign text, attributes jsonb, subject text, url text,
               evidence boolean, traits jsonb, consents jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.source_key, p.wanted, p.reason, p.identifiers, p.occurred_at, p.channel, p.action, p.value, p.currency,
           p.direction, p.conversation, p.agent, p.campaign, p.attributes, p.subject, p.url, p.evidence, p.traits,
           p.consents
    FROM @hub@.preview_source(preview_source.source_table, preview_source.mapping::json, preview_source.max_rows) p;
END;
CREATE OR REPLACE FUNCTION @hub@.preview_source(source_table regclass, mapping text, max_rows integer DEFAULT 10)
RETURNS TABLE (source_key text, wanted boolean, reason text, identifiers @extschema@.identifier[],
               occurred_at timestamptz, channel text, action text, value numeric, currency text, direction text,
               conversation text, agent text, campaign text, attributes jsonb, subject text, url text,
               evidence boolean, traits jsonb, consents jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.source_key, p.wanted, p.reason, p.identifiers, p.occurred_at, p.channel, p.action, p.value, p.currency,
           p.direction, p.conversation, p.agent, p.campaign, p.attributes, p.subject, p.url, p.evidence, p.traits,
           p.consents
    FROM @hub@.preview_source(preview_source.source_table, preview_source.mapping::json, preview_source.max_rows) p;
END;
COMMENT ON FUNCTION @hub@.preview_source(regclass, json, integer) IS
    'what attach_source would make of some rows of a table: whether they are wanted by where, the touchpoint, or the '
    'reason why there can be none, whether they are evidence instead, their traits and consents. Changes nothing';
COMMENT ON FUNCTION @hub@.preview_source(regclass, jsonb, integer) IS 'the same with a mapping in jsonb';
COMMENT ON FUNCTION @hub@.preview_source(regclass, text, integer) IS 'the same with a mapping in text';
