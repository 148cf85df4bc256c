-- Consent: what was said of it, and what holds; and who may be contacted.
--
-- What was said is of an identity, so a merge brings together what was said of all of a customer's, and a split gives
-- each what was said of its own. A refusal (denied, withdrawn) holds until it is granted later, for no more than was
-- refused: a yes to everything takes back no single no. Where there is no such refusal, the newest counts, and of
-- several of one time the strictest.

CREATE OR REPLACE FUNCTION @hub@.keep_consents() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = 'what was said of consent can''t be changed',
        HINT = 'Say what holds now: set_consent adds it.';
END $$;
COMMENT ON FUNCTION @hub@.keep_consents() IS 'trigger: consents are added, not changed';
CREATE OR REPLACE TRIGGER keep_consents
    BEFORE UPDATE OF purpose, channel, state, basis, source, source_key, text_version, given_at, recorded_at,
        valid_until
    ON @hub@.consents FOR EACH ROW EXECUTE FUNCTION @hub@.keep_consents();

-- Nobody but the owner may take it away; so it goes with the identity, whoever may take that away. So do rows of who
-- has looked at it, what it asked for, and whom it was sent to.
CREATE OR REPLACE FUNCTION @hub@.identities_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM consents c USING old_rows o WHERE c.identity_id = o.identity_id;
    DELETE FROM access_log l USING old_rows o WHERE l.identity_id = o.identity_id;
    DELETE FROM erasure_requests r USING old_rows o WHERE r.identity_id = o.identity_id;
    DELETE FROM assignments a USING old_rows o WHERE a.identity_id = o.identity_id;
    DELETE FROM match_records m USING old_rows o WHERE m.identity_id = o.identity_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.identities_gone() IS 'trigger: what was said of consent goes with the identity, and the like';
REVOKE EXECUTE ON FUNCTION @hub@.identities_gone() FROM PUBLIC;
CREATE OR REPLACE TRIGGER identities_gone AFTER DELETE ON @hub@.identities
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @hub@.identities_gone();

CREATE OR REPLACE FUNCTION @hub@.check_consent(said @hub@.consent) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    long text;
    given text;
BEGIN
    IF NOT isfinite(said.given_at) THEN
        RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow',
            MESSAGE = format('given_at must not be %s', said.given_at),
            DETAIL = format('Identifier: %s.', said.identifier);
    END IF;
    PERFORM check_observation(ARRAY[said.identifier], coalesce(said.given_at, now()), said.source);
    PERFORM check_time('given_at', said.given_at);
    IF said.state IS NULL OR said.state NOT IN ('granted', 'denied', 'withdrawn', 'expired') THEN
        RAISE EXCEPTION USING ERRCODE = CASE WHEN said.state IS NULL THEN 'null_value_not_allowed'
                                             ELSE 'invalid_parameter_value' END,
            MESSAGE = CASE WHEN said.state IS NULL THEN 'state of a consent must not be NULL'
                           ELSE format('unknown state of a consent: "%s"', left(said.state, 60)) END,
            HINT = 'Use granted, denied, withdrawn or expired.';
    ELSIF said.valid_until <= coalesce(said.given_at, now()) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a consent ends before it begins',
            DETAIL = format('It was given at %s and is valid until %s.', coalesce(said.given_at, now()),
                            said.valid_until);
    END IF;
    SELECT u.name, u.value INTO long, given
    FROM unnest('{purpose,channel,basis,source,text_version}'::text[],
                ARRAY[said.purpose, said.channel, said.basis, said.source, said.text_version]) u(name, value)
    WHERE octet_length(u.value) NOT BETWEEN 1 AND 255 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s of a consent must have 1 to 255 bytes', long),
            DETAIL = format('Given: "%s".', left(given, 60));
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_consent(@hub@.consent) IS 'refuse what is no consent';

-- In the order of their index, in which everybody adds
CREATE OR REPLACE FUNCTION @hub@.store_consents(ids bigint[], said @hub@.consent[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    added bigint;
BEGIN
    INSERT INTO consents (identity_id, purpose, channel, state, basis, source, text_version, given_at, valid_until)
    SELECT u.id, coalesce(u.purpose, '*'), coalesce(u.channel, '*'), u.state, coalesce(u.basis, 'consent'),
           coalesce(u.source, 'sql'), u.text_version, coalesce(u.given_at, now()), u.valid_until
    FROM ROWS FROM (unnest(ids), unnest(said)) u(id, identifier, purpose, channel, state, basis, source, text_version,
                                                 given_at, valid_until)
    ORDER BY 1, 2, 3, 8, 4, 5, 6, 7, 9
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END $$;
COMMENT ON FUNCTION @hub@.store_consents(bigint[], @hub@.consent[]) IS
    'note what was said of the consent of identities; returns how much of it is new';

CREATE OR REPLACE FUNCTION @hub@.set_consents(consents @hub@.consent[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    said consent;
    identifiers @extschema@.identifier[];
    times timestamptz[];
    suppressed record;
BEGIN
    IF NOT has_table_privilege('consents', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    FOREACH said IN ARRAY coalesce(consents, '{}') LOOP
        PERFORM check_consent(said);
    END LOOP;
    SELECT array_agg(u.identifier ORDER BY u.n), array_agg(coalesce(u.given_at, now()) ORDER BY u.n)
    INTO identifiers, times
    FROM unnest(consents) WITH ORDINALITY u(identifier, purpose, channel, state, basis, source, text_version, given_at,
                                            valid_until, n);
    IF identifiers IS NULL THEN
        RETURN 0;
    ELSIF journey_pass('suppressions') THEN
        SELECT n.of_whose AS gone, n.any_is INTO suppressed FROM names_suppressed(NULL, NULL, identifiers) n;
        IF suppressed.any_is THEN
            PERFORM count_suppressed(u.source, 0, count(*))
            FROM ROWS FROM (unnest(suppressed.gone), unnest(consents)) u(gone) WHERE u.gone
            GROUP BY u.source;
            RETURN set_consents(array(SELECT u.said
                                      FROM (SELECT generate_subscripts(consents, 1) AS n,
                                                   unnest(suppressed.gone) AS gone, unnest(consents) AS said) u
                                      WHERE NOT u.gone ORDER BY u.n));
        END IF;
    END IF;
    RETURN store_consents(identities_for(identifiers, times), consents);
END $$;
COMMENT ON FUNCTION @hub@.set_consents(@hub@.consent[]) IS
    'note what was said of the consent of customers, many at once; returns how much of it is new';

CREATE OR REPLACE FUNCTION @hub@.set_consent(
    identifier @extschema@.identifier, purpose text, channel text, state text, basis text DEFAULT 'consent',
    source text DEFAULT 'sql', text_version text DEFAULT NULL, given_at timestamptz DEFAULT now(),
    valid_until timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM set_consents(ARRAY[ROW(identifier, purpose, channel, state, basis, source, text_version, given_at,
                                   valid_until)::consent]);
    RETURN (SELECT i.customer_id FROM identities i WHERE i.identifier = set_consent.identifier);
END $$;
COMMENT ON FUNCTION
    @hub@.set_consent(@extschema@.identifier, text, text, text, text, text, text, timestamptz, timestamptz) IS
    'note that consent was granted, denied, withdrawn or has expired, for a purpose and a channel, or all of them'
    ' (NULL or *). Returns the customer; NULL: he is suppressed';

-- What a mapping says of consent, with its time: a value, or an object that may have a time of its own
CREATE OR REPLACE FUNCTION @hub@.dated_consent(value jsonb, at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_strip_nulls(jsonb_build_object('given_at', dated_consent.at)
                         || CASE jsonb_typeof(dated_consent.value) WHEN 'object' THEN dated_consent.value
                                ELSE jsonb_build_object('state', dated_consent.value) END);
COMMENT ON FUNCTION @hub@.dated_consent(jsonb, timestamptz) IS 'what is said of consent, as of a time';

-- With the rights of the owner, since nobody else may take away what was said. told: keys of those of some rows that
-- are there, and of these what they say, each by its key.
CREATE OR REPLACE FUNCTION @hub@.renew_consents(source text, keys text[], told text[], said_keys text[], ids bigint[],
                                                said @hub@.consent[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    fresh bigint[];  -- what of it is news
BEGIN
    -- what is gone says nothing, and never did; what is about somebody else now always was
    DELETE FROM consents c
    WHERE c.source = renew_consents.source AND c.source_key <> ''
          AND c.source_key = ANY (array(SELECT unnest(keys) EXCEPT SELECT unnest(told)));
    UPDATE consents c SET identity_id = u.id
    FROM (SELECT DISTINCT ON (k.key) k.key, k.id FROM unnest(said_keys, ids) k(key, id)) u
    WHERE c.source = renew_consents.source AND c.source_key = u.key AND c.source_key <> '' AND c.identity_id <> u.id;

    -- what a row says no longer has ended
    WITH ended AS (
        DELETE FROM consents c
        WHERE c.ctid = ANY (array(
            SELECT l.place
            FROM (SELECT DISTINCT ON (k.source_key, k.purpose, k.channel) k.ctid AS place, k.source_key, k.purpose,
                         k.channel, k.valid_until
                  FROM consents k
                  WHERE k.source = renew_consents.source AND k.source_key = ANY (told) AND k.source_key <> ''
                  ORDER BY k.source_key, k.purpose, k.channel, k.given_at DESC, k.recorded_at DESC) l
            WHERE (l.valid_until > now() OR l.valid_until IS NULL)
                  AND NOT EXISTS (SELECT FROM ROWS FROM (unnest(said_keys), unnest(said)) s(key)
                                  WHERE s.key = l.source_key AND s.purpose = l.purpose AND s.channel = l.channel)))
        RETURNING c.identity_id, c.purpose, c.channel, c.state, c.basis, c.source_key, c.text_version, c.given_at,
                  c.recorded_at
    )
    INSERT INTO consents (identity_id, purpose, channel, state, basis, source, source_key, text_version, given_at,
                          recorded_at, valid_until)
    SELECT e.identity_id, e.purpose, e.channel, e.state, e.basis, source, e.source_key, e.text_version, e.given_at,
           e.recorded_at, now()
    FROM ended e WHERE e.given_at < now();

    -- what it goes on to say is not news; what it says of an earlier time puts right what it said later
    fresh := array(
        SELECT s.n
        FROM ROWS FROM (unnest(said_keys), unnest(said)) WITH ORDINALITY
                 s(key, identifier, purpose, channel, state, basis, source, text_version, given_at, valid_until, n)
             LEFT JOIN LATERAL (SELECT c.given_at, c.state, c.basis, c.text_version, c.valid_until FROM consents c
                                WHERE c.source = renew_consents.source AND c.source_key = s.key AND c.source_key <> ''
                                      AND c.purpose = s.purpose AND c.channel = s.channel
                                ORDER BY c.given_at DESC, c.recorded_at DESC LIMIT 1) l ON true
        WHERE l.given_at IS NULL OR s.given_at < l.given_at
              OR ROW(s.state, s.basis, s.text_version, s.valid_until)
                 IS DISTINCT FROM ROW(l.state, l.basis, l.text_version, l.valid_until));
    DELETE FROM consents c
    USING ROWS FROM (unnest(said_keys), unnest(said)) WITH ORDINALITY
          s(key, identifier, purpose, channel, state, basis, source, text_version, given_at, valid_until, n)
    WHERE s.n = ANY (fresh) AND c.source = renew_consents.source AND c.source_key = s.key AND c.source_key <> ''
          AND c.purpose = s.purpose AND c.channel = s.channel AND c.given_at >= coalesce(s.given_at, now());
    INSERT INTO consents (identity_id, purpose, channel, state, basis, source, source_key, text_version, given_at,
                          valid_until)
    SELECT s.id, s.purpose, s.channel, s.state, s.basis, source, s.key, s.text_version, coalesce(s.given_at, now()),
           s.valid_until
    FROM ROWS FROM (unnest(said_keys), unnest(ids), unnest(said)) WITH ORDINALITY
             s(key, id, identifier, purpose, channel, state, basis, source, text_version, given_at, valid_until, n)
    WHERE s.n = ANY (fresh)
    ORDER BY s.id, s.purpose, s.channel, s.n
    ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION @hub@.renew_consents(text, text[], text[], text[], bigint[], @hub@.consent[]) IS
    'bring what rows have said of consent in line with what they say now';
REVOKE EXECUTE ON FUNCTION @hub@.renew_consents(text, text[], text[], text[], bigint[], @hub@.consent[]) FROM PUBLIC;

-- Rows of tables, by their keys, as put_traits has them. When a row changes its word, what it said before stays: it was
-- said.
CREATE OR REPLACE FUNCTION @hub@.put_consents(source text, keys text[], identifiers @extschema@.identifier[],
                                              consents jsonb[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    wrong record;
    flaw text;
    told text[];
    whose @extschema@.identifier[];
    said_keys text[];
    said consent[];
    one consent;
    ids bigint[];
    old_ids bigint[];
BEGIN
    IF NOT has_table_privilege('consents', 'INSERT') THEN
        PERFORM check_may('writer');
    ELSIF source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'source must not be NULL';
    END IF;
    SELECT u.key, u.identifier, u.consents INTO wrong
    FROM unnest(keys, identifiers, consents) u(key, identifier, consents)
    WHERE coalesce(u.key, '') = '' OR u.consents IS NOT NULL AND jsonb_typeof(u.consents) <> 'object'
          OR u.identifier IS NULL AND jsonb_strip_nulls(u.consents) <> '{}'
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = CASE WHEN jsonb_typeof(wrong.consents) <> 'object' AND wrong.key <> ''
                                             THEN 'invalid_parameter_value' ELSE 'null_value_not_allowed' END,
            MESSAGE = CASE WHEN coalesce(wrong.key, '') = '' THEN 'the key of consents must not be empty'
                           WHEN jsonb_typeof(wrong.consents) <> 'object'
                           THEN format('consents must be an object, not %s', left(wrong.consents::text, 60))
                           ELSE 'consents need an identifier' END,
            DETAIL = format('Source: %s, key: %s, identifier: %s.', source, coalesce(wrong.key, 'NULL'),
                            coalesce(wrong.identifier::text, 'NULL'));
    END IF;
    IF journey_pass('suppressions') THEN
        SELECT n.of_whose AS gone, n.any_is INTO wrong FROM names_suppressed(NULL, NULL, identifiers) n;
        IF wrong.any_is THEN
            PERFORM count_suppressed(source, 0, (SELECT count(*) FROM unnest(wrong.gone) g(gone) WHERE g.gone));
            consents := array(SELECT CASE WHEN NOT wrong.gone[u.n] THEN u.consents END
                              FROM unnest(consents) WITH ORDINALITY u(consents, n) ORDER BY u.n);
        END IF;
    END IF;

    -- of a key that is given more than once the last counts
    SELECT array_agg(k.key), array_agg(k.identifier), array_agg(k.consents) INTO told, whose, consents
    FROM (SELECT DISTINCT ON (u.key) u.key, u.identifier, u.consents
          FROM unnest(keys, identifiers, consents) WITH ORDINALITY u(key, identifier, consents, n)
          ORDER BY u.key, u.n DESC) k
    WHERE k.consents IS NOT NULL;
    SELECT array_agg(s.key ORDER BY s.key, s.n), min(s.flaw),
           array_agg(ROW(s.identifier, s.purpose, s.channel, s.state, coalesce(s.basis, 'consent'), source,
                         s.text_version, s.given_at, s.valid_until)::consent ORDER BY s.key, s.n)
    INTO said_keys, flaw, said
    FROM (SELECT DISTINCT ON (u.key, r.purpose, r.channel) u.key, u.identifier, r.purpose, r.channel, r.state, r.basis,
                 r.text_version, r.given_at, r.valid_until, r.n, r.flaw
          FROM unnest(told, whose, consents) u(key, identifier, consents)
               CROSS JOIN LATERAL read_consents(u.consents) WITH ORDINALITY
                   r(purpose, channel, state, basis, text_version, given_at, valid_until, flaw, n)
          ORDER BY u.key, r.purpose, r.channel, r.n DESC) s;
    IF flaw IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = flaw;
    END IF;
    FOREACH one IN ARRAY coalesce(said, '{}') LOOP
        PERFORM check_consent(one);
    END LOOP;
    old_ids := array(SELECT DISTINCT o.identity_id
                     FROM unnest(keys) u(key)
                          CROSS JOIN LATERAL (SELECT c.identity_id FROM consents c
                                              WHERE c.source = put_consents.source AND c.source_key = u.key
                                                    AND c.source_key <> '' OFFSET 0) o);
    IF said_keys IS NOT NULL THEN
        ids := identities_for(array(SELECT s.identifier FROM unnest(said) s),
                              array(SELECT coalesce(s.given_at, now()) FROM unnest(said) s));
    ELSIF old_ids = '{}' THEN
        RETURN;
    END IF;
    PERFORM renew_consents(source, keys, told, said_keys, ids, said);
    PERFORM forget_some(old_ids);
END $$;
COMMENT ON FUNCTION @hub@.put_consents(text, text[], @extschema@.identifier[], jsonb[]) IS
    'what rows of a source say of consent now, by their keys: of each the identifier, and an object of purpose or '
    'purpose/channel and what is said of it, in place of what they said before, which stays where it was said earlier '
    '(NULL: the row is gone, and with it all it said)';

CREATE OR REPLACE FUNCTION @hub@.drop_consents(source text, keys text[]) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    SELECT @hub@.put_consents(drop_consents.source, drop_consents.keys, NULL, NULL);
END;
COMMENT ON FUNCTION @hub@.drop_consents(text, text[]) IS
    'rows of a source that are gone, by their keys, say nothing of consent any more';

-- The statement that holds: see the head of this file
CREATE OR REPLACE FUNCTION @hub@.consent_in_force(
    customer_id bigint, purpose text, channel text, at timestamptz, OUT state text, OUT said_purpose text,
    OUT said_channel text, OUT basis text, OUT source text, OUT text_version text, OUT given_at timestamptz,
    OUT recorded_at timestamptz, OUT valid_until timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    WITH said AS MATERIALIZED (
        SELECT c.purpose, c.channel, c.state, c.basis, c.source, c.text_version, c.given_at, c.recorded_at,
               c.valid_until, c.state IN ('denied', 'withdrawn') AS refused,
               CASE WHEN c.valid_until <= at THEN 'expired' ELSE c.state END AS holds
        FROM identities i JOIN consents c ON c.identity_id = i.identity_id
        WHERE i.customer_id = consent_in_force.customer_id AND c.purpose IN (consent_in_force.purpose, '*')
              AND c.channel IN (consent_in_force.channel, '*') AND c.given_at <= at
    )
    SELECT s.holds, s.purpose, s.channel, s.basis, s.source, s.text_version, s.given_at, s.recorded_at, s.valid_until
    INTO state, said_purpose, said_channel, basis, source, text_version, given_at, recorded_at, valid_until
    FROM said s
    ORDER BY s.refused AND s.holds <> 'expired'
             AND NOT EXISTS (SELECT FROM said g
                             WHERE g.state = 'granted' AND g.given_at > s.given_at AND s.purpose IN (g.purpose, '*')
                                   AND s.channel IN (g.channel, '*')) DESC,
             s.given_at DESC,
             CASE s.holds WHEN 'withdrawn' THEN 0 WHEN 'denied' THEN 1 WHEN 'expired' THEN 2 ELSE 3 END,
             s.purpose <> '*' DESC, s.channel <> '*' DESC, s.recorded_at DESC, s.source COLLATE "C",
             s.basis COLLATE "C", s.text_version COLLATE "C", s.valid_until
    LIMIT 1;
END $$;
COMMENT ON FUNCTION @hub@.consent_in_force(bigint, text, text, timestamptz) IS
    'what a customer said of consent, as far as it holds at a time; expired if it is over then';

CREATE OR REPLACE FUNCTION @hub@.consent_of(
    customer_id bigint, purpose text, channel text DEFAULT '*', at timestamptz DEFAULT now()) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_table_privilege('consents', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    RETURN (SELECT f.state FROM consent_in_force(current_customer(customer_id), coalesce(purpose, '*'),
                                                 coalesce(channel, '*'), coalesce(at, now())) f);
END $$;
COMMENT ON FUNCTION @hub@.consent_of(bigint, text, text, timestamptz) IS
    'the consent of a customer to a purpose by a channel, as of a time: granted, denied, withdrawn or expired; NULL:'
    ' nothing was said. NULL or * asks for what was said of all purposes, or channels';

CREATE OR REPLACE FUNCTION @hub@.consents_of(
    customer_id bigint, at timestamptz DEFAULT now(), OUT purpose text, OUT channel text, OUT state text,
    OUT basis text, OUT source text, OUT text_version text, OUT given_at timestamptz, OUT recorded_at timestamptz,
    OUT valid_until timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := current_customer(customer_id);
BEGIN
    IF NOT has_table_privilege('consents', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    RETURN QUERY
    SELECT s.purpose, s.channel, f.state, f.basis, f.source, f.text_version, f.given_at, f.recorded_at, f.valid_until
    FROM (SELECT DISTINCT c.purpose, c.channel
          FROM identities i JOIN consents c ON c.identity_id = i.identity_id
          WHERE i.customer_id = whose AND c.given_at <= coalesce(at, now())) s
         CROSS JOIN LATERAL consent_in_force(whose, s.purpose, s.channel, coalesce(at, now())) f
    ORDER BY s.purpose COLLATE "C", s.channel COLLATE "C";
END $$;
COMMENT ON FUNCTION @hub@.consents_of(bigint, timestamptz) IS
    'what holds for each purpose and channel that something was said of, as of a time, and what says so';

-- What is no time zone is told of customers, too; and what the server would take for an offset, which it reads as POSIX
-- does, the other way round. Not for parallel queries, which can't try.
CREATE OR REPLACE FUNCTION @hub@.local_time_at(at timestamptz, INOUT time_zone text, fallback text,
                                               OUT local_time timestamp)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF time_zone ~ '^[A-Za-z][A-Za-z_-]*([0-9][A-Z]{3})?(/[A-Za-z0-9_+-]+)*$' THEN
        BEGIN
            local_time := at AT TIME ZONE time_zone;
            RETURN;
        EXCEPTION WHEN invalid_parameter_value THEN
        END;
    END IF;
    time_zone := fallback;
    local_time := at AT TIME ZONE fallback;
END $$;
COMMENT ON FUNCTION @hub@.local_time_at(timestamptz, text, text) IS
    'what time it is in a time zone, or in another one if that is none';

CREATE OR REPLACE FUNCTION @hub@.may_contact(
    customer_id bigint, purpose text, channel text, at timestamptz DEFAULT now(), OUT allowed boolean,
    OUT reasons text[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    whose bigint;
    said record;
    rule text;
    there record;
    cap record;
    ids bigint[];
    own CONSTANT text := coalesce(purpose, '*') || ' by ' || coalesce(channel, '*');
BEGIN
    IF NOT has_table_privilege('contact_caps', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    purpose := coalesce(purpose, '*');
    channel := coalesce(channel, '*');
    at := coalesce(at, now());
    reasons := '{}';
    whose := current_customer(customer_id);
    IF whose IS NULL THEN
        allowed := false;
        reasons := '{unknown customer}';
        RETURN;
    END IF;

    ids := ARRAY(SELECT i.identity_id FROM identities i WHERE i.customer_id = whose);
    rule := coalesce((SELECT r.allowed FROM contact_rules r
                      WHERE r.purpose IN (may_contact.purpose, '*') AND r.channel IN (may_contact.channel, '*')
                      ORDER BY r.purpose = '*', r.channel = '*' LIMIT 1), 'if_granted');
    IF rule <> 'always' THEN
        said := consent_in_force(whose, purpose, channel, at);
        IF said.state IN ('denied', 'withdrawn') THEN
            reasons := reasons || format('%s: %s %s by %s on %s',
                                         CASE said.said_purpose WHEN '*' THEN 'do not contact' ELSE 'consent' END, own,
                                         said.state, said.source,
                                         to_char(said.given_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'));
        ELSIF rule = 'if_granted' AND said.state IS DISTINCT FROM 'granted' THEN
            reasons := reasons || CASE WHEN said.state IS NULL THEN format('consent: none to %s', own)
                                       ELSE format('consent: %s expired', own) END;
        END IF;
    END IF;

    IF EXISTS (SELECT FROM quiet_hours q WHERE q.purpose IN (may_contact.purpose, '*')
                                               AND q.channel IN (may_contact.channel, '*')) THEN
        SELECT l.time_zone AS name, l.local_time::time AS hour, date_part('isodow', l.local_time)::integer AS day
        INTO there
        FROM local_time_at(at, (SELECT p.traits ->> 'time_zone' FROM customer_profile p
                                WHERE p.customer_id = whose AND jsonb_typeof(p.traits -> 'time_zone') = 'string'),
                           (SELECT s.time_zone FROM settings s WHERE s.one_row)) l;
        PERFORM FROM (SELECT q.weekday, q.quiet_from, q.quiet_until,
                             dense_rank() OVER (ORDER BY q.purpose = '*', q.channel = '*') AS place
                      FROM quiet_hours q WHERE q.purpose IN (may_contact.purpose, '*')
                                               AND q.channel IN (may_contact.channel, '*')) h
        WHERE h.place = 1
              AND CASE WHEN h.quiet_from < h.quiet_until
                       THEN there.hour >= h.quiet_from AND there.hour < h.quiet_until
                            AND coalesce(h.weekday = there.day, true)
                       ELSE there.hour >= h.quiet_from AND coalesce(h.weekday = there.day, true)
                            OR there.hour < h.quiet_until AND coalesce(h.weekday % 7 + 1 = there.day, true) END;
        IF FOUND THEN
            reasons := reasons || format('quiet hours: %s in %s', to_char(there.hour, 'HH24:MI'), there.name);
        END IF;
    END IF;

    FOR cap IN
        SELECT c.purpose, c.channel, c.most, c.within
        FROM contact_caps c
        WHERE c.purpose IN (may_contact.purpose, '*') AND c.channel IN (may_contact.channel, '*')
              AND c.most <= (SELECT count(*)
                             FROM (SELECT FROM touchpoints t
                                   WHERE t.identity_id = ANY (ids)
                                         AND t.occurred_at > time_before(at, c.within) AND t.occurred_at <= at
                                         AND t.direction = 'out' AND c.channel IN (t.channel, '*')
                                         AND c.purpose IN (coalesce(t.attributes ->> 'purpose', c.purpose), '*')
                                         AND NOT EXISTS (SELECT FROM actions a
                                                         WHERE a.action = t.action AND a.means <> 'asks_and_resolves')
                                   LIMIT c.most) n)
        ORDER BY c.within, c.purpose COLLATE "C", c.channel COLLATE "C"
    LOOP
        reasons := reasons || format('cap: %s contacts in %s for %s by %s', cap.most, cap.within, cap.purpose,
                                     cap.channel);
    END LOOP;
    allowed := reasons = '{}';
END $$;
COMMENT ON FUNCTION @hub@.may_contact(bigint, text, text, timestamptz) IS
    'whether a customer may be contacted for a purpose by a channel at a time, by consent, quiet hours and caps; and'
    ' if not, why: each reason begins with unknown customer, do not contact, consent, quiet hours or cap, and a colon';
