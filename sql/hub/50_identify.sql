-- Evidence in: identify, link, identify_many.

-- Identifiers as they are stored: normalised where a rule says so and they can be read.
CREATE OR REPLACE FUNCTION @hub@.normal_identifiers(identifiers @extschema@.identifier[]) RETURNS @extschema@.identifier[]
LANGUAGE sql STABLE SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT array_agg(coalesce(@extschema@.identifier(@extschema@.identifier_namespace(g.i),
                                  @hub@.normal_value(@extschema@.identifier_value(g.i), coalesce(r.normalizer, d.normalizer),
                                                     coalesce(r.default_country, d.default_country))), g.i) ORDER BY g.n)
    FROM unnest(identifiers) WITH ORDINALITY g(i, n)
         LEFT JOIN @hub@.identifier_rules r ON r.namespace = @extschema@.identifier_namespace(g.i)
         LEFT JOIN @hub@.identifier_rules d ON d.namespace = '*';
END;
COMMENT ON FUNCTION @hub@.normal_identifiers(@extschema@.identifier[]) IS 'identifiers in the form the hub stores';

-- The key of evidence that comes without one: the same identifiers seen at the same time are the same evidence.
CREATE OR REPLACE FUNCTION @hub@.evidence_key(identifiers @extschema@.identifier[], observed_at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    RETURN (SELECT encode(sha256(convert_to(array_agg(i ORDER BY i)::text || extract(epoch FROM observed_at), 'UTF8')), 'hex')
            FROM (SELECT DISTINCT unnest(identifiers) AS i) u);
END $$;
COMMENT ON FUNCTION @hub@.evidence_key(@extschema@.identifier[], timestamptz) IS 'key of evidence that comes without one';

CREATE OR REPLACE FUNCTION @hub@.check_observation(identifiers @extschema@.identifier[], observed_at timestamptz, source text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    IF identifiers IS NULL OR EXISTS (SELECT FROM unnest(identifiers) i WHERE i IS NULL) THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'identifiers must not be NULL',
            DETAIL = format('Given: %s.', coalesce(identifiers::text, 'NULL'));
    ELSIF cardinality(identifiers) = 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'an observation needs an identifier';
    ELSIF source IS NULL OR observed_at IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('%s must not be NULL', CASE WHEN source IS NULL THEN 'source' ELSE 'observed_at' END),
            DETAIL = format('Identifiers: %s.', identifiers::text);
    ELSIF NOT isfinite(observed_at) THEN
        RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow', MESSAGE = format('observed_at must not be %s', observed_at),
            DETAIL = format('Identifiers: %s.', identifiers::text);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_observation(@extschema@.identifier[], timestamptz, text) IS 'refuse what is no observation';

-- Add identifiers that are not known, with the customers they would have if nothing changed until all is
-- locked; returns the numbers of those added. The arguments are parallel arrays: whose each is, itself, its time, its
-- identity if it is known, and the customer of that if it is usable.
CREATE OR REPLACE FUNCTION @hub@.add_identities(
    numbers integer[], identifiers @extschema@.identifier[], times timestamptz[], ids bigint[], customers bigint[])
RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    fresh bigint[];
BEGIN
    WITH entry AS MATERIALIZED (
        SELECT * FROM unnest(numbers, identifiers, times, ids, customers) u(number, identifier, at, id, customer)
    ), numbered AS MATERIALIZED (
        SELECT nextval('identities_identity_id_seq') AS id, u.*,
               is_blocked(u.identifier, coalesce(r.blocked, d.blocked, '{}'), coalesce(r.normalizer, d.normalizer),
                          coalesce(r.default_country, d.default_country)) AS blocked
        FROM (SELECT e.identifier, min(e.at) AS first_seen, max(e.at) AS last_seen, array_agg(e.number) AS numbers
              FROM entry e WHERE e.id IS NULL GROUP BY e.identifier ORDER BY e.identifier) u
             LEFT JOIN identifier_rules r ON r.namespace = identifier_namespace(u.identifier)
             LEFT JOIN identifier_rules d ON d.namespace = '*'
    ), seen AS (
        -- what is new can't be a replay
        SELECT n.node, CASE WHEN bool_or(n.is_new) OVER (PARTITION BY n.number) THEN min(n.node) OVER (PARTITION BY n.number) END AS first
        FROM (SELECT e.number, e.customer AS node, false AS is_new FROM entry e WHERE e.customer IS NOT NULL
              UNION ALL
              SELECT unnest(n.numbers), n.id, true FROM numbered n WHERE NOT n.blocked) n
    ), added AS (
        INSERT INTO identities (identity_id, identifier, customer_id, member_since, first_seen, last_seen, blocked)
        SELECT n.id, n.identifier, coalesce(m.component, n.id), clock_timestamp(), n.first_seen, n.last_seen, n.blocked
        FROM numbered n LEFT JOIN identity_members((SELECT identity_components(node, first) FROM seen)) m ON m.node = n.id
        ORDER BY n.identifier
        ON CONFLICT (identifier) DO NOTHING
        RETURNING identity_id
    )
    SELECT coalesce(array_agg(identity_id), '{}') INTO fresh FROM added;
    RETURN fresh;
END $$;
COMMENT ON FUNCTION @hub@.add_identities(integer[], @extschema@.identifier[], timestamptz[], bigint[], bigint[]) IS 'make identities of identifiers that are not known yet';

-- The identities of identifiers, and the customers of those that are usable, in the order of the identifiers; NULL: none.
CREATE OR REPLACE FUNCTION @hub@.look_up(identifiers @extschema@.identifier[], OUT ids bigint[], OUT customers bigint[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
    SELECT array_agg(i.identity_id ORDER BY g.n), array_agg(CASE WHEN NOT (i.blocked OR i.shared) THEN i.customer_id END ORDER BY g.n)
    INTO ids, customers
    FROM unnest(identifiers) WITH ORDINALITY g(identifier, n)
         LEFT JOIN LATERAL (SELECT * FROM identities i WHERE i.identifier = g.identifier OFFSET 0) i ON true;
END $$;
COMMENT ON FUNCTION @hub@.look_up(@extschema@.identifier[]) IS 'identities and customers of identifiers';

-- Plans are generic here: there are few rows or an index, and planning for each call costs more.
-- The arguments are parallel arrays of all identifiers of all observations: whose each is, itself, and time, source and key of the
-- observation. Returns for each observation the customer of its usable identity of highest priority, of several the smallest
-- identifier's, as the law has it; and the identity that touchpoints shall point at: of several the first given, which
-- is for the caller to say. Raises PJ001 if something moved before it was locked.
CREATE OR REPLACE FUNCTION @hub@.record_observations(
    numbers integer[], given @extschema@.identifier[], times timestamptz[], sources text[], keys text[],
    OUT first_customers bigint[], OUT first_identities bigint[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    ids bigint[];            -- the identity of each, NULL: none yet
    customers bigint[];      -- its customer, if it is usable,
    customers_now bigint[];  -- and where it is when all are locked
    components bigint[];
    usable boolean[];
    known bigint[];
    fresh bigint[] := '{}';  -- identities that are new
    added integer[];         -- the observations that are new evidence
    shared_now bigint[] := '{}';
    wrong record;
BEGIN
    SELECT * INTO ids, customers FROM look_up(given);
    known := ids;
    IF array_position(ids, NULL) IS NOT NULL THEN
        fresh := add_identities(numbers, given, times, ids, customers);
        SELECT u.ids INTO ids FROM look_up(given) u;
    END IF;
    SELECT l.customers, l.components, l.usable INTO customers_now, components, usable FROM lock_components(ids, false) l;
    IF fresh <> '{}'
       AND EXISTS (SELECT FROM unnest(ids, known, customers, customers_now, usable) u(id, known, customer, customer_now, usable)
                          LEFT JOIN unnest(fresh) f(id) ON f.id = u.id
                   WHERE f.id IS NULL
                         AND (u.known IS NULL OR u.customer IS DISTINCT FROM CASE WHEN u.usable THEN u.customer_now END)) THEN
        RAISE EXCEPTION USING ERRCODE = 'PJ001', MESSAGE = 'new identities have not the customers they would have now';
    END IF;

    -- what names one identity only says that it is there
    WITH seen AS MATERIALIZED (
        SELECT DISTINCT ON (s.source, s.key) s.*
        FROM (SELECT u.number, min(u.source) AS source, min(u.key) AS key, min(u.at) AS at, array_agg(DISTINCT u.id ORDER BY u.id) AS ids
              FROM unnest(numbers, ids, sources, keys, times) u(number, id, source, key, at)
              GROUP BY u.number) s
        WHERE cardinality(s.ids) > 1
        ORDER BY s.source, s.key, s.number
    ), inserted AS (
        INSERT INTO evidence (source, source_key, identities, observed_at)
        SELECT source, key, ids, at FROM seen
        ON CONFLICT (source, source_key) DO NOTHING
        RETURNING source, source_key
    )
    SELECT coalesce(array_agg(s.number), '{}') INTO added
    FROM seen s JOIN inserted i ON i.source = s.source AND i.source_key = s.key;

    -- a replay must be one
    IF cardinality(added) < numbers[cardinality(numbers)] THEN
        FOR wrong IN
            SELECT s.source, s.key, s.identifiers
            FROM (SELECT u.number, min(u.source) AS source, min(u.key) AS key, array_agg(DISTINCT u.id ORDER BY u.id) AS ids,
                         array_agg(DISTINCT u.identifier ORDER BY u.identifier) AS identifiers
                  FROM unnest(numbers, ids, sources, keys, given) u(number, id, source, key, identifier)
                  GROUP BY u.number) s JOIN evidence e ON (e.source, e.source_key) = (s.source, s.key)
            WHERE e.identities <> s.ids AND cardinality(s.ids) > 1
        LOOP
            PERFORM evidence_differs(wrong.source, wrong.key, wrong.identifiers);
        END LOOP;
    END IF;

    -- times, of those whose components are locked
    IF EXISTS (SELECT FROM unnest(ids) u(id) LEFT JOIN unnest(fresh) f(id) ON f.id = u.id WHERE f.id IS NULL) THEN
        UPDATE identities i
        SET first_seen = least(i.first_seen, s.first_seen), last_seen = greatest(i.last_seen, s.last_seen)
        FROM (SELECT u.id, min(u.at) AS first_seen, max(u.at) AS last_seen
              FROM unnest(ids, times, usable) u(id, at, usable) WHERE u.usable GROUP BY u.id) s
        WHERE i.identity_id = s.id AND (s.first_seen < i.first_seen OR s.last_seen > i.last_seen);
    END IF;

    -- identities that this evidence makes shared
    IF EXISTS (SELECT FROM identifier_rules WHERE shared_above > 0) THEN
        WITH shared AS (
            UPDATE identities SET shared = true
            WHERE identity_id IN (SELECT i.identity_id
                                  FROM (SELECT DISTINCT u.id FROM unnest(numbers, ids) u(number, id) JOIN unnest(added) a(number) USING (number)) u
                                       JOIN ruled_identities i ON i.identity_id = u.id
                                  WHERE NOT (i.blocked OR i.shared) AND i.shared_above IS NOT NULL
                                        AND linked_to_more(i.identity_id, i.shared_above))
            RETURNING identity_id
        )
        SELECT coalesce(array_agg(identity_id), '{}') INTO shared_now FROM shared;
    END IF;

    PERFORM join_evidence(numbers, ids, customers_now, components, usable, added, fresh, shared_now);

    SELECT array_agg(c.customer_id ORDER BY c.number), array_agg(c.identity_id ORDER BY c.number)
    INTO first_customers, first_identities
    FROM (SELECT u.number, (array_agg(i.customer_id ORDER BY i.blocked OR i.shared, i.priority DESC, i.identifier))[1] AS customer_id,
                 (array_agg(i.identity_id ORDER BY i.blocked OR i.shared, i.priority DESC, u.n))[1] AS identity_id
          FROM unnest(numbers, ids) WITH ORDINALITY u(number, id, n) JOIN ruled_identities i ON i.identity_id = u.id
          GROUP BY u.number) c;
END $$;
COMMENT ON FUNCTION @hub@.record_observations(integer[], @extschema@.identifier[], timestamptz[], text[], text[]) IS 'record observations, unless somebody else changes what they are about meanwhile';

CREATE OR REPLACE FUNCTION @hub@.identify_all(observations @hub@.observation[], OUT customers bigint[], OUT identities bigint[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    o observation;
    -- all identifiers of all observations: whose each is, itself, and what is known of the observation
    numbers integer[];
    given identifier[];
    times timestamptz[];
    sources text[];
    keys text[];
    wrong boolean;
BEGIN
    SELECT array_agg(o.n ORDER BY o.n, g.n), array_agg(g.identifier ORDER BY o.n, g.n), array_agg(o.observed_at ORDER BY o.n, g.n),
           array_agg(o.source ORDER BY o.n, g.n), array_agg(o.source_key ORDER BY o.n, g.n),
           bool_or(g.identifier IS NULL OR o.source IS NULL OR o.observed_at IS NULL OR NOT isfinite(o.observed_at))
    INTO numbers, given, times, sources, keys, wrong
    FROM unnest(observations) WITH ORDINALITY o(identifiers, observed_at, source, source_key, n)
         LEFT JOIN LATERAL unnest(o.identifiers) WITH ORDINALITY g(identifier, n) ON true;
    IF wrong THEN
        FOREACH o IN ARRAY observations LOOP
            PERFORM check_observation(o.identifiers, o.observed_at, o.source);
        END LOOP;
    ELSIF given IS NULL THEN
        identify_all.customers := '{}';  -- array_agg of no rows is NULL
        identify_all.identities := '{}';
        RETURN;
    END IF;
    PERFORM begin_stitching();

    IF EXISTS (SELECT FROM identifier_rules WHERE normalizer <> '') THEN
        given := normal_identifiers(given);
    END IF;
    IF array_position(keys, NULL) IS NOT NULL THEN
        SELECT array_agg(coalesce(u.key, s.key) ORDER BY u.n) INTO keys
        FROM unnest(numbers, keys) WITH ORDINALITY u(number, key, n)
             JOIN (SELECT v.number, evidence_key(array_agg(v.identifier), min(v.at)) AS key
                   FROM unnest(numbers, given, times) v(number, identifier, at) GROUP BY v.number) s ON s.number = u.number;
    END IF;
    LOOP
        BEGIN
            SELECT r.first_customers, r.first_identities INTO identify_all.customers, identify_all.identities
            FROM record_observations(numbers, given, times, sources, keys) r;
            RETURN;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            NULL;  -- somebody else has changed what this was about: once more, with what is there now
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.identify_all(@hub@.observation[]) IS 'record many observations at once; returns of each the customer, and the identity that touchpoints of it point at';

CREATE OR REPLACE FUNCTION @hub@.identify_many(observations @hub@.observation[]) RETURNS bigint[]
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT (@hub@.identify_all(observations)).customers;
END;
COMMENT ON FUNCTION @hub@.identify_many(@hub@.observation[]) IS 'record many observations at once; returns the customer of each';

CREATE OR REPLACE FUNCTION @hub@.evidence_differs(source text, source_key text, identifiers @extschema@.identifier[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'unique_violation',
        MESSAGE = format('evidence %s of source %s is there with other identifiers', source_key, source),
        DETAIL = format('It has %s, not %s.',
                        (SELECT array_agg(i.identifier ORDER BY i.identifier) FROM evidence e JOIN identities i ON i.identity_id = ANY (e.identities)
                         WHERE (e.source, e.source_key) = (evidence_differs.source, evidence_differs.source_key)), identifiers::text),
        HINT = 'Retract it, and record what replaces it under a key of its own.';
END $$;
COMMENT ON FUNCTION @hub@.evidence_differs(text, text, @extschema@.identifier[]) IS 'report that a key is that of other evidence';

-- Join what new evidence connects. Components that are one customer each, and stay
-- so by the rules, are put together as they are; the others are stitched by the
-- whole law.
-- The first five arguments are parallel arrays: whose each identity is, itself, its customer, its component (NULL: it
-- is new, and the first of its customer), and whether it was usable before this evidence.
CREATE OR REPLACE FUNCTION @hub@.join_evidence(
    numbers integer[], ids bigint[], customers bigint[], components bigint[], usable boolean[],
    added integer[], fresh bigint[], shared_now bigint[])
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    component_ids bigint[];  -- components, and the first one of what they become
    group_ids bigint[];
    grown integer[];         -- how many new identities each has
    by_law bigint[];         -- groups that the law must look at
    moved_ids bigint[];      -- identities, and the customers they get
    moved_to bigint[];
BEGIN
    -- What is joined with identity_members(), which is taken for large, is joined by hashing; two unnested arrays might
    -- be compared each with each.
    WITH seen AS (
        SELECT DISTINCT CASE WHEN u.usable AND s.id IS NULL THEN a.number END AS number, coalesce(u.component, u.customer) AS component
        FROM unnest(numbers, ids, customers, components, usable) u(number, id, customer, component, usable)
             LEFT JOIN unnest(added) a(number) ON a.number = u.number
             LEFT JOIN unnest(shared_now) s(id) ON s.id = u.id
        WHERE a.number IS NOT NULL AND u.usable OR u.component IS NULL
    ), edge AS (
        -- the usable ones of new evidence with the first of them, all others with nobody
        SELECT component AS a, CASE WHEN number IS NOT NULL THEN min(component) OVER (PARTITION BY number) END AS b
        FROM seen
    )
    SELECT array_agg(m.node), array_agg(m.component), array_agg(coalesce(f.identities, 0)) INTO component_ids, group_ids, grown
    FROM identity_members((SELECT identity_components(a, b) FROM edge)) m
         LEFT JOIN (SELECT u.customer, count(DISTINCT u.id) AS identities
                    FROM unnest(ids, customers) u(id, customer) JOIN unnest(fresh) n(id) ON n.id = u.id GROUP BY u.customer) f
                   ON f.customer = m.node;
    IF component_ids IS NULL THEN
        RETURN;
    END IF;

    WITH grouped AS MATERIALIZED (
        SELECT g.component, g.to_component, c.component_id IS NOT NULL AS parted, coalesce(c.identities, 0) + g.grown AS identities,
               g.grown > 0 AS grown
        FROM unnest(component_ids, group_ids, grown) g(component, to_component, grown) LEFT JOIN customers c ON c.customer_id = g.component
    ), joined AS MATERIALIZED (
        SELECT to_component FROM grouped GROUP BY to_component HAVING count(*) > 1 OR bool_or(grown)
    )
    SELECT coalesce(array_agg(DISTINCT l.to_component), '{}') INTO by_law
    FROM (SELECT to_component FROM grouped WHERE parted
          UNION ALL
          SELECT g.to_component FROM unnest(shared_now) u(id) JOIN identities i ON i.identity_id = u.id JOIN grouped g ON g.component = i.customer_id
          UNION ALL
          SELECT to_component FROM grouped JOIN joined USING (to_component) GROUP BY to_component
          HAVING sum(identities) > (SELECT quarantine_above FROM settings WHERE one_row)
          UNION ALL
          -- all members are read if there is any limit, which is less than what a join writes
          SELECT g.to_component
          FROM grouped g JOIN joined USING (to_component) JOIN ruled_identities i ON i.customer_id = g.component
          WHERE i.max_per_customer IS NOT NULL AND EXISTS (SELECT FROM identifier_rules WHERE max_per_customer > 0)
          GROUP BY g.to_component, identifier_namespace(i.identifier), i.max_per_customer
          HAVING count(*) > i.max_per_customer
          UNION ALL
          SELECT x.to_component
          FROM grouped x JOIN joined USING (to_component) JOIN identities i ON i.customer_id = x.component
               JOIN identity_pairs p ON p.a = i.identity_id AND p.kind = 'cannot'
               JOIN identities j ON j.identity_id = p.b
               JOIN grouped y ON y.component = j.customer_id AND y.to_component = x.to_component
          WHERE EXISTS (SELECT FROM identity_pairs WHERE kind = 'cannot')) l;

    IF by_law <> '{}' THEN
        PERFORM restitch(members_of((SELECT array_agg(g.component) FROM unnest(component_ids, group_ids) g(component, to_component)
                                          JOIN unnest(by_law) l(to_component) ON l.to_component = g.to_component)), fresh);
    END IF;

    SELECT coalesce(array_agg(i.identity_id), '{}'), coalesce(array_agg(g.to_component), '{}') INTO moved_ids, moved_to
    FROM unnest(component_ids, group_ids) g(component, to_component)
         LEFT JOIN unnest(by_law) l(to_component) ON l.to_component = g.to_component
         JOIN identities i ON i.customer_id = g.component
    WHERE l.to_component IS NULL AND g.component <> g.to_component;
    IF moved_ids <> '{}' THEN
        PERFORM move_identities(moved_ids, moved_to, fresh);
    END IF;

    WITH move AS MATERIALIZED (
        SELECT g.component, g.to_component, g.grown FROM unnest(component_ids, group_ids, grown) g(component, to_component, grown)
             LEFT JOIN unnest(by_law) l(to_component) ON l.to_component = g.to_component
        WHERE l.to_component IS NULL
    ), gone AS (
        DELETE FROM customers c USING move m WHERE c.customer_id = m.component AND m.component <> m.to_component
    )
    -- a row that stays is written even so: it tells whoever works from an older snapshot
    INSERT INTO customers (customer_id, identities)
    SELECT m.to_component, sum(coalesce(c.identities, 0) + m.grown)
    FROM move m LEFT JOIN customers c ON c.customer_id = m.component
    GROUP BY m.to_component
    ORDER BY m.to_component
    ON CONFLICT (customer_id) DO UPDATE SET identities = excluded.identities;
END $$;
COMMENT ON FUNCTION @hub@.join_evidence(integer[], bigint[], bigint[], bigint[], boolean[], integer[], bigint[], bigint[]) IS 'put together the components that new evidence connects';

-- Most observations tell nothing new of who is who, or bring an identifier that is new, and no rule minds. Those
-- are dealt with here, in few statements; all others are for identify_many. Locks are taken in the order of
-- 40_stitch.sql.
CREATE OR REPLACE FUNCTION @hub@.identify_one(
    identifiers @extschema@.identifier[], observed_at timestamptz, source text, source_key text, OUT customer bigint, OUT identity bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    given record;
    known bigint[] := '{}';        -- identities there are
    unknown identifier[] := '{}';  -- identifiers that are none yet
    fresh bigint[];                -- their numbers
    highest integer;               -- priority of the first of the highest,
    first identifier;              -- and itself
    simple boolean;                -- one customer at most, and no rule to ask
    size integer;                  -- of the customer
    changed bigint;
    ids bigint[];
BEGIN
    IF identifiers IS NULL OR source IS NULL OR observed_at IS NULL OR NOT isfinite(observed_at) THEN
        PERFORM check_observation(identifiers, observed_at, source);
    END IF;
    PERFORM begin_stitching();
    FOR given IN
        SELECT g.identifier, i.identity_id, i.customer_id,
               coalesce(r.priority, d.priority, 0) AS priority,
               coalesce(r.normalizer, d.normalizer, '') = '' AND coalesce(r.shared_above, d.shared_above, 0) = 0
               AND CASE WHEN i.identity_id IS NULL
                        THEN coalesce(r.max_per_customer, d.max_per_customer, 0) = 0
                             AND NOT identifier_blocked(g.identifier, coalesce(r.blocked, d.blocked, '{}'), '')
                        ELSE NOT (i.blocked OR i.shared) AND c.component_id IS NULL END AS simple
        FROM unnest(identifiers) g(identifier)
             LEFT JOIN LATERAL (SELECT * FROM identities i WHERE i.identifier = g.identifier OFFSET 0) i ON true
             LEFT JOIN LATERAL (SELECT * FROM customers c WHERE c.customer_id = i.customer_id OFFSET 0) c ON true
             LEFT JOIN identifier_rules r ON r.namespace = identifier_namespace(g.identifier)
             LEFT JOIN identifier_rules d ON d.namespace = '*'
    LOOP
        customer := coalesce(customer, given.customer_id);
        simple := given.identifier IS NOT NULL AND given.simple AND (given.identity_id IS NULL OR given.customer_id = customer);
        EXIT WHEN NOT simple;
        IF highest IS NULL OR given.priority > highest THEN
            highest := given.priority;
            first := given.identifier;
            identity := given.identity_id;
        END IF;
        IF given.identity_id IS NULL THEN
            IF given.identifier = ANY (unknown) IS NOT TRUE THEN
                unknown := unknown || given.identifier;
            END IF;
        ELSIF given.identity_id = ANY (known) IS NOT TRUE THEN
            known := known || given.identity_id;
        END IF;
    END LOOP;

    IF simple THEN
        BEGIN
            IF unknown <> '{}' THEN
                FOR n IN 1 .. cardinality(unknown) LOOP
                    fresh[n] := nextval('identities_identity_id_seq');
                END LOOP;
                INSERT INTO identities (identity_id, identifier, customer_id, member_since, first_seen, last_seen)
                SELECT u.id, u.identifier, coalesce(customer, fresh[1]), clock_timestamp(), observed_at, observed_at
                FROM unnest(fresh, unknown) u(id, identifier) ORDER BY u.identifier
                ON CONFLICT (identifier) DO NOTHING;
                GET DIAGNOSTICS changed = ROW_COUNT;
                simple := changed = cardinality(fresh);  -- otherwise somebody else was faster
            END IF;
            IF simple AND customer IS NULL THEN
                INSERT INTO customers (customer_id, identities) VALUES (fresh[1], cardinality(fresh)) RETURNING identities INTO size;
            ELSIF simple THEN
                -- written even if nothing in it changes: it tells whoever works from an older snapshot
                UPDATE customers c SET identities = c.identities + cardinality(unknown)
                WHERE c.customer_id = customer AND c.component_id IS NULL RETURNING c.identities INTO size;
                UPDATE identities i SET first_seen = least(i.first_seen, observed_at), last_seen = greatest(i.last_seen, observed_at)
                WHERE i.identity_id = ANY (known) AND i.customer_id = customer AND NOT (i.blocked OR i.shared)
                      AND (observed_at < i.first_seen OR observed_at > i.last_seen);
                GET DIAGNOSTICS changed = ROW_COUNT;
                IF changed < cardinality(known) THEN
                    changed := (SELECT count(*) FROM identities i
                                WHERE i.identity_id = ANY (known) AND i.customer_id = customer AND NOT (i.blocked OR i.shared));
                END IF;
                simple := size IS NOT NULL AND changed = cardinality(known);  -- otherwise they moved before they were locked
            END IF;
            IF fresh IS NOT NULL AND size > 1 THEN
                simple := simple AND NOT EXISTS (SELECT FROM settings WHERE one_row AND quarantine_above < size);
            END IF;
            IF NOT simple THEN
                RAISE EXCEPTION USING ERRCODE = 'PJ001', MESSAGE = 'not so simple';  -- gives all locks back
            END IF;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            NULL;
        END;
    END IF;
    IF simple IS NOT TRUE THEN
        SELECT a.customers[1], a.identities[1] INTO customer, identity
        FROM identify_all(ARRAY[ROW(identifiers, observed_at, source, source_key)::observation]) a;
        RETURN;
    END IF;

    customer := coalesce(customer, fresh[1]);
    identity := coalesce(identity, fresh[array_position(unknown, first)]);
    ids := known || fresh;
    IF cardinality(ids) > 1 THEN
        source_key := coalesce(source_key, evidence_key(identifiers, observed_at));
        IF cardinality(ids) > 2 OR ids[1] > ids[2] THEN
            ids := (SELECT array_agg(u ORDER BY u) FROM unnest(ids) u);
        END IF;
        INSERT INTO evidence AS e (source, source_key, identities, observed_at) VALUES (source, source_key, ids, observed_at)
        ON CONFLICT ON CONSTRAINT evidence_pkey DO NOTHING;
        IF NOT FOUND AND (SELECT e.identities <> ids FROM evidence e WHERE e.source = identify_one.source AND e.source_key = identify_one.source_key) THEN
            PERFORM evidence_differs(source, source_key, identifiers);
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.identify_one(@extschema@.identifier[], timestamptz, text, text) IS 'record that identifiers were seen together; returns their customer, and the identity that touchpoints of them point at';

CREATE OR REPLACE FUNCTION @hub@.identify(
    identifiers @extschema@.identifier[], observed_at timestamptz DEFAULT now(), source text DEFAULT 'sql', source_key text DEFAULT NULL)
RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
    SELECT (@hub@.identify_one(identifiers, observed_at, source, source_key)).customer;
END;
COMMENT ON FUNCTION @hub@.identify(@extschema@.identifier[], timestamptz, text, text) IS 'record that identifiers were seen together; returns their customer';

CREATE OR REPLACE FUNCTION @hub@.link(
    a @extschema@.identifier, b @extschema@.identifier, observed_at timestamptz DEFAULT now(), source text DEFAULT 'sql', source_key text DEFAULT NULL)
RETURNS bigint
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT @hub@.identify(ARRAY[a, b], observed_at, source, source_key);
END;
COMMENT ON FUNCTION @hub@.link(@extschema@.identifier, @extschema@.identifier, timestamptz, text, text) IS 'record that two identifiers were seen together; returns their customer';
