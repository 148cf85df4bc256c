# patterns.sh: the benchmark's parts "patterns" and "horizon", sourced by run.
#
# patterns: four questions about patterns, asked of stored journeys, of the row
# table in the best SQL we know (with a covering index made for the question), of
# ClickHouse and of DuckDB (peers_patterns.mjs). All are asked for the same answer, and what
# gives another one says so. Then patterns by index against a scan of all journeys,
# and what a touchpoint costs the matcher by kind of pattern.
# horizon: what the index's horizon costs and brings, on a sample of the journeys.
#
# A peer that is not there is skipped, and the report says so.

milliseconds() { # a statement, workers for it
    local began
    began=$(date +%s%N)
    sql -c "SET max_parallel_maintenance_workers = ${2:-0}" -c "$1" >/dev/null || return 1
    echo $((($(date +%s%N) - began) / 1000000))
}

# ---- the jobs --------------------------------------------------------------

do_sql <<'SQL'
-- The job's table, one thread first: sections JOB_1 and JOB_2.
CREATE FUNCTION report_job(which text) RETURNS SETOF text LANGUAGE sql
AS $$
    WITH c AS (
        SELECT name, min(seq) AS seq, max(failed) AS failed FROM bench.contestant WHERE job = which GROUP BY name),
    ours AS (SELECT name FROM c WHERE name LIKE 'pg_journey%' ORDER BY seq LIMIT 1)
    VALUES ('| query | threads | median ms | min | max | ratio to floor | ratio to pg_journey |'),
           ('|---|---|---:|---:|---:|---:|---:|')
    UNION ALL
    (SELECT format('| %s | %s | %s | %s | %s | %s | %s |', c.name,
                   CASE WHEN threads = 1 THEN '1' WHEN c.name ~ '^(ClickHouse|DuckDB)' THEN '2' ELSE '2 workers' END,
                   bench.plain(s.median), bench.plain(s.min), bench.plain(s.max),
                   round((s.median / f.median)::numeric, 2), round((s.median / o.median)::numeric, 2))
     FROM generate_series(1, 2) threads CROSS JOIN c CROSS JOIN ours
          JOIN bench.summary s ON s.section = which || '_' || threads AND s.name = c.name
          LEFT JOIN bench.summary f ON f.section = s.section AND f.name = 'journeys: journey_length'
          LEFT JOIN bench.summary o ON o.section = s.section AND o.name = ours.name
     ORDER BY threads, c.seq)
    UNION ALL
    SELECT ''
    UNION ALL
    SELECT format('**%s failed:** %s.', name, failed) FROM c WHERE failed IS NOT NULL
$$;

-- Aims: everybody's quickest exact query by threads, against ours.
CREATE PROCEDURE aim_jobs() LANGUAGE sql
AS $$
    INSERT INTO bench.aim
    SELECT 6, format('%s, %s: %s at least %s times ours', j.job, CASE threads WHEN 1 THEN '1 thread' ELSE '2 threads or workers' END, e.engine, e.least),
           round((best / ours)::numeric, 1), best >= e.least * ours
    FROM (VALUES ('funnel'), ('sequence')) j (job)
         CROSS JOIN generate_series(1, 2) threads
         CROSS JOIN (VALUES ('SQL on rows', 20), ('ClickHouse', 5)) e (engine, least)
         CROSS JOIN LATERAL (
             SELECT min(median) FILTER (WHERE starts_with(s.name, e.engine)) AS best,
                    min(median) FILTER (WHERE s.name = (
                        SELECT name FROM bench.contestant
                        WHERE job = j.job AND name LIKE 'pg_journey%' ORDER BY seq LIMIT 1)) AS ours
             FROM bench.summary s
             WHERE section = j.job || '_' || threads
                   -- not those that answer another question, or wrongly
                   AND NOT EXISTS (SELECT FROM bench.contestant c
                                   WHERE c.job = j.job AND c.name = s.name
                                         AND (c.why LIKE 'it has no%'
                                              OR c.why IS NULL AND c.answer <> (
                                                  SELECT answer FROM bench.contestant
                                                  WHERE job = j.job AND name LIKE 'pg_journey%' ORDER BY seq LIMIT 1)))) m
$$;
SQL

# Adds to a job a query that returns its answer as text: job, name, way, query.
enter() {
    sql -v job="$1" -v name="$2" -v query="$4" <<'SQL'
INSERT INTO bench.contestant (job, name) VALUES (:'job', :'name');
SELECT format('UPDATE bench.contestant SET answer = (%s) WHERE job = %L AND name = %L', :'query', :'job', :'name') \gexec
SQL
    local workers
    for workers in 0 2; do
        add "$1_$((workers ? 2 : 1))" "$2" "journeys: journey_length" "" "$3" "$workers" \
            "SELECT hashtextextended(answer, 0) FROM ($4) q (answer)"
    done
}
floors() { # job
    local workers s
    sql -c "INSERT INTO contestant (job, name) VALUES ('$1', 'journeys: count(*)'), ('$1', 'journeys: journey_length')"
    for workers in 0 2; do
        s=$1_$((workers ? 2 : 1))
        add "$s" "journeys: count(*)" "journeys: journey_length" "" heap "$workers" "SELECT count(*) FROM journeys"
        add "$s" "journeys: journey_length" "" "" heap "$workers" "SELECT sum(journey_length(journey)) FROM journeys"
    done
}

funnel="web.view -> web.add_to_cart -> web.checkout -> web.purchase within 7 days"
strict="web.view -[> 0 s]-> web.add_to_cart -[> 0 s]-> web.checkout -[> 0 s]-> web.purchase within 7 days"
sequence="email.open -[<= 1 day]-> email.click -[!%.complaint]-> %.purchase"
any="email.open -> % -[<= 1 day]-> email.click -[!%.complaint]-> %.purchase"
repeat="whatsapp.message -[<= 2 days, !%.resolve]-> whatsapp.message"

reached() { # pattern
    echo "SELECT format('%s %s %s %s', sum(n) FILTER (WHERE r >= 1), sum(n) FILTER (WHERE r >= 2),
                 sum(n) FILTER (WHERE r >= 3), sum(n) FILTER (WHERE r >= 4))
          FROM (SELECT journey_reached(journey, '$1') AS r, count(*) AS n FROM journeys GROUP BY 1) s"
}
# How many match and the sum of their ids, which is as good as comparing the lists.
matching() { # pattern
    echo "SELECT format('%s customers, ids %s', count(*), sum(customer_id)) FROM journeys WHERE journey ~ '$1'"
}
who() { # query of customer ids
    echo "SELECT format('%s customers, ids %s', count(*), sum(customer_id)) FROM ($1) s"
}
# The row table's covering index of a job: its rows in the order of journeys. Makes it the only one of its kind.
index_rows() { # columns, condition
    sql -c "SET client_min_messages = warning" -c "DROP INDEX IF EXISTS touchpoints_job" -c "CREATE INDEX touchpoints_job ON touchpoints ($1) WHERE $2"
    # a new btree is not in shared_buffers
    sql -c "SET enable_seqscan = off" -c "SET enable_bitmapscan = off" -c "SELECT count(action) FROM touchpoints WHERE $2" >/dev/null
}
describe_rows() {
    sql -c "SELECT format('The row table''s index of its own: %s; %s bytes a touchpoint of the table.',
                replace(substring(pg_get_indexdef('touchpoints_job'::regclass) from 'btree (.*)'), '::text', ''),
                round(pg_relation_size('touchpoints_job') / $touchpoints.0, 1))"
}

# The planner takes an unknown expression for as many groups as rows, and no workers
# for so many.
tell_groups() { # name, expression of the journeys
    sql -c "CREATE STATISTICS $1_groups ON ($2) FROM journeys" -c "ANALYZE journeys"
}

funnel_jobs() {
    floors funnel
    tell_groups funnel "journey_reached(journey, '$funnel')"
    enter funnel "pg_journey: journey_reached" heap "$(reached "$funnel")"
    enter funnel "pg_journey: journey_funnel_agg" heap "
        SELECT string_agg(u.reached::text, ' ' ORDER BY u.step)
        FROM unnest((SELECT journey_funnel_agg(journey, '$funnel') FROM journeys)) AS u"
    local rows="channel = 'web' AND action IN ('view', 'add_to_cart', 'checkout', 'purchase')"
    local w="WINDOW w AS (PARTITION BY customer_id ORDER BY occurred_at, action ROWS UNBOUNDED PRECEDING)"
    index_rows "customer_id, occurred_at, action" "$rows"
    # s1, s2, s3: the latest start of a partial match of that many steps; later is always as good or better
    enter funnel "SQL on rows: windows" any "
        SELECT format('%s %s %s %s', count(*) FILTER (WHERE r >= 1), count(*) FILTER (WHERE r >= 2),
                      count(*) FILTER (WHERE r >= 3), count(*) FILTER (WHERE r >= 4))
        FROM (SELECT max(CASE action WHEN 'view' THEN 1
                                     WHEN 'add_to_cart' THEN CASE WHEN occurred_at - s1 <= '7 days' THEN 2 END
                                     WHEN 'checkout' THEN CASE WHEN occurred_at - s2 <= '7 days' THEN 3 END
                                     ELSE CASE WHEN occurred_at - s3 <= '7 days' THEN 4 END END) AS r
              FROM (SELECT *, max(CASE action WHEN 'checkout' THEN s2 END) OVER w AS s3
                    FROM (SELECT *, max(CASE action WHEN 'add_to_cart' THEN s1 END) OVER w AS s2
                          FROM (SELECT customer_id, occurred_at, action,
                                       max(CASE action WHEN 'view' THEN occurred_at END) OVER w AS s1
                                FROM touchpoints WHERE $rows $w) a $w) b $w) c
              GROUP BY customer_id) d"
    # from each step back to the latest one before it, and so on
    before() { # row, step
        echo "(SELECT b.occurred_at, b.action FROM touchpoints b
               WHERE b.customer_id = a.customer_id AND b.$rows AND b.action = '$2'
                     AND (b.occurred_at, b.action) < ($1.occurred_at, $1.action)
               ORDER BY b.occurred_at DESC, b.action DESC LIMIT 1)"
    }
    local steps="SELECT a.customer_id, a.action FROM (SELECT * FROM touchpoints WHERE $rows) a" of="a.action"
    local within="a.occurred_at - v.occurred_at <= '7 days'"
    enter funnel "SQL on rows: look-ups" any "
        SELECT format('%s %s %s %s', (SELECT count(DISTINCT customer_id) FROM touchpoints WHERE $rows AND action = 'view'),
                      count(DISTINCT customer_id) FILTER (WHERE action = 'add_to_cart'),
                      count(DISTINCT customer_id) FILTER (WHERE action = 'checkout'),
                      count(DISTINCT customer_id) FILTER (WHERE action = 'purchase'))
        FROM ($steps, LATERAL $(before a view) v WHERE $of = 'add_to_cart' AND $within
              UNION ALL
              $steps, LATERAL $(before a add_to_cart) c, LATERAL $(before c view) v WHERE $of = 'checkout' AND $within
              UNION ALL
              $steps, LATERAL $(before a checkout) d, LATERAL $(before d add_to_cart) c, LATERAL $(before c view) v
              WHERE $of = 'purchase' AND $within) s"
}
sequence_jobs() {
    floors sequence
    enter sequence "pg_journey: ~" heap "$(matching "$sequence")"
    local outcome="action IN ('purchase', 'complaint')"
    local rows="((channel = 'email' AND action IN ('open', 'click')) OR action IN ('purchase', 'complaint'))"
    index_rows "customer_id, occurred_at, channel, action" "$rows"
    # outcomes: how many lie before the row; a click and what became of it have the same number
    enter sequence "SQL on rows: windows" any "$(who "
        SELECT DISTINCT customer_id FROM (
            SELECT customer_id, occurred_at, channel, action,
                   max(CASE WHEN channel = 'email' AND action = 'open' THEN occurred_at END) OVER w AS opened,
                   count(CASE WHEN $outcome THEN 1 END) OVER w - ($outcome)::int AS outcomes
            FROM touchpoints WHERE $rows
            WINDOW w AS (PARTITION BY customer_id ORDER BY occurred_at, channel, action ROWS UNBOUNDED PRECEDING)) a
        GROUP BY customer_id, outcomes
        HAVING bool_or(channel = 'email' AND action = 'click' AND occurred_at - opened <= '1 day')
               AND bool_or(action = 'purchase')")"
    near() { # < DESC or > ASC, condition
        echo "(SELECT t.occurred_at, t.action FROM touchpoints t WHERE t.customer_id = c.customer_id AND $rows AND $3
                     AND (t.occurred_at, t.channel, t.action) $1 (c.occurred_at, c.channel, c.action)
               ORDER BY t.occurred_at $2, t.channel $2, t.action $2 LIMIT 1)"
    }
    enter sequence "SQL on rows: look-ups" any "$(who "
        SELECT DISTINCT c.customer_id
        FROM (SELECT * FROM touchpoints WHERE $rows AND channel = 'email' AND action = 'click') c,
             LATERAL $(near '<' DESC "channel = 'email' AND action = 'open'") o, LATERAL $(near '>' ASC "$outcome") x
        WHERE c.occurred_at - o.occurred_at <= '1 day' AND x.action = 'purchase'")"
}
any_jobs() {
    floors any
    enter any "pg_journey: ~" heap "$(matching "$any")"
    local outcome="action IN ('purchase', 'complaint')"
    index_rows "customer_id, occurred_at, channel, action" true
    enter any "SQL on rows: windows" any "$(who "
        SELECT DISTINCT customer_id FROM (
            SELECT customer_id, occurred_at, channel, action,
                   count(CASE WHEN channel = 'email' AND action = 'open' THEN 1 END) OVER w AS opens,
                   lag(channel) OVER w AS channel_before, lag(action) OVER w AS action_before,
                   lag(occurred_at) OVER w AS before, count(CASE WHEN $outcome THEN 1 END) OVER w - ($outcome)::int AS outcomes
            FROM touchpoints
            WINDOW w AS (PARTITION BY customer_id ORDER BY occurred_at, channel, action ROWS UNBOUNDED PRECEDING)) a
        GROUP BY customer_id, outcomes
        HAVING bool_or(channel = 'email' AND action = 'click' AND occurred_at - before <= '1 day'
                       AND opens > (channel_before = 'email' AND action_before = 'open')::int)
               AND bool_or(action = 'purchase')")"
}
repeat_jobs() {
    floors repeat
    tell_groups repeat "journey_match_count(journey, '$repeat')"
    enter repeat "pg_journey: journey_match_count" heap "
        SELECT format('%s matches, by customer %s', sum(n * customers), sum(n * ids))
        FROM (SELECT journey_match_count(journey, '$repeat') AS n, count(*) AS customers, sum(customer_id) AS ids
              FROM journeys GROUP BY 1) s"
    local rows="((channel = 'whatsapp' AND action = 'message') OR action = 'resolve')"
    local w="PARTITION BY customer_id ORDER BY occurred_at, channel, action"
    index_rows "customer_id, occurred_at, channel, action" "$rows"
    enter repeat "SQL on rows: windows" any "
        SELECT format('%s matches, by customer %s', sum(n), sum(n * customer_id))
        FROM (SELECT customer_id, count(*) / 2 AS n
              FROM (SELECT customer_id, action, count(CASE WHEN joined THEN NULL ELSE 1 END)
                                                OVER ($w ROWS UNBOUNDED PRECEDING) AS run
                    FROM (SELECT customer_id, occurred_at, channel, action,
                                 action = 'message' AND lag(action) OVER w = 'message'
                                 AND occurred_at - lag(occurred_at) OVER w <= '2 days' AS joined
                          FROM touchpoints WHERE $rows WINDOW w AS ($w)) a) b
              WHERE action = 'message' GROUP BY customer_id, run) c"
}

job() { # job, heading; then what it asks, on standard input
    echo "### $2"; echo
    cat
    echo
    cat "$dir/$1.index"; echo
    sql -c "SELECT report_job('$1')" -c "SELECT report_answers('$1')"
    echo
    sql -c "SELECT 'One thread: ' || report_plans('$1_1')" -c "SELECT 'Two workers: ' || report_plans('$1_2')" \
        -c "SELECT report_flaws('$1_1')" -c "SELECT report_flaws('$1_2')"
    echo
}

# ---- extra touchpoints, for indexes ----------------------------------------

# A copy of the journeys with three labels more. rare.label: 1 in 10,000 customers.
# alpha.a and beta.b: half of the customers each, by chance, at random times at least
# two hours apart; but 1 in 10,000 customers has both, within 20 s.
rare="rare.label"
tight="alpha.a -[<= 1 min]-> beta.b"
extra_journeys() {
    say "journeys with rare labels"
    do_sql <<'SQL'
CREATE TABLE journeys_extra AS
WITH hashed AS (
    SELECT customer_id, journey, hashint8extended(customer_id, 1) AS a, hashint8extended(customer_id, 2) AS b,
           customer_id % 10000 = 17 AS tight
    FROM journeys),
timed AS (
    SELECT *, (a >> 8 & 4294967295) % 7776000 AS alpha,
           CASE WHEN tight THEN 20 ELSE 7200 + (b >> 8 & 4294967295) % (7776000 - 14400) END AS gap
    FROM hashed)
SELECT customer_id,
       journey
       || CASE WHEN customer_id % 10000 = 7
               THEN touchpoint(to_timestamp(1767225600 + alpha), 'rare', 'label')::journey ELSE '{}' END
       || CASE WHEN a & 1 = 1 OR tight
               THEN touchpoint(to_timestamp(1767225600 + alpha), 'alpha', 'a')::journey ELSE '{}' END
       || CASE WHEN b & 1 = 1 OR tight
               THEN touchpoint(to_timestamp(1767225600 + CASE WHEN tight THEN alpha + gap ELSE (alpha + gap) % 7776000 END),
                               'beta', 'b')::journey ELSE '{}' END AS journey
FROM timed;
ALTER TABLE journeys_extra ADD PRIMARY KEY (customer_id);
ALTER TABLE journeys_extra SET (parallel_workers = 2);
VACUUM (FREEZE, ANALYZE) journeys_extra;
SQL
}
# Builds an index anew so often, leaves the last one; the quickest in milliseconds.
build_index() { # name, definition, workers
    local ms best=""
    for _ in $(seq $((RUNS < 3 ? 1 : 2))); do
        sql -c "SET client_min_messages = warning" -c "DROP INDEX IF EXISTS $1"
        ms=$(milliseconds "CREATE INDEX $1 ON $2" "${3:-0}")
        [ -n "$best" ] && [ "$best" -le "$ms" ] || best=$ms
    done
    echo "$best"
}
do_sql <<'SQL'
-- Rows that the index handed over, as against those that it should have.
CREATE FUNCTION plan_candidates(plan jsonb) RETURNS bigint LANGUAGE sql
AS $$
    SELECT (n->>'Actual Rows')::bigint + coalesce((n->>'Rows Removed by Index Recheck')::bigint, 0)
           + coalesce((n->>'Rows Removed by Filter')::bigint, 0)
    FROM jsonb_path_query_first(plan, 'strict $.** ? (@."Node Type" like_regex "^(Bitmap Heap|Index|Index Only) Scan")') n
$$;
CREATE FUNCTION plan_scan(plan jsonb, what text) RETURNS bigint LANGUAGE sql
AS $$
    SELECT (n->>what)::bigint
    FROM jsonb_path_query_first(plan, 'strict $.** ? (@."Node Type" like_regex "Seq Scan|Bitmap Heap Scan|Index Scan|Index Only Scan")') n
$$;
-- Sections WHICH_index and WHICH_scan, the same queries under the same names.
CREATE FUNCTION report_indexed(which text) RETURNS SETOF text LANGUAGE sql
AS $$
    VALUES ('| condition | journeys | by index, ms | by scan, ms | scan to index | candidates | planner expects | factor | planner takes |'),
           ('|---|---:|---:|---:|---:|---:|---:|---:|---|')
    UNION ALL
    (SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s | %s |', replace(c.name, '|', '\|'), r.answer,
                   bench.plain(i.median), bench.plain(s.median), bench.plain(s.median / i.median),
                   coalesce(bench.plan_candidates(pi.plan)::text, '**index not used**'),
                   bench.plan_scan(ps.plan, 'Plan Rows'),
                   bench.plain(greatest(bench.plan_scan(ps.plan, 'Plan Rows'), 1) / greatest(r.answer, 1)::float8),
                   CASE WHEN bench.plan_of(c.query) ~ 'Seq Scan' THEN 'the scan' ELSE 'the index' END)
     FROM bench.candidate c
          JOIN bench.summary s ON s.section = c.section AND s.name = c.name
          JOIN bench.summary i ON i.section = which || '_index' AND i.name = c.name
          JOIN bench.plan ps ON ps.section = c.section AND ps.name = c.name
          JOIN bench.plan pi ON pi.section = i.section AND pi.name = c.name
          JOIN bench.result r ON r.section = c.section AND r.name = c.name AND r.run = 1
     WHERE c.section = which || '_scan' ORDER BY c.seq)
    UNION ALL
    SELECT ''
    UNION ALL
    SELECT format('**Beware:** %s: by index another answer than by scan.', s.name)
    FROM bench.result s JOIN bench.result i ON i.name = s.name AND i.run = 1 AND i.section = which || '_index'
    WHERE s.section = which || '_scan' AND s.run = 1 AND s.answer <> i.answer
    UNION ALL
    SELECT bench.report_flaws(which || '_index')
    UNION ALL
    SELECT bench.report_flaws(which || '_scan')
$$;
SQL
compare_index() { # section; conditions on standard input, each a line: name|condition
    local name condition
    while IFS='#' read -r name condition; do
        add "$1_scan" "$name" "" "" heap 0 "SELECT count(*) FROM journeys_extra WHERE $condition"
        add "$1_index" "$name" "" "" lookup 0 "SELECT count(*) FROM journeys_extra WHERE $condition"
    done
    measure "$1_index"
    measure "$1_scan"
    sql -c "SELECT report_indexed('$1')"
    echo
}
indexes() {
    echo "### Patterns by index"; echo
    echo "Journeys with three labels more: \`rare.label\` in 1 of 10,000; \`alpha.a\` and \`beta.b\` in half each, by chance, at least two hours"
    echo "apart but for 1 in 10,000, where b follows a by 20 s. That is a touchpoint a journey more than the row table has. One thread; candidates are the journeys that the index hands over;"
    echo "the factor is what the planner expects by what there is; the last column is what it takes if left alone."; echo
    local ms btree btree_2
    say "index: btree"
    # under another name: the row table's own stays as it is
    btree=$(build_index touchpoints_again "touchpoints (customer_id, occurred_at)" 0)
    btree_2=$(build_index touchpoints_again "touchpoints (customer_id, occurred_at)" 2)
    sql -c "DROP INDEX touchpoints_again"
    say "index: gin"
    ms=$(build_index journeys_extra_gin "journeys_extra USING gin (journey)" 0)
    sql -c "VACUUM (ANALYZE) journeys_extra"
    compare_index gin <<LINES
$rare#journey ~ '$rare'
$tight#journey ~ '$tight'
rare.% -> %.purchase#journey ~ 'rare.% -> %.purchase'
alpha.a -> beta.b#journey ~ 'alpha.a -> beta.b'
the sequence from above#journey ~ '$sequence'
LINES
    sql -v ms="$ms" -v btree="$btree" -v btree_2="$btree_2" <<'SQL'
SELECT '| index | MB | build, ms |' || E'\n|---|---:|---:|';
SELECT format('| gin (journey) | %s | %s |', round(pg_relation_size('journeys_extra_gin') / 1048576.0, 1), :ms);
SELECT format('| the row table''s btree (customer_id, occurred_at) | %s | %s (2 workers: %s) |',
              round(pg_relation_size('touchpoints_customer') / 1048576.0, 1), :btree, :btree_2);
INSERT INTO aim
SELECT 7, 'pattern of a rare label by index: below 10 ms', round(median::numeric, 2), median < 10
FROM summary WHERE section = 'gin_index' AND name = 'rare.label'
UNION ALL
SELECT 8, 'two common labels within a minute: scan at least 10 times the index',
       round((s.median / i.median)::numeric, 1), s.median >= 10 * i.median
FROM summary i JOIN summary s USING (name)
WHERE i.section = 'gin_index' AND s.section = 'gin_scan' AND name LIKE 'alpha.a -[%'
UNION ALL
SELECT 9, 'index on journeys: at most the btree''s size', round(g / b, 2), g <= b
FROM (SELECT pg_relation_size('journeys_extra_gin')::numeric AS g, pg_relation_size('touchpoints_customer') AS b) s
UNION ALL
SELECT 9, 'index on journeys: at most twice the btree''s time to build, no workers',
       round(:ms / :btree.0, 2), :ms <= 2 * :btree;
SQL
    echo
    echo "Builds: $((RUNS < 3 ? 1 : 2)), the quickest, with maintenance_work_mem $work_mem and without workers, which GIN has only from PostgreSQL 18 on."
    sql -c "DROP INDEX journeys_extra_gin"
    echo
    echo "### Windows of time by index"; echo
    say "index: gist"
    ms=$(build_index journeys_extra_gist "journeys_extra USING gist (journey)" 0)
    sql -c "VACUUM (ANALYZE) journeys_extra"
    compare_index gist <<'LINES'
the first morning#journey && tstzrange('2026-01-01 06:00+00', '2026-01-01 09:00+00')
an hour of the middle#journey && tstzrange('2026-02-15 15:00+00', '2026-02-15 16:00+00')
LINES
    sql -c "SELECT format('gist (journey): %s MB, built in $ms ms.', round(pg_relation_size('journeys_extra_gist') / 1048576.0, 1))" \
        -c "DROP INDEX journeys_extra_gist"
    echo
}

# ---- what a touchpoint costs -----------------------------------------------

matcher() {
    say "matcher"
    count() { echo "SELECT sum(journey_match_count(journey, '$1')) FROM ${2:-journeys}"; }
    kind() { add matcher "$1: \`$2\`" "${4:-journeys: journey_length}" "$touchpoints" heap 0 "$(count "$2" "${3:-journeys}")"; }
    add matcher "journeys: journey_length" "" "$touchpoints" heap 0 "SELECT sum(journey_length(journey)) FROM journeys"
    add matcher "journeys with value: journey_length" "" "$touchpoints" heap 0 "SELECT sum(journey_length(journey)) FROM journeys_value"
    kind "no such label" "no.such -> web.view"
    kind "one label" "web.view"
    kind "order only" "web.view -> web.search -> app.view"
    kind "order, wildcards" "web.% -> app.% -> %.click"
    kind "next" "web.view => web.search"
    kind "repetition" "web.view{3,} -> web.click"
    kind "limits" "web.view -[<= 1 h]-> web.search -[<= 1 h]-> web.click"
    kind "ban" "web.view -[!web.search]-> web.click"
    kind "limit and ban" "web.view -[<= 1 day, !%.purchase]-> web.click"
    kind "within" "web.view -> web.search -> web.click within 1 h"
    kind "any order" "all(web.view, web.search, web.click)"
    kind "order only, journeys with value" "web.view -> %.purchase" journeys_value "journeys with value: journey_length"
    kind "value" "web.view -> %.purchase[value >= 100]" journeys_value "journeys with value: journey_length"
    measure matcher
    echo "### What a touchpoint costs the matcher"; echo
    echo "\`sum(journey_match_count(journey, …))\`, which reads a journey to its end unless it lacks a label that is needed; one thread."
    echo "Time less the floor's (\`sum(journey_length(journey))\` of the same table), by all $touchpoints touchpoints, of journeys that were not read too."; echo
    sql <<'SQL'
SELECT '| pattern | matches | median ms | ratio to floor | ns a touchpoint less floor | ns a journey less floor |'
       || E'\n|---|---:|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s |', replace(c.name, '|', '\|'), r.answer, plain(s.median),
              round((s.median / f.median)::numeric, 2), plain((s.median - f.median) * 1e6 / c.touchpoints),
              plain((s.median - f.median) * 1e6 / (SELECT count(*) FROM journeys)))
FROM candidate c JOIN summary s USING (section, name)
     JOIN result r ON r.section = c.section AND r.name = c.name AND r.run = 1
     LEFT JOIN summary f ON f.section = c.section AND f.name = c.floor
WHERE c.section = 'matcher' ORDER BY c.seq;
SELECT '';
SELECT report_plans('matcher');
SELECT report_flaws('matcher');
SELECT '';
SQL
}

# ---- horizon ---------------------------------------------------------------

horizon() {
    echo "## The index's horizon"; echo
    # whole blocks of ten thousand, so that the rare ones stay as rare
    sql -c "CREATE TABLE sample AS SELECT * FROM journeys_extra WHERE customer_id / 10000 % 10 = 0" -c "VACUUM (FREEZE, ANALYZE) sample"
    ! has "SELECT FROM pg_available_extensions WHERE name = 'pageinspect'" || sql -c "CREATE EXTENSION IF NOT EXISTS pageinspect"
    local p h n option keys ms
    do_sql <<'SQL'
CREATE TABLE horizon (n int GENERATED ALWAYS AS IDENTITY, name text, bytes bigint, ms int, keys text, failed text);
CREATE TABLE horizon_pattern (n int GENERATED ALWAYS AS IDENTITY, pattern text);
CREATE TABLE horizon_result (horizon int, pattern int, candidates bigint, matches bigint, ms float8);
CREATE PROCEDURE try_horizon(h int) LANGUAGE plpgsql
AS $$
DECLARE
    p record;
    plan json;
    began timestamptz;
BEGIN
    SET LOCAL enable_seqscan = off;
    SET LOCAL max_parallel_workers_per_gather = 0;
    FOR p IN SELECT * FROM bench.horizon_pattern ORDER BY n LOOP
        FOR run IN 0..1 LOOP
            EXECUTE format('EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT customer_id FROM bench.sample WHERE journey ~ %L',
                           p.pattern) INTO plan;
        END LOOP;
        INSERT INTO bench.horizon_result
        VALUES (h, p.n, bench.plan_candidates(plan::jsonb), bench.plan_scan(plan::jsonb, 'Actual Rows'),
                (plan->0->>'Execution Time')::float8);
    END LOOP;
END
$$;
SQL
    for p in "$rare" "$tight" "beta.b -[<= 1 h]-> alpha.a" "alpha.a => beta.b" "alpha.a -> beta.b" "web.view => web.purchase" \
        "web.view -[<= 10 min]-> web.purchase" "web.view -> web.add_to_cart -> web.checkout -> web.purchase within 1 h" "$funnel" \
        "$sequence" "$repeat" "web.% -[<= 5 min]-> phone.%" "(email.open | sms.open) -[<= 5 min]-> store.purchase"; do
        sql -v p="$p" <<< "INSERT INTO bench.horizon_pattern (pattern) VALUES (:'p');"
    done
    # the last is the longest there is, in whole days
    for h in "as installed" "0" "10 min" "1 h" "1 day" "7 days" "106751991 days"; do
        say "horizon: $h"
        option="(horizon = '$h')"
        [ "$h" != "as installed" ] || option=
        if ms=$(milliseconds "CREATE INDEX sample_gin ON sample USING gin (journey journey_ops $option)" 2> "$dir/horizon.err"); then
            keys=$(sql -c "SELECT n_entries FROM gin_metapage_info(get_raw_page('sample_gin', 0))" 2>/dev/null || echo '?')
            n=$(sql -c "INSERT INTO horizon (name, bytes, ms, keys) VALUES ('$h', pg_relation_size('sample_gin'), $ms, '$keys') RETURNING n")
            sql -c "VACUUM (ANALYZE) sample" -c "CALL try_horizon($n)" -c "DROP INDEX sample_gin"
        else
            sql -v h="$h" -v e="$(head -1 "$dir/horizon.err")" <<< "INSERT INTO bench.horizon (name, failed) VALUES (:'h', :'e');"
        fi
    done
    sql <<'SQL'
SELECT format('A sample of %s journeys, %s touchpoints. Built by one process, once. The last horizon is the longest there is, where the data spans 90 days. '
              'Candidates are the journeys that the index hands over to be checked.', count(*), sum(journey_length(journey))) || E'\n'
FROM sample;
SELECT '| horizon | MB | bytes a touchpoint | build, ms | distinct keys |' || E'\n|---|---:|---:|---:|---:|';
SELECT CASE WHEN failed IS NULL
            THEN format('| %s | %s | %s | %s | %s |', name, round(bytes / 1048576.0, 1),
                        round(bytes::numeric / (SELECT sum(journey_length(journey)) FROM sample), 2), ms, keys)
            ELSE format('| %s | **failed:** %s | | | |', name, failed) END
FROM horizon ORDER BY n;
SELECT '';
SELECT '| pattern | journeys | ' || string_agg(name, ' | ' ORDER BY n) || ' |' FROM horizon WHERE failed IS NULL;
SELECT '|---|---:|' || string_agg('---:', '|') || '|' FROM horizon WHERE failed IS NULL;
SELECT format('| `%s` | %s | %s |', replace(p.pattern, '|', '\|'), min(r.matches),
              string_agg(coalesce(r.candidates::text, 'not by index') || ', ' || plain(r.ms) || ' ms', ' | ' ORDER BY r.horizon))
FROM horizon_pattern p JOIN horizon_result r ON r.pattern = p.n GROUP BY p.n, p.pattern ORDER BY p.n;
SELECT format(E'\n**Beware:** %s: not all horizons gave the same answer.', p.pattern)
FROM horizon_pattern p JOIN horizon_result r ON r.pattern = p.n GROUP BY p.n, p.pattern HAVING min(r.matches) <> max(r.matches);
SELECT '';
SQL
}

# ---- the parts -------------------------------------------------------------

if [ "$LABELS" != usual ]; then
    print <<< $'## Patterns\n\n**Skipped: they are written for LABELS=usual.**\n'
    return
fi
if part patterns; then
    for job in funnel sequence any repeat; do
        say "patterns: $job"
        ${job}_jobs
        measure ${job}_1
        measure ${job}_2
        describe_rows > "$dir/$job.index"
    done
    sql -c "DROP INDEX touchpoints_job"
    sql -c "INSERT INTO contestant (job, name, answer) VALUES ('strict', 'pg_journey: journey_reached', ($(reached "$strict")))"
    { echo "## Patterns"; echo
      echo "Over the journeys with time and label, against the row table and against other engines with the same rows in the order of"
      echo "customer_id, occurred_at, channel, action, which is also the order of journeys. The floor is \`sum(journey_length(journey))\`. One"
      echo "thread, then two: 2 workers of PostgreSQL besides the leader, on $(nproc) processors; max_threads = 2 of ClickHouse; threads = 2 of DuckDB."
      echo "The planner is told (CREATE STATISTICS) how few groups journey_reached and journey_match_count make. PostgreSQL has no parallel window"
      echo "functions. Peers ran after PostgreSQL, each alone, in one process with their client, a job's queries taking turns; one warm-up, then"
      echo "$RUNS runs, medians; a time ends when the answer has arrived. Every query's text is in patterns.sh and peers_patterns.mjs."; echo
      peers patterns
      job funnel "Funnel of four steps within 7 days" <<MD
\`$funnel\`: how many customers reach each step. Any view may be the start, and the best counts; the whole spans at most 7 days,
inclusive; of touchpoints at the same time, the one with the smaller label is first.
MD
      [ -n "$(sql -c "SELECT 1 FROM contestant WHERE name LIKE '%funnel_agg'")" ] || { echo "**journey_funnel_agg skipped: there is none, or it returns no column of the name reached, customers, journeys or count.**"; echo; }
      echo "With each step strictly later than the one before (windowFunnel: 'strict_increase'), so that equal times play no part, not timed:"
      echo
      sql -c "SELECT report_answers('strict')"
      echo
      job sequence "Sequence with a ban" <<MD
\`$sequence\`: which customers opened an e-mail, clicked within a day of it, and then bought with no complaint
between click and purchase.
MD
      job any "The same with any one touchpoint between" <<MD
\`$any\`: another touchpoint lies between the opening and the click, within a day of
the click. It may be any, so every row has to be read.
MD
      job repeat "Repeat contacts, counted" <<MD
\`$repeat\`: how often a customer writes again within two days, nothing resolved in
between. Matches do not overlap: of n messages in a row, each within two days of the one before, there are n / 2, rounded down.
MD
    } | print
    sql -c "CALL aim_jobs()"
fi
extra_journeys
if part patterns; then
    indexes | print
    matcher | print
fi
! part horizon || horizon | print
