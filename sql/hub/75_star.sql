-- What a star schema wants besides facts: a row a channel, an agent, a day. Customers are in customer_360.

CREATE OR REPLACE VIEW @hub@.dim_channels WITH (security_invoker = true) AS
SELECT c.channel, c.label, c.kind, c.ownership, c.service, true AS is_known FROM @hub@.channels c
UNION ALL
SELECT u.channel, u.channel, NULL, NULL, NULL, false
FROM (SELECT DISTINCT t.channel FROM @hub@.touchpoints t) u
WHERE NOT EXISTS (SELECT FROM @hub@.channels c WHERE c.channel = u.channel);
COMMENT ON VIEW @hub@.dim_channels IS
    'channels, those of touchpoints that channels doesn''t have, too: for star schemas';
COMMENT ON COLUMN @hub@.dim_channels.channel IS 'name, as in touchpoints';
COMMENT ON COLUMN @hub@.dim_channels.label IS 'name in the users'' language; the name, if it is not in channels';
COMMENT ON COLUMN @hub@.dim_channels.kind IS 'digital, human or physical; NULL: not in channels';
COMMENT ON COLUMN @hub@.dim_channels.ownership IS 'owned, paid or third party; NULL: not in channels';
COMMENT ON COLUMN @hub@.dim_channels.service IS 'self-service, assisted or automatic; NULL: not in channels';
COMMENT ON COLUMN @hub@.dim_channels.is_known IS 'whether it is in channels';

CREATE OR REPLACE VIEW @hub@.dim_agents WITH (security_invoker = true) AS
SELECT @hub@.agent_name(t.agent, t.source, (SELECT @hub@.agent_names())) AS agent,
       bool_or(@hub@.is_bot(t.agent, t.source, (SELECT @hub@.agent_bots()))) AS is_bot,
       sum(t.touchpoints)::bigint AS touchpoints,
       min(t.first_at) AS first_at, max(t.last_at) AS last_at
FROM (SELECT t.agent, t.source, count(*) AS touchpoints, min(t.occurred_at) AS first_at, max(t.occurred_at) AS last_at
      FROM @hub@.touchpoints t
      WHERE t.agent IS NOT NULL
      GROUP BY t.agent, t.source) t
GROUP BY 1;
COMMENT ON VIEW @hub@.dim_agents IS 'who of the company took part in touchpoints: for star schemas';
COMMENT ON COLUMN @hub@.dim_agents.agent IS 'name, as in other views';
COMMENT ON COLUMN @hub@.dim_agents.is_bot IS
    'whether it is a bot: by its row in agents, else because it is called bot, or bot: and its name';
COMMENT ON COLUMN @hub@.dim_agents.touchpoints IS 'in how many touchpoints';
COMMENT ON COLUMN @hub@.dim_agents.first_at IS 'time of the first of them';
COMMENT ON COLUMN @hub@.dim_agents.last_at IS 'time of the last of them';

-- Whole years, as tools want them that compare with a year ago. OFFSET 0: to who joins it, it is one relation.
CREATE OR REPLACE VIEW @hub@.dim_days WITH (security_invoker = true) AS
SELECT d.day, date_part('year', d.day)::integer AS year, date_part('quarter', d.day)::integer AS quarter,
       date_part('month', d.day)::integer AS month, date_part('day', d.day)::integer AS day_of_month,
       date_part('isoyear', d.day)::integer AS week_year, date_part('week', d.day)::integer AS week,
       date_part('isodow', d.day)::integer AS weekday,
       date_trunc('week', d.day::timestamp)::date AS week_start,
       date_trunc('month', d.day::timestamp)::date AS month_start,
       date_trunc('quarter', d.day::timestamp)::date AS quarter_start,
       date_trunc('year', d.day::timestamp)::date AS year_start,
       d.open_seconds > 0 AS is_open, d.open_seconds
FROM (SELECT g.day::date AS day,
             extract(epoch FROM @hub@.business_time(g.day AT TIME ZONE r.time_zone,
                                                    (g.day + interval '1 day') AT TIME ZONE r.time_zone))
                 AS open_seconds
      FROM (SELECT s.time_zone, min(@extschema@.journey_start(j.journey)) AT TIME ZONE s.time_zone AS first_at,
                   max(@extschema@.journey_end(j.journey)) AT TIME ZONE s.time_zone AS last_at
            FROM @hub@.settings s CROSS JOIN @hub@.home_journeys j
            GROUP BY s.time_zone) r
           CROSS JOIN LATERAL generate_series(date_trunc('year', r.first_at),
                                              date_trunc('year', r.last_at) + interval '1 year -1 day', '1 day') g(day)
      OFFSET 0) d;
COMMENT ON VIEW @hub@.dim_days IS
    'days of the years in which there are touchpoints, in the time zone of settings: for star schemas';
COMMENT ON COLUMN @hub@.dim_days.day IS 'the day, as local_day of other views';
COMMENT ON COLUMN @hub@.dim_days.year IS 'its year';
COMMENT ON COLUMN @hub@.dim_days.quarter IS 'its quarter, 1 to 4';
COMMENT ON COLUMN @hub@.dim_days.month IS 'its month, 1 to 12';
COMMENT ON COLUMN @hub@.dim_days.day_of_month IS 'day of the month, 1 to 31';
COMMENT ON COLUMN @hub@.dim_days.week_year IS 'year to which its week belongs, by ISO 8601';
COMMENT ON COLUMN @hub@.dim_days.week IS 'its week, 1 to 53, by ISO 8601: from Monday';
COMMENT ON COLUMN @hub@.dim_days.weekday IS '1: Monday, to 7: Sunday';
COMMENT ON COLUMN @hub@.dim_days.week_start IS 'first day of its week, as period_start of measures';
COMMENT ON COLUMN @hub@.dim_days.month_start IS 'first day of its month';
COMMENT ON COLUMN @hub@.dim_days.quarter_start IS 'first day of its quarter';
COMMENT ON COLUMN @hub@.dim_days.year_start IS 'first day of its year';
COMMENT ON COLUMN @hub@.dim_days.is_open IS 'whether any of it is within business hours';
COMMENT ON COLUMN @hub@.dim_days.open_seconds IS 'how many seconds of it are';
