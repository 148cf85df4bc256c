# Proves service clocks, targets, breaches, backlog and waiting_now against a second implementation, below, that goes
# through the turns of each conversation, and business_time_after against business_time. Touchpoints are random, minutes
# apart and at equal times, over a change of clocks; calendars have exceptions, targets any conditions, and conversations
# go from queue to queue. Some come late, some go, customers merge, with a refresh between, or none. PGJ_SEED repeats a
# run, PGJ_RUNS sets the number of sets.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(max min first);
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;

my $runs = $ENV{PGJ_RUNS} || slowly(24, 200);
my $last = 2900;    # minutes from 2015-03-28, whose second day has 23 hours in Lisbon
my %means = (resolved => 'resolves', reopened => 'reopens', read => 'status', call => 'asks_and_resolves', handover => 'hands_over');
my %calendar_of = (source => { y => 'night' }, channel => { web => 'always' }, queue => { q2 => 'night', q3 => 'late' });
my @what = qw(first_response reply handover resolution);

sub text { return join '|', map { defined $_ ? $_ : '' } @_ }
sub maybe { my ($often, @values) = @_; return rand() < $often ? any(@values) : undef }
sub quoted { return join ', ', map { defined $_ ? "'$_'" : 'NULL' } @_ }
sub is_bot { my ($t) = @_; return defined $t->{agent} && $t->{agent} =~ /^bot(:|$)/ }

sub random_set
{
    my %set;
    my $actions = any([ ('message') x 4, qw(resolved reopened read call handover) ], [ ('message') x 16, qw(resolved reopened handover) ], ['message']);
    my $named = any(0, 0.1, 0.4);
    my $span = any(60, 600, $last - 100);
    for my $id (1 .. 10 + int rand 50)
    {
        my $direction = any('in', 'in', 'out', 'out', undef);
        push @{ $set{touchpoints} }, {
            id => $id, identity => 1 + int rand 4, at => int rand $span, channel => any('web', 'app', 'phone'), action => any(@$actions), direction => $direction,
            agent => ($direction // '') eq 'out' ? any(undef, 'bot', 'bot:x', 'marta', 'rui') : maybe($named, 'bot', 'marta', 'rui'),
            conversation => any(undef, 'a', 'a', 'b', 'c'), source => any('x', 'x', 'y') };
    }
    my %open;
    for my $id (1 .. int rand 12)
    {
        my ($source, $conversation, $at) = (any('x', 'y'), any('a', 'b', 'c'), int rand $span);
        my $until = rand() < 0.5 || $open{"$source $conversation"}++ ? $at + int rand 200 : undef;
        push @{ $set{assignments} }, { id => $id, identity => 1 + int rand 4, source => $source, conversation => $conversation, queue => any('q1', 'q2', 'q3'),
            agent => maybe(0.6, 'marta', 'zoe'), priority => any(0, 0, 1), at => $at, until => $until };
    }
    my %seen;
    for (1 .. int rand 14)
    {
        my $t = { what => any(@what), within => any(1, 5, 20, 60, 300), hours => any('t', 't', 'f'), queue => maybe(0.4, 'q1', 'q2', 'q3'), priority => maybe(0.3, 0, 1),
            source => maybe(0.3, 'x', 'y'), channel => maybe(0.3, 'web', 'app', 'phone') };
        push @{ $set{targets} }, $t unless $seen{ text(@$t{qw(what queue priority source channel)}) }++;
    }
    return \%set;
}

# What a touchpoint is in a conversation: one thing, or two, one after the other
sub turns
{
    my ($t) = @_;
    my $means = $means{ $t->{action} } // '';
    my $said = is_bot($t) ? 'bot' : 'answers';
    return () if $means eq 'status';
    return (($t->{direction} // 'in') eq 'in' ? 'asks' : $said, 'resolves') if $means eq 'asks_and_resolves';
    return ($means) if $means;
    return () unless $t->{direction};
    return ($t->{direction} eq 'in' ? 'asks' : $said);
}

# The clocks of a conversation: [what, touchpoint it began with, touchpoint it ended with, by what]
sub clocks
{
    my @touchpoints = @_;
    my @turns = map { my $t = $_; map { [ $t, $_ ] } turns($t) } @touchpoints;
    my @clocks;

    # waits: from the first question after whatever ends one; a call that is over at once is none
    my $ends = sub { my ($s) = @_; return $s->[1] eq 'answers' ? 'answer' : $s->[1] eq 'resolves' ? 'resolution' : $s->[1] eq 'asks' && defined $s->[0]{agent} ? 'taken' : undef };
    my ($asked) = grep { $turns[$_][1] eq 'asks' } 0 .. $#turns;
    for (my $i = 0; $i < @turns; $i++)
    {
        next if $turns[$i][1] ne 'asks' || $ends->($turns[$i]) || $turns[$i][0]{action} eq 'call';
        my $end = first { $ends->($turns[$_]) } $i + 1 .. $#turns;
        push @clocks, [ $i == $asked ? 'first_response' : 'reply', $turns[$i][0], defined $end ? ($turns[$end][0], $ends->($turns[$end])) : () ];
        last unless defined $end;
        $i = $end;
    }

    # open: until it is resolved; first if the customer did anything, then since it was reopened
    my @parts = ([]);
    for my $s (@turns) { push @{ $parts[-1] }, $s; push @parts, [] if $s->[1] eq 'resolves' }
    for my $n (0 .. $#parts)
    {
        my @part = @{ $parts[$n] };
        my $end = @part && $part[-1][1] eq 'resolves' ? $part[-1][0] : undef;
        my $from;
        if ($n == 0)
        {
            my $own = grep { (!defined $end || !later($_, $end)) && (($_->{direction} // 'in') eq 'in' && ($means{ $_->{action} } // 'asks_and_resolves') eq 'asks_and_resolves'
                    || ($means{ $_->{action} } // '') eq 'reopens') } @touchpoints;
            my $question = first { $_->[1] eq 'asks' } @part;
            $from = $question ? $question->[0] : $touchpoints[0] if $own;
        }
        else
        {
            my $again = first { $_->[1] =~ /^(asks|reopens)$/ } @part;
            $from = $again->[0] if $again;
        }
        push @clocks, [ 'resolution', $from, $end ? ($end, 'resolution') : () ] if $from;
    }
    push @clocks, handovers(@turns);
    return @clocks;
}

sub later { my ($a, $b) = @_; return ($a->{at} <=> $b->{at} || $a->{id} <=> $b->{id}) > 0 }

# From a bot to people: told by an action, or seen by the person's answer. A run are the turns of a wait.
sub handovers
{
    my ($told, $running, $people, $with, $wait, @run, @clocks);
    my $bot_had = sub {
        my ($bot) = grep { $run[$_][1] eq 'bot' } reverse 0 .. $#run or return;
        my ($after) = grep { $_->[1] eq 'asks' } @run[ $bot + 1 .. $#run ];
        return ($after // $run[$bot])->[0];
    };
    my $end = sub { my ($t, $by) = @_; push @$running, $t, $by if $running; $running = undef };
    for my $step (@_)
    {
        my ($t, $turn) = @$step;
        my $person = defined $t->{agent} && !is_bot($t);
        if ($turn eq 'asks')
        {
            @run = () if $with || !$wait;
            ($with, $wait) = (0, 1);
            push @run, [ $t, 'asks' ];
            push @run, [ $t, 'bot' ] if is_bot($t);
            ($with, $people, @run) = (1, 1), $end->($t, 'taken') if $person;
        }
        elsif ($turn eq 'bot') { push @run, [ $t, 'bot' ] if @run }
        elsif ($turn eq 'hands_over' || $turn eq 'reopens' && $bot_had->())
        {
            next if $told || $people && !$bot_had->();
            $told = 1;
            push @clocks, $running = [ 'handover', $t ];
        }
        elsif ($turn eq 'answers')
        {
            push @clocks, $running = [ 'handover', $bot_had->() ] if !$told && !$with && $bot_had->();
            $end->($t, 'answer');
            ($with, $told, $people, $wait, @run) = ($with || $wait, 0, 1, 0);
        }
        elsif ($turn eq 'resolves')
        {
            $end->($t, 'resolution');
            ($with, $told, $people, $wait, @run) = (0, 0, 0, 0);
        }
    }
    return @clocks;
}

my %open_minutes;    # by calendar, of each minute whether it is open

sub business
{
    my ($calendar, $from, $to) = @_;
    return scalar grep { $open_minutes{$calendar}[$_] } $from .. $to - 1;
}

# The last instant that is in time
sub holds_until
{
    my ($calendar, $from, $within) = @_;
    for my $minute ($from .. 5 * $last) { return $minute if $open_minutes{$calendar}[$minute] && $within-- == 0 }
    die 'not so many minutes are known';
}

sub target_of
{
    my ($set, %is) = @_;
    # by what they ask for: all subsets, the largest first, and of equally large ones in the order of columns
    my @columns = qw(queue priority source channel);
    for my $size (reverse 0 .. 4)
    {
        for my $bits (reverse 0 .. 15)
        {
            my @asked = grep { $bits & (8 >> $_) } 0 .. 3;
            next if @asked != $size;
            my $mask = join '', map { $bits & (8 >> $_) ? 1 : 0 } 0 .. 3;
            my $found = first {
                my $t = $_;
                $t->{what} eq $is{what} && $mask eq join('', map { defined $t->{$_} ? 1 : 0 } @columns)
                  && !grep { !defined $is{ $columns[$_] } || $t->{ $columns[$_] } ne $is{ $columns[$_] } } @asked
            } @{ $set->{targets} };
            return $found if $found;
        }
    }
    return undef;
}

sub assigned
{
    my ($set, $source, $conversation) = @_;
    return sort { $a->{at} <=> $b->{at} || $a->{id} <=> $b->{id} } grep { $_->{source} eq $source && $_->{conversation} eq $conversation } @{ $set->{assignments} };
}

# Who of the people spoke last, up to a minute, or at all
sub speaker
{
    my ($at, @touchpoints) = @_;
    my @spoke = grep { my $t = $_; (!defined $at || $t->{at} <= $at) && defined $t->{agent} && !is_bot($t) && grep { /^(asks|answers)$/ } turns($t) } @touchpoints;
    return @spoke ? $spoke[-1]{agent} : undef;
}

sub expected
{
    my ($set) = @_;
    my (@lines, %conversations, %breaches, %backlog, %waits);
    push @{ $conversations{"$_->{customer}|$_->{source}|$_->{conversation}"} }, $_ for grep { defined $_->{conversation} } @{ $set->{touchpoints} };
    for my $key (sort keys %conversations)
    {
        my @touchpoints = sort { $a->{at} <=> $b->{at} || $a->{id} <=> $b->{id} } @{ $conversations{$key} };
        my ($customer, $source, $conversation) = split /\|/, $key;
        my @assigned = assigned($set, $source, $conversation);
        my ($waits, @running);
        for (clocks(@touchpoints))
        {
            my ($what, $from, $to, $by) = @$_;
            my ($before) = reverse grep { !$to || $_->{at} <= $to->{at} } @assigned;
            my $a = $before // $assigned[0];
            my %is = (what => $what, queue => $a && $a->{queue}, priority => $a && $a->{priority}, source => $source, channel => $from->{channel});
            my $calendar = ($is{queue} && $calendar_of{queue}{ $is{queue} }) // $calendar_of{source}{$source} // $calendar_of{channel}{ $from->{channel} } // 'default';
            my $agent = $to ? $to->{agent} : $a && defined $a->{agent} && !defined $a->{until} ? $a->{agent} : speaker(undef, @touchpoints);
            my $target = target_of($set, %is);
            my $until = !$target ? undef : $target->{hours} eq 't' ? holds_until($calendar, $from->{at}, $target->{within}) : $from->{at} + $target->{within};
            my $breached = !$target ? undef : !$to || $to->{at} > $until ? 't' : 'f';
            push @lines, text('clock', $customer, $source, $conversation, $what, $from->{id}, $from->{channel}, @is{qw(queue priority)}, $agent, $from->{at}, $to && $to->{at}, $by,
                $to && $to->{at} - $from->{at}, $to && business($calendar, $from->{at}, $to->{at}), $target && $target->{within}, $target && $target->{hours}, $until, $breached);
            my %group = (%is, agent => $agent);
            if ($target) { $breaches{ text($_, $_ && $group{$_}, $what) }{$breached}++ for '', qw(channel queue agent priority source) }
            push @running, [ $until, { resolution => 2, handover => 1 }->{$what} // 0, $what, $target->{within}, $target->{hours} ] if $target && !$to;
            $waits = [ $from->{channel}, @is{qw(queue priority)}, $agent, $from->{at} ] if !$to && $what =~ /^(first_response|reply)$/;
            next if $what eq 'handover';
            for my $hour (grep { $_ >= $from->{at} && (!$to || $_ < $to->{at}) } map { 60 * $_ } 0 .. $last / 60)
            {
                my ($then) = reverse grep { $_->{at} <= $hour } @assigned;
                my $who = $then && defined $then->{agent} && (!defined $then->{until} || $then->{until} > $hour) ? $then->{agent} : speaker($hour, @touchpoints);
                my %of = ('' => undef, queue => $then && $then->{queue}, agent => $who, channel => $from->{channel}, source => $source);
                $backlog{ text($_, $of{$_}) }{$hour}[ $what eq 'resolution' ? 0 : 1 ]++ for keys %of;
            }
        }
        my ($first) = sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } @running;
        push @lines, text('waits', $customer, $source, $conversation, @$waits, $first ? (@$first[ 2, 3, 4, 0 ], 't') : ('') x 5) if $waits;
    }
    for (sort keys %breaches)
    {
        my ($held, $breached) = map { $_ // 0 } @{ $breaches{$_} }{qw(f t)};
        push @lines, "breaches|$_|" . text($held + $breached, $held, $breached, 0);
    }
    $backlog{'|'} //= {};
    for my $key (sort keys %backlog)
    {
        push @lines, map { "backlog|$key|" . text($_, map { $_ // 0 } @{ $backlog{$key}{$_} // [] }[ 0, 1 ]) } map { 60 * $_ } 0 .. ($last - 1) / 60;
    }
    return \@lines;
}

my $node = start_server('main');
sql($node, <<'END');
SELECT journey_create_hub('crm');
INSERT INTO crm.actions VALUES ('call', 'asks_and_resolves');
UPDATE crm.settings SET time_zone = 'Europe/Lisbon';
INSERT INTO crm.business_calendars VALUES ('night', NULL), ('always', 'Asia/Kolkata'), ('late', 'Atlantic/Azores');
INSERT INTO crm.business_hours VALUES (6, '00:00', '04:00'), (6, '03:30', '13:00'), (7, '00:30', '00:45'), (7, '00:50', '04:00'), (1, '09:00', '18:00'), (2, '09:00', '18:00');
INSERT INTO crm.business_hours VALUES (6, '20:00', '24:00', 'night'), (7, '00:00', '06:00', 'night'), (7, '20:00', '24:00', 'night'), (4, '00:00', '24:00', 'night');
INSERT INTO crm.business_hours SELECT d, '05:00', '23:00', 'late' FROM generate_series(1, 7) d;
INSERT INTO crm.business_exceptions VALUES ('2015-03-30', '10:00', '12:00', 'default'), ('2015-03-28', NULL, NULL, 'night'), ('2015-03-29', '00:00', '05:00', 'late'), ('2015-03-29', '06:00', '07:30', 'late');
INSERT INTO crm.calendar_uses VALUES ('source', 'y', 'night'), ('channel', 'web', 'always');
INSERT INTO crm.agents (agent) VALUES ('marta'), ('zoe'), ('rui');
INSERT INTO crm.queues (queue, calendar) VALUES ('q1', NULL), ('q2', 'night'), ('q3', 'late');
CREATE FUNCTION minutes(i interval) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT trim_scale(extract(epoch FROM i) / 60) $$;
CREATE FUNCTION minute(t timestamptz) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT minutes(t - '2015-03-28Z') $$;
END

# Which minutes are open, by the local time of each
for (split /\n/, sql($node, <<"END"))
SELECT calendar || ' ' || string_agg(CASE WHEN open THEN '1' ELSE '0' END, '' ORDER BY m)
FROM (SELECT c.calendar, m, CASE WHEN c.calendar = 'always' THEN true
                                 WHEN EXISTS (SELECT FROM crm.business_exceptions e WHERE e.calendar = c.calendar AND e.day = l::date)
                                 THEN EXISTS (SELECT FROM crm.business_exceptions e
                                              WHERE e.calendar = c.calendar AND e.day = l::date AND l::time >= e.opens AND l::time < e.closes)
                                 ELSE EXISTS (SELECT FROM crm.business_hours h WHERE h.calendar = c.calendar AND h.weekday = extract(isodow FROM l)
                                                                                     AND l::time >= h.opens AND l::time < h.closes) END AS open
      FROM crm.business_calendars c CROSS JOIN generate_series(0, @{[ 5 * $last ]}) m
           CROSS JOIN LATERAL (SELECT ('2015-03-28Z'::timestamptz + m * interval '1 min') AT TIME ZONE coalesce(c.time_zone, 'Europe/Lisbon') AS l OFFSET 0) l) x
GROUP BY calendar
END
{
    my ($calendar, $minutes) = split / /;
    $open_minutes{$calendar} = [ split //, $minutes ];
}

# Two customers of two identities each
my $reset = <<'END';
TRUNCATE crm.touchpoints, crm.identities, crm.customers, crm.former_memberships, crm.identity_pairs, crm.assignments, crm.service_targets, crm.journey_changes;
INSERT INTO crm.identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
SELECT n, identifier('n', n::text), n, n - 1 + n % 2, '2015-01-01Z', '2015-01-01Z', '2015-01-01Z' FROM generate_series(1, 4) n;
INSERT INTO crm.customers (customer_id, identities) VALUES (1, 2), (3, 2);
SELECT crm.must_link('n:1', 'n:2'), crm.must_link('n:3', 'n:4') \g /dev/null
END
my $ask = <<'END';
SELECT 'clock', customer_id, source, conversation, what, touchpoint_id, channel, queue, priority, agent, minute(began_at), minute(ended_at), ended_by,
       CASE WHEN ended_at IS NOT NULL THEN minutes(elapsed) END, CASE WHEN ended_at IS NOT NULL THEN minutes(elapsed_business) END,
       minutes(target_within), in_business_hours, minute(holds_until), breached FROM crm.service_clocks_between();
SELECT 'waits', customer_id, source, conversation, channel, queue, priority, agent, minute(waiting_since), target, minutes(target_within), in_business_hours,
       minute(holds_until), breached FROM crm.waiting_now();
SELECT 'breaches', b, breakdown_value, what, clocks, held, breached, running
FROM unnest('{NULL,channel,queue,agent,priority,source}'::text[]) b CROSS JOIN LATERAL crm.breaches(breakdown => b);
SELECT 'backlog', b, breakdown_value, minute(hour_start), open_conversations, waiting
FROM unnest('{NULL,channel,queue,agent,source}'::text[]) b CROSS JOIN LATERAL crm.backlog('2015-03-28Z', '2015-03-30 00:20Z', b);
SELECT 'differs', * FROM ((SELECT * FROM crm.service_clocks_between() WHERE ended_at IS NOT NULL AND began_at >= '2015-03-28 00:30Z' AND began_at < '2015-03-28 02:00Z')
                          EXCEPT ALL SELECT * FROM crm.service_clocks_between('2015-03-28 00:30Z', '2015-03-28 02:00Z')) d;
END

# Where a refresh is in between, it is not all told by notes
sub inserted
{
    my (@touchpoints) = @_;
    return '' unless @touchpoints;
    return 'INSERT INTO crm.touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, direction, conversation, agent, source) VALUES '
      . join(",\n", map { "($_->{id}, $_->{identity}, '2015-03-28Z'::timestamptz + interval '$_->{at} min', " . quoted(@$_{qw(channel action direction conversation agent source)}) . ')' }
          @touchpoints) . ";\n";
}

my $refresh = "SELECT crm.refresh() \\g /dev/null\n";

sub script
{
    my ($set) = @_;
    my $script = $reset;
    my @all = sort { rand() <=> 0.5 } @{ $set->{touchpoints} };
    my $late = int rand @all;
    my $gone = random_set()->{touchpoints};
    $_->{id} += 1000 for @$gone;
    $script .= inserted(@all[ 0 .. $late ], @$gone);
    $script .= $refresh if rand() < 0.7;
    $script .= inserted(@all[ $late + 1 .. $#all ]) . "DELETE FROM crm.touchpoints WHERE touchpoint_id > 1000;\n";
    $script .= "SELECT crm.must_link('n:2', 'n:3') \\g /dev/null\n" if $set->{merged};
    $script .= $refresh if rand() < 0.5;
    $script .= "INSERT INTO crm.service_targets (what, within, in_business_hours, queue, priority, source, channel) VALUES "
      . join(",\n", map { "('$_->{what}', interval '$_->{within} min', " . quoted(@$_{qw(hours queue priority source channel)}) . ')' } @{ $set->{targets} }) . ";\n" if $set->{targets};
    $script .= "INSERT INTO crm.assignments (assignment_id, identity_id, source, conversation, queue, agent, priority, assigned_at, released_at) VALUES "
      . join(",\n", map { "($_->{id}, $_->{identity}, " . quoted(@$_{qw(source conversation queue agent priority)}) . ", '2015-03-28Z'::timestamptz + interval '$_->{at} min', "
            . (defined $_->{until} ? "'2015-03-28Z'::timestamptz + interval '$_->{until} min'" : 'NULL') . ')' } @{ $set->{assignments} }) . ";\n" if $set->{assignments};
    return "$script$ask\\echo =\n";
}

my ($done, $rows) = (0, 0);
while ($done < $runs)
{
    my (@sets, $script);
    while (@sets < 12 && $done + @sets < $runs)
    {
        my $set = random_set();
        $set->{merged} = rand() < 0.3;
        $_->{customer} = $set->{merged} || $_->{identity} < 3 ? 1 : 3 for @{ $set->{touchpoints} };
        push @sets, $set;
        $script .= script($set);
    }
    my @answers = split /^=$/m, sql($node, $script), -1;
    for my $i (0 .. $#sets)
    {
        my @found = sort grep { $_ ne '' } split /\n/, $answers[$i];
        my @wanted = sort @{ expected($sets[$i]) };
        $rows += @wanted;
        next if "@found" eq "@wanted";
        my %found = map { $_ => 1 } @found;
        my %wanted = map { $_ => 1 } @wanted;
        fail('set ' . ($done + $i + 1));
        diag map { text(@$_{qw(id customer at channel action direction source conversation agent)}) . "\n" } sort { $a->{at} <=> $b->{at} || $a->{id} <=> $b->{id} } @{ $sets[$i]{touchpoints} };
        diag map { 'assigned ' . text(@$_{qw(id source conversation queue agent priority at until)}) . "\n" } @{ $sets[$i]{assignments} // [] };
        diag map { 'target ' . text(@$_{qw(what within hours queue priority source channel)}) . "\n" } @{ $sets[$i]{targets} // [] };
        diag map { "found    $_\n" } grep { !$wanted{$_} } @found;
        diag map { "expected $_\n" } grep { !$found{$_} } @wanted;
        BAIL_OUT('clocks differ from what was worked out one by one');
    }
    $done += @sets;
}
ok($done == $runs, "$done sets, $rows rows are as worked out one by one");

# The inverse of business_time, both ways: so much has passed, and a microsecond before it had not
is(sql($node, <<'END'), '0|0|t', 'business_time_after is the inverse of business_time');
SELECT count(*) FILTER (WHERE crm.business_time(t, u, calendar) IS DISTINCT FROM amount), count(*) FILTER (WHERE amount <> '0' AND crm.business_time(t, u - sign(extract(epoch FROM amount)) * interval '1 us', calendar) = amount),
       count(*) > 1900
FROM (SELECT t, amount, calendar, crm.business_time_after(t, amount, calendar) AS u
      FROM (SELECT n, '2015-01-01Z'::timestamptz + random() * interval '500 days' AS t, (random() - 0.5) * interval '1 us' * (ARRAY[1e3, 1e8, 1e11, 1e13])[1 + n % 4] AS amount,
                   (ARRAY['default', 'night', 'late', 'always'])[1 + n / 4 % 4] AS calendar FROM generate_series(1, 2000) n) r
      OFFSET 0) x;
END

$node->stop;
done_testing();
