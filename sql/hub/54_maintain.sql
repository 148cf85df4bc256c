-- Partitions, and locks that others hardly notice.

-- Those that have bounds, however they were made.
CREATE OR REPLACE FUNCTION @hub@.touchpoint_partitions(OUT partition regclass, OUT since timestamptz,
                                                       OUT until timestamptz) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT h.inhrelid::regclass,
           coalesce(substring(b.bounds FROM $re$FROM \('([^']+)'\)$re$)::timestamptz, '-infinity'),
           coalesce(substring(b.bounds FROM $re$TO \('([^']+)'\)$re$)::timestamptz, 'infinity')
    FROM pg_inherits h
         JOIN pg_class c ON c.oid = h.inhrelid
         CROSS JOIN LATERAL pg_get_expr(c.relpartbound, c.oid) b(bounds)
    WHERE h.inhparent = 'touchpoints'::regclass AND b.bounds <> 'DEFAULT';
END $$;
COMMENT ON FUNCTION @hub@.touchpoint_partitions() IS
    'partitions of touchpoints and their bounds, but for the default one';

-- Whoever waits for a strong lock keeps all that come after him waiting. So wait a moment only, give way to them, and
-- try again. A moment is shorter than anybody waits before he looks for a deadlock; but autovacuum, which alone has no
-- role, makes way for those who wait longer.
CREATE OR REPLACE FUNCTION @hub@.lock_politely(tables regclass[], mode text, patience interval DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    names text[] := array(SELECT format('%I.%I', n.nspname, c.relname)
                          FROM unnest(tables) WITH ORDINALITY t(id, number)
                               JOIN pg_class c ON c.oid = t.id
                               JOIN pg_namespace n ON n.oid = c.relnamespace
                          ORDER BY t.number);
    callers text := current_setting('lock_timeout');
    before_deadlock integer := (SELECT g.setting::integer FROM pg_settings g WHERE g.name = 'deadlock_timeout');
    upto timestamptz;
    pause double precision := 0.1;
    held_by text[];
    roles boolean;
    in_the_way text;
BEGIN
    IF cardinality(names) < cardinality(tables) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = 'a table to be locked was dropped';
    END IF;
    -- For ever would be no good: of two who hold what the other one wants, neither would be told that it is a deadlock.
    upto := clock_timestamp() + coalesce(patience, nullif(callers::interval, '0'), '10 s');
    LOOP
        SELECT array_agg(h.holder), bool_or(h.has_role) INTO held_by, roles FROM lock_holders(tables, mode) h;
        BEGIN
            PERFORM set_config('lock_timeout', CASE WHEN roles IS FALSE THEN before_deadlock + 200
                                                    ELSE before_deadlock / 4 + 1 END::text, true);
            EXECUTE format('LOCK TABLE ONLY %s IN %s MODE', array_to_string(names, ', ONLY '), mode);
            PERFORM set_config('lock_timeout', callers, true);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
        END;
        IF clock_timestamp() + pause * interval '1 s' > upto THEN
            in_the_way := (SELECT string_agg(concat_ws(', ', h.holder, h.state), '; ' ORDER BY h.holder)
                           FROM lock_holders(tables, mode) h WHERE h.holder = ANY (held_by));
            RAISE EXCEPTION USING ERRCODE = 'lock_not_available',
                MESSAGE = format('could not lock %s', array_to_string(names, ', ')),
                DETAIL = format('In the way: %s.', coalesce(in_the_way, 'others, one after the other')),
                HINT = 'Try again later. lock_timeout says how long to go on trying.';
        END IF;
        PERFORM pg_sleep(pause);
        pause := least(2 * pause, 3);
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.lock_politely(regclass[], text, interval) IS
    'lock tables, and keep others waiting for moments only; '
    'try for as long as patience says, or else lock_timeout, or ten seconds';

CREATE OR REPLACE FUNCTION @hub@.lock_holders(tables regclass[], mode text, OUT holder text, OUT state text,
                                              OUT has_role boolean) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM pg_stat_clear_snapshot();
    RETURN QUERY
    SELECT DISTINCT CASE WHEN l.pid IS NULL THEN format('prepared transaction %L', p.gid)
                         ELSE concat('process ', l.pid, ' of ' || quote_ident(a.usename)) END,
                    a.state, l.pid IS NULL OR a.usename IS NOT NULL
    FROM pg_locks l
         LEFT JOIN pg_stat_activity a ON a.pid = l.pid
         LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction
                                 AND x.locktype = 'transactionid'
         LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
    WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
          AND l.relation = ANY (tables)
          AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND (mode = 'ACCESS EXCLUSIVE' OR l.mode <> 'AccessShareLock')
          AND (mode IN ('EXCLUSIVE', 'ACCESS EXCLUSIVE') OR l.mode <> 'RowShareLock');
END $$;
COMMENT ON FUNCTION @hub@.lock_holders(regclass[], text) IS
    'who holds locks of tables that are in the way of one in SHARE ROW EXCLUSIVE mode, or a stronger one';

CREATE OR REPLACE FUNCTION @hub@.wait_for_readers(patience interval DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    upto timestamptz := clock_timestamp()
                        + coalesce(patience, nullif(current_setting('lock_timeout')::interval, '0'), '10 s');
    running text[];
    was_running text[];
    pause double precision := 0;
BEGIN
    LOOP
        PERFORM pg_sleep(pause);
        PERFORM pg_stat_clear_snapshot();
        running := array(
            SELECT concat('process ', l.pid, ' of ' || quote_ident(a.usename), ', transaction ', l.virtualxid)
            FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
            WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.pid <> pg_backend_pid()
                  AND a.usename IS NOT NULL AND a.datname = current_database()
                  AND EXISTS (SELECT FROM pg_roles r
                              WHERE pg_has_role(a.usesysid, r.oid, 'MEMBER')
                                    AND has_any_column_privilege(r.oid, 'touchpoints'::regclass, 'SELECT')));
        was_running := array(SELECT w.name FROM unnest(coalesce(was_running, running)) w(name)
                             WHERE w.name = ANY (running));
        EXIT WHEN was_running = '{}';
        IF clock_timestamp() > upto THEN
            RAISE EXCEPTION USING ERRCODE = 'lock_not_available',
                MESSAGE = 'transactions that began before have not ended',
                DETAIL = format('In the way: %s.', array_to_string(was_running, '; ')),
                HINT = 'Try again later. lock_timeout says how long to go on trying.';
        END IF;
        pause := least(greatest(2 * pause, 0.05), 1);
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.wait_for_readers(interval) IS
    'wait until transactions have ended that others have begun before who may read touchpoints';

CREATE OR REPLACE FUNCTION @hub@.kept_for(what text) RETURNS interval
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT min(r.keep) FROM retention_rules r
            WHERE r.what = kept_for.what AND r."then" = 'delete' AND coalesce(r.channel, '*') = '*'
                  AND coalesce(r.action, '*') = '*' AND coalesce(r.source, '*') = '*');
END $$;
COMMENT ON FUNCTION @hub@.kept_for(text) IS
    'how long all of something is kept by retention_rules before it is deleted; NULL: there is no such rule';

CREATE OR REPLACE FUNCTION @hub@.kept_since() RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC'
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT date_trunc('month', CASE WHEN k.keep < '5000 years' THEN now() - k.keep END)
            FROM kept_for('touchpoints') k(keep));
END $$;
COMMENT ON FUNCTION @hub@.kept_since() IS 'first month of which touchpoints are kept; NULL: all are';

-- Months are those of UTC, so that partitions are the same for everybody. Touchpoints of a wrong clock, of 1970 or
-- 2099, must not make partitions that every query has to plan for: out of the usual range it takes a thousand of them,
-- be they of one month, or of months on end, each with a thousandth of these.
CREATE OR REPLACE FUNCTION @hub@.months_to_make(since timestamptz DEFAULT NULL) RETURNS SETOF timestamptz
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET row_security = off
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT isfinite(since) THEN
        RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow',
            MESSAGE = format('partitions can''t begin at %s', since);
    END IF;
    RETURN QUERY
    SELECT m.month
    FROM (SELECT r.month
          FROM (SELECT u.month, u.rows, sum(u.rows) OVER (PARTITION BY u.first) AS all_rows
                FROM (SELECT d.month, d.rows,
                             d.month - row_number() OVER (ORDER BY d.month) * interval '1 month' AS first
                      FROM (SELECT date_trunc('month', t.occurred_at) AS month, count(*) AS rows
                            FROM touchpoints_default t GROUP BY 1) d) u) r
          WHERE r.all_rows >= 1000 AND r.rows * 1000 >= r.all_rows
          UNION
          SELECT g.month
          FROM settings s
               CROSS JOIN generate_series(date_trunc('month', least(since, now())),
                                          date_trunc('month', now()) + s.months_ahead * interval '1 month',
                                          interval '1 month') g(month)) m(month)
    WHERE m.month >= coalesce((SELECT kept_since()), '-infinity')
          AND NOT EXISTS (SELECT FROM touchpoint_partitions() p
                          WHERE p.since < m.month + interval '1 month' AND p.until > m.month)
    ORDER BY 1;
END $$;
COMMENT ON FUNCTION @hub@.months_to_make(timestamptz) IS 'months that have no partition and should have one';

-- Whoever has chosen the default partition for a row must have put it there before it may hold no such row any more: so
-- lock the whole, but none of the other partitions. While others load that can't be had, for they hold it until they
-- have done: then pressing means to lock the default partition only. A row that is on its way there at that moment is
-- refused; but who loads has partitions made before he sends rows.
CREATE OR REPLACE FUNCTION @hub@.make_partition(month timestamptz, patience interval, pressing boolean DEFAULT false)
RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
    SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    upto timestamptz := month + interval '1 month';
    partition text := format('%I.%I', current_schema(), 'touchpoints_' || to_char(month, 'YYYY_MM'));
    moving text;
    columns text;
BEGIN
    BEGIN
        PERFORM lock_politely('{touchpoints,touchpoints_default}', 'ACCESS EXCLUSIVE',
                              CASE WHEN pressing THEN '0' ELSE patience END);
    EXCEPTION WHEN lock_not_available THEN
        IF NOT pressing THEN
            RAISE;
        END IF;
        PERFORM lock_politely('{touchpoints}', 'SHARE UPDATE EXCLUSIVE', patience);
        PERFORM lock_politely('{touchpoints_default}', 'ACCESS EXCLUSIVE', patience);
    END;
    IF EXISTS (SELECT FROM touchpoint_partitions() p WHERE p.since < upto AND p.until > month) THEN
        RETURN false;  -- somebody else was faster
    END IF;
    EXECUTE format('CREATE TABLE %s (LIKE touchpoints INCLUDING ALL EXCLUDING IDENTITY)', partition);
    IF EXISTS (SELECT FROM touchpoints_default t WHERE t.occurred_at >= month AND t.occurred_at < upto) THEN
        -- Moving a row is deleting it where it was, which a foreign key would mind, or follow.
        IF EXISTS (SELECT FROM pg_constraint c
                   WHERE c.contype = 'f'
                         AND c.confrelid IN ('touchpoints'::regclass, 'touchpoints_default'::regclass)) THEN
            RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
                MESSAGE = 'a foreign key references touchpoints', DETAIL = 'They can''t be moved while there is one.';
        END IF;
        -- put back once the partition is one: logical replicas are not told of what is put into it before
        moving := format('%I.%I', current_schema(), 'moving_' || partition::regclass::oid);
        columns := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                    FROM pg_attribute a
                    WHERE a.attrelid = 'touchpoints'::regclass AND a.attnum > 0 AND NOT a.attisdropped
                          AND a.attgenerated = '');
        EXECUTE format('CREATE UNLOGGED TABLE %s AS SELECT %s FROM touchpoints WITH NO DATA', moving, columns);
        EXECUTE format('WITH moved AS (
                            DELETE FROM touchpoints_default d WHERE d.occurred_at >= %L AND d.occurred_at < %L
                            RETURNING d.*
                        )
                        INSERT INTO %s (%s) SELECT %4$s FROM moved', month, upto, moving, columns);
    END IF;
    EXECUTE format('ALTER TABLE touchpoints ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', partition, month, upto);
    IF moving IS NOT NULL THEN
        EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %s', partition, columns, moving);
        EXECUTE format('DROP TABLE %s', moving);
    END IF;
    EXECUTE format('COMMENT ON TABLE %s IS %L', partition, 'touchpoints of ' || to_char(month, 'YYYY-MM'));
    EXECUTE format('ALTER TABLE %s OWNER TO %s', partition,
                   (SELECT c.relowner::regrole FROM pg_class c WHERE c.oid = 'touchpoints'::regclass));
    RETURN true;
END $$;
COMMENT ON FUNCTION @hub@.make_partition(timestamptz, interval, boolean) IS
    'make the partition of a month, and move there what the default one has of it; returns whether there was none';

-- Touchpoints are deleted before their partition is dropped, some blocks of it in a transaction: so keys and journeys
-- follow while everybody works on, and the lock for the drop is a short one. The bounds leave nothing but the partition
-- to look at.
CREATE OR REPLACE FUNCTION @hub@.erase_touchpoints(partition regclass, upto timestamptz, first_block bigint,
                                                   last_block bigint) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
    SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    since timestamptz := (SELECT p.since FROM touchpoint_partitions() p
                          WHERE p.partition = erase_touchpoints.partition);
BEGIN
    EXECUTE format('DELETE FROM touchpoints t
                    WHERE t.tableoid = %s AND t.occurred_at >= %L AND t.occurred_at < %L
                          AND t.ctid >= %L AND t.ctid <= %L',
                   partition::oid, coalesce(since, '-infinity'), upto,
                   format('(%s,0)', first_block), format('(%s,65535)', last_block));
END $$;
COMMENT ON FUNCTION @hub@.erase_touchpoints(regclass, timestamptz, bigint, bigint) IS
    'delete touchpoints before a time, in some blocks of a partition';

-- A snapshot from before its touchpoints were deleted still has them, and journeys with them: so wait for its end.
CREATE OR REPLACE FUNCTION @hub@.drop_partition(partition regclass, patience interval) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    came_in boolean;
BEGIN
    PERFORM wait_for_readers(patience);
    PERFORM lock_politely(ARRAY['touchpoints', 'touchpoints_default', partition]::regclass[], 'ACCESS EXCLUSIVE',
                          patience);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', partition) INTO came_in;
    IF came_in THEN
        RAISE EXCEPTION USING ERRCODE = 'lock_not_available', MESSAGE = 'touchpoints have come in meanwhile';
    END IF;
    EXECUTE format('DROP TABLE %s', partition);
    RETURN true;
END $$;
COMMENT ON FUNCTION @hub@.drop_partition(regclass, interval) IS
    'drop a partition of touchpoints that nobody needs any more';

-- What was moved or deleted leaves room in the default partition, which whoever asks for all months reads through. Not
-- by TRUNCATE: a snapshot from before must go on seeing what it saw there.
CREATE OR REPLACE FUNCTION @hub@.compact_default(patience interval) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off SET client_min_messages = warning
AS $$
#variable_conflict use_variable
DECLARE
    size CONSTANT bigint := pg_relation_size('touchpoints_default');
    used bigint;
BEGIN
    PERFORM check_may('owner');
    IF size <= 131072 THEN
        RETURN;
    END IF;
    SELECT sum(150 + coalesce(pg_column_size(t.attributes), 0) + coalesce(pg_column_size(t.subject), 0)
               + coalesce(pg_column_size(t.url), 0)) INTO used FROM touchpoints_default t;
    IF used > size / 2 THEN
        RETURN;
    END IF;
    PERFORM lock_politely('{touchpoints_default}', 'ACCESS EXCLUSIVE', patience);
    EXECUTE format('CLUSTER touchpoints_default USING %I',
                   (SELECT c.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
                    WHERE x.indrelid = 'touchpoints_default'::regclass AND x.indisprimary));
    ALTER TABLE touchpoints_default SET WITHOUT CLUSTER;
END $$;
COMMENT ON FUNCTION @hub@.compact_default(interval) IS
    'give back the room of what is no longer in the default partition, if that is most of it';

-- Keys of what came in so long ago that nobody sends it again. Not by occurred_at: history that was loaded today may be
-- loaded again tomorrow. Touchpoints are numbered as they come in, so each is looked at once, by index, and how far
-- that has come is kept. An attached table knows its touchpoints by their keys, and a detached one must not be attached
-- again beside them: those stay. Some thousand in a transaction; returns whether there may be more.
CREATE OR REPLACE FUNCTION @hub@.drop_keys() RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    most CONSTANT integer := 5000;
    dropped_before CONSTANT timestamptz := (SELECT CASE WHEN k.keep < '5000 years' THEN now() - k.keep END
                                            FROM kept_for('keys') k(keep));
    upto bigint;
    next record;
BEGIN
    PERFORM check_may('owner');
    IF dropped_before IS NULL THEN
        RETURN false;
    END IF;
    upto := (SELECT w.upto FROM work_done w WHERE w.task = 'keys');
    IF upto > pg_sequence_last_value('touchpoints_touchpoint_id_seq') THEN
        upto := NULL;  -- numbers have begun anew
    END IF;
    SELECT array_agg(n.touchpoint_id) FILTER (WHERE n.old AND n.source_key IS NOT NULL) AS ids, count(*) AS seen,
           coalesce(min(n.touchpoint_id) FILTER (WHERE NOT n.old) - 1, max(n.touchpoint_id)) AS upto,
           bool_and(n.old) AS all_old,
           array_agg(n.source) FILTER (WHERE n.old AND n.source_key IS NOT NULL) AS sources,
           array_agg(n.source_key) FILTER (WHERE n.old AND n.source_key IS NOT NULL) AS keys
    INTO next
    FROM (SELECT t.touchpoint_id, t.source, t.source_key, t.recorded_at < dropped_before AS old
          FROM touchpoints t WHERE t.touchpoint_id > coalesce(upto, -9223372036854775808)
          ORDER BY t.touchpoint_id LIMIT most) n;
    DELETE FROM touchpoint_keys k
    USING (SELECT u.id, u.source, u.key FROM unnest(next.ids, next.sources, next.keys) u(id, source, key)
           WHERE NOT EXISTS (SELECT FROM sources s WHERE s.source = u.source)) o
    WHERE k.source = o.source AND k.source_key = o.key AND k.touchpoint_id = o.id;
    INSERT INTO work_done AS w (task, done_at, upto)
    VALUES ('keys', clock_timestamp(), coalesce(next.upto, upto))
    ON CONFLICT ON CONSTRAINT work_done_pkey DO UPDATE SET done_at = excluded.done_at, upto = excluded.upto;
    RETURN next.seen = most AND next.all_old;
EXCEPTION WHEN deadlock_detected OR serialization_failure THEN
    RETURN false;  -- somebody else deletes the same: another time
END $$;
COMMENT ON FUNCTION @hub@.drop_keys() IS
    'drop some of the keys that retention_rules keep no longer; returns whether there may be more';

-- Plans that are made after a load must not be those of before: autovacuum comes a minute later, if it comes, and never
-- counts touchpoints as a whole. So whoever has loaded looks, when numbers have come to another power of two, what has
-- grown by half since it was counted, or was empty then, and has some of its rows counted; all of them autovacuum does.
-- Who may not is not told; nobody is waited for, so it may be done within a load. The whole is for who commits soon: as
-- long as that is locked no partition can be made.
CREATE OR REPLACE FUNCTION @hub@.gather_statistics(before bigint, now bigint, whole boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET client_min_messages = error
AS $$
#variable_conflict use_variable
DECLARE
    block CONSTANT integer := current_setting('block_size');
    target CONSTANT text := current_setting('default_statistics_target');
    name text;
BEGIN
    IF before >= 2 ^ floor(log(2, greatest(now, 1))) THEN
        RETURN;
    ELSIF NOT whole THEN
        PERFORM set_config('default_statistics_target', '10', true);
    END IF;
    FOR name IN
        SELECT c.oid::regclass::text
        FROM pg_class c
        WHERE (c.oid = ANY ('{identities,customers,evidence,touchpoint_keys,customer_journeys}'::regclass[])
               OR c.oid IN (SELECT p.partition FROM touchpoint_partitions() p))
              AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')
              AND pg_relation_size(c.oid) > block * CASE WHEN c.reltuples < 1 THEN 8 ELSE 8 + 1.5 * c.relpages END
        ORDER BY 1
    LOOP
        EXECUTE 'ANALYZE (SKIP_LOCKED) ' || name;
    END LOOP;
    IF whole AND (SELECT pg_has_role(c.relowner, 'USAGE') AND s.rows > 1000 AND s.rows > 1.5 * c.reltuples
                  FROM pg_class c
                       CROSS JOIN (SELECT sum(CASE WHEN p.reltuples < 0 THEN pg_relation_size(p.oid) / 100
                                                   ELSE p.reltuples END) AS rows
                                   FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid
                                   WHERE h.inhparent = 'touchpoints'::regclass) s
                  WHERE c.oid = 'touchpoints'::regclass) THEN
        ANALYZE (SKIP_LOCKED) touchpoints;
    END IF;
    PERFORM set_config('default_statistics_target', target, true);
END $$;
COMMENT ON FUNCTION @hub@.gather_statistics(bigint, bigint, boolean) IS
    'gather statistics of tables that a load has made larger, if numbers have passed a power of two';

-- What maintain() has to do, in order. Of a partition that is not too old as a whole, and of the default one, goes what
-- is.
CREATE OR REPLACE FUNCTION @hub@.maintenance(since timestamptz, OUT task text, OUT partition regclass,
                                             OUT month timestamptz, OUT first_block bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
DECLARE
    kept_from timestamptz;
    blocks bigint;
    old record;
BEGIN
    PERFORM check_may('owner');
    kept_from := (SELECT CASE WHEN k.keep < '5000 years' THEN now() - k.keep END FROM kept_for('touchpoints') k(keep));
    task := 'make';
    FOR month IN SELECT m.month FROM months_to_make(since) m(month) LOOP
        RETURN NEXT;
    END LOOP;
    FOR old IN
        SELECT o.partition, o.until <= kept_from AS whole,
               CASE WHEN o.until <= kept_from THEN o.until ELSE kept_since() END AS upto
        FROM (SELECT p.partition, p.since, p.until FROM touchpoint_partitions() p
              UNION ALL
              SELECT 'touchpoints_default', '-infinity', 'infinity') o
        WHERE o.since < kept_since() OR o.until <= kept_from
        ORDER BY o.until
    LOOP
        task := 'erase';
        partition := old.partition;
        month := old.upto;
        blocks := pg_relation_size(partition) / current_setting('block_size')::bigint;
        FOR first_block IN SELECT b.n FROM generate_series(0, blocks, 500) b(n) LOOP
            RETURN NEXT;
        END LOOP;
        task := 'drop';
        IF old.whole THEN
            RETURN NEXT;
        END IF;
    END LOOP;
    FOREACH task IN ARRAY '{compact,count}'::text[] LOOP
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.maintenance(timestamptz) IS
    'the tasks of maintain(): make the partition of a month; erase touchpoints before a month, '
    'block by block; drop a partition; give back room of the default one; gather statistics';

-- Returns whether there is a partition more, or less; NULL: it could not be done now.
CREATE OR REPLACE FUNCTION @hub@.maintain_step(task text, partition regclass, month timestamptz, first_block bigint,
                                               patience interval) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC'
AS $$
#variable_conflict use_variable
DECLARE
    why text;
    detail text;
    hint text;
BEGIN
    CASE task
        WHEN 'make' THEN RETURN make_partition(month, patience);
        WHEN 'drop' THEN RETURN drop_partition(partition, patience);
        WHEN 'erase' THEN PERFORM erase_touchpoints(partition, month, first_block, first_block + 499);
        WHEN 'compact' THEN PERFORM compact_default(patience);
        WHEN 'count' THEN PERFORM gather_statistics(0, 1, true);
    END CASE;
    RETURN false;
EXCEPTION WHEN undefined_table THEN
    IF task = 'make' THEN
        RAISE;
    END IF;
    RETURN false;  -- somebody else has dropped it
WHEN lock_not_available OR deadlock_detected OR serialization_failure OR duplicate_table OR foreign_key_violation
     OR dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS why = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE WARNING USING ERRCODE = SQLSTATE,
        MESSAGE = CASE task
            WHEN 'make' THEN format('touchpoints of %s stay in the default partition', to_char(month, 'YYYY-MM'))
            WHEN 'drop' THEN format('partition %s stays', partition)
            WHEN 'compact' THEN 'the default partition stays larger than it need be'
            ELSE format('touchpoints in partition %s stay that are too old', partition) END,
        DETAIL = concat_ws(E'\n', why || '.', nullif(detail, '')), HINT = hint;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.maintain_step(text, regclass, timestamptz, bigint, interval) IS
    'do a task of maintain(), or warn that it can''t be done now';

-- Without settings, so that it can commit: each task in a transaction of its own
CREATE OR REPLACE PROCEDURE @hub@.maintain(since timestamptz DEFAULT NULL, INOUT made integer DEFAULT 0,
                                           INOUT dropped integer DEFAULT 0, INOUT postponed integer DEFAULT 0)
LANGUAGE plpgsql
AS $maintain$
#variable_conflict use_variable
DECLARE
    patience pg_catalog.interval;
    todo record;
    done pg_catalog.bool;
    fed pg_catalog.int8;
    last pg_catalog.int8 := 0;
BEGIN
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    IF @hub@.is_fed() THEN
        CALL @hub@.feed(fed => fed);
    END IF;
    made := 0;
    dropped := 0;
    postponed := 0;
    FOR todo IN SELECT m.task, m.partition, m.month, m.first_block FROM @hub@.maintenance(since) m LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        done := @hub@.maintain_step(todo.task, todo.partition, todo.month, todo.first_block, patience);
        IF done IS NULL THEN
            postponed := postponed + 1;
            patience := '0';  -- it is the same tables every time
        ELSIF done THEN
            made := made + (todo.task = 'make')::pg_catalog.int4;
            dropped := dropped + (todo.task = 'drop')::pg_catalog.int4;
        END IF;
    END LOOP;
    LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        EXIT WHEN NOT @hub@.drop_keys();
    END LOOP;
    LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        EXIT WHEN NOT @hub@.retain_some();
    END LOOP;
    WHILE last IS NOT NULL LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        last := @hub@.forget_after(last);
    END LOOP;
END $maintain$;
COMMENT ON PROCEDURE @hub@.maintain(timestamptz, integer, integer, integer) IS
    'make partitions of touchpoints, from a time or now until some months from now, and for months with a thousand '
    'touchpoints; delete and anonymise what retention_rules keep no longer, and drop its partitions; forget '
    'identifiers that nothing names any more, if settings say so; gather statistics of what has grown. Tells how many '
    'were made and dropped, and how many tasks must wait until it is called again; commits as it goes';

CREATE OR REPLACE FUNCTION @hub@.make_partitions(since timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT count(*) FROM maintenance(since) m
            WHERE m.task = 'make' AND maintain_step('make', NULL, m.month, NULL, '0'));
END $$;
COMMENT ON FUNCTION @hub@.make_partitions(timestamptz) IS
    'make partitions as maintain() does, in this transaction; returns how many';

CREATE OR REPLACE FUNCTION @hub@.missing_months(months timestamptz[]) RETURNS SETOF timestamptz
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC'
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT m.month
    FROM unnest(months) m(month) CROSS JOIN settings s
    WHERE s.one_row AND m.month >= coalesce((SELECT kept_since()), '-infinity')
          AND (m.month > now() + s.future_within OR m.month + interval '1 month' < now() - s.past_within) IS NOT TRUE
          AND NOT EXISTS (SELECT FROM touchpoint_partitions() p
                          WHERE p.since < m.month + interval '1 month' AND p.until > m.month)
    ORDER BY 1;
END $$;
COMMENT ON FUNCTION @hub@.missing_months(timestamptz[]) IS
    'those of some months that have no partition and may have one';

-- What a process calls that a load has started (src/hub/worker.c): each partition in a transaction of its own, so that
-- nobody waits for all of them
CREATE OR REPLACE PROCEDURE @hub@.make_months(since timestamptz, until timestamptz)
LANGUAGE plpgsql
AS $make_months$
#variable_conflict use_variable
DECLARE
    todo record;
BEGIN
    PERFORM @hub@.check_may('owner');
    IF since = '-infinity' THEN
        FOR todo IN SELECT m AS month FROM @hub@.months_to_make() m LOOP
            COMMIT;
            EXIT WHEN @hub@.maintain_step('make', NULL, todo.month, NULL, NULL) IS NULL;
        END LOOP;
        COMMIT;
        PERFORM @hub@.maintain_step('compact', NULL, NULL, NULL, NULL);
        RETURN;
    END IF;
    FOR todo IN SELECT m AS month
                FROM @hub@.missing_months(array(
                         SELECT g.at AT TIME ZONE 'UTC'
                         FROM pg_catalog.generate_series(pg_catalog.date_trunc('month', since AT TIME ZONE 'UTC'),
                                                         until AT TIME ZONE 'UTC',
                                                         interval '1 month') g(at))) m
    LOOP
        COMMIT;
        PERFORM @hub@.make_partition(todo.month, NULL, true);
    END LOOP;
END $make_months$;
COMMENT ON PROCEDURE @hub@.make_months(timestamptz, timestamptz) IS
    'make the partitions of months that have none, or, since -infinity, those that maintain() would make; commits as '
    'it goes';

-- A few rows of a month, or of months on end, may be those of a wrong clock: they stay in the default partition, as
-- those of small calls do. Of these each thousandth looks whether its month has a partition: if not, a process
-- moves what maintain() would, as soon as it can.
CREATE OR REPLACE FUNCTION @hub@.make_partitions_for(times timestamptz[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC'
AS $$
#variable_conflict use_variable
DECLARE
    months timestamptz[];
    run record;
    able boolean := true;
    small CONSTANT boolean := cardinality(times) < 1000;
    last bigint := CASE WHEN small THEN pg_sequence_last_value('touchpoints_touchpoint_id_seq') END;
BEGIN
    IF small AND last IS NULL THEN  -- from PostgreSQL 18 on, who may not know it is told so by this
        PERFORM check_may('writer');
        last := 0;
    END IF;
    IF last / 1000 = (last + cardinality(times)) / 1000 THEN
        RETURN;
    END IF;
    -- most are there under the usual name
    PERFORM FROM (SELECT min(u.at) AS first, max(u.at) AS last FROM unnest(times) u(at)
                  WHERE u.at >= '0001-01-01Z' AND u.at < '10000-01-01Z') t
                 CROSS JOIN LATERAL generate_series(date_trunc('month', t.first), t.last, interval '1 month') m(month)
    WHERE to_regclass(format('%I.touchpoints_%s', current_schema(), to_char(m.month, 'YYYY_MM'))) IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    months := array(SELECT r.month
                    FROM (SELECT m.month, sum(m.rows) OVER (PARTITION BY m.first) AS all_rows
                          FROM (SELECT c.month, c.rows,
                                       c.month - row_number() OVER (ORDER BY c.month) * interval '1 month' AS first
                                FROM (SELECT date_trunc('month', u.at) AS month, count(*) AS rows
                                      FROM unnest(times) u(at)
                                      WHERE u.at >= '0001-01-01Z' AND u.at < '10000-01-01Z' GROUP BY 1) c) m) r
                    WHERE (r.all_rows * 1000 >= cardinality(times) OR small)
                          AND to_regclass(format('%I.touchpoints_%s', current_schema(),
                                                 to_char(r.month, 'YYYY_MM'))) IS NULL);
    IF months = '{}' THEN
        RETURN;
    END IF;
    months := array(SELECT m FROM missing_months(months) m);
    -- A process would wait in vain for a transaction that has read the default partition, as one does that makes the
    -- hub, or reads a row again: rows go there, then
    IF months = '{}' OR EXISTS (SELECT FROM pg_locks l
                                WHERE l.pid = pg_backend_pid() AND l.relation = 'touchpoints_default'::regclass
                                      AND l.database = (SELECT d.oid FROM pg_database d
                                                        WHERE d.datname = current_database())) THEN
        RETURN;
    ELSIF small THEN
        PERFORM @extschema@.journey_make_months(current_schema(), '-infinity', 'infinity');
        RETURN;
    END IF;
    FOR run IN SELECT min(m.month) AS since, max(m.month) AS until
               FROM (SELECT u.month, u.month - u.n * interval '1 month' AS first
                     FROM unnest(months) WITH ORDINALITY u(month, n)) m
               GROUP BY m.first ORDER BY 1
    LOOP
        able := able AND @extschema@.journey_make_months(current_schema(), run.since, run.until);
    END LOOP;
    -- not by missing_months: above READ COMMITTED a query does not see what is new
    months := array(SELECT u.month FROM unnest(months) u(month)
                    WHERE to_regclass(format('%I.touchpoints_%s', current_schema(),
                                             to_char(u.month, 'YYYY_MM'))) IS NULL
                    ORDER BY 1);
    IF months <> '{}' THEN
        RAISE WARNING USING
            MESSAGE = format('touchpoints of %s stay in the default partition',
                             (SELECT string_agg(to_char(m, 'YYYY-MM'), ', ' ORDER BY m) FROM unnest(months) m)),
            DETAIL = CASE WHEN able THEN 'Their partitions could not be made now; the server''s log tells why.'
                          ELSE 'No process could be started to make their partitions.' END,
            HINT = format('CALL %I.maintain() moves them.', current_schema())
                   || CASE WHEN able THEN '' ELSE ' max_worker_processes should leave one free; before PostgreSQL 17 '
                                                  'the owner of the hub must have LOGIN.' END;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.make_partitions_for(timestamptz[]) IS
    'see that the months of touchpoints to come have partitions, if they are many';

SELECT @hub@.make_partitions();
