-- Rows that can't be told, among others: the reason is that of the row, whichever it is.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT journey_create_hub('crm');
CREATE TABLE calls (id integer PRIMARY KEY, phone text, email text, at timestamptz, action text DEFAULT 'call');
SELECT crm.attach_source('calls', '{"occurred_at": "at", "channel": "''phone''", "action": "action", "identifiers": {"phone": "phone", "email": "email"}}'::json);
INSERT INTO calls SELECT n, 'p' || n, 'e' || n, CASE WHEN n IN (5, 7) THEN 'infinity' ELSE '2026-01-01Z' END::timestamptz, CASE WHEN n IN (2, 9) THEN '' ELSE 'call' END
FROM generate_series(1, 9) n;
CALL crm.feed();
SELECT source_key, sqlstate FROM crm.source_rejects ORDER BY 1;
SELECT array_agg(source_key ORDER BY source_key) FROM crm.touchpoints;
SELECT array_agg(i.reasons[1] IS NOT NULL), array_agg(array_dims(i.reasons)) FROM crm.flaws_of_rows(NULL, ARRAY[ROW('{a:1,b:1}', now(), 's', '1'), ROW('{a:1}', 'infinity', 's', '2')]::crm.observation[], NULL, NULL) i;
SELECT * FROM crm.check_source('calls');
SELECT journey_drop_hub('crm', true);
DROP TABLE calls;
