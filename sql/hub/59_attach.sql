-- Attaching tables: what a mapping means, the triggers, the backfill, and taking it all back.

-- Whose code runs with the rights of whoever reads the rows of a source: owners of the table, of its columns' types,
-- whose casts are called, and of what the mapping calls. Superusers and the hub's owner need no trust.
CREATE OR REPLACE FUNCTION @hub@.trusted_roles(source text, relation regclass) RETURNS name[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    hub_owner CONSTANT oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = 'sources'::regclass);
BEGIN
    RETURN array(
        WITH called AS (
            SELECT d.refclassid AS class, d.refobjid AS id
            FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
            WHERE p.pronamespace = quote_ident(current_schema())::regnamespace
                  AND p.proname IN (source_object('map', source), source_object('key', source),
                                    source_object('place', source))
        )
        SELECT DISTINCT o.rolname
        FROM (SELECT c.relowner FROM source_tables(relation) t JOIN pg_class c ON c.oid = t.member
              UNION ALL
              SELECT y.typowner FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid WHERE a.attrelid = relation
                     AND a.attnum > 0
              UNION ALL
              SELECT f.proowner FROM called c JOIN pg_proc f ON c.class = 'pg_proc'::regclass AND f.oid = c.id
              UNION ALL
              SELECT f.proowner FROM called c JOIN pg_operator x ON c.class = 'pg_operator'::regclass AND x.oid = c.id
                     JOIN pg_proc f ON f.oid = x.oprcode
              UNION ALL
              SELECT y.typowner FROM called c JOIN pg_type y ON c.class = 'pg_type'::regclass AND y.oid = c.id) u(owner)
             JOIN pg_roles o ON o.oid = u.owner
        WHERE NOT o.rolsuper AND o.oid <> hub_owner
        ORDER BY o.rolname);
END $$;
COMMENT ON FUNCTION @hub@.trusted_roles(text, regclass) IS
    'roles whose code runs when rows of an attached table are read';

-- Before rows are read with the hub owner's rights
CREATE OR REPLACE FUNCTION @hub@.check_trust(source text, relation regclass, trusts name[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    hiding CONSTANT regclass := (SELECT min(t.member::oid) FROM source_tables(relation) t
                                 WHERE row_security_active(t.member));
    stranger CONSTANT name := (SELECT min(t.role) FROM unnest(trusted_roles(source, relation)) t(role)
                               WHERE t.role <> ALL (trusts));
BEGIN
    IF hiding IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('row-level security of %s may hide rows', hiding),
            HINT = 'Read it as its owner, or as a role that bypasses row-level security.';
    ELSIF stranger IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('reading rows of %s could run code of role %s, '
                             'who had nothing to do with it when it was attached', relation, stranger),
            DETAIL = 'It owns the table or a partition of it, the type of a column, or a function of the mapping.',
            HINT = format('If you trust that role: UPDATE %I.sources SET trusts = trusts || %L::name '
                          'WHERE source = %L.',
                          current_schema(), stranger, source);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_trust(text, regclass, name[]) IS
    'refuse to read a table whose rows are hidden, or whose owner has changed';

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
COMMENT ON FUNCTION @hub@.warn_of_writers(text, regclass) IS 'warn of roles that may write to a table but not to the hub';

CREATE OR REPLACE FUNCTION @hub@.check_attachable(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    c record;
    kind text;
BEGIN
    SELECT t.relnamespace, t.relpersistence, t.relkind, t.relispartition INTO c FROM pg_class t WHERE t.oid = relation;
    kind := CASE WHEN c.relnamespace = quote_ident(current_schema())::regnamespace THEN 'a table of the hub'
                 WHEN c.relnamespace = 'pg_catalog'::regnamespace THEN 'a system catalog'
                 WHEN c.relpersistence = 't' THEN 'a temporary table'
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
                            ELSE 'Pass its rows to record_many.' END;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_attachable(regclass) IS 'refuse what is no table whose rows can be touchpoints';

-- Nobody else can write the table until this commits, so its rows are read at once, and numbered in one order.
CREATE OR REPLACE FUNCTION @hub@.attach_table(
    relation regclass, mapping json, source text, backfill boolean, search_path text, part text,
    feed text, OUT rows_read bigint, OUT touchpoints bigint, OUT rejected bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    id integer;
    leaves regclass[];
    estimated bigint;
    hint text;
BEGIN
    IF relation IS NULL OR source IS NULL OR source = '' OR backfill IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'attach_source needs a table, and a source has a name';
    END IF;
    PERFORM check_may('owner');
    IF feed <> 'poll' THEN
        PERFORM check_attachable(relation);
    END IF;
    IF EXISTS (SELECT FROM sources s WHERE s.source = attach_table.source AND s.part = attach_table.part
               AND s.detached_at IS NULL) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('source %s is attached already', source),
            HINT = 'Another touchpoint of the same rows needs another name for the source.';
    ELSIF EXISTS (SELECT FROM touchpoint_keys k WHERE k.source = attach_table.source)
          AND NOT EXISTS (SELECT FROM sources s WHERE s.source = attach_table.source AND s.detached_at IS NULL) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('there are touchpoints of source %s already', source),
            HINT = 'Choose another name' || CASE WHEN EXISTS (SELECT FROM sources s
                                                              WHERE s.source = attach_table.source)
                                                 THEN format(', or remove them by %I.detach_source(%L, keep => false).',
                                                             current_schema(), source)
                                                 ELSE '.' END;
    ELSIF backfill AND current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
            MESSAGE = 'a table must be backfilled at READ COMMITTED',
            DETAIL = format('This transaction is at %s, where what others have changed since it began can''t be seen.',
                            upper(current_setting('transaction_isolation')));
    END IF;
    DELETE FROM source_rejects r WHERE r.source = attach_table.source;
    DELETE FROM sources s WHERE s.source = attach_table.source AND s.part = attach_table.part;

    INSERT INTO sources (source, part, relation, mapping, feed) VALUES (source, part, relation, mapping, feed)
    RETURNING sources.source_id INTO id;
    PERFORM store_mapping(id, mapping, search_path);
    leaves := watch_source(id);
    estimated := (SELECT sum(nullif(t.reltuples, -1)) FROM pg_class t WHERE t.oid = ANY (leaves));
    UPDATE sources s SET rows_estimated = estimated, pending = leaves WHERE s.source_id = id;
    rows_read := 0;
    IF backfill THEN
        rows_read := (fill_source(id)).row_count;
    END IF;
    SELECT c.touchpoints, c.rejected, c.hint INTO touchpoints, rejected, hint FROM count_of_source(source) c;
    IF rejected > 0 THEN
        RAISE NOTICE USING MESSAGE = format('rows of %s of which no touchpoint can be made: %s', source, rejected),
            HINT = hint;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.attach_table(regclass, json, text, boolean, text, text, text) IS 'attach_source, told the search_path of its caller';

-- A name has another collation than text, which all functions called would inherit, and no index on text would fit.
CREATE OR REPLACE FUNCTION @hub@.attach_source(
    source_table regclass, mapping json, source text DEFAULT NULL, backfill boolean DEFAULT true,
    part text DEFAULT NULL, feed text DEFAULT 'queued', OUT rows_read bigint, OUT touchpoints bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT t.rows_read, t.touchpoints, t.rejected
    FROM @hub@.attach_table(attach_source.source_table, attach_source.mapping,
                            coalesce(attach_source.source,
                                     (SELECT c.relname FROM pg_class c
                                      WHERE c.oid = attach_source.source_table)) COLLATE "default",
                            attach_source.backfill,
                                concat_ws(', ', nullif(current_setting('search_path'), ''), '@extschema@'),
                            coalesce(attach_source.part, ''), attach_source.feed) t;
END;
-- What is text takes literals, which fit none of json and jsonb better
CREATE OR REPLACE FUNCTION @hub@.attach_source(
    source_table regclass, mapping jsonb, source text DEFAULT NULL, backfill boolean DEFAULT true,
    part text DEFAULT NULL, feed text DEFAULT 'queued', OUT rows_read bigint, OUT touchpoints bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT t.rows_read, t.touchpoints, t.rejected
    FROM @hub@.attach_source(attach_source.source_table, attach_source.mapping::json, attach_source.source,
                             attach_source.backfill, attach_source.part, attach_source.feed) t;
END;
CREATE OR REPLACE FUNCTION @hub@.attach_source(
    source_table regclass, mapping text, source text DEFAULT NULL, backfill boolean DEFAULT true,
    part text DEFAULT NULL, feed text DEFAULT 'queued', OUT rows_read bigint, OUT touchpoints bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT t.rows_read, t.touchpoints, t.rejected
    FROM @hub@.attach_source(attach_source.source_table, attach_source.mapping::json, attach_source.source,
                             attach_source.backfill, attach_source.part, attach_source.feed) t;
END;
COMMENT ON FUNCTION @hub@.attach_source(regclass, json, text, boolean, text, text) IS
    'make touchpoints of the rows of a table, from now on in the transactions that write it; returns how many rows '
    'there were that have been read now, the touchpoints made of them, and how many can be none: see source_rejects. '
    'Without backfill rows there were are left to backfill_source';
COMMENT ON FUNCTION @hub@.attach_source(regclass, jsonb, text, boolean, text, text) IS 'the same with a mapping in jsonb';
COMMENT ON FUNCTION @hub@.attach_source(regclass, text, text, boolean, text, text) IS 'the same with a mapping in text';

-- Rows are read one by one, for one that fails must not hide the others.
CREATE OR REPLACE FUNCTION @hub@.preview_table(relation regclass, mapping json, max_rows integer, search_path text)
RETURNS TABLE (source_key text, wanted boolean, reason text, identifiers @extschema@.identifier[],
               occurred_at timestamptz, channel text, action text,
               value numeric, currency text, direction text, conversation text, agent text, campaign text,
                   attributes jsonb)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $preview_table$
#variable_conflict use_variable
DECLARE
    own_path CONSTANT text := current_setting('search_path');
    hub CONSTANT name := current_schema();
    read record;
    row_is text;
    queries text[];
    at record;
    event @hub@.event;  -- qualified, since it is filled under the search_path of the caller
BEGIN
    IF relation IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'preview_source needs a table';
    ELSIF NOT has_table_privilege('settings', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    PERFORM check_attachable(relation);
    SELECT r.event, r.key, r.condition INTO read FROM read_mapping(relation, mapping, '', search_path) r;
    row_is := (SELECT format('%1$I.%2$I WHERE %2$I.tableoid = $1 AND %2$I.ctid = $2', n.nspname, c.relname)
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation);
    queries := ARRAY[format('SELECT %s FROM %s', read.key, row_is), format('SELECT %s FROM %s', read.condition, row_is),
                     format('SELECT (ROW(%s)::%I.event).* FROM %s', read.event, hub, row_is)];
    FOR at IN EXECUTE format('SELECT r.tableoid AS part, r.ctid AS tid FROM %s r LIMIT $1', relation)
        USING max_rows LOOP
        source_key := NULL;
        wanted := NULL;
        reason := NULL;
        event := NULL;
        BEGIN
            PERFORM set_config('search_path', search_path, true);
            EXECUTE queries[1] INTO source_key USING at.part, at.tid;
            EXECUTE queries[2] INTO wanted USING at.part, at.tid;
            IF wanted THEN
                EXECUTE queries[3] INTO event USING at.part, at.tid;
            END IF;
            PERFORM pg_catalog.set_config('search_path', own_path, true);
        EXCEPTION WHEN OTHERS THEN
            IF NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;
            reason := SQLERRM;
        END;
        IF reason IS NULL AND wanted THEN
            reason := (SELECT f.reason FROM flaw_of(event) f);
        END IF;
        wanted := coalesce(wanted, CASE WHEN reason IS NULL THEN false END);
        identifiers := event.identifiers;
        occurred_at := event.occurred_at;
        channel := event.channel;
        action := event.action;
        value := event.value;
        currency := event.currency;
        direction := event.direction;
        conversation := event.conversation;
        agent := event.agent;
        campaign := event.campaign;
        attributes := event.attributes;
        RETURN NEXT;
    END LOOP;
END $preview_table$;
COMMENT ON FUNCTION @hub@.preview_table(regclass, json, integer, text) IS
    'preview_source, told the search_path of its caller';

CREATE OR REPLACE FUNCTION @hub@.preview_source(source_table regclass, mapping json, max_rows integer DEFAULT 10)
RETURNS TABLE (source_key text, wanted boolean, reason text, identifiers @extschema@.identifier[],
               occurred_at timestamptz, channel text, action text,
               value numeric, currency text, direction text, conversation text, agent text, campaign text,
                   attributes jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.source_key, p.wanted, p.reason, p.identifiers, p.occurred_at, p.channel, p.action, p.value, p.currency,
           p.direction, p.conversation,
           p.agent, p.campaign, p.attributes
    FROM @hub@.preview_table(preview_source.source_table, preview_source.mapping, preview_source.max_rows,
                             concat_ws(', ', nullif(current_setting('search_path'), ''), '@extschema@')) p;
END;
CREATE OR REPLACE FUNCTION @hub@.preview_source(source_table regclass, mapping jsonb, max_rows integer DEFAULT 10)
RETURNS TABLE (source_key text, wanted boolean, reason text, identifiers @extschema@.identifier[],
               occurred_at timestamptz, channel text, action text,
               value numeric, currency text, direction text, conversation text, agent text, campaign text,
                   attributes jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.source_key, p.wanted, p.reason, p.identifiers, p.occurred_at, p.channel, p.action, p.value, p.currency,
           p.direction, p.conversation,
           p.agent, p.campaign, p.attributes
    FROM @hub@.preview_source(preview_source.source_table, preview_source.mapping::json, preview_source.max_rows) p;
END;
CREATE OR REPLACE FUNCTION @hub@.preview_source(source_table regclass, mapping text, max_rows integer DEFAULT 10)
RETURNS TABLE (source_key text, wanted boolean, reason text, identifiers @extschema@.identifier[],
               occurred_at timestamptz, channel text, action text,
               value numeric, currency text, direction text, conversation text, agent text, campaign text,
                   attributes jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.source_key, p.wanted, p.reason, p.identifiers, p.occurred_at, p.channel, p.action, p.value, p.currency,
           p.direction, p.conversation,
           p.agent, p.campaign, p.attributes
    FROM @hub@.preview_source(preview_source.source_table, preview_source.mapping::json, preview_source.max_rows) p;
END;
COMMENT ON FUNCTION @hub@.preview_source(regclass, json, integer) IS
    'what attach_source would make of some rows of a table: whether they are wanted by where, the touchpoint, or the '
    'reason why there can be none. Changes nothing';
COMMENT ON FUNCTION @hub@.preview_source(regclass, jsonb, integer) IS 'the same with a mapping in jsonb';
COMMENT ON FUNCTION @hub@.preview_source(regclass, text, integer) IS 'the same with a mapping in text';

CREATE OR REPLACE FUNCTION @hub@.check_trust(source_id integer) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
END $$;
COMMENT ON FUNCTION @hub@.check_trust(integer) IS 'interim';
