# profiles.sh: the benchmark's part "profiles", sourced by run.
#
# A hub in which three sources say ten traits of each customer, one identity each. The profiles of all, against the
# hub's join of them grouped by customer in the same run; telling traits, one by one and by the thousand; one customer
# by identifier, against the look-up alone.

say "profiles: loading"
do_sql <<'SQL'
SELECT journey_create_hub('hub');
INSERT INTO hub.identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
SELECT customer_id, identifier('customer', customer_id::text), customer_id, customer_id, now(), now(), now() FROM customers ORDER BY customer_id;
INSERT INTO hub.customers (customer_id, identities) SELECT customer_id, 1 FROM customers ORDER BY customer_id;
SELECT setval(pg_get_serial_sequence('hub.identities', 'identity_id'), max(identity_id)) FROM hub.identities;
INSERT INTO hub.traits (identity_id, trait, value, source, observed_at)
SELECT c.customer_id, t.trait, to_jsonb(t.value || c.customer_id % t.values), t.source,
       '2026-01-01'::timestamptz + hashint8(c.customer_id) % 10000000 * interval '1 s'
FROM customers c,
     (VALUES ('name', 'Ana Maria ', 100000, 'crm'), ('name', 'Ana ', 1000, 'web'), ('email', 'ana@example.pt ', 1000000000, 'crm'),
             ('phone', '+351912', 1000000, 'desk'), ('street', 'Rua das Flores ', 500, 'crm'), ('city', 'Lisboa ', 300, 'crm'),
             ('city', 'Porto ', 300, 'web'), ('zip', '4000-', 1000, 'crm'), ('plan', 'gold ', 3, 'web'), ('language', 'pt', 2, 'desk')
     ) t(trait, value, values, source)
ORDER BY c.customer_id;
INSERT INTO hub.trait_rules (trait, members, rule, source_order) VALUES
    ('address', '{street,zip,city}', 'source_order', '{crm,web}'), ('name', NULL, 'longest', NULL);
INSERT INTO hub.trait_rules (trait, personal) VALUES ('plan', false);
VACUUM (FREEZE, ANALYZE) hub.traits;
VACUUM (FREEZE, ANALYZE) hub.identities;
VACUUM (FREEZE, ANALYZE) hub.customers;
SQL

say "profiles: of everybody"
floor="traits, count(*): the hub's join, grouped"
each_of() { echo "SELECT count(*) FROM ($1) q WHERE (q.*)::text IS NOT NULL"; }
add profiles "$floor" "" "$customers" any 0 "SELECT count(*) FROM (SELECT i.customer_id, count(*) FROM hub.traits t JOIN hub.identities i ON i.identity_id = t.identity_id GROUP BY 1) s"
add profiles "customer_profile" "$floor" "$customers" any 0 "$(each_of "SELECT * FROM hub.customer_profile")"
add profiles "customer_profile, traits alone" "$floor" "$customers" any 0 "$(each_of "SELECT customer_id, traits FROM hub.customer_profile")"
measure profiles $((RUNS < 3 ? RUNS : 3))

say "profiles: of one"
any="\\set c random(1, $customers)"
who="hub.customer_of(identifier('customer', (:c)::text))"
script profiles_look_up "$any" "SELECT customer_id FROM hub.customers WHERE customer_id = $who;"
script profiles_profile "$any" "SELECT * FROM hub.customer_profile WHERE customer_id = $who;"
script profiles_set_traits "$any" "SELECT hub.set_traits(identifier('customer', (:c)::text), '{\"name\": \"Ana\", \"city\": \"Faro\", \"plan\": \"free\"}', 'bench', clock_timestamp());"
for call in look_up profile set_traits; do
    (cd "$dir" && "$bin/pgbench" -n -M prepared -c 1 -T $((RUNS * 2)) --random-seed=7 -l --log-prefix="$dir/profiles_latency_$call" -f "$dir/profiles_$call" bench >/dev/null 2>&1) || die "pgbench: $call"
    awk -v call="$call" '{ print "profiles_one\t" call "\t" $3 }' "$dir/profiles_latency_$call".* | sql -c "COPY result (section, name, value) FROM STDIN"
done
put() { # key, value
    quoted "SELECT hub.put_traits('table', array_agg('$1' || n), array_agg(identifier('customer', n::text)), array_agg(jsonb_build_object('name', 'Ana', 'city', '$2', 'plan', 'free')), array_agg('2026-04-01Z'::timestamptz)) FROM generate_series(1, least($customers, 20000)) n"
}
timed profiles_put "put_traits of 20,000 new rows" "$(put k Faro)"
timed profiles_put "the same again" "$(put k Faro)"
timed profiles_put "a trait of each changed" "$(put k Beja)"
timed profiles_put "drop_traits" "$(quoted "SELECT hub.drop_traits('table', array_agg('k' || n)) FROM generate_series(1, least($customers, 20000)) n")"

{ cat <<MD
## Profiles

A hub of $customers customers, of each of which three sources say ten traits; rules for two of them and a group.

MD
  report profiles
  echo "### One customer, 1 client"; echo
  sql <<'SQL'
SELECT '| call | latency ms, median | 99th percentile |' || E'\n|---|---:|---:|';
SELECT format('| %s | %s | %s |', name, round((percentile_cont(0.5) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 3),
              round((percentile_cont(0.99) WITHIN GROUP (ORDER BY value) / 1000)::numeric, 3))
FROM result WHERE section = 'profiles_one' GROUP BY name ORDER BY name;
SELECT E'\n| rows of a table | ms |\n|---|---:|';
SELECT format('| %s | %s |', name, whole(value)) FROM result WHERE section = 'profiles_put' ORDER BY ctid;
SELECT '';
SQL
} | print
sql -v customers="$customers" <<'SQL'
INSERT INTO aim
SELECT 30, 'customer_profile of 500,000 customers: at most 10 s', round((s.median / 1000)::numeric, 1),
       CASE WHEN :'customers'::bigint = 500000 THEN s.median <= 10000 END
FROM summary s WHERE s.section = 'profiles' AND s.name = 'customer_profile'
UNION ALL
SELECT 31, 'profile of one customer: at most 1 ms beyond the look-up', round(v.beyond::numeric, 3), v.beyond <= 1
FROM (SELECT (percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FILTER (WHERE name = 'profile')
              - percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FILTER (WHERE name = 'look_up')) / 1000 AS beyond
      FROM result WHERE section = 'profiles_one') v;
SELECT journey_drop_hub('hub', true);
SQL
