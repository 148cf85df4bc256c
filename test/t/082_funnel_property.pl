# Proves that a funnel by period counts each attempt where it begins. The judge enumerates, with NaivePattern.pm, every
# partial match of random patterns in random short journeys, sorts them by the period (and label) of their first touchpoint,
# and takes the one that gets farthest. Also: of one period without limits it is the funnel without periods; and states
# made in parts give what one made at once gives. PGJ_SEED repeats a run, PGJ_PAIRS sets its length.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use NaivePattern;
use POSIX 'floor';
use PostgreSQL::Test::Utils;
use Test::More;

my $pairs = $ENV{PGJ_PAIRS} || slowly(2500, 20000);
my $journeys = 4;    # for each pattern

use constant { S => 1000000, D => 86400000000 };

# Zones: from which second since 2000 on they have which offset. The journeys begin on 2026-03-05 and take some weeks.
my %zones = (
    'UTC' => [ [ 0, 0 ] ],
    'Asia/Kolkata' => [ [ 0, 19800 ] ],
    'America/New_York' => [ [ 0, -18000 ], [ 826268400, -14400 ] ],
    'Europe/Berlin' => [ [ 0, 3600 ], [ 828061200, 7200 ] ]);

# The first day of the period in which a time lies; \N: of all
sub period_start
{
    my ($time, $period, $zone) = @_;
    return '\N' if $period eq 'all';
    my ($offset) = map { $_->[1] } grep { $time >= $_->[0] * S } reverse @{ $zones{$zone} };
    my $day = floor(($time + $offset * S) / D);
    my (undef, undef, undef, $mday, $month, $year, $wday) = gmtime(($day + 10957) * 86400);
    ($mday, $month) = (1, int($month / 3) * 3) if $period eq 'quarter';
    ($mday, $month) = (1, 0) if $period eq 'year';
    $mday = 1 if $period eq 'month';
    if ($period eq 'week')
    {
        (undef, undef, undef, $mday, $month, $year) = gmtime(($day + 10957 - ($wday + 6) % 7) * 86400);
    }
    return sprintf '%d-%02d-%02d', $year + 1900, $month + 1, $mday;
}

sub label_part
{
    my ($touchpoint, $part) = @_;
    my (undef, $channel, $action, undef, undef, $detail) = @$touchpoint;
    return '\N' if $part eq '\N' || ($part eq 'detail' && ($detail // '') eq '');
    return $part eq 'channel' ? $channel : $part eq 'action' ? $action : $part eq 'detail' ? $detail
      : join '.', map { PgJourney::name_text($_) } $channel, $action, ($detail // '') eq '' ? () : $detail;
}

sub row
{
    return join("\t", map { $_ eq '\N' ? $_ : s/\\/\\\\/gr =~ s/\n/\\n/gr =~ s/\t/\\t/gr } @_) . "\n";
}

# Whether each item is one touchpoint, so that what a match reaches is what it holds
sub is_chain
{
    my ($pattern) = @_;
    return !grep { $_->[1]{kind} ne 'step' || $_->[1]{min} != 1 || ($_->[1]{max} // 0) != 1 } map { @{ $_->{items} } } @{ $pattern->{alts} };
}

my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;
my ($patterns, $asked, $expected, $groups, $several, $times) = (0, '', '', 0, 0, 0);
while ($patterns * $journeys < $pairs)
{
    my ($pattern, $labels) = random_pattern();
    next if may_be_empty($pattern);
    $patterns++;
    my $text = pattern_text($pattern);
    my $chain = is_chain($pattern);
    for my $n (1 .. $journeys)
    {
        my @touchpoints = random_short_journey($labels);
        my ($zone, $period) = (any(sort keys %zones), any(qw(day day day week month quarter year all)));
        my $part = any('\N', '\N', qw(channel action detail label));
        # the bounds are times of touchpoints, or a little beside
        my ($since, $until) = sort { $a <=> $b } map { @touchpoints ? any(@touchpoints)->[0] + any(-1, 0, 0, 1) : 0 } 1 .. 2;
        ($since, $until) = map { rand() < 0.3 ? $_ : undef } $since, $until;
        my %begins;
        for my $i (0 .. $#touchpoints)
        {
            my $time = $touchpoints[$i][0];
            next if (defined $since && $time < $since) || (defined $until && $time >= $until);
            $begins{ period_start($time, $period, $zone) }{ label_part($touchpoints[$i], $part) }{$i} = 1;
        }
        my $id = ($patterns - 1) * $journeys + $n;
        my $e = evaluate($pattern, @touchpoints);
        my $found = 0;
        for my $start (keys %begins)
        {
            for my $value (keys %{ $begins{$start} })
            {
                my ($reached, $set, @members) = farthest($e->{reaching}, sub { $begins{$start}{$value}{ $_[0] } });
                next if !$reached;
                my $usecs = '\N';
                if ($chain && $reached > 1)
                {
                    $usecs = join ',', map { $touchpoints[ $members[$_] ][0] - $touchpoints[ $members[ $_ - 1 ] ][0] } 1 .. $#members;
                    $times++;
                }
                $expected .= row($id, $start, $value, $reached, $usecs);
                $groups++;
                $found++;
            }
        }
        $several++ if $found > 1;
        $asked .= row($id, $patterns, $text, journey_text(@touchpoints), $period, $zone, map({ defined $_ ? $_ : '\N' } $since, $until), $part);
    }
}
write_bytes("$dir/asked", $asked);
write_bytes("$dir/expected", $expected);
sql($node, <<"END");
CREATE FUNCTION at(usecs bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
\$\$SELECT '2000-01-01Z'::timestamptz + usecs / 1000000 * interval '1 s' + usecs % 1000000 * interval '1 us'\$\$;
CREATE TABLE asked (id integer, n integer, p journey_pattern, j journey, period text, zone text, since bigint, until bigint, part text);
CREATE TABLE expected (id integer, period_start date, breakdown text, reached integer, usecs text);
COPY asked FROM '$dir/asked';
COPY expected FROM '$dir/expected';
CREATE TABLE got AS
SELECT id, f.period_start, f.breakdown, sum(f.reached)::integer AS reached,
       array_agg((extract(epoch FROM f.median_time) * 1000000)::bigint ORDER BY step) FILTER (WHERE f.median_time IS NOT NULL) AS usecs
FROM (SELECT id, journey_funnel_agg(j, p, period, zone, at(since), at(until), part) AS steps FROM asked GROUP BY id) s, unnest(steps) f
GROUP BY 1, 2, 3;
ANALYZE;
END
is(sql($node, <<'END'), '', 'periods, groups and items reached');
SELECT concat_ws(E'\n    ', format('%s wrong, such as', count(*) OVER ()), 'journey  ' || j::text, 'pattern  ' || p::text,
                 concat_ws(' ', period, zone, at(since), at(until), part),
                 format('expected %s %s %s', e.period_start, e.breakdown, e.reached), format('got      %s %s %s', g.period_start, g.breakdown, g.reached))
FROM expected e FULL JOIN got g ON g.id = e.id AND g.period_start IS NOT DISTINCT FROM e.period_start
                                   AND g.breakdown IS NOT DISTINCT FROM e.breakdown
     JOIN asked a ON a.id = coalesce(e.id, g.id)
WHERE e.reached IS DISTINCT FROM g.reached
ORDER BY length(p::text) + length(j::text) / 3 LIMIT 5
END
is(sql($node, <<'END'), '', 'times from item to item');
SELECT concat_ws(E'\n    ', format('%s wrong, such as', count(*) OVER ()), 'journey  ' || j::text, 'pattern  ' || p::text,
                 concat_ws(' ', period, zone, at(since), at(until), part), 'expected ' || e.usecs, 'got      ' || g.usecs::text)
FROM expected e JOIN got g ON g.id = e.id AND g.period_start IS NOT DISTINCT FROM e.period_start AND g.breakdown IS NOT DISTINCT FROM e.breakdown
     JOIN asked a ON a.id = e.id,
     LATERAL (SELECT bool_and(abs(x - y) <= 0.0101 * x + 1) FROM unnest(string_to_array(e.usecs, ',')::bigint[], g.usecs) u(x, y)) c(near)
WHERE e.usecs IS NOT NULL AND c.near IS NOT TRUE
ORDER BY length(p::text) + length(j::text) / 3 LIMIT 5
END
is(sql($node, <<'END'), '0', 'one period without limits is the funnel without periods');
SELECT count(*)
FROM (SELECT journey_funnel_agg(j, p) AS plain, journey_funnel_agg(j, p, 'all', NULL, NULL, NULL, NULL) AS periods FROM asked GROUP BY n) s
WHERE (SELECT array_agg((step, label, reached, conversion_first, conversion_previous, median_time, p90_time)::funnel_step ORDER BY step)
       FROM unnest(periods)) IS DISTINCT FROM CASE WHEN plain[1].reached > 0 THEN plain END
END
is(sql($node, <<'END'), 't', 'states made in parts');
CREATE AGGREGATE part(journey, journey_pattern, text, text, timestamptz, timestamptz, text) (SFUNC = journey_funnel_period_agg_transfn, STYPE = bytea);
CREATE AGGREGATE whole(bytea) (SFUNC = journey_funnel_period_agg_combinefn, STYPE = bytea, FINALFUNC = journey_funnel_period_agg_finalfn);
SELECT bool_and(once = parts) FROM (
    SELECT n, journey_funnel_agg(j, p, 'day', 'Europe/Berlin', NULL, NULL, 'label') AS once FROM asked GROUP BY n) a
JOIN (SELECT n, whole(state) AS parts
      FROM (SELECT n, part(j, p, 'day', 'Europe/Berlin', NULL, NULL, 'label') AS state FROM asked GROUP BY n, id % 3) s
      GROUP BY n) b USING (n)
END
is(sql($node, <<'END'), '0|0|0', 'over blocks, of one journey and of several');
CREATE TABLE block AS
SELECT min(id) AS id, n, k, p, journey_block_agg(id, j) AS b FROM asked, (VALUES (0), (4)) v(k) GROUP BY n, p, k, CASE k WHEN 0 THEN id END;
SELECT count(*) FILTER (WHERE o.asked IS DISTINCT FROM m.asked), count(*) FILTER (WHERE o.plain IS DISTINCT FROM m.plain),
       count(*) FILTER (WHERE o.periods IS DISTINCT FROM m.periods)
FROM (SELECT n, k, CASE k WHEN 0 THEN block.id END AS id, journey_funnel_agg(b, a.p, a.period, a.zone, at(a.since), at(a.until), a.part) AS asked,
             journey_funnel_agg(b, a.p) AS plain, journey_funnel_agg(b, a.p, 'week', 'Europe/Berlin', NULL, NULL, 'label') AS periods
      FROM block JOIN asked a USING (id, n) GROUP BY 1, 2, 3) o
FULL JOIN (SELECT a.n, k, CASE k WHEN 0 THEN a.id END AS id, journey_funnel_agg(a.j, s.p, s.period, s.zone, at(s.since), at(s.until), s.part) AS asked,
                  journey_funnel_agg(a.j, s.p) AS plain, journey_funnel_agg(a.j, s.p, 'week', 'Europe/Berlin', NULL, NULL, 'label') AS periods
           FROM asked a, (VALUES (0), (4)) v(k), LATERAL (SELECT * FROM asked s WHERE s.n = a.n AND (k = 4 OR s.id = a.id) ORDER BY s.id LIMIT 1) s
           GROUP BY 1, 2, 3) m
ON m.n = o.n AND m.k = o.k AND m.id IS NOT DISTINCT FROM o.id
END
note "$groups groups, $several journeys with more than one, $times with times";
cmp_ok($_->[0], '>', $pairs / $_->[1], "enough $_->[2]") for [ $groups, 2, 'groups' ], [ $several, 10, 'journeys of several' ], [ $times, 50, 'times' ];
is(crashes($node), '', 'no crash');
$node->stop;
done_testing();
