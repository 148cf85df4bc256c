-- Records to be matched, and the blocks that find which of them to compare.
--
-- Definitions of stewards become SQL that others run, so nothing of theirs goes in but what is checked, and quoted.

CREATE OR REPLACE FUNCTION @hub@.begin_matching() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('match_pairs', 'INSERT') THEN
        PERFORM check_may('steward');
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.begin_matching() IS 'refuse whoever is no steward';

-- A block's expression: name of a field, or function(expression [, number]). words must be innermost.
CREATE OR REPLACE FUNCTION @hub@.block_expression(expression text, OUT field text)
LANGUAGE plpgsql IMMUTABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    parts text[];
    names text[] := '{}';
    numbers integer[] := '{}';
    rest text := btrim(expression);
BEGIN
    LOOP
        parts := regexp_match(rest, '^(\w+)\s*\((.*)\)$');
        EXIT WHEN parts IS NULL;
        names := names || parts[1];
        numbers := numbers || substring(parts[2] FROM ',\s*(\d{1,4})\s*$')::integer;
        rest := btrim(regexp_replace(parts[2], ',\s*\d{1,4}\s*$', ''));
    END LOOP;
    field := rest;
    FOR n IN 1 .. cardinality(names) LOOP
        IF names[n] NOT IN ('left', 'right', 'year', 'digits', 'local_part', 'phonetic_pt', 'phonetic_es', 'words')
           OR (names[n] IN ('left', 'right')) <> (numbers[n] IS NOT NULL) OR numbers[n] = 0
           OR names[n] = 'words' AND n < cardinality(names) THEN
            field := NULL;
        END IF;
    END LOOP;
    IF field IS NULL OR field !~ '^[^(),]+$' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('this is no expression of a block: %s', coalesce(expression, 'NULL')),
            HINT = 'It is a field, such as email, or left(field, n), right(field, n), year(field), digits(field), '
                   'local_part(field), phonetic_pt(field), phonetic_es(field), words(field), or one in another, such '
                   'as phonetic_pt(words(name)).';
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.block_expression(text) IS
    'the field that an expression of a block is about';

CREATE OR REPLACE FUNCTION @hub@.blocks_of_matching(block integer DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(to_jsonb(b.block) || to_jsonb(b.expressions) ORDER BY b.block), '[]')
            FROM match_blocks b
            WHERE b.block = blocks_of_matching.block OR blocks_of_matching.block IS NULL);
END $$;
COMMENT ON FUNCTION @hub@.blocks_of_matching(integer) IS 'blocks, or one, as match_block_keys reads them';

-- ids NULL: of all records. In the order of the index, for its sake.
CREATE OR REPLACE FUNCTION @hub@.make_match_keys(ids bigint[], block integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    blocks CONSTANT jsonb := blocks_of_matching(block);
BEGIN
    IF blocks <> '[]' THEN
        INSERT INTO match_keys (block, key, record_id)
        SELECT k.block, k.key, r.record_id
        FROM match_records r CROSS JOIN LATERAL match_block_keys(r.fields, blocks) k
        WHERE ids IS NULL OR r.record_id = ANY (ids)
        ORDER BY k.block, k.key COLLATE "C", r.record_id
        ON CONFLICT DO NOTHING;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.make_match_keys(bigint[], integer) IS
    'fill match_keys, of some records or all, for a block or all';

-- Of what was too large for its block and is no longer, all are to be compared.
CREATE OR REPLACE FUNCTION @hub@.drop_match_keys(ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    blocks integer[];
    keys text[];
BEGIN
    SELECT array_agg(t.block), array_agg(t.key) INTO blocks, keys
    FROM (SELECT DISTINCT k.block, k.key, m.most FROM match_keys k JOIN match_blocks m ON m.block = k.block
          WHERE k.record_id = ANY (ids)) t
    WHERE (SELECT count(*) FROM (SELECT FROM match_keys q WHERE q.block = t.block AND q.key = t.key
                                 LIMIT t.most + 1) e) > t.most;
    DELETE FROM match_keys k WHERE k.record_id = ANY (ids);
    INSERT INTO match_due (model, record_id)
    SELECT DISTINCT d.model, k.record_id
    FROM unnest(blocks, keys) t(block, key) JOIN match_blocks m ON m.block = t.block
         CROSS JOIN LATERAL (SELECT q.record_id FROM match_keys q WHERE q.block = t.block AND q.key = t.key) k
         CROSS JOIN match_models d
    WHERE (SELECT count(*) FROM (SELECT FROM match_keys q WHERE q.block = t.block AND q.key = t.key
                                 LIMIT m.most + 1) e) <= m.most
    ORDER BY 2, 1
    ON CONFLICT ON CONSTRAINT match_due_pkey DO UPDATE SET record_id = excluded.record_id;
END $$;
COMMENT ON FUNCTION @hub@.drop_match_keys(bigint[]) IS 'forget the keys of records that have changed or are gone';

CREATE OR REPLACE FUNCTION @hub@.match_records_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[] := array(SELECT n.record_id FROM new_rows n);
BEGIN
    IF TG_OP = 'UPDATE' THEN
        PERFORM drop_match_keys(ids);
    END IF;
    PERFORM make_match_keys(ids);
    INSERT INTO match_due (model, record_id)
    SELECT m.model, u.id FROM match_models m CROSS JOIN unnest(ids) u(id)
    ORDER BY 2, 1
    ON CONFLICT ON CONSTRAINT match_due_pkey DO UPDATE  -- so that find_matches waits
    SET record_id = excluded.record_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.match_records_changed() IS 'trigger: records have other keys, and are to be matched';
CREATE OR REPLACE TRIGGER match_records_added AFTER INSERT ON @hub@.match_records
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_records_changed();
CREATE OR REPLACE TRIGGER match_records_changed AFTER UPDATE ON @hub@.match_records
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_records_changed();

-- Nothing is left of what is gone.
CREATE OR REPLACE FUNCTION @hub@.match_records_removed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[] := array(SELECT o.record_id FROM old_rows o);
BEGIN
    PERFORM drop_match_keys(ids);
    DELETE FROM match_due d WHERE d.record_id = ANY (ids);
    DELETE FROM match_pairs p USING match_models m, unnest(ids) u(id) WHERE p.model = m.model AND p.a = u.id;
    DELETE FROM match_pairs p USING unnest(ids) u(id) WHERE p.b = u.id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.match_records_removed() IS 'trigger: of records that are gone nothing is matched';
CREATE OR REPLACE TRIGGER match_records_removed AFTER DELETE ON @hub@.match_records
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_records_removed();

CREATE OR REPLACE FUNCTION @hub@.match_block_removed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM match_keys k WHERE k.block = OLD.block;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.match_block_removed() IS 'trigger: a block that is gone has no keys';
CREATE OR REPLACE TRIGGER match_block_removed AFTER DELETE ON @hub@.match_blocks
    FOR EACH ROW EXECUTE FUNCTION @hub@.match_block_removed();

CREATE OR REPLACE FUNCTION @hub@.match_model_removed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF TG_OP = 'UPDATE' THEN
        UPDATE match_due d SET model = NEW.model WHERE d.model = OLD.model;
        UPDATE match_pairs p SET model = NEW.model WHERE p.model = OLD.model;
    ELSE
        DELETE FROM match_due d WHERE d.model = OLD.model;
        DELETE FROM match_pairs p WHERE p.model = OLD.model;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.match_model_removed() IS 'trigger: pairs go with their model, or have its new name';
CREATE OR REPLACE TRIGGER match_model_removed AFTER DELETE OR UPDATE OF model ON @hub@.match_models
    FOR EACH ROW EXECUTE FUNCTION @hub@.match_model_removed();

-- Parallel arrays. Records that came from there and are not among these go.
CREATE OR REPLACE FUNCTION @hub@.put_match_records(
    taken_from text, ids bigint[], sources text[], keys text[], fields jsonb[])
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    gone bigint;
    put bigint;
BEGIN
    DELETE FROM match_records r
    WHERE r.taken_from = put_match_records.taken_from
          AND NOT EXISTS (SELECT FROM unnest(sources, keys) g(source, key)
                          WHERE g.source = r.source AND g.key = r.source_key);
    GET DIAGNOSTICS gone = ROW_COUNT;
    INSERT INTO match_records AS r (identity_id, source, source_key, taken_from, fields)
    SELECT g.id, g.source, g.key, taken_from, g.fields
    FROM unnest(ids, sources, keys, fields) g(id, source, key, fields)
    ORDER BY g.source COLLATE "C", g.key COLLATE "C"
    ON CONFLICT ON CONSTRAINT match_records_source_key DO UPDATE
    SET identity_id = excluded.identity_id, taken_from = excluded.taken_from, fields = excluded.fields,
        changed_at = now()
    WHERE (r.identity_id, r.taken_from, r.fields)
          IS DISTINCT FROM (excluded.identity_id, excluded.taken_from, excluded.fields);
    GET DIAGNOSTICS put = ROW_COUNT;
    RETURN gone + put;
END $$;
COMMENT ON FUNCTION @hub@.put_match_records(text, bigint[], text[], text[], jsonb[]) IS
    'bring the records that come from one place in line with what there is now; returns how many have changed';

CREATE OR REPLACE FUNCTION @hub@.take_match_records(
    relation regclass, key text, columns text[], namespace text DEFAULT NULL, source text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET datestyle = ISO SET intervalstyle = postgres
AS $$
#variable_conflict use_variable
DECLARE
    name text := (SELECT c.relname FROM pg_class c WHERE c.oid = relation);
    wrong text;
    keys text[];
    fields jsonb[];
    ids bigint[];
    identifiers @extschema@.identifier[];
    suppressed @extschema@.identifier[];
BEGIN
    PERFORM begin_matching();
    PERFORM pass_gate();
    IF name IS NULL OR key IS NULL OR coalesce(columns, '{}') = '{}' OR array_position(columns, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'records are taken from a table: its key, and columns to compare',
            DETAIL = format('Given: %s, %s, %s.', coalesce(relation::text, 'NULL'), coalesce(key, 'NULL'),
                            coalesce(columns::text, 'NULL'));
    END IF;
    SELECT u.name INTO wrong FROM unnest(columns || key) u(name)
    WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = u.name AND a.attnum > 0
                                                       AND NOT a.attisdropped)
    LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column',
            MESSAGE = format('column %s of %s does not exist', quote_ident(wrong), relation);
    END IF;
    namespace := coalesce(namespace, name);
    source := coalesce(source, name);
    EXECUTE format('SELECT array_agg(t.%1$I::text ORDER BY t.%1$I::text COLLATE "C"),
                           array_agg(jsonb_strip_nulls(jsonb_build_object(%2$s)) ORDER BY t.%1$I::text COLLATE "C")
                    FROM %3$s t', key,
                   (SELECT string_agg(format('%L, t.%I::text', u.name, u.name), ', ')
                    FROM (SELECT DISTINCT c.name FROM unnest(columns) c(name)) u),
                   relation) INTO keys, fields;
    IF array_position(keys, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('column %s of %s has NULLs, and is no key', quote_ident(key), relation);
    END IF;
    SELECT u.key INTO wrong FROM unnest(keys) u(key) GROUP BY u.key HAVING count(*) > 1 ORDER BY u.key LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'unique_violation',
            MESSAGE = format('column %s of %s is no key', quote_ident(key), relation),
            DETAIL = format('There are several rows of %s.', wrong);
    END IF;
    identifiers := array(SELECT @extschema@.identifier(namespace, u.key)
                         FROM unnest(keys) WITH ORDINALITY u(key, n) ORDER BY u.n);
    -- who was erased is not taken in again, though the table has him still
    suppressed := suppressed_now(identifiers);
    IF suppressed <> '{}' THEN
        PERFORM count_suppressed(source, 0, cardinality(suppressed));
        SELECT array_agg(u.key ORDER BY u.n), array_agg(u.fields ORDER BY u.n), array_agg(u.identifier ORDER BY u.n)
        INTO keys, fields, identifiers
        FROM unnest(keys, fields, identifiers) WITH ORDINALITY u(key, fields, identifier, n)
        WHERE u.identifier <> ALL (suppressed);
    END IF;
    IF keys IS NOT NULL THEN
        ids := identities_for(identifiers, array_fill(now(), ARRAY[cardinality(keys)]));
    END IF;
    RETURN put_match_records(relation::text, ids, array_fill(source, ARRAY[coalesce(cardinality(keys), 0)]), keys,
                             fields);
END $$;
COMMENT ON FUNCTION @hub@.take_match_records(regclass, text, text[], text, text) IS
    'bring match_records in line with a table: a record for each row, about the identity namespace:key, with the '
    'columns for fields; returns how many have changed. namespace and source are the table''s name, if you give none';

CREATE OR REPLACE FUNCTION @hub@.take_match_traits(traits text[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];
    sources text[];
    keys text[];
    fields jsonb[];
BEGIN
    PERFORM begin_matching();
    PERFORM pass_gate(), suppressed_now('{}');  -- fails if somebody was erased since the snapshot
    SELECT array_agg(f.identity_id), array_agg(f.source), array_agg(f.identifier), array_agg(f.fields)
    INTO ids, sources, keys, fields
    FROM (SELECT t.identity_id, t.source, i.identifier::text AS identifier,
                 jsonb_object_agg(t.trait, t.value #>> '{}') AS fields
          FROM (SELECT DISTINCT ON (s.identity_id, s.source, s.trait) s.identity_id, s.source, s.trait, s.value
                FROM traits s
                WHERE take_match_traits.traits IS NULL OR s.trait = ANY (take_match_traits.traits)
                ORDER BY s.identity_id, s.source, s.trait, s.observed_at DESC, s.value::text COLLATE "C" DESC,
                         s.source_key COLLATE "C") t
               JOIN identities i ON i.identity_id = t.identity_id
          WHERE jsonb_typeof(t.value) IN ('string', 'number', 'boolean')
          GROUP BY t.identity_id, t.source, i.identifier) f;
    RETURN put_match_records('traits', ids, sources, keys, fields);
END $$;
COMMENT ON FUNCTION @hub@.take_match_traits(text[]) IS
    'bring match_records in line with traits: a record for what each source says of each identity, its newest values '
    'for fields; returns how many have changed. NULL: all traits';

CREATE OR REPLACE FUNCTION @hub@.set_block(expressions text[], most integer DEFAULT 300) RETURNS integer
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    given text[] := array(SELECT DISTINCT btrim(u.expression) FROM unnest(expressions) u(expression) ORDER BY 1);
    number integer;
    is_new boolean;
BEGIN
    PERFORM begin_matching();
    IF given = '{}' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a block needs an expression';
    END IF;
    PERFORM block_expression(u.expression) FROM unnest(given) u(expression);
    IF (most > 1) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a block has at least two records, so most can''t be %s', coalesce(most::text, 'NULL'));
    END IF;
    INSERT INTO match_blocks AS b (expressions, most) VALUES (given, set_block.most)
    ON CONFLICT ON CONSTRAINT match_blocks_expressions_key DO UPDATE SET most = excluded.most
    RETURNING b.block, b.xmax = 0 INTO number, is_new;
    IF is_new THEN
        PERFORM make_match_keys(NULL, number);
    END IF;
    -- all pairs are to be found anew
    UPDATE match_models m SET found_at = NULL WHERE m.found_at IS NOT NULL;
    RETURN number;
END $$;
COMMENT ON FUNCTION @hub@.set_block(text[], integer) IS
    'compare records that agree in all of some expressions, if no more than most records do; returns the number of the '
    'block';

CREATE OR REPLACE FUNCTION @hub@.drop_block(expressions text[]) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM begin_matching();
    DELETE FROM match_blocks b
    WHERE b.expressions = array(SELECT DISTINCT btrim(u.expression) FROM unnest(drop_block.expressions) u(expression)
                                ORDER BY 1);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE match_models m SET found_at = NULL WHERE m.found_at IS NOT NULL;
    RETURN true;
END $$;
COMMENT ON FUNCTION @hub@.drop_block(text[]) IS 'drop a block; returns whether there was one';

CREATE OR REPLACE VIEW @hub@.match_large_blocks WITH (security_invoker = true) AS
SELECT k.block, b.expressions, replace(k.key, chr(31), ', ') AS key, count(*) AS records, b.most
FROM @hub@.match_keys k JOIN @hub@.match_blocks b ON b.block = k.block
GROUP BY k.block, b.expressions, k.key, b.most
HAVING count(*) > b.most
ORDER BY 4 DESC, 1, 3;
COMMENT ON VIEW @hub@.match_large_blocks IS 'what too many records have in common: a block does not compare these';
COMMENT ON COLUMN @hub@.match_large_blocks.block IS 'the block';
COMMENT ON COLUMN @hub@.match_large_blocks.expressions IS 'what its records must agree in';
COMMENT ON COLUMN @hub@.match_large_blocks.key IS 'what these agree in';
COMMENT ON COLUMN @hub@.match_large_blocks.records IS 'how many they are';
COMMENT ON COLUMN @hub@.match_large_blocks.most IS 'how many they may be';
