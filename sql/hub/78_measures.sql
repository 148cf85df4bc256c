-- Measures over all customers, from their journeys. Shares are NULL where there is nothing to divide by.
--
-- The functions become part of the queries that call them, so what a query doesn't ask for is not worked out: what is
-- joined is unique by what it is joined by. That can't be NULL, so of all time it is -infinity.

CREATE OR REPLACE FUNCTION @hub@.channel_measures(period text DEFAULT NULL, since timestamptz DEFAULT NULL,
                                                  until timestamptz DEFAULT NULL, measures text[] DEFAULT NULL,
                                                  among bigint[] DEFAULT NULL)
RETURNS SETOF @extschema@.channel_measures LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT @extschema@.channel_measures_agg(
               b.block, (SELECT s.session_gap FROM @hub@.settings s), (SELECT s.handoff_within FROM @hub@.settings s),
               (SELECT @hub@.not_own_actions()),
               ARRAY(SELECT c.channel FROM @hub@.channels c WHERE c.kind = 'digital'),
               ARRAY(SELECT c.channel FROM @hub@.channels c WHERE c.kind <> 'digital'),
               (SELECT @hub@.check_period(channel_measures.period, channel_measures.since, channel_measures.until)),
               (SELECT s.time_zone FROM @hub@.settings s), channel_measures.since, channel_measures.until,
               channel_measures.measures)
    FROM @hub@.blocks_among(channel_measures.among) b(block)
    -- also where there are no journeys
    HAVING @hub@.check_period(channel_measures.period, channel_measures.since, channel_measures.until) IS NOT NULL;
END;
COMMENT ON FUNCTION @hub@.channel_measures(text, timestamptz, timestamptz, text[], bigint[]) IS
    'one row: what channel_mix, channel_transitions and omnichannel tell of journeys, or only these measures of it: '
    'channels, transitions, median_time, customers; NULL: there are none';

CREATE OR REPLACE FUNCTION @hub@.channel_transitions(
    period text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    among bigint[] DEFAULT NULL, OUT period_start date, OUT from_channel text, OUT to_channel text,
    OUT handoffs bigint, OUT customers bigint, OUT share numeric, OUT median_time interval, OUT median_seconds numeric)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT t.period_start, t.from_channel, t.to_channel, t.handoffs, t.customers,
           round(t.handoffs / sum(t.handoffs) OVER (PARTITION BY t.period_start, t.from_channel), 4), t.median_time,
           extract(epoch FROM t.median_time)
    FROM @hub@.channel_measures(channel_transitions.period, channel_transitions.since, channel_transitions.until,
                                '{median_time}', channel_transitions.among) AS m(measures)
         CROSS JOIN LATERAL @extschema@.channel_transitions(m.measures) t;
END;
COMMENT ON FUNCTION @hub@.channel_transitions(text, timestamptz, timestamptz, bigint[]) IS
    'hand-offs by day, week, month, quarter, year or all, and the channels they go from and to; from one time until '
    'before another; among these customers, NULL: all. Customers of several periods or rows must not be added: who is '
    'in two is one customer';

CREATE OR REPLACE VIEW @hub@.channel_transitions WITH (security_invoker = true) AS
SELECT t.from_channel, t.to_channel, t.handoffs, t.customers, t.share, t.median_time,
       t.median_seconds
FROM @hub@.channel_transitions() t;
COMMENT ON VIEW @hub@.channel_transitions IS 'hand-offs by the channels they go from and to';
COMMENT ON COLUMN @hub@.channel_transitions.from_channel IS 'channel customers came from';
COMMENT ON COLUMN @hub@.channel_transitions.to_channel IS 'channel they went to';
COMMENT ON COLUMN @hub@.channel_transitions.handoffs IS 'how many times';
COMMENT ON COLUMN @hub@.channel_transitions.customers IS 'how many customers';
COMMENT ON COLUMN @hub@.channel_transitions.share IS 'share of all hand-offs from that channel';
COMMENT ON COLUMN @hub@.channel_transitions.median_time IS 'median time between the two touchpoints';
COMMENT ON COLUMN @hub@.channel_transitions.median_seconds IS 'median_time in seconds';

CREATE OR REPLACE VIEW @hub@.channel_transitions_monthly WITH (security_invoker = true) AS
SELECT t.period_start, t.from_channel, t.to_channel, t.handoffs, t.customers, t.share, t.median_time,
       t.median_seconds
FROM @hub@.channel_transitions('month') t;
COMMENT ON VIEW @hub@.channel_transitions_monthly IS
    'channel_transitions by month in the time zone of settings. Customers of several months must not be added: who is '
    'in two is one customer';
COMMENT ON COLUMN @hub@.channel_transitions_monthly.period_start IS 'first day of the month';
COMMENT ON COLUMN @hub@.channel_transitions_monthly.from_channel IS 'channel customers came from';
COMMENT ON COLUMN @hub@.channel_transitions_monthly.to_channel IS 'channel they went to';
COMMENT ON COLUMN @hub@.channel_transitions_monthly.handoffs IS 'how many times';
COMMENT ON COLUMN @hub@.channel_transitions_monthly.customers IS 'how many customers, each counted once a month';
COMMENT ON COLUMN @hub@.channel_transitions_monthly.share IS 'share of hand-offs from that channel';
COMMENT ON COLUMN @hub@.channel_transitions_monthly.median_time IS 'median time between the two touchpoints';
COMMENT ON COLUMN @hub@.channel_transitions_monthly.median_seconds IS 'median_time in seconds';

CREATE OR REPLACE FUNCTION @hub@.channel_mix(
    period text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    among bigint[] DEFAULT NULL, OUT period_start date, OUT channel text, OUT label text, OUT kind text,
    OUT touchpoints bigint, OUT share numeric, OUT customers bigint, OUT inbound bigint, OUT outbound bigint,
    OUT sessions bigint, OUT visits bigint,
    OUT visits_left bigint, OUT containment numeric, OUT value numeric, OUT currency text, OUT value_by_currency jsonb)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT x.period_start, x.channel, c.label, c.kind, x.touchpoints,
           round(x.touchpoints / sum(x.touchpoints) OVER (PARTITION BY x.period_start), 4),
           x.customers, x.inbound, x.outbound, x.sessions, x.visits, x.visits_left,
           round(1 - x.visits_left::numeric / nullif(x.visits, 0), 4), v.value, v.currency,
           coalesce(v.value_by_currency, '{}')
    FROM @hub@.channel_measures(channel_mix.period, channel_mix.since, channel_mix.until, '{channels}',
                                channel_mix.among) AS m(measures)
         CROSS JOIN LATERAL @extschema@.channel_mix(m.measures) x
         LEFT JOIN @hub@.channels c ON c.channel = x.channel
         LEFT JOIN (SELECT s.channel, s.start, CASE WHEN count(*) = 1 THEN min(s.value) END AS value,
                           CASE WHEN count(*) = 1 THEN nullif(min(s.currency), '') END AS currency,
                           jsonb_object_agg(s.currency, s.value) AS value_by_currency
                    FROM (SELECT t.channel, coalesce(t.currency, '') AS currency, sum(t.value) AS value,
                                 coalesce(@hub@.period_start(t.occurred_at, channel_mix.period,
                                                             (SELECT z.time_zone FROM @hub@.settings z)),
                                          '-infinity') AS start
                          FROM @hub@.identities i JOIN @hub@.touchpoints t ON t.identity_id = i.identity_id
                          WHERE t.value IS NOT NULL
                                AND (channel_mix.among IS NULL OR i.customer_id = ANY (channel_mix.among))
                                AND t.occurred_at >= coalesce(channel_mix.since, '-infinity')
                                AND t.occurred_at < coalesce(channel_mix.until, 'infinity')
                                AND @hub@.check_period(channel_mix.period, channel_mix.since, channel_mix.until)
                                    IS NOT NULL
                          GROUP BY 1, 2, 4) s
                    GROUP BY s.channel, s.start) v
             ON v.channel = x.channel AND v.start = coalesce(x.period_start, '-infinity');
END;
COMMENT ON FUNCTION @hub@.channel_mix(text, timestamptz, timestamptz, bigint[]) IS
    'channels by day, week, month, quarter, year or all; from one time until before another; among these customers, '
    'NULL: all. A visit counts where it begins. Customers of several periods or channels must not be added: who is in '
    'two is one customer';

CREATE OR REPLACE VIEW @hub@.channel_mix WITH (security_invoker = true) AS
SELECT m.channel, m.label, m.kind, m.touchpoints, m.share, m.customers, m.inbound, m.outbound, m.sessions, m.visits,
       m.visits_left, m.containment, m.value, m.currency, m.value_by_currency
FROM @hub@.channel_mix() m;
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
COMMENT ON COLUMN @hub@.channel_mix.visits_left IS 'visits that ended with a hand-off to another channel';
COMMENT ON COLUMN @hub@.channel_mix.containment IS 'share of visits that did not';
COMMENT ON COLUMN @hub@.channel_mix.value IS
    'sum of values, if all are in one currency; NULL: they are not, or there are none';
COMMENT ON COLUMN @hub@.channel_mix.currency IS 'currency of that sum';
COMMENT ON COLUMN @hub@.channel_mix.value_by_currency IS
    'sums of values by currency; of those without one by the empty string';

CREATE OR REPLACE VIEW @hub@.channel_mix_monthly WITH (security_invoker = true) AS
SELECT m.period_start, m.channel, m.label, m.kind, m.touchpoints, m.share, m.customers, m.inbound, m.outbound,
       m.sessions, m.visits, m.visits_left, m.containment, m.value, m.currency, m.value_by_currency
FROM @hub@.channel_mix('month') m;
COMMENT ON VIEW @hub@.channel_mix_monthly IS
    'channel_mix by month in the time zone of settings. Customers of several months must not be added: who is in two '
    'is one customer';
COMMENT ON COLUMN @hub@.channel_mix_monthly.period_start IS 'first day of the month';
COMMENT ON COLUMN @hub@.channel_mix_monthly.channel IS 'the channel';
COMMENT ON COLUMN @hub@.channel_mix_monthly.label IS 'its label, as in channels; NULL: it is not there';
COMMENT ON COLUMN @hub@.channel_mix_monthly.kind IS 'its kind, as in channels';
COMMENT ON COLUMN @hub@.channel_mix_monthly.touchpoints IS 'touchpoints in it';
COMMENT ON COLUMN @hub@.channel_mix_monthly.share IS 'share of touchpoints of the month';
COMMENT ON COLUMN @hub@.channel_mix_monthly.customers IS 'customers with a touchpoint in it in the month';
COMMENT ON COLUMN @hub@.channel_mix_monthly.inbound IS 'inbound touchpoints';
COMMENT ON COLUMN @hub@.channel_mix_monthly.outbound IS 'outbound touchpoints';
COMMENT ON COLUMN @hub@.channel_mix_monthly.sessions IS
    'sessions with a touchpoint in it, the first of them in the month';
COMMENT ON COLUMN @hub@.channel_mix_monthly.visits IS 'visits that began in the month: see begins_visit of timeline';
COMMENT ON COLUMN @hub@.channel_mix_monthly.visits_left IS 'visits that ended with a hand-off to another channel';
COMMENT ON COLUMN @hub@.channel_mix_monthly.containment IS 'share of visits that did not';
COMMENT ON COLUMN @hub@.channel_mix_monthly.value IS
    'sum of values, if all are in one currency; NULL: they are not, or there are none';
COMMENT ON COLUMN @hub@.channel_mix_monthly.currency IS 'currency of that sum';
COMMENT ON COLUMN @hub@.channel_mix_monthly.value_by_currency IS
    'sums of values by currency; of those without one by the empty string';

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

-- Whatever counts is a touchpoint, so channels tell what periods there are.
CREATE OR REPLACE FUNCTION @hub@.omnichannel(
    period text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    among bigint[] DEFAULT NULL, OUT period_start date, OUT customers bigint, OUT multichannel bigint,
    OUT multichannel_share numeric,
    OUT cross_channel bigint, OUT cross_channel_share numeric, OUT omnichannel bigint, OUT omnichannel_share numeric,
    OUT handoffs bigint, OUT resolved bigint, OUT resolved_at_first_contact bigint,
    OUT first_contact_resolution numeric, OUT contacts bigint, OUT repeat_contacts bigint,
    OUT repeat_contact_share numeric, OUT repeat_contacts_per_customer numeric)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p.period_start, coalesce(c.customers, 0), coalesce(c.multichannel, 0),
           round(c.multichannel::numeric / nullif(c.customers, 0), 4), coalesce(c.cross_channel, 0),
           round(c.cross_channel::numeric / nullif(c.customers, 0), 4), coalesce(c.omnichannel, 0),
           round(c.omnichannel::numeric / nullif(c.customers, 0), 4), coalesce(c.handoffs, 0),
           coalesce(s.resolved, 0), coalesce(s.at_first_contact, 0),
           round(s.at_first_contact::numeric / nullif(s.resolved, 0), 4),
           coalesce(s.contacts, 0), coalesce(s.repeats, 0), round(s.repeats::numeric / nullif(s.contacts, 0), 4),
           round(s.repeats::numeric / nullif(s.customers, 0), 4)
    FROM @hub@.channel_measures(omnichannel.period, omnichannel.since, omnichannel.until,
                                '{channels,customers}', omnichannel.among) AS m(measures)
         CROSS JOIN LATERAL (SELECT x.period_start FROM @extschema@.channel_mix(m.measures) x
                             UNION
                             SELECT NULL::date AS period_start WHERE coalesce(omnichannel.period, 'all') = 'all') p
         LEFT JOIN LATERAL @extschema@.channel_customers(m.measures) c
             ON coalesce(c.period_start, '-infinity') = coalesce(p.period_start, '-infinity')
         LEFT JOIN (SELECT b.start, count(*) FILTER (WHERE b.resolved) AS resolved,
                           count(*) FILTER (WHERE b.resolved AND b.at_first_contact) AS at_first_contact,
                           count(b.contact_kind) AS contacts,
                           count(*) FILTER (WHERE b.contact_kind = 'repeat') AS repeats,
                           count(DISTINCT b.customer_id) FILTER (WHERE b.contact_kind IS NOT NULL) AS customers
                    FROM (SELECT t.customer_id, t.contact_kind, t.at_first_contact,
                                 t.at_first_contact IS NOT NULL
                                 AND now() - t.occurred_at > (SELECT z.repeat_within FROM @hub@.settings z) AS resolved,
                                 coalesce(@hub@.period_start(t.occurred_at, omnichannel.period,
                                                             (SELECT z.time_zone FROM @hub@.settings z)),
                                          '-infinity') AS start
                          FROM @hub@.contact_turns(omnichannel.since, omnichannel.until, true, true) t
                          WHERE @hub@.check_period(omnichannel.period, omnichannel.since, omnichannel.until)
                                IS NOT NULL
                                AND (omnichannel.among IS NULL OR t.customer_id = ANY (omnichannel.among))) b
                    GROUP BY b.start) s ON s.start = coalesce(p.period_start, '-infinity');
END;
COMMENT ON FUNCTION @hub@.omnichannel(text, timestamptz, timestamptz, bigint[]) IS
    'how customers use channels together, by day, week, month, quarter, year or all; from one time until before '
    'another; among these customers, NULL: all. A hand-off counts when it happens, a contact when it is made, a '
    'conversation when it is first resolved. Customers of several periods must not be added: who is in two is one '
    'customer';

CREATE OR REPLACE VIEW @hub@.omnichannel WITH (security_invoker = true) AS
SELECT o.customers, o.multichannel, o.multichannel_share, o.cross_channel, o.cross_channel_share, o.omnichannel,
       o.omnichannel_share, o.handoffs, o.resolved, o.resolved_at_first_contact, o.first_contact_resolution, o.contacts,
       o.repeat_contacts, o.repeat_contact_share, o.repeat_contacts_per_customer
FROM @hub@.omnichannel() o;
COMMENT ON VIEW @hub@.omnichannel IS 'how customers use channels together: one row';
COMMENT ON COLUMN @hub@.omnichannel.customers IS 'customers with a touchpoint of their own: see own of timeline';
COMMENT ON COLUMN @hub@.omnichannel.multichannel IS 'those of them with such touchpoints in two channels or more';
COMMENT ON COLUMN @hub@.omnichannel.multichannel_share IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel.cross_channel IS 'those with a hand-off';
COMMENT ON COLUMN @hub@.omnichannel.cross_channel_share IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel.omnichannel IS
    'those with a hand-off between a digital channel and a human or physical one';
COMMENT ON COLUMN @hub@.omnichannel.omnichannel_share IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel.handoffs IS 'hand-offs of all of them';
COMMENT ON COLUMN @hub@.omnichannel.resolved IS
    'conversations that were resolved, for the first time, longer than repeat_within of settings ago';
COMMENT ON COLUMN @hub@.omnichannel.resolved_at_first_contact IS
    'those of them after which the customer neither wrote, in any channel, nor had a conversation reopened, within '
    'repeat_within';
COMMENT ON COLUMN @hub@.omnichannel.first_contact_resolution IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel.contacts IS
    'messages of customers that are part of no conversation, begin or reopen one, or come longer than repeat_within '
    'of settings after the one before in it; if none came in any channel within session_gap before';
COMMENT ON COLUMN @hub@.omnichannel.repeat_contacts IS
    'those of them at most repeat_within after the customer''s message before';
COMMENT ON COLUMN @hub@.omnichannel.repeat_contact_share IS 'share of contacts that are repeat contacts';
COMMENT ON COLUMN @hub@.omnichannel.repeat_contacts_per_customer IS
    'repeat contacts, divided by the customers with a contact';

CREATE OR REPLACE VIEW @hub@.omnichannel_monthly WITH (security_invoker = true) AS
SELECT o.period_start, o.customers, o.multichannel, o.multichannel_share, o.cross_channel, o.cross_channel_share,
       o.omnichannel, o.omnichannel_share, o.handoffs, o.resolved, o.resolved_at_first_contact,
       o.first_contact_resolution, o.contacts, o.repeat_contacts, o.repeat_contact_share, o.repeat_contacts_per_customer
FROM @hub@.omnichannel('month') o;
COMMENT ON VIEW @hub@.omnichannel_monthly IS
    'omnichannel by month in the time zone of settings. Customers of several months must not be added: who is in two '
    'is one customer';
COMMENT ON COLUMN @hub@.omnichannel_monthly.period_start IS 'first day of the month';
COMMENT ON COLUMN @hub@.omnichannel_monthly.customers IS
    'customers with a touchpoint of their own in the month: see own of timeline';
COMMENT ON COLUMN @hub@.omnichannel_monthly.multichannel IS
    'those of them with such touchpoints in two channels or more';
COMMENT ON COLUMN @hub@.omnichannel_monthly.multichannel_share IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel_monthly.cross_channel IS 'those with a hand-off';
COMMENT ON COLUMN @hub@.omnichannel_monthly.cross_channel_share IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel_monthly.omnichannel IS
    'those with a hand-off between a digital channel and a human or physical one';
COMMENT ON COLUMN @hub@.omnichannel_monthly.omnichannel_share IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel_monthly.handoffs IS 'hand-offs of all of them, in the month';
COMMENT ON COLUMN @hub@.omnichannel_monthly.resolved IS
    'conversations that were resolved, for the first time in the month, longer than repeat_within of settings ago';
COMMENT ON COLUMN @hub@.omnichannel_monthly.resolved_at_first_contact IS
    'those of them after which the customer neither wrote, in any channel, nor had a conversation reopened, within '
    'repeat_within';
COMMENT ON COLUMN @hub@.omnichannel_monthly.first_contact_resolution IS 'their share';
COMMENT ON COLUMN @hub@.omnichannel_monthly.contacts IS
    'messages of customers that are part of no conversation, begin or reopen one, or come longer than repeat_within '
    'of settings after the one before in it; if none came in any channel within session_gap before';
COMMENT ON COLUMN @hub@.omnichannel_monthly.repeat_contacts IS
    'those of them at most repeat_within after the customer''s message before';
COMMENT ON COLUMN @hub@.omnichannel_monthly.repeat_contact_share IS 'share of contacts that are repeat contacts';
COMMENT ON COLUMN @hub@.omnichannel_monthly.repeat_contacts_per_customer IS
    'repeat contacts, divided by the customers with a contact';
