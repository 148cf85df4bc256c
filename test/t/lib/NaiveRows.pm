# The aggregates over plain rows a second time, as they are defined and not as they
# are computed: whatever could be chosen is tried, and the best of it is the answer.
# Only for few rows.
#
# A row is [time, mask, value, base]: time in microseconds, bit i - 1 of the mask
# says that the row meets condition i; value and base are for next_node() alone.
package NaiveRows;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(funnel_level parse_sequence sequence_match_count sequence_events next_node retained);

# Of the events at $from and behind, but before $to, a chain of steps 1, 2, … that go forward
# in the list, as long as there is one.
sub longest_chain
{
    my ($events, $from, $to, $steps, $window, $mode) = @_;
    my $best = 0;
    my $try;
    $try = sub {
        my ($at, @chain) = @_;
        $best = @chain if @chain > $best;
        for my $i ($at .. $to - 1)
        {
            last if $best == $steps;
            my $e = $events->[$i];
            next if $e->{step} != @chain + 1;
            next if @chain && $e->{time} - $chain[0]{time} > $window;
            next if @chain && $mode->{strict_increase} && $e->{time} <= $chain[-1]{time};
            next if $mode->{strict_once} && grep { $_->{row} == $e->{row} } @chain;
            $try->($i + 1, @chain, $e);
        }
    };
    $try->($from);
    undef $try;
    return $best;
}

# The level of a funnel. An event is a row in its role as a step, 0 if it meets no condition.
# At equal times they come by step, so that rows of equal time can be taken in any order; those of one time
# and step are looked at together. $mode->{stop} ends the search where strict_order is hurt first.
sub funnel_level
{
    my ($steps, $window, $mode, @rows) = @_;
    my @events;
    for my $row (0 .. $#rows)
    {
        my ($time, $mask) = @{ $rows[$row] };
        push @events, map { { time => $time, step => $_, row => $row } } $mask ? grep { $mask >> $_ - 1 & 1 } 1 .. $steps : 0;
    }
    @events = sort { $a->{time} <=> $b->{time} || $a->{step} <=> $b->{step} } @events;
    my $level = sub { longest_chain(\@events, @_, $steps, $window, $mode) };
    return $level->(0, scalar @events) if !$mode->{strict_order} && !$mode->{strict_deduplication};

    my ($from, $at, $best) = (0, 0, 0);
    while ($at < @events)
    {
        my ($time, $step) = @{ $events[$at] }{qw(time step)};
        my $before = $level->($from, $at);
        my $number = grep { $_->{time} == $time && $_->{step} == $step } @events;
        $at += $number;
        if ($step > 1 && $mode->{strict_deduplication})
        {
            last if $before >= $step || $number > 1 && $level->($from, $at) >= $step;
        }
        if ($mode->{strict_order} && $before && ($step == 0 || $step > $before + 1 && !$mode->{allow_reentry}))
        {
            $best = $before if $before > $best;
            return $best if $mode->{stop};
            $from = $at;
        }
    }
    my $last = $level->($from, $at);
    return $last > $best ? $last : $best;
}

# A pattern whose durations are whole seconds: {items, gaps}. An item is the number of a
# condition, 0 for any row; the gap before it a list of '*' and [operator, microseconds].
sub parse_sequence
{
    my ($text) = @_;
    my %pattern = (items => [], gaps => []);
    my @gap;
    while ($text =~ /\G(?:\(\?t(<=|>=|==|<|>)(\d+)\)|\(\?(\d+)\)|(\.\*)|\.)/gc)
    {
        if ($1) { push @gap, [ $1, 1_000_000 * $2 ] }
        elsif ($4) { push @gap, '*' }
        else
        {
            push @{ $pattern{items} }, $3 || 0;
            push @{ $pattern{gaps} }, [@gap];
            @gap = ();
        }
    }
    die "pattern $text" if (pos($text) // 0) < length $text;
    return \%pattern;
}

my %holds = (
    '<' => sub { $_[0] < $_[1] },
    '<=' => sub { $_[0] <= $_[1] },
    '>' => sub { $_[0] > $_[1] },
    '>=' => sub { $_[0] >= $_[1] },
    '==' => sub { $_[0] == $_[1] },
    '=' => sub { $_[0] == $_[1] });

# Can the gap lie between rows $p and $q? Time conditions side by side are about the same row: about $q if no
# star is behind them, else about some row behind $p, up to $q, and not before that of the time conditions in front.
sub gap_holds
{
    my ($gap, $rows, $p, $q) = @_;
    return $q == $p + 1 if !@$gap;
    my $try;
    $try = sub {
        my ($x, @rest) = @_;
        shift @rest while @rest && $rest[0] eq '*';
        return 1 if !@rest;
        my @together;
        push @together, shift @rest while @rest && $rest[0] ne '*';
        for my $at ((@rest ? $x : $q) .. $q)
        {
            next if grep { !$holds{ $_->[0] }->($rows->[$at][0] - $rows->[$p][0], $_->[1]) } @together;
            return 1 if $try->($at, @rest);
        }
        return 0;
    };
    my $holds = $try->($p + 1, @$gap);
    undef $try;
    return $holds;
}

sub stored { return sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } grep { $_->[1] } @_ }

# For each number of items, beginning with the first, the choice of rows from $from on that ends first,
# and of these the earliest rows, compared from the first on. Choices are tried in this order.
sub first_choices
{
    my ($pattern, $rows, $from) = @_;
    my ($items, $gaps) = @$pattern{qw(items gaps)};
    my @first;
    my $try;
    $try = sub {
        my @chosen = @_;
        if (@chosen)
        {
            my $best = \$first[ @chosen - 1 ];
            $$best = [@chosen] if !$$best || $chosen[-1] < $$best->[-1];
        }
        return if @chosen == @$items;
        my $item = $items->[@chosen];
        for my $i ((@chosen ? $chosen[-1] + 1 : $from) .. $#$rows)
        {
            next if $item && !($rows->[$i][1] >> $item - 1 & 1);
            next if @chosen && !gap_holds($gaps->[@chosen], $rows, $chosen[-1], $i);
            $try->(@chosen, $i);
        }
    };
    $try->();
    undef $try;
    return @first;
}

sub sequence_match_count
{
    my ($pattern, @rows) = @_;
    @rows = stored(@rows);
    my ($count, $from) = (0, 0);
    while (my $match = (first_choices($pattern, \@rows, $from))[ $#{ $pattern->{items} } ])
    {
        $count++;
        $from = $match->[-1] + 1;
    }
    return $count;
}

# The times of the longest beginning of the pattern
sub sequence_events
{
    my ($pattern, @rows) = @_;
    @rows = stored(@rows);
    my @first = first_choices($pattern, \@rows, 0) or return;
    return map { $rows[ $first[-1][$_] ][0] } grep { $pattern->{items}[$_] } 0 .. $#{ $first[-1] };
}

# The value behind the chain of conditions 1 … $n, undef for none
sub next_node
{
    my ($direction, $base, $n, @rows) = @_;
    @rows = sort {
             $a->[0] <=> $b->[0]
          || !defined $a->[2] <=> !defined $b->[2]
          || (defined $a->[2] && $a->[2] cmp $b->[2])
          || $a->[1] <=> $b->[1]
          || $a->[3] <=> $b->[3]
    } @rows;
    my @matches = grep { $rows[$_][3] && $rows[$_][1] & 1 } 0 .. $#rows;
    my $at =
        $base eq 'head' ? 0
      : $base eq 'tail' ? $#rows
      : $base eq 'first_match' ? $matches[0]
      :                          $matches[-1];
    return if !defined $at || !@rows || !$rows[$at][3];
    for my $condition (1 .. $n)
    {
        return if $at < 0 || $at > $#rows || !($rows[$at][1] >> $condition - 1 & 1);
        $at += $direction eq 'forward' ? 1 : -1;
    }
    return $at < 0 || $at > $#rows ? undef : $rows[$at][2];
}

sub retained
{
    my ($n, @rows) = @_;
    my $any = 0;
    $any |= $_->[1] for @rows;
    return map { ($any & 1) && ($any >> $_ - 1 & 1) ? 't' : 'f' } 1 .. $n;
}

1;
