# routing.sh: the benchmark's part "routing", sourced by run.
#
# A hub with the benchmark's touchpoints, the last of them of today, each customer one identity with a language; an eighth of the touchpoints are of
# conversations, which agents answer. 200 agents in ten queues, 20 segments, 200 rules of which only the last applies to all,
# so that most are tried. route() of any customer, and of one as often as he has touchpoints: with nothing pending, and
# right after a message of his; assign() and release(), from one client and from eight.

say "routing: loading"
do_sql <<'SQL'
SELECT journey_create_hub('hub');
UPDATE hub.settings SET notify = false;
CALL hub.maintain(since => now() - interval '4 months');
INSERT INTO hub.identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
SELECT customer_id, identifier('customer', customer_id::text), customer_id, customer_id, now(), now(), now() FROM customers ORDER BY customer_id;
INSERT INTO hub.customers (customer_id, identities) SELECT customer_id, 1 FROM customers ORDER BY customer_id;
SELECT setval(pg_get_serial_sequence('hub.identities', 'identity_id'), max(identity_id)) FROM hub.identities;
INSERT INTO hub.touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, value, currency, direction, conversation, agent, source)
SELECT id, customer_id, occurred_at + (date_trunc('hour', now()) - '2026-04-01Z'), CASE WHEN talk THEN 'chat' ELSE channel END, CASE WHEN talk THEN 'message' ELSE action END, value,
       CASE WHEN value IS NOT NULL THEN 'EUR' END, CASE WHEN talk THEN CASE id % 16 WHEN 0 THEN 'in' ELSE 'out' END END,
       CASE WHEN talk THEN 'c' || customer_id || '-' || date_trunc('month', occurred_at)::date END,
       CASE WHEN talk AND id % 16 > 0 THEN 'agent ' || 1 + customer_id % 200 END, 'desk'
FROM (SELECT t.*, id % 8 = 0 AS talk FROM touchpoints t) t ORDER BY id;
SELECT setval(pg_get_serial_sequence('hub.touchpoints', 'touchpoint_id'), max(touchpoint_id)) FROM hub.touchpoints;
INSERT INTO hub.traits (identity_id, trait, value, source, observed_at)
SELECT customer_id, 'language', to_jsonb((ARRAY['pt', 'en', 'es'])[1 + customer_id % 3]), 'crm', '2026-01-01Z' FROM customers;
INSERT INTO hub.queues (queue) SELECT 'queue ' || n FROM generate_series(0, 9) n;
-- half of them are there, so that an open conversation is with one who is there as often as not
INSERT INTO hub.agents (agent, on_duty, languages, capacity)
SELECT 'agent ' || n, n % 2 = 0, (ARRAY['{pt,en}', '{en,es}', NULL])[1 + n % 3]::text[], 8 FROM generate_series(1, 200) n;
INSERT INTO hub.agent_queues (queue, agent) SELECT 'queue ' || q, 'agent ' || n FROM generate_series(1, 200) n, LATERAL (VALUES (n % 10), ((n + 3) % 10)) v(q);
SELECT hub.create_segment('segment ' || n, jsonb_build_object('and', jsonb_build_array(jsonb_build_object('measure', 'value', 'min', n * 100000),
                                                                                        jsonb_build_object('not', jsonb_build_object('pattern', 'store.purchase', 'within', n || ' days')))))
FROM generate_series(1, 20) n;
INSERT INTO hub.routing_rules (position, segment, channel, kind, language, waiting_longer, queue)
SELECT n, CASE WHEN n % 2 = 0 AND n < 200 THEN 'segment ' || 1 + n % 20 END, CASE WHEN n % 4 = 1 THEN 'whatsapp' END, CASE WHEN n % 4 = 3 THEN 'physical' END, CASE n % 3 WHEN 0 THEN 'fr' END,
       CASE WHEN n % 10 = 4 THEN '1 year'::interval END, 'queue ' || n % 10
FROM generate_series(1, 199) n;
INSERT INTO hub.routing_rules (position, queue) VALUES (200, 'queue 0');
INSERT INTO hub.assignments (identity_id, queue, agent, channel, assigned_at, released_at)
SELECT customer_id, 'queue ' || customer_id % 10, 'agent ' || 1 + customer_id % 200, 'chat', now() - interval '9 days', now() - interval '8 days' FROM customers WHERE customer_id % 5 = 0;
INSERT INTO hub.assignments (identity_id, queue, agent, channel)
SELECT customer_id, 'queue ' || customer_id % 10, 'agent ' || 1 + customer_id % 200, 'chat' FROM customers WHERE customer_id BETWEEN 1 AND 800;
SELECT hub.refresh();
VACUUM (FREEZE, ANALYZE);
CREATE TABLE looked_at AS SELECT row_number() OVER () AS n, customer_id FROM touchpoints WHERE id % 97 = 0;
ALTER TABLE looked_at ADD PRIMARY KEY (n);
VACUUM (FREEZE, ANALYZE) looked_at;
SQL

any="\\set c random(1, $customers)"
weighed="\\set n random(1, $(sql -c "SELECT count(*) FROM looked_at"))
SELECT customer_id AS c FROM looked_at WHERE n = :n \\gset"
script routing_look_up "$any" "SELECT customer_id FROM hub.customers WHERE customer_id = :c;"
script routing_route "$any" "SELECT * FROM hub.route(:c, 'app');"
script routing_weighed "$weighed" "SELECT * FROM hub.route(:c, 'app');"
script routing_changed "$any" "INSERT INTO hub.touchpoints (identity_id, occurred_at, channel, action, direction, conversation, source) VALUES (:c, now(), 'chat', 'message', 'in', 'n' || :c, 'desk');" \
    "SELECT * FROM hub.route(:c, 'chat');"
script routing_assign "$any" "SELECT hub.assign(:c, channel => 'app') AS a \\gset" "SELECT hub.release(:a);"
say "routing: measuring"
for call in look_up route weighed changed assign; do
    for clients in 1 8; do
        (cd "$dir" && "$bin/pgbench" -n -M prepared -c $clients -j 2 -T $((RUNS * 2)) --random-seed=7 -r -l --log-prefix="$dir/routing_latency_$call-$clients" \
            -f "$dir/routing_$call" bench > "$dir/routing_summary_$call-$clients" 2>&1) || die "pgbench: $call: $(tail -3 "$dir/routing_summary_$call-$clients")"
        cat "$dir/routing_latency_$call-$clients".* | awk -v call="$call" -v clients="$clients" '{ print "routing_" clients "\t" call "\t" $3 }' | sql -c "COPY result (section, name, value) FROM STDIN"
    done
done
tried=$(sql -c "SELECT format('%s reasons, longest of a hundred customers', max(cardinality(r.reasons))) FROM generate_series(1, 100) n, hub.route(n * 17 % $customers + 1, 'app') r")
overfull=$(sql -c "SELECT count(*) FROM (SELECT FROM hub.assignments a JOIN hub.agents g USING (agent) WHERE a.released_at IS NULL GROUP BY a.agent, g.capacity HAVING count(*) > g.capacity) s")

{ cat <<MD
## Routing

A hub of $touchpoints touchpoints of $customers customers, 200 rules, 20 segments, 200 agents in ten queues: $tried. Milliseconds a transaction.

MD
  sql <<'SQL'
SELECT '| transaction | 1 client: median | 99th percentile | 8 clients: median | 99th percentile |' || E'\n|---|---:|---:|---:|---:|';
SELECT format('| %s | %s |', c.label, string_agg(format('%s | %s', s.median, s.p99), ' | ' ORDER BY s.section))
FROM (VALUES (1, 'look_up', 'a look-up of a customer alone'), (2, 'route', 'route(), any customer'), (3, 'weighed', 'route(), a customer as often as he has touchpoints'),
             (4, 'changed', 'a message recorded, and route()'), (5, 'assign', 'assign() by the rules, and release()')) c(n, name, label)
     JOIN (SELECT section, name, round((percentile_cont(0.5) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 3) AS median,
                  round((percentile_cont(0.99) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 3) AS p99
           FROM result WHERE section LIKE 'routing_%' GROUP BY section, name) s ON s.name = c.name
GROUP BY c.n, c.label ORDER BY c.n;
SELECT '';
SQL
} | print
sql -v touchpoints="$touchpoints" -v overfull="$overfull" <<'SQL'
INSERT INTO aim
SELECT 40, 'route() with 10 M touchpoints and 200 rules: under 2 ms at the 99th percentile', round((percentile_cont(0.99) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 2),
       CASE WHEN :'touchpoints'::bigint >= 10000000 THEN percentile_cont(0.99) WITHIN GROUP (ORDER BY value) < 2000 END
FROM result WHERE section = 'routing_1' AND name = 'route'
UNION ALL
SELECT 41, 'agents with more than their capacity', :'overfull'::numeric, :'overfull'::bigint = 0;
SQL
sql -c "SELECT journey_drop_hub('hub', true)" -c "DROP TABLE looked_at" >/dev/null
