-- Undoing and deciding: retract and pairs.

-- Whom nodes are linked with, by evidence or must-links; themselves are among those.
CREATE OR REPLACE FUNCTION @hub@.linked_with(nodes bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN array(SELECT w.node
                 FROM seen_with(array(SELECT i.identity_id
                                      FROM unnest(nodes) u(id)
                                           CROSS JOIN LATERAL (SELECT n.identity_id FROM identities n
                                                               WHERE n.identity_id = u.id
                                                                     AND NOT (n.blocked OR n.shared) OFFSET 0) i)) w
                 WHERE NOT (w.blocked OR w.shared)
                 UNION
                 SELECT m.b FROM must_links_of(nodes) m);
END $$;
COMMENT ON FUNCTION @hub@.linked_with(bigint[]) IS 'nodes that evidence or must-links link with some';

-- Part from a customer what is no longer connected with it after evidence of some nodes was retracted. Returns false,
-- and has done nothing, where the whole component must be looked at: the rules part it already, or what would have to
-- be read or moved is large. From all but one of the nodes is searched what each is connected with, from those with
-- little evidence first; what is complete and lacks the others is a customer of its own. Parts of what no rule minds no
-- rule minds; but what facts have joined may be what guesses must not.
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
    IF cardinality(nodes) > small / 10 THEN
        RETURN false;
    END IF;
    SELECT array_agg(u.identity_id ORDER BY u.n, u.identity_id), min(u.customer_id) INTO starts, customer
    FROM (SELECT i.identity_id, i.customer_id, evidence_count(ARRAY[i.identity_id], small) AS n
          FROM identities i WHERE i.identity_id = ANY (nodes) AND NOT (i.blocked OR i.shared)) u;
    IF NOT EXISTS (SELECT FROM customers c WHERE c.customer_id = customer AND c.component_id IS NULL) THEN
        RETURN starts IS NULL;
    ELSIF cardinality(starts) > 1 AND has_conflict(ARRAY[customer]) THEN
        RETURN false;  -- guesses may join no longer what facts joined
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
    RETURN array(SELECT w.node FROM seen_with((tell_apart(anchors)).others) w
                 WHERE NOT w.shared AND w.shared_above IS NOT NULL AND NOT w.blocked);
END $$;
COMMENT ON FUNCTION @hub@.sharing_more(bigint[]) IS 'nodes that may be shared now that some nodes are less linked';

-- Identities that nothing names any more: no evidence that holds, no touchpoint, trait, pair or open assignment. What
-- traits were, as what was retracted or released, and whose they were, names nobody.
CREATE OR REPLACE FUNCTION @hub@.unreferenced(ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET gin_fuzzy_search_limit = 0 SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    ids := array(SELECT u.id FROM unnest(ids) u(id)
                 WHERE NOT EXISTS (SELECT FROM evidence e
                                   WHERE e.identities @> ARRAY[u.id] AND e.retracted_at IS NULL)
                       AND NOT EXISTS (SELECT FROM identity_pairs p WHERE p.a = u.id)
                       AND NOT EXISTS (SELECT FROM identity_pairs p WHERE p.b = u.id));
    RETURN array(SELECT u.id
                 FROM unnest(ids) u(id)
                      LEFT JOIN LATERAL (SELECT true AS found FROM touchpoints t
                                         WHERE t.identity_id = u.id LIMIT 1) t ON true
                      LEFT JOIN LATERAL (SELECT true AS found FROM traits s
                                         WHERE s.identity_id = u.id LIMIT 1) s ON true
                      LEFT JOIN LATERAL (SELECT true AS found FROM consents c
                                         WHERE c.identity_id = u.id LIMIT 1) c ON true
                      LEFT JOIN LATERAL (SELECT true AS found FROM match_records r
                                         WHERE r.identity_id = u.id LIMIT 1) r ON true
                 WHERE t.found IS NULL AND s.found IS NULL AND c.found IS NULL AND r.found IS NULL
                       AND NOT EXISTS (SELECT FROM assignments g
                                       WHERE g.identity_id = u.id AND g.released_at IS NULL));
END $$;
COMMENT ON FUNCTION @hub@.unreferenced(bigint[]) IS 'those of some identities that nothing names any more';

-- Forget all forms of nodes that nothing names any more. Their components are locked, those of unusable nodes too. What
-- somebody else has locked he is about to name: that stays. A normal form stays as long as one of its other forms does.
CREATE OR REPLACE FUNCTION @hub@.forget(nodes bigint[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[] := array(SELECT s.identity_id FROM spellings(nodes, NULL) s);
    unseen bigint[];  -- those that nothing names,
    gone bigint[];    -- and go
    left_over bigint[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN 0;  -- what names them since the snapshot was taken can't be seen
    END IF;
    ids := array(SELECT i.identity_id FROM identities i WHERE i.identity_id = ANY (ids)
                 ORDER BY i.identity_id FOR UPDATE SKIP LOCKED);
    unseen := unreferenced(ids);
    IF unseen = '{}' THEN
        RETURN 0;
    END IF;
    gone := array(SELECT u.id FROM unnest(unseen) u(id)
                  WHERE NOT EXISTS (SELECT FROM identities i
                                    WHERE i.normal_id = u.id AND i.normal_id <> i.identity_id
                                          AND i.identity_id NOT IN (SELECT unnest(unseen))));
    -- nodes of which a form stays: their customer may need another number
    left_over := members_of(components_of('{}', array(SELECT n.id FROM unnest(nodes_of(gone)) n(id)
                                                      WHERE n.id NOT IN (SELECT unnest(gone)))));
    INSERT INTO journey_changes (identity_id)
    SELECT DISTINCT i.customer_id FROM identities i WHERE i.identity_id = ANY (gone);
    UPDATE identities i SET first_seen = NULL, last_seen = NULL
    WHERE i.identity_id = ANY (array(SELECT unnest(unseen) EXCEPT SELECT unnest(gone))) AND i.last_seen IS NOT NULL;
    DELETE FROM identities i WHERE i.identity_id = ANY (gone);
    DELETE FROM former_memberships m WHERE m.identity_id = ANY (gone);
    DELETE FROM trait_history h WHERE h.identity_id = ANY (gone);
    DELETE FROM customers c
    WHERE c.customer_id = ANY (gone) AND NOT EXISTS (SELECT FROM identities i WHERE i.customer_id = c.customer_id);
    IF left_over <> '{}' THEN
        PERFORM restitch(left_over);
    END IF;
    RETURN cardinality(gone);
END $$;
COMMENT ON FUNCTION @hub@.forget(bigint[])
    IS 'forget identities that nothing names any more; returns how many went';

-- For those who have taken away what named some identities: of these go those that nothing names any more.
CREATE OR REPLACE FUNCTION @hub@.forget_some(ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    nodes bigint[];
BEGIN
    IF coalesce(ids, '{}') = '{}' OR current_setting('transaction_isolation') <> 'read committed'
       OR NOT (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row) THEN
        RETURN;
    END IF;
    PERFORM begin_stitching();
    LOOP
        BEGIN
            nodes := nodes_of(unreferenced(ids));
            IF nodes <> '{}' THEN
                PERFORM lock_components(nodes, nodes, '{}', '{}');
                PERFORM forget(nodes);
            END IF;
            RETURN;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            NULL;  -- components have moved
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.forget_some(bigint[])
    IS 'forget those of some identities that nothing names any more, if settings say so';

-- For maintain(): looks at some thousand identities, and returns the last of them; NULL: there are no more.
CREATE OR REPLACE FUNCTION @hub@.forget_after(id bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];
BEGIN
    IF NOT (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row) THEN
        RETURN NULL;
    END IF;
    ids := array(SELECT i.identity_id FROM identities i WHERE i.identity_id > forget_after.id
                 ORDER BY i.identity_id LIMIT 5000);
    PERFORM forget_some(ids);
    RETURN ids[cardinality(ids)];
END $$;
COMMENT ON FUNCTION @hub@.forget_after(bigint)
    IS 'forget what nothing names any more of the next identities; returns the last of them';

-- Nodes of components that are to be stitched by the law, and would be shared now. What is not shared yet is linked
-- with all it was seen with, but for what is shared itself, so the components have all that tells people apart.
CREATE OR REPLACE FUNCTION @hub@.shared_among(components bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN array(SELECT f.identity_id
                 FROM stitch_flags(scope => members_of(components)) f
                      CROSS JOIN LATERAL (SELECT i.shared FROM identities i
                                          WHERE i.identity_id = f.identity_id OFFSET 0) i
                 WHERE f.shared AND NOT i.shared);
END $$;
COMMENT ON FUNCTION @hub@.shared_among(bigint[]) IS 'nodes of components that are to be marked as shared';

-- What a condition on source and key would read depends on statistics: all of the source, say.
CREATE OR REPLACE FUNCTION @hub@.evidence_rows(source text, keys text[]) RETURNS tid[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN array(SELECT v.ctid
                 FROM unnest(keys) u(key)
                      CROSS JOIN LATERAL (SELECT e.ctid FROM evidence e
                                          WHERE e.source = evidence_rows.source AND e.source_key = u.key
                                          OFFSET 0) v);
END $$;
COMMENT ON FUNCTION @hub@.evidence_rows(text, text[]) IS 'where rows of evidence are, by their keys';

-- Nodes that evidence linked which was retracted, the component they are in, whether rules part that, and how many
-- identities it has. Left out are links that other evidence makes too: they change nothing. In a component that rules
-- part their time does, unless it is in quarantine and neither a steward nor a guess had a say. numbers and
-- ids are parallel arrays: of which evidence each identity is.
CREATE OR REPLACE FUNCTION @hub@.loosened(
    numbers integer[], ids bigint[], OUT component bigint, OUT node bigint, OUT parted boolean, OUT size integer)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET gin_fuzzy_search_limit = 0 SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    above CONSTANT integer := (SELECT s.quarantine_above FROM settings s WHERE s.one_row);
    decided CONSTANT boolean := EXISTS (SELECT FROM identity_pairs p WHERE p.kind = 'must') OR are_there_guesses();
    conflicts CONSTANT boolean := do_conflicts_matter();  -- a guess may not join what a fact did
BEGIN
    RETURN QUERY
    SELECT DISTINCT l.component, n.id, l.parted, l.size
    FROM (SELECT min(coalesce(c.component_id, c.customer_id)) AS component, array_agg(i.normal_id) AS nodes,
                 array_agg(u.id) AS ids, bool_or(c.component_id IS NOT NULL) AS parted,
                 max(coalesce(w.component_identities, c.identities)) AS size
          FROM unnest(numbers, ids) u(number, id)
               CROSS JOIN LATERAL (SELECT k.normal_id, k.customer_id FROM identities k
                                   WHERE k.identity_id = u.id AND NOT (k.blocked OR k.shared) OFFSET 0) i
               CROSS JOIN LATERAL (SELECT k.customer_id, k.component_id, k.identities FROM customers k
                                   WHERE k.customer_id = i.customer_id OFFSET 0) c
               LEFT JOIN LATERAL (SELECT k.component_identities FROM customers k
                                  WHERE k.customer_id = c.component_id OFFSET 0) w ON true
          GROUP BY u.number
          HAVING count(DISTINCT i.normal_id) > 1) l
         CROSS JOIN LATERAL unnest(l.nodes) n(id)
    WHERE l.parted AND (decided OR (l.size > above) IS NOT TRUE)
          OR NOT EXISTS (SELECT FROM evidence e
                         WHERE e.identities @> l.ids AND e.retracted_at IS NULL
                               AND (e.strength IS NULL OR NOT conflicts));
END $$;
COMMENT ON FUNCTION @hub@.loosened(integer[], bigint[]) IS 'nodes that may have come off by the loss of evidence';

-- What is lost is stitched once. Few components, and large ones, are searched for what has come off; many small ones
-- are stitched by the law together. Begins anew with what it has learnt must be locked besides, as record_observations
-- does.
CREATE OR REPLACE FUNCTION @hub@.retract_many(source text, source_keys text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    few CONSTANT integer := 100;
    small CONSTANT integer := 500;
    forgetful boolean;
    keys text[];              -- of the evidence, in order
    all_nodes bigint[];
    more bigint[] := '{}';
    recounted bigint[];       -- the shared ones
    locked bigint[];
    retracted bigint;
    numbers integer[];        -- which evidence was retracted: of which each identity is,
    ids bigint[];
    by_law bigint[];          -- components for the law,
    searched bigint[];        -- and those to be searched, of each node
    loose bigint[];
    one record;
    doubtful bigint[];        -- nodes that may be shared now
    shared_now bigint[];
    usable_again bigint[];
    together bigint[];
    detail text;
BEGIN
    PERFORM begin_stitching();
    forgetful := (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row);
    SELECT array_agg(v.source_key ORDER BY v.source_key) INTO keys
    FROM (SELECT DISTINCT u.key FROM unnest(source_keys) u(key)) u
         CROSS JOIN LATERAL (SELECT e.source_key FROM evidence e
                             WHERE e.source = retract_many.source AND e.source_key = u.key
                                   AND e.retracted_at IS NULL OFFSET 0) v;
    IF keys IS NULL THEN
        RETURN 0;
    END IF;
    LOOP
        BEGIN
            all_nodes := nodes_of(array(SELECT i.id
                                        FROM unnest(keys) u(key)
                                             CROSS JOIN LATERAL (SELECT e.identities FROM evidence e
                                                                 WHERE e.source = retract_many.source
                                                                       AND e.source_key = u.key OFFSET 0) v
                                             CROSS JOIN LATERAL unnest(v.identities) i(id)));
            recounted := array(SELECT i.id
                               FROM unnest(all_nodes) u(id)
                                    CROSS JOIN LATERAL (SELECT k.identity_id AS id FROM identities k
                                                        WHERE k.identity_id = u.id AND k.shared OFFSET 0) i);
            SELECT l.locked INTO locked
            FROM lock_components(all_nodes, CASE WHEN forgetful THEN all_nodes ELSE '{}' END, more, recounted) l;
            -- whose identities join nobody has no lock but its own
            PERFORM FROM unnest(keys) u(key)
                         CROSS JOIN LATERAL (SELECT FROM evidence e
                                             WHERE e.source = retract_many.source AND e.source_key = u.key
                                             OFFSET 0 FOR NO KEY UPDATE) e;
            WITH gone AS (
                UPDATE evidence e SET retracted_at = clock_timestamp()
                WHERE e.ctid = ANY (evidence_rows(source, keys)) AND e.retracted_at IS NULL
                RETURNING e.identities
            ), numbered AS (
                SELECT row_number() OVER ()::integer AS number, g.identities, g.n
                FROM (SELECT g.identities, count(*) AS n FROM gone g GROUP BY g.identities) g
            )
            SELECT coalesce(sum(n.n) FILTER (WHERE i.place = 1), 0), array_agg(n.number), array_agg(i.id)
            INTO retracted, numbers, ids
            FROM numbered n CROSS JOIN LATERAL unnest(n.identities) WITH ORDINALITY i(id, place);
            IF retracted = 0 THEN
                RETURN 0;  -- somebody else was faster
            END IF;

            WITH loose AS MATERIALIZED (
                SELECT l.component, l.node, l.parted, l.size FROM loosened(numbers, ids) l
            ), judged AS (
                SELECT l.component, l.node,
                       l.size > small OR (SELECT count(DISTINCT c.component) FROM loose c) <= few AS searched
                FROM loose l
            )
            SELECT coalesce(array_agg(DISTINCT j.component) FILTER (WHERE NOT j.searched), '{}'),
                   array_agg(j.component) FILTER (WHERE j.searched), array_agg(j.node) FILTER (WHERE j.searched)
            INTO by_law, searched, loose FROM judged j;

            doubtful := recounted;
            IF EXISTS (SELECT FROM identifier_rules r WHERE r.shared_above > 0) THEN
                IF by_law <> '{}' THEN
                    doubtful := doubtful || shared_among(by_law);
                END IF;
                FOR one IN SELECT array_agg(u.node) AS nodes FROM unnest(searched, loose) u(component, node)
                           GROUP BY u.component LOOP
                    doubtful := doubtful || sharing_more(one.nodes);
                END LOOP;
            END IF;
            SELECT c.shared_now, c.usable_again INTO shared_now, usable_again FROM recount(doubtful, '{}') c;
            together := joined_again(usable_again, locked);
            by_law := by_law || components_of('{}', shared_now || usable_again) || together;
            FOR one IN SELECT u.component, array_agg(u.node) AS nodes FROM unnest(searched, loose) u(component, node)
                       WHERE u.component <> ALL (by_law) GROUP BY u.component LOOP
                IF NOT part(one.nodes) THEN
                    by_law := by_law || one.component;
                END IF;
            END LOOP;
            IF by_law <> '{}' THEN
                PERFORM restitch(members_of(array(SELECT DISTINCT unnest(by_law))));
            END IF;
            -- written even if nothing in it changes: it tells whoever works from an older snapshot
            UPDATE customers c SET identities = c.identities
            WHERE c.customer_id = ANY (array(SELECT unnest(locked)
                                             EXCEPT SELECT unnest(by_law) EXCEPT SELECT unnest(searched)));
            IF forgetful THEN
                PERFORM forget(all_nodes);
            END IF;
            RETURN retracted;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
            IF detail <> '' THEN
                more := detail;
            END IF;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.retract_many(text, text[])
    IS 'undo much evidence of a source at once; returns how much there was to undo';

CREATE OR REPLACE FUNCTION @hub@.retract(source text, source_key text) RETURNS boolean
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT @hub@.retract_many(retract.source, ARRAY[retract.source_key]) > 0;
END;
COMMENT ON FUNCTION @hub@.retract(text, text) IS 'undo evidence; returns whether there was any to undo';

-- The same, and its keys are free again: it is key#number from now on, and so is what had been retracted before.
CREATE OR REPLACE FUNCTION @hub@.set_aside(source text, source_keys text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    retracted CONSTANT bigint := retract_many(source, source_keys);
BEGIN
    UPDATE evidence e SET source_key = e.source_key || '#' || nextval('touchpoints_touchpoint_id_seq')
    WHERE e.ctid = ANY (evidence_rows(source, source_keys)) AND e.retracted_at IS NOT NULL;
    RETURN retracted;
END $$;
COMMENT ON FUNCTION @hub@.set_aside(text, text[]) IS 'undo evidence whose keys may be used again';

-- What is known of rows that have changed, by their keys: for the hub's own feed. It may record under a key what was
-- retracted or is something else by now, which others must not: they may bring what is long out of date. Evidence that
-- has other identities than before is set aside, as key#number, and retracted once the new one is there, so that who
-- stays together is not parted meanwhile; that of the same identities gets its new time only. So what is under a row's
-- key is what the row tells.
CREATE OR REPLACE FUNCTION @hub@.replace_evidence(
    source text, source_keys text[], observations @hub@.observation[], OUT customers bigint[], OUT identities bigint[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    given @extschema@.identifier[] := array(SELECT DISTINCT g.identifier FROM unnest(observations) o
                                            CROSS JOIN LATERAL unnest(o.identifiers) g(identifier)
                                            WHERE g.identifier IS NOT NULL);
    kept_keys text[];         -- those whose evidence is what it was,
    kept_at timestamptz[];
    aside text[];             -- and new keys of what is set aside
    numbers integer[];
    ids bigint[];
BEGIN
    IF evidence_rows(source, source_keys) = '{}' THEN
        SELECT a.customers, a.identities INTO customers, identities FROM identify_all(observations) a;
        RETURN;
    END IF;
    PERFORM lock_ahead(array(SELECT DISTINCT i.id
                             FROM unnest(source_keys) u(key)
                                  CROSS JOIN LATERAL (SELECT e.identities FROM evidence e
                                                      WHERE e.source = replace_evidence.source AND e.source_key = u.key
                                                            AND e.retracted_at IS NULL OFFSET 0) v
                                  CROSS JOIN LATERAL unnest(v.identities) i(id)), given);

    WITH told AS MATERIALIZED (
        SELECT o.source_key AS key, min(o.observed_at) AS at,
               array_agg(DISTINCT i.id ORDER BY i.id) AS ids, bool_or(i.id IS NULL) AS is_new
        FROM unnest(observations) o
             CROSS JOIN LATERAL unnest(o.identifiers) g(identifier)
             CROSS JOIN LATERAL (SELECT (SELECT k.identity_id FROM identities k
                                         WHERE k.identifier = g.identifier) AS id OFFSET 0) i
        GROUP BY o.source_key
    )
    SELECT array_agg(t.key), array_agg(t.at) INTO kept_keys, kept_at
    FROM told t
         CROSS JOIN LATERAL (SELECT e.identities FROM evidence e
                             WHERE e.source = replace_evidence.source AND e.source_key = t.key
                                   AND e.retracted_at IS NULL OFFSET 0) v
    WHERE NOT t.is_new AND v.identities = t.ids;

    WITH later AS (
        UPDATE evidence e SET observed_at = u.at
        FROM unnest(kept_keys, kept_at) u(key, at)
        WHERE e.ctid = ANY (evidence_rows(source, kept_keys)) AND e.source_key = u.key AND e.observed_at <> u.at
        RETURNING e.identities
    )
    SELECT array_agg(l.number), array_agg(i.id) INTO numbers, ids
    FROM (SELECT row_number() OVER ()::integer AS number, r.identities FROM later r) l
         CROSS JOIN LATERAL unnest(l.identities) i(id);

    WITH moved AS (
        UPDATE evidence e SET source_key = e.source_key || '#' || nextval('touchpoints_touchpoint_id_seq')
        WHERE e.ctid = ANY (evidence_rows(source, array(SELECT unnest(source_keys) EXCEPT SELECT unnest(kept_keys))))
        RETURNING e.source_key, e.retracted_at
    )
    SELECT array_agg(m.source_key) FILTER (WHERE m.retracted_at IS NULL) INTO aside FROM moved m;

    identities := (SELECT a.identities FROM identify_all(observations) a);
    PERFORM retract_many(source, aside);
    IF ids IS NOT NULL THEN
        PERFORM restitch(members_of(l.components))
        FROM (SELECT array_agg(DISTINCT l.component) AS components FROM loosened(numbers, ids) l WHERE l.parted) l
        WHERE l.components IS NOT NULL;
    END IF;
    customers := array(SELECT i.customer_id
                       FROM unnest(identities) WITH ORDINALITY u(id, n)
                            CROSS JOIN LATERAL (SELECT k.customer_id FROM identities k
                                                WHERE k.identity_id = u.id OFFSET 0) i
                       ORDER BY u.n);
END $$;
COMMENT ON FUNCTION @hub@.replace_evidence(text, text[], @hub@.observation[])
    IS 'bring evidence in line with rows of an attached table: what is known under some of the keys now takes the '
       'place of what was known under all of them';

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
    IF kind IS NOT NULL AND journey_pass('suppressions') THEN
        IF suppressed_now(given) <> '{}' THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('identifier %s is suppressed', (suppressed_now(given))[1]),
                DETAIL = 'It was erased, and the hub takes in nothing that comes with it.',
                HINT = format('When somebody becomes a customer again: SELECT %I.unsuppress(%L);', current_schema(),
                              (suppressed_now(given))[1]);
        END IF;
    END IF;
    IF (normal_identifiers(given))[1] = (normal_identifiers(given))[2] THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a pair needs two identifiers',
            DETAIL = format('Both are %s.', (normal_identifiers(given))[1]);
    END IF;
    LOOP
        BEGIN
            fresh := '{}';
            IF kind IS NOT NULL THEN
                SELECT n.added INTO fresh
                FROM (SELECT array(SELECT u.identifier FROM unnest(given) u(identifier) ORDER BY 1) AS given) g
                     CROSS JOIN LATERAL look_up(g.given) l
                     CROSS JOIN LATERAL add_identities(ARRAY[1, 2], ARRAY[1, 2], g.given, array_fill(now(), ARRAY[2]),
                                                       array_fill(now(), ARRAY[2]), '{}', l.ids, l.nodes, l.customers,
                                                       l.flags) n
                WHERE array_position(l.ids, NULL) IS NOT NULL;
                fresh := coalesce(fresh, '{}');
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
