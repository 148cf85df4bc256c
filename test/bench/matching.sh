# matching.sh: the benchmark's part "matching", sourced by run.
#
# People of test/people.pl, with the truth, matched in a hub at the model's own threshold: precision, recall and F1 by pair
# (the pairs accepted) and by customer (all pairs of records that are in one), for several seeds; and how long each stage
# takes. The number of people is 20,000 at SCALE 1, and 1,500 at least.

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
