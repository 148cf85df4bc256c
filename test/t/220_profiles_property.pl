# Proves that a profile is a function of what was said, of the rules, and of who is who. The judge is this file, which
# works profiles out one trait at a time. What sources say reaches two hubs in different orders, by set_traits,
# put_traits and payloads, one by one and together, some of it twice, among evidence that merges and splits the
# customers, and rules that come and go; both must hold what was worked out, now and as of times before.
# PGJ_SEED repeats a run, PGJ_RUNS sets the number of sets.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(shuffle sum0);
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $runs = $ENV{PGJ_RUNS} || slowly(10, 600);

# Values by their text in jsonb: kind, as numbers and texts are ordered, and length in characters
my %value;
$value{$_} = [ 0, $_, length ] for qw(1 9 10 1.0 -2 1.50);
$value{"\"$_\""} = [ 1, $_, length ] for 'x', 'xx', '10', '9', 'Z', 'Ana', 'ana';
$value{"\"\xc3\xa9\""} = [ 1, "\xc3\xa9", 1 ];
$value{$_} = [ 2, $_, length ] for 'true', 'false', '["a", 1]', '{"k": "v"}', '[]';
$value{null} = undef;
$value{'"  "'} = undef;
my @values = sort keys %value;
my @traits = qw(name plan city zip street age);
my @sources = qw(crm shop Web);
my @times = map { "2026-01-0$_ 00:00:00+00" } 1 .. 5;

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }
sub object { my ($said) = @_; return '{' . join(', ', map { "\"$_\": $said->{$_}" } sort keys %$said) . '}' }
sub random_traits { return { map { $_ => any(@values) } (shuffle @traits)[ 0 .. int rand 4 ] } }

sub random_rules
{
    my @rules;
    my @left = shuffle @traits;
    if (rand() < 0.6)
    {
        my @members = splice @left, 0, 2 + int rand 2;
        push @rules, { trait => 'group', members => \@members };
    }
    push @rules, map { { trait => $_ } } splice @left, 0, int rand 3;
    push @rules, { trait => '*' } if rand() < 0.8;
    for (@rules)
    {
        $_->{rule} = any(undef, qw(most_recent source_order most_frequent most_frequent longest min max));
        $_->{order} = [ (shuffle @sources)[ 0 .. int rand 3 ] ] if ($_->{rule} // '') eq 'source_order';
    }
    return \@rules;
}

sub rules_sql
{
    my ($rules) = @_;
    my $sql = "DELETE FROM crm.trait_rules;\n";
    for my $r (@$rules)
    {
        my ($members, $order) = map { $_ ? "'{" . join(',', @$_) . "}'" : 'NULL' } @$r{qw(members order)};
        my $rule = $r->{rule} ? "'$r->{rule}'" : 'NULL';
        $sql .= "INSERT INTO crm.trait_rules (trait, members, rule, source_order) VALUES ('$r->{trait}', $members, $rule, $order);\n";
    }
    return $sql;
}

# --- the judge ---

# Null is newer than what is said as of the same time, else the text that sorts last
sub newer
{
    my ($x, $y) = @_;
    return $x->{at} cmp $y->{at} || !defined $value{ $x->{value} } <=> !defined $value{ $y->{value} } || $x->{value} cmp $y->{value};
}

sub compare_said
{
    my ($x, $y) = map { $value{$_} } @_;
    return $x->[0] <=> $y->[0] || ($x->[0] == 0 ? $x->[1] <=> $y->[1] : $x->[1] cmp $y->[1]);
}

# Rows of one customer: identity, trait, value, source, key, at
sub profile_of
{
    my ($rows, $rules) = @_;
    my ($any) = grep { $_->{trait} eq '*' } @$rules;
    my (%unit, %result);
    for my $trait (@traits)
    {
        my ($rule) = grep { $_->{trait} ne '*' && grep { $_ eq $trait } @{ $_->{members} // [ $_->{trait} ] } } @$rules;
        $unit{ $rule ? $rule->{trait} : $trait } //= { rule => $rule, members => $rule && $rule->{members} // [$trait] };
    }
    for my $unit (values %unit)
    {
        my %said;    # by source and key, then identity, then trait
        for my $row (@$rows)
        {
            $said{"$row->{source}\0$row->{key}"}{ $row->{identity} }{ $row->{trait} } = $row
                if grep { $_ eq $row->{trait} } @{ $unit->{members} };
        }
        my @candidates;
        for my $who (sort keys %said)
        {
            my ($source, $key) = split /\0/, $who, -1;
            my ($last) = sort { $b cmp $a } map { $_->{at} } map { values %$_ } values %{ $said{$who} };
            # what it said of one identity at that time; of two the one that is newer, member by member
            my @of = map { my $of = $_; +{ map { $_->{trait} => $_ } grep { $_->{at} eq $last } values %$of } } values %{ $said{$who} };
            @of = grep { %$_ } @of;
            my ($best) = sort {
                my ($x, $y) = ($a, $b);
                my $cmp = 0;
                for my $m (@{ $unit->{members} })
                {
                    $cmp ||= defined $y->{$m} <=> defined $x->{$m} || ($x->{$m} && $y->{$m} ? newer($y->{$m}, $x->{$m}) : 0);
                }
                $cmp;
            } @of;
            my @known = grep { $best->{$_} && $value{ $best->{$_}{value} } } @{ $unit->{members} };
            push @candidates, { source => $source, key => $key, at => $last, known => \@known, said => { map { $_ => $best->{$_}{value} } @known } } if @known;
        }
        my $rule = $unit->{rule} && $unit->{rule}{rule} ? $unit->{rule} : $any && $any->{rule} ? $any : { rule => 'most_recent' };
        my $by_value = sub {
            my ($x, $y, $sign) = (@_, 1);    # -1: the greatest comes first; what is missing comes last even so
            for my $m (@{ $unit->{members} })
            {
                my ($p, $q) = map { $_->{said}{$m} } $x, $y;
                my $cmp = defined $q <=> defined $p || (defined $p && defined $q ? $sign * compare_said($p, $q) : 0);
                return $cmp if $cmp;
            }
            return 0;
        };
        for my $c (@candidates)
        {
            my ($place) = grep { $rule->{order} && $rule->{order}[$_] eq $c->{source} } 0 .. $#{ $rule->{order} // [] };
            $c->{measure} =
                $rule->{rule} eq 'source_order' ? -($place // 99)
              : $rule->{rule} eq 'most_frequent' ? scalar(grep { $by_value->($_, $c) == 0 } @candidates)
              : $rule->{rule} eq 'longest' ? sum0(map { $value{$_}[2] } values %{ $c->{said} })
              : 0;
        }
        my ($best) = sort {
                 ($rule->{rule} eq 'min' ? $by_value->($a, $b) : $rule->{rule} eq 'max' ? $by_value->($a, $b, -1) : $b->{measure} <=> $a->{measure})
              || $b->{at} cmp $a->{at} || $a->{source} cmp $b->{source} || $a->{key} cmp $b->{key}
        } @candidates;
        $result{$_} = [ $best->{said}{$_}, $best->{source}, $best->{key}, $best->{at} ] for $best ? @{ $best->{known} } : ();
    }
    return join ' ', map { "$_=" . join('/', @{ $result{$_} }) } sort keys %result;
}

# Statements that hold as of a time; of those without a key the newest of each identity
sub holding
{
    my ($world, $at) = @_;
    my (%newest, @rows);
    for my $s (grep { !defined $at || $_->{at} le $at } @{ $world->{tells} })
    {
        for my $trait (keys %{ $s->{said} })
        {
            my $row = { identity => $s->{who}, trait => $trait, value => $s->{said}{$trait}, source => $s->{source}, key => '', at => $s->{at} };
            my $slot = \$newest{"$s->{who} $trait $s->{source}"};
            $$slot = $row if !$$slot || newer($row, $$slot) > 0;
        }
    }
    for my $keyed (values %{ $world->{puts} })
    {
        my ($last) = grep { !defined $at || !defined $_->{at} || $_->{at} le $at } reverse @$keyed;
        # what is gone now was there before
        ($last) = grep { defined $_->{at} && $_->{at} le $at } reverse @$keyed if defined $at && $last && !defined $last->{at};
        next unless $last && defined $last->{at};
        push @rows, map { +{ identity => $last->{who}, trait => $_, value => $last->{said}{$_}, source => $last->{source}, key => $last->{key}, at => $last->{at} } }
            grep { $value{ $last->{said}{$_} } } keys %{ $last->{said} };
    }
    return [ values %newest, @rows ];
}

# --- the worlds ---

sub random_world
{
    my ($n) = @_;
    my @who = (map({ "a:w$n.$_" } 1 .. 3 + int rand 4), map({ "b:w$n.$_" } 1 .. 2), "none:w$n", "tab:w$n");
    my (%world, %keyed);
    $world{tells} = [ map { { who => any(@who), said => random_traits(), source => any(@sources), at => any(@times) } } 1 .. 3 + int rand 12 ];
    for my $key (map { "$n.$_" } 1 .. int rand 5)
    {
        my $source = any(@sources);
        my @ats = sort map { any(@times) } 1 .. 1 + int rand 3;
        $world{puts}{"$source $key"} = [ map { { who => any(@who), said => random_traits(), source => $source, key => $key, at => $_ } } @ats ];
        push @{ $world{puts}{"$source $key"} }, { source => $source, key => $key } if rand() < 0.2;
    }
    $world{evidence} = [ map { { ids => [ (shuffle @who)[ 0 .. 1 + int rand 2 ] ], key => "$n.$_" } } 1 .. int rand 6 ];
    $world{retracted} = [ map { $_->{key} } grep { rand() < 0.3 } @{ $world{evidence} } ];
    return \%world;
}

# The world as calls in a random order; what one key says stays in its own
sub calls
{
    my ($world) = @_;
    my @chains;
    for my $s (@{ $world->{tells} }, grep { rand() < 0.3 } @{ $world->{tells} })
    {
        my ($namespace, $value) = split /:/, $s->{who}, 2;
        my $payload = "{\"w\": \"$value\", \"at\": \"$s->{at}\", \"t\": " . object($s->{said}) . '}';
        $payload =~ s/ 00:00:00\+00/T00:00:00Z/;
        push @chains, [ rand() < 0.3 ? { ingest => "$s->{source} $namespace", payload => $payload } : { sql =>
              "SELECT crm.set_traits('$s->{who}', " . quoted(object($s->{said})) . ", '$s->{source}', '$s->{at}');" } ];
    }
    for my $keyed (values %{ $world->{puts} // {} })
    {
        push @chains, [ map { { put => $_ } } map { ($_) x (rand() < 0.2 ? 2 : 1) } @$keyed ];
    }
    for my $e (@{ $world->{evidence} })
    {
        my @ids = @{ $e->{ids} };
        push @chains, [ { sql => "SELECT crm.identify('{" . join(',', @ids) . "}', '2026-01-01Z', 'e', '$e->{key}');" },
            map { { sql => "SELECT crm.retract('e', '$_');" } } grep { $_ eq $e->{key} } @{ $world->{retracted} } ];
    }
    push @chains, [ { sql => rules_sql(random_rules()) } ] if rand() < 0.3;
    my @calls;
    while (@chains)
    {
        my $chain = $chains[ int rand @chains ];
        push @calls, shift @$chain;
        @chains = grep { @$_ } @chains;
    }
    # some of what stands next to each other goes into one call
    my $sql = '';
    while (@calls)
    {
        my $call = shift @calls;
        if (my $put = $call->{put})
        {
            my @together = ($put);
            # of one key that says two things in one call the first is never known
            while (@calls && $calls[0]{put} && $calls[0]{put}{source} eq $put->{source} && rand() < 0.7
                && !grep { $_->{key} eq $calls[0]{put}{key} && $_ != $calls[0]{put} } @together)
            {
                push @together, (shift @calls)->{put};
            }
            if (@together == 1 && !defined $put->{at} && rand() < 0.5)
            {
                $sql .= "SELECT crm.drop_traits('$put->{source}', '{$put->{key}}');\n";
                next;
            }
            $sql .= "SELECT crm.put_traits('$put->{source}', ARRAY["
              . join(', ', map { "'$_->{key}'" } @together) . ']::text[], ARRAY['
              . join(', ', map { $_->{who} ? "'$_->{who}'" : 'NULL' } @together) . ']::identifier[], ARRAY['
              . join(', ', map { $_->{said} ? quoted(object($_->{said})) : 'NULL' } @together) . ']::jsonb[], ARRAY['
              . join(', ', map { $_->{at} ? "'$_->{at}'" : 'NULL' } @together) . "]::timestamptz[]);\n";
        }
        elsif ($call->{ingest})
        {
            my @payloads = ($call->{payload});
            while (@calls && ($calls[0]{ingest} // '') eq $call->{ingest} && rand() < 0.8)
            {
                push @payloads, (shift @calls)->{payload};
            }
            my ($source, $namespace) = split / /, $call->{ingest};
            # a format is the source of what it makes
            $sql .= "UPDATE crm.formats SET identifiers = '{$namespace:/w}' WHERE format = '$source';\n"
              . "SELECT crm.ingest_many(ARRAY[" . join(', ', map { quoted($_) } @payloads) . "]::text[], '$source');\n";
        }
        else
        {
            $sql .= "$call->{sql}\n";
        }
    }
    return $sql;
}

my $node = start_server('main');
for my $db ('one', 'two')
{
    $node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0 ENCODING 'UTF8'");
    $node->safe_psql($db, "CREATE EXTENSION pg_journey; SELECT journey_create_hub('crm');
        UPDATE crm.settings SET trait_history = true, notify = false;
        SELECT crm.set_rule('none', blocked => '{~.}'), crm.set_rule('tab', shared_above => 1);"
        . join('', map { "INSERT INTO crm.formats (format, rule, makes, identifiers, occurred_at, traits)
                          VALUES ('$_', 1, 'traits', '{a:/w}', '{/at}', '{/t}');" } @sources));
}

my ($compared, $full) = (0, 0);
RUN: for my $n (1 .. $runs)
{
    my $world = random_world($n);
    my $rules = random_rules();
    for my $db ('one', 'two')
    {
        my $calls = calls($world) . rules_sql($rules);
        my ($status, $out, $err) = $node->psql($db, $calls, on_error_stop => 1);
        if ($status)
        {
            fail("set $n: $err");
            diag $calls;
            last RUN;
        }
        my (%customer, %usable);
        for (split /\n/, $node->safe_psql($db, "SELECT identifier, customer_id, NOT (blocked OR shared) FROM crm.identities WHERE identifier_value(identifier) ~ '^w$n(\\.|\$)'"))
        {
            my ($identifier, $customer, $usable) = split /\|/;
            $customer{$identifier} = $customer;
            $usable{$identifier} = $usable eq 't';
        }
        my %customers = map { $_ => 1 } values %customer;
        next unless %customers;
        my $at = any(@times, '2026-01-03 12:00:00+00');
        my $ids = join ',', sort { $a <=> $b } keys %customers;
        my %found;
        my $shown = "(SELECT coalesce(string_agg(concat_ws('/', t.key || '=' || t.value::text, p.value ->> 'source', coalesce(p.value ->> 'source_key', ''),
            replace(p.value ->> 'observed_at', 'T', ' ')), ' ' ORDER BY t.key COLLATE \"C\"), '') FROM jsonb_each(%s.traits) t JOIN jsonb_each(%s.provenance) p USING (key))";
        my ($now, $of, $then) = map { sprintf $shown, $_, $_ } qw(v f h);
        for (split /\n/, $node->safe_psql($db, "SELECT v.customer_id, $now, $of, $then
                FROM crm.customer_profile v CROSS JOIN LATERAL crm.customer_profile_of(v.customer_id) f
                     CROSS JOIN LATERAL crm.customer_profile_at(v.customer_id, '$at') h WHERE v.customer_id IN ($ids)"))
        {
            my ($customer, @profiles) = split /\|/, $_, -1;
            s/\+00:00/+00/g for @profiles;
            $found{$customer} = \@profiles;
        }
        for my $customer (sort { $a <=> $b } keys %customers)
        {
            my @wanted = map {
                my $rows = holding($world, $_);
                profile_of([ grep { $usable{ $_->{identity} } && $customer{ $_->{identity} } == $customer } @$rows ], $rules)
            } undef, undef, $at;
            for my $i (0 .. 2)
            {
                next if $found{$customer}[$i] eq $wanted[$i] && ++$compared;
                fail("set $n, database $db, customer $customer, " . ('now', 'of', "as of $at")[$i]);
                diag "found    $found{$customer}[$i]\nexpected $wanted[$i]\n$calls";
                last RUN;
            }
            $full++ if $wanted[0] ne '';
        }
    }
}
ok($full > $runs, "$compared profiles of $runs sets are as worked out, $full of them with traits");

$node->stop;
done_testing();
