-- Who may do what. Functions and views run with the rights of whoever calls them, so plain grants decide everything.

-- A reader without identifiers gets no column that holds them, nor what is made of them: evidence, payloads.
-- A writer reads what stitching reads, and touchpoints: what is recorded again is compared, and rows of attached tables
-- change and go. A steward writes nothing that is run as SQL later by the owner, or that lets maintain() drop.
CREATE OR REPLACE FUNCTION @hub@.access_rights(OUT level text, OUT relation name, OUT privileges text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
    VALUES
        ('reader', 'settings', 'SELECT'),
        ('reader', 'channels', 'SELECT'),
        ('reader', 'agents', 'SELECT'),
        ('reader', 'agent_aliases', 'SELECT'),
        ('reader', 'agent_maps', 'SELECT'),
        ('reader', 'known_agents', 'SELECT'),
        ('reader', 'business_calendars', 'SELECT'),
        ('reader', 'business_hours', 'SELECT'),
        ('reader', 'business_exceptions', 'SELECT'),
        ('reader', 'calendar_uses', 'SELECT'),
        ('reader', 'identities', 'SELECT (identity_id, normal_id, customer_id, member_since, first_seen, last_seen, '
                                 || 'blocked, shared)'),
        ('reader', 'customers', 'SELECT'),
        ('reader', 'former_memberships', 'SELECT'),
        ('reader', 'memberships', 'SELECT'),
        ('reader', 'touchpoints', 'SELECT'),
        ('reader', 'customer_journeys', 'SELECT'),
        ('reader', 'journey_changes', 'SELECT'),
        ('reader', 'journey_notes', 'SELECT'),
        ('reader', 'pending_journeys', 'SELECT'),
        ('reader', 'changed_journeys', 'SELECT'),
        ('reader', 'home_journeys', 'SELECT'),
        ('reader', 'current_journeys', 'SELECT'),
        ('reader', 'journey_blocks', 'SELECT'),
        ('reader', 'home_blocks', 'SELECT'),
        ('reader', 'current_blocks', 'SELECT'),
        ('reader', 'journeys_by_customer', 'SELECT'),
        ('reader', 'spread_journeys', 'SELECT'),
        ('reader', 'spread_blocks', 'SELECT'),
        ('reader', 'spread_keys', 'SELECT'),
        ('reader', 'spread_state', 'SELECT'),
        ('reader', 'spread_serial', 'SELECT'),
        ('reader', 'unspread', 'SELECT'),
        ('reader', 'actions', 'SELECT'),
        ('reader', 'own_journeys', 'SELECT'),
        ('reader', 'timeline', 'SELECT'),
        ('reader', 'visits', 'SELECT'),
        ('reader', 'sessions', 'SELECT'),
        ('reader', 'handoffs', 'SELECT'),
        ('reader', 'turns', 'SELECT'),
        ('reader', 'conversation_touchpoints', 'SELECT'),
        ('reader', 'conversations', 'SELECT'),
        ('reader', 'replies', 'SELECT'),
        ('reader', 'contacts', 'SELECT'),
        ('reader', 'resolutions', 'SELECT'),
        ('reader', 'traits', 'SELECT'),
        ('reader', 'trait_history', 'SELECT'),
        ('reader', 'trait_rules', 'SELECT'),
        ('reader', 'customer_profile', 'SELECT'),
        ('reader', 'customer_360', 'SELECT'),
        ('reader', 'dim_channels', 'SELECT'),
        ('reader', 'dim_agents', 'SELECT'),
        ('reader', 'dim_days', 'SELECT'),
        ('reader', 'channel_transitions', 'SELECT'),
        ('reader', 'channel_transitions_monthly', 'SELECT'),
        ('reader', 'channel_mix', 'SELECT'),
        ('reader', 'channel_mix_monthly', 'SELECT'),
        ('reader', 'unknown_channels', 'SELECT'),
        ('reader', 'omnichannel', 'SELECT'),
        ('reader', 'omnichannel_monthly', 'SELECT'),
        ('reader', 'service_levels_monthly', 'SELECT'),
        ('reader', 'attribution', 'SELECT'),
        ('reader', 'conversions', 'SELECT'),
        ('reader', 'spend', 'SELECT'),
        ('reader', 'flow_edges', 'SELECT'),
        ('reader', 'flow_transitions', 'SELECT'),
        ('reader', 'flow_variants', 'SELECT'),
        ('reader', 'unpacked_values', 'SELECT'),
        ('reader', 'next_step_models', 'SELECT'),
        ('reader', 'next_step_contexts', 'SELECT'),
        ('reader', 'queues', 'SELECT'),
        ('reader', 'agent_queues', 'SELECT'),
        ('reader', 'routing_rules', 'SELECT'),
        ('reader', 'assignments', 'SELECT'),
        ('reader', 'segments', 'SELECT'),
        ('reader', 'segment_members', 'SELECT'),
        ('reader', 'segment_changes', 'SELECT'),
        ('reader', 'segment_log', 'SELECT'),
        ('reader', 'segment_clock', 'SELECT'),
        ('reader', 'open_conversations', 'SELECT'),
        ('reader', 'customer_segments', 'SELECT'),
        ('reader', 'service_targets', 'SELECT'),
        ('reader', 'noted_waits', 'SELECT'),
        ('reader', 'consents', 'SELECT'),
        ('reader', 'contact_rules', 'SELECT'),
        ('reader', 'quiet_hours', 'SELECT'),
        ('reader', 'contact_caps', 'SELECT'),
        ('reader', 'retention_rules', 'SELECT'),

        ('identifiers', 'identities', 'SELECT'),
        ('identifiers', 'evidence', 'SELECT'),
        ('identifiers', 'identity_pairs', 'SELECT'),
        ('identifiers', 'identifier_rules', 'SELECT'),
        ('identifiers', 'resolved_rules', 'SELECT'),
        ('identifiers', 'ruled_identities', 'SELECT'),
        ('identifiers', 'stitch_report', 'SELECT'),
        -- with hashes of values, not with what they are made of
        ('identifiers', 'match_conflicts', 'SELECT (conflict, columns, source)'),
        ('identifiers', 'match_values', 'SELECT'),

        -- An agent: of customers of his queues, by policies; of no other, and no figures. Not the logins of others.
        ('agent', 'settings', 'SELECT'),
        ('agent', 'channels', 'SELECT'),
        ('agent', 'actions', 'SELECT'),
        ('agent', 'agents', 'SELECT (agent, name, is_bot, on_duty, languages, skills, capacity, assigned_at), '
                            || 'UPDATE (on_duty)'),
        ('agent', 'agent_aliases', 'SELECT'),
        ('agent', 'agent_maps', 'SELECT'),
        ('agent', 'known_agents', 'SELECT'),
        ('agent', 'business_calendars', 'SELECT'),
        ('agent', 'business_hours', 'SELECT'),
        ('agent', 'business_exceptions', 'SELECT'),
        ('agent', 'calendar_uses', 'SELECT'),
        ('agent', 'trait_rules', 'SELECT'),
        ('agent', 'queues', 'SELECT'),
        ('agent', 'agent_queues', 'SELECT'),
        ('agent', 'routing_rules', 'SELECT'),
        ('agent', 'my_queues', 'SELECT'),
        ('agent', 'my_customers', 'SELECT'),
        ('agent', 'my_identities', 'SELECT'),
        ('agent', 'assignments', 'SELECT, INSERT (identity_id, source, conversation, channel, queue, agent, priority, '
                                 || 'reasons), UPDATE (released_at, outcome, priority)'),
        ('agent', 'assignments_assignment_id_seq', 'USAGE'),
        ('agent', 'identities', 'SELECT (identity_id, normal_id, customer_id, member_since, first_seen, last_seen, '
                                || 'blocked, shared)'),
        ('agent', 'customers', 'SELECT'),
        ('agent', 'former_memberships', 'SELECT'),
        ('agent', 'touchpoints', 'SELECT'),
        ('agent', 'traits', 'SELECT'),
        ('agent', 'customer_journeys', 'SELECT'),
        ('agent', 'journey_changes', 'SELECT'),
        ('agent', 'journey_notes', 'SELECT'),
        ('agent', 'pending_journeys', 'SELECT'),
        ('agent', 'changed_journeys', 'SELECT'),
        ('agent', 'home_journeys', 'SELECT'),
        ('agent', 'current_journeys', 'SELECT'),
        ('agent', 'journeys_by_customer', 'SELECT'),
        ('agent', 'own_journeys', 'SELECT'),
        ('agent', 'timeline', 'SELECT'),
        ('agent', 'visits', 'SELECT'),
        ('agent', 'sessions', 'SELECT'),
        ('agent', 'handoffs', 'SELECT'),
        ('agent', 'turns', 'SELECT'),
        ('agent', 'conversation_touchpoints', 'SELECT'),
        ('agent', 'conversations', 'SELECT'),
        ('agent', 'replies', 'SELECT'),
        ('agent', 'customer_profile', 'SELECT'),
        ('agent', 'customer_360', 'SELECT'),
        ('agent', 'segments', 'SELECT'),
        ('agent', 'segment_members', 'SELECT'),
        ('agent', 'segment_changes', 'SELECT'),
        ('agent', 'segment_clock', 'SELECT'),
        ('agent', 'open_conversations', 'SELECT'),
        ('agent', 'next_step_models', 'SELECT'),
        ('agent', 'next_step_contexts', 'SELECT'),
        ('agent', 'consents', 'SELECT'),
        ('agent', 'contact_rules', 'SELECT'),
        ('agent', 'quiet_hours', 'SELECT'),
        ('agent', 'contact_caps', 'SELECT'),
        ('agent', 'service_targets', 'SELECT'),
        ('agent', 'noted_waits', 'SELECT'),

        ('agent''s identifiers', 'identities', 'SELECT'),
        ('agent''s identifiers', 'identifier_rules', 'SELECT'),
        ('agent''s identifiers', 'resolved_rules', 'SELECT'),

        -- the update of one_row is never made: above READ COMMITTED the row is locked
        ('writer', 'settings', 'SELECT, UPDATE (one_row)'),
        ('writer', 'identifier_rules', 'SELECT'),
        ('writer', 'resolved_rules', 'SELECT'),
        ('writer', 'identity_pairs', 'SELECT'),
        ('writer', 'ruled_identities', 'SELECT'),
        ('writer', 'identities', 'SELECT, INSERT, UPDATE (customer_id, member_since, first_seen, last_seen, shared), '
                                 || 'DELETE'),
        ('writer', 'identities_identity_id_seq', 'USAGE'),
        ('writer', 'customers', 'SELECT, INSERT, UPDATE, DELETE'),
        ('writer', 'former_memberships', 'SELECT (identity_id, customer_id), INSERT, DELETE'),
        ('writer', 'evidence', 'SELECT, INSERT, UPDATE (source_key, observed_at, retracted_at)'),
        ('writer', 'touchpoints', 'SELECT (touchpoint_id, identity_id, occurred_at, channel, action, value, currency, '
                                  || 'direction, conversation, agent, campaign, source, source_key, attributes, '
                                  || 'subject, url), INSERT, UPDATE, DELETE'),
        ('writer', 'touchpoints_touchpoint_id_seq', 'USAGE'),
        ('writer', 'touchpoint_keys', 'SELECT, INSERT, UPDATE, DELETE'),
        ('writer', 'journey_changes', 'INSERT'),
        ('writer', 'segments', 'SELECT (made_at)'),  -- to know whether there are any
        ('writer', 'segment_changes', 'INSERT'),
        ('writer', 'segment_log', 'SELECT, UPDATE (taken_at)'),
        ('writer', 'traits', 'SELECT, INSERT, UPDATE, DELETE'),
        ('writer', 'match_records', 'SELECT, INSERT, UPDATE, DELETE'),  -- which follow traits, and tables
        ('writer', 'match_records_record_id_seq', 'USAGE'),
        ('writer', 'match_conflicts', 'SELECT (conflict, columns, source)'),
        ('writer', 'match_values', 'SELECT'),
        ('writer', 'trait_history', 'SELECT, INSERT, UPDATE, DELETE'),
        ('writer', 'trait_rules', 'SELECT'),
        ('writer', 'spend', 'SELECT, INSERT, UPDATE, DELETE'),
        ('writer', 'agent_maps', 'SELECT'),
        ('writer', 'consents', 'SELECT, INSERT'),
        ('writer', 'retention_rules', 'SELECT'),  -- who loads has no partitions made of what is too old
        -- who sends asks whether he may
        ('writer', 'contact_rules', 'SELECT'),
        ('writer', 'quiet_hours', 'SELECT'),
        ('writer', 'contact_caps', 'SELECT'),
        ('writer', 'actions', 'SELECT'),
        ('writer', 'customer_profile', 'SELECT'),
        ('writer', 'formats', 'SELECT'),
        ('writer', 'agents', 'SELECT, UPDATE (on_duty)'),
        ('writer', 'queues', 'SELECT'),
        ('writer', 'agent_queues', 'SELECT'),
        ('writer', 'assignments', 'SELECT, INSERT, UPDATE, DELETE'),
        ('writer', 'assignments_assignment_id_seq', 'USAGE'),
        ('writer', 'rejected', 'SELECT (rejected_id, received_at, items), INSERT'),
        -- what triggers of feed immediate read
        ('writer', 'sources', 'SELECT (source, part, source_id, relation, relation_id, relation_name, search_path, '
                              || 'compiled, columns, columns_seen, key_columns, kept_columns, backfilled_at, '
                              || 'detached_at)'),
        ('writer', 'source_lookups', 'SELECT'),
        ('writer', 'feed_notes', 'INSERT'),
        ('writer', 'feed_notes_note_id_seq', 'USAGE'),
        ('writer', 'source_rejects', 'SELECT, INSERT, UPDATE, DELETE'),
        ('writer', 'source_changes', 'SELECT, INSERT, UPDATE, DELETE'),
        ('writer', 'suppressions', 'SELECT (suppressed_at)'),  -- to pass the gate
        ('writer', 'last_erasure', 'SELECT, UPDATE (one_row)'),
        ('writer', 'suppressed_writes', 'INSERT'),

        ('steward', 'identities', 'UPDATE (blocked, normal_id)'),
        ('steward', 'evidence', 'UPDATE (identities)'),
        ('steward', 'identity_pairs', 'INSERT, UPDATE, DELETE'),
        ('steward', 'identifier_rules', 'INSERT, UPDATE, DELETE'),
        ('steward', 'resolved_rules', 'INSERT, UPDATE, DELETE'),
        ('steward', 'settings', 'UPDATE (quarantine_above, rules_changed_at, forget_unreferenced, notify, time_zone, '
                                || 'session_gap, handoff_within, repeat_within, future_within, past_within, currency, '
                                || 'trait_history, bots_version, language_traits, last_agent_within, '
                                || 'agents_see_released, match_traits)'),
        ('steward', 'evidence', 'UPDATE'),  -- to lock the table, though nothing else of it is changed
        ('steward', 'channels', 'INSERT, UPDATE, DELETE'),
        ('steward', 'agents', 'INSERT, UPDATE, DELETE'),
        ('steward', 'agent_aliases', 'INSERT, UPDATE, DELETE'),
        ('steward', 'agent_maps', 'UPDATE'),
        ('steward', 'queues', 'INSERT, UPDATE, DELETE'),
        ('steward', 'agent_queues', 'INSERT, UPDATE, DELETE'),
        ('steward', 'routing_rules', 'INSERT, UPDATE, DELETE'),
        ('steward', 'service_targets', 'INSERT, UPDATE, DELETE'),
        ('steward', 'noted_waits', 'INSERT, UPDATE, DELETE, TRUNCATE'),
        ('steward', 'actions', 'INSERT, UPDATE, DELETE'),
        ('steward', 'trait_rules', 'INSERT, UPDATE, DELETE'),
        ('steward', 'formats', 'INSERT, UPDATE, DELETE'),
        ('steward', 'rejected', 'SELECT, UPDATE (received_at), DELETE'),  -- what is retried is locked
        ('steward', 'feed_notes', 'SELECT'),
        ('steward', 'sources', 'SELECT'),
        ('steward', 'source_progress', 'SELECT'),
        ('steward', 'work_done', 'SELECT'),
        ('steward', 'health', 'SELECT'),
        ('steward', 'touchpoints_default', 'SELECT (touchpoint_id)'),  -- health counts them
        ('steward', 'business_calendars', 'INSERT, UPDATE, DELETE'),
        ('steward', 'business_hours', 'INSERT, UPDATE, DELETE'),
        ('steward', 'business_exceptions', 'INSERT, UPDATE, DELETE'),
        ('steward', 'calendar_uses', 'INSERT, UPDATE, DELETE'),
        ('steward', 'access_log', 'SELECT'),
        ('steward', 'erasure_requests', 'SELECT, DELETE'),
        ('steward', 'contact_rules', 'INSERT, UPDATE, DELETE'),
        ('steward', 'quiet_hours', 'INSERT, UPDATE, DELETE'),
        ('steward', 'contact_caps', 'INSERT, UPDATE, DELETE'),
        ('steward', 'customer_journeys', 'INSERT, UPDATE, DELETE'),
        ('steward', 'journey_blocks', 'INSERT, UPDATE, DELETE'),
        ('steward', 'journey_changes', 'DELETE'),
        ('steward', 'spread_journeys', 'INSERT, UPDATE, DELETE'),
        ('steward', 'spread_blocks', 'INSERT, UPDATE, DELETE'),
        ('steward', 'spread_keys', 'INSERT, UPDATE, DELETE'),
        ('steward', 'spread_state', 'UPDATE'),
        ('steward', 'spread_serial', 'USAGE'),
        ('steward', 'unspread', 'INSERT, DELETE'),
        ('steward', 'unspread_blocks', 'SELECT, INSERT, DELETE'),
        ('steward', 'next_step_models', 'INSERT, UPDATE, DELETE'),
        ('steward', 'next_step_contexts', 'INSERT, UPDATE, DELETE'),
        ('steward', 'segments', 'INSERT, UPDATE, DELETE'),
        ('steward', 'segments_segment_id_seq', 'USAGE'),
        ('steward', 'segment_members', 'INSERT, UPDATE, DELETE'),
        ('steward', 'segment_changes', 'DELETE'),
        ('steward', 'segment_log', 'INSERT, UPDATE, DELETE'),
        ('steward', 'segment_log_log_id_seq', 'USAGE'),
        ('steward', 'segment_clock', 'UPDATE'),
        ('steward', 'refresh_lock', 'UPDATE'),  -- to lock it
        -- what erase() does, that others do not
        ('steward', 'suppressions', 'UPDATE'),  -- to close the gate
        ('steward', 'last_erasure', 'UPDATE (changed_at)'),
        ('steward', 'suppressed_writes', 'SELECT, INSERT, DELETE'),
        ('steward', 'suppressed_by_day', 'SELECT'),
        ('steward', 'personal_data', 'SELECT'),
        ('steward', 'erasures', 'SELECT, INSERT'),
        ('steward', 'erasures_erasure_id_seq', 'USAGE'),
        ('steward', 'evidence', 'DELETE'),
        ('steward', 'match_values', 'DELETE'),  -- erase() does
        ('steward', 'match_comparisons', 'SELECT, INSERT, UPDATE, DELETE'),
        ('steward', 'match_nicknames', 'SELECT, INSERT, UPDATE, DELETE'),
        ('steward', 'match_blocks', 'SELECT, INSERT, UPDATE, DELETE'),
        ('steward', 'match_blocks_block_seq', 'USAGE'),
        ('steward', 'match_keys', 'SELECT, INSERT, UPDATE, DELETE'),
        ('steward', 'match_conflicts', 'SELECT, INSERT, UPDATE, DELETE'),
        ('steward', 'match_conflicts_conflict_seq', 'USAGE'),
        ('steward', 'match_models', 'SELECT, INSERT, UPDATE, DELETE'),
        ('steward', 'match_weights', 'SELECT, INSERT, UPDATE, DELETE'),
        ('steward', 'match_terms', 'SELECT, INSERT, UPDATE, DELETE'),
        ('steward', 'match_due', 'SELECT, INSERT, UPDATE, DELETE'),
        ('steward', 'match_pairs', 'SELECT, INSERT, UPDATE, DELETE'),
        ('steward', 'match_large_blocks', 'SELECT'),
        ('steward', 'match_review', 'SELECT'),
        ('steward', 'match_report', 'SELECT'),

        -- no table, nor a view of what is everybody's
        ('portal', 'my_timeline', 'SELECT'),
        ('portal', 'my_conversations', 'SELECT'),
        ('portal', 'my_profile', 'SELECT'),
        ('portal', 'my_consents', 'SELECT');
END;
COMMENT ON FUNCTION @hub@.access_rights() IS
    'what grant_access grants: to readers, to those of them who see identifiers, to writers, and a steward has all of '
    'it; to agents; and to the portal';

-- Functions that have the rights of the hub's owner: nobody else may call them.
CREATE OR REPLACE FUNCTION @hub@.access_functions(OUT level text, OUT signature text) RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
    VALUES
        ('reader', 'note_access(text, bigint)'),
        ('agent', 'note_access(text, bigint)'),
        ('writer', 'note_access(text, bigint)'),
        ('agent', 'pass_gate()'),
        ('agent', 'is_conversation_of_others(text, text, bigint)'),
        ('writer', 'pass_gate()'),
        ('writer', 'renew_consents(text, text[], text[], text[], bigint[], consent[])'),
        ('steward', 'portal_token(bigint, interval)'),
        ('writer', 'suppressed_among(@extschema@.identifier[])'),
        ('writer', 'suppressed_now(@extschema@.identifier[])'),
        ('steward', 'suppress(@extschema@.identifier[], @extschema@.identifier[], bigint)'),
        ('steward', 'lift_suppression(@extschema@.identifier[])'),
        ('steward', 'suppressed_identities(timestamptz)'),
        ('steward', 'erase_listed(bigint[], bigint[], text[], text[])'),
        ('portal', 'my_timeline()'),
        ('portal', 'my_conversations()'),
        ('portal', 'my_profile()'),
        ('portal', 'my_consents()'),
        ('portal', 'my_export()'),
        ('portal', 'correct_my_trait(text, jsonb)'),
        ('portal', 'withdraw_my_consent(text, text)'),
        ('portal', 'ask_for_erasure(text)');
END;
COMMENT ON FUNCTION @hub@.access_functions() IS 'functions that grant_access lets a level call, and nobody else may';

CREATE OR REPLACE FUNCTION @hub@.check_access(role name) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    -- otherwise GRANT would warn at most, and do nothing
    PERFORM check_may('owner');
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN  -- nor is public one
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('role %s does not exist', coalesce(quote_ident(role), 'NULL'));
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_access(name) IS 'refuse whoever is not the hub''s owner, and what is no role';

CREATE OR REPLACE FUNCTION @hub@.grant_access(role name, level text DEFAULT 'reader', identifiers boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    levels text[] := CASE grant_access.level
                     WHEN 'reader' THEN ARRAY['reader', CASE WHEN identifiers THEN 'identifiers' END]
                     WHEN 'writer' THEN ARRAY['writer']
                     WHEN 'steward' THEN ARRAY['reader', 'identifiers', 'writer', 'steward']
                     WHEN 'agent' THEN ARRAY['agent', CASE WHEN identifiers THEN 'agent''s identifiers' END]
                     WHEN 'portal' THEN ARRAY['portal'] END;
    a record;
BEGIN
    PERFORM check_access(role);
    IF levels IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown level of access: %s', coalesce(grant_access.level, 'NULL')),
            HINT = 'There are reader, writer, steward, agent and portal.';
    ELSIF grant_access.level = 'agent'
          AND (has_table_privilege(role, 'memberships', 'SELECT')
               OR has_table_privilege(role, 'touchpoint_keys', 'INSERT')) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_grant_operation',
            MESSAGE = format('role %I can''t be an agent', role),
            DETAIL = 'It may read or write what is of all customers, and an agent sees those of his queues only.',
            HINT = format('If it may no longer: SELECT %I.revoke_access(%L);', current_schema(), role);
    ELSIF grant_access.level <> 'agent'
          AND EXISTS (SELECT FROM pg_policy p CROSS JOIN LATERAL unnest(p.polroles) r(id)
                      WHERE p.polrelid = 'identities'::regclass AND p.polname = 'agents' AND r.id <> 0
                            AND pg_has_role(role, r.id, 'USAGE')) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_grant_operation',
            MESSAGE = format('role %I is an agent, and can''t be a %s', role, grant_access.level),
            DETAIL = 'An agent sees the customers of his queues only.',
            HINT = format('If it is one no longer: SELECT %I.revoke_access(%L);', current_schema(), role);
    END IF;
    PERFORM give_way_to_policies();
    IF grant_access.level = 'agent' THEN
        PERFORM set_agent_policies(role, true);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role);
    IF grant_access.level <> 'portal' AND NOT has_schema_privilege(role, '@extschema@'::regnamespace, 'USAGE') THEN
        RAISE WARNING USING MESSAGE = format('role %I may not use schema %s', role, '@extschema@'::regnamespace),
            DETAIL = 'The functions of the extension are in it, which those of the hub call.',
            HINT = format('GRANT USAGE ON SCHEMA %s TO %I;', '@extschema@'::regnamespace, role);
    END IF;
    FOR a IN SELECT r.relation, r.privileges FROM access_rights() r
             WHERE r.level = ANY (levels)  -- some are there only where the hub is spread
                   AND to_regclass(format('%I.%I', current_schema(), r.relation)) IS NOT NULL LOOP
        EXECUTE format('GRANT %s ON %I.%I TO %I', a.privileges, current_schema(), a.relation, role);
    END LOOP;
    FOR a IN SELECT f.signature FROM access_functions() f WHERE f.level = ANY (levels) LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', a.signature::regprocedure, role);
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.grant_access(name, text, boolean) IS
    'let a role read (and see identifiers), write, be a steward, or show customers themselves at the portal, besides '
    'what it may already; or be an agent, who sees the customers of the queues he serves: login of agents tells who '
    'he is';

CREATE OR REPLACE FUNCTION @hub@.revoke_access(role name) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    relation name;
    called regprocedure;
BEGIN
    PERFORM check_access(role), set_agent_policies(role, false);
    FOR relation IN
        SELECT c.relname
        FROM pg_class c
        WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
              AND EXISTS (SELECT FROM (SELECT c.relacl UNION ALL
                                       SELECT a.attacl FROM pg_attribute a WHERE a.attrelid = c.oid) l(acl),
                           aclexplode(l.acl) x
                          WHERE x.grantee = (SELECT r.oid FROM pg_roles r WHERE r.rolname = role))
    LOOP
        EXECUTE format('REVOKE ALL ON %I.%I FROM %I', current_schema(), relation, role);
    END LOOP;
    FOR called IN
        SELECT p.oid
        FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) x
        WHERE p.pronamespace = quote_ident(current_schema())::regnamespace
              AND x.grantee = (SELECT r.oid FROM pg_roles r WHERE r.rolname = role)
    LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM %I', called, role);
    END LOOP;
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', current_schema(), role);
END $$;
COMMENT ON FUNCTION @hub@.revoke_access(name) IS
    'take from a role all that was granted to it in the hub, by grant_access or otherwise';
