# Proves the functions over journeys, and session_number, against a second implementation, below, which goes through
# random touchpoints one by one. They lie near each other, or near a change of some zone's clock, in zones of the whole
# world, so that ties, days of 23 and 25 hours and gaps of exactly the limit come up. Of the server it takes only
# AT TIME ZONE, for which CET and its like are abbreviations. PGJ_SEED repeats a run, PGJ_RUNS sets the number of journeys.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util 'min';
use PgJourney;
use POSIX 'floor';
use PostgreSQL::Test::Utils;
use Test::More;
use Time::Local 'timegm';

my $runs = $ENV{PGJ_RUNS} || slowly(300, 2000);

# Steps: their text, and which touchpoints they match
my @steps = (
    [ '%', sub { 1 } ],
    [ 'web.%', sub { $_[0]{channel} eq 'web' } ],
    [ '%.buy', sub { $_[0]{action} eq 'buy' } ],
    [ 'loja.vê', sub { $_[0]{channel} eq 'loja' && $_[0]{action} eq 'vê' } ],
    [ '%[value >= 2]', sub { ($_[0]{value} // 0) >= 2 } ],
    [ '%.%.in', sub { $_[0]{detail} eq 'in' } ],
    [ 'web.view.""', sub { $_[0]{channel} eq 'web' && $_[0]{action} eq 'view' && $_[0]{detail} eq '' } ],
    [ 'fax.%', sub { 0 } ]);

my $node = start_server('main');
my @zones = split /\n/, sql($node, q(SELECT name FROM pg_timezone_names WHERE name ~ '^[A-Z][a-z]+/' OR name IN ('UTC', 'EST5EDT') ORDER BY 1));
cmp_ok(scalar @zones, '>', 300, 'there are zones');

# Changes of clocks: days on which the offset differs from the day before.
my @changes = map { [ split /\|/ ] } split /\n/, sql($node, <<'END');
WITH z AS (SELECT name FROM unnest('{Europe/Berlin,America/Santiago,Asia/Beirut,America/St_Johns,Pacific/Apia,Australia/Lord_Howe,Africa/Cairo}'::text[]) name),
     d AS (SELECT name, d, lag(d AT TIME ZONE name) OVER (PARTITION BY name ORDER BY d) AS before
           FROM z, generate_series('1990-01-01Z'::timestamptz, '2020-01-01Z', '1 day') d)
SELECT name, extract(epoch FROM d)::bigint - 86400 FROM d WHERE d AT TIME ZONE name - before <> interval '1 day'
END
cmp_ok(scalar @changes, '>', 200, 'there are changes of clocks');

sub random_set
{
    my ($zone, $base) = @{ any(
        any(@changes),
        [ any(@zones), floor(rand(50 * 365.25)) * 86400 ],
        [ 'Antarctica/Casey', 1267704000 ]) };    # where 2010-03-05 02:00 was followed by 2010-03-04 23:00
    my $unit = any('day', 'week', 'month');
    my $span = any(8 * 3600, 3 * 86400, 40 * 86400, 400 * 86400);
    my $grain = any(1, 60, 900, 3600);
    my @touchpoints = map { {
        at => $base + floor(rand($span) / $grain) * $grain, channel => any('web', 'web', 'app', 'loja'),
        action => any('view', 'view', 'buy', 'vê', 'call'), detail => any('', '', 'in', 'in', 'sofás'), value => any(undef, 1, 2, 3) } } 1 .. any(0, 1, 2, 5, 10, 20);
    @touchpoints = sort { $a->{at} <=> $b->{at} || $a->{channel} cmp $b->{channel} || $a->{action} cmp $b->{action} || $a->{detail} cmp $b->{detail}
          || (defined $b->{value} ? 1 : 0) <=> (defined $a->{value} ? 1 : 0) || ($a->{value} // 0) <=> ($b->{value} // 0) } @touchpoints;
    return { touchpoints => \@touchpoints, zone => $zone, unit => $unit, start => any(@steps), back => any(@steps),
        by => any('channel', 'action', 'detail', 'label'), gap => $grain * int rand 8, chain => [ map { any(@steps[ 0 .. 6 ]) } 1 .. 1 + int rand 4 ],
        until => rand() < 0.3 ? 'infinity' : $base + floor(rand($span) / $grain) * $grain };
}

# Number of the unit a date lies in, and the date on which a unit begins
sub number
{
    my ($unit, $date) = @_;
    my ($y, $m, $d) = $date =~ /^(\d+)-(\d+)-(\d+)$/ or die $date;
    my $day = timegm(0, 0, 0, $d, $m - 1, $y) / 86400;
    return $unit eq 'day' ? $day : $unit eq 'week' ? floor(($day + 3) / 7) : $y * 12 + $m - 1;
}

sub date
{
    my ($unit, $number) = @_;
    return sprintf '%04d-%02d-01', floor($number / 12), $number % 12 + 1 if $unit eq 'month';
    my @t = gmtime 86400 * ($unit eq 'day' ? $number : $number * 7 - 3);
    return sprintf '%04d-%02d-%02d', $t[5] + 1900, $t[4] + 1, $t[3];
}

# Seconds as timestamptz - timestamptz shows them
sub interval_text
{
    my ($s) = @_;
    my $days = int $s / 86400;
    return ($days ? "$days day" . ($days == 1 ? '' : 's') . ($s % 86400 ? ' ' : '') : '')
      . (!$days || $s % 86400 ? sprintf('%02d:%02d:%02d', $s / 3600 % 24, $s / 60 % 60, $s % 60) : '');
}

sub label_text
{
    my ($t) = @_;
    return "$t->{channel}.$t->{action}" . ($t->{detail} ne '' ? ".$t->{detail}" : '');
}

sub touch_text
{
    my ($t) = @_;
    return label_text($t) . (defined $t->{value} ? "=$t->{value}" : '') . " $t->{at}";
}

# Of a chain of steps: the touchpoints of the longest beginning of it that can be had from here on, which ends as early
# as it can, each as late as it can
sub chain
{
    my ($chain, @touchpoints) = @_;
    my ($n, $end) = (0, -1);
    for my $i (0 .. $#touchpoints)
    {
        next unless $n < @$chain && $chain->[$n][1]->($touchpoints[$i]);
        ($n, $end) = ($n + 1, $i);
    }
    my @match;
    my $item = $n;
    for (my $i = $end; $item > 0; $i--)
    {
        unshift @match, $i if $chain->[ $item - 1 ][1]->($touchpoints[$i]) && $item--;
    }
    return @match;
}

# Cohort and brackets
sub retention
{
    my ($s, $number, $start, $back) = @_;
    my @t = @{ $s->{touchpoints} };
    my ($first) = grep { $start->[1]->($t[$_]) } 0 .. $#t;
    return unless defined $first;
    my %bracket = (0 => 1);
    for my $i (grep { $back->[1]->($t[$_]) } $first + 1 .. $#t)
    {
        my $after = $number->[$i] - $number->[$first];
        $bracket{ $after < 0 ? 0 : $after } = 1;
    }
    return map { date($s->{unit}, $number->[$first]) . "+$_" } sort { $a <=> $b } keys %bracket;
}

sub expected
{
    my ($s, $dates, $until_date) = @_;
    my @t = @{ $s->{touchpoints} };
    my @number = map { number($s->{unit}, $_) } @$dates;
    my %e;

    $e{retention} = join ' ', retention($s, \@number, $s->{start}, $s->{back});
    $e{counted} = [ retention($s, \@number, @steps[ 0, 2 ]) ];

    my %active = map { $number[$_] => 1 } grep { $s->{back}[1]->($t[$_]) } 0 .. $#t;
    my (@states, $seen);
    for my $n (sort { $a <=> $b } keys %active)
    {
        push @states, date($s->{unit}, $n) . ' ' . ($active{ $n - 1 } ? 'returning' : $seen ? 'resurrecting' : 'new');
        $seen = 1;
        push @states, date($s->{unit}, $n + 1) . ' dormant'
          if !$active{ $n + 1 } && ($s->{until} eq 'infinity' || number($s->{unit}, $until_date) > $n);
    }
    $e{lifecycle} = join ', ', @states;

    my (%stays, %spent, $before);
    for my $i (0 .. $#t)
    {
        my $state = $s->{by} eq 'label' ? label_text($t[$i]) : $t[$i]{ $s->{by} };
        $stays{$state}++ unless defined $before && $before eq $state;
        $spent{$state} += $i < $#t ? $t[ $i + 1 ]{at} - $t[$i]{at} : 0;
        $before = $state;
    }
    $e{time_in} = join ', ', map { "$_ $stays{$_} " . interval_text($spent{$_}) } sort keys %stays;

    my @match = chain($s->{chain}, @t);
    $e{items} = join ', ', map {
        my $i = $_ < 0 ? @match + $_ : $_ - 1;
        $_ != 0 && $i >= 0 && $i < @match ? touch_text($t[ $match[$i] ]) : '-'
    } -5 .. 5;

    my ($from, @parts) = 0;
    while ($from < @t)
    {
        my @next = chain($s->{chain}, @t[ $from .. $#t ]);
        my $n = @next == @{ $s->{chain} } ? $next[-1] + 1 : @t - $from;
        push @parts, $n;
        $from += $n;
    }
    $e{parts} = join ' ', @parts;

    my $session = 0;
    $e{sessions} = join ' ', map { $session++ if $_ == 0 || $t[$_]{at} - $t[ $_ - 1 ]{at} > $s->{gap}; $session } 0 .. $#t;
    $e{block_sessions} = $session;
    return \%e;
}

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

sql($node, <<'END');
CREATE TABLE input (n int, i int, at bigint, channel text, action text, value int, detail text);
CREATE TABLE input_set (n int, zone text, unit text, start journey_pattern, back journey_pattern, by text, gap interval, chain journey_pattern, until timestamptz);
CREATE FUNCTION item_text(t touchpoint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN coalesce(touchpoint_label(t) || coalesce('=' || touchpoint_value(t), '') || ' ' || extract(epoch FROM touchpoint_time(t))::bigint, '-');
CREATE VIEW built AS SELECT s.*, coalesce(j, '{}') AS j
FROM input_set s LEFT JOIN (SELECT n, journey_agg(to_timestamp(at), channel, action, value, NULL, detail) AS j FROM input GROUP BY n) j USING (n);
END
my $ask = <<'END';
SET intervalstyle = postgres;
SELECT n, 'dates', string_agg(((occurred_at AT TIME ZONE zone)::date)::text, ' ' ORDER BY "position") FROM built, journey_steps(j) GROUP BY n;
SELECT n, 'until', ((until - interval '1 us') AT TIME ZONE zone)::date FROM built;
SELECT n, 'retention', string_agg(cohort || '+' || bracket, ' ' ORDER BY o) FROM built, journey_retention(j, start, back, unit, zone) WITH ORDINALITY r(cohort, bracket, o) GROUP BY n;
SELECT min(n), 'counted', replace(array_to_string(journey_retention_agg(j, '%', '%.buy', unit, zone), ' '), ',', '+') FROM built GROUP BY unit, zone;
SELECT min(n), 'counted_blocks', replace(array_to_string(journey_retention_agg(b, '%', '%.buy', unit, zone), ' '), ',', '+')
FROM (SELECT min(n) AS n, unit, zone, journey_block_agg(n, j) AS b FROM built GROUP BY unit, zone, n % 3) x GROUP BY unit, zone;
SELECT n, 'block_sessions', journey_block_sessions(journey_block_agg(n, j), gap) FROM built GROUP BY n, gap;
SELECT n, 'lifecycle', string_agg(period || ' ' || state, ', ' ORDER BY o) FROM built, journey_lifecycle(j, back, unit, zone, until) WITH ORDINALITY r(period, state, o) GROUP BY n;
SELECT n, 'time_in', string_agg(coalesce(state, '') || ' ' || stays || ' ' || time_spent, ', ' ORDER BY o) FROM built, journey_time_in(j, by) WITH ORDINALITY r(state, stays, time_spent, o) GROUP BY n;
SELECT n, 'items', string_agg(item_text(journey_item(j, chain, i)), ', ' ORDER BY i) FROM built, generate_series(-5, 5) i GROUP BY n;
SELECT n, 'parts', string_agg(journey_length(p)::text, ' ' ORDER BY o) FROM built, journey_split(j, chain) WITH ORDINALITY r(p, o) GROUP BY n;
SELECT n, 'sessions', string_agg(s::text, ' ' ORDER BY i) FROM (SELECT n, i, session_number(to_timestamp(at), gap) OVER (PARTITION BY n ORDER BY at, i) AS s FROM input JOIN input_set USING (n)) x GROUP BY n;
END

my @functions = qw(retention counted counted_blocks block_sessions lifecycle time_in items parts sessions);
my ($done, %answers, %distinct) = (0);
while ($done < $runs)
{
    my @sets = map { random_set() } 1 .. ($runs - $done < 200 ? $runs - $done : 200);
    my (@rows, @heads);
    for my $n (0 .. $#sets)
    {
        my $s = $sets[$n];
        push @heads, "($n, " . join(', ', map { quoted($_) } @$s{qw(zone unit)}, map { $_->[0] } @$s{qw(start back)}) . ', '
          . join(', ', quoted($s->{by}), quoted("$s->{gap} s"), quoted(join ' -> ', map { $_->[0] } @{ $s->{chain} }),
            $s->{until} eq 'infinity' ? "'infinity'" : "to_timestamp($s->{until})") . ')';
        my $i = 0;
        push @rows, map { "($n, " . $i++ . ", $_->{at}, '$_->{channel}', '$_->{action}', " . ($_->{value} // 'NULL') . ", '$_->{detail}')" } @{ $s->{touchpoints} };
    }
    my $script = "TRUNCATE input, input_set;\nINSERT INTO input_set VALUES " . join(",\n", @heads) . ";\n"
      . (@rows ? 'INSERT INTO input VALUES ' . join(",\n", @rows) . ";\n" : '') . $ask;
    my @got;
    for (split /\n/, sql($node, $script))
    {
        my ($n, $what, $answer) = split /\|/, $_, 3;
        $got[$n]{$what} = $answer;
    }
    my @expected = map { expected($sets[$_], [ split / /, $got[$_]{dates} // '' ], $got[$_]{until}) } 0 .. $#sets;
    # journeys of one unit and time zone, counted together: told by the first of them
    my (%first, @cells);
    for my $n (0 .. $#sets)
    {
        my $first = $first{"$sets[$n]{unit} $sets[$n]{zone}"} //= $n;
        $cells[$first]{$_}++ for @{ $expected[$n]{counted} };
    }
    for my $n (0 .. $#sets)
    {
        my $e = $expected[$n];
        my $key = sub { $_[0] =~ /(.*)\+(\d+)/; sprintf '%s %9d', $1, $2 };
        $e->{counted} = join ' ', map { "($_+$cells[$n]{$_})" } sort { $key->($a) cmp $key->($b) } keys %{ $cells[$n] // {} };
        $e->{counted_blocks} = $e->{counted};
        for my $function (@functions)
        {
            my $got = $got[$n]{$function} // '';
            $answers{$function}++ if $got ne '';
            $distinct{$function}{$got} = 1;
            next if $got eq $e->{$function};
            my $s = $sets[$n];
            fail("$function of journey " . ($done + $n + 1));
            diag map { touch_text($_) . "\n" } @{ $s->{touchpoints} };
            diag join ' | ', @$s{qw(zone unit by gap until)}, map { $_->[0] } @$s{qw(start back)}, @{ $s->{chain} };
            diag "dates    $got[$n]{dates}\nfound    $got\nexpected $e->{$function}\n";
            BAIL_OUT('an answer differs from what was worked out one by one');
        }
    }
    $done += @sets;
}
for my $function (@functions)
{
    cmp_ok(scalar keys %{ $distinct{$function} }, '>', min(100, $done / 40),
        "$function: $done journeys, $answers{$function} answers, enough of them distinct, are as worked out one by one");
}
is(crashes($node), '', 'no crash');
$node->stop;
done_testing();
