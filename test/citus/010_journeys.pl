# Proves that a hub whose journeys are spread over workers answers everything as one that is not: all its views and
# functions, and goes on as one; that workers do the work; and that it refuses what it can't do.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin", "$FindBin::Bin/../t/lib";
use CitusCluster;
use FilledHub;
use PgJourney;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, @workers) = start_citus();
my $hub = '"größe ""x"""';

my @roles = qw(hub_owner hub_reader hub_analyst hub_writer hub_steward);
my $roles = join ' ', (map { "CREATE ROLE $_ LOGIN;" } @roles), 'GRANT CREATE ON SCHEMA public TO hub_owner;';

sub refused
{
	my ($what, $query, @like) = @_;
	my (undef, undef, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\n$query");
	like($error, $_, "$what: $_") for @like;
}

refused('no hub', q{SELECT journey_distribute_hub('none')}, qr/ERROR:  42704: there is no hub none/);
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->safe_psql('plain', "CREATE EXTENSION pg_journey; SELECT journey_create_hub('crm')");
{
	my (undef, undef, $error) = $node->psql('plain', "\\set VERBOSITY verbose\nSELECT journey_distribute_hub('crm')");
	like($error, qr/ERROR:  0A000: a hub can be distributed by Citus only.*HINT:  Install Citus/s, 'no Citus');
	(undef, undef, $error) = $node->psql('plain', "CREATE EXTENSION citus;\n\\set VERBOSITY verbose\nSELECT journey_distribute_hub('crm')");
	like($error, qr/ERROR:  55000: there is no worker to distribute a hub to.*HINT:.*citus_add_node/s, 'no worker');
	$node->safe_psql('plain', "SELECT journey_drop_hub('crm')");
}

# Citus goes to workers as whoever asks, and makes roles there as far as they are there before it is told of workers
for (@workers) { sql($_, "SET citus.enable_ddl_propagation = off; $roles") }
sql($node, 'ALTER SYSTEM SET citus.enable_ddl_propagation = off; SELECT pg_reload_conf()');
my ($checks, $before) = fill_hub($node);
sql($node, "ALTER SYSTEM RESET citus.enable_ddl_propagation; SELECT pg_reload_conf();" . join '', map { "SET citus.enable_ddl_propagation = off; ALTER ROLE $_ LOGIN;" } @roles);
# What a spread hub has besides, or other than one that is not
my %others = map { $_ => 1 } qw(parts grants sequences current_journeys current_blocks personal_data);

# Every function of the hub that reads, of the catalog: with a customer where it takes one, and with nothing where it may
my @functions = split /\n/, sql($node, <<"END");
SELECT format('SELECT count(*), md5(string_agg(f::text, chr(10) ORDER BY f::text COLLATE "C")) FROM %s', call)
FROM (SELECT CASE WHEN p.pronargs = p.pronargdefaults THEN format('%s() f', p.oid::regproc)
                  ELSE format('(SELECT customer_id FROM %1\$s.customers ORDER BY 1 LIMIT 3) c, %2\$s(c.customer_id) f', '$hub', p.oid::regproc)
             END AS call
      FROM pg_proc p
      WHERE p.pronamespace = '$hub'::regnamespace AND p.prokind = 'f' AND p.provolatile = 's' AND p.prorettype <> 'trigger'::regtype
            AND (p.pronargs = p.pronargdefaults
                 OR p.pronargs - p.pronargdefaults = 1 AND p.proargtypes[0] = 'bigint'::regtype AND p.proargnames[1] = 'customer_id')
            AND p.proname !~ '^(my_|personal_|open_portal|locked|access_level|waiting_now|check_source|portal|next_messages|no_customer|match_code|unlisted_columns|privacy_report|seen_since|service_clocks_between|handover|report)') f
ORDER BY call
END
push @functions, map { s/HUB/$hub/gr } (
	(map { my $p = $_; map { "SELECT md5(string_agg(f::text, chr(10) ORDER BY f::text)) FROM HUB.$_('$p', '2025-11-05Z') f" } qw(flows attribution channel_mix channel_transitions omnichannel service_levels conversions) } qw(month week all)),
	"SELECT md5(string_agg(f::text, chr(10))) FROM HUB.funnel('web.view -> store.%') f",
	"SELECT md5(string_agg(f::text, chr(10))) FROM HUB.funnel('web.view -> phone.%', 'month', '2025-11-15Z', '2026-03-01Z', 'label') f",
	"SELECT md5(string_agg(f::text, chr(10))) FROM HUB.funnel('web.view -> phone.%', among => ARRAY(SELECT customer_id FROM HUB.customers ORDER BY 1 LIMIT 20)) f",
	"SELECT md5(string_agg(f::text, chr(10) ORDER BY f::text)) FROM HUB.flows('month', '2025-11-15Z', '2026-02-01Z', 'label', ARRAY(SELECT customer_id FROM HUB.customers ORDER BY 1 LIMIT 90)) f",
	"SELECT md5(string_agg(f::text, chr(10) ORDER BY f::text)) FROM HUB.flows(NULL, '2025-11-15Z', '2026-02-01Z') f",
	"SELECT md5(string_agg(f::text, chr(10) ORDER BY f::text)) FROM HUB.channel_mix('day', '2025-11-15Z', NULL, ARRAY(SELECT customer_id FROM HUB.customers ORDER BY 1 LIMIT 90)) f",
	"SELECT count(*), sum(journey_length(journey)) FROM HUB.current_journeys WHERE journey ~ 'web.view -> phone.call'",
	"SELECT md5(string_agg(journey::text, chr(10) ORDER BY customer_id)) FROM HUB.current_journeys",
	"SELECT md5(string_agg(j.journey::text, chr(10) ORDER BY customer_id)) FROM HUB.current_journeys j JOIN HUB.customers c USING (customer_id) WHERE c.identities > 1",
	"SELECT journey FROM HUB.current_journeys WHERE customer_id = (SELECT HUB.customer_of('c:1'))",
	"SELECT md5(string_agg(u.journey::text, chr(10) ORDER BY u.customer)) FROM HUB.current_blocks b, unnest(b.block) u",
	"SELECT journey_funnel_agg(journey, 'web.view -> store.%') FROM HUB.current_journeys",
	"SELECT journey_retention_agg(journey, 'web.%', '%.%', 'month', 'UTC') FROM HUB.current_journeys",
	"SELECT c, count(*) FROM HUB.current_journeys j, unnest(journey_channels(j.journey)) c GROUP BY 1 ORDER BY 1");

# What is answered, by query. Times of now are those of one transaction.
sub answers
{
	my %answer;
	for my $query ((map { $checks->{$_} } grep { !$others{$_} } keys %$checks), @functions)
	{
		my ($status, $out, $error) = $node->psql('postgres', $query);
		$answer{$query} = $status ? "ERROR $error" : $out;
	}
	return \%answer;
}
sub same
{
	my ($name, $got, $expected) = @_;
	my @differ = grep { $got->{$_} ne $expected->{$_} } sort keys %$expected;
	is(scalar @differ, 0, "$name: all of " . keys(%$expected) . ' answers are the same');
	diag("$_\n  $expected->{$_}\n  $got->{$_}") for @differ;
}

my $home = answers();
my @broken = grep { $home->{$_} =~ /^ERROR/ } keys %$home;
is(scalar @broken, 0, 'all can be asked before');
diag("$_\n  $home->{$_}") for @broken;
cmp_ok(scalar @functions, '>', 60, 'there are many functions');

refused('layouts', "SELECT journey_distribute_hub('größe \"x\"', 'rows')", qr/ERROR:  22023: unknown layout: 'rows'/, qr/HINT:  There is journeys/);
refused('touchpoints', "SELECT journey_distribute_hub('größe \"x\"', layout => 'touchpoints')", qr/ERROR:  0A000: touchpoints of a hub can't be distributed/,
	qr/DETAIL:  Changes of journeys are noted by statement triggers/);
like(sql($node, "SELECT journey_distribute_hub('größe \"x\"', layout => 'journeys')"), qr/spread_journeys: journeys of \d+ customers are on 8 shards of 2 workers/, 'it says what it did');
refused('twice', "SELECT journey_distribute_hub('größe \"x\"')", qr/ERROR:  42710: hub größe "x" is distributed already/, qr/journey_undistribute_hub/);
is(sql($node, "SELECT count(*), sum((SELECT count(*) FROM pg_dist_placement p JOIN pg_dist_shard s USING (shardid) WHERE s.logicalrelid = d.logicalrelid)) FROM pg_dist_partition d"),
	'3|24', 'three tables are distributed, and no other');
is(sql($node, "SELECT count(*) FROM $hub.unlisted_columns() WHERE column_name <> 'own_column'"), 0, 'the register knows all columns');
same('distributed', answers(), $home);

# patterns and measures are worked out by workers
for ([ 'a pattern', "SELECT customer_id FROM $hub.current_journeys WHERE journey ~ 'web.view -> phone.call'" ],
	[ 'a funnel', "SELECT journey_funnel_agg(b.block, 'web.view -> store.%', 'month', 'UTC', NULL, NULL, NULL) FROM $hub.current_blocks b" ],
	[ 'a funnel of journeys', "SELECT journey_funnel_agg(journey, 'web.view -> store.%') FROM $hub.current_journeys" ],
	[ 'attribution', "SELECT attribution_agg(b.block, '%.buy', '%', '30 days', 'channel', '{}') FROM $hub.current_blocks b" ],
	[ 'flows', "SELECT flow_agg(b.block, 'channel', '{}') FROM $hub.current_blocks b" ],
	[ 'measures', "SELECT channel_measures_agg(b.block, '1 h', '1 day', '{}', '{web}', '{phone}', 'month', 'UTC', NULL, NULL, '{channels}') FROM $hub.current_blocks b" ])
{
	my ($name, $query) = @$_;
	my $plan = sql($node, "EXPLAIN (COSTS OFF, VERBOSE) $query");
	my ($main) = $plan =~ /^(.*?Task Count: 8.*)$/s;
	ok($main, "$name: a task for each shard") or diag($plan);
	like($plan, $name eq 'a pattern' ? qr/Index Cond: .*journey.* ~ / : qr/worker_partial_agg/, "$name: is worked out there") or diag($plan);
	unlike($plan, qr/Scan on .*(customer_journeys|journey_blocks)/, "$name: not of what is at home");
}

# goes on as a hub does
is(sql($node, $goes_on), $went_on, 'it goes on');
my $spread = answers();
sql($node, "SELECT journey_undistribute_hub('größe \"x\"')");
same('after that, and taken back', answers(), $spread);
is(sql($node, "SELECT count(*) FROM pg_dist_partition"), 0, 'nothing is distributed any more');
is(sql($node, "SELECT count(*) FROM pg_class WHERE relnamespace = '$hub'::regnamespace AND relname LIKE '%spread%'"), 0, 'nothing is left');
refused('not distributed', "SELECT journey_undistribute_hub('größe \"x\"')", qr/ERROR:  55000: hub größe "x" is not distributed/);
done_testing();
