-- The timeline of customers, and what is told of one customer at a time. Quals on customer_id reach the indexes: every window is
-- partitioned by it, and settings are read by subqueries that know nothing of the row.

CREATE OR REPLACE VIEW @hub@.timeline WITH (security_invoker = true) AS
SELECT customer_id, touchpoint_id, occurred_at, channel, action, value, currency, direction, conversation, agent, campaign, since_previous,
       1 + count(*) FILTER (WHERE since_previous > (SELECT session_gap FROM @hub@.settings))
               OVER (PARTITION BY customer_id ORDER BY occurred_at, touchpoint_id ROWS UNBOUNDED PRECEDING) AS session,
       CASE WHEN own THEN previous_channel END AS previous_channel,
       CASE WHEN own THEN since_own END AS since_own,
       own AND coalesce(previous_channel <> channel AND since_own <= (SELECT handoff_within FROM @hub@.settings), false) AS is_handoff,
       own AND coalesce(previous_channel <> channel OR since_own > (SELECT handoff_within FROM @hub@.settings), true) AS begins_visit,
       own AND coalesce(previous_source = source AND previous_conversation = conversation, false) AS same_conversation,
       own, source, source_key, attributes, recorded_at, identity_id
FROM (SELECT i.customer_id, t.*, t.direction IS DISTINCT FROM 'out' AND a.action IS NULL AS own,
             t.occurred_at - lag(t.occurred_at) OVER everything AS since_previous,
             t.occurred_at - lag(t.occurred_at) OVER alike AS since_own,
             lag(t.channel) OVER alike AS previous_channel,
             lag(t.source) OVER alike AS previous_source,
             lag(t.conversation) OVER alike AS previous_conversation
      FROM @hub@.identities i JOIN @hub@.touchpoints t ON t.identity_id = i.identity_id LEFT JOIN @hub@.actions a ON a.action = t.action
      WINDOW everything AS (PARTITION BY i.customer_id ORDER BY t.occurred_at, t.touchpoint_id),
             alike AS (PARTITION BY i.customer_id, t.direction IS DISTINCT FROM 'out' AND a.action IS NULL ORDER BY t.occurred_at, t.touchpoint_id)) t;
COMMENT ON VIEW @hub@.timeline IS 'what happened to customers over all channels, a row a touchpoint, in the order of occurred_at and touchpoint_id';
COMMENT ON COLUMN @hub@.timeline.customer_id IS 'customer it belongs to now';
COMMENT ON COLUMN @hub@.timeline.touchpoint_id IS 'number of the touchpoint';
COMMENT ON COLUMN @hub@.timeline.occurred_at IS 'when it happened';
COMMENT ON COLUMN @hub@.timeline.channel IS 'where';
COMMENT ON COLUMN @hub@.timeline.action IS 'what';
COMMENT ON COLUMN @hub@.timeline.value IS 'what it was worth, in its currency';
COMMENT ON COLUMN @hub@.timeline.currency IS 'currency of the value';
COMMENT ON COLUMN @hub@.timeline.direction IS 'in: from the customer; out: to the customer; NULL: neither';
COMMENT ON COLUMN @hub@.timeline.conversation IS 'thread, ticket or call it is part of';
COMMENT ON COLUMN @hub@.timeline.agent IS 'who of the company took part; a bot is called bot, or bot: and its name';
COMMENT ON COLUMN @hub@.timeline.campaign IS 'campaign it comes from';
COMMENT ON COLUMN @hub@.timeline.since_previous IS 'time since the customer''s touchpoint before; NULL: it is the first';
COMMENT ON COLUMN @hub@.timeline.session IS 'number of the customer''s session, over all channels: one ends where nothing happens for longer than session_gap of settings';
COMMENT ON COLUMN @hub@.timeline.previous_channel IS 'channel of the customer''s own touchpoint before: see own; NULL if there is none, and of one that isn''t its own';
COMMENT ON COLUMN @hub@.timeline.since_own IS 'time since the customer''s own touchpoint before; NULL as previous_channel is';
COMMENT ON COLUMN @hub@.timeline.is_handoff IS 'whether it is the customer''s own, and the own one before was in another channel, at most handoff_within of settings before';
COMMENT ON COLUMN @hub@.timeline.begins_visit IS 'whether it begins a visit: own touchpoints in one channel, each at most handoff_within after the own one before';
COMMENT ON COLUMN @hub@.timeline.same_conversation IS 'whether it is the customer''s own, and the own one before was of the same conversation';
COMMENT ON COLUMN @hub@.timeline.own IS 'whether it is the customer''s own: not outbound, and of no action that actions has';
COMMENT ON COLUMN @hub@.timeline.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.timeline.source_key IS 'its key there';
COMMENT ON COLUMN @hub@.timeline.attributes IS 'whatever else is known';
COMMENT ON COLUMN @hub@.timeline.recorded_at IS 'when it came in';
COMMENT ON COLUMN @hub@.timeline.identity_id IS 'identity it belongs to';

CREATE OR REPLACE VIEW @hub@.handoffs WITH (security_invoker = true) AS
SELECT customer_id, touchpoint_id, occurred_at, previous_channel AS from_channel, channel AS to_channel, since_own AS after,
       CASE WHEN same_conversation THEN conversation END AS conversation, action, agent
FROM @hub@.timeline WHERE is_handoff;
COMMENT ON VIEW @hub@.handoffs IS 'where customers went from one channel to another within handoff_within of settings';
COMMENT ON COLUMN @hub@.handoffs.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.handoffs.touchpoint_id IS 'the touchpoint in the new channel';
COMMENT ON COLUMN @hub@.handoffs.occurred_at IS 'when it happened';
COMMENT ON COLUMN @hub@.handoffs.from_channel IS 'channel the customer came from';
COMMENT ON COLUMN @hub@.handoffs.to_channel IS 'channel the customer went to';
COMMENT ON COLUMN @hub@.handoffs.after IS 'time since the customer''s own touchpoint before';
COMMENT ON COLUMN @hub@.handoffs.conversation IS 'conversation, if it is the same as before';
COMMENT ON COLUMN @hub@.handoffs.action IS 'what happened in the new channel';
COMMENT ON COLUMN @hub@.handoffs.agent IS 'who of the company took part there';

-- Views name no identifier, so that they can be read without the right to see identifiers.
CREATE OR REPLACE FUNCTION @hub@.identifier_values(customer_id bigint) RETURNS @extschema@.identifier[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    IF NOT has_column_privilege('identities'::regclass, 'identifier', 'SELECT') THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT array_agg(i.identifier ORDER BY i.identifier) FROM identities i WHERE i.customer_id = identifier_values.customer_id AND i.normal_id = i.identity_id);
END $$;
COMMENT ON FUNCTION @hub@.identifier_values(bigint) IS 'the identifiers of a customer; NULL: there are none, or you may not read them';
