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

-- What records say of fields of conflicts: of some records, or all.
CREATE OR REPLACE FUNCTION @hub@.told_values(
    ids bigint[], OUT record_id bigint, OUT identity_id bigint, OUT conflict integer, OUT field smallint,
    OUT value bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT r.record_id, r.identity_id, c.conflict, x.field::smallint, hashtextextended(x.value, c.salt)
    FROM match_records r JOIN match_conflicts c ON c.source = r.source OR c.source IS NULL
         CROSS JOIN LATERAL (SELECT 0, r.source_key WHERE c.columns = '{}'
                             UNION ALL
                             SELECT u.n, nullif(folded(btrim(r.fields ->> u.name)), '')
                             FROM unnest(c.columns) WITH ORDINALITY u(name, n)) x(field, value)
    WHERE x.value IS NOT NULL AND (ids IS NULL OR r.record_id = ANY (ids));
END $$;
COMMENT ON FUNCTION @hub@.told_values(bigint[]) IS 'what records say of fields of match_conflicts';

CREATE OR REPLACE FUNCTION @hub@.put_match_values(ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    gone bigint[];
    added bigint[];
BEGIN
    IF NOT EXISTS (SELECT FROM match_conflicts c) AND NOT EXISTS (SELECT FROM match_values v) THEN
        RETURN '{}';
    END IF;
    WITH told AS MATERIALIZED (
        SELECT t.record_id, t.identity_id, t.conflict, t.field, t.value FROM told_values(ids) t
    ), removed AS (
        DELETE FROM match_values v
        WHERE (ids IS NULL OR v.record_id = ANY (ids))
              AND NOT EXISTS (SELECT FROM told t
                              WHERE t.record_id = v.record_id AND t.conflict = v.conflict AND t.field = v.field
                                    AND t.identity_id = v.identity_id AND t.value = v.value)
        RETURNING v.identity_id
    )
    SELECT array_agg(DISTINCT r.identity_id) INTO gone FROM removed r;
    WITH put AS (
        INSERT INTO match_values AS v (record_id, identity_id, conflict, field, value)
        SELECT t.record_id, t.identity_id, t.conflict, t.field, t.value FROM told_values(ids) t
        ON CONFLICT DO NOTHING
        RETURNING v.identity_id
    )
    SELECT array_agg(DISTINCT p.identity_id) INTO added FROM put p;
    RETURN array(SELECT unnest(gone) UNION SELECT unnest(added));
END $$;
COMMENT ON FUNCTION @hub@.put_match_values(bigint[]) IS
    'fill match_values, of some records or all; returns the identities of which that has changed';

-- Stitch anew where guesses may join now what they did not, or not what they did. Locked even where there are none:
-- somebody may be about to record one.
CREATE OR REPLACE FUNCTION @hub@.match_values_changed(ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    nodes bigint[];
    locked bigint[];
    components bigint[];
BEGIN
    IF ids = '{}' THEN
        RETURN;
    END IF;
    FOR try IN 1 .. 1000 LOOP
        BEGIN
            nodes := nodes_of(ids);
            SELECT l.locked INTO locked FROM lock_components(nodes, nodes, '{}', '{}') l;
            components := '{}';
            IF are_there_guesses() THEN
                components := array(
                    SELECT u.id FROM unnest(components_of(nodes, nodes)) u(id)
                    WHERE EXISTS (SELECT FROM customers c WHERE c.component_id = u.id)
                    UNION
                    SELECT i.component
                    FROM (SELECT u.id AS component, k.identity_id AS id
                          FROM unnest(components_of(nodes, nodes)) u(id)
                               CROSS JOIN LATERAL (SELECT o.identity_id FROM identities o
                                                   WHERE o.customer_id = u.id OFFSET 0) k) i
                         CROSS JOIN LATERAL (SELECT m.conflict, m.field, m.value FROM match_values m
                                             WHERE m.identity_id = i.id OFFSET 0) v
                    GROUP BY i.component, v.conflict, v.field HAVING min(v.value) < max(v.value));
            END IF;
            IF components <> '{}' THEN
                PERFORM restitch(members_of(components));
            END IF;
            -- written even if nothing in it changes: it tells whoever works from an older snapshot
            UPDATE customers c SET identities = c.identities WHERE c.customer_id = ANY (locked);
            RETURN;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            NULL;  -- components have moved
        END;
    END LOOP;
    RAISE EXCEPTION USING ERRCODE = 'data_corrupted', MESSAGE = 'identities don''t fit together',
        HINT = 'Tables were changed by hand: stitch_check() tells what is wrong, and stitch_all() mends it.';
END $$;
COMMENT ON FUNCTION @hub@.match_values_changed(bigint[]) IS
    'stitch anew what conflicts may part, or part no longer, now that records say something else of some identities';

-- Who may write records may do what follows from it: these have the rights of the hub's owner.
CREATE OR REPLACE FUNCTION @hub@.match_records_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[] := array(SELECT n.record_id FROM new_rows n);
BEGIN
    IF ids = '{}' THEN
        RETURN NULL;
    END IF;
    PERFORM begin_stitching();  -- no conflict is set meanwhile
    IF TG_OP = 'UPDATE' THEN
        PERFORM drop_match_keys(ids);
    END IF;
    PERFORM make_match_keys(ids);
    INSERT INTO match_due (model, record_id)
    SELECT m.model, u.id FROM match_models m CROSS JOIN unnest(ids) u(id)
    ORDER BY 2, 1
    ON CONFLICT ON CONSTRAINT match_due_pkey DO UPDATE  -- so that find_matches waits
    SET record_id = excluded.record_id;
    PERFORM match_values_changed(put_match_values(ids));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.match_records_changed() IS 'trigger: records have other keys, and are to be matched';
REVOKE EXECUTE ON FUNCTION @hub@.match_records_changed() FROM PUBLIC;
CREATE OR REPLACE TRIGGER match_records_added AFTER INSERT ON @hub@.match_records
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_records_changed();
CREATE OR REPLACE TRIGGER match_records_changed AFTER UPDATE ON @hub@.match_records
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_records_changed();

-- Nothing is left of what is gone.
CREATE OR REPLACE FUNCTION @hub@.match_records_removed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM begin_stitching();
        DELETE FROM match_keys;
        DELETE FROM match_due;
        DELETE FROM match_pairs;
        PERFORM match_values_changed(put_match_values(NULL));
        RETURN NULL;
    END IF;
    ids := array(SELECT o.record_id FROM old_rows o);
    IF ids = '{}' THEN
        RETURN NULL;
    END IF;
    PERFORM begin_stitching(), drop_match_keys(ids);
    DELETE FROM match_due d WHERE d.record_id = ANY (ids);
    DELETE FROM match_pairs p USING match_models m, unnest(ids) u(id) WHERE p.model = m.model AND p.a = u.id;
    DELETE FROM match_pairs p USING unnest(ids) u(id) WHERE p.b = u.id;
    PERFORM match_values_changed(put_match_values(ids));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.match_records_removed() IS 'trigger: of records that are gone nothing is matched';
REVOKE EXECUTE ON FUNCTION @hub@.match_records_removed() FROM PUBLIC;
CREATE OR REPLACE TRIGGER match_records_removed AFTER DELETE ON @hub@.match_records
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_records_removed();
CREATE OR REPLACE TRIGGER match_records_emptied AFTER TRUNCATE ON @hub@.match_records
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_records_removed();

CREATE OR REPLACE FUNCTION @hub@.match_conflicts_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM begin_changing_rules(CASE WHEN TG_OP IN ('DELETE', 'TRUNCATE') THEN 'drop_conflict'
                                      ELSE 'set_conflict' END);
    PERFORM put_match_values(NULL);
    IF are_there_guesses() THEN
        PERFORM restitch(NULL);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.match_conflicts_changed() IS 'trigger: guesses give way to other conflicts';
REVOKE EXECUTE ON FUNCTION @hub@.match_conflicts_changed() FROM PUBLIC;
CREATE OR REPLACE TRIGGER match_conflicts_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
    ON @hub@.match_conflicts
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_conflicts_changed();

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

-- Parallel arrays. Records that came from there and are not among these go; of some identities, or all.
CREATE OR REPLACE FUNCTION @hub@.put_match_records(
    taken_from text, ids bigint[], sources text[], keys text[], fields jsonb[], among bigint[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    gone bigint;
    put bigint;
BEGIN
    DELETE FROM match_records r
    WHERE r.taken_from = put_match_records.taken_from AND (among IS NULL OR r.identity_id = ANY (among))
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
COMMENT ON FUNCTION @hub@.put_match_records(text, bigint[], text[], text[], jsonb[], bigint[]) IS
    'bring the records that come from one place in line with what there is now; returns how many have changed';

-- Of rows of a table t, keys and fields. A column that is gone says nothing.
CREATE OR REPLACE FUNCTION @hub@.match_row_code(relation regclass, key text, columns text[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN format('array_agg(t.%1$I::text ORDER BY t.%1$I::text COLLATE "C"), '
                  'array_agg(jsonb_strip_nulls(jsonb_build_object(%2$s)) ORDER BY t.%1$I::text COLLATE "C")', key,
                  (SELECT string_agg(format('%L, t.%I::text', u.name, u.name), ', ')
                   FROM (SELECT DISTINCT c.name FROM unnest(columns) c(name)) u
                        JOIN pg_attribute a ON a.attrelid = relation AND a.attname = u.name AND a.attnum > 0
                                               AND NOT a.attisdropped));
END $$;
COMMENT ON FUNCTION @hub@.match_row_code(regclass, text, text[]) IS
    'SQL that makes keys and fields of rows t of a table';

-- Parallel arrays. was: keys that rows had, of which no others are left; NULL: of all that came from there none are.
CREATE OR REPLACE FUNCTION @hub@.take_match_rows(
    relation regclass, key text, taken_from text, namespace text, source text, keys text[], fields jsonb[],
    was text[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    repeated text;
    identifiers @extschema@.identifier[];
    suppressed @extschema@.identifier[];
    ids bigint[];
BEGIN
    IF array_position(keys, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('column %s of %s has NULLs, and is no key', quote_ident(key), relation);
    END IF;
    SELECT u.key INTO repeated FROM unnest(keys) u(key) GROUP BY u.key HAVING count(*) > 1 ORDER BY u.key LIMIT 1;
    IF repeated IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'unique_violation',
            MESSAGE = format('column %s of %s is no key', quote_ident(key), relation),
            DETAIL = format('There are several rows of %s.', repeated);
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
    IF cardinality(keys) > 0 THEN
        ids := identities_for(identifiers, array_fill(now(), ARRAY[cardinality(keys)]));
    END IF;
    RETURN put_match_records(taken_from, ids, array_fill(source, ARRAY[coalesce(cardinality(keys), 0)]), keys, fields,
                             CASE WHEN was IS NOT NULL
                                  THEN array(SELECT r.identity_id
                                             FROM unnest(was) u(key)
                                                  JOIN match_records r ON r.source = take_match_rows.source
                                                                          AND r.source_key = u.key) END);
END $$;
COMMENT ON FUNCTION @hub@.take_match_rows(regclass, text, text, text, text, text[], jsonb[], text[]) IS
    'make records of rows of a table; returns how many have changed';

CREATE OR REPLACE FUNCTION @hub@.take_match_records(
    relation regclass, key text, columns text[], namespace text DEFAULT NULL, source text DEFAULT NULL,
    keep boolean DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET datestyle = ISO SET intervalstyle = postgres
AS $$
#variable_conflict use_variable
DECLARE
    name text := (SELECT c.relname FROM pg_class c WHERE c.oid = relation);
    wrong text;
    keys text[];
    fields jsonb[];
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
    PERFORM keep_match_records(relation, ARRAY[relation::text, key, columns::text, namespace, source], keep);
    EXECUTE format('SELECT %s FROM %s t', match_row_code(relation, key, columns), relation) INTO keys, fields;
    RETURN take_match_rows(relation, key, relation::text, namespace, source, keys, fields);
END $$;
COMMENT ON FUNCTION @hub@.take_match_records(regclass, text, text[], text, text, boolean) IS
    'bring match_records in line with a table: a record for each row, about the identity namespace:key, with the '
    'columns for fields; returns how many have changed. namespace and source are the table''s name, if you give none. '
    'keep: triggers keep records in line from now on; false: no longer; NULL: as it is';

-- Who writes to the table writes records, then, and must be a writer of the hub.
CREATE OR REPLACE FUNCTION @hub@.match_table_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET datestyle = ISO SET intervalstyle = postgres
AS $$
#variable_conflict use_variable
DECLARE
    key text := TG_ARGV[1];
    was text[] := '{}';
    keys text[] := '{}';
    fields jsonb[] := '{}';
BEGIN
    IF NOT has_table_privilege('match_records', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    PERFORM pass_gate();
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM match_records r WHERE r.taken_from = TG_ARGV[0];
        RETURN NULL;
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        EXECUTE format('SELECT array_agg(t.%I::text) FROM old_rows t', key) INTO was;
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        EXECUTE format('SELECT %s FROM new_rows t', match_row_code(TG_RELID, key, TG_ARGV[2]::text[]))
        INTO keys, fields;
    END IF;
    PERFORM take_match_rows(TG_RELID, key, TG_ARGV[0], TG_ARGV[3], TG_ARGV[4], keys, fields, coalesce(was, '{}'));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.match_table_changed() IS 'trigger: rows that are records of match_records have changed';

-- Made before the table is read: whoever writes to it meanwhile has written, or waits.
CREATE OR REPLACE FUNCTION @hub@.keep_match_records(relation regclass, arguments text[], keep boolean) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    made name;
    kind text[];
BEGIN
    FOR made IN SELECT g.tgname FROM pg_trigger g
                WHERE keep IS NOT NULL AND g.tgrelid = relation AND g.tgfoid = 'match_table_changed()'::regprocedure
                ORDER BY g.tgname LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', made, relation);
    END LOOP;
    IF keep THEN
        FOREACH kind SLICE 1 IN ARRAY ARRAY[
            ['INSERT', 'REFERENCING NEW TABLE AS new_rows'],
            ['UPDATE', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'],
            ['DELETE', 'REFERENCING OLD TABLE AS old_rows'], ['TRUNCATE', '']] LOOP
            EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT '
                           'EXECUTE FUNCTION match_table_changed(%s)',
                           lower('match_records_' || kind[1]) || '_' || left(md5(current_schema()), 8), kind[1],
                           relation, kind[2],
                           (SELECT string_agg(quote_literal(u.argument), ', ' ORDER BY u.n)
                            FROM unnest(arguments) WITH ORDINALITY u(argument, n)));
        END LOOP;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.keep_match_records(regclass, text[], boolean) IS
    'make the triggers by which records follow a table, or drop them; NULL: neither';

-- ids NULL: of all identities
CREATE OR REPLACE FUNCTION @hub@.follow_traits(ids bigint[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    names text[] := (SELECT s.match_traits FROM settings s WHERE s.one_row);
    about bigint[];
    sources text[];
    keys text[];
    fields jsonb[];
BEGIN
    SELECT array_agg(f.identity_id), array_agg(f.source), array_agg(f.identifier), array_agg(f.fields)
    INTO about, sources, keys, fields
    FROM (SELECT t.identity_id, t.source, i.identifier::text AS identifier,
                 jsonb_object_agg(t.trait, t.value #>> '{}') AS fields
          FROM (SELECT DISTINCT ON (s.identity_id, s.source, s.trait) s.identity_id, s.source, s.trait, s.value
                FROM traits s
                WHERE (ids IS NULL OR s.identity_id = ANY (ids)) AND (names = '{*}' OR s.trait = ANY (names))
                ORDER BY s.identity_id, s.source, s.trait, s.observed_at DESC, s.value::text COLLATE "C" DESC,
                         s.source_key COLLATE "C") t
               JOIN identities i ON i.identity_id = t.identity_id
          WHERE jsonb_typeof(t.value) IN ('string', 'number', 'boolean')
          GROUP BY t.identity_id, t.source, i.identifier) f;
    RETURN put_match_records('traits', about, sources, keys, fields, ids);
END $$;
COMMENT ON FUNCTION @hub@.follow_traits(bigint[]) IS
    'bring records that come from traits in line with these; returns how many have changed';

CREATE OR REPLACE FUNCTION @hub@.take_match_traits(traits text[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    names CONSTANT text[] := CASE WHEN traits IS NULL THEN '{*}' ELSE nullif(traits, '{}') END;
BEGIN
    PERFORM begin_matching();
    PERFORM pass_gate(), suppressed_now('{}');  -- fails if somebody was erased since the snapshot
    IF (SELECT s.match_traits FROM settings s WHERE s.one_row) IS DISTINCT FROM names THEN
        PERFORM lock_politely('{traits}', 'SHARE');  -- who writes meanwhile does not know it
        UPDATE settings s SET match_traits = names WHERE s.one_row;
    END IF;
    RETURN follow_traits(NULL);
END $$;
COMMENT ON FUNCTION @hub@.take_match_traits(text[]) IS
    'bring match_records in line with traits, and keep them so from now on: a record for what each source says of each '
    'identity, its newest values for fields; returns how many have changed. NULL: all traits; {}: none any more';

-- Of two who change traits of one identity at once the second waits, and sees what the first has written when it looks
-- again.
CREATE OR REPLACE FUNCTION @hub@.match_traits_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[] := '{}';
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM settings s WHERE s.one_row FOR SHARE;  -- fails if they have changed since the snapshot
    END IF;
    IF NOT EXISTS (SELECT FROM settings s WHERE s.one_row AND s.match_traits IS NOT NULL) THEN
        RETURN NULL;
    ELSIF TG_OP = 'TRUNCATE' THEN
        PERFORM follow_traits(NULL);
        RETURN NULL;
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        ids := array(SELECT DISTINCT n.identity_id FROM new_rows n);
    END IF;
    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        ids := ids || array(SELECT DISTINCT o.identity_id FROM old_rows o);
    END IF;
    IF ids <> '{}' AND follow_traits(ids) > 0 THEN
        PERFORM follow_traits(ids);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.match_traits_changed() IS 'trigger: records follow traits';
CREATE OR REPLACE TRIGGER match_new_traits AFTER INSERT ON @hub@.traits
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_traits_changed();
CREATE OR REPLACE TRIGGER match_changed_traits AFTER UPDATE ON @hub@.traits
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_traits_changed();
CREATE OR REPLACE TRIGGER match_removed_traits AFTER DELETE ON @hub@.traits
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_traits_changed();
CREATE OR REPLACE TRIGGER match_emptied_traits AFTER TRUNCATE ON @hub@.traits
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.match_traits_changed();

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
    PERFORM match_block_keys('{}', jsonb_build_array(to_jsonb(0) || to_jsonb(given)));  -- as it will be read
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
