-- Touchpoints in: record, record_many.
--
-- A key is claimed first, so that of two calls with one key the second waits, and then finds what the first has made.
-- Keys are claimed in their order. What the identifiers tell of who is who is for 50_identify.sql. A single identifier
-- that is known tells nothing, and locks nothing.

-- Whether an event is a touchpoint, but for what the type touchpoint refuses; check_event tells what is wrong. Becomes part of
-- the query that calls it.
CREATE OR REPLACE FUNCTION @hub@.is_event(event @hub@.event) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(cardinality(event.identifiers) > 0 AND array_position(event.identifiers, NULL) IS NULL
                AND event.occurred_at >= '0001-01-01 00:00Z'::timestamptz AND event.occurred_at < '10000-01-01 00:00Z'::timestamptz, false)
       AND event.channel IS NOT NULL AND event.action IS NOT NULL AND coalesce(event.direction, 'in') IN ('in', 'out');
COMMENT ON FUNCTION @hub@.is_event(@hub@.event) IS 'whether an event is a touchpoint';

CREATE OR REPLACE FUNCTION @hub@.check_event(event @hub@.event) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
DECLARE
    wrong text := CASE WHEN event.occurred_at IS NULL THEN 'occurred_at'
                       WHEN event.channel IS NULL THEN 'channel'
                       WHEN event.action IS NULL THEN 'action' END;
BEGIN
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = format('%s of a touchpoint must not be NULL', wrong),
            DETAIL = format('Identifiers: %s; source: %s, key: %s.', coalesce(event.identifiers::text, 'NULL'), coalesce(event.source, 'NULL'),
                            coalesce(event.source_key, 'NULL'));
    ELSIF event.direction NOT IN ('in', 'out') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('direction of a touchpoint must be in or out, not %s', event.direction),
            HINT = 'It is NULL where neither the customer nor the company wrote to the other.';
    ELSIF event.occurred_at < '0001-01-01 00:00Z' OR event.occurred_at >= '10000-01-01 00:00Z' THEN
        RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow', MESSAGE = format('occurred_at of a touchpoint must not be %s', event.occurred_at),
            DETAIL = 'It must be in the years 1 to 9999.';
    END IF;
    PERFORM check_observation(event.identifiers, event.occurred_at, coalesce(event.source, 'sql'));
END $$;
COMMENT ON FUNCTION @hub@.check_event(@hub@.event) IS 'refuse what is no touchpoint';

CREATE OR REPLACE FUNCTION @hub@.news(customer_id bigint, touchpoint_id bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{"customer_id": ' || customer_id || ', "touchpoint_id": ' || touchpoint_id || '}';
COMMENT ON FUNCTION @hub@.news(bigint, bigint) IS 'what listeners, on the channel named like the hub, are told of a new touchpoint';

CREATE OR REPLACE FUNCTION @hub@.record(
    identifiers @extschema@.identifier[], occurred_at timestamptz, channel text, action text, value numeric DEFAULT NULL,
    currency text DEFAULT NULL, direction text DEFAULT NULL, conversation text DEFAULT NULL, agent text DEFAULT NULL,
    campaign text DEFAULT NULL, source text DEFAULT 'sql', source_key text DEFAULT NULL, attributes jsonb DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    event event;
    id bigint;
    identity bigint;
BEGIN
    IF source IS NULL THEN
        source := 'sql';
    END IF;
    event := ROW(identifiers, occurred_at, channel, action, value, currency, direction, conversation, agent, campaign, source, source_key, attributes);
    IF NOT is_event(event) THEN
        PERFORM check_event(event);
    END IF;
    IF source_key IS NOT NULL THEN
        INSERT INTO touchpoint_keys AS k (source, source_key, touchpoint_id, occurred_at)
        VALUES (source, source_key, nextval('touchpoints_touchpoint_id_seq'), occurred_at)
        ON CONFLICT ON CONSTRAINT touchpoint_keys_pkey DO NOTHING
        RETURNING k.touchpoint_id INTO id;
        IF id IS NULL THEN
            RETURN (SELECT k.touchpoint_id FROM touchpoint_keys k WHERE k.source = record.source AND k.source_key = record.source_key);
        END IF;
    ELSE
        id := nextval('touchpoints_touchpoint_id_seq');
    END IF;
    IF cardinality(identifiers) = 1 THEN
        identity := (SELECT i.identity_id FROM identities i WHERE i.identifier = identifiers[1]);
    END IF;
    IF identity IS NULL THEN
        identity := (SELECT i.identity FROM identify_one(identifiers, occurred_at, source, source_key) i);
    END IF;
    INSERT INTO touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, value, currency, direction, conversation, agent,
                             campaign, source, source_key, attributes)
    VALUES (id, identity, occurred_at, channel, action, value, currency, direction, conversation, agent,
            campaign, source, source_key, attributes);
    IF (SELECT s.notify FROM settings s WHERE s.one_row) THEN
        PERFORM pg_notify(current_schema(), news(i.customer_id, id)) FROM identities i WHERE i.identity_id = identity;
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION @hub@.record(@extschema@.identifier[], timestamptz, text, text, numeric, text, text, text, text, text, text, text, jsonb)
    IS 'record a touchpoint, and that its identifiers were seen together; returns its number. The same source and key is the same touchpoint';

-- Plans are made for the events given: there may be many. evidence_keys, if given, are the keys of the evidence of each event,
-- NULL: that of its touchpoint. Nobody is told of history.
CREATE OR REPLACE FUNCTION @hub@.record_events(events @hub@.event[], evidence_keys text[] DEFAULT NULL, history boolean DEFAULT false) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = on SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    e event;
    touchpoints bigint[];       -- the touchpoint of each event
    fresh boolean[];            -- whether this call makes it
    firsts identifier[];        -- its identifier, if it has one only
    identities bigint[];        -- its identity
    stitched integer[];         -- events whose identifiers tell something
    observations observation[];
    found bigint[];
BEGIN
    IF events IS NULL OR cardinality(events) = 0 THEN
        RETURN '{}';
    ELSIF EXISTS (SELECT FROM unnest(events) e WHERE NOT is_event(e)) THEN
        FOREACH e IN ARRAY events LOOP
            PERFORM check_event(e);
        END LOOP;
    END IF;

    WITH entry AS MATERIALIZED (
        SELECT coalesce(e.source, 'sql') AS source, e.source_key, e.occurred_at, e.ordinality AS n FROM unnest(events) WITH ORDINALITY e
    ), claimed AS (
        INSERT INTO touchpoint_keys (source, source_key, touchpoint_id, occurred_at)
        SELECT f.source, f.source_key, nextval('touchpoints_touchpoint_id_seq'), f.occurred_at
        FROM (SELECT DISTINCT ON (e.source, e.source_key) e.* FROM entry e WHERE e.source_key IS NOT NULL ORDER BY e.source, e.source_key, e.n) f
        ORDER BY f.source, f.source_key
        ON CONFLICT (source, source_key) DO NOTHING
        RETURNING source, source_key, touchpoint_id
    )
    SELECT array_agg(CASE WHEN e.source_key IS NULL THEN nextval('touchpoints_touchpoint_id_seq') ELSE c.touchpoint_id END ORDER BY e.n),
           array_agg(e.source_key IS NULL OR c.touchpoint_id IS NOT NULL AND e.earlier = 0 ORDER BY e.n)
    INTO touchpoints, fresh
    FROM (SELECT e.*, row_number() OVER (PARTITION BY e.source, e.source_key ORDER BY e.n) - 1 AS earlier FROM entry e) e
         LEFT JOIN claimed c ON c.source = e.source AND c.source_key = e.source_key;

    IF array_position(touchpoints, NULL) IS NOT NULL THEN  -- somebody has recorded these before
        SELECT array_agg(coalesce(e.touchpoint_id, k.touchpoint_id) ORDER BY e.n) INTO touchpoints
        FROM ROWS FROM (unnest(events), unnest(touchpoints)) WITH ORDINALITY
             e(identifiers, occurred_at, channel, action, value, currency, direction, conversation, agent, campaign, source, source_key,
               attributes, touchpoint_id, n)
             LEFT JOIN LATERAL (SELECT * FROM touchpoint_keys k WHERE k.source = coalesce(e.source, 'sql') AND k.source_key = e.source_key OFFSET 0) k
                       ON e.touchpoint_id IS NULL;
        IF array_position(fresh, true) IS NULL THEN
            RETURN touchpoints;
        END IF;
    END IF;

    -- single identifiers, and whether they are known
    SELECT array_agg(CASE WHEN cardinality(e.identifiers) = 1 THEN e.identifiers[1] END ORDER BY e.ordinality) INTO firsts
    FROM unnest(events) WITH ORDINALITY e;
    SELECT array_agg(CASE WHEN f.fresh THEN i.identity_id END ORDER BY f.n),
           array_agg(f.n ORDER BY f.n) FILTER (WHERE f.fresh AND i.identity_id IS NULL)
    INTO identities, stitched
    FROM unnest(firsts, fresh) WITH ORDINALITY f(identifier, fresh, n)
         LEFT JOIN LATERAL (SELECT * FROM identities i WHERE i.identifier = f.identifier OFFSET 0) i ON true;

    IF stitched IS NOT NULL THEN
        SELECT array_agg(ROW(e.identifiers, e.occurred_at, coalesce(e.source, 'sql'), coalesce(e.evidence_key, e.source_key))::observation ORDER BY e.n)
        INTO observations
        FROM ROWS FROM (unnest(events), unnest(evidence_keys), unnest(fresh), unnest(identities)) WITH ORDINALITY
             e(identifiers, occurred_at, channel, action, value, currency, direction, conversation, agent, campaign, source, source_key,
               attributes, evidence_key, fresh, identity_id, n)
        WHERE e.fresh AND e.identity_id IS NULL;
        found := (identify_all(observations)).identities;
        SELECT array_agg(coalesce(i.identity_id, s.identity_id) ORDER BY i.n) INTO identities
        FROM unnest(identities) WITH ORDINALITY i(identity_id, n)
             LEFT JOIN unnest(stitched, found) s(n, identity_id) ON s.n = i.n;
    END IF;

    INSERT INTO touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, value, currency, direction, conversation, agent,
                             campaign, source, source_key, attributes)
    SELECT e.touchpoint_id, e.identity_id, e.occurred_at, e.channel, e.action, e.value, e.currency, e.direction, e.conversation, e.agent,
           e.campaign, coalesce(e.source, 'sql'), e.source_key, e.attributes
    FROM ROWS FROM (unnest(events), unnest(touchpoints), unnest(identities), unnest(fresh))
         e(identifiers, occurred_at, channel, action, value, currency, direction, conversation, agent, campaign, source, source_key,
           attributes, touchpoint_id, identity_id, fresh)
    WHERE e.fresh;

    IF NOT history AND (SELECT s.notify FROM settings s WHERE s.one_row) THEN
        PERFORM pg_notify(current_schema(), news(i.customer_id, max(u.touchpoint_id)))
        FROM unnest(touchpoints, identities, fresh) u(touchpoint_id, identity_id, fresh)
             CROSS JOIN LATERAL (SELECT * FROM identities i WHERE i.identity_id = u.identity_id OFFSET 0) i
        WHERE u.fresh
        GROUP BY i.customer_id;
    END IF;
    RETURN touchpoints;
END $$;
COMMENT ON FUNCTION @hub@.record_events(@hub@.event[], text[], boolean) IS 'record many touchpoints at once, with keys of their own for the evidence in them; returns the number of each';

CREATE OR REPLACE FUNCTION @hub@.record_many(events @hub@.event[]) RETURNS bigint[]
LANGUAGE sql
BEGIN ATOMIC
    SELECT @hub@.record_events(events, NULL);
END;
COMMENT ON FUNCTION @hub@.record_many(@hub@.event[]) IS 'record many touchpoints at once; returns the number of each';
