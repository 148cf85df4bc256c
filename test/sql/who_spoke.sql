-- Questions of service, as the manual of patterns asks them of a hub's journeys, and of its rows in plain SQL.
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT journey_create_hub('crm');
SET search_path = crm, public;
UPDATE settings SET past_within = NULL, future_within = NULL;
SELECT setseed(0.14);
-- times by ten minutes, so that limits are met exactly, and several touchpoints have one time
SELECT cardinality(record_many(array_agg((ARRAY[('c:' || floor(random() * 400))::identifier],
    '2026-03-01Z'::timestamptz + floor(random() * 150) * interval '10 min',
    (ARRAY['whatsapp', 'chat', 'email', 'phone'])[1 + floor(random() * 4)], (ARRAY['message', 'message', 'complaint', 'call', 'delivered'])[1 + floor(random() * 5)],
    NULL, NULL, (ARRAY['in', 'in', 'out', 'out', 'out', NULL])[1 + floor(random() * 6)], NULL, (ARRAY['bot', 'bot:x', 'rita', NULL])[1 + floor(random() * 4)],
    NULL, NULL, NULL, NULL)::event))) FROM generate_series(1, 8000);
SELECT refresh() > 300 AS refreshed;
-- some have been corrected, and some came in, since then
UPDATE touchpoints SET direction = 'in', agent = NULL WHERE touchpoint_id % 50 = 1;
SELECT cardinality(record_many(array_agg((ARRAY[('c:' || n)::identifier], '2026-03-01 12:00Z'::timestamptz + n * interval '10 min', 'chat', 'message',
    NULL, NULL, 'out', NULL, CASE WHEN n % 2 = 0 THEN 'bot' END, NULL, NULL, NULL, NULL)::event))) FROM generate_series(1, 100) n;

CREATE VIEW r AS
SELECT i.customer_id, row_number() OVER (PARTITION BY i.customer_id ORDER BY t.occurred_at, t.touchpoint_id) AS n, t.occurred_at AS at, t.channel, t.action,
       coalesce(t.direction = 'in', false) AS by_customer,
       coalesce(t.direction = 'out' AND (t.agent = 'bot' OR t.agent LIKE 'bot:%'), false) AS by_bot,
       coalesce(t.direction = 'out' AND coalesce(t.agent <> 'bot' AND t.agent NOT LIKE 'bot:%', true), false) AS by_person
FROM touchpoints t JOIN identities i USING (identity_id);
CREATE TABLE asked AS
SELECT 1 AS n, 'nobody answered' AS question, '%.message.in -[!%.message.out, !%.message.bot]-> $' AS pattern, ARRAY(
    SELECT DISTINCT m.customer_id FROM r m
    WHERE m.action = 'message' AND m.by_customer
          AND NOT EXISTS (SELECT FROM r a WHERE a.customer_id = m.customer_id AND a.n > m.n AND a.action = 'message' AND (a.by_bot OR a.by_person))) AS customers
UNION ALL
SELECT 2, 'nobody but a bot answered within the hour', '%.message.in -[!%.message.out for 1 h]-> $', ARRAY(
    SELECT DISTINCT m.customer_id FROM r m
    WHERE m.action = 'message' AND m.by_customer
          AND NOT EXISTS (SELECT FROM r a WHERE a.customer_id = m.customer_id AND a.n > m.n AND a.at <= m.at + interval '1 h' AND a.action = 'message' AND a.by_person))
UNION ALL
SELECT 3, 'a person answered the first question within an hour',
       '^ -[!%.message.in]-> %.message.in -[<= 1 h, !%.message.out]-> %.message.out', ARRAY(
    SELECT m.customer_id
    FROM (SELECT DISTINCT ON (customer_id) customer_id, n, at FROM r WHERE action = 'message' AND by_customer ORDER BY customer_id, n) m
         CROSS JOIN LATERAL (SELECT a.at FROM r a WHERE a.customer_id = m.customer_id AND a.n > m.n AND a.action = 'message' AND a.by_person ORDER BY a.n LIMIT 1) a
    WHERE a.at <= m.at + interval '1 h')
UNION ALL
SELECT 4, 'a bot answered, and the customer called before a person wrote', '%.message.bot -[<= 1 h, !%.message.out]-> phone.call.in', ARRAY(
    SELECT DISTINCT b.customer_id FROM r b JOIN r c ON c.customer_id = b.customer_id AND c.n > b.n AND c.at <= b.at + interval '1 h'
    WHERE b.action = 'message' AND b.by_bot AND c.channel = 'phone' AND c.action = 'call' AND c.by_customer
          AND NOT EXISTS (SELECT FROM r p WHERE p.customer_id = b.customer_id AND p.n > b.n AND p.n < c.n AND p.action = 'message' AND p.by_person))
UNION ALL
SELECT 5, 'we wrote, and a complaint came in within a day', 'email.message.out -[<= 1 day]-> %.complaint.in', ARRAY(
    SELECT DISTINCT o.customer_id FROM r o JOIN r c ON c.customer_id = o.customer_id AND c.n > o.n AND c.at <= o.at + interval '1 day'
    WHERE o.channel = 'email' AND o.action = 'message' AND o.by_person AND c.action = 'complaint' AND c.by_customer);
SELECT question, cardinality(customers) BETWEEN 8 AND 392 AS some_but_not_all,
       (SELECT count(*) FROM (SELECT j.customer_id FROM current_journeys j WHERE j.journey ~ a.pattern::journey_pattern
                              EXCEPT SELECT unnest(a.customers)) d) AS too_many,
       (SELECT count(*) FROM (SELECT unnest(a.customers)
                              EXCEPT SELECT j.customer_id FROM current_journeys j WHERE j.journey ~ a.pattern::journey_pattern) d) AS missing
FROM asked a ORDER BY n;

-- which message nobody answered: the first of each customer's that wait
SELECT count(*) > 8 AS some, count(*) FILTER (WHERE (m.at, m.channel, m.action) IS DISTINCT FROM (t.occurred_at, t.channel, t.action)) AS others
FROM (SELECT j.customer_id, touchpoint_ref(x) AS id, touchpoint_time(x) AS at
      FROM current_journeys j, unnest(journey_match(j.journey, '%.message.in -[!%.message.out, !%.message.bot]-> $')) x) w
     FULL JOIN (SELECT DISTINCT ON (r.customer_id) r.* FROM r, asked a
                WHERE a.n = 1 AND r.customer_id = ANY (a.customers) AND r.action = 'message' AND r.by_customer
                      AND NOT EXISTS (SELECT FROM r b WHERE b.customer_id = r.customer_id AND b.n > r.n AND b.action = 'message' AND (b.by_bot OR b.by_person))
                ORDER BY r.customer_id, r.n) m USING (customer_id)
     LEFT JOIN touchpoints t ON t.touchpoint_id = w.id AND t.occurred_at = w.at;
SET search_path = public;
SELECT journey_drop_hub('crm', true);
