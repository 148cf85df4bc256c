-- What rows of attached tables tell of who is who, whatever becomes of them; and why some can't be told.
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
-- evidence alone
SELECT crm.detach_source('calls', keep => false);
SELECT crm.attach_source('calls', '{"makes": "evidence", "occurred_at": "at", "identifiers": {"phone": "phone", "email": "email"}}'::json, feed => 'immediate');
SELECT source_key, sqlstate FROM crm.source_rejects ORDER BY 1;
UPDATE calls SET at = CASE WHEN id = 4 THEN 'infinity' ELSE '2026-01-02Z' END::timestamptz;
SELECT source_key, sqlstate FROM crm.source_rejects ORDER BY 1;
SELECT array_agg(source_key ORDER BY source_key) FROM crm.evidence WHERE retracted_at IS NULL;
SELECT * FROM crm.check_source('calls');
SELECT crm.detach_source('calls', keep => false);
DROP TABLE calls;
-- touchpoint, evidence, neither, and back: what holds has the key of its row
CREATE TABLE leads (id integer PRIMARY KEY, a text, b text, at timestamptz DEFAULT '2026-01-01Z', state text DEFAULT 'open');
SELECT crm.attach_source('leads', '{"occurred_at": "at", "channel": "''web''", "action": "''lead''", "identifiers": {"a": "a", "b": "b"}, "makes": ["touchpoint", "evidence"],
                                    "where": "state = ''open''", "evidence_where": "state <> ''void''"}'::json);
CREATE VIEW stands AS
SELECT e.source_key, (SELECT array_agg(i.identifier ORDER BY i.identifier) FROM crm.identities i WHERE i.identity_id = ANY (e.identities)) AS who, e.observed_at::date AS at,
       EXISTS (SELECT FROM crm.touchpoint_keys k WHERE (k.source, k.source_key) = (e.source, e.source_key)) AS touchpoint,
       (SELECT count(*) FROM crm.check_source('leads')) + (SELECT count(*) FROM crm.stitch_check()) AS flaws
FROM crm.evidence e WHERE e.source = 'leads' AND e.retracted_at IS NULL;
INSERT INTO leads (id, a, b) SELECT n, 'a' || n, 'b' || n FROM generate_series(1, 6) n;
CALL crm.feed();
SELECT * FROM stands ORDER BY 1;
-- 1: not open, 2: not open and others, 3: void, 4: others, 5: one identifier, 6: another time
UPDATE leads SET state = CASE WHEN id <= 2 THEN 'closed' WHEN id = 3 THEN 'void' ELSE state END, b = CASE WHEN id IN (2, 4) THEN 'c' || id WHEN id <> 5 THEN b END,
                 at = CASE WHEN id = 6 THEN '2026-01-06Z' ELSE at END;
CALL crm.feed();
SELECT * FROM stands ORDER BY 1;
SELECT source_key ~ '#' AS aside, outcome FROM crm.why('a:a2', 'b:b2');
SELECT regexp_replace(source_key, '#.*', '#') AS key FROM crm.evidence WHERE retracted_at IS NOT NULL AND source = 'leads' ORDER BY 1;
SELECT crm.resync_source('leads');
UPDATE leads SET state = 'open', b = 'b' || id, at = '2026-01-01Z';
CALL crm.feed();
SELECT * FROM stands ORDER BY 1;
UPDATE leads SET state = 'closed';
CALL crm.feed();
SELECT * FROM stands ORDER BY 1;
-- a row comes again, with another key, and with the same
UPDATE leads SET id = id + 10 WHERE id <= 3;
DELETE FROM leads WHERE id = 4;
CALL crm.feed();
INSERT INTO leads (id, a, b, state) VALUES (4, 'a4', 'b4', 'closed');
CALL crm.feed();
SELECT * FROM stands ORDER BY 1;
-- what somebody has retracted stays so as long as the row is what it was
SELECT crm.retract('leads', '4'), crm.retract('leads', '5'), crm.retract('leads', '6');
SELECT crm.resync_source('leads');
UPDATE leads SET state = 'open' WHERE id = 5;
UPDATE leads SET b = 'd6' WHERE id = 6;
CALL crm.feed();
SELECT * FROM stands ORDER BY 1;
UPDATE leads SET at = '2026-01-02Z' WHERE id = 5;
CALL crm.feed();
SELECT crm.retract('leads', '5'), crm.retract('leads', '6');
UPDATE leads SET at = '2026-01-03Z' WHERE id IN (5, 6);
CALL crm.feed();
SELECT * FROM stands ORDER BY 1;
SELECT crm.resync_source('leads');
-- touchpoints that were recorded otherwise, too
SELECT crm.record('{x:1,x:2}', '2026-01-01Z', 'web', 'view', source => 'app', source_key => '1') > 0 AS recorded, crm.retract('app', '1');
SELECT crm.record('{x:1,x:2}', '2026-01-01Z', 'web', 'view', source => 'app', source_key => '1') > 0 AS replayed, crm.customer_of('x:1') = crm.customer_of('x:2') AS joined;
SELECT crm.unrecord('app', '1');
SELECT cardinality(crm.record_many(ARRAY[ROW('{x:1,x:3}', '2026-01-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'app', '1', NULL, NULL, NULL),
                                         ROW('{x:1,x:2}', '2026-01-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'app', '2', NULL, NULL, NULL)]::crm.event[])) AS recorded;
SELECT crm.retract('app', '1'), crm.identify('{y:1,y:2}', '2026-01-01Z', 'app', '3') > 0 AS seen, crm.retract('app', '3');
SELECT crm.record('{y:1,y:3}', '2026-01-01Z', 'web', 'view', source => 'app', source_key => '3') > 0 AS recorded;
SELECT source_key, retracted_at IS NULL AS holds FROM (SELECT regexp_replace(e.source_key, '#.*', '#') AS source_key, e.retracted_at FROM crm.evidence e WHERE e.source = 'app') e ORDER BY 1, 2;
SELECT * FROM crm.stitch_check();
DROP VIEW stands;
DROP TABLE leads;
SELECT journey_drop_hub('crm', true);
