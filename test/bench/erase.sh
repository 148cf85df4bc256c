# erase.sh: the benchmark's part "erase", sourced by run.
#
# A hub of customers of 200 touchpoints each, with four cookies and an account: erasing one, exporting one; erasing customers of
# 20 to 100,000 touchpoints, for what a touchpoint adds. And what suppression costs writers: record() and record_many() of
# who is known and who is new, in a hub without any, against the same with 100,000 suppressions.

people=$((customers < 2000 ? customers : 2000))
say "erase: loading"
sql -v people="$people" >/dev/null <<'SQL'
SELECT journey_create_hub('hub');
SELECT count(*) FROM hub.use_recommended_rules('PT');
CREATE FUNCTION bench.events(who text, n int) RETURNS hub.event[] LANGUAGE sql AS $$
    SELECT array_agg(ROW(ARRAY[identifier('account', who), identifier('cookie', who || '-' || i % 4)], '2025-01-01Z'::timestamptz + i * interval '1 minute', 'web', 'view', i, 'EUR',
                         NULL, 'talk ' || i / 10, NULL, NULL, 'shop', who || '/' || i, '{"page": 1}', NULL, NULL)::hub.event) FROM generate_series(1, n) i $$;
SELECT count(hub.record_many(bench.events(c::text, 200))) FROM generate_series(1, least(:people, 500)) c;
SELECT hub.record_many(bench.events('of ' || n, n)) IS NOT NULL FROM unnest('{20,2000,20000,100000}'::int[]) n;
SELECT hub.refresh();
VACUUM ANALYZE;
SQL

say "erase: of one"
each_of_some() { # name, before and after the customer: of some, in one session
    local n queries=
    for n in $(seq 1 $((RUNS * 4))); do
        queries+="${queries:+,}$(quoted "SELECT $2 hub.customer_of(identifier('account', '$n'))$3")"
    done
    timed erase "$1" "$queries"
}
each_of_some "export_customer, 200 touchpoints" "hub.export_customer(" ")"
each_of_some "erase, 200 touchpoints" "hub.erase(" ", 'benchmark')"
for n in 20 2000 20000 100000; do
    timed erase "erase, $n touchpoints" "$(quoted "SELECT hub.erase(hub.customer_of(identifier('account', 'of $n')), 'benchmark')")"
done

say "erase: writers"
writers() { # name
    script "erase_known" "\\set c random(400, 499)" "SELECT hub.record(ARRAY[identifier('account', (:c)::text)], now(), 'web', 'view');"
    script "erase_two" "\\set c random(400, 499)" "SELECT hub.record(ARRAY[identifier('account', (:c)::text), identifier('cookie', :c || '-1')], now(), 'web', 'view');"
    script "erase_new" "\\set c random(1, 1000000000)" "SELECT hub.record(ARRAY[identifier('visitor', (:c)::text)], now(), 'web', 'view');"
    turns "erase_writers_$1" erase 1 $((RUNS * 2)) known two new
    for run in $(seq 1 "$RUNS"); do
        timed "erase_many_$1" "record_many of 20,000, 5,000 of them new" "$(quoted "SELECT hub.record_many(array_agg(ROW(ARRAY[identifier('visitor', '$1 $run ' || i / 4)], now(), 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::hub.event)) FROM generate_series(1, 20000) i")"
    done
}
[ "$people" -lt 500 ] || {
    sql -c "CREATE TABLE bench.marks AS TABLE hub.suppressions; TRUNCATE hub.suppressions" >/dev/null
    writers without
    sql -c "INSERT INTO hub.suppressions SELECT journey_hmac(convert_to(i::text, 'UTF8'), 'benchmark'), 'form', 0 FROM generate_series(1, 100000) i; ANALYZE hub.suppressions" >/dev/null
    writers with
}

{ cat <<MD
## Erasing people

Customers of 200 touchpoints, with an account and four cookies, evidence in each.

| call | ms, median |
|---|---:|
MD
  sql <<'SQL'
SELECT format('| %s | %s |', name, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY value)::numeric, 1))
FROM result WHERE section = 'erase' GROUP BY name ORDER BY min(ctid);
SELECT E'\n| writers, 1 client: transactions/s, and ms of record_many | without suppressions | with 100,000 |\n|---|---:|---:|';
SELECT format('| %s | %s | %s |', name, round((percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FILTER (WHERE section LIKE '%without'))::numeric, 3),
              round((percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FILTER (WHERE section NOT LIKE '%without'))::numeric, 3))
FROM result WHERE section ~ '^erase_(writers|many)_' GROUP BY name ORDER BY name;
SELECT '';
SQL
} | print
sql <<'SQL'
INSERT INTO aim
SELECT 60, 'erase of 200 touchpoints: under 50 ms', round(v.median::numeric, 1), v.median < 50
FROM (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS median FROM result WHERE section = 'erase' AND name = 'erase, 200 touchpoints') v
UNION ALL
SELECT 61, 'erase of 100,000 touchpoints: at most 5 times that of 20,000', round((v.most / v.less)::numeric, 1), v.most <= 5 * v.less
FROM (SELECT max(value) FILTER (WHERE name = 'erase, 100000 touchpoints') AS most, max(value) FILTER (WHERE name = 'erase, 20000 touchpoints') AS less
      FROM result WHERE section = 'erase') v;
SELECT journey_drop_hub('hub', true);
SQL
