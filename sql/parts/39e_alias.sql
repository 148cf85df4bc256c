-- Names that systems give to the same.

CREATE FUNCTION journey_alias(aliases jsonb, source text, name text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION journey_alias(jsonb, text, text) IS
    'the text that {"source": {"name": "text"}} has for a name: under that source, else under ""; NULL: neither has any';
