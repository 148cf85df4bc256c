
-- Identities that belong together: connected components.

CREATE FUNCTION identity_components_transfn(internal, bigint, bigint) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION identity_components_combinefn(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION identity_components_serialfn(internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identity_components_deserialfn(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identity_components_finalfn(internal) RETURNS bigint[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE AGGREGATE identity_components(a bigint, b bigint) (
    SFUNC = identity_components_transfn, STYPE = internal, SSPACE = 300,
    FINALFUNC = identity_components_finalfn, COMBINEFUNC = identity_components_combinefn,
    SERIALFUNC = identity_components_serialfn, DESERIALFUNC = identity_components_deserialfn,
    PARALLEL = SAFE
);

CREATE FUNCTION identifier_components_transfn(internal, identifier, identifier) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION identifier_components_combinefn(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION identifier_components_serialfn(internal) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION identifier_components_finalfn(internal) RETURNS identifier[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE AGGREGATE identity_components(a identifier, b identifier) (
    SFUNC = identifier_components_transfn, STYPE = internal, SSPACE = 500,
    FINALFUNC = identifier_components_finalfn, COMBINEFUNC = identifier_components_combinefn,
    SERIALFUNC = identifier_components_serialfn, DESERIALFUNC = identity_components_deserialfn,
    PARALLEL = SAFE
);

CREATE FUNCTION identity_members(components bigint[], OUT node bigint, OUT component bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 100000;
CREATE FUNCTION identity_members(components identifier[], OUT node identifier, OUT component identifier)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 100000;

-- What hubs ask of many identifiers at once (src/identity/places.c).

CREATE FUNCTION identifier_places(
    identifiers identifier[], times timestamptz[], OUT forms identifier[], OUT places integer[],
    OUT firsts timestamptz[], OUT lasts timestamptz[])
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION journey_elements_at(elements anyarray, places integer[]) RETURNS anyarray
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION identity_sets(numbers integer[], ids bigint[], OUT number integer, OUT identities bigint[])
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10000;

COMMENT ON FUNCTION identifier_places(identifier[], timestamptz[]) IS
    'identifiers that differ, in their order; the place of each given one among them; the least and the greatest time '
    'of each';
COMMENT ON FUNCTION journey_elements_at(anyarray, integer[]) IS
    'the elements that stand at places of an array, from 1; NULL where there is none';
COMMENT ON FUNCTION identity_sets(integer[], bigint[]) IS
    'of each run of a number what goes with it, each once, in order, where that is two or more; the arrays are '
    'parallel';
COMMENT ON FUNCTION identity_components_transfn(internal, bigint, bigint) IS 'transition of identity_components';
COMMENT ON FUNCTION identity_components_combinefn(internal, internal) IS 'combination of partial states of identity_components';
COMMENT ON FUNCTION identity_components_serialfn(internal) IS 'a state of identity_components for another process';
COMMENT ON FUNCTION identity_components_deserialfn(bytea, internal) IS 'a state of identity_components from another process';
COMMENT ON FUNCTION identity_components_finalfn(internal) IS 'result of identity_components';
COMMENT ON AGGREGATE identity_components(bigint, bigint) IS 'connected components of the edges: pairs of a node and the smallest node of its component, by component, then node';
COMMENT ON FUNCTION identity_members(bigint[]) IS 'rows of the pairs that identity_components returns';
COMMENT ON FUNCTION identifier_components_transfn(internal, identifier, identifier) IS 'transition of identity_components over identifiers';
COMMENT ON FUNCTION identifier_components_combinefn(internal, internal) IS 'combination of partial states of identity_components over identifiers';
COMMENT ON FUNCTION identifier_components_serialfn(internal) IS 'a state of identity_components over identifiers for another process';
COMMENT ON FUNCTION identifier_components_finalfn(internal) IS 'result of identity_components over identifiers';
COMMENT ON AGGREGATE identity_components(identifier, identifier) IS 'connected components of the edges: pairs of an identifier and the smallest identifier of its component, by component, then identifier';
COMMENT ON FUNCTION identity_members(identifier[]) IS 'rows of the pairs that identity_components over identifiers returns';
