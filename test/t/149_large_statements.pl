# Proves that statements of thousands of rows on attached tables do not deadlock with each other: two sessions change, delete
# and insert rows of tables that are fed immediately, of the same customers in opposite orders, others feed what a third
# changes, and one takes evidence and touchpoints back. Nobody is stopped, and all ends as the tables say.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgJourney;
use Test::More;

use constant ROWS => 2200;

my $node = start_server('main');
$node->append_conf('postgresql.conf', "deadlock_timeout = '100ms'\n");
$node->restart;
my $rows = ROWS;
sql($node, <<"END");
SELECT journey_create_hub('hub');
SELECT hub.use_recommended_rules('PT');
UPDATE hub.settings SET notify = false;
CREATE TABLE up (id int PRIMARY KEY, who int, mail text, at timestamptz DEFAULT '2026-01-01Z');
CREATE TABLE down (LIKE up INCLUDING ALL);
CREATE TABLE later (LIKE up INCLUDING ALL);
INSERT INTO up SELECT n, n, 'u' || n || '\@x.pt' FROM generate_series(1, $rows) n;
INSERT INTO down SELECT n, $rows + 1 - n, 'd' || n || '\@x.pt' FROM generate_series(1, $rows) n;
INSERT INTO later SELECT n, (n + $rows / 2) % $rows, 'l' || n || '\@x.pt' FROM generate_series(1, $rows) n;
SELECT hub.attach_source(t, '{"occurred_at": "at", "channel": "''store''", "action": "''order''", "identifiers": {"w": "who", "email": "mail"}}',
                         feed => CASE t::text WHEN 'later' THEN 'queued' ELSE 'immediate' END) FROM unnest('{up,down,later}'::regclass[]) t;
END
my $change = sub {
    my ($table, $who) = @_;
    return ("UPDATE $table SET at = at + interval '1 h'", "UPDATE $table SET mail = 'x' || mail",
        "DELETE FROM $table", "INSERT INTO $table SELECT n, $who, '$table' || n || '\@x.pt' FROM generate_series(1, $rows) n", "UPDATE $table SET at = at + interval '1 h'");
};
my $event = "ARRAY[('w:' || n)::identifier, ('app:' || n)::identifier], '2026-01-01Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'app', n::text, NULL, NULL, NULL";
my @takes = map { ("SELECT cardinality(hub.record_many(array_agg(($event)::hub.event ORDER BY n * 11 % 700))) FROM generate_series(1, $rows) n",
        "SELECT hub.retract_many('app', array_agg(n::text ORDER BY n * 13 % 500)) FROM generate_series(1, $rows) n",
        "SELECT hub.unrecord_many('app', array_agg(n::text ORDER BY n * 17 % 600)) FROM generate_series(1, $rows) n") } 1;
my %run = (up => [ $change->('up', 'n') ], down => [ $change->('down', "$rows + 1 - n") ], later => [ $change->('later', "(n + $rows / 2) % $rows") ], takes => \@takes,
    feed1 => [ ('CALL hub.feed()') x 4 ], feed2 => [ ('CALL hub.feed()') x 4 ]);
# Sessions at once, each with statements of its own
sub together
{
    my (%statements) = @_;
    my %run;
    for (sort keys %statements)
    {
        my %session = (in => join(";\n", @{ $statements{$_} }) . ";\n", out => '', err => '');
        $session{handle} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') ], '<', \$session{in}, '>', \$session{out}, '2>', \$session{err});
        $run{$_} = \%session;
    }
    for (sort keys %run)
    {
        $run{$_}{handle}->finish;
        is($run{$_}{err}, '', "$_: nobody was stopped");
    }
}
together(up => [ ($run{up}[0]) x 2 ], down => [ ($run{down}[0]) x 2 ]);
together(%run);
sql($node, 'CALL hub.feed()');
is(sql($node, 'SELECT source, count(*) FROM hub.touchpoints GROUP BY 1 ORDER BY 1'), join("\n", map { "$_|$rows" } qw(down later up)), 'touchpoints are those of the rows');
is(sql($node, "SELECT count(*) FROM unnest('{up,down,later}'::text[]) t CROSS JOIN LATERAL hub.check_source(t) c"), 0, 'and say the same');
is(sql($node, 'SELECT count(*) FROM hub.stitch_check()'), 0, 'customers are what a rebuild gives');
is(sql($node, 'SELECT count(*) FROM hub.touchpoints t FULL JOIN hub.touchpoint_keys k USING (source, source_key, touchpoint_id, occurred_at) WHERE t.identity_id IS NULL OR k.ctid IS NULL'),
    0, 'keys are those of touchpoints');

# TRUNCATE of one, while another is changed
together(up => ['TRUNCATE up'], down => [ $run{down}[0] ]);
is(sql($node, 'SELECT source, count(*) FROM hub.touchpoints GROUP BY 1 ORDER BY 1'), join("\n", map { "$_|$rows" } qw(down later)), 'what was truncated is gone');
is(sql($node, 'SELECT count(*) FROM hub.stitch_check()'), 0, 'customers are what a rebuild gives');
is(crashes($node), '', 'no crash');
$node->stop;
done_testing();
