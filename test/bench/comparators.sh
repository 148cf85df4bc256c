# comparators.sh: the benchmark's part "comparators", sourced by run.
#
# What one call of each comparator takes, on top of a function in C that does nothing: names of ten letters, of which half
# are the same with a slip and half are others; names of persons; dates, numbers and addresses likewise. Against contrib's
# levenshtein, similarity and metaphone, where contrib is there.

if [ ! -r /proc/self/stat ]; then
    print <<< $'## Comparators of people\n\n**Skipped: no /proc to read processor time from.**\n'
    return
fi
pairs=$(awk "BEGIN { n = $SCALE * 1000000; printf \"%d\", n < 100000 ? 100000 : n }")
say "comparators: $pairs pairs"
do_sql <<SQL
CREATE TABLE pairs AS
SELECT n.name AS a, CASE WHEN i % 2 = 0 THEN o.name ELSE overlay(n.name PLACING (ARRAY['a', 'e', 'x'])[1 + i % 3] FROM 1 + i % 10 FOR 1) END AS b,
       n.name || ' ' || (ARRAY['Silva', 'Costa', 'Smith', 'García'])[1 + i / 3 % 4] AS person,
       (ARRAY['Silva', 'Costa', 'Smyth', 'Garcia'])[1 + i / 5 % 4] || ', ' || CASE WHEN i % 3 = 0 THEN left(o.name, 1) || '.' ELSE o.name END AS other,
       (date '1950-01-01' + i % 20000)::text AS born, (date '1950-01-01' + (i + i % 3 * 30) % 20000)::text AS other_born,
       '+3519' || 10000000 + i AS phone, '9' || 10000000 + i + i % 2 AS other_phone,
       lower(n.name) || i % 100 || '@example.pt' AS email, lower(n.name) || i % 101 || '@example.com' AS other_email,
       (100000000 + i)::text AS document, (100000000 + i + i % 2)::text AS other_document
FROM generate_series(1, $pairs) i,
     LATERAL (SELECT (ARRAY['Bernardino', 'Clementina', 'Felisberto', 'Evangelina', 'Wilhelmina', 'Christophe', 'Montgomery', 'Hutchinson', 'Fitzgerald',
                            'Cunningham', 'Villanueva', 'Castellano', 'Echeverría', 'Nascimento', 'Cavalcânti', 'Valladares'])[1 + i % 16]) n(name),
     LATERAL (SELECT (ARRAY['Nascimento', 'Bernardina', 'Echeverria', 'Fitzgerald', 'Maximilian', 'Cristophee', 'Villanueba'])[1 + i % 7]) o(name);
VACUUM (FREEZE, ANALYZE) pairs;
\\set library :dir '/noop/noop_agg'
CREATE FUNCTION noop_compare(text, text) RETURNS smallint AS :'library', 'noop_zero' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
SQL
# What counts is processor time, however busy the machine is; comparators take turns.
do_sql <<'SQL'
CREATE TABLE compared (seq int GENERATED ALWAYS AS IDENTITY, name text, expression text);
CREATE TABLE compared_run (seq int, cpu numeric);
CREATE FUNCTION compared_cpu() RETURNS numeric LANGUAGE sql VOLATILE AS $$
    SELECT (split_part(s, ' ', 12)::numeric + split_part(s, ' ', 13)::numeric) * 10
    FROM (SELECT substring(pg_read_file('/proc/self/stat') FROM '\) (.*)') AS s) x $$;
CREATE PROCEDURE compare(runs int) LANGUAGE plpgsql SET max_parallel_workers_per_gather = 0 AS $$
DECLARE c record; began numeric;
BEGIN
    FOR run IN 0 .. runs LOOP
        FOR c IN SELECT * FROM bench.compared ORDER BY seq LOOP
            began := bench.compared_cpu();
            EXECUTE format('SELECT count(*) FROM bench.pairs WHERE %s < -1', c.expression);
            IF run > 0 THEN INSERT INTO bench.compared_run VALUES (c.seq, bench.compared_cpu() - began); END IF;
        END LOOP;
    END LOOP;
END $$;
CREATE VIEW compared_ns AS
SELECT c.seq, c.name, (r.cpu - min(r.cpu) FILTER (WHERE c.seq = 1) OVER ()) * 1e6 / (SELECT count(*) FROM pairs) AS ns
FROM compared c JOIN (SELECT seq, percentile_disc(0.5) WITHIN GROUP (ORDER BY cpu) AS cpu FROM compared_run GROUP BY seq) r USING (seq);
SQL
compares() { sql -v name="$1" -v expression="$2" <<< "INSERT INTO compared (name, expression) VALUES (:'name', :'expression')"; }
compares "nothing" "noop_compare(a, b)"
compares "jaro_winkler" "jaro_winkler(a, b)"
compares "osa_distance" "osa_distance(a, b)"
compares "osa_distance, at most 2" "osa_distance(a, b, 2)"
compares "match_level, jaro_winkler" "match_level(a, b, 'jaro_winkler', '{0.92,0.8}')"
compares "match_level, osa" "match_level(a, b, 'osa', '{1,2}')"
compares "match_level, trigram" "match_level(a, b, 'trigram', '{0.8,0.5}')"
compares "match_level, metaphone_pt" "match_level(a, b, 'metaphone_pt')"
compares "match_level, exact" "match_level(a, b, 'exact')"
compares "match_level, name" "match_level(person, other, 'name')"
compares "match_level, name pt" "match_level(person, other, 'name pt')"
compares "match_level, date" "match_level(born, other_born, 'date')"
compares "match_level, phone PT" "match_level(phone, other_phone, 'phone PT')"
compares "match_level, email" "match_level(email, other_email, 'email')"
compares "match_level, document" "match_level(document, other_document, 'document')"
compares "folded, of one" "length(folded(a))"
compares "phonetic_pt, of one" "length(phonetic_pt(a))"
contrib=$(sql -c "SELECT count(*) FROM pg_available_extensions WHERE name IN ('fuzzystrmatch', 'pg_trgm')")
if [ "$contrib" = 2 ]; then
    sql -c "CREATE EXTENSION fuzzystrmatch SCHEMA bench" -c "CREATE EXTENSION pg_trgm SCHEMA bench"
    compares "contrib: levenshtein" "levenshtein(a, b)"
    compares "contrib: levenshtein_less_equal, 2" "levenshtein_less_equal(a, b, 2)"
    compares "contrib: similarity" "similarity(a, b)"
    compares "contrib: metaphone, of one" "length(metaphone(a, 20))"
fi
sql -c "CALL compare($RUNS)"

{ cat <<MD
## Comparators of people

$pairs pairs, one thread; processor time of a call beyond that of a function in C that does nothing with the same arguments, the
median of $RUNS runs.

MD
sql <<'SQL'
SELECT '| comparator | ns a call | ratio to levenshtein |' || E'\n|---|---:|---:|';
SELECT format('| %s | %s | %s |', c.name, round(c.ns), round(c.ns / nullif(l.ns, 0), 2))
FROM compared_ns c LEFT JOIN compared_ns l ON l.name = 'contrib: levenshtein' WHERE c.seq > 1 ORDER BY c.seq;
SELECT '';
INSERT INTO aim
SELECT 30, format('%s of two names of ten letters: at most 0.3 µs', name), round(ns / 1000, 3), ns <= 300
FROM compared_ns WHERE name IN ('jaro_winkler', 'osa_distance', 'match_level, jaro_winkler', 'match_level, osa');
SQL
} | print
sql -c "DROP VIEW compared_ns" -c "DROP TABLE pairs"
