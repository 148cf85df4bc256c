-- What came out: who did what when, which conversations there are, who the customers are, and what could not be read
\pset footer off
\pset null '-'
\echo == Timeline
SELECT to_char(t.occurred_at, 'YYYY-MM-DD HH24:MI:SS') AS occurred_at, w.who, t.channel, t.action, t.direction AS dir, t.value, t.currency AS cur,
       t.conversation AS talk, t.agent, t.campaign, t.subject, t.url
FROM crm.timeline t CROSS JOIN LATERAL (SELECT min(i::text) FROM crm.identifiers_of(t.customer_id) i) w(who)
ORDER BY t.occurred_at, 2, 4, t.subject;
\echo == Conversations
SELECT w.who, c.conversation AS talk, c.channel, c.status, c.messages_in AS "in", c.messages_out AS out, c.agents, c.handled_by, c.answered_by,
       c.reopenings AS reopened
FROM crm.conversations c CROSS JOIN LATERAL (SELECT min(i::text) FROM crm.identifiers_of(c.customer_id) i) w(who)
ORDER BY 1, c.started_at, 2;
\echo == Customers
SELECT array(SELECT i::text FROM crm.identifiers_of(c.customer_id) i ORDER BY 1) AS known_as, p.traits
FROM (SELECT DISTINCT customer_id FROM crm.identities) c LEFT JOIN crm.customer_profile p USING (customer_id)
ORDER BY 1, 2;
\echo == Rejected
SELECT source_key, reason FROM crm.source_rejects ORDER BY 1;
