-- Writing the partition down, under locks.
--
-- What guards what:
--   evidence, table lock   Whoever stitches holds it in ROW EXCLUSIVE mode before reading rules;
--                          whoever changes rules, in SHARE ROW EXCLUSIVE mode.
--   identities.identifier  Unknown identifiers are added first, in their order.
--   customers, row lock    Of a component's first customer: whoever changes what is in the component, or
--                          its evidence, holds it and updates the row. Of several, in their order.
--   identities, row lock   Of a shared identity: FOR KEY SHARE by those who add evidence with it, FOR UPDATE by
--                          retract, which may make it usable again and must know all its evidence. Whoever
--                          only moves it to another customer conflicts with the second alone.
--   evidence, key          Rows are added last.
-- Everybody takes them in this order, and whoever learns while waiting that he needs others by now gives all of
-- them back (PJ001) and begins anew, so that no two calls wait for each other. At
-- READ COMMITTED each statement of these functions sees what was committed before
-- it; at the levels above, a row that has changed since is an error (40001).

-- LATERAL and OFFSET 0 keep look-ups what they are: while tables are empty, and have been analysed so, all joins
-- cost the same, and a plan that reads whole tables may be kept for a session.

-- What identities are in, in their order: their customers, their components (NULL: new, no row in customers yet),
-- whether they are usable, and which are shared.
CREATE OR REPLACE FUNCTION @hub@.whereabouts(
    ids bigint[], OUT customers bigint[], OUT components bigint[], OUT usable boolean[], OUT shared_ids bigint[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
    SELECT array_agg(i.customer_id ORDER BY u.n), array_agg(coalesce(c.component_id, c.customer_id) ORDER BY u.n),
           array_agg(NOT (i.blocked OR i.shared) ORDER BY u.n), coalesce(array_agg(i.identity_id) FILTER (WHERE i.shared), '{}')
    INTO whereabouts.customers, components, usable, shared_ids
    FROM unnest(ids) WITH ORDINALITY u(id, n)
         CROSS JOIN LATERAL (SELECT * FROM identities i WHERE i.identity_id = u.id OFFSET 0) i
         LEFT JOIN LATERAL (SELECT * FROM customers c WHERE c.customer_id = i.customer_id OFFSET 0) c ON true;
END $$;
COMMENT ON FUNCTION @hub@.whereabouts(bigint[]) IS 'customers and components of identities';

-- The components of those that are usable, and of some others.
CREATE OR REPLACE FUNCTION @hub@.components_of(ids bigint[], others bigint[] DEFAULT '{}') RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(DISTINCT coalesce(c.component_id, c.customer_id)), '{}')
            FROM (SELECT unnest(ids) AS id, false AS other UNION ALL SELECT unnest(others), true) u
                 CROSS JOIN LATERAL (SELECT * FROM identities i WHERE i.identity_id = u.id OFFSET 0) i
                 CROSS JOIN LATERAL (SELECT * FROM customers c WHERE c.customer_id = i.customer_id OFFSET 0) c
            WHERE u.other OR NOT (i.blocked OR i.shared));
END $$;
COMMENT ON FUNCTION @hub@.components_of(bigint[], bigint[]) IS 'components that identities are in';

CREATE OR REPLACE FUNCTION @hub@.members_of(components bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(i.identity_id), '{}')
            FROM identities i
            WHERE i.customer_id IN (SELECT unnest(components)
                                    UNION
                                    SELECT c.customer_id FROM customers c WHERE c.component_id = ANY (components)));
END $$;
COMMENT ON FUNCTION @hub@.members_of(bigint[]) IS 'identities in components';

-- What every function that stitches begins with.
CREATE OR REPLACE FUNCTION @hub@.begin_stitching() RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    LOCK TABLE evidence IN ROW EXCLUSIVE MODE;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM settings FOR SHARE;  -- fails if rules have changed since the snapshot
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.begin_stitching() IS 'keep the rules as they are until the transaction ends';

-- What every function that changes rules begins with. Its snapshot must be taken after the lock.
CREATE OR REPLACE FUNCTION @hub@.begin_changing_rules(caller text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
            MESSAGE = format('%s must be called in a transaction at READ COMMITTED', caller),
            DETAIL = format('This one is at %s, where evidence that others have recorded since it began can''t be seen.',
                            upper(current_setting('transaction_isolation')));
    END IF;
    LOCK TABLE evidence IN SHARE ROW EXCLUSIVE MODE;
    UPDATE settings SET rules_changed_at = clock_timestamp();
END $$;
COMMENT ON FUNCTION @hub@.begin_changing_rules(text) IS 'keep everybody else from stitching until the transaction ends';

-- Lock the components of identities, of unusable ones only if told so, and the shared ones among them; returns where
-- they are then. If they have moved meanwhile it raises PJ001: the caller catches it, which gives all locks
-- back, and begins anew.
CREATE OR REPLACE FUNCTION @hub@.lock_components(
    ids bigint[], unusable boolean, OUT customers bigint[], OUT components bigint[], OUT usable boolean[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    was record;
    now record;
    locked bigint[];
BEGIN
    SELECT * INTO was FROM whereabouts(ids);
    locked := distinct_where(was.components, was.usable, unusable);
    PERFORM FROM customers c WHERE c.customer_id = ANY (locked) ORDER BY c.customer_id FOR NO KEY UPDATE;
    IF was.shared_ids <> '{}' THEN
        PERFORM FROM identities WHERE identity_id = ANY (was.shared_ids) ORDER BY identity_id FOR KEY SHARE;
    END IF;
    SELECT * INTO now FROM whereabouts(ids);
    IF now IS DISTINCT FROM was
       AND NOT (now.shared_ids <@ was.shared_ids AND distinct_where(now.components, now.usable, unusable) <@ locked) THEN
        RAISE EXCEPTION USING ERRCODE = 'PJ001', MESSAGE = 'components have moved';
    END IF;
    lock_components.customers := now.customers;
    lock_components.components := now.components;
    lock_components.usable := now.usable;
END $$;
COMMENT ON FUNCTION @hub@.lock_components(bigint[], boolean) IS 'lock the components of identities until the transaction ends';

CREATE OR REPLACE FUNCTION @hub@.distinct_where(ids bigint[], conditions boolean[], anyway boolean) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(DISTINCT u.id), '{}') FROM unnest(ids, conditions) u(id, condition)
            WHERE u.id IS NOT NULL AND (u.condition OR anyway));
END $$;
COMMENT ON FUNCTION @hub@.distinct_where(bigint[], boolean[], boolean) IS 'those of some numbers that are not NULL and whose condition holds, each once, in order';

-- Give identities other customers, remember those they had, and note that the journeys of both change. fresh are those
-- that this call of a function has added, which have neither history nor touchpoints.
CREATE OR REPLACE FUNCTION @hub@.move_identities(ids bigint[], customer_ids bigint[], fresh bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    at timestamptz := clock_timestamp();
BEGIN
    INSERT INTO former_memberships (identity_id, customer_id, member_from, member_until)
    SELECT i.identity_id, i.customer_id, i.member_since, at
    FROM unnest(ids) u(id) JOIN identities i ON i.identity_id = u.id
    WHERE i.member_since < at AND i.identity_id NOT IN (SELECT unnest(fresh));
    INSERT INTO journey_changes (identity_id)
    SELECT i.customer_id
    FROM unnest(ids) u(id) JOIN identities i ON i.identity_id = u.id
    WHERE i.identity_id NOT IN (SELECT unnest(fresh))
    UNION
    SELECT m.customer_id FROM unnest(ids, customer_ids) m(id, customer_id) WHERE m.id NOT IN (SELECT unnest(fresh));
    UPDATE identities i SET customer_id = u.customer_id, member_since = greatest(at, i.member_since)
    FROM unnest(ids, customer_ids) u(id, customer_id) WHERE i.identity_id = u.id;
END $$;
COMMENT ON FUNCTION @hub@.move_identities(bigint[], bigint[], bigint[]) IS 'give identities other customers, and remember those they had';

-- Stitch identities anew that are whole components, whose locks are held. NULL: all.
-- The partition is put into arrays first, so that the plan of what is written is made for as many rows as there are.
CREATE OR REPLACE FUNCTION @hub@.restitch(scope bigint[], fresh bigint[] DEFAULT '{}') RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    ids bigint[];
    customer_ids bigint[];
    moved_ids bigint[];
    moved_to bigint[];
    new_ids bigint[];         -- customers, and of each
    new_components bigint[];
    new_sizes integer[];
BEGIN
    WITH part AS MATERIALIZED (
        SELECT p.* FROM partition_of(scope, above => (SELECT quarantine_above FROM settings)) p
    )
    SELECT p.ids, p.customers, c.ids, c.components, c.sizes INTO ids, customer_ids, new_ids, new_components, new_sizes
    FROM (SELECT array_agg(identity_id) AS ids, array_agg(customer_id) AS customers FROM part) p,
         (SELECT array_agg(customer_id) AS ids, array_agg(component_id) AS components, array_agg(identities::integer) AS sizes
          FROM (SELECT customer_id, min(component_id) AS component_id, count(*) AS identities FROM part GROUP BY customer_id) c) c;
    SELECT coalesce(array_agg(i.identity_id), '{}'), coalesce(array_agg(u.customer_id), '{}') INTO moved_ids, moved_to
    FROM unnest(ids, customer_ids) u(id, customer_id) JOIN identities i ON i.identity_id = u.id
    WHERE i.customer_id <> u.customer_id;
    IF moved_ids <> '{}' THEN
        PERFORM move_identities(moved_ids, moved_to, fresh);
        DELETE FROM customers c USING unnest(moved_ids) u(id) WHERE c.customer_id = u.id;
    END IF;
    -- a row that stays is written even so: it tells whoever works from an older snapshot
    INSERT INTO customers (customer_id, component_id, identities)
    SELECT u.id, u.component_id, u.identities
    FROM unnest(new_ids, new_components, new_sizes) u(id, component_id, identities)
         LEFT JOIN customers c ON c.customer_id = u.id
    WHERE scope IS NOT NULL OR (c.component_id, c.identities) IS DISTINCT FROM (u.component_id, u.identities)
    ON CONFLICT (customer_id) DO UPDATE SET component_id = excluded.component_id, identities = excluded.identities;
    RETURN cardinality(moved_ids);
END $$;
COMMENT ON FUNCTION @hub@.restitch(bigint[], bigint[]) IS 'write the partition of identities, and return how many have another customer now';
