-- Who is in which segment, as refresh() keeps it and live.
--
-- Whatever may change who is in a segment leaves a note in its own transaction: touchpoints, merges and splits in
-- journey_changes, all else in segment_changes. refresh() takes the notes it sees, and looks anew at those customers,
-- for all segments at once; and at those whom the clock may have moved, for each has the time at which it may next.
-- What it sees of transactions whose notes it did not see is looked at again with them. So who is in a segment is what
-- segment_members says, but for customers with notes, or whose time has come.

-- Notes. Rows of statements are few or many: they are only read through.
CREATE OR REPLACE FUNCTION @hub@.note_traits() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        INSERT INTO segment_changes (identity_id, cause) SELECT DISTINCT n.identity_id, 'traits' FROM new_rows n;
    END IF;
    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        INSERT INTO segment_changes (identity_id, cause) SELECT DISTINCT o.identity_id, 'traits' FROM old_rows o;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_traits() IS 'trigger: something else is said of identities';
CREATE OR REPLACE TRIGGER note_new_traits AFTER INSERT ON @hub@.traits
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_traits();
CREATE OR REPLACE TRIGGER note_changed_traits AFTER UPDATE ON @hub@.traits
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_traits();
CREATE OR REPLACE TRIGGER note_removed_traits AFTER DELETE ON @hub@.traits
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_traits();

CREATE OR REPLACE FUNCTION @hub@.note_customers() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO segment_changes (identity_id, cause) SELECT n.customer_id, 'identities' FROM new_rows n;
    ELSE
        INSERT INTO segment_changes (identity_id, cause) SELECT o.customer_id, 'identities' FROM old_rows o;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_customers() IS 'trigger: customers are new, or gone';
-- Most hubs have no segments, and new customers are many. While segments is empty they leave no note, and whoever makes
-- the first one waits until they can be seen.
CREATE OR REPLACE TRIGGER note_new_customers AFTER INSERT ON @hub@.customers
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN (@extschema@.journey_pass($$@hub@.segments$$))
    EXECUTE FUNCTION @hub@.note_customers();
CREATE OR REPLACE TRIGGER note_removed_customers AFTER DELETE ON @hub@.customers
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_customers();

CREATE OR REPLACE FUNCTION @hub@.note_identity() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO segment_changes (identity_id, cause) VALUES (NEW.identity_id, 'identities');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_identity() IS 'trigger: what is said of an identity counts now, or does not any more';
CREATE OR REPLACE TRIGGER note_identity AFTER UPDATE OF blocked, shared ON @hub@.identities FOR EACH ROW
    WHEN (NEW.blocked <> OLD.blocked OR NEW.shared <> OLD.shared) EXECUTE FUNCTION @hub@.note_identity();

CREATE OR REPLACE FUNCTION @hub@.note_input() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO segment_changes (input, cause) VALUES (TG_ARGV[0], TG_ARGV[1]);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.note_input() IS 'trigger: what conditions on all customers hang on has changed';
CREATE OR REPLACE TRIGGER note_input AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @hub@.actions
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_input('actions', 'actions');
CREATE OR REPLACE TRIGGER note_input AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @hub@.trait_rules
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_input('trait rules', 'trait rules');
CREATE OR REPLACE TRIGGER note_input AFTER TRUNCATE ON @hub@.traits
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_input('traits', 'traits');
CREATE OR REPLACE TRIGGER note_input AFTER TRUNCATE ON @hub@.customers
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.note_input('all', 'identities');
CREATE OR REPLACE TRIGGER note_input AFTER UPDATE ON @hub@.settings FOR EACH ROW
    WHEN (NEW.time_zone <> OLD.time_zone OR NEW.session_gap <> OLD.session_gap
          OR NEW.handoff_within <> OLD.handoff_within)
    EXECUTE FUNCTION @hub@.note_input('settings', 'settings');

-- Open ones as customer_360 has them.
CREATE OR REPLACE VIEW @hub@.open_conversations WITH (security_invoker = true) AS
SELECT u.customer_id, u.source, u.conversation
FROM @hub@.turns u
WHERE u.conversation IS NOT NULL
GROUP BY u.customer_id, u.source, u.conversation
HAVING bool_or(u.own OR coalesce(u.turn = 'reopens', false))
       AND (max(ARRAY[(extract(epoch FROM u.occurred_at) * 1000000)::bigint, u.touchpoint_id, u.step,
                      (u.turn = 'resolves')::integer])
                FILTER (WHERE u.turn IN ('asks', 'resolves', 'reopens')))[4] IS DISTINCT FROM 1;
COMMENT ON VIEW @hub@.open_conversations IS 'conversations that are open: those customer_360 counts';
COMMENT ON COLUMN @hub@.open_conversations.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.open_conversations.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.open_conversations.conversation IS 'its name there';

CREATE OR REPLACE FUNCTION @hub@.open_conversations_of(customer_id bigint) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off SET max_parallel_workers_per_gather = 0
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT count(*) FROM open_conversations o WHERE o.customer_id = open_conversations_of.customer_id);
END $$;
COMMENT ON FUNCTION @hub@.open_conversations_of(bigint) IS 'how many conversations of a customer are open';

-- Here and elsewhere the hub reads the view customer_profile, not customer_profile_of, which tells who looks at whom.
-- Personal traits are hidden from who may not read identifiers, whose answers would be wrong.
CREATE OR REPLACE FUNCTION @hub@.sees_traits() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN has_table_privilege('traits', 'SELECT')
           AND (NOT row_security_active('traits') OR has_column_privilege('identities', 'identifier', 'SELECT'));
END $$;
COMMENT ON FUNCTION @hub@.sees_traits() IS 'whether you may read personal traits too';

CREATE OR REPLACE FUNCTION @hub@.segment_named(name text) RETURNS @hub@.segments
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    named segments;
BEGIN
    IF NOT has_table_privilege('segments', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    SELECT s.segment, s.segment_id, s.definition, s.made_at, s.changed_at, s.condition, s.turns, s.candidates,
           s.concerns, s.inputs, s.parts INTO named
    FROM segments s WHERE s.segment = name;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('segment %s does not exist', coalesce('"' || name || '"', 'NULL')),
            DETAIL = format('There are: %s.',
                            coalesce((SELECT string_agg(s.segment, ', ' ORDER BY s.segment)
                                      FROM (SELECT k.segment FROM segments k ORDER BY k.segment LIMIT 20) s), 'none')),
            HINT = format('SELECT %I.create_segment(name, definition) makes one.', current_schema());
    END IF;
    RETURN named;
END $$;
COMMENT ON FUNCTION @hub@.segment_named(text) IS 'a segment by its name; an error if there is none';

-- One statement: the customers' journeys are read once, and what is found, kept and logged is of one snapshot. A
-- journey is unpacked once, not by each condition.
--
-- Which segments a customer is looked at for are the bits of looked_at, by segment_id; of the others what was known
-- stays. Where new touchpoints are all that has changed, it is those whose patterns name the labels of these, worked
-- out once for each label. turns_at need not be exact if it is early: so it is not written each time it moves away.
CREATE OR REPLACE FUNCTION @hub@.find_segments(
    at timestamptz, ids integer[], customers bigint[], whys text[], added @extschema@.journey[])
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET jit = off
SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on
AS $$
#variable_conflict use_variable
DECLARE
    everybody CONSTANT boolean := customers IS NULL;
    highest CONSTANT integer := (SELECT max(s.segment_id) FROM segments s);
    all_bits varbit;
    bits varbit;
    ruled record;
    made record;
    news text[];
    logged bigint;
BEGIN
    IF highest IS NULL THEN
        RETURN 0;
    END IF;
    all_bits := repeat('1', highest + 1)::varbit;
    bits := (SELECT string_agg(CASE WHEN s.segment_id <> ALL (ids) THEN '0' ELSE '1' END, '' ORDER BY n.n)
             FROM generate_series(0, highest) n(n) LEFT JOIN segments s ON s.segment_id = n.n)::varbit;
    IF ids @> ARRAY(SELECT d.segment_id FROM segments d) THEN
        bits := all_bits;
    END IF;
    SELECT g.session_gap, g.handoff_within, g.time_zone, g.notify INTO ruled FROM settings g WHERE g.one_row;
    SELECT string_agg(format('CASE WHEN CASE WHEN get_bit(e.bits, %1$s) = 1 THEN %2$s END THEN %1$s END',
                             d.segment_id, d.condition), ', ' ORDER BY d.segment_id) AS conditions,
           (SELECT string_agg(format(CASE WHEN t.segments = 1 THEN 'nullif(greatest(CASE WHEN get_bit(e.bits, %s) = 1 '
                                                                   'THEN %s END, $9), $9)'
                                          ELSE 'nullif(greatest(%2$s, $9), $9)' END, t.segment_id, t.turn), ', ')
            FROM (SELECT count(*) AS segments, min(k.segment_id) AS segment_id, t.turn
                  FROM segments k CROSS JOIN LATERAL unnest(k.turns) t(turn)
                  WHERE k.segment_id = ANY (ids) GROUP BY t.turn) t) AS turns,
           bool_or('traits' = ANY (d.inputs) AND d.segment_id = ANY (ids)) AS traits,
           bool_or(d.condition ~ 'e\.open_conversations' AND d.segment_id = ANY (ids)) AS conversations
    INTO made
    FROM segments d;
    PERFORM set_config('timezone', ruled.time_zone, true);
    IF cardinality(customers) < 1000 THEN
        PERFORM set_config(g.setting, 'off', true)
        FROM unnest('{enable_seqscan,enable_hashjoin,enable_mergejoin}'::text[]) g(setting);
    END IF;
    EXECUTE format($run$
        WITH %s, compared AS MATERIALIZED (
            SELECT e.customer_id, e.why, e.former,
                   CASE WHEN e.is_there THEN journey_array_renew(e.former, e.bits, ARRAY[%s]::integer[]) ELSE '{}' END
                       AS latter,
                   CASE WHEN NOT e.is_there THEN NULL
                        WHEN e.turns_at >= $1 OR e.bits <> $11 THEN least(%s, e.turns_at)
                        ELSE %3$s END AS turns_at
            FROM (SELECT l.customer_id, l.why, l.bits || B'' AS bits, c.customer_id IS NOT NULL AS is_there,
                         coalesce(m.segments, '{}') AS former, m.turns_at,
                         CASE WHEN j.journey IS NULL THEN '{}' WHEN pg_column_size(j.journey) < 1000 THEN j.journey
                              ELSE journey_slice(j.journey, '(,)') END AS journey,
                         %s AS traits, %s AS open_conversations
                  FROM looked_at l LEFT JOIN customers c ON c.customer_id = l.customer_id
                       LEFT JOIN segment_members m ON m.customer_id = l.customer_id
                       LEFT JOIN customer_journeys j ON j.customer_id = l.customer_id
                       %s
                  OFFSET 0) e
        ), stored AS (
            INSERT INTO segment_members AS m (customer_id, segments, turns_at)
            SELECT c.customer_id, c.latter, c.turns_at FROM compared c WHERE c.latter <> '{}' OR c.turns_at IS NOT NULL
            ON CONFLICT ON CONSTRAINT segment_members_pkey DO UPDATE
            SET segments = excluded.segments, turns_at = excluded.turns_at
            WHERE (m.segments, m.turns_at) IS DISTINCT FROM (excluded.segments, excluded.turns_at)
        ), gone AS (
            DELETE FROM segment_members m USING compared c
            WHERE m.customer_id = c.customer_id AND c.latter = '{}' AND c.turns_at IS NULL
        ), logged AS (
            INSERT INTO segment_log AS l (segment, customer_id, entered, at, why)
            SELECT s.segment, c.customer_id, x.entered, $1, w.why
            FROM compared c
                 CROSS JOIN LATERAL (SELECT unnest(journey_array_minus(c.latter, c.former)) AS id, true AS entered
                                     UNION ALL
                                     SELECT unnest(journey_array_minus(c.former, c.latter)), false) x
                 JOIN segments s ON s.segment_id = x.id
                 CROSS JOIN LATERAL (SELECT CASE cardinality(c.why) WHEN 1 THEN c.why
                                                 ELSE coalesce((SELECT array_agg(y.why ORDER BY y.why)
                                                                FROM unnest(c.why) y(why)
                                                                WHERE y.why = ANY (s.inputs
                                                                                   || '{identities,definition}')),
                                                               c.why) END AS why) w
            WHERE c.latter <> c.former
            ORDER BY c.customer_id, x.entered, s.segment
            RETURNING l.log_id, l.segment, l.customer_id, l.entered
        )
        SELECT (SELECT count(*) FROM logged l),
               CASE WHEN $8 THEN ARRAY(SELECT segment_news(l.segment, l.customer_id, l.entered) FROM logged l
                                       ORDER BY l.log_id LIMIT 1001) END
        $run$,
        CASE WHEN everybody
             THEN $with$
        looked_at AS MATERIALIZED (
            SELECT c.customer_id, $7 AS why, $10 AS bits FROM customers c
            UNION
            SELECT m.customer_id, $7, $10 FROM segment_members m
        )$with$
             ELSE $with$
        given AS MATERIALIZED (
            SELECT u.customer_id, string_to_array(u.why, ',') AS why, journey_labels(u.added) AS labels
            FROM unnest($6, $7, $12) u(customer_id, why, added)
        ), news AS MATERIALIZED (
            SELECT n.label, (SELECT string_agg(CASE WHEN NOT EXISTS (
                                     SELECT FROM unnest(s.concerns) c(pattern)
                                     WHERE journey_pattern_concerns(c.pattern::@extschema@.journey_pattern, n.news))
                                                    AND s.segment_id = b.n THEN '0' ELSE '1' END,
                                               '' ORDER BY b.n)::varbit
                             FROM generate_series(0, length($10) - 1) b(n)
                                  LEFT JOIN segments s ON s.segment_id = b.n) AS bits
            FROM (SELECT d.label, format('{%s@2000-01-01T00:00:00Z}', d.label)::@extschema@.journey AS news
                  FROM (SELECT DISTINCT unnest(g.labels) AS label FROM given g) d OFFSET 0) n
        ), looked_at AS MATERIALIZED (
            SELECT g.customer_id, g.why, $10 AS bits FROM given g WHERE g.labels IS NULL
            UNION ALL
            SELECT g.customer_id, min(g.why), bit_or(n.bits)
            FROM given g CROSS JOIN LATERAL unnest(g.labels) l(label) JOIN news n ON n.label = l.label
            GROUP BY g.customer_id
        )$with$ END,
        made.conditions, coalesce('least(' || made.turns || ')', 'NULL::timestamptz'),
        CASE WHEN made.traits THEN 'p.traits' ELSE 'NULL::jsonb' END,
        CASE WHEN NOT made.conversations THEN 'NULL::bigint' WHEN everybody THEN 'coalesce(o.open, 0)'
             ELSE 'open_conversations_of(l.customer_id)' END,
        concat_ws(' ', CASE WHEN made.traits
                            THEN 'LEFT JOIN LATERAL (SELECT f.traits FROM customer_profile f '
                                 'WHERE f.customer_id = l.customer_id OFFSET 0) p ON true' END,
                  CASE WHEN made.conversations AND everybody
                       THEN 'LEFT JOIN (SELECT o.customer_id, count(*) AS open FROM open_conversations o GROUP BY 1) o '
                            'ON o.customer_id = l.customer_id' END))
    INTO logged, news
    USING at, ruled.session_gap, ruled.handoff_within, not_own_actions(), ruled.time_zone, customers, whys,
          ruled.notify,
          at - interval '1 microsecond', bits, all_bits, added;
    PERFORM tell(news) WHERE news IS NOT NULL;
    RETURN logged;
END $$;
COMMENT ON FUNCTION @hub@.find_segments(timestamptz, integer[], bigint[], text[], @extschema@.journey[]) IS
    'find out as of a time which customers, NULL: all, are in some segments; keep and log it. Returns how many entered '
    'and left. Of each customer: whys: what has changed, with commas between (of all: a list); added: new touchpoints, '
    'if nothing else has changed';

CREATE OR REPLACE FUNCTION @hub@.refresh_segments(
    at timestamptz DEFAULT now(), changed bigint[] DEFAULT '{}', everything boolean DEFAULT false,
    added @extschema@.journey[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    noted record;
    causes text[];
    inputs text[];
    whole integer[];
    customers bigint[];
    whys text[];
    news @extschema@.journey[];
    logged bigint := 0;
BEGIN
    IF NOT has_table_privilege('refresh_lock', 'UPDATE') THEN
        PERFORM check_may('steward');
    END IF;
    at := coalesce(at, now());
    LOCK TABLE refresh_lock IN SHARE ROW EXCLUSIVE MODE;
    IF NOT sees_all_journeys() OR NOT sees_traits() THEN  -- somebody will who sees all of them
        INSERT INTO segment_changes (identity_id, cause) SELECT c.id, 'touchpoints' FROM unnest(changed) c(id);
        INSERT INTO segment_changes (input, cause) SELECT 'all', 'touchpoints' WHERE everything;
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM segment_changes c RETURNING c.identity_id, c.segment_id, c.input, c.cause
    )
    SELECT array_agg(t.identity_id) FILTER (WHERE t.identity_id IS NOT NULL) AS ids,
           array_agg(t.cause) FILTER (WHERE t.identity_id IS NOT NULL) AS whys,
           array_agg(DISTINCT t.segment_id) FILTER (WHERE t.segment_id IS NOT NULL) AS segments,
           array_agg(DISTINCT t.input) FILTER (WHERE t.input IS NOT NULL) AS inputs,
           array_agg(DISTINCT t.cause) FILTER (WHERE t.identity_id IS NULL) AS causes
    INTO noted FROM taken t;
    causes := coalesce(noted.causes, '{}') || CASE WHEN everything THEN '{touchpoints}'::text[] END;
    inputs := coalesce(noted.inputs, '{}') || CASE WHEN everything THEN '{all}'::text[] END;
    IF at < (SELECT c.evaluated_at FROM segment_clock c WHERE c.one_row) THEN  -- the clock was put back
        causes := causes || ARRAY['time'];
        inputs := inputs || ARRAY['time'];
    END IF;
    IF NOT EXISTS (SELECT FROM segments s) THEN
        DELETE FROM segment_members;
    ELSE
        whole := ARRAY(SELECT s.segment_id FROM segments s
                       WHERE s.segment_id = ANY (noted.segments) OR s.inputs && inputs OR 'all' = ANY (inputs)
                       ORDER BY 1);
        IF whole <> '{}' THEN
            logged := find_segments(at, whole, NULL, causes, NULL);
        END IF;
        SELECT array_agg(w.customer_id), array_agg(w.why), array_agg(w.added) INTO customers, whys, news
        FROM (SELECT c.customer_id, string_agg(DISTINCT c.why, ',' ORDER BY c.why) AS why,
                     CASE count(*) WHEN 1 THEN (array_agg(c.added))[1] END AS added
              FROM (SELECT u.customer_id, 'touchpoints' AS why, u.added
                    FROM unnest(changed, added) u(customer_id, added)
                    UNION ALL
                    SELECT i.customer_id, n.why, NULL
                    FROM unnest(noted.ids, noted.whys) n(id, why)
                         CROSS JOIN LATERAL (SELECT k.customer_id FROM identities k
                                             WHERE k.identity_id = n.id OFFSET 0) i
                    UNION ALL
                    SELECT n.id, n.why, NULL FROM unnest(noted.ids, noted.whys) n(id, why) WHERE n.why <> 'traits'
                    UNION ALL
                    SELECT m.customer_id, 'time', NULL FROM segment_members m WHERE m.turns_at < at) c
              GROUP BY c.customer_id) w;
        IF customers IS NOT NULL THEN
            logged := logged + find_segments(at, ARRAY(SELECT s.segment_id FROM segments s ORDER BY 1), customers, whys,
                                             news);
        END IF;
    END IF;
    UPDATE segment_clock c SET evaluated_at = at WHERE c.one_row AND c.evaluated_at IS DISTINCT FROM at;
    RETURN logged;
END $$;
COMMENT ON FUNCTION @hub@.refresh_segments(timestamptz, bigint[], boolean, @extschema@.journey[]) IS
    'bring segment_members up to date, as of a time, and log who entered and left; returns how many. refresh() does '
    'it, and tells which customers'' journeys have changed, and of each what has been added if that is all; or '
    'everything';

-- Live, of one customer: what refresh() would find now.
CREATE OR REPLACE FUNCTION @hub@.evaluate_segments(customer_id bigint, ids integer[], at timestamptz) RETURNS integer[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET jit = off
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
SET max_parallel_workers_per_gather = 0
AS $$
#variable_conflict use_variable
DECLARE
    ruled record;
    made record;
    journey @extschema@.journey;
    traits jsonb;
    conversations bigint;
    those integer[];
BEGIN
    SELECT g.session_gap, g.handoff_within, g.time_zone INTO ruled FROM settings g WHERE g.one_row;
    SELECT string_agg(format('CASE WHEN %s THEN %s END', d.condition, d.segment_id), ', ' ORDER BY d.segment_id)
               AS conditions,
           bool_or('traits' = ANY (d.inputs)) AS traits,
           bool_or(d.condition ~ 'e\.open_conversations') AS conversations
    INTO made
    FROM segments d WHERE d.segment_id = ANY (ids);
    IF made.conditions IS NULL THEN
        RETURN '{}';
    END IF;
    journey := coalesce((SELECT j.journey FROM journeys_by_customer j
                         WHERE j.customer_id = evaluate_segments.customer_id), '{}');
    IF made.traits THEN
        traits := (SELECT p.traits FROM customer_profile p WHERE p.customer_id = evaluate_segments.customer_id);
    END IF;
    IF made.conversations THEN
        conversations := open_conversations_of(customer_id);
    END IF;
    PERFORM set_config('timezone', ruled.time_zone, true);
    EXECUTE format('SELECT array_remove(ARRAY[%s]::integer[], NULL) '
                   'FROM (SELECT $6 AS journey, $7 AS traits, $8 AS open_conversations OFFSET 0) e', made.conditions)
    INTO those
    USING at, ruled.session_gap, ruled.handoff_within, CASE WHEN made.conditions ~ '\$4' THEN not_own_actions() END,
          ruled.time_zone, journey, traits, conversations;
    RETURN those;
END $$;
COMMENT ON FUNCTION @hub@.evaluate_segments(bigint, integer[], timestamptz) IS
    'in which of some segments a customer is, as of a time';

CREATE OR REPLACE FUNCTION @hub@.in_segment(name text, customer_id bigint, at timestamptz DEFAULT now()) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    named segments := segment_named(name);
    who bigint := current_customer(customer_id);
BEGIN
    IF NOT EXISTS (SELECT FROM customers c WHERE c.customer_id = who) THEN
        RETURN NULL;
    ELSIF 'traits' = ANY (named.inputs) AND NOT sees_traits() THEN
        RETURN EXISTS (SELECT FROM segment_members m WHERE m.customer_id = who AND named.segment_id = ANY (m.segments));
    END IF;
    RETURN evaluate_segments(who, ARRAY[named.segment_id], coalesce(at, now())) <> '{}';
END $$;
COMMENT ON FUNCTION @hub@.in_segment(text, bigint, timestamptz) IS
    'whether a customer is in a segment, as of now or by the clock of another time; a former number stands for the '
    'customer of now. NULL: there is no such customer. Who may not see personal traits is told what the last refresh() '
    'found, where the segment asks for traits';

CREATE OR REPLACE FUNCTION @hub@.segments_of(customer_id bigint, at timestamptz DEFAULT now()) RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 5 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    who bigint;
    all_ids integer[];
    unseen integer[];
    ids integer[];
BEGIN
    IF NOT has_table_privilege('segments', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    who := current_customer(customer_id);
    at := coalesce(at, now());
    IF NOT EXISTS (SELECT FROM customers c WHERE c.customer_id = who) THEN
        RETURN;
    END IF;
    ids := (SELECT m.segments FROM segment_members m WHERE m.customer_id = who);
    -- what refresh() has found holds, unless something has changed
    IF NOT reads_stored() OR (SELECT c.evaluated_at <= at FROM segment_clock c WHERE c.one_row) IS NOT TRUE
       OR EXISTS (SELECT FROM segment_changes c WHERE c.identity_id IS NULL)
       OR EXISTS (SELECT FROM segment_members m WHERE m.customer_id = who AND m.turns_at < at)
       OR EXISTS (SELECT
                  FROM unnest(ARRAY(SELECT i.identity_id FROM identities i WHERE i.customer_id = who) || who) n(id)
                  WHERE EXISTS (SELECT FROM segment_changes c WHERE c.identity_id = n.id)
                        OR EXISTS (SELECT FROM journey_changes c WHERE c.identity_id = n.id)) THEN
        all_ids := ARRAY(SELECT s.segment_id FROM segments s);
        unseen := CASE WHEN sees_traits() THEN '{}'
                       ELSE ARRAY(SELECT s.segment_id FROM segments s WHERE 'traits' = ANY (s.inputs)) END;
        ids := evaluate_segments(who, ARRAY(SELECT unnest(all_ids) EXCEPT SELECT unnest(unseen)), at)
               || ARRAY(SELECT unnest(ids) INTERSECT SELECT unnest(unseen));
    END IF;
    RETURN QUERY SELECT s.segment FROM segments s WHERE s.segment_id = ANY (ids) ORDER BY s.segment;
END $$;
COMMENT ON FUNCTION @hub@.segments_of(bigint, timestamptz) IS
    'the segments a customer is in, by name, as in_segment says';

CREATE OR REPLACE FUNCTION @hub@.segment_members(name text, at timestamptz DEFAULT now()) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    d segments := segment_named(name);
    ruled record;
BEGIN
    IF 'traits' = ANY (d.inputs) AND NOT sees_traits() THEN
        RETURN QUERY SELECT m.customer_id FROM segment_members m WHERE d.segment_id = ANY (m.segments);
        RETURN;
    END IF;
    SELECT g.session_gap, g.handoff_within, g.time_zone INTO ruled FROM settings g WHERE g.one_row;
    PERFORM set_config('timezone', ruled.time_zone, true);
    RETURN QUERY EXECUTE format(
        'SELECT e.customer_id FROM (SELECT j.customer_id, coalesce(j.journey, ''{}'') AS journey, %s AS traits, '
        '%s AS open_conversations FROM (%s) j %s OFFSET 0) e WHERE %s',
        CASE WHEN 'traits' = ANY (d.inputs) THEN 'p.traits' ELSE 'NULL::jsonb' END,
        CASE WHEN d.condition !~ 'e\.open_conversations' THEN 'NULL::bigint'
             WHEN d.candidates IS NULL THEN 'coalesce(o.open, 0)'
             ELSE 'open_conversations_of(j.customer_id)' END,
        coalesce('SELECT j.customer_id, j.journey FROM home_journeys j WHERE ' || d.candidates,
                 'SELECT c.customer_id, j.journey FROM customers c LEFT JOIN journeys_by_customer j '
                 'ON j.customer_id = c.customer_id'),
        concat_ws(' ', CASE WHEN 'traits' = ANY (d.inputs)
                            THEN 'LEFT JOIN LATERAL (SELECT f.traits FROM customer_profile f '
                                 'WHERE f.customer_id = j.customer_id OFFSET 0) p ON true' END,
                  CASE WHEN d.condition ~ 'e\.open_conversations' AND d.candidates IS NULL
                       THEN 'LEFT JOIN (SELECT o.customer_id, count(*) AS open FROM open_conversations o GROUP BY 1) o '
                            'ON o.customer_id = j.customer_id' END),
        d.condition)
    USING coalesce(at, now()), ruled.session_gap, ruled.handoff_within, not_own_actions(), ruled.time_zone;
END $$;
COMMENT ON FUNCTION @hub@.segment_members(text, timestamptz) IS
    'the customers who are in a segment, as in_segment says; where its patterns allow, by the index of journeys';

CREATE OR REPLACE FUNCTION @hub@.segment_text(name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    d segments := segment_named(name);
BEGIN
    RETURN (SELECT format('Customers who %s.', c.words) FROM compile_segment(d.definition) c);
END $$;
COMMENT ON FUNCTION @hub@.segment_text(text) IS 'who is in a segment, in English';

CREATE OR REPLACE FUNCTION @hub@.explain_segment(name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    d segments := segment_named(name);
BEGIN
    RETURN concat_ws(E'\n', segment_text(name),
        CASE WHEN d.candidates IS NOT NULL
             THEN format('The index of journeys finds the candidates: those that match %s.',
                         replace(replace(d.candidates, 'j.journey ~ ', ''), '::@extschema@.journey_pattern', ''))
             ELSE 'Found by reading all customers: there is no pattern that all of them must match.' END,
        format('What may change it: %s.', array_to_string(array_replace(d.inputs, 'time', 'time alone'), ', ')));
END $$;
COMMENT ON FUNCTION @hub@.explain_segment(text) IS
    'who is in a segment, in English, how segment_members finds them, and by what they may enter or leave';

CREATE OR REPLACE FUNCTION @hub@.create_segment(name text, definition jsonb, replace boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('segments', 'INSERT') THEN
        PERFORM check_may('steward');
    ELSIF name IS NULL OR octet_length(name) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION USING ERRCODE = CASE WHEN name IS NULL THEN 'null_value_not_allowed'
                                             ELSE 'invalid_parameter_value' END,
            MESSAGE = 'the name of a segment must have 1 to 255 bytes',
            DETAIL = format('Given: %s.', coalesce('"' || left(name, 60) || '"', 'NULL'));
    ELSIF definition IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'definition must not be NULL';
    END IF;
    LOCK TABLE segments IN SHARE ROW EXCLUSIVE MODE;
    IF NOT replace AND EXISTS (SELECT FROM segments s WHERE s.segment = name) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('segment "%s" already exists', name),
            DETAIL = segment_text(name), HINT = 'replace => true defines it otherwise.';
    END IF;
    INSERT INTO segments (segment, definition, condition, turns, concerns, inputs, parts)
    SELECT name, definition, '', '{}', '{}', '{}', '{}'
    WHERE NOT EXISTS (SELECT FROM segments s WHERE s.segment = name);
    IF NOT FOUND THEN
        UPDATE segments s SET definition = create_segment.definition WHERE s.segment = name;
    END IF;
    RETURN explain_segment(name);
END $$;
COMMENT ON FUNCTION @hub@.create_segment(text, jsonb, boolean) IS
    'make a segment, or define it otherwise; returns what explain_segment says. The next refresh() finds who is in it';

CREATE OR REPLACE FUNCTION @hub@.drop_segment(name text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('segments', 'DELETE') THEN
        PERFORM check_may('steward');
    END IF;
    PERFORM segment_named(name);
    LOCK TABLE refresh_lock IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE segments IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM segments s WHERE s.segment = name;
END $$;
COMMENT ON FUNCTION @hub@.drop_segment(text) IS
    'drop a segment; all whom refresh() found in it leave it, as segment_log says';

CREATE OR REPLACE FUNCTION @hub@.take_segment_events(at_most integer DEFAULT 100) RETURNS SETOF @hub@.segment_log
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_column_privilege('segment_log', 'taken_at', 'UPDATE') THEN
        PERFORM check_may('writer');
    ELSIF at_most < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'at_most must not be negative',
            DETAIL = format('Given: %s.', at_most);
    END IF;
    PERFORM pass_gate();
    RETURN QUERY
    WITH next AS MATERIALIZED (
        SELECT l.log_id FROM segment_log l WHERE l.taken_at IS NULL ORDER BY l.log_id LIMIT at_most
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE segment_log l SET taken_at = clock_timestamp() FROM next n WHERE l.log_id = n.log_id
        RETURNING l.log_id, l.segment, l.customer_id, l.entered, l.at, l.why, l.taken_at
    )
    SELECT t.log_id, t.segment, t.customer_id, t.entered, t.at, t.why, t.taken_at FROM taken t ORDER BY t.log_id;
END $$;
COMMENT ON FUNCTION @hub@.take_segment_events(integer) IS
    'the oldest rows of segment_log that nobody has taken, and nobody is taking at the moment; they are taken when the '
    'transaction commits';

CREATE OR REPLACE VIEW @hub@.customer_segments WITH (security_invoker = true) AS
SELECT m.customer_id, s.segment
FROM @hub@.segment_members m JOIN @hub@.segments s ON s.segment_id = ANY (m.segments);
COMMENT ON VIEW @hub@.customer_segments IS 'who is in which segment as of the last refresh(), a row each';
COMMENT ON COLUMN @hub@.customer_segments.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.customer_segments.segment IS 'the segment';

-- What an upgrade makes otherwise of definitions
UPDATE @hub@.segments SET definition = definition;
