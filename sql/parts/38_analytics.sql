-- Over journeys: who comes back, who is lost, where time goes, which step tells more.

-- COST: some 0.3 us for a journey of 20 touchpoints
CREATE FUNCTION journey_retention(journey, start_step journey_pattern, return_step journey_pattern, unit text,
                                  time_zone text, OUT cohort date, OUT bracket integer)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 5;
CREATE FUNCTION journey_lifecycle(journey, step journey_pattern, unit text, time_zone text,
                                  until timestamptz DEFAULT 'infinity', OUT period date, OUT state text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 10;
CREATE FUNCTION journey_time_in(journey, by text DEFAULT 'channel', OUT state text, OUT stays bigint,
                                OUT time_spent interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 3;
CREATE FUNCTION journey_item(journey, journey_pattern, n integer) RETURNS touchpoint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION journey_split(journey, journey_pattern) RETURNS SETOF journey
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 2;

COMMENT ON FUNCTION journey_retention(journey, journey_pattern, journey_pattern, text, text) IS
    'in which days, weeks, months, quarters or years after the one of its first start the journey returns; 0 always';
COMMENT ON FUNCTION journey_lifecycle(journey, journey_pattern, text, text, timestamptz) IS
    'days, weeks, months, quarters or years in which the journey is new, returning, resurrecting or dormant';
COMMENT ON FUNCTION journey_time_in(journey, text) IS
    'stays in each channel, action, detail (NULL where there is none) or label, and the time until the next '
    'touchpoint spent in them';
COMMENT ON FUNCTION journey_item(journey, journey_pattern, integer) IS
    'touchpoint that completes the n-th item of the pattern in the partial match that reaches most, from the last '
    'item reached where n is negative';
COMMENT ON FUNCTION journey_split(journey, journey_pattern) IS
    'parts of the journey, cut behind each match; matches do not overlap';

-- Retention of all journeys at once, without a set of rows for each.

CREATE TYPE retention_cell AS (
    cohort date,
    bracket integer,
    customers bigint
);

CREATE FUNCTION journey_retention_agg_transfn(bytea, journey, start_step journey_pattern, return_step journey_pattern,
                                              unit text, time_zone text)
RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION journey_retention_agg_combinefn(bytea, bytea) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_retention_agg_finalfn(bytea) RETURNS retention_cell[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
-- STYPE: not internal, so that partial states can come from anywhere
CREATE AGGREGATE journey_retention_agg(journey, start_step journey_pattern, return_step journey_pattern, unit text,
                                       time_zone text) (
    SFUNC = journey_retention_agg_transfn, STYPE = bytea, SSPACE = 1000,
    COMBINEFUNC = journey_retention_agg_combinefn, FINALFUNC = journey_retention_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY,
    PARALLEL = SAFE
);

-- Of blocks, with the same states. COST: that of some 1000 journeys
CREATE FUNCTION journey_retention_agg_transfn(bytea, journey_block, start_step journey_pattern,
                                              return_step journey_pattern, unit text, time_zone text)
RETURNS bytea
AS 'MODULE_PATHNAME', 'journey_retention_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50000;
CREATE AGGREGATE journey_retention_agg(journey_block, start_step journey_pattern, return_step journey_pattern,
                                       unit text, time_zone text) (
    SFUNC = journey_retention_agg_transfn, STYPE = bytea, SSPACE = 1000,
    COMBINEFUNC = journey_retention_agg_combinefn, FINALFUNC = journey_retention_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

COMMENT ON TYPE retention_cell IS 'how many customers of a cohort are there in one of its brackets';
COMMENT ON FUNCTION journey_retention_agg_transfn(bytea, journey, journey_pattern, journey_pattern, text, text) IS
    'transition of journey_retention_agg';
COMMENT ON FUNCTION journey_retention_agg_combinefn(bytea, bytea) IS
    'combination of partial states of journey_retention_agg';
COMMENT ON FUNCTION journey_retention_agg_finalfn(bytea) IS 'result of journey_retention_agg';
COMMENT ON AGGREGATE journey_retention_agg(journey, journey_pattern, journey_pattern, text, text) IS
    'journeys by cohort and bracket of journey_retention, counted';
COMMENT ON FUNCTION journey_retention_agg_transfn(bytea, journey_block, journey_pattern, journey_pattern, text, text) IS
    'transition of journey_retention_agg over blocks';
COMMENT ON AGGREGATE journey_retention_agg(journey_block, journey_pattern, journey_pattern, text, text) IS
    'journey_retention_agg over the journeys of blocks';

-- Funnels by period: each attempt is counted where it begins.

CREATE TYPE funnel_period_step AS (
    period_start date,
    breakdown text,
    step integer,
    label text,
    reached bigint,
    conversion_first double precision,
    conversion_previous double precision,
    median_time interval,
    p90_time interval
);

CREATE FUNCTION journey_funnel_period_agg_transfn(bytea, journey, journey_pattern, period text, time_zone text,
                                                  since timestamptz, until timestamptz, breakdown text) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION journey_funnel_period_agg_combinefn(bytea, bytea) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION journey_funnel_period_agg_finalfn(bytea) RETURNS funnel_period_step[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
-- STYPE: not internal, so that partial states can come from anywhere
CREATE AGGREGATE journey_funnel_agg(journey, journey_pattern, period text, time_zone text, since timestamptz,
                                    until timestamptz, breakdown text) (
    SFUNC = journey_funnel_period_agg_transfn, STYPE = bytea, SSPACE = 10000,
    COMBINEFUNC = journey_funnel_period_agg_combinefn, FINALFUNC = journey_funnel_period_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

-- Of blocks, with the same states. COST: that of some 1000 journeys
CREATE FUNCTION journey_funnel_period_agg_transfn(bytea, journey_block, journey_pattern, period text, time_zone text,
                                                  since timestamptz, until timestamptz, breakdown text) RETURNS bytea
AS 'MODULE_PATHNAME', 'journey_funnel_period_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50000;
CREATE AGGREGATE journey_funnel_agg(journey_block, journey_pattern, period text, time_zone text, since timestamptz,
                                    until timestamptz, breakdown text) (
    SFUNC = journey_funnel_period_agg_transfn, STYPE = bytea, SSPACE = 10000,
    COMBINEFUNC = journey_funnel_period_agg_combinefn, FINALFUNC = journey_funnel_period_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

-- times false: without the times between the steps; over blocks labels alone may tell the rest
CREATE FUNCTION journey_funnel_period_agg_transfn(bytea, journey, journey_pattern, period text, time_zone text,
                                                  since timestamptz, until timestamptz, breakdown text, times boolean)
RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50;
CREATE AGGREGATE journey_funnel_agg(journey, journey_pattern, period text, time_zone text, since timestamptz,
                                    until timestamptz, breakdown text, times boolean) (
    SFUNC = journey_funnel_period_agg_transfn, STYPE = bytea, SSPACE = 10000,
    COMBINEFUNC = journey_funnel_period_agg_combinefn, FINALFUNC = journey_funnel_period_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE FUNCTION journey_funnel_period_agg_transfn(bytea, journey_block, journey_pattern, period text, time_zone text,
                                                  since timestamptz, until timestamptz, breakdown text, times boolean)
RETURNS bytea
AS 'MODULE_PATHNAME', 'journey_funnel_period_agg_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 25000;
CREATE AGGREGATE journey_funnel_agg(journey_block, journey_pattern, period text, time_zone text, since timestamptz,
                                    until timestamptz, breakdown text, times boolean) (
    SFUNC = journey_funnel_period_agg_transfn, STYPE = bytea, SSPACE = 10000,
    COMBINEFUNC = journey_funnel_period_agg_combinefn, FINALFUNC = journey_funnel_period_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

COMMENT ON TYPE funnel_period_step IS
    'how many journeys of those with an attempt that begins in a period reach a step of a funnel, and in what time';
COMMENT ON FUNCTION journey_funnel_period_agg_transfn(bytea, journey, journey_pattern, text, text, timestamptz,
    timestamptz, text) IS
    'transition of journey_funnel_agg by period';
COMMENT ON FUNCTION journey_funnel_period_agg_combinefn(bytea, bytea) IS
    'combination of partial states of journey_funnel_agg by period';
COMMENT ON FUNCTION journey_funnel_period_agg_finalfn(bytea) IS 'result of journey_funnel_agg by period';
COMMENT ON AGGREGATE journey_funnel_agg(journey, journey_pattern, text, text, timestamptz, timestamptz, text) IS
    'how many journeys reach each item of the pattern, counted in the day, week, month, quarter or year (NULL: all) '
    'in which the attempt begins, from since to before until, by its first channel, action, detail or label (NULL: '
    'together)';
COMMENT ON FUNCTION journey_funnel_period_agg_transfn(bytea, journey_block, journey_pattern, text, text, timestamptz,
                                                      timestamptz, text) IS
    'transition of journey_funnel_agg by period over blocks';
COMMENT ON AGGREGATE journey_funnel_agg(journey_block, journey_pattern, text, text, timestamptz, timestamptz, text) IS
    'journey_funnel_agg by period over the journeys of blocks';
COMMENT ON FUNCTION journey_funnel_period_agg_transfn(bytea, journey, journey_pattern, text, text, timestamptz,
                                                      timestamptz, text, boolean) IS
    'transition of journey_funnel_agg by period, with times or without';
COMMENT ON AGGREGATE journey_funnel_agg(journey, journey_pattern, text, text, timestamptz, timestamptz, text,
                                        boolean) IS
    'journey_funnel_agg by period, with the times between the steps or (false) without';
COMMENT ON FUNCTION journey_funnel_period_agg_transfn(bytea, journey_block, journey_pattern, text, text, timestamptz,
                                                      timestamptz, text, boolean) IS
    'transition of journey_funnel_agg by period over blocks, with times or without';
COMMENT ON AGGREGATE journey_funnel_agg(journey_block, journey_pattern, text, text, timestamptz, timestamptz, text,
                                        boolean) IS
    'journey_funnel_agg by period over the journeys of blocks, with the times between the steps or (false) without';

-- In two steps: what several servers, or partitions, have counted, and all of it together. What is asked comes as
-- jsonb,
-- because postgres_fdw does not send constants of type text to aggregates. STABLE: times in options may depend on the
-- time zone
CREATE FUNCTION journey_funnel_partial_transfn(bytea, journey, journey_pattern, options jsonb) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 50;
CREATE FUNCTION journey_funnel_partial_transfn(bytea, journey_block, journey_pattern, options jsonb) RETURNS bytea
AS 'MODULE_PATHNAME', 'journey_funnel_partial_block_transfn' LANGUAGE C STABLE PARALLEL SAFE COST 50000;
CREATE AGGREGATE journey_funnel_partial(journey, journey_pattern, options jsonb) (
    SFUNC = journey_funnel_partial_transfn, STYPE = bytea, SSPACE = 10000,
    COMBINEFUNC = journey_funnel_period_agg_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE journey_funnel_partial(journey_block, journey_pattern, options jsonb) (
    SFUNC = journey_funnel_partial_transfn, STYPE = bytea, SSPACE = 10000,
    COMBINEFUNC = journey_funnel_period_agg_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE journey_funnel_period_merge(partial bytea) (
    SFUNC = journey_funnel_period_agg_combinefn, STYPE = bytea, SSPACE = 10000,
    COMBINEFUNC = journey_funnel_period_agg_combinefn, FINALFUNC = journey_funnel_period_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);
CREATE FUNCTION journey_retention_partial_transfn(bytea, journey, start_step journey_pattern,
                                                  return_step journey_pattern, options jsonb) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION journey_retention_partial_transfn(bytea, journey_block, start_step journey_pattern,
                                                  return_step journey_pattern, options jsonb) RETURNS bytea
AS 'MODULE_PATHNAME', 'journey_retention_partial_block_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50000;
CREATE AGGREGATE journey_retention_partial(journey, start_step journey_pattern, return_step journey_pattern,
                                           options jsonb) (
    SFUNC = journey_retention_partial_transfn, STYPE = bytea, SSPACE = 1000,
    COMBINEFUNC = journey_retention_agg_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE journey_retention_partial(journey_block, start_step journey_pattern, return_step journey_pattern,
                                           options jsonb) (
    SFUNC = journey_retention_partial_transfn, STYPE = bytea, SSPACE = 1000,
    COMBINEFUNC = journey_retention_agg_combinefn, PARALLEL = SAFE
);
CREATE AGGREGATE journey_retention_merge(partial bytea) (
    SFUNC = journey_retention_agg_combinefn, STYPE = bytea, SSPACE = 1000,
    COMBINEFUNC = journey_retention_agg_combinefn, FINALFUNC = journey_retention_agg_finalfn,
    FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE
);

COMMENT ON FUNCTION journey_funnel_partial_transfn(bytea, journey, journey_pattern, jsonb) IS
    'transition of journey_funnel_partial by period';
COMMENT ON FUNCTION journey_funnel_partial_transfn(bytea, journey_block, journey_pattern, jsonb) IS
    'transition of journey_funnel_partial by period over blocks';
COMMENT ON AGGREGATE journey_funnel_partial(journey, journey_pattern, jsonb) IS
    'what journey_funnel_period_merge makes the result of journey_funnel_agg by period from: of some of the journeys; '
    'options: period, time_zone, since, until, breakdown, times';
COMMENT ON AGGREGATE journey_funnel_partial(journey_block, journey_pattern, jsonb) IS
    'journey_funnel_partial by period over the journeys of blocks';
COMMENT ON AGGREGATE journey_funnel_period_merge(bytea) IS
    'the result of journey_funnel_agg by period over all journeys that results of journey_funnel_partial are of';
COMMENT ON FUNCTION journey_retention_partial_transfn(bytea, journey, journey_pattern, journey_pattern, jsonb) IS
    'transition of journey_retention_partial';
COMMENT ON FUNCTION journey_retention_partial_transfn(bytea, journey_block, journey_pattern, journey_pattern, jsonb) IS
    'transition of journey_retention_partial over blocks';
COMMENT ON AGGREGATE journey_retention_partial(journey, journey_pattern, journey_pattern, jsonb) IS
    'what journey_retention_merge makes the result of journey_retention_agg from: of some of the journeys; options: '
    'unit, time_zone';
COMMENT ON AGGREGATE journey_retention_partial(journey_block, journey_pattern, journey_pattern, jsonb) IS
    'journey_retention_partial over the journeys of blocks';
COMMENT ON AGGREGATE journey_retention_merge(bytea) IS
    'the result of journey_retention_agg over all journeys that results of journey_retention_partial are of';

-- Sessions of a block. COST: some 50 us for 1000 journeys of 20 touchpoints
CREATE FUNCTION journey_block_sessions(journey_block, gap interval) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION journey_block_sessions(journey_block, interval) IS
    'how many sessions the journeys of the block have, each cut wherever two neighbours are more than the gap apart';

CREATE FUNCTION journey_block_sessions_each(journey_block, gap interval) RETURNS bigint[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION journey_block_sessions_each(journey_block, interval) IS
    'how many sessions each journey of the block has, in the order of journey_block_customers; '
    'cut wherever two neighbours are more than the gap apart';

-- What a block knows of each customer without unpacking a journey
CREATE FUNCTION journey_block_summary(journey_block, gap interval, OUT customer bigint, OUT touchpoints bigint,
                                      OUT sessions bigint, OUT first_at timestamptz, OUT last_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20000 ROWS 1024;

COMMENT ON FUNCTION journey_block_summary(journey_block, interval) IS
    'for each customer of the block, how many touchpoints and sessions the journey has, and its first and last time; '
    'sessions are cut wherever two neighbours are more than the gap apart';
