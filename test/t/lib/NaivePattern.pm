# The pattern language a second time, written from its definition alone and as
# plainly as it allows: random patterns and journeys, the text of a pattern, and
# an evaluator that enumerates every set of touchpoints a pattern can be
# assigned to, for journeys of at most MAX_TOUCHPOINTS.
#
# A pattern is { alts, within }; an alternative { start, items, end }. start and
# end are undef without an anchor, else { link } (link undef if there is none).
# items are [ link before it, item ]. An item is { kind, min, max, written } with
# kind step (step), group (alts: lists of items, link) or all (steps). A step is
# { channel, action, detail, conditions, lone }, a link { adjacent, limits, bans }.
# Times are in microseconds, values in hundredths, touchpoints as in PgJourney.
package NaivePattern;
use strict;
use warnings;
use Exporter 'import';
use PgJourney;

our @EXPORT = qw(random_pattern random_short_journey pattern_text may_be_empty evaluate farthest);

use constant {
    MAX_TOUCHPOINTS => 9,
    SETS => 1 << 9,
    TOUCHED => 1 << 9,    # by the top-level item; the next bits, by the groups around a step
    ALL_TOUCHED => 31 << 9,
    PENDING => 14,
    S => 1000000,
    MIN => 60000000,
    H => 3600000000,
    D => 86400000000,
};

# An item skipped at the end of a sequence: does the link before it stay for what
# follows (0), or does it leave none, as a skipped first item does, so that the link
# behind counts (1, what the manual says)? end: what follows is the $. group: it
# stands behind a group, or is the group's next iteration.
our %LEAVES_NONE = (end => 1, group => 1);

# The first and the last touchpoint of a set
my (@first, @last);
for my $set (0 .. SETS - 1)
{
    my @members = grep { $set >> $_ & 1 } 0 .. MAX_TOUCHPOINTS - 1;
    ($first[$set], $last[$set]) = @members ? @members[ 0, -1 ] : (-1, -1);
}

my %compare = (
    '<' => sub { $_[0] < $_[1] },
    '<=' => sub { $_[0] <= $_[1] },
    '>' => sub { $_[0] > $_[1] },
    '>=' => sub { $_[0] >= $_[1] },
    '=' => sub { $_[0] == $_[1] },
    '<>' => sub { $_[0] != $_[1] },
    '!=' => sub { $_[0] != $_[1] });

#
# Random journeys and patterns. The few names overlap as prefixes, and some need quotes.
#
my @channels = ('web', 'we', 'all', 'e-mail', 'a b', 'within');
my @actions = ('buy', 'buy-it', 'visit', '50%', 'for', '7');
my @gaps = (0, 0, 1, S, MIN, H, H, D, 2 * D, 7 * D);
my @details = ('in', 'inner', 'out', 'bot', '7 in', 'for');
my @operators = ('<', '<=', '>', '>=', '=', '<>', '!=');
my @values = (-200, 0, 100, 150, 1000, 1025);

# Patterns of a kind: 1, no link has a lower limit of time; 2, "within", no other limits and nothing at once. Of
# them only the latest touchpoint counts that reached a step, and the matcher has a way of its own.
our $kind = 0;

sub chance { return rand() < $_[0] }

# Some of the labels, so that they repeat
sub random_labels
{
    my $details = any(0, 0, 1, 1);
    return map { [ any(@channels[ 0 .. any(1, 1, 3, 5) ]), any(@actions[ 0 .. any(1, 1, 2, 5) ]),
          $details ? any('', @details[ 0 .. any(1, 2, 5) ]) : '' ] } 1 .. any(1, 2, 2, 3, 4);
}

sub random_short_journey
{
    my ($labels) = @_;
    my $time = 826000000 * S;
    my ($refs, $values, $gap) = (any(0, 1, 1, 2), rand(), any(undef, undef, @gaps));
    my @touchpoints;
    for my $n (1 .. int rand(MAX_TOUCHPOINTS + 1))
    {
        $time += $gap // any(@gaps);
        my ($channel, $action, $detail) = @{ any(@$labels) };
        push @touchpoints,
          [ $time, $channel, $action, chance($values) ? [ any(@values), 2 ] : undef,
            $refs == 0 ? undef : $refs == 1 ? int rand 1000 : any(undef, 1, 2), $detail ];
    }
    return sort { PgJourney::compare($a, $b) } @touchpoints;
}

sub random_part
{
    my ($name) = @_;
    return { kind => 'any', text => '' } if chance(0.12);
    return { kind => 'prefix', text => substr $name, 0, 1 + int rand length $name } if chance(0.1) && $name =~ /^[a-z]+$/;
    return { kind => 'name', text => $name };
}

sub random_step
{
    my ($labels) = @_;
    my ($channel, $action, $detail) = @{ any(@$labels) };
    ($channel, $action, $detail) = (any(@channels), any(@actions), any('', @details)) if chance(0.03);
    my $any = { kind => 'any', text => '' };
    my $step = {
        channel => chance(0.05) ? $any : random_part($channel), action => chance(0.05) ? $any : random_part($action),
        detail => chance(0.5) ? $any : random_part($detail), conditions => [] };
    $step = { channel => $any, action => $any, detail => $any, conditions => [], lone => 1 } if chance(0.06);
    push @{ $step->{conditions} }, map { [ any(@operators), any(@values) ] } 1 .. any(1, 1, 2) if chance(0.12);
    return $step;
}

sub random_duration
{
    return any(@gaps, @gaps, 2 * H, 90 * MIN, D + H, 3 * D, 9 * D, D + 1, 1500000);
}

sub random_link
{
    my ($labels, $to_end) = @_;
    my $link = { adjacent => chance(0.25) ? 1 : 0, limits => [], bans => [] };
    return { adjacent => 0, limits => [], bans => [] } if $kind == 2 && !$to_end;
    return $link if chance($to_end ? 0.2 : 0.55);
    for (1 .. any(1, 1, 1, 2, 3))
    {
        if (chance(0.55))
        {
            my @lower = $kind == 0 || $to_end ? ('>', '>=', '=') : ();
            push @{ $link->{limits} }, [ any('<', '<=', '<=', '<=', @lower), random_duration() ];
        }
        else
        {
            push @{ $link->{bans} },
              { step => random_step($labels), for => $to_end && chance(0.7) ? random_duration() : undef };
        }
    }
    return $link;
}

sub random_items
{
    my ($labels, $depth, $count) = @_;
    return [ map { [ $_ > 1 ? random_link($labels) : undef, random_item($labels, $depth) ] } 1 .. $count ];
}

sub random_item
{
    my ($labels, $depth) = @_;
    my $item = { min => 1, max => 1, written => '' };
    if ($depth < 2 && chance(0.2))
    {
        $item->{kind} = 'group';
        $item->{alts} = [ map { random_items($labels, $depth + 1, any(1, 1, 2, 2, 3)) } 1 .. any(1, 1, 2, 2, 3) ];
        $item->{link} = chance(0.4) ? random_link($labels) : undef;
    }
    elsif (chance(0.06))
    {
        $item->{kind} = 'all';
        $item->{steps} = [ map { random_step($labels) } 1 .. any(2, 2, 2, 3, 3, 4, 5, 6) ];
    }
    else
    {
        $item->{kind} = 'step';
        $item->{step} = random_step($labels);
    }
    if ($item->{kind} ne 'all' && chance($item->{kind} eq 'group' ? 0.5 : 0.3))
    {
        my $n = any(1, 2, 2, 3);
        my ($min, $max, $written) = @{
            any([ 0, 1, '?' ], [ 0, undef, '*' ], [ 1, undef, '+' ], [ $n, $n, "{$n}" ], [ $n, undef, "{$n,}" ],
                [ $n, $n + 1, '{' . $n . ',' . ($n + 1) . '}' ], [ 0, $n, "{,$n}" ], [ 0, $n, "{0,$n}" ])
        };
        @$item{qw(min max written)} = ($min, $max, $written);
    }
    return $item;
}

# Steps of some items with their repetitions written out, all() being a path for each set of its steps
sub size
{
    my ($items) = @_;
    my $size = 0;
    for my $item (map { $_->[1] } @$items)
    {
        my $once = 1;
        $once = @{ $item->{steps} } << @{ $item->{steps} } if $item->{kind} eq 'all';
        if ($item->{kind} eq 'group')
        {
            $once = 0;
            $once += size($_) for @{ $item->{alts} };
        }
        $size += $once * ($item->{max} // $item->{min} + 1);
    }
    return $size;
}

# A pattern and labels for journeys it may match, well below the limit of about 1,000 steps
sub random_pattern
{
    my ($pattern, $labels);
    local $kind = any(0, 0, 1, 2);
    do { ($pattern, $labels) = random_pattern_of_any_size() }
      while grep { size($_->{items}) > 300 } @{ $pattern->{alts} };
    return ($pattern, $labels);
}

sub random_pattern_of_any_size
{
    my $labels = [ random_labels() ];
    my $alternative = sub {
        my $a = { items => random_items($labels, 0, any(1, 1, 2, 2, 2, 3, 3, 4)) };
        $a->{start} = { link => chance(0.6) ? random_link($labels) : undef } if $kind != 2 && chance(0.2);
        $a->{end} = { link => chance(0.6) ? random_link($labels, 1) : undef } if chance(0.3);
        return $a;
    };
    my $pattern = { alts => [ map { $alternative->() } 1 .. any(1, 1, 1, 1, 2, 3) ] };
    $pattern->{within} = random_duration() if chance((0.2, 0, 1)[$kind]);
    return ($pattern, $labels);
}

#
# Text, one of the many a pattern may have
#
sub space { return any('', '', ' ', ' ', '  ', "\n", "\t") }

sub blank { return any(' ', ' ', '  ', "\n") }

sub number_text
{
    my ($hundredths) = @_;
    my $text = sprintf '%s%d.%02d', $hundredths < 0 ? '-' : '', abs($hundredths) / 100, abs($hundredths) % 100;
    $text =~ s/\.?0*$// if chance(0.7);
    return $text;
}

sub duration_text
{
    my ($micros) = @_;
    my @parts;
    for my $unit ([ 7 * D, 'w', 'week', 'weeks' ], [ D, 'd', 'day', 'days' ], [ H, 'h', 'hour', 'hours' ], [ MIN, 'min' ],
        [ S, 's', 'sec' ], [ 1000, 'ms' ], [ 1, 'us', 'µs' ])
    {
        my ($size, @names) = @$unit;
        if ($size == S && $micros >= S && $micros < MIN && $micros % 1000 == 0 && chance(0.5))
        {
            push @parts, ($micros / S) . space() . any(@names);
            $micros = 0;
        }
        next if $micros < $size || ($size > 1 && chance(0.2) && $micros < 1000 * $size);
        push @parts, int($micros / $size) . any('', ' ') . any(@names);
        $micros %= $size;
    }
    return join(any(' ', '  '), @parts) || any('0 s', '0 d', '0us');
}

sub part_text
{
    my ($part) = @_;
    return '%' if $part->{kind} eq 'any';
    return "$part->{text}%" if $part->{kind} eq 'prefix';
    return PgJourney::name_text($part->{text}) if !chance(0.1);
    return '"' . ($part->{text} =~ s/"/""/gr) . '"';
}

sub step_text
{
    my ($step) = @_;
    my $text = $step->{lone} ? any('%', '%.%', '%.%.%') : part_text($step->{channel}) . '.' . part_text($step->{action});
    $text .= '.' . part_text($step->{detail}) if !$step->{lone} && ($step->{detail}{kind} ne 'any' || chance(0.1));
    return $text if !@{ $step->{conditions} };
    return $text . space() . '[' . space()
      . join(space() . ',' . space(), map { 'value' . space() . $_->[0] . space() . number_text($_->[1]) } @{ $step->{conditions} })
      . space() . ']';
}

sub link_text
{
    my ($link) = @_;
    my ($open, $close) = $link->{adjacent} ? ('=[', ']=>') : ('-[', ']->');
    my @limits = (
        (map { $_->[0] . space() . duration_text($_->[1]) } @{ $link->{limits} }),
        (map { '!' . space() . step_text($_->{step}) . (defined $_->{for} ? blank() . 'for' . blank() . duration_text($_->{for}) : '') }
          @{ $link->{bans} }));
    return $link->{adjacent} ? '=>' : '->' if !@limits;
    return $open . space() . join(space() . ',' . space(), @limits) . space() . $close;
}

sub item_text
{
    my ($item) = @_;
    my $text =
        $item->{kind} eq 'step' ? step_text($item->{step})
      : $item->{kind} eq 'all' ? 'all' . space() . '(' . space() . join(space() . ',' . space(), map { step_text($_) } @{ $item->{steps} }) . space() . ')'
      :                          '(' . space() . join(space() . '|' . space(), map { items_text($_) } @{ $item->{alts} })
      . space() . ($item->{link} ? link_text($item->{link}) : '') . space() . ')';
    return $text . ($item->{written} ? space() . $item->{written} : '');
}

sub items_text
{
    my ($items) = @_;
    return join '', map { ($_->[0] ? space() . link_text($_->[0]) . space() : '') . item_text($_->[1]) } @$items;
}

sub pattern_text
{
    my ($pattern) = @_;
    my @alts;
    for my $a (@{ $pattern->{alts} })
    {
        my $text = items_text($a->{items});
        $text = '^' . space() . ($a->{start}{link} ? link_text($a->{start}{link}) . space() : '') . $text if $a->{start};
        $text .= space() . ($a->{end}{link} ? link_text($a->{end}{link}) . space() : '') . '$' if $a->{end};
        push @alts, $text;
    }
    return space() . join(space() . '|' . space(), @alts)
      . (defined $pattern->{within} ? blank() . 'within' . blank() . duration_text($pattern->{within}) : '') . space();
}

# Whether all items of some alternative may be skipped
sub may_be_empty
{
    my ($pattern) = @_;
    return grep { items_may_be_skipped($_->{items}) } @{ $pattern->{alts} };
}

sub items_may_be_skipped
{
    my ($items) = @_;
    return !grep { !may_be_skipped($_->[1]) } @$items;
}

sub may_be_skipped
{
    my ($item) = @_;
    return $item->{min} == 0 || ($item->{kind} eq 'group' && grep { items_may_be_skipped($_) } @{ $item->{alts} });
}

#
# The evaluator. A state is a number: the set of touchpoints taken, whether the
# current top-level item has taken one, and the number of the link that waits for
# the next touchpoint (0: none). A node turns a set of states into another.
#
my ($points, $within, @links, %links, %steps, %holds);
my $plain = { adjacent => 0, limits => [], bans => [] };

sub link_number
{
    my ($link) = @_;
    return $links{$link} //= do { push @links, $link; $#links };
}

sub part_matches
{
    my ($part, $name) = @_;
    return $part->{kind} eq 'any' || ($part->{kind} eq 'name' ? $part->{text} eq $name : index($name, $part->{text}) == 0);
}

sub matches
{
    my ($step, $point) = @_;
    my (undef, $channel, $action, $value, undef, $detail) = @$point;
    return 0 if !part_matches($step->{channel}, $channel) || !part_matches($step->{action}, $action)
      || !part_matches($step->{detail}, $detail);
    for my $condition (@{ $step->{conditions} })
    {
        my ($operator, $number) = @$condition;
        return 0 if !$value || !$compare{$operator}->($value->[0], $number);
    }
    return 1;
}

# The touchpoints that match a step
sub touchpoints_of
{
    my ($step) = @_;
    return $steps{$step} //= [ grep { matches($step, $points->[$_]) } 0 .. $#$points ];
}

# Whether the limits of a link hold for so much time, and no ban is met among the given touchpoints
sub limits_hold
{
    my ($link, $elapsed, $after, $before) = @_;
    for my $limit (@{ $link->{limits} })
    {
        return 0 if !$compare{ $limit->[0] }->($elapsed, $limit->[1]);
    }
    for my $ban (@{ $link->{bans} })
    {
        for my $i (@{ touchpoints_of($ban->{step}) })
        {
            next if $i <= $after || $i >= $before;
            return 0 if !defined $ban->{for} || $points->[$i][0] <= $points->[$after][0] + $ban->{for};
        }
    }
    return 1;
}

# Whether a link leads from touchpoint i to j; i is -1 at ^, j the number of touchpoints at $
sub leads
{
    my ($number, $i, $j) = @_;
    return $holds{"$number $i $j"} //= do {
        my $link = $links[$number];
        my $elapsed = $points->[ $j > $#$points ? -1 : $j ][0] - $points->[ $i < 0 ? 0 : $i ][0];
        (!$link->{adjacent} || $j == $i + 1) && limits_hold($link, $elapsed, $i, $j) ? 1 : 0;
    };
}

sub take_step
{
    my ($step, $states) = @_;
    my %result;
    my $candidates = touchpoints_of($step);
    return \%result if !@$candidates;
    for my $state (keys %$states)
    {
        my $set = $state & (SETS - 1);
        my $pending = $state >> PENDING;
        for my $j (@$candidates)
        {
            next if $j <= $last[$set];
            next if $pending && !leads($pending, $last[$set], $j);
            next if defined $within && $set && $points->[$j][0] - $points->[ $first[$set] ][0] > $within;
            $result{ $set | 1 << $j | ALL_TOUCHED } = 1;
        }
    }
    return \%result;
}

# Puts a link behind what was taken. Behind a skipped item the link before it stays,
# and before the first touchpoint there is none but that of ^.
sub put_link
{
    my ($link, $states) = @_;
    my $number = link_number($link);
    return { map { ($_ & (SETS - 1)) && !($_ >> PENDING) ? ($_ | $number << PENDING) : $_ => 1 } keys %$states };
}

sub take_items
{
    my ($items, $states, $depth) = @_;
    for my $pair (@$items)
    {
        my ($link, $item) = @$pair;
        $states = put_link($link, $states) if $link;
        $states = take_item($item, $states, $depth);
    }
    return $states;
}

sub take_once
{
    my ($item, $states, $depth) = @_;
    return take_step($item->{step}, $states) if $item->{kind} eq 'step';
    return take_all($states, @{ $item->{steps} }) if $item->{kind} eq 'all';
    my $bit = TOUCHED << 2 * $depth;
    $states = enter($bit, $states);
    return { map { %{ leave($bit, take_items($_, $states, $depth + 1)) } } @{ $item->{alts} } };
}

# Each set of the steps: one of them last, behind the others in any order
sub take_all
{
    my ($states, @steps) = @_;
    my @taken = ($states);
    for my $set (1 .. (1 << @steps) - 1)
    {
        my %result;
        for my $i (grep { $set >> $_ & 1 } 0 .. $#steps)
        {
            my $before = $set ^ 1 << $i;
            my $next = $before ? put_link($plain, $taken[$before]) : $states;
            $result{$_} = 1 for keys %{ take_step($steps[$i], $next) };
        }
        push @taken, \%result;
    }
    return $taken[-1];
}

# Around an iteration of a group, and the group: where a link to what is skipped
# last may end, by %LEAVES_NONE. A bit tells who took a touchpoint inside.
sub enter
{
    my ($bit, $states) = @_;
    return { map { (($_ & ~$bit) => 1) } keys %$states };
}

sub leave
{
    my ($bit, $states) = @_;
    return $states if !$LEAVES_NONE{group};
    return { map { (($_ & $bit ? $_ & ((1 << PENDING) - 1) & ~$bit : $_) => 1) } keys %$states };
}

# An item with its repetitions
sub take_item
{
    my ($item, $states, $depth) = @_;
    my ($min, $max) = @$item{qw(min max)};
    my $most = $min + @$points + 1;
    $most = $max if defined $max && $max < $most;
    my $bit = TOUCHED << 2 * $depth - 1;
    $states = enter($bit, $states) if $item->{kind} eq 'group';
    my %result = $min == 0 ? %$states : ();
    for my $n (1 .. $most)
    {
        $states = put_link($item->{link} || $plain, $states) if $n > 1;
        $states = take_once($item, $states, $depth);
        last if !%$states;
        next if $n < $min;
        $result{$_} = 1 for keys %$states;
    }
    return $item->{kind} eq 'group' ? leave($bit, \%result) : \%result;
}

# Rule 7: ends first, then starts last; then the later from the end backwards,
# which is the larger number
sub best
{
    my ($best, @others) = @_;
    for my $set (@others)
    {
        my $order = $last[$best] <=> $last[$set] || $first[$set] <=> $first[$best] || $set <=> $best;
        $best = $set if $order > 0;
    }
    return $best;
}

sub text_of
{
    my ($set) = @_;
    return journey_text(@$points[ grep { $set >> $_ & 1 } 0 .. $#$points ]);
}

# What the functions must say: { match (undef or text), all (list of texts), reached, progress }
sub evaluate
{
    my ($pattern, @touchpoints) = @_;
    $points = \@touchpoints;
    $within = $pattern->{within};
    @links = (undef);
    %links = %steps = %holds = ();
    my $at_once = { adjacent => 1, limits => [], bans => [] };
    my (@reaching, %matches);    # sets of touchpoints that reach so many items
    for my $a (@{ $pattern->{alts} })
    {
        my $begin = $a->{start} ? link_number($a->{start}{link} || $at_once) << PENDING : 0;
        my $states = { $begin => 1 };
        my $k = 0;
        for my $pair (@{ $a->{items} })
        {
            my ($link, $item) = @$pair;
            $k++;
            $states = put_link($link, { map { (($_ & ~TOUCHED) => 1) } keys %$states }) if $link;
            $states = take_item($item, $states, 1);
            my @ends = map { $_ & (SETS - 1) } grep { $_ & TOUCHED } keys %$states;
            push @{ $reaching[$k] }, @ends if @ends;
        }
        if ($a->{end})
        {
            $states = { map { (($_ & (1 << PENDING) - 1) => 1) } keys %$states } if $LEAVES_NONE{end};
            $states = put_link($a->{end}{link} || $at_once, $states);
        }
        for my $state (keys %$states)
        {
            my $set = $state & (SETS - 1);
            next if $a->{end} && !leads($state >> PENDING, $last[$set], scalar @touchpoints);
            $matches{$set} = 1;
        }
    }
    my @all;
    my @left = keys %matches;
    while (@left)
    {
        my $set = best(@left);
        push @all, text_of($set);
        @left = grep { $first[$_] > $last[$set] } @left;
    }
    my ($reached, $set) = farthest(\@reaching, sub { 1 });
    return {
        match => $all[0],
        all => \@all,
        reached => $reached,
        progress => $reached ? text_of($set) : '{}',
        reaching => \@reaching,
    };
}

# Of what evaluate() says reaches so many items: how many those reach that begin at a touchpoint
# of which this is true, and the best set of touchpoints that does; and its members.
sub farthest
{
    my ($reaching, $begins) = @_;
    for my $k (reverse 1 .. $#$reaching)
    {
        my @sets = grep { $begins->($first[$_]) } @{ $reaching->[$k] || [] };
        next if !@sets;
        my $set = best(@sets);
        return ($k, $set, grep { $set >> $_ & 1 } 0 .. MAX_TOUCHPOINTS - 1);
    }
    return 0;
}

1;
