INSERT INTO crm.agents (agent, name) VALUES ('marta', 'Marta Silva');
INSERT INTO crm.agent_aliases (source, alias, agent) VALUES ('asterisk', 'PJSIP/201', 'marta'), ('chatwoot', 'Marta Silva', 'marta');
