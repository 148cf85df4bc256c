-- Journeys of many customers in one value, for questions over all of them.
--
-- journey_blocks says what customer_journeys says, in each snapshot: only refresh() writes either, and both at once. A
-- row has the customers from its first one up to that of the next row; the first row begins with the smallest number
-- there is. Journeys that have changed since a block was written are in newer, customers that have none any more in
-- gone, until they are an eighth of the block: so a refresh costs by what has changed. Where there is no row at all,
-- nobody has kept blocks yet, and who sees none has them packed of current_journeys.

CREATE TABLE IF NOT EXISTS @hub@.journey_blocks (
    first_customer bigint PRIMARY KEY,
    block @extschema@.journey_block NOT NULL,
    newer @extschema@.journey_block,
    gone bigint[]
) WITH (fillfactor = 10, parallel_workers = 8);  -- few rows: they must lie in several pages for workers to share them
COMMENT ON TABLE @hub@.journey_blocks IS
    'journeys as customer_journeys has them, those of many customers in one value; current_blocks knows what has '
    'changed since';
COMMENT ON COLUMN @hub@.journey_blocks.first_customer IS
    'the smallest number a customer of this row may have; the largest is below that of the next row';
COMMENT ON COLUMN @hub@.journey_blocks.block IS 'journeys of these customers, as of when it was written';
COMMENT ON COLUMN @hub@.journey_blocks.newer IS 'journeys that have changed since; NULL: none';
COMMENT ON COLUMN @hub@.journey_blocks.gone IS 'customers who have no journey any more; NULL: none';

CREATE OR REPLACE FUNCTION @hub@.sees_all_journeys() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN NOT (row_security_active($$@hub@.touchpoints$$::regclass) OR row_security_active($$@hub@.identities$$::regclass)
            OR row_security_active($$@hub@.customers$$::regclass)
            OR row_security_active($$@hub@.customer_journeys$$::regclass)
            OR row_security_active($$@hub@.journey_changes$$::regclass))
    OR NOT (@hub@.hides_rows($$@hub@.touchpoints$$) OR @hub@.hides_rows($$@hub@.identities$$)
            OR @hub@.hides_rows($$@hub@.customers$$) OR @hub@.hides_rows($$@hub@.customer_journeys$$)
            OR @hub@.hides_rows($$@hub@.journey_changes$$));
COMMENT ON FUNCTION @hub@.sees_all_journeys() IS
    'whether row-level security hides nothing that your journeys are read from';

-- A block holds many customers, so it is for whom no policy parts them. Whoever may not read blocks may empty them.
ALTER TABLE @hub@.journey_blocks ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS sees_all_journeys ON @hub@.journey_blocks;
CREATE POLICY sees_all_journeys ON @hub@.journey_blocks  -- so put, the server expects it to let all rows through
    USING (nullif(@hub@.sees_all_journeys(), false) IS NOT NULL);
DROP POLICY IF EXISTS empties ON @hub@.journey_blocks;
CREATE POLICY empties ON @hub@.journey_blocks FOR DELETE USING (true);

-- Worked out once, in a query of its own: a subquery would keep workers out of the one that asks.
CREATE OR REPLACE FUNCTION @hub@.reads_blocks() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN @hub@.sees_all_journeys() AND EXISTS (SELECT FROM @hub@.journey_blocks b);
COMMENT ON FUNCTION @hub@.reads_blocks() IS 'whether there are blocks, and you may read them';

-- Who has changed, or is marked: his number may be no customer's any more. A function, for a subquery would keep
-- workers out of the query that it is in.
CREATE OR REPLACE FUNCTION @hub@.changed_blocks(OUT first_customer bigint, OUT customers bigint[]) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    firsts bigint[];
BEGIN
    IF EXISTS (SELECT FROM journey_changes n) THEN
        firsts := ARRAY(SELECT b.first_customer FROM journey_blocks b ORDER BY 1);
        RETURN QUERY
        SELECT firsts[width_bucket(c.customer_id, firsts)], array_agg(DISTINCT c.customer_id)
        FROM (SELECT i.customer_id
              FROM journey_notes n JOIN identities i ON i.identity_id = n.identity_id
              UNION ALL
              SELECT n.identity_id FROM journey_notes n WHERE n.touchpoint IS NULL) c
        GROUP BY 1;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.changed_blocks() IS
    'rows of journey_blocks, and customers of theirs whose journeys they lack, or have otherwise';

-- Neighbours are in one block. A journey of 64 kB or more is one by itself, so that none outgrows what a value may be.
CREATE OR REPLACE FUNCTION @hub@.block_of(customer_id bigint, journey @extschema@.journey) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN pg_column_size(block_of.journey) < 65536 THEN block_of.customer_id / 1024
            ELSE -1 - block_of.customer_id END;
COMMENT ON FUNCTION @hub@.block_of(bigint, @extschema@.journey) IS
    'number of the block that a journey is packed in when it is asked for';

-- As a function, planned when it is called, for as many changes as there are then; and in the plan of the query that it
-- is in it counts for nothing, as that should be planned for the blocks there are.
CREATE OR REPLACE FUNCTION @hub@.packed_blocks() RETURNS SETOF @extschema@.journey_block
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    stored boolean := reads_blocks();
BEGIN
    IF stored AND NOT EXISTS (SELECT FROM journey_changes n) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT journey_block_agg(j.customer_id, j.journey)
    FROM (SELECT c.customer_id, c.journey FROM changed_journeys c WHERE stored
          UNION ALL
          SELECT c.customer_id, c.journey FROM home_journeys c WHERE NOT stored) j
    GROUP BY block_of(j.customer_id, j.journey);
END $$;
COMMENT ON FUNCTION @hub@.packed_blocks() IS
    'blocks of journeys that have changed since the last refresh(); where there are none that you may read, of all';

-- Who has changed is left out of blocks, and comes in blocks of its own: to put newer into a block takes several times
-- as long as to leave something out, which is but a copy, and none where nothing has changed.
CREATE OR REPLACE VIEW @hub@.home_blocks WITH (security_invoker = true) AS
SELECT coalesce(@extschema@.journey_block_without(s.block, s.gone), s.block) AS block
FROM @hub@.journey_blocks b LEFT JOIN @hub@.changed_blocks() c ON c.first_customer = b.first_customer
     CROSS JOIN LATERAL (VALUES (b.block, @extschema@.journey_block_customers(b.newer) || b.gone || c.customers),
                                (b.newer, b.gone || c.customers)) s(block, gone)
WHERE @hub@.reads_blocks() AND s.block IS NOT NULL
UNION ALL
SELECT p.block FROM @hub@.packed_blocks() p(block);
COMMENT ON VIEW @hub@.home_blocks IS
    'the rows of current_blocks, read where the hub is, also where workers have journeys too';
COMMENT ON COLUMN @hub@.home_blocks.block IS 'as in current_blocks';

CREATE OR REPLACE VIEW @hub@.current_blocks WITH (security_invoker = true) AS
SELECT b.block FROM @hub@.home_blocks b;
COMMENT ON VIEW @hub@.current_blocks IS
    'journeys of customers as they are now, those of many customers in one value: for questions over all of them';
COMMENT ON COLUMN @hub@.current_blocks.block IS
    'customers by customer_id, with their journeys as in current_journeys; each customer is in one block';

-- Becomes part of the query that calls it: of all customers it is home_blocks.
CREATE OR REPLACE FUNCTION @hub@.blocks_among(customers bigint[]) RETURNS SETOF @extschema@.journey_block
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT b.block FROM @hub@.home_blocks b WHERE blocks_among.customers IS NULL
    UNION ALL
    SELECT p.block
    FROM (SELECT @extschema@.journey_block_agg(j.customer_id, j.journey) AS block
          FROM @hub@.home_journeys j WHERE j.customer_id = ANY (blocks_among.customers)
          GROUP BY @hub@.block_of(j.customer_id, j.journey)) p
    WHERE blocks_among.customers IS NOT NULL;
END;
COMMENT ON FUNCTION @hub@.blocks_among(bigint[]) IS
    'blocks of journeys of customers as they are now; NULL: of all, as home_blocks';

CREATE OR REPLACE FUNCTION @hub@.empty_blocks() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM journey_blocks;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.empty_blocks() IS 'trigger: there are no packed journeys any more';
CREATE OR REPLACE TRIGGER empty_blocks AFTER TRUNCATE ON @hub@.customer_journeys
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.empty_blocks();

-- DO NOTHING where there is such a row already that can't be seen: that is an error above READ COMMITTED, as wherever
-- two refreshes are in each other's way, and below it can't be.
CREATE OR REPLACE FUNCTION @hub@.store_block(first_customer bigint, block @extschema@.journey_block) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO journey_blocks AS b (first_customer, block)
    SELECT CASE p.number WHEN 1 THEN first_customer ELSE (journey_block_customers(p.piece))[1] END, p.piece
    FROM (SELECT s.piece, s.number FROM journey_block_split(block, 262144) WITH ORDINALITY s(piece, number)
          WHERE pg_column_size(block) > 262144
          UNION ALL
          SELECT block, 1 WHERE pg_column_size(block) <= 262144) p
    ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION @hub@.store_block(bigint, @extschema@.journey_block) IS
    'store a block, in pieces of 256 kB at most, from this customer on';

-- By index, whatever the server thinks of tables that are filled just now
CREATE OR REPLACE FUNCTION @hub@.journeys_between(first bigint, last bigint) RETURNS @extschema@.journey_block
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT journey_block_agg(j.customer_id, j.journey) FROM customer_journeys j
            WHERE j.customer_id BETWEEN first AND last);
END $$;
COMMENT ON FUNCTION @hub@.journeys_between(bigint, bigint) IS 'the block of some neighbours in customer_journeys';

-- In portions: of all journeys at once neither memory nor a value can be had.
CREATE OR REPLACE FUNCTION @hub@.make_blocks(first_customer bigint DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    first bigint := coalesce(first_customer, -9223372036854775808);
    last bigint := coalesce((SELECT min(b.first_customer) - 1 FROM journey_blocks b
                             WHERE b.first_customer > first_customer), 9223372036854775807);
    portion record;
    stored boolean := false;
BEGIN
    DELETE FROM journey_blocks b WHERE b.first_customer BETWEEN first AND last;
    FOR portion IN
        SELECT min(s.customer_id) AS first, max(s.customer_id) AS last
        FROM (SELECT j.customer_id,
                     sum(pg_column_size(j.journey) + 8) OVER (ORDER BY j.customer_id) / 262144 AS number
              FROM customer_journeys j
              WHERE j.customer_id BETWEEN first AND last) s
        GROUP BY s.number
        ORDER BY 1
    LOOP
        PERFORM store_block(CASE WHEN stored THEN portion.first ELSE first END,
                            journeys_between(portion.first, portion.last));
        stored := true;
    END LOOP;
    IF NOT stored AND first = -9223372036854775808 THEN
        INSERT INTO journey_blocks AS b (first_customer, block) VALUES (first, '{}') ON CONFLICT DO NOTHING;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.make_blocks(bigint) IS
    'make a row of journey_blocks, or all of them, anew of customer_journeys, in as many rows as it takes';

CREATE OR REPLACE FUNCTION @hub@.refresh_block(first_customer bigint, customers bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    changed record;
    kept record;
    whole @extschema@.journey_block;
BEGIN
    SELECT journey_block_agg(j.customer_id, j.journey) AS block, array_agg(j.customer_id) AS customers INTO changed
    FROM customer_journeys j WHERE j.customer_id = ANY (customers);
    SELECT b.block, coalesce(journey_block_merge(b.newer, changed.block), changed.block, b.newer) AS newer,
           ARRAY(SELECT u.customer_id FROM unnest(b.gone || customers) u(customer_id)
                 EXCEPT SELECT u.customer_id FROM unnest(changed.customers) u(customer_id)
                 ORDER BY 1) AS gone
        INTO kept
    FROM journey_blocks b WHERE b.first_customer = first_customer;
    IF coalesce(pg_column_size(kept.newer), 0) <= pg_column_size(kept.block) / 8
       AND cardinality(kept.gone) <= journey_block_length(kept.block) / 8 THEN
        UPDATE journey_blocks b SET newer = kept.newer, gone = nullif(kept.gone, '{}')
        WHERE b.first_customer = first_customer;
        RETURN;
    END IF;
    whole := journey_block_without(coalesce(journey_block_merge(kept.block, kept.newer), kept.block), kept.gone);
    IF pg_column_size(whole) <= 1048576
       AND (journey_block_length(whole) > 0 OR first_customer = -9223372036854775808) THEN
        UPDATE journey_blocks b SET block = whole, newer = NULL, gone = NULL WHERE b.first_customer = first_customer;
    ELSE
        DELETE FROM journey_blocks b WHERE b.first_customer = first_customer;
        PERFORM store_block(first_customer, whole) WHERE journey_block_length(whole) > 0;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.refresh_block(bigint, bigint[]) IS
    'bring a row of journey_blocks up to date: the journeys of these customers have changed, or are gone';
