# Proves that pg_dump and pg_restore bring hubs back as they are, in whatever form: tables row for row, partitions, sequences,
# indexes, triggers, grants, policies and comments, a user's own column, index, view, trigger and attached table; views and
# pattern queries that answer the same; and that the hub goes on from there: it is what a rebuild gives, knows what it knew, and
# numbers what is new without a clash.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use FilledHub;
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;

my ($checks, $before) = fill_hub($node);

my $from = $node->connstr('postgres');
my @psql = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1');
my %dump = (
    plain => [ [ 'pg_dump', '-f', "$dir/plain", $from ], [ @psql, '-f', "$dir/plain" ] ],
    custom => [ [ 'pg_dump', '-Fc', '-f', "$dir/custom", $from ], [ 'pg_restore', '-e', "$dir/custom" ] ],
    directory => [ [ 'pg_dump', '-Fd', '-j2', '-f', "$dir/directory", $from ], [ 'pg_restore', '-e', '-j2', "$dir/directory" ] ],
    # first what there is, then what is in it: the triggers are there by then
    parts => [
        [ 'pg_dump', '--schema-only', '-f', "$dir/schema", $from ], [ @psql, '-f', "$dir/schema" ],
        [ 'pg_dump', '--data-only', '--disable-triggers', '-f', "$dir/data", $from ], [ @psql, '-f', "$dir/data" ] ],
    root => [
        [ 'pg_dump', '--schema-only', '-Fc', '-f', "$dir/schema.custom", $from ], [ 'pg_restore', '-e', "$dir/schema.custom" ],
        [ 'pg_dump', '--data-only', '--load-via-partition-root', '-Fc', '-f', "$dir/root", $from ],
        # --disable-triggers would not disable those of the partitioned table
        [ 'env', 'PGOPTIONS=-c session_replication_role=replica', 'pg_restore', '-e', "$dir/root" ] ],
    # by another role, who is no superuser, and owns it all then
    owner => [ [ 'pg_dump', '--no-owner', '-Fc', '-f', "$dir/owner", $from ], [ 'pg_restore', '-e', '--no-owner', '-U', 'new_owner', "$dir/owner" ] ]);
# Plain, custom and root alone are little else than parts and directory
for my $name (slowly([qw(directory owner parts)], [ sort keys %dump ])->@*)
{
    my $owner = $name eq 'owner' ? 'OWNER new_owner' : '';
    sql($node, "CREATE DATABASE $name TEMPLATE template0 $owner");
    my @steps = @{ $dump{$name} };
    while (my ($dump, $restore) = splice @steps, 0, 2)
    {
        command_ok($dump, "$name: dump");
        command_ok([ @$restore, '-d', $node->connstr($name) ], "$name: restore");
    }
    my %answers = answers($node, $name, %$checks, $owner ? (grants => $grants_alone) : ());
    is($answers{$_}, $owner && $_ eq 'grants' ? sql($node, $grants_alone) : $before->{$_}, "$name: $_") for sort keys %answers;
    is($node->safe_psql($name, $owner ? "SET ROLE new_owner;\n$goes_on" : $goes_on), $went_on, "$name: the hub goes on");
}

is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
