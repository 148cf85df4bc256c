# Proves that a load that is stopped half way loses its own transaction and nothing else: record_many, ingest_many,
# identify_many and the backfill of an attached table are cancelled, and killed with the server, while each waits in its
# middle for a key that somebody else is about to use. The hub is then what it was, or, of the backfill, what its batches
# had committed; and the same loads, called again, end as if nothing had been.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgJourney;
use Test::More;

use constant ROWS => 3000;

my $node = start_server('main');
sql($node, <<'END' =~ s/ROWS/ROWS/ger);
SELECT journey_create_hub('hub');
SELECT hub.use_recommended_rules('PT');
UPDATE hub.settings SET notify = false;
CREATE TABLE orders (id int PRIMARY KEY, who text, card text, at timestamptz);
INSERT INTO orders SELECT n, 'w' || n % 900, 'k' || n % 1100, timestamptz '2019-01-15Z' + n % 40 * interval '1 month' FROM generate_series(1, 10000 + ROWS) n;
SELECT hub.attach_source('orders', '{"occurred_at": "at", "channel": "''store''", "action": "''order''", "identifiers": {"w": "who", "card": "card"}}',
                         backfill => false);
SELECT hub.record('{email:first@example.pt,cookie:first}', '2019-01-01Z', 'web', 'view', source => 'app', source_key => 'first') > 0;
END

# Each load in one call, of people of its own, and the evidence in its middle
my @load = (
    [ app => 'k2000', sprintf q{SELECT cardinality(hub.record_many(array_agg((ARRAY[format('email:e%%s@example.pt', n %% 700), format('cookie:c%%s', n %% 900)]::identifier[],
        timestamptz '2017-01-15Z' + n %% 40 * interval '1 month', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, 'app', 'k' || n, NULL, NULL, NULL)::hub.event ORDER BY n)))
        FROM generate_series(1, %s) n}, ROWS ],
    [ segment => 'm2000', sprintf q{SELECT hub.ingest_many(array_agg(json_build_object('type', 'track', 'event', 'e', 'messageId', 'm' || n, 'userId', n %% 700,
        'anonymousId', 'a' || n %% 900, 'timestamp', timestamptz '2015-01-15Z' + n %% 40 * interval '1 month')::text ORDER BY n), 'segment') FROM generate_series(1, %s) n}, ROWS ],
    [ links => 'l2000', sprintf q{SELECT cardinality(hub.identify_many(array_agg((ARRAY[format('account:%%s', n %% 700), format('device:%%s', n %% 900)]::identifier[],
        timestamptz '2019-01-15Z', 'links', 'l' || n)::hub.observation ORDER BY n))) FROM generate_series(1, %s) n}, ROWS ],
    [ orders => '12000', q{CALL hub.backfill_source('orders')} ]);
my $state = q{SELECT e.source, count(*), (SELECT count(*) FROM hub.touchpoints t WHERE t.source = e.source),
                     (SELECT count(*) FROM hub.touchpoint_keys k WHERE k.source = e.source)
              FROM hub.evidence e GROUP BY 1 ORDER BY 1};

# The loads, each waiting for somebody who holds its key
sub half_way
{
    my $holder = $node->background_psql('postgres');
    $holder->query_safe('BEGIN');
    $holder->query_safe("INSERT INTO hub.evidence (source, source_key, identities, observed_at) VALUES ('$_->[0]', '$_->[1]', '{1,2}', now())") for @load;
    my @run;
    for my $load (@load)
    {
        my %run = (err => '');
        $run{handle} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . " application_name=load", '-c', $load->[2] ],
            '>', '/dev/null', '2>', \$run{err});
        push @run, \%run;
    }
    $node->poll_query_until('postgres', q(SELECT count(*) = 4 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE a.application_name = 'load' AND NOT l.granted AND l.locktype = 'transactionid')) or die 'they do not wait';
    return ($holder, @run);
}

my ($holder, @run) = half_way();
sql($node, q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'load'));
$_->{handle}->finish for @run;
is(scalar(grep { $_->{err} =~ /canceling statement due to user request/ } @run), 4, 'all were cancelled');
$holder->query_safe('ROLLBACK');
$holder->quit;
my $left = "app|1|1|1\norders|10000|10000|10000";
is(sql($node, $state), $left, 'what was there, and the batches of the backfill that were committed');
is(sql($node, 'SELECT count(*) FROM hub.stitch_check()'), 0, 'customers are what a rebuild gives');

($holder, @run) = half_way();
$node->kill9;
for (@run) { eval { $_->{handle}->finish } }
eval { $holder->{run}->kill_kill };
# processes that wait notice it by themselves, and the server can't start before
my $tries = 0;
until ($node->start(fail_ok => 1))
{
    die 'it does not start' if ++$tries > 180;
    $node->stop('fast', fail_ok => 1);  # as the TAP library has found the number of the former server
    sleep 1;
}
is(sql($node, $state), $left, 'the same after a crash');
is(sql($node, 'SELECT count(*) FROM hub.stitch_check()'), 0, 'and customers');

sql($node, $_->[2]) for @load;
my ($rows, $all, $orders) = (ROWS, ROWS + 1, 10000 + ROWS);  # a batch of the backfill is ten thousand
is(sql($node, $state), "app|$all|$all|$all\nlinks|$rows|0|0\norders|$orders|$orders|$orders\nsegment|$rows|$rows|$rows", 'called again all is there');
is(sql($node, 'SELECT count(*) FROM hub.stitch_check()'), 0, 'and customers are what a rebuild gives');
is(sql($node, 'SELECT count(*) FROM hub.touchpoints_default'), 0, 'in the partitions of their months');
is(sql($node, 'SELECT hub.refresh() > 0, hub.refresh(rebuild => true)'), 't|0', 'and so are journeys');
$node->stop;
done_testing();
