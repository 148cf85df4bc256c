#!/bin/bash
# Matching against a file of records whose truth is known.
#
#   matching_truth.sh FILE KEY PERSON [SETUP.sql]
#
# FILE is CSV with a header, in UTF-8; KEY is its column with a number of the record, PERSON the one with what records of
# one person have in common. All others are compared, as suggest_matching() proposes; or as SETUP.sql says, which calls
# set_match, set_block, set_conflict. Matches are taken at the model's own threshold, without the truth; then it prints
# precision, recall and F1 by pair (pairs accepted) and by customer (all pairs of records in one), the F1 of the best
# threshold that the truth would choose, and of pairs by their probability, how many are right.
#
# It goes to the server that psql goes to, where pg_journey can be created, and leaves nothing in it but the extension.
set -euo pipefail
[ $# = 3 ] || [ $# = 4 ] || { sed -n '4,4s/# *//p' "$0" >&2; exit 1; }
file=$1 key=$2 person=$3 setup=${4:-}

quoted() { printf '"%s"' "${1//\"/\"\"}"; }
columns= fields=
while IFS= read -r name; do
    columns+=${columns:+, }$(quoted "$name")' text'
    [ "$name" = "$key" ] || [ "$name" = "$person" ] || fields+=${fields:+,}$(quoted "$name")
done < <(head -1 "$file" | tr -d '\r' | sed 's/^\xef\xbb\xbf//' | tr ',' '\n' | sed 's/^ *"\?//; s/"\? *$//')

psql -X -q -At -v ON_ERROR_STOP=1 -v columns="$columns" -v fields="{$fields}" -v key="$(quoted "$key")" -v person="$(quoted "$person")" \
    -v key_name="$key" -v setup="$setup" -v has_setup="$([ -n "$setup" ] && echo on || echo off)" -v file="$file" <<SQL
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
CREATE EXTENSION IF NOT EXISTS pg_journey;
SELECT journey_create_hub('matching_truth');
SET search_path = matching_truth, public;
CREATE TABLE truth_records (:columns);
\\copy truth_records FROM '${file//\'/\'\'}' CSV HEADER
SELECT clock_timestamp() AS began \\gset
\\o /dev/null
SELECT take_match_records('truth_records', :'key_name', :'fields', 'record');
ANALYZE match_records;
\\if :has_setup
\\i :setup
\\else
SELECT call FROM suggest_matching() \\gexec
\\endif
ANALYZE match_keys;
SELECT count(*) FROM train_matches();
SELECT find_matches();
SELECT * FROM accept_matches();
\\o
CREATE TEMP TABLE truth AS
SELECT x.record_id AS a, y.record_id AS b
FROM truth_records p JOIN truth_records q ON q.:person = p.:person AND q.:key <> p.:key
     JOIN match_records x ON x.source_key = p.:key JOIN match_records y ON y.source_key = q.:key
WHERE x.record_id < y.record_id;
ANALYZE truth;
CREATE TEMP TABLE pair AS
SELECT p.score, p.status = 'accepted' AS taken, t.a IS NOT NULL AS is_right
FROM match_pairs p LEFT JOIN truth t ON t.a = p.a AND t.b = p.b;
CREATE TEMP TABLE member AS
SELECT p.:person AS person, i.customer_id
FROM truth_records p JOIN identities i ON i.identifier = identifier('record', p.:key);
WITH n AS (
    SELECT (SELECT count(*) FROM truth)::numeric AS truth, (SELECT count(*) FROM pair p WHERE p.is_right) AS compared,
           (SELECT count(*) FROM pair p WHERE p.taken) AS taken, (SELECT count(*) FROM pair p WHERE p.taken AND p.is_right) AS taken_right,
           (SELECT sum(k * (k - 1) / 2) FROM (SELECT count(*) AS k FROM member GROUP BY customer_id) c) AS joined,
           (SELECT sum(k * (k - 1) / 2) FROM (SELECT count(*) AS k FROM member GROUP BY customer_id, person) c) AS joined_right,
           (SELECT max(r::numeric / k) FROM (SELECT 2 * sum(p.is_right::int) OVER w AS r, count(*) OVER w + (SELECT count(*) FROM truth) AS k
                                             FROM pair p WINDOW w AS (ORDER BY p.score DESC)) f) AS best
)
SELECT format(E'%s records, %s pairs of one person, %s pairs compared; %s of the true ones among them; %s s\n'
              'by pair:     precision %s, recall %s, F1 %s; best F1 %s\nby customer: precision %s, recall %s, F1 %s; above %s bits',
              (SELECT count(*) FROM truth_records), truth, (SELECT count(*) FROM pair), round(compared / truth, 4),
              round(extract(epoch FROM clock_timestamp() - :'began')), round(taken_right / taken::numeric, 4), round(taken_right / truth, 4),
              round(2 * taken_right / (taken + truth), 4), round(best, 4), round(joined_right / joined, 4), round(joined_right / truth, 4),
              round(2 * joined_right / (joined + truth), 4), (SELECT round(m.above::numeric, 1) FROM match_models m))
FROM n;
SELECT format('expected %s to %s: %s of %s right, %s', round(s.part / 10.0, 1), round((s.part + 1) / 10.0, 1), s.right_ones, s.pairs, round(s.right_ones::numeric / s.pairs, 3))
FROM (SELECT least(floor(match_probability(p.score) * 10), 9)::int AS part, count(*) AS pairs, count(*) FILTER (WHERE p.is_right) AS right_ones
      FROM pair p GROUP BY 1) s ORDER BY s.part;
SET search_path = public;
SELECT journey_drop_hub('matching_truth', true) \\g /dev/null
SQL
