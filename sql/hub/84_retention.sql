-- Retention: what is too old goes, or is made nobody's.
--
-- apply_retention() says what would go, and with dry_run => false takes away so much of it in its transaction, which is
-- rolled back as a whole when it is cancelled. maintain() calls it, and commits, until nothing is left; what was done
-- when it is cancelled stays done. A rule that deletes all touchpoints lets maintain() drop partitions.

CREATE OR REPLACE FUNCTION @hub@.check_retention_rule() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    known CONSTANT text[] := '{touchpoints,keys,rejected,traits,trait_history,former_memberships,access_log,'
                             'assignments,segment_log,customers}';
    column_name text;
BEGIN
    IF NEW.what <> ALL (known) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = format('nothing called "%s" is kept', NEW.what),
            HINT = format('There are %s.', array_to_string(known, ', '));
    ELSIF NEW.keep <= '0' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('can''t keep anything for %s', NEW.keep),
            HINT = 'Give how long it is kept, such as 2 years.';
    ELSIF NEW."then" NOT IN ('delete', 'anonymise')
          OR NEW."then" = 'anonymise' AND NEW.what NOT IN ('touchpoints', 'customers') THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('can''t %s %s', NEW."then", NEW.what),
            HINT = CASE WHEN NEW.what IN ('touchpoints', 'customers') THEN 'Use delete or anonymise.'
                        ELSE 'Use delete.' END;
    END IF;
    column_name := (SELECT u.name
                    FROM unnest('{channel,action,source}'::text[],
                                ARRAY[NEW.channel, NEW.action, NEW.source]) u(name, value)
                    WHERE u.value <> '*' AND NEW.what <> 'touchpoints'
                          AND (u.name <> 'source' OR NEW.what NOT IN ('rejected', 'traits', 'trait_history')) LIMIT 1);
    IF column_name IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('%s have no %s', NEW.what, column_name),
            HINT = 'Leave it out: the rule is for all of them.';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @hub@.check_retention_rule() IS 'trigger: refuse rules that can''t be';
CREATE OR REPLACE TRIGGER check_retention_rule BEFORE INSERT OR UPDATE ON @hub@.retention_rules FOR EACH ROW
    EXECUTE FUNCTION @hub@.check_retention_rule();

CREATE OR REPLACE FUNCTION @hub@.set_retention(
    what text, keep interval, channel text DEFAULT '*', action text DEFAULT '*', source text DEFAULT '*',
    "then" text DEFAULT 'delete')
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('owner');
    DELETE FROM retention_rules r
    WHERE r.what = set_retention.what AND coalesce(r.channel, '*') = coalesce(set_retention.channel, '*')
          AND coalesce(r.action, '*') = coalesce(set_retention.action, '*')
          AND coalesce(r.source, '*') = coalesce(set_retention.source, '*');
    INSERT INTO retention_rules (what, channel, action, source, keep, "then")
    SELECT what, coalesce(channel, '*'), coalesce(action, '*'), coalesce(source, '*'), keep, "then"
    WHERE keep IS NOT NULL;
END $$;
COMMENT ON FUNCTION @hub@.set_retention(text, interval, text, text, text, text) IS
    'make or change a rule of retention_rules; keep NULL: take it away';

CREATE OR REPLACE FUNCTION @hub@.identity_for_nobody(seen_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT bigint := nextval('identities_identity_id_seq');
BEGIN
    INSERT INTO identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
    VALUES (id, identifier('anonymous', gen_random_uuid()::text), id, id, now(), seen_at, seen_at);
    INSERT INTO customers (customer_id, identities) VALUES (id, 1);
    RETURN id;
END $$;
COMMENT ON FUNCTION @hub@.identity_for_nobody(timestamptz) IS
    'a new identity that touchpoints can belong to which shall lead to nobody: a customer of its own, named at random';

-- Partition by partition: its bounds leave nothing else to look at, and only the whole has the triggers. A row that
-- somebody else has changed meanwhile is another one, and left for the next time.
CREATE OR REPLACE FUNCTION @hub@.retain_touchpoints(
    channel text, action text, source text, "then" text, before timestamptz, most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
    SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    done bigint := 0;
    part record;
    places tid[];
    bounds text;
    ids bigint[];
    first_at timestamptz;
    customers bigint[];
    numbers bigint[];
BEGIN
    FOR part IN
        SELECT p.partition, p.since FROM touchpoint_partitions() p WHERE p.since < before
        UNION ALL
        SELECT 'touchpoints_default', '-infinity'
        ORDER BY 2, 1
    LOOP
        EXECUTE format('SELECT array(SELECT t.ctid FROM ONLY %s t
                                     WHERE t.occurred_at < $1 AND $2 IN (t.channel, ''*'') AND $3 IN (t.action, ''*'')
                                           AND $4 IN (t.source, ''*'') %s
                                     LIMIT $5)', part.partition,
                       CASE "then" WHEN 'anonymise'
                                   THEN 'AND NOT EXISTS (SELECT FROM identities i
                                                         WHERE i.identity_id = t.identity_id
                                                               AND identifier_namespace(i.identifier) = ''anonymous'')'
                                   ELSE '' END)
        INTO places USING before, channel, action, source, most - done;
        bounds := format('t.tableoid = %s AND t.occurred_at >= %L AND t.occurred_at < %L AND t.ctid = ANY ($1)',
                         part.partition::oid, part.since, before);
        IF "then" = 'delete' THEN
            EXECUTE 'DELETE FROM touchpoints t WHERE ' || bounds USING places;
        ELSIF places <> '{}' THEN
            EXECUTE 'SELECT array_agg(DISTINCT t.identity_id), min(t.occurred_at) FROM touchpoints t WHERE ' || bounds
            INTO ids, first_at USING places;
            SELECT array_agg(c.customer_id ORDER BY c.customer_id), array_agg(identity_for_nobody(first_at))
            INTO customers, numbers
            FROM (SELECT DISTINCT coalesce(i.customer_id, u.id) AS customer_id
                  FROM unnest(ids) u(id) LEFT JOIN identities i ON i.identity_id = u.id) c;
            numbers := ARRAY(SELECT numbers[array_position(customers, coalesce(i.customer_id, u.id))]
                             FROM unnest(ids) WITH ORDINALITY u(id, n)
                                  LEFT JOIN identities i ON i.identity_id = u.id
                             ORDER BY u.n);
            EXECUTE 'UPDATE touchpoints t
                     SET identity_id = n.number, subject = NULL, url = NULL, attributes = NULL, agent = NULL,
                         conversation = NULL, source_key = NULL
                     FROM unnest($2, $3) n(identity_id, number)
                     WHERE n.identity_id = t.identity_id AND ' || bounds USING places, ids, numbers;
        END IF;
        done := done + cardinality(places);
        EXIT WHEN done >= most;
    END LOOP;
    RETURN done;
END $$;
COMMENT ON FUNCTION @hub@.retain_touchpoints(text, text, text, text, timestamptz, bigint) IS
    'delete or anonymise so many touchpoints of before a time; returns how many were found';

-- Heard of: by an identifier, or a touchpoint of any
CREATE OR REPLACE FUNCTION @hub@.old_customers(before timestamptz, most bigint DEFAULT NULL) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET row_security = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT c.customer_id FROM customers c
    WHERE NOT EXISTS (SELECT FROM identities i
                      WHERE i.customer_id = c.customer_id
                            AND (i.last_seen >= before OR identifier_namespace(i.identifier) = 'anonymous'))
          AND NOT EXISTS (SELECT FROM identities i JOIN touchpoints t ON t.identity_id = i.identity_id
                          WHERE i.customer_id = c.customer_id AND t.occurred_at >= before)
    ORDER BY 1 LIMIT most;
END $$;
COMMENT ON FUNCTION @hub@.old_customers(timestamptz, bigint) IS 'customers that were last heard of before a time';

-- Few at a time: erase() keeps everybody else from writing until the transaction ends.
CREATE OR REPLACE FUNCTION @hub@.retain_customers("then" text, before timestamptz, most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    id bigint;
    done bigint := 0;
    refused bigint := 0;
    why text;
BEGIN
    FOREACH id IN ARRAY ARRAY(SELECT o.id FROM old_customers(before, least(most, 50)) o(id)) LOOP
        BEGIN
            IF "then" = 'delete' THEN
                PERFORM erase(id, 'retention', true);  -- all that guesses join is too old
            ELSE
                PERFORM anonymize(id, 'retention', true);
            END IF;
            done := done + 1;
        EXCEPTION WHEN object_not_in_prerequisite_state OR dependent_objects_still_exist THEN
            refused := refused + 1;
            why := SQLERRM;
        END;
    END LOOP;
    IF refused > 0 THEN
        RAISE WARNING USING MESSAGE = format('%s customers stay who are too old', refused), DETAIL = why || '.';
    END IF;
    RETURN done;
END $$;
COMMENT ON FUNCTION @hub@.retain_customers(text, timestamptz, bigint) IS
    'erase or anonymize so many customers that were last heard of before a time; returns how many';

-- Of tables whose rows tell when they came: which, and what their source is called
CREATE OR REPLACE FUNCTION @hub@.retained_rows(what text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE retained_rows.what
           WHEN 'rejected' THEN 'rejected t WHERE t.received_at < $1 AND $2 IN (t.format, ''*'')'
           -- as long as a row of a table says so, it is told
           WHEN 'traits' THEN 'traits t WHERE t.recorded_at < $1 AND $2 IN (t.source, ''*'') AND t.source_key = '''''
           WHEN 'trait_history' THEN 'trait_history t WHERE t.recorded_at < $1 AND $2 IN (t.source, ''*'')'
           WHEN 'former_memberships' THEN 'former_memberships t WHERE t.member_until < $1 AND $2 = ''*'''
           WHEN 'access_log' THEN 'access_log t WHERE t.seen_at < $1 AND $2 = ''*'''
           WHEN 'assignments' THEN 'assignments t WHERE t.released_at < $1 AND $2 = ''*'''
           WHEN 'segment_log' THEN 'segment_log t WHERE t.at < $1 AND $2 = ''*''' END;
COMMENT ON FUNCTION @hub@.retained_rows(text) IS 'the rows of a table, from before a time and of a source, as SQL';

CREATE OR REPLACE FUNCTION @hub@.apply_retention(
    dry_run boolean DEFAULT true, most bigint DEFAULT 100000, OUT what text, OUT channel text, OUT action text,
    OUT source text, OUT keep interval, OUT "then" text, OUT before timestamptz, OUT rows bigint, OUT done boolean)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 10 SET search_path = @hub@, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
    SET row_security = off
AS $$
#variable_conflict use_variable
DECLARE
    left_over bigint := greatest(coalesce(most, 9223372036854775807), 0);
BEGIN
    PERFORM check_may('owner');
    FOR what, channel, action, source, keep, "then" IN
        SELECT r.what, coalesce(r.channel, '*'), coalesce(r.action, '*'), coalesce(r.source, '*'), r.keep, r."then"
        FROM retention_rules r
        ORDER BY r.what COLLATE "C", r.keep, r.channel COLLATE "C", r.action COLLATE "C", r.source COLLATE "C"
    LOOP
        CONTINUE WHEN keep > '5000 years';
        before := now() - keep;
        done := false;
        rows := 0;
        IF dry_run IS NOT FALSE THEN
            CASE what
                WHEN 'touchpoints' THEN
                    rows := (SELECT count(*) FROM touchpoints t
                             WHERE t.occurred_at < before AND channel IN (t.channel, '*') AND action IN (t.action, '*')
                                   AND source IN (t.source, '*')
                                   AND ("then" = 'delete'
                                        OR NOT EXISTS (SELECT FROM identities i
                                                       WHERE i.identity_id = t.identity_id
                                                             AND identifier_namespace(i.identifier) = 'anonymous')));
                WHEN 'customers' THEN rows := (SELECT count(*) FROM old_customers(before));
                WHEN 'keys' THEN
                    rows := (SELECT count(*)
                             FROM touchpoint_keys k JOIN touchpoints t ON t.touchpoint_id = k.touchpoint_id
                                                                          AND t.occurred_at = k.occurred_at
                             WHERE t.recorded_at < before
                                   AND NOT EXISTS (SELECT FROM sources s WHERE s.source = k.source));
                ELSE EXECUTE 'SELECT count(*) FROM ' || retained_rows(what) INTO rows USING before, source;
            END CASE;
            done := rows = 0;
        ELSIF left_over > 0 THEN
            CASE what
                WHEN 'touchpoints' THEN
                    rows := retain_touchpoints(channel, action, source, "then", before, left_over);
                    done := rows < left_over;
                WHEN 'customers' THEN
                    rows := retain_customers("then", before, left_over);
                    done := rows < least(left_over, 50);
                WHEN 'keys' THEN
                    FOR step IN 1 .. greatest(left_over / 5000, 1) LOOP
                        done := NOT drop_keys();
                        EXIT WHEN done;
                    END LOOP;
                    rows := NULL;
                ELSE
                    EXECUTE format('DELETE FROM %1$s d WHERE d.ctid = ANY (array(SELECT t.ctid FROM %2$s LIMIT $3))',
                                   what, retained_rows(what)) USING before, source, left_over;
                    GET DIAGNOSTICS rows = ROW_COUNT;
                    done := rows < left_over;
            END CASE;
            left_over := left_over - coalesce(rows, 0);
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.apply_retention(boolean, bigint) IS
    'what retention_rules would take away now, a row a rule; with dry_run => false they do, up to so many rows in this'
    ' call. rows: how many would go, or have gone (of keys that is not told); done: whether none is left';

CREATE OR REPLACE FUNCTION @hub@.retain_some() RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM sum_up_suppressed();
    RETURN (SELECT coalesce(bool_or(NOT a.done AND a.rows > 0), false) FROM apply_retention(false, 50000) a);
EXCEPTION WHEN deadlock_detected OR serialization_failure OR lock_not_available THEN
    RETURN false;  -- somebody else changes the same: another time
END $$;
COMMENT ON FUNCTION @hub@.retain_some() IS
    'sum up what was dropped, and do some of what retention_rules ask for; returns whether there may be more';
