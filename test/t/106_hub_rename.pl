# A dump holds a hub's name. Where it is restored beside the hub it was taken from, which somebody has renamed, neither writes
# into the other; in another database, and as often as one likes. What attached tables are fed from is the one whose name it
# has, and that of both once both have their names.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
my $dump = "$PostgreSQL::Test::Utils::tmp_check/hub.sql";

sub refused
{
    my ($database, $query) = @_;
    my $error = '';
    $node->psql($database, $query, stderr => \$error);
    return $error;
}
sub touchpoints { return $node->safe_psql($_[0], "SELECT count(*) FROM $_[1].touchpoints") }
sub restore
{
    my ($database) = @_;
    command_ok([ 'psql', '-Xq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', $dump ], "restored in $database");
}

sql($node, <<'END');
CREATE SCHEMA shop;
SELECT journey_create_hub('crm');
CREATE TABLE shop.sale (id int PRIMARY KEY, at timestamptz, who text);
SELECT crm.attach_source('shop.sale', '{"occurred_at": "at", "channel": "''store''", "action": "''buy''", "identifiers": {"card": "who"}}');
INSERT INTO shop.sale VALUES (1, '2026-01-01Z', 'x');
CALL crm.feed();
SELECT crm.record('{card:x}', '2026-01-02Z', 'web', 'view');
END
command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-n', 'crm', '-f', $dump ], 'dumped');

# the hub is renamed, and its dump restored under the name it had
sql($node, 'ALTER SCHEMA crm RENAME TO former');
restore('postgres');
is(touchpoints('postgres', 'crm'), 2, 'the copy has what the hub has');
like(refused('postgres', q{SELECT former.record('{card:x}', '2026-01-03Z', 'web', 'view')}),
    qr/hub former was renamed, but not by journey_rename_hub.*HINT:  SELECT journey_upgrade_hub\('former'\)/s, 'the renamed hub refuses');
like(refused('postgres', q{SET search_path = former; CALL feed()}), qr/hub former was renamed/, 'and feeds nothing');
is(touchpoints('postgres', 'crm'), 2, 'nothing has gone into the copy');
sql($node, q{SELECT crm.record('{card:x}', '2026-01-03Z', 'web', 'view')});
is(touchpoints('postgres', 'crm') . touchpoints('postgres', 'former'), '32', 'the copy works');
sql($node, q{INSERT INTO shop.sale VALUES (2, '2026-01-03Z', 'x')});
sql($node, q{SELECT journey_upgrade_hub('former'); INSERT INTO shop.sale VALUES (3, '2026-01-03Z', 'x'); CALL former.feed()});
is(touchpoints('postgres', 'crm') . touchpoints('postgres', 'former'), '34', 'and, once it is upgraded, so does the renamed one');
sql($node, q{CALL crm.feed()});
is(touchpoints('postgres', 'crm') . touchpoints('postgres', 'former'), '54', 'each has its triggers');
sql($node, q{INSERT INTO shop.sale VALUES (4, '2026-01-03Z', 'x'); CALL crm.feed(); CALL former.feed()});
is(touchpoints('postgres', 'crm') . touchpoints('postgres', 'former'), '65', 'which feed each');

# where the hub never was: each copy but the last renamed
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION pg_journey; CREATE SCHEMA shop; CREATE TABLE shop.sale (id int PRIMARY KEY, at timestamptz, who text)');
foreach my $n (1 .. 2) {
    restore('other');
    $node->safe_psql('other', "ALTER SCHEMA crm RENAME TO copy_$n");
}
restore('other');
like(refused('other', "SELECT copy_$_.record('{card:x}', '2026-01-03Z', 'web', 'view')"), qr/hub copy_$_ was renamed/, "copy $_ refuses") foreach 1 .. 2;
$node->safe_psql('other', q{SELECT journey_rename_hub('copy_1', 'copy 3'), crm.record('{card:x}', '2026-01-03Z', 'web', 'view'),
    journey_upgrade_hub('copy_2')});
$node->safe_psql('other', q{SELECT "copy 3".record('{card:x}', '2026-01-03Z', 'web', 'view'), "copy 3".record('{card:y}', '2026-01-03Z', 'web', 'view')});
is(join(' ', map { touchpoints('other', $_) } 'crm', 'copy_2', '"copy 3"'), '3 2 4', 'each writes into itself');

done_testing();
