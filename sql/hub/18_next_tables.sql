-- What came next after the last steps of customers, counted.

CREATE TABLE @hub@.next_step_models (
    segment text PRIMARY KEY,
    item text NOT NULL DEFAULT 'label' CHECK (item IN ('channel', 'label', 'action')),
    conversion @extschema@.journey_pattern NOT NULL DEFAULT '%.purchase',
    within interval NOT NULL DEFAULT '30 days' CHECK (within > '0'),
    steps integer NOT NULL DEFAULT 3 CHECK (steps BETWEEN 1 AND 20),
    at_least integer NOT NULL DEFAULT 30 CHECK (at_least > 0),
    sample integer NOT NULL DEFAULT 100000 CHECK (sample > 0),
    stale_after double precision NOT NULL DEFAULT 0.5 CHECK (stale_after >= 0),
    for_agents boolean NOT NULL DEFAULT false,
    made_at timestamptz,
    customers bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE @hub@.next_step_models IS
    'what next_step() tells by: a row for all customers, and one for each segment whose members are counted apart';
COMMENT ON COLUMN @hub@.next_step_models.segment IS 'segment whose members are counted; empty: all customers';
COMMENT ON COLUMN @hub@.next_step_models.item IS 'what a step is: channel, label or action of a touchpoint';
COMMENT ON COLUMN @hub@.next_step_models.conversion IS 'touchpoints that are conversions, a pattern of one step';
COMMENT ON COLUMN @hub@.next_step_models.within IS
    'a next step, or a conversion, comes within so long of the last step, or not at all';
COMMENT ON COLUMN @hub@.next_step_models.steps IS 'how many of the last steps are looked at';
COMMENT ON COLUMN @hub@.next_step_models.at_least IS 'steps that fewer customers took are not told of';
COMMENT ON COLUMN @hub@.next_step_models.sample IS
    'so many customers are counted, about: of more a sample, by their numbers';
COMMENT ON COLUMN @hub@.next_step_models.stale_after IS
    'refresh() counts anew when so large a part of all journeys has changed';
COMMENT ON COLUMN @hub@.next_step_models.for_agents IS
    'of the row for all customers: whether agents, who see their own, are told what was counted of all';
COMMENT ON COLUMN @hub@.next_step_models.made_at IS 'when that was counted; NULL: not yet, or not by these settings';
COMMENT ON COLUMN @hub@.next_step_models.customers IS 'how many customers had a journey then';
COMMENT ON COLUMN @hub@.next_step_models.changed IS 'how many journeys have changed since';
INSERT INTO @hub@.next_step_models (segment) VALUES ('');

CREATE TABLE @hub@.next_step_contexts (
    segment text REFERENCES @hub@.next_step_models ON UPDATE CASCADE ON DELETE CASCADE,
    context_key bytea,
    context text[] NOT NULL,
    customers bigint NOT NULL,
    times bigint NOT NULL,
    effective double precision NOT NULL,
    converted bigint NOT NULL,
    items text[] NOT NULL,
    item_customers bigint[] NOT NULL,
    item_times bigint[] NOT NULL,
    item_converted bigint[] NOT NULL,
    PRIMARY KEY (segment, context_key)
);
COMMENT ON TABLE @hub@.next_step_contexts IS
    'what came next after some last steps, and how often; made by refresh() and make_next_steps(), read by next_step()';
COMMENT ON COLUMN @hub@.next_step_contexts.segment IS 'as in next_step_models';
COMMENT ON COLUMN @hub@.next_step_contexts.context_key IS 'what the context is found by: a hash';
COMMENT ON COLUMN @hub@.next_step_contexts.context IS
    'the last steps, in their order; NULL before them: the journey, or what is left of it since the last long pause, '
    'begins there';
COMMENT ON COLUMN @hub@.next_step_contexts.customers IS 'how many customers took them';
COMMENT ON COLUMN @hub@.next_step_contexts.times IS 'how many times';
COMMENT ON COLUMN @hub@.next_step_contexts.effective IS
    'as how many customers these count for the error: fewer than they are, if some took them more often than others';
COMMENT ON COLUMN @hub@.next_step_contexts.converted IS 'how many times a conversion came within the limit of time';
COMMENT ON COLUMN @hub@.next_step_contexts.items IS
    'what came next, most frequent first; NULL: nothing within the limit of time; (other): steps of few customers';
COMMENT ON COLUMN @hub@.next_step_contexts.item_customers IS 'of each, how many customers went so';
COMMENT ON COLUMN @hub@.next_step_contexts.item_times IS 'of each, how many times';
COMMENT ON COLUMN @hub@.next_step_contexts.item_converted IS 'of each, how many times a conversion came';
