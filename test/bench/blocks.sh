# blocks.sh: the benchmark's part "blocks", sourced by run.
#
# Questions over all journeys, asked of journey blocks, of stored journeys, of ClickHouse and of DuckDB (peers_blocks.mjs:
# each in several formulations, their own packed journeys among them). All are asked for the same answer. Then the floors,
# what blocks take and cost to build and to bring up to date, and one customer or few beside all.

if [ "$LABELS" != usual ]; then
    print <<< $'## Questions over all journeys\n\n**Skipped: they are written for LABELS=usual.**\n'
    return
fi

# ---- the blocks ------------------------------------------------------------

say "blocks: storing"
each="GROUP BY customer_id / 1024"
# few rows and these narrow, so without the two settings the planner has no workers for them, or one page for each
do_sql <<SQL
CREATE TABLE blocks (first_customer bigint PRIMARY KEY, block journey_block NOT NULL) WITH (fillfactor = 10, parallel_workers = 2);
INSERT INTO blocks SELECT min(customer_id), journey_block_agg(customer_id, journey) FROM journeys $each;
VACUUM (FREEZE, ANALYZE) blocks;
-- each customer's journey comes out as it went in
DO \$\$
BEGIN
    IF (SELECT sum(journey_block_touchpoints(block)) FROM blocks) <> $touchpoints
       OR EXISTS (SELECT FROM journeys j FULL JOIN (SELECT customer, u.journey FROM blocks, unnest(block) u) b ON b.customer = j.customer_id
                  WHERE b.journey IS DISTINCT FROM j.journey)
    THEN
        RAISE EXCEPTION 'the blocks do not hold the journeys';
    END IF;
END \$\$;
-- who has one of the newest touchpoints, one in a hundred
CREATE TABLE changed AS
SELECT customer_id, journey FROM journeys WHERE customer_id IN (SELECT customer_id FROM touchpoints WHERE (id * 7919) % 100 = 0);
VACUUM (FREEZE, ANALYZE) changed;
CREATE TABLE newer AS
SELECT b.first_customer, journey_block_agg(c.customer_id, c.journey) AS newer
FROM changed c JOIN blocks b ON b.first_customer / 1024 = c.customer_id / 1024 GROUP BY 1;
VACUUM (FREEZE, ANALYZE) newer;
SQL

say "blocks: floors, building"
touchpoints_of="SELECT sum(journey_block_touchpoints(b)) FROM"
for workers in 0 2; do
    s=blocks_floors_$workers
    floor() { add $s "$1" "blocks: count(*)" "$touchpoints" heap $workers "$2"; }
    floor "blocks: count(*)" "SELECT count(*) FROM blocks"
    floor "blocks: journey_block_touchpoints, the head alone" "$touchpoints_of blocks AS t (c, b)"
    floor "blocks: journey_block_hash, all bytes" "SELECT sum(journey_block_hash(block)) FROM blocks"
    floor "blocks: unnest" "SELECT count(*) FROM blocks, unnest(block)"
    floor "journeys: count(*)" "SELECT count(*) FROM journeys"
    floor "journeys: journey_length" "SELECT sum(journey_length(journey)) FROM journeys"
    measure $s
    s=blocks_build_$workers
    for way in hash sort; do
        add $s "build, $way" "build, hash" "$touchpoints" $way $workers \
            "$touchpoints_of (SELECT journey_block_agg(customer_id, journey) FROM journeys $each) AS t (b)"
    done
    add $s "build, of the changed alone" "build, hash" "$touchpoints" hash $workers \
        "$touchpoints_of (SELECT journey_block_agg(customer_id, journey) FROM changed $each) AS t (b)"
    add $s "merge of those into the blocks" "build, hash" "$touchpoints" any $workers \
        "$touchpoints_of (SELECT journey_block_merge(b.block, n.newer) FROM blocks b JOIN newer n USING (first_customer)) AS t (b)"
    measure $s
done

# ---- the questions ---------------------------------------------------------

do_sql <<'SQL'
CREATE PROCEDURE bench.answer(of_job text, of_name text, query text) LANGUAGE plpgsql
AS $$
DECLARE
    got text;
    message text;
BEGIN
    BEGIN
        EXECUTE query INTO got;
    EXCEPTION WHEN OTHERS THEN
        message := SQLERRM;
    END;
    UPDATE bench.contestant SET answer = got, failed = message WHERE job = of_job AND name = of_name;
END
$$;
SQL

# Asks it of blocks or journeys: job, whom, way, query of the answer as text. What fails is reported, not timed.
ask() {
    local workers name="pg_journey: $2"
    sql -v job="$1" -v name="$name" -v query="$4" <<'SQL' || die "blocks: $1"
INSERT INTO bench.contestant (job, name) VALUES (:'job', :'name');
CALL bench.answer(:'job', :'name', :'query');
SQL
    has "SELECT FROM bench.contestant WHERE job = '$1' AND name = '$name' AND failed IS NULL" || return 0
    for workers in 0 2; do
        add "$1_$((workers ? 2 : 1))" "$name" "" "" "$3" $workers "SELECT hashtextextended(answer, 0) FROM ($4) q (answer)"
    done
}
# Asks an aggregate of both: job, query with AGG:NAME for the aggregate over the whole of a table, arguments beside the first, [one alone].
both() {
    local agg of
    agg=$(sed -n 's/.*AGG:\([a-z_]*\).*/\1/p' <<< "$2")
    for of in "blocks block" "journeys journey"; do
        [ -z "${4:-}" ] || [ "${of% *}" = "$4" ] || continue
        ask "$1" "${of% *}" heap "${2/AGG:$agg/(SELECT $agg(${of#* }, $3) FROM ${of% *})}"
    done
}
# The planner takes an unknown expression for as many groups as rows, and no workers for so many.
tell_groups() { # name, expression of the journeys
    sql -c "CREATE STATISTICS blocks_$1 ON ($2) FROM journeys" -c "ANALYZE journeys"
}
matching() { # job, pattern
    ask "$1" blocks heap "SELECT format('%s customers, ids %s', count(*), sum(c)) FROM blocks, unnest(journey_block_match(block, '$2')) c"
    ask "$1" journeys heap "SELECT format('%s customers, ids %s', count(*), sum(customer_id)) FROM journeys WHERE journey ~ '$2'"
}
steps="web.view -> web.add_to_cart -> web.checkout -> web.purchase within 7 days"
sequence="email.open -[<= 1 day]-> email.click -[!%.complaint]-> %.purchase"
repeat="whatsapp.message -[<= 2 days, !%.resolve]-> whatsapp.message"
# session_gap, handoff_within, not_own, digital, personal
measured="'30 min', '1 day', NULL, NULL, NULL"

funnel_jobs() {
    tell_groups funnel "journey_reached(journey, '$steps')"
    ask funnel "blocks" heap "SELECT string_agg(n::text, ' ' ORDER BY k)
        FROM (SELECT k, sum(n) AS n FROM blocks, unnest(journey_block_reached(block, '$steps')) WITH ORDINALITY u (n, k) GROUP BY k) s"
    ask funnel "journeys" heap "SELECT format('%s %s %s %s', sum(n) FILTER (WHERE r >= 1), sum(n) FILTER (WHERE r >= 2),
            sum(n) FILTER (WHERE r >= 3), sum(n) FILTER (WHERE r >= 4))
        FROM (SELECT journey_reached(journey, '$steps') AS r, count(*) AS n FROM journeys GROUP BY 1) s"
    both funnel_times "SELECT string_agg(reached::text, ' ' ORDER BY step) FROM unnest(AGG:journey_funnel_agg)" "'$steps'"
}
sequence_jobs() { matching sequence "$sequence"; }
any_jobs() { matching any "${sequence/ -/ -> % -}"; }
never_jobs() { matching never '^ -[!%.purchase]-> web.add_to_cart -[!%.purchase]-> $'; }
repeat_jobs() {
    tell_groups repeat "journey_match_count(journey, '$repeat')"
    ask repeat "blocks" heap "SELECT format('%s matches, by customer %s', sum(matches), sum(matches * customer)) FROM blocks, journey_block_count(block, '$repeat')"
    ask repeat "journeys" heap "SELECT format('%s matches, by customer %s', sum(n * customers), sum(n * ids))
        FROM (SELECT journey_match_count(journey, '$repeat') AS n, count(*) AS customers, sum(customer_id) AS ids FROM journeys GROUP BY 1) s"
}
sessions_jobs() {
    ask sessions "blocks" heap "SELECT sum(journey_block_sessions(block, '30 min'))::text FROM blocks"
    ask sessions "journeys" heap "SELECT sum((journey_summary(journey, '30 min', '1 day')).sessions)::text FROM journeys"
}
sessions_each_jobs() {
    ask sessions_each blocks heap "SELECT format('%s sessions, by customer %s', sum(sessions), sum(sessions * customer))
        FROM (SELECT unnest(journey_block_customers(block)) AS customer, unnest(journey_block_sessions_each(block, '30 min')) AS sessions FROM blocks) s"
    ask sessions_each journeys heap "SELECT format('%s sessions, by customer %s', sum(n), sum(n * customer_id))
        FROM (SELECT (journey_summary(journey, '30 min', '1 day')).sessions AS n, customer_id FROM journeys) s"
}
transitions_jobs() {
    both transitions "SELECT format('%s pairs, hand-offs %s, checksum %s', count(*), sum(handoffs), sum(handoffs * (length(from_channel) * 100 + length(to_channel))))
        FROM channel_transitions(AGG:channel_measures_agg)" "$measured, 'all', 'UTC', NULL, NULL, '{transitions}'"
}
handoffs_jobs() {
    both handoffs "SELECT format('%s pairs, hand-offs %s, customers %s, medians %s', count(*), sum(handoffs),
            sum(customers * (length(from_channel) * 100 + length(to_channel))), (sum(extract(epoch FROM median_time)) * 2)::bigint)
        FROM channel_transitions(AGG:channel_measures_agg)" "$measured, 'all', 'UTC', NULL, NULL, '{median_time}'"
}
by_channel() { # job, columns, of whom
    local c format="%s channels" sums=""
    for c in $2; do format+=", $c %s" sums+=", sum($c * length(channel))"; done
    both "$1" "SELECT format('$format', count(*)$sums) FROM channel_mix(AGG:channel_measures_agg)" "$measured, 'all', 'UTC', NULL, NULL, '{channels}'" "${3:-}"
}
# By a part of the labels alone: job, part, column.
by_part() {
    both "$1" "SELECT format('%s ${2}s, $3 %s', count(*), sum($3 * length(concat_ws('.', channel, action, detail))))
        FROM unnest(AGG:journey_label_agg)" "'$2'"
}
channels_jobs() { by_part channels channel touchpoints; }
reach_jobs() { by_part reach channel customers; }
mix_jobs() { by_channel mix "touchpoints customers sessions"; }
days_jobs() {
    both days "SELECT format('%s days, checksum %s', count(*), sum(touchpoints * (period_start - date '2025-12-31')))
        FROM unnest(AGG:journey_label_agg)" "'all', 'day', 'UTC', NULL, NULL"
}
labels_jobs() { by_part labels label touchpoints; }
active_jobs() {
    both active "SELECT customers::text FROM unnest(AGG:journey_label_agg)" "'all', 'all', 'UTC', '2026-02-01', '2026-03-01'"
}
retention_jobs() {
    both retention "SELECT format('%s cells, %s customers, checksum %s', count(*), sum(customers), sum(customers * (bracket + 1) * (cohort - date '2025-12-01')))
        FROM unnest(AGG:journey_retention_agg)" "'%.purchase', '%.purchase', 'week', 'UTC'"
}
months_jobs() {
    both months "SELECT string_agg(r, ', ' ORDER BY period_start)
        FROM (SELECT period_start, string_agg(reached::text, ' ' ORDER BY step) AS r FROM unnest(AGG:journey_funnel_agg) GROUP BY 1) s" \
        "'$steps', 'month', 'UTC', NULL, NULL, NULL"
}
first_jobs() {
    both first "SELECT format('%s customers, median %s s', reached, round(extract(epoch FROM median_time)))
        FROM unnest(AGG:journey_funnel_agg) WHERE step = 2" "'^ -[!web.view]-> web.view -[!%.purchase]-> %.purchase'"
}
first_touch_jobs() {
    both first_touch "SELECT format('%s channels, customers %s', count(*), sum(reached * length(breakdown)))
        FROM unnest(AGG:journey_funnel_agg) WHERE step = 2" "'^ % -> %.purchase', 'all', 'UTC', NULL, NULL, 'channel', false"
}
paths_jobs() {
    both paths "SELECT format('%s paths, commonest %s, checksum %s', count(*), max(customers), sum(customers * customers))
        FROM unnest(AGG:journey_path_agg)" "'label', 3"
}
lengths_jobs() {
    local of
    for of in "blocks block" "journeys journey"; do
        ask lengths "${of% *}" heap "SELECT format('%s lengths, customers of the commonest %s, longest %s', count(*), max(customers), max(touchpoints))
            FROM unnest((SELECT journey_length_agg(${of#* }) FROM ${of% *}))"
    done
}

# job|the question
questions="funnel|funnel of four steps within 7 days: customers by step
funnel_times|the same with the times between the steps
sequence|sequence with a ban
any|the same with any one touchpoint between
repeat|repeat contacts, counted
never|in the cart, and never bought
first|first view to first purchase: customers, median time
months|funnel by month
retention|weekly retention of purchases
sessions|sessions, 30 min apart
sessions_each|sessions of each customer
transitions|hand-offs between channels within a day
handoffs|the same with customers and median times
mix|touchpoints, customers and sessions by channel
reach|customers by channel
channels|touchpoints by channel
days|touchpoints by day
labels|touchpoints by label
active|customers active in February
first_touch|buyers by the channel of their first touchpoint
paths|commonest first three labels
lengths|journeys by length"
slow=1500
sql -c "CREATE TABLE question (n int GENERATED ALWAYS AS IDENTITY, job text, question text)"
while IFS='|' read -r job question; do
    [ "$job" = funnel_times ] || ${job}_jobs
    sql -v job="$job" -v question="$question" <<'SQL'
INSERT INTO question (job, question) VALUES (:'job', :'question');
SQL
done <<< "$questions"
for job in $(cut -d'|' -f1 <<< "$questions"); do
    say "blocks: $job"
    sql -c "CALL measure('${job}_1', $RUNS, $slow)" -c "CALL measure('${job}_2', $RUNS, $slow)"
done

# ---- one customer, few, all ------------------------------------------------

say "blocks: one customer"
rare="whatsapp.return => phone.%"
do_sql <<'SQL'
CREATE INDEX journeys_gin ON journeys USING gin (journey);
VACUUM (ANALYZE) journeys;
SQL
one=$(sql -c "SELECT customer_id FROM customers WHERE rank = 1000")
add blocks_few "journey of one customer: journeys, by key" "" "" lookup 0 "SELECT journey_length(journey) FROM journeys WHERE customer_id = $one"
add blocks_few "journey of one customer: blocks, unnest" "" "" lookup 0 "SELECT journey_length(journey)
    FROM (SELECT block FROM blocks WHERE first_customer <= $one ORDER BY first_customer DESC LIMIT 1) b, unnest(block) WHERE customer = $one"
add blocks_few "a rare pattern: journeys, by index" "" "" lookup 0 "SELECT count(*) FROM journeys WHERE journey ~ '$rare'"
add blocks_few "a rare pattern: journeys, scanned" "" "" heap 0 "SELECT count(*) FROM journeys WHERE journey ~ '$rare'"
add blocks_few "a rare pattern: blocks" "" "" heap 0 "SELECT sum(cardinality(journey_block_match(block, '$rare'))) FROM blocks"
measure blocks_few
sql -c "DROP INDEX journeys_gin"

# ---- the report ------------------------------------------------------------

do_sql <<'SQL'
-- Each question's quickest exact answers by who gives them. Whoever is slower with two threads is taken with one.
CREATE FUNCTION answered(threads int, OUT n int, OUT job text, OUT question text, OUT blocks float8, OUT journeys float8,
                         OUT clickhouse float8, OUT clickhouse_how text, OUT duckdb float8, OUT duckdb_how text)
RETURNS SETOF record LANGUAGE sql
AS $$
    WITH exact AS (
        SELECT c.job, c.name, s.median
        FROM bench.contestant c
             CROSS JOIN LATERAL (SELECT min(median) AS median FROM bench.summary s
                                 WHERE s.name = c.name AND s.section = ANY (
                                     SELECT c.job || '_' || t FROM generate_series(1, threads) t)) s
        WHERE c.answer = (SELECT answer FROM bench.contestant o
                          WHERE o.job = c.job AND o.name LIKE 'pg_journey%' AND o.answer IS NOT NULL ORDER BY seq LIMIT 1))
    SELECT q.n, q.job, q.question, min(e.median) FILTER (WHERE e.name ~ '^pg_journey: blocks'), min(e.median) FILTER (WHERE e.name ~ '^pg_journey: journeys'),
           min(e.median) FILTER (WHERE e.name ~ '^ClickHouse'), (array_agg(substring(e.name from 'ClickHouse: (.*)') ORDER BY e.median) FILTER (WHERE e.name ~ '^ClickHouse'))[1],
           min(e.median) FILTER (WHERE e.name ~ '^DuckDB'), (array_agg(substring(e.name from 'DuckDB: (.*)') ORDER BY e.median) FILTER (WHERE e.name ~ '^DuckDB'))[1]
    -- a peer, which would have to find the times as well, is asked for the funnel without
    FROM bench.question q JOIN exact e ON e.job = CASE WHEN q.job = 'funnel_times' AND e.name !~ '^pg_journey' THEN 'funnel' ELSE q.job END
    GROUP BY q.n, q.job, q.question
$$;
CREATE FUNCTION report_questions(threads int) RETURNS SETOF text LANGUAGE sql
AS $$
    VALUES ('| question | blocks, ms | journeys | ClickHouse | DuckDB | journeys to blocks | ClickHouse to blocks | DuckDB to blocks |'),
           ('|---|---:|---:|---:|---:|---:|---:|---:|')
    UNION ALL
    (SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s |', question, bench.plain(blocks), bench.plain(journeys),
                   coalesce(bench.plain(clickhouse), '–'), coalesce(bench.plain(duckdb), '–'), bench.plain(journeys / blocks),
                   coalesce(CASE WHEN clickhouse < blocks THEN format('**%s**', bench.plain(clickhouse / blocks)) ELSE bench.plain(clickhouse / blocks) END, '–'),
                   coalesce(CASE WHEN duckdb < blocks THEN format('**%s**', bench.plain(duckdb / blocks)) ELSE bench.plain(duckdb / blocks) END, '–'))
     FROM bench.answered(threads) ORDER BY n)
    UNION ALL
    SELECT ''
$$;
SQL
few() { sql -v s="$1" <<'SQL'
SELECT '| query | median ms | min | max |' || E'\n|---|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s |', c.name, plain(s.median), plain(s.min), plain(s.max))
FROM candidate c JOIN summary s USING (section, name) WHERE section = :'s' ORDER BY c.seq;
SELECT '';
SQL
}
{ cat <<MD
## Questions over all journeys

Questions over all $touchpoints touchpoints of $customers customers, asked of blocks (\`GROUP BY customer_id / 1024\`), of stored journeys, and of other
engines with the same rows. Quickest exact answer of each; bold where a peer is quicker than blocks. ClickHouse and DuckDB have, beside the
row table in the order of customer and time, their own packed journeys (a row a customer, arrays), and ClickHouse the rows in the order of
labels; which form was the quickest is told below. PostgreSQL's two threads are two workers besides the leader on $(nproc) processors. Peers ran
after PostgreSQL, each alone, in one process with their client; a time ends when the answer has arrived. What took over $slow ms to warm up was
timed once. Every query's text is in blocks.sh and peers_blocks.mjs.

MD
  peers blocks $slow 900
  # a quantile sketch of ours is within 1 %
  sql <<'SQL'
UPDATE contestant c SET answer = o.answer
FROM (SELECT answer FROM contestant WHERE job = 'first' AND answer IS NOT NULL ORDER BY seq LIMIT 1) o
WHERE c.job = 'first' AND split_part(c.answer, ',', 1) = split_part(o.answer, ',', 1)
      AND abs(substring(c.answer from 'median (\d+)')::float8 / substring(o.answer from 'median (\d+)')::float8 - 1) <= 0.01;
SQL
  echo "### One thread"; echo
  sql -c "SELECT report_questions(1)"
  echo "### Two threads"; echo
  echo "Whoever is slower with two threads than with one is taken with one."; echo
  sql -c "SELECT report_questions(2)"
  echo "## Floors"; echo
  echo "### One thread"; echo; report blocks_floors_0
  echo "### Two workers"; echo; report blocks_floors_2
  echo "## Size"; echo
  sql -v T="$touchpoints" <<'SQL'
SELECT '| stored as | bytes a touchpoint |' || E'\n|---|---:|';
WITH s(n, what, bytes) AS (
    SELECT 1, 'journeys, the values', sum(pg_column_size(journey)) FROM journeys
    UNION ALL SELECT 2, 'journeys, the whole table with its key', pg_total_relation_size('journeys')
    UNION ALL SELECT 3, format('%s blocks, the values', count(*)), sum(pg_column_size(block)) FROM blocks
    UNION ALL SELECT 4, 'blocks, the whole table with TOAST and its key', pg_total_relation_size('blocks'))
SELECT format('| %s | %s |', what, round(bytes / :T.0, 2)) FROM s ORDER BY n;
SELECT '';
SQL
  echo "## Building, and bringing up to date"; echo
  echo "Nothing is stored here. Changed are $(sql -c "SELECT format('%s customers, %s %%, who have %s %% of all touchpoints', count(*), round(100.0 * count(*) / $customers, 1), round(100.0 * sum(journey_length(journey)) / $touchpoints, 1)) FROM changed"):"
  echo "those of one touchpoint in a hundred. A hub keeps their journeys in a block beside (\`newer\`) and merges it when it grows."; echo
  echo "### One thread"; echo; report blocks_build_0
  echo "### Two workers"; echo; report blocks_build_2
  echo "## One customer, few, all"; echo
  echo "The pattern is \`$rare\`. One thread."; echo
  few blocks_few
  echo "## Every formulation"; echo
  sql <<'SQL'
SELECT '| question | asked of | 1 thread, ms | 2 threads |' || E'\n|---|---|---:|---:|';
SELECT format('| %s | %s | %s | %s |', q.question, c.name, plain(a.median), plain(b.median))
FROM question q JOIN (SELECT job, name, min(seq) AS seq FROM contestant GROUP BY job, name) c USING (job)
     JOIN summary a ON a.section = c.job || '_1' AND a.name = c.name
     LEFT JOIN summary b ON b.section = c.job || '_2' AND b.name = c.name
ORDER BY q.n, c.seq;
SELECT '';
SELECT format('**%s, %s failed:** %s.', job, name, failed) || E'\n' FROM contestant WHERE failed IS NOT NULL;
SELECT '## Answers' || E'\n';
SELECT format('- %s: %s', question, (SELECT string_agg(r, E'\n  ') FROM report_answers(q.job) r)) FROM question q ORDER BY n;
SELECT E'\nMedians within 1 % of each other are taken as equal.\n';
SELECT format('**Beware:** %s: %s.', section || ', ' || name, plan_flaws(plan)) || E'\n' FROM plan WHERE plan_flaws(plan) <> '';
SQL
} | print
sql -v T="$touchpoints" <<'SQL'
-- milliseconds are for 10 M touchpoints
INSERT INTO aim
SELECT 30, format('%s of blocks, 1 thread: at most %s ms for 10 M touchpoints', job, a.ms), round((blocks * 1e7 / :T)::numeric, 1), blocks * 1e7 / :T <= a.ms
FROM answered(1) JOIN (VALUES ('funnel', 45), ('sequence', 35), ('repeat', 25)) a(job, ms) USING (job)
UNION ALL
SELECT 31, format('%s: ClickHouse takes at least %s × as long as blocks, 1 thread', job, a.least), round((clickhouse / blocks)::numeric, 2), clickhouse >= a.least * blocks
FROM answered(1) JOIN (VALUES ('funnel', 2.5), ('sequence', 4), ('repeat', 2.5), ('sessions', 3), ('transitions', 3)) a(job, least) USING (job)
UNION ALL
SELECT 32, format('%s: nobody faster than blocks, %s', question, CASE threads WHEN 1 THEN '1 thread' ELSE '2 threads' END),
       round((least(clickhouse, duckdb) / blocks)::numeric, 2), least(clickhouse, duckdb) >= blocks
FROM generate_series(1, 2) threads, answered(threads)
UNION ALL
SELECT 33, 'time and label in blocks: at most 4.2 bytes a touchpoint', round(v, 2), v <= 4.2 FROM (SELECT sum(pg_column_size(block)) / :T.0 AS v FROM blocks) s
UNION ALL
SELECT 34, 'blocks built of journeys: at most 0.3 s for 10 M touchpoints, 1 thread', round((median / 1000 * 1e7 / :T)::numeric, 2), median * 1e7 / :T <= 300
FROM (SELECT min(median) AS median FROM summary WHERE section = 'blocks_build_0' AND name LIKE 'build, %' AND name !~ 'changed') s
UNION ALL
SELECT 35, 'changed journeys put into blocks beside: at most 0.15 of building all', round((c.median / b.median)::numeric, 2), c.median <= 0.15 * b.median
FROM summary c, summary b WHERE c.section = 'blocks_build_0' AND b.section = 'blocks_build_0' AND c.name ~ 'changed' AND b.name = 'build, hash'
UNION ALL
SELECT 36, format('%s of blocks: two workers at least 1.7 × one (of SCALE=3)', job), round((a.median / b.median)::numeric, 2),
       CASE WHEN :T >= 30000000 THEN a.median >= 1.7 * b.median END
FROM unnest('{funnel,sequence,transitions}'::text[]) job
     JOIN summary a ON a.section = job || '_1' AND a.name = 'pg_journey: blocks' JOIN summary b ON b.section = job || '_2' AND b.name = 'pg_journey: blocks';
SQL
