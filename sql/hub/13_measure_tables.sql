-- What measures go by: what actions mean for a conversation, and when the company is open.

CREATE TABLE @hub@.actions (
    action text PRIMARY KEY,
    means text NOT NULL CHECK (means IN ('resolves', 'reopens', 'hands_over', 'status', 'asks_and_resolves'))
);
COMMENT ON TABLE @hub@.actions
    IS 'actions by which nobody turns to anybody: they are no message, and not the customer''s own; and what they'
       ' mean for a conversation. Those that ask and resolve at once are both';
COMMENT ON COLUMN @hub@.actions.action IS 'action, as in touchpoints';
COMMENT ON COLUMN @hub@.actions.means
    IS 'resolves: the conversation is closed; reopens: it is open again, or a bot leaves it to people; hands_over: a'
       ' bot does so; status: none of it; asks_and_resolves: a message, of the company if outbound, and the end of the'
       ' conversation, as a call is';
INSERT INTO @hub@.actions (action, means)
SELECT a.action, m.means
FROM (VALUES
    ('resolves', ARRAY['resolve', 'resolved', 'solve', 'solved', 'close', 'closed', 'conversation_resolved',
                       'call_terminate', 'Live Chat Conversation Ended', 'Conversation Ended']),
    ('reopens', ARRAY['reopen', 'reopened', 'conversation_opened']),
    ('hands_over', ARRAY['handover', 'handed_over', 'handoff', 'bot_handoff', 'pass_thread_control']),
    ('asks_and_resolves', ARRAY['call_completed']),
    ('status', ARRAY['delivered', 'read', 'played', 'failed', 'bounced', 'message_status', 'typing', 'assigned',
                     'snoozed', 'reaction', 'message_edited', 'message_deleted', 'call_permission', 'call_status',
                     'system_message',
                     'conversation_created', 'conversation_pending', 'conversation_snoozed', 'conversation_status',
                     'Email Bounced', 'Push Notification Bounced', 'Install Attributed', 'Trial Ended',
                     'Conversation Started', 'Tool Invoked', 'Media Generated', 'Component Loaded',
                     'sessionCreated', 'sessionReassigned', 'profileUpdated', 'updateProperties', 'ruleFired'])
) m(means, actions) CROSS JOIN unnest(m.actions) a(action);

CREATE TABLE @hub@.business_calendars (
    calendar text PRIMARY KEY CHECK (calendar <> ''),
    time_zone text
);
COMMENT ON TABLE @hub@.business_calendars IS
    'who has business hours of his own: the company, called default, and each place, team or line that differs';
COMMENT ON COLUMN @hub@.business_calendars.calendar IS 'its name';
COMMENT ON COLUMN @hub@.business_calendars.time_zone IS 'its time zone; NULL: that of settings';
INSERT INTO @hub@.business_calendars (calendar) VALUES ('default');

CREATE TABLE @hub@.business_hours (
    weekday integer NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    opens time NOT NULL,
    closes time NOT NULL,
    calendar text NOT NULL DEFAULT 'default'
        REFERENCES @hub@.business_calendars ON UPDATE CASCADE ON DELETE CASCADE,
    PRIMARY KEY (calendar, weekday, opens),
    CHECK (opens < closes)
);
COMMENT ON TABLE @hub@.business_hours IS
    'when the company answers, by the days of the week; a calendar without any: always, but for its exceptions';
COMMENT ON COLUMN @hub@.business_hours.weekday IS '1: Monday, to 7: Sunday';
COMMENT ON COLUMN @hub@.business_hours.opens IS 'from when on';
COMMENT ON COLUMN @hub@.business_hours.closes IS 'until before when; 24:00 is the end of the day';
COMMENT ON COLUMN @hub@.business_hours.calendar IS 'whose hours they are';

CREATE TABLE @hub@.business_exceptions (
    day date NOT NULL CHECK (day BETWEEN '0001-01-01' AND '9999-12-31'),
    opens time,
    closes time,
    calendar text NOT NULL DEFAULT 'default'
        REFERENCES @hub@.business_calendars ON UPDATE CASCADE ON DELETE CASCADE,
    UNIQUE NULLS NOT DISTINCT (calendar, day, opens),
    CHECK (opens < closes OR opens IS NULL AND closes IS NULL)
);
-- without a key, which takes no NULL, a row would not change where the table is published
ALTER TABLE @hub@.business_exceptions REPLICA IDENTITY FULL;
COMMENT ON TABLE @hub@.business_exceptions IS
    'days on which business_hours don''t hold: holidays, and days of other hours, a row for each opening';
COMMENT ON COLUMN @hub@.business_exceptions.day IS 'the day';
COMMENT ON COLUMN @hub@.business_exceptions.opens IS 'from when on; NULL: it is closed that day';
COMMENT ON COLUMN @hub@.business_exceptions.closes IS 'until before when; 24:00 is the end of the day';
COMMENT ON COLUMN @hub@.business_exceptions.calendar IS 'whose exception it is';

CREATE TABLE @hub@.calendar_uses (
    used_by text NOT NULL CHECK (used_by IN ('source', 'channel')),
    name text NOT NULL,
    calendar text NOT NULL REFERENCES @hub@.business_calendars ON UPDATE CASCADE ON DELETE CASCADE,
    PRIMARY KEY (used_by, name)
);
COMMENT ON TABLE @hub@.calendar_uses IS
    'which calendar counts: that of the source, which is a team with its hours, before that of the channel, which many'
    ' teams may share, and default for all others';
COMMENT ON COLUMN @hub@.calendar_uses.used_by IS 'source or channel';
COMMENT ON COLUMN @hub@.calendar_uses.name IS 'which source or channel, as in touchpoints';
COMMENT ON COLUMN @hub@.calendar_uses.calendar IS 'its calendar';
