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

-- A dump that the application's role restores makes the trigger's function its own. It may do nothing in the hub, nor with the
-- extension, and must not stop who writes; the hub makes another.
CREATE ROLE regress_sessions_app;
CREATE ROLE regress_sessions_hub;
CREATE SCHEMA app AUTHORIZATION regress_sessions_app;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_sessions_hub', current_database()); END $$;
GRANT USAGE ON SCHEMA public TO regress_sessions_hub;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
SET ROLE regress_sessions_app;
CREATE TABLE app.clicks (id integer PRIMARY KEY, cookie text, page integer);
CREATE TABLE app.pages (id integer PRIMARY KEY, name text);
CREATE INDEX ON app.clicks (page);
GRANT USAGE ON SCHEMA app TO regress_sessions_hub;
GRANT SELECT, TRIGGER ON app.clicks, app.pages TO regress_sessions_hub;
SET ROLE regress_sessions_hub;
SELECT journey_create_hub('web');
SET client_min_messages = notice;
SELECT web.attach_source('app.clicks', '{"occurred_at": "''2026-01-01Z''::timestamptz", "channel": "''web''", "action": "pages.name",
    "identifiers": {"cookie": "cookie"}, "lookups": {"pages": "pages(id = page)"}}');
SET client_min_messages = warning;
SELECT web.detach_source('clicks');
SET ROLE regress_sessions_app;
GRANT CREATE ON SCHEMA app TO regress_sessions_hub;
SET ROLE regress_sessions_hub;
SELECT web.attach_source('app.clicks', '{"occurred_at": "''2026-01-01Z''::timestamptz", "channel": "''web''", "action": "pages.name",
    "identifiers": {"cookie": "cookie"}, "lookups": {"pages": "pages(id = page)"}}');
RESET ROLE;
SELECT format('ALTER FUNCTION %s OWNER TO regress_sessions_app', p.oid::regprocedure) FROM pg_proc p
WHERE p.pronamespace = 'app'::regnamespace \gexec
SET ROLE regress_sessions_app;
INSERT INTO app.pages VALUES (1, 'home');
INSERT INTO app.clicks VALUES (1, 'k', 1);
SET ROLE regress_sessions_hub;
SELECT state FROM web.source_progress;
CALL web.feed();
SELECT state FROM web.source_progress;
SET ROLE regress_sessions_app;
UPDATE app.pages SET name = 'start';
INSERT INTO app.clicks VALUES (2, 'k', 1);
TRUNCATE app.pages;
INSERT INTO app.pages VALUES (1, 'start');
SET ROLE regress_sessions_hub;
CALL web.feed();
SELECT source_key, action FROM web.touchpoints ORDER BY 1;
SELECT * FROM web.check_source('clicks');
SELECT journey_drop_hub('web', force => true);
RESET ROLE;
GRANT USAGE ON SCHEMA public TO PUBLIC;
SET client_min_messages = error;
DROP OWNED BY regress_sessions_app, regress_sessions_hub CASCADE;
DROP ROLE regress_sessions_app, regress_sessions_hub;
SET client_min_messages = warning;

DROP FUNCTION feed_it;
SELECT journey_drop_hub('crm', force => true);
DROP TABLE calls;
