
-- Links between identities: what adding them would break, how they connect, and
-- which hold a component together. ROWS: most links break nothing and are no bridge.

CREATE FUNCTION identity_conflicts(a bigint[], b bigint[], members bigint[], groups integer[], limits integer[],
                                   apart_a bigint[], apart_b bigint[], facts integer DEFAULT 0,
                                   valued bigint[] DEFAULT '{}', attributes integer[] DEFAULT '{}',
                                   "values" bigint[] DEFAULT '{}')
RETURNS TABLE ("position" integer, limit_group integer, attribute integer)
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 10;
CREATE FUNCTION identity_path(a bigint[], b bigint[], costs integer[], from_node bigint, to_node bigint)
RETURNS SETOF integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 5;
CREATE FUNCTION identity_bridges(a bigint[], b bigint[])
RETURNS TABLE ("position" integer, smaller bigint)
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 100;

COMMENT ON FUNCTION identity_conflicts(bigint[], bigint[], bigint[], integer[], integer[], bigint[], bigint[], integer,
                                       bigint[], integer[], bigint[]) IS
    'links, added in their order, that are left out because a component would break a limit, or a pair would not stay '
    'apart, or, of links behind the first facts, because both components have values of an attribute that differ';
COMMENT ON FUNCTION identity_path(bigint[], bigint[], integer[], bigint, bigint) IS
    'positions of the links of the cheapest path from one node to another';
COMMENT ON FUNCTION identity_bridges(bigint[], bigint[]) IS
    'links without which a component would fall apart, and the number of nodes of the smaller part';
