-- A hub of which workers have the journeys: run only where there is spread_journeys.
--
-- The hub stays what it is, and where it is. Workers have copies of customer_journeys and journey_blocks for questions
-- over all customers, and they may be late: triggers note in unspread which customers' copies are not what the hub
-- has, in the transaction that changes them, and spread() sends these. So what is read is always the copies of all
-- but those, and of those what the hub has itself.
--
-- Workers and coordinator have no snapshot in common. So spread() commits while nobody reads: readers hold a lock of
-- unspread to the end of their transaction, and look at what is noted only when they have it. And a worker that died
-- before it heard that a transaction was committed is a step behind until it is told: its anchor says so.

CREATE OR REPLACE FUNCTION @hub@.note_unspread() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO unspread (customer_id) SELECT c.customer_id FROM changed_rows c;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_unspread() IS 'trigger: journeys have changed';
CREATE OR REPLACE TRIGGER note_unspread_added AFTER INSERT ON @hub@.customer_journeys
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_unspread();
CREATE OR REPLACE TRIGGER note_unspread_changed AFTER UPDATE ON @hub@.customer_journeys
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_unspread();
CREATE OR REPLACE TRIGGER note_unspread_removed AFTER DELETE ON @hub@.customer_journeys
    REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_unspread();

CREATE OR REPLACE FUNCTION @hub@.note_unspread_truncated() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO unspread (customer_id) SELECT s.customer_id FROM spread_journeys s;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_unspread_truncated() IS 'trigger: there are no packed journeys any more';
CREATE OR REPLACE TRIGGER note_unspread_truncated AFTER TRUNCATE ON @hub@.customer_journeys
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_unspread_truncated();

CREATE OR REPLACE FUNCTION @hub@.note_unspread_blocks() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO unspread_blocks (first_customer, whole)
        SELECT n.first_customer, n.block <> o.block
        FROM changed_rows n JOIN old_rows o ON o.first_customer = n.first_customer;
    ELSE
        INSERT INTO unspread_blocks (first_customer, whole) SELECT c.first_customer, true FROM changed_rows c;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_unspread_blocks() IS 'trigger: blocks have changed';
CREATE OR REPLACE TRIGGER note_unspread_added AFTER INSERT ON @hub@.journey_blocks
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_unspread_blocks();
CREATE OR REPLACE TRIGGER note_unspread_changed AFTER UPDATE ON @hub@.journey_blocks
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_unspread_blocks();
CREATE OR REPLACE TRIGGER note_unspread_removed AFTER DELETE ON @hub@.journey_blocks
    REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_unspread_blocks();

-- Copies that can be read: the lock is had, then it is looked whether workers have all there is to have
CREATE OR REPLACE FUNCTION @hub@.hold_spread() RETURNS integer
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    state record;
    behind bigint;
BEGIN
    PERFORM FROM unspread u LIMIT 1;
    SELECT s.serial, s.places INTO state FROM spread_state s;
    IF current_setting('transaction_isolation') <> 'read committed'
       AND state.serial <> (SELECT q.last_value FROM spread_serial q) THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = 'could not read journeys in this snapshot',
            DETAIL = 'Workers were sent newer ones since this transaction began.',
            HINT = 'Try the transaction again, or use READ COMMITTED. home_journeys and home_blocks can be read.';
    END IF;
    SELECT count(*) INTO behind FROM spread_keys k WHERE k.place IS NOT NULL AND k.serial <> state.serial;
    IF behind > 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'a worker has yet to commit journeys that it was sent',
            DETAIL = format('%s shards are behind, as where a worker stopped before it heard that a transaction was '
                            'committed.', behind),
            HINT = 'Citus finishes such transactions by itself, once in citus.recover_2pc_interval; '
                   'SELECT recover_prepared_transactions(); does at once. home_journeys and home_blocks can be read.';
    END IF;
    RETURN state.places;
END $$;
COMMENT ON FUNCTION @hub@.hold_spread() IS
    'keep workers'' journeys as they are until the transaction ends; returns how many places there are';

CREATE OR REPLACE FUNCTION @hub@.journeys_beside(OUT place integer, OUT customer_id bigint,
                                                 OUT journey @extschema@.journey)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    places integer := hold_spread();
BEGIN
    IF NOT reads_stored() THEN
        RETURN QUERY
        SELECT (row_number() OVER () % places)::integer, j.customer_id, j.journey FROM home_journeys j;
        RETURN;
    END IF;
    RETURN NEXT;
    RETURN QUERY
    SELECT (row_number() OVER () % places)::integer, c.customer_id, j.journey
    FROM (SELECT i.customer_id
          FROM journey_notes n JOIN identities i ON i.identity_id = n.identity_id
          UNION
          SELECT n.identity_id FROM journey_notes n WHERE n.touchpoint IS NULL
          UNION
          SELECT u.customer_id FROM unspread u) c
         LEFT JOIN journeys_by_customer j ON j.customer_id = c.customer_id;
END $$;
COMMENT ON FUNCTION @hub@.journeys_beside() IS
    'what current_journeys has of the hub itself: a row without place, if workers'' journeys may be read at all; and '
    'customers whose journeys they have otherwise, with those they have now, NULL: none. Else all there are';

-- No function of the hub may be called in what workers run, for they have none.
CREATE OR REPLACE VIEW @hub@.current_journeys WITH (security_invoker = true) AS
WITH beside AS MATERIALIZED (SELECT b.place, b.customer_id, b.journey FROM @hub@.journeys_beside() b)
SELECT coalesce(u.beside, u.customer_id) AS customer_id, u.journey
FROM (SELECT j.customer_id, NULL::bigint AS beside, j.journey
      FROM @hub@.spread_journeys j
           JOIN beside g ON g.place IS NULL
           LEFT JOIN beside b ON b.customer_id = j.customer_id
      WHERE b.customer_id IS NULL
      UNION ALL
      SELECT a.key, b.customer_id, b.journey
      FROM @hub@.spread_keys a JOIN beside b ON b.place = a.place
      WHERE b.journey IS NOT NULL) u
     JOIN @hub@.spread_keys k ON k.key = u.customer_id;

CREATE OR REPLACE FUNCTION @hub@.blocks_beside(OUT place integer, OUT customers bigint[],
                                               OUT block @extschema@.journey_block)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    places integer := hold_spread();
BEGIN
    IF NOT reads_blocks() THEN
        RETURN QUERY SELECT (row_number() OVER () % places)::integer, NULL::bigint[], b.block FROM home_blocks b;
        RETURN;
    END IF;
    RETURN QUERY
    WITH changed AS MATERIALIZED (
        SELECT i.customer_id
        FROM journey_notes n JOIN identities i ON i.identity_id = n.identity_id
        UNION
        SELECT n.identity_id FROM journey_notes n WHERE n.touchpoint IS NULL
        UNION
        SELECT u.customer_id FROM unspread u)
    SELECT NULL::integer, array_agg(c.customer_id), NULL::@extschema@.journey_block FROM changed c
    UNION ALL
    SELECT (row_number() OVER () % places)::integer, NULL, p.block
    FROM (SELECT journey_block_agg(j.customer_id, j.journey) AS block
          FROM changed c JOIN journeys_by_customer j ON j.customer_id = c.customer_id
          GROUP BY block_of(j.customer_id, j.journey)) p;
END $$;
COMMENT ON FUNCTION @hub@.blocks_beside() IS
    'what current_blocks has of the hub itself: a row without place, if workers'' blocks may be read at all, with '
    'customers whose journeys they have otherwise; and blocks of those journeys as they are now. Else all there are';

CREATE OR REPLACE VIEW @hub@.current_blocks WITH (security_invoker = true) AS
WITH beside AS MATERIALIZED (SELECT b.place, b.customers, b.block FROM @hub@.blocks_beside() b)
SELECT u.block
FROM (SELECT b.first_customer AS key,
             coalesce(@extschema@.journey_block_without(
                          b.block, @extschema@.journey_block_customers(b.newer) || b.gone || g.customers), b.block)
                 AS block
      FROM @hub@.spread_blocks b JOIN beside g ON g.place IS NULL
      UNION ALL
      SELECT b.first_customer,
             coalesce(@extschema@.journey_block_without(b.newer, b.gone || g.customers), b.newer)
      FROM @hub@.spread_blocks b JOIN beside g ON g.place IS NULL
      WHERE b.newer IS NOT NULL
      UNION ALL
      SELECT a.key, b.block FROM @hub@.spread_keys a JOIN beside b ON b.place = a.place) u
     JOIN @hub@.spread_keys k ON k.key = u.key;

-- What becomes part of a query that calls it can't be run by workers: so this is a function that does not.
CREATE OR REPLACE FUNCTION @hub@.channel_measures(period text DEFAULT NULL, since timestamptz DEFAULT NULL,
                                                  until timestamptz DEFAULT NULL, measures text[] DEFAULT NULL,
                                                  among bigint[] DEFAULT NULL)
RETURNS SETOF @extschema@.channel_measures
LANGUAGE plpgsql STABLE ROWS 1 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_variable
DECLARE
    time_zone text;
    session_gap interval;
    handoff_within interval;
    unowned text[] := not_own_actions();
    digital text[] := ARRAY(SELECT c.channel FROM channels c WHERE c.kind = 'digital');
    personal text[] := ARRAY(SELECT c.channel FROM channels c WHERE c.kind <> 'digital');
BEGIN
    period := check_period(period, since, until);
    SELECT s.time_zone, s.session_gap, s.handoff_within INTO time_zone, session_gap, handoff_within FROM settings s;
    IF among IS NULL THEN
        RETURN QUERY
        SELECT channel_measures_agg(b.block, session_gap, handoff_within, unowned, digital, personal, period,
                                    time_zone, since, until, measures)
        FROM current_blocks b;
    ELSE
        RETURN QUERY
        SELECT channel_measures_agg(b.block, session_gap, handoff_within, unowned, digital, personal, period,
                                    time_zone, since, until, measures)
        FROM blocks_among(among) b(block);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION @hub@.spread_now() RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    portion constant integer := 2000;
    ids bigint[];
    slice bigint[];
    wholes bigint[];
    parts bigint[];
    first bigint;
    stored record;
    new_serial bigint;
BEGIN
    LOCK TABLE refresh_lock IN SHARE ROW EXCLUSIVE MODE;
    WITH taken AS (DELETE FROM unspread u RETURNING u.customer_id)
    SELECT array_agg(DISTINCT t.customer_id) INTO ids FROM taken t;
    FOR first IN SELECT g.n FROM generate_series(1, cardinality(ids), portion) g(n) LOOP
        slice := ids[first : first + portion - 1];
        SELECT array_agg(j.customer_id) AS ids, array_agg(j.journey) AS journeys INTO stored
        FROM customer_journeys j WHERE j.customer_id = ANY (slice);
        INSERT INTO spread_journeys AS s (customer_id, journey)
        SELECT n.customer_id, n.journey FROM unnest(stored.ids, stored.journeys) n(customer_id, journey)
        ON CONFLICT (customer_id) DO UPDATE SET journey = excluded.journey;
        INSERT INTO spread_keys AS s (key) SELECT n.id FROM unnest(stored.ids) n(id) ON CONFLICT (key) DO NOTHING;
        slice := ARRAY(SELECT u.id FROM unnest(slice) u(id) EXCEPT SELECT u.id FROM unnest(stored.ids) u(id));
        IF slice <> '{}' THEN
            DELETE FROM spread_journeys s WHERE s.customer_id = ANY (slice);
            slice := ARRAY(SELECT u.id FROM unnest(slice) u(id) EXCEPT SELECT b.first_customer FROM journey_blocks b);
            DELETE FROM spread_keys s WHERE s.key = ANY (slice) AND s.place IS NULL;
        END IF;
    END LOOP;

    WITH taken AS (DELETE FROM unspread_blocks u RETURNING u.first_customer, u.whole)
    SELECT array_agg(t.first_customer ORDER BY t.first_customer) FILTER (WHERE t.whole),
           array_agg(t.first_customer ORDER BY t.first_customer) FILTER (WHERE NOT t.whole) INTO wholes, parts
    FROM (SELECT t.first_customer, bool_or(t.whole) AS whole FROM taken t GROUP BY t.first_customer) t;
    IF wholes IS NOT NULL THEN
        DELETE FROM spread_blocks s WHERE s.first_customer = ANY (wholes);
        INSERT INTO spread_keys AS s (key) SELECT n.id FROM unnest(wholes) n(id) ON CONFLICT (key) DO NOTHING;
    END IF;
    FOR first IN SELECT u.id FROM unnest(wholes) u(id) LOOP
        SELECT b.block, b.newer, b.gone INTO stored FROM journey_blocks b WHERE b.first_customer = first;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO spread_blocks (first_customer, block, newer, gone)
        VALUES (first, stored.block, stored.newer, stored.gone);
    END LOOP;
    FOR first IN SELECT u.id FROM unnest(parts) u(id) LOOP
        SELECT b.newer, b.gone INTO stored FROM journey_blocks b WHERE b.first_customer = first;
        UPDATE spread_blocks s SET newer = stored.newer, gone = stored.gone WHERE s.first_customer = first;
    END LOOP;

    -- from here on nobody reads until this is committed
    IF current_setting('lock_timeout') = '0' THEN
        PERFORM set_config('lock_timeout', '10s', true);  -- who waits for an idle reader keeps all others waiting
    END IF;
    LOCK TABLE unspread IN ACCESS EXCLUSIVE MODE;
    new_serial := nextval('spread_serial');
    UPDATE spread_state s SET serial = new_serial;
    UPDATE spread_keys k SET serial = new_serial WHERE k.place IS NOT NULL;
    RETURN coalesce(cardinality(ids), 0);
END $$;
COMMENT ON FUNCTION @hub@.spread_now() IS 'send workers the journeys that have changed, and return how many';

CREATE OR REPLACE FUNCTION @hub@.spread(strict boolean DEFAULT true) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    reason text;
BEGIN
    -- a number that was drawn in vain would keep out whoever reads an older snapshot
    IF NOT EXISTS (SELECT FROM unspread u) AND NOT EXISTS (SELECT FROM unspread_blocks b)
       AND (SELECT s.serial FROM spread_state s) = (SELECT q.last_value FROM spread_serial q) THEN
        RETURN 0;
    END IF;
    -- no error of a connection can be caught: the transaction could not be committed
    reason := (SELECT string_agg(format('%s:%s', n.node_name, n.node_port), ', ')
               FROM citus_get_active_worker_nodes() n
               WHERE NOT citus_check_connection_to_node(n.node_name, n.node_port::integer));
    IF reason IS NOT NULL AND strict THEN
        RAISE EXCEPTION USING ERRCODE = 'connection_failure', MESSAGE = 'workers can''t be reached: ' || reason,
            HINT = 'What they have of the hub must be changed with it. Try again when they can.';
    ELSIF reason IS NOT NULL THEN
        RAISE WARNING USING MESSAGE = 'workers were not sent the journeys that have changed',
            DETAIL = format('Some can''t be reached: %s.', reason),
            HINT = 'These are read of the hub until the next refresh(), or spread(), has sent them.';
        RETURN 0;
    END IF;
    IF strict THEN
        RETURN spread_now();
    END IF;
    BEGIN
        RETURN spread_now();
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT;
        RAISE WARNING USING MESSAGE = 'workers were not sent the journeys that have changed', DETAIL = reason,
            HINT = 'These are read of the hub until the next refresh(), or spread(), has sent them.';
        RETURN 0;
    END;
END $$;

CREATE OR REPLACE FUNCTION @hub@.fill_spread() RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    shards constant bigint := (SELECT count(*) FROM pg_dist_shard s
                               WHERE s.logicalrelid = 'spread_keys'::regclass);
    started constant bigint := nextval('spread_serial');
    shard bigint;
    seen bigint[] := '{}';
    key bigint := 0;
BEGIN
    WHILE cardinality(seen) < shards LOOP
        shard := get_shard_id_for_distribution_column('spread_keys', key);
        IF shard <> ALL (seen) THEN
            INSERT INTO spread_keys (key, place, serial) VALUES (key, cardinality(seen), started);
            seen := seen || shard;
        END IF;
        key := key + 1;
    END LOOP;
    INSERT INTO spread_state (serial, places) VALUES (started, shards);
    INSERT INTO unspread (customer_id) SELECT j.customer_id FROM customer_journeys j;
    INSERT INTO unspread_blocks (first_customer, whole) SELECT b.first_customer, true FROM journey_blocks b;
    RETURN spread_now();
END $$;
COMMENT ON FUNCTION @hub@.fill_spread() IS 'send workers all there is, for the first time; returns how many journeys';
