# Proves stitching on the shared-device and bad-data cases of a public manual: what
# it documents as the customers is what the hub makes of the events, in their order,
# reversed, shuffled and as one batch. The data isn't part of the project:
# PGJ_SHARED_DATA names its folder, ../shared/data beside the repository by default.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use List::Util 'shuffle';
use PgJourney;
use StitchModel;
use StitchRun;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = ($ENV{PGJ_SHARED_DATA} || "$FindBin::Bin/../../../shared/data") . '/identity';
plan skip_all => "no identity cases in $data (PGJ_SHARED_DATA names the folder above it)"
  if !-r "$data/shared_device_cases.json";

# For these nothing is documented
my %undocumented = map { $_ => 1 } qw(complex_shared_device_2 commerce_registered_and_guest);

my $cases = decode_json(slurp_file("$data/shared_device_cases.json"));
my $node = start_server('main');
make_hub($node);

my $asserted = 0;
for my $case (@$cases)
{
    next if $undocumented{ $case->{name} };
    $asserted++;
    my $expected = StitchModel::partition_text(
        $case->{orders_agree} ? $case->{partition_newest_first} : $case->{partition_priority_then_newest});

    my $priority = @{ $case->{namespace_priority} };
    my %unique = map { $_ => 1 } @{ $case->{unique} };
    my @rules = map { [ 'set_rule', $_, priority => $priority--, max => $unique{$_} ? 1 : undef ] } @{ $case->{namespace_priority} };

    my @observations = map {
        { ids => [ map { "$_->{ns}:$_->{id}" } @{ $_->{ids} } ], at => 1 + $_->{ts}, source => 'events', key => "event $_->{ts}" }
    } @{ $case->{events} };
    my @calls = map { [ 'identify', $_ ] } @observations;

    my %arrival = (
        'in order' => [ @rules, @calls ],
        'reversed' => [ @rules, reverse @calls ],
        'shuffled' => [ @rules, shuffle(@calls) ],
        'as one batch' => [ @rules, [ 'identify_many', @observations ] ],
        'as one shuffled batch' => [ @rules, [ 'identify_many', shuffle(@observations) ] ],
        'before the rules' => [ @calls, @rules ]);
    for (sort keys %arrival)
    {
        my $state = sql($node, join ";\n", 'SELECT reset_hub()', map({ StitchRun::call_sql(@$_) } @{ $arrival{$_} }), 'SELECT hub_state()');
        my $identities = StitchRun::read_state((split /\n/, $state)[-1])->{identities};
        my %customers;
        push @{ $customers{ $identities->{$_}{customer} } }, $_ for keys %$identities;
        is(StitchModel::partition_text([ values %customers ]), $expected, "$case->{name}, $_");
    }
    is(sql($node, 'SELECT hub_problems()'), '', "$case->{name}: nothing out of step");
}
cmp_ok($asserted, '>', 0, 'there are cases');
is(crashes($node), '', 'no crash');
$node->stop;

done_testing();
