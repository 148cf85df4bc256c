-- What is known of a customer, in a row.

CREATE OR REPLACE VIEW @hub@.customer_360 WITH (security_invoker = true) AS
SELECT c.customer_id, @hub@.identifier_values(c.customer_id) AS identifiers,
       least(i.first_seen, t.first_at) AS first_seen, greatest(i.last_seen, t.last_at) AS last_seen,
       coalesce(t.touchpoints, 0) AS touchpoints, coalesce(t.sessions, 0) AS sessions, coalesce(t.channels, '{}') AS channels, t.preferred_channel,
       coalesce(t.handoffs, 0) AS handoffs, v.value, v.currency, coalesce(v.value_by_currency, '{}') AS value_by_currency,
       t.last_channel, t.last_action, t.last_at, coalesce(o.open_conversations, 0) AS open_conversations, coalesce(a.attributes, '{}') AS attributes
FROM @hub@.customers c
     LEFT JOIN (SELECT n.customer_id, min(n.first_seen) AS first_seen, max(n.last_seen) AS last_seen
                FROM @hub@.identities n GROUP BY n.customer_id) i ON i.customer_id = c.customer_id
     LEFT JOIN (SELECT b.customer_id, sum(b.touchpoints)::bigint AS touchpoints, max(b.sessions) AS sessions,
                       array_agg(b.channel ORDER BY b.channel) AS channels,
                       (array_agg(b.channel ORDER BY b.visits DESC, b.own_position DESC)
                           FILTER (WHERE b.visits > 0))[1] AS preferred_channel,
                       sum(b.handoffs)::bigint AS handoffs, min(b.first_at) AS first_at,
                       min(b.channel) FILTER (WHERE b.last_action IS NOT NULL) AS last_channel,
                       min(b.last_action) AS last_action,
                       max(b.last_at) AS last_at
                FROM (SELECT r.customer_id, r.channel, count(*) AS touchpoints, max(r.session) AS sessions,
                             count(*) FILTER (WHERE r.is_handoff) AS handoffs,
                             count(*) FILTER (WHERE r.begins_visit) AS visits,
                             max(r.position) FILTER (WHERE r.own) AS own_position,
                             min(r.occurred_at) AS first_at, max(r.occurred_at) AS last_at,
                             min(r.action) FILTER (WHERE r.is_last) AS last_action
                      FROM (SELECT l.customer_id, l.channel, l.session, l.is_handoff, l.begins_visit, l.own,
                                   l.occurred_at, l.action,
                                   row_number() OVER w AS position, lead(l.touchpoint_id) OVER w IS NULL AS is_last
                            FROM @hub@.timeline l
                            WINDOW w AS (PARTITION BY l.customer_id ORDER BY l.occurred_at, l.touchpoint_id
                                ROWS UNBOUNDED PRECEDING)) r
                      GROUP BY r.customer_id, r.channel) b
                GROUP BY b.customer_id) t ON t.customer_id = c.customer_id
     LEFT JOIN (SELECT s.customer_id, CASE WHEN count(*) = 1 THEN min(s.value) END AS value,
                       CASE WHEN count(*) = 1 THEN nullif(min(s.currency), '') END AS currency,
                       jsonb_object_agg(s.currency, s.value) AS value_by_currency
                FROM (SELECT n.customer_id, coalesce(p.currency, '') AS currency, sum(p.value) AS value
                      FROM @hub@.identities n JOIN @hub@.touchpoints p ON p.identity_id = n.identity_id
                      WHERE p.value IS NOT NULL
                      GROUP BY n.customer_id, coalesce(p.currency, '')) s
                GROUP BY s.customer_id) v ON v.customer_id = c.customer_id
     LEFT JOIN (SELECT d.customer_id, count(*) AS open_conversations
                FROM @hub@.conversations d WHERE d.status = 'open' GROUP BY d.customer_id) o
               ON o.customer_id = c.customer_id
     LEFT JOIN (SELECT k.customer_id, jsonb_object_agg(k.key, k.value) AS attributes
                FROM (SELECT DISTINCT ON (n.customer_id, e.key) n.customer_id, e.key, e.value
                      FROM @hub@.identities n JOIN @hub@.touchpoints p ON p.identity_id = n.identity_id
                           CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(p.attributes) = 'object' THEN p.attributes END) e
                      WHERE p.attributes IS NOT NULL AND e.value <> 'null'
                      ORDER BY n.customer_id, e.key, p.occurred_at DESC, p.touchpoint_id DESC) k
                GROUP BY k.customer_id) a ON a.customer_id = c.customer_id;
COMMENT ON VIEW @hub@.customer_360 IS 'what is known of a customer, a row each, those without touchpoints too';
COMMENT ON COLUMN @hub@.customer_360.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.customer_360.identifiers IS 'identifiers of the customer; NULL for who may not read them';
COMMENT ON COLUMN @hub@.customer_360.first_seen IS 'when the customer was first heard of, by an identifier or a touchpoint';
COMMENT ON COLUMN @hub@.customer_360.last_seen IS 'when the customer was last heard of';
COMMENT ON COLUMN @hub@.customer_360.touchpoints IS 'how many touchpoints there are';
COMMENT ON COLUMN @hub@.customer_360.sessions IS 'how many sessions, over all channels';
COMMENT ON COLUMN @hub@.customer_360.channels IS 'channels of the touchpoints, by name';
COMMENT ON COLUMN @hub@.customer_360.preferred_channel IS 'the channel with most visits (see begins_visit of timeline), of several the one last used; NULL: none is the customer''s own';
COMMENT ON COLUMN @hub@.customer_360.handoffs IS 'how many times the customer was handed over from channel to channel: rows of handoffs';
COMMENT ON COLUMN @hub@.customer_360.value IS 'sum of values, if all are in one currency; NULL: they are not, or there are none';
COMMENT ON COLUMN @hub@.customer_360.currency IS 'currency of that sum';
COMMENT ON COLUMN @hub@.customer_360.value_by_currency IS 'sums of values by currency; of those without one by the empty string';
COMMENT ON COLUMN @hub@.customer_360.last_channel IS 'channel of the last touchpoint';
COMMENT ON COLUMN @hub@.customer_360.last_action IS 'action of the last touchpoint';
COMMENT ON COLUMN @hub@.customer_360.last_at IS 'time of the last touchpoint';
COMMENT ON COLUMN @hub@.customer_360.open_conversations IS 'how many conversations are open';
COMMENT ON COLUMN @hub@.customer_360.attributes IS 'of each attribute of the touchpoints the value of the last one in which it is not null';
