-- Time within hours of opening.

-- COST: some 0.3 us for a few days
CREATE FUNCTION business_time("from" timestamptz, "to" timestamptz, hours jsonb) RETURNS interval
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;

COMMENT ON FUNCTION business_time(timestamptz, timestamptz, jsonb) IS
    'how much of the time between is within hours like {"time_zone": "Europe/Lisbon", '
    '"hours": [[1, "09:00", "18:00"]], "exceptions": [["2025-12-25"], ["2025-12-24", "09:00", "13:00"]]}; '
    'all of it if there are neither hours nor exceptions';
