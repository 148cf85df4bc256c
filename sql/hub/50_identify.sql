-- Evidence in: identify, link, identify_many.

-- Identifiers in the form the rules give them; those that can't be read, and those of no normaliser, as they are.
CREATE OR REPLACE FUNCTION @hub@.normal_identifiers(identifiers @extschema@.identifier[])
RETURNS @extschema@.identifier[]
LANGUAGE sql STABLE SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT array_agg(@hub@.normal_form(g.i, r.normalizer, r.default_country) ORDER BY g.n)
    FROM unnest(normal_identifiers.identifiers) WITH ORDINALITY g(i, n)
         CROSS JOIN LATERAL @hub@.rule_of(@extschema@.identifier_namespace(g.i)) r;
END;
COMMENT ON FUNCTION @hub@.normal_identifiers(@extschema@.identifier[]) IS 'the normal forms of identifiers';

-- The key of evidence that comes without one: the same identifiers seen at the same time are the same evidence.
CREATE OR REPLACE FUNCTION @hub@.evidence_key(identifiers @extschema@.identifier[], observed_at timestamptz)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN @extschema@.identity_evidence_key(evidence_key.identifiers, evidence_key.observed_at);
COMMENT ON FUNCTION @hub@.evidence_key(@extschema@.identifier[], timestamptz)
    IS 'key of evidence that comes without one';

CREATE OR REPLACE FUNCTION @hub@.time_is_plausible(at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN NOT EXISTS (SELECT FROM settings s WHERE s.one_row
                       AND (at > now() + s.future_within OR at < now() - s.past_within));
END $$;
COMMENT ON FUNCTION @hub@.time_is_plausible(timestamptz) IS
    'whether a time is not further from now than future_within and past_within of settings';

-- Returns the time, so that a call may stand where the time would: identify() becomes part of the query that calls it.
CREATE OR REPLACE FUNCTION @hub@.check_time(name text, at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('settings', 'SELECT') THEN
        PERFORM check_may('writer');
    END IF;
    IF isfinite(at) AND NOT time_is_plausible(at) THEN
        RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow',
            MESSAGE = format('%s is too far in the %s: %s', name,
                             CASE WHEN at > now() THEN 'future' ELSE 'past' END, at),
            DETAIL = (SELECT CASE WHEN at > now()
                             THEN format('It may be %s from now at most, as %I.settings.future_within says.',
                                         s.future_within, current_schema())
                             ELSE format('It may be %s ago at most, as %I.settings.past_within says.',
                                         s.past_within, current_schema()) END
                      FROM settings s WHERE s.one_row),
            HINT = 'Mend the clock it comes from; where such times are right, raise the limit, or set it to NULL.';
    END IF;
    RETURN at;
END $$;
COMMENT ON FUNCTION @hub@.check_time(text, timestamptz) IS 'a time, unless it is too far from now';

CREATE OR REPLACE FUNCTION @hub@.check_observation(
    identifiers @extschema@.identifier[], observed_at timestamptz, source text, source_key text DEFAULT NULL)
        RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF identifiers IS NULL OR EXISTS (SELECT FROM unnest(identifiers) u(i) WHERE u.i IS NULL) THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'identifiers must not be NULL',
            DETAIL = format('Given: %s.', coalesce(identifiers::text, 'NULL'));
    ELSIF cardinality(identifiers) = 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'an observation needs an identifier',
            DETAIL = format('Its source is %s, its key %s.', coalesce(source, 'NULL'), coalesce(source_key, 'NULL'));
    ELSIF source IS NULL AND source_key IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = format('key %s has no source', source_key),
            DETAIL = format('Identifiers: %s.', identifiers::text),
            HINT = 'Keys of two programs may be the same: say in source where it comes from.';
    ELSIF observed_at IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'observed_at must not be NULL',
            DETAIL = format('Identifiers: %s.', identifiers::text);
    ELSIF NOT isfinite(observed_at) THEN
        RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow',
            MESSAGE = format('observed_at must not be %s', observed_at),
            DETAIL = format('Identifiers: %s.', identifiers::text);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_observation(@extschema@.identifier[], timestamptz, text, text)
    IS 'refuse what is no observation';

-- How a call works with many identifiers: "identifiers" are those that differ, in their order, which is that of their
-- index; what is known of each stands in arrays parallel to it. "numbers" and "places" are parallel arrays of all that
-- are given: whose observation each is of, and which of the identifiers. What is known of observations stands in arrays
-- by their numbers. Plans are generic, since planning for each call costs more; but of a large call for as many rows as
-- there are, so that arrays are joined by hashing. Tables are looked up by index, in its order, in both.
CREATE OR REPLACE FUNCTION @hub@.plan_for(size integer) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM set_config('plan_cache_mode', CASE WHEN size > 500 THEN 'force_custom_plan' ELSE 'force_generic_plan' END,
                       true);
END $$;
COMMENT ON FUNCTION @hub@.plan_for(integer) IS 'plan the statements of the calling function for arrays of that size';

-- Add identifiers that are not known, and their normal forms, with the customers they would have if nothing changed
-- until all is locked. Raises PJ001 if somebody else adds one of them. Parallel to the identifiers is what look_up
-- tells, and then the identities and nodes of all, the customers of new ones, and which are usable. Observations that
-- name only what is new, and that no rule minds, are done then but for their evidence: told of each is what
-- record_observations returns. Told of the others are their numbers, and places among the rest of the identifiers.
-- fresh: what was added of the rest; added: of all. all_are_new: each observation names something new. apart: those
-- that connect nothing.
CREATE OR REPLACE FUNCTION @hub@.add_identities(
    numbers integer[], places integer[], identifiers @extschema@.identifier[], firsts timestamptz[],
    lasts timestamptz[], apart integer[], INOUT ids bigint[], INOUT nodes bigint[], INOUT customers bigint[],
    INOUT flags integer[], OUT usable boolean[], OUT added bigint[], OUT fresh bigint[], OUT first_customers bigint[],
    OUT first_identities bigint[], OUT rest_numbers integer[], OUT rest_places integer[], OUT rest integer[],
    OUT all_are_new boolean)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    rule record;   -- what the rules say, in arrays by namespace
    form record;
    other record;  -- normal forms that did not come in
    new record;
    violated text;
BEGIN
    SELECT array_agg(s.namespace) AS namespaces, array_agg(r.normalizer) AS normalizers,
           array_agg(r.default_country) AS countries, array_agg(r.blocked::text) AS blocked,
           array_agg(r.priority) AS priorities, array_agg(r.max_per_customer) AS limits,
           array_agg(r.shared_above) AS shared_above
    INTO rule
    FROM unnest(identifier_namespaces(identifiers)) s(namespace) CROSS JOIN LATERAL rule_of(s.namespace) r;
    SELECT f.others, f.places, f.blocked INTO form
    FROM identifier_forms(identifiers, ids, rule.namespaces, rule.normalizers, rule.countries, rule.blocked) f;
    SELECT l.ids, l.nodes, l.customers, l.flags INTO other FROM look_up(form.others) l;
    -- the older number is that of what came in
    SELECT w.all_ids, w.all_nodes, w.given_to, w.usable, w.new_identifiers, w.new_ids, w.new_nodes, w.new_customers,
           w.new_places, w.new_flags, w.lawful, w.done, w.done_sizes, w.first_customers, w.first_identities,
           w.rest_numbers, w.rest_places, w.rest, w.all_are_new
    INTO new
    FROM identity_newcomers(numbers, places, identifiers || form.others, ids || other.ids, nodes || other.nodes,
                            customers || other.customers, flags || other.flags, form.places, form.blocked,
                            array(SELECT nextval('identities_identity_id_seq')
                                  FROM unnest(ids || other.ids) u(id) WHERE u.id IS NULL),
                            rule.namespaces, rule.priorities, rule.limits, rule.shared_above,
                            coalesce((SELECT s.quarantine_above FROM settings s WHERE s.one_row), 2147483647), apart) w;

    -- not ON CONFLICT, which looks each up once more
    BEGIN
        INSERT INTO identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen,
                                blocked, shared)
        SELECT u.id, u.identifier, u.node, u.customer, clock_timestamp(), u.first, u.last, u.flags & 1 > 0,
               u.flags & 2 > 0
        FROM unnest(new.new_ids, new.new_identifiers, new.new_nodes, new.new_customers,
                    journey_elements_at(firsts, new.new_places), journey_elements_at(lasts, new.new_places),
                    new.new_flags) u(id, identifier, node, customer, first, last, flags);
    EXCEPTION WHEN unique_violation THEN
        GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
        IF violated <> 'identities_identifier_key' THEN
            RAISE;
        ELSIF current_setting('transaction_isolation') = 'read committed' THEN
            RAISE EXCEPTION USING ERRCODE = 'PJ001', MESSAGE = 'somebody else was faster';
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = 'could not serialize access due to concurrent update',
            DETAIL = 'Somebody else has recorded one of the identifiers since this transaction began.',
            HINT = 'Run the transaction again.';
    END;
    INSERT INTO customers (customer_id, identities)
    SELECT u.id, u.size FROM unnest(new.done, new.done_sizes) u(id, size);
    ids := new.all_ids;
    nodes := new.all_nodes;
    customers := new.given_to;
    usable := new.usable;
    added := new.new_ids;
    fresh := new.lawful;
    first_customers := new.first_customers;
    first_identities := new.first_identities;
    rest_numbers := new.rest_numbers;
    rest_places := new.rest_places;
    rest := new.rest;
    all_are_new := new.all_are_new;
END $$;
COMMENT ON FUNCTION @hub@.add_identities(integer[], integer[], @extschema@.identifier[], timestamptz[], timestamptz[],
                                         integer[], bigint[], bigint[], bigint[], integer[])
    IS 'make identities of identifiers that are not known yet';

-- The identities of identifiers, their nodes, their customers, and whether they are blocked (1), shared (2) or never
-- came in themselves (4), in the order of the identifiers; NULL: none.
CREATE OR REPLACE FUNCTION @hub@.look_up(
    identifiers @extschema@.identifier[], OUT ids bigint[], OUT nodes bigint[], OUT customers bigint[],
    OUT flags integer[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_memoize = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    SELECT coalesce(array_agg(u.identity_id), '{}'), coalesce(array_agg(u.normal_id), '{}'),
           coalesce(array_agg(u.customer_id), '{}'), coalesce(array_agg(u.flags), '{}')
    INTO ids, nodes, customers, flags
    FROM (SELECT i.identity_id, i.normal_id, i.customer_id, i.flags
          FROM unnest(identifiers) WITH ORDINALITY g(identifier, n)
               LEFT JOIN LATERAL (SELECT k.identity_id, k.normal_id, k.customer_id,
                                         k.blocked::integer + 2 * k.shared::integer + 4 * (k.last_seen IS NULL)::integer
                                         AS flags
                                  FROM identities k
                                  WHERE k.identifier = g.identifier OFFSET 0) i ON true
          ORDER BY g.n) u;
END $$;
COMMENT ON FUNCTION @hub@.look_up(@extschema@.identifier[]) IS 'identities, nodes and customers of identifiers';

-- Lock what evidence that will be retracted, and identifiers that will be recorded, belong to, in the order of
-- 40_stitch.sql: one call after the other would lock the one and then the other. An unknown identifier is put in and
-- taken away: whoever else adds it waits as if it were there.
CREATE OR REPLACE FUNCTION @hub@.lock_ahead(ids bigint[], identifiers @extschema@.identifier[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    given @extschema@.identifier[];
    added bigint[];
    forgetful boolean;  -- of what is retracted those that join nobody may go, too
BEGIN
    PERFORM begin_stitching();
    forgetful := (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row);
    given := identifiers || normal_identifiers(identifiers);
    LOOP
        BEGIN
            WITH added AS (
                INSERT INTO identities (identifier, normal_id, customer_id, member_since)
                SELECT u.identifier, 0, 0, now()
                FROM (SELECT DISTINCT g.identifier FROM unnest(given, (look_up(given)).ids) g(identifier, id)
                      WHERE g.id IS NULL
                      ORDER BY g.identifier) u
                ON CONFLICT (identifier) DO NOTHING
                RETURNING identities.identity_id
            )
            SELECT array_agg(a.identity_id) INTO added FROM added a;
            DELETE FROM identities i WHERE i.identity_id = ANY (added);
            PERFORM lock_components(nodes_of(ids || (look_up(given)).ids),
                                    CASE WHEN forgetful THEN nodes_of(ids) ELSE '{}' END, '{}',
                                    array(SELECT i.id
                                          FROM unnest(nodes_of(ids)) u(id)
                                               CROSS JOIN LATERAL (SELECT k.identity_id AS id FROM identities k
                                                                   WHERE k.identity_id = u.id AND k.shared
                                                                   OFFSET 0) i));
            RETURN;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            NULL;  -- components have moved
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.lock_ahead(bigint[], @extschema@.identifier[]) IS 'lock all that a change of rows will touch';

-- Shared nodes that were seen with people whom these observations show to be one: for each of several people, but for
-- the one of which most is known. numbers and nodes are parallel; fresh identities were seen with nobody so far.
CREATE OR REPLACE FUNCTION @hub@.sharing_less(numbers integer[], nodes bigint[], sources text[], keys text[],
                                              fresh bigint[])
RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    anchors bigint[];
    found bigint[] := '{}';
BEGIN
    FOR anchors IN
        WITH seen AS MATERIALIZED (
            SELECT DISTINCT u.number, u.node
            FROM unnest(numbers, nodes) u(number, node)
                 JOIN unnest(sources, keys) WITH ORDINALITY o(source, key, number) ON o.number = u.number
                 LEFT JOIN LATERAL (SELECT e.source_key FROM evidence e
                                    WHERE e.source = o.source AND e.source_key = o.key OFFSET 0) e ON true
                 CROSS JOIN LATERAL (SELECT i.identifier, i.blocked FROM identities i
                                     WHERE i.identity_id = u.node OFFSET 0) i
                 CROSS JOIN LATERAL rule_of(@extschema@.identifier_namespace(i.identifier)) r
            WHERE e.source_key IS NULL AND NOT i.blocked AND r.shared_above IS NULL
        ), edge AS (
            SELECT s.node, min(s.node) OVER (PARTITION BY s.number) AS first FROM seen s
        )
        SELECT array_agg(m.node)
        FROM @extschema@.identity_members((SELECT @extschema@.identity_components(e.node, e.first) FROM edge e)) m
        WHERE m.node NOT IN (SELECT unnest(fresh))
        GROUP BY m.component HAVING count(*) > 1
    LOOP
        found := found || array(SELECT w.node FROM seen_with((tell_apart(anchors)).others) w
                                WHERE w.shared AND w.shared_above IS NOT NULL AND NOT w.blocked);
    END LOOP;
    RETURN found;
END $$;
COMMENT ON FUNCTION @hub@.sharing_less(integer[], bigint[], text[], text[], bigint[])
    IS 'shared nodes that these observations may leave fewer people';

-- Planned for as many as there are.
CREATE OR REPLACE FUNCTION @hub@.set_times(ids bigint[], firsts timestamptz[], lasts timestamptz[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    UPDATE identities i SET first_seen = least(i.first_seen, u.first), last_seen = greatest(i.last_seen, u.last)
    FROM unnest(ids, firsts, lasts) u(id, first, last)
    WHERE i.identity_id = u.id AND (u.first < i.first_seen OR u.last > i.last_seen OR i.last_seen IS NULL);
END $$;
COMMENT ON FUNCTION @hub@.set_times(bigint[], timestamptz[], timestamptz[]) IS 'note when identities were seen';

-- Of retracted evidence, for what it had can't be told any more.
CREATE OR REPLACE FUNCTION @hub@.was_forgotten(ids bigint[]) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN EXISTS (SELECT FROM unnest(ids) u(id)
                   WHERE NOT EXISTS (SELECT FROM identities i WHERE i.identity_id = u.id));
END $$;
COMMENT ON FUNCTION @hub@.was_forgotten(bigint[]) IS 'whether one of some identities is not there any more';

-- Identities that a touchpoint or trait will name, and no call of identify has locked. Returns those that are there.
CREATE OR REPLACE FUNCTION @hub@.keep_identities(ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row) THEN
        RETURN ids;
    END IF;
    RETURN array(SELECT i.identity_id FROM identities i WHERE i.identity_id = ANY (ids)
                 ORDER BY i.identity_id FOR KEY SHARE);
END $$;
COMMENT ON FUNCTION @hub@.keep_identities(bigint[])
    IS 'see that nobody forgets identities until the transaction ends; returns those there are';

-- Whether observations of known identities are replays, at times that tell nothing: then there is nothing to lock.
-- numbers and seen are parallel, the identity of each that is given; and so are ids, firsts and lasts, of each once.
CREATE OR REPLACE FUNCTION @hub@.nothing_new(
    numbers integer[], seen bigint[], ids bigint[], firsts timestamptz[], lasts timestamptz[], sources text[],
    keys text[])
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_memoize = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN NOT EXISTS (SELECT
                       FROM unnest(ids, firsts, lasts) u(id, first, last)
                            CROSS JOIN LATERAL (SELECT k.first_seen, k.last_seen FROM identities k
                                                WHERE k.identity_id = u.id AND NOT (k.blocked OR k.shared)
                                                OFFSET 0) i
                       WHERE u.first < i.first_seen OR u.last > i.last_seen OR i.last_seen IS NULL)
           AND NOT EXISTS (SELECT
                           FROM identity_sets(numbers, seen) s
                                JOIN unnest(sources, keys) WITH ORDINALITY o(source, key, number)
                                    ON o.number = s.number
                                LEFT JOIN LATERAL (SELECT v.identities FROM evidence v
                                                   WHERE v.source = o.source AND v.source_key = o.key OFFSET 0) e
                                    ON true
                           WHERE e.identities IS DISTINCT FROM s.identities);
END $$;
COMMENT ON FUNCTION @hub@.nothing_new(integer[], bigint[], bigint[], timestamptz[], timestamptz[], text[], text[])
    IS 'whether observations tell nothing that is not known';

-- What record_observations returns.
CREATE OR REPLACE FUNCTION @hub@.first_of(
    numbers integer[], places integer[], ids bigint[], nodes bigint[], OUT customers bigint[], OUT identities bigint[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_memoize = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    forms @extschema@.identifier[];  -- of the nodes
    classes bigint[];                -- the smaller, the stronger
BEGIN
    PERFORM plan_for(cardinality(numbers));
    WITH node AS MATERIALIZED (
        SELECT u.place, i.identifier, i.customer_id, i.blocked OR i.shared AS weak,
               @extschema@.identifier_namespace(i.identifier) AS namespace
        FROM unnest(nodes) WITH ORDINALITY u(node, place)
             CROSS JOIN LATERAL (SELECT k.identifier, k.customer_id, k.blocked, k.shared FROM identities k
                                 WHERE k.identity_id = u.node OFFSET 0) i
        ORDER BY u.place
    ), rule AS MATERIALIZED (
        SELECT s.namespace, r.priority
        FROM (SELECT DISTINCT n.namespace FROM node n) s CROSS JOIN LATERAL rule_of(s.namespace) r
    )
    SELECT array_agg(n.identifier ORDER BY n.place), array_agg(n.customer_id ORDER BY n.place),
           array_agg((n.weak::integer::bigint << 33) - r.priority ORDER BY n.place)
    INTO forms, customers, classes
    FROM node n JOIN rule r ON r.namespace = n.namespace;
    SELECT f.first_customers, f.first_identities INTO customers, identities
    FROM identity_firsts(numbers, places, forms, classes, customers, ids) f;
END $$;
COMMENT ON FUNCTION @hub@.first_of(integer[], integer[], bigint[], bigint[])
    IS 'of observations, the customer of the first usable identity, and the identity touchpoints point at';

-- Returns for each observation the customer of its usable identity of highest priority, of several the smallest
-- identifier's, as the law has it; and the identity that touchpoints shall point at: of several the first given, which
-- is for the caller to say.
CREATE OR REPLACE FUNCTION @hub@.record_observations(
    all_numbers integer[], given @extschema@.identifier[], times timestamptz[], sources text[], keys text[],
    OUT first_customers bigint[], OUT first_identities bigint[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_memoize = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    named record;            -- identifiers that differ, the place of each given one among them, and the times of each
    found record;
    seen bigint[];           -- the identities that are given, parallel to the numbers
    -- what is to be done after new identifiers were added: parallel arrays of observations' numbers and the places
    numbers integer[];
    places integer[];        -- of what they name,
    identifiers @extschema@.identifier[];
    ids bigint[];            -- and by place: the identity,
    nodes bigint[];          -- its node,
    customers bigint[];      -- its customer, if it was known and usable,
    customers_now bigint[];  -- and where it is when all are locked
    given_to bigint[];       -- the customers that new ones were given
    components bigint[];
    usable boolean[];
    flags integer[];
    known bigint[];
    firsts timestamptz[];
    lasts timestamptz[];
    locked bigint[];
    fresh bigint[];          -- identities that are new
    others bigint[];         -- nodes that have a form they did not have
    added integer[];         -- the observations that are new evidence,
    all_are_new boolean;     -- which all are; before: each names somebody new
    shared_now bigint[];
    usable_again bigint[];
    together bigint[];       -- components of what was seen with those
    more bigint[] := '{}';   -- what was learnt so far must be locked besides: components,
    recounted bigint[] := '{}';  -- and nodes that may not be shared any more
    apart integer[] := '{}';     -- observations that are replays of what was retracted, and then forgotten
    known_apart boolean := true;
    moved boolean;           -- customers must be looked up again
    was record;
    wrong record;
    detail text;
BEGIN
    SELECT p.forms, p.places, p.firsts, p.lasts INTO named
    FROM identifier_places(given, journey_elements_at(times, all_numbers)) p;
    FOR try IN 1 .. 1000 LOOP
        BEGIN
            numbers := all_numbers;
            places := named.places;
            identifiers := named.forms;
            firsts := named.firsts;
            lasts := named.lasts;
            fresh := '{}';
            others := '{}';
            shared_now := '{}';
            usable_again := '{}';
            SELECT l.ids, l.nodes, l.customers, l.flags INTO ids, nodes, customers, flags FROM look_up(identifiers) l;
            known := ids;
            first_customers := NULL;
            IF array_position(ids, NULL) IS NOT NULL THEN
                SELECT n.ids, n.nodes, n.customers, n.usable, n.fresh, n.first_customers, n.first_identities,
                       n.rest_numbers, n.rest_places, n.rest, n.all_are_new
                INTO found
                FROM add_identities(numbers, places, identifiers, firsts, lasts, apart, ids, nodes, customers, flags) n;
                seen := journey_elements_at(found.ids, places);
                all_are_new := found.all_are_new;
                first_customers := found.first_customers;
                first_identities := found.first_identities;
                numbers := found.rest_numbers;
                places := found.rest_places;
                ids := found.ids;
                nodes := found.nodes;
                given_to := found.customers;
                usable := found.usable;
                fresh := found.fresh;
                IF cardinality(numbers) < cardinality(all_numbers) THEN
                    identifiers := journey_elements_at(identifiers, found.rest);
                    firsts := journey_elements_at(firsts, found.rest);
                    lasts := journey_elements_at(lasts, found.rest);
                    customers := journey_elements_at(customers, found.rest);
                    flags := journey_elements_at(flags, found.rest);
                    known := journey_elements_at(known, found.rest);
                    ids := journey_elements_at(ids, found.rest);
                    nodes := journey_elements_at(nodes, found.rest);
                    given_to := journey_elements_at(given_to, found.rest);
                    usable := journey_elements_at(usable, found.rest);
                END IF;
            ELSE
                all_are_new := false;
                seen := journey_elements_at(ids, places);
                IF nothing_new(numbers, seen, ids, firsts, lasts, sources, keys) THEN
                    SELECT f.customers, f.identities INTO first_customers, first_identities
                    FROM first_of(numbers, places, ids, nodes) f;
                    RETURN;
                END IF;
            END IF;

            IF numbers <> '{}' THEN
                others := array(SELECT DISTINCT u.node FROM unnest(ids, nodes, known, flags) u(id, node, known, flags)
                                WHERE u.flags & 4 > 0 OR u.known IS NULL AND u.node <> u.id);
                IF fresh = '{}' THEN
                    SELECT l.customers, l.components, l.usable, l.locked INTO customers_now, components, usable, locked
                    FROM lock_components(nodes, others, more, recounted) l;
                ELSE
                    -- nobody else knows nodes that are new: they are where they were put
                    SELECT l.customers, l.components, l.usable, l.locked INTO was
                    FROM lock_components(journey_elements_at(nodes, identity_places_without(nodes, fresh)), others,
                                         more, recounted) l;
                    locked := was.locked;
                    SELECT w.customers, w.components, w.usable INTO customers_now, components, usable
                    FROM identity_whereabouts(nodes, fresh, given_to, usable, was.customers, was.components,
                                              was.usable) w;
                END IF;
                IF fresh <> '{}'
                   AND (EXISTS (SELECT
                                FROM unnest(known, customers, flags, customers_now, usable)
                                     u(known, customer, flags, customer_now, usable)
                                WHERE u.known IS NOT NULL
                                      AND CASE WHEN u.flags & 3 = 0 THEN u.customer END
                                          IS DISTINCT FROM CASE WHEN u.usable THEN u.customer_now END)
                        OR EXISTS (SELECT FROM unnest(ids, nodes, customers_now, known) u(id, node, customer, known)
                                        CROSS JOIN LATERAL (SELECT k.customer_id, k.blocked, k.shared FROM identities k
                                                            WHERE k.identity_id = u.id OFFSET 0) i
                                        CROSS JOIN LATERAL (SELECT k.blocked, k.shared FROM identities k
                                                            WHERE k.identity_id = u.node OFFSET 0) n
                                   WHERE u.id <> u.node AND u.known IS NULL
                                         AND (i.customer_id, i.blocked, i.shared)
                                             IS DISTINCT FROM (u.customer, n.blocked, n.shared))) THEN
                    RAISE EXCEPTION USING ERRCODE = 'PJ001',
                        MESSAGE = 'new identities have not the customers they would have now';
                END IF;
                IF EXISTS (SELECT FROM identities i WHERE i.shared) THEN
                    shared_now := sharing_less(numbers, journey_elements_at(nodes, places), sources, keys, fresh);
                    IF NOT shared_now <@ recounted THEN
                        recounted := recounted || shared_now;
                        RAISE EXCEPTION USING ERRCODE = 'PJ001', MESSAGE = 'more must be locked';
                    END IF;
                    shared_now := '{}';
                END IF;
            END IF;

            -- What names one identity only says that it is there. Of what names somebody new nothing is a replay,
            -- unless he was forgotten; so that is put in as if all were well.
            IF all_are_new THEN
                BEGIN
                    INSERT INTO evidence (source, source_key, identities, observed_at)
                    SELECT e.source, e.source_key, e.identities, e.observed_at
                    FROM identity_evidence(all_numbers, seen, sources, keys, times) e;
                    added := array(SELECT s.number FROM identity_sets(numbers, journey_elements_at(ids, places)) s);
                EXCEPTION WHEN unique_violation THEN
                    all_are_new := false;
                END;
            END IF;
            IF NOT all_are_new THEN
                WITH told AS MATERIALIZED (
                    SELECT e.number, e.source, e.source_key, e.identities, e.observed_at, e.repeated
                    FROM identity_evidence(all_numbers, seen, sources, keys, times) e
                ), inserted AS (
                    INSERT INTO evidence (source, source_key, identities, observed_at)
                    SELECT t.source, t.source_key, t.identities, t.observed_at FROM told t WHERE NOT t.repeated
                    ON CONFLICT (source, source_key) DO NOTHING
                    RETURNING evidence.source, evidence.source_key
                )
                SELECT c.all_are_new,
                       CASE WHEN c.all_are_new THEN array(SELECT t.number FROM told t)
                            ELSE array(SELECT t.number FROM told t
                                       JOIN inserted i ON i.source = t.source AND i.source_key = t.source_key
                                       WHERE NOT t.repeated) END
                INTO all_are_new, added
                FROM (SELECT (SELECT count(*) FROM told t) = (SELECT count(*) FROM inserted) AS all_are_new) c;
            END IF;

            -- a replay must be one, in whatever form
            IF NOT all_are_new THEN
                FOR wrong IN
                    SELECT s.number, s.source, s.source_key AS key, e.identities, e.retracted_at
                    FROM identity_evidence(all_numbers, seen, sources, keys, times) s
                         CROSS JOIN LATERAL (SELECT v.identities, v.retracted_at FROM evidence v
                                             WHERE v.source = s.source AND v.source_key = s.source_key OFFSET 0) e
                    WHERE s.number NOT IN (SELECT unnest(added))
                          AND CASE WHEN e.identities <> s.identities
                                   THEN nodes_of(e.identities) <> nodes_of(s.identities) END
                LOOP
                    IF wrong.retracted_at IS NULL OR NOT was_forgotten(wrong.identities) THEN
                        PERFORM evidence_differs(wrong.source, wrong.key, array(
                            SELECT DISTINCT u.identifier FROM unnest(all_numbers, given) u(number, identifier)
                            WHERE u.number = wrong.number ORDER BY u.identifier));
                    ELSIF wrong.number = ANY (apart) IS NOT TRUE THEN
                        apart := apart || wrong.number;
                        known_apart := false;
                    END IF;
                END LOOP;
                IF NOT known_apart THEN
                    known_apart := true;
                    RAISE EXCEPTION USING ERRCODE = 'PJ001', MESSAGE = 'what is new was known, and is a replay';
                END IF;
            END IF;
            IF numbers = '{}' THEN
                RETURN;
            END IF;

            -- times, of those whose components are locked
            PERFORM set_times(array_agg(u.id), array_agg(u.first), array_agg(u.last))
            FROM unnest(known, nodes, firsts, lasts, usable) u(id, node, first, last, usable)
            WHERE u.id IS NOT NULL AND (u.usable OR u.node IN (SELECT unnest(others)))
            HAVING count(*) > 0;

            -- nodes that this evidence makes shared, or lets be usable again
            IF EXISTS (SELECT FROM identifier_rules r WHERE r.shared_above > 0) THEN
                SELECT c.shared_now, c.usable_again INTO shared_now, usable_again
                FROM recount(array(SELECT u.node
                                   FROM unnest(numbers, journey_elements_at(nodes, places),
                                               journey_elements_at(usable, places)) u(number, node, usable)
                                   WHERE u.usable AND u.number IN (SELECT unnest(added))
                                   UNION
                                   SELECT unnest(recounted)),
                             array(SELECT DISTINCT coalesce(u.component, u.customer)
                                   FROM unnest(components, customers_now) u(component, customer))) c;
            END IF;
            together := joined_again(usable_again, locked);
            IF together <> '{}' THEN
                usable := array(SELECT u.usable OR u.node IN (SELECT unnest(usable_again))
                                FROM unnest(nodes, usable) WITH ORDINALITY u(node, usable, n) ORDER BY u.n);
            END IF;

            moved := join_evidence(numbers, places, identifiers, nodes, customers_now, components, usable, added,
                                   fresh, others, shared_now, together);
            IF NOT moved THEN
                SELECT f.first_customers AS customers, f.first_identities AS identities INTO found
                FROM (SELECT array_agg(s.namespace) AS namespaces, array_agg(r.priority) AS priorities
                      FROM unnest(identifier_namespaces(identifiers)) s(namespace)
                           CROSS JOIN LATERAL rule_of(s.namespace) r) r
                     CROSS JOIN LATERAL identity_likely_firsts(numbers, places, identifiers, r.namespaces,
                                                               r.priorities, usable, customers_now, ids) f;
                moved := found.customers IS NULL;
            END IF;
            IF moved THEN
                SELECT f.customers, f.identities INTO found FROM first_of(numbers, places, ids, nodes) f;
            END IF;
            IF cardinality(numbers) < cardinality(all_numbers) THEN
                SELECT array_agg(coalesce(u.a, u.b)), array_agg(coalesce(u.c, u.d))
                INTO first_customers, first_identities
                FROM unnest(first_customers, found.customers, first_identities, found.identities) u(a, b, c, d);
            ELSE
                first_customers := found.customers;
                first_identities := found.identities;
            END IF;
            RETURN;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            -- somebody else has changed what this was about, or more must be locked: once more, with what is there now
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
            IF detail <> '' THEN
                more := detail;
            END IF;
        END;
    END LOOP;
    RAISE EXCEPTION USING ERRCODE = 'data_corrupted', MESSAGE = 'identities don''t fit together',
        DETAIL = format('Identifiers: %s.', given::text),
        HINT = 'Tables were changed by hand: stitch_check() tells what is wrong, and stitch_all() mends it.';
END $$;
COMMENT ON FUNCTION @hub@.record_observations(integer[], @extschema@.identifier[], timestamptz[], text[], text[])
    IS 'record observations';

CREATE OR REPLACE FUNCTION @hub@.identify_all(observations @hub@.observation[], OUT customers bigint[],
                                              OUT identities bigint[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    wrong_one observation;
    given record;
BEGIN
    IF observations IS NULL OR cardinality(observations) = 0 THEN
        customers := '{}';
        identities := '{}';
        RETURN;
    END IF;
    SELECT o.numbers, o.identifiers, o.times, o.sources, o.keys, o.wrong INTO given
    FROM identity_observations(observations) o;
    IF given.wrong > 0 THEN
        FOREACH wrong_one IN ARRAY observations LOOP
            PERFORM check_observation(wrong_one.identifiers, wrong_one.observed_at, wrong_one.source,
                                      wrong_one.source_key);
        END LOOP;
    END IF;
    PERFORM begin_stitching();
    SELECT r.first_customers, r.first_identities INTO customers, identities
    FROM record_observations(given.numbers, given.identifiers, given.times, given.sources, given.keys) r;
END $$;
COMMENT ON FUNCTION @hub@.identify_all(@hub@.observation[])
    IS 'record many observations at once; returns of each the customer, and the identity that touchpoints of it point '
       'at';

CREATE OR REPLACE FUNCTION @hub@.identify_many(observations @hub@.observation[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    before CONSTANT bigint := CASE WHEN cardinality(observations) >= 1000
                                        AND has_table_privilege('identities', 'INSERT')
                                   THEN coalesce(pg_sequence_last_value('identities_identity_id_seq'), 0) END;
    customers bigint[];
    suppressed record;
BEGIN
    IF NOT has_table_privilege('touchpoint_keys', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    IF journey_pass('suppressions') THEN
        SELECT n.of_observations AS gone, n.any_is INTO suppressed FROM names_suppressed(NULL, observations, NULL) n;
        IF suppressed.any_is THEN
            PERFORM count_suppressed(o.source, 0, count(*))
            FROM ROWS FROM (unnest(suppressed.gone), unnest(observations)) o(gone) WHERE o.gone
            GROUP BY o.source;
            customers := identify_many(array(SELECT u.observation
                                             FROM (SELECT generate_subscripts(suppressed.gone, 1) AS n,
                                                          unnest(suppressed.gone) AS gone,
                                                          unnest(observations) AS observation) u
                                             WHERE NOT u.gone ORDER BY u.n));
            -- NULL for what was dropped
            RETURN array(SELECT CASE WHEN NOT u.gone
                                     THEN customers[count(*) FILTER (WHERE NOT u.gone) OVER (ORDER BY u.n)] END
                         FROM unnest(suppressed.gone) WITH ORDINALITY u(gone, n) ORDER BY u.n);
        END IF;
    END IF;
    PERFORM check_time('observed_at', min(o.observed_at)), check_time('observed_at', max(o.observed_at))
    FROM unnest(observations) o
    WHERE isfinite(o.observed_at);
    customers := (SELECT a.customers FROM identify_all(observations) a);
    IF before IS NOT NULL THEN
        PERFORM gather_statistics(before, pg_sequence_last_value('identities_identity_id_seq'));
    END IF;
    RETURN customers;
END $$;
COMMENT ON FUNCTION @hub@.identify_many(@hub@.observation[])
    IS 'record many observations at once; returns the customer of each';

CREATE OR REPLACE FUNCTION @hub@.evidence_differs(source text, source_key text, identifiers @extschema@.identifier[])
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'unique_violation',
        MESSAGE = format('evidence %s of source %s is there with other identifiers', source_key, source),
        DETAIL = format('It has %s, not %s.',
                        (SELECT array_agg(i.identifier ORDER BY i.identifier) FROM evidence e
                         JOIN identities i ON i.identity_id = ANY (e.identities)
                         WHERE e.source = evidence_differs.source
                             AND e.source_key = evidence_differs.source_key), identifiers::text),
        HINT = 'Retract it, and record what replaces it under a key of its own.';
END $$;
COMMENT ON FUNCTION @hub@.evidence_differs(text, text, @extschema@.identifier[])
    IS 'report that a key is that of other evidence';

-- A row that stays is written even so: it tells whoever works from an older snapshot.
CREATE OR REPLACE FUNCTION @hub@.set_sizes(customer_ids bigint[], sizes bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO customers (customer_id, identities)
    SELECT u.id, u.size FROM unnest(customer_ids, sizes) u(id, size)
    ON CONFLICT ON CONSTRAINT customers_pkey DO UPDATE SET identities = excluded.identities;
END $$;
COMMENT ON FUNCTION @hub@.set_sizes(bigint[], bigint[]) IS 'note how many identities customers have';

-- Join what new evidence connects. Components that are one customer each, and stay so by the rules, are put together as
-- they are. Where rules part a component, links within a customer change nothing: of all links that are tried in order,
-- those that were left out still break a rule if others come earlier, and those that joined still don't. In a
-- quarantined component no link joins, but must-links. All others are stitched by the whole law. Parallel to the
-- identifiers are their nodes, the customer of each, its component (NULL: it is new, and the first of its customer),
-- and whether it is usable, or was before this evidence. others: nodes that have a new form; together: components that
-- are one group because of what is usable again. Returns whether identities have other customers now, or may have.
CREATE OR REPLACE FUNCTION @hub@.join_evidence(
    numbers integer[], places integer[], identifiers @extschema@.identifier[], nodes bigint[], customers bigint[],
    components bigint[], usable boolean[], added integer[], fresh bigint[], others bigint[], shared_now bigint[],
    together bigint[])
RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_memoize = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    linking integer[];       -- numbers, of observations that are new evidence
    component_ids bigint[];  -- components, and the first one of what they become
    group_ids bigint[];
    grown bigint[];          -- how many new nodes each has
    by_law bigint[];         -- groups that the law must look at
    quarantined bigint[];    -- groups of which a component is quarantined, and nothing joins
    quiet bigint[];          -- components that rules part, and to whose customers nodes are added at most
    moved_ids bigint[];      -- identities, and the customers they get
    moved_to bigint[];
    sizes bigint[];
    whole bigint;
BEGIN
    SELECT g.component_ids, g.group_ids, g.grown INTO component_ids, group_ids, grown
    FROM identity_groups(numbers, places, nodes, customers, components, usable, added, fresh, others, shared_now,
                         together) g;
    IF component_ids = '{}' THEN
        RETURN false;
    END IF;
    -- Most only add nodes to customers, and no rule minds
    IF component_ids = group_ids AND shared_now = '{}' AND together = '{}'
       AND NOT EXISTS (SELECT
                       FROM unnest(identifier_namespaces(journey_elements_at(
                                identifiers, array(SELECT u.place FROM unnest(nodes) WITH ORDINALITY u(node, place)
                                                   WHERE u.node IN (SELECT unnest(fresh)))::integer[]))) s(namespace)
                            CROSS JOIN LATERAL rule_of(s.namespace) r
                       WHERE r.max_per_customer IS NOT NULL) THEN
        SELECT array_agg(coalesce(c.identities, 0) + g.grown ORDER BY g.n) INTO sizes
        FROM unnest(component_ids, grown) WITH ORDINALITY g(component, grown, n)
             LEFT JOIN LATERAL (SELECT k.identities, k.component_id FROM customers k
                                WHERE k.customer_id = g.component OFFSET 0) c ON true
        HAVING bool_and(c.component_id IS NULL)
               AND max(coalesce(c.identities, 0) + g.grown) <= coalesce((SELECT s.quarantine_above FROM settings s
                                                                         WHERE s.one_row), 2147483647);
        IF sizes IS NOT NULL THEN
            PERFORM set_sizes(component_ids, sizes);
            RETURN false;
        END IF;
    END IF;

    PERFORM plan_for(cardinality(numbers));
    linking := array(SELECT a.number FROM unnest(numbers) WITH ORDINALITY g(number, n)
                          LEFT JOIN unnest(added) a(number) ON a.number = g.number ORDER BY g.n);
    WITH grouped AS MATERIALIZED (
        SELECT g.component, g.to_component, c.component_id IS NOT NULL AS parted,
               coalesce(c.component_identities, c.identities, 0) AS identities, g.grown
        FROM unnest(component_ids, group_ids, grown) g(component, to_component, grown)
             LEFT JOIN LATERAL (SELECT k.component_id, k.component_identities, k.identities FROM customers k
                                WHERE k.customer_id = g.component OFFSET 0) c ON true
    ), sized AS MATERIALIZED (
        SELECT g.to_component, count(*) > 1 AS joins, bool_or(g.parted) AS parted, sum(g.grown) > 0 AS grown,
               coalesce(max(g.identities) FILTER (WHERE g.parted) > s.quarantine_above, false) AS was_large,
               coalesce(sum(g.identities + g.grown) > s.quarantine_above, false) AS is_large
        FROM grouped g CROSS JOIN (SELECT s.quarantine_above FROM settings s WHERE s.one_row) s
        GROUP BY g.to_component, s.quarantine_above
    ), stirred AS MATERIALIZED (
        -- components with a new node that a limit counts, and parted ones with a link between customers
        SELECT coalesce(u.component, u.customer) AS component
        FROM unnest(identifiers, nodes, customers, components) u(identifier, id, customer, component)
        WHERE u.id IN (SELECT unnest(fresh))
              AND @extschema@.identifier_namespace(u.identifier) IN (
                  SELECT n.namespace
                  FROM (SELECT DISTINCT @extschema@.identifier_namespace(k.identifier) AS namespace
                        FROM unnest(identifiers) k(identifier)) n
                       CROSS JOIN LATERAL rule_of(n.namespace) r
                  WHERE r.max_per_customer IS NOT NULL)
        UNION
        SELECT l.component
        FROM (SELECT o.number, u.component, u.customer
              FROM unnest(linking, places) o(number, place)
                   JOIN unnest(customers, components, usable) WITH ORDINALITY u(customer, component, usable, place)
                        ON u.place = o.place
              WHERE o.number IS NOT NULL AND u.usable
                    AND u.component IN (SELECT g.component FROM grouped g WHERE g.parted)) l
        GROUP BY l.number, l.component HAVING min(l.customer) <> max(l.customer)
    ), asked AS MATERIALIZED (
        SELECT g.component, g.to_component
        FROM grouped g JOIN sized s ON s.to_component = g.to_component
        WHERE NOT s.parted AND (s.joins OR g.component IN (SELECT t.component FROM stirred t))
              AND EXISTS (SELECT FROM identifier_rules r WHERE r.max_per_customer > 0)
    ), lawful AS (
        SELECT g.to_component FROM grouped g WHERE g.component = ANY (together)
        UNION
        SELECT s.to_component FROM sized s WHERE s.is_large AND NOT s.was_large
        UNION
        -- what is large by guesses is not in quarantine for that
        SELECT s.to_component FROM sized s WHERE s.was_large AND are_there_guesses()
        UNION
        SELECT s.to_component FROM sized s JOIN grouped g ON g.to_component = s.to_component
        WHERE s.parted AND NOT s.was_large AND (s.joins OR g.component IN (SELECT t.component FROM stirred t))
        UNION
        SELECT g.to_component
        FROM unnest(shared_now) u(id)
             CROSS JOIN LATERAL (SELECT i.customer_id FROM identities i WHERE i.identity_id = u.id OFFSET 0) i
             LEFT JOIN LATERAL (SELECT k.component_id FROM customers k
                                WHERE k.customer_id = i.customer_id OFFSET 0) c ON true
             JOIN grouped g ON g.component = coalesce(c.component_id, i.customer_id)
        UNION
        -- must-links are tried in the order of the evidence, too
        SELECT g.to_component
        FROM grouped g JOIN sized s ON s.to_component = g.to_component AND s.was_large
             JOIN unnest(nodes, customers, components) u(id, customer, component)
                 ON coalesce(u.component, u.customer) = g.component
             JOIN must_links_of(nodes) m ON m.a = u.id AND m.b IN (SELECT unnest(nodes))
        WHERE EXISTS (SELECT FROM identity_pairs p WHERE p.kind = 'must')
        UNION
        -- all members are read if there is any limit, which is less than what a join writes
        SELECT g.to_component
        FROM asked g
             CROSS JOIN LATERAL (SELECT i.identifier, i.max_per_customer FROM ruled_identities i
                                 WHERE i.customer_id = g.component OFFSET 0) i
        WHERE i.max_per_customer IS NOT NULL
        GROUP BY g.to_component, @extschema@.identifier_namespace(i.identifier), i.max_per_customer
        HAVING count(*) > i.max_per_customer
        UNION
        SELECT x.to_component
        FROM grouped x JOIN sized s ON s.to_component = x.to_component AND s.joins AND NOT s.parted
             CROSS JOIN LATERAL (SELECT k.identity_id, k.normal_id FROM identities k
                                 WHERE k.customer_id = x.component OFFSET 0) i
             JOIN identity_pairs p ON p.a = i.identity_id AND p.kind = 'cannot'
             CROSS JOIN LATERAL (SELECT k.customer_id, k.normal_id FROM identities k
                                 WHERE k.identity_id = p.b OFFSET 0) j
             JOIN grouped y ON y.component = j.customer_id AND y.to_component = x.to_component
        WHERE j.normal_id <> i.normal_id AND EXISTS (SELECT FROM identity_pairs p WHERE p.kind = 'cannot')
        UNION
        -- guesses of what facts join may join no longer
        SELECT s.to_component
        FROM (SELECT g.to_component, array_agg(g.component) AS components
              FROM grouped g JOIN sized s ON s.to_component = g.to_component AND s.joins AND NOT s.parted
              GROUP BY g.to_component) s
        WHERE has_conflict(s.components)
    )
    SELECT coalesce((SELECT array_agg(l.to_component) FROM lawful l), '{}'),
           array(SELECT s.to_component FROM sized s WHERE s.was_large EXCEPT SELECT l.to_component FROM lawful l),
           array(SELECT s.to_component FROM sized s WHERE s.parted AND NOT s.was_large EXCEPT SELECT l.to_component
                 FROM lawful l)
    INTO by_law, quarantined, quiet;

    IF by_law <> '{}' THEN
        PERFORM restitch(members_of((SELECT array_agg(g.component)
                                     FROM unnest(component_ids, group_ids) g(component, to_component)
                                     WHERE g.to_component IN (SELECT unnest(by_law)))), fresh);
    END IF;
    FOREACH whole IN ARRAY quarantined LOOP
        PERFORM quarantine(array(SELECT u.component FROM unnest(component_ids, group_ids) u(component, to_component)
                                 WHERE u.to_component = whole),
                           array(SELECT u.id FROM unnest(nodes, customers, components) u(id, customer, component)
                                 WHERE u.id IN (SELECT unnest(fresh)) AND coalesce(u.component, u.customer)
                                       IN (SELECT m.component
                                           FROM unnest(component_ids, group_ids) m(component, to_component)
                                               WHERE m.to_component = whole)),
                           fresh);
    END LOOP;
    IF quiet <> '{}' THEN
        -- written even if nothing in it changes: it tells whoever works from an older snapshot
        UPDATE customers c
        SET component_identities = c.component_identities + g.grown
        FROM unnest(component_ids, grown) g(component, grown)
        WHERE c.customer_id = g.component AND g.component IN (SELECT unnest(quiet));
        UPDATE customers c SET identities = c.identities + f.nodes
        FROM (SELECT u.customer, count(DISTINCT u.id) AS nodes
              FROM unnest(nodes, customers, components) u(id, customer, component)
              WHERE u.component IN (SELECT unnest(quiet)) AND u.id IN (SELECT unnest(fresh)) GROUP BY u.customer) f
        WHERE c.customer_id = f.customer;
    END IF;
    SELECT array_agg(u.component), array_agg(u.to_component), array_agg(u.grown) INTO component_ids, group_ids, grown
    FROM unnest(component_ids, group_ids, grown) u(component, to_component, grown)
    WHERE u.to_component NOT IN (SELECT unnest(by_law || quarantined || quiet));
    IF component_ids IS NULL THEN
        RETURN true;
    END IF;

    SELECT coalesce(array_agg(i.identity_id), '{}'), coalesce(array_agg(g.to_component), '{}') INTO moved_ids, moved_to
    FROM unnest(component_ids, group_ids) g(component, to_component)
         CROSS JOIN LATERAL (SELECT k.identity_id FROM identities k WHERE k.customer_id = g.component OFFSET 0) i
    WHERE g.component <> g.to_component;
    IF moved_ids <> '{}' THEN
        PERFORM move_identities(moved_ids, moved_to, fresh);
    END IF;
    SELECT array_agg(coalesce(c.identities, 0) + g.grown) INTO sizes
    FROM unnest(component_ids, grown) WITH ORDINALITY g(component, grown, n)
         LEFT JOIN LATERAL (SELECT k.identities FROM customers k WHERE k.customer_id = g.component OFFSET 0) c ON true;
    DELETE FROM customers c
    WHERE c.customer_id = ANY (array(SELECT u.component FROM unnest(component_ids, group_ids) u(component, to_component)
                                     WHERE u.component <> u.to_component));
    SELECT array_agg(s.to_component), array_agg(s.identities) INTO group_ids, sizes
    FROM (SELECT u.to_component, sum(u.identities)::bigint AS identities
          FROM unnest(group_ids, sizes) u(to_component, identities)
          GROUP BY u.to_component
          ORDER BY u.to_component) s;
    PERFORM set_sizes(group_ids, sizes);
    RETURN true;
END $$;
COMMENT ON FUNCTION @hub@.join_evidence(integer[], integer[], @extschema@.identifier[], bigint[], bigint[], bigint[],
                                        boolean[], integer[], bigint[], bigint[], bigint[], bigint[])
    IS 'put together the components that new evidence connects';

-- Add to a quarantined component others, and new nodes. Their links don't join, as its own don't: what it has already
-- is left as it is.
CREATE OR REPLACE FUNCTION @hub@.quarantine(components bigint[], new_nodes bigint[], fresh bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    above integer := (SELECT s.quarantine_above FROM settings s WHERE s.one_row);
    into_id bigint := (SELECT min(u.id) FROM unnest(components) u(id));
    small bigint[];  -- components that were not quarantined
    ids bigint[];    -- identities of those, and new ones, and their customers
    customer_ids bigint[];
    size bigint;
BEGIN
    small := array(SELECT u.id FROM unnest(components) u(id) LEFT JOIN customers c ON c.customer_id = u.id
                   WHERE coalesce(c.component_identities, c.identities, 0) <= above);
    size := (SELECT sum(coalesce(c.component_identities, c.identities)) FROM customers c
             WHERE c.customer_id = ANY (components) AND c.customer_id <> ALL (small));
    WITH part AS MATERIALIZED (
        SELECT p.identity_id, p.normal_id, p.customer_id
        FROM partition_of(array(SELECT unnest(members_of(small)) UNION SELECT unnest(new_nodes)), above => 0) p
    )
    SELECT array_agg(p.identity_id), array_agg(p.customer_id),
        size + count(*) FILTER (WHERE p.identity_id = p.normal_id)
    INTO ids, customer_ids, size FROM part p;
    IF ids IS NOT NULL THEN
        PERFORM move_identities(array_agg(i.identity_id), array_agg(u.customer_id), fresh)
        FROM unnest(ids, customer_ids) u(id, customer_id) JOIN identities i ON i.identity_id = u.id
            WHERE i.customer_id <> u.customer_id;
        DELETE FROM customers c WHERE c.customer_id = ANY (small) OR c.component_id = ANY (small);
        INSERT INTO customers (customer_id, component_id, identities)
        SELECT u.customer_id, into_id, count(*)
        FROM unnest(ids, customer_ids) u(id, customer_id)
            JOIN identities i ON i.identity_id = u.id AND i.normal_id = i.identity_id
        GROUP BY u.customer_id;
    END IF;
    IF cardinality(components) > 1 THEN
        UPDATE customers c SET component_id = into_id, component_identities = NULL
        WHERE c.component_id = ANY (components) AND (c.component_id <> into_id OR c.component_identities IS NOT NULL);
        -- a large one that must-links alone hold together was one customer
        UPDATE customers c SET component_id = into_id WHERE c.customer_id = ANY (components) AND c.component_id IS NULL;
    END IF;
    -- written even if nothing in it changes: it tells whoever works from an older snapshot
    UPDATE customers c SET component_identities = size WHERE c.customer_id = into_id;
END $$;
COMMENT ON FUNCTION @hub@.quarantine(bigint[], bigint[], bigint[])
    IS 'add components and new nodes to a quarantined component';

-- Most observations tell nothing new of who is who, or bring an identifier that is new, and no rule minds. Those
-- are dealt with here; all others are for identify_all. What is called so often is made of statements that are small,
-- since to begin one takes longer than to run it: of several tables, or with a subquery that is not always asked, it
-- would take longer still. Locks are taken in the order of 40_stitch.sql.
CREATE OR REPLACE FUNCTION @hub@.identify_one(
    identifiers @extschema@.identifier[], observed_at timestamptz, source text, source_key text, OUT customer bigint,
        OUT identity bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET gin_fuzzy_search_limit = 0 SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    several CONSTANT boolean := cardinality(identifiers) > 1;
    given @extschema@.identifier;  -- each of them: itself,
    form @extschema@.identifier;   -- its normal form, if it is no identity,
    rule record;                   -- what rules say of it, if that may matter,
    id bigint;                     -- its identity,
    node bigint;                   -- or that of its normal form,
    of_customer bigint;            -- and of either
    usable boolean;
    seen_then boolean;
    known bigint[] := '{}';        -- identities there are
    known_nodes bigint[] := '{}';  -- nodes there are of which a form is new
    unknown @extschema@.identifier[] := '{}';  -- identifiers that are none yet, and of each
    forms @extschema@.identifier[] := '{}';    -- its normal form, if that is another
    form_ids bigint[] := '{}';     -- and is an identity, that
    fresh bigint[];                -- their numbers
    normals bigint[];              -- and those of their nodes
    unseen bigint[] := '{}';       -- nodes that did not come in themselves
    unseen_forms @extschema@.identifier[] := '{}';
    highest integer;               -- priority of the first of the highest,
    first @extschema@.identifier;              -- and itself
    simple boolean;                -- one customer at most, and no rule to ask
    limited boolean := false;      -- a limit must be asked
    all_seen_then boolean := true; -- the time tells nothing
    there bigint[];                -- identities of the evidence that is there
    parted bigint;                 -- the component, if rules part it
    size integer;                  -- of the customer
    changed bigint;
    new_nodes integer := 0;
    ids bigint[];
BEGIN
    IF (cardinality(identifiers) > 0) IS NOT TRUE OR source IS NULL OR observed_at IS NULL OR NOT isfinite(observed_at)
    THEN
        PERFORM check_observation(identifiers, observed_at, source, source_key);
        source := 'sql';
    END IF;
    IF current_setting('transaction_isolation') = 'read committed'
       AND has_table_privilege('touchpoint_keys', 'INSERT') THEN
        LOCK TABLE evidence IN ROW EXCLUSIVE MODE;  -- which is all that begin_stitching() would do
    ELSE
        PERFORM begin_stitching();
    END IF;
    simple := cardinality(identifiers) <= 50;  -- arrays are searched here
    FOREACH given IN ARRAY identifiers LOOP
        SELECT i.identity_id, i.customer_id, NOT (i.blocked OR i.shared),
               observed_at BETWEEN i.first_seen AND i.last_seen
        INTO id, of_customer, usable, seen_then
        FROM identities i WHERE i.identifier = given;
        IF several OR id IS NULL THEN
            SELECT r.priority, r.max_per_customer, r.shared_above, r.blocked, r.normalizer, r.default_country INTO rule
            FROM rule_of(@extschema@.identifier_namespace(given)) r;
            simple := simple AND rule.shared_above IS NULL;
            IF highest IS NULL OR rule.priority > highest THEN
                highest := rule.priority;
                first := given;
                identity := id;
            END IF;
        ELSE
            identity := id;
        END IF;
        IF id IS NULL THEN
            form := @extschema@.normalize_identifier(given, rule.normalizer, rule.default_country);
            node := NULL;
            IF form <> given THEN
                SELECT i.normal_id, i.customer_id, NOT (i.blocked OR i.shared) INTO node, of_customer, usable
                FROM identities i WHERE i.identifier = form;
            END IF;
            IF node IS NULL THEN
                usable := NOT @extschema@.identifier_blocked(form, rule.blocked, rule.normalizer, rule.default_country);
                limited := limited OR rule.max_per_customer IS NOT NULL;
            END IF;
            form := nullif(form, given);
        END IF;
        customer := coalesce(customer, of_customer);
        simple := simple AND usable AND (of_customer IS NULL OR of_customer = customer);
        EXIT WHEN simple IS NOT TRUE;  -- NULL: it can't be read, or is NULL itself
        IF id IS NOT NULL THEN
            all_seen_then := all_seen_then AND seen_then IS TRUE;
            IF id = ANY (known) IS NOT TRUE THEN
                known := known || id;
            END IF;
        ELSIF given = ANY (unknown) IS NOT TRUE THEN
            -- two new forms of one are for the others
            simple := given = ANY (forms) IS NOT TRUE AND form = ANY (unknown) IS NOT TRUE
                      AND (form = ANY (forms)) IS NOT TRUE;
            EXIT WHEN NOT simple;
            unknown := unknown || given;
            forms := forms || form;
            form_ids := form_ids || node;
            IF node IS NULL THEN
                new_nodes := new_nodes + 1;
            ELSE
                known_nodes := known_nodes || node;
            END IF;
        END IF;
    END LOOP;

    IF simple AND several AND cardinality(known) + cardinality(unknown) > 1 THEN
        IF source_key IS NULL THEN
            source_key := evidence_key(identifiers, observed_at);
        END IF;
        IF cardinality(known) > 2 OR known[1] > known[2] THEN
            known := array(SELECT u.id FROM unnest(known) u(id) ORDER BY u.id);
        END IF;
    END IF;
    IF simple AND unknown = '{}' AND all_seen_then THEN
        IF cardinality(known) > 1 THEN
            there := (SELECT e.identities FROM evidence e
                      WHERE e.source = identify_one.source AND e.source_key = identify_one.source_key);
        END IF;
        IF cardinality(known) = 1 OR there = known THEN
            RETURN;
        END IF;
    ELSIF simple AND unknown <> '{}' THEN
        -- what is new can be a replay if it was forgotten
        SELECT e.identities INTO there FROM evidence e
        WHERE e.source = identify_one.source AND e.source_key = identify_one.source_key;
        simple := there IS NULL;
        IF simple AND customer IS NOT NULL THEN
            SELECT c.component_id INTO parted FROM customers c WHERE c.customer_id = customer;
            simple := parted IS NULL;
        END IF;
    END IF;
    IF simple THEN
        BEGIN
            IF unknown <> '{}' THEN
                FOR n IN 1 .. cardinality(unknown) LOOP
                    fresh[n] := nextval('identities_identity_id_seq');
                    normals[n] := coalesce(form_ids[n], fresh[n]);
                END LOOP;
                FOR n IN 1 .. cardinality(unknown) LOOP
                    IF forms[n] IS NOT NULL AND form_ids[n] IS NULL THEN
                        normals[n] := nextval('identities_identity_id_seq');
                        unseen := unseen || normals[n];
                        unseen_forms := unseen_forms || forms[n];
                    END IF;
                END LOOP;
                INSERT INTO identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen,
                                        last_seen)
                SELECT u.id, u.identifier, u.normal_id, coalesce(customer, fresh[1]), clock_timestamp(), u.at, u.at
                FROM (SELECT f.id, f.identifier, f.normal_id, observed_at AS at
                      FROM unnest(fresh, unknown, normals) f(id, identifier, normal_id)
                      UNION ALL
                      SELECT f.id, f.identifier, f.id, NULL FROM unnest(unseen, unseen_forms) f(id, identifier)) u
                ORDER BY u.identifier
                ON CONFLICT (identifier) DO NOTHING;
                GET DIAGNOSTICS changed = ROW_COUNT;
                simple := changed = cardinality(fresh || unseen);  -- otherwise somebody else was faster
            END IF;
            IF simple AND customer IS NULL THEN
                INSERT INTO customers AS c (customer_id, identities) VALUES (fresh[1], new_nodes) RETURNING c.identities
                    INTO size;
            ELSIF simple THEN
                -- written even if nothing in it changes: it tells whoever works from an older snapshot
                UPDATE customers c SET identities = c.identities + new_nodes
                WHERE c.customer_id = customer AND c.component_id IS NULL RETURNING c.identities INTO size;
                changed := 0;
                IF size IS NOT NULL AND NOT all_seen_then THEN
                    UPDATE identities i SET first_seen = least(i.first_seen, observed_at),
                        last_seen = greatest(i.last_seen, observed_at)
                    WHERE i.identity_id = ANY (known) AND i.customer_id = customer AND NOT (i.blocked OR i.shared)
                          AND (observed_at < i.first_seen OR observed_at > i.last_seen OR i.last_seen IS NULL);
                    GET DIAGNOSTICS changed = ROW_COUNT;
                END IF;
                ids := known || known_nodes;
                IF changed < cardinality(ids) THEN
                    ids := array(SELECT DISTINCT u.id FROM unnest(ids) u(id));
                    changed := (SELECT count(*) FROM identities i
                                WHERE i.identity_id = ANY (ids) AND i.customer_id = customer
                                    AND NOT (i.blocked OR i.shared));
                END IF;
                -- otherwise rules part it, or they moved before they were locked
                simple := size IS NOT NULL AND changed = cardinality(ids);
            END IF;
            IF simple AND fresh IS NOT NULL AND size > 1 THEN
                simple := NOT EXISTS (SELECT FROM settings s WHERE s.one_row AND s.quarantine_above < size);
            END IF;
            IF simple AND limited THEN
                simple := size <= 100
                          AND NOT EXISTS (SELECT FROM ruled_identities i
                                          WHERE i.customer_id = coalesce(customer, fresh[1])
                                              AND i.max_per_customer IS NOT NULL
                                          GROUP BY @extschema@.identifier_namespace(i.identifier), i.max_per_customer
                                          HAVING count(*) > i.max_per_customer);
            END IF;
            -- if it may show that two people are one, those they share something with must be told
            IF simple AND cardinality(known) + cardinality(known_nodes) > 1 THEN
                IF EXISTS (SELECT FROM identities i WHERE i.shared) THEN
                    simple := known_nodes = '{}'
                              AND EXISTS (SELECT FROM evidence e
                                          WHERE e.identities @> known AND e.retracted_at IS NULL);
                END IF;
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
        IF cardinality(ids) > 2 OR ids[1] > ids[2] THEN
            ids := array(SELECT u.id FROM unnest(ids) u(id) ORDER BY u.id);
        END IF;
        INSERT INTO evidence AS e (source, source_key, identities, observed_at)
            VALUES (source, source_key, ids, observed_at)
        ON CONFLICT ON CONSTRAINT evidence_pkey DO NOTHING;
        IF NOT FOUND THEN
            there := (SELECT e.identities FROM evidence e
                      WHERE e.source = identify_one.source AND e.source_key = identify_one.source_key);
            IF there <> ids AND nodes_of(there) <> nodes_of(ids) THEN
                PERFORM evidence_differs(source, source_key, identifiers);
            END IF;
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.identify_one(@extschema@.identifier[], timestamptz, text, text)
    IS 'record that identifiers were seen together; returns their customer, and the identity that touchpoints of them '
       'point at';

CREATE OR REPLACE FUNCTION @hub@.identify(
    identifiers @extschema@.identifier[], observed_at timestamptz DEFAULT now(), source text DEFAULT NULL,
        source_key text DEFAULT NULL)
RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
    SELECT CASE WHEN @hub@.admits(identify.identifiers, identify.source)
                THEN (@hub@.identify_one(identify.identifiers, @hub@.check_time('observed_at', identify.observed_at),
                                         identify.source, identify.source_key)).customer END;
END;
COMMENT ON FUNCTION @hub@.identify(@extschema@.identifier[], timestamptz, text, text)
    IS 'record that identifiers were seen together; returns their customer';

CREATE OR REPLACE FUNCTION @hub@.link(
    a @extschema@.identifier, b @extschema@.identifier, observed_at timestamptz DEFAULT now(), source text DEFAULT NULL,
    source_key text DEFAULT NULL)
RETURNS bigint
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT @hub@.identify(ARRAY[link.a, link.b], link.observed_at, link.source, link.source_key);
END;
COMMENT ON FUNCTION @hub@.link(@extschema@.identifier, @extschema@.identifier, timestamptz, text, text)
    IS 'record that two identifiers were seen together; returns their customer';
