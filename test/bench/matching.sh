# matching.sh: the benchmark's part "matching", sourced by run.
#
# People of test/people.pl, with the truth, matched in a hub at the model's own threshold: precision, recall and F1 by pair
# (the pairs accepted) and by customer (all pairs of records that are in one), for several seeds; and how long each stage
# takes. The number of people is 20,000 at SCALE 1, and 1,500 at least.
#
# Then speed: records of the shape of Splink's historical_50k, ten of each person, by ten comparisons and 19 blocks, 50,000
# of them at SCALE 1 (MATCH_RECORDS=1000000: so many), from a table to customers; the floor is the self-join of the blocks' keys
# alone, each pair once, in plain SQL, without a comparison.

matched_people=$(awk "BEGIN { n = $SCALE * 20000; printf \"%d\", n < 1500 ? 1500 : n }")
say "matching: $matched_people people"
do_sql <<'SQL'
CREATE TABLE matched (seed int, records bigint, candidates bigint, take float8, train float8, find float8, accept float8, threshold float8,
                      block_recall float8, pair_precision float8, pair_recall float8, precision float8, recall float8, best float8);
SQL
for seed in 1 2 3; do
    perl "$here/../people.pl" --people "$matched_people" --seed "$seed" > "$dir/people.csv"
    header=$(head -1 "$dir/people.csv")
    [ "$(id -u)" != 0 ] || chown "$SERVER_USER" "$dir/people.csv"
    sql -v seed="$seed" -v file="$dir/people.csv" -v columns="$(sed 's/\([^,]*\)/\1 text/g; s/\(record_id\|person_id\|household\) text/\1 int/g' <<<"$header")" >/dev/null <<'SQL'
SET client_min_messages = warning;
CREATE TABLE people (:columns);
SET client_encoding = 'UTF8';
COPY people FROM :'file' CSV HEADER;
ANALYZE people;
SELECT journey_create_hub('matching');
SET search_path = matching, bench, public;
SELECT set_match('name', '{name}', 'name pt'), set_match('born', '{born}', 'date'), set_match('phone', '{phone}', 'phone'),
       set_match('email', '{email}', 'email'), set_match('document', '{document}', 'document'),
       set_match('address', '{street,postcode}', 'jaro_winkler 0.95 0.88');
SELECT set_block(b.expressions)
FROM (VALUES (ARRAY['right(digits(phone), 9)']), ('{email}'), ('{local_part(email)}'), ('{document}'), (ARRAY['born', 'left(given, 2)']),
             (ARRAY['born', 'left(family, 2)']), (ARRAY['postcode', 'left(given, 1)']), (ARRAY['phonetic_pt(words(name))', 'year(born)']),
             (ARRAY['phonetic_pt(given)', 'phonetic_pt(family)']), (ARRAY['phonetic_pt(name)'])) b(expressions);
CREATE TEMP TABLE at AS SELECT 0 AS stage, clock_timestamp() AS at;
SELECT take_match_records('people', 'record_id', '{name,given,family,born,phone,email,document,street,postcode}', 'person');
ANALYZE match_records, match_keys;
INSERT INTO at SELECT 1, clock_timestamp();
SELECT count(*) FROM train_matches(seed => :seed);
INSERT INTO at SELECT 2, clock_timestamp();
SELECT find_matches() AS candidates \gset
INSERT INTO at SELECT 3, clock_timestamp();
SELECT * FROM accept_matches();
INSERT INTO at SELECT 4, clock_timestamp();
INSERT INTO matched
WITH truth AS MATERIALIZED (
    SELECT x.record_id AS a, y.record_id AS b
    FROM people p JOIN people q ON q.person_id = p.person_id AND q.record_id <> p.record_id
         JOIN match_records x ON x.source_key = p.record_id::text JOIN match_records y ON y.source_key = q.record_id::text
    WHERE x.record_id < y.record_id
), pair AS MATERIALIZED (
    SELECT p.score, p.status = 'accepted' AS taken, t.a IS NOT NULL AS is_right
    FROM match_pairs p LEFT JOIN truth t ON t.a = p.a AND t.b = p.b
), member AS MATERIALIZED (
    SELECT p.person_id, i.customer_id FROM people p JOIN identities i ON i.identifier = identifier('person', p.record_id::text)
), n AS (
    SELECT (SELECT count(*) FROM truth) AS truth,
           (SELECT count(*) FROM pair p WHERE p.taken) AS taken, (SELECT count(*) FROM pair p WHERE p.taken AND p.is_right) AS taken_right,
           (SELECT sum(k * (k - 1) / 2) FROM (SELECT count(*) AS k FROM member GROUP BY customer_id) c) AS joined,
           (SELECT sum(k * (k - 1) / 2) FROM (SELECT count(*) AS k FROM member GROUP BY customer_id, person_id) c) AS joined_right
)
SELECT :seed, (SELECT count(*) FROM match_records), :candidates, s[2] - s[1], s[3] - s[2], s[4] - s[3], s[5] - s[4],
       (SELECT above FROM match_models), (SELECT count(*) FROM truth t JOIN match_candidates(NULL) c ON c.a = t.a AND c.b = t.b)::float8 / n.truth,
       n.taken_right::float8 / n.taken, n.taken_right::float8 / n.truth, n.joined_right::float8 / n.joined, n.joined_right::float8 / n.truth,
       (SELECT max(2.0 * r / (k + n.truth))::float8
        FROM (SELECT sum(p.is_right::int) OVER w AS r, count(*) OVER w AS k FROM pair p WINDOW w AS (ORDER BY p.score DESC)) f)
FROM n, (SELECT array_agg(extract(epoch FROM at)::float8 ORDER BY stage) AS s FROM at) s;
DROP TABLE people;
SELECT journey_drop_hub('matching', true);
SQL
done

{ cat <<MD
## Matching people

$matched_people people of test/people.pl and three seeds, at the model's own threshold, without the truth. By pair: pairs that were accepted;
by customer: all pairs of records in one customer. The best pair F1 is that of the threshold that the truth would choose.

MD
sql <<'SQL'
SELECT '| seed | records | pairs compared | found by blocks | pair precision | pair recall | pair F1 | best pair F1 | customer precision | customer recall | customer F1 |'
       || E'\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|';
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |', seed, records, candidates, round(block_recall::numeric, 3),
              round(pair_precision::numeric, 3), round(pair_recall::numeric, 3),
              round((2 * pair_precision * pair_recall / (pair_precision + pair_recall))::numeric, 3), round(best::numeric, 3),
              round(precision::numeric, 3), round(recall::numeric, 3), round((2 * precision * recall / (precision + recall))::numeric, 3))
FROM matched ORDER BY seed;
SELECT E'\n| stage | s | records/s |\n|---|---:|---:|';
SELECT format('| %s | %s | %s |', s.stage, round(avg(s.s)::numeric, 2), round((avg(m.records) / avg(s.s))::numeric))
FROM matched m CROSS JOIN LATERAL (VALUES (1, 'take_match_records', m.take), (2, 'train_matches', m.train), (3, 'find_matches', m.find),
                                          (4, 'accept_matches', m.accept)) s(n, stage, s)
GROUP BY s.n, s.stage ORDER BY s.n;
SELECT '';
INSERT INTO aim
SELECT 31, 'F1 of matching by customer, at the model''s own threshold: at least 0.9',
       round(min(2 * precision * recall / (precision + recall))::numeric, 3), min(2 * precision * recall / (precision + recall)) >= 0.9
FROM matched;
SQL
} | print
sql -c "DROP TABLE matched"

# --- speed ---

match_records=${MATCH_RECORDS:-$(awk "BEGIN { n = $SCALE * 50000; printf \"%d\", n < 5000 ? 5000 : n }")}
say "matching: $match_records records in the shape of historical_50k"
perl "$here/../people.pl" --people $((match_records / 10)) --seed 7 --errors 0 --languages en > "$dir/people.csv"
header=$(head -1 "$dir/people.csv")
[ "$(id -u)" != 0 ] || chown "$SERVER_USER" "$dir/people.csv"
sql -v file="$dir/people.csv" -v columns="$(sed 's/\([^,]*\)/\1 text/g; s/\(record_id\|person_id\|household\) text/\1 int/g' <<<"$header")" >/dev/null <<'SQL'
SET client_min_messages = warning;
CREATE TABLE people (:columns);
SET client_encoding = 'UTF8';
COPY people FROM :'file' CSV HEADER;
-- a number that hangs on others only, 0 to 1; and a value as it is often written down: lost, or with a slip
CREATE FUNCTION chance(a bigint, b bigint, seed int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (hashint8extended(a * 16384 + b, seed) & 1048575) / 1048576.0;
CREATE FUNCTION noise(v text, a bigint, b bigint, seed int, lost float8, slip float8) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN chance(a, b, seed) < lost THEN NULL
            WHEN chance(a, b, seed + 50) < slip
            THEN overlay(v PLACING chr(97 + (chance(a, b, seed + 100) * 26)::int) FROM 1 + (chance(a, b, seed + 150) * length(v))::int FOR 1)
            ELSE v END;
CREATE TABLE historical AS
SELECT row_number() OVER (ORDER BY chance(p.id, c, 9), p.id, c) AS id, p.id AS person, noise(p.first_name, p.id, c, 1, 0.03, 0.1) AS first_name,
       noise(p.surname, p.id, c, 2, 0.03, 0.15) AS surname, noise(p.dob, p.id, c, 3, 0.25, 0.1) AS dob, noise(p.birth_place, p.id, c, 4, 0.2, 0.1) AS birth_place,
       noise(p.postcode, p.id, c, 5, 0.2, 0.2) AS postcode, noise(p.gender, p.id, c, 6, 0.4, 0) AS gender, noise(p.occupation, p.id, c, 7, 0.35, 0.05) AS occupation,
       NULL::text AS full_name
FROM (SELECT q.person_id AS id, q.given AS first_name, q.born AS dob, q.city AS birth_place, q.postcode, (ARRAY['male', 'female'])[1 + q.person_id % 2] AS gender,
             q.family || (ARRAY['', '', '', 'son', 'ley', 'ford', 'man', 'well', 'ton', 'by', 'wick', 'more', 'shaw', 'worth', 'field', 'stead', 'croft', 'den', 'gate', 'bury'])
                         [1 + (chance(q.person_id, 1, 11) * 19)::int] || (ARRAY['', '', '', '', 's', 'e', 'er', 'y'])[1 + (chance(q.person_id, 1, 12) * 7)::int] AS surname,
             (ARRAY['politician', 'writer', 'painter', 'cricketer', 'clergyman', 'soldier', 'engineer', 'lawyer', 'physician', 'actor', 'architect', 'botanist'])
             [1 + (chance(q.person_id, 1, 13) * chance(q.person_id, 1, 14) * 11)::int] AS occupation
      FROM (SELECT DISTINCT ON (person_id) * FROM people ORDER BY person_id, born = '', postcode = '', record_id) q) p CROSS JOIN generate_series(1, 10) c;
UPDATE historical SET full_name = concat_ws(' ', first_name, surname);
ANALYZE historical;
SET max_parallel_workers_per_gather = 0;
SELECT journey_create_hub('matching');
SET search_path = matching, bench, public;
SELECT set_match('first_name', '{first_name}', 'jaro_winkler 0.94 0.88 0.7'), set_match('surname', '{surname}', 'jaro_winkler 0.94 0.88 0.7'),
       set_match('full_name', '{full_name}', 'name'), set_match('both', '{first_name,surname}', 'trigram 0.7 0.5'), set_match('dob', '{dob}', 'date'),
       set_match('birth_place', '{birth_place}', 'osa 1 2'), set_match('postcode', '{postcode}', 'osa 1 2'), set_match('area', '{postcode,birth_place}', 'trigram 0.6'),
       set_match('gender', '{gender}', 'exact', false), set_match('occupation', '{occupation}', 'jaro_winkler 0.9');
SELECT set_block(b.e)
FROM (VALUES (ARRAY['first_name', 'surname']), ('{surname,dob}'), ('{first_name,dob}'), ('{postcode,first_name}'), ('{postcode,surname}'), ('{dob,birth_place}'), ('{postcode,dob}'),
             ('{dob,occupation}'), ('{first_name,birth_place,occupation}'), ('{surname,birth_place,occupation}'), (ARRAY['phonetic_pt(surname)', 'left(first_name, 1)', 'year(dob)']),
             (ARRAY['left(surname, 4)', 'year(dob)', 'birth_place']), (ARRAY['left(first_name, 3)', 'dob']), (ARRAY['left(postcode, 4)', 'left(first_name, 2)', 'left(surname, 2)']),
             (ARRAY['phonetic_es(full_name)']), (ARRAY['words(full_name)', 'dob']), (ARRAY['words(full_name)', 'postcode']), (ARRAY['right(dob, 5)', 'surname']),
             (ARRAY['right(dob, 5)', 'left(postcode, 3)', 'left(first_name, 1)'])) b(e);
CREATE TABLE bench.match_speed (n int, stage text, s float8);
CREATE TABLE bench.match_found (candidates bigint, accepted bigint, precision float8, recall float8);
DO $$
DECLARE
    at timestamptz := clock_timestamp();
    found bigint;
    taken bigint;
    n int := 0;
    call text;
BEGIN
    FOREACH call IN ARRAY ARRAY['take_match_records', 'ANALYZE', 'train_matches', 'find_matches', 'accept_matches', 'self-join of keys'] LOOP
        CASE call
            WHEN 'take_match_records' THEN
                PERFORM take_match_records('historical', 'id', '{first_name,surname,full_name,dob,birth_place,postcode,gender,occupation}', 'person');
            WHEN 'ANALYZE' THEN ANALYZE match_records, match_keys, identities;
            WHEN 'train_matches' THEN PERFORM train_matches();
            WHEN 'find_matches' THEN found := find_matches();
            WHEN 'accept_matches' THEN taken := (SELECT a.accepted FROM accept_matches() a);
            ELSE
                PERFORM count(*)
                FROM (WITH size AS (SELECT k.block, k.key FROM match_keys k GROUP BY 1, 2 HAVING count(*) BETWEEN 2 AND 300)
                      SELECT DISTINCT x.record_id AS a, y.record_id AS b
                      FROM size s JOIN match_keys x ON x.block = s.block AND x.key = s.key
                           JOIN match_keys y ON y.block = s.block AND y.key = s.key AND y.record_id > x.record_id) p;
        END CASE;
        INSERT INTO bench.match_speed VALUES (n, call, extract(epoch FROM clock_timestamp() - at));
        at := clock_timestamp();
        n := n + 1;
    END LOOP;
    INSERT INTO bench.match_found
    SELECT found, taken, r.right_ones / g.joined, r.right_ones / t.truth
    FROM (SELECT sum(k * (k - 1) / 2)::float8 AS right_ones
          FROM (SELECT count(*) AS k FROM bench.historical h JOIN identities i ON i.identifier = identifier('person', h.id::text) GROUP BY i.customer_id, h.person) c) r,
         (SELECT sum(k * (k - 1) / 2)::float8 AS joined FROM (SELECT count(*) AS k FROM identities GROUP BY customer_id) c) g,
         (SELECT sum(k * (k - 1) / 2)::float8 AS truth FROM (SELECT count(*) AS k FROM bench.historical GROUP BY person) c) t;
END $$;
SQL
# one person looked up, as often as it takes to tell
lookup=$(cat <<'SQL'
SET search_path = matching, bench, public;
CREATE FUNCTION pg_temp.look(n int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz;
    who record;
    took float8[] := '{}';
BEGIN
    FOR who IN SELECT r.fields FROM match_records r WHERE r.record_id % 97 = 5 ORDER BY r.record_id LIMIT n LOOP
        at := clock_timestamp();
        PERFORM count(*) FROM match_of(who.fields);
        took := took || (1000 * extract(epoch FROM clock_timestamp() - at))::float8;
    END LOOP;
    RETURN (SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY t) FROM unnest(took) t);
END $$;
SELECT pg_temp.look(10);
SELECT round(pg_temp.look(100)::numeric, 2);
SQL
)
look_up_ms=$(sql <<<"$lookup" | tail -1)
{ cat <<MD
### Speed

$match_records records in the shape of historical_50k, ten comparisons, 19 blocks, on one core. The last row is the self-join of the blocks' keys in
plain SQL, each pair once, without a comparison. match_of, 95 of 100 calls, takes at most $look_up_ms ms.

MD
sql <<'SQL'
SELECT format(E'%s pairs compared, %s accepted; by customer: precision %s, recall %s.\n', candidates, accepted, round(precision::numeric, 3), round(recall::numeric, 3)) FROM bench.match_found;
SELECT E'| stage | s | of the self-join |\n|---|---:|---:|';
SELECT format('| %s | %s | %s |', stage, round(s::numeric, 2), round((s / (SELECT s FROM bench.match_speed WHERE n = 5))::numeric, 2)) FROM bench.match_speed ORDER BY n;
SELECT format('| all but the self-join | %s | |', round(sum(s)::numeric, 2)) FROM bench.match_speed WHERE n < 5;
SELECT '';
SQL
sql -v records="$match_records" -v look_up="$look_up_ms" <<'SQL'
INSERT INTO aim
SELECT 32, 'Matching ' || :records || ' records from a table to customers: at most ' || round(30 * :records / 50000.0, 1) || ' s',
       round(sum(s)::numeric, 1), sum(s) <= 30 * :records / 50000.0
FROM bench.match_speed WHERE n < 5;
INSERT INTO aim SELECT 33, 'match_of among ' || :records || ' records: at most 20 ms, of 95 in 100 calls', :look_up, :look_up <= 20;
SQL
} | print
sql -c "SELECT journey_drop_hub('matching', true); DROP TABLE people, historical, bench.match_speed, bench.match_found; DROP FUNCTION noise, chance" >/dev/null
