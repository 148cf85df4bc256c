-- Conversions, the paths to them, and what deserves the credit.

-- COST: some 1 us for a journey of 20 touchpoints
CREATE FUNCTION journey_conversions(journey, conversion journey_pattern, touches journey_pattern DEFAULT '%',
                                    lookback interval DEFAULT '30 days', reset boolean DEFAULT true,
                                    until timestamptz DEFAULT 'infinity', OUT conversion touchpoint, OUT path journey)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 5;

CREATE TYPE attribution;

CREATE FUNCTION attribution_in(cstring) RETURNS attribution
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_out(attribution) RETURNS cstring
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_recv(internal) RETURNS attribution
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_send(attribution) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE attribution (
    INPUT = attribution_in,
    OUTPUT = attribution_out,
    RECEIVE = attribution_recv,
    SEND = attribution_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);

-- Equal facts are equal bytes: the server's functions for bytea are the order, which means nothing else.
CREATE FUNCTION attribution_lt(attribution, attribution) RETURNS boolean
AS 'bytealt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_le(attribution, attribution) RETURNS boolean
AS 'byteale' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_eq(attribution, attribution) RETURNS boolean
AS 'byteaeq' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_ne(attribution, attribution) RETURNS boolean
AS 'byteane' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_ge(attribution, attribution) RETURNS boolean
AS 'byteage' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_gt(attribution, attribution) RETURNS boolean
AS 'byteagt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_cmp(attribution, attribution) RETURNS integer
AS 'byteacmp' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_hash(attribution) RETURNS integer
AS 'hashvarlena' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION attribution_hash_extended(attribution, bigint) RETURNS bigint
AS 'hashvarlenaextended' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
    LEFTARG = attribution, RIGHTARG = attribution, PROCEDURE = attribution_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    LEFTARG = attribution, RIGHTARG = attribution, PROCEDURE = attribution_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    LEFTARG = attribution, RIGHTARG = attribution, PROCEDURE = attribution_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR <> (
    LEFTARG = attribution, RIGHTARG = attribution, PROCEDURE = attribution_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR >= (
    LEFTARG = attribution, RIGHTARG = attribution, PROCEDURE = attribution_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    LEFTARG = attribution, RIGHTARG = attribution, PROCEDURE = attribution_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS attribution_ops DEFAULT FOR TYPE attribution USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 attribution_cmp(attribution, attribution);
CREATE OPERATOR CLASS attribution_ops DEFAULT FOR TYPE attribution USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 attribution_hash(attribution),
    FUNCTION 2 attribution_hash_extended(attribution, bigint);

CREATE FUNCTION attribution_agg_transfn(attribution, journey, conversion journey_pattern, touches journey_pattern,
                                        lookback interval, item text)
RETURNS attribution
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
-- STABLE: times in options may depend on the time zone
CREATE FUNCTION attribution_agg_transfn(attribution, journey, conversion journey_pattern, touches journey_pattern,
                                        lookback interval, item text, options jsonb)
RETURNS attribution
AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 100;
-- Of blocks, with the same states. COST: that of some 1000 journeys
CREATE FUNCTION attribution_agg_transfn(attribution, journey_block, conversion journey_pattern, touches journey_pattern,
                                        lookback interval, item text)
RETURNS attribution
AS 'MODULE_PATHNAME', 'attribution_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100000;
CREATE FUNCTION attribution_agg_transfn(attribution, journey_block, conversion journey_pattern, touches journey_pattern,
                                        lookback interval, item text, options jsonb)
RETURNS attribution
AS 'MODULE_PATHNAME', 'attribution_agg_block_transfn' LANGUAGE C STABLE PARALLEL SAFE COST 100000;
-- With the item among the options: postgres_fdw does not send constants of type text to aggregates
CREATE FUNCTION attribution_agg_transfn(attribution, journey, conversion journey_pattern, touches journey_pattern,
                                        lookback interval, options jsonb)
RETURNS attribution
AS 'MODULE_PATHNAME', 'attribution_agg_options_transfn' LANGUAGE C STABLE PARALLEL SAFE COST 100;
CREATE FUNCTION attribution_agg_transfn(attribution, journey_block, conversion journey_pattern, touches journey_pattern,
                                        lookback interval, options jsonb)
RETURNS attribution
AS 'MODULE_PATHNAME', 'attribution_agg_options_block_transfn' LANGUAGE C STABLE PARALLEL SAFE COST 100000;
CREATE FUNCTION attribution_agg_combinefn(attribution, attribution) RETURNS attribution
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION attribution_agg_finalfn(attribution) RETURNS attribution
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

-- STYPE: not internal, so that partial states can come from anywhere. In memory it is an expanded object.
CREATE AGGREGATE attribution_agg(journey, conversion journey_pattern, touches journey_pattern, lookback interval,
                                 item text) (
    SFUNC = attribution_agg_transfn, STYPE = attribution, SSPACE = 10000,
    COMBINEFUNC = attribution_agg_combinefn, FINALFUNC = attribution_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE attribution_agg(journey, conversion journey_pattern, touches journey_pattern, lookback interval,
                                 item text, options jsonb) (
    SFUNC = attribution_agg_transfn, STYPE = attribution, SSPACE = 10000,
    COMBINEFUNC = attribution_agg_combinefn, FINALFUNC = attribution_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE attribution_agg(journey_block, conversion journey_pattern, touches journey_pattern, lookback interval,
                                 item text) (
    SFUNC = attribution_agg_transfn, STYPE = attribution, SSPACE = 10000,
    COMBINEFUNC = attribution_agg_combinefn, FINALFUNC = attribution_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE attribution_agg(journey_block, conversion journey_pattern, touches journey_pattern, lookback interval,
                                 item text, options jsonb) (
    SFUNC = attribution_agg_transfn, STYPE = attribution, SSPACE = 10000,
    COMBINEFUNC = attribution_agg_combinefn, FINALFUNC = attribution_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE attribution_agg(journey, conversion journey_pattern, touches journey_pattern, lookback interval,
                                 options jsonb) (
    SFUNC = attribution_agg_transfn, STYPE = attribution, SSPACE = 10000,
    COMBINEFUNC = attribution_agg_combinefn, FINALFUNC = attribution_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE attribution_agg(journey_block, conversion journey_pattern, touches journey_pattern, lookback interval,
                                 options jsonb) (
    SFUNC = attribution_agg_transfn, STYPE = attribution, SSPACE = 10000,
    COMBINEFUNC = attribution_agg_combinefn, FINALFUNC = attribution_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE attribution_agg(attribution) (
    SFUNC = attribution_agg_combinefn, STYPE = attribution, SSPACE = 10000,
    COMBINEFUNC = attribution_agg_combinefn, FINALFUNC = attribution_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

-- COST: a chain may have to be solved
CREATE FUNCTION attribution_credit(attribution, OUT model text, OUT item text, OUT conversions double precision,
                                   OUT value numeric)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 100;
CREATE FUNCTION attribution_credit(attribution, model text, OUT model text, OUT item text,
                                   OUT conversions double precision, OUT value numeric)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 10;
CREATE FUNCTION attribution_markov(attribution, OUT item text, OUT removal_effect double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 10;
CREATE FUNCTION attribution_places(attribution, OUT item text, OUT place integer, OUT conversions double precision,
                                   OUT value numeric)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 50;
CREATE FUNCTION attribution_paths(attribution, OUT path text[], OUT conversions bigint, OUT value numeric,
                                  OUT null_paths bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 500;
CREATE FUNCTION attribution_summary(attribution, OUT conversions bigint, OUT value numeric, OUT without_touch bigint,
                                    OUT value_without_touch numeric, OUT without_value bigint, OUT negative bigint,
                                    OUT null_paths bigint, OUT undecided bigint)
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;

COMMENT ON FUNCTION journey_conversions(journey, journey_pattern, journey_pattern, interval, boolean, timestamptz) IS
    'each touchpoint that matches conversion, and its path: what matches touches before it, within lookback and, with '
    'reset, since the conversion before; last what came after the last one, without a conversion, if it is not younger '
    'than lookback before until';
COMMENT ON TYPE attribution IS
    'what credit for conversions is read from: made by attribution_agg, added up by it, read by attribution_credit';
COMMENT ON FUNCTION attribution_in(cstring) IS 'I/O';
COMMENT ON FUNCTION attribution_out(attribution) IS 'I/O';
COMMENT ON FUNCTION attribution_recv(internal) IS 'I/O';
COMMENT ON FUNCTION attribution_send(attribution) IS 'I/O';
COMMENT ON FUNCTION attribution_lt(attribution, attribution) IS 'implementation of < operator';
COMMENT ON FUNCTION attribution_le(attribution, attribution) IS 'implementation of <= operator';
COMMENT ON FUNCTION attribution_eq(attribution, attribution) IS 'implementation of = operator';
COMMENT ON FUNCTION attribution_ne(attribution, attribution) IS 'implementation of <> operator';
COMMENT ON FUNCTION attribution_ge(attribution, attribution) IS 'implementation of >= operator';
COMMENT ON FUNCTION attribution_gt(attribution, attribution) IS 'implementation of > operator';
COMMENT ON FUNCTION attribution_cmp(attribution, attribution) IS 'a total order, bytewise';
COMMENT ON FUNCTION attribution_hash(attribution) IS 'hash';
COMMENT ON FUNCTION attribution_hash_extended(attribution, bigint) IS 'hash, 64 bits, seeded';
COMMENT ON OPERATOR < (attribution, attribution) IS 'less than';
COMMENT ON OPERATOR <= (attribution, attribution) IS 'less than or equal';
COMMENT ON OPERATOR = (attribution, attribution) IS 'equal';
COMMENT ON OPERATOR <> (attribution, attribution) IS 'not equal';
COMMENT ON OPERATOR >= (attribution, attribution) IS 'greater than or equal';
COMMENT ON OPERATOR > (attribution, attribution) IS 'greater than';
COMMENT ON FUNCTION attribution_agg_transfn(attribution, journey, journey_pattern, journey_pattern, interval, text) IS
    'transition function of attribution_agg';
COMMENT ON FUNCTION attribution_agg_transfn(attribution, journey, journey_pattern, journey_pattern, interval, text,
                                            jsonb) IS
    'transition function of attribution_agg with options';
COMMENT ON FUNCTION attribution_agg_transfn(attribution, journey_block, journey_pattern, journey_pattern, interval,
                                            text) IS
    'transition function of attribution_agg of blocks';
COMMENT ON FUNCTION attribution_agg_transfn(attribution, journey_block, journey_pattern, journey_pattern, interval,
                                            text, jsonb) IS
    'transition function of attribution_agg of blocks with options';
COMMENT ON FUNCTION attribution_agg_transfn(attribution, journey, journey_pattern, journey_pattern, interval, jsonb) IS
    'transition function of attribution_agg with the item among the options';
COMMENT ON FUNCTION attribution_agg_transfn(attribution, journey_block, journey_pattern, journey_pattern, interval,
                                            jsonb) IS
    'transition function of attribution_agg of blocks with the item among the options';
COMMENT ON FUNCTION attribution_agg_combinefn(attribution, attribution) IS 'combine function of attribution_agg';
COMMENT ON FUNCTION attribution_agg_finalfn(attribution) IS 'final function of attribution_agg';
COMMENT ON AGGREGATE attribution_agg(journey, journey_pattern, journey_pattern, interval, text) IS
    'credit for conversions, of all models: items (channel, label, action or detail) of the touches before them, '
    'within a lookback';
COMMENT ON AGGREGATE attribution_agg(journey, journey_pattern, journey_pattern, interval, text, jsonb) IS
    'the same with options: order, half_life, position, reset, until, transform, direct, models, paths, since, before';
COMMENT ON AGGREGATE attribution_agg(journey_block, journey_pattern, journey_pattern, interval, text) IS
    'the same of journey blocks';
COMMENT ON AGGREGATE attribution_agg(journey_block, journey_pattern, journey_pattern, interval, text, jsonb) IS
    'the same of journey blocks, with options';
COMMENT ON AGGREGATE attribution_agg(journey, journey_pattern, journey_pattern, interval, jsonb) IS
    'attribution_agg with the item among the options, as postgres_fdw can send it';
COMMENT ON AGGREGATE attribution_agg(journey_block, journey_pattern, journey_pattern, interval, jsonb) IS
    'attribution_agg over the journeys of blocks, with the item among the options';
COMMENT ON AGGREGATE attribution_agg(attribution) IS 'attributions of the same question, added up';
COMMENT ON FUNCTION attribution_credit(attribution) IS
    'conversions and value that each item gets, by every model that is kept; item NULL: conversions without a touch';
COMMENT ON FUNCTION attribution_credit(attribution, text) IS
    'conversions and value that each item gets by a model; item NULL: conversions without a touch';
COMMENT ON FUNCTION attribution_markov(attribution) IS
    'what part of the chance to convert is lost without an item, by a Markov chain';
COMMENT ON FUNCTION attribution_places(attribution) IS
    'credit by ordered Shapley values: of an item that was the so-many-th one to come on its path';
COMMENT ON FUNCTION attribution_paths(attribution) IS
    'paths of items, how many conversions they had, of what value, and how often they had none; for option paths';
COMMENT ON FUNCTION attribution_summary(attribution) IS
    'how many conversions there are, of what value; those without a touch, without a value, with a negative one; paths '
    'without a conversion, and those that may still have one: NULL where they do not matter';
