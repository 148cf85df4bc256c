-- Erasing a person: all that the hub keeps of him, in one transaction, by the register personal_data.
--
-- The person is the customer's identities, but for those that are others' too: where rules part what evidence connects,
-- a device or a line may be seen with people of several customers, and is in one of them. Such an identity stays, and
-- so does what is known of it, but for what came with an identifier of the person. What there may be only so many of in
-- a customer (max_per_customer), or is kept apart from others by a steward, is somebody himself; and what was seen with
-- such of one customer only, or with what is as strong as itself, is his. An identity that was seen with either of
-- another customer is others' too; where there is no such thing, with a stronger one. Who asks for a customer asks for
-- somebody: where nothing else is left to go, the strongest identities go.
--
-- What only a guess joins may be two people, and nobody but the caller can tell: erase() refuses, and says which guess
-- it is. Being guessed to be somebody is not being seen with him: so a guess makes nothing others' too.
--
-- erase() closes the gate (see 22_suppression.sql) and keeps refresh() out: nobody writes meanwhile, so the law is
-- written down anew for all that was connected with the person, without the locks of 40_stitch.sql.

-- One who can't see all would leave the rest.
CREATE OR REPLACE FUNCTION @hub@.check_sees_all() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    hidden text;
BEGIN
    -- the hub's own policies follow from those of identities, or are for what erase_listed does
    SELECT string_agg(r.relation, ', ' ORDER BY r.relation) INTO hidden
    FROM (SELECT DISTINCT p.relation, to_regclass(personal_relation(p.relation)) AS id FROM personal_data p
          WHERE p.relation <> ALL ('{traits,trait_history,journey_blocks,consents,access_log,assignments,'
                                   'erasure_requests,segment_members,segment_log,segment_changes,noted_waits,'
                                   'match_records,match_values,match_keys,match_due,match_pairs}')
                AND p.holds IS NOT NULL) r
    WHERE CASE WHEN r.id IS NOT NULL THEN hides_rows(r.id) END;
    IF hidden IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('row-level security may hide rows of hub %s from role %s', current_schema(), current_user),
            DETAIL = format('It applies to %s.', hidden),
            HINT = 'Who exports or erases somebody must see all that is kept: let the owner of the hub do it.';
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_sees_all() IS 'refuse whom row-level security may hide something from';

CREATE OR REPLACE FUNCTION @hub@.personal_relation(relation text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN CASE WHEN relation ~ '\.' THEN relation ELSE format('%I.%I', current_schema(), relation) END;
END $$;
COMMENT ON FUNCTION @hub@.personal_relation(text) IS 'a relation of personal_data with its schema';

-- What of a customer facts and stewards join, each by its smallest node
CREATE OR REPLACE FUNCTION @hub@.fact_parts(customer_id bigint, OUT node bigint, OUT part bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET gin_fuzzy_search_limit = 0 SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    nodes CONSTANT bigint[] := array(SELECT i.identity_id FROM identities i
                                     WHERE i.customer_id = fact_parts.customer_id AND i.normal_id = i.identity_id);
BEGIN
    RETURN QUERY
    WITH own AS MATERIALIZED (
        SELECT s.identity_id, s.normal_id FROM spellings(nodes, NULL) s
    )
    SELECT m.node, m.component
    FROM identity_members((
        SELECT identity_components(x.a, x.b)
        FROM (SELECT o.normal_id, NULL::bigint FROM own o
              UNION ALL
              SELECT min(o.normal_id) OVER (PARTITION BY e.source, e.source_key), o.normal_id
              FROM evidence_of(array(SELECT o.identity_id FROM own o)) e CROSS JOIN LATERAL unnest(e.identities) u(id)
                   JOIN own o ON o.identity_id = u.id
              WHERE e.retracted_at IS NULL AND e.strength IS NULL
              UNION ALL
              SELECT w.a, w.b FROM must_links_of(nodes) w WHERE w.b IN (SELECT o.normal_id FROM own o)) x(a, b))) m;
END $$;
COMMENT ON FUNCTION @hub@.fact_parts(bigint) IS 'normal identities of a customer, and which of them facts join';

-- Guesses that join what neither facts nor stewards do
CREATE OR REPLACE FUNCTION @hub@.guesses_within(customer_id bigint, OUT source text, OUT source_key text,
                                                OUT strength real, OUT a bigint, OUT b bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET gin_fuzzy_search_limit = 0 SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT are_there_guesses() THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH own AS MATERIALIZED (
        SELECT i.identity_id, i.normal_id FROM identities i WHERE i.customer_id = guesses_within.customer_id
    ), guess AS MATERIALIZED (
        SELECT e.source, e.source_key, e.strength, x.normal_id AS a, y.normal_id AS b
        FROM evidence_of(array(SELECT o.identity_id FROM own o)) e JOIN own x ON x.identity_id = e.identities[1]
             JOIN own y ON y.identity_id = e.identities[2]
        WHERE e.retracted_at IS NULL AND e.strength IS NOT NULL
    ), parts AS MATERIALIZED (
        SELECT f.node, f.part FROM fact_parts(guesses_within.customer_id) f WHERE EXISTS (SELECT FROM guess g)
    )
    SELECT g.source, g.source_key, g.strength, g.a, g.b
    FROM guess g JOIN parts p ON p.node = g.a JOIN parts q ON q.node = g.b
    WHERE p.part <> q.part
    ORDER BY g.strength DESC, g.source COLLATE "C", g.source_key COLLATE "C";
END $$;
COMMENT ON FUNCTION @hub@.guesses_within(bigint) IS
    'guesses that hold a customer together where nothing else does, and which identities they join';

CREATE OR REPLACE FUNCTION @hub@.check_guesses(caller text, customer_id bigint) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found record;
BEGIN
    SELECT count(*) AS guesses, (array_agg(g.source))[1] AS source, (array_agg(g.source_key))[1] AS source_key,
           string_agg(format('%s and %s (%s, %s)', x.identifier, y.identifier, g.source, g.strength), '; ')
               FILTER (WHERE g.n <= 5) AS told
    INTO found
    FROM guesses_within(customer_id) WITH ORDINALITY g(source, source_key, strength, a, b, n)
         JOIN identities x ON x.identity_id = g.a JOIN identities y ON y.identity_id = g.b;
    IF found.guesses > 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('customer %s may be several people: guesses hold him together', customer_id),
            DETAIL = format('Guessed to be one: %s%s.', found.told,
                            CASE WHEN found.guesses > 5 THEN format('; and %s more', found.guesses - 5) ELSE '' END),
            HINT = format('If it is one person, call %s with true as its last argument. If not, take the guess back '
                          'first, as by %I.retract(%L, %L), and name the one whom you mean.', caller,
                          current_schema(), found.source, found.source_key);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_guesses(text, bigint) IS 'refuse a customer whom only guesses hold together';

-- facts: of what guesses hold together, what facts join with the identity that has the number
CREATE OR REPLACE FUNCTION @hub@.person_of(customer_id bigint, facts boolean DEFAULT false, OUT customer bigint,
                                           OUT ids bigint[], OUT kept bigint[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET gin_fuzzy_search_limit = 0 SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    own_nodes bigint[];
    contested bigint[] := '{}';  -- nodes that are others' too
    strongest bigint[];
BEGIN
    customer := current_customer(customer_id);
    IF customer IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = format('customer %s does not exist', coalesce(customer_id::text, 'NULL')),
            HINT = format('SELECT %I.customer_of(''email:ana@example.pt''); tells the customer of an identifier.',
                          current_schema());
    END IF;
    own_nodes := array(SELECT i.identity_id FROM identities i
                       WHERE i.customer_id = customer AND i.normal_id = i.identity_id);
    IF facts AND are_there_guesses() THEN
        own_nodes := array(WITH parts AS MATERIALIZED (SELECT f.node, f.part FROM fact_parts(customer) f)
                           SELECT p.node
                           FROM identities i JOIN parts o ON o.node = i.normal_id JOIN parts p ON p.part = o.part
                           WHERE i.identity_id = person_of.customer_id);
    END IF;
    IF EXISTS (SELECT FROM customers c WHERE c.customer_id = customer AND c.component_id IS NOT NULL) THEN
        -- who it was seen with of others, and whom these were seen with of those who are somebody themselves
        WITH crossing AS MATERIALIZED (
            SELECT DISTINCT m.normal_id AS id, o.normal_id AS other, o.customer_id
            FROM evidence_of(array(SELECT s.identity_id FROM spellings(own_nodes, NULL) s)) e
                 CROSS JOIN LATERAL unnest(e.identities) u(id)
                 CROSS JOIN LATERAL (SELECT k.normal_id, k.customer_id FROM identities k
                                     WHERE k.identity_id = u.id OFFSET 0) m
                 CROSS JOIN LATERAL unnest(e.identities) v(id)
                 CROSS JOIN LATERAL (SELECT k.normal_id, k.customer_id, k.blocked OR k.shared AS unusable
                                     FROM identities k WHERE k.identity_id = v.id OFFSET 0) o
            WHERE e.retracted_at IS NULL AND e.strength IS NULL AND m.customer_id = customer
                  AND o.customer_id <> customer AND NOT o.unusable
        ), met AS MATERIALIZED (
            SELECT DISTINCT y.normal_id AS other, z.normal_id AS id, z.customer_id
            FROM evidence_of(array(SELECT s.identity_id
                                   FROM spellings(array(SELECT DISTINCT c.other FROM crossing c), NULL) s)) e
                 CROSS JOIN LATERAL unnest(e.identities) u(id)
                 CROSS JOIN LATERAL (SELECT k.normal_id FROM identities k WHERE k.identity_id = u.id OFFSET 0) y
                 CROSS JOIN LATERAL unnest(e.identities) v(id)
                 CROSS JOIN LATERAL (SELECT k.normal_id, k.customer_id FROM identities k
                                     WHERE k.identity_id = v.id AND NOT (k.blocked OR k.shared) OFFSET 0) z
            WHERE e.retracted_at IS NULL AND e.strength IS NULL AND y.normal_id IN (SELECT c.other FROM crossing c)
        ), ruled_node AS MATERIALIZED (
            SELECT r.identity_id AS id, r.priority,
                   r.max_per_customer IS NOT NULL
                   OR EXISTS (SELECT FROM spellings(ARRAY[r.identity_id], NULL) s
                                   JOIN identity_pairs p ON p.kind = 'cannot' AND s.identity_id IN (p.a, p.b))
                   AS somebody
            FROM ruled_identities r
            WHERE r.identity_id IN (SELECT c.id FROM crossing c UNION SELECT m.id FROM met m
                                    UNION SELECT m.other FROM met m)
        ), owned AS (
            SELECT m.other, array_agg(DISTINCT m.customer_id) AS owners
            FROM met m JOIN ruled_node n ON n.id = m.id JOIN ruled_node y ON y.id = m.other
            WHERE n.somebody OR n.id <> y.id AND n.priority >= y.priority
            GROUP BY m.other
        )
        SELECT coalesce(array_agg(DISTINCT c.id), '{}') INTO contested
        FROM crossing c JOIN ruled_node x ON x.id = c.id AND NOT x.somebody JOIN ruled_node y ON y.id = c.other
             LEFT JOIN owned o ON o.other = c.other
        WHERE y.somebody OR o.owners = ARRAY[c.customer_id] OR o.owners IS NULL AND y.priority > x.priority;
        IF contested @> own_nodes THEN
            strongest := array(SELECT w.identity_id
                               FROM (SELECT n.identity_id, rank() OVER (ORDER BY n.priority DESC) AS place
                                     FROM ruled_identities n WHERE n.identity_id = ANY (own_nodes)) w
                               WHERE w.place = 1);
            contested := array(SELECT u.id FROM unnest(contested) u(id) WHERE u.id <> ALL (strongest));
        END IF;
    END IF;
    ids := array(SELECT s.identity_id
                 FROM spellings(array(SELECT u.id FROM unnest(own_nodes) u(id) WHERE u.id <> ALL (contested)), NULL) s
                 ORDER BY 1);
    kept := array(SELECT s.identity_id FROM spellings(contested, NULL) s ORDER BY 1);
END $$;
COMMENT ON FUNCTION @hub@.person_of(bigint, boolean) IS
    'of a customer the identities that are the person, and those that are others'' too';

-- live: not by evidence that was retracted, whose row is gone or tells something else
CREATE OR REPLACE FUNCTION @hub@.keys_told(ids bigint[], live boolean DEFAULT false, OUT source text,
                                           OUT source_key text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT t.source, t.source_key FROM touchpoints t
    WHERE t.identity_id = ANY (ids) AND t.source_key IS NOT NULL
    UNION
    SELECT e.source, e.source_key FROM evidence_of(ids) e WHERE e.retracted_at IS NULL OR live IS NOT TRUE
    UNION
    SELECT t.source, t.source_key FROM traits t WHERE t.identity_id = ANY (ids) AND t.source_key <> ''
    UNION
    SELECT c.source, c.source_key FROM consents c WHERE c.identity_id = ANY (ids) AND c.source_key <> '';
END $$;
COMMENT ON FUNCTION @hub@.keys_told(bigint[], boolean)
    IS 'keys of rows, touchpoints and evidence that told of some identities';

-- Those that nobody else takes part in
CREATE OR REPLACE FUNCTION @hub@.conversations_told(ids bigint[], OUT source text, OUT conversation text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT c.source, c.conversation
    FROM (SELECT DISTINCT t.source, t.conversation FROM touchpoints t
          WHERE t.identity_id = ANY (ids) AND t.conversation IS NOT NULL) c
    WHERE NOT EXISTS (SELECT FROM touchpoints o
                      WHERE o.source = c.source AND o.conversation = c.conversation AND o.identity_id <> ALL (ids));
END $$;
COMMENT ON FUNCTION @hub@.conversations_told(bigint[]) IS 'conversations of some identities alone';

-- Regular expressions that find identifiers in text, as values on their own: plain, as JSON writes them, and in an
-- address. What is short must stand alone between quotes, or as a number, as in JSON, or come with its namespace: else
-- it would be found everywhere.
CREATE OR REPLACE FUNCTION @hub@.mention_of(identifiers @extschema@.identifier[]) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    -- some hundreds in each, and what all have written once: the time an expression takes grows with its square, and
    -- there is one that is too large
    RETURN (SELECT array_agg('(?i)' || concat_ws('|', '(?<![[:alnum:]])(?:' || m.long || ')(?![[:alnum:]])',
                                                 '"(?:' || m.short || ')"|[:\[,]\s*(?:' || m.short || ')\s*[],}]'))
            FROM (SELECT string_agg(DISTINCT s.e, '|') FILTER (WHERE s.is_long) AS long,
                         string_agg(DISTINCT s.e, '|') FILTER (WHERE NOT s.is_long) AS short
                  FROM (SELECT i.n / 300 AS part, w.whole OR length(w.v) >= 6 OR w.v ~ '@' AS is_long,
                               regexp_replace(w.v, '([^[:alnum:]])', '\\\1', 'g') AS e
                        FROM unnest(identifiers) WITH ORDINALITY i(identifier, n)
                             CROSS JOIN LATERAL (SELECT @extschema@.identifier_value(i.identifier) AS v) p
                             CROSS JOIN LATERAL (VALUES (p.v, false), (trim('"' FROM to_json(p.v)::text), false),
                                                 (replace(replace(p.v, '+', '%2B'), '@', '%40'), false),
                                                 (CASE WHEN length(p.v) < 6 THEN i.identifier::text END, true))
                                                 w(v, whole)
                        WHERE w.v <> '') s
                  GROUP BY s.part) m);
END $$;
COMMENT ON FUNCTION @hub@.mention_of(@extschema@.identifier[]) IS
    'regular expressions, one of which finds identifiers in text; NULL: there are none';

-- Rows of attached tables that tell of identities
CREATE OR REPLACE FUNCTION @hub@.attached_rows(customer_id bigint, OUT source text, OUT relation text,
                                               OUT source_key text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('steward');
    IF NOT EXISTS (SELECT FROM sources s WHERE s.detached_at IS NULL) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT DISTINCT k.source, a.relation::text, coalesce(c.row_key, k.source_key)
    FROM person_of(customer_id) p
         CROSS JOIN LATERAL keys_told(p.ids, true) k
         JOIN LATERAL (SELECT s.relation FROM sources s
                       WHERE s.source = k.source AND s.detached_at IS NULL
                       ORDER BY s.part <> '' AND starts_with(k.source_key, s.part || ':') DESC,
                           s.part LIMIT 1) a ON true
         LEFT JOIN source_changes c ON c.source = k.source AND c.source_key = k.source_key
    ORDER BY 1, 2, 3;
END $$;
COMMENT ON FUNCTION @hub@.attached_rows(bigint) IS
    'rows of attached tables that tell of a customer, by their keys: what is to be deleted there';

-- Take customers out of what is packed; refresh() packs those anew that are still there
CREATE OR REPLACE FUNCTION @hub@.unpack_customers(numbers bigint[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    gone bigint;
    place bigint;
BEGIN
    DELETE FROM customer_journeys j WHERE j.customer_id = ANY (numbers);
    GET DIAGNOSTICS gone = ROW_COUNT;
    FOR place IN
        SELECT DISTINCT f.first
        FROM unnest(numbers) u(number)
             CROSS JOIN LATERAL (SELECT max(b.first_customer) AS first FROM journey_blocks b
                                 WHERE b.first_customer <= u.number) f
        WHERE f.first IS NOT NULL ORDER BY 1
    LOOP
        UPDATE journey_blocks b
        SET block = coalesce(journey_block_without(b.block, numbers), b.block),
            newer = coalesce(journey_block_without(b.newer, numbers), b.newer)
        WHERE b.first_customer = place;
    END LOOP;
    RETURN gone;
END $$;
COMMENT ON FUNCTION @hub@.unpack_customers(bigint[]) IS
    'take customers out of customer_journeys and journey_blocks; returns how many journeys there were';

-- A statement on the rows of a table, called x, that are found by a column of it. $1: identities, $2: numbers the
-- person is known by, $3: identifiers and values, $4: regular expressions.
CREATE OR REPLACE FUNCTION @hub@.personal_rows(head text, middle text, column_name text, reached_by text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN format(CASE reached_by
                      WHEN 'key' THEN '%s %s %s.keys_told($1) k WHERE k.source = x.source AND k.source_key = x.%s'
                      WHEN 'conversation' THEN '%s %s %s.conversations_told($1) k '
                                               'WHERE k.source = x.source AND k.conversation = x.%s'
                      ELSE '%1$s WHERE ' || CASE reached_by WHEN 'identity' THEN 'x.%4$s = ANY ($1)'
                                                            WHEN 'customer' THEN 'x.%4$s = ANY ($2)'
                                                            WHEN 'identities' THEN 'x.%4$s && $1'
                                                            WHEN 'identifier' THEN 'x.%4$s::pg_catalog.text = ANY ($3)'
                                                            WHEN 'mention'
                                                            THEN 'x.%4$s::pg_catalog.text ~ ANY ($4)' END END,
                  head, middle, quote_ident(current_schema()), quote_ident(column_name));
END $$;
COMMENT ON FUNCTION @hub@.personal_rows(text, text, text, text) IS
    'a statement on rows of a person that are found by a column';

-- What came with an identifier of the person though it stands with one that stays: a touchpoint or trait of a device
-- that others use too
CREATE OR REPLACE FUNCTION @hub@.told_with(ids bigint[], OUT identity_id bigint, OUT source text, OUT source_key text,
                                           OUT at timestamptz) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT u.id, e.source, e.source_key, e.observed_at
    FROM evidence_of(ids) e CROSS JOIN LATERAL unnest(e.identities) u(id)
    WHERE u.id <> ALL (ids);
END $$;
COMMENT ON FUNCTION @hub@.told_with(bigint[]) IS 'identities that were seen with some others, by what, and when';

-- forms: their normal forms
CREATE OR REPLACE FUNCTION @hub@.suppress(
    identifiers @extschema@.identifier[], forms @extschema@.identifier[], erasure_id bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    secret CONSTANT bytea := (SELECT s.secret FROM secrets s WHERE s.name = 'suppression');
    added bigint;
BEGIN
    IF secret IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('hub %s has no key suppression in secrets', current_schema()),
            DETAIL = 'Without it those who were erased could not be known again.',
            HINT = 'Restore the row from a backup.';
    END IF;
    INSERT INTO suppressions AS s (mark, form, erasure_id)
    SELECT suppression_mark(u.identifier, secret), suppression_mark(u.form, secret), suppress.erasure_id
    FROM unnest(identifiers, forms) u(identifier, form)
    ON CONFLICT ON CONSTRAINT suppressions_pkey DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END $$;
COMMENT ON FUNCTION @hub@.suppress(@extschema@.identifier[], @extschema@.identifier[], bigint) IS
    'suppress identifiers; returns how many are new';
REVOKE EXECUTE ON FUNCTION @hub@.suppress(@extschema@.identifier[], @extschema@.identifier[], bigint) FROM PUBLIC;

-- Tables of the hub and others by the register, but for those that erase_identities knows itself: with the rights of
-- the owner, for there are some that nobody else deletes from, and some whose rows policies show to few.
CREATE OR REPLACE FUNCTION @hub@.erase_listed(ids bigint[], known_by bigint[], texts text[], mention text[])
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET gin_fuzzy_search_limit = 0 SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    counts jsonb := '{}';
    t record;
    n bigint;
BEGIN
    IF (SELECT c.relrowsecurity FROM pg_class c WHERE c.oid = 'identities'::regclass)
       AND NOT pg_has_role(session_user, current_user, 'USAGE') THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('must be owner of hub %s', current_schema()),
            DETAIL = 'Row-level security applies to identities.';
    END IF;
    FOR t IN
        SELECT p.relation, p.column_name, p.reached_by, p.on_erase, c.cleared,
            to_regclass(personal_relation(p.relation)) AS id
        FROM personal_data p
             LEFT JOIN LATERAL (SELECT string_agg(format('%I = NULL', o.column_name),
                                                  ', ' ORDER BY o.column_name) AS cleared
                                FROM personal_data o WHERE o.relation = p.relation AND o.on_erase = 'clear') c ON true
        WHERE p.reached_by IS NOT NULL AND (p.on_erase IN ('delete', 'strip') OR c.cleared IS NOT NULL)
              AND p.relation <> ALL ('{identities,customers,evidence,touchpoints,customer_journeys,journey_blocks}')
        ORDER BY p.position, p.relation, p.column_name
    LOOP
        IF t.id IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_table',
                MESSAGE = format('table %s of personal_data does not exist', t.relation),
                HINT = 'Who drops a table takes its rows out of personal_data.';
        END IF;
        EXECUTE CASE WHEN t.on_erase = 'delete'
                     THEN personal_rows(format('DELETE FROM %s x', t.id), 'USING', t.column_name, t.reached_by)
                     ELSE personal_rows(format('UPDATE %s x SET %s', t.id,
                                               CASE WHEN t.on_erase = 'strip'
                                                    THEN format('%1$I = ARRAY(SELECT u.id FROM pg_catalog.unnest('
                                                                'x.%1$I) WITH ORDINALITY u(id, n) '
                                                                'WHERE u.id <> ALL ($1) '
                                                                'ORDER BY u.n)', t.column_name) ELSE t.cleared END),
                                        'FROM', t.column_name, t.reached_by) END
        USING ids, known_by, texts, mention;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n > 0 THEN
            counts := counts || jsonb_build_object(t.relation, coalesce((counts ->> t.relation)::bigint, 0) + n);
        END IF;
    END LOOP;

    RETURN counts;
END $$;
COMMENT ON FUNCTION @hub@.erase_listed(bigint[], bigint[], text[], text[]) IS
    'erase a person from tables by the register; returns how many rows went, by table';
REVOKE EXECUTE ON FUNCTION @hub@.erase_listed(bigint[], bigint[], text[], text[]) FROM PUBLIC;

CREATE OR REPLACE FUNCTION @hub@.begin_erasing(caller text, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('steward');
    IF btrim(coalesce(reason, '')) = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = format('%s needs a reason', caller),
            HINT = 'It stands in the receipt: such as "request of 2026-11-30, ticket 4711". It must name nobody.';
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
            MESSAGE = format('%s must be called in a transaction at READ COMMITTED', caller),
            DETAIL = format('This one is at %s, where what others have recorded since it began can''t be seen.',
                            upper(current_setting('transaction_isolation')));
    END IF;
    PERFORM check_sees_all();
    -- all at once, or none: who refreshes may have passed the gate, and waits for nobody
    PERFORM lock_politely('{suppressions,refresh_lock}', 'EXCLUSIVE');
    UPDATE last_erasure l SET changed_at = clock_timestamp() WHERE l.one_row;
END $$;
COMMENT ON FUNCTION @hub@.begin_erasing(text, text) IS
    'keep everybody else from writing until the transaction ends';

-- kept: what stays of their customers, whose number is among those the person is known by, if it is one person
CREATE OR REPLACE FUNCTION @hub@.erase_identities(ids bigint[], kept bigint[], known_by bigint[], erasure_id bigint)
RETURNS jsonb
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET gin_fuzzy_search_limit = 0 SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    identifiers @extschema@.identifier[];
    usable @extschema@.identifier[];   -- those that are suppressed: one that is blocked is nobody's,
    forms @extschema@.identifier[];    -- and their normal forms
    numbers bigint[];                  -- a customer may be known by in what is packed
    texts text[];
    mention text[];
    neighbours bigint[];               -- what the person was seen with,
    components bigint[];               -- and what it is part of
    wholes bigint[];
    customers_were bigint[];
    rest bigint[];                     -- of what it was seen with, and what goes of that, too
    gone bigint[];
    doubtful bigint[];
    shared_now bigint[];
    usable_again bigint[];
    counts jsonb;
    n bigint;
    more bigint;
BEGIN
    SELECT array_agg(i.identifier),
           array_agg(i.identifier ORDER BY i.identity_id) FILTER (WHERE NOT (i.blocked OR i.shared)),
           array_agg(f.identifier ORDER BY i.identity_id) FILTER (WHERE NOT (i.blocked OR i.shared)),
           array_agg(DISTINCT i.customer_id)
    INTO identifiers, usable, forms, customers_were
    FROM identities i JOIN identities f ON f.identity_id = i.normal_id WHERE i.identity_id = ANY (ids);
    numbers := array(SELECT u.id FROM unnest(ids || customers_were) u(id)
                     UNION
                     SELECT m.customer_id FROM former_memberships m WHERE m.identity_id = ANY (ids));
    texts := array(SELECT u.i::text FROM unnest(identifiers) u(i)
                   UNION SELECT identifier_value(u.i) FROM unnest(identifiers) u(i));
    mention := mention_of(identifiers);
    neighbours := array(SELECT DISTINCT w.identity_id FROM told_with(ids) w);

    -- of values that matching has counted: one that few others have could be the person's
    WITH gone AS MATERIALIZED (
        SELECT c.comparison, folded(nullif(f.value, '')) AS term, count(*) AS n
        FROM match_records r CROSS JOIN match_comparisons c
             CROSS JOIN LATERAL (SELECT string_agg(nullif(btrim(r.fields ->> u.name), ''), ' ' ORDER BY u.n) AS value
                                 FROM unnest(c.columns) WITH ORDINALITY u(name, n)) f
        WHERE r.identity_id = ANY (ids) AND c.term_frequency
        GROUP BY 1, 2
    )
    UPDATE match_terms t SET records = t.records - g.n
    FROM gone g CROSS JOIN match_models m
    WHERE t.model = m.model AND t.comparison = g.comparison AND t.term = g.term;
    IF FOUND THEN
        DELETE FROM match_terms t WHERE t.records < 3;
    END IF;

    DELETE FROM match_values v WHERE v.identity_id = ANY (ids);  -- so that nothing is stitched for that: below all is
    counts := erase_listed(ids, known_by, texts, mention);

    -- what came with the person of those who stay, and then the person's
    DELETE FROM traits s USING told_with(ids) w
    WHERE s.identity_id = w.identity_id AND s.source = w.source
          AND (s.source_key = w.source_key OR s.source_key = '' AND s.observed_at = w.at);
    GET DIAGNOSTICS n = ROW_COUNT;
    DELETE FROM trait_history s USING told_with(ids) w
    WHERE s.identity_id = w.identity_id AND s.source = w.source
          AND (s.source_key = w.source_key OR s.source_key = '' AND s.observed_at = w.at);
    counts := counts || CASE WHEN n > 0
                        THEN jsonb_build_object('traits', coalesce((counts ->> 'traits')::bigint, 0) + n) ELSE '{}' END;
    DELETE FROM touchpoints p USING told_with(ids) w, identities i
    WHERE p.identity_id = w.identity_id AND i.identity_id = w.identity_id
          AND (w.identity_id = ANY (kept) OR i.blocked OR i.shared) AND p.source = w.source
          AND (p.source_key = w.source_key OR p.source_key IS NULL AND p.occurred_at = w.at);
    GET DIAGNOSTICS n = ROW_COUNT;
    DELETE FROM touchpoints p WHERE p.identity_id = ANY (ids);
    GET DIAGNOSTICS more = ROW_COUNT;
    counts := counts || CASE WHEN n + more > 0 THEN jsonb_build_object('touchpoints', n + more) ELSE '{}' END;

    -- components as they are before, whose members the law is asked of
    components := components_of(neighbours, ids);
    customers_were := array(SELECT c.customer_id FROM customers c
                            WHERE c.customer_id = ANY (components || neighbours) OR c.component_id = ANY (components));
    -- evidence is others' too if it names somebody else, who is as strong as the person in it: what is of the person
    -- alone says nothing of devices that stay
    WITH named AS MATERIALIZED (
        SELECT i.identity_id AS id, r.priority, r.max_per_customer IS NOT NULL AS somebody,
            i.identity_id = ANY (ids) AS goes
        FROM identities i JOIN ruled_identities r ON r.identity_id = i.normal_id
        WHERE i.identity_id = ANY (ids)
              OR i.identity_id = ANY (neighbours) AND i.identity_id <> ALL (kept) AND NOT (i.blocked OR i.shared)
    ), judged AS MATERIALIZED (
        SELECT v.place, max(w.priority) FILTER (WHERE w.goes) AS goes,
            max(w.priority) FILTER (WHERE NOT w.goes) AS stays,
               bool_or(w.somebody AND NOT w.goes) AS somebody, v.size - count(*) FILTER (WHERE w.goes) AS size
        FROM (SELECT e.ctid AS place, e.identities, cardinality(e.identities) AS size FROM evidence e
              WHERE e.identities && ids) v
             CROSS JOIN LATERAL unnest(v.identities) u(id) LEFT JOIN named w ON w.id = u.id
        GROUP BY v.place, v.size
    )
    DELETE FROM evidence e
    WHERE e.ctid = ANY (array(SELECT j.place FROM judged j
                              WHERE j.size < 2 OR (j.somebody OR j.stays >= j.goes) IS NOT TRUE));
    GET DIAGNOSTICS n = ROW_COUNT;
    -- the rest has another key, unless it is that of a row: what it was may come again when somebody is a customer
    -- again
    UPDATE evidence e
    SET identities = array(SELECT u.id FROM unnest(e.identities) u(id) WHERE u.id <> ALL (ids) ORDER BY u.id),
        source_key = CASE WHEN e.source_key ~ ANY (mention)
                               OR NOT EXISTS (SELECT FROM sources s WHERE s.source = e.source)
                          THEN '#' || nextval('touchpoints_touchpoint_id_seq') ELSE e.source_key END
    WHERE e.ctid = ANY (array(SELECT v.ctid FROM evidence v WHERE v.identities && ids));
    GET DIAGNOSTICS more = ROW_COUNT;
    counts := counts || CASE WHEN n > 0 THEN jsonb_build_object('evidence', n) ELSE '{}' END
              || CASE WHEN more > 0 THEN jsonb_build_object('evidence_shared', more) ELSE '{}' END;

    n := unpack_customers(numbers);
    counts := counts || CASE WHEN n > 0 THEN jsonb_build_object('customer_journeys', n) ELSE '{}' END;
    -- and what nothing names any more that it came with: such as what can't be read, and joined nobody
    rest := array(SELECT s.identity_id FROM spellings(nodes_of(neighbours), NULL) s WHERE s.identity_id <> ALL (ids));
    gone := unreferenced(rest);
    gone := ids || array(SELECT u.id FROM unnest(gone) u(id)
                         WHERE NOT EXISTS (SELECT FROM identities i
                                           WHERE i.normal_id = u.id AND i.identity_id <> ALL (ids || gone)));
    DELETE FROM former_memberships m WHERE m.identity_id = ANY (gone);
    DELETE FROM trait_history h WHERE h.identity_id = ANY (gone);
    DELETE FROM identities i WHERE i.identity_id = ANY (gone);
    counts := counts || jsonb_build_object('identities', cardinality(gone));
    DELETE FROM journey_changes c WHERE c.identity_id = ANY (gone);
    INSERT INTO journey_changes (identity_id)
    SELECT i.identity_id FROM identities i WHERE i.identity_id = ANY (numbers || kept);

    -- the law, of all that was connected with the person
    doubtful := '{}';
    IF EXISTS (SELECT FROM identifier_rules r WHERE r.shared_above > 0) THEN
        doubtful := array(SELECT DISTINCT i.normal_id FROM identities i
                          WHERE i.identity_id = ANY (neighbours) AND i.shared)
                    || shared_among(components);
    END IF;
    SELECT c.shared_now, c.usable_again INTO shared_now, usable_again FROM recount(doubtful, '{}') c;
    wholes := array(SELECT DISTINCT u.id
                    FROM unnest(components || components_of('{}', shared_now || usable_again)
                                || CASE WHEN usable_again <> '{}'
                                        THEN components_of(array(SELECT w.node FROM seen_with(usable_again) w)) END)
                         u(id));
    customers_were := customers_were || array(SELECT c.customer_id FROM customers c
                                              WHERE c.customer_id = ANY (wholes) OR c.component_id = ANY (wholes));
    IF cardinality(members_of(wholes)) > 0 THEN
        PERFORM restitch(members_of(wholes));
    END IF;
    DELETE FROM customers c
    WHERE c.customer_id = ANY (customers_were)
          AND NOT EXISTS (SELECT FROM identities i WHERE i.customer_id = c.customer_id);
    DELETE FROM former_memberships m WHERE m.customer_id = ANY (gone);

    -- what was counted of few is counted anew by the next refresh
    DELETE FROM next_step_contexts c USING next_step_models m WHERE m.segment = c.segment AND m.at_least < 10;
    UPDATE next_step_models m SET made_at = NULL WHERE m.at_least < 10;

    counts := counts || jsonb_build_object('suppressed', coalesce(suppress(usable, forms, erasure_id), 0));
    PERFORM sum_up_suppressed();
    PERFORM spread();  -- what workers have of them goes, too
    RETURN counts;
END $$;
COMMENT ON FUNCTION @hub@.erase_identities(bigint[], bigint[], bigint[], bigint) IS
    'take identities out of all that the hub keeps; returns how many rows went, by table';

CREATE OR REPLACE FUNCTION @hub@.receipt(erasure_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT jsonb_build_object('erasure_id', e.erasure_id, 'kind', e.kind, 'erased_at', e.erased_at,
                                      'erased_by', e.erased_by, 'reason', e.reason, 'counts', e.counts)
            FROM erasures e WHERE e.erasure_id = receipt.erasure_id);
END $$;
COMMENT ON FUNCTION @hub@.receipt(bigint) IS 'the receipt of an erasure';

CREATE OR REPLACE FUNCTION @hub@.erase_person(customer_id bigint, reason text, kind text, guesses boolean)
RETURNS jsonb
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    person record;
    attached jsonb;
    identifiers @extschema@.identifier[];
    id bigint;
    counts jsonb;
    guessed bigint;
    anonymous bigint;
BEGIN
    PERFORM begin_erasing(kind, reason);
    SELECT p.customer, p.ids, p.kept INTO person FROM person_of(customer_id) p;
    identifiers := array(SELECT i.identifier FROM identities i WHERE i.identity_id = ANY (person.ids));
    -- whoever is called retention must not keep what is old from going
    IF reason <> 'retention'
       AND reason ~ ANY (mention_of(identifiers || array(
           SELECT identifier('name', t.value #>> '{}') FROM traits t
           WHERE t.identity_id = ANY (person.ids) AND t.trait = ANY ('{name,first_name,last_name,email,phone}')
                 AND jsonb_typeof(t.value) = 'string' AND octet_length(t.value #>> '{}') BETWEEN 1 AND 200))) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the reason names the person',
            DETAIL = 'It stays in the receipt.',
            HINT = 'Refer to the request instead: its date, or the number of a ticket.';
    END IF;
    IF guesses IS NOT TRUE THEN
        PERFORM check_guesses(kind, person.customer);
    END IF;
    attached := (SELECT jsonb_agg(jsonb_build_object('source', a.source, 'table', a.relation, 'keys', a.keys)
                                  ORDER BY a.source, a.relation)
                 FROM (SELECT r.source, r.relation, jsonb_agg(r.source_key ORDER BY r.source_key) AS keys
                       FROM attached_rows(person.customer) r GROUP BY r.source, r.relation) a);
    IF attached IS NOT NULL AND (SELECT s.erase_attached FROM settings s WHERE s.one_row) = 'refuse' THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('rows of attached tables tell of customer %s', person.customer),
            DETAIL = (SELECT string_agg(format('%s (source %s): %s of %s', a.v ->> 'table', a.v ->> 'source',
                                               (SELECT string_agg(k.key, ', ' ORDER BY k.n)
                                                FROM jsonb_array_elements_text(a.v -> 'keys') WITH ORDINALITY k(key, n)
                                                WHERE k.n <= 10), jsonb_array_length(a.v -> 'keys')), '; ')
                      FROM jsonb_array_elements(attached) a(v)) || '.',
            HINT = format('Delete them there first: SELECT * FROM %1$I.attached_rows(%2$s); lists them. Or, to let go '
                          'of them here alone: UPDATE %1$I.settings SET erase_attached = ''detach'';',
                          current_schema(), person.customer);
    END IF;
    id := nextval('erasures_erasure_id_seq');
    guessed := CASE WHEN guesses THEN (SELECT count(*) FROM guesses_within(person.customer) g) ELSE 0 END;
    IF kind = 'anonymize' THEN
        anonymous := copy_anonymous(person.ids);
    END IF;
    counts := erase_identities(person.ids, person.kept, person.ids || person.customer, id);
    IF anonymous IS NOT NULL THEN
        counts := counts || jsonb_build_object('anonymous_touchpoints', anonymous);
    END IF;
    IF guessed > 0 THEN
        counts := counts || jsonb_build_object('guesses_followed', guessed);
    END IF;
    INSERT INTO erasures (erasure_id, kind, reason, counts) VALUES (id, kind, btrim(reason), counts);
    RETURN receipt(id) || CASE WHEN attached IS NOT NULL THEN jsonb_build_object('delete_there', attached)
                               ELSE '{}' END;
END $$;
COMMENT ON FUNCTION @hub@.erase_person(bigint, text, text, boolean) IS 'erase or anonymize a customer';

CREATE OR REPLACE FUNCTION @hub@.erase(customer_id bigint, reason text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN erase_person(customer_id, reason, 'erase', false);
END $$;
CREATE OR REPLACE FUNCTION @hub@.erase(customer_id bigint, reason text, guesses boolean) RETURNS jsonb
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN erase_person(customer_id, reason, 'erase', guesses);
END $$;
COMMENT ON FUNCTION @hub@.erase(bigint, text, boolean) IS
    'the same, also of a customer whom guesses hold together: all that they join is one person, the caller says';
COMMENT ON FUNCTION @hub@.erase(bigint, text) IS
    'erase a person: all that the hub keeps of the customer, but for what is others'' too; what comes with one of the '
    'identifiers again is dropped. Returns a receipt, which names nobody; and, where attached tables are let go of, '
    'what is to be deleted there, which the receipt that is kept lacks';

-- The touchpoints under a number with no way back: a new one, of an identifier that is made up, without what the
-- register says is to be cleared, and of what is to become a number the number of a conversation of these.
CREATE OR REPLACE FUNCTION @hub@.copy_anonymous(ids bigint[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    id bigint;
    fields text;
    expressions text;
    copied bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM touchpoints t WHERE t.identity_id = ANY (ids)) THEN
        RETURN 0;
    END IF;
    SELECT o.identity INTO id
    FROM identify_one(ARRAY[identifier('anonymous', gen_random_uuid()::text)], now(), NULL, NULL) o;
    UPDATE identities i SET first_seen = s.first, last_seen = s.last
    FROM (SELECT min(t.occurred_at) AS first, max(t.occurred_at) AS last FROM touchpoints t
          WHERE t.identity_id = ANY (ids)) s
    WHERE i.identity_id = id;
    SELECT string_agg(format('%I', p.column_name), ', ' ORDER BY p.column_name),
           string_agg(CASE WHEN p.on_anonymize = 'number'
                           THEN format('CASE WHEN t.%1$I IS NOT NULL THEN ''anonymous '' || $2 || ''-'' || '
                                       'dense_rank() OVER (ORDER BY t.%1$I) END', p.column_name)
                           ELSE format('t.%I', p.column_name) END, ', ' ORDER BY p.column_name)
    INTO fields, expressions
    FROM personal_data p
         JOIN pg_attribute a ON a.attrelid = 'touchpoints'::regclass AND a.attname = p.column_name
                                AND a.attgenerated = '' AND a.attnum > 0 AND NOT a.attisdropped
    WHERE p.relation = 'touchpoints' AND p.on_anonymize IN ('keep', 'number');
    EXECUTE format('INSERT INTO touchpoints (identity_id, %s) SELECT $2, %s FROM touchpoints t '
                   'WHERE t.identity_id = ANY ($1)', fields, expressions) USING ids, id;
    GET DIAGNOSTICS copied = ROW_COUNT;
    RETURN copied;
END $$;
COMMENT ON FUNCTION @hub@.copy_anonymous(bigint[]) IS
    'copy the touchpoints of identities to one that is made up; returns how many';

CREATE OR REPLACE FUNCTION @hub@.anonymize(customer_id bigint, reason text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN erase_person(customer_id, reason, 'anonymize', false);
END $$;
CREATE OR REPLACE FUNCTION @hub@.anonymize(customer_id bigint, reason text, guesses boolean) RETURNS jsonb
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN erase_person(customer_id, reason, 'anonymize', guesses);
END $$;
COMMENT ON FUNCTION @hub@.anonymize(bigint, text, boolean) IS
    'the same, also of a customer whom guesses hold together: all that they join is one person, the caller says';
COMMENT ON FUNCTION @hub@.anonymize(bigint, text) IS
    'erase a person, as erase() does, but leave the touchpoints under a number that nothing leads back from: when, '
    'where, what, and what it was worth, so that counts stay what they were';

CREATE OR REPLACE FUNCTION @hub@.unsuppress(identifier @extschema@.identifier) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    gone boolean;
BEGIN
    PERFORM check_may('steward');
    IF identifier IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'identifier must not be NULL';
    END IF;
    PERFORM lock_politely('{suppressions}', 'EXCLUSIVE');
    gone := lift_suppression(identifier || normal_identifiers(ARRAY[identifier]));
    IF gone THEN
        UPDATE last_erasure l SET changed_at = clock_timestamp() WHERE l.one_row;
    END IF;
    RETURN gone;
END $$;
COMMENT ON FUNCTION @hub@.unsuppress(@extschema@.identifier) IS
    'take in again what comes with an identifier that was erased: somebody is a customer again. Others of the person '
    'stay suppressed. Returns whether it was suppressed';

CREATE OR REPLACE FUNCTION @hub@.lift_suppression(identifiers @extschema@.identifier[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    WITH named AS MATERIALIZED (
        SELECT suppression_mark(u.identifier, k.secret) AS mark
        FROM unnest(identifiers) u(identifier), secrets k WHERE k.name = 'suppression'
    )
    DELETE FROM suppressions s
    WHERE s.mark IN (SELECT n.mark FROM named n) OR s.form IN (SELECT n.mark FROM named n);
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION @hub@.lift_suppression(@extschema@.identifier[]) IS
    'suppress identifiers no more; returns whether one was';
REVOKE EXECUTE ON FUNCTION @hub@.lift_suppression(@extschema@.identifier[]) FROM PUBLIC;

-- Identities that are suppressed, as none is unless a backup was restored
CREATE OR REPLACE FUNCTION @hub@.suppressed_identities(since timestamptz) RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    secret CONSTANT bytea := (SELECT s.secret FROM secrets s WHERE s.name = 'suppression');
BEGIN
    RETURN array(SELECT i.identity_id
                 FROM identities i JOIN suppressions s ON s.mark = suppression_mark(i.identifier, secret)
                 WHERE s.suppressed_at >= since ORDER BY 1);
END $$;
COMMENT ON FUNCTION @hub@.suppressed_identities(timestamptz) IS
    'identities that are there though they are suppressed since a time';
REVOKE EXECUTE ON FUNCTION @hub@.suppressed_identities(timestamptz) FROM PUBLIC;

CREATE OR REPLACE FUNCTION @hub@.reapply_erasures(since timestamptz DEFAULT '-infinity') RETURNS jsonb
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];
    kept bigint[];
    id bigint;
    counts jsonb;
BEGIN
    PERFORM begin_erasing('reapply_erasures', 'a backup was restored');
    ids := suppressed_identities(since);
    IF ids = '{}' THEN
        RETURN NULL;
    END IF;
    ids := array(SELECT n.identity_id FROM spellings(nodes_of(ids), NULL) n);
    kept := array(SELECT u.id
                  FROM (SELECT DISTINCT i.customer_id FROM identities i WHERE i.identity_id = ANY (ids)) c
                       CROSS JOIN LATERAL person_of(c.customer_id) p CROSS JOIN LATERAL unnest(p.kept) u(id)
                  WHERE u.id <> ALL (ids));
    id := nextval('erasures_erasure_id_seq');
    counts := erase_identities(ids, kept, ids, id);
    INSERT INTO erasures (erasure_id, kind, reason, counts) VALUES (id, 'reapply', 'a backup was restored', counts);
    RETURN receipt(id);
END $$;
COMMENT ON FUNCTION @hub@.reapply_erasures(timestamptz) IS
    'after a backup was restored: erase again whoever was erased since a time, whose marks in suppressions were put '
    'back. Returns a receipt; NULL: there was nobody';
