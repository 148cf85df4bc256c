-- The level agent: whoever works in queues sees their customers, and nobody else.
--
-- What agents may read holds others' customers, too: so there are policies, for the roles of this level alone. For all
-- others there is one that is true, which costs them nothing: see hides_rows(). All that are made are in
-- agent_policies(); whatever access_rights() gives agents and has an identity_id or a customer_id gets one by itself.

-- These have the rights of their owner: they are what the policies ask, and tell each role of itself alone.
CREATE OR REPLACE VIEW @hub@.my_queues WITH (security_barrier = true) AS
SELECT g.agent, m.queue
FROM @hub@.agents g LEFT JOIN @hub@.agent_queues m ON m.agent = g.agent
WHERE g.login = current_user;
COMMENT ON VIEW @hub@.my_queues IS 'who you are, by login of agents, and the queues you serve, a row each';
COMMENT ON COLUMN @hub@.my_queues.agent IS 'the row of agents that you are';
COMMENT ON COLUMN @hub@.my_queues.queue IS 'a queue you serve; NULL: you serve none';

-- Values, so that what the policies add to a query is small, and soon planned.
CREATE OR REPLACE FUNCTION @hub@.my_queue_names() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN array(SELECT m.queue FROM my_queues m WHERE m.queue IS NOT NULL);
END $$;
COMMENT ON FUNCTION @hub@.my_queue_names() IS 'the queues you serve';
CREATE OR REPLACE FUNCTION @hub@.my_agent_names() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN array(SELECT DISTINCT m.agent FROM my_queues m);
END $$;
COMMENT ON FUNCTION @hub@.my_agent_names() IS 'the rows of agents that you are: one, as a rule';
CREATE OR REPLACE FUNCTION @hub@.seen_since() RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN time_before(now(), (SELECT s.agents_see_released FROM settings s WHERE s.one_row));
END $$;
COMMENT ON FUNCTION @hub@.seen_since() IS 'agents see customers that were released since then: see settings';

CREATE OR REPLACE VIEW @hub@.my_customers WITH (security_barrier = true) AS
SELECT i.customer_id
FROM @hub@.assignments a JOIN @hub@.identities i ON i.identity_id = a.identity_id
WHERE (a.released_at IS NULL OR a.released_at > (SELECT @hub@.seen_since()))
      AND (a.queue = ANY ((SELECT @hub@.my_queue_names())::text[])
           OR a.agent = ANY ((SELECT @hub@.my_agent_names())::text[]));
COMMENT ON VIEW @hub@.my_customers IS
    'customers assigned to you or your queues, until agents_see_released of settings after they were released, a row '
    'an assignment';
COMMENT ON COLUMN @hub@.my_customers.customer_id IS 'the customer';

CREATE OR REPLACE VIEW @hub@.my_identities WITH (security_barrier = true) AS
SELECT o.identity_id
FROM @hub@.my_customers m JOIN @hub@.identities o ON o.customer_id = m.customer_id;
COMMENT ON VIEW @hub@.my_identities IS 'identities of my_customers, a row an assignment';
COMMENT ON COLUMN @hub@.my_identities.identity_id IS 'the identity';

-- With the rights of the owner, since an agent sees nothing of it. A name that nobody has yet is free.
CREATE OR REPLACE FUNCTION @hub@.is_conversation_of_others(source text, conversation text, identity_id bigint)
RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @hub@, @extschema@, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN EXISTS (SELECT FROM touchpoints t WHERE t.source = is_conversation_of_others.source
                                                   AND t.conversation = is_conversation_of_others.conversation)
           AND NOT EXISTS (SELECT FROM identities o JOIN identities i ON i.customer_id = o.customer_id
                                JOIN touchpoints t ON t.identity_id = i.identity_id
                           WHERE o.identity_id = is_conversation_of_others.identity_id
                                 AND t.source = is_conversation_of_others.source
                                 AND t.conversation = is_conversation_of_others.conversation);
END $$;
COMMENT ON FUNCTION @hub@.is_conversation_of_others(text, text, bigint) IS
    'whether a conversation is of others than the customer of an identity: it has touchpoints, and none of his';
REVOKE EXECUTE ON FUNCTION @hub@.is_conversation_of_others(text, text, bigint) FROM PUBLIC;

CREATE OR REPLACE FUNCTION @hub@.agent_policies(OUT relation name, OUT policy name, OUT command text,
                                                OUT clauses text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 20 SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT c.relname, 'agents'::name, 'ALL',
           format('USING (' || CASE WHEN k.attnotnull THEN '' ELSE '%2$I.%3$I IS NULL OR ' END  -- is about nobody
                  || CASE WHEN c.relname = 'identities' OR k.attname = 'customer_id'
                       THEN 'EXISTS (SELECT FROM %1$I.my_customers m WHERE m.customer_id = %2$I.customer_id)'
                       ELSE 'EXISTS (SELECT FROM %1$I.my_identities i WHERE i.identity_id = %2$I.identity_id)' END
                  || ')',
                  current_schema(), c.relname, k.attname)
    FROM pg_class c
         CROSS JOIN LATERAL (SELECT a.attname, a.attnotnull FROM pg_attribute a
                             WHERE a.attrelid = c.oid AND a.attname IN ('identity_id', 'customer_id')
                                   AND NOT a.attisdropped
                             ORDER BY a.attname DESC LIMIT 1) k
    WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p')
          AND c.relname IN (SELECT r.relation FROM access_rights() r WHERE r.level = 'agent')
          AND c.relname <> 'traits';  -- are seen where their identities are
    RETURN QUERY
    SELECT p.relation, p.policy, p.command, format(p.clauses, current_schema())
    FROM (VALUES
        ('agents'::name, 'own_row'::name, 'UPDATE', 'USING (agents.login = current_user)'),
        ('assignments', 'to_own_queues', 'INSERT',
         'WITH CHECK ((assignments.queue IN (SELECT m.queue FROM %1$I.my_queues m) OR assignments.queue IS NULL) '
         'AND (assignments.agent IS NULL OR assignments.agent IN (SELECT m.agent FROM %1$I.my_queues m) '
         'OR EXISTS (SELECT FROM %1$I.agent_queues s JOIN %1$I.my_queues m ON m.queue = s.queue '
         'WHERE s.agent = assignments.agent)) '
         -- nor may he take the name of what another team has not assigned yet
         'AND (assignments.conversation IS NULL OR NOT %1$I.is_conversation_of_others(assignments.source, '
         'assignments.conversation, assignments.identity_id)))'),
        -- whom he has released he sees for a time: so that time is not for him to choose
        ('assignments', 'from_own_queues', 'UPDATE',
         'USING (assignments.released_at IS NULL AND (assignments.queue IN (SELECT m.queue FROM %1$I.my_queues m) '
         'OR assignments.agent IN (SELECT m.agent FROM %1$I.my_queues m))) '
         'WITH CHECK (coalesce(assignments.released_at <= clock_timestamp(), true))')
        ) p(relation, policy, command, clauses);
END $$;
COMMENT ON FUNCTION @hub@.agent_policies() IS
    'policies of the level agent: what holds of rows that an agent has to do with';

-- Whoever has policies of his own on a table keeps them: agents see what they and these let them see.
CREATE OR REPLACE FUNCTION @hub@.set_agent_policies(role name, is_agent boolean) RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    p record;
    roles text;
    was boolean;
BEGIN
    IF current_setting('lock_timeout') = '0' THEN
        PERFORM set_config('lock_timeout', '10s', true);  -- who waits for an idle reader keeps all others waiting
    END IF;
    FOR p IN
        SELECT a.relation, a.policy, a.command, a.clauses, c.oid AS id, c.relrowsecurity
        FROM agent_policies() a
             JOIN pg_class c ON c.relname = a.relation AND c.relnamespace = quote_ident(current_schema())::regnamespace
        ORDER BY a.relation COLLATE "C", a.policy COLLATE "C"
    LOOP
        SELECT string_agg(format('%I', r.rolname), ', ') FILTER (WHERE r.rolname <> role),
               coalesce(bool_or(r.rolname = role), false)
        INTO roles, was
        FROM pg_policy o CROSS JOIN LATERAL unnest(o.polroles) u(id) JOIN pg_roles r ON r.oid = u.id
        WHERE o.polrelid = p.id AND o.polname = p.policy;
        IF was = is_agent THEN
            CONTINUE;
        ELSIF is_agent AND NOT p.relrowsecurity AND roles IS NULL
              AND NOT EXISTS (SELECT FROM pg_policy o WHERE o.polrelid = p.id) THEN
            EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', current_schema(), p.relation);
            EXECUTE format('CREATE POLICY everyone ON %I.%I USING (true)', current_schema(), p.relation);
        END IF;
        IF roles IS NULL AND is_agent THEN
            EXECUTE format('CREATE POLICY %I ON %I.%I AS RESTRICTIVE FOR %s TO %I %s', p.policy, current_schema(),
                           p.relation, p.command, role, p.clauses);
        ELSIF roles IS NULL THEN
            EXECUTE format('DROP POLICY %I ON %I.%I', p.policy, current_schema(), p.relation);
        ELSE
            EXECUTE format('ALTER POLICY %I ON %I.%I TO %s', p.policy, current_schema(), p.relation,
                           concat_ws(', ', roles, CASE WHEN is_agent THEN quote_ident(role) END));
        END IF;
        IF NOT EXISTS (SELECT FROM pg_policy o WHERE o.polrelid = p.id AND o.polname <> 'everyone') THEN
            EXECUTE format('DROP POLICY IF EXISTS everyone ON %I.%I', current_schema(), p.relation);
            EXECUTE format('ALTER TABLE %I.%I DISABLE ROW LEVEL SECURITY', current_schema(), p.relation);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.set_agent_policies(name, boolean) IS
    'make a role one that policies of agents are for, or none any more; the first and the last one turn row-level '
    'security on and off';

-- A policy that is true would let through what others are there to hide.
CREATE OR REPLACE FUNCTION @hub@.give_way_to_policies() RETURNS void
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT e.polrelid
        FROM pg_policy e JOIN pg_class c ON c.oid = e.polrelid
        WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND e.polname = 'everyone'
              AND EXISTS (SELECT FROM pg_policy o
                          WHERE o.polrelid = e.polrelid AND o.polpermissive AND o.polname <> 'everyone')
    LOOP
        EXECUTE format('DROP POLICY everyone ON %s', relation);
    END LOOP;
END $$;
COMMENT ON FUNCTION @hub@.give_way_to_policies() IS
    'take away what lets all but agents see all rows, where there are policies of your own';
