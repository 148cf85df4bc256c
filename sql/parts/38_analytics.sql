-- Over journeys: who comes back, who is lost, where time goes, which step tells more.

-- COST: some 0.3 us for a journey of 20 touchpoints
CREATE FUNCTION journey_retention(journey, start_step journey_pattern, return_step journey_pattern, unit text, time_zone text,
                                  OUT cohort date, OUT bracket integer)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 5;
CREATE FUNCTION journey_lifecycle(journey, step journey_pattern, unit text, time_zone text, until timestamptz DEFAULT 'infinity',
                                  OUT period date, OUT state text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 10;
CREATE FUNCTION journey_time_in(journey, by text DEFAULT 'channel', OUT state text, OUT stays bigint, OUT time_spent interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 3;
CREATE FUNCTION journey_item(journey, journey_pattern, n integer) RETURNS touchpoint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION journey_split(journey, journey_pattern) RETURNS SETOF journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 2;

COMMENT ON FUNCTION journey_retention(journey, journey_pattern, journey_pattern, text, text) IS 'in which days, weeks or months after the one of its first start the journey returns; 0 always';
COMMENT ON FUNCTION journey_lifecycle(journey, journey_pattern, text, text, timestamptz) IS 'days, weeks or months in which the journey is new, returning, resurrecting or dormant';
COMMENT ON FUNCTION journey_time_in(journey, text) IS 'stays in each channel, action or label, and the time until the next touchpoint spent in them';
COMMENT ON FUNCTION journey_item(journey, journey_pattern, integer) IS 'touchpoint that completes the n-th item of the pattern in the partial match that reaches most, from the last item reached where n is negative';
COMMENT ON FUNCTION journey_split(journey, journey_pattern) IS 'parts of the journey, cut behind each match; matches do not overlap';
