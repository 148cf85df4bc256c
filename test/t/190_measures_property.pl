# Proves the hub's views against a second implementation, below, that goes through
# the touchpoints of each customer one by one. They are random, and few minutes apart,
# so that equal times, steps as long as the limits, and every order of messages,
# resolutions and reopenings come up. Business time is compared with a count of
# minutes around the days on which clocks change. PGJ_SEED repeats a run,
# PGJ_RUNS sets the number of sets.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(max sum0 uniq);
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;

my $runs = $ENV{PGJ_RUNS} || slowly(40, 200);
use constant { GAP => 3, HANDOFF => 6, REPEAT => 12 };    # minutes

my %kind = (web => 'digital', app => 'digital', phone => 'human', store => 'physical');
my %means = (resolved => 'resolves', reopened => 'reopens', read => 'status', call => 'asks_and_resolves', handover => 'hands_over');

sub random_touchpoints
{
    my @touchpoints;
    # of some sets all that can be, of others what people say, so that waits, hand-overs and turns get long
    my $actions = any([ ('message') x 4, qw(resolved reopened read call handover) ], [ ('message') x 16, qw(resolved reopened handover) ], ['message']);
    my $agents = any([ undef, undef, 'bot', 'bot:x', 'marta', 'bottom', 'rui' ], [ (undef) x 12, 'bot', 'marta' ]);
    my ($threads, $sources, $customers) = any([ [ undef, 'a', 'a', 'b' ], [ 'x', 'x', 'y' ], 3 ], [ ['a'], ['x'], 2 ])->@*;
    for my $id (1 .. 10 + int rand 60)
    {
        my $direction = any('in', 'in', 'out', 'out', undef);
        push @touchpoints, {
            id => $id, customer => 1 + int rand $customers, identity => int rand 2, at => int rand any(20, 60, 200),
            channel => any('web', 'web', 'app', 'phone', 'store', 'balcão'), action => any(@$actions),
            direction => $direction, agent => ($direction // '') eq 'out' ? any(undef, 'bot', 'bot', 'bot:x', 'marta', 'bottom', 'rui') : any(@$agents),
            conversation => any(@$threads), source => any(@$sources) };
    }
    return \@touchpoints;
}

# Rounded half up
sub share { my ($part, $all) = @_; return $all ? sprintf('%.4f', int((20000 * $part + $all) / (2 * $all)) / 10000) : '' }
sub text { return join '|', map { defined $_ ? $_ : '' } @_ }
sub median { my @m = sort { $a <=> $b } @_; return ($m[ $#m / 2 ] + $m[ @m / 2 ]) / 2 }

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

sub is_bot { my ($t) = @_; return defined $t->{agent} && $t->{agent} =~ /^bot(:|$)/ }

# One conversation of a customer, its touchpoints in order
sub conversation
{
    my (@touchpoints) = @_;
    my ($asked, $answered, $answered_by, $first_resolved, $served, $resolved, $state, $waits, $waiting, $last_word);
    my ($waited, $reopenings, $in, $out, $human, $bot, $own) = (0) x 7;
    my (@replies, @reopened, %replied);
    my $served_by = served(map { my $t = $_; map { [ $t, $_ ] } turns($t) } @touchpoints);
    for my $step (map { my $t = $_; map { [ $t, $_ ] } turns($t) } @touchpoints)
    {
        my ($t, $turn) = @$step;
        my $at = $t->{at};
        if ($turn eq 'answers' && defined $last_word)
        {
            # the first reply to a reopening is that before the next one
            my $again = @reopened && !$replied{ $#reopened }++ ? $reopened[-1] : undef;
            $reopened[0] = { at => $again->{at}, took => $at - $waits } if $again && @reopened == 1;
            my $handed = $served_by->{handed}{ $t->{id} };
            my $kind = !defined $answered ? 'first' : $again ? 'reopened' : defined $handed ? 'handed over' : 'next';
            push @replies, text($t->{id}, $t->{agent}, $waits, $at, $at - $waits, $kind, $again && $again->{at}, $handed, defined $handed ? $at - $handed : undef);
        }
        $waited += $at - $last_word if defined $last_word && $turn =~ /^(asks|answers|resolves)$/;
        if ($turn eq 'asks')
        {
            $in++;
            $asked //= $at;
            $served = 1 if defined $t->{agent};
            push(@reopened, { at => $at }), $reopenings++ if ($state // '') eq 'resolved';
            $state = 'open';
            $waits = $at unless defined $last_word;
            $waiting = defined $t->{agent} ? undef : $waiting // $at;
            $last_word = $at;
        }
        elsif ($turn =~ /^(answers|bot)$/)
        {
            $out++;
            $served = 1 if defined $asked;
            ($answered, $answered_by) = ($at, $t->{agent}) if defined $asked && !defined $answered && $turn eq 'answers';
        }
        elsif ($turn eq 'reopens')
        {
            push(@reopened, { at => $at }), $reopenings++ if ($state // '') eq 'resolved';
            $state = 'open';
        }
        elsif ($turn eq 'resolves')
        {
            $resolved = $at if ($state // '') ne 'resolved';
            $first_resolved //= $at;
            $state = 'resolved';
        }
        ($last_word, $waiting) = () if $turn =~ /^(answers|resolves)$/;
        $human = 1 if $turn eq 'answers';
    }
    for my $t (@touchpoints)
    {
        $human = 1 if defined $t->{agent} && !is_bot($t);
        $bot = 1 if is_bot($t);
        $own = 1 if $t->{own};
    }
    my ($first) = @touchpoints;
    my $done = ($state // '') eq 'resolved';
    my $status = $state // ($own ? 'open' : undef);
    return { status => $status, replies => \@replies, line => text($first->{source}, $first->{conversation}, $status, $first->{channel}, scalar @touchpoints, $in, $out,
        ($human ? $bot ? 'both' : 'human' : $bot ? 'bot' : undef), $asked, $answered, (defined $asked ? $waited : undef),
        $waiting, ($done ? $resolved : undef), $done ? $resolved - ($asked // $first->{at}) : undef,
        $reopenings, (defined $asked && !$served ? 't' : 'f'), $answered_by, transfers(@touchpoints), $first_resolved,
        (@reopened ? @{ $reopened[0] }{qw(at took)} : (undef, undef)), @$served_by{qw(handovers handed_at took bot people)}) };
}

# How many times another person with a name speaks: writes, or is named in a message of the customer
sub transfers
{
    my @names = map { my $t = $_; defined $t->{agent} && !is_bot($t) && grep({ /^(asks|answers)$/ } turns($t)) ? $t->{agent} : () } @_;
    return scalar grep { $names[$_] ne $names[ $_ - 1 ] } 1 .. $#names;
}

# Who served when. The turns are cut into runs that begin with a question and end before the next one that comes after a
# person has spoken, or with a resolution; a run is the bot's up to a hand-over, and the people's from there on.
sub served
{
    my @turns = @_;
    my %all = (handovers => 0, handed => {});
    my ($told, $first_told, $people, @run);    # told: a hand-over that was told, while nobody has answered
    my $spend = sub { my ($who, $from, $to) = @_; $all{$who} = ($all{$who} // 0) + $to - $from };
    my $hand = sub { my ($at) = @_; $all{handovers}++; $all{handed_at} //= $at };
    # of what a run holds: its start, the bot's last word in it, and the first question after that
    my $bot_had = sub {
        my ($bot) = grep { $run[$_][1] eq 'bot' } reverse 0 .. $#run or return;
        my ($after) = grep { $_->[1] eq 'asks' } @run[ $bot + 1 .. $#run ];
        return ($after // $run[$bot])->[0]{at};
    };
    my $with;    # a person has spoken, and the customer asked nothing since: from when on
    my $wait;    # somebody waits, as in replies
    for my $step (@turns)
    {
        my ($t, $turn) = @$step;
        my $at = $t->{at};
        my $named = defined $t->{agent} ? is_bot($t) ? 'bot' : 'person' : '';
        if ($turn eq 'asks')
        {
            $spend->('people', $with, $at) if defined $with;
            @run = () if defined $with || !$wait;
            $with = undef;
            $wait = 1;
            push @run, [ $t, 'asks' ];
            push @run, [ $t, 'bot' ] if $named eq 'bot';
            if ($named eq 'person')
            {
                my $start = $run[0][0]{at};
                if (defined $told) { $spend->('people', max($told, $start), $at) }
                elsif (defined(my $h = $bot_had->())) { $spend->('bot', $start, $h); $spend->('people', $h, $at) }
                else { $spend->('people', $start, $at) }
                ($with, $people) = ($at, 1);
                @run = ();
            }
        }
        elsif ($turn eq 'bot')
        {
            push @run, [ $t, 'bot' ] if @run;
        }
        elsif ($turn eq 'hands_over' || $turn eq 'reopens' && @run && grep { $_->[1] eq 'bot' } @run)
        {
            next if defined $told || $people && !grep { $_->[1] eq 'bot' } @run;
            $hand->($told = $at);
            $spend->('bot', $run[0][0]{at}, $at) if @run;
        }
        elsif ($turn eq 'answers')
        {
            my $handed = $told;
            if (defined $with) { $spend->('people', $with, $at) }
            elsif (@run)
            {
                my $start = $run[0][0]{at};
                if (defined $told) { $spend->('people', max($told, $start), $at) }
                elsif (defined($handed = $bot_had->())) { $hand->($handed); $spend->('bot', $start, $handed); $spend->('people', $handed, $at) }
                else { $spend->('people', $start, $at) }
            }
            $all{took} //= $at - $handed if defined $handed && $all{handovers} == 1;
            $all{handed}{ $t->{id} } = $handed if $wait;
            $with = $wait || defined $with ? $at : undef;
            ($told, $people, $wait) = (undef, 1, 0);
            @run = ();
        }
        elsif ($turn eq 'resolves')
        {
            $spend->('people', $with, $at) if defined $with;
            my $had = defined $bot_had->() ? 'bot' : $people ? 'people' : undef;
            $spend->($had, $run[0][0]{at}, $at) if @run && $had && !defined $told;
            ($with, $told, $people, $wait) = (undef, undef, 0, 0);
            @run = ();
        }
    }
    $spend->('bot', $run[0][0]{at}, $run[-1][0]{at}) if !defined $told && defined $bot_had->();
    return \%all;
}

# What all views must hold
sub expected
{
    my ($touchpoints) = @_;
    my (@lines, %of, %mix, %moves, %all);
    push @{ $of{ $_->{customer} } }, $_ for @$touchpoints;
    for my $customer (sort keys %of)
    {
        my @mine = sort { $a->{at} <=> $b->{at} || $a->{id} <=> $b->{id} } @{ $of{$customer} };
        my ($session, $handoffs, $before, $own, $said) = (1, 0);
        my (%visits, %last, %conversations, %seen, %asked, %resolved_of, %crosses);
        for my $t (@mine)
        {
            my $m = $mix{ $t->{channel} } //= { n => 0, visits => 0, left => 0 };
            my $since = $before ? $t->{at} - $before->{at} : undef;
            $session++ if defined $since && $since > GAP;
            $t->{own} = ($t->{direction} // '') ne 'out' && ($means{ $t->{action} } // 'asks_and_resolves') eq 'asks_and_resolves';
            my ($previous, $since_own, $handoff, $visit, $same);
            if ($t->{own})
            {
                if ($own)
                {
                    ($previous, $since_own) = ($own->{channel}, $t->{at} - $own->{at});
                    $handoff = $previous ne $t->{channel} && $since_own <= HANDOFF;
                    $same = ($own->{source} eq $t->{source} && ($own->{conversation} // '') eq ($t->{conversation} // '-'));
                }
                $visit = !defined $previous || $previous ne $t->{channel} || $since_own > HANDOFF;
                $own = $t;
                $seen{ $t->{channel} } = 1;
            }
            if ($handoff)
            {
                $handoffs++;
                push @{ $moves{$previous}{ $t->{channel} } }, [ $since_own, $customer ];
                $mix{$previous}{left}++;
                $crosses{1} = 1 if $kind{$previous} && $kind{ $t->{channel} } && ($kind{$previous} eq 'digital') != ($kind{ $t->{channel} } eq 'digital');
            }
            $visits{ $t->{channel} }++, $m->{visits}++ if $visit;
            $last{ $t->{channel} } = [ $t->{at}, $t->{id} ] if $t->{own};
            $m->{n}++;
            $m->{customers}{$customer} = $m->{sessions}{"$customer $session"} = 1;
            $m->{ $t->{direction} }++ if $t->{direction};
            push @lines, text('timeline', $t->{id}, $customer, $since, $session, $t->{own} ? 't' : 'f', $previous, $since_own, map { $_ ? 't' : 'f' } $handoff, $visit, $same);
            push @{ $conversations{"$t->{source} $t->{conversation}"} }, $t if defined $t->{conversation};
            $before = $t;

            # contacts: what goes on in an open conversation is none, unless it slept
            for my $turn (turns($t))
            {
                if ($turn eq 'asks')
                {
                    my $c = defined $t->{conversation} ? $asked{"$t->{source} $t->{conversation}"} : undef;
                    my $fresh = !defined $t->{conversation} || !$c || $c->{state} eq 'resolves' || $t->{at} - $c->{at} > REPEAT;
                    if ($fresh && (!defined $said || $t->{at} - $said > GAP))
                    {
                        $all{contacts}++;
                        $all{contacting}{$customer} = 1;
                        $all{repeats}++ if defined $said && $t->{at} - $said <= REPEAT;
                    }
                    $said = $t->{at};
                }
                $asked{"$t->{source} $t->{conversation}"} = { state => $turn, at => $t->{at} } if defined $t->{conversation} && $turn =~ /^(asks|reopens|resolves)$/;
            }
        }
        my $open = 0;
        for my $key (sort keys %conversations)
        {
            my $c = conversation(@{ $conversations{$key} });
            push @lines, "conversation|$customer|$c->{line}", map { "reply|$customer|$_" } @{ $c->{replies} };
            $open++ if ($c->{status} // '') eq 'open';
            # nothing of the customer, nor reopened, soon after the first resolution
            my ($first) = grep { grep { $_ eq 'resolves' } turns($_) } @{ $conversations{$key} } or next;
            $all{resolved}++;
            $all{at_once}++ unless grep { (grep { /^(asks|reopens)$/ } turns($_)) && ($_->{at} <=> $first->{at} || $_->{id} <=> $first->{id}) > 0
                && $_->{at} - $first->{at} <= REPEAT } @mine;
        }
        my ($preferred) = sort { $visits{$b} <=> $visits{$a} || $last{$b}[0] <=> $last{$a}[0] || $last{$b}[1] <=> $last{$a}[1] } keys %visits;
        push @lines, text('card', $customer, scalar @mine, $session, join(',', sort +uniq(map { $_->{channel} } @mine)), $preferred, $handoffs,
            $mine[-1]{channel}, $mine[-1]{action}, $mine[-1]{at}, $open);
        next unless %seen;
        $all{customers}++;
        $all{multi}++ if keys %seen > 1;
        $all{cross}++ if $handoffs;
        $all{omni}++ if %crosses;
    }
    for my $c (sort keys %mix)
    {
        my $m = $mix{$c};
        push @lines, text('mix', $c, $m->{n}, share($m->{n}, scalar @$touchpoints), scalar keys %{ $m->{customers} }, $m->{in} // 0, $m->{out} // 0,
            scalar keys %{ $m->{sessions} }, $m->{visits}, $m->{left}, share($m->{visits} - $m->{left}, $m->{visits}));
        my $from = sum0(map { scalar @$_ } values %{ $moves{$c} });
        for my $to (sort keys %{ $moves{$c} })
        {
            my @m = @{ $moves{$c}{$to} };
            push @lines, text('transition', $c, $to, scalar @m, scalar(uniq map { $_->[1] } @m), share(scalar @m, $from), median(map { $_->[0] } @m));
        }
    }
    my ($n, $r, $k, $p) = map { $_ // 0 } @all{ 'customers', 'resolved', 'contacts', 'repeats' };
    my $people = keys %{ $all{contacting} // {} };
    push @lines, text('omnichannel', $n, map({ ($_ // 0, share($_ // 0, $n)) } @all{ 'multi', 'cross', 'omni' }),
        $r, $all{at_once} // 0, share($all{at_once} // 0, $r), $k, $p, share($p, $k), share($p, $people));
    return \@lines;
}

sub quoted { return join ', ', map { defined $_ ? "'$_'" : 'NULL' } @_ }

my $node = start_server('main');
sql($node, <<'END');
SELECT journey_create_hub('crm');
DELETE FROM crm.channels WHERE channel NOT IN ('web', 'app', 'phone', 'store');
INSERT INTO crm.actions VALUES ('call', 'asks_and_resolves');
UPDATE crm.settings SET session_gap = '3 min', handoff_within = '6 min', repeat_within = '12 min';
CREATE FUNCTION minutes(i interval) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT trim_scale(extract(epoch FROM i) / 60) $$;
CREATE FUNCTION minute(t timestamptz) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT minutes(t - '2015-01-01Z') $$;
END

# Three customers of two identities each
my $reset = <<'END';
TRUNCATE crm.touchpoints, crm.identities, crm.customers;
INSERT INTO crm.identities (identity_id, identifier, normal_id, customer_id, member_since, first_seen, last_seen)
SELECT n, identifier('n', n::text), n, (n + 1) / 2, '2015-01-01Z', '2015-01-01Z', '2015-01-01Z' FROM generate_series(1, 6) n;
INSERT INTO crm.customers SELECT n, NULL, 2 FROM generate_series(1, 3) n;
END
my $ask = <<'END';
SELECT 'timeline', touchpoint_id, customer_id, minutes(since_previous), session, own, previous_channel, minutes(since_own), is_handoff, begins_visit, same_conversation FROM crm.timeline;
SELECT 'conversation', customer_id, source, conversation, status, channel, touchpoints, messages_in, messages_out, handled_by, minute(asked_at), minute(answered_at),
       minutes(waiting_time), minute(waiting_since), minute(resolved_at), minutes(resolution_time), reopenings, is_abandoned, answered_by, transfers,
       minute(first_resolved_at), minute(reopened_at), minutes(reopening_response_time), handovers, minute(handed_over_at), minutes(handover_response_time),
       minutes(bot_time), minutes(people_time) FROM crm.conversations;
SELECT 'reply', customer_id, touchpoint_id, agent, minute(asked_at), minute(replied_at), minutes(reply_time), kind, minute(reopened_at), minute(handed_over_at),
       minutes(handover_reply_time) FROM crm.replies;
SELECT 'differs', * FROM (TABLE crm.conversations EXCEPT ALL SELECT * FROM crm.conversations_between()) d;
SELECT 'differs', * FROM (SELECT * FROM crm.replies_between() EXCEPT ALL TABLE crm.replies) d;
SELECT 'differs', * FROM ((SELECT * FROM crm.conversations WHERE started_at >= '2015-01-01 00:10Z' AND started_at < '2015-01-01 00:40Z')
                          EXCEPT ALL SELECT * FROM crm.conversations_between('2015-01-01 00:10Z', '2015-01-01 00:40Z')) d;
SELECT 'differs', * FROM (SELECT * FROM crm.replies_between('2015-01-01 00:10Z', '2015-01-01 00:40Z')
                          EXCEPT ALL SELECT * FROM crm.replies WHERE replied_at >= '2015-01-01 00:10Z' AND replied_at < '2015-01-01 00:40Z') d;
SELECT 'differs', * FROM (SELECT customer_id, source, conversation, waiting_since, last_at, handled_by FROM crm.conversations WHERE waiting_since IS NOT NULL
                          EXCEPT ALL SELECT customer_id, source, conversation, waiting_since, last_at, handled_by FROM crm.waiting_now()) d;
SELECT 'card', customer_id, touchpoints, sessions, array_to_string(channels, ','), preferred_channel, handoffs, last_channel, last_action, minute(last_at), open_conversations
FROM crm.customer_360 WHERE touchpoints > 0;
SELECT 'mix', channel, touchpoints, share, customers, inbound, outbound, sessions, visits, visits_left, containment FROM crm.channel_mix;
SELECT 'transition', from_channel, to_channel, handoffs, customers, share, minutes(median_time) FROM crm.channel_transitions;
SELECT 'omnichannel', customers, multichannel, multichannel_share, cross_channel, cross_channel_share, omnichannel, omnichannel_share, resolved,
       resolved_at_first_contact, first_contact_resolution, contacts, repeat_contacts, repeat_contact_share, repeat_contacts_per_customer FROM crm.omnichannel;
END

my ($done, $rows) = (0, 0);
while ($done < $runs)
{
    my (@sets, $script);
    while (@sets < 20 && $done + @sets < $runs)
    {
        my $touchpoints = random_touchpoints();
        push @sets, $touchpoints;
        $script .= $reset . 'INSERT INTO crm.touchpoints (touchpoint_id, identity_id, occurred_at, channel, action, direction, conversation, agent, source) VALUES '
          . join(",\n", map { "($_->{id}, " . (2 * $_->{customer} - $_->{identity}) . ", '2015-01-01Z'::timestamptz + interval '$_->{at} min', "
                . quoted(@$_{qw(channel action direction conversation agent source)}) . ')' } @$touchpoints)
          . ";\n$ask\\echo =\n";
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
        diag map { text(@$_{qw(id customer at channel action direction source conversation agent)}) . "\n" } sort { $a->{at} <=> $b->{at} || $a->{id} <=> $b->{id} } @{ $sets[$i] };
        diag map { "found    $_\n" } grep { !$wanted{$_} } @found;
        diag map { "expected $_\n" } grep { !$found{$_} } @wanted;
        BAIL_OUT('views differ from what was worked out one by one');
    }
    $done += @sets;
}
ok($done == $runs, "$done sets, $rows rows of views are as worked out one by one");

# Business time against a count of minutes
is(sql($node, <<'END'), '0|t', 'business time is as counted by minutes');
UPDATE crm.settings SET time_zone = 'Europe/Lisbon';
INSERT INTO crm.business_hours VALUES (1, '09:00', '13:00'), (1, '12:00', '18:00'), (2, '14:00', '18:30'), (5, '00:00', '24:00'), (6, '22:15', '24:00'),
    (7, '00:00', '00:45'), (7, '00:50', '04:00');
WITH span AS (
    SELECT d + a * interval '1 min' AS since, d + (a + b) * interval '1 min' AS upto
    FROM unnest('{2015-03-27Z,2015-10-23Z,2015-06-05Z}'::timestamptz[]) d,
         LATERAL (SELECT (random() * 5000)::int AS a, (random() * 3000)::int AS b FROM generate_series(1, 40) g WHERE d IS NOT NULL) r
)
SELECT count(*) FILTER (WHERE crm.business_time(since, upto) <> counted * interval '1 min'), sum(counted) > 10000
FROM span, LATERAL (SELECT count(*) AS counted
                    FROM generate_series(since, upto - interval '1 min', '1 min') m
                    WHERE EXISTS (SELECT FROM crm.business_hours h
                                  WHERE h.weekday = extract(isodow FROM m AT TIME ZONE 'Europe/Lisbon')
                                        AND (m AT TIME ZONE 'Europe/Lisbon')::time >= h.opens AND (m AT TIME ZONE 'Europe/Lisbon')::time < h.closes)) c;
END

$node->stop;
done_testing();
