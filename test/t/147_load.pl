# Proves that history comes in right however it comes: four sessions load at once, with keys and customers in common, and
# no partition made before. Nothing deadlocks, every touchpoint is in its month's partition, customers are what a rebuild
# gives. And that many in one call are what they are one by one: the same timeline, where times are equal too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
$node->append_conf('postgresql.conf', "deadlock_timeout = '200ms'\nautovacuum = off\nmax_prepared_transactions = 2\n");
$node->restart;
sql($node, <<'END');
SELECT journey_create_hub('hub'), journey_create_hub('single');
SELECT hub.use_recommended_rules('PT'), single.use_recommended_rules('PT');
UPDATE hub.settings SET notify = false;
UPDATE single.settings SET notify = false;
CREATE ROLE wim LOGIN;
SELECT hub.grant_access('wim', 'writer');
-- each number is one event, whoever loads it; times are few, so that many are equal
CREATE FUNCTION event_of(n int) RETURNS hub.event LANGUAGE sql STABLE AS $$
    SELECT (CASE n % 3 WHEN 0 THEN ARRAY[format('email:p%s@Example.pt', n * 7 % 900)]
                       WHEN 1 THEN ARRAY[format('email:P%s@example.pt', n * 7 % 900), format('cookie:%s', n / 5)]
                       ELSE ARRAY[format('cookie:%s', n / 5), format('account:%s', n * 7 % 900 / 2)] END::identifier[],
            timestamptz '2019-01-15Z' + (n * 31 % 48) * interval '1 month', 'web', 'a' || n,
            NULL, NULL, NULL, NULL, NULL, NULL, 'shop', 'k' || n, NULL, NULL, NULL)::hub.event $$;
CREATE FUNCTION payload_of(n int) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_build_object('type', 'track', 'event', 'e' || n, 'messageId', 'm' || n, 'userId', n * 7 % 900,
                             'timestamp', timestamptz '2015-01-15Z' + (n * 31 % 24) * interval '1 month')::text $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO wim;
END

# Numbers of a session's batches: each is loaded by two sessions, in other orders and batches
my @runs;
for my $session (0 .. 3)
{
    my $script = '';
    for my $batch (0 .. 4)
    {
        my $first = 1 + 1500 * (($batch * ($session % 2 ? 1 : 3) + 2 * ($session > 1)) % 5) + 700 * ($session % 2);
        my $order = $session % 2 ? 'n DESC' : 'n % 17, n';
        $script .= "SELECT cardinality(hub.record_many(array_agg(event_of(n) ORDER BY $order))) FROM generate_series($first, $first + 1499) n;\n";
        $script .= "SELECT (hub.ingest_many(array_agg(payload_of(n) ORDER BY $order), 'segment')).rejected FROM generate_series($first, $first + 1099) n;\n"
          if $batch % 2;
    }
    my %run = (out => '', err => '');
    $run{in} = $script;
    $run{handle} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-U', $session == 3 ? 'wim' : 'postgres' ],
        '<', \$run{in}, '>', \$run{out}, '2>', \$run{err});
    push @runs, \%run;
}
for my $session (0 .. 3)
{
    $runs[$session]{handle}->finish;
    is($runs[$session]{err}, '', "session $session: no error, no deadlock, no warning");
}
my $check = sub { my ($query, $expected, $name) = @_; is($node->safe_psql('postgres', $query), $expected, $name) };
$check->('SELECT count(*) FROM hub.touchpoints_default', '0', 'nothing is in the default partition');
$check->(q{SELECT count(*), count(DISTINCT (source, source_key)) = count(*) FROM hub.touchpoints WHERE source = 'shop'}, '8200|t', 'each event is there once');
$check->(q{SELECT count(*) FROM hub.touchpoints t FULL JOIN hub.touchpoint_keys k USING (source, source_key, touchpoint_id, occurred_at)
           WHERE t.identity_id IS NULL OR k.ctid IS NULL}, '0', 'keys are those of touchpoints');
$check->('SELECT count(*) FROM hub.stitch_check()', '0', 'customers are what a rebuild gives');
$check->(q{SELECT count(*) > 60, bool_and(relowner = 'postgres'::regrole) FROM pg_class WHERE oid IN (SELECT partition FROM hub.touchpoint_partitions())},
    't|t', 'partitions of all months were made, and are the owner\'s');

# One by one, in calls on both sides of where plans change, and in one call
sql($node, <<'END');
CREATE FUNCTION line_of(schema text) RETURNS TABLE (identifiers text, actions text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT (SELECT string_agg(i.identifier::text, '' '' ORDER BY i.identifier) FROM %1$I.identities i WHERE i.customer_id = t.customer_id),
                                        string_agg(t.action, '' '' ORDER BY t.occurred_at, t.touchpoint_id) FROM %1$I.timeline t GROUP BY t.customer_id', schema);
END $$;
DO $$ BEGIN FOR i IN 1 .. 700 LOOP
    PERFORM single.record_many(ARRAY[event_of((i * 7 + i / 100) % 700)::text::single.event]);
END LOOP; END $$;
END
for my $size (200, 700)
{
    sql($node, <<"END");
SELECT journey_drop_hub('many', true) WHERE journey_is_hub('many');
SELECT journey_create_hub('many');
SELECT many.use_recommended_rules('PT');
DO \$\$ BEGIN FOR f IN 1 .. 700 BY $size LOOP
    PERFORM many.record_many(array(SELECT event_of((i * 7 + i / 100) % 700)::text::many.event FROM generate_series(f, least(f + $size - 1, 700)) i ORDER BY i));
END LOOP; END \$\$;
END
    $check->("SELECT count(*), (SELECT count(*) FROM (TABLE one EXCEPT ALL SELECT * FROM line_of('many')) d) FROM line_of('many')" =~ s/TABLE one/SELECT * FROM line_of('single')/r,
        $node->safe_psql('postgres', "SELECT count(*) FROM line_of('single')") . '|0', "by $size the same as one by one, in order");
}
my ($status, $out, $err);
# Calls that are small have no partition made before; each thousandth touchpoint looks
my $small = join '', map { my $first = 100 * $_; <<"END" } 0 .. 34;
SELECT cardinality(hub.record_many(array_agg((ARRAY[('c:' || n)::identifier], timestamptz '2003-05-01Z' + n * interval '1 min', 'web', 'view',
    NULL, NULL, NULL, NULL, NULL, NULL, 'small', n::text, NULL, NULL, NULL)::hub.event))) FROM generate_series($first, $first + 99) n;
END
sql($node, "SET ROLE wim;\n$small");
ok($node->poll_query_until('postgres', q{SELECT to_regclass('hub.touchpoints_2003_05') IS NOT NULL AND (SELECT count(*) = 0 FROM hub.touchpoints_default)}),
    'a process has moved them');
sql($node, q{DO $$ BEGIN FOR n IN 1 .. 3500 LOOP
    PERFORM hub.record(ARRAY[('c:' || n)::identifier], timestamptz '2003-07-01Z' + n * interval '1 min', 'web', 'view', source => 'single', source_key => n::text);
    COMMIT; END LOOP; END $$});
ok($node->poll_query_until('postgres', q{SELECT to_regclass('hub.touchpoints_2003_07') IS NOT NULL AND (SELECT count(*) = 0 FROM hub.touchpoints_default)}),
    'and of single calls');
# Nor has a statement on an attached table whose triggers bring the hub in line
sql($node, <<'END');
CREATE TABLE visits (id int PRIMARY KEY, who text, at timestamptz);
SELECT hub.attach_source('visits', '{"occurred_at": "at", "channel": "''web''", "action": "''visit''", "identifiers": {"c": "who"}}', feed => 'immediate');
INSERT INTO visits SELECT n, n % 50, timestamptz '1989-01-15Z' + greatest(n % 24, (n = 1)::int * 24) * interval '1 month' FROM generate_series(1, 2400) n;
END
$check->('SELECT count(*) FROM hub.touchpoints_default', '0', 'nor does a large statement on an attached table leave anything in the default partition');
# Statistics are there when a load is, without autovacuum
sql($node, <<'END');
SELECT journey_drop_hub('many', true);
SELECT journey_create_hub('many');
UPDATE many.settings SET notify = false;
SELECT cardinality(many.record_many(array_agg((ARRAY[('c:' || n)::identifier, ('d:' || n / 2)::identifier], timestamptz '2019-01-15Z' + (n * 31 % 48) * interval '1 month',
    'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'app', n::text, NULL, NULL, NULL)::many.event))) FROM generate_series(1, 6000) n;
END
sub counted
{
    my ($name, %rows) = @_;
    for (sort keys %rows)
    {
        $check->("SELECT reltuples > 0.9 * $rows{$_} AND EXISTS (SELECT FROM pg_stats WHERE schemaname = 'many' AND tablename = relname)
                  FROM pg_class WHERE oid = 'many.$_'::regclass", 't', "$name: statistics of $_");
    }
}
counted('record_many', identities => 9000, customers => 3000, evidence => 6000, touchpoint_keys => 6000);
sql($node, q{SELECT many.identify_many(array_agg((ARRAY[('a:' || n)::identifier, ('b:' || n / 2)::identifier], timestamptz '2026-01-01Z', 'app', 'i' || n)::many.observation))
    FROM generate_series(1, 8000) n});
counted('identify_many', identities => 21000, customers => 7000, evidence => 14000);
$check->('SELECT many.refresh()', '3001', 'journeys are packed');
counted('refresh()', customer_journeys => 3001);
sql($node, 'CALL many.maintain()');
counted('maintain()', touchpoints => 6000);
# Beside a prepared transaction that holds the default partition a load goes there, and is told
($status, $out, $err) = $node->psql('postgres', <<'END');
BEGIN;
SELECT many.record('{c:1}', '2004-01-01Z', 'web', 'view') > 0;
PREPARE TRANSACTION 'held';
SET lock_timeout = '1s';
SELECT cardinality(many.record_many(array_agg((ARRAY[('c:' || n)::identifier], timestamptz '2004-02-01Z' + n * interval '1 min', 'web', 'view',
    NULL, NULL, NULL, NULL, NULL, NULL, 'held', n::text, NULL, NULL, NULL)::many.event))) FROM generate_series(1, 1000) n;
COMMIT PREPARED 'held';
CALL many.maintain();
SELECT count(*) FROM many.touchpoints_default;
END
is($out, "t\n1000\n1|0|0\n1", 'beside a prepared transaction all is recorded, and maintain() moves it');
like($err, qr/WARNING:  touchpoints of 2004-02 stay in the default partition\nDETAIL:  Their partitions could not be made now; the server's log tells why\./, 'which is told');
like(slurp_file($node->logfile), qr/In the way: prepared transaction 'held'/, 'and by whom');
# What can't be made beside a transaction that has read the default partition goes there
($status, $out, $err) = $node->psql('postgres', <<'END');
BEGIN;
SELECT count(*) > 0 FROM hub.touchpoints;
SELECT cardinality(hub.record_many(array_agg((ARRAY[('c:' || n)::identifier], timestamptz '2001-01-01Z' + n * interval '1 min', 'web', 'view',
    NULL, NULL, NULL, NULL, NULL, NULL, 'old', n::text, NULL, NULL, NULL)::hub.event))) FROM generate_series(1, 1000) n;
COMMIT;
SELECT count(*) FROM hub.touchpoints_default;
CALL hub.maintain();
SELECT count(*) FROM hub.touchpoints_default;
END
is("$err$out", "t\n1000\n1000\n1|0|0\n0", 'a transaction that is in the way of its own partitions leaves them to maintain()');
# nor where there is no process to be had, which is told
$node->append_conf('postgresql.conf', "max_worker_processes = 0\nmax_logical_replication_workers = 0\n");
$node->restart;
($status, $out, $err) = $node->psql('postgres', <<'END');
SELECT cardinality(hub.record_many(array_agg((ARRAY[('c:' || n)::identifier], timestamptz '2002-01-01Z' + n * interval '1 min', 'web', 'view',
    NULL, NULL, NULL, NULL, NULL, NULL, 'older', n::text, NULL, NULL, NULL)::hub.event))) FROM generate_series(1, 1000) n;
END
is($out, '1000', 'without a process all is recorded');
like($err, qr/WARNING:  touchpoints of 2002-01 stay in the default partition\nDETAIL:  No process could be started to make their partitions\.\nHINT:  CALL hub\.maintain\(\) moves them\. max_worker_processes/, 'which is told');
is(crashes($node), '', 'no crash');
$node->stop;
done_testing();
