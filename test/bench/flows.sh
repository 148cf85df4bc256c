# flows.sh: the benchmark's part "flows", sourced by run.
#
# Which channel directly follows which, how often and after what median time, the edges of a Sankey, and whole paths: of
# stored journeys and of blocks, against count(*), plain SQL over the rows, ClickHouse and DuckDB (peers_flows.mjs), all asked for
# the same transitions. Then what it costs to read and to add up stored flows, what they take, and a tenth of the journeys.

if [ "$LABELS" != usual ]; then
    print <<< $'## Flows\n\n**Skipped: it is written for LABELS=usual.**\n'
    return
fi

say "flows: storing"
do_sql <<'SQL'
CREATE TABLE flow_blocks (first_customer bigint PRIMARY KEY, block journey_block NOT NULL) WITH (fillfactor = 10, parallel_workers = 2);
INSERT INTO flow_blocks SELECT min(customer_id), journey_block_agg(customer_id, journey) FROM journeys GROUP BY customer_id / 1024;
CREATE TABLE flow_tenth AS SELECT * FROM journeys WHERE customer_id % 10 = 0;
VACUUM (FREEZE, ANALYZE) flow_blocks;
VACUUM (FREEZE, ANALYZE) flow_tenth;
SQL
flow() { echo "(SELECT flow_agg($1, 'channel'${3:+, '$3'}) AS f FROM $2) a"; }
transitions() { echo "SELECT sum(times)::bigint FROM $(flow "$@"), flow_transitions(f) WHERE source IS NOT NULL AND target IS NOT NULL"; }
answer="format('%s pairs, %s times, checksum %s', count(*), sum(times), sum(times * (length(source) * 100 + length(target))))"
ours() { echo "SELECT $answer FROM $(flow "$1" "$2"), flow_transitions(f) WHERE source IS NOT NULL AND target IS NOT NULL"; }
plain_sql="SELECT $answer FROM (
    SELECT source, target, count(*) AS times, percentile_cont(0.5) WITHIN GROUP (ORDER BY occurred_at - before) AS median
    FROM (SELECT channel AS target, occurred_at, lag(channel) OVER w AS source, lag(occurred_at) OVER w AS before FROM touchpoints
          WINDOW w AS (PARTITION BY customer_id ORDER BY occurred_at, channel COLLATE \"C\", action COLLATE \"C\")) p
    WHERE source IS NOT NULL GROUP BY 1, 2) t"

say "flows: scans"
for workers in 0 2; do
    s=flows_$((workers ? 2 : 1))
    add $s "count(*) of the journeys" "count(*) of the journeys" "$touchpoints" heap $workers "SELECT count(*) FROM journeys"
    add $s "journey_length of the journeys" "count(*) of the journeys" "$touchpoints" heap $workers "SELECT sum(journey_length(journey)) FROM journeys"
    while read -r of column table; do
        add $s "$of: transitions" "count(*) of the journeys" "$touchpoints" heap $workers "$(transitions "$column" "$table")"
        add $s "$of: edges, of 5 steps, 8 channels each" "count(*) of the journeys" "$touchpoints" heap $workers \
            "SELECT sum(journeys)::bigint FROM $(flow "$column" "$table" '{"max_steps": 5}'), flow_edges(f, 8)"
        add $s "$of: variants" "count(*) of the journeys" "$touchpoints" heap $workers "SELECT sum(journeys)::bigint FROM $(flow "$column" "$table"), flow_variants(f)"
        add $s "$of: variants of sessions, collapsed" "count(*) of the journeys" "$touchpoints" heap $workers \
            "SELECT sum(journeys)::bigint FROM $(flow "$column" "$table" '{"gap": "30 minutes", "collapse": true}'), flow_variants(f)"
    done <<< $'journeys journey journeys\nblocks block flow_blocks'
    measure $s
done
add flows_sql "transitions, SQL over the rows" "" "$touchpoints" any 0 "SELECT hashtextextended(q::text, 0) FROM ($plain_sql) q"
measure flows_sql 1
add flows_tenth "transitions, a tenth of the journeys" "" "" heap 0 "$(transitions journey flow_tenth)"
measure flows_tenth

say "flows: reading"
do_sql <<'SQL'
CREATE TABLE flow_values (name text, f flow);
INSERT INTO flow_values SELECT 'channels', flow_agg(journey, 'channel') FROM journeys;
INSERT INTO flow_values SELECT 'channels, 5 steps', flow_agg(journey, 'channel', '{"max_steps": 5}') FROM journeys;
INSERT INTO flow_values SELECT 'labels, 5 steps', flow_agg(journey, 'label', '{"max_steps": 5}') FROM journeys;
SQL
while IFS='|' read -r name reading; do
    add flows_read "$name: ${reading%%(*}" "" "" any 0 "SELECT count(*) FROM flow_values, $reading WHERE name = '$name'"
done <<'LIST'
channels|flow_transitions(f)
channels|flow_edges(f, 8)
channels, 5 steps|flow_transitions(f)
channels, 5 steps|flow_edges(f, 8)
channels, 5 steps|flow_what_if(f, '{"phone": 0.5}')
channels, 5 steps|flow_next(f, '{web.view@2026-01-01T00:00:00Z}')
labels, 5 steps|flow_edges(f, 8)
LIST
add flows_read "channels, 5 steps: two added up" "" "" any 0 \
    "SELECT flow_paths(flow_agg(f)) FROM (SELECT f FROM flow_values WHERE name = 'channels, 5 steps' UNION ALL SELECT f FROM flow_values WHERE name = 'channels, 5 steps') v"
measure flows_read

sql <<SQL
INSERT INTO bench.contestant (job, name, answer) SELECT 'follows', 'pg_journey: journeys', ($(ours journey journeys));
INSERT INTO bench.contestant (job, name, answer) SELECT 'follows', 'pg_journey: blocks', ($(ours block flow_blocks));
INSERT INTO bench.contestant (job, name, answer) SELECT 'follows', 'SQL over the rows', ($plain_sql);
INSERT INTO bench.result (section, name, run, value)
SELECT 'follows_' || right(section, 1), 'pg_journey: ' || split_part(name, ':', 1), run, value FROM bench.result
WHERE section ~ '^flows_[12]$' AND name ~ ': transitions';
INSERT INTO bench.result (section, name, run, value) SELECT 'follows_1', 'SQL over the rows', run, value FROM bench.result WHERE section = 'flows_sql';
SQL

{ cat <<MD
## Flows

Paths of $customers customers with $touchpoints touchpoints, by channel. Each scan makes the whole flow and reads it.

MD
  echo "### One thread"; echo; report flows_1 | grep -v '^Plan of'; echo
  echo "### Two workers"; echo; report flows_2 | grep -v '^Plan of'; echo
  echo "### Transitions, with counts and median times, elsewhere"; echo
  peers flows 3000 900
  sql <<'SQL'
SELECT report_scans('follows', 'transitions');
SELECT '### Reading' || E'\n\n| of a stored flow | median ms | min | max |\n|---|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s |', c.name, plain(s.median), plain(s.min), plain(s.max))
FROM candidate c JOIN summary s USING (section, name) WHERE section IN ('flows_read', 'flows_tenth') ORDER BY c.section, c.seq;
SELECT E'\n### Size\n\n| flow | bytes |\n|---|---:|';
SELECT format('| %s | %s |', name, octet_length(flow_send(f))) FROM flow_values ORDER BY octet_length(flow_send(f));
SELECT '';
SQL
} | print
sql -v T="$touchpoints" <<'SQL'
INSERT INTO aim
SELECT 45, 'transitions of stored journeys, 1 thread: at most 0.2 s for 10 M touchpoints', round((median / 1000 * 1e7 / :T)::numeric, 3), median * 1e7 / :T <= 200
FROM summary WHERE section = 'follows_1' AND name = 'pg_journey: journeys'
UNION ALL
SELECT 46, 'transitions of blocks, 1 thread: at most 0.2 s for 10 M touchpoints', round((median / 1000 * 1e7 / :T)::numeric, 3), median * 1e7 / :T <= 200
FROM summary WHERE section = 'follows_1' AND name = 'pg_journey: blocks'
UNION ALL
SELECT 47, 'ten times the journeys take at most 11 times as long (of SCALE=1)', round((a.median / t.median)::numeric, 2), CASE WHEN :T >= 10000000 THEN a.median <= 11 * t.median END
FROM summary a, summary t WHERE a.section = 'follows_1' AND a.name = 'pg_journey: journeys' AND t.section = 'flows_tenth'
UNION ALL
SELECT 48, format('%s: at least as long as stored journeys', s.name), round((s.median / o.median)::numeric, 2), s.median >= o.median
FROM summary s, summary o WHERE s.section = 'follows_1' AND s.name !~ '^pg_journey' AND o.section = 'follows_1' AND o.name = 'pg_journey: journeys';
SQL
