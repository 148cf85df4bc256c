-- Attached tables: what a mapping may say, and that the hub has, once it is fed, what the
-- table has: a second attachment of the final table gives the same touchpoints.
\getenv tests PG_ABS_SRCDIR
\set refused :tests '/sql/include/refused.sql'
\i :refused
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;  -- thousands of queries too small for workers
SET timezone = 'UTC';
SELECT journey_create_hub('crm'), journey_create_hub('fresh'), journey_create_hub('it''s $$ %I \ hub');
UPDATE crm.settings SET future_within = NULL, past_within = NULL;
UPDATE fresh.settings SET future_within = NULL, past_within = NULL;

-- What the hub has of a source: the key, whose it is by identifiers, and what happened
CREATE FUNCTION content(source text) RETURNS TABLE (key text, customer text, what text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM crm.feed_here();
    RETURN QUERY SELECT t.source_key,
           (SELECT string_agg(j.identifier::text, ' ' ORDER BY j.identifier) FROM crm.identities i JOIN crm.identities j USING (customer_id)
            WHERE i.identity_id = t.identity_id),
           concat_ws(' ', t.occurred_at, t.channel, t.action, t.value, t.currency, t.direction, t.conversation, t.agent, t.campaign, t.attributes)
    FROM crm.touchpoints t WHERE t.source = content.source;
END $$;
-- What is wrong: keys and touchpoints that do not belong together, evidence that should not hold, customers that are not what they should be
CREATE FUNCTION flaws() RETURNS TABLE (flaw text, n bigint) LANGUAGE sql AS $$
    SELECT crm.feed_here();
    SELECT * FROM (VALUES
        ('keys', (SELECT count(*) FROM crm.touchpoint_keys k FULL JOIN (SELECT * FROM crm.touchpoints WHERE source_key IS NOT NULL) t
                  ON (t.touchpoint_id, t.occurred_at, t.source, t.source_key) = (k.touchpoint_id, k.occurred_at, k.source, k.source_key)
                  WHERE k.source IS NULL OR t.source IS NULL)),
        ('evidence', (SELECT count(*) FROM crm.evidence e LEFT JOIN crm.touchpoint_keys k
                      ON k.source = e.source AND k.source_key = e.source_key
                      WHERE e.retracted_at IS NULL AND k.source IS NULL)),
        ('customers', (SELECT count(*) FROM crm.stitch_check())),
        ('journeys', (SELECT count(*) FROM crm.current_journeys c
                      FULL JOIN (SELECT i.customer_id,
                                        journey_agg(t.occurred_at, t.channel, t.action, t.value, t.touchpoint_id,
                                                    crm.packed_detail(t.direction, t.agent)) AS journey
                                 FROM crm.touchpoints t JOIN crm.identities i USING (identity_id) GROUP BY 1) t USING (customer_id)
                      WHERE c.journey IS DISTINCT FROM t.journey))) v(flaw, n)
    WHERE n > 0 $$;
-- Compare a source with what another hub gets from attaching its table now
CREATE FUNCTION differences(name text) RETURNS TABLE (which text, key text, customer text, what text) LANGUAGE plpgsql AS $$
DECLARE
    s record;
BEGIN
    PERFORM crm.feed_here();
    SELECT * INTO s FROM crm.sources o WHERE o.source = differences.name;
    PERFORM fresh.attach_source(s.relation, s.mapping, s.source);
    RETURN QUERY EXECUTE $q$
        WITH has AS (SELECT t.source_key,
                            (SELECT string_agg(j.identifier::text, ' ' ORDER BY j.identifier) FROM crm.identities i JOIN crm.identities j USING (customer_id)
                             WHERE i.identity_id = t.identity_id) AS customer, to_jsonb(t) - '{touchpoint_id,identity_id,recorded_at}'::text[] AS what
                     FROM crm.touchpoints t WHERE t.source = $1),
             should AS (SELECT t.source_key,
                            (SELECT string_agg(j.identifier::text, ' ' ORDER BY j.identifier) FROM fresh.identities i JOIN fresh.identities j USING (customer_id)
                             WHERE i.identity_id = t.identity_id) AS customer, to_jsonb(t) - '{touchpoint_id,identity_id,recorded_at}'::text[] AS what
                     FROM fresh.touchpoints t)
        SELECT 'too much', source_key, customer, what::text FROM (SELECT * FROM has EXCEPT SELECT * FROM should) x
        UNION ALL
        SELECT 'missing', source_key, customer, what::text FROM (SELECT * FROM should EXCEPT SELECT * FROM has) x
        UNION ALL
        SELECT 'rejected differently', coalesce(a.source_key, b.source_key), a.sqlstate, b.sqlstate
        FROM (SELECT * FROM crm.source_rejects WHERE source = $1) a FULL JOIN fresh.source_rejects b ON b.source_key = a.source_key
        WHERE a.sqlstate IS DISTINCT FROM b.sqlstate $q$ USING s.source;
    RAISE triggered_action_exception;  -- fresh is empty again
EXCEPTION WHEN triggered_action_exception THEN
END $$;

-- an orders table
CREATE TABLE orders (
    id integer PRIMARY KEY,
    customer_no text,
    email text,
    total numeric(12,2),
    status text NOT NULL DEFAULT 'open',
    created_at timestamptz NOT NULL,
    note text
);
INSERT INTO orders (id, customer_no, email, total, created_at) VALUES
    (1, 'c1', 'ana@example.com', 10, '2026-01-01 10:00'), (2, 'c2', NULL, 20, '2026-01-02 10:00'),
    (3, NULL, '', 30, '2026-01-03 10:00'), (4, 'c1', 'ana@work.example', 40, '2026-02-01 10:00');
SELECT crm.attach_source('orders', '{
    "occurred_at": "created_at", "channel": "''store''", "action": "''purchase''", "value": "total", "currency": "''EUR''",
    "identifiers": {"crm": "customer_no", "email": "lower(email)"},
    "attributes": "jsonb_build_object(''status'', orders.status)", "where": "status <> ''draft''"}');
SELECT source, relation, state, rows_done, percent, rejected FROM crm.source_progress;
SELECT * FROM content('orders') ORDER BY 1;
SELECT source_key, reason, sqlstate FROM crm.source_rejects;
SELECT * FROM flaws();

-- insert, update, delete, truncate: the same as a fresh attachment
CREATE TEMP TABLE id AS SELECT touchpoint_id, source_key FROM crm.touchpoints;
INSERT INTO orders (id, customer_no, email, total, created_at) VALUES (5, 'c3', 'Eva@Example.com', 50, '2026-03-01 10:00'), (6, 'c4', NULL, 60, '2026-03-02');
UPDATE orders SET total = total + 1, created_at = created_at + interval '40 days' WHERE id IN (2, 4);
UPDATE orders SET email = 'ana@else.example' WHERE id = 4;
UPDATE orders SET customer_no = 'c5' WHERE id = 2;
UPDATE orders SET customer_no = 'c6' WHERE id = 3;
SELECT * FROM content('orders') ORDER BY 1;
SELECT count(*) FROM crm.source_rejects;
SELECT source_key FROM id JOIN crm.touchpoints t USING (source_key) WHERE t.touchpoint_id <> id.touchpoint_id;
SELECT * FROM flaws();
SELECT * FROM differences('orders');
-- keys that change, and that swap places
ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD PRIMARY KEY (id) DEFERRABLE;
UPDATE orders SET id = CASE id WHEN 1 THEN 2 WHEN 2 THEN 1 WHEN 5 THEN 55 ELSE id END;
SELECT * FROM differences('orders');
-- in and out of what the mapping wants
UPDATE orders SET status = 'draft' WHERE id IN (4, 55);
INSERT INTO orders (id, customer_no, status, created_at) VALUES (7, 'c7', 'draft', '2026-03-01');
SELECT key FROM content('orders') ORDER BY 1;
UPDATE orders SET status = 'open' WHERE id IN (4, 7);
SELECT key FROM content('orders') ORDER BY 1;
SELECT * FROM flaws();
SELECT * FROM differences('orders');
-- a key that was used before: its evidence was retracted
DELETE FROM orders WHERE id = 1;
INSERT INTO orders (id, customer_no, email, created_at) VALUES (1, 'c8', 'new@example.com', '2026-04-01');
UPDATE orders SET email = 'ana@example.com' WHERE id = 1;
CALL crm.feed();
SELECT source_key ~ '#' AS numbered, retracted_at IS NULL AS holds FROM crm.evidence WHERE source_key ~ '^1(#|$)' ORDER BY source_key COLLATE "C";
SELECT * FROM flaws();
SELECT * FROM differences('orders');
-- what did not change costs nothing: no touchpoint is written
CREATE TEMP TABLE before AS SELECT tableoid AS part, ctid AS tid, xmin AS by FROM crm.touchpoints;
UPDATE orders SET note = 'x', email = upper(email);
SELECT count(*) FROM crm.touchpoints t LEFT JOIN before b ON b.part = t.tableoid AND b.tid = t.ctid AND b.by = t.xmin WHERE b.tid IS NULL;
-- INSERT ... ON CONFLICT, MERGE, COPY, and what is rolled back
INSERT INTO orders (id, customer_no, created_at) VALUES (8, 'c8', '2026-04-02'), (9, 'c9', '2026-04-03');
ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD PRIMARY KEY (id);
INSERT INTO orders (id, customer_no, total, created_at) VALUES (9, 'c9', 1, '2026-04-03'), (10, 'c9', 2, '2026-04-04') ON CONFLICT (id) DO UPDATE SET total = 99;
MERGE INTO orders o USING (VALUES (8), (9), (11)) v(id) ON o.id = v.id
WHEN MATCHED AND o.id = 8 THEN DELETE WHEN MATCHED THEN UPDATE SET total = 98
WHEN NOT MATCHED THEN INSERT (id, customer_no, total, created_at) VALUES (v.id, 'c10', 3, '2026-04-05');
COPY orders (id, customer_no, email, created_at) FROM stdin;
12	c11	copy@example.com	2026-04-06
13	c11	\N	2026-04-07
\.
BEGIN;
UPDATE orders SET customer_no = 'rolled back';
DELETE FROM orders;
ROLLBACK;
SELECT * FROM flaws();
SELECT * FROM differences('orders');
-- rows of which nothing can be made do not stop who writes them
INSERT INTO orders (id, customer_no, total, created_at) VALUES
    (20, 'c20', 1, '2026-05-01'), (21, 'c21', 'NaN', '2026-05-01'), (22, 'c22', 1, 'infinity'), (23, repeat('x', 3000), 1, '2026-05-01'),
    (24, 'c24', 1, '2026-05-01');
CALL crm.feed();
SELECT source_key, left(reason, 60) AS reason, sqlstate FROM crm.source_rejects ORDER BY 1;
UPDATE orders SET total = 2, created_at = '2026-05-02' WHERE id BETWEEN 20 AND 22;
UPDATE orders SET created_at = '-infinity' WHERE id = 24;
CALL crm.feed();
SELECT source_key, left(reason, 60) AS reason, sqlstate FROM crm.source_rejects ORDER BY 1;
SELECT * FROM differences('orders');
DELETE FROM orders WHERE id >= 20;
CALL crm.feed();
SELECT count(*) FROM crm.source_rejects;
-- and what is not the row's fault is kept until it can be fed
ALTER TABLE crm.touchpoints RENAME TO hidden;
INSERT INTO orders (id, customer_no, created_at) VALUES (30, 'c30', '2026-05-01');
SET client_min_messages = error;
CALL crm.feed();
SET client_min_messages = warning;
SELECT state, pending, last_error FROM crm.source_progress;
ALTER TABLE crm.hidden RENAME TO touchpoints;
DELETE FROM orders WHERE id = 30;
CALL crm.feed();
SELECT state, pending, last_error FROM crm.source_progress;
-- many rows
INSERT INTO orders (id, customer_no, email, total, created_at)
SELECT 1000 + i, 'm' || i % 700, CASE WHEN i % 7 = 0 THEN 'm' || i % 700 || '@example.com' END, i, '2026-01-01'::timestamptz + i * interval '1 hour'
FROM generate_series(1, 2500) i;
UPDATE orders SET total = total + 1, customer_no = CASE WHEN id % 100 = 0 THEN 'x' || id ELSE customer_no END WHERE id > 1000;
SELECT * FROM flaws();
SELECT count(*) FROM differences('orders');
DELETE FROM orders WHERE id > 2000;
TRUNCATE orders;
CALL crm.feed();
SELECT count(*) FROM crm.touchpoints;
SELECT * FROM flaws();
SELECT relation, state FROM crm.source_progress;

-- the table may change, and lose what the mapping uses: nobody who writes it is stopped
ALTER TABLE orders RENAME COLUMN total TO amount;
ALTER TABLE orders ALTER COLUMN customer_no TYPE varchar(10), ALTER COLUMN id TYPE bigint;
ALTER TABLE orders ADD COLUMN extra text DEFAULT 'e';
ALTER TABLE orders ALTER COLUMN note TYPE varchar(100);
ALTER TABLE orders DROP COLUMN note;
ALTER TABLE orders RENAME TO sales;
CREATE SCHEMA shop;
VACUUM FULL sales;
ALTER TABLE sales SET SCHEMA shop;
INSERT INTO shop.sales (id, customer_no, email, amount, created_at) VALUES (1, 'c1', 'a@example.com', 1, '2026-01-01'), (2, 'c1', NULL, 'NaN', '2026-01-01');
UPDATE shop.sales SET amount = amount + 1;
SELECT * FROM content('orders');
SELECT source_key, reason FROM crm.source_rejects;
SELECT * FROM crm.check_source('orders');
ALTER TABLE shop.sales RENAME COLUMN amount TO total;
ALTER TABLE shop.sales DROP COLUMN total;
INSERT INTO shop.sales (id, customer_no, created_at) VALUES (3, 'c1', '2026-01-01');
SET client_min_messages = error;
CALL crm.feed();
SET client_min_messages = warning;
SELECT state, pending, last_error FROM crm.source_progress;
\x on
SELECT r.state, r.message, r.hint FROM refused($$SELECT crm.check_source('orders')$$) r;
\x off
ALTER TABLE shop.sales ADD COLUMN total integer DEFAULT 7;
CALL crm.feed();
SELECT * FROM content('orders') ORDER BY 1;
SELECT state, pending, last_error FROM crm.source_progress;
SELECT * FROM crm.check_source('orders');
-- another mapping mends what the old one has told
SELECT crm.alter_source('orders', '{"occurred_at": "created_at", "channel": "''shop''", "action": "''sale''", "identifiers": {"crm": "customer_no"}}');
SELECT * FROM content('orders') ORDER BY 1;
SELECT * FROM crm.check_source('orders');
UPDATE shop.sales SET customer_no = 'c2' WHERE id = 3;
DELETE FROM shop.sales WHERE id = 1;
SELECT key, customer FROM content('orders') ORDER BY 1;
UPDATE crm.touchpoints SET action = 'x', value = 3 WHERE source_key = '2';
DELETE FROM crm.touchpoints WHERE source_key = '3';
INSERT INTO crm.touchpoints (identity_id, occurred_at, channel, action, source, source_key) SELECT min(identity_id), '2026-01-01', 'web', 'x', 'orders', '99' FROM crm.identities;
INSERT INTO crm.touchpoint_keys SELECT source, source_key, touchpoint_id, occurred_at FROM crm.touchpoints WHERE source_key = '99' ON CONFLICT DO NOTHING;
SELECT * FROM crm.check_source('orders');
SELECT crm.resync_source('orders'), crm.resync_source('orders');
SELECT * FROM crm.check_source('orders');
SELECT * FROM flaws();
SELECT crm.detach_source('orders', keep => false), crm.detach_source('orders'), crm.detach_source('orders', false);
SELECT count(*) FROM crm.touchpoints;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'shop.sales'::regclass;
SELECT count(*) FROM crm.evidence WHERE retracted_at IS NULL;
SELECT count(*) FROM crm.sources;
INSERT INTO shop.sales (id, customer_no, created_at) VALUES (4, 'c1', '2026-01-01');

-- several touchpoints of a row, backfill by and by, detach and keep
CREATE TABLE tickets (
    opened timestamptz NOT NULL, no integer NOT NULL, customer jsonb, closed timestamptz, subject text,
    slug text GENERATED ALWAYS AS (lower(subject)) STORED, PRIMARY KEY (opened, no)
);
INSERT INTO tickets SELECT '2026-01-01'::timestamptz + i * interval '1 h', i % 3, jsonb_build_object('mail', i % 100, 'phone', 9000 + i % 90),
                           CASE WHEN i % 2 = 0 THEN '2026-02-01'::timestamptz + i * interval '1 h' END, 'T' || i FROM generate_series(1, 1500) i;
SELECT crm.attach_source('tickets', '{"occurred_at": "opened", "channel": "''support''", "action": "''ticket.opened''", "direction": "''in''",
    "conversation": "slug", "identifiers": {"email": "customer ->> ''mail''", "phone": "(customer ->> ''phone'')::int + 1"},
    "attributes": "to_jsonb(tickets)"}', 'opened', backfill => false);
SELECT crm.attach_source('tickets', '{"occurred_at": "closed", "channel": "''support''", "action": "''ticket.closed''",
    "conversation": "slug", "identifiers": {"email": "customer ->> ''mail''"}, "where": "closed IS NOT NULL"}', 'closed', false);
SELECT source, state, rows_done, (percent IS NULL) = (coalesce(rows_estimated, 0) = 0) AS told FROM crm.source_progress ORDER BY 1;
INSERT INTO tickets VALUES ('2026-06-01', 1, '{"mail": "new"}');
UPDATE tickets SET subject = 'changed' WHERE subject = 'T10';
UPDATE tickets SET customer = customer WHERE subject = 'T11';
DELETE FROM tickets WHERE subject = 'T12';
CALL crm.feed();
SELECT source, count(*) FROM crm.touchpoints GROUP BY 1 ORDER BY 1;
CALL crm.backfill_source('opened');
CALL crm.backfill_source('closed');
CALL crm.backfill_source('closed');
SELECT source, state, rows_done, percent FROM crm.source_progress ORDER BY 1;
SELECT source, count(*), min(source_key) FROM crm.touchpoints GROUP BY 1 ORDER BY 1;
UPDATE tickets SET closed = '2026-07-01' WHERE closed IS NULL AND no = 1;
SELECT * FROM flaws();
SELECT count(*) FROM differences('opened');
SELECT crm.detach_source('closed');
SELECT source, state FROM crm.source_progress ORDER BY 1;
SELECT count(*) FROM crm.touchpoints WHERE source = 'closed';
DELETE FROM tickets WHERE no = 1;
CALL crm.feed();
SELECT count(*) FROM crm.touchpoints WHERE source = 'closed';
\x on
SELECT r.* FROM refused($$SELECT crm.attach_source('tickets', '{"occurred_at": "closed", "channel": "''x''", "action": "''x''", "identifiers": {"x": "no"}}', 'closed')$$) r;
\x off
SELECT crm.detach_source('closed', keep => false);
SELECT source, count(*) FROM crm.touchpoints GROUP BY 1 ORDER BY 1;
DROP TABLE tickets CASCADE;
SELECT source, state FROM crm.source_progress ORDER BY 1;
SELECT crm.detach_source('opened', keep => false);
SELECT count(*) FROM crm.touchpoints;
SELECT * FROM flaws();

-- partitions, with columns in another order, written through the table and by themselves
CREATE TABLE web (at timestamptz NOT NULL, id bigint NOT NULL, visitor text, page text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE web_1 PARTITION OF web FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE web_2 (page text, unkept int, visitor text, id bigint NOT NULL, at timestamptz NOT NULL) PARTITION BY RANGE (at);
ALTER TABLE web_2 DROP COLUMN unkept;
CREATE TABLE web_2a (visitor text, page text, at timestamptz NOT NULL, id bigint NOT NULL);
ALTER TABLE web_2 ATTACH PARTITION web_2a DEFAULT;
ALTER TABLE web ATTACH PARTITION web_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO web VALUES ('2026-01-01', 1, 'v1', 'home'), ('2026-02-01', 2, 'v1', 'shop');
SELECT crm.attach_source('web', '{"occurred_at": "at", "channel": "''web''", "action": "page", "identifiers": {"cookie": "visitor"}}');
INSERT INTO web VALUES ('2026-01-02', 3, 'v2', 'home'), ('2026-02-02', 4, 'v2', 'shop');
INSERT INTO web_1 VALUES ('2026-01-03', 5, 'v3', 'home');
INSERT INTO web_2 VALUES ('shop', 'v3', 6, '2026-02-03');
INSERT INTO web_2a VALUES ('v3', 'cart', '2026-02-04', 7);
UPDATE web_2a SET page = 'pay' WHERE id = 7;
UPDATE web SET at = at + interval '1 month' WHERE id = 3;
DELETE FROM web_2 WHERE id = 2;
SELECT * FROM content('web') ORDER BY 1;
SELECT * FROM differences('web');
-- a new partition with rows of its own
CREATE TABLE web_3 (LIKE web INCLUDING ALL);
INSERT INTO web_3 VALUES ('2026-03-01', 8, 'v4', 'home');
ALTER TABLE web ATTACH PARTITION web_3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
INSERT INTO web_3 VALUES ('2026-03-02', 9, 'v4', 'shop');
INSERT INTO web VALUES ('2026-03-03', 10, 'v4', 'cart');
SELECT state FROM crm.source_progress;
SELECT key FROM content('web') ORDER BY 1;
CALL crm.backfill_source('web');
SELECT state FROM crm.source_progress;
INSERT INTO web_3 VALUES ('2026-03-04', 11, 'v4', 'pay');
SELECT * FROM differences('web');
TRUNCATE web_2;
SELECT * FROM differences('web');
-- one that is detached is none of ours
ALTER TABLE web DETACH PARTITION web_3;
INSERT INTO web_3 VALUES ('2026-03-05', 12, 'v4', 'pay');
DELETE FROM web_3 WHERE id = 8;
SELECT key FROM content('web') ORDER BY 1;
DROP TABLE web_3;
TRUNCATE web;
CALL crm.feed();
SELECT count(*) FROM crm.touchpoints;
SELECT crm.detach_source('web', keep => false);
SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'web'::regclass;

-- Nobody is kept from touchpoints while history is attached, so it has no partitions then. A backfill that commits makes some
CREATE TABLE history (id integer PRIMARY KEY, who text, at timestamptz);
INSERT INTO history SELECT i, 'h' || i % 10, date_trunc('month', now()) - interval '14 months' + i * interval '1 hour' FROM generate_series(1, 1200) i;
BEGIN;
SELECT crm.attach_source('history', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"who": "who"}}');
SELECT count(*) FROM pg_locks JOIN pg_class c ON c.oid = relation
WHERE pid = pg_backend_pid() AND c.relnamespace = 'crm'::regnamespace AND c.relname ~ '^touchpoints' AND mode IN ('ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock');
ROLLBACK;
SELECT crm.attach_source('history', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"who": "who"}}', backfill => false);
CALL crm.backfill_source('history');
SELECT tableoid = 'crm.touchpoints_default'::regclass AS outside, count(*) FROM crm.touchpoints GROUP BY 1;
SELECT count(*) >= 2 AS made FROM crm.touchpoint_partitions() WHERE since < now() - interval '12 months';
SELECT rows_done, state FROM crm.source_progress WHERE source = 'history';
-- keys whose touchpoints went without them, with their partition
BEGIN;
DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE %s', min(tableoid)::regclass) FROM crm.touchpoints); END $$;
SELECT count(*) FROM crm.touchpoint_keys;
SET LOCAL statement_timeout = '1h';
DELETE FROM history WHERE id = 1;
SELECT crm.feed_here() > 0 AS fed;
SELECT count(*) FROM crm.touchpoint_keys;
TRUNCATE history;
SELECT crm.feed_here() > 0 AS fed;
SELECT count(*) FROM crm.touchpoint_keys;
ROLLBACK;
SELECT crm.detach_source('history', keep => NULL), count(*) FROM crm.touchpoints;
SELECT crm.detach_source('history', keep => false);
-- it is an application's fault, not a row's, that its triggers are nested too deep
SELECT state, crm.is_row_error(state) FROM unnest('{54000,54001,54023}'::text[]) state;
-- who may not read a table does not lock it
CREATE ROLE regress_attach_nobody;
SET ROLE regress_attach_nobody;
SELECT state, message FROM refused($$SELECT journey_row_expression('{history}', '{h}', 'id')$$);
RESET ROLE;
DROP ROLE regress_attach_nobody;

-- functions in a mapping look for names where attach_source was called, though the hub has some of these
CREATE SCHEMA names;
SET search_path = "$user", names, pg_temp, public;
CREATE TABLE customers (no integer PRIMARY KEY, email text);
INSERT INTO customers VALUES (1, 'ana@example.com'), (2, NULL);
CREATE FUNCTION mail_of(no integer) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT c.email FROM customers c WHERE c.no = mail_of.no); END $$;
CREATE FUNCTION known(no integer) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM customers c WHERE c.no = known.no); END $$;
CREATE TABLE calls (id integer PRIMARY KEY, customer integer, at timestamptz DEFAULT '2026-01-01');
INSERT INTO calls VALUES (1, 1);
SELECT crm.attach_source('calls', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "where": "known(customer)",
    "identifiers": {"email": "mail_of(customer)", "crm": "customer"}}');
RESET search_path;
INSERT INTO names.calls VALUES (2, 2), (3, 3);
UPDATE names.calls SET customer = 1 WHERE id = 3;
SELECT * FROM content('calls') ORDER BY 1;
SELECT crm.detach_source('calls', keep => false);

-- what is refused
CREATE TABLE plain (id integer PRIMARY KEY, ref integer UNIQUE, at timestamptz, local timestamp, who text, amount money, ok boolean);
CREATE TABLE keyless (id integer, no integer NOT NULL, at timestamptz, who text);
INSERT INTO keyless VALUES (1, 1, now(), 'x'), (1, 1, now(), 'y');
CREATE VIEW viewed AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW materialized AS SELECT * FROM plain;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE elsewhere (id integer) SERVER nowhere;
CREATE TEMP TABLE passing (id integer PRIMARY KEY);
CREATE TABLE parent (id integer);
CREATE TABLE heir () INHERITS (parent);
CREATE SEQUENCE numbers;
CREATE FUNCTION volatile_text(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION mapping(more text DEFAULT '', less text DEFAULT '') RETURNS json LANGUAGE sql AS $$
    SELECT (jsonb_build_object('occurred_at', 'at', 'channel', '''x''', 'action', '''x''', 'identifiers', '{"who": "who"}'::jsonb) - less
            || ('{' || more || '}')::jsonb)::json $$;
\x on
SELECT query, r.* FROM (VALUES
    ($$SELECT crm.attach_source(NULL, mapping())$$),
    ($$SELECT crm.attach_source('plain', NULL)$$),
    ($$SELECT crm.attach_source('plain', '[]')$$),
    ($$SELECT crm.attach_source('plain', mapping(), '')$$),
    ($$SELECT crm.attach_source('plain', mapping('"colour": "1"'))$$),
    ($$SELECT crm.attach_source('plain', '{"channel": "who", "channel": "who"}')$$),
    ($$SELECT crm.attach_source('plain', mapping('"channel": 1'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"identifiers": "who"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"identifiers": {}'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"identifiers": {"who": null}'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"identifiers": {"": "who"}'))$$),
    ($$SELECT crm.attach_source('plain', mapping(less => 'occurred_at'))$$),
    ($$SELECT crm.attach_source('plain', mapping(less => 'identifiers'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "qqqqqq"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "id +"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "id), (ref"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "id; DROP TABLE plain"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "id FROM plain"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "(SELECT 1)"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "sum(id)"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "row_number() OVER ()"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "generate_series(1, id)"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "id /*"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "*"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"value": "who"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"occurred_at": "local"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"where": "id"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"attributes": "who"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"action": "volatile_text(who)"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"action": "ctid"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"key": "ref"'))$$),
    ($$SELECT crm.attach_source('plain', mapping('"key": "''x''"'))$$),
    ($$SELECT crm.attach_source('keyless', mapping())$$),
    ($$SELECT crm.attach_source('keyless', mapping('"key": "no"'))$$),
    ($$SELECT crm.attach_source('viewed', mapping())$$),
    ($$SELECT crm.attach_source('materialized', mapping())$$),
    ($$SELECT crm.attach_source('elsewhere', mapping())$$),
    ($$SELECT crm.attach_source('passing', mapping())$$),
    ($$SELECT crm.attach_source('parent', mapping())$$),
    ($$SELECT crm.attach_source('heir', mapping())$$),
    ($$SELECT crm.attach_source('numbers', mapping())$$),
    ($$SELECT crm.attach_source('web_1', mapping())$$),
    ($$SELECT crm.attach_source('pg_class', mapping())$$),
    ($$SELECT crm.attach_source('crm.channels', mapping())$$),
    ($$CALL crm.backfill_source('nothing')$$)
) v(query), refused(query) r;
\x off
SELECT count(*) FROM crm.sources;
SELECT crm.attach_source('plain', mapping('"value": "amount"'));
\x on
SELECT r.* FROM refused($$SELECT crm.attach_source('plain', mapping())$$) r;
SELECT crm.record('{a:1}', '2026-01-01', 'web', 'view', source => 'app', source_key => '1') > 0 AS recorded;
SELECT r.* FROM refused($$SELECT crm.attach_source('plain', mapping(), 'app')$$) r;
SELECT crm.detach_source('app', keep => false), count(*) FROM crm.touchpoints;
\x off
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT r.state, r.message FROM refused($$SELECT crm.attach_source('plain', mapping(), 'again')$$) r;
COMMIT;
SELECT crm.attach_source('plain', mapping(), 'again');
INSERT INTO plain (id, at, who) VALUES (1, '2026-01-01', 'x');
TRUNCATE plain;
SELECT crm.detach_source('plain', false), crm.detach_source('again', false);

-- odd names, the caller's search_path, and a source whose name is too long for a trigger
CREATE SCHEMA "My ""Shop""";
SET search_path = "My ""Shop""", public;
CREATE FUNCTION clean(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT trim($1) $$;
CREATE TABLE "Or'der %s" ("Id no" integer PRIMARY KEY, "user" text, "select" timestamptz, "Total ""x""" numeric, "Or'der %s" text);
SELECT "it's $$ %I \ hub".attach_source('"Or''der %s"', '{"occurred_at": "select", "channel": "Or''der %s", "action": "clean(\"user\")",
    "value": "Total \"x\"", "identifiers": {"größe": "user"}, "attributes": "jsonb_build_object(''$$ @columns@ %s'', \"Id no\")"}', source => s)
FROM unnest(ARRAY['it''s "%s" $$', repeat('long', 30)]) s;
RESET search_path;
INSERT INTO "My ""Shop"""."Or'der %s" VALUES (1, ' u1 ', '2026-01-01', 5, 'c1'), (2, 'u2', '2026-01-02', NULL, 'c2');
UPDATE "My ""Shop"""."Or'der %s" SET "Or'der %s" = 'c3';
DELETE FROM "My ""Shop"""."Or'der %s" WHERE "Id no" = 2;
SELECT source_key, left(source, 12) AS source, channel, action, value, attributes FROM "it's $$ %I \ hub".touchpoints ORDER BY 2;
SELECT left(source, 12) AS source, "it's $$ %I \ hub".detach_source(source) FROM "it's $$ %I \ hub".sources ORDER BY 1;
SELECT count(*) FROM pg_trigger WHERE tgrelid = '"My ""Shop"""."Or''der %s"'::regclass;
DROP TABLE "My ""Shop"""."Or'der %s";
SELECT journey_drop_hub('it''s $$ %I \ hub', true);

-- anew: who has planned much, makes and drops hubs slowly
\c -
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET timezone = 'UTC';
-- another owner, and roles that may write the table but not the hub
CREATE ROLE regress_attach_owner;
CREATE ROLE regress_attach_clerk;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_attach_owner', current_database()); END $$;
SET ROLE regress_attach_owner;
SELECT journey_create_hub('owned');
CREATE SCHEMA owned_shop;
CREATE TABLE owned_shop.orders (id integer PRIMARY KEY, who text, at timestamptz DEFAULT '2026-01-01');
GRANT USAGE ON SCHEMA owned_shop TO regress_attach_clerk;
GRANT INSERT, SELECT ON owned_shop.orders TO regress_attach_clerk;
INSERT INTO owned_shop.orders VALUES (1, 'a');
SELECT owned.attach_source('owned_shop.orders', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"who": "who"}}');
SET ROLE regress_attach_clerk;
INSERT INTO owned_shop.orders VALUES (2, 'b');
SET ROLE regress_attach_owner;
UPDATE owned_shop.orders SET who = 'c' WHERE id = 1;
CALL owned.feed();
SELECT source_key, owned.identifiers_of(customer_id) FROM owned.timeline ORDER BY 1;
SELECT owned.detach_source('orders');
-- with feed immediate they need it
SELECT owned.attach_source('owned_shop.orders', '{"occurred_at": "at", "channel": "''x''", "action": "''y''", "identifiers": {"who": "who"}}', 'again',
                           feed => 'immediate');
SET ROLE regress_attach_clerk;
\x on
SELECT r.* FROM refused($$INSERT INTO owned_shop.orders VALUES (3, 'd')$$) r;
\x off
SET ROLE regress_attach_owner;
SELECT owned.grant_access('regress_attach_clerk', 'writer');
SET ROLE regress_attach_clerk;
INSERT INTO owned_shop.orders VALUES (3, 'd');
SET ROLE regress_attach_owner;
SELECT source_key FROM owned.touchpoints WHERE source = 'again' ORDER BY 1;
-- a hub that goes takes its triggers along
SELECT journey_drop_hub('owned', true);
INSERT INTO owned_shop.orders VALUES (4, 'b');
RESET ROLE;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'owned_shop.orders'::regclass;
DROP SCHEMA owned_shop CASCADE;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_attach_owner', current_database()); END $$;
DROP ROLE regress_attach_owner, regress_attach_clerk;
-- the database is other tests' too
\c -
SET client_min_messages = warning;
SELECT journey_drop_hub('crm', true), journey_drop_hub('fresh', true);
DROP FOREIGN DATA WRAPPER nowhere CASCADE;
DROP SCHEMA shop, names, "My ""Shop""" CASCADE;
DROP TABLE IF EXISTS orders, tickets, web, history, plain, keyless, passing, heir, parent CASCADE;
DROP SEQUENCE numbers;
DROP FUNCTION refused, content, flaws, differences, volatile_text, mapping;
DROP FUNCTION IF EXISTS clean;
