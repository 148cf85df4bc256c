# Proves that pg_upgrade takes a filled hub along: from the PostgreSQL that PGJ_OLD_PG_CONFIG names, which must have the
# extension ("make upgradecheck" sees to it), or else from this one, for even that makes functions before operator classes.
# Slow: part of "make slowtest", and of "make upgradecheck".
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use FilledHub;
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $new_config = $ENV{PG_CONFIG} || 'pg_config';
my $old_config = $ENV{PGJ_OLD_PG_CONFIG} || $new_config;
chomp(my ($old_bin, $new_bin) = (`$old_config --bindir`, `$new_config --bindir`));

my $old = PostgreSQL::Test::Cluster->new('old', $ENV{PGJ_OLD_PG_CONFIG} ? (install_path => $old_bin =~ s{/bin$}{}r) : ());
$old->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$old->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$old->start;
sql($old, 'CREATE EXTENSION pg_journey');
my ($checks, $before) = fill_hub($old);
# how functions and views are written down is not the same in all versions
delete $checks->{parts};
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ '--encoding=UTF8', '--locale=C', $old->pg_version < 18 && $new->pg_version >= 18 ? '--no-data-checksums' : () ]);
$new->append_conf('postgresql.conf', "timezone = 'UTC'\n");
chdir $new->basedir;  # pg_upgrade writes where it is
my ($said, $complained);
my $upgraded = IPC::Run::run(
    [ 'pg_upgrade', '-b', $old_bin, '-B', $new_bin, '-d', $old->data_dir, '-D', $new->data_dir, '-p', $old->port, '-P', $new->port, '-s', $new->host ],
    '>', \$said, '2>', \$complained);
ok($upgraded, 'pg_upgrade from ' . $old->pg_version . ' to ' . $new->pg_version);
if (!$upgraded)
{
    my $logs = join '', map { slurp_file($_) } glob $new->data_dir . '/pg_upgrade_output.d/*/*.txt ' . $new->data_dir . '/pg_upgrade_output.d/*/log/*';
    diag $complained, grep { !/ok$/ } split /^/, $said;
    diag $1 while $logs =~ /^(.*(?:error|FATAL|ERROR|could not).*\n(?:.*\n){3})/mg;
    done_testing();
    exit;
}
$new->start;
my %answers = answers($new, 'postgres', %$checks);
is($answers{$_}, $before->{$_}, $_) for sort keys %answers;
is(sql($new, $goes_on), $went_on, 'the hub goes on');
is(crashes($new), '', 'no process crashed');
$new->stop;
done_testing();
