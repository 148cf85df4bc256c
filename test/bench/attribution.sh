# attribution.sh: the benchmark's part "attribution", sourced by run.
#
# Credit for purchases within 30 days, by channel: four rule-based models, all models, Markov chains of the orders 1 and 3;
# of stored journeys and of blocks, against count(*), plain SQL over the rows, ClickHouse and DuckDB (peers_attribution.mjs), all
# asked for the same answer. Then what it costs to read the values, what they take, and a tenth of the journeys.

if [ "$LABELS" != usual ]; then
    print <<< $'## Attribution\n\n**Skipped: it is written for LABELS=usual.**\n'
    return
fi

say "attribution: storing"
do_sql <<'SQL'
CREATE TABLE attribution_blocks (first_customer bigint PRIMARY KEY, block journey_block NOT NULL) WITH (fillfactor = 10, parallel_workers = 2);
INSERT INTO attribution_blocks SELECT min(customer_id), journey_block_agg(customer_id, journey) FROM journeys GROUP BY customer_id / 1024;
CREATE TABLE attribution_tenth AS SELECT * FROM journeys WHERE customer_id % 10 = 0;
VACUUM (FREEZE, ANALYZE) attribution_blocks;
VACUUM (FREEZE, ANALYZE) attribution_tenth;
SQL
# what a state is worth: a number of it
of_purchases() { echo "attribution_agg($1, '%.purchase', '%', '30 days', 'channel'${2:+, '$2'})"; }
size_of() { echo "SELECT pg_column_size($(of_purchases "$1" "${3:-}"))::bigint FROM $2"; }
credited="format('first %s, last %s, linear %s, position %s', f, l, round(li::numeric, 2), round(po::numeric, 2))"
by_model="SELECT sum(conversions * length(item)) FILTER (WHERE model = 'first') AS f, sum(conversions * length(item)) FILTER (WHERE model = 'last') AS l,
    sum(conversions * length(item)) FILTER (WHERE model = 'linear') AS li, sum(conversions * length(item)) FILTER (WHERE model = 'position') AS po"
four='{"models": ["first", "last", "linear", "position"]}'
ours() { echo "SELECT $credited FROM ($by_model FROM attribution_credit((SELECT $(of_purchases "$1" "$four") FROM $2))) s"; }
# rows by the purchases before them, and how long each is before the next
plain_sql="SELECT $credited FROM (
    SELECT sum(length(channel)) FILTER (WHERE i = 1) AS f, sum(length(channel)) FILTER (WHERE i = n) AS l, sum(length(channel)::float8 / n) AS li,
           sum(length(channel) * CASE WHEN n = 1 THEN 1 WHEN n = 2 THEN 0.5 WHEN i IN (1, n) THEN 0.4 ELSE 0.2::float8 / (n - 2) END) AS po
    FROM (SELECT channel, row_number() OVER w AS i, count(*) OVER (PARTITION BY customer_id, part) AS n
          FROM (SELECT *, max(occurred_at) FILTER (WHERE action = 'purchase') OVER (PARTITION BY customer_id, part) AS bought
                FROM (SELECT customer_id, occurred_at, channel, action, count(*) FILTER (WHERE action = 'purchase') OVER (
                          PARTITION BY customer_id ORDER BY occurred_at, channel COLLATE \"C\", action COLLATE \"C\" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS part
                      FROM touchpoints) p) b
          WHERE action <> 'purchase' AND bought - occurred_at <= interval '30 days'
          WINDOW w AS (PARTITION BY customer_id, part ORDER BY occurred_at, channel COLLATE \"C\", action COLLATE \"C\")) t) s"

say "attribution: scans"
for workers in 0 2; do
    s=attribution_$((workers ? 2 : 1))
    add $s "count(*) of the journeys" "count(*) of the journeys" "$touchpoints" heap $workers "SELECT count(*) FROM journeys"
    add $s "journey_length of the journeys" "count(*) of the journeys" "$touchpoints" heap $workers "SELECT sum(journey_length(journey)) FROM journeys"
    while read -r of column table; do
        add $s "$of: four rule-based models" "count(*) of the journeys" "$touchpoints" heap $workers "$(size_of "$column" "$table" "$four")"
        add $s "$of: Shapley values" "count(*) of the journeys" "$touchpoints" heap $workers "$(size_of "$column" "$table" '{"models": ["shapley", "ordered_shapley"]}')"
        add $s "$of: Markov, order 1" "count(*) of the journeys" "$touchpoints" heap $workers "$(size_of "$column" "$table" '{"models": ["markov"]}')"
        add $s "$of: Markov, order 3" "count(*) of the journeys" "$touchpoints" heap $workers "$(size_of "$column" "$table" '{"models": ["markov"], "order": 3}')"
        add $s "$of: all models" "count(*) of the journeys" "$touchpoints" heap $workers "$(size_of "$column" "$table")"
    done <<< $'journeys journey journeys\nblocks block attribution_blocks'
    measure $s
done
add attribution_sql "four rule-based models, SQL over the rows" "" "$touchpoints" any 0 "SELECT hashtextextended(q::text, 0) FROM ($plain_sql) q"
measure attribution_sql 1
add attribution_tenth "four rule-based models, a tenth of the journeys" "" "" heap 0 "$(size_of journey attribution_tenth "$four")"
add attribution_tenth "all models, a tenth of the journeys" "" "" heap 0 "$(size_of journey attribution_tenth)"
measure attribution_tenth

say "attribution: reading"
do_sql <<SQL
CREATE TABLE attribution_values (name text, a attribution);
INSERT INTO attribution_values
SELECT 'order ' || n, attribution_agg(journey, '%.purchase', '%', '30 days', 'channel', jsonb_build_object('order', n)) FROM journeys, unnest('{1,3}'::int[]) n GROUP BY n;
INSERT INTO attribution_values SELECT 'four', $(of_purchases journey "$four") FROM journeys;
INSERT INTO attribution_values SELECT 'labels', attribution_agg(journey, '%.purchase', '%', '30 days', 'label') FROM journeys;
SQL
read_value() { add attribution_read "$1" "" "" any 0 "SELECT count(*) FROM attribution_values v, attribution_credit(v.a${3:+, '$3'}) WHERE v.name = '$2'"; }
read_value "credit of four models" four
read_value "Markov, order 1, 12 channels" "order 1" markov
read_value "Markov, order 3, 12 channels" "order 3" markov
read_value "Markov, order 1, labels" labels markov
add attribution_read "two values added up" "" "" any 0 "SELECT pg_column_size(attribution_agg(a))::bigint FROM (SELECT a FROM attribution_values WHERE name = 'order 1' UNION ALL SELECT a FROM attribution_values WHERE name = 'order 1') v"
measure attribution_read

sql <<SQL
INSERT INTO bench.contestant (job, name, answer) SELECT 'credit', 'pg_journey: journeys', ($(ours journey journeys));
INSERT INTO bench.contestant (job, name, answer) SELECT 'credit', 'pg_journey: blocks', ($(ours block attribution_blocks));
INSERT INTO bench.contestant (job, name, answer) SELECT 'credit', 'SQL over the rows', ($plain_sql);
INSERT INTO bench.result (section, name, run, value)
SELECT 'credit_' || right(section, 1), 'pg_journey: ' || split_part(name, ':', 1), run, value FROM bench.result
WHERE section ~ '^attribution_[12]$' AND name ~ ': four';
INSERT INTO bench.result (section, name, run, value) SELECT 'credit_1', 'SQL over the rows', run, value FROM bench.result WHERE section = 'attribution_sql';
SQL

{ cat <<MD
## Attribution

Purchases among $touchpoints touchpoints of $customers customers, credited by channel to the touchpoints within 30 days before. Each scan makes the whole value.

MD
  echo "### One thread"; echo; report attribution_1 | grep -v '^Plan of'; echo
  echo "### Two workers"; echo; report attribution_2 | grep -v '^Plan of'; echo
  echo "### The same four models elsewhere"; echo
  peers attribution 3000 900
  sql <<'SQL'
SELECT report_scans('credit', 'four rule-based models');
SELECT '### Reading' || E'\n\n| of a stored value | median ms | min | max |\n|---|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s |', c.name, plain(s.median), plain(s.min), plain(s.max))
FROM candidate c JOIN summary s USING (section, name) WHERE section IN ('attribution_read', 'attribution_tenth') ORDER BY c.section, c.seq;
SELECT E'\n### Size\n\n| value | bytes |\n|---|---:|';
SELECT format('| %s | %s |', CASE name WHEN 'four' THEN 'four rule-based models' WHEN 'labels' THEN 'all models, by label' ELSE 'all models, ' || name END, pg_column_size(a)) FROM attribution_values ORDER BY pg_column_size(a);
SELECT '';
SQL
} | print
sql -v T="$touchpoints" <<'SQL'
INSERT INTO aim
SELECT 40, 'four rule-based models of stored journeys, 1 thread: at most 0.4 s for 10 M touchpoints', round((median / 1000 * 1e7 / :T)::numeric, 3), median * 1e7 / :T <= 400
FROM summary WHERE section = 'credit_1' AND name = 'pg_journey: journeys'
UNION ALL
SELECT 41, 'Markov, order 1, of 12 channels: less than 5 ms after the scan', round(median::numeric, 2), median < 5 FROM summary WHERE section = 'attribution_read' AND name ~ 'order 1, 12'
UNION ALL
SELECT 42, 'Markov, order 3, of 12 channels: less than 500 ms after the scan', round(median::numeric, 2), median < 500 FROM summary WHERE section = 'attribution_read' AND name ~ 'order 3, 12'
UNION ALL
SELECT 43, 'ten times the journeys take at most 11 times as long (of SCALE=1)', round((a.median / t.median)::numeric, 2), CASE WHEN :T >= 10000000 THEN a.median <= 11 * t.median END
FROM summary a, summary t WHERE a.section = 'credit_1' AND a.name = 'pg_journey: journeys' AND t.section = 'attribution_tenth' AND t.name ~ '^four'
UNION ALL
SELECT 44, format('%s: at least as long as stored journeys', s.name), round((s.median / o.median)::numeric, 2), s.median >= o.median
FROM summary s, summary o WHERE s.section = 'credit_1' AND s.name !~ '^pg_journey' AND o.section = 'credit_1' AND o.name = 'pg_journey: journeys';
SQL
