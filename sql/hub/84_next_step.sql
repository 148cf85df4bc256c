-- What comes next, by what came next for customers whose last steps were the same.
--
-- next_step_contexts holds counts over many customers, so it is, as journey_blocks, for whom no policy parts them, and
-- for agents if that is set; for others the same is counted of the journeys that they may see, when they ask. It is
-- made anew, never changed: by refresh(), when a part of all journeys has changed. So for each journey that a refresh
-- packs, it counts a fixed number of journeys, on average, and never more than the sample.

CREATE OR REPLACE FUNCTION @hub@.reads_next_steps() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN @hub@.sees_all_journeys()
    OR EXISTS (SELECT FROM @hub@.next_step_models m WHERE m.segment = '' AND m.for_agents)
       AND NOT (@hub@.hides_rows($$@hub@.touchpoints$$, 'agents') OR @hub@.hides_rows($$@hub@.identities$$, 'agents')
                OR @hub@.hides_rows($$@hub@.customers$$, 'agents')
                OR @hub@.hides_rows($$@hub@.customer_journeys$$, 'agents')
                OR @hub@.hides_rows($$@hub@.journey_changes$$, 'agents'));
COMMENT ON FUNCTION @hub@.reads_next_steps() IS
    'whether you may read what was counted of all customers: you see all their journeys, or are an agent, and '
    'next_step_models lets agents';

ALTER TABLE @hub@.next_step_contexts ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS reads_next_steps ON @hub@.next_step_contexts;
CREATE POLICY reads_next_steps ON @hub@.next_step_contexts
    USING (nullif(@hub@.reads_next_steps(), false) IS NOT NULL);
DROP POLICY IF EXISTS empties ON @hub@.next_step_contexts;
CREATE POLICY empties ON @hub@.next_step_contexts FOR DELETE USING (true);

-- By bytea, whose equality the server knows not to leak: so a reader finds a row by index in spite of the policy.
CREATE OR REPLACE FUNCTION @hub@.context_key(context text[]) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(convert_to(array_to_json(context_key.context)::text, 'UTF8'));
COMMENT ON FUNCTION @hub@.context_key(text[]) IS 'what next_step_contexts finds some last steps by';

CREATE OR REPLACE FUNCTION @hub@.next_step_model_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    -- a mistake is told now, not by the next refresh
    PERFORM FROM next_steps('{}', NEW.item, NEW.conversion, NEW.within, 'infinity', NEW.steps, NEW.at_least) n;
    IF NEW.segment <> '' THEN
        PERFORM segment_text(NEW.segment);
    END IF;
    NEW.made_at := NULL;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @hub@.next_step_model_changed() IS 'trigger: what is counted must be counted anew';
CREATE OR REPLACE TRIGGER next_step_model_changed
    BEFORE INSERT OR UPDATE OF segment, item, conversion, within, steps, at_least, sample ON @hub@.next_step_models
    FOR EACH ROW EXECUTE FUNCTION @hub@.next_step_model_changed();

CREATE OR REPLACE FUNCTION @hub@.next_step_segment_dropped() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM next_step_models m WHERE m.segment = OLD.segment;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.next_step_segment_dropped() IS 'trigger: of a segment that is gone nothing is counted';
CREATE OR REPLACE TRIGGER next_step_segment_dropped AFTER DELETE ON @hub@.segments
    FOR EACH ROW EXECUTE FUNCTION @hub@.next_step_segment_dropped();

-- Of the journeys that the caller may see, up to 256 MB of them.
CREATE OR REPLACE FUNCTION @hub@.count_next_steps(
    segment text, OUT context text[], OUT customers bigint, OUT times bigint, OUT effective double precision,
    OUT converted bigint, OUT items text[], OUT item_customers bigint[], OUT item_times bigint[],
    OUT item_converted bigint[])
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 500 SET search_path = @hub@, @extschema@, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    bytes constant double precision := 268435456;
    parts constant bigint := 1048576;
    model record;
    journeys @extschema@.journey[];
BEGIN
    SELECT m.item, m.conversion, m.within, m.steps, m.at_least, m.sample INTO model
    FROM next_step_models m WHERE m.segment IN (count_next_steps.segment, '') ORDER BY m.segment DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF segment = '' THEN
        journeys := ARRAY(
            SELECT k.journey
            FROM (SELECT j.customer_id, j.journey, count(*) OVER () AS n,
                         sum(pg_column_size(j.journey)) OVER () AS size
                  FROM home_journeys j) k
            WHERE (hashint8extended(k.customer_id, 0) & (parts - 1))
                  < parts * least(1, model.sample::double precision / k.n, bytes / k.size));
    ELSE
        journeys := ARRAY(
            SELECT k.journey
            FROM (SELECT j.customer_id, j.journey, count(*) OVER () AS n,
                         sum(pg_column_size(j.journey)) OVER () AS size
                  FROM segment_members(segment) m(customer_id)
                       JOIN journeys_by_customer j ON j.customer_id = m.customer_id) k
            WHERE (hashint8extended(k.customer_id, 0) & (parts - 1))
                  < parts * least(1, model.sample::double precision / k.n, bytes / k.size));
    END IF;
    RETURN QUERY
    SELECT n.context, n.journeys_met, n.times, n.effective, n.converted, n.items, n.item_journeys, n.item_times,
           n.item_converted
    FROM next_steps(journeys, model.item, model.conversion, model.within, now(), model.steps, model.at_least) n;
END $$;
COMMENT ON FUNCTION @hub@.count_next_steps(text) IS
    'what next_step_contexts holds of a segment, empty: of all customers, counted now of the journeys that you may see';

CREATE OR REPLACE FUNCTION @hub@.make_next_steps(segment text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    which text;
    made bigint;
    total bigint := 0;
BEGIN
    IF NOT has_table_privilege('refresh_lock', 'UPDATE') THEN
        PERFORM check_may('steward');
    END IF;
    IF NOT EXISTS (SELECT FROM next_step_models m WHERE m.segment = coalesce(make_next_steps.segment, m.segment)) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('next_step_models has no segment %s', coalesce(quote_literal(segment), 'at all')),
            HINT = 'Insert a row for it; the empty segment is all customers.';
    END IF;
    LOCK TABLE refresh_lock IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM next_step_contexts c WHERE c.segment = coalesce(make_next_steps.segment, c.segment);
    IF NOT sees_all_journeys() THEN
        -- nobody is told what is counted of some
        UPDATE next_step_models m SET made_at = NULL
        WHERE m.segment = coalesce(make_next_steps.segment, m.segment) AND m.made_at IS NOT NULL;
        RETURN 0;
    END IF;
    FOR which IN SELECT m.segment FROM next_step_models m
                 WHERE m.segment = coalesce(make_next_steps.segment, m.segment) ORDER BY 1 LOOP
        INSERT INTO next_step_contexts AS c (segment, context_key, context, customers, times, effective, converted,
                                             items, item_customers, item_times, item_converted)
        SELECT which, context_key(n.context), n.context, n.customers, n.times, n.effective, n.converted, n.items,
               n.item_customers, n.item_times, n.item_converted
        FROM count_next_steps(which) n;
        GET DIAGNOSTICS made = ROW_COUNT;
        total := total + made;
        UPDATE next_step_models m
        SET made_at = now(), changed = 0, customers = (SELECT count(*) FROM customer_journeys j)
        WHERE m.segment = which;
    END LOOP;
    RETURN total;
END $$;
COMMENT ON FUNCTION @hub@.make_next_steps(text) IS
    'count anew what next_step() tells by, for a segment, the empty one is all customers, or for all there are; returns'
    ' of how many contexts';

CREATE OR REPLACE FUNCTION @hub@.keep_next_steps(packed bigint, anew boolean) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    UPDATE next_step_models m SET changed = m.changed + packed WHERE packed > 0 AND m.made_at IS NOT NULL;
    PERFORM make_next_steps(m.segment)
    FROM (SELECT n.segment FROM next_step_models n
          WHERE n.made_at IS NULL AND sees_all_journeys() OR anew OR n.changed > n.stale_after * n.customers
                OR n.made_at IS NOT NULL AND NOT sees_all_journeys()
          ORDER BY 1 OFFSET 0) m;
END $$;
COMMENT ON FUNCTION @hub@.keep_next_steps(bigint, boolean) IS
    'for refresh(), which has packed so many journeys: make anew of next_step_contexts what is too old, or all';

CREATE OR REPLACE FUNCTION @hub@.wilson(share double precision, n double precision, side integer)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    -- rounding must not put the share outside
    SELECT CASE WHEN wilson.side < 0 THEN greatest(0, least(wilson.share, v.e))
                ELSE least(1, greatest(wilson.share, v.e)) END
    FROM (VALUES ((wilson.share + 3.841458820694124 / (2 * wilson.n)
                   + wilson.side * 1.959963984540054 * sqrt(wilson.share * (1 - wilson.share) / wilson.n
                                                            + 3.841458820694124 / (4 * wilson.n * wilson.n)))
                  / (1 + 3.841458820694124 / wilson.n))) v(e)
    WHERE wilson.share IS NOT NULL);
COMMENT ON FUNCTION @hub@.wilson(double precision, double precision, integer) IS
    'an end, the lower one: -1, the upper one: 1, of Wilson''s interval of a share of n, with a confidence of 95 %';

CREATE OR REPLACE FUNCTION @hub@.next_step(
    customer_id bigint, segment text DEFAULT NULL, OUT item text, OUT probability double precision,
    OUT customers bigint, OUT converts double precision, OUT low double precision, OUT high double precision,
    OUT converts_low double precision, OUT converts_high double precision, OUT converts_otherwise double precision,
    OUT context text[], OUT support bigint, OUT as_of timestamptz,
    OUT reason text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    which text := coalesce(segment, '');
    model record;
    stored boolean;
    journey @extschema@.journey;
    path text[];
    first integer := 1;
    best record;
BEGIN
    SELECT m.segment, m.item, m.within, m.steps, m.at_least, m.made_at INTO model
    FROM next_step_models m WHERE m.segment IN (which, '') ORDER BY m.segment DESC LIMIT 1;
    IF NOT FOUND THEN
        reason := 'next_step_models has no row for all customers, whose segment is empty';
        RETURN NEXT;
        RETURN;
    END IF;
    IF which <> '' AND model.segment <> which THEN
        PERFORM segment_text(which);  -- an error, if there is none
    END IF;
    stored := model.segment = which AND reads_next_steps();
    as_of := CASE WHEN stored THEN model.made_at ELSE now() END;
    journey := (SELECT journey_slice(j.journey, tstzrange(NULL, now(), '[]'))
                FROM journeys_by_customer j
                WHERE j.customer_id = (SELECT current_customer(next_step.customer_id)));
    IF coalesce(journey_length(journey), 0) = 0 THEN
        reason := format('customer %s has no touchpoints until now', coalesce(customer_id::text, 'NULL'));
    ELSIF now() - journey_end(journey) > model.within THEN
        reason := format('the last touchpoint was on %s, longer ago than %s: this journey has ended',
                         journey_end(journey), model.within);
    ELSIF stored AND as_of IS NULL THEN
        reason := 'nothing has been counted by these settings yet: refresh() does';
    ELSE
        journey := journey[greatest(1, journey_length(journey) - model.steps + 1):journey_length(journey)];
        path := journey_path(journey, model.item);
        -- what is behind a long pause has nothing to do with it
        first := coalesce((SELECT max(s.position) FROM journey_steps(journey) s
                           WHERE s.since_previous > model.within), 1);
        path := path[first:];
        IF cardinality(path) < model.steps THEN
            path := array_prepend(NULL, path);  -- it begins there
        END IF;
        IF stored THEN
            SELECT c.context, c.customers, c.times, c.effective, c.converted, c.items, c.item_customers, c.item_times,
                   c.item_converted INTO best
            FROM next_step_contexts c
            WHERE c.segment = which
                  AND c.context_key = ANY (ARRAY(SELECT context_key(path[g.n:])
                                                 FROM generate_series(1, cardinality(path)) g(n)))
            ORDER BY cardinality(c.context) DESC LIMIT 1;
        ELSE
            SELECT c.context, c.customers, c.times, c.effective, c.converted, c.items, c.item_customers, c.item_times,
                   c.item_converted INTO best
            FROM count_next_steps(which) c
            WHERE c.context = path[cardinality(path) - cardinality(c.context) + 1:]
            ORDER BY cardinality(c.context) DESC LIMIT 1;
        END IF;
        IF best.context IS NULL THEN
            reason := format('fewer than %s customers were at %s, and that at least %s ago',
                             model.at_least, path[cardinality(path)], model.within);
            context := path[cardinality(path):];
        END IF;
    END IF;
    IF reason IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT coalesce(w.item, '(end)'), w.p, w.customers, w.c, wilson(w.p, best.effective, -1),
           wilson(w.p, best.effective, 1), wilson(w.c, w.n, -1), wilson(w.c, w.n, 1),
           CASE WHEN best.customers - w.customers >= model.at_least
                THEN (best.converted - w.converted) / (best.times - w.times)::double precision END,
           array_replace(best.context, NULL, '(start)'), best.customers, as_of,
           CASE WHEN w.c IS NULL
                THEN format('fewer than %s customers went so: their chance to convert is not told',
                            model.at_least) END
    FROM (SELECT u.item, u.customers, u.times, u.converted, u.times / best.times::double precision AS p,
                 -- where nothing comes, no conversion does
                 CASE WHEN u.item IS NULL THEN 0
                      WHEN u.customers >= model.at_least THEN u.converted / u.times::double precision END AS c,
                 CASE WHEN u.item IS NULL THEN 'infinity' ELSE u.customers::double precision END AS n
          FROM unnest(best.items, best.item_customers, best.item_times, best.item_converted)
                   u(item, customers, times, converted)) w
    ORDER BY w.p DESC, 1;
END $$;
COMMENT ON FUNCTION @hub@.next_step(bigint, text) IS
    'what comes next for a customer, and with what chance, by customers, or members of a segment, whose last steps '
    'were the same: the longest ones that enough of them took. Where too few did there is one row, whose reason says '
    'so';
