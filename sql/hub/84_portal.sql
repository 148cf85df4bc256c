-- The portal: what a customer sees of himself, and nothing else.
--
-- A role of level portal may read no table. It calls functions that run with the rights of the hub's owner and answer
-- for one customer: of the identity that the token names, which the session has in pg_journey_session.token. Who logs
-- customers in makes tokens; nobody else can, as they are signed by a key that only the owner reads.

CREATE OR REPLACE FUNCTION @hub@.portal_signature(identity_id bigint, expires bigint) RETURNS bytea
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN journey_hmac(convert_to(format('portal %s %s', identity_id, expires), 'UTF8'),
                        (SELECT s.secret FROM secrets s WHERE s.name = 'portal'));
END $$;
COMMENT ON FUNCTION @hub@.portal_signature(bigint, bigint) IS
    'the signature of a token for an identity that expires at a second since 1970';

CREATE OR REPLACE FUNCTION @hub@.portal_token(customer_id bigint, valid_for interval DEFAULT '1 hour') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := coalesce((SELECT i.identity_id FROM identities i
                                       WHERE i.identity_id = portal_token.customer_id),
                                      current_customer(portal_token.customer_id));
    expires CONSTANT bigint := ceil(extract(epoch FROM clock_timestamp() + valid_for));
BEGIN
    IF whose IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = format('customer %s does not exist', coalesce(customer_id::text, 'NULL'));
    ELSIF valid_for IS NULL OR valid_for <= '0' OR valid_for > '1 year' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a token can''t be valid for %s', coalesce(valid_for::text, 'NULL')),
            HINT = 'Give a time of up to a year, such as 1 hour.';
    END IF;
    RETURN format('%s.%s.%s', whose, expires, encode(portal_signature(whose, expires), 'hex'));
END $$;
COMMENT ON FUNCTION @hub@.portal_token(bigint, interval) IS
    'a token by which a customer sees himself at the portal for some time: for the session''s setting'
    ' pg_journey_session.token. It names the identity whose number is given, so give that of the identifier he has'
    ' logged in by';
REVOKE EXECUTE ON FUNCTION @hub@.portal_token(bigint, interval) FROM PUBLIC;

CREATE OR REPLACE FUNCTION @hub@.revoke_portal_tokens() RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_may('owner');
    UPDATE secrets s
    SET secret = decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
    WHERE s.name = 'portal';
END $$;
COMMENT ON FUNCTION @hub@.revoke_portal_tokens() IS 'make all tokens invalid that were made until now';

-- Whatever is wrong, the answer is the same. The signature comes first, so that nothing else can be learnt without a
-- true one; what is compared are signatures of the two, of which nobody knows which byte differs, or when. No
-- backslash, which a caller could have read in another way.
CREATE OR REPLACE FUNCTION @hub@.portal_identity() RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    parts CONSTANT text[] := regexp_match(current_setting('pg_journey_session.token', true),
                                          '^(0|[1-9][0-9]{0,17})[.]([1-9][0-9]{0,11})[.]([0-9a-f]{64})$');
    id bigint;
BEGIN
    IF journey_hmac(decode(parts[3], 'hex'), (SELECT s.secret FROM secrets s WHERE s.name = 'portal'))
       = journey_hmac(portal_signature(parts[1]::bigint, parts[2]::bigint),
                      (SELECT s.secret FROM secrets s WHERE s.name = 'portal'))
       AND to_timestamp(parts[2]::bigint) > clock_timestamp() THEN
        id := (SELECT i.identity_id FROM identities i WHERE i.identity_id = parts[1]::bigint);
    END IF;
    IF id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_authorization_specification', MESSAGE = 'not logged in at the portal',
            HINT = 'Set pg_journey_session.token to a token that is valid.';
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION @hub@.portal_identity() IS
    'the identity that the session''s token names; an error without a valid one';
REVOKE EXECUTE ON FUNCTION @hub@.portal_identity() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION @hub@.portal_signature(bigint, bigint) FROM PUBLIC;

-- Whoever is being erased says nothing any more; above READ COMMITTED, nor does who was erased since the snapshot.
CREATE OR REPLACE FUNCTION @hub@.portal_speaker() RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    id bigint;
BEGIN
    PERFORM journey_pass('suppressions');
    id := portal_identity();
    PERFORM FROM identities i WHERE i.identity_id = id FOR KEY SHARE;
    RETURN id;
END $$;
COMMENT ON FUNCTION @hub@.portal_speaker() IS
    'the identity that the session''s token names, which stays until the transaction ends';
REVOKE EXECUTE ON FUNCTION @hub@.portal_speaker() FROM PUBLIC;

CREATE OR REPLACE FUNCTION @hub@.portal_customer() RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT i.customer_id FROM identities i WHERE i.identity_id = portal_identity());
END $$;
COMMENT ON FUNCTION @hub@.portal_customer() IS 'the customer of the session''s token; an error without a valid one';
REVOKE EXECUTE ON FUNCTION @hub@.portal_customer() FROM PUBLIC;

-- A guess may be wrong, so he is shown nothing that it alone joins.
CREATE OR REPLACE FUNCTION @hub@.portal_part() RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := portal_customer();
BEGIN
    IF NOT EXISTS (SELECT FROM guesses_within(whose)) THEN
        RETURN NULL;
    END IF;
    RETURN array(WITH parts AS MATERIALIZED (SELECT f.node, f.part FROM fact_parts(whose) f)
                 SELECT n.identity_id
                 FROM identities i JOIN parts o ON o.node = i.normal_id JOIN parts p ON p.part = o.part
                      JOIN identities n ON n.normal_id = p.node
                 WHERE i.identity_id = portal_identity());
END $$;
COMMENT ON FUNCTION @hub@.portal_part() IS
    'what facts join with the identity of the session''s token, if guesses join more with it; NULL: they do not';
REVOKE EXECUTE ON FUNCTION @hub@.portal_part() FROM PUBLIC;

CREATE OR REPLACE FUNCTION @hub@.my_timeline(
    OUT occurred_at timestamptz, OUT channel text, OUT action text, OUT subject text, OUT url text, OUT value numeric,
    OUT currency text, OUT direction text, OUT conversation text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := portal_customer();
    part CONSTANT bigint[] := portal_part();
BEGIN
    RETURN QUERY
    SELECT t.occurred_at, t.channel, t.action, t.subject, t.url, t.value, t.currency, t.direction, t.conversation
    FROM timeline t
    WHERE t.customer_id = whose
          AND (part IS NULL OR EXISTS (SELECT FROM touchpoints p
                                       WHERE p.touchpoint_id = t.touchpoint_id AND p.occurred_at = t.occurred_at
                                             AND p.identity_id = ANY (part)))
    ORDER BY t.occurred_at, t.touchpoint_id;
END $$;
COMMENT ON FUNCTION @hub@.my_timeline() IS 'timeline of the customer who is logged in at the portal';

CREATE OR REPLACE FUNCTION @hub@.my_conversations(
    OUT conversation text, OUT subject text, OUT channel text, OUT status text, OUT started_at timestamptz,
    OUT last_at timestamptz, OUT touchpoints bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := portal_customer();
    part CONSTANT bigint[] := portal_part();
BEGIN
    RETURN QUERY
    SELECT c.conversation, c.subject, c.channel, c.status, c.started_at, c.last_at, c.touchpoints
    FROM conversations c
    WHERE c.customer_id = whose
          AND (part IS NULL OR EXISTS (SELECT FROM touchpoints p
                                       WHERE p.source = c.source AND p.conversation = c.conversation
                                             AND p.identity_id = ANY (part)))
    ORDER BY c.started_at, c.source, c.conversation;
END $$;
COMMENT ON FUNCTION @hub@.my_conversations() IS 'conversations of the customer who is logged in at the portal';

CREATE OR REPLACE FUNCTION @hub@.my_profile(
    OUT trait text, OUT value jsonb, OUT source text, OUT observed_at timestamptz, OUT may_correct boolean)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := portal_customer();
    part CONSTANT bigint[] := portal_part();
BEGIN
    RETURN QUERY
    SELECT e.key, e.value, p.provenance #>> ARRAY[e.key, 'source'],
           (p.provenance #>> ARRAY[e.key, 'observed_at'])::timestamptz, e.key = ANY (s.portal_traits)
    FROM (SELECT c.traits, c.provenance FROM customer_profile c WHERE c.customer_id = whose AND part IS NULL
          UNION ALL
          SELECT profile_traits(t.identity_id, t.trait, t.value, t.source, t.source_key, t.observed_at, t.rules),
                 profile_provenance(t.identity_id, t.trait, t.value, t.source, t.source_key, t.observed_at, t.rules)
          FROM (SELECT r.identity_id, r.trait, r.value, r.source, r.source_key, r.observed_at,
                       (SELECT rules_of_traits()) AS rules
                FROM traits r JOIN identities i ON i.identity_id = r.identity_id
                WHERE r.identity_id = ANY (part) AND NOT (i.blocked OR i.shared)) t) p
         CROSS JOIN LATERAL jsonb_each(p.traits) e CROSS JOIN settings s
    WHERE s.one_row ORDER BY e.key COLLATE "C";
END $$;
COMMENT ON FUNCTION @hub@.my_profile() IS 'traits of the customer who is logged in at the portal';

CREATE OR REPLACE FUNCTION @hub@.my_consents(
    OUT purpose text, OUT channel text, OUT state text, OUT text_version text, OUT given_at timestamptz,
    OUT valid_until timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := portal_customer();
    part CONSTANT bigint[] := portal_part();
BEGIN
    RETURN QUERY
    SELECT c.purpose, c.channel, c.state, c.text_version, c.given_at, c.valid_until
    FROM consents_of(whose) c
    WHERE part IS NULL
          OR EXISTS (SELECT FROM consents o
                     WHERE o.identity_id = ANY (part) AND o.purpose IN (c.purpose, '*')
                           AND o.channel IN (c.channel, '*') AND o.given_at = c.given_at AND o.source = c.source
                           AND o.recorded_at = c.recorded_at);
END $$;
COMMENT ON FUNCTION @hub@.my_consents() IS 'what holds of the consent of the customer who is logged in at the portal';

CREATE OR REPLACE FUNCTION @hub@.my_export() RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := portal_identity();
BEGIN
    PERFORM note_access('my_export', whose);
    RETURN export_person(whose, NULL);
END $$;
COMMENT ON FUNCTION @hub@.my_export() IS 'all that is stored of the customer who is logged in at the portal';

CREATE OR REPLACE FUNCTION @hub@.correct_my_trait(trait text, value jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := portal_speaker();
BEGIN
    IF NOT coalesce(trait = ANY ((SELECT s.portal_traits FROM settings s WHERE s.one_row)::text[]), false) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('trait %s can''t be corrected at the portal',
                             coalesce('"' || left(trait, 60) || '"', 'NULL')),
            HINT = 'Ask the company to correct it.';
    ELSIF jsonb_typeof(value) NOT IN ('string', 'number', 'boolean', 'null') OR octet_length(value::text) > 1000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('value of trait "%s" must be a text, a number, true, false or null, of 1000 bytes at most',
                             left(trait, 60));
    END IF;
    PERFORM store_traits(ARRAY[whose], ARRAY[jsonb_build_object(trait, coalesce(value, 'null'))], 'portal',
                         ARRAY[clock_timestamp()]);
END $$;
COMMENT ON FUNCTION @hub@.correct_my_trait(text, jsonb) IS
    'the customer who is logged in at the portal says what a trait of his is; null: that there is none';

CREATE OR REPLACE FUNCTION @hub@.withdraw_my_consent(purpose text, channel text DEFAULT '*') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := portal_speaker();
    said consent;
BEGIN
    said := ROW((SELECT i.identifier FROM identities i WHERE i.identity_id = whose), purpose, channel, 'withdrawn',
                NULL, 'portal', NULL, clock_timestamp(), NULL);
    PERFORM check_consent(said);
    PERFORM store_consents(ARRAY[whose], ARRAY[said]);
END $$;
COMMENT ON FUNCTION @hub@.withdraw_my_consent(text, text) IS
    'the customer who is logged in at the portal withdraws consent to a purpose by a channel, or all';

CREATE OR REPLACE FUNCTION @hub@.ask_for_erasure(reason text DEFAULT NULL) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    whose CONSTANT bigint := portal_speaker();
BEGIN
    INSERT INTO erasure_requests (identity_id, reason) VALUES (whose, left(reason, 1000)) ON CONFLICT DO NOTHING;
    RETURN (SELECT r.asked_at FROM erasure_requests r WHERE r.identity_id = whose);
END $$;
COMMENT ON FUNCTION @hub@.ask_for_erasure(text) IS
    'the customer who is logged in at the portal asks to be erased; returns when he asked first';

CREATE OR REPLACE VIEW @hub@.my_timeline WITH (security_invoker = true, security_barrier = true) AS
SELECT m.occurred_at, m.channel, m.action, m.subject, m.url, m.value, m.currency, m.direction, m.conversation
FROM @hub@.my_timeline() m;
COMMENT ON VIEW @hub@.my_timeline IS 'timeline of the customer who is logged in at the portal';
COMMENT ON COLUMN @hub@.my_timeline.occurred_at IS 'when it happened';
COMMENT ON COLUMN @hub@.my_timeline.channel IS 'where';
COMMENT ON COLUMN @hub@.my_timeline.action IS 'what';
COMMENT ON COLUMN @hub@.my_timeline.value IS 'what it was worth, in its currency';
COMMENT ON COLUMN @hub@.my_timeline.currency IS 'currency of the value';
COMMENT ON COLUMN @hub@.my_timeline.direction IS 'in: from the customer; out: to the customer; NULL: neither';
COMMENT ON COLUMN @hub@.my_timeline.conversation IS 'thread, ticket or call it is part of';
COMMENT ON COLUMN @hub@.my_timeline.subject IS 'what it is about, in words to read';
COMMENT ON COLUMN @hub@.my_timeline.url IS 'where it can be looked at';

CREATE OR REPLACE VIEW @hub@.my_conversations WITH (security_invoker = true, security_barrier = true) AS
SELECT m.conversation, m.subject, m.channel, m.status, m.started_at, m.last_at, m.touchpoints
FROM @hub@.my_conversations() m;
COMMENT ON VIEW @hub@.my_conversations IS 'conversations of the customer who is logged in at the portal';
COMMENT ON COLUMN @hub@.my_conversations.conversation IS 'its name';
COMMENT ON COLUMN @hub@.my_conversations.subject IS 'what it is about';
COMMENT ON COLUMN @hub@.my_conversations.channel IS 'where it began';
COMMENT ON COLUMN @hub@.my_conversations.status IS 'as in conversations';
COMMENT ON COLUMN @hub@.my_conversations.started_at IS 'when it began';
COMMENT ON COLUMN @hub@.my_conversations.last_at IS 'when something happened in it last';
COMMENT ON COLUMN @hub@.my_conversations.touchpoints IS 'how many touchpoints it has';

CREATE OR REPLACE VIEW @hub@.my_profile WITH (security_invoker = true, security_barrier = true) AS
SELECT m.trait, m.value, m.source, m.observed_at, m.may_correct FROM @hub@.my_profile() m;
COMMENT ON VIEW @hub@.my_profile IS 'traits of the customer who is logged in at the portal';
COMMENT ON COLUMN @hub@.my_profile.trait IS 'what it says something about, such as name';
COMMENT ON COLUMN @hub@.my_profile.value IS 'what it says';
COMMENT ON COLUMN @hub@.my_profile.source IS 'system that says so';
COMMENT ON COLUMN @hub@.my_profile.observed_at IS 'as of when';
COMMENT ON COLUMN @hub@.my_profile.may_correct IS 'whether correct_my_trait may change it';

CREATE OR REPLACE VIEW @hub@.my_consents WITH (security_invoker = true, security_barrier = true) AS
SELECT m.purpose, m.channel, m.state, m.text_version, m.given_at, m.valid_until FROM @hub@.my_consents() m;
COMMENT ON VIEW @hub@.my_consents IS 'what holds of the consent of the customer who is logged in at the portal';
COMMENT ON COLUMN @hub@.my_consents.purpose IS 'what for; *: everything';
COMMENT ON COLUMN @hub@.my_consents.channel IS 'where; *: everywhere';
COMMENT ON COLUMN @hub@.my_consents.state IS 'granted, denied, withdrawn or expired';
COMMENT ON COLUMN @hub@.my_consents.text_version IS 'which text it was said to';
COMMENT ON COLUMN @hub@.my_consents.given_at IS 'when it was said';
COMMENT ON COLUMN @hub@.my_consents.valid_until IS 'until before when it holds; NULL: no end is known';

REVOKE EXECUTE ON FUNCTION
    @hub@.my_timeline(), @hub@.my_conversations(), @hub@.my_profile(), @hub@.my_consents(), @hub@.my_export(),
    @hub@.correct_my_trait(text, jsonb), @hub@.withdraw_my_consent(text, text), @hub@.ask_for_erasure(text)
    FROM PUBLIC;
