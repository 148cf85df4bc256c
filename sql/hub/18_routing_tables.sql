-- Whom customers are sent to: queues, who serves them, the rules, and what was assigned to whom.

ALTER TABLE @hub@.settings
    ADD COLUMN language_traits text[] NOT NULL DEFAULT '{language,locale}',
    ADD COLUMN last_agent_within interval NOT NULL DEFAULT '90 days' CHECK (last_agent_within >= '0'),
    ADD COLUMN agents_see_released interval NOT NULL DEFAULT '7 days' CHECK (agents_see_released >= '0');
COMMENT ON COLUMN @hub@.settings.language_traits IS
    'traits that say which language a customer speaks, as pt or pt-BR: the first that a profile has';
COMMENT ON COLUMN @hub@.settings.last_agent_within IS
    'how long an agent is taken to know a customer whom he has served';
COMMENT ON COLUMN @hub@.settings.agents_see_released IS
    'how long agents still see customers of theirs that were released';

ALTER TABLE @hub@.agents
    ADD COLUMN on_duty boolean NOT NULL DEFAULT false,
    ADD COLUMN languages text[],
    ADD COLUMN skills text[],
    ADD COLUMN capacity integer CHECK (capacity >= 0),
    ADD COLUMN login name,
    ADD COLUMN assigned_at timestamptz;
ALTER TABLE @hub@.agents SET (fillfactor = 50);  -- each assignment changes the row of its agent
CREATE INDEX ON @hub@.agents (login) WHERE login IS NOT NULL;
COMMENT ON COLUMN @hub@.agents.on_duty IS 'whether customers may be sent to him now';
COMMENT ON COLUMN @hub@.agents.languages IS 'languages he speaks, as pt or pt-BR; NULL: any';
COMMENT ON COLUMN @hub@.agents.skills IS
    'what he can do, in the words of queues and routing_rules; NULL: nothing special';
COMMENT ON COLUMN @hub@.agents.capacity IS 'how many open assignments he may have at once; NULL: any number';
COMMENT ON COLUMN @hub@.agents.login IS
    'database role he works as, which grant_access has given the level agent; NULL: none';
COMMENT ON COLUMN @hub@.agents.assigned_at IS
    'when something was last assigned to him, kept by the trigger of assignments; NULL: never';

CREATE TABLE @hub@.queues (
    queue text PRIMARY KEY CHECK (queue <> ''),
    label text,
    calendar text REFERENCES @hub@.business_calendars ON UPDATE CASCADE,
    skills text[],
    next_queue text REFERENCES @hub@.queues ON UPDATE CASCADE CHECK (next_queue <> queue)
);
COMMENT ON TABLE @hub@.queues IS 'where customers wait for an agent: teams, most of the time';
COMMENT ON COLUMN @hub@.queues.queue IS 'name of the queue';
COMMENT ON COLUMN @hub@.queues.label IS 'name in the users'' language; NULL: queue';
COMMENT ON COLUMN @hub@.queues.calendar IS
    'business hours in which it is served; NULL: those that count for the channel, see calendar_uses';
COMMENT ON COLUMN @hub@.queues.skills IS 'what an agent must be able to do to serve it; NULL: nothing special';
COMMENT ON COLUMN @hub@.queues.next_queue IS
    'queue to try where this one is closed, or nobody in it is free; NULL: customers wait here';

CREATE TABLE @hub@.agent_queues (
    agent text NOT NULL REFERENCES @hub@.agents ON UPDATE CASCADE ON DELETE CASCADE,
    queue text NOT NULL REFERENCES @hub@.queues ON UPDATE CASCADE ON DELETE CASCADE,
    PRIMARY KEY (queue, agent)
);
CREATE INDEX ON @hub@.agent_queues (agent);
COMMENT ON TABLE @hub@.agent_queues IS 'who serves which queue';
COMMENT ON COLUMN @hub@.agent_queues.agent IS 'the agent';
COMMENT ON COLUMN @hub@.agent_queues.queue IS 'a queue he serves';

CREATE TABLE @hub@.routing_rules (
    position integer PRIMARY KEY,
    segment text,
    channel text,
    kind text CHECK (kind IN ('digital', 'human', 'physical')),
    language text,
    waiting_longer interval,
    queue text REFERENCES @hub@.queues ON UPDATE CASCADE,
    agent text REFERENCES @hub@.agents ON UPDATE CASCADE,
    to_channel text,
    skills text[],
    priority integer NOT NULL DEFAULT 0,
    purpose text NOT NULL DEFAULT 'service',
    note text,
    CONSTRAINT rule_sends_somewhere CHECK (num_nonnulls(queue, agent, to_channel) > 0)
);
COMMENT ON TABLE @hub@.routing_rules IS
    'whom route() sends customers to: of the rules in the order of position the first whose conditions all hold. Up to '
    'waiting_longer columns are conditions, and a NULL holds for everybody; then comes what the rule says';
COMMENT ON COLUMN @hub@.routing_rules.position IS 'the rules are tried in this order';
COMMENT ON COLUMN @hub@.routing_rules.segment IS 'the customer is in this segment';
COMMENT ON COLUMN @hub@.routing_rules.channel IS 'he is on this channel, or prefers it if he is on none';
COMMENT ON COLUMN @hub@.routing_rules.kind IS 'that channel is of this kind: see channels';
COMMENT ON COLUMN @hub@.routing_rules.language IS 'he speaks this language; pt is pt-BR, too';
COMMENT ON COLUMN @hub@.routing_rules.waiting_longer IS 'he has waited for longer';
COMMENT ON COLUMN @hub@.routing_rules.queue IS 'queue to send him to; NULL: none';
COMMENT ON COLUMN @hub@.routing_rules.agent IS
    'agent to send him to, if that one is on duty and has room; NULL: whoever of the queue';
COMMENT ON COLUMN @hub@.routing_rules.to_channel IS
    'channel to serve him on; NULL: the one he is on, or prefers. On another than he is on, the company writes to him:'
    ' may_contact() must allow it';
COMMENT ON COLUMN @hub@.routing_rules.skills IS
    'what the agent must be able to do, besides what the queue asks; NULL: nothing';
COMMENT ON COLUMN @hub@.routing_rules.priority IS 'priority of what is assigned by it, the larger the sooner';
COMMENT ON COLUMN @hub@.routing_rules.purpose IS 'what the company writes to him for, as may_contact() takes it';
COMMENT ON COLUMN @hub@.routing_rules.note IS 'what the rule is for, in words; reasons quote it';

CREATE TABLE @hub@.assignments (
    assignment_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    identity_id bigint NOT NULL,
    source text,
    conversation text,
    channel text,
    queue text REFERENCES @hub@.queues ON UPDATE CASCADE,
    agent text REFERENCES @hub@.agents ON UPDATE CASCADE,
    priority integer NOT NULL DEFAULT 0,
    reasons text[],
    assigned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at timestamptz CHECK (released_at >= assigned_at),
    outcome text,
    CONSTRAINT somebody_is_assigned CHECK (queue IS NOT NULL OR agent IS NOT NULL),
    CONSTRAINT conversation_has_a_source CHECK ((source IS NULL) = (conversation IS NULL)),
    CONSTRAINT outcome_is_of_what_was_released CHECK (outcome IS NULL OR released_at IS NOT NULL)
) WITH (fillfactor = 90);
CREATE INDEX ON @hub@.assignments (agent) WHERE released_at IS NULL;
CREATE INDEX ON @hub@.assignments (queue) WHERE released_at IS NULL;
CREATE INDEX ON @hub@.assignments (identity_id);
CREATE INDEX ON @hub@.assignments (released_at) WHERE released_at IS NOT NULL;
CREATE INDEX ON @hub@.assignments (source, conversation, assignment_id) WHERE conversation IS NOT NULL;
-- One is open at a time: of a conversation, and of what is no conversation one a customer and channel
CREATE UNIQUE INDEX assignments_open_conversation ON @hub@.assignments (source, conversation)
    WHERE released_at IS NULL AND conversation IS NOT NULL;
CREATE UNIQUE INDEX assignments_open_contact ON @hub@.assignments (identity_id, channel) NULLS NOT DISTINCT
    WHERE released_at IS NULL AND conversation IS NULL;
COMMENT ON TABLE @hub@.assignments IS
    'customers sent to queues and agents, open until they are released. They are of identities, so merges and splits'
    ' rewrite none';
COMMENT ON COLUMN @hub@.assignments.assignment_id IS 'number of the assignment: never changes';
COMMENT ON COLUMN @hub@.assignments.identity_id IS 'an identity of the customer; identities tell whose it is now';
COMMENT ON COLUMN @hub@.assignments.source IS
    'system the conversation comes from, as in touchpoints; NULL: it is about none';
COMMENT ON COLUMN @hub@.assignments.conversation IS 'thread, ticket or call it is about; NULL: none in particular';
COMMENT ON COLUMN @hub@.assignments.channel IS 'channel to serve him on; NULL: not known';
COMMENT ON COLUMN @hub@.assignments.queue IS 'queue; NULL: an agent was named, and no queue';
COMMENT ON COLUMN @hub@.assignments.agent IS 'agent; NULL: waits in the queue for one';
COMMENT ON COLUMN @hub@.assignments.priority IS 'the larger, the sooner it is to be served';
COMMENT ON COLUMN @hub@.assignments.reasons IS
    'why, as route() said; NULL: whoever called assign() named the queue or agent';
COMMENT ON COLUMN @hub@.assignments.assigned_at IS 'since when';
COMMENT ON COLUMN @hub@.assignments.released_at IS 'until when; NULL: it is open';
COMMENT ON COLUMN @hub@.assignments.outcome IS 'what came of it, in the words of whoever released it';

SELECT @hub@.show_with_identities('assignments');
