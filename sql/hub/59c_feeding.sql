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

-- What keeps triggers from noting all that changes, or has kept them since they were looked at last: one that was
-- disabled and enabled again has been written by another transaction. Where a dump was restored all have.
CREATE OR REPLACE FUNCTION @hub@.flaw_of_triggers(source_id integer) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    there record;
    others text[];
BEGIN
    SELECT t.feed, t.triggers_seen, t.relation_id = id_of_table(t.relation) AS same,
           ARRAY[find_table(t.relation, t.relation_name)]
           || array(SELECT find_table(l.relation, l.relation_name) FROM source_lookups l
                    WHERE l.source_id = t.source_id AND NOT l.fixed ORDER BY l.lookup) AS relations,
           ARRAY[NULL] || array(SELECT l.lookup FROM source_lookups l
                                WHERE l.source_id = t.source_id AND NOT l.fixed ORDER BY l.lookup) AS lookups INTO s
    FROM sources t WHERE t.source_id = flaw_of_triggers.source_id;
    SELECT coalesce(array_agg(g.seen), '{}') AS seen,
           coalesce((SELECT array_agg(w.name)
                     FROM (SELECT concat_ws(' ', t.relation::oid, t.lookup) AS name
                           FROM source_triggers(source_id) t GROUP BY 1 HAVING bit_or(t.events) = 60) w),
                    '{}') AS watched,
           coalesce(bool_or(g.lacking), false) AS lacking INTO there
    FROM (SELECT t.seen, bit_or(t.events) OVER (PARTITION BY t.relation, t.lookup) <> 60 AS lacking
          FROM source_triggers(source_id) t
          WHERE EXISTS (SELECT FROM unnest(s.relations) r(relation) CROSS JOIN LATERAL source_tables(r.relation) m
                        WHERE m.member = t.relation)) g;
    others := array(SELECT u.seen
                    FROM unnest(s.triggers_seen) u(seen)
                         JOIN (SELECT DISTINCT t.member::oid AS id FROM unnest(s.relations) r(relation)
                               CROSS JOIN LATERAL source_tables(r.relation) t) t
                             ON t.id = split_part(u.seen, ' ', 1)::oid
                    WHERE s.same
                          AND u.seen <> ALL (there.seen));
    RETURN CASE WHEN s.feed = 'poll' THEN NULL
                WHEN there.lacking
                     OR EXISTS (SELECT FROM unnest(s.relations, s.lookups) r(relation, lookup)
                             WHERE concat_ws(' ', r.relation::oid, r.lookup) <> ALL (there.watched))
                     OR EXISTS (SELECT FROM unnest(others) o(seen)
                                WHERE NOT EXISTS (SELECT FROM pg_trigger g
                                                  WHERE g.oid = split_part(o.seen, ' ', 2)::oid))
                THEN 'triggers missing'
                WHEN s.triggers_seen IS NULL OR others <> '{}' OR triggers_rest(source_id) THEN 'triggers disabled' END;
END $$;
COMMENT ON FUNCTION @hub@.flaw_of_triggers(integer) IS
    'what keeps the triggers of an attached table from noting all changes, or has; NULL: nothing';

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

-- Can triggers be made on tables, or dropped, without anybody waiting?
CREATE OR REPLACE FUNCTION @hub@.lock_at_once(tables regclass[], mode text) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    name text;
BEGIN
    FOR name IN SELECT name_of_table(t.id) FROM unnest(tables) t(id) ORDER BY t.id LOOP
        EXECUTE format('LOCK TABLE ONLY %s IN %s MODE NOWAIT', name, mode);
    END LOOP;
    RETURN true;
EXCEPTION WHEN lock_not_available OR undefined_table OR insufficient_privilege THEN
    RETURN false;
END $$;
COMMENT ON FUNCTION @hub@.lock_at_once(regclass[], text) IS 'lock tables; returns whether that can be without waiting';

-- Find the tables of a source, and their columns, after whatever was done to them: renamed, restored from a dump, made
-- anew, disabled triggers, partitions that came or went; and make triggers that are lacking. Where rows may have
-- changed that nobody has noted, all are read again. New partitions wait for another time if they can't be locked at
-- once, but not if that is wanted.
CREATE OR REPLACE FUNCTION @hub@.locate_source(source_id integer, waiting boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    t record;
    is_now regclass;
    cols record;
    numbers smallint[];
    members regclass[];
    fresh regclass[];
    strange record;
    moved boolean;
    any_moved boolean := false;
    stray boolean := false;
    flaw CONSTANT text := flaw_of_triggers(source_id);
    again boolean := false;
    sweep boolean := false;
    renew boolean := flaw IS NOT DISTINCT FROM 'triggers missing';
BEGIN
    SELECT o.source, o.feed, o.tables INTO s FROM sources o WHERE o.source_id = locate_source.source_id;
    FOR t IN
        SELECT NULL AS lookup, o.relation, o.relation_id, o.relation_name, o.columns, o.columns_seen, o.key_columns,
               o.kept_columns, o.tables, o.feed = 'poll' AS fixed
        FROM sources o WHERE o.source_id = locate_source.source_id
        UNION ALL
        SELECT l.lookup, l.relation, l.relation_id, l.relation_name, l.columns, l.columns_seen, l.key_columns, '{}',
               l.tables, l.fixed OR s.feed = 'poll'
        FROM source_lookups l WHERE l.source_id = locate_source.source_id
    LOOP
        is_now := find_table(t.relation, t.relation_name);
        IF is_now IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_table',
                MESSAGE = CASE WHEN t.lookup IS NULL THEN format('the table of source %s was dropped', s.source)
                               ELSE format('table %s, which source %s looks up as %s, was dropped', t.relation_name,
                                           s.source, t.lookup) END,
                DETAIL = format('It was called %s.', t.relation_name),
                HINT = format('If it does not come back, detach the source by %I.detach_source(%L).', current_schema(),
                              s.source);
        END IF;
        moved := id_of_table(is_now) <> t.relation_id;
        any_moved := any_moved OR moved;
        SELECT f.columns, f.columns_seen, f.numbers, f.anew INTO cols
        FROM find_columns(is_now, moved, t.columns, t.columns_seen) f;
        again := again OR is_now <> t.relation OR cols.anew
                 -- restored where it has the same number: columns may have others, so notes may tell anything
                 OR moved AND split_part(t.relation_id, '/', 3) = is_now::oid::text
                    AND EXISTS (SELECT FROM feed_notes n WHERE n.source_id = locate_source.source_id);
        renew := renew OR moved OR cols.columns <> t.columns;
        members := array(SELECT m.member FROM source_tables(is_now) m WHERE NOT t.fixed ORDER BY m.member);
        IF is_now = t.relation AND NOT t.fixed AND NOT (members <@ t.tables AND members @> t.tables) THEN
            fresh := array(SELECT m.m FROM unnest(members) m(m) WHERE m.m <> ALL (t.tables));
            sweep := sweep OR NOT t.tables <@ members;
            IF waiting OR fresh = '{}' OR lock_at_once(fresh, 'SHARE ROW EXCLUSIVE') THEN
                renew := renew OR fresh <> '{}';
                again := again OR t.lookup IS NOT NULL;
                UPDATE sources o
                SET pending = o.pending || array(SELECT m.member FROM source_tables(is_now) m
                                                 WHERE m.leaf AND m.member = ANY (fresh) AND m.member <> ALL (o.pending)
                                                 ORDER BY m.member),
                    sweep = o.sweep OR s.feed = 'immediate' AND fresh <> '{}',
                    backfilled_at = CASE WHEN s.feed <> 'immediate' OR fresh = '{}' THEN o.backfilled_at END
                WHERE o.source_id = locate_source.source_id AND t.lookup IS NULL;
            ELSE
                members := array(SELECT m.m FROM unnest(members) m(m) WHERE m.m = ANY (t.tables));
            END IF;
        END IF;
        CONTINUE WHEN NOT moved AND cols.columns = t.columns AND cols.columns_seen = t.columns_seen
                      AND members = t.tables AND t.relation_name = name_of_table(is_now);
        numbers := array(SELECT coalesce((cols.numbers ->> k.n::text)::smallint, k.n)
                         FROM unnest(t.key_columns) WITH ORDINALITY k(n, place) ORDER BY k.place);
        IF t.lookup IS NULL THEN
            UPDATE sources o
            SET relation = is_now, relation_id = id_of_table(is_now), relation_name = name_of_table(is_now),
                columns = cols.columns, columns_seen = cols.columns_seen, key_columns = numbers, tables = members,
                kept_columns = array(SELECT coalesce((cols.numbers ->> k.n::text)::smallint, k.n)
                                     FROM unnest(t.kept_columns) WITH ORDINALITY k(n, place) ORDER BY k.place)
            WHERE o.source_id = locate_source.source_id;
        ELSE
            UPDATE source_lookups l
            SET relation = is_now, relation_id = id_of_table(is_now), relation_name = name_of_table(is_now),
                columns = cols.columns, columns_seen = cols.columns_seen, key_columns = numbers, tables = members
            WHERE l.source_id = locate_source.source_id AND l.lookup = t.lookup;
        END IF;
    END LOOP;

    -- what was a partition once only tells that it is none
    FOR strange IN
        SELECT g.relation, g.trigger FROM source_triggers(source_id) g
        WHERE NOT g.cloned AND NOT EXISTS (SELECT FROM sources o CROSS JOIN LATERAL source_tables(o.relation) m
                          WHERE o.source_id = locate_source.source_id AND m.member = g.relation)
              AND NOT EXISTS (SELECT FROM source_lookups l CROSS JOIN LATERAL source_tables(l.relation) m
                              WHERE l.source_id = locate_source.source_id AND m.member = g.relation)
    LOOP
        IF (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = strange.relation)
           AND lock_at_once(ARRAY[strange.relation], 'ACCESS EXCLUSIVE') THEN
            EXECUTE format('DROP TRIGGER %I ON %s', strange.trigger, strange.relation);
        ELSE
            stray := true;
        END IF;
    END LOOP;
    -- something of a table that was another: after a dump was restored, or it was no partition for a while
    DELETE FROM feed_notes n WHERE n.source_id = locate_source.source_id AND n.lookup IS NULL AND n.key = '{}';
    again := again OR FOUND AND (any_moved OR NOT stray) OR flaw IS NOT NULL AND NOT triggers_rest(source_id);
    IF renew THEN
        PERFORM watch_source(source_id);
    ELSIF flaw IS NOT NULL THEN
        PERFORM see_triggers(source_id);
    END IF;
    IF again THEN
        PERFORM read_all_again(source_id);
    ELSIF sweep THEN
        UPDATE sources o SET sweep = true WHERE o.source_id = locate_source.source_id;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.locate_source(integer, boolean) IS
    'find an attached table, its columns, partitions and triggers again, after whatever was done to them';

-- Rows as their mapping reads them, in parallel arrays, whose being the identifiers that traits and consents are of:
-- bring the hub in line with them
CREATE OR REPLACE FUNCTION @hub@.bring_in_line(
    source text, keys text[], events @hub@.event[], observations @hub@.observation[],
    whose @extschema@.identifier[], traits jsonb[], traits_at timestamptz[], consents jsonb[], reasons text[],
    states text[], careful boolean, history boolean)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    total bigint;
    unknown @extschema@.identifier[];  -- that traits or consents are told of,
    told_ids bigint[];     -- and those they were told of
    tells_traits CONSTANT boolean := EXISTS (SELECT FROM unnest(traits) t(t) WHERE t.t IS NOT NULL)
                                     OR EXISTS (SELECT FROM traits t WHERE t.source = bring_in_line.source);
    tells_consents CONSTANT boolean := EXISTS (SELECT FROM unnest(consents) t(t) WHERE t.t IS NOT NULL)
                                       OR EXISTS (SELECT FROM consents c WHERE c.source = bring_in_line.source
                                                                               AND c.source_key <> '');
    telling jsonb[];       -- either
    readable text[];       -- keys of rows that are not rejected
    suppressed record;
BEGIN
    IF journey_pass('suppressions') THEN
        SELECT n.of_events, n.of_observations, n.of_whose, n.any_is INTO suppressed
        FROM names_suppressed(events, observations, whose) n;
        IF suppressed.any_is THEN
            -- such a row tells nothing, nor why it can't
            FOR i IN 1 .. cardinality(keys) LOOP
                IF suppressed.of_events[i] OR suppressed.of_observations[i] OR suppressed.of_whose[i] THEN
                    PERFORM count_suppressed(source, ((events[i]).source IS NOT NULL)::integer,
                                             ((events[i]).source IS NULL)::integer);
                    events[i] := NULL;
                    observations[i] := NULL;
                    IF i <= cardinality(whose) THEN
                        whose[i] := NULL;
                    END IF;
                    IF i <= cardinality(traits) THEN
                        traits[i] := NULL;
                    END IF;
                    IF i <= cardinality(consents) THEN
                        consents[i] := NULL;
                    END IF;
                    IF i <= cardinality(states) THEN
                        reasons[i] := NULL;
                        states[i] := NULL;
                    END IF;
                END IF;
            END LOOP;
        END IF;
    END IF;
    telling := CASE WHEN tells_consents AND tells_traits
                    THEN array(SELECT coalesce(u.traits, u.consents)
                               FROM unnest(traits, consents) WITH ORDINALITY u(traits, consents, n) ORDER BY u.n)
                    WHEN tells_consents THEN consents ELSE traits END;
    whose := bearers_of_rows(whose, telling, events, observations);
    IF keys = '{}' THEN
        RETURN 0;
    END IF;
    IF tells_traits OR tells_consents THEN
        unknown := array(SELECT DISTINCT u.identifier
                         FROM unnest(whose, telling, (look_up(whose)).ids) u(identifier, telling, id)
                         WHERE u.telling IS NOT NULL AND u.id IS NULL AND u.identifier IS NOT NULL);
        told_ids := array(SELECT o.identity_id
                          FROM unnest(keys) u(key)
                               CROSS JOIN LATERAL (SELECT t.identity_id FROM traits t
                                                   WHERE t.source = bring_in_line.source AND t.source_key = u.key
                                                         AND t.source_key <> '' OFFSET 0) o
                          UNION
                          SELECT o.identity_id
                          FROM unnest(keys) u(key)
                               CROSS JOIN LATERAL (SELECT c.identity_id FROM consents c
                                                   WHERE c.source = bring_in_line.source AND c.source_key = u.key
                                                         AND c.source_key <> '' OFFSET 0) o);
    END IF;
    total := apply_rows(source, keys, events, observations, reasons, states, careful, history, unknown, told_ids);
    IF NOT tells_traits AND NOT tells_consents THEN
        RETURN total;
    END IF;
    -- of a row that can't be read it is not known that it takes a consent, or a refusal, back
    SELECT array_agg(CASE WHEN r.source IS NULL THEN u.traits END ORDER BY u.n),
           array_agg(CASE WHEN r.source IS NULL THEN u.at END ORDER BY u.n),
           array_agg(CASE WHEN r.source IS NULL THEN u.key END ORDER BY u.n) INTO traits, traits_at, readable
    FROM unnest(keys, traits, traits_at) WITH ORDINALITY u(key, traits, at, n)
         LEFT JOIN LATERAL (SELECT r.source FROM source_rejects r WHERE r.source = bring_in_line.source
                            AND r.source_key = u.key OFFSET 0) r ON true;
    IF NOT careful THEN
        IF tells_traits THEN
            PERFORM put_traits(source, keys, whose, traits, traits_at);
        END IF;
        IF tells_consents THEN
            PERFORM put_consents(source, array_agg(u.key ORDER BY u.n), array_agg(u.identifier ORDER BY u.n),
                                 array_agg(u.consents ORDER BY u.n))
            FROM unnest(readable, whose, consents) WITH ORDINALITY u(key, identifier, consents, n)
            WHERE u.key IS NOT NULL;
        END IF;
        RETURN total;
    END IF;
    FOR i IN 1 .. cardinality(keys) LOOP
        BEGIN
            IF tells_traits THEN
                PERFORM put_traits(source, keys[i:i], whose[i:i], traits[i:i], traits_at[i:i]);
            END IF;
            IF tells_consents AND readable[i] IS NOT NULL THEN
                PERFORM put_consents(source, keys[i:i], whose[i:i], consents[i:i]);
            END IF;
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
COMMENT ON FUNCTION @hub@.bring_in_line(text, text[], @hub@.event[], @hub@.observation[], @extschema@.identifier[],
                                        jsonb[], timestamptz[], jsonb[], text[], text[], boolean, boolean) IS
    'bring the hub in line with rows of an attached table; returns how many told something else';

-- Whose traits and consents of a row m are that tells nothing else; of others bring_in_line finds out
CREATE OR REPLACE FUNCTION @hub@.bearer_column() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN format('CASE WHEN (m.traits IS NOT NULL OR m.consents IS NOT NULL) AND m.event IS NULL '
                  'AND m.observation IS NULL '
                  'THEN %I.bearer(m.identifiers) ELSE m.identifiers[1] END', current_schema());
END $$;
COMMENT ON FUNCTION @hub@.bearer_column() IS 'the expression that tells whose traits and consents of a mapped row are';

-- The query that tells what rows mean, in parallel arrays, of a FROM item in which $1 may be values: in the order of
-- their place, or first of the notes $3 of keys $2. It must be run where names of the mapping are looked for.
CREATE OR REPLACE FUNCTION @hub@.rows_query(source_id integer, rows_from text, noted boolean) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ordering CONSTANT text := CASE WHEN noted THEN 'u.note, m.place' ELSE 'm.place' END;
BEGIN
    RETURN (SELECT 'SELECT ' || string_agg(format('pg_catalog.array_agg(%s) AS %s', c.field, c.name), ', '
                                           ORDER BY c.n)
            FROM unnest(ARRAY['m.key', 'm.event', 'm.observation', bearer_column(), 'm.traits', 'm.traits_at',
                              'm.consents'],
                        '{keys,events,observations,whose,traits,traits_at,consents}'::text[])
                 WITH ORDINALITY c(field, name, n))
           || format(' FROM (SELECT m.* FROM (%s) m%s ORDER BY %s) m', mapped_rows(source_id, rows_from),
                     CASE WHEN noted THEN ' LEFT JOIN ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) '
                                          'u(key, note) ON u.key OPERATOR(pg_catalog.=) m.key' END, ordering);
END $$;
COMMENT ON FUNCTION @hub@.rows_query(integer, text, boolean) IS
    'the query that tells what rows of an attached table mean';

CREATE OR REPLACE FUNCTION @hub@.read_rows(
    source_id integer, rows_from text, key_values text[], ordered_keys text[], notes bigint[],
    OUT keys text[], OUT events @hub@.event[], OUT observations @hub@.observation[],
    OUT whose @extschema@.identifier[], OUT traits jsonb[], OUT traits_at timestamptz[], OUT consents jsonb[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    own_path CONSTANT text := current_setting('search_path');
    path CONSTANT text := (SELECT s.search_path FROM sources s WHERE s.source_id = read_rows.source_id);
    query CONSTANT text := rows_query(source_id, rows_from, notes IS NOT NULL);
BEGIN
    PERFORM set_config('search_path', path, true);
    EXECUTE query INTO keys, events, observations, whose, traits, traits_at, consents
    USING key_values, ordered_keys, notes;
    PERFORM pg_catalog.set_config('search_path', own_path, true);
    keys := coalesce(keys, '{}');
END $$;
COMMENT ON FUNCTION @hub@.read_rows(integer, text, text[], text[], bigint[]) IS 'what rows of an attached table mean';

-- A list that a query yields
CREATE OR REPLACE FUNCTION @hub@.read_list(source_id integer, query text, key_values text[]) RETURNS text[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    own_path CONSTANT text := current_setting('search_path');
    path CONSTANT text := (SELECT s.search_path FROM sources s WHERE s.source_id = read_list.source_id);
    list text[];
BEGIN
    PERFORM set_config('search_path', path, true);
    EXECUTE 'SELECT ARRAY(' || query || ')' INTO list USING key_values;
    PERFORM pg_catalog.set_config('search_path', own_path, true);
    RETURN list;
END $$;
COMMENT ON FUNCTION @hub@.read_list(integer, text, text[]) IS 'what a query yields that is told by a mapping';

-- Rows by the values of their key columns, so many values each, in that order, by the notes they come from; what is not
-- there is gone. Of a log without a key the values are the row, and gone tells which of them may be there no more. If
-- careful, each is read by itself.
CREATE OR REPLACE FUNCTION @hub@.apply_keys(source_id integer, source text, width integer, key_values text[],
                                            notes bigint[], gone boolean[], careful boolean, history boolean)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    rows_from CONSTANT text := noted_rows(source_id);
    keys_query CONSTANT text := noted_keys(source_id);
    keys text[] := '{}';
    there text[];
    lost text[];
    r record;
    found_keys text[] := '{}';
    events event[] := '{}';
    observations observation[] := '{}';
    whose @extschema@.identifier[] := '{}';
    traits jsonb[] := '{}';
    traits_at timestamptz[] := '{}';
    consents jsonb[] := '{}';
    reasons text[];
    states text[];
    given text[];
    key text[];
    n integer;
BEGIN
    IF careful THEN
        reasons := '{}';
        states := '{}';
        FOR i IN 1 .. cardinality(notes) LOOP
            given := key_values[(i - 1) * width + 1:i * width];
            BEGIN
                key := read_list(source_id, keys_query, given);
            EXCEPTION WHEN OTHERS THEN
                IF NOT is_row_error(SQLSTATE) THEN
                    RAISE;
                END IF;
                CONTINUE;  -- there can't be such a key any more: a column has another type
            END;
            keys := keys || key;
            CONTINUE WHEN gone[i];
            BEGIN
                SELECT x.keys, x.events, x.observations, x.whose, x.traits, x.traits_at, x.consents INTO r
                FROM read_rows(source_id, rows_from, given, NULL, NULL) x;
                n := cardinality(r.keys);
                CONTINUE WHEN n = 0;
                found_keys := found_keys || r.keys;
                events := events || r.events;
                observations := observations || r.observations;
                whose := whose || r.whose;
                traits := traits || r.traits;
                traits_at := traits_at || r.traits_at;
                consents := consents || r.consents;
                reasons := reasons || array_fill(NULL::text, ARRAY[n]);
                states := states || array_fill(NULL::text, ARRAY[n]);
            EXCEPTION WHEN OTHERS THEN
                IF NOT is_row_error(SQLSTATE) THEN
                    RAISE;
                END IF;
                found_keys := found_keys || key;
                events := array_append(events, NULL);
                observations := array_append(observations, NULL);
                whose := array_append(whose, NULL);
                traits := array_append(traits, NULL);
                traits_at := array_append(traits_at, NULL);
                consents := array_append(consents, NULL);
                reasons := reasons || SQLERRM;
                states := states || SQLSTATE;
            END;
        END LOOP;
    ELSE
        keys := read_list(source_id, keys_query, key_values);
        IF true = ANY (gone) THEN
            key_values := array(SELECT v.value FROM unnest(key_values) WITH ORDINALITY v(value, n)
                                WHERE NOT gone[(v.n - 1) / width + 1] ORDER BY v.n);
        END IF;
        SELECT x.keys, x.events, x.observations, x.whose, x.traits, x.traits_at, x.consents
        INTO found_keys, events, observations, whose, traits, traits_at, consents
        FROM read_rows(source_id, rows_from, key_values, keys, notes) x;
    END IF;
    IF true = ANY (gone) THEN
        -- maybe one of several that are alike is gone
        there := read_list(source_id, format('SELECT m.key FROM (%s) m WHERE m.key OPERATOR(pg_catalog.=) ANY ($1)',
                                             mapped_rows(source_id, (SELECT name_of_table(s.relation) FROM sources s
                                                                     WHERE s.source_id = apply_keys.source_id))), keys);
    END IF;
    lost := array(SELECT u.key FROM unnest(keys) u(key)
                  EXCEPT SELECT u.key FROM unnest(found_keys) u(key) EXCEPT SELECT u.key FROM unnest(there) u(key));
    IF lost <> '{}' AND (SELECT (s.compiled ->> 'keep')::boolean FROM sources s
                         WHERE s.source_id = apply_keys.source_id) IS NOT TRUE THEN
        PERFORM remove_changes(source, lost);
        n := cardinality(lost);
        found_keys := found_keys || lost;
        events := events || array_fill(NULL::event, ARRAY[n]);
        observations := observations || array_fill(NULL::observation, ARRAY[n]);
        whose := whose || array_fill(NULL::@extschema@.identifier, ARRAY[n]);
        traits := traits || array_fill(NULL::jsonb, ARRAY[n]);
        traits_at := traits_at || array_fill(NULL::timestamptz, ARRAY[n]);
        consents := consents || array_fill(NULL::jsonb, ARRAY[n]);
    END IF;
    RETURN bring_in_line(source, found_keys, events, observations, whose, traits, traits_at, consents, reasons, states,
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
    size CONSTANT integer := 1000;
    s record;
    total bigint := 0;
    chunk record;
BEGIN
    SELECT t.source, cardinality(t.key_columns) AS width INTO s FROM sources t
    WHERE t.source_id = apply_noted.source_id;
    FOR chunk IN
        SELECT key_values[g.n * size * s.width + 1:(g.n + 1) * size * s.width] AS key_values,
               notes[g.n * size + 1:(g.n + 1) * size] AS notes, gone[g.n * size + 1:(g.n + 1) * size] AS gone
        FROM generate_series(0, (cardinality(notes) - 1) / size) g(n)
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
        IF chunk.gone IS NULL THEN
            PERFORM drop_untold(source_id, noted_rows(source_id), chunk.key_values),
                    apply_first_of(source_id, s.width, chunk.key_values);
        END IF;
    END LOOP;
    RETURN total;
END $$;
COMMENT ON FUNCTION @hub@.apply_noted(integer, text[], bigint[], boolean[], boolean) IS
    'bring the hub in line with rows of an attached table that were noted; returns how many told something else';

-- Touchpoints of changes, by the keys of their rows and their own, of which one may have been made already. Where there
-- is none the key is kept all the same: the row has been seen.
CREATE OR REPLACE FUNCTION @hub@.store_changes(source text, row_keys text[], keys text[], events @hub@.event[])
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    fresh text[];
    suppressed record;
    kept integer[];
BEGIN
    IF journey_pass('suppressions') THEN
        SELECT n.of_events AS gone, n.any_is INTO suppressed FROM names_suppressed(events, NULL, NULL) n;
        IF suppressed.any_is THEN
            kept := array(SELECT u.n FROM unnest(suppressed.gone) WITH ORDINALITY u(gone, n)
                          WHERE NOT u.gone ORDER BY u.n);
            PERFORM count_suppressed(source, cardinality(keys) - cardinality(kept), 0);
            row_keys := array(SELECT row_keys[k.n] FROM unnest(kept) WITH ORDINALITY k(n, place) ORDER BY k.place);
            keys := array(SELECT keys[k.n] FROM unnest(kept) WITH ORDINALITY k(n, place) ORDER BY k.place);
            events := array(SELECT events[k.n] FROM unnest(kept) WITH ORDINALITY k(n, place) ORDER BY k.place);
        END IF;
    END IF;
    WITH fresh AS (
        INSERT INTO source_changes AS c (source, row_key, source_key)
        SELECT source, u.row_key, u.key FROM unnest(row_keys, keys) u(row_key, key)
        ON CONFLICT ON CONSTRAINT source_changes_pkey DO NOTHING RETURNING c.source_key
    )
    SELECT array_agg(f.source_key) INTO fresh FROM fresh f;
    SELECT array_agg(u.key ORDER BY u.n), array_agg(events[u.n] ORDER BY u.n) INTO keys, events
    FROM unnest(keys) WITH ORDINALITY u(key, n)
    WHERE (u.key = ANY (fresh) OR EXISTS (SELECT FROM source_rejects r
                                          WHERE r.source = store_changes.source AND r.source_key = u.key))
          AND (events[u.n]).source IS NOT NULL;
    IF keys IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        PERFORM apply_rows(source, keys, events, NULL, NULL, NULL, false, false);
    EXCEPTION WHEN OTHERS THEN
        IF NOT is_row_error(SQLSTATE) THEN
            RAISE;
        END IF;
        PERFORM apply_rows(source, keys, events, NULL, NULL, NULL, true, false);
    END;
END $$;
COMMENT ON FUNCTION @hub@.store_changes(text, text[], text[], @hub@.event[]) IS 'record touchpoints of changes of rows';

-- What a change of a row is can't be told: of key values, those of the kept columns before and after, and a number, 0
-- for a row that is seen for the first time, which is tried again when the row is read again.
CREATE OR REPLACE FUNCTION @hub@.reject_change(source_id integer, key_values text[], before text[], after text[],
                                               note bigint, reason text, state text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    row_key CONSTANT text := (read_list(source_id, noted_keys(source_id), key_values))[1];
    keys text[];
BEGIN
    SELECT t.source, t.compiled INTO s FROM sources t WHERE t.source_id = reject_change.source_id;
    keys := array(SELECT concat_ws('/', row_key, k.name, note)
                  FROM jsonb_array_elements(s.compiled -> 'changes') c(value)
                       JOIN jsonb_array_elements_text(s.compiled -> 'kept_columns') WITH ORDINALITY k(name, n)
                           ON k.name = c.value ->> 'column'
                  WHERE CASE note WHEN 0 THEN (c.value ->> 'initially')::boolean
                        ELSE before[k.n] IS DISTINCT FROM after[k.n] END);
    PERFORM store_changes(s.source, array_fill(row_key, ARRAY[cardinality(keys)]), keys,
                          array_fill(NULL::event, ARRAY[cardinality(keys)])),
            reject_rows(s.source, keys, array_fill(reason, ARRAY[cardinality(keys)]),
                        array_fill(state, ARRAY[cardinality(keys)]));
END $$;
COMMENT ON FUNCTION @hub@.reject_change(integer, text[], text[], text[], bigint, text, text) IS
    'write down a change of a row that can be no touchpoint';

-- Touchpoints of changes that on_change names: values of key columns, and of the kept ones before and after, so many
-- each, and numbers and times of the notes. They are not read again when the row changes.
CREATE OR REPLACE FUNCTION @hub@.apply_changes(source_id integer, key_values text[], befores text[], afters text[],
                                               notes bigint[], times timestamptz[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    own_path CONSTANT text := current_setting('search_path');
    query CONSTANT text := changed_events(source_id);
    s record;
    row_keys text[];
    keys text[];
    events event[];
    n integer := cardinality(notes);
    i integer;
    k integer;
BEGIN
    IF query IS NULL THEN
        RETURN;
    END IF;
    SELECT t.source, t.search_path INTO s FROM sources t WHERE t.source_id = apply_changes.source_id;
    BEGIN
        PERFORM set_config('search_path', s.search_path, true);
        EXECUTE 'SELECT pg_catalog.array_agg(m.key), pg_catalog.array_agg(m.change), '
                'pg_catalog.array_agg(m.event) FROM ('
                || query || ') m'
        INTO row_keys, keys, events USING key_values, befores, afters, notes, times;
        PERFORM pg_catalog.set_config('search_path', own_path, true);
    EXCEPTION WHEN OTHERS THEN
        IF NOT is_row_error(SQLSTATE) THEN
            RAISE;
        ELSIF n = 1 THEN
            PERFORM set_config('row_security', 'on', true);
            PERFORM reject_change(source_id, key_values, befores, afters, notes[1], SQLERRM, SQLSTATE);
        ELSE
            n := n / 2;
            i := n * (cardinality(key_values) / cardinality(notes));
            k := n * (cardinality(afters) / cardinality(notes));
            PERFORM apply_changes(source_id, key_values[:i], befores[:k], afters[:k], notes[:n], times[:n]),
                    apply_changes(source_id, key_values[i + 1:], befores[k + 1:], afters[k + 1:], notes[n + 1:],
                                  times[n + 1:]);
        END IF;
        RETURN;
    END;
    IF row_keys IS NOT NULL THEN
        PERFORM set_config('row_security', 'on', true);  -- policies of the hub's tables may be there
        PERFORM store_changes(s.source, row_keys, keys, events);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.apply_changes(integer, text[], text[], text[], bigint[], timestamptz[]) IS
    'record touchpoints of changes that a mapping''s on_change names';

-- What the values of on_change's columns mean in rows that are seen for the first time, of a FROM item in which $1 may
-- be values: key of the row, change, its own key, and event. NULL: nothing
CREATE OR REPLACE FUNCTION @hub@.first_values(source_id integer, rows_from text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    query CONSTANT text := first_events(source_id, rows_from);
BEGIN
    RETURN CASE WHEN query IS NOT NULL
                THEN format('SELECT m.key, m.change, m.event FROM (%1$s) m WHERE NOT EXISTS (SELECT FROM '
                            '%2$I.source_changes c '
                            'WHERE c.source OPERATOR(pg_catalog.=) %3$L AND c.source_key '
                            'OPERATOR(pg_catalog.=) m.change '
                            'AND NOT EXISTS (SELECT FROM %2$I.source_rejects r '
                            'WHERE r.source OPERATOR(pg_catalog.=) %3$L AND r.source_key '
                            'OPERATOR(pg_catalog.=) m.change))',
                            query, current_schema(),
                            (SELECT s.source FROM sources s WHERE s.source_id = first_values.source_id)) END;
END $$;
COMMENT ON FUNCTION @hub@.first_values(integer, text) IS
    'query for the touchpoints that rows, which were not seen before, are by on_change''s initially';

CREATE OR REPLACE FUNCTION @hub@.apply_first_values(source_id integer, rows_from text, key_values text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    own_path CONSTANT text := current_setting('search_path');
    query CONSTANT text := first_values(source_id, rows_from);
    s record;
    change record;
    row_keys text[] := '{}';
    keys text[] := '{}';
    events event[] := '{}';
BEGIN
    IF query IS NULL THEN
        RETURN;
    END IF;
    SELECT t.source, t.search_path INTO s FROM sources t WHERE t.source_id = apply_first_values.source_id;
    PERFORM set_config('search_path', s.search_path, true);
    FOR change IN EXECUTE query USING key_values LOOP
        row_keys := pg_catalog.array_append(row_keys, change.key);
        keys := pg_catalog.array_append(keys, change.change);
        events := pg_catalog.array_append(events, change.event);
        IF pg_catalog.cardinality(keys) OPERATOR(pg_catalog.=) 1000 THEN
            PERFORM pg_catalog.set_config('search_path', own_path, true),
                    pg_catalog.set_config('row_security', 'on', true);
            PERFORM store_changes(s.source, row_keys, keys, events);
            row_keys := '{}';
            keys := '{}';
            events := '{}';
            PERFORM set_config('row_security', 'off', true), set_config('search_path', s.search_path, true);
        END IF;
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', own_path, true), pg_catalog.set_config('row_security', 'on', true);
    PERFORM store_changes(s.source, row_keys, keys, events);
END $$;
COMMENT ON FUNCTION @hub@.apply_first_values(integer, text, text[]) IS
    'record touchpoints that rows which are seen for the first time are by on_change''s initially';

-- Changes count as long as their rows are evidence. What can't be read is not known to be none.
CREATE OR REPLACE FUNCTION @hub@.drop_untold(source_id integer, rows_from text, key_values text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
BEGIN
    SELECT t.source, t.kept_columns <> '{}' AND t.compiled ->> 'told' <> 'true' AS may_be INTO s
    FROM sources t WHERE t.source_id = drop_untold.source_id;
    IF s.may_be AND EXISTS (SELECT FROM source_changes c WHERE c.source = s.source) THEN
        PERFORM remove_changes(s.source, read_list(source_id, untold_rows(source_id, rows_from), key_values));
    END IF;
EXCEPTION WHEN OTHERS THEN
    IF NOT is_row_error(SQLSTATE) THEN
        RAISE;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.drop_untold(integer, text, text[]) IS
    'remove touchpoints that on_change has made of rows which are no evidence any more';

-- By the values of key columns, so many each; of what can't be told it is said why
CREATE OR REPLACE FUNCTION @hub@.apply_first_of(source_id integer, width integer, key_values text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    half CONSTANT integer := cardinality(key_values) / width / 2 * width;
BEGIN
    PERFORM apply_first_values(source_id, noted_rows(source_id), key_values);
EXCEPTION WHEN OTHERS THEN
    IF NOT is_row_error(SQLSTATE) THEN
        RAISE;
    ELSIF half = 0 THEN
        PERFORM reject_change(source_id, key_values, NULL, NULL, 0, SQLERRM, SQLSTATE);
    ELSE
        PERFORM apply_first_of(source_id, width, key_values[:half]),
                apply_first_of(source_id, width, key_values[half + 1:]);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.apply_first_of(integer, integer, text[]) IS
    'the same of rows of an attached table, by the values of their key columns';

-- What touchpoints of changes tell of who is who is what their rows do. Some that can't be read make none.
CREATE OR REPLACE FUNCTION @hub@.lock_noted(source_id integer, key_values text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    r record;
BEGIN
    SELECT x.events, x.observations INTO r FROM read_rows(source_id, noted_rows(source_id), key_values, NULL, NULL) x;
    PERFORM lock_ahead('{}', array(SELECT i.identifier
                                   FROM unnest(r.events) e CROSS JOIN LATERAL unnest(e.identifiers) i(identifier)
                                   WHERE i.identifier IS NOT NULL
                                   UNION
                                   SELECT i.identifier
                                   FROM unnest(r.observations) o CROSS JOIN LATERAL unnest(o.identifiers) i(identifier)
                                   WHERE i.identifier IS NOT NULL));
EXCEPTION WHEN OTHERS THEN
    IF NOT is_row_error(SQLSTATE) THEN
        RAISE;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.lock_noted(integer, text[]) IS
    'lock whom rows of an attached table are of, before their changes, and they, are stored';

-- Take notes, and do what they ask for; returns how many there were.
CREATE OR REPLACE FUNCTION @hub@.feed_noted(source_id integer, most integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    own_path CONSTANT text := current_setting('search_path');
    s record;
    query text;
    taken feed_note[];
    lost text[];
    key_values text[];
    notes bigint[];
    gone boolean[];
    any_of record;
    looked_up record;
BEGIN
    SELECT t.source, t.search_path, (t.compiled ->> 'log')::boolean AS is_log, (t.compiled ->> 'keep')::boolean AS keep,
           t.kept_columns <> '{}' AS changes, t.part, t.tables = ARRAY[t.relation] AS alone INTO s
    FROM sources t WHERE t.source_id = feed_noted.source_id;
    PERFORM set_config('enable_seqscan', 'off', true);
    WITH taken AS (
        DELETE FROM feed_notes n
        WHERE n.ctid = ANY (array(SELECT x.ctid FROM feed_notes x
                                  WHERE x.source_id = feed_noted.source_id
                                        AND (x.key IS DISTINCT FROM '{}' OR x.lookup IS NOT NULL)  -- see locate_source
                                  ORDER BY x.note_id, x.place LIMIT most))
        RETURNING n.place, n.note_id, n.lookup, n.key, n.gone, n.before, n.after, n.noted_at
    )
    -- of a row that is another of the same key, what was before is none of its changes
    SELECT array_agg(ROW(t.note_id, t.lookup, t.key, t.gone, t.before, t.after, t.noted_at)::feed_note
                     ORDER BY t.note_id, t.place) AS notes,
           bool_or(t.lookup IS NOT NULL) AS looked_up,
           bool_or(t.lookup IS NOT NULL AND coalesce(t.key, '{}') = '{}') AS unknown,
           bool_or(t.lookup IS NULL AND t.key IS NULL) AS truncated,
           bool_or(t.lookup IS NULL AND t.key <> '{}' AND t.before IS NOT NULL) AS changed
    INTO any_of
    FROM (SELECT x.place, x.note_id, x.lookup, x.key, x.gone, x.noted_at,
                 CASE WHEN NOT s.changes OR x.note_id >= coalesce(x.lost, 0) THEN x.after END AS after,
                 CASE WHEN NOT s.changes OR x.note_id >= coalesce(x.lost, 0) THEN x.before END AS before
          FROM (SELECT y.place, y.note_id, y.lookup, y.key, y.gone, y.before, y.after, y.noted_at,
                       CASE WHEN s.changes
                            THEN greatest(max(y.note_id) FILTER (WHERE y.gone OR y.before IS NULL
                                                                 AND y.after IS NOT NULL)
                                              OVER (PARTITION BY y.lookup, y.key),
                                          CASE WHEN s.alone
                                               THEN max(y.note_id) FILTER (WHERE y.key IS NULL AND y.lookup IS NULL)
                                                    OVER () END) END AS lost
                FROM taken y) x) t;
    PERFORM set_config('enable_seqscan', 'on', true);
    taken := any_of.notes;
    IF taken IS NULL THEN
        RETURN 0;
    END IF;

    IF any_of.unknown THEN
        PERFORM read_all_again(source_id);
    ELSIF any_of.truncated THEN
        UPDATE sources o SET sweep = true WHERE o.source_id = feed_noted.source_id;
        IF s.changes AND NOT s.keep AND s.alone THEN
            PERFORM remove_changes(s.source, array(
                SELECT DISTINCT c.row_key FROM source_changes c
                WHERE c.source = s.source AND (s.part = '' OR starts_with(c.row_key, s.part || ':'))));
        END IF;
    END IF;
    -- of what was looked up, whatever uses it
    FOR looked_up IN
        SELECT l.lookup, array_agg(v.value ORDER BY l.key, v.n) AS key_values
        FROM (SELECT DISTINCT n.lookup, n.key FROM unnest(taken) n
              WHERE any_of.looked_up AND n.lookup IS NOT NULL AND n.key <> '{}') l
             CROSS JOIN LATERAL unnest(l.key) WITH ORDINALITY v(value, n)
        GROUP BY l.lookup
    LOOP
        query := format('INSERT INTO %I.feed_notes (source_id, key) SELECT %s, u.key FROM (%s) u(key)',
                        current_schema(),
                        source_id, looked_up_rows(source_id, looked_up.lookup));
        PERFORM set_config('search_path', s.search_path, true);
        EXECUTE query USING looked_up.key_values;
        PERFORM pg_catalog.set_config('search_path', own_path, true);
    END LOOP;

    WITH noted AS (
        SELECT n.key, min(n.note_id) AS note, min(n.place) AS place,
               -- whether the last note says so; of two by one statement the other one counts
               s.is_log AND max(2 * n.note_id + (NOT n.gone)::integer) % 2 = 0 AS gone
        FROM unnest(taken) WITH ORDINALITY n(note_id, lookup, key, gone, before, after, noted_at, place)
        WHERE n.lookup IS NULL AND n.key <> '{}'
        GROUP BY n.key
    ), placed AS MATERIALIZED (
        SELECT n.key, n.note, n.gone, row_number() OVER (ORDER BY n.place) AS place FROM noted n
    )
    SELECT array(SELECT v.value FROM placed p CROSS JOIN LATERAL unnest(p.key) WITH ORDINALITY v(value, n)
                 ORDER BY p.place, v.n),
           array(SELECT p.note FROM placed p ORDER BY p.place), array(SELECT p.gone FROM placed p ORDER BY p.place)
    INTO key_values, notes, gone;
    IF any_of.changed AND notes <> '{}' THEN
        PERFORM lock_noted(source_id, key_values);
    END IF;
    IF s.changes AND NOT s.is_log AND NOT s.keep THEN
        lost := array(SELECT v.value FROM (SELECT DISTINCT n.key FROM unnest(taken) n
                                           WHERE n.lookup IS NULL AND n.key <> '{}'
                                                 AND (n.gone OR n.before IS NULL AND n.after IS NOT NULL)) k
                      CROSS JOIN LATERAL unnest(k.key) WITH ORDINALITY v(value, i) ORDER BY k.key, v.i);
        BEGIN
            PERFORM CASE WHEN lost <> '{}'
                         THEN remove_changes(s.source, read_list(source_id, noted_keys(source_id), lost)) END;
        EXCEPTION WHEN OTHERS THEN
            IF NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;  -- there can't be such keys any more
        END;
    END IF;
    IF any_of.changed AND first_events(source_id, noted_rows(source_id)) IS NOT NULL THEN
        -- rows that have changed since they were seen for the first time, if they are, were before what they are now
        SELECT array_agg(f.key ORDER BY f.n) AS keys, array_agg(f.before ORDER BY f.n) AS befores,
               array_agg(f.noted_at ORDER BY f.n) AS times INTO looked_up
        FROM (SELECT DISTINCT ON (n.key) n.note_id AS n, n.key, n.before, n.noted_at FROM unnest(taken) n
              WHERE n.lookup IS NULL AND n.key <> '{}' AND n.before IS NOT NULL ORDER BY n.key, n.note_id) f;
        IF looked_up.keys IS NOT NULL THEN
            PERFORM apply_changes(source_id, array(SELECT v FROM unnest(looked_up.keys) v), '{}',
                                  array(SELECT v FROM unnest(looked_up.befores) v),
                                  array_fill(0::bigint, ARRAY[cardinality(looked_up.times)]), looked_up.times);
        END IF;
    END IF;
    IF notes <> '{}' THEN
        PERFORM apply_noted(source_id, key_values, notes, CASE WHEN s.is_log THEN gone END, false);
    END IF;

    IF any_of.changed THEN
        WITH changed AS MATERIALIZED (
            SELECT n.note_id, n.key, n.before, n.after, n.noted_at, n.place
            FROM unnest(taken) WITH ORDINALITY n(note_id, lookup, key, gone, before, after, noted_at, place)
            WHERE n.lookup IS NULL AND n.key <> '{}' AND n.before IS NOT NULL
        )
        SELECT array(SELECT c.note_id FROM changed c ORDER BY c.place) AS notes,
               array(SELECT c.noted_at FROM changed c ORDER BY c.place) AS times,
               array(SELECT v.value FROM changed c CROSS JOIN LATERAL unnest(c.key) WITH ORDINALITY v(value, i)
                     ORDER BY c.place, v.i) AS keys,
               array(SELECT v.value FROM changed c CROSS JOIN LATERAL unnest(c.before) WITH ORDINALITY v(value, i)
                     ORDER BY c.place, v.i) AS befores,
               array(SELECT v.value FROM changed c CROSS JOIN LATERAL unnest(c.after) WITH ORDINALITY v(value, i)
                     ORDER BY c.place, v.i) AS afters
        INTO looked_up;
        PERFORM apply_changes(source_id, looked_up.keys, looked_up.befores, looked_up.afters, looked_up.notes,
                              looked_up.times);
    END IF;
    RETURN cardinality(taken);
END $$;
COMMENT ON FUNCTION @hub@.feed_noted(integer, integer) IS
    'bring the hub in line with rows of an attached table that have changed; returns how many notes there were';

-- ---- reading all rows -------------------------------------------------------

-- Rows of a view may have no key. All of them together have one entry in source_rejects, of a key that no row has.
CREATE OR REPLACE FUNCTION @hub@.key_of_none(part text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN key_of_none.part = '' THEN '(NULL)' ELSE key_of_none.part || ':(NULL)' END;
COMMENT ON FUNCTION @hub@.key_of_none(text) IS 'what stands in source_rejects for rows whose key is NULL';

CREATE OR REPLACE FUNCTION @hub@.reject_nobody(source text, part text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM reject_rows(source, ARRAY[key_of_none(part)], ARRAY['there are rows whose key is NULL'], ARRAY['23502']);
END $$;
COMMENT ON FUNCTION @hub@.reject_nobody(text, text) IS 'write down that rows have no key';

-- Rows of a FROM item, all in their order. Returns from when on there should be a partition of touchpoints that there
-- is not; then nothing was done, or not all. Those of ten years at most, so that a wrong date makes no thousand: what
-- is older has the default one.
CREATE OR REPLACE FUNCTION @hub@.apply_from(source_id integer, rows_from text, partitioned boolean,
                                            OUT lacking timestamptz, OUT row_count bigint, OUT mended bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off SET synchronize_seqscans = off
AS $$
#variable_conflict use_variable
DECLARE
    own_path CONSTANT text := current_setting('search_path');
    s record;
    rows refcursor;
    part record;
    -- some thousand rows together, as many as fit in memory with all that is made of them
    query CONSTANT text := (
        SELECT format('SELECT pg_catalog.count(*) AS row_count, %s '
                      'FROM (SELECT n.*, (n.n OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog./) 10000 AS part '
                      'FROM (SELECT m.*, pg_catalog.row_number() OVER (ORDER BY m.place) AS n FROM (%s) m) n '
                      'ORDER BY part, n.n) m GROUP BY m.part ORDER BY m.part',
                      string_agg(format('pg_catalog.array_agg(%s) FILTER (WHERE m.key IS NOT NULL) AS %s', c.field,
                                        c.name), ', '), mapped_rows(source_id, rows_from))
        FROM unnest(ARRAY['m.key', 'm.event', 'm.observation', bearer_column(), 'm.traits', 'm.traits_at',
                          'm.consents'],
                    '{keys,events,observations,whose,traits,traits_at,consents}'::text[]) c(field, name));
BEGIN
    SELECT t.source, t.search_path, t.part INTO s FROM sources t WHERE t.source_id = apply_from.source_id;
    row_count := 0;
    mended := 0;
    LOOP
        -- under the search_path of the mapping, which is evaluated when rows are fetched
        PERFORM set_config('search_path', s.search_path, true);
        IF rows IS NULL THEN
            OPEN rows NO SCROLL FOR EXECUTE query;
        END IF;
        FETCH rows INTO part;
        PERFORM pg_catalog.set_config('search_path', own_path, true);
        EXIT WHEN part.row_count IS NULL;
        lacking := CASE WHEN partitioned THEN lacking_partition(part.events) END;
        IF lacking IS NOT NULL THEN
            RETURN;
        ELSIF row_count = 0 THEN
            PERFORM drop_untold(source_id, rows_from, NULL), apply_first_values(source_id, rows_from, NULL);
        END IF;
        IF part.row_count > coalesce(cardinality(part.keys), 0) THEN
            PERFORM reject_nobody(s.source, s.part);
        END IF;
        mended := mended + bring_in_line(s.source, coalesce(part.keys, '{}'), part.events, part.observations,
                                         part.whose, part.traits, part.traits_at, part.consents, NULL, NULL,
                                         false, true);
        row_count := row_count + part.row_count;
        IF row_count % 100000 = 0 THEN
            RAISE NOTICE USING MESSAGE = format('backfill of %s: %s rows', s.source, row_count);
        END IF;
    END LOOP;
    CLOSE rows;
END $$;
COMMENT ON FUNCTION @hub@.apply_from(integer, text, boolean) IS
    'bring the hub in line with rows of an attached table that a part of a query yields';

CREATE OR REPLACE FUNCTION @hub@.lacking_partition(events @hub@.event[]) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    oldest CONSTANT timestamptz := (
        SELECT min(u.at) FROM unnest(journey_field(events, 'occurred_at', '{}'::timestamptz[])) u(at)
        WHERE u.at >= now() - least('10 years', kept_for('touchpoints')));
BEGIN
    IF oldest < now() AND NOT EXISTS (SELECT FROM touchpoint_partitions() p WHERE p.since <= oldest
                                      AND oldest < p.until) THEN
        RETURN oldest;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.lacking_partition(@hub@.event[]) IS
    'when touchpoints begin for which there is no partition; NULL: there are all';

-- The same rows by the values of their keys, some of which can't be read or stored
CREATE OR REPLACE FUNCTION @hub@.apply_from_keys(source_id integer, rows_from text, OUT row_count bigint,
                                                 OUT mended bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off SET synchronize_seqscans = off
AS $$
#variable_conflict use_variable
DECLARE
    own_path CONSTANT text := current_setting('search_path');
    mapping CONSTANT jsonb := mapping_of(source_id);
    s record;
    rows refcursor;
    part record;
    query CONSTANT text := (
        SELECT format('SELECT pg_catalog.count(*) AS row_count, pg_catalog.array_agg(k.key) FILTER (WHERE '
                      'pg_catalog.cardinality(k.key) OPERATOR(pg_catalog.>) 1 OR k.key[1] IS NOT NULL) AS keys '
                      'FROM (SELECT n.*, (n.n OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog./) 1000 AS part '
                      'FROM (SELECT ARRAY[%s] AS key, pg_catalog.row_number() OVER (%s) AS n FROM %s %I) n '
                      'ORDER BY part, n.n) k GROUP BY k.part ORDER BY k.part',
                      string_agg(format('%I.%I::pg_catalog.text', mapping ->> 'alias', a.attname), ', ' ORDER BY k.n),
                      'ORDER BY ' || (mapping ->> 'place'), rows_from, mapping ->> 'alias')
        FROM sources o CROSS JOIN LATERAL unnest(o.key_columns) WITH ORDINALITY k(attnum, n)
             JOIN pg_attribute a ON a.attrelid = o.relation AND a.attnum = k.attnum
        WHERE o.source_id = apply_from_keys.source_id);
BEGIN
    SELECT t.source, t.search_path, t.part INTO s FROM sources t WHERE t.source_id = apply_from_keys.source_id;
    row_count := 0;
    mended := 0;
    LOOP
        PERFORM set_config('search_path', s.search_path, true);
        IF rows IS NULL THEN
            OPEN rows NO SCROLL FOR EXECUTE query;
        END IF;
        FETCH rows INTO part;
        PERFORM pg_catalog.set_config('search_path', own_path, true);
        EXIT WHEN part.row_count IS NULL;
        IF part.row_count > coalesce(array_length(part.keys, 1), 0) THEN
            PERFORM reject_nobody(s.source, s.part);
        END IF;
        IF part.keys IS NOT NULL THEN
            mended := mended + apply_noted(source_id, array(SELECT unnest(part.keys)),
                                           array_fill(0::bigint, ARRAY[array_length(part.keys, 1)]), NULL, true);
        END IF;
        row_count := row_count + part.row_count;
    END LOOP;
    CLOSE rows;
END $$;
COMMENT ON FUNCTION @hub@.apply_from_keys(integer, text) IS
    'bring the hub in line with rows of an attached table that a part of a query yields, one by one where need be';

-- Together, or by their keys, if some can't be read or stored
CREATE OR REPLACE FUNCTION @hub@.apply_all_from(source_id integer, rows_from text, OUT row_count bigint,
                                                OUT mended bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    SELECT a.row_count, a.mended INTO row_count, mended FROM apply_from(source_id, rows_from, false) a;
EXCEPTION WHEN OTHERS THEN
    IF NOT is_row_error(SQLSTATE) THEN
        RAISE;
    END IF;
    SELECT a.row_count, a.mended INTO row_count, mended FROM apply_from_keys(source_id, rows_from) a;
END $$;
COMMENT ON FUNCTION @hub@.apply_all_from(integer, text) IS 'bring the hub in line with rows of an attached table';

-- All rows of a table that nobody else writes, at once and in one order
CREATE OR REPLACE FUNCTION @hub@.fill_source(source_id integer, OUT row_count bigint, OUT mended bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    latest CONSTANT text := (SELECT l.latest FROM sources s CROSS JOIN LATERAL look_at_watermark(s.source_id, NULL) l
                             WHERE s.source_id = fill_source.source_id AND s.feed = 'poll');
BEGIN
    DELETE FROM source_rejects r USING sources s
    WHERE s.source_id = fill_source.source_id AND r.source = s.source AND r.source_key = key_of_none(s.part);
    SELECT a.row_count, a.mended INTO row_count, mended
    FROM sources s CROSS JOIN LATERAL apply_all_from(s.source_id, name_of_table(s.relation)) a
    WHERE s.source_id = fill_source.source_id;
    UPDATE sources s
    SET pending = '{}', read_by = NULL, next_key = NULL, next_block = NULL, end_block = NULL, began_at_xid = NULL,
        backfilled_at = coalesce(s.backfilled_at, now()), rows_done = row_count, watermark = latest,
        next_watermark = latest, next_watermark_at = clock_timestamp()
    WHERE s.source_id = fill_source.source_id;
END $$;
COMMENT ON FUNCTION @hub@.fill_source(integer) IS
    'bring the hub in line with all rows of an attached table; returns how many there are, and how many told something '
    'else than the hub had';

-- The index that rows are read by: that of a primary key of numbers or times. NULL: it has none, and is read by blocks.
CREATE OR REPLACE FUNCTION @hub@.read_by_index(relation regclass) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT i.indexrelid
            FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
                   AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
                 JOIN pg_type t ON t.oid = a.atttypid
            WHERE i.indrelid = relation AND i.indisprimary AND i.indisvalid
            GROUP BY i.indexrelid HAVING bool_and(t.typcategory IN ('N', 'D')));
END $$;
COMMENT ON FUNCTION @hub@.read_by_index(regclass) IS
    'index by which the rows of a table are read in the order of their keys';

-- The next rows of a table, some thousand, as a FROM item: after a key, in the order of the index, or from a block on.
-- Up to which key is found before, so that whatever is in between belongs to them.
CREATE OR REPLACE FUNCTION @hub@.next_rows(relation regclass, index oid, row_count integer, next_key text[],
                                           next_block bigint, end_block bigint,
                                           OUT rows_from text, OUT last_key text[], OUT last_block bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    key record;
    condition text := 'true';
BEGIN
    IF index IS NOT NULL THEN
        SELECT string_agg(format('r.%I', a.attname), ', ' ORDER BY k.n) AS columns,
               string_agg(format('r.%I::text', a.attname), ', ' ORDER BY k.n) AS texts,
               string_agg(format('%L::%s', next_key[k.n], format_type(a.atttypid, a.atttypmod)), ', '
                          ORDER BY k.n) AS lowest,
               array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY k.n) AS types INTO key
        FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY k(attnum, n)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE i.indexrelid = index AND k.n <= i.indnkeyatts;
        IF next_key IS NOT NULL THEN
            condition := format('ROW(%s) OPERATOR(pg_catalog.>) ROW(%s)', key.columns, key.lowest);
        END IF;
        EXECUTE format('SELECT ARRAY[%s] FROM ONLY %s r WHERE %s ORDER BY %s OFFSET %s LIMIT 1', key.texts, relation,
                       condition, key.columns, row_count - 1)
        INTO last_key;
        IF last_key IS NOT NULL THEN
            condition := format('%s AND ROW(%s) OPERATOR(pg_catalog.<=) ROW(%s)', condition, key.columns,
                                (SELECT string_agg(format('%L::%s', last_key[u.n], u.type), ', ' ORDER BY u.n)
                                 FROM unnest(key.types) WITH ORDINALITY u(type, n)));
        END IF;
    ELSE
        last_block := nullif(least(next_block + greatest(row_count / 40, 1), end_block), end_block);
        condition := format('r.ctid OPERATOR(pg_catalog.>=) %L::pg_catalog.tid AND r.ctid OPERATOR(pg_catalog.<) '
                            '%L::pg_catalog.tid', format('(%s,0)', next_block),
                            format('(%s,0)', coalesce(last_block, end_block)));
    END IF;
    rows_from := format('(SELECT * FROM ONLY %s r WHERE %s)', name_of_table(relation), condition);
END $$;
COMMENT ON FUNCTION @hub@.next_rows(regclass, oid, integer, text[], bigint, bigint) IS
    'the next rows of a table, and the key or block to go on from, both NULL if they are the last';

-- What the hub has of keys of which the table has no row any more: some thousand of them go. Returns whether all are.
CREATE OR REPLACE FUNCTION @hub@.sweep_some(source_id integer, OUT done boolean, OUT mended bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    most CONSTANT integer := 20000;
    s record;
    others text;
    keys text[];
BEGIN
    SELECT t.source, t.part, t.relation, (t.compiled ->> 'keep')::boolean AS keep INTO s
    FROM sources t WHERE t.source_id = sweep_some.source_id;
    IF s.keep THEN
        done := true;
        mended := 0;
        RETURN;
    END IF;
    others := (SELECT string_agg(format('pg_catalog.starts_with(k.key, %L)', t.part || ':'), ' OR ')
               FROM sources t WHERE t.source = s.source AND t.part <> s.part AND t.part <> '');
    keys := read_list(source_id,
        format('SELECT k.key FROM %I.stored_keys(%L) k(key) WHERE %s '
               'AND NOT EXISTS (SELECT FROM (%s) m WHERE m.key OPERATOR(pg_catalog.=) k.key) LIMIT %s',
               current_schema(), s.source,
               CASE WHEN s.part <> '' THEN format('pg_catalog.starts_with(k.key, %L)', s.part || ':')
                    ELSE coalesce('NOT (' || others || ')', 'true') END,
               mapped_rows(source_id, name_of_table(s.relation)), most), NULL);
    PERFORM forget_rows(s.source, keys);
    mended := cardinality(keys);
    done := mended < most;
END $$;
COMMENT ON FUNCTION @hub@.sweep_some(integer) IS
    'remove what the hub has of rows that are gone; returns how many, and whether all';

-- Read the next rows of those that are to be read; returns how many, NULL: there are no more.
CREATE OR REPLACE FUNCTION @hub@.backfill_step(source_id integer, partitioned boolean, OUT row_count bigint,
                                               OUT mended bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    part record;
    index oid;
    oldest timestamptz;
    catch_up text;
BEGIN
    SELECT t.source, t.relation, t.feed, t.pending, t.read_by, t.next_key, t.next_block, t.end_block,
           t.began_at_xid, t.sweep
    INTO s FROM sources t WHERE t.source_id = backfill_step.source_id;
    mended := 0;
    WHILE s.pending <> '{}' AND NOT EXISTS (SELECT FROM source_tables(s.relation) t WHERE t.member = s.pending[1]) LOOP
        s.pending := s.pending[2:];  -- dropped, or a partition no longer
        s.read_by := NULL;
    END LOOP;
    IF s.pending = '{}' THEN
        IF s.sweep THEN
            SELECT w.done, w.mended INTO s.sweep, mended FROM sweep_some(source_id) w;
            s.sweep := NOT s.sweep;
        END IF;
        UPDATE sources t
        SET pending = '{}', read_by = NULL, next_key = NULL, next_block = NULL, end_block = NULL, began_at_xid = NULL,
            sweep = s.sweep,
            backfilled_at = coalesce(t.backfilled_at, CASE WHEN NOT s.sweep THEN now() END)
        WHERE t.source_id = backfill_step.source_id;
        row_count := CASE WHEN s.sweep THEN 0 END;
        RETURN;
    ELSIF s.feed = 'poll' OR (SELECT c.relkind NOT IN ('r', 'p') FROM pg_class c WHERE c.oid = s.relation) THEN
        SELECT f.row_count, f.mended INTO row_count, mended FROM fill_source(source_id) f;
        RETURN;
    ELSIF s.feed = 'immediate' THEN
        EXECUTE format('LOCK TABLE %s IN SHARE MODE', s.relation);
    ELSE
        EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', s.pending[1]);  -- so that nobody rewrites it
    END IF;
    index := read_by_index(s.pending[1]);
    IF s.read_by IS DISTINCT FROM coalesce(index, pg_relation_filenode(s.pending[1])) THEN
        s.read_by := coalesce(index, pg_relation_filenode(s.pending[1]));
        s.next_key := NULL;
        s.next_block := 0;
        s.began_at_xid := pg_snapshot_xmin(pg_current_snapshot());
        s.end_block := pg_relation_size(s.pending[1]) / current_setting('block_size')::bigint;
    END IF;
    SELECT n.rows_from, n.last_key, n.last_block INTO part
    FROM next_rows(s.pending[1], index, 10000, s.next_key, s.next_block, s.end_block) n;
    IF index IS NULL AND part.last_block IS NULL THEN
        -- What was written since reading began may have moved from blocks that had not been read to others that had
        catch_up := format('(SELECT * FROM ONLY %s r WHERE pg_catalog.age(r.xmin) OPERATOR(pg_catalog.<=) '
                           'pg_catalog.age(%L::pg_catalog.xid))', name_of_table(s.pending[1]), s.began_at_xid::xid);
    END IF;
    BEGIN
        SELECT a.lacking, a.row_count, a.mended INTO oldest, row_count, mended
        FROM apply_from(source_id, part.rows_from, partitioned) a;
        IF oldest IS NOT NULL THEN
            RAISE EXCEPTION 'a partition must be made';  -- gives all locks back
        ELSIF catch_up IS NOT NULL THEN
            mended := mended + (apply_from(source_id, catch_up, false)).mended;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        IF oldest IS NOT NULL THEN
            mended := 0;
            row_count := 0;
            IF make_partitions(oldest) = 0 THEN
                SELECT b.row_count, b.mended INTO row_count, mended FROM backfill_step(source_id, false) b;
            END IF;
            RETURN;
        ELSIF NOT is_row_error(SQLSTATE) THEN
            RAISE;
        END IF;
        SELECT a.row_count, a.mended INTO row_count, mended FROM apply_from_keys(source_id, part.rows_from) a;
        IF catch_up IS NOT NULL THEN
            mended := mended + (apply_from_keys(source_id, catch_up)).mended;
        END IF;
    END;
    IF part.last_key IS NULL AND part.last_block IS NULL THEN
        s.pending := s.pending[2:];
        s.read_by := NULL;
    END IF;
    UPDATE sources t
    SET rows_done = t.rows_done + row_count, pending = s.pending, read_by = s.read_by, next_key = part.last_key,
        next_block = part.last_block, end_block = s.end_block, began_at_xid = s.began_at_xid
    WHERE t.source_id = backfill_step.source_id;
END $$;
COMMENT ON FUNCTION @hub@.backfill_step(integer, boolean) IS
    'bring the hub in line with the next rows of an attached table; returns how many, NULL: there are no more';

CREATE OR REPLACE FUNCTION @hub@.count_of_source(source text, part text DEFAULT '', OUT touchpoints bigint,
                                                 OUT rejected bigint, OUT hint text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    touchpoints := (SELECT count(*) FROM touchpoint_keys k WHERE k.source = count_of_source.source
                    AND (part = '' OR starts_with(k.source_key, part || ':')));
    rejected := (SELECT count(*) FROM source_rejects r WHERE r.source = count_of_source.source
                 AND (part = '' OR starts_with(r.source_key, part || ':')));
    hint := CASE WHEN rejected > 0 THEN format('Why: SELECT * FROM %I.source_rejects WHERE source = %L.',
                                               current_schema(), source) END;
END $$;
COMMENT ON FUNCTION @hub@.count_of_source(text, text) IS
    'how many rows of a source are touchpoints, how many can be none, and where to look';

-- pg_partition_tree locks partitions, but not the table that they are of: so that is locked before, as whoever adds and
-- drops partitions does. Where it can't be, whoever reads it is told why.
CREATE OR REPLACE FUNCTION @hub@.lock_partitioned(source_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT name_of_table(c.oid) FROM pg_class c
        WHERE c.relkind = 'p'
              AND c.oid = ANY (array(SELECT s.relation::oid FROM sources s
                                     WHERE s.source_id = lock_partitioned.source_id
                                     UNION ALL
                                     SELECT l.relation::oid FROM source_lookups l
                                     WHERE l.source_id = lock_partitioned.source_id))
        ORDER BY c.oid
    LOOP
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', name);
        EXCEPTION WHEN undefined_table OR insufficient_privilege THEN
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.lock_partitioned(integer) IS
    'keep others from adding and dropping partitions of an attached table';

-- Whoever reads rows of a source holds it. NULL: somebody else does, and waiting is not wanted, or there is none
CREATE OR REPLACE FUNCTION @hub@.hold_source(source_id integer, waiting boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    held boolean;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
            MESSAGE = 'attached tables must be read at READ COMMITTED',
            DETAIL = format('This transaction is at %s, where what others have changed since it began can''t be seen.',
                            upper(current_setting('transaction_isolation')));
    END IF;
    IF waiting THEN
        PERFORM FROM sources s WHERE s.source_id = hold_source.source_id AND s.detached_at IS NULL FOR UPDATE;
    ELSE
        PERFORM FROM sources s WHERE s.source_id = hold_source.source_id AND s.detached_at IS NULL
        FOR UPDATE SKIP LOCKED;
    END IF;
    held := FOUND;
    IF held THEN
        PERFORM lock_partitioned(source_id);
    END IF;
    RETURN held;
END $$;
COMMENT ON FUNCTION @hub@.hold_source(integer, boolean) IS
    'keep others from reading rows of a source; returns whether it can be';

-- Numbers of attached sources of a name; name NULL: all
CREATE OR REPLACE FUNCTION @hub@.source_ids(source text, part text DEFAULT NULL) RETURNS integer[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ids CONSTANT integer[] := array(SELECT s.source_id FROM sources s
                                    WHERE s.detached_at IS NULL
                                          AND (source_ids.source IS NULL OR s.source = source_ids.source)
                                          AND (source_ids.part IS NULL OR s.part = source_ids.part)
                                    ORDER BY s.source_id);
BEGIN
    IF ids = '{}' AND source IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('no table is attached as source %s', source || coalesce(', part ' || part, '')),
            HINT = coalesce('There are: ' || (SELECT string_agg(DISTINCT s.source, ', ') FROM sources s
                                              WHERE s.detached_at IS NULL) || '.',
                            format('Attach it by %I.attach_source.', current_schema()));
    END IF;
    RETURN ids;
END $$;
COMMENT ON FUNCTION @hub@.source_ids(text, text) IS 'numbers of the attached tables of a source; NULL: of all';

-- ---- feeding ----------------------------------------------------------------

-- Of feed poll: the latest value there is of the watermark, but for what is yet to come, such as an infinite time; and
-- the condition for rows r from a value on
CREATE OR REPLACE FUNCTION @hub@.look_at_watermark(source_id integer, since text, OUT latest text, OUT condition text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET row_security = off SET timezone = 'UTC'
AS $$
#variable_conflict use_variable
DECLARE
    w record;
BEGIN
    SELECT name_of_table(s.relation) AS source_table, a.attname AS name, a.attnotnull AS never_null,
           format_type(a.atttypid, NULL) AS type, t.typnamespace = 'pg_catalog'::regnamespace AS is_builtin INTO w
    FROM sources s
         CROSS JOIN LATERAL find_columns(s.relation, id_of_table(s.relation) <> s.relation_id, s.columns,
                                         s.columns_seen) f
         CROSS JOIN LATERAL jsonb_each_text(f.columns) c
         JOIN pg_attribute a ON a.attrelid = s.relation AND a.attnum = c.key::smallint
         JOIN pg_type t ON t.oid = a.atttypid
    WHERE s.source_id = look_at_watermark.source_id AND c.value = s.mapping ->> 'watermark';
    IF w.name IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT r.%1$I::text FROM %2$s r WHERE r.%1$I %3$s ORDER BY r.%1$I DESC LIMIT 1', w.name,
                   w.source_table,
                   CASE WHEN w.type IN ('date', 'timestamp without time zone', 'timestamp with time zone')
                        THEN format('<= %L::%s', now(), w.type)
                        WHEN w.type IN ('numeric', 'real', 'double precision') THEN $q$< 'NaN'$q$
                        ELSE 'IS NOT NULL' END)
    INTO latest;
    -- it stands in a query that is run where names of the mapping are looked for
    condition := format('r.%I %s %L::%s', w.name, CASE WHEN w.is_builtin THEN 'OPERATOR(pg_catalog.>=)' ELSE '>=' END,
                        since, w.type)
                 || CASE WHEN w.never_null THEN '' ELSE format(' OR r.%I IS NULL', w.name) END;
EXCEPTION WHEN undefined_function THEN
    RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch',
        MESSAGE = format('mapping field watermark must be of a type with an order, not %s: %s', w.type, w.name),
        HINT = 'Use a time, or a number that grows whenever a row is written.';
END $$;
COMMENT ON FUNCTION @hub@.look_at_watermark(integer, text) IS
    'the latest watermark of a source that is polled, and which rows are as late as some value';

-- Rows of late of a table that has no triggers: those from the watermark on, which is what the latest was poll_overlap
-- ago, for others may have been written before and come in late. What has gone is not seen: resync_source finds it.
CREATE OR REPLACE FUNCTION @hub@.poll_rows(source_id integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    w record;
    rows_from text;
    mended bigint;
BEGIN
    SELECT name_of_table(t.relation) AS source_table, t.watermark INTO s
    FROM sources t WHERE t.source_id = poll_rows.source_id;
    IF s.watermark IS NULL THEN
        mended := (fill_source(source_id)).mended;
    ELSE
        SELECT l.latest, l.condition INTO w FROM look_at_watermark(source_id, s.watermark) l;
        rows_from := format('(SELECT * FROM %s r WHERE %s)', s.source_table, w.condition);
        mended := (apply_all_from(source_id, rows_from)).mended;
        UPDATE sources t
        SET watermark = t.next_watermark, next_watermark = coalesce(w.latest, t.next_watermark),
            next_watermark_at = clock_timestamp()
        WHERE t.source_id = poll_rows.source_id AND clock_timestamp() >= t.next_watermark_at + t.poll_overlap;
    END IF;
    UPDATE sources t SET retry_at = clock_timestamp() + interval '10 s' WHERE t.source_id = poll_rows.source_id;
    RETURN mended;
END $$;
COMMENT ON FUNCTION @hub@.poll_rows(integer) IS
    'read rows of late of a table without triggers; returns how many told something else';

-- feed() reads what must be read again, and partitions that came later; what there was before it leaves to
-- backfill_source
CREATE OR REPLACE FUNCTION @hub@.is_to_read(source_id integer) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT s.sweep OR s.pending <> '{}' AND s.backfilled_at IS NOT NULL FROM sources s
            WHERE s.source_id = is_to_read.source_id);
END $$;
COMMENT ON FUNCTION @hub@.is_to_read(integer) IS 'whether feed() reads rows of an attached table, changed or not';

-- Feed a source some; returns how much that was, NULL: it needs no more, or somebody else feeds it. beginning: look at
-- its tables first, and poll them.
CREATE OR REPLACE FUNCTION @hub@.feed_some(source_id integer, beginning boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    fed bigint := 0;
BEGIN
    IF NOT hold_source(source_id, false) THEN
        RETURN NULL;
    END IF;
    IF beginning THEN
        PERFORM locate_source(source_id);
    END IF;
    PERFORM check_trust(source_id);
    SELECT t.relation, t.feed, is_to_read(t.source_id) AS to_read, t.backfilled_at IS NOT NULL AS backfilled,
           EXISTS (SELECT FROM feed_notes n WHERE n.source_id = t.source_id) AS noted INTO s
    FROM sources t WHERE t.source_id = feed_some.source_id;
    IF s.feed = 'immediate' AND (s.noted OR s.to_read) THEN
        -- triggers may do it all, and must not do it at the same time
        EXECUTE format('LOCK TABLE %s IN SHARE MODE', s.relation);
    END IF;
    IF s.noted THEN
        fed := feed_noted(source_id, 1000);
    END IF;
    IF fed = 0 AND is_to_read(source_id) THEN
        fed := (backfill_step(source_id, true)).row_count;
        s.to_read := true;
    ELSIF fed = 0 AND s.feed = 'poll' AND beginning AND s.backfilled THEN
        fed := poll_rows(source_id);
    END IF;
    UPDATE sources t SET last_error = NULL, last_error_at = NULL, retry_at = NULL
    WHERE t.source_id = feed_some.source_id AND t.last_error IS NOT NULL;
    RETURN CASE WHEN fed > 0 OR s.to_read THEN fed END;
END $$;
COMMENT ON FUNCTION @hub@.feed_some(integer, boolean) IS
    'bring the hub in line with some of the rows of an attached table that have changed; returns how many notes of '
    'that there were, NULL: there is nothing left to do';

-- The same, but errors are kept, and others go on. Who was the victim of a deadlock tries again.
CREATE OR REPLACE FUNCTION @hub@.try_to_feed(source_id integer, beginning boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    why text;
    detail text;
    hint text;
BEGIN
    PERFORM journey_pass('suppressions');
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            RETURN feed_some(source_id, beginning);
        EXCEPTION WHEN deadlock_detected OR serialization_failure THEN
            why := SQLERRM;
            PERFORM pg_sleep(random() * 0.02 * attempt);
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            why := concat_ws(E'\n', SQLERRM, 'DETAIL:  ' || nullif(detail, ''), 'HINT:  ' || nullif(hint, ''));
            EXIT;
        END;
    END LOOP;
    UPDATE sources s
    SET last_error = why, last_error_at = clock_timestamp(),
        retry_at = clock_timestamp() + least(2 * greatest(s.retry_at - s.last_error_at, interval '0.5 s'),
                                             interval '5 min')
    WHERE s.source_id = try_to_feed.source_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.try_to_feed(integer, boolean) IS 'feed a source some, and keep the error if it can''t be';

-- Sources that have something to do, or all, for their tables may have changed; at_once: after errors too
CREATE OR REPLACE FUNCTION @hub@.sources_to_feed(source text, all_of_them boolean, at_once boolean)
RETURNS SETOF integer
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('owner');
    RETURN QUERY
    SELECT s.source_id FROM sources s
    WHERE s.source_id = ANY (source_ids(source))
          AND (at_once OR s.retry_at IS NULL OR s.retry_at <= clock_timestamp())
          AND (all_of_them OR is_to_read(s.source_id) OR s.feed = 'poll'
               OR EXISTS (SELECT FROM feed_notes n WHERE n.source_id = s.source_id));
END $$;
COMMENT ON FUNCTION @hub@.sources_to_feed(text, boolean, boolean) IS 'attached tables that may have changed';

-- Notes of what is no source: one that was detached, or dumped without the hub
CREATE OR REPLACE FUNCTION @hub@.drop_strange_notes() RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off  -- by index from source to source, however many notes there are
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM feed_notes n
    WHERE n.source_id = ANY (ARRAY(
        WITH RECURSIVE found(id) AS (
            SELECT min(n.source_id) FROM feed_notes n
            UNION ALL
            SELECT (SELECT min(n.source_id) FROM feed_notes n WHERE n.source_id > f.id) FROM found f
            WHERE f.id IS NOT NULL
        )
        SELECT f.id FROM found f
        WHERE NOT EXISTS (SELECT FROM sources s WHERE s.source_id = f.id AND s.detached_at IS NULL)));
END $$;
COMMENT ON FUNCTION @hub@.drop_strange_notes() IS 'delete notes of sources that are not attached';

CREATE OR REPLACE FUNCTION @hub@.failing_sources(source text, OUT name text, OUT error text) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT s.source || CASE WHEN s.part <> '' THEN ', part ' || s.part ELSE '' END, s.last_error FROM sources s
    WHERE s.last_error IS NOT NULL AND s.detached_at IS NULL
          AND (failing_sources.source IS NULL OR s.source = failing_sources.source)
    ORDER BY 1;
END $$;
COMMENT ON FUNCTION @hub@.failing_sources(text) IS 'attached tables that can''t be fed, and why';

-- Without settings, so that it can commit. Nobody is woken: a NOTIFY could not be prepared, and takes a lock of the
-- whole server, in somebody else's transaction.
CREATE OR REPLACE PROCEDURE @hub@.feed(forever boolean DEFAULT false, source text DEFAULT NULL,
                                       INOUT fed bigint DEFAULT 0)
LANGUAGE plpgsql
AS $feed$
#variable_conflict use_variable
DECLARE
    todo record;
    batch pg_catalog.int8;
    before pg_catalog.int8;
    beginning pg_catalog.bool;
    pause pg_catalog.float8 := 0.1;
    since_all pg_catalog.float8 := 0;
BEGIN
    fed := 0;
    COMMIT;
    LOOP
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        before := fed;
        IF since_all = 0 THEN
            PERFORM @hub@.drop_strange_notes();
        END IF;
        FOR todo IN SELECT t.id FROM @hub@.sources_to_feed(source, since_all = 0, forever IS NOT TRUE) t(id) LOOP
            beginning := true;
            LOOP
                COMMIT;
                SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
                batch := @hub@.try_to_feed(todo.id, beginning);
                EXIT WHEN batch IS NULL;
                fed := fed + batch;
                beginning := false;
            END LOOP;
        END LOOP;
        COMMIT;
        EXIT WHEN forever IS NOT TRUE;
        pause := CASE WHEN fed > before THEN 0.1 ELSE least(pause * 1.3, 1) END;
        IF fed = before THEN
            PERFORM pg_catalog.pg_sleep(pause);
        END IF;
        since_all := CASE WHEN since_all > 60 THEN 0 ELSE since_all + pause END;
        COMMIT;
    END LOOP;
    FOR todo IN SELECT f.name, f.error FROM @hub@.failing_sources(source) f LOOP
        RAISE WARNING USING MESSAGE = pg_catalog.format('source %s can''t be fed: %s', todo.name, todo.error),
            HINT = 'What has changed is kept, and is fed once that is mended.';
    END LOOP;
END $feed$;
COMMENT ON PROCEDURE @hub@.feed(boolean, text, bigint) IS
    'bring the hub in line with rows of attached tables that have changed, of one source or all; commits as it goes. '
    'forever: go on for ever. Several may feed at once. Returns how many changes there were';

CREATE OR REPLACE FUNCTION @hub@.is_fed() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('owner');
    RETURN EXISTS (SELECT FROM sources s WHERE s.detached_at IS NULL);
END $$;
COMMENT ON FUNCTION @hub@.is_fed() IS 'whether any table is attached';

-- Within a transaction, for what reads the hub: as much as can be fed now
CREATE OR REPLACE FUNCTION @hub@.feed_here(batches integer DEFAULT 20) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    total bigint := 0;
    id integer;
    batch bigint;
    beginning boolean;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' OR current_setting('transaction_read_only') = 'on'
       OR NOT EXISTS (SELECT FROM sources s WHERE s.detached_at IS NULL)
       OR NOT pg_has_role((SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = current_schema()), 'USAGE') THEN
        RETURN 0;
    END IF;
    FOR id IN SELECT t FROM sources_to_feed(NULL, false, false) t LOOP
        beginning := true;
        WHILE batches > 0 LOOP
            batch := try_to_feed(id, beginning);
            EXIT WHEN batch IS NULL;
            batches := batches - 1;
            total := total + batch;
            beginning := false;
        END LOOP;
    END LOOP;
    RETURN total;
END $$;
COMMENT ON FUNCTION @hub@.feed_here(integer) IS
    'feed in this transaction what can be fed: so many batches at most; nothing where that is not allowed';

-- ---- backfill ---------------------------------------------------------------

CREATE OR REPLACE FUNCTION @hub@.begin_backfill(source_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('owner');
    IF NOT hold_source(source_id, true) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = 'the source was detached';
    END IF;
    PERFORM locate_source(source_id, true), check_trust(source_id);
    UPDATE sources s SET pending = ARRAY[s.relation]
    WHERE s.source_id = begin_backfill.source_id AND s.feed = 'poll' AND s.backfilled_at IS NULL;
END $$;
COMMENT ON FUNCTION @hub@.begin_backfill(integer) IS 'find a table that is to be read, and watch its new partitions';

-- A step, holding the source; returns how many rows were read, NULL: there are no more
CREATE OR REPLACE FUNCTION @hub@.backfill_batch(source_id integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM journey_pass('suppressions');
    PERFORM check_may('owner');
    IF NOT hold_source(source_id, true) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = 'the source was detached';
    END IF;
    PERFORM check_trust(source_id);
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            RETURN (SELECT b.row_count FROM backfill_step(source_id, true) b);
        EXCEPTION WHEN deadlock_detected THEN
            IF attempt = 10 THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.backfill_batch(integer) IS
    'put rows into the hub that were there before their table was attached; returns how many were read, NULL: there '
    'are no more';

-- Without settings, so that it can commit. What has changed is fed first.
CREATE OR REPLACE PROCEDURE @hub@.backfill_source(source text)
LANGUAGE plpgsql
AS $backfill_source$
#variable_conflict use_variable
DECLARE
    id pg_catalog.int4;
    batch pg_catalog.int8;
    done pg_catalog.int8 := 0;
    counted record;
BEGIN
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    PERFORM @hub@.check_may('owner');
    IF source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'source must not be NULL';
    END IF;
    FOREACH id IN ARRAY @hub@.source_ids(source) LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        PERFORM @hub@.begin_backfill(id);
        LOOP
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            EXIT WHEN @hub@.feed_some(id, false) IS NULL;
        END LOOP;
        LOOP
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            batch := @hub@.backfill_batch(id);
            EXIT WHEN batch IS NULL;
            IF done / 100000 < (done + batch) / 100000 THEN
                RAISE NOTICE USING MESSAGE = pg_catalog.format('backfill of %s: %s rows', source, done + batch);
            END IF;
            done := done + batch;
        END LOOP;
    END LOOP;
    COMMIT;
    PERFORM @hub@.gather_statistics(0, 1, true);
    COMMIT;
    SELECT c.touchpoints, c.rejected, c.hint INTO counted FROM @hub@.count_of_source(source) c;
    RAISE NOTICE USING MESSAGE = pg_catalog.format('backfill of %s is done: %s rows were read, '
                                                   'there are %s touchpoints',
                                                   source, done, counted.touchpoints);
    IF counted.rejected > 0 THEN
        RAISE NOTICE USING MESSAGE = pg_catalog.format('rows of %s of which no touchpoint can be made: %s', source,
                                                       counted.rejected), HINT = counted.hint;
    END IF;
END $backfill_source$;
COMMENT ON PROCEDURE @hub@.backfill_source(text) IS
    'put the rows into the hub that were in an attached table, or in its new partitions, before; commits as it goes, '
    'and goes on where it was interrupted';

-- All rows of a source, in this transaction; returns how many told something else than the hub had
CREATE OR REPLACE FUNCTION @hub@.resync(source_id integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $$
#variable_conflict use_variable
DECLARE
    total bigint;
    step record;
BEGIN
    PERFORM journey_pass('suppressions');
    IF NOT hold_source(source_id, true) THEN
        RETURN 0;
    END IF;
    PERFORM locate_source(source_id, true), check_trust(source_id);
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            PERFORM read_all_again(source_id);
            total := 0;
            LOOP
                SELECT b.row_count, b.mended INTO step FROM backfill_step(source_id, false) b;
                total := total + step.mended;
                EXIT WHEN step.row_count IS NULL;
            END LOOP;
            RETURN total;
        EXCEPTION WHEN deadlock_detected THEN
            -- all that was locked is given back, and whoever waited for it goes on
            IF attempt = 10 THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.resync(integer) IS
    'bring the hub in line with all rows of an attached table; returns how many told something else than the hub had';

-- ---- detaching --------------------------------------------------------------

CREATE OR REPLACE FUNCTION @hub@.remove_source(source_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    others text[];
    keys text[];
BEGIN
    PERFORM journey_pass('suppressions');
    SELECT t.source, t.part INTO s FROM sources t WHERE t.source_id = remove_source.source_id;
    others := array(SELECT t.part || ':' FROM sources t WHERE t.source = s.source AND t.part <> s.part
                    AND t.part <> '');
    -- all that goes in several steps; of several parts more than that
    PERFORM lock_ahead(array(SELECT t.identity_id
                             FROM touchpoint_keys k JOIN touchpoints t ON t.touchpoint_id = k.touchpoint_id
                                                                          AND t.occurred_at = k.occurred_at
                             WHERE k.source = s.source
                             UNION
                             SELECT i.id FROM evidence v CROSS JOIN LATERAL unnest(v.identities) i(id)
                             WHERE v.source = s.source AND v.retracted_at IS NULL
                             UNION
                             SELECT t.identity_id FROM traits t WHERE t.source = s.source
                             UNION
                             SELECT c.identity_id FROM consents c WHERE c.source = s.source AND c.source_key <> ''),
                       '{}');
    LOOP
        keys := array(SELECT k.key FROM stored_keys(s.source) k(key)
                      WHERE CASE WHEN s.part <> '' THEN starts_with(k.key, s.part || ':')
                                 ELSE NOT EXISTS (SELECT FROM unnest(others) o(prefix)
                                                  WHERE starts_with(k.key, o.prefix)) END
                      LIMIT 20000);
        EXIT WHEN keys = '{}';
        FOR i IN 0 .. (cardinality(keys) - 1) / 1000 LOOP
            PERFORM forget_rows(s.source, keys[i * 1000 + 1:i * 1000 + 1000]);
        END LOOP;
    END LOOP;
    DELETE FROM source_rejects r WHERE r.source = s.source AND r.source_key = key_of_none(s.part);
END $$;
COMMENT ON FUNCTION @hub@.remove_source(integer) IS 'remove all that an attached table has told';

CREATE OR REPLACE FUNCTION @hub@.detach_source(source text, keep boolean DEFAULT true, part text DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET client_min_messages = warning
AS $$
#variable_conflict use_variable
DECLARE
    id integer;
    was_attached boolean;
    any_was boolean := false;
BEGIN
    PERFORM check_may('owner');
    FOR id IN SELECT s.source_id FROM sources s
              WHERE s.source = detach_source.source AND (detach_source.part IS NULL OR s.part = detach_source.part)
              ORDER BY s.part FOR UPDATE LOOP
        was_attached := (SELECT s.detached_at IS NULL FROM sources s WHERE s.source_id = id);
        IF was_attached THEN
            any_was := true;
            PERFORM unwatch_source(id);
            IF keep IS NOT FALSE AND current_setting('transaction_isolation') = 'read committed'
               AND EXISTS (SELECT FROM feed_notes n WHERE n.source_id = id) THEN
                -- what was noted until now is kept too
                WHILE try_to_feed(id, false) IS NOT NULL LOOP
                END LOOP;
            END IF;
            DELETE FROM feed_notes n WHERE n.source_id = id;
            UPDATE sources s
            SET detached_at = now(), pending = '{}', read_by = NULL, next_key = NULL, next_block = NULL,
                end_block = NULL, began_at_xid = NULL, sweep = false, last_error = NULL, last_error_at = NULL,
                retry_at = NULL
            WHERE s.source_id = id;
        END IF;
        IF keep IS FALSE THEN
            PERFORM remove_source(id);
            DELETE FROM sources s WHERE s.source_id = id;
        END IF;
    END LOOP;
    RETURN any_was;
END $$;
COMMENT ON FUNCTION @hub@.detach_source(text, boolean, text) IS
    'let a table feed the hub no more, or one part of a source; returns whether it did. Without keep its touchpoints '
    'go, and what they told of who is who';

-- Progress, as pg_stat_progress views show it. What is wrong is shown before what is going on.
CREATE OR REPLACE FUNCTION @hub@.state_of_source(source_id integer) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    found regclass;
    flaw CONSTANT text := flaw_of_triggers(source_id);
BEGIN
    SELECT t.relation, t.relation_id, t.relation_name, t.feed, t.columns, t.columns_seen, t.pending, t.sweep, t.tables,
           t.backfilled_at, t.detached_at, t.last_error INTO s
    FROM sources t WHERE t.source_id = state_of_source.source_id;
    found := find_table(s.relation, s.relation_name);
    RETURN CASE WHEN s.detached_at IS NOT NULL THEN 'detached'
                WHEN found IS NULL THEN 'dropped'
                WHEN found <> s.relation
                     OR (SELECT c.gone <> '{}' FROM columns_now(found, id_of_table(found) <> s.relation_id, s.columns,
                                                             s.columns_seen) c) THEN 'changed'
                WHEN flaw IS NOT NULL THEN flaw
                WHEN s.last_error IS NOT NULL THEN 'failing'
                WHEN s.backfilled_at IS NULL OR s.pending <> '{}' OR s.sweep THEN 'backfilling'
                WHEN s.feed <> 'poll' AND EXISTS (SELECT FROM source_tables(found) t WHERE t.member <> ALL (s.tables))
                THEN 'partitions added'
                ELSE 'attached' END;
END $$;
COMMENT ON FUNCTION @hub@.state_of_source(integer) IS 'how an attached table is: see source_progress';

CREATE OR REPLACE VIEW @hub@.source_progress WITH (security_invoker = true) AS
SELECT s.source, s.part, s.relation, s.feed, @hub@.state_of_source(s.source_id) AS state,
       n.pending, n.oldest, s.last_error, s.last_error_at, s.rows_done, s.rows_estimated,
       CASE WHEN s.backfilled_at IS NOT NULL AND s.pending = '{}' AND NOT s.sweep THEN 100
            WHEN s.rows_estimated > 0 THEN least(99, 100 * s.rows_done / s.rows_estimated) END AS percent,
       (SELECT count(*) FROM @hub@.source_rejects r
        WHERE r.source = s.source AND (s.part = '' OR starts_with(r.source_key, s.part || ':'))) AS rejected
FROM @hub@.sources s
     CROSS JOIN LATERAL (SELECT count(*) AS pending, min(f.noted_at) AS oldest FROM @hub@.feed_notes f
                         WHERE f.source_id = s.source_id) n;
COMMENT ON VIEW @hub@.source_progress IS 'attached tables, and how far the hub is behind them';
COMMENT ON COLUMN @hub@.source_progress.source IS 'name of the source';
COMMENT ON COLUMN @hub@.source_progress.part IS 'which of its tables';
COMMENT ON COLUMN @hub@.source_progress.relation IS 'the table';
COMMENT ON COLUMN @hub@.source_progress.feed IS 'how it is fed: see sources';
COMMENT ON COLUMN @hub@.source_progress.state IS
    'dropped: the table is gone; changed: the table is another of its name, or a column of the mapping is gone; '
    'triggers missing, triggers disabled: what changes is not noted, or was not for a while, for they have been '
    'written since; failing: see last_error; backfilling: not all rows are in the hub; partitions added: '
    'backfill_source must see to them; attached; detached';
COMMENT ON COLUMN @hub@.source_progress.pending IS 'how many changes feed() has yet to read';
COMMENT ON COLUMN @hub@.source_progress.oldest IS 'when the oldest of them was made; NULL: there is none';
COMMENT ON COLUMN @hub@.source_progress.last_error IS 'why it can''t be fed; NULL: it can';
COMMENT ON COLUMN @hub@.source_progress.last_error_at IS 'when that was';
COMMENT ON COLUMN @hub@.source_progress.rows_done IS 'how many rows that were there before have been read';
COMMENT ON COLUMN @hub@.source_progress.rows_estimated IS
    'how many there may be; NULL: the table has not been analysed';
COMMENT ON COLUMN @hub@.source_progress.percent IS 'how much of them is read; NULL: that can''t be told';
COMMENT ON COLUMN @hub@.source_progress.rejected IS
    'how many rows have no touchpoint, because none can be made of them: see source_rejects';
