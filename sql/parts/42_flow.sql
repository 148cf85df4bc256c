-- Paths of journeys, counted: one value, from which edges, transitions, variants and what comes next are read.

CREATE TYPE flow;

CREATE FUNCTION flow_in(cstring) RETURNS flow
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_out(flow) RETURNS cstring
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_recv(internal) RETURNS flow
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_send(flow) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE flow (
    INPUT = flow_in,
    OUTPUT = flow_out,
    RECEIVE = flow_recv,
    SEND = flow_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);

-- Equal flows are equal bytes: the server's functions for bytea are the order, which means nothing else.
CREATE FUNCTION flow_lt(flow, flow) RETURNS boolean
AS 'bytealt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_le(flow, flow) RETURNS boolean
AS 'byteale' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_eq(flow, flow) RETURNS boolean
AS 'byteaeq' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_ne(flow, flow) RETURNS boolean
AS 'byteane' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_ge(flow, flow) RETURNS boolean
AS 'byteage' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_gt(flow, flow) RETURNS boolean
AS 'byteagt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_cmp(flow, flow) RETURNS integer
AS 'byteacmp' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_hash(flow) RETURNS integer
AS 'hashvarlena' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION flow_hash_extended(flow, bigint) RETURNS bigint
AS 'hashvarlenaextended' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
    LEFTARG = flow, RIGHTARG = flow, PROCEDURE = flow_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    LEFTARG = flow, RIGHTARG = flow, PROCEDURE = flow_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    LEFTARG = flow, RIGHTARG = flow, PROCEDURE = flow_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR <> (
    LEFTARG = flow, RIGHTARG = flow, PROCEDURE = flow_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR >= (
    LEFTARG = flow, RIGHTARG = flow, PROCEDURE = flow_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    LEFTARG = flow, RIGHTARG = flow, PROCEDURE = flow_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS flow_ops DEFAULT FOR TYPE flow USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 flow_cmp(flow, flow);
CREATE OPERATOR CLASS flow_ops DEFAULT FOR TYPE flow USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 flow_hash(flow),
    FUNCTION 2 flow_hash_extended(flow, bigint);

-- COST: less than 1 us for a journey of 20 touchpoints; of blocks, that of some 1000 journeys
CREATE FUNCTION flow_agg_transfn(flow, journey, item text) RETURNS flow
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION flow_agg_transfn(flow, journey, item text, options jsonb) RETURNS flow
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION flow_agg_transfn(flow, journey_block, item text) RETURNS flow
AS 'MODULE_PATHNAME', 'flow_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50000;
CREATE FUNCTION flow_agg_transfn(flow, journey_block, item text, options jsonb) RETURNS flow
AS 'MODULE_PATHNAME', 'flow_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50000;
-- With the item among the options: postgres_fdw does not send constants of type text to aggregates
CREATE FUNCTION flow_agg_transfn(flow, journey, options jsonb) RETURNS flow
AS 'MODULE_PATHNAME', 'flow_agg_options_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION flow_agg_transfn(flow, journey_block, options jsonb) RETURNS flow
AS 'MODULE_PATHNAME', 'flow_agg_options_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50000;
CREATE FUNCTION flow_agg_combinefn(flow, flow) RETURNS flow
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION flow_agg_finalfn(flow) RETURNS flow
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
-- STYPE: not internal, so that partial states can come from anywhere. In memory it is an expanded object.
CREATE AGGREGATE flow_agg(journey, item text) (
    SFUNC = flow_agg_transfn, STYPE = flow, SSPACE = 10000,
    COMBINEFUNC = flow_agg_combinefn, FINALFUNC = flow_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE flow_agg(journey, item text, options jsonb) (
    SFUNC = flow_agg_transfn, STYPE = flow, SSPACE = 10000,
    COMBINEFUNC = flow_agg_combinefn, FINALFUNC = flow_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE flow_agg(journey_block, item text) (
    SFUNC = flow_agg_transfn, STYPE = flow, SSPACE = 10000,
    COMBINEFUNC = flow_agg_combinefn, FINALFUNC = flow_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE flow_agg(journey_block, item text, options jsonb) (
    SFUNC = flow_agg_transfn, STYPE = flow, SSPACE = 10000,
    COMBINEFUNC = flow_agg_combinefn, FINALFUNC = flow_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE flow_agg(journey, options jsonb) (
    SFUNC = flow_agg_transfn, STYPE = flow, SSPACE = 10000,
    COMBINEFUNC = flow_agg_combinefn, FINALFUNC = flow_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE flow_agg(journey_block, options jsonb) (
    SFUNC = flow_agg_transfn, STYPE = flow, SSPACE = 10000,
    COMBINEFUNC = flow_agg_combinefn, FINALFUNC = flow_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE AGGREGATE flow_agg(flow) (
    SFUNC = flow_agg_combinefn, STYPE = flow, SSPACE = 10000,
    COMBINEFUNC = flow_agg_combinefn, FINALFUNC = flow_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

-- Not STRICT: without top, all items
CREATE FUNCTION flow_edges(flow, top integer DEFAULT NULL, OUT step integer, OUT source text, OUT target text,
                           OUT journeys bigint, OUT touchpoints bigint, OUT median_time interval,
                           OUT p90_time interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 1000 ROWS 200;
CREATE FUNCTION flow_transitions(flow, OUT source text, OUT target text, OUT times bigint, OUT journeys bigint,
                                 OUT mean_time interval, OUT median_time interval, OUT p90_time interval,
                                 OUT min_time interval, OUT max_time interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 100;
CREATE FUNCTION flow_follows(flow, OUT source text, OUT target text, OUT times bigint, OUT journeys bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 100;
CREATE FUNCTION flow_items(flow, OUT item text, OUT visits bigint, OUT journeys bigint, OUT rework bigint,
                           OUT starts bigint, OUT ends bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 20;
CREATE FUNCTION flow_variants(flow, OUT path text[], OUT journeys bigint, OUT share double precision,
                              OUT cumulated_share double precision, OUT median_duration interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 500;
CREATE FUNCTION flow_paths(flow) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION flow_next(flow, journey, at_least integer DEFAULT 10, OUT item text, OUT probability double precision,
                          OUT journeys bigint, OUT conversion double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 20;
-- COST: some thousand journeys
CREATE FUNCTION next_steps(journeys journey[], item text, conversion journey_pattern, within interval,
                           until timestamptz DEFAULT 'infinity', steps integer DEFAULT 3, at_least integer DEFAULT 30,
                           OUT context text[], OUT journeys_met bigint, OUT times bigint,
                           OUT effective double precision, OUT converted bigint, OUT items text[],
                           OUT item_journeys bigint[], OUT item_times bigint[], OUT item_converted bigint[])
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100000 ROWS 500;
CREATE FUNCTION flow_what_if(flow, changes jsonb, OUT item text, OUT visits double precision,
                             OUT conversions double precision, OUT changed_visits double precision,
                             OUT changed_conversions double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 20;
CREATE FUNCTION flow_what_if(attribution, changes jsonb, OUT item text, OUT visits double precision,
                             OUT conversions double precision, OUT changed_visits double precision,
                             OUT changed_conversions double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'attribution_what_if' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 20;

-- How far a journey is from a match
CREATE FUNCTION journey_alignment(journey, journey_pattern, missing_cost integer DEFAULT 1,
                                  extra_cost integer DEFAULT 1, OUT move text, OUT step text, OUT "position" integer)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 20;
CREATE FUNCTION journey_fitness(journey, journey_pattern, missing_cost integer DEFAULT 1,
                                extra_cost integer DEFAULT 1) RETURNS double precision
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;

COMMENT ON TYPE flow IS
    'paths of journeys, counted, with their times and the options they were cut by; what flow_agg makes';
COMMENT ON FUNCTION flow_in(cstring) IS 'I/O';
COMMENT ON FUNCTION flow_out(flow) IS 'I/O';
COMMENT ON FUNCTION flow_recv(internal) IS 'I/O';
COMMENT ON FUNCTION flow_send(flow) IS 'I/O';
COMMENT ON FUNCTION flow_lt(flow, flow) IS 'implementation of < operator';
COMMENT ON FUNCTION flow_le(flow, flow) IS 'implementation of <= operator';
COMMENT ON FUNCTION flow_eq(flow, flow) IS 'implementation of = operator';
COMMENT ON FUNCTION flow_ne(flow, flow) IS 'implementation of <> operator';
COMMENT ON FUNCTION flow_ge(flow, flow) IS 'implementation of >= operator';
COMMENT ON FUNCTION flow_gt(flow, flow) IS 'implementation of > operator';
COMMENT ON FUNCTION flow_cmp(flow, flow) IS 'a total order, bytewise';
COMMENT ON FUNCTION flow_hash(flow) IS 'hash';
COMMENT ON FUNCTION flow_hash_extended(flow, bigint) IS 'hash, 64 bits, seeded';
COMMENT ON OPERATOR < (flow, flow) IS 'less than';
COMMENT ON OPERATOR <= (flow, flow) IS 'less than or equal';
COMMENT ON OPERATOR = (flow, flow) IS 'equal';
COMMENT ON OPERATOR <> (flow, flow) IS 'not equal';
COMMENT ON OPERATOR >= (flow, flow) IS 'greater than or equal';
COMMENT ON OPERATOR > (flow, flow) IS 'greater than';
COMMENT ON FUNCTION flow_agg_transfn(flow, journey, text) IS 'transition of flow_agg';
COMMENT ON FUNCTION flow_agg_transfn(flow, journey, text, jsonb) IS 'transition of flow_agg';
COMMENT ON FUNCTION flow_agg_transfn(flow, journey_block, text) IS 'transition of flow_agg over blocks';
COMMENT ON FUNCTION flow_agg_transfn(flow, journey_block, text, jsonb) IS 'transition of flow_agg over blocks';
COMMENT ON FUNCTION flow_agg_transfn(flow, journey, jsonb) IS
    'transition of flow_agg with the item among the options';
COMMENT ON FUNCTION flow_agg_transfn(flow, journey_block, jsonb) IS
    'transition of flow_agg over blocks with the item among the options';
COMMENT ON FUNCTION flow_agg_combinefn(flow, flow) IS 'sum of two states of flow_agg';
COMMENT ON FUNCTION flow_agg_finalfn(flow) IS 'result of flow_agg';
COMMENT ON AGGREGATE flow_agg(journey, text) IS
    'paths of all journeys, each step a channel, label, action or detail';
COMMENT ON AGGREGATE flow_agg(journey, text, jsonb) IS
    'paths of all journeys, each step a channel, label, action or detail; options: start and end, patterns of one step,'
    ' direction, max_steps, gap, collapse';
COMMENT ON AGGREGATE flow_agg(journey_block, text) IS 'flow_agg over the journeys of blocks';
COMMENT ON AGGREGATE flow_agg(journey_block, text, jsonb) IS 'flow_agg over the journeys of blocks';
COMMENT ON AGGREGATE flow_agg(journey, jsonb) IS
    'flow_agg with the item among the options, as postgres_fdw can send it';
COMMENT ON AGGREGATE flow_agg(journey_block, jsonb) IS
    'flow_agg over the journeys of blocks, with the item among the options';
COMMENT ON AGGREGATE flow_agg(flow) IS 'sum of flows of the same item and options';
COMMENT ON FUNCTION flow_edges(flow, integer) IS
    'what a Sankey shows: at each step, from which item to which; the most frequent items of each step, the rest is'
    ' "(other)"';
COMMENT ON FUNCTION flow_transitions(flow) IS
    'which item directly follows which, how often, on how many paths and after how long; source NULL: paths begin'
    ' there; target NULL: they end';
COMMENT ON FUNCTION flow_follows(flow) IS
    'which item comes anywhere behind which: pairs of steps, and paths that have such a pair';
COMMENT ON FUNCTION flow_items(flow) IS
    'items: steps, paths that have it, that have it more than once, that begin and that end with it';
COMMENT ON FUNCTION flow_variants(flow) IS
    'whole paths, most frequent first, with their share and the share of all up to them';
COMMENT ON FUNCTION flow_paths(flow) IS 'how many paths were counted';
COMMENT ON FUNCTION flow_next(flow, journey, integer) IS
    'what comes next after a journey, by the longest stretch of its end that was seen at_least so often; item NULL: the'
    ' path ends; conversion: share of those that came to the option "end"';
COMMENT ON FUNCTION next_steps(journey[], text, journey_pattern, interval, timestamptz, integer, integer) IS
    'what came next, within some time, after the last steps of journeys: a row for each context, of up to so many'
    ' steps, that at least so many journeys were in; NULL in a context: it begins there; an item NULL: nothing came';
COMMENT ON FUNCTION flow_what_if(flow, jsonb) IS
    'expected visits and conversions of each item if transitions into items were scaled, or moved to another item:'
    ' {"item": factor, "item": "other item"}';
COMMENT ON FUNCTION flow_what_if(attribution, jsonb) IS
    'the same of an attribution: expected visits of each item, and conversions with it as the last touch';
COMMENT ON FUNCTION journey_alignment(journey, journey_pattern, integer, integer) IS
    'the cheapest way to turn a journey into a match: what matches, is missing, or is too much';
COMMENT ON FUNCTION journey_fitness(journey, journey_pattern, integer, integer) IS
    '1: the journey matches; less by what journey_alignment costs, 0: as much as if nothing of it matched';
