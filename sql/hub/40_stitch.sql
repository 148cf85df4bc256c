-- Writing the partition down, under locks.
--
-- What guards what:
--   suppressions, table lock  Whoever writes or stitches holds it in ROW SHARE mode (journey_pass) before he looks who
--                          is known; erase() in EXCLUSIVE mode, which keeps all of them out.
--   evidence, table lock   Whoever stitches holds it in ROW EXCLUSIVE mode before reading rules;
--                          whoever changes rules, in SHARE ROW EXCLUSIVE mode.
--   identities.identifier  Unknown identifiers are added first, in their order.
--   customers, row lock    Of a component's first customer: whoever changes what is in the component, or
--                          its evidence, holds it and updates the row. Of several, in their order.
--   identities, row lock   Of all that a touchpoint or trait names, where identities may be forgotten: FOR KEY SHARE.
--                          Who forgets takes those that nobody has locked, and waits for none.
--                          Of a shared node: FOR KEY SHARE by those who add evidence with it, FOR UPDATE by those after
--                          whom it may be usable again, who must know all its evidence, and that no other brings its
--                          people together; they update the row even if it stays shared. Whoever only moves it to
--                          another
--                          customer conflicts with the second alone.
--   evidence, key          Rows are added last.
-- Everybody takes them in this order, and whoever learns while waiting that he needs others by now gives all of
-- them back (PJ001) and begins anew, so that no two calls wait for each other. At
-- READ COMMITTED each statement of these functions sees what was committed before
-- it; at the levels above, a row that has changed since is an error (40001).

-- What nodes are in, in their order: their customers, their components (NULL: new, no row in customers yet),
-- whether they are usable, and which are shared, or blocked, if such may be forgotten.
CREATE OR REPLACE FUNCTION @hub@.whereabouts(
    nodes bigint[], OUT customers bigint[], OUT components bigint[], OUT usable boolean[], OUT shared_ids bigint[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_memoize = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    forgetful CONSTANT boolean := (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row);
BEGIN
    SELECT array_agg(w.customer_id), array_agg(w.component), array_agg(NOT (w.blocked OR w.shared)),
           coalesce(array_agg(w.id) FILTER (WHERE w.shared OR w.blocked AND forgetful), '{}')
    INTO customers, components, usable, shared_ids
    FROM (SELECT u.id, i.customer_id, coalesce(c.component_id, c.customer_id) AS component, i.blocked, i.shared
          FROM unnest(nodes) WITH ORDINALITY u(id, n)
               CROSS JOIN LATERAL (SELECT k.customer_id, k.blocked, k.shared FROM identities k
                                   WHERE k.identity_id = u.id OFFSET 0) i
               LEFT JOIN LATERAL (SELECT k.customer_id, k.component_id FROM customers k
                                  WHERE k.customer_id = i.customer_id OFFSET 0) c ON true
          ORDER BY u.n) w;
END $$;
COMMENT ON FUNCTION @hub@.whereabouts(bigint[]) IS 'customers and components of nodes';

-- The components of those that are usable, and of some others.
CREATE OR REPLACE FUNCTION @hub@.components_of(ids bigint[], others bigint[] DEFAULT '{}') RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT coalesce(array_agg(DISTINCT coalesce(c.component_id, c.customer_id)), '{}')
            FROM (SELECT unnest(ids) AS id, false AS other UNION ALL SELECT unnest(others), true) u
                 CROSS JOIN LATERAL (SELECT k.customer_id, k.blocked, k.shared FROM identities k
                                     WHERE k.identity_id = u.id OFFSET 0) i
                 CROSS JOIN LATERAL (SELECT k.customer_id, k.component_id FROM customers k
                                     WHERE k.customer_id = i.customer_id OFFSET 0) c
            WHERE u.other OR NOT (i.blocked OR i.shared));
END $$;
COMMENT ON FUNCTION @hub@.components_of(bigint[], bigint[]) IS 'components that identities are in';

CREATE OR REPLACE FUNCTION @hub@.members_of(components bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT coalesce(array_agg(i.id), '{}')
            FROM (SELECT u.id FROM unnest(components) u(id)
                  UNION
                  SELECT p.customer_id
                  FROM unnest(components) u(id)
                       CROSS JOIN LATERAL (SELECT c.customer_id FROM customers c
                                           WHERE c.component_id = u.id OFFSET 0) p) c
                 CROSS JOIN LATERAL (SELECT k.identity_id AS id FROM identities k
                                     WHERE k.customer_id = c.id AND k.normal_id = k.identity_id OFFSET 0) i);
END $$;
COMMENT ON FUNCTION @hub@.members_of(bigint[]) IS 'nodes in components';

CREATE OR REPLACE FUNCTION @hub@.has_conflict(customers bigint[]) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN do_conflicts_matter()
           AND EXISTS (SELECT
                       FROM unnest(customers) u(id)
                            CROSS JOIN LATERAL (SELECT k.identity_id AS id FROM identities k
                                                WHERE k.customer_id = u.id OFFSET 0) i
                            CROSS JOIN LATERAL (SELECT m.conflict, m.field, m.value FROM match_values m
                                                WHERE m.identity_id = i.id OFFSET 0) v
                       GROUP BY v.conflict, v.field HAVING min(v.value) < max(v.value));
END $$;
COMMENT ON FUNCTION @hub@.has_conflict(bigint[]) IS 'whether a guess may not join what some customers are, together';

CREATE OR REPLACE FUNCTION @hub@.nodes_of(ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT coalesce(array_agg(DISTINCT i.normal_id), '{}')
            FROM unnest(ids) u(id)
                CROSS JOIN LATERAL (SELECT k.normal_id FROM identities k WHERE k.identity_id = u.id OFFSET 0) i);
END $$;
COMMENT ON FUNCTION @hub@.nodes_of(bigint[]) IS 'the nodes of identities, each once, in order';

-- What every function that stitches begins with.
CREATE OR REPLACE FUNCTION @hub@.begin_stitching() RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('touchpoint_keys', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    PERFORM journey_pass('suppressions');
    LOCK TABLE evidence IN ROW EXCLUSIVE MODE;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM settings s WHERE s.one_row FOR SHARE;  -- fails if rules have changed since the snapshot
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.begin_stitching() IS 'keep the rules as they are until the transaction ends';

-- What every function that changes rules begins with. Its snapshot must be taken after the lock.
CREATE OR REPLACE FUNCTION @hub@.begin_changing_rules(caller text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('steward');
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
            MESSAGE = format('%s must be called in a transaction at READ COMMITTED', caller),
            DETAIL = format('This one is at %s, where evidence that others have recorded since it began can''t be '
                'seen.',
                            upper(current_setting('transaction_isolation')));
    END IF;
    PERFORM journey_pass('suppressions');
    PERFORM lock_politely('{evidence}', 'SHARE ROW EXCLUSIVE');
    UPDATE settings s SET rules_changed_at = clock_timestamp() WHERE s.one_row;
END $$;
COMMENT ON FUNCTION @hub@.begin_changing_rules(text) IS 'keep everybody else from stitching until the transaction ends';

-- Lock the components of nodes, of unusable ones only if they are among others; those of nodes that may be usable
-- again, so that nobody moves these; and some more. Then the shared ones among the nodes, and those that may be usable
-- again. Returns where the nodes are then. If they have moved meanwhile it raises PJ001: the caller catches it, which
-- gives all locks back, and begins anew.
CREATE OR REPLACE FUNCTION @hub@.lock_components(
    nodes bigint[], others bigint[], more bigint[], recounted bigint[],
    OUT customers bigint[], OUT components bigint[], OUT usable boolean[], OUT locked bigint[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    was record;
    now record;
    wanted bigint[];
    id bigint;
BEGIN
    SELECT w.* INTO was FROM whereabouts(nodes) w;
    wanted := array(SELECT unnest(concerned(nodes, was.components, was.usable, others)) UNION SELECT unnest(more)
                    UNION SELECT unnest(components_of('{}', recounted)));
    -- one that is merged with another while this waits, and parted again before all is locked, has another row
    SELECT coalesce(array_agg(l.customer_id), '{}') INTO locked
    FROM (SELECT c.customer_id FROM customers c WHERE c.customer_id = ANY (wanted)
          ORDER BY c.customer_id FOR NO KEY UPDATE) l;
    FOR id IN SELECT unnest(was.shared_ids) UNION SELECT unnest(recounted) ORDER BY 1 LOOP
        IF id = ANY (recounted) THEN
            PERFORM FROM identities i WHERE i.identity_id = id FOR UPDATE;
        ELSE
            PERFORM FROM identities i WHERE i.identity_id = id FOR KEY SHARE;
        END IF;
    END LOOP;
    SELECT w.* INTO now FROM whereabouts(nodes) w;
    IF cardinality(now.customers) < cardinality(nodes)  -- some were forgotten
       OR nodes <> '{}' AND now.customers IS NULL
       OR (now IS DISTINCT FROM was OR cardinality(locked) < cardinality(wanted))
       AND (EXISTS (SELECT unnest(now.shared_ids) EXCEPT SELECT unnest(was.shared_ids))
            OR EXISTS (SELECT unnest(concerned(nodes, now.components, now.usable, others))
                       EXCEPT SELECT unnest(locked)))
       OR recounted <> '{}'
          AND EXISTS (SELECT unnest(components_of('{}', recounted)) EXCEPT SELECT unnest(locked)) THEN
        RAISE EXCEPTION USING ERRCODE = 'PJ001', MESSAGE = 'components have moved';
    END IF;
    customers := coalesce(now.customers, '{}');
    components := coalesce(now.components, '{}');
    usable := coalesce(now.usable, '{}');
END $$;
COMMENT ON FUNCTION @hub@.lock_components(bigint[], bigint[], bigint[], bigint[])
    IS 'lock the components of nodes until the transaction ends';

CREATE OR REPLACE FUNCTION @hub@.concerned(nodes bigint[], components bigint[], usable boolean[], others bigint[])
RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT coalesce(array_agg(DISTINCT u.component), '{}')
            FROM unnest(nodes, components, usable) u(node, component, usable)
            WHERE u.component IS NOT NULL AND (u.usable OR u.node IN (SELECT unnest(others))));
END $$;
COMMENT ON FUNCTION @hub@.concerned(bigint[], bigint[], boolean[], bigint[])
    IS 'components of nodes that are usable or among others, each once, in order';

-- Count anew the people that nodes, of which all evidence is known, were seen with, and write down which of them are
-- shared: of those that stay so too, to tell whoever works from an older snapshot. moving: components that are being
-- put together. Returns the nodes that are shared now, and those that are not any more.
CREATE OR REPLACE FUNCTION @hub@.recount(nodes bigint[], moving bigint[], OUT shared_now bigint[],
                                         OUT usable_again bigint[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    counted record;
BEGIN
    shared_now := '{}';
    usable_again := '{}';
    FOR counted IN
        SELECT r.identity_id AS id, r.shared AS before, seen_with_more(r.identity_id, r.shared_above, moving) AS after
        FROM unnest(nodes) u(id)
             CROSS JOIN LATERAL (SELECT k.identity_id, k.blocked, k.shared, k.shared_above FROM ruled_identities k
                                 WHERE k.identity_id = u.id OFFSET 0) r
        WHERE NOT r.blocked AND r.shared_above IS NOT NULL
        ORDER BY r.identity_id
    LOOP
        IF counted.before OR counted.after THEN
            UPDATE identities i SET shared = counted.after
            WHERE i.identity_id = ANY (array(SELECT s.identity_id FROM spellings(ARRAY[counted.id], NULL) s));
        END IF;
        IF counted.after AND NOT counted.before THEN
            shared_now := shared_now || counted.id;
        ELSIF counted.before AND NOT counted.after THEN
            usable_again := usable_again || counted.id;
        END IF;
    END LOOP;
    IF usable_again <> '{}' AND current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
            MESSAGE = 'evidence that changes who is shared must be recorded or retracted in a transaction at READ '
                'COMMITTED',
            DETAIL = format('With this call %s is no longer shared. This transaction is at %s, where evidence of it '
                'that others have recorded since it began can''t be seen.',
                            (SELECT i.identifier FROM identities i WHERE i.identity_id = usable_again[1]),
                            upper(current_setting('transaction_isolation')));
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.recount(bigint[], bigint[])
    IS 'count the people some nodes were seen with, and write down which are shared';

-- The components of all that nodes which are usable again join. If they are not all locked raises PJ001, and what to
-- lock besides in its DETAIL.
CREATE OR REPLACE FUNCTION @hub@.joined_again(usable_again bigint[], locked bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    components bigint[];
BEGIN
    IF usable_again = '{}' THEN
        RETURN '{}';
    END IF;
    components := components_of(array(SELECT w.node FROM seen_with(usable_again) w), usable_again);
    IF EXISTS (SELECT unnest(components) EXCEPT SELECT unnest(locked)) THEN
        RAISE EXCEPTION USING ERRCODE = 'PJ001', MESSAGE = 'more must be locked', DETAIL = components::text;
    END IF;
    RETURN components;
END $$;
COMMENT ON FUNCTION @hub@.joined_again(bigint[], bigint[])
    IS 'components of what nodes that are usable again were seen with';

-- Give identities other customers, remember those they had, and note that the journeys of both change. fresh are those
-- that this call of a function has added, which have neither history nor touchpoints. Planned for as many as there are,
-- on pages that have just been read: a thousand are no reason to read all identities.
CREATE OR REPLACE FUNCTION @hub@.move_identities(ids bigint[], customer_ids bigint[], fresh bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET random_page_cost = 1.1 SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    at timestamptz := clock_timestamp();
    notify boolean := (SELECT s.notify FROM settings s WHERE s.one_row);
    old_ids bigint[];  -- customers that identities go from
    new_ids bigint[];  -- and to
BEGIN
    INSERT INTO former_memberships (identity_id, customer_id, member_from, member_until)
    SELECT i.identity_id, i.customer_id, i.member_since, at
    FROM unnest(ids) u(id) JOIN identities i ON i.identity_id = u.id
    WHERE i.member_since < at AND NOT EXISTS (SELECT FROM unnest(fresh) f(id) WHERE f.id = i.identity_id);
    INSERT INTO journey_changes (identity_id)
    SELECT i.customer_id
    FROM unnest(ids) u(id) JOIN identities i ON i.identity_id = u.id
    WHERE NOT EXISTS (SELECT FROM unnest(fresh) f(id) WHERE f.id = i.identity_id)
    UNION
    SELECT m.customer_id FROM unnest(ids, customer_ids) m(id, customer_id)
    WHERE NOT EXISTS (SELECT FROM unnest(fresh) f(id) WHERE f.id = m.id);
    INSERT INTO segment_changes (identity_id, cause)
    SELECT m.customer_id, 'identities' FROM unnest(ids, customer_ids) m(id, customer_id)
    WHERE NOT EXISTS (SELECT FROM unnest(fresh) f(id) WHERE f.id = m.id)
    UNION
    SELECT i.customer_id, 'identities'
    FROM unnest(ids) u(id) JOIN identities i ON i.identity_id = u.id
    WHERE NOT EXISTS (SELECT FROM unnest(fresh) f(id) WHERE f.id = i.identity_id);
    IF notify THEN
        SELECT array_agg(m.old_id), array_agg(m.new_id) INTO old_ids, new_ids
        FROM (SELECT DISTINCT i.customer_id AS old_id, u.customer_id AS new_id
              FROM unnest(ids, customer_ids) u(id, customer_id) JOIN identities i ON i.identity_id = u.id
              WHERE NOT EXISTS (SELECT FROM unnest(fresh) f(id) WHERE f.id = i.identity_id)
              LIMIT 1001) m;
    END IF;
    UPDATE identities i SET customer_id = u.customer_id, member_since = greatest(at, i.member_since)
    FROM unnest(ids, customer_ids) u(id, customer_id) WHERE i.identity_id = u.id;
    -- who has no identity any more was merged, who has was parted; three hundred numbers go into a notification
    IF old_ids IS NOT NULL THEN
        PERFORM tell(ARRAY(
            SELECT format('{"customer_id": %s, "%s": [%s]}', p.customer_id, p.became,
                          string_agg(p.other_id::text, ', ' ORDER BY p.other_id))
            FROM (SELECT CASE WHEN m.merged THEN m.new_id ELSE m.old_id END AS customer_id,
                         CASE WHEN m.merged THEN m.old_id ELSE m.new_id END AS other_id,
                         CASE WHEN m.merged THEN 'merged' ELSE 'parted' END AS became,
                         row_number() OVER (PARTITION BY m.merged, CASE WHEN m.merged THEN m.new_id ELSE m.old_id END
                                            ORDER BY m.old_id, m.new_id) / 300 AS part
                  FROM (SELECT u.old_id, u.new_id,
                               NOT EXISTS (SELECT FROM identities i WHERE i.customer_id = u.old_id) AS merged
                        FROM unnest(old_ids, new_ids) u(old_id, new_id)) m) p
            GROUP BY p.customer_id, p.became, p.part));
        IF cardinality(old_ids) > 1000 THEN
            PERFORM pg_notify(current_schema(), '{"many": true}');
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.move_identities(bigint[], bigint[], bigint[])
    IS 'give identities other customers, and remember those they had';

-- Stitch nodes anew that are whole components, whose locks are held. NULL: all.
-- The partition is put into arrays first, so that plans are made for as many rows as there are.
CREATE OR REPLACE FUNCTION @hub@.restitch(scope bigint[], fresh bigint[] DEFAULT '{}') RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET random_page_cost = 1.1 SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];             -- identities, and of each
    customers_now bigint[];
    moved_ids bigint[];
    moved_to bigint[];
    old_ids bigint[];         -- customers there were
    new_ids bigint[];         -- and are, and of each
    new_components bigint[];
    new_sizes integer[];
    new_wholes integer[];
BEGIN
    WITH part AS MATERIALIZED (
        SELECT p.identity_id, p.normal_id, p.customer_id, p.component_id
        FROM partition_of(scope, above => (SELECT s.quarantine_above FROM settings s)) p
    ), new AS (
        SELECT p.customer_id, min(p.component_id) AS component_id,
               (count(*) FILTER (WHERE p.identity_id = p.normal_id))::integer AS identities
        FROM part p GROUP BY p.customer_id
    ), whole AS (
        SELECT w.customer_id, w.component_id, w.identities,
               CASE WHEN w.customer_id = w.component_id
                   THEN sum(w.identities) OVER (PARTITION BY w.component_id) END AS component_identities
        FROM new w
    )
    SELECT m.ids, m.customers, n.ids, n.components, n.sizes, n.wholes
    INTO ids, customers_now, new_ids, new_components, new_sizes, new_wholes
    FROM (SELECT array_agg(p.identity_id) AS ids, array_agg(p.customer_id) AS customers FROM part p) m,
         (SELECT array_agg(w.customer_id) AS ids, array_agg(w.component_id) AS components,
          array_agg(w.identities) AS sizes,
                 array_agg(w.component_identities) AS wholes FROM whole w) n;
    SELECT coalesce(array_agg(i.identity_id), '{}'), coalesce(array_agg(p.customer_id), '{}'),
        array_agg(DISTINCT i.customer_id)
    INTO moved_ids, moved_to, old_ids
    FROM unnest(ids, customers_now) p(identity_id, customer_id) JOIN identities i ON i.identity_id = p.identity_id
    WHERE i.customer_id <> p.customer_id;
    IF moved_ids <> '{}' THEN
        PERFORM move_identities(moved_ids, moved_to, fresh);
    END IF;
    DELETE FROM customers c
    WHERE c.customer_id IN (SELECT unnest(old_ids) EXCEPT SELECT unnest(new_ids));
    IF scope IS NULL THEN
        DELETE FROM customers c WHERE NOT EXISTS (SELECT FROM unnest(new_ids) u(id) WHERE u.id = c.customer_id);
    END IF;
    -- a row that stays is written even so: it tells whoever works from an older snapshot
    INSERT INTO customers (customer_id, component_id, identities, component_identities)
    SELECT u.id, u.component_id, u.identities, u.whole
    FROM unnest(new_ids, new_components, new_sizes, new_wholes) u(id, component_id, identities, whole)
         LEFT JOIN customers c ON c.customer_id = u.id
    WHERE scope IS NOT NULL
          OR (c.component_id, c.identities, c.component_identities)
              IS DISTINCT FROM (u.component_id, u.identities, u.whole)
    ON CONFLICT (customer_id) DO UPDATE
    SET component_id = excluded.component_id, identities = excluded.identities,
        component_identities = excluded.component_identities;
    RETURN (SELECT count(*) FROM unnest(moved_ids) u(id)
            WHERE NOT EXISTS (SELECT FROM unnest(fresh) f(id) WHERE f.id = u.id));
END $$;
COMMENT ON FUNCTION @hub@.restitch(bigint[], bigint[])
    IS 'write the partition of nodes, and return how many identities have another customer now';
