# Proves that nobody who may only read, or not even that, can hold up a hub: while somebody sits in a transaction that has read
# or written touchpoints, maintain() gives up, says who is in the way, and leaves everybody else at work; it does its work when
# he has gone. Journeys and keys stay exact. And that no lock that anybody may take stops refresh().
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgJourney;
use Test::More;

my $node = start_server('main');
$node->append_conf('postgresql.conf', "max_prepared_transactions = 2\nfsync = off\nautovacuum = off\n");
$node->restart;
sql($node, <<'END');
SELECT journey_create_hub('hub');
CREATE ROLE ana LOGIN;
CREATE ROLE wim LOGIN;
CREATE ROLE stranger LOGIN;
SELECT hub.grant_access('ana'), hub.grant_access('wim', 'writer');
GRANT CREATE ON SCHEMA public TO ana;
GRANT SELECT ON hub.touchpoints_default TO ana;
CREATE VIEW flaws AS
WITH truth AS (SELECT i.customer_id, journey_agg(t.occurred_at, t.channel, t.action, t.value, t.touchpoint_id,
                                           hub.packed_detail(t.direction, t.agent)) AS journey
               FROM hub.touchpoints t JOIN hub.identities i USING (identity_id) GROUP BY 1)
SELECT (SELECT count(*) FROM ((TABLE truth EXCEPT TABLE hub.current_journeys) UNION ALL (TABLE hub.current_journeys EXCEPT TABLE truth)) d)
       + (SELECT count(*) FROM hub.touchpoints t FULL JOIN hub.touchpoint_keys k USING (source, source_key, touchpoint_id, occurred_at)
          WHERE t.identity_id IS NULL OR k.ctid IS NULL) AS flaws;
CALL hub.maintain('2020-01-01Z');
SELECT cardinality(hub.record_many(array_agg((ARRAY[('c:' || n % 100)::identifier], timestamptz '2020-01-01Z' + n * interval '1 h', 'web', 'view',
    NULL, NULL, NULL, NULL, NULL, NULL, 'old', n::text, NULL, NULL, NULL)::hub.event))) FROM generate_series(1, 1400) n;
SELECT hub.refresh();
UPDATE hub.settings SET months_ahead = 5, notify = false;
END

my $keys = 0;
sub session
{
    my ($role, @queries) = @_;
    my $session = $node->background_psql('postgres', extra_params => [ '-U', $role ]);
    $session->query_safe($_) for @queries;
    return $session;
}
my $record = sub { $keys++; return "SELECT hub.record('{c:@{[ $keys % 100 ]}}', now(), 'web', 'buy', source => 'new', source_key => '$keys')" };

# Calls maintain(), and lets another read and write until it has ended: what it says. Both would hang if they had to wait.
sub maintain_among_others
{
    my ($lock_timeout, $meanwhile) = @_;
    my ($out, $err, $turns) = ('', '', 0);
    my $call = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SET lock_timeout = '$lock_timeout'", '-c', 'CALL hub.maintain()' ],
        '>', \$out, '2>', \$err);
    my $writer = session('wim');
    my $reader = session('ana');
    do
    {
        $writer->query_safe($record->());
        $reader->query_safe('SELECT count(*) FROM hub.current_journeys');
        $meanwhile->() if $meanwhile && ++$turns == 3;
        $call->pump_nb;
    } while ($call->pumpable || $meanwhile && $turns < 3);
    $call->finish;
    $writer->quit;
    $reader->quit;
    return ($out, $err);
}
sub in_the_way
{
    my ($who, $session, $name) = @_;
    my ($out, $err) = maintain_among_others('1s');
    is($out, "0|0|2\n", "$who: nothing is made");
    like($err, qr/^WARNING:  touchpoints of \d{4}-\d\d stay in the default partition\nDETAIL:  could not lock hub\.touchpoints, hub\.touchpoints_default\.\nIn the way: (?:.*; )?$name(?:; .*)?\.\nHINT:  Try again later/m,
        "$who: it says why");
    $session->quit if $session;
}
my $pid = sub { return $_[0]->query_safe('SELECT pg_backend_pid()') };

my $ana = session('ana', 'BEGIN', 'SELECT count(*) FROM hub.timeline');
foreach my $call ("rename_hub('hub', 'other')", "upgrade_hub('hub')", "drop_hub('hub', true)") {
    my (undef, undef, $refused) = $node->psql('postgres', "SET lock_timeout = '10ms'; SELECT journey_$call");
    like($refused, qr/ERROR:  hub hub is in use\nDETAIL:  In the way: process \d+ of ana, idle in transaction\.\nHINT/, "$call: it says why");
}
in_the_way('a reader', $ana, 'process ' . $pid->($ana) . ' of ana, idle in transaction');
my $wim = session('wim', 'BEGIN', $record->());
in_the_way('a writer', $wim, 'process ' . $pid->($wim) . ' of wim, idle in transaction');
$ana = session('ana', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM hub.touchpoints_default');
in_the_way('a reader of the default partition', $ana, 'process ' . $pid->($ana) . ' of ana, idle in transaction');
sql($node, 'BEGIN; ' . $record->() . "; PREPARE TRANSACTION 'it''s open'");
in_the_way('a prepared transaction', undef, "prepared transaction 'it''s open'");
sql($node, "COMMIT PREPARED 'it''s open'");
is(sql($node, 'SELECT flaws FROM flaws'), 0, 'journeys and keys are exact');

# he reads first and writes then, while maintain() wants to get in; it does when he has gone
$wim = session('wim', 'BEGIN', 'SELECT count(touchpoint_id) FROM hub.touchpoints');
my ($out, $err) = maintain_among_others('1h', sub { $wim->query_safe($record->()); $wim->query_safe('COMMIT') });
is("$out$err", "2|0|0\n", 'made when the reader had written and gone');
$wim->quit;
($out, $err) = maintain_among_others('1s');
is("$out$err", "0|0|0\n", 'there is nothing more to do');

# what is not kept any more goes although the partition can't, and the partition later
sql($node, q(SELECT hub.set_retention('touchpoints', now() - '2020-02-15Z')));
$ana = session('ana', 'BEGIN', 'SELECT count(*) FROM hub.timeline');
$wim = session('wim', q(SELECT hub.record('{c:1}', '2020-01-03Z', 'web', 'late', source => 'late', source_key => '1')));
($out, $err) = maintain_among_others('1s');
is($out, "0|0|1\n", 'no partition is dropped');
like($err, qr/^WARNING:  partition touchpoints_2020_01 stays\nDETAIL:  transactions that began before have not ended\.\nIn the way: .*process \d+ of ana, transaction/m, 'it says why');
is(sql($node, 'SELECT count(*), (SELECT count(*) FROM hub.touchpoint_keys WHERE occurred_at < $$2020-02-01Z$$) FROM hub.touchpoints_2020_01'), '0|0',
    'but its touchpoints and their keys are gone');
is(sql($node, 'SELECT flaws FROM flaws'), 0, 'journeys and keys are exact');
is($ana->query_safe("SELECT count(*) > 600 FROM hub.timeline WHERE occurred_at < '2020-02-01Z'"), 'f', 'at READ COMMITTED the reader sees that');
$ana->quit;
$wim->query_safe(q(SELECT hub.record('{c:1}', '2020-01-03Z', 'web', 'later', source => 'late', source_key => '2')));
$wim->quit;
my $stranger = session('stranger', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1');
is(sql($node, 'CALL hub.maintain()'), '0|1|0', 'and is dropped when he has gone, with what came late, whoever else sits there');
$stranger->quit;
is(sql($node, 'SELECT flaws FROM flaws'), 0, 'journeys and keys are exact');

# a view of somebody else's keeps an empty partition, and nothing more
sql($node, q(SELECT hub.set_retention('touchpoints', now() - '2020-03-15Z')));
session('ana', 'CREATE VIEW public.february AS SELECT touchpoint_id FROM hub.touchpoints_2020_02')->quit;
(undef, $out, $err) = $node->psql('postgres', 'CALL hub.maintain()');
is($out, '0|0|1', 'a view depends on a partition: it stays');
like($err, qr/WARNING:  partition touchpoints_2020_02 stays\nDETAIL:  cannot drop table touchpoints_2020_02 because other objects depend on it\.\n.*view (public\.)?february depends on/, 'it says why');
is(sql($node, 'SELECT count(*) FROM hub.touchpoints WHERE occurred_at < $$2020-03-01Z$$'), 0, 'its touchpoints are gone all the same');

# refresh(): nobody without rights has a lock that it needs
$ana = session('stranger', 'BEGIN', "SELECT pg_advisory_lock(oid::int, hashtext('refresh')), pg_advisory_lock(oid::int) FROM pg_class WHERE relname ~ 'journey'");
cmp_ok(sql($node, 'SELECT hub.refresh()'), '>', 0, 'refresh() while somebody holds advisory locks');
$ana->quit;
is(sql($node, q(SELECT count(*) FROM journey_hub_template() WHERE script ~ 'pg_(try_)?advisory')), 0, 'no advisory locks in a hub');
for my $role (qw(stranger ana wim))
{
    (undef, undef, $err) = $node->psql('postgres', 'BEGIN; LOCK TABLE hub.refresh_lock IN SHARE UPDATE EXCLUSIVE MODE', extra_params => [ '-U', $role ]);
    like($err, qr/permission denied/, "$role can't lock what refresh() locks");
}
is(sql($node, 'SELECT flaws FROM flaws'), 0, 'journeys and keys are exact');
is(sql($node, 'SELECT count(*) FROM hub.stitch_check()'), 0, 'customers too');
is(crashes($node), '', 'no process crashed');
$node->stop;
done_testing();
