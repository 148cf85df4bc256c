# Proves that no group of rows and no pattern is too much for the aggregates over plain
# rows. Machines are noisy, so what is held against a limit is not time but the steps
# that the matcher counts itself, memory, and the answers: of a million rows in one
# group, in any order and all at one time; of patterns over which ClickHouse gives up;
# of a million groups of ten under little memory. Also: all of it can be cancelled.
# Slow: part of "make slowtest".
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
# little of what a process takes is to be shared memory
$node->append_conf('postgresql.conf', "jit = off\nmax_parallel_workers_per_gather = 0\nwork_mem = '1GB'\n"
      . "shared_buffers = 4MB\ntimezone = 'UTC'\nfsync = off\n");
$node->restart;

# One row meets condition 4, and then conditions 1 and 2 are met by turns, a second apart;
# each thousandth row meets 3. None meets 5.
my $n = 1000000;
sql($node, <<"END");
CREATE UNLOGGED TABLE row AS
SELECT i, timestamptz '2026-01-01Z' + i * interval '1 s' AS at, CASE WHEN i = 0 THEN 4 WHEN i % 1000 = 0 THEN 3 ELSE 2 - i % 2 END AS k
FROM generate_series(0, $n - 1) i;
CREATE UNLOGGED TABLE shuffled AS TABLE row ORDER BY hashint4(i);
CREATE VIEW tied AS SELECT i, timestamptz '2026-01-01Z' AS at, k FROM shuffled;
END

# A million rows in one group: call => [answer, answer when they have all the same time]
my $chain = 'k = 4, k = 1, k = 2, k = 3, k = 5';
my $five = 'k = 1, k = 2, k = 3, k = 4, k = 5';
my ($ones, $twos, $pairs) = ($n / 2, $n / 2 - $n / 1000, $n / 2 - $n / 1000);
my $of = sub { "'" . join(',', map { "\"2026-01-01 00:0$_+00\"" } @_) . "'" };
my %answer = (
    "window_funnel('1 h', at, $chain)" => [ 4, 4 ],
    "window_funnel('10 s', at, $chain)" => [ 3, 4 ],
    "window_funnel('0 s', at, $chain)" => [ 1, 4 ],
    "window_funnel('100 d', 'strict_increase', at, k = 1, k = 2, k = 1, k = 2, k = 3, k = 4)" => [ 5, 1 ],
    "window_funnel('100 d', 'strict_once', at, k = 1, k = 1, k = 1, k = 3, k = 4, k < 4)" => [ 4, 6 ],
    "window_funnel('100 d', 'strict_order', at, $five)" => [ 3, 4 ],
    "window_funnel('100 d', 'strict_order', at, k = 1, k = 2, k = 4, k = 5, k = 3)" => [ 2, 3 ],
    "window_funnel('100 d', 'strict_order, allow_reentry', at, $chain)" => [ 4, 4 ],
    "window_funnel('100 d', 'strict_deduplication', at, $chain)" => [ 3, 2 ],
    "sequence_match('(?5)', at, $five)" => [ 'f', 'f' ],
    "sequence_match('(?4)(?1)(?2)', at, $five)" => [ 't', 'f' ],
    "sequence_match('(?1).*(?1).*(?1).*(?1).*(?4)', at, $five)" => [ 'f', 't' ],
    "sequence_count('(?1)(?2)', at, $five)" => [ $pairs, 1 ],
    "sequence_count('(?1)', at, $five)" => [ $ones, $ones ],
    "sequence_count('(?1)(?t==1)(?3)', at, $five)" => [ $n / 1000 - 1, 0 ],
    "sequence_count('(?2)(?t<=2)(?2)', at, $five)" => [ $n / 1000 * 249, $twos / 2 ],
    "sequence_match_events('(?4).*(?3)(?t>=1000).*(?3)(?1)', at, $five)::text" => [
        '{"2026-01-01 00:00:00+00","2026-01-01 00:16:40+00","2026-01-01 00:33:20+00","2026-01-01 00:33:21+00"}', '{"2026-01-01 00:00:00+00"}' ],
    "sequence_next_node('forward', 'head', at, k || '#' || i, k = 4, k = 4, k = 1, k = 2)" => [ '1#3', undef ],
    "sequence_next_node('backward', 'last_match', at, k || '#' || i, true, k = 3, k = 1)" => [ '2#998998', undef ],
    "retention(k = 4, k = 3, k = 5, k = 2)::text" => [ '{t,t,f,t}', '{t,t,f,t}' ]);
for my $from ('row', 'shuffled', 'tied')
{
    my @calls = grep { defined $answer{$_}[ $from eq 'tied' ] } sort keys %answer;
    @calls = grep { !/_count|1 h|0 s/ } @calls if $from eq 'shuffled';    # each sorts the million
    my @answers = split /\|/, sql($node, 'SELECT ' . join(",\n", @calls) . " FROM $from");
    is($answers[$_], $answer{ $calls[$_] }[ $from eq 'tied' ], "a million rows, $from: $calls[$_]") for 0 .. $#calls;
}

# The steps that the matcher counts: linear in the rows, and at most one for each row and
# part of the pattern. Nothing matches, which is known only at the end, but for the last
# pattern of each set.
my %rows = (
    row => 'SELECT at, k FROM row WHERE i < %1$d',
    tied => 'SELECT at, k FROM tied WHERE i < %1$d',
    # 1 a thousand times and more, then 2 as often, a second later
    blocks => q{SELECT timestamptz '2026-01-01Z' + i / (%1$d / 2) * interval '1 s' AS at, 1 + i / (%1$d / 2) AS k FROM row WHERE i < %1$d});
my %patterns = (
    # its issue 26095
    blocks => [ '(?1)(?t>1)(?2)', '(?1)(?t>1)(?2)(?t>1)(?2)', '(?1)(?t==1)(?2)(?t>1)(?2)', '(?1)(?t>=1).*(?2)(?t>=1).*(?5)', '(?1)(?t<1)(?1)' ],
    row => [
        '(?1).*(?2)(?t>=300).*(?5)',    # its issue 2399
        '(?1).*(?1).*(?1).*(?1).*(?5)',
        '(?1)(?t>=300)(?2)(?t<=600)(?1)(?t>=300)(?2)(?t<=1000000)(?5)',
        '(?1)(?t>=3).*(?t<=600).*(?2)(?t<=100).*(?1).*(?5)',
        '(?1)(?t==7)(?2)(?t==7)(?1)(?t==8)(?1)(?t==11)(?5)',
        '.........(?5)', '.*.*.*(?1).*.*(?2).*.*(?5).*', '(?1)(?2)' x 10 . '(?5)',
        '(?1)(?t<=100000)' x 40 . '(?5)', '(?1).*(?2).*' x 20 . '(?5)',
        '(?1)(?t>=300).*(?2)' ],
    tied => [ '(?1).*(?1).*(?2).*(?2).*(?5)', '(?1)(?t>=0)(?1)(?t<=0)(?2)(?t==0)(?5)', '(?1)(?t>=0).*(?2)(?t>0).*(?4)', '(?1)(?t>=0).*(?1)' ]);
for my $from (sort keys %patterns)
{
    for my $pattern (@{ $patterns{$from} })
    {
        my $parts = () = $pattern =~ /\(|\./g;
        my $name = "$from, " . (length $pattern > 60 ? substr($pattern, 0, 57) . '...' : $pattern);
        my @functions = ('sequence_match', 'sequence_count', 'sequence_match_events');
        my $query = 'SELECT ' . join(', ', map { "$_('$pattern', at, $five)" } @functions) . ' FROM';
        my (undef, undef, $told) = $node->psql('postgres', "SET client_min_messages = debug2;\n"
              . join('', map { "$query (" . sprintf($rows{$from}, $_) . ") s;\n" } 10000, 100000), on_error_die => 1);
        for my $function (@functions)
        {
            my ($few, $many) = map { $told =~ /$function looked at (\d+) ways between $_ rows/ } 10000, 100000;
            cmp_ok($many, '<=', 100000 * $parts, "$name, $function: at most a step for each row and part of the pattern");
            cmp_ok($many, '<=', 10.5 * $few + 100, "$name, $function: $few steps for 10,000 rows, $many for 100,000");
        }
    }
}

my $hwm = "(regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\\s*(\\d+)'))[1]::bigint";
# A query's answer, and what memory it took at its peak, in bytes
sub peak
{
    my ($query) = @_;
    my ($answer, $kb) = split /\n/, sql($node, "SELECT $hwm AS before \\gset\n$query;\nSELECT $hwm - :before;");
    return ($answer, 1024 * $kb);
}

SKIP:
{
    skip 'no /proc to read memory from', 1 if !-e "/proc/$$/status";
    my (undef, $floor) = peak('SELECT retention(k = 5) FROM shuffled');
    for (grep { /once|order'|dedup|count\('\(\?1\)'|events|next_node/ } sort keys %answer)
    {
        my (undef, $peak) = peak("SELECT $_ IS NULL FROM shuffled");
        cmp_ok(($peak - $floor) / $n, '<', 40, sprintf '%s: %.0f bytes a row', $_, ($peak - $floor) / $n);
    }
    # rows that meet no condition are not kept
    for my $call ("window_funnel('1 d', at, k = 4, k = 3)", "sequence_count('(?2).*(?2)', at, k = 4, k = 3)", 'retention(k = 4, k < 4)')
    {
        my (undef, $peak) = peak("SELECT $call IS NULL FROM shuffled");
        cmp_ok($peak - $floor, '<', 2e6, sprintf '%s: %.0f kB for %d rows of a million', $call, ($peak - $floor) / 1000, $n / 1000);
    }
}

# strict_once: thousands of rows at one time, each of which may serve for many of 64 steps:
# what the rows meet, and the level
my @once = (
    [ 'all of them', 'true', 64 ],
    [ 'one, or all in 40 rows', 'c = 1 OR i <= 40', 41 ],
    [ 'up to the row\'s number', 'c <= i', 64 ],
    [ 'from the row\'s number', 'c >= i % 64 + 1', 64 ],
    [ 'two are met by one row only', 'c NOT IN (30, 31) AND (i * c * 797 >> 5) % 3 > 0 OR i = 4999', 30 ],
    [ 'every other one', '(i + c) % 2 = 0', 64 ],
    [ 'two of three, all steps by 63 rows', 'i > 5000 - 63', 63 ]);
for (@once)
{
    my ($name, $meets, $level) = @$_;
    my $conditions = join ', ', map { my $c = $_; $meets =~ s/\bc\b/$c/gr } 1 .. 64;
    my ($answer, $peak) = peak("SELECT window_funnel('1 s', 'strict_once', timestamptz '2026-01-01Z', $conditions) FROM generate_series(1, 5000) i");
    is($answer, $level, "strict_once, 5,000 rows at one time, conditions met: $name");
    cmp_ok($peak, '<', 16e6, sprintf 'in %.1f MB', $peak / 1e6);
}

# Cancelled at two moments of the whole run
for my $query (
    "SELECT window_funnel('1 s', 'strict_once', at, k < 3, k = 1, k < 3, k < 4, k = 5) FROM tied, generate_series(1, 4)",
    "SELECT window_funnel('100 d', 'strict_order', at + n * interval '1 h', $five) FROM shuffled, generate_series(1, 4) n",
    "SELECT sequence_next_node('backward', 'first_match', at, k::text, k = 4, k = 5) FROM shuffled, generate_series(1, 2) n")
{
    cancelled_after($node, $query, $_, $query) for 0.2, 0.5;
}

# Cancelled while the answer is made, when all rows have been read, which is what takes the time with a light pattern
my $links = '(?1).*' x 400 . '(?5)';
for (
    [ 'sequence_match', "SELECT sequence_match('%s', at, $five) FROM shuffled", '(?1)', $links ],
    [ 'sequence_count', "SELECT sequence_count('%s', at, $five) FROM tied", '(?1)', $links ],
    [ 'sequence_match_events', "SELECT sequence_match_events('%s', at, $five) FROM shuffled", '(?1)', $links ])
{
    my ($name, $query, $light, $heavy) = @$_;
    cancelled_after($node, $name, 1.5, sprintf($query, $heavy), sprintf $query, $light);
}

# A million groups of ten: each sequence of ten of the letters a to d, ten seconds apart,
# all mixed up. What a group's answer is, plain SQL says of the sequence.
my $groups = 4**10;
my $plan = sql($node, <<"END");
SET work_mem = '4MB';
SET enable_sort = off;
EXPLAIN (ANALYZE, TIMING off, FORMAT json) CREATE UNLOGGED TABLE answer AS
SELECT g, window_funnel('30 s', at, letter = 0, letter = 1, letter = 2) AS level, sequence_count('(?1).*(?2)', at, letter = 0, letter = 1) AS count,
       retention(letter = 3, letter = 0) AS retention
FROM (SELECT g, timestamptz '2026-01-01Z' + i * interval '10 s' AS at, g >> 2 * i & 3 AS letter
      FROM (SELECT (x % $groups)::integer AS g, (x / $groups)::integer AS i
            FROM (SELECT r * 7919 % (10 * $groups) AS x FROM generate_series(0::bigint, 10 * $groups - 1) r) x OFFSET 0) g OFFSET 0) row
GROUP BY g
END
my ($batches) = $plan =~ /"HashAgg Batches": (\d+)/ or die $plan;
my ($memory) = $plan =~ /"Peak Memory Usage": (\d+)/;
my ($disk) = $plan =~ /"Disk Usage": (\d+)/;
diag "a million groups of ten under 4 MB: $memory kB of memory, $batches batches, $disk kB of disk";
cmp_ok($batches, '>', 1, 'a million groups of ten do not fit into 4 MB');
# groups still grow when there is no room for further ones
cmp_ok($memory, '<', 3 * 8192, 'and take not much more of it than twice 4 MB, which hash_mem_multiplier grants');
is(sql($node, <<"END"), "$groups|0|0|0", 'a million groups of ten: as plain SQL says');
WITH half AS (SELECT h, string_agg(chr(97 + (h >> 2 * i & 3)), '' ORDER BY i) AS s FROM generate_series(0, 1023) h, generate_series(0, 4) i GROUP BY h),
whole AS MATERIALIZED (SELECT a.h + 1024 * b.h AS g, a.s || b.s AS s FROM half a, half b)
SELECT count(*), count(*) FILTER (WHERE level IS DISTINCT FROM CASE WHEN s ~ 'a(b.?|.b)c' THEN 3 WHEN s ~ 'a.?.?b' THEN 2 WHEN s LIKE '%a%' THEN 1 ELSE 0 END),
       count(*) FILTER (WHERE count IS DISTINCT FROM regexp_count(s, 'a.*?b')),
       count(*) FILTER (WHERE retention IS DISTINCT FROM ARRAY[s LIKE '%d%', s LIKE '%d%' AND s LIKE '%a%'])
FROM answer FULL JOIN whole USING (g)
END

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
