-- What the rows of an attached table mean: a mapping, read, checked, and compiled to the text of queries.
--
-- Nothing in the hub depends on the application's columns: they may be renamed, dropped and made anew. Rows are read
-- under the names their columns had when the mapping was read, by what they are called now. A compiled mapping is a
-- JSON object of SQL texts over rows that are called as the table was then, and over lookups; they also see
--   "is "   key, whether the row is wanted as a touchpoint, and whether evidence, traits or consents of it are told
--   "who "  its identifiers
--   "note " of a change: its number and time
-- names which no table of an application has. Where a table has one nevertheless, they end with a dot.

-- A column's name, or an expression over the columns of the row and of what was looked up, as SQL: code as it was
-- written, typed as wanted; of which table, by number, it uses which columns, 0 for all. It is read under the
-- search_path of who attaches.
CREATE OR REPLACE FUNCTION @hub@.source_expression(
    tables regclass[], aliases text[], field text, expression text, wanted text, search_path text,
    OUT code text, OUT typed text, OUT type regtype, OUT uses text[], OUT immutable boolean, OUT counting boolean)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    fits boolean;
    own_path CONSTANT text := current_setting('search_path');
    constant CONSTANT text := quote_literal(trim($q$"'$q$ FROM expression));
    constant_hint CONSTANT text := format('A constant is written %s, within an SQL string %s.',
                                          to_json(constant), to_json(replace(constant, $q$'$q$, $q$''$q$)));
    bare text := expression;
    number integer := 1;
    near text;
    message text;
    detail text;
    hint text;
BEGIN
    IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = tables[1] AND a.attname = expression AND a.attnum > 0
               AND NOT a.attisdropped) THEN
        bare := quote_ident(expression);
    END IF;
    BEGIN
        PERFORM set_config('search_path', search_path, true);
        SELECT e.code, e.type, e.immutable, e.counting,
               ARRAY(SELECT u.number || ':' || u.attnum FROM unnest(e.table_numbers, e.columns) u(number, attnum))
        INTO code, type, immutable, counting, uses
        FROM @extschema@.journey_row_expression(tables, aliases, bare) e;
        PERFORM pg_catalog.set_config('search_path', own_path, true);
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS detail = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
        message := format('mapping field %s is no column or expression over the rows of %s: %s', field, tables[1],
                          expression);
        IF SQLSTATE = '42501' THEN
            RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = detail,
                DETAIL = format('Mapping field %s reads it.', field),
                HINT = format('GRANT SELECT ON %s TO %I.', array_to_string(tables, ', '), current_user);
        END IF;
        detail := regexp_replace(detail, ' in column generation expressions?$', '');
        -- an unknown name, or words that are no expression
        IF SQLSTATE = '42703' AND hint = '' THEN
            number := coalesce(array_position(aliases, substring(expression FROM '^(\w+)\.\w+$')), 1);
            near := (SELECT nearest_field(regexp_replace(expression, '^\w+\.', ''), array_agg(a.attname::text))
                     FROM pg_attribute a WHERE a.attrelid = tables[number] AND a.attnum > 0 AND NOT a.attisdropped);
            hint := coalesce('Perhaps you mean column ' || near || '.', '');
        ELSIF SQLSTATE = '42P01' THEN
            hint := 'An expression sees its own row, and rows of lookups; a lookup, of those before it.';
        ELSIF SQLSTATE IN ('0A000', '42803', '42P20') THEN
            hint := 'An expression is of one row. Rows of other tables are found by lookups.';
        END IF;
        IF wanted = 'text' AND field <> 'key' AND expression !~ '[][(){}|=<>+*/:,]' AND number = 1
            AND SQLSTATE IN ('42601', '42703', '42704', '42P01') THEN
            hint := concat_ws(' ', nullif(hint, ''), constant_hint);
        END IF;
        IF hint = '' THEN
            RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = message, DETAIL = detail;
        END IF;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = message, DETAIL = detail, HINT = hint;
    END;
    IF wanted = 'text' AND uses = '{}' AND expression ~ '^[[:alpha:]_][[:alnum:]_]*$'
        AND lower(expression) NOT IN ('null', 'true', 'false') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('mapping field %s is neither a column of %s nor a constant: %s', field, tables[1],
                             expression),
            DETAIL = 'It is a word of SQL that means something else.', HINT = constant_hint;
    END IF;
    fits := type = 'unknown'::regtype
            OR CASE wanted WHEN 'timestamp with time zone' THEN type = 'timestamptz'::regtype
                           WHEN 'boolean' THEN type = 'boolean'::regtype
                           WHEN 'jsonb' THEN type IN ('json'::regtype, 'jsonb'::regtype)
                           WHEN 'numeric' THEN (SELECT t.typcategory = 'N' FROM pg_type t WHERE t.oid = type)
                           ELSE true END;
    IF NOT fits THEN
        RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch',
            MESSAGE = format('mapping field %s must be of type %s, not %s: %s', field, wanted, type, expression),
            HINT = CASE WHEN wanted = 'timestamp with time zone' AND expression ~* 'at time zone'
                        THEN 'AT TIME ZONE takes the zone of a time that has one: leave it out.'
                        WHEN wanted = 'timestamp with time zone' AND type IN ('timestamp'::regtype, 'date'::regtype)
                        THEN 'Say in which time zone it is, such as ' || bare || ' AT TIME ZONE ''Europe/Lisbon''.'
                        WHEN wanted = 'timestamp with time zone'
                             AND (SELECT t.typcategory = 'N' FROM pg_type t WHERE t.oid = type)
                        THEN format('Of seconds since 1970 it is to_timestamp(%s), of milliseconds '
                                    'to_timestamp(%1$s / 1000.0).',
                                    bare)
                        WHEN wanted = 'jsonb' THEN 'Use jsonb_build_object or to_jsonb.'
                        ELSE format('Cast it, or write an expression that is of type %s.', wanted) END;
    END IF;
    code := format(E'(%s\n)', code);
    -- a string of JSON is text without its quotes
    typed := CASE WHEN wanted = 'any' AND type = 'unknown'::regtype THEN format(E'(%s::pg_catalog.text)', code)
                 WHEN wanted = 'any' THEN code
                 WHEN wanted = 'text' AND type IN ('json'::regtype, 'jsonb'::regtype)
                 THEN format(E'(%s OPERATOR(pg_catalog.#>>) ''{}'')', code)
                 ELSE format(E'(%s::pg_catalog.%s)', code,
                             CASE wanted WHEN 'timestamp with time zone' THEN 'timestamptz' WHEN 'boolean' THEN 'bool'
                                 ELSE wanted END) END;
END $$;
COMMENT ON FUNCTION @hub@.source_expression(regclass[], text[], text, text, text, text) IS
    'check an expression of a mapping, and return it as SQL';

-- A field, which is an expression, or an object that tells what each value of one means:
-- {"case": "status", "0": "open", "1": "closed", "2": null, "else": "other"}. skips is whether a value means nothing.
CREATE OR REPLACE FUNCTION @hub@.source_field(
    tables regclass[], aliases text[], field text, given json, wanted text, search_path text,
    OUT typed text, OUT skips text, OUT uses text[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    kind CONSTANT text := CASE wanted WHEN 'timestamp with time zone' THEN 'timestamptz' WHEN 'boolean' THEN 'bool'
                              WHEN 'any' THEN 'text' ELSE wanted END;
    directed CONSTANT boolean := field ~ '(^|[.])direction$' AND field !~ '^(traits|consents)';
    of text;
    otherwise json;
    wrong record;
BEGIN
    IF directed AND given #>> '{}' ~ '^''[^'']*''$' AND given #>> '{}' NOT IN ('''in''', '''out''') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('mapping field %s must be in or out, not %s', field, given #>> '{}'),
            HINT = 'In is from the customer, out is to the customer, and NULL is neither.';
    ELSIF json_typeof(given) = 'string' THEN
        SELECT e.typed, e.uses INTO typed, uses
        FROM source_expression(tables, aliases, field, given #>> '{}', wanted, search_path) e;
        RETURN;
    ELSIF json_typeof(given) <> 'object' OR given -> 'case' IS NULL OR json_typeof(given -> 'case') <> 'string' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('mapping field %s must be a string, a column or an expression, not %s', field, given),
            HINT = 'Where values have meanings: {"case": "column", "0": "meaning", "1": null, "else": "meaning"}.';
    END IF;
    SELECT v.key, v.value, count(*) OVER (PARTITION BY v.key) > 1 AS twice INTO wrong
    FROM json_each(given) v
    WHERE json_typeof(v.value) IN ('object', 'array')
          OR wanted = 'numeric' AND json_typeof(v.value) = 'string' AND v.key <> 'case'
             AND NOT v.value #>> '{}' ~ '^[-+]?[0-9]+(\.[0-9]*)?$'
          OR directed AND v.key <> 'case' AND v.value #>> '{}' NOT IN ('in', 'out')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('mapping field %s, value %s, must mean %s, not %s', field, wrong.key,
                             CASE WHEN directed THEN 'in, out or null' WHEN wanted = 'numeric' THEN 'a number or null'
                                 ELSE 'a constant or null' END,
                             wrong.value),
            HINT = 'For more write an expression: "CASE column WHEN 0 THEN ... END".';
    END IF;
    SELECT CASE WHEN e.type IN ('json'::regtype, 'jsonb'::regtype)
                THEN format('(%s OPERATOR(pg_catalog.#>>) ''{}'')', e.code)
                ELSE format('(%s::pg_catalog.text)', e.code) END, e.uses INTO of, uses
    FROM source_expression(tables, aliases, field || '.case', given ->> 'case', 'any', search_path) e;
    otherwise := given -> 'else';
    SELECT format('(CASE %s%s ELSE %L::pg_catalog.%s END)', of, string_agg(format(' WHEN %L THEN '
                                                                                  '%L::pg_catalog.%s', v.key,
                                                                                v.value #>> '{}', kind), ''),
                  otherwise #>> '{}', kind),
           CASE WHEN bool_or(json_typeof(v.value) = 'null') OR json_typeof(otherwise) = 'null'
                THEN format('(CASE %s%s ELSE %s END)', of,
                            string_agg(format(' WHEN %L THEN %s', v.key, (json_typeof(v.value) = 'null')::text), ''),
                            coalesce(json_typeof(otherwise) = 'null', false)::text) END
    INTO typed, skips
    FROM json_each(given) v WHERE v.key NOT IN ('case', 'else');
    IF typed IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('mapping field %s says of no value what it means: %s', field, given);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.source_field(regclass[], text[], text, json, text, text) IS
    'check a field of a mapping, and return it as SQL';

-- Identifiers by namespace, each a column or expression, or an array of them; one of an array type is as many. As SQL,
-- an array of what is not NULL and not empty.
CREATE OR REPLACE FUNCTION @hub@.source_identifiers(
    tables regclass[], aliases text[], field text, given json, search_path text,
    OUT code text, OUT uses text[], OUT namespaces text[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    -- of JSON a string or number, or each of an array
    of_json CONSTANT text := '(SELECT pg_catalog.array_agg(@extschema@.identifier(%L, '
                             'nullif(u.v OPERATOR(pg_catalog.#>>) ''{}'', ''''))) '
                             'FROM pg_catalog.jsonb_path_query(%s::pg_catalog.jsonb, ''lax $[*]'') u(v) '
                             'WHERE pg_catalog.jsonb_typeof(u.v) OPERATOR(pg_catalog.~) ''^[sn]'')';
    several CONSTANT text := '(SELECT pg_catalog.array_agg(@extschema@.identifier(%L, '
                             'nullif(u.v::pg_catalog.text, ''''))) '
                             'FROM pg_catalog.unnest%s u(v))';
    plain text := '';
    arrays text := '';
    one record;
    expression record;
    detail text;
BEGIN
    uses := '{}';
    namespaces := '{}';
    FOR one IN
        SELECT i.key, i.value, e.value AS element
        FROM json_each(given) i
             CROSS JOIN LATERAL json_array_elements(CASE json_typeof(i.value) WHEN 'array' THEN i.value
                                                        ELSE json_build_array(i.value) END) e(value)
    LOOP
        IF json_typeof(one.element) <> 'string' THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('mapping field %s.%s must be a string, a column or an expression, not %s', field,
                                 one.key, one.value);
        END IF;
        BEGIN
            PERFORM identifier(one.key, 'x');  -- is it a namespace?
        EXCEPTION WHEN data_exception THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
            RAISE EXCEPTION USING ERRCODE = SQLSTATE, DETAIL = detail,
                MESSAGE = format('mapping field %s: there can be no namespace %s', field, to_json(one.key)),
                HINT = 'Namespaces are words such as email, customer_no or shop.order.';
        END;
        SELECT e.code, e.typed, e.uses, t.typcategory = 'A' AS is_array,
               e.type IN ('json'::regtype, 'jsonb'::regtype) AS is_json INTO expression
        FROM source_expression(tables, aliases, field || '.' || one.key, one.element #>> '{}', 'text', search_path) e
             JOIN pg_type t ON t.oid = e.type;
        uses := uses || expression.uses;
        namespaces := namespaces || one.key;
        IF expression.is_array THEN
            arrays := arrays || format(' || ' || several, one.key, expression.code);
        ELSIF expression.is_json THEN
            arrays := arrays || format(' || ' || of_json, one.key, expression.code);
        ELSE
            plain := concat_ws(', ', nullif(plain, ''),
                               '@extschema@.identifier('
                               || format('%L, nullif(%s, ''''))', one.key, expression.typed));
        END IF;
    END LOOP;
    code := format('ARRAY[%s]::@extschema@.identifier[]%s', plain, arrays);
END $$;
COMMENT ON FUNCTION @hub@.source_identifiers(regclass[], text[], text, json, text) IS
    'check identifiers or references of a mapping, and return them as SQL';

-- The columns of the primary key, in an unambiguous text.
CREATE OR REPLACE FUNCTION @hub@.primary_key_of(relation regclass) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT CASE WHEN count(*) = 1 THEN min(quote_ident(a.attname))
                        ELSE 'ROW(' || string_agg(quote_ident(a.attname), ', ' ORDER BY k.n) || ')' END
            FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY k(attnum, n)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            WHERE i.indrelid = relation AND i.indisprimary AND k.n <= i.indnkeyatts
            HAVING count(*) > 0);
END $$;
COMMENT ON FUNCTION @hub@.primary_key_of(regclass) IS 'expression for the primary key of a table; NULL: it has none';

-- Keys there are, for hints: columns in the order of the index, and whether none can be NULL
CREATE OR REPLACE FUNCTION @hub@.unique_keys_of(relation regclass, OUT columns smallint[], OUT names text,
                                                OUT never_null boolean)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT array_agg(k.attnum ORDER BY k.n), string_agg(quote_ident(a.attname), ', ' ORDER BY k.n),
           bool_and(a.attnotnull)
    FROM pg_index i
         CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY k(attnum, n)
         LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = unique_keys_of.relation AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
          AND k.n <= i.indnkeyatts
    GROUP BY i.indexrelid, i.indisprimary HAVING bool_and(k.attnum > 0)
    ORDER BY i.indisprimary DESC, 2;
END;
COMMENT ON FUNCTION @hub@.unique_keys_of(regclass) IS 'columns that identify rows of a table, by an index';

-- A lookup: "table(column = expression)", or {"table": "table(column = expression)", "fixed": true}. It sees the row,
-- and lookups before it. So that a row stays a row, it must be by a unique key.
CREATE OR REPLACE FUNCTION @hub@.source_lookup(
    tables regclass[], aliases text[], lookup text, given json, search_path text,
    OUT relation regclass, OUT fixed boolean, OUT key_columns smallint[], OUT conditions text[], OUT uses text[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    field CONSTANT text := 'lookups.' || lookup;
    own_path CONSTANT text := current_setting('search_path');
    own_schema CONSTANT text := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                 WHERE c.oid = tables[1]);
    told CONSTANT text := CASE json_typeof(given) WHEN 'string' THEN given #>> '{}'
                              WHEN 'object' THEN given ->> 'table' END;
    taken record;
    attnum smallint;
    expression record;
    detail text;
    hint text;
BEGIN
    fixed := false;
    IF json_typeof(given) = 'object' THEN
        IF told IS NULL OR json_typeof(given -> 'table') <> 'string'
           OR EXISTS (SELECT FROM json_object_keys(given) k(key) WHERE k.key NOT IN ('table', 'fixed'))
           OR given -> 'fixed' IS NOT NULL AND json_typeof(given -> 'fixed') <> 'boolean' THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('mapping field %s must have a table, and may be fixed: %s', field, given),
                HINT = 'Write {"table": "table(column = expression)", "fixed": true}.';
        END IF;
        fixed := coalesce((given ->> 'fixed')::boolean, false);
    ELSIF told IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('mapping field %s must be a string, not %s', field, given),
            HINT = 'Write "table(column = expression)".';
    END IF;
    IF lookup !~ '^[[:alpha:]_][[:alnum:]_]*$' OR octet_length(lookup) > 60 OR lookup = ANY (aliases) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_name',
            MESSAGE = format('a lookup can''t be called %s', lookup),
            DETAIL = CASE WHEN lookup = ANY (aliases) THEN 'That is the name of the table or of another lookup.'
                     ELSE 'It stands before columns, as in lookup.column.' END,
            HINT = 'Use letters, digits and underscores.';
    END IF;
    BEGIN
        SELECT l.relation, l.columns, l.expressions INTO taken FROM @extschema@.journey_lookup(told) l;
    EXCEPTION WHEN syntax_error OR undefined_table OR name_too_long THEN
        GET STACKED DIAGNOSTICS detail = MESSAGE_TEXT;
        RAISE EXCEPTION USING ERRCODE = 'syntax_error',
            MESSAGE = format('mapping field %s is not understood: %s', field, told), DETAIL = detail,
            HINT = 'Write "table(column = expression)", with AND or a comma between several columns. A name that is a '
                   'word of SQL, or has capitals, has double quotes, within JSON "\"order\"(id = order_id)".';
    END;
    -- its own schema is where an application's tables mostly are
    relation := to_regclass(quote_ident(own_schema) || '.' || taken.relation);
    IF relation IS NULL THEN
        PERFORM set_config('search_path', search_path, true);
        relation := pg_catalog.to_regclass(taken.relation);
        PERFORM pg_catalog.set_config('search_path', own_path, true);
    END IF;
    IF relation IS NULL THEN
        hint := (SELECT quote_ident(nearest_field(taken.relation, array_agg(c.relname::text)))
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = own_schema AND c.relkind IN ('r', 'p'));
        RAISE EXCEPTION USING ERRCODE = 'undefined_table',
            MESSAGE = format('mapping field %s: there is no table %s', field, taken.relation),
            DETAIL = format('It was sought in schema %s, and in the search_path.', own_schema),
            HINT = coalesce('Perhaps you mean ' || hint || '.', 'Write its schema before its name.');
    END IF;
    SELECT CASE WHEN c.relkind = 'v' THEN 'it is a view, which has no unique key'
                WHEN c.relkind = 'f' THEN 'it is a foreign table, which has no unique key'
                WHEN c.relkind NOT IN ('r', 'p', 'm') THEN 'it is no table'
                WHEN c.relkind = 'm' AND NOT fixed THEN 'changes of a materialized view can''t be watched'
                WHEN c.relpersistence = 't' THEN 'it is a temporary table'
                WHEN c.relnamespace = quote_ident(current_schema())::regnamespace THEN 'it is a table of the hub'
                WHEN c.relnamespace = 'pg_catalog'::regnamespace THEN 'it is a system catalog' END INTO detail
    FROM pg_class c WHERE c.oid = relation;
    IF detail IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('mapping field %s: nothing can be looked up in %s', field, relation),
            DETAIL = detail || '.',
            HINT = CASE WHEN detail LIKE '%watched' THEN 'Say "fixed": true, and resync the source after a refresh.'
                       WHEN detail LIKE '%unique key'
                       THEN 'Look it up in a table, or attach a view that joins it, with feed => ''poll''.'
                       ELSE 'Look it up in the table that has it.' END;
    END IF;

    key_columns := '{}';
    conditions := '{}';
    uses := '{}';
    FOR i IN 1 .. cardinality(taken.columns) LOOP
        attnum := (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = taken.columns[i]
                   AND a.attnum > 0 AND NOT a.attisdropped);
        IF attnum IS NULL THEN
            hint := (SELECT nearest_field(taken.columns[i], array_agg(a.attname::text)) FROM pg_attribute a
                     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped);
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = format('mapping field %s: table %s has no column %s', field, relation, taken.columns[i]),
                HINT = coalesce('Perhaps you mean ' || hint || '.',
                                'On the left of = stands a column of the table in which it is looked up.');
        END IF;
        SELECT e.code, e.uses INTO expression
        FROM source_expression(tables, aliases, field, taken.expressions[i], 'any', search_path) e;
        -- can they be compared?
        PERFORM source_expression(tables || relation, aliases || lookup, field,
                                  format('%I.%I = (%s)', lookup, taken.columns[i], taken.expressions[i]), 'boolean',
                                  search_path);
        key_columns := key_columns || attnum;
        conditions := conditions || format('%I.%I = %s', lookup, taken.columns[i], expression.code);
        uses := uses || expression.uses;
    END LOOP;
    IF NOT EXISTS (SELECT FROM unique_keys_of(relation) k WHERE k.columns <@ key_columns) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('mapping field %s: there may be several rows of %s with the same %s', field, relation,
                             array_to_string(taken.columns, ', ')),
            DETAIL = 'No unique index is on these columns, or a part of them.',
            HINT = coalesce((SELECT 'Look it up by ' || string_agg(DISTINCT format('(%s)', k.names), ' or ') || '.'
                             FROM unique_keys_of(relation) k), format('%s has no unique index.', relation));
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.source_lookup(regclass[], text[], text, json, text) IS
    'check a lookup of a mapping, and return it as SQL';

-- Fields of the event that rows are, as SQL, from what is given and what they are called; what lacks is NULL.
CREATE OR REPLACE FUNCTION @hub@.event_fields(code jsonb, identifiers text, source text, source_key text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT string_agg(CASE a.attname WHEN 'identifiers' THEN identifiers WHEN 'source'
                              THEN quote_literal(source)
                                  WHEN 'source_key' THEN source_key
                                  ELSE coalesce(code ->> a.attname,
                                                'NULL::pg_catalog.' || (SELECT t.typname FROM pg_type t
                                                                        WHERE t.oid = a.atttypid)) END,
                              ', ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = 'event'::regclass AND a.attnum > 0 AND NOT a.attisdropped);
END $$;
COMMENT ON FUNCTION @hub@.event_fields(jsonb, text, text, text) IS 'the fields of an event, as SQL';

-- All that a mapping says, as SQL, and what it needs: columns of the row, {"number": "name"}, its key columns, those of
-- on_change, and rows of source_lookups as JSON. See the top.
CREATE OR REPLACE FUNCTION @hub@.read_mapping(
    relation regclass, mapping json, source text, part text, search_path text,
    OUT compiled jsonb, OUT columns jsonb, OUT key_columns smallint[], OUT kept_columns smallint[],
    OUT lookups jsonb, OUT internal_namespaces text[], OUT unique_key boolean)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $read_mapping$
#variable_conflict use_variable
DECLARE
    event_types CONSTANT jsonb := '{"occurred_at": "timestamp with time zone", "channel": "text", "action": "text",
        "value": "numeric", "currency": "text", "direction": "text", "conversation": "text", "agent": "text",
        "campaign": "text", "attributes": "jsonb", "subject": "text", "url": "text"}';
    others CONSTANT jsonb := '{"key": "any", "where": "boolean", "evidence_where": "boolean",
        "traits_at": "timestamp with time zone", "consents_at": "timestamp with time zone", "watermark": "any"}';
    objects CONSTANT text[] := '{identifiers,references,lookups,makes,traits,consents,on_change,on_delete}';
    all_fields CONSTANT text[] := array(SELECT k.key FROM jsonb_object_keys(event_types || others) k(key)) || objects;
    alias CONSTANT text := (SELECT c.relname FROM pg_class c WHERE c.oid = relation);
    ending CONSTANT text := CASE WHEN alias LIKE '% ' THEN '.' ELSE ' ' END;
    is_alias CONSTANT text := quote_ident('is' || ending);
    who_alias CONSTANT text := quote_ident('who' || ending);
    note_alias CONSTANT text := quote_ident('note' || ending);
    tables regclass[] := ARRAY[relation];
    aliases text[] := ARRAY[alias];
    given jsonb := '{}';        -- which fields are,
    code jsonb := '{}';         -- and as SQL
    uses text[] := '{}';
    makes text[];
    touchpoint boolean;
    item record;
    expression record;
    found record;
    change json;
    change_code jsonb;
    change_columns text[] := '{}';
    changes jsonb := '[]';
    skips text[] := '{}';
    identifiers text[] := '{}';
    references_first text[] := '{}';
    needed text[];
    wrong text;
    hint text;
    nullable text;
    number smallint;
    field text;
    action text;
BEGIN
    lookups := '[]';
    internal_namespaces := '{}';
    IF mapping IS NULL OR json_typeof(mapping) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a mapping must be a JSON object',
            DETAIL = format('Given: %s.', coalesce(mapping::text, 'NULL'));
    END IF;
    FOR item IN SELECT m.key, m.value FROM json_each(mapping) m LOOP
        IF item.key <> ALL (all_fields) THEN
            wrong := format('unknown mapping field: %s', item.key);
            hint := concat_ws(' ', 'Perhaps you mean ' || nearest_field(item.key, all_fields) || '.',
                              'There are ' || (SELECT string_agg(f.field, ', ' ORDER BY f.field)
                                               FROM unnest(all_fields) f(field)) || '.');
        ELSIF given ? item.key THEN
            wrong := format('mapping field %s is given twice', item.key);
        ELSIF item.key IN ('identifiers', 'references', 'lookups') AND json_typeof(item.value) <> 'object' THEN
            wrong := format('mapping field %s must be a JSON object of %s, not %s', item.key,
                            CASE item.key WHEN 'lookups' THEN 'names' ELSE 'namespaces' END, item.value);
            hint := CASE item.key WHEN 'identifiers' THEN 'Such as {"email": "lower(email)", "crm": "customer_no"}.'
                        WHEN 'references' THEN 'Such as {"shop.order": "order_id"}.'
                        ELSE 'Such as {"inbox": "inboxes(id = inbox_id)"}.' END;
        END IF;
        EXIT WHEN wrong IS NOT NULL;
        given := given || jsonb_build_object(item.key, true);
    END LOOP;
    IF wrong IS NULL THEN
        makes := CASE WHEN NOT given ? 'makes' THEN '{touchpoint}'
                      WHEN json_typeof(mapping -> 'makes') = 'string' THEN ARRAY[mapping ->> 'makes']
                      WHEN json_typeof(mapping -> 'makes') = 'array'
                      THEN array(SELECT m.value FROM json_array_elements_text(mapping -> 'makes') m(value)) END;
        touchpoint := 'touchpoint' = ANY (makes);
        needed := CASE WHEN touchpoint THEN '{occurred_at,channel,action}'::text[] ELSE '{}' END;
        IF makes IS NULL OR makes = '{}' OR NOT makes <@ '{touchpoint,evidence,traits,consents}'::text[] THEN
            wrong := format('mapping field makes must be touchpoint, evidence, traits or consents, or an array of '
                            'them, not %s', mapping -> 'makes');
        ELSIF 'traits' = ANY (makes) AND NOT given ? 'traits' THEN
            wrong := 'mapping field traits is missing';
            hint := 'The mapping makes traits: name them, such as "traits": {"name": "full_name"}.';
        ELSIF 'consents' = ANY (makes) AND NOT given ? 'consents' THEN
            wrong := 'mapping field consents is missing';
            hint := 'The mapping makes consents: name them, such as "consents": {"marketing/email": "newsletter"}.';
        ELSIF NOT given ?& needed OR NOT given ?| '{identifiers,references}' THEN
            wrong := format('mapping field %s is missing',
                            (SELECT f.name FROM unnest(needed || 'identifiers'::text) f(name)
                             WHERE NOT given ? f.name LIMIT 1));
            hint := CASE WHEN touchpoint THEN 'A mapping needs occurred_at, channel, action, and identifiers or '
                             'references. One that makes no touchpoints, but evidence, traits or consents, needs only '
                             'these.'
                         ELSE 'A mapping needs identifiers, or references.' END;
        ELSIF NOT touchpoint AND given ? 'where' THEN
            wrong := 'mapping field where says which rows are touchpoints, and the mapping makes none';
            hint := 'Which rows are evidence, or have traits or consents, is said by evidence_where.';
        ELSIF given ? 'evidence_where' AND NOT given ?| '{traits,consents,on_change}'
              AND NOT 'evidence' = ANY (makes) THEN
            wrong := 'mapping field evidence_where says of which rows evidence, traits or consents hold, and '
                     'the mapping makes none';
            hint := 'Which rows are touchpoints is said by where.';
        ELSIF given ? 'traits_at' AND NOT given ? 'traits' THEN
            wrong := 'mapping field traits_at says as of when traits are, and the mapping has none';
        ELSIF given ? 'consents_at' AND NOT given ? 'consents' THEN
            wrong := 'mapping field consents_at says since when consents are, and the mapping has none';
        ELSIF given ? 'consents' AND NOT given ?| '{consents_at,occurred_at}' THEN
            wrong := 'mapping field consents_at is missing';
            hint := 'It says when consent was given or refused, which decides what holds: as "consent_changed_at". '
                    'Where nothing tells, the time of the row''s creation is safer than that of its last change.';
        ELSIF given ? 'on_delete' AND coalesce(mapping ->> 'on_delete', '') NOT IN ('remove', 'keep') THEN
            wrong := format('mapping field on_delete must be remove or keep, not %s', mapping -> 'on_delete');
            hint := 'With keep, what a row made stays when the row is deleted.';
        ELSIF NOT given ? 'key' AND primary_key_of(relation) IS NULL THEN
            wrong := format('table %s has no primary key', relation);
            hint := coalesce((SELECT 'Give the mapping a key: '
                              || string_agg(DISTINCT format('"ROW(%s)"', k.names), ' or ')
                              FROM unique_keys_of(relation) k WHERE k.never_null) || '.',
                             'Give the mapping a key: columns that identify a row, and are never NULL.')
                    || ' For a log, to which rows are only added, it may be "*".';
        END IF;
    END IF;
    IF wrong IS NOT NULL AND hint IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = wrong, HINT = hint;
    ELSIF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = wrong;
    END IF;

    -- the key, which sees the row only
    IF mapping ->> 'key' = '*' THEN
        key_columns := array(SELECT a.attnum FROM pg_attribute a
                             WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
                                 AND a.attgenerated <> 'v'
                             ORDER BY a.attnum);
        code := code || jsonb_build_object('key', (
            SELECT format('pg_catalog.md5(ROW(%s)::pg_catalog.text)',
                          string_agg(format('%I.%I', alias, a.attname), ', ' ORDER BY a.attnum))
            FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum = ANY (key_columns)));
        unique_key := true;  -- rows that are the same are one
    ELSE
        SELECT e.code, e.typed, e.uses, e.immutable, e.counting INTO expression
        FROM source_expression(tables, aliases, 'key',
                               CASE json_typeof(mapping -> 'key')
                                   WHEN 'array' THEN (SELECT 'ROW(' || string_agg(quote_ident(k.name), ', ') || ')'
                                                      FROM json_array_elements_text(mapping -> 'key') k(name))
                                   ELSE coalesce(mapping ->> 'key', primary_key_of(relation)) END, 'text',
                                   search_path) e;
        key_columns := array(SELECT DISTINCT u.attnum::smallint
                             FROM unnest(expression.uses) x(use) CROSS JOIN LATERAL split_part(x.use, ':', 2) u(attnum)
                             ORDER BY 1);
        nullable := (SELECT a.attname FROM pg_attribute a
                     WHERE a.attrelid = relation AND a.attnum = ANY (key_columns) AND NOT a.attnotnull
                           AND EXISTS (SELECT FROM pg_class c WHERE c.oid = relation
                                       AND c.relkind IN ('r', 'p')) LIMIT 1);
        IF nullable IS NOT NULL OR key_columns = '{}' OR 0 = ANY (key_columns) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('mapping field key does not identify a row: %s', mapping ->> 'key'),
                DETAIL = CASE WHEN nullable IS NOT NULL THEN format('Column %s may be NULL.', nullable)
                              WHEN key_columns = '{}' THEN 'It uses no column.' ELSE 'It uses the whole row.' END,
                HINT = coalesce((SELECT 'Unique and never NULL: '
                                 || string_agg(DISTINCT format('(%s)', k.names), ', ') || '.'
                                 FROM unique_keys_of(relation) k WHERE k.never_null),
                                'All columns of a log without a key are "*".');
        ELSIF NOT expression.immutable THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_object_definition',
                MESSAGE = format('mapping field key may change while its row does not: %s', mapping ->> 'key'),
                DETAIL = 'It calls something that is not IMMUTABLE, such as a clock, '
                         'or a cast whose text depends on settings.',
                HINT = 'Use columns as they are, several as ROW(a, b), and functions that are IMMUTABLE.';
        END IF;
        unique_key := EXISTS (SELECT FROM unique_keys_of(relation) k WHERE k.columns <@ key_columns);
        -- a change has a key of its row's, /, the column, / and a number: none that a row has
        code := code || jsonb_build_object('key', CASE
                    WHEN given ? 'on_change' AND EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                                                         WHERE a.attrelid = relation AND a.attnum = ANY (key_columns)
                                                               AND t.typcategory NOT IN ('N', 'D')
                                                                   AND t.oid <> 'uuid'::regtype)
                    THEN format('pg_catalog.replace(%s, ''/'', ''//'')', expression.typed) ELSE expression.typed END)
                || CASE WHEN expression.counting THEN jsonb_build_object('place', expression.code) ELSE '{}' END;
    END IF;
    uses := uses || array(SELECT '1:' || k.attnum FROM unnest(key_columns) k(attnum));

    FOR item IN SELECT l.key, l.value FROM json_each(mapping -> 'lookups') l LOOP
        SELECT l.relation, l.fixed, l.key_columns, l.conditions, l.uses INTO found
        FROM source_lookup(tables, aliases, item.key, item.value, search_path) l;
        tables := tables || found.relation;
        aliases := aliases || item.key;
        uses := uses || found.uses
                || array(SELECT cardinality(tables) || ':' || k.attnum FROM unnest(found.key_columns) k(attnum));
        lookups := lookups || jsonb_build_object('lookup', item.key, 'relation', found.relation::oid,
                                                 'fixed', found.fixed, 'uses', to_jsonb(found.uses),
                                                 'key_numbers', to_jsonb(found.key_columns),
                                                 'key_columns', (
                                                     SELECT jsonb_agg(a.attname ORDER BY k.n)
                                                     FROM unnest(found.key_columns) WITH ORDINALITY k(attnum, n)
                                                          JOIN pg_attribute a ON a.attrelid = found.relation
                                                                 AND a.attnum = k.attnum),
                                                 'conditions', to_jsonb(found.conditions));
    END LOOP;

    FOR item IN SELECT m.key, m.value FROM json_each(mapping) m WHERE m.key IN ('identifiers', 'references')
                ORDER BY m.key LOOP
        SELECT i.code, i.uses, i.namespaces INTO found
        FROM source_identifiers(tables, aliases, item.key, item.value, search_path) i;
        IF found.namespaces = '{}' THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('mapping field %s names none', item.key);
        END IF;
        uses := uses || found.uses;
        identifiers := identifiers || found.code;
        references_first := CASE item.key WHEN 'references' THEN found.code || references_first
                                 ELSE references_first || found.code END;
        IF item.key = 'references' THEN
            internal_namespaces := array(SELECT DISTINCT n.name FROM unnest(found.namespaces) n(name) ORDER BY 1);
        END IF;
    END LOOP;

    FOR item IN
        SELECT m.key, m.value, event_types || others ->> m.key AS wanted FROM json_each(mapping) m
        WHERE event_types || others ? m.key AND m.key <> 'key'
    LOOP
        SELECT f.typed, f.skips, f.uses INTO found
        FROM source_field(tables, aliases, item.key, item.value, item.wanted, search_path) f;
        uses := uses || found.uses;
        code := code || jsonb_build_object(item.key, found.typed);
        IF item.key IN ('channel', 'action') AND found.skips IS NOT NULL THEN
            skips := skips || found.skips;
        END IF;
    END LOOP;
    IF given ? 'watermark' AND (json_typeof(mapping -> 'watermark') <> 'string'
                                OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation
                                               AND a.attname = mapping ->> 'watermark' AND NOT a.attisdropped)) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('mapping field watermark must be a column, not %s', mapping -> 'watermark');
    END IF;

    -- what is NULL or empty is not told
    FOREACH field IN ARRAY '{traits,consents}'::text[] LOOP
        IF given ? field AND json_typeof(mapping -> field) = 'object' THEN
            wrong := '';
            FOR item IN SELECT t.key, t.value FROM json_each(mapping -> field) t LOOP
                SELECT f.typed, f.uses INTO found
                FROM source_field(tables, aliases, field || '.' || item.key, item.value, 'any', search_path) f;
                uses := uses || found.uses;
                wrong := wrong || format('%s(%L, pg_catalog.to_jsonb(%s))',
                                         CASE wrong WHEN '' THEN '' ELSE ', ' END, item.key,
                                         found.typed);
                IF field = 'consents' THEN
                    hint := (SELECT min(r.flaw)
                             FROM (SELECT btrim(item.value #>> '{}', '''') AS word
                                   WHERE item.value #>> '{}' ~ '^''[^'']*''$'
                                   UNION ALL
                                   SELECT m.value #>> '{}'
                                   FROM json_each(CASE json_typeof(item.value) WHEN 'object' THEN item.value
                                                      ELSE '{}' END) m
                                   WHERE m.key <> 'case'
                                   UNION ALL
                                   SELECT 'granted') w
                                  CROSS JOIN LATERAL read_consents(jsonb_build_object(item.key, w.word)) r);
                    IF hint IS NOT NULL THEN
                        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                            MESSAGE = format('mapping field consents.%s is not understood', item.key),
                            DETAIL = upper(left(hint, 1)) || substr(hint, 2) || '.',
                            HINT = 'The name is a purpose, or purpose/channel; values are true, false, granted, '
                                   'denied, withdrawn or expired.';
                    END IF;
                END IF;
            END LOOP;
            IF wrong = '' THEN
                RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                    MESSAGE = format('mapping field %s names none', field);
            END IF;
            code := code || jsonb_build_object(field, format('(VALUES %s)', wrong));
            wrong := NULL;
        ELSIF given ? field THEN
            SELECT f.typed, f.uses INTO found
            FROM source_field(tables, aliases, field, mapping -> field, 'jsonb', search_path) f;
            uses := uses || found.uses;
            code := code || jsonb_build_object(field, format('pg_catalog.jsonb_each(%s)', found.typed));
        END IF;
    END LOOP;

    FOR change IN
        SELECT c.value FROM json_array_elements(CASE json_typeof(mapping -> 'on_change')
                                                    WHEN 'array' THEN mapping -> 'on_change'
                                                    ELSE json_build_array(mapping -> 'on_change') END) c(value)
        WHERE given ? 'on_change'
    LOOP
        hint := 'Such as {"column": "status", "at": "updated_at", "actions": {"0": "reopened", "1": "resolved"}}.';
        IF json_typeof(change) <> 'object' THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', HINT = hint,
                MESSAGE = format('mapping field on_change must be an object, or an array of objects, not %s', change);
        END IF;
        wrong := (SELECT k.key FROM json_object_keys(change) k(key)
                  WHERE k.key <> ALL ('{column,at,where,actions,initially}')
                      AND NOT event_types - 'occurred_at'::text ? k.key LIMIT 1);
        number := (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = change ->> 'column'
                   AND a.attnum > 0 AND NOT a.attisdropped);
        IF wrong IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('unknown mapping field: on_change.%s', wrong),
                HINT = 'There are column, at, where, actions, initially, and fields of the touchpoint.';
        ELSIF change ->> 'column' IS NULL OR number IS NULL THEN
            hint := (SELECT nearest_field(change ->> 'column', array_agg(a.attname::text)) FROM pg_attribute a
                     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped);
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = coalesce(format('mapping field on_change.column must be a column of %s, not ', relation)
                                   || (change -> 'column')::text, 'mapping field on_change.column is missing'),
                HINT = coalesce('Perhaps you mean ' || hint || '.',
                                'An expression can''t be watched: name its column.');
        ELSIF (change -> 'actions' IS NULL) = (change -> 'action' IS NULL)
              OR change -> 'actions' IS NOT NULL AND json_typeof(change -> 'actions') <> 'object' THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', HINT = hint,
                MESSAGE = format('mapping field on_change of column %s needs actions, an object, or an action',
                                 change ->> 'column');
        ELSIF NOT code ? 'channel' AND change -> 'channel' IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'mapping field channel is missing',
                HINT = 'A change is a touchpoint, which needs a channel.';
        END IF;
        uses := uses || format('1:%s', number);
        change_columns := change_columns || number::text;
        change_code := code - '{occurred_at,action,value,currency}'::text[] || jsonb_build_object(
            'occurred_at', format('%s.noted_at', note_alias));
        FOR item IN SELECT c.key,
        c.value FROM json_each(change) c WHERE c.key NOT IN ('column', 'actions', 'initially') LOOP
            SELECT f.typed, f.uses INTO found
            FROM source_field(CASE item.key WHEN 'at' THEN tables[:1] ELSE tables END,
                              CASE item.key WHEN 'at' THEN aliases[:1] ELSE aliases END, 'on_change.'
                                  || item.key, item.value,
                              CASE item.key WHEN 'at' THEN 'timestamp with time zone' WHEN 'where' THEN 'boolean'
                                  ELSE event_types ->> item.key END, search_path) f;
            uses := uses || found.uses;
            change_code := change_code || jsonb_build_object(CASE item.key WHEN 'at' THEN 'occurred_at'
                                                             ELSE item.key END,
                                                             found.typed);
            IF item.key = 'at' THEN
                change_columns := change_columns
                                  || array(SELECT split_part(u.use, ':', 2) FROM unnest(found.uses) u(use));
            END IF;
        END LOOP;
        -- of a row that is seen for the first time there is no value before; note 0 stands for that
        FOREACH field IN ARRAY '{actions,initially}'::text[] LOOP
            CONTINUE WHEN change -> field IS NULL;
            IF json_typeof(change -> field) <> 'object'
               OR EXISTS (SELECT FROM json_each(change -> field) a
                          WHERE json_typeof(a.value) NOT IN ('string', 'null')) THEN
                RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', HINT = hint,
                    MESSAGE = format('mapping field on_change.%s must say what values mean, each an '
                                     'action or null, not %s',
                                     field, change -> field);
            END IF;
            action := (SELECT CASE WHEN count(*) > 0 THEN format('(CASE%s ELSE %L::pg_catalog.text END)',
                                     string_agg(format(' WHEN %s.after = %L THEN %L::pg_catalog.text',
                                                       note_alias, a.key,
                                                       a.value #>> '{}'), ''), change -> field ->> 'else') END
                       FROM json_each(change -> field) a WHERE a.key <> 'else');
            IF action IS NULL THEN
                RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', HINT = hint,
                    MESSAGE = format('mapping field on_change.%s says of no value what it means', field);
            END IF;
            change_code := change_code
                || jsonb_build_object(CASE field WHEN 'actions' THEN 'action' ELSE field END, action);
        END LOOP;
        change_code := change_code || jsonb_build_object(
            'action', format('(CASE WHEN %s.note_id = 0 THEN %s ELSE %s END)', note_alias,
                             coalesce(change_code ->> 'initially', 'NULL::pg_catalog.text'), change_code ->> 'action'));
        changes := changes || jsonb_build_object(
            'column', change ->> 'column',
            'initially', change -> 'initially' IS NOT NULL,
            'key', format('%s.key || %L || %s.note_id', is_alias, '/' || (change ->> 'column') || '/', note_alias),
            'wanted', format('%s IS NOT NULL AND coalesce(%s AND %s, false)', change_code ->> 'action',
                             coalesce(code ->> 'evidence_where', 'true'),
                             CASE WHEN change -> 'where' IS NULL THEN 'true' ELSE change_code ->> 'where' END),
            'event', event_fields(change_code, who_alias || '.identifiers', source,
                                  format('%s.key || %L || %s.note_id', is_alias, '/' || (change ->> 'column') || '/',
                                         note_alias)));
    END LOOP;
    kept_columns := array(SELECT DISTINCT c.number::smallint FROM unnest(change_columns) c(number) ORDER BY 1);

    columns := (SELECT jsonb_object_agg(a.attnum, a.attname) FROM pg_attribute a
                WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
                      AND ('1:' || a.attnum = ANY (uses) OR '1:0' = ANY (uses)));
    lookups := (SELECT coalesce(jsonb_agg(l.value || jsonb_build_object('columns', (
                           SELECT coalesce(jsonb_object_agg(a.attnum, a.attname), '{}') FROM pg_attribute a
                           WHERE a.attrelid = (l.value ->> 'relation')::oid AND a.attnum > 0 AND NOT a.attisdropped
                                 AND (l.n + 1 || ':' || a.attnum = ANY (uses) OR l.n + 1 || ':0' = ANY (uses))))
                       ORDER BY l.n), '[]')
                FROM jsonb_array_elements(lookups) WITH ORDINALITY l(value, n));
    compiled := jsonb_strip_nulls(jsonb_build_object(
        'alias', alias, 'ending', ending, 'log', coalesce(mapping ->> 'key' = '*', false),
        'keep', coalesce(mapping ->> 'on_delete' = 'keep', false),
        'key', CASE WHEN part = '' THEN code ->> 'key' ELSE format('(%L || %s)', part || ':', code ->> 'key') END,
        'place', code -> 'place', 'watermark', mapping -> 'watermark', 'makes_evidence',
        'evidence' = ANY (makes) OR given ? 'on_change',
        'key_columns', (SELECT coalesce(jsonb_agg(a.attname ORDER BY k.n), '[]')
                        FROM unnest(key_columns) WITH ORDINALITY k(attnum, n)
                             JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.attnum),
        'kept_columns', (SELECT coalesce(jsonb_agg(a.attname ORDER BY k.n), '[]')
                         FROM unnest(kept_columns) WITH ORDINALITY k(attnum, n)
                              JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.attnum),
        'identifiers', format('pg_catalog.array_remove(%s, NULL)', array_to_string(identifiers, ' || ')),
        -- What a change tells stays when the row is pointed elsewhere, so it must join nobody: the row's evidence does
        'changer', format('(pg_catalog.array_remove(%s, NULL))[1:1]', array_to_string(references_first, ' || ')),
        'wanted', CASE WHEN touchpoint
                       THEN concat_ws(' AND ', coalesce(code ->> 'where', 'true'),
                                      nullif(array_to_string(array(SELECT 'NOT ' || s.skip
                                                                   FROM unnest(skips) s(skip)), ' AND '),
                                             '')) ELSE 'false' END,
        'told', CASE WHEN 'evidence' = ANY (makes) OR given ?| '{traits,consents,on_change}'
            THEN coalesce(code ->> 'evidence_where', 'true')
                     ELSE 'false' END,
        'observation', format('ROW(%s.identifiers, %s, %L::pg_catalog.text, %s.key)', who_alias,
                              coalesce(code ->> 'occurred_at', 'NULL::pg_catalog.timestamptz'), source, is_alias),
        'traits', code -> 'traits', 'traits_at', coalesce(code -> 'traits_at', code -> 'occurred_at'),
        'consents', code -> 'consents', 'consents_at', coalesce(code -> 'consents_at', code -> 'occurred_at'),
        'event', CASE WHEN touchpoint
                      THEN event_fields(code, who_alias || '.identifiers', source, is_alias || '.key') END,
        'changes', changes));
END $read_mapping$;
COMMENT ON FUNCTION @hub@.read_mapping(regclass, json, text, text, text) IS
    'check a mapping, and compile it to SQL';

CREATE OR REPLACE FUNCTION @hub@.find_table(relation regclass, name text) RETURNS regclass
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce((SELECT c.oid::regclass FROM pg_class c WHERE c.oid = find_table.relation),
                    to_regclass(find_table.name));
END;
COMMENT ON FUNCTION @hub@.find_table(regclass, text) IS 'a table by its number, or by its name; NULL: it was dropped';

CREATE OR REPLACE FUNCTION @hub@.name_of_table(relation regclass) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = name_of_table.relation;
END;
COMMENT ON FUNCTION @hub@.name_of_table(regclass) IS 'schema and name of a table';

-- Where a dump was restored the same numbers may be those of another table, or of the same with others of its columns
CREATE OR REPLACE FUNCTION @hub@.id_of_table(relation regclass) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT concat_ws('/', y.system_identifier, d.oid, id_of_table.relation::oid)
    FROM pg_control_system() y CROSS JOIN pg_database d WHERE d.datname = current_database();
END;
COMMENT ON FUNCTION @hub@.id_of_table(regclass) IS 'numbers of a cluster, its database and a table';

-- Columns of a table as they are called now, by the names they had when the mapping was read: the column of that
-- number, unless the table is another one; or of that name, if it was dropped and made anew. types has theirs, written
-- so that no search_path matters.
CREATE OR REPLACE FUNCTION @hub@.columns_now(relation regclass, by_name boolean, columns jsonb, columns_seen jsonb,
                                             OUT names jsonb, OUT types jsonb, OUT gone text[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
BEGIN
    SELECT coalesce(jsonb_object_agg(c.value, a.attname
                                     ORDER BY c.key::integer) FILTER (WHERE a.attnum IS NOT NULL), '{}'),
           coalesce(jsonb_object_agg(c.value,
                                     format('%I.%I', n.nspname, t.typname)) FILTER (WHERE a.attnum IS NOT NULL),
                    '{}'),
           coalesce(array_agg(c.value ORDER BY c.key::integer) FILTER (WHERE a.attnum IS NULL), '{}')
    INTO names, types, gone
    FROM jsonb_each_text(columns_now.columns) c
         LEFT JOIN LATERAL (
             SELECT a.attnum, a.attname, a.atttypid FROM pg_attribute a
             WHERE a.attrelid = columns_now.relation AND a.attnum > 0 AND NOT a.attisdropped
                   AND (a.attnum = c.key::integer AND NOT columns_now.by_name OR a.attname = c.value
                        OR a.attname = columns_now.columns_seen -> c.key ->> 0)
             ORDER BY a.attnum = c.key::integer AND NOT columns_now.by_name DESC,
                      a.attname = columns_now.columns_seen -> c.key ->> 0 DESC NULLS LAST
             LIMIT 1) a ON true
         LEFT JOIN pg_type t ON t.oid = a.atttypid
         LEFT JOIN pg_namespace n ON n.oid = t.typnamespace;
END $$;
COMMENT ON FUNCTION @hub@.columns_now(regclass, boolean, jsonb, jsonb) IS
    'what the columns of a mapping are called now, their types, and which there are no more';

-- A compiled mapping with the tables it reads: relations are told by number and, if there is none such any more, by
-- name.
CREATE OR REPLACE FUNCTION @hub@.locate_mapping(
    compiled jsonb, relation regclass, relation_id text, relation_name text, columns jsonb, columns_seen jsonb,
    lookups jsonb)
RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    located jsonb := compiled;
    each_table record;
    found regclass;
    named record;
    at jsonb;
    located_lookups jsonb := '[]';
BEGIN
    FOR each_table IN
        SELECT NULL::text AS lookup, relation AS relation, relation_id AS relation_id, relation_name AS relation_name,
               columns AS columns, columns_seen AS columns_seen, '{}'::jsonb AS told, 0 AS n
        UNION ALL
        SELECT l.value ->> 'lookup', (l.value ->> 'relation')::oid::regclass, l.value ->> 'relation_id',
               l.value ->> 'relation_name', l.value -> 'columns', l.value -> 'columns_seen', l.value, l.n
        FROM jsonb_array_elements(lookups) WITH ORDINALITY l(value, n)
        ORDER BY n
    LOOP
        found := find_table(each_table.relation, each_table.relation_name);
        IF found IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_table',
                MESSAGE = format('table %s was dropped',
                                 coalesce(each_table.relation_name, each_table.relation::oid::text)),
                DETAIL = CASE WHEN each_table.lookup IS NULL THEN 'It is attached.'
                         ELSE format('Lookup %s of the mapping reads it.', each_table.lookup) END;
        END IF;
        SELECT c.names, c.types, c.gone INTO named
        FROM columns_now(found, id_of_table(found) <> each_table.relation_id,
                         each_table.columns, each_table.columns_seen) c;
        IF named.gone <> '{}' THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = format('column %s of %s is gone', array_to_string(named.gone, ', '), found),
                DETAIL = 'The mapping uses it.',
                HINT = format('Make it anew, or give the source another mapping by %I.alter_source.', current_schema());
        END IF;
        at := jsonb_build_object(
            'table', name_of_table(found),
            'oid', found::oid, 'names', named.names, 'types', named.types);
        IF each_table.n = 0 THEN
            located := located || at;
        ELSE
            located_lookups := located_lookups || (each_table.told || at);
        END IF;
    END LOOP;
    RETURN located || jsonb_build_object('lookups', located_lookups);
END $$;
COMMENT ON FUNCTION @hub@.locate_mapping(jsonb, regclass, text, text, jsonb, jsonb, jsonb) IS
    'a compiled mapping, and what its tables and columns are called now';

CREATE OR REPLACE FUNCTION @hub@.mapping_of(source_id integer) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    located jsonb;
BEGIN
    SELECT locate_mapping(s.compiled, s.relation, s.relation_id, s.relation_name, s.columns, s.columns_seen,
                          (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                      'lookup', l.lookup, 'relation', l.relation::oid, 'relation_id', l.relation_id,
                                      'relation_name', l.relation_name, 'columns', l.columns,
                                      'columns_seen', l.columns_seen, 'conditions', l.conditions, 'fixed', l.fixed,
                                      'key_columns', l.key_names)
                                      ORDER BY l.position), '[]')
                           FROM source_lookups l WHERE l.source_id = s.source_id))
    INTO located
    FROM sources s WHERE s.source_id = mapping_of.source_id;
    IF located IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no source of number %s', source_id);
    END IF;
    RETURN located;
END $$;
COMMENT ON FUNCTION @hub@.mapping_of(integer) IS 'the compiled mapping of a source, as its tables are now';

-- FROM items of a query: rows that rows_from yields, under the names the mapping knows, and what is looked up for them,
-- by the lookups before one, or all. NULL instead of rows_from: "row " is there already. Values of kept columns may be
-- given instead of the row's.
CREATE OR REPLACE FUNCTION @hub@.mapping_from(mapping jsonb, rows_from text, numbered boolean DEFAULT false,
                                              until_lookup text DEFAULT NULL, kept jsonb DEFAULT '{}')
RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    row_alias CONSTANT text := quote_ident('row' || (mapping ->> 'ending'));
    item record;
    items text := '';
    columns text;
    renamed text;
BEGIN
    SELECT string_agg(format('r.%I AS c%s', c.value, c.n), ', ' ORDER BY c.n),
           string_agg(format('%s AS %I', coalesce(kept ->> c.key, format('%s.c%s', row_alias, c.n)), c.key), ', '
                      ORDER BY c.n)
    INTO columns, renamed
    FROM jsonb_each_text(mapping -> 'names') WITH ORDINALITY c(key, value, n);
    IF rows_from IS NOT NULL THEN
        items := format('(SELECT %s%s FROM %s r) %s CROSS JOIN LATERAL ', columns,
                        CASE WHEN numbered THEN ', pg_catalog.row_number() OVER () AS n' ELSE '' END,
                        rows_from, row_alias);
    END IF;
    items := items || format('(SELECT %s) %I', renamed, mapping ->> 'alias');
    FOR item IN
        SELECT l.value ->> 'lookup' AS lookup, l.value ->> 'table' AS source_table,
               (SELECT string_agg(format('l.%I AS %I', c.value, c.key), ', ')
                FROM jsonb_each_text(l.value -> 'names') c) AS columns,
               (SELECT string_agg(c.value, ' AND ')
                FROM jsonb_array_elements_text(l.value -> 'conditions') c) AS condition
        FROM jsonb_array_elements(mapping -> 'lookups') WITH ORDINALITY l(value, n)
        ORDER BY l.n
    LOOP
        EXIT WHEN item.lookup = until_lookup;
        items := items || format(' LEFT JOIN (SELECT %s FROM %s l) %I ON %s', item.columns,
                                 item.source_table, item.lookup,
                                 item.condition);
    END LOOP;
    RETURN items;
END $$;
COMMENT ON FUNCTION @hub@.mapping_from(jsonb, text, boolean, text, jsonb) IS
    'rows of an attached table as its mapping sees them, as SQL';

-- The query over rows of the table, see mapped_rows. Nothing is evaluated for a row that is not wanted.
CREATE OR REPLACE FUNCTION @hub@.mapping_query(mapping jsonb, rows_from text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ending CONSTANT text := mapping ->> 'ending';
    is_alias CONSTANT text := quote_ident('is' || ending);
    who_alias CONSTANT text := quote_ident('who' || ending);
    hub CONSTANT name := current_schema();
    tells_traits CONSTANT boolean := mapping ? 'traits';
BEGIN
    RETURN format('SELECT %1$s.key AS key, %1$s.wanted AS wanted, %2$s.identifiers AS identifiers, ',
                  is_alias, who_alias)
           || CASE WHEN mapping ? 'event'
                   THEN format('CASE WHEN %s.wanted THEN ROW(%s)::%I.event END AS event, ', is_alias,
                               mapping ->> 'event', hub)
                   ELSE format('NULL::%I.event AS event, ', hub) END
           || CASE WHEN (mapping ->> 'makes_evidence')::boolean
                   THEN format('CASE WHEN %1$s.told AND NOT %1$s.wanted THEN %2$s::%3$I.observation '
                               'END AS observation, ',
                               is_alias, mapping ->> 'observation', hub)
                   ELSE format('NULL::%I.observation AS observation, ', hub) END
           || CASE WHEN tells_traits
                   THEN format('CASE WHEN %s.told THEN (SELECT pg_catalog.jsonb_object_agg(t.trait, t.value) '
                               'FROM %s t(trait, value) WHERE %4$I.told_value(t.value) <> ''null'') END AS traits, '
                               'CASE WHEN %1$s.told THEN %3$s END AS traits_at, ',
                               is_alias, mapping ->> 'traits',
                               coalesce(mapping ->> 'traits_at', 'NULL::pg_catalog.timestamptz'),
                               hub)
                   ELSE 'NULL::pg_catalog.jsonb AS traits, NULL::pg_catalog.timestamptz AS traits_at, ' END
           || CASE WHEN mapping ? 'consents'
                   THEN format('CASE WHEN %s.told THEN (SELECT coalesce(pg_catalog.jsonb_object_agg(t.name, '
                               '%3$I.dated_consent(t.value, %4$s)), ''{}'') '
                               'FROM %2$s t(name, value) WHERE %3$I.told_value(t.value) <> ''null'') END AS consents, ',
                               is_alias, mapping ->> 'consents', hub, mapping ->> 'consents_at')
                   ELSE 'NULL::pg_catalog.jsonb AS consents, ' END
           || format('%s AS place FROM %s', coalesce(mapping ->> 'place', quote_ident('row' || ending) || '.n'),
                     mapping_from(mapping, rows_from, NOT mapping ? 'place'))
           || format(' CROSS JOIN LATERAL (SELECT %s AS key, coalesce(%s, false) AS wanted, coalesce(%s, false) '
                     'AS told OFFSET 0) %s',
                     mapping ->> 'key', mapping ->> 'wanted', mapping ->> 'told', is_alias)
           || format(' CROSS JOIN LATERAL (SELECT CASE WHEN %1$s.wanted OR %1$s.told THEN %2$s END AS '
                     'identifiers OFFSET 0) %3$s',
                     is_alias, mapping ->> 'identifiers', who_alias);
END $$;
COMMENT ON FUNCTION @hub@.mapping_query(jsonb, text) IS 'the query that tells what rows mean, by a mapping';

-- What rows of a source mean: a query over rows_from, a FROM item of rows of the table, or of rows with its columns.
-- The query must be run under the source's search_path, with the settings that the text of values depends on. Its
-- columns: key          source_key, with the part wanted       whether the row is a touchpoint identifiers  of the row,
-- references last; NULL: it is neither touchpoint nor tells anything event        the touchpoint; NULL: not wanted
-- observation  evidence of a row that is no touchpoint; its time is NULL where the mapping tells none: it is now
-- traits, traits_at   as of when; NULL: now consents     each with its time place        the order rows come in
CREATE OR REPLACE FUNCTION @hub@.mapped_rows(source_id integer, rows_from text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN mapping_query(mapping_of(source_id), rows_from);
END $$;
COMMENT ON FUNCTION @hub@.mapped_rows(integer, text) IS 'query that tells what rows of an attached table mean';

-- Query for the source_keys of rows that tell nothing but touchpoints, though on_change has made something of them
CREATE OR REPLACE FUNCTION @hub@.untold_rows(source_id integer, rows_from text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    mapping CONSTANT jsonb := mapping_of(source_id);
BEGIN
    RETURN format('SELECT k.key FROM (SELECT %s AS key FROM %s WHERE NOT coalesce(%s, false)) k WHERE EXISTS (SELECT '
                  'FROM %I.source_changes c WHERE c.source OPERATOR(pg_catalog.=) %L AND c.row_key '
                  'OPERATOR(pg_catalog.=) k.key)',
                  mapping ->> 'key', mapping_from(mapping, rows_from), mapping ->> 'told', current_schema(),
                  (SELECT s.source FROM sources s WHERE s.source_id = untold_rows.source_id));
END $$;
COMMENT ON FUNCTION @hub@.untold_rows(integer, text) IS
    'query for keys of rows whose changes count no more';

-- Values of key columns in a text[], as many as the key has for each row, as conditions or columns of a query
CREATE OR REPLACE FUNCTION @hub@.key_values(columns jsonb, types jsonb, parameter text, number text, pattern text,
                                            separator text)
RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT string_agg(format(pattern, k.name,
                                     format('((%s::pg_catalog.text[])[(%s - 1) * %s + %s])::%s', parameter, number,
                                            jsonb_array_length(columns), k.n, types ->> k.name)),
                              separator ORDER BY k.n)
            FROM jsonb_array_elements_text(columns) WITH ORDINALITY k(name, n));
END $$;
COMMENT ON FUNCTION @hub@.key_values(jsonb, jsonb, text, text, text, text) IS 'values in an array, as SQL';

-- Whether an index finds rows by these columns, as they are called now
CREATE OR REPLACE FUNCTION @hub@.has_index(relation regclass, columns text[]) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND a.attname = ANY (columns));
END $$;
COMMENT ON FUNCTION @hub@.has_index(regclass, text[]) IS 'whether an index of a table begins with one of some columns';

-- FROM item of the rows whose key values are in $1, in that order. The rows of a log are what their notes say.
CREATE OR REPLACE FUNCTION @hub@.noted_rows(source_id integer) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    mapping CONSTANT jsonb := mapping_of(source_id);
    width CONSTANT integer := jsonb_array_length(mapping -> 'key_columns');
    keys CONSTANT text := format('pg_catalog.generate_series(1, '
                                 'pg_catalog.cardinality($1::pg_catalog.text[]) / %s) i(n)',
                                 width);
    now jsonb := '[]';
    types jsonb;
    -- of several columns of a view one may be NULL
    same CONSTANT text := CASE WHEN width > 1 AND (SELECT c.relkind NOT IN ('r', 'p') FROM pg_class c
                                                   WHERE c.oid = (mapping ->> 'oid')::oid)
                               THEN '(t.%1$I = %2$s OR t.%1$I IS NULL AND %2$s IS NULL)' ELSE 't.%I = %s' END;
BEGIN
    -- rows_from has the columns of the table under the names of today
    SELECT jsonb_agg(mapping -> 'names' -> k.name ORDER BY k.n),
           jsonb_object_agg(mapping -> 'names' ->> k.name, mapping -> 'types' -> k.name)
    INTO now, types
    FROM jsonb_array_elements_text(mapping -> 'key_columns') WITH ORDINALITY k(name, n);
    IF (mapping ->> 'log')::boolean THEN
        RETURN format('(SELECT %s FROM %s ORDER BY i.n)',
                      key_values(now, types, '$1', 'i.n', '%2$s AS %1$I', ', '), keys);
    ELSIF has_index((mapping ->> 'oid')::oid, array(SELECT j.name FROM jsonb_array_elements_text(now) j(name))) THEN
        RETURN format('(SELECT t.* FROM %s CROSS JOIN LATERAL (SELECT * FROM %s t WHERE %s OFFSET 0) t '
                      'ORDER BY i.n)', keys,
                      mapping ->> 'table', key_values(now, types, '$1', 'i.n', same, ' AND '));
    END IF;
    RETURN format('(SELECT t.* FROM %s JOIN %s t ON %s ORDER BY i.n)', keys, mapping ->> 'table',
                  key_values(now, types, '$1', 'i.n', same, ' AND '));
END $$;
COMMENT ON FUNCTION @hub@.noted_rows(integer) IS 'FROM item of rows of an attached table, by their keys';

CREATE OR REPLACE FUNCTION @hub@.noted_keys(source_id integer) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    mapping CONSTANT jsonb := mapping_of(source_id);
    noted_alias CONSTANT text := quote_ident('noted' || (mapping ->> 'ending'));
BEGIN
    RETURN format('SELECT %s AS key FROM pg_catalog.generate_series(1, '
                  'pg_catalog.cardinality($1::pg_catalog.text[]) / %s) '
                  '%5$s(n) CROSS JOIN LATERAL (SELECT %3$s) %4$I ORDER BY %5$s.n', mapping ->> 'key',
                  jsonb_array_length(mapping -> 'key_columns'),
                  key_values(mapping -> 'key_columns', mapping -> 'types', '$1', noted_alias || '.n',
                             '%2$s AS %1$I', ', '),
                  mapping ->> 'alias', noted_alias);
END $$;
COMMENT ON FUNCTION @hub@.noted_keys(integer) IS
    'query for the source_keys of key values in $1, in that order, whether there are such rows or not';

-- Query for the key values, as text, of rows that use rows of a lookup, whose key values are in $1
CREATE OR REPLACE FUNCTION @hub@.looked_up_rows(source_id integer, lookup text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    mapping CONSTANT jsonb := mapping_of(source_id);
    looked_up CONSTANT jsonb := (SELECT l.value FROM jsonb_array_elements(mapping -> 'lookups') l(value)
                                 WHERE l.value ->> 'lookup' = looked_up_rows.lookup);
BEGIN
    IF looked_up IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('the mapping of %s has no lookup %s', mapping ->> 'table', lookup);
    END IF;
    -- in the place of the lookup there are the noted keys, under its name
    RETURN format('SELECT DISTINCT ARRAY[%s] AS key FROM %s JOIN (SELECT DISTINCT %s FROM '
                  'pg_catalog.generate_series(1, pg_catalog.cardinality($1::pg_catalog.text[]) / %s) i(n)) %I ON %s',
                  (SELECT string_agg(format('%I.%I::pg_catalog.text', mapping ->> 'alias', k.name), ', ' ORDER BY k.n)
                   FROM jsonb_array_elements_text(mapping -> 'key_columns') WITH ORDINALITY k(name, n)),
                  mapping_from(mapping, mapping ->> 'table', until_lookup => lookup),
                  key_values(looked_up -> 'key_columns', looked_up -> 'types', '$1', 'i.n', '%2$s AS %1$I', ', '),
                  jsonb_array_length(looked_up -> 'key_columns'), lookup,
                  (SELECT string_agg(c.value, ' AND ') FROM jsonb_array_elements_text(looked_up -> 'conditions') c));
END $$;
COMMENT ON FUNCTION @hub@.looked_up_rows(integer, text) IS
    'query for the keys of rows of an attached table that use rows of a lookup';

-- Query for what on_change makes of notes: key values in $1, the kept columns as they were in $2 and became in $3, each
-- as many as there are columns, numbers in $4 and times in $5. The row is read as it is now, but for the kept columns.
-- Number 0 is a row that is seen for the first time, with its values then. Columns: key of the row, change, its own
-- key, and event; NULL: nothing
CREATE OR REPLACE FUNCTION @hub@.changed_events(source_id integer) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN changes_query(mapping_of(source_id));
END $$;
COMMENT ON FUNCTION @hub@.changed_events(integer) IS 'query for the touchpoints that changes of rows are';

-- The same of rows that are seen for the first time, of a FROM item; NULL: on_change says nothing of them
CREATE OR REPLACE FUNCTION @hub@.first_events(source_id integer, rows_from text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN changes_query(mapping_of(source_id), rows_from);
END $$;
COMMENT ON FUNCTION @hub@.first_events(integer, text) IS
    'query for the touchpoints that rows which are seen for the first time are by on_change';

CREATE OR REPLACE FUNCTION @hub@.changes_query(mapping jsonb, rows_from text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    hub CONSTANT name := current_schema();
    ending CONSTANT text := mapping ->> 'ending';
    row_alias CONSTANT text := quote_ident('row' || ending);
    note_alias CONSTANT text := quote_ident('note' || ending);
    noted_alias CONSTANT text := quote_ident('noted' || ending);
    is_alias CONSTANT text := quote_ident('is' || ending);
    who_alias CONSTANT text := quote_ident('who' || ending);
    names CONSTANT jsonb := mapping -> 'names';
    kept CONSTANT jsonb := mapping -> 'kept_columns';
    width CONSTANT integer := jsonb_array_length(kept);
    value_at CONSTANT text := '(($%s::pg_catalog.text[])[(%s.n - 1) * %s + %s])';
    now_named jsonb;
    now_typed jsonb;
    kept_values jsonb := '{}';
    items text;
BEGIN
    SELECT jsonb_agg(names -> k.name ORDER BY k.n), jsonb_object_agg(names ->> k.name, mapping -> 'types' -> k.name)
    INTO now_named, now_typed
    FROM jsonb_array_elements_text(mapping -> 'key_columns') WITH ORDINALITY k(name, n);
    IF rows_from IS NOT NULL THEN
        items := format('(SELECT 0::pg_catalog.int8 AS note_id, pg_catalog.now() AS noted_at) %s', noted_alias);
    ELSE
        items := format('ROWS FROM (pg_catalog.unnest($4::pg_catalog.int8[]), '
                        'pg_catalog.unnest($5::pg_catalog.timestamptz[])) '
                        'WITH ORDINALITY %s(note_id, noted_at, n)', noted_alias);
        kept_values := (SELECT coalesce(jsonb_object_agg(k.name, format(value_at || '::%s', 3, noted_alias, width, k.n,
                                                                        mapping -> 'types' ->> k.name)), '{}')
                        FROM jsonb_array_elements_text(kept) WITH ORDINALITY k(name, n));
        rows_from := CASE WHEN (mapping ->> 'log')::boolean
                          THEN format('(SELECT %s)', key_values(now_named, now_typed, '$1', noted_alias || '.n',
                                                                '%2$s AS %1$I', ', '))
                          ELSE format('(SELECT * FROM %s t WHERE %s)', mapping ->> 'table',
                                      key_values(now_named, now_typed, '$1', noted_alias || '.n', 't.%I = %s',
                                                 ' AND ')) END;
    END IF;
    items := items
             || format(' CROSS JOIN LATERAL (SELECT %s FROM %s r OFFSET 0) %s CROSS JOIN LATERAL %s',
                       (SELECT string_agg(format('r.%I AS c%s', c.value, c.n), ', ' ORDER BY c.n)
                        FROM jsonb_each_text(names) WITH ORDINALITY c(key, value, n)), rows_from, row_alias,
                       mapping_from(mapping, NULL, kept => kept_values))
             || format(' CROSS JOIN LATERAL (SELECT %s AS key OFFSET 0) %s', mapping ->> 'key', is_alias);
    RETURN (
        SELECT string_agg(
            format('(SELECT %1$s.key AS key, %13$s AS change, CASE WHEN %12$s THEN ROW(%3$s)::%4$I.event '
                   'END AS event FROM %5$s '
                   'CROSS JOIN LATERAL (SELECT %6$s.note_id, %6$s.noted_at, %7$s AS before, %9$s AS '
                   'after OFFSET 0) %2$s '
                   'CROSS JOIN LATERAL (SELECT %10$s AS identifiers OFFSET 0) %11$s%8$s)',
                   is_alias, note_alias, c.value ->> 'event', hub, items, noted_alias,
                   CASE WHEN kept_values = '{}' THEN 'NULL::pg_catalog.text'
                        ELSE format(value_at, 2, noted_alias, width, k.n) END,
                   CASE WHEN kept_values = '{}' THEN ''
                        ELSE format(' WHERE %1$s.note_id = 0 OR %1$s.before IS DISTINCT FROM '
                                    '%1$s.after ORDER BY %2$s.n',
                                    note_alias, noted_alias) END,
                   format('%I.%I::pg_catalog.text', mapping ->> 'alias', c.value ->> 'column'), mapping ->> 'changer',
                   who_alias, c.value ->> 'wanted', c.value ->> 'key'),
            ' UNION ALL ' ORDER BY c.n)
        FROM jsonb_array_elements(mapping -> 'changes') WITH ORDINALITY c(value, n)
             JOIN jsonb_array_elements_text(kept) WITH ORDINALITY k(name, n) ON k.name = c.value ->> 'column'
        WHERE kept_values <> '{}' OR (c.value ->> 'initially')::boolean);
END $$;
COMMENT ON FUNCTION @hub@.changes_query(jsonb, text) IS
    'the query for touchpoints that changes of rows are, or rows seen for the first time, by a mapping';

-- Columns as they are called, and their types, to tell later what has changed
CREATE OR REPLACE FUNCTION @hub@.columns_to_see(relation regclass, columns jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT coalesce(jsonb_object_agg(a.attnum,
                                     jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod))), '{}')
    FROM pg_attribute a
    WHERE a.attrelid = columns_to_see.relation AND a.attnum > 0 AND columns_to_see.columns ? a.attnum::text;
END;
COMMENT ON FUNCTION @hub@.columns_to_see(regclass, jsonb) IS 'columns of a mapping with their names and types of now';

-- Put what a mapping says into sources, of which the row is there, and source_lookups
CREATE OR REPLACE FUNCTION @hub@.store_mapping(source_id integer, mapping json, search_path text,
                                               OUT unique_key boolean,
                                               OUT internal_namespaces text[], OUT lookups jsonb)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    read record;
BEGIN
    SELECT o.source, o.part, o.relation INTO s FROM sources o WHERE o.source_id = store_mapping.source_id;
    SELECT r.compiled, r.columns, r.key_columns, r.kept_columns, r.lookups, r.internal_namespaces,
           r.unique_key INTO read
    FROM read_mapping(s.relation, mapping, s.source, s.part, search_path) r;
    unique_key := read.unique_key;
    internal_namespaces := read.internal_namespaces;
    lookups := read.lookups;
    UPDATE sources o
    SET mapping = store_mapping.mapping, search_path = store_mapping.search_path, compiled = read.compiled,
        columns = read.columns,
        columns_seen = columns_to_see(s.relation, read.columns), key_columns = read.key_columns,
        kept_columns = read.kept_columns, relation_id = id_of_table(s.relation),
        relation_name = name_of_table(s.relation)
    WHERE o.source_id = store_mapping.source_id;
    DELETE FROM source_lookups l WHERE l.source_id = store_mapping.source_id;
    INSERT INTO source_lookups (source_id, lookup, position, conditions, key_names, relation, relation_id,
                                relation_name,
                                columns, columns_seen, key_columns, tables, fixed)
    SELECT source_id, l.value ->> 'lookup', l.n, array(SELECT jsonb_array_elements_text(l.value -> 'conditions')),
           array(SELECT jsonb_array_elements_text(l.value -> 'key_columns')), c.oid, id_of_table(c.oid),
           name_of_table(c.oid), l.value -> 'columns', columns_to_see(c.oid, l.value -> 'columns'),
           array(SELECT jsonb_array_elements_text(l.value -> 'key_numbers')::smallint),
           array(SELECT m.member FROM source_tables(c.oid) m WHERE NOT (l.value ->> 'fixed')::boolean
                 ORDER BY m.member),
           (l.value ->> 'fixed')::boolean
    FROM jsonb_array_elements(read.lookups) WITH ORDINALITY l(value, n)
         JOIN pg_class c ON c.oid = (l.value ->> 'relation')::oid;
END $$;
COMMENT ON FUNCTION @hub@.store_mapping(integer, json, text) IS
    'read a mapping and write down what it says; returns whether its keys must be unique, and namespaces of references';
