INSERT INTO crm.agents (agent, name)
SELECT login, firstname || ' ' || lastname FROM zammad.users u
WHERE EXISTS (SELECT FROM zammad.roles_users r WHERE r.user_id = u.id AND r.role_id = 2);
