# Proves that no pattern is too much for a long journey: patterns that make engines
# which backtrack give up, put to journeys of up to a million touchpoints that they do
# not match, which is known only at the end. Machines are noisy, so what is held against a limit
# is not time but the answer, and memory;
# test/bench/shape measures. Also: the heaviest pattern there is can be cancelled.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
$node->append_conf('postgresql.conf', "jit = off\nmax_parallel_workers_per_gather = 0\n");
$node->restart;

# One z.z, and then a.a and a.b by turns, a second apart; each thousandth is c.c. Two
# of seven have no value; the largest is 6.
my @sizes = (10000, 100000, 1000000);
sql($node, <<"END");
CREATE TABLE long AS
SELECT n, journey_agg('2026-01-01 00:00:00+00'::timestamptz + i * interval '1 s', left(label, 1), right(label, 1), nullif(i % 7, 3)) AS j
FROM unnest('{@{[join ',', @sizes]}}'::integer[]) n, generate_series(0, n - 1) i,
     LATERAL (SELECT CASE WHEN i = 0 THEN 'zz' WHEN i % 1000 = 0 THEN 'cc' WHEN i % 2 = 1 THEN 'aa' ELSE 'ab' END) l(label)
GROUP BY n;
CREATE TABLE pattern (p journey_pattern);
END

# They want the z.z at the end, or what there is none of; how many items are reached?
my %never = (
    'a.a -> a.a -> a.a -> a.a -> a.b -> a.a -> z.z' => 6,
    '(a.% -[<= 10 s]->)+ -> z.z' => 1,
    '(a.a | c.c | a.b){22,} -> z.z' => 1,
    'a.a -> ((a.a => a.b | a.a -> a.a)* -> (a.a -> a.a)*)* -> z.z' => 2,
    '((a.a -[<= 5 s]-> a.a | a.a -> a.b)+ -[<= 1 min]->)+ -> (a.a =>)* => z.z' => 2,
    '(a.a =>)+ => a.b => (a.a -> a.b){3,5} -> z.z' => 3,
    'a.b -[<= 1 h, !a.a]-> c.c' => 1,
    'a.b -[<= 1 h, !a.b]-> c.c -[<= 1 min, !c.c]-> a.a -[!c.c, <= 2 s]-> c.c' => 3,
    'a.a -> a.b -> a.a -> c.c -> z.z within 10 s' => 4,
    'all(a.a, a.b, c.c) -> z.z' => 1,
    'all(a.a, a.%, a.b, c.c) -[<= 1 min]-> z.z' => 1,
    '(a.a | a.b){3,5} -> c.c{3,5} -> (a.a -> a.b){3,5} -> z.z' => 3,
    '%[value >= 6] -> %[value > 6]' => 1,
    'a.a -[> 1 h]-> a.a -[> 1 h, < 2 h]-> z.z' => 2,
    'a.a -[> 0 s, !% for 1 s]-> $' => 1,
    'a.%{1,20} -[> 1000 days]-> $' => 1,
);
my @never = sort keys %never;
write_bytes($node->data_dir . '/patterns', join '', map { "$_\n" } @never);
sql($node, "COPY pattern FROM '" . $node->data_dir . "/patterns'");
is(sql($node, <<'END'), '', 'no match, one pattern after the other');
SELECT n, p FROM long, pattern WHERE j ~ p OR n <= 100000 AND (journey_match_count(j, p) > 0 OR journey_match(j, p) IS NOT NULL)
END
is_deeply(
    { map { split /\t/ } split /\n/, sql($node, "SELECT DISTINCT concat_ws(E'\\t', p, journey_reached(j, p)) FROM pattern, long") },
    { map { sql($node, "SELECT '$_'::journey_pattern") => $never{$_} } @never },
    'and as many items reached at each length');
is(sql($node, <<'END'), '', 'as many touchpoints of progress');
SELECT n, p FROM long, pattern WHERE n <= 100000 AND journey_length(journey_progress(j, p)) NOT BETWEEN 1 AND 1000
END

# many matches, and long ones
for my $n (@sizes)
{
    my $count = sub { my ($p) = @_; sql($node, "SELECT journey_match_count(j, '$p') FROM long WHERE n = $n") };
    my $c = $n / 1000 - 1;    # touchpoints c.c, each in the place of an a.b
    is($count->('a.%'), $n - 1 - $c, "$n touchpoints: a match of each");
    is($count->('a.a => a.b'), $n / 2 - 1 - $c, "$n touchpoints: matches of neighbours");
    is($count->('a.a -[<= 1 s]-> a.b'), $n / 2 - 1 - $c, "$n touchpoints: matches within a second");
    is($count->('a.a -[!a.b]-> c.c'), $c, "$n touchpoints: matches with bans");
    is($count->('%[value = 6]'), int($n / 7), "$n touchpoints: matches of a value");
    is(sql($node, "SELECT count(*), sum(journey_length(m)) FROM long, journey_match_all(j, 'a.a => %') m WHERE n = $n"),
        ($n / 2 - 1) . '|' . ($n - 2), "$n touchpoints: all matches, with their values");
    is(sql($node, <<"END"), 't|t|t', "$n touchpoints: a match of all, by three ways");
SELECT journey_match(j, '^ (% =>)+ \$') = j, journey_match(j, '^ z.z -> (% -[<= 1 s]->)+ \$') = j, journey_filter(j, '%') = j
FROM long WHERE n = $n
END
    is(sql($node, <<"END"), "$n|2", "$n touchpoints: a match from end to end");
SELECT extract(epoch FROM journey_end(m) - journey_start(m))::integer + 1, journey_length(m)
FROM (SELECT journey_match(j, 'z.z -> a.a -[!% for 1 day]-> \$') AS m FROM long WHERE n = $n) s
END
}

# memory at its peak, beyond what reading the journey takes
SKIP:
{
    skip 'no /proc to read memory from', 1 if !-e "/proc/$$/status";
    my $peak = sub {
        my ($query) = @_;
        my $hwm = "(regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\\s*(\\d+)'))[1]::bigint";
        return sql($node, "SELECT $hwm AS before \\gset\n$query \\gset\nSELECT $hwm - :before;") / 1024;
    };
    my $of = sub { "SELECT $_[0] AS x FROM long WHERE n = $sizes[-1]" };
    my $floor = $peak->($of->('journey_length(j), journey_value(j)'));
    for my $p (@never)
    {
        my $mb = $peak->($of->("journey_match_count(j, '$p')")) - $floor;
        cmp_ok($mb, '<', 16, sprintf '%s: %.0f MB', $p, $mb);
    }
    for ([ 'a match of each', 16, "(SELECT count(*) FROM (SELECT journey_match_all(j, 'a.%') OFFSET 0) s)" ],
        [ 'a match of all', 256, q(journey_length(journey_match(j, '^ (% =>)+ $'))) ],
        [ 'a wait for all', 128, "journey_match_count(j, 'a.% -[> 1000 days]-> z.z')" ])
    {
        my ($name, $limit, $function) = @$_;
        my $mb = $peak->($of->($function)) - $floor;
        cmp_ok($mb, '<', $limit, sprintf '%s: %.0f MB', $name, $mb);
    }
}

# A pattern of 100,000 links takes a millisecond a touchpoint, a quarter of an hour in all, and can be cancelled.
my $heavy = 'z.z -> (a.%?){440} -> a.%[value > 6]';
for my $function ('journey_match_count(j, p)', 'journey_progress(j, p)', 'j ~ p')
{
    my (undef, undef, $error) = $node->psql('postgres', <<"END");
SET statement_timeout = '1s';
SELECT $function FROM long, (SELECT '$heavy'::journey_pattern AS p OFFSET 0) s WHERE n = $sizes[-1];
END
    like($error, qr/canceling statement due to statement timeout/, "$function: cancelled");
}

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
