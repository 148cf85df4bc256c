-- Which labels there are, how often, and of how many customers.

CREATE TYPE label_count AS (
    period_start date,
    channel text,
    action text,
    detail text,
    touchpoints bigint,
    customers bigint
);

CREATE FUNCTION journey_label_agg_transfn(internal, journey) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
-- COST: of some 1000 journeys
CREATE FUNCTION journey_label_agg_transfn(internal, journey_block) RETURNS internal
AS 'MODULE_PATHNAME', 'journey_label_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5000;
CREATE FUNCTION journey_label_agg_transfn(internal, journey, part text) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
CREATE FUNCTION journey_label_agg_transfn(internal, journey_block, part text) RETURNS internal
AS 'MODULE_PATHNAME', 'journey_label_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5000;
CREATE FUNCTION journey_label_agg_transfn(internal, journey, part text, period text, time_zone text, since timestamptz,
                                          until timestamptz) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION journey_label_agg_transfn(internal, journey_block, part text, period text, time_zone text,
                                          since timestamptz, until timestamptz) RETURNS internal
AS 'MODULE_PATHNAME', 'journey_label_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10000;
CREATE FUNCTION journey_label_agg_combinefn(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_label_agg_serialfn(internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_label_agg_deserialfn(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_label_agg_finalfn(internal) RETURNS label_count[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE journey_label_agg(journey) (
    SFUNC = journey_label_agg_transfn, STYPE = internal, SSPACE = 20000,
    COMBINEFUNC = journey_label_agg_combinefn, SERIALFUNC = journey_label_agg_serialfn,
    DESERIALFUNC = journey_label_agg_deserialfn, FINALFUNC = journey_label_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE journey_label_agg(journey_block) (
    SFUNC = journey_label_agg_transfn, STYPE = internal, SSPACE = 20000,
    COMBINEFUNC = journey_label_agg_combinefn, SERIALFUNC = journey_label_agg_serialfn,
    DESERIALFUNC = journey_label_agg_deserialfn, FINALFUNC = journey_label_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE journey_label_agg(journey, part text) (
    SFUNC = journey_label_agg_transfn, STYPE = internal, SSPACE = 20000,
    COMBINEFUNC = journey_label_agg_combinefn, SERIALFUNC = journey_label_agg_serialfn,
    DESERIALFUNC = journey_label_agg_deserialfn, FINALFUNC = journey_label_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE journey_label_agg(journey_block, part text) (
    SFUNC = journey_label_agg_transfn, STYPE = internal, SSPACE = 20000,
    COMBINEFUNC = journey_label_agg_combinefn, SERIALFUNC = journey_label_agg_serialfn,
    DESERIALFUNC = journey_label_agg_deserialfn, FINALFUNC = journey_label_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

CREATE AGGREGATE journey_label_agg(journey, part text, period text, time_zone text, since timestamptz,
                                   until timestamptz) (
    SFUNC = journey_label_agg_transfn, STYPE = internal, SSPACE = 20000,
    COMBINEFUNC = journey_label_agg_combinefn, SERIALFUNC = journey_label_agg_serialfn,
    DESERIALFUNC = journey_label_agg_deserialfn, FINALFUNC = journey_label_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE journey_label_agg(journey_block, part text, period text, time_zone text, since timestamptz,
                                   until timestamptz) (
    SFUNC = journey_label_agg_transfn, STYPE = internal, SSPACE = 20000,
    COMBINEFUNC = journey_label_agg_combinefn, SERIALFUNC = journey_label_agg_serialfn,
    DESERIALFUNC = journey_label_agg_deserialfn, FINALFUNC = journey_label_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
COMMENT ON TYPE label_count IS
    'how many touchpoints have a label or a part of one, and how many customers have such a touchpoint';
COMMENT ON FUNCTION journey_label_agg_transfn(internal, journey) IS 'transition of journey_label_agg';
COMMENT ON FUNCTION journey_label_agg_transfn(internal, journey_block) IS 'transition of journey_label_agg';
COMMENT ON FUNCTION journey_label_agg_transfn(internal, journey, text) IS 'transition of journey_label_agg';
COMMENT ON FUNCTION journey_label_agg_transfn(internal, journey_block, text) IS 'transition of journey_label_agg';
COMMENT ON FUNCTION journey_label_agg_transfn(internal, journey, text, text, text, timestamptz, timestamptz) IS
    'transition of journey_label_agg';
COMMENT ON FUNCTION journey_label_agg_transfn(internal, journey_block, text, text, text, timestamptz, timestamptz) IS
    'transition of journey_label_agg';
COMMENT ON FUNCTION journey_label_agg_combinefn(internal, internal) IS
    'combination of partial states of journey_label_agg';
COMMENT ON FUNCTION journey_label_agg_serialfn(internal) IS 'serialisation of journey_label_agg''s state';
COMMENT ON FUNCTION journey_label_agg_deserialfn(bytea, internal) IS 'deserialisation of journey_label_agg''s state';
COMMENT ON FUNCTION journey_label_agg_finalfn(internal) IS 'result of journey_label_agg';
COMMENT ON AGGREGATE journey_label_agg(journey) IS
    'for each label, in order, how many touchpoints have it, and how many journeys have such a touchpoint';
COMMENT ON AGGREGATE journey_label_agg(journey_block) IS
    'for each label in blocks, in order, how many touchpoints have it, and how many journeys have such a touchpoint';
COMMENT ON AGGREGATE journey_label_agg(journey, text) IS
    'for each channel, action, detail (NULL: none) or label, how many touchpoints have it, and how many journeys;'
    ' of all touchpoints one row';
COMMENT ON AGGREGATE journey_label_agg(journey_block, text) IS
    'for each channel, action, detail (NULL: none) or label, how many touchpoints have it, and how many journeys;'
    ' of all touchpoints one row';
COMMENT ON AGGREGATE journey_label_agg(journey, text, text, text, timestamptz, timestamptz) IS
    'the same of touchpoints in [since, until), by day, week, month, quarter, year or all; a journey counts in each'
    ' period in which it has such a touchpoint';
COMMENT ON AGGREGATE journey_label_agg(journey_block, text, text, text, timestamptz, timestamptz) IS
    'the same of touchpoints in [since, until), by day, week, month, quarter, year or all; a journey counts in each'
    ' period in which it has such a touchpoint';

-- How long journeys are.

CREATE TYPE length_count AS (
    touchpoints bigint,
    customers bigint
);

CREATE FUNCTION journey_length_agg_transfn(internal, journey) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
-- COST: of some 1000 journeys
CREATE FUNCTION journey_length_agg_transfn(internal, journey_block) RETURNS internal
AS 'MODULE_PATHNAME', 'journey_length_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 1000;
CREATE FUNCTION journey_length_agg_combinefn(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_length_agg_serialfn(internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_length_agg_deserialfn(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_length_agg_finalfn(internal) RETURNS length_count[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE journey_length_agg(journey) (
    SFUNC = journey_length_agg_transfn, STYPE = internal, SSPACE = 1000,
    COMBINEFUNC = journey_length_agg_combinefn, SERIALFUNC = journey_length_agg_serialfn,
    DESERIALFUNC = journey_length_agg_deserialfn, FINALFUNC = journey_length_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE journey_length_agg(journey_block) (
    SFUNC = journey_length_agg_transfn, STYPE = internal, SSPACE = 1000,
    COMBINEFUNC = journey_length_agg_combinefn, SERIALFUNC = journey_length_agg_serialfn,
    DESERIALFUNC = journey_length_agg_deserialfn, FINALFUNC = journey_length_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

COMMENT ON TYPE length_count IS 'how many customers have journeys of so many touchpoints';
COMMENT ON FUNCTION journey_length_agg_transfn(internal, journey) IS 'transition of journey_length_agg';
COMMENT ON FUNCTION journey_length_agg_transfn(internal, journey_block) IS 'transition of journey_length_agg';
COMMENT ON FUNCTION journey_length_agg_combinefn(internal, internal) IS
    'combination of partial states of journey_length_agg';
COMMENT ON FUNCTION journey_length_agg_serialfn(internal) IS 'serialisation of journey_length_agg''s state';
COMMENT ON FUNCTION journey_length_agg_deserialfn(bytea, internal) IS 'deserialisation of journey_length_agg''s state';
COMMENT ON FUNCTION journey_length_agg_finalfn(internal) IS 'result of journey_length_agg';
COMMENT ON AGGREGATE journey_length_agg(journey) IS
    'for each number of touchpoints, in order, how many journeys have so many';
COMMENT ON AGGREGATE journey_length_agg(journey_block) IS
    'for each number of touchpoints, in order, how many journeys in blocks have so many';

-- How journeys begin.

CREATE TYPE path_count AS (
    path text[],
    customers bigint
);

CREATE FUNCTION journey_path_agg_transfn(internal, journey, part text, length integer) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
-- COST: of some 1000 journeys
CREATE FUNCTION journey_path_agg_transfn(internal, journey_block, part text, length integer) RETURNS internal
AS 'MODULE_PATHNAME', 'journey_path_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5000;
CREATE FUNCTION journey_path_agg_combinefn(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_path_agg_serialfn(internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_path_agg_deserialfn(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_path_agg_finalfn(internal) RETURNS path_count[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE journey_path_agg(journey, part text, length integer) (
    SFUNC = journey_path_agg_transfn, STYPE = internal, SSPACE = 20000,
    COMBINEFUNC = journey_path_agg_combinefn, SERIALFUNC = journey_path_agg_serialfn,
    DESERIALFUNC = journey_path_agg_deserialfn, FINALFUNC = journey_path_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE journey_path_agg(journey_block, part text, length integer) (
    SFUNC = journey_path_agg_transfn, STYPE = internal, SSPACE = 20000,
    COMBINEFUNC = journey_path_agg_combinefn, SERIALFUNC = journey_path_agg_serialfn,
    DESERIALFUNC = journey_path_agg_deserialfn, FINALFUNC = journey_path_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

COMMENT ON TYPE path_count IS 'how many customers have journeys that begin so';
COMMENT ON FUNCTION journey_path_agg_transfn(internal, journey, text, integer) IS 'transition of journey_path_agg';
COMMENT ON FUNCTION journey_path_agg_transfn(internal, journey_block, text, integer) IS
    'transition of journey_path_agg';
COMMENT ON FUNCTION journey_path_agg_combinefn(internal, internal) IS
    'combination of partial states of journey_path_agg';
COMMENT ON FUNCTION journey_path_agg_serialfn(internal) IS 'serialisation of journey_path_agg''s state';
COMMENT ON FUNCTION journey_path_agg_deserialfn(bytea, internal) IS 'deserialisation of journey_path_agg''s state';
COMMENT ON FUNCTION journey_path_agg_finalfn(internal) IS 'result of journey_path_agg';
COMMENT ON AGGREGATE journey_path_agg(journey, text, integer) IS
    'for each path of the first labels, channels, actions or details, as journey_path has them, how many journeys'
    ' begin with it; at most so many long, NULL: whole paths; shorter paths first';
COMMENT ON AGGREGATE journey_path_agg(journey_block, text, integer) IS
    'for each path of the first labels, channels, actions or details, as journey_path has them, how many journeys in'
    ' blocks begin with it; at most so many long, NULL: whole paths; shorter paths first';
