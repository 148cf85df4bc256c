# attach.sh: the benchmark's part "attach", sourced by run.
#
# What an attached table costs who writes it: statements of a thousand rows and of one, against
# the bare table in the same run. And feed() of what was noted, against the backfill of as many.

say "attach: tables"
rows=$(awk "BEGIN { printf \"%d\", $SCALE * 100000 }")
[ "$rows" -ge 20000 ] || rows=20000
do_sql <<'SQL'
SELECT journey_create_hub('attached');
UPDATE attached.settings SET notify = false;
CALL attached.maintain(since => '2026-01-01');
CREATE TABLE attached_orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, ordered_at timestamptz NOT NULL, total numeric, note text);
CREATE TABLE bare_orders (LIKE attached_orders INCLUDING ALL);
CREATE SEQUENCE order_ids;
CREATE TABLE filled_orders (LIKE attached_orders INCLUDING ALL);
SQL
mapping="\$\${\"occurred_at\": \"ordered_at\", \"channel\": \"'store'\", \"action\": \"'purchase'\", \"value\": \"total\", \"identifiers\": {\"customer\": \"customer_id\"}}\$\$"
sql -c "SELECT attached.attach_source('attached_orders', $mapping)" >/dev/null
# rows of customers by their numbers
some() { printf "SELECT nextval('order_ids'), 1 + (i::bigint * 7919) %% $customers, '2026-03-01Z'::timestamptz + i %% 2500000 * interval '1 s', 10 FROM generate_series(1, $1) i"; }
for kind in bare attached; do
    script "attach_${kind}_many" "INSERT INTO ${kind}_orders (id, customer_id, ordered_at, total) $(some 1000);"
    script "attach_${kind}_update" "\\set n random(0, 9)" "UPDATE ${kind}_orders SET total = total + 1 WHERE id % 10 = :n AND id <= (SELECT min(id) + 10000 FROM ${kind}_orders);"
    script "attach_${kind}_unused" "\\set n random(0, 9)" "UPDATE ${kind}_orders SET note = 'x' WHERE id % 10 = :n AND id <= (SELECT min(id) + 10000 FROM ${kind}_orders);"
    script "attach_${kind}_one" "INSERT INTO ${kind}_orders (id, customer_id, ordered_at, total) VALUES (nextval('order_ids'), 7, now(), 10);"
done
say "attach: writers"
turns attach_writer attach 1 2 bare_many@20 attached_many@20 bare_update@20 attached_update@20 bare_unused@20 attached_unused@20 bare_one attached_one

say "attach: feeding"
sql -c "TRUNCATE attached_orders" -c "TRUNCATE attached.feed_notes"
for run in $(seq 1 "$RUNS"); do
    sql -c "TRUNCATE filled_orders" -c "INSERT INTO filled_orders (id, customer_id, ordered_at, total) $(some "$rows")"
    started=$(date +%s%N)
    sql -c "SELECT attached.attach_source('filled_orders', $mapping)" >/dev/null
    note attach_rate backfill "1e9 * $rows / $(($(date +%s%N) - started))"
    started=$(date +%s%N)
    sql -c "SELECT attached.resync_source('filled_orders')" >/dev/null
    note attach_rate resync "1e9 * $rows / $(($(date +%s%N) - started))"
    sql -c "SELECT attached.detach_source('filled_orders', keep => false)" -c "INSERT INTO attached_orders (id, customer_id, ordered_at, total) $(some "$rows")" >/dev/null
    started=$(date +%s%N)
    sql -c "CALL attached.feed()" >/dev/null
    note attach_rate feed "1e9 * $rows / $(($(date +%s%N) - started))"
done

{ echo "## Attached tables"; echo
  sql <<'SQL'
SELECT '| statement | bare: µs a row | attached: µs a row | trigger: µs a row |' || E'\n|---|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s |', v.what, plain(1e6 / b.median / v.rows), plain(1e6 / a.median / v.rows), plain((1e6 / a.median - 1e6 / b.median) / v.rows))
FROM (VALUES (1, 'many', 'INSERT of 1,000 rows', 1000), (2, 'update', 'UPDATE of 1,000 rows', 1000), (3, 'unused', 'UPDATE of 1,000 rows that changes nothing the mapping uses', 1000),
             (4, 'one', 'INSERT of one row', 1)) v(n, name, what, rows)
     JOIN summary a ON a.section = 'attach_writer' AND a.name = 'attached_' || v.name JOIN summary b ON b.section = 'attach_writer' AND b.name = 'bare_' || v.name
ORDER BY v.n;
SELECT '';
SELECT '| rows a second, one session | median | ratio to the backfill |' || E'\n|---|---:|---:|';
SELECT format('| %s | %s | %s |', v.what, whole(s.median), round((s.median / b.median)::numeric, 2))
FROM (VALUES (1, 'backfill', 'attach_source with its backfill'), (2, 'feed', 'feed() of what was noted'), (3, 'resync', 'resync_source, nothing to mend')) v(n, name, what)
     JOIN summary s ON s.section = 'attach_rate' AND s.name = v.name JOIN summary b ON b.section = 'attach_rate' AND b.name = 'backfill'
ORDER BY v.n;
SELECT '';
SQL
} | print
sql <<'SQL'
INSERT INTO aim
SELECT n, aim, measured, met FROM (
    SELECT 40, 'attached: at most 20 µs a row in statements of 1,000', round(((1e6 / a.median - 1e6 / b.median) / 1000)::numeric, 1), (1e6 / a.median - 1e6 / b.median) / 1000 <= 20
    FROM summary a, summary b WHERE a.section = 'attach_writer' AND b.section = 'attach_writer' AND a.name = 'attached_many' AND b.name = 'bare_many'
    UNION ALL
    SELECT 41, 'attached: at most 60 µs for a single insert', round((1e6 / a.median - 1e6 / b.median)::numeric, 1), 1e6 / a.median - 1e6 / b.median <= 60
    FROM summary a, summary b WHERE a.section = 'attach_writer' AND b.section = 'attach_writer' AND a.name = 'attached_one' AND b.name = 'bare_one'
    UNION ALL
    SELECT 42, 'attached: noted rows are fed at the rate of the backfill', round((f.median / b.median)::numeric, 2), f.median >= b.median
    FROM summary f, summary b WHERE f.section = 'attach_rate' AND b.section = 'attach_rate' AND f.name = 'feed' AND b.name = 'backfill') a(n, aim, measured, met);
SELECT journey_drop_hub('attached', true);
DROP TABLE attached_orders, bare_orders, filled_orders;
DROP SEQUENCE order_ids;
SQL
