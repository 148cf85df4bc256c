-- Whom the hub was told to forget, it must know again without keeping him: by a keyed HMAC of the identifier, as it
-- came in and in its normal form. Nobody but the owner reads the key; the functions here that use it are the owner's,
-- answer what they are asked, and only those may call them who may write, or erase.
--
-- All writers pass the gate, the table suppressions, before they look who is known (journey_pass), and erase() closes
-- it: so nothing is recorded of whom it is erasing meanwhile. What is known is not suppressed, so only what is new is
-- looked for. Who locks rows of a person otherwise (assign, take_segment_events) passes it before: if he came to it
-- with them, erase() could be waiting for him.

CREATE OR REPLACE FUNCTION @hub@.suppression_mark(identifier @extschema@.identifier, secret bytea) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN @extschema@.journey_hmac(convert_to(suppression_mark.identifier::text, 'UTF8'), suppression_mark.secret);
COMMENT ON FUNCTION @hub@.suppression_mark(@extschema@.identifier, bytea) IS 'the mark an identifier leaves';

-- In the order of their index, each once
CREATE OR REPLACE FUNCTION @hub@.suppressed_among(identifiers @extschema@.identifier[])
RETURNS @extschema@.identifier[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    secret bytea;
    unknown @extschema@.identifier[] := '{}';
    one @extschema@.identifier;
    form @extschema@.identifier;
    rule record;
    known_again @extschema@.identifier[] := '{}';
BEGIN
    IF cardinality(identifiers) <= 4 THEN
        FOREACH one IN ARRAY identifiers LOOP
            IF one IS NOT NULL THEN
                PERFORM FROM identities i WHERE i.identifier = one;
                IF NOT FOUND THEN
                    unknown := unknown || one;
                END IF;
            END IF;
        END LOOP;
    ELSE
        unknown := array(SELECT g.identifier
                         FROM (SELECT DISTINCT u.identifier FROM unnest(identifiers) u(identifier)) g
                              LEFT JOIN LATERAL (SELECT true AS known FROM identities i
                                                 WHERE i.identifier = g.identifier OFFSET 0) k ON true
                         WHERE k.known IS NULL AND g.identifier IS NOT NULL);
    END IF;
    IF unknown = '{}' THEN
        RETURN known_again;
    END IF;
    secret := (SELECT s.secret FROM secrets s WHERE s.name = 'suppression');
    IF cardinality(unknown) <= 4 THEN
        FOREACH one IN ARRAY unknown LOOP
            PERFORM FROM suppressions s WHERE s.mark = suppression_mark(one, secret);
            IF NOT FOUND THEN
                SELECT r.normalizer, r.default_country INTO rule
                FROM rule_of(@extschema@.identifier_namespace(one)) r;
                form := normal_form(one, rule.normalizer, rule.default_country);
                CONTINUE WHEN form = one;
                PERFORM FROM suppressions s WHERE s.mark = suppression_mark(form, secret);
            END IF;
            IF FOUND THEN
                known_again := known_again || one;
            END IF;
        END LOOP;
        RETURN known_again;
    END IF;
    RETURN array(
        WITH rule AS MATERIALIZED (
            SELECT n.namespace, r.normalizer, r.default_country
            FROM unnest(identifier_namespaces(unknown)) n(namespace) CROSS JOIN LATERAL rule_of(n.namespace) r
        ), form AS MATERIALIZED (
            SELECT u.identifier, normal_form(u.identifier, r.normalizer, r.default_country) AS form
            FROM unnest(unknown) u(identifier)
                 JOIN rule r ON r.namespace = @extschema@.identifier_namespace(u.identifier)
        )
        SELECT f.identifier
        FROM form f
             LEFT JOIN LATERAL (SELECT true AS here FROM suppressions s
                                WHERE s.mark = suppression_mark(f.identifier, secret) OFFSET 0) a ON true
             LEFT JOIN LATERAL (SELECT true AS here FROM suppressions s
                                WHERE f.form <> f.identifier AND s.mark = suppression_mark(f.form, secret)
                                OFFSET 0) b ON true
        WHERE a.here OR b.here
        ORDER BY f.identifier);
END $$;
COMMENT ON FUNCTION @hub@.suppressed_among(@extschema@.identifier[]) IS 'those of some identifiers that are suppressed';
REVOKE EXECUTE ON FUNCTION @hub@.suppressed_among(@extschema@.identifier[]) FROM PUBLIC;

-- For those who have no right to the gate, or hold rows that erase() takes away: before the first of these.
CREATE OR REPLACE FUNCTION @hub@.pass_gate() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM journey_pass('suppressions');
END $$;
COMMENT ON FUNCTION @hub@.pass_gate() IS
    'wait until nobody is being erased, and let nobody be until the transaction ends';
REVOKE EXECUTE ON FUNCTION @hub@.pass_gate() FROM PUBLIC;

-- What all writers ask who have passed the gate, and were told that the answer is not plain.
CREATE OR REPLACE FUNCTION @hub@.suppressed_now(identifiers @extschema@.identifier[])
RETURNS @extschema@.identifier[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM last_erasure l WHERE l.one_row FOR SHARE;  -- fails if somebody was erased since the snapshot
    END IF;
    RETURN suppressed_among(identifiers);
END $$;
COMMENT ON FUNCTION @hub@.suppressed_now(@extschema@.identifier[]) IS
    'those of some identifiers that are suppressed, until the transaction ends';
REVOKE EXECUTE ON FUNCTION @hub@.suppressed_now(@extschema@.identifier[]) FROM PUBLIC;

CREATE OR REPLACE FUNCTION @hub@.count_suppressed(source text, touchpoints bigint, others bigint) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF touchpoints + others > 0 THEN
        INSERT INTO suppressed_writes (source, touchpoints, others)
        VALUES (coalesce(source, 'sql'), touchpoints, others);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.count_suppressed(text, bigint, bigint) IS 'note what was dropped';

CREATE OR REPLACE FUNCTION @hub@.sum_up_suppressed() RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = on
AS $$
#variable_conflict use_variable
DECLARE
    zone CONSTANT text := (SELECT s.time_zone FROM settings s WHERE s.one_row);
BEGIN
    WITH gone AS (
        DELETE FROM suppressed_writes w
        USING (SELECT n.source, date_trunc('day', n.dropped_at, zone) AS day
               FROM suppressed_writes n GROUP BY 1, 2 HAVING count(*) > 1) d
        WHERE w.source = d.source AND date_trunc('day', w.dropped_at, zone) = d.day
        RETURNING w.source, d.day, w.touchpoints, w.others
    )
    INSERT INTO suppressed_writes (source, dropped_at, touchpoints, others)
    SELECT g.source, g.day, sum(g.touchpoints), sum(g.others) FROM gone g GROUP BY 1, 2;
END $$;
COMMENT ON FUNCTION @hub@.sum_up_suppressed() IS
    'make one row a source and day of what was dropped, in the time zone of settings';

CREATE OR REPLACE FUNCTION @hub@.admits(identifiers @extschema@.identifier[], source text) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('touchpoint_keys', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    IF journey_pass('suppressions') THEN
        IF suppressed_now(identifiers) <> '{}' THEN
            PERFORM count_suppressed(source, 0, 1);
            RETURN false;
        END IF;
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION @hub@.admits(@extschema@.identifier[], text) IS
    'whether none of the identifiers of an observation is suppressed; if one is, that is counted';

-- Of parallel arrays: whether each names somebody who is suppressed
CREATE OR REPLACE FUNCTION @hub@.names_suppressed(
    events @hub@.event[], observations @hub@.observation[], whose @extschema@.identifier[],
    OUT of_events boolean[], OUT of_observations boolean[], OUT of_whose boolean[], OUT any_is boolean)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    names @extschema@.identifier[];
BEGIN
    names := suppressed_now(array(
        SELECT i.identifier FROM unnest(events) e CROSS JOIN LATERAL unnest(e.identifiers) i(identifier)
        UNION
        SELECT i.identifier FROM unnest(observations) o CROSS JOIN LATERAL unnest(o.identifiers) i(identifier)
        UNION
        SELECT w.identifier FROM unnest(whose) w(identifier)));
    any_is := names <> '{}';
    IF any_is THEN
        of_events := array(SELECT coalesce(e.identifiers && names, false)
                           FROM unnest(events) WITH ORDINALITY e ORDER BY e.ordinality);
        of_observations := array(SELECT coalesce(o.identifiers && names, false)
                                 FROM unnest(observations) WITH ORDINALITY o ORDER BY o.ordinality);
        of_whose := array(SELECT coalesce(w.identifier = ANY (names), false)
                          FROM unnest(whose) WITH ORDINALITY w(identifier, n) ORDER BY w.n);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.names_suppressed(@hub@.event[], @hub@.observation[], @extschema@.identifier[]) IS
    'which events, observations and bearers of traits name somebody who is suppressed';
