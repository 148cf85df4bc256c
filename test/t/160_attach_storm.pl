# Proves that an attached table and the hub say the same after a storm: four clients insert,
# update and delete rows, with keys that change and rows that move, at all isolation levels, while
# the backfill commits its batches, two feeders feed for ever, and backends are terminated, and the
# server is killed. Once the queue is empty the hub has what attaching the final table gives a new
# hub, and check_source finds nothing; no writer saw an error of the hub's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'sleep';

use constant { CLIENTS => 4, ROWS => slowly(600, 16000), TERMINATED => slowly(4, 40), KILLED => slowly(1, 4) };

my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;
$node->append_conf('postgresql.conf', <<'END');
log_line_prefix = '%m [%p] state=%e '
deadlock_timeout = '400ms'
max_connections = 30
max_prepared_transactions = 5
restart_after_crash = on
END
$node->restart;

my $rows = ROWS;
sql($node, 'SELECT setseed(' . $PgJourney::SEED % 1000 . ' / 1000.0);' . <<"END");
SELECT journey_create_hub('hub');
CREATE TABLE orders (
    id integer PRIMARY KEY, customer text, email text, phone text, total numeric, status text NOT NULL DEFAULT 'open',
    at timestamptz NOT NULL DEFAULT now() - random() * interval '100 days', note text
) WITH (fillfactor = 90);
INSERT INTO orders
SELECT i, 'c' || i % 3000, CASE WHEN i % 4 = 0 THEN 'e' || i % 3000 || '\@example.com' END, CASE WHEN i % 9 = 0 THEN 'p' || i % 2000 END, i,
       CASE WHEN i % 10 = 0 THEN 'draft' ELSE 'open' END, now() - random() * interval '100 days', repeat('n', 200)
FROM generate_series(1, $rows) i;
UPDATE orders SET note = 'moved' WHERE id % 5 = 0;
VACUUM ANALYZE orders;
CREATE SEQUENCE new_id START 1000000;
CREATE TABLE mapping AS SELECT '{"occurred_at": "at", "channel": "''store''", "action": "''order.'' || status", "value": "total",
    "identifiers": {"crm": "customer", "email": "email", "phone": "phone"}, "where": "status <> ''draft''"}'::json AS mapping;
SELECT hub.attach_source('orders', mapping, backfill => false) FROM mapping;
END

my %script = (
    insert => <<'END',
INSERT INTO orders (id, customer, email, total)
VALUES (nextval('new_id'), 'c' || (random() * 3000)::int, CASE WHEN random() < 0.3 THEN 'e' || (random() * 3000)::int || '@example.com' END, 1);
END
    many => <<'END',
\set n random(1, 1000)
INSERT INTO orders (id, customer, email, total, status)
SELECT nextval('new_id'), CASE WHEN i <> 3 THEN 'c' || (:n + i * 37) % 3000 END, 'e' || :n + i || '@example.com', CASE WHEN i = 4 THEN 'NaN'::numeric ELSE i END, 'open'
FROM generate_series(1, 6) i;
END
    total => "\\set id random(1, $rows)\nUPDATE orders SET total = total + 1 WHERE id = :id;\n",
    move => "\\set id random(1, $rows)\nUPDATE orders SET note = repeat('m', (random() * 900)::int) WHERE id BETWEEN :id AND :id + 5;\n",
    customer => "\\set id random(1, $rows)\nUPDATE orders SET customer = 'c' || (random() * 3000)::int WHERE id = :id;\n",
    email => "\\set id random(1, $rows)\nUPDATE orders SET email = 'e' || (random() * 3000)::int || '\@example.com' WHERE id BETWEEN :id AND :id + 2;\n",
    nobody => "\\set id random(1, $rows)\nUPDATE orders SET customer = NULL, email = NULL, phone = NULL WHERE id = :id;\n",
    status => "\\set id random(1, $rows)\nUPDATE orders SET status = CASE status WHEN 'draft' THEN 'open' ELSE 'draft' END WHERE id = :id;\n",
    mixed => <<"END",
\\set id random(1, $rows)
UPDATE orders SET status = CASE id % 3 WHEN 0 THEN 'draft' ELSE 'open' END, email = 'e' || (random() * 3000)::int || '\@example.com',
    id = CASE WHEN id % 5 = 0 THEN nextval('new_id') ELSE id END WHERE id BETWEEN :id AND :id + 6;
END
    time => "\\set id random(1, $rows)\nUPDATE orders SET at = at - interval '31 days' WHERE id = :id;\n",
    key => "\\set id random(1, $rows)\nUPDATE orders SET id = nextval('new_id') WHERE id = :id;\n",
    delete => "\\set id random(1, $rows)\nDELETE FROM orders WHERE id = :id;\n",
    again => "\\set id random(1, $rows)\nINSERT INTO orders (id, customer, email) VALUES (:id, 'c' || :id, 'e' || :id || '\@example.com') ON CONFLICT (id) DO UPDATE SET total = 7;\n",
    several => <<"END",
\\set id random(1, $rows)
BEGIN;
INSERT INTO orders (id, customer, email, total) VALUES (nextval('new_id'), 'c' || :id, 'f' || :id || '\@example.com', 1);
DELETE FROM orders WHERE id = :id;
ROLLBACK;
END
    repeatable => <<"END",
\\set id random(1, $rows)
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM orders WHERE id = 1;
DELETE FROM orders WHERE id = :id;
END;
END
    serializable => <<"END",
\\set id random(1, $rows)
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE orders SET total = total + 1 WHERE id = :id;
INSERT INTO orders (id, customer) VALUES (nextval('new_id'), 'c' || :id);
END;
END
);
my %weight = (insert => 3, many => 1, total => 4, move => 6, customer => 3, email => 2, nobody => 1, status => 3, mixed => 2, time => 2, key => 2, delete => 3,
    again => 2, several => 1, repeatable => 1, serializable => 1);
for (sort keys %script)
{
    open my $file, '>', "$dir/$_" or die;
    print $file $script{$_};
    close $file;
}

# A client begins anew when it has been cut off
my @mix = map { ('-f', "$dir/$_\@$weight{$_}") } grep { $weight{$_} } sort keys %script;
my (@client, @feeder, $backfill, $terminated, $killed, $calls, $turns);
($terminated, $killed, $calls, $turns) = (0, 0, 0, 0);
sub start { return IPC::Run::start([@_], '>', '/dev/null', '2>', '/dev/null') }
while ($terminated < TERMINATED)
{
    for (0 .. CLIENTS - 1)
    {
        next if $client[$_] && $client[$_]->pumpable;
        eval { $client[$_]->finish } if $client[$_];
        $client[$_] = start('pgbench', '-n', '-c1', '-t1000', '--max-tries=5', '--random-seed=' . (1000 * $PgJourney::SEED + ++$turns), @mix,
            $node->connstr('postgres'));
    }
    if (!$backfill || !$backfill->pumpable)
    {
        eval { $backfill->finish } if $backfill;
        $calls++;
        $backfill = start('psql', '-Xq', '-d', $node->connstr('postgres'), '-c', q(CALL hub.backfill_source('orders')));
    }
    for (0, 1)
    {
        next if $feeder[$_] && $feeder[$_]->pumpable;
        eval { $feeder[$_]->finish } if $feeder[$_];
        $feeder[$_] = start('psql', '-Xq', '-d', $node->connstr('postgres'), '-c', 'CALL hub.feed(forever => true)');
    }
    sleep 0.2;
    if ($killed < KILLED && $terminated >= TERMINATED * ($killed + 1) / (KILLED + 1))
    {
        # all processes go down with the one that is killed
        my $feeder = sql($node, q(SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL hub.feed%' ORDER BY pid LIMIT 1));
        if ($feeder)
        {
            kill 'KILL', $feeder;
            $killed++;
            sleep 0.2 until eval { $node->psql('postgres', 'SELECT 1') == 0 };
        }
    }
    my ($pid) = split /\n/, (eval { sql($node, q(SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
                                         AND backend_type = 'client backend' ORDER BY random() LIMIT 1)) } || '');
    $terminated++ if $pid && rand() < 0.5 && (eval { sql($node, "SELECT pg_terminate_backend($pid)") } || '') eq 't';
}
for (@client, @feeder, $backfill) { $_->kill_kill if $_ }
sql($node, q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL hub.feed%' AND pid <> pg_backend_pid()));
$node->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'));
cmp_ok($terminated, '>=', TERMINATED, 'backends were terminated');
is($killed, KILLED, 'feeders were killed');
cmp_ok($calls, '>', slowly(0, 1), 'the backfill was interrupted, or called again');
note 'before the last call: ' . sql($node, 'SELECT s FROM hub.source_progress s');
sql($node, q(CALL hub.backfill_source('orders')));
sql($node, 'CALL hub.feed()');
is(sql($node, 'SELECT count(*) FROM hub.feed_notes'), 0, 'the queue is empty');
is(sql($node, q(SELECT * FROM hub.check_source('orders') LIMIT 5)), '', 'check_source finds nothing');
is(sql($node, 'SELECT state FROM hub.source_progress'), 'attached', 'the backfill is done');
cmp_ok(sql($node, 'SELECT count(*) FROM hub.source_rejects'), '>', 0, 'some rows are rejected');
cmp_ok(sql($node, 'SELECT count(*) FROM hub.evidence WHERE retracted_at IS NOT NULL'), '>', 20, 'some evidence is retracted') if $ENV{PGJ_SLOW};

sql($node, q(SELECT journey_create_hub('fresh')));
sql($node, 'SELECT fresh.attach_source($$orders$$, mapping) FROM mapping');
my $touchpoints = 'SELECT source_key, occurred_at, channel, action, value, attributes,
    (SELECT array_agg(j.identifier ORDER BY j.identifier) FROM %1$s.identities i JOIN %1$s.identities j USING (customer_id) WHERE i.identity_id = t.identity_id)
    FROM %1$s.touchpoints t';
my $evidence = 'SELECT split_part(source_key, $$#$$, 1), observed_at,
    (SELECT array_agg(i.identifier ORDER BY i.identifier) FROM %1$s.identities i WHERE i.identity_id = ANY (e.identities)) FROM %1$s.evidence e WHERE retracted_at IS NULL';
my $rejects = 'SELECT source_key, sqlstate FROM %1$s.source_rejects';
for ([ touchpoints => $touchpoints ], [ evidence => $evidence ], [ rejects => $rejects ])
{
    my ($what, $query) = @$_;
    my ($is, $should) = map { sprintf $query, $_ } qw(hub fresh);
    is(sql($node, "SELECT * FROM (($is) EXCEPT ALL ($should)) s LIMIT 5"), '', "$what: nothing too much");
    is(sql($node, "SELECT * FROM (($should) EXCEPT ALL ($is)) s LIMIT 5"), '', "$what: nothing is missing");
}
is(sql($node, 'SELECT count(*) FROM hub.stitch_check()'), 0, 'customers are what a rebuild gives');
is(sql($node, <<'END'), 0, 'keys and touchpoints belong together');
SELECT count(*) FROM hub.touchpoint_keys k FULL JOIN hub.touchpoints t
    ON (t.touchpoint_id, t.occurred_at, t.source, t.source_key) = (k.touchpoint_id, k.occurred_at, k.source, k.source_key)
WHERE k.source IS NULL OR t.source IS NULL
END
is(sql($node, <<'END'), 0, 'journeys are current');
SELECT count(*) FROM hub.current_journeys c
FULL JOIN (SELECT i.customer_id,
                  journey_agg(t.occurred_at, t.channel, t.action, t.value, t.touchpoint_id,
                              hub.packed_detail(t.direction, t.agent)) AS journey
           FROM hub.touchpoints t JOIN hub.identities i USING (identity_id) GROUP BY 1) t USING (customer_id)
WHERE c.journey IS DISTINCT FROM t.journey
END

my $log = slurp_file($node->logfile);
my %state;
$state{$1}++ while $log =~ /state=(\w{5}) (?:ERROR|FATAL|PANIC):/g;
# terminated; killed along with another; starting up; lost; serialization at REPEATABLE READ
delete @state{qw(57P01 57P02 57P03 08006 08P01 08003 40001)};
is_deeply(\%state, {}, 'no other errors in the log');
$node->stop;
done_testing();
