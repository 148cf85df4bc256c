-- Undoing and deciding: retract and pairs.

-- Whom nodes are linked with, by evidence or must-links.
CREATE OR REPLACE FUNCTION @hub@.linked_with(nodes bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN array(SELECT w.other
                 FROM seen_with(nodes) w
                      CROSS JOIN LATERAL (SELECT n.blocked, n.shared FROM identities n
                                          WHERE n.identity_id = w.node OFFSET 0) i
                 WHERE NOT (w.blocked OR w.shared OR i.blocked OR i.shared)
                 UNION
                 SELECT m.b FROM must_links_of(nodes) m);
END $$;
COMMENT ON FUNCTION @hub@.linked_with(bigint[]) IS 'nodes that evidence or must-links link with some';

-- Part from a customer what is no longer connected with it after evidence of some nodes was retracted. Returns false,
-- and has done nothing, where the whole component must be looked at: the rules part it already, or what would have to
-- be read or moved is large. From all but one of the nodes is searched what each is connected with, from those with
-- little evidence first; what is complete and lacks the others is a customer of its own. Parts of what no rule minds no
-- rule minds.
CREATE OR REPLACE FUNCTION @hub@.part(nodes bigint[]) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET gin_fuzzy_search_limit = 0
AS $$
#variable_conflict use_variable
DECLARE
    small CONSTANT integer := 500;
    customer bigint;
    starts bigint[];  -- the usable ones
    start bigint;
    side bigint[];    -- what is connected with one of them
    found bigint[];
    frontier bigint[];
    rows bigint[];    -- all its forms
    moved_ids bigint[] := '{}';
    moved_to bigint[] := '{}';
    parted bigint[] := '{}';  -- customers, of each node that has gone one
BEGIN
    SELECT array_agg(u.identity_id ORDER BY u.n, u.identity_id), min(u.customer_id) INTO starts, customer
    FROM (SELECT i.identity_id, i.customer_id, evidence_count(ARRAY[i.identity_id], small) AS n
          FROM identities i WHERE i.identity_id = ANY (nodes) AND NOT (i.blocked OR i.shared)) u;
    IF NOT EXISTS (SELECT FROM customers c WHERE c.customer_id = customer AND c.component_id IS NULL) THEN
        RETURN starts IS NULL;
    END IF;
    WHILE cardinality(starts) > 1 LOOP
        start := starts[1];
        side := ARRAY[start];
        frontier := side;
        WHILE frontier <> '{}' LOOP
            IF cardinality(side) > small OR evidence_count(frontier, small) = small THEN
                RETURN false;
            END IF;
            found := linked_with(frontier);
            frontier := array(SELECT unnest(found) EXCEPT SELECT unnest(side));
            side := side || frontier;
            EXIT WHEN starts[2:] && side;  -- connected with another start still
        END LOOP;
        IF NOT starts[2:] && side THEN
            rows := array(SELECT s.identity_id FROM spellings(side, NULL) s);
            IF customer = ANY (rows) THEN
                RETURN false;
            END IF;
            moved_ids := moved_ids || rows;
            moved_to := moved_to || array_fill((SELECT min(u.id) FROM unnest(rows) u(id)), ARRAY[cardinality(rows)]);
            parted := parted || array_fill((SELECT min(u.id) FROM unnest(rows) u(id)), ARRAY[cardinality(side)]);
        END IF;
        starts := starts[2:];
    END LOOP;
    PERFORM move_identities(moved_ids, moved_to, '{}');
    INSERT INTO customers (customer_id, identities) SELECT u.id, count(*) FROM unnest(parted) u(id) GROUP BY u.id;
    -- written even if nothing in it changes: it tells whoever works from an older snapshot
    UPDATE customers c SET identities = c.identities - cardinality(parted) WHERE c.customer_id = customer;
    RETURN true;
END $$;
COMMENT ON FUNCTION @hub@.part(bigint[])
    IS 'part from a customer what is no longer connected with it, if that is little';

CREATE OR REPLACE FUNCTION @hub@.evidence_count(nodes bigint[], most integer) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET gin_fuzzy_search_limit = 0 SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT count(*)
            FROM (SELECT FROM spellings(nodes, NULL) s
                       CROSS JOIN LATERAL (SELECT v.source FROM evidence v
                                           WHERE v.identities @> ARRAY[s.identity_id]
                                               AND v.retracted_at IS NULL OFFSET 0) e
                  LIMIT most) c);
END $$;
COMMENT ON FUNCTION @hub@.evidence_count(bigint[], integer)
    IS 'how many live evidence there is of nodes; it stops counting at some number';

-- Nodes that may be shared and are not, seen with people whom the loss of a link between some nodes tells apart: for
-- each but for the one of which most is known.
CREATE OR REPLACE FUNCTION @hub@.sharing_more(nodes bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    anchors bigint[];
BEGIN
    IF NOT EXISTS (SELECT FROM identifier_rules r WHERE r.shared_above > 0) THEN
        RETURN '{}';
    END IF;
    anchors := array(SELECT r.identity_id FROM ruled_identities r
                     WHERE r.identity_id = ANY (nodes) AND NOT r.blocked AND r.shared_above IS NULL);
    RETURN array(SELECT DISTINCT w.other FROM seen_with((tell_apart(anchors)).others) w
                 WHERE NOT w.shared AND w.shared_above IS NOT NULL AND NOT w.blocked);
END $$;
COMMENT ON FUNCTION @hub@.sharing_more(bigint[]) IS 'nodes that may be shared now that some nodes are less linked';

-- Begins anew with what it has learnt must be locked besides, as record_observations does.
CREATE OR REPLACE FUNCTION @hub@.retract(source text, source_key text) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];             -- of the evidence
    nodes bigint[];
    more bigint[] := '{}';
    recounted bigint[];       -- the shared ones
    locked bigint[];
    shared_now bigint[];
    usable_again bigint[];
    together bigint[];
    detail text;
BEGIN
    PERFORM begin_stitching();
    -- that of a touchpoint that was taken back and recorded again has another key
    source_key := coalesce((SELECT k.evidence_key FROM touchpoint_keys k
                            WHERE k.source = retract.source AND k.source_key = retract.source_key), source_key);
    SELECT e.identities INTO ids FROM evidence e
    WHERE e.source = retract.source AND e.source_key = retract.source_key AND e.retracted_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    nodes := nodes_of(ids);
    LOOP
        BEGIN
            recounted := array(SELECT i.identity_id FROM identities i WHERE i.identity_id = ANY (nodes) AND i.shared
                               ORDER BY i.identity_id);
            SELECT l.locked INTO locked FROM lock_components(nodes, '{}', more, recounted) l;
            UPDATE evidence e SET retracted_at = clock_timestamp()
            WHERE e.source = retract.source AND e.source_key = retract.source_key AND e.retracted_at IS NULL;
            IF NOT FOUND THEN
                RETURN false;  -- somebody else was faster
            END IF;
            SELECT c.shared_now, c.usable_again INTO shared_now, usable_again
            FROM recount(recounted || sharing_more(nodes), '{}') c;
            together := joined_again(usable_again, locked);
            IF shared_now || usable_again <> '{}' OR NOT part(nodes) THEN
                PERFORM restitch(members_of(components_of(nodes, shared_now || usable_again) || together));
            END IF;
            RETURN true;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
            IF detail <> '' THEN
                more := detail;
            END IF;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.retract(text, text) IS 'undo evidence; returns whether there was any to undo';

-- Pairs. kind NULL: neither. A pair in whatever form is the same pair.
CREATE OR REPLACE FUNCTION @hub@.set_pair(a @extschema@.identifier, b @extschema@.identifier, kind text) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    given @extschema@.identifier[] := ARRAY[a, b];
    fresh bigint[];
    ids bigint[];
    nodes bigint[];
    more bigint[] := '{}';
    recounted bigint[] := '{}';
    locked bigint[];
    kinds text[];             -- what there is of the pair
    sharing bigint[];
    shared_now bigint[];
    usable_again bigint[];
    together bigint[];
    detail text;
BEGIN
    IF NOT has_table_privilege('identity_pairs', 'INSERT') THEN
        PERFORM check_may('steward');
    END IF;
    PERFORM check_observation(given, now(), '');
    PERFORM begin_stitching();
    IF (normal_identifiers(given))[1] = (normal_identifiers(given))[2] THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a pair needs two identifiers',
            DETAIL = format('Both are %s.', (normal_identifiers(given))[1]);
    END IF;
    LOOP
        BEGIN
            fresh := '{}';
            IF kind IS NOT NULL THEN
                SELECT add_identities(ARRAY[1, 2], given, array_fill(now(), ARRAY[2]), l.ids,
                                      ARRAY[NULL, NULL]::bigint[]) INTO fresh
                FROM look_up(given) l WHERE array_position(l.ids, NULL) IS NOT NULL;
                fresh := coalesce(fresh, '{}');
                INSERT INTO customers (customer_id, identities)
                SELECT i.customer_id, 1 FROM identities i
                    WHERE i.identity_id = ANY (fresh) AND i.normal_id = i.identity_id;
                SELECT l.ids, l.nodes INTO ids, nodes FROM look_up(given) l;
            ELSE
                SELECT array_agg(i.normal_id) INTO nodes
                FROM unnest(given) g(identifier) CROSS JOIN LATERAL (SELECT identity_of(g.identifier) AS id OFFSET 0) o
                     JOIN identities i ON i.identity_id = o.id;
                IF nodes[2] IS NULL THEN
                    RETURN false;
                END IF;
            END IF;
            SELECT l.locked INTO locked FROM lock_components(nodes, nodes, more, recounted) l;
            IF EXISTS (SELECT FROM identities i JOIN identities n ON n.identity_id = i.normal_id
                       WHERE i.identity_id = ANY (fresh)
                             AND (i.customer_id, i.blocked, i.shared)
                                 IS DISTINCT FROM (n.customer_id, n.blocked, n.shared)) THEN
                RAISE EXCEPTION USING ERRCODE = 'PJ001',
                    MESSAGE = 'new identities have not the customers they would have now';
            END IF;
            IF kind = 'must' AND EXISTS (SELECT FROM identities i WHERE i.shared) THEN
                sharing := sharing_less(ARRAY[1, 1], nodes, ARRAY[NULL, NULL]::text[], ARRAY[NULL, NULL]::text[],
                                        fresh);
                IF NOT sharing <@ recounted THEN
                    recounted := recounted || sharing;
                    RAISE EXCEPTION USING ERRCODE = 'PJ001', MESSAGE = 'more must be locked';
                END IF;
            END IF;
            -- one that had not come in in this form has now
            UPDATE identities i SET first_seen = now(), last_seen = now()
                WHERE i.identity_id = ANY (ids) AND i.last_seen IS NULL;

            WITH gone AS (
                DELETE FROM identity_pairs p USING identities x, identities y
                WHERE x.identity_id = p.a AND y.identity_id = p.b
                      AND (x.normal_id, y.normal_id) IN ((nodes[1], nodes[2]), (nodes[2], nodes[1]))
                      AND (p.kind <> set_pair.kind OR set_pair.kind IS NULL)
                RETURNING p.kind
            )
            SELECT coalesce((SELECT array_agg(g.kind) FROM gone g), '{}')
                   || array(SELECT p.kind FROM identity_pairs p JOIN identities x ON x.identity_id = p.a
                            JOIN identities y ON y.identity_id = p.b
                            WHERE (x.normal_id, y.normal_id) IN ((nodes[1], nodes[2]), (nodes[2], nodes[1]))
                                AND p.kind = set_pair.kind)
            INTO kinds;
            IF kind IS NOT NULL THEN
                INSERT INTO identity_pairs (a, b, kind)
                    VALUES (least(ids[1], ids[2]), greatest(ids[1], ids[2]), set_pair.kind)
                ON CONFLICT ON CONSTRAINT identity_pairs_pkey DO NOTHING;
            END IF;
            IF kinds = '{}' AND kind IS NULL OR kind = ALL (kinds) AND kinds <> '{}' THEN
                RETURN false;
            END IF;
            IF 'must' = ANY (kinds) OR kind = 'must' THEN
                SELECT c.shared_now, c.usable_again INTO shared_now, usable_again
                FROM recount(recounted || CASE WHEN 'must' = ANY (kinds) THEN sharing_more(nodes)
                             ELSE '{}' END, locked) c;
            END IF;
            shared_now := coalesce(shared_now, '{}');
            usable_again := coalesce(usable_again, '{}');
            together := joined_again(usable_again, locked);
            PERFORM restitch(members_of(components_of(nodes, nodes || shared_now || usable_again) || together), fresh);
            RETURN true;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
            IF detail <> '' THEN
                more := detail;
            END IF;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.set_pair(@extschema@.identifier, @extschema@.identifier, text)
    IS 'join a pair of identifiers, keep them apart, or neither';

CREATE OR REPLACE FUNCTION @hub@.must_link(a @extschema@.identifier, b @extschema@.identifier) RETURNS boolean
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT @hub@.set_pair(must_link.a, must_link.b, 'must');
END;
COMMENT ON FUNCTION @hub@.must_link(@extschema@.identifier, @extschema@.identifier)
    IS 'decide that two identifiers are one customer; returns whether that is new';

CREATE OR REPLACE FUNCTION @hub@.cannot_link(a @extschema@.identifier, b @extschema@.identifier) RETURNS boolean
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT @hub@.set_pair(cannot_link.a, cannot_link.b, 'cannot');
END;
COMMENT ON FUNCTION @hub@.cannot_link(@extschema@.identifier, @extschema@.identifier)
    IS 'decide that two identifiers are not one customer; returns whether that is new';

CREATE OR REPLACE FUNCTION @hub@.clear_pair(a @extschema@.identifier, b @extschema@.identifier) RETURNS boolean
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT @hub@.set_pair(clear_pair.a, clear_pair.b, NULL);
END;
COMMENT ON FUNCTION @hub@.clear_pair(@extschema@.identifier, @extschema@.identifier)
    IS 'leave two identifiers to the evidence again; returns whether they had been a pair';
