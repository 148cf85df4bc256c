-- Questions of service, as the manual of patterns asks them of a hub's journeys, and of its rows in plain SQL.
SET client_min_messages = warning;
SET timezone = 'UTC';
SELECT journey_create_hub('crm');
SET search_path = crm, public;
UPDATE settings SET past_within = NULL, future_within = NULL;
SELECT setseed(0.14);
-- times by ten minutes, so that limits are met exactly, and several touchpoints have one time
CREATE FUNCTION one_of(VARIADIC text[]) RETURNS text LANGUAGE sql VOLATILE AS
    'SELECT $1[1 + floor(random() * cardinality($1))]';
SELECT cardinality(record_many(array_agg((
    ARRAY[('c:' || floor(random() * 400))::identifier], '2026-03-01Z'::timestamptz + floor(random() * 150) * interval '10 min',
    one_of('whatsapp', 'chat', 'email', 'phone', 'phone'), one_of('message', 'message', 'complaint', 'call', 'call', 'delivered'),
    NULL, NULL, one_of('in', 'in', 'out', 'out', 'out', NULL), NULL, one_of('bot', 'bot:x', 'rita', NULL),
    NULL, NULL, NULL, NULL, NULL, NULL)::event))) FROM generate_series(1, 8000);
SELECT refresh() > 300 AS refreshed;
-- some have been corrected, and some came in, since then
UPDATE touchpoints SET direction = 'in', agent = NULL WHERE touchpoint_id % 50 = 1;
SELECT cardinality(record_many(array_agg((
    ARRAY[('c:' || n)::identifier], '2026-03-01 12:00Z'::timestamptz + n * interval '10 min', 'chat', 'message',
    NULL, NULL, 'out', NULL, CASE WHEN n % 2 = 0 THEN 'bot' END, NULL, NULL, NULL, NULL, NULL, NULL)::event)))
FROM generate_series(1, 100) n;

CREATE TABLE r AS
SELECT i.customer_id, row_number() OVER (PARTITION BY i.customer_id ORDER BY t.occurred_at, t.touchpoint_id) AS n,
       t.occurred_at AS at, t.channel, t.action,
       CASE WHEN t.direction = 'in' THEN 'customer' WHEN t.direction IS NULL THEN 'nobody'
            WHEN t.agent = 'bot' OR t.agent LIKE 'bot:%' THEN 'bot' ELSE 'person' END AS who
FROM touchpoints t JOIN identities i USING (identity_id);
CREATE INDEX ON r (customer_id, n);
ANALYZE r;
CREATE VIEW m AS SELECT * FROM r WHERE action = 'message';
CREATE VIEW unanswered AS
SELECT * FROM m
WHERE who = 'customer'
      AND NOT EXISTS (SELECT FROM m a WHERE a.customer_id = m.customer_id AND a.n > m.n AND a.who IN ('bot', 'person'));
CREATE TABLE asked AS
SELECT 1 AS n, 'nobody answered' AS question, '%.message.in -[!%.message.out, !%.message.bot]-> $' AS pattern,
       ARRAY(SELECT DISTINCT customer_id FROM unanswered) AS customers
UNION ALL
SELECT 2, 'nobody but a bot answered within the hour', '%.message.in -[!%.message.out for 1 h]-> $', ARRAY(
    SELECT DISTINCT customer_id FROM m
    WHERE who = 'customer'
          AND NOT EXISTS (SELECT FROM m a WHERE a.customer_id = m.customer_id AND a.n > m.n AND a.who = 'person'
                                                AND a.at <= m.at + interval '1 h'))
UNION ALL
SELECT 3, 'a person answered the first question within an hour',
       '^ -[!%.message.in]-> %.message.in -[<= 1 h, !%.message.out]-> %.message.out', ARRAY(
    SELECT q.customer_id
    FROM (SELECT DISTINCT ON (customer_id) * FROM m WHERE who = 'customer' ORDER BY customer_id, n) q
         CROSS JOIN LATERAL (SELECT a.at FROM m a WHERE a.customer_id = q.customer_id AND a.n > q.n AND a.who = 'person'
                             ORDER BY a.n LIMIT 1) a
    WHERE a.at <= q.at + interval '1 h')
UNION ALL
SELECT 4, 'a bot answered, and the customer called before a person wrote',
       '%.message.bot -[<= 1 h, !%.message.out]-> phone.call.in', ARRAY(
    SELECT DISTINCT b.customer_id
    FROM m b JOIN r c ON c.customer_id = b.customer_id AND c.n > b.n AND c.at <= b.at + interval '1 h'
    WHERE b.who = 'bot' AND c.channel = 'phone' AND c.action = 'call' AND c.who = 'customer'
          AND NOT EXISTS (SELECT FROM m p WHERE p.customer_id = b.customer_id AND p.n > b.n AND p.n < c.n
                                                AND p.who = 'person'))
UNION ALL
SELECT 5, 'we wrote, and a complaint came in within a day', 'email.message.out -[<= 1 day]-> %.complaint.in', ARRAY(
    SELECT DISTINCT o.customer_id
    FROM m o JOIN r c ON c.customer_id = o.customer_id AND c.n > o.n AND c.at <= o.at + interval '1 day'
    WHERE o.channel = 'email' AND o.who = 'person' AND c.action = 'complaint' AND c.who = 'customer');
SELECT a.question, cardinality(a.customers) BETWEEN 20 AND 380 AS some_but_not_all,
       count(*) FILTER (WHERE c.by_rows IS NULL) AS too_many, count(*) FILTER (WHERE c.by_journeys IS NULL) AS missing
FROM asked a
     CROSS JOIN LATERAL (
         SELECT j.customer_id AS by_journeys, q.customer_id AS by_rows
         FROM (SELECT customer_id FROM current_journeys WHERE journey ~ a.pattern::journey_pattern) j
              FULL JOIN unnest(a.customers) q(customer_id) USING (customer_id)) c
GROUP BY a.n, a.question, a.customers ORDER BY a.n;

-- which message nobody answered: the first of each customer's that wait
SELECT count(*) > 20 AS some,
       count(*) FILTER (WHERE (u.at, u.channel, u.action) IS DISTINCT FROM (t.occurred_at, t.channel, t.action)) AS others
FROM (SELECT j.customer_id, touchpoint_ref(x) AS id, touchpoint_time(x) AS at
      FROM current_journeys j,
           unnest(journey_match(j.journey, '%.message.in -[!%.message.out, !%.message.bot]-> $')) x) w
     FULL JOIN (SELECT DISTINCT ON (customer_id) * FROM unanswered ORDER BY customer_id, n) u USING (customer_id)
     LEFT JOIN touchpoints t ON t.touchpoint_id = w.id AND t.occurred_at = w.at;
SET search_path = public;
SELECT journey_drop_hub('crm', true);
