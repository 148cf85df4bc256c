-- journey_block: the journeys of many customers as one value, by column.

CREATE TYPE journey_block;

CREATE FUNCTION journey_block_in(cstring) RETURNS journey_block
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_block_out(journey_block) RETURNS cstring
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION journey_block_recv(internal) RETURNS journey_block
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_block_send(journey_block) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

-- STORAGE external, as journey's
CREATE TYPE journey_block (
    INPUT = journey_block_in,
    OUTPUT = journey_block_out,
    RECEIVE = journey_block_recv,
    SEND = journey_block_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external,
    CATEGORY = 'J'
);

-- read

CREATE FUNCTION journey_block_length(journey_block) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_block_touchpoints(journey_block) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_block_customers(journey_block) RETURNS bigint[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION unnest(journey_block, OUT customer bigint, OUT journey journey) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'journey_block_unnest' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 800;

-- change

CREATE FUNCTION journey_block_merge(journey_block, journey_block) RETURNS journey_block
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE OPERATOR || (LEFTARG = journey_block, RIGHTARG = journey_block, PROCEDURE = journey_block_merge);
CREATE FUNCTION journey_block_without(journey_block, customers bigint[]) RETURNS journey_block
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION journey_block_split(journey_block, bytes integer) RETURNS SETOF journey_block
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 5;

-- compare

CREATE FUNCTION journey_block_lt(journey_block, journey_block) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
CREATE FUNCTION journey_block_le(journey_block, journey_block) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
CREATE FUNCTION journey_block_eq(journey_block, journey_block) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
CREATE FUNCTION journey_block_ne(journey_block, journey_block) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
CREATE FUNCTION journey_block_ge(journey_block, journey_block) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
CREATE FUNCTION journey_block_gt(journey_block, journey_block) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
CREATE FUNCTION journey_block_cmp(journey_block, journey_block) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
CREATE FUNCTION journey_block_hash(journey_block) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION journey_block_hash_extended(journey_block, bigint) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;

CREATE OPERATOR < (
    LEFTARG = journey_block, RIGHTARG = journey_block, PROCEDURE = journey_block_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    LEFTARG = journey_block, RIGHTARG = journey_block, PROCEDURE = journey_block_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    LEFTARG = journey_block, RIGHTARG = journey_block, PROCEDURE = journey_block_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR <> (
    LEFTARG = journey_block, RIGHTARG = journey_block, PROCEDURE = journey_block_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR >= (
    LEFTARG = journey_block, RIGHTARG = journey_block, PROCEDURE = journey_block_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    LEFTARG = journey_block, RIGHTARG = journey_block, PROCEDURE = journey_block_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS journey_block_ops DEFAULT FOR TYPE journey_block USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 journey_block_cmp(journey_block, journey_block);
CREATE OPERATOR CLASS journey_block_ops DEFAULT FOR TYPE journey_block USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 journey_block_hash(journey_block),
    FUNCTION 2 journey_block_hash_extended(journey_block, bigint);

CREATE FUNCTION journey_block_to_json(journey_block) RETURNS json
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION journey_block_to_jsonb(journey_block) RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE CAST (journey_block AS json) WITH FUNCTION journey_block_to_json(journey_block);
CREATE CAST (journey_block AS jsonb) WITH FUNCTION journey_block_to_jsonb(journey_block);

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

-- SSPACE: a few journeys, because the planner takes groups like customer / 1000 for as many as customers
CREATE AGGREGATE journey_block_agg(customer bigint, journey journey) (
    SFUNC = journey_block_agg_transfn, STYPE = internal, SSPACE = 1024,
    FINALFUNC = journey_block_agg_finalfn, COMBINEFUNC = journey_block_agg_combinefn,
    SERIALFUNC = journey_block_agg_serialfn, DESERIALFUNC = journey_block_agg_deserialfn,
    PARALLEL = SAFE
);

COMMENT ON TYPE journey_block IS 'journeys of many customers, packed by column: {customer: {touchpoint, ...}, ...}';
COMMENT ON FUNCTION journey_block_in(cstring) IS 'I/O';
COMMENT ON FUNCTION journey_block_out(journey_block) IS 'I/O';
COMMENT ON FUNCTION journey_block_recv(internal) IS 'I/O';
COMMENT ON FUNCTION journey_block_send(journey_block) IS 'I/O';
COMMENT ON FUNCTION journey_block_length(journey_block) IS 'number of journeys';
COMMENT ON FUNCTION journey_block_touchpoints(journey_block) IS 'number of touchpoints in all its journeys';
COMMENT ON FUNCTION journey_block_customers(journey_block) IS 'customers, ascending';
COMMENT ON FUNCTION unnest(journey_block) IS 'customers and their journeys, in order of customers';
COMMENT ON FUNCTION journey_block_merge(journey_block, journey_block) IS
    'customers of both blocks; who is in both has the journey of the second; implementation of || operator';
COMMENT ON FUNCTION journey_block_without(journey_block, bigint[]) IS
    'block without these customers; NULL elements and customers who are not in it are ignored';
COMMENT ON FUNCTION journey_block_split(journey_block, integer) IS
    'block cut into pieces of at most so many bytes, in order of customers; a longer journey is a piece of its own';
COMMENT ON FUNCTION journey_block_lt(journey_block, journey_block) IS 'implementation of < operator';
COMMENT ON FUNCTION journey_block_le(journey_block, journey_block) IS 'implementation of <= operator';
COMMENT ON FUNCTION journey_block_eq(journey_block, journey_block) IS 'implementation of = operator';
COMMENT ON FUNCTION journey_block_ne(journey_block, journey_block) IS 'implementation of <> operator';
COMMENT ON FUNCTION journey_block_ge(journey_block, journey_block) IS 'implementation of >= operator';
COMMENT ON FUNCTION journey_block_gt(journey_block, journey_block) IS 'implementation of > operator';
COMMENT ON FUNCTION journey_block_cmp(journey_block, journey_block) IS 'byte by byte, an order without a meaning';
COMMENT ON FUNCTION journey_block_hash(journey_block) IS 'hash';
COMMENT ON FUNCTION journey_block_hash_extended(journey_block, bigint) IS 'hash, 64 bits, seeded';
COMMENT ON FUNCTION journey_block_to_json(journey_block) IS
    'block as a JSON object: for each customer an array of touchpoints, as in the JSON of a journey';
COMMENT ON FUNCTION journey_block_to_jsonb(journey_block) IS
    'block as a JSON object: for each customer an array of touchpoints, as in the JSON of a journey';
COMMENT ON OPERATOR || (journey_block, journey_block) IS
    'customers of both blocks; who is in both has the journey of the second';
COMMENT ON OPERATOR < (journey_block, journey_block) IS 'less than';
COMMENT ON OPERATOR <= (journey_block, journey_block) IS 'less than or equal';
COMMENT ON OPERATOR = (journey_block, journey_block) IS 'equal: the same customers with the same journeys';
COMMENT ON OPERATOR <> (journey_block, journey_block) IS 'not equal';
COMMENT ON OPERATOR >= (journey_block, journey_block) IS 'greater than or equal';
COMMENT ON OPERATOR > (journey_block, journey_block) IS 'greater than';
COMMENT ON FUNCTION journey_block_agg_transfn(internal, bigint, journey) IS 'transition of journey_block_agg';
COMMENT ON FUNCTION journey_block_agg_combinefn(internal, internal) IS
    'combination of partial states of journey_block_agg';
COMMENT ON FUNCTION journey_block_agg_serialfn(internal) IS 'serialisation of journey_block_agg''s state';
COMMENT ON FUNCTION journey_block_agg_deserialfn(bytea, internal) IS 'deserialisation of journey_block_agg''s state';
COMMENT ON FUNCTION journey_block_agg_finalfn(internal) IS 'result of journey_block_agg';
COMMENT ON AGGREGATE journey_block_agg(bigint, journey) IS
    'block of the journeys; several of one customer are merged; rows without a journey are ignored';
