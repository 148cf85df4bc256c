-- Where customers go: paths of their journeys, by period and for any set of customers.

-- A journey is cut at the borders of a period, so that flows of days add up to those of a range.
CREATE OR REPLACE FUNCTION @hub@.flows(
    period text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    by text DEFAULT 'channel', customers bigint[] DEFAULT NULL, options jsonb DEFAULT NULL, OUT period_start date,
    OUT flow @extschema@.flow)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_variable
DECLARE
    time_zone text := (SELECT s.time_zone FROM settings s);
    step interval;
    range tstzrange;
BEGIN
    period := check_period(period, since, until);
    IF by IS NULL OR by NOT IN ('channel', 'label', 'action', 'detail') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown item: %s', coalesce(quote_literal(by), 'NULL')),
            HINT = 'Use channel, label, action or detail.';
    END IF;
    -- a mistake in options is told before there is data
    flow := (SELECT flow_agg('{}'::@extschema@.journey, by, options));
    range := tstzrange(since, until);
    step := CASE period WHEN 'quarter' THEN '3 months' WHEN 'all' THEN NULL ELSE '1 ' || period END;
    IF step IS NULL AND since IS NULL AND until IS NULL AND customers IS NULL THEN
        RETURN QUERY SELECT NULL::date, flow_agg(b.block, by, options) FROM current_blocks b;
    ELSIF step IS NULL THEN
        RETURN QUERY
        SELECT NULL::date, flow_agg(journey_slice(j.journey, range), by, options)
        FROM current_journeys j WHERE customers IS NULL OR j.customer_id = ANY (customers);
    ELSE
        RETURN QUERY
        SELECT p.start, flow_agg(p.journey, by, options)
        FROM (SELECT g.at::date AS start,
                     journey_slice(j.journey, range * tstzrange(g.at AT TIME ZONE time_zone,
                                                                (g.at + step) AT TIME ZONE time_zone)) AS journey
              FROM home_journeys j
                   CROSS JOIN LATERAL generate_series(
                       date_trunc(period, greatest(journey_start(j.journey), since) AT TIME ZONE time_zone),
                       least(journey_end(j.journey), until) AT TIME ZONE time_zone, step) g(at)
              WHERE customers IS NULL OR j.customer_id = ANY (customers)) p
        WHERE journey_length(p.journey) > 0
        GROUP BY 1;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.flows(text, timestamptz, timestamptz, text, bigint[], jsonb) IS
    'paths of customers'' journeys, counted, by day, week, month, quarter, year or all, of touchpoints from one time'
    ' until before another; by channel, label, action or detail; customers: NULL for all; options as those of flow_agg';

CREATE OR REPLACE VIEW @hub@.flow_edges WITH (security_invoker = true) AS
SELECT e.step, e.source, e.target, e.journeys, e.touchpoints, e.median_time, e.p90_time,
       extract(epoch FROM e.median_time) AS median_seconds, extract(epoch FROM e.p90_time) AS p90_seconds
FROM @hub@.flows() f CROSS JOIN LATERAL @extschema@.flow_edges(f.flow, 8) e
WHERE e.step <= 6;
COMMENT ON VIEW @hub@.flow_edges IS
    'from which channel to which customers go, in their first steps: what a Sankey shows. The function flows has'
    ' periods, other items, customers and options';
COMMENT ON COLUMN @hub@.flow_edges.step IS 'step of the source, from 1';
COMMENT ON COLUMN @hub@.flow_edges.source IS 'step and channel; (other): not one of the eight most frequent';
COMMENT ON COLUMN @hub@.flow_edges.target IS 'next step and channel; (end): there is none';
COMMENT ON COLUMN @hub@.flow_edges.journeys IS 'journeys that go there';
COMMENT ON COLUMN @hub@.flow_edges.touchpoints IS 'their touchpoints at the source';
COMMENT ON COLUMN @hub@.flow_edges.median_time IS 'median time between the two steps';
COMMENT ON COLUMN @hub@.flow_edges.p90_time IS 'time that nine in ten do not exceed';
COMMENT ON COLUMN @hub@.flow_edges.median_seconds IS 'median_time in seconds';
COMMENT ON COLUMN @hub@.flow_edges.p90_seconds IS 'p90_time in seconds';

CREATE OR REPLACE VIEW @hub@.flow_transitions WITH (security_invoker = true) AS
SELECT t.source, t.target, t.times, t.journeys, t.mean_time, t.median_time, t.p90_time, t.min_time, t.max_time,
       extract(epoch FROM t.median_time) AS median_seconds, extract(epoch FROM t.p90_time) AS p90_seconds
FROM @hub@.flows() f CROSS JOIN LATERAL @extschema@.flow_transitions(f.flow) t;
COMMENT ON VIEW @hub@.flow_transitions IS 'which channel directly follows which in all journeys';
COMMENT ON COLUMN @hub@.flow_transitions.source IS 'the channel; NULL: journeys begin there';
COMMENT ON COLUMN @hub@.flow_transitions.target IS 'the one that follows; NULL: journeys end';
COMMENT ON COLUMN @hub@.flow_transitions.times IS 'how many times';
COMMENT ON COLUMN @hub@.flow_transitions.journeys IS 'in how many journeys';
COMMENT ON COLUMN @hub@.flow_transitions.mean_time IS 'mean time between the two';
COMMENT ON COLUMN @hub@.flow_transitions.median_time IS 'median time between the two';
COMMENT ON COLUMN @hub@.flow_transitions.p90_time IS 'time that nine in ten do not exceed';
COMMENT ON COLUMN @hub@.flow_transitions.min_time IS 'least time';
COMMENT ON COLUMN @hub@.flow_transitions.max_time IS 'greatest time';
COMMENT ON COLUMN @hub@.flow_transitions.median_seconds IS 'median_time in seconds';
COMMENT ON COLUMN @hub@.flow_transitions.p90_seconds IS 'p90_time in seconds';

CREATE OR REPLACE VIEW @hub@.flow_variants WITH (security_invoker = true) AS
SELECT v.path, v.journeys, v.share, v.cumulated_share, v.median_duration,
       extract(epoch FROM v.median_duration) AS median_seconds
FROM @hub@.flows() f CROSS JOIN LATERAL @extschema@.flow_variants(f.flow) v;
COMMENT ON VIEW @hub@.flow_variants IS 'whole paths through channels, most frequent first';
COMMENT ON COLUMN @hub@.flow_variants.path IS 'the channels, in order';
COMMENT ON COLUMN @hub@.flow_variants.journeys IS 'journeys that went so';
COMMENT ON COLUMN @hub@.flow_variants.share IS 'share of all journeys';
COMMENT ON COLUMN @hub@.flow_variants.cumulated_share IS 'share of them and of those before';
COMMENT ON COLUMN @hub@.flow_variants.median_duration IS 'median time from the first touchpoint to the last';
COMMENT ON COLUMN @hub@.flow_variants.median_seconds IS 'median_duration in seconds';
