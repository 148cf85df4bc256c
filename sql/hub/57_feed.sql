-- What attached tables tell: rows added, changed and removed, in the transaction that does it.
--
-- A row is a touchpoint by its key. What a row means is said by what attach_source makes for each source: a view of the
-- columns that matter, rows_<source>, and functions of a row: map_<source> is the event it is, key_<source> its key,
-- place_<source> where it is among others. They see the row only, so the old version of a row tells what the hub has
-- of it. But whether the hub has it only its key tells: `where` may look at the clock. Rows of which no touchpoint
-- can be made are put into source_rejects: the table's own users must not be stopped by them. Errors that are not the
-- row's fault, such as lack of a privilege or a deadlock, do stop them.
--
-- Until the backfill is done an update stores its row even if it means the same as before: it may have moved the row to
-- where the backfill has been already.

-- Names of what is made for sources. One that is too long is cut to whole characters, and has a hash of the whole;
-- what ends like a hash has one too, so that none is another's.
CREATE OR REPLACE FUNCTION @hub@.source_object(prefix text, source text) RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(source_object.prefix || '_' || source_object.source) <= 63
                 AND NOT (char_length(source_object.source) >= 32
                          AND translate(right(source_object.source, 32), '0123456789abcdef', '') = '')
            THEN source_object.prefix || '_' || source_object.source
            ELSE (SELECT left(source_object.prefix, max(n.n)) FROM generate_series(0, 30) n(n)
                  WHERE octet_length(left(source_object.prefix, n.n)) <= 30)
                 || '_' || md5(source_object.prefix || '_' || source_object.source) END;
COMMENT ON FUNCTION @hub@.source_object(text, text) IS 'name of a function or trigger that attach_source makes';

-- The triggers of a source, whatever they and the hub are called by now: they call feed_source with the source's name
CREATE OR REPLACE FUNCTION @hub@.source_triggers(source text, OUT relation regclass, OUT trigger name)
    RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT g.tgrelid::regclass, g.tgname FROM pg_trigger g
    WHERE g.tgfoid = 'feed_source()'::regprocedure AND g.tgargs = convert_to(source, getdatabaseencoding())
           || '\x00'::bytea;
END $$;
COMMENT ON FUNCTION @hub@.source_triggers(text) IS 'triggers of an attached table and its partitions';

-- A data exception, a broken constraint, a name or a value too long, or what a function in the mapping raises, which
-- may be an SQLSTATE of its own: of a class that PostgreSQL has not. But not that the triggers of whoever writes are
-- nested too deep
CREATE OR REPLACE FUNCTION @hub@.is_row_error(state text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN is_row_error.state = '42622' OR is_row_error.state <> '54001'
       AND left(is_row_error.state, 2) <> ALL ('{00,01,02,03,08,09,0A,0B,0F,0L,0P,0Z,10,24,25,26,27,28,2B,2D,34,39,3B,
                                                 3D,3F,40,42,44,53,55,57,58,72,F0,HV,XX}'::text[]);
COMMENT ON FUNCTION @hub@.is_row_error(text) IS 'whether an error is the fault of the row that is stored';

-- A row of the attached table, or of a partition, whose columns may stand in another order, as a row of the view that
-- attach_source makes, which has the columns that matter. The view depends on them: that tells their names of today.
-- Both have them in the order of the table.
CREATE OR REPLACE FUNCTION @hub@.row_as(source text, alias text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    rows_view CONSTANT name := source_object('rows', source);
    row_columns CONSTANT text := (
        SELECT string_agg(format('%I.%I', alias, a.attname), ', ' ORDER BY a.attnum)
        FROM pg_rewrite w
             JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                    AND d.refclassid = 'pg_class'::regclass
                                 AND d.refobjsubid > 0
             JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE w.ev_class = to_regclass(quote_ident(rows_view)));
BEGIN
    IF row_columns IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('a table is attached as source %s, but what its rows mean was dropped', source),
            HINT = format('Detach it by %I.detach_source(%L), and attach it again.', current_schema(), source);
    END IF;
    RETURN format('ROW(%s)::%I', row_columns, rows_view);
END $$;
COMMENT ON FUNCTION @hub@.row_as(text, text) IS 'a row of an attached table as its mapping takes it';

-- What a row means, or why it can't be told. Errors in its key are raised: nothing could be said of such a row later.
CREATE OR REPLACE FUNCTION @hub@.try_row(source text, source_row anyelement, OUT event @hub@.event, OUT reason text,
                                         OUT state text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    key text;
BEGIN
    EXECUTE format('SELECT %I($1)', source_object('key', source)) INTO key USING source_row;
    BEGIN
        RETURN QUERY EXECUTE format('SELECT ROW(m.*)::event, NULL::text, NULL::text FROM %I($1) m',
                                    source_object('map', source))
        USING source_row;
    EXCEPTION WHEN OTHERS THEN
        IF NOT is_row_error(SQLSTATE) THEN
            RAISE;
        END IF;
        event := event_of_key(source, key);
        reason := SQLERRM;
        state := SQLSTATE;
        RETURN NEXT;
    END;
END $$;
COMMENT ON FUNCTION @hub@.try_row(text, anyelement) IS 'what a row of an attached table means, or why that can''t be told';

CREATE OR REPLACE FUNCTION @hub@.event_of_key(source text, key text) RETURNS @hub@.event
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, event_of_key.source, event_of_key.key,
           NULL, NULL, NULL)::@hub@.event;
COMMENT ON FUNCTION @hub@.event_of_key(text, text) IS 'event of a row of which only the key can be told';

-- The query that tells what rows mean: columns key, event, reason, state, and the place they come in, which is that of
-- their key, if keys are numbers or times, or else the one they are read in. All rows, or those that are touchpoints.
-- Trying each row costs more. All is read by alias and name, since the table's own columns may be called anything.
CREATE OR REPLACE FUNCTION @hub@.rows_query(source text, source_row text, rows_from text, trying boolean,
                                            all_rows boolean, placed boolean)
RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN format('SELECT %s AS key, %s, %s AS place FROM %s r %s',
                  CASE WHEN trying OR all_rows THEN format('%I(%s)', source_object('key', source), source_row)
                       ELSE 'm.source_key' END,
                  CASE WHEN trying THEN 'm.event, m.reason, m.state'
                       WHEN all_rows THEN 'CASE WHEN m.source IS NOT NULL THEN ROW(m.*)::event END AS event, '
                                          'NULL::text AS reason, NULL::text AS state'
                       ELSE 'ROW(m.*)::event AS event, NULL::text AS reason, NULL::text AS state' END,
                  CASE WHEN placed
                       THEN format('%I(%s, row_number() OVER ())', source_object('place', source), source_row)
                       ELSE 'NULL' END,
                  rows_from,
                  format(CASE WHEN all_rows THEN 'LEFT JOIN LATERAL %s m ON true' ELSE 'CROSS JOIN LATERAL %s m' END,
                         CASE WHEN trying THEN format('try_row(%L, %s)', source, source_row)
                              ELSE format('%I(%s)', source_object('map', source), source_row) END));
END $$;
COMMENT ON FUNCTION @hub@.rows_query(text, text, text, boolean, boolean, boolean) IS
    'the query that tells what rows of an attached table mean';

CREATE OR REPLACE FUNCTION @hub@.flaw_of(event @hub@.event, OUT reason text, OUT state text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_event(event);
    -- can it be in a journey?
    PERFORM @extschema@.touchpoint(event.occurred_at, event.channel, event.action, event.value);
EXCEPTION WHEN OTHERS THEN
    IF NOT is_row_error(SQLSTATE) THEN
        RAISE;
    END IF;
    reason := SQLERRM;
    state := SQLSTATE;
END $$;
COMMENT ON FUNCTION @hub@.flaw_of(@hub@.event) IS 'why an event is no touchpoint; NULL: it is one';

CREATE OR REPLACE FUNCTION @hub@.reject_rows(source text, keys text[], reasons text[], states text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO source_rejects AS r (source, source_key, reason, sqlstate)
    SELECT DISTINCT ON (u.key) source, u.key, u.reason, u.state FROM unnest(keys, reasons, states) u(key, reason, state)
    ORDER BY u.key
    ON CONFLICT ON CONSTRAINT source_rejects_pkey
    DO UPDATE SET rejected_at = excluded.rejected_at, reason = excluded.reason, sqlstate = excluded.sqlstate;
END $$;
COMMENT ON FUNCTION @hub@.reject_rows(text, text[], text[], text[]) IS 'write down rows that have no touchpoint';

-- The evidence that rows have brought, which holds. It may be there still when the touchpoint went with its month.
CREATE OR REPLACE FUNCTION @hub@.evidence_of_rows(source text, keys text[], OUT evidence_keys text[], OUT ids bigint[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    SELECT coalesce(array_agg(v.source_key ORDER BY v.source_key), '{}') INTO evidence_keys
    FROM unnest(keys) u(key)
         LEFT JOIN LATERAL (SELECT * FROM touchpoint_keys k WHERE k.source = evidence_of_rows.source
                            AND k.source_key = u.key OFFSET 0) k ON true
         CROSS JOIN LATERAL (SELECT * FROM evidence v
                             WHERE v.source = evidence_of_rows.source AND v.source_key = coalesce(k.evidence_key, u.key)
                                    OFFSET 0) v
    WHERE v.retracted_at IS NULL;
    ids := array(SELECT DISTINCT i.id
                 FROM unnest(evidence_keys) u(key)
                      CROSS JOIN LATERAL (SELECT * FROM evidence v WHERE v.source = evidence_of_rows.source
                                          AND v.source_key = u.key OFFSET 0) v
                      CROSS JOIN LATERAL unnest(v.identities) i(id));
END $$;
COMMENT ON FUNCTION @hub@.evidence_of_rows(text, text[]) IS 'evidence that rows of an attached table have brought';

CREATE OR REPLACE FUNCTION @hub@.remove_rows(source text, keys text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    claimed text[];
    evidence_keys text[];
    ids bigint[];
    evidence_key text;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- what the backfill has recorded since this snapshot can't be seen, but this collides with it
        WITH claim AS (
            INSERT INTO touchpoint_keys AS k (source, source_key, touchpoint_id, occurred_at)
            SELECT source, u.key, 0, '-infinity' FROM unnest(keys) u(key)
            ON CONFLICT ON CONSTRAINT touchpoint_keys_pkey DO NOTHING RETURNING k.source_key
        )
        SELECT array_agg(c.source_key) INTO claimed FROM claim c;
        DELETE FROM touchpoint_keys k WHERE k.source = remove_rows.source AND k.source_key = ANY (claimed);
    END IF;
    SELECT e.evidence_keys, e.ids INTO evidence_keys, ids FROM evidence_of_rows(source, keys) e;
    IF cardinality(evidence_keys) > 1 THEN
        PERFORM lock_ahead(ids, '{}');
    END IF;
    FOREACH evidence_key IN ARRAY evidence_keys LOOP
        PERFORM retract(source, evidence_key);
    END LOOP;
    DELETE FROM touchpoints t
    USING unnest(keys) u(key)
         CROSS JOIN LATERAL (SELECT * FROM touchpoint_keys k WHERE k.source = remove_rows.source
                             AND k.source_key = u.key OFFSET 0) k
    WHERE t.touchpoint_id = k.touchpoint_id AND t.occurred_at = k.occurred_at;
    -- the keys went along, but for those whose touchpoint is gone already: with a partition that was detached, say
    DELETE FROM touchpoint_keys k WHERE k.source = remove_rows.source AND k.source_key = ANY (keys);
END $$;
COMMENT ON FUNCTION @hub@.remove_rows(text, text[]) IS 'remove touchpoints of rows, and retract their evidence';

CREATE OR REPLACE FUNCTION @hub@.add_rows(source text, events @hub@.event[], history boolean) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF cardinality(events) = 1 AND NOT history THEN
        PERFORM record_one(events[1], false);
    ELSE
        PERFORM record_events(events, history => history);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.add_rows(text, @hub@.event[], boolean) IS 'record touchpoints of rows';

-- Touchpoints of rows that mean something else now. Where identifiers have changed, or the time of evidence that
-- holds, the evidence is retracted and recorded anew. Of an old row there may be known that it was only.
CREATE OR REPLACE FUNCTION @hub@.change_rows(source text, olds @hub@.event[], news @hub@.event[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    keys text[] := '{}';                       -- of rows that were seen with other identifiers,
    observations observation[] := '{}';  -- and what was seen now
    evidence_keys text[];
    ids bigint[];
    identities bigint[];
    evidence_key text;
BEGIN
    FOR i IN 1 .. cardinality(news) LOOP
        IF news[i].identifiers IS DISTINCT FROM olds[i].identifiers
           OR news[i].occurred_at IS DISTINCT FROM olds[i].occurred_at AND cardinality(news[i].identifiers) > 1
              AND (evidence_of_rows(source, ARRAY[news[i].source_key])).evidence_keys <> '{}' THEN
            keys := keys || news[i].source_key;
            observations := observations || ROW(news[i].identifiers, news[i].occurred_at, source,
                                                news[i].source_key || '#'
                                                    || nextval('touchpoints_touchpoint_id_seq'))::observation;
        END IF;
    END LOOP;
    IF keys <> '{}' THEN
        SELECT e.evidence_keys, e.ids INTO evidence_keys, ids FROM evidence_of_rows(source, keys) e;
        IF evidence_keys <> '{}' THEN
            PERFORM lock_ahead(ids, array(SELECT DISTINCT i.identifier FROM unnest(observations) o
                                          CROSS JOIN LATERAL unnest(o.identifiers) i(identifier)));
        END IF;
        FOREACH evidence_key IN ARRAY evidence_keys LOOP
            PERFORM retract(source, evidence_key);
        END LOOP;
        identities := (SELECT a.identities FROM identify_all(observations) a);
        UPDATE touchpoint_keys k SET evidence_key = CASE WHEN cardinality(o.identifiers) > 1 THEN o.evidence_key END
        FROM ROWS FROM (unnest(keys), unnest(observations)) o(key, identifiers, observed_at, source, evidence_key)
        WHERE k.source = change_rows.source AND k.source_key = o.key;
    END IF;

    UPDATE touchpoints t
    SET identity_id = coalesce(e.identity_id, t.identity_id), occurred_at = e.occurred_at, channel = e.channel,
        action = e.action,
        value = e.value, currency = e.currency, direction = e.direction, conversation = e.conversation, agent = e.agent,
        campaign = e.campaign, attributes = e.attributes, subject = e.subject, url = e.url
    FROM (SELECT u.*, f.identity_id
          FROM unnest(news) u LEFT JOIN unnest(keys, identities) f(key, identity_id) ON f.key = u.source_key) e
         CROSS JOIN LATERAL (SELECT * FROM touchpoint_keys k WHERE k.source = change_rows.source
                             AND k.source_key = e.source_key OFFSET 0) k
    WHERE t.touchpoint_id = k.touchpoint_id AND t.occurred_at = k.occurred_at;
END $$;
COMMENT ON FUNCTION @hub@.change_rows(text, @hub@.event[], @hub@.event[]) IS 'change touchpoints of rows';

-- Add, or with olds change, as many as can be; the others are rejected. A touchpoint that breaks a constraint is
-- tried again: it may have been on its way to the default partition while one of its month was made. Before some are
-- tried after others all that they will lock is locked.
CREATE OR REPLACE FUNCTION @hub@.store_rows(source text, olds @hub@.event[], news @hub@.event[], history boolean,
                                            again boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    half CONSTANT integer := cardinality(news) / 2;
BEGIN
    IF olds IS NULL THEN
        PERFORM add_rows(source, news, history);
    ELSE
        PERFORM change_rows(source, olds, news);
    END IF;
EXCEPTION WHEN OTHERS THEN
    IF NOT is_row_error(SQLSTATE) THEN
        RAISE;
    ELSIF SQLSTATE = '23514' AND NOT again THEN
        PERFORM store_rows(source, olds, news, history, true);
    ELSIF half > 0 THEN
        IF NOT again THEN
            PERFORM lock_ahead((evidence_of_rows(source, array(SELECT n.source_key FROM unnest(news) n))).ids,
                               array(SELECT DISTINCT i.identifier FROM unnest(news) n
                                     CROSS JOIN LATERAL unnest(n.identifiers) i(identifier)));
        END IF;
        PERFORM store_rows(source, olds[:half], news[:half], history, true),
            store_rows(source, olds[half + 1:], news[half + 1:], history, true);
    ELSE
        IF olds IS NOT NULL THEN
            PERFORM remove_rows(source, ARRAY[news[1].source_key]);
        END IF;
        PERFORM reject_rows(source, ARRAY[news[1].source_key], ARRAY[SQLERRM], ARRAY[SQLSTATE]);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.store_rows(text, @hub@.event[], @hub@.event[], boolean, boolean) IS 'add or change touchpoints of rows, and write down what can''t be stored';

-- What rows of some keys meant and mean now, in parallel arrays; olds NULL: there was no such row, with only a key:
-- it can't be told what it meant; news NULL: it is no touchpoint, or no more. reasons and states are why it can't be
-- told. While filling in rows there were before, what is known is left as it is. If not careful, a row that can't be
-- stored is an error, for the caller to try again.
CREATE OR REPLACE FUNCTION @hub@.apply_rows(
    source text, keys text[], olds @hub@.event[], news @hub@.event[], reasons text[], states text[], careful boolean,
        filling boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    existed boolean[] := '{}';  -- whether there was such a row,
    known boolean[];            -- whether there is a touchpoint,
    rejected boolean[];         -- or a row in source_rejects,
    left_over boolean[];        -- or only evidence, since the touchpoint went with its month, or with the source
    flawed boolean := false;    -- whether some can't be in a journey
    gone text[] := '{}';
    accepted text[] := '{}';
    fresh event[] := '{}';
    changed_from event[] := '{}';
    changed_to event[] := '{}';
    bad_keys text[] := '{}';
    bad_reasons text[] := '{}';
    bad_states text[] := '{}';
    was event;
    now event;
    reason text;
    state text;
BEGIN
    IF keys = '{}' THEN
        RETURN;
    END IF;
    FOR i IN 1 .. cardinality(keys) LOOP
        IF keys[i] IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'not_null_violation',
                MESSAGE = format('key of a row of source %s is NULL', source),
                HINT = 'Attach the table with a key that never is.';
        END IF;
        existed := existed || (olds[i].source IS NOT NULL);
    END LOOP;
    SELECT array_agg(k.source IS NOT NULL ORDER BY u.n), array_agg(r.source IS NOT NULL ORDER BY u.n),
           array_agg(v.source IS NOT NULL ORDER BY u.n)
    INTO known, rejected, left_over
    FROM unnest(keys) WITH ORDINALITY u(key, n)
         LEFT JOIN LATERAL (SELECT * FROM touchpoint_keys k WHERE k.source = apply_rows.source AND k.source_key = u.key
                            OFFSET 0) k ON true
         LEFT JOIN LATERAL (SELECT * FROM source_rejects r WHERE r.source = apply_rows.source AND r.source_key = u.key
                            OFFSET 0) r ON true
         LEFT JOIN LATERAL (SELECT * FROM evidence v
                            WHERE k.source IS NULL AND v.source = apply_rows.source AND v.source_key = u.key
                                  AND v.retracted_at IS NULL OFFSET 0) v ON true;

    -- found now, before anything is locked, they need not be sought by trying
    BEGIN
        PERFORM @extschema@.touchpoint(n.occurred_at, n.channel, n.action, n.value) FROM unnest(news) n
        WHERE n.occurred_at IS NOT NULL AND n.channel IS NOT NULL AND n.action IS NOT NULL;
    EXCEPTION WHEN data_exception OR name_too_long THEN
        flawed := true;
    END;
    flawed := flawed OR NOT time_is_plausible((SELECT min(n.occurred_at) FROM unnest(news) n))
              OR NOT time_is_plausible((SELECT max(n.occurred_at) FROM unnest(news) n));

    FOR i IN 1 .. cardinality(keys) LOOP
        CONTINUE WHEN filling AND known[i];
        was := olds[i];
        now := news[i];
        reason := reasons[i];
        state := states[i];
        IF now.source IS NOT NULL AND state IS NULL
           AND (flawed OR NOT is_event(now) OR known[i] AND now.occurred_at IS DISTINCT FROM was.occurred_at) THEN
            SELECT f.reason, f.state INTO reason, state FROM flaw_of(now) f;
        END IF;
        IF now.source IS NOT NULL AND state IS NULL AND was.source IS NULL AND known[i] THEN
            reason := format('there is another touchpoint of key %s', keys[i]);
            state := '23505';
        END IF;
        IF now.source IS NULL THEN
            CONTINUE WHEN NOT existed[i];
            IF rejected[i] THEN
                accepted := accepted || keys[i];
            END IF;
            IF left_over[i] OR NOT rejected[i] THEN
                gone := gone || keys[i];
            END IF;
        ELSIF state IS NULL THEN
            IF rejected[i] THEN
                accepted := accepted || keys[i];
            END IF;
            IF NOT known[i] THEN
                IF left_over[i] THEN
                    gone := gone || keys[i];
                END IF;
                fresh := fresh || now;
            ELSIF was IS DISTINCT FROM now THEN
                changed_from := changed_from || was;
                changed_to := changed_to || now;
            END IF;
        ELSE
            IF existed[i] AND (known[i] OR left_over[i]) THEN
                gone := gone || keys[i];
            END IF;
            bad_keys := bad_keys || keys[i];
            bad_reasons := bad_reasons || reason;
            bad_states := bad_states || state;
        END IF;
    END LOOP;

    IF (gone <> '{}')::integer + (changed_to <> '{}')::integer + (fresh <> '{}')::integer > 1 THEN
        PERFORM lock_ahead((SELECT e.ids
                            FROM evidence_of_rows(source, gone || array(SELECT c.source_key
                                                                        FROM unnest(changed_to) c)) e),
                           array(SELECT DISTINCT i.identifier
                                 FROM unnest(changed_to || fresh) c
                                        CROSS JOIN LATERAL unnest(c.identifiers) i(identifier)));
    END IF;
    IF gone <> '{}' THEN
        PERFORM remove_rows(source, gone);
    END IF;
    IF accepted <> '{}' THEN
        DELETE FROM source_rejects r WHERE r.source = apply_rows.source AND r.source_key = ANY (accepted);
    END IF;
    IF bad_keys <> '{}' THEN
        PERFORM reject_rows(source, bad_keys, bad_reasons, bad_states);
    END IF;
    IF changed_to <> '{}' THEN
        IF careful THEN
            PERFORM store_rows(source, changed_from, changed_to, filling);
        ELSE
            PERFORM change_rows(source, changed_from, changed_to);
        END IF;
    END IF;
    IF fresh <> '{}' THEN
        IF careful THEN
            PERFORM store_rows(source, NULL, fresh, filling);
        ELSE
            PERFORM add_rows(source, fresh, filling);
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.apply_rows(text, text[], @hub@.event[], @hub@.event[], text[], text[], boolean, boolean) IS
    'bring touchpoints in line with rows of an attached table';

CREATE OR REPLACE FUNCTION @hub@.remove_source(source text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
    keys text[];
    last_key text := '';
BEGIN
    LOOP
        keys := array(SELECT k.source_key FROM touchpoint_keys k WHERE k.source = remove_source.source LIMIT 1000);
        EXIT WHEN keys = '{}';
        PERFORM remove_rows(source, keys);
    END LOOP;
    -- and of those whose touchpoints went with their months
    LOOP
        keys := array(SELECT v.source_key FROM evidence v
                      WHERE v.source = remove_source.source AND v.source_key >= last_key AND v.retracted_at IS NULL
                      ORDER BY v.source_key LIMIT 1000);
        EXIT WHEN keys = '{}';
        PERFORM remove_rows(source, keys);
        last_key := keys[cardinality(keys)];
    END LOOP;
    DELETE FROM source_rejects r WHERE r.source = remove_source.source;
END $$;
COMMENT ON FUNCTION @hub@.remove_source(text) IS 'remove all touchpoints of an attached table, and retract their evidence';

-- Remove the touchpoints of all rows of a table or partition that is being truncated. A row that policies hide is no
-- less gone.
CREATE OR REPLACE FUNCTION @hub@.empty_table(source text, root regclass, truncated regclass) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    keys text[] := '{}';
    key text;
BEGIN
    IF truncated = root THEN
        PERFORM remove_source(source);
        RETURN;
    END IF;
    FOR key IN EXECUTE format('SELECT %I(%s) FROM ONLY %s r UNION ALL SELECT NULL', source_object('key', source),
                              row_as(source, 'r'), truncated) LOOP
        IF key IS NOT NULL THEN
            keys := keys || key;
        END IF;
        IF key IS NULL OR cardinality(keys) = 1000 THEN
            PERFORM remove_rows(source, keys);
            DELETE FROM source_rejects r WHERE r.source = empty_table.source AND r.source_key = ANY (keys);
            keys := '{}';
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.empty_table(text, regclass, regclass) IS 'remove touchpoints of a table that is being truncated';

-- Settings that the text of values depends on are fixed, so that a key is the same in all sessions.
CREATE OR REPLACE FUNCTION @hub@.feed_source() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $feed_source$
#variable_conflict use_variable
DECLARE
    source CONSTANT text := TG_ARGV[0];
    root regclass := coalesce(pg_partition_root(TG_RELID), TG_RELID);
    attached record;
    source_row text;
    several boolean := false;
    query text;
    change record;
    keys text[];
    olds @hub@.event[];  -- qualified, so that who may not use the hub is told so
    news @hub@.event[];
    reasons text[];
    states text[];
BEGIN
    IF NOT has_table_privilege('touchpoint_keys', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    SELECT s.relation, s.backfilled_at IS NOT NULL AS backfilled, s.steady INTO attached
    FROM sources s WHERE s.source = TG_ARGV[0];
    IF NOT FOUND THEN
        -- so it is where rows are restored before the hub's: what is recorded now would collide with what comes
        RAISE WARNING USING MESSAGE = format('rows of %s are not recorded', TG_RELID::regclass),
            DETAIL = format('Its triggers are of source %s, which is not in %I.sources.', TG_ARGV[0], current_schema());
        RETURN NULL;
    ELSIF root <> attached.relation THEN
        RETURN NULL;  -- it was a partition once
    ELSIF TG_OP = 'TRUNCATE' THEN
        PERFORM empty_table(source, root, TG_RELID);
        RETURN NULL;
    END IF;

    source_row := row_as(source, 'r');
    IF TG_OP <> 'DELETE' THEN
        several := (SELECT count(*) FROM (SELECT FROM new_rows r LIMIT 2) r) > 1;
    END IF;

    -- Subtransactions keep some memory until all is done, so there are none for each row or batch unless they are
    -- needed
    FOR attempt IN 1 .. 2 LOOP
        query := CASE TG_OP
            WHEN 'INSERT' THEN
                format('SELECT n.key, NULL::event AS was, n.event AS now, n.reason, n.state FROM (%s) n',
                       rows_query(source, source_row, 'new_rows', attempt = 2, false, several))
            WHEN 'DELETE' THEN
                format('SELECT o.key, event_of_key(%L, o.key) AS was, NULL::event AS now, NULL::text AS reason, '
                       'NULL::text AS state FROM (SELECT %I(%s) AS key FROM old_rows r) o',
                       source, source_object('key', source), source_row)
            ELSE
                format('SELECT coalesce(n.key, o.key) AS key, %s AS was, n.event AS now, n.reason, n.state '
                       'FROM (%s) o FULL JOIN (%s) n ON n.key = o.key %s',
                       CASE WHEN attached.steady THEN 'o.event'
                            ELSE format('CASE WHEN o.key IS NOT NULL '
                                        'THEN coalesce(o.event, event_of_key(%L, o.key)) END', source) END,
                       rows_query(source, source_row, 'old_rows', attempt = 2, NOT attached.steady, false),
                       rows_query(source, source_row, 'new_rows', attempt = 2, NOT attached.steady, several),
                       CASE WHEN attached.steady AND attached.backfilled THEN 'WHERE n.event IS DISTINCT FROM o.event'
                            ELSE '' END)
            END || CASE WHEN several THEN ' ORDER BY n.place' ELSE '' END;
        keys := '{}';
        olds := '{}';
        news := '{}';
        reasons := '{}';
        states := '{}';
        BEGIN
            FOR change IN EXECUTE query LOOP
                keys := array_append(keys, change.key);
                olds := array_append(olds, change.was);
                news := array_append(news, change.now);
                reasons := array_append(reasons, change.reason);
                states := array_append(states, change.state);
                IF cardinality(keys) = 1000 THEN
                    PERFORM apply_rows(source, keys, olds, news, reasons, states, attempt = 2);
                    keys := '{}';
                    olds := '{}';
                    news := '{}';
                    reasons := '{}';
                    states := '{}';
                END IF;
            END LOOP;
            PERFORM apply_rows(source, keys, olds, news, reasons, states, attempt = 2);
            RETURN NULL;
        EXCEPTION WHEN OTHERS THEN
            IF attempt = 2 OR NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $feed_source$;
COMMENT ON FUNCTION @hub@.feed_source() IS 'trigger: rows of an attached table have changed';
