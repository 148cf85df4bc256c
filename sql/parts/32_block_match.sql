-- Patterns over the journeys of a block.

-- COST: some 30 us for a block of 1,000 journeys; a set of a tenth of them
CREATE FUNCTION journey_block_match(journey_block, journey_pattern) RETURNS bigint[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20000;
CREATE FUNCTION journey_block_count(journey_block, journey_pattern, OUT customer bigint, OUT matches bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20000 ROWS 100;
CREATE FUNCTION journey_block_reached(journey_block, journey_pattern) RETURNS bigint[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20000;

COMMENT ON FUNCTION journey_block_match(journey_block, journey_pattern) IS
    'customers of the block whose journey matches, ascending';
COMMENT ON FUNCTION journey_block_count(journey_block, journey_pattern) IS
    'customers of the block whose journey matches, ascending, and how many matches it has that do not overlap';
COMMENT ON FUNCTION journey_block_reached(journey_block, journey_pattern) IS
    'of each item of the pattern, how many journeys of the block reach it or a later one';
