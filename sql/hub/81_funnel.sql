-- How far customers get in a pattern, by the period in which their attempts begin.

CREATE OR REPLACE FUNCTION @hub@.funnel(pattern @extschema@.journey_pattern, period text DEFAULT NULL,
                                        since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
                                        breakdown text DEFAULT NULL, among bigint[] DEFAULT NULL,
                                        OUT period_start date, OUT breakdown_value text, OUT step integer,
                                        OUT item text, OUT customers bigint,
                                        OUT share numeric, OUT share_of_previous numeric,
                                        OUT median_time interval, OUT p90_time interval,
                                        OUT median_seconds numeric, OUT p90_seconds numeric)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    time_zone text := (SELECT s.time_zone FROM settings s);
    steps @extschema@.funnel_period_step[];
BEGIN
    period := check_period(period, since, until);
    IF breakdown NOT IN ('channel', 'action', 'detail', 'label') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown breakdown: "%s"', breakdown),
            HINT = 'Use channel, action, detail or label, or NULL for none.';
    END IF;
    -- not SELECT INTO, which would keep workers out
    IF among IS NULL THEN
        steps := (SELECT journey_funnel_agg(b.block, pattern, period, time_zone, since, until, breakdown)
                  FROM current_blocks b);
    ELSE
        steps := (SELECT journey_funnel_agg(b.block, pattern, period, time_zone, since, until, breakdown)
                  FROM blocks_among(among) b(block));
    END IF;
    RETURN QUERY
    SELECT f.period_start, f.breakdown, f.step, f.label, f.reached, round(f.conversion_first::numeric, 4),
           round(f.conversion_previous::numeric, 4), f.median_time, f.p90_time,
           extract(epoch FROM f.median_time), extract(epoch FROM f.p90_time)
    FROM unnest(steps) f
    ORDER BY f.period_start, f.breakdown COLLATE "C" NULLS FIRST, f.step;
END $$;
COMMENT ON FUNCTION @hub@.funnel(@extschema@.journey_pattern, text, timestamptz, timestamptz, text, bigint[]) IS
    'how many customers reach each item of a pattern, counted in the period in which the attempt begins and followed to'
    ' its end; period: day, week, month, quarter, year or all; breakdown by channel, action, detail or label of its'
    ' first touchpoint; among these customers, NULL: all';
