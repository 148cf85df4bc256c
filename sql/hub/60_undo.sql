-- Undoing and deciding: retract, pairs, rules, and all anew.

CREATE OR REPLACE FUNCTION @hub@.retract(source text, source_key text) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    ids bigint[];             -- of the evidence
    usable_again bigint[];    -- those of them that are no longer shared without it
    touched bigint[];         -- all whose links may change
    shared_ids bigint[] := '{}';
    components bigint[] := '{}';
    now_shared bigint[];
    now_components bigint[];
    id bigint;
BEGIN
    PERFORM begin_stitching();
    SELECT e.identities INTO ids FROM evidence e
    WHERE (e.source, e.source_key) = (retract.source, retract.source_key) AND e.retracted_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    LOOP
        BEGIN
            PERFORM FROM customers WHERE customer_id = ANY (components) ORDER BY customer_id FOR NO KEY UPDATE;
            FOREACH id IN ARRAY shared_ids LOOP
                IF id = ANY (ids) THEN
                    PERFORM FROM identities i WHERE i.identity_id = id FOR UPDATE;
                ELSE
                    PERFORM FROM identities i WHERE i.identity_id = id FOR KEY SHARE;
                END IF;
            END LOOP;

            SELECT coalesce(array_agg(i.identity_id), '{}') INTO usable_again
            FROM ruled_identities i
            WHERE i.identity_id = ANY (ids) AND i.shared AND NOT linked_to_more(i.identity_id, i.shared_above, source, source_key);
            -- who is usable again joins all that he was seen with
            SELECT array_agg(DISTINCT u.id) INTO touched
            FROM (SELECT unnest(ids) AS id
                  UNION ALL
                  SELECT unnest(e.identities) FROM unnest(usable_again) s(id) JOIN evidence e ON e.identities @> ARRAY[s.id]
                  WHERE e.retracted_at IS NULL) u;
            SELECT coalesce(array_agg(i.identity_id ORDER BY i.identity_id), '{}') INTO now_shared
            FROM unnest(touched) u(id) JOIN identities i ON i.identity_id = u.id WHERE i.shared;
            now_components := components_of(touched, usable_again);
            IF NOT (now_shared <@ shared_ids AND now_components <@ components) THEN
                RAISE EXCEPTION USING ERRCODE = 'PJ001', MESSAGE = 'components have moved';
            END IF;
            IF usable_again <> '{}' AND current_setting('transaction_isolation') <> 'read committed' THEN
                RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
                    MESSAGE = 'retract must be called in a transaction at READ COMMITTED',
                    DETAIL = format('Without this evidence %s is no longer shared. This transaction is at %s, where evidence of it that others have recorded since it began can''t be seen.',
                                    (SELECT i.identifier FROM identities i WHERE i.identity_id = usable_again[1]),
                                    upper(current_setting('transaction_isolation')));
            END IF;

            UPDATE evidence e SET retracted_at = clock_timestamp()
            WHERE (e.source, e.source_key) = (retract.source, retract.source_key) AND e.retracted_at IS NULL;
            IF NOT FOUND THEN
                RETURN false;  -- somebody else was faster
            END IF;
            -- written even if it stays: it tells whoever works from an older snapshot
            UPDATE identities i SET shared = i.identity_id <> ALL (usable_again) WHERE i.identity_id = ANY (ids) AND i.shared;
            PERFORM restitch(members_of(components_of(touched, usable_again)));
            RETURN true;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            shared_ids := now_shared;
            components := now_components;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.retract(text, text) IS 'undo evidence; returns whether there was any to undo';

-- Pairs. kind NULL: neither.
CREATE OR REPLACE FUNCTION @hub@.set_pair(a @extschema@.identifier, b @extschema@.identifier, kind text) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    given identifier[];
    fresh bigint[] := '{}';
    ids bigint[];
BEGIN
    PERFORM check_observation(ARRAY[a, b], now(), '');
    PERFORM begin_stitching();
    given := normal_identifiers(ARRAY[a, b]);
    IF given[1] = given[2] THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a pair needs two identifiers',
            DETAIL = format('Both are %s.', given[1]);
    END IF;
    LOOP
        BEGIN
            IF kind IS NOT NULL THEN
                fresh := add_identities(ARRAY[1, 2], given, array_fill(now(), ARRAY[2]), (look_up(given)).ids, ARRAY[NULL, NULL]::bigint[]);
                INSERT INTO customers (customer_id, identities) SELECT unnest(fresh), 1;
            END IF;
            SELECT array_agg(i.identity_id ORDER BY i.identity_id) INTO ids FROM identities i WHERE i.identifier = ANY (given);
            IF ids[2] IS NULL THEN
                RETURN false;
            END IF;
            PERFORM lock_components(ids, true);
            IF kind IS NULL THEN
                DELETE FROM identity_pairs p WHERE (p.a, p.b) = (ids[1], ids[2]);
            ELSE
                INSERT INTO identity_pairs AS p (a, b, kind) VALUES (ids[1], ids[2], set_pair.kind)
                ON CONFLICT (a, b) DO UPDATE SET kind = excluded.kind, set_at = excluded.set_at, set_by = excluded.set_by
                WHERE p.kind <> excluded.kind;
            END IF;
            IF NOT FOUND THEN
                RETURN false;
            END IF;
            PERFORM restitch(members_of(components_of(ids, ids)), fresh);
            RETURN true;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            NULL;  -- components have moved
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.set_pair(@extschema@.identifier, @extschema@.identifier, text) IS 'join a pair of identifiers, keep them apart, or neither';

CREATE OR REPLACE FUNCTION @hub@.must_link(a @extschema@.identifier, b @extschema@.identifier) RETURNS boolean
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT @hub@.set_pair(a, b, 'must');
END;
COMMENT ON FUNCTION @hub@.must_link(@extschema@.identifier, @extschema@.identifier) IS 'decide that two identifiers are one customer; returns whether that is new';

CREATE OR REPLACE FUNCTION @hub@.cannot_link(a @extschema@.identifier, b @extschema@.identifier) RETURNS boolean
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT @hub@.set_pair(a, b, 'cannot');
END;
COMMENT ON FUNCTION @hub@.cannot_link(@extschema@.identifier, @extschema@.identifier) IS 'decide that two identifiers are not one customer; returns whether that is new';

CREATE OR REPLACE FUNCTION @hub@.clear_pair(a @extschema@.identifier, b @extschema@.identifier) RETURNS boolean
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT @hub@.set_pair(a, b, NULL);
END;
COMMENT ON FUNCTION @hub@.clear_pair(@extschema@.identifier, @extschema@.identifier) IS 'leave two identifiers to the evidence again; returns whether they had been a pair';
