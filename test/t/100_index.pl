# Indexes on journeys where things are not as usual: the extension in a schema of
# its own that is not in search_path, owners who are no superusers, row-level
# security, dump and restore with the options of an operator class, a crash, a
# standby, journeys out of line, and an index filled by eight writers at once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main', allows_streaming => 1);
my $dir = PostgreSQL::Test::Utils::tempdir;

sub in_shop
{
    my ($user, $query, $database, $server) = @_;
    return ($server // $node)->safe_psql($database // 'shop', $query, extra_params => [ '-U', $user ]);
}

sub plan_of
{
    my ($user, $query, $setting) = @_;
    return in_shop($user, "SET enable_seqscan = off;" . ($setting // '') . "EXPLAIN (COSTS OFF) $query");
}

sql($node, <<'END');
CREATE ROLE owner LOGIN;
CREATE ROLE clerk LOGIN;
CREATE DATABASE shop OWNER owner;
END
$node->safe_psql('shop', 'CREATE SCHEMA "the types"; CREATE EXTENSION pg_journey SCHEMA "the types"; GRANT USAGE ON SCHEMA "the types" TO owner, clerk');

# as a user, who finds neither type nor operator by search_path
in_shop('owner', <<'END');
CREATE SCHEMA shop;
CREATE TABLE shop.visits (customer int, branch text, journey "the types".journey);
CREATE INDEX visits_gin ON shop.visits USING gin (journey "the types".journey_ops (horizon = '2 h 30 min'));
CREATE INDEX visits_gist ON shop.visits USING gist (journey);
INSERT INTO shop.visits
SELECT c, CASE WHEN c % 4 = 3 THEN 'Niterói' ELSE 'Olinda' END,
       "the types".journey_agg('2026-01-01 00:00:00+00'::timestamptz + c * interval '1 h' + i * interval '10 min',
                               CASE WHEN i % 2 = 0 THEN 'web' ELSE 'loja' END, CASE WHEN c % 100 = i THEN 'rara' ELSE 'view' END)
FROM generate_series(1, 3000) c, generate_series(1, 6) i GROUP BY c;
ANALYZE shop.visits;
END
my $rare = q{SELECT count(*) FROM shop.visits WHERE journey OPERATOR("the types".~) 'loja.rara -[<= 2 h]-> web.view'};
my $by_function = q{SELECT count(*) FROM shop.visits WHERE "the types".journey_matches(journey, 'loja.rara -[<= 2 h]-> web.view')};
my $period = q{SELECT count(*) FROM shop.visits WHERE "the types".journey_within(journey, '[2026-01-05 00:00+00,2026-01-05 12:00+00)')};
like(plan_of('owner', $rare), qr/Index Cond: \(journey OPERATOR\("the types"\.~\)/, 'operator in a schema of its own');
like(plan_of('owner', $by_function), qr/on visits_gin\n.*Index Cond/, 'function in a schema of its own');
like(plan_of('owner', $period), qr/on visits_gist\n.*Index Cond/, 'period in a schema of its own');
is(in_shop('owner', "$_->[0]"), $_->[1], "answer of $_->[2]")
  for ([ $rare, 90, 'the operator' ], [ $by_function, 90, 'the function' ], [ $period, 11, 'the period' ]);
like(in_shop('owner', "EXPLAIN $rare"), qr/Bitmap Index Scan on visits_gin.* rows=(?:[2-9]\d|1[0-7]\d) /, 'estimate in a schema of its own');

# an operator that may fail shows its operands: under row-level security it must
# not go before the policy, nor may statistics of rows one cannot see be used
in_shop('owner', <<'END');
ALTER TABLE shop.visits ENABLE ROW LEVEL SECURITY;
CREATE POLICY olinda ON shop.visits FOR SELECT TO clerk USING (branch = 'Olinda');
GRANT USAGE ON SCHEMA shop TO clerk;
GRANT SELECT ON shop.visits TO clerk;
END
is(in_shop('clerk', $rare), 60, 'the rows of the policy, and no others');
unlike(plan_of('clerk', $rare), qr/Index Cond/, 'no index before the policy');
like(in_shop('clerk', "EXPLAIN SELECT * FROM shop.visits WHERE journey OPERATOR(\"the types\".~) 'no.such'"),
    qr/Seq Scan on visits .* rows=2[0-9] /, 'no statistics before the policy');

# dumped and restored
$node->safe_psql('postgres', 'CREATE DATABASE copy');
PostgreSQL::Test::Utils::system_or_bail('pg_dump', '-Fc', '-f', "$dir/dump", '-d', $node->connstr('shop'));
PostgreSQL::Test::Utils::system_or_bail('pg_restore', '--exit-on-error', '-d', $node->connstr('copy'), "$dir/dump");
like($node->safe_psql('copy', q{SELECT indexdef FROM pg_indexes WHERE indexname = 'visits_gin'}),
    qr/"the types"\.journey_ops \(horizon='2 h 30 min'\)/, 'the option is restored');
is($node->safe_psql('copy', $rare), 90, 'the restored index answers');

# crash in the middle of writing, and a standby that replays it
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
in_shop('owner', q{UPDATE shop.visits SET journey = journey OPERATOR("the types".||) '{app.late@2026-06-01T00:00:00Z}' WHERE customer % 50 = 0;
    DELETE FROM shop.visits WHERE customer % 75 = 0});
$node->stop('immediate');
$node->start;
my $late = q{SELECT count(*) FROM shop.visits WHERE journey OPERATOR("the types".~) 'app.late'};
is(in_shop('owner', "SET enable_seqscan = off; $late"), 40, 'found by index after a crash');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(in_shop('owner', "SET enable_seqscan = off; $late", undef, $standby), 40, 'found by index on a standby');
is(in_shop('owner', "SET enable_seqscan = off; $period", undef, $standby), in_shop('owner', "SET enable_indexscan = off; SET enable_bitmapscan = off; $period"),
    'found by period on a standby');
$standby->stop;

# of a journey out of line that lacks a label only the head is read
sql($node, <<'END');
CREATE TABLE long AS SELECT g, journey_agg('2026-01-01'::timestamptz + i * i * interval '1 s', 'web', 'a' || i % 50) AS journey
FROM generate_series(1, 20) g, generate_series(1, 20000) i GROUP BY g;
VACUUM ANALYZE long;
END
sub buffers
{
    my ($pattern) = @_;
    my $plan = sql($node, "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) SELECT count(*) FROM long WHERE journey ~ '$pattern'");
    my $n = 0;
    $n += $1 if $plan =~ /Buffers: shared hit=(\d+)/;
    $n += $1 if $plan =~ /Buffers: .*read=(\d+)/;
    return $n;
}
cmp_ok(2 * buffers('web.a1 -> web.a2 -> web.no'), '<', buffers('web.a1 -> web.a2'), 'what lacks a label is not fetched from TOAST');

# eight writers at once, then index against table
my $script = PostgreSQL::Test::Utils::tempdir . '/writer.sql';
write_bytes($script, <<'END');
\set c random(1, 2000)
\set m random(0, 500)
INSERT INTO busy VALUES (:c, ('{web.view@2026-01-01T00:00:00Z, app.a' || :c % 7 || '@2026-01-01T00:0' || :c % 10 || ':00Z}')::journey)
ON CONFLICT (customer) DO UPDATE SET journey = busy.journey || excluded.journey || '{phone.call@2026-01-01T05:00:00Z}';
DELETE FROM busy WHERE customer = :m;
END
sql($node, 'CREATE TABLE busy (customer int PRIMARY KEY, journey journey); CREATE INDEX ON busy USING gin (journey); CREATE INDEX ON busy USING gist (journey)');
$node->command_ok([ 'pgbench', '-n', '-c', 8, '-t', 250, '-M', 'prepared', '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ], 'eight writers');
sql($node, 'VACUUM busy');
my $count = "SELECT string_agg(n::text, ',' ORDER BY p) FROM (SELECT p, (SELECT count(*) FROM busy WHERE journey ~ p::journey_pattern) n
    FROM unnest(ARRAY['phone.call', 'web.view -[<= 2 min]-> app.a1', 'app.a3 -> phone.call', 'app.a1 => app.a1', 'app.a6 -[<= 0 s]-> app.a6']) p) c";
is(sql($node, "SET enable_seqscan = off; $count"), sql($node, "SET enable_indexscan = off; SET enable_bitmapscan = off; $count"),
    'index and table agree after eight writers');

is(crashes($node), '', 'no process crashed');
done_testing();
