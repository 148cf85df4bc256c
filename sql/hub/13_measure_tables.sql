-- What actions mean for a conversation.

CREATE TABLE @hub@.actions (
    action text PRIMARY KEY,
    means text NOT NULL CHECK (means IN ('resolves', 'reopens', 'status'))
);
COMMENT ON TABLE @hub@.actions IS 'actions that are no message of either side, and what they mean for a conversation';
COMMENT ON COLUMN @hub@.actions.action IS 'action, as in touchpoints';
COMMENT ON COLUMN @hub@.actions.means IS 'resolves: the conversation is closed; reopens: it is open again; status: neither, only known to be no message';
INSERT INTO @hub@.actions (action, means) VALUES
    ('resolve', 'resolves'), ('resolved', 'resolves'), ('solve', 'resolves'), ('solved', 'resolves'), ('close', 'resolves'), ('closed', 'resolves'),
    ('conversation_resolved', 'resolves'), ('reopen', 'reopens'), ('reopened', 'reopens'), ('conversation_reopened', 'reopens'), ('conversation_opened', 'reopens'),
    ('delivered', 'status'), ('read', 'status'), ('failed', 'status'), ('bounced', 'status'), ('opened', 'status'), ('assigned', 'status'), ('snoozed', 'status'),
    ('note', 'status'), ('typing', 'status');
