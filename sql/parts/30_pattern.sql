-- journey_pattern: which touchpoints, in which order, how far apart, and what
-- must not happen between.

CREATE TYPE journey_pattern;

CREATE FUNCTION journey_pattern_in(cstring) RETURNS journey_pattern
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_out(journey_pattern) RETURNS cstring
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_recv(internal) RETURNS journey_pattern
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_send(journey_pattern) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE journey_pattern (
    INPUT = journey_pattern_in,
    OUTPUT = journey_pattern_out,
    RECEIVE = journey_pattern_recv,
    SEND = journey_pattern_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);

CREATE FUNCTION journey_pattern_lt(journey_pattern, journey_pattern) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_le(journey_pattern, journey_pattern) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_eq(journey_pattern, journey_pattern) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_ne(journey_pattern, journey_pattern) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_ge(journey_pattern, journey_pattern) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_gt(journey_pattern, journey_pattern) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_cmp(journey_pattern, journey_pattern) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_hash(journey_pattern) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_pattern_hash_extended(journey_pattern, bigint) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
    LEFTARG = journey_pattern, RIGHTARG = journey_pattern, PROCEDURE = journey_pattern_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    LEFTARG = journey_pattern, RIGHTARG = journey_pattern, PROCEDURE = journey_pattern_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    LEFTARG = journey_pattern, RIGHTARG = journey_pattern, PROCEDURE = journey_pattern_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR <> (
    LEFTARG = journey_pattern, RIGHTARG = journey_pattern, PROCEDURE = journey_pattern_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR >= (
    LEFTARG = journey_pattern, RIGHTARG = journey_pattern, PROCEDURE = journey_pattern_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    LEFTARG = journey_pattern, RIGHTARG = journey_pattern, PROCEDURE = journey_pattern_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS journey_pattern_ops DEFAULT FOR TYPE journey_pattern USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 journey_pattern_cmp(journey_pattern, journey_pattern),
    FUNCTION 4 btequalimage(oid);
CREATE OPERATOR CLASS journey_pattern_ops DEFAULT FOR TYPE journey_pattern USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 journey_pattern_hash(journey_pattern),
    FUNCTION 2 journey_pattern_hash_extended(journey_pattern, bigint);

-- COST: some 0.3 us for a journey of 20 touchpoints
CREATE FUNCTION journey_matches(journey, journey_pattern) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 SUPPORT journey_support;
CREATE FUNCTION journey_matches(journey_pattern, journey) RETURNS boolean
AS 'MODULE_PATHNAME', 'journey_pattern_matches' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50
SUPPORT journey_support;
CREATE OPERATOR ~ (
    LEFTARG = journey, RIGHTARG = journey_pattern, PROCEDURE = journey_matches,
    COMMUTATOR = ~, RESTRICT = journey_sel, JOIN = contjoinsel
);
CREATE OPERATOR ~ (
    LEFTARG = journey_pattern, RIGHTARG = journey, PROCEDURE = journey_matches,
    COMMUTATOR = ~, RESTRICT = journey_sel, JOIN = contjoinsel
);
CREATE FUNCTION journey_match(journey, journey_pattern) RETURNS journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION journey_match_all(journey, journey_pattern) RETURNS SETOF journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 5;
CREATE FUNCTION journey_match_count(journey, journey_pattern) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION journey_reached(journey, journey_pattern) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION journey_progress(journey, journey_pattern) RETURNS journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION journey_filter(journey, journey_pattern) RETURNS journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION journey_last_time(journey, journey_pattern) RETURNS timestamptz
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION journey_pattern_concerns(journey_pattern, journey) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;

COMMENT ON TYPE journey_pattern IS 'a pattern that journeys may match: web.view -[<= 7 days]-> store.purchase';
COMMENT ON FUNCTION journey_pattern_in(cstring) IS 'I/O';
COMMENT ON FUNCTION journey_pattern_out(journey_pattern) IS 'I/O';
COMMENT ON FUNCTION journey_pattern_recv(internal) IS 'I/O';
COMMENT ON FUNCTION journey_pattern_send(journey_pattern) IS 'I/O';
COMMENT ON FUNCTION journey_pattern_lt(journey_pattern, journey_pattern) IS 'implementation of < operator';
COMMENT ON FUNCTION journey_pattern_le(journey_pattern, journey_pattern) IS 'implementation of <= operator';
COMMENT ON FUNCTION journey_pattern_eq(journey_pattern, journey_pattern) IS 'implementation of = operator';
COMMENT ON FUNCTION journey_pattern_ne(journey_pattern, journey_pattern) IS 'implementation of <> operator';
COMMENT ON FUNCTION journey_pattern_ge(journey_pattern, journey_pattern) IS 'implementation of >= operator';
COMMENT ON FUNCTION journey_pattern_gt(journey_pattern, journey_pattern) IS 'implementation of > operator';
COMMENT ON FUNCTION journey_pattern_cmp(journey_pattern, journey_pattern) IS 'total order: that of the text, bytewise';
COMMENT ON FUNCTION journey_pattern_hash(journey_pattern) IS 'hash';
COMMENT ON FUNCTION journey_pattern_hash_extended(journey_pattern, bigint) IS 'hash, 64 bits, seeded';
COMMENT ON FUNCTION journey_matches(journey, journey_pattern) IS 'does the journey match? implementation of ~ operator';
COMMENT ON FUNCTION journey_matches(journey_pattern, journey) IS 'does the journey match? implementation of ~ operator';
COMMENT ON FUNCTION journey_match(journey, journey_pattern) IS
    'touchpoints of the match that ends first and starts last, NULL if there is none';
COMMENT ON FUNCTION journey_match_all(journey, journey_pattern) IS 'touchpoints of each match; matches do not overlap';
COMMENT ON FUNCTION journey_match_count(journey, journey_pattern) IS 'number of matches that do not overlap';
COMMENT ON FUNCTION journey_reached(journey, journey_pattern) IS
    'how many items of the pattern the journey reaches in order';
COMMENT ON FUNCTION journey_progress(journey, journey_pattern) IS
    'touchpoints of the partial match that reaches most items';
COMMENT ON FUNCTION journey_filter(journey, journey_pattern) IS 'touchpoints that match a pattern of one step';
COMMENT ON FUNCTION journey_last_time(journey, journey_pattern) IS
    'time of the last touchpoint that matches a pattern of one step, NULL if none does';
COMMENT ON FUNCTION journey_pattern_concerns(journey_pattern, journey) IS
    'may these touchpoints, among others of a journey, change how it matches?';
COMMENT ON OPERATOR < (journey_pattern, journey_pattern) IS 'less than';
COMMENT ON OPERATOR <= (journey_pattern, journey_pattern) IS 'less than or equal';
COMMENT ON OPERATOR = (journey_pattern, journey_pattern) IS 'equal';
COMMENT ON OPERATOR <> (journey_pattern, journey_pattern) IS 'not equal';
COMMENT ON OPERATOR >= (journey_pattern, journey_pattern) IS 'greater than or equal';
COMMENT ON OPERATOR > (journey_pattern, journey_pattern) IS 'greater than';
COMMENT ON OPERATOR ~ (journey, journey_pattern) IS 'matches';
COMMENT ON OPERATOR ~ (journey_pattern, journey) IS 'is matched by';

-- How far journeys get, step by step.

CREATE TYPE funnel_step AS (
    step integer,
    label text,
    reached bigint,
    conversion_first double precision,
    conversion_previous double precision,
    median_time interval,
    p90_time interval
);

CREATE FUNCTION journey_funnel_agg_transfn(bytea, journey, journey_pattern) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION journey_funnel_agg_combinefn(bytea, bytea) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_funnel_agg_finalfn(bytea) RETURNS funnel_step[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
-- STYPE: not internal, so that partial states can come from anywhere
CREATE AGGREGATE journey_funnel_agg(journey, journey_pattern) (
    SFUNC = journey_funnel_agg_transfn, STYPE = bytea, SSPACE = 1000,
    COMBINEFUNC = journey_funnel_agg_combinefn, FINALFUNC = journey_funnel_agg_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    PARALLEL = SAFE
);

-- Of blocks, with the same states. COST: that of some 1000 journeys
CREATE FUNCTION journey_funnel_agg_transfn(bytea, journey_block, journey_pattern) RETURNS bytea
AS 'MODULE_PATHNAME', 'journey_funnel_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50000;
CREATE AGGREGATE journey_funnel_agg(journey_block, journey_pattern) (
    SFUNC = journey_funnel_agg_transfn, STYPE = bytea, SSPACE = 1000,
    COMBINEFUNC = journey_funnel_agg_combinefn, FINALFUNC = journey_funnel_agg_finalfn, FINALFUNC_MODIFY = READ_ONLY,
    PARALLEL = SAFE
);

-- In two steps: what several servers, or partitions, have counted, which is kilobytes, and all of it together
CREATE AGGREGATE journey_funnel_partial(journey, journey_pattern) (
    SFUNC = journey_funnel_agg_transfn, STYPE = bytea, SSPACE = 1000, COMBINEFUNC = journey_funnel_agg_combinefn,
    PARALLEL = SAFE
);
CREATE AGGREGATE journey_funnel_partial(journey_block, journey_pattern) (
    SFUNC = journey_funnel_agg_transfn, STYPE = bytea, SSPACE = 1000, COMBINEFUNC = journey_funnel_agg_combinefn,
    PARALLEL = SAFE
);
CREATE AGGREGATE journey_funnel_merge(partial bytea) (
    SFUNC = journey_funnel_agg_combinefn, STYPE = bytea, SSPACE = 1000, COMBINEFUNC = journey_funnel_agg_combinefn,
    FINALFUNC = journey_funnel_agg_finalfn, FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

COMMENT ON AGGREGATE journey_funnel_partial(journey, journey_pattern) IS
    'what journey_funnel_merge makes the result of journey_funnel_agg from: of some of the journeys';
COMMENT ON AGGREGATE journey_funnel_partial(journey_block, journey_pattern) IS
    'journey_funnel_partial over the journeys of blocks';
COMMENT ON AGGREGATE journey_funnel_merge(bytea) IS
    'the result of journey_funnel_agg over all journeys that results of journey_funnel_partial are of';
COMMENT ON TYPE funnel_step IS 'how many journeys reach a step of a funnel, and in what time from the step before';
COMMENT ON FUNCTION journey_funnel_agg_transfn(bytea, journey, journey_pattern) IS 'transition of journey_funnel_agg';
COMMENT ON FUNCTION journey_funnel_agg_combinefn(bytea, bytea) IS 'combination of partial states of journey_funnel_agg';
COMMENT ON FUNCTION journey_funnel_agg_finalfn(bytea) IS 'result of journey_funnel_agg';
COMMENT ON AGGREGATE journey_funnel_agg(journey, journey_pattern) IS
    'how many journeys reach each item of the pattern, and in what time from the one before (within 1 %)';
COMMENT ON FUNCTION journey_funnel_agg_transfn(bytea, journey_block, journey_pattern) IS
    'transition of journey_funnel_agg over blocks';
COMMENT ON AGGREGATE journey_funnel_agg(journey_block, journey_pattern) IS
    'journey_funnel_agg over the journeys of blocks';
