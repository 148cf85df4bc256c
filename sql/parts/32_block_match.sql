-- Patterns over the journeys of a block.

-- COST: that of some 1000 journeys
CREATE FUNCTION journey_block_match(journey_block, journey_pattern) RETURNS bigint[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50000;
CREATE FUNCTION journey_block_count(journey_block, journey_pattern, OUT customer bigint, OUT matches bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50000 ROWS 100;
CREATE FUNCTION journey_block_reached(journey_block, journey_pattern) RETURNS bigint[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50000;

COMMENT ON FUNCTION journey_block_match(journey_block, journey_pattern) IS
    'customers of the block whose journey matches, ascending';
COMMENT ON FUNCTION journey_block_count(journey_block, journey_pattern) IS
    'customers of the block whose journey matches, ascending, and how many matches that do not overlap it has';
COMMENT ON FUNCTION journey_block_reached(journey_block, journey_pattern) IS
    'for each item of the pattern, how many journeys of the block reach it or a later one';
