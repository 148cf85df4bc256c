# Proves that the aggregates over plain rows answer what NaiveRows.pm finds by trying
# everything: random rows, with equal times, several conditions at once, none, unknown
# ones, one row and no row at all, asked for funnels in all modes, for sequences, next
# nodes and retention. They come in any order, to one process, to several, and to a
# partition each. Where a journey pattern asks the same, it must answer the same.
# PGJ_SEED repeats a run, PGJ_RUNS sets the number of groups.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util 'shuffle';
use NaiveRows;
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The first and the last time there is, in microseconds since 2026-01-01, and the longest
# duration that is told from the time between them, which is longer than any
use constant { MIN_TIME => -212634028800000000, MAX_TIME => 9222550790399999999, LONGEST => 9223372036854775806 };

my $runs = $ENV{PGJ_RUNS} || slowly(120, 600);
my $batch = $runs < 300 ? $runs : 300;

# Each set of modes
my @all_modes = qw(strict_order strict_deduplication strict_increase strict_once allow_reentry);
my @modes = (['none'], map { my $set = $_; [ @all_modes[ grep { $set >> $_ & 1 } 0 .. $#all_modes ] ] } 0 .. 31);

# Rows with all about them. {rows} are as NaiveRows has them, without the {timeless}.
# Those of a {plain} group meet one condition at most and have different times.
sub random_group
{
    my %group = (n => any(1, 2, 2, 3, 3, 3, 4, 5, any(8, 9, 16, 33, 64)), plain => int rand 10 < 3, rows => []);
    my ($unit, $span) = @{ any([ 1_000_000, 3 ], [ 1_000_000, 20 ], [ 1, 3 ], [ 1, 15 ], [ 333_333, 8 ], [ 1_000_000, 1 ]) };
    $span = 20 if $group{plain};
    # few times, at which each row may serve for one of two steps or three: strict_once has to choose
    my $tight = !$group{plain} && rand() < 0.2;
    ($group{n}, $span) = (any(3 .. 6), any(1, 1, 2)) if $tight;
    $group{extreme} = !$group{plain} && rand() < 0.1;
    my $single = $group{plain} || !$tight && int rand 2;
    my $density = $group{n} > 5 ? 2 / $group{n} : any(0.1, 0.3, 0.5, 0.8);
    my $based = any(0.1, 0.5, 0.9);
    my %taken;
    # for next nodes alone, which need not try everything
    $group{long} = !$group{plain} && rand() < 0.1;
    ($group{n}, $span, $single, $density) = (any(1, 2), any(3, 20), 0, any(0.5, 0.9)) if $group{long};
    for (1 .. int rand($group{long} ? 100 : $tight ? 8 : any(2, 6, 10)))
    {
        my $time = $group{extreme} ? any(MIN_TIME, MIN_TIME + 1, -1, 0, 1, 1 << 53, MAX_TIME - 1, MAX_TIME) : $unit * int rand $span;
        next if $group{plain} && $taken{$time}++;
        my $mask = 0;
        if ($single) { $mask = 1 << int rand $group{n} if rand() < 0.9 }
        elsif ($tight) { $mask |= 1 << int rand $group{n} for 1 .. any(2, 3) }
        else { $mask |= (rand() < $density ? 1 : 0) << $_ for 0 .. $group{n} - 1 }
        push @{ $group{rows} }, [ $time, $mask, any(undef, '', 'a', 'a', 'b', 'B', 'ä', '日本'), rand() < $based ? 1 : 0 ];
    }
    return { %group, timeless => int rand any(1, 1, 1, 3), unit => $unit, span => $span };
}

sub random_duration
{
    my ($group) = @_;
    return any(0, 1, 1 << 53, MAX_TIME - 1, MAX_TIME, MAX_TIME + 1, -MIN_TIME, -MIN_TIME - 1, LONGEST) if $group->{extreme};
    return $group->{unit} * any(0, $group->{span}, int rand $group->{span}, int rand $group->{span});
}

# Microseconds as a pattern may say them
sub duration_text
{
    my ($us) = @_;
    use integer;
    my $seconds = sprintf '%d.%06d', $us / 1000000, $us % 1000000;
    my $short = $seconds =~ s/\.?0+$//r;
    # a number has 18 digits at most
    return any(length $seconds > 19 ? () : ($seconds, $short, "$short s", "$us us"), $us / 1000000 . 's' . $us % 1000000 . ' us');
}

# A pattern as NaiveRows has it, as text, and as a journey pattern where there is one
sub random_pattern
{
    my ($group) = @_;
    my ($text, $journey, @items, @gaps) = (any('', '', '', '.*'), '');
    my $space = sub { any('', '', '', ' ', "\n ") };
    my $length = any(1, 2, 2, 3, 3, 4);
    my $event = int rand(1.1 * $length);    # that it has an event, mostly
    for my $i (0 .. $length - 1)
    {
        my (@gap, @limits);
        @gap = map { rand() < 0.4 ? '*' : [ any('<', '<=', '>', '>=', '=', '=='), random_duration($group) ] } 1 .. any(0, 1, 1, 2, 3, 4) if $i;
        for my $token (@gap)
        {
            if ($token eq '*')
            {
                $journey = undef if @limits;    # a limit with a star behind it: a journey pattern has no such thing
                $text .= '.*' . $space->();
                next;
            }
            my ($operator, $duration) = @$token;
            $text .= join($space->(), '(?t', $operator, duration_text($duration), ')') . $space->();
            push @limits, ($operator eq '==' ? '=' : $operator) . " $duration us";
        }
        my $item = $i != $event && rand() < 0.2 ? 0 : 1 + int rand $group->{n};
        push @items, $item;
        push @gaps, \@gap;
        $text .= ($item ? "(?$item)" : '.') . $space->();
        next if !defined $journey;
        $journey .= !$i ? '' : !@gap ? ' => ' : @limits ? ' -[' . join(', ', @limits) . ']-> ' : ' -> ';
        $journey .= $item ? "c.x$item" : '%';
    }
    return ({ items => \@items, gaps => \@gaps }, $text . any('', '', '', '.*'), $journey);
}

# A row for COPY
sub row { return join("\t", map { !defined $_ ? '\N' : s/\\/\\\\/gr =~ s/\n/\\n/gr } @_) . "\n" }

# All that is asked of a group: [kind, conditions, window, mode, pattern, direction, base, journey pattern, expected]
sub questions
{
    my ($group) = @_;
    my ($n, @rows) = ($group->{n}, @{ $group->{rows} });
    my @questions;
    for my $mode ($group->{long} ? () : @modes)
    {
        my $window = random_duration($group);
        my $journey = join(' -> ', map { "c.x$_" } 1 .. $n) . " within $window us" if !@$mode && $group->{plain};
        push @questions, [
            'funnel', $n, $window, join(any(',', ', '), shuffle @$mode), undef, undef, undef, $journey,
            funnel_level($n, $window, { map { $_ => 1 } @$mode }, @rows) ];
    }
    for (1 .. ($group->{long} ? 0 : 12))
    {
        my ($pattern, $text, $journey) = random_pattern($group);
        my $count = sequence_match_count($pattern, @rows);
        push @questions, [
            'sequence', $n, undef, undef, $text, undef, undef, $group->{plain} ? $journey : undef,
            join '|', $count ? 't' : 'f', $count, join ',', sequence_events($pattern, @rows) ];
    }
    for (map { [split] } 'forward head', 'backward tail', map { ("forward $_", "backward $_") } 'first_match', 'last_match')
    {
        # of the first conditions only, also none where that may be
        for my $some (1 + int rand $n, $_->[1] =~ /match/ ? () : 0)
        {
            my $value = next_node(@$_, $some, map { [ $_->[0], $_->[1] & (1 << $some) - 1, @$_[ 2, 3 ] ] } @rows);
            push @questions, [ $some ? 'next' : 'node', $some, undef, undef, undef, @$_, undef, defined $value ? "=$value" : 'NULL' ];
        }
    }
    push @questions, [ 'retention', $n, (undef) x 6, '{' . join(',', retained($n, @rows)) . '}' ];
    return @questions;
}

my %answer = (
    funnel => 'window_funnel(w, m, occurred_at, VARIADIC c)::text',
    sequence => q{concat_ws('|', sequence_match(p, occurred_at, VARIADIC c), sequence_count(p, occurred_at, VARIADIC c), offsets(sequence_match_events(p, occurred_at, VARIADIC c)))},
    next => q{coalesce('=' || sequence_next_node(d, base, occurred_at, v, b, VARIADIC c), 'NULL')},
    node => q{coalesce('=' || sequence_next_node(d, base, occurred_at, v, b), 'NULL')},
    retention => 'retention(VARIADIC c)::text');
my @kinds = sort keys %answer;

my $node = start_server('main');
$node->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$node->reload;
my $dir = PostgreSQL::Test::Utils::tempdir;
# part sends the rows of a group to several partitions. For so few rows in a group, the planner would not combine
# partial states, if it knew.
sql($node, <<'END');
CREATE TABLE question (id integer, g integer, kind text, n integer, us bigint, m text, p text, d text, base text, jp text, expected text);
CREATE TABLE event (g integer, us bigint, c boolean[], v text, b boolean);
CREATE TABLE asked (id integer, kind text, w interval, m text, p text, d text, base text, occurred_at timestamptz, c boolean[], v text, b boolean, part integer);
ALTER TABLE asked ALTER id SET (n_distinct = 10);
CREATE TABLE parted (LIKE asked) PARTITION BY HASH (part);
ALTER TABLE parted ALTER id SET (n_distinct_inherited = 10);
SELECT format('CREATE TABLE parted_%1$s PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER %1$s);'
              'ALTER TABLE parted_%1$s ALTER id SET (n_distinct = 10)', i) FROM generate_series(0, 2) i \gexec
CREATE FUNCTION offsets(t timestamptz[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT coalesce(string_agg((extract(epoch FROM x - timestamptz '2026-01-01Z') * 1000000)::bigint::text, ',' ORDER BY i), '') FROM unnest(t) WITH ORDINALITY u(x, i)
$$;
-- exact, however long
CREATE FUNCTION span(us bigint) RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT us / 86400000000 * interval '1 day' + us % 86400000000 * interval '1 us'
$$;
END
my $parallel = parallel_settings($node);
my $partitionwise = 'SET enable_partitionwise_aggregate = on;';
my @ways = (
    [ 'rows shuffled', 'asked', '' ],
    [ 'rows in order', '(TABLE asked ORDER BY occurred_at, id)', '' ],
    [ 'rows backwards', '(TABLE asked ORDER BY occurred_at DESC, id DESC)', 'SET enable_hashagg = off;' ],
    [ 'several processes', 'asked', $parallel ],
    [ 'a partition each', 'parted', "$partitionwise SET max_parallel_workers_per_gather = 0;" ],
    [ 'partitions and processes', 'parted', "$partitionwise $parallel" ]);

my ($asked, $matched, $as_journeys) = (0, 0, 0);
for (my $done = 0; $done < $runs; $done += $batch)
{
    my ($events, $questions, $id) = ('', '', 0);
    for my $g (1 .. $batch)
    {
        my $group = random_group();
        for (@{ $group->{rows} }, map { [ undef, 0, any('a', undef), undef ] } 1 .. $group->{timeless})
        {
            my ($time, $mask, @rest) = @$_;
            $events .= row($g, $time, '{' . join(',', map { $mask >> $_ & 1 ? 't' : any('f', 'f', 'NULL') } 0 .. $group->{n} - 1) . '}', @rest);
        }
        for my $q (questions($group))
        {
            $questions .= row(++$id, $g, @$q);
            $matched++ if $q->[0] eq 'sequence' && $q->[-1] =~ /^t/;
            $as_journeys++ if defined $q->[-2];
        }
    }
    $asked += $id;
    write_bytes("$dir/event", $events);
    write_bytes("$dir/question", $questions);
    # What is asked of a group without rows has no answer.
    sql($node, <<"END");
TRUNCATE question, event, asked, parted;
COPY event FROM '$dir/event';
COPY question FROM '$dir/question';
DELETE FROM question q WHERE NOT EXISTS (SELECT FROM event e WHERE e.g = q.g);
INSERT INTO asked
SELECT id, kind, span(q.us), m, p, d, base, '2026-01-01Z'::timestamptz + span(e.us), c[1:n], v, b, random() * 1000
FROM question q JOIN event e USING (g) ORDER BY random();
INSERT INTO parted TABLE asked;
ANALYZE;
END
    my $of = 'groups up to ' . ($done + $batch);
    for my $way (@ways)
    {
        my ($name, $from, $settings) = @$way;
        for my $kind (@kinds)
        {
            my $query = "SELECT id, $answer{$kind} AS got FROM $from x WHERE kind = '$kind' GROUP BY id";
            if ($name =~ /partition|process/ && !$done)
            {
                my $plan = sql($node, "$settings EXPLAIN (COSTS OFF) $query");
                like($plan, qr/Finalize.*Partial/s, "$kind, $name: partial states are combined");
                like($plan, qr/Workers Planned: [1-9]/, "$kind, $name: of several processes") if $name =~ /process/;
            }
            # the smallest first: they show best what is wrong
            is(sql($node, <<"END"), '', "$kind, $name, $of");
$settings
CREATE TEMP TABLE got AS $query;
WITH wrong AS (
    SELECT q.*, got, (SELECT count(*) FROM event e WHERE e.g = q.g) AS rows
    FROM question q LEFT JOIN got USING (id) WHERE kind = '$kind' AND got IS DISTINCT FROM expected)
SELECT concat_ws(' ', count(*) OVER () || ' wrong, such as', 'conditions', n, 'window', us, 'mode', m, 'pattern', p, d, base, 'expected', expected, 'got', got, 'rows',
                 (SELECT string_agg(concat_ws(' ', e.us, c, coalesce(v, 'NULL'), b), '; ' ORDER BY e.us) FROM event e WHERE e.g = wrong.g))
FROM wrong ORDER BY rows, length(p), length(m) LIMIT 5
END
        }
    }

    # the matcher of journeys, put to the rows that meet a condition
    is(sql($node, <<'END'), '', "as journeys, $of");
WITH journey AS (
    SELECT g, journey_agg('2026-01-01Z'::timestamptz + span(us), 'c', 'x' || array_position(c, true)) AS j
    FROM event WHERE array_position(c, true) > 0 GROUP BY g
), answer AS (
    SELECT jp, j, substring(expected, '^[^|]*[|]?[^|]*') AS expected,
           CASE kind WHEN 'funnel' THEN coalesce(journey_reached(j, jp::journey_pattern), 0)::text
                     ELSE coalesce(left((j ~ jp::journey_pattern)::text, 1) || '|' || journey_match_count(j, jp::journey_pattern), 'f|0') END AS got
    FROM question LEFT JOIN journey USING (g) WHERE jp IS NOT NULL
)
SELECT * FROM answer WHERE got IS DISTINCT FROM expected LIMIT 5
END
}
note "$asked questions; $matched sequences match; $as_journeys asked of journeys, too";
cmp_ok($matched, '>', $runs, 'enough sequences match');
cmp_ok($as_journeys, '>', $runs, 'enough are asked of journeys');

is(sql($node, <<'END'), '0|0|f|0|{}|t|t', 'no rows');
SELECT window_funnel('1 s', occurred_at, VARIADIC c), window_funnel('1 s', 'strict_order', occurred_at, VARIADIC c), sequence_match('(?1)', occurred_at, VARIADIC c),
       sequence_count('(?1)', occurred_at, VARIADIC c), sequence_match_events('(?1)', occurred_at, VARIADIC c),
       sequence_next_node('forward', 'head', occurred_at, v, b, VARIADIC c) IS NULL, retention(VARIADIC c) IS NULL
FROM asked WHERE false
END

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
