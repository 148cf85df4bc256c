-- feeding in whatever session: of a database that is serializable by default, or within a transaction
SET client_min_messages = warning;
SELECT journey_create_hub('crm');
CREATE TABLE calls (id integer PRIMARY KEY, caller text, at timestamptz);
SELECT crm.attach_source('calls', '{"occurred_at": "at", "channel": "''phone''", "action": "''call''", "identifiers": {"phone": "caller"}}');
INSERT INTO calls VALUES (1, '+351912345678', '2026-01-01Z');
\c
SET client_min_messages = warning;
SET default_transaction_isolation = 'serializable';
CALL crm.feed();
\c
SET client_min_messages = warning;
SET default_transaction_isolation = 'repeatable read';
INSERT INTO calls VALUES (2, '+351912345679', '2026-01-01Z');
CALL crm.work();
RESET default_transaction_isolation;
SELECT source_key FROM crm.touchpoints ORDER BY 1;
BEGIN;
CALL crm.feed();
ROLLBACK;
CREATE FUNCTION feed_it() RETURNS void LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN CALL crm.feed(fed => n); END $$;
SELECT feed_it();
DO $$ DECLARE n bigint; BEGIN CALL crm.feed(fed => n); END $$;

DROP FUNCTION feed_it;
SELECT journey_drop_hub('crm', force => true);
DROP TABLE calls;
