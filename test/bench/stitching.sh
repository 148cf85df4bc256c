# stitching.sh: the benchmark's part "stitching", sourced by run.
#
# A hub of a million identities (times SCALE) in customers of two. Single calls by
# pgbench from one and eight clients, against a statement that does nothing and plain
# functions that insert what identify() must at least insert into tables with the same
# indexes; batches, against INSERT and COPY of the same rows; reading, against a look-up
# by primary key; and large operations, one by one. Where a call uses customers up, as
# merging does, a run is of so many transactions that they last.

say "stitching: loading"
loaded=$(awk "BEGIN { printf \"%d\", $SCALE * 1000000 }")    # identities of the hub crm, and of the largest component
large=$((loaded / 10))                                       # identities of each of two components that merge
do_sql <<'SQL'
SELECT journey_create_hub('crm'), journey_create_hub('big');
SELECT big.set_quarantine_above(NULL);
CREATE TABLE plain_identities (LIKE crm.identities INCLUDING ALL);
CREATE TABLE plain_evidence (LIKE crm.evidence INCLUDING ALL);
CREATE SEQUENCE plain_ids;
CREATE SEQUENCE pairs_turn;
CREATE SEQUENCE block_turn;
CREATE FUNCTION plain_evidence(key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.plain_evidence (source, source_key, identities, observed_at, recorded_at)
    VALUES ('plain', key, ARRAY[1, 2], now(), now());
END $$;
CREATE FUNCTION plain_identify(a identifier, b identifier, key text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    id bigint := nextval('bench.plain_ids');
    other bigint := nextval('bench.plain_ids');
BEGIN
    INSERT INTO bench.plain_identities (identity_id, identifier, customer_id, member_since, first_seen, last_seen, blocked, shared)
    VALUES (id, a, id, now(), now(), now(), false, false), (other, b, id, now(), now(), now(), false, false);
    INSERT INTO bench.plain_evidence (source, source_key, identities, observed_at, recorded_at)
    VALUES ('plain', key, ARRAY[id, other], now(), now());
    RETURN id;
END $$;
-- Links 1 to last in calls of a thousand: pairs, or a random tree, in which each is
-- linked to one before, every second to one of the last ten
CREATE PROCEDURE load(hub text, kind text, last bigint) LANGUAGE plpgsql AS $$
DECLARE link text := CASE kind WHEN 'c' THEN $q$ARRAY[identifier('c', (2 * i)::text), identifier('c', (2 * i + 1)::text)]$q$
    ELSE format($q$ARRAY[identifier(%1$L, i::text), identifier(%1$L, CASE WHEN i %% 2 = 0 THEN i - 1 - h %% least(i, 10) ELSE h %% i END::text)]$q$, kind) END;
BEGIN
    FOR n IN 1..last BY 1000 LOOP
        EXECUTE format('SELECT cardinality(%1$I.identify_many(array_agg((%2$s, now(), %3$L, i::text)::%1$I.observation)))
                        FROM (SELECT i, hashint8(i) & 2147483647 AS h FROM generate_series(%4$s::bigint, %5$s) i) s',
                       hub, link, kind, n, least(n + 999, last));
        COMMIT;
    END LOOP;
END $$;
SQL
load() { # hub, kind, links
    local started=$(date +%s%N)
    sql -c "CALL load('$1', '$2', $3)"
    note stitching_large "identify_many of $(($3 / 1000)) thousand links, $4" $((($(date +%s%N) - started) / 1000000))
    for t in identities customers evidence; do sql -c "VACUUM ANALYZE $1.$t"; done
}
load crm c $((loaded / 2)) "all new pairs"
sql -c "CREATE TABLE plain_lookup AS SELECT identifier, customer_id FROM crm.identities" \
    -c "ALTER TABLE plain_lookup ADD PRIMARY KEY (identifier)" -c "VACUUM (FREEZE, ANALYZE) plain_lookup"

# ---- reading, while nothing has changed ------------------------------------

some="\\set n random(1, $((loaded / 2)))"
say "stitching: reading"
printf '%s\n' "$some" "SELECT identifier('c', (2 * :n)::text);" > "$dir/read_nothing"
printf '%s\n' "$some" "SELECT customer_id FROM plain_lookup WHERE identifier = identifier('c', (2 * :n)::text);" > "$dir/read_lookup"
printf '%s\n' "$some" "SELECT crm.customer_of(identifier('c', (2 * :n)::text));" > "$dir/read_customer_of"
printf '%s\n' "$some" "SELECT crm.customer_at(identifier('c', (2 * :n)::text), now());" > "$dir/read_customer_at"
printf '%s\n' "$some" "SELECT crm.identifiers_of(crm.customer_of(identifier('c', (2 * :n)::text)));" > "$dir/read_identifiers_of"
turns stitching_read read 2 2 nothing lookup customer_of customer_at identifiers_of
repeated stitching_large "stitch_check, $loaded identities in pairs" "SELECT count(*) FROM crm.stitch_check()"
repeated stitching_large "stitch_all, $loaded identities in pairs" "SELECT crm.stitch_all()"

# ---- single calls ----------------------------------------------------------

key="source => 'sql', source_key => 'r' || :r"
script call_nothing "$unique" "SELECT 1;"
script call_plain_evidence "$unique" "SELECT plain_evidence('r' || :r);"
script call_plain_new "$unique" "SELECT plain_identify(identifier('new', :r::text), identifier('other', :r::text), 'r' || :r);"
script call_new "$unique" "SELECT crm.identify(ARRAY[identifier('new', :r::text), identifier('other', :r::text)], $key);"
script call_join "$unique" "$some" "SELECT crm.identify(ARRAY[identifier('c', (2 * :n)::text), identifier('new', :r::text)], $key);"
script call_merge "$unique" "SELECT nextval('pairs_turn') AS n \\gset" \
    "SELECT crm.identify(ARRAY[identifier('c', (4 * :n)::text), identifier('c', (4 * :n + 2)::text)], $key);"
script call_known "$unique" "$some" "SELECT crm.identify(ARRAY[identifier('c', (2 * :n)::text), identifier('c', (2 * :n + 1)::text)], $key);"
script call_replay "$some" "SELECT crm.identify(ARRAY[identifier('c', (2 * :n)::text), identifier('c', (2 * :n + 1)::text)], source => 'c', source_key => (:n)::text);"
script call_one "$some" "SELECT crm.identify(ARRAY[identifier('c', (2 * :n)::text)]);"
merges=$((loaded / 4 / 2 / (RUNS + 1)))        # transactions of a run
for clients in 1 8; do
    say "stitching: single calls, $clients clients"
    turns stitching_$clients call $clients 2 nothing plain_evidence plain_new new join merge@$((merges / clients)) known replay one
done

# ---- batches ---------------------------------------------------------------

say "stitching: batches"
for t in identities customers evidence; do sql -c "VACUUM ANALYZE crm.$t"; done
# a thousand new pairs; a thousand links within 50 new customers of 20; a thousand between as many customers that are there
pair="ARRAY[identifier('b', :r || '-' || 2 * i), identifier('b', :r || '-' || 2 * i + 1)]"
within="ARRAY[identifier('w', :r || '-' || 20 * (i % 50) + i / 50), identifier('w', :r || '-' || 20 * (i % 50) + (i / 50 + 1 + i % 19) % 20)]"
among="ARRAY[identifier('c', (2 * (1000 * :n + i % 1000))::text), identifier('c', (2 * (1000 * :n + (i * 7 + 13) % 1000))::text)]"
observations() { echo "array_agg(($1, now(), 'batch', :r || '-' || i)::crm.observation) AS o FROM generate_series(1, 1000) i"; }
script batch_array "$unique" "SELECT cardinality(o) FROM (SELECT $(observations "$pair")) s;"
script batch_insert "$unique" "BEGIN;" \
    "INSERT INTO plain_identities (identity_id, identifier, customer_id, member_since, first_seen, last_seen, blocked, shared)" \
    "SELECT nextval('plain_ids'), identifier('b', :r || '-' || i), i, now(), now(), now(), false, false FROM generate_series(1, 2000) i;" \
    "INSERT INTO plain_evidence (source, source_key, identities, observed_at, recorded_at)" \
    "SELECT 'plain', :r || '-' || i, ARRAY[2 * i, 2 * i + 1], now(), now() FROM generate_series(1, 1000) i;" "END;"
script batch_new "$unique" "SELECT cardinality(crm.identify_many(o)) FROM (SELECT $(observations "$pair")) s;"
script batch_within "$unique" "SELECT cardinality(crm.identify_many(o)) FROM (SELECT $(observations "$within")) s;"
script batch_among "$unique" "SELECT nextval('block_turn') AS n \\gset" "SELECT cardinality(crm.identify_many(o)) FROM (SELECT $(observations "$among")) s;"
blocks=$((loaded / 2000 / 2 / (RUNS + 1)))
for clients in 1 2; do
    turns stitching_batch_$clients batch $clients 3 array insert new within among@$(((blocks + clients - 1) / clients))
done
sql -c "COPY (SELECT i, identifier('copy', i::text), i, now(), now(), now(), false, false FROM generate_series(1, 200000) i) TO '$dir/copy_identities'" \
    -c "COPY (SELECT 'copy', i, ARRAY[2 * i, 2 * i + 1], now(), now() FROM generate_series(1, 100000) i) TO '$dir/copy_evidence'"
for run in $(seq 0 "$RUNS"); do
    sql -c "TRUNCATE plain_identities, plain_evidence"
    started=$(date +%s%N)
    sql -c "COPY plain_identities (identity_id, identifier, customer_id, member_since, first_seen, last_seen, blocked, shared) FROM '$dir/copy_identities'" \
        -c "COPY plain_evidence (source, source_key, identities, observed_at, recorded_at) FROM '$dir/copy_evidence'"
    note "$([ "$run" = 0 ] && echo warm || echo stitching_batch_1)" copy "1e9 * 100 / $(($(date +%s%N) - started))"
done

# ---- large operations ------------------------------------------------------

say "stitching: large components"
load big ten 9999 "one component"
for i in 9998 5000 500 50 5; do splits="${splits:-}${splits:+,}$(quoted "SELECT big.retract('ten', '$i')")"; done
sql -c "SELECT big.identify(ARRAY['ten:5001', 'ten:77']::identifier[], source => 'sql', source_key => 'more-' || i) FROM generate_series(1, 2) i" >/dev/null
timed stitching_large "retract of evidence seen twice, component of 10,000" "$(quoted "SELECT big.retract('sql', 'more-1')")"
timed stitching_large "retract of a link, component of 10,000" "$splits"
load big left $((large - 1)) "one component"
load big right $((large - 1)) "one component"
for run in $(seq 1 "$RUNS"); do
    timed stitching_large "merge of two components of $large" "$(quoted "SELECT big.identify(ARRAY['left:$run', 'right:$run']::identifier[], source => 'sql', source_key => 'both-$run')")"
    timed stitching_large "retract that parts them again" "$(quoted "SELECT big.retract('sql', 'both-$run')")"
done
load big all $((loaded - 1)) "one component"
for run in $(seq 1 "$RUNS"); do
    timed stitching_large "identify of a new identity, component of $loaded" "$(quoted "SELECT big.identify(ARRAY['all:$run', 'new:$run']::identifier[], source => 'sql', source_key => 'all-$run')")"
    timed stitching_large "retract of the same" "$(quoted "SELECT big.retract('sql', 'all-$run')")"
done
repeated stitching_large "stitch_check of the hub with these components" "SELECT count(*) FROM big.stitch_check()"
repeated stitching_large "stitch_all of the hub with these components" "SELECT big.stitch_all()"
flaws=$(sql -c "SELECT (SELECT count(*) FROM crm.stitch_check()) + (SELECT count(*) FROM big.stitch_check())")

# ---- report ----------------------------------------------------------------

{ cat <<'MD'
## Stitching

Single calls: pgbench, prepared, 2 s a run, transactions a second, fsync off. plain_new is a PL/pgSQL function that inserts two
identities and one row of evidence, plain_evidence one that inserts the row of evidence alone, into tables with the hub's columns and indexes.

MD
  sql <<'SQL'
SELECT '| call | 1 client: tps | min | max | 8 clients: tps | min | max | 8 clients, ratio to plain_new | to SELECT 1 |'
       || E'\n|---|---:|---:|---:|---:|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s | %s |', v.what, whole(a.median), whole(a.min), whole(a.max),
              whole(b.median), whole(b.min), whole(b.max), round((b.median / p.median)::numeric, 2), round((b.median / n.median)::numeric, 2))
FROM (VALUES (1, 'nothing', 'floor: SELECT 1'), (2, 'plain_evidence', 'floor: plain_evidence'), (3, 'plain_new', 'floor: plain_new'),
             (4, 'new', 'identify of two, both new'), (5, 'join', 'identify of two, one new'),
             (6, 'merge', 'identify of two that merges two customers'), (7, 'known', 'identify of two of one customer, new evidence'),
             (8, 'replay', 'identify of two, evidence that is there'), (9, 'one', 'identify of one')) v(n, name, what)
     JOIN summary a ON a.section = 'stitching_1' AND a.name = v.name JOIN summary b ON b.section = 'stitching_8' AND b.name = v.name
     JOIN summary p ON p.section = 'stitching_8' AND p.name = 'plain_new' JOIN summary n ON n.section = 'stitching_8' AND n.name = 'nothing'
ORDER BY v.n;
SELECT '';
SELECT '| identify_many, 1,000 links a call | 1 client: links/s | 2 clients: links/s | µs a link, 1 client | ratio to INSERT |' || E'\n|---|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s |', v.what, whole(1000 * a.median), whole(1000 * b.median), plain(1000 / a.median), round((a.median / i.median)::numeric, 2))
FROM (VALUES (1, 'array', 'floor: the array alone'), (2, 'copy', 'floor: COPY of 100,000 links'), (3, 'insert', 'floor: INSERT, 1,000 links a transaction'),
             (4, 'new', 'new pairs'), (5, 'within', 'within 50 new customers of 20'), (6, 'among', 'between 1,000 customers that are there')) v(n, name, what)
     JOIN summary a ON a.section = 'stitching_batch_1' AND a.name = v.name LEFT JOIN summary b ON b.section = 'stitching_batch_2' AND b.name = v.name
     JOIN summary i ON i.section = 'stitching_batch_1' AND i.name = 'insert'
ORDER BY v.n;
SELECT '';
SELECT '| reading, 2 clients | latency µs, median | min | max | ratio to look-up |' || E'\n|---|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s |', v.what, plain(2e6 / s.median), plain(2e6 / s.max), plain(2e6 / s.min), round((l.median / s.median)::numeric, 2))
FROM (VALUES (1, 'nothing', 'floor: the identifier alone'), (2, 'lookup', 'floor: look-up by primary key'), (3, 'customer_of', 'customer_of'),
             (4, 'customer_at', 'customer_at'), (5, 'identifiers_of', 'identifiers_of(customer_of)')) v(n, name, what)
     JOIN summary s ON s.section = 'stitching_read' AND s.name = v.name JOIN summary l ON l.section = 'stitching_read' AND l.name = 'lookup'
ORDER BY v.n;
SELECT '';
SELECT '| large operations | median ms | min | max | runs |' || E'\n|---|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s |', name, plain(percentile_cont(0.5) WITHIN GROUP (ORDER BY value)), plain(min(value)), plain(max(value)), count(*))
FROM result WHERE section = 'stitching_large' GROUP BY name ORDER BY min(ctid);
SELECT '';
SQL
  [ "$flaws" = 0 ] || echo "**Beware:** stitch_check() finds $flaws rows."
  echo; } | print
sql <<'SQL'
INSERT INTO aim
SELECT n, aim, measured, met FROM (
    SELECT 12, 'stitching: identify of two, both new, 8 clients: at least 10,000 a second', round(median::numeric), median >= 10000
    FROM summary WHERE section = 'stitching_8' AND name = 'new'
    UNION ALL
    SELECT 13, format('stitching: identify_many, %s, %s: at least 100,000 links a second', name, replace(section, 'stitching_batch_', 'clients: ')),
           round(1000 * median::numeric), median >= 100
    FROM summary WHERE section LIKE 'stitching\_batch\__' AND name IN ('new', 'within', 'among')
    UNION ALL
    SELECT 14, 'stitching: customer_of, 2 clients: under 100 µs', round((2e6 / median)::numeric, 1), median > 20000
    FROM summary WHERE section = 'stitching_read' AND name = 'customer_of'
    UNION ALL
    SELECT 15, 'stitching: ' || name || ': under 50 ms', round(median::numeric, 1), median < 50
    FROM summary WHERE section = 'stitching_large' AND name LIKE 'retract of % component of 10,000') a(n, aim, measured, met);
DROP TABLE plain_identities, plain_evidence, plain_lookup;
SELECT journey_drop_hub('crm', true), journey_drop_hub('big', true);
SQL
