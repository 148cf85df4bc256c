-- What measures by period have in common.

-- In a transaction that sees none of a hub's rows, too, so that a mistake is told before there is data.
CREATE OR REPLACE FUNCTION @hub@.check_period(period text, since timestamptz, until timestamptz) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    IF coalesce(period, 'all') NOT IN ('day', 'week', 'month', 'quarter', 'year', 'all') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown period: "%s"', period),
            HINT = 'Use day, week, month, quarter, year or all.';
    ELSIF since > until THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the range ends before it begins: from %s until %s', since, until),
            HINT = 'Give the earlier time first.';
    END IF;
    RETURN coalesce(period, 'all');
END $$;
COMMENT ON FUNCTION @hub@.check_period(text, timestamptz, timestamptz) IS
    'the period, all if it is NULL; an error if it is unknown, or the range ends before it begins';

-- Becomes part of the query that calls it.
CREATE OR REPLACE FUNCTION @hub@.period_start(at timestamptz, period text, time_zone text) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN period_start.period <> 'all'
            THEN date_trunc(period_start.period, period_start.at AT TIME ZONE period_start.time_zone)::date END;
COMMENT ON FUNCTION @hub@.period_start(timestamptz, text, text) IS
    'first day of the day, week (from Monday), month, quarter or year in which a time lies; NULL: of all';

CREATE OR REPLACE FUNCTION @hub@.not_own_actions() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN coalesce((SELECT array_agg(a.action ORDER BY a.action COLLATE "C") FROM actions a
                     WHERE a.means <> 'asks_and_resolves'), '{}');
END $$;
COMMENT ON FUNCTION @hub@.not_own_actions() IS 'actions of touchpoints that are never the customer''s own: see actions';
