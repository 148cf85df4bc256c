-- A hub on a Citus coordinator: its journeys go to the workers, it stays where it is.

-- Refuse, with a hint of what to do first
CREATE FUNCTION journey_check_coordinator() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    workers bigint;
    is_coordinator boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'citus') THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'a hub can be distributed by Citus only, which this database has not',
            HINT = 'Install Citus on each machine, add it to shared_preload_libraries, and run CREATE EXTENSION citus; '
                   'in this database on each.';
    END IF;
    EXECUTE 'SELECT citus_is_coordinator(), (SELECT count(*) FROM citus_get_active_worker_nodes())'
        INTO is_coordinator, workers;
    IF workers = 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'there is no worker to distribute a hub to',
            HINT = 'On the coordinator, for each worker: SELECT citus_add_node(host, port);';
    ELSIF NOT is_coordinator THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'a hub can be distributed from the coordinator of Citus only',
            DETAIL = 'This is a worker.';
    END IF;
END $$;

CREATE FUNCTION journey_distribute_hub(name text, layout text DEFAULT 'journeys') RETURNS SETOF text
LANGUAGE plpgsql ROWS 4 SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    copies constant text := format('%I.spread_journeys', coalesce(name, ''));
    sent text;
BEGIN
    PERFORM journey_check_hub(name);
    IF layout = 'touchpoints' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'touchpoints of a hub can''t be distributed',
            DETAIL = 'Changes of journeys are noted by statement triggers with transition tables, in the transaction '
                     'that makes them, and refresh() takes notes and touchpoints in one snapshot. On distributed '
                     'tables Citus has neither: journeys would have touchpoints twice, or lack them.',
            HINT = format('SELECT journey_distribute_hub(%L, layout => ''journeys''); has workers answer questions '
                          'over all customers, exactly.', name);
    ELSIF layout IS DISTINCT FROM 'journeys' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown layout: %s', coalesce(quote_literal(layout), 'NULL')),
            HINT = 'There is journeys.';
    END IF;
    PERFORM journey_check_coordinator();
    IF journey_hub_is_spread(name) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('hub %s is distributed already', name),
            HINT = format('SELECT journey_undistribute_hub(%L); takes it back.', name);
    END IF;
    PERFORM journey_lock_hub(name),
            journey_run_as_owner(name, format('LOCK TABLE %1$I.refresh_lock, %1$I.customer_journeys, '
                                              '%1$I.journey_blocks', name)),
            journey_run_hub_template(name, '^90_spread'),
            journey_run_as_owner(name, format('SELECT create_distributed_table(%L, ''customer_id'')', copies)),
            journey_run_as_owner(name, format('SELECT create_distributed_table(%L, ''key'', colocate_with => %L)',
                                              format('%I.spread_keys', name), copies)),
            journey_run_as_owner(name, format('SELECT create_distributed_table(%L, ''first_customer'', '
                                              'colocate_with => %L)', format('%I.spread_blocks', name), copies));
    PERFORM journey_run_hub_template(name, '^(91_spread|84_personal_data)$');
    sent := journey_run_as_owner(name, format('SELECT %I.fill_spread()', name));
    RETURN QUERY
    SELECT format('%s: journeys of %s customers are on %s shards of %s workers', t.relation, sent, t.shards, t.nodes)
    FROM (SELECT copies AS relation, (x.counts ->> 0)::bigint AS shards,
                 (x.counts ->> 1)::bigint AS nodes
          FROM (SELECT journey_run_as_owner(name, format(
                    'SELECT jsonb_build_array(count(DISTINCT p.shardid), count(DISTINCT p.groupid))
                     FROM pg_dist_shard s JOIN pg_dist_placement p ON p.shardid = s.shardid
                     WHERE s.logicalrelid = %L::regclass', copies))::jsonb AS counts) x) t;
    RETURN NEXT format('%1$I.spread_blocks: likewise, of %1$I.journey_blocks', name);
    RETURN NEXT format('%1$I.current_journeys, %1$I.current_blocks: workers are asked, and all that is asked of these',
                       name);
    RETURN NEXT 'all else stays here, and is read and written here';
END $$;

CREATE FUNCTION journey_undistribute_hub(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET client_min_messages = warning
AS $$
BEGIN
    PERFORM journey_check_hub(name);
    IF NOT journey_hub_is_spread(name) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('hub %s is not distributed', name);
    END IF;
    PERFORM journey_lock_hub(name),
            journey_run_hub_template(name, '^(?!9._spread)(?!.*tables$)'),
            journey_run_as_owner(name, format('DROP FUNCTION %1$I.note_unspread(), %1$I.note_unspread_truncated(), '
                '%1$I.note_unspread_blocks(), %1$I.hold_spread(), %1$I.journeys_beside(), %1$I.blocks_beside(), '
                '%1$I.spread_now(), %1$I.fill_spread() CASCADE', name)),
            journey_run_as_owner(name, format('DROP TABLE %1$I.spread_journeys, %1$I.spread_blocks, '
                '%1$I.spread_keys, %1$I.spread_state, %1$I.unspread, %1$I.unspread_blocks', name)),
            journey_run_as_owner(name, format('DROP SEQUENCE %I.spread_serial', name)),
            journey_run_as_owner(name, format('DELETE FROM %I.personal_data p WHERE p.relation = ANY ('
                '''{spread_journeys,spread_blocks,spread_keys,spread_state,unspread,unspread_blocks}'')', name));
END $$;

COMMENT ON FUNCTION journey_check_coordinator() IS 'refuse where there is no Citus, no coordinator or no worker';
COMMENT ON FUNCTION journey_distribute_hub(text, text) IS
    'have the workers of Citus answer questions over all customers of a hub; says what is where. layout: journeys';
COMMENT ON FUNCTION journey_undistribute_hub(text) IS 'take back what journey_distribute_hub did';
