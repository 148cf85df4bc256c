# load.sh: the benchmark's part "load", sourced by run.
#
# History comes in: identify_many, record_many, ingest_many and the backfill of an attached table, into a hub that begins
# empty and has the recommended rules, in batches of several sizes. The floor of each step is INSERT of the rows it has
# made into plain tables with the same indexes, which grow beside the hub. What counts is processor time, so a busy
# machine does no harm; its tick is 10 ms. Each step is a session of its own, whose peak of memory is told.

say "load: making rows"
do_sql <<'SQL'
SELECT journey_create_hub('loaded');
SELECT loaded.use_recommended_rules('PT');
CREATE TABLE load_step (n int GENERATED ALWAYS AS IDENTITY, name text, batch int, rows bigint, cpu numeric, wall numeric, floor numeric, aim numeric, peak bigint);
-- processor time of this session in ms
CREATE FUNCTION load_cpu() RETURNS numeric LANGUAGE sql VOLATILE AS $$
    SELECT (split_part(s, ' ', 12)::numeric + split_part(s, ' ', 13)::numeric) * 10
    FROM (SELECT substring(pg_read_file('/proc/self/stat') FROM '\) (.*)') AS s) x $$;
CREATE FUNCTION load_peak() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (substring(s from 'VmHWM:\s+(\d+)')::bigint - substring(s from 'RssShmem:\s+(\d+)')::bigint) / 1024
    FROM pg_read_file('/proc/self/status') s $$;
CREATE TABLE plain_touchpoints (LIKE loaded.touchpoints_default INCLUDING ALL);
CREATE TABLE plain_touchpoint_keys (LIKE loaded.touchpoint_keys INCLUDING ALL);
CREATE TABLE plain_identities (LIKE loaded.identities INCLUDING ALL);
CREATE TABLE plain_customers (LIKE loaded.customers INCLUDING ALL);
CREATE TABLE plain_evidence (LIKE loaded.evidence INCLUDING ALL);
-- what a step has made: its rows are those that are not in the plain tables yet
CREATE FUNCTION load_floor_of() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    used numeric;
    total numeric := 0;
    t text;
BEGIN
    FOREACH t IN ARRAY '{touchpoints,touchpoint_keys,identities,customers,evidence}'::text[] LOOP
        EXECUTE format('CREATE TEMP TABLE made AS SELECT x.* FROM loaded.%1$s x WHERE %2$s', t, CASE t
            WHEN 'touchpoints' THEN 'touchpoint_id > (SELECT coalesce(max(touchpoint_id), 0) FROM bench.plain_touchpoints)'
            WHEN 'touchpoint_keys' THEN 'touchpoint_id > (SELECT coalesce(max(touchpoint_id), 0) FROM bench.plain_touchpoint_keys)'
            WHEN 'identities' THEN 'identity_id > (SELECT coalesce(max(identity_id), 0) FROM bench.plain_identities)'
            WHEN 'customers' THEN 'customer_id > (SELECT coalesce(max(customer_id), 0) FROM bench.plain_customers)'
            ELSE 'recorded_at > (SELECT coalesce(max(recorded_at), ''-infinity'') FROM bench.plain_evidence)' END);
        used := bench.load_cpu();
        EXECUTE format('INSERT INTO bench.plain_%s SELECT * FROM made', t);
        total := total + bench.load_cpu() - used;
        DROP TABLE made;
    END LOOP;
    RETURN total;
END $$;
-- a call for so many rows from a number on, until all are in
CREATE PROCEDURE load_run(name text, aim numeric, call text, since int, rows int, batch int) LANGUAGE plpgsql AS $$
DECLARE
    used numeric := 0;
    took numeric := 0;
    began timestamptz;
    c numeric;
BEGIN
    FOR n IN since .. since + rows - 1 BY batch LOOP
        CREATE TEMP TABLE given AS
        SELECT array_agg(bench.load_event(i)) AS e, array_agg(bench.load_pair(i)) AS pairs, array_agg(bench.load_observation(i)) AS o,
               array_agg(bench.load_payload(i)) AS payloads
        FROM generate_series(n, least(n + batch, since + rows) - 1) i;
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
    c := bench.load_floor_of();
    UPDATE bench.load_step s SET floor = c WHERE s.n = (SELECT max(n) FROM bench.load_step);
END $$;
-- a customer has an address and two cookies
CREATE FUNCTION load_email(i int) RETURNS identifier LANGUAGE sql IMMUTABLE AS $$ SELECT identifier('email', 'person' || i * 7919::bigint % 1000003 || '@Example.pt') $$;
CREATE FUNCTION load_observation(i int) RETURNS loaded.observation LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(ARRAY[bench.load_email(i / 2), identifier('cookie', md5(i::text))], '2024-01-01Z'::timestamptz + i * interval '1 min', 'web', 'o' || i)::loaded.observation $$;
CREATE FUNCTION load_event(i int) RETURNS loaded.event LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(ARRAY[bench.load_email(i % 5000)], '2023-01-01Z'::timestamptz + i % 1000000 * interval '1 min', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'shop', 'e' || i, NULL, NULL, NULL)::loaded.event $$;
CREATE FUNCTION load_pair(i int) RETURNS loaded.event LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(ARRAY[bench.load_email(i % 5000), identifier('cookie', 'p' || i)], '2023-01-01Z'::timestamptz + i % 1000000 * interval '1 min', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'pair', 'p' || i, NULL, NULL, NULL)::loaded.event $$;
CREATE FUNCTION load_payload(i int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT json_build_object('type', 'track', 'event', 'Product Viewed', 'userId', i % 5000, 'messageId', 'm' || i, 'timestamp', '2023-01-01Z'::timestamptz + i % 1000000 * interval '1 min',
                             'properties', json_build_object('sku', 'A' || i % 1000))::text $$;
CREATE TABLE load_orders (id bigint PRIMARY KEY, who bigint NOT NULL, ordered_at timestamptz NOT NULL, total numeric);
SQL
links=$((touchpoints / 10)) some=$((touchpoints / 10)) at=1
[ "$links" -ge 100000 ] || links=100000
[ "$some" -ge 20000 ] || some=20000
load_run() { # name, aim or NULL, call, rows, batch
    say "load: $1 by $5"
    sql -c "CALL load_run('$1', $2, '$3', $at, $4, $5)"
    at=$((at + $4))
}
identify="cardinality(loaded.identify_many(o))"
load_run "identify_many, new and known" NULL "$identify" $((links / 10)) 1000
load_run "identify_many, new and known" NULL "$identify" $((links / 2)) 10000
load_run "identify_many, new and known" 0.5 "$identify" "$links" 100000
for batch in 1000 10000 100000; do
    load_run "record_many, one known identifier" 0.5 "cardinality(loaded.record_many(e))" "$some" $batch
done
for batch in 1000 10000; do
    load_run "record_many, two identifiers, new evidence" 0.25 "cardinality(loaded.record_many(pairs))" "$some" $batch
done
for batch in 1000 10000; do
    load_run "ingest_many, one identifier" 0.5 "loaded.ingest_many(payloads, ''segment'')" "$some" $batch
done
say "load: backfill"
do_sql <<SQL
INSERT INTO load_orders SELECT i, i % 5000, '2021-01-01Z'::timestamptz + i % 1000000 * interval '1 min', 10 FROM generate_series(1, $some) i;
SELECT loaded.attach_source('load_orders', '{"occurred_at": "ordered_at", "channel": "''store''", "action": "''purchase''", "value": "total", "identifiers": {"customer": "who"}}', backfill => false);
SQL
sql <<SQL >/dev/null 2>&1
SELECT bench.load_cpu() AS used, clock_timestamp() AS began \gset
CALL loaded.backfill_source('load_orders');
INSERT INTO load_step (name, aim, rows, cpu, wall, peak)
VALUES ('backfill_source', 0.5, $some, bench.load_cpu() - :used, 1000 * extract(epoch FROM clock_timestamp() - :'began'), bench.load_peak());
UPDATE load_step SET floor = load_floor_of() WHERE name = 'backfill_source';
SELECT bench.load_cpu() AS used, clock_timestamp() AS began \gset
SELECT loaded.refresh();
INSERT INTO load_step (name, rows, cpu, wall, peak)
SELECT 'refresh() of all', (SELECT count(*) FROM loaded.touchpoints), bench.load_cpu() - :used, 1000 * extract(epoch FROM clock_timestamp() - :'began'), bench.load_peak();
SQL
[ "$(sql -c "SELECT count(*) FROM loaded.stitch_check()")" = 0 ] || die "the hub is not what a rebuild gives"
strays=$(sql -c "SELECT count(*) FROM loaded.touchpoints_default")

{ cat <<MD
## History coming in

A hub that begins empty, with the recommended rules; steps in this order. Processor time, once each; ratios to INSERT of the rows
that each step made into plain tables with the same indexes, which grow beside the hub. Touchpoints that ended in the default
partition: $strays.

MD
  sql <<'SQL'
SELECT '| step | rows a call | rows | µs a row | µs a row, INSERT | ratio | aim | | seconds by the clock | peak memory |' || E'\n|---|---:|---:|---:|---:|---:|---:|---|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s MB |', s.name, s.batch, s.rows, round(1000 * s.cpu / s.rows, 1), round(1000 * s.floor / s.rows, 1),
              round(s.floor / nullif(s.cpu, 0), 2), s.aim, CASE WHEN s.aim IS NOT NULL THEN CASE WHEN s.floor >= s.aim * s.cpu THEN 'met' ELSE 'missed' END END,
              round(s.wall / 1000, 1), s.peak)
FROM load_step s ORDER BY s.n;
SELECT '';
SELECT format('In all %s s for %s touchpoints and %s identities.', round(sum(s.wall) / 1000), (SELECT count(*) FROM loaded.touchpoints), (SELECT count(*) FROM loaded.identities)) FROM load_step s;
SELECT '';
SQL
} | print
