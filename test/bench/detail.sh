# detail.sh: the benchmark's part "detail", sourced by run: what the third part of a
# label costs. The same touchpoints without details, with in, out or bot in the channels
# where people talk, with in or out on each touchpoint, and with one of a thousand
# products on what is looked at; the journeys' size, the time to build them and to match
# patterns that ask for no detail, and the index with its keys, by patterns of all kinds.

detail_kinds="none talk all product"
detail_patterns="%.%.bot|%.%.in|whatsapp.message.bot|whatsapp.%.out|whatsapp.message.in -[<= 1 h]-> whatsapp.message.out|whatsapp.message -[<= 1 h]-> whatsapp.message|web.view.product7|web.view.product77%|web.view.product9 -[<= 1 h]-> web.add_to_cart.product9|web.view -[<= 10 min]-> web.purchase"
detail_matched="web.view -> web.search -> web.click|whatsapp.message -[<= 2 days, !%.resolve]-> whatsapp.message"

say "details"
do_sql <<'SQL'
CREATE TABLE detailed AS
SELECT customer_id, occurred_at, channel, action, NULL::text AS none,
       CASE WHEN channel IN ('whatsapp', 'chat', 'phone', 'email', 'sms', 'social')
            THEN CASE WHEN h % 20 < 9 THEN 'in' WHEN h % 20 < 18 THEN 'out' ELSE 'bot' END END AS talk,
       CASE WHEN h % 2 = 0 THEN 'in' ELSE 'out' END AS all,
       CASE WHEN channel IN ('web', 'app') AND action IN ('view', 'search', 'click', 'add_to_cart')
            THEN 'product' || floor(exp(random_h * ln(1000)))::int END AS product
FROM (SELECT *, hashint8extended(id, 5) & 1048575 AS h, (hashint8extended(id, 6) & 1048575) / 1048576.0::float8 AS random_h
      FROM touchpoints) t;
ALTER TABLE detailed ALTER customer_id SET (n_distinct = -0.05);
VACUUM (FREEZE, ANALYZE) detailed;
CREATE TABLE detail (seq int GENERATED ALWAYS AS IDENTITY, kind text, bytes numeric, labels numeric, gin bigint, singles bigint, build int, keys text);
CREATE TABLE detail_pattern (n int GENERATED ALWAYS AS IDENTITY, pattern text);
CREATE TABLE detail_result (kind text, n int, candidates bigint, matches bigint, ms float8);
CREATE PROCEDURE try_details(k text) LANGUAGE plpgsql
AS $$
DECLARE
    p record;
    plan jsonb;
BEGIN
    SET LOCAL enable_seqscan = off;
    SET LOCAL max_parallel_workers_per_gather = 0;
    FOR p IN SELECT * FROM bench.detail_pattern ORDER BY n LOOP
        FOR run IN 0..1 LOOP
            EXECUTE format('EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT customer_id FROM bench.detailed_%s WHERE journey ~ %L', k, p.pattern)
            INTO plan;
        END LOOP;
        INSERT INTO bench.detail_result
        VALUES (k, p.n, bench.plan_candidates(plan), bench.plan_scan(plan, 'Actual Rows'), (plan->0->>'Execution Time')::float8);
    END LOOP;
END
$$;
SQL
! has "SELECT FROM pg_available_extensions WHERE name = 'pageinspect'" || sql -c "CREATE EXTENSION IF NOT EXISTS pageinspect"
IFS='|' read -ra patterns <<< "$detail_patterns"
for p in "${patterns[@]}"; do sql -v p="$p" <<< "INSERT INTO bench.detail_pattern (pattern) VALUES (:'p');"; done
IFS='|' read -ra matched <<< "$detail_matched"
for kind in $detail_kinds; do
    arguments="occurred_at, channel, action"
    [ "$kind" = none ] || arguments="$arguments, NULL, NULL, \"$kind\""
    add detail_build "$kind" none "$touchpoints" hash 0 "$(grouped "journey_agg($arguments)" detailed customer_id)"
    sql -c "CREATE TABLE detailed_$kind AS SELECT customer_id, journey_agg($arguments) AS journey FROM detailed GROUP BY 1" \
        -c "VACUUM (FREEZE, ANALYZE) detailed_$kind"
    for p in "${matched[@]}"; do
        add "detail_match" "$kind: \`$p\`" "none: \`$p\`" "$touchpoints" heap 0 "SELECT count(*) FROM detailed_$kind WHERE journey ~ '$p'"
    done
    sql -c "CREATE INDEX singles ON detailed_$kind USING gin (journey journey_ops (horizon = '0'))"
    singles=$(sql -c "SELECT pg_relation_size('singles')" -c "DROP INDEX singles")
    ms=$(milliseconds "CREATE INDEX detailed_gin ON detailed_$kind USING gin (journey)")
    keys=$(sql -c "SELECT n_entries FROM gin_metapage_info(get_raw_page('detailed_gin', 0))" 2>/dev/null || echo '?')
    sql -c "INSERT INTO detail (kind, bytes, labels, gin, singles, build, keys)
            SELECT '$kind', sum(pg_column_size(journey)), avg(cardinality(journey_labels(journey))), pg_relation_size('detailed_gin'), $singles, $ms, '$keys'
            FROM detailed_$kind" -c "VACUUM (ANALYZE) detailed_$kind" -c "CALL try_details('$kind')" -c "DROP INDEX detailed_gin"
done
measure detail_build
measure detail_match
{ echo "## Details"; echo
  echo "The same touchpoints without details (none), with in, out or bot in the channels where people talk (talk), with in or out on each touchpoint"
  echo "by chance (all), and with one of a thousand products on what is looked at (product). Indexes were built once, by one process."; echo
  sql <<'SQL'
SELECT '| details | labels a journey | bytes a touchpoint | more than none | index, MB | without pairs | bytes a touchpoint | build, ms | distinct keys |'
       || E'\n|---|---:|---:|---:|---:|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s | %s |', kind, round(labels, 2), round(bytes / t, 3), round((bytes - first_value(bytes) OVER w) / t, 3),
              round(gin / 1048576.0, 1), round(singles / 1048576.0, 1), round(gin / t, 2), build, keys)
FROM detail, (SELECT count(*)::numeric AS t FROM touchpoints) c WINDOW w AS (ORDER BY seq);
SELECT E'\n### Building\n';
SELECT report('detail_build');
SELECT E'### Matching, without an index\n';
SELECT report('detail_match');
SELECT E'### Matching by the index: candidates, of them matches, time\n';
SELECT '| pattern | ' || string_agg(kind, ' | ' ORDER BY seq) || E' |\n|---|' || repeat('---:|', count(*)::int) FROM detail;
SELECT format('| `%s` | %s |', replace(pattern, '|', '\|'),
              string_agg(coalesce(candidates::text, 'not by index') || ', ' || matches || ', ' || plain(ms) || ' ms', ' | ' ORDER BY d.seq))
FROM detail_pattern p JOIN detail_result r USING (n) JOIN detail d USING (kind) GROUP BY n, pattern ORDER BY n;
SELECT '';
SQL
} | print
