-- What actions mean for a conversation.

CREATE TABLE @hub@.actions (
    action text PRIMARY KEY,
    means text NOT NULL CHECK (means IN ('resolves', 'reopens', 'status'))
);
COMMENT ON TABLE @hub@.actions IS 'actions by which nobody turns to anybody: they are no message, and not the customer''s own; and what they mean for a conversation';
COMMENT ON COLUMN @hub@.actions.action IS 'action, as in touchpoints';
COMMENT ON COLUMN @hub@.actions.means IS 'resolves: the conversation is closed; reopens: it is open again; status: neither';
INSERT INTO @hub@.actions (action, means) VALUES
    ('resolve', 'resolves'), ('resolved', 'resolves'), ('solve', 'resolves'), ('solved', 'resolves'), ('close', 'resolves'), ('closed', 'resolves'),
    ('conversation_resolved', 'resolves'), ('call_terminate', 'resolves'),
    ('reopen', 'reopens'), ('reopened', 'reopens'), ('conversation_opened', 'reopens'),
    ('delivered', 'status'), ('read', 'status'), ('failed', 'status'), ('bounced', 'status'), ('typing', 'status'),
    ('assigned', 'status'), ('snoozed', 'status'), ('conversation_created', 'status'), ('conversation_pending', 'status'), ('conversation_snoozed', 'status');
