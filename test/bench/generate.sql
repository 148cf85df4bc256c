-- generate.sql: the benchmark's data, a shop's touchpoint log of 90 days.
--
-- Hash arithmetic only (PostgreSQL's integer hash functions are frozen, since
-- hash partitioning depends on them), so every major makes the same rows.
-- psql variables: customers, touchpoints, zipf, labels, precision, arrival.
--
-- How many: the customer of rank r has C / r^zipf touchpoints, at least 1, at
-- most 0.5 % of all or 50,000; C is solved so that the sum is as asked.
-- When: in sessions. A customer's sessions have 2 to 13 touchpoints on average
-- (the customer's habit), each session 1 to twice that. A session begins on any
-- of the 90 days, between 06:00 and 24:00 with its peak at 15:00, and has its
-- own pace, 5 to 160 s between touchpoints on average, each gap 0 to twice that.
-- What: a session has a channel; one touchpoint in 16 is on another one (the
-- e-mail opened in between). The action depends on the channel, see below; every
-- channel meets every action at least once in about a thousand.
-- Value: price or total in cents on add_to_cart, checkout, purchase and return
-- (negative); these are about a tenth.
-- The table is an append-only log: id and physical order follow time.

SET search_path = bench, public;
SET bench.customers = :'customers';
SET bench.touchpoints = :'touchpoints';
SET bench.zipf = :'zipf';

-- Customers: rank, touchpoints, session habit, and seeds for all else.
CREATE TABLE customers (rank int, customer_id bigint, touchpoints int, habit int,
                        seed bigint, session_seed bigint);
DO $$
DECLARE
    customers int := current_setting('bench.customers');
    wanted bigint := current_setting('bench.touchpoints');
    zipf float8 := current_setting('bench.zipf');
    cap bigint := least(50000, wanted / 200);
    low bigint := 1;
    high bigint := 4 * wanted;
    middle bigint;
    total bigint;
BEGIN
    WHILE high - low > 1 LOOP
        middle := (low + high) / 2;
        SELECT sum(least(cap, greatest(1, floor(middle / power(r, zipf))))) INTO total
        FROM generate_series(1, customers) r;
        IF total <= wanted THEN low := middle; ELSE high := middle; END IF;
    END LOOP;
    INSERT INTO customers
    SELECT r, (r * 7368787::bigint) % customers + 1,
           least(cap, greatest(1, floor(low / power(r, zipf)))),
           2 + (hashint4extended(r, 1) & 1023) % 12,
           hashint4extended(r, 2), hashint4extended(r, 3)
    FROM generate_series(1, customers) r;
    -- what rounding left over
    UPDATE customers SET touchpoints = touchpoints + wanted - (SELECT sum(c.touchpoints) FROM customers c)
    WHERE rank = 100;
END $$;
ALTER TABLE customers SET (parallel_workers = 2);
VACUUM (FREEZE, ANALYZE) customers;

-- Names: the shop's own language, or the usual terms.
CREATE TABLE channels AS
SELECT n - 1 AS n, CASE WHEN :'labels' = 'custom' THEN own ELSE usual END AS name, usual, weight
FROM (VALUES (1, 'web', 'vitrine', 390), (2, 'app', 'aplicativo', 262), (3, 'email', 'correio', 110),
             (4, 'push', 'aviso', 70), (5, 'store', 'loja', 60), (6, 'whatsapp', 'zap', 40),
             (7, 'ads', 'anúncio', 36), (8, 'sms', 'torpedo', 20), (9, 'chat', 'conversa', 14),
             (10, 'social', 'rede', 12), (11, 'marketplace', 'feira', 8), (12, 'phone', 'telefone', 2))
     v (n, usual, own, weight);
CREATE TABLE actions AS
SELECT n - 1 AS n, CASE WHEN :'labels' = 'custom' THEN own ELSE usual END AS name, usual
FROM (VALUES (1, 'view', 'olhar'), (2, 'search', 'buscar'), (3, 'click', 'clicar'), (4, 'open', 'abrir'),
             (5, 'add_to_cart', 'pôr_na_sacola'), (6, 'remove_from_cart', 'tirar_da_sacola'),
             (7, 'checkout', 'fechar_pedido'), (8, 'purchase', 'comprar'), (9, 'return', 'devolver'),
             (10, 'complaint', 'reclamar'), (11, 'visit', 'visitar'), (12, 'call', 'ligar'),
             (13, 'message', 'mandar_recado'), (14, 'answer', 'responder'), (15, 'resolve', 'resolver'),
             (16, 'review', 'opinar'), (17, 'rate', 'avaliar'), (18, 'share', 'compartilhar'),
             (19, 'login', 'entrar'), (20, 'subscribe', 'assinar'))
     v (n, usual, own);

-- Weights in 1,024ths: what is not named has 1, the channel's first has the rest.
CREATE TABLE weights AS
WITH named AS (
    SELECT split_part(line, ' ', 1) AS channel,
           (regexp_matches(line, '([a-z_]+) ([0-9]+)', 'g'))[1:2] AS pair,
           split_part(line, ' ', 2) AS main
    FROM regexp_split_to_table(
$$web view search 130, click 110, add_to_cart 60, remove_from_cart 16, checkout 30, purchase 20, login 30, review 4, share 4, return 3
app view search 110, click 100, add_to_cart 66, remove_from_cart 18, checkout 34, purchase 24, login 60, open 70, rate 5, share 5
email open click 190, answer 6, subscribe 12, share 4
push open click 260
store visit view 120, purchase 300, return 40, complaint 8, search 20, answer 10
whatsapp message answer 300, open 60, click 60, purchase 12, complaint 24, resolve 20
ads view click 240
sms open click 150, answer 12
chat message answer 330, complaint 40, resolve 60, rate 30
social view click 140, share 60, message 50, complaint 20, review 12, answer 20
marketplace view search 120, click 90, add_to_cart 60, checkout 30, purchase 60, return 6, review 12, rate 12
phone call answer 200, complaint 140, resolve 120, return 20, purchase 20, rate 30$$, '\n') line),
listed AS (
    SELECT c.n AS channel, a.n AS action, coalesce(w.pair[2]::int, 1) AS weight,
           a.usual = (SELECT main FROM named m WHERE m.channel = c.usual LIMIT 1) AS main
    FROM channels c CROSS JOIN actions a
         LEFT JOIN named w ON w.channel = c.usual AND w.pair[1] = a.usual)
SELECT channel, action,
       CASE WHEN main THEN 1024 - sum(weight) FILTER (WHERE NOT main) OVER (PARTITION BY channel)
            ELSE weight END::int AS weight
FROM listed l;

SELECT (SELECT string_agg(repeat(lpad(to_hex(n), 2, '0'), weight), '' ORDER BY n) FROM channels) AS channel_slots,
       (SELECT string_agg(repeat(lpad(to_hex(action), 2, '0'), weight), '' ORDER BY channel, action)
        FROM weights) AS action_slots,
       (SELECT array_agg(name ORDER BY n) FROM channels) AS channel_names,
       (SELECT array_agg(name ORDER BY n) FROM actions) AS action_names \gset

CREATE TABLE touchpoints AS
SELECT row_number() OVER (ORDER BY us, customer_id, i) AS id, customer_id,
       to_timestamp(1767225600 + us / 1000000.0::float8) AS occurred_at,
       (:'channel_names'::text[])[channel + 1] AS channel,
       (:'action_names'::text[])[action + 1] AS action,
       CASE WHEN action IN (4, 6, 7, 8)
            THEN (cents - CASE h >> 58 & 3 WHEN 0 THEN 0 WHEN 1 THEN cents % 100 + 1 ELSE cents % 10 END)
                 * CASE action WHEN 8 THEN -1 ELSE 1 END * 0.01 END AS value
FROM (
    SELECT customer_id, i, h, channel,
           get_byte(('\x' || :'action_slots')::bytea, channel * 1024 + (h & 1023)::int) AS action,
           -- 5 to 325 of the currency
           500 + (h >> 30 & 4095) % 4000 * (1 + (h >> 42 & 7)) AS cents,
           CASE WHEN :'arrival' = 'uniform' THEN (h >> 20 & 4294967295) * 7776000 >> 32
                ELSE (s & 65535) % 90 * 86400 + 21600 + (s >> 16 & 65535) % 32400 + (s >> 32 & 65535) % 32400
                     + (position * 1024 + (h >> 20 & 1023)) * (5 * (1 << (s >> 48 & 3)::int)
                                                            + 8 * (s >> 50 & 15)) / 1024
           END * 1000000
           + CASE WHEN :'precision' = 'us' THEN (h >> 32 & 1048575) % 1000000 ELSE 0 END AS us
    FROM (
        SELECT customer_id, i, h, s, i - greatest(0, start) AS position,
               get_byte(('\x' || :'channel_slots')::bytea,
                        (CASE WHEN h >> 10 & 15 = 0 THEN h >> 14 & 1023 ELSE s >> 54 & 1023 END)::int) AS channel
        FROM (
            SELECT customer_id, i, hashint4extended(i, seed) AS h,
                   hashint4extended(first, session_seed) AS s, first AS start
            FROM (
                -- session borders: one in every <habit> touchpoints, at a hashed place
                SELECT customer_id, i, seed, session_seed,
                       CASE WHEN i >= border THEN border
                            ELSE before * habit + (hashint4extended(before, session_seed # 1) & 65535) % habit
                       END::int AS first
                FROM (
                    SELECT customer_id, i, seed, session_seed, habit, i / habit - 1 AS before,
                           i / habit * habit
                           + (hashint4extended(i / habit, session_seed # 1) & 65535) % habit AS border
                    FROM customers, generate_series(0, touchpoints - 1) i
                ) borders
            ) sessions
        ) seeds
    ) channels
) touchpoints
ORDER BY 1;
ALTER TABLE touchpoints SET (parallel_workers = 2);
-- ANALYZE's sample finds far too few customers; the planner shall know better
ALTER TABLE touchpoints ALTER customer_id SET (n_distinct = :customers);
VACUUM (FREEZE, ANALYZE) touchpoints;
