# load.sh: the benchmark's part "load", sourced by run.
#
# History comes in. First the calls, each by itself: identify_many, record_many, ingest_many and the backfill of an attached
# table, into a hub that begins empty and has the recommended rules, in batches of several sizes. The floors of each step
# are INSERT and COPY of the rows it has made into plain tables with the same indexes, which grow beside the hub. What
# counts is processor time, so a busy machine does no harm; its tick is 10 ms. Each step is a session of its own, whose
# peak of memory is told. Then a whole history, minute by minute: SCALE=1 is 10 million touchpoints of 2 million
# identifiers, and refresh() at the end.

say "load: making rows"
do_sql <<'SQL'
SELECT journey_create_hub('loaded');
SELECT loaded.use_recommended_rules('PT');
CREATE TABLE load_step (n int GENERATED ALWAYS AS IDENTITY, name text, batch int, rows bigint, cpu numeric, wall numeric, floor numeric, copied numeric, aim numeric, peak bigint);
-- processor time of this session in ms
CREATE FUNCTION load_cpu() RETURNS numeric LANGUAGE sql VOLATILE AS $$
    SELECT (split_part(s, ' ', 12)::numeric + split_part(s, ' ', 13)::numeric) * 10
    FROM (SELECT substring(pg_read_file('/proc/self/stat') FROM '\) (.*)') AS s) x $$;
CREATE FUNCTION load_peak() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (substring(s from 'VmHWM:\s+(\d+)')::bigint - substring(s from 'RssShmem:\s+(\d+)')::bigint) / 1024
    FROM pg_read_file('/proc/self/status') s $$;
SELECT format('CREATE TABLE %1$s_%2$s (LIKE loaded.%3$s INCLUDING ALL)', f, t, CASE t WHEN 'touchpoints' THEN 'touchpoints_default' ELSE t END)
FROM unnest('{plain,copied}'::text[]) f, unnest('{touchpoints,touchpoint_keys,identities,customers,evidence}'::text[]) t \gexec
-- what a step has made: its rows are those that are not in the plain tables yet
CREATE FUNCTION load_floors(dir text, OUT inserted numeric, OUT copied numeric) LANGUAGE plpgsql AS $$
DECLARE
    used numeric;
    t text;
BEGIN
    inserted := 0;
    copied := 0;
    FOREACH t IN ARRAY '{touchpoints,touchpoint_keys,identities,customers,evidence}'::text[] LOOP
        EXECUTE format('CREATE TEMP TABLE made AS SELECT x.* FROM loaded.%1$s x WHERE %2$s', t, CASE t
            WHEN 'touchpoints' THEN 'touchpoint_id > (SELECT coalesce(max(touchpoint_id), 0) FROM bench.plain_touchpoints)'
            WHEN 'touchpoint_keys' THEN 'touchpoint_id > (SELECT coalesce(max(touchpoint_id), 0) FROM bench.plain_touchpoint_keys)'
            WHEN 'identities' THEN 'identity_id > (SELECT coalesce(max(identity_id), 0) FROM bench.plain_identities)'
            WHEN 'customers' THEN 'customer_id > (SELECT coalesce(max(customer_id), 0) FROM bench.plain_customers)'
            ELSE 'recorded_at > (SELECT coalesce(max(recorded_at), ''-infinity'') FROM bench.plain_evidence)' END);
        EXECUTE format('COPY made TO %L', dir || '/made');
        used := bench.load_cpu();
        EXECUTE format('INSERT INTO bench.plain_%s SELECT * FROM made', t);
        inserted := inserted + bench.load_cpu() - used;
        used := bench.load_cpu();
        EXECUTE format('COPY bench.copied_%s FROM %L', t, dir || '/made');
        copied := copied + bench.load_cpu() - used;
        DROP TABLE made;
    END LOOP;
END $$;
-- a call for so many rows from a number on, until all are in; given: what it is called with, of row i
CREATE PROCEDURE load_run(dir text, name text, aim numeric, call text, given text, since int, rows int, batch int) LANGUAGE plpgsql AS $$
DECLARE
    used numeric := 0;
    took numeric := 0;
    began timestamptz;
    c numeric;
BEGIN
    FOR n IN since .. since + rows - 1 BY batch LOOP
        EXECUTE format('CREATE TEMP TABLE given AS SELECT array_agg(%s ORDER BY i) AS given FROM generate_series(%s, %s) i',
                       given, n, least(n + batch, since + rows) - 1);
        COMMIT;
        began := clock_timestamp();
        c := bench.load_cpu();
        EXECUTE format('SELECT %s FROM given', call);
        COMMIT;
        used := used + bench.load_cpu() - c;
        took := took + 1000 * extract(epoch FROM clock_timestamp() - began);
        DROP TABLE given;
    END LOOP;
    INSERT INTO bench.load_step (name, aim, batch, rows, cpu, wall, peak) VALUES (name, aim, batch, rows, used, took, bench.load_peak());
    COMMIT;
    UPDATE bench.load_step s SET (floor, copied) = (SELECT f.inserted, f.copied FROM bench.load_floors(dir) f) WHERE s.n = (SELECT max(n) FROM bench.load_step);
END $$;
CREATE TABLE load_orders (id bigint PRIMARY KEY, who text NOT NULL, ordered_at timestamptz NOT NULL, total numeric);
SQL
some=$((touchpoints / 10)) at=1
[ "$some" -ge 20000 ] || some=20000
[ "$some" -le 200000 ] || some=200000
load_run() { # name, aim or NULL, call, what of a row, rows, batch
    say "load: $1 by $6"
    sql -c "CALL load_run('$dir', '$1', $2, '$3', \$given\$$4\$given\$, $at, $5, $6)"
    at=$((at + $5))
}
load_email() { echo "identifier('email', 'person' || ($1) * 7919::bigint % 1000003 || '@Example.pt')"; }
load_at="'2023-01-01Z'::timestamptz + i % 1000000 * interval '1 min', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL"
# a customer has an address and two cookies
observation="ROW(ARRAY[$(load_email i/2), identifier('cookie', md5(i::text))], '2024-01-01Z'::timestamptz + i * interval '1 min', 'web', 'o' || i)::loaded.observation"
event="ROW(ARRAY[$(load_email 'i % 5000')], $load_at, 'shop', 'e' || i, NULL, NULL, NULL)::loaded.event"
pair="ROW(ARRAY[$(load_email 'i % 5000'), identifier('cookie', 'p' || i)], $load_at, 'pair', 'p' || i, NULL, NULL, NULL)::loaded.event"
payload="json_build_object('type', 'track', 'event', 'Product Viewed', 'userId', i % 5000, 'messageId', 'm' || i, 'timestamp', '2023-01-01Z'::timestamptz + i % 1000000 * interval '1 min',
    'properties', json_build_object('sku', 'A' || i % 1000))::text"
identify="cardinality(loaded.identify_many(given))"
load_run "identify_many, new and known" NULL "$identify" "$observation" $((some / 5)) 1000
load_run "identify_many, new and known" NULL "$identify" "$observation" "$some" 10000
load_run "identify_many, new and known" 0.5 "$identify" "$observation" $((some < 100000 ? 100000 : some)) 100000
for batch in 100 1000 10000 100000; do
    load_run "record_many, one known identifier" "$([ $batch = 100 ] && echo NULL || echo 0.5)" "cardinality(loaded.record_many(given))" "$event" $((some < batch ? batch : some)) $batch
done
for batch in 1000 10000; do
    load_run "record_many, two identifiers, new evidence" 0.25 "cardinality(loaded.record_many(given))" "$pair" "$some" $batch
done
do_sql <<SQL
SELECT loaded.identify_many(array_agg(ROW(ARRAY[identifier('user_id', i::text)], '2023-01-01Z', 'web', NULL)::loaded.observation)) FROM generate_series(0, 4999) i;
SELECT loaded.identify_many(array_agg(ROW(ARRAY[$(load_email i)], '2023-01-01Z', 'web', NULL)::loaded.observation)) FROM generate_series(0, 4999) i;
SQL
for batch in 1000 10000 100000; do
    load_run "ingest_many, one identifier" 0.5 "loaded.ingest_many(given, ''segment'')" "$payload" $((some < batch ? batch : some)) $batch
done
say "load: backfill"
do_sql <<SQL
INSERT INTO load_orders SELECT i, 'person' || (i % 5000) * 7919::bigint % 1000003 || '@Example.pt', '2023-01-01Z'::timestamptz + i % 1000000 * interval '1 min', 10 FROM generate_series(1, $some) i;
SELECT loaded.attach_source('load_orders', '{"occurred_at": "ordered_at", "channel": "''store''", "action": "''purchase''", "value": "total", "identifiers": {"email": "who"}}', backfill => false);
SQL
sql <<SQL >/dev/null 2>&1
SELECT bench.load_cpu() AS used, clock_timestamp() AS began \gset
CALL loaded.backfill_source('load_orders');
INSERT INTO load_step (name, aim, rows, cpu, wall, peak)
VALUES ('backfill_source', 0.5, $some, bench.load_cpu() - :used, 1000 * extract(epoch FROM clock_timestamp() - :'began'), bench.load_peak());
UPDATE load_step s SET (floor, copied) = (SELECT f.inserted, f.copied FROM load_floors('$dir') f) WHERE s.name = 'backfill_source';
SQL
[ "$(sql -c "SELECT count(*) FROM loaded.stitch_check()")" = 0 ] || die "the hub is not what a rebuild gives"
strays=$(sql -c "SELECT count(*) FROM loaded.touchpoints_default")

# A whole history: a fifth as many identifiers as touchpoints, a customer has an address and three cookies. Links first,
# then what happened in the order of time, and the orders, three in ten, as rows of a table.
say "load: a history of $touchpoints touchpoints"
links=$((touchpoints * 3 / 20)) seen=$((touchpoints * 7 / 10)) orders=$((touchpoints * 3 / 10))
do_sql <<SQL
SELECT journey_drop_hub('loaded', true);
DROP TABLE IF EXISTS load_orders;
SELECT journey_create_hub('loaded');
SELECT loaded.use_recommended_rules('PT');
CREATE TABLE load_part (name text, rows bigint, began timestamptz, ended timestamptz, cpu numeric, peak bigint);
CREATE TABLE load_orders (id bigint PRIMARY KEY, email text NOT NULL, ordered_at timestamptz NOT NULL, total numeric);
INSERT INTO load_orders SELECT i, 'person' || (i * 104729 % ($links / 3)) || '@Example.pt', '2021-01-01Z'::timestamptz + i * (interval '3 years' / $orders), 10
FROM generate_series(1, $orders::bigint) i;
CREATE PROCEDURE load_all(call text, given text, rows int, batch int) LANGUAGE plpgsql AS \$\$
BEGIN
    FOR n IN 1 .. rows BY batch LOOP
        EXECUTE format('SELECT %s FROM (SELECT array_agg(%s ORDER BY i) AS given FROM generate_series(%s, %s) i) g', call, given, n, least(n + batch - 1, rows));
        COMMIT;
    END LOOP;
END \$\$;
SELECT loaded.attach_source('load_orders', '{"occurred_at": "ordered_at", "channel": "''store''", "action": "''purchase''", "value": "total", "identifiers": {"email": "email"}}', backfill => false);
SQL
load_part() { # name, rows, statement
    say "load: $1"
    sql <<SQL >/dev/null 2>&1
SELECT bench.load_cpu() AS used, clock_timestamp() AS began \gset
$3;
INSERT INTO load_part SELECT '$1', $2, :'began', clock_timestamp(), bench.load_cpu() - :used, bench.load_peak();
SQL
}
load_part "links, identify_many by 100000" "$links" "CALL load_all('cardinality(loaded.identify_many(given))', \$given\$ROW(ARRAY[identifier('email', 'person' || (i - 1) / 3 || '@Example.pt'), identifier('cookie', md5(i::text))],
    '2021-01-01Z'::timestamptz + i * (interval '3 years' / $links), 'web', 'o' || i)::loaded.observation\$given\$, $links, 100000)"
load_part "record_many by 10000" "$seen" "CALL load_all('cardinality(loaded.record_many(given))', \$given\$ROW(ARRAY[identifier('cookie', md5((i * 7919::bigint % $links + 1)::text))],
    '2021-01-01Z'::timestamptz + i * (interval '3 years' / $seen), 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'shop', 'e' || i, NULL, NULL, NULL)::loaded.event\$given\$, $seen, 10000)"
load_part "backfill_source" "$orders" "CALL loaded.backfill_source('load_orders')"
load_part "refresh()" "$touchpoints" "SELECT loaded.refresh()"
[ "$(sql -c "SELECT count(*) = $touchpoints FROM loaded.touchpoints")" = t ] || die "not all of the history is in the hub"
strays="$strays, $(sql -c "SELECT count(*) FROM loaded.touchpoints_default")"
do_sql <<'SQL'
DROP TABLE plain_touchpoints, plain_touchpoint_keys, copied_touchpoints, copied_touchpoint_keys;
CREATE TABLE copied_touchpoints (LIKE loaded.touchpoints_default INCLUDING ALL);
CREATE TABLE copied_touchpoint_keys (LIKE loaded.touchpoint_keys INCLUDING ALL);
SQL
sql -v dir="$dir" <<'SQL' >/dev/null
SELECT format('COPY loaded.touchpoint_keys TO %L', :'dir' || '/keys') \gexec
SELECT format('COPY (SELECT * FROM loaded.touchpoints ORDER BY touchpoint_id) TO %L', :'dir' || '/made') \gexec
SELECT bench.load_cpu() AS used, clock_timestamp() AS began \gset
SELECT format('COPY copied_touchpoints FROM %L', :'dir' || '/made') \gexec
SELECT format('COPY copied_touchpoint_keys FROM %L', :'dir' || '/keys') \gexec
INSERT INTO load_part SELECT 'floor: COPY of the touchpoints and their keys', (SELECT count(*) FROM loaded.touchpoints), :'began', clock_timestamp(), bench.load_cpu() - :used, bench.load_peak();
SQL
rm -f "$dir/made" "$dir/keys"

{ cat <<MD
## History coming in

A hub that begins empty, with the recommended rules; steps in this order. Processor time, once each; ratios to INSERT and COPY of the
rows that each step made into plain tables with the same indexes, which grow beside the hub. Touchpoints that ended in the default
partition, of the steps and of the history below: $strays.

MD
  sql <<'SQL'
SELECT '| step | rows a call | rows | µs a row | µs a row, INSERT | µs a row, COPY | ratio to INSERT | to COPY | aim | | seconds by the clock | peak memory |' || E'\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s MB |', s.name, s.batch, s.rows, round(1000 * s.cpu / s.rows, 1), round(1000 * s.floor / s.rows, 1),
              round(1000 * s.copied / s.rows, 1), round(s.floor / nullif(s.cpu, 0), 2), round(s.copied / nullif(s.cpu, 0), 2), s.aim,
              CASE WHEN s.aim IS NOT NULL THEN CASE WHEN s.floor >= s.aim * s.cpu THEN 'met' ELSE 'missed' END END, round(s.wall / 1000, 1), s.peak)
FROM load_step s ORDER BY s.n;
SELECT format(E'\nA whole history: %s touchpoints of %s identifiers, one session.\n\n| part | rows | µs of processor a row | seconds by the clock | rows a second | peak memory |\n|---|---:|---:|---:|---:|---:|',
              (SELECT count(*) FROM loaded.touchpoints), (SELECT count(*) FROM loaded.identities));
SELECT format('| %s | %s | %s | %s | %s | %s MB |', p.name, p.rows, round(1000 * p.cpu / p.rows, 1), round(extract(epoch FROM p.ended - p.began)::numeric, 1),
              round(p.rows / extract(epoch FROM p.ended - p.began)::numeric), p.peak)
FROM load_part p ORDER BY p.began;
SELECT format(E'\nFrom the first link to the last journey: %s s. Minute by minute, until all was in:\n\n| minute | links | record_many | backfill_source | touchpoints a second |\n|---:|---:|---:|---:|---:|',
              round(extract(epoch FROM max(p.ended) - min(p.began))::numeric)) FROM load_part p WHERE p.name !~ '^floor';
SELECT format('| %s | %s | %s | %s | %s |', m.minute, sum(m.links), sum(m.seen), sum(m.orders),
              round((sum(m.seen) + sum(m.orders)) / least(60, extract(epoch FROM s.ended - s.began)::numeric - (m.minute - 1) * 60)))
FROM (SELECT min(p.began) AS began, max(p.ended) AS ended FROM load_part p WHERE p.name !~ '^(refresh|floor)') s
     CROSS JOIN LATERAL (
         SELECT 1 + floor(extract(epoch FROM e.recorded_at - s.began) / 60)::int AS minute, count(*) AS links, 0 AS seen, 0 AS orders FROM loaded.evidence e GROUP BY 1
         UNION ALL
         SELECT 1 + floor(extract(epoch FROM t.recorded_at - s.began) / 60)::int, 0, count(*) FILTER (WHERE t.source = 'shop'), count(*) FILTER (WHERE t.source <> 'shop')
         FROM loaded.touchpoints t GROUP BY 1) m
GROUP BY m.minute, s.began, s.ended ORDER BY m.minute;
SELECT '';
SQL
} | print
