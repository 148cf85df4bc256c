-- Contacts, and what became of conversations: what measures of the service count. Functions become part of the query
-- that calls them, and read no more than decides about their range.

-- A second earlier or later makes no difference to who asks for it, but beyond all times there is an error.
CREATE OR REPLACE FUNCTION @hub@.time_shifted(at timestamptz, by interval) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_timestamp((SELECT CASE WHEN s.seconds < -2e11 THEN '-infinity' WHEN s.seconds > 9.2e12 THEN 'infinity'
                                 ELSE s.seconds END
                     FROM (SELECT date_part('epoch', time_shifted.at) + date_part('epoch', time_shifted.by)
                                  + sign(date_part('epoch', time_shifted.by)) AS seconds) s));
COMMENT ON FUNCTION @hub@.time_shifted(timestamptz, interval) IS
    'a time a second farther away than the interval; infinite, if there are no such times';

-- Reads what asks, reopens or resolves in the range, and what decides about it: what came before a message by more than
-- repeat_within and session_gap makes no difference, nor who asks again after more than repeat_within; but that a
-- conversation was resolved before is looked for in all time.
CREATE OR REPLACE FUNCTION @hub@.contact_turns(
    since timestamptz, until timestamptz, contacts boolean, resolutions boolean,
    OUT customer_id bigint, OUT touchpoint_id bigint, OUT occurred_at timestamptz, OUT channel text, OUT source text,
    OUT conversation text, OUT agent text, OUT contact_kind text, OUT at_first_contact boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 100000
BEGIN ATOMIC
    SELECT b.customer_id, b.touchpoint_id, b.occurred_at, b.channel, b.source, b.conversation,
           @hub@.agent_name(b.agent, b.source, (SELECT @hub@.agent_names())), b.contact_kind,
           b.at_first_contact
    FROM (SELECT i.customer_id, t.touchpoint_id, t.occurred_at, t.channel, t.source, t.conversation, t.agent,
                 @extschema@.contact_kind(t.occurred_at, t.source, t.conversation, t.direction, a.means,
                                          (SELECT s.repeat_within FROM @hub@.settings s),
                                          (SELECT s.session_gap FROM @hub@.settings s)) OVER w AS contact_kind,
                 @extschema@.resolved_at_first_contact(t.occurred_at, t.source, t.conversation, t.direction, a.means,
                                                       (SELECT s.repeat_within FROM @hub@.settings s)) OVER w
                     AS at_first_contact
          FROM @hub@.identities i
               JOIN @hub@.touchpoints t ON t.identity_id = i.identity_id
               LEFT JOIN @hub@.actions a ON a.action = t.action
          WHERE (a.means IN ('resolves', 'reopens', 'asks_and_resolves') OR a.means IS NULL AND t.direction = 'in')
                AND (contact_turns.since IS NULL
                     OR contact_turns.contacts
                        AND t.occurred_at >= (SELECT @hub@.time_shifted(contact_turns.since,
                                                                        - greatest(s.session_gap, s.repeat_within))
                                              FROM @hub@.settings s)
                     OR contact_turns.resolutions AND (t.occurred_at >= contact_turns.since
                                                       OR a.means IN ('resolves', 'asks_and_resolves')))
                AND (contact_turns.until IS NULL OR t.occurred_at < contact_turns.until
                     OR contact_turns.resolutions
                        AND t.occurred_at <= (SELECT @hub@.time_shifted(contact_turns.until, s.repeat_within)
                                              FROM @hub@.settings s))
          WINDOW w AS (PARTITION BY i.customer_id ORDER BY t.occurred_at, t.touchpoint_id)) b
    WHERE (contact_turns.contacts AND b.contact_kind IS NOT NULL
           OR contact_turns.resolutions AND b.at_first_contact IS NOT NULL)
          AND (contact_turns.since IS NULL OR b.occurred_at >= contact_turns.since)
          AND (contact_turns.until IS NULL OR b.occurred_at < contact_turns.until);
END;
COMMENT ON FUNCTION @hub@.contact_turns(timestamptz, timestamptz, boolean, boolean) IS
    'contacts, first resolutions, or both, from one time until before another; NULL: of all time';

CREATE OR REPLACE FUNCTION @hub@.contacts_between(
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    OUT customer_id bigint, OUT touchpoint_id bigint, OUT occurred_at timestamptz, OUT channel text, OUT source text,
    OUT conversation text, OUT agent text, OUT is_repeat boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 100000
BEGIN ATOMIC
    SELECT t.customer_id, t.touchpoint_id, t.occurred_at, t.channel, t.source, t.conversation, t.agent,
           t.contact_kind = 'repeat'
    FROM @hub@.contact_turns(contacts_between.since, contacts_between.until, true, false) t
    WHERE @hub@.check_period(NULL, contacts_between.since, contacts_between.until) IS NOT NULL;
END;
COMMENT ON FUNCTION @hub@.contacts_between(timestamptz, timestamptz) IS
    'contacts made from the one time on and before the other; all of them if both are NULL. See the view contacts';

CREATE OR REPLACE VIEW @hub@.contacts WITH (security_invoker = true) AS
SELECT c.customer_id, c.touchpoint_id, c.occurred_at, c.channel, c.source, c.conversation, c.agent, c.is_repeat,
       (c.occurred_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::date AS local_day,
       extract(hour FROM c.occurred_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::integer AS local_hour
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
COMMENT ON COLUMN @hub@.contacts.local_day IS 'day on which it was sent, in the time zone of settings';
COMMENT ON COLUMN @hub@.contacts.local_hour IS 'hour of that day, 0 to 23';

CREATE OR REPLACE FUNCTION @hub@.resolutions_between(
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    OUT customer_id bigint, OUT source text, OUT conversation text, OUT resolved_at timestamptz, OUT channel text,
    OUT agent text, OUT at_first_contact boolean, OUT decided boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 100000
BEGIN ATOMIC
    SELECT t.customer_id, t.source, t.conversation, t.occurred_at, t.channel, t.agent, t.at_first_contact,
           now() - t.occurred_at > (SELECT s.repeat_within FROM @hub@.settings s)
    FROM @hub@.contact_turns(resolutions_between.since, resolutions_between.until, false, true) t
    WHERE @hub@.check_period(NULL, resolutions_between.since, resolutions_between.until) IS NOT NULL;
END;
COMMENT ON FUNCTION @hub@.resolutions_between(timestamptz, timestamptz) IS
    'conversations that were resolved for the first time from the one time on and before the other; all of them if both'
    ' are NULL. See the view resolutions';

CREATE OR REPLACE VIEW @hub@.resolutions WITH (security_invoker = true) AS
SELECT r.customer_id, r.source, r.conversation, r.resolved_at, r.channel, r.agent, r.at_first_contact, r.decided,
       (r.resolved_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::date AS local_day,
       extract(hour FROM r.resolved_at AT TIME ZONE (SELECT s.time_zone FROM @hub@.settings s))::integer AS local_hour
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
COMMENT ON COLUMN @hub@.resolutions.local_day IS 'day on which it was resolved, in the time zone of settings';
COMMENT ON COLUMN @hub@.resolutions.local_hour IS 'hour of that day, 0 to 23';
