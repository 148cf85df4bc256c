# Runs calls of StitchModel against a hub and judges what the hub did. A program is
# a list of calls, begun in an empty hub. After each call the hub must hold the
# partition of the model, and return what the model says. Besides the model's calls
# there are two that change nothing: simulate and why. A program that fails is cut
# down to the calls without which it no longer does.
package StitchRun;
use strict;
use warnings;
use Exporter 'import';
use PgJourney;
use StitchModel;
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(make_hub run_programs judge shrink program_text);

# How many programs ended with what, and how often questions had which answer
our %covered;

our $NAME = "Mary's hub";
our $HUB = '"' . $NAME . '"';

# The functions by which a test looks at the hub
sub make_hub
{
    my ($node) = @_;
    my $name = literal($NAME);
    sql($node, "SELECT journey_create_hub($name)");
    sql($node, <<"END");
CREATE TABLE first_rule AS SELECT * FROM $HUB.identifier_rules;
-- what was seen when
CREATE TABLE past (at timestamptz, identifier identifier, customer_id bigint, seen boolean);
CREATE TABLE kept (line text);

-- Deletes: a TRUNCATE would have all the session's plans made again
CREATE FUNCTION reset_hub() RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
    name regclass;
BEGIN
    DELETE FROM past;
    IF EXISTS (SELECT FROM $HUB.match_conflicts) THEN
        DELETE FROM $HUB.match_conflicts;
    END IF;
    FOR name IN SELECT oid FROM pg_class
                WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $name) AND relkind = 'r'
                  AND relname NOT IN ('identifier_rules', 'settings') LOOP
        EXECUTE 'DELETE FROM ' || name;
    END LOOP;
    PERFORM $HUB.drop_rule(namespace) FROM $HUB.identifier_rules WHERE namespace <> '*';
    DELETE FROM $HUB.identifier_rules;
    INSERT INTO $HUB.identifier_rules SELECT * FROM first_rule;
    IF (SELECT quarantine_above FROM $HUB.settings) IS DISTINCT FROM 10000 THEN
        PERFORM $HUB.set_quarantine_above(10000);
    END IF;
END \$\$;

CREATE FUNCTION tell(id identifier, source text, key text, fields jsonb) RETURNS boolean LANGUAGE plpgsql AS \$\$
BEGIN
    INSERT INTO $HUB.match_records (identity_id, source, source_key, fields)
    SELECT ($HUB.identities_for(ARRAY[id], ARRAY[timestamptz '2026-01-01Z']))[1], tell.source, key, tell.fields
    ON CONFLICT ON CONSTRAINT match_records_source_key DO UPDATE SET identity_id = excluded.identity_id, fields = excluded.fields;
    RETURN true;
END \$\$;
CREATE FUNCTION untell(source text, key text) RETURNS boolean LANGUAGE plpgsql AS \$\$
BEGIN
    DELETE FROM $HUB.match_records r WHERE r.source = untell.source AND r.source_key = key;
    RETURN FOUND;
END \$\$;

-- every identity, then every customer
CREATE FUNCTION hub_state() RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE
    seen_at timestamptz = clock_timestamp();
BEGIN
    INSERT INTO past SELECT seen_at, identifier, customer_id, last_seen IS NOT NULL FROM $HUB.identities;
    RETURN coalesce((SELECT string_agg(concat_ws(' ', i.identifier, i.identity_id, i.customer_id, i.blocked, i.shared, n.identifier, i.last_seen IS NOT NULL), E'\\t')
                     FROM $HUB.identities AS i LEFT JOIN $HUB.identities AS n ON n.identity_id = i.normal_id), '') || ';' ||
           coalesce((SELECT string_agg(concat_ws(' ', customer_id, coalesce(component_id::text, '-'), identities), E'\\t')
                     FROM $HUB.customers), '');
END \$\$;

-- what doesn't fit together, whatever the partition
CREATE FUNCTION hub_problems() RETURNS SETOF text LANGUAGE plpgsql AS \$\$
BEGIN
    RETURN QUERY SELECT 'stitch_check: ' || c::text FROM $HUB.stitch_check() AS c;
    RETURN QUERY SELECT 'customer_of: ' || i::text FROM $HUB.identities AS i
        WHERE $HUB.customer_of(identifier) IS DISTINCT FROM customer_id;
    RETURN QUERY SELECT 'current_customer: ' || i::text FROM $HUB.identities AS i
        WHERE $HUB.current_customer(identity_id) IS DISTINCT FROM customer_id;
    -- each identity's number is that of a customer, past or present
    RETURN QUERY SELECT 'identifiers_of: ' || i::text FROM $HUB.identities AS i
        WHERE ARRAY(SELECT f FROM $HUB.identifiers_of(i.identity_id) AS f ORDER BY f)
              <> ARRAY(SELECT o.identifier FROM $HUB.identities AS o WHERE o.customer_id = i.customer_id AND o.normal_id = o.identity_id
                       ORDER BY o.identifier);
    RETURN QUERY SELECT 'current membership: ' || i::text || coalesce(m::text, '') FROM $HUB.identities AS i
        FULL JOIN (SELECT * FROM $HUB.memberships WHERE member_until IS NULL) AS m USING (identity_id)
        WHERE (m.customer_id, m.member_from) IS DISTINCT FROM (i.customer_id, i.member_since);
    RETURN QUERY SELECT 'membership: ' || m::text FROM (
            SELECT *, lead(member_from) OVER w AS next_from, lead(customer_id) OVER w AS next_customer
            FROM $HUB.memberships WINDOW w AS (PARTITION BY identity_id ORDER BY member_from)) AS m
        WHERE member_from >= member_until OR member_until IS DISTINCT FROM next_from OR customer_id = next_customer;
    RETURN QUERY SELECT 'evidence: ' || e::text FROM $HUB.evidence AS e
        WHERE cardinality(identities) < 2
           OR identities <> ARRAY(SELECT DISTINCT i.identity_id FROM $HUB.identities AS i
                                  WHERE i.identity_id = ANY (e.identities) ORDER BY identity_id);
END \$\$;

-- What came in was known since then, and in all forms that are one with it now.
CREATE FUNCTION past_problems() RETURNS SETOF text LANGUAGE sql AS \$\$
    SELECT format('customer_at(%s, %s): %s, not %s', identifier, at, found, customer_id)
    FROM (SELECT i.identifier, t.at, p.customer_id, p.seen, o.seen AS node_seen, o.known AS node_known,
                 $HUB.customer_at(i.identifier, t.at) AS found
          FROM (SELECT DISTINCT at FROM past) AS t CROSS JOIN $HUB.identities AS i
               LEFT JOIN past AS p ON (p.identifier, p.at) = (i.identifier, t.at)
               CROSS JOIN LATERAL (SELECT bool_or(q.seen) AS seen, count(*) > 0 AS known
                                   FROM $HUB.identities AS s JOIN past AS q ON q.identifier = s.identifier
                                   WHERE s.normal_id = i.normal_id AND q.at = t.at) AS o) AS x
    WHERE CASE WHEN seen OR NOT node_known THEN found IS DISTINCT FROM customer_id ELSE node_seen AND found IS NULL END;
\$\$;

-- the rows that a change to the related identifiers must leave alone, with their place
CREATE FUNCTION rows_of_others(related identifier[], one_source text, keys text[]) RETURNS SETOF text LANGUAGE sql AS \$\$
    WITH other AS (SELECT i.* FROM $HUB.identities AS i JOIN $HUB.identities AS n ON n.identity_id = i.normal_id WHERE n.identifier <> ALL (related))
    SELECT format('identity %s %s %s', i.ctid, i.xmin, i) FROM $HUB.identities AS i WHERE i.identity_id IN (SELECT identity_id FROM other)
    UNION ALL
    SELECT format('customer %s %s %s', c.ctid, c.xmin, c) FROM $HUB.customers AS c
    WHERE customer_id IN (SELECT customer_id FROM other)
    UNION ALL
    SELECT format('membership %s %s %s', m.ctid, m.xmin, m) FROM $HUB.former_memberships AS m
    WHERE identity_id IN (SELECT identity_id FROM other)
    UNION ALL
    SELECT format('pair %s %s %s', p.ctid, p.xmin, p) FROM $HUB.identity_pairs AS p
    UNION ALL
    SELECT format('evidence %s %s %s', e.ctid, e.xmin, e) FROM $HUB.evidence AS e
    WHERE source <> one_source OR source_key <> ALL (keys);
\$\$;
END
}

#
# Calls in SQL
#

sub literal
{
    my ($value) = @_;
    return !defined $value ? 'NULL' : $value =~ /^-?\d+\z/ ? $value : "'" . $value =~ s/'/''/gr . "'";
}

sub text { return defined $_[0] ? "'" . $_[0] =~ s/'/''/gr . "'" : 'NULL' }
sub array { my ($type, @values) = @_; return 'ARRAY[' . join(', ', map { text($_) } @values) . "]::$type\[]" }
sub at { return sprintf "'2026-01-%02dT00:00Z'", $_[0] }

sub observations
{
    return 'ARRAY['
      . join(', ',
        map { 'ROW(' . join(', ', array('identifier', @{ $_->{ids} }), at($_->{at}), text($_->{source}), text($_->{key})) . ")::$HUB.observation" } @_)
      . "]::$HUB.observation[]";
}

my %column = (priority => 'priority', max => 'max_per_customer', shared => 'shared_above', blocked => 'blocked', normalizer => 'normalizer',
    country => 'default_country');

sub rule_value { my ($what, $value) = @_; return $what eq 'blocked' ? array('text', @$value) : $what =~ /normalizer|country/ ? text($value) : $value }

sub call_sql
{
    my ($name, @a) = @_;
    if ($name eq 'identify' || $name eq 'link')
    {
        my ($o) = @a;
        my $what =
          $name eq 'link'
          ? 'a => ' . text($o->{ids}[0]) . ', b => ' . text($o->{ids}[1])
          : 'identifiers => ' . array('identifier', @{ $o->{ids} });
        return "SELECT $HUB.$name($what, observed_at => " . at($o->{at}) . ", source => " . text($o->{source}) . ", source_key => " . text($o->{key}) . ')';
    }
    return "SELECT array_to_string($HUB.identify_many(" . observations(@a) . "), ' ')" if $name eq 'identify_many';
    if ($name eq 'set_rule')
    {
        my ($namespace, %values) = @a;
        return "SELECT $HUB.set_rule("
          . join(', ', "'$namespace'",
            map { "$column{$_} => " . rule_value($_, $values{$_}) }
            grep { defined $values{$_} } sort keys %values) . ')';
    }
    if ($name eq 'simulate')
    {
        my ($observations, $rules) = @a;
        my @rows = map {
            my ($namespace, $rule) = ($_, $rules->{$_});
            my @pairs = map { text($column{$_}) . ', ' . rule_value($_, $rule->{$_}) }
              grep { defined $rule->{$_} } sort keys %$rule;
            "jsonb_populate_record(NULL::$HUB.identifier_rules, jsonb_build_object(" . join(', ', "'namespace', '$namespace'", @pairs) . '))'
        } sort keys %$rules;
        return "SELECT concat_ws(' ', identifier, coalesce(customer_id::text, '-'), coalesce(simulated_customer_id::text, '-')) FROM $HUB.simulate("
          . join(', ', observations(@$observations), @rows ? 'ARRAY[' . join(', ', @rows) . ']' : ()) . ')';
    }
    return "SELECT concat_ws(E'\\t', step, from_identifier, to_identifier, coalesce(source, ''), coalesce(source_key, ''), coalesce(to_char(observed_at AT TIME ZONE 'UTC', 'DD'), ''), outcome) FROM $HUB.why(" . join(', ', map { text($_) } @a) . ')'
      if $name eq 'why';
    if ($name eq 'guess_many')
    {
        my ($at, @guesses) = @a;
        return "SELECT $HUB.guess_many(" . array('identifier', map { $_->{ids}[0] } @guesses) . ', ' . array('identifier', map { $_->{ids}[1] } @guesses)
          . ', ARRAY[' . join(', ', map { $_->{strength} } @guesses) . ']::real[], source_keys => ' . array('text', map { $_->{key} } @guesses)
          . ', observed_at => ' . at($at) . ')';
    }
    if ($name eq 'tell')
    {
        my ($id, $source, $key, %fields) = @a;
        return 'SELECT tell(' . join(', ', map { text($_) } $id, $source, $key) . ', jsonb_strip_nulls(jsonb_build_object('
          . join(', ', map { text($_), text($fields{$_}) } sort keys %fields) . ')))';
    }
    return 'SELECT untell(' . join(', ', map { text($_) } @a) . ')' if $name eq 'untell';
    return "SELECT $HUB.$name(" . array('text', @{ $a[0] }) . ', ' . text($a[1]) . ')' if $name =~ /^(set|drop)_conflict$/;
    return "SELECT $HUB.retract_many(" . text($a[0]) . ', ' . array('text', @a[ 1 .. $#a ]) . ')' if $name eq 'retract_many';
    return "SELECT $HUB.$name(" . join(', ', map { literal($_) } @a) . ')';
}

# The SQL of a program, each answer after a line of its own, and what is expected
# after each call. thorough: how often hub_problems() is asked.
sub script
{
    my ($program, $thorough) = @_;
    my $model = StitchModel->new;
    my $sql = "\\echo \@program\nSELECT reset_hub();\n";
    my @expected;
    for my $call (@$program)
    {
        my ($name, @a) = @$call;
        if ($name eq 'simulate')
        {
            # other normalizers can't be simulated
            my %rules = map { my $stored = $model->{rules}{$_} || {}; $_ => { %{ $a[1]{$_} }, map { $_ => $stored->{$_} } 'normalizer', 'country' } }
              keys %{ $a[1] };
            $a[1] = \%rules;
            $call = [ $name, @a ];
        }
        my %expected = (call => $call);
        if ($name eq 'why')
        {
            $expected{model} = $model->copy;
            my $forms = $model->stitch->{forms};
            $expected{result} = [ 'error', '42704' ] if grep { !$forms->{ $model->node($_) } } @a;
        }
        elsif ($name eq 'simulate')
        {
            $expected{model} = $model->copy;
            my $identified = $expected{model}->identify(@{ $a[0] });
            $expected{result} = $identified if $identified->[0] eq 'error';
            $expected{model}{rules}{$_} = { %{ $a[1]{$_} } } for keys %{ $a[1] };
        }
        else { $expected{result} = $model->apply($name eq 'link' ? 'identify' : $name, @a) }
        $expected{stitch} = $model->stitch;
        my ($before, $after) = ('', '');
        if ($name =~ /^retract/)
        {
            my ($source, @keys) = @a;
            my @retracted = map { $model->{evidence}{"$source\t=$_"} || () } @keys;
            my %related = map { %{ $model->surroundings(@{ $_->{ids} }) } } @retracted;
            my $others = 'rows_of_others(' . join(', ', array('identifier', sort keys %related), text($source), array('text', @keys)) . ')';
            $before = "DELETE FROM kept; INSERT INTO kept SELECT $others;\n";
            $after = "SELECT 'row of another touched: ' || r FROM (SELECT $others AS r EXCEPT TABLE kept) x"
              . " UNION ALL SELECT 'was: ' || r FROM (TABLE kept EXCEPT SELECT $others) x(r);\n";
        }
        push @expected, \%expected;
        my $last = @expected == @$program;
        $after .= "SELECT hub_problems();\n" if $last || rand() < $thorough;
        $after .= "SELECT past_problems();\n" if $last;
        $sql .= "$before\\echo \@call\n" . call_sql(@$call) . ";\n\\echo \@state :SQLSTATE :LAST_ERROR_MESSAGE\nSELECT hub_state();\n\\echo \@problems\n$after";
    }
    if (@expected)
    {
        my $stitch = $expected[-1]{stitch};
        $covered{$_} += keys %{ $stitch->{$_} } > 0 for qw(blocked shared skipped quarantined guessed);
        $covered{'in conflict'} += grep({ grep { /^conflict/ } @$_ } values %{ $stitch->{skipped} }) > 0;
        $covered{merged} += grep({ @$_ > 1 } @{ $stitch->{customers} }) > 0;
        $covered{retracted} += grep({ $_->{retracted} } values %{ $model->{evidence} }) > 0;
    }
    return ($sql, \@expected);
}

# Runs programs; for each the reason it fails, undef if it doesn't
sub run_programs
{
    my ($node, $database, $thorough, @programs) = @_;
    my (@expected, $sql);
    for (@programs)
    {
        my ($part, $expected) = script($_, $thorough);
        $sql .= $part;
        push @expected, $expected;
    }
    my $file = write_bytes(PostgreSQL::Test::Utils::tempdir_short() . '/programs.sql', $sql);
    my ($output, $errors) = ('', '');
    IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr($database), '-f', $file ], '>', \$output, '2>', \$errors);
    my ($setup, @answers) = split /^\@program\n/m, $output;
    return map { judge($expected[$_], $answers[$_] // '') } 0 .. $#expected;
}

#
# Judging
#

# The answers of a program: for each call result, SQLSTATE and message, state, problems
sub judge
{
    my ($expected, $answers) = @_;
    my ($nothing, @answers) = split /^\@call\n/m, $answers;
    my $before = { identities => {} };
    for (0 .. $#$expected)
    {
        my ($result, $sqlstate, $message, $state, $problems) =
          ($answers[$_] // '') =~ /\A(.*?)^\@state (\w+)(.*?)\n(.*?)^\@problems\n(.*)\z/ms;
        return "call $_: no answer" if !defined $problems;
        $state = read_state($state);
        my $objection = judge_call($expected->[$_], $before, $state, $result, $sqlstate, $message)
          // judge_state($expected->[$_]{stitch}, $state);
        $objection = $problems if !defined $objection && $problems ne '';
        return "call $_, " . call_sql(@{ $expected->[$_]{call} }) . "\n$objection" if defined $objection;
        $before = $state;
    }
    return undef;
}

sub read_state
{
    my ($line) = @_;
    chomp $line;
    my ($identities, $customers) = split /;/, $line, 2;
    my (%identity, %customer, %ids);
    for (split /\t/, $identities // '')
    {
        my ($identifier, $id, $customer, $blocked, $shared, $node, $seen) = split / /;
        $identity{$identifier} = { id => $id, customer => $customer, blocked => $blocked, shared => $shared, node => $node, seen => $seen };
        push @{ $ids{$node} }, $id;
    }
    for (split /\t/, $customers // '')
    {
        my ($customer, $component, $count) = split / /;
        $customer{$customer} = "component $component of $count";
    }
    return { identities => \%identity, customers => \%customer, ids => \%ids };
}

sub smallest { return (sort { $a <=> $b } @_)[0] }

sub smallest_id { my ($state, @nodes) = @_; return smallest(map { @{ $state->{ids}{$_} || [] } } @nodes) }

sub judge_state
{
    my ($stitch, $state) = @_;
    my $identities = $state->{identities};
    my (%stored, %customers);
    my %seen = map { my $node = $_; map { $_ => $node } @{ $stitch->{forms}{$node} } } keys %{ $stitch->{forms} };
    for my $id (keys %$identities)
    {
        my $row = $identities->{$id};
        my $node = $seen{$id} // ($stitch->{forms}{$id} ? $id : 'nothing');
        return "normal form of $id is $row->{node}, not $node" if $row->{node} ne $node;
        return "$id has come in: $row->{seen}" if $row->{seen} ne ($seen{$id} ? 't' : 'f');
        push @{ $stored{ $row->{customer} } }, $id if $id eq $node;
    }
    $identities->{$_} or return "$_ is missing" for keys %seen, keys %{ $stitch->{forms} };
    my ($expected, $got) = map { StitchModel::partition_text($_) } $stitch->{customers}, [ values %stored ];
    return "expected $expected\ngot      $got" if $expected ne $got;
    for my $id (keys %$identities)
    {
        my $row = $identities->{$id};
        my $node = $row->{node};
        my $customer = smallest_id($state, @{ $stitch->{customer}{$node} });
        return "customer_id of $id is $row->{customer}, not $customer" if $row->{customer} != $customer;
        for ('blocked', 'shared')
        {
            my $flag = $stitch->{$_}{$node} ? 't' : 'f';
            return "$_ of $id is $row->{$_}, not $flag" if $row->{$_} ne $flag;
        }
        my $component = $stitch->{component}{$node};
        my %parts = map { $stitch->{customer}{$_} => 1 } @$component;
        my $component_id = keys %parts > 1 ? smallest_id($state, @$component) : '-';
        $customers{$customer} = "component $component_id of " . @{ $stitch->{customer}{$node} };
    }
    ($expected, $got) = map { my $of = $_; join ', ', map { "$_ $of->{$_}" } sort { $a <=> $b } keys %$of } \%customers, $state->{customers};
    return $expected eq $got ? undef : "customers: expected $expected\ngot      $got";
}

sub judge_call
{
    my ($expected, $before, $state, $result, $sqlstate, $message) = @_;
    my $name = $expected->{call}[0];
    my ($kind, @what) = @{ $expected->{result} || ['none'] };
    my $wanted = $kind eq 'error' ? $what[0] : '00000';
    return "$sqlstate$message, not $wanted" if $sqlstate ne $wanted;
    return if $kind eq 'error';
    chomp $result;
    return judge_simulate($expected, $state, $result) if $name eq 'simulate';
    return judge_why($expected, $result) if $name eq 'why';
    my $identities = $state->{identities};
    if ($kind eq 'centres')
    {
        my @got = split / /, $result;
        return 'customers returned: ' . @got . ', not ' . @what if @got != @what;
        for (0 .. $#what)
        {
            my $id = $what[$_] // next;
            return "returned $got[$_] for $id, not $identities->{$id}{customer}" if $got[$_] != $identities->{$id}{customer};
        }
        return;
    }
    $wanted =
        $kind eq 'yes' ? 't'
      : $kind eq 'no' ? 'f'
      : $kind eq 'number' ? $what[0]
      : scalar grep { $before->{identities}{$_} && $before->{identities}{$_}{customer} != $identities->{$_}{customer} } keys %$identities;
    $wanted = 0 if $name eq 'stitch_all';
    return $result eq $wanted ? undef : "returned $result, not $wanted";
}

# What is simulated is what the model says of it
sub judge_simulate
{
    my ($expected, $state, $result) = @_;
    my $stitch = $expected->{model}->stitch;
    my $identities = $state->{identities};
    my (@wanted, $moved);
    for (keys %{ $stitch->{customer} })
    {
        my $simulated = smallest_id($state, @{ $stitch->{customer}{$_} });
        $moved = 1 if $identities->{$_} && $identities->{$_}{customer} != $simulated;
        push @wanted, join ' ', $_, $identities->{$_} ? $identities->{$_}{customer} : '-', $simulated // '-';
    }
    $covered{'simulated to move'}++ if $moved;
    my ($wanted, $got) = (join("\n", sort @wanted), join("\n", sort split /\n/, $result));
    return $wanted eq $got ? undef : "expected\n$wanted\ngot\n$got\nfor " . StitchModel::partition_text($stitch->{customers});
}

# Hops from one to the other; all in force and as few as possible if the two are one
# customer, else each with what is true of it
sub judge_why
{
    my ($expected, $result) = @_;
    my ($model, $stitch, $call) = @$expected{qw(model stitch call)};
    my ($from, $to) = map { $model->node($_) } @$call[ 1, 2 ];
    return $result eq '' ? undef : 'a way to itself' if $from eq $to;
    my $together = $stitch->{customer}{$from} == $stitch->{customer}{$to};
    my @hops = map { [ split /\t/ ] } split /\n/, $result;
    my ($at, $number, $apart) = ($from, 0, 0);
    for (@hops)
    {
        my ($step, $x, $y, $source, $key, $day, $outcome) = @$_;
        return "not a path:\n$result" if $step != ++$number || $x ne $at;
        $at = $y;
        $covered{ 'why: ' . $outcome =~ s/(max|conflict).*/$1/r }++;
        my $objection = judge_hop($model, $stitch, $x, $y, $source, $key, $day, $outcome);
        return "hop $step, $objection:\n$result" if $objection;
        $apart = 1 if $outcome !~ /^(joined|must_link)$/;
    }
    if (!@hops)
    {
        return 'no path though one customer' if $together;
        my $linked = $model->copy;
        $_->{pairs} = { map { $_ => 'must' } grep { $linked->{pairs}{$_} eq 'must' } keys %{ $linked->{pairs} } } for $linked;
        return $linked->surroundings($from)->{$to} ? 'no reason though evidence connects them' : undef;
    }
    return "doesn't lead there:\n$result" if $at ne $to;
    return "in force, though apart:\n$result" if !$together && !$apart;
    return "not in force, though together:\n$result" if $together && $apart;
    return if !$together;
    my %distance = ($from => 0);
    for my $length (1 .. keys %{ $stitch->{customer} })
    {
        for (grep { in_force($model, $stitch, $_) } keys %{ $stitch->{links} })
        {
            my ($x, $y) = split / /;
            for ([ $x, $y ], [ $y, $x ])
            {
                my ($near, $far) = @$_;
                $distance{$far} //= $length if defined $distance{$near} && $distance{$near} == $length - 1;
            }
        }
    }
    return @hops == $distance{$to} ? undef : @hops . " hops, not $distance{$to}:\n$result";
}

# Does this link join its ends?
sub in_force
{
    my ($model, $stitch, $pair) = @_;
    my ($x, $y) = split / /, $pair;
    return $stitch->{links}{$pair} && $stitch->{customer}{$x} == $stitch->{customer}{$y}
      && (!$stitch->{quarantined}{$x} || $stitch->{must}{$pair});
}

sub judge_hop
{
    my ($model, $stitch, $x, $y, $source, $key, $day, $outcome) = @_;
    my $pair = pair_of($x, $y);
    return in_force($model, $stitch, $pair) && $stitch->{must}{$pair} ? undef : 'no must-link in force'
      if $outcome eq 'must_link';
    my $skipped = grep { $outcome eq $_ } @{ $stitch->{skipped}{$pair} || [] };
    return undef if $skipped && $stitch->{must}{$pair} && $source eq '';
    my @evidence = grep { $_->{source} eq $source && (!defined $_->{key} || $_->{key} eq $key) && $_->{at} == ($day || 0)
          && 2 == grep { $_ eq $x || $_ eq $y } $model->nodes(@{ $_->{ids} }) } values %{ $model->{evidence} };
    my @objections = map { judge_evidence($model, $stitch, $x, $y, $_, $outcome, $skipped) } @evidence;
    return @evidence ? (@objections == @evidence ? $objections[0] : undef) : 'no such evidence';
}

# Why the outcome isn't true of the two in this evidence; nothing if it is
sub judge_evidence
{
    my ($model, $stitch, $x, $y, $evidence, $outcome, $skipped) = @_;
    my $pair = pair_of($x, $y);
    return $evidence->{retracted} ? () : 'not retracted' if $outcome eq 'retracted';
    return 'retracted' if $evidence->{retracted};
    return $stitch->{$outcome}{$x} || $stitch->{$outcome}{$y} ? () : "not $outcome" if $outcome =~ /^(blocked|shared)$/;
    my $alone = $model->copy;
    $alone->{evidence} = { one => $evidence };
    return 'the evidence has no such link' if !exists $alone->stars($stitch->{usable})->{$pair};
    return in_force($model, $stitch, $pair) ? () : 'not in force' if $outcome eq 'joined';
    return $stitch->{quarantined}{$x} || $stitch->{quarantined}{$y} ? () : 'not quarantined' if $outcome eq 'quarantined';
    return $skipped ? () : 'not skipped for that';
}

#
# Failures
#

sub program_text
{
    my ($program) = @_;
    return join '', map { call_sql(@$_) . ";\n" } @$program;
}

# Programs that are the given one less some calls next to each other
sub without_calls
{
    my ($count, @program) = @_;
    return map { [ @program[ 0 .. $_ - 1 ], @program[ $_ + $count .. $#program ] ] } 0 .. @program - $count;
}

# Programs that are the given one with one call made smaller
sub with_smaller_call
{
    my (@program) = @_;
    my @smaller;
    for my $i (0 .. $#program)
    {
        my ($name, @a) = @{ $program[$i] };
        my $with = sub { push @smaller, [ @program[ 0 .. $i - 1 ], @_, @program[ $i + 1 .. $#program ] ] };
        $with->(map { [ 'identify', $_ ] } @a) if $name eq 'identify_many';
        $with->(map { [ 'guess_many', $a[0], $_ ] } @a[ 1 .. $#a ]) if $name eq 'guess_many' && @a > 2;
        for my $n ($name =~ /^identify/ ? (0 .. $#a) : ())
        {
            my @ids = @{ $a[$n]{ids} };
            $with->([ $name, @a[ grep { $_ != $n } 0 .. $#a ] ]) if @a > 1;
            for my $without (@ids > 2 ? (0 .. $#ids) : ())
            {
                my @fewer = @a;
                $fewer[$n] = { %{ $a[$n] }, ids => [ @ids[ grep { $_ != $without } 0 .. $#ids ] ] };
                $with->([ $name, @fewer ]);
            }
        }
        if ($name eq 'simulate')
        {
            my ($observations, $rules) = @a;
            for my $without (0 .. $#$observations)
            {
                $with->([ $name, [ @$observations[ grep { $_ != $without } 0 .. $#$observations ] ], $rules ]);
            }
            for my $without (sort keys %$rules)
            {
                $with->([ $name, $observations, { map { $_ => $rules->{$_} } grep { $_ ne $without } keys %$rules } ]);
            }
        }
        if ($name eq 'set_rule')
        {
            my ($namespace, %values) = @a;
            for my $without (sort keys %values)
            {
                $with->([ $name, $namespace, map { $_ => $values{$_} } grep { $_ ne $without } sort keys %values ]);
            }
        }
    }
    return @smaller;
}

# The program cut down while it fails, with the reason
sub shrink
{
    my ($node, $program, $reason) = @_;
    my $cut = sub {
        my @candidates = @_;
        my @reasons = run_programs($node, 'postgres', 0, @candidates);
        my ($first) = grep { defined $reasons[$_] } 0 .. $#reasons;
        return 0 if !defined $first;
        ($program, $reason) = ($candidates[$first], $reasons[$first]);
        return 1;
    };
    $cut->([ @$program[ 0 .. $1 ] ]) if $reason =~ /^call (\d+)/;
    for (my $count = int(@$program / 2); $count > 0; $count = int($count / 2))
    {
        1 while @$program > $count && $cut->(without_calls($count, @$program));
    }
    1 while $cut->(with_smaller_call(@$program));
    return ($program, $reason);
}

1;
