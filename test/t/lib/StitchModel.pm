# The law of stitching a second time, from its definition alone and as plainly as
# it allows: what a hub knows (rules, evidence, pairs), how each call changes that,
# and the partition of identifiers into customers that follows. It keeps nothing
# derived from one call to the next and knows nothing of how a hub computes.
#
# An identifier is its text. An observation is { ids, at, source, key }, at a whole
# number; key undef for one without a key. A rule is { priority, max, shared, blocked,
# normalizer, country }, each undef where the rule says nothing; blocked is a list. A call
# is [ name, arguments ], see apply().
#
# Evidence and pairs keep identifiers as they came in. What is one by its normal form is
# a node, named by that form; partitions, links and flags are of nodes.
package StitchModel;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(by_identifier pair_of);

# Values that no rule has to block: words of the default list, and its patterns
my @DEFAULT_BLOCKED = (qw(null none nil undefined anonymous guest unknown n/a na nan true false 0 -1),
    '~^test@', '~^(\d)\1{3,}$');

# What people write, and what it is to each normaliser, or country of phones; what is not here can't be read
my %international = map { $_ => $_ } '+351912345678', '+351933333333', '+351612345678', '+351213456788', '+34612345678', '+34912345678',
  '+34933333333', '+34213456788';
$international{$_} = '+351912345678' for '+351-912-345-678', '00351912345678';
my %normal = (
    email => {
        map({ $_ => 'ana@example.pt' } 'ana@example.pt', 'Ana@Example.PT', 'mailto:ANA@example.pt'),
        map({ $_ => 'rui@example.pt' } 'rui@example.pt', 'Rui@EXAMPLE.pt'),
        map({ $_ => 'test@example.pt' } 'test@example.pt', 'Test@Example.pt') },
    '' => { %international },
    PT => {
        %international, '912-345-678' => '+351912345678', '912345678' => '+351912345678', '933.333.333' => '+351933333333',
        '612-345-678' => '+351612345678', map { $_ => '+351213456788' } '213456788', '213.456.788' },
    ES => {
        %international, '912-345-678' => '+34912345678', '912345678' => '+34912345678', '933.333.333' => '+34933333333',
        '612-345-678' => '+34612345678', map { $_ => '+34213456788' } '213456788', '213.456.788' },
    document => {
        map({ $_ => '52998224725' } '529.982.247-25', '52998224725', '529982247-25'),
        map({ $_ => '213456788' } '213.456.788', '213456788') },
);

our @SPELLINGS = sort keys %{ { map { %$_ } values %normal } };

sub new
{
    my ($class) = @_;
    return bless {
        rules => { '*' => { priority => 0, max => 0, shared => 0, blocked => [@DEFAULT_BLOCKED] } },
        evidence => {},     # by source and key: { ids, at, retracted }
        pairs => {},        # by pair: must or cannot
        known => {},        # identifiers
        records => {},      # by key: { id, source, fields }
        conflicts => {},    # by fields and source: { fields, source }
        quarantine => 10000,
    }, $class;
}

sub copy
{
    my ($self) = @_;
    return bless {
        rules => { map { $_ => { %{ $self->{rules}{$_} } } } keys %{ $self->{rules} } },
        evidence => { map { $_ => { %{ $self->{evidence}{$_} } } } keys %{ $self->{evidence} } },
        pairs => { %{ $self->{pairs} } },
        known => { %{ $self->{known} } },
        records => { %{ $self->{records} } },
        conflicts => { %{ $self->{conflicts} } },
        quarantine => $self->{quarantine},
    }, ref $self;
}

#
# Identifiers
#

# The order of the type identifier: namespace, then value, by bytes
sub by_identifier
{
    my ($x, $y) = map { [ split /:/, $_, 2 ] } @_;
    return $x->[0] cmp $y->[0] || $x->[1] cmp $y->[1];
}

sub distinct
{
    my %seen;
    return sort { by_identifier($a, $b) } grep { !$seen{$_}++ } @_;
}

# Two identifiers, the smaller first
sub pair_of { return join ' ', sort { by_identifier($a, $b) } @_ }

# What the rules say of a namespace; what its own rule leaves open, '*' says
sub rule
{
    my ($self, $id, $what) = @_;
    my ($namespace) = split /:/, $id, 2;
    for ($namespace, '*')
    {
        my $rule = $self->{rules}{$_};
        return $rule->{$what} if $rule && defined $rule->{$what};
    }
    return $what eq 'blocked' ? [] : $what =~ /normalizer|country/ ? '' : 0;
}

# The normal value of a value in the namespace of an identifier; undef if it can't be read
sub normal_value
{
    my ($self, $id, $value) = @_;
    my $normalizer = $self->rule($id, 'normalizer') || return $value;
    return $normal{ $normalizer eq 'phone' ? $self->rule($id, 'country') || '' : $normalizer }{$value};
}

sub node
{
    my ($self, $id) = @_;
    my ($namespace, $value) = split /:/, $id, 2;
    return join ':', $namespace, $self->normal_value($id, $value) // $value;
}

sub nodes { my ($self, @ids) = @_; return distinct(map { $self->node($_) } @ids) }

# Of a node
sub is_blocked
{
    my ($self, $id) = @_;
    my $value = (split /:/, $id, 2)[1];
    return 1 if !defined $self->normal_value($id, $value);
    for (@{ $self->rule($id, 'blocked') })
    {
        return 1 if /^~(.*)/s ? $value =~ /$1/i : lc $value eq lc $_;
        return 1 if !/^~/ && lc $value eq lc($self->normal_value($id, lc $_) // '');
    }
    return 0;
}

#
# Calls. apply() changes the model and returns what the call must return: undef
# if the model doesn't say, [error, SQLSTATE] for an error, [moved] for the number of
# identities that change customer, [number, n], [yes] or [no], [centres, identifiers whose
# customers are returned (undef: the model doesn't say)].
#

sub apply
{
    my ($self, $name, @arguments) = @_;
    return $self->$name(@arguments);
}

sub evidence_key
{
    my ($observation, @ids) = @_;
    my $key = defined $observation->{key} ? "=$observation->{key}" : join(' ', '', @ids, $observation->{at});
    return join "\t", $observation->{source}, $key;
}

sub identify
{
    my ($self, @observations) = @_;
    my %evidence = %{ $self->{evidence} };
    my %known = %{ $self->{known} };
    for my $o (@observations)
    {
        my @ids = distinct(@{ $o->{ids} });
        $known{$_} = 1 for @ids;
        next if @ids < 2;
        my $key = evidence_key($o, @ids);
        return [ 'error', '23505' ]
          if $evidence{$key} && join(' ', $self->nodes(@{ $evidence{$key}{ids} })) ne join(' ', $self->nodes(@ids));
        $evidence{$key} ||= { ids => \@ids, at => $o->{at}, source => $o->{source}, key => $o->{key}, retracted => 0 };
    }
    @$self{qw(evidence known)} = (\%evidence, \%known);
    my $s = $self->stitch;
    my @centres;
    for my $o (@observations)
    {
        my ($centre) = $self->strongest_first(grep { $s->{usable}{$_} } $self->nodes(@{ $o->{ids} }));
        push @centres, $centre;
    }
    return [ 'centres', @centres ];
}

sub identify_many { return identify(@_) }

# Each is { ids, two, strength, key }, all of source match, seen at one time
sub guess_many
{
    my ($self, $at, @guesses) = @_;
    return [ 'error', '42704' ] if grep { my $g = $_; grep { !$self->{known}{$_} && !$self->is_node($_) } @{ $g->{ids} } } @guesses;
    my $new = 0;
    for my $g (@guesses)
    {
        $self->{known}{$_} = 1 for @{ $g->{ids} };
        my $key = "match\t=$g->{key}";
        $self->{evidence}{$key} ||= do { $new++; { ids => [ distinct(@{ $g->{ids} }) ], at => $at, source => 'match', key => $g->{key},
            strength => $g->{strength}, retracted => 0 } };
    }
    return [ 'number', $new ];
}

# The normal form of something known?
sub is_node { my ($self, $id) = @_; return scalar grep { $self->node($_) eq $id } keys %{ $self->{known} } }

# A record says something of an identifier; one of that key is replaced
sub tell
{
    my ($self, $id, $source, $key, %fields) = @_;
    $self->{known}{$id} = 1;
    $self->{records}{"$source $key"} = { id => $id, source => $source, key => $key, fields => \%fields };
    return ['yes'];
}

sub untell
{
    my ($self, $source, $key) = @_;
    return [ delete $self->{records}{"$source $key"} ? 'yes' : 'no' ];
}

sub set_conflict
{
    my ($self, $fields, $source) = @_;
    my $is_new = !$self->{conflicts}{"@$fields|" . ($source // '')};
    $self->{conflicts}{"@$fields|" . ($source // '')} = { fields => $fields, source => $source };
    return [ $is_new ? 'yes' : 'no' ];
}

sub drop_conflict
{
    my ($self, $fields, $source) = @_;
    return [ delete $self->{conflicts}{"@$fields|" . ($source // '')} ? 'yes' : 'no' ];
}

sub retract
{
    my ($self, $source, $key) = @_;
    my $evidence = $self->{evidence}{"$source\t=$key"};
    return ['no'] if !$evidence || $evidence->{retracted};
    $evidence->{retracted} = 1;
    return ['yes'];
}

sub retract_many
{
    my ($self, $source, @keys) = @_;
    return [ 'number', scalar grep { $self->retract($source, $_)->[0] eq 'yes' } @keys ];
}

# A pair in whatever form is the same pair
sub same_pairs
{
    my ($self, $x, $y) = @_;
    my $pair = join ' ', $self->nodes($x, $y);
    return grep { $pair eq join ' ', $self->nodes(split / /) } keys %{ $self->{pairs} };
}

sub set_pair
{
    my ($self, $kind, $x, $y) = @_;
    return [ 'error', '22023' ] if $self->node($x) eq $self->node($y);
    my @same = $self->same_pairs($x, $y);
    my @other = grep { $self->{pairs}{$_} ne $kind } @same;
    $self->{known}{$_} = 1 for $x, $y;
    delete @{ $self->{pairs} }{@other};
    $self->{pairs}{ pair_of($x, $y) } = $kind;
    return [ @same && !@other ? 'no' : 'yes' ];
}

sub must_link { my ($self, @two) = @_; return $self->set_pair('must', @two) }
sub cannot_link { my ($self, @two) = @_; return $self->set_pair('cannot', @two) }

sub clear_pair
{
    my ($self, @two) = @_;
    return [ 'error', '22023' ] if $self->node($two[0]) eq $self->node($two[1]);
    my @same = $self->same_pairs(@two);
    delete @{ $self->{pairs} }{@same};
    return [ @same ? 'yes' : 'no' ];
}

sub set_rule
{
    my ($self, $namespace, %values) = @_;
    my $rule = $self->{rules}{$namespace} ||= {};
    defined $values{$_} and $rule->{$_} = $values{$_} for keys %values;
    return ['moved'];
}

sub drop_rule
{
    my ($self, $namespace) = @_;
    return [ 'error', '42704' ] if !delete $self->{rules}{$namespace};
    return ['moved'];
}

sub set_quarantine_above
{
    my ($self, $identities) = @_;
    $self->{quarantine} = $identities;
    return ['moved'];
}

sub stitch_all { return ['moved'] }

#
# The law
#

sub strongest_first
{
    my ($self, @ids) = @_;
    my %priority = map { $_ => $self->rule($_, 'priority') } @ids;
    return sort { $priority{$b} <=> $priority{$a} || by_identifier($a, $b) } @ids;
}

sub live { return grep { !$_->{retracted} } values %{ $_[0]{evidence} } }

# Facts were seen, guesses are only likely
sub facts { return grep { !defined $_->{strength} } $_[0]->live }

# The links of all live evidence among the given identifiers, each a star from the
# strongest to the others: newest observation by pair
sub stars
{
    my ($self, $among) = @_;
    return $self->links_of($among, $self->live);
}

sub links_of
{
    my ($self, $among, @evidence) = @_;
    my %newest;
    for my $evidence (@evidence)
    {
        my ($centre, @others) = $self->strongest_first(grep { $among->{$_} } $self->nodes(@{ $evidence->{ids} }));
        for (@others)
        {
            my $pair = pair_of($centre, $_);
            $newest{$pair} = $evidence->{at} if !defined $newest{$pair} || $newest{$pair} < $evidence->{at};
        }
    }
    return \%newest;
}

# Sets joined by links: identifier to set
sub join_all
{
    my ($ids, $pairs) = @_;
    my %set = map { $_ => [$_] } @$ids;
    unite(\%set, split / /) for @$pairs;
    return \%set;
}

sub unite
{
    my ($set, $x, $y) = @_;
    return if $set->{$x} == $set->{$y};
    my $union = [ @{ $set->{$x} }, @{ $set->{$y} } ];
    $set->{$_} = $union for @$union;
}

# The distinct sets
sub sets
{
    my ($set) = @_;
    my %seen;
    return grep { !$seen{$_}++ } map { $set->{$_} } sort { by_identifier($a, $b) } keys %$set;
}

# Why these identifiers can't be one customer
sub objections
{
    my ($self, @ids) = @_;
    my (%count, %reason);
    for (@ids)
    {
        my ($namespace) = split /:/;
        my $max = $self->rule($_, 'max');
        $reason{"max_per_customer: $namespace"} = 1 if ++$count{$namespace} > $max && $max > 0;
    }
    my %in = map { $_ => 1 } @ids;
    for my $pair ($self->node_pairs('cannot'))
    {
        $reason{cannot_link} = 1 if 2 == grep { $in{$_} } split / /, $pair;
    }
    my @reasons = sort keys %reason;
    return @reasons;
}

# What records say of each node in fields of conflicts: attribute to node to a list of values. An attribute is what is
# told of a conflict in it, and which conflict that is
sub attributes
{
    my ($self) = @_;
    my %attributes;
    for my $conflict (sort keys %{ $self->{conflicts} })
    {
        my ($fields, $source) = @{ $self->{conflicts}{$conflict} }{qw(fields source)};
        for my $record (grep { !defined $source || $_->{source} eq $source } values %{ $self->{records} })
        {
            my $node = $self->node($record->{id});
            push @{ $attributes{"conflict: records of $source\n$conflict"}{$node} }, $record->{key} if !@$fields;
            for my $field (@$fields)
            {
                my $value = lc($record->{fields}{$field} // '') =~ s/^ +| +$//gr;
                push @{ $attributes{"conflict: $field\n$conflict"}{$node} }, $value if $value ne '';
            }
        }
    }
    return \%attributes;
}

# Why a guess may not join two groups: both have values of an attribute, and not all are the same
sub conflicts_between
{
    my ($attributes, $x, $y) = @_;
    my %reasons;
    for (keys %$attributes)
    {
        my $values = $attributes->{$_};
        my @in_x = map { @{ $values->{$_} || [] } } @$x;
        my @in_y = map { @{ $values->{$_} || [] } } @$y;
        my %different = map { $_ => 1 } @in_x, @in_y;
        $reasons{ (split /\n/)[0] } = 1 if @in_x && @in_y && keys %different > 1;
    }
    return sort keys %reasons;
}

# Pairs of nodes; one that has become one node is none
sub node_pairs
{
    my ($self, $kind) = @_;
    my %pairs = map { join(' ', $self->nodes(split / /)) => 1 } grep { $self->{pairs}{$_} eq $kind } keys %{ $self->{pairs} };
    return sort grep { / / } keys %pairs;
}

# must-links first; then the weaker end's priority, the stronger's, newest: all
# descending; then the identifiers
sub canonical_order
{
    my ($self, $newest, @pairs) = @_;
    my %must = map { $_ => 1 } $self->node_pairs('must');
    my %rank;
    for (@pairs)
    {
        my @ends = split / /;
        my ($weak, $strong) = sort { $a <=> $b } map { $self->rule($_, 'priority') } @ends;
        $rank{$_} = [ $must{$_} ? 1 : 0, $weak, $strong, $newest->{$_} // '-inf', @ends ];
    }
    return sort {
        my ($x, $y) = @rank{ $a, $b };
        $y->[0] <=> $x->[0] || $y->[1] <=> $x->[1] || $y->[2] <=> $x->[2] || $y->[3] <=> $x->[3]
          || by_identifier($x->[4], $y->[4]) || by_identifier($x->[5], $y->[5])
    } @pairs;
}

# Which of the nodes given, the unblocked ones, were seen with too many people. Nodes whose
# namespace has no limit tell people apart: those that evidence or a must-link connects are one
# person. Each evidence shows one: that of such nodes in it; without any, its strongest other node.
sub crowded
{
    my ($self, @nodes) = @_;
    my %unblocked = map { $_ => 1 } @nodes;
    my @anchors = grep { !$self->rule($_, 'shared') } @nodes;
    my %anchor = map { $_ => 1 } @anchors;
    my $person = { map { $_ => [$_] } @anchors };
    my @evidence = map { [ grep { $unblocked{$_} } $self->nodes(@{ $_->{ids} }) ] } $self->facts;
    for my $together (@evidence, map { [ split / / ] } $self->node_pairs('must'))
    {
        my ($first, @others) = grep { $anchor{$_} } @$together;
        unite($person, $first, $_) for @others;
    }
    my %people;
    for my $evidence (@evidence)
    {
        for my $node (grep { !$anchor{$_} } @$evidence)
        {
            my ($anchor) = grep { $anchor{$_} } @$evidence;
            my ($other) = $self->strongest_first(grep { $_ ne $node } @$evidence);
            $people{$node}{ defined $anchor ? $person->{$anchor} : $other } = 1 if defined $other;
        }
    }
    return grep { keys %{ $people{$_} } > $self->rule($_, 'shared') } keys %people;
}

# Everything that follows from what is known:
# forms                     node to the identifiers that came in and have that form
# blocked, shared, usable   sets of nodes
# component                 node to its component, a list of nodes
# quarantined               set of the nodes in quarantined components
# links                     set of pairs, of live evidence and of must-links
# must                      set of those that are must-links
# skipped                   pair to reasons
# customer                  node to the list of nodes of its customer
# customers                 all of these lists
sub stitch
{
    my ($self) = @_;
    my %forms;
    push @{ $forms{ $self->node($_) } }, $_ for sort keys %{ $self->{known} };
    my @ids = sort { by_identifier($a, $b) } keys %forms;
    my %blocked = map { $_ => 1 } grep { $self->is_blocked($_) } @ids;
    my %shared = map { $_ => 1 } $self->crowded(grep { !$blocked{$_} } @ids);
    my %usable = map { $_ => 1 } grep { !$blocked{$_} && !$shared{$_} } @ids;
    my $newest = $self->links_of(\%usable, $self->facts);
    my %must = map { $_ => 1 } $self->node_pairs('must');
    my %facts = map { $_ => 1 } keys %$newest, keys %must;
    my $by_facts = join_all(\@ids, [ keys %facts ]);

    my (%quarantined, %skipped);
    my $customer = { map { $_ => [$_] } @ids };
    for my $members (sets($by_facts))
    {
        my @links = grep { $by_facts->{ (split / /)[0] } == $members } keys %facts;
        if (defined $self->{quarantine} && @$members > $self->{quarantine})
        {
            $quarantined{$_} = 1 for @$members;
            @links = grep { $must{$_} } @links;
        }
        my $whole = join_all($members, \@links);
        if (!grep { $self->objections(@$_) } sets($whole))
        {
            @$customer{@$members} = @$whole{@$members};
            next;
        }
        for ($self->canonical_order($newest, @links))
        {
            my ($x, $y) = split / /;
            next if $customer->{$x} == $customer->{$y};
            my @objections = $self->objections(@{ $customer->{$x} }, @{ $customer->{$y} });
            if (@objections) { $skipped{$_} = \@objections }
            else { unite($customer, $x, $y) }
        }
    }

    # then guesses, as far as that is lawful
    my ($strength, $seen) = $self->guesses(\%usable, \%facts);
    my $attributes = $self->attributes;
    for ($self->guess_order($strength, $seen))
    {
        my ($x, $y) = split / /;
        next if $quarantined{$x} || $quarantined{$y} || $customer->{$x} == $customer->{$y};
        my @together = (@{ $customer->{$x} }, @{ $customer->{$y} });
        my @objections = $self->objections(@together);
        push @objections, conflicts_between($attributes, $customer->{$x}, $customer->{$y});
        push @objections, 'too large' if defined $self->{quarantine} && @together > $self->{quarantine};
        if (@objections) { $skipped{$_} = \@objections }
        else { unite($customer, $x, $y) }
    }
    my %links = map { $_ => 1 } keys %facts, keys %$strength;
    my $component = join_all(\@ids, [ keys %links ]);
    return {
        forms => \%forms, blocked => \%blocked, shared => \%shared, usable => \%usable, component => $component,
        guessed => { map { $_ => 1 } grep { !$skipped{$_} && !$quarantined{ (split / /)[0] } && !$quarantined{ (split / /)[1] } } keys %$strength },
        quarantined => \%quarantined, links => \%links, must => \%must, skipped => \%skipped,
        customer => $customer, customers => [ sets($customer) ],
    };
}

# Links that only guesses make: the greatest strength, and the newest time, by pair
sub guesses
{
    my ($self, $among, $facts) = @_;
    my @guesses = grep { defined $_->{strength} } $self->live;
    my $seen = $self->links_of($among, @guesses);
    delete @$seen{ keys %$facts };
    my %strength;
    for my $guess (@guesses)
    {
        for (grep { defined $seen->{$_} } keys %{ $self->links_of($among, $guess) })
        {
            $strength{$_} = $guess->{strength} if !defined $strength{$_} || $strength{$_} < $guess->{strength};
        }
    }
    return (\%strength, $seen);
}

# The weaker end's priority, the stronger's, strength, newest: all descending; then the identifiers
sub guess_order
{
    my ($self, $strength, $newest) = @_;
    my %rank;
    for (keys %$strength)
    {
        my @ends = split / /;
        my ($weak, $strong) = sort { $a <=> $b } map { $self->rule($_, 'priority') } @ends;
        $rank{$_} = [ $weak, $strong, $strength->{$_}, $newest->{$_}, @ends ];
    }
    return sort {
        my ($x, $y) = @rank{ $a, $b };
        $y->[0] <=> $x->[0] || $y->[1] <=> $x->[1] || $y->[2] <=> $x->[2] || $y->[3] <=> $x->[3]
          || by_identifier($x->[4], $y->[4]) || by_identifier($x->[5], $y->[5])
    } keys %$strength;
}

# The partition as text, to be read and compared
sub partition_text
{
    my ($customers) = @_;
    return join ' | ', sort map { join ' ', sort { by_identifier($a, $b) } @$_ } @$customers;
}

# The nodes that evidence, live or not, or a pair connects with the given identifiers,
# however weakly: whatever else there is must not notice a change to these
sub surroundings
{
    my ($self, @ids) = @_;
    my @ties = ((map { [ $self->nodes(@{ $_->{ids} }) ] } values %{ $self->{evidence} }),
        map { [ $self->nodes(split / /) ] } keys %{ $self->{pairs} });
    my %in = map { $_ => 1 } $self->nodes(@ids);
    my $before = 0;
    while ($before < keys %in)
    {
        $before = keys %in;
        for my $tie (@ties)
        {
            @in{@$tie} = (1) x @$tie if grep { $in{$_} } @$tie;
        }
    }
    return \%in;
}

1;
