
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
CREATE FUNCTION identity_evidence(
    numbers integer[], ids bigint[], sources text[], keys text[], times timestamptz[], OUT number integer,
    OUT identities bigint[], OUT source text, OUT source_key text, OUT observed_at timestamptz, OUT repeated boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10000;

CREATE FUNCTION identity_evidence_key(identifiers identifier[], observed_at timestamptz) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION identity_observations(
    observations anyarray, OUT numbers integer[], OUT identifiers identifier[], OUT times timestamptz[],
    OUT sources text[], OUT keys text[], OUT wrong integer)
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;

-- and of those it does not know (src/identity/newcomers.c)
CREATE FUNCTION identifier_namespaces(identifiers identifier[]) RETURNS text[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION identifier_forms(
    identifiers identifier[], ids bigint[], namespaces text[], normalizers text[], countries text[],
    blocked_values text[], OUT others identifier[], OUT places integer[], OUT blocked boolean[])
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION identity_newcomers(
    numbers integer[], places integer[], identifiers identifier[], ids bigint[], nodes bigint[], customers bigint[],
    flags integer[], forms integer[], blocked boolean[], numbers_of_new bigint[], namespaces text[],
    priorities integer[], limits integer[], shared_above integer[], above integer, apart integer[],
    OUT all_ids bigint[], OUT all_nodes bigint[], OUT given_to bigint[], OUT usable boolean[],
    OUT new_identifiers identifier[], OUT new_ids bigint[], OUT new_nodes bigint[], OUT new_customers bigint[],
    OUT new_places integer[], OUT new_flags integer[], OUT lawful bigint[],
    OUT done bigint[], OUT done_sizes integer[], OUT first_customers bigint[], OUT first_identities bigint[],
    OUT rest_numbers integer[], OUT rest_places integer[], OUT rest integer[], OUT all_are_new boolean)
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION identity_firsts(
    numbers integer[], places integer[], nodes identifier[], classes bigint[], customers bigint[], ids bigint[],
    OUT first_customers bigint[], OUT first_identities bigint[])
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION identity_likely_firsts(
    numbers integer[], places integer[], identifiers identifier[], namespaces text[], priorities integer[],
    usable boolean[], customers bigint[], ids bigint[], OUT first_customers bigint[], OUT first_identities bigint[])
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION identity_places_without(ids bigint[], others bigint[]) RETURNS integer[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION identity_whereabouts(
    nodes bigint[], fresh bigint[], given_to bigint[], given_usable boolean[], found_customers bigint[],
    found_components bigint[], found_usable boolean[], OUT customers bigint[], OUT components bigint[],
    OUT usable boolean[])
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION identity_groups(
    numbers integer[], places integer[], nodes bigint[], customers bigint[], components bigint[], usable boolean[],
    added integer[], fresh bigint[], others bigint[], shared_now bigint[], together bigint[],
    OUT component_ids bigint[], OUT group_ids bigint[], OUT grown bigint[])
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION identifier_places(identifier[], timestamptz[]) IS
    'identifiers that differ, in their order; the place of each given one among them; the least and the greatest time '
    'of each';
COMMENT ON FUNCTION journey_elements_at(anyarray, integer[]) IS
    'the elements that stand at places of an array, from 1; NULL where there is none';
COMMENT ON FUNCTION identity_sets(integer[], bigint[]) IS
    'of each run of a number what goes with it, each once, in order, where that is two or more; the arrays are '
    'parallel';
COMMENT ON FUNCTION identity_evidence(integer[], bigint[], text[], text[], timestamptz[]) IS
    'the same, with source, key and time of each number, in the order of sources and keys, and whether it is not the '
    'first of its key';
COMMENT ON FUNCTION identity_evidence_key(identifier[], timestamptz) IS
    'a key of what was seen together at a time: the same for the same, in whatever order';
COMMENT ON FUNCTION identity_observations(anyarray) IS
    'rows of identifiers, time, source and key as parallel arrays, and the number of the first that is no observation';
COMMENT ON FUNCTION identifier_namespaces(identifier[]) IS 'the namespaces of identifiers, each once';
COMMENT ON FUNCTION identifier_forms(identifier[], bigint[], text[], text[], text[], text[]) IS
    'of identifiers without an id, by the rules of their namespaces: normal forms that are not among them, the place '
    'of each one''s normal form among the identifiers and these, and whether it is blocked';
COMMENT ON FUNCTION identity_newcomers(
    integer[], integer[], identifier[], bigint[], bigint[], bigint[], integer[], integer[], boolean[], bigint[], text[],
    integer[], integer[], integer[], integer, integer[]) IS
    'what a hub makes of identifiers that observations name and it does not know: identities, customers that no rule '
    'minds, and the rest, which is for the law';
COMMENT ON FUNCTION identity_firsts(integer[], integer[], identifier[], bigint[], bigint[], bigint[]) IS
    'of each number the customer of the strongest identity, by class and then node, and the first given of the '
    'strongest';
COMMENT ON FUNCTION identity_likely_firsts(
    integer[], integer[], identifier[], text[], integer[], boolean[], bigint[], bigint[]) IS
    'the same by the namespaces of identifiers, and by who is usable; NULL if a customer depends on the order of nodes';
COMMENT ON FUNCTION identity_places_without(bigint[], bigint[]) IS
    'the places in an array of what is not among others';
COMMENT ON FUNCTION identity_whereabouts(
    bigint[], bigint[], bigint[], boolean[], bigint[], bigint[], boolean[]) IS
    'customer and component of nodes, and whether each is usable: of new ones as given, of the others as found';
COMMENT ON FUNCTION identity_groups(
    integer[], integer[], bigint[], bigint[], bigint[], boolean[], integer[], bigint[], bigint[], bigint[], bigint[]) IS
    'components that new evidence connects, the first one of what each becomes part of, and how many new nodes it has';
COMMENT ON FUNCTION identity_components_transfn(internal, bigint, bigint) IS 'transition of identity_components';
COMMENT ON FUNCTION identity_components_combinefn(internal, internal) IS
    'combination of partial states of identity_components';
COMMENT ON FUNCTION identity_components_serialfn(internal) IS 'a state of identity_components for another process';
COMMENT ON FUNCTION identity_components_deserialfn(bytea, internal) IS
    'a state of identity_components from another process';
COMMENT ON FUNCTION identity_components_finalfn(internal) IS 'result of identity_components';
COMMENT ON AGGREGATE identity_components(bigint, bigint) IS
    'connected components of the edges: pairs of a node and the smallest node of its component, by component, then '
    'node';
COMMENT ON FUNCTION identity_members(bigint[]) IS 'rows of the pairs that identity_components returns';
COMMENT ON FUNCTION identifier_components_transfn(internal, identifier, identifier) IS
    'transition of identity_components over identifiers';
COMMENT ON FUNCTION identifier_components_combinefn(internal, internal) IS
    'combination of partial states of identity_components over identifiers';
COMMENT ON FUNCTION identifier_components_serialfn(internal) IS
    'a state of identity_components over identifiers for another process';
COMMENT ON FUNCTION identifier_components_finalfn(internal) IS 'result of identity_components over identifiers';
COMMENT ON AGGREGATE identity_components(identifier, identifier) IS
    'connected components of the edges: pairs of an identifier and the smallest identifier of its component, by '
    'component, then identifier';
COMMENT ON FUNCTION identity_members(identifier[]) IS
    'rows of the pairs that identity_components over identifiers returns';
