-- Contacts, and what became of conversations: what measures of the service count. Each function becomes part of the
-- query that calls it, and reads no more than decides about its range.

-- What came longer before than either limit decides nothing: a message after it is a contact either way.
CREATE OR REPLACE FUNCTION @hub@.contacts_between(
    since timestamptz, until timestamptz,
    OUT customer_id bigint, OUT touchpoint_id bigint, OUT occurred_at timestamptz, OUT channel text, OUT source text,
    OUT conversation text, OUT agent text, OUT is_repeat boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 100000
BEGIN ATOMIC
    SELECT b.customer_id, b.touchpoint_id, b.occurred_at, b.channel, b.source, b.conversation, b.agent,
           coalesce(b.since_message <= (SELECT s.repeat_within FROM @hub@.settings s), false)
    FROM (SELECT a.customer_id, a.touchpoint_id, a.occurred_at, a.channel, a.source, a.conversation, a.agent,
                 a.before, a.since_before,
                 a.occurred_at - lag(a.occurred_at) OVER (PARTITION BY a.customer_id
                                                          ORDER BY a.occurred_at, a.touchpoint_id) AS since_message
          FROM (SELECT t.customer_id, t.touchpoint_id, t.occurred_at, t.channel, t.source, t.conversation, t.agent,
                       t.turn, lag(t.turn) OVER w AS before, t.occurred_at - lag(t.occurred_at) OVER w AS since_before
                FROM @hub@.turns t
                WHERE t.turn IN ('asks', 'reopens', 'resolves')
                      AND (contacts_between.since IS NULL
                           OR t.occurred_at >= (SELECT contacts_between.since
                                                       - date_part('epoch', greatest(s.session_gap, s.repeat_within))
                                                         * interval '1 second' FROM @hub@.settings s))
                      AND (contacts_between.until IS NULL OR t.occurred_at < contacts_between.until)
                WINDOW w AS (PARTITION BY t.customer_id, t.source, t.conversation
                             ORDER BY t.occurred_at, t.touchpoint_id, t.step)) a
          WHERE a.turn = 'asks') b
    WHERE (b.conversation IS NULL OR b.before IS NULL OR b.before = 'resolves'
           OR b.since_before > (SELECT s.repeat_within FROM @hub@.settings s))
          AND (b.since_message > (SELECT s.session_gap FROM @hub@.settings s)) IS NOT FALSE
          AND (contacts_between.since IS NULL OR b.occurred_at >= contacts_between.since);
END;
COMMENT ON FUNCTION @hub@.contacts_between(timestamptz, timestamptz) IS
    'contacts made from one time until before another; NULL: of all time. See the view contacts';

CREATE OR REPLACE VIEW @hub@.contacts WITH (security_invoker = true) AS
SELECT c.customer_id, c.touchpoint_id, c.occurred_at, c.channel, c.source, c.conversation, c.agent, c.is_repeat
FROM @hub@.contacts_between(NULL, NULL) c;
COMMENT ON VIEW @hub@.contacts IS
    'messages of customers that are part of no conversation, begin or reopen one, or come longer than repeat_within'
    ' of settings after the one before in it; if none came in any channel within session_gap before';
COMMENT ON COLUMN @hub@.contacts.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.contacts.touchpoint_id IS 'the message';
COMMENT ON COLUMN @hub@.contacts.occurred_at IS 'when it was sent';
COMMENT ON COLUMN @hub@.contacts.channel IS 'where';
COMMENT ON COLUMN @hub@.contacts.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.contacts.conversation IS 'conversation it is part of; NULL: none';
COMMENT ON COLUMN @hub@.contacts.agent IS 'who took it, as a call is taken; NULL: it is a message that names nobody';
COMMENT ON COLUMN @hub@.contacts.is_repeat IS
    'whether it is a repeat contact: at most repeat_within after the customer''s message before';

-- That a conversation was resolved before is looked for in all time; who asks again, only as long as it matters.
CREATE OR REPLACE FUNCTION @hub@.resolutions_between(
    since timestamptz, until timestamptz,
    OUT customer_id bigint, OUT source text, OUT conversation text, OUT resolved_at timestamptz, OUT channel text,
    OUT agent text, OUT at_first_contact boolean, OUT decided boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 100000
BEGIN ATOMIC
    SELECT o.customer_id, o.source, o.conversation, o.occurred_at, o.channel, o.agent,
           (o.asked_again_at - o.occurred_at <= (SELECT s.repeat_within FROM @hub@.settings s)) IS NOT TRUE,
           now() - o.occurred_at > (SELECT s.repeat_within FROM @hub@.settings s)
    FROM (SELECT t.customer_id, t.source, t.conversation, t.occurred_at, t.channel, t.agent, t.turn,
                 row_number() OVER (PARTITION BY t.customer_id, t.source, t.conversation, t.turn = 'resolves'
                                    ORDER BY t.occurred_at, t.touchpoint_id, t.step) AS nth,
                 min(t.occurred_at) FILTER (WHERE t.turn <> 'resolves')
                     OVER (PARTITION BY t.customer_id
                           ORDER BY t.occurred_at DESC, t.touchpoint_id DESC, t.step DESC ROWS UNBOUNDED PRECEDING)
                     AS asked_again_at
          FROM @hub@.turns t
          WHERE t.turn IN ('asks', 'reopens', 'resolves')
                AND (resolutions_between.since IS NULL OR t.turn = 'resolves'
                     OR t.occurred_at >= resolutions_between.since)
                AND (resolutions_between.until IS NULL
                     OR t.occurred_at <= (SELECT resolutions_between.until
                                                 + date_part('epoch', s.repeat_within) * interval '1 second'
                                          FROM @hub@.settings s))) o
    WHERE o.turn = 'resolves' AND o.nth = 1 AND o.conversation IS NOT NULL
          AND (resolutions_between.since IS NULL OR o.occurred_at >= resolutions_between.since)
          AND (resolutions_between.until IS NULL OR o.occurred_at < resolutions_between.until);
END;
COMMENT ON FUNCTION @hub@.resolutions_between(timestamptz, timestamptz) IS
    'conversations that were resolved for the first time from one time until before another; NULL: in all time. See'
    ' the view resolutions';

CREATE OR REPLACE VIEW @hub@.resolutions WITH (security_invoker = true) AS
SELECT r.customer_id, r.source, r.conversation, r.resolved_at, r.channel, r.agent, r.at_first_contact, r.decided
FROM @hub@.resolutions_between(NULL, NULL) r;
COMMENT ON VIEW @hub@.resolutions IS 'conversations that were resolved, and the first time that they were';
COMMENT ON COLUMN @hub@.resolutions.customer_id IS 'the customer';
COMMENT ON COLUMN @hub@.resolutions.source IS 'system it comes from';
COMMENT ON COLUMN @hub@.resolutions.conversation IS 'the conversation';
COMMENT ON COLUMN @hub@.resolutions.resolved_at IS 'when it was resolved for the first time';
COMMENT ON COLUMN @hub@.resolutions.channel IS 'where that was';
COMMENT ON COLUMN @hub@.resolutions.agent IS 'who resolved it; NULL: who is not named';
COMMENT ON COLUMN @hub@.resolutions.at_first_contact IS
    'whether the customer has neither written, in any channel, nor had a conversation reopened within repeat_within'
    ' of settings after that';
COMMENT ON COLUMN @hub@.resolutions.decided IS
    'whether repeat_within is over, so that at_first_contact stays what it is';
