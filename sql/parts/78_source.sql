-- Expressions over the rows of a table: what a hub's attach_source checks a mapping with.

CREATE FUNCTION journey_row_expression(relation regclass, expression text, OUT type regtype, OUT columns smallint[],
                                       OUT immutable boolean, OUT counting boolean)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION journey_row_expression(regclass, text) IS
    'check that a text is an expression over the columns of a table that is neither volatile nor a query; returns its '
    'type, the columns it uses, 0 for all, whether it is immutable, and whether its values are numbers or times';
