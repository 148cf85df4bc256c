-- Guesses: evidence that two identities may be one customer.

-- Each is stitched by the whole law with all others that the call brings: guesses come in batches, and seldom.
CREATE OR REPLACE FUNCTION @hub@.guess_many(
    a @extschema@.identifier[], b @extschema@.identifier[], strengths real[], source text DEFAULT 'match',
    source_keys text[] DEFAULT NULL, observed_at timestamptz DEFAULT now())
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    wrong record;
    ids_a bigint[];
    ids_b bigint[];
    keys text[];
    nodes bigint[];
    locked bigint[];
    added bigint[];  -- identities of what is new
    n bigint;
BEGIN
    PERFORM begin_stitching();
    PERFORM check_time('observed_at', observed_at);
    IF source IS NULL OR observed_at IS NULL OR NOT isfinite(observed_at) THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'guesses need a source, and a finite time',
            DETAIL = format('Given: %s, %s.', coalesce(source, 'NULL'), coalesce(observed_at::text, 'NULL'));
    ELSIF cardinality(coalesce(a, '{}')) <> cardinality(coalesce(b, '{}'))
          OR cardinality(coalesce(a, '{}')) <> cardinality(coalesce(strengths, '{}'))
          OR cardinality(source_keys) <> cardinality(a) THEN
        RAISE EXCEPTION USING ERRCODE = 'array_subscript_error',
            MESSAGE = 'a guess is an identifier, another one, and a strength',
            DETAIL = format('Given are %s, %s and %s of them%s.', cardinality(a), cardinality(b),
                            cardinality(strengths), ', and ' || cardinality(source_keys) || ' keys');
    END IF;
    -- each is looked up once, however many guesses are about it
    WITH known AS MATERIALIZED (
        SELECT u.identifier, identity_of(u.identifier) AS identity_id
        FROM (SELECT DISTINCT x.identifier FROM unnest(guess_many.a || guess_many.b) x(identifier)) u
    )
    SELECT array_agg(x.identity_id ORDER BY g.n), array_agg(y.identity_id ORDER BY g.n),
           array_agg(coalesce(g.key, least(g.a, g.b)::text || ' ' || greatest(g.a, g.b)::text) ORDER BY g.n)
    INTO ids_a, ids_b, keys
    FROM unnest(a, b, source_keys) WITH ORDINALITY g(a, b, key, n)
         LEFT JOIN known x ON x.identifier = g.a LEFT JOIN known y ON y.identifier = g.b;
    FOR wrong IN
        SELECT g.a, g.b, g.strength, g.x = g.y AS same,
               CASE WHEN g.x IS NULL THEN g.a WHEN g.y IS NULL THEN g.b END AS unknown
        FROM unnest(a, b, strengths, ids_a, ids_b) g(a, b, strength, x, y)
        WHERE g.x IS NULL OR g.y IS NULL OR g.x = g.y
              OR (g.strength > '-infinity' AND g.strength < 'infinity') IS NOT TRUE
        LIMIT 1
    LOOP
        IF wrong.a IS NULL OR wrong.b IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'identifiers must not be NULL',
                DETAIL = format('The guess is about %s and %s.', coalesce(wrong.a::text, 'NULL'),
                                coalesce(wrong.b::text, 'NULL'));
        ELSIF wrong.unknown IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_object',
                MESSAGE = format('identifier %s is not known', wrong.unknown),
                HINT = 'A guess is about identifiers that were seen: identify() takes them in.';
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE WHEN wrong.same THEN format('%s can''t be guessed to be itself', wrong.a)
                           ELSE format('strength of a guess must be a finite number, not %s',
                                       coalesce(wrong.strength::text, 'NULL')) END,
            DETAIL = format('The guess is about %s and %s.', wrong.a, wrong.b);
    END LOOP;
    FOR try IN 1 .. 1000 LOOP
        BEGIN
            nodes := nodes_of(ids_a || ids_b);
            SELECT l.locked INTO locked FROM lock_components(nodes, '{}', '{}', '{}') l;
            -- one that was there only as the normal form of others has come in now, and stays
            UPDATE identities i SET first_seen = now(), last_seen = now()
            WHERE i.identity_id = ANY (ids_a || ids_b) AND i.last_seen IS NULL;
            WITH inserted AS (
                INSERT INTO evidence (source, source_key, identities, observed_at, strength)
                SELECT source, g.key, ARRAY[least(g.x, g.y), greatest(g.x, g.y)], observed_at, max(g.strength)
                FROM unnest(keys, ids_a, ids_b, strengths) g(key, x, y, strength)
                GROUP BY g.key, least(g.x, g.y), greatest(g.x, g.y)
                ORDER BY g.key
                ON CONFLICT ON CONSTRAINT evidence_pkey DO NOTHING
                RETURNING evidence.source_key, evidence.identities
            )
            SELECT count(*), array_agg(DISTINCT u.id) INTO n, added
            FROM inserted i CROSS JOIN LATERAL (VALUES (i.identities[1]), (i.identities[2])) u(id);
            n := n / 2;
            FOR wrong IN
                SELECT e.source_key, array(SELECT i.identifier FROM identities i WHERE i.identity_id IN (g.x, g.y)
                                           ORDER BY i.identifier) AS given
                FROM unnest(keys, ids_a, ids_b) g(key, x, y)
                     CROSS JOIN LATERAL (SELECT v.source_key, v.identities, v.strength FROM evidence v
                                         WHERE v.source = guess_many.source AND v.source_key = g.key OFFSET 0) e
                WHERE e.identities <> ARRAY[least(g.x, g.y), greatest(g.x, g.y)] OR e.strength IS NULL
                LIMIT 1
            LOOP
                PERFORM evidence_differs(source, wrong.source_key, wrong.given);
            END LOOP;
            IF n > 0 THEN
                PERFORM restitch(members_of(components_of(nodes_of(added))));
            END IF;
            -- written even if nothing in it changes: it tells whoever works from an older snapshot
            UPDATE customers c SET identities = c.identities WHERE c.customer_id = ANY (locked);
            RETURN n;
        EXCEPTION WHEN SQLSTATE 'PJ001' THEN
            NULL;  -- components have moved
        END;
    END LOOP;
    RAISE EXCEPTION USING ERRCODE = 'data_corrupted', MESSAGE = 'identities don''t fit together',
        DETAIL = format('Guesses of source %s.', source),
        HINT = 'Tables were changed by hand: stitch_check() tells what is wrong, and stitch_all() mends it.';
END $$;
COMMENT ON FUNCTION @hub@.guess_many(@extschema@.identifier[], @extschema@.identifier[], real[], text, text[],
                                     timestamptz)
    IS 'record guesses that two identifiers each may be of one customer; returns how many are new. Facts come first: '
       'a guess joins only what neither they nor the rules part. retract and retract_many take guesses back';
