-- What actions mean for a conversation.

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
