# handover.sh: the benchmark's part "handover", sourced by run.
#
# A hub with the benchmark's touchpoints, each customer one identity. In channels where people talk, a customer's
# touchpoints of a day are a conversation, of which 19 in 20 are resolved; one in ten was assigned. handover by pgbench, of
# any customer and of those who wait, against the customer's card and journey alone; who waits, breaches and backlog over
# everybody.

say "handover: loading"
do_sql <<'SQL'
SELECT journey_create_hub('desk');
UPDATE desk.settings SET notify = false, time_zone = 'Europe/Lisbon';
INSERT INTO desk.business_hours (weekday, opens, closes) SELECT weekday, '09:00', '18:00' FROM generate_series(1, 5) weekday;
CALL desk.maintain(since => '2026-01-01');
INSERT INTO desk.identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
SELECT customer_id, identifier('customer', customer_id::text), customer_id, customer_id, now(), now(), now() FROM customers ORDER BY customer_id;
INSERT INTO desk.customers (customer_id, identities) SELECT customer_id, 1 FROM customers ORDER BY customer_id;
SELECT setval(pg_get_serial_sequence('desk.identities', 'identity_id'), max(identity_id)) FROM desk.identities;
INSERT INTO desk.touchpoints (identity_id, occurred_at, channel, action, value, currency, direction, conversation, agent, source)
SELECT customer_id, occurred_at, channel, action, value, CASE WHEN value IS NOT NULL THEN 'EUR' END,
       CASE WHEN talks AND h % 20 < 9 THEN 'in' WHEN talks THEN 'out' WHEN channel = 'push' THEN 'out' END,
       CASE WHEN talks THEN customer_id || '-' || occurred_at::date END,
       CASE WHEN talks AND h % 20 >= 18 THEN 'bot' WHEN talks AND h % 20 >= 9 THEN 'agent ' || h % 100 END, 'desk'
FROM (SELECT *, channel IN ('whatsapp', 'chat', 'phone', 'email', 'sms', 'social', 'marketplace', 'store') AS talks,
             hashint8extended(id, 5) & 1048575 AS h
      FROM touchpoints) t
ORDER BY id;
INSERT INTO desk.touchpoints (identity_id, occurred_at, channel, action, direction, conversation, source)
SELECT min(identity_id), max(occurred_at) + interval '1 minute', min(channel), 'resolved', 'out', conversation, 'desk'
FROM desk.touchpoints WHERE conversation IS NOT NULL AND hashtext(conversation) % 20 <> 0 GROUP BY conversation;
INSERT INTO desk.queues (queue) SELECT 'queue ' || n FROM generate_series(0, 9) n;
INSERT INTO desk.assignments (identity_id, source, conversation, queue, assigned_at, released_at)
SELECT min(identity_id), 'desk', conversation, 'queue ' || abs(hashtext(conversation)) % 10, min(occurred_at),
       CASE WHEN hashtext(conversation) % 20 <> 0 THEN max(occurred_at) END
FROM desk.touchpoints WHERE hashtext(conversation) % 10 = 0 GROUP BY conversation;
INSERT INTO desk.service_targets (what, within) VALUES ('first_response', '30 minutes'), ('reply', '2 hours'), ('resolution', '18 hours'), ('handover', '5 minutes');
INSERT INTO desk.service_targets (what, within, queue) SELECT 'reply', n * interval '1 minute', 'queue ' || n FROM generate_series(1, 9) n;
SELECT desk.refresh();
VACUUM (FREEZE, ANALYZE) desk.touchpoints;
VACUUM (FREEZE, ANALYZE) desk.identities;
VACUUM (FREEZE, ANALYZE) desk.customers;
VACUUM (FREEZE, ANALYZE) desk.customer_journeys;
VACUUM (FREEZE, ANALYZE) desk.journey_changes;
VACUUM (FREEZE, ANALYZE) desk.assignments;
VACUUM (FREEZE, ANALYZE) desk.noted_waits;
CREATE TABLE waiting AS SELECT row_number() OVER () AS n, customer_id FROM desk.waiting_now();
CREATE UNIQUE INDEX ON waiting (n);
VACUUM (FREEZE, ANALYZE) waiting;
SQL

say "handover: of one"
any="\\set c random(1, $customers)"
waits="\\set n random(1, $(sql -c "SELECT greatest(count(*), 1) FROM waiting"))"
script handover_card "$any" "SELECT * FROM desk.customer_360_of(:c);"
script handover_any "$any" "SELECT desk.handover(:c);"
script handover_waiting "$waits" "SELECT desk.handover(w.customer_id) FROM waiting w WHERE w.n = :n;"
for call in card any waiting; do
    (cd "$dir" && "$bin/pgbench" -n -M prepared -c 1 -T $((RUNS * 2)) --random-seed=7 -l --log-prefix="$dir/handover_latency_$call" -f "$dir/handover_$call" bench >/dev/null 2>&1) || die "pgbench: $call"
    awk -v call="$call" '{ print "handover_one\t" call "\t" $3 }' "$dir/handover_latency_$call".* | sql -c "COPY result (section, name, value) FROM STDIN"
done

say "handover: of everybody"
last=$(sql -c "SELECT max(occurred_at) FROM desk.touchpoints")
repeated handover_all "waiting_now" "SELECT count(*) FROM desk.waiting_now() w WHERE (w.*)::text IS NOT NULL"
repeated handover_all "waiting_now, of the last day" "SELECT count(*) FROM desk.waiting_now('$last'::timestamptz - interval '1 day') w WHERE (w.*)::text IS NOT NULL"
timed handover_all "breaches by month and queue" "$(quoted "SELECT count(*) FROM desk.breaches('month', NULL, NULL, 'queue')")"
timed handover_all "backlog of a week by queue" "$(quoted "SELECT count(*) FROM desk.backlog('$last'::timestamptz - interval '7 days', '$last', 'queue')")"
timed handover_all "all conversations, looked at" "$(quoted "SELECT count(*) FROM desk.conversation_groups(NULL, NULL) g WHERE (g.facts).waiting_since IS NOT NULL")"

{ cat <<MD
## Handover and service targets

A hub of $customers customers and $(sql -c "SELECT whole(count(*)) FROM desk.touchpoints") touchpoints; in $(sql -c "SELECT whole(count(*)) FROM waiting") conversations a customer waits.

MD
  sql <<'SQL'
SELECT '| one customer, 1 client | latency ms, median | 99th percentile |' || E'\n|---|---:|---:|';
SELECT format('| %s | %s | %s |', name, round((percentile_cont(0.5) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 2),
              round((percentile_cont(0.99) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 2))
FROM result WHERE section = 'handover_one' GROUP BY name ORDER BY name;
SELECT E'\n| everybody | ms |\n|---|---:|';
SELECT format('| %s | %s |', name, whole(percentile_cont(0.5) WITHIN GROUP (ORDER BY value))) FROM result WHERE section = 'handover_all' GROUP BY name ORDER BY name;
SELECT '';
SQL
} | print
sql -v touchpoints="$touchpoints" <<'SQL'
INSERT INTO aim
SELECT 32, 'handover of a customer who waits: at most 5 ms', round(v.median::numeric, 2), CASE WHEN :'touchpoints'::bigint >= 10000000 THEN v.median <= 5 END
FROM (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) / 1000 AS median FROM result WHERE section = 'handover_one' AND name = 'waiting') v;
SELECT journey_drop_hub('desk', true);
SQL
