-- Payloads of other systems in: ingest, ingest_many, ingest_ndjson, retry_rejected.
--
-- The extension reads payloads by the rules of their format (src/ingest), record_many and identify_many take in what
-- they say, and what is wrong with any of it goes to "rejected", without harm to the rest.

CREATE OR REPLACE FUNCTION @hub@.check_format() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM journey_payload_events('{}', json_build_array(NEW));
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @hub@.check_format() IS 'refuse a rule that can''t be read';
CREATE OR REPLACE TRIGGER check_format BEFORE INSERT OR UPDATE ON @hub@.formats FOR EACH ROW
    EXECUTE FUNCTION @hub@.check_format();

CREATE OR REPLACE FUNCTION @hub@.format_rules(format text) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    rules json := (SELECT json_agg(f.* ORDER BY f.rule) FROM formats f WHERE f.format = format_rules.format);
BEGIN
    IF rules IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no format %s', coalesce(format, 'NULL')),
            DETAIL = format('There are %s.', (SELECT string_agg(DISTINCT f.format, ', ') FROM formats f)),
            HINT = 'A format is made of rows of the table formats.';
    END IF;
    RETURN rules;
END $$;
COMMENT ON FUNCTION @hub@.format_rules(text) IS 'rules of a format, as journey_payload_events takes them';

-- Lock all that touchpoints and evidence touch, where they are recorded in several steps: one after the other would
-- lock the one and then the other. Keys first, as record() claims them: each is put in and taken away, and whoever
-- else records it waits as if it were there. A single identifier that is known tells nothing with a touchpoint.
CREATE OR REPLACE FUNCTION @hub@.hold(recorded @hub@.observation[], identified @hub@.observation[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    claimed tid[];
BEGIN
    WITH claimed AS (
        INSERT INTO touchpoint_keys AS k (source, source_key, touchpoint_id, occurred_at)
        SELECT u.source, u.source_key, 0, '-infinity'
        FROM (SELECT o.source, o.source_key FROM unnest(recorded) o UNION SELECT o.source, o.source_key
              FROM unnest(identified) o) u
        WHERE u.source_key IS NOT NULL
        ORDER BY u.source_key COLLATE "C", u.source COLLATE "C"
        ON CONFLICT ON CONSTRAINT touchpoint_keys_pkey DO NOTHING
        RETURNING k.ctid
    )
    SELECT array_agg(c.ctid) INTO claimed FROM claimed c;
    DELETE FROM touchpoint_keys k WHERE k.ctid = ANY (claimed);
    PERFORM lock_ahead('{}', array(
        SELECT DISTINCT g.identifier
        FROM (SELECT o.identifiers FROM unnest(identified) o
              UNION ALL
              SELECT o.identifiers
              FROM unnest(recorded) o
                   LEFT JOIN LATERAL (SELECT i.identity_id FROM identities i
                                      WHERE cardinality(o.identifiers) = 1
                                          AND i.identifier = o.identifiers[1] OFFSET 0) i ON true
              WHERE i.identity_id IS NULL) u
             CROSS JOIN LATERAL unnest(u.identifiers) g(identifier)));
END $$;
COMMENT ON FUNCTION @hub@.hold(@hub@.observation[], @hub@.observation[]) IS
    'lock all that will be recorded, and identified, until the transaction ends';

CREATE OR REPLACE FUNCTION @hub@.told_by(events @hub@.event[]) RETURNS @hub@.observation[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array(SELECT ROW(e.identifiers, e.occurred_at, e.source, e.source_key)::@hub@.observation
             FROM unnest(told_by.events) e);
COMMENT ON FUNCTION @hub@.told_by(@hub@.event[]) IS 'what events tell of who is who';

-- What one of them breaks must not keep out the others: where a set fails, a thousand are tried at a time, of these
-- halves, and few one by one. What is wrong whatever is there already is known for all at once, and tried alone: so it
-- does not matter for the others how much of that there is. Errors that are not the data's pass through: of
-- serialization, locks, privileges, memory, cancelling. Returns the numbers of the touchpoints that were stored, and
-- what was refused, why: events are counted first, and then observations.
CREATE OR REPLACE FUNCTION @hub@.record_good(
    events @hub@.event[], observations @hub@.observation[],
    OUT touchpoints bigint[], OUT refused integer[], OUT reasons text[], OUT sqlstates text[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    before CONSTANT integer := coalesce(cardinality(events), 0);  -- the observations
    size CONSTANT integer := before + coalesce(cardinality(observations), 0);
    part record;           -- numbers of what is tried together,
    some_events event[];   -- and what it is
    some_observations observation[];
    found integer;         -- events among it
    -- what is still to be done of it, the last first
    firsts integer[];
    lasts integer[];
    first integer;
    last integer;
    o observation;
BEGIN
    touchpoints := '{}';
    refused := '{}';
    reasons := '{}';
    sqlstates := '{}';
    IF size > 1 THEN
        BEGIN
            touchpoints := record_events(events, sent_again => true, observations => observations);
            RETURN;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR name_too_long OR program_limit_exceeded
                       OR raise_exception THEN
            NULL;
        END;
        PERFORM hold(told_by(events), observations);
    END IF;
    FOR part IN
        SELECT array_agg(f.n ORDER BY f.n) AS places
        FROM (SELECT g.n, g.state, (row_number() OVER (PARTITION BY g.state IS NULL ORDER BY g.n) - 1) / 1000 AS part
              FROM (SELECT u.n, u.state
                    FROM unnest(CASE WHEN size > 1 THEN (flaws_of_rows(events, NULL, NULL, NULL)).states
                                                        || (flaws_of_rows(NULL, observations, NULL, NULL)).states
                                     ELSE '{NULL}' END) WITH ORDINALITY u(state, n)) g) f
        GROUP BY CASE WHEN f.state IS NULL THEN f.part ELSE -f.n END ORDER BY 1
    LOOP
        some_events := array(SELECT events[p.n] FROM unnest(part.places) p(n) WHERE p.n <= before);
        some_observations := array(SELECT observations[p.n - before] FROM unnest(part.places) p(n) WHERE p.n > before);
        found := cardinality(some_events);
        firsts := '{1}';
        lasts := ARRAY[cardinality(part.places)];
        WHILE firsts <> '{}' LOOP
            first := firsts[cardinality(firsts)];
            last := lasts[cardinality(lasts)];
            firsts := trim_array(firsts, 1);
            lasts := trim_array(lasts, 1);
            BEGIN
                -- one alone is quicker by the functions for one
                IF first < last THEN
                    touchpoints := touchpoints
                        || record_events(some_events[first:least(last, found)], sent_again => true,
                                         observations => some_observations[greatest(first - found, 1):last - found]);
                ELSIF first > found THEN
                    o := some_observations[first - found];
                    PERFORM identify(o.identifiers, o.observed_at, o.source, o.source_key);
                ELSE
                    touchpoints := touchpoints || record_one(some_events[first], true);
                END IF;
            EXCEPTION WHEN data_exception OR integrity_constraint_violation OR name_too_long OR program_limit_exceeded
                           OR raise_exception THEN
                IF first = last THEN
                    refused := refused || part.places[first]::integer;
                    reasons := reasons || SQLERRM;
                    sqlstates := sqlstates || SQLSTATE;
                ELSIF last - first < 16 THEN
                    firsts := firsts || array(SELECT generate_series(last, first, -1));
                    lasts := lasts || array(SELECT generate_series(last, first, -1));
                ELSE
                    firsts := firsts || ARRAY[(first + last) / 2 + 1, first];
                    lasts := lasts || ARRAY[last, (first + last) / 2];
                END IF;
            END;
        END LOOP;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.record_good(@hub@.event[], @hub@.observation[]) IS
    'record events and observations, but for those that are refused';

-- What systems call granted, denied, withdrawn and expired. A consent may be an object, with the names of consents, or
-- those of Unomi. To try a time takes a subtransaction, which is not for parallel queries.
CREATE OR REPLACE FUNCTION @hub@.read_consents(
    consents jsonb, OUT purpose text, OUT channel text, OUT state text, OUT basis text, OUT text_version text,
    OUT given_at timestamptz, OUT valid_until timestamptz, OUT flaw text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 3 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    name text;
    value jsonb;
    told text;
BEGIN
    FOR name, value IN SELECT e.key, e.value FROM jsonb_each(consents) e LOOP
        CONTINUE WHEN value = 'null';
        purpose := coalesce(value ->> 'typeIdentifier', regexp_replace(name, '/[^/]*$', ''));
        channel := CASE WHEN value ? 'typeIdentifier' THEN '*'
                        ELSE coalesce(nullif(substring(name FROM '/([^/]*)$'), ''), '*') END;
        told := CASE WHEN jsonb_typeof(value) = 'object' THEN coalesce(value ->> 'state', value ->> 'status')
                    ELSE value #>> '{}' END;
        basis := CASE WHEN jsonb_typeof(value) = 'object' THEN nullif(value ->> 'basis', '') END;
        text_version := CASE WHEN jsonb_typeof(value) = 'object' THEN nullif(value ->> 'text_version', '') END;
        flaw := NULL;
        given_at := NULL;
        valid_until := NULL;
        state := CASE
            WHEN lower(told) IN ('granted', 'grant', 'true', 'yes', 'allow', 'allowed', 'accepted', 'opt_in', 'opt-in',
                                 'opted_in', 'subscribed', 'signup', 'resume', 'start', '1') THEN 'granted'
            WHEN lower(told) IN ('denied', 'deny', 'false', 'no', 'declined', 'rejected', 'refused', '0') THEN 'denied'
            WHEN lower(told) IN ('withdrawn', 'revoked', 'stop', 'unsubscribed', 'opt_out', 'opt-out', 'opted_out')
                THEN 'withdrawn'
            WHEN lower(told) = 'expired' THEN 'expired' END;
        IF state IS NULL THEN
            flaw := format('consent to %s is none of granted, denied, withdrawn and expired: %s', left(name, 60),
                           left(value::text, 60));
        ELSIF octet_length(purpose) NOT BETWEEN 1 AND 255 OR octet_length(channel) > 255
              OR octet_length(basis) > 255 OR octet_length(text_version) > 255 THEN
            flaw := 'purpose, channel, basis and text_version of a consent must have 1 to 255 bytes';
        ELSIF jsonb_typeof(value) = 'object' THEN
            BEGIN
                given_at := coalesce(value ->> 'given_at', value ->> 'statusDate');
                valid_until := coalesce(value ->> 'valid_until',
                                        CASE state WHEN 'granted' THEN value ->> 'revokeDate' END);
                IF value ? 'valid_until' THEN
                    given_at := CASE WHEN isfinite(given_at) THEN given_at END;
                    IF valid_until <= coalesce(given_at, now()) THEN  -- then it was over: it must not last for ever
                        state := CASE state WHEN 'granted' THEN 'expired' ELSE state END;
                        valid_until := NULL;
                    END IF;
                ELSIF NOT isfinite(given_at) OR valid_until <= given_at THEN
                    valid_until := NULL;
                END IF;
                given_at := CASE WHEN isfinite(given_at) THEN given_at END;
            EXCEPTION WHEN data_exception THEN
                flaw := format('a time of consent to %s can''t be read: %s', left(name, 60), left(value::text, 60));
            END;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.read_consents(jsonb) IS
    'what a payload says of consent, by purpose or purpose/channel; flaw: what of it can''t be read';

-- Some payloads: so many that what they make stays in memory. All is recorded in one call, which locks it in one order;
-- who calls this several times has locked it before. What is retried is limited to the items that were rejected, and to
-- what stands in them.
CREATE OR REPLACE FUNCTION @hub@.ingest_some(
    payloads text[], format text, rules json, retried bigint[],
    OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint, OUT rejected bigint,
    OUT told_ids bigint[], OUT told_traits jsonb[], OUT told_consents jsonb[], OUT told_ats timestamptz[])
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    events event[];
    event_payloads integer[];
    event_items text[];
    event_traits jsonb[];
    event_consents jsonb[];
    observations observation[];
    observation_payloads integer[];
    observation_items text[];
    observation_traits jsonb[];
    observation_consents jsonb[];
    bare boolean[];  -- which of them are none, but for what they tell
    told observation[];
    wrong_payloads integer[];
    wrong_items text[];
    wrong_reasons text[];
    wrong_states text[];
    suppressed record;
    unkept integer[] := '{}';  -- payloads that name somebody who is suppressed
    newest bigint;
    stored record;
    tells boolean;           -- traits, or consents
    received timestamptz[];  -- when what is retried came in,
    wanted jsonb;            -- and which items of it are, a key for each: there may be a million of them
BEGIN
    IF retried IS NOT NULL THEN
        SELECT coalesce(jsonb_object_agg(u.n || i.item, true), '{}') INTO wanted
        FROM unnest(retried) WITH ORDINALITY u(rejected_id, n) JOIN rejected r ON r.rejected_id = u.rejected_id
             CROSS JOIN LATERAL unnest(r.items) i(item);
        received := array(SELECT r.received_at
                          FROM unnest(retried) WITH ORDINALITY u(rejected_id, n)
                               LEFT JOIN rejected r ON r.rejected_id = u.rejected_id
                          ORDER BY u.n);
    END IF;
    -- in the order they came in. What has come without a time, and comes again, has the time it had
    SELECT array_agg(ROW(f.identifiers, f.at, f.channel, f.action, f.value, f.currency, f.direction, f.conversation,
                         f.agent, f.campaign, format, f.source_key, f.attributes, f.subject, f.url)::event)
                             FILTER (WHERE f.is_event),
           array_agg(f.payload) FILTER (WHERE f.is_event),
           array_agg(f.item) FILTER (WHERE f.is_event),
           array_agg(f.traits) FILTER (WHERE f.is_event),
           array_agg(f.consents) FILTER (WHERE f.is_event),
           array_agg(ROW(f.identifiers, f.at, format, f.source_key)::observation) FILTER (WHERE f.is_seen),
           array_agg(f.payload) FILTER (WHERE f.is_seen),
           array_agg(f.item) FILTER (WHERE f.is_seen),
           array_agg(f.traits) FILTER (WHERE f.is_seen),
           array_agg(f.consents) FILTER (WHERE f.is_seen),
           array_agg(f.kind = 'traits') FILTER (WHERE f.is_seen),
           coalesce(array_agg(f.payload) FILTER (WHERE f.is_wrong), '{}'),
           coalesce(array_agg(f.item) FILTER (WHERE f.is_wrong), '{}'),
           coalesce(array_agg(f.reason) FILTER (WHERE f.is_wrong), '{}'),
           coalesce(array_agg(f.sqlstate) FILTER (WHERE f.is_wrong), '{}'),
           coalesce(bool_or(f.traits IS NOT NULL OR f.consents IS NOT NULL), false)
    INTO events, event_payloads, event_items, event_traits, event_consents, observations, observation_payloads,
         observation_items, observation_traits, observation_consents, bare,
         wrong_payloads, wrong_items, wrong_reasons, wrong_states, tells
    FROM (SELECT p.payload, p.item, p.kind, coalesce(c.flaw, p.reason) AS reason,
                 CASE WHEN c.flaw IS NULL THEN p.sqlstate ELSE '22023' END AS sqlstate,
                 p.identifiers, p.channel, p.action, p.value,
                 p.currency, p.direction, p.conversation, p.agent, p.campaign, p.source_key, p.attributes, p.subject,
                 p.url, p.traits, p.consents, p.kind = 'touchpoint' AND c.flaw IS NULL AS is_event,
                 p.kind IN ('evidence', 'traits') AND c.flaw IS NULL AS is_seen,
                 p.kind = 'rejected' OR c.flaw IS NOT NULL AS is_wrong,
                 coalesce(p.occurred_at,
                          (SELECT k.occurred_at FROM touchpoint_keys k
                           WHERE k.source = format AND k.source_key = p.source_key),
                          received[p.payload], now()) AS at
          FROM journey_payload_events(payloads, rules) p
               CROSS JOIN LATERAL (SELECT CASE WHEN p.consents IS NOT NULL
                                               THEN (SELECT min(r.flaw) FROM read_consents(p.consents) r) END AS flaw
                                   OFFSET 0) c
          WHERE retried IS NULL OR received[p.payload] IS NULL OR p.item = ''
                OR EXISTS (SELECT FROM string_to_array(p.item, '/') s(parts),
                           generate_series(1, cardinality(s.parts)) d(depth)
                           WHERE wanted ? (p.payload || array_to_string(s.parts[:d.depth], '/')))
          OFFSET 0) f;

    IF true = ANY (bare) THEN
        observations := array(
            SELECT CASE WHEN o.bare THEN ROW(ARRAY[o.bearer], o.observed_at, o.source, NULL)::observation
                        ELSE ROW(o.identifiers, o.observed_at, o.source, o.source_key)::observation END
            FROM ROWS FROM (unnest(bare), unnest(bearers(observations)), unnest(observations))
                     WITH ORDINALITY o(bare, bearer)
            ORDER BY o.ordinality);
    END IF;
    IF journey_pass('suppressions') THEN
        SELECT n.of_events, n.of_observations, n.any_is INTO suppressed
        FROM names_suppressed(events, observations, NULL) n;
        IF suppressed.any_is THEN
            unkept := array(SELECT u.payload
                            FROM ROWS FROM (unnest(suppressed.of_events || suppressed.of_observations),
                                            unnest(event_payloads || observation_payloads)) u(gone, payload)
                            WHERE u.gone);
            PERFORM count_suppressed(format, count(*) FILTER (WHERE u.n <= coalesce(cardinality(events), 0)),
                                     count(*) FILTER (WHERE u.n > coalesce(cardinality(events), 0)))
            FROM unnest(suppressed.of_events || suppressed.of_observations) WITH ORDINALITY u(gone, n)
            WHERE u.gone;
            SELECT array_agg(u.event ORDER BY u.n), array_agg(u.payload ORDER BY u.n), array_agg(u.item ORDER BY u.n),
                   array_agg(u.traits ORDER BY u.n), array_agg(u.consents ORDER BY u.n)
            INTO events, event_payloads, event_items, event_traits, event_consents
            FROM (SELECT generate_subscripts(suppressed.of_events, 1) AS n, unnest(suppressed.of_events) AS gone,
                         unnest(events) AS event, unnest(event_payloads) AS payload, unnest(event_items) AS item,
                         unnest(event_traits) AS traits, unnest(event_consents) AS consents) u
            WHERE NOT u.gone;
            SELECT array_agg(u.observation ORDER BY u.n), array_agg(u.payload ORDER BY u.n),
                   array_agg(u.item ORDER BY u.n), array_agg(u.traits ORDER BY u.n), array_agg(u.consents ORDER BY u.n)
            INTO observations, observation_payloads, observation_items, observation_traits, observation_consents
            FROM (SELECT generate_subscripts(suppressed.of_observations, 1) AS n,
                         unnest(suppressed.of_observations) AS gone, unnest(observations) AS observation,
                         unnest(observation_payloads) AS payload, unnest(observation_items) AS item,
                         unnest(observation_traits) AS traits, unnest(observation_consents) AS consents) u
            WHERE NOT u.gone;
        END IF;
    END IF;
    touchpoints := 0;
    duplicates := 0;
    evidence := coalesce(cardinality(observations), 0);
    IF events IS NOT NULL OR observations IS NOT NULL THEN
        newest := nextval('touchpoints_touchpoint_id_seq');
        stored := record_good(events, observations);
        touchpoints := (SELECT count(DISTINCT t.id) FROM unnest(stored.touchpoints) t(id) WHERE t.id > newest);
        duplicates := cardinality(stored.touchpoints) - touchpoints;
        evidence := evidence - (SELECT count(*) FROM unnest(stored.refused) r(n)
                                WHERE r.n > coalesce(cardinality(events), 0));
        wrong_payloads := wrong_payloads || array(SELECT (event_payloads || observation_payloads)[r.n]
                                                  FROM unnest(stored.refused) r(n));
        wrong_items := wrong_items || array(SELECT (event_items || observation_items)[r.n]
                                            FROM unnest(stored.refused) r(n));
        wrong_reasons := wrong_reasons || stored.reasons;
        wrong_states := wrong_states || stored.sqlstates;
    END IF;
    IF tells AND (events IS NOT NULL OR observations IS NOT NULL) THEN
        SELECT array_agg(ROW(e.identifiers, e.at, NULL, NULL)::observation ORDER BY e.n),
               array_agg(e.traits ORDER BY e.n), array_agg(e.consents ORDER BY e.n)
        INTO told, told_traits, told_consents
        FROM (SELECT u.ordinality AS n, u.traits, u.consents, u.identifiers, u.occurred_at AS at
              FROM ROWS FROM (unnest(event_traits), unnest(event_consents), unnest(events))
                       WITH ORDINALITY u(traits, consents)
              UNION ALL
              SELECT u.ordinality + coalesce(cardinality(events), 0), u.traits, u.consents, u.identifiers, u.observed_at
              FROM ROWS FROM (unnest(observation_traits), unnest(observation_consents), unnest(observations))
                       WITH ORDINALITY u(traits, consents)) e
        WHERE (e.traits IS NOT NULL OR e.consents IS NOT NULL) AND e.n NOT IN (SELECT unnest(stored.refused));
    END IF;
    IF told IS NOT NULL THEN
        told_ats := array(SELECT o.observed_at FROM unnest(told) WITH ORDINALITY o ORDER BY o.ordinality);
        told_ids := identities_for(bearers(told), told_ats);
    END IF;
    IF unkept <> '{}' AND wrong_payloads && unkept THEN
        -- a payload that names somebody who is suppressed is not kept
        PERFORM count_suppressed(format, 0, count(*)) FROM unnest(wrong_payloads) u(n) WHERE u.n = ANY (unkept);
        SELECT coalesce(array_agg(u.payload ORDER BY u.n), '{}'), array_agg(u.item ORDER BY u.n),
               array_agg(u.reason ORDER BY u.n), array_agg(u.state ORDER BY u.n)
        INTO wrong_payloads, wrong_items, wrong_reasons, wrong_states
        FROM unnest(wrong_payloads, wrong_items, wrong_reasons, wrong_states)
             WITH ORDINALITY u(payload, item, reason, state, n)
        WHERE u.payload <> ALL (unkept);
    END IF;
    rejected := cardinality(wrong_payloads);
    IF rejected > 0 THEN
        INSERT INTO rejected (received_at, format, payload, items, reason, sqlstate)
        SELECT coalesce(r.received_at, now()), format, p.payload, w.items, w.reason, w.sqlstate
        FROM (SELECT u.payload AS n, array_agg(u.item ORDER BY u.ord) AS items,
                     string_agg(DISTINCT u.reason, E'\n') AS reason, min(u.sqlstate) AS sqlstate
              FROM unnest(wrong_payloads, wrong_items, wrong_reasons,
                          wrong_states) WITH ORDINALITY u(payload, item, reason, sqlstate, ord)
              GROUP BY u.payload) w
             JOIN unnest(payloads) WITH ORDINALITY p(payload, n) ON p.n = w.n
             LEFT JOIN unnest(retried) WITH ORDINALITY u(rejected_id, n) ON u.n = w.n
             LEFT JOIN rejected r ON r.rejected_id = u.rejected_id
        ORDER BY w.n;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.ingest_some(text[], text, json, bigint[]) IS
    'take in some payloads by the rules of a format; if they are retried, of rows of rejected. Returns what is to be '
    'stored of traits and consents, besides: of all payloads at once, so that rows are locked in one order';

-- A system says the same again and again, as with each event what its banner was told: that is nothing new.
CREATE OR REPLACE FUNCTION @hub@.store_told(ids bigint[], traits jsonb[], consents jsonb[], source text,
                                            ats timestamptz[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    said_ids bigint[];
    said consent[];
BEGIN
    IF EXISTS (SELECT FROM unnest(traits) u(traits) WHERE u.traits IS NOT NULL) THEN
        PERFORM store_traits(ids, traits, source, ats);
    END IF;
    SELECT array_agg(n.id ORDER BY n.n),
           array_agg(ROW(NULL, n.purpose, n.channel, n.state, n.basis, source, n.text_version, n.at, n.until)::consent
                     ORDER BY n.n)
    INTO said_ids, said
    FROM (SELECT r.id, r.purpose, r.channel, r.state, r.basis, r.text_version, r.at, r.until,
                 row_number() OVER () AS n, lag(ROW(r.at, r.state, r.until, r.basis, r.text_version)) OVER w AS told,
                 lag(r.at) OVER w AS told_at
          FROM (SELECT u.id, r.purpose, r.channel, r.state, coalesce(r.basis, 'consent') AS basis, r.text_version,
                       coalesce(r.given_at, u.at) AS at, r.valid_until AS until
                FROM unnest(ids, consents, ats) u(id, consents, at) CROSS JOIN LATERAL read_consents(u.consents) r
                WHERE u.consents IS NOT NULL OFFSET 0) r
          WINDOW w AS (PARTITION BY r.id, r.purpose, r.channel ORDER BY r.at, r.state, r.until)) n
         LEFT JOIN LATERAL (SELECT ROW(c.given_at, c.state, c.valid_until, c.basis, c.text_version) AS told, c.given_at
                            FROM consents c
                            WHERE c.identity_id = n.id AND c.purpose = n.purpose AND c.channel = n.channel
                                  AND c.source = store_told.source AND c.given_at <= n.at
                            ORDER BY c.given_at DESC, c.state DESC LIMIT 1) k ON true
    WHERE CASE WHEN k.given_at IS NULL AND n.told_at IS NULL THEN true
               WHEN k.given_at IS NULL OR n.told_at >= k.given_at
               THEN n.told IS DISTINCT FROM ROW(n.told_at, n.state, n.until, n.basis, n.text_version)
               ELSE k.told IS DISTINCT FROM ROW(k.given_at, n.state, n.until, n.basis, n.text_version) END;
    IF said_ids IS NOT NULL THEN
        PERFORM store_consents(said_ids, said);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.store_told(bigint[], jsonb[], jsonb[], text, timestamptz[]) IS
    'note what payloads said of identities, each as of a time: traits, and consents where they are not what the source'
    ' has said before';

CREATE OR REPLACE FUNCTION @hub@.ingest_payloads(
    payloads text[], format text, OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint,
    OUT rejected bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    rules json;
    size CONSTANT integer := coalesce(cardinality(payloads), 0);
    at_once CONSTANT integer := 100000;  -- what they make stays in memory
    part record;
    told_ids bigint[];
    told_traits jsonb[];
    told_consents jsonb[];
    told_ats timestamptz[];
BEGIN
    IF NOT has_table_privilege('touchpoint_keys', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    PERFORM journey_pass('suppressions');
    rules := format_rules(format);
    IF array_ndims(payloads) > 1 OR array_lower(payloads, 1) <> 1 THEN
        payloads := array(SELECT unnest(payloads));
    END IF;
    IF size > at_once THEN
        PERFORM hold(array_agg(ROW(f.identifiers, f.occurred_at, format, f.source_key)::observation)
                     FILTER (WHERE f.kind = 'touchpoint'),
                     array_agg(ROW(f.identifiers, f.occurred_at, format, f.source_key)::observation)
                         FILTER (WHERE f.kind IN ('evidence', 'traits')))
        FROM journey_payload_events(payloads, rules) f;
    END IF;
    touchpoints := 0;
    duplicates := 0;
    evidence := 0;
    rejected := 0;
    FOR n IN 1 .. size BY at_once LOOP
        part := ingest_some(payloads[n : n + at_once - 1], format, rules, NULL);
        touchpoints := touchpoints + part.touchpoints;
        duplicates := duplicates + part.duplicates;
        evidence := evidence + part.evidence;
        rejected := rejected + part.rejected;
        told_ids := told_ids || part.told_ids;
        told_traits := told_traits || part.told_traits;
        told_consents := told_consents || part.told_consents;
        told_ats := told_ats || part.told_ats;
        IF size > at_once THEN
            RAISE NOTICE USING MESSAGE = format('ingest of %s: %s of %s payloads', format, least(n + at_once - 1, size),
                                                size);
        END IF;
    END LOOP;
    IF told_ids IS NOT NULL THEN
        PERFORM store_told(told_ids, told_traits, told_consents, format, told_ats);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.ingest_payloads(text[], text) IS 'take in payloads';

CREATE OR REPLACE FUNCTION @hub@.ingest(
    payload text, format text, OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT * FROM @hub@.ingest_payloads(ARRAY[ingest.payload], ingest.format);
END;
COMMENT ON FUNCTION @hub@.ingest(text, text) IS
    'take in a payload of another system; returns how many touchpoints and how much evidence it made, and how much '
    'of it was rejected';

CREATE OR REPLACE FUNCTION @hub@.ingest(
    payload json, format text, OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT * FROM @hub@.ingest_payloads(ARRAY[ingest.payload::text], ingest.format);
END;
COMMENT ON FUNCTION @hub@.ingest(json, text) IS
    'take in a payload of another system; returns how many touchpoints and how much evidence it made, and how much '
    'of it was rejected';

CREATE OR REPLACE FUNCTION @hub@.ingest(
    payload jsonb, format text, OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT * FROM @hub@.ingest_payloads(ARRAY[ingest.payload::text], ingest.format);
END;
COMMENT ON FUNCTION @hub@.ingest(jsonb, text) IS
    'take in a payload of another system; returns how many touchpoints and how much evidence it made, and how much '
    'of it was rejected';

CREATE OR REPLACE FUNCTION @hub@.ingest_many(
    payloads text[], format text, OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint,
    OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT * FROM @hub@.ingest_payloads(ingest_many.payloads, ingest_many.format);
END;
COMMENT ON FUNCTION @hub@.ingest_many(text[], text) IS 'take in many payloads at once; returns what all of them made';

CREATE OR REPLACE FUNCTION @hub@.ingest_many(
    payloads json[], format text, OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint,
    OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT * FROM @hub@.ingest_payloads(ingest_many.payloads::text[], ingest_many.format);
END;
COMMENT ON FUNCTION @hub@.ingest_many(json[], text) IS 'take in many payloads at once; returns what all of them made';

CREATE OR REPLACE FUNCTION @hub@.ingest_many(
    payloads jsonb[], format text, OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint,
    OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT * FROM @hub@.ingest_payloads(ingest_many.payloads::text[], ingest_many.format);
END;
COMMENT ON FUNCTION @hub@.ingest_many(jsonb[], text) IS 'take in many payloads at once; returns what all of them made';

-- What is text takes literals, and parameters whose type is left open
CREATE OR REPLACE FUNCTION @hub@.ingest_many(
    payloads text, format text, OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT * FROM @hub@.ingest_payloads(ingest_many.payloads::text[], ingest_many.format);
END;
COMMENT ON FUNCTION @hub@.ingest_many(text, text) IS
    'take in many payloads at once, of the text of an array; returns what all of them made';

CREATE OR REPLACE FUNCTION @hub@.ingest_ndjson(
    lines text, format text, OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint, OUT rejected bigint)
LANGUAGE sql
BEGIN ATOMIC
    SELECT * FROM @hub@.ingest_payloads(array(SELECT l.line FROM string_to_table(ingest_ndjson.lines, E'\n') l(line)
                                              WHERE btrim(l.line, E' \t\r') <> ''), ingest_ndjson.format);
END;
COMMENT ON FUNCTION @hub@.ingest_ndjson(text, text) IS
    'take in payloads that stand on a line each; empty lines are none';

CREATE OR REPLACE FUNCTION @hub@.retry_rejected(
    format text, OUT touchpoints bigint, OUT duplicates bigint, OUT evidence bigint, OUT rejected bigint)
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    rules json;
    ids bigint[];
    batch bigint[];
    texts text[];
    done integer := 0;
    part record;
    told_ids bigint[];
    told_traits jsonb[];
    told_consents jsonb[];
    told_ats timestamptz[];
BEGIN
    PERFORM check_may('steward');
    PERFORM journey_pass('suppressions');
    rules := format_rules(format);
    ids := array(SELECT r.rejected_id FROM rejected r WHERE r.format = retry_rejected.format
                 ORDER BY r.rejected_id FOR UPDATE SKIP LOCKED);
    IF cardinality(ids) > 1 THEN
        PERFORM hold(array_agg(ROW(f.identifiers, f.occurred_at, format, f.source_key)::observation)
                     FILTER (WHERE f.kind = 'touchpoint'),
                     array_agg(ROW(f.identifiers, f.occurred_at, format, f.source_key)::observation)
                         FILTER (WHERE f.kind IN ('evidence', 'traits')))
        FROM rejected r CROSS JOIN LATERAL journey_payload_events(ARRAY[r.payload], rules) f
        WHERE r.rejected_id = ANY (ids);
    END IF;
    touchpoints := 0;
    duplicates := 0;
    evidence := 0;
    rejected := 0;
    WHILE done < cardinality(ids) LOOP
        -- as many as there is memory for
        SELECT array_agg(r.rejected_id ORDER BY r.rejected_id),
               array_agg(r.payload ORDER BY r.rejected_id) INTO batch, texts
        FROM (SELECT r.rejected_id, r.payload, sum(octet_length(r.payload)) OVER (ORDER BY r.rejected_id) AS bytes
              FROM rejected r WHERE r.rejected_id = ANY (ids[done + 1 : done + 1000])) r
        WHERE r.rejected_id = ids[done + 1] OR coalesce(r.bytes, 0) <= 64 * 1024 * 1024;
        part := ingest_some(texts, format, rules, batch);
        touchpoints := touchpoints + part.touchpoints;
        duplicates := duplicates + part.duplicates;
        evidence := evidence + part.evidence;
        rejected := rejected + part.rejected;
        DELETE FROM rejected r WHERE r.rejected_id = ANY (batch);
        done := done + cardinality(batch);
        told_ids := told_ids || part.told_ids;
        told_traits := told_traits || part.told_traits;
        told_consents := told_consents || part.told_consents;
        told_ats := told_ats || part.told_ats;
    END LOOP;
    IF told_ids IS NOT NULL THEN
        PERFORM store_told(told_ids, told_traits, told_consents, format, told_ats);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.retry_rejected(text) IS
    'take in what was rejected of a format, after the format or the rules were mended; what is rejected again stays';
