-- The timeline of customers, and what is told of one customer at a time. Quals on customer_id reach the indexes: every window is
-- partitioned by it, and settings are read by subqueries that know nothing of the row.

CREATE OR REPLACE VIEW @hub@.timeline WITH (security_invoker = true) AS
SELECT r.customer_id, r.touchpoint_id, r.occurred_at, r.channel, r.action, r.value, r.currency, r.direction,
       r.conversation, r.agent, r.campaign,
       r.since_previous,
       1 + count(*) FILTER (WHERE r.since_previous > (SELECT s.session_gap FROM @hub@.settings s))
               OVER (PARTITION BY r.customer_id ORDER BY r.occurred_at, r.touchpoint_id ROWS UNBOUNDED PRECEDING)
                   AS session,
       CASE WHEN r.own THEN r.previous_channel END AS previous_channel,
       CASE WHEN r.own THEN r.since_own END AS since_own,
       r.own AND coalesce(r.previous_channel <> r.channel
                          AND r.since_own <= (SELECT s.handoff_within FROM @hub@.settings s), false) AS is_handoff,
       r.own AND coalesce(r.previous_channel <> r.channel
                          OR r.since_own > (SELECT s.handoff_within FROM @hub@.settings s), true) AS begins_visit,
       r.own AND coalesce(r.previous_source = r.source AND r.previous_conversation = r.conversation, false)
           AS same_conversation,
       r.own, r.source, r.source_key, r.attributes, r.recorded_at, r.identity_id
FROM (SELECT i.customer_id, t.touchpoint_id, t.identity_id, t.occurred_at, t.recorded_at, t.channel, t.action,
             t.value, t.currency, t.direction,
             t.conversation, t.agent, t.campaign, t.source, t.source_key, t.attributes,
             t.direction IS DISTINCT FROM 'out' AND coalesce(a.means, 'asks_and_resolves') = 'asks_and_resolves' AS own,
             t.occurred_at - lag(t.occurred_at) OVER everything AS since_previous,
             t.occurred_at - lag(t.occurred_at) OVER alike AS since_own,
             lag(t.channel) OVER alike AS previous_channel,
             lag(t.source) OVER alike AS previous_source,
             lag(t.conversation) OVER alike AS previous_conversation
      FROM @hub@.identities i JOIN @hub@.touchpoints t ON t.identity_id = i.identity_id LEFT JOIN @hub@.actions a ON a.action = t.action
      WINDOW everything AS (PARTITION BY i.customer_id ORDER BY t.occurred_at, t.touchpoint_id),
             alike AS (PARTITION BY i.customer_id, t.direction IS DISTINCT FROM 'out' AND coalesce(a.means, 'asks_and_resolves') = 'asks_and_resolves'
                       ORDER BY t.occurred_at, t.touchpoint_id)) r;
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
COMMENT ON COLUMN @hub@.timeline.own
    IS 'whether it is the customer''s own: not outbound, and of no action that actions has, but one that asks and'
       ' resolves';
COMMENT ON COLUMN @hub@.timeline.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.timeline.source_key IS 'its key there';
COMMENT ON COLUMN @hub@.timeline.attributes IS 'whatever else is known';
COMMENT ON COLUMN @hub@.timeline.recorded_at IS 'when it came in';
COMMENT ON COLUMN @hub@.timeline.identity_id IS 'identity it belongs to';

CREATE OR REPLACE VIEW @hub@.handoffs WITH (security_invoker = true) AS
SELECT t.customer_id, t.touchpoint_id, t.occurred_at, t.previous_channel AS from_channel, t.channel AS to_channel,
       t.since_own AS after,
       CASE WHEN t.same_conversation THEN t.conversation END AS conversation, t.action, t.agent
FROM @hub@.timeline t WHERE t.is_handoff;
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
#variable_conflict use_variable
BEGIN
    IF NOT has_column_privilege('identities'::regclass, 'identifier', 'SELECT') THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT array_agg(i.identifier ORDER BY i.identifier) FROM identities i WHERE i.customer_id = identifier_values.customer_id AND i.normal_id = i.identity_id);
END $$;
COMMENT ON FUNCTION @hub@.identifier_values(bigint) IS 'the identifiers of a customer; NULL: there are none, or you may not read them';
