# hub.sh: the benchmark's part "hub", sourced by run.
#
# A hub with the benchmark's touchpoints, each customer one identity. Recording: single
# calls by pgbench from one, two and eight clients, against a statement that does nothing
# and a plain function that inserts a row into a table with the hub's columns and indexes;
# a thousand at once, against COPY of the same rows into that table; payloads, and an
# attached table's rows, against the same COPY. Journeys: refresh() after one new
# touchpoint for each hundred, against a rebuild. Reading: one customer by identifier.

say "hub: loading"
do_sql <<'SQL'
SELECT journey_create_hub('hub');
UPDATE hub.settings SET notify = false;
CALL hub.maintain(since => '2026-01-01');
INSERT INTO hub.identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
SELECT customer_id, identifier('customer', customer_id::text), customer_id, customer_id, now(), now(), now() FROM customers ORDER BY customer_id;
INSERT INTO hub.customers (customer_id, identities) SELECT customer_id, 1 FROM customers ORDER BY customer_id;
SELECT setval(pg_get_serial_sequence('hub.identities', 'identity_id'), max(identity_id)) FROM hub.identities;
INSERT INTO hub.touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, value, currency)
SELECT id, customer_id, occurred_at, channel, action, value, CASE WHEN value IS NOT NULL THEN 'EUR' END FROM touchpoints ORDER BY id;
SELECT setval(pg_get_serial_sequence('hub.touchpoints', 'touchpoint_id'), max(touchpoint_id)) FROM hub.touchpoints;
VACUUM (FREEZE, ANALYZE) hub.touchpoints;
VACUUM (FREEZE, ANALYZE) hub.identities;
VACUUM (FREEZE, ANALYZE) hub.customers;
SQL

# ---- journeys --------------------------------------------------------------

say "hub: journeys"
timed hub_journeys "the first refresh: all touchpoints pending" "$(quoted "SELECT hub.refresh()")"
sql -c "VACUUM (FREEZE, ANALYZE) hub.customer_journeys" -c "VACUUM hub.journey_changes"
for run in $(seq 1 "$RUNS"); do
    sql -c "TRUNCATE hub.customer_journeys"
    timed hub_journeys "rebuild" "$(quoted "SELECT hub.refresh(rebuild => true)")"
    sql -c "VACUUM (FREEZE, ANALYZE) hub.customer_journeys"
    # touchpoints of who comes often come often, after all there are
    sql -c "INSERT INTO hub.touchpoints (identity_id, occurred_at, channel, action, value)
            SELECT customer_id, '2026-04-05'::timestamptz + ($run * interval '1 day') + id % 86400 * interval '1 s', channel, action, value
            FROM touchpoints WHERE (id * 7919 + $run) % 100 = 0" \
        -c "VACUUM ANALYZE hub.journey_changes"
    pending=$(sql -c "SELECT format('%s of %s customers', count(DISTINCT identity_id), (SELECT count(*) FROM hub.customers)) FROM hub.journey_changes")
    timed hub_journeys "current_journeys of one customer, one touchpoint in a hundred pending" \
        "$(quoted "SELECT journey FROM hub.current_journeys WHERE customer_id = $((run * 17))")"
    timed hub_journeys "refresh after one new touchpoint for each hundred" "$(quoted "SELECT hub.refresh()")"
    sql -c "VACUUM hub.journey_changes" -c "VACUUM (ANALYZE) hub.customer_journeys"
done
flaws=$(sql -c "SELECT hub.refresh(rebuild => true)")

# ---- reading ---------------------------------------------------------------

say "hub: reading"
sql -c "VACUUM (FREEZE, ANALYZE) hub.touchpoints"
# each customer as often as any other, and as often as it has touchpoints
sql -c "CREATE TABLE looked_at AS SELECT row_number() OVER () AS n, customer_id FROM touchpoints WHERE id % 97 = 0" \
    -c "ALTER TABLE looked_at ADD PRIMARY KEY (n)" -c "VACUUM (FREEZE, ANALYZE) looked_at"
some="\\set n random(1, $(sql -c "SELECT count(*) FROM looked_at"))"
who="SELECT customer_id AS c FROM looked_at WHERE n = :n \\gset"
any="\\set c random(1, $customers)"
script hub_floor "$any" "SELECT t.* FROM hub.touchpoints t WHERE identity_id = :c ORDER BY occurred_at;"
script hub_timeline "$any" "SELECT * FROM hub.timeline WHERE customer_id = hub.customer_of(identifier('customer', (:c)::text)) ORDER BY occurred_at, touchpoint_id;"
script hub_often "$some" "$who" "SELECT * FROM hub.timeline WHERE customer_id = hub.customer_of(identifier('customer', (:c)::text)) ORDER BY occurred_at, touchpoint_id;"
script hub_often_floor "$some" "$who" "SELECT t.* FROM hub.touchpoints t WHERE identity_id = :c ORDER BY occurred_at;"
script hub_last "$any" "SELECT * FROM hub.timeline WHERE customer_id = hub.customer_of(identifier('customer', (:c)::text)) ORDER BY occurred_at DESC, touchpoint_id DESC LIMIT 20;"
script hub_360 "$any" "SELECT * FROM hub.customer_360 WHERE customer_id = hub.customer_of(identifier('customer', (:c)::text));"
script hub_journey "$any" "SELECT journey FROM hub.current_journeys WHERE customer_id = hub.customer_of(identifier('customer', (:c)::text));"
# each transaction's own time, of the statement after the one that says who
for call in floor timeline last 360 journey often_floor often; do
    (cd "$dir" && "$bin/pgbench" -n -M prepared -c 2 -j 2 -T $((RUNS * 2)) --random-seed=7 -l --log-prefix="$dir/latency_$call" -f "$dir/hub_$call" bench >/dev/null 2>&1) || die "pgbench: $call"
    awk -v call="$call" '{ print "hub_read\t" call "\t" $3 }' "$dir/latency_$call".* | sql -c "COPY result (section, name, value) FROM STDIN"
done

# ---- recording -------------------------------------------------------------

say "hub: recording"
do_sql <<'SQL'
CREATE TABLE plain (LIKE hub.touchpoints);
ALTER TABLE plain ADD UNIQUE (source, source_key), ADD PRIMARY KEY (touchpoint_id, occurred_at);
CREATE INDEX ON plain (identity_id, occurred_at);
CREATE INDEX ON plain (conversation) WHERE conversation IS NOT NULL;
CREATE SEQUENCE plain_touchpoints;
CREATE FUNCTION plain_record(customer bigint, key text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    id bigint := nextval('bench.plain_touchpoints');
BEGIN
    INSERT INTO bench.plain (touchpoint_id, identity_id, occurred_at, recorded_at, channel, action, source, source_key)
    VALUES (id, customer, now(), now(), 'web', 'view', 'plain', key);
    RETURN id;
END $$;
SQL
c="\\set c random(1, $customers)"
key="source => 'bench', source_key => 'r' || :r"
script record_nothing "$unique" "SELECT 1;"
script record_plain "$unique" "$c" "SELECT plain_record(:c, 'r' || :r);"
script record_known "$unique" "$c" "SELECT hub.record(ARRAY[identifier('customer', (:c)::text)], now(), 'web', 'view', $key);"
script record_new "$unique" "$c" "SELECT hub.record(ARRAY[identifier('cookie', :r::text)], now(), 'web', 'view', $key);"
script record_both "$unique" "$c" "SELECT hub.record(ARRAY[identifier('customer', (:c)::text), identifier('cookie', (:c)::text)], now(), 'web', 'view', $key);"
script record_notify "$unique" "$c" "SELECT hub.record(ARRAY[identifier('customer', (:c)::text)], now(), 'web', 'view', $key);"
for clients in 1 2 8; do
    turns hub_record_$clients record $clients 2 nothing plain known new both
    sql -c "UPDATE hub.settings SET notify = true"
    turns hub_record_$clients record $clients 2 notify
    sql -c "UPDATE hub.settings SET notify = false"
done

say "hub: many at once"
many=$(awk "BEGIN { printf \"%d\", $SCALE * 200000 }")
[ "$many" -ge 20000 ] || many=20000
sql -v many="$many" <<'SQL'
-- the same events as arrays of a thousand, payloads, rows to attach, and lines to COPY
CREATE TABLE batch (n bigint PRIMARY KEY, events hub.event[], pairs hub.event[], payloads json[]);
ALTER TABLE batch ALTER events SET STORAGE EXTERNAL, ALTER pairs SET STORAGE EXTERNAL, ALTER payloads SET STORAGE EXTERNAL;
INSERT INTO batch
SELECT i / 1000, array_agg((ARRAY[identifier('customer', c::text)], at, 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'batch', NULL, NULL, NULL, NULL)::hub.event ORDER BY i),
       array_agg((ARRAY[identifier('customer', c::text), identifier('cookie', c::text)], at, 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'batch', NULL, NULL, NULL, NULL)::hub.event ORDER BY i),
       array_agg(json_build_object('type', 'track', 'event', 'Product Viewed', 'userId', c, 'messageId', 'm' || i, 'timestamp', to_json(at), 'properties', json_build_object('sku', 'A' || i % 1000)) ORDER BY i)
FROM (SELECT i, 1 + (i * 7919) % (SELECT count(*) FROM customers) AS c, '2026-03-01Z'::timestamptz + i % 2500000 * interval '1 s' AS at FROM generate_series(0, :many - 1) i) s
GROUP BY i / 1000;
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, ordered_at timestamptz NOT NULL, total numeric);
INSERT INTO orders SELECT i, 1 + (i * 7919) % (SELECT count(*) FROM customers), '2026-03-01Z'::timestamptz + i % 2500000 * interval '1 s', 10 FROM generate_series(0, :many - 1) i;
-- events whose keys are this run's own
CREATE FUNCTION keyed(events hub.event[], salt text) RETURNS hub.event[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((e.identifiers, e.occurred_at, e.channel, e.action, e.value, e.currency, e.direction, e.conversation, e.agent, e.campaign, e.source, salt || n, e.attributes, NULL, NULL)::hub.event ORDER BY n)
    FROM unnest(events) WITH ORDINALITY e(identifiers, occurred_at, channel, action, value, currency, direction, conversation, agent, campaign, source, source_key, attributes, subject, url, n) $$;
CREATE PROCEDURE many(what text, salt text) LANGUAGE plpgsql AS $$
DECLARE
    b bench.batch;
BEGIN
    FOR b IN SELECT * FROM bench.batch ORDER BY n LOOP
        CASE what
            WHEN 'array' THEN PERFORM cardinality(bench.keyed(b.events, salt || b.n || '-'));
            WHEN 'known' THEN PERFORM hub.record_many(bench.keyed(b.events, salt || b.n || '-'));
            WHEN 'both' THEN PERFORM hub.record_many(bench.keyed(b.pairs, salt || b.n || '-'));
            WHEN 'unkeyed' THEN PERFORM hub.record_many(b.events);
        END CASE;
        COMMIT;
    END LOOP;
END $$;
SQL
sql -c "COPY (SELECT i, 1 + (i * 7919) % $customers, '2026-03-01Z'::timestamptz + i % 2500000 * interval '1 s', now(), 'web', 'view', 'copy', i
              FROM generate_series(0, $many - 1) i) TO '$dir/copy_touchpoints'"
# a run's rate in thousands a second
rate() { # section, name, statement...
    local started=$(date +%s%N) section=$1 name=$2
    shift 2
    sql "$@" >/dev/null
    note "$section" "$name" "1e6 * $many / $(($(date +%s%N) - started))"
}
for run in $(seq 0 "$RUNS"); do
    section=$([ "$run" = 0 ] && echo warm || echo hub_many)
    sql -c "TRUNCATE plain"
    rate "$section" copy -c "COPY plain (touchpoint_id, identity_id, occurred_at, recorded_at, channel, action, source, source_key) FROM '$dir/copy_touchpoints'"
    for what in array known unkeyed both; do rate "$section" $what -c "CALL many('$what', '$what-$run-')"; done
    rate "$section" ingest -c "SELECT hub.ingest_many(payloads, 'segment') FROM batch"
    sql -c "DELETE FROM hub.touchpoint_keys WHERE source = 'segment'"
    rate "$section" attach -c "SELECT hub.attach_source('orders', '{\"occurred_at\": \"ordered_at\", \"channel\": \"''store''\", \"action\": \"''purchase''\", \"value\": \"total\", \"identifiers\": {\"customer\": \"customer_id\"}}')"
    sql -c "SELECT hub.detach_source('orders', keep => false)" >/dev/null
    sql -c "SELECT hub.refresh()" -c "VACUUM hub.journey_changes" -c "VACUUM hub.touchpoints" -c "VACUUM hub.touchpoint_keys" >/dev/null
done

# ---- report ----------------------------------------------------------------

{ cat <<MD
## Hub

A hub of $touchpoints touchpoints of $customers customers. plain_record is a PL/pgSQL function that inserts one row into a table
with the columns and indexes of touchpoints, not partitioned. Single calls: pgbench, prepared, 2 s a run, transactions a second,
fsync off. A touchpoint of the hub is three rows: itself, its key, and a note for the next refresh().

MD
  sql <<'SQL'
SELECT '| record | 1 client: tps | 2 clients: tps | 8 clients: tps | 8 clients, ratio to plain_record | to SELECT 1 |' || E'\n|---|---:|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s |', v.what, whole(a.median), whole(b.median), whole(c.median), round((c.median / p.median)::numeric, 2), round((c.median / n.median)::numeric, 2))
FROM (VALUES (1, 'nothing', 'floor: SELECT 1'), (2, 'plain', 'floor: plain_record'), (3, 'known', 'an identifier that is known'), (4, 'notify', 'the same, with NOTIFY'),
             (5, 'new', 'an identifier that is new'), (6, 'both', 'two identifiers, new evidence')) v(n, name, what)
     JOIN summary a ON a.section = 'hub_record_1' AND a.name = v.name JOIN summary b ON b.section = 'hub_record_2' AND b.name = v.name
     JOIN summary c ON c.section = 'hub_record_8' AND c.name = v.name JOIN summary p ON p.section = 'hub_record_8' AND p.name = 'plain'
     JOIN summary n ON n.section = 'hub_record_8' AND n.name = 'nothing'
ORDER BY v.n;
SELECT '';
SELECT '| many, one session | thousand touchpoints/s | µs a touchpoint | ratio to COPY |' || E'\n|---|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s |', v.what, plain(s.median), plain(1000 / s.median), round((s.median / c.median)::numeric, 2))
FROM (VALUES (1, 'copy', 'floor: COPY of the same rows'), (2, 'array', 'floor: making the arrays of record_many'), (3, 'known', 'record_many of 1,000, one known identifier each'),
             (4, 'unkeyed', 'the same without keys'), (5, 'both', 'record_many of 1,000, two identifiers each, new evidence'),
             (6, 'ingest', 'ingest_many of 1,000 payloads, one known identifier each'), (7, 'attach', 'attach_source with its backfill')) v(n, name, what)
     JOIN summary s ON s.section = 'hub_many' AND s.name = v.name JOIN summary c ON c.section = 'hub_many' AND c.name = 'copy'
ORDER BY v.n;
SELECT '';
SELECT '| journeys | median ms | min | max | runs | ratio to a rebuild |' || E'\n|---|---:|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s |', s.name, plain(s.median), plain(s.min), plain(s.max), (SELECT count(*) FROM result r WHERE r.section = s.section AND r.name = s.name),
              round((s.median / r.median)::numeric, 3))
FROM summary s, summary r WHERE s.section = 'hub_journeys' AND r.section = 'hub_journeys' AND r.name = 'rebuild' ORDER BY s.median DESC;
SELECT '';
SELECT '| one customer by identifier, 2 clients | latency ms, median | 99th percentile | max | ratio of medians to the rows alone |' || E'\n|---|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s |', v.what, plain(s.median / 1000), plain(s.p99 / 1000), plain(s.max / 1000), round((s.median / f.median)::numeric, 2))
FROM (VALUES (1, 'floor', 'floor: the rows of touchpoints'), (2, 'timeline', 'timeline'), (3, 'last', 'the last 20 rows of timeline'), (4, '360', 'customer_360'),
             (5, 'journey', 'current_journeys'), (6, 'often_floor', 'floor: the rows, customers as often as they have touchpoints'), (7, 'often', 'timeline of these')) v(n, name, what)
     JOIN LATERAL (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS median, percentile_cont(0.99) WITHIN GROUP (ORDER BY value) AS p99, max(value) AS max
                   FROM result WHERE section = 'hub_read' AND name = v.name) s ON true
     JOIN LATERAL (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS median FROM result WHERE section = 'hub_read' AND name = 'floor') f ON true
ORDER BY v.n;
SELECT '';
SELECT format('Half of the customers have over %s touchpoints, one in a hundred over %s. Where they are looked at as often as they have touchpoints, half of the looks find over %s, one in a hundred over %s.',
              c.half, c.hundredth, l.half, l.hundredth)
FROM (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY touchpoints) AS half, percentile_disc(0.99) WITHIN GROUP (ORDER BY touchpoints) AS hundredth FROM customers) c,
     (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY touchpoints) AS half, percentile_disc(0.99) WITHIN GROUP (ORDER BY touchpoints) AS hundredth FROM looked_at JOIN customers USING (customer_id)) l;
SQL
  echo; echo "Changed since the last refresh, in its measure above: $pending."
  [ "$flaws" = 0 ] || echo "**Beware:** a rebuild after the refreshes changed $flaws journeys."
  echo; } | print
sql <<'SQL'
INSERT INTO aim
SELECT n, aim, measured, met FROM (
    SELECT 16, 'hub: record, 8 clients: at least 5,000 a second', round(median::numeric), median >= 5000
    FROM summary WHERE section = 'hub_record_8' AND name = 'notify'
    UNION ALL
    SELECT 17, format('hub: %s: at least half of COPY''s rate', CASE s.name WHEN 'known' THEN 'record_many' ELSE 'ingest_many' END), round((s.median / c.median)::numeric, 2), s.median >= 0.5 * c.median
    FROM summary s, summary c WHERE s.section = 'hub_many' AND s.name IN ('known', 'ingest') AND c.section = 'hub_many' AND c.name = 'copy'
    UNION ALL
    SELECT 18, 'hub: refresh of one touchpoint in a hundred: at most 5 % of a rebuild', round((s.median / r.median)::numeric, 3), s.median <= 0.05 * r.median
    FROM summary s, summary r WHERE s.section = 'hub_journeys' AND s.name LIKE 'refresh after%' AND r.section = 'hub_journeys' AND r.name = 'rebuild'
    UNION ALL
    SELECT 19, 'hub: timeline of one customer, 2 clients: 99th percentile under 5 ms', round((percentile_cont(0.99) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 2),
           percentile_cont(0.99) WITHIN GROUP (ORDER BY value) < 5000
    FROM result WHERE section = 'hub_read' AND name = 'timeline') a(n, aim, measured, met);
DROP TABLE plain, batch, orders, looked_at;
SELECT journey_drop_hub('hub', true);
SQL
