# Proves what doc/distribution.md says of regions: hubs of the same name in several databases come by logical replication into
# one cluster, in a database each, and a reporting database reads all of them; hubs of other names come into that database
# itself. A hub of the world is fed by what the regions know, and an erasure in a region reaches all of it.
# Slow: part of "make slowtest".
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PgJourney;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my $regions = start_server('regions', allows_streaming => 'logical');
my $centre = PostgreSQL::Test::Cluster->new('centre');
$centre->init(extra => [ '--encoding=UTF8', '--locale=C' ], allows_streaming => 'logical');
$centre->append_conf('postgresql.conf', "timezone = 'UTC'\njit = off\nwal_retrieve_retry_interval = '100ms'\nmax_sync_workers_per_subscription = 4\nmax_logical_replication_workers = 12\nmax_worker_processes = 20\n");
$centre->start;

# In each region a hub; the first two have the same name. Ana is known everywhere.
my %hub = (eu => 'crm', us => 'crm', br => 'crm_br');
sql($centre, 'CREATE DATABASE reporting');
for my $region (sort keys %hub)
{
	my $hub = $hub{$region};
	sql($regions, "CREATE DATABASE $region");
	$regions->safe_psql($region, <<"END");
CREATE EXTENSION pg_journey;
SELECT journey_create_hub('$hub');
CALL $hub.maintain('2026-01-01Z');
SELECT $hub.set_rule('account', max_per_customer => 1);
SELECT cardinality($hub.record_many(array_agg((ARRAY[identifier('account', '$region' || i % 20), identifier('email', i % 20 || '\@$region.example')], timestamptz '2026-01-05Z' + i * interval '5 h',
    (ARRAY['web', 'phone', 'store'])[1 + i % 3], (ARRAY['view', 'call', 'purchase'])[1 + i % 3], NULL, NULL, NULL, NULL, NULL, NULL, 'log', i::text, NULL, NULL, NULL)::$hub.event)))
FROM generate_series(1, 200) i;
SELECT $hub.record('{account:ana-$region,email:ana\@example.pt}', '2026-02-01Z', 'web', 'view', source => 'shop', source_key => 'ana'),
       $hub.record('{email:ana\@example.pt,cookie:ana-$region}', '2026-02-02Z', 'store', 'purchase', source => 'shop', source_key => 'ana 2'),
       $hub.record('{cookie:alone-$region}', '2026-02-03Z', 'web', 'view', source => 'shop', source_key => 'alone');
SELECT $hub.refresh();
SELECT $hub.record('{account:${region}3}', '2026-03-01Z', 'web', 'view', source => 'shop', source_key => 'not packed yet');
CREATE PUBLICATION hub FOR TABLES IN SCHEMA $hub WITH (publish_via_partition_root = true);
END
	# its copy: in a database of its own, or beside others
	my $database = $hub eq 'crm' ? $region : 'reporting';
	sql($centre, "CREATE DATABASE $database") if $database ne 'reporting';
	command_ok([ 'pg_dump', '--schema-only', '--no-publications', '-n', $hub, '-f', "$dir/$region", $regions->connstr($region) ], "$region: the schema is dumped");
	$centre->safe_psql($database, 'CREATE EXTENSION IF NOT EXISTS pg_journey');
	command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $centre->connstr($database), '-f', "$dir/$region" ], 'and restored');
	$centre->safe_psql($database, "CREATE SUBSCRIPTION $region CONNECTION '" . $regions->connstr . " dbname=$region' PUBLICATION hub");
}
my %database = map { ($_ => $hub{$_} eq 'crm' ? $_ : 'reporting') } keys %hub;
$centre->wait_for_subscription_sync($regions, $_, $database{$_}) for sort keys %hub;
sub caught_up { $regions->wait_for_catchup($_) for sort keys %hub }

# The reporting database: schemas of foreign tables stand for the databases beside it
my ($host, $port) = ($centre->host, $centre->port);
$centre->safe_psql('reporting', 'CREATE EXTENSION postgres_fdw');
for ('eu', 'us')
{
	$centre->safe_psql($_, <<"END");
CREATE SCHEMA report;
CREATE VIEW report.evidence AS
SELECT '$_/' || e.source AS source, e.source_key, e.observed_at, array_agg(i.identifier ORDER BY i.identifier) AS identifiers
FROM crm.evidence e CROSS JOIN LATERAL unnest(e.identities) u(id) JOIN crm.identities i ON i.identity_id = u.id
WHERE e.retracted_at IS NULL AND e.strength IS NULL
GROUP BY e.source, e.source_key, e.observed_at;
CREATE VIEW report.identities AS SELECT i.identifier, i.customer_id, i.last_seen FROM crm.identities i;
END
	$centre->safe_psql('reporting', <<"END");
CREATE SERVER $_ FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname '$_', extensions 'pg_journey', async_capable 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER $_;
CREATE SCHEMA $_;
IMPORT FOREIGN SCHEMA crm LIMIT TO (current_journeys) FROM SERVER $_ INTO $_;
IMPORT FOREIGN SCHEMA report FROM SERVER $_ INTO $_;
END
}
$centre->safe_psql('reporting', <<'END');
CREATE SCHEMA br;
CREATE VIEW br.current_journeys AS SELECT customer_id, journey FROM crm_br.current_journeys;
CREATE VIEW br.evidence AS
SELECT 'br/' || e.source AS source, e.source_key, e.observed_at, array_agg(i.identifier ORDER BY i.identifier) AS identifiers
FROM crm_br.evidence e CROSS JOIN LATERAL unnest(e.identities) u(id) JOIN crm_br.identities i ON i.identity_id = u.id
WHERE e.retracted_at IS NULL AND e.strength IS NULL
GROUP BY e.source, e.source_key, e.observed_at;
CREATE VIEW br.identities AS SELECT i.identifier, i.customer_id, i.last_seen FROM crm_br.identities i;
CREATE VIEW journeys AS
SELECT 'br' AS region, customer_id, journey FROM br.current_journeys UNION ALL
SELECT 'eu', customer_id, journey FROM eu.current_journeys UNION ALL
SELECT 'us', customer_id, journey FROM us.current_journeys;
CREATE VIEW regional_evidence AS TABLE br.evidence UNION ALL TABLE eu.evidence UNION ALL TABLE us.evidence;
CREATE VIEW regional_identities AS
SELECT 'br' AS region, * FROM br.identities UNION ALL SELECT 'eu', * FROM eu.identities UNION ALL SELECT 'us', * FROM us.identities;
SELECT journey_create_hub('world');
SELECT world.set_rule('email', priority => 9);

-- What regions have learnt, what they have taken back, and whom they have erased
CREATE PROCEDURE follow_regions() LANGUAGE plpgsql AS $$
DECLARE
    gone identifier;
BEGIN
    -- what they have taken back
    PERFORM world.retract(e.source, e.source_key)
    FROM world.evidence e
    WHERE e.retracted_at IS NULL
          AND NOT EXISTS (SELECT FROM regional_evidence r WHERE r.source = e.source AND r.source_key = e.source_key);
    -- whom they have erased: of one who falls apart by that, each part
    FOR gone IN
        SELECT unnest(array_agg(i.identifier))
        FROM world.identities i LEFT JOIN regional_identities r ON r.identifier = i.identifier
        GROUP BY i.customer_id HAVING count(r.identifier) = 0
    LOOP
        PERFORM world.erase(world.customer_of(gone), 'erased in its region') WHERE world.customer_of(gone) IS NOT NULL;
    END LOOP;
    -- and what they have learnt
    PERFORM world.identify_many(array_agg((r.identifiers, r.observed_at, r.source, r.source_key)::world.observation))
    FROM regional_evidence r
    WHERE NOT EXISTS (SELECT FROM world.evidence e WHERE e.source = r.source AND e.source_key = r.source_key
                                                         AND e.retracted_at IS NULL)
    HAVING count(*) > 0;
    PERFORM world.identify_many(array_agg((ARRAY[r.identifier], r.last_seen, r.region, NULL)::world.observation))
    FROM regional_identities r
    WHERE r.last_seen IS NOT NULL AND NOT EXISTS (SELECT FROM world.identities i WHERE i.identifier = r.identifier)
    HAVING count(*) > 0;
END $$;
END

my $exact = q{SELECT count(*), md5(string_agg(j::text, chr(10) ORDER BY j::text)) FROM %s j};
sub same
{
	my ($what) = @_;
	caught_up();
	for (sort keys %hub)
	{
		my $theirs = sprintf $exact, "(SELECT customer_id, journey FROM $hub{$_}.current_journeys)";
		is($centre->safe_psql('reporting', sprintf $exact, "(SELECT customer_id, journey FROM journeys WHERE region = '$_')"), $regions->safe_psql($_, $theirs), "$what: journeys of $_");
		is($centre->safe_psql($database{$_}, "SELECT count(*) FROM $hub{$_}.stitch_check()"), 0, "$what: the copy of $_ is what a rebuild makes it");
	}
	$centre->safe_psql('reporting', 'CALL follow_regions()');
	is($centre->safe_psql('reporting', 'SELECT count(*) FROM world.stitch_check()'), 0, "$what: the world is what a rebuild makes it");
	is( $centre->safe_psql('reporting', <<'END'), '0|0', "$what: it knows what the regions know, and nothing else");
SELECT (SELECT count(*) FROM (SELECT identifier FROM regional_identities EXCEPT SELECT identifier FROM world.identities) s),
       (SELECT count(*) FROM (SELECT identifier FROM world.identities EXCEPT SELECT identifier FROM regional_identities) s);
END
}
same('at first');

# one query over all of them; of the foreign ones comes what is counted
my $funnel = q{SELECT journey_funnel_merge(f) FROM (SELECT journey_funnel_partial(journey, 'web.view -> phone.call -> store.purchase') AS f FROM br.current_journeys
    UNION ALL SELECT journey_funnel_partial(journey, 'web.view -> phone.call -> store.purchase') FROM eu.current_journeys
    UNION ALL SELECT journey_funnel_partial(journey, 'web.view -> phone.call -> store.purchase') FROM us.current_journeys) s};
is($centre->safe_psql('reporting', $funnel), $centre->safe_psql('reporting', q{SELECT journey_funnel_agg(journey, 'web.view -> phone.call -> store.purchase') FROM journeys}), 'a funnel over all regions');
is(scalar(() = $centre->safe_psql('reporting', "EXPLAIN (VERBOSE, COSTS OFF) $funnel") =~ /Remote SQL: SELECT public\.journey_funnel_partial\(/g), 2, 'which each counts by itself');

# Ana is one in the world, and has one journey
my $ana = q{SELECT count(DISTINCT r.region), count(DISTINCT w.customer_id), sum(journey_length(j.journey)) FROM world.identities w JOIN regional_identities r ON r.identifier = w.identifier
    JOIN journeys j ON (j.region, j.customer_id) = (r.region, r.customer_id) WHERE r.identifier = 'email:ana@example.pt'};
is($centre->safe_psql('reporting', $ana), '3|1|6', 'Ana is one customer of three regions');
is($centre->safe_psql('reporting', q{SELECT count(DISTINCT world.customer_of(i)) FROM unnest('{cookie:ana-eu,cookie:ana-us,cookie:ana-br,account:ana-eu}'::identifier[]) i}), 1, 'by all that is hers');

# evidence is taken back in a region
$regions->safe_psql('us', q{SELECT crm.retract('shop', 'ana 2')});
same('retracted');
is($centre->safe_psql('reporting', q{SELECT world.customer_of('cookie:ana-us') <> world.customer_of('cookie:ana-eu')}), 't', 'so it is in the world');

# something happens; a customer of one region is erased, and one of all of them, in one of them
$regions->safe_psql('us', q{SELECT crm.record('{account:us3,cookie:new}', '2026-04-01Z', 'store', 'purchase'), crm.record('{email:8@eu.example}', '2026-04-01Z', 'web', 'view'), crm.refresh()});
$regions->safe_psql('eu', q{SELECT crm.erase(crm.customer_of(i), 'request 4711') FROM unnest('{account:eu7,account:eu8,account:ana-eu}'::identifier[]) i});
same('erased');
is($centre->safe_psql('reporting', $ana), '2|1|4', 'she is a customer of the others');
is($centre->safe_psql('reporting', q{SELECT world.customer_of('email:8@eu.example') IS NOT NULL}), 't', 'as is one of whom another region knows nothing else');
for my $database ('eu', 'reporting')
{
	$centre->safe_psql($database, 'VACUUM');
	my ($dump) = run_command([ 'pg_dump', '-d', $centre->connstr($database) ]);
	ok($dump !~ /\b\Q$_\E\b/, "$_ is nowhere in $database") for 'ana-eu', 'eu7', 'eu8', '7@eu.example';
}

# the person comes again
$regions->safe_psql('eu', q{SELECT crm.unsuppress('account:eu7'), crm.unsuppress('email:7@eu.example'), crm.record('{account:eu7}', '2026-05-01Z', 'web', 'view')});
caught_up();
$centre->safe_psql('reporting', q{SELECT world.unsuppress(i) FROM unnest('{account:eu7,email:7@eu.example}'::identifier[]) i});
same('come again');
is($centre->safe_psql('reporting', q{SELECT world.customer_of('account:eu7') IS NOT NULL}), 't', 'the world knows him again');

is(crashes($_), '', 'no process crashed') for $regions, $centre;
$centre->stop;
$regions->stop;
done_testing();
