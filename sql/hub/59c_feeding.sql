-- Feeding: reading the rows that triggers have noted, those there were before, and those of tables without triggers.
--
-- Whoever reads rows of a source holds its row in sources, so that there is one at a time: a row is never brought in
-- line with what it was before. Notes are taken first, and rows are read by a later snapshot: whatever changes a row
-- after that has a note of its own.

-- Columns as they are now: by their number, or by name where the table is another or a column was made anew; of each
-- name and type
CREATE OR REPLACE FUNCTION @hub@.find_columns(
    relation regclass, by_name boolean, INOUT columns jsonb, INOUT columns_seen jsonb, OUT numbers jsonb,
    OUT retyped boolean)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    WITH column_of AS (
        SELECT c.key, c.value #>> '{}' AS name, columns_seen -> c.key AS seen, a.attnum,
               jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) AS is_now
        FROM jsonb_each(columns) c
             LEFT JOIN LATERAL (
                 SELECT a.attnum, a.attname, a.atttypid, a.atttypmod,
                        CASE WHEN a.attnum = c.key::integer AND NOT by_name THEN 1
                             WHEN a.attname = columns_seen -> c.key ->> 0 THEN 2 ELSE 3 END AS place
                 FROM pg_attribute a
                 WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
                       AND (a.attnum = c.key::integer AND NOT by_name OR a.attname = columns_seen -> c.key ->> 0
                            OR a.attname = c.value #>> '{}')
                 ORDER BY 4 LIMIT 1) a ON true
    )
    SELECT coalesce(jsonb_object_agg(coalesce(f.attnum::text, f.key), f.name), '{}'),
           coalesce(jsonb_object_agg(coalesce(f.attnum::text, f.key),
                                     CASE WHEN f.attnum IS NULL THEN f.seen ELSE f.is_now END), '{}'),
           coalesce(jsonb_object_agg(f.key, coalesce(f.attnum, f.key::integer)), '{}'),
           coalesce(bool_or(f.attnum IS NULL <> (f.seen IS NULL) AND f.seen IS NOT NULL
                            OR f.is_now ->> 1 <> f.seen ->> 1), false)
    INTO columns, columns_seen, numbers, retyped
    FROM column_of f;
END $$;
COMMENT ON FUNCTION @hub@.find_columns(regclass, boolean, jsonb, jsonb) IS
    'the columns of a mapping as they are in the table now';
