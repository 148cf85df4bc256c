# contest.sh: what patterns.sh, rows.sh and blocks.sh share, sourced by run: jobs, who takes part
# in them, whether their answers agree, and the peers.

has() { [ "$(sql -c "SELECT EXISTS ($1)")" = t ]; }

do_sql <<'SQL'
-- Who takes part in a job: floors, pg_journey (the first one is what all are divided
-- by), SQL on rows, peers. why: how its answer may be another one.
CREATE TABLE contestant (job text, seq int GENERATED ALWAYS AS IDENTITY, name text, why text, answer text, failed text);

-- Whose answers agree with the first one of pg_journey, and whose do not.
CREATE FUNCTION report_answers(which text) RETURNS SETOF text LANGUAGE sql
AS $$
    WITH answers AS (
        SELECT name, min(seq) AS seq, max(why) AS why, string_agg(DISTINCT answer, ' or ') AS answer
        FROM bench.contestant WHERE job = which AND answer IS NOT NULL GROUP BY name),
    ours AS (SELECT name, answer FROM answers WHERE name LIKE 'pg_journey%' ORDER BY seq LIMIT 1),
    compared AS (
        SELECT a.*, a.answer = o.answer AS same, a.name = o.name AS is_ours, o.answer AS expected
        FROM answers a CROSS JOIN ours o)
    (SELECT format('Answer: %s. %s', max(expected),
                   CASE WHEN count(*) = 1 THEN 'Nobody to compare with.'
                        WHEN bool_and(same) THEN 'All answers agree: ' || string_agg(name, ', ' ORDER BY seq) || '.'
                        ELSE 'Answers agree: ' || string_agg(name, ', ' ORDER BY seq) FILTER (WHERE same) || '.' END)
     FROM compared)
    UNION ALL
    (SELECT CASE WHEN why > '' THEN format('%s differs, since %s: %s.', name, why, answer)
                 ELSE format('**Beware:** %s answers otherwise: %s.', name, answer) END
     FROM compared WHERE NOT same ORDER BY seq)
    UNION ALL
    SELECT format('**Beware:** %s: an answer of section %s was another one than the one compared.', r.name, r.section)
    FROM bench.result r JOIN bench.contestant c USING (name)
    WHERE r.section IN (which || '_1', which || '_2') AND c.job = which
          AND r.answer <> hashtextextended(c.answer, 0)
    GROUP BY r.name, r.section
$$;

-- The table of a job of scans, with the answers and what failed.
CREATE FUNCTION report_scans(which text, what text) RETURNS SETOF text LANGUAGE sql
AS $$
    (SELECT format('| %s | 1 thread, ms | 2 threads | to stored journeys, 1 thread |', what) || E'\n|---|---:|---:|---:|')
    UNION ALL
    (SELECT format('| %s | %s | %s | %s |', c.name, bench.plain(a.median), coalesce(bench.plain(b.median), '–'), bench.plain(a.median / o.median))
     FROM (SELECT name, min(seq) AS seq FROM bench.contestant WHERE job = which GROUP BY name) c
          JOIN bench.summary a ON a.section = which || '_1' AND a.name = c.name
          LEFT JOIN bench.summary b ON b.section = which || '_2' AND b.name = c.name
          JOIN bench.summary o ON o.section = which || '_1' AND o.name = 'pg_journey: journeys'
     ORDER BY c.seq)
    UNION ALL SELECT '' UNION ALL SELECT bench.report_answers(which) UNION ALL SELECT ''
    UNION ALL
    (SELECT format('**%s failed:** %s.', name, failed) || E'\n' FROM bench.contestant WHERE job = which AND failed IS NOT NULL)
$$;
SQL

# The peers' answers and times of the jobs in peers_$1.mjs into contestant and result; what could not be had, into the report.
peers() { # patterns, rows or blocks, milliseconds beyond which a query is timed once, seconds for each
    local reason="" engine modules=${PEERS:-$dir/peers}
    if [ "$PEERS" = none ]; then reason="PEERS=none"
    elif [ "$PRECISION" != s ]; then reason="their queries want whole seconds"
    elif ! command -v node >/dev/null; then reason="there is no node"
    elif [ -z "$PEERS" ] && [ ! -d "$modules/node_modules" ]; then
        mkdir "$modules"
        say "installing peers"
        (cd "$modules" && npm_config_cache=$dir/npm timeout 900 npm install --ignore-scripts --no-audit --no-fund chdb @duckdb/node-api) \
            > "$dir/npm.log" 2>&1 || reason="npm could not install them: $(grep -m 1 -i error "$dir/npm.log" | tr '|' ' ')"
        rm -rf "$dir/npm"
    fi
    if [ -n "$reason" ]; then echo "**ClickHouse and DuckDB could not be had: $reason.** Floor ratios are all there is."; echo; return; fi
    sql -c "\\copy (SELECT customer_id, occurred_at AT TIME ZONE 'UTC', channel, action FROM bench.touchpoints ORDER BY 1, 2, 3, 4) TO '$dir/touchpoints.csv' CSV"
    cp "$here"/peers*.mjs "$dir"
    chmod 644 "$dir"/*.mjs "$dir/touchpoints.csv"
    [ "$(id -u)" != 0 ] || [ -n "$PEERS" ] || chown -R "$SERVER_USER" "$modules"
    for engine in clickhouse duckdb; do
        say "peer: $engine"
        as_server mkdir "$dir/$engine"
        if ! (cd "$dir/$engine" && HOME=$dir/$engine as_server timeout "${3:-3600}" \
                  node "$dir/peers.mjs" $engine "$modules" "$dir/touchpoints.csv" "$dir/$engine" "$RUNS" "${2:-Infinity}" "$1") \
                > "$dir/$engine.tsv" 2> "$dir/$engine.err"; then
            echo "**$engine ended before its time: $(grep -m 1 -E '^[A-Za-z ]*Error' "$dir/$engine.err" || tail -1 "$dir/$engine.err").**"; echo
        fi
        rm -rf "${dir:?}/$engine"
        sed -n 's/^version\t/- /p' "$dir/$engine.tsv"
        awk -F '\t' -v OFS='\t' '{ gsub(/\\/, "/"); print $1, $2, $3, $4, $5 }' "$dir/$engine.tsv" > "$dir/lines.tsv"
        sql <<SQL
CREATE TEMP TABLE line (kind text, a text, b text, c text, d text);
\\copy line FROM '$dir/lines.tsv' WITH (NULL '')
INSERT INTO bench.contestant (job, name, why, answer, failed)
SELECT a, b, CASE kind WHEN 'answer' THEN c END, CASE kind WHEN 'answer' THEN d END, CASE kind WHEN 'failed' THEN c END
FROM line WHERE kind IN ('answer', 'failed');
INSERT INTO bench.result (section, name, run, value) SELECT a, b, c::int, d::float8 FROM line WHERE kind = 'result';
SQL
    done
    rm -f "$dir/touchpoints.csv"
    echo
}
