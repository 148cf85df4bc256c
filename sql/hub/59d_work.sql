-- What is to be done for a hub all the time, and how it is.

CREATE OR REPLACE FUNCTION @hub@.work_is_due(task text, every interval) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN every IS NOT NULL
           AND NOT EXISTS (SELECT FROM work_done w WHERE w.task = work_is_due.task
                           AND w.done_at + every > clock_timestamp() AND w.done_at <= clock_timestamp());
END $$;
COMMENT ON FUNCTION @hub@.work_is_due(text, interval) IS
    'whether a task of work() was done longer ago than that, or never';

CREATE OR REPLACE FUNCTION @hub@.note_work(task text, error text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO work_done AS w (task, done_at, error) VALUES (task, clock_timestamp(), error)
    ON CONFLICT ON CONSTRAINT work_done_pkey DO UPDATE SET done_at = excluded.done_at, error = excluded.error;
END $$;
COMMENT ON FUNCTION @hub@.note_work(text, text) IS 'remember when a task of work() was tried';

-- An error must not keep work() from feeding
CREATE OR REPLACE FUNCTION @hub@.refresh_if_due(every interval) RETURNS text
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    why text;
BEGIN
    IF NOT work_is_due('refresh', every) THEN
        RETURN NULL;
    END IF;
    BEGIN
        PERFORM refresh();
    EXCEPTION WHEN OTHERS THEN
        why := SQLERRM;
    END;
    PERFORM note_work('refresh', why);
    RETURN why;
END $$;
COMMENT ON FUNCTION @hub@.refresh_if_due(interval) IS 'refresh, if that is due; returns why it can''t be done';

-- Without settings, so that it can commit
CREATE OR REPLACE PROCEDURE @hub@.work(INOUT fed bigint DEFAULT 0)
LANGUAGE plpgsql
AS $work$
#variable_conflict use_variable
DECLARE
    todo record;
    batch pg_catalog.int8;
    beginning pg_catalog.bool;
    all_of_them pg_catalog.bool;
    refresh_every pg_catalog.interval;
    maintain_every pg_catalog.interval;
    why pg_catalog.text;
    made pg_catalog.int4;
    dropped pg_catalog.int4;
    postponed pg_catalog.int4;
BEGIN
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    fed := 0;
    SELECT s.refresh_every, s.maintain_every INTO refresh_every, maintain_every FROM @hub@.settings s;
    -- tables may have changed that nobody has noted
    all_of_them := @hub@.work_is_due('look', '1 minute');
    IF all_of_them THEN
        PERFORM @hub@.drop_strange_notes(), @hub@.note_work('look', NULL);
    END IF;
    FOR todo IN SELECT t.id FROM @hub@.sources_to_feed(NULL, all_of_them, false) t(id) LOOP
        beginning := true;
        LOOP
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            batch := @hub@.try_to_feed(todo.id, beginning);
            EXIT WHEN batch IS NULL;
            fed := fed + batch;
            beginning := false;
        END LOOP;
    END LOOP;
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    why := @hub@.refresh_if_due(refresh_every);
    IF why IS NOT NULL THEN
        RAISE WARNING USING MESSAGE = pg_catalog.format('the hub can''t be refreshed: %s', why);
    END IF;
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    IF @hub@.work_is_due('maintain', maintain_every) THEN
        PERFORM @hub@.note_work('maintain', 'it was interrupted');
        CALL @hub@.maintain(made => made, dropped => dropped, postponed => postponed);
        PERFORM @hub@.note_work('maintain', NULL);
    END IF;
    COMMIT;
END $work$;
COMMENT ON PROCEDURE @hub@.work(bigint) IS
    'do what is due: feed what has changed in attached tables, refresh() and maintain() as often as settings say. The '
    'background worker calls it all the time; where there is none, call it every minute. Commits as it goes; returns '
    'how many changes were fed';

CREATE OR REPLACE FUNCTION @hub@.worker_runs() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    -- its lock is on the number of the schema
    RETURN EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                   WHERE l.locktype = 'advisory' AND l.objid = x'6a6f7572'::integer::oid AND l.objsubid = 3
                         AND l.classid = quote_ident(current_schema())::regnamespace
                             AND d.datname = current_database());
END $$;
COMMENT ON FUNCTION @hub@.worker_runs() IS 'whether the hub''s background worker is there';

CREATE OR REPLACE VIEW @hub@.health WITH (security_invoker = true) AS
SELECT h.topic, h.name, h.status, h.waiting, h.since, h.detail
FROM (SELECT 'source' AS topic, p.source || CASE WHEN p.part <> '' THEN ' ' || p.part ELSE '' END AS name,
             CASE WHEN p.last_error IS NOT NULL OR p.state IN ('dropped', 'changed', 'triggers missing',
                                                               'triggers disabled', 'failing') THEN 'failing'
                  WHEN p.oldest < clock_timestamp() - interval '5 minutes' OR p.state = 'partitions added' THEN 'behind'
                  ELSE 'ok' END AS status,
             p.pending AS waiting, p.oldest AS since, concat_ws(': ', p.state, p.last_error) AS detail
      FROM @hub@.source_progress p
      WHERE p.state <> 'detached'
      UNION ALL
      SELECT 'rejects', r.source, 'behind', count(*), min(r.rejected_at),
             'rows of which no touchpoint can be made: see source_rejects'
      FROM @hub@.source_rejects r GROUP BY r.source
      UNION ALL
      SELECT 'journeys', NULL, CASE WHEN w.error IS NOT NULL THEN 'failing'
                                    WHEN c.identities > 0 AND w.done_at < clock_timestamp() - 3 * s.refresh_every
                                         THEN 'behind'
                                    ELSE 'ok' END,
             c.identities, w.done_at, coalesce(w.error, 'identities whose journeys wait for refresh()')
      FROM (SELECT count(DISTINCT j.identity_id) AS identities FROM @hub@.journey_changes j) c
           CROSS JOIN @hub@.settings s LEFT JOIN @hub@.work_done w ON w.task = 'refresh'
      UNION ALL
      SELECT 'partitions', NULL, CASE WHEN w.error IS NOT NULL THEN 'failing' WHEN d.touchpoints > 0 THEN 'behind'
                                      ELSE 'ok' END,
             d.touchpoints, w.done_at, coalesce(w.error, 'touchpoints of months without a partition of their own')
      FROM (SELECT count(*) AS touchpoints FROM @hub@.touchpoints_default) d
           LEFT JOIN @hub@.work_done w ON w.task = 'maintain'
      UNION ALL
      SELECT 'policies', c.relname, 'failing', NULL, NULL,
             'policy everyone lets through what policies of your own hide: call grant_access once more for an agent'
      FROM pg_policy e JOIN pg_class c ON c.oid = e.polrelid
      WHERE c.relnamespace = $$@hub@$$::regnamespace AND e.polname = 'everyone'
            AND EXISTS (SELECT FROM pg_policy o
                        WHERE o.polrelid = e.polrelid AND o.polpermissive AND o.polname <> 'everyone')
      UNION ALL
      SELECT 'worker', NULL, CASE WHEN x.runs = s.worker THEN 'ok' ELSE 'failing' END, NULL, NULL,
             CASE WHEN x.runs THEN 'it runs'
                  WHEN s.worker THEN 'settings ask for it, but it does not run: pg_journey must be in '
                                     'shared_preload_libraries, pg_journey.worker on, and max_worker_processes large '
                                     'enough'
                  ELSE 'settings do not ask for it: call work()' END
      FROM @hub@.settings s CROSS JOIN (SELECT @hub@.worker_runs() AS runs) x) h;
COMMENT ON VIEW @hub@.health IS 'whether the hub keeps up, and what keeps it from that';
COMMENT ON COLUMN @hub@.health.topic IS
    'source: an attached table; rejects: of one; journeys: what refresh() has to do; partitions: what maintain() has '
    'to; policies: yours, which agents'' leave without effect; worker: the background worker';
COMMENT ON COLUMN @hub@.health.name IS 'which source';
COMMENT ON COLUMN @hub@.health.status IS
    'ok; behind: there is something to do, or changes wait for more than five minutes; failing: it needs somebody';
COMMENT ON COLUMN @hub@.health.waiting IS 'how many changes, rows, identities or touchpoints wait';
COMMENT ON COLUMN @hub@.health.since IS
    'since when the oldest has waited; of journeys and partitions, when work() saw to them last';
COMMENT ON COLUMN @hub@.health.detail IS 'what it is';
