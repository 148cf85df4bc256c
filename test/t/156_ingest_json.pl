# Proves that the check of JSON before json-c, and json-c behind it, agree with PostgreSQL's own parser: of texts made by
# changing good ones, those are taken that jsonb takes, but for equal keys and the limits, and a payload kept whole as an
# attribute is equal to the jsonb of its text.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use utf8;

my $node = start_server('main');

my @good = (
    '{}', '{"a": 1}', '{"a": [1, 2.5, -3e10, 1E-7, 0, -0, true, false, null, "x"], "b": {"c": {"d": []}}}',
    '{"text": "olá \\u00e9 \\ud83d\\ude00 \\" \\\\ \\/ \\b\\f\\n\\r\\t 🛒"}', '{"\\u0061\\u0000b": "\\udead"}',
    '{"n": [123456789012345678901234567890, 0.1000, 1e400, 1.5e-300, 18446744073709551615, -9223372036854775808]}',
    ' { "a" : [ { "b" : [ [ ] , { } ] } ] , "" : "" } ', '{"a": "' . 'é' x 40 . '", "b": [' . join(',', 1 .. 30) . ']}');
my @tokens = (
    split(//, '{}[]:,"\'\\/ub0123456789aefE+-._ntr '), 'true', 'false', 'null', 'nul', 'NaN', 'Infinity', '\\u', '\\u0000', '\\ud83d', '\\ude00', '\\u00',
    '""', '"a":', '"b": 1', '[[', ']]', '{"x":', '1e', '-0', '00', '1.', '.5', "\t", "\n", "\x01", "\x7f", 'é', '€', '😀', "\x{feff}", "\x{a0}", '/**/', '//');
my @texts = @good;
for (1 .. 20000)
{
    my $text = any(@good);
    for (0 .. any(0, 0, 1, 2))
    {
        my $at = int rand(1 + length $text);
        substr($text, $at, any(0, 0, 1, 1, 2, 5)) = any(0, 1) ? any(@tokens) : substr($text, int rand(1 + length $text), any(1 .. 4)) // '';
        $text = substr($text, 0, $at) if !int rand 20;
    }
    push @texts, $text;
}
my $file = PostgreSQL::Test::Utils::tempdir() . '/texts';
open my $out, '>:utf8', $file or die $!;
print $out map { s/\\/\\\\/gr =~ s/\n/\\n/gr =~ s/\t/\\t/gr . "\n" } @texts;
close $out;

sql($node, <<"END");
CREATE TABLE text (id bigint GENERATED ALWAYS AS IDENTITY, t text);
\\copy text (t) FROM '$file'
CREATE FUNCTION as_jsonb(t text) RETURNS jsonb LANGUAGE plpgsql AS \$\$
DECLARE j jsonb; BEGIN j := t; RETURN j; EXCEPTION WHEN data_exception OR program_limit_exceeded THEN RETURN NULL; END \$\$;
CREATE TABLE checked AS
SELECT id, t, as_jsonb(t) AS j, e.kind, e.reason, e.attributes -> 'all' AS kept,
       kind = 'evidence' OR reason !~ '^invalid JSON: (?!an object has the same key twice)' AS taken,
       coalesce(reason, '') ~ '^(JSON is too deep|number is out of range)' AS too_much
FROM text CROSS JOIN LATERAL journey_payload_events(
    ARRAY[CASE WHEN t ~ '^\\s*\\[' THEN '{"array": ' || t || '}' ELSE t END],
    '[{"makes": "evidence", "each": [""], "identifiers": ["n:=x"], "occurred_at": ["now"], "attributes": ["all:"]}]') e;
END
my ($both, $neither) = split /\|/, sql($node, 'SELECT count(*) FILTER (WHERE taken AND j IS NOT NULL), count(*) FILTER (WHERE NOT taken AND j IS NULL) FROM checked');
cmp_ok($both, '>', 1000, "$both texts are JSON for both");
cmp_ok($neither, '>', 1000, "$neither are none for both");
is(sql($node, 'SELECT t, reason, left(j::text, 100) FROM checked WHERE taken <> (j IS NOT NULL) AND NOT too_much LIMIT 10'), '', 'they agree on all others');
is(sql($node, q{SELECT count(*) FROM checked WHERE reason LIKE '%same key twice' AND j::text = t}), 0, 'equal keys are what jsonb drops');
is(sql($node, q{SELECT t, j, kept FROM checked WHERE kind = 'evidence' AND t !~ '^\s*\[' AND kept IS DISTINCT FROM j LIMIT 10}), '',
    'what is kept of a payload is its jsonb');

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
