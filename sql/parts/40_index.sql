-- Indexes on journeys. Support functions of queries take, instead of the query,
-- the indexed type, as the operator class wants it.

CREATE FUNCTION journey_gin_options(internal) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gin_extract_value(journey, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gin_extract_query(journey, internal, smallint, internal, internal, internal, internal)
RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gin_consistent(internal, smallint, journey, integer, internal, internal, internal, internal)
RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gin_triconsistent(internal, smallint, journey, integer, internal, internal, internal)
RETURNS "char"
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR CLASS journey_ops DEFAULT FOR TYPE journey USING gin AS
    OPERATOR 1 ~ (journey, journey_pattern),
    FUNCTION 2 journey_gin_extract_value(journey, internal),
    FUNCTION 3 journey_gin_extract_query(journey, internal, smallint, internal, internal, internal, internal),
    FUNCTION 4 journey_gin_consistent(internal, smallint, journey, integer, internal, internal, internal, internal),
    FUNCTION 6 journey_gin_triconsistent(internal, smallint, journey, integer, internal, internal, internal),
    FUNCTION 7 (journey) journey_gin_options(internal),
    STORAGE bigint;

CREATE FUNCTION journey_gist_compress(internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gist_consistent(internal, journey, smallint, oid, internal) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gist_union(internal, internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gist_same(bytea, bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gist_penalty(internal, internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gist_picksplit(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_gist_sortsupport(internal) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

-- A planner that could choose would take GiST for ~ where there is GIN too, for
-- it cannot tell how little signatures prune. So GiST knows ~ by another name,
-- which journey_support puts in where no GIN index does.
CREATE OPERATOR ~@ (
    LEFTARG = journey, RIGHTARG = journey_pattern, PROCEDURE = journey_matches,
    COMMUTATOR = ~@, RESTRICT = journey_sel, JOIN = contjoinsel
);
CREATE OPERATOR ~@ (
    LEFTARG = journey_pattern, RIGHTARG = journey, PROCEDURE = journey_matches,
    COMMUTATOR = ~@, RESTRICT = journey_sel, JOIN = contjoinsel
);
COMMENT ON OPERATOR ~@ (journey, journey_pattern) IS 'matches, as GiST indexes know it: write ~';
COMMENT ON OPERATOR ~@ (journey_pattern, journey) IS 'is matched by, as GiST indexes know it: write ~';

CREATE OPERATOR CLASS journey_gist_ops DEFAULT FOR TYPE journey USING gist AS
    OPERATOR 1 ~@ (journey, journey_pattern),
    OPERATOR 3 && (journey, tstzrange),
    OPERATOR 8 <@ (journey, tstzrange),
    FUNCTION 1 journey_gist_consistent(internal, journey, smallint, oid, internal),
    FUNCTION 2 journey_gist_union(internal, internal),
    FUNCTION 3 journey_gist_compress(internal),
    FUNCTION 5 journey_gist_penalty(internal, internal, internal),
    FUNCTION 6 journey_gist_picksplit(internal, internal),
    FUNCTION 7 journey_gist_same(bytea, bytea, internal),
    FUNCTION 11 journey_gist_sortsupport(internal),
    STORAGE bytea;

COMMENT ON FUNCTION journey_gin_options(internal) IS 'GIN support';
COMMENT ON FUNCTION journey_gin_extract_value(journey, internal) IS 'GIN support';
COMMENT ON FUNCTION journey_gin_extract_query(journey, internal, smallint, internal, internal, internal, internal) IS
    'GIN support';
COMMENT ON FUNCTION journey_gin_consistent(internal, smallint, journey, integer, internal, internal, internal,
    internal) IS
    'GIN support';
COMMENT ON FUNCTION journey_gin_triconsistent(internal, smallint, journey, integer, internal, internal, internal) IS
    'GIN support';
COMMENT ON OPERATOR CLASS journey_ops USING gin IS 'finds journeys that match a pattern';
COMMENT ON FUNCTION journey_gist_compress(internal) IS 'GiST support';
COMMENT ON FUNCTION journey_gist_consistent(internal, journey, smallint, oid, internal) IS 'GiST support';
COMMENT ON FUNCTION journey_gist_union(internal, internal) IS 'GiST support';
COMMENT ON FUNCTION journey_gist_same(bytea, bytea, internal) IS 'GiST support';
COMMENT ON FUNCTION journey_gist_penalty(internal, internal, internal) IS 'GiST support';
COMMENT ON FUNCTION journey_gist_picksplit(internal, internal) IS 'GiST support';
COMMENT ON FUNCTION journey_gist_sortsupport(internal) IS 'GiST support';
COMMENT ON OPERATOR CLASS journey_gist_ops USING gist IS 'finds journeys by period, and those that match a pattern';
