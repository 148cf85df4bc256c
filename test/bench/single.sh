# single.sh: single calls of record, identify and link; sourced by run as a part of "load".
#
# Each call many times in one session, a hundred to a transaction, of a thousand customers: in a hub with the rules it was
# created with, in one with the recommended rules, and against INSERT of the rows that it makes, one by one, by a PL/pgSQL
# function into plain tables with the same indexes. What counts is processor time; hubs and INSERTs take turns.

say "single: making hubs"
calls=$(awk "BEGIN { printf \"%d\", $SCALE * 50000 }")
[ "$calls" -ge 2000 ] || calls=2000
[ "$calls" -le 10000 ] || calls=10000
do_sql <<'SQL'
SELECT journey_create_hub('bare'), journey_create_hub('ruled');
SELECT ruled.use_recommended_rules('PT');
UPDATE bare.settings SET notify = false;
UPDATE ruled.settings SET notify = false;
CALL bare.maintain(since => '2026-06-01');
CALL ruled.maintain(since => '2026-06-01');
SELECT format('CREATE TABLE single_%s (LIKE bare.%s INCLUDING ALL)', replace(t, '_default', ''), t)
FROM unnest('{touchpoints_default,touchpoint_keys,identities,customers,evidence}'::text[]) t \gexec
CREATE TABLE single_step (run int, n int, hub text, cpu numeric);
CREATE FUNCTION single_cpu() RETURNS numeric LANGUAGE sql VOLATILE AS $$
    SELECT (split_part(s, ' ', 12)::numeric + split_part(s, ' ', 13)::numeric) * 10
    FROM (SELECT substring(pg_read_file('/proc/self/stat') FROM '\) (.*)') AS s) x $$;
CREATE FUNCTION single_cookie(i int) RETURNS identifier LANGUAGE sql IMMUTABLE AS $$ SELECT identifier('cookie', 'c' || i) $$;
CREATE FUNCTION single_email(i int) RETURNS identifier LANGUAGE sql IMMUTABLE AS $$ SELECT identifier('email', 'person' || i || '@example.pt') $$;
CREATE FUNCTION single_at(i int) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$ SELECT '2026-06-02Z'::timestamptz + i * interval '1 s' $$;
SELECT format('SELECT cardinality(%1$s.identify_many(array_agg((ARRAY[single_cookie(i), single_email(i)], ''2026-06-01Z'', NULL, NULL)::%1$s.observation))) FROM generate_series(1, 1000) i', h)
FROM unnest('{bare,ruled}'::text[]) h \gexec
-- the rows of a call: a touchpoint and its key, new identities and their customer, evidence
CREATE FUNCTION single_insert(i int, source text, touchpoint boolean, fresh int, customer boolean, evidence boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF touchpoint THEN
        INSERT INTO bench.single_touchpoint_keys (source, source_key, touchpoint_id, occurred_at) VALUES (source, i, i, bench.single_at(i));
        INSERT INTO bench.single_touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, source, source_key)
        VALUES (nextval('bench.single_ids'), i % 1000, bench.single_at(i), 'web', 'view', source, i);
    END IF;
    FOR n IN 1 .. fresh LOOP
        INSERT INTO bench.single_identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
        VALUES (nextval('bench.single_ids'), identifier('cookie', source || n || '-' || i), 1, 1, now(), now(), now());
    END LOOP;
    IF customer THEN
        INSERT INTO bench.single_customers (customer_id, identities) VALUES (nextval('bench.single_ids'), 1);
    END IF;
    IF evidence THEN
        INSERT INTO bench.single_evidence (source, source_key, identities, observed_at) VALUES (source, i, ARRAY[i % 1000, 1000 + i % 1000], now());
    END IF;
END $$;
CREATE SEQUENCE single_ids START 1000000;
VACUUM ANALYZE;
SQL
single_calls=(  # what, the call, the rows as single_insert takes them
    "record, one known identifier#record(ARRAY[single_cookie(c)], at, 'web', 'view', source => SOURCE, source_key => KEY)#true, 0, false, false"
    "record, two known, new evidence#record(ARRAY[single_cookie(c), single_email(c)], at, 'web', 'view', source => SOURCE, source_key => KEY)#true, 0, false, true"
    "record, two known, evidence that is there#record(ARRAY[single_cookie(c), single_email(c)], '2026-06-01Z', 'web', 'view')#"
    "record, a known and a new one#record(ARRAY[identifier('cookie', SOURCE || i), single_email(c)], at, 'web', 'view', source => SOURCE, source_key => KEY)#true, 1, false, true"
    "record, two new ones#record(ARRAY[identifier('cookie', SOURCE || i), identifier('email', SOURCE || i || '@example.pt')], at, 'web', 'view', source => SOURCE, source_key => KEY)#true, 2, true, true"
    "identify, two known, new evidence#identify(ARRAY[single_cookie(c), single_email(c)], at, SOURCE, KEY)#false, 0, false, true"
    "identify, evidence that is there#identify(ARRAY[single_cookie(c), single_email(c)], '2026-06-01Z')#"
    "link, a known and a new one#link(identifier('cookie', SOURCE || i), single_email(c), at, SOURCE, KEY)#false, 1, false, true"
)
single_run() { # run, n, hub or floor, call
    sql <<SQL >/dev/null
DO \$\$
DECLARE
    used numeric;
    c int;
    at timestamptz;
BEGIN
    FOR i IN 1 .. 100 + $calls LOOP
        IF i = 101 THEN
            used := bench.single_cpu();
        END IF;
        c := i % 1000 + 1;
        at := bench.single_at(i + $1 * 100000);
        PERFORM $4;
        IF i % 100 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
    INSERT INTO bench.single_step VALUES ($1, $2, '$3', bench.single_cpu() - used);
END \$\$;
SQL
}
for run in 1 2 3; do
    say "single: run $run"
    for n in "${!single_calls[@]}"; do
        IFS='#' read -r what call rows <<<"${single_calls[$n]}"
        source="'s${n}r$run'"
        call=${call//SOURCE/$source}
        call=${call//KEY/i::text}
        for hub in bare ruled; do
            single_run "$run" "$n" "$hub" "$hub.$call"
        done
        [ -z "$rows" ] || single_run "$run" "$n" plain "single_insert(i, $source, $rows)"
    done
done

{ cat <<MD
### Single calls

$calls calls each in one session, medians of three runs, µs of processor time a call; in a hub as it is created, and with the
recommended rules. INSERT: the rows of a call one by one by a PL/pgSQL function into plain tables with the same indexes.

MD
  { echo "CREATE TEMP TABLE what (n int, what text);"
    for n in "${!single_calls[@]}"; do echo "INSERT INTO what VALUES ($n, '${single_calls[$n]%%#*}');"; done
    cat <<SQL
CREATE TEMP TABLE step AS
SELECT n, hub, 1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY cpu) / $calls AS us FROM single_step GROUP BY n, hub;
SELECT '| call | as created | recommended rules | ratio, aim 1.3 | INSERT | ratio |' || E'\n|---|---:|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s |', w.what, round(b.us), round(r.us), round((r.us / b.us)::numeric, 2), round(p.us), round((p.us / r.us)::numeric, 2))
FROM what w JOIN step b ON b.n = w.n AND b.hub = 'bare' JOIN step r ON r.n = w.n AND r.hub = 'ruled' LEFT JOIN step p ON p.n = w.n AND p.hub = 'plain'
ORDER BY w.n;
SELECT '';
SELECT format('Two known identifiers with new evidence are recorded at %s times the speed of one, aim 0.6; where the evidence is there, at %s times.',
              round((a.us / b.us)::numeric, 2), round((a.us / c.us)::numeric, 2))
FROM step a, step b, step c WHERE (a.n, a.hub) = (0, 'ruled') AND (b.n, b.hub) = (1, 'ruled') AND (c.n, c.hub) = (2, 'ruled');
SELECT '';
SQL
  } | sql
} | print
do_sql <<'SQL'
SELECT journey_drop_hub('bare', true), journey_drop_hub('ruled', true);
SQL
