-- Who customers are: what is told of them, and the profiles that are made of it.
--
-- A statement is what a source says of a trait of an identity as of a time. Of those without a key the newest of a
-- source counts, whichever came last; those of a key hold as long as the row they come from says so, and are replaced
-- with it. Of two of one time null is the newer, else the text that sorts last: nothing hangs on the order they come
-- in.

-- Space says as little as null does.
CREATE OR REPLACE FUNCTION @hub@.told_value(value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(told_value.value) = 'string' AND (told_value.value #>> '{}') ~ '^\s*$' THEN 'null'
            ELSE told_value.value END;
COMMENT ON FUNCTION @hub@.told_value(jsonb) IS 'a value as it is kept: a text of nothing but space is null';

CREATE OR REPLACE FUNCTION @hub@.check_traits(traits jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    name text;
BEGIN
    IF jsonb_typeof(traits) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING ERRCODE = CASE WHEN traits IS NULL THEN 'null_value_not_allowed'
                                             ELSE 'invalid_parameter_value' END,
            MESSAGE = format('traits must be a JSON object, not %s',
                             CASE WHEN traits IS NULL THEN 'NULL'
                                  WHEN jsonb_typeof(traits) IN ('array', 'null')
                                      THEN replace(jsonb_typeof(traits), 'array', 'an array')
                                  ELSE 'a ' || jsonb_typeof(traits) END),
            DETAIL = format('Given: %s.', coalesce(left(traits::text, 100), 'NULL')),
            HINT = 'Its members are the traits, such as {"name": "Ana"}; null as the value of one takes it back.';
    END IF;
    name := (SELECT min(k.name) FROM jsonb_object_keys(traits) k(name)
             WHERE octet_length(k.name) NOT BETWEEN 1 AND 255);
    IF name IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE name WHEN '' THEN 'a trait has no name'
                ELSE 'the name of a trait is longer than 255 bytes' END,
            DETAIL = CASE name WHEN '' THEN format('Given: %s.', left(traits::text, 100))
                               ELSE format('It begins with %s.', left(name, 60)) END;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_traits(jsonb) IS 'refuse what are no traits';

-- Parallel arrays: identities, what one source said of each, and as of when. In the order of the key, in which
-- everybody locks.
CREATE OR REPLACE FUNCTION @hub@.store_traits(ids bigint[], traits jsonb[], source text, ats timestamptz[])
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    history CONSTANT boolean := (SELECT s.trait_history FROM settings s WHERE s.one_row);
    told_ids bigint[];  -- the newest of each trait
    names text[];
    said jsonb[];
    times timestamptz[];
    places tid[];       -- of those that are there already, which are locked
    added bigint;
BEGIN
    PERFORM plan_for(cardinality(ids));
    SELECT array_agg(w.id ORDER BY w.id, w.name), array_agg(w.name ORDER BY w.id, w.name),
           array_agg(w.value ORDER BY w.id, w.name), array_agg(w.at ORDER BY w.id, w.name)
    INTO told_ids, names, said, times
    FROM (SELECT DISTINCT ON (t.id, t.name) t.id, t.name, t.value, t.at
          FROM (SELECT u.id, e.key COLLATE "C" AS name, told_value(e.value) AS value, u.at
                FROM unnest(ids, traits, ats) u(id, traits, at) CROSS JOIN LATERAL jsonb_each(u.traits) e
                OFFSET 0) t
          ORDER BY t.id, t.name, t.at DESC, (t.value = 'null') DESC, t.value::text COLLATE "C" DESC) w;
    INSERT INTO traits (identity_id, trait, value, source, observed_at)
    SELECT u.id, u.name, u.value, source, u.at FROM unnest(told_ids, names, said, times) u(id, name, value, at)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    IF added < cardinality(told_ids) THEN
        places := array(SELECT t.place
                        FROM unnest(told_ids, names) u(id, name)
                             LEFT JOIN LATERAL (SELECT k.ctid AS place FROM traits k
                                                WHERE k.identity_id = u.id AND k.trait = u.name
                                                      AND k.source = store_traits.source AND k.source_key = ''
                                                FOR UPDATE) t ON true);
    END IF;
    IF history THEN
        INSERT INTO trait_history AS h (identity_id, trait, value, source, source_key, observed_at, recorded_at)
        SELECT DISTINCT ON (n.id, n.name, n.at) n.id, n.name, n.value, source, '', n.at, n.recorded_at
        FROM (SELECT u.id, e.key COLLATE "C" AS name, told_value(e.value) AS value, u.at, now() AS recorded_at
              FROM unnest(ids, traits, ats) u(id, traits, at) CROSS JOIN LATERAL jsonb_each(u.traits) e
              UNION ALL
              SELECT t.identity_id, t.trait COLLATE "C", t.value, t.observed_at, t.recorded_at
              FROM unnest(told_ids, names) u(id, name)
                   CROSS JOIN LATERAL (SELECT k.identity_id, k.trait, k.value, k.observed_at, k.recorded_at
                                       FROM traits k
                                       WHERE k.identity_id = u.id AND k.trait = u.name
                                             AND k.source = store_traits.source AND k.source_key = '' OFFSET 0) t) n
        ORDER BY n.id, n.name, n.at, (n.value = 'null') DESC, n.value::text COLLATE "C" DESC
        ON CONFLICT ON CONSTRAINT trait_history_pkey DO UPDATE
        SET value = excluded.value, recorded_at = excluded.recorded_at
        WHERE (excluded.value = 'null', excluded.value::text COLLATE "C")
              > (h.value = 'null', h.value::text COLLATE "C");
    END IF;
    IF added < cardinality(told_ids) THEN
        UPDATE traits t SET value = u.value, observed_at = u.at, recorded_at = now()
        FROM unnest(places, said, times) u(place, value, at)
        WHERE t.ctid = u.place
              AND (u.at, u.value = 'null', u.value::text COLLATE "C")
                  > (t.observed_at, t.value = 'null', t.value::text COLLATE "C");
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.store_traits(bigint[], jsonb[], text, timestamptz[]) IS
    'note what a source said of identities, each as of a time';

-- Of each the identity; those that are not known yet are made, and none is forgotten until the transaction ends. One
-- that is there only as the normal form of others has come in now.
CREATE OR REPLACE FUNCTION @hub@.identities_for(identifiers @extschema@.identifier[], times timestamptz[])
RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];
    kept bigint[];
    unknown observation[];
BEGIN
    LOOP
        SELECT array_agg(i.identity_id ORDER BY g.n),
               array_agg(ROW(ARRAY[g.identifier], g.at, NULL, NULL)::observation ORDER BY g.n)
                   FILTER (WHERE i.identity_id IS NULL OR i.last_seen IS NULL AND ids IS NULL)
        INTO ids, unknown
        FROM unnest(identifiers, times) WITH ORDINALITY g(identifier, at, n)
             LEFT JOIN LATERAL (SELECT k.identity_id, k.last_seen FROM identities k
                                WHERE k.identifier = g.identifier OFFSET 0) i ON true;
        IF cardinality(unknown) = 1 THEN
            PERFORM identify_one(unknown[1].identifiers, unknown[1].observed_at, NULL, NULL);  -- quicker
        ELSIF unknown IS NOT NULL THEN
            PERFORM identify_all(unknown);
        ELSE
            kept := keep_identities(ids);
            IF kept IS NOT DISTINCT FROM ids OR NOT EXISTS (SELECT unnest(ids) EXCEPT SELECT unnest(kept)) THEN
                RETURN ids;
            END IF;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.identities_for(@extschema@.identifier[], timestamptz[]) IS
    'the identities of identifiers, in their order, made where they are not known';

-- The one that touchpoints of them point at, if it is known; rules once for each namespace, for lists of blocked values
-- are long.
CREATE OR REPLACE FUNCTION @hub@.bearers(observations @hub@.observation[]) RETURNS @extschema@.identifier[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (
        WITH given AS MATERIALIZED (
            SELECT o.n, g.identifier, g.place, @extschema@.identifier_namespace(g.identifier) AS namespace,
                   cardinality(o.identifiers) AS identifiers
            FROM unnest(observations) WITH ORDINALITY o(identifiers, observed_at, source, source_key, n)
                 CROSS JOIN LATERAL unnest(o.identifiers) WITH ORDINALITY g(identifier, place)
        ), rule AS MATERIALIZED (
            SELECT n.namespace, r.priority, r.blocked, r.normalizer, r.default_country
            FROM (SELECT DISTINCT g.namespace FROM given g WHERE g.identifiers > 1) n
                 CROSS JOIN LATERAL rule_of(n.namespace) r
        )
        SELECT array_agg(b.identifier ORDER BY b.n)
        FROM (SELECT DISTINCT ON (g.n) g.n, g.identifier
              FROM given g LEFT JOIN rule r ON r.namespace = g.namespace
                   LEFT JOIN LATERAL (SELECT k.blocked OR k.shared AS unusable FROM identities k
                                      WHERE g.identifiers > 1 AND k.identifier = g.identifier OFFSET 0) i ON true
              ORDER BY g.n, coalesce(i.unusable, is_blocked(normal_form(g.identifier, r.normalizer, r.default_country),
                                                            r.blocked, r.normalizer, r.default_country)),
                       r.priority DESC, g.place) b);
END $$;
COMMENT ON FUNCTION @hub@.bearers(@hub@.observation[]) IS
    'of the identifiers of each observation the one that traits told with them are of: the usable one of highest '
    'priority, the first given of several';

-- The same of rows of tables: of many at once those that tell more than traits, the others one by one.
CREATE OR REPLACE FUNCTION @hub@.bearer(identifiers @extschema@.identifier[]) RETURNS @extschema@.identifier
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF cardinality(identifiers) > 1 THEN
        RETURN (bearers(ARRAY[ROW(identifiers, NULL, NULL, NULL)::observation]))[1];
    END IF;
    RETURN identifiers[1];
END $$;
COMMENT ON FUNCTION @hub@.bearer(@extschema@.identifier[]) IS
    'the one of some identifiers that traits told with them are of';

CREATE OR REPLACE FUNCTION @hub@.bearers_of_rows(
    whose @extschema@.identifier[], traits jsonb[], events @hub@.event[], observations @hub@.observation[])
RETURNS @extschema@.identifier[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    places integer[];
    several observation[];
    found @extschema@.identifier[];
BEGIN
    SELECT array_agg(g.n ORDER BY g.n), array_agg(ROW(g.identifiers, NULL, NULL, NULL)::observation ORDER BY g.n)
    INTO places, several
    FROM (SELECT u.n, coalesce((events[u.n]).identifiers, (observations[u.n]).identifiers) AS identifiers
          FROM unnest(traits) WITH ORDINALITY u(traits, n) WHERE u.traits IS NOT NULL) g
    WHERE cardinality(g.identifiers) > 1;
    IF several IS NOT NULL THEN
        found := bearers(several);
        FOR i IN 1 .. cardinality(places) LOOP
            whose[places[i]] := found[i];
        END LOOP;
    END IF;
    RETURN whose;
END $$;
COMMENT ON FUNCTION @hub@.bearers_of_rows(@extschema@.identifier[], jsonb[], @hub@.event[], @hub@.observation[]) IS
    'whose the traits of rows are: of those with several identifiers in an event or observation the one of bearers()';

CREATE OR REPLACE FUNCTION @hub@.set_traits(
    identifier @extschema@.identifier, traits jsonb, source text DEFAULT 'sql', observed_at timestamptz DEFAULT now())
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];
BEGIN
    IF NOT has_table_privilege('traits', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    source := coalesce(source, 'sql');
    PERFORM check_observation(ARRAY[identifier], observed_at, source);
    PERFORM check_time('observed_at', observed_at), check_traits(traits);
    IF NOT admits(ARRAY[identifier], source) THEN
        RETURN NULL;
    END IF;
    ids := identities_for(ARRAY[identifier], ARRAY[observed_at]);
    PERFORM store_traits(ids, ARRAY[traits], source, ARRAY[observed_at]);
    RETURN (SELECT i.customer_id FROM identities i WHERE i.identity_id = ids[1]);
END $$;
COMMENT ON FUNCTION @hub@.set_traits(@extschema@.identifier, jsonb, text, timestamptz) IS
    'note what a source says of a customer, as of a time; null: that there is none. Others of its traits stay. Returns '
    'the customer';

-- Rows of tables, by their keys: what each says now is all it says, so what it said before goes, whatever its time.
-- What is said without a time is as of when it began to be said.
CREATE OR REPLACE FUNCTION @hub@.put_traits(
    source text, keys text[], identifiers @extschema@.identifier[], traits jsonb[], ats timestamptz[])
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    wrong record;
    told_keys text[];        -- what says something
    told_identifiers @extschema@.identifier[];
    told_traits jsonb[];
    told_ats timestamptz[];
    ids bigint[];            -- its identities
    new_ids bigint[];        -- what is said and was not before
    new_names text[];
    new_values jsonb[];
    new_keys text[];
    new_ats timestamptz[];
    old_ids bigint[];        -- and what was, and is not any more
    old_names text[];
    old_keys text[];
    untils timestamptz[];
    places tid[];
BEGIN
    IF NOT has_table_privilege('traits', 'INSERT') THEN
        PERFORM check_may('writer');
    ELSIF source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'source must not be NULL';
    END IF;
    SELECT u.key, u.identifier, u.traits, u.at INTO wrong
    FROM unnest(keys, identifiers, traits, ats) u(key, identifier, traits, at)
    WHERE coalesce(u.key, '') = '' OR u.traits IS NOT NULL AND jsonb_typeof(u.traits) <> 'object'
          OR u.identifier IS NULL AND jsonb_strip_nulls(u.traits) <> '{}' OR NOT isfinite(u.at)
    LIMIT 1;
    IF FOUND THEN
        IF coalesce(wrong.key, '') = '' THEN
            RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'the key of traits must not be empty',
                DETAIL = format('Identifier: %s; source: %s.', coalesce(wrong.identifier::text, 'NULL'), source);
        ELSIF jsonb_typeof(wrong.traits) = 'object' AND wrong.identifier IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'traits need an identifier',
                DETAIL = format('Source: %s, key: %s.', source, wrong.key);
        END IF;
        PERFORM check_traits(wrong.traits);
        PERFORM check_observation(ARRAY[wrong.identifier], wrong.at, source, wrong.key);
    END IF;
    PERFORM check_time('the time of traits', min(u.at)), check_time('the time of traits', max(u.at))
    FROM unnest(ats) u(at);
    IF journey_pass('suppressions') THEN
        -- who is suppressed is told nothing of
        SELECT n.of_whose AS gone, n.any_is INTO wrong FROM names_suppressed(NULL, NULL, identifiers) n;
        IF wrong.any_is THEN
            PERFORM count_suppressed(source, 0, (SELECT count(*) FROM unnest(wrong.gone) g(gone) WHERE g.gone));
            traits := array(SELECT CASE WHEN NOT wrong.gone[u.n] THEN u.traits END
                            FROM unnest(traits) WITH ORDINALITY u(traits, n) ORDER BY u.n);
        END IF;
    END IF;

    -- of a key that is given more than once the last counts
    SELECT array_agg(k.key), array_agg(k.identifier), array_agg(k.traits), array_agg(k.at)
    INTO told_keys, told_identifiers, told_traits, told_ats
    FROM (SELECT DISTINCT ON (u.key) u.key, u.identifier, u.traits, u.at
          FROM unnest(keys, identifiers, traits, ats) WITH ORDINALITY u(key, identifier, traits, at, n)
          ORDER BY u.key, u.n DESC) k
    WHERE EXISTS (SELECT FROM jsonb_each(k.traits) e WHERE told_value(e.value) <> 'null');
    IF told_keys IS NOT NULL THEN
        PERFORM check_traits(u.traits) FROM unnest(told_traits) u(traits);
        ids := identities_for(told_identifiers, array(SELECT coalesce(u.at, now())
                                                      FROM unnest(told_ats) WITH ORDINALITY u(at, n) ORDER BY u.n));
    END IF;

    -- Grouped, not joined: how many there are is not known when it is planned
    WITH changed AS MATERIALIZED (
        SELECT s.id, s.name, s.key, min(s.until) AS until, bool_or(s.is_new) AS is_new, bool_or(NOT s.is_new) AS was,
               (array_agg(s.value) FILTER (WHERE s.is_new))[1] AS value, min(s.at) FILTER (WHERE s.is_new) AS at
        FROM (SELECT u.id, e.key COLLATE "C" AS name, u.key, e.value, u.at, true AS is_new, u.at AS until
              FROM unnest(ids, told_keys, told_traits, told_ats) u(id, key, traits, at)
                   CROSS JOIN LATERAL jsonb_each(u.traits) e
              WHERE told_value(e.value) <> 'null'
              UNION ALL
              SELECT o.identity_id, o.trait COLLATE "C", o.source_key, o.value, o.observed_at, false, k.until
              FROM (SELECT DISTINCT ON (u.key) u.key, u.at AS until
                    FROM unnest(keys, ats) WITH ORDINALITY u(key, at, n) ORDER BY u.key, u.n DESC) k
                   CROSS JOIN LATERAL (SELECT t.identity_id, t.trait, t.source_key, t.value, t.observed_at
                                       FROM traits t
                                       WHERE t.source = put_traits.source AND t.source_key = k.key
                                           AND t.source_key <> ''
                                       OFFSET 0) o) s
        GROUP BY s.id, s.name, s.key
        HAVING count(*) = 1 OR min(s.value::text COLLATE "C") <> max(s.value::text COLLATE "C")
               OR min(s.at) <> max(s.at)
        ORDER BY s.id, s.name, s.key
    )
    SELECT array_agg(c.id) FILTER (WHERE c.is_new), array_agg(c.name) FILTER (WHERE c.is_new),
           array_agg(c.value) FILTER (WHERE c.is_new), array_agg(c.key) FILTER (WHERE c.is_new),
           array_agg(coalesce(c.at, now())) FILTER (WHERE c.is_new), array_agg(c.id) FILTER (WHERE c.was),
           array_agg(c.name) FILTER (WHERE c.was), array_agg(c.key) FILTER (WHERE c.was),
           array_agg(coalesce(c.until, now())) FILTER (WHERE c.was)
    INTO new_ids, new_names, new_values, new_keys, new_ats, old_ids, old_names, old_keys, untils
    FROM changed c;
    IF old_ids IS NOT NULL THEN
        places := array(SELECT t.place
                        FROM unnest(old_ids, old_names, old_keys) o(id, name, key)
                             LEFT JOIN LATERAL (SELECT k.ctid AS place FROM traits k
                                                WHERE k.identity_id = o.id AND k.trait = o.name
                                                      AND k.source = put_traits.source AND k.source_key = o.key
                                                FOR UPDATE) t ON true);
        WITH gone AS (
            DELETE FROM traits t USING unnest(places, untils) o(place, until) WHERE t.ctid = o.place
            RETURNING t.identity_id, t.trait, t.value, t.source_key, t.observed_at, t.recorded_at, o.until
        )
        INSERT INTO trait_history AS h (identity_id, trait, value, source, source_key, observed_at, until, recorded_at)
        SELECT g.identity_id, g.trait, g.value, source, g.source_key, g.observed_at, g.until, g.recorded_at
        FROM gone g CROSS JOIN settings s
        WHERE s.one_row AND s.trait_history AND g.until > g.observed_at
        ON CONFLICT ON CONSTRAINT trait_history_pkey DO UPDATE
        SET value = excluded.value, until = greatest(h.until, excluded.until), recorded_at = excluded.recorded_at;
    END IF;
    INSERT INTO traits (identity_id, trait, value, source, source_key, observed_at)
    SELECT u.id, u.name, u.value, source, u.key, u.at
    FROM unnest(new_ids, new_names, new_values, new_keys, new_ats) u(id, name, value, key, at)
    ON CONFLICT DO NOTHING;
    PERFORM forget_some(old_ids);
END $$;
COMMENT ON FUNCTION @hub@.put_traits(text, text[], @extschema@.identifier[], jsonb[], timestamptz[]) IS
    'what rows of a source say now, by their keys: of each the identifier, the traits (NULL: none) and as of when '
    '(NULL: of now), in place of all they said before';

CREATE OR REPLACE FUNCTION @hub@.drop_traits(source text, keys text[]) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    SELECT @hub@.put_traits(drop_traits.source, drop_traits.keys, NULL, NULL, NULL);
END;
COMMENT ON FUNCTION @hub@.drop_traits(text, text[]) IS
    'rows of a source that are gone, by their keys, say nothing any more';

CREATE OR REPLACE FUNCTION @hub@.rules_of_traits() RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT jsonb_agg(jsonb_build_object('trait', r.trait, 'members', r.members, 'rule', r.rule,
                                                'source_order', r.source_order))
            FROM trait_rules r);
END $$;
COMMENT ON FUNCTION @hub@.rules_of_traits() IS 'trait_rules, as profile_traits takes them';

CREATE OR REPLACE FUNCTION @hub@.check_trait_rules() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM profile_traits(0, 'any', 'true', 'any', '', now(), rules_of_traits());
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.check_trait_rules() IS 'trigger: refuse rules that can''t be';
CREATE OR REPLACE TRIGGER check_trait_rules AFTER INSERT OR UPDATE ON @hub@.trait_rules
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.check_trait_rules();

-- What is said of who joins nobody counts for nobody: a placeholder or a till's address is not a person. Customer by
-- customer, by index: to group all there is at once would take more memory, and longer. The rules are a column, so that
-- both aggregates have the same arguments, and share their state.
CREATE OR REPLACE VIEW @hub@.customer_profile WITH (security_invoker = true) AS
SELECT c.customer_id, coalesce(p.traits, '{}') AS traits, coalesce(p.provenance, '{}') AS provenance
FROM @hub@.customers c
     LEFT JOIN LATERAL
     (SELECT @extschema@.profile_traits(s.identity_id, s.trait, s.value, s.source, s.source_key, s.observed_at,
                                        s.rules) AS traits,
             @extschema@.profile_provenance(s.identity_id, s.trait, s.value, s.source, s.source_key, s.observed_at,
                                            s.rules) AS provenance
      FROM (SELECT t.identity_id, t.trait, t.value, t.source, t.source_key, t.observed_at,
                   (SELECT @hub@.rules_of_traits()) AS rules
            FROM @hub@.identities i JOIN @hub@.traits t ON t.identity_id = i.identity_id
            WHERE i.customer_id = c.customer_id AND NOT (i.blocked OR i.shared) OFFSET 0) s) p ON true;
COMMENT ON VIEW @hub@.customer_profile IS
    'who customers are, a row each: of each trait the value that counts by trait_rules, of all that sources say of '
    'their identities';
COMMENT ON COLUMN @hub@.customer_profile.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.customer_profile.traits IS
    'traits and their values. Who may not read identifiers finds no personal ones: see personal of trait_rules';
COMMENT ON COLUMN @hub@.customer_profile.provenance IS
    'of each trait the source that says so, its source_key if it has one, and observed_at, as of when it does, in UTC';

-- OFFSET 0 keeps the view whole, so that the customer's number reaches what is grouped in it.
CREATE OR REPLACE FUNCTION @hub@.customer_profile_of(customer_id bigint) RETURNS SETOF @hub@.customer_profile
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT v.customer_id, v.traits, v.provenance
    FROM @hub@.customer_profile v WHERE v.customer_id = customer_profile_of.customer_id OFFSET 0;
END;
COMMENT ON FUNCTION @hub@.customer_profile_of(bigint) IS 'the profile of a customer, by index: for LATERAL';

-- With the identities and the rules of today: what is learnt of them works backwards, as in the timeline.
CREATE OR REPLACE FUNCTION @hub@.customer_profile_at(customer_id bigint, at timestamptz)
RETURNS SETOF @hub@.customer_profile
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('trait_history', 'SELECT') THEN
        PERFORM check_may('reader');
    ELSIF NOT (SELECT s.trait_history FROM settings s WHERE s.one_row) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('no history of traits is kept in hub %s', current_schema()),
            DETAIL = 'What traits were before is gone when they are replaced.',
            HINT = format('UPDATE %I.settings SET trait_history = true; keeps it from now on.', current_schema());
    END IF;
    RETURN QUERY
    SELECT c.customer_id, coalesce(p.traits, '{}'), coalesce(p.provenance, '{}')
    FROM customers c
         CROSS JOIN LATERAL
         (SELECT profile_traits(s.identity_id, s.trait, s.value, s.source, s.source_key, s.observed_at,
                                (SELECT rules_of_traits())) AS traits,
                 profile_provenance(s.identity_id, s.trait, s.value, s.source, s.source_key, s.observed_at,
                                    (SELECT rules_of_traits())) AS provenance
          FROM identities i
               CROSS JOIN LATERAL (SELECT t.identity_id, t.trait, t.value, t.source, t.source_key, t.observed_at
                                   FROM traits t WHERE t.identity_id = i.identity_id AND t.observed_at <= at
                                   UNION ALL
                                   SELECT h.identity_id, h.trait, h.value, h.source, h.source_key, h.observed_at
                                   FROM trait_history h
                                   WHERE h.identity_id = i.identity_id AND h.observed_at <= at
                                         AND (at < h.until OR h.until IS NULL)) s
          WHERE i.customer_id = c.customer_id AND NOT (i.blocked OR i.shared)) p
    WHERE c.customer_id = customer_profile_at.customer_id;
END $$;
COMMENT ON FUNCTION @hub@.customer_profile_at(bigint, timestamptz) IS
    'the profile of a customer as of a time: of what was said of its identities until then, by the rules of today';
