# comparators.sh: the benchmark's part "comparators", sourced by run.
#
# What one call of each comparator takes, on top of a function in C that does nothing: names of ten letters, of which half
# are the same with a slip and half are others; names of persons; dates, numbers and addresses likewise. Against contrib's
# levenshtein, similarity and metaphone, where contrib is there.

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
noop="a function that does nothing"
compares() { # name, expression
    add comparators "$1" "$noop" "$pairs" any 0 "SELECT count(*) FROM pairs WHERE $2 < -1"
}
compares "$noop" "noop_compare(a, b)"
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
measure comparators

{ cat <<MD
## Comparators of people

$pairs pairs, one thread; nanoseconds of a call beyond those of a function in C that does nothing with the same arguments.

MD
sql <<'SQL'
SELECT '| comparator | ns a call | ratio to levenshtein |' || E'\n|---|---:|---:|';
SELECT format('| %s | %s | %s |', c.name, plain((s.median - f.median) * 1e6 / c.touchpoints), plain((s.median - f.median) / nullif(l.median - f.median, 0)))
FROM candidate c JOIN summary s USING (section, name) JOIN summary f ON f.section = c.section AND f.name = c.floor
     LEFT JOIN summary l ON l.section = c.section AND l.name = 'contrib: levenshtein'
WHERE c.section = 'comparators' AND c.name <> c.floor ORDER BY c.seq;
SELECT '';
INSERT INTO aim
SELECT 30, format('%s of two names of ten letters: at most 0.3 µs', s.name), round(((s.median - f.median) * 1e3 / c.touchpoints)::numeric, 3),
       (s.median - f.median) * 1e3 / c.touchpoints <= 0.3
FROM candidate c JOIN summary s USING (section, name) JOIN summary f ON f.section = c.section AND f.name = c.floor
WHERE c.section = 'comparators' AND c.name IN ('jaro_winkler', 'osa_distance', 'match_level, jaro_winkler', 'match_level, osa');
SQL
} | print
sql -c "DROP TABLE pairs"
