# rows.sh: the benchmark's part "rows", sourced by run.
#
# Funnels, sequences, retention and sessions over the plain row table, and cohorts
# over stored journeys: pg_journey, the best SQL we know on the same rows with
# indexes made for the question, ClickHouse and DuckDB (peers_rows.mjs). All are
# asked for the same answer. An aggregate's floor is a no-op aggregate in C with the
# same arguments and the same plan, session_number's is row_number(). Then what a
# group's state takes, and a million events in one group.

do_sql <<'SQL'
\set library :dir '/noop/noop_agg'
CREATE FUNCTION noop_integer(internal) RETURNS integer AS :'library', 'noop_zero' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION noop_bigint(internal) RETURNS bigint AS :'library', 'noop_zero' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION noop_boolean(internal) RETURNS boolean AS :'library', 'noop_zero' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION "noop_boolean[]"(internal) RETURNS boolean[] AS :'library', 'noop_array' LANGUAGE C IMMUTABLE PARALLEL SAFE;
-- noop_window_funnel and so on, with arguments, result and state size as the real ones
CREATE TEMP TABLE ours AS
SELECT p.proname, regexp_replace(oidvectortypes(p.proargtypes), '("any")$', 'VARIADIC \1') AS args,
       p.prorettype::regtype::text AS result, greatest(a.aggtransspace, 32) AS space
FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid
WHERE p.proname IN ('window_funnel', 'sequence_match', 'sequence_count', 'retention');
SELECT format('CREATE FUNCTION noop_transfn(internal, %s) RETURNS internal AS %L LANGUAGE C IMMUTABLE PARALLEL SAFE', args, :'library')
FROM (SELECT DISTINCT args FROM ours) s \gexec
SELECT format('CREATE AGGREGATE noop_%s(%s) (SFUNC = noop_transfn, STYPE = internal, SSPACE = %s, FINALFUNC = %I,
                   COMBINEFUNC = noop_combinefn, SERIALFUNC = noop_serialfn, DESERIALFUNC = noop_deserialfn, PARALLEL = SAFE)',
              proname, args, space, 'noop_' || result)
FROM ours \gexec

-- Whether the planner has workers for a query.
CREATE FUNCTION has_workers(way text, query text) RETURNS boolean LANGUAGE plpgsql
AS $$
DECLARE
    s text;
BEGIN
    FOREACH s IN ARRAY bench.settings(way, 2) LOOP
        PERFORM set_config(split_part(s, '=', 1), split_part(s, '=', 2), true);
    END LOOP;
    RETURN bench.plan_of(query) ~ 'Gather';
END
$$;

-- The answers of a job in words: ours, and those of others that are not the same.
CREATE PROCEDURE settle_answers(which text) LANGUAGE plpgsql
AS $$
DECLARE
    one record;
    words text;
BEGIN
    FOR one IN SELECT c.name, c.query, r.answer
             FROM bench.candidate c JOIN bench.result r USING (section, name)
             WHERE section = which || '_1' AND r.run = 1 AND c.name !~ '^floor'
             ORDER BY c.name !~ '^pg_journey', c.seq
    LOOP
        IF words IS NULL OR one.answer <> hashtextextended(words, 0) THEN
            EXECUTE replace(one.query, 'hashtextextended(answer, 0)', 'answer') INTO words;
        END IF;
        UPDATE bench.contestant SET answer = words WHERE job = which AND name = one.name;
    END LOOP;
END
$$;

-- Of those whose name begins so; without workers if that is quicker or there is no plan with any.
CREATE FUNCTION quickest(which text, threads int, who text) RETURNS float8 LANGUAGE sql
AS $$
    SELECT min(s.median) FROM bench.summary s
    WHERE s.section IN (which || '_1', which || '_' || threads) AND starts_with(s.name, who)
          -- not those that answer wrongly
          AND NOT EXISTS (SELECT FROM bench.contestant c
                          WHERE c.job = which AND c.name = s.name
                                AND c.answer <> (SELECT answer FROM bench.contestant
                                                 WHERE job = which AND name LIKE 'pg_journey%' ORDER BY seq LIMIT 1))
$$;

-- One thread first: sections JOB_1 and JOB_2.
CREATE FUNCTION report_rows(which text) RETURNS SETOF text LANGUAGE sql
AS $$
    VALUES ('| query | threads | median ms | min | max | ratio to floor | ratio to ours | memory |'),
           ('|---|---|---:|---:|---:|---:|---:|---|')
    UNION ALL
    (SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s |', c.name,
                   CASE WHEN threads = 1 THEN '1' WHEN c.name ~ '^(ClickHouse|DuckDB)' THEN '2' ELSE '2 workers' END,
                   bench.plain(s.median), bench.plain(s.min), bench.plain(s.max),
                   round((s.median / f.median)::numeric, 2), round((s.median / o.ours)::numeric, 2),
                   bench.plan_memory(p.plan))
     FROM generate_series(1, 2) threads
          CROSS JOIN (SELECT name, min(seq) AS seq FROM bench.contestant WHERE job = which GROUP BY name) c
          JOIN bench.summary s ON s.section = which || '_' || threads AND s.name = c.name
          LEFT JOIN bench.candidate a ON a.section = s.section AND a.name = s.name
          LEFT JOIN bench.summary f ON f.section = s.section AND f.name = a.floor
          LEFT JOIN bench.plan p ON p.section = s.section AND p.name = s.name
          CROSS JOIN LATERAL (
              SELECT CASE WHEN c.name ~ 'hash$' THEN min(h.median) ELSE bench.quickest(which, threads, 'pg_journey') END AS ours
              FROM bench.summary h WHERE h.section = s.section AND h.name ~ '^pg_journey.* hash$') o
     ORDER BY threads, c.seq)
    UNION ALL
    SELECT ''
    UNION ALL
    SELECT format('**%s failed:** %s.', name, failed) FROM bench.contestant WHERE job = which AND failed IS NOT NULL
    UNION ALL
    SELECT * FROM bench.report_answers(which)
    UNION ALL
    SELECT ''
    UNION ALL
    SELECT CASE threads WHEN 1 THEN 'One thread: ' ELSE 'Two workers: ' END || bench.report_plans(which || '_' || threads)
    FROM generate_series(1, 2) threads
    UNION ALL
    SELECT bench.report_flaws(which || '_' || threads) FROM generate_series(1, 2) threads
    UNION ALL
    SELECT format('**Beware:** %s and its floor had different plans.', c.name)
    FROM bench.candidate c
         JOIN bench.plan p USING (section, name)
         JOIN bench.plan f ON f.section = c.section AND f.name = c.floor
    WHERE c.section IN (which || '_1', which || '_2') AND c.name LIKE 'pg_journey%' AND c.floor ~ '^floor: (hash|index|any)$'
          AND bench.plan_nodes(p.plan) <> bench.plan_nodes(f.plan)
    UNION ALL
    SELECT ''
$$;
SQL

# Adds to a job a query that returns its answer as text: job, name, floor, way, query.
enter() {
    local query="SELECT hashtextextended(answer, 0) FROM ($5) q (answer)"
    add "$1_1" "$2" "$3" "$touchpoints" "$4" 0 "$query"
    sql -c "INSERT INTO contestant (job, name) VALUES ('$1', '$2')"
    ! has "SELECT WHERE has_workers('$4', \$q\$$query\$q\$)" || add "$1_2" "$2" "$3" "$touchpoints" "$4" 2 "$query"
}
# An aggregate and its floor: job, name, way, before, aggregate's name with its mode, (arguments), after
compare() {
    has "SELECT FROM bench.candidate WHERE section = '$1_1' AND name = 'floor: $3'" ||
        enter "$1" "floor: $3" "floor: $3" "$3" "$4noop_$5$6"
    enter "$1" "pg_journey: $2, $3" "floor: $3" "$3" "$4$5$6"
}
# The row table's two indexes of a job, on the same rows, in place of those of the job before.
index_rows() { # condition, columns of each
    local n
    sql -c "SET client_min_messages = warning" -c "DROP INDEX IF EXISTS touchpoints_job_1, touchpoints_job_2"
    for n in 1 2; do sql -c "CREATE INDEX touchpoints_job_$n ON touchpoints (${*:n + 1:1}) WHERE $1"; done
}
describe_rows() {
    sql <<SQL
SELECT format('The row table''s indexes for this: %s, WHERE %s; %s bytes a touchpoint of the table each.',
              string_agg(substring(d from 'btree (.*) WHERE '), ' and ' ORDER BY n),
              replace(min(substring(d from ' WHERE (.*)')), '::text', ''), round(max(bytes) / $touchpoints.0, 1))
FROM (SELECT n, pg_get_indexdef(('touchpoints_job_' || n)::regclass) AS d, pg_relation_size('touchpoints_job_' || n) AS bytes
      FROM generate_series(1, 2) n) s;
SQL
}

levels="SELECT format('%s %s %s %s', count(*) FILTER (WHERE r >= 1), count(*) FILTER (WHERE r >= 2),
                      count(*) FILTER (WHERE r >= 3), count(*) FILTER (WHERE r >= 4)) FROM"
steps="channel = 'web' AND action IN ('view', 'add_to_cart', 'checkout', 'purchase')"
window="PARTITION BY customer_id ORDER BY occurred_at"
# of these rows
four="action = 'view', action = 'add_to_cart', action = 'checkout', action = 'purchase'"

# s1, s2, s3: each row's latest start of so many steps; later is always as good or better.
funnel_windows() {
    echo "$levels (
        SELECT max(CASE action WHEN 'view' THEN 1
                               WHEN 'add_to_cart' THEN CASE WHEN occurred_at - s1 <= '7 days' THEN 2 END
                               WHEN 'checkout' THEN CASE WHEN occurred_at - s2 <= '7 days' THEN 3 END
                               ELSE CASE WHEN occurred_at - s3 <= '7 days' THEN 4 END END) AS r
        FROM (SELECT *, max(CASE action WHEN 'checkout' THEN s2 END) OVER w AS s3
              FROM (SELECT *, max(CASE action WHEN 'add_to_cart' THEN s1 END) OVER w AS s2
                    FROM (SELECT customer_id, occurred_at, action,
                                 max(CASE action WHEN 'view' THEN occurred_at END) OVER w AS s1
                          FROM touchpoints WHERE $steps WINDOW w AS ($window)) a
                    WINDOW w AS ($window)) b
              WINDOW w AS ($window)) c
        GROUP BY customer_id) d"
}
# From each step back to the latest one before it, and so on; of: <= or <.
funnel_lookups() {
    before() { # row, step
        echo "(SELECT b.occurred_at FROM touchpoints b
               WHERE b.customer_id = a.customer_id AND b.$steps AND b.action = '$2' AND b.occurred_at $of $1.occurred_at
               ORDER BY b.occurred_at DESC LIMIT 1)"
    }
    local of=$1 from="SELECT DISTINCT a.customer_id FROM (SELECT * FROM touchpoints WHERE $steps) a"
    local within="a.occurred_at - v.occurred_at <= '7 days'"
    echo "SELECT format('%s %s %s %s', (SELECT count(DISTINCT customer_id) FROM touchpoints WHERE $steps AND action = 'view'),
              (SELECT count(*) FROM ($from, LATERAL $(before a view) v WHERE a.action = 'add_to_cart' AND $within) s),
              (SELECT count(*) FROM ($from, LATERAL $(before a add_to_cart) c, LATERAL $(before c view) v
                                     WHERE a.action = 'checkout' AND $within) s),
              (SELECT count(*) FROM ($from, LATERAL $(before a checkout) d, LATERAL $(before d add_to_cart) c,
                                     LATERAL $(before c view) v WHERE a.action = 'purchase' AND $within) s))"
}
levels_jobs() {
    index_rows "$steps" "customer_id, occurred_at, action" "customer_id, action, occurred_at"
    local all="channel = 'web' AND action = 'view', channel = 'web' AND action = 'add_to_cart',
               channel = 'web' AND action = 'checkout', channel = 'web' AND action = 'purchase'"
    compare levels "window_funnel" hash "$levels (SELECT " window_funnel \
        "('7 days', occurred_at, $all) AS r FROM touchpoints GROUP BY customer_id) s"
    compare levels "window_funnel" index "$levels (SELECT " window_funnel \
        "('7 days', occurred_at, $four) AS r FROM touchpoints WHERE $steps GROUP BY customer_id) s"
    enter levels "SQL: windows" "" any "$(funnel_windows)"
    enter levels "SQL: look-ups" "" any "$(funnel_lookups "<=")"
}
increase_jobs() { # after levels_jobs, with its indexes
    compare increase "window_funnel" index "$levels (SELECT " window_funnel \
        "('7 days', 'strict_increase', occurred_at, $four) AS r FROM touchpoints WHERE $steps GROUP BY customer_id) s"
    enter increase "SQL: look-ups" "" any "$(funnel_lookups "<")"
}
twice_jobs() { # likewise
    compare twice "window_funnel" index "$levels (SELECT " window_funnel \
        "('7 days', 'strict_once', occurred_at, action = 'view', action = 'view', action = 'add_to_cart', action = 'purchase') AS r
         FROM touchpoints WHERE $steps GROUP BY customer_id) s"
    enter twice "SQL: windows" "" any "$levels (
        SELECT max(CASE action WHEN 'view' THEN CASE WHEN occurred_at - s1 <= '7 days' THEN 2 ELSE 1 END
                               WHEN 'add_to_cart' THEN CASE WHEN occurred_at - s2 <= '7 days' THEN 3 END
                               WHEN 'purchase' THEN CASE WHEN occurred_at - s3 <= '7 days' THEN 4 END END) AS r
        FROM (SELECT *, max(CASE action WHEN 'add_to_cart' THEN s2 END) OVER w AS s3
              FROM (SELECT *, max(CASE action WHEN 'view' THEN s1 END) OVER w AS s2
                    FROM (SELECT customer_id, occurred_at, action,
                                 max(CASE action WHEN 'view' THEN occurred_at END)
                                 OVER ($window ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS s1
                          FROM touchpoints WHERE $steps) a
                    WINDOW w AS ($window)) b
              WINDOW w AS ($window)) c
        GROUP BY customer_id) d"
}

pattern="(?1).*(?2)(?t<=604800)(?3)"
mails="((channel = 'email' AND action IN ('open', 'click')) OR action = 'purchase')"
three="action = 'open', action = 'click', action = 'purchase'"
who="SELECT format('%s customers, ids %s', count(*), sum(customer_id)) FROM"
times="SELECT format('%s matches, by customer %s', sum(n), sum(n * customer_id)) FROM"
match_jobs() {
    index_rows "$mails" "customer_id, occurred_at, action" "customer_id, action, occurred_at"
    compare match "sequence_match" hash "$who (SELECT customer_id, " sequence_match \
        "('$pattern', occurred_at, channel = 'email' AND action = 'open', channel = 'email' AND action = 'click', action = 'purchase') AS m
         FROM touchpoints GROUP BY customer_id) s WHERE m"
    compare match "sequence_match" index "$who (SELECT customer_id, " sequence_match \
        "('$pattern', occurred_at, $three) AS m FROM touchpoints WHERE $mails GROUP BY customer_id) s WHERE m"
    enter match "SQL: windows" "" any "$who (
        SELECT DISTINCT customer_id
        FROM (SELECT customer_id, occurred_at, action, max(CASE action WHEN 'click' THEN occurred_at END) OVER w AS clicked,
                     min(CASE action WHEN 'open' THEN occurred_at END) OVER w AS opened
              FROM touchpoints WHERE $mails WINDOW w AS ($window)) a
        WHERE action = 'purchase' AND occurred_at - clicked <= '7 days' AND opened <= clicked) b"
    enter match "SQL: look-ups" "" any "$who (
        SELECT DISTINCT customer_id FROM touchpoints c
        WHERE $mails AND action = 'click'
              AND EXISTS (SELECT FROM touchpoints p
                          WHERE p.customer_id = c.customer_id AND ${mails//action/p.action} AND p.action = 'purchase'
                                AND p.occurred_at BETWEEN c.occurred_at AND c.occurred_at + interval '168 hours')
              AND EXISTS (SELECT FROM touchpoints o
                          WHERE o.customer_id = c.customer_id AND ${mails//action/o.action} AND o.action = 'open'
                                AND o.occurred_at <= c.occurred_at)) s"
}
count_jobs() { # after match_jobs, with its indexes
    compare count "sequence_count" index "$times (SELECT customer_id, " sequence_count \
        "('$pattern', occurred_at, $three) AS n FROM touchpoints WHERE $mails GROUP BY customer_id) s"
    # Purchases that may end a match, each with the latest open before its latest click; then from match to match
    # by binary search for the first one opened behind the last one's end.
    enter count "SQL: windows, recursion" "" any "
        SELECT format('%s matches, by customer %s', count(*), sum(customer_id)) FROM (
        WITH RECURSIVE c AS MATERIALIZED (
            SELECT customer_id, array_agg(occurred_at ORDER BY occurred_at, opened) AS bought,
                   array_agg(opened ORDER BY occurred_at, opened) AS opened
            FROM (SELECT *, max(CASE action WHEN 'click' THEN opens END) OVER w AS opened
                  FROM (SELECT customer_id, occurred_at, action, max(CASE action WHEN 'open' THEN occurred_at END) OVER w AS opens,
                               max(CASE action WHEN 'click' THEN occurred_at END) OVER w AS clicked
                        FROM touchpoints WHERE $mails WINDOW w AS ($window)) a
                  WINDOW w AS ($window)) b
            WHERE action = 'purchase' AND occurred_at - clicked <= '7 days' AND opened IS NOT NULL
            GROUP BY customer_id),
        m AS (
            SELECT customer_id, 1 AS i FROM c
            UNION ALL
            SELECT customer_id, width_bucket(bought[i], opened) + 1
            FROM m JOIN c USING (customer_id) WHERE width_bucket(bought[i], opened) < cardinality(opened))
        SELECT customer_id FROM m) s"
}

kept="SELECT format('%s %s %s %s', count(*) FILTER (WHERE r[1]), count(*) FILTER (WHERE r[2]),
                    count(*) FILTER (WHERE r[3]), count(*) FILTER (WHERE r[4])) FROM"
retention_jobs() {
    between() { echo "occurred_at >= '2026-01-$1' AND occurred_at < '2026-01-$2'"; }
    local weeks="$(between 01 08)|$(between 08 15)|$(between 15 22)|$(between 22 29)"
    local b="action = 'purchase' AND " bought="action = 'purchase' AND occurred_at < '2026-01-29'"
    index_rows "action = 'purchase'" "customer_id, occurred_at" "occurred_at, customer_id"
    compare retention "retention" hash "$kept (SELECT " retention "($b${weeks//|/, $b}) AS r FROM touchpoints GROUP BY customer_id) s"
    compare retention "retention" any "$kept (SELECT " retention "(${weeks//|/, }) AS r FROM touchpoints WHERE $bought GROUP BY customer_id) s"
    bools() { # conditions separated by |, condition of the rows
        echo "SELECT format('%s %s %s %s', count(*) FILTER (WHERE a), count(*) FILTER (WHERE a AND b),
                     count(*) FILTER (WHERE a AND c), count(*) FILTER (WHERE a AND d))
              FROM (SELECT bool_or($(cut -d'|' -f1 <<< "$1")) AS a, bool_or($(cut -d'|' -f2 <<< "$1")) AS b,
                           bool_or($(cut -d'|' -f3 <<< "$1")) AS c, bool_or($(cut -d'|' -f4 <<< "$1")) AS d
                    FROM touchpoints WHERE $2 GROUP BY customer_id) s"
    }
    enter retention "SQL: bool_or, hash" "" hash "$(bools "$b${weeks//|/|$b}" true)"
    enter retention "SQL: bool_or, any" "" any "$(bools "$weeks" "$bought")"
    came() {
        echo "count(*) FILTER (WHERE EXISTS (
                  SELECT FROM touchpoints t WHERE t.customer_id = c.customer_id AND action = 'purchase' AND $1))"
    }
    enter retention "SQL: look-ups" "" any "
        SELECT format('%s %s %s %s', count(*), $(came "$(between 08 15)"), $(came "$(between 15 22)"), $(came "$(between 22 29)"))
        FROM (SELECT DISTINCT customer_id FROM touchpoints WHERE action = 'purchase' AND $(between 01 08)) c"
}

sessions="SELECT format('%s sessions, by customer %s', sum(n), sum(n * customer_id)) FROM"
sessions_jobs() { # with the index on (customer_id, occurred_at) that the table has anyway
    enter sessions "floor: row_number" "floor: row_number" index "$sessions (
        SELECT customer_id, max(s) AS n
        FROM (SELECT customer_id, row_number() OVER ($window) AS s FROM touchpoints) a GROUP BY customer_id) b"
    enter sessions "pg_journey: session_number" "floor: row_number" index "$sessions (
        SELECT customer_id, max(s) AS n
        FROM (SELECT customer_id, session_number(occurred_at, '30 min') OVER ($window) AS s FROM touchpoints) a GROUP BY customer_id) b"
    enter sessions "SQL: lag, then a running sum" "" index "$sessions (
        SELECT customer_id, max(s) AS n
        FROM (SELECT customer_id, count(*) FILTER (WHERE gap <= '30 min' IS NOT true) OVER ($window ROWS UNBOUNDED PRECEDING) AS s
              FROM (SELECT customer_id, occurred_at, occurred_at - lag(occurred_at) OVER ($window) AS gap FROM touchpoints) a) b
        GROUP BY customer_id) c"
    # counts the gaps and numbers nothing
    enter sessions "SQL: lag, not numbered" "" index "$sessions (
        SELECT customer_id, count(*) FILTER (WHERE gap <= '30 min' IS NOT true) AS n
        FROM (SELECT customer_id, occurred_at - lag(occurred_at) OVER ($window) AS gap FROM touchpoints) a
        GROUP BY customer_id) b"
}

cells() { # cohort, bracket and how many
    echo "SELECT format('%s cells, %s customers, checksum %s', count(*), sum(n), sum(n * (bracket + 1) * (cohort - date '2025-12-01')))
          FROM ($1) s"
}
cohorts_job() { # job, time zone
    local call="journey_retention(journey, '%.purchase', '%.purchase', 'week', '$2')"
    enter "$1" "floor: journey_length" "floor: journey_length" heap "SELECT sum(journey_length(journey))::text FROM journeys"
    enter "$1" "pg_journey: journey_retention" "floor: journey_length" heap "$(cells "
        SELECT cohort, bracket, count(*) AS n FROM journeys, $call GROUP BY cohort, bracket")"
    enter "$1" "pg_journey: journey_retention, of those that match" "floor: journey_length" heap "$(cells "
        SELECT cohort, bracket, count(*) AS n FROM journeys, $call WHERE journey ~ '%.purchase' GROUP BY cohort, bracket")"
    enter "$1" "pg_journey: journey_retention_agg" "floor: journey_length" heap "$(cells "
        SELECT cohort, bracket, customers AS n
        FROM unnest((SELECT journey_retention_agg(journey, '%.purchase', '%.purchase', 'week', '$2') FROM journeys)) c")"
    enter "$1" "SQL: windows" "" any "$(cells "
        SELECT cohort, (week - cohort) / 7 AS bracket, count(*) AS n
        FROM (SELECT week, min(week) OVER (PARTITION BY customer_id) AS cohort
              FROM (SELECT DISTINCT customer_id, date_trunc('week', occurred_at AT TIME ZONE '$2')::date AS week
                    FROM touchpoints WHERE action = 'purchase') a) b
        GROUP BY cohort, bracket")"
}
cohorts_jobs() { # after retention_jobs, with its indexes
    cohorts_job cohorts UTC
    cohorts_job zone Europe/Lisbon
}

# ---- state of many groups, and one large group -------------------------------

gated="(?1).*(?2)(?t<=604800)(?3)(?t>=8640000)(?4)"    # spans more than the data does: looked for to the end
aggregates=( # name|its floor|arguments but conditions, which are met in turn, one by each row
    "noop_window_funnel|noop_window_funnel|'7 days', occurred_at,"
    "noop_sequence_match|noop_sequence_match|'$gated', occurred_at,"
    "noop_retention|noop_retention|"
    "window_funnel|noop_window_funnel|'7 days', occurred_at,"
    "window_funnel, strict_increase|noop_window_funnel|'7 days', 'strict_increase', occurred_at,"
    "window_funnel, strict_once|noop_window_funnel|'7 days', 'strict_once', occurred_at,"
    "sequence_match|noop_sequence_match|'$gated', occurred_at,"
    "sequence_count|noop_sequence_match|'$gated', occurred_at,"
    "retention|noop_retention|")
extremes() {
    local groups=$((touchpoints / 10)) events=$((touchpoints < 1000000 ? touchpoints : 1000000)) a name floor args query table
    sql -v groups="$groups" -v events="$events" <<'SQL'
SET max_parallel_workers_per_gather = 0;    -- rows stay in order of id, which is that of time
CREATE TABLE ten AS SELECT (id % :groups)::int AS g, occurred_at, (id / :groups % 4)::int AS k FROM touchpoints;
ALTER TABLE ten ALTER g SET (n_distinct = :groups);
CREATE TABLE in_order AS SELECT occurred_at, (id % 4)::int AS k FROM touchpoints WHERE id <= :events;
CREATE TABLE at_random AS SELECT occurred_at, (id % 4)::int AS k FROM touchpoints WHERE id <= :events ORDER BY hashint8extended(id, 1);
SQL
    for table in ten in_order at_random; do
        sql -c "ALTER TABLE $table SET (parallel_workers = 0)" -c "VACUUM (FREEZE, ANALYZE) $table"
    done
    for a in "${aggregates[@]}"; do
        IFS='|' read -r name floor args <<< "$a"
        query="${name%,*}($args k = 0, k = 1, k = 2, k = 3)"
        add ten "$name" "$floor" "$touchpoints" hash 0 "SELECT count(r) FROM (SELECT $query AS r FROM ten GROUP BY g) s"
        for table in in_order at_random; do
            add $table "$name" "$floor" "$events" any 0 "SELECT count(r) FROM (SELECT $query AS r FROM $table) s"
        done
    done
    sql -c "CALL measure('ten', 1)" -c "CALL measure('in_order', $RUNS, $slow)" -c "CALL measure('at_random', $RUNS, $slow)"
    echo "## A group's state"; echo
    echo "$groups groups of ten events, their rows spread over the whole table; each row meets one of four conditions, so all are kept. Hash"
    echo "grouping, one thread, one run. Memory is what EXPLAIN ANALYZE says of the hash table and the states in it."; echo
    sql <<SQL
SELECT '| aggregate | ms | no-op, ms | ratio | memory | no-op | bytes a group more than the no-op |' || E'\n|---|---:|---:|---:|---:|---:|---:|';
WITH m AS (
    SELECT name, floor, seq, median, plan_memory(plan) AS memory,
           (SELECT sum(v::float8) FROM jsonb_path_query(plan, 'strict \$.**."Peak Memory Usage"') v) AS kb
    FROM candidate JOIN summary USING (section, name) JOIN plan USING (section, name) WHERE section = 'ten')
SELECT format('| %s | %s | %s | %s | %s | %s | %s |', o.name, plain(o.median), plain(f.median), round((o.median / f.median)::numeric, 2),
              o.memory, f.memory, round(((o.kb - f.kb) * 1024 / $groups)::numeric))
FROM m o JOIN m f ON f.name = o.floor WHERE o.name <> o.floor ORDER BY o.seq;
SELECT '';
SELECT report_flaws('ten');
SQL
    echo "## $events events in one group"; echo
    echo "Each meets one of four conditions. The pattern is \`$gated\`, which nothing matches: the data does not span as long. What is"
    echo "above the no-op aggregate is keeping the events and the final function."; echo
    sql <<'SQL'
SELECT '| aggregate | rows in order of time, ms | no-op, ms | ns an event above it | at random, ms | no-op, ms | ns an event above it |' || E'\n|---|---:|---:|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s | %s |', c.name, plain(i.median), plain(fi.median), plain((i.median - fi.median) * 1e6 / c.touchpoints),
              plain(r.median), plain(fr.median), plain((r.median - fr.median) * 1e6 / c.touchpoints))
FROM candidate c
     JOIN summary i ON i.section = 'in_order' AND i.name = c.name
     JOIN summary fi ON fi.section = 'in_order' AND fi.name = c.floor
     JOIN summary r ON r.section = 'at_random' AND r.name = c.name
     JOIN summary fr ON fr.section = 'at_random' AND fr.name = c.floor
WHERE c.section = 'in_order' AND c.name <> c.floor ORDER BY c.seq;
SELECT '';
SELECT report_flaws('in_order');
SELECT report_flaws('at_random');
SQL
    sql -c "DROP TABLE ten, in_order, at_random"
}

# ---- the part --------------------------------------------------------------

if [ "$LABELS" != usual ]; then
    print <<< $'# Rows\n\n**Skipped: they are written for LABELS=usual.**\n'
    return
fi
job() { # job, heading; then what it asks, on standard input
    echo "## $2"; echo
    cat; echo
    [ ! -f "$dir/$1.index" ] || { cat "$dir/$1.index"; echo; }
    sql -c "SELECT report_rows('$1')"
}
slow=3000
for job in levels increase twice match count retention cohorts sessions; do
    say "rows: $job"
    ${job}_jobs
    [ "$job" = sessions ] || describe_rows > "$dir/$job.index"
    for s in $job $([ "$job" != cohorts ] || echo zone); do
        sql -c "CALL measure('${s}_1', $RUNS, $slow)" -c "CALL measure('${s}_2', $RUNS, $slow)" -c "CALL settle_answers('$s')"
    done
done
sql -c "DROP INDEX touchpoints_job_1, touchpoints_job_2"
{ echo "# Rows"; echo
  cat <<MD
Over the row table: one thread, then two, which is 2 workers of PostgreSQL besides the leader, on $(nproc) processors, max_threads = 2 of
ClickHouse, threads = 2 of DuckDB. "hash" reads the whole table, rows that meet no condition too, and groups by hash; "index" reads
the rows that can meet one (WHERE) by an index-only scan in order of customer and time, "any" as the planner likes best, and so does
plain SQL. The floor is the same query with a no-op aggregate, or row_number(), instead. The ratio to ours is hash by hash; all
others by our quickest with as many workers or fewer. A query for which the planner has no workers is not run with 2: it has none
where groups are small and sorted, and PostgreSQL has no parallel window functions. Peers ran after PostgreSQL, each alone, in one
process with their client, on the rows that can meet a condition, in order of customer and time; a time ends when the answer has
arrived. Plain SQL and peers that took over $((slow / 1000)) s to warm up were timed once. Every query's text is in rows.sh and peers_rows.mjs.

MD
  peers rows $slow 300
  job levels "Funnel of four steps within 7 days" <<MD
How many customers reach web.view, web.add_to_cart, web.checkout, web.purchase within seven days of the view: \`window_funnel('7 days', occurred_at, …)\`.
Rows of equal time may come in any order.
MD
  job increase "The same, with each step strictly later than the one before" <<MD
\`window_funnel('7 days', 'strict_increase', occurred_at, …)\`.
MD
  job twice "Two different views, then the cart, then the purchase" <<MD
\`window_funnel('7 days', 'strict_once', occurred_at, …)\`: no row serves for two steps.
MD
  job match "Sequence with a gate of time" <<MD
\`sequence_match('$pattern', occurred_at, …)\`: who opened an e-mail, later clicked one and bought within seven days of the click.
MD
  job count "The same, counted" <<MD
\`sequence_count('$pattern', occurred_at, …)\`: matches do not overlap, and each ends as early as it can.
MD
  job retention "Retention over four weeks" <<MD
\`retention(…)\`: who bought in the first week, and of these who in the second, third and fourth.
MD
  job sessions "Sessions" <<MD
\`session_number(occurred_at, '30 min') OVER ($window)\`: the sum of each customer's last number. What is not numbered is only counted.
MD
  job cohorts "Cohorts by week, over journeys" <<MD
\`journey_retention(journey, '%.purchase', '%.purchase', 'week', 'UTC')\`: customers by week of the first purchase and weeks until another one. The
floor is \`sum(journey_length(journey))\`.
MD
  job zone "The same in a time zone" <<MD
Weeks of Europe/Lisbon.
MD
  extremes; } | print
sql <<SQL
INSERT INTO aim
SELECT 20, format('rows, %s: %s, %s: at most 1.3 × its floor', substring(c.section from '(.*)_'), replace(c.name, 'pg_journey: ', ''),
                  CASE WHEN c.section LIKE '%1' THEN '1 thread' ELSE '2 workers' END),
       round((s.median / f.median)::numeric, 2), s.median <= 1.3 * f.median
FROM candidate c JOIN summary s USING (section, name) JOIN summary f ON f.section = c.section AND f.name = c.floor
WHERE substring(c.section from '(.*)_') IN ('levels', 'increase', 'twice', 'match', 'count', 'retention', 'sessions') AND c.name LIKE 'pg_journey%'
UNION ALL
SELECT 21, format('rows, %s: plain SQL at least 3 times ours, %s', job, CASE threads WHEN 1 THEN '1 thread' ELSE '2 workers' END),
       round((plain / ours)::numeric, 1), plain >= 3 * ours
FROM unnest('{levels,increase,twice,match,count,retention,sessions}'::text[]) job, generate_series(1, 2) threads,
     quickest(job, threads, 'pg_journey') ours, quickest(job, threads, 'SQL') plain
UNION ALL
SELECT 22, format('journey_retention, all weekly cohorts: at most 0.2 s for 500,000 journeys, %s', CASE threads WHEN 1 THEN '1 thread' ELSE '2 workers' END),
       round((ours / 1000 * 500000 / $customers)::numeric, 2), ours * 500000 / $customers <= 200
FROM generate_series(1, 2) threads, quickest('cohorts', threads, 'pg_journey') ours;
SQL
