# measures.sh: the benchmark's part "measures", sourced by run.
#
# A hub with the benchmark's touchpoints, each customer one identity. In channels where
# people talk, a customer's touchpoints of a day are a conversation, by turns inbound,
# by a bot and by one of a hundred agents. Measures over everybody, against the
# hub's join grouped by customer in the same run; the same with as little work_mem as
# PostgreSQL comes with; what BI tools send; one customer by pgbench.

say "measures: loading"
do_sql <<'SQL'
SELECT journey_create_hub('hub');
UPDATE hub.settings SET notify = false, time_zone = 'Europe/Lisbon';
INSERT INTO hub.business_hours (weekday, opens, closes) SELECT weekday, '09:00', '18:00' FROM generate_series(1, 5) weekday;
CALL hub.maintain(since => '2026-01-01');
INSERT INTO hub.identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
SELECT customer_id, identifier('customer', customer_id::text), customer_id, customer_id, now(), now(), now() FROM customers ORDER BY customer_id;
INSERT INTO hub.customers (customer_id, identities) SELECT customer_id, 1 FROM customers ORDER BY customer_id;
SELECT setval(pg_get_serial_sequence('hub.identities', 'identity_id'), max(identity_id)) FROM hub.identities;
INSERT INTO hub.touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, value, currency, direction, conversation, agent, source)
SELECT id, customer_id, occurred_at, channel, action, value, CASE WHEN value IS NOT NULL THEN 'EUR' END,
       CASE WHEN talks AND h % 20 < 9 THEN 'in' WHEN talks THEN 'out' WHEN channel = 'push' THEN 'out' END,
       CASE WHEN talks THEN customer_id || '-' || occurred_at::date END,
       CASE WHEN talks AND h % 20 >= 18 THEN 'bot' WHEN talks AND h % 20 >= 9 THEN 'agent ' || h % 100 END, channel
FROM (SELECT *, channel IN ('whatsapp', 'chat', 'phone', 'email', 'sms', 'social', 'marketplace', 'store') AS talks,
             hashint8extended(id, 5) & 1048575 AS h
      FROM touchpoints) t
ORDER BY id;
SELECT setval(pg_get_serial_sequence('hub.touchpoints', 'touchpoint_id'), max(touchpoint_id)) FROM hub.touchpoints;
SELECT hub.refresh();
VACUUM (FREEZE, ANALYZE) hub.touchpoints;
VACUUM (FREEZE, ANALYZE) hub.identities;
VACUUM (FREEZE, ANALYZE) hub.customers;
VACUUM (FREEZE, ANALYZE) hub.customer_journeys;
VACUUM (FREEZE, ANALYZE) hub.journey_changes;
CREATE TABLE segment AS SELECT customer_id, 'gold' AS segment FROM customers WHERE rank % 5000 = 17;
VACUUM (FREEZE, ANALYZE) segment;
SQL

# ---- over everybody --------------------------------------------------------

floor="customer, count(*): the hub's join, grouped"
floor_query="SELECT count(*) FROM (SELECT i.customer_id, count(*) FROM hub.touchpoints t JOIN hub.identities i ON i.identity_id = t.identity_id GROUP BY 1) s"
# all of a view's columns must be worked out, and go nowhere
whole_of() { echo "SELECT length(string_agg((q.*)::text, '')) FROM ($1) q"; }
# OFFSET 0, or the condition would be worked out beside the columns, from aggregates of its own
each_of() { echo "SELECT count(*) FROM ($1 OFFSET 0) q WHERE (q.*)::text IS NOT NULL"; }
over_everybody() { # section
    add "$1" "$floor" "" "$touchpoints" any 0 "$floor_query"
    for view in channel_mix channel_transitions omnichannel; do
        add "$1" "$view" "$floor" "$touchpoints" any 0 "$(whole_of "SELECT * FROM hub.$view")"
        add "$1" "$view by month" "$floor" "$touchpoints" any 0 "$(whole_of "SELECT * FROM hub.$view('month')")"
    done
    add "$1" "omnichannel: the shares alone" "$floor" "$touchpoints" any 0 \
        "$(whole_of "SELECT multichannel_share, cross_channel_share, omnichannel_share FROM hub.omnichannel")"
}
say "measures: over everybody"
runs=$((RUNS < 3 ? RUNS : 3))
over_everybody measures
add measures "channel_mix of one month" "$floor" "$touchpoints" any 0 "$(whole_of "SELECT * FROM hub.channel_mix(NULL, '2026-02-01', '2026-03-01')")"
add measures "funnel of three steps by month" "$floor" "$touchpoints" any 0 \
    "$(whole_of "SELECT * FROM hub.funnel('web.view -> web.add_to_cart -> web.purchase within 7 days', 'month', NULL, NULL)")"
measure measures $runs
over_everybody measures_small
sql -c "UPDATE candidate SET settings = settings || '{work_mem=4MB,hash_mem_multiplier=2}' WHERE section = 'measures_small'"
measure measures_small 1

say "measures: service"
add service "$floor" "" "$touchpoints" any 0 "$floor_query"
add service "customer_360 of all" "$floor" "$touchpoints" any 0 "$(each_of "SELECT * FROM hub.customer_360")"
add service "conversations, all columns" "$floor" "$touchpoints" any 0 "$(each_of "SELECT * FROM hub.conversations")"
add service "conversations_between(), all columns" "$floor" "$touchpoints" any 0 "$(each_of "SELECT * FROM hub.conversations_between()")"
add service "conversations, count(*)" "$floor" "$touchpoints" any 0 "SELECT count(*) FROM hub.conversations"
add service "service_levels by month" "$floor" "$touchpoints" any 0 "$(whole_of "SELECT * FROM hub.service_levels('month', NULL, NULL)")"
add service "service_levels by month and channel" "$floor" "$touchpoints" any 0 "$(whole_of "SELECT * FROM hub.service_levels('month', NULL, NULL, 'channel')")"
measure service 1

say "measures: row views"
add row_views "$floor" "" "$touchpoints" any 0 "$floor_query"
for view in timeline visits sessions handoffs; do
    add row_views "$view, all columns of all rows" "$floor" "$touchpoints" any 0 "$(each_of "SELECT * FROM hub.$view")"
    add row_views "$view, count(*)" "$floor" "$touchpoints" any 0 "SELECT count(*) FROM hub.$view"
done
add row_views "timeline_between(), all columns of all rows" "$floor" "$touchpoints" any 0 "$(each_of "SELECT * FROM hub.timeline_between()")"
add row_views "timeline_between(), a month" "$floor" "$touchpoints" any 0 "$(each_of "SELECT * FROM hub.timeline_between('2026-02-01', '2026-03-01')")"
measure row_views 1

say "measures: BI"
for view in timeline visits sessions handoffs conversations; do
    at=$(case $view in timeline | handoffs) echo occurred_at ;; *) echo started_at ;; esac)
    add bi "$view: join with a segment of a hundred" "" "" any 0 "SELECT count(*) FROM hub.$view v JOIN segment s ON s.customer_id = v.customer_id WHERE (v.*)::text IS NOT NULL"
    add bi "$view: IN (SELECT …)" "" "" any 0 "SELECT count(*) FROM hub.$view v WHERE v.customer_id IN (SELECT s.customer_id FROM segment s) AND (v.*)::text IS NOT NULL"
    add bi "$view: a day" "" "" any 0 "SELECT count(*) FROM hub.$view v WHERE v.$at BETWEEN '2026-02-10' AND '2026-02-11' AND (v.*)::text IS NOT NULL"
    add bi "$view: LIMIT 1000" "" "" any 0 "SELECT count(*) FROM (SELECT * FROM hub.$view LIMIT 1000) v WHERE (v.*)::text IS NOT NULL"
done
measure bi $runs

# ---- one customer ----------------------------------------------------------

any="\\set c random(1, $customers)"
for view in timeline visits sessions handoffs conversations customer_360; do
    script "measures_$view" "$any" "SELECT * FROM hub.$view WHERE customer_id = :c;"
    (cd "$dir" && "$bin/pgbench" -n -M prepared -c 2 -j 2 -T $((RUNS * 2)) --random-seed=7 -l --log-prefix="$dir/measures_latency_$view" -f "$dir/measures_$view" bench >/dev/null 2>&1) || die "pgbench: $view"
    awk -v view="$view" '{ print "measures_one\t" view "\t" $3 }' "$dir/measures_latency_$view".* | sql -c "COPY result (section, name, value) FROM STDIN"
done

{ cat <<MD
## Measures of a hub

A hub of $touchpoints touchpoints of $customers customers, $(sql -c "SELECT count(*) FROM hub.conversations_between()") conversations of
$(sql -c "SELECT count(*) FROM hub.touchpoints WHERE conversation IS NOT NULL") touchpoints; all refreshed; one thread. The floor reads
touchpoints and identities, and groups by customer.

MD
  echo "### Over everybody"; echo; report measures
  echo "### The same with work_mem 4 MB"; echo; report measures_small
  echo "### Customers and service"; echo; report service
  echo "### Row views, whole"; echo; report row_views
  echo "### What BI tools send"; echo; report bi | grep -v "^Plan of"
  echo "### One customer by number, 2 clients"; echo
  sql <<'SQL'
SELECT '| view | latency ms, median | 99th percentile | max |' || E'\n|---|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s |', name, plain(percentile_cont(0.5) WITHIN GROUP (ORDER BY value) / 1000),
              plain(percentile_cont(0.99) WITHIN GROUP (ORDER BY value) / 1000), plain(max(value) / 1000))
FROM result WHERE section = 'measures_one' GROUP BY name ORDER BY name;
SELECT '';
SQL
} | print
sql -v touchpoints="$touchpoints" -v floor="$floor" <<'SQL'
SET bench.touchpoints = :'touchpoints';
INSERT INTO aim
SELECT 20, format('%s: at most 3 × the hub''s join grouped by customer', s.name), round((s.median / f.median)::numeric, 2), s.median <= 3 * f.median
FROM summary s, summary f
WHERE s.section = 'measures' AND f.section = 'measures' AND f.name = :'floor' AND s.name ~ '^(channel_mix|channel_transitions|omnichannel)( by month)?$'
UNION ALL
SELECT 21, format('%s: at most %s s for 10 M touchpoints', s.name, a.seconds), round((s.median / 1000)::numeric, 1),
       CASE WHEN :'touchpoints'::bigint = 10000000 THEN s.median <= 1000 * a.seconds END
FROM summary s JOIN (VALUES ('channel_mix', 2), ('channel_transitions', 2), ('omnichannel: the shares alone', 2), ('channel_mix by month', 2),
                            ('channel_transitions by month', 2), ('customer_360 of all', 10), ('conversations, all columns', 10),
                            ('conversations_between(), all columns', 10)) a(name, seconds) ON a.name = s.name
WHERE s.section IN ('measures', 'service')
UNION ALL
SELECT 22, format('%s of one customer: 99th percentile under 5 ms', name), round((percentile_cont(0.99) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 2),
       percentile_cont(0.99) WITHIN GROUP (ORDER BY value) < 5000
FROM result WHERE section = 'measures_one' GROUP BY name;
DROP TABLE segment;
SELECT journey_drop_hub('hub', true);
SQL
