-- Feeding: reading the rows that triggers have noted, those there were before, and those of tables without triggers.
--
-- Whoever reads rows of a source holds its row in sources, so that there is one at a time: a row is never brought in
-- line with what it was before. Notes are taken first, and rows are read by a later snapshot: whatever changes a row
-- after that has a note of its own.

-- Columns as they are now: by their number, or by name where the table is another or a column was made anew; of each
-- the name and type, and which has another number; anew: whether some have another type, or were made anew
CREATE OR REPLACE FUNCTION @hub@.find_columns(
    relation regclass, by_name boolean, INOUT columns jsonb, INOUT columns_seen jsonb, OUT numbers jsonb,
    OUT anew boolean)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    WITH column_of AS (
        SELECT c.key, c.value AS name, columns_seen -> c.key AS seen, a.attnum,
               CASE WHEN a.attnum IS NOT NULL
                    THEN jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) END AS is_now
        FROM jsonb_each(columns) c
             LEFT JOIN LATERAL (
                 SELECT a.attnum, a.attname, a.atttypid, a.atttypmod
                 FROM pg_attribute a
                 WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
                       AND (a.attnum = c.key::integer AND NOT by_name OR a.attname = columns_seen -> c.key ->> 0
                            OR a.attname = c.value #>> '{}')
                 ORDER BY CASE WHEN a.attnum = c.key::integer AND NOT by_name THEN 1
                               WHEN a.attname = columns_seen -> c.key ->> 0 THEN 2 ELSE 3 END
                 LIMIT 1) a ON true
    )
    SELECT coalesce(jsonb_object_agg(coalesce(f.attnum::text, f.key), f.name), '{}'),
           coalesce(jsonb_object_agg(coalesce(f.attnum::text, f.key), coalesce(f.is_now, f.seen)), '{}'),
           coalesce(jsonb_object_agg(f.key, coalesce(f.attnum, f.key::integer)), '{}'),
           coalesce(bool_or(f.is_now ->> 1 <> f.seen ->> 1 OR f.attnum <> f.key::integer AND NOT by_name), false)
    INTO columns, columns_seen, numbers, anew
    FROM column_of f;
END $$;
COMMENT ON FUNCTION @hub@.find_columns(regclass, boolean, jsonb, jsonb) IS
    'the columns of a mapping as they are in the table now';

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

-- Whether triggers of a source do not fire for what changes rows: they are disabled, or what changes them is a
-- subscription, for which only row triggers fire that always do
CREATE OR REPLACE FUNCTION @hub@.triggers_rest(source_id integer) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN EXISTS (SELECT FROM source_triggers(source_id) g
                   WHERE g.enabled = 'D'
                         OR CASE WHEN EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = g.relation)
                                 THEN g.enabled = 'O' OR g.statement AND NOT g.trigger LIKE '%truncate%'
                                 ELSE g.enabled = 'R' END);
END $$;
COMMENT ON FUNCTION @hub@.triggers_rest(integer) IS 'whether triggers of an attached table are disabled';

-- All rows are to be read again, and what has no row to be looked for. Of feed immediate the triggers only note until
-- that is done.
CREATE OR REPLACE FUNCTION @hub@.read_all_again(source_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    UPDATE sources s
    SET pending = array(SELECT t.member FROM source_tables(s.relation) t WHERE t.leaf ORDER BY t.member),
        read_by = NULL, next_key = NULL, next_block = NULL, end_block = NULL, began_at_xid = NULL, sweep = true,
        rows_done = 0, backfilled_at = CASE WHEN s.feed <> 'immediate' THEN s.backfilled_at END,
        rows_estimated = (SELECT sum(nullif(c.reltuples, -1))
                          FROM source_tables(s.relation) t JOIN pg_class c ON c.oid = t.member WHERE t.leaf)
    WHERE s.source_id = read_all_again.source_id;
END $$;
COMMENT ON FUNCTION @hub@.read_all_again(integer) IS 'begin to read all rows of an attached table again';

-- Find the tables of a source, and their columns, after whatever was done to them: renamed, restored from a dump, made
-- anew; and make triggers that are lacking. Where rows may have changed that nobody has noted, all are read again.
CREATE OR REPLACE FUNCTION @hub@.locate_source(source_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    l record;
    found regclass;
    cols record;
    resting boolean;
    again boolean := false;
    renew boolean;
BEGIN
    SELECT t.source, t.relation, t.relation_oid, t.relation_name, t.feed, t.columns, t.columns_seen, t.key_columns,
           t.kept_columns, t.missed INTO s
    FROM sources t WHERE t.source_id = locate_source.source_id;
    found := find_table(s.relation, s.relation_name);
    IF found IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format('the table of source %s was dropped', s.source),
            DETAIL = format('It was called %s.', s.relation_name),
            HINT = format('If it does not come back, detach the source by %I.detach_source(%L).', current_schema(),
                          s.source);
    END IF;
    again := found <> s.relation;
    SELECT f.columns, f.columns_seen, f.numbers, f.anew INTO cols
    FROM find_columns(found, found::oid IS DISTINCT FROM s.relation_oid, s.columns, s.columns_seen) f;
    again := again OR cols.anew;
    renew := found::oid IS DISTINCT FROM s.relation_oid OR cols.columns <> s.columns;
    -- notes of a table that was another: after a dump was restored, until now
    DELETE FROM feed_notes n WHERE n.source_id = locate_source.source_id AND n.key = '{}';
    again := again OR FOUND AND found::oid IS DISTINCT FROM s.relation_oid;
    IF renew OR s.columns_seen <> cols.columns_seen OR s.relation_name IS DISTINCT FROM name_of_table(found) THEN
        UPDATE sources t
        SET relation = found, relation_oid = found, relation_name = name_of_table(found), columns = cols.columns,
            columns_seen = cols.columns_seen,
            key_columns = array(SELECT coalesce((cols.numbers ->> k.n::text)::smallint, k.n)
                                FROM unnest(s.key_columns) WITH ORDINALITY k(n, place) ORDER BY k.place),
            kept_columns = array(SELECT coalesce((cols.numbers ->> k.n::text)::smallint, k.n)
                                 FROM unnest(s.kept_columns) WITH ORDINALITY k(n, place) ORDER BY k.place)
        WHERE t.source_id = locate_source.source_id;
    END IF;

    FOR l IN SELECT k.lookup, k.relation, k.relation_oid, k.relation_name, k.columns, k.columns_seen, k.key_columns
             FROM source_lookups k WHERE k.source_id = locate_source.source_id LOOP
        found := find_table(l.relation, l.relation_name);
        IF found IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_table',
                MESSAGE = format('table %s, which source %s looks up as %s, was dropped', l.relation_name, s.source,
                                 l.lookup);
        END IF;
        SELECT f.columns, f.columns_seen, f.numbers, f.anew INTO cols
        FROM find_columns(found, found::oid IS DISTINCT FROM l.relation_oid, l.columns, l.columns_seen) f;
        again := again OR cols.anew OR found <> l.relation;
        renew := renew OR found::oid IS DISTINCT FROM l.relation_oid OR cols.columns <> l.columns;
        IF found::oid IS DISTINCT FROM l.relation_oid OR cols.columns <> l.columns
           OR l.columns_seen <> cols.columns_seen OR l.relation_name IS DISTINCT FROM name_of_table(found) THEN
            UPDATE source_lookups k
            SET relation = found, relation_oid = found, relation_name = name_of_table(found), columns = cols.columns,
                columns_seen = cols.columns_seen,
                key_columns = array(SELECT coalesce((cols.numbers ->> u.n::text)::smallint, u.n)
                                    FROM unnest(l.key_columns) WITH ORDINALITY u(n, place) ORDER BY u.place)
            WHERE k.source_id = locate_source.source_id AND k.lookup = l.lookup;
        END IF;
    END LOOP;

    IF s.feed <> 'poll' THEN
        IF NOT EXISTS (SELECT FROM source_triggers(source_id) g JOIN sources t ON t.relation = g.relation
                       WHERE t.source_id = locate_source.source_id AND g.lookup IS NULL) THEN
            renew := true;
            again := true;
        ELSIF EXISTS (SELECT FROM source_lookups k WHERE k.source_id = locate_source.source_id AND NOT k.fixed
                      AND NOT EXISTS (SELECT FROM source_triggers(locate_source.source_id) g
                                      WHERE g.relation = k.relation AND g.lookup = k.lookup)) THEN
            renew := true;
            again := true;
        END IF;
        IF renew THEN
            PERFORM watch_source(source_id);
        END IF;
        resting := triggers_rest(source_id);
        again := again OR s.missed AND NOT resting;
        IF resting <> s.missed THEN
            UPDATE sources t SET missed = resting WHERE t.source_id = locate_source.source_id;
        END IF;
    END IF;
    IF again THEN
        PERFORM read_all_again(source_id);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.locate_source(integer) IS
    'find an attached table, its columns and its triggers again, after whatever was done to them';

-- Rows as their mapping reads them, in parallel arrays: bring the hub in line with them, their traits included
CREATE OR REPLACE FUNCTION @hub@.bring_in_line(
    source text, keys text[], events @hub@.event[], observations @hub@.observation[], traits jsonb[],
    traits_at timestamptz[], reasons text[], states text[], careful boolean, history boolean)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    total CONSTANT bigint := apply_rows(source, keys, events, observations, reasons, states, careful, history);
    whose identifier[];
BEGIN
    IF keys = '{}' OR NOT EXISTS (SELECT FROM unnest(traits) t(t) WHERE t.t IS NOT NULL)
       AND NOT EXISTS (SELECT FROM traits t WHERE t.source = bring_in_line.source) THEN
        RETURN total;
    END IF;
    SELECT array_agg(CASE WHEN r.source IS NULL THEN u.traits END ORDER BY u.n) INTO traits
    FROM unnest(keys, traits) WITH ORDINALITY u(key, traits, n)
         LEFT JOIN LATERAL (SELECT r.source FROM source_rejects r WHERE r.source = bring_in_line.source
                            AND r.source_key = u.key OFFSET 0) r ON true;
    SELECT array_agg(coalesce(e.identifiers[1], e.o_identifiers[1]) ORDER BY e.ordinality) INTO whose
    FROM ROWS FROM (unnest(observations), unnest(events)) WITH ORDINALITY e(o_identifiers, o_at, o_source, o_key);
    IF NOT careful THEN
        PERFORM put_traits(source, keys, whose, traits, traits_at);
        RETURN total;
    END IF;
    FOR i IN 1 .. cardinality(keys) LOOP
        BEGIN
            PERFORM put_traits(source, keys[i:i], whose[i:i], traits[i:i], traits_at[i:i]);
        EXCEPTION WHEN OTHERS THEN
            IF NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;
            PERFORM drop_traits(source, keys[i:i]), remove_rows(source, keys[i:i]),
                    reject_rows(source, keys[i:i], ARRAY[SQLERRM], ARRAY[SQLSTATE]);
        END;
    END LOOP;
    RETURN total;
END $$;
COMMENT ON FUNCTION @hub@.bring_in_line(text, text[], @hub@.event[], @hub@.observation[], jsonb[], timestamptz[], text[],
                                        text[], boolean, boolean) IS
    'bring the hub in line with rows of an attached table, their traits included; returns how many told something else';

-- Rows by the values of their key columns, so many values each, in that order, by the notes they come from; what is not
-- there is gone. Of a log without a key the values are the row, and gone tells which of them may be there no more.
CREATE OR REPLACE FUNCTION @hub@.apply_keys(source_id integer, source text, width integer, key_values text[],
                                            notes bigint[], gone boolean[], careful boolean, history boolean)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    query CONSTANT text := format('SELECT coalesce(array_agg(m.key ORDER BY u.note, m.place), ''{}''), '
                                  'array_agg(m.event ORDER BY u.note, m.place), '
                                  'array_agg(m.observation ORDER BY u.note, m.place), '
                                  'array_agg(m.traits ORDER BY u.note, m.place), '
                                  'array_agg(m.traits_at ORDER BY u.note, m.place) '
                                  'FROM (%s) m LEFT JOIN unnest($2, $3) u(key, note) ON u.key = m.key',
                                  mapped_rows(source_id, noted_rows(source_id)));
    keys text[];
    there text[];
    lost text[];
    found_keys text[];
    found_events event[];
    found_observations observation[];
    found_traits jsonb[];
    found_ats timestamptz[];
    reasons text[];
    states text[];
    one text[];
BEGIN
    IF careful THEN
        keys := '{}';
        there := '{}';
        found_keys := '{}';
        FOR i IN 1 .. cardinality(notes) LOOP
            one := key_values[(i - 1) * width + 1:i * width];
            BEGIN
                EXECUTE format('SELECT array(%s)', noted_keys(source_id)) INTO lost USING one;
            EXCEPTION WHEN OTHERS THEN
                IF NOT is_row_error(SQLSTATE) THEN
                    RAISE;
                END IF;
                CONTINUE;  -- such a key there can't be any more: columns have another type
            END;
            keys := keys || lost;
            CONTINUE WHEN gone[i];
            DECLARE
                key text[];
                event event[];
                observation observation[];
                trait jsonb[];
                at timestamptz[];
                reason text;
                state text;
            BEGIN
                BEGIN
                    EXECUTE query INTO key, event, observation, trait, at USING one, lost, notes[i:i];
                EXCEPTION WHEN OTHERS THEN
                    IF NOT is_row_error(SQLSTATE) THEN
                        RAISE;
                    END IF;
                    key := lost;
                    event := ARRAY[NULL::event];
                    observation := ARRAY[NULL::observation];
                    trait := ARRAY[NULL::jsonb];
                    at := ARRAY[NULL::timestamptz];
                    reason := SQLERRM;
                    state := SQLSTATE;
                END;
                found_keys := found_keys || key;
                found_events := found_events || event;
                found_observations := found_observations || observation;
                found_traits := found_traits || trait;
                found_ats := found_ats || at;
                IF key <> '{}' THEN
                    reasons := reasons || array_fill(reason, ARRAY[cardinality(key)]);
                    states := states || array_fill(state, ARRAY[cardinality(key)]);
                END IF;
            END;
        END LOOP;
    ELSE
        EXECUTE format('SELECT array(%s)', noted_keys(source_id)) INTO keys USING key_values;
        EXECUTE query INTO found_keys, found_events, found_observations, found_traits, found_ats
        USING CASE WHEN true = ANY (gone)
                   THEN array(SELECT v.value FROM unnest(key_values) WITH ORDINALITY v(value, n)
                              WHERE NOT gone[(v.n - 1) / width + 1] ORDER BY v.n) ELSE key_values END, keys, notes;
    END IF;
    IF true = ANY (gone) THEN
        -- one of several like it is gone, maybe
        EXECUTE format('SELECT array(SELECT m.key FROM (%s) m WHERE m.key = ANY ($1))',
                       mapped_rows(source_id, (SELECT s.relation::text FROM sources s
                                               WHERE s.source_id = apply_keys.source_id)))
        INTO there USING keys;
    END IF;
    lost := array(SELECT u.key FROM unnest(keys) u(key) EXCEPT SELECT unnest(found_keys) EXCEPT SELECT unnest(there));
    IF lost <> '{}' THEN
        PERFORM remove_changes(source, lost);
        found_keys := found_keys || lost;
        found_events := found_events || array_fill(NULL::event, ARRAY[cardinality(lost)]);
        found_observations := found_observations || array_fill(NULL::observation, ARRAY[cardinality(lost)]);
        found_traits := found_traits || array_fill(NULL::jsonb, ARRAY[cardinality(lost)]);
        found_ats := found_ats || array_fill(NULL::timestamptz, ARRAY[cardinality(lost)]);
    END IF;
    RETURN bring_in_line(source, found_keys, found_events, found_observations, found_traits, found_ats, reasons, states,
                         careful, history);
END $$;
COMMENT ON FUNCTION @hub@.apply_keys(integer, text, integer, text[], bigint[], boolean[], boolean, boolean) IS
    'bring the hub in line with rows of an attached table, by the values of their key columns';

-- Some thousand at a time are read together; if one of them can't be read, or stored, one by one
CREATE OR REPLACE FUNCTION @hub@.apply_noted(source_id integer, key_values text[], notes bigint[], gone boolean[],
                                             history boolean)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    some CONSTANT integer := 1000;
    s record;
    total bigint := 0;
    chunk record;
BEGIN
    SELECT t.source, cardinality(t.key_columns) AS width INTO s FROM sources t
    WHERE t.source_id = apply_noted.source_id;
    FOR chunk IN
        SELECT key_values[g.n * some * s.width + 1:(g.n + 1) * some * s.width] AS key_values,
               notes[g.n * some + 1:(g.n + 1) * some] AS notes, gone[g.n * some + 1:(g.n + 1) * some] AS gone
        FROM generate_series(0, (cardinality(notes) - 1) / some) g(n)
    LOOP
        BEGIN
            total := total + apply_keys(source_id, s.source, s.width, chunk.key_values, chunk.notes, chunk.gone, false,
                                        history);
        EXCEPTION WHEN OTHERS THEN
            IF NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;
            total := total + apply_keys(source_id, s.source, s.width, chunk.key_values, chunk.notes, chunk.gone, true,
                                        history);
        END;
    END LOOP;
    RETURN total;
END $$;
COMMENT ON FUNCTION @hub@.apply_noted(integer, text[], bigint[], boolean[], boolean) IS
    'bring the hub in line with rows of an attached table that were noted; returns how many told something else';

-- Take notes, and do what they ask for; returns how many there were.
CREATE OR REPLACE FUNCTION @hub@.feed_noted(source_id integer, most integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    source CONSTANT text := (SELECT s.source FROM sources s WHERE s.source_id = feed_noted.source_id);
    is_log CONSTANT boolean := (SELECT s.mapping ->> 'key' = '*' FROM sources s WHERE s.source_id = feed_noted.source_id);
    taken feed_note[];
    key_values text[];
    notes bigint[];
    gone boolean[];
    looked_up record;
BEGIN
    PERFORM set_config('enable_seqscan', 'off', true);
    WITH taken AS (
        DELETE FROM feed_notes n
        WHERE n.ctid = ANY (array(SELECT x.ctid FROM feed_notes x WHERE x.source_id = feed_noted.source_id
                                  ORDER BY x.note_id LIMIT most))
        RETURNING n.note_id, n.lookup, n.key, n.gone, n.before, n.after, n.noted_at
    )
    SELECT array_agg(ROW(t.note_id, t.lookup, t.key, t.gone, t.before, t.after, t.noted_at)::feed_note ORDER BY t.note_id)
    INTO taken FROM taken t;
    PERFORM set_config('enable_seqscan', 'on', true);
    IF taken IS NULL THEN
        RETURN 0;
    END IF;

    IF EXISTS (SELECT FROM unnest(taken) n WHERE n.lookup IS NOT NULL AND coalesce(n.key, '{}') = '{}') THEN
        PERFORM read_all_again(source_id);
    ELSIF EXISTS (SELECT FROM unnest(taken) n WHERE n.lookup IS NULL AND n.key IS NULL) THEN
        UPDATE sources s SET sweep = true WHERE s.source_id = feed_noted.source_id;
    END IF;
    -- of what was looked up, whatever uses it
    FOR looked_up IN
        SELECT l.lookup, array_agg(v.value ORDER BY l.key, v.n) AS key_values
        FROM (SELECT DISTINCT n.lookup, n.key FROM unnest(taken) n WHERE n.lookup IS NOT NULL AND n.key <> '{}') l
             CROSS JOIN LATERAL unnest(l.key) WITH ORDINALITY v(value, n)
        GROUP BY l.lookup
    LOOP
        EXECUTE format('INSERT INTO feed_notes (source_id, key) SELECT %s, u.key FROM (%s) u(key)', source_id,
                       looked_up_rows(source_id, looked_up.lookup))
        USING looked_up.key_values;
    END LOOP;

    WITH noted AS (
        SELECT n.key, min(n.note_id) AS note, is_log AND (array_agg(n.gone ORDER BY n.note_id DESC, n.gone))[1] AS gone
        FROM unnest(taken) n WHERE n.lookup IS NULL AND n.key <> '{}'
        GROUP BY n.key
    ), placed AS MATERIALIZED (
        SELECT n.key, n.note, n.gone, row_number() OVER (ORDER BY n.note, n.key) AS place FROM noted n
    )
    SELECT array(SELECT v.value FROM placed p CROSS JOIN LATERAL unnest(p.key) WITH ORDINALITY v(value, n)
                 ORDER BY p.place, v.n),
           array(SELECT p.note FROM placed p ORDER BY p.place), array(SELECT p.gone FROM placed p ORDER BY p.place)
    INTO key_values, notes, gone;
    IF notes <> '{}' THEN
        PERFORM apply_noted(source_id, key_values, notes, CASE WHEN is_log THEN gone END, false);
    END IF;
    RETURN cardinality(taken);
END $$;
COMMENT ON FUNCTION @hub@.feed_noted(integer, integer) IS
    'bring the hub in line with rows of an attached table that have changed; returns how many notes there were';
