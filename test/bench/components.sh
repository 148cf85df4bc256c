# components.sh: the benchmark's part "components", sourced by run.
#
# Components of two graphs, of which one is three times the other: customers of 20
# identities each, 30 edges a customer between any two of them, and every 1000th
# edge to one of ten hubs, which make one component of many customers. Against a
# scan, an aggregate that does nothing, and plain C (union_find.c); plain SQL on a
# small part, and pgRouting where there is one.

say "components"
do_sql <<'SQL'
\set library :dir '/noop/noop_agg'
CREATE FUNCTION noop_transfn(internal, bigint, bigint) RETURNS internal
AS :'library' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE AGGREGATE noop_edges(bigint, bigint) (
    SFUNC = noop_transfn, STYPE = internal, SSPACE = 300, FINALFUNC = noop_finalfn, COMBINEFUNC = noop_combinefn,
    SERIALFUNC = noop_serialfn, DESERIALFUNC = noop_deserialfn, PARALLEL = SAFE);

CREATE FUNCTION edges(customers bigint) RETURNS TABLE (a bigint, b bigint) LANGUAGE sql
AS $$
    SELECT CASE WHEN i % 1000 = 0 THEN i / 1000 % 10 ELSE c + customers * ((h >> 20 & 1048575) % 20) END,
           c + customers * ((h & 1048575) % 20)
    FROM generate_series(1, 30 * customers) i,
         LATERAL (SELECT hashint8extended(i, 1) AS h, (hashint8extended(i, 2) & 9223372036854775807) % customers AS c) s
$$;
-- components of edges_few: the smallest label spreads until nothing changes
CREATE FUNCTION by_labels() RETURNS bigint LANGUAGE plpgsql SET client_min_messages = warning
AS $$
BEGIN
    DROP TABLE IF EXISTS way, label;
    CREATE TEMP TABLE way AS SELECT a, b FROM bench.edges_few UNION SELECT b, a FROM bench.edges_few;
    CREATE TEMP TABLE label AS SELECT DISTINCT a AS node, a AS label FROM way;
    ANALYZE way;
    ANALYZE label;
    LOOP
        UPDATE label l SET label = m.label
        FROM (SELECT w.a, min(n.label) AS label FROM way w JOIN label n ON n.node = w.b GROUP BY w.a) m
        WHERE l.node = m.a AND m.label < l.label;
        EXIT WHEN NOT FOUND;
    END LOOP;
    RETURN (SELECT sum(label) FROM label);
END
$$;
SQL

# One graph: section, table, customers
graph() {
    local workers run out
    sql -c "CREATE TABLE $2 AS SELECT * FROM edges($3)" -c "ALTER TABLE $2 SET (parallel_workers = 2)" -c "VACUUM (FREEZE, ANALYZE) $2"
    edge() { add "$1" "$2" "scan: sum(a + b)" $((30 * $5)) any "$3" "$4"; }
    for workers in 0 2; do
        edge $1_$workers "scan: count(*)" $workers "SELECT count(*) FROM $2" $3
        edge $1_$workers "scan: sum(a + b)" $workers "SELECT sum(a + b)::bigint FROM $2" $3
        edge $1_$workers "no-op aggregate" $workers "SELECT octet_length(noop_edges(a, b)) FROM $2" $3
        edge $1_$workers "identity_components" $workers "SELECT cardinality(identity_components(a, b)) FROM $2" $3
        edge $1_$workers "identity_components, as rows" $workers \
            "SELECT sum(component)::bigint FROM identity_members((SELECT identity_components(a, b) FROM $2))" $3
        measure $1_$workers
    done
    if [ -x "$dir/union_find" ]; then
        sql -c "\\copy $2 TO '$dir/edges' (FORMAT binary)"
        for run in $(seq 0 "$RUNS"); do
            out=$("$dir/union_find" "$dir/edges" $((30 * $3)))
            [ "$run" = 0 ] || sql -v section="$1_0" -v out="$out" -v run="$run" <<'EOF'
INSERT INTO bench.result SELECT :'section', 'plain C', :run, o[4]::float8, o[3]::bigint
FROM string_to_array(:'out', ' ') o;
EOF
        done
        rm "$dir/edges"
    fi
    { echo "### $((30 * $3)) edges"; echo
      sql -v section="$1" -v graph="$2" <<'EOF'
SELECT format('%s nodes, %s components, the largest of %s.', sum(n), count(*), max(n)) || E'\n'
FROM (SELECT count(*) AS n FROM identity_members((SELECT identity_components(a, b) FROM :graph)) GROUP BY component) s;
SELECT '| query | workers | median ms | min | max | ns an edge | ratio to scan |' || E'\n|---|---:|---:|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s | %s |', s.name, right(s.section, 1), plain(s.median), plain(s.min), plain(s.max),
              plain(s.median * 1e6 / (SELECT count(*) FROM :graph)), round((s.median / f.median)::numeric, 2))
FROM summary s JOIN summary f USING (section) LEFT JOIN candidate c ON (c.section, c.name) = (s.section, s.name)
WHERE s.section IN (:'section' || '_0', :'section' || '_2') AND f.name = 'scan: sum(a + b)'
ORDER BY s.section, c.seq NULLS LAST;
SELECT '';
SELECT '**Beware:** the answers differ.' FROM result
WHERE section IN (:'section' || '_0', :'section' || '_2') AND name IN ('identity_components, as rows', 'plain C')
HAVING count(DISTINCT answer) > 1;
SELECT report_plans(:'section' || '_0');
SELECT report_plans(:'section' || '_2');
SELECT report_flaws(:'section' || '_0');
SELECT report_flaws(:'section' || '_2');
SELECT '';
EOF
    } | print
}

print <<'MD'
## Connected components

Customers of 20 identities each, 30 edges a customer between any two of them, every 1000th edge to one of ten hubs.
Plain C (union_find.c) has the edges in memory and one hash table that is large enough from the start; it neither sorts nor grows.

MD
"${CC:-cc}" -O2 -o "$dir/union_find" "$here/union_find.c" 2>/dev/null ||
    print <<< $'**Plain C skipped: there is no C compiler.**\n'
graph components_small edges_small $((customers / 3))
graph components_large edges_large "$customers"

sql -c "CREATE TABLE edges_few AS SELECT a, b FROM edges_small
        WHERE a % ($customers / 3) % 20 = 0 AND b % ($customers / 3) % 20 = 0" -c "VACUUM (FREEZE, ANALYZE) edges_few"
few=$(sql -c "SELECT count(*) FROM edges_few")
large=$((30 * customers))
groups="GROUP BY b % $((customers / 3))"
add components_groups "no-op aggregate" "no-op aggregate" $((10 * customers)) hash 0 \
    "SELECT count(c) FROM (SELECT noop_edges(a, b) AS c FROM edges_small $groups) s"
add components_groups "identity_components" "no-op aggregate" $((10 * customers)) hash 0 \
    "SELECT count(c) FROM (SELECT identity_components(a, b) AS c FROM edges_small $groups) s"
measure components_groups
add components_few "label propagation in SQL" "" "$few" any 0 "SELECT by_labels()"
add components_few "identity_components, as rows" "" "$few" any 0 \
    "SELECT sum(component)::bigint FROM identity_members((SELECT identity_components(a, b) FROM edges_few))"
measure components_few $((RUNS < 3 ? RUNS : 3))
{ echo "### $((10 * customers)) edges in $((customers / 3)) groups, hash grouping, 0 workers"; echo
  sql <<'SQL'
SELECT '| query | median ms | min | max | ratio to no-op | memory |' || E'\n|---|---:|---:|---:|---:|---|';
SELECT format('| %s | %s | %s | %s | %s | %s |', s.name, plain(s.median), plain(s.min), plain(s.max),
              round((s.median / f.median)::numeric, 2), plan_memory(p.plan))
FROM summary s JOIN candidate c USING (section, name) JOIN plan p USING (section, name)
     JOIN summary f ON f.section = s.section AND f.name = c.floor
WHERE s.section = 'components_groups' ORDER BY c.seq;
SELECT '';
SELECT report_flaws('components_groups');
SELECT '';
SQL
  echo "### Peers on less"; echo
  sql -v few="$few" -v large="$large" <<'SQL'
SELECT format('| query | median ms on %s edges | times %s, an extrapolation |', :few, round(:large::numeric / :few))
       || E'\n|---|---:|---:|';
SELECT format('| %s | %s | %s s |', name, plain(median), plain(median * :large / :few / 1000))
FROM summary JOIN candidate USING (section, name) WHERE section = 'components_few' ORDER BY seq;
SELECT '';
SELECT '**Beware:** the answers differ.' FROM result WHERE section = 'components_few' HAVING count(DISTINCT answer) > 1;
SQL
  if [ "$(sql -c "SELECT count(*) FROM pg_available_extensions WHERE name = 'pgrouting'")" = 1 ]; then
      sql -c "CREATE EXTENSION IF NOT EXISTS pgrouting CASCADE"
      add components_pgrouting "pgr_connectedComponents" "" $((10 * customers)) any 0 "SELECT sum(component)::bigint
          FROM public.pgr_connectedComponents('SELECT row_number() OVER () AS id, a AS source, b AS target, 1.0::float8 AS cost FROM bench.edges_small')"
      measure components_pgrouting 1
      sql -c "SELECT format('pgr_connectedComponents on %s edges, once: %s ms.', $((10 * customers)), plain(median)) FROM summary WHERE section = 'components_pgrouting'"
  else
      echo "**pgRouting skipped: it is not installed.**"
  fi
  echo
  echo "### Peak memory of a backend that does nothing else (without shared memory)"; echo
  for t in edges_small edges_large; do
      echo "$t: $(($(peak_memory "SELECT cardinality(identity_components(a, b)) FROM $t") / 1024)) MB, of which $(($(peak_memory "SELECT sum(a + b) FROM $t") / 1024)) MB are a scan's."
  done
  echo; } | print
sql -v large="$large" <<'SQL'
INSERT INTO aim
SELECT 10, format('components of %s edges: at most %s s', n, round(most, 2)), round((median / 1000)::numeric, 2), median <= 1000 * most
FROM (VALUES ('components_small_0', :large / 3, 2.5 * :large / 15e6), ('components_large_0', :large, 10 * :large / 15e6)) v(section, n, most)
     JOIN summary USING (section)
WHERE name = 'identity_components'
UNION ALL
SELECT 11, 'components: ' || s.section || ', divided by 2 × plain C and the scan: at most 1',
       round((s.median / (2 * c.median + f.median))::numeric, 2),
       s.median <= 2 * c.median + f.median
FROM summary s LEFT JOIN summary c ON c.section = s.section AND c.name = 'plain C'
     JOIN summary f ON f.section = s.section AND f.name = 'scan: sum(a + b)'
WHERE s.section IN ('components_small_0', 'components_large_0') AND s.name = 'identity_components';
DROP TABLE edges_small, edges_large, edges_few;
SQL
