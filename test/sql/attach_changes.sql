-- on_change where values are NULL, rows are bad, or nobody is known, in all ways of feeding
SET client_min_messages = warning;
SELECT journey_create_hub('crm');
CREATE TABLE o (id integer, line integer, cust text, st text, kind text, upd text DEFAULT '2026-01-01Z', PRIMARY KEY (id, line));
CREATE FUNCTION mapping(more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql RETURN $${"makes": "evidence", "channel": "'shop'",
    "identifiers": {"email": "cust"}, "on_change": [
        {"column": "st", "at": "upd::timestamptz", "actions": {"paid": "paid", "else": "other"}, "initially": {"new": "opened"}},
        {"column": "kind", "action": "'kind ' || coalesce(kind, 'none')"}]}$$::jsonb || more;
INSERT INTO o VALUES (0, 1, 'old@x', 'new');
SELECT crm.attach_source('o', mapping('{"references": {"shop.order": "id"}}'), source => 'queued');
SELECT crm.attach_source('o', mapping(), source => 'row', feed => 'row');
SELECT crm.attach_source('o', mapping(), source => 'at_once', feed => 'immediate');
CREATE VIEW told AS SELECT t.source, regexp_replace(t.source_key, '[1-9][0-9]*$', 'n') AS key, t.action, count(*)
FROM crm.touchpoints t GROUP BY 1, 2, 3;
CREATE VIEW rejected AS SELECT r.source, regexp_replace(r.source_key, '[1-9][0-9]*$', 'n') AS key, r.reason FROM crm.source_rejects r;
INSERT INTO o VALUES (1, 1, 'a@x', 'new', 'x', '2026-01-01Z'), (2, 1, NULL, 'new', NULL, '2026-01-01Z'), (3, 1, 'c@x', NULL, NULL, '2026-01-01Z'),
    (4, 1, 'd@x', 'new', 'x', 'no time');
CALL crm.feed();
UPDATE o SET st = st, kind = kind;
SELECT count(*) FROM crm.feed_notes;
UPDATE o SET st = 'paid';
UPDATE o SET st = NULL, kind = NULL;
UPDATE o SET cust = 'b@x' WHERE id = 2;
UPDATE o SET upd = '2026-02-01Z', kind = 'y' WHERE id = 4;
CALL crm.feed();
SELECT key, action, count(*) = 3 OR string_agg(DISTINCT source, ' ') = 'queued' AS alike FROM told GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM rejected ORDER BY 1, 2, 3;
SELECT source, c.* FROM unnest('{queued,row,at_once}'::text[]) source CROSS JOIN LATERAL crm.check_source(source) c;
SELECT source, state, pending, last_error FROM crm.source_progress ORDER BY 1;
-- a key that becomes another is another row
UPDATE o SET id = 11, st = 'new' WHERE id = 1;
CALL crm.feed();
SELECT * FROM told WHERE key ~ '^.1?1,' ORDER BY 1, 2, 3;
-- what was rejected goes with the row
DELETE FROM o WHERE id > 1;
CALL crm.feed();
SELECT * FROM rejected;
SELECT * FROM told ORDER BY 1, 2, 3;
SELECT source, c.* FROM unnest('{queued,row,at_once}'::text[]) source CROSS JOIN LATERAL crm.check_source(source) c;
SELECT * FROM crm.stitch_check();

DROP VIEW told, rejected;
SELECT journey_drop_hub('crm', force => true);
DROP TABLE o;
DROP FUNCTION mapping;
