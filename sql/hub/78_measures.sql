-- Measures over all customers. Shares are NULL where there is nothing to divide by.

CREATE OR REPLACE VIEW @hub@.channel_transitions WITH (security_invoker = true) AS
SELECT h.from_channel, h.to_channel, count(*) AS handoffs, count(DISTINCT h.customer_id) AS customers,
       round(count(*) / sum(count(*)) OVER (PARTITION BY h.from_channel), 4) AS share,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY h.after) AS median_time
FROM @hub@.handoffs h
GROUP BY h.from_channel, h.to_channel;
COMMENT ON VIEW @hub@.channel_transitions IS 'handoffs by the channels they go from and to';
COMMENT ON COLUMN @hub@.channel_transitions.from_channel IS 'channel customers came from';
COMMENT ON COLUMN @hub@.channel_transitions.to_channel IS 'channel they went to';
COMMENT ON COLUMN @hub@.channel_transitions.handoffs IS 'how many times';
COMMENT ON COLUMN @hub@.channel_transitions.customers IS 'how many customers';
COMMENT ON COLUMN @hub@.channel_transitions.share IS 'share of all handoffs from that channel';
COMMENT ON COLUMN @hub@.channel_transitions.median_time IS 'median time between the two touchpoints';

CREATE OR REPLACE VIEW @hub@.channel_mix WITH (security_invoker = true) AS
SELECT m.channel, c.label, c.kind, m.touchpoints, round(m.touchpoints / sum(m.touchpoints) OVER (), 4) AS share, m.customers,
       m.inbound, m.outbound, m.sessions, m.visits, coalesce(l.left_by, 0) AS visits_left, round(1 - coalesce(l.left_by, 0)::numeric / nullif(m.visits, 0), 4) AS containment,
       v.value, v.currency, coalesce(v.value_by_currency, '{}') AS value_by_currency
FROM (SELECT b.channel, sum(b.touchpoints)::bigint AS touchpoints, count(DISTINCT b.customer_id) AS customers,
             sum(b.inbound)::bigint AS inbound,
             sum(b.outbound)::bigint AS outbound, count(*) AS sessions, sum(b.visits)::bigint AS visits
      FROM (SELECT t.customer_id, t.channel, t.session, count(*) AS touchpoints,
                   count(*) FILTER (WHERE t.direction = 'in') AS inbound,
                   count(*) FILTER (WHERE t.direction = 'out') AS outbound,
                   count(*) FILTER (WHERE t.begins_visit) AS visits
            FROM @hub@.timeline t GROUP BY t.customer_id, t.channel, t.session) b
      GROUP BY b.channel) m
     LEFT JOIN @hub@.channels c ON c.channel = m.channel
     LEFT JOIN (SELECT h.from_channel, count(*) AS left_by FROM @hub@.handoffs h GROUP BY h.from_channel) l
         ON l.from_channel = m.channel
     LEFT JOIN (SELECT s.channel, CASE WHEN count(*) = 1 THEN min(s.value) END AS value,
                       CASE WHEN count(*) = 1 THEN nullif(min(s.currency), '') END AS currency,
                       jsonb_object_agg(s.currency, s.value) AS value_by_currency
                FROM (SELECT t.channel, coalesce(t.currency, '') AS currency, sum(t.value) AS value
                      FROM @hub@.identities i JOIN @hub@.touchpoints t ON t.identity_id = i.identity_id
                      WHERE t.value IS NOT NULL
                      GROUP BY t.channel, coalesce(t.currency, '')) s
                GROUP BY s.channel) v ON v.channel = m.channel;
COMMENT ON VIEW @hub@.channel_mix IS 'channels of all touchpoints';
COMMENT ON COLUMN @hub@.channel_mix.channel IS 'the channel';
COMMENT ON COLUMN @hub@.channel_mix.label IS 'its label, as in channels; NULL: it is not there';
COMMENT ON COLUMN @hub@.channel_mix.kind IS 'its kind, as in channels';
COMMENT ON COLUMN @hub@.channel_mix.touchpoints IS 'touchpoints in it';
COMMENT ON COLUMN @hub@.channel_mix.share IS 'share of all touchpoints';
COMMENT ON COLUMN @hub@.channel_mix.customers IS 'customers with a touchpoint in it';
COMMENT ON COLUMN @hub@.channel_mix.inbound IS 'inbound touchpoints';
COMMENT ON COLUMN @hub@.channel_mix.outbound IS 'outbound touchpoints';
COMMENT ON COLUMN @hub@.channel_mix.sessions IS 'sessions with a touchpoint in it';
COMMENT ON COLUMN @hub@.channel_mix.visits IS 'visits: see begins_visit of timeline';
COMMENT ON COLUMN @hub@.channel_mix.visits_left IS 'visits that ended with a handoff to another channel';
COMMENT ON COLUMN @hub@.channel_mix.containment IS 'share of visits that did not';
COMMENT ON COLUMN @hub@.channel_mix.value IS 'sum of values, if all are in one currency; NULL: they are not, or there are none';
COMMENT ON COLUMN @hub@.channel_mix.currency IS 'currency of that sum';
COMMENT ON COLUMN @hub@.channel_mix.value_by_currency IS 'sums of values by currency; of those without one by the empty string';

CREATE OR REPLACE VIEW @hub@.unknown_channels WITH (security_invoker = true) AS
SELECT t.channel, t.touchpoints, t.first_at, t.last_at
FROM (SELECT p.channel, count(*) AS touchpoints, min(p.occurred_at) AS first_at, max(p.occurred_at) AS last_at
      FROM @hub@.touchpoints p GROUP BY p.channel) t
WHERE NOT EXISTS (SELECT FROM @hub@.channels c WHERE c.channel = t.channel);
COMMENT ON VIEW @hub@.unknown_channels IS 'channels of touchpoints that channels doesn''t have';
COMMENT ON COLUMN @hub@.unknown_channels.channel IS 'the channel';
COMMENT ON COLUMN @hub@.unknown_channels.touchpoints IS 'touchpoints in it';
COMMENT ON COLUMN @hub@.unknown_channels.first_at IS 'time of the first of them';
COMMENT ON COLUMN @hub@.unknown_channels.last_at IS 'time of the last of them';

CREATE OR REPLACE VIEW @hub@.omnichannel WITH (security_invoker = true) AS
SELECT c.customers, c.multichannel, round(c.multichannel::numeric / nullif(c.customers, 0), 4) AS multichannel_share,
       c.cross_channel, round(c.cross_channel::numeric / nullif(c.customers, 0), 4) AS cross_channel_share,
       c.omnichannel, round(c.omnichannel::numeric / nullif(c.customers, 0), 4) AS omnichannel_share, c.handoffs,
       r.resolved, r.resolved_at_first_contact,
       round(r.resolved_at_first_contact::numeric / nullif(r.resolved, 0), 4) AS first_contact_resolution,
       s.contacts, s.repeat_contacts, round(s.repeat_contacts::numeric / nullif(s.contacts, 0), 4) AS repeat_contact_share,
       round(s.repeat_contacts::numeric / nullif(s.customers, 0), 4) AS repeat_contacts_per_customer
FROM (SELECT count(*) AS customers, count(*) FILTER (WHERE b.several) AS multichannel,
             count(*) FILTER (WHERE b.handoffs > 0) AS cross_channel,
             count(*) FILTER (WHERE b.crosses) AS omnichannel, coalesce(sum(b.handoffs), 0)::bigint AS handoffs
      FROM (SELECT t.customer_id, min(t.channel) <> max(t.channel) AS several, count(*) FILTER (WHERE t.is_handoff) AS handoffs,
                   bool_or(t.is_handoff AND (n.kind = 'digital') <> (p.kind = 'digital')) AS crosses
            FROM @hub@.timeline t LEFT JOIN @hub@.channels n ON n.channel = t.channel
                 LEFT JOIN @hub@.channels p ON p.channel = t.previous_channel
            WHERE t.own
            GROUP BY t.customer_id) b) c
     CROSS JOIN
     (SELECT count(*) AS resolved,
             count(*) FILTER (WHERE (b.asked_again_at - b.resolved_at <= (SELECT s.repeat_within FROM @hub@.settings s))
                                    IS NOT TRUE) AS resolved_at_first_contact
      FROM (SELECT min(o.occurred_at) AS resolved_at, min(o.asked_again_at) AS asked_again_at
            FROM (SELECT t.customer_id, t.source, t.conversation, t.turn, t.occurred_at,
                         min(t.occurred_at) FILTER (WHERE t.turn IN ('asks', 'reopens'))
                             OVER (PARTITION BY t.customer_id ORDER BY t.occurred_at DESC, t.touchpoint_id DESC, t.step DESC
                                   ROWS UNBOUNDED PRECEDING) AS asked_again_at
                  FROM @hub@.turns t WHERE t.turn IN ('asks', 'reopens', 'resolves')) o
            WHERE o.turn = 'resolves' AND o.conversation IS NOT NULL
            GROUP BY o.customer_id, o.source, o.conversation) b
      WHERE now() - b.resolved_at > (SELECT s.repeat_within FROM @hub@.settings s)) r
     CROSS JOIN
     (SELECT count(*) AS contacts, count(DISTINCT b.customer_id) AS customers,
             count(*) FILTER (WHERE b.since_message <= (SELECT g.repeat_within FROM @hub@.settings g))
                 AS repeat_contacts
      FROM (SELECT a.customer_id, a.conversation, a.before, a.since_before,
                   a.occurred_at - lag(a.occurred_at) OVER (PARTITION BY a.customer_id
                                                            ORDER BY a.occurred_at, a.touchpoint_id) AS since_message
            FROM (SELECT t.customer_id, t.touchpoint_id, t.conversation, t.turn, t.occurred_at,
                         lag(t.turn) OVER w AS before, t.occurred_at - lag(t.occurred_at) OVER w AS since_before
                  FROM @hub@.turns t WHERE t.turn IN ('asks', 'reopens', 'resolves')
                  WINDOW w AS (PARTITION BY t.customer_id, t.source, t.conversation ORDER BY t.occurred_at, t.touchpoint_id, t.step)) a
            WHERE a.turn = 'asks') b
      WHERE (b.conversation IS NULL OR b.before IS NULL OR b.before = 'resolves'
             OR b.since_before > (SELECT g.repeat_within FROM @hub@.settings g))
            AND (b.since_message > (SELECT g.session_gap FROM @hub@.settings g)) IS NOT FALSE) s;
COMMENT ON VIEW @hub@.omnichannel IS 'how customers use channels together: one row';
COMMENT ON COLUMN @hub@.omnichannel.customers IS 'customers with a touchpoint of their own: see own of timeline';
COMMENT ON COLUMN @hub@.omnichannel.multichannel IS 'those of them with such touchpoints in two channels or more';
COMMENT ON COLUMN @hub@.omnichannel.multichannel_share IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel.cross_channel IS 'those with a handoff';
COMMENT ON COLUMN @hub@.omnichannel.cross_channel_share IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel.omnichannel IS 'those with a handoff between a digital channel and a human or physical one';
COMMENT ON COLUMN @hub@.omnichannel.omnichannel_share IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel.handoffs IS 'handoffs of all of them';
COMMENT ON COLUMN @hub@.omnichannel.resolved IS 'conversations that were resolved, for the first time, longer than repeat_within of settings ago';
COMMENT ON COLUMN @hub@.omnichannel.resolved_at_first_contact IS 'those of them after which the customer neither wrote, in any channel, nor had a conversation reopened, within repeat_within';
COMMENT ON COLUMN @hub@.omnichannel.first_contact_resolution IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel.contacts IS 'messages of customers that are part of no conversation, begin or reopen one, or come longer than repeat_within of settings after the one before in it; if none came in any channel within session_gap before';
COMMENT ON COLUMN @hub@.omnichannel.repeat_contacts IS 'those of them at most repeat_within after the customer''s message before';
COMMENT ON COLUMN @hub@.omnichannel.repeat_contact_share IS 'share of contacts that are repeat contacts';
COMMENT ON COLUMN @hub@.omnichannel.repeat_contacts_per_customer IS 'repeat contacts, divided by the customers with a contact';
