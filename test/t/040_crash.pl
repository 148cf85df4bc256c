# Proves that journeys survive crashes: while clients append touchpoints to packed
# journeys and to plain rows in the same transactions, a backend is killed with
# SIGKILL, then the server is stopped at once. After each recovery every journey
# is the one the plain rows give, and the indexes are sound.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;
$node->append_conf('postgresql.conf', <<'END');
restart_after_crash = on
wal_consistency_checking = 'all'
checkpoint_timeout = '30s'
END
$node->restart;
sql($node, <<'END');
CREATE TABLE event (id integer, at timestamptz, channel text, action text, value numeric, ref bigint);
CREATE TABLE customer (id integer PRIMARY KEY, j journey NOT NULL DEFAULT '{}', last touchpoint);
INSERT INTO event  -- some short, some far out of line
SELECT id, '2026-01-01 00:00:00+00'::timestamptz + n * interval '1 minute', 'web', 'view-' || n % 50, n / 100.0, n
FROM generate_series(1, 40) id, generate_series(1, CASE WHEN id % 4 = 0 THEN 3000 ELSE id END) n;
INSERT INTO customer SELECT id, journey_agg(at, channel, action, value, ref) FROM event GROUP BY id;
UPDATE customer SET last = journey_nth(j, -1);
CREATE INDEX customer_last ON customer (last);
CREATE INDEX customer_j ON customer USING hash (j);
END
write_bytes("$dir/append.sql", <<'END');
\set id random(1, 40)
\set n random(1, 1000000000)
\set kind random(0, 9)
BEGIN;
WITH new AS (
    INSERT INTO event VALUES (:id, '2026-03-01 00:00:00+00'::timestamptz + :n * interval '1 ms', 'canal ' || :kind,
                              'ação', nullif(:kind, 3) * 1.5, nullif(:kind, 5) * :n::bigint) RETURNING *)
UPDATE customer c SET j = j || touchpoint(n.at, n.channel, n.action, n.value, n.ref),
       last = greatest(last, touchpoint(n.at, n.channel, n.action, n.value, n.ref))
FROM new n WHERE c.id = n.id;
END;
END

sub sound
{
    my ($when) = @_;
    is(sql($node, <<'END'), 't|0|0', "$when: every journey is what its rows give");
SELECT count(*) = 40, count(*) FILTER (WHERE j IS DISTINCT FROM r OR j::text IS DISTINCT FROM r::text),
       count(*) FILTER (WHERE last IS DISTINCT FROM journey_nth(j, -1))
FROM customer FULL JOIN (SELECT id, journey_agg(at, channel, action, value, ref) AS r FROM event GROUP BY id) e USING (id)
END
    is(sql($node, <<'END'), 40, "$when: each is found through the indexes");
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT id, j, last FROM customer OFFSET 0) c
WHERE EXISTS (SELECT FROM customer WHERE j = c.j AND id = c.id)
      AND EXISTS (SELECT FROM customer WHERE last = c.last AND id = c.id)
END
    if (sql($node, "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'"))
    {
        my ($status) = $node->psql('postgres', <<'END');
CREATE EXTENSION IF NOT EXISTS amcheck;
SELECT bt_index_check('customer_last', true), verify_heapam('customer');
END
        is($status, 0, "$when: amcheck finds nothing");
    }
}

sub start_writers
{
    my $before = sql($node, 'SELECT count(*) FROM event');
    my $run = IPC::Run::start([ 'pgbench', '-n', '-c', '4', '-t', '1000000', '-f', "$dir/append.sql",
            $node->connstr('postgres') . ' application_name=writer' ],
        '>', \my $out, '2>', \my $err);
    $node->poll_query_until('postgres', "SELECT count(*) > $before + 200 FROM event")
      or die "nothing is written: $err";
    return $run;
}

sound('at first');
for my $signal ('KILL', 'ABRT')
{
    my $writers = start_writers();
    my $victim = sql($node, "SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'writer'");
    kill $signal, $victim;
    eval { $writers->finish };
    ok($node->poll_query_until('postgres', 'SELECT true'), "back after SIG$signal of a backend");
    sound("SIG$signal");
}
my $writers = start_writers();
sql($node, 'CHECKPOINT');
my $checkpointed = sql($node, 'SELECT count(*) FROM event');
$node->poll_query_until('postgres', "SELECT count(*) > $checkpointed + 200 FROM event") or die 'nothing is written';
$node->stop('immediate');
eval { $writers->finish };
$node->start;
sound('immediate stop');
cmp_ok(sql($node, 'SELECT sum(journey_length(j)) FROM customer'), '>', 31000, 'touchpoints were added');

# the writers' victims are the only ones
my @crashed = crashes($node) =~ /terminated by signal (\d+)/g;
is_deeply(\@crashed, [ 9, 6 ], 'nothing else crashed');
unlike(slurp_file($node->logfile), qr/inconsistent page found/, 'replayed pages are the same');
$node->stop;
done_testing();
