# Proves that journey patterns match as they are defined. The judge is the naive
# evaluator in NaivePattern.pm: random patterns over random short journeys must
# give the same matches, counts and progress, whatever their spacing, and over blocks
# as over the journeys one by one. Also: text
# and binary form give the same pattern back, equality agrees with the text, and
# a pattern that can match no touchpoint is refused. PGJ_SEED repeats a run,
# PGJ_PAIRS sets its length.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use NaivePattern;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $pairs = $ENV{PGJ_PAIRS} || slowly(3000, 20000);
my $batch = $pairs < 5000 ? $pairs : 5000;
my $journeys = 4;    # for each pattern

my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;
my $sql = sub { return $node->safe_psql('postgres', $_[0]) };

# A row for COPY
sub row
{
    return join("\t", map { !defined $_ ? '\N' : s/\\/\\\\/gr =~ s/\n/\\n/gr =~ s/\t/\\t/gr } @_) . "\n";
}

$sql->(<<'END');
-- why the text is no pattern, NULL if it is one
CREATE FUNCTION objection(pattern text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    PERFORM pattern::journey_pattern;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLERRM || ': ' || detail;
END $$;
-- two spellings of each pattern
CREATE TABLE spelling (n integer, one text, other text);
CREATE TABLE pattern (n integer, p journey_pattern, other journey_pattern);
CREATE TABLE back (n integer, p journey_pattern, other journey_pattern);
CREATE TABLE refused (t text);
CREATE TABLE pair (n integer, j journey, matches text, match text, count text, "all" text, reached text, progress text);
CREATE VIEW got AS
SELECT n, j, p, pair::text AS expected, (p::text)::journey_pattern AS again,
       ROW(n, j, j ~ p, journey_match(j, p), journey_match_count(j, p),
           (SELECT coalesce(string_agg(m::text, ' ' ORDER BY i), '') FROM journey_match_all(j, p) WITH ORDINALITY AS x(m, i)),
           journey_reached(j, p), journey_progress(j, p))::text AS got
FROM pair JOIN pattern USING (n);
END

my ($matched, $reached, $refused) = (0, 0, 0);
for (my $done = 0; $done < $pairs; $done += $batch)
{
    my ($patterns, $spellings, $refusals, $rows) = (0, '', '', '');
    while ($patterns * $journeys < $batch)
    {
        my ($pattern, $labels) = random_pattern();
        if (may_be_empty($pattern))
        {
            $refusals .= row(pattern_text($pattern));
            $refused++;
            next;
        }
        $spellings .= row(++$patterns, pattern_text($pattern), pattern_text($pattern));
        for (1 .. $journeys)
        {
            my @touchpoints = random_short_journey($labels);
            my $e = evaluate($pattern, @touchpoints);
            $matched++ if defined $e->{match};
            $reached++ if $e->{reached};
            $rows .= row(
                $patterns, journey_text(@touchpoints), defined $e->{match} ? 't' : 'f', $e->{match}, scalar @{ $e->{all} },
                join(' ', @{ $e->{all} }), $e->{reached}, $e->{progress});
        }
    }
    write_bytes("$dir/spelling", $spellings);
    write_bytes("$dir/refused", $refusals);
    write_bytes("$dir/pair", $rows);
    $sql->(<<"END");
TRUNCATE spelling, pattern, back, refused, pair;
COPY spelling FROM '$dir/spelling';
COPY refused FROM '$dir/refused';
COPY pair FROM '$dir/pair';
END
    my $of = 'pairs up to ' . ($done + $batch);

    is($sql->(q(SELECT one, objection(one) FROM spelling WHERE objection(one) IS NOT NULL LIMIT 5)), '', "patterns are read, $of");
    is($sql->(<<'END'), '', "patterns that can match no touchpoint are refused, $of");
SELECT t, objection(t) FROM refused WHERE objection(t) IS NULL OR objection(t) !~ 'must not match without a touchpoint' LIMIT 5
END
    $sql->(<<"END");
INSERT INTO pattern SELECT n, one::journey_pattern, other::journey_pattern FROM spelling WHERE objection(one) IS NULL;
ANALYZE pattern;
ANALYZE pair;
COPY pattern TO '$dir/binary' (FORMAT binary);
COPY back FROM '$dir/binary' (FORMAT binary);
END

    # the shortest first: they show best what is wrong
    is($sql->(<<'END'), '', "matches, $of");
WITH wrong AS (SELECT * FROM got WHERE got <> expected)
SELECT concat_ws(E'\n    ', format('%s wrong, such as', count(*) OVER ()), 'journey  ' || j::text, 'pattern  ' || p::text,
                 'expected ' || expected, 'got      ' || got)
FROM wrong ORDER BY length(p::text) + length(j::text) / 3 LIMIT 5
END
    is($sql->(<<'END'), '', "text and spacing, $of");
SELECT p, other FROM pattern
WHERE (p = (p::text)::journey_pattern AND p::text = (p::text)::journey_pattern::text AND p = other AND p::text = other::text
       AND NOT p <> other AND journey_pattern_hash(p) = journey_pattern_hash(other)
       AND journey_pattern_hash_extended(p, n) = journey_pattern_hash_extended(other, n)) IS NOT TRUE
LIMIT 5
END
    is($sql->(<<'END'), '', "matches of what was printed and read again, $of");
SELECT j, p FROM got
WHERE got <> ROW(n, j, again ~ j, journey_match(j, again), journey_match_count(j, again),
           (SELECT coalesce(string_agg(m::text, ' ' ORDER BY i), '') FROM journey_match_all(j, again) WITH ORDINALITY AS x(m, i)),
           journey_reached(j, again), journey_progress(j, again))::text
LIMIT 5
END
    is($sql->('SELECT (SELECT count(*) FROM (SELECT FROM pattern GROUP BY p) x) - count(DISTINCT p::text) FROM pattern'),
        '0', "patterns of different text differ, $of");
    is($sql->(<<'END'), '', "binary copied out and in, $of");
SELECT a.p, b.p FROM pattern a FULL JOIN back b USING (n)
WHERE (a.p = b.p AND a.p::text = b.p::text AND journey_pattern_send(a.p) = journey_pattern_send(b.p) AND a.other = b.other) IS NOT TRUE
LIMIT 5
END
    is($sql->('SELECT count(*) FROM pair JOIN back b USING (n) JOIN pattern p USING (n) WHERE (j ~ b.p) IS DISTINCT FROM (j ~ p.p)'),
        '0', "matches of what was copied, $of");
    # each pattern over a block of its own journeys and those of other patterns
    is($sql->(<<'END'), '', "over blocks as over journeys, $of");
WITH block AS (
    SELECT n / 10 AS g, journey_block_agg(i, j) AS block
    FROM (SELECT n, j, row_number() OVER (ORDER BY n, j) - 100 AS i FROM pair) i GROUP BY n / 10),
over AS (
    SELECT p, g, block, journey_block_match(block, p)::text AS match, journey_block_reached(block, p) AS reached,
           (SELECT string_agg(c::text, ' ') FROM journey_block_count(block, p) c) AS count
    FROM block JOIN pattern ON pattern.n / 10 = g)
SELECT p, g, match, count, reached FROM over
WHERE (match, count, reached) IS DISTINCT FROM
    (SELECT (coalesce(array_agg(customer ORDER BY customer) FILTER (WHERE journey ~ p), '{}')::text,
             string_agg((customer, journey_match_count(journey, p))::text, ' ' ORDER BY customer)
                 FILTER (WHERE journey_match_count(journey, p) > 0),
             ARRAY(SELECT (SELECT count(*) FROM unnest(block) r WHERE journey_reached(r.journey, p) >= k)
                   FROM generate_series(1, cardinality(reached)) k))
     FROM unnest(block))
ORDER BY length(p::text) LIMIT 5
END
}
note "$matched of the pairs match, $reached in part or whole; $refused patterns refused";
cmp_ok($_->[0], '>', $pairs / $_->[1], "enough $_->[2]") for [ $matched, 5, 'matches' ], [ $refused, 200, 'refusals' ];
is(crashes($node), '', 'no crash');
$node->stop;

done_testing();
