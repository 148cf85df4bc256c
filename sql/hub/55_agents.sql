-- Agents: who they are, whatever systems call them.
--
-- Touchpoints keep what their system calls an agent; views show the name. What agents and agent_aliases say is kept in
-- agent_maps, as values that a query reads once: a look-up in them costs a fraction of a join, and where no agent is
-- known there is none. Packed journeys say of what the company sent whether a bot did: so when bots changes, whoever
-- one of these has written to has his journey packed anew.

CREATE OR REPLACE FUNCTION @hub@.agent_name(agent text, source text, names bytea) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(@extschema@.journey_alias(agent_name.names, agent_name.source, agent_name.agent), agent_name.agent);
COMMENT ON FUNCTION @hub@.agent_name(text, text, bytea) IS
    'what views call the agent of a touchpoint, by agent_names()';

CREATE OR REPLACE FUNCTION @hub@.is_bot(agent text, source text DEFAULT NULL, bots bytea DEFAULT NULL) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(@extschema@.journey_alias(is_bot.bots, is_bot.source, is_bot.agent) = 'bot',
                is_bot.agent = 'bot' OR is_bot.agent LIKE 'bot:%');
COMMENT ON FUNCTION @hub@.is_bot(text, text, bytea) IS
    'whether the agent of a touchpoint is a bot, by agent_bots(), else by spelling; NULL: there is no agent';

CREATE OR REPLACE FUNCTION @hub@.agent_names() RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT @extschema@.journey_aliases(m.names) FROM @hub@.agent_maps m);
COMMENT ON FUNCTION @hub@.agent_names() IS 'names of agent_maps, for look-ups; NULL: no agent is known';

CREATE OR REPLACE FUNCTION @hub@.agent_bots() RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT @extschema@.journey_aliases(m.bots) FROM @hub@.agent_maps m);
COMMENT ON FUNCTION @hub@.agent_bots() IS 'bots of agent_maps, for look-ups; NULL: all are as they are spelled';

-- An agent is called by its key, unless that is an alias. Who is a bot by one of its names is one by all of them.
CREATE OR REPLACE VIEW @hub@.known_agents WITH (security_invoker = true) AS
SELECT a.source, a.alias, a.agent, g.name,
       coalesce(g.is_bot, @hub@.is_bot(g.agent) OR bool_or(@hub@.is_bot(a.alias)) OVER (PARTITION BY a.agent)) AS is_bot
FROM (SELECT g.agent, g.is_bot,
             CASE WHEN count(*) OVER (PARTITION BY coalesce(g.name, g.agent)) = 1 THEN coalesce(g.name, g.agent)
                  ELSE coalesce(g.name || ' (' || g.agent || ')', g.agent) END AS name
      FROM @hub@.agents g) g
     JOIN (SELECT a.source, a.alias, a.agent FROM @hub@.agent_aliases a
           UNION ALL
           SELECT '' AS source, g.agent AS alias, g.agent FROM @hub@.agents g
           WHERE NOT EXISTS (SELECT FROM @hub@.agent_aliases a WHERE a.source = '' AND a.alias = g.agent)) a
     ON a.agent = g.agent;
COMMENT ON VIEW @hub@.known_agents IS 'who is meant by the agent of a touchpoint, a row for each name that is known';
COMMENT ON COLUMN @hub@.known_agents.source IS 'source of the touchpoint; empty: any that has no row of its own';
COMMENT ON COLUMN @hub@.known_agents.alias IS 'agent of the touchpoint';
COMMENT ON COLUMN @hub@.known_agents.agent IS 'the row of agents it is';
COMMENT ON COLUMN @hub@.known_agents.name IS 'what views call it; of several of one name, with its agent';
COMMENT ON COLUMN @hub@.known_agents.is_bot IS 'whether it is a bot';

-- One after the other; and no refresh between what is found here and the commit, for it would take away notes of
-- touchpoints that are not seen here.
CREATE OR REPLACE FUNCTION @hub@.agents_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was record;
    becomes record;
    former bytea;
    latter bytea;
BEGIN
    SELECT m.names, m.bots INTO was FROM agent_maps m WHERE m.one_row FOR UPDATE;
    SELECT jsonb_object_agg(s.source, s.names) AS names,
           jsonb_object_agg(s.source, s.bots) FILTER (WHERE s.bots IS NOT NULL) AS bots INTO becomes
    FROM (SELECT k.source, jsonb_object_agg(k.alias, k.name) AS names,
                 jsonb_object_agg(k.alias, CASE WHEN k.is_bot THEN 'bot' ELSE 'human' END) FILTER (WHERE k.otherwise)
                     AS bots
          FROM (SELECT a.source, a.alias, a.name, a.is_bot,
                       bool_or(a.is_bot <> is_bot(a.alias)) OVER (PARTITION BY a.alias) AS otherwise
                FROM known_agents a) k
          GROUP BY k.source) s;
    IF becomes.bots IS DISTINCT FROM was.bots THEN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION USING ERRCODE = 'active_sql_transaction',
                MESSAGE = 'who is a bot must be changed in a transaction at READ COMMITTED',
                DETAIL = format('This one is at %s, where touchpoints that others have recorded since it began can''t '
                                'be seen.', upper(current_setting('transaction_isolation')));
        END IF;
        former := journey_aliases(was.bots);
        latter := journey_aliases(becomes.bots);
        LOCK TABLE refresh_lock IN SHARE ROW EXCLUSIVE MODE;
        INSERT INTO journey_changes (identity_id)
        SELECT DISTINCT t.identity_id
        FROM touchpoints t
        WHERE t.direction = 'out'
              AND t.agent = ANY (ARRAY(SELECT jsonb_object_keys(s.value)
                                       FROM (VALUES (was.bots), (becomes.bots)) b(bots)
                                            CROSS JOIN LATERAL jsonb_each(b.bots) s))
              AND is_bot(t.agent, t.source, former) <> is_bot(t.agent, t.source, latter);
        UPDATE settings s SET bots_version = s.bots_version + 1 WHERE s.one_row;
    END IF;
    UPDATE agent_maps m SET names = becomes.names, bots = becomes.bots
    WHERE m.one_row AND (m.names, m.bots) IS DISTINCT FROM (becomes.names, becomes.bots);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @hub@.agents_changed() IS 'trigger: agents are known otherwise';
-- Who is on duty changes all day long: that is no other name.
CREATE OR REPLACE TRIGGER agents_changed
    AFTER INSERT OR UPDATE OF agent, name, is_bot OR DELETE OR TRUNCATE ON @hub@.agents
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.agents_changed();
CREATE OR REPLACE TRIGGER agents_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @hub@.agent_aliases
    FOR EACH STATEMENT EXECUTE FUNCTION @hub@.agents_changed();
