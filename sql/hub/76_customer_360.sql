-- What is known of a customer, in a row.

-- OFFSET 0: identifiers are read once, though two columns have them, and not at all where neither is asked for.
CREATE OR REPLACE VIEW @hub@.customer_360 WITH (security_invoker = true) AS
SELECT c.customer_id, d.identifiers, least(i.first_seen, w.first_at) AS first_seen,
       greatest(i.last_seen, w.last_at) AS last_seen, coalesce(w.touchpoints, 0) AS touchpoints,
       coalesce(w.sessions, 0) AS sessions, coalesce(w.channels, '{}') AS channels, w.preferred_channel,
       coalesce(w.handoffs, 0) AS handoffs, v.value, v.currency,
       coalesce(v.value_by_currency, '{}') AS value_by_currency,
       w.last_channel, w.last_action, w.last_at, coalesce(o.open_conversations, 0) AS open_conversations,
       coalesce(a.traits, '{}') AS profile, coalesce(w.visits, 0) AS visits, w.last_own_at,
       d.identifiers::text[] AS identifier_texts, l.subject AS last_subject, l.url AS last_url
FROM @hub@.customers c
     LEFT JOIN (SELECT j.customer_id, s.touchpoints, s.sessions, s.visits, s.handoffs, s.channels, s.preferred_channel,
                       s.first_at, s.last_at, s.last_channel, s.last_action, s.last_own_at,
                       @extschema@.touchpoint_ref(@extschema@.journey_nth(j.journey, -1)) AS last_ref
                FROM @hub@.journeys_by_customer j
                     CROSS JOIN LATERAL @extschema@.journey_summary(
                         j.journey, (SELECT g.session_gap FROM @hub@.settings g),
                         (SELECT g.handoff_within FROM @hub@.settings g), (SELECT @hub@.not_own_actions())) s
                WHERE s.touchpoints IS NOT NULL OR clock_timestamp() IS NULL) w  -- no Memoize: see timeline
               ON w.customer_id = c.customer_id
     LEFT JOIN LATERAL (SELECT min(p.subject) AS subject, min(p.url) AS url
                        FROM @hub@.touchpoints p
                        WHERE p.touchpoint_id = w.last_ref AND p.occurred_at = w.last_at) l ON true
     LEFT JOIN (SELECT n.customer_id, min(n.first_seen) AS first_seen, max(n.last_seen) AS last_seen
                FROM @hub@.identities n GROUP BY n.customer_id) i ON i.customer_id = c.customer_id
     LEFT JOIN (SELECT s.customer_id, CASE WHEN count(*) = 1 THEN min(s.value) END AS value,
                       CASE WHEN count(*) = 1 THEN nullif(min(s.currency), '') END AS currency,
                       jsonb_object_agg(s.currency, s.value) AS value_by_currency
                FROM (SELECT n.customer_id, coalesce(p.currency, '') AS currency, sum(p.value) AS value
                      FROM @hub@.identities n JOIN @hub@.touchpoints p ON p.identity_id = n.identity_id
                      WHERE p.value IS NOT NULL
                      GROUP BY n.customer_id, coalesce(p.currency, '')) s
                GROUP BY s.customer_id) v ON v.customer_id = c.customer_id
     -- those whose last turn that tells is not a resolution, as conversations.status has it, but without sorting them
     LEFT JOIN (SELECT d.customer_id, count(*) AS open_conversations
                FROM (SELECT u.customer_id
                      FROM @hub@.turns u
                      WHERE u.conversation IS NOT NULL
                      GROUP BY u.customer_id, u.source, u.conversation
                      HAVING bool_or(u.own OR coalesce(u.turn = 'reopens', false))
                             AND (max(ARRAY[(extract(epoch FROM u.occurred_at) * 1000000)::bigint, u.touchpoint_id,
                                            u.step, (u.turn = 'resolves')::integer])
                                      FILTER (WHERE u.turn IN ('asks', 'resolves', 'reopens')))[4]
                                 IS DISTINCT FROM 1) d
                GROUP BY d.customer_id) o ON o.customer_id = c.customer_id
     LEFT JOIN @hub@.customer_profile a ON a.customer_id = c.customer_id
     CROSS JOIN LATERAL (SELECT CASE WHEN (SELECT has_column_privilege($$@hub@.identities$$::regclass, 'identifier',
                                                                       'SELECT'))
                                     THEN @hub@.identifier_values(c.customer_id) END AS identifiers
                         OFFSET 0) d;
COMMENT ON VIEW @hub@.customer_360 IS 'what is known of a customer, a row each, those without touchpoints too';
COMMENT ON COLUMN @hub@.customer_360.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.customer_360.identifiers IS 'identifiers of the customer; NULL for who may not read them';
COMMENT ON COLUMN @hub@.customer_360.first_seen IS
    'when the customer was first heard of, by an identifier or a touchpoint';
COMMENT ON COLUMN @hub@.customer_360.last_seen IS 'when the customer was last heard of';
COMMENT ON COLUMN @hub@.customer_360.touchpoints IS 'how many touchpoints there are';
COMMENT ON COLUMN @hub@.customer_360.sessions IS 'how many sessions, over all channels';
COMMENT ON COLUMN @hub@.customer_360.channels IS 'channels of the touchpoints, by name';
COMMENT ON COLUMN @hub@.customer_360.preferred_channel IS
    'the channel with most visits (see begins_visit of timeline), of several the one last used; NULL: none is the '
    'customer''s own';
COMMENT ON COLUMN @hub@.customer_360.handoffs IS
    'how many times the customer went from one channel to another within handoff_within of settings: rows of handoffs';
COMMENT ON COLUMN @hub@.customer_360.value IS
    'sum of values, if all are in one currency; NULL: they are not, or there are none';
COMMENT ON COLUMN @hub@.customer_360.currency IS 'currency of that sum';
COMMENT ON COLUMN @hub@.customer_360.value_by_currency IS
    'sums of values by currency; of those without one by the empty string';
COMMENT ON COLUMN @hub@.customer_360.last_channel IS 'channel of the last touchpoint';
COMMENT ON COLUMN @hub@.customer_360.last_action IS 'action of the last touchpoint';
COMMENT ON COLUMN @hub@.customer_360.last_at IS 'time of the last touchpoint';
COMMENT ON COLUMN @hub@.customer_360.open_conversations IS 'how many conversations are open';
COMMENT ON COLUMN @hub@.customer_360.profile IS 'who the customer is: traits of customer_profile';
COMMENT ON COLUMN @hub@.customer_360.visits IS 'how many visits';
COMMENT ON COLUMN @hub@.customer_360.last_own_at IS
    'time of the last touchpoint that is the customer''s own: what the company sends is none. NULL: there is none';
COMMENT ON COLUMN @hub@.customer_360.identifier_texts IS 'identifiers as text, for tools that don''t know the type';
COMMENT ON COLUMN @hub@.customer_360.last_subject IS 'subject of the last touchpoint';
COMMENT ON COLUMN @hub@.customer_360.last_url IS 'url of the last touchpoint';

-- OFFSET 0 keeps the view whole, so that the customer's number reaches what is grouped in it.
CREATE OR REPLACE FUNCTION @hub@.customer_360_of(customer_id bigint) RETURNS SETOF @hub@.customer_360
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT v.* FROM @hub@.customer_360 v WHERE v.customer_id = customer_360_of.customer_id OFFSET 0;
END;
COMMENT ON FUNCTION @hub@.customer_360_of(bigint) IS 'the row of a customer in customer_360, by index: for LATERAL';
