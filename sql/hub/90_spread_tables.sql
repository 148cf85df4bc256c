-- What workers have of a hub that is spread: made by journey_distribute_hub, and by nothing else.

CREATE TABLE @hub@.spread_journeys (
    customer_id bigint PRIMARY KEY,
    journey @extschema@.journey NOT NULL
);
CREATE INDEX ON @hub@.spread_journeys USING gin (journey);
COMMENT ON TABLE @hub@.spread_journeys IS
    'customer_journeys as of the last spread(), shared out over workers by customer_id; current_journeys knows what '
    'has changed since';
COMMENT ON COLUMN @hub@.spread_journeys.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.spread_journeys.journey IS 'as in customer_journeys';

CREATE TABLE @hub@.spread_blocks (
    first_customer bigint PRIMARY KEY,
    block @extschema@.journey_block NOT NULL,
    newer @extschema@.journey_block,
    gone bigint[]
);
COMMENT ON TABLE @hub@.spread_blocks IS
    'journey_blocks as of the last spread(), shared out over workers; current_blocks knows what has changed since';
COMMENT ON COLUMN @hub@.spread_blocks.first_customer IS 'as in journey_blocks';
COMMENT ON COLUMN @hub@.spread_blocks.block IS 'as in journey_blocks';
COMMENT ON COLUMN @hub@.spread_blocks.newer IS 'as in journey_blocks';
COMMENT ON COLUMN @hub@.spread_blocks.gone IS 'as in journey_blocks';

-- A query is run on each shard. What is read at home must be counted on one of them only: on that of its anchor. And
-- Citus joins to nothing what is read of two tables, unless both are joined by what they are shared out by to a third.
CREATE TABLE @hub@.spread_keys (
    key bigint PRIMARY KEY,
    place integer,
    serial bigint
);
CREATE INDEX ON @hub@.spread_keys (place, serial) WHERE place IS NOT NULL;
COMMENT ON TABLE @hub@.spread_keys IS
    'the numbers that spread_journeys and spread_blocks are shared out by, and an anchor in each shard';
COMMENT ON COLUMN @hub@.spread_keys.key IS 'customer_id, first_customer, or any number that belongs in the shard';
COMMENT ON COLUMN @hub@.spread_keys.place IS 'number of the anchor, from 0; NULL: this is none';
COMMENT ON COLUMN @hub@.spread_keys.serial IS
    'of an anchor, number of the last spread(): where it is not that of spread_state, a worker has yet to commit it';

CREATE TABLE @hub@.spread_state (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    serial bigint NOT NULL,
    places integer NOT NULL
);
COMMENT ON TABLE @hub@.spread_state IS 'what the hub knows of the anchors in spread_keys: one row';
COMMENT ON COLUMN @hub@.spread_state.one_row IS 'always true: there is one row';
COMMENT ON COLUMN @hub@.spread_state.serial IS 'number of the last spread()';
COMMENT ON COLUMN @hub@.spread_state.places IS 'how many anchors there are';
-- A sequence, for it tells whoever reads an old snapshot, too
CREATE SEQUENCE @hub@.spread_serial;
COMMENT ON SEQUENCE @hub@.spread_serial IS 'number of the last spread(), also of one that failed';

CREATE TABLE @hub@.unspread (
    customer_id bigint NOT NULL
);
COMMENT ON TABLE @hub@.unspread IS
    'customers whose journeys spread_journeys and spread_blocks lack, or have otherwise. Whoever reads those locks it, '
    'and spread() waits for that before it commits';
COMMENT ON COLUMN @hub@.unspread.customer_id IS 'the customer';

CREATE TABLE @hub@.unspread_blocks (
    first_customer bigint NOT NULL,
    whole boolean NOT NULL
);
COMMENT ON TABLE @hub@.unspread_blocks IS 'rows of journey_blocks that spread_blocks lacks, or has otherwise';
COMMENT ON COLUMN @hub@.unspread_blocks.first_customer IS 'the row';
COMMENT ON COLUMN @hub@.unspread_blocks.whole IS
    'whether it is new, gone, or its block is another; else newer and gone are';
