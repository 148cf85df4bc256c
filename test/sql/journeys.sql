-- Packed journeys of customers: customer_journeys, journey_blocks, journey_changes, refresh, current_journeys, current_blocks.
SET client_min_messages = warning;
SELECT journey_create_hub('crm');
SET search_path = crm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO';
UPDATE settings SET future_within = NULL;

-- what they should be, asked the plain way
CREATE VIEW truth AS
SELECT i.customer_id,
       journey_agg(t.occurred_at, t.channel, t.action,
                   CASE WHEN coalesce(t.currency, s.currency, '') = coalesce(s.currency, '') THEN t.value END, t.touchpoint_id,
                   CASE WHEN t.direction = 'out' AND (t.agent = 'bot' OR t.agent LIKE 'bot:%') THEN 'bot'
                        ELSE t.direction END) AS journey
FROM touchpoints t JOIN identities i USING (identity_id) CROSS JOIN settings s GROUP BY i.customer_id;
-- who spoke: outbound by a bot is the bot's, what a bot has to do with otherwise is not
SELECT d, a, packed_detail(d, a)
FROM unnest('{in,out,NULL}'::text[]) WITH ORDINALITY x(d, m),
     unnest('{bot,bot:,bot:x,Bot,bots,"a bot",Rita,"",NULL}'::text[]) WITH ORDINALITY y(a, n)
WHERE d = 'out' OR a = 'bot' OR a IS NULL ORDER BY m, n;
CREATE VIEW current_in_blocks AS
SELECT u.customer AS customer_id, u.journey FROM current_blocks b, unnest(b.block) u;
-- a customer in a row that is not for it is none
CREATE VIEW stored_in_blocks AS
SELECT u.customer AS customer_id, u.journey
FROM (SELECT b.first_customer, b.block, b.newer, b.gone, lead(b.first_customer) OVER (ORDER BY b.first_customer) AS next FROM journey_blocks b) b,
     unnest(journey_block_without(coalesce(journey_block_merge(b.block, b.newer), b.block), coalesce(b.gone, '{}'))) u
WHERE u.customer >= b.first_customer AND (b.next IS NULL OR u.customer < b.next);
-- into many rows, as if journeys were large
CREATE FUNCTION cut(bytes integer) RETURNS bigint LANGUAGE sql AS $$
    WITH former AS (DELETE FROM journey_blocks b RETURNING b.first_customer, journey_block_without(coalesce(journey_block_merge(b.block, b.newer), b.block), coalesce(b.gone, '{}')) AS block),
    pieces AS (
        INSERT INTO journey_blocks (first_customer, block)
        SELECT CASE p.number WHEN 1 THEN f.first_customer ELSE (journey_block_customers(p.piece))[1] END, p.piece
        FROM former f, journey_block_split(f.block, bytes) WITH ORDINALITY p(piece, number)
        RETURNING 1)
    SELECT count(*) FROM pieces
$$;
CREATE FUNCTION flaws(what text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((TABLE truth EXCEPT ALL SELECT customer_id, journey FROM %1$I)
                                           UNION ALL (SELECT customer_id, journey FROM %1$I EXCEPT ALL TABLE truth)) d', what) INTO n;
    RETURN n;
END $$;

-- each kind of change, by itself: the view is right at once, refresh() makes the table so
CREATE FUNCTION tried(query text, OUT kept bigint, OUT changes bigint, OUT current_flaws bigint,
                      OUT by_customer_flaws bigint, OUT in_blocks bigint, OUT refreshed bigint, OUT flaws bigint,
                      OUT again bigint)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    changes := (SELECT count(*) FROM journey_changes);
    current_flaws := flaws('current_journeys');
    by_customer_flaws := flaws('journeys_by_customer');
    in_blocks := flaws('current_in_blocks');
    refreshed := refresh();
    flaws := flaws('customer_journeys') + flaws('stored_in_blocks') + flaws('current_in_blocks');
    again := refresh();
    kept := (SELECT count(*) FROM customer_journeys);
END $$;
SELECT * FROM tried($$SELECT$$);
SELECT * FROM tried($$SELECT record('{c:1}', '2026-11-01 10:00Z', 'web', 'view')$$);
SELECT * FROM tried($$SELECT record('{c:1}', '2026-11-01 09:00Z', 'web', 'search', 1.5)$$);
SELECT * FROM tried($$SELECT record('{c:1,u:1}', '2026-11-01 11:00Z', 'web', 'login', source => 'sql', source_key => '1')$$);
SELECT * FROM tried($$SELECT record_many(array_agg((ARRAY[('c:' || n)::identifier], '2026-11-02Z'::timestamptz + n * interval '1 h', 'app', 'open', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event)) FROM generate_series(2, 9) n$$);
SELECT * FROM tried($$SELECT identify('{c:10}')$$);
SELECT * FROM tried($$SELECT link('c:2', 'u:1', source => 'sql', source_key => '2')$$);
SELECT * FROM tried($$SELECT link('c:10', 'c:3')$$);
SELECT * FROM tried($$SELECT link('c:11', 'c:3')$$);
SELECT * FROM tried($$SELECT retract('sql', '1')$$);
SELECT * FROM tried($$SELECT cannot_link('c:10', 'c:3')$$);
SELECT * FROM tried($$SELECT must_link('c:4', 'c:5')$$);
SELECT * FROM tried($$SELECT clear_pair('c:4', 'c:5')$$);
SELECT * FROM tried($$SELECT set_rule('c', max_per_customer => 1)$$);
SELECT * FROM tried($$SELECT drop_rule('c')$$);
SELECT * FROM tried($$UPDATE touchpoints SET value = 7 WHERE touchpoint_id = 1$$);
SELECT * FROM tried($$UPDATE touchpoints SET currency = 'jpy' WHERE touchpoint_id = 1$$);
SELECT * FROM tried($$UPDATE settings SET currency = 'JPY'$$);
SELECT * FROM tried($$UPDATE settings SET currency = NULL$$);
SELECT * FROM tried($$UPDATE settings SET currency = 'EUR'$$);
SELECT * FROM tried($$UPDATE touchpoints SET agent = 'Ana'$$);
SELECT * FROM tried($$UPDATE touchpoints SET direction = 'in' WHERE touchpoint_id = 1$$);
SELECT * FROM tried($$UPDATE touchpoints SET agent = 'bot' WHERE touchpoint_id = 1$$);
SELECT * FROM tried($$UPDATE touchpoints SET direction = 'out' WHERE touchpoint_id = 1$$);
SELECT * FROM tried($$UPDATE touchpoints SET agent = 'bot:hello' WHERE touchpoint_id = 1$$);
SELECT * FROM tried($$UPDATE touchpoints SET agent = 'Rita' WHERE touchpoint_id = 1$$);
SELECT * FROM tried($$UPDATE touchpoints SET direction = NULL WHERE touchpoint_id = 1$$);
SELECT * FROM tried($$SELECT record('{c:1}', '2026-11-01 12:00Z', 'chat', 'message', direction => 'out', agent => 'bot:hello')$$);
SELECT * FROM tried($$UPDATE touchpoints SET occurred_at = occurred_at - interval '1 year' WHERE touchpoint_id = 2$$);
SELECT * FROM tried($$UPDATE touchpoints SET identity_id = (SELECT identity_id FROM identities WHERE identifier = 'c:9') WHERE touchpoint_id = 1$$);
SELECT * FROM tried($$DELETE FROM touchpoints WHERE touchpoint_id = 3$$);
SELECT * FROM tried($$DELETE FROM touchpoints t USING identities i WHERE i.identity_id = t.identity_id AND i.identifier = 'c:9'$$);
SELECT * FROM tried($$SELECT make_partitions(since => '2025-06-01Z')$$);
SELECT * FROM tried($$TRUNCATE touchpoints$$);
SELECT count(*) FROM touchpoint_keys;

-- all kinds, at random, with a refresh now and then: thousands of queries too small for workers
SET max_parallel_workers_per_gather = 0;
CREATE FUNCTION muddle(rounds integer, dice integer, people integer, OUT refreshes bigint, OUT compared bigint, OUT details bigint,
                       OUT newer bigint, OUT gone bigint, OUT current_flaws bigint, OUT by_customer_flaws bigint,
                       OUT in_blocks bigint, OUT flaws bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    a identifier;
    b identifier;
BEGIN
    refreshes := 0; compared := 0; details := 0; current_flaws := 0; by_customer_flaws := 0; flaws := 0;
    newer := 0; gone := 0; in_blocks := 0;
    PERFORM setseed(dice / 1000.0);
    FOR n IN 1 .. rounds LOOP
        a := 'c:' || floor(random() * people);
        b := 'c:' || floor(random() * people);
        CASE floor(random() * 14)::integer
            WHEN 0, 1, 2 THEN PERFORM record(ARRAY[a], '2026-11-01Z'::timestamptz + random() * interval '90 days', 'web', 'a' || n % 3, CASE WHEN n % 2 = 0 THEN n END, (ARRAY['EUR', 'JPY', NULL])[1 + n / 2 % 3]);
            WHEN 3 THEN PERFORM record(ARRAY[a, b], '2026-11-01Z'::timestamptz + random() * interval '90 days', 'app', 'a' || n % 3, source => 'r' || dice, source_key => n::text);
            WHEN 4 THEN PERFORM record_many(ARRAY(SELECT (ARRAY[('c:' || floor(random() * people + 0 * g))::identifier], '2026-11-01Z'::timestamptz + g * interval '1 day', 'sms', 'b', NULL,
                                                          NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event FROM generate_series(1, 3) g));
            WHEN 5 THEN PERFORM link(a, b, source => 'l' || dice, source_key => n::text);
            WHEN 6, 7 THEN PERFORM retract(source, source_key) FROM evidence WHERE retracted_at IS NULL ORDER BY random() LIMIT 1;
            WHEN 8 THEN DELETE FROM touchpoints WHERE touchpoint_id = (SELECT touchpoint_id FROM touchpoints ORDER BY random() LIMIT 1);
            WHEN 9 THEN UPDATE touchpoints SET occurred_at = occurred_at + interval '20 days' WHERE touchpoint_id = (SELECT touchpoint_id FROM touchpoints ORDER BY random() LIMIT 1);
            WHEN 10 THEN PERFORM CASE WHEN random() < 0.5 THEN cannot_link(a, b) ELSE must_link(a, b) END WHERE a <> b;
            WHEN 11 THEN
                UPDATE touchpoints SET direction = (ARRAY['in', 'out', NULL])[1 + n % 3], agent = (ARRAY['bot:a', 'Rita'])[1 + n / 3 % 2]
                WHERE touchpoint_id % 7 = n % 7 AND n % 2 = 0 OR touchpoint_id = (SELECT max(t.touchpoint_id) FROM touchpoints t);
            WHEN 12 THEN UPDATE settings SET currency = (ARRAY['eur', ' JPY ', NULL])[1 + n % 3];
            ELSE
                refreshes := refreshes + 1;
                PERFORM refresh();
                flaws := flaws + flaws('customer_journeys') + flaws('stored_in_blocks');
                newer := newer + (SELECT count(b.newer) FROM journey_blocks b);
                gone := gone + (SELECT count(b.gone) FROM journey_blocks b);
                PERFORM cut(people * (20 + n % 20));
        END CASE;
        IF n % 3 = 0 THEN
            compared := compared + (SELECT count(*) FROM truth);
            details := details + (SELECT count(DISTINCT d.detail) FROM truth t, unnest(journey_path(t.journey, 'detail')) d(detail));
            current_flaws := current_flaws + flaws('current_journeys');
            by_customer_flaws := by_customer_flaws + flaws('journeys_by_customer');
            in_blocks := in_blocks + flaws('current_in_blocks');
        END IF;
    END LOOP;
END $$;
SELECT refreshes > 5 AS refreshes, compared > 500 AS compared, details > 100 AS details,
       current_flaws, by_customer_flaws, in_blocks, flaws
FROM muddle(200, 1, 25);
-- so many customers that changes of blocks are kept beside them
SELECT cardinality(record_many(array_agg((ARRAY[('c:' || n % 300)::identifier], '2026-11-01Z'::timestamptz + n * interval '17 min', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event)))
FROM generate_series(1, 600) n;
SELECT refreshes > 5 AS refreshes, compared > 500 AS compared, details > 100 AS details, newer > 0 AS newer, gone > 0 AS gone,
       current_flaws, by_customer_flaws, in_blocks, flaws
FROM muddle(200, 2, 300);
SELECT refresh() >= 0 AS refreshed, refresh(rebuild => true) AS rebuilt;

-- own touchpoints alone
INSERT INTO actions VALUES ('a1', 'status'), ('a2', 'asks_and_resolves');
SELECT count(*), sum(journey_length(o.journey)) > 10 AS some,
       sum(journey_length(c.journey) - journey_length(o.journey)) > 10 AS fewer,
       count(*) FILTER (WHERE o.journey IS DISTINCT FROM coalesce(t.journey, '{}')) AS flaws
FROM own_journeys o FULL JOIN current_journeys c USING (customer_id)
     LEFT JOIN (SELECT i.customer_id, journey_agg(x) AS journey
                FROM touchpoints t JOIN identities i USING (identity_id) JOIN truth ON truth.customer_id = i.customer_id,
                     unnest(truth.journey) x
                WHERE touchpoint_ref(x) = t.touchpoint_id AND t.direction IS DISTINCT FROM 'out'
                      AND t.action NOT IN (SELECT a.action FROM actions a WHERE a.means <> 'asks_and_resolves')
                GROUP BY 1) t USING (customer_id);

-- a rebuild mends what somebody has spoilt
UPDATE customer_journeys SET journey = '{x.y@2026-01-01T00:00:00Z}' WHERE customer_id = (SELECT min(customer_id) FROM customer_journeys);
INSERT INTO customer_journeys VALUES (-1, '{}');
SELECT refresh(), flaws('customer_journeys') > 0 AS spoilt;
SELECT refresh(rebuild => true), flaws('customer_journeys');
UPDATE journey_blocks SET block = '{}';
SELECT refresh(), flaws('current_in_blocks') > 0 AS spoilt;
SELECT refresh(rebuild => true), flaws('current_in_blocks');
-- without blocks they are packed when they are asked for, until the next refresh
TRUNCATE journey_blocks;
SELECT flaws('current_in_blocks');
SELECT refresh(), flaws('stored_in_blocks');
TRUNCATE customer_journeys;
SELECT count(*) FROM journey_blocks;
SELECT refresh(rebuild => true) > 0 AS rebuilt, flaws('customer_journeys'), flaws('stored_in_blocks');

\set VERBOSITY terse
-- what does not fit in a journey is refused where it comes in
UPDATE touchpoints SET action = repeat('x', 256);
UPDATE touchpoints SET value = 'Infinity';
-- nor does an index of values take it
SELECT string_agg(md5(n::text), '') AS long FROM generate_series(1, 100) n \gset
INSERT INTO touchpoints (identity_id, occurred_at, channel, action, value) VALUES (1, '2026-11-01Z', :'long', 'x', 1);
SELECT record('{c:1}', '2026-11-01Z', 'x', 'y', 1, :'long');
UPDATE touchpoints SET currency = :'long';
SELECT refresh(), flaws('customer_journeys');

-- the past is not forgotten by a failed or rolled back transaction, nor the pending by a rolled back refresh
SELECT record('{c:1}', '2026-11-30Z', 'web', 'view') > 0 AS recorded;
BEGIN;
SELECT refresh();
ROLLBACK;
SELECT count(*), flaws('current_journeys') FROM journey_changes;
SELECT refresh(), flaws('customer_journeys');

-- plans that are kept for a session are good for one row and for many
SELECT cardinality(record_many(array_agg((ARRAY['k:1'], '2026-11-01Z'::timestamptz + n * interval '1 min', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'plan', n::text, NULL, NULL, NULL)::event)))
FROM generate_series(1, 20000) n;
ANALYZE touchpoint_keys;
SELECT pg_stat_force_next_flush();  -- what was counted before is counted no more
BEGIN;
UPDATE touchpoints SET value = 1 WHERE source_key = '7';
UPDATE touchpoints SET value = 2, occurred_at = occurred_at + interval '1 s' WHERE source = 'plan';
UPDATE touchpoints SET value = 3 WHERE source_key = '7';
DELETE FROM touchpoints WHERE source = 'plan' AND source_key = '8';
DELETE FROM touchpoints WHERE source = 'plan' AND source_key <> '9';
DELETE FROM touchpoints WHERE source = 'plan';
SELECT seq_scan AS scans, idx_scan BETWEEN 40000 AND 80000 AS few_look_ups FROM pg_stat_xact_user_tables WHERE relid = 'touchpoint_keys'::regclass;  -- two or three a row
COMMIT;
SELECT count(*) FROM touchpoint_keys WHERE source = 'plan';

-- plans: some customers, a pattern, and all
TRUNCATE touchpoints, identities, customers, evidence, former_memberships, identity_pairs;
SELECT refresh() > 0 AS emptied;
SELECT cardinality(record_many(array_agg((ARRAY[('p:' || n % 2000)::identifier], '2026-11-01Z'::timestamptz + n * interval '5 min', 'web', CASE n % 997 WHEN 0 THEN 'buy' ELSE 'view' END, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event))) FROM generate_series(1, 20000) n;
SELECT make_partitions() >= 0 AS maintained, refresh();
ANALYZE;
CREATE TABLE few AS SELECT customer_id FROM customers ORDER BY customer_id DESC LIMIT 5;
ANALYZE few;
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END $$;
-- of what each query asks for some customers, what is read of tables that hold something for all
CREATE VIEW by_index AS
SELECT v.name || ' ' || q AS query,
       count(*) FILTER (WHERE line ~ 'Index (Only )?Scan using customer_journeys_pkey') AS by_index,
       count(*) FILTER (WHERE line ~ 'Seq Scan on (customer_journeys|customers|touchpoints)') AS not_by_index
FROM unnest('{current_journeys,journeys_by_customer}'::text[]) v(name),
     unnest(ARRAY['WHERE customer_id = 7', 'WHERE customer_id = customer_of(''p:7'')',
                  'WHERE customer_id = ANY (ARRAY(SELECT customer_id FROM few))',
                  'JOIN few USING (customer_id)', 'WHERE customer_id IN (SELECT customer_id FROM few)']) q,
     plan(format('SELECT journey FROM %s ', v.name) || q) line
WHERE v.name = 'journeys_by_customer' OR q ~ 'customer_id = '
GROUP BY 1;
-- of what is asked of all: by its index for the pattern, and never all notes for each customer
CREATE VIEW of_all AS
SELECT q AS query, count(*) FILTER (WHERE line ~ 'Bitmap Index Scan on customer_journeys_journey_idx') AS by_index,
       count(*) FILTER (WHERE line ~ 'Nested Loop Anti Join' AND q !~ '~') AS loops,
       count(*) FILTER (WHERE line ~ 'One-Time Filter') > 0 OR q ~ 'by_customer' AS one_time_filter  -- of a join not since 18
FROM unnest(ARRAY['SELECT customer_id FROM current_journeys WHERE journey ~ ''web.buy -> web.view''',
                  'SELECT sum(journey_length(journey)) FROM current_journeys',
                  'SELECT sum(journey_length(journey)) FROM journeys_by_customer']) q, plan(q) line
GROUP BY 1;
EXPLAIN (COSTS OFF) SELECT customer_id FROM customer_journeys WHERE journey ~ 'web.buy -> web.view';
SET random_page_cost = 1;
-- with nothing pending, as ANALYZE has seen it
SELECT * FROM by_index ORDER BY query COLLATE "C";
SELECT * FROM of_all ORDER BY query COLLATE "C";
-- with a few changes; and with many, of which nobody has told the server
SELECT count(record(ARRAY[('p:' || n * 997 % 2000)::identifier], '2026-12-01Z', 'store', 'visit')) FROM generate_series(1, 20) n;
SELECT * FROM by_index ORDER BY query COLLATE "C";
SELECT * FROM of_all ORDER BY query COLLATE "C";
SELECT count(*), (SELECT count(*) FROM truth WHERE journey ~ 'web.buy -> store.visit')
FROM current_journeys WHERE journey ~ 'web.buy -> store.visit';
SELECT journey_length(journey) FROM current_journeys WHERE customer_id = customer_of('p:997');
BEGIN;
INSERT INTO touchpoints (identity_id, occurred_at, channel, action, direction)
SELECT i.identity_id, '2026-12-02Z', 'store', 'visit', 'in' FROM identities i, generate_series(1, 3);
SELECT * FROM by_index ORDER BY query COLLATE "C";
SELECT flaws('current_journeys'), flaws('journeys_by_customer');
ROLLBACK;
RESET random_page_cost;
-- sums of values read no rows, in any partition
SELECT count(*) > 3 AS partitions, count(*) FILTER (WHERE x.indexes IS DISTINCT FROM 1) AS without
FROM pg_inherits h
     CROSS JOIN LATERAL (SELECT count(*) AS indexes FROM pg_index i
                         WHERE i.indrelid = h.inhrelid AND pg_get_expr(i.indpred, i.indrelid) = '(value IS NOT NULL)') x
WHERE h.inhparent = 'touchpoints'::regclass;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FILTER (WHERE line ~ 'Index Only Scan')
           = (SELECT count(*) FROM pg_inherits WHERE inhparent = 'touchpoints'::regclass) AS index_only,
       count(*) FILTER (WHERE line ~ '(Seq|Index|Heap) Scan') AS others
FROM plan('SELECT channel, currency, sum(value) FROM touchpoints WHERE value IS NOT NULL GROUP BY 1, 2') line;
EXPLAIN (COSTS OFF) SELECT identity_id, currency, sum(value) FROM touchpoints
WHERE value IS NOT NULL AND occurred_at >= '2026-11-03Z' AND occurred_at < '2026-11-10Z' GROUP BY 1, 2;
RESET enable_seqscan;
RESET enable_bitmapscan;
-- workers share the whole of it
SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SET cpu_tuple_cost = 1;
SELECT q AS query, count(*) FILTER (WHERE line ~ 'Partial Aggregate') AS in_workers
FROM unnest(ARRAY['SELECT sum(journey_length(journey)) FROM current_journeys',
                  'SELECT sum(journey_length(journey)) FROM journeys_by_customer']) q, plan(q) line
GROUP BY 1 ORDER BY 1;
RESET max_parallel_workers_per_gather;
RESET min_parallel_table_scan_size;
RESET cpu_tuple_cost;
-- of very many touchpoints, which is pretended here, in portions of customers: whatever is pending, of whomever
SELECT record('{p:3}', '2026-12-03Z', 'web', 'view') > 0 AS recorded, link('p:4', 'p:1996', source => 'sql', source_key => 'portions') > 0 AS linked,
       link('p:1500', 'p:20') > 0 AS linked_too;
SELECT retract('sql', 'portions');
DELETE FROM touchpoints WHERE touchpoint_id % 11 = 0;
UPDATE customer_journeys SET journey = '{}' WHERE customer_id % 7 = 0;
DELETE FROM customer_journeys WHERE customer_id % 7 = 1;
INSERT INTO customer_journeys (customer_id, journey) VALUES (1000000000, '{web.view@2026-12-03T00:00:00Z}');
UPDATE pg_class SET reltuples = 250000000 WHERE oid = 'touchpoints_default'::regclass;
SET client_min_messages = notice;
SELECT refresh(rebuild => true) > 100 AS packed;
SET client_min_messages = warning;
SELECT flaws('customer_journeys'), flaws('current_journeys'), (SELECT count(*) FROM journey_changes) AS pending, (SELECT count(*) FROM stitch_check()) AS wrong;
ANALYZE touchpoints_default;
SET search_path = public;
SELECT journey_drop_hub('crm', true);
