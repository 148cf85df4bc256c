-- journey: all touchpoints of one customer as one packed value, a multiset in
-- the total order of touchpoints.

CREATE TYPE journey;

CREATE FUNCTION journey_in(cstring) RETURNS journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_out(journey) RETURNS cstring
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_recv(internal) RETURNS journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_send(journey) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_subscript(internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

-- for the planner, see 40_index.sql
CREATE FUNCTION journey_typanalyze(internal) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_sel(internal, oid, internal, integer) RETURNS double precision
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_support(internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

-- STORAGE external: the format is already dense, so compression would cost
-- more than it saves, and only uncompressed values can be read in slices.
-- CATEGORY: so that a literal is a journey where it might be a block, too
CREATE TYPE journey (
    INPUT = journey_in,
    OUTPUT = journey_out,
    RECEIVE = journey_recv,
    SEND = journey_send,
    SUBSCRIPT = journey_subscript,
    ANALYZE = journey_typanalyze,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external,
    CATEGORY = 'J',
    PREFERRED = true
);

CREATE CAST (touchpoint AS journey) WITHOUT FUNCTION AS IMPLICIT;

-- read

CREATE FUNCTION journey_length(journey) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_length(journey, during tstzrange) RETURNS integer
AS 'MODULE_PATHNAME', 'journey_length_during' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_next_time(journey, since timestamptz) RETURNS timestamptz
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_start(journey) RETURNS timestamptz
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_end(journey) RETURNS timestamptz
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_period(journey) RETURNS tstzrange
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_channels(journey) RETURNS text[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_actions(journey) RETURNS text[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_details(journey) RETURNS text[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_labels(journey) RETURNS text[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_value(journey) RETURNS numeric
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_path(journey, part text DEFAULT 'label', collapse boolean DEFAULT false)
RETURNS text[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT journey_support;
CREATE FUNCTION journey_nth(journey, n integer) RETURNS touchpoint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION unnest(journey) RETURNS SETOF touchpoint
AS 'MODULE_PATHNAME', 'journey_unnest' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 20;
CREATE FUNCTION journey_steps(journey, OUT "position" integer, OUT occurred_at timestamptz,
                              OUT channel text, OUT action text, OUT detail text,
                              OUT value numeric, OUT ref bigint, OUT since_previous interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 20;

-- change

CREATE FUNCTION journey_merge(journey, journey) RETURNS journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE OPERATOR || (
    LEFTARG = journey, RIGHTARG = journey, PROCEDURE = journey_merge, COMMUTATOR = ||
);
-- without it, touchpoint || 'literal' would be text
CREATE FUNCTION journey_merge(touchpoint, touchpoint) RETURNS journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE OPERATOR || (
    LEFTARG = touchpoint, RIGHTARG = touchpoint, PROCEDURE = journey_merge, COMMUTATOR = ||
);
CREATE FUNCTION journey_slice(journey, during tstzrange) RETURNS journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_sessions(journey, gap interval) RETURNS SETOF journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 5;

-- compare

CREATE FUNCTION journey_lt(journey, journey) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_le(journey, journey) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_eq(journey, journey) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_ne(journey, journey) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_ge(journey, journey) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gt(journey, journey) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_cmp(journey, journey) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_hash(journey) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_hash_extended(journey, bigint) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
    LEFTARG = journey, RIGHTARG = journey, PROCEDURE = journey_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    LEFTARG = journey, RIGHTARG = journey, PROCEDURE = journey_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    LEFTARG = journey, RIGHTARG = journey, PROCEDURE = journey_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR <> (
    LEFTARG = journey, RIGHTARG = journey, PROCEDURE = journey_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR >= (
    LEFTARG = journey, RIGHTARG = journey, PROCEDURE = journey_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    LEFTARG = journey, RIGHTARG = journey, PROCEDURE = journey_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS journey_ops DEFAULT FOR TYPE journey USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 journey_cmp(journey, journey);
CREATE OPERATOR CLASS journey_ops DEFAULT FOR TYPE journey USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 journey_hash(journey),
    FUNCTION 2 journey_hash_extended(journey, bigint);

CREATE FUNCTION journey_overlaps(journey, tstzrange) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT journey_support;
CREATE FUNCTION journey_overlaps(tstzrange, journey) RETURNS boolean
AS 'MODULE_PATHNAME', 'range_overlaps_journey' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT journey_support;
CREATE FUNCTION journey_within(journey, tstzrange) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT journey_support;
CREATE FUNCTION journey_within(tstzrange, journey) RETURNS boolean
AS 'MODULE_PATHNAME', 'range_contains_journey' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT journey_support;

CREATE OPERATOR && (
    LEFTARG = journey, RIGHTARG = tstzrange, PROCEDURE = journey_overlaps,
    COMMUTATOR = &&, RESTRICT = journey_sel, JOIN = areajoinsel
);
CREATE OPERATOR && (
    LEFTARG = tstzrange, RIGHTARG = journey, PROCEDURE = journey_overlaps,
    COMMUTATOR = &&, RESTRICT = journey_sel, JOIN = areajoinsel
);
CREATE OPERATOR <@ (
    LEFTARG = journey, RIGHTARG = tstzrange, PROCEDURE = journey_within,
    COMMUTATOR = @>, RESTRICT = journey_sel, JOIN = contjoinsel
);
CREATE OPERATOR @> (
    LEFTARG = tstzrange, RIGHTARG = journey, PROCEDURE = journey_within,
    COMMUTATOR = <@, RESTRICT = journey_sel, JOIN = contjoinsel
);

CREATE FUNCTION journey_to_json(journey) RETURNS json
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_to_jsonb(journey) RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE CAST (journey AS json) WITH FUNCTION journey_to_json(journey);
CREATE CAST (journey AS jsonb) WITH FUNCTION journey_to_jsonb(journey);

-- build

CREATE FUNCTION journey_agg_transfn(internal, timestamptz, text, text) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_agg_transfn(internal, timestamptz, text, text, numeric) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_agg_transfn(internal, timestamptz, text, text, numeric, bigint) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_agg_transfn(internal, timestamptz, text, text, numeric, bigint, text) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_agg_merge_transfn(internal, touchpoint) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_agg_merge_transfn(internal, journey) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_agg_combinefn(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_agg_serialfn(internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_agg_deserialfn(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_agg_finalfn(internal) RETURNS journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

-- SSPACE: about twenty touchpoints of 16 bytes, so that the planner weighs
-- hashing against sorting for ordinary journeys
CREATE AGGREGATE journey_agg(occurred_at timestamptz, channel text, action text) (
    SFUNC = journey_agg_transfn, STYPE = internal, SSPACE = 400,
    FINALFUNC = journey_agg_finalfn, COMBINEFUNC = journey_agg_combinefn,
    SERIALFUNC = journey_agg_serialfn, DESERIALFUNC = journey_agg_deserialfn,
    PARALLEL = SAFE
);
CREATE AGGREGATE journey_agg(occurred_at timestamptz, channel text, action text, value numeric) (
    SFUNC = journey_agg_transfn, STYPE = internal, SSPACE = 800,
    FINALFUNC = journey_agg_finalfn, COMBINEFUNC = journey_agg_combinefn,
    SERIALFUNC = journey_agg_serialfn, DESERIALFUNC = journey_agg_deserialfn,
    PARALLEL = SAFE
);
CREATE AGGREGATE journey_agg(occurred_at timestamptz, channel text, action text, value numeric,
                             ref bigint) (
    SFUNC = journey_agg_transfn, STYPE = internal, SSPACE = 800,
    FINALFUNC = journey_agg_finalfn, COMBINEFUNC = journey_agg_combinefn,
    SERIALFUNC = journey_agg_serialfn, DESERIALFUNC = journey_agg_deserialfn,
    PARALLEL = SAFE
);
CREATE AGGREGATE journey_agg(occurred_at timestamptz, channel text, action text, value numeric,
                             ref bigint, detail text) (
    SFUNC = journey_agg_transfn, STYPE = internal, SSPACE = 800,
    FINALFUNC = journey_agg_finalfn, COMBINEFUNC = journey_agg_combinefn,
    SERIALFUNC = journey_agg_serialfn, DESERIALFUNC = journey_agg_deserialfn,
    PARALLEL = SAFE
);
CREATE AGGREGATE journey_agg(touchpoint) (
    SFUNC = journey_agg_merge_transfn, STYPE = internal, SSPACE = 800,
    FINALFUNC = journey_agg_finalfn, COMBINEFUNC = journey_agg_combinefn,
    SERIALFUNC = journey_agg_serialfn, DESERIALFUNC = journey_agg_deserialfn,
    PARALLEL = SAFE
);
CREATE AGGREGATE journey_agg(journey) (
    SFUNC = journey_agg_merge_transfn, STYPE = internal, SSPACE = 800,
    FINALFUNC = journey_agg_finalfn, COMBINEFUNC = journey_agg_combinefn,
    SERIALFUNC = journey_agg_serialfn, DESERIALFUNC = journey_agg_deserialfn,
    PARALLEL = SAFE
);

COMMENT ON TYPE journey IS 'all touchpoints of a customer in order of time, packed: {touchpoint, ...}';
COMMENT ON FUNCTION journey_typanalyze(internal) IS 'ANALYZE';
COMMENT ON FUNCTION journey_sel(internal, oid, internal, integer) IS 'restriction selectivity of ~, && and <@';
COMMENT ON FUNCTION journey_support(internal) IS
    'planner support of journey_matches, journey_overlaps and journey_within';
COMMENT ON FUNCTION journey_in(cstring) IS 'I/O';
COMMENT ON FUNCTION journey_out(journey) IS 'I/O';
COMMENT ON FUNCTION journey_recv(internal) IS 'I/O';
COMMENT ON FUNCTION journey_send(journey) IS 'I/O';
COMMENT ON FUNCTION journey_subscript(internal) IS 'subscripting: j[n] is a touchpoint, j[m:n] a journey';
COMMENT ON FUNCTION journey_length(journey) IS 'number of touchpoints';
COMMENT ON FUNCTION journey_length(journey, tstzrange) IS 'number of touchpoints in a range';
COMMENT ON FUNCTION journey_next_time(journey, timestamptz) IS
    'time of the first touchpoint from a time on, NULL if there is none';
COMMENT ON FUNCTION journey_start(journey) IS 'time of the first touchpoint, NULL if empty';
COMMENT ON FUNCTION journey_end(journey) IS 'time of the last touchpoint, NULL if empty';
COMMENT ON FUNCTION journey_period(journey) IS
    'range from the first to the last touchpoint, both included; the empty range if there is none';
COMMENT ON FUNCTION journey_channels(journey) IS 'distinct channels, sorted';
COMMENT ON FUNCTION journey_actions(journey) IS 'distinct actions, sorted';
COMMENT ON FUNCTION journey_details(journey) IS 'distinct details, sorted';
COMMENT ON FUNCTION journey_labels(journey) IS
    'distinct labels channel.action[.detail], sorted, parts quoted where their text needs it';
COMMENT ON FUNCTION journey_value(journey) IS 'sum of the values, NULL if no touchpoint has one';
COMMENT ON FUNCTION journey_path(journey, text, boolean) IS
    'label, channel, action or detail (NULL where there is none) of each touchpoint in order; collapse leaves one of '
    'equal neighbours';
COMMENT ON FUNCTION journey_nth(journey, integer) IS
    'n-th touchpoint; negative n counts from the end; NULL if there is none';
COMMENT ON FUNCTION unnest(journey) IS 'touchpoints in order';
COMMENT ON FUNCTION journey_steps(journey) IS 'touchpoints in order, as columns, with the time since the one before';
COMMENT ON FUNCTION journey_merge(journey, journey) IS 'touchpoints of both journeys; implementation of || operator';
COMMENT ON FUNCTION journey_merge(touchpoint, touchpoint) IS
    'journey of both touchpoints; implementation of || operator';
COMMENT ON FUNCTION journey_slice(journey, tstzrange) IS 'touchpoints whose time lies in the range';
COMMENT ON FUNCTION journey_sessions(journey, interval) IS
    'journey cut wherever two neighbours are more than the gap apart';
COMMENT ON FUNCTION journey_lt(journey, journey) IS 'implementation of < operator';
COMMENT ON FUNCTION journey_le(journey, journey) IS 'implementation of <= operator';
COMMENT ON FUNCTION journey_eq(journey, journey) IS 'implementation of = operator';
COMMENT ON FUNCTION journey_ne(journey, journey) IS 'implementation of <> operator';
COMMENT ON FUNCTION journey_ge(journey, journey) IS 'implementation of >= operator';
COMMENT ON FUNCTION journey_gt(journey, journey) IS 'implementation of > operator';
COMMENT ON FUNCTION journey_cmp(journey, journey) IS 'touchpoint by touchpoint, then the shorter first';
COMMENT ON FUNCTION journey_hash(journey) IS 'hash';
COMMENT ON FUNCTION journey_hash_extended(journey, bigint) IS 'hash, 64 bits, seeded';
COMMENT ON FUNCTION journey_overlaps(journey, tstzrange) IS
    'journey''s period and the range overlap; implementation of && operator';
COMMENT ON FUNCTION journey_overlaps(tstzrange, journey) IS
    'the range and the journey''s period overlap; implementation of && operator';
COMMENT ON FUNCTION journey_within(journey, tstzrange) IS
    'all touchpoints lie in the range; implementation of <@ operator';
COMMENT ON FUNCTION journey_within(tstzrange, journey) IS
    'the range holds all touchpoints; implementation of @> operator';
COMMENT ON FUNCTION journey_to_json(journey) IS 'journey as a JSON array of objects';
COMMENT ON FUNCTION journey_to_jsonb(journey) IS 'journey as a JSON array of objects';
COMMENT ON OPERATOR || (journey, journey) IS 'merge';
COMMENT ON OPERATOR || (touchpoint, touchpoint) IS 'merge';
COMMENT ON OPERATOR < (journey, journey) IS 'less than';
COMMENT ON OPERATOR <= (journey, journey) IS 'less than or equal';
COMMENT ON OPERATOR = (journey, journey) IS 'equal: the same touchpoints';
COMMENT ON OPERATOR <> (journey, journey) IS 'not equal';
COMMENT ON OPERATOR >= (journey, journey) IS 'greater than or equal';
COMMENT ON OPERATOR > (journey, journey) IS 'greater than';
COMMENT ON OPERATOR && (journey, tstzrange) IS 'period overlaps';
COMMENT ON OPERATOR && (tstzrange, journey) IS 'overlaps period';
COMMENT ON OPERATOR <@ (journey, tstzrange) IS 'all touchpoints lie in the range';
COMMENT ON OPERATOR @> (tstzrange, journey) IS 'holds all touchpoints';
COMMENT ON FUNCTION journey_agg_transfn(internal, timestamptz, text, text) IS 'transition of journey_agg';
COMMENT ON FUNCTION journey_agg_transfn(internal, timestamptz, text, text, numeric) IS 'transition of journey_agg';
COMMENT ON FUNCTION journey_agg_transfn(internal, timestamptz, text, text, numeric, bigint) IS
    'transition of journey_agg';
COMMENT ON FUNCTION journey_agg_transfn(internal, timestamptz, text, text, numeric, bigint, text) IS
    'transition of journey_agg';
COMMENT ON FUNCTION journey_agg_merge_transfn(internal, touchpoint) IS 'transition of journey_agg';
COMMENT ON FUNCTION journey_agg_merge_transfn(internal, journey) IS 'transition of journey_agg';
COMMENT ON FUNCTION journey_agg_combinefn(internal, internal) IS 'combination of partial states of journey_agg';
COMMENT ON FUNCTION journey_agg_serialfn(internal) IS 'serialisation of journey_agg''s state';
COMMENT ON FUNCTION journey_agg_deserialfn(bytea, internal) IS 'deserialisation of journey_agg''s state';
COMMENT ON FUNCTION journey_agg_finalfn(internal) IS 'result of journey_agg';
COMMENT ON AGGREGATE journey_agg(timestamptz, text, text) IS 'journey of the rows, in any order of input';
COMMENT ON AGGREGATE journey_agg(timestamptz, text, text, numeric) IS 'journey of the rows, with values';
COMMENT ON AGGREGATE journey_agg(timestamptz, text, text, numeric, bigint) IS
    'journey of the rows, with values and references';
COMMENT ON AGGREGATE journey_agg(timestamptz, text, text, numeric, bigint, text) IS
    'journey of the rows, with values, references and details';
COMMENT ON AGGREGATE journey_agg(touchpoint) IS 'journey of the touchpoints';
COMMENT ON AGGREGATE journey_agg(journey) IS 'merged journey of the journeys';
