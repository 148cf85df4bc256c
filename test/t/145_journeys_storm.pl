# Proves that packed journeys are exact whatever happens at once: clients record, join,
# part, change and delete, some refresh, some make, fill and drop partitions, others compare current_journeys and
# current_blocks with the touchpoints in one snapshot, while backends are terminated and one is killed with
# SIGKILL. At the end a refresh leaves what a rebuild makes, each key has one
# touchpoint, and nothing that was acknowledged is missing. Also: listeners are told.
# Slow: part of "make slowtest".
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'sleep';

use constant { CLIENTS => 6, TERMINATED => 40, BETWEEN => 60 };    # so many touchpoints between two

my $node = start_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nlog_line_prefix = '%m [%p] state=%e '\ndeadlock_timeout = '200ms'\n");
$node->restart;
sql($node, <<'END');
SELECT journey_create_hub('hub');
CREATE TABLE begin AS SELECT date_trunc('month', now() - interval '10 months') AS t;
CREATE FUNCTION day(n float8) RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT t + n * interval '1 day' FROM begin $$;
CREATE FUNCTION someone() RETURNS identifier LANGUAGE sql VOLATILE AS $$ SELECT ('c:' || floor(200 * random()))::identifier $$;
CREATE VIEW truth AS
SELECT i.customer_id,
       journey_agg(t.occurred_at, t.channel, t.action,
                   CASE WHEN coalesce(t.currency, s.currency) = s.currency THEN t.value END, t.touchpoint_id,
                   CASE WHEN t.direction = 'out' AND (t.agent = 'bot' OR t.agent LIKE 'bot:%') THEN 'bot'
                        ELSE t.direction END) AS journey
FROM hub.touchpoints t JOIN hub.identities i USING (identity_id) CROSS JOIN hub.settings s GROUP BY i.customer_id;
CREATE VIEW blocks AS SELECT u.customer, u.journey FROM hub.current_blocks b, unnest(b.block) u;
CREATE VIEW stored_blocks AS
SELECT u.customer, u.journey FROM hub.journey_blocks b, unnest(journey_block_without(coalesce(journey_block_merge(b.block, b.newer), b.block), coalesce(b.gone, '{}'))) u;
CREATE VIEW current_flaws AS
SELECT count(*) AS flaws
FROM ((TABLE truth EXCEPT TABLE hub.current_journeys) UNION ALL (TABLE hub.current_journeys EXCEPT TABLE truth)
      UNION ALL (TABLE truth EXCEPT TABLE hub.journeys_by_customer)
      UNION ALL (TABLE hub.journeys_by_customer EXCEPT TABLE truth)
      UNION ALL (TABLE truth EXCEPT ALL TABLE blocks) UNION ALL (TABLE blocks EXCEPT ALL TABLE truth)
      UNION ALL (TABLE hub.customer_journeys EXCEPT ALL TABLE stored_blocks)
      UNION ALL (TABLE stored_blocks EXCEPT ALL TABLE hub.customer_journeys)) d;
CREATE VIEW packed_flaws AS
SELECT count(*) AS flaws FROM ((TABLE truth EXCEPT TABLE hub.customer_journeys) UNION ALL (TABLE hub.customer_journeys EXCEPT TABLE truth)) d;
-- journey_blocks in many rows, as if journeys were large
CREATE FUNCTION cut() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    former record;
BEGIN
    LOCK TABLE hub.refresh_lock IN SHARE ROW EXCLUSIVE MODE;
    FOR former IN DELETE FROM hub.journey_blocks b
                  RETURNING b.first_customer, journey_block_without(coalesce(journey_block_merge(b.block, b.newer), b.block), coalesce(b.gone, '{}')) AS block LOOP
        INSERT INTO hub.journey_blocks (first_customer, block)
        SELECT CASE p.number WHEN 1 THEN former.first_customer ELSE (journey_block_customers(p.piece))[1] END, p.piece
        FROM journey_block_split(former.block, 4000) WITH ORDINALITY p(piece, number);
    END LOOP;
END $$;
CREATE TABLE compared (flaws bigint);
CREATE TABLE acknowledged (key text, at timestamptz);  -- written in the same transaction as the touchpoint
CREATE TABLE deleted (key text);
END
my %script = (
    # what comes again under a key is the same
    record => <<'END',
\set key random(1, 40000)
BEGIN;
SELECT hub.record(ARRAY[identifier('c', (:key % 200)::text)], day(:key % 1000 / 5.0), 'web', 'a' || :key % 5, :key,
    (ARRAY['EUR', 'USD'])[1 + :key % 2], (ARRAY['in', 'out', NULL])[1 + :key % 3],
    agent => (ARRAY['bot', 'rita', NULL])[1 + :key / 3 % 3], source => 'sql', source_key => :key::text);
INSERT INTO acknowledged VALUES (:key::text, day(:key % 1000 / 5.0));
END;
END
    together => <<'END',
\set key random(1, 1000000000000)
SELECT hub.record(array_agg(DISTINCT i), day(200 * random()), 'app', 'b', source => 'two', source_key => :key::text)
FROM (SELECT someone() FROM generate_series(1, 2)) s(i);
END
    many => <<'END',
SELECT hub.record_many(array_agg((ARRAY[identifier('c', (k % 200)::text)], day(k % 1000 / 50.0), 'sms', 'sent', NULL, NULL, NULL, NULL, NULL, NULL, 'many', k::text, NULL, NULL, NULL)::hub.event))
FROM (SELECT floor(random() * 20000 + g)::integer AS k FROM generate_series(1, 20) g) s;
END
    undo => <<'END',
SELECT hub.retract(source, source_key) FROM (SELECT * FROM hub.evidence WHERE retracted_at IS NULL ORDER BY random() LIMIT 1) e;
END
    change => <<'END',
UPDATE hub.touchpoints SET value = coalesce(value, 0) + 1, occurred_at = occurred_at + interval '10 days'
WHERE touchpoint_id = (SELECT touchpoint_id FROM hub.touchpoints WHERE source = 'two' ORDER BY random() LIMIT 1);
END
    spoke => <<'END',
UPDATE hub.touchpoints SET direction = (ARRAY['in', 'out', NULL])[1 + floor(random() * 3)::integer],
       agent = (ARRAY['bot' || chr(58) || 'x', 'rita'])[1 + floor(random() * 2)::integer]
WHERE touchpoint_id = (SELECT touchpoint_id FROM hub.touchpoints WHERE source = 'two' ORDER BY random() LIMIT 1);
END
    delete => <<'END',
WITH gone AS (DELETE FROM hub.touchpoints WHERE touchpoint_id = (SELECT touchpoint_id FROM hub.touchpoints WHERE source = 'sql' ORDER BY random() LIMIT 1) RETURNING source_key)
INSERT INTO deleted SELECT source_key FROM gone;
END
    refresh => "SELECT hub.refresh();\n",
    cut => "SELECT cut();\n",
    currency => "UPDATE hub.settings SET currency = (ARRAY['EUR', 'USD'])[1 + floor(random() * 2)::integer];\n",
    rebuild => "SELECT hub.refresh(rebuild => true);\n",
    maintain => <<'END',
\set kept random(1, 80)
SELECT hub.set_retention('touchpoints', now() - day(:kept));
CALL hub.maintain(since => day(0));
END
    compare => <<'END',
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO compared SELECT flaws FROM current_flaws;
END;
END
);
write_bytes("$dir/$_", $script{$_}) for keys %script;
my @mix = map { ('-f', "$dir/$_") } qw(record@40 together@12 many@4 undo@8 change@3 spoke@3 delete@4 refresh@6 cut@1 rebuild@1 currency@1 maintain@1 compare@3);

my (@client, $killed, $runs);
my ($terminated, $last) = (0, 0);
while ($terminated < TERMINATED || grep { $_ } @client)
{
    for my $n (0 .. CLIENTS - 1)
    {
        if ($client[$n])
        {
            next if $client[$n]->pumpable;
            eval { $client[$n]->finish };
            $client[$n] = undef;
        }
        next if $terminated >= TERMINATED;
        $runs++;
        $client[$n] = IPC::Run::start([ 'pgbench', '-n', '-M', 'prepared', '-c', '1', '-t', '100', "--random-seed=$runs",
                @mix, $node->connstr('postgres') . ' application_name=storm' ],
            '>', "$dir/out.$n", '2>', "$dir/err.$n", IPC::Run::timeout(3600));
    }
    my ($lost, $recorded) = $node->psql('postgres', 'SELECT last_value FROM hub.touchpoints_touchpoint_id_seq');
    if ($lost == 0 && $recorded > $last + BETWEEN)
    {
        $last = $recorded;
        my ($failed, $pid) = $node->psql('postgres',
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'storm' AND state = 'active' ORDER BY random() LIMIT 1");
        if ($failed == 0 && $pid)
        {
            if (!$killed && $terminated > TERMINATED / 3) { $killed = kill 'KILL', $pid }
            else { $terminated += $node->psql('postgres', "SELECT pg_terminate_backend($pid)") == 0 }
        }
    }
    sleep 0.05;
}
$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
note "$runs runs, $terminated terminated";
cmp_ok($terminated, '>', 5, 'backends were terminated');
is($killed, 1, 'a backend was killed');
cmp_ok(sql($node, 'SELECT count(*) FROM hub.touchpoints'), '>', 1000, 'there are touchpoints');
cmp_ok(sql($node, 'SELECT count(*) FROM compared'), '>', 5, 'current_journeys and current_blocks were compared meanwhile');
is(sql($node, 'SELECT count(*) FROM compared WHERE flaws > 0'), 0, '... and was right each time');
cmp_ok(sql($node, "SELECT count(*) FROM hub.current_journeys WHERE journey ~ '%.%.bot -> %.%.out'"), '>', 0, 'who spoke is told');
is(sql($node, 'SELECT flaws FROM current_flaws'), 0, 'it is right at the end');
cmp_ok(sql($node, 'SELECT hub.refresh()'), '>=', 0, 'refreshed');
is(sql($node, 'SELECT flaws FROM packed_flaws'), 0, 'customer_journeys is what the touchpoints say');
is(sql($node, 'SELECT hub.refresh(rebuild => true)'), 0, 'a rebuild changes nothing');
is(sql($node, 'SELECT count(*) FROM hub.stitch_check()'), 0, 'nor does one of the customers');
is(sql($node, 'SELECT count(*) FROM (SELECT FROM hub.touchpoints GROUP BY source, source_key HAVING count(*) > 1) s'), 0, 'each key has one touchpoint');
is(sql($node, 'SELECT count(*) FROM hub.touchpoints t FULL JOIN hub.touchpoint_keys k USING (source, source_key, touchpoint_id, occurred_at)
               WHERE t.identity_id IS NULL OR k.ctid IS NULL'), 0, '... and each touchpoint its key');
is(sql($node, "SELECT count(*) FROM (SELECT key FROM acknowledged WHERE at >= day(85) EXCEPT SELECT key FROM deleted EXCEPT SELECT source_key FROM hub.touchpoints) s"), 0,
    'nothing that was acknowledged is missing');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
my %state;
$state{$1}++ while $log =~ /state=(\w{5}) ERROR/g;
is(join(' ', grep { !/^40001$/ } sort keys %state), '', 'no error but for serialization') or diag explain \%state;

# listeners
my ($out, $in, $err) = ('', "LISTEN hub;\nSELECT hub.record('{l:1}', '2026-02-01Z', 'web', 'view') AS id, hub.customer_of('l:1') IS NULL;\n"
      . "SELECT hub.record_many(ARRAY[('{l:1}', '2026-02-02Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),\n"
      . "('{l:1}', '2026-02-03Z', 'web', 'view', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)]::hub.event[]);\nSELECT 1;\n", '');
IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$err);
my $told = join ' ', $out =~ /payload "(.*?)" received/g;
my $customer = sql($node, "SELECT hub.customer_of('l:1')");
my @ids = split /\n/, sql($node, "SELECT touchpoint_id FROM hub.touchpoints t JOIN hub.identities i USING (identity_id) WHERE identifier = 'l:1' ORDER BY 1");
is($told, join(' ', map { qq({"customer_id": $customer, "touchpoint_id": $_}) } @ids[ 0, 2 ]), 'listeners are told, once a customer and call');
done_testing();
