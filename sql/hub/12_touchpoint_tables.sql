-- Touchpoints, what is packed of them, and what channels are.

ALTER TABLE @hub@.settings
    ADD COLUMN notify boolean NOT NULL DEFAULT true,
    ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC' CHECK (now() AT TIME ZONE time_zone IS NOT NULL),
    ADD COLUMN session_gap interval NOT NULL DEFAULT '30 minutes' CHECK (session_gap > '0'),
    ADD COLUMN handoff_within interval NOT NULL DEFAULT '1 day' CHECK (handoff_within > '0'),
    ADD COLUMN repeat_within interval NOT NULL DEFAULT '7 days' CHECK (repeat_within > '0'),
    ADD COLUMN months_ahead integer NOT NULL DEFAULT 3 CHECK (months_ahead BETWEEN 0 AND 1200),
    ADD COLUMN keep_touchpoints interval CHECK (keep_touchpoints > '0');
COMMENT ON COLUMN @hub@.settings.notify IS 'whether listeners on the channel named like the hub are told of new touchpoints';
COMMENT ON COLUMN @hub@.settings.time_zone IS 'time zone of business hours';
COMMENT ON COLUMN @hub@.settings.session_gap IS 'a session ends where nothing happens for longer';
COMMENT ON COLUMN @hub@.settings.handoff_within IS 'a change of channel after longer is no handoff';
COMMENT ON COLUMN @hub@.settings.repeat_within IS 'a contact within so long of the one before is a repeat contact';
COMMENT ON COLUMN @hub@.settings.months_ahead IS 'how many months from now maintain() makes partitions for';
COMMENT ON COLUMN @hub@.settings.keep_touchpoints IS 'maintain() drops partitions whose touchpoints are all older; NULL: none';

CREATE TABLE @hub@.touchpoints (
    touchpoint_id bigint NOT NULL,
    identity_id bigint NOT NULL,
    occurred_at timestamptz NOT NULL CHECK (isfinite(occurred_at)),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    channel text NOT NULL,
    action text NOT NULL,
    value numeric,
    currency text,
    direction text CHECK (direction IN ('in', 'out')),
    conversation text,
    agent text,
    campaign text,
    source text NOT NULL DEFAULT 'sql',
    source_key text,
    attributes jsonb,
    PRIMARY KEY (touchpoint_id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE SEQUENCE @hub@.touchpoint_ids OWNED BY @hub@.touchpoints.touchpoint_id;
ALTER TABLE @hub@.touchpoints ALTER touchpoint_id SET DEFAULT nextval('@hub@.touchpoint_ids');
CREATE INDEX ON @hub@.touchpoints (identity_id, occurred_at);
CREATE INDEX ON @hub@.touchpoints (conversation) WHERE conversation IS NOT NULL;
COMMENT ON TABLE @hub@.touchpoints IS 'what happened, a row an event, partitioned by month of occurred_at. A touchpoint belongs to an identity, which belongs to a customer: merges and splits rewrite none';
COMMENT ON COLUMN @hub@.touchpoints.touchpoint_id IS 'number of the touchpoint: never changes';
COMMENT ON COLUMN @hub@.touchpoints.identity_id IS 'identity it belongs to: of the identifiers that came with it, the usable one of highest priority, the first given of several';
COMMENT ON COLUMN @hub@.touchpoints.occurred_at IS 'when it happened';
COMMENT ON COLUMN @hub@.touchpoints.recorded_at IS 'when it came in';
COMMENT ON COLUMN @hub@.touchpoints.channel IS 'where: see channels';
COMMENT ON COLUMN @hub@.touchpoints.action IS 'what';
COMMENT ON COLUMN @hub@.touchpoints.value IS 'what it was worth, in its currency';
COMMENT ON COLUMN @hub@.touchpoints.currency IS 'currency of the value';
COMMENT ON COLUMN @hub@.touchpoints.direction IS 'in: from the customer; out: to the customer; NULL: neither';
COMMENT ON COLUMN @hub@.touchpoints.conversation IS 'thread, ticket or call it is part of';
COMMENT ON COLUMN @hub@.touchpoints.agent IS 'who of the company took part; a bot is called bot, or bot: and its name';
COMMENT ON COLUMN @hub@.touchpoints.campaign IS 'campaign it comes from';
COMMENT ON COLUMN @hub@.touchpoints.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.touchpoints.source_key IS 'its key there; NULL: it has none';
COMMENT ON COLUMN @hub@.touchpoints.attributes IS 'whatever else is known';
COMMENT ON SEQUENCE @hub@.touchpoint_ids IS 'numbers of touchpoints';
CREATE TABLE @hub@.touchpoints_default (LIKE @hub@.touchpoints INCLUDING ALL);
ALTER TABLE @hub@.touchpoints ATTACH PARTITION @hub@.touchpoints_default DEFAULT;
COMMENT ON TABLE @hub@.touchpoints_default IS 'touchpoints of months that have no partition yet; maintain() makes some';

-- A key must be unique over all partitions, which no index of a partitioned table can say.
CREATE TABLE @hub@.touchpoint_keys (
    source text NOT NULL,
    source_key text NOT NULL,
    touchpoint_id bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (source, source_key)
);
COMMENT ON TABLE @hub@.touchpoint_keys IS 'touchpoints by the keys of the systems they come from: the same source and key is the same touchpoint';
COMMENT ON COLUMN @hub@.touchpoint_keys.source IS 'system';
COMMENT ON COLUMN @hub@.touchpoint_keys.source_key IS 'key there';
COMMENT ON COLUMN @hub@.touchpoint_keys.touchpoint_id IS 'the touchpoint';
COMMENT ON COLUMN @hub@.touchpoint_keys.occurred_at IS 'when it happened, which tells its partition';

CREATE TYPE @hub@.event AS (
    identifiers @extschema@.identifier[],
    occurred_at timestamptz,
    channel text,
    action text,
    value numeric,
    currency text,
    direction text,
    conversation text,
    agent text,
    campaign text,
    source text,
    source_key text,
    attributes jsonb
);
COMMENT ON TYPE @hub@.event IS 'what record_many makes touchpoints of';
COMMENT ON COLUMN @hub@.event.identifiers IS 'identifiers of the customer, the strongest first';
COMMENT ON COLUMN @hub@.event.occurred_at IS 'when it happened';
COMMENT ON COLUMN @hub@.event.channel IS 'where';
COMMENT ON COLUMN @hub@.event.action IS 'what';
COMMENT ON COLUMN @hub@.event.value IS 'what it was worth';
COMMENT ON COLUMN @hub@.event.currency IS 'currency of the value';
COMMENT ON COLUMN @hub@.event.direction IS 'in: from the customer; out: to the customer';
COMMENT ON COLUMN @hub@.event.conversation IS 'thread, ticket or call';
COMMENT ON COLUMN @hub@.event.agent IS 'who of the company took part';
COMMENT ON COLUMN @hub@.event.campaign IS 'campaign';
COMMENT ON COLUMN @hub@.event.source IS 'system it comes from; NULL: sql';
COMMENT ON COLUMN @hub@.event.source_key IS 'its key there; NULL: none';
COMMENT ON COLUMN @hub@.event.attributes IS 'whatever else is known';

CREATE TABLE @hub@.channels (
    channel text PRIMARY KEY,
    label text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('digital', 'human', 'physical')),
    ownership text NOT NULL CHECK (ownership IN ('owned', 'paid', 'third party')),
    service text NOT NULL CHECK (service IN ('self-service', 'assisted', 'automatic'))
);
COMMENT ON TABLE @hub@.channels IS 'what channels are. Touchpoints of others are welcome; unknown_channels lists them';
COMMENT ON COLUMN @hub@.channels.channel IS 'name, as in touchpoints';
COMMENT ON COLUMN @hub@.channels.label IS 'name in the users'' language';
COMMENT ON COLUMN @hub@.channels.kind IS 'digital: a machine; human: a person from afar; physical: a place';
COMMENT ON COLUMN @hub@.channels.ownership IS 'owned by the company, paid for, or a third party''s';
COMMENT ON COLUMN @hub@.channels.service IS 'self-service: the customer alone; assisted: with people of the company; automatic: sent to the customer';
INSERT INTO @hub@.channels (channel, label, kind, ownership, service) VALUES
    ('web', 'Web site', 'digital', 'owned', 'self-service'),
    ('app', 'App', 'digital', 'owned', 'self-service'),
    ('email', 'E-mail', 'digital', 'owned', 'automatic'),
    ('sms', 'SMS', 'digital', 'owned', 'automatic'),
    ('push', 'Push notification', 'digital', 'owned', 'automatic'),
    ('whatsapp', 'WhatsApp', 'human', 'third party', 'assisted'),
    ('chat', 'Chat', 'human', 'owned', 'assisted'),
    ('phone', 'Phone', 'human', 'owned', 'assisted'),
    ('video', 'Video call', 'human', 'owned', 'assisted'),
    ('support', 'Support desk', 'human', 'owned', 'assisted'),
    ('ivr', 'Phone menu', 'digital', 'owned', 'self-service'),
    ('social', 'Social network', 'human', 'third party', 'assisted'),
    ('marketplace', 'Marketplace', 'digital', 'third party', 'self-service'),
    ('ads', 'Advertisement', 'digital', 'paid', 'automatic'),
    ('search', 'Search engine', 'digital', 'third party', 'self-service'),
    ('affiliate', 'Affiliate', 'digital', 'paid', 'self-service'),
    ('store', 'Store', 'physical', 'owned', 'assisted'),
    ('kiosk', 'Kiosk', 'physical', 'owned', 'self-service'),
    ('post', 'Letter', 'physical', 'owned', 'automatic'),
    ('delivery', 'Delivery', 'physical', 'third party', 'assisted'),
    ('event', 'Event', 'physical', 'owned', 'assisted'),
    ('partner', 'Partner', 'human', 'third party', 'assisted');

CREATE TABLE @hub@.business_hours (
    weekday integer NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    opens time NOT NULL,
    closes time NOT NULL,
    PRIMARY KEY (weekday, opens),
    CHECK (opens < closes)
);
COMMENT ON TABLE @hub@.business_hours IS 'when the company answers, in the time zone of settings; empty: always';
COMMENT ON COLUMN @hub@.business_hours.weekday IS '1: Monday, to 7: Sunday';
COMMENT ON COLUMN @hub@.business_hours.opens IS 'from when on';
COMMENT ON COLUMN @hub@.business_hours.closes IS 'until before when; 24:00 is the end of the day';

CREATE TABLE @hub@.customer_journeys (
    customer_id bigint PRIMARY KEY,
    journey @extschema@.journey NOT NULL
);
CREATE INDEX ON @hub@.customer_journeys USING gin (journey);
COMMENT ON TABLE @hub@.customer_journeys IS 'journeys of customers as of the last refresh(), with touchpoint_id as ref; current_journeys knows what has changed since';
COMMENT ON COLUMN @hub@.customer_journeys.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.customer_journeys.journey IS 'all touchpoints of the customer';

CREATE TABLE @hub@.journey_changes (
    identity_id bigint NOT NULL,
    touchpoint @extschema@.touchpoint
);
CREATE INDEX ON @hub@.journey_changes (identity_id);
COMMENT ON TABLE @hub@.journey_changes IS 'what customer_journeys lacks. Each transaction adds what it has changed, and refresh() takes it away';
COMMENT ON COLUMN @hub@.journey_changes.identity_id IS 'identity something has changed for, or former customer';
COMMENT ON COLUMN @hub@.journey_changes.touchpoint IS 'a new touchpoint of it; NULL: something else has changed, so its customer''s journey must be made anew';
