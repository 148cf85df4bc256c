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

-- What trigger functions of attached tables call. They are given columns as numbers in a table, of which the one that
-- has changed may be a partition.
CREATE FUNCTION journey_changed_rows(relation oid, key_columns smallint[], used_columns smallint[] DEFAULT NULL,
                                     kept_columns smallint[] DEFAULT NULL,
                                     OUT key text[], OUT gone boolean, OUT before text[], OUT after text[])
RETURNS SETOF record AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 100 ROWS 100;
CREATE FUNCTION journey_note_rows(hub text, source_id integer, lookup text, relation oid, key_columns smallint[],
                                  used_columns smallint[] DEFAULT NULL, kept_columns smallint[] DEFAULT NULL)
RETURNS SETOF bigint AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100 ROWS 1;
CREATE FUNCTION journey_note_row(hub text, source_id integer, lookup text, relation oid, key_columns smallint[],
                                 used_columns smallint[], kept_columns smallint[], before record, after record)
RETURNS bigint AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100;

COMMENT ON FUNCTION journey_changed_rows(oid, smallint[], smallint[], smallint[]) IS
    'in a trigger for each statement, with transition tables old_rows and new_rows: keys of the rows whose key or used '
    'columns (NULL: any) have changed, as text, of old and new ones where they differ; gone: whether there was such a '
    'row only; before and after: the kept columns, where one of them has changed; of a row that is new, after alone';
COMMENT ON FUNCTION journey_note_rows(text, integer, text, oid, smallint[], smallint[], smallint[]) IS
    'put what journey_changed_rows tells into feed_notes of a hub, if it is there; without key columns, that all rows '
    'are gone; returns how many notes';
COMMENT ON FUNCTION journey_note_row(text, integer, text, oid, smallint[], smallint[], smallint[], record, record) IS
    'in a trigger for each row: put into feed_notes of a hub, if it is there, that a row has changed; returns how many '
    'notes';

-- What hubs ask of many rows at once (src/source/row_fields.c). kind: an array of the type that is to come.
CREATE FUNCTION journey_field(rows anyarray, field text, kind anycompatiblearray) RETURNS anycompatiblearray
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION journey_only_element(rows anyarray, field text, kind anycompatiblearray) RETURNS anycompatiblearray
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;

COMMENT ON FUNCTION journey_field(anyarray, text, anycompatiblearray) IS 'a field of each of some rows, in their order';
COMMENT ON FUNCTION journey_only_element(anyarray, text, anycompatiblearray) IS
    'of a field that is an array the element, where it has one alone, of each of some rows; NULL elsewhere';
