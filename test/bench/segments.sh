# segments.sh: the benchmark's part "segments", sourced by run.
#
# A hub, and a hundred segments of eight kinds: refresh after one new touchpoint for each hundred, with them and, by turns,
# without; the segments of all customers when they are new; in_segment, segments_of and segment_members.

say "segments: loading"
segment_customers=$((customers < 500000 ? customers : 500000))
do_sql <<SQL
SELECT journey_create_hub('hub');
UPDATE hub.settings SET notify = false;
INSERT INTO hub.identities (identity_id, identifier, normal_id, customer_id, member_since)
SELECT n, identifier('customer', n::text), n, n, now() FROM generate_series(1, $segment_customers) n;
INSERT INTO hub.customers (customer_id, identities) SELECT n, 1 FROM generate_series(1, $segment_customers) n;
CREATE TABLE segment_words (channels text[], actions text[]);
INSERT INTO segment_words VALUES ('{web,app,store,email,phone,chat}', '{view,purchase,click,open,message,add_to_cart,return,visit}');
CREATE FUNCTION more_touchpoints(n bigint, days integer) RETURNS void LANGUAGE sql AS \$\$
    INSERT INTO hub.touchpoints (identity_id, occurred_at, channel, action, value, direction)
    SELECT 1 + floor(random() * $segment_customers)::bigint, now() - random() * days * interval '1 day',
           w.channels[1 + floor(random() * 6)::integer], w.actions[1 + floor(random() * 8)::integer],
           CASE WHEN random() < 0.1 THEN (random() * 100)::numeric(8, 2) END, 'in'
    FROM segment_words w, generate_series(1, n) g \$\$;
SELECT setseed(0.5), more_touchpoints($segment_customers * 20, 200);
SELECT hub.refresh();
VACUUM ANALYZE;
CREATE FUNCTION segment_of(n integer) RETURNS jsonb LANGUAGE sql AS \$\$
    SELECT CASE n % 8
           WHEN 0 THEN format('{"and": [{"pattern": "%s.view -[<= 7 days]-> %s.purchase"}, {"not": {"pattern": "%%.return", "within": "%s days"}}]}', c, c, n)
           WHEN 1 THEN format('{"pattern": "%s.purchase", "within": "%s days"}', c, 5 + n)
           WHEN 2 THEN format('{"measure": "value", "min": %s}', 10 * n)
           WHEN 3 THEN format('{"and": [{"measure": "last_seen", "older_than": "%s days"}, {"pattern": "%s.add_to_cart"}]}', n, c)
           WHEN 4 THEN format('{"or": [{"pattern": "%s.message", "times": {"min": 2}}, {"pattern": "%s.open => %s.click"}]}', c, c, c)
           WHEN 5 THEN format('{"pattern": "%s.add_to_cart -[!%%.purchase for %s days]-> \$"}', c, n)
           WHEN 6 THEN format('{"not": {"pattern": "%s.visit -> %s.purchase", "within": "%s days"}}', c, c, n)
           ELSE format('{"measure": "touchpoints", "min": %s, "within": "%s days"}', 2 + n % 5, 10 + n) END::jsonb
    FROM (SELECT w.channels[1 + n % 6] AS c FROM segment_words w) x \$\$;
SQL
one_percent="SELECT more_touchpoints($segment_customers * 20 / 100, 1)"
for ((run = 0; run < (RUNS < 3 ? RUNS : 3); run++)); do
    sql -c "$one_percent"; sql -c VACUUM
    timed segments "refresh, no segments" "$(quoted "SELECT hub.refresh()")"
done
say "segments: a hundred"
sql -c "SELECT count(hub.create_segment('s' || n, segment_of(n))) FROM generate_series(1, 100) n" >/dev/null
timed segments "refresh, a hundred new segments" "$(quoted "SELECT hub.refresh()")"
sql -c "VACUUM ANALYZE"
for ((run = 0; run < (RUNS < 3 ? RUNS : 3); run++)); do
    sql -c "$one_percent"; sql -c VACUUM
    timed segments "refresh, a hundred segments" "$(quoted "SELECT hub.refresh()")"
done
timed segments "segment_members, by index" "$(quoted "SELECT count(*) FROM hub.segment_members('s8')")"
timed segments "segment_members, all customers" "$(quoted "SELECT count(*) FROM hub.segment_members('s2')")"
any="\\set c random(1, $segment_customers)"
script segments_in "$any" "\\set s random(1, 100)" "SELECT hub.in_segment('s' || :s, :c);"
script segments_of "$any" "SELECT array_agg(s) FROM hub.segments_of(:c) s;"
for call in in of; do
    (cd "$dir" && "$bin/pgbench" -n -M prepared -c 1 -T $((RUNS * 2)) --random-seed=7 -l --log-prefix="$dir/segments_latency_$call" -f "$dir/segments_$call" bench >/dev/null 2>&1) || die "pgbench: $call"
    awk -v call="$call" '{ print "segments_one\t" call "\t" $3 }' "$dir/segments_latency_$call".* | sql -c "COPY result (section, name, value) FROM STDIN"
done

{ cat <<MD
## Segments

A hub of $segment_customers customers with 20 touchpoints each, and a hundred segments of eight kinds; medians of refreshes after one new touchpoint for each
hundred there are, the same before there was a segment.

| | ms |
|---|---:|
MD
  sql <<'SQL'
SELECT format('| %s | %s |', name, whole(percentile_cont(0.5) WITHIN GROUP (ORDER BY value)))
FROM result WHERE section = 'segments' GROUP BY name ORDER BY min(ctid);
SELECT E'\n| one customer, 1 client | latency ms, median | 99th percentile |' || E'\n|---|---:|---:|';
SELECT format('| %s | %s | %s |', CASE name WHEN 'in' THEN 'in_segment' ELSE 'segments_of, of a hundred' END,
              round((percentile_cont(0.5) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 3),
              round((percentile_cont(0.99) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 3))
FROM result WHERE section = 'segments_one' GROUP BY name ORDER BY name;
SELECT '';
SQL
} | print
sql -v customers="$segment_customers" <<'SQL'
INSERT INTO aim
SELECT 40, 'refresh with a hundred segments: at most twice as long as without', round(r.ratio::numeric, 2), r.ratio <= 2
FROM (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FILTER (WHERE name = 'refresh, a hundred segments')
             / percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FILTER (WHERE name = 'refresh, no segments') AS ratio
      FROM result WHERE section = 'segments') r
UNION ALL
SELECT 41, 'in_segment of one customer: at most 1 ms', round(v.ms::numeric, 3), v.ms <= 1
FROM (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) / 1000 AS ms FROM result
      WHERE section = 'segments_one' AND name = 'in') v;
SELECT journey_drop_hub('hub', true);
DROP FUNCTION more_touchpoints, segment_of;
DROP TABLE segment_words;
SQL
