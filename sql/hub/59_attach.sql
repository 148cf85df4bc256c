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

-- The table and its partitions, those first that have rows.
CREATE OR REPLACE FUNCTION @hub@.source_tables(relation regclass, OUT member regclass, OUT leaf boolean)
    RETURNS SETOF record
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT t.relid, t.isleaf FROM pg_partition_tree(source_tables.relation) t
    UNION ALL
    SELECT c.oid, true FROM pg_class c
    WHERE c.oid = source_tables.relation AND NOT EXISTS (SELECT FROM pg_partition_tree(source_tables.relation));
END;
COMMENT ON FUNCTION @hub@.source_tables(regclass) IS 'a table and its partitions';

-- Statement triggers fire for the table a statement names only, so each partition has its own.
CREATE OR REPLACE FUNCTION @hub@.watch_tables(source text, relation regclass) RETURNS regclass[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET client_min_messages = warning
AS $$
#variable_conflict use_variable
DECLARE
    fresh regclass[] := '{}';
    member regclass;
    kind text[];
    trigger name;
BEGIN
    FOR member IN
        SELECT t.member FROM source_tables(relation) t
        WHERE NOT EXISTS (SELECT FROM source_triggers(source) g WHERE g.relation = t.member)
        ORDER BY t.leaf, t.member
    LOOP
        FOREACH kind SLICE 1 IN ARRAY ARRAY[['insert', 'AFTER INSERT', 'REFERENCING NEW TABLE AS new_rows'],
                                            ['update', 'AFTER UPDATE',
                                             'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'],
                                            ['delete', 'AFTER DELETE', 'REFERENCING OLD TABLE AS old_rows'],
                                            ['truncate', 'BEFORE TRUNCATE', '']] LOOP
            trigger := source_object(current_schema() || '_' || kind[1], source);
            WHILE EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = member AND g.tgname = trigger) LOOP
                -- it has another hub's, or one of its own, of that name
                trigger := source_object('hub', format('%s %s', trigger, member::oid));
            END LOOP;
            EXECUTE format('CREATE TRIGGER %I %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION feed_source(%L)',
                           trigger, kind[2], member, kind[3], source);
        END LOOP;
        fresh := fresh || member;
    END LOOP;
    RETURN array(SELECT t.member FROM source_tables(relation) t WHERE t.leaf AND t.member = ANY (fresh)
                 ORDER BY t.member);
END $$;
COMMENT ON FUNCTION @hub@.watch_tables(text, regclass) IS 'make the triggers of a table, and of its partitions; returns those with rows that had none';

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

-- Put rows into the hub that are not in it yet; arrays of what they mean. Who makes a partition keeps all others from
-- touchpoints until his transaction ends, so only the backfill that commits makes some, and first of all: if one is
-- lacking, nothing is done but to return from when on. Those of ten years at most, so that a wrong date makes no
-- thousand: what is older has the default one.
CREATE OR REPLACE FUNCTION @hub@.backfill_rows(
    source text, keys text[], news @hub@.event[], reasons text[], states text[], make_partitions boolean,
        careful boolean) RETURNS timestamptz
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
DECLARE
    oldest timestamptz;
BEGIN
    IF make_partitions THEN
        oldest := (SELECT min(e.occurred_at) FROM unnest(news) e
                   WHERE e.occurred_at >= now() - least('10 years', (SELECT s.keep_touchpoints FROM settings s)));
        IF oldest < now() AND NOT EXISTS (SELECT FROM touchpoint_partitions() p WHERE p.since <= oldest
                                          AND oldest < p.until) THEN
            RETURN oldest;
        END IF;
    END IF;
    PERFORM apply_rows(source, keys, array_fill(NULL::event, ARRAY[cardinality(keys)]), news, reasons, states, careful,
                       true);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.backfill_rows(text, text[], @hub@.event[], text[], text[], boolean, boolean) IS
    'put rows into the hub that are not in it yet';

-- Record rows that a part of a query yields, in the order of their keys.
CREATE OR REPLACE FUNCTION @hub@.backfill_from(source text, rows_from text, tids tid[], make_partitions boolean,
                                               careful boolean) RETURNS timestamptz
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off SET synchronize_seqscans = off
AS $$
#variable_conflict use_variable
DECLARE
    done bigint := 0;
    lacking timestamptz;
    change record;
    keys text[] := '{}';
    news event[] := '{}';
    reasons text[] := '{}';
    states text[] := '{}';
BEGIN
    FOR change IN EXECUTE format('SELECT n.key, n.event, n.reason, n.state FROM (%s) n ORDER BY n.place',
                                 rows_query(source, row_as(source, 'r'), rows_from, careful, false, true))
                  USING tids
    LOOP
        keys := array_append(keys, change.key);
        news := array_append(news, change.event);
        reasons := array_append(reasons, change.reason);
        states := array_append(states, change.state);
        IF cardinality(keys) = 1000 THEN
            lacking := backfill_rows(source, keys, news, reasons, states, make_partitions, careful);
            IF lacking IS NOT NULL THEN
                RETURN lacking;
            END IF;
            keys := '{}';
            news := '{}';
            reasons := '{}';
            states := '{}';
            done := done + 1000;
            IF tids IS NULL AND done % 100000 = 0 THEN
                RAISE NOTICE USING MESSAGE = format('backfill of %s: %s rows', source, done);
            END IF;
        END IF;
    END LOOP;
    RETURN backfill_rows(source, keys, news, reasons, states, make_partitions, careful);
END $$;
COMMENT ON FUNCTION @hub@.backfill_from(text, text, tid[], boolean, boolean) IS
    'put rows into the hub that a part of a query yields';

-- The index that rows are read by: that of a primary key of numbers or times. NULL: it has none, and is read by blocks.
CREATE OR REPLACE FUNCTION @hub@.read_by_index(relation regclass) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT i.indexrelid
            FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
                   AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
                 JOIN pg_type t ON t.oid = a.atttypid
            WHERE i.indrelid = relation AND i.indisprimary AND i.indisvalid
            GROUP BY i.indexrelid HAVING bool_and(t.typcategory IN ('N', 'D')));
END $$;
COMMENT ON FUNCTION @hub@.read_by_index(regclass) IS
    'index by which the rows of a table are read in the order of their keys';

-- The next rows of a table, some thousand: after a key, in the order of the index, or from a block on. A row that
-- others may change is locked before it is read, and so stays as it is until it has been recorded: who waits for it
-- will find its touchpoint. Up to which key is found before: a row that was waited for may have another by then.
CREATE OR REPLACE FUNCTION @hub@.lock_rows(relation regclass, index oid, row_count integer, next_key text[],
                                           next_block bigint, end_block bigint,
                                           OUT tids tid[], OUT last_key text[], OUT last_block bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    key record;
    condition text := 'true';
BEGIN
    IF index IS NOT NULL THEN
        SELECT string_agg(format('r.%I', a.attname), ', ' ORDER BY k.n) AS columns,
               string_agg(format('r.%I::text', a.attname), ', ' ORDER BY k.n) AS texts,
               string_agg(format('%L::%s', next_key[k.n], format_type(a.atttypid, a.atttypmod)), ', '
                          ORDER BY k.n) AS lowest,
               array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY k.n) AS types INTO key
        FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY k(attnum, n)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE i.indexrelid = index AND k.n <= i.indnkeyatts;
        IF next_key IS NOT NULL THEN
            condition := format('ROW(%s) > ROW(%s)', key.columns, key.lowest);
        END IF;
        EXECUTE format('SELECT ARRAY[%s] FROM ONLY %s r WHERE %s ORDER BY %s OFFSET %s LIMIT 1', key.texts, relation,
                       condition, key.columns, row_count - 1)
        INTO last_key;
        IF last_key IS NOT NULL THEN
            condition := format('%s AND ROW(%s) <= ROW(%s)', condition, key.columns,
                                (SELECT string_agg(format('%L::%s', last_key[u.n], u.type), ', ' ORDER BY u.n)
                                 FROM unnest(key.types) WITH ORDINALITY u(type, n)));
        END IF;
    ELSE
        last_block := nullif(least(next_block + greatest(row_count / 40, 1), end_block), end_block);
        condition := format('r.ctid >= %L AND r.ctid < %L', format('(%s,0)', next_block),
                            format('(%s,0)', coalesce(last_block, end_block)));
    END IF;
    EXECUTE format('SELECT coalesce(array_agg(l.tid), ''{}'') '
                   'FROM (SELECT r.ctid AS tid FROM ONLY %s r WHERE %s FOR SHARE) l', relation, condition) INTO tids;
END $$;
COMMENT ON FUNCTION @hub@.lock_rows(regclass, oid, integer, text[], bigint, bigint) IS
    'lock the next rows of a table; returns them, and the key or block to go on from, both NULL if they are the last';

-- Read the next rows that were there before the triggers; returns how many, NULL: there are no more. Rows are locked in
-- the order in which they are stored, which others don't know: before that could be a deadlock, the locks are given
-- back, and fewer rows are tried.
CREATE OR REPLACE FUNCTION @hub@.backfill_batch(source text) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off SET lock_timeout = 0
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    batch CONSTANT text := '(SELECT * FROM ONLY %s l WHERE l.ctid = ANY ($1))';
    s record;
    part record;
    index oid;
    size integer := 5120;
    make_partitions boolean := true;
    careful boolean := false;
    row_count bigint;
    lacking timestamptz;  -- that it is set tells our error from one of the mapping's
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
            MESSAGE = 'a table must be backfilled at READ COMMITTED',
            DETAIL = format('This transaction is at %s, where what others have changed since it began can''t be seen.',
                            upper(current_setting('transaction_isolation')));
    END IF;
    SELECT t.relation, t.trusts, t.pending, t.read_by, t.next_key, t.next_block, t.end_block INTO s
    FROM sources t WHERE t.source = backfill_batch.source AND t.detached_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('no table is attached as source %s', coalesce(source, 'NULL'));
    END IF;
    WHILE s.pending <> '{}' AND NOT EXISTS (SELECT FROM source_tables(s.relation) t WHERE t.member = s.pending[1]) LOOP
        s.pending := s.pending[2:];  -- dropped, or a partition no longer
        s.read_by := NULL;
    END LOOP;
    IF s.pending = '{}' THEN
        UPDATE sources t
        SET pending = '{}', read_by = NULL, next_key = NULL, next_block = NULL, end_block = NULL,
            backfilled_at = coalesce(t.backfilled_at, now())
        WHERE t.source = backfill_batch.source;
        RETURN NULL;
    END IF;
    -- so that nobody rewrites it, or gives it away
    EXECUTE format('LOCK TABLE ONLY %s IN ROW SHARE MODE', s.pending[1]);
    PERFORM check_trust(source, s.relation, s.trusts);
    index := read_by_index(s.pending[1]);
    IF s.read_by IS DISTINCT FROM coalesce(index, pg_relation_filenode(s.pending[1])) THEN
        s.read_by := coalesce(index, pg_relation_filenode(s.pending[1]));
        s.next_key := NULL;
        s.next_block := 0;
        s.end_block := pg_relation_size(s.pending[1]) / current_setting('block_size')::bigint;
    END IF;
    WHILE row_count IS NULL LOOP
        BEGIN
            PERFORM set_config('lock_timeout', (g.setting::integer / 4 + 1)::text, true) FROM pg_settings g
                WHERE g.name = 'deadlock_timeout';
            SELECT l.tids, l.last_key, l.last_block INTO part
            FROM lock_rows(s.pending[1], index, size, s.next_key, s.next_block, s.end_block) l;
            -- from where they were locked, so that none is recorded that has not been
            lacking := backfill_from(source, format(batch, s.pending[1]), part.tids, make_partitions, careful);
            row_count := cardinality(part.tids);
            IF lacking IS NOT NULL THEN
                RAISE EXCEPTION 'a partition must be made';  -- gives all locks back
            END IF;
        EXCEPTION WHEN OTHERS THEN
            IF lacking IS NOT NULL THEN
                IF make_partitions(lacking) > 0 THEN
                    RETURN 0;
                END IF;
                make_partitions := false;  -- of that month there can't be one
                lacking := NULL;
                row_count := NULL;
            ELSIF SQLSTATE <> '55P03' THEN
                IF careful OR NOT is_row_error(SQLSTATE) THEN
                    RAISE;
                END IF;
                careful := true;
            ELSIF size > 40 THEN
                size := size / 4;
            ELSE
                -- of the mapping, it comes without locks too, and will for ever
                EXECUTE format('SELECT count(n.event) FROM (%s) n',
                               rows_query(source, row_as(source, 'r'), format(batch, s.pending[1]), true, false,
                                          false))
                USING part.tids;
                PERFORM pg_sleep(0.05);
            END IF;
        END;
    END LOOP;
    IF part.last_key IS NULL AND part.last_block IS NULL THEN
        s.pending := s.pending[2:];
        s.read_by := NULL;
    END IF;
    UPDATE sources t
    SET rows_done = t.rows_done + row_count, pending = s.pending, read_by = s.read_by, next_key = part.last_key,
        next_block = part.last_block,
        end_block = s.end_block
    WHERE t.source = backfill_batch.source;
    RETURN row_count;
END $$;
COMMENT ON FUNCTION @hub@.backfill_batch(text) IS
    'put rows into the hub that were there before their table was attached';

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

CREATE OR REPLACE FUNCTION @hub@.count_of_source(source text, OUT touchpoints bigint, OUT rejected bigint,
                                                 OUT hint text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    touchpoints := (SELECT count(*) FROM touchpoint_keys k WHERE k.source = count_of_source.source);
    rejected := (SELECT count(*) FROM source_rejects r WHERE r.source = count_of_source.source);
    hint := CASE WHEN rejected > 0 THEN format('Why: SELECT * FROM %I.source_rejects WHERE source = %L.',
                                               current_schema(), source) END;
END $$;
COMMENT ON FUNCTION @hub@.count_of_source(text) IS
    'how many rows of a source are touchpoints, how many can be none, and where to look';

-- Nobody else can write the table until this commits, so its rows are read at once, and numbered in one order.
CREATE OR REPLACE FUNCTION @hub@.attach_table(
    relation regclass, mapping json, source text, backfill boolean, search_path text,
    OUT rows_read bigint, OUT touchpoints bigint, OUT rejected bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    made record;
    twice text;
    trusts name[];
    leaves regclass[];
    estimated bigint;
    hint text;
BEGIN
    IF relation IS NULL OR source IS NULL OR source = '' OR backfill IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'attach_source needs a table, and a source has a name';
    END IF;
    PERFORM check_may('owner');
    PERFORM check_attachable(relation);
    IF EXISTS (SELECT FROM sources s WHERE s.source = attach_table.source AND s.detached_at IS NULL) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('source %s is attached already', source),
            HINT = 'Another touchpoint of the same rows needs another name for the source.';
    ELSIF EXISTS (SELECT FROM touchpoint_keys k WHERE k.source = attach_table.source) THEN
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
    DELETE FROM sources s WHERE s.source = attach_table.source;

    SELECT m.unique_key, m.steady INTO made FROM make_mapping(relation, mapping, source, search_path) m;
    leaves := watch_tables(source, relation);
    trusts := trusted_roles(source, relation);
    PERFORM check_trust(source, relation, trusts);
    IF NOT made.unique_key THEN
        EXECUTE format('SELECT k.key FROM (SELECT %I(%s) AS key FROM %s r) k '
                       'GROUP BY k.key HAVING count(*) > 1 LIMIT 1',
                       source_object('key', source), row_as(source, 'r'), relation) INTO twice;
        IF twice IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'unique_violation',
                MESSAGE = format('rows of %s have the same key: %s', relation, twice),
                HINT = 'Give the mapping a key that is unique.';
        END IF;
    END IF;
    estimated := (SELECT sum(nullif(t.reltuples, -1)) FROM pg_class t WHERE t.oid = ANY (leaves));
    INSERT INTO sources (source, relation, mapping, trusts, steady, rows_estimated, pending)
    VALUES (source, relation, mapping, trusts, made.steady, estimated, leaves);
    PERFORM warn_of_writers(source, relation);

    rows_read := 0;
    IF backfill THEN
        BEGIN
            PERFORM backfill_from(source, relation::text, NULL, false, false);
        EXCEPTION WHEN OTHERS THEN
            IF NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;
            PERFORM backfill_from(source, relation::text, NULL, false, true);
        END;
        EXECUTE format('SELECT count(*) FROM %s r', relation) INTO rows_read;
        UPDATE sources s SET pending = '{}', backfilled_at = now(), rows_done = rows_read
        WHERE s.source = attach_table.source;
    END IF;
    SELECT c.touchpoints, c.rejected, c.hint INTO touchpoints, rejected, hint FROM count_of_source(source) c;
    IF rejected > 0 THEN
        RAISE NOTICE USING MESSAGE = format('rows of %s of which no touchpoint can be made: %s', source, rejected),
            HINT = hint;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.attach_table(regclass, json, text, boolean, text) IS 'attach_source, told the search_path of its caller';

-- A name has another collation than text, which all functions called would inherit, and no index on text would fit.
CREATE OR REPLACE FUNCTION @hub@.attach_source(
    source_table regclass, mapping json, source text DEFAULT NULL, backfill boolean DEFAULT true,
    OUT rows_read bigint, OUT touchpoints bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT t.rows_read, t.touchpoints, t.rejected
    FROM @hub@.attach_table(attach_source.source_table, attach_source.mapping,
                            coalesce(attach_source.source,
                                     (SELECT c.relname FROM pg_class c
                                      WHERE c.oid = attach_source.source_table)) COLLATE "default",
                            attach_source.backfill,
                                concat_ws(', ', nullif(current_setting('search_path'), ''), '@extschema@')) t;
END;
-- What is text takes literals, which fit none of json and jsonb better
CREATE OR REPLACE FUNCTION @hub@.attach_source(
    source_table regclass, mapping jsonb, source text DEFAULT NULL, backfill boolean DEFAULT true,
    OUT rows_read bigint, OUT touchpoints bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT t.rows_read, t.touchpoints, t.rejected
    FROM @hub@.attach_source(attach_source.source_table, attach_source.mapping::json, attach_source.source,
                             attach_source.backfill) t;
END;
CREATE OR REPLACE FUNCTION @hub@.attach_source(
    source_table regclass, mapping text, source text DEFAULT NULL, backfill boolean DEFAULT true,
    OUT rows_read bigint, OUT touchpoints bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT t.rows_read, t.touchpoints, t.rejected
    FROM @hub@.attach_source(attach_source.source_table, attach_source.mapping::json, attach_source.source,
                             attach_source.backfill) t;
END;
COMMENT ON FUNCTION @hub@.attach_source(regclass, json, text, boolean) IS
    'make touchpoints of the rows of a table, from now on in the transactions that write it; returns how many rows '
    'there were that have been read now, the touchpoints made of them, and how many can be none: see source_rejects. '
    'Without backfill rows there were are left to backfill_source';
COMMENT ON FUNCTION @hub@.attach_source(regclass, jsonb, text, boolean) IS 'the same with a mapping in jsonb';
COMMENT ON FUNCTION @hub@.attach_source(regclass, text, text, boolean) IS 'the same with a mapping in text';

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

-- Without settings, so that it can commit
CREATE OR REPLACE PROCEDURE @hub@.backfill_source(source text)
LANGUAGE plpgsql
AS $backfill_source$
#variable_conflict use_variable
DECLARE
    batch bigint;
    done bigint := 0;
    counted record;
BEGIN
    PERFORM @hub@.begin_backfill(source);
    COMMIT;
    LOOP
        batch := @hub@.backfill_batch(source);
        COMMIT;
        EXIT WHEN batch IS NULL;
        IF done / 100000 < (done + batch) / 100000 THEN
            RAISE NOTICE USING MESSAGE = pg_catalog.format('backfill of %s: %s rows', source, done + batch);
        END IF;
        done := done + batch;
    END LOOP;
    SELECT c.touchpoints, c.rejected, c.hint INTO counted FROM @hub@.count_of_source(source) c;
    RAISE NOTICE USING MESSAGE = pg_catalog.format('backfill of %s is done: %s rows were read, '
                                                   'there are %s touchpoints',
                                                   source, done, counted.touchpoints);
    IF counted.rejected > 0 THEN
        RAISE NOTICE USING MESSAGE = pg_catalog.format('rows of %s of which no touchpoint can be made: %s', source,
                                                       counted.rejected), HINT = counted.hint;
    END IF;
END $backfill_source$;
COMMENT ON PROCEDURE @hub@.backfill_source(text) IS 'put the rows into the hub that were in an attached table, or in its new partitions, before; commits as it goes, and goes on where it was interrupted';

-- Partitions may have been added, with rows
CREATE OR REPLACE FUNCTION @hub@.begin_backfill(source text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    attached record;
    fresh regclass[];
BEGIN
    PERFORM check_may('owner');
    SELECT t.relation, t.trusts INTO attached FROM sources t WHERE t.source = begin_backfill.source
           AND t.detached_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('no table is attached as source %s', coalesce(source, 'NULL'));
    ELSIF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = attached.relation) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table',
            MESSAGE = format('the table of source %s was dropped', source);
    END IF;
    PERFORM check_trust(source, attached.relation, attached.trusts);
    fresh := watch_tables(source, attached.relation);
    UPDATE sources t
    SET pending = t.pending || fresh, backfilled_at = CASE WHEN fresh = '{}' THEN t.backfilled_at END,
        rows_estimated = t.rows_estimated + (SELECT coalesce(sum(greatest(c.reltuples, 0)), 0) FROM pg_class c
                                             WHERE c.oid = ANY (fresh))
    WHERE t.source = begin_backfill.source;
END $$;
COMMENT ON FUNCTION @hub@.begin_backfill(text) IS 'watch partitions that were added to an attached table';

CREATE OR REPLACE FUNCTION @hub@.detach_source(source text, keep boolean DEFAULT true) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET client_min_messages = warning
AS $$
#variable_conflict use_variable
DECLARE
    attached boolean;
    made record;
BEGIN
    PERFORM check_may('owner');
    UPDATE sources s SET detached_at = now(), pending = '{}', read_by = NULL, next_key = NULL, next_block = NULL,
        end_block = NULL
    WHERE s.source = detach_source.source AND s.detached_at IS NULL;
    attached := FOUND;
    IF attached THEN
        FOR made IN SELECT g.relation, g.trigger FROM source_triggers(source) g LOOP
            EXECUTE format('DROP TRIGGER %I ON %s', made.trigger, made.relation);
        END LOOP;
        EXECUTE format('DROP VIEW IF EXISTS %I CASCADE', source_object('rows', source));
    END IF;
    IF keep IS FALSE AND EXISTS (SELECT FROM sources s WHERE s.source = detach_source.source) THEN
        PERFORM remove_source(source);
        DELETE FROM sources s WHERE s.source = detach_source.source;
    END IF;
    RETURN attached;
END $$;
COMMENT ON FUNCTION @hub@.detach_source(text, boolean) IS 'let a table feed the hub no more; returns whether it did. Without keep its touchpoints go, and what they told of who is who';

-- Progress, as pg_stat_progress views show it.
CREATE OR REPLACE VIEW @hub@.source_progress WITH (security_invoker = true) AS
SELECT s.source, s.relation,
       CASE WHEN s.detached_at IS NOT NULL THEN 'detached' WHEN c.oid IS NULL THEN 'dropped'
           WHEN s.backfilled_at IS NULL THEN 'backfilling'
            WHEN EXISTS (SELECT FROM @hub@.source_tables(s.relation) t
                         WHERE NOT EXISTS (SELECT FROM @hub@.source_triggers(s.source) g WHERE g.relation = t.member))
                                THEN 'partitions added'
            ELSE 'attached' END AS state,
       s.rows_done, s.rows_estimated,
       CASE WHEN s.backfilled_at IS NOT NULL THEN 100
            WHEN s.rows_estimated > 0 THEN least(99, 100 * s.rows_done / s.rows_estimated) END AS percent,
       (SELECT count(*) FROM @hub@.source_rejects r WHERE r.source = s.source) AS rejected
FROM @hub@.sources s LEFT JOIN pg_class c ON c.oid = s.relation;
COMMENT ON VIEW @hub@.source_progress IS 'attached tables, and how far their backfill is';
COMMENT ON COLUMN @hub@.source_progress.source IS 'name of the source';
COMMENT ON COLUMN @hub@.source_progress.relation IS 'the table';
COMMENT ON COLUMN @hub@.source_progress.state IS 'backfilling: rows that were there before are not all in the hub; partitions added: backfill_source must see to them; attached; detached; dropped: the table is gone';
COMMENT ON COLUMN @hub@.source_progress.rows_done IS 'how many rows that were there before have been read';
COMMENT ON COLUMN @hub@.source_progress.rows_estimated IS 'how many there may be; NULL: the table has not been analysed';
COMMENT ON COLUMN @hub@.source_progress.percent IS 'how much of the backfill is done; NULL: that can''t be told';
COMMENT ON COLUMN @hub@.source_progress.rejected IS 'how many rows have no touchpoint, because none can be made of them: see source_rejects';
