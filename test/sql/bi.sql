-- What BI tools send: which rows are read for it. Numbers are worked out in the comments.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SELECT journey_create_hub('crm');
-- 8,000 identities of 6,000 customers, every third of which has two; 8 touchpoints each, one in 6 days in turn in web,
-- app and store; a quarter of the identities is in conversation with an agent.
CREATE TABLE crm.touchpoints_2025_01 PARTITION OF crm.touchpoints FOR VALUES FROM ('2025-01-01Z') TO ('2025-02-01Z');
CREATE TABLE crm.touchpoints_2025_02 PARTITION OF crm.touchpoints FOR VALUES FROM ('2025-02-01Z') TO ('2025-03-01Z');
INSERT INTO crm.identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
SELECT n, identifier('n', n::text), n, CASE WHEN n % 4 = 0 THEN n - 1 ELSE n END, '2025-01-01Z', '2025-01-01Z', '2025-01-01Z'
FROM generate_series(1, 8000) n;
INSERT INTO crm.customers (customer_id, identities) SELECT customer_id, count(*) FROM crm.identities GROUP BY customer_id;
INSERT INTO crm.touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, direction, conversation, agent, value, currency)
SELECT n, 1 + n % 8000, '2025-01-01Z'::timestamptz + n * interval '70 seconds', (ARRAY['web', 'app', 'store'])[1 + n / 8000 % 3], 'view', 'in',
       CASE WHEN n % 4 = 0 THEN 'c' || n % 8000 END, CASE WHEN n % 4 = 0 THEN 'marta' END, CASE WHEN n % 40 = 0 THEN 1 END, CASE WHEN n % 40 = 0 THEN 'EUR' END
FROM generate_series(0, 63999) n;
UPDATE crm.settings SET handoff_within = '10 days';
SELECT crm.refresh(rebuild => true);
VACUUM ANALYZE crm.touchpoints, crm.identities, crm.customers, crm.customer_journeys, crm.journey_changes, crm.settings, crm.actions, crm.channels;
\getenv tests PG_ABS_SRCDIR
\set reads :tests '/sql/include/reads.sql'
\i :reads

-- A segment of three customers: 10, 11 (with identity 12) and 21, with 32 touchpoints: each is read once. 8 of them are in
-- conversations, and the own one before is read for 7 of these: 39. Hand-offs are 7 of each customer, 7 of which are.
CREATE TABLE members (customer_id bigint PRIMARY KEY, segment text NOT NULL);
INSERT INTO members SELECT n, 'other' FROM generate_series(101, 400) n;
INSERT INTO members VALUES (10, 'gold'), (11, 'gold'), (21, 'gold');
CREATE TABLE days AS SELECT day, month_start FROM crm.dim_days;  -- as it is imported
VACUUM ANALYZE members, days;
CREATE TEMP TABLE facts (view text, at text);
INSERT INTO facts VALUES ('timeline', 'occurred_at'), ('visits', 'started_at'), ('sessions', 'started_at'), ('handoffs', 'occurred_at');
CREATE TEMP TABLE shape (n int, tool text, query text);
INSERT INTO shape VALUES
    (1, 'a star', $$SELECT t.* FROM crm.%1$I t JOIN members m ON m.customer_id = t.customer_id WHERE m.segment = 'gold'$$),
    (2, 'a star, Power BI', $$select "$Outer"."local_day", "$Inner"."segment", count(*) as "a0"
        from (select "$Table"."customer_id", "$Table"."local_day", "$Table"."%2$s" from "crm"."%1$s" "$Table") "$Outer"
             left outer join (select "_"."customer_id" as "id", "_"."segment" from "public"."members" "_") "$Inner" on "$Outer"."customer_id" = "$Inner"."id"
        where "$Inner"."segment" = 'gold' group by "$Outer"."local_day", "$Inner"."segment" limit 1000001$$),
    (3, 'a star of several', $$SELECT d.month_start, m.segment, count(*) FROM crm.%1$I t JOIN days d ON d.day = t.local_day
        JOIN crm.customers c ON c.customer_id = t.customer_id JOIN members m ON m.customer_id = t.customer_id WHERE m.segment = 'gold' GROUP BY 1, 2$$),
    (4, 'IN', $$SELECT * FROM crm.%1$I WHERE customer_id IN (SELECT m.customer_id FROM members m WHERE m.segment = 'gold')$$),
    (5, 'EXISTS', $$SELECT * FROM crm.%1$I t WHERE EXISTS (SELECT FROM members m WHERE m.customer_id = t.customer_id AND m.segment = 'gold')$$),
    (6, 'IN, Metabase', $$SELECT DATE_TRUNC('month', "source"."%2$s") AS "%2$s", COUNT(*) AS "count"
        FROM (SELECT "crm"."%1$s"."customer_id" AS "customer_id", "crm"."%1$s"."%2$s" AS "%2$s" FROM "crm"."%1$s"
              WHERE "crm"."%1$s"."customer_id" IN (SELECT "public"."members"."customer_id" FROM "public"."members" WHERE "public"."members"."segment" = 'gold')) AS "source"
        GROUP BY DATE_TRUNC('month', "source"."%2$s") ORDER BY DATE_TRUNC('month', "source"."%2$s") ASC$$),
    (7, 'LATERAL', $$SELECT t.* FROM members m, LATERAL crm.%1$s_of(m.customer_id) t WHERE m.segment = 'gold'$$),
    (8, 'one customer, nested', $$select "_"."customer_id", "_"."%2$s" from (select "r"."customer_id", "r"."%2$s" from (select * from crm.%1$I) "r"
        where "r"."%2$s" >= '2025-01-02') "_" where "_"."customer_id" = 21$$),
    (9, 'one customer, in order', $$SELECT * FROM crm.%1$I WHERE customer_id = 21 ORDER BY %2$I DESC LIMIT 5$$);
SELECT s.n, s.tool, f.view, r.*
FROM shape s CROSS JOIN facts f CROSS JOIN LATERAL reads(format(s.query, f.view, f.at)) r ORDER BY s.n, f.view;

-- prepared, with a plan for the values and with one for any, the former after five times
CREATE FUNCTION prepared_reads(view text, at text, mode text) RETURNS TABLE (rows bigint, walked bigint, touchpoints bigint, flaws text)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('plan_cache_mode', mode, true);
    EXECUTE format('PREPARE one(bigint, timestamptz) AS SELECT t.* FROM crm.%I t WHERE t.customer_id = $1 AND t.%I >= $2', view, at);
    EXECUTE format('PREPARE several(text) AS SELECT t.* FROM crm.%I t JOIN members m ON m.customer_id = t.customer_id WHERE m.segment = $1', view);
    FOR n IN 1..7 LOOP
        RETURN QUERY SELECT r.* FROM reads($q$EXECUTE one(21, '2025-01-02')$q$) r UNION ALL SELECT r.* FROM reads($q$EXECUTE several('gold')$q$) r;
    END LOOP;
    DEALLOCATE one;
    DEALLOCATE several;
END $$;
SELECT f.view, m.mode, r.*, count(*) AS times
FROM facts f CROSS JOIN (VALUES ('auto'), ('force_custom_plan'), ('force_generic_plan')) m(mode) CROSS JOIN LATERAL prepared_reads(f.view, f.at, m.mode) r
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3;
RESET plan_cache_mode;

-- A day: all journeys are walked, but no touchpoint is read that is not in it, nor visit or session that it does not begin.
SELECT f.view, r.* FROM facts f CROSS JOIN LATERAL reads(format($$SELECT * FROM crm.%I WHERE %I BETWEEN '2025-02-01' AND '2025-02-02'$$, f.view, f.at)) r ORDER BY 1;
SELECT f.view, r.* FROM facts f
CROSS JOIN LATERAL reads(format($$SELECT channel, count(*) FROM (SELECT * FROM crm.%I) AS virtual_table
    WHERE %I >= TO_TIMESTAMP('2025-02-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') AND %2$I < TO_TIMESTAMP('2025-02-02 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
    GROUP BY channel ORDER BY count(*) DESC LIMIT 1000$$, f.view, f.at)) r
WHERE f.view IN ('timeline', 'visits') ORDER BY 1;
-- the first thousand stop when there are as many: a customer has 8 or 16 touchpoints, in at most 4 sessions an identity
SELECT f.view, r.rows, r.walked <= 1000 AS stops, r.touchpoints <= 2100 AS reads_few, r.flaws FROM facts f CROSS JOIN LATERAL reads(format('SELECT * FROM crm.%I LIMIT 1000', f.view)) r ORDER BY 1;
-- how many there are: each touchpoint once where touchpoints have a say in it, else none
SELECT f.view, n.count, r.* FROM facts f CROSS JOIN LATERAL reads(format('SELECT count(*) FROM crm.%I', f.view)) r
    CROSS JOIN LATERAL (SELECT (xpath('//n/text()', query_to_xml(format('SELECT count(*) AS n FROM crm.%I', f.view), true, true, '')))[1]::text::bigint AS count) n ORDER BY 1;

-- customer_360: a customer by number, by identifier, prepared, and several by LATERAL; timeline by other ways
CREATE TEMP VIEW few AS
SELECT q.n, r.rows, r.walked, r.touchpoints <= 40 * r.rows AS reads_few, r.flaws ~ 'all customers' AS reads_all
FROM (VALUES (1, 'SELECT * FROM crm.customer_360 WHERE customer_id = 21'),
             (2, $$SELECT * FROM crm.customer_360 WHERE customer_id = crm.customer_of('n:21')$$),
             (3, 'SELECT * FROM crm.customer_360 WHERE customer_id = (SELECT crm.current_customer(21))'),
             (4, 'SELECT l.* FROM members m, LATERAL crm.customer_360_of(m.customer_id) l WHERE m.segment = $$gold$$'),
             (5, 'SELECT * FROM crm.timeline WHERE customer_id = (SELECT crm.current_customer(21))'),
             (6, 'SELECT * FROM crm.timeline_row(64)'),
             (7, 'SELECT l.* FROM unnest(ARRAY[64, 65]) id, LATERAL crm.timeline_row(id) l')) q(n, query)
     CROSS JOIN LATERAL reads(q.query) r;
SELECT * FROM few ORDER BY n;
SET plan_cache_mode = force_generic_plan;
PREPARE one(bigint) AS SELECT * FROM crm.customer_360 WHERE customer_id = $1;
SELECT rows, walked, touchpoints <= 40 AS reads_few, flaws ~ 'all customers' AS reads_all FROM reads('EXECUTE one(21)');
DEALLOCATE one;
RESET plan_cache_mode;

-- One customer of 100,000 touchpoints: the work grows as they do. Each has an own one before that is of the same
-- conversation, and is read for that: twice as many, but for the first.
INSERT INTO crm.identities (identity_id, identifier, normal_id, customer_id, member_since)
SELECT n, identifier('n', n::text), n, n, '2025-01-01Z' FROM generate_series(8001, 8002) n;
INSERT INTO crm.customers (customer_id, identities) VALUES (8001, 1), (8002, 1);
INSERT INTO crm.touchpoints (identity_id, occurred_at, channel, action, direction, conversation)
SELECT CASE WHEN n <= 1000 THEN 8001 ELSE 8002 END, '2025-02-10Z'::timestamptz + n % 2000 * interval '1 minute',
       (ARRAY['web', 'app'])[1 + n % 2], 'view', 'in', 'long'
FROM generate_series(1, 101000) n;
SELECT crm.refresh() > 0 AS refreshed;
SELECT c.customer_id, f.view, r.* FROM facts f CROSS JOIN (VALUES (8001), (8002)) c(customer_id)
    CROSS JOIN LATERAL reads(format('SELECT * FROM crm.%I WHERE customer_id = %s', f.view, c.customer_id)) r ORDER BY 1, 2;

-- Under row-level security, where touchpoints have policies and journeys have none, and where all have: it is the same.
-- What may not be seen is not there: 21's touchpoints are of store, web, app in turn, and nothing is another tenant's.
CREATE ROLE regress_bi_tenant;
GRANT SELECT ON facts, members TO regress_bi_tenant;
SELECT crm.grant_access('regress_bi_tenant');
ALTER TABLE crm.touchpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON crm.touchpoints FOR SELECT USING (source = current_setting('app.tenant') AND channel <> 'app');
SET app.tenant = 'sql';
SET ROLE regress_bi_tenant;
SELECT f.view, r.rows, r.walked, r.flaws FROM facts f CROSS JOIN LATERAL
    reads(format($$SELECT t.* FROM crm.%I t JOIN members m ON m.customer_id = t.customer_id WHERE m.segment = 'gold'$$, f.view)) r ORDER BY 1;
SELECT visit, channel, started_at, came_from, left_to FROM crm.visits WHERE customer_id = 21 ORDER BY visit;
SELECT visit, from_channel, to_channel, occurred_at FROM crm.handoffs WHERE customer_id = 21 ORDER BY visit;
SELECT session, channels, touchpoints FROM crm.sessions WHERE customer_id = 21 ORDER BY session;
SELECT touchpoints, visits, handoffs, channels, identifiers, identifier_texts FROM crm.customer_360_of(21);
SET app.tenant = 'another';
SELECT f.view, r.rows FROM facts f CROSS JOIN LATERAL reads(format('SELECT * FROM crm.%I', f.view)) r ORDER BY 1;
RESET ROLE;
ALTER TABLE crm.customer_journeys ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON crm.customer_journeys FOR SELECT USING (customer_id = 21);
ALTER TABLE crm.journey_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON crm.journey_changes FOR SELECT USING (true);
SET app.tenant = 'sql';
SET ROLE regress_bi_tenant;
SELECT f.view, r.rows, r.walked, r.touchpoints, r.flaws FROM facts f CROSS JOIN LATERAL
    reads(format($$SELECT t.* FROM crm.%I t JOIN members m ON m.customer_id = t.customer_id WHERE m.segment = 'gold'$$, f.view)) r ORDER BY 1;
RESET ROLE;
ALTER TABLE crm.customer_journeys DISABLE ROW LEVEL SECURITY;
ALTER TABLE crm.journey_changes DISABLE ROW LEVEL SECURITY;
ALTER TABLE crm.touchpoints DISABLE ROW LEVEL SECURITY;
DROP OWNED BY regress_bi_tenant;
DROP ROLE regress_bi_tenant;

-- all at once, and a range: the same rows by one join
SELECT count(*) FROM (SELECT * FROM crm.timeline EXCEPT ALL SELECT * FROM crm.timeline_between()) d;
SELECT count(*), count(*) FILTER (WHERE b.touchpoint_id IS NULL) AS missing
FROM (SELECT * FROM crm.timeline t WHERE t.occurred_at >= '2025-01-10' AND t.occurred_at < '2025-02-10') t
     LEFT JOIN crm.timeline_between('2025-01-10', '2025-02-10') b ON b.touchpoint_id = t.touchpoint_id AND b.session = t.session;
-- that join compares no row with every other
CREATE FUNCTION pg_temp.loops(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN (SELECT count(*) FROM jsonb_path_query(plan, 'strict $.** ? (@."Node Type" == "Nested Loop" && exists (@."Join Filter"))'));
END $$;
SELECT pg_temp.loops($$SELECT * FROM crm.timeline t LEFT JOIN crm.timeline_between('2025-01-10', '2025-02-10') b ON b.touchpoint_id = t.touchpoint_id AND b.session = t.session
                       WHERE t.occurred_at >= '2025-01-10' AND t.occurred_at < '2025-02-10'$$) AS loops;
SELECT * FROM crm.timeline_between('2025-02-10', '2025-01-10');

-- what is pending is there at once, and a join still goes by index
SELECT crm.record('{n:21}', '2025-02-25 12:00Z', 'phone', 'call', direction => 'in') > 0 AS recorded;
SELECT f.view, r.rows, r.walked, r.flaws FROM facts f CROSS JOIN LATERAL
    reads(format($$SELECT t.* FROM crm.%I t JOIN members m ON m.customer_id = t.customer_id WHERE m.segment = 'gold'$$, f.view)) r ORDER BY 1;
DROP TABLE members, days;
DROP FUNCTION reads CASCADE;
SELECT journey_drop_hub('crm', true);
