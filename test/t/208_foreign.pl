# What postgres_fdw sends to the other server, and that the answers are the same: conditions
# and parameters of our types and of arrays of them, order, grouping, aggregates.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main');
my ($host, $port) = ($node->host, $node->port);
sql($node, <<"END");
CREATE EXTENSION postgres_fdw;
CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres', extensions 'pg_journey');
CREATE USER MAPPING FOR CURRENT_USER SERVER other;
CREATE TABLE here AS
SELECT n, identifier('account', (n % 20)::text) AS id, ARRAY[identifier('cookie', n::text), identifier('email', n % 9 || '\@a.pt')] AS ids,
       touchpoint('2026-01-01Z'::timestamptz + n * interval '1 h', 'web', 'view', n, n) AS t,
       ARRAY[touchpoint('2026-01-01Z'::timestamptz + n % 5 * interval '1 h', 'web', 'view')] AS ts,
       touchpoint('2026-01-01Z'::timestamptz + n * interval '1 h', 'web', 'view') || touchpoint('2026-01-02Z', 'web', 'buy') AS j,
       format('web.view -[<= %s h]-> web.buy', n % 7 + 1)::journey_pattern AS p, 'x'::text AS c, '2026-01-01Z'::timestamptz + n * interval '1 h' AS at
FROM generate_series(1, 100) n;
CREATE FOREIGN TABLE there (n integer, id identifier, ids identifier[], t touchpoint, ts touchpoint[], j journey, p journey_pattern, c text, at timestamptz)
    SERVER other OPTIONS (table_name 'here');
END

# a query with %s for the table, and what must be in the remote query
my @cases = (
	[ q{SELECT n FROM %s WHERE id = 'account:7' ORDER BY n},                          qr/WHERE \(\(id OPERATOR\(public\.=\) 'account:7'/ ],
	[ q{SELECT n FROM %s WHERE id = ANY ('{account:7,account:8}') ORDER BY n},        qr/ANY \('\{account:7,account:8\}'::public\.identifier\[\]\)/ ],
	[ q{SELECT n FROM %s WHERE ids && '{cookie:7,"email:3@a.pt"}' ORDER BY n},        qr/WHERE \(\(ids && '/ ],
	[ q{SELECT n FROM %s WHERE ids <> ARRAY[id, 'email:0@a.pt'] ORDER BY n},          qr/<> ARRAY\[id, 'email/ ],
	[ q{SELECT n FROM %s WHERE 'web.view@2026-01-01T03:00:00Z' = ANY (ts) ORDER BY n}, qr/ANY \(ts\)/ ],
	[ q{SELECT n FROM %s WHERE ts && '{web.view@2026-01-01T03:00:00Z}' ORDER BY n},   qr/WHERE \(\(ts && / ],
	[ q{SELECT n FROM %s WHERE t > 'web.view@2026-01-03T03:00:00Z' ORDER BY n},       qr/WHERE \(\(t OPERATOR\(public\.>\)/ ],
	[ q{SELECT n FROM %s WHERE j ~ 'web.view -[<= 5 h]-> web.buy' ORDER BY n},        qr/OPERATOR\(public\.~\)/ ],
	[ q{SELECT n FROM %s WHERE p IN ('web.view -[<= 2 h]-> web.buy', 'web.view') ORDER BY n}, qr/ANY \('\{.*journey_pattern\[\]\)/ ],
	[ q{SELECT n FROM %s WHERE p < 'web.view -[<= 3 h]-> web.buy' ORDER BY n},        qr/OPERATOR\(public\.<\)/ ],
	[ q{SELECT p, count(*) FROM %s GROUP BY p ORDER BY p},                            qr/count\(\*\) FROM .* GROUP BY/ ],
	[ q{SELECT p FROM %s ORDER BY p, n LIMIT 3},                                      qr/ORDER BY p ASC.* LIMIT/ ],
	[ q{SELECT array_agg(id ORDER BY id, n) FROM %s},                                 qr/array_agg\(id ORDER BY/ ],
	[ q{SELECT journey_funnel_agg(j, 'web.view -> web.buy') FROM %s},                 qr/SELECT public\.journey_funnel_agg/ ],
	[ q{SELECT retention(n > 1, n > 200) FROM %s},                                    qr/SELECT public\.retention/ ],
	[ q{SELECT identity_components(ids[1], ids[2]) FROM %s},                          qr/SELECT public\.identity_components/ ],
	# a constant text must not keep them at home
	[ q{SELECT journey_path(j, 'channel'), count(*) FROM %s GROUP BY 1 ORDER BY 1},  qr/SELECT public\.journey_path\(j, 'channel'::text, false\), count\(\*\) FROM .* GROUP BY/ ],
	[ q{SELECT journey_funnel_merge(f) FROM (SELECT journey_funnel_partial(j, 'web.view -> web.buy') AS f FROM %s) s}, qr/SELECT public\.journey_funnel_partial\(j, / ],
	[ q{SELECT journey_funnel_period_merge(f) FROM (SELECT journey_funnel_partial(j, 'web.view -> web.buy', '{"period": "day", "time_zone": "Asia/Kathmandu", "breakdown": "label"}') AS f FROM %s) s},
		qr/SELECT public\.journey_funnel_partial\(j, .*Kathmandu/ ],
	[ q{SELECT journey_retention_merge(f) FROM (SELECT journey_retention_partial(j, 'web.view', 'web.buy', '{"unit": "day", "time_zone": "UTC"}') AS f FROM %s) s},
		qr/SELECT public\.journey_retention_partial\(j, / ],
	[ q{SELECT flow_agg(j, '{"item": "label", "collapse": true}'::jsonb) FROM %s},    qr/SELECT public\.flow_agg\(j, .*::jsonb\)/ ],
	[ q{SELECT attribution_agg(j, 'web.buy', 'web.view', '30 days', '{"item": "label", "order": 2, "until": "2026-02-01 00:00Z"}'::jsonb) FROM %s}, qr/SELECT public\.attribution_agg\(j, / ],
	# nor that of sequences, beside a column's text
	[ q{SELECT sequence_match(left(c, 0) || '(?1)(?t<=7200)(?2)', at, n % 7 = 0, n % 7 = 1) FROM %s}, qr/SELECT public\.sequence_match\(/ ],
);
for (@cases)
{
	my ($query, $sent) = @$_;
	my $plan = sql($node, 'EXPLAIN (VERBOSE, COSTS OFF) ' . sprintf $query, 'there');
	like($plan, qr/Remote SQL: .*$sent/, "sent: $query");
	is(sql($node, sprintf $query, 'there'), sql($node, sprintf $query, 'here'), "the same: $query");
}

# parameters, too
for ([ 'identifier[]', 'ids && $1', '{cookie:7,"email:3@a.pt"}' ], [ 'touchpoint[]', 'ts && $1', '{web.view@2026-01-01T03:00:00Z}' ],
	[ 'journey_pattern[]', 'p = ANY ($1)', '{web.view,"web.view -[<= 2 h]-> web.buy"}' ], [ 'journey_pattern', 'j ~ $1', 'web.buy -> web.view' ])
{
	my ($type, $condition, $value) = @$_;
	my $prepare = "SET plan_cache_mode = force_generic_plan; PREPARE q($type) AS SELECT n FROM there WHERE $condition ORDER BY n;";
	(my $literal = $condition) =~ s/\$1/'$value'/;
	like(sql($node, "$prepare EXPLAIN (VERBOSE, COSTS OFF) EXECUTE q('$value')"), qr/Remote SQL: .*\$1::public\.\Q$type\E/, "parameter sent: $type");
	is(sql($node, "$prepare EXECUTE q('$value')"), sql($node, "SELECT n FROM here WHERE $literal ORDER BY n"), "the same: $type");
}

# Journeys in partitions on two servers: conditions go to both, and so do aggregates by the partitions' key, of which
# what comes back is merged here. So it is with journeys, with blocks of them, and with what journeys are made of.
for my $region ('eu', 'us')
{
	sql($node, "CREATE DATABASE $region");
	$node->safe_psql($region, <<"END");
CREATE EXTENSION pg_journey;
CREATE TABLE log AS
SELECT '$region' AS region, n AS customer, '2026-01-01Z'::timestamptz + (i * n % 97) * interval '7 h' AS at, (ARRAY['web', 'store', 'app'])[1 + (i + n) % 3] AS channel,
       (ARRAY['view', 'cart', 'buy', 'view'])[1 + i * n % 4] AS action
FROM generate_series(1, 300) n, generate_series(1, 6) i WHERE n % 2 = @{[ $region eq 'eu' ? 0 : 1 ]};
CREATE TABLE journeys AS SELECT region, customer, journey_agg(at, channel, action) AS journey FROM log GROUP BY 1, 2;
CREATE INDEX ON journeys USING gin (journey);
CREATE TABLE blocks AS SELECT region, customer / 100 AS number, journey_block_agg(customer::bigint, journey) AS block FROM journeys GROUP BY 1, 2;
ANALYZE;
END
	sql($node, <<"END");
CREATE SERVER $region FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname '$region', extensions 'pg_journey', async_capable 'true', use_remote_estimate 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER $region;
END
}
my %columns = (log => 'customer integer, at timestamptz, channel text, action text', journeys => 'customer integer, journey journey', blocks => 'number integer, block journey_block');
for my $table (sort keys %columns)
{
	sql($node, "CREATE TABLE $table (region text, $columns{$table}) PARTITION BY LIST (region); CREATE SCHEMA IF NOT EXISTS home; CREATE TABLE home.$table (region text, $columns{$table})");
	sql($node, "CREATE FOREIGN TABLE ${table}_$_ PARTITION OF $table FOR VALUES IN ('$_') SERVER $_ OPTIONS (table_name '$table')") for 'eu', 'us';
	sql($node, "INSERT INTO home.$table SELECT * FROM $table");
}
my $options = '{"period": "week", "time_zone": "Europe/Lisbon", "breakdown": "channel", "since": "2026-01-05 00:00Z"}';
my @spread = (
	[ q{SELECT array_agg(customer ORDER BY customer) FROM %s WHERE journey ~ 'web.view -> store.buy'}, 'journeys', qr/~/, 1 ],
	[ q{SELECT customer FROM %s WHERE journey_matches(journey, 'web.cart') AND region = 'eu' ORDER BY customer}, 'journeys', qr/journey_matches/, 0 ],
	[ q{SELECT array_agg(customer ORDER BY customer) FROM %s WHERE journey && tstzrange('2026-01-03Z', '2026-01-04Z')}, 'journeys', qr/&&/, 1 ],
	[ q{SELECT region, customer, journey_agg(at, channel, action) FROM %s GROUP BY 1, 2 ORDER BY 1, 2}, 'log', qr/public\.journey_agg\(at, channel, action\)/, 1 ],
	map {
		my ($table, $column) = @$_;
		(   [ "SELECT journey_funnel_merge(f) FROM (SELECT region, journey_funnel_partial($column, 'web.view -> store.cart -> %.buy') AS f FROM %s GROUP BY region) s", $table, qr/public\.journey_funnel_partial/, 1,
				"SELECT journey_funnel_agg($column, 'web.view -> store.cart -> %.buy') FROM home.$table" ],
			[   "SELECT journey_funnel_period_merge(f) FROM (SELECT region, journey_funnel_partial($column, 'web.view -> %.buy', '$options') AS f FROM %s GROUP BY region) s", $table, qr/public\.journey_funnel_partial/, 1,
				"SELECT journey_funnel_agg($column, 'web.view -> %.buy', 'week', 'Europe/Lisbon', '2026-01-05Z', NULL, 'channel') FROM home.$table" ],
			[   qq{SELECT journey_retention_merge(f) FROM (SELECT region, journey_retention_partial($column, 'web.view', '%.buy', '{"unit": "week", "time_zone": "UTC"}') AS f FROM %s GROUP BY region) s}, $table,
				qr/public\.journey_retention_partial/, 1, "SELECT journey_retention_agg($column, 'web.view', '%.buy', 'week', 'UTC') FROM home.$table" ],
			[   qq{SELECT flow_agg(f) FROM (SELECT region, flow_agg($column, '{"item": "channel", "max_steps": 3}'::jsonb) AS f FROM %s GROUP BY region) s}, $table, qr/public\.flow_agg/, 1,
				qq(SELECT flow_agg($column, 'channel', '{"max_steps": 3}') FROM home.$table) ],
			[   qq{SELECT attribution_agg(f) FROM (SELECT region, attribution_agg($column, '%.buy', '%.view', '30 days', '{"item": "channel", "order": 2}'::jsonb) AS f FROM %s GROUP BY region) s}, $table,
				qr/public\.attribution_agg/, 1, qq(SELECT attribution_agg($column, '%.buy', '%.view', '30 days', 'channel', '{"order": 2}') FROM home.$table) ])
	} [ 'journeys', 'journey' ], [ 'blocks', 'block' ]);
for (@spread)
{
	my ($query, $table, $sent, $both, $whole) = @$_;
	my $settings = 'SET enable_partitionwise_aggregate = on; SET enable_partitionwise_join = on;';
	(my $there = $query) =~ s/ FROM %s/ FROM $table/;
	(my $home = $query) =~ s/ FROM %s/ FROM home.$table/;
	my $plan = sql($node, "$settings EXPLAIN (VERBOSE, COSTS OFF) $there");
	is(scalar(() = $plan =~ /Remote SQL: [^\n]*$sent/g), 1 + $both, "sent to each server: $there") or diag $plan;
	is(scalar(() = $plan =~ /Async Foreign Scan/g), 2, "at the same time: $there") or diag $plan if $both;
	is(sql($node, "$settings $there"), sql($node, $whole // $home), "the same: $there");
}
for ([ "journey_funnel_partial(journey, 'web.view', '[]')", 'options of journey_funnel_partial must be a JSON object' ],
	[ qq(journey_funnel_partial(journey, 'web.view', '{"unit": "day"}')), 'unknown option of journey_funnel_partial: "unit"' ],
	[ qq(journey_funnel_partial(journey, 'web.view', '{"times": 1}')), 'option "times" of journey_funnel_partial must be true or false' ],
	[ qq(journey_funnel_partial(journey, 'web.view', '{"period": "eon"}')), 'unknown period: "eon"' ],
	[ qq(journey_retention_partial(journey, 'web.view', 'web.view', '{"unit": "day"}')), 'option "time_zone" of journey_retention_partial is missing' ],
	[ qq(flow_agg(journey, '{"gap": "1 h"}'::jsonb)), 'option "item" of flow_agg is missing' ],
	[ qq(flow_agg(journey, '{"item": "channel", "gop": "1 h"}'::jsonb)), 'unknown option of flow_agg: "gop"' ],
	[ "journey_funnel_merge(journey_send(journey))", 'state of journey_funnel_agg is corrupt' ])
{
	my ($call, $message) = @$_;
	my (undef, undef, $error) = $node->psql('postgres', "SELECT $call FROM home.journeys");
	like($error, qr/ERROR:  \Q$message\E/, "an error: $call");
}
my (undef, undef, $mixed) = $node->psql('postgres', qq(SELECT journey_funnel_merge(f) FROM (SELECT journey_funnel_partial(journey, 'web.view', '{}') AS f FROM home.journeys) s));
like($mixed, qr/can't merge partial results by period\n.*Use journey_funnel_period_merge/s, 'partial results by period are others');
(undef, undef, $mixed) = $node->psql('postgres', q(SELECT journey_funnel_period_merge(f) FROM (SELECT journey_funnel_partial(journey, 'web.view') AS f FROM home.journeys) s));
like($mixed, qr/Use journey_funnel_merge/, 'and the other way round');
is(sql($node, q(SELECT journey_funnel_merge(f) IS NULL FROM (SELECT journey_funnel_partial(journey, 'web.view') AS f FROM home.journeys WHERE false) s)), 't', 'of nothing, nothing');

# so after the extension was dropped and made again, and where an array type was a column's
is( sql($node, <<'END'), "6\nt", 'all arrays are members, and go with the extension');
SELECT count(*) FROM pg_type t JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
WHERE t.typname IN ('_touchpoint', '_journey', '_journey_pattern', '_identifier', '_funnel_step', '_retention_cell');
BEGIN;
DROP FOREIGN TABLE there;
DROP TABLE here, log, journeys, blocks;
DROP SCHEMA home CASCADE;
DROP EXTENSION pg_journey;
SELECT to_regtype('identifier[]') IS NULL AND to_regtype('_identifier') IS NULL;
ROLLBACK;
END

done_testing();
