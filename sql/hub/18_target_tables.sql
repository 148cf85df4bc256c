-- What customers are promised: how soon they are answered, and helped.

CREATE TABLE @hub@.service_targets (
    what text NOT NULL CHECK (what IN ('first_response', 'reply', 'handover', 'resolution')),
    within interval NOT NULL CHECK (within >= '0'),
    in_business_hours boolean NOT NULL DEFAULT true,
    queue text REFERENCES @hub@.queues ON UPDATE CASCADE ON DELETE CASCADE,
    priority integer,
    source text,
    channel text,
    CONSTRAINT service_targets_key UNIQUE NULLS NOT DISTINCT (what, queue, priority, source, channel),
    CONSTRAINT target_is_of_fixed_length CHECK (date_part('year', within) = 0 AND date_part('month', within) = 0
                                                AND isfinite(within))
);
ALTER TABLE @hub@.service_targets REPLICA IDENTITY FULL;  -- a key takes no NULL
COMMENT ON TABLE @hub@.service_targets IS
    'what is to be done within what time. Of several that fit the one with most conditions counts, of those with'
    ' equally many the one with a queue, then priority, then source';
COMMENT ON COLUMN @hub@.service_targets.what IS
    'first_response: a person answers the first question; reply: a later one; handover: a person answers after a bot'
    ' has handed over; resolution: the conversation is resolved, since its first question or since it was reopened';
COMMENT ON COLUMN @hub@.service_targets.within IS 'within what time; a day is 24 hours';
COMMENT ON COLUMN @hub@.service_targets.in_business_hours IS
    'whether that is time within business hours: of the calendar of the queue, or else of source and channel';
COMMENT ON COLUMN @hub@.service_targets.queue IS 'queue of the conversation; NULL: any, or none';
COMMENT ON COLUMN @hub@.service_targets.priority IS 'its priority; NULL: any';
COMMENT ON COLUMN @hub@.service_targets.source IS 'system it comes from; NULL: any';
COMMENT ON COLUMN @hub@.service_targets.channel IS 'channel of what it began with; NULL: any';

-- Where all are noted there is a row of NULLs.
CREATE TABLE @hub@.noted_waits (
    source text,
    conversation text,
    started_at timestamptz,
    last_at timestamptz,
    CONSTRAINT noted_waits_key UNIQUE NULLS NOT DISTINCT (source, conversation)
);
CREATE INDEX noted_waits_unsettled ON @hub@.noted_waits (conversation) WHERE started_at IS NULL;
ALTER TABLE @hub@.noted_waits REPLICA IDENTITY FULL;  -- a key takes no NULL
COMMENT ON TABLE @hub@.noted_waits IS
    'conversations in which a customer waited at the last refresh(), or perhaps did: with those that journey_changes'
    ' tells of, all that waiting_now() must look at';
COMMENT ON COLUMN @hub@.noted_waits.source IS 'system it comes from; NULL: this row says that all are noted';
COMMENT ON COLUMN @hub@.noted_waits.conversation IS 'the conversation; NULL as source is';
COMMENT ON COLUMN @hub@.noted_waits.started_at IS 'time of its first touchpoint then; NULL: not looked at yet';
COMMENT ON COLUMN @hub@.noted_waits.last_at IS 'time of its last touchpoint then; NULL as started_at is';
