# Proves that a spread hub is exact while clients record, join, part and delete, others refresh, and readers ask workers:
# each reader finds every touchpoint that was committed before it asked, once, and none twice. A worker that is killed
# stops what workers are asked for, with an error that says so, and nothing else; when it is back all is exact again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin", "$FindBin::Bin/../t/lib";
use CitusCluster;
use IPC::Run ();
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'sleep';

my ($node, @workers) = start_citus();
my $dir = PostgreSQL::Test::Utils::tempdir;
my $rounds = $ENV{PGJ_SLOW} ? 400 : 120;

sql($node, <<'END');
SELECT journey_create_hub('crm');
SELECT cardinality(crm.record_many(array_agg((ARRAY[identifier('c', (i % 300)::text)], timestamptz '2026-01-01Z' + i * interval '3 min',
       (ARRAY['web', 'store', 'phone'])[1 + i % 3], (ARRAY['view', 'buy', 'call', 'return'])[1 + i % 4], i % 10, NULL, NULL, NULL, NULL, NULL, 'x', i::text, NULL, NULL, NULL)::crm.event)))
FROM generate_series(1, 6000) i;
SELECT crm.refresh();
SELECT journey_distribute_hub('crm');
CREATE FUNCTION found() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    least bigint := (SELECT count(*) FROM crm.touchpoints);
    journeys bigint;
    customers bigint;
    different bigint;
    blocks bigint;
    funnel bigint;
    most bigint;
    gone bigint;
BEGIN
    IF random() < 0.5 THEN
        SELECT sum(journey_length(j.journey)), count(*), count(DISTINCT j.customer_id) INTO journeys, customers, different FROM crm.current_journeys j;
    ELSE
        SELECT count(*), count(DISTINCT touchpoint_ref(t.t)) INTO journeys, blocks FROM crm.current_journeys j, unnest(j.journey) t(t);
        IF journeys <> blocks THEN
            RETURN format('WRONG: %s touchpoints, %s different', journeys, blocks);
        END IF;
    END IF;
    SELECT sum(journey_block_touchpoints(b.block)) INTO blocks FROM crm.current_blocks b;
    most := (SELECT count(*) FROM crm.touchpoints);
    gone := (SELECT count(*) FROM crm.touchpoints WHERE source = 'gone');
    IF customers <> different OR journeys NOT BETWEEN least AND most OR blocks NOT BETWEEN least AND most THEN
        RETURN format('WRONG: %s to %s touchpoints, %s in journeys, %s in blocks, %s customers, %s different', least, most, journeys, blocks, customers, different);
    END IF;
    RETURN 'found';
END $$;
END

# SQL of one client, a statement a transaction
my %script = (
	(map { my $w = $_; "writer$w" => join "\n", map { sprintf "SELECT crm.record('{c:%d}', '2026-02-01Z'::timestamptz + interval '%d min', 'web', 'view', source => 'w%d', source_key => '%d') > 0;",
			rand 400, $_, $w, $_ } 1 .. 3 * $rounds } 1, 2),
	joiner => join("\n", map { my ($a, $b) = (int rand 400, int rand 400); "SELECT crm.must_link('c:$a', 'c:$b') IS NOT NULL;" . ($_ % 2 ? " SELECT crm.cannot_link('c:$a', 'c:$b') IS NOT NULL;" : '') } 1 .. $rounds / 4),
	refresher => join("\n", map { "SELECT crm.refresh() >= 0;\nSELECT pg_sleep(0.02);" } 1 .. $rounds),
	(map { ("reader$_" => join "\n", ('SELECT found();') x $rounds) } 1, 2));

sub start_client
{
	my ($name) = @_;
	append_to_file("$dir/$name.sql", $script{$name}) if !-e "$dir/$name.sql";
	return IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-f', "$dir/$name.sql" ], '>', "$dir/$name.out", '2>', "$dir/$name.err");
}
my %client = map { $_ => start_client($_) } sort keys %script;
$_->finish for values %client;
my ($found, $wrong) = (0, '');
for (1, 2)
{
	my $out = slurp_file("$dir/reader$_.out");
	$found += () = $out =~ /^found$/mg;
	$wrong .= join '', grep { /WRONG/ } split /^/, $out;
}
is($wrong, '', 'readers found each touchpoint once');
cmp_ok($found, '>=', 1.8 * $rounds, "$found times");
# a merge in the way of another is an error of its own, told as on one node
unlike(slurp_file("$dir/$_.err"), qr/ERROR/, "$_: no error") for qw(writer1 writer2 reader1 reader2 refresher);
unlike(slurp_file("$dir/refresher.err"), qr/WARNING/, 'each refresh reached the workers');

sub exact
{
	my ($when) = @_;
	is(sql($node, <<'END'), '0|0|0', "$when: all is exact");
SELECT (SELECT count(*) FROM ((TABLE crm.current_journeys EXCEPT ALL TABLE crm.home_journeys) UNION ALL (TABLE crm.home_journeys EXCEPT ALL TABLE crm.current_journeys)) d),
       (SELECT count(*) FROM ((SELECT u.customer, u.journey FROM crm.current_blocks b, unnest(b.block) u EXCEPT ALL TABLE crm.home_journeys)
                              UNION ALL (TABLE crm.home_journeys EXCEPT ALL SELECT u.customer, u.journey FROM crm.current_blocks b, unnest(b.block) u)) d),
       (SELECT sum(journey_length(journey)) FROM crm.current_journeys) - (SELECT count(*) FROM crm.touchpoints)
END
}
exact('after the storm');
sql($node, 'SELECT crm.refresh()');
exact('after a refresh');
is(sql($node, 'SELECT count(*) FROM (TABLE crm.customer_journeys EXCEPT TABLE crm.spread_journeys) d'), 0, 'workers have it all');
is(sql($node, 'SELECT count(*) FROM crm.unspread'), 0, 'and nothing is left to be sent');

# a worker dies while a client refreshes
append_to_file("$dir/dying.sql", join "\n", map { "SELECT crm.record('{c:$_}', '2026-02-02Z', 'web', 'view') > 0; SELECT crm.refresh() >= 0;" } 1 .. $rounds);
my $dying = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-f', "$dir/dying.sql" ], '>', "$dir/dying.out", '2>', "$dir/dying.err");
sleep 1;
$workers[1]->stop('immediate');
$dying->finish;
my $said = slurp_file("$dir/dying.err");
my $recorded = () = slurp_file("$dir/dying.out") =~ /^t$/mg;
is(crashes($node), '', 'the coordinator lives');
like($said, qr/WARNING:  workers were not sent/, 'and it is told');
note substr($said, 0, 2000);
my ($status, undef, $error) = $node->psql('postgres', 'SELECT count(*) FROM crm.current_journeys');
isnt($status, 0, 'workers can\'t be asked');
like($error, qr/ERROR:.*(connection|could not|terminat)/i, 'and an error says so');
is(sql($node, 'SELECT (SELECT sum(journey_length(journey)) FROM crm.home_journeys) - (SELECT count(*) FROM crm.touchpoints)'), 0, 'the hub has it all');
is(sql($node, "SELECT crm.record('{c:1}', '2026-02-03Z', 'web', 'view') > 0, (SELECT count(*) > 0 FROM crm.timeline_of(crm.customer_of('c:1')))"), 't|t', 'records, and shows');
($status, my $out, $error) = $node->psql('postgres', 'SELECT crm.refresh() > 0');
is("$status $out", '0 t', 'and refreshes');
like($error, qr/WARNING:  workers were not sent the journeys that have changed.*DETAIL:.*HINT:/s, 'with a warning');
cmp_ok(sql($node, 'SELECT count(*) FROM crm.unspread'), '>', 0, 'what they lack is noted');
($status, undef, $error) = $node->psql('postgres', "SELECT crm.erase(crm.customer_of('c:2'), 'asked for')");
isnt($status, 0, 'nobody is erased by half');
like($error, qr/ERROR:  workers can't be reached: 127.0.0.1/, 'and that is said');

$workers[1]->start;
sql($node, 'SELECT recover_prepared_transactions()');
exact('the worker is back');
cmp_ok(sql($node, 'SELECT crm.spread()'), '>', 0, 'what it lacks is sent');
exact('and all is sent');
is(sql($node, 'SELECT (SELECT count(*) FROM crm.unspread), (SELECT count(*) FROM (TABLE crm.customer_journeys EXCEPT TABLE crm.spread_journeys) d)'), '0|0', 'workers have it all');

# one that has yet to commit
sql($node, 'UPDATE crm.spread_state SET serial = serial + 1');
(undef, undef, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT count(*) FROM crm.current_journeys");
like($error, qr/ERROR:  55000: a worker has yet to commit journeys.*recover_prepared_transactions/s, 'a worker that is behind is not read');
sql($node, 'UPDATE crm.spread_state SET serial = serial - 1');
exact('when it is not');

# a snapshot that is older than what workers have
is(sql($node, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) > 0 FROM crm.current_journeys; COMMIT'), 't', 'a snapshot that is as new can be read');
my $session = $node->background_psql('postgres', on_error_stop => 0) if $node->can('background_psql');
SKIP:
{
	skip 'no background_psql', 1 if !$session || !$session->can('query');
	$session->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM crm.customers');
	sql($node, "SELECT crm.record('{c:5}', '2026-02-04Z', 'web', 'view'), crm.refresh()");
	$session->query('SELECT count(*) FROM crm.current_journeys');
	like($session->{stderr}, qr/could not read journeys in this snapshot/, 'an older one is refused');
	$session->quit;
}
done_testing();
