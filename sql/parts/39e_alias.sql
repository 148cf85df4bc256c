-- Names that systems give to the same.

CREATE FUNCTION journey_aliases(jsonb) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION journey_alias(aliases bytea, source text, name text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION journey_aliases(jsonb) IS
    'texts by source and name, {"source": {"name": "text"}}, in a form that journey_alias looks into; for one query,'
    ' not to be stored';
COMMENT ON FUNCTION journey_alias(bytea, text, text) IS
    'the text that aliases have for a name: under that source, else under ""; NULL: neither has any';
