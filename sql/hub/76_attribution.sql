-- What deserves the credit for conversions, by period, and what it cost.

CREATE TABLE IF NOT EXISTS @hub@.spend (
    day date NOT NULL,
    channel text,
    campaign text,
    amount numeric NOT NULL,
    currency text,
    CHECK (channel IS NOT NULL OR campaign IS NOT NULL),
    CONSTRAINT one_amount UNIQUE NULLS NOT DISTINCT (day, channel, campaign, currency)
);
COMMENT ON TABLE @hub@.spend IS
    'what was spent on a channel or a campaign on a day: for you to fill; see return_on_spend';
COMMENT ON COLUMN @hub@.spend.day IS 'the day, in the time zone of settings';
COMMENT ON COLUMN @hub@.spend.channel IS 'channel, as in touchpoints; NULL: of no one';
COMMENT ON COLUMN @hub@.spend.campaign IS 'campaign, as in touchpoints; NULL: of no one';
COMMENT ON COLUMN @hub@.spend.amount IS 'how much, in its currency; negative: what was given back';
COMMENT ON COLUMN @hub@.spend.currency IS 'its currency, in capitals; NULL: that of settings';

CREATE OR REPLACE TRIGGER spell_currency BEFORE INSERT OR UPDATE ON @hub@.spend FOR EACH ROW
    WHEN (NEW.currency ~ '[a-z]|^\s|\s$|^$') EXECUTE FUNCTION @hub@.spell_currency();

-- Ranges of times that are a period each, as far as there are touchpoints; of all time it is one.
CREATE OR REPLACE FUNCTION @hub@.period_ranges(period text, since timestamptz, until timestamptz, OUT period_start date,
                                               OUT range_since timestamptz, OUT range_until timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    time_zone text := (SELECT s.time_zone FROM settings s);
    step interval := CASE period WHEN 'quarter' THEN '3 months' WHEN 'all' THEN NULL ELSE '1 ' || period END;
    first_at timestamptz := greatest(since, (SELECT min(t.occurred_at) FROM touchpoints t));
    last_at timestamptz := (SELECT max(t.occurred_at) FROM touchpoints t);
BEGIN
    IF step IS NULL THEN
        RETURN QUERY SELECT NULL::date, coalesce(since, '-infinity'), coalesce(until, 'infinity');
    ELSE
        RETURN QUERY
        SELECT g.at::date, greatest(g.at AT TIME ZONE time_zone, since),
               least((g.at + step) AT TIME ZONE time_zone, until)
        FROM generate_series(date_trunc(period, first_at AT TIME ZONE time_zone), last_at AT TIME ZONE time_zone,
                             step) g(at)
        WHERE until IS NULL OR g.at AT TIME ZONE time_zone < until;
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.period_ranges(text, timestamptz, timestamptz) IS
    'periods, from one time until before another, in which there may be touchpoints, as ranges of times';

-- A detail has 255 bytes at most, and what comes in with a link may be longer: then a hash tells it from others.
CREATE OR REPLACE FUNCTION @hub@.campaign_item(campaign text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(campaign_item.campaign) <= 255 THEN nullif(campaign_item.campaign, '')
            ELSE left(campaign_item.campaign, 45) || '...'
                 || encode(sha256(convert_to(campaign_item.campaign, 'UTF8')), 'hex') END;
COMMENT ON FUNCTION @hub@.campaign_item(text) IS
    'a campaign as attribution tells it: one of more than 255 bytes by its beginning and a hash';

-- Journeys in which the detail of a touchpoint is its campaign
CREATE OR REPLACE FUNCTION @hub@.campaign_journeys(customers bigint[], OUT customer_id bigint,
                                                   OUT journey @extschema@.journey)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT i.customer_id, journey_agg(t.occurred_at, t.channel, t.action, packed_value(t.value, t.currency, s.currency),
                                      t.touchpoint_id, campaign_item(t.campaign))
    FROM identities i JOIN touchpoints t ON t.identity_id = i.identity_id CROSS JOIN settings s
    WHERE customers IS NULL OR i.customer_id = ANY (customers)
    GROUP BY i.customer_id;
END $$;
COMMENT ON FUNCTION @hub@.campaign_journeys(bigint[]) IS
    'journeys of customers, NULL: of all, with the campaign of each touchpoint as its detail';

CREATE OR REPLACE FUNCTION @hub@.attribution(
    period text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    conversion @extschema@.journey_pattern DEFAULT '%.purchase', touches @extschema@.journey_pattern DEFAULT '%',
    lookback interval DEFAULT '30 days', by text DEFAULT 'channel', models text[] DEFAULT NULL,
    customers bigint[] DEFAULT NULL, options jsonb DEFAULT NULL, OUT period_start date, OUT model text, OUT item text,
    OUT conversions double precision, OUT value numeric)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    part text := CASE by WHEN 'campaign' THEN 'detail' ELSE by END;
    asked jsonb := jsonb_build_object('until', now()) || coalesce(options, '{}');
    facts @extschema@.attribution;
    r record;
BEGIN
    period := check_period(period, since, until);
    IF part IS NULL OR part NOT IN ('channel', 'label', 'action', 'detail') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown item: %s', coalesce(quote_literal(by), 'NULL')),
            HINT = 'Use channel, label, action, detail or campaign.';
    END IF;
    IF models IS NOT NULL THEN
        asked := asked || jsonb_build_object('models', models);
    END IF;
    -- a mistake is told before there is data
    facts := (SELECT attribution_agg('{}'::@extschema@.journey, conversion, touches, lookback, part, asked));
    FOR r IN SELECT p.period_start, p.range_since, p.range_until FROM period_ranges(period, since, until) p LOOP
        asked := asked || jsonb_build_object('since', r.range_since, 'before', r.range_until);
        -- not SELECT INTO, which would keep workers out
        IF by = 'campaign' THEN
            facts := (SELECT attribution_agg(j.journey, conversion, touches, lookback, part, asked)
                      FROM campaign_journeys(customers) j);
        ELSIF customers IS NOT NULL THEN
            facts := (SELECT attribution_agg(j.journey, conversion, touches, lookback, part, asked)
                      FROM home_journeys j WHERE j.customer_id = ANY (customers));
        ELSE
            facts := (SELECT attribution_agg(b.block, conversion, touches, lookback, part, asked)
                      FROM current_blocks b);
        END IF;
        RETURN QUERY
        SELECT r.period_start, c.model, c.item, c.conversions, c.value FROM attribution_credit(facts) c;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.attribution(text, timestamptz, timestamptz, @extschema@.journey_pattern,
                                      @extschema@.journey_pattern, interval, text, text[], bigint[], jsonb) IS
    'credit for conversions by model and item, in the period of the conversion (day, week, month, quarter, year or '
    'all), from one time until before another; by channel, label, action, detail or campaign; models and customers: '
    'NULL for all; options as those of attribution_agg. A path that may still have a conversion is left out';

-- Where a relation has the name of the type, attribution('month') is a call of the function, not a cast to the type.
CREATE OR REPLACE VIEW @hub@.attribution WITH (security_invoker = true) AS
SELECT a.model, a.item, a.conversions, a.value
FROM @hub@.attribution() a;
COMMENT ON VIEW @hub@.attribution IS
    'credit for purchases of all time by model and channel, of touchpoints within 30 days before: the function of this '
    'name has periods, other conversions, items and customers';
COMMENT ON COLUMN @hub@.attribution.model IS 'model of credit';
COMMENT ON COLUMN @hub@.attribution.item IS 'the channel; NULL: purchases with no touchpoint before them';
COMMENT ON COLUMN @hub@.attribution.conversions IS 'purchases that it gets';
COMMENT ON COLUMN @hub@.attribution.value IS 'value of them that it gets, in the currency of settings';

CREATE OR REPLACE FUNCTION @hub@.return_on_spend(
    period text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    conversion @extschema@.journey_pattern DEFAULT '%.purchase', touches @extschema@.journey_pattern DEFAULT '%',
    lookback interval DEFAULT '30 days', by text DEFAULT 'channel', models text[] DEFAULT '{last,linear,markov}',
    customers bigint[] DEFAULT NULL, options jsonb DEFAULT NULL, OUT period_start date, OUT model text, OUT item text,
    OUT conversions double precision, OUT value numeric, OUT spent numeric, OUT cost_per_conversion numeric,
    OUT return_on_spend numeric, OUT spent_in_others jsonb)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    period := check_period(period, since, until);
    IF by IS NULL OR by NOT IN ('channel', 'campaign') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('spend is of channels and campaigns, not by %s', coalesce(quote_literal(by), 'NULL')),
            HINT = 'Use channel or campaign.';
    END IF;
    RETURN QUERY
    WITH credit AS MATERIALIZED (
        SELECT a.period_start, a.model, a.item, a.conversions, a.value
        FROM attribution(period, since, until, conversion, touches, lookback, by, models, customers, options) a),
    days AS (
        SELECT period_start(d.at, period, d.time_zone) AS period_start, d.item, d.amount,
               nullif(d.currency, d.own) AS currency
        FROM (SELECT s.day::timestamp AT TIME ZONE z.time_zone AS at, z.time_zone, z.currency AS own,
                     CASE by WHEN 'campaign' THEN campaign_item(s.campaign) ELSE s.channel END AS item, s.amount,
                     s.currency
              FROM spend s CROSS JOIN settings z) d
        WHERE (since IS NULL OR d.at >= since) AND (until IS NULL OR d.at < until)),
    spent AS (
        SELECT m.model, y.period_start, y.item, sum(y.amount) FILTER (WHERE y.currency IS NULL) AS amount,
               jsonb_object_agg(y.currency, y.amount) FILTER (WHERE y.currency IS NOT NULL) AS others
        FROM (SELECT d.period_start, d.item, d.currency, sum(d.amount) AS amount FROM days d GROUP BY 1, 2, 3) y
             CROSS JOIN (SELECT DISTINCT c.model FROM credit c) m
        GROUP BY 1, 2, 3)
    SELECT coalesce(c.period_start, s.period_start), coalesce(c.model, s.model), coalesce(c.item, s.item),
           coalesce(c.conversions, 0), coalesce(c.value, 0), s.amount,
           CASE WHEN s.item IS NOT NULL THEN round(s.amount / nullif(c.conversions, 0)::numeric, 4) END,
           CASE WHEN s.item IS NOT NULL THEN round(coalesce(c.value, 0) / nullif(s.amount, 0), 4) END, s.others
    FROM credit c FULL JOIN spent s  -- in arrays NULLs are equal
         ON s.model = c.model AND ARRAY[s.period_start] = ARRAY[c.period_start] AND ARRAY[s.item] = ARRAY[c.item]
    ORDER BY 1, 2, 3;
END $$;
COMMENT ON FUNCTION @hub@.return_on_spend(text, timestamptz, timestamptz, @extschema@.journey_pattern,
                                          @extschema@.journey_pattern, interval, text, text[], bigint[], jsonb) IS
    'attribution by channel or campaign beside what was spent on it in the period: what a conversion cost, and how '
    'much value came back of each unit spent. What was spent in another currency than that of settings is told apart';

CREATE OR REPLACE FUNCTION @hub@.conversions(
    period text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    conversion @extschema@.journey_pattern DEFAULT '%.purchase', touches @extschema@.journey_pattern DEFAULT '%',
    lookback interval DEFAULT '30 days', customers bigint[] DEFAULT NULL, OUT period_start date, OUT customer_id bigint,
    OUT touchpoint_id bigint, OUT occurred_at timestamptz, OUT channel text, OUT action text, OUT value numeric,
    OUT touchpoints integer, OUT first_channel text, OUT last_channel text, OUT path text[], OUT took interval)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10000 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    period := check_period(period, since, until);
    PERFORM FROM journey_conversions('{}', conversion, touches, lookback);
    RETURN QUERY
    SELECT period_start(f.at, period, (SELECT s.time_zone FROM settings s)), f.customer_id,
           touchpoint_ref(f.conversion), f.at, touchpoint_channel(f.conversion), touchpoint_action(f.conversion),
           touchpoint_value(f.conversion), journey_length(f.path)::integer, f.channels[1],
           f.channels[cardinality(f.channels)], f.channels, f.at - journey_start(f.path)
    FROM (SELECT j.customer_id, c.conversion, c.path, touchpoint_time(c.conversion) AS at,
                 journey_path(c.path, 'channel') AS channels
          FROM home_journeys j
               CROSS JOIN LATERAL journey_conversions(j.journey, conversion, touches, lookback) c
          WHERE c.conversion IS NOT NULL AND (customers IS NULL OR j.customer_id = ANY (customers))) f
    WHERE (since IS NULL OR f.at >= since) AND (until IS NULL OR f.at < until);
END $$;
COMMENT ON FUNCTION @hub@.conversions(text, timestamptz, timestamptz, @extschema@.journey_pattern,
                                      @extschema@.journey_pattern, interval, bigint[]) IS
    'conversions and what came before each, within a lookback, from one time until before another; customers: NULL for '
    'all';

CREATE OR REPLACE VIEW @hub@.conversions WITH (security_invoker = true) AS
SELECT c.customer_id, c.touchpoint_id, c.occurred_at, c.channel, c.action, c.value, c.touchpoints, c.first_channel,
       c.last_channel, c.path, c.took
FROM @hub@.conversions() c;
COMMENT ON VIEW @hub@.conversions IS 'purchases, and the touchpoints before each since the one before, within 30 days';
COMMENT ON COLUMN @hub@.conversions.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.conversions.touchpoint_id IS 'the purchase';
COMMENT ON COLUMN @hub@.conversions.occurred_at IS 'its time';
COMMENT ON COLUMN @hub@.conversions.channel IS 'its channel';
COMMENT ON COLUMN @hub@.conversions.action IS 'its action';
COMMENT ON COLUMN @hub@.conversions.value IS 'its value, in the currency of settings; NULL: none, or in another';
COMMENT ON COLUMN @hub@.conversions.touchpoints IS 'how many touchpoints came before it';
COMMENT ON COLUMN @hub@.conversions.first_channel IS 'channel of the first of them; NULL: there is none';
COMMENT ON COLUMN @hub@.conversions.last_channel IS 'channel of the last of them';
COMMENT ON COLUMN @hub@.conversions.path IS 'channels of all of them, in order';
COMMENT ON COLUMN @hub@.conversions.took IS 'time from the first of them to the purchase';
