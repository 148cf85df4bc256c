# Proves that every aggregate of the extension that Citus works out in parts, enumerated from the catalog, says of a
# distributed table what it says of a table that is not; also of shards with no rows, and where rows are NULL.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin", "$FindBin::Bin/../t/lib";
use CitusCluster;
use PgJourney;
use Test::More;

my ($node) = start_citus();
sql($node, <<'END');
CREATE TABLE home AS
SELECT n, n % 3 = 0 AS a, NULLIF(n % 5 = 0, n % 7 = 1) AS b, j, journey_block_agg(n, j) AS k,
       flow_agg(j, 'channel') AS f, attribution_agg(j, '%.buy', '%', '30 days', 'channel') AS t,
       channel_measures_agg(j, '1 h', '3 days', '{}', '{web}', '{store}', 'month', 'UTC', NULL, NULL) AS m
FROM (SELECT n::bigint, CASE WHEN n % 19 > 0 THEN journey_agg(at, channel, action, n) END AS j
      FROM generate_series(1, 200) n,
           LATERAL (SELECT '2026-01-01Z'::timestamptz + (n % 40 + i * n % 11) * interval '1 day' AS at, (ARRAY['web', 'store'])[1 + i % 2] AS channel,
                           (ARRAY['view', 'cart', 'buy'])[1 + (n + i) % 3] AS action
                    FROM generate_series(1, 8) i) e
      GROUP BY n) g
GROUP BY n, j;
CREATE TABLE spread (LIKE home);
SELECT create_distributed_table('spread', 'n');
INSERT INTO spread SELECT * FROM home;
END

my %by_name = (item => "'channel'", options => "'{}'::jsonb", conversion => "'%.buy'::journey_pattern", touches => "'%'::journey_pattern", lookback => "interval '30 days'",
	start_step => "'web.view'::journey_pattern", return_step => "'%.buy'::journey_pattern", unit => "'week'", time_zone => "'UTC'", period => "'month'",
	since => "'2026-01-03Z'::timestamptz", until => "NULL::timestamptz", breakdown => "'action'", times => 'true', session_gap => "interval '1 hour'",
	handoff_within => "interval '3 days'", not_own => "'{}'::text[]", digital => "'{web}'::text[]", personal => "'{store}'::text[]", measures => "'{channels,customers}'::text[]",
	occurred_at => "'2026-01-01Z'::timestamptz + n * interval '1 min'", ref => 'n', channel => "CASE WHEN a THEN 'web' ELSE 'chat' END", agent => "CASE WHEN b THEN 'ana' END",
	is_bot => 'false', direction => "CASE WHEN b THEN 'out' ELSE 'in' END", means => 'NULL::text');
my %by_type = (journey => 'j', journey_block => 'k', journey_pattern => "'web.view -> %.buy'::journey_pattern", flow => 'f', attribution => 't', channel_measures => 'm',
	'boolean[]' => 'ARRAY[a, b]', '"any"' => undef);
my $tried = 0;
for (split /\n/, sql($node, <<'END'))
SELECT p.proname, array_to_string(ARRAY(SELECT format_type(t, NULL) || '=' || coalesce(p.proargnames[i], '') FROM unnest(p.proargtypes) WITH ORDINALITY a(t, i) ORDER BY i), ';')
FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN pg_type t ON t.oid = a.aggtranstype JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
WHERE t.typtype <> 'p' AND a.aggcombinefn <> 0 AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_journey')
ORDER BY 1, 2
END
{
	my ($name, $types) = split /\|/;
	next if $types =~ /"any"/;
	my $n = 0;
	my @arguments = map { my ($type, $called) = split /=/; $n++; $type eq 'boolean' && !$called ? ($n % 2 ? 'a' : 'b AND n > 9') : $by_name{ $called // '' } // $by_type{$type} } split /;/, $types;
	ok(!grep({ !defined } @arguments), "$name($types): there is a value for each argument") or next;
	my $call = "$name(" . join(', ', @arguments) . ')';
	my ($home) = sql($node, "SELECT $call FROM home");
	isnt($home, '', "$name($types) says something");
	is(sql($node, "SELECT $call FROM spread"), $home, 'and of shards the same');
	is(sql($node, "SELECT $call FROM spread WHERE n = 7"), sql($node, "SELECT $call FROM home WHERE n = 7"), 'of one shard');
	is(sql($node, "SELECT $call FROM spread WHERE n IN (19, 38, 5)"), sql($node, "SELECT $call FROM home WHERE n IN (19, 38, 5)"), 'of some, with NULL in them');
	$tried++;
}
cmp_ok($tried, '>', 25, "$tried aggregates");
my (undef, undef, $error) = $node->psql('postgres', 'SELECT retention(' . join(', ', ('a', 'b') x 5) . ') FROM spread');
like($error, qr/ERROR/, 'retention of nine conditions or more is refused');
is(sql($node, 'SELECT retention(ARRAY[' . join(', ', ('a', 'b') x 5) . ']) FROM spread'), sql($node, 'SELECT retention(ARRAY[' . join(', ', ('a', 'b') x 5) . ']) FROM home'), 'of an array it is not');

# patterns and their index
my $plan = sql($node, q{CREATE INDEX ON spread USING gin (j); SET enable_seqscan = off; SELECT run_command_on_workers('ALTER SYSTEM SET enable_seqscan = off'); SELECT run_command_on_workers('SELECT pg_reload_conf()');
EXPLAIN (COSTS OFF) SELECT n FROM spread WHERE j ~ 'web.view -> store.buy'});
like($plan, qr/Index Cond: \(j ~ /, 'patterns go by the index of shards');
done_testing();
