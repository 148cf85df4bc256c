-- What the next agent needs on the screen, in one value.
--
-- Each part is a statement of its own, planned once a session for any customer: by index, whatever the server thinks of
-- tables that are filled just now. All of them see what the caller may see.

CREATE OR REPLACE FUNCTION @hub@.handover(customer_id bigint, latest integer DEFAULT 10) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off SET max_parallel_workers_per_gather = 0
AS $$
#variable_conflict use_variable
DECLARE
    purpose constant text := 'service';  -- whoever waits for an answer wants one
    whose bigint := current_customer(handover.customer_id);
    ids bigint[];
    names bytea := agent_names();
    packed @extschema@.journey;
    told jsonb;
    part jsonb;
BEGIN
    IF NOT has_table_privilege('journeys_by_customer', 'SELECT') THEN
        PERFORM check_may('reader');
    ELSIF handover.customer_id IS NULL THEN
        RETURN NULL;
    ELSIF whose IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = format('customer %s does not exist', handover.customer_id),
            HINT = 'Customers, under former numbers too, are those of identities. Others than yours are not told.';
    ELSIF coalesce(latest, -1) < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('latest must be a number from 0 on, not %s', coalesce(latest::text, 'NULL')),
            HINT = 'So many touchpoints, hand-offs, open conversations, and messages of each, are told at most.';
    END IF;
    IF (SELECT s.access_log FROM settings s WHERE s.one_row) THEN
        PERFORM note_access('handover', whose);
    END IF;
    ids := ARRAY(SELECT i.identity_id FROM identities i WHERE i.customer_id = whose);
    packed := (SELECT j.journey FROM journeys_by_customer j WHERE j.customer_id = whose);

    SELECT jsonb_build_object(
               'version', 1, 'customer_id', whose, 'at', now(),
               'first_at', s.first_at, 'last_at', s.last_at, 'last_own_at', s.last_own_at,
               'touchpoints', coalesce(s.touchpoints, 0), 'sessions', coalesce(s.sessions, 0),
               'channels', to_jsonb(coalesce(s.channels, '{}')), 'preferred_channel', s.preferred_channel,
               'value', journey_value(packed), 'currency', g.currency,
               'profile', (SELECT p.traits FROM customer_profile p WHERE p.customer_id = whose),
               'handoffs', coalesce(s.handoffs, 0))
    INTO told
    FROM settings g
         LEFT JOIN LATERAL journey_summary(packed, g.session_gap, g.handoff_within, not_own_actions()) s ON true
    WHERE g.one_row;
    IF has_column_privilege('identities', 'identifier', 'SELECT') THEN
        told := told || jsonb_build_object('identifiers', to_jsonb(coalesce(identifier_values(whose)::text[], '{}')));
    END IF;

    part := (SELECT coalesce(jsonb_agg(s.segment ORDER BY s.segment COLLATE "C"), '[]')
             FROM segments_of(whose) s(segment));
    told := told || jsonb_build_object('segments', part);

    part := (SELECT coalesce(jsonb_agg(jsonb_build_object(
                        'touchpoint_id', t.touchpoint_id, 'occurred_at', t.occurred_at, 'channel', t.channel,
                        'action', t.action, 'direction', t.direction, 'agent', agent_name(t.agent, t.source, names),
                        'source', t.source, 'conversation', t.conversation, 'subject', t.subject, 'url', t.url,
                        'value', t.value, 'currency', t.currency)
                        ORDER BY t.occurred_at DESC, t.touchpoint_id DESC), '[]')
             FROM (SELECT p.touchpoint_id, p.occurred_at, p.channel, p.action, p.direction, p.agent, p.source,
                          p.conversation, p.subject, p.url, p.value, p.currency
                   FROM unnest(ids) i(id)
                        CROSS JOIN LATERAL (SELECT k.touchpoint_id, k.occurred_at, k.channel, k.action, k.direction,
                                                   k.agent, k.source, k.conversation, k.subject, k.url, k.value,
                                                   k.currency
                                            FROM touchpoints k WHERE k.identity_id = i.id
                                            ORDER BY k.occurred_at DESC, k.touchpoint_id DESC LIMIT latest) p
                   ORDER BY p.occurred_at DESC, p.touchpoint_id DESC LIMIT latest) t);
    told := told || jsonb_build_object('last_touchpoints', part);

    part := (SELECT coalesce(jsonb_agg(jsonb_build_object(
                        'occurred_at', h.occurred_at, 'from_channel', h.from_channel, 'to_channel', h.to_channel,
                        'after_seconds', h.after_seconds, 'touchpoint_id', h.touchpoint_id)
                        ORDER BY h.occurred_at DESC, h.touchpoint_id DESC), '[]')
             FROM (SELECT v.started_at AS occurred_at, v.came_from AS from_channel, v.channel AS to_channel,
                          extract(epoch FROM v.came_after) AS after_seconds, v.first_ref AS touchpoint_id
                   FROM settings g
                        CROSS JOIN LATERAL journey_visits(packed, g.handoff_within, not_own_actions()) v
                   WHERE g.one_row AND v.came_from IS NOT NULL
                   ORDER BY v.started_at DESC, v.first_ref DESC LIMIT latest) h);
    told := told || jsonb_build_object('last_handoffs', part);

    SELECT jsonb_build_object(
               'open_conversations', count(*),
               'waiting_since', min(c.waiting_since),
               'target', (array_agg(c.clock ORDER BY c.holds_until) FILTER (WHERE c.clock IS NOT NULL))[1],
               'conversations', coalesce(jsonb_agg(c.shown ORDER BY c.n) FILTER (WHERE c.n <= latest), '[]'))
    INTO part
    FROM (SELECT o.n, (o.facts).waiting_since, k.clocks #> '{0}' AS clock, k.holds_until,
                 CASE WHEN o.n <= latest THEN jsonb_build_object(
                     'source', o.source, 'conversation', o.conversation, 'subject', o.subject,
                     'channel', (o.facts).channel, 'started_at', (o.facts).started_at, 'last_at', (o.facts).last_at,
                     'messages_in', (o.facts).messages_in, 'messages_out', (o.facts).messages_out,
                     'waiting_since', (o.facts).waiting_since, 'queue', a.queue, 'priority', a.priority,
                     'agent', coalesce(CASE WHEN a.is_open THEN a.agent END,
                                       (SELECT l.agent FROM unnest(o.spans) l
                                        WHERE l.what = 'agent' AND l.ended_at IS NULL)),
                     'agents', to_jsonb((o.facts).agents), 'targets', coalesce(k.clocks, '[]'),
                     'last_messages', m.messages) END AS shown
          FROM (SELECT g.source, g.conversation, g.facts, g.spans, g.subject,
                       row_number() OVER (ORDER BY (g.facts).waiting_since IS NULL, (g.facts).last_at DESC,
                                          g.source, g.conversation) AS n
                FROM (SELECT p.source, p.conversation,
                             conversation_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot,
                                              p.direction, p.means) AS facts,
                             conversation_spans_agg(p.occurred_at, p.touchpoint_id, p.channel, p.agent, p.is_bot,
                                                    p.direction, p.means) AS spans,
                             (array_agg(p.subject ORDER BY p.occurred_at, p.touchpoint_id)
                              FILTER (WHERE p.subject IS NOT NULL))[1] AS subject
                      FROM conversation_touchpoints p
                      WHERE p.customer_id = whose
                      GROUP BY p.source, p.conversation) g
                WHERE (g.facts).status = 'open') o
               LEFT JOIN LATERAL assignment_at(o.source, o.conversation, 'infinity') a ON true
               CROSS JOIN LATERAL (
                   SELECT jsonb_agg(jsonb_build_object(
                              'source', o.source, 'conversation', o.conversation, 'what', s.what,
                              'since', s.began_at, 'seconds', extract(epoch FROM c.elapsed),
                              'business_seconds', extract(epoch FROM c.elapsed_business),
                              'target_seconds', extract(epoch FROM c.target_within),
                              'in_business_hours', c.in_business_hours, 'holds_until', c.holds_until,
                              'breached', c.breached)
                              ORDER BY c.holds_until, s.began_at DESC) AS clocks, min(c.holds_until) AS holds_until
                   FROM unnest(o.spans) s
                        CROSS JOIN LATERAL clock_columns(s.what, o.source, o.conversation, s.channel, s.began_at,
                                                         NULL) c
                   WHERE s.what <> 'agent' AND s.ended_at IS NULL AND c.target_within IS NOT NULL) k
               CROSS JOIN LATERAL (
                   SELECT coalesce(jsonb_agg(jsonb_build_object(
                              'touchpoint_id', t.touchpoint_id, 'occurred_at', t.occurred_at, 'channel', t.channel,
                              'action', t.action, 'direction', t.direction,
                              'agent', agent_name(t.agent, t.source, names), 'subject', t.subject, 'url', t.url)
                              ORDER BY t.occurred_at DESC, t.touchpoint_id DESC), '[]') AS messages
                   FROM (SELECT q.touchpoint_id, q.occurred_at, q.channel, q.action, q.direction, q.agent, q.source,
                                q.subject, q.url
                         FROM touchpoints q LEFT JOIN actions x ON x.action = q.action
                         WHERE o.n <= latest AND q.identity_id = ANY (ids) AND q.source = o.source
                               AND q.conversation = o.conversation
                               AND (q.direction IS NOT NULL AND x.means IS NULL OR x.means = 'asks_and_resolves')
                         ORDER BY q.occurred_at DESC, q.touchpoint_id DESC LIMIT latest) t) m) c;
    told := told || part;

    part := (SELECT coalesce(jsonb_agg(jsonb_build_object(
                        'assignment_id', a.assignment_id, 'queue', a.queue, 'agent', agent_name(a.agent, '', names),
                        'channel', a.channel, 'source', a.source, 'conversation', a.conversation,
                        'priority', a.priority, 'assigned_at', a.assigned_at)
                        ORDER BY a.assigned_at DESC, a.assignment_id DESC), '[]')
             FROM assignments a WHERE a.identity_id = ANY (ids) AND a.released_at IS NULL);
    told := told || jsonb_build_object('assignments', part);

    part := (SELECT coalesce(jsonb_object_agg(c.channel, jsonb_build_object('allowed', m.allowed, 'reasons',
                                                                            to_jsonb(coalesce(m.reasons, '{}')))),
                             '{}')
             FROM (SELECT told ->> 'preferred_channel' AS channel
                   UNION
                   SELECT o.value ->> 'channel' FROM jsonb_array_elements(told -> 'conversations') o) c
                  CROSS JOIN LATERAL may_contact(whose, purpose, c.channel) m
             WHERE c.channel IS NOT NULL);
    told := told || jsonb_build_object('may_contact', part);

    part := (SELECT coalesce(jsonb_agg(jsonb_build_object('item', n.item, 'probability', n.probability,
                                                          'customers', n.customers, 'converts', n.converts)
                                       ORDER BY n.probability DESC, n.item COLLATE "C"), '[]')
             FROM next_step(whose) n WHERE n.item IS NOT NULL);
    RETURN told || jsonb_build_object('next_step', part);
END $$;
COMMENT ON FUNCTION @hub@.handover(bigint, integer) IS
    'what the next agent needs of a customer, in one value: see the manual''s page for its keys. A former customer_id'
    ' stands for the customer it is part of now; one that doesn''t exist is an error; of lists at most so many, latest,'
    ' are told';
