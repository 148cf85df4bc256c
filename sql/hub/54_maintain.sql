-- Partitions.

-- Months are those of UTC, so that partitions are the same for everybody. Touchpoints of a wrong clock, of 1970 or 2099, must not
-- make partitions that every query has to plan for: a month out of the usual range needs a thousand of them.
CREATE OR REPLACE FUNCTION @hub@.maintain(since timestamptz DEFAULT NULL, OUT made integer, OUT dropped integer)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
DECLARE
    month timestamptz;
    partition name;
    strays boolean;
    kept interval := (SELECT s.keep_touchpoints FROM settings s);
    old record;
BEGIN
    made := 0;
    dropped := 0;
    FOR old IN
        SELECT c.relname, substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$TO \('([^']+)'\)$re$)::timestamptz AS until
        FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
        WHERE h.inhparent = 'touchpoints'::regclass
        ORDER BY 2
    LOOP
        CONTINUE WHEN old.until IS NULL OR kept IS NULL OR old.until > now() - kept;
        LOCK TABLE ONLY touchpoints;  -- nobody must add to it between the marks and the drop
        EXECUTE format('INSERT INTO journey_changes (identity_id) SELECT DISTINCT identity_id FROM %I', old.relname);
        EXECUTE format('DELETE FROM touchpoint_keys k USING %I t WHERE k.source = t.source AND k.source_key = t.source_key', old.relname);
        EXECUTE format('DROP TABLE %I', old.relname);
        dropped := dropped + 1;
    END LOOP;
    IF kept IS NOT NULL THEN
        -- what came late; partitions are dropped whole, so no more goes here either
        DELETE FROM touchpoint_keys k USING touchpoints_default t
        WHERE t.occurred_at < date_trunc('month', now() - kept) AND k.source = t.source AND k.source_key = t.source_key;
        DELETE FROM touchpoints t WHERE t.occurred_at < date_trunc('month', now() - kept);
    END IF;

    FOR month IN
        SELECT m.month
        FROM (SELECT date_trunc('month', t.occurred_at) FROM touchpoints_default t GROUP BY 1 HAVING count(*) >= 1000
              UNION
              SELECT generate_series(date_trunc('month', least(since, now())), date_trunc('month', now()) + (SELECT s.months_ahead FROM settings s) * interval '1 month',
                                     interval '1 month')) m(month)
        WHERE kept IS NULL OR m.month >= date_trunc('month', now() - kept)
        ORDER BY 1
    LOOP
        partition := 'touchpoints_' || to_char(month, 'YYYY_MM') || CASE WHEN extract(year FROM month) < 1 THEN '_bc' ELSE '' END;
        CONTINUE WHEN to_regclass(quote_ident(partition)) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE touchpoints INCLUDING ALL EXCLUDING IDENTITY)', partition);
        LOCK TABLE touchpoints_default;
        strays := EXISTS (SELECT FROM touchpoints_default t WHERE t.occurred_at >= month AND t.occurred_at < month + interval '1 month');
        IF strays THEN
            -- they are put back once the partition is one: replicas would not be told of what is put into it before
            CREATE UNLOGGED TABLE touchpoints_moving (LIKE touchpoints);
            EXECUTE format('WITH moved AS (DELETE FROM touchpoints_default WHERE occurred_at >= %L AND occurred_at < %L RETURNING *) INSERT INTO touchpoints_moving SELECT * FROM moved',
                           month, month + interval '1 month');
        END IF;
        EXECUTE format('ALTER TABLE touchpoints ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition, month, month + interval '1 month');
        IF strays THEN
            EXECUTE format('INSERT INTO %1$I (%2$s) SELECT %2$s FROM touchpoints_moving', partition,
                           (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                            WHERE a.attrelid = 'touchpoints'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''));
            DROP TABLE touchpoints_moving;
        END IF;
        EXECUTE format('COMMENT ON TABLE %I IS %L', partition, 'touchpoints of ' || to_char(month, 'YYYY-MM'));
        made := made + 1;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.maintain(timestamptz) IS 'make partitions of touchpoints, from a time or now until some months from now, and for months with a thousand touchpoints; drop those that settings keep no longer';

SELECT @hub@.maintain();
