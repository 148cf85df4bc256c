# attach.sh: the benchmark's part "attach", sourced by run.
#
# What an attached table costs who writes it: statements of one row and of a thousand, each at random on the bare table
# or on one that is attached, so that noise hits all alike. How fast what was noted is fed, against the backfill of as
# many rows; whether it stays so while dead notes can't be removed; mending by resync_source; and the backfill of a
# million rows.

say "attach: tables"
at_most() { awk "BEGIN { n = $SCALE * $1; printf \"%d\", (n > $1 ? $1 : n < 20000 ? 20000 : n) }"; }
fed=$(at_most 100000)
filled=$(at_most 1000000)
mended=20000
rows_touchpoint=$fed rows_evidence=$mended rows_traits=$mended
do_sql <<'SQL'
SELECT journey_create_hub('attached');
UPDATE attached.settings SET notify = false;
CALL attached.maintain(since => '2026-01-01');
CREATE TABLE bare_orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, ordered_at timestamptz NOT NULL, total numeric, email text, note text);
CREATE SEQUENCE order_ids;
SQL
touchpoint="\"occurred_at\": \"ordered_at\", \"channel\": \"'store'\", \"action\": \"'purchase'\", \"value\": \"total\", \"identifiers\": {\"customer\": \"customer_id\"}"
evidence='"makes": "evidence", "occurred_at": "ordered_at", "identifiers": {"customer": "customer_id", "email": "email"}'
traits="\"makes\": \"traits\", \"identifiers\": {\"customer\": \"customer_id\"}, \"traits\": {\"email\": \"email\", \"total\": \"total\", \"note\": \"note\"}"
attach() { # table, mapping, further arguments
    sql -c "SET client_min_messages = warning" -c "SELECT attached.attach_source('$1', \$\${$2}\$\$${3:+, $3})" >/dev/null
}
like_bare() { sql -c "CREATE TABLE $1 (LIKE bare_orders INCLUDING ALL)"; }
# INSERT of so many rows, of customers by their numbers
insert() { # table, rows
    echo "INSERT INTO $1 (id, customer_id, ordered_at, total, email)
          SELECT nextval('order_ids'), c.id, '2026-03-01Z'::timestamptz + i % 2500000 * interval '1 s', 10, 'c' || c.id || '@example.pt'
          FROM generate_series(1, $2) i, LATERAL (SELECT 1 + (i::bigint * 7919) % $customers AS id) c"
}

kinds="bare queued row immediate"
ones=20000 many=320
for kind in $kinds; do
    table=${kind}_orders
    [ "$kind" = bare ] || like_bare "$table"
    sql -c "CREATE SEQUENCE doomed_$kind" -c "SELECT setval('order_ids', 1, false)" -c "$(insert "$table" 150000)" >/dev/null
    sql -c "VACUUM ANALYZE $table"
    [ "$kind" = bare ] || attach "$table" "$touchpoint" "feed => '$kind', backfill => $([ "$kind" = immediate ] && echo true || echo false)"
    # rows to 100,000 stay; those above are deleted
    one="\\set id random(1, 100000)"
    some="\\set id 1000 * random(0, 99)"
    these="id > :id AND id <= :id + 1000"
    script "attach_one_insert_$kind" "INSERT INTO $table (id, customer_id, ordered_at, total) VALUES (nextval('order_ids'), 7, '2026-03-09Z', 10);"
    script "attach_one_update_$kind" "$one" "UPDATE $table SET total = total + 1 WHERE id = :id;"
    script "attach_one_unused_$kind" "$one" "UPDATE $table SET note = 'x' WHERE id = :id;"
    script "attach_one_none_$kind" "UPDATE $table SET total = total + 1 WHERE id = -1;"
    script "attach_one_delete_$kind" "DELETE FROM $table WHERE id = (SELECT 100000 + nextval('doomed_$kind'));"
    script "attach_many_insert_$kind" "$(insert "$table" 1000);"
    script "attach_many_update_$kind" "$some" "UPDATE $table SET total = total + 1 WHERE $these;"
    script "attach_many_unused_$kind" "$some" "UPDATE $table SET note = 'x' WHERE $these;"
    script "attach_many_delete_$kind" "DELETE FROM $table t USING (SELECT 110000 + 1000 * nextval('doomed_$kind') AS id OFFSET 0) d WHERE t.id > d.id AND t.id <= d.id + 1000;"
done
sql -c "SELECT setval('order_ids', 1000000)" >/dev/null
# Latency of each statement on each of the tables: section, transactions, names
each_at_random() {
    local section=$1 count=$2 name kind files=() names=() n=0
    shift 2
    for name; do
        for kind in $kinds; do
            files+=(-f "$dir/${section}_${name}_$kind")
            names+=("$name $kind")
        done
    done
    for kind in $kinds; do sql -c "SELECT setval('doomed_$kind', 1, false)"; done >/dev/null
    (cd "$dir" && "$bin/pgbench" -n -M prepared -c 1 -t "$count" --random-seed=7 -l --log-prefix="$dir/latency_$section" "${files[@]}" bench >"$dir/pgbench" 2>&1) || die "pgbench: $(cat "$dir/pgbench")"
    printf '%s\n' "${names[@]}" | awk -v section="$section" 'NR == FNR { name[n++] = $0; next } { print section "\t" name[$4] "\t" $3 }' - "$dir/latency_$section".* |
        sql -c "COPY result (section, name, value) FROM STDIN"
}
say "attach: writers of one row"
each_at_random attach_one "$ones" insert update unused none delete
say "attach: writers of a thousand rows"
each_at_random attach_many "$many" insert update unused delete
for kind in queued row immediate; do sql -c "SELECT attached.detach_source('${kind}_orders', keep => false)" >/dev/null; done

rate() { # name, rows, statements
    local name=$1 rows=$2 started
    started=$(date +%s%N)
    sql -c "SET client_min_messages = warning" "${@:3}" >/dev/null
    note attach_rate "$name" "1e9 * $rows / $(($(date +%s%N) - started))"
}
say "attach: feeding"
for kind in touchpoint evidence traits; do
    kind_rows=rows_$kind
    like_bare "filled_$kind"
    # once, so that all runs find the same identities
    sql -c "SELECT setval('order_ids', 1, false)" -c "$(insert "filled_$kind" "${!kind_rows}")" >/dev/null
    attach "filled_$kind" "${!kind}"
    sql -c "SELECT attached.detach_source('filled_$kind', keep => false)" >/dev/null
done
sql -c "VACUUM ANALYZE"
for run in $(seq 1 $((RUNS < 3 ? RUNS : 3))); do
    for kind in touchpoint evidence traits; do
        table=filled_$kind kind_rows=rows_$kind
        rows=${!kind_rows}
        sql -c "TRUNCATE $table" -c "SELECT setval('order_ids', 1, false)" -c "$(insert "$table" "$rows")" >/dev/null
        rate "backfill $kind" "$rows" -c "SELECT attached.attach_source('$table', \$\${${!kind}}\$\$)"
        if [ "$kind" = touchpoint ]; then
            # a row of each of twenty thousand
            sql -c "DELETE FROM $table WHERE id > $mended"
            sql -c "CALL attached.feed()" >/dev/null
            rate "resync same" "$mended" -c "SELECT attached.resync_source('$table')"
            sql -c "ALTER TABLE $table DISABLE TRIGGER USER" -c "UPDATE $table SET total = total + 1"
            rate "resync changed" "$mended" -c "SELECT attached.resync_source('$table')"
            sql -c "UPDATE $table SET customer_id = customer_id % $customers + 1"
            rate "resync others" "$mended" -c "SELECT attached.resync_source('$table')"
        fi
        sql -c "SELECT attached.detach_source('$table', keep => false)" -c "TRUNCATE $table" >/dev/null
        attach "$table" "${!kind}"
        sql -c "SELECT setval('order_ids', 1, false)" -c "$(insert "$table" "$rows")" >/dev/null
        rate "feed $kind" "$rows" -c "CALL attached.feed()"
        if [ "$kind" = touchpoint ]; then
            sql -c "UPDATE $table SET total = total + 1"
            rate "feed changed" "$rows" -c "CALL attached.feed()"
        fi
        sql -c "SELECT attached.detach_source('$table', keep => false)" >/dev/null
    done
done

say "attach: $filled rows"
sql -c "TRUNCATE filled_touchpoint" -c "SELECT setval('order_ids', 1, false)" -c "$(insert filled_touchpoint "$filled")" >/dev/null
rate attach "$filled" -c "SELECT attached.attach_source('filled_touchpoint', \$\${$touchpoint}\$\$)"

{ cat <<MD
## Attached tables

Statements on a table that is attached beside the same on a bare one, each at random in one session (pgbench, 1 client, prepared); medians.

MD
  sql -v fed="$fed" -v mended="$mended" -v filled="$filled" <<'SQL'
SELECT '| statement | bare: µs | queued: µs more | row: µs more | immediate: µs more | queued: µs more a row |' || E'\n|---|---:|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s |', v.what, plain(b.median), plain(q.median - b.median), plain(r.median - b.median),
              plain(i.median - b.median), plain((q.median - b.median) / v.rows))
FROM (VALUES (1, 'attach_one', 'insert', 'INSERT of one row', 1), (2, 'attach_one', 'update', 'UPDATE of one row', 1),
             (3, 'attach_one', 'unused', 'UPDATE of one row, of a column the mapping does not use', 1),
             (4, 'attach_one', 'none', 'UPDATE of no row', 1), (5, 'attach_one', 'delete', 'DELETE of one row', 1),
             (6, 'attach_many', 'insert', 'INSERT of 1,000 rows', 1000), (7, 'attach_many', 'update', 'UPDATE of 1,000 rows', 1000),
             (8, 'attach_many', 'unused', 'UPDATE of 1,000 rows, of a column the mapping does not use', 1000),
             (9, 'attach_many', 'delete', 'DELETE of 1,000 rows', 1000)) v(n, section, name, what, rows)
     JOIN summary b ON b.section = v.section AND b.name = v.name || ' bare'
     JOIN summary q ON q.section = v.section AND q.name = v.name || ' queued'
     JOIN summary r ON r.section = v.section AND r.name = v.name || ' row'
     JOIN summary i ON i.section = v.section AND i.name = v.name || ' immediate'
ORDER BY v.n;
SELECT '';
SELECT '| one session | rows | rows a second, median | ratio to the backfill |' || E'\n|---|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s |', v.what, whole(v.rows), whole(s.median), coalesce(round((s.median / b.median)::numeric, 2)::text, ''))
FROM (VALUES (1, 'backfill touchpoint', 'attach_source with its backfill', :fed, 'touchpoint'), (2, 'feed touchpoint', 'feed() of new rows', :fed, 'touchpoint'),
             (3, 'feed changed', 'feed() of rows that have changed', :fed, 'touchpoint'),
             (4, 'backfill evidence', 'evidence alone: attach_source', :mended, 'evidence'), (5, 'feed evidence', 'evidence alone: feed()', :mended, 'evidence'),
             (6, 'backfill traits', 'traits alone: attach_source', :mended, 'traits'), (7, 'feed traits', 'traits alone: feed()', :mended, 'traits'),
             (8, 'resync same', 'resync_source, nothing to mend', :mended, NULL), (9, 'resync changed', 'resync_source, values of all rows differ', :mended, NULL),
             (10, 'resync others', 'resync_source, all rows are of other customers', :mended, NULL),
             (11, 'attach', 'attach_source with its backfill', :filled, NULL)) v(n, name, what, rows, kind)
     JOIN summary s ON s.section = 'attach_rate' AND s.name = v.name LEFT JOIN summary b ON b.section = 'attach_rate' AND b.name = 'backfill ' || v.kind
ORDER BY v.n;
SELECT '';
SQL
} | print
sql -v mended="$mended" <<'SQL'
WITH more AS (
    SELECT a.section, a.name, a.median - b.median AS us
    FROM summary a JOIN summary b ON b.section = a.section AND b.name = replace(a.name, 'queued', 'bare') WHERE a.name LIKE '% queued'
), rate AS (
    SELECT name, median FROM summary WHERE section = 'attach_rate'
)
INSERT INTO aim
SELECT 40, 'attached: at most 20 µs a row in statements of 1,000 rows', round((max(m.us) / 1000)::numeric, 1), max(m.us) <= 20000 FROM more m WHERE m.section = 'attach_many'
UNION ALL
SELECT 41, 'attached: at most 60 µs for a single insert', round(m.us::numeric, 1), m.us <= 60 FROM more m WHERE m.section = 'attach_one' AND m.name = 'insert queued'
UNION ALL
SELECT 42, 'attached: nothing (at most 15 µs) for a statement that changes no row', round(m.us::numeric, 1), m.us <= 15 FROM more m WHERE m.name = 'none queued'
UNION ALL
SELECT 43, 'attached: noted rows are fed at the rate of the backfill (0.9)', round((f.median / b.median)::numeric, 2), f.median >= 0.9 * b.median
FROM rate f, rate b WHERE f.name = 'feed touchpoint' AND b.name = 'backfill touchpoint'
UNION ALL
SELECT 44, 'attached: resync_source mends 20,000 rows that differ in 1 s', round((:mended / r.median)::numeric, 1), :mended / r.median <= 1 FROM rate r WHERE r.name = 'resync changed';
SELECT journey_drop_hub('attached', true);
DROP TABLE bare_orders, queued_orders, row_orders, immediate_orders, filled_touchpoint, filled_evidence, filled_traits;
DROP SEQUENCE order_ids, doomed_bare, doomed_queued, doomed_row, doomed_immediate;
SQL
