-- The register, of the tables of this hub: which of their columns may hold something of a person. What is listed
-- already stays as it is, and what the hub has not is not listed. Columns without a row were added by the owner, who
-- lists them.

CREATE OR REPLACE FUNCTION @hub@.unlisted_columns(OUT relation text, OUT column_name text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT c.relname::text, a.attname::text
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p', 'm', 'f')
          AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
          AND NOT EXISTS (SELECT FROM personal_data p
                          WHERE p.relation IN (c.relname, current_schema() || '.' || c.relname)
                                AND p.column_name = a.attname)
    ORDER BY c.relname, a.attnum;
END $$;
COMMENT ON FUNCTION @hub@.unlisted_columns() IS
    'columns of tables of the hub that personal_data says nothing of: there should be none';

-- Free of personal data: what the company says of itself. Agents are people of the company, not its customers.
INSERT INTO @hub@.personal_data (relation, column_name)
SELECT t.relation, c.column_name
FROM (VALUES
    ('settings', '{one_row,hub_version,quarantine_above,rules_changed_at,forget_unreferenced,notify,time_zone,'
                 'session_gap,handoff_within,repeat_within,months_ahead,future_within,'
                 'past_within,currency,bots_version,trait_history,worker,refresh_every,maintain_every,'
                 'erase_attached}'),
    ('last_erasure', '{one_row,changed_at}'),
    ('identifier_rules',
     '{namespace,priority,max_per_customer,shared_above,blocked,normalizer,default_country,internal}'),
    ('resolved_rules',
     '{namespace,priority,max_per_customer,shared_above,blocked,normalizer,default_country,internal}'),
    ('channels', '{channel,label,kind,ownership,service}'),
    ('agents', '{agent,name,is_bot}'),
    ('agent_aliases', '{source,alias,agent}'),
    ('agent_maps', '{one_row,names,bots}'),
    ('actions', '{action,means}'),
    ('business_calendars', '{calendar,time_zone}'),
    ('business_hours', '{weekday,opens,closes,calendar}'),
    ('business_exceptions', '{day,opens,closes,calendar}'),
    ('calendar_uses', '{used_by,name,calendar}'),
    ('formats', '{format,rule,makes,each,condition,reason,identifiers,occurred_at,channel,action,value,currency,'
                'direction,conversation,agent,campaign,source_key,attributes,subject,url,traits,consents}'),
    ('trait_rules', '{trait,members,rule,source_order,personal}'),
    ('spend', '{day,channel,campaign,amount,currency}'),
    ('sources', '{source,part,source_id,relation,relation_id,relation_name,mapping,feed,search_path,compiled,columns,'
                'columns_seen,key_columns,kept_columns,trusts,attached_at,backfilled_at,detached_at,rows_done,'
                'rows_estimated,pending,read_by,next_block,end_block,began_at_xid,sweep,tables,triggers_seen,'
                'next_watermark_at,poll_overlap,last_error_at,retry_at}'),
    ('source_lookups', '{source_id,lookup,position,conditions,key_names,relation,relation_id,relation_name,columns,'
                       'columns_seen,key_columns,tables,fixed}'),
    ('work_done', '{task,done_at,upto}'),
    ('secrets', '{name,secret}'),
    ('template_objects', '{kind,object,content}'),
    ('spread_keys', '{place,serial}'),
    ('spread_state', '{one_row,serial,places}'),
    ('unspread_blocks', '{whole}'),
    ('settings', '{portal_traits,access_log,language_traits,last_agent_within,agents_see_released,match_traits}'),
    ('contact_rules', '{purpose,channel,basis,allowed}'),
    ('quiet_hours', '{purpose,channel,weekday,quiet_from,quiet_until}'),
    ('contact_caps', '{purpose,channel,most,within}'),
    ('retention_rules', '{what,channel,action,source,keep,then}'),
    ('agents', '{on_duty,languages,skills,capacity,login,assigned_at}'),
    ('queues', '{queue,label,calendar,skills,next_queue}'),
    ('agent_queues', '{agent,queue}'),
    ('routing_rules', '{position,segment,channel,kind,language,waiting_longer,queue,agent,to_channel,skills,priority,'
                      'purpose,note}'),
    ('segments', '{segment,segment_id,definition,made_at,changed_at,condition,turns,candidates,concerns,inputs,parts}'),
    ('segment_clock', '{one_row,evaluated_at}'),
    ('match_comparisons', '{comparison,columns,comparator,thresholds,top,term_frequency}'),
    ('match_nicknames', '{name,nickname}'),
    ('match_blocks', '{block,expressions,most}'),
    ('match_conflicts', '{conflict,columns,source,salt}'),
    ('match_models', '{model,trained_at,definition,records,recall,seed,prior,found_at,accepted_at,above,review_above}'),
    ('match_weights', '{model,comparison,level,m,u}'),
    ('match_terms', '{model,comparison,term,records}'),  -- values of at least three records
    ('service_targets', '{what,within,in_business_hours,queue,priority,source,channel}'),
    ('next_step_models', '{segment,item,conversion,within,steps,at_least,sample,stale_after,for_agents,made_at,'
                         'customers,changed}'),
    -- counts of many, and where they may be of few, erase() has them made anew
    ('next_step_contexts', '{segment,context_key,context,customers,times,effective,converted,items,item_customers,'
                           'item_times,item_converted}'),
    ('erasures', '{erasure_id,kind,erased_at,erased_by,reason,counts}'),
    ('suppressed_writes', '{source,dropped_at,touchpoints,others}'),
    ('personal_data', '{relation,column_name,holds,reached_by,on_erase,on_anonymize,exported,position,purpose,basis}')
    ) t(relation, columns)
    CROSS JOIN LATERAL unnest(t.columns::text[]) c(column_name)
WHERE EXISTS (SELECT FROM pg_attribute a
              WHERE a.attrelid = to_regclass($$@hub@.$$ || quote_ident(t.relation)) AND a.attname = c.column_name
                    AND NOT a.attisdropped)
ON CONFLICT DO NOTHING;

-- What may hold something. Marks of suppressions stay: they are what the hub knows an erased person by, and lead back
-- to nobody without the key.
INSERT INTO @hub@.personal_data (relation, column_name, holds, reached_by, on_erase, on_anonymize, exported, position)
SELECT v.relation, v.column_name, v.holds, v.reached_by, v.on_erase, v.on_anonymize, v.exported, v.position
FROM (VALUES
    -- what names somebody in passing: first, for the others tell who it is
    ('rejected', 'payload', 'mention', 'mention', 'delete', NULL, true, 100),
    ('rejected', 'reason', 'mention', 'mention', 'delete', NULL, true, 100),
    ('rejected', 'items', 'mention', 'mention', 'delete', NULL, true, 100),
    ('rejected', 'rejected_id', 'number', NULL, NULL, NULL, false, 100),
    ('rejected', 'received_at', 'content', NULL, NULL, NULL, true, 100),
    ('rejected', 'format', 'content', NULL, NULL, NULL, true, 100),
    ('rejected', 'sqlstate', 'content', NULL, NULL, NULL, false, 100),
    ('source_rejects', 'source', 'reference', NULL, NULL, NULL, true, 110),
    ('source_rejects', 'source_key', 'reference', 'key', 'delete', NULL, true, 110),
    ('source_rejects', 'rejected_at', 'content', NULL, NULL, NULL, true, 110),
    ('source_rejects', 'reason', 'mention', 'mention', 'delete', NULL, true, 110),
    ('source_rejects', 'sqlstate', 'content', NULL, NULL, NULL, false, 110),
    ('feed_notes', 'note_id', 'number', NULL, NULL, NULL, false, 120),
    ('feed_notes', 'source_id', 'number', NULL, NULL, NULL, false, 120),
    ('feed_notes', 'lookup', 'content', NULL, NULL, NULL, false, 120),
    ('feed_notes', 'key', 'reference', 'mention', 'delete', NULL, false, 120),
    ('feed_notes', 'gone', 'content', NULL, NULL, NULL, false, 120),
    ('feed_notes', 'before', 'mention', 'mention', 'delete', NULL, false, 120),
    ('feed_notes', 'after', 'mention', 'mention', 'delete', NULL, false, 120),
    ('feed_notes', 'noted_at', 'content', NULL, NULL, NULL, false, 120),
    ('feed_notes', 'place', 'number', NULL, NULL, NULL, false, 120),
    ('sources', 'last_error', 'mention', 'mention', 'clear', NULL, false, 130),
    ('sources', 'next_key', 'reference', NULL, 'keep', NULL, false, 130),
    ('sources', 'watermark', 'reference', NULL, 'keep', NULL, false, 130),
    ('sources', 'next_watermark', 'reference', NULL, 'keep', NULL, false, 130),
    ('work_done', 'error', 'mention', 'mention', 'clear', NULL, false, 140),
    ('source_changes', 'source', 'reference', NULL, NULL, NULL, false, 150),
    ('source_changes', 'row_key', 'reference', 'key', 'delete', NULL, false, 150),
    ('source_changes', 'source_key', 'reference', 'key', 'delete', NULL, false, 150),
    -- what is known of somebody
    ('traits', 'identity_id', 'number', 'identity', 'delete', NULL, true, 200),
    ('traits', 'trait', 'content', NULL, NULL, NULL, true, 200),
    ('traits', 'value', 'content', NULL, NULL, NULL, true, 200),
    ('traits', 'source', 'reference', NULL, NULL, NULL, true, 200),
    ('traits', 'source_key', 'reference', NULL, NULL, NULL, true, 200),
    ('traits', 'observed_at', 'content', NULL, NULL, NULL, true, 200),
    ('traits', 'recorded_at', 'content', NULL, NULL, NULL, true, 200),
    ('trait_history', 'identity_id', 'number', 'identity', 'delete', NULL, true, 210),
    ('trait_history', 'trait', 'content', NULL, NULL, NULL, true, 210),
    ('trait_history', 'value', 'content', NULL, NULL, NULL, true, 210),
    ('trait_history', 'source', 'reference', NULL, NULL, NULL, true, 210),
    ('trait_history', 'source_key', 'reference', NULL, NULL, NULL, true, 210),
    ('trait_history', 'observed_at', 'content', NULL, NULL, NULL, true, 210),
    ('trait_history', 'until', 'content', NULL, NULL, NULL, true, 210),
    ('trait_history', 'recorded_at', 'content', NULL, NULL, NULL, true, 210),
    -- who is who
    ('identity_pairs', 'a', 'number', 'identity', 'delete', NULL, false, 700),
    ('identity_pairs', 'b', 'number', 'identity', 'delete', NULL, false, 700),
    ('identity_pairs', 'kind', 'content', NULL, NULL, NULL, true, 700),
    ('identity_pairs', 'set_at', 'content', NULL, NULL, NULL, true, 700),
    ('identity_pairs', 'set_by', 'content', NULL, NULL, NULL, true, 700),
    ('former_memberships', 'identity_id', 'number', 'identity', 'delete', NULL, true, 710),
    ('former_memberships', 'customer_id', 'number', NULL, NULL, NULL, true, 710),
    ('former_memberships', 'member_from', 'content', NULL, NULL, NULL, true, 710),
    ('former_memberships', 'member_until', 'content', NULL, NULL, NULL, true, 710),
    ('evidence', 'source', 'reference', NULL, NULL, NULL, true, 800),
    ('evidence', 'source_key', 'reference', NULL, NULL, NULL, true, 800),
    ('evidence', 'identities', 'number', 'identities', 'strip', NULL, true, 800),
    ('evidence', 'observed_at', 'content', NULL, NULL, NULL, true, 800),
    ('evidence', 'recorded_at', 'content', NULL, NULL, NULL, true, 800),
    ('evidence', 'retracted_at', 'content', NULL, NULL, NULL, true, 800),
    ('evidence', 'strength', 'content', NULL, NULL, NULL, true, 800),
    ('touchpoints', 'touchpoint_id', 'number', NULL, NULL, 'clear', true, 810),
    ('touchpoints', 'identity_id', 'number', 'identity', 'delete', 'clear', true, 810),
    ('touchpoints', 'occurred_at', 'content', NULL, NULL, 'keep', true, 810),
    ('touchpoints', 'recorded_at', 'content', NULL, NULL, 'keep', true, 810),
    ('touchpoints', 'channel', 'content', NULL, NULL, 'keep', true, 810),
    ('touchpoints', 'action', 'content', NULL, NULL, 'keep', true, 810),
    ('touchpoints', 'value', 'content', NULL, NULL, 'keep', true, 810),
    ('touchpoints', 'currency', 'content', NULL, NULL, 'keep', true, 810),
    ('touchpoints', 'direction', 'content', NULL, NULL, 'keep', true, 810),
    ('touchpoints', 'conversation', 'reference', NULL, NULL, 'number', true, 810),
    ('touchpoints', 'agent', 'content', NULL, NULL, 'keep', true, 810),
    ('touchpoints', 'campaign', 'content', NULL, NULL, 'keep', true, 810),
    ('touchpoints', 'source', 'reference', NULL, NULL, 'keep', true, 810),
    ('touchpoints', 'source_key', 'reference', NULL, NULL, 'clear', true, 810),
    ('touchpoints', 'attributes', 'content', NULL, NULL, 'clear', true, 810),
    ('touchpoints', 'subject', 'content', NULL, NULL, 'clear', true, 810),
    ('touchpoints', 'url', 'reference', NULL, NULL, 'clear', true, 810),
    ('touchpoint_keys', 'source', 'reference', NULL, NULL, NULL, false, 820),  -- they go with their touchpoints
    ('touchpoint_keys', 'source_key', 'reference', NULL, NULL, NULL, false, 820),
    ('touchpoint_keys', 'touchpoint_id', 'number', NULL, NULL, NULL, false, 820),
    ('touchpoint_keys', 'occurred_at', 'content', NULL, NULL, NULL, false, 820),
    ('customer_journeys', 'customer_id', 'number', 'customer', 'delete', NULL, false, 830),
    ('customer_journeys', 'journey', 'content', NULL, NULL, NULL, false, 830),
    ('journey_blocks', 'first_customer', 'number', NULL, 'keep', NULL, false, 840),
    ('journey_blocks', 'block', 'content', NULL, NULL, NULL, false, 840),
    ('journey_blocks', 'newer', 'content', NULL, NULL, NULL, false, 840),
    ('journey_blocks', 'gone', 'number', NULL, 'keep', NULL, false, 840),
    ('spread_journeys', 'customer_id', 'number', NULL, 'keep', NULL, false, 845),
    ('spread_journeys', 'journey', 'content', NULL, NULL, NULL, false, 845),
    ('spread_blocks', 'first_customer', 'number', NULL, 'keep', NULL, false, 846),
    ('spread_blocks', 'block', 'content', NULL, NULL, NULL, false, 846),
    ('spread_blocks', 'newer', 'content', NULL, NULL, NULL, false, 846),
    ('spread_blocks', 'gone', 'number', NULL, 'keep', NULL, false, 846),
    ('spread_keys', 'key', 'number', NULL, 'keep', NULL, false, 847),
    ('unspread', 'customer_id', 'number', NULL, 'keep', NULL, false, 847),
    ('unspread_blocks', 'first_customer', 'number', NULL, 'keep', NULL, false, 847),
    ('journey_changes', 'identity_id', 'number', 'identity', 'delete', NULL, false, 850),
    ('journey_changes', 'touchpoint', 'content', NULL, NULL, NULL, false, 850),
    ('journey_changes', 'packed_for', 'content', NULL, NULL, NULL, false, 850),
    ('journey_changes', 'packed_by', 'content', NULL, NULL, NULL, false, 850),
    ('identities', 'identity_id', 'number', 'identity', 'delete', NULL, true, 900),
    ('identities', 'identifier', 'identifier', NULL, NULL, NULL, true, 900),
    ('identities', 'normal_id', 'number', NULL, NULL, NULL, true, 900),
    ('identities', 'customer_id', 'number', NULL, NULL, NULL, false, 900),
    ('identities', 'member_since', 'content', NULL, NULL, NULL, true, 900),
    ('identities', 'first_seen', 'content', NULL, NULL, NULL, true, 900),
    ('identities', 'last_seen', 'content', NULL, NULL, NULL, true, 900),
    ('identities', 'blocked', 'content', NULL, NULL, NULL, true, 900),
    ('identities', 'shared', 'content', NULL, NULL, NULL, true, 900),
    ('customers', 'customer_id', 'number', 'customer', 'delete', NULL, false, 910),
    ('customers', 'component_id', 'number', NULL, NULL, NULL, false, 910),
    ('customers', 'identities', 'content', NULL, NULL, NULL, false, 910),
    ('customers', 'component_identities', 'content', NULL, NULL, NULL, false, 910),
    ('suppressions', 'mark', 'identifier', NULL, 'keep', NULL, false, 950),
    ('suppressions', 'form', 'identifier', NULL, 'keep', NULL, false, 950),
    ('suppressions', 'erasure_id', 'number', NULL, 'keep', NULL, false, 950),
    ('suppressions', 'suppressed_at', 'content', NULL, 'keep', NULL, false, 950),
    -- what somebody agreed to, and who looked
    ('consents', 'identity_id', 'number', 'identity', 'delete', NULL, true, 220),
    ('consents', 'purpose', 'content', NULL, NULL, NULL, true, 220),
    ('consents', 'channel', 'content', NULL, NULL, NULL, true, 220),
    ('consents', 'state', 'content', NULL, NULL, NULL, true, 220),
    ('consents', 'basis', 'content', NULL, NULL, NULL, true, 220),
    ('consents', 'source', 'reference', NULL, NULL, NULL, true, 220),
    ('consents', 'source_key', 'reference', NULL, NULL, NULL, true, 220),
    ('consents', 'text_version', 'content', NULL, NULL, NULL, true, 220),
    ('consents', 'given_at', 'content', NULL, NULL, NULL, true, 220),
    ('consents', 'recorded_at', 'content', NULL, NULL, NULL, true, 220),
    ('consents', 'valid_until', 'content', NULL, NULL, NULL, true, 220),
    ('erasure_requests', 'identity_id', 'number', 'identity', 'delete', NULL, true, 230),
    ('erasure_requests', 'asked_at', 'content', NULL, NULL, NULL, true, 230),
    ('erasure_requests', 'reason', 'content', NULL, NULL, NULL, true, 230),
    ('access_log', 'seen_at', 'content', NULL, NULL, NULL, true, 240),
    ('access_log', 'role', 'content', NULL, NULL, NULL, true, 240),
    ('access_log', 'login', 'content', NULL, NULL, NULL, false, 240),
    ('access_log', 'purpose', 'content', NULL, NULL, NULL, true, 240),
    ('access_log', 'function', 'content', NULL, NULL, NULL, true, 240),
    ('access_log', 'identity_id', 'number', 'identity', 'delete', NULL, true, 240),
    -- who serves somebody, and which segments somebody is in
    ('assignments', 'assignment_id', 'number', NULL, NULL, NULL, true, 250),
    ('assignments', 'identity_id', 'number', 'identity', 'delete', NULL, true, 250),
    ('assignments', 'source', 'reference', NULL, NULL, NULL, true, 250),
    ('assignments', 'conversation', 'reference', NULL, NULL, NULL, true, 250),
    ('assignments', 'channel', 'content', NULL, NULL, NULL, true, 250),
    ('assignments', 'queue', 'content', NULL, NULL, NULL, true, 250),
    ('assignments', 'agent', 'content', NULL, NULL, NULL, true, 250),
    ('assignments', 'priority', 'content', NULL, NULL, NULL, true, 250),
    ('assignments', 'reasons', 'content', NULL, NULL, NULL, true, 250),
    ('assignments', 'assigned_at', 'content', NULL, NULL, NULL, true, 250),
    ('assignments', 'released_at', 'content', NULL, NULL, NULL, true, 250),
    ('assignments', 'outcome', 'content', NULL, NULL, NULL, true, 250),
    ('segment_members', 'customer_id', 'number', 'customer', 'delete', NULL, false, 260),
    ('segment_members', 'segments', 'content', NULL, NULL, NULL, false, 260),
    ('segment_members', 'turns_at', 'content', NULL, NULL, NULL, false, 260),
    ('segment_changes', 'identity_id', 'number', 'identity', 'delete', NULL, false, 261),
    ('segment_changes', 'segment_id', 'number', NULL, NULL, NULL, false, 261),
    ('segment_changes', 'input', 'content', NULL, NULL, NULL, false, 261),
    ('segment_changes', 'cause', 'content', NULL, NULL, NULL, false, 261),
    ('segment_log', 'log_id', 'number', NULL, NULL, NULL, false, 262),
    ('segment_log', 'segment', 'content', NULL, NULL, NULL, true, 262),
    ('segment_log', 'customer_id', 'number', 'customer', 'delete', NULL, true, 262),
    ('segment_log', 'entered', 'content', NULL, NULL, NULL, true, 262),
    ('segment_log', 'at', 'content', NULL, NULL, NULL, true, 262),
    ('segment_log', 'why', 'content', NULL, NULL, NULL, true, 262),
    ('segment_log', 'taken_at', 'content', NULL, NULL, NULL, false, 262),
    ('match_records', 'record_id', 'number', NULL, NULL, NULL, false, 205),
    ('match_records', 'identity_id', 'number', 'identity', 'delete', NULL, true, 205),
    ('match_records', 'source', 'reference', NULL, NULL, NULL, true, 205),
    ('match_records', 'source_key', 'reference', NULL, NULL, NULL, true, 205),
    ('match_records', 'fields', 'content', NULL, NULL, NULL, true, 205),
    ('match_records', 'taken_from', 'reference', NULL, NULL, NULL, true, 205),
    ('match_records', 'changed_at', 'content', NULL, NULL, NULL, true, 205),
    -- the rows of these go with their records
    ('match_keys', 'block', 'number', NULL, NULL, NULL, false, 206),
    ('match_keys', 'key', 'content', NULL, NULL, NULL, false, 206),
    ('match_keys', 'record_id', 'number', NULL, NULL, NULL, false, 206),
    ('match_values', 'record_id', 'number', NULL, NULL, NULL, false, 206),
    ('match_values', 'identity_id', 'number', NULL, NULL, NULL, false, 206),
    ('match_values', 'conflict', 'number', NULL, NULL, NULL, false, 206),
    ('match_values', 'field', 'number', NULL, NULL, NULL, false, 206),
    ('match_values', 'value', 'content', NULL, NULL, NULL, false, 206),
    ('match_due', 'model', 'content', NULL, NULL, NULL, false, 206),
    ('match_due', 'record_id', 'number', NULL, NULL, NULL, false, 206),
    ('match_pairs', 'a', 'number', NULL, NULL, NULL, false, 206),
    ('match_pairs', 'b', 'number', NULL, NULL, NULL, false, 206),
    ('match_pairs', 'model', 'content', NULL, NULL, NULL, false, 206),
    ('match_pairs', 'score', 'content', NULL, NULL, NULL, false, 206),
    ('match_pairs', 'levels', 'content', NULL, NULL, NULL, false, 206),
    ('match_pairs', 'rule', 'content', NULL, NULL, NULL, false, 206),
    ('match_pairs', 'status', 'content', NULL, NULL, NULL, false, 206),
    ('noted_waits', 'source', 'reference', NULL, NULL, NULL, false, 263),
    ('noted_waits', 'conversation', 'reference', 'conversation', 'delete', NULL, false, 263),
    ('noted_waits', 'started_at', 'content', NULL, NULL, NULL, false, 263),
    ('noted_waits', 'last_at', 'content', NULL, NULL, NULL, false, 263)
    ) v(relation, column_name, holds, reached_by, on_erase, on_anonymize, exported, position)
WHERE EXISTS (SELECT FROM pg_attribute a
              WHERE a.attrelid = to_regclass($$@hub@.$$ || quote_ident(v.relation)) AND a.attname = v.column_name
                    AND NOT a.attisdropped)
ON CONFLICT DO NOTHING;
