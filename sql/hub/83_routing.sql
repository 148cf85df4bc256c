-- Routing: whom a customer is sent to, and what is assigned to whom.
--
-- Locks: who assigns or releases passes the gate of erase(). assign() locks the open assignment that it takes the place
-- of, then claims its place in the index of what is open, then the agent, by the trigger of assignments; of agents one
-- at a time: one who has no room is let go before the next is tried. release() locks the assignment alone. So there are
-- no deadlocks among transactions that assign or release once, and last of all they do.

CREATE OR REPLACE FUNCTION @hub@.speaks(language text, spoken text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(replace(speaks.language, '_', '-')) || '-' ^@ (lower(replace(speaks.spoken, '_', '-')) || '-')
       OR lower(replace(speaks.spoken, '_', '-')) || '-' ^@ (lower(replace(speaks.language, '_', '-')) || '-');
COMMENT ON FUNCTION @hub@.speaks(text, text) IS
    'whether one language is the other: pt is pt-BR, and pt-BR is pt, but neither is pt-PT to the other';

CREATE OR REPLACE FUNCTION @hub@.agent_key(agent text, source text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN coalesce((SELECT a.agent FROM agent_aliases a
                     WHERE a.source = agent_key.source AND a.alias = agent_key.agent),
                    (SELECT a.agent FROM agent_aliases a WHERE a.source = '' AND a.alias = agent_key.agent),
                    (SELECT g.agent FROM agents g WHERE g.agent = agent_key.agent));
END $$;
COMMENT ON FUNCTION @hub@.agent_key(text, text) IS
    'the row of agents that an agent of a touchpoint is; NULL: none';

CREATE OR REPLACE FUNCTION @hub@.language_of(customer_id bigint) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT nullif(p.traits ->> n.trait, '')
            FROM settings s CROSS JOIN LATERAL unnest(s.language_traits) WITH ORDINALITY n(trait, nth)
                 CROSS JOIN (SELECT f.traits FROM customer_profile f
                             WHERE f.customer_id = language_of.customer_id OFFSET 0) p
            WHERE s.one_row AND jsonb_typeof(p.traits -> n.trait) = 'string' AND p.traits ->> n.trait <> ''
            ORDER BY n.nth LIMIT 1);
END $$;
COMMENT ON FUNCTION @hub@.language_of(bigint) IS
    'language a customer speaks, by language_traits of settings; NULL: not known, or not for you to read';

-- The hours of the queue, or else those that count for the channel.
CREATE OR REPLACE FUNCTION @hub@.is_open(queue text, channel text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN business_time(at, at + interval '1 microsecond', calendar_hours(
        coalesce((SELECT q.calendar FROM queues q WHERE q.queue = is_open.queue),
                 (SELECT u.calendar FROM calendar_uses u WHERE u.used_by = 'channel' AND u.name = channel)))) > '0';
END $$;
COMMENT ON FUNCTION @hub@.is_open(text, text, timestamptz) IS
    'whether a queue is served at a time: by its calendar, else by that of the channel, else by default';

CREATE OR REPLACE FUNCTION @hub@.why_not(agent text, has_room boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN coalesce((SELECT CASE WHEN NOT g.on_duty THEN 'is not on duty'
                                 WHEN o.held >= g.capacity AND NOT has_room
                                 THEN format('has %s of %s customers', o.held, g.capacity)
                                 ELSE '' END
                     FROM agents g
                          CROSS JOIN LATERAL (SELECT count(*) AS held FROM assignments a
                                              WHERE a.agent = g.agent AND a.released_at IS NULL) o
                     WHERE g.agent = why_not.agent), 'is not in agents');
END $$;
COMMENT ON FUNCTION @hub@.why_not(text, boolean) IS
    'why an agent can take nobody now, or not go on with whom he has already; empty: he can';

-- Who is free in a queue: known first, then who has fewest, and of these who has waited longest. A language that nobody
-- of the queue speaks keeps nobody waiting.
CREATE OR REPLACE FUNCTION @hub@.free_agents(queue text, language text, skills text[], known text, without text[],
                                             OUT agents text[], OUT remark text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    SELECT array_agg(c.agent ORDER BY c.agent IS DISTINCT FROM known, c.held, c.assigned_at NULLS FIRST,
                                      c.agent COLLATE "C") FILTER (WHERE c.why IS NULL),
           CASE WHEN count(*) = 0 THEN 'has no agents'
                WHEN bool_or(c.why IS NULL) THEN CASE WHEN NOT bool_or(c.speaks)
                                                      THEN format('nobody of it speaks %s', language) END
                ELSE concat_ws(', ', 'nobody is free',
                               nullif(count(*) FILTER (WHERE c.why = 1), 0) || ' not on duty',
                               nullif(count(*) FILTER (WHERE c.why = 2), 0) || ' without its skills',
                               nullif(count(*) FILTER (WHERE c.why = 3), 0) || format(' without %s', language),
                               nullif(count(*) FILTER (WHERE c.why = 4), 0) || ' with all they may have') END
    INTO agents, remark
    FROM (SELECT s.agent, s.assigned_at, s.held, s.speaks,
                 CASE WHEN NOT s.on_duty THEN 1
                      WHEN NOT coalesce(s.skills, '{}') @> coalesce(skills, '{}') THEN 2
                      WHEN NOT s.speaks AND bool_or(s.speaks) OVER () THEN 3
                      WHEN s.held >= s.capacity OR s.agent = ANY (without) THEN 4 END AS why
          FROM (SELECT g.agent, g.on_duty, g.skills, g.capacity, g.assigned_at, o.held,
                       language IS NULL OR g.languages IS NULL OR language = ANY (g.languages)
                           OR EXISTS (SELECT FROM unnest(g.languages) n(spoken) WHERE speaks(language, n.spoken))
                           AS speaks
                FROM agent_queues m JOIN agents g ON g.agent = m.agent
                     LEFT JOIN LATERAL (SELECT count(*) AS held FROM assignments a
                                        WHERE a.agent = g.agent AND a.released_at IS NULL AND g.on_duty) o ON true
                WHERE m.queue = free_agents.queue) s) c;
    agents := coalesce(agents, '{}');
END $$;
COMMENT ON FUNCTION @hub@.free_agents(text, text, text[], text, text[]) IS
    'who of a queue can take a customer now, the best first; and why nobody can, or does not speak his language';

-- What of the customer's touchpoints tells who should have him: his open conversation, and who served him last. Both
-- are among the last ones most of the time; where they are not, all since last_agent_within are read.
CREATE OR REPLACE FUNCTION @hub@.recent_contact(ids bigint[], channel text, at timestamptz, OUT source text,
                                                OUT conversation text, OUT on_channel text, OUT agent text,
                                                OUT last_agent text, OUT last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    since CONSTANT timestamptz := time_before(at, (SELECT s.last_agent_within FROM settings s WHERE s.one_row));
    bots CONSTANT bytea := (SELECT journey_aliases(m.bots) FROM agent_maps m WHERE m.one_row);
    most bigint;
    enough boolean;
    last_name text;
    last_source text;
    open_name text;
BEGIN
    FOREACH most IN ARRAY '{50,NULL}'::bigint[] LOOP
        WITH found AS MATERIALIZED (
            SELECT u.id, t.occurred_at, t.touchpoint_id, t.source, t.conversation, t.channel,
                   CASE WHEN NOT is_bot(t.agent, t.source, bots) THEN t.agent END AS person,
                   CASE WHEN a.means IN ('resolves', 'asks_and_resolves') THEN 'resolved'
                        WHEN a.means = 'reopens' OR a.means IS NULL AND t.direction = 'in' THEN 'open' END AS tells,
                   a.means IS NULL AND t.direction IS DISTINCT FROM 'out' AS own
            FROM unnest(ids) u(id)
                 CROSS JOIN LATERAL (SELECT p.occurred_at, p.touchpoint_id, p.source, p.conversation, p.channel,
                                            p.agent, p.action, p.direction
                                     FROM touchpoints p
                                     WHERE p.identity_id = u.id AND p.occurred_at > since AND p.occurred_at <= at
                                           AND (p.conversation IS NOT NULL OR p.agent IS NOT NULL)
                                     ORDER BY p.occurred_at DESC LIMIT most) t
                 LEFT JOIN actions a ON a.action = t.action
        ), horizon AS MATERIALIZED (  -- later than that nothing is missing
            SELECT max(h.first_at) AS first_at
            FROM (SELECT CASE WHEN count(*) = most THEN min(f.occurred_at) END AS first_at FROM found f GROUP BY f.id) h
        ), seen AS MATERIALIZED (
            SELECT f.occurred_at, f.touchpoint_id, f.source, f.conversation, f.channel, f.person, f.tells, f.own
            FROM found f CROSS JOIN horizon h
            WHERE h.first_at IS NULL OR f.occurred_at > h.first_at
        ), threads AS MATERIALIZED (
            SELECT s.source, s.conversation, max(s.occurred_at) AS ended_at, bool_or(s.own) AS own,
                   (array_agg(s.tells ORDER BY s.occurred_at DESC, s.touchpoint_id DESC)
                    FILTER (WHERE s.tells IS NOT NULL))[1] AS tells,
                   (array_agg(s.person ORDER BY s.occurred_at DESC, s.touchpoint_id DESC)
                    FILTER (WHERE s.person IS NOT NULL))[1] AS person,
                   (array_agg(s.channel ORDER BY s.occurred_at DESC, s.touchpoint_id DESC))[1] AS channel
            FROM seen s
            WHERE s.conversation IS NOT NULL
            GROUP BY s.source, s.conversation
        )
        SELECT h.first_at IS NULL
                   OR l.person IS NOT NULL AND c.tells = 'open' AND c.person IS NOT NULL
                      AND (channel IS NULL OR c.channel = channel)
                      AND NOT EXISTS (SELECT FROM threads d WHERE d.tells IS NULL),
               c.source, c.conversation, c.channel, c.person, l.person, l.source, l.occurred_at
        INTO enough, source, conversation, on_channel, open_name, last_name, last_source, last_at
        FROM horizon h
             LEFT JOIN (SELECT d.source, d.conversation, d.channel, d.person, d.tells
                        FROM threads d
                        WHERE d.tells = 'open' OR d.tells IS NULL AND d.own
                        ORDER BY d.channel IS NOT DISTINCT FROM channel DESC, d.ended_at DESC, d.source, d.conversation
                        LIMIT 1) c ON true
             LEFT JOIN (SELECT s.person, s.source, s.occurred_at
                        FROM seen s
                        WHERE s.person IS NOT NULL
                        ORDER BY s.occurred_at DESC, s.touchpoint_id DESC LIMIT 1) l ON true;
        EXIT WHEN enough;
    END LOOP;
    IF open_name IS NOT NULL THEN
        agent := coalesce(agent_key(open_name, source), open_name);
    END IF;
    IF last_name IS NOT NULL THEN
        last_agent := coalesce(agent_key(last_name, last_source), last_name);
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.recent_contact(bigint[], text, timestamptz) IS
    'of the identities of a customer: his newest open conversation, of a channel if there is one, and who serves it; '
    'and who served him last, and when';

-- How long the customer has waited: in a queue, or for an answer in his open conversation.
CREATE OR REPLACE FUNCTION @hub@.waited(ids bigint[], source text, conversation text, queued_at timestamptz,
                                        at timestamptz) RETURNS interval
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    bots CONSTANT bytea := (SELECT journey_aliases(m.bots) FROM agent_maps m WHERE m.one_row);
    since CONSTANT timestamptz := time_before(at, (SELECT s.last_agent_within FROM settings s WHERE s.one_row));
    asked_at timestamptz;
BEGIN
    asked_at := (SELECT f.waiting_since
                 FROM (SELECT (conversation_agg(t.occurred_at, t.touchpoint_id, t.channel, t.agent,
                                                is_bot(t.agent, t.source, bots), t.direction, a.means)).waiting_since
                       FROM touchpoints t LEFT JOIN actions a ON a.action = t.action
                       WHERE t.identity_id = ANY (ids) AND t.occurred_at > since AND t.occurred_at <= at
                             AND t.source = waited.source AND t.conversation = waited.conversation) f);
    RETURN at - least(queued_at, asked_at);
END $$;
COMMENT ON FUNCTION @hub@.waited(bigint[], text, text, timestamptz, timestamptz) IS
    'how long a customer has waited, of his identities: since he was queued, or for an answer in a conversation; '
    'NULL: he doesn''t';

CREATE OR REPLACE FUNCTION @hub@.no_customer(customer_id bigint) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'no_data_found',
        MESSAGE = format('customer %s does not exist', coalesce(customer_id::text, 'NULL')),
        HINT = 'customer_of() knows the customer of an identifier.';
END $$;
COMMENT ON FUNCTION @hub@.no_customer(bigint) IS 'say that a customer does not exist';

-- As preferred_channel of customer_360 has it, and all others after it.
CREATE OR REPLACE FUNCTION @hub@.preferred_channels(customer_id bigint) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN coalesce((SELECT array_agg(c.channel ORDER BY c.visits DESC, c.ended_at DESC)
                     FROM (SELECT v.channel, count(*) AS visits, max(v.ended_at) AS ended_at
                           FROM visits v WHERE v.customer_id = preferred_channels.customer_id GROUP BY v.channel) c),
                    '{}');
END $$;
COMMENT ON FUNCTION @hub@.preferred_channels(bigint) IS 'channels of a customer''s visits, the preferred one first';

-- The first queue of the chain that is open and has somebody free; or else where to wait.
CREATE OR REPLACE FUNCTION @hub@.find_agent(queue text, language text, skills text[], channel text, known text,
                                            at timestamptz, without text[], INOUT reasons text[], OUT in_queue text,
                                            OUT agents text[])
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    desk record;
    seen text[] := '{}';
    next_queue text := queue;
    why text;
BEGIN
    WHILE next_queue <> ALL (seen) LOOP
        SELECT q.queue, q.next_queue, q.skills INTO desk FROM queues q WHERE q.queue = next_queue;
        seen := seen || next_queue;
        IF NOT is_open(desk.queue, channel, at) THEN
            reasons := reasons || format('queue %s: is closed now', desk.queue);
        ELSE
            in_queue := coalesce(in_queue, desk.queue);
            SELECT f.agents, f.remark INTO agents, why
            FROM free_agents(desk.queue, language, skills || desk.skills, known, without) f;
            IF agents <> '{}' THEN
                in_queue := desk.queue;
                reasons := reasons || concat_ws('; ', CASE WHEN agents[1] = known
                                                           THEN format('queue %s: %s, who served him last, is free',
                                                                       desk.queue, known)
                                                           ELSE format('queue %s: %s is free', desk.queue, agents[1])
                                                           END,
                                                nullif(known, agents[1]) || ', who served him last, is not', why);
                RETURN;
            END IF;
            reasons := reasons || format('queue %s: %s', desk.queue, why);
        END IF;
        next_queue := desk.next_queue;
    END LOOP;
    agents := '{}';
    reasons := reasons || CASE WHEN in_queue IS NULL THEN format('waits in queue %s until it opens', queue)
                               ELSE format('waits in queue %s', in_queue) END;
    in_queue := coalesce(in_queue, queue);
END $$;
COMMENT ON FUNCTION @hub@.find_agent(text, text, text[], text, text, timestamptz, text[], text[]) IS
    'of a queue and those that are to be tried after it, the first that is open and has somebody free, who that is, '
    'the best first, and why';

-- The one the customer is on needs nobody's consent. A channel of self-service is none to write to him on.
CREATE OR REPLACE FUNCTION @hub@.find_channel(customer_id bigint, purpose text, contact text, first text, ways text[],
                                              at timestamptz, name text, INOUT reasons text[], OUT channel text)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    answer record;
BEGIN
    FOR channel IN
        SELECT u.way
        FROM unnest(ARRAY[first, contact] || ways) WITH ORDINALITY u(way, n)
             LEFT JOIN channels c ON c.channel = u.way
        WHERE u.n <= 2 AND u.way IS NOT NULL OR c.service <> 'self-service'
        GROUP BY u.way ORDER BY min(u.n)
    LOOP
        IF channel = contact THEN
            RETURN;
        END IF;
        SELECT m.allowed, m.reasons INTO answer FROM may_contact(customer_id, purpose, channel, at) m;
        IF answer.allowed THEN
            reasons := reasons || format('%s: he may be written to on %s', name, channel);
            RETURN;
        END IF;
        reasons := reasons || format('%s: he may not be written to on %s: %s', name, channel,
                                     array_to_string(answer.reasons, ', '));
    END LOOP;
    channel := NULL;
END $$;
COMMENT ON FUNCTION @hub@.find_channel(bigint, text, text, text, text[], timestamptz, text, text[]) IS
    'the channel of a rule, or else the one a customer is on, or else one of those he uses: the first that he is on, '
    'or may be written to on';

-- What route() and assign() go by. Its settings are those of all functions it calls: by index, and planned once.
CREATE OR REPLACE FUNCTION @hub@.routing(
    customer_id bigint, channel text, source text, conversation text, at timestamptz, without text[],
    OUT customer bigint, OUT queue text, OUT agents text[], OUT on_channel text, OUT priority integer,
    OUT reasons text[], OUT held bigint)
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp SET intervalstyle = 'postgres'
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
SET max_parallel_workers_per_gather = 0
AS $$
#variable_conflict use_variable
DECLARE
    ids bigint[];
    was record;      -- his open assignment
    served record;   -- his last one
    talk record;     -- his open conversation, and who served him last
    asked record;    -- what rules ask for
    tried record;    -- why they don't apply
    match integer;
    upto integer := 0;
    rule record;
    found record;
    contact text;    -- channel he is on
    known text;      -- who knows him
    language text;
    spoken text[];   -- that and what else rules call it
    waiting interval;
    ways text[] := '{}';
    inside text[];   -- his segments
    segment_names text[];
    way text;
    name text;
    why text;
BEGIN
    IF NOT has_table_privilege('visits', 'SELECT') THEN
        PERFORM check_may('reader');
    END IF;
    customer := coalesce((SELECT i.customer_id FROM identities i WHERE i.identity_id = routing.customer_id),
                         current_customer(routing.customer_id));
    IF customer IS NULL THEN
        PERFORM no_customer(routing.customer_id);
    END IF;
    ids := array(SELECT i.identity_id FROM identities i WHERE i.customer_id = customer);
    reasons := '{}';
    agents := '{}';

    -- What is open comes first: of this conversation or channel, and with an agent, before others.
    SELECT a.assignment_id, a.queue, a.agent, a.channel, a.source, a.conversation, a.priority, a.assigned_at,
           CASE WHEN conversation IS NOT NULL THEN a.conversation = conversation AND a.source = source
                ELSE channel IS NULL OR a.channel = channel END IS TRUE AS same
    INTO was
    FROM assignments a
    WHERE a.identity_id = ANY (ids) AND a.released_at IS NULL
    ORDER BY (a.conversation = conversation AND a.source = source) IS TRUE DESC, a.channel = channel DESC NULLS LAST,
             a.agent IS NULL, a.assignment_id DESC
    LIMIT 1;
    priority := coalesce(was.priority, 0);
    talk := recent_contact(ids, channel, at);
    contact := coalesce(channel, was.channel, talk.on_channel);
    on_channel := contact;
    name := CASE WHEN was.assignment_id IS NULL THEN concat_ws(' ', 'open conversation', talk.conversation,
                                                               'on ' || talk.on_channel)
                 ELSE concat_ws(' ', 'open', coalesce('conversation ' || was.conversation, 'contact'),
                                'on ' || was.channel) END;
    known := coalesce(was.agent, talk.agent);
    IF was.assignment_id IS NULL AND talk.conversation IS NULL THEN
        reasons := reasons || 'no conversation is open'::text;
    ELSIF known IS NULL THEN
        reasons := reasons || (name || coalesce(': it waits in queue ' || was.queue, ': nobody has it'));
    ELSE
        why := CASE WHEN known = ANY (without) THEN 'has just filled up'
                    ELSE why_not(known, was.agent IS NOT NULL AND was.same) END;
        IF why = '' THEN
            reasons := reasons || format('%s: %s has it, and is on duty', name, known);
            queue := was.queue;
            agents := ARRAY[known];
            held := CASE WHEN was.same AND was.agent IS NOT NULL THEN was.assignment_id END;
            RETURN;
        END IF;
        reasons := reasons || format('%s: %s has it, but %s', name, known, why);
    END IF;

    SELECT a.agent, a.assigned_at INTO served
    FROM assignments a CROSS JOIN settings s
    WHERE s.one_row AND a.identity_id = ANY (ids) AND a.agent IS NOT NULL
          AND a.assigned_at > time_before(at, s.last_agent_within)
    ORDER BY a.assigned_at DESC LIMIT 1;
    known := CASE WHEN served.assigned_at >= coalesce(talk.last_at, '-infinity') THEN served.agent
                  ELSE talk.last_agent END;
    language := language_of(customer);
    SELECT count(*) AS rules, bool_or(r.segment IS NOT NULL) AS segments,
           bool_or(r.waiting_longer IS NOT NULL) AS waits,
           array_agg(DISTINCT r.language) FILTER (WHERE r.language IS NOT NULL) AS languages
    INTO asked FROM routing_rules r;
    spoken := array(SELECT u.rule_language FROM unnest(asked.languages) u(rule_language)
                    WHERE speaks(language, u.rule_language));
    IF contact IS NULL THEN
        ways := preferred_channels(customer);
    END IF;
    on_channel := coalesce(contact, ways[1]);
    IF asked.segments THEN
        inside := array(SELECT segments_of(customer, at));
        segment_names := array(SELECT d.segment FROM segments d);
    END IF;
    IF asked.waits AND num_nonnulls(talk.conversation, was.assigned_at) > 0 THEN
        waiting := waited(ids, talk.source, talk.conversation, CASE WHEN was.agent IS NULL THEN was.assigned_at END,
                          at);
    END IF;

    -- In one query: the rules, each with why it does not apply; NULL: it does.
    SELECT array_agg(t.told) AS told, array_agg(t.position) AS positions
    INTO tried
    FROM (SELECT f.position, 'rule ' || f.position || coalesce(' (' || f.note || ')', '') || ': ' || f.why AS told
          FROM (SELECT r.position, r.note,
                       CASE WHEN r.channel <> w.way THEN w.is_on || ', not ' || r.channel
                            WHEN (r.channel IS NOT NULL OR r.kind IS NOT NULL) AND w.way IS NULL
                            THEN 'is on no channel, and prefers none'
                            WHEN r.kind <> w.kind THEN w.is_kind || ', not ' || r.kind
                            WHEN r.kind IS NOT NULL AND w.kind IS NULL THEN w.is_on || ', which is not in channels'
                            WHEN r.language IS NOT NULL AND language IS NULL THEN 'his language is not known'
                            WHEN r.language IS NOT NULL AND r.language <> ALL (spoken)
                            THEN w.speaks || ', not ' || r.language
                            WHEN r.waiting_longer IS NOT NULL AND waiting IS NULL THEN 'does not wait'
                            WHEN waiting <= r.waiting_longer
                            THEN w.waits || ', not for longer than ' || r.waiting_longer
                            WHEN r.segment = ANY (inside) OR r.segment IS NULL THEN NULL
                            WHEN r.segment = ANY (segment_names) THEN 'is not in segment ' || r.segment
                            ELSE 'there is no segment ' || r.segment END AS why
                FROM (SELECT p.way, c.kind, p.is_on, p.is_on || ', which is ' || c.kind AS is_kind,
                             'speaks ' || language AS speaks, 'waits for ' || date_trunc('second', waiting) AS waits
                      FROM (SELECT on_channel AS way,
                                   CASE WHEN contact IS NULL THEN 'prefers ' ELSE 'is on ' END || on_channel AS is_on) p
                           LEFT JOIN channels c ON c.channel = p.way OFFSET 0) w
                     CROSS JOIN routing_rules r) f
          ORDER BY f.position) t;
    FOREACH match IN ARRAY array_positions(coalesce(tried.told, '{}'), NULL) LOOP
        reasons := reasons || tried.told[upto + 1:match - 1];
        upto := match;
        SELECT r.position, r.queue, r.agent, r.to_channel, r.skills, r.priority, r.purpose,
               concat('rule ', r.position, ' (' || r.note || ')') AS name
        INTO rule FROM routing_rules r WHERE r.position = tried.positions[match];
        name := rule.name;
        way := coalesce(contact, ways[1]);
        IF rule.to_channel IS NOT NULL THEN
            found := find_channel(customer, rule.purpose, contact, rule.to_channel,
                                  CASE WHEN contact IS NULL THEN ways ELSE preferred_channels(customer) END, at, name,
                                  reasons);
            reasons := found.reasons;
            way := found.channel;
            IF way IS NULL THEN
                reasons := reasons || (name || ': there is no channel to write to him on');
                CONTINUE;
            END IF;
        END IF;
        IF rule.agent IS NOT NULL THEN
            why := CASE WHEN rule.agent = ANY (without) THEN 'has just filled up' ELSE why_not(rule.agent) END;
            IF why = '' THEN
                reasons := reasons || format('%s: applies: to %s, who is on duty', name, rule.agent);
                queue := rule.queue;
                agents := ARRAY[rule.agent];
                on_channel := way;
                priority := rule.priority;
                RETURN;
            ELSIF rule.queue IS NULL THEN
                reasons := reasons || format('%s: is for %s, who %s', name, rule.agent, why);
                CONTINUE;
            END IF;
            reasons := reasons || format('%s: applies: not to %s, who %s', name, rule.agent, why);
        END IF;
        on_channel := way;
        priority := rule.priority;
        IF rule.queue IS NULL THEN
            reasons := reasons || format('%s: applies: to %s, without an agent', name, on_channel);
            RETURN;
        END IF;
        reasons := reasons || format('%s: applies: to queue %s', name, rule.queue);
        found := find_agent(rule.queue, language, rule.skills, on_channel, known, at, without, reasons);
        queue := found.in_queue;
        agents := found.agents;
        reasons := found.reasons;
        RETURN;
    END LOOP;

    reasons := reasons || tried.told[upto + 1:];
    why := CASE WHEN known = ANY (without) THEN 'has just filled up' ELSE why_not(known) END;
    reasons := reasons || CASE WHEN asked.rules = 0 THEN 'there are no rules' ELSE 'no rule applies' END;
    IF known IS NOT NULL AND why = '' THEN
        reasons := reasons || format('%s, who served him last, is on duty', known);
        agents := ARRAY[known];
    ELSIF was.queue IS NOT NULL THEN
        found := find_agent(was.queue, language, NULL, contact, known, at, without, reasons);
        queue := found.in_queue;
        agents := found.agents;
        reasons := found.reasons;
    ELSE
        reasons := reasons || format('%snobody to send him to: add a rule without conditions, as INSERT INTO '
                                     '%I.routing_rules (position, queue) VALUES (1000, ''...'');',
                                     known || ', who served him last, ' || why || '; ', current_schema());
    END IF;
END $$;
COMMENT ON FUNCTION @hub@.routing(bigint, text, text, text, timestamptz, text[]) IS
    'what route() says, all agents who can take the customer, the best first, and the assignment that holds already';

-- Becomes part of the query that calls it.
CREATE OR REPLACE FUNCTION @hub@.route(customer_id bigint, channel text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS TABLE (queue text, agent text, channel text, reasons text[])
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT r.queue, r.agents[1], r.on_channel, r.reasons
    FROM @hub@.routing(route.customer_id, route.channel, NULL, NULL, route.at, NULL) r;
END;
COMMENT ON FUNCTION @hub@.route(bigint, text, timestamptz) IS
    'whom to send a customer to who is on a channel, or on none: the queue, the agent (NULL: he waits in the queue), '
    'the channel to serve him on, and why: all rules that were tried';

-- Whoever adds an assignment: an agent has no more open ones than his capacity. His row is changed, not only locked, so
-- that above READ COMMITTED, too, one of two who count at once fails. AFTER: what is open of a conversation is claimed
-- by its index before the agent.
CREATE OR REPLACE FUNCTION @hub@.check_assignment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    most integer;
    held bigint;
BEGIN
    PERFORM journey_pass('suppressions');
    PERFORM FROM identities i WHERE i.identity_id = NEW.identity_id FOR KEY SHARE;  -- so that nobody forgets it now
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = format('identity %s does not exist', NEW.identity_id);
    END IF;
    IF NEW.agent IS NOT NULL THEN
        UPDATE agents g SET assigned_at = clock_timestamp() WHERE g.agent = NEW.agent RETURNING g.capacity INTO most;
        IF most IS NOT NULL THEN
            held := (SELECT count(*) FROM assignments a WHERE a.agent = NEW.agent AND a.released_at IS NULL);
            IF held > most THEN
                RAISE EXCEPTION USING ERRCODE = 'configuration_limit_exceeded',
                    MESSAGE = format('agent %s has no room for another customer', NEW.agent),
                    DETAIL = format('With this one the open assignments would be %s, and the capacity is %s.', held,
                                    most),
                    HINT = 'Release one, choose another agent, or raise the capacity in agents.';
            END IF;
        END IF;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.check_assignment() IS 'trigger: an agent has no more open assignments than his capacity';
REVOKE EXECUTE ON FUNCTION @hub@.check_assignment() FROM PUBLIC;
CREATE OR REPLACE TRIGGER check_assignment AFTER INSERT OR UPDATE OF identity_id, agent, released_at
    ON @hub@.assignments FOR EACH ROW WHEN (NEW.released_at IS NULL) EXECUTE FUNCTION @hub@.check_assignment();

CREATE OR REPLACE FUNCTION @hub@.assign(customer_id bigint, queue text DEFAULT NULL, agent text DEFAULT NULL,
                                        channel text DEFAULT NULL, source text DEFAULT NULL,
                                        conversation text DEFAULT NULL, priority integer DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    told CONSTANT boolean := queue IS NOT NULL OR agent IS NOT NULL;
    system CONSTANT text := CASE WHEN conversation IS NOT NULL THEN coalesce(source, 'sql') END;
    found record;
    was record;
    candidate text;
    full_ones text[] := '{}';
    failed text;
    failures integer := 0;
    id bigint;
BEGIN
    IF NOT has_column_privilege('assignments', 'queue', 'INSERT') THEN
        PERFORM check_may('writer');
    END IF;
    IF queue IS NOT NULL AND NOT EXISTS (SELECT FROM queues q WHERE q.queue = assign.queue) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('queue "%s" does not exist', queue),
            HINT = format('There are %s. Others are rows of queues.',
                          coalesce((SELECT string_agg(format('"%s"', q.queue), ', ' ORDER BY q.queue COLLATE "C")
                                    FROM queues q), 'none'));
    ELSIF agent IS NOT NULL AND NOT EXISTS (SELECT FROM agents g WHERE g.agent = assign.agent) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('agent "%s" is not in agents', agent),
            HINT = format('Give the name he has there; or add him: INSERT INTO %I.agents (agent) VALUES (%L);',
                          current_schema(), agent);
    END IF;
    PERFORM pass_gate();
    LOOP
        IF told THEN
            SELECT i.customer_id AS customer, queue, ARRAY[agent] AS agents, channel AS on_channel,
                   0 AS priority, NULL::text[] AS reasons, NULL::bigint AS held
            INTO found FROM identities i WHERE i.identity_id = coalesce(
                (SELECT n.identity_id FROM identities n WHERE n.identity_id = assign.customer_id),
                current_customer(assign.customer_id));
            IF found.customer IS NULL THEN
                PERFORM no_customer(assign.customer_id);
            END IF;
        ELSE
            SELECT r.customer, r.queue, r.agents, r.on_channel, coalesce(priority, r.priority) AS priority, r.reasons,
                   r.held
            INTO found FROM routing(assign.customer_id, channel, system, conversation, now(), full_ones) r;
            IF found.held IS NOT NULL THEN
                RETURN found.held;
            ELSIF found.agents = '{}' THEN
                IF found.queue IS NULL THEN
                    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                        MESSAGE = format('there is nobody to assign customer %s to', found.customer),
                        DETAIL = array_to_string(found.reasons, E'\n'),
                        HINT = 'Name a queue or an agent, or change routing_rules.';
                END IF;
                found.agents := ARRAY[NULL];
            END IF;
        END IF;

        -- the open assignment that this one takes the place of
        IF conversation IS NULL THEN
            SELECT a.assignment_id, a.queue, a.agent, a.priority INTO was
            FROM assignments a
            WHERE a.identity_id = ANY (ARRAY(SELECT i.identity_id FROM identities i
                                             WHERE i.customer_id = found.customer))
                  AND a.released_at IS NULL AND a.conversation IS NULL
                  AND a.channel IS NOT DISTINCT FROM found.on_channel
            ORDER BY a.assignment_id LIMIT 1 FOR UPDATE;
        ELSE
            SELECT a.assignment_id, a.queue, a.agent, a.priority INTO was
            FROM assignments a
            WHERE a.source = system AND a.conversation = assign.conversation AND a.released_at IS NULL FOR UPDATE;
        END IF;
        IF told THEN
            found.priority := coalesce(priority, was.priority, 0);
        END IF;
        IF told AND queue IS NULL THEN  -- the agent stays in the queue, or is in one alone
            found.queue := coalesce((SELECT m.queue FROM agent_queues m
                                     WHERE m.agent = assign.agent AND m.queue = was.queue),
                                    (SELECT min(m.queue) FROM agent_queues m
                                     WHERE m.agent = assign.agent HAVING count(*) = 1));
        END IF;

        FOREACH candidate IN ARRAY found.agents LOOP
            IF was.queue IS NOT DISTINCT FROM found.queue AND was.agent IS NOT DISTINCT FROM candidate
               AND was.assignment_id IS NOT NULL THEN
                IF priority IS NOT NULL THEN
                    UPDATE assignments a SET priority = assign.priority
                    WHERE a.assignment_id = was.assignment_id AND a.priority <> assign.priority;
                END IF;
                RETURN was.assignment_id;
            END IF;
            BEGIN
                UPDATE assignments a
                SET released_at = greatest(clock_timestamp(), a.assigned_at), outcome = 'reassigned'
                WHERE a.assignment_id = was.assignment_id;
                INSERT INTO assignments AS a (identity_id, source, conversation, channel, queue, agent, priority,
                                              reasons)
                VALUES (coalesce((SELECT t.identity_id
                                  FROM touchpoints t JOIN identities i ON i.identity_id = t.identity_id
                                  WHERE t.source = system AND t.conversation = assign.conversation
                                        AND i.customer_id = found.customer
                                  ORDER BY t.occurred_at DESC LIMIT 1), found.customer),
                        system, assign.conversation, found.on_channel, found.queue, candidate, found.priority,
                        found.reasons)
                RETURNING a.assignment_id INTO id;
                RETURN id;
            EXCEPTION
                WHEN configuration_limit_exceeded THEN
                    IF told THEN
                        RAISE;
                    END IF;
                    full_ones := full_ones || candidate;
                WHEN unique_violation THEN  -- somebody else has just assigned it: then that is what this one replaces
                    GET STACKED DIAGNOSTICS failed = CONSTRAINT_NAME;
                    failures := failures + 1;
                    IF failed NOT LIKE 'assignments_open_%' THEN
                        RAISE;
                    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
                        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
                            MESSAGE = 'could not serialize access: somebody else has just assigned the same',
                            HINT = 'The transaction might succeed if retried.';
                    ELSIF failures > 5 THEN
                        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                            MESSAGE = format('%s is assigned to others, whom you can''t see',
                                             coalesce('conversation ' || conversation, 'the customer')),
                            HINT = 'They may release it first.';
                    END IF;
                    EXIT;
            END;
        END LOOP;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.assign(bigint, text, text, text, text, text, integer) IS
    'send a customer to a queue and an agent, or, if neither is named, to whom route() says, another if that one has '
    'just filled up; in place of what was open of the conversation, or of the channel if there is none. Returns '
    'assignment_id';

CREATE OR REPLACE FUNCTION @hub@.release(assignment_id bigint, outcome text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF NOT has_column_privilege('assignments', 'released_at', 'UPDATE') THEN
        PERFORM check_may('writer');
    END IF;
    PERFORM pass_gate();
    UPDATE assignments a SET released_at = greatest(clock_timestamp(), a.assigned_at), outcome = release.outcome
    WHERE a.assignment_id = release.assignment_id AND a.released_at IS NULL;
    IF NOT FOUND AND NOT EXISTS (SELECT FROM assignments a WHERE a.assignment_id = release.assignment_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = format('assignment %s does not exist', coalesce(release.assignment_id::text, 'NULL'));
    END IF;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION @hub@.release(bigint, text) IS
    'the customer is served, or goes elsewhere: end an assignment; false: it had ended';
