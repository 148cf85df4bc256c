-- Touchpoints in: record, record_many. And back: unrecord.
--
-- A key is claimed first, so that of two calls with one key the second waits, and then finds what the first has
-- made. Keys are claimed in their order, but touchpoints are numbered in the order they came in, which is the order
-- of those of one time. What the identifiers tell of who is who is for 50_identify.sql. A single identifier that is
-- known tells nothing, and locks nothing.
--
-- The fields of an event stand in the type event, and are named where a touchpoint is made of them. Of "ROWS FROM (...,
-- unnest(events)) e(...)" the columns named are those before the event's, which keep their names.

-- Whoever lacks the rights shall be told so at once, and by whom they are had. Each level is known by a right those
-- below lack.
CREATE OR REPLACE FUNCTION @hub@.check_may(level text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT (CASE level WHEN 'reader' THEN has_table_privilege('memberships', 'SELECT')
                       WHEN 'identifiers' THEN has_column_privilege('identities', 'identifier', 'SELECT')
                       WHEN 'writer' THEN has_table_privilege('touchpoint_keys', 'INSERT')
                       WHEN 'steward' THEN has_table_privilege('evidence', 'UPDATE')
                       WHEN 'owner' THEN pg_has_role((SELECT n.nspowner FROM pg_namespace n
                                                      WHERE n.nspname = current_schema()), 'USAGE') END) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format(CASE level WHEN 'owner' THEN 'must be owner of hub %s'
                                        ELSE 'permission denied for hub %s' END, current_schema()),
            DETAIL = format('Role %s may not do what %s may.', current_user,
                            CASE level WHEN 'owner' THEN 'the owner'
                                       WHEN 'identifiers' THEN 'a reader who sees identifiers' ELSE 'a ' || level END),
            HINT = CASE WHEN level <> 'owner'
                        THEN format('The hub''s owner can let it: SELECT %I.grant_access(%L, %s);', current_schema(),
                                    current_user, CASE level WHEN 'identifiers' THEN '''reader'', identifiers => true'
                                                             ELSE quote_literal(level) END)
                        ELSE format('It is %s.', (SELECT n.nspowner::regrole FROM pg_namespace n
                                                  WHERE n.nspname = current_schema())) END;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.check_may(text)
    IS 'refuse whoever has not been granted that level of access, or the right to see identifiers, or is not the owner';

-- Not by the rules of a language: in Turkish, i has another capital.
CREATE OR REPLACE FUNCTION @hub@.currency_code(currency text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif(upper(btrim(currency_code.currency, E' \t\r\n\f\v') COLLATE "C"), '');
COMMENT ON FUNCTION @hub@.currency_code(text) IS
    'a currency as the hub writes it: in capitals, without space around it; NULL if nothing is left';

CREATE OR REPLACE FUNCTION @hub@.spell_currency() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    NEW.currency := currency_code(NEW.currency);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @hub@.spell_currency() IS 'trigger: each currency has one spelling';
-- The conditions are so short because they are prepared for each statement
CREATE OR REPLACE TRIGGER spell_currency BEFORE INSERT OR UPDATE ON @hub@.touchpoints FOR EACH ROW
    WHEN (NEW.currency ~ '[a-z]|^\s|\s$|^$') EXECUTE FUNCTION @hub@.spell_currency();
CREATE OR REPLACE TRIGGER spell_currency BEFORE INSERT OR UPDATE ON @hub@.settings FOR EACH ROW
    WHEN (NEW.currency ~ '[a-z]|^\s|\s$|^$') EXECUTE FUNCTION @hub@.spell_currency();

-- Whether an event is a touchpoint, but for what the type touchpoint refuses, and how far its time is from now;
-- check_event tells what is wrong. Becomes part of the query that calls it.
CREATE OR REPLACE FUNCTION @hub@.is_event(event @hub@.event) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(cardinality(event.identifiers) > 0 AND array_position(event.identifiers, NULL) IS NULL
                AND event.occurred_at >= '0001-01-01 00:00Z'::timestamptz
                    AND event.occurred_at < '10000-01-01 00:00Z'::timestamptz, false)
       AND event.channel IS NOT NULL AND event.action IS NOT NULL AND coalesce(event.direction, 'in') IN ('in', 'out')
       AND (event.source IS NOT NULL OR event.source_key IS NULL);
COMMENT ON FUNCTION @hub@.is_event(@hub@.event) IS 'whether an event is a touchpoint';

CREATE OR REPLACE FUNCTION @hub@.check_event(event @hub@.event) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    wrong text := CASE WHEN event.occurred_at IS NULL THEN 'occurred_at'
                       WHEN event.channel IS NULL THEN 'channel'
                       WHEN event.action IS NULL THEN 'action' END;
BEGIN
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('%s of a touchpoint must not be NULL', wrong),
            DETAIL = format('Identifiers: %s; source: %s, key: %s.', coalesce(event.identifiers::text, 'NULL'),
                            coalesce(event.source, 'NULL'),
                            coalesce(event.source_key, 'NULL'));
    ELSIF event.source IS NULL AND event.source_key IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('key %s has no source', event.source_key),
            DETAIL = format('Identifiers: %s.', event.identifiers::text),
            HINT = 'Keys of two programs may be the same: say in source where it comes from, such as '
                   'source => ''shop''.';
    ELSIF event.direction NOT IN ('in', 'out') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('direction of a touchpoint must be in or out, not %s', event.direction),
            HINT = 'It is NULL where neither the customer nor the company wrote to the other.';
    ELSIF event.occurred_at < '0001-01-01 00:00Z' OR event.occurred_at >= '10000-01-01 00:00Z' THEN
        RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow',
            MESSAGE = format('occurred_at of a touchpoint must not be %s', event.occurred_at),
            DETAIL = 'It must be in the years 1 to 9999.';
    END IF;
    PERFORM check_observation(event.identifiers, event.occurred_at, coalesce(event.source, 'sql'), event.source_key);
    PERFORM check_time('occurred_at of a touchpoint', event.occurred_at);
END $$;
COMMENT ON FUNCTION @hub@.check_event(@hub@.event) IS 'refuse what is no touchpoint';

CREATE OR REPLACE FUNCTION @hub@.news(customer_id bigint, touchpoint_id bigint, became text DEFAULT NULL)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{"customer_id": ' || news.customer_id::text || ', "touchpoint_id": ' || news.touchpoint_id::text
       || coalesce(', "' || news.became || '": true', '') || '}';
COMMENT ON FUNCTION @hub@.news(bigint, bigint, text) IS
    'what listeners are told of a touchpoint: that it is new, or has become changed, or removed';

-- Beyond a thousand of a transaction that listeners had better look themselves, which is told once, as PostgreSQL tells
-- the same only once. How many there were is known to the transaction, and taken back as far as it is.
CREATE OR REPLACE FUNCTION @hub@.tell(news text[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    counter CONSTANT text := 'pg_journey_told.in_' || quote_ident(current_schema())::regnamespace::oid;
    told CONSTANT integer := coalesce(nullif(current_setting(counter, true), '')::integer, 0);
BEGIN
    IF news = '{}' THEN
        RETURN;
    END IF;
    PERFORM pg_notify(current_schema(), n.payload) FROM unnest(news[:1000 - told]) n(payload);
    IF told + cardinality(news) > 1000 THEN
        PERFORM pg_notify(current_schema(), '{"many": true}');
    END IF;
    PERFORM set_config(counter, least(told + cardinality(news), 1000)::text, true);
END $$;
COMMENT ON FUNCTION @hub@.tell(text[]) IS 'tell those who listen on the channel named like the hub';

-- Of each customer the newest. The last few thousand show whether customers are more than are told: so a large call
-- does not look for all.
CREATE OR REPLACE FUNCTION @hub@.news_of(numbers bigint[], identity_ids bigint[], fresh boolean[]) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    size CONSTANT integer := cardinality(numbers);
    news text[];
    first integer;
BEGIN
    FOREACH first IN ARRAY ARRAY[greatest(size - 2999, 1), 1] LOOP
        news := array(SELECT news(i.customer_id, max(u.id))
                      FROM (SELECT u.identity_id, max(u.id) AS id
                            FROM (SELECT unnest(numbers[first:]) AS id, unnest(identity_ids[first:]) AS identity_id,
                                         unnest(fresh[first:]) AS fresh) u
                            WHERE u.fresh IS NOT FALSE
                            GROUP BY u.identity_id) u
                           CROSS JOIN LATERAL (SELECT i.customer_id FROM identities i
                                               WHERE i.identity_id = u.identity_id OFFSET 0) i
                      GROUP BY i.customer_id LIMIT 1001);
        EXIT WHEN cardinality(news) > 1000 OR first = 1;
    END LOOP;
    RETURN news;
END $$;
COMMENT ON FUNCTION @hub@.news_of(bigint[], bigint[], boolean[]) IS
    'what listeners are told of new touchpoints; of more than a thousand customers it is of some';

-- What has come before under the same key must have been the same: otherwise one of two touchpoints would be lost.
-- It must have been the same customer's, and who is given with whom must have been told then. What comes from other
-- systems' payloads is sent again with other attributes (how often it was tried, say; subject and url are like them),
-- and times that are worked out anew. Returns the touchpoint's number; NULL: there is none any more.
CREATE OR REPLACE FUNCTION @hub@.check_replay(event @hub@.event, sent_again boolean DEFAULT false) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    known record;
    there record;
    was event;                  -- what is there, as it would be given,
    ids bigint[];               -- identities of what is given,
    told @extschema@.identifier[];  -- and identifiers that were given then
    same boolean;
    same_time boolean;
    differ text;
    were text;
    given text;
BEGIN
    SELECT k.touchpoint_id, k.occurred_at INTO known
    FROM touchpoint_keys k WHERE k.source = event.source AND k.source_key = event.source_key;
    SELECT ROW(event.identifiers, event.occurred_at, t.channel, t.action, t.value, t.currency, t.direction,
               t.conversation, t.agent, t.campaign, t.source, t.source_key, t.attributes, t.subject,
               t.url)::event AS event,
           t.occurred_at, i.customer_id, i.identifier INTO there
    FROM touchpoints t LEFT JOIN LATERAL (SELECT i.customer_id, i.identifier FROM identities i
                                          WHERE i.identity_id = t.identity_id OFFSET 0) i ON true
    WHERE t.touchpoint_id = known.touchpoint_id AND t.occurred_at = known.occurred_at;
    IF NOT FOUND THEN
        RETURN known.touchpoint_id;
    END IF;
    was := there.event;
    event.currency := currency_code(event.currency);

    SELECT bool_or(i.customer_id = there.customer_id), array_agg(DISTINCT i.identity_id) INTO same, ids
    FROM unnest(event.identifiers) g(identifier)
         LEFT JOIN LATERAL (SELECT i.customer_id, i.identity_id FROM identities i
                            WHERE i.identifier = g.identifier OFFSET 0) i ON true;
    IF same IS NOT TRUE THEN
        same := EXISTS (SELECT FROM unnest(event.identifiers) g(identifier)
                        WHERE customer_of(g.identifier) = there.customer_id);
    END IF;
    IF same AND cardinality(ids) > 1 THEN
        SELECT v.identities @> ids,
            array(SELECT i.identifier FROM identities i WHERE i.identity_id = ANY (v.identities) ORDER BY i.identifier)
        INTO same, told
        FROM evidence v WHERE v.source = event.source AND v.source_key = event.source_key;
        IF same IS NOT TRUE THEN  -- unless they are the same in their normal form
            same := normal_identifiers(coalesce(told, ARRAY[there.identifier]))
                @> normal_identifiers(event.identifiers);
        END IF;
    END IF;

    same_time := there.occurred_at = event.occurred_at
                 OR sent_again AND there.occurred_at BETWEEN event.occurred_at - interval '1 minute'
                     AND event.occurred_at + interval '1 minute';
    IF sent_again THEN
        event.attributes := was.attributes;
        event.subject := was.subject;
        event.url := was.url;
    END IF;
    IF same AND same_time AND was IS NOT DISTINCT FROM event THEN
        RETURN known.touchpoint_id;
    END IF;
    was.value := trim_scale(was.value);
    event.value := trim_scale(event.value);
    SELECT string_agg(d.field, ', ' ORDER BY d.n),
        string_agg(d.field || ' ' || coalesce(d.there, 'NULL'), ', ' ORDER BY d.n),
           string_agg(d.field || ' ' || coalesce(d.given, 'NULL'), ', ' ORDER BY d.n)
    INTO differ, were, given
    FROM (SELECT -1 AS n, 'identifiers' AS field, coalesce(told, ARRAY[there.identifier])::text AS there,
                 event.identifiers::text AS given
          WHERE same IS NOT TRUE
          UNION ALL
          SELECT 0, 'occurred_at', there.occurred_at::text, event.occurred_at::text WHERE NOT same_time
          UNION ALL
          SELECT w.n, w.field, w.there, g.given
          FROM json_each_text(row_to_json(was)) WITH ORDINALITY w(field, there, n)
               JOIN json_each_text(row_to_json(event)) g(field, given) ON g.field = w.field
          WHERE w.there IS DISTINCT FROM g.given) d;
    RAISE EXCEPTION USING ERRCODE = 'unique_violation',
        MESSAGE = format('key %s of source %s is there with other %s', event.source_key, event.source, differ),
        DETAIL = format('Touchpoint %s has %s; given: %s.', known.touchpoint_id, were, given),
        HINT = format('To correct it, take it back first: SELECT %I.unrecord(%L, %L). What is another touchpoint '
                      'needs a key of its own.',
                      current_schema(), event.source, event.source_key);
END $$;
COMMENT ON FUNCTION @hub@.check_replay(@hub@.event, boolean) IS
    'the touchpoint of a key that is there; refuse what differs from it';

-- Most are the same to the letter, which is told for all of them at once.
CREATE OR REPLACE FUNCTION @hub@.replayed(events @hub@.event[], numbers bigint[], fresh boolean[], checking boolean,
    sent_again boolean) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    known bigint[];
    doubtful integer[];
    place integer;
BEGIN
    SELECT array_agg(CASE WHEN e.fresh THEN e.id ELSE k.touchpoint_id END ORDER BY e.ordinality),
           coalesce(array_agg(e.ordinality ORDER BY e.ordinality) FILTER (WHERE NOT e.fresh AND same.one IS NULL), '{}')
    INTO known, doubtful
    FROM ROWS FROM (unnest(numbers), unnest(fresh), unnest(events)) WITH ORDINALITY e(id, fresh)
         LEFT JOIN LATERAL (SELECT k.touchpoint_id, k.occurred_at FROM touchpoint_keys k
                            WHERE NOT e.fresh AND k.source = e.source AND k.source_key = e.source_key OFFSET 0) k
                                ON true
         LEFT JOIN LATERAL (SELECT t.identity_id FROM touchpoints t
                            WHERE checking AND NOT e.fresh AND t.touchpoint_id = k.touchpoint_id
                                AND t.occurred_at = k.occurred_at
                                  AND (t.channel, t.action, t.value, t.currency, t.direction, t.conversation, t.agent,
                                       t.campaign)
                                      IS NOT DISTINCT FROM
                                      (e.channel, e.action, e.value, currency_code(e.currency), e.direction,
                                       e.conversation, e.agent, e.campaign)
                                  AND (t.occurred_at, t.attributes, t.subject, t.url)
                                      IS NOT DISTINCT FROM (e.occurred_at, e.attributes, e.subject, e.url)
                            OFFSET 0) t ON true
         LEFT JOIN LATERAL (SELECT i.identifier FROM identities i WHERE i.identity_id = t.identity_id OFFSET 0) i
             ON true
         LEFT JOIN LATERAL (SELECT v.identities FROM evidence v
                            WHERE cardinality(e.identifiers) > 1 AND i.identifier = ANY (e.identifiers)
                                  AND v.source = e.source AND v.source_key = e.source_key OFFSET 0) v ON true
         LEFT JOIN LATERAL (SELECT 1 AS one
                            WHERE CASE WHEN cardinality(e.identifiers) = 1 THEN i.identifier = e.identifiers[1]
                                       ELSE v.identities IS NOT NULL AND NOT EXISTS (
                                           SELECT FROM unnest(e.identifiers) g(identifier)
                                                LEFT JOIN LATERAL (SELECT x.identity_id FROM identities x
                                                                   WHERE x.identifier = g.identifier OFFSET 0) x ON true
                                           WHERE (x.identity_id = ANY (v.identities)) IS NOT TRUE) END) same ON true;
    IF checking AND array_position(known, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = 'a touchpoint was taken back while it was recorded again',
            HINT = 'Run the transaction again.';
    ELSIF checking THEN
        FOREACH place IN ARRAY doubtful LOOP
            PERFORM check_replay(events[place], sent_again);
        END LOOP;
    END IF;
    RETURN known;
END $$;
COMMENT ON FUNCTION @hub@.replayed(@hub@.event[], bigint[], boolean[], boolean, boolean) IS
    'numbers of the touchpoints of events, of which those that are not fresh have been recorded before; refuse what '
    'differs from what was';

-- Once more, if somebody has made a partition while rows of its month were on their way to the default one.
CREATE OR REPLACE FUNCTION @hub@.insert_touchpoints(numbers bigint[], identity_ids bigint[], fresh boolean[],
                                                    events @hub@.event[]) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    violated text;
BEGIN
    FOR try IN 1 .. 5 LOOP
        BEGIN
            INSERT INTO touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, value, currency,
                                     direction, conversation, agent, campaign, source, source_key, attributes,
                                     subject, url)
            SELECT u.id, u.identity_id, (u.event).occurred_at, (u.event).channel, (u.event).action,
                   (u.event).value, (u.event).currency, (u.event).direction, (u.event).conversation,
                   (u.event).agent, (u.event).campaign, coalesce((u.event).source, 'sql'), (u.event).source_key,
                   (u.event).attributes, (u.event).subject, (u.event).url
            FROM (SELECT unnest(numbers) AS id, unnest(identity_ids) AS identity_id, unnest(fresh) AS fresh,
                         unnest(events) AS event) u
            WHERE u.fresh IS NOT FALSE;
            RETURN;
        EXCEPTION WHEN check_violation THEN
            GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
            IF try = 5 OR violated <> '' THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.insert_touchpoints(bigint[], bigint[], boolean[], @hub@.event[]) IS
    'store touchpoints of events, those that are fresh, or all if that is NULL';

CREATE OR REPLACE FUNCTION @hub@.record_one(event @hub@.event, sent_again boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    id bigint;
    known bigint;
    identity bigint;
    notify boolean;
    implausible boolean;
    forgetful boolean;
BEGIN
    IF NOT has_table_privilege('touchpoint_keys', 'INSERT') THEN
        PERFORM check_may('writer');
    ELSIF NOT is_event(event) THEN
        PERFORM check_event(event);
    END IF;
    IF event.source IS NULL THEN
        event.source := 'sql';
    END IF;
    IF journey_pass('suppressions') THEN
        IF suppressed_now(event.identifiers) <> '{}' THEN
            PERFORM count_suppressed(event.source, 1, 0);
            RETURN NULL;
        END IF;
    END IF;
    id := nextval('touchpoints_touchpoint_id_seq');
    IF id % 1000 = 999 THEN
        PERFORM make_partitions_for(ARRAY[event.occurred_at]);
    END IF;
    IF event.source_key IS NOT NULL THEN
        LOOP
            INSERT INTO touchpoint_keys (source, source_key, touchpoint_id, occurred_at)
            VALUES (event.source, event.source_key, id, event.occurred_at)
            ON CONFLICT ON CONSTRAINT touchpoint_keys_pkey DO NOTHING;
            EXIT WHEN FOUND;
            known := check_replay(event, sent_again);
            IF known IS NOT NULL THEN
                RETURN known;
            END IF;
        END LOOP;
    END IF;
    SELECT s.notify, event.occurred_at > now() + s.future_within OR event.occurred_at < now() - s.past_within,
           s.forget_unreferenced
        INTO notify, implausible, forgetful
    FROM settings s WHERE s.one_row;
    IF implausible THEN
        PERFORM check_event(event);
    END IF;
    IF cardinality(event.identifiers) = 1 THEN
        identity := (SELECT i.identity_id FROM identities i WHERE i.identifier = event.identifiers[1]);
        IF forgetful AND identity IS NOT NULL THEN
            identity := (keep_identities(ARRAY[identity]))[1];
        END IF;
    ELSIF event.source_key IS NOT NULL THEN
        IF EXISTS (SELECT FROM evidence v WHERE v.source = event.source AND v.source_key = event.source_key
                   AND v.retracted_at IS NOT NULL) THEN
            PERFORM lock_ahead('{}', event.identifiers), set_aside(event.source, ARRAY[event.source_key]);
        END IF;
    END IF;
    WHILE identity IS NULL LOOP
        identity := (identify_one(event.identifiers, event.occurred_at, event.source, event.source_key)).identity;
        IF forgetful THEN  -- what tells nothing new has locked nothing
            identity := (keep_identities(ARRAY[identity]))[1];
        END IF;
    END LOOP;
    IF to_regclass('touchpoints_' || to_char(event.occurred_at AT TIME ZONE 'UTC', 'YYYY_MM')) IS NULL THEN
        PERFORM insert_touchpoints(ARRAY[id], ARRAY[identity], NULL, ARRAY[event]);
    ELSE  -- no other can be chosen: so without a subtransaction
        INSERT INTO touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, value, currency, direction,
                                 conversation, agent, campaign, source, source_key, attributes, subject, url)
        VALUES (id, identity, event.occurred_at, event.channel, event.action, event.value, event.currency,
                event.direction, event.conversation, event.agent, event.campaign, event.source, event.source_key,
                event.attributes, event.subject, event.url);
    END IF;
    IF notify THEN
        PERFORM pg_notify(current_schema(), news(i.customer_id, id)) FROM identities i WHERE i.identity_id = identity;
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION @hub@.record_one(@hub@.event, boolean) IS 'record a touchpoint';

CREATE OR REPLACE FUNCTION @hub@.record(
    identifiers @extschema@.identifier[], occurred_at timestamptz, channel text, action text,
        value numeric DEFAULT NULL,
    currency text DEFAULT NULL, direction text DEFAULT NULL, conversation text DEFAULT NULL, agent text DEFAULT NULL,
    campaign text DEFAULT NULL, source text DEFAULT NULL, source_key text DEFAULT NULL, attributes jsonb DEFAULT NULL,
    subject text DEFAULT NULL, url text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN record_one(ROW(identifiers, occurred_at, channel, action, value, currency, direction, conversation, agent,
                          campaign, source, source_key, attributes, subject, url)::event, false);
END $$;
COMMENT ON FUNCTION @hub@.record(@extschema@.identifier[], timestamptz, text, text, numeric, text, text, text, text,
                                text, text, text, jsonb, text, text)
    IS 'record a touchpoint, and that its identifiers were seen together; returns its number. The same source and key '
       'is the same touchpoint';

-- In the order of keys, as all do who claim several: by their bytes, which is the quickest. To look for each key's like
-- before it is put in costs as much as to put it in: where a hundred of many are new, all are taken for new, and looked
-- for only if one is not.
CREATE OR REPLACE FUNCTION @hub@.claim_keys(sources text[], keys text[], numbers bigint[], times timestamptz[])
RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    size CONSTANT integer := cardinality(keys);
    claimed bigint[];
BEGIN
    IF size > 500 AND NOT EXISTS (SELECT FROM generate_series(1, size, size / 100) g(n)
                                       CROSS JOIN LATERAL (SELECT FROM touchpoint_keys k
                                                           WHERE k.source = sources[g.n] AND k.source_key = keys[g.n]
                                                           OFFSET 0) k) THEN
        BEGIN
            WITH claimed AS (
                INSERT INTO touchpoint_keys AS k (source, source_key, touchpoint_id, occurred_at)
                SELECT DISTINCT ON (u.key COLLATE "C", u.source COLLATE "C") u.source, u.key, u.id, u.at
                FROM (SELECT unnest(sources) AS source, unnest(keys) AS key, unnest(numbers) AS id,
                             unnest(times) AS at) u
                WHERE u.key IS NOT NULL
                ORDER BY u.key COLLATE "C", u.source COLLATE "C", u.id
                RETURNING k.touchpoint_id
            )
            SELECT coalesce(array_agg(c.touchpoint_id), '{}') INTO claimed FROM claimed c;
            RETURN claimed;
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
    END IF;
    WITH claimed AS (
        INSERT INTO touchpoint_keys AS k (source, source_key, touchpoint_id, occurred_at)
        SELECT DISTINCT ON (u.key COLLATE "C", u.source COLLATE "C") u.source, u.key, u.id, u.at
        FROM (SELECT unnest(sources) AS source, unnest(keys) AS key, unnest(numbers) AS id,
                     unnest(times) AS at) u
        WHERE u.key IS NOT NULL
        ORDER BY u.key COLLATE "C", u.source COLLATE "C", u.id
        ON CONFLICT ON CONSTRAINT touchpoint_keys_pkey DO NOTHING
        RETURNING k.touchpoint_id
    )
    SELECT coalesce(array_agg(c.touchpoint_id), '{}') INTO claimed FROM claimed c;
    RETURN claimed;
END $$;
COMMENT ON FUNCTION @hub@.claim_keys(text[], text[], bigint[], timestamptz[]) IS
    'put in keys that are not there yet, of those given twice the first; returns the numbers of these';

-- Each step is done for all events at once, and asks arrays of the fields it needs. Rows are unnested to be checked,
-- and to be stored, but not by FROM, which would write all of them down first. Of history nobody is told, and what is
-- there is left as it is. Observations are identified with the events, so that all is locked in one order.
CREATE OR REPLACE FUNCTION @hub@.record_events(
    events @hub@.event[], history boolean DEFAULT false, sent_again boolean DEFAULT false,
    observations @hub@.observation[] DEFAULT NULL) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_memoize = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    size CONSTANT integer := coalesce(cardinality(events), 0);
    event event;
    numbers bigint[];           -- of the touchpoint of each event
    times timestamptz[];
    sources text[];
    keys text[];
    singles @extschema@.identifier[];  -- identifiers of those that have but one
    claimed bigint[];           -- the numbers whose keys are new
    fresh boolean[];            -- whether this call makes it; NULL: all
    identity_ids bigint[];      -- its identity
    forgetful boolean;
    kept bigint[];              -- those of them that nobody forgets meanwhile
    stitched integer[];         -- events whose identifiers tell something
    telling observation[];      -- which are these
    again record;               -- keys of evidence that was retracted
    found bigint[];
    suppressed record;
BEGIN
    IF NOT has_table_privilege('touchpoint_keys', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    IF journey_pass('suppressions') THEN
        SELECT n.of_events, n.of_observations, n.any_is INTO suppressed
        FROM names_suppressed(events, observations, NULL) n;
        IF suppressed.any_is THEN
            PERFORM count_suppressed(u.source, count(*) FILTER (WHERE u.is_event),
                                     count(*) FILTER (WHERE NOT u.is_event))
            FROM (SELECT e.source, true AS is_event
                  FROM ROWS FROM (unnest(suppressed.of_events), unnest(events)) e(gone) WHERE e.gone
                  UNION ALL
                  SELECT o.source, false
                  FROM ROWS FROM (unnest(suppressed.of_observations), unnest(observations)) o(gone) WHERE o.gone) u
            GROUP BY u.source;
            numbers := record_events(
                array(SELECT u.event
                      FROM (SELECT generate_subscripts(suppressed.of_events, 1) AS n,
                                   unnest(suppressed.of_events) AS gone, unnest(events) AS event) u
                      WHERE NOT u.gone ORDER BY u.n), history, sent_again,
                array(SELECT u.observation
                      FROM (SELECT generate_subscripts(suppressed.of_observations, 1) AS n,
                                   unnest(suppressed.of_observations) AS gone,
                                   unnest(observations) AS observation) u
                      WHERE NOT u.gone ORDER BY u.n));
            -- NULL for what was dropped
            RETURN array(SELECT CASE WHEN NOT u.gone
                         THEN numbers[count(*) FILTER (WHERE NOT u.gone) OVER (ORDER BY u.n)]
                                     END
                         FROM unnest(suppressed.of_events) WITH ORDINALITY u(gone, n) ORDER BY u.n);
        END IF;
    END IF;
    IF observations <> '{}' THEN
        PERFORM check_time('observed_at', min(o.observed_at)), check_time('observed_at', max(o.observed_at))
        FROM unnest(observations) o WHERE isfinite(o.observed_at);
    END IF;
    IF size = 0 THEN
        PERFORM identify_all(observations);
        RETURN '{}';
    ELSIF array_ndims(events) > 1 OR array_lower(events, 1) <> 1 THEN
        events := array(SELECT unnest(events));
    END IF;
    IF EXISTS (SELECT FROM (SELECT unnest(events) AS event) u WHERE NOT is_event(u.event)) THEN
        FOREACH event IN ARRAY events LOOP
            PERFORM check_event(event);
        END LOOP;
    END IF;

    times := journey_field(events, 'occurred_at', '{}'::timestamptz[]);
    sources := journey_field(events, 'source', '{}'::text[]);
    keys := journey_field(events, 'source_key', '{}'::text[]);
    PERFORM make_partitions_for(times);
    numbers := array(SELECT nextval('touchpoints_touchpoint_id_seq') FROM generate_series(1, size));
    claimed := claim_keys(sources, keys, numbers, times);
    IF cardinality(claimed) < size THEN
        PERFORM plan_for(size);  -- where arrays are joined
        fresh := array(SELECT u.key IS NULL OR c.id IS NOT NULL
                       FROM (SELECT unnest(keys) AS key, unnest(numbers) AS id) u
                            LEFT JOIN (SELECT unnest(claimed) AS id) c ON c.id = u.id
                       ORDER BY u.id);
    END IF;

    IF fresh IS NULL OR true = ANY (fresh) THEN
        IF EXISTS (SELECT FROM settings s, (SELECT min(u.at) AS first, max(u.at) AS last FROM unnest(times) u(at)) t
                   WHERE s.one_row AND (t.last > now() + s.future_within OR t.first < now() - s.past_within)) THEN
            FOR n IN 1 .. size LOOP
                IF fresh[n] IS NOT FALSE AND NOT time_is_plausible(times[n]) THEN
                    PERFORM check_event(events[n]);
                END IF;
            END LOOP;
        END IF;

        -- single identifiers, and whether they are known
        singles := journey_only_element(events, 'identifiers', '{}'::@extschema@.identifier[]);
        IF fresh IS NOT NULL THEN
            singles := array(SELECT CASE WHEN u.fresh THEN u.single END
                             FROM (SELECT unnest(singles) AS single, unnest(fresh) AS fresh) u);
        END IF;
        SELECT journey_elements_at(coalesce((look_up(p.forms)).ids, '{}'), p.places) INTO identity_ids
        FROM identifier_places(singles, times) p;
        forgetful := (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row);
        IF forgetful THEN
            -- who may make a shared one usable again locks people, and then it: so it is not kept first, but identified
            kept := keep_identities(array(SELECT i.identity_id FROM identities i
                                          WHERE i.identity_id = ANY (identity_ids) AND NOT i.shared));
            identity_ids := array(SELECT CASE WHEN u.id IN (SELECT unnest(kept)) THEN u.id END
                                  FROM (SELECT unnest(identity_ids) AS id) u);
        END IF;
        IF array_position(identity_ids, NULL) IS NOT NULL THEN
            SELECT array_agg(u.n),
                   array_agg(ROW((u.event).identifiers, (u.event).occurred_at, coalesce((u.event).source, 'sql'),
                                 (u.event).source_key)::observation)
            INTO stitched, telling
            FROM (SELECT generate_series(1, size) AS n, unnest(identity_ids) AS id, unnest(fresh) AS fresh,
                         unnest(events) AS event) u
            WHERE u.id IS NULL AND u.fresh IS NOT FALSE;
        END IF;

        IF stitched IS NOT NULL OR observations <> '{}' THEN
            FOR again IN
                SELECT o.source, array_agg(o.source_key) AS keys
                FROM unnest(telling) o
                     CROSS JOIN LATERAL (SELECT FROM evidence v
                                         WHERE v.source = o.source AND v.source_key = o.source_key
                                               AND v.retracted_at IS NOT NULL OFFSET 0) v
                GROUP BY o.source
            LOOP
                PERFORM lock_ahead('{}', array(SELECT DISTINCT i.identifier FROM unnest(telling || observations) o
                                               CROSS JOIN LATERAL unnest(o.identifiers) i(identifier))),
                        set_aside(again.source, again.keys);
            END LOOP;
            found := (SELECT a.identities FROM identify_all(telling || observations) a);
            IF forgetful AND EXISTS (SELECT unnest(found) EXCEPT SELECT unnest(keep_identities(found))) THEN
                RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
                    MESSAGE = 'an identifier was forgotten while it was recorded again',
                    HINT = 'Run the transaction again.';
            END IF;
            IF cardinality(stitched) = size THEN
                identity_ids := found[:size];
            ELSIF stitched IS NOT NULL THEN
                PERFORM plan_for(size);
                identity_ids := array(SELECT coalesce(i.id, s.id)
                                      FROM unnest(identity_ids) WITH ORDINALITY i(id, n)
                                           LEFT JOIN unnest(stitched, found) s(n, id) ON s.n = i.n
                                      ORDER BY i.n);
            END IF;
        END IF;

        PERFORM insert_touchpoints(numbers, identity_ids, fresh, events);
        IF cardinality(numbers) >= 1000 THEN
            PERFORM gather_statistics(numbers[1], numbers[cardinality(numbers)]);
        END IF;

        IF NOT history AND (SELECT s.notify FROM settings s WHERE s.one_row) THEN
            PERFORM tell(news_of(numbers, identity_ids, fresh));
        END IF;
    ELSE
        PERFORM identify_all(observations);
    END IF;

    IF fresh IS NOT NULL THEN  -- somebody has recorded the others before, or they are given twice
        RETURN replayed(events, numbers, fresh, NOT history, sent_again);
    END IF;
    RETURN numbers;
END $$;
COMMENT ON FUNCTION @hub@.record_events(@hub@.event[], boolean, boolean, @hub@.observation[]) IS
    'record many touchpoints at once; returns the number of each';

CREATE OR REPLACE FUNCTION @hub@.record_many(events @hub@.event[]) RETURNS bigint[]
LANGUAGE sql
BEGIN ATOMIC
    SELECT @hub@.record_events(record_many.events);
END;
COMMENT ON FUNCTION @hub@.record_many(@hub@.event[]) IS 'record many touchpoints at once; returns the number of each';

-- The field that is meant by a name that is none: the one with most pairs of letters in common, if that is half of
-- them.
CREATE OR REPLACE FUNCTION @hub@.nearest_field(name text, fields text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT s.field
    FROM (SELECT f.field, count(p.pair)
          FILTER (WHERE position(p.pair IN lower(replace(nearest_field.name, '_', ''))) > 0) * 2.0
                          / (count(*) + greatest(length(replace(nearest_field.name, '_', '')) - 1, 1)) AS likeness
          FROM unnest(nearest_field.fields) f(field)
               CROSS JOIN LATERAL (SELECT substr(replace(f.field, '_', ''), n, 2) AS pair
                                   FROM generate_series(1, length(replace(f.field, '_', '')) - 1) n) p
          GROUP BY f.field) s
    WHERE s.likeness >= 0.5
    ORDER BY s.likeness DESC, s.field
    LIMIT 1;
END;
COMMENT ON FUNCTION @hub@.nearest_field(text, text[]) IS
    'the field that may be meant by another name; NULL: none is near';

CREATE OR REPLACE FUNCTION @hub@.json_identifiers(given json) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    wrong text;
    found text[];
BEGIN
    IF json_typeof(given) = 'array' THEN
        SELECT min(json_typeof(g.v)) FILTER (WHERE json_typeof(g.v) NOT IN ('string', 'null')),
               array_agg(g.v #>> '{}' ORDER BY g.n) INTO wrong, found
        FROM json_array_elements(given) WITH ORDINALITY g(v, n);
    ELSIF json_typeof(given) = 'object' THEN
        SELECT min(json_typeof(v.v)) FILTER (WHERE json_typeof(v.v) NOT IN ('string', 'number')),
               array_agg(identifier(g.namespace, v.v #>> '{}')::text ORDER BY g.n, v.n) INTO wrong, found
        FROM json_each(given) WITH ORDINALITY g(namespace, v, n)
             CROSS JOIN LATERAL (SELECT g.v, 1 AS n WHERE json_typeof(g.v) <> 'array'
                                 UNION ALL
                                 SELECT a.v, a.n FROM json_array_elements(CASE WHEN json_typeof(g.v) = 'array'
                                                                          THEN g.v END) WITH ORDINALITY a(v, n)) v;
    ELSIF json_typeof(given) <> 'null' THEN
        wrong := json_typeof(given);
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('identifiers can''t be made of: %s', given),
            HINT = 'They are written ["email:ana@example.pt", "cookie:8f3a"], or {"email": "ana@example.pt", '
                   '"cookie": ["8f3a", "91c0"]}.';
    END IF;
    RETURN CASE WHEN json_typeof(given) <> 'null' THEN coalesce(found, '{}') END;
END $$;
COMMENT ON FUNCTION @hub@.json_identifiers(json) IS 'identifiers of an event in JSON, as text';

-- What a field can't be made of is an error, and so is what is no field: it would be lost. Texts may be numbers,
-- such as keys.
CREATE OR REPLACE FUNCTION @hub@.json_event(given json, fields text[]) RETURNS @hub@.event
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    event event;
    field text;
    type text;
    seen text[] := '{}';
BEGIN
    IF json_typeof(given) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('it is no JSON object: %s', left(given::text, 100));
    END IF;
    FOR field, type IN SELECT j.key, json_typeof(j.value) FROM json_each(given) j LOOP
        IF field <> ALL (fields) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('there is no field %s', field),
                HINT = coalesce('Do you mean ' || nearest_field(field, fields) || '? ', '')
                       || format('The fields are %s; whatever else is known may stand in attributes.',
                                 array_to_string(fields, ', '));
        ELSIF field = ANY (seen) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('field %s is there twice', field);
        ELSIF type IN ('object', 'array', 'boolean') AND field NOT IN ('identifiers', 'attributes') OR type = 'number'
            AND field = 'occurred_at' THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('%s can''t be made of: %s', field, left(given ->> field, 100)),
                HINT = CASE field WHEN 'occurred_at' THEN 'A time is text, such as "2026-03-01T10:00:00Z".'
                                  WHEN 'value' THEN 'A value is a number, or the text of one.'
                                  ELSE 'It must be text.' END;
        END IF;
        seen := seen || field;
    END LOOP;
    event := jsonb_populate_record(NULL::event,
                                   given::jsonb - 'identifiers'
                                       || jsonb_build_object('identifiers', json_identifiers(given -> 'identifiers')));
    IF NOT is_event(event) THEN
        PERFORM check_event(event);
    END IF;
    PERFORM @extschema@.touchpoint(event.occurred_at, event.channel, event.action, event.value);
    RETURN event;
END $$;
COMMENT ON FUNCTION @hub@.json_event(json, text[]) IS 'an event of a JSON object';

CREATE OR REPLACE FUNCTION @hub@.json_events(given json) RETURNS @hub@.event[]
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    fields CONSTANT text[] := array(SELECT a.attname::text FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid
                                    WHERE t.oid = 'event'::regtype AND NOT a.attisdropped ORDER BY a.attnum);
    events event[] := '{}';
    element json;
    place integer := 0;
    detail text;
    hint text;
BEGIN
    IF given IS NULL THEN
        RETURN NULL;
    ELSIF json_typeof(given) <> 'array' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('events must be a JSON array of objects, not %s',
                                                                                    left(given::text, 100)),
            HINT = 'One event is written [{"identifiers": ["email:ana@example.pt"], "occurred_at": ..., "channel": '
                   '..., "action": ...}].';
    END IF;
    FOR element IN SELECT j.value FROM json_array_elements(given) j LOOP
        place := place + 1;
        events := array_append(events, json_event(element, fields));
    END LOOP;
    RETURN events;
EXCEPTION WHEN data_exception OR name_too_long THEN
    IF place = 0 THEN
        RAISE;
    END IF;
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = format('event %s: %s', place, SQLERRM),
        DETAIL = coalesce(nullif(detail, ''), left(element::text, 200)),
            HINT = coalesce(nullif(hint, ''), 'Nothing was recorded.');
END $$;
COMMENT ON FUNCTION @hub@.json_events(json) IS 'events of a JSON array of objects';

CREATE OR REPLACE FUNCTION @hub@.record_many(events json) RETURNS bigint[]
LANGUAGE sql
BEGIN ATOMIC
    SELECT @hub@.record_events(@hub@.json_events(record_many.events));
END;
COMMENT ON FUNCTION @hub@.record_many(json) IS
    'record many touchpoints at once, of a JSON array of objects with the fields of an event; returns the number of '
    'each';

CREATE OR REPLACE FUNCTION @hub@.record_many(events jsonb) RETURNS bigint[]
LANGUAGE sql
BEGIN ATOMIC
    SELECT @hub@.record_events(@hub@.json_events(record_many.events::text::json));
END;
COMMENT ON FUNCTION @hub@.record_many(jsonb) IS
    'record many touchpoints at once, of a JSON array of objects with the fields of an event; returns the number of '
    'each';

-- So that a literal, or a driver's text, is no riddle: the array of events begins with a row, NULL, or bounds, and
-- JSON does not.
CREATE OR REPLACE FUNCTION @hub@.record_many(events text) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF events ~* '^\s*(\{\s*("?\(|null|\})|\[-?[0-9]+:)' THEN
        RETURN record_events(events::event[]);
    END IF;
    RETURN record_events(json_events(events::json));
END $$;
COMMENT ON FUNCTION @hub@.record_many(text) IS
    'record many touchpoints at once, of the text of an array of events, in SQL or JSON; returns the number of each';

-- The touchpoint first, then its key, which goes with it, and then what it told: so who records it again waits, and
-- has locked nothing. All in the order of keys.
CREATE OR REPLACE FUNCTION @hub@.unrecord_many(source text, source_keys text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    attached regclass;
    keys text[] := array(SELECT DISTINCT u.key FROM unnest(source_keys) u(key) WHERE u.key IS NOT NULL ORDER BY 1);
    known record;
    gone bigint[];
    identities bigint[] := '{}';
    done text[] := '{}';
BEGIN
    IF NOT has_table_privilege('touchpoint_keys', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    PERFORM journey_pass('suppressions');
    attached := (SELECT s.relation FROM sources s WHERE s.source = unrecord_many.source AND s.detached_at IS NULL
                 ORDER BY s.part <> '' AND starts_with(keys[1], s.part || ':') DESC, s.part LIMIT 1);
    IF attached IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('touchpoints of source %s are rows of the table %s, which is attached', source, attached),
            HINT = 'Change or delete the row: its touchpoint follows.';
    END IF;
    LOOP
        SELECT array_agg(u.key ORDER BY u.n) AS keys, array_agg(k.touchpoint_id ORDER BY u.n) AS ids,
               array_agg(k.occurred_at ORDER BY u.n) AS times
        INTO known
        FROM unnest(keys) WITH ORDINALITY u(key, n)
             CROSS JOIN LATERAL (SELECT k.touchpoint_id, k.occurred_at FROM touchpoint_keys k
                                 WHERE k.source = unrecord_many.source AND k.source_key = u.key OFFSET 0) k;
        EXIT WHEN known.keys IS NULL;
        WITH gone AS (
            DELETE FROM touchpoints t USING unnest(known.ids, known.times) k(id, at)
            WHERE t.touchpoint_id = k.id AND t.occurred_at = k.at
            RETURNING t.touchpoint_id, t.identity_id
        )
        SELECT coalesce(array_agg(g.touchpoint_id), '{}'), identities || array_agg(g.identity_id) INTO gone, identities
        FROM gone g;
        keys := CASE WHEN cardinality(gone) = cardinality(known.ids) THEN '{}'
                     ELSE array(SELECT u.key FROM unnest(known.keys, known.ids) u(key, id)
                                WHERE u.id NOT IN (SELECT unnest(gone))) END;
        done := done || array(SELECT unnest(known.keys) EXCEPT SELECT unnest(keys));
        EXIT WHEN keys = '{}';
        -- gone with a partition that was detached, say; or they have other times by now
        WITH lost AS (
            DELETE FROM touchpoint_keys k USING unnest(known.keys, known.ids, known.times) u(key, id, at)
            WHERE u.key = ANY (keys) AND k.source = unrecord_many.source AND k.source_key = u.key
                  AND k.touchpoint_id = u.id AND k.occurred_at = u.at
            RETURNING k.source_key
        )
        SELECT done || array_agg(l.source_key) INTO done FROM lost l;
        keys := array(SELECT u.key FROM unnest(keys) u(key) WHERE u.key <> ALL (done) ORDER BY 1);
    END LOOP;
    IF done = '{}' THEN
        RETURN 0;
    ELSIF cardinality(done) > 1 AND (SELECT s.forget_unreferenced FROM settings s WHERE s.one_row) THEN
        PERFORM lock_ahead(identities || array(SELECT i.id
                                               FROM unnest(done) u(key)
                                                    CROSS JOIN LATERAL (SELECT v.identities FROM evidence v
                                                                        WHERE v.source = unrecord_many.source
                                                                              AND v.source_key = u.key
                                                                              AND v.retracted_at IS NULL OFFSET 0) e
                                                    CROSS JOIN LATERAL unnest(e.identities) i(id)), '{}');
    END IF;
    PERFORM set_aside(source, done), forget_some(identities);
    RETURN cardinality(done);
END $$;
COMMENT ON FUNCTION @hub@.unrecord_many(text, text[]) IS
    'take many touchpoints of a source back at once, as unrecord does; returns how many there were';

CREATE OR REPLACE FUNCTION @hub@.unrecord(source text, source_key text) RETURNS boolean
LANGUAGE sql SET search_path = @hub@, @extschema@, pg_temp
BEGIN ATOMIC
    SELECT @hub@.unrecord_many(unrecord.source, ARRAY[unrecord.source_key]) > 0;
END;
COMMENT ON FUNCTION @hub@.unrecord(text, text) IS
    'take a touchpoint back, and retract the evidence it brought: it can be recorded again then; returns whether '
    'there was any';
