# Proves that pg_upgrade takes a filled hub along, from the PostgreSQL that PGJ_OLD_PG_CONFIG names to the one under test:
# "make upgradecheck" gets both. Both must have the extension.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use FilledHub;
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'PGJ_OLD_PG_CONFIG names no older PostgreSQL ("make upgradecheck" gets one)' if !$ENV{PGJ_OLD_PG_CONFIG};
chomp(my $old_bin = `$ENV{PGJ_OLD_PG_CONFIG} --bindir`);
chomp(my $new_bin = `pg_config --bindir`);

my $old = PostgreSQL::Test::Cluster->new('old', install_path => $old_bin =~ s{/bin$}{}r);
$old->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$old->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$old->start;
sql($old, 'CREATE EXTENSION pg_journey');
my ($checks, $before) = fill_hub($old);
# how functions and views are written down is not the same in all versions
delete $checks->{parts};
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ '--encoding=UTF8', '--locale=C', $new->pg_version >= 18 ? '--no-data-checksums' : () ]);
$new->append_conf('postgresql.conf', "timezone = 'UTC'\n");
chdir $new->basedir;  # pg_upgrade writes where it is
command_ok(
    [ 'pg_upgrade', '--no-sync', '-b', $old_bin, '-B', $new_bin, '-d', $old->data_dir, '-D', $new->data_dir, '-p', $old->port, '-P', $new->port,
      '-s', $new->host ],
    'pg_upgrade from ' . $old->pg_version . ' to ' . $new->pg_version);
$new->start;
is(sql($new, $checks->{$_}), $before->{$_}, $_) for sort keys %$checks;
is(sql($new, $goes_on), $went_on, 'the hub goes on');
is(crashes($new), '', 'no process crashed');
$new->stop;
done_testing();
