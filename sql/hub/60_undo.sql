-- Undoing and deciding: retract and pairs.

-- Whom identities are linked with, by evidence or must-links.
CREATE OR REPLACE FUNCTION @hub@.linked_with(ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
    RETURN array(SELECT o.identity_id
                 FROM unnest(ids) u(id) JOIN identities i ON i.identity_id = u.id
                      JOIN evidence e ON e.identities @> ARRAY[u.id]
                      CROSS JOIN LATERAL unnest(e.identities) x(id) JOIN identities o ON o.identity_id = x.id
                 WHERE e.retracted_at IS NULL AND NOT (i.blocked OR i.shared OR o.blocked OR o.shared)
                 UNION
                 SELECT p.b FROM unnest(ids) u(id) JOIN identity_pairs p ON p.a = u.id WHERE p.kind = 'must'
                 UNION
                 SELECT p.a FROM unnest(ids) u(id) JOIN identity_pairs p ON p.b = u.id WHERE p.kind = 'must');
END $$;
COMMENT ON FUNCTION @hub@.linked_with(bigint[]) IS 'identities that evidence or must-links link with some';

-- Part from a customer what is no longer connected with it after evidence of some identities was retracted. Returns false,
-- and has done nothing, where the whole component must be looked at: the rules part it already, or what would have to
-- be read or moved is large. From all but one of the identities is searched what each is connected with, from those with
-- little evidence first; what is complete and lacks the others is a customer of its own. Parts of what no rule minds no
-- rule minds.
CREATE OR REPLACE FUNCTION @hub@.part(ids bigint[]) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    small CONSTANT integer := 500;
    customer bigint;
    starts bigint[];  -- the usable ones
    start bigint;
    side bigint[];    -- what is connected with one of them
    found bigint[];
    frontier bigint[];
    moved_ids bigint[] := '{}';
    moved_to bigint[] := '{}';
BEGIN
    SELECT array_agg(u.identity_id ORDER BY u.n, u.identity_id), min(u.customer_id) INTO starts, customer
    FROM (SELECT i.identity_id, i.customer_id, (SELECT count(*) FROM (SELECT FROM evidence e
                                                 WHERE e.identities @> ARRAY[i.identity_id] AND e.retracted_at IS NULL LIMIT small) e) AS n
          FROM identities i WHERE i.identity_id = ANY (ids) AND NOT (i.blocked OR i.shared)) u;
    IF NOT EXISTS (SELECT FROM customers c WHERE c.customer_id = customer AND c.component_id IS NULL) THEN
        RETURN starts IS NULL;
    END IF;
    WHILE cardinality(starts) > 1 LOOP
        start := starts[1];
        side := ARRAY[start];
        frontier := side;
        WHILE frontier <> '{}' LOOP
            IF cardinality(side) > small
               OR (SELECT count(*) FROM (SELECT FROM unnest(frontier) f(id) JOIN evidence e ON e.identities @> ARRAY[f.id] LIMIT small) e) = small THEN
                RETURN false;
            END IF;
            found := linked_with(frontier);
            frontier := array(SELECT unnest(found) EXCEPT SELECT unnest(side));
            side := side || frontier;
            EXIT WHEN starts[2:] && side;  -- connected with another start still
        END LOOP;
        IF NOT starts[2:] && side THEN
            IF customer = ANY (side) THEN
                RETURN false;
            END IF;
            moved_ids := moved_ids || side;
            moved_to := moved_to || array_fill((SELECT min(u) FROM unnest(side) u), ARRAY[cardinality(side)]);
        END IF;
        starts := starts[2:];
    END LOOP;
    PERFORM move_identities(moved_ids, moved_to, '{}');
    INSERT INTO customers (customer_id, identities) SELECT u.id, count(*) FROM unnest(moved_to) u(id) GROUP BY u.id;
    -- written even if nothing in it changes: it tells whoever works from an older snapshot
    UPDATE customers c SET identities = c.identities - cardinality(moved_ids) WHERE c.customer_id = customer;
    RETURN true;
END $$;
COMMENT ON FUNCTION @hub@.part(bigint[]) IS 'part from a customer what is no longer connected with it, if that is little';

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
            IF usable_again <> '{}' OR NOT part(ids) THEN
                PERFORM restitch(members_of(components_of(touched, usable_again)));
            END IF;
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
