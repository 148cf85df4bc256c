-- Partitions.

-- Those that have bounds, however they were made.
CREATE OR REPLACE FUNCTION @hub@.touchpoint_partitions(OUT partition regclass, OUT since timestamptz, OUT until timestamptz) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
BEGIN
    RETURN QUERY
    SELECT h.inhrelid::regclass, coalesce(substring(b.bounds FROM $re$FROM \('([^']+)'\)$re$)::timestamptz, '-infinity'),
           coalesce(substring(b.bounds FROM $re$TO \('([^']+)'\)$re$)::timestamptz, 'infinity')
    FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid CROSS JOIN LATERAL pg_get_expr(c.relpartbound, c.oid) b(bounds)
    WHERE h.inhparent = 'touchpoints'::regclass AND b.bounds <> 'DEFAULT';
END $$;
COMMENT ON FUNCTION @hub@.touchpoint_partitions() IS 'partitions of touchpoints and their bounds, but for the default one';

-- Months are those of UTC, so that partitions are the same for everybody. Touchpoints of a wrong clock, of 1970 or 2099, must not
-- make partitions that every query has to plan for: a month out of the usual range needs a thousand of them.
CREATE OR REPLACE FUNCTION @hub@.maintain(since timestamptz DEFAULT NULL, OUT made integer, OUT dropped integer)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
DECLARE
    month timestamptz;
    upto timestamptz;
    partition name;
    columns text;
    referenced boolean;
    strays boolean;
    kept interval := (SELECT s.keep_touchpoints FROM settings s);
    old record;
BEGIN
    made := 0;
    dropped := 0;
    IF NOT isfinite(since) THEN
        RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow', MESSAGE = format('partitions can''t begin at %s', since);
    END IF;
    FOR old IN SELECT * FROM touchpoint_partitions() p ORDER BY p.until LOOP
        CONTINUE WHEN kept IS NULL OR old.until > now() - kept;
        LOCK TABLE touchpoints;  -- nobody must add to it between the marks and the drop
        EXECUTE format('INSERT INTO journey_changes (identity_id) SELECT DISTINCT identity_id FROM %s', old.partition);
        EXECUTE format('DELETE FROM touchpoint_keys k USING %s t WHERE k.source = t.source AND k.source_key = t.source_key AND k.touchpoint_id = t.touchpoint_id',
                       old.partition);
        EXECUTE format('DROP TABLE %s', old.partition);
        dropped := dropped + 1;
    END LOOP;
    IF kept IS NOT NULL THEN
        -- what came late; partitions are dropped whole, so no more goes here either
        DELETE FROM touchpoints t WHERE t.occurred_at < date_trunc('month', now() - kept);
    END IF;

    -- Moving a row is deleting it where it was, which a foreign key would mind, or follow.
    referenced := EXISTS (SELECT FROM pg_constraint c
                          WHERE c.contype = 'f' AND c.confrelid IN ('touchpoints'::regclass, 'touchpoints_default'::regclass));
    columns := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = 'touchpoints'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '');
    FOR month IN
        SELECT m.month
        FROM (SELECT date_trunc('month', t.occurred_at) FROM touchpoints_default t GROUP BY 1 HAVING count(*) >= 1000
              UNION
              SELECT generate_series(date_trunc('month', least(since, now())), date_trunc('month', now()) + (SELECT s.months_ahead FROM settings s) * interval '1 month',
                                     interval '1 month')) m(month)
        WHERE kept IS NULL OR m.month >= date_trunc('month', now() - kept)
        ORDER BY 1
    LOOP
        upto := month + interval '1 month';
        CONTINUE WHEN EXISTS (SELECT FROM touchpoint_partitions() p WHERE p.since < upto AND p.until > month);
        -- Whoever has chosen the default partition for a row must have put it there before it may hold no such row any more. With
        -- a weaker lock of the whole, somebody who has read it and then writes would wait for this, and this for him.
        LOCK TABLE touchpoints;
        strays := EXISTS (SELECT FROM touchpoints_default t WHERE t.occurred_at >= month AND t.occurred_at < upto);
        IF referenced AND strays THEN
            RAISE WARNING USING MESSAGE = format('touchpoints of %s stay in the default partition', to_char(month, 'YYYY-MM')),
                DETAIL = 'They can''t be moved while a foreign key references touchpoints.';
            CONTINUE;
        END IF;
        partition := 'touchpoints_' || to_char(month, 'YYYY_MM');
        EXECUTE format('CREATE TABLE %I.%I (LIKE touchpoints INCLUDING ALL EXCLUDING IDENTITY)', current_schema(), partition);
        IF strays THEN
            -- put back once the partition is one: logical replicas are not told of what is put into it before
            CREATE UNLOGGED TABLE touchpoints_moving (LIKE touchpoints);
            EXECUTE format('WITH moved AS (DELETE FROM touchpoints_default WHERE occurred_at >= %1$L AND occurred_at < %2$L RETURNING *) INSERT INTO touchpoints_moving (%3$s) SELECT %3$s FROM moved',
                           month, upto, columns);
        END IF;
        EXECUTE format('ALTER TABLE touchpoints ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)', current_schema(), partition, month, upto);
        IF strays THEN
            EXECUTE format('INSERT INTO %1$I.%2$I (%3$s) SELECT %3$s FROM touchpoints_moving', current_schema(), partition, columns);
            DROP TABLE touchpoints_moving;
        END IF;
        EXECUTE format('COMMENT ON TABLE %I.%I IS %L', current_schema(), partition, 'touchpoints of ' || to_char(month, 'YYYY-MM'));
        made := made + 1;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.maintain(timestamptz) IS 'make partitions of touchpoints, from a time or now until some months from now, and for months with a thousand touchpoints; drop those that settings keep no longer';

SELECT @hub@.maintain();
