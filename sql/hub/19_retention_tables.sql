-- How long what is known is kept, and who has looked at whom.

CREATE TABLE @hub@.retention_rules (
    what text NOT NULL,
    channel text DEFAULT '*',
    action text DEFAULT '*',
    source text DEFAULT '*',
    keep interval NOT NULL,
    "then" text NOT NULL DEFAULT 'delete'
);
CREATE UNIQUE INDEX ON @hub@.retention_rules
    (what, coalesce(channel, '*'), coalesce(action, '*'), coalesce(source, '*'));
ALTER TABLE @hub@.retention_rules REPLICA IDENTITY FULL;
COMMENT ON TABLE @hub@.retention_rules IS
    'how long what is kept, and what becomes of it then: apply_retention() tells, and maintain() does it. What no rule'
    ' names is kept';
COMMENT ON COLUMN @hub@.retention_rules.what IS
    'touchpoints, by occurred_at; keys, by when their touchpoints came in; rejected payloads, by received_at; traits,'
    ' trait_history, by recorded_at; former_memberships, by member_until; access_log, by seen_at; assignments, by'
    ' released_at; segment_log, by at; customers, by when'
    ' they were last heard of';
COMMENT ON COLUMN @hub@.retention_rules.channel IS 'of touchpoints: those of this channel; * or NULL: of all';
COMMENT ON COLUMN @hub@.retention_rules.action IS 'of touchpoints: those of this action; * or NULL: of all';
COMMENT ON COLUMN @hub@.retention_rules.source IS
    'what comes from this system, of rejected payloads their format; * or NULL: from all';
COMMENT ON COLUMN @hub@.retention_rules.keep IS 'how long';
COMMENT ON COLUMN @hub@.retention_rules."then" IS
    'delete; or anonymise, which touchpoints and customers can be: what is left counts, and leads to nobody';

ALTER TABLE @hub@.settings ADD COLUMN access_log boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN @hub@.settings.access_log IS
    'whether access_log is written when somebody looks at one customer through a function';

CREATE TABLE @hub@.access_log (
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    role text NOT NULL,
    login text NOT NULL,
    purpose text,
    function text NOT NULL,
    identity_id bigint NOT NULL
);
CREATE INDEX ON @hub@.access_log (identity_id);
ALTER TABLE @hub@.access_log REPLICA IDENTITY FULL;
COMMENT ON TABLE @hub@.access_log IS
    'who has looked at which customer through a function, while access_log of settings was on. Readers add to it, and'
    ' change nothing; rows go with the identity';
COMMENT ON COLUMN @hub@.access_log.seen_at IS 'when';
COMMENT ON COLUMN @hub@.access_log.role IS 'role that looked';
COMMENT ON COLUMN @hub@.access_log.login IS 'role that was logged in';
COMMENT ON COLUMN @hub@.access_log.purpose IS
    'what for: the setting pg_journey_session.purpose of the session; NULL: not said';
COMMENT ON COLUMN @hub@.access_log.function IS 'function that was called';
COMMENT ON COLUMN @hub@.access_log.identity_id IS 'the customer, by the number the caller gave';

SELECT @hub@.show_with_identities('access_log', others => '{}');
