-- Journeys of customers, packed, and kept up to date.
--
-- Whatever changes a journey leaves a row in journey_changes, in its own transaction: triggers do for touchpoints,
-- move_identities for merges and splits. So in any snapshot customer_journeys and journey_changes together are exact,
-- however transactions overlap: current_journeys reads them so, and refresh() folds the one into the other in a single
-- statement, hence in one snapshot. What it does not see then stays for the next.
--
-- Values of several currencies must not be added: only those in the settings' currency, or in none, are packed. A
-- note says which that was, for the setting may change while a transaction that has written notes is not yet seen.
-- The detail of a label says who spoke. It is one of three words, so there is none that can't be packed. Who is a bot
-- may change in the same way: of what an agent said a note says by which bots_version of settings it was packed.

CREATE OR REPLACE FUNCTION @hub@.packed_value(value numeric, currency text, hub_currency text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN packed_value.currency IS NULL
    OR packed_value.currency = packed_value.hub_currency THEN packed_value.value END;
COMMENT ON FUNCTION @hub@.packed_value(numeric, text, text) IS
    'the value of a touchpoint as its journey has it; NULL: it is in another currency';

CREATE OR REPLACE FUNCTION @hub@.packed_detail(direction text, agent text, source text DEFAULT NULL,
                                               bots bytea DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE packed_detail.direction
           WHEN 'out'  -- most have none, and need not know the bots
           THEN CASE WHEN @hub@.is_bot(packed_detail.agent, packed_detail.source, packed_detail.bots) THEN 'bot'
                     ELSE 'out' END
           ELSE packed_detail.direction END;
COMMENT ON FUNCTION @hub@.packed_detail(text, text, text, bytea) IS
    'who spoke, as a journey has it: in, out, or bot, which is out by an agent that is a bot; NULL: nobody';

-- Before a row is put into an index that can't hold it, whose error would tell nobody what to do
CREATE OR REPLACE FUNCTION @hub@.refuse_long() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM touchpoint(NEW.occurred_at, NEW.channel, NEW.action);
    RAISE EXCEPTION USING ERRCODE = 'name_too_long', MESSAGE = 'currency is too long',
        DETAIL = format('"%s..." has %s bytes, the limit is 255.', left(NEW.currency, 40), octet_length(NEW.currency));
END $$;
COMMENT ON FUNCTION @hub@.refuse_long() IS 'trigger: the channel or currency of a touchpoint is too long';
CREATE OR REPLACE TRIGGER refuse_long BEFORE INSERT OR UPDATE ON @hub@.touchpoints FOR EACH ROW
    WHEN (octet_length(NEW.channel) > 255 OR octet_length(NEW.currency) > 255) EXECUTE FUNCTION @hub@.refuse_long();

CREATE OR REPLACE FUNCTION @hub@.note_added() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO journey_changes (identity_id, touchpoint, packed_for, packed_by)
    SELECT n.identity_id,
           touchpoint(n.occurred_at, n.channel, n.action, packed_value(n.value, n.currency, s.currency),
                      n.touchpoint_id, packed_detail(n.direction, n.agent, n.source, (SELECT agent_bots()))),
           CASE WHEN n.value IS NOT NULL AND n.currency IS NOT NULL THEN coalesce(s.currency, '') END,
           CASE WHEN n.direction = 'out' AND n.agent IS NOT NULL THEN coalesce(s.bots_version, 0) END
    FROM new_rows n LEFT JOIN settings s ON s.one_row
    -- a value that is left out now may be packed later, so it must be one that can
    WHERE n.value IS NULL OR n.currency IS NULL OR n.currency = s.currency
          OR touchpoint(n.occurred_at, n.channel, n.action, n.value, n.touchpoint_id) IS NOT NULL;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_added() IS 'trigger: touchpoints are new';

-- Plans of statements with transition tables are kept for a session, whatever number of rows they were made for, and
-- keys may have been counted when there were none: so they are looked up by index, one by one, and old and new rows
-- are compared by set operations, which hash.
CREATE OR REPLACE FUNCTION @hub@.note_removed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM touchpoint_keys k
    WHERE k.ctid = ANY (array(SELECT x.tid FROM old_rows o
                              CROSS JOIN LATERAL (SELECT y.ctid AS tid FROM touchpoint_keys y
                                                  WHERE y.source = o.source AND y.source_key = o.source_key
                                                        AND y.touchpoint_id = o.touchpoint_id OFFSET 0) x));
    INSERT INTO journey_changes (identity_id) SELECT DISTINCT o.identity_id FROM old_rows o;
    IF (SELECT s.notify FROM settings s WHERE s.one_row) THEN
        PERFORM tell(ARRAY(SELECT news(i.customer_id, o.touchpoint_id, 'removed')
                           FROM old_rows o CROSS JOIN LATERAL (SELECT i.customer_id FROM identities i
                                                               WHERE i.identity_id = o.identity_id OFFSET 0) i
                           LIMIT 1001));
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_removed() IS 'trigger: touchpoints are gone, and their keys with them';

CREATE OR REPLACE FUNCTION @hub@.note_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off
AS $$
#variable_conflict use_variable
DECLARE
    -- a key may be taken away, and that is all that may become of one
    id bigint := (SELECT min(d.touchpoint_id)
                  FROM (SELECT c.touchpoint_id, c.source
                        FROM (SELECT o.touchpoint_id, o.source, o.source_key FROM old_rows o
                              EXCEPT ALL
                              SELECT n.touchpoint_id, n.source, n.source_key FROM new_rows n) c
                        EXCEPT ALL
                        SELECT n.touchpoint_id, n.source FROM new_rows n WHERE n.source_key IS NULL) d);
BEGIN
    IF id IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'number, source and key of a touchpoint can''t be changed',
            DETAIL = format('This would change those of touchpoint %s.', id), HINT = 'Delete it and record it again.';
    END IF;
    -- who got a touchpoint that can't be in a journey must be told now
    PERFORM touchpoint(n.occurred_at, n.channel, n.action, n.value, n.touchpoint_id) FROM new_rows n;
    WITH former AS (
        SELECT o.identity_id, o.occurred_at, o.channel, o.action, o.currency, o.value, o.touchpoint_id,
               o.direction, CASE WHEN o.direction = 'out' OR o.conversation IS NOT NULL THEN o.agent END AS agent,
               o.conversation
        FROM old_rows o
    ), latter AS (
        SELECT n.identity_id, n.occurred_at, n.channel, n.action, n.currency, n.value, n.touchpoint_id,
               n.direction, CASE WHEN n.direction = 'out' OR n.conversation IS NOT NULL THEN n.agent END AS agent,
               n.conversation
        FROM new_rows n
    )
    INSERT INTO journey_changes (identity_id)
    SELECT d.identity_id FROM (TABLE former EXCEPT ALL TABLE latter) d
    UNION
    SELECT d.identity_id FROM (TABLE latter EXCEPT ALL TABLE former) d;
    UPDATE touchpoint_keys k SET occurred_at = u.occurred_at
    FROM (SELECT x.tid, n.occurred_at
          FROM new_rows n CROSS JOIN LATERAL (SELECT y.ctid AS tid, y.occurred_at FROM touchpoint_keys y
                                              WHERE y.source = n.source AND y.source_key = n.source_key
                                                    AND y.touchpoint_id = n.touchpoint_id OFFSET 0) x
          WHERE x.occurred_at <> n.occurred_at OFFSET 0) u
    WHERE k.ctid = u.tid;
    DELETE FROM touchpoint_keys k
    WHERE k.ctid = ANY (array(SELECT x.tid
                              FROM (SELECT o.touchpoint_id, o.source, o.source_key FROM old_rows o
                                    EXCEPT ALL
                                    SELECT n.touchpoint_id, n.source, n.source_key FROM new_rows n) d
                                   CROSS JOIN LATERAL (SELECT y.ctid AS tid FROM touchpoint_keys y
                                                       WHERE y.source = d.source AND y.source_key = d.source_key
                                                             AND y.touchpoint_id = d.touchpoint_id OFFSET 0) x));
    -- whose it was, and is no more, it is removed from
    IF (SELECT s.notify FROM settings s WHERE s.one_row) THEN
        PERFORM tell(ARRAY(
            WITH former AS (
                SELECT o.touchpoint_id, o.identity_id, o.occurred_at, o.channel, o.action, o.value, o.currency,
                       o.direction, o.conversation, o.agent, o.campaign, o.attributes, o.subject, o.url
                FROM old_rows o
            ), latter AS (
                SELECT n.touchpoint_id, n.identity_id, n.occurred_at, n.channel, n.action, n.value, n.currency,
                       n.direction, n.conversation, n.agent, n.campaign, n.attributes, n.subject, n.url
                FROM new_rows n
            ), gone AS (
                SELECT o.touchpoint_id, o.identity_id FROM old_rows o
                EXCEPT ALL
                SELECT n.touchpoint_id, n.identity_id FROM new_rows n
            ), told AS (
                SELECT d.touchpoint_id, d.identity_id, 'changed' AS became
                FROM (TABLE latter EXCEPT ALL TABLE former) d
                UNION ALL
                SELECT g.touchpoint_id, g.identity_id, 'removed' FROM gone g
            )
            SELECT news(i.customer_id, t.touchpoint_id, min(t.became))
            FROM told t CROSS JOIN LATERAL (SELECT i.customer_id FROM identities i
                                            WHERE i.identity_id = t.identity_id OFFSET 0) i
            GROUP BY i.customer_id, t.touchpoint_id
            LIMIT 1001));
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_changed() IS 'trigger: touchpoints have changed';

CREATE OR REPLACE FUNCTION @hub@.note_truncated() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM touchpoint_keys;
    DELETE FROM journey_changes;
    INSERT INTO journey_changes (identity_id) SELECT j.customer_id FROM customer_journeys j;
    IF (SELECT s.notify FROM settings s WHERE s.one_row) THEN
        PERFORM pg_notify(current_schema(), '{"many": true}');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_truncated() IS 'trigger: there are no touchpoints any more';

CREATE OR REPLACE TRIGGER note_added AFTER INSERT ON @hub@.touchpoints
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_added();
CREATE OR REPLACE TRIGGER note_removed AFTER DELETE ON @hub@.touchpoints
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_removed();
CREATE OR REPLACE TRIGGER note_changed AFTER UPDATE ON @hub@.touchpoints
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_changed();
CREATE OR REPLACE TRIGGER note_truncated AFTER TRUNCATE ON @hub@.touchpoints
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_truncated();

-- Becomes part of the query that calls it, and is worked out once there. What row-level security hides from a reader
-- must not show in journeys. Policies for those that are stored, and for what they lack, are taken at their word; those
-- of agents are the same for all of it.
CREATE OR REPLACE FUNCTION @hub@.reads_stored() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN NOT (row_security_active($$@hub@.touchpoints$$::regclass) OR row_security_active($$@hub@.identities$$::regclass)
            OR row_security_active($$@hub@.customers$$::regclass))
    OR NOT (@hub@.hides_rows($$@hub@.touchpoints$$, 'agents') OR @hub@.hides_rows($$@hub@.identities$$, 'agents')
            OR @hub@.hides_rows($$@hub@.customers$$, 'agents'))
    OR @hub@.hides_rows($$@hub@.customer_journeys$$, 'agents')
       AND @hub@.hides_rows($$@hub@.journey_changes$$, 'agents');
COMMENT ON FUNCTION @hub@.reads_stored() IS
    'whether you read journeys as they are stored: row-level security applies to customer_journeys and '
    'journey_changes, too, or to nothing they are made of';

-- By index, whatever the server thinks of tables that are filled just now. ANY, not a join: where a partition was last
-- counted when nothing in it could be seen, a join goes through all of the index, once a customer.
CREATE OR REPLACE FUNCTION @hub@.visible_journey(customer_id bigint) RETURNS @extschema@.journey
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT journey_agg(t.occurred_at, t.channel, t.action, packed_value(t.value, t.currency, s.currency),
                               t.touchpoint_id, packed_detail(t.direction, t.agent, t.source, (SELECT agent_bots())))
            FROM touchpoints t LEFT JOIN settings s ON s.one_row
            WHERE t.identity_id = ANY (ARRAY(SELECT i.identity_id FROM identities i
                                             WHERE i.customer_id = visible_journey.customer_id)));
END $$;
COMMENT ON FUNCTION @hub@.visible_journey(bigint) IS
    'the journey of a customer, packed of the touchpoints that you may see; NULL: there are none';

-- Notes come in thousands and go all at once: what the server last counted tells nothing of how many there are now. So
-- it is made to reckon with a hundred at least, lest it go through all of them for each customer.
CREATE OR REPLACE VIEW @hub@.journey_notes WITH (security_invoker = true) AS
SELECT n.identity_id, n.touchpoint, n.packed_for, n.packed_by FROM @hub@.journey_changes n
UNION ALL
(SELECT NULL, NULL, NULL, NULL FROM jsonb_array_elements('[]') OFFSET NULL);
COMMENT ON VIEW @hub@.journey_notes IS 'the rows of journey_changes';
COMMENT ON COLUMN @hub@.journey_notes.identity_id IS 'as in journey_changes';
COMMENT ON COLUMN @hub@.journey_notes.touchpoint IS 'as in journey_changes';
COMMENT ON COLUMN @hub@.journey_notes.packed_for IS 'as in journey_changes';
COMMENT ON COLUMN @hub@.journey_notes.packed_by IS 'as in journey_changes';

-- A customer has changed if one of its identities has a change. Settings are joined, for subqueries would keep workers
-- out.
CREATE OR REPLACE VIEW @hub@.pending_journeys WITH (security_invoker = true) AS
SELECT i.customer_id,
       bool_or(n.touchpoint IS NULL OR (n.packed_for <> coalesce(s.currency, '')) IS TRUE
               OR (n.packed_by <> coalesce(s.bots_version, 0)) IS TRUE) AS anew,
       @extschema@.journey_agg(n.touchpoint) AS added
FROM @hub@.journey_notes n JOIN @hub@.identities i ON i.identity_id = n.identity_id
     LEFT JOIN @hub@.settings s ON s.one_row
GROUP BY i.customer_id;
COMMENT ON VIEW @hub@.pending_journeys IS 'what customer_journeys lacks, by customer';
COMMENT ON COLUMN @hub@.pending_journeys.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.pending_journeys.anew IS 'whether the journey must be made anew';
COMMENT ON COLUMN @hub@.pending_journeys.added IS 'if not, what must be added to it';

-- clock_timestamp: what is volatile is worked out once, whatever the query asks of it.
CREATE OR REPLACE VIEW @hub@.changed_journeys WITH (security_invoker = true) AS
SELECT m.customer_id, m.journey
FROM (SELECT p.customer_id,
             CASE WHEN p.anew OR clock_timestamp() IS NULL THEN @hub@.visible_journey(p.customer_id)
                  ELSE coalesce(j.journey OPERATOR(@extschema@.||) p.added, p.added) END AS journey
      FROM @hub@.pending_journeys p LEFT JOIN @hub@.customer_journeys j ON j.customer_id = p.customer_id) m
WHERE m.journey IS NOT NULL;
COMMENT ON VIEW @hub@.changed_journeys IS 'journeys that customer_journeys lacks or has otherwise, as they are now';
COMMENT ON COLUMN @hub@.changed_journeys.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.changed_journeys.journey IS 'as in current_journeys';

-- A row of customer_journeys is also stale if its number is marked: the customer may be gone.
CREATE OR REPLACE VIEW @hub@.home_journeys WITH (security_invoker = true) AS
SELECT j.customer_id, j.journey
FROM @hub@.customer_journeys j
WHERE @hub@.reads_stored()
      AND NOT EXISTS (SELECT FROM @hub@.journey_notes n JOIN @hub@.identities i ON i.identity_id = n.identity_id
                      WHERE i.customer_id = j.customer_id)
      AND NOT EXISTS (SELECT FROM @hub@.journey_notes n WHERE n.identity_id = j.customer_id AND n.touchpoint IS NULL)
UNION ALL
SELECT c.customer_id, c.journey FROM @hub@.changed_journeys c WHERE @hub@.reads_stored()
UNION ALL
SELECT m.customer_id, m.journey
FROM (SELECT c.customer_id,
             CASE WHEN clock_timestamp() IS NOT NULL THEN @hub@.visible_journey(c.customer_id) END AS journey
      FROM @hub@.customers c) m
WHERE NOT @hub@.reads_stored() AND m.journey IS NOT NULL;
COMMENT ON VIEW @hub@.home_journeys IS
    'the rows of current_journeys, read where the hub is, also where workers have journeys too';
COMMENT ON COLUMN @hub@.home_journeys.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.home_journeys.journey IS 'as in current_journeys';

-- Where the hub is spread workers answer what is asked of it: see 91_spread
CREATE OR REPLACE VIEW @hub@.current_journeys WITH (security_invoker = true) AS
SELECT j.customer_id, j.journey FROM @hub@.home_journeys j;
COMMENT ON VIEW @hub@.current_journeys IS 'journeys of customers as they are now';
COMMENT ON COLUMN @hub@.current_journeys.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.current_journeys.journey IS
    'all touchpoints of the customer, with touchpoint_id as ref, in, out or bot as detail, and values that are in the '
    'settings'' currency, or in none';

-- Joined by customer_id, of which UNION ALL with a GROUP BY under it knows nothing. LEFT JOIN of one row: what comes
-- from behind it is worked out before it is joined to anything, once a customer, and in parallel workers too. What is
-- read is asked by subqueries: from PostgreSQL 18 on it is asked of each pair that is joined.
CREATE OR REPLACE VIEW @hub@.journeys_by_customer WITH (security_invoker = true) AS
SELECT m.customer_id, m.journey
FROM (SELECT) one LEFT JOIN (
    SELECT c.customer_id,
           CASE WHEN p.anew OR p.customer_id IS NULL AND j.customer_id IS NULL AND NOT @hub@.reads_stored()
                THEN @hub@.visible_journey(c.customer_id)
                WHEN p.customer_id IS NOT NULL THEN coalesce(j.journey OPERATOR(@extschema@.||) p.added, p.added)
                ELSE j.journey END AS journey
    FROM @hub@.customers c
         LEFT JOIN (SELECT j.customer_id, j.journey FROM @hub@.customer_journeys j
                    WHERE (SELECT @hub@.reads_stored())) j ON j.customer_id = c.customer_id
         LEFT JOIN (SELECT p.customer_id, p.anew, p.added FROM @hub@.pending_journeys p
                    WHERE (SELECT @hub@.reads_stored())) p ON p.customer_id = c.customer_id) m ON true
WHERE m.customer_id IS NOT NULL AND m.journey IS NOT NULL;
COMMENT ON VIEW @hub@.journeys_by_customer IS
    'the rows of current_journeys, in a form that joins by customer_id go through by index; patterns of all customers '
    'are for current_journeys';
COMMENT ON COLUMN @hub@.journeys_by_customer.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.journeys_by_customer.journey IS 'as in current_journeys';

CREATE OR REPLACE VIEW @hub@.unpacked_values WITH (security_invoker = true) AS
SELECT t.currency, count(*) AS touchpoints, sum(t.value) AS value
FROM @hub@.touchpoints t
WHERE t.value IS NOT NULL AND t.currency <> coalesce((SELECT s.currency FROM @hub@.settings s), '')
GROUP BY t.currency;
COMMENT ON VIEW @hub@.unpacked_values IS
    'values that journeys lack, because they are in another currency than that of settings';
COMMENT ON COLUMN @hub@.unpacked_values.currency IS 'their currency';
COMMENT ON COLUMN @hub@.unpacked_values.touchpoints IS 'how many touchpoints have such a value';
COMMENT ON COLUMN @hub@.unpacked_values.value IS 'their sum';

-- At once, for no journey may be read that has been packed for the former one.
CREATE OR REPLACE FUNCTION @hub@.currency_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
            MESSAGE = 'currency of settings must be changed in a transaction at READ COMMITTED',
            DETAIL = format('This one is at %s, where journeys that others have packed since it began can''t be seen.',
                            upper(current_setting('transaction_isolation')));
    END IF;
    PERFORM refresh(rebuild => true);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.currency_changed() IS 'trigger: journeys must be packed anew';
CREATE OR REPLACE TRIGGER currency_changed AFTER UPDATE ON @hub@.settings FOR EACH ROW
    WHEN (NEW.currency IS DISTINCT FROM OLD.currency) EXECUTE FUNCTION @hub@.currency_changed();

-- What a hub that is spread has another one of
CREATE OR REPLACE FUNCTION @hub@.spread(strict boolean DEFAULT true) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    RETURN 0;
END $$;
COMMENT ON FUNCTION @hub@.spread(boolean) IS
    'send workers the journeys that have changed, and return how many; not strict: only warn where it fails. Does '
    'nothing where the hub is not spread';

-- Blocks are kept of what is written to customer_journeys. Who can't read them empties them: so they are never wrong.
CREATE OR REPLACE FUNCTION @hub@.refresh(rebuild boolean DEFAULT false) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on
AS $$
#variable_conflict use_variable
DECLARE
    few constant integer := 8192;  -- of a row: more customers, or more than a megabyte, and it is made anew
    firsts bigint[] := '{}';  -- where rows of journey_blocks begin, if they are kept
    place record;
    changed bigint[];             -- customers with changes, if there are segments,
    added @extschema@.journey[];  -- and what is new, if that is all
    total bigint := 0;
    at_once constant numeric := 100000000;  -- of so many touchpoints, some, journeys are made in one statement
    portions integer := 1;        -- of customers by their number, if all are made anew
    first_id bigint;
    last_id bigint;
    since bigint;                 -- the bounds of a portion; NULL: none
    before bigint;
BEGIN
    IF NOT has_table_privilege('refresh_lock', 'UPDATE') THEN
        PERFORM check_may('steward');
    END IF;
    IF NOT rebuild THEN
        PERFORM feed_here();
    END IF;
    -- One at a time. A lock of a table that is filled would keep autovacuum from it; an advisory one could be
    -- anybody's.
    LOCK TABLE refresh_lock IN SHARE ROW EXCLUSIVE MODE;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM agent_maps m WHERE m.one_row FOR SHARE;  -- fails if bots have changed since the snapshot
    END IF;
    -- few by index, for the server reckons with as many notes as the table has room for
    IF NOT rebuild AND (SELECT count(*) FROM (SELECT FROM journey_changes n LIMIT 1000) n) < 1000 THEN
        PERFORM set_config(s.setting, 'off', true)
        FROM unnest('{enable_seqscan,enable_hashjoin,enable_mergejoin}'::text[]) s(setting);
    ELSIF NOT rebuild AND sees_all_journeys() THEN
        -- a note takes twice as long as a touchpoint, which has a hundred bytes or more: so after a load read these
        rebuild := (SELECT count(*) FROM journey_changes) * 200
                   > (SELECT sum(pg_relation_size(t.relid)) FROM pg_partition_tree('touchpoints') t WHERE t.isleaf);
    END IF;
    IF NOT sees_all_journeys() THEN
        DELETE FROM journey_blocks;
    ELSIF NOT rebuild THEN
        firsts := ARRAY(SELECT b.first_customer FROM journey_blocks b ORDER BY 1);
    END IF;
    IF rebuild THEN
        SELECT min(c.customer_id), max(c.customer_id) INTO first_id, last_id FROM customers c;
        portions := (SELECT ceil(greatest(sum(greatest(c.reltuples, 0)), sum(pg_relation_size(c.oid)) / 150, 1)
                                 / at_once)
                     FROM pg_partition_tree('touchpoints') t JOIN pg_class c ON c.oid = t.relid WHERE t.isleaf);
        portions := greatest(least(portions, last_id - first_id), 1);
    END IF;
    -- Each portion has a snapshot of its own, in which its notes are taken. What concerns two customers stays, for what
    -- else follows.
    FOR portion IN 1 .. CASE WHEN rebuild THEN portions ELSE 0 END LOOP
        since := CASE WHEN portion > 1 THEN first_id + (last_id - first_id) / portions * (portion - 1) END;
        before := CASE WHEN portion < portions THEN first_id + (last_id - first_id) / portions * portion END;
        WITH taken AS (
            DELETE FROM journey_changes n WHERE portions = 1
        ), taken_here AS (
            DELETE FROM journey_changes n USING identities i
            WHERE portions > 1 AND i.identity_id = n.identity_id
                  AND (since IS NULL OR i.customer_id >= since) AND (before IS NULL OR i.customer_id < before)
                  AND (n.touchpoint IS NOT NULL OR i.customer_id = n.identity_id)
        ), made AS MATERIALIZED (
            SELECT i.customer_id,
                   journey_agg(t.occurred_at, t.channel, t.action,
                               packed_value(t.value, t.currency, (SELECT s.currency FROM settings s)),
                               t.touchpoint_id,
                               packed_detail(t.direction, t.agent, t.source, (SELECT agent_bots())))
                       AS journey
            FROM touchpoints t JOIN identities i ON i.identity_id = t.identity_id
            WHERE (since IS NULL OR i.customer_id >= since) AND (before IS NULL OR i.customer_id < before)
            GROUP BY i.customer_id
        ), gone AS (
            DELETE FROM customer_journeys j
            WHERE (since IS NULL OR j.customer_id >= since) AND (before IS NULL OR j.customer_id < before)
                  AND NOT EXISTS (SELECT FROM made m WHERE m.customer_id = j.customer_id) RETURNING 1
        ), stored AS (
            INSERT INTO customer_journeys AS j (customer_id, journey) SELECT m.customer_id, m.journey FROM made m
            ON CONFLICT (customer_id) DO UPDATE SET journey = excluded.journey WHERE j.journey <> excluded.journey
            RETURNING 1
        )
        SELECT total + (SELECT count(*) FROM stored) + (SELECT count(*) FROM gone) INTO total;
        IF portions > 1 THEN
            RAISE NOTICE USING MESSAGE = format('refresh: portion %s of %s is done, %s journeys are packed', portion,
                                                portions, total);
        END IF;
    END LOOP;
    IF NOT rebuild OR portions > 1 THEN
        FOR place IN
            WITH taken AS MATERIALIZED (
                DELETE FROM journey_changes n RETURNING n.identity_id, n.touchpoint, n.packed_for, n.packed_by
            ), noted AS (
                INSERT INTO noted_waits (source, conversation)
                SELECT c.source, c.conversation
                FROM changed_conversations() c
                WHERE (SELECT reads_noted_waits())
                      AND (c.may_wait OR EXISTS (SELECT FROM noted_waits w WHERE w.source = c.source
                                                                             AND w.conversation = c.conversation))
                ON CONFLICT ON CONSTRAINT noted_waits_key DO UPDATE SET started_at = NULL, last_at = NULL
            ), changed AS MATERIALIZED (
                SELECT i.customer_id,
                       bool_or(n.touchpoint IS NULL
                               OR (n.packed_for <> coalesce((SELECT s.currency FROM settings s), '')) IS TRUE
                               OR (n.packed_by <> coalesce((SELECT s.bots_version FROM settings s), 0)) IS TRUE)
                           AS anew,
                       journey_agg(n.touchpoint) AS added
                FROM taken n JOIN identities i ON i.identity_id = n.identity_id
                GROUP BY i.customer_id
            ), made AS MATERIALIZED (
                SELECT c.customer_id,
                       journey_agg(t.occurred_at, t.channel, t.action,
                                   packed_value(t.value, t.currency, (SELECT s.currency FROM settings s)),
                                   t.touchpoint_id,
                                   packed_detail(t.direction, t.agent, t.source, (SELECT agent_bots())))
                           AS journey
                FROM changed c JOIN identities i ON i.customer_id = c.customer_id
                     JOIN touchpoints t ON t.identity_id = i.identity_id
                WHERE c.anew
                GROUP BY c.customer_id
            ), gone AS (
                DELETE FROM customer_journeys j
                USING (SELECT n.identity_id AS customer_id FROM taken n WHERE n.touchpoint IS NULL
                       UNION
                       SELECT c.customer_id FROM changed c WHERE c.anew
                       EXCEPT
                       SELECT m.customer_id FROM made m) g
                WHERE j.customer_id = g.customer_id
                RETURNING j.customer_id
            ), stored AS (
                INSERT INTO customer_journeys AS j (customer_id, journey) SELECT m.customer_id, m.journey FROM made m
                ON CONFLICT (customer_id) DO UPDATE SET journey = excluded.journey WHERE j.journey <> excluded.journey
                RETURNING j.customer_id, pg_column_size(j.journey) AS bytes
            ), grown AS (
                INSERT INTO customer_journeys AS j (customer_id, journey)
                SELECT c.customer_id, c.added FROM changed c WHERE NOT c.anew
                ON CONFLICT (customer_id) DO UPDATE SET journey = j.journey || excluded.journey
                RETURNING j.customer_id, pg_column_size(j.journey) AS bytes
            ), written AS (
                SELECT g.customer_id, 0 AS bytes FROM gone g
                UNION ALL
                SELECT s.customer_id, s.bytes FROM stored s
                UNION ALL
                SELECT g.customer_id, g.bytes FROM grown g
            ), placed AS (
                SELECT w.customer_id, w.bytes, p.number,
                       row_number() OVER (PARTITION BY p.number ORDER BY w.customer_id) AS nth
                FROM written w CROSS JOIN LATERAL (SELECT width_bucket(w.customer_id, firsts) AS number) p
            )
            SELECT p.number, count(*) AS customers, sum(p.bytes) AS bytes,
                   array_agg(p.customer_id ORDER BY p.nth) FILTER (WHERE p.nth <= few) AS ids,
                   NULL::@extschema@.journey[] AS added
            FROM placed p
            GROUP BY p.number
            UNION ALL
            SELECT NULL, 0, 0, array_agg(d.customer_id), array_agg(d.added)
            FROM (SELECT c.customer_id, CASE WHEN NOT c.anew THEN c.added END AS added FROM changed c
                  UNION ALL
                  SELECT n.identity_id, NULL FROM taken n WHERE n.touchpoint IS NULL) d
            WHERE EXISTS (SELECT FROM segments s)
        LOOP
            IF place.number IS NULL THEN
                changed := place.ids;
                added := place.added;
                CONTINUE;
            END IF;
            total := total + place.customers;
            IF firsts <> '{}' THEN
                PERFORM CASE WHEN place.customers <= few AND place.bytes <= 1048576
                             THEN refresh_block(firsts[place.number], place.ids)
                             ELSE make_blocks(firsts[place.number]) END;
            END IF;
        END LOOP;
    END IF;
    IF total >= 100000 THEN
        RAISE NOTICE USING MESSAGE = format('refresh: %s journeys are packed', total);
    END IF;
    IF firsts = '{}' AND sees_all_journeys() THEN
        PERFORM make_blocks();
    END IF;
    PERFORM settle_waits(rebuild);
    PERFORM refresh_segments(now(), changed, rebuild, added);
    IF total >= 1000 THEN
        PERFORM gather_statistics(0, 1);
    END IF;
    PERFORM keep_next_steps(total, rebuild);
    PERFORM spread(false);
    RETURN total;
END $$;
COMMENT ON FUNCTION @hub@.refresh(boolean) IS
    'bring customer_journeys, journey_blocks and segment_members up to date, or make them anew; returns how many '
    'journeys have changed';
