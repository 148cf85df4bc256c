-- Expressions over the rows of a table: what a hub's attach_source checks a mapping with.

CREATE FUNCTION journey_row_expression(tables regclass[], aliases text[], expression text, OUT code text,
                                       OUT type regtype, OUT table_numbers smallint[], OUT columns smallint[],
                                       OUT immutable boolean, OUT counting boolean)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_lookup(lookup text, OUT relation text, OUT columns text[], OUT expressions text[])
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION journey_query_calls(query text, OUT functions oid[], OUT domains oid[])
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION journey_row_expression(regclass[], text[], text) IS
    'check that a text is an expression over the columns of a table, and of others named by an alias, that is neither '
    'volatile nor a query; returns it with its columns qualified, its type, the columns it uses of which table, 0 for '
    'all, whether it is immutable, and whether its values are numbers or times';
COMMENT ON FUNCTION journey_lookup(text) IS
    'take apart "table(column = expression, ...)": the table, the columns, and what each must equal';
COMMENT ON FUNCTION journey_query_calls(text) IS
    'functions that a query would run, by its expressions, operators and casts, and domains whose constraints it would '
    'check. It is not run';
