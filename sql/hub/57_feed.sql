-- What attached tables tell: triggers note which rows have changed, and feed() brings the hub in line with them.
--
-- A row is known by its key. Whoever has rows, as they are, and keys of rows that are gone, gives them to apply_rows,
-- which compares them with what the hub has of these keys, and adds, changes and removes what differs: so it does not
-- matter how often a row is looked at, nor what it was before. feed(), the backfill, resync_source and triggers of
-- feed immediate all do so. Rows of which nothing can be made are put into source_rejects.

-- Names of what is made for sources. One that is too long is cut to whole characters, and has a hash of the whole;
-- what ends like a hash has one too, so that none is another's.
CREATE OR REPLACE FUNCTION @hub@.source_object(prefix text, source text) RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(source_object.prefix || '_' || source_object.source) <= 63
                 AND NOT (char_length(source_object.source) >= 32
                          AND translate(right(source_object.source, 32), '0123456789abcdef', '') = '')
            THEN source_object.prefix || '_' || source_object.source
            ELSE (SELECT left(source_object.prefix, max(n.n)) FROM generate_series(0, 30) n(n)
                  WHERE octet_length(left(source_object.prefix, n.n)) <= 30)
                 || '_' || md5(source_object.prefix || '_' || source_object.source) END;
COMMENT ON FUNCTION @hub@.source_object(text, text) IS 'name of a function or trigger that attach_source makes';

-- A data exception, a broken constraint, a name or a value too long, or what a function in the mapping raises, which
-- may be an SQLSTATE of its own: of a class that PostgreSQL has not. But not that the triggers of whoever writes are
-- nested too deep
CREATE OR REPLACE FUNCTION @hub@.is_row_error(state text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN is_row_error.state = '42622' OR is_row_error.state <> '54001'
       AND left(is_row_error.state, 2) <> ALL ('{00,01,02,03,08,09,0A,0B,0F,0L,0P,0Z,10,24,25,26,27,28,2B,2D,34,39,3B,
                                                 3D,3F,40,42,44,53,55,57,58,72,F0,HV,XX}'::text[]);
COMMENT ON FUNCTION @hub@.is_row_error(text) IS 'whether an error is the fault of the row that is stored';

CREATE OR REPLACE FUNCTION @hub@.flaw_of(event @hub@.event, OUT reason text, OUT state text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM check_event(event);
    -- can it be in a journey?
    PERFORM @extschema@.touchpoint(event.occurred_at, event.channel, event.action, event.value);
EXCEPTION WHEN OTHERS THEN
    IF NOT is_row_error(SQLSTATE) THEN
        RAISE;
    END IF;
    reason := SQLERRM;
    state := SQLSTATE;
END $$;
COMMENT ON FUNCTION @hub@.flaw_of(@hub@.event) IS 'why an event is no touchpoint; NULL: it is one';

CREATE OR REPLACE FUNCTION @hub@.reject_rows(source text, keys text[], reasons text[], states text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO source_rejects AS r (source, source_key, reason, sqlstate)
    SELECT DISTINCT ON (u.key) source, u.key, u.reason, u.state FROM unnest(keys, reasons, states) u(key, reason, state)
    ORDER BY u.key
    ON CONFLICT ON CONSTRAINT source_rejects_pkey
    DO UPDATE SET rejected_at = excluded.rejected_at, reason = excluded.reason, sqlstate = excluded.sqlstate;
END $$;
COMMENT ON FUNCTION @hub@.reject_rows(text, text[], text[], text[]) IS 'write down rows that have no touchpoint';

-- What the hub has of rows: the touchpoint, NULL: none; the identifiers as they came in; whether there is evidence
-- between them, its time, and whether it holds; whether the row was rejected. Evidence may be there still when the
-- touchpoint went with its month; what somebody has retracted stays so as long as the row is what it was.
CREATE OR REPLACE FUNCTION @hub@.stored_events(
    source text, keys text[], OUT n bigint, OUT known boolean, OUT identity_id bigint, OUT event @hub@.event,
    OUT identifiers @extschema@.identifier[], OUT told boolean, OUT evidence_ids bigint[],
    OUT observed_at timestamptz, OUT holds boolean, OUT rejected boolean)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    -- mostly there are none of these
    rejects CONSTANT boolean := EXISTS (SELECT FROM source_rejects r WHERE r.source = stored_events.source);
BEGIN
    RETURN QUERY
    SELECT u.n, t.identity_id IS NOT NULL, t.identity_id, t.event,
           CASE WHEN v.source_key IS NOT NULL
                THEN (SELECT array_agg(i.identifier ORDER BY i.identifier)
                      FROM unnest(v.identities) d(id)
                           CROSS JOIN LATERAL (SELECT x.identifier FROM identities x
                                               WHERE x.identity_id = d.id OFFSET 0) i)
                WHEN t.identity_id IS NOT NULL
                THEN ARRAY(SELECT i.identifier FROM identities i WHERE i.identity_id = t.identity_id) END,
           v.source_key IS NOT NULL, v.identities, v.observed_at, v.source_key IS NOT NULL AND v.retracted_at IS NULL,
           r.source_key IS NOT NULL
    FROM unnest(keys) WITH ORDINALITY u(key, n)
         LEFT JOIN LATERAL (SELECT k.touchpoint_id, k.occurred_at FROM touchpoint_keys k
                            WHERE k.source = stored_events.source AND k.source_key = u.key OFFSET 0) k ON true
         LEFT JOIN LATERAL (SELECT t.identity_id,
                                   ROW(NULL, t.occurred_at, t.channel, t.action, t.value, t.currency, t.direction,
                                       t.conversation, t.agent, t.campaign, t.source, t.source_key,
                                       t.attributes, t.subject, t.url)::event AS event
                            FROM touchpoints t
                            WHERE t.touchpoint_id = k.touchpoint_id
                                AND t.occurred_at = k.occurred_at OFFSET 0) t ON true
         LEFT JOIN LATERAL (SELECT v.source_key, v.identities, v.observed_at, v.retracted_at FROM evidence v
                            WHERE v.source = stored_events.source AND v.source_key = u.key OFFSET 0) v ON true
         LEFT JOIN LATERAL (SELECT r.source_key FROM source_rejects r
                            WHERE rejects AND r.source = stored_events.source AND r.source_key = u.key OFFSET 0) r
             ON true;
END $$;
COMMENT ON FUNCTION @hub@.stored_events(text, text[]) IS 'what the hub has of rows of an attached table';

CREATE OR REPLACE FUNCTION @hub@.is_new_to_hub(source text, keys text[]) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    evident CONSTANT boolean := EXISTS (SELECT FROM evidence v WHERE v.source = is_new_to_hub.source);
BEGIN
    RETURN NOT EXISTS (SELECT FROM source_rejects r WHERE r.source = is_new_to_hub.source)
           AND NOT EXISTS (SELECT FROM (SELECT unnest(keys) AS key) u
                                CROSS JOIN LATERAL (SELECT FROM touchpoint_keys k
                                                    WHERE k.source = is_new_to_hub.source AND k.source_key = u.key
                                                    OFFSET 0) k)
           AND NOT EXISTS (SELECT FROM (SELECT unnest(keys) AS key WHERE evident) u
                                CROSS JOIN LATERAL (SELECT FROM evidence v
                                                    WHERE v.source = is_new_to_hub.source AND v.source_key = u.key
                                                    OFFSET 0) v);
END $$;
COMMENT ON FUNCTION @hub@.is_new_to_hub(text, text[]) IS
    'whether the hub has nothing of rows of an attached table, nor rejects of it';

-- Of a row that is only evidence now the evidence stays. Touchpoints go first, so that
-- they name nobody any more when it is looked for whom to forget.
CREATE OR REPLACE FUNCTION @hub@.remove_rows(source text, keys text[], keep_evidence boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    claimed text[];
    ids bigint[];  -- whose touchpoints they were
BEGIN
    PERFORM journey_pass('suppressions');
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- what others have recorded since this snapshot can't be seen, but this collides with it
        WITH claim AS (
            INSERT INTO touchpoint_keys AS k (source, source_key, touchpoint_id, occurred_at)
            SELECT source, u.key, 0, '-infinity' FROM unnest(keys) u(key)
            ON CONFLICT ON CONSTRAINT touchpoint_keys_pkey DO NOTHING RETURNING k.source_key
        )
        SELECT array_agg(c.source_key) INTO claimed FROM claim c;
        DELETE FROM touchpoint_keys k WHERE k.source = remove_rows.source AND k.source_key = ANY (claimed);
    END IF;
    WITH gone AS (
        DELETE FROM touchpoints t
        USING unnest(keys) u(key)
             CROSS JOIN LATERAL (SELECT * FROM touchpoint_keys k WHERE k.source = remove_rows.source
                                 AND k.source_key = u.key OFFSET 0) k
        WHERE t.touchpoint_id = k.touchpoint_id AND t.occurred_at = k.occurred_at
        RETURNING t.identity_id
    )
    SELECT array_agg(DISTINCT g.identity_id) INTO ids FROM gone g;
    -- the keys went along, but for those whose touchpoint is gone already: with a partition that was detached, say
    DELETE FROM touchpoint_keys k WHERE k.source = remove_rows.source AND k.source_key = ANY (keys);
    IF NOT keep_evidence THEN
        PERFORM set_aside(source, keys);
    END IF;
    PERFORM forget_some(ids);
END $$;
COMMENT ON FUNCTION @hub@.remove_rows(text, text[], boolean) IS
    'remove touchpoints of rows, and retract their evidence, or keep it';

-- Touchpoints of rows that mean something else now. others: in which others are seen, or evidence that holds has
-- another time.
CREATE OR REPLACE FUNCTION @hub@.change_rows(source text, events @hub@.event[], others boolean[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    keys text[];                         -- of rows that were seen with other identifiers,
    observations observation[];          -- and what was seen now
    ids bigint[];                        -- who may be named no more
    identities bigint[];
BEGIN
    SELECT array_agg(e.source_key ORDER BY e.ordinality),
           array_agg(ROW(e.identifiers, e.occurred_at, e.source, e.source_key)::observation ORDER BY e.ordinality)
    INTO keys, observations
    FROM ROWS FROM (unnest(others), unnest(events)) WITH ORDINALITY e(other)
    WHERE e.other;
    IF keys <> '{}' THEN
        IF (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row) THEN
            ids := array(SELECT DISTINCT i.id FROM stored_events(source, keys) e
                         CROSS JOIN LATERAL unnest(e.evidence_ids || e.identity_id) i(id));
        END IF;
        identities := (SELECT r.identities FROM replace_evidence(source, keys, observations) r);
    END IF;

    UPDATE touchpoints t
    SET identity_id = coalesce(e.identity_id, t.identity_id), occurred_at = e.occurred_at, channel = e.channel,
        action = e.action,
        value = e.value, currency = e.currency, direction = e.direction, conversation = e.conversation, agent = e.agent,
        campaign = e.campaign, attributes = e.attributes, subject = e.subject, url = e.url
    FROM (SELECT u.source_key, u.occurred_at, u.channel, u.action, u.value, u.currency, u.direction, u.conversation,
                 u.agent, u.campaign, u.attributes, u.subject, u.url,
                 CASE WHEN u.other
                      THEN identities[count(*) FILTER (WHERE u.other) OVER (ORDER BY u.ordinality)] END AS identity_id
          FROM ROWS FROM (unnest(others), unnest(events)) WITH ORDINALITY u(other)) e
         CROSS JOIN LATERAL (SELECT * FROM touchpoint_keys k WHERE k.source = change_rows.source
                             AND k.source_key = e.source_key OFFSET 0) k
    WHERE t.touchpoint_id = k.touchpoint_id AND t.occurred_at = k.occurred_at;
    PERFORM forget_some(ids);
END $$;
COMMENT ON FUNCTION @hub@.change_rows(text, @hub@.event[], boolean[]) IS 'change touchpoints of rows';

-- What is fresh may have evidence: of its row when it was no touchpoint, or that somebody has retracted.
CREATE OR REPLACE FUNCTION @hub@.store_some(source text, events @hub@.event[], others boolean[],
                                            observations @hub@.observation[], history boolean) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off
AS $$
#variable_conflict use_variable
DECLARE
    told observation[];
BEGIN
    IF observations IS NOT NULL THEN
        PERFORM replace_evidence(source, array(SELECT o.source_key FROM unnest(observations) o), observations);
        RETURN;
    ELSIF others IS NOT NULL THEN
        PERFORM change_rows(source, events, others);
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM evidence v WHERE v.source = store_some.source) THEN
        told := array(SELECT ROW(e.identifiers, e.occurred_at, e.source, e.source_key)::observation
                      FROM unnest(events) e
                           CROSS JOIN LATERAL (SELECT FROM evidence v
                                               WHERE v.source = store_some.source AND v.source_key = e.source_key
                                               OFFSET 0) v);
    END IF;
    IF told <> '{}' THEN
        PERFORM replace_evidence(source, array(SELECT o.source_key FROM unnest(told) o), told);
    END IF;
    IF cardinality(events) = 1 AND NOT history THEN
        PERFORM record_one(events[1], false);
    ELSE
        PERFORM record_events(events, history => history);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.store_some(text, @hub@.event[], boolean[], @hub@.observation[], boolean) IS
    'add touchpoints; with others, change them; or see observations';

-- As many as can be; the others are rejected. A touchpoint that breaks a constraint is tried again: it may have been on
-- its way to the default partition while one of its month was made. Before some are tried after others all that they
-- will lock is locked.
CREATE OR REPLACE FUNCTION @hub@.store_rows(
    source text, events @hub@.event[], others boolean[], observations @hub@.observation[], history boolean,
    again boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    half CONSTANT integer := coalesce(cardinality(events), cardinality(observations)) / 2;
    first_key text;
BEGIN
    PERFORM store_some(source, events, others, observations, history);
EXCEPTION WHEN OTHERS THEN
    IF NOT is_row_error(SQLSTATE) THEN
        RAISE;
    ELSIF SQLSTATE = '23514' AND NOT again THEN
        PERFORM store_rows(source, events, others, observations, history, true);
    ELSIF half > 0 THEN
        IF NOT again THEN
            PERFORM lock_ahead(array(SELECT DISTINCT i.id
                                     FROM stored_events(source, array(SELECT n.source_key FROM unnest(events) n
                                                                      UNION ALL
                                                                      SELECT o.source_key
                                                                      FROM unnest(observations) o)) e
                                          CROSS JOIN LATERAL unnest(e.evidence_ids) i(id)),
                               array(SELECT i.identifier FROM unnest(events) n
                                            CROSS JOIN LATERAL unnest(n.identifiers) i(identifier)
                                     UNION
                                     SELECT i.identifier FROM unnest(observations) o
                                            CROSS JOIN LATERAL unnest(o.identifiers) i(identifier)));
        END IF;
        PERFORM store_rows(source, events[:half], others[:half], observations[:half], history, true),
                store_rows(source, events[half + 1:], others[half + 1:], observations[half + 1:], history, true);
    ELSE
        first_key := coalesce(events[1].source_key, observations[1].source_key);
        PERFORM remove_rows(source, ARRAY[first_key]),
                reject_rows(source, ARRAY[first_key], ARRAY[SQLERRM], ARRAY[SQLSTATE]);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.store_rows(text, @hub@.event[], boolean[], @hub@.observation[], boolean, boolean) IS
    'add or change what rows tell, and write down what can''t be stored';

-- Why a row can't be what its mapping makes of it. Those that were in the journeys are not looked for: there is one
-- error for all of them.
CREATE OR REPLACE FUNCTION @hub@.flaws_of_rows(
    events @hub@.event[], observations @hub@.observation[], INOUT reasons text[], INOUT states text[])
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    flawed boolean := false;
    flaw record;
    i integer;
BEGIN
    i := coalesce(cardinality(events), cardinality(observations), 0);
    reasons := coalesce(reasons, array_fill(NULL::text, ARRAY[i]));
    states := coalesce(states, array_fill(NULL::text, ARRAY[i]));
    BEGIN
        PERFORM @extschema@.touchpoint((u.event).occurred_at, (u.event).channel, (u.event).action, (u.event).value)
        FROM (SELECT unnest(events) AS event) u
        WHERE (u.event).occurred_at IS NOT NULL AND (u.event).channel IS NOT NULL AND (u.event).action IS NOT NULL;
    EXCEPTION WHEN data_exception OR name_too_long THEN
        flawed := true;
    END;
    flawed := flawed OR (SELECT count(*) < 2
                         FROM (SELECT min(u.at) AS first, max(u.at) AS last
                               FROM unnest(journey_field(events, 'occurred_at', '{}'::timestamptz[])
                                           || journey_field(observations, 'observed_at', '{}'::timestamptz[])) u(at)) t
                              CROSS JOIN LATERAL (VALUES (t.first), (t.last)) v(at)
                         WHERE time_is_plausible(v.at));
    FOR i IN
        SELECT u.n
        FROM (SELECT generate_subscripts(states, 1) AS n, unnest(states) AS state, unnest(events) AS event) u
        WHERE u.state IS NULL AND (u.event).source IS NOT NULL AND (flawed OR NOT is_event(u.event))
    LOOP
        SELECT f.reason, f.state INTO flaw FROM flaw_of(events[i]) f;
        reasons[i] := flaw.reason;
        states[i] := flaw.state;
    END LOOP;
    FOR i IN
        SELECT o.ordinality FROM ROWS FROM (unnest(states), unnest(observations)) WITH ORDINALITY o(state)
        WHERE o.state IS NULL AND o.source IS NOT NULL
              AND (flawed OR NOT isfinite(o.observed_at)
                   OR coalesce(cardinality(o.identifiers), 0) = 0 OR array_position(o.identifiers, NULL) IS NOT NULL)
    LOOP
        BEGIN
            PERFORM check_observation(observations[i].identifiers, coalesce(observations[i].observed_at, now()),
                                      observations[i].source, observations[i].source_key),
                    check_time('observed_at', observations[i].observed_at);
        EXCEPTION WHEN OTHERS THEN
            IF NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;
            reasons[i] := SQLERRM;
            states[i] := SQLSTATE;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.flaws_of_rows(@hub@.event[], @hub@.observation[], text[], text[]) IS
    'why rows can''t be what their mapping makes of them, added to what is known of that; NULL: nothing is';

-- Bring the hub in line with rows as they are now, in parallel arrays: the event each is, or else what was seen in it,
-- neither: it tells nothing, or is gone. reasons and states are why it can't be told. If not careful, a row that can't
-- be stored is an error, for the caller to try again. Of history nobody is told. What is done in several steps is
-- locked before the first, with what the caller will do: whose are identifiers, not known yet, that traits will be put
-- of, and whose_ids those whom some are taken from. Returns how many rows told something else than the hub had.
CREATE OR REPLACE FUNCTION @hub@.apply_rows(
    source text, keys text[], events @hub@.event[], observations @hub@.observation[], reasons text[], states text[],
    careful boolean, history boolean, whose @extschema@.identifier[] DEFAULT NULL, whose_ids bigint[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    forgetful CONSTANT boolean := (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row);
    gone text[];
    only_seen text[];  -- evidence stays, and the touchpoint goes
    again text[];      -- evidence is another than it was
    accepted text[];
    bad_keys text[];
    bad_reasons text[];
    bad_states text[];
    fresh event[];
    changed event[];
    others boolean[];
    seen observation[];
    twice text[];
    given @extschema@.identifier[];  -- what is stored is of these
    steps integer;                   -- how many of which each locks something
    total bigint;
BEGIN
    IF keys = '{}' THEN
        RETURN 0;
    ELSIF array_position(keys, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'not_null_violation',
            MESSAGE = format('key of a row of source %s is NULL', source),
            HINT = 'Attach the table with a key that never is.';
    END IF;
    SELECT f.reasons, f.states INTO reasons, states FROM flaws_of_rows(events, observations, reasons, states) f;
    PERFORM make_partitions_for(journey_field(events, 'occurred_at', '{}'::timestamptz[]));

    -- Of rows of one key the first counts. There are none, but in a log without a key, where they are the same.
    IF (SELECT count(*) FROM (SELECT DISTINCT u.key FROM unnest(keys) u(key)) u) < cardinality(keys) THEN
        twice := array(SELECT CASE WHEN row_number() OVER w = 1 THEN NULL
                                   WHEN events[u.n] IS DISTINCT FROM events[first_value(u.n) OVER w] THEN 'twice'
                                   ELSE 'none' END
                       FROM unnest(keys) WITH ORDINALITY u(key, n)
                       WINDOW w AS (PARTITION BY u.key ORDER BY u.n) ORDER BY u.n);
    END IF;

    IF twice IS NULL AND NOT EXISTS (SELECT FROM (SELECT unnest(states) AS state, unnest(events) AS event) u
                                     WHERE u.state IS NOT NULL OR (u.event).source IS NULL)
       AND is_new_to_hub(source, keys) THEN
        -- as most of history is
        PERFORM CASE WHEN whose <> '{}' OR forgetful OR careful AND cardinality(keys) > 1
                     THEN lock_ahead(whose_ids, whose || array(
                              SELECT DISTINCT i.identifier
                              FROM unnest(events) e CROSS JOIN LATERAL unnest(e.identifiers) i(identifier))) END;
        PERFORM CASE WHEN careful THEN store_rows(source, events, NULL, NULL, history)
                     ELSE store_some(source, events, NULL, NULL, history) END;
        RETURN cardinality(keys);
    END IF;
    WITH decided AS MATERIALIZED (
        SELECT c.*,
               CASE WHEN c.twice IS NOT NULL THEN c.twice
                    WHEN c.state IS NOT NULL THEN 'bad'
                    WHEN c.is_event THEN
                        CASE WHEN NOT c.known THEN 'fresh'
                             WHEN c.same AND c.same_people AND (c.same_time OR NOT c.holds) THEN 'none'
                             ELSE 'changed' END
                    WHEN c.observed THEN
                        CASE WHEN c.known AND c.same_people AND (c.same_time OR NOT c.holds) THEN 'only seen'
                             WHEN NOT c.known AND (c.met OR c.same_people AND (c.same_time OR NOT c.holds)) THEN 'none'
                             ELSE 'seen' END
                    WHEN c.known OR c.holds THEN 'gone'
                    ELSE 'none' END AS act
        FROM (SELECT u.ordinality AS n, u.row_key, u.reason, u.state, u.twice, u.o_identifiers, u.o_at, s.rejected,
                     s.told, s.known, s.holds, e.e, u.source IS NOT NULL AS is_event,
                     u.o_identifiers IS NOT NULL AND u.source IS NULL AS observed,
                     CASE WHEN s.identifiers IS NULL THEN false
                          WHEN cardinality(p.people) = 1 THEN p.people = s.identifiers
                          ELSE ARRAY(SELECT DISTINCT i.identifier FROM unnest(p.people) i(identifier) ORDER BY 1)
                               = s.identifiers END AS same_people,
                     coalesce(s.observed_at = coalesce(u.occurred_at, u.o_at), true) AS same_time,
                     cardinality(p.people) > 1 AS several,
                     CASE WHEN s.known AND u.source IS NOT NULL
                          THEN s.event IS NOT DISTINCT FROM
                               ROW(NULL, u.occurred_at, u.channel, u.action, u.value, currency_code(u.currency),
                                   u.direction, u.conversation, u.agent, u.campaign, u.source, u.source_key,
                                   u.attributes, u.subject, u.url)::event END AS same,
                     -- an identifier alone is all that is known of it, or is forgotten at once
                     CASE WHEN cardinality(p.people) = 1 AND u.source IS NULL AND NOT s.told
                          THEN forgetful OR EXISTS (SELECT FROM identities i WHERE i.identifier = p.people[1])
                     END AS met
              FROM ROWS FROM (unnest(keys), unnest(reasons), unnest(states), unnest(twice), unnest(observations),
                              unnest(events))
                   WITH ORDINALITY u(row_key, reason, state, twice, o_identifiers, o_at, o_source, o_key)
                   JOIN stored_events(source, keys) s ON s.n = u.ordinality
                   CROSS JOIN LATERAL (SELECT CASE WHEN u.source IS NOT NULL THEN u.identifiers
                                                   ELSE u.o_identifiers END AS people) p
                   CROSS JOIN LATERAL (SELECT CASE WHEN u.source IS NOT NULL
                                                   THEN ROW(u.identifiers, u.occurred_at, u.channel, u.action, u.value,
                                                            u.currency, u.direction, u.conversation, u.agent,
                                                            u.campaign, u.source, u.source_key, u.attributes,
                                                            u.subject, u.url)::event END AS e) e
              OFFSET 0) c
    )
    SELECT coalesce(array_agg(d.row_key ORDER BY d.n)
                    FILTER (WHERE d.act IN ('gone', 'bad') AND (d.known OR d.holds)), '{}'),
           coalesce(array_agg(d.row_key ORDER BY d.n)
                    FILTER (WHERE d.act = 'only seen' OR d.act = 'seen' AND d.known), '{}'),
           coalesce(array_agg(d.row_key ORDER BY d.n) FILTER (WHERE d.act IN ('fresh', 'seen') AND d.told), '{}'),
           coalesce(array_agg(d.row_key ORDER BY d.n) FILTER (WHERE d.rejected AND d.state IS NULL
                                                                    AND d.act <> 'twice'), '{}'),
           coalesce(array_agg(d.row_key ORDER BY d.n)
                    FILTER (WHERE d.act = 'bad' OR d.act = 'twice' AND d.is_event), '{}'),
           array_agg(CASE WHEN d.act = 'bad' THEN d.reason
                          ELSE format('there is another touchpoint of key %s', d.row_key) END ORDER BY d.n)
           FILTER (WHERE d.act = 'bad' OR d.act = 'twice' AND d.is_event),
           array_agg(CASE WHEN d.act = 'bad' THEN d.state ELSE '23505' END ORDER BY d.n)
           FILTER (WHERE d.act = 'bad' OR d.act = 'twice' AND d.is_event),
           coalesce(array_agg(d.e ORDER BY d.n) FILTER (WHERE d.act = 'fresh'), '{}'),
           coalesce(array_agg(d.e ORDER BY d.n) FILTER (WHERE d.act = 'changed'), '{}'),
           array_agg(NOT d.same_people OR d.holds AND d.several AND NOT d.same_time ORDER BY d.n)
           FILTER (WHERE d.act = 'changed'),
           coalesce(array_agg(ROW(d.o_identifiers, coalesce(d.o_at, now()), source, d.row_key)::observation
                              ORDER BY d.n)
                    FILTER (WHERE d.act = 'seen'), '{}'),
           count(*) FILTER (WHERE d.act IN ('gone', 'fresh', 'changed', 'seen', 'only seen')
                                  OR d.act = 'bad' AND NOT d.rejected)
    INTO gone, only_seen, again, accepted, bad_keys, bad_reasons, bad_states, fresh, changed, others, seen, total
    FROM decided d;

    steps := (gone <> '{}')::integer + (changed <> '{}')::integer + (fresh <> '{}')::integer + (seen <> '{}')::integer
             + (again <> '{}')::integer;
    IF steps > 1 OR steps > 0 AND whose <> '{}' OR careful AND cardinality(keys) > 1
       OR forgetful AND steps + cardinality(only_seen) + coalesce(cardinality(whose_ids), 0) > 0 THEN
        given := array(SELECT i.identifier
                       FROM unnest(changed || fresh) c CROSS JOIN LATERAL unnest(c.identifiers) i(identifier)
                       UNION
                       SELECT i.identifier
                       FROM unnest(seen) c CROSS JOIN LATERAL unnest(c.identifiers) i(identifier));
        -- what one step makes known is no other
        IF steps > 1 OR careful OR forgetful OR EXISTS (SELECT unnest(whose) EXCEPT SELECT unnest(given)) THEN
            PERFORM lock_ahead(
                whose_ids || array(
                    SELECT DISTINCT i.id
                    FROM stored_events(source, CASE WHEN careful THEN keys
                                                    ELSE gone || only_seen || again
                                                         || array(SELECT c.source_key FROM unnest(changed) c) END) e
                         CROSS JOIN LATERAL unnest(e.evidence_ids || e.identity_id) i(id)
                    WHERE i.id IS NOT NULL),
                given || whose);
        END IF;
    END IF;
    IF gone <> '{}' THEN
        PERFORM remove_rows(source, gone);
    END IF;
    IF only_seen <> '{}' THEN
        PERFORM remove_rows(source, only_seen, true);
    END IF;
    IF accepted <> '{}' THEN
        DELETE FROM source_rejects r WHERE r.source = apply_rows.source AND r.source_key = ANY (accepted);
    END IF;
    IF bad_keys <> '{}' THEN
        PERFORM reject_rows(source, bad_keys, bad_reasons, bad_states);
    END IF;
    IF careful THEN
        PERFORM CASE WHEN changed <> '{}' THEN store_rows(source, changed, others, NULL, history) END,
                CASE WHEN fresh <> '{}' THEN store_rows(source, fresh, NULL, NULL, history) END,
                CASE WHEN seen <> '{}' THEN store_rows(source, NULL, NULL, seen, history) END;
    ELSE
        PERFORM CASE WHEN changed <> '{}' THEN store_some(source, changed, others, NULL, history) END,
                CASE WHEN fresh <> '{}' THEN store_some(source, fresh, NULL, NULL, history) END,
                CASE WHEN seen <> '{}' THEN store_some(source, NULL, NULL, seen, history) END;
    END IF;
    RETURN total;
END $$;
COMMENT ON FUNCTION @hub@.apply_rows(text, text[], @hub@.event[], @hub@.observation[], text[], text[], boolean, boolean,
                                     @extschema@.identifier[], bigint[])
    IS 'bring the hub in line with rows of an attached table; returns how many told something else';

-- Keys of which the hub has something
CREATE OR REPLACE FUNCTION @hub@.stored_keys(source text) RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 100000 SET search_path = @hub@, @extschema@, pg_temp
SET enable_nestloop = off  -- all of a source, however few of it the statistics know
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT k.source_key FROM touchpoint_keys k
    WHERE k.source = stored_keys.source
          AND NOT EXISTS (SELECT FROM source_changes c WHERE c.source = k.source AND c.source_key = k.source_key)
    UNION
    SELECT c.row_key FROM source_changes c WHERE c.source = stored_keys.source
    UNION
    -- of those whose touchpoints went with their months too
    SELECT v.source_key FROM evidence v
    WHERE v.source = stored_keys.source AND v.retracted_at IS NULL
          AND NOT EXISTS (SELECT FROM source_changes c WHERE c.source = v.source AND c.source_key = v.source_key)
    UNION
    SELECT r.source_key FROM source_rejects r
    WHERE r.source = stored_keys.source AND r.source_key !~ '(^|:)\(NULL\)$'  -- see key_of_none
          AND NOT EXISTS (SELECT FROM source_changes c WHERE c.source = r.source AND c.source_key = r.source_key)
    UNION
    SELECT t.source_key FROM traits t WHERE t.source = stored_keys.source AND t.source_key IS NOT NULL
    UNION
    SELECT c.source_key FROM consents c WHERE c.source = stored_keys.source AND c.source_key <> '';
END $$;
COMMENT ON FUNCTION @hub@.stored_keys(text) IS 'keys of rows of which the hub has something';

-- Touchpoints of changes of rows that are gone
CREATE OR REPLACE FUNCTION @hub@.remove_changes(source text, keys text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    gone text[];
BEGIN
    WITH gone AS (
        DELETE FROM source_changes c WHERE c.source = remove_changes.source AND c.row_key = ANY (keys)
        RETURNING c.source_key
    )
    SELECT array_agg(g.source_key) INTO gone FROM gone g;
    IF gone <> '{}' THEN
        PERFORM remove_rows(source, gone);
        DELETE FROM source_rejects r WHERE r.source = remove_changes.source AND r.source_key = ANY (gone);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.remove_changes(text, text[]) IS 'remove touchpoints that on_change has made of rows';

-- Before what is done of a thousand rows at a time, which would lock them a thousand at a time: all of them
CREATE OR REPLACE FUNCTION @hub@.lock_rows(source text, keys text[], identifiers @extschema@.identifier[] DEFAULT '{}')
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    keys := keys || array(SELECT c.source_key FROM unnest(keys) u(key)
                          CROSS JOIN LATERAL (SELECT x.source_key FROM source_changes x
                                              WHERE x.source = lock_rows.source AND x.row_key = u.key OFFSET 0) c);
    PERFORM lock_ahead(array(SELECT t.identity_id
                             FROM unnest(keys) u(key)
                                  CROSS JOIN LATERAL (SELECT x.touchpoint_id, x.occurred_at FROM touchpoint_keys x
                                                      WHERE x.source = lock_rows.source AND x.source_key = u.key
                                                      OFFSET 0) k
                                  CROSS JOIN LATERAL (SELECT x.identity_id FROM touchpoints x
                                                      WHERE x.touchpoint_id = k.touchpoint_id
                                                            AND x.occurred_at = k.occurred_at OFFSET 0) t
                             UNION
                             SELECT i.id
                             FROM unnest(keys) u(key)
                                  CROSS JOIN LATERAL (SELECT x.identities FROM evidence x
                                                      WHERE x.source = lock_rows.source AND x.source_key = u.key
                                                      OFFSET 0) v
                                  CROSS JOIN LATERAL unnest(v.identities) i(id)
                             UNION
                             SELECT t.identity_id
                             FROM unnest(keys) u(key)
                                  CROSS JOIN LATERAL (SELECT x.identity_id FROM traits x
                                                      WHERE x.source = lock_rows.source AND x.source_key = u.key
                                                      OFFSET 0) t
                             UNION
                             SELECT c.identity_id
                             FROM unnest(keys) u(key)
                                  CROSS JOIN LATERAL (SELECT x.identity_id FROM consents x
                                                      WHERE x.source = lock_rows.source AND x.source_key = u.key
                                                            AND x.source_key <> ''
                                                      OFFSET 0) c),
                       identifiers);
END $$;
COMMENT ON FUNCTION @hub@.lock_rows(text, text[], @extschema@.identifier[]) IS
    'lock all that rows of an attached table have told, and will tell, until the transaction ends';

CREATE OR REPLACE FUNCTION @hub@.forget_rows(source text, keys text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM journey_pass('suppressions');
    IF cardinality(keys) > 1000 THEN
        PERFORM lock_rows(source, keys);
    END IF;
    FOR i IN 0 .. (cardinality(keys) - 1) / 1000 LOOP
        PERFORM remove_changes(source, keys[i * 1000 + 1:i * 1000 + 1000]),
                remove_rows(source, keys[i * 1000 + 1:i * 1000 + 1000]);
    END LOOP;
    IF EXISTS (SELECT FROM traits t WHERE t.source = forget_rows.source) THEN
        PERFORM drop_traits(source, keys);
    END IF;
    IF EXISTS (SELECT FROM consents c WHERE c.source = forget_rows.source AND c.source_key <> '') THEN
        PERFORM drop_consents(source, keys);
    END IF;
    DELETE FROM source_rejects r WHERE r.source = forget_rows.source AND r.source_key = ANY (keys);
END $$;
COMMENT ON FUNCTION @hub@.forget_rows(text, text[]) IS 'remove all that is known of rows of an attached table';

-- ---- triggers ---------------------------------------------------------------

-- The table and its partitions, those first that have rows.
CREATE OR REPLACE FUNCTION @hub@.source_tables(relation regclass, OUT member regclass, OUT leaf boolean)
    RETURNS SETOF record
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT t.relid, t.isleaf FROM pg_partition_tree(source_tables.relation) t
    UNION ALL
    SELECT c.oid, true FROM pg_class c
    WHERE c.oid = source_tables.relation AND NOT EXISTS (SELECT FROM pg_partition_tree(source_tables.relation));
END;
COMMENT ON FUNCTION @hub@.source_tables(regclass) IS 'a table and its partitions';

-- By its second line, and its owner, a trigger function is known, wherever it is, and whatever it is called
CREATE OR REPLACE FUNCTION @hub@.note_mark(hub name, source_id integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN format('-- notes of source %s for hub %I', note_mark.source_id, note_mark.hub);
COMMENT ON FUNCTION @hub@.note_mark(name, integer) IS 'how the trigger functions of a source are known';

-- former: the name the hub had when they were made
CREATE OR REPLACE FUNCTION @hub@.note_functions(source_id integer, former name DEFAULT NULL) RETURNS SETOF regprocedure
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT p.oid::regprocedure FROM pg_proc p
    WHERE p.prorettype = 'trigger'::regtype AND p.pronargs = 0
          AND starts_with(p.prosrc, E'\n' || note_mark(coalesce(former, current_schema()), source_id) || E'\n')
          -- one that a restored dump has made somebody else's notes nothing
          AND p.proowner = (SELECT c.relowner FROM pg_class c WHERE c.oid = 'feed_notes'::regclass);
END $$;
COMMENT ON FUNCTION @hub@.note_functions(integer, name) IS 'trigger functions that note changes for a source';

-- The triggers of a source, whatever they and the hub are called by now; events: what they fire for, as a sum of 4 for
-- INSERT, 8 DELETE, 16 UPDATE and 32 TRUNCATE; lookup NULL: of the table itself; cloned: of a partition, made by
-- PostgreSQL; seen: which it is, and which transaction has made, enabled or disabled it
CREATE OR REPLACE FUNCTION @hub@.source_triggers(
    source_id integer, OUT relation regclass, OUT trigger name, OUT enabled "char", OUT statement boolean,
    OUT events integer, OUT lookup text, OUT cloned boolean, OUT seen text)
    RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    functions CONSTANT oid[] := array(SELECT f FROM note_functions(source_id) f);
BEGIN
    RETURN QUERY
    SELECT g.tgrelid::regclass, g.tgname, g.tgenabled, (g.tgtype & 1) = 0, g.tgtype & 60,
           CASE WHEN g.tgnargs > 0 AND g.tgfoid <> 'feed_source()'::regprocedure
                THEN convert_from(substring(g.tgargs FROM 1 FOR position('\x00'::bytea IN g.tgargs) - 1),
                                  getdatabaseencoding()) END,
           g.tgparentid <> 0, concat_ws(' ', g.tgrelid, g.oid, g.xmin)
    FROM pg_trigger g
    WHERE g.tgfoid = ANY (functions)
          OR g.tgfoid = 'feed_source()'::regprocedure
             AND g.tgargs = convert_to(source_id::text, getdatabaseencoding()) || '\x00'::bytea;
END $$;
COMMENT ON FUNCTION @hub@.source_triggers(integer) IS 'triggers of an attached table, its partitions, and its lookups';

-- The function is where the table is, so that a dump of the application alone has it, and does without hub and
-- extension: it does nothing then. It runs as the hub's owner, for writers of the table need no rights in the hub; as
-- PL/pgSQL, since the application may be where the extension is not. Its columns are numbers, so that they may be
-- renamed. It is replaced, not dropped, when something changes: that locks no table.
CREATE OR REPLACE FUNCTION @hub@.make_note_function(
    source_id integer, relation regclass, lookup text, key_columns smallint[], used smallint[], kept smallint[],
    former name DEFAULT NULL)
RETURNS regprocedure
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET client_min_messages = warning
AS $make_note_function$
#variable_conflict use_variable
DECLARE
    s record;
    owner CONSTANT name := (SELECT r.rolname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
                            WHERE c.oid = 'feed_notes'::regclass);
    extension CONSTANT name := (SELECT n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                                WHERE p.oid = to_regproc('journey_note_rows'));
    mark CONSTANT text := note_mark(current_schema(), source_id);
    schema name := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.oid = relation);
    title text;
    name name;
    call text;
    body text;
    made regprocedure;
    propagates CONSTANT boolean := current_setting('citus.enable_ddl_propagation', true) = 'on';
BEGIN
    IF propagates THEN  -- the table is here
        PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
    END IF;
    SELECT t.source, t.part, t.feed INTO s FROM sources t WHERE t.source_id = make_note_function.source_id;
    title := s.source || CASE WHEN s.part <> '' OR lookup <> '' THEN concat_ws(' ', ':', s.part, lookup) ELSE '' END;
    name := source_object(current_schema() || '_note', title);
    call := format('%L, %s, %L, %s, ', current_schema(), source_id, lookup, relation::oid)
            || format('%L::pg_catalog.int2[], %L::pg_catalog.int2[], %L::pg_catalog.int2[]', key_columns, used, kept);
    made := (SELECT min(f::oid) FROM note_functions(source_id) f JOIN pg_proc p ON p.oid = f
             WHERE p.proname = name OR starts_with(p.proname, name || '  '));
    IF made IS NULL AND former IS NOT NULL THEN
        made := (SELECT min(f::oid) FROM note_functions(source_id, former) f JOIN pg_proc p ON p.oid = f
                 WHERE p.proname = source_object(former || '_note', title));
        IF made IS NOT NULL THEN
            EXECUTE format('ALTER FUNCTION %s RENAME TO %I', made, name);
        END IF;
    END IF;
    IF made IS NULL THEN
        IF NOT has_schema_privilege(schema, 'CREATE') OR NOT has_schema_privilege(owner, schema, 'CREATE') THEN
            schema := current_schema();
        END IF;
        WHILE EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                      WHERE n.nspname = schema AND p.proname = name) LOOP
            title := title || '  ' || source_id;  -- somebody has one of that name
            name := source_object(current_schema() || '_note', title);
        END LOOP;
    ELSE
        SELECT n.nspname, p.proname INTO schema, name
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = made;
    END IF;
    -- an assignment costs half of what a PERFORM costs, but is told no transition tables
    body := format(E'\n%s\nDECLARE\n    n pg_catalog.int8;\nBEGIN\n'
                   '    IF pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace(%L), ''USAGE'') IS NOT TRUE\n'
                   '       OR pg_catalog.to_regproc(%L) IS NULL THEN\n'
                   '        NULL;\n    ELSIF TG_OP OPERATOR(pg_catalog.=) ''TRUNCATE'' THEN\n'
                   '        PERFORM %I.journey_note_rows(%s);\n'
                   '    ELSE\n        %s;\n    END IF;\n    RETURN NULL;\nEND',
                   mark, quote_ident(extension), format('%I.journey_note_rows', extension), extension,
                   format('%L, %s, %L, %s, NULL', current_schema(), source_id, lookup, relation::oid),
                   CASE WHEN s.feed = 'row' THEN format('n := %I.journey_note_row(%s, OLD, NEW)', extension, call)
                        ELSE format('PERFORM %I.journey_note_rows(%s)', extension, call) END);
    -- not in the language of hubs
    EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I() RETURNS pg_catalog.trigger LANGUAGE %I SECURITY DEFINER AS %L',
                   schema, name, 'plpgsql', body);
    made := to_regprocedure(format('%I.%I()', schema, name));
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', made);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', made,
                   format('trigger: notes for pg_journey which rows change, if hub %I is there', current_schema()));
    IF owner <> current_user THEN
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', made, owner);
    END IF;
    IF propagates THEN
        PERFORM set_config('citus.enable_ddl_propagation', 'on', true);
    END IF;
    RETURN made;
END $make_note_function$;
COMMENT ON FUNCTION @hub@.make_note_function(integer, regclass, text, smallint[], smallint[], smallint[], name) IS
    'make or change the function that notes changes of an attached table';

-- Statement triggers fire for the table a statement names only, so each partition has its own; those for each row are
-- cloned to partitions.
CREATE OR REPLACE FUNCTION @hub@.make_triggers(source_id integer, relation regclass, lookup text, called text,
                                               feed text, prefix text)
RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET client_min_messages = warning
AS $$
#variable_conflict use_variable
DECLARE
    fresh regclass[];
    there integer[];  -- events that triggers of each fire for
    kind text[];
    member regclass;
    trigger name;
BEGIN
    SELECT array_agg(f.member ORDER BY f.leaf, f.member), array_agg(f.events ORDER BY f.leaf, f.member)
    INTO fresh, there
    FROM (SELECT t.member, t.leaf,
                 coalesce((SELECT bit_or(g.events) FROM source_triggers(source_id) g
                           WHERE g.relation = t.member AND g.lookup IS NOT DISTINCT FROM make_triggers.lookup),
                          0) AS events
          FROM source_tables(relation) t) f
    WHERE f.events <> 60;
    IF (SELECT bool_and(has_table_privilege(m.m, 'UPDATE')) FROM unnest(fresh) m(m)) THEN
        PERFORM lock_politely(fresh, 'SHARE ROW EXCLUSIVE');
    END IF;
    FOR i IN 1 .. coalesce(cardinality(fresh), 0) LOOP
        member := fresh[i];
        FOREACH kind SLICE 1 IN ARRAY
            CASE WHEN feed = 'row'
                 THEN ARRAY[['change', 'AFTER INSERT OR UPDATE OR DELETE', 'FOR EACH ROW', '28'],
                            ['truncate', 'AFTER TRUNCATE', 'FOR EACH STATEMENT', '32']]
                 ELSE ARRAY[['insert', 'AFTER INSERT', 'REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT', '4'],
                            ['update', 'AFTER UPDATE', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows '
                                                       'FOR EACH STATEMENT', '16'],
                            ['delete', 'AFTER DELETE', 'REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', '8'],
                            ['truncate', 'AFTER TRUNCATE', 'FOR EACH STATEMENT', '32']] END
        LOOP
            CONTINUE WHEN kind[1] = 'change' AND member <> relation OR there[i] & kind[4]::integer <> 0;
            trigger := source_object(current_schema() || '_' || kind[1], prefix);
            WHILE EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = member AND g.tgname = trigger) LOOP
                -- it has another hub's, or one of its own, of that name
                trigger := source_object('hub', format('%s %s', trigger, member::oid));
            END LOOP;
            EXECUTE format('CREATE TRIGGER %I %s ON %s %s EXECUTE FUNCTION %s', trigger, kind[2], member, kind[3],
                           called);
            IF feed = 'row' THEN
                EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', member, trigger);
            END IF;
        END LOOP;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.make_triggers(integer, regclass, text, text, text, text) IS
    'make the triggers that a table, and its partitions, lack';

-- The functions that the triggers of a source call, brought to the columns and the name of the hub of today; lookup
-- NULL: of the table itself
CREATE OR REPLACE FUNCTION @hub@.make_functions(source_id integer, former name DEFAULT NULL, OUT relation regclass,
                                                OUT lookup text, OUT called text)
RETURNS SETOF record
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    l record;
BEGIN
    SELECT t.relation, t.feed, t.key_columns, t.kept_columns, t.columns INTO s
    FROM sources t WHERE t.source_id = make_functions.source_id;
    relation := s.relation;
    called := CASE WHEN s.feed = 'immediate' THEN format('feed_source(%L)', source_id)
                   WHEN s.feed <> 'poll'
                   THEN make_note_function(source_id, relation, NULL, s.key_columns,
                                           array(SELECT k::smallint FROM jsonb_object_keys(s.columns) k
                                                 UNION SELECT unnest(s.key_columns || s.kept_columns) ORDER BY 1),
                                           s.kept_columns, former)::text END;
    IF called IS NOT NULL THEN
        RETURN NEXT;
    END IF;
    FOR l IN SELECT k.lookup, k.relation, k.key_columns, k.columns FROM source_lookups k
             WHERE k.source_id = make_functions.source_id AND NOT k.fixed AND s.feed <> 'poll' ORDER BY k.lookup LOOP
        relation := l.relation;
        lookup := l.lookup;
        called := make_note_function(source_id, relation, lookup, l.key_columns,
                                     array(SELECT k::smallint FROM jsonb_object_keys(l.columns) k
                                           UNION SELECT unnest(l.key_columns) ORDER BY 1), NULL, former)::text;
        called := regexp_replace(called, '\(\)$', format('(%L)', lookup));
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.make_functions(integer, name) IS
    'make or change the functions that the triggers of a source call';

-- Make what is lacking, and bring to the columns of today what is there
CREATE OR REPLACE FUNCTION @hub@.watch_source(source_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM make_triggers(source_id, f.relation, f.lookup, f.called,
                          CASE WHEN f.lookup IS NOT NULL AND s.feed = 'immediate' THEN 'queued' ELSE s.feed END,
                          concat_ws(' ', s.source || CASE WHEN s.part <> '' THEN ': ' || s.part ELSE '' END, f.lookup))
    FROM sources s CROSS JOIN LATERAL make_functions(s.source_id) f
    WHERE s.source_id = watch_source.source_id AND s.feed <> 'poll';
    PERFORM see_triggers(source_id);
END $$;
COMMENT ON FUNCTION @hub@.watch_source(integer) IS
    'make the triggers of an attached table that are lacking, and their functions';

CREATE OR REPLACE FUNCTION @hub@.see_triggers(source_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    UPDATE sources s
    SET triggers_seen = CASE WHEN NOT triggers_rest(s.source_id)
                             THEN array(SELECT g.seen FROM source_triggers(s.source_id) g) END
    WHERE s.source_id = see_triggers.source_id;
END $$;
COMMENT ON FUNCTION @hub@.see_triggers(integer) IS 'write down the triggers that an attached table has';

-- After the hub was renamed, from former, or upgraded. Triggers are called by its name, if that can be without anybody
-- waiting; what they are called does not matter. Nobody has noted what changed if the schema has had its name for
-- longer than this transaction.
CREATE OR REPLACE FUNCTION @hub@.renew_functions(former name) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    s record;
    made record;
    sound boolean;
    lately CONSTANT boolean := (SELECT n.xmin = pg_current_xact_id()::xid FROM pg_namespace n
                                WHERE n.nspname = current_schema());
BEGIN
    -- mappings look for names where they did when they were attached
    UPDATE sources t
    SET search_path = (SELECT string_agg(CASE WHEN e.name = former THEN quote_ident(current_schema()) ELSE e.part END,
                                         ', ' ORDER BY e.n)
                       FROM (SELECT m.part[1] AS part, m.n,
                                    CASE WHEN m.part[1] LIKE '"%'
                                         THEN replace(substr(m.part[1], 2, length(m.part[1]) - 2), '""', '"')
                                         ELSE lower(m.part[1]) END AS name
                             FROM regexp_matches(t.search_path, '"(?:[^"]|"")*"|[^",\s]+', 'g')
                                  WITH ORDINALITY m(part, n)) e)
    WHERE former <> current_schema() AND position(former IN replace(t.search_path, '""', '"')) > 0;
    FOR s IN SELECT t.source_id, t.source || CASE WHEN t.part <> '' THEN ': ' || t.part ELSE '' END AS title, t.feed
             FROM sources t JOIN pg_class c ON c.oid = t.relation WHERE t.detached_at IS NULL LOOP
        PERFORM make_functions(s.source_id, former);
        CONTINUE WHEN former = current_schema();
        sound := flaw_of_triggers(s.source_id) IS NULL;
        IF NOT lately AND s.feed IN ('queued', 'row') THEN
            PERFORM read_all_again(s.source_id);
        END IF;
        FOR made IN
            SELECT g.relation, g.trigger,
                   source_object(current_schema() || '_' || k.kind, concat_ws(' ', s.title, g.lookup)) AS wanted
            FROM source_triggers(s.source_id) g
            CROSS JOIN unnest('{insert,update,delete,truncate,change}'::text[]) k(kind)
                 JOIN pg_class c ON c.oid = g.relation
            WHERE g.trigger = source_object(former || '_' || k.kind, concat_ws(' ', s.title, g.lookup)) AND NOT g.cloned
                  AND pg_has_role(c.relowner, 'USAGE')
        LOOP
            BEGIN
                EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE NOWAIT', made.relation);
                EXECUTE format('ALTER TRIGGER %I ON %s RENAME TO %I', made.trigger, made.relation, made.wanted);
            EXCEPTION WHEN lock_not_available OR duplicate_object THEN
            END;
        END LOOP;
        IF sound THEN
            PERFORM see_triggers(s.source_id);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.renew_functions(name) IS
    'bring the functions that triggers of attached tables call to the name of the hub';

-- Whoever writes the tables is waited for, for moments at a time. With a function its triggers go, whoever owns their
-- table.
CREATE OR REPLACE FUNCTION @hub@.unwatch_source(source_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET client_min_messages = warning
AS $$
#variable_conflict use_variable
DECLARE
    made record;
    tables CONSTANT regclass[] := array(SELECT DISTINCT g.relation FROM source_triggers(source_id) g);
BEGIN
    IF (SELECT bool_and(has_table_privilege(m.m, 'UPDATE')) FROM unnest(tables) m(m)) THEN
        PERFORM lock_politely(tables, 'ACCESS EXCLUSIVE');
    END IF;
    FOR made IN SELECT f AS function FROM note_functions(source_id) f LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', made.function);
    END LOOP;
    FOR made IN SELECT g.relation, g.trigger FROM source_triggers(source_id) g WHERE NOT g.cloned LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', made.trigger, made.relation);
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.unwatch_source(integer) IS 'drop the triggers of an attached table, and their functions';

-- ---- feed immediate ---------------------------------------------------------

-- In the transaction of whoever writes, with the rights of whoever writes. Rows are those of the transition tables, so
-- that the right to insert is enough. While not all rows are in the hub changes are noted only: feed() must not meet
-- with what is done here. Settings that the text of values depends on are fixed, so that a key is the same in all
-- sessions.
CREATE OR REPLACE FUNCTION @hub@.feed_source() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
AS $feed_source$
#variable_conflict use_variable
DECLARE
    id CONSTANT integer := TG_ARGV[0];
    s record;
    c record;
    key_values text[] := '{}';
    befores text[] := '{}';
    afters text[] := '{}';
    changed text[] := '{}';
    old_keys text[] := '{}';
    anew text[] := '{}';      -- of rows that are new, if they may have changes of others under their keys
    new_keys text[] := '{}';
    r record;
    found text[] := '{}';
    total integer := 0;
    most CONSTANT integer := 20000;
    own_path CONSTANT text := current_setting('search_path');
    query text;
    key text;
BEGIN
    SELECT t.source, t.relation, t.key_columns, t.kept_columns, t.columns, t.search_path,
           t.kept_columns <> '{}' AND t.compiled ->> 'told' <> 'true' AS may_be_untold,
           NOT (t.compiled ->> 'log')::boolean AND NOT (t.compiled ->> 'keep')::boolean AS removes,
           t.backfilled_at IS NOT NULL AS backfilled
    INTO s FROM sources t WHERE t.source_id = id AND t.detached_at IS NULL;
    IF NOT has_table_privilege('touchpoint_keys', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    IF s.source IS NULL THEN
        -- so it is where rows are restored before the hub's: what is recorded now would collide with what comes
        RAISE WARNING USING MESSAGE = format('rows of %s are not recorded', TG_RELID::regclass),
            DETAIL = format('Its triggers are of source %s, which is not in %I.sources.', id, current_schema());
        RETURN NULL;
    ELSIF coalesce(pg_partition_root(TG_RELID), TG_RELID) <> s.relation THEN
        RETURN NULL;  -- it was a partition once
    ELSIF TG_OP = 'TRUNCATE' THEN
        IF s.backfilled AND TG_RELID = s.relation THEN
            PERFORM remove_source(id);
        ELSE
            INSERT INTO feed_notes (source_id, gone) VALUES (id, true);
        END IF;
        RETURN NULL;
    END IF;
    FOR c IN SELECT k.key, k.gone, k.before, k.after
             FROM journey_changed_rows(s.relation, s.key_columns,
                                       array(SELECT x::smallint FROM jsonb_object_keys(s.columns) x
                                             UNION SELECT u FROM unnest(s.key_columns || s.kept_columns) u),
                                       s.kept_columns) k
    LOOP
        IF NOT s.backfilled THEN
            INSERT INTO feed_notes (source_id, key, gone, before, after) VALUES (id, c.key, c.gone, c.before, c.after);
        ELSIF c.gone THEN
            old_keys := old_keys || c.key;
        ELSE
            total := total + 1;
            new_keys := new_keys || c.key;
            IF c.before IS NULL AND c.after IS NOT NULL THEN
                anew := anew || c.key;
            ELSIF c.before IS NOT NULL THEN
                changed := changed || c.key;
                befores := befores || c.before;
                afters := afters || c.after;
            END IF;
        END IF;
    END LOOP;
    IF NOT s.backfilled THEN
        RETURN NULL;
    END IF;
    old_keys := CASE WHEN old_keys = '{}' THEN '{}' ELSE read_list(id, noted_keys(id), old_keys) END;
    IF cardinality(old_keys) + total > 1000 THEN
        BEGIN
            IF total > 0 THEN
                query := format('SELECT pg_catalog.array_agg(DISTINCT m.key) AS keys, '
                                'pg_catalog.array_agg(DISTINCT i.i) AS identifiers, '
                                'pg_catalog.array_agg((m.event).occurred_at) FILTER '
                                '(WHERE COALESCE(i.n, 1) OPERATOR(pg_catalog.=) 1) AS times '
                                'FROM (%s) m LEFT JOIN LATERAL pg_catalog.unnest(m.identifiers) '
                                'WITH ORDINALITY i(i, n) ON true',
                                mapped_rows(id, 'new_rows'));
                PERFORM set_config('search_path', s.search_path, true);
                EXECUTE query INTO r;
                PERFORM pg_catalog.set_config('search_path', own_path, true);
                PERFORM make_partitions_for(r.times);  -- before the default one is read
                PERFORM lock_rows(s.source, old_keys || r.keys, array_remove(r.identifiers, NULL));
            ELSE
                PERFORM lock_rows(s.source, old_keys);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            IF NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;  -- some can't be read: as far as that goes
        END;
    END IF;
    IF anew <> '{}' AND s.removes THEN
        PERFORM remove_changes(s.source, read_list(id, noted_keys(id), anew));
    END IF;
    IF total > 0 THEN
        total := (SELECT count(*) FROM new_rows);
        FOR place IN 0 .. (total - 1) / most LOOP
            BEGIN
                query := rows_query(id,
                                    format('(SELECT * FROM new_rows n OFFSET %s LIMIT %s)', place * most, most), false);
                PERFORM set_config('search_path', s.search_path, true);
                EXECUTE query INTO r;
                PERFORM pg_catalog.set_config('search_path', own_path, true);
                FOR i IN 0 .. (cardinality(r.keys) - 1) / 1000 LOOP
                    PERFORM bring_in_line(s.source, r.keys[i * 1000 + 1:i * 1000 + 1000],
                                          r.events[i * 1000 + 1:i * 1000 + 1000],
                                          r.observations[i * 1000 + 1:i * 1000 + 1000],
                                          r.whose[i * 1000 + 1:i * 1000 + 1000], r.traits[i * 1000 + 1:i * 1000 + 1000],
                                          r.traits_at[i * 1000 + 1:i * 1000 + 1000],
                                          r.consents[i * 1000 + 1:i * 1000 + 1000], NULL, NULL, false, false);
                END LOOP;
                found := found || r.keys;
            EXCEPTION WHEN OTHERS THEN
                IF NOT is_row_error(SQLSTATE) THEN
                    RAISE;
                END IF;
                -- one by one
                FOR i IN place * most .. least((place + 1) * most, total) - 1 LOOP
                    query := format('SELECT m.key FROM (%s) m',
                                    mapped_rows(id, format('(SELECT * FROM new_rows n OFFSET %s LIMIT 1)', i)));
                    PERFORM set_config('search_path', s.search_path, true);
                    EXECUTE query INTO key;
                    PERFORM pg_catalog.set_config('search_path', own_path, true);
                    found := found || key;
                    query := rows_query(id, format('(SELECT * FROM new_rows n OFFSET %s LIMIT 1)', i), false);
                    BEGIN
                        PERFORM set_config('search_path', s.search_path, true);
                        EXECUTE query INTO r;
                        PERFORM pg_catalog.set_config('search_path', own_path, true);
                        PERFORM bring_in_line(s.source, r.keys, r.events, r.observations, r.whose, r.traits,
                                              r.traits_at, r.consents, NULL, NULL, true, false);
                    EXCEPTION WHEN OTHERS THEN
                        IF NOT is_row_error(SQLSTATE) THEN
                            RAISE;
                        END IF;
                        PERFORM bring_in_line(s.source, ARRAY[key], ARRAY[NULL::event], ARRAY[NULL::observation], NULL,
                                              ARRAY[NULL::jsonb], NULL, NULL, ARRAY[SQLERRM], ARRAY[SQLSTATE], true,
                                              false);
                    END;
                END LOOP;
            END;
        END LOOP;
    END IF;
    old_keys := array(SELECT u.key FROM unnest(old_keys) u(key) EXCEPT SELECT u.key FROM unnest(found) u(key));
    FOR i IN 0 .. (cardinality(old_keys) - 1) / 1000 LOOP
        PERFORM forget_rows(s.source, old_keys[i * 1000 + 1:i * 1000 + 1000]);
    END LOOP;
    IF total > 0 AND s.may_be_untold THEN
        BEGIN
            query := untold_rows(id, 'new_rows');
            PERFORM set_config('search_path', s.search_path, true);
            EXECUTE format('SELECT ARRAY(%s)', query) INTO old_keys;
            PERFORM pg_catalog.set_config('search_path', own_path, true);
            PERFORM remove_changes(s.source, old_keys);
        EXCEPTION WHEN OTHERS THEN
            IF NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;  -- see drop_untold
        END;
    END IF;
    query := CASE WHEN found <> '{}' THEN first_values(id, 'new_rows') END;
    total := cardinality(changed) / cardinality(s.key_columns);
    IF query IS NOT NULL THEN
        IF total > 0 THEN  -- they were before what they are now
            PERFORM apply_changes(id, changed, '{}', befores, array_fill(0::bigint, ARRAY[total]),
                                  array_fill(now(), ARRAY[total]));
        END IF;
        BEGIN
            PERFORM set_config('search_path', s.search_path, true);
            EXECUTE 'SELECT pg_catalog.array_agg(m.key) AS row_keys, pg_catalog.array_agg(m.change) AS keys, '
                    'pg_catalog.array_agg(m.event) AS events FROM (' || query || ') m' INTO r;
            PERFORM pg_catalog.set_config('search_path', own_path, true);
            IF r.keys IS NOT NULL THEN
                PERFORM store_changes(s.source, r.row_keys, r.keys, r.events);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            IF NOT is_row_error(SQLSTATE) THEN
                RAISE;
            END IF;
            PERFORM apply_first_of(id, cardinality(s.key_columns), new_keys);
        END;
    END IF;
    IF total > 0 THEN
        PERFORM apply_changes(id, changed, befores, afters,
                              array_fill(nextval('feed_notes_note_id_seq'), ARRAY[total]),
                              array_fill(now(), ARRAY[total]));
    END IF;
    RETURN NULL;
END $feed_source$;
COMMENT ON FUNCTION @hub@.feed_source() IS 'trigger: rows of an attached table have changed';
