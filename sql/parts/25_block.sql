-- journey_block: the journeys of many customers as one value, by column.

CREATE TYPE journey_block;

CREATE FUNCTION journey_block_in(cstring) RETURNS journey_block
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_block_out(journey_block) RETURNS cstring
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

-- STORAGE external, as journey's
CREATE TYPE journey_block (
    INPUT = journey_block_in,
    OUTPUT = journey_block_out,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external
);

-- read

CREATE FUNCTION unnest(journey_block, OUT customer bigint, OUT journey journey) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'journey_block_unnest' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 1000;

-- build

CREATE FUNCTION journey_block_agg_transfn(internal, bigint, journey) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_block_agg_combinefn(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_block_agg_serialfn(internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_block_agg_deserialfn(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_block_agg_finalfn(internal) RETURNS journey_block
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

-- SSPACE: some hundreds of journeys
CREATE AGGREGATE journey_block_agg(customer bigint, journey journey) (
    SFUNC = journey_block_agg_transfn, STYPE = internal, SSPACE = 65536,
    FINALFUNC = journey_block_agg_finalfn, COMBINEFUNC = journey_block_agg_combinefn,
    SERIALFUNC = journey_block_agg_serialfn, DESERIALFUNC = journey_block_agg_deserialfn,
    PARALLEL = SAFE
);

COMMENT ON TYPE journey_block IS 'journeys of many customers, packed by column: {customer: {touchpoint, ...}, ...}';
COMMENT ON FUNCTION journey_block_in(cstring) IS 'I/O';
COMMENT ON FUNCTION journey_block_out(journey_block) IS 'I/O';
COMMENT ON FUNCTION unnest(journey_block) IS 'customers and their journeys, in order of customers';
COMMENT ON FUNCTION journey_block_agg_transfn(internal, bigint, journey) IS 'transition of journey_block_agg';
COMMENT ON FUNCTION journey_block_agg_combinefn(internal, internal) IS
    'combination of partial states of journey_block_agg';
COMMENT ON FUNCTION journey_block_agg_serialfn(internal) IS 'serialisation of journey_block_agg''s state';
COMMENT ON FUNCTION journey_block_agg_deserialfn(bytea, internal) IS 'deserialisation of journey_block_agg''s state';
COMMENT ON FUNCTION journey_block_agg_finalfn(internal) IS 'result of journey_block_agg';
COMMENT ON AGGREGATE journey_block_agg(bigint, journey) IS
    'block of the journeys; those of one customer are put together';
